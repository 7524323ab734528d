//! SDP (RFC 4566, 8866) and offer/answer (RFC 3264): descriptions of real implementations and of the RFCs, the published
//! examples as an oracle, and both ends of a negotiation against each other.

use codecs::{Codec, Rate};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use tandem::media::command::OpusParams;
use tandem::sdp::codec::{Payload, formats};
use tandem::sdp::{Agreed, Capabilities, Direction, Local, Media, Session, answer, complete, offer};

use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};

fn local() -> Local {
    Local {
        addr: addr(10),
        port: 20_000,
        session_id: 7,
        version: 1,
        direction: SendRecv,
    }
}

fn peer() -> Local {
    Local {
        addr: addr(20),
        port: 30_000,
        session_id: 9,
        version: 1,
        direction: SendRecv,
    }
}

fn addr(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn speaks(codecs: &[Codec]) -> Capabilities {
    Capabilities {
        codecs: codecs.into(),
        events: true,
        ptime_ms: 20,
        opus: OpusParams::default(),
        gain: Default::default(),
        comfort_noise: false,
        security: None,
        webrtc: None,
    }
}

fn all() -> Capabilities {
    speaks(&[Codec::Opus, Codec::Pcma, Codec::Pcmu])
}

fn read(body: &str) -> Session<'static> {
    let session = Session::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{body}"));
    session.into_owned()
}

/// An offer of `m=audio 4000 RTP/AVP FORMATS` with more lines.
fn audio(rest: &str) -> Session<'static> {
    read(&format!(
        "v=0\no=- 1 1 IN IP4 192.0.2.20\ns=-\nc=IN IP4 192.0.2.20\nt=0 0\nm=audio 4000 RTP/AVP {rest}"
    ))
}

/// Every `.sdp` file below `fixtures/sdp`, by its path there.
fn fixtures() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sdp");
    let mut folders = vec![root.clone()];
    let mut files = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the fixtures are there") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sdp") {
                let name = path
                    .strip_prefix(&root)
                    .expect("below the root")
                    .to_string_lossy()
                    .into_owned();
                files.insert(name, std::fs::read(&path).expect("a readable fixture"));
            }
        }
    }
    files
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sdp").join(name);
    std::fs::read_to_string(path).expect("a readable fixture")
}

/// Fixtures that are no descriptions, and a word of the reason that each gets: three begin with comments, the ATM ports of RFC 3108
/// are names, that of RFC 6871 is 66544, and those of RFC 8839 are placeholders.
const NOT_SDP: [(&str, &str); 9] = [
    ("mozilla-webrtc-sdp/03.sdp", "v=0"),
    ("mozilla-webrtc-sdp/08.sdp", "v=0"),
    ("mozilla-webrtc-sdp/11.sdp", "v=0"),
    ("rfc/rfc3108/001.sdp", "port"),
    ("rfc/rfc3108/002.sdp", "port"),
    ("rfc/rfc3108/003.sdp", "port"),
    ("rfc/rfc6871/003.sdp", "port"),
    ("rfc/rfc8839/002.sdp", "port"),
    ("rfc/rfc8839/004.sdp", "port"),
];

#[test]
fn published_descriptions_parse_and_write_back_and_are_answered_or_refused() {
    let files = fixtures();
    assert_eq!(files.len(), 268);
    let mut refused = Vec::new();
    for (name, body) in &files {
        match Session::parse(body) {
            Ok(session) => {
                let written = session.to_string();
                assert_eq!(Session::parse(written.as_bytes()).as_ref(), Ok(&session), "{name}");
                if let Ok((ours, agreed)) = answer(&session, &local(), &all(), addr(20)) {
                    assert_eq!(ours.media.len(), session.media.len(), "{name}");
                    assert!(ours.media.iter().filter(|media| media.port != 0).count() <= 1, "{name}");
                    assert!(!agreed.remote.rtp.ip().is_multicast(), "{name}");
                }
            }
            Err(error) => {
                assert_eq!(error.status(), 400, "{name}");
                refused.push((name.as_str(), error.reason()));
            }
        }
    }
    assert_eq!(
        refused.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        NOT_SDP.map(|(name, _)| name),
        "{refused:#?}"
    );
    for ((name, why), (_, reason)) in NOT_SDP.iter().zip(&refused) {
        assert!(reason.contains(why), "{name}: {reason}");
    }
}

