//! Offers and answers as tables.

use super::*;
use crate::sdp::complete;

fn local() -> Local {
    Local {
        addr: "192.0.2.10".parse().unwrap(),
        port: 20_000,
        session_id: 7,
        version: 1,
        direction: Direction::SendRecv,
    }
}

fn peer() -> Local {
    Local {
        addr: "192.0.2.20".parse().unwrap(),
        port: 30_000,
        session_id: 9,
        version: 1,
        direction: Direction::SendRecv,
    }
}

fn speaks(codecs: &[Codec]) -> Capabilities {
    Capabilities {
        codecs: codecs.into(),
        events: true,
        ptime_ms: 20,
        opus: OpusParams::default(),
        gain: Gains::default(),
        comfort_noise: false,
        security: None,
        webrtc: None,
    }
}

fn all() -> Capabilities {
    speaks(&[Codec::Opus, Codec::Pcma, Codec::Pcmu])
}

fn read(body: &str) -> Session<'static> {
    Session::parse(body.as_bytes()).unwrap().into_owned()
}

/// An offer of `m=audio 4000 RTP/AVP FORMATS` from 192.0.2.20 with more lines.
fn audio(rest: &str) -> Session<'static> {
    read(&format!(
        "v=0\no=- 1 1 IN IP4 192.0.2.20\ns=-\nc=IN IP4 192.0.2.20\nt=0 0\nm=audio 4000 RTP/AVP {rest}"
    ))
}

fn answered<'t>(offer: &Session<'t>, capabilities: &Capabilities) -> (Session<'t>, Agreed) {
    answer(offer, &local(), capabilities, peer().addr).unwrap()
}

