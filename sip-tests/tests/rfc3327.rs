//! RFC 3327 (Path) and RFC 3608 (Service-Route) in the simulated world, for users who are proxied and for users who are bridged. Each
//! test names the section that it is for.

#![allow(missing_docs)]

#[path = "proxy/tools.rs"]
#[allow(dead_code, reason = "the tests of the proxy use the rest of it")]
mod tools;

use sip_tests::{Msg, Peer, World};
use tools::{OFFICE, by_hand, office, request, requests, settle, with};

const BOB: &str = "bob@example.com";
const CONTACT: &str = "Contact: <sip:bob@192.0.2.200>;expires=600";

/// The office where users are bridged.
fn bridged(seed: u64) -> World {
    with(
        seed,
        &OFFICE.replace("name: example.com, do: proxy", "name: example.com"),
    )
}

/// A proxy in front of bob's phone, at 203.0.113.9, with bob's credentials for what it passes on.
fn edge(w: &mut World) -> Peer {
    let edge = w.device("edge", "bob", tandem::id::Transport::Udp);
    by_hand(w, edge);
    edge
}

/// bob registers through it.
fn registers(w: &mut World, edge: Peer, lines: &[&str]) -> u16 {
    let via = "Via: SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bKnashds7";
    w.register_with(edge, &[&[via, CONTACT], lines].concat())
}

fn ok(w: &World, peer: Peer) -> Msg {
    w.last_received(peer, |m| m.answers("REGISTER", 200))
}

/// 5.3: a phone that does not support it must not be given a way that it knows nothing of.
#[test]
fn a_path_for_a_phone_that_knows_none() {
    let mut w = office(1);
    let edge = edge(&mut w);
    let path = "Path: <sip:p1.example.net;lr>";
    assert_eq!(registers(&mut w, edge, &[path]), 420);
    assert_eq!(w.last_received(edge, |m| m.status() == 420).text("Unsupported"), "path");
    assert_eq!(registers(&mut w, edge, &["Supported: path", "Path: nonsense"]), 400);
    let long = format!("Path: <sip:{}@p1.example.net;lr>", "x".repeat(1100));
    assert_eq!(registers(&mut w, edge, &["Supported: path", &long]), 400);
    assert_eq!(w.store.durable(BOB), 0);
    // 5.2: an element on the way may require it of us.
    let required = ["Supported: path", "Require: path", path];
    assert_eq!(registers(&mut w, edge, &required), 200);
    w.finish();
}

/// 5.3, 5.4: the path is kept with the contact, told in the 200 in its order, and goes in front of Route.
#[test]
fn the_path_is_kept_and_taken() {
    for mut w in [office(2), bridged(3)] {
        let alice = w.registered("alice");
        let edge = edge(&mut w);
        let at = w.agents[edge.0].addr;
        let path = [format!("<sip:p3@{at};lr>"), "<sip:p1.example.net;lr>".to_owned()];
        let line = format!("Path: {}", path.join(","));
        assert_eq!(registers(&mut w, edge, &["Supported: path", &line]), 200);
        assert_eq!(ok(&w, edge).all("Path"), path);
        let call = w.call(alice, "bob");
        let leg = w.incoming(edge);
        let invite = w.last_received(edge, |m| m.is("INVITE"));
        assert_eq!(
            (invite.uri(), invite.all("Route")),
            ("sip:bob@192.0.2.200", path.iter().map(String::as_str).collect())
        );
        w.accept(leg);
        w.up(call);
        settle(&mut w);
        let ack = w.last_received(edge, |m| m.is("ACK"));
        assert!(ack.all("Route").len() <= 1, "the dialog has its own route set: {ack:?}");
        w.hang_up(call);
        w.expect_over(leg, 200);
        w.finish();
    }
}

/// 5.4: so do requests that are no calls, and several contacts have each their own path.
#[test]
fn each_contact_has_its_own_path() {
    let mut w = office(4);
    let alice = w.registered("alice");
    let edge = edge(&mut w);
    let at = w.agents[edge.0].addr;
    let path = format!("Path: <sip:{at};lr>");
    assert_eq!(registers(&mut w, edge, &["Supported: path", &path]), 200);
    let desk = tools::phone(&mut w, "desk", "bob", "");
    for peer in [edge, desk] {
        w.policy(peer).loose = 200;
    }
    let message = request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "both@alice");
    assert_eq!(w.ask(alice, message), 200);
    settle(&mut w);
    let routes = [edge, desk].map(|peer| requests(&w, peer, "MESSAGE")[0].1.get("Route").is_some());
    assert_eq!(routes, [true, false]);
    w.finish();
}

