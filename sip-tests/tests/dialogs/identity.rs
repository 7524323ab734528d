//! Who is shown to whom, and what stays on its leg: RFC 3323, RFC 3325, RFC 3261 8.1.1.3, interop items 44, 50.

use crate::tools::{edge_with, two};
use sip_tests::{Answer, CallRef, Msg, Peer, World, message, ms, s};
use std::collections::BTreeSet;

const NUMBER: &str = "+442079460000";
/// Fields that our INVITE may have; a further one is a leak or wants a reason here.
const INVITE: [&str; 15] = [
    "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "Allow", "Supported", "User-Agent", "Session-Expires",
    "Min-SE", "Content-Type", "Content-Length", "P-Asserted-Identity",
];
/// Fields that our responses to INVITE may have.
const RESPONSE: [&str; 16] = [
    "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Allow", "Supported", "Server", "Session-Expires", "Require",
    "Content-Type", "Content-Length", "Reason", "RSeq", "WWW-Authenticate",
];
/// What a talkative peer writes beside what it must.
const CHATTER: [&str; 14] = [
    "Subject: secret-subject",
    "X-Inner: secret-inner",
    "Call-Info: <http://inner.example/secret>",
    "Alert-Info: <urn:alert:secret>",
    "History-Info: <sip:secret@inner.example>;index=1",
    "Diversion: <sip:secret@inner.example>",
    "P-Charging-Vector: icid-value=secret",
    "P-Access-Network-Info: secret",
    "Geolocation: <cid:secret@inner>",
    "Identity: secret;info=<https://inner.example/secret>",
    "User-Agent: secret/1.0",
    "Server: secret/2.0",
    "Organization: secret",
    "P-Preferred-Identity: <sip:secret@example.com>",
];

fn names(msg: &Msg) -> BTreeSet<String> {
    msg.headers.iter().map(|(name, _)| name.clone()).collect()
}

fn check_names(msg: &Msg, allowed: &[&str]) {
    let odd: Vec<String> = names(msg).into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(odd.is_empty(), "{} has {odd:?}", msg.start);
    let text = String::from_utf8_lossy(&msg.write()).into_owned();
    assert!(!text.contains("secret"), "{text}");
}

/// Every header name that the far side sees, in requests and responses, early and late, in both directions.
#[test]
fn nothing_of_one_legs_headers_reaches_the_other() {
    let (mut w, alice, bob) = two(1);
    w.policy(alice).invite_lines = CHATTER.iter().map(|line| (*line).to_owned()).collect();
    w.policy(bob).answer_lines = CHATTER.iter().map(|line| (*line).to_owned()).collect();
    w.policy(bob).answer = Answer::Manual;
    w.policy(bob).ring = None;
    let a = w.call(alice, "bob");
    let b = w.incoming(bob);
    w.on(b, |agent, cx, call| agent.respond(cx, call, 180, false, &CHATTER));
    w.rings(a);
    w.accept(b);
    w.up(a);
    w.run(s(1));
    check_names(&w.at(b).invite, &INVITE);
    for status in [180, 200] {
        check_names(&w.last_received(alice, |m| m.answers("INVITE", status)), &RESPONSE);
    }
    let hold = sip_tests::Change { lines: CHATTER.iter().map(|line| (*line).to_owned()).collect(), ..crate::tools::direction("sendonly") };
    assert_eq!(w.reinvite(a, hold), 200);
    w.run(s(1));
    check_names(&w.last_received(bob, |m| m.is("INVITE")), &INVITE);
    check_names(&w.last_received(bob, |m| m.is("ACK")), &INVITE);
    assert_eq!(w.request(b, "BYE", &CHATTER, None), 200);
    w.expect_over(a, 200);
    let bye = w.last_received(alice, |m| m.is("BYE"));
    check_names(&bye, &[&INVITE[..], &["Reason"]].concat());
    check_values(&w, a, b);
    w.finish();
}

