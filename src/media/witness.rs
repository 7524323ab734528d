//! A second opinion on what arrives at a leg's sockets, for the demo.
//!
//! The packet path counts for itself; this counts beside it, by the readers of the `rtp` and `rtcp` crates. They see only
//! octets whose lengths our own view has checked, and no header extension: `rtp` panics on crafted ones.

use super::packet::Channel;
use super::rtcp;
use super::rtp::{Kind, View, kind};
use ::rtcp::receiver_report::ReceiverReport;
use ::rtcp::reception_report::ReceptionReport;
use ::rtcp::sender_report::SenderReport;
use ::rtp::packet::Packet;
use std::collections::BTreeSet;
use webrtc_util::marshal::Unmarshal;

/// Objections that are kept: the first ones tell what is wrong.
const OBJECTIONS: usize = 8;

/// What was seen at one leg from its opening to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// RTP packets.
    pub packets: u64,
    /// Sequence numbers that never came (RFC 3550 A.3).
    pub missing: u64,
    /// Sequence numbers that came behind a higher one, or twice.
    pub disordered: u64,
    /// Different sources in a row.
    pub sources: u32,
    /// All payload types.
    pub payload_types: BTreeSet<u8>,
    /// Those that offer and answer allow.
    pub agreed: BTreeSet<u8>,
    /// Packets with the marker bit: each begins a talkspurt or an event.
    pub markers: u64,
    /// Packets of audio whose timestamp does not go on where the one before ended, and no marker says why.
    pub jumps: u64,
    /// RTCP packets with a report.
    pub reports: u64,
    /// Packets that the other side says it has sent, in its last sender report.
    pub sent: Option<u32>,
    /// Packets of ours that the other side says it has lost, in its last report.
    pub peer_lost: Option<i32>,
    /// What no packet from a node of ours should be, as sentences.
    pub objections: Vec<String>,
}

/// The packet before.
#[derive(Clone, Copy, Debug)]
struct Last {
    ssrc: u32,
    /// The highest sequence number, counted on over its wraps.
    highest: u64,
    payload_type: u8,
    timestamp: u32,
    /// Between two packets of audio in a row: the first step is what the others are held against.
    step: Option<u32>,
}

/// Looks at every datagram of one leg in the order of arrival.
#[derive(Debug, Default)]
pub struct Witness {
    /// Our own SSRC: blocks about it are about us.
    ours: u32,
    /// Payload type of the audio that was agreed.
    audio: Option<u8>,
    last: Option<Last>,
    seen: Testimony,
}

impl Witness {
    /// For a leg that sends with this SSRC.
    pub fn new(ours: u32) -> Witness {
        Witness {
            ours,
            ..Witness::default()
        }
    }

    /// What was agreed, from now on: the payload types of audio and of telephone events.
    pub fn agreed(&mut self, audio: u8, events: Option<u8>) {
        self.audio = Some(audio);
        self.seen.agreed.extend([audio].into_iter().chain(events));
    }

    /// One datagram.
    pub fn datagram(&mut self, channel: Channel, octets: &[u8]) {
        let read = match (kind(octets), channel) {
            (Kind::Rtp, Channel::Rtp) => self.media(octets),
            (Kind::Rtcp, Channel::Rtp | Channel::Rtcp) => self.report(octets),
            (other, _) => Err(format!("{other:?} came by the {channel:?} port")),
        };
        if let Err(why) = read
            && self.seen.objections.len() < OBJECTIONS
        {
            self.seen.objections.push(why);
        }
    }

    /// All that was seen.
    pub fn testimony(&self) -> &Testimony {
        &self.seen
    }

    fn media(&mut self, octets: &[u8]) -> Result<(), String> {
        let view = View::parse(octets).map_err(|why| format!("an RTP header is wrong: {why:?}"))?;
        if octets[0] & 0x10 != 0 {
            return Err("an RTP packet has a header extension, which the node never sends".to_owned());
        }
        let packet =
            Packet::unmarshal(&mut &*octets).map_err(|why| format!("the crate rtp cannot read a packet: {why}"))?;
        let header = &packet.header;
        let ours = (view.marker, view.payload_type, view.sequence, view.timestamp, view.ssrc);
        let theirs = (
            header.marker,
            header.payload_type,
            header.sequence_number,
            header.timestamp,
            header.ssrc,
        );
        if ours != theirs || packet.payload != view.payload {
            return Err(format!(
                "a packet reads {ours:?} by our view and {theirs:?} by the crate rtp"
            ));
        }
        self.seen.packets += 1;
        self.seen.markers += u64::from(header.marker);
        self.seen.payload_types.insert(header.payload_type);
        self.follow(header.ssrc, header.sequence_number, header);
        Ok(())
    }

    /// Holds a packet against the one before.
    fn follow(&mut self, ssrc: u32, sequence: u16, header: &::rtp::header::Header) {
        let (payload_type, timestamp) = (header.payload_type, header.timestamp);
        let Some(last) = self.last.filter(|last| last.ssrc == ssrc) else {
            self.seen.sources += 1;
            self.last = Some(Last {
                ssrc,
                highest: u64::from(sequence),
                payload_type,
                timestamp,
                step: None,
            });
            return;
        };
        let ahead = sequence.wrapping_sub(last.highest as u16);
        if ahead == 0 || ahead > u16::MAX / 2 {
            self.seen.disordered += 1;
            // It came after all, unless it came twice.
            self.seen.missing = self.seen.missing.saturating_sub(u64::from(ahead != 0));
            return;
        }
        self.seen.missing += u64::from(ahead) - 1;
        let mut step = last.step;
        let is_audio = self.audio == Some(payload_type) && last.payload_type == payload_type;
        if is_audio && ahead == 1 && !header.marker {
            let taken = timestamp.wrapping_sub(last.timestamp);
            self.seen.jumps += u64::from(*step.get_or_insert(taken) != taken);
        }
        self.last = Some(Last {
            ssrc,
            highest: last.highest + u64::from(ahead),
            payload_type,
            timestamp,
            step,
        });
    }

    fn report(&mut self, octets: &[u8]) -> Result<(), String> {
        // Checks every length of the compound packet, report blocks included.
        rtcp::read(octets, self.ours).map_err(|why| format!("an RTCP packet is wrong: {why:?}"))?;
        let unread = |why| format!("the crate rtcp cannot read a report: {why}");
        let mut rest = octets;
        while let Some(header) = rest.first_chunk::<4>() {
            let length = 4 + 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
            let (mut packet, after) = rest.split_at(length);
            match header[1] {
                rtcp::SENDER_REPORT => {
                    let report = SenderReport::unmarshal(&mut packet).map_err(unread)?;
                    self.seen.reports += 1;
                    self.seen.sent = Some(report.packet_count);
                    self.blocks(&report.reports);
                }
                rtcp::RECEIVER_REPORT => {
                    let report = ReceiverReport::unmarshal(&mut packet).map_err(unread)?;
                    self.seen.reports += 1;
                    self.blocks(&report.reports);
                }
                // Names and farewells count nothing.
                _ => {}
            }
            rest = after;
        }
        Ok(())
    }

    fn blocks(&mut self, blocks: &[ReceptionReport]) {
        if let Some(block) = blocks.iter().find(|block| block.ssrc == self.ours) {
            // 24 bits, signed (RFC 3550 6.4.1).
            self.seen.peer_lost = Some((block.total_lost << 8) as i32 >> 8);
        }
    }
}

#[cfg(test)]
#[path = "witness/tests.rs"]
mod tests;
