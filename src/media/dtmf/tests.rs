use super::*;

const CLOCK: u32 = 8_000;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn packet(
    receiver: &mut Receiver,
    ms: u64,
    timestamp: u32,
    (code, duration, end): (u8, u16, bool),
) -> (Option<Progress>, Option<Press>) {
    let mut payload = [0; EVENT_BYTES];
    Report {
        code,
        end,
        volume: 10,
        duration,
    }
    .write(&mut payload);
    receiver.packet(at(ms), timestamp, &payload, CLOCK)
}

fn press(code: u8, ms: u16) -> Option<Press> {
    Some(Press { code, ms })
}

#[test]
fn codes_and_digits_are_one_to_one() {
    for n in 0..16 {
        assert_eq!(code(digit(n).unwrap()), Some(n));
    }
    assert_eq!((code('a'), code('E'), digit(16)), (Some(12), None, None));
    assert_eq!(frequencies(5), [770.0, 1_336.0]);
    assert_eq!(frequencies(11), [941.0, 1_477.0]);
    assert_eq!(frequencies(12), [697.0, 1_633.0]);
}

#[test]
fn one_press_is_told_once_with_its_retransmitted_ends() {
    let mut receiver = Receiver::default();
    for n in 1..=5u16 {
        let (progress, told) = packet(&mut receiver, u64::from(n) * 20, 1_000, (7, n * 160, false));
        assert_eq!(
            (progress.unwrap().first, progress.unwrap().grown, told),
            (n == 1, 160, None)
        );
    }
    assert_eq!(packet(&mut receiver, 120, 1_000, (7, 960, true)).1, press(7, 120));
    for _ in 0..2 {
        let (progress, told) = packet(&mut receiver, 121, 1_000, (7, 960, true));
        assert!(
            progress.is_some_and(|progress| progress.end && progress.grown == 0),
            "ends are passed on"
        );
        assert_eq!(told, None);
    }
    assert_eq!(receiver.tick(at(9_000), CLOCK), None);
}

#[test]
fn reordered_and_malformed_packets_say_nothing() {
    let mut receiver = Receiver::default();
    packet(&mut receiver, 0, 1_000, (7, 480, false));
    assert_eq!(packet(&mut receiver, 1, 1_000, (7, 320, false)), (None, None));
    assert_eq!(packet(&mut receiver, 2, 500, (6, 800, true)), (None, None));
    assert_eq!(receiver.packet(at(3), 1_000, &[7, 0, 1], CLOCK), (None, None));
}

#[test]
fn a_lost_end_is_found_by_the_next_press_or_by_the_clock() {
    let mut receiver = Receiver::default();
    packet(&mut receiver, 0, 1_000, (1, 400, false));
    assert_eq!(packet(&mut receiver, 100, 2_600, (1, 160, false)).1, press(1, 50));
    assert_eq!(receiver.deadline(), Some(at(300)));
    assert_eq!(receiver.tick(at(299), CLOCK), None);
    assert_eq!(receiver.tick(at(300), CLOCK), press(1, 20));
    assert_eq!((receiver.tick(at(900), CLOCK), receiver.deadline()), (None, None));
}

#[test]
fn of_two_presses_only_the_ends_arrive() {
    let mut receiver = Receiver::default();
    assert_eq!(packet(&mut receiver, 0, 1_000, (3, 800, true)).1, press(3, 100));
    packet(&mut receiver, 200, 3_000, (4, 160, false));
    assert_eq!(packet(&mut receiver, 300, 5_000, (5, 800, true)).1, press(4, 20));
    assert_eq!(packet(&mut receiver, 301, 5_000, (5, 800, true)).1, press(5, 100));
}

#[test]
fn a_long_press_in_segments_is_one_press() {
    let mut receiver = Receiver::default();
    packet(&mut receiver, 0, 1_000, (9, 0xff00, false));
    let (progress, told) = packet(&mut receiver, 150, 1_000 + SEGMENT, (9, 465, false));
    assert_eq!(
        (progress.unwrap().total, progress.unwrap().start, told),
        (66_000, 1_000, None)
    );
    assert_eq!(
        packet(&mut receiver, 200, 1_000 + SEGMENT, (9, 865, true)).1,
        press(9, 8_300)
    );
}

#[test]
fn a_duration_moves_between_clocks_and_is_split_where_it_does_not_fit() {
    let narrow = EventFormat {
        payload_type: 101,
        clock: 8_000,
    };
    let wide = EventFormat {
        payload_type: 110,
        clock: 48_000,
    };
    let progress = |total| Progress {
        code: 1,
        volume: 10,
        start: 0,
        total,
        grown: 0,
        end: false,
        first: false,
    };
    let cases = [
        (narrow, wide, 800, 0, 4_800),
        (narrow, wide, 10_922, 0, 65_532),
        (narrow, wide, 10_923, 65_535, 3),
        (wide, narrow, 4_800, 0, 800),
        (wide, narrow, 70_000, 0, 11_666),
        (narrow, narrow, 65_535, 0, 65_535),
        (narrow, narrow, 65_536, 65_535, 1),
        (narrow, narrow, 0, 0, 0),
    ];
    for (from, to, total, after, duration) in cases {
        let (after_start, report) = rescale(&progress(total), from, to);
        assert_eq!(
            (after_start, report.duration),
            (after, duration),
            "{total} from {} to {}",
            from.clock,
            to.clock
        );
    }
}
