//! Carriers: failover, registration, authentication, limits, numbers, and who is none (RFC 3261 8.1.3, 16.7, 22; RFC 3263 4.3).

use sip_tests::description::pcma;
use sip_tests::script::EDGE;
use sip_tests::{Answer, Msg, State, World, ms, s};
use tandem::effect::Fact;

const ABROAD: &str = "+442079460000";

/// RFC 3261 16.7 step 6: 503 of the first peer: the second is tried, and its answer is the call's.
#[test]
fn failover_on_503() {
    let mut w = World::new(1);
    let alice = w.registered("alice");
    let (one, two) = (
        w.carrier("sbc1", "198.51.100.1:5060"),
        w.carrier("sbc2", "198.51.100.2:5060"),
    );
    w.policy(one).answer = Answer::Status(503, ms(10), Vec::new());
    w.policy(one).ring = None;
    let (a, _) = w.talk(alice, two, ABROAD);
    w.hang_up(a);
    w.finish();
    assert_eq!(w.agents[one.0].calls.len(), 1);
}

/// RFC 3261 17.1.1.2, RFC 3263 4.3: a peer that is silent is left after `connect`; a late answer of it is ended by BYE.
#[test]
fn failover_on_silence_and_a_late_answer() {
    let mut w = World::new(2);
    let alice = w.registered("alice");
    let (one, two) = (
        w.carrier("sbc1", "198.51.100.1:5060"),
        w.carrier("sbc2", "198.51.100.2:5060"),
    );
    w.policy(one).deaf = true;
    let call = w.call(alice, ABROAD);
    w.up(call);
    assert_eq!(w.agents[two.0].calls.len(), 1);
    let took = w.cdr().answered.map(|at| at.since(w.cdr().started));
    assert!(took.is_some_and(|took| took < s(15)), "{took:?}");
    w.hang_up(call);
    w.finish();
}

/// No retry after a provisional response above 100 has come: the call may cost money already.
#[test]
fn no_failover_after_ringing() {
    let mut w = World::new(3);
    let alice = w.registered("alice");
    let (one, two) = (
        w.carrier("sbc1", "198.51.100.1:5060"),
        w.carrier("sbc2", "198.51.100.2:5060"),
    );
    w.policy(one).answer = Answer::Status(486, ms(800), Vec::new());
    let call = w.call(alice, ABROAD);
    w.expect_over(call, 486);
    assert!(w.agents[two.0].calls.is_empty());
    w.finish();
    assert_eq!(w.cause(), (486, 17));
}

/// RFC 3261 16.7: an answer stops the search; only a peer that says it is out of service (503) does not.
#[test]
fn which_statuses_try_the_next_peer() {
    for (status, next) in [
        (403, false),
        (404, false),
        (408, true),
        (480, false),
        (486, false),
        (600, false),
        (603, false),
        (500, false),
        (503, true),
    ] {
        let mut w = World::new(400 + u64::from(status));
        let alice = w.registered("alice");
        let (one, two) = (
            w.carrier("sbc1", "198.51.100.1:5060"),
            w.carrier("sbc2", "198.51.100.2:5060"),
        );
        w.policy(one).ring = None;
        w.policy(one).answer = Answer::Status(status, ms(10), Vec::new());
        let call = w.call(alice, ABROAD);
        w.run(s(3));
        assert_eq!(!w.agents[two.0].calls.is_empty(), next, "{status}");
        if !next {
            assert_eq!(w.state(call), State::Ended(status));
        }
        w.finish();
    }
}

/// Both peers fail: a status of ours, one record, and the places on the trunk come back.
#[test]
fn every_peer_fails() {
    let mut w = World::new(5);
    let alice = w.registered("alice");
    for (name, addr) in [("sbc1", "198.51.100.1:5060"), ("sbc2", "198.51.100.2:5060")] {
        let peer = w.carrier(name, addr);
        w.policy(peer).answer = Answer::Status(503, ms(10), Vec::new());
        w.policy(peer).ring = None;
    }
    let call = w.call(alice, ABROAD);
    let status = w.over(call);
    assert!((500..600).contains(&status), "{status}");
    w.finish();
}