fn refused(offer: &Session<'_>) -> &'static str {
    let error = answer(offer, &local(), &all(), peer().addr).unwrap_err();
    assert_eq!(error.status(), 488, "{}", error.reason());
    error.reason()
}

const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\n";

#[test]
fn an_offer_is_written_in_full() {
    assert_eq!(
        offer(&local(), &all(), None).to_string(),
        "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 96 8 0 101 102\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 minptime=10;useinbandfec=1\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=rtpmap:102 telephone-event/48000\r\na=fmtp:102 0-15\r\na=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\n\
         a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n"
    );
    let v6 = Local {
        addr: "2001:db8::1".parse().unwrap(),
        ..local()
    };
    let silent = Capabilities {
        events: false,
        ..speaks(&[Codec::Pcmu, Codec::Pcmu])
    };
    let written = offer(&v6, &silent, None).to_string();
    assert!(
        written.contains("c=IN IP6 2001:db8::1\r\n") && written.contains("m=audio 20000 RTP/AVP 0\r\n"),
        "{written}"
    );
}

#[test]
fn the_first_codec_of_ours_that_is_offered_is_answered_alone_with_its_events() {
    let offer = audio(
        "8 0 13 111 101 110\na=rtpmap:111 OPUS/48000/2\na=fmtp:111 useinbandfec=1\n\
        a=rtpmap:101 telephone-event/8000\na=rtpmap:110 telephone-event/48000\n",
    );
    for (ours, formats, event) in [
        (all(), "111 110", Some((110, 48_000))),
        (speaks(&[Codec::Pcmu, Codec::Opus]), "0 101", Some((101, 8_000))),
        (
            Capabilities {
                events: false,
                ..speaks(&[Codec::Pcma])
            },
            "8",
            None,
        ),
    ] {
        let (session, agreed) = answered(&offer, &ours);
        assert_eq!(session.media[0].formats.join(" "), formats);
        assert!(!agreed.stream.comfort_noise);
        assert_eq!(agreed.stream.codec, ours.codecs[0]);
        assert_eq!(agreed.stream.events_tx.map(|e| (e.payload_type, e.clock)), event);
        assert_eq!(agreed.stream.events_rx, agreed.stream.events_tx);
    }
}

#[test]
fn opus_takes_narrowband_events_where_there_are_no_others() {
    let (session, agreed) = answered(&audio(&format!("96 101\na=rtpmap:96 opus/48000/2\n{EVENTS}")), &all());
    assert_eq!(session.media[0].formats, ["96", "101"]);
    assert_eq!(
        agreed.stream.events_tx,
        Some(EventFormat {
            payload_type: 101,
            clock: 8_000
        })
    );
    let (_, without) = answered(
        &audio("96 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/16000\n"),
        &all(),
    );
    assert_eq!(without.stream.events_tx, None);
}

/// Comfort noise is offered and answered where it is configured, beside G.711 alone, and is there where both sides name it.
#[test]
fn comfort_noise_is_there_where_both_sides_name_it() {
    let ours = Capabilities {
        comfort_noise: true,
        ..speaks(&[Codec::Pcma, Codec::Opus])
    };
    let (said, agreed) = answered(&audio("8 13\n"), &ours);
    assert!(agreed.stream.comfort_noise && said.to_string().contains("a=rtpmap:13 CN/8000\r\n"));
    assert_eq!(said.media[0].formats.join(" "), "8 13");
    let (_, agreed) = answered(&audio("111 13\na=rtpmap:111 opus/48000/2\n"), &ours);
    assert!(!agreed.stream.comfort_noise, "Opus has none");
    let offered = offer(&local(), &ours, None);
    assert_eq!(offered.media[0].formats.join(" "), "8 96 101 102 13");
    let of = |answer: &str| {
        let agreed = complete(&offered, &audio(answer), &local(), &ours, peer().addr).unwrap();
        agreed.stream.comfort_noise
    };
    assert!(of("8 13\n") && !of("8\n"));
    let plain = speaks(&[Codec::Pcma]);
    let (_, agreed) = answered(&audio("8 13\n"), &plain);
    assert!(!agreed.stream.comfort_noise, "it is not configured");
}

#[test]
fn the_payload_types_of_an_answer_may_differ_from_those_of_the_offer() {
    let ours = offer(&local(), &all(), None);
    let answer = audio(
        "120 126\na=rtpmap:120 opus/48000/2\na=fmtp:120 maxaveragebitrate=12000\na=rtpmap:126 telephone-event/48000\n",
    );
    let agreed = complete(&ours, &answer, &local(), &all(), peer().addr).unwrap();
    let Stream {
        codec,
        payload_type_tx,
        payload_type_rx,
        events_tx,
        events_rx,
        opus,
        ..
    } = agreed.stream;
    assert_eq!((codec, payload_type_tx, payload_type_rx), (Codec::Opus, 120, 96));
    assert_eq!(
        (events_tx.unwrap().payload_type, events_rx.unwrap().payload_type),
        (126, 102)
    );
    assert_eq!((opus.bitrate, opus.fec), (12_000, false));
}

#[test]
fn an_answer_is_read_with_its_first_codec_and_refused_for_a_reason() {
    let ours = offer(&local(), &all(), None);
    let done = |answer: &Session<'_>| complete(&ours, answer, &local(), &all(), peer().addr);
    assert_eq!(done(&audio("18 0 8\n")).unwrap().stream.codec, Codec::Pcmu);
    // 96 without its map is what we offered as 96.
    assert_eq!(done(&audio("96\n")).unwrap().stream.codec, Codec::Opus);
    let video = read("v=0\nc=IN IP4 192.0.2.20\nm=video 4000 RTP/AVP 31\n");
    for (answer, status) in [
        (read("v=0\n"), 400),
        (video, 400),
        (read("v=0\nc=IN IP4 192.0.2.20\nm=audio 0 RTP/AVP 0\n"), 488),
        (read("v=0\nc=IN IP4 192.0.2.20\nm=audio 4000 RTP/SAVP 0\n"), 488),
        (read("v=0\nm=audio 4000 RTP/AVP 0\n"), 400),
        (audio("18\n"), 488),
    ] {
        assert_eq!(done(&answer).unwrap_err().status(), status, "{answer}");
    }
}

#[test]
fn every_other_m_line_is_refused_in_its_place() {
    let offer = read(
        "v=0\no=- 1 1 IN IP4 192.0.2.20\nc=IN IP4 192.0.2.20\nt=5 6\nm=image 6000 udptl t38\na=T38FaxVersion:0\n\
        m=audio 3998 RTP/SAVP 0\nm=audio 4000 RTP/AVPF 0\nm=audio 4002 RTP/AVP 8\nm=video 4004/2 RTP/AVP 31 32\n\
        m=application 4006 UDP/DTLS/SCTP webrtc-datachannel\nm=message 4008 TCP/MSRP *\nm=video 0 RTP/AVP\n",
    );
    let (first, agreed) = answered(&offer, &all());
    let heads = |session: &Session<'_>| -> Vec<String> {
        session
            .media
            .iter()
            .map(|m| format!("{} {} {} {}", m.kind, m.port, m.proto.as_str(), m.formats.join(" ")))
            .collect()
    };
    let mut expected = vec![
        "image 0 udptl t38",
        "audio 0 RTP/SAVP 0",
        "audio 20000 RTP/AVPF 0",
        "audio 0 RTP/AVP 8",
        "video 0 RTP/AVP 31 32",
        "application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "message 0 TCP/MSRP *",
        "video 0 RTP/AVP 0",
    ];
    assert_eq!(heads(&first), expected);
    assert!(
        first
            .media
            .iter()
            .all(|media| media.port != 0 || media.attributes.is_empty())
    );
    assert_eq!(
        first.lines,
        [Line {
            kind: 't',
            value: "5 6".into()
        }]
    );
    assert_eq!(agreed.remote.rtp, "192.0.2.20:4000".parse().unwrap());
    // Our later offer keeps them all, and our profile.
    let again = super::offer(&local(), &speaks(&[Codec::Pcmu]), Some(&first));
    expected[2] = "audio 20000 RTP/AVPF 0 101";
    assert_eq!(heads(&again), expected);
}