/// Tags, branches and Call-IDs are new on the other leg (RFC 3261 19.3, 8.1.1.4).
fn check_values(w: &World, a: CallRef, b: CallRef) {
    let (theirs, ours) = (w.at(a), w.at(b));
    assert_ne!(theirs.call_id, ours.call_id);
    let tags = [&theirs.local_tag, &theirs.remote_tag, &ours.local_tag, &ours.remote_tag];
    assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), 4, "{tags:?}");
    assert_eq!(ours.invite.all("Via").len(), 1, "a call of ours begins here");
    assert_eq!(message::uri_of(ours.invite.text("Contact")).split('@').next(), Some("sip:tandem"));
}

/// RFC 3326, RFC 3261 8.2: a refusal's own fields stay there, too.
#[test]
fn nothing_of_a_refusal_but_its_status_and_cause() {
    let mut w = World::new(2);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let lines = CHATTER.iter().chain(["Warning: 399 secret \"secret\"", "Retry-After: 77"].iter());
    w.policy(acme).answer = Answer::Status(486, ms(50), lines.map(|line| (*line).to_owned()).collect());
    let a = w.call(alice, NUMBER);
    w.expect_over(a, 486);
    check_names(&w.last_received(alice, |m| m.answers("INVITE", 486)), &RESPONSE);
    w.finish();
}

