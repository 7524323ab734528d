//! Video of browsers in a room: forwarded, never decoded. What one publishes the others see, each on a place of its own.
//!
//! ```text
//!   packet --> whose? (SSRC, MID, RID) --> seen before? --> kept --> each place that shows it --> our numbers --> sealed --> sent
//!                track                        track         cache          stage, slot              slot
//! ```
//!
//! | part | what it is |
//! |---|---|
//! | `codec` | what must be known of VP8 and H.264: where a key frame begins, and the numbers of pictures |
//! | `extension` | header extensions of what comes |
//! | `arrivals` | when each packet came, which its sender is told |
//! | `track` | one stream that comes: its losses, what is kept of it, key frames that are asked for |
//! | `slot` | one stream that goes out: whom it shows, and how that one's numbers become ours |
//! | `stage` | who of a room is seen by whom, and in which layer |
//! | `budget` | how many of the layers a viewer gets |
//! | `retry` | when a layer is tried again that was lost on the way to him |
//!
//! A place shows another from a key frame on, and never before, so that what a decoder gets is one unbroken stream: sequence numbers
//! without a gap, a clock that goes on, picture identifiers that count up (RFC 7741 4.2). A key frame is asked for by PLI (RFC 4585 6.3.1), once for
//! all who wait, at most every `KEY_EVERY`, and of nobody who is not looked at.
//!
//! What was lost on the way to us we ask for again (NACK); what was lost on the way to a viewer he asks us for, and he gets it from what is
//! kept of the publisher's stream, in a stream of retransmissions (RFC 4588), so that no number is sealed twice.
//!
//! **Bandwidth.** Both ways the estimator is the browser's: it is maintained with the browser, and there is none in Rust that is. What a publisher sends it numbers over
//! all of its way, and is told every 100 ms when each packet came (transport-wide feedback): from that it estimates what the way to us carries, as it
//! does towards another browser. By REMB it is told besides to send no more than it began with while nobody looks. Where a browser has no such numbers, it
//! adapts by our receiver reports (RFC 3550 6.4). What we send to a viewer is not numbered so: the estimator would be ours then. It estimates
//! by itself what arrives, reports that by REMB, and where it loses much it gets less.
//!
//! Members are seen by those on the same worker: by all of a room of `limits::ROOM_PART`.

mod arrivals;
mod budget;
mod codec;
mod extension;
mod retry;
mod slot;
pub mod stage;
mod track;

use super::command::{Video, VideoCodec, VideoFormat};
use super::pace::Pace;
use super::packet::{Channel, LegIx, Packet, TxBatch};
use super::room::Place;
use super::rtcp::feedback::{self, Head};
use super::rtp::View;
use super::srtp::Sealer;
use crate::limits;
use crate::time::Instant;
use arrivals::Arrivals;
use budget::Budget;
pub(super) use slot::{Layer, Shown, Slot};
use std::net::SocketAddr;
use std::time::Duration;
pub(super) use track::Track;

/// A publisher that nothing came of for so long is not shown.
const LIVE: Duration = Duration::from_secs(5);
/// Key frames of one stream are asked for at most so often: one takes a browser a tenth of a second, and its viewers some of their bandwidth.
const KEY_EVERY: Duration = Duration::from_millis(500);
/// How often receivers' and senders' reports go out. RFC 4585 3.4 lets a session of this bandwidth report so often.
const REPORT: Duration = Duration::from_secs(1);
/// The most packets at once that tell when others came: more than one only where a pause of more than 8 s is told of.
const TELLS: usize = 2;
/// What a publisher may send while nobody looks, in bits per second: what browsers begin with. From less they would climb for half a minute, by
/// eight percent a second, once somebody does.
const UNSEEN: u64 = 300_000;
/// What it may send when somebody does: no bound of ours.
const SEEN: u64 = 20_000_000;

/// What one line of a browser publishes.
#[derive(Debug)]
pub(super) struct Published {
    /// Its place among the lines.
    line: usize,
    /// One for each layer of simulcast; the one without.
    pub tracks: Box<[Track]>,
    /// Who sees it: on which of its places.
    pub viewers: Vec<(LegIx, u8)>,
    pub is_screen: bool,
    /// The tick in which its publisher spoke last.
    spoke: u32,
    /// REMB told last.
    told: u64,
}

/// Which packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Came {
    /// Of what is published.
    pub published: u8,
    /// Which layer.
    pub track: u8,
    /// Its number.
    pub sequence: u16,
}

