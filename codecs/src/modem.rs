//! The tones by which fax machines and modems meet: whoever carries them is not to be improved upon.
//!
//! | tone | who | what is heard |
//! |---|---|---|
//! | 1,100 Hz, 0.5 s on, 3 s off (ITU-T T.30 CNG) | a fax machine that calls | a second burst, so long after the first |
//! | 2,100 Hz (T.30 CED; V.25, V.8 ANS, with and without reversals of phase and a slow modulation) | a machine that answers | 0.4 s of it |
//!
//! Blocks of 10 ms are looked at, of which one in 70 ms is enough while there is no tone. A reversal of phase spoils one block.

use crate::level::sine_amplitude;
use std::f32::consts::TAU;
use std::sync::OnceLock;

/// Samples at 8 kHz of what is looked at: lines are 100 Hz apart.
pub const BLOCK: usize = 80;

/// A tone of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataTone {
    /// Of one that calls.
    Calling,
    /// Of one that answers.
    Answering,
}

const HZ: [(f32, DataTone); 2] = [(1_100.0, DataTone::Calling), (2_100.0, DataTone::Answering)];
/// The faintest that is listened to (ITU-T V.25: -43 dBm0).
const FLOOR_DBM0: f32 = -43.0;
/// The share of the power that a tone has, which is off by its tolerance of 38 Hz (T.30).
const SHARE: f32 = 0.55;

const MS: u32 = 8;
/// How often is enough while there is none.
const IDLE: u32 = 70 * MS;
/// A pause longer than this between two blocks ends a tone.
const PAUSE: u32 = 200 * MS;
/// What is left of 0.4 s when the first block was looked at.
const ANSWER: u32 = 310 * MS;
/// The same of 0.5 s, 15 % more or less; all of it at most.
const BURST: std::ops::RangeInclusive<u32> = 340 * MS..=600 * MS;
/// Of 3 s, 15 % more or less.
const SILENCE: std::ops::RangeInclusive<u32> = 2_500 * MS..=3_560 * MS;

struct Tables {
    /// Of each sample the cosines of both tones, and then their sines.
    rows: [[f32; 4]; BLOCK],
    floor: f32,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables {
        rows: std::array::from_fn(|n| {
            std::array::from_fn(|column| {
                let angle = TAU * HZ[column % 2].0 * n as f32 / 8_000.0;
                if column < 2 { angle.cos() } else { angle.sin() }
            })
        }),
        floor: sine_amplitude(FLOOR_DBM0).powi(2) / 2.0 * BLOCK as f32,
    })
}

/// A tone that sounds.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    tone: DataTone,
    since: u32,
    last: u32,
    /// The block after that had none of it.
    missed: bool,
}

/// Listens to one stream. Times are timestamps of 8 kHz, which may begin anywhere.
#[derive(Clone)]
pub struct Listener {
    tables: &'static Tables,
    looked: Option<u32>,
    sounding: Option<Sounding>,
    /// When a burst of a machine that calls has ended.
    burst: Option<u32>,
    /// What was told already.
    told: [bool; 2],
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("sounding", &self.sounding)
            .finish_non_exhaustive()
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    /// One that has heard nothing yet.
    pub fn new() -> Self {
        Self {
            tables: tables(),
            looked: None,
            sounding: None,
            burst: None,
            told: [false; 2],
        }
    }

    /// Whether the block at this time is to be heard.
    pub fn is_due(&self, at: u32) -> bool {
        self.sounding.is_some() || self.looked.is_none_or(|looked| at.wrapping_sub(looked) >= IDLE)
    }

