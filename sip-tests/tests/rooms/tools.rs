//! A world with room 3000, four members who speak differently, and what each hears.

use codecs::goertzel::power;
use codecs::level::{DBM0_IN_DBOV, amplitude_dbov};
use sip_tests::description::{self, Format, events, g722, pcma, pcmu};
use sip_tests::script::EDGE;
use sip_tests::world::prompt_hz;
use sip_tests::{CallRef, Peer, State, World, ms, s};
use tandem::config::Prompt;

/// PCM of the peers.
const RATE: u32 = 8_000;
/// How loud each peer is.
const LOUD: f32 = -10.0;
/// How far a tone that is heard may be from that; and by how much more for each time that it went through Opus.
const WITHIN: f32 = 1.0;
/// What is softer is not heard.
const SILENT: f32 = -45.0;

/// The usual node, where dave's phone may encrypt, with a room 3000 that is made for tones and has these keys.
pub fn world(seed: u64, keys: &str) -> World {
    world_with(seed, "", keys)
}

/// The same with more in the configuration.
pub fn world_with(seed: u64, more: &str, keys: &str) -> World {
    let room = format!("{{ number: \"3000\", name: standup, agc: no, gate: no, {keys} }}");
    let yaml = EDGE.replace("calls: 1 }", "calls: 1, srtp: offered }").replace(
        "routes:\n",
        &format!("{more}\nrooms: [ {room} ]\nroutes:\n  - {{ to: \"7*\", do: room }}\n"),
    );
    World::builder(seed).config(&yaml).media().build()
}

/// A phone that is registered and speaks this; its tone is no harmonic of others, nor of a tone that two of them make together.
pub fn phone(w: &mut World, name: &str, formats: Vec<Format>) -> Peer {
    let peer = w.registered(name);
    w.agent(peer).tone = ["alice", "bob", "carol", "dave"]
        .into_iter()
        .zip([450.0, 620.0, 830.0, 1_090.0])
        .find_map(|(own, hz)| (own == name).then_some(hz));
    w.policy(peer).formats = formats;
    peer
}

/// Three phones: A-law, Opus, G.722.
pub fn three(w: &mut World) -> [Peer; 3] {
    [
        phone(w, "alice", vec![pcma(), events()]),
        phone(w, "bob", vec![description::opus(), events()]),
        phone(w, "carol", vec![g722(), events()]),
    ]
}

/// One more, by mu-law and SRTP.
pub fn fourth(w: &mut World) -> Peer {
    let dave = phone(w, "dave", vec![pcmu(), events()]);
    w.policy(dave).srtp = true;
    dave
}

/// Calls the room, and is answered.
pub fn joins(w: &mut World, peer: Peer) -> CallRef {
    let call = w.call(peer, "3000");
    w.up(call);
    call
}

/// All of them do; what is said at the door is over then.
pub fn all_join<const N: usize>(w: &mut World, peers: [Peer; N]) -> [CallRef; N] {
    let calls = peers.map(|peer| joins(w, peer));
    w.run(s(4));
    calls
}

/// Keys by telephone-event, and time for what is said to them.
pub fn press(w: &mut World, call: CallRef, keys: &str) {
    w.voice(call).dial(keys);
    w.run(s(5));
}

/// How loud a tone is for somebody in the next half second.
pub fn loud(w: &mut World, call: CallRef, hz: f32) -> f32 {
    w.voice(call).forget();
    w.run(ms(500));
    level(w.voice(call).heard(), hz)
}

/// This is said to somebody within some seconds, where the room's words are tones.
pub fn is_said(w: &mut World, call: CallRef, prompt: Prompt) {
    let mut heard = Vec::new();
    while heard.len() < 40 {
        w.run(ms(200));
        let pcm = w.voice(call).heard();
        let last = level(&pcm[pcm.len().saturating_sub(1_600)..], prompt_hz(prompt));
        if (-12.0..-8.0).contains(&last) {
            return;
        }
        heard.push(last);
    }
    w.fail(&format!("{prompt:?} is not said: {heard:?} dBm0"));
}

pub fn is_up(w: &World, call: CallRef) -> bool {
    w.state(call) == State::Up
}

/// For a second: each of these hears those behind it, each as loud as it is, and no other peer, himself least of all.
pub fn hear(w: &mut World, expected: &[(CallRef, &[CallRef])]) {
    w.run(ms(300));
    for (who, _) in expected {
        w.voice(*who).forget();
    }
    w.run(s(1));
    let tones: Vec<Option<f32>> = w.agents.iter().map(|agent| agent.tone).collect();
    for (who, whom) in expected {
        let pcm = w.voice(*who).heard().to_vec();
        for (peer, hz) in tones.iter().enumerate() {
            let Some(hz) = *hz else { continue };
            let loud = level(&pcm, hz);
            let heard = whom.iter().find(|call| call.peer == Peer(peer));
            let is_right = match heard {
                Some(whom) => (loud - LOUD).abs() < WITHIN * f32::from(1 + opus(w, *who) + opus(w, *whom)),
                None => loud < SILENT,
            };
            if !is_right {
                let [name, of] = [who.peer.0, peer].map(|peer| w.agents[peer].name.clone());
                let wanted = if heard.is_some() {
                    "should hear"
                } else {
                    "should not hear"
                };
                let samples = pcm.len();
                let tenths: Vec<f32> = pcm.chunks(800).map(|tenth| level(tenth, hz)).collect();
                w.fail(&format!(
                    "{name} {wanted} {of}: {hz} Hz is at {loud} dBm0 in {samples} samples, {tenths:?}"
                ));
            }
        }
    }
}

/// How often what a member says and hears goes through Opus.
fn opus(w: &mut World, call: CallRef) -> u8 {
    u8::from(w.voice(call).format().name.starts_with("opus"))
}

/// Each of these hears all the others, and nobody himself.
pub fn all_hear(w: &mut World, calls: &[CallRef]) {
    let others = |own: &CallRef| -> Vec<CallRef> { calls.iter().copied().filter(|call| call != own).collect() };
    let whom: Vec<Vec<CallRef>> = calls.iter().map(others).collect();
    let expected: Vec<(CallRef, &[CallRef])> = calls.iter().copied().zip(whom.iter().map(Vec::as_slice)).collect();
    hear(w, &expected);
}

/// The level of a tone in dBm0, the mean of tenths of a second: there tones that are multiples of 10 Hz do not disturb one another.
pub fn level(pcm: &[i16], hz: f32) -> f32 {
    let tenths = pcm.chunks_exact(RATE as usize / 10);
    let count = tenths.len().max(1) as f64;
    let mean = tenths.map(|tenth| power(tenth, hz, RATE)).sum::<f64>() / count;
    amplitude_dbov(mean.sqrt() as f32) - DBM0_IN_DBOV
}

/// In how many tenths of a second a tone is about so loud.
pub fn tenths(pcm: &[i16], hz: f32, dbm0: f32) -> usize {
    let tenths = pcm.chunks_exact(RATE as usize / 10);
    tenths.filter(|tenth| (level(tenth, hz) - dbm0).abs() < 3.0).count()
}

/// They leave, and nothing is left of the room.
pub fn leave(w: &mut World, calls: &[CallRef]) {
    for call in calls {
        w.hang_up(*call);
        w.run(ms(500));
    }
    assert_eq!(w.control("rooms"), Ok(Vec::new()), "nobody is in a room");
    w.finish();
}
