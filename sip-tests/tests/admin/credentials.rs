//! Digest authentication (RFC 3261 22, 7616, 8760) request by request.

use crate::tools::{PATIENT, USERS, challenge, exchange, fails, outside, refusals, sign, tongue_tied, world};
use sip_tests::{Msg, Peer, World, digest, s};

const ALICE: &str = "sip:alice@example.com";

fn register(cseq: u32) -> Msg {
    let mut request = outside("REGISTER", "sip:example.com", ALICE, "digest@alice", cseq);
    request.set("To", "<sip:alice@example.com>");
    request.with("Contact", "<sip:alice@203.0.0.10:5060>;expires=600")
}

/// Alice, who signs only what the script lets her sign, and a challenge for her.
fn prepared(seed: u64) -> (World, Peer, String) {
    let mut w = World::new(seed);
    let alice = w.phone("alice");
    tongue_tied(&mut w, alice);
    let challenge = challenge(&mut w, alice, register(1));
    (w, alice, challenge)
}

/// RFC 7616 3.4: one nonce serves for many requests, its count going up; each count serves once.
#[test]
fn a_nonce_serves_while_its_count_goes_up() {
    let (mut w, alice, nonce) = prepared(1);
    let mut ask = |cseq, nc| {
        let response = exchange(&mut w, alice, sign(register(cseq), &nonce, "alice", "wonder land", nc));
        let stale = digest::field(response.text("WWW-Authenticate"), "stale").map(str::to_owned);
        (response.status(), stale)
    };
    assert_eq!(ask(2, 1), (200, None));
    assert_eq!(ask(3, 2), (200, None));
    assert_eq!(ask(4, 5), (200, None), "some were lost on the way");
    assert_eq!(ask(5, 4), (200, None), "overtaken, but never seen before");
    assert_eq!(ask(6, 2), (401, Some("true".into())), "replayed");
    assert_eq!(ask(7, 6), (200, None), "the replay has cost nothing");
    w.finish();
}

/// RFC 7616 5.12: phones that share an address and ask within one millisecond have nonces of their own, or one would use up the other's.
#[test]
fn no_two_challenges_have_the_same_nonce() {
    let mut w = world(15, &format!("{USERS}{PATIENT}"));
    let alice = w.phone("alice");
    tongue_tied(&mut w, alice);
    let many = 900;
    for n in 0..many {
        let mut request = outside("REGISTER", "sip:example.com", ALICE, &format!("phone{n}"), 1);
        request.set("To", "<sip:alice@example.com>");
        w.act(alice.0, |agent, cx| agent.send_loose(cx, request));
    }
    w.run(s(1));
    let challenges = w.received(alice, |m| m.status() == 401);
    let nonce = |m: &Msg| digest::field(m.text("WWW-Authenticate"), "nonce").map(str::to_owned);
    let nonces: std::collections::BTreeSet<_> = challenges.iter().map(|(_, m)| nonce(m)).collect();
    assert_eq!((challenges.len(), nonces.len()), (many, many));
    w.run(s(40));
    w.finish();
}

/// RFC 7616 3.3: a nonce that is too old is answered by a new one with stale=true, right password or not.
#[test]
fn an_old_nonce_is_stale() {
    let (mut w, alice, nonce) = prepared(2);
    w.run(s(400));
    let response = exchange(&mut w, alice, sign(register(2), &nonce, "alice", "wonder land", 1));
    let renewed = response.text("WWW-Authenticate").to_owned();
    assert_eq!(
        (response.status(), digest::field(&renewed, "stale")),
        (401, Some("true"))
    );
    assert_ne!(digest::field(&renewed, "nonce"), digest::field(&nonce, "nonce"));
    assert_eq!(
        exchange(&mut w, alice, sign(register(3), &renewed, "alice", "wonder land", 1)).status(),
        200
    );
    w.finish();
}

