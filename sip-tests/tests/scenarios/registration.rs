//! Registration: RFC 3261 10.3 step by step, digest (RFC 7616, 8760), restart, a store that fails.

use sip_tests::message::param;
use sip_tests::script::EDGE;
use sip_tests::store::Mode;
use sip_tests::{Msg, World, digest, ms, s};
use tandem::id::Transport;

/// RFC 3665 2.1: challenged, then accepted with the contact and what is granted; it expires by itself.
#[test]
fn a_phone_registers_with_digest() {
    let mut w = World::new(1);
    let alice = w.phone("alice");
    w.register(alice);
    assert_eq!(w.received(alice, |m| m.answers("REGISTER", 401)).len(), 1);
    assert_eq!(w.agent(alice).registration.granted, Some(3600));
    assert_eq!(w.store.durable("alice@example.com"), 1);
    w.run(s(3601));
    assert_eq!(w.register_with(alice, &[]), 200);
    assert!(w.agent(alice).registration.contacts.is_empty(), "it has expired");
    w.finish();
}

/// RFC 3261 10.2.4: a phone that renews in time stays reachable for hours.
#[test]
fn a_phone_renews_for_a_day() {
    let mut w = World::new(2);
    let (alice, bob) = (w.phone("alice"), w.registered("bob"));
    w.agent(alice).registration.renews = true;
    w.agent(bob).registration.renews = true;
    w.register(alice);
    w.register(bob);
    w.run(s(24 * 3600));
    let (a, _) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.finish();
}

/// RFC 3261 10.3 step 8, 10.2.3: every current contact is listed, with q; a fetch changes nothing.
#[test]
fn a_fetch_lists_every_contact() {
    let mut w = World::new(3);
    let alice = w.registered("alice");
    let lines = [
        "Contact: <sip:alice@203.0.113.9:5070>;q=0.5;expires=600, <sip:+14155550101@203.0.113.10;user=phone>;expires=300",
    ];
    assert_eq!(w.register_with(alice, &lines), 200);
    assert_eq!(w.register_with(alice, &[]), 200);
    let contacts = w.agent(alice).registration.contacts.clone();
    assert_eq!(contacts.len(), 3, "{contacts:?}");
    let second = contacts
        .iter()
        .find(|contact| contact.contains("203.0.113.9"))
        .expect("it is listed");
    assert_eq!(param(second, "q").and_then(|q| q.parse::<f32>().ok()), Some(0.5));
    assert!(
        param(second, "expires")
            .and_then(|text| text.parse::<u32>().ok())
            .is_some_and(|left| (590..=600).contains(&left))
    );
}

/// RFC 3261 10.2.2: one contact is removed by `expires=0`, all of them by `*`.
#[test]
fn contacts_are_removed_one_by_one_and_all_at_once() {
    let mut w = World::new(4);
    let alice = w.registered("alice");
    w.register_with(alice, &["Contact: <sip:alice@203.0.113.9>;expires=600"]);
    w.register_with(alice, &["Contact: <sip:alice@203.0.113.9>;expires=0"]);
    assert_eq!(w.agent(alice).registration.contacts.len(), 1);
    w.register_with(alice, &["Contact: <sip:alice@203.0.113.9>;expires=600"]);
    assert_eq!(w.register_with(alice, &["Contact: *", "Expires: 0"]), 200);
    assert!(w.agent(alice).registration.contacts.is_empty());
    assert!(w.store.bindings("alice@example.com").is_empty());
}

/// RFC 3261 10.3 step 6: `*` stands alone and only with `Expires: 0`.
#[test]
fn a_star_with_anything_else_is_a_bad_request() {
    let mut w = World::new(5);
    let alice = w.registered("alice");
    assert_eq!(w.register_with(alice, &["Contact: *", "Expires: 60"]), 400);
    assert_eq!(w.register_with(alice, &["Contact: *"]), 400);
    assert_eq!(
        w.register_with(alice, &["Contact: *, <sip:alice@203.0.113.9>", "Expires: 0"]),
        400
    );
    assert_eq!(w.store.durable("alice@example.com"), 1, "nothing was changed");
}

