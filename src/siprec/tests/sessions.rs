//! How a session begins, and what a server is told then.

use super::*;

#[test]
fn the_server_is_called_with_two_streams_and_who_speaks_on_them() {
    let mut bench = Bench::new("");
    bench.record(&subject());
    let invite = bench.take("INVITE");
    assert_eq!(invite.request_uri().unwrap().to_string(), "sip:srs@192.0.2.9");
    assert_eq!(
        invite.get(Name::Contact).unwrap(),
        "<sip:tandem@192.0.2.1:5060>;+sip.src"
    );
    assert_eq!(invite.get(Name::Require).unwrap(), "siprec");
    assert!(
        invite
            .get(Name::From)
            .unwrap()
            .starts_with("<sip:tandem@192.0.2.1>;tag=")
    );
    assert_eq!(invite.get(Name::To).unwrap(), "<sip:srs@192.0.2.9>");
    for accepted in ["multipart/mixed", "application/sdp", "application/rs-metadata+xml"] {
        assert!(invite.has_token(Name::Accept, accepted), "{accepted}");
    }
    let (description, metadata) = body(&invite);
    let ports: Vec<u16> = description.media.iter().map(|media| media.port).collect();
    let opened: Vec<u16> = bench.legs.values().map(|leg| leg.port).collect();
    assert_eq!((ports.len(), &ports), (2, &opened));
    for (media, label) in description.media.iter().zip(["1", "2"]) {
        assert_eq!(media.attribute("label"), Some(label));
        assert_eq!(
            (description.direction(media).as_str(), &media.formats[..]),
            ("sendonly", &["8".into()][..])
        );
    }
    assert!(metadata.contains("aor=\"sip:alice@example.com\"") && metadata.contains("<name>Alice</name>"));
    assert_eq!(bench.copies(), [(None, false); 2], "nothing goes out before the answer");
    bench.respond(&invite, 180, "");
    bench.respond(&invite, 200, &answer(40_000, &["recvonly", "recvonly"]));
    let ack = bench.take("ACK");
    assert_eq!(ack.get(Name::CSeq).unwrap(), "1 ACK");
    assert_eq!(
        bench.copies(),
        [(Some(MediaLegId(1_000)), true), (Some(MediaLegId(1_001)), true)]
    );
    let to: Vec<u16> = bench.legs.values().map(|leg| leg.to.unwrap().port()).collect();
    assert_eq!(to, [40_000, 40_002]);
    for stream in bench.legs.values().map(|leg| leg.stream.unwrap()) {
        assert!(!stream.receives && stream.events_rx.is_none() && !stream.has_tones_rx());
    }
    // A copy of the 2xx is owed an ACK.
    bench.respond(&invite, 200, &answer(40_000, &["recvonly", "recvonly"]));
    bench.take("ACK");
    bench.pass(Duration::from_secs(7));
    bench.stop();
    let bye = bench.take("BYE");
    assert!(bench.legs.is_empty());
    assert_eq!(bench.ended(), Some((7_000, None)));
    bench.respond(&bye, 200, "");
    bench.finish();
}

#[test]
fn each_side_keeps_its_codec_whatever_the_server_prefers() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    for (speaker, codec) in subject.speakers.iter_mut().flatten().zip([Codec::Opus, Codec::G722]) {
        speaker.codec = codec;
    }
    bench.record(&subject);
    let invite = bench.take("INVITE");
    let (description, _) = body(&invite);
    let formats: Vec<_> = description.media.iter().map(|media| media.formats.clone()).collect();
    assert_eq!(formats, [["96"], ["9"]]);
    let other = answer(40_000, &["recvonly", "recvonly"]).replacen(
        "RTP/AVP 8 0 9",
        "RTP/AVP 111\r\na=rtpmap:111 opus/48000/2",
        1,
    );
    bench.respond(&invite, 200, &other);
    bench.take("ACK");
    let streams: Vec<(Codec, u8)> = bench
        .legs
        .values()
        .map(|leg| leg.stream.unwrap())
        .map(|s| (s.codec, s.payload_type_tx))
        .collect();
    assert_eq!(streams, [(Codec::Opus, 111), (Codec::G722, 9)]);
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 481, "");
    bench.finish();
}