    /// Takes the first `BLOCK` samples at this time. Tells a tone once it is sure, and each once.
    pub fn hear(&mut self, at: u32, pcm: &[i16]) -> Option<DataTone> {
        self.looked = Some(at);
        let found = self.tone(pcm);
        if let Some(sounding) = self.sounding.as_mut() {
            let is_late = at.wrapping_sub(sounding.last) > PAUSE;
            if found == Some(sounding.tone) && !is_late {
                (sounding.last, sounding.missed) = (at, false);
            } else if !sounding.missed && !is_late {
                sounding.missed = true;
            } else {
                self.stop();
            }
        }
        if self.sounding.is_none() {
            self.sounding = found.map(|tone| Sounding {
                tone,
                since: at,
                last: at,
                missed: false,
            });
        }
        self.sure()
    }

    /// The tone that sounded is over.
    fn stop(&mut self) {
        let Some(Sounding { tone, since, last, .. }) = self.sounding.take() else {
            return;
        };
        let is_burst = tone == DataTone::Calling && BURST.contains(&lasted(since, last));
        self.burst = is_burst.then_some(last);
    }

    fn sure(&mut self) -> Option<DataTone> {
        let Sounding { tone, since, last, .. } = self.sounding?;
        let is_sure = match tone {
            DataTone::Answering => lasted(since, last) >= ANSWER,
            DataTone::Calling => {
                let silence = self.burst.map(|burst| since.wrapping_sub(burst));
                silence.is_some_and(|silence| SILENCE.contains(&silence)) && lasted(since, last) >= *BURST.start()
            }
        };
        let told = &mut self.told[tone as usize];
        let is_news = is_sure && !*told;
        *told |= is_sure;
        is_news.then_some(tone)
    }

    /// The tone that has most of the power of a block.
    fn tone(&self, pcm: &[i16]) -> Option<DataTone> {
        let pcm = pcm.get(..BLOCK)?;
        let (mut sums, mut energy) = ([0.0; 4], 0.0);
        for (sample, row) in pcm.iter().zip(&self.tables.rows) {
            let sample = f32::from(*sample);
            energy += sample * sample;
            for (sum, factor) in sums.iter_mut().zip(row) {
                *sum += sample * factor;
            }
        }
        if energy < self.tables.floor {
            return None;
        }
        // Of a sine of amplitude a this is half of a times the block, squared.
        let wanted = SHARE * energy * BLOCK as f32 / 2.0;
        let has = |n: usize| sums[n] * sums[n] + sums[n + 2] * sums[n + 2] >= wanted;
        (0..2).find(|n| has(*n)).map(|n| HZ[n].1)
    }
}

