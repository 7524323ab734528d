//! Where a leg's peer really is: symmetric RTP (RFC 4961) that a third party can neither start nor take over.
//!
//! The SDP says where to send. A peer behind NAT says it wrongly, so the source of its packets corrects it. Whoever sends
//! to our port could then have the call sent to himself (RTPbleed), so a source is believed only for a reason:
//!
//! | source of the packet            | nothing latched           | latched, alive                    | latched, silent for `STALE` |
//! |---------------------------------|---------------------------|-----------------------------------|-----------------------------|
//! | the latched address             | -                         | accept                            | accept                      |
//! | same IP, same SSRC, goes on     | -                         | follow (NAT rebinding)            | follow                      |
//! | any, opened by the peer's key   | latch                     | follow once it is silent (`MOVED`) | follow                     |
//! | exactly the SDP's address       | latch                     | latch unless the latch is `Exact` | latch                       |
//! | the signalling IP               | latch                     | latch if the latch is `Learned`   | latch                       |
//! | the SDP's IP, another port      | latch                     | latch if the latch is `Learned`   | latch                       |
//! | any other, peer behind NAT      | candidate, in the window  | stranger                          | stranger                    |
//! | any other                       | stranger                  | stranger                          | stranger                    |
//!
//! - "Goes on" means a sequence number at most `CONTINUES` ahead: an attacker who sees no packet must guess 32 bits of SSRC.
//! - The exact address takes over from another port of a named host: a gateway's stray packets of an earlier call may come first.
//! - "Behind NAT" means that the SDP's address is private and the signalling came from a public one: only then can the
//!   peer's media come from an address that nobody named (several public addresses, an outbound proxy).
//! - A candidate is latched (`Learned`) when it alone has sent `CANDIDATE_PACKETS` in sequence, over `CANDIDATE_TIME`. A second
//!   candidate starts the count again, so of two that race neither wins: silence is better than a call given to a thief.
//! - The window for candidates is `WINDOW` after each negotiation until something is latched. The other reasons need none.
//! - UDPTL is judged by the same table. It has no SSRC, so its peer is not followed within its host: it is believed again as one that
//!   is silent, or at the SDP's address.
//! - A new RTP address in the SDP begins a new latch. The same address again (a refresh, hold) keeps it. Where another end of a fork
//!   may have answered (`Remote::forks`), from another port of the latched host, the old port is not believed for `LEFT`: that end goes on.
//! - Nothing is latched by a packet with an unknown payload type.
//!
//! Strangers are counted and dropped. Until something is latched, we send to the SDP's address.

use super::command::Remote;
use crate::time::Instant;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A latched peer that has not sent for this long may be replaced by another source that we have a reason to believe.
pub const STALE: Duration = Duration::from_secs(2);
/// A latched peer whose key we have may be elsewhere once it was not heard for this long. Sooner, a copy of a packet that is
/// faster than the packet itself would turn the call to whoever made the copy.
const MOVED: Duration = Duration::from_millis(200);
/// How long after a negotiation an unnamed source may be learned: the first seconds, while the peer's NAT is being found out.
pub const WINDOW: Duration = Duration::from_secs(10);
/// How long another end of a fork is not believed to be the one that has answered: who is at the new port, and waits for a packet of ours before it
/// sends one, has got it by then.
const LEFT: Duration = Duration::from_millis(500);
/// Packets in sequence that an unnamed source must send.
const CANDIDATE_PACKETS: u16 = 20;
/// How long it must have been the only one.
const CANDIDATE_TIME: Duration = Duration::from_millis(400);
/// How far ahead a sequence number may be to continue the stream: 2 s of packets of 10 ms, lost while a NAT rebinds.
const CONTINUES: u16 = 200;

/// Why the latched address is believed, the weakest reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// It was the only one to send.
    Learned,
    /// Its IP was named by SDP or signalling.
    Named,
    /// It is the SDP's address.
    Exact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Latched {
    from: SocketAddr,
    reason: Reason,
    ssrc: Option<u32>,
    sequence: u16,
    heard: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    from: SocketAddr,
    ssrc: Option<u32>,
    sequence: u16,
    packets: u16,
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No SDP yet: nobody is believed.
    Closed,
    /// Waiting for the first packet that is believed.
    Learning {
        until: Instant,
        candidate: Option<Candidate>,
        /// Where the peer was, and until when it is not believed to be there still.
        before: Option<(SocketAddr, Instant)>,
    },
    /// The peer is there.
    Latched(Latched),
}

