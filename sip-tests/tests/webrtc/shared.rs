//! Browsers that come to one port (`media: { browser_ports: shared }`): by name, and by where they are.

use super::bench::{Bench, PASSWORD, at, elsewhere};
use super::{our_port, they_talk_and_part};
use sip_tests::browser::{self, Browser, Manners};
use sip_tests::description::{events, opus};
use sip_tests::script::EDGE;
use sip_tests::{World, s};
use tandem::media::command::DtlsRole;

/// Two browsers behind one address, a phone and a room, all on one worker.
#[test]
fn browsers_behind_one_address_come_to_one_port_and_hear_their_own() {
    let yaml = EDGE.replace("workers: 2", "workers: 1, browser_ports: shared");
    let mut w = World::builder(31).config(&yaml).media().build();
    let peers = ["alice", "bob", "carol"].map(|name| w.registered(name));
    let [alice, bob, carol] = peers;
    for browser in [alice, bob] {
        w.policy(browser).browser = Some(Manners::default());
        w.policy(browser).formats = vec![opus(), events()];
        w.nat(browser, "203.0.113.200");
        w.register(browser);
    }
    let (a, c) = w.talk(alice, carol, "103");
    let b = w.call(bob, "600");
    w.up(b);
    assert_eq!(our_port(&w, a), our_port(&w, b));
    assert_ne!(our_port(&w, a).port(), our_port(&w, c).port());
    w.expect_tones(a, c);
    w.expect_hears(b, Some(b));
    w.hang_up(b);
    w.expect_over(b, 200);
    w.expect_tones(a, c);
    // What was the second's is nobody's now, and the first goes on for a while.
    w.run(s(20));
    w.expect_tones(a, c);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.finish();
}

/// A NAT that forgets gives a browser another port.
#[test]
fn a_browser_that_moves_takes_its_port_along() {
    let yaml = EDGE.replace("workers: 2", "workers: 1, browser_ports: shared");
    let mut w = World::builder(32).config(&yaml).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).browser = Some(Manners::default());
    w.policy(alice).formats = vec![opus(), events()];
    w.nat(alice, "203.0.113.200");
    w.register(alice);
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.net.rebind("203.0.113.200".parse().unwrap());
    w.run(s(3));
    they_talk_and_part(w, a, b);
}

/// Mallory has a leg of her own, whose checks she can seal, and can send in anybody's name: she gets nobody's media for that.
#[test]
fn who_sends_checks_in_anothers_name_takes_nothing_from_it() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut port = Bench::sharing();
        let alice = port.open(1, role, at());
        (0..20).for_each(|_| port.step());
        assert_eq!((port.owner(at()), port.secured(alice)), (Some(alice), vec![at()]));
        port.open(2, role, elsewhere());
        let (_, mallory, _) = port.browsers.pop().unwrap();
        for n in 0..500 {
            // With a nomination, without one, and both in turn from where she is.
            let forged = mallory.check(PASSWORD, n % 2 == 0);
            let mut forged = forged[..forged.len() - 32].to_vec();
            forged[8..12].copy_from_slice(&(n as u32).to_be_bytes());
            let forged = browser::sealed(forged, PASSWORD);
            port.come(at(), &forged);
            port.step();
            assert_eq!(port.owner(at()), Some(alice), "at {n}");
        }
        assert!(port.checks < 100, "alice was asked {} times", port.checks);
        assert_eq!(
            (port.events.len(), port.machine.refused().strangers),
            (1, 0),
            "{:?}",
            port.events
        );
    }
}

/// A page is loaded anew and its browser takes the same port, or a NAT gives it to another: the leg before lives on until its consent ends, and what
/// comes from there is the new one's as soon as it has shown that it is there.
#[test]
fn a_port_that_is_used_again_goes_to_the_new_leg_once_it_has_answered() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut port = Bench::sharing();
        let old = port.open(1, role, at());
        (0..20).for_each(|_| port.step());
        assert_eq!(port.owner(at()), Some(old));
        let (_, before, _) = port.browsers.pop().unwrap();
        let new = port.open(2, role, at());
        (0..40).for_each(|_| port.step());
        assert_eq!(
            (port.owner(at()), port.secured(new)),
            (Some(new), vec![at()]),
            "{role:?}: {:?}",
            port.events
        );
        // The old one knows that address, and its holder can still seal checks, and send them in its name: they are answered, and take nothing back.
        for nominates in [true, false] {
            let check = before.check("nodePasswordOf22Characters", nominates);
            port.come(at(), &check);
            port.step();
            assert_eq!(port.owner(at()), Some(new), "nominates: {nominates}");
        }
        // The end of the old one takes nothing from it.
        port.machine.close(port.now, old);
        port.port().forget(old);
        (0..40).for_each(|_| port.step());
        assert_eq!(port.owner(at()), Some(new));
        port.machine.close(port.now, new);
        port.port().forget(new);
        assert_eq!((port.owner(at()), port.port().len()), (None, (0, 0)));
    }
}

/// What it answers finds its leg, though it has no name of ours in it.
#[test]
fn a_peer_that_is_lite_is_found_by_a_shared_port_too() {
    let mut port = Bench::sharing();
    let manners = Manners {
        is_lite: true,
        ..Manners::default()
    };
    let leg = port.open_with(1, DtlsRole::Server, at(), manners);
    (0..40).for_each(|_| port.step());
    assert_eq!(
        (port.owner(at()), port.secured(leg)),
        (Some(leg), vec![at()]),
        "{:?}",
        port.events
    );
}

/// Who is at a leg's address and does not answer is not heard there; once the leg before is gone, the next check is enough.
#[test]
fn a_source_is_free_again_when_its_leg_is_gone() {
    let mut port = Bench::sharing();
    let old = port.open(1, DtlsRole::Server, at());
    (0..20).for_each(|_| port.step());
    let new = port.open(2, DtlsRole::Server, elsewhere());
    let (_, browser, _) = &port.browsers[1];
    let check = |n: u8, browser: &Browser| {
        let check = browser.check(PASSWORD, true);
        let mut check = check[..check.len() - 32].to_vec();
        check[8] = n;
        browser::sealed(check, PASSWORD)
    };
    let checks = [1, 2].map(|n| check(n, browser));
    port.come(at(), &checks[0]);
    assert_eq!(port.owner(at()), Some(old));
    port.machine.close(port.now, old);
    port.port().forget(old);
    port.come(at(), &checks[1]);
    assert_eq!(port.owner(at()), Some(new));
}