/// RFC 3261 18.4, RFC 3263 4.3: a connection that is refused is as good as a 503.
#[test]
fn failover_when_a_connection_is_refused() {
    let config = EDGE.replace("sip:198.51.100.1:5060", "sip:198.51.100.1:5060;transport=tcp");
    let mut w = World::builder(6).config(&config).build();
    let alice = w.registered("alice");
    // It is there, but it does not listen on TCP.
    let (_, two) = (
        w.carrier("sbc1", "198.51.100.1:5060"),
        w.carrier("sbc2", "198.51.100.2:5060"),
    );
    let (a, _) = w.talk(alice, two, ABROAD);
    w.hang_up(a);
    w.finish();
}

/// RFC 3261 18: a carrier on TCP: one connection for several calls, and a call outlives the cut of it.
#[test]
fn a_carrier_on_tcp() {
    let config = EDGE.replace("sip:198.51.100.1:5060", "sip:198.51.100.1:5060;transport=tcp");
    let mut w = World::builder(7).config(&config).build();
    w.streams.chop = true;
    let (alice, acme) = (w.registered("alice"), w.tcp_carrier("acme", "198.51.100.1:5060"));
    let (first, _) = w.talk(alice, acme, ABROAD);
    let (second, _) = w.talk(alice, acme, ABROAD);
    assert_eq!(w.streams.list.len(), 1);
    w.cut_stream(0);
    w.run(s(5));
    assert_eq!((w.state(first), w.state(second)), (State::Up, State::Up));
    w.hang_up(first);
    w.run(s(2));
    w.hang_up(second);
    w.finish();
}

/// RFC 3263 4.3: a name with two addresses, of which the first is dead.
#[test]
fn a_name_with_a_dead_address() {
    let config = EDGE.replace(
        "\"sip:198.51.100.1:5060\", \"sip:198.51.100.2:5060\"",
        "\"sip:sbc.acme.example\"",
    );
    let mut w = World::builder(8).config(&config).build();
    let addresses = ["198.51.100.77:5060", "198.51.100.2:5060"].map(|text| text.parse().expect("an address"));
    w.dns.set("sbc.acme.example", &addresses, Some(ms(30)));
    let alice = w.registered("alice");
    let two = w.carrier("sbc2", "198.51.100.2:5060");
    let call = w.call(alice, ABROAD);
    w.up(call);
    assert_eq!(w.agents[two.0].calls.len(), 1);
    w.hang_up(call);
    w.finish();
}

/// RFC 3263: a name that does not exist, or whose resolver is silent: an answer in bounded time.
#[test]
fn a_name_that_cannot_be_resolved() {
    for delay in [Some(ms(10)), None] {
        let config = EDGE.replace(
            "\"sip:198.51.100.1:5060\", \"sip:198.51.100.2:5060\"",
            "\"sip:sbc.acme.example\"",
        );
        let mut w = World::builder(9).config(&config).build();
        w.dns.set("sbc.acme.example", &[], delay);
        let alice = w.registered("alice");
        let call = w.call(alice, ABROAD);
        let from = w.now;
        let status = w.over(call);
        assert!((500..600).contains(&status), "{status}");
        assert!(w.now.since(from) < s(20));
        w.finish();
    }
}

const REGISTERED: &str = r#"
node:     { name: edge }
listen:   [ "udp://192.0.2.1:5060" ]
domains:  [ example.com ]
users:    [ { name: alice, password: "wonder land", number: "+14155550101" } ]
trunks:
  - name: acme
    peers: [ "sip:198.51.100.1:5060" ]
    register: { username: tandem, password: "open sesame", realm: acme.example, expires: 300s }
    options: never
