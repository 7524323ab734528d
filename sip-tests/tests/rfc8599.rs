//! RFC 8599 (push wake-up) in the simulated world, for users who are proxied and for users who are bridged. Each test names the
//! section that it is for.

#![allow(missing_docs)]

#[path = "proxy/tools.rs"]
#[allow(dead_code, reason = "the tests of the proxy use the rest of it")]
mod tools;

use sip_tests::hook::Says;
use sip_tests::{Peer, World, ms, s};
use tandem::id::Transport;
use tools::{OFFICE, by_hand, request, requests, settle, with};

const PUSH: &str =
    "push: { url: \"https://push.example.com/wake\", token: \"s3cret\", providers: [ apns, fcm ], wait: 8s }\n";

fn yaml(way: &str) -> String {
    OFFICE.replace("name: example.com, do: proxy", &format!("name: example.com{way}")) + PUSH
}

/// The office with a hook that wakes phones: proxied, and bridged.
fn both(seed: u64) -> [World; 2] {
    [with(seed, &yaml(", do: proxy")), with(seed + 1, &yaml(""))]
}

/// The Contact of bob's mobile phone.
fn contact(w: &World, peer: Peer, params: &str) -> String {
    let addr = w.agents[peer.0].addr;
    format!("Contact: <sip:bob@{addr};pn-provider=apns;pn-param=team.app;pn-prid=00fc13adff78512{params}>;expires=600")
}

/// bob's mobile phone: it sleeps from now on.
fn mobile(w: &mut World) -> Peer {
    let peer = w.device("mobile", "bob", Transport::Udp);
    let contact = contact(w, peer, "");
    assert_eq!(w.register_with(peer, &[&contact]), 200);
    by_hand(w, peer);
    peer
}

/// It has been woken, and registers as before.
fn wakes(w: &mut World, peer: Peer) {
    let contact = contact(w, peer, "");
    assert_eq!(w.register_with(peer, &[&contact]), 200);
}

fn asked(w: &World, peer: Peer) -> usize {
    requests(w, peer, "INVITE").len()
}

/// 5.6.2: the URL is told, the call waits for the phone's REGISTER, and then goes to it.
#[test]
fn a_call_waits_for_the_phone_to_wake() {
    for mut w in both(1) {
        let alice = w.registered("alice");
        let bob = mobile(&mut w);
        let call = w.call(alice, "bob");
        w.run(s(3));
        assert_eq!((asked(&w, bob), w.hook.told.len()), (0, 1));
        for (name, value) in [
            ("reason", "call"),
            ("aor", "sip:bob@example.com"),
            ("pn-provider", "apns"),
            ("pn-prid", "00fc13adff78512"),
            ("pn-param", "team.app"),
        ] {
            assert_eq!(w.hook.field(0, name).as_deref(), Some(value));
        }
        assert_eq!(w.hook.field(0, "call-id").as_deref(), Some(w.at(call).call_id.as_str()));
        let post = &w.hook.told[0];
        assert_eq!(
            (
                post.url.host.to_string().as_str(),
                post.url.port,
                post.url.path.as_str()
            ),
            ("push.example.com", 443, "/wake")
        );
        assert_eq!(post.token.as_ref().map(|token| token.expose()), Some("s3cret"));
        wakes(&mut w, bob);
        let leg = w.incoming(bob);
        w.accept(leg);
        w.up(call);
        assert_eq!((asked(&w, bob), w.hook.told.len()), (1, 1));
        w.hang_up(call);
        w.expect_over(leg, 200);
        w.finish();
    }
}

/// 5.6.2: the phone comes back from elsewhere, by another flow and another contact: its device is the same.
#[test]
fn a_phone_that_wakes_elsewhere_is_called_there() {
    for mut w in both(3) {
        let alice = w.registered("alice");
        let [old, new] = ["wifi", "mobile"].map(|name| w.device(name, "bob", Transport::Udp));
        let urn = ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"";
        let line = contact(&w, old, "") + urn;
        assert_eq!(w.register_with(old, &[&line]), 200);
        by_hand(&mut w, new);
        let call = w.call(alice, "bob");
        w.run(s(1));
        // The service has given it another name meanwhile (4.1.3).
        let line = contact(&w, new, "").replace("00fc13adff78512", "11aa") + urn;
        assert_eq!(w.register_with(new, &[&line, "Call-ID: anew@bob"]), 200);
        let leg = w.incoming(new);
        assert_eq!(asked(&w, old), 0);
        w.accept(leg);
        w.up(call);
        w.hang_up(call);
        w.finish();
    }
}

