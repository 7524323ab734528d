//! Offers and answers: what is written, and what the workers are told.

use super::bench::{Answer, Bench, command_octets, sdp};
use crate::effect::Fact;
use crate::sdp::{Direction, Session};
use codecs::Codec;
use std::time::Duration;

const OPUS: &str = "111\na=rtpmap:111 opus/48000/2";

fn formats(body: &str) -> String {
    let line = body.lines().find(|line| line.starts_with("m=audio")).expect("audio");
    line.split_once("RTP/AVP ").expect("in the clear").1.to_owned()
}

#[test]
fn a_ping_is_answered() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("ping", &[]).get("result"), "pong");
    bench.is_clean();
}

#[test]
fn an_offer_goes_on_its_answer_comes_back_and_both_are_bridged() {
    let mut bench = Bench::new();
    let (to_b, to_a) = bench.call("8 0 101\na=rtpmap:101 telephone-event/8000", "", "8");
    assert!(
        to_b.contains("c=IN IP4 192.0.2.1\r\n") && !to_b.contains("192.0.2.99"),
        "{to_b}"
    );
    assert!(
        to_a.contains("c=IN IP4 192.0.2.1\r\n") && !to_a.contains("192.0.2.99"),
        "{to_a}"
    );
    assert_eq!(
        (formats(&to_b), formats(&to_a)),
        ("8 0 101".to_owned(), "8 101".to_owned())
    );
    let (a, b) = (bench.leg_of(&to_a), bench.leg_of(&to_b));
    assert_eq!(a.remote.unwrap().rtp, "192.0.2.99:4000".parse().unwrap());
    assert_eq!(b.remote.unwrap().rtp, "192.0.2.99:5000".parse().unwrap());
    assert_eq!(
        (a.stream.unwrap().codec, b.stream.unwrap().codec),
        (Codec::Pcma, Codec::Pcma)
    );
    assert!(a.partner.is_some() && b.partner.is_some() && a.partner != b.partner);
    assert_eq!(bench.facts.len(), 1);
    let deleted = bench.ask("delete", &[("call-id", "c"), ("from-tag", "a")]);
    assert_eq!(deleted.get("result"), "ok");
    bench.is_clean();
    assert_eq!(bench.ended(), ["the proxy has deleted it"]);
}

#[test]
fn what_the_lists_of_codecs_add_is_transcoded() {
    let mut bench = Bench::new();
    let (to_b, to_a) = bench.call("8", "transcode-opus", OPUS);
    assert_eq!(
        (formats(&to_b), formats(&to_a)),
        ("8 96 101 102".to_owned(), "8".to_owned())
    );
    let codec = |body: &str| bench.leg_of(body).stream.unwrap().codec;
    assert_eq!((codec(&to_a), codec(&to_b)), (Codec::Pcma, Codec::Opus));

    let mut bench = Bench::new();
    let (to_b, _) = bench.call("8 0", "codec-strip-all codec-transcode-opus", OPUS);
    assert_eq!(formats(&to_b), "96 101 102");
    let flags = "codec-mask-PCMA codec-strip-telephone-event";
    let to_b = bench.offer(&sdp(4_000, "8 0"), flags).sdp();
    assert!(
        to_b.contains("a=rtpmap:96 opus/48000/2"),
        "what is spoken stays possible: {to_b}"
    );
    assert!(!to_b.contains("telephone-event"), "{to_b}");
}

