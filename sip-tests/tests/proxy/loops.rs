//! Loops, spirals and breadth: RFC 3261 16.3 step 4, RFC 5393 4.2 and 5.

use crate::tools::{calling, office, phone, request, requests, settle, statuses, two};
use sip_tests::{Msg, Peer, World, ms};

/// What a peer received, sent back to us with its own Via in front: to another target where one is given.
fn send_back(w: &mut World, peer: Peer, received: &Msg, target: Option<&str>, branch: &str) {
    let mut again = received.clone();
    if let Some(target) = target {
        again.start = format!("{} {target} SIP/2.0", received.method());
    }
    let via = format!("SIP/2.0/UDP {};rport;branch=z9hG4bK{branch}", w.agents[peer.0].addr);
    again.headers.insert(0, ("Via".into(), via));
    let hops: u32 = again.text("Max-Forwards").parse().expect("a number");
    again.set("Max-Forwards", &(hops - 1).to_string());
    w.send_raw(peer, again.write().to_vec());
}

/// RFC 5393 4.2.2: the request comes back as it came first: 482, and nobody is asked again.
#[test]
fn a_loop_is_482() {
    let (mut w, alice, bob) = two(1);
    w.checks.complaints = false; // The peer that sends it on has no transaction for what comes back.
    let (a, b) = calling(&mut w, alice, bob, "bob");
    let invite = w.at(b).invite.clone();
    send_back(&mut w, bob, &invite, Some("sip:bob@example.com"), "loop");
    settle(&mut w);
    let answer = w.last_received(bob, |m| m.answers("INVITE", 482));
    assert_eq!(answer.branch(), "z9hG4bKloop");
    assert_eq!(requests(&w, bob, "INVITE").len(), 1);
    w.respond(b, 482);
    w.expect_over(a, 482);
    w.finish();
}