/// From the first block to the end of the last.
fn lasted(since: u32, last: u32) -> u32 {
    last.wrapping_sub(since).wrapping_add(BLOCK as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech;
    use crate::tone::{Cadence, Sine};

    /// What is told of a sound, and after how many milliseconds, when each packet of 20 ms is offered.
    fn told(pcm: &[i16]) -> Vec<(DataTone, usize)> {
        let mut listener = Listener::new();
        let start = u32::MAX - 5_000;
        let mut told = Vec::new();
        for (n, packet) in pcm.chunks_exact(160).enumerate() {
            let at = start.wrapping_add(n as u32 * 160);
            if listener.is_due(at) {
                told.extend(listener.hear(at, packet).map(|tone| (tone, n * 20)));
            }
        }
        told
    }

    fn sine(hz: f32, dbm0: f32, ms: usize) -> Vec<i16> {
        let mut pcm = vec![0; ms * 8];
        Sine::new(hz, dbm0, 8_000).fill(&mut pcm);
        pcm
    }

    fn silence(ms: usize) -> Vec<i16> {
        vec![0; ms * 8]
    }

    #[test]
    fn a_machine_that_answers_is_heard_within_half_a_second() {
        for dbm0 in [-6.0, -20.0, -40.0] {
            for hz in [2_085.0, 2_100.0, 2_115.0] {
                for lead in [0, 20, 40, 60, 83] {
                    let long = [silence(lead), sine(hz, dbm0, 3_000)].concat();
                    let found = told(&long);
                    assert!(
                        matches!(found[..], [(DataTone::Answering, 300..=500)]),
                        "{hz} Hz at {dbm0} dBm0: {found:?}"
                    );
                    let least = [silence(lead), sine(hz, dbm0, 410), silence(500)].concat();
                    assert_eq!(told(&least).len(), 1, "{hz} Hz for 0.41 s");
                    let short = [silence(lead), sine(hz, dbm0, 270), silence(500)].concat();
                    assert_eq!(told(&short), [], "{hz} Hz for 0.27 s");
                }
            }
        }
    }

    /// ITU-T V.8 ANSam: the phase turns round each 450 ms, and the level goes up and down by a fifth, 15 times a second.
    #[test]
    fn reversals_and_modulation_do_not_hide_it() {
        for shift in 0..20 {
            let pcm: Vec<i16> = (0..8 * 3_000usize)
                .map(|n| {
                    let time = (n + shift * 8) as f32 / 8_000.0;
                    let sign = if ((time / 0.45) as u32).is_multiple_of(2) {
                        1.0
                    } else {
                        -1.0
                    };
                    let swell = 1.0 + 0.2 * (TAU * 15.0 * time).sin();
                    (4_000.0 * sign * swell * (TAU * 2_100.0 * time).sin()) as i16
                })
                .collect();
            let found = told(&pcm);
            assert!(matches!(found[..], [(DataTone::Answering, 300..=560)]), "{found:?}");
        }
    }

    #[test]
    fn a_fax_machine_that_calls_is_heard_by_its_second_burst() {
        for hz in [1_065.0, 1_100.0, 1_135.0] {
            let mut pcm = vec![0; 8 * 20_000];
            Cadence::new([hz, 0.0], -20.0, 500, 3_000, 8_000).fill(&mut pcm);
            let found = told(&pcm);
            assert!(
                matches!(found[..], [(DataTone::Calling, 3_800..=4_000)]),
                "{hz} Hz: {found:?}"
            );
        }
        // Bursts too long, too near, too far.
        for (on, off) in [(700, 3_000), (250, 3_000), (500, 2_000), (500, 4_000), (500, 0)] {
            let mut pcm = vec![0; 8 * 20_000];
            Cadence::new([1_100.0, 0.0], -20.0, on, off, 8_000).fill(&mut pcm);
            assert_eq!(told(&pcm), [], "{on} ms on, {off} ms off");
        }
    }

    #[test]
    fn one_block_may_be_spoiled_and_two_may_not() {
        for (spoiled, count) in [(20, 1), (60, 0)] {
            let mut pcm = [sine(2_100.0, -20.0, 410), silence(300)].concat();
            pcm[200 * 8..(200 + spoiled) * 8].fill(0);
            assert_eq!(told(&pcm).len(), count, "{spoiled} ms");
        }
    }

    #[test]
    fn nothing_else_is_a_machine() {
        for hz in [
            440.0, 1_004.0, 1_209.0, 1_400.0, 2_000.0, 2_050.0, 2_150.0, 2_225.0, 2_600.0,
        ] {
            assert_eq!(told(&sine(hz, -10.0, 3_000)), [], "{hz} Hz");
        }
        assert_eq!(told(&silence(3_000)), []);
        assert_eq!(told(&speech::synthesise(60 * 8_000, -15.0, 8_000)), []);
        let octets = include_bytes!("../../fixtures/audio/speech/espeak-ng.s16");
        let pairs = octets.chunks_exact(2);
        let spoken: Vec<i16> = pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(told(&spoken), []);
        let mut listener = Listener::new();
        assert_eq!(listener.hear(0, &[0; 40]), None, "too short");
    }

    #[test]
    fn a_jump_of_the_timestamp_is_the_end_of_a_tone() {
        let pcm = sine(2_100.0, -10.0, 20);
        let mut listener = Listener::new();
        for n in 0..12u32 {
            assert_eq!(listener.hear(n * 160, &pcm), None);
        }
        for n in 0..12u32 {
            assert_eq!(listener.hear(1_000_000 + n * 160, &pcm), None);
        }
    }
}