#[test]
fn a_new_offer_from_either_side_keeps_the_session() {
    let mut bench = Bench::new();
    let (to_b, to_a) = bench.call("8 0", "", "8");
    let origin = |body: &str| body.lines().find(|line| line.starts_with("o=")).unwrap().to_owned();
    // b puts a on hold: an offer of b, whose answer is of a.
    let hold = sdp(5_000, "8\na=sendonly");
    let named = [("call-id", "c"), ("from-tag", "b"), ("to-tag", "a")];
    let again = bench.ask("offer", &[&named[..], &[("sdp", &hold)]].concat()).sdp();
    assert_eq!(bench.leg_of(&again).port, bench.leg_of(&to_a).port);
    assert_eq!(origin(&again), origin(&to_a).replace(" 1 IN", " 2 IN"));
    assert!(again.contains("a=sendonly"), "{again}");
    let back = bench
        .ask(
            "answer",
            &[&named[..], &[("sdp", &sdp(4_000, "8\na=recvonly"))]].concat(),
        )
        .sdp();
    assert_eq!(bench.leg_of(&back).port, bench.leg_of(&to_b).port);
    assert!(back.contains("a=recvonly"), "{back}");
    let (a, b) = (bench.leg_of(&to_a).stream.unwrap(), bench.leg_of(&to_b).stream.unwrap());
    assert_eq!((a.sends, a.receives, b.sends, b.receives), (true, false, false, true));
    // The same once more changes nothing, and the bridge is not made anew.
    let (negotiated, functions) = (bench.negotiated, bench.functions);
    let named_again = bench
        .ask(
            "answer",
            &[&named[..], &[("sdp", &sdp(4_000, "8\na=recvonly"))]].concat(),
        )
        .sdp();
    assert_eq!(
        (named_again, bench.negotiated, bench.functions),
        (back, negotiated, functions)
    );
    assert_eq!(bench.legs.len(), 2);
}

#[test]
fn an_early_answer_may_be_another_ones_in_the_end() {
    let mut bench = Bench::new();
    bench.offer(&sdp(4_000, "8 0"), "");
    let answer = |bench: &mut Bench, tag: &str, port, formats| {
        let body = sdp(port, formats);
        let named = [("call-id", "c"), ("from-tag", "a"), ("to-tag", tag), ("sdp", &*body)];
        bench.ask("answer", &named).sdp()
    };
    let early = answer(&mut bench, "b1", 5_000, "8");
    let last = answer(&mut bench, "b2", 6_000, "0");
    assert_eq!(bench.leg_of(&early).port, bench.leg_of(&last).port);
    assert_eq!((formats(&early), formats(&last)), ("8".to_owned(), "0".to_owned()));
    assert_eq!(bench.legs.len(), 2);
    let rtp: Vec<u16> = bench.legs.values().map(|leg| leg.remote.unwrap().rtp.port()).collect();
    assert_eq!(rtp, [4_000, 6_000]);
}

#[test]
fn branches_have_sides_of_their_own_and_end_alone() {
    let mut bench = Bench::new();
    let offer = |bench: &mut Bench, branch: &str| {
        let body = sdp(4_000, "8");
        let named = [
            ("call-id", "c"),
            ("from-tag", "a"),
            ("via-branch", branch),
            ("sdp", &*body),
        ];
        bench.ask("offer", &named).sdp()
    };
    let (one, two) = (offer(&mut bench, "z1"), offer(&mut bench, "z2"));
    assert_ne!(bench.leg_of(&one).port, bench.leg_of(&two).port);
    assert_eq!(offer(&mut bench, "z2").replace(" 1 IN", ""), two.replace(" 1 IN", ""));
    assert_eq!(bench.legs.len(), 3);
    let body = sdp(6_000, "8");
    let named = [
        ("call-id", "c"),
        ("from-tag", "a"),
        ("to-tag", "b2"),
        ("via-branch", "z2"),
        ("sdp", &*body),
    ];
    let back = bench.ask("answer", &named).sdp();
    assert_eq!(
        bench.leg_of(&two).partner,
        bench
            .legs
            .iter()
            .find(|(_, leg)| leg.port == bench.leg_of(&back).port)
            .map(|(id, _)| *id)
    );
    assert_eq!(bench.leg_of(&one).partner, None);
    let delete = [("call-id", "c"), ("from-tag", "a"), ("via-branch", "z1")];
    assert_eq!(bench.ask("delete", &delete).get("result"), "ok");
    assert_eq!(bench.legs.len(), 2);
    assert!(bench.ended().is_empty() && bench.leg_of(&two).partner.is_some());
    // The last branch is the call.
    let delete = [("call-id", "c"), ("from-tag", "a"), ("via-branch", "z2")];
    assert_eq!(bench.ask("delete", &delete).get("result"), "ok");
    bench.is_clean();
}

