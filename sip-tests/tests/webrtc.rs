//! Browsers on one side of a call (RFC 8445, 5763, 5764, 8839, 8842): ICE lite, DTLS-SRTP, and what is refused. The other side is a phone
//! with plain RTP and G.711.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[path = "webrtc/alone.rs"]
mod alone;
#[path = "webrtc/bench.rs"]
mod bench;
#[path = "webrtc/shared.rs"]
mod shared;
#[path = "webrtc/trickle.rs"]
mod trickle;

use bytes::Bytes;
use sip_tests::browser::{self, Manners};
use sip_tests::description::{events, opus, pcma};
use sip_tests::script::EDGE;
use sip_tests::tone::write_rtp;
use sip_tests::{CallRef, Change, Peer, World, ms, s};
use std::net::SocketAddr;

/// Alice is at a browser, which is called as one too. Where the seed is even, browsers share a port for each worker.
fn world(seed: u64, manners: Manners) -> (World, Peer, Peer) {
    let ports = if seed.is_multiple_of(2) { "shared" } else { "own" };
    let yaml = EDGE.replace("workers: 2", &format!("workers: 2, browser_ports: {ports}"));
    let yaml = yaml.replace(
        "password: \"wonder land\"",
        "password: \"wonder land\", webrtc: yes, codecs: [ opus ]",
    );
    let mut w = World::builder(seed).config(&yaml).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).browser = Some(manners);
    w.policy(alice).formats = vec![opus(), events()];
    w.policy(bob).formats = vec![pcma(), events()];
    (w, alice, bob)
}

/// Where a call's peer sends its media to.
fn our_port(w: &World, call: CallRef) -> SocketAddr {
    w.at(call).remote_sdp.as_ref().map(|sdp| sdp.at).expect("it is up")
}

fn profile(w: &mut World, call: CallRef) -> String {
    let browser = w.voice(call).browser.as_ref().expect("a browser");
    assert_eq!(browser.fault, None);
    browser.profile.map(|profile| profile.to_string()).unwrap_or_default()
}

/// Nothing that came to a peer was not sealed, or was sealed by another key.
fn nothing_in_the_clear(w: &mut World, call: CallRef) {
    assert_eq!(w.voice(call).forged, 0);
}

/// Both hear each other, the browser nothing that is not sealed, until it hangs up.
fn they_talk_and_part(mut w: World, browser: CallRef, phone: CallRef) {
    w.expect_tones(browser, phone);
    nothing_in_the_clear(&mut w, browser);
    w.hang_up(browser);
    w.expect_over(phone, 200);
    w.finish();
}

#[test]
fn a_browser_calls_a_phone_and_is_called() {
    let (mut w, alice, bob) = world(1, Manners::default());
    for (caller, callee, number) in [(alice, bob, "bob"), (bob, alice, "alice")] {
        let (a, b) = w.talk(caller, callee, number);
        w.expect_tones(a, b);
        let of_alice = if caller == alice { a } else { b };
        // GCM, whatever the order of the browser.
        assert_eq!(profile(&mut w, of_alice), "SRTP_AEAD_AES_256_GCM");
        nothing_in_the_clear(&mut w, of_alice);
        let reports = w.voice(of_alice).reports.len();
        w.run(s(12));
        assert!(
            w.voice(of_alice).reports.len() > reports,
            "RTCP comes by the same port, and sealed"
        );
        w.voice(of_alice).dial("7#");
        w.run(s(1));
        let of_bob = if caller == alice { b } else { a };
        assert_eq!(w.voice(of_bob).digits, "7#");
        w.hang_up(a);
        w.expect_over(b, 200);
    }
    assert_eq!(w.media.set_ups(), 0);
    w.finish();
}

/// Case 4 of a node at the edge: a browser and a carrier, in both directions, and media before the answer.
#[test]
fn a_browser_and_a_carrier_call_each_other() {
    let (mut w, alice, _bob) = world(12, Manners::default());
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(acme).formats = vec![pcma(), events()];
    let (c, a) = w.talk(acme, alice, "+14155550101");
    w.expect_tones(a, c);
    w.hang_up(c);
    w.expect_over(a, 200);
    w.policy(acme).ring_sdp = true;
    w.policy(acme).ring_status = 183;
    w.policy(acme).answer = sip_tests::Answer::After(s(6));
    let a = w.call(alice, "+442079460000");
    let c = w.incoming(acme);
    w.run(s(3));
    assert_eq!(w.state(a), sip_tests::State::Ringing);
    w.expect_hears(a, Some(c));
    w.up(a);
    w.expect_tones(a, c);
    nothing_in_the_clear(&mut w, a);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

#[test]
fn a_browser_and_a_phone_meet_in_a_room() {
    let room =
        "rooms: [ { number: \"3000\", name: standup, agc: no, gate: no } ]\nroutes:\n  - { to: \"3*\", do: room }\n";
    let mut w = World::builder(14)
        .config(&EDGE.replace("routes:\n", room))
        .media()
        .build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).browser = Some(Manners::default());
    w.policy(alice).formats = vec![opus(), events()];
    let calls = [alice, bob].map(|peer| {
        let call = w.call(peer, "3000");
        w.up(call);
        call
    });
    w.run(s(3));
    w.expect_tones(calls[0], calls[1]);
    nothing_in_the_clear(&mut w, calls[0]);
    for call in calls {
        w.hang_up(call);
        w.expect_over(call, 200);
    }
    w.finish();
}

