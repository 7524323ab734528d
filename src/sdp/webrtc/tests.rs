use super::*;
use crate::media::command::{OpusParams, Srtp};
use crate::sdp::{
    Agreed, Capabilities, Direction, OfferAnswer, acceptable, answer, capabilities, complete, offer, wish_of,
};
use codecs::Codec;
use std::net::IpAddr;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n";
pub const PRINT: &str =
    "19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2";

pub fn local() -> Local {
    Local {
        addr: IpAddr::from([192, 0, 2, 10]),
        port: 20_000,
        session_id: 7,
        version: 1,
        direction: Direction::SendRecv,
    }
}

pub fn peer() -> IpAddr {
    IpAddr::from([198, 51, 100, 7])
}

/// What we can do on a browser's leg; octets of our credentials count up from `first`.
fn can(first: u8) -> Capabilities {
    let mut next = first;
    Capabilities {
        webrtc: Some(Box::new(Webrtc::new(Fingerprint([0xab; 32]), |octets| {
            octets.fill(next);
            next += 1;
        }))),
        ..capabilities(&[Codec::Opus, Codec::Pcma], OpusParams::default())
    }
}

/// An audio section of a browser without microphone permission: a default address of nowhere, and a candidate with a name.
fn audio(setup: &str) -> String {
    format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2113937151 5d5d5f0c-3b5e.local 40000 typ host\r\n\
         a=candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active\r\n\
         a=ice-ufrag:eV5c\r\na=ice-pwd:0123456789abcdefghij+/\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {PRINT}\r\n\
         a=setup:{setup}\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=msid:- t1\r\n\
         a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
         a=rtpmap:63 red/48000/2\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
         a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\na=ssrc:1 cname:x\r\n"
    )
}

fn read(body: &str) -> Session<'static> {
    Session::parse(body.as_bytes()).unwrap().into_owned()
}

fn answered(body: &str, can: &Capabilities) -> Result<(Session<'static>, Agreed), SdpError> {
    let (session, agreed) = answer(&read(body), &local(), can, peer())?;
    Ok((session.into_owned(), agreed))
}

#[test]
fn a_browser_is_answered_with_all_that_it_needs() {
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n";
    let (session, agreed) = answered(&format!("{HEAD}{}{video}", audio("actpass")), &can(1)).unwrap();
    let body = session.to_string();
    for line in [
        "a=ice-lite",
        "a=ice-options:trickle",
        "a=group:BUNDLE 0",
        "m=audio 20000 UDP/TLS/RTP/SAVPF 111 110",
        "a=mid:0",
        "a=ice-ufrag:0101010101010101",
        "a=ice-pwd:01010101010101010101010101010101",
        "a=setup:passive",
        "a=candidate:1 1 udp 2130706431 192.0.2.10 20000 typ host",
        "a=end-of-candidates",
        "a=rtcp-mux",
        "a=sendrecv",
        // In its place, and by its name.
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "a=mid:1",
    ] {
        assert_eq!(body.lines().filter(|own| *own == line).count(), 1, "{line} in\n{body}");
    }
    assert!(body.contains("a=fingerprint:sha-256 AB:AB:"), "{body}");
    assert!(
        !["extmap", "rtcp-fb", "crypto", "ssrc"]
            .iter()
            .any(|word| body.contains(word)),
        "{body}"
    );
    let connect = agreed.connect.unwrap();
    assert_eq!((&*connect.theirs.ufrag, connect.role), ("eV5c", DtlsRole::Server));
    assert_eq!(connect.fingerprints, [Fingerprint::parse(PRINT).unwrap()]);
    // Its address of nowhere is no hold.
    assert!(agreed.stream.sends && agreed.stream.receives && !agreed.held_by_peer && agreed.keys.is_none());
    assert_eq!(
        wish_of(&read(&format!("{HEAD}{}", audio("actpass")))),
        Direction::SendRecv
    );
    // Keys and passwords are not for logs.
    assert!(!format!("{session:?}").contains(&"01".repeat(9)), "{session:?}");
}

#[test]
fn who_begins_follows_from_what_is_offered() {
    for (setup, answers, role) in [
        ("actpass", "passive", DtlsRole::Server),
        ("active", "passive", DtlsRole::Server),
        ("passive", "active", DtlsRole::Client),
    ] {
        let (session, agreed) = answered(&format!("{HEAD}{}", audio(setup)), &can(1)).unwrap();
        assert_eq!(session.media[0].attribute("setup"), Some(answers));
        assert_eq!(agreed.connect.unwrap().role, role, "{setup}");
    }
}