/// RFC 3261 10.3 step 7, 10.2.8: too brief is 423 with Min-Expires, too long is cut.
#[test]
fn too_brief_is_refused_and_too_long_is_cut() {
    let mut w = World::new(6);
    let alice = w.phone("alice");
    assert_eq!(
        w.register_with(alice, &["Contact: <sip:alice@203.0.0.10:5060>;expires=5"]),
        423
    );
    let refusal = w.last_received(alice, |m| m.answers("REGISTER", 423));
    let least: u32 = refusal.text("Min-Expires").parse().expect("a number");
    assert!((30..=3600).contains(&least));
    assert_eq!(
        w.register_with(alice, &["Contact: <sip:alice@203.0.0.10:5060>;expires=4000000000"]),
        200
    );
    assert!(
        w.agent(alice)
            .registration
            .granted
            .is_some_and(|granted| granted <= 86_400)
    );
}

/// RFC 3261 10.3 step 7: within one Call-ID only a higher CSeq changes a binding: a late copy does not bring it back.
#[test]
fn an_overtaken_register_changes_nothing() {
    let mut w = World::new(7);
    let alice = w.registered("alice");
    let old = w.agents[alice.0]
        .log
        .iter()
        .rev()
        .find(|seen| seen.sent && seen.msg.is("REGISTER"))
        .map(|seen| seen.msg.clone());
    w.register_with(alice, &["Contact: *", "Expires: 0"]);
    w.register_with(alice, &["Contact: <sip:alice@203.0.0.10:5060>;expires=600"]);
    let mut late = old.expect("it was sent");
    // The same request with credentials that are fresh, as a proxy would have held it back.
    late.remove("Via");
    late.set("Contact", "<sip:alice@203.0.0.10:5060>;expires=3000");
    let challenge = w
        .last_received(alice, |m| m.answers("REGISTER", 401))
        .text("WWW-Authenticate")
        .to_owned();
    late.set(
        "Authorization",
        &digest::answer(&challenge, "alice", "wonder land", "REGISTER", "sip:example.com", 40),
    );
    let status = w.ask(alice, late);
    assert!(status >= 400, "{status}");
    w.register_with(alice, &[]);
    assert!(w.agents[alice.0].registration.granted.is_some_and(|left| left <= 600));
}

