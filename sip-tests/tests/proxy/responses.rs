//! Responses: RFC 3261 16.5 and 16.7 step 4 (redirection), step 7 (challenges), RFC 6026 7.3 (stray responses), RFC 4320.

use crate::tools::{calling, office, phone, request, requests, settle, statuses, two};
use sip_tests::{CallRef, World, ms, s};

fn respond_with(w: &mut World, call: CallRef, status: u16, lines: &[&str]) {
    w.on(call, |agent, cx, call| agent.respond(cx, call, status, false, lines));
}

/// 16.5: a redirection to a user of ours is followed here, and the caller sees nothing of it.
#[test]
fn a_redirection_is_followed() {
    let (mut w, alice, bob) = two(1);
    let carol = w.registered("carol");
    let (a, b) = calling(&mut w, alice, bob, "bob");
    respond_with(&mut w, b, 302, &["Contact: <sip:carol@example.com>"]);
    w.up(a);
    assert_eq!(requests(&w, carol, "INVITE").len(), 1);
    assert_eq!(statuses(&w, alice, "INVITE"), [180, 200]);
    w.hang_up(a);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// 16.5: contacts by their preference, each once; after a circle of redirections nothing is left that the caller should try (16.7
/// step 4), and no response (step 6).
#[test]
fn redirections_in_a_circle_end() {
    let (mut w, alice, bob) = two(2);
    let carol = w.registered("carol");
    crate::tools::by_hand(&mut w, carol);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    respond_with(
        &mut w,
        b,
        302,
        &["Contact: <sip:bob@example.com>;q=0.2, <sip:carol@example.com>;q=0.9"],
    );
    let c = w.incoming(carol);
    respond_with(&mut w, c, 302, &["Contact: <sip:bob@example.com>"]);
    w.expect_over(a, 408);
    assert_eq!(
        (requests(&w, bob, "INVITE").len(), requests(&w, carol, "INVITE").len()),
        (1, 1)
    );
    w.finish();
}

/// 16.7 step 4: what is not followed of a redirection goes back, if nobody answers, without what is: that was tried already.
#[test]
fn a_redirection_is_followed_in_part() {
    let mut w = office(8);
    let (bob, carol) = (w.registered("bob"), w.registered("carol"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    crate::tools::by_hand(&mut w, carol);
    let (a, b) = calling(&mut w, acme, bob, "+14155550102");
    let lines = [
        "Contact: <sip:carol@example.com>;q=0.9, \"One, two\" <sip:someone@203.0.113.9:5060>;q=0.3",
        "Contact: <tel:+14155550199>",
    ];
    respond_with(&mut w, b, 302, &lines);
    let c = w.incoming(carol);
    w.respond(c, 486);
    w.expect_over(a, 302);
    let back = w.last_received(acme, |m| m.status() == 302);
    assert_eq!(
        back.all("Contact"),
        [
            "\"One, two\" <sip:someone@203.0.113.9:5060>;q=0.3",
            "<tel:+14155550199>"
        ]
    );
    w.finish();
}

/// 16.7 step 4: two phones redirect to the same place: it is asked once, and is nothing that the caller should try.
#[test]
fn the_same_redirection_twice() {
    let mut w = office(9);
    let (alice, carol) = (w.registered("alice"), w.registered("carol"));
    crate::tools::by_hand(&mut w, carol);
    let phones = ["one", "two"].map(|name| phone(&mut w, name, "bob", ""));
    let a = w.call(alice, "bob");
    for leg in phones.map(|peer| w.incoming(peer)) {
        respond_with(&mut w, leg, 302, &["Contact: <sip:carol@example.com>"]);
    }
    let c = w.incoming(carol);
    w.respond(c, 486);
    w.expect_over(a, 486);
    assert_eq!(requests(&w, carol, "INVITE").len(), 1);
    w.finish();
}

/// The same for a MESSAGE, whose client is not told 408 (RFC 4320 4.2).
#[test]
fn a_redirected_message_in_a_circle_ends() {
    let (mut w, alice, bob) = two(10);
    w.policy(bob).deaf = true;
    let ask = request(
        "MESSAGE",
        "sip:bob@example.com",
        "sip:alice@example.com",
        "circle@alice",
    );
    let key = w.act(alice.0, |agent, cx| agent.send_loose(cx, ask));
    settle(&mut w);
    let got = w.last_received(bob, |m| m.is("MESSAGE"));
    let back = sip_tests::Msg::response(&got, 302, "back").with("Contact", "<sip:bob@example.com>");
    w.send_raw(bob, back.write().to_vec());
    settle(&mut w);
    assert_eq!(w.agents[alice.0].loose_status(&key), 480);
    w.finish();
}

/// No open relay: a user of a domain that is bridged is not sent to another domain by a redirection.
#[test]
fn a_redirection_leaves_only_where_the_caller_may() {
    let mut w = office(3);
    let bob = w.registered("bob");
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let outside = w.stranger("outside", "203.0.113.9:5060");
    let (a, b) = calling(&mut w, acme, bob, "+14155550102");
    respond_with(&mut w, b, 302, &["Contact: <sip:someone@203.0.113.9:5060>"]);
    w.expect_over(a, 302);
    assert!(requests(&w, outside, "INVITE").is_empty());
    let alice = w.registered("alice");
    let (a, b) = calling(&mut w, alice, bob, "bob");
    respond_with(&mut w, b, 302, &["Contact: <sip:someone@203.0.113.9:5060>"]);
    w.up(a);
    assert_eq!(
        w.last_received(outside, |m| m.is("INVITE")).uri(),
        "sip:someone@203.0.113.9:5060"
    );
    w.hang_up(a);
    w.finish();
}

/// 16.7 step 7: the challenges of all branches go back together.
#[test]
fn challenges_are_put_together() {
    let mut w = office(4);
    let alice = w.registered("alice");
    let phones = ["one", "two"].map(|name| phone(&mut w, name, "bob", ""));
    let a = w.call(alice, "bob");
    let [one, two] = phones.map(|peer| w.incoming(peer));
    respond_with(
        &mut w,
        one,
        401,
        &["WWW-Authenticate: Digest realm=\"one\", nonce=\"1\""],
    );
    respond_with(
        &mut w,
        two,
        407,
        &["Proxy-Authenticate: Digest realm=\"two\", nonce=\"2\""],
    );
    settle(&mut w);
    let back = w.last_received(alice, |m| m.status() == 401 && m.method() == "INVITE");
    assert!(back.text("WWW-Authenticate").contains("\"one\""));
    assert!(back.text("Proxy-Authenticate").contains("\"two\""));
    // The caller tries again with credentials for one of them.
    w.hang_up(a);
    w.expect_over(a, 487);
    w.finish();
}

/// RFC 6026 7.3: a response that belongs to no transaction of ours is not sent on, whatever its Vias say.
#[test]
fn a_stray_response_is_dropped() {
    let (mut w, alice, bob) = two(5);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    let mut stray = sip_tests::Msg::response(&w.at(b).invite.clone(), 200, "stray");
    stray.push("Contact", "<sip:stray@203.0.0.11>");
    let forged = stray.text("Via").replace("branch=z9hG4bK", "branch=z9hG4bKno");
    stray.set("Via", &forged);
    w.send_raw(bob, stray.write().to_vec());
    w.respond(b, 486);
    w.expect_over(a, 486);
    // The same after the transaction is over.
    w.run(s(60));
    let late = sip_tests::Msg::response(&w.at(b).invite.clone(), 200, "late").with("Contact", "<sip:late@203.0.0.11>");
    w.send_raw(bob, late.write().to_vec());
    settle(&mut w);
    assert_eq!(statuses(&w, alice, "INVITE"), [486]);
    // Nobody acknowledges what met no transaction.
    w.ledger.forget();
    w.finish();
}

/// RFC 4320 4.1, 4.2: to other methods than INVITE no provisional response but a late 100, and no 408 from us: the client has given
/// up by then.
#[test]
fn a_silent_phone_and_a_message() {
    let (mut w, alice, bob) = two(6);
    let ip = w.agents[bob.0].addr.ip();
    w.net.link(ip).cut = true;
    let ask = request("MESSAGE", "sip:bob@example.com", "sip:alice@example.com", "quiet@alice");
    let key = w.act(alice.0, |agent, cx| agent.send_loose(cx, ask));
    w.run(s(80));
    let heard = w.received(alice, |m| m.method() == "MESSAGE" && m.status() != 407);
    assert!(heard.iter().all(|(_, m)| m.status() == 100), "{heard:?}");
    let _ = key;
    w.net.link(ip).cut = false;
    w.finish();
}

/// 16.9: a phone whose connection is gone and cannot be had again counts as unreachable: 500 for the caller, soon.
#[test]
fn a_connection_that_is_gone() {
    let mut w = office(7);
    let alice = w.registered("alice");
    let bob = w.tcp_phone("bob");
    w.register(bob);
    w.cut_stream(0);
    let ip = w.agents[bob.0].addr.ip();
    w.net.link(ip).cut = true;
    let before = w.now;
    let a = w.call(alice, "bob");
    w.expect_over(a, 500);
    assert!(w.now.since(before) < s(40));
    w.net.link(ip).cut = false;
    w.run(ms(100));
    w.finish();
}