/// RFC 8445 6.1.1: with one that is lite we are the full agent, and do not say that we are lite too.
#[test]
fn a_peer_that_is_lite_is_looked_for_among_its_candidates() {
    let body = format!("{HEAD}{}", audio("actpass"));
    let lite = body.replacen("a=group:BUNDLE 0\r\n", "a=group:BUNDLE 0\r\na=ice-lite\r\n", 1);
    let name = "a=candidate:1 1 udp 2113937151 5d5d5f0c-3b5e.local 40000 typ host\r\n";
    let candidates = "a=candidate:1 1 udp 5 192.0.2.7 40000 typ host\r\na=candidate:2 1 UDP 9 192.0.2.8 40002 typ host\r\n\
                      a=candidate:3 2 udp 9 192.0.2.7 40001 typ host\r\na=candidate:4 1 udp 7 0.0.0.0 40000 typ host\r\n\
                      a=candidate:5 1 udp 8 192.0.2.7 0 typ host\r\na=candidate:6 1 udp x\r\n";
    assert!(lite != body && lite.contains(name));
    let lite = lite.replacen(name, candidates, 1);
    let (session, agreed) = answered(&lite, &can(1)).unwrap();
    assert_eq!(session.attributes("ice-lite").count(), 0);
    let expected = ["192.0.2.8:40002", "192.0.2.7:40000"].map(|addr| addr.parse().unwrap());
    assert_eq!(agreed.connect.unwrap().lite.unwrap().candidates, expected);
    let (session, agreed) = answered(&body, &can(1)).unwrap();
    assert_eq!(session.attributes("ice-lite").count(), 1);
    assert!(agreed.connect.unwrap().lite.is_none());
}

#[test]
fn what_cannot_be_connected_is_refused_with_its_reason() {
    let good = format!("{HEAD}{}", audio("actpass"));
    for (from, to, why) in [
        ("a=rtcp-mux\r\n", "", NO_MUX),
        ("a=ice-ufrag:eV5c\r\n", "", NO_ICE),
        ("a=ice-ufrag:eV5c\r\n", "a=ice-ufrag:eV5\r\n", NO_ICE),
        ("abcdefghij+/", "abcdefghij", NO_ICE),
        ("abcdefghij+/", "abcdefghij-/", NO_ICE),
        ("sha-256", "sha-1", NO_FINGERPRINT),
        ("19:E2:", "19:", NO_FINGERPRINT),
        ("setup:actpass", "setup:holdconn", HELD),
        ("a=group:BUNDLE 0\r\n", "a=ice-lite\r\na=end-of-candidates\r\n", NOWHERE),
    ] {
        let body = good.replacen(from, to, 1);
        assert_ne!(body, good, "{from}");
        assert_eq!(answered(&body, &can(1)).unwrap_err(), why, "{from}");
    }
    let plain = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
    assert_eq!(answered(plain, &can(1)).unwrap_err(), WANTED);
    // And who is no browser's leg takes none.
    let none = Capabilities { webrtc: None, ..can(1) };
    assert_eq!(answered(&good, &none).unwrap_err().status(), 488);
    let judged = |webrtc| acceptable(&read(&good), &local(), &[Codec::Pcma], Srtp::Off, webrtc).is_ok();
    assert!(judged(true) && !judged(false));
}

#[test]
fn an_offer_of_ours_is_answered_by_a_browser() {
    let ours = can(1);
    let offered = offer(&local(), &ours, None);
    let body = offered.to_string();
    assert!(
        body.contains("m=audio 20000 UDP/TLS/RTP/SAVPF 96 8 101 102\r\n"),
        "{body}"
    );
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "a=mid:0",
        "a=setup:actpass",
        "a=rtcp-mux",
    ] {
        assert_eq!(body.lines().filter(|own| *own == line).count(), 1, "{line} in\n{body}");
    }
    let theirs = |setup: &str| {
        let opus = audio(setup).replace("111", "96").replace(" 63 9 0 8 13 110 126", "");
        read(&format!("{HEAD}{opus}"))
    };
    for (setup, role) in [("active", DtlsRole::Server), ("passive", DtlsRole::Client)] {
        let agreed = complete(&offered, &theirs(setup), &local(), &ours, peer()).unwrap();
        assert_eq!(agreed.connect.map(|connect| connect.role), Some(role));
        assert!(agreed.stream.sends && agreed.stream.codec == Codec::Opus);
    }
    let refused = |answer: &Session<'_>| complete(&offered, answer, &local(), &ours, peer()).unwrap_err();
    assert_eq!(refused(&theirs("actpass")), UNDECIDED);
    let plain =
        read("v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n");
    assert_eq!(refused(&plain), WANTED);
}