/// 5.6.2: other phones of the user ring meanwhile, and may have the call; a phone that comes too late is not called.
#[test]
fn others_ring_meanwhile() {
    for mut w in both(5) {
        let alice = w.registered("alice");
        let (bob, desk) = (mobile(&mut w), tools::phone(&mut w, "desk", "bob", ""));
        let call = w.call(alice, "bob");
        let leg = w.incoming(desk);
        w.run(s(1));
        w.accept(leg);
        w.up(call);
        w.run(s(1));
        wakes(&mut w, bob);
        w.run(s(10));
        assert_eq!(asked(&w, bob), 0);
        w.hang_up(call);
        w.finish();
    }
}

/// 5.6.2: the URL says no, nothing at all, or the phone does not come: 480, and other phones are not disturbed.
#[test]
fn a_phone_that_does_not_wake() {
    for (seed, says, longest) in [
        (7, Says::No(ms(20)), s(1)),
        (9, Says::Silence, s(6)),
        (11, Says::Yes(ms(20)), s(9)),
    ] {
        for mut w in both(seed) {
            let alice = w.registered("alice");
            let bob = mobile(&mut w);
            w.hook.says = says;
            let begun = w.now;
            let call = w.call(alice, "bob");
            w.expect_over(call, 480);
            assert!(w.now.since(begun) <= longest, "{says:?}: {:?}", w.now.since(begun));
            assert_eq!(asked(&w, bob), 0);
            let desk = tools::phone(&mut w, "desk", "bob", "");
            let call = w.call(alice, "bob");
            let leg = w.incoming(desk);
            w.run(s(10));
            w.accept(leg);
            w.up(call);
            w.hang_up(call);
            w.finish();
        }
    }
}

/// The caller gives up while the phone is being woken: nothing is sent to it when it comes.
#[test]
fn a_caller_who_gives_up_meanwhile() {
    for mut w in both(13) {
        let alice = w.registered("alice");
        let bob = mobile(&mut w);
        let call = w.call(alice, "bob");
        w.run(s(2));
        w.hang_up(call);
        w.expect_over(call, 487);
        wakes(&mut w, bob);
        w.run(s(2));
        assert_eq!(asked(&w, bob), 0);
        w.finish();
    }
}

/// 5.2: two calls for one phone wake it once, and both reach it.
#[test]
fn two_calls_wake_a_phone_once() {
    for mut w in both(15) {
        let (alice, carol) = (w.registered("alice"), w.registered("carol"));
        let bob = mobile(&mut w);
        let calls = [alice, carol].map(|from| w.call(from, "bob"));
        w.run(s(2));
        wakes(&mut w, bob);
        settle(&mut w);
        assert_eq!((asked(&w, bob), w.hook.told.len()), (2, 1));
        for call in calls {
            w.hang_up(call);
            w.expect_over(call, 487);
        }
        w.finish();
    }
}

/// 5.6.1.1, 5.6.1.2, 5.4: what a phone is promised, and what is refused.
#[test]
fn what_a_phone_is_promised() {
    let mut w = with(17, &yaml(", do: proxy"));
    let bob = w.device("mobile", "bob", Transport::Udp);
    let addr = w.agents[bob.0].addr;
    for (nth, (params, after, lines, status, promised)) in [
        (";pn-provider=fcm;pn-prid=x", "", "", 200, &["*;+sip.pns=\"fcm\""][..]),
        (";pn-provider=FCM", "", "", 200, &["*;+sip.pns=\"fcm\""]),
        (
            ";pn-provider",
            "",
            "",
            200,
            &["*;+sip.pns=\"apns\"", "*;+sip.pns=\"fcm\""],
        ),
        (
            ";pn-provider=apns;pn-prid=x",
            ";+sip.pnsreg",
            "",
            200,
            &["*;+sip.pns=\"apns\";+sip.pnsreg=\"121\""],
        ),
        (";pn-provider=acme;pn-prid=x", "", "", 555, &[]),
        (";pn-provider=acme;pn-prid=x", ";expires=0", "", 200, &[]),
        (
            ";pn-provider=acme;pn-prid=x",
            "",
            "Feature-Caps: *;+sip.pns=\"acme\"",
            200,
            &[],
        ),
        (
            ";pn-provider=apns;pn-prid=x",
            "",
            "Feature-Caps: *;+sip.pns=\"apns\"",
            200,
            &[],
        ),
        (";pn-provider=apns;pn-prid=x", ";expires=240", "", 423, &[]),
        ("", ";expires=240", "", 200, &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let contact = format!("Contact: <sip:bob@{addr}{params}>{after}");
        let call_id = format!("Call-ID: {nth}@mobile");
        let mut all = vec![contact.as_str(), &call_id];
        all.extend((!lines.is_empty()).then_some(lines));
        assert_eq!(w.register_with(bob, &all), status, "{contact} {lines}");
        let answer = w.last_received(bob, |m| m.status() == status && m.method() == "REGISTER");
        let caps: Vec<&str> = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "Feature-Caps")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(caps, promised, "{contact} {lines}");
    }
    assert_eq!(w.last_received(bob, |m| m.status() == 423).text("Min-Expires"), "300");
    w.register_with(bob, &["Contact: *", "Expires: 0"]);
    w.finish();
}

