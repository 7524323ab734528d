//! When a leg sends RTCP and what it learns from the peer's (RFC 3550 6.2, 6.4).

use super::command::{PeerView, Xr};
use super::rtcp::extended::{Delay, Extended, Metrics};
use super::rtcp::{self, Compound, Digest};
use super::sender::Sender;
use super::source::Source;
use crate::time::Instant;
use std::time::Duration;

/// The minimum interval (RFC 3550 6.2). With two members 5 % of any audio's bandwidth allows more often, so the minimum rules.
const INTERVAL: Duration = Duration::from_secs(5);
/// RFC 3550 6.3.1 divides by e - 3/2, since timer reconsideration converges below the wanted interval.
const COMPENSATION: f64 = std::f64::consts::E - 1.5;
/// Packets of ours between two of the peer's reports from which on it must have heard of some: a second of speech.
const MUST_BE_HEARD: u64 = 50;

/// The RTCP of one leg.
#[derive(Clone, Debug)]
pub struct Reporter {
    cname: Box<str>,
    random: u64,
    due: Option<Instant>,
    has_reported: bool,
    /// Packets sent at the last report and at the one before: a member is a sender until two reports without a packet (RFC 3550 6.4).
    packets_reported: [u64; 2],
    /// The peer's last sender report: its middle NTP and when it came.
    last_sr: Option<(u32, Instant)>,
    round_trip_us: Option<u32>,
    peer_fraction_lost: Option<u8>,
    peer_lost: Option<u32>,
    /// What the peer wants besides.
    xr: Xr,
    /// The peer's last reference time: whose, its middle NTP, and when it came.
    reference: Option<(u32, u32, Instant)>,
    peer: Option<PeerView>,
    /// What the peer said last: the newest of our packets that it has, and how many we had sent then.
    heard: (Option<u32>, u64),
    /// The peer tells of what it sends and of what it hears in different packets, as browsers do.
    splits: bool,
    /// When a report said last that there is nothing new of ours.
    unheard: Option<Instant>,
    /// Packets that it says it has sent, and how many of them had come then.
    peer_sent: (u32, u64),
    /// It sends, by what it said last.
    sends: Option<(bool, Instant)>,
}

impl Reporter {
    /// Reports under this name; the seed spreads the legs' reports over time. With a browser `splits`: its sender reports have no blocks, whatever it
    /// hears, and its receiver reports have them.
    pub fn new(cname: Box<str>, seed: u64, splits: bool) -> Self {
        Self {
            cname,
            random: seed | 1,
            due: None,
            has_reported: false,
            packets_reported: [0; 2],
            last_sr: None,
            round_trip_us: None,
            peer_fraction_lost: None,
            peer_lost: None,
            xr: Xr::default(),
            reference: None,
            peer: None,
            heard: (None, 0),
            splits,
            unheard: None,
            peer_sent: (0, 0),
            sends: None,
        }
    }

    /// The name.
    pub fn cname(&self) -> &str {
        &self.cname
    }

    /// What the peer asks for.
    pub fn ask(&mut self, xr: Xr) {
        self.xr = xr;
    }

    /// It asks for metrics.
    pub fn wants_metrics(&self) -> bool {
        self.xr.metrics
    }

    /// Starts the timer, if it does not run: the first interval is half as long (RFC 3550 6.2).
    pub fn start(&mut self, now: Instant) {
        if self.due.is_none() {
            let wait = self.interval() / 2;
            self.due = Some(now + wait);
        }
    }

    /// When the next report is due.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// True once a report was written.
    pub fn has_reported(&self) -> bool {
        self.has_reported
    }

    /// Round trip in microseconds, if the peer has reported one.
    pub fn round_trip_us(&self) -> Option<u32> {
        self.round_trip_us
    }

    /// What the peer says it lost of our packets, in 1/256.
    pub fn peer_fraction_lost(&self) -> Option<u8> {
        self.peer_fraction_lost
    }

    /// What the peer says it lost of our packets in all.
    pub fn peer_lost(&self) -> Option<u32> {
        self.peer_lost
    }

    /// What the peer says in extended reports.
    pub fn peer(&self) -> Option<PeerView> {
        self.peer
    }

    /// When a report of the peer said last that nothing new came of what we send, if the newest one does.
    pub fn unheard(&self) -> Option<Instant> {
        self.unheard
    }

    /// Whether the peer sends, by its last report, and when that came.
    pub fn sends(&self) -> Option<(bool, Instant)> {
        self.sends
    }

    /// Half to one and a half times the interval (RFC 3550 6.3.1).
    fn interval(&mut self) -> Duration {
        // xorshift64*: spreading is all it is for.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let unit = (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64;
        INTERVAL.mul_f64((0.5 + unit) / COMPENSATION)
    }