/// RFC 8839 4.4.1.1.1: other names of the peer, other names of ours; RFC 8842 5.5: who began the handshake stays so.
#[test]
fn a_peer_that_begins_anew_is_answered_anew() {
    let mut oa = OfferAnswer::new(local().addr, 20_000, 7, can(1));
    let mut fill = 5;
    let mut take = |oa: &mut OfferAnswer, body: &str| {
        oa.renew(|octets| octets.fill(fill));
        fill += 1;
        oa.answer(&read(body), Direction::SendRecv, peer()).unwrap();
        oa.agreed().and_then(|agreed| agreed.connect.clone()).unwrap()
    };
    let first = format!("{HEAD}{}", audio("passive"));
    let begun = take(&mut oa, &first);
    assert_eq!((&*begun.ours.ufrag, begun.role), ("0101010101010101", DtlsRole::Client));
    let again = take(&mut oa, &first.replace("passive", "actpass"));
    assert_eq!(again, begun, "a refresh");
    let restart = first.replace("passive", "actpass").replace("eV5c", "eV5d");
    let renewed = take(&mut oa, &restart);
    assert_eq!(
        (&*renewed.ours.ufrag, &*renewed.theirs.ufrag),
        ("0707070707070707", "eV5d")
    );
    assert_eq!(renewed.role, DtlsRole::Client);
    assert_eq!(take(&mut oa, &restart), renewed);
    // Another browser in its place begins as any.
    let other = take(&mut oa, &restart.replace("19:E2", "19:E3"));
    assert_eq!(other.role, DtlsRole::Server);
    // Our own offers keep what was agreed.
    let offer = oa.offer(Direction::SendOnly);
    let offer = std::str::from_utf8(&offer).unwrap();
    assert!(
        offer.contains(&*other.ours.ufrag) && offer.contains("a=setup:actpass"),
        "{offer}"
    );
}

/// Descriptions of real browsers, as published.
#[test]
fn browsers_of_all_kinds_are_understood() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sdp");
    for (file, ufrag, role) in [
        ("sdp-transform/jsep.sdp", "ETEn1v9DoTMB9J4r", DtlsRole::Server),
        ("mozilla-webrtc-sdp/41.sdp", "xQuJwjX3V3eMA81k", DtlsRole::Server),
        ("browser/chromium-148-nowhere.sdp", "wylf", DtlsRole::Server),
        ("browser/chromium-148-microphone.sdp", "BDQI", DtlsRole::Server),
    ] {
        let body = std::fs::read_to_string(folder.join(file)).unwrap();
        let (_, agreed) = answered(&body, &can(1)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let connect = agreed.connect.unwrap();
        assert_eq!((&*connect.theirs.ufrag, connect.role), (ufrag, role), "{file}");
        assert_eq!(agreed.stream.codec, Codec::Opus, "{file}");
    }
}

/// What we write of it has to be read again: a name that would not fit in our own line is refused.
#[test]
fn a_name_that_is_too_long_is_refused() {
    let named =
        |len: usize| format!("{HEAD}{}", audio("actpass")).replace("a=mid:0", &format!("a=mid:{}", "x".repeat(len)));
    let mut oa = OfferAnswer::new(local().addr, 20_000, 7, can(1));
    assert!(oa.answer(&read(&named(64)), Direction::SendRecv, peer()).is_ok());
    assert!(!oa.offer(Direction::SendOnly).is_empty());
    for len in [65, 8_180] {
        let mut oa = OfferAnswer::new(local().addr, 20_000, 7, can(1));
        let answered = oa.answer(&read(&named(len)), Direction::SendRecv, peer());
        let offered = oa.offer(Direction::SendOnly).len();
        assert!(answered.is_err() && offered < 8_000, "{len}: {offered}");
    }
}
