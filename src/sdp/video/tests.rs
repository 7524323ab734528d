//! What is answered to browsers with video, and what is made of it.

use super::{MID, TRANSPORT};
use crate::media::command::{Fingerprint, OpusParams, Video, VideoCodec, VideoFormat, VideoSource};
use crate::sdp::webrtc::tests::{PRINT, local, peer};
use crate::sdp::{Agreed, Direction, OfferAnswer, Sees, Session, Webrtc, answer, capabilities};
use codecs::Codec;
use std::net::IpAddr;

const WAY: &str = "a=ice-ufrag:eV5c\r\na=ice-pwd:0123456789abcdefghij+/\r\na=setup:actpass\r\na=rtcp-mux\r\n";
/// As Chromium lists them, shortened.
const CODECS: &str = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\n\
    a=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:98 VP9/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n\
    a=rtpmap:100 H264/90000\r\na=fmtp:100 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f\r\n\
    a=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack pli\r\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
    a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\na=rtpmap:104 H264/90000\r\na=fmtp:104 packetization-mode=1;profile-level-id=640032\r\n";
const EXTENSIONS: &str = "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\na=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
    a=extmap:13 urn:3gpp:video-orientation\r\na=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n";

fn audio(mid: &str) -> String {
    format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\na=sendrecv\r\n{WAY}a=rtpmap:111 opus/48000/2\r\n")
}

fn video(mid: &str, more: &str) -> String {
    format!("m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 102 103 104\r\na=mid:{mid}\r\n{WAY}{EXTENSIONS}{CODECS}{more}")
}

fn offer(mids: &str, lines: &[String]) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\na=fingerprint:sha-256 {PRINT}\r\n{}",
        lines.concat()
    )
}

fn answered(body: &str, sees: bool) -> (String, Agreed) {
    let mut webrtc = Webrtc::new(Fingerprint([0xab; 32]), |octets| octets.fill(1));
    webrtc.speaks(77);
    webrtc.see(sees.then_some(Sees {
        ssrc: 5_000,
        video: true,
        voices: 2,
    }));
    let mut can = capabilities(&[Codec::Opus], OpusParams::default());
    can.webrtc = Some(Box::new(webrtc));
    let offer = Session::parse(body.as_bytes()).unwrap();
    let (session, agreed) = answer(&offer, &local(), &can, peer()).unwrap();
    (session.to_string(), agreed)
}

fn seen(body: &str) -> (String, Video) {
    let (text, agreed) = answered(body, true);
    (text, agreed.video.map(|video| *video).unwrap_or_default())
}

/// The section of an answer with this name.
fn section<'t>(text: &'t str, mid: &str) -> &'t str {
    let name = format!("a=mid:{mid}\r\n");
    text.split("m=")
        .find(|section| section.contains(&name))
        .unwrap_or_default()
}

#[test]
fn a_camera_and_two_places_are_answered_on_one_way() {
    let fid = "a=sendrecv\r\na=msid:s t\r\na=ssrc-group:FID 11 12\r\na=ssrc:11 cname:x\r\na=ssrc:11 msid:s t\r\na=ssrc:12 cname:x\r\n";
    let lines = [
        audio("0"),
        video("1", fid),
        video("2", "a=recvonly\r\n"),
        video("3", "a=recvonly\r\n"),
    ];
    let (text, _) = seen(&offer("0 1 2 3", &lines));
    assert!(text.contains("a=group:BUNDLE 0 1 2 3\r\n"), "{text}");
    assert_eq!(
        text.matches("m=video 20000 UDP/TLS/RTP/SAVPF 96 97 102 103\r\n")
            .count(),
        3,
        "{text}"
    );
    // The way is described once, at the first.
    assert_eq!(
        (text.matches("a=candidate:").count(), text.matches("a=setup:").count()),
        (1, 1)
    );
    assert!(section(&text, "0").contains("a=ssrc:77 cname:room\r\n"), "{text}");
    let camera = section(&text, "1");
    for line in [
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 ccm fir",
        "a=rtcp-fb:96 goog-remb",
        "a=rtcp-fb:96 transport-cc",
        "a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rtcp-fb:102 nack pli",
        "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "a=fmtp:103 apt=102",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "a=sendrecv",
        "a=ssrc-group:FID 5002 5003",
        "a=ssrc:5002 cname:room",
        "a=msid:slot1 video1",
    ] {
        assert_eq!(
            camera.lines().filter(|own| *own == line).count(),
            1,
            "{line} in\n{camera}"
        );
    }
    assert!(!text.contains("video-orientation") && !text.contains("rtcp-fb:102 nack\r\n"));
    // Where it only receives, its own estimate counts: it is told when each packet went out, and nothing is numbered.
    let place = section(&text, "3");
    assert!(
        place.contains("a=sendonly\r\n") && place.contains("a=ssrc:5006 "),
        "{place}"
    );
    let extensions: Vec<&str> = place.lines().filter(|line| line.starts_with("a=extmap:")).collect();
    assert_eq!(
        extensions,
        ["a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"]
    );
    assert!(
        place.contains("goog-remb\r\n") && !place.contains("transport-cc"),
        "{place}"
    );
}