/// A node that wakes nobody promises nothing, and calls such a phone as any other.
#[test]
fn without_a_url_nobody_is_woken() {
    let mut w = with(18, OFFICE);
    let alice = w.registered("alice");
    let bob = mobile(&mut w);
    let ok = w.last_received(bob, |m| m.answers("REGISTER", 200));
    assert_eq!(ok.get("Feature-Caps"), None);
    let call = w.call(alice, "bob");
    let leg = w.incoming(bob);
    w.accept(leg);
    w.up(call);
    w.hang_up(call);
    w.finish();
    assert!(w.hook.told.is_empty());
}

/// Requests that are no calls do not wait: they would fail late (5.6.2, RFC 4320), and one within a dialog finds its phone awake.
#[test]
fn only_calls_wake_a_phone() {
    let mut w = with(19, &yaml(", do: proxy"));
    let alice = w.registered("alice");
    let bob = mobile(&mut w);
    w.policy(bob).loose = 200;
    let message = request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "m@alice");
    assert_eq!(w.ask(alice, message), 200);
    assert!(w.hook.told.is_empty());
    leaves(&mut w, bob);
    w.finish();
}

fn leaves(w: &mut World, peer: Peer) {
    assert_eq!(w.register_with(peer, &["Contact: *", "Expires: 0"]), 200);
}

/// 5.5: two minutes before its registration ends a phone is woken to refresh it; after a restart of the node, too. One that does not
/// come is not woken again.
#[test]
fn a_phone_is_woken_before_its_registration_ends() {
    for (seed, restarts) in [(20, false), (21, true)] {
        let mut w = with(seed, &yaml(", do: proxy"));
        let bob = mobile(&mut w);
        w.run(s(300));
        if restarts {
            w.restart();
        }
        w.run(s(170));
        assert!(w.hook.told.is_empty());
        w.run(s(15));
        assert_eq!(w.hook.told.len(), 1);
        assert_eq!(w.hook.field(0, "reason").as_deref(), Some("refresh"));
        assert_eq!(
            (w.hook.field(0, "pn-prid").as_deref(), w.hook.field(0, "call-id")),
            (Some("00fc13adff78512"), None)
        );
        wakes(&mut w, bob);
        w.run(s(470));
        assert_eq!(w.hook.told.len(), 1);
        w.run(s(15));
        assert_eq!(w.hook.told.len(), 2);
        w.run(s(600));
        assert_eq!(w.hook.told.len(), 2);
        w.finish();
    }
}

/// 13: nobody else sees the parameters: not the caller, in no response and no request.
#[test]
fn the_parameters_reach_nobody_else() {
    for mut w in both(22) {
        let alice = w.registered("alice");
        let bob = mobile(&mut w);
        let call = w.call(alice, "bob");
        w.run(s(1));
        wakes(&mut w, bob);
        let leg = w.incoming(bob);
        w.respond(leg, 180);
        w.accept(leg);
        w.up(call);
        w.hang_up(leg);
        w.expect_over(call, 200);
        let seen = w.received(alice, |_| true);
        assert!(
            seen.iter()
                .all(|(_, m)| !String::from_utf8_lossy(&m.write()).contains("pn-prid"))
        );
        leaves(&mut w, bob);
        w.finish();
    }
}
