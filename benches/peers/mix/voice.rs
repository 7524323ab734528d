//! What members say, and what each of them is to hear.

use crate::media::sdp::Offered;
use codecs::goertzel::level_dbm0;
use codecs::noise::Noise;
use codecs::tone::Sine;
use codecs::{g711, opus};
use std::hint::black_box;
use std::time::Instant;

/// Who speaks says one of these. Each has whole periods in 20 ms, and none is a sum or difference of the others.
pub const TONES: [f32; 3] = [450.0, 700.0, 1_100.0];
/// How loud they are.
const TONE_DBM0: f32 = -10.0;
/// What a telephone sends while nobody speaks.
const NOISE_DBOV: f32 = -70.0;
/// Frames of each, which begins anew behind them: a second.
const FRAMES: usize = 50;
/// What is heard and what is not, in dBm0. (Speakers are brought to -20.)
const HEARD: f32 = -35.0;
const UNHEARD: f32 = -50.0;

/// Packets of a member that are judged, and those before them, in which a decoder finds its way.
pub const JUDGED: usize = 10;
pub const TAKEN: usize = 25;

/// The payloads of all who say the same.
pub struct Voice(Vec<Vec<u8>>);

impl Voice {
    /// A payload by its number; numbers go on behind the last.
    pub fn frame(&self, number: usize) -> &[u8] {
        &self.0[number % FRAMES]
    }
}

/// All that is said, in one codec.
pub struct Material {
    offered: Offered,
    pub noise: Voice,
    pub tones: [Voice; 3],
}

fn rate(offered: Offered) -> u32 {
    match offered {
        Offered::Alaw => 8_000,
        Offered::Opus => 16_000,
    }
}

impl Material {
    pub fn new(offered: Offered) -> Material {
        let rate = rate(offered);
        let samples = rate as usize / 50 * FRAMES;
        let mut noise = vec![0; samples];
        Noise::new(NOISE_DBOV).fill(&mut noise);
        let tone = |hz| {
            let mut pcm = vec![0; samples];
            Sine::new(hz, TONE_DBM0, rate).fill(&mut pcm);
            encoded(offered, &pcm)
        };
        Material {
            offered,
            noise: encoded(offered, &noise),
            tones: TONES.map(tone),
        }
    }

    /// RTP's clock in 20 ms.
    pub fn ticks(&self) -> u32 {
        match self.offered {
            Offered::Alaw => 160,
            Offered::Opus => 960,
        }
    }

    /// How loud each tone is in packets that follow one another, in dBm0. None where a packet does not have its 20 ms, or there are too few.
    pub fn levels(&self, packets: &[Vec<u8>]) -> Option<[f32; 3]> {
        let rate = rate(self.offered);
        let frame = rate as usize / 50;
        let pcm = decoded(self.offered, packets, frame)?;
        let from = pcm.len().checked_sub(JUDGED * frame)?;
        Some(TONES.map(|hz| level_dbm0(&pcm[from..], hz, rate)))
    }
}

/// Whether of all tones these are heard, and no other.
pub fn is_heard(levels: [f32; 3], tones: &[usize]) -> bool {
    let mut all = levels.into_iter().enumerate();
    all.all(|(tone, level)| match tones.contains(&tone) {
        true => level > HEARD,
        false => level < UNHEARD,
    })
}

fn encoded(offered: Offered, pcm: &[i16]) -> Voice {
    let frames = pcm.chunks_exact(pcm.len() / FRAMES);
    match offered {
        Offered::Alaw => {
            let alaw = |frame: &[i16]| {
                let mut octets = vec![0; frame.len()];
                g711::encode_alaw_slice(frame, &mut octets);
                octets
            };
            Voice(frames.map(alaw).collect())
        }
        Offered::Opus => {
            let params = opus::EncoderParams {
                fec: false,
                expected_loss_percent: 0,
                ..opus::EncoderParams::default()
            };
            let mut encoder = opus::Encoder::new(rate(offered), params).expect("valid parameters");
            let mut opus = |frame: &[i16]| {
                let mut packet = vec![0; 1_275];
                let octets = encoder.encode(frame, &mut packet).expect("a valid frame");
                packet.truncate(octets);
                packet
            };
            // The second time round it is as it will be in each.
            frames.clone().for_each(|frame| drop(opus(frame)));
            Voice(frames.map(opus).collect())
        }
    }
}

/// All samples; none where a packet does not have its 20 ms.
fn decoded(offered: Offered, packets: &[Vec<u8>], frame: usize) -> Option<Vec<i16>> {
    let mut pcm = vec![0; packets.len() * frame];
    let parts = pcm.chunks_exact_mut(frame).zip(packets);
    match offered {
        Offered::Alaw => {
            for (part, packet) in parts {
                (packet.len() == frame && g711::decode_alaw_slice(packet, part) == frame).then_some(())?;
            }
        }
        Offered::Opus => {
            let mut decoder = opus::Decoder::new(rate(offered)).expect("a valid rate");
            for (part, packet) in parts {
                (decoder.decode(packet, part).ok()? == frame).then_some(())?;
            }
        }
    }
    Some(pcm)
}

/// What decoding a frame of A-law and encoding another takes, in microseconds.
pub fn codecs_alone() -> f64 {
    const TIMES: u32 = 200_000;
    let material = Material::new(Offered::Alaw);
    let (mut pcm, mut octets) = ([0; 160], [0; 160]);
    let begin = Instant::now();
    for number in 0..TIMES {
        g711::decode_alaw_slice(material.noise.frame(number as usize), black_box(&mut pcm));
        g711::encode_alaw_slice(black_box(&pcm), black_box(&mut octets));
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}
