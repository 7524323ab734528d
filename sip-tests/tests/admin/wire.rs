//! The wire as real peers write it (interop 41, 45): compact forms, case, folding, line ends, sizes, streams in pieces.

use crate::tools::{USERS, incoming, works, yaml};
use sip_tests::agent::Act;
use sip_tests::{Answer, Peer, State, World, ms, s};

const TRUNK: &str = "trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], accept_from: [ 198.51.100.0/24 ], options: never, numbers: { country: US } }
";

fn office(seed: u64) -> (World, Peer, Peer) {
    let mut w = World::builder(seed).config(&yaml(&format!("{USERS}{TRUNK}"))).build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    (w, alice, acme)
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8\r\n";

/// Statuses that a peer received for a Call-ID.
fn statuses(w: &World, peer: Peer, call_id: &str) -> Vec<u16> {
    w.received(peer, |m| m.call_id() == call_id)
        .iter()
        .map(|(_, m)| m.status())
        .collect()
}

/// RFC 3261 7.3: compact names, any case, folded lines, white space before the colon, lists in one line, an empty line before.
#[test]
fn one_invite_in_many_spellings() {
    let spellings = [
        (
            "plain",
            "INVITE sip:+14155550101@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-acme-1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:+12125550100@a>;tag=1\r\nTo: <sip:+14155550101@example.com>\r\nCall-ID: plain\r\nCSeq: 1 INVITE\r\nContact: <sip:a@198.51.100.1:5060>\r\nContent-Type: application/sdp\r\nContent-Length: LEN\r\n\r\n",
        ),
        (
            "compact",
            "INVITE sip:+14155550101@example.com SIP/2.0\r\nv:SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-acme-2;rport\r\nf:<sip:+12125550100@a>;tag=1\r\nt:<sip:+14155550101@example.com>\r\ni:compact\r\nCSeq:1 INVITE\r\nm:<sip:a@198.51.100.1:5060>\r\nk:100rel,timer\r\nc:application/sdp\r\nl:LEN\r\n\r\n",
        ),
        (
            "shouted",
            "INVITE sip:+14155550101@EXAMPLE.COM SIP/2.0\r\nVIA : sip/2.0/udp 198.51.100.1:5060;BRANCH=z9hG4bK-acme-3;RPORT\r\nFROM\t: <SIP:+12125550100@a>;TAG=1\r\nTO: <sip:+14155550101@example.com>\r\nCALL-ID: shouted\r\nCSEQ: 1    INVITE\r\nCONTACT: <sip:a@198.51.100.1:5060>\r\nCONTENT-TYPE: APPLICATION/SDP\r\nCONTENT-LENGTH: LEN\r\n\r\n",
        ),
        (
            "folded",
            "\r\n\r\nINVITE sip:+14155550101@example.com SIP/2.0\r\nVia: SIP/2.0/UDP\r\n 198.51.100.1:5060\r\n\t;branch=z9hG4bK-acme-4;rport\r\nFrom: \"A\r\n B\" <sip:+12125550100@a>\r\n ;tag=1\r\nTo:\r\n <sip:+14155550101@example.com>\r\nCall-ID: folded\r\nCSeq: 1\r\n INVITE\r\nContact: <sip:a@198.51.100.1:5060>\r\nSupported: 100rel,\r\n timer\r\nContent-Type: application/sdp\r\nContent-Length:\r\n LEN\r\n\r\n",
        ),
        (
            "lists",
            "INVITE sip:+14155550101@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-acme-5;rport, SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKinner\r\nVia: SIP/2.0/UDP 10.0.0.2\r\nFrom: <sip:+12125550100@a>;tag=1\r\nTo: <sip:+14155550101@example.com>\r\nCall-ID: lists\r\nCSeq: 1 INVITE\r\nContact: <sip:a@198.51.100.1:5060>\r\nSupported: 100rel\r\nSupported: timer, replaces\r\nX-Odd: \x01\u{7f}\u{fc}\r\nContent-Type: application/sdp;charset=utf-8\r\n\r\n",
        ),
    ];
    let (mut w, alice, acme) = office(1);
    w.policy(alice).answer = Answer::Manual;
    // Slow enough for a 100 (RFC 3261 17.2.1).
    w.policy(alice).ring = Some(ms(300));
    for (n, (name, head)) in spellings.iter().enumerate() {
        w.send_raw(acme, format!("{}{SDP}", head.replace("LEN", &SDP.len().to_string())));
        w.run(ms(500));
        assert_eq!(statuses(&w, acme, name), [100, 180], "{name}");
        assert_eq!(incoming(&w, alice).len(), n + 1, "{name}");
        let via = w.last_received(acme, |m| m.call_id() == *name);
        assert!(via.all("Via")[0].to_ascii_lowercase().contains("rport=5060"), "{name}");
        let call = incoming(&w, alice)[n];
        w.hang_up(call);
        w.run(ms(100));
        w.send_raw(acme, ack_of(&via, name));
        w.run(ms(100));
    }
    assert_eq!(
        w.last_received(acme, |m| m.call_id() == "lists").all("Via").len(),
        3,
        "all of them come back (8.2.6.2)"
    );
    w.finish();
}

/// The ACK of a failure, by the Via of a response.
fn ack_of(response: &sip_tests::Msg, call_id: &str) -> Vec<u8> {
    let via = response.all("Via")[0].to_owned();
    let to = response.text("To");
    format!(
        "ACK sip:+14155550101@example.com SIP/2.0\r\nVia: {via}\r\nFrom: <sip:+12125550100@a>;tag=1\r\nTo: {to}\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// RFC 3261 7.5, RFC 4475 3.1.2: what is no message at all is dropped without an answer; the node goes on.
#[test]
fn garbage_is_dropped() {
    let (mut w, alice, acme) = office(2);
    w.run(s(40));
    let before = (w.received(acme, |_| true).len(), w.census());
    let junk: [&[u8]; 9] = [
        b"",
        b"\r\n\r\n",
        b"\0",
        b"INVITE",
        b"INVITE sip:a SIP/2.0",
        b"INVITE sip:a SIP/3.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        &[0xff; 2000],
    ];
    for bytes in junk {
        w.send_raw(acme, bytes);
    }
    w.run(s(1));
    assert_eq!((w.received(acme, |m| m.status() / 100 == 2).len(), w.census()), before);
    works(&mut w, acme, "+14155550101");
    assert_eq!(incoming(&w, alice).len(), 1);
    w.finish();
}

/// RFC 3261 18.1.1: a datagram of 60,000 octets is taken; RFC 3261 18.3: what is behind Content-Length is not the body.
#[test]
fn large_and_overlong_datagrams() {
    let (mut w, alice, acme) = office(3);
    let long = format!("X-Long: {}", "a".repeat(60_000));
    let call = w.call_with(acme, "+14155550101", &[&long]);
    w.up(call);
    assert!(
        w.at(incoming(&w, alice)[0]).invite.write().len() < 2_000,
        "nothing of it reaches the phone"
    );
    w.hang_up(call);
    w.run(ms(100));
    let head = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-acme-tail;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: tail\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    w.send_raw(acme, format!("{head}{head}"));
    w.run(ms(100));
    assert_eq!(statuses(&w, acme, "tail"), [200]);
    w.finish();
}

/// RFC 3261 18.3, RFC 5626 4.4.1: a stream octet by octet, requests one behind the other, keep-alives between them.
#[test]
fn a_stream_in_pieces() {
    let (mut w, alice, _) = office(4);
    w.streams.chop = true;
    let acme = w.tcp_carrier("stream", "198.51.100.2:5060");
    let calls: Vec<_> = (0..5).map(|_| w.call(acme, "+14155550101")).collect();
    w.run(s(3));
    let up = calls.iter().filter(|call| w.state(**call) == State::Up).count();
    let busy = calls.iter().filter(|call| w.state(**call) == State::Ended(486)).count();
    assert_eq!((up, busy), (2, 3), "call waiting takes two");
    assert_eq!((w.streams.list.len(), incoming(&w, alice).len()), (1, 2));
    for call in calls {
        w.hang_up(call);
    }
    w.finish();
}

/// RFC 3261 18.3: a stream that does not carry SIP, or whose Content-Length lies, is closed: nothing could be read after it.
#[test]
fn a_stream_that_lies_is_closed() {
    for (seed, text) in [
        (5, "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n".to_owned()),
        (
            6,
            "OPTIONS sip:example.com SIP/2.0\r\nContent-Length: 999999999\r\n\r\n".to_owned(),
        ),
        (
            7,
            format!("OPTIONS sip:example.com SIP/2.0\r\nX: {}", "a".repeat(70_000)),
        ),
        (
            8,
            "OPTIONS sip:example.com SIP/2.0\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd".to_owned(),
        ),
    ] {
        let (mut w, alice, acme) = office(seed);
        let bob = w.tcp_phone("bob");
        w.register(bob);
        let octets = bytes::Bytes::from(text.clone());
        w.act(bob.0, |agent, cx| cx.acts.push(Act::Send(agent.server, octets)));
        w.run(s(1));
        assert!(w.streams.list[0].closed, "{:.40}", text);
        // Bob's phone opens another one, and nobody else has noticed.
        w.register(bob);
        works(&mut w, acme, "+14155550102");
        works(&mut w, acme, "+14155550101");
        assert_eq!((incoming(&w, alice).len(), w.streams.list.len()), (1, 2));
        w.finish();
    }
}

/// RFC 3261 17.2.3, RFC 2543: a request whose branch has no magic cookie is matched by its other fields; a copy is absorbed.
#[test]
fn a_branch_of_rfc_2543() {
    let (mut w, alice, acme) = office(9);
    w.policy(alice).answer = Answer::Manual;
    let invite = format!(
        "INVITE sip:+14155550101@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=1\r\nFrom: <sip:+12125550100@a>;tag=1\r\nTo: <sip:+14155550101@example.com>\r\nCall-ID: old\r\nCSeq: 1 INVITE\r\nContact: <sip:a@198.51.100.1:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    for _ in 0..3 {
        w.send_raw(acme, invite.clone());
        w.run(ms(200));
    }
    assert_eq!(incoming(&w, alice).len(), 1);
    let cancel = "CANCEL sip:+14155550101@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=1\r\nFrom: <sip:+12125550100@a>;tag=1\r\nTo: <sip:+14155550101@example.com>\r\nCall-ID: old\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n";
    w.send_raw(acme, cancel);
    w.run(s(1));
    assert_eq!(w.state(incoming(&w, alice)[0]), State::Ended(487));
    let said = statuses(&w, acme, "old");
    assert!(said.contains(&200) && said.contains(&487), "{said:?}");
    w.checks.complaints = false;
    w.finish();
}

/// RFC 3261 8.1.1.8, 18.1.1: `advertise` is written only for peers of its own family; on a flow of the other one Via, Contact
/// and SDP have the flow's own address, which is the one that the peer can reach.
#[test]
fn an_advertised_address_is_not_shown_to_the_other_family() {
    let rest = format!(
        "{USERS}trunks:
  - {{ name: acme, peers: [ \"sip:sbc.acme.example\" ], options: 20s, numbers: {{ country: US }},
      register: {{ username: tandem, password: hush, expires: 1m }} }}
routes:
  - {{ to: \"600\", do: echo }}
"
    );
    let yaml = yaml(&rest).replace("192.0.2.1", "[2001:db8::1]") + "advertise: 203.0.113.10\n";
    let mut w = World::builder(9).config(&yaml).build();
    let acme = w.carrier("acme", "[2001:db8::2]:5060");
    w.checks.oracle = false;
    w.dns.set("sbc.acme.example", &[w.agents[acme.0].addr], Some(ms(30)));
    (w.agent(acme).registrar.serves, w.agent(acme).password) = (true, "hush".into());
    w.run(s(150));
    works(&mut w, acme, "600");
    let heard = [
        w.last_received(acme, |m| m.is("OPTIONS")),
        w.last_received(acme, |m| m.is("REGISTER")),
        w.last_received(acme, |m| m.answers("INVITE", 200)),
    ];
    for message in heard {
        let text = String::from_utf8_lossy(&message.write()).into_owned();
        assert!(!text.contains("203.0.113.10"), "{text}");
        assert!(message.text("Contact").contains("[2001:db8::1]:5060"), "{text}");
    }
    w.finish();
}