/// How loud its packets are a browser tells in a room, where it can (RFC 6464), under the number that it has given it.
#[test]
fn a_browser_says_how_loud_it_is() {
    const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    for (line, wanted) in [
        (format!("a=extmap:7 {LEVEL} vad=on\r\n"), Some(7)),
        (format!("a=extmap:15 {LEVEL}\r\n"), None),
        (String::new(), None),
    ] {
        let mut oa = browser(CAMERA);
        let offered = offer("0", &[format!("{}{line}", audio("0"))]);
        let answer = oa
            .answer(&read(&offered), Direction::SendRecv, IpAddr::from([198, 51, 100, 7]))
            .unwrap();
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        assert_eq!(
            answer.matches("extmap").count(),
            usize::from(wanted.is_some()),
            "{answer}"
        );
        let level = oa.agreed().unwrap().video.as_ref().and_then(|video| video.level);
        assert_eq!(level, wanted);
        let again = String::from_utf8(oa.offer(Direction::SendRecv).to_vec()).unwrap();
        let line = wanted.map(|number| format!("a=extmap:{number} {LEVEL}\r\n"));
        assert!(
            line.is_none_or(|line| answer.contains(&line) && again.contains(&line)),
            "{again}"
        );
    }
    let ours = String::from_utf8(browser(CAMERA).offer(Direction::SendRecv).to_vec()).unwrap();
    assert!(
        section(&ours, "0").contains(&format!("a=extmap:4 {LEVEL}\r\n")),
        "{ours}"
    );
    // RFC 8843 9.4: in a bundle a number means the same on all lines.
    let mut meanings = std::collections::HashMap::new();
    for (number, uri) in ours
        .lines()
        .filter_map(|line| line.strip_prefix("a=extmap:")?.split_once(' '))
    {
        assert_eq!(*meanings.entry(number).or_insert(uri), uri, "{ours}");
    }
    assert_eq!(meanings.len(), 4);
}

/// Numbers without feedback, or feedback without numbers, are of no use.
#[test]
fn a_way_is_numbered_where_both_halves_of_it_are_offered() {
    let camera = video("1", "a=sendonly\r\n");
    let number = |line: &str| seen(&offer("0 1", &[audio("0"), line.to_owned()])).1.transport;
    assert_eq!(number(&camera), Some(5));
    assert_eq!(number(&camera.replace("a=rtcp-fb:96 transport-cc\r\n", "")), None);
    assert_eq!(number(&camera.replace("a=extmap:5 ", "a=extmap:15 ")), None);
    assert_eq!(number(&video("1", "a=recvonly\r\n")), None);
}

