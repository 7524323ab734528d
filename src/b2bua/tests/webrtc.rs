//! A side that is a browser: what media is told when its peer becomes another.

use super::bench::*;
use crate::b2bua::webrtc::is_own_door;
use crate::config::{Sources, parse};
use crate::dialog::Dialog;
use crate::id::MediaLegId;
use crate::media::command::{Command, Event, Fingerprint, Keys, MasterKey, Setup, Suite};
use crate::sip::{Method, Name};
use std::net::SocketAddr;

const ALICE_WEB: (&str, &str) = ("display_name: Alice }", "display_name: Alice, webrtc: yes }");

/// A browser's offer, with a certificate of this fingerprint.
fn offer(octet: &str) -> String {
    let print = [octet; 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 8\r\nc=IN IP4 0.0.0.0\r\n\
         a=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:eV5c\r\na=ice-pwd:0123456789abcdefghij+/\r\na=fingerprint:sha-256 {print}\r\n\
         a=setup:actpass\r\n"
    )
}

fn keys(first: u8) -> Box<Keys> {
    let key = |first| MasterKey::new(Suite::AeadAes256Gcm, &[first; 44]).unwrap();
    Box::new(Keys::new(key(first), vec![key(first + 1)]).unwrap())
}

fn set_up(b: &mut Bench, leg: MediaLegId, number: u32, setup: Setup) {
    b.with(|calls, cx, net| calls.media(cx, net, Event::Setup(leg, number, setup)));
}

/// What the leg was told of keys, and of its set-up, in this order.
fn told(b: &Bench, leg: MediaLegId) -> Vec<&'static str> {
    let word = |command: &Command| match command {
        Command::Protect { keys, .. } if keys.is_some() => Some("keys"),
        Command::Protect { .. } => Some("no keys"),
        Command::Connect { .. } => Some("connect"),
        _other => None,
    };
    let of = b.media.iter().filter(|command| command.leg() == Some(leg));
    of.filter_map(word).collect()
}

/// RFC 8842 5.1: a set-up that is over tells nothing any more, however late it is heard.
#[test]
fn a_browser_with_another_certificate_has_no_keys_until_it_has_its_own() {
    let mut b = Bench::changed(ALICE_WEB.0, ALICE_WEB.1);
    b.with(|calls, _, _| calls.known_by(Fingerprint([7; 32])));
    let invite = b.invite(ALICE, "alice", "bob", Some(offer("AA")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, ""))).unwrap();
    let ok = b.one(ALICE);
    let mut alice = b.ack(ALICE, &invite, &ok);
    let leg = b.media_legs()[0];
    let peer: SocketAddr = "203.0.113.9:5000".parse().unwrap();
    set_up(&mut b, leg, 0, Setup::Secured { peer, keys: keys(1) });
    assert_eq!(told(&b, leg), ["connect", "keys"]);
    b.ask(
        ALICE,
        &mut alice,
        Method::Invite,
        Some(("application/sdp", offer("BB"))),
    );
    assert_eq!(told(&b, leg), ["connect", "keys", "no keys", "connect"]);
    // Of the set-up before.
    let since = b.media.len();
    set_up(&mut b, leg, 0, Setup::Secured { peer, keys: keys(1) });
    set_up(&mut b, leg, 0, Setup::Path(peer));
    assert_eq!(b.media[since..], []);
    set_up(&mut b, leg, 1, Setup::Secured { peer, keys: keys(3) });
    assert_eq!(told(&b, leg), ["connect", "keys", "no keys", "connect", "keys"]);
}

/// What media was told of where the peer of a leg is: its name, and its candidates.
fn connects(b: &Bench, leg: MediaLegId) -> Vec<(String, Vec<String>)> {
    let of = |command: &Command| match command {
        Command::Connect { leg: own, connect, .. } if *own == leg => {
            let candidates = connect.lite.iter().flat_map(|lite| &lite.candidates);
            Some((
                connect.theirs.ufrag.to_string(),
                candidates.map(SocketAddr::to_string).collect(),
            ))
        }
        _other => None,
    };
    b.media.iter().filter_map(of).collect()
}