/// What of a packet matters here.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Where it came from.
    pub from: SocketAddr,
    /// Its SSRC; UDPTL has none, and nobody is followed by what anybody could guess.
    pub ssrc: Option<u32>,
    /// Its sequence number.
    pub sequence: u16,
    /// Its payload type is one that was agreed.
    pub agreed: bool,
    /// It was opened by a key that only the peer has.
    pub proven: bool,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the peer's.
    Accept,
    /// It is the peer's, and we send to where it came from, from now on; true for the first latch of a negotiated address.
    Latched(bool),
    /// To be counted and dropped.
    Stranger,
}

/// The latch of one leg.
#[derive(Clone, Copy, Debug)]
pub struct Latch {
    remote: Option<Remote>,
    state: State,
    /// Where RTCP of the peer last came from.
    rtcp: Option<SocketAddr>,
}

impl Default for Latch {
    fn default() -> Self {
        Self {
            remote: None,
            state: State::Closed,
            rtcp: None,
        }
    }
}

impl Latch {
    /// Takes what the SDP says; a new RTP address begins a new latch, true.
    pub fn negotiated(&mut self, now: Instant, remote: Remote) -> bool {
        let renewed = self.remote.is_none_or(|old| old.rtp != remote.rtp);
        self.remote = Some(remote);
        let before = match self.state {
            State::Latched(_) if !renewed => return false,
            State::Latched(latched) => remote.forks.then_some((latched.from, now + LEFT)),
            State::Learning { before, .. } => before,
            State::Closed => None,
        };
        self.state = State::Learning {
            until: now + WINDOW,
            candidate: None,
            before: before.filter(|(from, _)| from.ip() == remote.rtp.ip()),
        };
        if renewed {
            self.rtcp = None;
        }
        renewed
    }

    /// Judges a packet of RTP or UDPTL by the table above.
    pub fn rtp(&mut self, now: Instant, sight: Sight) -> Verdict {
        let Some(remote) = self.remote else {
            return Verdict::Stranger;
        };
        match self.state {
            State::Closed => Verdict::Stranger,
            State::Latched(latched) => self.rtp_latched(now, sight, latched, &remote),
            State::Learning {
                until,
                candidate,
                before,
            } if sight.agreed => {
                let is_old = before.is_some_and(|(from, until)| from == sight.from && now < until);
                if is_old && sight.from != remote.rtp && !sight.proven {
                    return Verdict::Stranger;
                }
                let proven = sight.proven.then_some(Reason::Named);
                if let Some(reason) = named(sight.from, &remote).or(proven) {
                    self.latch(now, sight, reason);
                    return Verdict::Latched(true);
                }
                if now > until || !is_behind_nat(&remote) {
                    return Verdict::Stranger;
                }
                let candidate = next_candidate(now, sight, candidate);
                if candidate.packets >= CANDIDATE_PACKETS && now.since(candidate.since) >= CANDIDATE_TIME {
                    self.latch(now, sight, Reason::Learned);
                    return Verdict::Latched(true);
                }
                self.state = State::Learning {
                    until,
                    candidate: Some(candidate),
                    before,
                };
                Verdict::Stranger
            }
            State::Learning { .. } => Verdict::Stranger,
        }
    }

    fn rtp_latched(&mut self, now: Instant, sight: Sight, mut latched: Latched, remote: &Remote) -> Verdict {
        if sight.from == latched.from {
            latched.ssrc = sight.ssrc;
            latched.sequence = sight.sequence;
            latched.heard = now;
            self.state = State::Latched(latched);
            return Verdict::Accept;
        }
        if !sight.agreed {
            return Verdict::Stranger;
        }
        let ahead = sight.sequence.wrapping_sub(latched.sequence);
        // One that was held back on its way, by whomever, does not turn the call around: what came after it is newer.
        let is_newer = sight.ssrc != latched.ssrc || (1..1 << 15).contains(&ahead);
        if sight.proven && is_newer && now.since(latched.heard) >= MOVED {
            self.latch(now, sight, latched.reason);
            return Verdict::Latched(false);
        }
        let same_host = sight.from.ip() == latched.from.ip();
        let same_source = sight.ssrc.is_some() && sight.ssrc == latched.ssrc;
        if same_host && same_source && (1..=CONTINUES).contains(&ahead) {
            self.latch(now, sight, latched.reason.min(Reason::Named));
            return Verdict::Latched(false);
        }
        match named(sight.from, remote) {
            Some(reason) if reason > latched.reason || now.since(latched.heard) >= STALE => {
                self.latch(now, sight, reason);
                Verdict::Latched(false)
            }
            Some(_) | None => Verdict::Stranger,
        }
    }