#[test]
fn every_prefix_of_a_description_is_read_or_refused() {
    for name in [
        "sdp-transform/normal.sdp",
        "sdp-transform/jsep.sdp",
        "rfc/rfc4317/015.sdp",
    ] {
        let body = fixture(name);
        for end in 0..body.len() {
            if let Ok(session) = Session::parse(&body.as_bytes()[..end]) {
                let _ = answer(&session, &local(), &all(), addr(20));
            }
        }
    }
}

/// The examples name hosts and iLBC where we need addresses and a codec of ours.
fn adapted(name: &str) -> Session<'static> {
    let body = fixture(name).replace("iLBC/8000", "opus/48000/2");
    let lines = body.lines().map(|line| match line.rsplit_once(' ') {
        Some((head, host)) if line.starts_with("c=") && host.ends_with(".com") => {
            format!("{head} 192.0.2.{}", host.len())
        }
        _ => line.to_owned(),
    });
    read(&lines.collect::<Vec<_>>().join("\n"))
}

/// The codecs of a published answer that were offered: in 3.2 the answer adds one, as RFC 3264 6.1 allows.
fn common(offered: &Session<'_>, answer: &Session<'_>) -> Vec<Codec> {
    let answered = answer.audio_codecs().into_iter();
    answered
        .filter(|codec| offered.media.iter().any(|media| has(media, *codec)))
        .collect()
}

fn has(media: &Media<'_>, codec: Codec) -> bool {
    formats(media, None)
        .iter()
        .any(|format| format.payload == Payload::Audio(codec))
}

#[test]
fn rfc_4317_our_answers_agree_with_the_published_ones() {
    for number in (1..=51).step_by(2) {
        let theirs = adapted(&format!("rfc/rfc4317/{number:03}.sdp"));
        let published = adapted(&format!("rfc/rfc4317/{:03}.sdp", number + 1));
        let accepted = published
            .media
            .iter()
            .position(|media| media.is_audio() && media.port != 0)
            .unwrap();
        let wanted = published.direction(&published.media[accepted]);
        let ours = Local {
            direction: wanted,
            ..local()
        };
        let (session, agreed) = answer(&theirs, &ours, &speaks(&common(&theirs, &published)), addr(20)).unwrap();
        assert_eq!(session.media.len(), published.media.len(), "{number}");
        assert_eq!(session.audio_codecs(), common(&theirs, &published)[..1], "{number}");
        assert_ne!(session.media[accepted].port, 0, "{number}");
        assert_eq!(
            agreed.direction,
            theirs.direction(&theirs.media[accepted]).mirrored().and(wanted),
            "{number}"
        );
        // 3.2 holds by sendonly, 5.2 by 0.0.0.0.
        assert_eq!(agreed.held_by_peer, matches!(number, 29 | 45), "{number}");
        for (line, published) in session.media.iter().zip(&published.media) {
            assert_eq!(
                (&line.kind, &line.proto),
                (&published.kind, &published.proto),
                "{number}"
            );
            assert!(
                line.port == 0 || published.port != 0,
                "{number}: a stream that the published answer refuses"
            );
        }
    }
}

#[test]
fn rfc_4317_the_published_answers_complete_the_published_offers() {
    for number in (1..=51).step_by(2) {
        let ours = adapted(&format!("rfc/rfc4317/{number:03}.sdp"));
        let published = adapted(&format!("rfc/rfc4317/{:03}.sdp", number + 1));
        let done = complete(&ours, &published, &local(), &all(), addr(20));
        if number == 15 {
            // 2.6 offers two audio streams of which the second is taken; an offer of ours has one.
            assert_eq!(done.unwrap_err().status(), 488);
            continue;
        }
        let agreed = done.unwrap_or_else(|error| panic!("{number}: {error}"));
        let codec = common(&ours, &published)[0];
        assert_eq!(agreed.stream.codec, codec, "{number}");
        let listed = formats(published.audio().unwrap(), None);
        let listed = listed
            .iter()
            .find(|format| format.payload == Payload::Audio(codec))
            .unwrap();
        assert_eq!(agreed.stream.payload_type_tx, listed.payload_type, "{number}");
        // 2.3 is answered with another number than offered.
        assert_eq!(
            agreed.stream.payload_type_rx != agreed.stream.payload_type_tx,
            number == 7,
            "{number}"
        );
        // 3.1 is answered with sendonly, 5.3 with 0.0.0.0.
        assert_eq!(agreed.held_by_peer, matches!(number, 23 | 49), "{number}");
        assert_eq!(
            agreed.stream.sends,
            agreed.direction.sends() && !agreed.held_by_peer,
            "{number}"
        );
    }
}

