//! The name by which a carrier knows us (`trunks[].host`): interop items 2 and 3, RFC 5922 7.5.

use sip_tests::script::EDGE;
use sip_tests::{World, s};

fn named() -> String {
    EDGE.replace(
        "accept_from: [ 198.51.100.0/24 ]",
        "accept_from: [ 198.51.100.0/24 ]\n    host: sbc.example.net",
    )
    .replace("options: never", "options: 30s")
}

/// The Contact of all that we send to it is that name, and so are From and P-Asserted-Identity; a phone sees our address.
#[test]
fn what_a_carrier_sees() {
    let mut w = World::builder(1).config(&named()).build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let (a, c) = w.talk(alice, acme, "+442079460000");
    let invite = w.last_received(acme, |m| m.is("INVITE"));
    assert_eq!(invite.text("Contact"), "<sip:tandem@sbc.example.net:5060>");
    assert!(
        invite.text("From").contains("<sip:+14155550101@sbc.example.net>"),
        "{}",
        invite.text("From")
    );
    assert!(invite.text("P-Asserted-Identity").contains("@sbc.example.net>"));
    w.hang_up(c);
    w.expect_over(a, 200);
    let answer = w.last_received(alice, |m| m.status() == 200 && m.method() == "INVITE");
    assert_eq!(answer.text("Contact"), "<sip:tandem@192.0.2.1:5060>");
    w.run(s(60));
    let options = w.last_received(acme, |m| m.is("OPTIONS"));
    assert!(
        options.text("Contact").starts_with("<sip:sbc.example.net:5060;"),
        "{}",
        options.text("Contact")
    );
    w.finish();
}

/// What the carrier sends to that name is for us, in a call and outside of any.
#[test]
fn what_a_carrier_sends_to_the_name() {
    let mut w = World::builder(2).config(&named()).build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let c = w.call(acme, "sip:+14155550101@sbc.example.net");
    w.up(c);
    let ok = w.last_received(acme, |m| m.status() == 200 && m.method() == "INVITE");
    assert_eq!(ok.text("Contact"), "<sip:tandem@sbc.example.net:5060>");
    let a = w.incoming(alice);
    assert_eq!(w.request(c, "OPTIONS", &[], None), 200);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.finish();
}