/// RFC 3261 16.6 step 6: the first value of the path may be a strict router.
#[test]
fn a_path_that_begins_with_a_strict_router() {
    for mut w in [office(5), bridged(6)] {
        let alice = w.registered("alice");
        let edge = edge(&mut w);
        let at = w.agents[edge.0].addr;
        let path = format!("Path: <sip:strict@{at}>, <sip:p1.example.net;lr>");
        assert_eq!(registers(&mut w, edge, &["Supported: path", &path]), 200);
        let call = w.call(alice, "bob");
        let leg = w.incoming(edge);
        let invite = w.last_received(edge, |m| m.is("INVITE"));
        assert_eq!(invite.uri(), format!("sip:strict@{at}"));
        assert_eq!(
            invite.all("Route"),
            ["<sip:p1.example.net;lr>", "<sip:bob@192.0.2.200>"]
        );
        w.accept(leg);
        w.up(call);
        w.hang_up(call);
        w.finish();
    }
}

/// The next hop of the path is found by RFC 3263; where its name is not known here, the flow of the REGISTER leads to it as well.
#[test]
fn a_path_by_name() {
    for (seed, known) in [(7, true), (8, false)] {
        for mut w in [office(seed), bridged(seed + 10)] {
            let alice = w.registered("alice");
            let edge = edge(&mut w);
            if known {
                w.dns.addresses("p1.example.net", &["203.0.113.9"], 60);
            }
            let other = w.stranger("other", "203.0.113.9:5060");
            by_hand(&mut w, other);
            let path = "Path: <sip:p1.example.net;lr>";
            assert_eq!(registers(&mut w, edge, &["Supported: path", path]), 200);
            let call = w.call(alice, "bob");
            let next = if known { other } else { edge };
            let leg = w.incoming(next);
            let invite = w.last_received(next, |m| m.is("INVITE"));
            assert_eq!(
                (invite.uri(), invite.text("Route")),
                ("sip:bob@192.0.2.200", "<sip:p1.example.net;lr>")
            );
            w.respond(leg, 486);
            w.expect_over(call, 486);
            w.finish();
        }
    }
}

/// Within a dialog the route set of the dialog counts: the proxy recorded itself, or the phone is reached by its Contact.
#[test]
fn in_the_dialog_the_route_set_counts() {
    for (seed, records) in [(9, true), (10, false)] {
        for mut w in [office(seed), bridged(seed + 20)] {
            let alice = w.registered("alice");
            let edge = edge(&mut w);
            let at = w.agents[edge.0].addr;
            // The phone itself, as its Contact says; what the proxy in front of it passes on is not played here.
            let phone = w.stranger("phone", "203.0.113.50:5060");
            w.policy(phone).loose = 200;
            w.policy(edge).contact = Some("<sip:bob@203.0.113.50>".into());
            let path = format!("Path: <sip:tok@{at};lr>");
            assert_eq!(registers(&mut w, edge, &["Supported: path", &path]), 200);
            let call = w.call(alice, "bob");
            let leg = w.incoming(edge);
            let ours = w.last_received(edge, |m| m.is("INVITE")).all("Record-Route").join(", ");
            let rest = if ours.is_empty() { ours } else { format!(", {ours}") };
            if records {
                w.policy(edge).answer_lines = vec![format!("Record-Route: <sip:rr@{at};lr>{rest}")];
            }
            w.accept(leg);
            w.up(call);
            settle(&mut w);
            let to = if records { edge } else { phone };
            assert_eq!(requests(&w, to, "ACK").len(), 1, "records: {records}");
            w.checks.complaints = false;
            w.hang_up(call);
            w.run(sip_tests::s(40));
            w.finish();
        }
    }
}

/// RFC 3608 6.3: the requests of a proxied user come by us, also those to other domains; a bridged user needs no word of it.
#[test]
fn the_service_route_of_a_proxied_user() {
    let mut w = office(11);
    let alice = w.registered("alice");
    assert_eq!(ok(&w, alice).text("Service-Route"), "<sip:192.0.2.1:5060;lr>");
    let bob = w.tcp_phone("bob");
    w.register(bob);
    assert_eq!(
        ok(&w, bob).text("Service-Route"),
        "<sip:192.0.2.1:5060;transport=tcp;lr>"
    );
    // 6.1, 6.3: one that only asks is told the same; taken as a Route, it leads to us and away again.
    assert_eq!(w.register_with(alice, &[]), 200);
    assert_eq!(ok(&w, alice).text("Service-Route"), "<sip:192.0.2.1:5060;lr>");
    w.policy(bob).loose = 200;
    let message = request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "route@alice")
        .with("Route", "<sip:192.0.2.1:5060;lr>");
    assert_eq!(w.ask(alice, message), 200);
    assert_eq!(requests(&w, bob, "MESSAGE")[0].1.get("Route"), None);
    let erin = w.registered("erin");
    assert_eq!(ok(&w, erin).get("Service-Route"), None, "example.org is bridged");
    w.finish();
}
