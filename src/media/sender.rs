//! The stream that a leg sends: one SSRC, one run of sequence numbers and timestamps, whatever feeds it.
//!
//! What feeds it changes: another source after a transfer, a tone, digits, nothing during hold. The receiver must see one
//! stream all the same (RFC 3550 5.1), so a relayed packet's numbers are moved onto ours and a new feed begins where the
//! old one ended: next sequence number, a timestamp that has grown by the time gone by, the marker set.

use super::packet::{Channel, LegIx, TxBatch};
use super::rtp::{HEADER_BYTES, Header, View};
use super::source::{Arrival, MAX_DROPOUT};
use crate::time::Instant;
use std::net::SocketAddr;
use std::time::Duration;

/// A relayed timestamp that departs from the clock by more than this is moved back to it: the source jumped.
const TIMESTAMP_JUMP_SECONDS: u32 = 3;

/// The least that a new run lies behind the old one, so that their audio does not overlap: the usual packet.
const RUN_STEP: Duration = Duration::from_millis(20);
/// How much nearer to the clock a run may begin than the one before: digits of 100 ms that follow each other by 150 ms stay apart.
const RUN_CATCH_UP: Duration = Duration::from_millis(40);

/// Where a leg's RTP goes: by its socket, to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// By whose socket.
    pub leg: LegIx,
    /// To where.
    pub to: SocketAddr,
}

/// The numbers of a relayed packet in our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// The source's marker, or a new run.
    pub marker: bool,
}

/// How the numbers of a relayed stream become ours.
#[derive(Clone, Copy, Debug)]
struct Feed {
    /// The newest sequence number of the source; ours for it is the last that was given out.
    newest: u16,
    /// How far older numbers can be mapped: no number of our own has been given out since.
    depth: u16,
    /// Ours less the source's.
    timestamp_offset: u32,
    /// Timestamp and time of the newest packet.
    last: (u32, Instant),
}

/// The sending half of RTP on one leg.
#[derive(Clone, Debug)]
pub struct Sender {
    ssrc: u32,
    /// The next sequence number.
    sequence: u16,
    clock: u32,
    /// The newest timestamp that was sent and when; before anything was sent, the first one to use.
    newest: (u32, Option<Instant>),
    /// The timestamp of the first packet and when it was sent, which every run is measured by: what a run is late or early by is not handed
    /// on to the next.
    anchor: Option<(u32, Instant)>,
    feed: Option<Feed>,
    /// Of so many numbers of the feed that are left out at once, none is left out of ours.
    most: u16,
    packets: u64,
    octets: u32,
}

/// What a sender report says of a stream (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Our SSRC.
    pub ssrc: u32,
    /// The RTP timestamp of the moment of the report.
    pub timestamp: u32,
    /// Packets since the start.
    pub packets: u32,
    /// Octets of payload since the start.
    pub octets: u32,
}

impl Sender {
    /// A stream that begins with these numbers.
    pub fn new(ssrc: u32, first_sequence: u16, first_timestamp: u32) -> Self {
        Self {
            ssrc,
            sequence: first_sequence,
            clock: 8_000,
            newest: (first_timestamp, None),
            anchor: None,
            feed: None,
            most: MAX_DROPOUT,
            packets: 0,
            octets: 0,
        }
    }

    /// With what is lost of the feed no more than so many numbers are left out at once; of more a new run is made. What one sends to many must
    /// not move their numbers beyond what their roll-over bears (RFC 3711 3.3.1).
    pub fn leaves_out(mut self, most: u16) -> Self {
        self.most = most;
        self
    }

    /// Begins with this number, before anything was sent.
    pub fn begin_at(&mut self, sequence: u16) {
        self.sequence = sequence;
    }

    /// Sets the RTP clock; the timestamp goes on from where it is.
    pub fn set_clock(&mut self, now: Instant, clock: u32) {
        if self.clock != clock {
            if self.newest.1.is_some() {
                self.newest = (self.timestamp(now), Some(now));
                self.anchor = self.anchor.map(|_| (self.newest.0, now));
            }
            self.clock = clock;
            self.feed = None;
        }
    }

    /// The SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// When the newest was sent.
    pub fn last_sent(&self) -> Option<Instant> {
        self.newest.1
    }

