//! One stream of video that goes out: whom it shows, and how that one's numbers become ours.
//!
//! A run is a stretch in which one stream is shown without a break: all of its numbers are moved by the same amount. Another begins with a
//! key frame of another stream, where the last ended.

use super::codec::{Vp8, begins_key_frame};
use super::retry::Retry;
use crate::id::MediaLegId;
use crate::limits;
use crate::media::command::{VideoCodec, VideoFormat};
use crate::media::pace::Pace;
use crate::media::packet::{LegIx, Packet};
use crate::media::rtp::{EXTENSION_BYTES, HEADER_BYTES, Header, View};
use crate::media::sender::Sent;
use crate::media::source::Block;
use crate::media::srtp::Sealer;
use crate::time::Instant;

/// Runs that are remembered: what was lost in one of them can be sent again.
const RUNS: usize = 8;
/// A frame of 30 in a second, in ticks of the clock: the least that a new run lies behind the old one.
const FRAME: u32 = 3_000;

/// Who is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub id: MediaLegId,
    pub at: LegIx,
    /// Which of what it publishes.
    pub published: u8,
    pub is_screen: bool,
}

/// Of which stream a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub nth: u8,
    pub generation: u32,
    pub codec: VideoCodec,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    of: (MediaLegId, u8),
    from: Layer,
    /// The first number, of ours and of the source.
    first: (u16, u16),
    /// What is added to sequence numbers, timestamps, picture identifiers and counts of base layers.
    sequence: u16,
    timestamp: u32,
    picture: u16,
    base: u16,
}

/// A stream of ours.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its place among the lines.
    pub line: u8,
    ssrc: u32,
    rtx: u32,
    /// The number of the header extension by which the viewer knows when a packet went out.
    send_time: Option<u8>,
    /// How the viewer numbers VP8 and H.264.
    formats: [Option<VideoFormat>; 2],
    pub shown: Option<Shown>,
    /// The layer that is wanted.
    pub target: u8,
    /// The newest last.
    runs: [Option<Run>; RUNS],
    /// The shown stream goes on in the newest run.
    is_running: bool,
    /// How fast our numbers may move.
    pace: Pace,
    next: u16,
    next_rtx: u16,
    timestamp: u32,
    sent_at: Option<Instant>,
    picture: u16,
    base: u16,
    packets: u32,
    octets: u32,
    reported: u32,
    /// Who was told to be shown.
    pub told: Option<(MediaLegId, bool)>,
    retry: Retry,
}

fn place(codec: VideoCodec) -> usize {
    match codec {
        VideoCodec::Vp8 => 0,
        VideoCodec::H264 => 1,
    }
}

impl Slot {
    /// On this line, with these SSRCs and this number of the header extension; `random` gives its first numbers (RFC 3550 5.1).
    pub fn new(line: u8, (ssrc, rtx): (u32, u32), send_time: Option<u8>, formats: &[VideoFormat], random: u64) -> Slot {
        let of = |codec| formats.iter().find(|format| format.codec == codec).copied();
        Slot {
            line,
            ssrc,
            rtx,
            send_time,
            formats: [of(VideoCodec::Vp8), of(VideoCodec::H264)],
            shown: None,
            target: 0,
            runs: [None; RUNS],
            is_running: false,
            pace: Pace::default(),
            // In the lower half, so that the roll-over of the first packets is not in doubt (RFC 3711 3.3.1).
            next: random as u16 >> 1,
            next_rtx: (random >> 16) as u16 >> 1,
            timestamp: (random >> 32) as u32,
            sent_at: None,
            picture: 0,
            base: 0,
            packets: 0,
            octets: 0,
            reported: 0,
            told: None,
            retry: Retry::default(),
        }
    }

    /// Goes on behind what was sealed of it before.
    pub fn begin_behind(&mut self, sealer: &Sealer) {
        self.next = sealer.next(self.ssrc).unwrap_or(self.next);
        self.next_rtx = sealer.next(self.rtx).unwrap_or(self.next_rtx);
    }

    /// Takes over what it was, but for how it is numbered.
    pub fn go_on(&mut self, old: &mut Slot) {
        let (line, formats, send_time) = (self.line, self.formats, self.send_time);
        std::mem::swap(self, old);
        (self.line, self.formats, self.send_time) = (line, formats, send_time);
    }

    /// The SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The viewer can decode it.
    pub fn takes(&self, codec: VideoCodec) -> bool {
        self.formats[place(codec)].is_some()
    }

    /// Shows another, or nobody.
    pub fn show(&mut self, shown: Option<Shown>) {
        if self.shown != shown {
            self.shown = shown;
            self.is_running = false;
            self.retry.shows_another();
        }
    }