fn heads(session: &Session<'_>) -> Vec<String> {
    session
        .media
        .iter()
        .map(|m| format!("{} {} {}", m.kind, m.port, m.formats.join(" ")))
        .collect()
}

#[test]
fn rfc_3264_section_10_1_basic_exchange() {
    let (bob, agreed) = answer(&adapted("rfc/rfc3264/002.sdp"), &local(), &all(), addr(20)).unwrap();
    assert_eq!(heads(&bob), ["audio 20000 0", "video 0 31", "video 0 32"]);
    assert_eq!((agreed.stream.codec, agreed.stream.events_tx), (Codec::Pcmu, None));
    // Bob moves and adds a stream of events alone; Alice, whom we play now, keeps to the first one.
    let (alice, agreed) = answer(&adapted("rfc/rfc3264/004.sdp"), &local(), &all(), addr(20)).unwrap();
    assert_eq!(
        heads(&alice),
        ["audio 20000 0", "video 0 31", "video 0 32", "audio 0 110"]
    );
    assert_eq!(agreed.remote.rtp.port(), 65_422);
    // The published answer to our own re-offer of the three lines.
    let again = offer(
        &Local {
            port: 20_002,
            version: 2,
            ..local()
        },
        &all(),
        Some(&bob),
    );
    assert_eq!(
        heads(&again),
        ["audio 20002 96 8 0 101 102", "video 0 31", "video 0 32"]
    );
    let agreed = complete(&again, &adapted("rfc/rfc3264/003.sdp"), &local(), &all(), addr(20)).unwrap();
    assert_eq!((agreed.stream.codec, agreed.remote.rtp.port()), (Codec::Pcmu, 49_920));
}

#[test]
fn rfc_3264_section_10_2_one_of_n_codecs() {
    let (bob, agreed) = answer(&adapted("rfc/rfc3264/006.sdp"), &local(), &all(), addr(20)).unwrap();
    assert_eq!(
        (heads(&bob), agreed.direction),
        (vec!["audio 20000 0".to_owned()], Inactive)
    );
    // Alice settles on G.723, which we have not: the call stays as it was.
    let error = answer(&adapted("rfc/rfc3264/008.sdp"), &local(), &all(), addr(20)).unwrap_err();
    assert_eq!(error.status(), 488);
}

#[test]
fn hold_is_offered_in_many_forms() {
    for (rest, ours, direction, held, sends) in [
        ("0\n", SendRecv, SendRecv, false, true),
        ("0\na=sendonly\n", SendRecv, RecvOnly, true, false),
        ("0\na=inactive\n", SendRecv, Inactive, true, false),
        ("0\na=recvonly\n", SendRecv, SendOnly, false, true),
        ("0\na=sendrecv\n", SendOnly, SendOnly, false, true),
        ("0\na=sendonly\n", SendOnly, Inactive, true, false),
        // RFC 6337 5.4: the answer's direction follows the attribute, yet nothing is sent to 0.0.0.0.
        ("0\nc=IN IP4 0.0.0.0\n", SendRecv, SendRecv, true, false),
        ("0\nc=IN IP6 ::\na=sendonly\n", SendRecv, RecvOnly, true, false),
        ("0\nc=IN IP4 x.invalid\n", SendRecv, SendRecv, true, false),
    ] {
        let ours = Local {
            direction: ours,
            ..local()
        };
        let (session, agreed) = answer(&audio(rest), &ours, &all(), addr(20)).unwrap();
        assert_eq!(
            (agreed.direction, agreed.held_by_peer, agreed.stream.sends),
            (direction, held, sends),
            "{rest}"
        );
        assert_eq!(agreed.stream.receives, direction.receives());
        assert_eq!(session.direction(&session.media[0]), direction);
    }
    // The direction of the session holds for a stream that has none.
    let whole = read("v=0\nc=IN IP4 192.0.2.20\na=inactive\nm=audio 4 RTP/AVP 0\n");
    assert_eq!(
        answer(&whole, &local(), &all(), addr(20)).unwrap().1.direction,
        Inactive
    );
}

