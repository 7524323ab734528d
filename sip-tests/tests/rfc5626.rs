//! RFC 5626 in the simulated world: a phone with several flows, registered at us or through an edge proxy, called through the proxy
//! and through the back-to-back user agent. Each test names the section that it is for.

#![allow(missing_docs)]

#[path = "proxy/tools.rs"]
#[allow(dead_code, reason = "the tests of the proxy use the rest of it")]
mod tools;

use sip_tests::{Msg, Peer, World, ms, s};
use tandem::id::Transport;
use tools::{OFFICE, by_hand, office, requests, settle, statuses, with};

const BOB: &str = "bob@example.com";
const URN: &str = "urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF";

/// The office where users are bridged.
fn bridged(seed: u64) -> World {
    with(
        seed,
        &OFFICE.replace("name: example.com, do: proxy", "name: example.com"),
    )
}

/// The Contact of a flow of bob's device.
fn contact(reg_id: &str) -> String {
    format!("Contact: <sip:line1@192.168.1.2;transport=tcp>;expires=600;reg-id={reg_id};+sip.instance=\"<{URN}>\"")
}

/// One flow of bob's device: each is a connection of its own, so each is a peer of the world.
fn flow(w: &mut World, name: &str, reg_id: u32, transport: Transport) -> Peer {
    let peer = w.device(name, "bob", transport);
    let call_id = format!("Call-ID: {name}@bob");
    let lines = ["Supported: path, outbound", &contact(&reg_id.to_string()), &call_id];
    assert_eq!(w.register_with(peer, &lines), 200);
    by_hand(w, peer);
    peer
}

fn ok(w: &World, peer: Peer) -> Msg {
    w.last_received(peer, |m| m.answers("REGISTER", 200))
}

/// How many INVITEs each flow got.
fn asked(w: &World, flows: &[Peer]) -> Vec<usize> {
    flows.iter().map(|peer| requests(w, *peer, "INVITE").len()).collect()
}

/// 6: the binding is that of the instance and its reg-id, whatever the URI; the phone is told that it is.
#[test]
fn each_flow_of_an_instance_is_a_binding() {
    let mut w = office(1);
    let one = flow(&mut w, "one", 1, Transport::Udp);
    let told = ok(&w, one);
    assert_eq!(told.text("Require"), "outbound");
    let expected = format!("<sip:line1@192.168.1.2;transport=tcp>;expires=600;+sip.instance=\"<{URN}>\";reg-id=1");
    assert_eq!(told.all("Contact"), [expected.as_str()]);
    assert_eq!(told.get("Flow-Timer"), None, "we need no keep-alives");
    let two = flow(&mut w, "two", 2, Transport::Udp);
    assert_eq!(ok(&w, two).all("Contact").len(), 2, "the same URI, another flow");
    // The first flow comes back from elsewhere: with another URI and another Call-ID, it is the first flow still.
    let moved = contact("1").replace("192.168.1.2", "192.168.1.77");
    assert_eq!(
        w.register_with(one, &["Supported: outbound", &moved, "Call-ID: anew@bob"]),
        200
    );
    let contacts = ok(&w, one).all("Contact").join(" ");
    assert_eq!(w.store.durable(BOB), 2);
    assert!(
        contacts.contains("192.168.1.77") && contacts.contains("192.168.1.2;"),
        "{contacts}"
    );
    // Only refreshed, it is no change, whoever comes last.
    let plain = contact("2");
    assert_eq!(
        w.register_with(two, &["Supported: outbound", &plain, "Call-ID: two@bob"]),
        200
    );
    assert!(matches!(
        w.facts.last(),
        Some(tandem::effect::Fact::Registered { changed: false, .. })
    ));
    // An old one of its own Call-ID is late, the other flow's count is its own.
    assert_eq!(
        w.register_with(
            one,
            &["Supported: outbound", &moved, "Call-ID: anew@bob", "CSeq: 1 REGISTER"]
        ),
        500
    );
    w.finish();
}