    /// Packets sent.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The timestamp of this moment: the newest that was sent and the time since.
    pub fn timestamp(&self, now: Instant) -> u32 {
        let (newest, at) = self.newest;
        at.map_or(newest, |at| newest.wrapping_add(elapsed(at, now, self.clock)))
    }

    /// The timestamp of a run that begins now: by the clock, but behind what was sent. Where that is ahead of the clock, since a source was
    /// fast, each run makes up for a little of it.
    pub fn run_timestamp(&self, now: Instant) -> u32 {
        let ((newest, Some(sent)), Some((first, at))) = (self.newest, self.anchor) else {
            return self.newest.0;
        };
        let by_clock = first.wrapping_add(elapsed(at, now, self.clock));
        let gone = now.since(sent).saturating_sub(RUN_CATCH_UP).max(RUN_STEP);
        let behind = newest.wrapping_add(elapsed(sent, sent + gone, self.clock));
        if (by_clock.wrapping_sub(behind) as i32) > 0 {
            by_clock
        } else {
            behind
        }
    }

    /// For a sender report.
    pub fn sent(&self, now: Instant) -> Sent {
        // RFC 3550 6.4.1: both counts wrap.
        Sent {
            ssrc: self.ssrc,
            timestamp: self.timestamp(now),
            packets: self.packets as u32,
            octets: self.octets,
        }
    }

    /// What feeds the stream changes or pauses: the next relayed packet begins a new run.
    pub fn cut(&mut self) {
        self.feed = None;
    }

    /// Our numbers for a relayed packet; `None` when it is too old to get a place among ours.
    pub fn splice(&mut self, now: Instant, arrival: Arrival, view: &View<'_>) -> Option<Spliced> {
        let Some(feed) = self.feed.as_mut() else {
            // An old packet does not begin a run: what follows it may have been played already.
            return if matches!(arrival, Arrival::Older(_)) {
                None
            } else {
                Some(self.begin(now, view))
            };
        };
        let ahead = view.sequence.wrapping_sub(feed.newest);
        let behind = feed.newest.wrapping_sub(view.sequence);
        match arrival {
            Arrival::Restart => Some(self.begin(now, view)),
            Arrival::Older(_) if behind <= feed.depth => {
                let sequence = self.sequence.wrapping_sub(1).wrapping_sub(behind);
                let timestamp = view.timestamp.wrapping_add(feed.timestamp_offset);
                Some(Spliced {
                    sequence,
                    timestamp,
                    marker: view.marker,
                })
            }
            // After so many packets that were not passed on, nothing is continued.
            Arrival::Newest(_) if ahead >= self.most => Some(self.begin(now, view)),
            Arrival::Newest(_) if ahead != 0 => {
                let (last, at) = feed.last;
                let grown = view.timestamp.wrapping_sub(last);
                let departure = grown.wrapping_sub(elapsed(at, now, self.clock)) as i32;
                if departure.unsigned_abs() > TIMESTAMP_JUMP_SECONDS * self.clock {
                    return Some(self.jump(now, ahead, view));
                }
                feed.newest = view.sequence;
                feed.depth = feed.depth.saturating_add(ahead);
                feed.last = (view.timestamp, now);
                let sequence = self.sequence.wrapping_add(ahead - 1);
                self.sequence = sequence.wrapping_add(1);
                let timestamp = view.timestamp.wrapping_add(feed.timestamp_offset);
                Some(Spliced {
                    sequence,
                    timestamp,
                    marker: view.marker,
                })
            }
            Arrival::Older(_) | Arrival::Newest(_) | Arrival::Duplicate | Arrival::Suspect => None,
        }
    }

    /// The source's timestamp has left the clock: a new run, in which what was lost before stays to be seen.
    fn jump(&mut self, now: Instant, ahead: u16, view: &View<'_>) -> Spliced {
        self.sequence = self.sequence.wrapping_add(ahead - 1);
        self.begin(now, view)
    }

    fn begin(&mut self, now: Instant, view: &View<'_>) -> Spliced {
        let timestamp = self.run_timestamp(now);
        self.feed = Some(Feed {
            newest: view.sequence,
            depth: 0,
            timestamp_offset: timestamp.wrapping_sub(view.timestamp),
            last: (view.timestamp, now),
        });
        let sequence = self.sequence;
        self.own_sequence_used();
        Spliced {
            sequence,
            timestamp,
            marker: true,
        }
    }