#[test]
fn an_answer_tells_hold_from_obedience() {
    for (ours, rest, direction, held) in [
        (SendRecv, "0\na=sendonly\n", RecvOnly, true),
        (SendRecv, "0\nc=IN IP4 0.0.0.0\n", SendRecv, true),
        (SendOnly, "0\na=recvonly\n", SendOnly, false),
        (SendOnly, "0\na=inactive\n", Inactive, true),
        (Inactive, "0\na=inactive\n", Inactive, false),
        // A phone that ignores what we asked for.
        (SendOnly, "0\n", SendOnly, false),
        (Inactive, "0\n", Inactive, false),
    ] {
        let ours = Local {
            direction: ours,
            ..local()
        };
        let agreed = complete(&offer(&ours, &all(), None), &audio(rest), &ours, &all(), addr(20)).unwrap();
        assert_eq!(
            (agreed.direction, agreed.held_by_peer),
            (direction, held),
            "{ours:?} {rest}"
        );
    }
}

#[test]
fn rfc_3264_section_8_4_hold_and_resume_keep_all_but_direction_and_port() {
    let theirs = audio("111 101\na=rtpmap:111 opus/48000/2\na=rtpmap:101 telephone-event/48000\n");
    let (first, before) = answer(&theirs, &local(), &all(), addr(20)).unwrap();
    // We hold, and the peer holds us in its answer; both resume, the peer on a new port.
    let ours = Local {
        version: 2,
        direction: SendOnly,
        ..local()
    };
    let held = offer(&ours, &all(), Some(&first));
    let both = complete(
        &held,
        &audio("111\na=rtpmap:111 opus/48000/2\na=inactive\n"),
        &ours,
        &all(),
        addr(20),
    )
    .unwrap();
    assert_eq!((both.direction, both.held_by_peer), (Inactive, true));
    let ours = Local { version: 3, ..local() };
    let resumed = offer(&ours, &all(), Some(&held));
    let moved = theirs.to_string().replace("audio 4000", "audio 4100");
    let after = complete(&resumed, &read(&moved), &ours, &all(), addr(20)).unwrap();
    assert_eq!(
        (after.direction, after.held_by_peer, after.remote.rtp.port()),
        (SendRecv, false, 4_100)
    );
    assert_eq!(after.stream, before.stream);
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(SendRecv), Just(SendOnly), Just(RecvOnly), Just(Inactive)]
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    let codecs = Just(vec![Codec::Opus, Codec::Pcma, Codec::Pcmu, Codec::G722]).prop_shuffle();
    let opus = (any::<bool>(), any::<bool>(), 6_000..128_000u32).prop_map(|(fec, dtx, bitrate)| OpusParams {
        fec,
        dtx,
        bitrate,
        complexity: 5,
        plays: Rate::Full,
    });
    (codecs, 1..=4usize, any::<bool>(), 1..=6u8, opus).prop_map(|(mut codecs, count, events, tens, opus)| {
        codecs.truncate(count);
        Capabilities {
            codecs: codecs.into(),
            events,
            ptime_ms: 10 * tens,
            opus,
            gain: Default::default(),
            comfort_noise: false,
            security: None,
            webrtc: None,
        }
    })
}

/// m-lines that are not taken, before and after the audio.
fn others() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("m=video 5000 RTP/AVP 31 32\r\n"),
        Just("m=image 5002 udptl t38\r\n"),
        Just("m=application 5004 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n"),
        Just("m=audio 5006 RTP/SAVP 0 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"),
        Just("m=audio 0 RTP/AVP 0\r\n"),
    ];
    proptest::collection::vec(line, 0..4).prop_map(|lines| lines.concat())
}

