//! Calls with a side that must be encrypted: what is said in descriptions, and what media is told, in which order.

use super::bench::*;
use crate::dialog::{Begun, Dialog};
use crate::id::MediaLegId;
use crate::media::command::{Command, Keys};
use crate::sip::{Message, Method, Name};
use std::time::Duration;

const ALICE_MUST: (&str, &str) = ("display_name: Alice }", "display_name: Alice, srtp: required }");
const BOB_MUST: (&str, &str) = ("ring: 30s }", "ring: 30s, srtp: required }");
const K1: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const K2: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

/// A description with RTP/SAVP and one key for the suite that everybody has.
fn secure(port: u16, tag: u32, key: &str, rest: &str) -> String {
    let line = format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n{rest}");
    sdp(port, &line).replace("RTP/AVP", "RTP/SAVP")
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

/// The key of ours in a description, of the suite that everybody has.
fn our_key(message: &Message, tag: u32) -> String {
    let body = body(message);
    let head = format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:");
    let key = body.lines().find_map(|line| line.strip_prefix(&head));
    key.unwrap_or_else(|| panic!("no line {head} in\n{body}")).to_owned()
}

/// What each leg was told of its keys since then; each of its negotiations must come after that.
fn told(b: &Bench, since: usize) -> Vec<(MediaLegId, Option<Keys>)> {
    let mut told: Vec<(MediaLegId, Option<Keys>)> = Vec::new();
    for command in &b.media[since..] {
        if let Command::Protect { leg, keys } = command {
            told.push((*leg, keys.as_deref().cloned()));
        }
    }
    told
}

fn place(b: &Bench, leg: MediaLegId, is_it: impl Fn(&Command) -> bool) -> Option<usize> {
    b.media
        .iter()
        .position(|command| command.leg() == Some(leg) && is_it(command))
}

#[test]
fn each_side_of_a_call_is_as_its_entry_says() {
    let mut b = Bench::changed(BOB_MUST.0, BOB_MUST.1);
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    assert!(body(&theirs).contains(" RTP/SAVP ") && body(&theirs).matches("a=crypto").count() == 4);
    b.answer(BOB, &theirs, 200, Some(secure(5000, 4, K1, "")));
    let ok = b.one(ALICE);
    assert!(body(&ok).contains(" RTP/AVP ") && !body(&ok).contains("crypto"));
    b.ack(ALICE, &invite, &ok);
    let told = told(&b, 0);
    let [(leg, Some(_))] = &told[..] else {
        panic!("only bob's leg has keys: {told:?}")
    };
    let keys = place(&b, *leg, |command| matches!(command, Command::Protect { .. }));
    let spoken = place(&b, *leg, |command| matches!(command, Command::Negotiated { .. }));
    assert!(
        keys.is_some() && keys < spoken,
        "no packet goes before its key is there"
    );
    assert!(b.ended().is_empty());
}

#[test]
fn what_comes_in_the_clear_is_refused() {
    let mut b = Bench::changed(ALICE_MUST.0, ALICE_MUST.1);
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    assert_eq!(b.heads(ALICE), ["488 INVITE"]);
    // One that rings already: bob's phone has no keys.
    let mut b = Bench::changed(BOB_MUST.0, BOB_MUST.1);
    b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
    let heard = b.heard(BOB);
    assert_eq!(heard.iter().map(head).collect::<Vec<_>>(), ["ACK", "BYE"]);
    b.answer(BOB, &heard[1], 200, None);
    assert_eq!(b.heads(ALICE), ["488 INVITE"]);
    let open = b
        .media
        .iter()
        .find(|command| matches!(command, Command::Negotiated { leg, .. } if Some(*leg) != b.media[0].leg()));
    assert!(open.is_none(), "nothing is agreed with bob: {open:?}");
}

/// The offer is ours then, in the 200, and the answer comes in the ACK.
#[test]
fn a_late_offer_is_encrypted_too() {
    for (answer, lives) in [(secure(4000, 4, K1, ""), true), (sdp(4000, ""), false)] {
        let mut b = Bench::changed(ALICE_MUST.0, ALICE_MUST.1);
        let invite = b.invite(ALICE, "alice", "bob", None);
        let theirs = b.one(BOB);
        assert!(body(&theirs).contains(" RTP/AVP "));
        b.answer(BOB, &theirs, 200, Some(sdp(5000, "")));
        let ok = b.one(ALICE);
        assert!(body(&ok).contains(" RTP/SAVP ") && body(&ok).contains("a=crypto:4 AES_CM_128_HMAC_SHA1_80 "));
        let dialog = Dialog::uac(Begun::of(&invite).unwrap(), &ok).unwrap();
        let mut ack = dialog.ack(1);
        ack.set_body("application/sdp", answer);
        b.heard(BOB);
        b.say(ALICE, ack);
        assert_eq!(
            told(&b, 0).iter().filter(|(_, keys)| keys.is_some()).count(),
            usize::from(lives)
        );
        assert_eq!(b.heads(ALICE), if lives { vec![] } else { vec!["BYE"] });
    }
}

/// Changes, refreshes and new keys of the peer: ours stays, and nothing is ever told to go on in the clear.
#[test]
fn our_key_stays_over_changes_and_refreshes_and_the_peer_s_is_followed() {
    let mut b = Bench::changed(BOB_MUST.0, BOB_MUST.1);
    let invite = b.invite(ALICE, "alice", "bob", Some(sdp(4000, "")));
    let theirs = b.one(BOB);
    let ours = our_key(&theirs, 4);
    let mut bob = b.answer(BOB, &theirs, 200, Some(secure(5000, 4, K1, ""))).unwrap();
    let ok = b.one(ALICE);
    b.ack(ALICE, &invite, &ok);
    b.heard(BOB);
    // Bob says the same again, with a number of his own for the line.
    let change = Some(("application/sdp", secure(5000, 9, K1, "")));
    let timer = [("Session-Expires", "1800;refresher=uas"), ("Supported", "timer")];
    b.ask_with(BOB, &mut bob, Method::Invite, change, &timer);
    let ok = b.heard(BOB).remove(0);
    assert_eq!((head(&ok).as_str(), our_key(&ok, 9)), ("200 INVITE", ours.clone()));
    b.say(BOB, bob.ack(ok.cseq().unwrap().number));
    let before = b.media.len();
    // Our refresh says once more what we said last, an answer.
    b.wait(Duration::from_secs(901));
    let refresh = b
        .heard(BOB)
        .into_iter()
        .find(|message| message.get(Name::SessionExpires).is_some())
        .unwrap();
    assert_eq!((refresh.method(), our_key(&refresh, 9)), (Method::Invite, ours));
    b.answer(BOB, &refresh, 200, Some(secure(5000, 9, K2, "")));
    assert_eq!(b.heads(BOB), ["ACK"]);
    let first = told(&b, 0).remove(0).1.unwrap();
    let after = told(&b, before);
    assert!(
        !after.is_empty() && after.iter().all(|(_, keys)| keys.is_some()),
        "{after:?}"
    );
    let last = after.last().cloned().unwrap().1.unwrap();
    assert_eq!(first.seal(), last.seal());
    assert_ne!(first.open(), last.open());
    assert!(b.ended().is_empty());
}
