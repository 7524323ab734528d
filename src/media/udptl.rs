//! Fax by UDPTL (ITU-T T.38): datagrams that go from one peer to the other as they are. They begin with a sequence number of 16 bits and
//! have neither version nor SSRC, so nothing of what sorts and measures RTP is for them; who their sender is, is judged as with RTP.

use super::bridge::Path;
use super::command::Event;
use super::half::Tx;
use super::input::Outputs;
use super::latch::{Sight, Verdict};
use super::leg::Leg;
use super::packet::{Channel, TxBatch};
use super::rtp::{self, Kind};
use crate::time::Instant;
use std::net::SocketAddr;

impl Leg {
    /// What was agreed is UDPTL.
    pub(super) fn is_udptl(&self) -> bool {
        self.rx.stream.is_some_and(|stream| stream.udptl)
    }

    /// Takes a datagram of the peer, and passes it on to who is bridged with it.
    pub(super) fn udptl(
        &mut self,
        now: Instant,
        (channel, from): (Channel, SocketAddr),
        datagram: &[u8],
        to: Option<&mut Tx>,
        out: &mut TxBatch,
        outputs: &mut Outputs,
    ) {
        if !self.takes(now, channel, from, datagram, outputs) {
            self.rx.counts.dropped += 1;
            return;
        }
        self.rx.counts.received += 1;
        (self.rx.last_heard, self.rx.last_taken) = (Some(now), Some(now));
        if let Some(to) = to.filter(|_| self.rx.path == Path::Udptl) {
            pass(datagram, to, out);
        }
    }

    /// Whether a datagram is the peer's, and of the fax.
    fn takes(
        &mut self,
        now: Instant,
        channel: Channel,
        from: SocketAddr,
        datagram: &[u8],
        outputs: &mut Outputs,
    ) -> bool {
        let (Channel::Rtp, Some(sequence)) = (channel, datagram.first_chunk()) else {
            return false;
        };
        let rx = &mut self.rx;
        // Audio that was on its way when the fax began would be a leap in the sequence, and the end of many a fax.
        let is_audio = rx.source.ssrc().is_some_and(|ssrc| is_of(ssrc, datagram));
        let sight = Sight {
            from,
            ssrc: None,
            sequence: u16::from_be_bytes(*sequence),
            agreed: !is_audio,
            proven: false,
        };
        match rx.latch.rtp(now, sight) {
            Verdict::Accept => {}
            Verdict::Latched(is_first) => {
                self.tx.to = rx.latch.destination();
                if is_first {
                    outputs.event(Event::Started(self.id(), from));
                }
            }
            Verdict::Stranger => {
                rx.counts.strangers += 1;
                return false;
            }
        }
        let receives = self.rx.stream.is_some_and(|stream| stream.receives);
        !is_audio && receives && self.rx.pace.takes(now)
    }
}

/// RTP or RTCP of this source.
fn is_of(ssrc: u32, datagram: &[u8]) -> bool {
    let at = match rtp::kind(datagram) {
        Kind::Rtp => 8,
        Kind::Rtcp => 4,
        Kind::Stun | Kind::Dtls | Kind::Unknown => return false,
    };
    datagram.get(at..at + 4) == Some(&ssrc.to_be_bytes())
}

fn pass(datagram: &[u8], to: &mut Tx, out: &mut TxBatch) {
    let Some(route) = to.route() else { return };
    let Some(packet) = out.next(route.leg, Channel::Rtp, route.to) else {
        return;
    };
    // What came fits: it is no longer than a packet of ours may be.
    packet.buffer()[..datagram.len()].copy_from_slice(datagram);
    packet.set_len(datagram.len());
    to.datagrams += 1;
}