routes:   [ { to: "+", from: user/*, do: trunk/acme } ]
"#;

/// RFC 3261 10.2, 22.2: we register with a carrier, answer its challenge, and refresh before it expires.
#[test]
fn we_register_with_a_carrier_and_refresh() {
    let mut w = World::builder(10).config(REGISTERED).build();
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.agent(acme).password = "open sesame".into();
    w.agent(acme).registrar.serves = true;
    w.agent(acme).registrar.realm = "acme.example".into();
    w.run(s(60));
    assert_eq!(w.agent(acme).registrar.contacts.len(), 1);
    let before = w.agent(acme).registrar.accepted;
    w.run(s(1200));
    let refreshed = w.agent(acme).registrar.accepted - before;
    assert!((10..=40).contains(&refreshed), "granted 120 s each time: {refreshed}");
    let up = w
        .facts
        .iter()
        .any(|fact| matches!(fact, Fact::TrunkState { up: true, .. }));
    assert!(up, "the operator sees it");
}

/// A call comes in over the registration: by the contact that we registered, although its source is no `accept_from`.
#[test]
fn a_call_over_the_registration() {
    let mut w = World::builder(11).config(REGISTERED).build();
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.agent(acme).password = "open sesame".into();
    w.agent(acme).registrar.serves = true;
    w.agent(acme).registrar.realm = "acme.example".into();
    w.run(s(60));
    let alice = w.registered("alice");
    let contact = w.agent(acme).registrar.contacts[0].clone();
    let (c, _) = w.talk(acme, alice, &contact.replace("tandem@", "+14155550101@"));
    w.hang_up(c);
    w.run(s(70));
    assert_eq!(w.cause(), (200, 16));
}

/// RFC 3261 10.2.8: a carrier that wants a longer registration (423) gets one; one that refuses is left alone for a while.
#[test]
fn a_carrier_that_refuses_to_register_us() {
    let mut w = World::builder(12).config(REGISTERED).build();
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.agent(acme).password = "open sesame".into();
    w.agent(acme).registrar.serves = true;
    w.agent(acme).registrar.realm = "acme.example".into();
    w.agent(acme).registrar.min_expires = 900;
    w.agent(acme).registrar.grants = 900;
    w.run(s(60));
    assert_eq!(
        w.agent(acme).registrar.accepted,
        1,
        "423 and Min-Expires were understood"
    );
    w.agent(acme).registrar.refuses = Some(403);
    w.run(s(3600));
    let seen = w.agent(acme).registrar.seen;
    assert!(seen < 80, "403 must not be hammered: {seen} REGISTERs in an hour");
    w.agent(acme).registrar.refuses = None;
    w.run(s(3600));
    assert!(w.agent(acme).registrar.accepted >= 2, "it comes back by itself");
}

/// RFC 3261 22.2, 22.3: the carrier challenges our INVITE: we answer for its realm, once.
#[test]
fn the_carrier_challenges_our_invite() {
    let mut w = World::builder(13).config(REGISTERED).build();
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.agent(acme).password = "open sesame".into();
    w.agent(acme).registrar.serves = true;
    w.agent(acme).registrar.realm = "acme.example".into();
    w.policy(acme).challenge = Some("acme.example".into());
    let alice = w.registered("alice");
    let (a, _) = w.talk(alice, acme, ABROAD);
    w.hang_up(a);
    w.run(s(70));
    assert_eq!(w.cause().0, 200);
    // A foreign realm gets no password of ours.
    w.policy(acme).challenge = Some("somewhere.else".into());
    let call = w.call(alice, ABROAD);
    let status = w.over(call);
    assert!(status >= 400, "{status}");
    let credentials = w
        .last_received(acme, |m| m.is("INVITE"))
        .text("Authorization")
        .to_owned();
    assert!(!credentials.contains("somewhere.else"), "{credentials}");
}

/// `limits.calls`: one more is refused towards the user, and as soon as a place is free the next goes through.
#[test]
fn the_limit_of_calls() {
    let mut w = World::builder(14)
        .config(&EDGE.replace("calls: 100,", "calls: 2,"))
        .build();
    let (alice, bob, acme) = (
        w.registered("alice"),
        w.registered("bob"),
        w.carrier("acme", "198.51.100.1:5060"),
    );
    let (first, _) = w.talk(alice, acme, ABROAD);
    let (second, _) = w.talk(acme, bob, "+14155550102");
    let third = w.call(alice, ABROAD);
    let status = w.over(third);
    assert_eq!(status, 480, "a phone has nowhere else to go");
    let fourth = w.call(acme, "+14155550102");
    assert_eq!(w.over(fourth), 503, "inbound calls count, too");
    w.hang_up(first);
    w.run(s(1));
    let (fifth, _) = w.talk(alice, acme, ABROAD);
    w.hang_up(second);
    w.hang_up(fifth);
    w.finish();
}

/// `limits.calls_per_second`: more in one second are refused, a second later they are not.
#[test]
fn the_limit_of_calls_per_second() {
    let mut w = World::builder(15)
        .config(&EDGE.replace("calls_per_second: 100", "calls_per_second: 3"))
        .build();
    let (_, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let calls: Vec<_> = (0..8).map(|_| w.call(acme, "+14155550103")).collect();
    w.run(s(1));
    let refused = calls.iter().filter(|call| w.state(**call) == State::Ended(503)).count();
    assert!((4..=6).contains(&refused), "{refused}");
    w.run(s(2));
    let later = w.call(acme, "+14155550103");
    assert_eq!(w.over(later), 480, "carol is offline, but the call was looked at");
    w.finish();
}

/// E.164 inside, whatever the carrier writes; `send` decides what it sees.
#[test]
fn numbers_are_normalised_and_formatted() {
    for (send, seen) in [
        ("e164", "+442079460000"),
        ("plain", "442079460000"),
        ("national", "011442079460000"),
    ] {
        let mut w = World::builder(16)
            .config(&EDGE.replace("send: e164", &format!("send: {send}")))
            .build();
        let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
        let (a, c) = w.talk(alice, acme, ABROAD);
        assert!(
            w.at(c).invite.uri().starts_with(&format!("sip:{seen}@")),
            "{}",
            w.at(c).invite.uri()
        );
        w.hang_up(a);
        for number in [
            "+14155550101",
            "14155550101",
            "4155550101",
            "0014155550101",
            "01114155550101",
        ] {
            let call = w.call(acme, number);
            w.run(s(3));
            if w.state(call) == State::Up {
                assert_eq!(w.cdr().called, "+14155550101", "{number}");
            }
            w.hang_up(call);
            w.run(s(1));
        }
        assert!(
            w.records
                .by_call
                .values()
                .filter(|cdr| cdr.called == "+14155550101")
                .count()
                >= 3
        );
        w.finish();
    }
}

/// RFC 3325, RFC 3323: the user's first number is the caller that a carrier sees; whatever the phone claims.
#[test]
fn the_caller_is_presented_by_his_number() {
    let mut w = World::new(17);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(alice).invite_lines = vec!["P-Asserted-Identity: <sip:+19998887777@example.com>".into()];
    let (a, c) = w.talk(alice, acme, ABROAD);
    let invite = w.at(c).invite.clone();
    assert!(invite.text("From").contains("+14155550101"), "{}", invite.text("From"));
    assert!(
        !invite.write().windows(7).any(|part| part == b"9998887"),
        "what a phone asserts is not believed"
    );
    w.hang_up(a);
    w.finish();
}

/// RFC 3323 4.1.1.3, RFC 3325: a caller who wants to be unknown is.
#[test]
fn privacy_is_kept() {
    let mut w = World::new(18);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let lines = [
        "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=anon",
        "P-Asserted-Identity: <sip:+442079461111@carrier.example>",
        "Privacy: id",
    ];
    let call = w.call_with(acme, "+14155550101", &lines);
    let other = w.incoming(alice);
    let shown = String::from_utf8_lossy(&w.at(other).invite.write()).into_owned();
    assert!(!shown.contains("2079461111"), "{shown}");
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// Calls from nobody we know: silence, a counter, no state; also for REGISTER floods and odd user agents.
#[test]
fn strangers_hear_nothing() {
    let mut w = World::new(19);
    let scanner = w.stranger("scanner", "203.0.113.66:5060");
    let call = w.call(scanner, "+14155550101");
    w.expect_over(call, 408);
    assert!(w.received(scanner, |_| true).is_empty(), "not one octet");
    let refused = w
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Refused { status: 0, .. }))
        .count();
    assert!(refused >= 1);
    w.finish();
}

/// A carrier calls a number that nobody has: 404, and a user's phone is not asked.
#[test]
fn a_carrier_calls_an_unknown_number() {
    let mut w = World::new(20);
    let (_, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let call = w.call(acme, "+14155550999");
    w.expect_over(call, 404);
    w.finish();
}

/// OPTIONS from a carrier is answered with what we can do (RFC 3261 11.2).
#[test]
fn options_are_answered() {
    let mut w = World::new(21);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let options = Msg::request("OPTIONS", "sip:192.0.2.1")
        .with("Max-Forwards", "70")
        .with("From", "<sip:acme@carrier.example>;tag=1")
        .with("To", "<sip:192.0.2.1>")
        .with("Call-ID", "options@acme")
        .with("CSeq", "1 OPTIONS");
    assert_eq!(w.ask(acme, options), 200);
    let answer = w.last_received(acme, |m| m.answers("OPTIONS", 200));
    assert!(answer.has_token("Allow", "PRACK") && answer.has_token("Supported", "100rel"));
    assert!(answer.text("Accept").contains("application/sdp"));
}

/// Our own OPTIONS: a peer that does not answer is held down and tried last; when it is back, it is first again.
#[test]
fn a_peer_that_is_down_is_tried_last() {
    let mut w = World::builder(22)
        .config(&EDGE.replace("options: never", "options: 20s"))
        .build();
    let alice = w.registered("alice");
    let (one, two) = (
        w.carrier("sbc1", "198.51.100.1:5060"),
        w.carrier("sbc2", "198.51.100.2:5060"),
    );
    w.policy(one).deaf = true;
    w.policy(one).formats = vec![pcma()];
    w.run(s(120));
    let before = w.received(one, |m| m.is("INVITE")).len();
    let call = w.call(alice, ABROAD);
    w.up(call);
    assert_eq!(
        w.received(one, |m| m.is("INVITE")).len(),
        before,
        "nobody waits for a dead peer"
    );
    assert_eq!(w.agents[two.0].calls.len(), 1);
    w.hang_up(call);
    w.policy(one).deaf = false;
    w.run(s(200));
    let (a, _) = w.talk(alice, one, ABROAD);
    w.hang_up(a);
    w.finish();
}

/// RFC 3326, Q.850: the carrier's cause reaches the phone and the record.
#[test]
fn causes_are_carried_over() {
    let mut w = World::new(23);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).answer = Answer::Status(
        404,
        ms(20),
        vec!["Reason: Q.850;cause=1;text=\"Unallocated number\"".into()],
    );
    w.policy(acme).ring = None;
    let call = w.call(alice, ABROAD);
    w.expect_over(call, 404);
    let refusal = w.last_received(alice, |m| m.answers("INVITE", 404));
    assert!(refusal.text("Reason").contains("cause=1"), "{refusal:?}");
    w.finish();
    assert_eq!(w.cause(), (404, 1));
}
