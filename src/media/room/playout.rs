//! From a member's packets to 20 ms a tick, whatever its network and its clock do.
//!
//! ```text
//!   packets -> jitter buffer (waits) -> decoder -> a few samples over -> 20 ms for the tick
//! ```
//!
//! It begins when two packets are there, so that the next may be a packet late. What is not there when its time has come is made up, and what
//! then comes too late is not played again. What lies ready at the worst moment of two seconds is the slack: where it is larger than the
//! network has needed, a pitch period is taken out; a clock that is slow uses it up, and 20 ms are made up once in a while.

use crate::media::half::Rx;
use crate::time::Instant;
use codecs::{Rate, stretch};

/// Samples that may lie ready besides what waits as packets, in milliseconds: the longest piece, and what the tick did not take.
const READY_MS: usize = 160;
/// Ticks after which the slack is looked at.
const LOOK: u16 = 100;
/// Slack that is kept at least, in milliseconds.
const SLACK: u16 = 10;
/// By how much more slack is kept after each time that it was not enough, and the most.
const MORE: u16 = 20;
const SLACK_MAX: u16 = 120;
/// How much more than is kept is taken out: below that it is not worth a cut.
const SURPLUS: u16 = 15;
/// What lies ready beyond this is dropped at once: a burst after a stop of the network.
const MOST: u16 = 300;
/// Ticks in which what does not come is made up; from then on nobody speaks.
const MADE_UP: u8 = 3;
/// Looks without a lack after which less slack is kept.
const CALM: u8 = 5;

/// What a tick got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// 20 ms.
    Sound,
    /// Nothing: nobody speaks.
    Nothing,
}

/// Plays what one member says.
pub struct Playout {
    rate: Rate,
    ready: Box<[i16]>,
    len: usize,
    plays: bool,
    /// Ticks in a row for which something was made up.
    dry: u8,
    /// Samples that were made up since the last packet.
    made: u32,
    /// The least that lay ready since the last look, in samples.
    least: usize,
    ticks: u16,
    /// Milliseconds.
    slack: u16,
    calm: u8,
    /// Samples that are to be taken out.
    surplus: usize,
}

impl std::fmt::Debug for Playout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Playout")
            .field("plays", &self.plays)
            .field("slack", &self.slack)
            .finish_non_exhaustive()
    }
}

impl Playout {
    /// One for PCM of this rate.
    pub fn new(rate: Rate) -> Playout {
        Playout {
            rate,
            ready: vec![0; rate.hz() as usize / 1_000 * READY_MS].into(),
            len: 0,
            plays: false,
            dry: 0,
            made: 0,
            least: usize::MAX,
            ticks: 0,
            slack: SLACK,
            calm: 0,
            surplus: 0,
        }
    }

    /// The source began anew.
    pub fn restart(&mut self) {
        (self.len, self.plays, self.dry, self.made) = (0, false, 0, 0);
        self.begin();
    }

    /// What lies ready, in samples.
    fn depth(&self, rx: &Rx) -> usize {
        self.len + rx.decode.as_ref().map_or(0, |decode| decode.waiting())
    }

    /// The same in milliseconds.
    pub(in crate::media) fn depth_ms(&self, rx: &Rx) -> u32 {
        (self.depth(rx) / (self.rate.hz() as usize / 1_000)) as u32
    }

    fn samples(&self, ms: u16) -> usize {
        usize::from(ms) * self.rate.hz() as usize / 1_000
    }

    /// The next 20 ms, of who says nothing now by his own word (`is_quiet`), or may.
    pub(in crate::media) fn take(&mut self, now: Instant, rx: &mut Rx, (out, is_quiet): (&mut [i16], bool)) -> Got {
        let step = out.len();
        if !self.plays {
            let rests = rx.decode.as_ref().is_some_and(|decode| decode.is_resting());
            if self.depth(rx) < 2 * step && !rests {
                out.fill(0);
                return Got::Nothing;
            }
            self.plays = true;
            self.begin();
        }
        self.skip(now, rx);
        let want = if self.surplus > 0 { 2 * step } else { step };
        self.collect(now, rx, want);
        if self.len < step && is_quiet {
            self.restart();
        }
        if !self.plays || (self.len < step && !self.make_up(rx, step)) {
            out.fill(0);
            return Got::Nothing;
        }
        if self.surplus > 0 {
            self.cut(want);
        }
        out.copy_from_slice(&self.ready[..step]);
        self.ready.copy_within(step..self.len, 0);
        self.len -= step;
        self.look(rx);
        Got::Sound
    }

    /// Decodes until so much is ready, or nothing is there.
    fn collect(&mut self, now: Instant, rx: &mut Rx, want: usize) {
        while self.len < want {
            let Some(piece) = rx.pull_due(now, self.made) else {
                return;
            };
            let Some(decode) = rx.decode.as_ref() else { return };
            let pcm = decode.pcm(piece);
            let part = pcm.len().min(self.ready.len() - self.len);
            self.ready[self.len..self.len + part].copy_from_slice(&pcm[..part]);
            self.len += part;
            (self.made, self.dry) = (0, 0);
        }
    }

    /// Nothing came in time; false where nobody speaks any more.
    fn make_up(&mut self, rx: &mut Rx, step: usize) -> bool {
        let Some(decode) = rx.decode.as_mut() else { return false };
        let rests = decode.is_resting();
        if !rests {
            self.dry += 1;
            if self.dry > MADE_UP {
                self.restart();
                return false;
            }
            if self.dry == 1 {
                decode.ran_dry();
                self.slack = (self.slack + MORE).min(SLACK_MAX);
                self.calm = 0;
            }
            self.made += step as u32;
            rx.counts.concealed += 1;
        }
        decode.make_up(&mut self.ready[self.len..self.len + step]);
        self.len += step;
        true
    }

    /// So much lies ready that it would take long to take it out: a part is dropped.
    fn skip(&mut self, now: Instant, rx: &mut Rx) {
        let (most, kept) = (self.samples(MOST), self.samples(self.slack + SURPLUS));
        if self.depth(rx) <= most {
            return;
        }
        while self.depth(rx) > kept + self.samples(20) {
            self.len = 0;
            if rx.pull_due(now, self.made).is_none() {
                return;
            }
            self.made = 0;
        }
    }

    /// Takes a pitch period out of what lies ready.
    fn cut(&mut self, length: usize) {
        if self.len < length {
            return;
        }
        let mut shorter = [0; 2 * 960];
        let shorter = &mut shorter[..length];
        let left = stretch::shorten(&self.ready[..length], self.rate, shorter);
        self.ready[..left].copy_from_slice(&shorter[..left]);
        self.ready.copy_within(length..self.len, left);
        self.len -= length - left;
        self.surplus = self.surplus.saturating_sub((length - left).max(1));
    }

    fn begin(&mut self) {
        (self.least, self.ticks, self.surplus) = (usize::MAX, 0, 0);
    }

    /// Watches the slack.
    fn look(&mut self, rx: &Rx) {
        self.least = self.least.min(self.depth(rx));
        self.ticks += 1;
        if self.ticks < LOOK {
            return;
        }
        let least = self.least;
        self.begin();
        self.calm += 1;
        if self.calm >= CALM {
            self.calm = 0;
            self.slack = self.slack.saturating_sub(MORE / 2).max(SLACK);
        }
        if least > self.samples(self.slack + SURPLUS) {
            self.surplus = least - self.samples(self.slack);
        }
    }
}
