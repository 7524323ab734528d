//! What must hold after every step, for every message, and when a run is over.

use crate::agent::State;
use crate::errors;
use crate::message::{self, Msg};
use crate::world::World;
use bytes::Bytes;
use std::time::Duration;
use tandem::id::Flow;
use tandem::node::{Census, Node};

/// Effects in flight at once: more means that somebody forgets his tickets.
const TICKETS: usize = 30_000;
/// Spare ports that the node may hold: twice what it asks for at once.
const SPARE: usize = 2 * tandem::limits::SPARE_PORTS;
/// After the last call: 64*T1 for the last transaction, and what a transaction lingers.
const QUIET: Duration = Duration::from_secs(100);

/// Which checks a scenario turns off, because it breaks their ground itself.
#[derive(Debug)]
pub struct Checks {
    /// Messages are read by rsip, too. Off where a test makes the node write what rsip cannot read (IPv6, tel).
    pub oracle: bool,
    /// What one peer wrote must not reach another: Call-ID and addresses.
    pub leaks: bool,
    /// What peers noted as faults of the node fails the run.
    pub complaints: bool,
    /// Messages that the node has sent.
    pub messages: u64,
    /// One message of so many is looked at.
    pub every: u64,
}

impl Default for Checks {
    fn default() -> Checks {
        Checks {
            oracle: true,
            leaks: true,
            complaints: true,
            messages: 0,
            every: 1,
        }
    }
}

impl World {
    /// After every step.
    pub(crate) fn check_step(&mut self) {
        let errors = errors::take();
        if !errors.is_empty() {
            self.fail(&format!("logged as ERROR: {errors:?}"));
        }
        if self.new_panics() > 0 {
            self.fail("the node panicked");
        }
        if let Some(fault) = self.media.faults.first().cloned() {
            self.fail(&fault);
        }
        let Some(node) = &self.node else { return };
        let census = node.census();
        if let Some(why) = broken(&census, node, self.records.open, self.media.spare()) {
            self.fail(&format!("{why}; {census:?}, {} records open", self.records.open));
        }
    }

    /// What the node sends.
    pub(crate) fn check_wire(&mut self, flow: Flow, bytes: &Bytes) {
        self.checks.messages += 1;
        if !self.checks.messages.is_multiple_of(self.checks.every) {
            return;
        }
        let msg = match Msg::read(bytes) {
            Ok(msg) => msg,
            Err(why) => self.fail(&format!("the node sent what cannot be read: {why}")),
        };
        if let Some(why) = malformed(&msg) {
            self.fail(&format!(
                "the node sent a malformed message: {why}\n{}",
                String::from_utf8_lossy(bytes)
            ));
        }
        if self.checks.oracle
            && !self.ladder.quiet
            && let Err(error) = rsip::SipMessage::try_from(&bytes[..])
        {
            self.fail(&format!(
                "rsip cannot read what the node sent: {error}\n{}",
                String::from_utf8_lossy(bytes)
            ));
        }
        if self.checks.leaks
            && let Some(why) = self.leak(flow, &msg)
        {
            self.fail(&format!("{why}\n{}", String::from_utf8_lossy(bytes)));
        }
    }

    /// Each leg is a dialog of its own: nothing of one peer's dialog reaches another peer.
    fn leak(&self, flow: Flow, msg: &Msg) -> Option<String> {
        let to = self.net.inside(flow.peer, self.node_ip)?;
        let receiver = self.agents.iter().find(|agent| agent.addr.ip() == to.ip())?;
        let origin = msg.call_id().split_once('@').map(|(_, origin)| origin);
        if let Some(other) = self.agents.iter().find(|agent| Some(agent.name.as_str()) == origin)
            && other.name != receiver.name
        {
            return Some(format!("the Call-ID of {} reaches {}", other.name, receiver.name));
        }
        if !msg.is_request() || !msg.is("INVITE") {
            return None;
        }
        for other in self.agents.iter().filter(|agent| agent.addr.ip() != receiver.addr.ip()) {
            let ip = other.addr.ip().to_string();
            let mut fields = vec![("the body", msg.body.as_str())];
            for name in [
                "Via",
                "From",
                "Contact",
                "Route",
                "Record-Route",
                "P-Asserted-Identity",
                "User-Agent",
            ] {
                fields.extend(msg.all(name).into_iter().map(|value| (name, value)));
            }
            if let Some((field, _)) = fields.iter().find(|(_, value)| names_ip(value, &ip)) {
                return Some(format!(
                    "the address of {} reaches {} in {field}",
                    other.name, receiver.name
                ));
            }
        }
        None
    }