/// 6: what is not valid together, and what is ignored.
#[test]
fn what_makes_a_flow() {
    let mut w = office(2);
    let bob = w.device("desk", "bob", Transport::Udp);
    let plain = |params: &str| format!("Contact: <sip:bob@192.168.1.3>;expires=600{params}");
    let instance = format!(";+sip.instance=\"<{URN}>\"");
    let two = format!("{}, <sip:bob@192.168.1.4>;expires=600", contact("1"));
    let old_and_new = format!("{}, <sip:bob@192.168.1.4>;expires=0", contact("1"));
    for (supported, contact, status, requires, why) in [
        ("outbound", contact("1"), 200, true, "a flow"),
        (
            "path",
            contact("1"),
            200,
            false,
            "a flow of one who does not count on it",
        ),
        ("outbound", plain(";reg-id=1"), 200, false, "no instance: ignored"),
        ("outbound", plain(&instance), 200, false, "no reg-id: none"),
        ("outbound", contact("0"), 200, false, "no reg-id by the grammar (10)"),
        ("outbound", contact("2147483648"), 200, false, "likewise"),
        ("outbound", two, 400, false, "a flow is registered alone"),
        ("outbound", old_and_new, 200, true, "and may take others away"),
        (
            "outbound",
            contact("1").replace("expires=600", "expires=0"),
            200,
            true,
            "a flow is given up",
        ),
    ] {
        let lines = [
            format!("Supported: {supported}"),
            contact,
            format!("Call-ID: {}", why.replace(' ', "-")),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(w.register_with(bob, &lines), status, "{why}");
        if status == 200 {
            assert_eq!(ok(&w, bob).get("Require").is_some(), requires, "{why}");
        }
    }
    w.finish();
}

/// A REGISTER that came through another element: a second Via, and these lines.
fn through(w: &mut World, edge: Peer, lines: &[&str]) -> u16 {
    let via = "Via: SIP/2.0/TCP 192.168.1.2;branch=z9hG4bKnashds7";
    w.register_with(edge, &[&[via], lines].concat())
}

/// 6, 11.6: the first hop is another element, which says by `ob` whether it knows flows: 439 for one who counts on them.
#[test]
fn the_first_hop_must_know_flows() {
    let mut w = office(3);
    let edge = w.device("edge", "bob", Transport::Udp);
    let supported = "Supported: path, outbound";
    let one = contact("1");
    for (path, status) in [
        (None, 439),
        (Some("<sip:tok@203.0.113.9;lr>"), 439),
        (Some("<sip:tok@203.0.113.9;lr;ob>"), 200),
        (Some("<sip:core@203.0.113.8;lr>, <sip:tok@203.0.113.9;lr;ob>"), 200),
    ] {
        let path = path.map(|path| format!("Path: {path}"));
        let mut lines = vec![supported, one.as_str()];
        lines.extend(path.as_deref());
        assert_eq!(through(&mut w, edge, &lines), status, "{path:?}");
    }
    assert_eq!(ok(&w, edge).text("Require"), "outbound");
    assert_eq!(w.store.bindings(BOB)[0].reg_id(), Some(1));
    // One who does not count on it gets a binding by its URI.
    let plain = [one.as_str(), "Supported: path", "Call-ID: plain@bob"];
    assert_eq!(through(&mut w, edge, &plain), 200);
    assert_eq!(ok(&w, edge).get("Require"), None);
    assert_eq!(w.store.bindings(BOB).last().and_then(|binding| binding.reg_id()), None);
    w.finish();
}

/// RFC 3261 10.2.2: a phone that leaves names its URI only, and all its flows go.
#[test]
fn a_phone_that_leaves_takes_all_its_flows() {
    let mut w = office(4);
    let one = flow(&mut w, "one", 1, Transport::Udp);
    flow(&mut w, "two", 2, Transport::Udp);
    let leaves = [
        "Contact: <sip:line1@192.168.1.2;transport=tcp>;expires=0",
        "Call-ID: leaves@bob",
    ];
    assert_eq!(w.register_with(one, &leaves), 200);
    assert_eq!(w.store.durable(BOB), 0);
    w.finish();
}

/// 7: never two flows of one instance at a time; the one that was refreshed last comes first, and others of the user ring with it.
#[test]
fn one_flow_of_an_instance_is_asked_at_a_time() {
    for (seed, mut w) in [(5, office(5)), (6, bridged(6))] {
        let alice = w.registered("alice");
        let flows = [1, 2].map(|reg_id| flow(&mut w, &format!("flow{reg_id}"), reg_id, Transport::Udp));
        let desk = tools::phone(&mut w, "desk", "bob", "");
        let call = w.call(alice, "bob");
        let leg = w.incoming(flows[1]);
        settle(&mut w);
        assert_eq!(
            (asked(&w, &flows), asked(&w, &[desk])),
            (vec![0, 1], vec![1]),
            "seed {seed}"
        );
        w.respond(leg, 180);
        w.run(s(10));
        assert_eq!(asked(&w, &flows), [0, 1], "it rings: the flow works");
        w.accept(leg);
        w.up(call);
        w.hang_up(call);
        w.finish();
    }
}

/// 7: 430 and 408 say that the flow failed, anything else that the instance has answered.
#[test]
fn the_next_flow_is_asked_when_one_has_failed_and_only_then() {
    for (seed, status, next) in [(10, 430, 1), (20, 408, 1), (30, 486, 0), (40, 480, 0), (50, 503, 0)] {
        for mut w in [office(seed), bridged(seed + 1)] {
            let alice = w.registered("alice");
            let flows = [1, 2].map(|reg_id| flow(&mut w, &format!("flow{reg_id}"), reg_id, Transport::Udp));
            let call = w.call(alice, "bob");
            let leg = w.incoming(flows[1]);
            w.respond(leg, status);
            settle(&mut w);
            assert_eq!(asked(&w, &flows), [next, 1], "{status}");
            if next == 1 {
                let leg = w.incoming(flows[0]);
                w.accept(leg);
                w.up(call);
                w.hang_up(call);
            } else {
                w.over(call);
            }
            w.finish();
        }
    }
}

/// 7, 11.5: what is between us and a phone is no business of the caller: when no flow is left, it is 480.
#[test]
fn no_caller_sees_a_430_of_a_phone() {
    for mut w in [office(60), bridged(61)] {
        let alice = w.registered("alice");
        let flows = [1, 2].map(|reg_id| flow(&mut w, &format!("flow{reg_id}"), reg_id, Transport::Udp));
        let call = w.call(alice, "bob");
        for peer in [flows[1], flows[0]] {
            let leg = w.incoming(peer);
            w.respond(leg, 430);
            settle(&mut w);
        }
        w.expect_over(call, 480);
        assert_eq!(asked(&w, &flows), [1, 1]);
        w.finish();
    }
}

/// 3.3, 7: a NAT that has forgotten a flow says nothing: the next one is asked long before the caller gives up; an answer that
/// comes by the silent one after all still counts for nothing but its own end.
#[test]
fn a_silent_flow_is_passed_over() {
    for mut w in [office(62), bridged(63)] {
        let alice = w.registered("alice");
        let flows = [1, 2].map(|reg_id| flow(&mut w, &format!("flow{reg_id}"), reg_id, Transport::Udp));
        let dead = w.agents[flows[1].0].addr.ip();
        w.net.link(dead).cut = true;
        let call = w.call(alice, "bob");
        w.run(s(3));
        assert_eq!(asked(&w, &flows), [0, 0]);
        w.run(s(2));
        assert_eq!(asked(&w, &flows), [1, 0]);
        let leg = w.incoming(flows[0]);
        w.accept(leg);
        w.up(call);
        w.net.link(dead).cut = false;
        w.run(s(40));
        w.hang_up(call);
        w.expect_over(leg, 200);
        w.finish();
    }
}

/// 7: a connection that has closed makes its bindings useless at once; the phone is not connected to (it is behind a NAT).
#[test]
fn a_flow_that_has_closed_is_passed_over() {
    for mut w in [office(64), bridged(65)] {
        let alice = w.registered("alice");
        let flows = [1, 2].map(|reg_id| flow(&mut w, &format!("flow{reg_id}"), reg_id, Transport::Tcp));
        w.cut_stream(1);
        settle(&mut w);
        let begun = w.now;
        let call = w.call(alice, "bob");
        let leg = w.incoming(flows[0]);
        assert!(w.now.since(begun) < ms(500), "at once");
        w.accept(leg);
        w.up(call);
        w.hang_up(call);
        w.expect_over(leg, 200);
        settle(&mut w);
        // Both are gone: nobody connects to what may be anybody's.
        w.cut_stream(0);
        settle(&mut w);
        let streams = w.streams.list.len();
        let call = w.call(alice, "bob");
        w.expect_over(call, 480);
        assert_eq!(w.streams.list.len(), streams);
        w.finish();
    }
}

/// 7: requests that are no calls take the same way.
#[test]
fn a_message_goes_by_one_flow() {
    let mut w = office(66);
    let alice = w.registered("alice");
    let flows = [1, 2].map(|reg_id| flow(&mut w, &format!("flow{reg_id}"), reg_id, Transport::Udp));
    w.policy(flows[1]).loose = 430;
    w.policy(flows[0]).loose = 200;
    let message = tools::request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "one@alice");
    assert_eq!(w.ask(alice, message), 200);
    let got: Vec<usize> = flows.iter().map(|peer| requests(&w, *peer, "MESSAGE").len()).collect();
    assert_eq!(got, [1, 1]);
    w.finish();
}

