//! The machine that sets legs up, alone with a browser: handshakes, who is followed where, and what is odd.

use super::bench::{Bench, LEG, PASSWORD, at, elsewhere};
use proptest::prelude::*;
use sip_tests::browser::{self, Manners};
use sip_tests::ms;
use sip_tests::tone::write_rtp;
use std::num::NonZeroU32;
use tandem::media::command::{DtlsRole, Setup, Unsecured, stream};
use tandem::media::srtp::{Opener, Sealer};

/// Both sides begin, each in the version that it has to: both end with the same keys, after few steps.
#[test]
fn a_handshake_needs_few_turns_whoever_begins() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut alone = Bench::alone(role, Manners::default());
        (0..12).for_each(|_| alone.step());
        let events = std::mem::take(&mut alone.events);
        let [(LEG, Setup::Secured { peer, keys })] = &events[..] else {
            panic!("{role:?}: {events:?}, {:?}", alone.browsers[0].1.fault);
        };
        assert_eq!(*peer, at());
        let mut sealer = Sealer::new(keys);
        let plain = write_rtp(111, false, 1, 960, 5, b"speech");
        let mut packet = [&plain[..], &[0; 32]].concat();
        let len = sealer.rtp(&mut packet, plain.len()).unwrap();
        let now = alone.now;
        assert_eq!(alone.browser().take(now, &packet[..len], false), Some(plain.clone()));
        let sealed = alone.browser().seal(&plain).unwrap();
        let mut sealed = sealed.to_vec();
        let len = Opener::new(keys).rtp(&mut sealed).unwrap();
        assert_eq!(sealed[..len], plain[..]);
        // It takes leave.
        alone.machine.close(alone.now, LEG);
        let farewell = std::iter::from_fn(|| alone.machine.poll_output()).count();
        assert!(farewell > 0 && alone.machine.is_empty() && alone.machine.next_deadline().is_none());
    }
}

/// RFC 8445 6.1.1: one that is lite does not look for a way, so that we do; it is followed by consent, and given up without (RFC 7675).
#[test]
fn a_peer_that_is_lite_is_found_and_asked_for_consent() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let manners = Manners {
            is_lite: true,
            ..Manners::default()
        };
        let mut alone = Bench::alone(role, manners);
        (0..30).for_each(|_| alone.step());
        let [(LEG, Setup::Secured { peer, .. })] = &alone.events[..] else {
            panic!("{role:?}: {:?}, {:?}", alone.events, alone.browsers[0].1.fault);
        };
        assert_eq!(*peer, at());
        (0..3_000).for_each(|_| alone.step());
        assert_eq!(alone.events.len(), 1, "it consents for a minute: {:?}", alone.events);
        alone.moves("203.0.113.99:9".parse().unwrap());
        (0..1_600).for_each(|_| alone.step());
        assert_eq!(
            alone.events.last(),
            Some(&(LEG, Setup::Failed(Unsecured::AnswersCeased)))
        );
    }
}

/// RFC 7675 5.1: consent is for the way that media takes. Who has come by TCP, and is heard by UDP alone from then on, has none.
#[test]
fn consent_by_another_way_is_none_for_a_stream() {
    let by_tcp = stream::of_stream(NonZeroU32::MIN, at());
    for goes_on in [true, false] {
        let mut alone = Bench::alone(DtlsRole::Server, Manners::default());
        alone.moves(by_tcp);
        (0..12).for_each(|_| alone.step());
        let [(LEG, Setup::Secured { peer, .. })] = &alone.events[..] else {
            panic!("{:?}", alone.events);
        };
        assert_eq!(*peer, by_tcp);
        let from = if goes_on { by_tcp } else { at() };
        alone.moves(from);
        for _ in 0..2_000 {
            alone.now += ms(20);
            let check = alone.browser().check(PASSWORD, false);
            alone.come(from, &check);
            alone.machine.on_time(alone.now);
            alone.drain();
        }
        let last = alone.events.last();
        let is_over = last == Some(&(LEG, Setup::Failed(Unsecured::NoConsent)));
        assert_eq!(is_over, !goes_on, "{last:?}");
    }
}