    /// There is nowhere to send to yet: tries again after an interval.
    pub fn postpone(&mut self, now: Instant) {
        let wait = self.interval();
        self.due = Some(now + wait);
    }

    /// Takes the peer's report; `sent` packets have gone to it by now, and `came` from it.
    pub fn received(&mut self, now: Instant, digest: &Digest, sent: u64, came: u64) {
        if let Some(ntp) = digest.sender_report {
            self.last_sr = Some((ntp, now));
        }
        if digest.reports {
            self.note_arrival(now, digest, sent);
            self.note_sending(now, digest, came);
        }
        if let Some((ssrc, ntp)) = digest.reference {
            self.reference = Some((ssrc, ntp, now));
        }
        if let Some(metrics) = digest.metrics {
            self.peer = Some(PeerView {
                loss: metrics.loss,
                discard: metrics.discard,
                mos: metrics.conversation.map(|tenths| f32::from(tenths) / 10.0),
            });
        }
        if let Some(delay) = digest.delay {
            self.note_round_trip(now, delay.last, delay.since);
        }
        let Some(block) = digest.block else { return };
        self.peer_fraction_lost = Some(block.fraction_lost);
        self.peer_lost = Some(u32::try_from(block.cumulative_lost).unwrap_or(0));
        self.note_round_trip(now, block.last_sr, block.delay_since_last_sr);
    }

    /// RFC 3550 6.4.1 and RFC 3611 4.5: A - LSR - DLSR in 1/65536 s. What is negative or above 10 s is a peer's mistake.
    fn note_round_trip(&mut self, now: Instant, last: u32, since: u32) {
        let away = rtcp::ntp_middle(now).wrapping_sub(last).wrapping_sub(since);
        if last != 0 && away < 10 << 16 {
            self.round_trip_us = Some(((u64::from(away) * 1_000_000) >> 16) as u32);
        }
    }

    /// Whether anything of ours arrives. Who has heard nothing writes no block about it (RFC 3550 6.4).
    fn note_arrival(&mut self, now: Instant, digest: &Digest, sent: u64) {
        // Who reports of others only does not know us by our SSRC.
        if digest.block.is_none() && (digest.others || self.splits) {
            return;
        }
        let (newest, sent_then) = self.heard;
        let must = sent - sent_then >= MUST_BE_HEARD;
        let (says, lost) = match digest.block {
            Some(block) => (Some(block.highest), block.fraction_lost == u8::MAX),
            None => (newest, false),
        };
        if lost || (must && says == newest) {
            self.unheard = Some(now);
        } else if says != newest {
            self.unheard = None;
        }
        self.heard = (says, sent);
    }

    /// Whether the peer sends what does not come. What it sent since its last report may have come until then.
    fn note_sending(&mut self, now: Instant, digest: &Digest, came: u64) {
        let (sent_then, came_then) = self.peer_sent;
        let sent = digest.sent.unwrap_or(sent_then);
        // RFC 3550 6.4.1: the count wraps, and begins anew with another source.
        let astray = i64::from(sent.wrapping_sub(sent_then) as i32) - (came - came_then) as i64;
        self.peer_sent = (sent, came);
        self.sends = Some((astray >= MUST_BE_HEARD as i64, now));
    }

    /// Writes the report that is due, or the farewell, and sets the next time. Returns its length.
    pub fn write(
        &mut self,
        now: Instant,
        sender: &Sender,
        source: &mut Source,
        metrics: Option<Metrics>,
        goodbye: bool,
        buffer: &mut [u8],
    ) -> usize {
        self.has_reported = true;
        let sending = sender.packets() > self.packets_reported[1];
        self.packets_reported = [sender.packets(), self.packets_reported[0]];
        let block = source.report().map(|block| match self.last_sr {
            Some((ntp, at)) => super::source::Block {
                last_sr: ntp,
                delay_since_last_sr: since(at, now),
                ..block
            },
            None => block,
        });
        let extended = Extended {
            // Who sends learns the round trip from its sender reports.
            reference: (self.xr.round_trip && !sending).then_some(now),
            // Told once: an old reference time says nothing new.
            delay: self.reference.take().map(|(ssrc, last, at)| Delay {
                ssrc,
                last,
                since: since(at, now),
            }),
            metrics,
        };
        let wait = self.interval();
        self.due = Some(now + wait);
        let sent = sending.then(|| (now, sender.sent(now)));
        let compound = Compound {
            ssrc: sender.ssrc(),
            sent,
            block,
            cname: &self.cname,
            extended,
            goodbye,
        };
        rtcp::write(buffer, &compound)
    }
}

/// The time between two instants in 1/65536 s.
fn since(from: Instant, to: Instant) -> u32 {
    ((to.since(from).as_micros() as u64).wrapping_mul(65_536) / 1_000_000) as u32
}
