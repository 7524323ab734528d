//! RFC 5627 (GRUU) in the simulated world, for users who are proxied and for users who are bridged. Each test names the section that
//! it is for.

#![allow(missing_docs)]

#[path = "proxy/tools.rs"]
#[allow(dead_code, reason = "the tests of the proxy use the rest of it")]
mod tools;

use sip_tests::{Peer, State, World, ms, s};
use tandem::id::Transport;
use tools::{OFFICE, by_hand, office, request, requests, settle, with};

/// The office where users are bridged.
fn bridged(seed: u64) -> World {
    with(
        seed,
        &OFFICE.replace("name: example.com, do: proxy", "name: example.com"),
    )
}

/// Another phone of a user, by hand: a device that supports GRUUs.
fn device(w: &mut World, name: &str, user: &str, transport: Transport) -> Peer {
    let peer = w.device(name, user, transport);
    assert_eq!(registers(w, peer, user, &[]), 200);
    by_hand(w, peer);
    peer
}

fn instance(w: &World, peer: Peer) -> String {
    format!(
        "urn:uuid:f81d4fae-7dec-11d0-a765-{:012}",
        peer.0 + w.seed as usize * 1000
    )
}

fn registers(w: &mut World, peer: Peer, user: &str, lines: &[&str]) -> u16 {
    let (addr, instance) = (w.agents[peer.0].addr, instance(w, peer));
    let transport = if matches!(w.agents[peer.0].server, sip_tests::agent::Wire::Tcp(_)) {
        ";transport=tcp"
    } else {
        ""
    };
    let contact = format!("Contact: <sip:{user}@{addr}{transport}>;expires=600;+sip.instance=\"<{instance}>\"");
    w.register_with(peer, &[&["Supported: gruu", contact.as_str()], lines].concat())
}

