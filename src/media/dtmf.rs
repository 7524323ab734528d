//! Telephone events as they come in (RFC 4733 2.3, 2.5): each key press is told once, whatever is lost, repeated or split.

use super::command::EventFormat;
use crate::time::Instant;
use std::time::Duration;

/// Octets of one event in a payload.
pub const EVENT_BYTES: usize = 4;
/// The longest duration that one segment can say (RFC 4733 2.5.1.3).
pub const SEGMENT: u32 = 0xffff;
/// An event of which nothing was heard for this long has ended; its three end packets are lost (RFC 4733 2.5.2.2 lets the
/// receiver choose, packets come every 50 ms at most).
const LOST_END: Duration = Duration::from_millis(200);

/// The digit of an event code, if it is one (RFC 4733 3.2).
pub fn digit(code: u8) -> Option<char> {
    b"0123456789*#ABCD".get(usize::from(code)).map(|b| char::from(*b))
}

/// The event code of a digit.
pub fn code(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    (0..16).find(|code| self::digit(*code) == Some(digit))
}

/// The two frequencies of a DTMF code (ITU-T Q.23).
pub fn frequencies(code: u8) -> [f32; 2] {
    const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    // Rows and columns of 0-9, *, #, A-D on the keypad.
    const PLACE: [(usize, usize); 16] = [
        (3, 1),
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 2),
        (2, 0),
        (2, 1),
        (2, 2),
        (3, 0),
        (3, 2),
        (0, 3),
        (1, 3),
        (2, 3),
        (3, 3),
    ];
    let (row, column) = PLACE[usize::from(code & 15)];
    [LOW[row], HIGH[column]]
}

/// The first event of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Event code.
    pub code: u8,
    /// The event has ended.
    pub end: bool,
    /// 0 to 63, in -dBm0.
    pub volume: u8,
    /// In ticks of the event's clock, from the timestamp on.
    pub duration: u16,
}

impl Report {
    /// Reads a payload; `None` when it is too short.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [code, flags, high, low]: [u8; EVENT_BYTES] = *payload.first_chunk()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Report {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration,
        })
    }

    /// Writes a payload and returns its length.
    pub fn write(self, payload: &mut [u8]) -> usize {
        payload[0] = self.code;
        payload[1] = u8::from(self.end) << 7 | self.volume & 0x3f;
        payload[2..EVENT_BYTES].copy_from_slice(&self.duration.to_be_bytes());
        EVENT_BYTES
    }
}

/// A key press that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Event code.
    pub code: u8,
    /// How long.
    pub ms: u16,
}

/// What one packet says of the event that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Event code.
    pub code: u8,
    /// In -dBm0.
    pub volume: u8,
    /// The timestamp at which the event began (of its first segment).
    pub start: u32,
    /// Its length so far, over all segments, in ticks of its clock.
    pub total: u32,
    /// How much of that is new with this packet.
    pub grown: u32,
    /// It has ended.
    pub end: bool,
    /// The first packet of the event.
    pub first: bool,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    code: u8,
    start: u32,
    /// Timestamp of the current segment, and the length of those before it.
    segment: u32,
    before: u32,
    duration: u16,
    told: bool,
    heard: Instant,
}

impl Running {
    fn total(&self) -> u32 {
        self.before.saturating_add(u32::from(self.duration))
    }

    fn press(&self, clock: u32) -> Press {
        let ms = u64::from(self.total()) * 1_000 / u64::from(clock.max(1));
        Press {
            code: self.code,
            ms: u16::try_from(ms).unwrap_or(u16::MAX),
        }
    }
}

/// The events that one leg receives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receiver {
    running: Option<Running>,
}