#[test]
fn what_is_made_of_it_has_our_own_numbers() {
    let fid = "a=sendrecv\r\na=ssrc-group:FID 11 12\r\na=ssrc:11 cname:x\r\na=ssrc:12 cname:x\r\n";
    let place = |mid| video(mid, "a=recvonly\r\n");
    let (_, video) = seen(&offer(
        "0 1 2 3",
        &[audio("0"), video("1", fid), place("2"), place("3")],
    ));
    let format = |codec, payload_type, rtx| VideoFormat {
        codec,
        payload_type,
        rtx: Some(rtx),
    };
    let formats = [format(VideoCodec::Vp8, 96, 97), format(VideoCodec::H264, 102, 103)];
    let shape: Vec<_> = video
        .lines
        .iter()
        .map(|line| (&*line.mid, line.receives, line.sends, line.is_screen))
        .collect();
    assert_eq!(
        shape,
        [
            ("1", true, Some((5_002, 5_003)), false),
            ("2", false, Some((5_004, 5_005)), false),
            ("3", false, Some((5_006, 5_007)), false)
        ]
    );
    assert!(video.lines.iter().all(|line| line.formats == formats));
    assert_eq!(
        video.lines[0].sources,
        [VideoSource {
            ssrc: 11,
            rtx: Some(12)
        }]
    );
    assert_eq!(
        (video.mid, video.rid, video.repaired_rid),
        (Some(4), Some(10), Some(11))
    );
}

#[test]
fn simulcast_is_taken_and_a_second_camera_is_a_screen() {
    let layers = "a=sendonly\r\na=rid:h send\r\na=rid:m send\r\na=rid:l send max-width=320\r\na=simulcast:send h;~m,x;l recv z\r\n";
    let lines = [
        audio("a"),
        video("v", layers),
        video("s", "a=sendonly\r\n"),
        video("t", "a=sendonly\r\n"),
    ];
    let (text, video) = seen(&offer("a v s t", &lines));
    let camera = section(&text, "v");
    assert!(
        camera.contains("a=simulcast:recv h;m;l\r\n") && camera.contains("a=rid:m recv\r\n"),
        "{camera}"
    );
    assert!(
        camera.contains("a=recvonly\r\n") && !camera.contains("ssrc"),
        "{camera}"
    );
    let layers: Vec<&str> = video.lines[0].layers.iter().map(|rid| &**rid).collect();
    assert_eq!(layers, ["h", "m", "l"]);
    assert_eq!((video.lines[0].is_screen, video.lines[1].is_screen), (false, true));
    // A third one is one too many.
    assert!(!video.lines[2].receives && section(&text, "t").contains("a=inactive\r\n"));
    let slides = [audio("a"), video_with_content("v")];
    assert!(seen(&offer("a v", &slides)).1.lines[0].is_screen);
}

fn video_with_content(mid: &str) -> String {
    video(mid, "a=sendonly\r\na=content:slides\r\n")
}

#[test]
fn what_cannot_be_taken_is_refused_in_its_place() {
    let port = |line: String| line.replacen("m=video 9", "m=video 0", 1);
    let refused = [
        // Not in the bundle, ended, without RTCP on the same port, of codecs that nobody knows, no browser's, without a name.
        (video("9", ""), "0 1"),
        (port(video("1", "")), "0 1"),
        (video("1", "").replace("a=rtcp-mux\r\n", ""), "0 1"),
        (video("1", "").replace("VP8", "AV1").replace("H264", "H265"), "0 1"),
        (video("1", "").replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "0 1"),
        (video("1", "").replace("a=mid:1\r\n", ""), "0 1"),
        (video("a-name-that-is-too-long", ""), "0 a-name-that-is-too-long"),
    ];
    for (line, mids) in refused {
        let (text, agreed) = answered(&offer(mids, &[audio("0"), line.clone()]), true);
        assert!(text.contains("m=video 0 ") && agreed.video.is_none(), "{line}\n{text}");
    }
    // Whoever is in no room.
    let (text, agreed) = answered(&offer("0 1", &[audio("0"), video("1", "")]), false);
    assert!(text.contains("m=video 0 ") && agreed.video.is_none() && text.contains("a=group:BUNDLE 0\r\n"));
    // One that is only there in the bundle is there.
    let (text, _) = seen(&offer("0 1", &[audio("0"), port(video("1", "a=bundle-only\r\n"))]));
    assert!(text.contains("m=video 20000 "), "{text}");
    // No more than seventeen.
    let mids: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let lines = mids.iter().map(|mid| {
        if mid == "0" {
            audio(mid)
        } else {
            video(mid, "a=recvonly\r\n")
        }
    });
    let (text, video) = seen(&offer(&mids.join(" "), &lines.collect::<Vec<_>>()));
    assert_eq!((video.lines.len(), text.matches("m=video 0 ").count()), (17, 2));
}

