//! RFC 3263 in the simulated world: a carrier that is given by name, and which of its hosts hears us by which transport. Each test
//! names the section that it is for.

#![allow(missing_docs)]

#[path = "admin/tools.rs"]
#[allow(dead_code, reason = "the tests of administration use the rest of it")]
mod tools;

use sip_tests::dns::{address, naptr, srv};
use sip_tests::{Answer, Peer, World, ms, s};
use std::collections::BTreeMap;
use tandem::effect::Kind;
use tools::{USERS, fails, incoming, refuses, works};

const LONDON: &str = "+442079460000";
const NAME: &str = "acme.example";

/// A node with every transport, one trunk with this peer, and alice.
fn with(seed: u64, peer: &str) -> (World, Peer) {
    let yaml = format!(
        "node: {{ name: edge }}\nlisten: [ \"udp://192.0.2.1:5060\", \"tcp://192.0.2.1:5060\", \"tls://192.0.2.1:5061\" ]\n\
         media: {{ ports: 20000-20399, workers: 2 }}\ndomains: [ example.com ]\n{USERS}trunks:
  - {{ name: acme, peers: [ \"{peer}\" ], accept_from: [ 198.51.100.0/24 ], options: never, numbers: {{ country: US }},
      connect: 3s, pass_headers: [ X-Account ], limits: {{ calls_per_second: 1000 }} }}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
"
    );
    let mut w = World::builder(seed).config(&yaml).build();
    let alice = w.registered("alice");
    (w, alice)
}

fn hosts(w: &mut World, hosts: &[(&str, &str)]) {
    for (name, ip) in hosts {
        w.dns.addresses(name, &[ip], 60);
    }
}

/// How many calls each of them got.
fn got(w: &World, peers: &[Peer]) -> Vec<usize> {
    peers.iter().map(|peer| incoming(w, *peer).len()).collect()
}

/// The transport that our Via names in the last INVITE that a peer got.
fn by(w: &World, peer: Peer) -> String {
    let invite = w.last_received(peer, |m| m.is("INVITE"));
    invite
        .text("Via")
        .split([' ', '/'])
        .nth(2)
        .unwrap_or_default()
        .to_owned()
}

/// 4.1: NAPTR by order, then preference; its replacement has the SRV records; the transport is that of the service.
#[test]
fn naptr_says_which_transport_comes_first() {
    for (seed, (udp, tcp), expected) in [
        (1, ((10, 5), (20, 1)), "UDP"),
        (2, ((20, 1), (10, 5)), "TCP"),
        (3, ((10, 2), (10, 1)), "TCP"),
    ] {
        let (mut w, alice) = with(seed, "sip:acme.example");
        let records = vec![
            naptr(udp.0, udp.1, "s", "SIP+D2U", "u.acme.example"),
            naptr(tcp.0, tcp.1, "S", "sip+d2t", "t.acme.example"),
        ];
        w.dns.add(Kind::Naptr, NAME, records, 60);
        w.dns.add(
            Kind::Srv,
            "u.acme.example",
            vec![srv(0, 0, 5060, "u1.acme.example")],
            60,
        );
        w.dns.add(
            Kind::Srv,
            "t.acme.example",
            vec![srv(0, 0, 5070, "t1.acme.example")],
            60,
        );
        hosts(
            &mut w,
            &[("u1.acme.example", "198.51.100.1"), ("t1.acme.example", "198.51.100.2")],
        );
        let (u, t) = (
            w.carrier("u", "198.51.100.1:5060"),
            w.tcp_carrier("t", "198.51.100.2:5070"),
        );
        works(&mut w, alice, LONDON);
        let chosen = if expected == "UDP" { u } else { t };
        assert_eq!(by(&w, chosen), expected);
        assert_eq!(got(&w, &[u, t]).iter().sum::<usize>(), 1);
        w.finish();
    }
}

/// 4.1: services that we do not speak, and rules that are no "s", are passed over.
#[test]
fn naptr_that_we_cannot_use_is_passed_over() {
    let (mut w, alice) = with(4, "sip:acme.example");
    let records = vec![
        naptr(1, 1, "s", "SIP+D2S", "sctp.acme.example"),
        naptr(2, 1, "s", "SIP+D2W", "ws.acme.example"),
        naptr(3, 1, "u", "E2U+sip", "enum.acme.example"),
        naptr(4, 1, "a", "SIP+D2U", "flag.acme.example"),
        naptr(9, 1, "s", "SIP+D2T", "t.acme.example"),
    ];
    w.dns.add(Kind::Naptr, NAME, records, 60);
    w.dns
        .add(Kind::Srv, "t.acme.example", vec![srv(0, 0, 5060, "h.acme.example")], 60);
    hosts(&mut w, &[("h.acme.example", "198.51.100.1")]);
    let h = w.tcp_carrier("h", "198.51.100.1:5060");
    works(&mut w, alice, LONDON);
    assert_eq!(by(&w, h), "TCP");
    for name in ["sctp.acme.example", "ws.acme.example", "flag.acme.example"] {
        assert_eq!(w.dns.count(Kind::Srv, name), 0, "{name}");
    }
    w.finish();
}

/// 4.1: no NAPTR: SRV of each transport that we speak is asked for; one that has some is supported.
#[test]
fn without_naptr_srv_tells_the_transport() {
    let (mut w, alice) = with(5, "sip:acme.example");
    w.dns.add(
        Kind::Srv,
        "_sip._tcp.acme.example",
        vec![srv(0, 0, 5080, "h.acme.example")],
        60,
    );
    hosts(&mut w, &[("h.acme.example", "198.51.100.1")]);
    let h = w.tcp_carrier("h", "198.51.100.1:5080");
    works(&mut w, alice, LONDON);
    assert_eq!(by(&w, h), "TCP");
    assert_eq!(w.dns.count(Kind::Srv, "_sip._udp.acme.example"), 1);
    assert_eq!(w.dns.count(Kind::Srv, "_sips._tcp.acme.example"), 0, "only for SIPS");
    assert_eq!(w.dns.count(Kind::A, NAME), 0);
    w.finish();
}

/// 4.1, 4.2: neither NAPTR nor SRV: the addresses of the name, UDP, 5060.
#[test]
fn without_records_it_is_udp_to_the_name() {
    let (mut w, alice) = with(6, "sip:acme.example");
    hosts(&mut w, &[(NAME, "198.51.100.1")]);
    let h = w.carrier("h", "198.51.100.1:5060");
    works(&mut w, alice, LONDON);
    assert_eq!(by(&w, h), "UDP");
    w.finish();
}

/// 4.1: a transport in the URI is used, without NAPTR; 4.2: SRV of that transport.
#[test]
fn a_transport_in_the_uri_decides() {
    let (mut w, alice) = with(7, "sip:acme.example;transport=tcp");
    w.dns.add(
        Kind::Naptr,
        NAME,
        vec![naptr(1, 1, "s", "SIP+D2U", "u.acme.example")],
        60,
    );
    w.dns.add(
        Kind::Srv,
        "_sip._tcp.acme.example",
        vec![srv(0, 0, 5062, "h.acme.example")],
        60,
    );
    hosts(&mut w, &[("h.acme.example", "198.51.100.1")]);
    let h = w.tcp_carrier("h", "198.51.100.1:5062");
    works(&mut w, alice, LONDON);
    assert_eq!(by(&w, h), "TCP");
    assert_eq!(
        (
            w.dns.count(Kind::Naptr, NAME),
            w.dns.count(Kind::Srv, "_sip._udp.acme.example")
        ),
        (0, 0)
    );
    w.finish();
}

/// 4.1, 4.2: an explicit port: no NAPTR, no SRV, UDP, the addresses of the name.
#[test]
fn a_port_in_the_uri_asks_for_addresses_only() {
    let (mut w, alice) = with(8, "sip:acme.example:5090");
    w.dns.add(
        Kind::Srv,
        "_sip._udp.acme.example",
        vec![srv(0, 0, 5062, "h.acme.example")],
        60,
    );
    hosts(&mut w, &[(NAME, "198.51.100.1")]);
    let h = w.carrier("h", "198.51.100.1:5090");
    works(&mut w, alice, LONDON);
    assert_eq!(by(&w, h), "UDP");
    assert!(
        w.dns.questions.iter().all(|(kind, _)| *kind == Kind::A),
        "{:?}",
        w.dns.questions
    );
    w.finish();
}

/// 4.1, 4.2: a numeric host asks nobody; SIPS means TLS and 5061.
#[test]
fn a_numeric_host_asks_nobody() {
    for (seed, peer, addr, expected) in [
        (9, "sip:198.51.100.1", "198.51.100.1:5060", "UDP"),
        (10, "sip:198.51.100.1:5070;transport=tcp", "198.51.100.1:5070", "TCP"),
        (11, "sips:198.51.100.1", "198.51.100.1:5061", "TLS"),
        (12, "sip:acme.example;maddr=198.51.100.1", "198.51.100.1:5060", "UDP"),
    ] {
        let (mut w, alice) = with(seed, peer);
        let h = if expected == "UDP" {
            w.carrier("h", addr)
        } else {
            w.tcp_carrier("h", addr)
        };
        works(&mut w, alice, LONDON);
        assert_eq!(by(&w, h), expected);
        assert!(w.dns.questions.is_empty(), "{:?}", w.dns.questions);
        w.finish();
    }
}

/// 4.1: for SIPS only services over TLS count, whatever else NAPTR offers first.
#[test]
fn sips_takes_tls_only() {
    let (mut w, alice) = with(13, "sips:acme.example");
    let records = vec![
        naptr(1, 1, "s", "SIP+D2U", "u.acme.example"),
        naptr(2, 1, "s", "SIP+D2T", "t.acme.example"),
        naptr(3, 1, "s", "SIPS+D2T", "s.acme.example"),
    ];
    w.dns.add(Kind::Naptr, NAME, records, 60);
    w.dns
        .add(Kind::Srv, "s.acme.example", vec![srv(0, 0, 5061, "h.acme.example")], 60);
    hosts(&mut w, &[("h.acme.example", "198.51.100.1")]);
    let h = w.tcp_carrier("h", "198.51.100.1:5061");
    works(&mut w, alice, LONDON);
    assert_eq!(by(&w, h), "TLS");
    assert_eq!(
        (
            w.dns.count(Kind::Srv, "u.acme.example"),
            w.dns.count(Kind::Srv, "t.acme.example")
        ),
        (0, 0)
    );
    w.finish();
}

/// 4.1: SIPS without NAPTR: `_sips._tcp`; without that the name itself at 5061. UDP is never tried, though it is there.
#[test]
fn sips_without_naptr_never_falls_to_udp() {
    for (seed, has_srv) in [(14, true), (15, false)] {
        let (mut w, alice) = with(seed, "sips:acme.example");
        let port = if has_srv { 5443 } else { 5061 };
        if has_srv {
            w.dns.add(
                Kind::Srv,
                "_sips._tcp.acme.example",
                vec![srv(0, 0, port, "acme.example")],
                60,
            );
        }
        hosts(&mut w, &[(NAME, "198.51.100.1")]);
        let h = w.tcp_carrier("h", &format!("198.51.100.1:{port}"));
        works(&mut w, alice, LONDON);
        assert_eq!(by(&w, h), "TLS");
        w.policy(h).deaf = true;
        let udp = w.streams.list.len();
        fails(&mut w, alice, LONDON, 503);
        assert_eq!(w.streams.list.len(), udp, "no other transport");
        w.finish();
    }
}

/// 4.2 (RFC 2782): the lower priority first, the higher only when that fails.
#[test]
fn srv_priorities_are_an_order() {
    let (mut w, alice) = with(16, "sip:acme.example");
    let records = vec![srv(20, 100, 5060, "b.acme.example"), srv(10, 1, 5060, "a.acme.example")];
    w.dns.add(Kind::Srv, "_sip._udp.acme.example", records, 600);
    hosts(
        &mut w,
        &[("a.acme.example", "198.51.100.1"), ("b.acme.example", "198.51.100.2")],
    );
    let (a, b) = (w.carrier("a", "198.51.100.1:5060"), w.carrier("b", "198.51.100.2:5060"));
    for _ in 0..5 {
        works(&mut w, alice, LONDON);
    }
    assert_eq!(got(&w, &[a, b]), [5, 0]);
    refuses(&mut w, a, 503);
    works(&mut w, alice, LONDON);
    assert_eq!(got(&w, &[a, b]), [6, 1]);
    w.finish();
}

/// 4.2 (RFC 2782): within one priority the weights are shares, one drawing for each call.
#[test]
fn srv_weights_are_shares() {
    let (mut w, alice) = with(17, "sip:acme.example");
    let records = vec![srv(1, 75, 5060, "a.acme.example"), srv(1, 25, 5060, "b.acme.example")];
    w.dns.add(Kind::Srv, "_sip._udp.acme.example", records, 6000);
    w.dns.add(Kind::Naptr, NAME, Vec::new(), 6000);
    hosts(
        &mut w,
        &[("a.acme.example", "198.51.100.1"), ("b.acme.example", "198.51.100.2")],
    );
    let (a, b) = (w.carrier("a", "198.51.100.1:5060"), w.carrier("b", "198.51.100.2:5060"));
    for _ in 0..100 {
        works(&mut w, alice, LONDON);
    }
    let shares = got(&w, &[a, b]);
    assert_eq!(shares[0] + shares[1], 100);
    assert!((60..90).contains(&shares[0]), "{shares:?}");
    w.finish();
}

/// 4.2 (RFC 2782): a target of "." means that the service is not there: nothing else is tried.
#[test]
fn a_service_that_is_expressly_not_there() {
    let (mut w, alice) = with(18, "sip:acme.example;transport=udp");
    w.dns
        .add(Kind::Srv, "_sip._udp.acme.example", vec![srv(0, 0, 0, ".")], 60);
    hosts(&mut w, &[(NAME, "198.51.100.1")]);
    let h = w.carrier("h", "198.51.100.1:5060");
    fails(&mut w, alice, LONDON, 503);
    assert_eq!(got(&w, &[h]), [0]);
    w.finish();
}

/// 4.2: a host with several addresses: each is a target. 4.3: the next one on timeout and on 503, each by a new transaction.
#[test]
fn each_target_gets_a_transaction_of_its_own() {
    let (mut w, alice) = with(19, "sip:acme.example");
    let records = vec![srv(1, 0, 5060, "a.acme.example"), srv(2, 0, 5060, "b.acme.example")];
    w.dns.add(Kind::Srv, "_sip._udp.acme.example", records, 60);
    w.dns.addresses("a.acme.example", &["198.51.100.1", "198.51.100.2"], 60);
    hosts(&mut w, &[("b.acme.example", "198.51.100.3")]);
    let peers = ["198.51.100.1:5060", "198.51.100.2:5060", "198.51.100.3:5060"].map(|addr| w.carrier(addr, addr));
    w.policy(peers[0]).deaf = true;
    refuses(&mut w, peers[1], 503);
    works(&mut w, alice, LONDON);
    assert_eq!(got(&w, &peers)[1..], [1, 1]);
    let branch = |w: &World, peer: Peer| {
        let via = w.last_received(peer, |m| m.is("INVITE")).text("Via").to_owned();
        via.split("branch=").nth(1).expect("a branch").to_owned()
    };
    assert_ne!(branch(&w, peers[1]), branch(&w, peers[2]), "4.3: a new branch for each");
    w.finish();
}

/// 4.3: a refused connection is a failure of the transport: the next target.
#[test]
fn a_refused_connection_leads_to_the_next() {
    let (mut w, alice) = with(20, "sip:acme.example;transport=tcp");
    let records = vec![srv(1, 0, 5999, "a.acme.example"), srv(2, 0, 5060, "b.acme.example")];
    w.dns.add(Kind::Srv, "_sip._tcp.acme.example", records, 60);
    hosts(
        &mut w,
        &[("a.acme.example", "198.51.100.1"), ("b.acme.example", "198.51.100.2")],
    );
    let (a, b) = (
        w.tcp_carrier("a", "198.51.100.1:5060"),
        w.tcp_carrier("b", "198.51.100.2:5060"),
    );
    works(&mut w, alice, LONDON);
    assert_eq!(got(&w, &[a, b]), [0, 1]);
    w.finish();
}

/// 4.3: other failures than 503 are answers: no other target hears of the call.
#[test]
fn an_answer_is_an_answer() {
    let (mut w, alice) = with(21, "sip:acme.example");
    w.dns.addresses(NAME, &["198.51.100.1", "198.51.100.2"], 60);
    let (a, b) = (w.carrier("a", "198.51.100.1:5060"), w.carrier("b", "198.51.100.2:5060"));
    refuses(&mut w, a, 486);
    fails(&mut w, alice, LONDON, 486);
    assert_eq!(got(&w, &[a, b]), [1, 0]);
    w.finish();
}

/// 4.3: a target that failed is left alone for a while, so that calls do not wait for it; then one call probes it, and when it
/// answers it has its place again.
#[test]
fn a_dead_target_is_held_down_and_probed() {
    let (mut w, alice) = with(22, "sip:acme.example");
    let records = vec![srv(1, 0, 5060, "a.acme.example"), srv(2, 0, 5060, "b.acme.example")];
    w.dns.add(Kind::Srv, "_sip._udp.acme.example", records, 6000);
    hosts(
        &mut w,
        &[("a.acme.example", "198.51.100.1"), ("b.acme.example", "198.51.100.2")],
    );
    let (a, b) = (w.carrier("a", "198.51.100.1:5060"), w.carrier("b", "198.51.100.2:5060"));
    w.policy(a).deaf = true;
    let duration = |w: &mut World| {
        let before = w.now;
        works(w, alice, LONDON);
        w.now.since(before)
    };
    assert!(duration(&mut w) > s(3), "the first one waits for it");
    assert!(duration(&mut w) < s(2), "the second does not");
    w.run(s(61));
    assert!(duration(&mut w) > s(3), "it is probed");
    w.run(s(61));
    w.policy(a).deaf = false;
    assert!(duration(&mut w) < s(2));
    assert!(duration(&mut w) < s(2));
    assert_eq!(got(&w, &[b]), [3]);
    w.finish();
}

/// 4 (RFC 1035 3.2.1, RFC 2308 5): an answer is kept for its time and not longer; so is one that there is nothing.
#[test]
fn answers_are_kept_for_their_time() {
    let (mut w, alice) = with(23, "sip:acme.example");
    w.dns.add(Kind::Naptr, NAME, Vec::new(), 30);
    w.dns.add(Kind::Srv, "_sip._udp.acme.example", Vec::new(), 30);
    w.dns.add(Kind::Srv, "_sip._tcp.acme.example", Vec::new(), 30);
    w.dns.addresses(NAME, &["198.51.100.1"], 10);
    w.carrier("a", "198.51.100.1:5060");
    works(&mut w, alice, LONDON);
    works(&mut w, alice, LONDON);
    assert_eq!((w.dns.count(Kind::Naptr, NAME), w.dns.count(Kind::A, NAME)), (1, 1));
    w.run(s(11));
    works(&mut w, alice, LONDON);
    assert_eq!((w.dns.count(Kind::Naptr, NAME), w.dns.count(Kind::A, NAME)), (1, 2));
    w.run(s(30));
    works(&mut w, alice, LONDON);
    assert_eq!(w.dns.count(Kind::Naptr, NAME), 2);
    w.finish();
}

/// 4: only addresses of families that we have are asked for.
#[test]
fn families_that_we_lack_are_not_asked_for() {
    let (mut w, alice) = with(24, "sip:acme.example");
    w.dns.addresses(NAME, &["198.51.100.1", "2001:db8::1"], 60);
    w.carrier("a", "198.51.100.1:5060");
    works(&mut w, alice, LONDON);
    assert_eq!(w.dns.count(Kind::Aaaa, NAME), 0);
    w.finish();
}

/// A server that lies: thousands of records, loops, hosts that no host is, targets that do not exist. The call is answered in time, and
/// the questions are bounded.
#[test]
fn a_server_that_lies_is_bounded() {
    let (mut w, alice) = with(25, "sip:acme.example");
    let many = (0..5000)
        .map(|number| srv(number, 0, 5060, &format!("h{number}.acme.example")))
        .collect();
    w.dns.add(Kind::Srv, "_sip._udp.acme.example", many, 1);
    let loops = (0..500)
        .map(|number| naptr(number, 0, "s", "SIP+D2U", "_sip._udp.acme.example"))
        .collect();
    w.dns.add(Kind::Naptr, NAME, loops, 1);
    for number in 0..5000 {
        let nobody = ["0.0.0.0", "255.255.255.255", "224.0.0.1"].map(address).to_vec();
        w.dns.add(Kind::A, &format!("h{number}.acme.example"), nobody, 1);
    }
    let before = w.now;
    fails(&mut w, alice, LONDON, 503);
    assert!(w.now.since(before) < s(6));
    assert!(w.dns.questions.len() <= 36, "{}", w.dns.questions.len());
    w.finish();
}

/// A server that is silent, from the first question on or only at the last: 503 in time, and what it did say is used.
#[test]
fn a_server_that_is_silent_is_not_waited_for() {
    let (mut w, alice) = with(26, "sip:acme.example");
    w.dns.silence(Kind::Naptr, NAME);
    let before = w.now;
    fails(&mut w, alice, LONDON, 503);
    assert!(w.now.since(before) < s(6));

    let (mut w, alice) = with(27, "sip:acme.example");
    let records = vec![srv(1, 0, 5060, "a.acme.example"), srv(2, 0, 5060, "b.acme.example")];
    w.dns.add(Kind::Srv, "_sip._udp.acme.example", records, 60);
    w.dns.silence(Kind::A, "a.acme.example");
    hosts(&mut w, &[("b.acme.example", "198.51.100.2")]);
    let b = w.carrier("b", "198.51.100.2:5060");
    works(&mut w, alice, LONDON);
    assert_eq!(got(&w, &[b]), [1]);
    w.finish();
}

/// RFC 3261 18.1.1: a request larger than 1,300 octets goes by TCP where the URI leaves the transport open, by UDP where the peer has
/// no TCP, and by UDP where the URI says so; then with as few octets as mean the same (7.3.3).
#[test]
fn a_large_request_goes_by_tcp() {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (seed, case, peer, tcp) in [
        (28, "open", "sip:acme.example:5060", true),
        (29, "refused", "sip:acme.example:5060", false),
        (30, "fixed", "sip:acme.example:5060;transport=udp", true),
    ] {
        let (mut w, alice) = with(seed, peer);
        hosts(&mut w, &[(NAME, "198.51.100.1")]);
        let h = if tcp {
            w.tcp_carrier("h", "198.51.100.1:5060")
        } else {
            w.carrier("h", "198.51.100.1:5060")
        };
        works(&mut w, alice, LONDON);
        seen.insert(case, by(&w, h));
        // rsip reads no compact names.
        w.checks.oracle = false;
        w.policy(alice).invite_lines = vec![format!("X-Account: {}", "x".repeat(1_200))];
        works(&mut w, alice, LONDON);
        seen.insert(case, format!("{} {}", seen[case], by(&w, h)));
        let invite = w.last_received(h, |m| m.is("INVITE"));
        let written = |name: &str| invite.headers.iter().any(|(written, _)| written == name);
        let slim = ["v", "f", "t", "i", "m", "c", "k"].map(written);
        assert_eq!(slim, [case != "open"; 7], "{case}");
        assert_eq!(written("User-Agent"), case == "open", "{case}");
        w.finish();
    }
    assert_eq!(seen["refused"], "UDP UDP");
    assert_eq!(seen["fixed"], "UDP UDP");
    assert_eq!(seen["open"], "UDP TCP");
}

/// The last resort of all targets that are dead is still to try them.
#[test]
fn dead_targets_are_tried_when_there_is_no_other() {
    let (mut w, alice) = with(31, "sip:acme.example");
    hosts(&mut w, &[(NAME, "198.51.100.1")]);
    let a = w.carrier("a", "198.51.100.1:5060");
    w.policy(a).ring = None;
    w.policy(a).answer = Answer::Status(503, ms(10), vec!["Retry-After: 20".into()]);
    fails(&mut w, alice, LONDON, 503);
    w.run(s(40));
    w.policy(a).answer = Answer::After(ms(10));
    works(&mut w, alice, LONDON);
    w.finish();
}