    /// The end of a run: everybody hangs up, and after a while nothing may be left.
    pub fn finish(&mut self) {
        for agent in 0..self.agents.len() {
            self.agents[agent].registration.renews = false;
            for call in 0..self.agents[agent].calls.len() {
                if self.agents[agent].calls[call].is_live() {
                    self.act(agent, |agent, cx| agent.hang_up(cx, call));
                }
            }
        }
        self.run(QUIET);
        self.check_quiet();
    }

    /// Nothing is left of any call.
    pub fn check_quiet(&mut self) {
        if let Some(node) = &self.node {
            let Census {
                calls,
                transactions,
                registers,
                trunk_places,
                user_places,
                contexts,
                subscriptions,
                waking,
                recording_sessions,
                client_lines,
                ..
            } = node.census();
            let next = node.poll_timeout();
            let left = (
                calls,
                registers,
                trunk_places,
                user_places,
                self.media.legs(),
                self.records.open,
            );
            if left != (0, 0, 0, 0, 0, 0) {
                self.fail(&format!(
                    "left over: (calls, registers, trunk places, user places, legs, records) = {left:?}; next {next:?}"
                ));
            }
            let others = [
                (waking, "calls that wait for a phone"),
                (subscriptions, "subscriptions"),
                (recording_sessions, "sessions with recording servers"),
                (contexts, "proxied requests"),
                (client_lines, "calls of clients"),
                (self.media.rooms(), "rooms"),
            ];
            if let Some((count, what)) = others.into_iter().find(|(count, _)| *count > 0) {
                self.fail(&format!("{count} {what} are left over; next {next:?}"));
            }
            // What trunks do by themselves (OPTIONS, REGISTER) may be under way.
            let idle = self
                .config
                .trunks
                .iter()
                .all(|trunk| trunk.options_interval.is_none() && trunk.register.is_none());
            if idle && transactions > 0 {
                self.fail(&format!("{transactions} transactions are left over; next {next:?}"));
            }
            // A ban and a client's token last longer than a test, what was dropped is told within a minute, and a registration that ends is
            // as long as its phone wants it.
            if idle && next.is_some_and(|(_, who)| !["trunks", "guard", "push", "clients"].contains(&who)) {
                self.fail(&format!("a deadline is left over: {next:?}"));
            }
        }
        let ports = self.media.free() + self.media.spare();
        let all = usize::from(self.config.media.last_port - self.config.media.first_own_port()).div_ceil(2);
        if ports < all {
            self.fail(&format!("{} of {all} ports have not come back", all - ports));
        }
        let mut records = self.records.by_call.iter();
        let unended = records.find(|(_, cdr)| cdr.ended.is_none() && !cdr.orphaned);
        if let Some((call, cdr)) = unended {
            self.fail(&format!("{call} has no end: {cdr:?}"));
        }
        if let Some(why) = self.ledger.unpaid() {
            self.fail(&why);
        }
        self.check_peers();
    }

    /// Nobody hears himself: the loudest tone that a call hears is not its own. For runs without an echo; what was heard before
    /// is forgotten then.
    pub fn check_ears(&mut self) {
        self.check_ears_of(|_| true);
    }

    /// The same where somebody may sit in one room with two calls: each of them hears the other, whose tone is the same.
    pub fn check_ears_of_single_calls(&mut self) {
        self.check_ears_of(|calls| calls == 1);
    }