#[test]
fn an_offer_that_cannot_be_done_is_refused_and_leaves_nothing() {
    let mut bench = Bench::new();
    let offers: [(&str, &str, &str); 9] = [
        ("", "", "The body does not begin with v=0, so it is not SDP."),
        (
            "v=0\r\nm=image 9 udptl t38\r\n",
            "",
            "The offer has no audio stream, and this node speaks nothing else.",
        ),
        (
            &sdp(4_000, "18"),
            "",
            "The offer names no codec that this side of the call may use.",
        ),
        (
            &sdp(4_000, "8").replace("RTP/AVP", "UDP/TLS/RTP/SAVP"),
            "",
            "The audio stream is SRTP with keys by DTLS, this side of the call takes them by a=crypto (RTP/SAVP and RTP/SAVPF).",
        ),
        (
            &sdp(4_000, "8"),
            "UDP/TLS/RTP/SAVP",
            "DTLS-SRTP is not offered on this node: transport-protocol may be RTP/AVP or RTP/SAVP.",
        ),
        (
            &sdp(4_000, "8"),
            "transport-protocol=RTP/AVPF",
            "RTCP feedback is not offered on this node: transport-protocol may be RTP/AVP or RTP/SAVP.",
        ),
        (
            &sdp(4_000, "8"),
            "transport-protocol=what",
            "The transport-protocol \"what\" is not offered on this node.",
        ),
        (
            &sdp(4_000, "8"),
            "RTP/SAVP SDES-off",
            "SDES is switched off, and this node has no other way to agree on keys for SRTP.",
        ),
        (
            &sdp(4_000, "8"),
            "address-family=IP6",
            "This node has no IPv6 address for media.",
        ),
    ];
    for (body, flags, expected) in offers {
        let body = if body.is_empty() { "junk" } else { body };
        assert_eq!(bench.offer(body, flags).why(), expected);
    }
    bench.is_clean();
    let refused = |fact: &Fact| matches!(fact, Fact::NgRefused { .. });
    assert_eq!(bench.facts.len(), offers.len());
    assert!(bench.facts.iter().all(refused), "{:?}", bench.facts);
}

#[test]
fn an_answer_that_fits_nothing_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let answer = |bench: &mut Bench, from: &str, body: &str| {
        let named = [("call-id", "c"), ("from-tag", from), ("to-tag", "b"), ("sdp", body)];
        bench.ask("answer", &named).why()
    };
    assert_eq!(answer(&mut bench, "a", &sdp(5_000, "8")), "Unknown call-id");
    bench.offer(&sdp(4_000, "8"), "");
    assert_eq!(
        answer(&mut bench, "x", &sdp(5_000, "8")),
        "Nobody with this from-tag has offered anything in this call."
    );
    assert_eq!(
        answer(&mut bench, "a", &sdp(5_000, "18")),
        "The answer names no codec that was offered."
    );
    assert_eq!(
        answer(&mut bench, "a", &sdp(0, "8")),
        "The peer refused the audio stream: its answer says port 0."
    );
    // After all that the right one is good.
    assert!(bench.answer(&sdp(5_000, "8"), "").sdp().contains("m=audio"));
}

#[test]
fn a_command_that_comes_again_is_not_done_again() {
    let mut bench = Bench::new();
    let body = sdp(4_000, "8");
    let octets = command_octets("77_1", "offer", &[("call-id", "c"), ("from-tag", "a"), ("sdp", &body)]);
    bench.datagram(&octets);
    bench.datagram(&octets);
    assert_eq!((bench.said.len(), bench.legs.len()), (2, 2));
    assert_eq!(bench.said[0], bench.said[1]);
    // Of another proxy it is another one.
    bench.datagram_of("127.0.0.2:9000", &octets);
    assert!(Answer::read("77_1", &bench.said[2].1).sdp().contains("m=audio"));
    bench.wait(Duration::from_secs(11));
    bench.datagram(&octets);
    assert_eq!((bench.said.len(), bench.legs.len()), (4, 2));
}

#[test]
fn a_source_that_is_not_allowed_hears_nothing_and_is_counted() {
    let mut bench = Bench::new();
    for peer in ["192.0.2.9:9000", "[2001:db8::1]:9000"] {
        bench.datagram_of(peer, b"1_1 d7:command4:pinge");
    }
    assert!(bench.said.is_empty());
    bench.wait(Duration::from_secs(61));
    assert!(
        matches!(bench.facts[..], [Fact::Cut { count: 2, .. }]),
        "{:?}",
        bench.facts
    );
    bench.datagram_of("[::1]:9000", b"1_1 d7:command4:pinge");
    assert_eq!(bench.said.len(), 1);
    // Without a cookie nobody can be answered.
    bench.datagram(b"d7:command4:pinge");
    assert_eq!(bench.said.len(), 1);
    bench.is_clean();
}

