//! Keys that a peer without telephone events presses: heard in its audio, packet by packet as it comes, whatever way the audio then goes.
//!
//! What is found is told like a telephone event that came: its progress with each packet, and its end. The audio of such a packet is
//! cut where the other side is told of the key aside. What has gone out before a key is suspected is below 25 ms of it.

use super::dtmf::{self, Press, Progress};
use super::input::Outputs;
use super::leg::{Class, Leg};
use super::rtp::View;
use super::source::Arrival;
use crate::time::Instant;
use codecs::dtmf::{Detector, Sign};
use codecs::{Codec, Rate, g711, g722};
use std::time::Duration;

/// What one packet may tell: the end of a key, and another that begins; in packets of 120 ms two more.
const REPORTS: usize = 4;
/// Ticks that are listened to at a time: 5 ms, so that it is known when something began.
const BLOCK: usize = 40;
/// A key may go on over a loss of so many ticks: 120 ms; a longer pause is the end of everything.
const LONGEST_GAP: u32 = 960;
/// A key of which nothing was heard for this long has ended, as one that comes in events.
const LOST_END: Duration = Duration::from_millis(200);
/// As the volume of events, in -dBm0.
const VOLUME: u8 = 10;

/// A tone that we play to a peer may come back as its echo so long: it is no key of the peer's.
const ECHO: Duration = Duration::from_millis(300);

enum Voice {
    Pcmu,
    Pcma,
    G722(g722::Decoder),
}

impl Voice {
    /// At most `BLOCK` octets at 8 kHz.
    fn decode(&mut self, payload: &[u8], out: &mut [i16; BLOCK]) -> usize {
        match self {
            Voice::Pcmu => g711::decode_ulaw_slice(payload, out),
            Voice::Pcma => g711::decode_alaw_slice(payload, out),
            Voice::G722(decoder) => {
                let mut wide = [0; 2 * BLOCK];
                let samples = decoder.decode(payload, &mut wide);
                // What is above 4 kHz comes back softly, and is no tone of a key.
                let pairs = wide[..samples].chunks_exact(2);
                let means = pairs.map(|pair| ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16);
                out.iter_mut().zip(means).map(|(slot, mean)| *slot = mean).count()
            }
        }
    }
}

/// What is told of the key that sounds.
#[derive(Clone, Copy)]
struct Key {
    code: u8,
    /// When it began, in the peer's time.
    start: u32,
    /// What was told of its length.
    told: Option<u32>,
}

/// What the last packet told.
struct Reports {
    key: Option<Key>,
    list: [Progress; REPORTS],
    count: usize,
}

impl Reports {
    fn note(&mut self, sign: Sign, now: u32) {
        match sign {
            Sign::Began { key, heard } => {
                self.key = dtmf::code(key).map(|code| Key {
                    code,
                    start: now.wrapping_sub(heard),
                    told: None,
                });
            }
            Sign::Ended { lasted, .. } => {
                self.report(lasted, true);
                self.key = None;
            }
        }
    }

    /// How the key stands, if that is news.
    fn report(&mut self, total: u32, end: bool) {
        let Some(key) = self.key.as_mut() else { return };
        let before = key.told.unwrap_or(0);
        if total <= before && !end {
            return;
        }
        // A length that was told is not taken back.
        let total = total.max(before);
        if let Some(slot) = self.list.get_mut(self.count) {
            *slot = Progress {
                code: key.code,
                volume: VOLUME,
                start: key.start,
                total,
                grown: total - before,
                end,
                first: key.told.is_none(),
            };
            self.count += 1;
        }
        key.told = Some(total);
    }
}

/// Listens to what one leg receives.
pub struct Ear {
    voice: Voice,
    detector: Detector,
    /// The timestamp that continues what was heard.
    expected: Option<u32>,
    reports: Reports,
    heard: Instant,
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear").finish_non_exhaustive()
    }
}

impl Ear {
    /// One for a codec in which tones keep their shape; none for Opus.
    pub fn new(codec: Codec) -> Option<Self> {
        let voice = match codec {
            Codec::Pcmu => Voice::Pcmu,
            Codec::Pcma => Voice::Pcma,
            Codec::G722 => Voice::G722(g722::Decoder::new(Rate::Wide)),
            Codec::Opus => return None,
        };
        let nothing = Progress {
            code: 0,
            volume: VOLUME,
            start: 0,
            total: 0,
            grown: 0,
            end: false,
            first: false,
        };
        Some(Self {
            voice,
            detector: Detector::new(),
            expected: None,
            reports: Reports {
                key: None,
                list: [nothing; REPORTS],
                count: 0,
            },
            heard: Instant::ZERO,
        })
    }