/// RFC 3264 5: a description is ours from the first line to the last: no name, title or attribute of the other leg's.
#[test]
fn nothing_of_one_legs_description_reaches_the_other() {
    let (mut w, alice, bob) = two(3);
    w.policy(alice).sections =
        vec![(true, "i=secret title\r\nu=http://inner.example/secret\r\ne=secret@inner.example\r\na=tool:secret\r\na=x-inner:secret\r\n".into())];
    let (a, b) = w.talk(alice, bob, "bob");
    let offer = &w.at(b).invite.body;
    assert!(!offer.contains("secret") && !offer.contains("o=peer") && offer.contains("\r\ns=-\r\n"), "{offer}");
    let answer = w.last_received(alice, |m| m.answers("INVITE", 200)).body;
    assert!(!answer.contains("o=peer"), "{answer}");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

fn carrier(seed: u64, yaml: &str) -> (World, Peer, Peer) {
    let mut w = World::builder(seed).config(yaml).build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    (w, alice, acme)
}

/// What alice sees of a carrier's call with these lines: her INVITE.
fn seen_by_alice(lines: &[&str]) -> Msg {
    let (mut w, alice, acme) = carrier(4, &edge_with(""));
    let c = w.call_with(acme, "+14155550101", lines);
    w.up(c);
    let a = w.incoming(alice);
    let invite = w.at(a).invite.clone();
    w.hang_up(a);
    w.finish();
    invite
}

/// RFC 3325 8: the asserted number counts more than From; the name comes along; towards a phone nothing is asserted.
#[test]
fn a_carriers_caller_is_shown_to_a_phone() {
    let plain = seen_by_alice(&[]);
    assert!(message::uri_of(plain.text("From")).starts_with("sip:+14155559999@"), "{}", plain.text("From"));
    let asserted = seen_by_alice(&["P-Asserted-Identity: \"Ann Other\" <sip:+14155557777@carrier.example>, <tel:+14155557777>"]);
    assert!(asserted.text("From").starts_with("\"Ann Other\" <sip:+14155557777@"), "{}", asserted.text("From"));
    let by_tel = seen_by_alice(&["P-Asserted-Identity: <tel:+14155556666>"]);
    assert!(message::uri_of(by_tel.text("From")).starts_with("sip:+14155556666@"), "{}", by_tel.text("From"));
    for invite in [&plain, &asserted, &by_tel] {
        assert!(invite.get("P-Asserted-Identity").is_none() && invite.get("Privacy").is_none());
    }
}

/// RFC 3323 4.1.1.3, 4.2, RFC 3325 7: whoever asks for privacy, or is anonymous already, is anonymous to the phone.
#[test]
fn a_private_caller_is_not_shown_to_a_phone() {
    let asserted = "P-Asserted-Identity: \"Ann Other\" <sip:+14155557777@carrier.example>";
    for lines in [
        vec![asserted, "Privacy: id"],
        vec![asserted, "Privacy: user;critical"],
        vec![asserted, "Privacy: header;id"],
        vec![asserted, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=7"],
    ] {
        let invite = seen_by_alice(&lines);
        assert_eq!(message::uri_of(invite.text("From")), "sip:anonymous@anonymous.invalid", "{lines:?}");
        let text = String::from_utf8_lossy(&invite.write()).into_owned();
        assert!(!text.contains("5557777") && !text.contains("Ann"), "{text}");
    }
    let shown = seen_by_alice(&[asserted, "Privacy: none"]);
    assert!(shown.text("From").contains("+14155557777"), "RFC 3323 4.2: none is none");
}

/// RFC 3325 9.1: a carrier is told our number, as From and as asserted identity; RFC 3323: a private caller only as asserted.
#[test]
fn a_phones_caller_is_shown_to_a_carrier() {
    for private in [false, true] {
        let (mut w, alice, acme) = carrier(5, &edge_with(""));
        let lines: &[&str] = if private { &["Privacy: id"] } else { &[] };
        let a = w.call_with(alice, NUMBER, lines);
        w.up(a);
        let c = w.incoming(acme);
        let invite = &w.at(c).invite;
        assert!(message::uri_of(invite.text("P-Asserted-Identity")).starts_with("sip:+14155550101@192.0.2.1"));
        let from = message::uri_of(invite.text("From"));
        if private {
            assert_eq!((from, invite.text("Privacy")), ("sip:anonymous@anonymous.invalid", "id"));
        } else {
            assert!(from.starts_with("sip:+14155550101@192.0.2.1") && invite.get("Privacy").is_none());
        }
        w.hang_up(a);
        w.finish();
        assert_eq!(w.cdr().caller, if private { "anonymous" } else { "alice" });
    }
}

/// A phone does not choose who it is: From and P-Preferred-Identity of another user or number change nothing.
#[test]
fn a_phone_cannot_claim_to_be_another() {
    let (mut w, alice, acme) = carrier(6, &edge_with(""));
    let a = w.call_with(alice, NUMBER, &["P-Preferred-Identity: <sip:+14155550102@example.com>", "P-Asserted-Identity: <tel:+19005551234>"]);
    w.up(a);
    let c = w.incoming(acme);
    let text = String::from_utf8_lossy(&w.at(c).invite.write()).into_owned();
    assert!(text.contains("+14155550101") && !text.contains("5550102") && !text.contains("19005551234"), "{text}");
    w.hang_up(a);
    w.finish();
}

/// Only what the trunk's configuration lists passes, both ways; what makes a dialog never does, even when it is listed.
#[test]
fn only_listed_headers_pass() {
    let yaml = edge_with("").replace("options: never", "options: never\n    pass_headers: [ X-Account, Diversion ]");
    let (mut w, alice, acme) = carrier(7, &yaml);
    let lines = ["X-Account: 77", "X-Other: 1", "Diversion: <sip:+14155550102@example.com>"];
    let a = w.call_with(alice, NUMBER, &lines);
    w.up(a);
    let c = w.incoming(acme);
    let invite = &w.at(c).invite;
    assert_eq!((invite.text("X-Account"), invite.get("X-Other"), invite.all("Diversion").len()), ("77", None, 1));
    w.hang_up(a);
    w.expect_over(c, 200);
    let bob = w.registered("bob");
    let a = w.call_with(alice, "bob", &lines);
    w.up(a);
    let b = w.incoming(bob);
    assert!(w.at(b).invite.get("X-Account").is_none(), "towards a phone nothing is listed");
    w.hang_up(a);
    let c = w.call_with(acme, "+14155550101", &lines);
    w.up(c);
    let called = w.incoming(alice);
    assert_eq!(w.at(called).invite.text("X-Account"), "77", "what the carrier's own list lets pass");
    w.hang_up(called);
    w.finish();
}