impl Receiver {
    /// Takes a packet. Returns how its event stands, if the packet says anything new or repeats an end, and the key press that it completes:
    /// its own, or the one before whose end was lost.
    pub fn packet(
        &mut self,
        now: Instant,
        timestamp: u32,
        payload: &[u8],
        clock: u32,
    ) -> (Option<Progress>, Option<Press>) {
        let Some(report) = Report::parse(payload) else {
            return (None, None);
        };
        let Some(running) = self.running.as_mut() else {
            return self.begin(now, timestamp, report, clock, None);
        };
        if timestamp == running.segment && report.code == running.code {
            running.heard = now;
            if report.duration < running.duration || (running.told && !report.end) {
                return (None, None);
            }
            let grown = u32::from(report.duration - running.duration);
            running.duration = report.duration;
            return (
                Some(progress(running, report, grown, false)),
                end(running, report, clock),
            );
        }
        if (timestamp.wrapping_sub(running.segment) as i32) < 0 {
            // A packet of an event before this one, reordered.
            return (None, None);
        }
        // RFC 4733 2.5.1.3: a long event goes on under a new timestamp. Its ticks are those of the RTP clock where the event's clock differs.
        let step = timestamp.wrapping_sub(running.segment);
        let goes_on = step == SEGMENT || step == SEGMENT.wrapping_mul(48_000 / clock.clamp(1, 48_000));
        if goes_on && report.code == running.code && !running.told {
            let old = running.total();
            running.before = running.before.saturating_add(SEGMENT);
            running.segment = timestamp;
            running.duration = report.duration;
            running.heard = now;
            let grown = running.total().saturating_sub(old);
            return (
                Some(progress(running, report, grown, false)),
                end(running, report, clock),
            );
        }
        let missed = (!running.told).then(|| running.press(clock));
        self.begin(now, timestamp, report, clock, missed)
    }

    fn begin(
        &mut self,
        now: Instant,
        timestamp: u32,
        report: Report,
        clock: u32,
        missed: Option<Press>,
    ) -> (Option<Progress>, Option<Press>) {
        let mut running = Running {
            code: report.code,
            start: timestamp,
            segment: timestamp,
            before: 0,
            duration: report.duration,
            told: false,
            heard: now,
        };
        // Of two presses in one packet (the end of the old and the whole of the new were lost) the new one is told by its next packet.
        let own = if missed.is_none() {
            end(&mut running, report, clock)
        } else {
            None
        };
        let progress = progress(&running, report, u32::from(report.duration), true);
        self.running = Some(running);
        (Some(progress), missed.or(own))
    }

    /// True while a key is pressed.
    pub fn is_running(&self) -> bool {
        self.running.is_some_and(|running| !running.told)
    }

    /// Looks at the clock: the press whose end was lost.
    pub fn tick(&mut self, now: Instant, clock: u32) -> Option<Press> {
        let running = self.running.as_mut().filter(|running| !running.told)?;
        if now.since(running.heard) < LOST_END {
            return None;
        }
        running.told = true;
        Some(running.press(clock))
    }

    /// When `tick` may have something to tell.
    pub fn deadline(&self) -> Option<Instant> {
        self.running
            .filter(|running| !running.told)
            .map(|running| running.heard + LOST_END)
    }
}

fn progress(running: &Running, report: Report, grown: u32, first: bool) -> Progress {
    Progress {
        code: running.code,
        volume: report.volume,
        start: running.start,
        total: running.total(),
        grown,
        end: report.end,
        first,
    }
}

fn end(running: &mut Running, report: Report, clock: u32) -> Option<Press> {
    if !report.end || running.told {
        return None;
    }
    running.told = true;
    Some(running.press(clock))
}

/// The report and its place after the start for an event of `total` ticks, when the receiver's clock is `to` and the length was counted with
/// `from`: the longest durations are split into segments (RFC 4733 2.5.1.3). Returns (ticks after the start, report).
pub fn rescale(progress: &Progress, from: EventFormat, to: EventFormat) -> (u32, Report) {
    let total = u64::from(progress.total) * u64::from(to.clock) / u64::from(from.clock.max(1));
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    let before = total.saturating_sub(1) / SEGMENT * SEGMENT;
    let duration = (total - before) as u16;
    (
        before,
        Report {
            code: progress.code,
            end: progress.end,
            volume: progress.volume,
            duration,
        },
    )
}

#[cfg(test)]
#[path = "dtmf/tests.rs"]
mod tests;
