//! Floods: what they cost others, and whom they cannot lock out.

use crate::tools::{Host, bans, cut, flow, listen, status, world};
use bytes::Bytes;
use sip_tests::{Msg, World, digest, ms, s};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tandem::effect::Fact;
use tandem::node::Input;

/// What a flood is made of, in the name of this address: octets, REGISTERs, INVITEs and OPTIONS for names that somebody thought of.
fn junk(from: SocketAddr, number: u32) -> String {
    let user = ["100", "admin", "alice", "bob", "+14155550102"][number as usize % 5];
    let with = |method: &str, uri: &str, lines: &str| {
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKj{number}\r\nFrom: <sip:{user}@example.com>;tag=j{number}\r\n\
             To: <sip:{user}@example.com>\r\nCall-ID: j{number}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
        )
    };
    match number % 6 {
        0 => "OPTIONS sip:x SIP/2.0\r\nand then nothing that means anything\r\n\r\n".to_owned(),
        1 => with(
            "REGISTER",
            "sip:example.com",
            &format!("Contact: <sip:{user}@{from}>\r\n"),
        ),
        2 => with(
            "INVITE",
            &format!("sip:{number}@example.com"),
            &format!("Contact: <sip:{user}@{from}>\r\n"),
        ),
        3 => with("OPTIONS", "sip:example.com", "Accept: application/sdp\r\n"),
        4 => {
            let guess = format!(
                "Authorization: Digest username=\"{user}\", realm=\"example.com\", nonce=\"{number:064x}\", uri=\"sip:example.com\", \
                 response=\"{number:032x}\"\r\n"
            );
            with("REGISTER", "sip:example.com", &guess)
        }
        _ => with(
            "BYE",
            &format!("sip:{user}@example.com"),
            "Route: <sip:tw-nn0000@192.0.2.1;lr>\r\n",
        ),
    }
}

/// Feeds a second of it, spread evenly; between its parts time passes for the others.
fn flood(w: &mut World, from: SocketAddr, per_second: u32, seconds: u32, first: u32) {
    for number in first..first + per_second * seconds {
        w.feed(Input::Sip(flow(from), Bytes::from(junk(from, number))));
        if number % 20 == 0 {
            w.run(s(1) * 20 / per_second);
        }
    }
}

#[test]
fn what_calls_itself_a_scanner_hears_nothing() {
    let mut w = world(1, "per_stranger: 100");
    let mut host = Host::new("198.51.77.1:5060");
    let list = [
        "friendly-scanner",
        "SIPVicious 0.3.8",
        "sipcli/v1.8",
        "VAXSIPUserAgent/3.1",
        "sundayddr",
        "pplsip",
    ];
    for (method, uri) in [
        ("OPTIONS", "sip:100@example.com"),
        ("INVITE", "sip:alice@example.com"),
        ("REGISTER", "sip:example.com"),
    ] {
        for agent in list {
            host.agent = agent;
            let request = host.request(method, uri, "100", "");
            assert_eq!(host.asks(&mut w, &request).len(), 0, "{agent}");
        }
        host.agent = "Phone";
        let request = host.request(method, uri, "100", "");
        assert_ne!(status(&host.asks(&mut w, &request)), 0);
    }
    w.run(s(60));
    assert_eq!(cut(&w, "scanners"), (1, 3 * list.len() as u64));
    w.reload(&format!(
        "{}\nguard: {{ scanners: [ phone ] }}\n",
        sip_tests::script::EDGE
    ));
    for (agent, answered) in [("Phone", false), ("sipcli", true)] {
        host.agent = agent;
        let request = host.request("OPTIONS", "sip:100@example.com", "100", "");
        assert_eq!(!host.asks(&mut w, &request).is_empty(), answered, "{agent}");
    }
    w.finish();
}

#[test]
fn a_stranger_has_a_burst_and_a_rate_and_its_neighbour_has_its_own() {
    let mut w = world(2, "per_stranger: 10, strangers: 1000");
    let (mut host, mut neighbour) = (Host::new("198.51.77.1:5060"), Host::new("198.51.77.2:5060"));
    let mut answered = 0;
    for _ in 0..2_000 {
        let request = host.request("OPTIONS", "sip:example.com", "alice", "");
        w.wiretap = Some(Vec::new());
        w.feed(Input::Sip(flow(host.addr), Bytes::from(request)));
        answered += w.wiretap.take().unwrap().len();
        w.run(ms(5));
    }
    assert!((80..=180).contains(&answered), "{answered} answers in ten seconds");
    assert_eq!(neighbour.tries(&mut w, "alice", "wonder land"), (401, 200));
    assert!(bans(&w).0.is_empty());
    w.finish();
}

