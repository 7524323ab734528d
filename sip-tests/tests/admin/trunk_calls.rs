//! Who is a carrier, and what becomes of a call from nobody: by address, by the flow of our registration, in silence.

use crate::tools::{USERS, fails, incoming, refusals, works, world};
use sip_tests::{Answer, State, World, ms, s};

const BY_ADDRESS: &str = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], accept_from: [ 198.51.100.0/28, 203.0.113.77 ], options: never, numbers: { country: US } }
  - { name: blue, peers: [ \"sip:198.51.100.33:5070\" ], options: never, numbers: { country: US } }
routes:
  - { to: \"+14155550109\", from: trunk/blue, do: user/bob }
  - { to: \"+\", from: user/*, do: trunk/acme }
";

fn by_address(seed: u64) -> World {
    world(seed, &format!("{USERS}{BY_ADDRESS}"))
}

/// A source in `accept_from`, on whatever port, is this carrier; so is a peer's own address. Each has its own routes.
#[test]
fn a_carrier_is_known_by_its_address() {
    let mut w = by_address(1);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    for (n, addr) in ["198.51.100.1:5060", "198.51.100.14:33000", "203.0.113.77:5060"]
        .iter()
        .enumerate()
    {
        let acme = w.carrier(&format!("acme{n}"), addr);
        works(&mut w, acme, "+14155550101");
        fails(&mut w, acme, "+14155550109", 404);
    }
    let blue = w.carrier("blue", "198.51.100.33:5070");
    works(&mut w, blue, "+14155550109");
    works(&mut w, blue, "+14155550101");
    assert_eq!((incoming(&w, alice).len(), incoming(&w, bob).len()), (4, 1));
    w.finish();
}

/// The rule of the house: an unknown source gets no answer at all, to whatever it calls; nothing is kept of it.
#[test]
fn an_unknown_source_is_not_answered() {
    let mut w = by_address(2);
    let alice = w.registered("alice");
    w.run(s(40));
    for (n, addr) in ["198.51.100.16:5060", "203.0.113.78:5060", "198.18.0.9:5060"]
        .iter()
        .enumerate()
    {
        let stranger = w.stranger(&format!("stranger{n}"), addr);
        for to in [
            "+14155550101",
            "alice",
            "600",
            "sip:+14155550101@192.0.2.1",
            "sip:anybody@elsewhere.example",
        ] {
            let call = w.call(stranger, to);
            w.run(s(1));
            assert_eq!(w.census(), tandem::node::Census::default(), "{to}");
            assert!(w.at(call).statuses.is_empty(), "{to} from {addr}");
        }
        assert!(w.received(stranger, |_| true).is_empty());
    }
    assert!(incoming(&w, alice).is_empty() && refusals(&w).iter().all(|status| *status == 0));
    w.run(s(40));
    w.finish();
}

/// Who claims to be one of us is challenged, from wherever it comes; a user may call from a carrier's network, too.
#[test]
fn who_claims_to_be_a_user_is_asked_to_prove_it() {
    let mut w = by_address(3);
    let bob = w.registered("bob");
    let stranger = w.stranger("stranger", "198.18.0.9:5060");
    w.agent(stranger).identity = "sip:alice@example.com".into();
    fails(&mut w, stranger, "bob", 401);
    let (agent, user) = (w.agent(stranger), "alice");
    (agent.user, agent.password) = (user.into(), "wonder land".into());
    works(&mut w, stranger, "bob");
    assert_eq!(incoming(&w, bob).len(), 1);
    w.finish();
}

/// A carrier known by nothing but its name and our registration (RFC 3261 10, interop 55): calls come from where we registered;
/// before we know where that is, and from anywhere else, they come from nobody.
#[test]
fn a_carrier_is_known_by_our_registration() {
    let trunk = "trunks:
  - { name: acme, peers: [ \"sip:sbc.acme.example:5060\" ], options: never, numbers: { country: US },
      register: { username: tandem, password: hush, realm: acme.example } }
";
    let mut w = World::builder(4)
        .config(&crate::tools::yaml(&format!("{USERS}{trunk}")))
        .build();
    w.dns.set(
        "sbc.acme.example",
        &["198.51.100.1:5060".parse().expect("an address")],
        Some(s(2)),
    );
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let early = w.call(acme, "+14155550101");
    w.run(s(1));
    assert!(w.at(early).statuses.is_empty(), "we have not registered yet");
    let agent = w.agent(acme);
    (agent.registrar.serves, agent.registrar.realm, agent.password) = (true, "acme.example".into(), "hush".into());
    w.run(s(700));
    assert!(w.agents[acme.0].registrar.accepted >= 1);
    let before = incoming(&w, alice).len();
    works(&mut w, acme, "+14155550101");
    assert_eq!(incoming(&w, alice).len(), before + 1);
    let contact = w.agents[acme.0].registrar.contacts[0].clone();
    works(&mut w, acme, &contact.replace("tandem@", "+14155550101@"));
    let neighbour = w.stranger("neighbour", "198.51.100.2:5060");
    let call = w.call(neighbour, "+14155550101");
    w.run(s(1));
    assert!(w.at(call).statuses.is_empty());
    w.finish();
}

/// RFC 3261 8.2.2.1, 16.3: a carrier's call for another host is not passed on to it, and one for our address is ours.
#[test]
fn nothing_is_relayed_for_others() {
    let mut w = by_address(5);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let victim = w.stranger("victim", "198.18.0.9:5060");
    fails(&mut w, acme, "sip:+14155550101@elsewhere.example", 404);
    fails(&mut w, acme, "sip:+14155550101@198.18.0.9", 404);
    // A route set does not make us a proxy either (RFC 3261 16.4: we are no proxy, the Request-URI decides).
    let call = w.call_with(acme, "+14155550101", &["Route: <sip:192.0.2.1;lr>"]);
    w.up(call);
    w.hang_up(call);
    works(&mut w, acme, "sip:+14155550101@192.0.2.1:5060");
    // The world is not called at our cost: no route joins trunk to trunk.
    fails(&mut w, acme, "+442079460000", 404);
    assert_eq!(incoming(&w, alice).len(), 2);
    assert!(w.received(victim, |_| true).is_empty());
    w.finish();
}

/// Interop 49: what a carrier's peer refuses is passed on as it means it for the caller, and only 503 and 408 make another
/// peer be tried; after ringing none is, since the call may have been billed.
#[test]
fn each_refusal_has_its_meaning() {
    let two = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\", \"sip:198.51.100.2:5060\" ], options: never, numbers: { country: US }, connect: 2s }
routes:
  - { to: \"+\", from: user/*, do: trunk/acme }
";
    for (seed, (said, told, second)) in (10..).zip([
        (403, 403, 0),
        (404, 404, 0),
        (408, 200, 1),
        (480, 480, 0),
        (484, 484, 0),
        (486, 486, 0),
        (487, 480, 0),
        (488, 488, 0),
        (401, 403, 0),
        (407, 403, 0),
        (482, 500, 0),
        (500, 500, 0),
        (503, 200, 1),
        (600, 600, 0),
        (603, 603, 0),
        (302, 480, 0),
    ]) {
        let mut w = world(seed, &format!("{USERS}{two}"));
        let alice = w.registered("alice");
        let (first, other) = (
            w.carrier("first", "198.51.100.1:5060"),
            w.carrier("second", "198.51.100.2:5060"),
        );
        w.policy(first).ring = None;
        w.policy(first).answer = Answer::Status(said, ms(50), Vec::new());
        let call = w.call(alice, "+442079460000");
        w.until("an answer or the end", |w| {
            !w.at(call).is_live() || w.state(call) == State::Up
        });
        let outcome = if let State::Ended(status) = w.state(call) {
            status
        } else {
            200
        };
        assert_eq!(
            (outcome, incoming(&w, other).len()),
            (told, second),
            "the carrier says {said}"
        );
        w.finish();
    }
}
