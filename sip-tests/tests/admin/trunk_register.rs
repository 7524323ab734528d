//! We register with a carrier (RFC 3261 10.2, interop 55): challenge, refresh, 423, back-off, failover, the end.

use crate::tools::{USERS, trunk_facts, works, world};
use sip_tests::{Peer, World, digest, message, ms, s};

const ONE: &str = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: { country: US },
      register: { username: tandem, password: hush, realm: acme.example, expires: 10m } }
routes:
  - { to: \"+\", from: user/*, do: trunk/acme }
";
const TWO: &str = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\", \"sip:198.51.100.2:5060\" ], options: never, numbers: { country: US },
      register: { username: tandem, password: hush } }
";

/// A carrier that registers us: its REGISTERs begin when it is there, since the first one finds nobody.
fn registrar(w: &mut World, name: &str, addr: &str, realm: &str) -> Peer {
    let peer = w.carrier(name, addr);
    let agent = w.agent(peer);
    (agent.registrar.serves, agent.registrar.realm, agent.password) = (true, realm.into(), "hush".into());
    peer
}

fn accepted(w: &World, peer: Peer) -> usize {
    w.agents[peer.0].registrar.accepted
}

fn registered(w: &mut World, peer: Peer) {
    w.until("we are registered", |w| accepted(w, peer) == 1);
    w.run(ms(20));
}

/// RFC 3261 10.2, 22.2: the challenge is answered once; address of record, Contact and Expires are as the carrier expects.
#[test]
fn a_challenge_is_answered() {
    let mut w = world(1, &format!("{USERS}{ONE}"));
    let acme = registrar(&mut w, "acme", "198.51.100.1:5060", "acme.example");
    registered(&mut w, acme);
    let asked = w.received(acme, |m| m.is("REGISTER"));
    assert_eq!(asked.len(), 2);
    let last = &asked[1].1;
    assert_eq!(
        (last.uri(), message::uri_of(last.text("To"))),
        ("sip:acme.example", "sip:tandem@acme.example")
    );
    assert_eq!(last.text("Expires"), "600");
    assert!(digest::verify(last.text("Authorization"), "hush", "REGISTER"));
    let contact = message::uri_of(last.text("Contact")).to_owned();
    assert!(contact.starts_with("sip:tandem@192.0.2.1:5060"), "{contact}");
    assert!(asked[0].1.cseq().0 < last.cseq().0 && asked[0].1.call_id() == last.call_id());
    assert!(
        trunk_facts(&w)
            .iter()
            .any(|told| told.starts_with("acme up: registration")),
        "{:?}",
        trunk_facts(&w)
    );
    w.finish();
}

/// RFC 3261 10.2.4: refreshed before what was granted is over (not what was asked), for a whole day without a gap; the nonce is
/// used on with its count, and a new one is taken up without a break (RFC 7616 3.3).
#[test]
fn the_registration_is_refreshed_in_time() {
    let mut w = world(2, &format!("{USERS}{ONE}"));
    let acme = registrar(&mut w, "acme", "198.51.100.1:5060", "acme.example");
    w.agent(acme).registrar.grants = 100;
    registered(&mut w, acme);
    let before = trunk_facts(&w).len();
    w.run(s(24 * 3600));
    let times: Vec<_> = w
        .received(acme, |m| m.is("REGISTER"))
        .iter()
        .map(|(at, _)| *at)
        .collect();
    assert!(
        times.windows(2).skip(1).all(|pair| pair[1].since(pair[0]) < s(100)),
        "each within what was granted"
    );
    assert!((864..1_100).contains(&accepted(&w, acme)), "{}", accepted(&w, acme));
    assert_eq!(trunk_facts(&w).len(), before, "no news is good news");
    w.finish();
}

/// RFC 3261 10.2.8: 423 is answered by the carrier's Min-Expires.
#[test]
fn too_brief_is_asked_again_for_longer() {
    let mut w = world(3, &format!("{USERS}{ONE}"));
    let acme = registrar(&mut w, "acme", "198.51.100.1:5060", "acme.example");
    (w.agent(acme).registrar.min_expires, w.agent(acme).registrar.grants) = (1800, 3600);
    registered(&mut w, acme);
    let last = w.last_received(acme, |m| m.is("REGISTER"));
    assert_eq!(last.text("Expires"), "1800");
    w.run(s(1000));
    assert_eq!(accepted(&w, acme), 1, "it holds");
    w.run(s(800));
    assert_eq!(accepted(&w, acme), 2);
    w.finish();
}

/// A wrong password is tried once, then not again for ten minutes: a carrier may lock the account. The log says why.
#[test]
fn a_wrong_password_backs_off() {
    let mut w = world(4, &format!("{USERS}{ONE}"));
    let acme = registrar(&mut w, "acme", "198.51.100.1:5060", "acme.example");
    w.agent(acme).password = "changed".into();
    w.run(s(3600));
    let seen = w.agents[acme.0].registrar.seen;
    assert!((4..=14).contains(&seen), "{seen} in an hour, two of each attempt");
    let told = trunk_facts(&w);
    assert!(
        told.iter()
            .any(|told| told.contains("does not take this user name and password")),
        "{told:?}"
    );
    assert!(
        told.iter()
            .all(|told| !told.contains("hush") && !told.contains("changed"))
    );
    w.agent(acme).password = "hush".into();
    w.run(s(1900));
    assert!(accepted(&w, acme) >= 1, "it heals by itself");
    w.finish();
}