#[test]
fn who_signals_from_elsewhere_than_he_describes_may_send_from_there() {
    let mut bench = Bench::new();
    bench.offer(&sdp(4_000, "8"), "received-from=198.51.100.7");
    bench.answer(&sdp(5_000, "8"), "received-from=198.51.100.8 SIP-source-address");
    let remotes: Vec<_> = bench.legs.values().map(|leg| leg.remote.unwrap()).collect();
    let [a, b] = remotes[..] else { panic!("two legs") };
    assert_eq!(
        (a.rtp, a.signalling),
        ("192.0.2.99:4000".parse().unwrap(), "198.51.100.7".parse().unwrap())
    );
    assert_eq!(
        (b.rtp, b.signalling),
        ("198.51.100.8:5000".parse().unwrap(), "198.51.100.8".parse().unwrap())
    );
}

#[test]
fn the_proxy_may_say_which_address_is_written() {
    let yaml =
        "listen: [ \"udp://192.0.2.1:5060\", \"udp://[2001:db8::1]:5060\" ]\nng: { listen: \"127.0.0.1:2223\" }\n";
    let mut bench = Bench::with_config(yaml);
    let to_b = bench.offer(&sdp(4_000, "8"), "address-family=IP6").sdp();
    assert!(to_b.contains("c=IN IP6 2001:db8::1\r\n"), "{to_b}");
    assert!(bench.leg_of(&to_b).v6);
    let body = sdp(5_000, "8").replace("IP4 192.0.2.99", "IP6 2001:db8::99");
    let to_a = bench.answer(&body, "").sdp();
    assert!(
        to_a.contains("c=IN IP4 192.0.2.1\r\n") && !bench.leg_of(&to_a).v6,
        "{to_a}"
    );
    let mut bench = Bench::new();
    let to_b = bench
        .offer(&sdp(4_000, "8"), "media-address=203.0.113.4 direction=internal")
        .sdp();
    assert!(to_b.contains("c=IN IP4 203.0.113.4\r\n"), "{to_b}");
    // What is not heeded is told, once.
    bench.offer(&sdp(4_000, "8"), "direction=internal");
    let unheeded = bench
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::NgUnheeded { .. }))
        .count();
    assert_eq!(unheeded, 1);
}

#[test]
fn multiplexed_rtcp_is_answered_unless_it_is_to_be_refused() {
    for (flags, is_muxed) in [("", true), ("rtcp-mux-demux", true), ("rtcp-mux-reject", false)] {
        let mut bench = Bench::new();
        let (to_b, to_a) = bench.call(
            "8\na=rtcp-mux\na=ice-ufrag:x\na=candidate:1 1 UDP 1 192.0.2.99 4000 typ host",
            flags,
            "8",
        );
        assert_eq!(
            (to_a.contains("a=rtcp-mux"), to_b.contains("a=rtcp-mux")),
            (is_muxed, false),
            "{flags}"
        );
        assert_eq!(bench.leg_of(&to_a).remote.unwrap().rtcp_mux, is_muxed);
        assert!(
            !to_b.contains("ice") && !to_b.contains("candidate") && !to_a.contains("ice"),
            "{to_b}"
        );
    }
}

#[test]
fn a_stream_of_another_kind_is_refused_in_its_place() {
    let mut bench = Bench::new();
    let body = format!(
        "{}m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
        sdp(4_000, "8")
    );
    let to_b = bench.offer(&body, "").sdp();
    assert_eq!(Session::parse(to_b.as_bytes()).unwrap().media.len(), 1);
    let to_a = bench.answer(&sdp(5_000, "8"), "").sdp();
    let session = Session::parse(to_a.as_bytes()).unwrap();
    assert_eq!((session.media.len(), session.media[1].port), (2, 0));
    assert_eq!(session.direction(&session.media[0]), Direction::SendRecv);
}