#[test]
fn the_way_is_described_where_browsers_look_for_it() {
    let (text, video) = seen(&offer("v a", &[video("v", "a=sendrecv\r\n"), audio("a")]));
    assert!(text.contains("a=group:BUNDLE v a\r\n"), "{text}");
    for mid in ["v", "a"] {
        let section = section(&text, mid);
        assert!(
            section.contains("a=ice-ufrag:")
                && section.contains("a=fingerprint:")
                && section.contains("a=setup:passive")
        );
    }
    assert_eq!(video.lines.len(), 1);
}

/// A hold and whatever else we offer leaves video as it is; what the browser offers anew counts.
#[test]
fn our_own_offers_keep_it() {
    let mut webrtc = Webrtc::new(Fingerprint([0xab; 32]), |octets| octets.fill(1));
    webrtc.see(Some(Sees {
        ssrc: 5_000,
        video: true,
        voices: 0,
    }));
    let mut can = capabilities(&[Codec::Opus], OpusParams::default());
    can.webrtc = Some(Box::new(webrtc));
    let mut oa = OfferAnswer::new(IpAddr::from([192, 0, 2, 10]), 20_000, 7, can);
    let peer = IpAddr::from([198, 51, 100, 7]);
    let both = offer("0 1", &[audio("0"), video("1", "a=sendrecv\r\n")]);
    let read = |text: &str| Session::parse(text.as_bytes()).unwrap().into_owned();
    oa.answer(&read(&both), Direction::SendRecv, peer).unwrap();
    let before = oa.agreed().unwrap().video.clone();
    assert!(before.is_some());
    let ours = String::from_utf8(oa.offer(Direction::SendOnly).to_vec()).unwrap();
    assert!(
        ours.contains("m=video 20000 ") && ours.contains("a=group:BUNDLE 0 1\r\n") && ours.contains("a=ssrc:5002 "),
        "{ours}"
    );
    let back = both.replace("a=setup:actpass", "a=setup:active");
    oa.complete(&read(&back), peer).unwrap();
    assert_eq!(oa.agreed().unwrap().video, before);
    // It leaves the room: video is refused from now on.
    oa.see(None);
    oa.answer(&read(&both), Direction::SendRecv, peer).unwrap();
    assert_eq!(oa.agreed().unwrap().video, None);
}

