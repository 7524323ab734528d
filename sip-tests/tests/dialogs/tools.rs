//! What these scripts say in common.

use sip_tests::script::EDGE;
use sip_tests::{Answer, CallRef, Change, Msg, Peer, State, World, ms, s};
use tandem::time::Instant;

/// alice and bob, registered.
pub fn two(seed: u64) -> (World, Peer, Peer) {
    let mut w = World::new(seed);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    (w, alice, bob)
}

/// alice and bob, registered, with real media: each speaks a tone.
pub fn two_with_tones(seed: u64) -> (World, Peer, Peer) {
    let mut w = World::builder(seed).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    (w, alice, bob)
}

/// The usual configuration and more sections.
pub fn edge_with(sections: &str) -> String {
    format!("{EDGE}{sections}\n")
}

/// A call that has reached the called side, which says 100 and leaves the rest to the script.
pub fn calling(w: &mut World, from: Peer, to: Peer, number: &str) -> (CallRef, CallRef) {
    w.policy(to).answer = Answer::Manual;
    w.policy(to).ring = None;
    let call = w.call(from, number);
    (call, w.incoming(to))
}

/// What a hold by this direction changes.
pub fn direction(direction: &'static str) -> Change {
    Change {
        direction: Some(direction),
        ..Change::default()
    }
}

/// The same description again.
pub fn same() -> Change {
    Change {
        same: true,
        ..Change::default()
    }
}

/// The peer answers as another fork from now on (RFC 3261 12.1): another To tag, another RTP port.
pub fn fork(w: &mut World, call: CallRef, tag: &str) {
    let call = &mut w.agent(call.peer).calls[call.call];
    tag.clone_into(&mut call.local_tag);
    let port = call.sdp.at.port() + 2;
    call.sdp.at.set_port(port);
}

/// A request within a call as the script writes it, CSeq included; gives its status.
pub fn ask_in_call(w: &mut World, call: CallRef, method: &str, cseq: u32) -> u16 {
    let request = w.at(call).request(method, cseq);
    w.ask(call.peer, request)
}

/// An ACK with any CSeq, sent as it is.
pub fn send_ack(w: &mut World, call: CallRef, cseq: u32) {
    let mut ack = w.at(call).request("ACK", cseq);
    let via = format!(
        "SIP/2.0/UDP {};branch=z9hG4bK-ack-{cseq}-{}",
        w.agents[call.peer.0].addr,
        w.now.as_millis()
    );
    ack.headers.insert(0, ("Via".into(), via));
    w.send_raw(call.peer, ack.write().to_vec());
}

/// Replaces for a dialog that this peer has with the node, as the node reads it: its own tag is the To tag (RFC 3891 3).
pub fn replaces(w: &World, call: CallRef) -> String {
    let call = w.at(call);
    format!(
        "{};to-tag={};from-tag={}",
        call.call_id, call.remote_tag, call.local_tag
    )
}

/// Refer-To with Replaces, escaped (RFC 3891 6.1 within RFC 3261 19.1.1).
pub fn refer_to_replace(w: &World, user: &str, call: CallRef) -> String {
    let replaces = replaces(w, call)
        .replace('@', "%40")
        .replace(';', "%3B")
        .replace('=', "%3D");
    format!("Refer-To: <sip:{user}@example.com?Replaces={replaces}>")
}

/// Responses to a method that a peer received, by status, 100 left out.
pub fn statuses(w: &World, peer: Peer, method: &str) -> Vec<u16> {
    let all = w.received(peer, |m| m.status() > 100 && m.method() == method);
    all.iter().map(|(_, m)| m.status()).collect()
}

/// The requests of a method that a peer received, copies left out.
pub fn requests(w: &World, peer: Peer, method: &str) -> Vec<(Instant, Msg)> {
    let mut all = w.received(peer, |m| m.is(method));
    all.dedup_by(|b, a| a.1.branch() == b.1.branch());
    all
}

/// INVITEs within a dialog that a peer received, copies left out.
pub fn reinvites(w: &World, peer: Peer) -> Vec<(Instant, Msg)> {
    let mut all = requests(w, peer, "INVITE");
    all.retain(|(_, m)| !m.to_tag().is_empty());
    all
}

/// The first lines of the bodies of NOTIFYs.
pub fn notified(w: &World, call: CallRef) -> Vec<u16> {
    let status = |body: &String| {
        body.strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest[..3].parse().ok())
            .unwrap_or(0)
    };
    w.at(call).notified.iter().map(status).collect()
}

/// The `o=` line of a description.
pub fn origin(sdp: &str) -> String {
    sdp.lines()
        .find(|line| line.starts_with("o="))
        .unwrap_or_default()
        .to_owned()
}

/// True if a tone of this frequency is heard at some time within the next seconds.
pub fn hears_within(w: &mut World, call: CallRef, hz: f32, seconds: u64) -> bool {
    (0..seconds * 5).any(|_| {
        w.run(ms(200));
        w.voice(call).hears().is_some_and(|heard| heard.is(hz, 12.0))
    })
}

/// The status that ends a call within so many seconds.
pub fn over_within(w: &mut World, call: CallRef, seconds: u64) -> u16 {
    w.until_within(s(seconds), "a call is over", |w| !w.at(call).is_live());
    match w.state(call) {
        State::Ended(status) => status,
        State::Calling | State::Ringing | State::Up => 0,
    }
}

/// The URI that a peer writes into Contact over UDP.
pub fn contact_uri(w: &World, peer: Peer) -> String {
    let agent = &w.agents[peer.0];
    format!("sip:{}@{}", agent.user, agent.addr)
}