#[test]
fn what_cannot_be_taken_says_why() {
    assert!(refused(&read("v=0\n")).contains("no audio"));
    assert!(refused(&read("v=0\nm=video 4 RTP/AVP 31\n")).contains("no audio"));
    assert!(refused(&audio("18 4\n")).contains("no codec"));
    let c = "v=0\nc=IN IP4 192.0.2.20\n";
    assert!(refused(&read(&format!("{c}m=audio 4 RTP/SAVP 0\n"))).contains("SRTP"));
    assert!(refused(&read(&format!("{c}m=audio 4 UDP/TLS/RTP/SAVPF 0\n"))).contains("SRTP"));
    assert!(refused(&read(&format!("{c}m=audio 4 TCP/RTP/AVP 0\n"))).contains("transport"));
    for (address, why) in [
        ("IN IP4 host.example.com", "host name"),
        ("IN IP4 224.2.1.1/127", "one receiver"),
        ("ATM - -", "one receiver"),
        ("IN IP4 224.2.1.1", "multicast"),
        ("IN IP4 255.255.255.255", "broadcast"),
        ("IN IP6 2001:db8::1", "IP versions"),
    ] {
        assert!(
            refused(&read(&format!("v=0\nc={address}\nm=audio 4 RTP/AVP 0\n"))).contains(why),
            "{address}"
        );
    }
    let bare = read("v=0\nm=audio 4 RTP/AVP 0\n");
    assert_eq!(answer(&bare, &local(), &all(), peer().addr).unwrap_err().status(), 400);
    // T.38 in place of the audio: 488 keeps the call as it is.
    assert!(refused(&read(&format!("{c}m=audio 0 RTP/AVP 0\nm=image 9 udptl t38\n"))).contains("no audio"));
}

