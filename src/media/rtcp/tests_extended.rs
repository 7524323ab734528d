use super::*;
use crate::media::rtcp::{self, Compound};
use ::rtcp::extended_report::{
    DLRRReport, DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock, VoIPMetricsReportBlock,
};
use proptest::prelude::*;
use std::time::Duration;
use webrtc_util::marshal::Marshal;

fn metrics() -> Metrics {
    Metrics {
        ssrc: 9,
        loss: 12,
        discard: 13,
        bursts: Summary {
            burst_density: 84,
            gap_density: 10,
            burst_ms: 120,
            gap_ms: 520,
        },
        round_trip_ms: 300,
        end_system_ms: 0,
        signal: Some(-18),
        noise: None,
        rating: Some(93),
        listening: Some(44),
        conversation: Some(43),
        buffer: Buffer {
            config: 0xe0,
            nominal_ms: 0,
            maximum_ms: 40,
            absolute_ms: 41,
        },
    }
}

fn compound(extended: Extended) -> Vec<u8> {
    let compound = Compound {
        ssrc: 7,
        sent: None,
        block: None,
        cname: "name",
        extended,
        goodbye: true,
    };
    let mut buffer = [0; 256];
    let len = rtcp::write(&mut buffer, &compound);
    buffer[..len].to_vec()
}

fn all() -> Extended {
    Extended {
        reference: Some(Instant::ZERO + Duration::from_millis(2_500)),
        delay: Some(Delay {
            ssrc: 9,
            last: 0x1234_5678,
            since: 65_536,
        }),
        metrics: Some(metrics()),
    }
}

/// As the crate `rtcp` writes it.
fn theirs() -> VoIPMetricsReportBlock {
    VoIPMetricsReportBlock {
        ssrc: 9,
        loss_rate: 12,
        discard_rate: 13,
        burst_density: 84,
        gap_density: 10,
        burst_duration: 120,
        gap_duration: 520,
        round_trip_delay: 300,
        end_system_delay: 0,
        signal_level: (-18i8) as u8,
        noise_level: 127,
        rerl: 127,
        gmin: 16,
        rfactor: 93,
        ext_rfactor: 127,
        mos_lq: 44,
        mos_cq: 43,
        rx_config: 0xe0,
        reserved: 0,
        jb_nominal: 0,
        jb_maximum: 40,
        jb_abs_max: 41,
    }
}

#[test]
fn another_implementation_reads_what_we_write() {
    let bytes = compound(all());
    let packets = ::rtcp::packet::unmarshal(&mut &bytes[..]).unwrap();
    assert_eq!(packets.len(), 4, "report, description, extended report, farewell");
    let report = packets[2].as_any().downcast_ref::<ExtendedReport>().unwrap();
    assert_eq!((report.sender_ssrc, report.reports.len()), (7, 3));
    let [reference, delay, metrics] = [0, 1, 2].map(|n| report.reports[n].as_any());
    let reference = reference.downcast_ref::<ReceiverReferenceTimeReportBlock>().unwrap();
    assert_eq!(reference.ntp_timestamp, 2 << 32 | 1 << 31);
    let delay = delay.downcast_ref::<DLRRReportBlock>().unwrap();
    let sub = DLRRReport {
        ssrc: 9,
        last_rr: 0x1234_5678,
        dlrr: 65_536,
    };
    assert_eq!(delay.reports, [sub]);
    assert_eq!(metrics.downcast_ref::<VoIPMetricsReportBlock>(), Some(&theirs()));
    // The largest that there can be has its room.
    let largest = Compound {
        ssrc: 7,
        sent: Some((
            Instant::ZERO,
            rtcp::Sent {
                ssrc: 7,
                timestamp: 1,
                packets: 1,
                octets: 1,
            },
        )),
        block: Some(rtcp::Block::default()),
        cname: &"x".repeat(200),
        extended: all(),
        goodbye: true,
    };
    assert!(rtcp::write(&mut [0; 256], &largest) <= 256);
}