/// RFC 8843 9.1: of one payload type all lines of a way say the same.
#[test]
fn a_voice_of_the_same_number_is_described_as_the_mix() {
    let alike = audio("1").replace("sendrecv", "recvonly");
    let (text, _) = seen(&offer(
        "0 1 2",
        &[audio("0"), alike.clone(), alike.replace("mid:1", "mid:2")],
    ));
    let said = |mid: &str| -> Vec<String> {
        let lines = section(&text, mid).lines().map(str::to_owned).collect::<Vec<_>>();
        let is_it = |line: &String| {
            ["a=rtpmap:111 ", "a=fmtp:111 ", "a=ptime:", "a=maxptime:"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        lines.into_iter().filter(is_it).collect()
    };
    assert!(said("0").iter().any(|line| line.starts_with("a=fmtp:111 ")), "{text}");
    assert_eq!((said("1"), said("2")), (said("0"), said("0")));
}

/// Audio lines behind the first are places for voices: as many as are wanted, or none.
#[test]
fn places_for_voices_are_all_that_are_wanted_or_none() {
    let place = |mid: &str| audio(mid).replace("sendrecv", "recvonly").replace("111", "109");
    let (text, video) = seen(&offer("0 1 2 3", &[audio("0"), place("1"), place("2"), place("3")]));
    let ssrcs: Vec<_> = video
        .voices
        .iter()
        .map(|line| (&*line.mid, line.payload_type, line.ssrc))
        .collect();
    assert_eq!(ssrcs, [("1", 109, 5_002), ("2", 109, 5_004)]);
    assert!(
        text.contains("a=group:BUNDLE 0 1 2\r\n") && text.contains("m=audio 0 "),
        "{text}"
    );
    let second = section(&text, "2");
    for line in [
        "audio 20000 UDP/TLS/RTP/SAVPF 109",
        "a=rtpmap:109 opus/48000/2",
        "a=rtcp-mux",
        "a=sendonly",
        "a=msid:slot2 voice2",
        "a=ssrc:5004 cname:room",
    ] {
        assert!(second.lines().any(|own| own == line), "{line} in\n{second}");
    }
    assert!(section(&text, "0").contains("a=ssrc:77 cname:room\r\n"));
    // What we offer ourselves leaves them as they are.
    let mut webrtc = Webrtc::new(Fingerprint([0xab; 32]), |octets| octets.fill(1));
    webrtc.see(Some(Sees {
        ssrc: 5_000,
        video: false,
        voices: 2,
    }));
    let mut can = capabilities(&[Codec::Opus], OpusParams::default());
    can.webrtc = Some(Box::new(webrtc));
    let mut oa = OfferAnswer::new(IpAddr::from([192, 0, 2, 10]), 20_000, 7, can);
    let theirs = offer("0 1 2", &[audio("0"), place("1"), place("2")]);
    let read = Session::parse(theirs.as_bytes()).unwrap();
    oa.answer(&read, Direction::SendRecv, IpAddr::from([198, 51, 100, 7]))
        .unwrap();
    let ours = String::from_utf8(oa.offer(Direction::SendOnly).to_vec()).unwrap();
    assert!(
        ours.contains("a=group:BUNDLE 0 1 2\r\n") && ours.contains("a=ssrc:5004 "),
        "{ours}"
    );
    // One that is missing, that sends, that has no Opus or is not on the way: then none.
    let second = [
        String::new(),
        place("2").replace("recvonly", "sendonly"),
        place("2").replace("opus/48000/2", "PCMU/8000"),
        place("2").replace("a=rtcp-mux\r\n", ""),
        place("x"),
    ];
    for second in second {
        let (text, video) = seen(&offer("0 1 2", &[audio("0"), place("1"), second.clone()]));
        assert!(
            video.voices.is_empty() && text.contains("a=group:BUNDLE 0\r\n"),
            "{second}"
        );
    }
}

/// Whom a room calls is offered a line for his camera and places, and his answer counts as an offer of his would.
#[test]
fn our_first_offer_has_lines_for_a_camera_and_for_others() {
    let mut webrtc = Webrtc::new(Fingerprint([0xab; 32]), |octets| octets.fill(1));
    webrtc.see(Some(Sees {
        ssrc: 5_000,
        video: true,
        voices: 4,
    }));
    let mut can = capabilities(&[Codec::Opus], OpusParams::default());
    can.webrtc = Some(Box::new(webrtc));
    let mut oa = OfferAnswer::new(IpAddr::from([192, 0, 2, 10]), 20_000, 7, can);
    let ours = String::from_utf8(oa.offer(Direction::SendRecv).to_vec()).unwrap();
    assert!(ours.contains("a=group:BUNDLE 0 v1 v2 v3 v4 v5 v6\r\n"), "{ours}");
    let count = |wanted: &str| ours.matches(wanted).count();
    assert_eq!(
        (
            count("m=video 20000 UDP/TLS/RTP/SAVPF 120 121 122 123\r\n"),
            count("m=audio ")
        ),
        (6, 1)
    );
    assert_eq!(
        (count("a=fmtp:123 apt=122\r\n"), count("profile-level-id=42e01f\r\n")),
        (6, 6)
    );
    let camera = section(&ours, "v1");
    assert!(camera.contains("a=sendrecv\r\n") && camera.contains("a=ssrc:5002 ") && camera.contains("transport-cc"));
    let place = section(&ours, "v6");
    assert!(
        place.contains("a=sendonly\r\n") && place.contains("a=ssrc-group:FID 5012 5013\r\n"),
        "{place}"
    );
    // He sends, sees one other, and takes no more.
    let line = |mid: &str, port, direction| {
        format!(
            "m=video {port} UDP/TLS/RTP/SAVPF 120 121\r\na=mid:{mid}\r\na=rtcp-mux\r\na={direction}\r\na=rtpmap:120 VP8/90000\r\n\
             a=rtcp-fb:120 transport-cc\r\na=rtpmap:121 rtx/90000\r\na=fmtp:121 apt=120\r\na=extmap:1 {MID}\r\na=extmap:2 {TRANSPORT}\r\n"
        )
    };
    let mut lines = vec![audio("0").replace("setup:actpass", "setup:active").replace("111", "96")];
    lines.extend([line("v1", 9, "sendrecv"), line("v2", 9, "recvonly")]);
    lines.extend(["v3", "v4", "v5", "v6"].map(|mid| line(mid, 0, "inactive")));
    let answer = offer("0 v1 v2", &lines);
    let read = Session::parse(answer.as_bytes()).unwrap();
    oa.complete(&read, IpAddr::from([198, 51, 100, 7])).unwrap();
    let video = oa.agreed().unwrap().video.clone().unwrap();
    let shape: Vec<_> = video
        .lines
        .iter()
        .map(|line| (&*line.mid, line.receives, line.sends))
        .collect();
    assert_eq!(
        shape,
        [("v1", true, Some((5_002, 5_003))), ("v2", false, Some((5_004, 5_005)))]
    );
    assert_eq!((video.mid, video.transport, video.voices.len()), (Some(1), Some(2), 0));
}

fn browser(sees: Sees) -> OfferAnswer {
    let mut webrtc = Webrtc::new(Fingerprint([0xab; 32]), |octets| octets.fill(1));
    webrtc.see(Some(sees));
    let mut can = capabilities(&[Codec::Opus], OpusParams::default());
    can.webrtc = Some(Box::new(webrtc));
    OfferAnswer::new(IpAddr::from([192, 0, 2, 10]), 20_000, 7, can)
}

const CAMERA: Sees = Sees {
    ssrc: 5_000,
    video: true,
    voices: 0,
};

fn read(text: &str) -> Session<'static> {
    Session::parse(text.as_bytes()).unwrap().into_owned()
}

/// A line before the audio says once what the way is, however often we offer.
#[test]
fn our_own_offers_say_the_way_once() {
    let mut oa = browser(CAMERA);
    let peer = IpAddr::from([198, 51, 100, 7]);
    let both = offer("v a", &[video("v", "a=sendrecv\r\n"), audio("a")]);
    oa.answer(&read(&both), Direction::SendRecv, peer).unwrap();
    let back = both.replace("a=setup:actpass", "a=setup:active");
    for round in 0..3 {
        let ours = String::from_utf8(oa.offer(Direction::SendOnly).to_vec()).unwrap();
        for name in [
            "ice-ufrag",
            "ice-pwd",
            "fingerprint",
            "setup",
            "candidate",
            "end-of-candidates",
        ] {
            let count = ours.matches(&format!("a={name}")).count();
            assert_eq!(count, 2, "{name} in round {round}:\n{ours}");
        }
        oa.complete(&read(&back), peer).unwrap();
    }
}

/// RFC 3264 6: a line that the answer to our further offer refuses is refused.
#[test]
fn a_line_that_is_refused_later_is_not_sent_on() {
    let mut oa = browser(CAMERA);
    let peer = IpAddr::from([198, 51, 100, 7]);
    let lines = [audio("0"), video("1", "a=sendrecv\r\n"), video("2", "a=recvonly\r\n")];
    oa.answer(&read(&offer("0 1 2", &lines)), Direction::SendRecv, peer)
        .unwrap();
    let places = |oa: &OfferAnswer| oa.agreed().unwrap().video.as_ref().map_or(0, |video| video.lines.len());
    assert_eq!(places(&oa), 2);
    oa.offer(Direction::SendOnly);
    let [audio, first, second] = lines;
    let second = second.replace("m=video 9", "m=video 0");
    let back = offer("0 1", &[audio, first, second]).replace("a=setup:actpass", "a=setup:active");
    oa.complete(&read(&back), peer).unwrap();
    assert_eq!(places(&oa), 1);
}

/// Two lines with one name: the one that is taken is no place beside itself.
#[test]
fn the_audio_that_is_taken_is_no_place() {
    let other = audio("0").replace("opus/48000/2", "G729/8000");
    let place = |mid: &str| audio(mid).replace("sendrecv", "recvonly");
    let (text, video) = seen(&offer("0 1 2", &[other, audio("0"), place("1"), place("2")]));
    let mids: Vec<_> = video.voices.iter().map(|line| &*line.mid).collect();
    assert_eq!(mids, ["1", "2"]);
    assert_eq!(text.matches("a=ice-ufrag:").count(), 1, "{text}");
}