/// RFC 3261 21.4.4, interop 55: 403 is not asked again soon; other failures are, at growing distances.
#[test]
fn refusals_are_asked_again_at_growing_distances() {
    for (seed, status, most) in [(5, 403, 7), (6, 500, 12), (7, 404, 12)] {
        let mut w = world(seed, &format!("{USERS}{ONE}"));
        let acme = registrar(&mut w, "acme", "198.51.100.1:5060", "acme.example");
        w.agent(acme).registrar.refuses = Some(status);
        w.run(s(3600));
        let times: Vec<_> = w
            .received(acme, |m| m.is("REGISTER"))
            .iter()
            .map(|(at, _)| *at)
            .collect();
        assert!(
            (3..=most).contains(&times.len()),
            "{status}: {} in an hour",
            times.len()
        );
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
        let least = if status == 403 { 600 } else { 30 };
        assert!(gaps.iter().all(|gap| *gap >= least), "{status}: {gaps:?}");
        assert!(
            gaps.windows(2).all(|pair| pair[1] + 10 >= pair[0]),
            "{status}: {gaps:?}"
        );
        w.agent(acme).registrar.refuses = None;
        w.run(s(1900));
        assert!(accepted(&w, acme) >= 1, "{status}");
        w.finish();
    }
}

/// The password goes to its realm and to no other (`register.realm`).
#[test]
fn a_foreign_realm_gets_nothing() {
    let mut w = world(8, &format!("{USERS}{ONE}"));
    let acme = registrar(&mut w, "acme", "198.51.100.1:5060", "phisher.example");
    w.run(s(120));
    assert!(w.received(acme, |m| m.get("Authorization").is_some()).is_empty());
    let told = trunk_facts(&w);
    assert!(
        told.iter()
            .any(|told| told.contains("phisher.example") && told.contains("acme.example")),
        "{told:?}"
    );
    w.finish();
}

/// The registrar's peer dies: the next one has our registration, within what the old one had granted; and back again.
#[test]
fn another_peer_takes_the_registration_over() {
    let mut w = world(9, &format!("{USERS}{TWO}"));
    let first = registrar(&mut w, "first", "198.51.100.1:5060", "any");
    let second = registrar(&mut w, "second", "198.51.100.2:5060", "any");
    let alice = w.registered("alice");
    registered(&mut w, first);
    w.policy(first).deaf = true;
    w.run(s(140));
    assert_eq!(accepted(&w, second), 1, "96 s until the refresh, 32 s in vain");
    works(&mut w, second, "+14155550101");
    assert_eq!(w.agents[alice.0].calls.len(), 1);
    w.policy(second).deaf = true;
    w.policy(first).deaf = false;
    w.run(s(300));
    assert!(accepted(&w, first) >= 2);
    w.finish();
}

/// Interop 55: some carriers write another port or host into the Contact that they echo, or none: what they granted counts.
#[test]
fn an_odd_contact_in_the_answer_is_understood() {
    for (seed, contact) in [
        (10, Some("Contact: <sip:tandem@10.0.0.1:1024;transport=udp>;expires=60")),
        (
            11,
            Some("m: <sip:other@198.18.0.1>;expires=9000, <sip:tandem@192.0.2.1:5060>;expires=60"),
        ),
        (12, None),
    ] {
        let mut w = world(seed, &format!("{USERS}{ONE}"));
        let acme = w.carrier("acme", "198.51.100.1:5060");
        w.policy(acme).deaf = true;
        w.until("we ask", |w| !w.received(acme, |m| m.is("REGISTER")).is_empty());
        let request = w.last_received(acme, |m| m.is("REGISTER"));
        let mut answer = sip_tests::Msg::response(&request, 200, "reg");
        match contact {
            Some(line) => answer.push_line(line),
            None => answer.push("Expires", "60"),
        }
        w.send_raw(acme, answer.write());
        w.run(ms(50));
        let (told, before) = (trunk_facts(&w), w.received(acme, |m| m.is("REGISTER")).len());
        assert!(
            told.iter().any(|told| told.contains("registered for 60 s")),
            "{contact:?}: {told:?}"
        );
        w.run(s(59));
        assert!(
            w.received(acme, |m| m.is("REGISTER")).len() > before,
            "{contact:?}: refreshed in time"
        );
        w.finish();
    }
}

/// RFC 3261 10.2.2: at the end we say goodbye, with credentials, so that the carrier calls us no more.
#[test]
fn stopping_ends_the_registration() {
    let mut w = world(13, &format!("{USERS}{ONE}"));
    let acme = registrar(&mut w, "acme", "198.51.100.1:5060", "acme.example");
    registered(&mut w, acme);
    assert_eq!(w.agents[acme.0].registrar.contacts.len(), 1);
    w.stop(s(10));
    w.run(s(1));
    let last = w.last_received(acme, |m| m.is("REGISTER"));
    assert_eq!(last.text("Expires"), "0");
    assert!(
        w.agents[acme.0].registrar.contacts.is_empty(),
        "the carrier has taken it"
    );
    w.finish();
}
