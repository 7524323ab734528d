//! G.722 against other coders, to the bit: that of ITU-T G.191, by sums of what it makes of the same numbers, and a crate. Then what it
//! does to sound.

use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;
use codecs::g722::{Decoder, Encoder};
use codecs::level::Level;
use codecs::spectrum::dominant;
use codecs::tone::Sine;
use codecs::{Rate, goertzel, speech};

/// Of both.
const SECOND: usize = 16_000;
/// The smallest step up in both halves: none.
const NOTHING: u8 = 0xfd;

/// The same numbers everywhere.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }
}

/// A second of all that is hard: noise at every level, squares up to full scale, silence between.
fn hard() -> Vec<i16> {
    let mut numbers = Numbers(1);
    let mut sample = |n: usize| {
        let noise = numbers.next() as i16;
        match n / 800 % 5 {
            0 => noise,
            1 => noise >> (n / 4_000 * 2 + 2),
            2 if (n / (n / 2_000 + 1)).is_multiple_of(2) => i16::MIN,
            2 => i16::MAX,
            3 => (noise >> 8) * i16::from(n % 16 < 8),
            _ => 0,
        }
    };
    (0..SECOND).map(&mut sample).collect()
}

/// FNV-1a.
fn sum(octets: impl IntoIterator<Item = u8>) -> u64 {
    let step = |sum: u64, octet| (sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    octets.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn encoded(rate: Rate, pcm: &[i16]) -> Vec<u8> {
    let mut out = vec![0; pcm.len()];
    let length = Encoder::new(rate).encode(pcm, &mut out);
    out.truncate(length);
    out
}

fn decoded(rate: Rate, codes: &[u8]) -> Vec<i16> {
    let mut out = vec![0; 2 * codes.len()];
    let length = Decoder::new(rate).decode(codes, &mut out);
    out.truncate(length);
    out
}

/// `g722_encode` and `g722_decode` of G.191 (mode 1, begun anew) make these of the same numbers.
#[test]
fn it_is_g191s_to_the_bit() {
    let codes = encoded(Rate::Wide, &hard());
    assert_eq!(codes.len(), SECOND / 2);
    assert_eq!(sum(codes), 0xc931_7be0_8521_9ab3);
    let mut numbers = Numbers(2);
    let codes: Vec<u8> = (0..SECOND / 2).map(|_| numbers.next() as u8).collect();
    let pcm = decoded(Rate::Wide, &codes);
    assert_eq!(
        sum(pcm.iter().flat_map(|sample| sample.to_le_bytes())),
        0x0ff6_93cb_5710_92c7
    );
}

/// The crate begins with another scale, which one octet of silence makes the same; its encoder does not get over that. It saturates less.
#[test]
fn it_decodes_as_a_crate_does_to_the_bit() {
    let mut tone = vec![0; SECOND];
    Sine::new(5_300.0, -12.0, 16_000).fill(&mut tone);
    let speech = speech::synthesise(2 * SECOND, -18.0, 16_000);
    let mut numbers = Numbers(3);
    let noise: Vec<i16> = (0..SECOND).map(|_| (numbers.next() as i16) >> 3).collect();
    for (name, pcm) in [
        ("silence", vec![0; SECOND]),
        ("tone", tone),
        ("speech", speech),
        ("noise", noise),
    ] {
        let codes = [&[NOTHING], encoded(Rate::Wide, &pcm).as_slice()].concat();
        let mut theirs = vec![0; 2 * codes.len()];
        G722Decoder::new().decode_into(&codes, &mut theirs).expect("room");
        assert!(decoded(Rate::Wide, &codes) == theirs, "{name}: other samples");
    }
}

/// What goes through, without its delay and the first tenth of a second.
fn through(to: Rate, from: Rate, pcm: &[i16]) -> Vec<i16> {
    let mut out = decoded(from, &encoded(to, pcm));
    out.drain(..from.hz() as usize / 10);
    out
}

#[test]
fn a_tone_keeps_its_level_and_its_distance_to_the_noise() {
    for (hz, clear_db) in [
        (400.0, 30.0),
        (1_004.0, 30.0),
        (2_500.0, 30.0),
        (3_400.0, 25.0),
        (5_000.0, 12.0),
        (6_500.0, 12.0),
    ] {
        for dbm0 in [-5.0, -10.0, -25.0] {
            let mut pcm = vec![0; SECOND];
            Sine::new(hz, dbm0, 16_000).fill(&mut pcm);
            let found = dominant(&through(Rate::Wide, Rate::Wide, &pcm), 16_000).expect("a tone");
            assert!(found.is(hz, clear_db), "{hz} Hz at {dbm0} dBm0: {found:?}");
            assert!(
                (found.level_dbm0 - dbm0).abs() < 0.5,
                "{hz} Hz at {dbm0} dBm0: {found:?}"
            );
        }
    }
}

/// The filters put together what they cut, 22 samples later.
#[test]
fn speech_is_what_it_was() {
    let pcm = speech::synthesise(3 * SECOND, -18.0, 16_000);
    let out = decoded(Rate::Wide, &encoded(Rate::Wide, &pcm));
    let snr = speech::snr_db(&pcm, &out[22..]);
    assert!(snr > 20.0, "{snr} dB");
}

/// Whichever end has which rate: the level is the same, and neither end has images of what the other says.
#[test]
fn either_end_may_have_telephone_band_alone() {
    for (to, from) in [
        (Rate::Narrow, Rate::Narrow),
        (Rate::Narrow, Rate::Wide),
        (Rate::Wide, Rate::Narrow),
    ] {
        for hz in [400.0, 1_004.0, 3_300.0] {
            let mut pcm = vec![0; to.hz() as usize];
            Sine::new(hz, -10.0, to.hz()).fill(&mut pcm);
            let found = dominant(&through(to, from, &pcm), from.hz()).expect("a tone");
            assert!(
                found.is(hz, 25.0) && (found.level_dbm0 + 10.0).abs() < 0.5,
                "{to:?} to {from:?}, {hz} Hz: {found:?}"
            );
        }
    }
    for hz in [4_700.0, 5_000.0] {
        let mut pcm = vec![0; SECOND];
        Sine::new(hz, -10.0, 16_000).fill(&mut pcm);
        let out = through(Rate::Wide, Rate::Narrow, &pcm);
        let mirrored = goertzel::level_dbm0(&out, 8_000.0 - hz, 8_000);
        assert!(mirrored < -50.0, "{hz} Hz: {mirrored} dBm0");
    }
}

#[test]
fn silence_stays_silence() {
    for rate in [Rate::Narrow, Rate::Wide] {
        let out = decoded(rate, &encoded(rate, &vec![0; SECOND]));
        assert!(Level::of(&out).peak <= 4, "{:?}", Level::of(&out));
    }
}

#[test]
fn a_reset_decoder_is_as_new() {
    let codes = encoded(Rate::Wide, &speech::synthesise(1_600, -18.0, 16_000));
    let mut decoder = Decoder::new(Rate::Wide);
    let mut out = [0; 1_600];
    decoder.decode(&codes, &mut out);
    decoder.reset();
    decoder.decode(&codes, &mut out);
    assert!(out[..] == decoded(Rate::Wide, &codes));
}

#[test]
fn slices_stop_at_the_shorter_and_blocks_do_not_matter() {
    let pcm = speech::synthesise(1_600, -18.0, 16_000);
    for (rate, each) in [(Rate::Wide, 2), (Rate::Narrow, 1)] {
        let whole = encoded(rate, &pcm);
        let (mut encoder, mut pieces) = (Encoder::new(rate), Vec::<u8>::new());
        for block in pcm.chunks(14 * each) {
            let mut out = [0; 14];
            let length = encoder.encode(block, &mut out);
            pieces.extend(&out[..length]);
        }
        assert_eq!(pieces, whole);
        let (mut decoder, mut out) = (Decoder::new(rate), [7; 20]);
        assert_eq!(decoder.decode(&whole, &mut out), 20);
        assert_eq!(out, decoded(rate, &whole)[..20]);
        assert_eq!(Encoder::new(rate).encode(&pcm, &mut [0; 3]), 3);
        assert_eq!(Encoder::new(rate).encode(&pcm[..3], &mut [0; 9]), 3 / each);
        assert_eq!(Decoder::new(rate).decode(&whole[..2], &mut [0; 9]), 2 * each);
    }
}