    /// Our timestamp for one of the relayed stream, if that goes on.
    pub fn mapped(&self, timestamp: u32) -> Option<u32> {
        self.feed.map(|feed| timestamp.wrapping_add(feed.timestamp_offset))
    }

    /// A packet of the feed is not passed on on purpose: our numbers close over it, so that the receiver sees no loss.
    pub fn absorb(&mut self, sequence: u16) {
        let Some(feed) = self.feed.as_mut() else { return };
        let ahead = sequence.wrapping_sub(feed.newest);
        if ahead == 0 || ahead >= MAX_DROPOUT {
            return;
        }
        feed.newest = sequence;
        feed.depth = 0;
        self.sequence = self.sequence.wrapping_add(ahead - 1);
    }

    fn own_sequence_used(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(feed) = self.feed.as_mut() {
            feed.depth = 0;
        }
    }

    /// Sends a packet of our own: the next sequence number, and the payload that `fill` writes behind the header; `fill` returns
    /// its length, or `None` to send nothing.
    pub fn send_own(
        &mut self,
        now: Instant,
        route: Route,
        (timestamp, marker, payload_type): (u32, bool, u8),
        out: &mut TxBatch,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let header = Header {
            marker,
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        let sent = self.send(now, route, header, out, fill);
        if sent {
            self.own_sequence_used();
        }
        sent
    }

    /// Sends a relayed packet with the numbers that `splice` gave.
    pub fn send_spliced(
        &mut self,
        now: Instant,
        route: Route,
        spliced: Spliced,
        payload_type: u8,
        out: &mut TxBatch,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        let Spliced {
            sequence,
            timestamp,
            marker,
        } = spliced;
        let header = Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.send(now, route, header, out, fill);
    }

    fn send(
        &mut self,
        now: Instant,
        route: Route,
        header: Header,
        out: &mut TxBatch,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let Some(packet) = out.next(route.leg, Channel::Rtp, route.to) else {
            return false;
        };
        let Some(len) = fill(header.write(packet)) else {
            out.undo();
            return false;
        };
        packet.set_len(HEADER_BYTES + len);
        self.packets += 1;
        self.octets = self.octets.wrapping_add(len as u32);
        let (newest, at) = self.newest;
        // A reordered packet and the packets of one event do not set the clock back.
        if at.is_none() || (header.timestamp.wrapping_sub(newest) as i32) > 0 {
            self.newest = (header.timestamp, Some(now));
        }
        self.anchor.get_or_insert((header.timestamp, now));
        true
    }
}

/// The time between two instants in ticks of a clock, modulo 2^32.
pub fn elapsed(from: Instant, to: Instant, clock: u32) -> u32 {
    let micros = to.as_nanos().saturating_sub(from.as_nanos()) / 1_000;
    (micros.wrapping_mul(u64::from(clock)) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn view(sequence: u16, timestamp: u32) -> View<'static> {
        View {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc: 7,
            payload: &[1; 160],
        }
    }

    fn relay(
        sender: &mut Sender,
        ms: u64,
        arrival: Arrival,
        sequence: u16,
        timestamp: u32,
    ) -> Option<(u16, u32, bool)> {
        let spliced = sender.splice(at(ms), arrival, &view(sequence, timestamp))?;
        let route = Route {
            leg: LegIx(0),
            to: SocketAddr::from(([127, 0, 0, 1], 9)),
        };
        sender.send_spliced(at(ms), route, spliced, 0, &mut TxBatch::new(), |_| Some(160));
        Some((spliced.sequence, spliced.timestamp, spliced.marker))
    }

    #[test]
    fn a_relayed_stream_keeps_its_gaps_and_its_order() {
        let mut sender = Sender::new(1, 65_534, 1_000);
        let steps = [
            (0, Arrival::Restart, 10, 500, Some((65_534, 1_000, true))),
            (20, Arrival::Newest(1), 11, 660, Some((65_535, 1_160, false))),
            (60, Arrival::Newest(2), 13, 980, Some((1, 1_480, false))),
            (61, Arrival::Older(1), 12, 820, Some((0, 1_320, false))),
            (62, Arrival::Older(5), 8, 180, None),
            (62, Arrival::Duplicate, 12, 820, None),
            (80, Arrival::Newest(1), 14, 1_140, Some((2, 1_640, false))),
        ];
        for (ms, arrival, sequence, timestamp, want) in steps {
            assert_eq!(
                relay(&mut sender, ms, arrival, sequence, timestamp),
                want,
                "at {ms} ms, sequence {sequence}"
            );
        }
        assert_eq!(sender.packets(), 5);
    }

    #[test]
    fn a_new_feed_goes_on_where_the_old_one_ended() {
        let mut sender = Sender::new(1, 100, 0);
        relay(&mut sender, 0, Arrival::Restart, 10, 500);
        assert_eq!(
            relay(&mut sender, 1_000, Arrival::Restart, 40_000, 77),
            Some((101, 8_000, true))
        );
        sender.cut();
        assert_eq!(relay(&mut sender, 1_010, Arrival::Older(1), 39_999, 0), None);
        assert_eq!(
            relay(&mut sender, 2_000, Arrival::Newest(9), 40_009, 90_000),
            Some((102, 16_000, true))
        );
        // A source that stopped its timestamp while it was held.
        assert_eq!(
            relay(&mut sender, 60_000, Arrival::Newest(1), 40_010, 90_160),
            Some((103, 480_000, true))
        );
        assert_eq!(
            relay(&mut sender, 60_020, Arrival::Newest(1), 40_011, 90_320),
            Some((104, 480_160, false))
        );
    }

    /// Each run begins as late as its first packet comes, up to 19 ms; a thousand of them together are no later than one.
    #[test]
    fn runs_that_begin_late_or_early_do_not_add_up() {
        let mut sender = Sender::new(1, 0, 77);
        let mut worst = 0;
        for n in 0..1_000u32 {
            let jitter = [0, 19, 3, 11][n as usize % 4];
            let ms = u64::from(n) * 500 + jitter;
            sender.cut();
            let (_, timestamp, _) = relay(&mut sender, ms, Arrival::Restart, n as u16, 5).unwrap();
            // The last packet of the run is early.
            relay(
                &mut sender,
                ms + 281 - jitter,
                Arrival::Newest(1),
                n as u16 + 1,
                5 + 2_400,
            )
            .unwrap();
            let departure = timestamp.wrapping_sub(77).wrapping_sub(elapsed(at(0), at(ms), 8_000)) as i32;
            worst = worst.max(departure.abs());
        }
        assert!(worst <= 20 * 8, "{worst} ticks");
    }

    /// A source whose clock is fast is ahead of ours after a while: what comes next is behind what was sent all the same.
    #[test]
    fn a_run_never_goes_back() {
        let mut sender = Sender::new(1, 0, 0);
        relay(&mut sender, 0, Arrival::Restart, 10, 0);
        relay(&mut sender, 1_000, Arrival::Newest(1), 11, 16_000);
        sender.cut();
        assert_eq!(
            relay(&mut sender, 1_100, Arrival::Restart, 12, 9),
            Some((2, 16_480, true))
        );
        // By the clock it would be 24,000 and 25,200.
        for (ms, sequence, timestamp) in [(3_000, 3, 31_360), (3_150, 4, 32_240)] {
            sender.cut();
            assert_eq!(
                relay(&mut sender, ms, Arrival::Restart, 13, 9),
                Some((sequence, timestamp, true))
            );
        }
    }

    #[test]
    fn our_own_packets_and_absorbed_ones_leave_no_hole() {
        let mut sender = Sender::new(1, 0, 0);
        relay(&mut sender, 0, Arrival::Restart, 10, 0);
        relay(&mut sender, 20, Arrival::Newest(1), 11, 160);
        sender.absorb(12);
        assert_eq!(
            relay(&mut sender, 60, Arrival::Newest(1), 13, 480).map(|n| n.0),
            Some(2)
        );
        let route = Route {
            leg: LegIx(0),
            to: SocketAddr::from(([127, 0, 0, 1], 9)),
        };
        assert!(sender.send_own(at(70), route, (700, true, 101), &mut TxBatch::new(), |_| Some(4)));
        assert!(!sender.send_own(at(70), route, (700, true, 101), &mut TxBatch::new(), |_| None));
        assert_eq!(relay(&mut sender, 80, Arrival::Older(1), 12, 320), None);
        assert_eq!(
            relay(&mut sender, 80, Arrival::Newest(1), 14, 640).map(|n| n.0),
            Some(4)
        );
        // One lost before an absorbed one stays visible.
        sender.absorb(16);
        assert_eq!(
            relay(&mut sender, 140, Arrival::Newest(1), 17, 1_120).map(|n| n.0),
            Some(6)
        );
    }
}
