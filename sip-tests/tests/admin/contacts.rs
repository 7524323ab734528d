//! Contacts of an address of record: RFC 3261 10.3 where it is subtle, NAT, connections.

use crate::tools::{exchange, outside, tongue_tied, works};
use sip_tests::agent::Wire;
use sip_tests::store::Mode;
use sip_tests::{Answer, State, World, ms, s};
use tandem::id::Transport;

const ALICE: &str = "alice@example.com";

/// RFC 3261 10.3 step 5, 19.1.4: the address of record without parameters, its host in lower case, escapes undone.
#[test]
fn an_address_of_record_has_one_form() {
    let mut w = World::new(1);
    let alice = w.phone("alice");
    for (n, to) in [
        "<sip:alice@EXAMPLE.com>",
        "<sip:%61lice@example.com;transport=udp>",
        "\"Al\" <sip:alice@example.com:5060>",
    ]
    .iter()
    .enumerate()
    {
        let lines = [
            format!("To: {to}"),
            format!("Contact: <sip:alice@203.0.0.10:{}>", 6000 + n),
        ];
        assert_eq!(w.register_with(alice, &[&lines[0], &lines[1]]), 200, "{to}");
    }
    assert_eq!(w.store.durable(ALICE), 3);
    w.finish();
}

/// RFC 3261 10.3 step 6, 7, 20.10: each contact has its own expiry, the Expires field counts for those that say none.
#[test]
fn each_contact_expires_by_itself() {
    let mut w = World::new(2);
    let alice = w.phone("alice");
    let contacts = "Contact: <sip:alice@203.0.0.10:5060>;expires=120;q=0.7, <sip:alice@203.0.0.10:5062>;q=0.25";
    assert_eq!(w.register_with(alice, &[contacts, "Expires: 300"]), 200);
    let told = w.agents[alice.0].registration.contacts.clone();
    assert!(told[0].contains("q=0.7") && told[1].contains("q=0.25"), "{told:?}");
    w.run(s(121));
    assert_eq!(w.register_with(alice, &[]), 200);
    let left = w.agents[alice.0].registration.contacts.clone();
    assert!(left.len() == 1 && left[0].contains(":5062"), "{left:?}");
    w.run(s(180));
    assert_eq!(w.register_with(alice, &[]), 200);
    assert!(w.agents[alice.0].registration.contacts.is_empty());
    w.finish();
}

/// RFC 3261 10.3 step 7: "the request fails" as a whole: one bad contact, and none of the others is taken.
#[test]
fn a_request_is_taken_as_a_whole_or_not_at_all() {
    let mut w = World::new(3);
    let alice = w.registered("alice");
    let good = "<sip:alice@203.0.0.10:6000>";
    for (bad, status) in [
        ("<sip:alice@203.0.0.10:6001", 400),
        ("sip:alice@203.0.0.10:6001;expires=5", 423),
    ] {
        assert_eq!(
            w.register_with(alice, &[&format!("Contact: {good};expires=600, {bad}")]),
            status,
            "{bad}"
        );
        assert_eq!(w.store.bindings(ALICE).len(), 1, "{bad}");
    }
    // The same Call-ID with a CSeq that is not higher: neither the old contact nor the new one is touched.
    let stale = format!("Contact: <sip:alice@203.0.0.10:5060>;expires=900, {good};expires=900");
    assert_eq!(w.register_with(alice, &[&stale, "CSeq: 1 REGISTER"]), 500);
    let left: Vec<_> = w
        .store
        .bindings(ALICE)
        .iter()
        .map(|binding| binding.contact.clone())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // Another Call-ID begins its own count (10.2.4: a phone that has restarted).
    let restarted = [
        "Contact: <sip:alice@203.0.0.10:5060>;expires=900",
        "CSeq: 1 REGISTER",
        "Call-ID: anew@alice",
    ];
    assert_eq!(w.register_with(alice, &restarted), 200);
    assert_eq!(w.store.bindings(ALICE).len(), 1);
    w.finish();
}

