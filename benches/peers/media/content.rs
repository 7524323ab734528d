//! What packets carry, and what is to come of it at the other end.

use codecs::level::Level;
use codecs::{g711, opus, speech};

/// Samples of 20 ms at 8 kHz, and octets of A-law.
pub const FRAME: usize = 160;
/// Frames of the speech, which begins anew behind them.
const FRAMES: usize = 250;
/// Where it is in level.
const DBM0: f32 = -20.0;
/// Octets in front of the pattern: the time at which the packet left, its number, and whose it is.
const STAMP: usize = 16;

/// Speech in both codecs.
pub struct Material {
    alaw: Vec<[u8; FRAME]>,
    opus: Vec<Vec<u8>>,
    /// What a frame has of energy, the sum of squares.
    energy: Vec<f64>,
}

/// An encoder with Tandem's defaults, with forward error correction for as much loss as is assumed before any is reported, or without.
pub fn encoder(fec: bool) -> opus::Encoder {
    let params = opus::EncoderParams {
        bitrate: 24_000,
        complexity: 5,
        fec,
        expected_loss_percent: if fec { 5 } else { 0 },
        dtx: false,
    };
    opus::Encoder::new(8_000, params).expect("valid parameters")
}

impl Material {
    pub fn new() -> Material {
        let pcm = speech::synthesise(FRAME * FRAMES, DBM0, 8_000);
        let mut encoder = encoder(false);
        let mut material = Material {
            alaw: Vec::new(),
            opus: Vec::new(),
            energy: Vec::new(),
        };
        for frame in pcm.chunks_exact(FRAME) {
            let (mut alaw, mut packet) = ([0; FRAME], vec![0; 1_275]);
            g711::encode_alaw_slice(frame, &mut alaw);
            let octets = encoder.encode(frame, &mut packet).expect("a valid frame");
            packet.truncate(octets);
            material.alaw.push(alaw);
            material.opus.push(packet);
            material.energy.push(energy(frame));
        }
        material
    }

    /// The A-law of a frame by its number, and its energy. Numbers go on behind the last.
    pub fn alaw(&self, number: usize) -> (&[u8], f64) {
        (&self.alaw[number % FRAMES], self.energy[number % FRAMES])
    }

    pub fn opus(&self, number: usize) -> (&[u8], f64) {
        (&self.opus[number % FRAMES], self.energy[number % FRAMES])
    }
}

pub fn energy(pcm: &[i16]) -> f64 {
    f64::from(Level::of(pcm).rms).powi(2) * pcm.len() as f64
}

/// What a relayed packet says of itself, in front of a pattern that its number decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// In nanoseconds since 1970.
    pub left: u64,
    pub number: u32,
    /// Call and side that sent it.
    pub whose: u32,
}

impl Stamp {
    pub fn write(self, payload: &mut [u8; FRAME]) {
        payload[..8].copy_from_slice(&self.left.to_be_bytes());
        payload[8..12].copy_from_slice(&self.number.to_be_bytes());
        payload[12..STAMP].copy_from_slice(&self.whose.to_be_bytes());
        payload[STAMP..].copy_from_slice(self.pattern());
    }

    /// None where the payload is not as it was written.
    pub fn read(payload: &[u8]) -> Option<Stamp> {
        let payload: &[u8; FRAME] = payload.try_into().ok()?;
        let number = |at: usize| u32::from_be_bytes([payload[at], payload[at + 1], payload[at + 2], payload[at + 3]]);
        let stamp = Stamp {
            left: u64::from(number(0)) << 32 | u64::from(number(4)),
            number: number(8),
            whose: number(12),
        };
        (payload[STAMP..] == *stamp.pattern()).then_some(stamp)
    }

    fn pattern(self) -> &'static [u8] {
        let from = (self.number.wrapping_mul(31).wrapping_add(self.whose) % 256) as usize;
        &PATTERN[from..from + FRAME - STAMP]
    }
}

/// Octets without a period that a packet could hide in.
const PATTERN: [u8; 512] = {
    let (mut octets, mut at, mut random) = ([0; 512], 0, 1u32);
    while at < octets.len() {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        octets[at] = (random >> 24) as u8;
        at += 1;
    }
    octets
};