    fn check_ears_of(&mut self, counts: impl Fn(usize) -> bool) {
        for agent in 0..self.agents.len() {
            let name = self.agents[agent].name.clone();
            let calls = self.agents[agent].calls.iter();
            let live = calls
                .filter(|call| call.voice.is_some() && !matches!(call.state, State::Ended(_)))
                .count();
            if !counts(live) {
                continue;
            }
            for call in 0..self.agents[agent].calls.len() {
                let Some(voice) = self.agents[agent].calls[call].voice.as_mut() else {
                    continue;
                };
                let (own, heard) = (voice.hz(), voice.hears());
                voice.forget();
                if heard.is_some_and(|heard| heard.is(own, 5.0)) {
                    self.fail(&format!("{name} hears himself in call {call}: {heard:?}"));
                }
            }
        }
    }

    fn check_peers(&mut self) {
        if !self.checks.complaints {
            return;
        }
        let complaint = self
            .agents
            .iter()
            .flat_map(|agent| agent.complaints.first())
            .next()
            .cloned();
        if let Some(complaint) = complaint {
            self.fail(&format!("a peer complains: {complaint}"));
        }
        let up = self
            .agents
            .iter()
            .flat_map(|agent| agent.calls.iter().map(move |call| (agent, call)));
        let left = up
            .filter(|(agent, call)| call.state == State::Up && !agent.policy.deaf)
            .map(|(agent, _)| agent.name.clone());
        if let Some(name) = left.into_iter().next() {
            self.fail(&format!("a call of {name} is still up: nobody sent it a BYE"));
        }
    }
}

/// The rule that a state breaks.
fn broken(census: &Census, node: &Node, records: usize, spare: usize) -> Option<&'static str> {
    let timer = node.poll_timeout().is_some();
    if census.transactions > 0 && !timer {
        Some("a transaction without a deadline")
    } else if census.tickets > 0 && !timer {
        Some("a ticket without a deadline")
    } else if census.contexts > 0 && !timer {
        Some("a proxied request without a deadline")
    } else if census.calls > 0 && !timer {
        Some("a call without any deadline")
    } else if census.tickets > TICKETS {
        Some("too many tickets")
    } else if census.calls < records {
        Some("a call record is open whose call is gone")
    } else if spare > SPARE {
        Some("the node hoards ports")
    } else {
        None
    }
}

/// What RFC 3261 8.1.1 and 8.2.6 demand of every message.
fn malformed(msg: &Msg) -> Option<String> {
    // What is missing in a bad request cannot be copied to its answer.
    if matches!(msg.status(), 400 | 505) {
        return None;
    }
    for name in ["From", "To", "Call-ID", "CSeq", "Content-Length"] {
        let count = msg.count(name);
        if count != 1 {
            return Some(format!("{name} is there {count} times"));
        }
    }
    if msg.text("Content-Length").parse() != Ok(msg.body.len()) {
        return Some(format!(
            "Content-Length is {} for {} octets",
            msg.text("Content-Length"),
            msg.body.len()
        ));
    }
    if !msg.body.is_empty() && msg.get("Content-Type").is_none() {
        return Some("a body without Content-Type".into());
    }
    let via = msg.all("Via");
    if via.is_empty()
        || !message::param(via[0], "branch").is_some_and(|branch| branch.starts_with("z9hG4bK")) && msg.is_request()
    {
        return Some("no Via with a branch of RFC 3261".into());
    }
    if msg.from_tag().is_empty() {
        return Some("From without a tag".into());
    }
    if msg.is_request() && msg.get("Max-Forwards").is_none() {
        return Some("a request without Max-Forwards".into());
    }
    if msg.is_request() && msg.cseq().1 != msg.method() {
        return Some("CSeq with another method".into());
    }
    let creates = msg.method() == "INVITE" && (msg.is_request() || msg.status() / 100 == 2);
    if creates && msg.all("Contact").len() != 1 {
        return Some("an INVITE or its 2xx without exactly one Contact".into());
    }
    if msg.status() > 100 && msg.to_tag().is_empty() {
        return Some("a response without To tag".into());
    }
    None
}

/// True if the text names this address, as a whole.
fn names_ip(text: &str, ip: &str) -> bool {
    text.match_indices(ip).any(|(at, _)| {
        let around = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_digit() && *byte != b'.');
        let bytes = text.as_bytes();
        around(at.checked_sub(1).and_then(|at| bytes.get(at))) && around(bytes.get(at + ip.len()))
    })
}
