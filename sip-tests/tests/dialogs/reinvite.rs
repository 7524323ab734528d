//! Changes of a session that is up: RFC 3261 14, RFC 3264 8, RFC 6141, interop items 24, 27, 34.

use crate::tools::{origin, reinvites, same, two, two_with_tones};
use sip_tests::description::{Format, events, opus, pcma, pcmu};
use sip_tests::{Change, State, World, ms, s};

fn formats(formats: Vec<Format>) -> Change {
    Change {
        formats: Some(formats),
        ..Change::default()
    }
}

/// RFC 3264 8.3.2: from A-law to mu-law to Opus within the call; the other side keeps what it has and hears no change.
#[test]
fn the_codec_changes_and_changes_again() {
    let (mut w, alice, bob) = two_with_tones(1);
    w.policy(bob).formats = vec![pcma(), events()];
    let (a, b) = w.talk(alice, bob, "bob");
    for codec in [pcmu(), opus(), pcma()] {
        let name = codec.name.clone();
        assert_eq!(w.reinvite(a, formats(vec![codec, events()])), 200);
        w.expect_tones(a, b);
        assert_eq!(w.voice(a).format().name, name);
    }
    assert!(reinvites(&w, bob).is_empty());
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3264 8.3.1: another port.
#[test]
fn the_port_changes() {
    let (mut w, alice, bob) = two_with_tones(2);
    let (a, b) = w.talk(alice, bob, "bob");
    for call in [b, a] {
        assert_eq!(
            w.reinvite(
                call,
                Change {
                    new_port: true,
                    ..Change::default()
                }
            ),
            200
        );
        w.expect_tones(a, b);
    }
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3261 14.1, 12.2: a phone that walks from one network into another: other Contact, other media address, another way.
#[test]
fn a_phone_moves_to_another_network() {
    let (mut w, alice, bob) = two_with_tones(3);
    let (a, b) = w.talk(alice, bob, "bob");
    let old = w.agents[alice.0].addr;
    crate::routes::moves(&mut w, alice, "203.0.200.7:5060");
    w.agent(alice).calls[a.call]
        .sdp
        .at
        .set_ip("203.0.200.7".parse().expect("an address"));
    w.net.link(old.ip()).cut = true;
    assert_eq!(w.reinvite(a, Change::default()), 200);
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3264 8: nothing changes: answered here, with the same version; the other side is not asked.
#[test]
fn the_same_description_again() {
    let (mut w, alice, bob) = two(4);
    let (a, b) = w.talk(alice, bob, "bob");
    let before = origin(&w.last_received(alice, |m| m.answers("INVITE", 200)).body);
    for call in [a, b, a] {
        assert_eq!(w.reinvite(call, same()), 200);
    }
    assert_eq!(
        origin(&w.last_received(alice, |m| m.answers("INVITE", 200)).body),
        before
    );
    assert_eq!((w.at(a).requests.len(), w.at(b).requests.len()), (0, 0));
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3264 8: each change of ours raises the version by one; the session id stays.
#[test]
fn our_version_counts_our_changes() {
    let (mut w, alice, bob) = two(5);
    let (a, b) = w.talk(alice, bob, "bob");
    let first = origin(&w.at(b).invite.body);
    for hold in ["sendonly", "sendrecv", "inactive"] {
        assert_eq!(w.hold(a, hold), 200);
        w.run(s(1));
    }
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let first = words(&first);
    let version: u64 = first[2].parse().expect("a number");
    let told: Vec<_> = reinvites(&w, bob)
        .iter()
        .map(|(_, m)| words(&origin(&m.body)))
        .collect();
    for (n, line) in told.iter().enumerate() {
        assert_eq!(
            (&line[1], line[2].parse::<u64>().ok()),
            (&first[1], Some(version + 1 + n as u64))
        );
    }
    assert_eq!(told.len(), 3);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 34, RFC 3261 14.2: what cannot be agreed is 488 with a Warning; the old session goes on, and the next try is taken.
#[test]
fn a_change_that_is_not_acceptable() {
    let (mut w, alice, bob) = two_with_tones(6);
    let (a, b) = w.talk(alice, bob, "bob");
    let before = w.at(a).sdp.clone();
    assert_eq!(w.reinvite(a, formats(vec![Format::new(18, "G729/8000")])), 488);
    assert!(
        w.last_received(alice, |m| m.answers("INVITE", 488))
            .text("Warning")
            .starts_with("399 ")
    );
    w.agent(alice).calls[a.call].sdp = before;
    w.expect_tones(a, b);
    assert_eq!(w.reinvite(a, formats(vec![pcmu(), events()])), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 8.2.3, 8.2.2.3: a body that is no description is 415 with Accept, an extension that we lack 420 with Unsupported.
#[test]
fn a_change_that_is_not_understood() {
    let (mut w, alice, bob) = two(7);
    let (a, b) = w.talk(alice, bob, "bob");
    let odd = Change {
        no_offer: true,
        same: true,
        lines: vec!["Require: resource-priority".into()],
        ..Change::default()
    };
    assert_eq!(w.reinvite(a, odd), 420);
    assert_eq!(
        w.last_received(alice, |m| m.answers("INVITE", 420)).text("Unsupported"),
        "resource-priority"
    );
    let cseq = w.at(a).cseq + 1;
    let mut text = w
        .at(a)
        .request("INVITE", cseq)
        .with("Content-Type", "text/plain")
        .with("Contact", "<sip:alice@203.0.0.10>");
    text.body = "hello".into();
    w.agent(alice).calls[a.call].cseq = cseq;
    assert_eq!(w.ask(alice, text), 415);
    assert_eq!(
        w.last_received(alice, |m| m.answers("INVITE", 415)).text("Accept"),
        "application/sdp, multipart/mixed"
    );
    assert_eq!(w.state(b), State::Up);
    assert_eq!(w.reinvite(a, same()), 200);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 27, RFC 3264 6, 8.1: video is added, refused with port 0 in its place, and stays refused; audio goes on.
#[test]
fn video_is_added() {
    let (mut w, alice, bob) = two_with_tones(8);
    let (a, b) = w.talk(alice, bob, "bob");
    w.agent(alice).calls[a.call].sdp.others =
        vec![(false, "m=video 31000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n".into())];
    for _ in 0..2 {
        assert_eq!(w.reinvite(a, Change::default()), 200);
        let body = w.last_received(alice, |m| m.answers("INVITE", 200)).body;
        let lines: Vec<&str> = body.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(lines.len(), 2, "{body}");
        assert!(
            lines[0].starts_with("m=audio ") && lines[1].starts_with("m=video 0 "),
            "{body}"
        );
    }
    w.expect_tones(a, b);
    assert_eq!(w.hold(b, "inactive"), 200);
    w.run(s(1));
    let offer = reinvites(&w, alice).remove(0).1.body;
    assert!(
        offer.contains("m=video 0 "),
        "RFC 3264 8: an m-line is never taken away: {offer}"
    );
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3264 8.2: the audio stream is ended by port 0 and taken up again.
#[test]
fn audio_is_ended_and_taken_up_again() {
    let (mut w, alice, bob) = two_with_tones(9);
    let (a, b) = w.talk(alice, bob, "bob");
    let port = w.at(a).sdp.at.port();
    w.agent(alice).calls[a.call].sdp.at.set_port(0);
    assert_eq!(w.reinvite(a, Change::default()), 200);
    w.expect_hears(b, None);
    assert_eq!(w.state(a), State::Up);
    w.agent(alice).calls[a.call].sdp.at.set_port(port);
    assert_eq!(w.reinvite(a, Change::default()), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 14.1, 12.2.1.2: no answer to our re-INVITE at all: the call ends on both sides with its cause.
#[test]
fn our_change_is_never_answered() {
    let (mut w, alice, bob) = two(10);
    let (a, _) = w.talk(alice, bob, "bob");
    w.policy(bob).deaf = true;
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.expect_over(a, 200);
    assert_eq!(w.at(a).reason.as_deref(), Some("Q.850;cause=102"));
    w.finish();
    assert_eq!(w.cause(), (408, 102));
}

/// RFC 3261 14.1, 12.2.1.2: 481 to our re-INVITE ends the call.
#[test]
fn our_change_meets_a_peer_that_lost_the_call() {
    let (mut w, alice, bob) = two(11);
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(bob).refuse_change = Some(481);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.expect_over(a, 200);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 14.2, 13.3.1.4: the ACK of a re-INVITE is lost: its 200 is repeated until the ACK of a copy comes.
#[test]
fn the_ack_of_a_change_is_lost() {
    let (mut w, alice, bob) = two_with_tones(12);
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(alice).drop_acks = 2;
    assert_eq!(
        w.reinvite(
            a,
            Change {
                new_port: true,
                ..Change::default()
            }
        ),
        200
    );
    w.run(s(10));
    let cseq = w.at(a).cseq;
    let copies = w
        .received(alice, |m| m.answers("INVITE", 200) && m.cseq().0 == cseq)
        .len();
    assert_eq!(copies, 3, "once, and after T1 and 3*T1; then the ACK came");
    w.expect_tones(a, b);
    w.run(ms(40_000));
    assert_eq!(w.state(b), State::Up);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 13.3.1.4: the ACK of a re-INVITE never comes: BYE after 64*T1.
#[test]
fn the_ack_of_a_change_never_comes() {
    let mut w = World::new(13);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(alice).drop_acks = 100;
    assert_eq!(w.reinvite(a, same()), 200);
    w.expect_over(a, 200);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.cause(), (408, 102));
}
