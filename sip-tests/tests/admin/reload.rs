//! A new configuration while calls are up: they keep the old one; users, trunks, routes and limits change for what comes after.

use crate::tools::{fails, incoming, trunk_facts, works, yaml};
use sip_tests::{Answer, State, World, ms, s};

const ALICE: &str = "  - { name: alice, password: \"wonder land\", number: \"+14155550101\" }\n";
const BOB: &str = "  - { name: bob, password: builder, number: \"+14155550102\" }\n";
const CAROL: &str = "  - { name: carol, password: xmas, number: \"+14155550103\" }\n";
const ACME: &str = "  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: { country: US }, limits: { calls: 2 } }\n";
const BLUE: &str =
    "  - { name: blue, peers: [ \"sip:198.51.100.2:5060\" ], options: never, numbers: { country: US } }\n";

fn config(users: &[&str], trunks: &[&str], routes: &[&str]) -> String {
    let section = |name: &str, parts: &[&str]| match parts.is_empty() {
        true => String::new(),
        false => format!("{name}:\n{}", parts.concat()),
    };
    let routes: Vec<String> = routes.iter().map(|route| format!("  - {route}\n")).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    yaml(&format!(
        "{}{}{}",
        section("users", users),
        section("trunks", trunks),
        section("routes", &routes)
    ))
}

const OUT: &str = "{ to: \"+\", from: user/*, do: trunk/acme }";

fn office(seed: u64) -> World {
    World::builder(seed)
        .config(&config(&[ALICE, BOB], &[ACME], &[OUT]))
        .build()
}

/// Who is new may register at once, and is called by name and number.
#[test]
fn a_new_user_is_there_at_once() {
    let mut w = office(1);
    let alice = w.registered("alice");
    fails(&mut w, alice, "carol", 404);
    w.reload(&config(&[ALICE, BOB, CAROL], &[ACME], &[OUT]));
    let carol = w.registered("carol");
    works(&mut w, alice, "carol");
    works(&mut w, alice, "+14155550103");
    assert_eq!(incoming(&w, carol).len(), 2);
    w.finish();
}

/// Who is gone loses the bindings, is refused, and cannot be called; the call that is up goes on to its end; who comes back later
/// begins without any.
#[test]
fn a_user_who_is_gone_keeps_the_call_and_nothing_else() {
    let mut w = office(2);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.reload(&config(&[ALICE], &[ACME], &[OUT]));
    assert_eq!(
        (
            w.store.bindings("bob@example.com").len(),
            w.store.durable("bob@example.com")
        ),
        (0, 0)
    );
    assert_eq!(w.register_with(bob, &["Contact: <sip:bob@203.0.0.11:5060>"]), 403);
    fails(&mut w, alice, "bob", 404);
    fails(&mut w, bob, "alice", 403);
    assert_eq!(w.hold(b, "sendonly"), 200, "in the dialog all is as it was");
    w.run(s(1));
    assert_eq!(w.resume(b), 200);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.reload(&config(&[ALICE, BOB], &[ACME], &[OUT]));
    fails(&mut w, alice, "bob", 480);
    w.register(bob);
    works(&mut w, alice, "bob");
    w.finish();
}

/// A call that is being set up goes on by the plan that it began with: its phone rings, its forwarding target is the old one.
#[test]
fn a_call_that_rings_keeps_its_plan() {
    let mut w = World::builder(3)
        .config(&config(
            &[
                ALICE,
                "  - { name: bob, password: builder, ring: 10s, on_no_answer: carol }\n",
                CAROL,
            ],
            &[],
            &[],
        ))
        .build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    w.reload(&config(
        &[ALICE, "  - { name: bob, password: builder, ring: 1h }\n", CAROL],
        &[],
        &[],
    ));
    w.up(call);
    assert_eq!(incoming(&w, carol).len(), 1);
    let patient = w.call(alice, "bob");
    w.rings(patient);
    w.run(s(100));
    assert_eq!(w.state(patient), State::Ringing, "the new plan for the new call");
    w.hang_up(patient);
    w.hang_up(call);
    w.finish();
}

/// A changed password counts from the next challenge on; credentials of the old one are refused.
#[test]
fn a_changed_password_counts_at_once() {
    let mut w = office(4);
    let alice = w.registered("alice");
    w.reload(&config(
        &["  - { name: alice, password: looking-glass }\n", BOB],
        &[ACME],
        &[OUT],
    ));
    assert_eq!(w.register_with(alice, &["Contact: <sip:alice@203.0.0.10:5060>"]), 403);
    w.agent(alice).password = "looking-glass".into();
    w.register(alice);
    w.finish();
}

