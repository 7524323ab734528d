//! Peers whose candidates come after their description, in INFO (RFC 8838, RFC 8840); and peers that are ICE lite, whose candidates are all that is
//! known of where they are.

use super::{nothing_in_the_clear, our_port, profile, they_talk_and_part, world};
use sip_tests::browser::{self, Manners, word};
use sip_tests::{CallRef, Change, Peer, State, World, ms, s};
use std::net::SocketAddr;

const TRICKLES: Manners = Manners {
    answers: "active",
    lies: false,
    is_cut_off: false,
    is_mute: false,
    is_lite: false,
    trickles: true,
};
const LITE: Manners = Manners {
    is_lite: true,
    trickles: false,
    ..TRICKLES
};
const LITE_TRICKLES: Manners = Manners {
    is_lite: true,
    ..TRICKLES
};

/// Where its media comes from.
fn own(w: &World, call: CallRef) -> SocketAddr {
    w.at(call).sdp.at
}

/// What a peer says of so many candidates, of the generation that its description has now.
fn fragment(w: &World, call: CallRef, candidates: &[SocketAddr], rest: &str) -> String {
    let sdp = &w.at(call).sdp;
    let (ufrag, pwd, mid) = (word(sdp, "ice-ufrag"), word(sdp, "ice-pwd"), word(sdp, "mid"));
    let lines: String = candidates
        .iter()
        .enumerate()
        .map(|(nth, at)| {
            let priority = 2_130_706_431 - nth;
            format!(
                "a=candidate:{nth} 1 UDP {priority} {} {} typ host\r\n",
                at.ip(),
                at.port()
            )
        })
        .collect();
    format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\n{lines}{rest}")
}

fn info(w: &mut World, call: CallRef, body: &str) -> u16 {
    let lines = [
        "Info-Package: trickle-ice",
        "Content-Type: application/trickle-ice-sdpfrag",
        "Content-Disposition: Info-Package",
    ];
    w.request(call, "INFO", &lines, Some(body))
}

/// It rings for so long, and is heard meanwhile.
fn rings_aloud(w: &mut World, peer: Peer) {
    let policy = w.policy(peer);
    (policy.ring_status, policy.ring_sdp) = (183, true);
    policy.answer = sip_tests::Answer::After(s(8));
}

fn cause(w: &World) -> String {
    w.cdr().ended.clone().expect("it has ended").1.text
}

/// The offer names no candidate, port 9 and 0.0.0.0: no hold, and no reason to refuse. Our answer has all that we have.
#[test]
fn a_browser_that_trickles_is_answered_with_all_and_told_that_its_infos_came() {
    for seed in [21, 22] {
        let (mut w, alice, bob) = world(seed, TRICKLES);
        rings_aloud(&mut w, bob);
        let lines = ["Supported: 100rel", "Require: trickle-ice", "Recv-Info: trickle-ice"];
        let a = w.call_with(alice, "bob", &lines);
        let b = w.incoming(bob);
        w.rings(a);
        let offer = w.at(a).invite.body.clone();
        assert!(
            offer.contains("m=audio 9 ") && offer.contains("c=IN IP4 0.0.0.0") && !offer.contains("a=candidate"),
            "{offer}"
        );
        let early = w.last_received(alice, |m| m.status() == 183);
        assert_eq!(early.text("Recv-Info"), "trickle-ice");
        assert!(early.has_token("Supported", "trickle-ice"));
        let options = early.body.lines().position(|line| line == "a=ice-options:trickle");
        assert!(
            options < early.body.lines().position(|line| line.starts_with("m=")),
            "{}",
            early.body
        );
        for line in ["a=candidate:1 1 udp ", "a=end-of-candidates"] {
            assert!(early.body.contains(line), "{line} in {}", early.body);
        }
        // RFC 8840 4.3.2: as soon as the answer is there, though nothing has been found yet; then more of it each time.
        let at = own(&w, a);
        for (candidates, rest) in [
            (&[][..], ""),
            (&[at], ""),
            (&[at, "203.0.113.5:4000".parse().unwrap()], "a=end-of-candidates\r\n"),
        ] {
            let body = fragment(&w, a, candidates, rest);
            assert_eq!(info(&mut w, a, &body), 200, "{body}");
        }
        assert_eq!(w.state(a), State::Ringing);
        w.expect_hears(a, Some(b));
        w.up(a);
        w.expect_tones(a, b);
        assert_eq!(profile(&mut w, a), "SRTP_AEAD_AES_256_GCM");
        nothing_in_the_clear(&mut w, a);
        let last = fragment(&w, a, &[at], "a=end-of-candidates\r\n");
        assert_eq!(info(&mut w, a, &last), 200);
        // It is no hold for the other side either.
        assert_eq!(w.at(b).remote_sdp.as_ref().unwrap().direction, "sendrecv");
        w.hang_up(a);
        w.expect_over(b, 200);
        w.finish();
    }
}

