//! What is told of packets that came, as another implementation reads it.

use super::*;
use crate::media::rtcp;
use ::rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
use proptest::prelude::*;

const HEAD: Head<'static> = Head { ssrc: 7, cname: "x" };

fn report(base: u16) -> Report {
    Report {
        of: 0xcafe,
        nth: 255,
        base,
    }
}

/// The packet, and of how many it tells.
fn written(base: u16, ticks: &[Option<u64>]) -> Option<(Vec<u8>, usize)> {
    let mut buffer = [0; crate::limits::RTP_PACKET_BYTES];
    let (len, told) = write(&mut buffer, HEAD, report(base), ticks.iter().copied())?;
    assert!(rtcp::read(&buffer[..len], 0).is_ok());
    Some((buffer[..len].to_vec(), told))
}

/// Of which stream a packet tells, from which number on, and when each came; none where it tells of something else.
pub(crate) fn told(packet: &[u8]) -> Option<(u32, u16, Vec<Option<u64>>)> {
    let packets = ::rtcp::packet::unmarshal(&mut &packet[..]).unwrap();
    let is_it = packets.get(2)?.as_any().is::<TransportLayerCc>();
    is_it.then(|| {
        let (feedback, ticks) = read(packet);
        (feedback.media_ssrc, feedback.base_sequence_number, ticks)
    })
}

/// When each came, by the other implementation: units from its reference time on, in all.
fn read(packet: &[u8]) -> (TransportLayerCc, Vec<Option<u64>>) {
    let packets = ::rtcp::packet::unmarshal(&mut &packet[..]).unwrap();
    let feedback: TransportLayerCc = packets[2].as_any().downcast_ref::<TransportLayerCc>().unwrap().clone();
    let symbols = feedback.packet_chunks.iter().flat_map(|chunk| match chunk {
        PacketStatusChunk::RunLengthChunk(run) => vec![run.packet_status_symbol; run.run_length.into()],
        PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
    });
    let mut deltas = feedback.recv_deltas.iter();
    let mut last = i64::from(feedback.reference_time) * REFERENCE as i64;
    let all = symbols.take(feedback.packet_status_count.into()).map(|symbol| {
        (symbol != SymbolTypeTcc::PacketNotReceived).then(|| {
            last += deltas.next().unwrap().delta / TICK_MICROS as i64;
            last as u64
        })
    });
    let all = all.collect();
    assert!(deltas.next().is_none());
    (feedback, all)
}

fn chunks(ticks: &[Option<u64>]) -> Vec<u16> {
    let (packet, _) = written(0, ticks).unwrap();
    let (feedback, _) = read(&packet);
    // Behind the empty report, our name, the head, both SSRCs, and two words.
    let start = 8 + 12 + 4 + 8 + 8;
    (0..feedback.packet_chunks.len())
        .map(|n| u16::from_be_bytes([packet[start + 2 * n], packet[start + 2 * n + 1]]))
        .collect()
}

/// The draft, 3.1.3 and 3.1.4.
#[test]
fn each_kind_of_chunk_is_used_where_it_is_the_shortest() {
    let steady: Vec<_> = (0..100).map(|n| Some(n * 80)).collect();
    assert_eq!(chunks(&steady), [0x2000 | 100]);
    let mut with_a_gap = steady.clone();
    with_a_gap[3] = None;
    assert_eq!(chunks(&with_a_gap), [0x8000 | 0b11_1011_1111_1111, 0x2000 | 86]);
    let mut slow = steady.clone();
    slow[2..]
        .iter_mut()
        .for_each(|tick| *tick = tick.map(|tick| tick + 300));
    assert_eq!(chunks(&slow), [0xc000 | 0b01_01_10_01_01_01_01, 0x2000 | 93]);
    let far: Vec<_> = (0..8).map(|n| Some(n * 400)).collect();
    assert_eq!(chunks(&far), [0xc000 | 0b01_10_10_10_10_10_10, 0x4000 | 1]);
    let mut lost = vec![None; 20];
    lost.push(Some(5));
    assert_eq!(chunks(&lost), [20, 0x2001]);
}

#[test]
fn what_came_out_of_order_has_a_negative_time_and_a_long_pause_ends_the_packet() {
    let ticks = [Some(1_000), Some(990), None, Some(1_001)];
    let (packet, told) = written(65_534, &ticks).unwrap();
    let (feedback, read) = read(&packet);
    assert_eq!((told, read), (4, ticks.to_vec()));
    assert_eq!((feedback.sender_ssrc, feedback.media_ssrc), (7, 0xcafe));
    assert_eq!((feedback.base_sequence_number, feedback.fb_pkt_count), (65_534, 255));
    let (_, told) = written(0, &[Some(10), None, Some(40_000), Some(40_001)]).unwrap();
    assert_eq!(told, 2);
    assert_eq!(written(0, &[None, None]), None);
    // 24 bits of reference time wrap after twelve days.
    let (packet, _) = written(0, &[Some((1 << 24) * REFERENCE + 3)]).unwrap();
    assert_eq!(self::read(&packet).1, [Some(3)]);
}

proptest! {
    #[test]
    fn another_implementation_reads_what_we_tell(
        base: u16,
        came in proptest::collection::vec((0u8..10, 0u64..2_000), 1..600),
        start in 0u64..1_000_000,
    ) {
        let mut last = start;
        let ticks: Vec<_> = came.iter().map(|(kind, step)| match kind {
            0..=2 => None,
            3 => { last += step; Some(last) }
            4 => Some(last.saturating_sub(step / 8)),
            _ => { last += step % 60; Some(last) }
        }).collect();
        match written(base, &ticks) {
            None => prop_assert!(ticks.iter().take(STATUSES).all(Option::is_none)),
            Some((packet, told)) => {
                prop_assert_eq!(told, ticks.len().min(STATUSES));
                prop_assert_eq!(packet.len() % 4, 0);
                let (_, read) = read(&packet);
                prop_assert_eq!(&read[..], &ticks[..told]);
            }
        }
    }
}