#[test]
fn two_browsers_talk_and_one_hears_itself() {
    let (mut w, alice, bob) = world(13, Manners::default());
    w.policy(bob).browser = Some(Manners::default());
    w.policy(bob).formats = vec![opus(), events()];
    let (b, a) = w.talk(bob, alice, "alice");
    w.expect_tones(a, b);
    nothing_in_the_clear(&mut w, a);
    nothing_in_the_clear(&mut w, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    let a = w.call(alice, "600");
    w.up(a);
    w.expect_hears(a, Some(a));
    w.hang_up(a);
    w.expect_over(a, 200);
    w.finish();
}

/// A browser that lets us begin: then DTLS is what it speaks, 1.3 here.
#[test]
fn a_browser_that_waits_for_us_is_greeted() {
    let manners = Manners {
        answers: "passive",
        ..Manners::default()
    };
    let (mut w, alice, bob) = world(2, manners);
    let (b, a) = w.talk(bob, alice, "alice");
    w.expect_tones(a, b);
    assert!(!profile(&mut w, a).is_empty());
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

#[test]
fn a_lossy_network_makes_it_slower_and_no_more() {
    for seed in 10..16 {
        let (mut w, alice, bob) = world(seed, Manners::default());
        let ip = w.agents[alice.0].addr.ip();
        let link = w.net.link(ip);
        (link.loss, link.duplicate, link.reorder) = (0.1, 0.1, 0.1);
        let a = w.call(alice, "bob");
        w.up(a);
        let b = w.incoming(bob);
        w.run(s(5));
        w.net.link(ip).loss = 0.0;
        w.expect_tones(a, b);
        w.hang_up(b);
        w.expect_over(a, 200);
        w.finish();
    }
}

/// RFC 5763 5: no media before the handshake, in neither direction, whoever sends it.
#[test]
fn no_media_flows_before_there_are_keys() {
    let manners = Manners {
        is_mute: true,
        ..Manners::default()
    };
    let (mut w, alice, bob) = world(3, manners);
    let a = w.call(alice, "bob");
    w.up(a);
    let b = w.incoming(bob);
    let (from, to) = (w.at(a).sdp.at, our_port(&w, a));
    for n in 0..100u16 {
        let packet = write_rtp(111, n == 0, n, u32::from(n) * 960, 9, &[0xd5; 60]);
        w.send_udp(from, to, packet);
        w.run(ms(20));
    }
    let (alice_voice, reached) = (w.voice(a), true);
    assert!(
        alice_voice.browser.as_ref().unwrap().reached == reached,
        "its checks are answered"
    );
    assert_eq!(
        (alice_voice.received, alice_voice.forged),
        (0, 0),
        "nothing was sent to it"
    );
    assert_eq!(w.voice(b).received, 0, "nothing of it was passed on");
    w.until_within(s(40), "the call is given up", |w| !w.at(b).is_live());
    let cause = w.cdr().ended.clone().unwrap().1;
    assert_eq!(cause.text, "the DTLS handshake did not come to an end");
    w.finish();
}

#[test]
fn a_browser_with_another_certificate_is_hung_up_on() {
    for answers in ["active", "passive"] {
        let manners = Manners {
            lies: true,
            answers,
            ..Manners::default()
        };
        let (mut w, alice, bob) = world(4, manners);
        let b = w.call(bob, "alice");
        w.up(b);
        w.until_within(s(10), "the call is given up", |w| !w.at(b).is_live());
        let a = CallRef { peer: alice, call: 0 };
        assert_eq!((w.voice(a).received, w.voice(b).received), (0, 0));
        let cause = w.cdr().ended.clone().unwrap().1;
        let why = "DTLS handshake failed: the peer's certificate is not the one of its session description";
        assert_eq!((cause.text.as_str(), cause.status), (why, 488));
        w.finish();
    }
}

#[test]
fn a_browser_that_cannot_send_udp_is_told_of() {
    let manners = Manners {
        is_cut_off: true,
        ..Manners::default()
    };
    let (mut w, alice, bob) = world(5, manners);
    // Who rings may take longer than that.
    w.policy(bob).answer = sip_tests::Answer::After(s(45));
    w.policy(bob).ring_sdp = true;
    w.policy(bob).ring_status = 183;
    let a = w.call(alice, "bob");
    w.up(a);
    w.until_within(s(40), "the call is given up", |w| !w.at(a).is_live());
    assert!(w.cdr().ended.clone().unwrap().1.text.starts_with("no ICE check came"));
    w.finish();
}

/// RFC 7675: a browser that is gone asks no more.
#[test]
fn a_browser_whose_checks_cease_is_gone() {
    let (mut w, alice, bob) = world(6, Manners::default());
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    let ip = w.agents[alice.0].addr.ip();
    w.net.link(ip).loss = 1.0;
    w.until_within(s(40), "the call is given up", |w| !w.at(b).is_live());
    assert!(
        w.cdr()
            .ended
            .clone()
            .unwrap()
            .1
            .text
            .starts_with("the browser is not reached any more")
    );
    w.run(s(40));
}

/// RFC 8489 9.1.3, RFC 8445 7.3: who does not know the password is told so, and starts nothing.
#[test]
fn forged_checks_and_strangers_are_refused_and_counted() {
    let (mut w, alice, bob) = world(7, Manners::default());
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.stranger("thief", "203.0.113.66:5060");
    let (to, before) = (our_port(&w, a), w.media.refused());
    let stranger: SocketAddr = "203.0.113.66:4000".parse().unwrap();
    let forged = w
        .voice(a)
        .browser
        .as_ref()
        .unwrap()
        .check("notThePasswordOfThisCall", true);
    let genuine = w.voice(a).browser.as_ref().unwrap().check("x", true);
    let mut bare = genuine.to_vec();
    bare[2..4].copy_from_slice(&[0, 0]);
    bare.truncate(20);
    for bytes in [&forged[..], &bare[..]] {
        w.send_udp(stranger, to, Bytes::copy_from_slice(bytes));
        w.run(ms(30));
    }
    assert_eq!(w.media.refused().checks, before.checks + 2);
    // A handshake from where no check came from, and something that looks like one.
    for bytes in [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1][..], &[63; 100][..]] {
        w.send_udp(stranger, to, Bytes::copy_from_slice(bytes));
        w.run(ms(30));
    }
    assert_eq!(w.media.refused().strangers, before.strangers + 2);
    w.expect_tones(a, b);
    // A flood is bounded before it reaches who sets up.
    for _ in 0..2_000 {
        w.send_udp(stranger, to, forged.clone());
    }
    w.run(ms(100));
    let flooded = w.media.refused().checks - before.checks;
    // What is there for checks with our name, and the share of this host.
    assert!(
        flooded <= 2 + 2 * 120,
        "{flooded} of 2,000 forged checks were looked at"
    );
    w.run(s(2));
    they_talk_and_part(w, a, b);
}

#[test]
fn hold_resume_and_a_restart_of_ice_keep_the_keys() {
    let (mut w, alice, bob) = world(8, Manners::default());
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    let before = w.at(a).remote_sdp.clone().unwrap();
    let of = |lines: &[String], name: &str| lines.iter().find(|line| line.starts_with(name)).cloned();
    // RFC 8445 9: other names on both sides.
    let call = &mut w.agents[alice.0].calls[a.call];
    call.sdp.lines = browser::lines("alice", a.call, 1, "actpass");
    assert_eq!(w.reinvite(a, Change::default()), 200);
    let after = w.at(a).remote_sdp.clone().unwrap();
    assert_ne!(of(&before.lines, "a=ice-ufrag"), of(&after.lines, "a=ice-ufrag"));
    assert_eq!(of(&before.lines, "a=fingerprint"), of(&after.lines, "a=fingerprint"));
    w.run(s(1));
    assert!(
        w.voice(a).browser.as_ref().unwrap().reached,
        "checks by the new names are answered"
    );
    they_talk_and_part(w, a, b);
}

/// RFC 8842 5.1, 5.3: with another certificate it is another peer. What the old one sends is nobody's from that moment, and nothing goes to it,
/// until the new one has shown who it is.
#[test]
fn another_certificate_ends_the_old_keys_at_once() {
    let (mut w, alice, bob) = world(15, Manners::default());
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.agents[alice.0].calls[a.call].sdp.lines = browser::lines_of(1, "alice", a.call, 1, "actpass");
    assert_eq!(w.reinvite(a, Change::default()), 200);
    // What was on its way may come.
    w.run(ms(100));
    let received = |w: &mut World| (w.voice(a).received, w.voice(b).received);
    let before = received(&mut w);
    // The page that was there is still there, and has its keys.
    w.run(s(2));
    assert_eq!(received(&mut w), before);
    w.policy(alice).browser = Some(Manners {
        lies: true,
        ..Manners::default()
    });
    w.voice(a).browser = None;
    assert_eq!(w.reinvite(a, Change::default()), 200);
    they_talk_and_part(w, a, b);
}

/// RFC 8445 7.3: a browser that moves to another address nominates it, and its media follows with the same keys.
#[test]
fn a_browser_that_moves_is_followed() {
    let (mut w, alice, bob) = world(9, Manners::default());
    w.nat(alice, "203.0.113.200");
    w.register(alice);
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.net.rebind("203.0.113.200".parse().unwrap());
    w.run(s(3));
    they_talk_and_part(w, a, b);
}

#[test]
fn who_may_not_be_a_browser_gets_488() {
    let yaml = EDGE.replace("password: \"wonder land\"", "password: \"wonder land\", webrtc: no");
    let mut w = World::builder(11).config(&yaml).media().build();
    let (alice, _bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).browser = Some(Manners::default());
    let a = w.call(alice, "bob");
    w.expect_over(a, 488);
    w.finish();
}