    fn latch(&mut self, now: Instant, sight: Sight, reason: Reason) {
        let Sight {
            from,
            ssrc,
            sequence,
            agreed: _,
            proven: _,
        } = sight;
        self.state = State::Latched(Latched {
            from,
            reason,
            ssrc,
            sequence,
            heard: now,
        });
    }

    /// Where RTP goes: the latched address, else the SDP's; `None` before the SDP and for 0.0.0.0 (an old form of hold).
    pub fn destination(&self) -> Option<SocketAddr> {
        let to = match self.state {
            State::Closed => return None,
            State::Learning { .. } => self.remote?.rtp,
            State::Latched(latched) => latched.from,
        };
        (!to.ip().is_unspecified() && to.port() != 0).then_some(to)
    }

    /// True when an RTCP packet from here may be believed: it comes from the host that RTP comes from, or that was named.
    pub fn rtcp(&mut self, from: SocketAddr) -> bool {
        let Some(remote) = self.remote else { return false };
        let believed = match self.state {
            State::Closed => false,
            State::Learning { .. } => from == remote.rtcp || named(from, &remote).is_some(),
            State::Latched(latched) => from.ip() == latched.from.ip(),
        };
        if believed {
            self.rtcp = Some(from);
        }
        believed
    }

    /// Where RTCP goes: where it comes from, else with RTP when multiplexed, else as the SDP says; behind a NAT that the latch
    /// found, the port after the latched one is the best guess (RFC 3550 11).
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        let remote = self.remote?;
        let rtp = self.destination()?;
        if remote.rtcp_mux {
            return Some(rtp);
        }
        if let Some(heard) = self.rtcp.filter(|heard| heard.ip() == rtp.ip()) {
            return Some(heard);
        }
        if rtp.ip() == remote.rtp.ip() && !remote.rtcp.ip().is_unspecified() && remote.rtcp.port() != 0 {
            return Some(remote.rtcp);
        }
        rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port))
    }

    /// True when RTP and RTCP share a port.
    pub fn is_rtcp_mux(&self) -> bool {
        self.remote.is_some_and(|remote| remote.rtcp_mux)
    }
}

/// How far SDP or signalling have named this source.
fn named(from: SocketAddr, remote: &Remote) -> Option<Reason> {
    if from == remote.rtp {
        Some(Reason::Exact)
    } else if from.ip() == remote.rtp.ip() || from.ip() == remote.signalling {
        Some(Reason::Named)
    } else {
        None
    }
}

fn is_behind_nat(remote: &Remote) -> bool {
    is_private(remote.rtp.ip()) && !is_private(remote.signalling)
}

/// Addresses that mean something only inside the peer's own network (RFC 1918, 6598, 3927, 4193, 4291). Loopback is not
/// among them: who says 127.0.0.1 is on this host.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || v4.is_unspecified() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// The candidate after one more packet of an unnamed source: counted if it goes on, else a new count.
fn next_candidate(now: Instant, sight: Sight, candidate: Option<Candidate>) -> Candidate {
    match candidate {
        Some(old) if old.from == sight.from && old.ssrc == sight.ssrc => {
            let ahead = sight.sequence.wrapping_sub(old.sequence);
            if (1..=CONTINUES).contains(&ahead) {
                Candidate {
                    sequence: sight.sequence,
                    packets: old.packets.saturating_add(1),
                    ..old
                }
            } else {
                old
            }
        }
        Some(_) | None => Candidate {
            from: sight.from,
            ssrc: sight.ssrc,
            sequence: sight.sequence,
            packets: 1,
            since: now,
        },
    }
}

#[cfg(test)]
#[path = "latch/tests.rs"]
mod tests;
