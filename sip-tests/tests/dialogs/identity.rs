//! Who is shown to whom: RFC 3323, RFC 3325, RFC 3261 8.1.1.3, interop item 44.

use crate::tools::edge_with;
use sip_tests::{Msg, Peer, World, message};

const NUMBER: &str = "+442079460000";

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
    assert!(
        message::uri_of(plain.text("From")).starts_with("sip:+14155559999@"),
        "{}",
        plain.text("From")
    );
    let asserted =
        seen_by_alice(&["P-Asserted-Identity: \"Ann Other\" <sip:+14155557777@carrier.example>, <tel:+14155557777>"]);
    assert!(
        asserted.text("From").starts_with("\"Ann Other\" <sip:+14155557777@"),
        "{}",
        asserted.text("From")
    );
    let by_tel = seen_by_alice(&["P-Asserted-Identity: <tel:+14155556666>"]);
    assert!(
        message::uri_of(by_tel.text("From")).starts_with("sip:+14155556666@"),
        "{}",
        by_tel.text("From")
    );
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
        vec![asserted, "Privacy: header"],
        vec![asserted, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=7"],
    ] {
        let invite = seen_by_alice(&lines);
        assert_eq!(
            message::uri_of(invite.text("From")),
            "sip:anonymous@anonymous.invalid",
            "{lines:?}"
        );
        let text = String::from_utf8_lossy(&invite.write()).into_owned();
        assert!(!text.contains("5557777") && !text.contains("Ann"), "{text}");
    }
    let shown = seen_by_alice(&[asserted, "Privacy: none"]);
    assert!(
        shown.text("From").contains("+14155557777"),
        "RFC 3323 4.2: none is none"
    );
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
            assert_eq!(
                (from, invite.text("Privacy")),
                ("sip:anonymous@anonymous.invalid", "id")
            );
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
    let a = w.call_with(
        alice,
        NUMBER,
        &[
            "P-Preferred-Identity: <sip:+14155550102@example.com>",
            "P-Asserted-Identity: <tel:+19005551234>",
        ],
    );
    w.up(a);
    let c = w.incoming(acme);
    let text = String::from_utf8_lossy(&w.at(c).invite.write()).into_owned();
    assert!(
        text.contains("+14155550101") && !text.contains("5550102") && !text.contains("19005551234"),
        "{text}"
    );
    w.hang_up(a);
    w.finish();
}

/// Only what the trunk's configuration lists passes, both ways.
#[test]
fn only_listed_headers_pass() {
    let yaml = edge_with("").replace(
        "options: never",
        "options: never\n    pass_headers: [ X-Account, Diversion ]",
    );
    let (mut w, alice, acme) = carrier(7, &yaml);
    let lines = [
        "X-Account: 77",
        "X-Other: 1",
        "Diversion: <sip:+14155550102@example.com>",
    ];
    let a = w.call_with(alice, NUMBER, &lines);
    w.up(a);
    let c = w.incoming(acme);
    let invite = &w.at(c).invite;
    assert_eq!(
        (
            invite.text("X-Account"),
            invite.get("X-Other"),
            invite.all("Diversion").len()
        ),
        ("77", None, 1)
    );
    w.hang_up(a);
    w.expect_over(c, 200);
    let bob = w.registered("bob");
    let a = w.call_with(alice, "bob", &lines);
    w.up(a);
    let b = w.incoming(bob);
    assert!(
        w.at(b).invite.get("X-Account").is_none(),
        "towards a phone nothing is listed"
    );
    w.hang_up(a);
    let c = w.call_with(acme, "+14155550101", &lines);
    w.up(c);
    let called = w.incoming(alice);
    assert_eq!(
        w.at(called).invite.text("X-Account"),
        "77",
        "what the carrier's own list lets pass"
    );
    w.hang_up(called);
    w.finish();
}

/// RFC 3325 5: a name that a phone chose is shown, but not asserted; one of the configuration, or of a carrier, is.
#[test]
fn a_name_that_nobody_vouches_for_is_not_asserted() {
    let own = EDGE_NAMES.map(|(from, to)| edge_with("").replace(from, to));
    for (yaml, name, asserted) in [(&own[0], "My Bank", false), (&own[1], "Alice", true)] {
        let (mut w, alice, acme) = carrier(8, yaml);
        let a = w.call_with(alice, NUMBER, &["From: \"My Bank\" <sip:alice@example.com>;tag=77"]);
        w.up(a);
        let c = w.incoming(acme);
        let invite = &w.at(c).invite;
        let (from, pai) = (invite.text("From"), invite.text("P-Asserted-Identity"));
        assert!(from.starts_with(&format!("\"{name}\" <sip:+14155550101@")), "{from}");
        assert_eq!(pai.starts_with(&format!("\"{name}\"")), asserted, "{pai}");
        assert!(pai.contains("<sip:+14155550101@"), "{pai}");
        w.hang_up(a);
        w.finish();
    }
}

const EDGE_NAMES: [(&str, &str); 2] = [
    ("name: alice,", "name: alice,"),
    ("name: alice,", "name: alice, display_name: Alice,"),
];

/// A carrier with which we register knows us by our address of record: From is in its domain.
#[test]
fn from_is_in_the_domain_of_our_registration() {
    let register = "register: { username: tandem, password: secret, realm: Acme.Example }\n    options: never";
    let (mut w, alice, acme) = carrier(9, &edge_with("").replace("options: never", register));
    w.run(sip_tests::s(1));
    let a = w.call(alice, NUMBER);
    w.up(a);
    let c = w.incoming(acme);
    let from = w.at(c).invite.text("From").to_owned();
    assert_eq!(message::uri_of(&from), "sip:+14155550101@acme.example");
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}