/// The public and the temporary GRUU that a device was given last.
fn gruus(w: &World, peer: Peer) -> (String, String) {
    let ok = w.last_received(peer, |m| m.answers("REGISTER", 200));
    let instance = instance(w, peer);
    let own = ok
        .all("Contact")
        .into_iter()
        .find(|contact| contact.contains(&instance))
        .unwrap_or_default();
    let quoted = |name: &str| {
        let rest = own.split_once(&format!(";{name}=\"")).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    (quoted("pub-gruu"), quoted("temp-gruu"))
}

/// 5.1, 5.2: who supports GRUUs and has an instance is given a public one, which stays, and another temporary one each time.
#[test]
fn a_device_is_given_gruus() {
    let mut w = office(1);
    let bob = device(&mut w, "cell", "bob", Transport::Udp);
    let (public, first) = gruus(&w, bob);
    assert_eq!(public, format!("sip:bob@example.com;gr={}", instance(&w, bob)));
    assert!(
        first.starts_with("sip:tg-") && first.ends_with("@example.com;gr"),
        "{first}"
    );
    assert!(!first.contains("bob"), "it says nothing of whose it is");
    assert_eq!(registers(&mut w, bob, "bob", &[]), 200);
    let (same, second) = gruus(&w, bob);
    assert!(same == public && second != first);
    let ok = w.last_received(bob, |m| m.answers("REGISTER", 200));
    assert!(ok.get("Require").is_none() && ok.get("Supported").is_none(), "5.2");
    assert_eq!(w.register_with(bob, &["Require: gruu"]), 200, "5.1");
    // Who does not ask for them is told none.
    assert_eq!(w.register_with(bob, &[]), 200);
    let ok = w.last_received(bob, |m| m.answers("REGISTER", 200));
    assert!(!ok.text("Contact").contains("gruu"), "{}", ok.text("Contact"));
    w.finish();
}

/// 5.1: contacts that would lead back.
#[test]
fn contacts_that_lead_back_are_refused() {
    let mut w = office(2);
    let bob = device(&mut w, "cell", "bob", Transport::Udp);
    let (public, temporary) = gruus(&w, bob);
    for contact in ["sip:bob@example.com", &public, &temporary] {
        let contact = format!("Contact: <{contact}>;+sip.instance=\"<urn:x:1>\"");
        assert_eq!(w.register_with(bob, &["Supported: gruu", &contact]), 403, "{contact}");
        assert_eq!(
            w.register_with(bob, &[&contact]),
            403,
            "{contact}, of one that asks for none"
        );
        assert_eq!(w.register_with(bob, &[&format!("{contact};expires=0")]), 200);
    }
    let mail = "Contact: <mailto:bob@example.com>";
    assert_eq!(
        w.register_with(bob, &[&format!("{mail};+sip.instance=\"<urn:x:1>\"")]),
        403
    );
    assert_eq!(w.register_with(bob, &[mail]), 200, "RFC 3665 2.2");
    w.finish();
}

/// 6.1: a call for a GRUU rings that device and no other, with its contact as Request-URI.
#[test]
fn a_gruu_leads_to_one_device() {
    for mut w in [office(3), bridged(4)] {
        let alice = w.registered("alice");
        let phones = ["cell", "desk"].map(|name| device(&mut w, name, "bob", Transport::Udp));
        let (public, temporary) = gruus(&w, phones[1]);
        for uri in [public, temporary] {
            let before = phones.map(|peer| requests(&w, peer, "INVITE").len());
            let call = w.call(alice, &uri);
            let leg = w.incoming(phones[1]);
            let after = phones.map(|peer| requests(&w, peer, "INVITE").len());
            assert_eq!((after[0], after[1]), (before[0], before[1] + 1), "{uri}");
            let invite = w.last_received(phones[1], |m| m.is("INVITE"));
            assert_eq!(invite.uri(), format!("sip:bob@{}", w.agents[phones[1].0].addr));
            w.accept(leg);
            w.up(call);
            w.hang_up(call);
            w.expect_over(leg, 200);
            settle(&mut w);
        }
        w.finish();
    }
}

/// 6.1, RFC 3261 16.5: one device of a user redirects to another, which is a target of its own.
#[test]
fn a_device_redirects_to_another() {
    let mut w = office(31);
    let alice = w.registered("alice");
    let phones = ["cell", "desk"].map(|name| device(&mut w, name, "bob", Transport::Udp));
    let [cell, desk] = phones.map(|peer| gruus(&w, peer).0);
    let call = w.call(alice, &desk);
    let leg = w.incoming(phones[1]);
    let contact = format!("Contact: <{cell}>");
    w.on(leg, |agent, cx, call| agent.respond(cx, call, 302, false, &[&contact]));
    let leg = w.incoming(phones[0]);
    w.accept(leg);
    w.up(call);
    w.hang_up(call);
    w.expect_over(leg, 200);
    w.finish();
}

/// 6.1: and so does a request that is no call.
#[test]
fn a_message_for_a_gruu() {
    let mut w = office(5);
    let alice = w.registered("alice");
    let phones = ["cell", "desk"].map(|name| device(&mut w, name, "bob", Transport::Udp));
    phones.iter().for_each(|peer| w.policy(*peer).loose = 200);
    let (public, temporary) = gruus(&w, phones[0]);
    for (n, uri) in [public, temporary].iter().enumerate() {
        let message = request("MESSAGE", uri, "sip:alice@example.com", &format!("m{n}@alice"));
        assert_eq!(w.ask(alice, message), 200, "{uri}");
    }
    assert_eq!(phones.map(|peer| requests(&w, peer, "MESSAGE").len()), [2, 0]);
    w.finish();
}

/// 5.1: another Call-ID makes all temporary GRUUs bad that were given before (404), and the public one stays.
#[test]
fn another_call_id_ends_temporary_gruus() {
    for mut w in [office(6), bridged(7)] {
        let alice = w.registered("alice");
        let bob = device(&mut w, "cell", "bob", Transport::Udp);
        let (public, first) = gruus(&w, bob);
        assert_eq!(registers(&mut w, bob, "bob", &[]), 200);
        let (_, second) = gruus(&w, bob);
        for uri in [&first, &second, &public] {
            let call = w.call(alice, uri);
            let leg = w.incoming(bob);
            w.respond(leg, 486);
            w.expect_over(call, 486);
        }
        assert_eq!(registers(&mut w, bob, "bob", &["Call-ID: anew@bob"]), 200);
        let (_, third) = gruus(&w, bob);
        for uri in [&first, &second] {
            let call = w.call(alice, uri);
            w.expect_over(call, 404);
        }
        let call = w.call(alice, &third);
        let leg = w.incoming(bob);
        w.respond(leg, 486);
        w.expect_over(call, 486);
        w.finish();
    }
}

/// 5.3, 6.1: a device that is not registered: 480 by its public GRUU, 404 by a temporary one; who is nobody's: 404. Nobody else of the
/// user rings, and the call goes nowhere else.
#[test]
fn gruus_of_devices_that_are_gone() {
    for mut w in [office(8), bridged(9)] {
        let (alice, desk) = (w.registered("alice"), device(&mut w, "desk", "dave", Transport::Udp));
        let gone = device(&mut w, "cell", "dave", Transport::Udp);
        let (public, temporary) = gruus(&w, gone);
        assert_eq!(registers(&mut w, gone, "dave", &["Expires: 600"]), 200);
        let contact = format!("Contact: <sip:dave@{}>;expires=0", w.agents[gone.0].addr);
        assert_eq!(w.register_with(gone, &[&contact]), 200);
        for (uri, status) in [
            (public.as_str(), 480),
            (&temporary, 404),
            ("sip:nobody@example.com;gr=urn:x:1", 404),
            ("sip:tg-0011@example.com;gr", 404),
        ] {
            let call = w.call(alice, uri);
            w.expect_over(call, status);
        }
        assert!(
            requests(&w, desk, "INVITE").is_empty(),
            "on_offline and the others are not for a GRUU"
        );
        assert_eq!(registers(&mut w, gone, "dave", &[]), 200);
        let (same, _) = gruus(&w, gone);
        assert_eq!(same, public, "5.4: it comes back with the device");
        w.finish();
    }
}

/// 5.4: a temporary GRUU is good until it is made bad: a restart of the node does not.
#[test]
fn gruus_outlive_the_node() {
    for mut w in [office(19), bridged(20)] {
        let alice = w.registered("alice");
        let bob = device(&mut w, "cell", "bob", Transport::Udp);
        let (public, temporary) = gruus(&w, bob);
        w.restart();
        for uri in [public, temporary] {
            let call = w.call(alice, &uri);
            let leg = w.incoming(bob);
            w.respond(leg, 486);
            w.expect_over(call, 486);
        }
        w.finish();
    }
}

/// 6.1: what is for one device is not sent on when that is busy.
#[test]
fn a_call_for_a_gruu_is_not_sent_on() {
    for mut w in [office(10), bridged(11)] {
        let (alice, carol) = (w.registered("alice"), w.registered("carol"));
        let dave = device(&mut w, "cell", "dave", Transport::Udp);
        let (public, _) = gruus(&w, dave);
        let call = w.call(alice, &public);
        let leg = w.incoming(dave);
        w.respond(leg, 486);
        w.expect_over(call, 486);
        assert!(requests(&w, carol, "INVITE").is_empty());
        w.finish();
    }
}

/// A request in a dialog of a call, to a phone that gave its GRUU as its Contact.
fn calls_with_gruus(w: &mut World, alice: Peer, bob: Peer) {
    for peer in [alice, bob] {
        let (public, _) = gruus(w, peer);
        w.policy(peer).contact = Some(format!("<{public}>"));
    }
}

/// 6.1: a GRUU as Contact is the target of requests in the dialog: they come with the phone's contact as Request-URI.
#[test]
fn a_gruu_is_the_target_of_a_dialog() {
    for mut w in [office(12), bridged(13)] {
        let alice = device(&mut w, "a", "alice", Transport::Udp);
        let bob = device(&mut w, "b", "bob", Transport::Udp);
        calls_with_gruus(&mut w, alice, bob);
        let call = w.call(alice, "bob");
        let leg = w.incoming(bob);
        w.accept(leg);
        w.up(call);
        settle(&mut w);
        assert_eq!(w.hold(call, "sendonly"), 200);
        settle(&mut w);
        assert_eq!(w.hold(leg, "inactive"), 200);
        settle(&mut w);
        w.hang_up(leg);
        w.expect_over(call, 200);
        settle(&mut w);
        for (peer, user) in [(alice, "alice"), (bob, "bob")] {
            let own = format!("sip:{user}@{}", w.agents[peer.0].addr);
            let in_dialog = w.received(peer, |m| m.is_request() && !m.to_tag().is_empty());
            assert!(in_dialog.len() >= 2, "{user}");
            for (_, message) in in_dialog {
                assert_eq!(message.uri(), own, "{}", message.start);
            }
        }
        w.finish();
    }
}

/// RFC 5626 4.5 with GRUUs: the connection breaks in the middle of a call; the phone registers by a new one, and there the call
/// goes on.
#[test]
fn a_call_follows_its_phone_to_a_new_connection() {
    for mut w in [office(14), bridged(15)] {
        let alice = device(&mut w, "a", "alice", Transport::Udp);
        let bob = device(&mut w, "b", "bob", Transport::Tcp);
        calls_with_gruus(&mut w, alice, bob);
        let call = w.call(alice, "bob");
        let leg = w.incoming(bob);
        w.accept(leg);
        w.up(call);
        settle(&mut w);
        w.cut_stream(0);
        settle(&mut w);
        assert_eq!(registers(&mut w, bob, "bob", &[]), 200);
        w.hang_up(call);
        w.run(s(1));
        assert_eq!(w.state(leg), State::Ended(200), "seed {}", w.seed);
        let bye = w.last_received(bob, |m| m.is("BYE"));
        assert!(bye.uri().starts_with("sip:bob@203."), "{}", bye.uri());
        w.finish();
    }
}

/// The same for a phone without GRUUs that listens nowhere: by its Contact.
#[test]
fn a_call_follows_a_phone_that_is_known_by_its_contact() {
    let mut w = bridged(16);
    let alice = w.registered("alice");
    let bob = w.tcp_phone("bob");
    w.policy(bob).contact = Some("<sip:x7k2@df7jal23ls0d.invalid;transport=tcp>".into());
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    w.cut_stream(0);
    settle(&mut w);
    w.register(bob);
    w.hang_up(a);
    w.run(s(1));
    assert_eq!(w.state(b), State::Ended(200));
    w.finish();
}

/// 6.1: a request with a To tag for a GRUU, of a dialog that was not set up through us: its sender is asked who he is, as of any
/// request for our users.
#[test]
fn a_dialog_of_elsewhere_reaches_a_gruu() {
    let mut w = office(17);
    let alice = w.registered("alice");
    let bob = device(&mut w, "cell", "bob", Transport::Udp);
    w.policy(bob).loose = 200;
    let (public, _) = gruus(&w, bob);
    let within = |call_id: &str| {
        let mut info = request("INFO", &public, "sip:alice@example.com", call_id);
        info.set("To", "<sip:bob@example.com>;tag=theirs");
        info
    };
    assert_eq!(w.ask(alice, within("elsewhere@alice")), 200);
    // Without an instance it means no device, and a request within a dialog is not for all of them.
    let mut all = request("INFO", "sip:bob@example.com;gr", "sip:alice@example.com", "all@alice");
    all.set("To", "<sip:bob@example.com>;tag=theirs");
    assert_eq!(w.ask(alice, all), 481);
    let stranger = w.stranger("stranger", "203.0.113.66:5060");
    let mut info = within("elsewhere@stranger");
    info.set("From", "<sip:x@elsewhere.example>;tag=1");
    assert_eq!(w.ask(stranger, info), 408, "not answered");
    assert_eq!(requests(&w, bob, "INFO").len(), 1);
    w.finish();
}

/// RFC 3515: a blind transfer to a GRUU rings that device.
#[test]
fn a_transfer_to_a_gruu() {
    let mut w = bridged(18);
    let (alice, carol) = (w.registered("alice"), w.registered("carol"));
    let phones = ["cell", "desk"].map(|name| device(&mut w, name, "bob", Transport::Udp));
    let (public, _) = gruus(&w, phones[1]);
    let (a, _) = w.talk(alice, carol, "carol");
    let refer = format!("Refer-To: <{public}>");
    assert_eq!(w.request(a, "REFER", &[&refer], None), 202);
    let leg = w.incoming(phones[1]);
    assert!(requests(&w, phones[0], "INVITE").is_empty());
    w.accept(leg);
    w.run(ms(500));
    w.hang_up(leg);
    w.run(s(2));
    w.finish();
}
