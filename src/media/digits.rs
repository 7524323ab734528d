//! Digits that we send: as RFC 4733 events, or as tones where the peer takes no events. One step per tick of 20 ms.

use super::dtmf::{self, Report};
use super::input::Digits;
use codecs::tone::Cadence;

/// Milliseconds of one tick.
const TICK_MS: u32 = 20;
/// A digit sounds for 100 ms.
const ON_TICKS: u8 = 5;
/// Then 60 ms of silence: the 50 that are asked for, on the grid of ticks.
const OFF_TICKS: u8 = 3;
/// The end is sent three times (RFC 4733 2.5.1.4).
const END_PACKETS: u8 = 3;
/// -10 dBm0 as the volume of events, and for both tones together about the same.
const VOLUME: u8 = 10;
/// Of each of the two tones.
const TONE_DBM0: f32 = -13.0;

/// What a tick is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The report of an event, this often; `first` begins a new event.
    Event {
        /// The duration is in milliseconds, to be put into the event's clock.
        report: Report,
        /// Milliseconds since the start.
        ms: u32,
        /// The first packet of the event.
        first: bool,
        /// How many times it is sent.
        packets: u8,
    },
    /// Silence between two digits.
    Pause,
    /// All digits were sent.
    Done,
}

/// The digits that wait, and where in the first of them we are.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigitQueue {
    digits: Digits,
    position: usize,
    tick: u8,
    tone: Option<Cadence>,
}

impl DigitQueue {
    /// Adds digits behind those that wait; false when they are more than there is room for.
    pub fn add(&mut self, more: &Digits) -> bool {
        let mut all = Digits::default();
        let waiting = self.digits.codes().get(self.position..).unwrap_or_default();
        let fits = waiting.iter().chain(more.codes()).all(|code| all.push(*code));
        self.digits = all;
        self.position = 0;
        fits
    }

    /// What the next tick sends.
    pub fn step(&mut self) -> Step {
        let Some(code) = self.digits.codes().get(self.position).copied() else {
            return Step::Done;
        };
        let tick = self.tick;
        self.tick += 1;
        if self.tick == ON_TICKS + OFF_TICKS {
            self.tick = 0;
            self.position += 1;
        }
        if tick >= ON_TICKS {
            return Step::Pause;
        }
        let end = tick + 1 == ON_TICKS;
        let report = Report {
            code,
            end,
            volume: VOLUME,
            duration: 0,
        };
        let packets = if end { END_PACKETS } else { 1 };
        Step::Event {
            report,
            ms: u32::from(tick + 1) * TICK_MS,
            first: tick == 0,
            packets,
        }
    }

    /// The tone of a step, for 20 ms of PCM.
    pub fn tone(&mut self, step: Step, pcm: &mut [i16], rate: u32) {
        match step {
            Step::Event { report, first, .. } => {
                let fresh = || Cadence::new(dtmf::frequencies(report.code), TONE_DBM0, 1, 0, rate);
                if first {
                    self.tone = None;
                }
                self.tone.get_or_insert_with(fresh).fill(pcm);
            }
            Step::Pause | Step::Done => pcm.fill(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_has_five_events_three_ends_and_a_pause() {
        let mut digits = Digits::default();
        assert!(digits.push(5) && digits.push(11));
        let mut queue = DigitQueue::default();
        assert!(queue.add(&digits));
        for code in [5, 11] {
            for tick in 1..=5u32 {
                let want_end = tick == 5;
                match queue.step() {
                    Step::Event {
                        report,
                        ms,
                        first,
                        packets,
                    } => {
                        assert_eq!((report.code, report.end), (code, want_end));
                        assert_eq!(
                            (ms, first, packets),
                            (tick * 20, tick == 1, if want_end { 3 } else { 1 })
                        );
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!([queue.step(), queue.step(), queue.step()], [Step::Pause; 3]);
        }
        assert_eq!(queue.step(), Step::Done);
    }

    #[test]
    fn more_digits_than_fit_are_refused_and_the_first_are_kept() {
        let mut digits = Digits::default();
        for code in 0..16 {
            assert!(digits.push(code));
        }
        let mut queue = DigitQueue::default();
        assert!(queue.add(&digits) && queue.add(&digits));
        assert!(!queue.add(&digits));
        let events = std::iter::from_fn(|| Some(queue.step()).filter(|step| *step != Step::Done));
        assert_eq!(
            events
                .filter(|step| matches!(step, Step::Event { first: true, .. }))
                .count(),
            32
        );
    }
}