#[test]
fn we_read_what_another_implementation_writes() {
    let dlrr = |ssrc, last_rr| DLRRReport { ssrc, last_rr, dlrr: 3 };
    let report = ExtendedReport {
        sender_ssrc: 7,
        reports: vec![
            Box::new(ReceiverReferenceTimeReportBlock {
                ntp_timestamp: 0x1111_2222_3333_4444,
            }),
            Box::new(DLRRReportBlock {
                reports: vec![dlrr(1, 5), dlrr(9, 6)],
            }),
            Box::new(VoIPMetricsReportBlock { ssrc: 1, ..theirs() }),
            Box::new(theirs()),
        ],
    };
    let digest = rtcp::read(&report.marshal().unwrap(), 9).unwrap();
    assert_eq!(digest.reference, Some((7, 0x2222_3333)));
    assert_eq!(
        digest.delay,
        Some(Delay {
            ssrc: 9,
            last: 6,
            since: 3
        })
    );
    assert_eq!(digest.metrics, Some(metrics()));
    assert!(!digest.reports);
    let others = rtcp::read(&report.marshal().unwrap(), 8).unwrap();
    assert_eq!((others.delay, others.metrics), (None, None), "what is said of others");
}

#[test]
fn nothing_to_say_is_not_said_and_what_is_out_of_range_is_not_heard() {
    let bytes = compound(Extended::default());
    assert_eq!(::rtcp::packet::unmarshal(&mut &bytes[..]).unwrap().len(), 3);
    let odd = VoIPMetricsReportBlock {
        rfactor: 101,
        mos_lq: 9,
        mos_cq: 51,
        signal_level: 127,
        ..theirs()
    };
    let report = ExtendedReport {
        sender_ssrc: 7,
        reports: vec![Box::new(odd)],
    };
    let read = rtcp::read(&report.marshal().unwrap(), 9).unwrap().metrics.unwrap();
    assert_eq!(
        (read.rating, read.listening, read.conversation, read.signal),
        (None, None, None, None)
    );
}

/// RFC 3611 3: what is unknown is passed over; RFC 3550 A.2: a length that leads beyond the packet spoils all of it.
#[test]
fn unknown_blocks_are_passed_over_and_wrong_lengths_refused() {
    let packet = |blocks: &[u8]| {
        let words = (4 + blocks.len()) / 4;
        [&[0x80, PACKET_TYPE, 0, words as u8, 0, 0, 0, 7][..], blocks].concat()
    };
    let reference = [4, 0, 0, 2, 0, 0, 0, 1, 0x80, 0, 0, 0];
    let with = |before: &[u8]| rtcp::read(&packet(&[before, &reference].concat()), 9).map(|digest| digest.reference);
    assert_eq!(with(&[]), Ok(Some((7, 1 << 16 | 0x8000))));
    assert_eq!(with(&[99, 0, 0, 1, 1, 2, 3, 4]), Ok(Some((7, 1 << 16 | 0x8000))));
    assert_eq!(
        with(&[7, 0, 0, 1, 0, 0, 0, 9]),
        Ok(Some((7, 1 << 16 | 0x8000))),
        "metrics of a wrong length"
    );
    assert_eq!(with(&[99, 0, 0, 4]), Err(Malformed::Truncated));
    assert_eq!(
        rtcp::read(&packet(&[4, 0, 0, 2, 0, 0, 0, 1]), 9),
        Err(Malformed::Truncated)
    );
    assert_eq!(rtcp::read(&[0x80, PACKET_TYPE, 0, 0], 9), Err(Malformed::Truncated));
    // Padding is no block (RFC 3550 6.4.1), and cannot be longer than the packet.
    let mut padded = packet(&[&reference[..], &[0, 0, 0, 4]].concat());
    padded[0] |= 0x20;
    assert_eq!(rtcp::read(&padded, 9).unwrap().reference, Some((7, 1 << 16 | 0x8000)));
    let last = padded.len() - 1;
    padded[last] = 200;
    assert_eq!(rtcp::read(&padded, 9), Err(Malformed::Truncated));
}

proptest! {
    #[test]
    fn any_metrics_come_back(octets in any::<[u8; METRICS_BYTES]>()) {
        let read = Metrics::read(&octets);
        prop_assert_eq!(Metrics::read(&read.octets()), read);
    }
}
