//! What is remembered of packets that came, until it is told.

use super::*;

const HEAD: Head<'static> = Head { ssrc: 7, cname: "x" };

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(1_000 + ms)
}

/// Base and count of what is told, of all packets that are written.
fn told(arrivals: &mut Arrivals, now: Instant) -> Vec<(u16, u16)> {
    let mut all = Vec::new();
    let mut buffer = [0; 1_500];
    while let Some(_len) = arrivals.write(now, HEAD, &mut buffer) {
        // Behind an empty report and our name: the head and both SSRCs.
        let word = |at: usize| u16::from_be_bytes([buffer[at], buffer[at + 1]]);
        all.push((word(32), word(34)));
        assert_eq!(buffer[24..32], [0, 0, 0, 7, 0, 0, 0, 9]);
    }
    all
}

#[test]
fn each_is_told_once_and_a_late_one_anew_with_all_behind_it() {
    let mut arrivals = Arrivals::new();
    assert!(!arrivals.is_due(at(0)));
    for (ms, number) in [(0, 65_533), (5, 65_534), (6, 65_534), (7, 1)] {
        arrivals.came(at(ms), number, 9);
    }
    assert!(!arrivals.is_due(at(99)) && arrivals.is_due(at(100)));
    assert_eq!(told(&mut arrivals, at(100)), [(65_533, 5)]);
    assert_eq!(told(&mut arrivals, at(100)), []);
    assert!(!arrivals.is_due(at(500)), "nothing new");
    arrivals.came(at(510), 65_535, 9);
    arrivals.came(at(511), 2, 9);
    assert!(arrivals.is_due(at(511)));
    assert_eq!(told(&mut arrivals, at(511)), [(65_535, 4)]);
    // What was told, and comes again, is no news.
    arrivals.came(at(512), 65_535, 9);
    assert!(!arrivals.is_due(at(5_000)));
}

#[test]
fn many_are_told_early_and_of_too_many_the_last() {
    let mut arrivals = Arrivals::new();
    for n in 0..MANY {
        assert!(!arrivals.is_due(at(1)));
        arrivals.came(at(1), n, 9);
    }
    assert!(arrivals.is_due(at(1)));
    arrivals.came(at(2), 2_000, 9);
    let last = 2_001 - VIDEO_ARRIVALS as u16;
    assert_eq!(told(&mut arrivals, at(2)), [(last, VIDEO_ARRIVALS as u16)]);
}

#[test]
fn a_count_that_begins_anew_is_followed_and_a_stray_is_not() {
    let mut arrivals = Arrivals::new();
    arrivals.came(at(0), 40_000, 9);
    assert_eq!(told(&mut arrivals, at(0)), [(40_000, 1)]);
    arrivals.came(at(0), 20_000, 9);
    arrivals.came(at(1), 40_001, 9);
    assert_eq!(told(&mut arrivals, at(1)), [(40_001, 1)]);
    for n in 0..ANEW + 2 {
        arrivals.came(at(2), 20_100 + n, 9);
    }
    assert_eq!(told(&mut arrivals, at(2)), [(20_100 + ANEW, 2)]);
}

/// A pause of more than a packet can tell makes it two.
#[test]
fn a_long_pause_is_told_in_two() {
    let mut arrivals = Arrivals::new();
    arrivals.came(at(0), 1, 9);
    arrivals.came(at(9_000), 2, 9);
    assert_eq!(told(&mut arrivals, at(9_000)), [(1, 1), (2, 1)]);
}

/// A count that begins anew has nothing of the round before: what comes late of it is told with its own time, and what is missing as missing.
#[test]
fn a_new_count_knows_nothing_of_the_old_one() {
    let mut arrivals = Arrivals::new();
    let begin = 40_000 - VIDEO_ARRIVALS as u16;
    for n in 0..VIDEO_ARRIVALS as u16 {
        arrivals.came(at(0), begin + n, 9);
    }
    while arrivals.write(at(0), HEAD, &mut [0; 1_500]).is_some() {}
    for n in 0..ANEW + 2 {
        arrivals.came(at(2), 20_100 + n, 9);
    }
    told(&mut arrivals, at(2));
    // One that was on its way meanwhile.
    arrivals.came(at(3), 20_100 + ANEW - 5, 9);
    assert_eq!(told(&mut arrivals, at(3)), [(20_100 + ANEW - 5, 7)]);
}

/// The browser counts what it is told: there is no number for what was not written.
#[test]
fn what_is_told_is_counted_without_a_gap() {
    let (mut arrivals, mut buffer) = (Arrivals::new(), [0; 1_500]);
    // At the very beginning of time there is none to be told.
    arrivals.came(Instant::ZERO, 0, 9);
    assert_eq!(arrivals.write(at(0), HEAD, &mut buffer), None);
    for nth in 0..3u8 {
        arrivals.came(at(1), u16::from(nth) + 1, 9);
        arrivals.write(at(1), HEAD, &mut buffer).unwrap();
        assert_eq!(buffer[39], nth);
    }
}