/// RFC 8840 4.3: of several early dialogs each trickles its own; media hears of the one that it is connected with.
#[test]
fn forks_trickle_each_its_own_candidates() {
    let mut b = Bench::changed(ALICE_WEB.0, ALICE_WEB.1);
    b.with(|calls, _, _| calls.known_by(Fingerprint([7; 32])));
    b.invite(BOB, "bob", "alice", Some(sdp(5000, "")));
    let theirs = b.one(ALICE);
    assert!(theirs.has_token(Name::Supported, "trickle-ice"));
    let answer = |ufrag: &str| {
        let lite = offer("AA").replace("a=group", "a=ice-lite\r\na=ice-options:trickle\r\na=group");
        lite.replace("eV5c", ufrag).replace("actpass", "active")
    };
    let fork = |b: &mut Bench, tag: &str| {
        b.answer_with(ALICE, &theirs, 183, tag, Some(answer(&tag.repeat(4))), &[])
            .unwrap()
    };
    let (mut p, mut q) = (fork(&mut b, "p"), fork(&mut b, "q"));
    let leg = b.media_legs()[1];
    let none = Vec::new();
    assert_eq!(
        connects(&b, leg),
        [("pppp".to_owned(), none.clone()), ("qqqq".to_owned(), none)]
    );
    let trickle = |b: &mut Bench, dialog: &mut Dialog, ufrag: &str, at: &str| {
        let body = format!(
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789abcdefghij+/\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 9 {at} typ host\r\n"
        );
        let body = Some(("application/trickle-ice-sdpfrag", body));
        b.ask_with(ALICE, dialog, Method::Info, body, &[("Info-Package", "trickle-ice")]);
        assert_eq!(b.heads(ALICE), ["200 INFO"]);
    };
    trickle(&mut b, &mut p, "pppp", "192.0.2.1 1000");
    // Under the name of the other, and of nobody.
    trickle(&mut b, &mut q, "pppp", "192.0.2.3 3000");
    trickle(&mut b, &mut q, "nobody", "192.0.2.4 4000");
    assert_eq!(connects(&b, leg).len(), 2);
    trickle(&mut b, &mut q, "qqqq", "192.0.2.2 2000");
    assert_eq!(
        connects(&b, leg)[2..],
        [("qqqq".to_owned(), vec!["192.0.2.2:2000".to_owned()])]
    );
    // It says no more than its first answer, and yet what came since counts (RFC 8840 4.3.2).
    b.answer(ALICE, &theirs, 200, Some(answer("pppp")));
    let last = connects(&b, leg).pop();
    assert_eq!(last, Some(("pppp".to_owned(), vec!["192.0.2.1:1000".to_owned()])));
}

/// What comes before our answer counts with it.
#[test]
fn what_is_trickled_before_our_answer_is_not_lost() {
    let mut b = Bench::changed(ALICE_WEB.0, ALICE_WEB.1);
    b.with(|calls, _, _| calls.known_by(Fingerprint([7; 32])));
    let lite = offer("AA").replace("a=group", "a=ice-lite\r\na=ice-options:trickle\r\na=group");
    let invite = b.invite(ALICE, "alice", "bob", Some(lite));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 180, None);
    let ringing = b.one(ALICE);
    assert!(ringing.status() == 180 && ringing.body().is_empty());
    let mut alice = Dialog::uac(crate::dialog::Begun::of(&invite).unwrap(), &ringing).unwrap();
    for (ufrag, port) in [("eV5c", 1_000), ("eV5c", 1_001)] {
        let body = format!(
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789abcdefghij+/\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
             a=candidate:1 1 udp 9 192.0.2.1 {port} typ host\r\n"
        );
        let body = Some(("application/trickle-ice-sdpfrag", body));
        b.ask_with(
            ALICE,
            &mut alice,
            Method::Info,
            body,
            &[("Info-Package", "trickle-ice")],
        );
        assert_eq!(b.heads(ALICE), ["200 INFO"]);
    }
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    let leg = b.media_legs()[0];
    let candidates = ["192.0.2.1:1000", "192.0.2.1:1001"].map(str::to_owned).to_vec();
    assert_eq!(connects(&b, leg), [("eV5c".to_owned(), candidates)]);
}

/// A candidate where this node listens itself is none: a stranger's description would have our checks go there.
#[test]
fn nobody_has_us_ask_our_own_doors() {
    let mut b = Bench::changed(ALICE_WEB.0, ALICE_WEB.1);
    b.with(|calls, _, _| calls.known_by(Fingerprint([7; 32])));
    let invite = b.invite(BOB, "bob", "alice", Some(sdp(5000, "")));
    let theirs = b.one(ALICE);
    let candidate = |at: &str| format!("a=candidate:1 1 udp 9 {at} typ host\r\n");
    let lite = offer("AA").replace("a=group", "a=ice-lite\r\na=ice-options:trickle\r\na=group");
    let answer = lite.replace("actpass", "active") + &candidate("192.0.2.1 5060") + &candidate("192.0.2.1 16500");
    let mut alice = b.answer(ALICE, &theirs, 200, Some(answer)).unwrap();
    let ok = b.one(BOB);
    b.ack(BOB, &invite, &ok);
    b.heard(ALICE);
    let leg = b.media_legs()[1];
    let has = |b: &Bench| {
        connects(b, leg)
            .pop()
            .map(|(_, candidates)| candidates)
            .unwrap_or_default()
    };
    assert_eq!(has(&b), ["192.0.2.1:16500"]);
    // Nor one that is told later.
    let body = format!(
        "a=ice-ufrag:eV5c\r\na=ice-pwd:0123456789abcdefghij+/\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{}{}",
        candidate("192.0.2.1 5060"),
        candidate("192.0.2.77 5060"),
    );
    let body = Some(("application/trickle-ice-sdpfrag", body));
    b.ask_with(
        ALICE,
        &mut alice,
        Method::Info,
        body,
        &[("Info-Package", "trickle-ice")],
    );
    assert_eq!(b.heads(ALICE), ["200 INFO"]);
    assert_eq!(has(&b), ["192.0.2.1:16500", "192.0.2.77:5060"]);
}