/// The same in the other direction, where the answer trickles.
#[test]
fn a_browser_that_is_called_may_trickle() {
    let (mut w, alice, bob) = world(23, TRICKLES);
    rings_aloud(&mut w, alice);
    let b = w.call(bob, "alice");
    let a = w.incoming(alice);
    w.rings(b);
    let invite = w.at(a).invite.clone();
    assert!(invite.has_token("Supported", "trickle-ice"));
    assert_eq!(invite.text("Recv-Info"), "trickle-ice");
    let body = fragment(&w, a, &[own(&w, a)], "");
    assert_eq!(info(&mut w, a, &body), 200);
    w.expect_hears(b, Some(a));
    w.up(b);
    w.expect_tones(a, b);
    let body = fragment(&w, a, &[own(&w, a)], "a=end-of-candidates\r\n");
    assert_eq!(info(&mut w, a, &body), 200);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// What of an INFO cannot be taken is refused by its reason, and the call goes on; a side without ICE takes none.
#[test]
fn infos_of_other_packages_and_forms_are_refused() {
    let (mut w, alice, bob) = world(24, TRICKLES);
    let (a, b) = w.talk(alice, bob, "bob");
    let good = fragment(&w, a, &[own(&w, a)], "");
    let kind = "Content-Type: application/trickle-ice-sdpfrag";
    let package = "Info-Package: trickle-ice";
    let unnamed = good.replace("a=ice-pwd", "a=pwd");
    let no_line = good.replace("a=mid", "a=mud");
    for (lines, body, status) in [
        (&["Info-Package: foo", kind][..], good.as_str(), 469),
        (&["Info-Package: Trickle-ICE", kind], &good, 469),
        (&["Info-Package: trickle-ice, foo", kind], &good, 469),
        (&[package, "Content-Type: application/sdp"], &good, 415),
        (&[package, kind], "hello", 400),
        (&[package, kind], "c=IN IP4 192.0.2.1\r\n", 400),
        (&[package, kind], &unnamed, 400),
        (&[package, kind], &no_line, 400),
        (&[package], "", 400),
        (&["Info-Package: trickle-ice;x=y", kind], &good, 200),
    ] {
        assert_eq!(w.request(a, "INFO", lines, Some(body)), status, "{lines:?}: {body}");
        let told = w.last_received(alice, |m| m.status() == status);
        match status {
            469 => assert_eq!(told.text("Recv-Info"), "trickle-ice"),
            415 => assert_eq!(told.text("Accept"), "application/trickle-ice-sdpfrag"),
            400 => assert!(told.text("Warning").starts_with("399 "), "{}", told.text("Warning")),
            _ => {}
        }
    }
    assert_eq!(w.request(b, "INFO", &[package, kind], Some(&good)), 469);
    assert_eq!(w.last_received(bob, |m| m.status() == 469).text("Recv-Info"), "");
    assert_eq!(w.last_received(bob, |m| m.is("INVITE")).get("Recv-Info"), None);
    they_talk_and_part(w, a, b);
}

/// A peer that is lite looks for no way, and has told none: by the candidate of its INFO it is found. Of another generation none counts, of a flood few
/// do, and after the end none.
#[test]
fn a_peer_that_is_lite_is_found_by_what_it_trickles() {
    let (mut w, alice, _bob) = world(25, LITE_TRICKLES);
    let a = w.call(alice, "600");
    w.up(a);
    let answer = w.at(a).remote_sdp.clone().unwrap();
    assert!(!answer.lines.iter().any(|line| line == "a=ice-lite"));
    w.run(s(2));
    assert!(!w.voice(a).browser.as_ref().unwrap().reached);
    let good = fragment(&w, a, &[own(&w, a)], "");
    let ufrag = word(&w.at(a).sdp, "ice-ufrag").to_owned();
    let other = good.replace(&ufrag, "anotherName");
    assert_eq!(info(&mut w, a, &other), 200);
    w.run(s(2));
    assert!(!w.voice(a).browser.as_ref().unwrap().reached, "another generation");
    assert_eq!(info(&mut w, a, &good), 200);
    w.expect_hears(a, Some(a));
    nothing_in_the_clear(&mut w, a);
    w.hang_up(a);
    w.expect_over(a, 200);
    w.finish();
}

#[test]
fn after_the_end_of_candidates_none_counts() {
    let (mut w, alice, _bob) = world(26, LITE_TRICKLES);
    let a = w.call(alice, "600");
    w.up(a);
    let end = fragment(&w, a, &[], "a=end-of-candidates\r\n");
    assert_eq!(info(&mut w, a, &end), 200);
    let late = fragment(&w, a, &[own(&w, a)], "");
    assert_eq!(info(&mut w, a, &late), 200);
    w.until_within(s(40), "the call is given up", |w| !w.at(a).is_live());
    assert!(
        cause(&w).starts_with("the peer is ICE lite, so that this node is to reach it, and it has told no address"),
        "{}",
        cause(&w)
    );
    w.finish();
}

/// In an early dialog, before anything is answered for good.
#[test]
fn a_callee_that_is_lite_trickles_while_it_rings() {
    let (mut w, alice, bob) = world(28, LITE_TRICKLES);
    rings_aloud(&mut w, alice);
    let b = w.call(bob, "alice");
    let a = w.incoming(alice);
    w.rings(b);
    w.run(s(1));
    assert_eq!(w.voice(b).received, 0);
    let body = fragment(&w, a, &[own(&w, a)], "");
    assert_eq!(info(&mut w, a, &body), 200);
    w.expect_hears(b, Some(a));
    w.up(b);
    they_talk_and_part(w, a, b);
}

/// RFC 8838 15: a restart begins a generation, whose candidates come as those of the first did.
#[test]
fn a_restart_is_trickled_like_the_beginning() {
    let (mut w, alice, bob) = world(29, LITE_TRICKLES);
    let a = w.call(alice, "bob");
    w.up(a);
    let b = w.incoming(bob);
    let first = fragment(&w, a, &[own(&w, a)], "a=end-of-candidates\r\n");
    assert_eq!(info(&mut w, a, &first), 200);
    w.expect_tones(a, b);
    w.agents[alice.0].calls[a.call].sdp.lines = browser::lines("alice", a.call, 1, "actpass");
    w.agents[alice.0].calls[a.call]
        .sdp
        .lines
        .retain(|line| !line.starts_with("a=candidate"));
    assert_eq!(w.reinvite(a, Change::default()), 200);
    // What comes late of the generation before.
    assert_eq!(info(&mut w, a, &first), 200);
    w.run(s(2));
    assert!(!w.voice(a).browser.as_ref().unwrap().reached);
    let second = fragment(&w, a, &[own(&w, a)], "");
    assert_eq!(info(&mut w, a, &second), 200);
    w.run(s(1));
    assert!(w.voice(a).browser.as_ref().unwrap().reached);
    they_talk_and_part(w, a, b);
}

/// The checks of a peer that is lite are ours: what is wrong with them is no fault of a browser's.
#[test]
fn why_a_peer_that_is_lite_has_no_media_is_told_as_it_is() {
    let (mut w, alice, bob) = world(30, LITE);
    let ip = w.agents[alice.0].addr.ip();
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    let to = our_port(&w, a);
    assert!(!to.ip().is_unspecified());
    w.net.link(ip).loss = 1.0;
    w.until_within(s(60), "the call is given up", |w| !w.at(b).is_live());
    assert_eq!(
        cause(&w),
        "the peer, which is ICE lite, is not reached any more: it has ceased to answer our ICE checks"
    );
    w.net.link(ip).loss = 0.0;
    w.run(s(40));
    let (mut w, alice, _bob) = world(
        31,
        Manners {
            is_cut_off: true,
            ..LITE
        },
    );
    let a = w.call(alice, "600");
    w.up(a);
    w.until_within(s(40), "the call is given up", |w| !w.at(a).is_live());
    assert!(
        cause(&w).contains("ICE lite")
            && cause(&w).contains("no address of its a=candidate lines has answered an ICE check"),
        "{}",
        cause(&w)
    );
    w.run(ms(500));
    w.finish();
}