/// RFC 5626 4.1: a device that comes back from elsewhere takes the place of its old binding; it rings once.
#[test]
fn a_device_that_moved_replaces_its_old_contact() {
    let mut w = World::new(4);
    let (alice, bob) = (w.phone("alice"), w.registered("bob"));
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";
    let old = format!("Contact: <sip:alice@203.0.0.10:40001>;expires=600;{instance}");
    let new = format!("Contact: <sip:alice@203.0.0.10:5060>;expires=600;{instance}");
    assert_eq!(w.register_with(alice, &[&old, "Call-ID: before@alice"]), 200);
    assert_eq!(w.register_with(alice, &[&new, "Call-ID: after@alice"]), 200);
    assert_eq!(w.store.bindings(ALICE).len(), 1);
    works(&mut w, bob, "alice");
    assert_eq!(w.agents[alice.0].calls.len(), 1);
    w.finish();
}

/// RFC 3261 17.2.2: copies of a REGISTER that waits for a slow store are absorbed: one write, one answer.
#[test]
fn copies_of_a_waiting_register_are_absorbed() {
    let mut w = World::new(5);
    let alice = w.phone("alice");
    w.store.mode = Mode::Works(s(3));
    w.act(alice.0, |agent, cx| agent.register(cx, 600));
    w.run(s(2));
    let sent = w.agents[alice.0].log.iter().filter(|seen| seen.sent).count();
    assert_eq!(
        (sent, w.census().registers),
        (2, 1),
        "the first, and the one with credentials"
    );
    w.until("it is durable", |w| w.agents[0].registration.last_status == 200);
    assert_eq!(w.received(alice, |m| m.answers("REGISTER", 200)).len(), 1);
    assert_eq!(w.store.durable(ALICE), 1);
    w.finish();
}

/// RFC 3261 10.2.1.1, 20.19: what cannot be read as a time counts as none; a q that cannot be read does not harm.
#[test]
fn unreadable_parameters_mean_the_default() {
    let mut w = World::new(6);
    let alice = w.phone("alice");
    let contact = "Contact: <sip:alice@203.0.0.10:5060>;expires=soon;q=seven";
    assert_eq!(w.register_with(alice, &[contact, "Expires: 3600000000000"]), 200);
    assert_eq!(w.agents[alice.0].registration.granted, Some(3600));
    w.finish();
}

/// RFC 5626 1, RFC 3581: two phones with the same inside address in two homes; each call reaches the right one.
#[test]
fn phones_behind_nats_are_told_apart_by_their_flows() {
    let mut w = World::new(7);
    let (alice, bob, carol) = (w.registered("alice"), w.phone("bob"), w.phone("carol"));
    for (peer, outside) in [(bob, "198.18.0.1"), (carol, "198.18.0.2")] {
        w.agent(peer).policy.contact = Some("<sip:me@192.168.1.20:5060>".into());
        w.nat(peer, outside);
        w.register(peer);
    }
    works(&mut w, alice, "bob");
    works(&mut w, alice, "carol");
    assert_eq!((w.agents[bob.0].calls.len(), w.agents[carol.0].calls.len()), (1, 1));
    w.finish();
}

/// A router that restarts gives its phones other ports: offline until the phone's next REGISTER, then the new flow counts.
#[test]
fn a_nat_that_forgets_is_healed_by_the_next_register() {
    let mut w = World::new(8);
    let (alice, bob) = (w.registered("alice"), w.phone("bob"));
    w.nat(bob, "198.18.0.1");
    w.register(bob);
    w.net.rebind("198.18.0.1".parse().expect("an address"));
    let call = w.call(alice, "bob");
    w.expect_over(call, 480);
    assert_eq!(w.cause().1, 20, "Q.850: subscriber absent");
    w.register(bob);
    assert_eq!(
        w.store.durable("bob@example.com"),
        1,
        "the same contact over another flow"
    );
    works(&mut w, alice, "bob");
    w.finish();
}

