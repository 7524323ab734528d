//! Offers and answers (RFC 3264, 6337, 3960): late, early, with strange lines, with other packet times.

use sip_tests::description::{Format, events, opus, pcma, pcmu};
use sip_tests::{Answer, World, ms, s};

/// RFC 3261 13.2.1: INVITE without an offer: the offer comes in the 200, the answer in the ACK.
#[test]
fn late_offer_of_a_carrier() {
    let mut w = World::builder(1).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).late_offer = true;
    let (c, a) = w.talk(acme, alice, "+14155550101");
    assert!(w.at(a).invite.has_sdp(), "the phone gets an offer all the same");
    w.expect_tones(c, a);
    w.hang_up(c);
    w.finish();
}

/// The same from a phone, transcoded.
#[test]
fn late_offer_of_a_phone_with_other_codecs() {
    let mut w = World::builder(2).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).late_offer = true;
    w.policy(alice).formats = vec![opus(), events()];
    w.policy(bob).formats = vec![pcmu(), events()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.hang_up(b);
    w.finish();
}

/// RFC 3261 13.3.1.3: nothing in common: 488, no leg is left.
#[test]
fn an_offer_without_a_known_codec_is_488() {
    let mut w = World::new(3);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).formats = vec![Format::new(18, "G729/8000"), events()];
    let call = w.call(alice, "bob");
    w.expect_over(call, 488);
    assert!(w.agents[bob.0].calls.is_empty());
    w.finish();
}

/// The called phone has nothing in common with us: its 488 comes back.
#[test]
fn a_phone_that_takes_no_codec_of_ours() {
    let mut w = World::new(4);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Status(488, ms(10), Vec::new());
    let call = w.call(alice, "bob");
    w.expect_over(call, 488);
    w.finish();
}

/// RFC 3264 6: other streams are refused in their place, with port 0, and the audio works.
#[test]
fn video_and_fax_beside_audio_are_refused_in_order() {
    let mut w = World::builder(5).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).sections = vec![
        (true, "m=video 30000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n".into()),
        (false, "m=image 30002 udptl t38\r\n".into()),
        (false, "m=application 30004 TCP/MSRP *\r\n".into()),
    ];
    let (a, b) = w.talk(alice, bob, "bob");
    let answer = w.last_received(alice, |m| m.answers("INVITE", 200)).body;
    let kinds: Vec<(String, bool)> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("m="))
        .map(|line| {
            let mut words = line.split(' ');
            (words.next().unwrap_or_default().to_owned(), words.next() == Some("0"))
        })
        .collect();
    let expected = [
        ("video", true),
        ("audio", false),
        ("image", true),
        ("application", true),
    ];
    assert_eq!(kinds, expected.map(|(kind, zero)| (kind.to_owned(), zero)));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// RFC 3264 6.1, RFC 4566: 30 ms on one side, 20 on the other: repacketised.
#[test]
fn packet_times_differ() {
    for (ours, theirs) in [(30, 20), (20, 40), (10, 20), (60, 20)] {
        let mut w = World::builder(600 + u64::from(ours)).media().build();
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(alice).ptime = ours;
        w.policy(bob).ptime = theirs;
        let (a, b) = w.talk(alice, bob, "bob");
        w.expect_tones(a, b);
        w.run(s(1));
        let sizes: Vec<usize> = w.voice(a).packets.iter().map(|packet| packet.payload.len()).collect();
        assert!(
            sizes.iter().all(|size| *size == usize::from(ours) * 8),
            "{ours} ms wanted: {sizes:?}"
        );
        w.hang_up(a);
        w.finish();
    }
}

/// RFC 4733 2.4.1, RFC 3264 5.1: each side its own payload types: events come with the number that the receiver wrote.
#[test]
fn payload_types_differ() {
    let mut w = World::builder(7).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let event = |pt| Format::new(pt, "telephone-event/8000").fmtp("0-15");
    w.policy(alice).formats = vec![Format::new(97, "opus/48000/2"), event(96)];
    w.policy(acme).formats = vec![pcma(), event(127)];
    let (a, c) = w.talk(alice, acme, "+442079460000");
    w.expect_tones(a, c);
    w.voice(a).dial("19");
    w.voice(c).dial("7");
    w.run(s(2));
    assert_eq!(w.voice(c).digits, "19");
    assert_eq!(w.voice(a).digits, "7");
    w.hang_up(c);
    w.finish();
}

/// RFC 3264 5.1: a static payload type needs no rtpmap; names come in any case; `/1` is no difference.
#[test]
fn odd_spellings_of_formats() {
    let mut w = World::builder(8).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).formats = vec![Format::new(0, "pcmu/8000/1"), events()];
    w.policy(bob).formats = vec![pcmu(), events()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(2));
    assert!(w.voice(a).received > 50 && w.voice(b).received > 50);
    w.hang_up(a);
    w.finish();
}

/// RFC 3605: `a=rtcp` and an odd RTP port are taken as they are written.
#[test]
fn reports_come_and_go() {
    let mut w = World::builder(9).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(15));
    for call in [a, b] {
        let reports = w.voice(call).reports.clone();
        assert!(!reports.is_empty(), "RFC 3550 6.2: a report in 5 s or so");
        let mut bytes = reports[0].1.clone();
        let packets = rtcp::packet::unmarshal(&mut bytes).expect("RTCP that another library reads");
        assert!(packets.len() >= 2, "a report and a CNAME (RFC 3550 6.1)");
    }
    w.hang_up(a);
    w.finish();
}

/// RFC 3960: SDP in 180, other SDP in the 200: the last one counts.
#[test]
fn the_answer_differs_from_the_early_one() {
    let mut w = World::builder(10).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).answer = Answer::Manual;
    w.policy(acme).ring_status = 183;
    w.policy(acme).ring_sdp = true;
    let call = w.call(alice, "+442079460000");
    w.rings(call);
    let other = w.incoming(acme);
    w.expect_hears(call, Some(other));
    w.on(other, |agent, _, call| {
        let sdp = &mut agent.calls[call].sdp;
        let port = sdp.at.port() + 2000;
        sdp.at.set_port(port);
        sdp.version += 1;
    });
    w.accept(other);
    w.up(call);
    w.expect_tones(call, other);
    w.hang_up(call);
    w.finish();
}

/// RFC 3264 8.3.1 and Postel: a 200 without SDP after a 183 with one.
#[test]
fn the_200_has_no_sdp_after_a_183_that_had() {
    let mut w = World::builder(11).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).answer = Answer::Manual;
    w.policy(acme).ring_status = 183;
    w.policy(acme).ring_sdp = true;
    let call = w.call(alice, "+442079460000");
    w.rings(call);
    let other = w.incoming(acme);
    w.respond(other, 200);
    w.up(call);
    w.expect_tones(call, other);
    w.hang_up(other);
    w.finish();
}
