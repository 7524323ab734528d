//! How loud a peer is, measured sparingly.
//!
//! G.711 is measured by table whatever becomes of it, one packet in eight: a relayed packet costs hardly more by it, and a syllable still
//! has its packet. G.722 and Opus are measured where they are decoded anyway; where they are relayed their level is unknown.

use codecs::level::Level;
use codecs::{Codec, g711};

/// Of packets of G.711 each so many is measured.
const EVERY: u8 = 8;
/// Mean square of -60 dBm0, below which there is nothing to be heard: a quiet room lies ten to twenty dB above it.
const SILENCE_POWER: u64 = 260;

/// What a packet sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// It was not measured, or cannot be.
    Unknown,
    /// Below -60 dBm0.
    Silence,
    /// There is something to be heard.
    Audible,
}

/// Samples and their squares.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    samples: u64,
    energy: u64,
}

impl Sum {
    fn add(&mut self, samples: u64, energy: u64) {
        self.samples += samples;
        self.energy = self.energy.saturating_add(energy);
    }

    fn dbm0(&self) -> Option<f32> {
        let power = (self.samples > 0).then(|| self.energy as f64 / self.samples as f64)?;
        let level = Level {
            rms: power.sqrt() as f32,
            peak: 0,
        };
        Some(level.rms_dbm0())
    }
}

/// The meter of one leg.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    passed: u8,
    audible: Sum,
    silent: Sum,
}

impl Meter {
    /// A packet of audio as it came.
    pub fn packet(&mut self, codec: Codec, payload: &[u8]) -> Sound {
        let measure = match codec {
            Codec::Pcmu => g711::energy_ulaw,
            Codec::Pcma => g711::energy_alaw,
            Codec::G722 | Codec::Opus => return Sound::Unknown,
        };
        let is_passed = self.passed > 0;
        self.passed = (self.passed + 1) % EVERY;
        if is_passed {
            return Sound::Unknown;
        }
        self.take(payload.len(), measure(payload))
    }

    /// Audio that was decoded.
    pub fn pcm(&mut self, pcm: &[i16]) -> Sound {
        self.take(pcm.len(), codecs::level::energy(pcm))
    }

    fn take(&mut self, samples: usize, energy: u64) -> Sound {
        let samples = samples as u64;
        if samples == 0 {
            return Sound::Unknown;
        }
        if energy < SILENCE_POWER * samples {
            self.silent.add(samples, energy);
            Sound::Silence
        } else {
            self.audible.add(samples, energy);
            Sound::Audible
        }
    }

    /// dBm0 of what was to be heard (RFC 3611 4.7.4: of packets with speech in them).
    pub fn level(&self) -> Option<f32> {
        self.audible.dbm0()
    }

    /// dBm0 of the silence.
    pub fn noise(&self) -> Option<f32> {
        self.silent.dbm0()
    }

    /// The share of silence in what was measured.
    pub fn silence(&self) -> Option<f32> {
        let all = self.silent.samples + self.audible.samples;
        (all > 0).then(|| self.silent.samples as f32 / all as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::tone::Sine;

    /// 20 ms of a tone in this law.
    fn packet(codec: Codec, dbm0: f32) -> [u8; 160] {
        let (mut pcm, mut payload) = ([0; 160], [0; 160]);
        Sine::new(1_000.0, dbm0, 8_000).fill(&mut pcm);
        match codec {
            Codec::Pcmu => g711::encode_ulaw_slice(&pcm, &mut payload),
            Codec::Pcma | Codec::G722 | Codec::Opus => g711::encode_alaw_slice(&pcm, &mut payload),
        };
        payload
    }

    #[test]
    fn one_packet_in_eight_tells_the_level() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let mut meter = Meter::default();
            let heard: Vec<Sound> = (0..17).map(|_| meter.packet(codec, &packet(codec, -20.0))).collect();
            let at = |sound| {
                heard
                    .iter()
                    .enumerate()
                    .filter(move |(_, heard)| **heard == sound)
                    .map(|(n, _)| n)
            };
            assert_eq!(at(Sound::Audible).collect::<Vec<_>>(), [0, 8, 16]);
            assert_eq!(at(Sound::Unknown).count(), 14);
            assert!((meter.level().unwrap() + 20.0).abs() < 0.2, "{:?}", meter.level());
            assert_eq!((meter.silence(), meter.noise()), (Some(0.0), None));
        }
    }

    #[test]
    fn silence_is_below_60_dbm0_and_has_a_share() {
        let mut meter = Meter::default();
        let mut pcm = [0; 160];
        let mut take = |dbm0| {
            Sine::new(1_000.0, dbm0, 8_000).fill(&mut pcm);
            meter.pcm(&pcm)
        };
        assert_eq!(
            (take(-62.0), take(-58.0), take(-62.0)),
            (Sound::Silence, Sound::Audible, Sound::Silence)
        );
        assert_eq!(meter.pcm(&[0; 160]), Sound::Silence);
        assert_eq!(meter.silence(), Some(0.75));
        assert!((meter.level().unwrap() + 58.0).abs() < 0.5, "{meter:?}");
        assert!(meter.noise().unwrap() < -62.0);
        // The octets of silence of both laws: A-law has no zero.
        let (mut ulaw, mut alaw) = (Meter::default(), Meter::default());
        assert_eq!(ulaw.packet(Codec::Pcmu, &[g711::ULAW_SILENCE; 160]), Sound::Silence);
        assert_eq!(alaw.packet(Codec::Pcma, &[g711::ALAW_SILENCE; 160]), Sound::Silence);
    }

    #[test]
    fn what_cannot_be_measured_is_unknown() {
        let mut meter = Meter::default();
        assert_eq!(meter.packet(Codec::Opus, &[0; 40]), Sound::Unknown);
        assert_eq!(meter.packet(Codec::Pcma, &[]), Sound::Unknown);
        assert_eq!((meter.level(), meter.silence()), (None, None));
    }
}
