//! Every method, known or not: RFC 3261 16.1 (a proxy does not need to understand a method), RFC 3428, 6665, 3903, 6086.

use crate::tools::{office, phone, request, requests, settle, two};
use sip_tests::{Msg, s};

/// MESSAGE, SUBSCRIBE, PUBLISH, INFO, NOTIFY and what nobody has heard of: to the user's phones, and the answer back; no call.
#[test]
fn methods_that_nobody_has_heard_of() {
    let (mut w, alice, bob) = two(1);
    w.policy(bob).loose = 202;
    w.checks.oracle = false; // rsip knows a closed list of methods.
    for method in [
        "MESSAGE",
        "SUBSCRIBE",
        "PUBLISH",
        "INFO",
        "NOTIFY",
        "REFER",
        "FROBNICATE",
        "x.y-Z!",
    ] {
        let ask = request(
            method,
            "sip:bob@example.com",
            "sip:alice@example.com",
            &format!("{method}@alice"),
        )
        .with("Contact", "<sip:alice@203.0.0.10>")
        .with("Event", "odd")
        .with("Content-Type", "text/plain");
        let ask = Msg {
            body: "hello".into(),
            ..ask
        };
        assert_eq!(w.ask(alice, ask), 202, "{method}");
        let got = requests(&w, bob, method);
        assert_eq!((got.len(), got[0].1.body.as_str()), (1, "hello"), "{method}");
        let stays = ["SUBSCRIBE", "NOTIFY", "REFER", "FROBNICATE", "x.y-Z!"].contains(&method);
        assert_eq!(
            got[0].1.get("Record-Route").is_some(),
            stays,
            "{method}: what may make a dialog is routed through us"
        );
    }
    w.finish();
    assert!(w.records.by_call.is_empty());
}

/// The same between users whose calls are bridged: there is nobody else who could serve these.
#[test]
fn a_bridged_domain_proxies_what_is_no_call() {
    let mut w = office(2);
    let (alice, erin) = (w.registered("alice"), w.registered("erin"));
    w.policy(alice).loose = 200;
    let ask = request("MESSAGE", "sip:alice@example.com", "sip:erin@example.org", "m@erin");
    assert_eq!(w.ask(erin, ask), 200);
    assert_eq!(requests(&w, alice, "MESSAGE").len(), 1);
    w.finish();
}

/// RFC 6665 4.4: a subscription's dialog goes through us by Route alone; NOTIFY finds its subscriber, and a new SUBSCRIBE the notifier.
#[test]
fn a_subscription_by_route_alone() {
    let (mut w, alice, bob) = two(3);
    w.policy(bob).loose = 200;
    w.policy(alice).loose = 200;
    let ask = request("SUBSCRIBE", "sip:bob@example.com", "sip:alice@example.com", "sub@alice")
        .with("Contact", "<sip:alice@203.0.0.10:5060>")
        .with("Event", "presence");
    assert_eq!(w.ask(alice, ask), 200);
    let got = w.last_received(bob, |m| m.is("SUBSCRIBE"));
    let mut notify = Msg::request("NOTIFY", "sip:alice@203.0.0.10:5060");
    for route in got.all("Record-Route") {
        notify.push("Route", route);
    }
    let notify = notify
        .with("Max-Forwards", "70")
        .with("From", &format!("{};tag=none", got.text("To")))
        .with("To", got.text("From"))
        .with("Call-ID", got.call_id())
        .with("CSeq", "7 NOTIFY")
        .with("Event", "presence")
        .with("Subscription-State", "active");
    assert_eq!(w.ask(bob, notify), 200);
    let told = w.last_received(alice, |m| m.is("NOTIFY"));
    assert!(told.get("Route").is_none());
    // 4.3: the NOTIFY may make the dialog (of another fork, or before the 200), so that we stay on its way, too.
    assert_eq!(told.all("Record-Route"), got.all("Record-Route"));
    w.finish();
}

/// 16.7: a MESSAGE to several phones: the first 2xx is the answer, and nobody is cancelled (9.1).
#[test]
fn a_message_to_several_phones() {
    let mut w = office(4);
    let alice = w.registered("alice");
    let phones = ["one", "two"].map(|name| phone(&mut w, name, "bob", ""));
    phones.iter().for_each(|peer| w.policy(*peer).loose = 200);
    let ask = request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "many@alice");
    assert_eq!(w.ask(alice, ask), 200);
    settle(&mut w);
    for peer in phones {
        assert_eq!(
            (requests(&w, peer, "MESSAGE").len(), requests(&w, peer, "CANCEL").len()),
            (1, 0)
        );
    }
    assert_eq!(w.received(alice, |m| m.answers("MESSAGE", 200)).len(), 1);
    w.finish();
}

/// A user without a phone is 480, a name that nobody has 404, and so is what the dial plan would send to a trunk not served.
#[test]
fn users_without_phones_and_names_without_users() {
    let (mut w, alice, _) = two(5);
    for (uri, status) in [
        ("sip:carol@example.com", 480),
        ("sip:nobody@example.com", 404),
        ("sip:+442079460000@example.com", 405),
        ("sip:600@example.com", 405),
        ("sip:example.com", 405),
    ] {
        let ask = request("MESSAGE", uri, "sip:alice@example.com", &format!("{uri}@alice"));
        assert_eq!(w.ask(alice, ask), status, "{uri}");
    }
    w.finish();
}

/// A trunk's MESSAGE to a user's number is taken as its calls are.
#[test]
fn a_message_from_a_trunk() {
    let mut w = office(6);
    let bob = w.registered("bob");
    w.policy(bob).loose = 200;
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let ask = request(
        "MESSAGE",
        "sip:+14155550102@example.com",
        "sip:+12125550100@carrier.example",
        "sms@acme",
    );
    assert_eq!(w.ask(acme, ask), 200);
    assert_eq!(requests(&w, bob, "MESSAGE").len(), 1);
    w.run(s(1));
    w.finish();
}