/// RFC 3261 22.4, RFC 7616: a wrong password is refused, and an unknown name cannot be told from it.
#[test]
fn wrong_password_and_unknown_user_look_the_same() {
    let mut w = World::new(8);
    let (alice, ghost) = (w.phone("alice"), w.phone("ghost"));
    w.agent(ghost).identity = "sip:ghost@example.com".into();
    for peer in [alice, ghost] {
        w.agent(peer).password = "guess".into();
        assert_eq!(w.register_with(peer, &["Contact: <sip:x@203.0.0.10>"]), 403);
    }
    let headers = |w: &World, peer| {
        let all = w.received(peer, |m| m.method() == "REGISTER");
        all.iter()
            .map(|(_, m)| m.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(headers(&w, alice), headers(&w, ghost));
}

/// RFC 3261 10.3 steps 3 and 4: nobody registers for somebody else.
#[test]
fn nobody_registers_for_somebody_else() {
    let mut w = World::new(9);
    let (alice, _) = (w.phone("alice"), w.phone("bob"));
    let status = w.register_with(alice, &["To: <sip:bob@example.com>", "Contact: <sip:alice@203.0.0.10>"]);
    assert_eq!(status, 403);
    assert_eq!(w.store.durable("bob@example.com"), 0);
}

/// RFC 3261 10.3 step 1: a domain that is not ours.
#[test]
fn a_foreign_domain_is_not_found() {
    let mut w = World::new(10);
    let alice = w.phone("alice");
    w.agent(alice).identity = "sip:alice@other.example".into();
    assert_eq!(w.register_with(alice, &["Contact: <sip:alice@203.0.0.10>"]), 404);
}

/// RFC 7616 3.3: a nonce grows old; the phone is told by stale=true and asks nobody.
#[test]
fn an_old_nonce_is_renewed_without_asking() {
    let mut w = World::new(11);
    let alice = w.registered("alice");
    w.run(s(1000));
    let mut again = w.agents[alice.0]
        .log
        .iter()
        .rev()
        .find(|seen| seen.sent)
        .map(|seen| seen.msg.clone())
        .expect("sent");
    again.remove("Via");
    again.set("CSeq", "50 REGISTER");
    assert_eq!(w.ask(alice, again), 200, "the peer takes up the stale challenge");
    let challenge = w.last_received(alice, |m| m.answers("REGISTER", 401));
    assert_eq!(digest::field(challenge.text("WWW-Authenticate"), "stale"), Some("true"));
}

/// RFC 7616 3.4.6: credentials that were used before are not taken again.
#[test]
fn replayed_credentials_are_not_taken() {
    let mut w = World::new(12);
    let alice = w.registered("alice");
    let mut again = w.agents[alice.0]
        .log
        .iter()
        .rev()
        .find(|seen| seen.sent)
        .map(|seen| seen.msg.clone())
        .expect("sent");
    again.remove("Via");
    again.set("CSeq", "51 REGISTER");
    again.set("Contact", "<sip:thief@203.0.113.66>");
    again.set("Call-ID", "replayed@thief");
    // A thief knows no password: the stale challenge does not help him.
    let thief = w.stranger("thief", "203.0.113.66:5060");
    assert_eq!(w.ask(thief, again), 401);
    assert_eq!(w.store.durable("alice@example.com"), 1);
}

/// RFC 8760 2: SHA-256 where it is configured, and MD5 beside it for phones that know no better.
#[test]
fn sha_256_is_offered_where_it_is_configured() {
    let mut w = World::builder(13)
        .config(&EDGE.replace("[ example.com ]", "[ { name: example.com, digest: [ sha-256, md5 ] } ]"))
        .build();
    let alice = w.registered("alice");
    let challenge = w.last_received(alice, |m| m.answers("REGISTER", 401));
    let offered = challenge.all("WWW-Authenticate").len();
    let lines = challenge
        .headers
        .iter()
        .filter(|(name, _)| name == "WWW-Authenticate")
        .count();
    assert!(offered >= 2 && lines == 2, "{challenge:?}");
    let sent = w.agents[alice.0]
        .log
        .iter()
        .rev()
        .find(|seen| seen.sent)
        .expect("sent")
        .msg
        .clone();
    assert!(sent.text("Authorization").contains("algorithm=SHA-256"));
}

/// After a restart the bindings are there, and calls reach the phone by its flow.
#[test]
fn bindings_survive_a_restart() {
    let mut w = World::new(14);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.restart();
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// A REGISTER is answered after its new or changed binding is durable: a crash before the answer may lose it, after the answer not.
#[test]
fn what_was_answered_is_durable() {
    let mut w = World::new(15);
    let alice = w.phone("alice");
    w.store.mode = Mode::Works(ms(700));
    w.act(alice.0, |agent, cx| agent.register(cx, 600));
    w.run(ms(300));
    assert!(
        w.received(alice, |m| m.answers("REGISTER", 200)).is_empty(),
        "not durable, not answered"
    );
    w.restart();
    w.until("the phone's own retransmission brings it", |w| {
        w.agents[0].registration.last_status == 200
    });
    assert_eq!(w.store.durable("alice@example.com"), 1);
}

/// A store that fails or hangs: 5xx in bounded time, nothing kept; when it works again, so does REGISTER.
#[test]
fn a_store_that_fails_is_told_as_5xx() {
    let mut w = World::new(16);
    let alice = w.phone("alice");
    for mode in [Mode::Fails, Mode::Hangs] {
        w.store.mode = mode;
        let status = w.register_with(alice, &["Contact: <sip:alice@203.0.0.10:5060>"]);
        assert!((500..600).contains(&status), "{mode:?}: {status}");
    }
    w.store.mode = Mode::Works(ms(1));
    w.register(alice);
    w.finish();
}

/// Compare-and-set: two phones of one user that register at the same moment both stay.
#[test]
fn two_phones_that_register_at_once_both_stay() {
    let mut w = World::new(17);
    let (desk, cell) = (
        w.device("desk", "alice", Transport::Udp),
        w.device("cell", "alice", Transport::Udp),
    );
    w.store.mode = Mode::Works(ms(300));
    w.act(desk.0, |agent, cx| agent.register(cx, 600));
    w.act(cell.0, |agent, cx| agent.register(cx, 600));
    w.run(s(3));
    assert_eq!(w.store.durable("alice@example.com"), 2);
    w.finish();
}

/// RFC 3261 18.2.2, RFC 3581, RFC 5626: behind a NAT the binding is reached by the flow that it came from.
#[test]
fn a_phone_behind_nat_is_reached_by_its_flow() {
    let mut w = World::new(18);
    let (alice, bob) = (w.registered("alice"), w.phone("bob"));
    w.nat(bob, "203.0.113.200");
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 18: a phone on TCP registers and is called over its own connection; the stream comes in pieces.
#[test]
fn a_phone_on_tcp_is_reached_by_its_connection() {
    let mut w = World::new(19);
    w.streams.chop = true;
    let (alice, bob) = (w.registered("alice"), w.tcp_phone("bob"));
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(b);
    w.expect_over(a, 200);
    assert_eq!(w.streams.list.len(), 1, "one connection for everything");
    w.finish();
}

/// A connection that was cut, of a phone behind a NAT: the call to it fails at once, and after the phone has registered again it works.
#[test]
fn a_cut_connection_is_noticed() {
    let mut w = World::new(20);
    let (alice, bob) = (w.registered("alice"), w.tcp_phone("bob"));
    w.nat(bob, "203.0.113.200");
    w.register(bob);
    w.cut_stream(0);
    let call = w.call(alice, "bob");
    let status = w.over(call);
    assert!([480, 503, 404, 408].contains(&status), "{status}");
    w.register(bob);
    let (a, _) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.finish();
}

/// RFC 3261 18.1: the connection of a phone without NAT was cut: its Contact can be connected to.
#[test]
fn a_cut_connection_is_opened_again() {
    let mut w = World::new(23);
    let (alice, bob) = (w.registered("alice"), w.tcp_phone("bob"));
    w.register(bob);
    w.cut_stream(0);
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// More contacts than a person has phones: the ones that would end first make room.
#[test]
fn the_number_of_contacts_is_bounded() {
    let mut w = World::new(21);
    let alice = w.phone("alice");
    for n in 0..20 {
        let contact = format!("Contact: <sip:alice@203.0.113.9:{}>;expires={}", 6000 + n, 600 + n);
        assert_eq!(w.register_with(alice, &[&contact]), 200);
    }
    assert_eq!(w.store.durable("alice@example.com"), 16);
    assert!(
        w.agent(alice)
            .registration
            .contacts
            .iter()
            .any(|contact| contact.contains(":6019"))
    );
    assert!(
        !w.agent(alice)
            .registration
            .contacts
            .iter()
            .any(|contact| contact.contains(":6003"))
    );
}

/// A method that a registrar does not know in that place, a malformed CSeq: an answer, no state.
#[test]
fn nonsense_is_answered_with_4xx() {
    let mut w = World::new(22);
    let alice = w.phone("alice");
    let request = |method: &str| {
        Msg::request(method, "sip:example.com")
            .with("Max-Forwards", "70")
            .with("From", "<sip:alice@example.com>;tag=1")
            .with("To", "<sip:alice@example.com>")
            .with("Call-ID", &format!("{method}@alice"))
            .with("CSeq", &format!("1 {method}"))
    };
    assert_eq!(w.ask(alice, request("PUBLISH")), 405);
    assert_eq!(w.ask(alice, request("FROBNICATE")), 501);
    assert_eq!(w.ask(alice, request("BYE")), 481);
    assert_eq!(w.ask(alice, request("REGISTER").with("Require", "frobnicate")), 420);
    assert_eq!(
        w.last_received(alice, |m| m.status() == 420).text("Unsupported"),
        "frobnicate"
    );
    w.finish();
}