/// RFC 3261 18.2.2, RFC 3581 4: without rport the answer goes to the source address and the port of the Via.
#[test]
fn without_rport_the_via_names_the_port() {
    let mut w = World::new(9);
    let alice = w.phone("alice");
    tongue_tied(&mut w, alice);
    let request = outside("OPTIONS", "sip:example.com", "sip:alice@example.com", "no-rport", 1);
    let mut plain = request.clone();
    plain.headers.insert(
        0,
        (
            "Via".into(),
            "SIP/2.0/UDP 10.9.8.7:5060;branch=z9hG4bK-alice-private".into(),
        ),
    );
    // From a source port that is not the one in Via.
    let (phone, node) = (w.agents[alice.0].addr, w.node_ip);
    w.send_udp((phone.ip(), 33_333).into(), (node, 5060).into(), plain.write());
    w.run(ms(100));
    let answer = w.last_received(alice, |m| m.answers("OPTIONS", 200));
    assert!(answer.text("Via").contains("received=203.0.0.10"), "{answer:?}");
    assert!(!answer.text("Via").contains("rport"), "nobody asked for it");
    assert_eq!(exchange(&mut w, alice, request).status(), 200, "with rport as ever");
    w.finish();
}

/// A call that is up when its phone's connection breaks: the phone comes back by another, and its BYE is taken (RFC 3261 18).
#[test]
fn a_call_survives_a_broken_connection() {
    let mut w = World::new(10);
    let (alice, bob) = (w.registered("alice"), w.tcp_phone("bob"));
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    w.cut_stream(0);
    w.run(s(1));
    assert_eq!((w.state(a), w.state(b)), (State::Up, State::Up));
    w.register(bob);
    assert_eq!(
        w.reinvite(
            b,
            sip_tests::Change {
                direction: Some("sendonly"),
                ..Default::default()
            }
        ),
        200
    );
    w.run(ms(200));
    assert_eq!(w.hold(a, "sendrecv"), 200, "and the other way");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 18.1.1, RFC 5923: a connection that is gone does not make a phone unreachable whose Contact can be connected to.
#[test]
fn a_phone_whose_connection_is_gone_is_connected_to() {
    let mut w = World::new(11);
    let (alice, bob) = (w.registered("alice"), w.tcp_phone("bob"));
    w.register(bob);
    w.restart();
    works(&mut w, alice, "bob");
    w.finish();
}

/// One user at two phones, one on TCP, one on UDP: both ring; a cut connection of one does not disturb the other.
#[test]
fn one_dead_phone_does_not_hurt_the_other() {
    let mut w = World::new(12);
    let (alice, desk) = (w.registered("alice"), w.device("desk", "bob", Transport::Udp));
    let cell = w.device("cell", "bob", Transport::Tcp);
    w.register(desk);
    w.register(cell);
    // The phone has gone for good: nobody listens there any more.
    let server = w.agents[desk.0].server.addr();
    w.agent(cell).server = Wire::Udp(server);
    w.cut_stream(0);
    w.policy(desk).answer = Answer::After(s(2));
    works(&mut w, alice, "bob");
    assert_eq!((w.agents[desk.0].calls.len(), w.agents[cell.0].calls.len()), (1, 0));
    w.finish();
}

/// RFC 3261 10.2.1: what nobody can be reached at is no contact.
#[test]
fn a_contact_that_leads_nowhere_is_refused() {
    let mut w = World::new(13);
    let alice = w.phone("alice");
    for (contact, reason) in [
        ("<sip:alice@0.0.0.0>", "Contact Names No Address"),
        ("<sip:alice@[::]:5060>", "Contact Names No Address"),
        ("<sip:alice@255.255.255.255>", "Contact Names No Address"),
        ("<sip:alice@224.0.1.75>", "Contact Names No Address"),
    ] {
        assert_eq!(
            w.register_with(alice, &[&format!("Contact: {contact}")]),
            400,
            "{contact}"
        );
        let answer = w.last_received(alice, |m| m.status() == 400);
        assert_eq!(answer.start, format!("SIP/2.0 400 {reason}"), "{contact}");
    }
    assert_eq!(w.store.durable(ALICE), 0);
    // What a browser writes (RFC 7118 5.4) names nobody either, but it is reached by its flow.
    let contact = "Contact: <sip:a1b2c3@df7jal23ls0d.invalid;transport=ws>";
    assert_eq!(w.register_with(alice, &[contact]), 200);
    w.finish();
}