/// The video of a leg.
#[derive(Debug)]
pub struct VideoLeg {
    spec: Video,
    pub(super) published: Box<[Published]>,
    pub(super) slots: Box<[Slot]>,
    /// Places for voices.
    pub(super) voices: Box<[Place]>,
    pace: Pace,
    /// Feedback that asks for something.
    asks: Pace,
    report: Option<Instant>,
    /// What the viewer's estimate says in bits per second, and when it did.
    remb: Option<(u64, Instant)>,
    budget: Budget,
    /// What is told of when packets came, where that is wanted.
    arrivals: Option<Arrivals>,
    /// Packets that were dropped.
    pub(super) dropped: u64,
}

impl VideoLeg {
    /// For what was agreed, with all that it will need. `seed` spreads its first numbers.
    pub fn new(spec: Video, seed: u64) -> VideoLeg {
        let receives = spec.lines.iter().enumerate().filter(|(_, line)| line.receives);
        let published = receives.map(|(at, line)| {
            let layers = line.layers.len().max(1);
            let kept = if layers == 1 {
                limits::VIDEO_CACHE
            } else {
                limits::VIDEO_CACHE / 2
            };
            let codec = line.formats.first().map_or(VideoCodec::Vp8, |format| format.codec);
            let mut tracks: Box<[Track]> = (0..layers).map(|_| Track::new(kept, codec)).collect();
            if let (true, Some(source)) = (line.layers.is_empty(), line.sources.first()) {
                tracks[0].announced(*source);
            }
            Published {
                line: at,
                tracks,
                viewers: Vec::with_capacity(limits::ROOM_PART),
                is_screen: line.is_screen,
                spoke: 0,
                told: 0,
            }
        });
        let published = published.collect();
        let sends = (0u8..)
            .zip(&spec.lines)
            .filter_map(|(at, line)| Some((at, line, line.sends?)));
        let slots = sends.map(|(at, line, ssrcs)| {
            let random = (seed ^ u64::from(ssrcs.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Slot::new(at, ssrcs, spec.send_time, &line.formats, random)
        });
        let slots = slots.collect();
        let voices = spec.voices.iter().map(|line| {
            let random = (seed ^ u64::from(line.ssrc)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Place::new(line, random)
        });
        let voices = voices.collect();
        VideoLeg {
            arrivals: spec.transport.map(|_| Arrivals::new()),
            spec,
            published,
            slots,
            voices,
            pace: Pace::default(),
            asks: Pace::default(),
            report: None,
            remb: None,
            budget: Budget::default(),
            dropped: 0,
        }
    }

    /// What was sealed once is not sealed again: a line that was there before, and not just before, goes on behind it (RFC 3711 9.1).
    pub(super) fn begin_behind(&mut self, sealer: &Sealer) {
        for slot in &mut self.slots {
            slot.begin_behind(sealer);
        }
        for place in &mut self.voices {
            if let Some(next) = sealer.next(place.ssrc()) {
                place.begin_at(next);
            }
        }
    }

    /// Takes over what goes on as it was.
    pub(super) fn go_on(&mut self, before: &mut VideoLeg) {
        for new in &mut self.published {
            let line = &self.spec.lines[new.line];
            let is_same = |old: &&mut Published| {
                let old = &before.spec.lines[old.line];
                (&old.mid, &old.layers, &old.sources) == (&line.mid, &line.layers, &line.sources)
            };
            if let Some(old) = before.published.iter_mut().find(is_same) {
                std::mem::swap(&mut new.tracks, &mut old.tracks);
                std::mem::swap(&mut new.viewers, &mut old.viewers);
                new.spoke = old.spoke;
            }
        }
        for new in &mut self.slots {
            if let Some(old) = before.slots.iter_mut().find(|old| old.ssrc() == new.ssrc()) {
                let is_same =
                    self.spec.lines[usize::from(new.line)].mid == before.spec.lines[usize::from(old.line)].mid;
                new.go_on(old);
                if !is_same {
                    // It is told under its new name.
                    new.told = None;
                }
            }
        }
        for new in &mut self.voices {
            if let Some(old) = before.voices.iter_mut().find(|old| old.ssrc() == new.ssrc()) {
                new.go_on(old);
            }
        }
        (self.report, self.remb) = (before.report, before.remb);
        if self.spec.transport == before.spec.transport {
            std::mem::swap(&mut self.arrivals, &mut before.arrivals);
        }
    }

    /// It sits in a room no longer: it sees nobody, and nobody sees it.
    pub(super) fn leave(&mut self) {
        self.published
            .iter_mut()
            .for_each(|published| published.viewers.clear());
        for slot in &mut self.slots {
            slot.clear();
            // Its room forgets whom it saw, and is told anew when it is back.
            slot.told = None;
        }
        self.voices.iter_mut().for_each(|place| place.hear(None));
    }

    fn format(&self, payload_type: u8) -> Option<(VideoFormat, bool)> {
        let lines = self.published.iter().map(|published| &self.spec.lines[published.line]);
        let mut formats = lines.flat_map(|line| &line.formats);
        let is_it = |format: &&VideoFormat| format.payload_type == payload_type || format.rtx == Some(payload_type);
        let format = formats.find(is_it)?;
        Some((*format, format.payload_type != payload_type))
    }

    /// A packet of this payload type is for here.
    pub(super) fn has(&self, payload_type: u8) -> bool {
        self.format(payload_type).is_some()
    }

    /// A packet came, whatever becomes of it.
    pub(super) fn arrived(&mut self, now: Instant, view: &View<'_>, datagram: &[u8]) {
        let (Some(arrivals), Some(id)) = (&mut self.arrivals, self.spec.transport) else {
            return;
        };
        if let Some([high, low]) = extension::find(datagram, id) {
            arrivals.came(now, u16::from_be_bytes([*high, *low]), view.ssrc);
        }
    }

    /// It shows something, or sees somebody.
    pub(super) fn has_pictures(&self) -> bool {
        !self.published.is_empty() || !self.slots.is_empty()
    }

    /// A packet of audio says that it is so faint (RFC 6464), in dB below the loudest.
    pub(super) fn says_faint(&self, datagram: &[u8], faint: u8) -> bool {
        let level = self.spec.level.and_then(|id| extension::find(datagram, id));
        // The first bit tells whether it is speech.
        level
            .and_then(|octets| octets.first())
            .is_some_and(|level| level & 0x7f > faint)
    }

    /// Takes a packet that the peer has sealed: keeps it, and tells which it is, if it is new.
    pub(super) fn take(&mut self, now: Instant, view: &View<'_>, datagram: &[u8]) -> Option<Came> {
        let took = self.pace.takes_at(now, limits::VIDEO_PER_SECOND, limits::VIDEO_BURST);
        let (format, is_again) = self.format(view.payload_type).filter(|_| took)?;
        let (published, track) = self.place(view, datagram, is_again)?;
        let own = &mut self.published[published].tracks[track];
        let sequence = match is_again {
            true => own.repaired(now, view, format.codec)?,
            false => own.take(now, view, format.codec)?,
        };
        Some(Came {
            published: published as u8,
            track: track as u8,
            sequence,
        })
    }

    /// Which stream a packet is of: by its SSRC, else by the names that it carries (RFC 8843 9.2, RFC 8852), which are learned.
    fn place(&mut self, view: &View<'_>, datagram: &[u8], is_again: bool) -> Option<(usize, usize)> {
        let ssrc = view.ssrc;
        for (at, published) in self.published.iter().enumerate() {
            if let Some(track) = published.tracks.iter().position(|track| track.is_of(ssrc, is_again)) {
                return Some((at, track));
            }
        }
        let named = |id: Option<u8>| extension::find(datagram, id?);
        let mid = named(self.spec.mid);
        let rid = named(if is_again {
            self.spec.repaired_rid
        } else {
            self.spec.rid
        });
        let is_its = |published: &&Published| {
            let line = &self.spec.lines[published.line];
            let is_listed = line
                .formats
                .iter()
                .any(|format| [Some(format.payload_type), format.rtx].contains(&Some(view.payload_type)));
            is_listed && mid.is_none_or(|mid| mid == line.mid.as_bytes())
        };
        let mut candidates = self
            .published
            .iter()
            .enumerate()
            .filter(|(_, published)| is_its(published));
        let (at, published) = candidates.next()?;
        // Without a name it could be of either.
        if mid.is_none() && candidates.next().is_some() {
            return None;
        }
        let layers = &self.spec.lines[published.line].layers;
        let track = match rid {
            Some(rid) if !layers.is_empty() => layers.iter().position(|layer| layer.as_bytes() == rid)?,
            None if !layers.is_empty() => return None,
            Some(_) | None => 0,
        };
        self.published[at].tracks[track].learn(ssrc, is_again);
        Some((at, track))
    }

    /// What is kept of a packet.
    pub(super) fn kept(&self, came: Came) -> Option<&Packet> {
        let published = self.published.get(usize::from(came.published))?;
        published.tracks.get(usize::from(came.track))?.kept(came.sequence)
    }

    /// It is one of those who publish here whose report this is.
    pub(super) fn is_publisher(&self, ssrc: u32) -> bool {
        let mut tracks = self.published.iter().flat_map(|published| &*published.tracks);
        tracks.any(|track| track.is_of(ssrc, false))
    }

    /// The place whose stream this is.
    pub(super) fn slot_of(&mut self, ssrc: u32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.ssrc() == ssrc)
    }

    /// A sender report of a publisher.
    pub(super) fn sent_report(&mut self, now: Instant, ssrc: u32, ntp: u32) {
        let mut tracks = self.published.iter_mut().flat_map(|published| &mut *published.tracks);
        if let Some(track) = tracks.find(|track| track.is_of(ssrc, false)) {
            track.reported(now, ntp);
        }
    }

    /// The viewer's estimate of what it can receive, in bits per second.
    pub(super) fn estimated(&mut self, now: Instant, bits: u64) {
        self.remb = Some((bits, now));
    }

    /// Whether the peer may ask for one thing more.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        self.asks.takes_at(now, limits::VIDEO_PER_SECOND, limits::VIDEO_BURST)
    }

    /// What goes to the peer beside media at a tick: key frames and packets that are wanted of it, and reports when they are due.
    pub(super) fn tick(&mut self, now: Instant, (place, to): (LegIx, SocketAddr), head: Head<'_>, out: &mut TxBatch) {
        self.ask(now, (place, to), head, out);
        if let Some(arrivals) = self.arrivals.as_mut().filter(|arrivals| arrivals.is_due(now)) {
            for _ in 0..TELLS {
                let Some(packet) = out.next(place, Channel::Rtp, to) else {
                    break;
                };
                let Some(len) = arrivals.write(now, head, packet.buffer()) else {
                    out.undo();
                    break;
                };
                packet.set_len(len);
            }
        }
        if self.report.is_some_and(|due| now < due) {
            return;
        }
        self.report = Some(now + REPORT);
        if !self.published.is_empty()
            && let Some(packet) = out.next(place, Channel::Rtp, to)
        {
            let blocks = self.published.iter_mut().flat_map(|published| &mut *published.tracks);
            let len = feedback::write_reports(packet.buffer(), head, blocks.filter_map(|track| track.block(now)));
            packet.set_len(len);
        }
        let heard = self.voices.iter_mut().filter_map(|place| place.report(now));
        let sent = self.slots.iter_mut().filter_map(|slot| slot.report(now)).chain(heard);
        let mut sent = sent.peekable();
        while sent.peek().is_some()
            && let Some(packet) = out.next(place, Channel::Rtp, to)
        {
            let len = feedback::write_sent(packet.buffer(), head.cname, now, &mut sent);
            packet.set_len(len);
        }
    }

    fn ask(&mut self, now: Instant, (place, to): (LegIx, SocketAddr), head: Head<'_>, out: &mut TxBatch) {
        let is_due = self.report.is_none_or(|due| now >= due);
        for published in &mut self.published {
            let may = if published.viewers.is_empty() { UNSEEN } else { SEEN };
            let mut asked = published.tracks.iter().map(Track::ssrc);
            let bound = (may != published.told || is_due).then_some(may);
            let ssrcs = [asked.next().flatten(), asked.next().flatten(), asked.next().flatten()];
            if let (Some(bits), Some(_)) = (bound, ssrcs.iter().flatten().next())
                && let Some(packet) = out.next(place, Channel::Rtp, to)
            {
                published.told = bits;
                let len = feedback::write_bound(packet.buffer(), head, bits, ssrcs.into_iter().flatten());
                packet.set_len(len);
            }
            let is_seen = !published.viewers.is_empty();
            for track in &mut published.tracks {
                let Some(ssrc) = track.ssrc() else { continue };
                if is_seen
                    && track.asks_for_key(now)
                    && let Some(packet) = out.next(place, Channel::Rtp, to)
                {
                    let len = feedback::write_key(packet.buffer(), head, ssrc);
                    packet.set_len(len);
                }
                let missing = track.missing(now);
                if let Some(missing) = missing.filter(|_| is_seen)
                    && let Some(packet) = out.next(place, Channel::Rtp, to)
                {
                    let len = feedback::write_missing(packet.buffer(), head, ssrc, missing);
                    packet.set_len(len);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