/// RFC 7616 5.12: a nonce that we did not make, or made for another realm or before a restart, is worth nothing.
#[test]
fn a_foreign_nonce_is_stale() {
    let (mut w, alice, nonce) = prepared(3);
    let forged = nonce.replace(
        digest::field(&nonce, "nonce").expect("it has one"),
        "deadbeefdeadbeefdeadbeefdeadbeef",
    );
    w.restart();
    for (cseq, challenge) in [(2, &forged), (3, &nonce)] {
        let response = exchange(
            &mut w,
            alice,
            sign(register(cseq), challenge, "alice", "wonder land", 1),
        );
        assert_eq!(response.status(), 401);
        assert_eq!(digest::field(response.text("WWW-Authenticate"), "stale"), Some("true"));
    }
    w.finish();
}

/// RFC 7616 3.4.1, 3.4.6: credentials hold for their user, password, method and URI; anything else is 403, and kept nothing.
#[test]
fn credentials_hold_for_one_user_method_and_uri() {
    let (mut w, alice, nonce) = prepared(4);
    let answer = |user, password, method, uri| digest::answer(&nonce, user, password, method, uri, 1);
    let good = answer("alice", "wonder land", "REGISTER", "sip:example.com");
    let spoiled = [
        answer("alice", "wonderland", "REGISTER", "sip:example.com"),
        answer("bob", "builder", "REGISTER", "sip:example.com"),
        answer("bob", "wonder land", "REGISTER", "sip:example.com"),
        answer("alice", "wonder land", "INVITE", "sip:example.com"),
        answer("alice", "wonder land", "REGISTER", "sip:elsewhere.example"),
        good.replace("response=\"", "response=\"0"),
    ];
    for (cseq, credentials) in (2..).zip(spoiled) {
        let response = exchange(&mut w, alice, register(cseq).with("Authorization", &credentials));
        assert_eq!(
            (response.status(), w.store.durable("alice@example.com")),
            (403, 0),
            "{credentials}"
        );
    }
    let response = exchange(&mut w, alice, register(20).with("Authorization", &good));
    assert_eq!(response.status(), 200, "the nonce was not used up by the wrong ones");
    w.finish();
}

/// RFC 3261 20.7, 25.1: credentials that cannot be read are 400; a scheme that we do not speak is as none.
#[test]
fn unreadable_credentials_are_a_bad_request() {
    let (mut w, alice, nonce) = prepared(5);
    let good = digest::answer(&nonce, "alice", "wonder land", "REGISTER", "sip:example.com", 1);
    for (n, (credentials, status)) in [
        ("Basic YWxpY2U6eA==".to_owned(), 401),
        (good.replace(", response=", ", answer="), 400),
        (good.replace("nc=00000001", "nc=first"), 400),
        (good.replace("algorithm=MD5", "algorithm=SHA-512-256"), 401),
        (good.replace("qop=auth,", "qop=auth-int,"), 400),
    ]
    .into_iter()
    .enumerate()
    {
        let request = register(2 + n as u32).with("Authorization", &credentials);
        let response = exchange(&mut w, alice, request);
        assert_eq!(response.status(), status, "{credentials}");
    }
    w.finish();
}

