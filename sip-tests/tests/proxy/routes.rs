//! Route and Record-Route: RFC 3261 16.4, 16.6 steps 4 and 6, 16.12, RFC 5658; the flows of phones (as RFC 5626 5.3).

use crate::tools::{calling, office, request, requests, settle, two};
use sip_tests::message::uri_of;
use sip_tests::{Msg, Peer, World, ms};

fn record_routes(w: &World, peer: Peer) -> Vec<String> {
    let invite = w.last_received(peer, |m| m.is("INVITE") && m.to_tag().is_empty());
    invite
        .all("Record-Route")
        .iter()
        .map(|value| (*value).to_owned())
        .collect()
}

/// 16.6 step 4: one value, loose, with our address, on both sides the same.
#[test]
fn one_record_route_on_one_transport() {
    let (mut w, alice, bob) = two(1);
    let (a, b) = w.talk(alice, bob, "bob");
    let routes = record_routes(&w, bob);
    assert_eq!(routes.len(), 1);
    assert!(routes[0].contains("@192.0.2.1:5060;lr>"), "{routes:?}");
    assert_eq!(
        w.last_received(alice, |m| m.answers("INVITE", 200)).all("Record-Route"),
        routes
    );
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 5658 4: between UDP and TCP two values, that of the callee's side on top; in-dialog requests of both sides pop both.
#[test]
fn a_double_record_route_between_udp_and_tcp() {
    let mut w = office(2);
    let alice = w.registered("alice");
    let bob = w.tcp_phone("bob");
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    let routes = record_routes(&w, bob);
    assert_eq!(routes.len(), 2, "{routes:?}");
    assert!(
        routes[0].ends_with("@192.0.2.1:5060;transport=tcp;lr>") && routes[1].ends_with("@192.0.2.1:5060;lr>"),
        "{routes:?}"
    );
    assert_eq!(w.request(a, "INFO", &[], None), 200);
    assert_eq!(w.request(b, "INFO", &[], None), 200);
    for peer in [alice, bob] {
        let info = w.last_received(peer, |m| m.is("INFO"));
        assert!(info.get("Route").is_none(), "both are ours");
    }
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// 16.4: a predecessor that is a strict router puts our URI into the Request-URI and the target behind all routes.
#[test]
fn a_strict_router_before_us() {
    let (mut w, alice, bob) = two(3);
    let (a, b) = w.talk(alice, bob, "bob");
    let ours = uri_of(&record_routes(&w, bob)[0]).to_owned();
    let mut info = w.at(a).request("INFO", 3);
    w.agent(a.peer).calls[a.call].cseq = 3;
    let target = info.uri().to_owned();
    info.start = format!("INFO {ours} SIP/2.0");
    info.set("Route", &format!("<{target}>"));
    assert_eq!(w.ask(alice, info), 200);
    let got = w.last_received(bob, |m| m.is("INFO"));
    assert_eq!((got.uri(), got.get("Route")), (target.as_str(), None));
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// 16.6 step 6: the next hop is a strict router: it gets its own URI as Request-URI, and the target becomes the last Route.
#[test]
fn a_strict_router_behind_us() {
    let (mut w, alice, _) = two(4);
    let strict = w.stranger("strict", "203.0.113.9:5060");
    w.policy(strict).loose = 200;
    let message = request("MESSAGE", "sip:x@far.example", "sip:alice@example.com", "strict@alice").with(
        "Route",
        "<sip:192.0.2.1;lr>, <sip:203.0.113.9:5060>, <sip:p.example;lr>",
    );
    assert_eq!(w.ask(alice, message), 200);
    let got = w.last_received(strict, |m| m.is("MESSAGE"));
    assert_eq!(got.uri(), "sip:203.0.113.9:5060");
    assert_eq!(got.all("Route"), ["<sip:p.example;lr>", "<sip:x@far.example>"]);
    w.finish();
}

/// 16.12.1.1: loose routes of others stay, in order, and the first of them is the next hop.
#[test]
fn a_loose_route_of_another_is_the_next_hop() {
    let (mut w, alice, _) = two(5);
    let next = w.stranger("next", "203.0.113.9:5060");
    w.policy(next).loose = 202;
    let message = request("MESSAGE", "sip:x@far.example", "sip:alice@example.com", "loose@alice").with(
        "Route",
        "<sip:example.com;lr>,<sip:203.0.113.9;lr>  , <sip:p.example;lr>",
    );
    assert_eq!(w.ask(alice, message), 202);
    let got = w.last_received(next, |m| m.is("MESSAGE"));
    assert_eq!(
        (got.uri(), got.text("Route")),
        ("sip:x@far.example", "<sip:203.0.113.9;lr>  , <sip:p.example;lr>")
    );
    w.finish();
}

/// 16.4: an `maddr` that names us is taken away before the target is looked for.
#[test]
fn an_maddr_of_ours() {
    let (mut w, alice, bob) = two(6);
    w.policy(bob).loose = 200;
    let message = request(
        "MESSAGE",
        "sip:bob@example.com:5060;maddr=192.0.2.1",
        "sip:alice@example.com",
        "maddr@alice",
    );
    assert_eq!(w.ask(alice, message), 200);
    assert_eq!(requests(&w, bob, "MESSAGE").len(), 1);
    w.finish();
}

/// A phone behind a NAT is reached over its flow in the dialog, too: the address in its Contact means nothing outside.
#[test]
fn phones_behind_nats_are_reached_in_the_dialog() {
    let mut w = office(7);
    let (alice, bob) = (w.phone("alice"), w.phone("bob"));
    w.nat(alice, "203.0.113.101");
    w.nat(bob, "203.0.113.102");
    w.register(alice);
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.request(a, "INFO", &[], None), 200);
    assert_eq!(w.request(b, "INFO", &[], None), 200);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// No open relay: our Route value serves the dialog that it was made for, and no other.
#[test]
fn a_route_of_ours_is_good_for_its_dialog_only() {
    let (mut w, alice, bob) = two(8);
    let (a, b) = w.talk(alice, bob, "bob");
    let token = record_routes(&w, bob)[0].clone();
    let victim = w.stranger("victim", "203.0.113.77:5060");
    let thief = w.stranger("thief", "203.0.113.66:5060");
    let stolen = |method: &str, route: &str, call_id: &str| {
        Msg::request(method, "sip:victim@203.0.113.77:5060")
            .with("Route", route)
            .with("Max-Forwards", "70")
            .with("From", "<sip:x@elsewhere.example>;tag=1")
            .with("To", "<sip:y@elsewhere.example>;tag=2")
            .with("Call-ID", call_id)
            .with("CSeq", &format!("1 {method}"))
    };
    for (n, route) in [
        token.as_str(),
        "<sip:192.0.2.1;lr>",
        "<sip:tw-nn0123456789abcdef@192.0.2.1;lr>",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            w.ask(thief, stolen("BYE", route, &format!("stolen{n}"))),
            481,
            "{route}"
        );
        let mut ack = stolen("ACK", route, &format!("stolen{n}"));
        ack.headers.insert(
            0,
            (
                "Via".into(),
                "SIP/2.0/UDP 203.0.113.66:5060;rport;branch=z9hG4bKack".into(),
            ),
        );
        w.send_raw(thief, ack.write().to_vec());
    }
    settle(&mut w);
    assert!(w.received(victim, |_| true).is_empty());
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// 16.4, 16.6: a re-INVITE of either side and its ACK take the way of the dialog. Step 4: it has our Record-Route again, the same, for
/// an end that has forgotten its route set.
#[test]
fn a_reinvite_passes() {
    let (mut w, alice, bob) = two(9);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.accept(b);
    w.up(a);
    settle(&mut w);
    assert_eq!(w.hold(a, "sendonly"), 200);
    assert_eq!(w.hold(b, "inactive"), 200);
    w.run(ms(500));
    let routes = record_routes(&w, bob);
    for peer in [alice, bob] {
        let again = w.last_received(peer, |m| m.is("INVITE") && !m.to_tag().is_empty());
        assert_eq!(again.all("Record-Route"), routes);
    }
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}