/// A trunk that is gone drains: calls that are up go on and hold their places until they end; no new one in either direction.
#[test]
fn a_trunk_that_is_gone_drains() {
    let mut w = office(5);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let (a, c) = w.talk(alice, acme, "+442079460000");
    let within = w.call(acme, "+14155550101");
    w.up(within);
    w.reload(&config(
        &[ALICE, BOB],
        &[BLUE],
        &["{ to: \"+\", from: user/*, do: trunk/blue }"],
    ));
    assert!(
        trunk_facts(&w)
            .last()
            .is_some_and(|told| told.starts_with("acme down") && told.contains('2')),
        "{:?}",
        trunk_facts(&w)
    );
    let new = w.call(acme, "+14155550101");
    w.run(s(1));
    assert!(w.at(new).statuses.is_empty(), "it is nobody any more");
    let blue = w.carrier("blue", "198.51.100.2:5060");
    works(&mut w, alice, "+442079460000");
    assert_eq!(incoming(&w, blue).len(), 1);
    assert_eq!(w.hold(c, "sendonly"), 200);
    assert_eq!(w.census().trunk_places, 2);
    w.hang_up(c);
    w.hang_up(within);
    w.expect_over(a, 200);
    w.run(s(1));
    assert_eq!(w.census().trunk_places, 0, "given back to a trunk that is no more");
    w.run(s(40));
    w.finish();
}

/// A trunk that comes back while its old calls still drain: they count against it, and are given back once.
#[test]
fn a_trunk_that_comes_back_counts_its_old_calls() {
    let mut w = office(6);
    let (alice, bob, acme) = (
        w.registered("alice"),
        w.registered("bob"),
        w.carrier("acme", "198.51.100.1:5060"),
    );
    let (a, _) = w.talk(alice, acme, "+442079460000");
    w.reload(&config(&[ALICE, BOB], &[], &[]));
    // Its place among the trunks is another one now.
    w.reload(&config(&[ALICE, BOB], &[BLUE, ACME], &[OUT]));
    let second = w.call(bob, "+442079460001");
    w.up(second);
    fails(&mut w, alice, "+442079460002", 480);
    w.hang_up(a);
    w.run(ms(100));
    assert_eq!(w.census().trunk_places, 1);
    works(&mut w, alice, "+442079460002");
    w.hang_up(second);
    w.run(ms(100));
    assert_eq!(w.census().trunk_places, 0);
    w.finish();
}

/// Trunks change places in the file while a call fails over: it still finds its own trunk's next peer and gives back its own place.
#[test]
fn trunks_change_places_under_a_call() {
    let two = "  - { name: acme, peers: [ \"sip:198.51.100.1:5060\", \"sip:198.51.100.3:5060\" ], options: never, numbers: { country: US } }\n";
    let mut w = World::builder(7)
        .config(&config(&[ALICE], &[two, BLUE], &[OUT]))
        .build();
    let (alice, dead) = (w.registered("alice"), w.carrier("dead", "198.51.100.1:5060"));
    let (blue, third) = (
        w.carrier("blue", "198.51.100.2:5060"),
        w.carrier("third", "198.51.100.3:5060"),
    );
    w.policy(dead).deaf = true;
    let call = w.call(alice, "+442079460000");
    w.run(s(2));
    w.reload(&config(&[ALICE], &[BLUE, two], &[OUT]));
    w.up(call);
    assert_eq!((incoming(&w, third).len(), incoming(&w, blue).len()), (1, 0));
    w.hang_up(call);
    w.run(ms(100));
    assert_eq!(w.census().trunk_places, 0);
    w.finish();
}

/// Limits, routes and our registration change at once: a lower limit ends no call, but takes none until there is room.
#[test]
fn limits_routes_and_registrations_change_at_once() {
    let mut w = office(8);
    let (alice, bob, acme) = (
        w.registered("alice"),
        w.registered("bob"),
        w.carrier("acme", "198.51.100.1:5060"),
    );
    let (a, _) = w.talk(alice, acme, "+442079460000");
    let second = w.call(bob, "+442079460001");
    w.up(second);
    let lower = ACME.replace("calls: 2", "calls: 1");
    let registers = lower.replace(
        "options: never,",
        "options: never, register: { username: tandem, password: hush },",
    );
    (w.agent(acme).registrar.serves, w.agent(acme).password) = (true, "hush".into());
    w.reload(&config(
        &[ALICE, BOB],
        &[&registers],
        &["{ to: \"+1900*\", do: reject/403 }", OUT],
    ));
    w.run(s(1));
    assert_eq!(w.agents[acme.0].registrar.accepted, 1, "registered at once");
    assert_eq!((w.state(a), w.state(second)), (State::Up, State::Up));
    fails(&mut w, alice, "+442079460002", 480);
    fails(&mut w, alice, "+19005550000", 403);
    w.hang_up(second);
    w.run(ms(100));
    fails(&mut w, alice, "+442079460002", 480);
    w.hang_up(a);
    w.run(ms(100));
    works(&mut w, alice, "+442079460002");
    w.reload(&config(&[ALICE, BOB], &[&lower], &[OUT]));
    w.run(s(1));
    assert!(w.agents[acme.0].registrar.contacts.is_empty(), "we have said goodbye");
    w.finish();
}