/// Which addresses are doors of ours: those where somebody listens, or may, on this machine.
#[test]
fn a_door_of_ours_is_known_at_each_of_its_addresses() {
    let text = "listen: [ \"udp://0.0.0.0:5060\", \"udp://192.0.2.9:5070\", \"tcp://0.0.0.0:443\" ]\nadvertise: 203.0.113.1\nng: { listen: \"127.0.0.1:2223\" }\n";
    let config = parse("test", text, &Sources::NONE).unwrap();
    let own = "192.0.2.1".parse().unwrap();
    for (at, is_ours) in [
        ("192.0.2.1:5060", true),
        ("203.0.113.1:5060", true),
        ("10.0.0.7:5060", true),
        ("127.0.0.1:2223", true),
        ("192.0.2.9:5070", true),
        ("198.51.100.7:5060", false),
        ("198.51.100.7:5070", false),
        ("10.0.0.7:5070", false),
        // Candidates are of UDP.
        ("10.0.0.7:443", false),
        ("192.0.2.1:16384", false),
    ] {
        assert_eq!(is_own_door(&config, own, at.parse().unwrap()), is_ours, "{at}");
    }
}

/// Alice calls bob, who takes digits by INFO, from a browser.
fn browser_calls() -> (Bench, Dialog) {
    let mut b = Bench::changed_in(&[
        (ALICE_WEB.0, ALICE_WEB.1.to_owned()),
        ("ring: 30s }", "ring: 30s, dtmf: info }".to_owned()),
    ]);
    b.with(|calls, _, _| calls.known_by(Fingerprint([7; 32])));
    let invite = b.invite(ALICE, "alice", "bob", Some(offer("AA")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, ""))).unwrap();
    let ok = b.one(ALICE);
    let alice = b.ack(ALICE, &invite, &ok);
    b.heard(BOB);
    (b, alice)
}

/// RFC 6086 7.2: an INFO has one package, and it is one that we know.
#[test]
fn an_info_is_of_one_package() {
    let (mut b, mut alice) = browser_calls();
    let fragment = "a=ice-ufrag:eV5c\r\na=ice-pwd:0123456789abcdefghij+/\r\na=end-of-candidates\r\n";
    for (packages, answer) in [
        (&["trickle-ice"][..], "200 INFO"),
        (&["trickle-ice;about=x"], "200 INFO"),
        (&["trickle-ice, trickle-ice"], "469 INFO"),
        (&["trickle-ice;about=x, other"], "469 INFO"),
        (&["trickle-ice", "trickle-ice"], "469 INFO"),
        (&["other"], "469 INFO"),
    ] {
        let fields: Vec<(&'static str, &str)> = packages.iter().map(|package| ("Info-Package", *package)).collect();
        let body = Some(("application/trickle-ice-sdpfrag", fragment.to_owned()));
        b.ask_with(ALICE, &mut alice, Method::Info, body, &fields);
        assert_eq!(b.heads(ALICE), [answer], "{packages:?}");
        assert_eq!(b.heads(BOB), [""; 0], "{packages:?}");
    }
}

/// Without a package it is an INFO as every phone sends it, and goes on to the other side.
#[test]
fn an_info_of_a_browser_without_a_package_goes_on() {
    let (mut b, mut alice) = browser_calls();
    let body = Some(("application/dtmf-relay", "Signal=5\r\nDuration=200\r\n".to_owned()));
    b.ask(ALICE, &mut alice, Method::Info, body);
    assert_eq!(b.heads(ALICE), ["200 INFO"]);
    let info = b.one(BOB);
    assert_eq!(
        (info.method(), &info.body()[..]),
        (Method::Info, &b"Signal=5\r\nDuration=200\r\n"[..])
    );
}
