//! What scripts say: run until, register, call, answer, expect.

use crate::agent::{Agent, Call, Change, Ctx, Policy, State};
use crate::cdr::Cdr;
use crate::message::Msg;
use crate::tone::Voice;
use crate::world::World;
use std::net::SocketAddr;
use std::time::Duration;
use tandem::id::ControlId;
use tandem::node::Input;
use tandem::time::Instant;

/// The configuration that scenarios use unless they bring their own.
pub const EDGE: &str = r#"
node:     { name: edge }
listen:   [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060" ]
media:    { ports: 20000-20999, workers: 2, silence: 5m }
domains:  [ example.com ]
users:
  - { name: alice, password: "wonder land", number: "+14155550101" }
  - { name: bob, password: builder, number: "+14155550102" }
  - { name: carol, password: xmas, numbers: [ "+14155550103", "103" ] }
  - { name: dave, password: goliath, calls: 1 }
trunks:
  - name: acme
    peers: [ "sip:198.51.100.1:5060", "sip:198.51.100.2:5060" ]
    accept_from: [ 198.51.100.0/24 ]
    codecs: [ pcma, pcmu ]
    limits: { calls: 100, calls_per_second: 100 }
    numbers: { country: US, send: e164 }
    options: never
routes:
  - { to: "600", do: echo }
  - { to: "601", do: tone }
  - { to: "+", from: user/*, do: trunk/acme }
"#;

/// Seconds.
pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A peer, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub usize);

/// A call as one peer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRef {
    /// Who.
    pub peer: Peer,
    /// Which of its calls.
    pub call: usize,
}

/// The longest that `until` waits.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    /// Lets this much time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until something holds, at most a minute.
    pub fn until(&mut self, what: &str, holds: impl Fn(&World) -> bool) {
        self.until_within(PATIENCE, what, holds);
    }

    /// Runs until something holds, at most this long.
    pub fn until_within(&mut self, limit: Duration, what: &str, holds: impl Fn(&World) -> bool) {
        let end = self.now + limit;
        while !holds(self) {
            if self.next().is_none_or(|at| at > end) {
                self.fail(&format!("waited in vain for {limit:?}: {what}"));
            }
            self.step();
        }
    }

    /// A peer.
    pub fn agent(&mut self, peer: Peer) -> &mut Agent {
        &mut self.agents[peer.0]
    }

    /// What a peer does by itself.
    pub fn policy(&mut self, peer: Peer) -> &mut Policy {
        &mut self.agents[peer.0].policy
    }

    /// Registers a phone for an hour, and waits for the 200.
    pub fn register(&mut self, peer: Peer) {
        self.act(peer.0, |agent, cx| agent.register(cx, 3600));
        let name = self.agents[peer.0].name.clone();
        self.until(&format!("{name} is registered"), |w| {
            w.agents[peer.0].registration.last_status != 0
        });
        let status = self.agents[peer.0].registration.last_status;
        assert_eq!(status, 200, "seed {}: {name} is registered", self.seed);
    }

    /// A REGISTER with any lines; gives the final status.
    pub fn register_with(&mut self, peer: Peer, lines: &[&str]) -> u16 {
        self.act(peer.0, |agent, cx| agent.register_with(cx, lines));
        self.until("an answer to REGISTER", |w| {
            w.agents[peer.0].registration.last_status != 0
        });
        self.agents[peer.0].registration.last_status
    }

    /// A phone that is registered.
    pub fn registered(&mut self, name: &str) -> Peer {
        let peer = self.phone(name);
        self.register(peer);
        peer
    }

    /// Calls a name, a number or a whole URI.
    pub fn call(&mut self, from: Peer, to: &str) -> CallRef {
        self.call_with(from, to, &[])
    }

    /// The same with header lines that take the place of the peer's own.
    pub fn call_with(&mut self, from: Peer, to: &str, lines: &[&str]) -> CallRef {
        let domain = self.config.domains.first().map_or("example.com", |domain| &domain.name);
        let uri = if to.contains(':') {
            to.to_owned()
        } else {
            format!("sip:{to}@{domain}")
        };
        let call = self.act(from.0, |agent, cx| agent.dial(cx, &uri, lines));
        CallRef { peer: from, call }
    }

    /// Waits until a peer has a call that it did not make, and that is not over; gives the newest.
    pub fn incoming(&mut self, peer: Peer) -> CallRef {
        let newest = move |w: &World| {
            w.agents[peer.0]
                .calls
                .iter()
                .rposition(|call| !call.outgoing && call.is_live())
        };
        let name = self.agents[peer.0].name.clone();
        self.until(&format!("a call reaches {name}"), move |w| newest(w).is_some());
        CallRef {
            peer,
            call: newest(self).unwrap_or_default(),
        }
    }

    /// A call as its peer sees it.
    pub fn at(&self, call: CallRef) -> &Call {
        &self.agents[call.peer.0].calls[call.call]
    }

    /// The media of a call.
    pub fn voice(&mut self, call: CallRef) -> &mut Voice {
        let seed = self.seed;
        let voice = self.agents[call.peer.0].calls[call.call].voice.as_mut();
        voice.unwrap_or_else(|| panic!("seed {seed}: the call has media"))
    }

    /// Where a call is.
    pub fn state(&self, call: CallRef) -> State {
        self.at(call).state
    }

    /// Waits until a call rings.
    pub fn rings(&mut self, call: CallRef) {
        self.until("a call rings", |w| w.state(call) == State::Ringing);
    }

    /// Waits until a call is up.
    pub fn up(&mut self, call: CallRef) {
        self.until("a call is up", |w| w.state(call) == State::Up || !w.at(call).is_live());
        assert_eq!(self.state(call), State::Up, "seed {}", self.seed);
    }

    /// Waits until a call is over; gives the status.
    pub fn over(&mut self, call: CallRef) -> u16 {
        self.until_within(Duration::from_secs(300), "a call is over", |w| !w.at(call).is_live());
        match self.state(call) {
            State::Ended(status) => status,
            State::Calling | State::Ringing | State::Up => 0,
        }
    }

    /// Expects that a call ends with this status.
    pub fn expect_over(&mut self, call: CallRef, status: u16) {
        let over = self.over(call);
        assert_eq!(over, status, "seed {}: the status that ended the call", self.seed);
    }

    /// One step of the peer of a call.
    pub fn on<T>(&mut self, call: CallRef, work: impl FnOnce(&mut Agent, &mut Ctx<'_>, usize) -> T) -> T {
        self.act(call.peer.0, |agent, cx| work(agent, cx, call.call))
    }

    /// Answers by 200.
    pub fn accept(&mut self, call: CallRef) {
        self.on(call, Agent::accept);
    }

    /// Any response to a call that came, without SDP.
    pub fn respond(&mut self, call: CallRef, status: u16) {
        self.on(call, |agent, cx, call| agent.respond(cx, call, status, false, &[]));
    }

    /// Any response with SDP.
    pub fn respond_sdp(&mut self, call: CallRef, status: u16) {
        self.on(call, |agent, cx, call| agent.respond(cx, call, status, true, &[]));
    }

    /// Hangs up by CANCEL, BYE or 486.
    pub fn hang_up(&mut self, call: CallRef) {
        self.on(call, Agent::hang_up);
    }

    /// re-INVITE; gives its final status.
    pub fn reinvite(&mut self, call: CallRef, change: Change) -> u16 {
        self.change(call, "INVITE", |agent, cx, call| agent.reinvite(cx, call, change))
    }

    /// UPDATE; gives its final status.
    pub fn update(&mut self, call: CallRef, change: Change) -> u16 {
        self.change(call, "UPDATE", |agent, cx, call| agent.update(cx, call, change))
    }

    /// Any request within a call; gives its final status.
    pub fn request(&mut self, call: CallRef, method: &str, lines: &[&str], body: Option<&str>) -> u16 {
        self.change(call, method, |agent, cx, call| {
            agent.send_in_call(cx, call, method, lines, body);
        })
    }

    fn change(&mut self, call: CallRef, method: &str, work: impl FnOnce(&mut Agent, &mut Ctx<'_>, usize)) -> u16 {
        let before = self.at(call).answers.len();
        self.on(call, work);
        let newer = |w: &World| {
            w.at(call).answers[before..]
                .iter()
                .find(|(m, _)| m == method)
                .map(|(_, status)| *status)
        };
        self.until(&format!("an answer to {method}"), |w| newer(w).is_some());
        newer(self).unwrap_or_default()
    }

    /// Puts the other side on hold by `sendonly`, `inactive`, ...
    pub fn hold(&mut self, call: CallRef, direction: &'static str) -> u16 {
        self.reinvite(
            call,
            Change {
                direction: Some(direction),
                ..Change::default()
            },
        )
    }

    /// Ends the hold.
    pub fn resume(&mut self, call: CallRef) -> u16 {
        self.hold(call, "sendrecv")
    }

    /// A call between two registered phones or a phone and a carrier that is up: the caller's and the called side.
    pub fn talk(&mut self, from: Peer, to: Peer, number: &str) -> (CallRef, CallRef) {
        let call = self.call(from, number);
        self.up(call);
        let other = self.agents[to.0].calls.len() - 1;
        let other = CallRef { peer: to, call: other };
        self.until("the called side has its ACK", |w| w.at(other).acked);
        (call, other)
    }

    /// Sends a request outside of dialogs and waits for its final status (408 after 64*T1).
    pub fn ask(&mut self, peer: Peer, request: Msg) -> u16 {
        let key = self.act(peer.0, |agent, cx| agent.send_loose(cx, request));
        self.until("an answer to a request", |w| w.agents[peer.0].loose_status(&key) >= 200);
        self.agents[peer.0].loose_status(&key)
    }

    /// Sends octets from a peer's SIP port, whatever they are.
    pub fn send_raw(&mut self, peer: Peer, text: impl Into<Vec<u8>>) {
        let (from, port) = (self.agents[peer.0].addr, self.config.listen[0].addr.port());
        let to = SocketAddr::new(self.node_ip, port);
        self.send_udp(from, to, bytes::Bytes::from(text.into()));
    }

    /// Messages that a peer received and that fit, in order.
    pub fn received(&self, peer: Peer, fits: impl Fn(&Msg) -> bool) -> Vec<(Instant, Msg)> {
        let log = self.agents[peer.0].log.iter();
        log.filter(|seen| !seen.sent && fits(&seen.msg))
            .map(|seen| (seen.at, seen.msg.clone()))
            .collect()
    }

    /// The last message that a peer received and that fits.
    pub fn last_received(&self, peer: Peer, fits: impl Fn(&Msg) -> bool) -> Msg {
        match self.received(peer, fits).pop() {
            Some((_, msg)) => msg,
            None => self.fail("a message that should have come has not come"),
        }
    }

    /// Both hear each other's tone, and nobody himself.
    pub fn expect_tones(&mut self, a: CallRef, b: CallRef) {
        self.expect_hears(a, Some(b));
        self.expect_hears(b, Some(a));
    }

    /// Listens for a second: `who` hears the tone of `whom` (and no other), or nothing.
    pub fn expect_hears(&mut self, who: CallRef, whom: Option<CallRef>) {
        let settle = Duration::from_millis(300);
        self.run(settle);
        self.voice(who).forget();
        self.run(Duration::from_millis(1000));
        let heard = self.voice(who).hears();
        let tone = whom.and_then(|whom| self.agents[whom.peer.0].tone);
        match (tone, heard) {
            (Some(hz), Some(heard)) if heard.is(hz, 12.0) => {}
            (None, None) => {}
            (None, Some(heard)) if heard.level_dbm0 < -45.0 => {}
            (wanted, heard) => {
                let name = self.agents[who.peer.0].name.clone();
                let voice = self.voice(who);
                let pts: Vec<u8> = voice.packets.iter().map(|packet| packet.pt).collect();
                let text = format!(
                    "{} packets of types {pts:?} in {:?}, {} sent",
                    voice.received,
                    voice.format(),
                    voice.sent
                );
                self.fail(&format!("{name} should hear {wanted:?} Hz but hears {heard:?}; {text}"));
            }
        }
    }

    /// The last call record.
    pub fn cdr(&self) -> &Cdr {
        match self.records.last() {
            Some(cdr) => cdr,
            None => self.fail("there should be a call record"),
        }
    }

    /// The status and Q.850 cause of the last call record.
    pub fn cause(&self) -> (u16, u8) {
        match &self.cdr().ended {
            Some((_, cause)) => (cause.status, cause.q850),
            None => self.fail("the last call should have ended"),
        }
    }

    /// Kills the node: connections break, legs and everything in memory are gone; the disk stays.
    pub fn kill(&mut self) {
        self.drop_node();
        self.records.orphan();
        self.media.restart();
        for number in 0..self.streams.list.len() {
            if self.streams.list[number]
                .ends
                .iter()
                .any(|end| end.owner == crate::net::Owner::Node)
            {
                self.cut_stream(number);
            }
        }
    }

    /// Kills the node and starts it again with the same disk.
    pub fn restart(&mut self) {
        self.kill();
        self.store.restart();
        self.start_node();
    }

    /// What the control socket says to a line, without `ok` and the last dot; the error is why it is refused.
    pub fn control(&mut self, line: &str) -> Result<Vec<String>, String> {
        let id = ControlId(self.controlled.len() as u64 + 1000);
        self.feed(Input::Control(id, bytes::Bytes::from(line.to_owned())));
        let answers = self.controlled.iter().filter(|(to, ..)| *to == id);
        let said: String = answers
            .map(|(_, lines, _)| String::from_utf8_lossy(lines).into_owned())
            .collect();
        let mut lines = said.lines();
        match lines.next() {
            Some("ok") => Ok(lines.filter(|line| *line != ".").map(str::to_owned).collect()),
            Some(refused) => Err(refused.trim_start_matches("refused ").replace("\\s", " ")),
            None => self.fail(&format!("{line}: nothing is said")),
        }
    }

    /// SIGTERM.
    pub fn stop(&mut self, grace: Duration) {
        self.feed(Input::Stop(grace));
    }

    /// True when the node may exit.
    pub fn is_stopped(&self) -> bool {
        self.node.as_ref().is_some_and(tandem::node::Node::is_stopped)
    }

    /// A new configuration comes into force: users who are gone lose their bindings.
    pub fn reload(&mut self, yaml: &str) {
        self.config = std::sync::Arc::new(crate::world::read_config(yaml));
        let kept: Vec<_> = self.config.users.iter().map(tandem::node::aor).collect();
        self.store.retain(|aor| kept.contains(aor));
        self.feed(Input::Config(self.config.clone()));
    }

    /// What is up in the node; nothing while it is down.
    pub fn census(&self) -> tandem::node::Census {
        self.node.as_ref().map(tandem::node::Node::census).unwrap_or_default()
    }
}