#[test]
fn a_server_may_take_one_side_only_or_be_ready_later() {
    let mut bench = Bench::new("");
    let invite = {
        bench.record(&subject());
        let invite = bench.take("INVITE");
        bench.respond(&invite, 200, &answer(40_000, &["refused", "inactive"]));
        bench.take("ACK");
        invite
    };
    let told = |bench: &Bench, what: &str| {
        bench
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::CallChanged { what: said, .. } if said.contains(what)))
    };
    assert!(told(&bench, "takes one side only"), "{:?}", bench.facts);
    assert_eq!(bench.copies(), [(None, false), (Some(MediaLegId(1_001)), false)]);
    // RFC 7866 7.2, figure 7.
    bench.ask(
        &invite,
        Method::Invite,
        Some(("application/sdp", &answer(40_000, &["recvonly", "recvonly"]))),
    );
    let ok = bench.take("200");
    assert!(ok.get(Name::Contact).unwrap().ends_with(";+sip.src"));
    let description = Session::parse(&ok.body()).unwrap().into_owned();
    let said: Vec<_> = description
        .media
        .iter()
        .map(|media| (description.direction(media).as_str(), media.attribute("label")))
        .collect();
    assert_eq!(said, [("sendonly", Some("1")), ("sendonly", Some("2"))]);
    assert_eq!(
        bench.copies(),
        [(Some(MediaLegId(1_000)), true), (Some(MediaLegId(1_001)), true)]
    );
    bench.acknowledge(&invite, "");
    // One stream more than ours is refused in its place.
    bench.ask(
        &invite,
        Method::Update,
        Some((
            "application/sdp",
            &answer(40_000, &["recvonly", "inactive", "recvonly"]),
        )),
    );
    let ok = bench.take("200");
    let description = Session::parse(&ok.body()).unwrap().into_owned();
    assert_eq!(description.media.len(), 3);
    assert_eq!(description.media[2].port, 0);
    assert_eq!(bench.copies()[1], (Some(MediaLegId(1_001)), false));
    // One that has lost a stream is no description of this session.
    bench.ask(
        &invite,
        Method::Update,
        Some(("application/sdp", &answer(40_000, &["recvonly"]))),
    );
    bench.take("488");
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    bench.finish();
}

/// It is no description of what was offered, but the session goes on with what there is.
#[test]
fn an_answer_with_one_stream_only_holds_nothing_up() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    bench.record(&subject);
    let invite = bench.take("INVITE");
    bench.respond(&invite, 200, &answer(40_000, &["recvonly"]));
    bench.take("ACK");
    assert_eq!(bench.copies(), [(Some(MediaLegId(1_000)), true), (None, false)]);
    subject.speakers[0].as_mut().unwrap().hears = false;
    bench.record(&subject);
    let again = bench.take("INVITE");
    bench.respond(&again, 200, &answer(40_000, &["recvonly", "recvonly"]));
    bench.take("ACK");
    assert_eq!(bench.copies()[1], (Some(MediaLegId(1_001)), true));
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    bench.finish();
}

#[test]
fn with_srtp_the_streams_have_keys_of_their_own() {
    let mut bench = Bench::new("srtp: required,");
    bench.record(&subject());
    let invite = bench.take("INVITE");
    let (description, _) = body(&invite);
    let keys: Vec<&str> = description
        .media
        .iter()
        .filter_map(|media| media.attribute("crypto"))
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    assert!(description.media.iter().all(|media| media.proto.as_str() == "RTP/SAVP"));
    // One that answers in the clear gets nothing.
    bench.respond(&invite, 200, &answer(40_000, &["recvonly", "recvonly"]));
    bench.take("ACK");
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    assert_eq!(bench.lost.len(), 1);
    assert!(
        bench.lost[0].why.contains("takes none of the streams"),
        "{:?}",
        bench.lost
    );
    let mut second = subject();
    second.recording.number = 2;
    bench.record(&second);
    let invite = bench.take("INVITE");
    let theirs = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let secure = answer(40_000, &["recvonly", "recvonly"])
        .replace("RTP/AVP", "RTP/SAVP")
        .replace("a=recvonly\r\n", &format!("a=recvonly\r\n{theirs}"));
    bench.respond(&invite, 200, &secure);
    bench.take("ACK");
    assert!(bench.legs.values().all(|leg| leg.is_protected && leg.copies.is_some()));
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    bench.finish();
}

/// RFC 3263 4.3: the next server of the name, with the same Call-ID.
#[test]
fn the_next_server_is_tried_where_one_is_not_there() {
    for is_silent in [true, false] {
        let mut bench = Bench::new("server: \"sip:srs@rec.example\",");
        bench.record(&subject());
        let (peer, first) = bench.inbox.pop_front().unwrap();
        match is_silent {
            true => {
                bench.pass(Duration::from_secs(33));
                bench.inbox.retain(|(other, _)| *other != peer);
            }
            false => {
                bench.respond_as(&peer.to_string(), &first, 503, "", "busy");
                bench.take("ACK");
            }
        }
        let (other, second) = bench.inbox.pop_front().unwrap();
        assert!(other != peer && second.method() == Method::Invite);
        assert_eq!(second.call_id(), first.call_id());
        assert_eq!(body(&second).0.media[0].port, body(&first).0.media[0].port);
        bench.stop();
        bench.pass(Duration::from_secs(64));
        bench.inbox.clear();
        let early = "the call ended before the server answered".to_owned();
        assert_eq!((bench.ended(), bench.lost.len()), (Some((0, Some(early))), 0));
        bench.finish();
    }
}