    /// Shows nobody.
    pub fn clear(&mut self) {
        self.show(None);
    }

    /// A key frame of the layer that is wanted would be of use: it is not seen, or its numbers have begun anew.
    pub fn waits_for_key(&self, generation: u32) -> bool {
        let run = self.runs[RUNS - 1].filter(|_| self.is_running);
        let is_seen = run.is_some_and(|run| (run.from.nth, run.from.generation) == (self.target, generation));
        self.shown.is_some() && !is_seen
    }

    /// Whether it gets a packet of this stream, and in which run; a key frame begins one.
    fn run_for(&mut self, now: Instant, from: Layer, view: &View<'_>) -> Option<Run> {
        let shown = self.shown?;
        let of = (shown.id, shown.published);
        let current = self.runs[RUNS - 1].filter(|run| self.is_running && run.from == from && run.of == of);
        if let Some(run) = current {
            let is_behind = (view.sequence.wrapping_sub(run.first.1) as i16) < 0;
            if is_behind {
                return None;
            }
            if self.keeps_pace(now, view.sequence.wrapping_add(run.sequence)) {
                return Some(run);
            }
            self.is_running = false;
        }
        // The layer that is seen goes on until the other one begins.
        if from.nth != self.target || !begins_key_frame(from.codec, view.payload) {
            return None;
        }
        Some(self.begin(now, of, from, view))
    }

