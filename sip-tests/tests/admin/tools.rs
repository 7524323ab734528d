//! What the scenarios share: configurations, requests outside of dialogs, facts.

use sip_tests::{Answer, Builder, CallRef, Msg, Peer, State, World, digest, ms};
use tandem::effect::Fact;

/// A world on a configuration whose beginning is always the same; `rest` begins with `users:` or `trunks:`.
pub fn world(seed: u64, rest: &str) -> World {
    builder(seed, rest).build()
}

pub fn builder(seed: u64, rest: &str) -> Builder {
    World::builder(seed).config(&yaml(rest))
}

pub fn yaml(rest: &str) -> String {
    format!(
        "node: {{ name: edge }}\nlisten: [ \"udp://192.0.2.1:5060\", \"tcp://192.0.2.1:5060\" ]\n\
         media: {{ ports: 20000-20399, workers: 2 }}\ndomains: [ example.com ]\n{rest}"
    )
}

/// Alice and bob, who have nothing to do with what is tested.
pub const USERS: &str = "users:
  - { name: alice, password: \"wonder land\", number: \"+14155550101\" }
  - { name: bob, password: builder, number: \"+14155550102\" }
";

/// For tests that send more than the guard would let through.
pub const PATIENT: &str = "guard: { per_stranger: 1000, strangers: 10000, per_source: 1000, per_user: 1000 }\n";

/// A request outside of dialogs as a phone writes it; its peer puts Via in front.
pub fn outside(method: &str, uri: &str, from: &str, call_id: &str, cseq: u32) -> Msg {
    Msg::request(method, uri)
        .with("Max-Forwards", "70")
        .with("From", &format!("<{from}>;tag=script"))
        .with("To", &format!("<{uri}>"))
        .with("Call-ID", call_id)
        .with("CSeq", &format!("{cseq} {method}"))
}

/// Sends a request outside of dialogs; gives its final response, after credentials where the peer has some.
pub fn exchange(w: &mut World, peer: Peer, request: Msg) -> Msg {
    let (call_id, method) = (request.call_id().to_owned(), request.method().to_owned());
    w.act(peer.0, |agent, cx| agent.send_loose(cx, request));
    let done = |w: &World| {
        let mut of_call = w.agents[peer.0].log.iter().filter(|seen| seen.msg.call_id() == call_id);
        let sent = of_call
            .clone()
            .rfind(|seen| seen.sent && seen.msg.is(&method))?
            .msg
            .cseq()
            .0;
        let fits = |msg: &Msg| msg.status() >= 200 && msg.cseq() == (sent, method.as_str());
        of_call
            .find(|seen| !seen.sent && fits(&seen.msg))
            .map(|seen| seen.msg.clone())
    };
    w.until("a final response", |w| done(w).is_some());
    done(w).expect("it was just there")
}

/// A peer that says only what the script says: nothing is answered with credentials by itself.
pub fn tongue_tied(w: &mut World, peer: Peer) {
    w.agent(peer).password.clear();
}

/// Adds credentials for a challenge.
pub fn sign(request: Msg, challenge: &str, user: &str, password: &str, nc: u32) -> Msg {
    let credentials = digest::answer(challenge, user, password, request.method(), request.uri(), nc);
    request.with("Authorization", &credentials)
}

/// The challenge that a request meets.
pub fn challenge(w: &mut World, peer: Peer, request: Msg) -> String {
    let response = exchange(w, peer, request);
    assert_eq!(response.status(), 401, "{response:?}");
    response.text("WWW-Authenticate").to_owned()
}

/// The statuses with which requests were refused before they became anything, 0 where nothing was answered.
pub fn refusals(w: &World) -> Vec<u16> {
    let status = |fact: &Fact| {
        if let Fact::Refused { status, .. } = fact {
            Some(*status)
        } else {
            None
        }
    };
    w.facts.iter().filter_map(status).collect()
}

/// What was told of trunks: `acme up`, `acme sip:192.0.2.9 down`, with the reason behind a colon.
pub fn trunk_facts(w: &World) -> Vec<String> {
    let mut told = Vec::new();
    for fact in &w.facts {
        if let Fact::TrunkState { trunk, peer, up, why } = fact {
            let peer = peer.as_ref().map_or(String::new(), |peer| format!(" {peer}"));
            told.push(format!("{trunk}{peer} {}: {why}", if *up { "up" } else { "down" }));
        }
    }
    told
}

/// A carrier that refuses every call with this status at once.
pub fn refuses(w: &mut World, peer: Peer, status: u16) {
    w.policy(peer).ring = None;
    w.policy(peer).answer = Answer::Status(status, ms(20), Vec::new());
}

/// Calls, and expects that it ends with this status.
pub fn fails(w: &mut World, from: Peer, to: &str, status: u16) -> CallRef {
    let call = w.call(from, to);
    w.expect_over(call, status);
    call
}

/// Calls, and expects that it is answered; then hangs up.
pub fn works(w: &mut World, from: Peer, to: &str) {
    let call = w.call(from, to);
    w.up(call);
    w.run(ms(100));
    w.hang_up(call);
    w.expect_over(call, 200);
    w.run(ms(100));
}

/// The calls that reached a peer, oldest first.
pub fn incoming(w: &World, peer: Peer) -> Vec<CallRef> {
    let calls = w.agents[peer.0].calls.iter().enumerate();
    calls
        .filter(|(_, call)| !call.outgoing)
        .map(|(call, _)| CallRef { peer, call })
        .collect()
}

/// True while a call rings or is up.
pub fn live(w: &World, call: CallRef) -> bool {
    matches!(w.state(call), State::Calling | State::Ringing | State::Up)
}
