//! Descriptions as phones and carriers write them: RFC 3264, RFC 4733, RFC 3551, interop items 24, 25, 27.

use crate::tools::two_with_tones;
use sip_tests::description::{Format, events, opus, pcma};
use sip_tests::script::EDGE;
use sip_tests::{World, s};

fn payload_len(w: &mut World, call: sip_tests::CallRef) -> usize {
    let voice = w.voice(call);
    let audio = voice
        .packets
        .iter()
        .filter(|packet| packet.pt == voice.format().pt)
        .map(|packet| packet.payload.len());
    audio.max().unwrap_or(0)
}

/// Interop 24, RFC 3551 4.2: each side gets the packet time that it asked for, whatever the other one likes.
#[test]
fn packet_times_are_each_sides_own() {
    for (one, other) in [(10, 60), (20, 30), (40, 20), (60, 10)] {
        let (mut w, alice, bob) = two_with_tones(1);
        w.policy(alice).ptime = one;
        w.policy(bob).ptime = other;
        let (a, b) = w.talk(alice, bob, "bob");
        w.expect_tones(a, b);
        assert_eq!(payload_len(&mut w, a), usize::from(one) * 8, "{one} to {other}");
        assert_eq!(payload_len(&mut w, b), usize::from(other) * 8, "{one} to {other}");
        w.hang_up(a);
        w.expect_over(b, 200);
        w.finish();
    }
}

/// Interop 24: the packet time changes within the call.
#[test]
fn the_packet_time_changes() {
    let (mut w, alice, bob) = two_with_tones(2);
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    assert_eq!(payload_len(&mut w, a), 160);
    w.agent(alice).calls[a.call].sdp.ptime = Some(40);
    assert_eq!(w.reinvite(a, sip_tests::Change::default()), 200);
    w.expect_tones(a, b);
    assert_eq!(payload_len(&mut w, a), 320);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 25, RFC 4733: the events' payload types differ on the two legs; digits arrive once each, under the right one.
#[test]
fn event_payload_types_differ() {
    let (mut w, alice, bob) = two_with_tones(3);
    w.policy(alice).formats = vec![pcma(), Format::new(97, "telephone-event/8000").fmtp("0-15")];
    let (a, b) = w.talk(alice, bob, "bob");
    w.voice(a).dial("1#");
    w.run(s(2));
    w.voice(b).dial("*9");
    w.run(s(2));
    assert_eq!(w.voice(b).digits, "1#");
    assert_eq!(w.voice(a).digits, "*9");
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 25: the number that is audio on one leg is the events' on the other, and Opus has events of its own clock (RFC 7587).
#[test]
fn audio_here_is_events_there() {
    let (mut w, alice, bob) = two_with_tones(4);
    let wide = Format { pt: 101, ..opus() };
    w.policy(alice).formats = vec![wide, Format::new(8, "telephone-event/48000").fmtp("0-15")];
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.voice(a).dial("42");
    w.run(s(2));
    w.voice(b).dial("0");
    w.run(s(2));
    assert_eq!(w.voice(b).digits, "42");
    assert_eq!(w.voice(a).digits, "0");
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// Interop 25: a peer without telephone events: audio is not hurt, digits go nowhere.
#[test]
fn a_peer_without_events() {
    let (mut w, alice, bob) = two_with_tones(5);
    w.policy(bob).formats = vec![pcma()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.voice(a).dial("123");
    w.run(s(2));
    assert_eq!(w.voice(b).digits, "");
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 27, RFC 3264 6: video before the audio, fax and data behind: each is refused in its place, in the same order.
#[test]
fn streams_that_we_do_not_take() {
    let (mut w, alice, bob) = two_with_tones(6);
    w.policy(alice).sections = vec![
        (true, "m=video 31000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n".into()),
        (false, "m=image 31002 udptl t38\r\n".into()),
        (false, "m=application 31004 TCP/MRCPv2 1\r\n".into()),
    ];
    let (a, b) = w.talk(alice, bob, "bob");
    let body = w.last_received(alice, |m| m.answers("INVITE", 200)).body;
    let kinds: Vec<(&str, bool)> = body
        .lines()
        .filter_map(|line| line.strip_prefix("m="))
        .map(|line| {
            (
                line.split(' ').next().unwrap_or_default(),
                line.split(' ').nth(1) == Some("0"),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("video", true),
            ("audio", false),
            ("image", true),
            ("application", true)
        ]
    );
    assert_eq!(
        w.at(b).invite.body.matches("m=").count(),
        1,
        "the other leg is offered what we can"
    );
    w.expect_tones(a, b);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3264 6, RFC 3261 13.3.1.3: no stream or no codec that we take: 488 with a Warning, before anybody is disturbed.
#[test]
fn nothing_that_we_take() {
    let (mut w, alice, bob) = two_with_tones(7);
    w.policy(alice).formats = vec![Format::new(18, "G729/8000"), events()];
    let a = w.call(alice, "bob");
    w.expect_over(a, 488);
    assert!(
        w.last_received(alice, |m| m.answers("INVITE", 488))
            .get("Warning")
            .is_some()
    );
    assert!(w.agents[bob.0].calls.is_empty());
    w.finish();
}

/// Interop 24, RFC 4566 6: without `a=ptime` it is the codec's 20 ms; `a=maxptime` is a limit.
#[test]
fn no_packet_time_and_a_longest_one() {
    let (mut w, alice, bob) = two_with_tones(8);
    let (a, b) = w.talk(alice, bob, "bob");
    for (line, octets) in [(None, 160), (Some("a=maxptime:10"), 80), (Some("a=maxptime:150"), 160)] {
        let sdp = &mut w.agent(alice).calls[a.call].sdp;
        sdp.ptime = None;
        sdp.lines = line.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(w.reinvite(a, sip_tests::Change::default()), 200);
        w.expect_tones(a, b);
        assert_eq!(payload_len(&mut w, a), octets, "{line:?}");
    }
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Interop 34: a carrier's change to fax (T.38) is refused with 488, whichever way it is written: by the phone, which takes none, or
/// before it is asked. The audio goes on.
#[test]
fn a_change_to_fax_is_refused() {
    let not_let = EDGE.replace("name: alice,", "name: alice, t38: no,");
    for config in [EDGE, &not_let] {
        let mut w = World::builder(9).config(config).media().build();
        let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
        let (c, a) = w.talk(acme, alice, "+14155550101");
        let old = w.at(c).sdp.clone();
        let sdp = &mut w.agent(acme).calls[c.call].sdp;
        sdp.others = vec![(false, "m=image 31002 udptl t38\r\na=T38FaxVersion:0\r\n".into())];
        sdp.at.set_port(0);
        assert_eq!(w.reinvite(c, sip_tests::Change::default()), 488);
        w.agent(acme).calls[c.call].sdp = old;
        let cseq = w.at(c).cseq + 1;
        w.agent(acme).calls[c.call].cseq = cseq;
        let fax = "v=0\r\no=peer 1 9 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=image 31002 udptl t38\r\n";
        let request = w
            .at(c)
            .request("INVITE", cseq)
            .with("Contact", "<sip:acme@198.51.100.1:5060>")
            .with_sdp(fax);
        assert_eq!(w.ask(acme, request), 488);
        w.expect_tones(a, c);
        w.hang_up(c);
        w.expect_over(a, 200);
        w.finish();
    }
}