    /// Takes a packet of audio; true when a key is heard in it, or may be.
    pub fn hear(&mut self, now: Instant, arrival: Arrival, view: &View<'_>) -> bool {
        self.reports.count = 0;
        // One that comes late has its place in what was passed over.
        if matches!(arrival, Arrival::Older(_)) {
            return self.detector.is_suspicious();
        }
        self.heard = now;
        let gap = self
            .expected
            .map_or(0, |expected| view.timestamp.wrapping_sub(expected));
        match (arrival, gap) {
            (Arrival::Newest(_), 0) => {}
            (Arrival::Newest(1), 1..=LONGEST_GAP) => self.silence(gap),
            (Arrival::Newest(_), 1..=LONGEST_GAP) => self.detector.lost(gap),
            (Arrival::Newest(_) | Arrival::Restart | Arrival::Older(_) | Arrival::Duplicate | Arrival::Suspect, _) => {
                self.finish();
            }
        }
        let mut at = view.timestamp;
        for block in view.payload.chunks(BLOCK) {
            let mut pcm = [0; BLOCK];
            let samples = self.voice.decode(block, &mut pcm);
            at = at.wrapping_add(samples as u32);
            self.detector.hear(&pcm[..samples], |sign| self.reports.note(sign, at));
        }
        self.expected = Some(at);
        if let Some((_, length)) = self.detector.pressed() {
            self.reports.report(length, false);
        }
        self.detector.is_suspicious() || self.reports.count > 0
    }

    /// What the last packet, or the clock, has told.
    pub fn reports(&self) -> &[Progress] {
        &self.reports.list[..self.reports.count]
    }

    /// The keys among it that are over.
    pub fn presses(&self) -> [Option<Press>; REPORTS] {
        let mut presses = [None; REPORTS];
        let ended = self.reports().iter().filter(|progress| progress.end);
        for (slot, progress) in presses.iter_mut().zip(ended) {
            *slot = Some(Press {
                code: progress.code,
                ms: u16::try_from(progress.total / 8).unwrap_or(u16::MAX),
            });
        }
        presses
    }

    /// Looks at the clock; true when that has ended a key.
    pub fn tick(&mut self, now: Instant) -> bool {
        let is_over = self.deadline().is_some_and(|deadline| deadline <= now);
        if is_over {
            self.reports.count = 0;
            self.finish();
            self.expected = None;
        }
        is_over
    }

    /// When `tick` has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.detector.pressed().map(|_| self.heard + LOST_END)
    }

    /// The peer was silent for so many ticks.
    fn silence(&mut self, ticks: u32) {
        let mut left = ticks as usize;
        let mut at = self.expected.unwrap_or(0);
        while left > 0 {
            let samples = left.min(BLOCK);
            at = at.wrapping_add(samples as u32);
            self.detector
                .hear(&[0; BLOCK][..samples], |sign| self.reports.note(sign, at));
            left -= samples;
        }
    }

    /// Nothing continues.
    fn finish(&mut self) {
        if let Some(sign) = self.detector.end() {
            self.reports.note(sign, 0);
        }
    }
}

impl Leg {
    /// Listens for keys, where they come as tones.
    pub(super) fn listen(
        &mut self,
        now: Instant,
        (arrival, is_audio): (Arrival, bool),
        view: &View<'_>,
        outputs: &mut Outputs,
    ) -> Class {
        if !is_audio {
            return Class::Noise;
        }
        let is_echo = self.tx.played.is_some_and(|played| now.since(played) < ECHO);
        let is_deaf = is_echo || self.rx.is_data();
        let ear = self.rx.ear.as_mut().filter(|_| !is_deaf);
        if !ear.is_some_and(|ear| ear.hear(now, arrival, view)) {
            return Class::Audio;
        }
        self.tell_keys(outputs);
        Class::Key
    }

    /// Tells the keys that the ear has heard to the end.
    fn tell_keys(&mut self, outputs: &mut Outputs) {
        let presses = self.rx.ear.as_ref().map(|ear| ear.presses());
        for press in presses.into_iter().flatten().flatten() {
            self.tell(press, outputs);
        }
    }

    /// Looks whether a key in the audio has ended because nothing comes any more.
    pub(super) fn end_key(&mut self, now: Instant, outputs: &mut Outputs) -> bool {
        let is_over = self.rx.ear.as_mut().is_some_and(|ear| ear.tick(now));
        if is_over {
            self.tell_keys(outputs);
        }
        is_over
    }
}