/// RFC 8445 7.2.5, RFC 7675 5: a nomination is copied by whoever sees it, and sent on from any address. Media goes to another one when who is
/// there has answered a check of ours.
#[test]
fn a_copied_nomination_moves_nothing() {
    let mut alone = Bench::alone(DtlsRole::Server, Manners::default());
    (0..12).for_each(|_| alone.step());
    assert_eq!(alone.events.len(), 1, "{:?}", alone.events);
    let copy = alone.browser().check(PASSWORD, true);
    for _ in 0..400 {
        alone.machine.datagram(alone.now, LEG, elsewhere(), &copy);
        alone.step();
    }
    assert_eq!(alone.events.len(), 1, "{:?}", alone.events);
    // Who is there gets his answers, and some checks.
    assert!(alone.astray > 0 && alone.astray < 40, "{}", alone.astray);
    // The browser itself is there.
    alone.moves(elsewhere());
    (0..100).for_each(|_| alone.step());
    let moved = alone.events.last();
    assert_eq!(moved, Some(&(LEG, Setup::Path(elsewhere()))));
    assert_eq!(alone.events.len(), 2, "{:?}", alone.events);
}

/// A browser that has two ways, and chooses one and then the other with each check, is followed twice a second.
#[test]
fn a_browser_that_moves_without_end_is_followed_at_leisure() {
    let mut alone = Bench::alone(DtlsRole::Server, Manners::default());
    (0..12).for_each(|_| alone.step());
    for turn in 0..500 {
        let nomination = alone.browser().check(PASSWORD, true);
        let there = if turn / 5 % 2 == 0 { elsewhere() } else { at() };
        alone.moves(there);
        alone.machine.datagram(alone.now, LEG, there, &nomination);
        alone.step();
    }
    let moves = alone.events.len() - 1;
    assert!((5..=21).contains(&moves), "{moves} moves in ten seconds");
}

#[test]
fn two_that_both_want_to_be_controlled_are_told() {
    let mut alone = Bench::alone(DtlsRole::Server, Manners::default());
    // RFC 8445 7.3.1.1, as a full agent may begin that has not read `a=ice-lite`.
    let mut check = alone.browser().check("x", false).to_vec();
    let at_role = check.windows(2).position(|pair| pair == [0x80, 0x2a]).unwrap();
    check[at_role + 1] = 0x29;
    check.truncate(check.len() - 32);
    let sealed = browser::sealed(check, PASSWORD);
    alone.machine.datagram(alone.now, LEG, at(), &sealed);
    alone.drain();
    assert_eq!(alone.browser().errors, [487]);
    let forged = alone.browser().check("notThePassword", true);
    alone.machine.datagram(alone.now, LEG, at(), &forged);
    alone.drain();
    assert_eq!(alone.browser().errors, [487, 401]);
    assert_eq!(alone.machine.refused().checks, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes from where the browser is, it is connected in the end or told why not; nothing breaks.
    #[test]
    fn no_datagram_is_too_odd(odd in prop::collection::vec((0..8usize, prop::collection::vec(any::<u8>(), 0..160)), 1..40)) {
        let mut alone = Bench::alone(DtlsRole::Server, Manners::default());
        for (kind, mut octets) in odd {
            // Beginnings of STUN, of records of DTLS, of RTP, and anything.
            let head: &[u8] = match kind {
                0 => &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
                1 => &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1],
                2 => &[22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40],
                3 => &[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
                4 => &[23, 254, 253, 0, 1],
                5 => &[0x2f, 1, 2],
                _ => &[],
            };
            octets.splice(0..0, head.iter().copied());
            alone.machine.datagram(alone.now, LEG, at(), &octets);
            alone.step();
        }
        (0..2_000).for_each(|_| alone.step());
        prop_assert!(!alone.events.is_empty());
    }
}
