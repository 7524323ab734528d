//! One stream of video that comes: what is kept of it, what is missing, when a key frame is asked for.

use super::{KEY_EVERY, LIVE};
use crate::media::command::{VideoCodec, VideoSource};
use crate::media::packet::Packet;
use crate::media::rtp::{HEADER_BYTES, Header, View};
use crate::media::source::{Arrival, Block, Source};
use crate::time::Instant;
use std::time::Duration;

/// Packets whose loss is known and that are asked for again. Who has lost more is asked for a key frame.
const MISSING: usize = 64;
/// How long one is waited for before it is asked for again: a way there and back over a continent.
const AGAIN: Duration = Duration::from_millis(100);
/// How often.
const TRIES: u8 = 5;
/// Over which time the rate is measured.
const MEASURED: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u16,
    tries: u8,
    asked: Option<Instant>,
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Track {
    ssrc: Option<u32>,
    rtx: Option<u32>,
    pub codec: VideoCodec,
    source: Source,
    /// By sequence number; each with a fixed header alone.
    cache: Box<[Packet]>,
    newest: Option<u16>,
    /// How often its numbers have begun anew.
    pub generation: u32,
    missing: [Option<Missing>; MISSING],
    heard: Option<Instant>,
    last_sr: Option<(u32, Instant)>,
    wants_key: bool,
    asked_key: Option<Instant>,
    /// Octets since, and the bits per second of before.
    counted: (u64, Option<Instant>),
    pub rate: u64,
}

impl Track {
    /// Keeps so many packets.
    pub fn new(kept: usize, codec: VideoCodec) -> Track {
        let mut source = Source::default();
        source.set_clock(90_000);
        Track {
            ssrc: None,
            rtx: None,
            codec,
            source,
            cache: vec![Packet::default(); kept].into_boxed_slice(),
            newest: None,
            generation: 0,
            missing: [None; MISSING],
            heard: None,
            last_sr: None,
            wants_key: false,
            asked_key: None,
            counted: (0, None),
            rate: 0,
        }
    }

    /// The description has told its SSRCs.
    pub fn announced(&mut self, source: VideoSource) {
        (self.ssrc, self.rtx) = (Some(source.ssrc), source.rtx);
    }

    /// A packet has told one of its SSRCs.
    pub fn learn(&mut self, ssrc: u32, is_again: bool) {
        match is_again {
            true => self.rtx = Some(ssrc),
            false => self.ssrc = Some(ssrc),
        }
    }

    /// This SSRC is its own.
    pub fn is_of(&self, ssrc: u32, is_again: bool) -> bool {
        let own = if is_again { self.rtx } else { self.ssrc };
        own == Some(ssrc)
    }