/// A million sources that nobody has: the memory of the guard does not grow, and whoever was known before is served.
#[test]
fn a_million_sources_take_no_memory_and_no_place_of_those_who_are_known() {
    let mut w = world(3, "strangers: 100");
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (a, c) = w.talk(acme, alice, "+14155550101");
    for number in 0..1_000_000u32 {
        let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + number * 7)), 5060);
        w.feed(Input::Sip(flow(from), Bytes::from(junk(from, number))));
        if number % 20_000 == 0 {
            w.run(s(1));
        }
    }
    assert!(w.census().transactions < 1_000);
    w.register(bob);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.hang_up(c);
    w.expect_over(a, 200);
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.expect_over(b, 200);
    let (c, b) = w.talk(acme, bob, "+14155550102");
    w.hang_up(c);
    w.expect_over(b, 200);
    w.run(s(70));
    let told = w
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Cut { .. } | Fact::Refused { .. }))
        .count();
    assert!(told < 12_000, "{told} lines");
    assert!(cut(&w, "all unknown sources").1 > 600_000);
    w.finish();
}

/// A flood in the name of alice's phone, its address and port: she is called, calls, and stays registered, whatever her nonce's age.
#[test]
fn a_flood_in_the_name_of_a_phone_does_not_lock_it_out() {
    let mut w = world(4, "");
    // It is her phone that the answers to the flood go to.
    w.checks.complaints = false;
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let addr = w.agents[alice.0].addr;
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.expect_over(b, 200);
    for round in 0..5 {
        flood(&mut w, addr, 5_000, 1, round * 5_000);
        let (a, b) = w.talk(alice, bob, "bob");
        flood(&mut w, addr, 5_000, 1, round * 5_000 + 100_000);
        assert_eq!(w.hold(a, "sendonly"), 200);
        w.hang_up(b);
        w.expect_over(a, 200);
        let (b, a) = w.talk(bob, alice, "alice");
        w.hang_up(a);
        w.expect_over(b, 200);
        w.register(alice);
    }
    assert!(bans(&w).0.is_empty());
    w.finish();
}

/// The same in the name of a trunk, whose calls need no credentials.
#[test]
fn a_flood_in_the_name_of_a_trunk_does_not_lock_it_out() {
    let mut w = world(5, "");
    w.checks.complaints = false;
    let alice = w.registered("alice");
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let addr = w.agents[acme.0].addr;
    let (c, a) = w.talk(acme, alice, "+14155550101");
    w.hang_up(c);
    w.expect_over(a, 200);
    for round in 0..5 {
        flood(&mut w, addr, 5_000, 1, round * 5_000);
        let (c, a) = w.talk(acme, alice, "+14155550101");
        flood(&mut w, addr, 5_000, 1, round * 5_000 + 100_000);
        w.hang_up(a);
        w.expect_over(c, 200);
        let (a, c) = w.talk(alice, acme, "+442079460000");
        w.hang_up(a);
        w.expect_over(c, 200);
    }
    // What the flood was told before its share was used up.
    let refused = w
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Refused { .. } | Fact::CallEnded { .. }))
        .count();
    assert!(refused < 6_000, "{refused} of 50,000 were looked at");
    w.finish();
}

/// A real tag is no licence: who repeats it is heard as often as a call needs.
#[test]
fn a_mark_that_is_repeated_is_heard_as_often_as_a_call_needs() {
    let mut w = world(6, "");
    w.checks.complaints = false;
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    let answer = w.last_received(alice, |m| m.answers("INVITE", 200));
    let (addr, to, from) = (w.agents[alice.0].addr, answer.text("To"), answer.text("From"));
    let (to, from, call_id) = (to.to_owned(), from.to_owned(), answer.call_id().to_owned());
    w.wiretap = Some(Vec::new());
    for number in 0..10_000 {
        let bye = format!(
            "INFO sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKr{number}\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {} INFO\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            1_000 + number
        );
        w.feed(Input::Sip(flow(addr), Bytes::from(bye)));
    }
    let answers = w.wiretap.take().unwrap().len();
    assert!((50..=100).contains(&answers), "{answers} answers to 10,000 copies");
    w.run(s(5));
    w.hang_up(b);
    w.expect_over(a, 200);
    w.run(s(60));
    assert_eq!(cut(&w, "used too often").0, 1);
    w.finish();
}