/// RFC 5393 4.2.2: it comes back with another target: a spiral, which goes on without new credentials, and is one call.
#[test]
fn a_spiral_passes_and_is_one_call() {
    let (mut w, alice, bob) = two(2);
    w.checks.complaints = false; // The peer that sends it on has no transaction for what comes back.
    let carol = w.registered("carol");
    let (a, b) = calling(&mut w, alice, bob, "bob");
    crate::tools::by_hand(&mut w, carol);
    let invite = w.at(b).invite.clone();
    send_back(&mut w, bob, &invite, Some("sip:carol@example.com"), "spiral");
    let c = w.incoming(carol);
    let via: Vec<String> = w.at(c).invite.all("Via").iter().map(|via| (*via).to_owned()).collect();
    assert_eq!(via.len(), 4, "alice, us, bob, us: {via:?}");
    w.respond(c, 180);
    settle(&mut w);
    let ringing = w.last_received(bob, |m| m.answers("INVITE", 180));
    assert_eq!(ringing.branch(), "z9hG4bKspiral");
    w.respond(c, 486);
    settle(&mut w);
    assert_eq!(w.received(bob, |m| m.answers("INVITE", 486)).len(), 1);
    send_ack(&mut w, bob, &invite, "spiral");
    w.respond(b, 486);
    w.expect_over(a, 486);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// Who is sent a request by a user is not that user: what comes back goes to users here, and to no other domain, by no other method.
#[test]
fn a_spiral_leads_to_no_other_domain() {
    let (mut w, alice, _) = two(21);
    w.checks.complaints = false; // The peer that sends it on has no transaction for what comes back.
    let (evil, third) = (
        w.stranger("evil", "203.0.113.9:5060"),
        w.stranger("third", "203.0.113.77:5060"),
    );
    w.policy(evil).answer = sip_tests::Answer::Manual;
    let a = w.call(alice, "sip:x@203.0.113.9");
    let leg = w.incoming(evil);
    let invite = w.at(leg).invite.clone();
    send_back(&mut w, evil, &invite, Some("sip:x@203.0.113.77"), "on");
    let mut message = invite.clone();
    message.start = "MESSAGE sip:x@203.0.113.77 SIP/2.0".into();
    message.set("CSeq", &format!("{} MESSAGE", invite.cseq().0));
    send_back(&mut w, evil, &message, None, "message");
    settle(&mut w);
    assert!(w.received(third, |_| true).is_empty(), "no open relay");
    assert!(!w.received(evil, |m| m.answers("INVITE", 403)).is_empty());
    w.respond(leg, 486);
    w.expect_over(a, 486);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

fn send_ack(w: &mut World, peer: Peer, invite: &Msg, branch: &str) {
    let response = w.last_received(peer, |m| m.branch() == format!("z9hG4bK{branch}"));
    let mut ack = Msg::request("ACK", invite.uri());
    ack.push(
        "Via",
        &format!("SIP/2.0/UDP {};rport;branch=z9hG4bK{branch}", w.agents[peer.0].addr),
    );
    for name in ["From", "To", "Call-ID"] {
        ack.push(name, response.text(name));
    }
    ack.push("CSeq", &format!("{} ACK", invite.cseq().0));
    w.send_raw(peer, ack.write().to_vec());
}

/// A Via that somebody copied from another request vouches for nothing: its sender is asked for credentials.
#[test]
fn a_via_of_ours_on_another_request_vouches_for_nothing() {
    let (mut w, alice, bob) = two(3);
    w.checks.complaints = false; // The peer that sends it on has no transaction for what comes back.
    let (a, b) = calling(&mut w, alice, bob, "bob");
    let ours = w.at(b).invite.all("Via")[0].to_owned();
    let mut forged = request(
        "MESSAGE",
        "sip:carol@example.com",
        "sip:alice@example.com",
        "forged@bob",
    );
    forged.push("Via", &ours);
    let via = format!("SIP/2.0/UDP {};rport;branch=z9hG4bKforged", w.agents[bob.0].addr);
    forged.headers.insert(0, ("Via".into(), via));
    w.send_raw(bob, forged.write().to_vec());
    settle(&mut w);
    assert_eq!(w.last_received(bob, |m| m.method() == "MESSAGE").status(), 407);
    w.respond(b, 486);
    w.expect_over(a, 486);
    w.finish();
}

/// RFC 5393 5.3.3: what came in is divided among the branches; without the field it is 60.
#[test]
fn max_breadth_is_divided() {
    for (seed, field, expected) in [
        (4, None, [20, 20, 20]),
        (5, Some("Max-Breadth: 7"), [3, 2, 2]),
        (6, Some("Max-Breadth: 999"), [20, 20, 20]),
    ] {
        let mut w = office(seed);
        let alice = w.registered("alice");
        let phones = ["one", "two", "three"].map(|name| phone(&mut w, name, "bob", ""));
        let call = w.call_with(alice, "bob", &field.into_iter().collect::<Vec<_>>());
        settle(&mut w);
        let got = phones.map(|peer| {
            w.last_received(peer, |m| m.is("INVITE"))
                .text("Max-Breadth")
                .parse::<u32>()
                .unwrap()
        });
        assert_eq!(got, expected, "{field:?}");
        w.hang_up(call);
        w.expect_over(call, 487);
        w.finish();
    }
}

/// RFC 5393 5.3.3: with less than one for each, the branches that are too many are asked after the others.
#[test]
fn a_breadth_of_one_forks_serially() {
    let mut w = office(7);
    let alice = w.registered("alice");
    let phones = ["one", "two"].map(|name| phone(&mut w, name, "bob", ""));
    let call = w.call_with(alice, "bob", &["Max-Breadth: 1"]);
    settle(&mut w);
    let asked = |w: &World| phones.map(|peer| requests(w, peer, "INVITE").len());
    assert_eq!(asked(&w), [1, 0]);
    let first = w.incoming(phones[0]);
    w.respond(first, 486);
    settle(&mut w);
    assert_eq!(asked(&w), [1, 1]);
    assert_eq!(w.last_received(phones[1], |m| m.is("INVITE")).text("Max-Breadth"), "1");
    let second = w.incoming(phones[1]);
    w.accept(second);
    w.up(call);
    w.run(ms(100));
    w.hang_up(call);
    w.finish();
    assert_eq!(statuses(&w, alice, "INVITE"), [200]);
}

/// A Via of ours vouches only as long as the request that it was put on waits for an answer, and never for a call to a trunk.
#[test]
fn a_via_of_ours_vouches_for_its_own_call_only() {
    let (mut w, alice, bob) = two(8);
    w.checks.complaints = false;
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (a, b) = calling(&mut w, alice, bob, "bob");
    let invite = w.at(b).invite.clone();
    send_back(&mut w, bob, &invite, Some("sip:+19005550100@example.com"), "toll");
    settle(&mut w);
    assert_eq!(w.last_received(bob, |m| m.branch() == "z9hG4bKtoll").status(), 403);
    w.accept(b);
    w.up(a);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.run(sip_tests::s(60));
    for (branch, target) in [
        ("late", "sip:carol@example.com"),
        ("later", "sip:+19005550100@example.com"),
    ] {
        send_back(&mut w, bob, &invite, Some(target), branch);
        settle(&mut w);
        let answer = w.last_received(bob, |m| m.branch() == format!("z9hG4bK{branch}"));
        assert_eq!(answer.status(), 407, "{target}");
    }
    assert!(requests(&w, acme, "INVITE").is_empty());
    w.finish();
}
