//! A side that is a browser: what media is told when its peer becomes another.

use super::bench::*;
use crate::id::MediaLegId;
use crate::media::command::{Command, Event, Fingerprint, Keys, MasterKey, Setup, Suite};
use crate::sip::Method;
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
