//! Numbers and names on their way in and out: formats of trunks, tel URIs, portability, separators, privacy (interop 42-44).

use crate::tools::{fails, incoming, works, world};
use sip_tests::{Msg, Peer, World, message, ms};

fn office(seed: u64, numbers: &str) -> (World, Peer, Peer) {
    let rest = format!(
        "users:
  - {{ name: alice, password: \"wonder land\", number: \"+14155550101\", display_name: \"Alice Smith\" }}
  - {{ name: bob, password: builder, number: \"+4930123456\" }}
  - {{ name: dave, password: goliath }}
numbers: {{ country: US }}
trunks:
  - {{ name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: {{ {numbers} }} }}
routes:
  - {{ to: \"911\", from: user/*, do: trunk/acme }}
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
"
    );
    let mut w = world(seed, &rest);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    (w, alice, acme)
}

fn user_part(uri: &str) -> &str {
    uri.split_once(':')
        .map_or(uri, |(_, rest)| rest)
        .split('@')
        .next()
        .unwrap_or_default()
}

/// The INVITE of the last call that reached a peer.
fn last_invite(w: &World, peer: Peer) -> Msg {
    incoming(w, peer)
        .last()
        .map(|call| w.at(*call).invite.clone())
        .expect("a call has come")
}

/// `numbers.send`: what a carrier sees as called number and as calling number, whatever was dialled.
#[test]
fn each_carrier_sees_numbers_in_its_own_form() {
    for (seed, (format, dialled, called, calling)) in (1..).zip([
        (
            "country: US, send: e164",
            "(415) 555-0199",
            "+14155550199",
            "+14155550101",
        ),
        (
            "country: US, send: e164",
            "011442079460000",
            "+442079460000",
            "+14155550101",
        ),
        (
            "country: US, send: plain",
            "+442079460000",
            "442079460000",
            "14155550101",
        ),
        ("country: US, send: national", "14155550199", "4155550199", "4155550101"),
        (
            "country: US, send: national",
            "+442079460000",
            "011442079460000",
            "4155550101",
        ),
        (
            "country: DE, send: national",
            "+4930999999",
            "030999999",
            "0014155550101",
        ),
        ("country: US, send: plain", "911", "911", "14155550101"),
    ]) {
        let (mut w, alice, acme) = office(seed, format);
        works(&mut w, alice, &dialled.replace(' ', "%20"));
        let invite = last_invite(&w, acme);
        assert_eq!(user_part(invite.uri()), called, "{format}, {dialled}");
        assert_eq!(user_part(message::uri_of(invite.text("To"))), called);
        let from = message::uri_of(invite.text("From")).to_owned();
        assert_eq!(user_part(&from), calling, "{format}");
        assert!(
            from.ends_with("@192.0.2.1"),
            "the node's own host, not the phone's: {from}"
        );
        w.finish();
    }
}

/// What a carrier sends, in national form, with or without plus, finds its user; the caller is shown in E.164.
#[test]
fn what_a_carrier_sends_is_read_by_its_habits() {
    for (seed, (format, called, calling, shown)) in (20..).zip([
        ("country: US, send: e164", "4155550101", "2125550100", "+12125550100"),
        (
            "country: US, send: national",
            "14155550101",
            "+442079460000",
            "+442079460000",
        ),
        (
            "country: DE, send: national",
            "0014155550101",
            "030123456",
            "+4930123456",
        ),
        ("country: DE, send: plain", "14155550101", "4930123456", "+4930123456"),
        (
            "country: US, send: e164",
            "+1-415-555-0101",
            "(212)555-0100",
            "+12125550100",
        ),
    ]) {
        let (mut w, alice, acme) = office(seed, format);
        w.agent(acme).identity = format!("sip:{calling}@198.51.100.1;user=phone");
        works(&mut w, acme, called);
        let from = last_invite(&w, alice).text("From").to_owned();
        assert_eq!(user_part(message::uri_of(&from)), shown, "{format}: {from}");
        assert_eq!(w.cdr().caller, shown);
        w.finish();
    }
}

/// RFC 3966, RFC 3261 19.1.6, interop 42: tel URIs as Request-URI, with separators and parameters.
#[test]
fn tel_uris_name_numbers() {
    let (mut w, alice, acme) = office(30, "country: US, send: e164");
    w.checks.oracle = false;
    for uri in [
        "tel:+14155550101",
        "tel:+1-415-555-0101",
        "tel:4155550101;phone-context=+1",
        "tel:+14155550101;isub=1",
    ] {
        works(&mut w, acme, uri);
    }
    assert_eq!(incoming(&w, alice).len(), 4);
    works(&mut w, alice, "tel:+44-20-7946-0000");
    assert_eq!(user_part(last_invite(&w, acme).uri()), "+442079460000");
    w.agent(acme).identity = "tel:+12125550100".into();
    works(&mut w, acme, "+14155550101");
    assert_eq!(
        user_part(message::uri_of(last_invite(&w, alice).text("From"))),
        "+12125550100"
    );
    w.finish();
}

/// RFC 4694, RFC 3261 19.1.1, interop 43: portability and caller-category parameters in the user part, and escapes.
#[test]
fn parameters_in_the_user_part_are_not_the_number() {
    let (mut w, alice, acme) = office(31, "country: US, send: e164");
    for user in [
        "+14155550101;npdi",
        "+14155550101;npdi;rn=+14155559999",
        "+14155550101;cpc=ordinary",
        "%2B14155550101",
        "+1415%35550101",
    ] {
        works(&mut w, acme, &format!("sip:{user}@example.com;user=phone"));
    }
    works(&mut w, acme, "sip:+14155550101;npdi@example.com");
    assert_eq!(incoming(&w, alice).len(), 6);
    w.agent(acme).identity = "sip:+12125550100;cpc=payphone@carrier.example".into();
    works(&mut w, acme, "+14155550101");
    assert_eq!(
        user_part(message::uri_of(last_invite(&w, alice).text("From"))),
        "+12125550100"
    );
    // A hash is dialled as such, and must be escaped again on the way out (RFC 3261 25.1).
    fails(&mut w, alice, "%2321%23", 404);
    w.finish();
}

/// RFC 3325, interop 43, 44: P-Asserted-Identity of a carrier counts before From; display names reach the phone whole.
#[test]
fn an_asserted_identity_counts() {
    let (mut w, alice, acme) = office(32, "country: US, send: e164");
    w.checks.oracle = false;
    let lines = [
        "P-Asserted-Identity: \"J\u{fc}rgen, \\\"Jo\\\" O'Neil\" <sip:+12125550100@carrier.example>, <tel:+12125550100>",
    ];
    let call = w.call_with(acme, "+14155550101", &lines);
    w.up(call);
    let from = last_invite(&w, alice).text("From").to_owned();
    assert_eq!(user_part(message::uri_of(&from)), "+12125550100");
    assert!(from.contains("J\u{fc}rgen") && from.contains("\\\"Jo\\\""), "{from}");
    w.hang_up(call);
    w.run(ms(100));
    // From alone: an empty display name is none.
    let call = w.call_with(
        acme,
        "+14155550101",
        &["From: \"\" <sip:+12125550111@carrier.example>;tag=empty"],
    );
    w.up(call);
    let from = last_invite(&w, alice).text("From").to_owned();
    assert!(from.starts_with("<sip:+12125550111@"), "{from}");
    w.hang_up(call);
    w.finish();
}

/// RFC 3323, 3325 7, interop 44: who wants to be unknown is anonymous for a phone; the carrier gets the asserted number with
/// Privacy, and the record does not name it either.
#[test]
fn who_wants_to_be_unknown_is() {
    let (mut w, alice, acme) = office(33, "country: US, send: e164");
    let hidden = [
        vec!["Privacy: id", "P-Asserted-Identity: <sip:+12125550100@carrier.example>"],
        vec!["Privacy: header;user"],
        vec!["From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=anon"],
    ];
    for lines in hidden {
        let call = w.call_with(acme, "+14155550101", &lines);
        w.up(call);
        let invite = last_invite(&w, alice);
        assert!(
            invite.text("From").contains("sip:anonymous@anonymous.invalid"),
            "{}",
            invite.text("From")
        );
        assert!(
            invite.get("P-Asserted-Identity").is_none(),
            "nothing of it reaches the phone"
        );
        assert_eq!(w.cdr().caller, "anonymous");
        w.hang_up(call);
        w.run(ms(100));
    }
    let call = w.call_with(alice, "+442079460000", &["Privacy: id"]);
    w.up(call);
    let invite = last_invite(&w, acme);
    assert!(invite.text("From").contains("anonymous.invalid"));
    assert!(invite.text("P-Asserted-Identity").contains("+14155550101") && invite.text("Privacy") == "id");
    w.hang_up(call);
    w.finish();
}

/// A user is shown with the configured name and number, whatever the phone writes; one without a number is not named by account.
#[test]
fn a_user_cannot_choose_who_he_is() {
    let (mut w, alice, acme) = office(34, "country: US, send: e164");
    let lines = [
        "P-Asserted-Identity: <sip:+19005550000@example.com>",
        "P-Preferred-Identity: <sip:+19005550000@example.com>",
    ];
    let call = w.call_with(alice, "+442079460000", &lines);
    w.up(call);
    let invite = last_invite(&w, acme);
    assert!(
        !invite.write().windows(12).any(|part| part == b"+19005550000"),
        "{invite:?}"
    );
    assert!(
        invite.text("From").starts_with("\"Alice Smith\" <sip:+14155550101@"),
        "{}",
        invite.text("From")
    );
    w.hang_up(call);
    let dave = w.registered("dave");
    works(&mut w, dave, "+442079460000");
    assert!(!last_invite(&w, acme).text("From").contains("dave"));
    w.finish();
}