/// The caller's own device does not ring, by none of its flows.
#[test]
fn ones_own_device_does_not_ring_by_another_flow() {
    for mut w in [office(67), bridged(68)] {
        let flows = [1, 2].map(|reg_id| flow(&mut w, &format!("flow{reg_id}"), reg_id, Transport::Udp));
        let desk = tools::phone(&mut w, "desk", "bob", "");
        let call = w.call(flows[0], "bob");
        let leg = w.incoming(desk);
        assert_eq!(asked(&w, &flows), [0, 0]);
        w.accept(leg);
        w.up(call);
        w.hang_up(call);
        w.finish();
    }
}

/// 5.3.1: a request within a dialog whose Route value of ours names a flow that exists no longer: 430. A phone that says by `ob`
/// that its flow is the way to it is not connected to (4.3).
#[test]
fn a_dialog_whose_flow_is_gone() {
    let mut w = office(69);
    let alice = w.registered("alice");
    let bob = w.device("tcp", "bob", Transport::Tcp);
    w.policy(bob).contact = Some("<sip:line1@192.168.1.2;transport=tcp;ob>".into());
    assert_eq!(w.register_with(bob, &["Supported: outbound", &contact("1")]), 200);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.request(a, "INFO", &[], None), 200);
    w.cut_stream(0);
    settle(&mut w);
    let streams = w.streams.list.len();
    assert_eq!(w.request(a, "INFO", &[], None), 430);
    assert_eq!(w.streams.list.len(), streams, "nobody was connected to");
    assert_eq!(statuses(&w, alice, "INFO"), [200, 430]);
    // The other way round: the phone comes by a new connection, and the route set that it has is as good as before.
    assert_eq!(w.request(b, "INFO", &[], None), 200);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// 5.3.2: a caller behind a NAT who says `ob` and not `rport` is reached by its flow in the dialog.