    /// Its SSRC, once something of it came.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc.filter(|_| self.newest.is_some())
    }

    /// Something of it came lately.
    pub fn is_live(&self, now: Instant) -> bool {
        self.is_heard(now, LIVE)
    }

    /// Something of it came in so long.
    pub fn is_heard(&self, now: Instant, within: Duration) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < within)
    }

    /// Takes a packet; its number, if it is to go on.
    pub fn take(&mut self, now: Instant, view: &View<'_>, codec: VideoCodec) -> Option<u16> {
        let sequence = view.sequence;
        match self.source.packet(view.ssrc, sequence) {
            Arrival::Restart => self.begin(sequence),
            Arrival::Newest(ahead) => self.advance(sequence, ahead),
            Arrival::Older(_) if self.is_new(sequence) => self.found(sequence),
            Arrival::Older(_) | Arrival::Duplicate | Arrival::Suspect => return None,
        }
        self.source.timing(now, view.timestamp);
        self.keep(now, view, codec, (sequence, view.payload))
    }

    /// Takes a packet that was sent again (RFC 4588 4): its number stands before its payload.
    pub fn repaired(&mut self, now: Instant, view: &View<'_>, codec: VideoCodec) -> Option<u16> {
        // Without any payload it is sent to measure the way.
        let (number, payload) = view.payload.split_first_chunk::<2>()?;
        let sequence = u16::from_be_bytes(*number);
        if !self.is_new(sequence) {
            return None;
        }
        self.found(sequence);
        self.keep(now, view, codec, (sequence, payload))
    }

    fn keep(
        &mut self,
        now: Instant,
        view: &View<'_>,
        codec: VideoCodec,
        (sequence, payload): (u16, &[u8]),
    ) -> Option<u16> {
        self.heard = Some(now);
        self.codec = codec;
        self.count(now, payload.len());
        let at = usize::from(sequence) % self.cache.len();
        let packet = &mut self.cache[at];
        let header = Header {
            marker: view.marker,
            payload_type: 0,
            sequence,
            timestamp: view.timestamp,
            ssrc: self.ssrc?,
        };
        header.write(packet).get_mut(..payload.len())?.copy_from_slice(payload);
        packet.set_len(HEADER_BYTES + payload.len());
        Some(sequence)
    }

    /// A packet that is kept.
    pub fn kept(&self, sequence: u16) -> Option<&Packet> {
        let behind = self.newest?.wrapping_sub(sequence);
        let packet = &self.cache[usize::from(sequence) % self.cache.len()];
        let own = packet.as_slice().get(2..4)?;
        (usize::from(behind) < self.cache.len() && own == sequence.to_be_bytes()).then_some(packet)
    }

    /// It can still be used and is not there.
    fn is_new(&self, sequence: u16) -> bool {
        let behind = self.newest.map(|newest| newest.wrapping_sub(sequence));
        behind.is_some_and(|behind| usize::from(behind) < self.cache.len()) && self.kept(sequence).is_none()
    }

    fn begin(&mut self, sequence: u16) {
        self.generation = self.generation.wrapping_add(1);
        self.newest = Some(sequence);
        self.missing = [None; MISSING];
        self.cache.iter_mut().for_each(|packet| packet.set_len(0));
    }

    fn advance(&mut self, sequence: u16, ahead: u16) {
        self.newest = Some(sequence);
        if usize::from(ahead) > MISSING {
            self.missing = [None; MISSING];
            self.wants_key = true;
            return;
        }
        for behind in 1..ahead {
            let missing = Missing {
                sequence: sequence.wrapping_sub(behind),
                tries: 0,
                asked: None,
            };
            match self.missing.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = Some(missing),
                None => self.wants_key = true,
            }
        }
    }

    fn found(&mut self, sequence: u16) {
        for slot in &mut self.missing {
            if slot.is_some_and(|missing| missing.sequence == sequence) {
                *slot = None;
            }
        }
    }

    /// The packets that are to be asked for now: their number is in the second part.
    pub fn missing(&mut self, now: Instant) -> Option<([u16; MISSING], usize)> {
        let (mut asked, mut len) = ([0; MISSING], 0);
        for slot in &mut self.missing {
            let Some(missing) = slot else { continue };
            if missing.asked.is_some_and(|asked| now.since(asked) < AGAIN) {
                continue;
            }
            if missing.tries >= TRIES {
                *slot = None;
                self.wants_key = true;
                continue;
            }
            missing.tries += 1;
            missing.asked = Some(now);
            asked[len] = missing.sequence;
            len += 1;
        }
        asked[..len].sort_unstable();
        (len > 0).then_some((asked, len))
    }

    /// Somebody needs a key frame.
    pub fn want_key(&mut self) {
        self.wants_key = true;
    }

    /// Whether one is to be asked for now.
    pub fn asks_for_key(&mut self, now: Instant) -> bool {
        let is_due = self.asked_key.is_none_or(|asked| now.since(asked) >= KEY_EVERY);
        let asks = self.wants_key && is_due;
        if asks {
            (self.wants_key, self.asked_key) = (false, Some(now));
        }
        asks
    }

    fn count(&mut self, now: Instant, octets: usize) {
        let (count, since) = &mut self.counted;
        let began = *since.get_or_insert(now);
        *count += (HEADER_BYTES + octets) as u64;
        let gone = now.since(began);
        if gone >= MEASURED {
            self.rate = *count * 8_000 / (gone.as_millis() as u64).max(1);
            self.counted = (0, Some(now));
        }
    }

    /// A sender report of it came.
    pub fn reported(&mut self, now: Instant, ntp: u32) {
        self.last_sr = Some((ntp, now));
    }

    /// What is reported of it.
    pub fn block(&mut self, now: Instant) -> Option<Block> {
        let (last_sr, at) = self.last_sr.unwrap_or((0, now));
        let since = now.since(at).as_micros() as u64 * 65_536 / 1_000_000;
        let block = self.source.report()?;
        Some(Block {
            last_sr,
            delay_since_last_sr: since as u32,
            ..block
        })
    }
}