#[test]
fn keys_beside_plain_rtp_are_left_alone() {
    let offer = audio("0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\na=fingerprint:sha-256 AA\n");
    let (session, _) = answered(&offer, &all());
    assert_eq!(session.media[0].attribute("crypto"), None);
    assert_eq!(offer.media[0].attribute("fingerprint"), Some("sha-256 AA"));
}

#[test]
fn a_stream_that_ends_is_answered_in_kind_and_comes_back() {
    let ended = read("v=0\nc=IN IP4 192.0.2.20\nm=video 0 RTP/AVP 31\nm=audio 0 RTP/AVP 0\n");
    let (session, agreed) = answered(&ended, &all());
    assert!(session.media.iter().all(|media| media.port == 0));
    assert_eq!(
        (agreed.direction, agreed.stream.sends, agreed.stream.receives),
        (Direction::Inactive, false, false)
    );
    let again = offer(&local(), &all(), Some(&session));
    assert_eq!((again.media.len(), again.media[1].port), (2, 20_000));
}

#[test]
fn rtcp_mux_is_answered_but_not_offered_before_it_is_agreed() {
    for (rest, mux) in [("0\na=rtcp-mux\n", true), ("0\n", false)] {
        let (session, agreed) = answered(&audio(rest), &all());
        let again = offer(&local(), &all(), Some(&session));
        let completed = complete(&again, &audio("0\na=rtcp-mux\n"), &local(), &all(), peer().addr).unwrap();
        let written = |session: &Session<'_>| session.media[0].attribute("rtcp-mux").is_some();
        assert_eq!((written(&session), agreed.remote.rtcp_mux), (mux, mux));
        assert_eq!((written(&again), completed.remote.rtcp_mux), (mux, mux));
    }
}

#[test]
fn later_offers_keep_payload_types_and_say_when_nothing_changed() {
    let theirs = audio("111 0 96\na=rtpmap:111 opus/48000/2\na=rtpmap:96 telephone-event/48000\n");
    let (first, _) = answered(&theirs, &all());
    let later = offer(&Local { version: 2, ..local() }, &all(), Some(&first));
    assert_eq!(later.media[0].formats, ["111", "8", "0", "101", "96"]);
    assert!(!later.same_but_version(&first));
    let mut again = offer(&Local { version: 3, ..local() }, &all(), Some(&later));
    assert!(again.same_but_version(&later) && again != later);
    again.set_version(2);
    assert_eq!(again, later);
    let moved = offer(
        &Local {
            port: 20_002,
            ..local()
        },
        &all(),
        Some(&later),
    );
    assert!(!moved.same_but_version(&later));
}

#[test]
fn ipv6_and_streams_with_their_own_address() {
    let v6 = Local {
        addr: "2001:db8::1".parse().unwrap(),
        ..local()
    };
    let theirs = read("v=0\nc=IN IP4 192.0.2.20\nm=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::2\n");
    let (session, agreed) = answer(&theirs, &v6, &all(), peer().addr).unwrap();
    assert_eq!(agreed.remote.rtp, "[2001:db8::2]:4000".parse().unwrap());
    assert_eq!(agreed.remote.signalling, peer().addr);
    assert!(session.to_string().contains("c=IN IP6 2001:db8::1\r\n"));
    assert_eq!(theirs.audio_address(), Some("2001:db8::2".parse().unwrap()));
    let held = read("v=0\nc=IN IP6 ::\nm=audio 4000 RTP/AVP 0\n");
    assert!(
        answer(&held, &v6, &all(), peer().addr)
            .unwrap()
            .1
            .remote
            .rtp
            .ip()
            .is_unspecified()
    );
}

#[test]
fn the_codecs_of_a_description_in_its_order() {
    let theirs = audio("13 8 96 0 8 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 opus/48000/2\n");
    assert_eq!(theirs.audio_codecs(), [Codec::Pcma, Codec::Opus, Codec::Pcmu]);
    assert_eq!(read("v=0\nm=audio 0 RTP/AVP 0\n").audio_codecs(), []);
}
