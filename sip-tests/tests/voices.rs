//! Voices in rooms that forward them, with browsers of another implementation of ICE, DTLS and SRTP than the node's: each hears each other as it came on a
//! place of its own, and a phone in the mix on its first line (RFC 8829, 8843, 7587).

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use codecs::opus::Decoder;
use codecs::spectrum::dominant;
use sip_tests::browser::Manners;
use sip_tests::description::{events, opus, pcma};
use sip_tests::script::EDGE;
use sip_tests::{CallRef, Peer, World, s};
use std::collections::BTreeMap;

/// Of Opus on places for voices.
const VOICE: u8 = 109;

fn world(seed: u64, room: &str) -> World {
    let rooms = format!(
        "rooms: [ {{ number: \"3000\", name: standup, agc: no, gate: no, video: no{room} }} ]\nroutes:\n  - {{ to: \"3*\", do: room }}\n"
    );
    World::builder(seed)
        .config(&EDGE.replace("routes:\n", &rooms))
        .media()
        .build()
}

/// A peer at a browser with so many places for voices.
fn browser(w: &mut World, name: &str, places: usize) -> Peer {
    let peer = w.registered(name);
    let mids: Vec<String> = (1..=places).map(|nth| format!("v{nth}")).collect();
    let policy = w.policy(peer);
    policy.browser = Some(Manners::default());
    policy.formats = vec![opus(), events()];
    policy.sections = vec![(true, format!("a=group:BUNDLE audio0 {}\r\n", mids.join(" ")))];
    for mid in &mids {
        let section = format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF {VOICE}\r\na=mid:{mid}\r\na=rtcp-mux\r\na=recvonly\r\na=rtpmap:{VOICE} opus/48000/2\r\n"
        );
        policy.sections.push((false, section));
    }
    peer
}

/// The SSRC of each place, as the node describes it; none where it is refused.
fn places(w: &World, call: CallRef) -> Vec<Option<u32>> {
    let answer = w.at(call).remote_sdp.as_ref().expect("it is up");
    let audio = answer.others.iter().filter(|(_, text)| text.starts_with("m=audio"));
    let ssrc = |text: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix("a=ssrc:")?.split(' ').next()?.parse().ok())
    };
    audio.map(|(_, text)| ssrc(text)).collect()
}

/// The tone on each place of a member in a second, where there is one; each is one stream without a gap.
fn apart(w: &mut World, call: CallRef) -> Vec<f32> {
    w.voice(call).forget();
    w.run(s(1));
    let mut streams: BTreeMap<u32, (Decoder, Vec<i16>, u16)> = BTreeMap::new();
    for packet in w.voice(call).packets.iter().filter(|packet| packet.pt == VOICE) {
        let begin = || {
            (
                Decoder::new(8_000).unwrap(),
                Vec::new(),
                packet.sequence.wrapping_sub(1),
            )
        };
        let (decoder, pcm, last) = streams.entry(packet.ssrc).or_insert_with(begin);
        assert_eq!(packet.sequence, last.wrapping_add(1), "a number is missing");
        *last = packet.sequence;
        let mut frame = [0; 960];
        let len = decoder.decode(&packet.payload, &mut frame).unwrap();
        pcm.extend_from_slice(&frame[..len]);
    }
    let known: Vec<u32> = places(w, call).into_iter().flatten().collect();
    assert!(streams.keys().all(|ssrc| known.contains(ssrc)), "each was described");
    let tones = streams
        .values()
        .filter_map(|(_, pcm, _)| dominant(&pcm[pcm.len() / 2..], 8_000));
    let mut tones: Vec<f32> = tones
        .filter(|tone| tone.level_dbm0 > -30.0)
        .map(|tone| tone.hz)
        .collect();
    tones.sort_by(f32::total_cmp);
    tones
}

fn are(found: &[f32], wanted: &[f32]) -> bool {
    let mut wanted = wanted.to_vec();
    wanted.sort_by(f32::total_cmp);
    found.len() == wanted.len() && found.iter().zip(&wanted).all(|(one, other)| (one - other).abs() < 12.0)
}

#[test]
fn three_browsers_hear_one_another_apart_and_a_phone_beside() {
    let mut w = world(1, ", audio: forwarded, speakers: 4");
    let peers = ["alice", "carol", "dave"].map(|name| browser(&mut w, name, 4));
    let bob = w.registered("bob");
    w.policy(bob).formats = vec![pcma(), events()];
    let calls = peers.map(|peer| {
        let call = w.call(peer, "3000");
        w.up(call);
        call
    });
    let b = w.call(bob, "3000");
    w.up(b);
    w.run(s(3));
    let tones = peers.map(|peer| w.agents[peer.0].tone.unwrap());
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(places(&w, call).iter().flatten().count(), 4);
        // On its first line the phone, and nobody else.
        w.expect_hears(call, Some(b));
        let others: Vec<f32> = (0..3).filter(|other| *other != n).map(|other| tones[other]).collect();
        let found = apart(&mut w, call);
        assert!(are(&found, &others), "{found:?} and not {others:?}");
        assert_eq!(w.voice(call).forged, 0);
    }
    w.voice(b).forget();
    w.run(s(1));
    let heard = w.voice(b).heard().to_vec();
    for hz in tones {
        let level = codecs::goertzel::level_dbm0(&heard[2_000..], hz, 8_000);
        assert!(level > -25.0, "the phone hears {hz} at {level}");
    }
    // One goes: on his place there is nobody. The phone too: then nothing is sent on the first line.
    w.hang_up(calls[2]);
    w.expect_over(calls[2], 200);
    w.hang_up(b);
    w.expect_over(b, 200);
    w.run(s(3));
    let found = apart(&mut w, calls[0]);
    assert!(are(&found, &tones[1..2]), "{found:?}");
    let is_first = |voice: &sip_tests::tone::Voice| voice.packets.iter().filter(|packet| packet.pt != VOICE).count();
    assert_eq!(is_first(w.voice(calls[0])), 0);
    for call in &calls[..2] {
        w.hang_up(*call);
        w.expect_over(*call, 200);
    }
    w.finish();
}

/// A page with one line, or with too few places, hears the mix, and so does each where the room does not forward.
#[test]
fn who_has_no_places_hears_the_mix() {
    for (seed, room, count) in [(2, ", audio: forwarded, speakers: 3", 2), (3, ", audio: mixed", 4)] {
        let mut w = world(seed, room);
        let (alice, carol) = (browser(&mut w, "alice", count), browser(&mut w, "carol", 0));
        let calls = [alice, carol].map(|peer| {
            let call = w.call(peer, "3000");
            w.up(call);
            call
        });
        w.run(s(2));
        assert_eq!(places(&w, calls[0]), vec![None; count]);
        w.expect_tones(calls[0], calls[1]);
        for call in calls {
            assert!(w.voice(call).packets.iter().all(|packet| packet.pt != VOICE));
            w.hang_up(call);
            w.expect_over(call, 200);
        }
        w.finish();
    }
}
