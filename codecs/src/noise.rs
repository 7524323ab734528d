//! Comfort noise: what a pause sounds like (RFC 3389). The level is kept, of the colour nothing: noise of the telephone band is white here.

use crate::level::FLOOR_DBOV;

/// The level of a pause of which nothing is known, in dBov: a quiet room.
pub const QUIET_DBOV: f32 = -65.0;
/// No pause is made louder than this, whatever is said of it.
pub const LOUDEST_DBOV: f32 = -30.0;

/// A source of noise.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Largest sample.
    peak: f32,
    random: u32,
}

impl Noise {
    /// Of this level.
    pub fn new(dbov: f32) -> Noise {
        let mut noise = Noise {
            peak: 0.0,
            random: 0x9e37_79b9,
        };
        noise.set_level(dbov);
        noise
    }

    /// As a comfort noise payload says it (RFC 3389 3): its first octet is the level in -dBov; what an empty one means nobody says.
    pub fn level_of(payload: &[u8]) -> f32 {
        payload.first().map_or(QUIET_DBOV, |octet| -f32::from(octet & 0x7f))
    }

    /// The payload that says this level.
    pub fn octet(dbov: f32) -> u8 {
        (-dbov.clamp(FLOOR_DBOV, LOUDEST_DBOV)).round() as u8
    }

    /// Another level from here on.
    pub fn set_level(&mut self, dbov: f32) {
        // Of what is spread evenly, the peak is the root of three times the rms.
        let rms = 32_768.0 * 10f32.powf(dbov.clamp(FLOOR_DBOV, LOUDEST_DBOV) / 20.0);
        self.peak = rms * 1.732;
    }

    /// The next samples.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            // xorshift32: it is to sound, not to surprise.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 17;
            self.random ^= self.random << 5;
            let unit = self.random as i32 as f32 / 2_147_483_648.0;
            *sample = (unit * self.peak).round() as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::spectrum::dominant;

    #[test]
    fn it_is_as_loud_as_asked_and_no_tone() {
        for dbov in [-30.0, -50.0, -65.0] {
            let mut pcm = [0; 8_000];
            Noise::new(dbov).fill(&mut pcm);
            let level = Level::of(&pcm).rms_dbov();
            assert!((level - dbov).abs() < 0.5, "{dbov}: {level}");
        }
        let mut pcm = [0; 8_000];
        Noise::new(-30.0).fill(&mut pcm);
        assert!(dominant(&pcm, 8_000).is_none_or(|found| found.over_rest_db < -10.0));
        let mut pcm = [7; 80];
        Noise::new(-127.0).fill(&mut pcm);
        assert_eq!(pcm, [0; 80]);
        let mut pcm = [0; 8_000];
        Noise::new(0.0).fill(&mut pcm);
        assert!((Level::of(&pcm).rms_dbov() - LOUDEST_DBOV).abs() < 0.5);
    }

    #[test]
    fn a_payload_says_the_level() {
        assert_eq!(Noise::level_of(&[65, 100, 3]), -65.0);
        assert_eq!(Noise::level_of(&[0xff]), -127.0);
        assert_eq!(Noise::level_of(&[]), QUIET_DBOV);
        for dbov in [-30.0, -72.0, -127.0] {
            assert_eq!(Noise::level_of(&[Noise::octet(dbov)]), dbov);
        }
        assert_eq!((Noise::octet(-300.0), Noise::octet(0.0)), (127, 30));
    }
}
