//! What stays on its leg: each is a dialog of its own (RFC 3261 8.1.1, 19.3).

use crate::tools::two;
use sip_tests::{Answer, CallRef, Msg, World, message, ms, s};
use std::collections::BTreeSet;

/// Fields that our INVITE may have; a further one is a leak or wants a reason here.
const INVITE: [&str; 15] = [
    "Via",
    "Max-Forwards",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Allow",
    "Supported",
    "User-Agent",
    "Session-Expires",
    "Min-SE",
    "Content-Type",
    "Content-Length",
    "P-Asserted-Identity",
];
/// Fields that our responses to INVITE may have.
const RESPONSE: [&str; 16] = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Allow",
    "Supported",
    "Server",
    "Session-Expires",
    "Require",
    "Content-Type",
    "Content-Length",
    "Reason",
    "RSeq",
    "WWW-Authenticate",
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
    let odd: Vec<String> = names(msg)
        .into_iter()
        .filter(|name| !allowed.contains(&name.as_str()))
        .collect();
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
    let hold = sip_tests::Change {
        lines: CHATTER.iter().map(|line| (*line).to_owned()).collect(),
        ..crate::tools::direction("sendonly")
    };
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
    assert_eq!(
        message::uri_of(ours.invite.text("Contact")).split('@').next(),
        Some("sip:tandem")
    );
}

/// RFC 3326, RFC 3261 8.2: a refusal's own fields stay there, too.
#[test]
fn nothing_of_a_refusal_but_its_status_and_cause() {
    let mut w = World::new(2);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let lines = CHATTER
        .iter()
        .chain(["Warning: 399 secret \"secret\"", "Retry-After: 77"].iter());
    w.policy(acme).answer = Answer::Status(486, ms(50), lines.map(|line| (*line).to_owned()).collect());
    let a = w.call(alice, "+442079460000");
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
    assert!(
        !offer.contains("secret") && !offer.contains("o=peer") && offer.contains("\r\ns=-\r\n"),
        "{offer}"
    );
    let answer = w.last_received(alice, |m| m.answers("INVITE", 200)).body;
    assert!(!answer.contains("o=peer"), "{answer}");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}