/// A user with the right password has a rate, too; within a call there is none.
#[test]
fn a_user_who_sends_too_much_is_told_to_wait() {
    let mut w = world(7, "per_user: 2, per_source: 1000");
    let mut host = Host::new("198.51.77.1:5060");
    let first = host.register("alice");
    let challenge = host.asks(&mut w, &first).pop().unwrap();
    let mut statuses = Vec::new();
    for nc in 1..=10 {
        let uri = "sip:example.com";
        let value = digest::answer(
            challenge.text("WWW-Authenticate"),
            "alice",
            "wonder land",
            "REGISTER",
            uri,
            nc,
        );
        let again = host.request("REGISTER", uri, "alice", &format!("Authorization: {value}\r\n"));
        statuses.push(status(&host.asks(&mut w, &again)));
    }
    assert_eq!(statuses, [200, 200, 200, 200, 503, 503, 503, 503, 503, 503]);
    assert_eq!(
        Host::new("198.51.77.2:5060").tries(&mut w, "bob", "builder"),
        (401, 200),
        "bob has a rate of his own"
    );
    w.finish();
}

/// Responses for which nobody waits and what lacks the fields of an answer cost next to nothing, and are told once a minute.
#[test]
fn what_means_nothing_is_counted_and_told_once_a_minute() {
    let mut w = world(8, "");
    let from: SocketAddr = "198.51.77.1:5060".parse().unwrap();
    for number in 0..120_000 {
        let text = match number % 2 {
            0 => {
                format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}\r\nCSeq: 1 INVITE\r\n\r\n")
            }
            _ => "INVITE sip:a SIP/2.0\r\nSubject: nothing\r\n\r\n".to_owned(),
        };
        w.feed(Input::Sip(flow(from), Bytes::from(text)));
        if number % 1_000 == 0 {
            w.run(s(1));
        }
    }
    w.run(s(60));
    for words in ["answer nothing", "without the fields"] {
        let (times, count) = cut(&w, words);
        assert!(
            (2..=3).contains(&times) && count > 58_000,
            "{words}: {times} times, {count}"
        );
    }
    let one_by_one = w
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Refused { .. }))
        .count();
    assert!(one_by_one < 700, "{one_by_one}");
    w.finish();
}

/// RFC 3261 18.2.2: a Via of a stranger cannot aim what we answer at somebody else.
#[test]
fn no_answer_goes_where_a_stranger_aims_it() {
    let mut w = world(9, "");
    let mut host = Host::new("198.51.77.1:5060");
    let request = host.register("alice").replace(";rport;", ";maddr=203.0.113.250;");
    assert_eq!(status(&host.asks(&mut w, &request)), 401);
    let victim = "203.0.113.250:5060".parse().unwrap();
    assert!(listen(&mut w, victim, "").is_empty());
    w.finish();
}

/// Only users, trunks and local domains are routed: whoever is nobody reaches nobody.
#[test]
fn nobody_is_relayed_who_is_not_known() {
    let mut w = world(10, "");
    let mut host = Host::new("198.51.77.1:5060");
    for uri in [
        "sip:victim@203.0.113.9",
        "sip:+442079460000@example.com",
        "sip:alice@example.com",
    ] {
        for method in ["INVITE", "MESSAGE", "SUBSCRIBE", "REFER"] {
            for route in ["", "Route: <sip:192.0.2.1;lr>, <sip:203.0.113.9;lr>\r\n"] {
                w.wiretap = Some(Vec::new());
                let request = host.request(method, uri, "alice", route);
                let elsewhere = request.replace("From: <sip:alice@example.com>", "From: <sip:alice@elsewhere.example>");
                for text in [request, elsewhere] {
                    w.feed(Input::Sip(flow(host.addr), Bytes::from(text)));
                    w.run(ms(50));
                }
                let sent = w.wiretap.take().unwrap();
                for (to, bytes) in sent {
                    let message = Msg::read(&bytes).unwrap();
                    assert!(
                        to == host.addr && [401, 407].contains(&message.status()),
                        "{method} {uri}: {message:?} to {to}"
                    );
                }
            }
        }
    }
    w.finish();
}