/// RFC 8760 2.4: both algorithms are offered, the preferred first; a phone may take either, but not one that is not offered.
#[test]
fn a_phone_takes_the_algorithm_that_it_knows() {
    let users = "users:
  - { name: alice, password: \"wonder land\", digest: [ sha-256, md5 ] }
  - { name: bob, password: builder, digest: [ sha-256 ] }
";
    let mut w = world(6, users);
    let (alice, bob) = (w.phone("alice"), w.registered("bob"));
    tongue_tied(&mut w, alice);
    let offers = exchange(&mut w, alice, register(1));
    let offers: Vec<&(String, String)> = offers
        .headers
        .iter()
        .filter(|(name, _)| name == "WWW-Authenticate")
        .collect();
    let algorithms: Vec<_> = offers
        .iter()
        .map(|(_, value)| digest::field(value, "algorithm").unwrap_or_default())
        .collect();
    assert_eq!(algorithms, ["SHA-256", "MD5"]);
    for (n, (_, offer)) in offers.iter().enumerate() {
        assert_eq!(
            exchange(
                &mut w,
                alice,
                sign(register(2 + n as u32), offer, "alice", "wonder land", 1)
            )
            .status(),
            200
        );
    }
    // A downgrade: bob's phone answers with the MD5 that it was not offered.
    tongue_tied(&mut w, bob);
    let of_bob = |cseq| {
        let mut request = register(cseq);
        request.set("To", "<sip:bob@example.com>");
        request.set("Call-ID", "down@bob");
        request
    };
    let offer = challenge(&mut w, bob, of_bob(1)).replace("algorithm=SHA-256", "algorithm=MD5");
    assert_eq!(
        exchange(&mut w, bob, sign(of_bob(2), &offer, "bob", "builder", 1)).status(),
        403
    );
    w.finish();
}

/// RFC 7616 3.3: a nonce is made anew for each 401, so that phones which are challenged in the same millisecond do not use up each
/// other's counts.
#[test]
fn phones_challenged_at_once_have_nonces_of_their_own() {
    let mut w = World::new(10);
    let phones = ["alice", "bob", "carol"].map(|name| w.phone(name));
    for phone in phones {
        w.act(phone.0, |agent, cx| agent.register(cx, 600));
    }
    w.run(s(1));
    let challenged: Vec<_> = phones
        .iter()
        .map(|phone| w.received(*phone, |m| m.status() == 401))
        .collect();
    assert!(
        challenged.iter().all(|list| list.len() == 1),
        "nobody was challenged twice"
    );
    assert!(
        phones
            .iter()
            .all(|phone| w.agents[phone.0].registration.last_status == 200)
    );
    assert_eq!(challenged[0][0].0, challenged[1][0].0, "they were challenged at once");
    w.finish();
}

/// RFC 3261 22.2, 26.3.2.4: an INVITE without credentials is challenged without any state; the ACK needs none.
#[test]
fn a_challenge_keeps_no_state() {
    let mut w = world(7, USERS);
    let alice = w.phone("alice");
    tongue_tied(&mut w, alice);
    let call = w.call(alice, "bob");
    w.expect_over(call, 401);
    assert_eq!(w.census(), tandem::node::Census::default());
    w.finish();
    assert_eq!(
        refusals(&w),
        Vec::<u16>::new(),
        "a first challenge is the course of things"
    );
}

/// RFC 3261 22.1: who calls under another's name is refused, with whatever right credentials.
#[test]
fn nobody_calls_as_somebody_else() {
    let mut w = world(8, USERS);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.agent(alice).identity = "sip:bob@example.com".into();
    fails(&mut w, alice, "bob", 403);
    assert!(w.agents[bob.0].calls.is_empty());
    assert_eq!(refusals(&w), [403]);
    w.finish();
}

/// A scanner that asks for many names without credentials: each is challenged alike, nothing is kept, nobody is disturbed.
#[test]
fn a_scan_for_names_learns_and_costs_nothing() {
    let mut w = world(9, &format!("{USERS}{PATIENT}"));
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, _) = w.talk(alice, bob, "bob");
    let before = w.census();
    let scanner = w.stranger("scanner", "198.18.7.7:5060");
    for n in 0..500 {
        let name = if n == 250 { "alice".to_owned() } else { format!("{n}") };
        let mut request = outside(
            "REGISTER",
            "sip:example.com",
            &format!("sip:{name}@example.com"),
            &format!("scan{n}"),
            1,
        );
        request.set("To", &format!("<sip:{name}@example.com>"));
        w.act(scanner.0, |agent, cx| {
            agent.send_loose(cx, request.with("User-Agent", "odd-scanner"))
        });
    }
    w.run(sip_tests::ms(100));
    assert_eq!(w.census(), before);
    let shape = |m: &Msg| {
        (
            m.status(),
            m.headers
                .iter()
                .map(|(name, value)| (name.clone(), value.len()))
                .collect::<Vec<_>>(),
        )
    };
    let answers = w.received(scanner, |m| m.status() > 0);
    assert_eq!(answers.len(), 500);
    let of = |call_id: &str| {
        answers
            .iter()
            .find(|(_, m)| m.call_id() == call_id)
            .map(|(_, m)| shape(m))
    };
    let (known, unknown) = (of("scan250").expect("one"), of("scan251").expect("one"));
    assert_eq!(known.0, unknown.0);
    let names = |shape: &(u16, Vec<(String, usize)>)| shape.1.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&known), names(&unknown));
    w.hang_up(a);
    w.finish();
}