    /// Our numbers move no faster than packets may come, or a new run begins. Else who publishes could move those of all his viewers beyond what
    /// their roll-over bears when they lose a few packets (RFC 3711 3.3.1).
    fn keeps_pace(&mut self, now: Instant, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.next);
        let numbers = if ahead < 1 << 15 { u64::from(ahead) + 1 } else { 0 };
        self.pace
            .takes_some(now, numbers, limits::VIDEO_PER_SECOND, limits::VIDEO_BURST)
    }

    fn begin(&mut self, now: Instant, of: (MediaLegId, u8), from: Layer, view: &View<'_>) -> Run {
        self.retry.sees(now, from.nth);
        let gone = self.sent_at.map_or(0, |sent| {
            let ticks = now.since(sent).as_micros() as u64 * 9 / 100;
            (ticks as u32).max(FRAME)
        });
        let vp8 = Vp8::read(view.payload).filter(|_| from.codec == VideoCodec::Vp8);
        let run = Run {
            of,
            from,
            first: (self.next, view.sequence),
            sequence: self.next.wrapping_sub(view.sequence),
            timestamp: self.timestamp.wrapping_add(gone).wrapping_sub(view.timestamp),
            picture: vp8
                .and_then(|vp8| vp8.picture)
                .map_or(0, |count| count.offset_to(self.picture.wrapping_add(1))),
            base: vp8
                .and_then(|vp8| vp8.base)
                .map_or(0, |count| count.offset_to(self.base.wrapping_add(1))),
        };
        self.push(run);
        run
    }

    fn push(&mut self, run: Run) {
        self.runs.rotate_left(1);
        self.runs[RUNS - 1] = Some(run);
        self.is_running = true;
    }

    /// Writes what the viewer gets of a packet that is kept; false where it gets nothing.
    pub fn write(&mut self, now: Instant, from: Layer, kept: &Packet, out: &mut Packet) -> bool {
        let (Ok(view), Some(format)) = (View::parse(kept.as_slice()), self.formats[place(from.codec)]) else {
            return false;
        };
        let Some(run) = self.run_for(now, from, &view) else {
            return false;
        };
        // What only measures the way is not passed on, and leaves no gap.
        if view.payload.is_empty() {
            let first = (self.next, view.sequence.wrapping_add(1));
            let sequence = run.sequence.wrapping_sub(1);
            self.push(Run { first, sequence, ..run });
            return false;
        }
        let header = run.header(&view, self.ssrc, format.payload_type);
        let ahead = header.sequence.wrapping_sub(self.next);
        if (ahead as i16) >= 0 {
            self.next = header.sequence.wrapping_add(1);
            self.note(now, &run, &view, header.timestamp);
        }
        let (head, body) = self.write_head(now, header, out);
        let Some(body) = body.get_mut(..view.payload.len()) else {
            return false;
        };
        run.fill(&view, body);
        out.set_len(head + view.payload.len());
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(view.payload.len() as u32);
        true
    }

    /// Writes a header, with when it goes out where the viewer wants to know: seconds in 24 bits, of which 18 are behind the point. How long it is, and
    /// the space behind it.
    fn write_head<'p>(&self, now: Instant, header: Header, out: &'p mut Packet) -> (usize, &'p mut [u8]) {
        let Some(id) = self.send_time else {
            return (HEADER_BYTES, header.write(out));
        };
        let seconds = (u128::from(now.as_nanos()) << 18) / 1_000_000_000;
        let [.., a, b, c] = (seconds as u32).to_be_bytes();
        let body = header.write_extended((id, [a, b, c]), out);
        (HEADER_BYTES + EXTENSION_BYTES, body)
    }

    fn note(&mut self, now: Instant, run: &Run, view: &View<'_>, timestamp: u32) {
        (self.timestamp, self.sent_at) = (timestamp, Some(now));
        if let Some(vp8) = Vp8::read(view.payload).filter(|_| run.from.codec == VideoCodec::Vp8) {
            self.picture = vp8.picture.map_or(self.picture, |count| count.moved(run.picture));
            self.base = vp8.base.map_or(self.base, |count| count.moved(run.base));
        }
    }

    /// Where the packet of ours with this number was of the source: its layer, and its number there. Only of who is shown.
    pub fn origin(&self, sequence: u16) -> Option<(u8, u16)> {
        let shown = self.shown?;
        let is_sent = (self.next.wrapping_sub(sequence) as i16) > 0;
        let mut runs = self.runs.iter().rev().flatten();
        let run = runs.find(|run| (sequence.wrapping_sub(run.first.0) as i16) >= 0)?;
        let is_its = run.of == (shown.id, shown.published) && is_sent;
        is_its.then_some((run.from.nth, sequence.wrapping_sub(run.sequence)))
    }

    /// Writes a packet once more, in the stream of retransmissions (RFC 4588 4); false where the viewer takes none, or it is another's.
    pub fn rewrite(&mut self, now: Instant, sequence: u16, kept: &Packet, out: &mut Packet) -> bool {
        let mut runs = self.runs.iter().rev().flatten();
        let run = runs
            .find(|run| (sequence.wrapping_sub(run.first.0) as i16) >= 0)
            .copied();
        let (Some(run), Ok(view)) = (run, View::parse(kept.as_slice())) else {
            return false;
        };
        let format = self.formats[place(run.from.codec)];
        let Some(payload_type) = format.and_then(|format| format.rtx) else {
            return false;
        };
        let header = Header {
            sequence: self.next_rtx,
            ..run.header(&view, self.rtx, payload_type)
        };
        let (head, body) = self.write_head(now, header, out);
        let Some((number, body)) = body.split_first_chunk_mut::<2>() else {
            return false;
        };
        *number = sequence.to_be_bytes();
        let Some(body) = body.get_mut(..view.payload.len()) else {
            return false;
        };
        run.fill(&view, body);
        out.set_len(head + 2 + view.payload.len());
        self.next_rtx = self.next_rtx.wrapping_add(1);
        true
    }

    /// The viewer reports of it.
    pub fn heard(&mut self, now: Instant, block: &Block) {
        self.retry.heard(now, block.fraction_lost);
    }

    /// This layer was lost on the way to the viewer, and it is too early to try it again.
    pub fn waits(&self, now: Instant, layer: u8) -> bool {
        self.retry.waits(now, layer)
    }

    /// It loses much, or did a moment ago: none but the smallest layer.
    pub fn is_lossy(&self, now: Instant) -> bool {
        self.retry.is_lossy(now)
    }

    /// What a sender report says of it, where it has sent since the last but one (RFC 3550 6.4).
    pub fn report(&mut self, now: Instant) -> Option<Sent> {
        let sent = self.sent_at.filter(|_| self.packets != self.reported)?;
        self.reported = self.packets;
        let gone = now.since(sent).as_micros() as u64 * 9 / 100;
        Some(Sent {
            ssrc: self.ssrc,
            timestamp: self.timestamp.wrapping_add(gone as u32),
            packets: self.packets,
            octets: self.octets,
        })
    }
}

impl Run {
    fn header(&self, view: &View<'_>, ssrc: u32, payload_type: u8) -> Header {
        Header {
            marker: view.marker,
            payload_type,
            sequence: view.sequence.wrapping_add(self.sequence),
            timestamp: view.timestamp.wrapping_add(self.timestamp),
            ssrc,
        }
    }

    fn fill(&self, view: &View<'_>, body: &mut [u8]) {
        body.copy_from_slice(view.payload);
        if self.from.codec != VideoCodec::Vp8 {
            return;
        }
        let Some(vp8) = Vp8::read(view.payload) else { return };
        for (count, by) in [(vp8.picture, self.picture), (vp8.base, self.base)] {
            if let Some(count) = count {
                count.write(body, by);
            }
        }
    }
}
