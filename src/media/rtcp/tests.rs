use super::*;
use ::rtcp::goodbye::Goodbye;
use ::rtcp::receiver_report::ReceiverReport;
use ::rtcp::sender_report::SenderReport;
use ::rtcp::source_description::SourceDescription;
use proptest::prelude::*;
use std::time::Duration;

fn compound(sends: bool, cname: &str) -> Vec<u8> {
    let now = Instant::ZERO + Duration::from_millis(2_500);
    let sent = Sent {
        ssrc: 7,
        timestamp: 20_000,
        packets: 125,
        octets: 20_000,
    };
    let block = Block {
        ssrc: 9,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest: 70_001,
        jitter: 12,
        last_sr: 0x1234_5678,
        delay_since_last_sr: 65_536,
    };
    let compound = Compound {
        ssrc: 7,
        sent: sends.then_some((now, sent)),
        block: Some(block),
        cname,
        extended: Extended::default(),
        goodbye: true,
    };
    let mut buffer = [0; 256];
    let len = write(&mut buffer, &compound);
    buffer[..len].to_vec()
}

#[test]
fn another_implementation_reads_what_we_write() {
    for cname in ["", "a", "abc", "dGhpcyBpcyBhIHRlc3Q", &"x".repeat(200)] {
        for sends in [true, false] {
            let bytes = compound(sends, cname);
            let packets = ::rtcp::packet::unmarshal(&mut &bytes[..]).unwrap();
            assert_eq!(packets.len(), 3);
            let report = if sends {
                let sr = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
                assert_eq!((sr.ssrc, sr.ntp_time, sr.rtp_time), (7, 2 << 32 | 1 << 31, 20_000));
                assert_eq!((sr.packet_count, sr.octet_count), (125, 20_000));
                sr.reports[0].clone()
            } else {
                packets[0].as_any().downcast_ref::<ReceiverReport>().unwrap().reports[0].clone()
            };
            assert_eq!(
                (report.ssrc, report.fraction_lost, report.total_lost),
                (9, 64, 0xff_fffd)
            );
            assert_eq!((report.last_sequence_number, report.jitter), (70_001, 12));
            assert_eq!((report.last_sender_report, report.delay), (0x1234_5678, 65_536));
            let sdes = packets[1].as_any().downcast_ref::<SourceDescription>().unwrap();
            assert_eq!(
                sdes.chunks[0].items[0].text,
                &cname.as_bytes()[..cname.len().min(CNAME_BYTES)]
            );
            assert_eq!(packets[2].as_any().downcast_ref::<Goodbye>().unwrap().sources, [7]);
        }
    }
}

#[test]
fn we_read_what_we_write() {
    let digest = read(&compound(true, "name"), 9).unwrap();
    assert_eq!(digest.sender_report, Some(2 << 16 | 1 << 15));
    assert!(digest.goodbye);
    let block = digest.block.unwrap();
    assert_eq!(
        (block.fraction_lost, block.cumulative_lost, block.delay_since_last_sr),
        (64, -3, 65_536)
    );
    assert_eq!(read(&compound(true, "name"), 8).unwrap().block, None);
}

#[test]
fn a_length_that_leads_beyond_the_datagram_spoils_all_of_it() {
    let bytes = compound(true, "name");
    let ends: Vec<usize> = (0..=bytes.len())
        .filter(|len| read(&bytes[..*len], 9).is_ok())
        .collect();
    // After the report, after the description, after the farewell.
    assert_eq!((ends.len(), ends.last()), (3, Some(&bytes.len())));
    let mut many = bytes.clone();
    many[0] |= 0x1f;
    assert_eq!(read(&many, 9), Err(Malformed::Truncated));
    many[0] = 0x41;
    assert_eq!(read(&many, 9), Err(Malformed::Version));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), types in any::<[u8; 3]>()) {
        let mut bytes = bytes;
        for (n, byte) in types.iter().enumerate() {
            // Often enough a header that looks right.
            if let Some(header) = bytes.get_mut(n * 8..n * 8 + 4) {
                header.copy_from_slice(&[0x80 | byte & 3, 200 + byte % 6, 0, byte >> 4]);
            }
        }
        let _ = read(&bytes, 1);
    }
}
