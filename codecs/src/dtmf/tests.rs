use super::*;
use crate::tone::Sine;
use crate::{g711, speech};

const MS: usize = 8;
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// Sound that is put together.
#[derive(Default)]
struct Sound(Vec<f32>);

impl Sound {
    fn pause(mut self, ms: usize) -> Self {
        self.0.resize(self.0.len() + ms * MS, 0.0);
        self
    }

    /// Two tones for so many samples; frequencies and levels in dBm0.
    fn tones(mut self, samples: usize, hz: [f32; 2], dbm0: [f32; 2]) -> Self {
        let mut sines = [0, 1].map(|n| Sine::new(hz[n], dbm0[n], 8_000));
        self.0
            .extend((0..samples).map(|_| sines[0].next_sample() + sines[1].next_sample()));
        self
    }

    fn key(self, key: char, ms: usize, dbm0: f32) -> Self {
        self.tones(ms * MS, frequencies(key), [dbm0; 2])
    }

    /// Noise of this level under all of it.
    fn noise(mut self, dbm0: f32) -> Self {
        let rms = sine_amplitude(dbm0) / 2f32.sqrt();
        let mut dice = 7u32;
        for sample in &mut self.0 {
            let mut sum = 0.0;
            for _ in 0..12 {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sum += dice as f32 / u32::MAX as f32;
            }
            *sample += rms * (sum - 6.0);
        }
        self
    }

    fn pcm(&self) -> Vec<i16> {
        self.0.iter().map(|sample| sample.round() as i16).collect()
    }
}

fn frequencies(key: char) -> [f32; 2] {
    let at = KEYS.iter().position(|known| *known == key).expect("a key");
    [LOW[at / 4], HIGH[at % 4]]
}

/// The keys in it, with their lengths in milliseconds, in blocks of this many samples.
fn keys_by(pcm: &[i16], block: usize) -> Vec<(char, u32)> {
    let mut detector = Detector::new();
    let mut keys = Vec::new();
    let mut begun = None;
    for block in pcm.chunks(block) {
        detector.hear(block, |sign| match sign {
            Sign::Began { key, .. } => assert_eq!(begun.replace(key), None, "the one before has ended"),
            Sign::Ended { key, lasted } => {
                assert_eq!(begun.take(), Some(key), "it has begun");
                keys.push((key, lasted / 8));
            }
        });
    }
    if let Some(Sign::Ended { key, lasted }) = detector.end() {
        keys.push((key, lasted / 8));
    }
    keys
}

fn keys(pcm: &[i16]) -> Vec<(char, u32)> {
    keys_by(pcm, 160)
}

