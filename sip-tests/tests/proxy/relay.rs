//! Byte identity: RFC 3261 16.6 step 1, 16.7 step 9: what is not ours leaves as it came, in both directions.

use crate::tools::{office, two};
use sip_tests::{digest, ms};

const ODD: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\nv:  SIP/2.0/UDP  203.0.0.10:5060;rport ;branch=z9hG4bKodd;x=\"a,b\"\r\nMAX-forwards :  9\r\n\
                   X-Odd: \u{fc} a ,\tb  \r\nf:\"A \\\" B\"  <sip:alice@example.com> ; tag=odd\r\nt: <sip:bob@example.com>\r\n\
                   i: odd@alice\r\nCSEQ:  2   MESSAGE\r\nSubject : folded\r\n  twice\r\n\tover\r\nEmpty:\r\nAUTH\r\nc: text/odd;a=b\r\nl: 5\r\n\r\nhe\0lo";

/// The node's log of what a peer got is of lines; here the octets count.
#[test]
fn a_request_and_its_answer_octet_by_octet() {
    let (mut w, alice, bob) = two(1);
    w.policy(bob).deaf = true;
    (w.checks.oracle, w.checks.complaints) = (false, false);
    w.checks.every = u64::MAX;
    let ask = crate::tools::request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "first@alice");
    w.agent(alice).password.clear();
    assert_eq!(w.ask(alice, ask), 407);
    let challenge = w
        .last_received(alice, |m| m.status() == 407)
        .text("Proxy-Authenticate")
        .to_owned();
    let credentials = digest::answer(&challenge, "alice", "wonder land", "MESSAGE", "sip:bob@example.com", 1);
    let sent = ODD.replace("AUTH", &format!("Proxy-Authorization: {credentials}"));
    w.wiretap = Some(Vec::new());
    w.send_raw(alice, sent);
    w.run(ms(100));
    let tapped = w.wiretap.take().unwrap();
    let (_, got) = tapped
        .iter()
        .find(|(to, _)| *to == w.agents[bob.0].addr)
        .expect("it was sent on")
        .clone();
    let got = String::from_utf8(got.to_vec()).unwrap();
    let via = got.split("\r\n").nth(1).unwrap().to_owned();
    assert!(
        via.starts_with("Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK"),
        "{via}"
    );
    let target = format!("sip:bob@{}", w.agents[bob.0].addr);
    let expected = ODD
        .replacen("sip:bob@example.com", &target, 1)
        .replacen("v:  SIP", &format!("{via}\r\nv:  SIP"), 1)
        .replacen(
            "rport ;branch=z9hG4bKodd;x=\"a,b\"",
            "rport=5060 ;branch=z9hG4bKodd;x=\"a,b\";received=203.0.0.10\r\nMax-Breadth: 60",
            1,
        )
        .replacen(":  9", ":  8", 1)
        .replacen("AUTH\r\n", "", 1);
    assert_eq!(got, expected);
    // The way back: our Via goes, the rest stays.
    let odd = "SIP/2.0 299  Very   odd \r\nX: \u{fc},  y\r\nVIAS\r\nFROM-ON\r\nfolded: a\r\n  b\r\nl: 3\r\n\r\na\0b";
    let rest = "f:\"A \\\" B\"  <sip:alice@example.com> ; tag=odd\r\nt: <sip:bob@example.com>;tag=2\r\ni: odd@alice\r\nCSEQ:  2   MESSAGE";
    let second = "v:  SIP/2.0/UDP  203.0.0.10:5060;rport=5060 ;branch=z9hG4bKodd;x=\"a,b\";received=203.0.0.10";
    let answer = odd
        .replace("VIAS", &format!("{via}\r\n{second}"))
        .replace("FROM-ON", rest);
    w.wiretap = Some(Vec::new());
    w.send_raw(bob, answer);
    w.run(ms(100));
    let tapped = w.wiretap.take().unwrap();
    let (_, back) = tapped
        .iter()
        .find(|(to, _)| *to == w.agents[alice.0].addr)
        .expect("it was sent back")
        .clone();
    let expected = odd.replace("VIAS", second).replace("FROM-ON", rest);
    assert_eq!(String::from_utf8(back.to_vec()).unwrap(), expected);
    w.policy(bob).deaf = false;
    w.finish();
}

/// 16.6 step 9: to a stream Content-Length is written where it is missing; over datagrams nothing is added.
#[test]
fn content_length_is_added_for_streams_only() {
    let mut w = office(2);
    w.checks.complaints = false;
    let bob = w.tcp_phone("bob");
    w.register(bob);
    w.policy(bob).loose = 200;
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let text = "MESSAGE sip:+14155550102@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKbare\r\n\
                From: <sip:+12125550100@carrier.example>;tag=1\r\nTo: <sip:+14155550102@example.com>\r\nCall-ID: bare@acme\r\n\
                CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n\r\nhello";
    w.send_raw(acme, text);
    w.run(ms(200));
    let got = w.last_received(bob, |m| m.is("MESSAGE"));
    assert_eq!(
        (got.text("Content-Length"), got.body.as_str(), got.text("Max-Forwards")),
        ("5", "hello", "70")
    );
    assert_eq!(w.last_received(acme, |m| m.method() == "MESSAGE").status(), 200);
    w.finish();
}