fn reread(session: &Session<'_>) -> Session<'static> {
    read(&session.to_string())
}

/// What offerer `a` (us) and answerer `b` (the peer) agreed on is one thing seen from two sides.
fn mirrored(a: &Agreed, b: &Agreed) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.direction, b.direction.mirrored());
    prop_assert_eq!(a.stream.codec, b.stream.codec);
    prop_assert_eq!((a.stream.sends, a.stream.receives), (b.stream.receives, b.stream.sends));
    prop_assert_eq!(
        (a.stream.payload_type_tx, a.stream.events_tx),
        (b.stream.payload_type_rx, b.stream.events_rx)
    );
    prop_assert_eq!(
        (a.stream.payload_type_rx, a.stream.events_rx),
        (b.stream.payload_type_tx, b.stream.events_tx)
    );
    prop_assert_eq!(a.remote.rtp, (peer().addr, peer().port).into());
    prop_assert_eq!(b.remote.rtp, (local().addr, local().port).into());
    prop_assert_eq!(a.remote.rtcp.port(), a.remote.rtp.port() + 1);
    Ok(())
}

proptest! {
    #[test]
    fn both_ends_agree(
        ours in capabilities(), theirs in capabilities(), we in direction(), they in direction(),
        before in others(), after in others(),
    ) {
        let (us, them) = (Local { direction: we, ..local() }, Local { direction: they, ..peer() });
        let common = theirs.codecs.iter().find(|codec| ours.codecs.contains(codec));
        let offered = reread(&offer(&us, &ours, None));
        let Ok((answered, b)) = answer(&offered, &them, &theirs, us.addr) else {
            prop_assert_eq!(common, None);
            return Ok(());
        };
        prop_assert_eq!(Some(&b.stream.codec), common);
        prop_assert_eq!(b.held_by_peer, !we.receives());
        mirrored(&complete(&offered, &reread(&answered), &us, &ours, them.addr).unwrap(), &b)?;

        // The same audio among other streams, and the answerer's own offer after that: every line stays where it is.
        let written = offered.to_string();
        let (head, audio) = written.split_at(written.find("m=").unwrap());
        let crowded = read(&format!("{head}{before}{audio}{after}"));
        let (answered, among) = answer(&crowded, &them, &theirs, us.addr).unwrap();
        prop_assert_eq!(&among, &b);
        prop_assert_eq!(answered.media.len(), crowded.media.len());
        let next = reread(&offer(&Local { version: 2, ..them }, &theirs, Some(&answered)));
        for (line, last) in next.media.iter().zip(&answered.media) {
            prop_assert_eq!((&line.kind, line.port, &line.proto), (&last.kind, last.port, &last.proto));
        }
        let (back, a) = answer(&next, &us, &speaks(&[b.stream.codec]), them.addr).unwrap();
        prop_assert_eq!(back.media.len(), crowded.media.len());
        mirrored(&a, &complete(&next, &reread(&back), &them, &theirs, us.addr).unwrap())?;
    }

    #[test]
    fn whatever_reads_is_answered_with_as_many_lines_or_refused(
        lines in proptest::collection::vec(
            "m=(audio|video) [0-9]{1,5} (RTP/AVPF?|RTP/SAVP|udptl)( [0-9]{1,3}){0,5}\
             |m=audio [1-9][0-9]{3} RTP/AVP (0|8|96|101)\
             |c=IN IP[46] (0\\.0\\.0\\.0|::1|1\\.2\\.3\\.[0-9]|x)\
             |a=(rtpmap|fmtp):[0-9]{1,3} (opus/48000/2|PCMU/8000/?1?|telephone-event/[0-9]{1,6}|[a-z=;]{0,20})\
             |a=(ptime|maxptime|rtcp):[ -~]{0,9}|a=(sendonly|inactive|rtcp-mux)|[b-z]=[ -~]{0,30}", 0..24),
    ) {
        let body = format!("v=0\n{}", lines.join("\n"));
        let Ok(theirs) = Session::parse(body.as_bytes()) else { return Ok(()) };
        if let Ok((ours, agreed)) = answer(&theirs, &local(), &all(), addr(20)) {
            prop_assert_eq!(ours.media.len(), theirs.media.len());
            prop_assert_eq!(reread(&ours), ours.clone());
            prop_assert!(agreed.stream.ptime_ms % 10 == 0 && (10..=60).contains(&agreed.stream.ptime_ms));
            prop_assert!(!agreed.stream.sends || !agreed.remote.rtp.ip().is_unspecified());
            prop_assert!(offer(&local(), &all(), Some(&ours)).media.len() >= ours.media.len());
        }
        if let Ok(agreed) = complete(&offer(&local(), &all(), None), &theirs, &local(), &all(), addr(20)) {
            prop_assert_ne!(agreed.remote.rtp.port(), 0);
        }
    }
}
