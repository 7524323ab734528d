//! A node that is killed and started again, and a store that is slow, full or gone.

use crate::tools::{USERS, fails, trunk_facts, works, world, yaml};
use sip_tests::store::Mode;
use sip_tests::{State, World, ms, s};

/// Every call that was up is closed by the crash: its media is gone, its dialogs are unknown (RFC 3261 12.2.2), its phones can
/// call again at once.
#[test]
fn calls_that_were_up_are_unknown_after_a_restart() {
    let mut w = World::new(1);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.restart();
    assert_eq!((w.media.legs(), w.census().calls), (0, 0));
    assert_eq!(w.request(a, "INFO", &[], None), 481);
    w.hang_up(a);
    assert_eq!(w.request(b, "BYE", &[], None), 481);
    works(&mut w, bob, "alice");
    w.finish();
    let orphans = w
        .records
        .by_call
        .values()
        .filter(|cdr| cdr.orphaned && cdr.ended.is_none())
        .count();
    assert_eq!(orphans, 1, "the shell closes it at the next start");
}

/// A call that rings while the node dies: the phones' transactions end by themselves, a new call is no copy of the old one.
#[test]
fn a_call_that_rang_can_be_made_again() {
    let mut w = World::new(2);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = sip_tests::Answer::Manual;
    let lost = w.call(alice, "bob");
    w.rings(lost);
    w.restart();
    w.hang_up(lost);
    w.run(s(70));
    w.policy(bob).answer = sip_tests::Answer::After(s(1));
    works(&mut w, alice, "bob");
    w.hang_up(sip_tests::CallRef { peer: bob, call: 0 });
    w.finish();
}

/// RFC 3261 10.2.4: what expired while the node was down does not come back.
#[test]
fn what_expired_meanwhile_stays_away() {
    let mut w = World::new(3);
    let (alice, bob, carol) = (w.registered("alice"), w.phone("bob"), w.phone("carol"));
    w.act(bob.0, |agent, cx| agent.register(cx, 60));
    w.act(carol.0, |agent, cx| agent.register(cx, 600));
    w.run(s(1));
    w.kill();
    w.run(s(90));
    w.restart();
    fails(&mut w, alice, "bob", 480);
    works(&mut w, alice, "carol");
    w.finish();
}

/// A carrier that we register with knows us again right after a restart, before it misses us.
#[test]
fn a_registration_with_a_carrier_is_renewed_at_once() {
    let trunk = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, register: { username: tandem, password: hush } }
";
    let mut w = world(4, &format!("{USERS}{trunk}"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    (w.agent(acme).registrar.serves, w.agent(acme).password) = (true, "hush".into());
    w.run(s(40));
    w.until("it is registered", |w| w.agents[acme.0].registrar.accepted == 1);
    w.restart();
    w.run(s(1));
    assert_eq!(w.agents[acme.0].registrar.accepted, 2);
    assert!(
        trunk_facts(&w).last().is_some_and(|told| told.starts_with("acme up")),
        "{:?}",
        trunk_facts(&w)
    );
    w.finish();
}

/// A slow disk: REGISTER is answered when a new or changed binding is durable (at most 5 s later), and at once where one only lasts
/// longer; calls do not wait for it at all.
#[test]
fn a_slow_disk_delays_registrations_and_no_call() {
    let mut w = World::new(5);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.store.mode = Mode::Works(s(4));
    let contact = "Contact: <sip:bob@203.0.0.11:5060>";
    let asked = w.now;
    assert_eq!(w.register_with(bob, &[&format!("{contact};expires=7200")]), 200);
    assert!(w.now.since(asked) < s(1), "a refresh waits for nothing");
    w.act(bob.0, |agent, cx| agent.register(cx, 900));
    let asked = w.now;
    let call = w.call(alice, "bob");
    w.up(call);
    assert!(w.now.since(asked) < s(2), "ringing for a second, and nothing else");
    w.until("the answer", |w| w.agents[bob.0].registration.last_status == 200);
    assert!(w.now.since(asked) >= s(4));
    // Slower than that: the phone is told 500, and what the disk says later is nobody's any more.
    w.store.mode = Mode::Works(s(9));
    assert_eq!(w.register_with(bob, &[&format!("{contact};expires=600")]), 500);
    // What is built on what is not durable yet waits, too.
    assert_eq!(w.register_with(bob, &[&format!("{contact};expires=7200")]), 500);
    w.run(s(10));
    w.store.mode = Mode::Works(ms(2));
    w.register(bob);
    w.hang_up(call);
    w.finish();
}

/// A disk that fails: REGISTER is 500 with Retry-After and changes nothing, calls go on, and it heals by itself.
#[test]
fn a_failing_disk_refuses_registrations_and_no_call() {
    let mut w = World::new(6);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.phone("carol"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.store.mode = Mode::DiskFails(ms(30));
    assert_eq!(w.register_with(carol, &["Contact: <sip:carol@203.0.0.12:5060>"]), 500);
    assert!(
        w.last_received(carol, |m| m.answers("REGISTER", 500))
            .get("Retry-After")
            .is_some()
    );
    assert_eq!(w.register_with(bob, &["Contact: *", "Expires: 0"]), 500);
    assert_eq!(w.register_with(bob, &[]), 200, "what is in memory can be read");
    assert_eq!(
        w.agents[bob.0].registration.contacts.len(),
        1,
        "the removal was not kept"
    );
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.resume(a), 200);
    w.hang_up(b);
    w.expect_over(a, 200);
    works(&mut w, alice, "bob");
    fails(&mut w, alice, "carol", 480);
    w.store.mode = Mode::Works(ms(2));
    w.register(carol);
    works(&mut w, alice, "carol");
    w.finish();
}

/// A store that answers nothing at all: a call to a phone fails with 500 after its limit, CANCEL ends it before; calls that are
/// up and calls to carriers are not touched.
#[test]
fn a_store_that_hangs_holds_up_nothing_but_itself() {
    let mut w = World::new(7);
    let (alice, bob, acme) = (
        w.registered("alice"),
        w.registered("bob"),
        w.carrier("acme", "198.51.100.1:5060"),
    );
    let (a, b) = w.talk(alice, bob, "bob");
    w.store.mode = Mode::Hangs;
    let before = w.now;
    fails(&mut w, acme, "+14155550103", 500);
    assert!((s(5)..s(6)).contains(&w.now.since(before)), "{:?}", w.now.since(before));
    let given_up = w.call(acme, "+14155550103");
    w.run(s(1));
    w.hang_up(given_up);
    w.expect_over(given_up, 487);
    works(&mut w, alice, "+442079460000");
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    w.store.mode = Mode::Works(ms(2));
    w.hang_up(a);
    w.expect_over(b, 200);
    works(&mut w, acme, "+14155550102");
    w.finish();
}

/// A crash between the write and the answer: the phone repeats its REGISTER (RFC 3261 17.1.2.2), which then is a refresh.
#[test]
fn a_register_that_died_with_the_node_is_repeated() {
    let mut w = World::builder(8).config(&yaml(USERS)).build();
    let alice = w.phone("alice");
    w.store.mode = Mode::Works(ms(20));
    w.act(alice.0, |agent, cx| agent.register(cx, 600));
    w.until("it is durable", |w| w.store.durable("alice@example.com") == 1);
    w.restart();
    w.until("the repeated one is answered", |w| {
        w.agents[0].registration.last_status == 200
    });
    assert_eq!(
        (
            w.store.durable("alice@example.com"),
            w.agents[alice.0].registration.contacts.len()
        ),
        (1, 1)
    );
    w.finish();
}