#[test]
fn a_caller_that_says_ob_is_reached_by_its_flow() {
    let mut w = office(70);
    let (alice, bob) = (w.phone("alice"), w.registered("bob"));
    w.nat(alice, "203.0.113.101");
    w.policy(alice).contact = Some("<sip:alice@192.168.1.9:5060;ob>".into());
    w.register(alice);
    let (a, b) = w.talk(alice, bob, "bob");
    assert_eq!(w.request(b, "INFO", &[], None), 200);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// 9.2 and 9.3 by an edge proxy: registered through it, called through it, by its flow token.
#[test]
fn an_edge_proxy_is_on_the_way_to_the_phone() {
    for mut w in [office(71), bridged(72)] {
        let alice = w.registered("alice");
        let edge = w.device("edge", "bob", Transport::Udp);
        let at = w.agents[edge.0].addr;
        let path = format!("Path: <sip:VskztcQ@{at};lr;ob>");
        assert_eq!(
            through(&mut w, edge, &["Supported: path, outbound", &contact("1"), &path]),
            200
        );
        by_hand(&mut w, edge);
        let call = w.call(alice, "bob");
        let leg = w.incoming(edge);
        let invite = w.last_received(edge, |m| m.is("INVITE"));
        assert_eq!(
            (invite.uri(), invite.text("Route")),
            (
                "sip:line1@192.168.1.2;transport=tcp",
                format!("<sip:VskztcQ@{at};lr;ob>").as_str()
            )
        );
        w.respond(leg, 430);
        w.expect_over(call, 480);
        w.finish();
    }
}
