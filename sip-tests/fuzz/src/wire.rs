//! Any octets as RTP and as RTCP: no length leads beyond the datagram, and what we take other implementations read the same way.

use ::rtcp::receiver_report::ReceiverReport;
use ::rtcp::reception_report::ReceptionReport;
use ::rtcp::sender_report::SenderReport;
use ::rtp::packet::Packet as Oracle;
use tandem::media::packet::Packet;
use tandem::media::rtcp::{self, RECEIVER_REPORT, SENDER_REPORT};
use tandem::media::rtp::{HEADER_BYTES, Header, Kind, View, head_octets, kind};
use webrtc_util::marshal::Unmarshal;

/// Profiles of header extensions into which the crate `rtp` looks: on crafted ones it panics (RFC 8285).
const LOOKED_INTO: [[u8; 2]; 2] = [[0xbe, 0xde], [0x10, 0x00]];
const GOODBYE: u8 = 203;

/// Any octets as one RTP packet.
pub fn rtp(octets: &[u8]) {
    let Ok(view) = View::parse(octets) else { return };
    assert!(matches!(kind(octets), Kind::Rtp | Kind::Rtcp), "a packet of version 2");
    let head = head_octets(octets).expect("what has a payload has a header");
    let start = view.payload.as_ptr() as usize - octets.as_ptr() as usize;
    assert!(start == head && start + view.payload.len() <= octets.len());

    let ours = (view.marker, view.payload_type, view.sequence, view.timestamp, view.ssrc);
    if !is_looked_into(octets) {
        let theirs = Oracle::unmarshal(&mut &*octets).expect("what we take, the crate rtp takes");
        let header = theirs.header;
        let numbers = (header.sequence_number, header.timestamp, header.ssrc);
        assert_eq!(
            ours,
            (header.marker, header.payload_type, numbers.0, numbers.1, numbers.2)
        );
        assert_eq!(theirs.payload, view.payload);
    }
    written_again(&view);
}

fn is_looked_into(octets: &[u8]) -> bool {
    let start = HEADER_BYTES + 4 * usize::from(octets[0] & 0x0f);
    let profile = octets.get(start..start + 2);
    octets[0] & 0x10 != 0 && LOOKED_INTO.iter().any(|known| profile == Some(&known[..]))
}

/// What was read, under a header of ours, is read back.
fn written_again(view: &View<'_>) {
    let header = Header {
        marker: view.marker,
        payload_type: view.payload_type,
        sequence: view.sequence,
        timestamp: view.timestamp,
        ssrc: view.ssrc,
    };
    let mut packet = Packet::default();
    let Some(space) = header.write(&mut packet).get_mut(..view.payload.len()) else {
        return;
    };
    space.copy_from_slice(view.payload);
    packet.set_len(HEADER_BYTES + view.payload.len());
    assert_eq!(View::parse(packet.as_slice()).as_ref(), Ok(view));
}

/// Any octets as one compound RTCP packet; the first four are our SSRC.
pub fn rtcp(octets: &[u8]) {
    let Some((ours, datagram)) = octets.split_first_chunk::<4>() else {
        return;
    };
    let ours = u32::from_be_bytes(*ours);
    let Ok(digest) = rtcp::read(datagram, ours) else { return };
    let block = digest.block.map(|block| {
        // 24 bits, signed (RFC 3550 6.4.1); the crate leaves them as they are.
        let lost = block.cumulative_lost as u32 & 0xff_ffff;
        let numbers = [block.highest, block.jitter, block.last_sr, block.delay_since_last_sr];
        (block.ssrc, block.fraction_lost, lost, numbers)
    });
    let theirs = read_by_the_crate(datagram, ours);
    assert_eq!((digest.sender_report, block, digest.goodbye), theirs);
}

type Block = (u32, u8, u32, [u32; 4]);

/// The middle of the last NTP timestamp, the last block about us, a farewell. All lengths were checked by our own reader.
fn read_by_the_crate(datagram: &[u8], ours: u32) -> (Option<u32>, Option<Block>, bool) {
    let (mut time, mut block, mut goodbye) = (None, None, false);
    let mut rest = datagram;
    while let Some(header) = rest.first_chunk::<4>() {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (mut packet, after) = rest.split_at(length);
        let reports = match header[1] {
            SENDER_REPORT => {
                let report = SenderReport::unmarshal(&mut packet).expect("what we take, the crate rtcp takes");
                time = Some((report.ntp_time >> 16) as u32);
                report.reports
            }
            RECEIVER_REPORT => {
                let report = ReceiverReport::unmarshal(&mut packet);
                report.expect("what we take, the crate rtcp takes").reports
            }
            kind => {
                goodbye |= kind == GOODBYE;
                Vec::new()
            }
        };
        let about_us = reports.iter().find(|report| report.ssrc == ours);
        block = about_us.map(read_block).or(block);
        rest = after;
    }
    assert!(rest.is_empty(), "octets that are left over were taken");
    (time, block, goodbye)
}

fn read_block(report: &ReceptionReport) -> Block {
    let numbers = [
        report.last_sequence_number,
        report.jitter,
        report.last_sender_report,
        report.delay,
    ];
    (report.ssrc, report.fraction_lost, report.total_lost, numbers)
}