/// Which keys, in a row.
fn row(pcm: &[i16]) -> String {
    keys(pcm).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn each_key_is_heard_at_each_level_and_in_both_laws() {
    for dbm0 in [-3.0, -10.0, -20.0, -30.0] {
        for key in KEYS {
            let pcm = Sound::default().pause(50).key(key, 60, dbm0).pause(50).pcm();
            let by_law = |encode: fn(i16) -> u8, decode: fn(u8) -> i16| -> Vec<i16> {
                pcm.iter().map(|sample| decode(encode(*sample))).collect()
            };
            let ulaw = by_law(g711::encode_ulaw, g711::decode_ulaw);
            let alaw = by_law(g711::encode_alaw, g711::decode_alaw);
            for pcm in [&pcm, &ulaw, &alaw] {
                let found = keys(pcm);
                assert!(
                    matches!(found[..], [(found, 52..=68)] if found == key),
                    "{key} at {dbm0} dBm0: {found:?}"
                );
            }
        }
    }
}

/// ITU-T Q.24, as AT&T has it: 40 ms are a key, 23 ms are none, wherever they lie.
#[test]
fn forty_milliseconds_are_a_key_and_23_are_none() {
    for key in KEYS {
        for shift in 0..10 {
            let at = |ms| {
                Sound::default()
                    .pause(40)
                    .pause(0)
                    .tones(shift * 4, [0.0; 2], [-90.0; 2])
                    .key(key, ms, -12.0)
                    .pause(60)
            };
            assert_eq!(
                row(&at(40).pcm()),
                key.to_string(),
                "40 ms, {} samples later",
                4 * shift
            );
            assert_eq!(row(&at(40).noise(-35.0).pcm()), key.to_string(), "40 ms in noise");
            assert_eq!(row(&at(23).pcm()), "", "23 ms of {key}, {} samples later", 4 * shift);
        }
    }
}

#[test]
fn a_tone_may_be_off_by_one_and_a_half_percent_but_not_by_three_and_a_half() {
    for key in KEYS {
        let nominal = frequencies(key);
        let off = |low: f32, high: f32, ms| {
            let hz = [nominal[0] * (1.0 + low / 100.0), nominal[1] * (1.0 + high / 100.0)];
            row(&Sound::default()
                .pause(50)
                .tones(ms * MS, hz, [-10.0; 2])
                .pause(60)
                .pcm())
        };
        for (low, high) in [
            (1.5, 1.5),
            (-1.5, -1.5),
            (1.5, -1.5),
            (-1.5, 1.5),
            (0.0, 1.5),
            (-1.5, 0.0),
        ] {
            assert_eq!(off(low, high, 45), key.to_string(), "{key} off by {low} and {high} %");
        }
        for (low, high) in [
            (3.5, 0.0),
            (-3.5, 0.0),
            (0.0, 3.5),
            (0.0, -3.5),
            (3.5, 3.5),
            (-3.5, -3.5),
        ] {
            assert_eq!(off(low, high, 200), "", "{key} off by {low} and {high} %");
        }
    }
}

#[test]
fn one_tone_may_be_louder_within_limits() {
    for key in KEYS {
        let twisted = |low, high| {
            let sound = Sound::default()
                .pause(50)
                .tones(45 * MS, frequencies(key), [low, high])
                .pause(60);
            row(&sound.pcm())
        };
        // High against low.
        assert_eq!(twisted(-14.0, -10.0), key.to_string(), "{key}: +4 dB");
        assert_eq!(twisted(-6.0, -14.0), key.to_string(), "{key}: -8 dB");
        assert_eq!(twisted(-22.0, -30.0), key.to_string(), "{key}: -8 dB, and soft");
        assert_eq!(twisted(-17.0, -10.0), "", "{key}: +7 dB");
        assert_eq!(twisted(-6.0, -17.0), "", "{key}: -11 dB");
    }
}

#[test]
fn keys_in_a_row_are_told_apart_and_a_short_gap_parts_nothing() {
    let mut sound = Sound::default().pause(30);
    for key in KEYS {
        sound = sound.key(key, 40, -10.0).pause(40).key(key, 50, -10.0).pause(50);
    }
    let twice: String = KEYS.iter().flat_map(|key| [*key, *key]).collect();
    assert_eq!(row(&sound.pcm()), twice);
    // No pause at all between two keys.
    let sound = Sound::default().key('1', 80, -10.0).key('6', 80, -10.0).pause(60);
    assert_eq!(row(&sound.pcm()), "16");
    for gap in [2, 5, 9] {
        let sound = Sound::default()
            .pause(33)
            .key('5', 60, -10.0)
            .pause(gap)
            .key('5', 60, -10.0)
            .pause(60);
        let found = keys(&sound.pcm());
        assert!(matches!(found[..], [('5', 115..=135)]), "a gap of {gap} ms: {found:?}");
    }
}

#[test]
fn a_long_key_is_one_and_its_length_is_known_meanwhile() {
    let pcm = Sound::default().pause(100).key('#', 5_000, -10.0).pause(100).pcm();
    let found = keys(&pcm);
    assert!(matches!(found[..], [('#', 4_990..=5_010)]), "{found:?}");
    let mut detector = Detector::new();
    detector.hear(&pcm[..100 * MS + 1_000 * MS], |_| {});
    let (key, length) = detector.pressed().expect("it sounds");
    assert!(
        key == '#' && (980 * MS..=1_000 * MS).contains(&(length as usize)),
        "{length}"
    );
    assert!(!format!("{detector:?}").contains('#'));
}

/// Of a key at most 22 ms have passed when it is suspected, and 43 when it is sure.
#[test]
fn a_key_is_suspected_soon() {
    for shift in 0..40 {
        let pcm = Sound::default()
            .tones(400 + shift, [0.0; 2], [-90.0; 2])
            .key('7', 100, -10.0)
            .pcm();
        let mut detector = Detector::new();
        let (mut suspected, mut sure) = (None, None);
        for (n, sample) in pcm.iter().enumerate() {
            detector.hear(&[*sample], |sign| {
                let Sign::Began { heard, .. } = sign else { return };
                sure = Some(n + 1 - 400 - shift);
                assert!(sure.is_some_and(|sure| sure.abs_diff(heard as usize) <= 40), "{sure:?}");
            });
            if detector.is_suspicious() && suspected.is_none() {
                suspected = Some(n + 1 - 400 - shift);
            }
        }
        let (suspected, sure) = (suspected.expect("suspected"), sure.expect("sure"));
        assert!(suspected <= 22 * MS && sure <= 43 * MS, "{suspected} {sure}");
    }
}

#[test]
fn noise_and_speech_are_no_keys() {
    let noise = Sound::default().pause(30_000).noise(-15.0);
    assert_eq!(row(&noise.pcm()), "");
    let octets = include_bytes!("../../../fixtures/audio/speech/espeak-ng.s16");
    let spoken: Vec<i16> = octets
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    assert_eq!(row(&spoken), "");
    // As others speak: faster, slower, louder.
    for (up, down) in [(4, 5), (5, 4), (3, 2), (2, 3), (7, 4)] {
        let other: Vec<i16> = (0..spoken.len() * down / up - 1)
            .map(|n| spoken[n * up / down].saturating_mul(2))
            .collect();
        assert_eq!(row(&other), "", "{up} / {down}");
    }
    assert_eq!(row(&speech::synthesise(60 * 8_000, -15.0, 8_000)), "");
}

#[test]
fn other_tones_are_no_keys() {
    let pairs = [
        ([697.0, 0.0], "one tone"),
        ([0.0, 1_336.0], "one tone"),
        ([350.0, 440.0], "a dial tone"),
        ([440.0, 480.0], "a ringback tone"),
        ([480.0, 620.0], "a busy tone"),
        ([1_400.0, 2_060.0], "a receiver off its hook"),
        ([770.0, 852.0], "two rows"),
        ([1_209.0, 1_477.0], "two columns"),
        ([2_100.0, 0.0], "a modem that answers"),
        ([1_100.0, 0.0], "a fax machine that calls"),
    ];
    for (hz, what) in pairs {
        let level = |hz| if hz > 0.0 { -10.0 } else { -90.0 };
        let sound = Sound::default().pause(50).tones(4_000, hz, hz.map(level)).pause(50);
        assert_eq!(row(&sound.pcm()), "", "{what}");
    }
}

/// A voice has harmonics where a key has nothing.
#[test]
fn what_has_harmonics_is_no_key() {
    let key = Sound::default().tones(800, frequencies('5'), [-10.0; 2]);
    let with = |dbm0| {
        let above = Sound::default().tones(800, [1_540.0, 2_672.0], [dbm0; 2]);
        let both: Vec<i16> = key.0.iter().zip(&above.0).map(|(a, b)| (a + b) as i16).collect();
        row(&[both, vec![0; 800]].concat())
    };
    assert_eq!((with(-19.0).as_str(), with(-30.0).as_str()), ("", "5"));
}

#[test]
fn a_key_outlives_a_lost_packet_and_noise_of_15_db() {
    let pcm = Sound::default().pause(40).key('8', 200, -10.0).pause(100).pcm();
    let mut detector = Detector::new();
    let mut signs = Vec::new();
    for (n, block) in pcm.chunks(160).enumerate() {
        match n {
            5 => detector.lost(160),
            _ => detector.hear(block, |sign| signs.push(sign)),
        }
    }
    assert!(
        matches!(
            signs[..],
            [
                Sign::Began { key: '8', .. },
                Sign::Ended {
                    key: '8',
                    lasted: 1_520..=1_680
                }
            ]
        ),
        "{signs:?}"
    );
    // However the phase lies afterwards.
    for key in KEYS {
        for samples in (40..800).step_by(40) {
            let pcm = Sound::default().pause(40).key(key, 250, -10.0).pause(100).pcm();
            let (before, after) = pcm.split_at(100 * MS);
            let (mut detector, mut ended) = (Detector::new(), 0);
            detector.hear(before, |_| {});
            detector.lost(samples as u32);
            detector.hear(&after[samples..], |sign| {
                ended += usize::from(matches!(sign, Sign::Ended { .. }))
            });
            assert_eq!(ended, 1, "{key} without {samples} samples");
        }
    }
    let noisy = Sound::default()
        .pause(50)
        .key('8', 50, -12.0)
        .pause(50)
        .key('8', 50, -12.0)
        .pause(80)
        .noise(-24.0);
    assert_eq!(row(&noisy.pcm()), "88");
}

#[test]
fn blocks_do_not_matter_and_an_end_is_told_once() {
    let pcm = Sound::default()
        .pause(31)
        .key('2', 55, -10.0)
        .pause(44)
        .key('9', 70, -10.0)
        .pause(50)
        .pcm();
    for block in [1, 7, 40, 80, 240, 4_000] {
        assert_eq!(keys_by(&pcm, block), keys(&pcm), "in blocks of {block}");
    }
    let mut detector = Detector::new();
    detector.hear(&pcm[..80 * MS], |_| {});
    assert!(detector.is_suspicious());
    assert!(matches!(detector.end(), Some(Sign::Ended { key: '2', .. })));
    assert_eq!(
        (detector.end(), detector.pressed(), detector.is_suspicious()),
        (None, None, false)
    );
}
