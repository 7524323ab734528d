//! RFC 4475 and RFC 5118 as tests of elements: each message is sent to a node over its own transport, and what comes back, or is
//! sent on, is what the oracles in fixtures/sip/torture allow. (What the parser alone says of them: `torture.rs`.)
//!
//! The node is a registrar, a user agent (it bridges) or a proxy (its domain says `do: proxy`), as the configuration has it.
//! Whoever sends is a trunk, since strangers are not answered. A REGISTER is sent again with credentials when it was challenged:
//! what the oracle speaks of comes after.
//!
//! All of it runs twice: in the simulated world, where TLS is carried as TCP, and against the program (`element/real.rs`).
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[allow(dead_code, reason = "shared with the tests of interop")]
#[path = "interop/journal.rs"]
mod journal;
#[allow(dead_code, reason = "shared with the tests of interop")]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;
#[path = "element/real.rs"]
mod real;

use serde_yaml::Value;
use sip_tests::agent::{Act, Wire};
use sip_tests::{Msg, Peer, World, digest, s};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tandem::sip::Message;

const LISTEN: &str = "\"udp://203.0.113.1:5060\", \"tcp://203.0.113.1:5060\"";
const SENDER: [u8; 4] = [198, 51, 100, 1];
const PASSWORD: &str = "secret";
/// What any request of its kind may meet: nobody there, nobody of ours, not allowed, first the password.
const NORMAL: [u16; 14] = [200, 202, 401, 403, 404, 405, 407, 480, 481, 487, 488, 500, 501, 606];

/// What the topmost Via names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Udp,
    Tcp,
    Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Registrar,
    UserAgent,
    Proxy,
}

impl Role {
    /// Its line in the oracles.
    fn key(self) -> &'static str {
        match self {
            Role::Registrar => "registrar",
            Role::UserAgent => "uas",
            Role::Proxy => "proxy",
        }
    }

    fn configuration(self, listen: &str, sources: &str) -> String {
        let (domain, routes) = match self {
            Role::Registrar | Role::UserAgent => ("example.com", ""),
            Role::Proxy => (
                "{ name: example.com, do: proxy }",
                "routes: [ { to: \"*\", from: trunk/sender, do: proxy } ]",
            ),
        };
        format!(
            "listen: [ {listen} ]
domains: [ {domain} ]
users:
  - {{ name: user, password: {PASSWORD} }}
  - {{ name: watson, password: {PASSWORD} }}
  - {{ name: j.user, password: {PASSWORD} }}
trunks:
  - {{ name: sender, peers: [ \"sip:198.51.100.1:5060\" ], accept_from: [ {sources} ], options: never, limits: {{ calls_per_second: 1000 }} }}
{routes}
"
        )
    }
}

/// One line of an oracle with its message.
struct Case {
    file: String,
    entry: Value,
    bytes: Vec<u8>,
    /// It is of RFC 5118.
    is_v6: bool,
}

/// What came of a message.
#[derive(Debug, Default)]
struct Outcome {
    /// Final responses, the same one only once.
    answers: Vec<Msg>,
    /// What arrived at the user's phone.
    forwarded: Vec<Msg>,
}

fn read(path: &str) -> Vec<u8> {
    let path = format!("{}/../fixtures/sip/torture/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn cases(oracle: &str, folder: &str) -> Vec<Case> {
    let oracle: Value = serde_yaml::from_slice(&read(oracle)).unwrap();
    let entries = oracle["messages"].as_sequence().unwrap();
    let case = |entry: &Value| {
        let file = entry["file"].as_str().unwrap().to_owned();
        Case {
            bytes: read(&format!("{folder}/{file}")),
            entry: entry.clone(),
            is_v6: folder.starts_with("rfc5118"),
            file,
        }
    };
    entries.iter().map(case).collect()
}

impl Case {
    /// RFC 4475 and 5118 name it in the topmost Via.
    fn via(&self) -> Via {
        match self.entry["via_transport"].as_str() {
            Some("TCP") => Via::Tcp,
            Some("TLS") => Via::Tls,
            _udp => Via::Udp,
        }
    }

    fn is_stream(&self) -> bool {
        self.via() != Via::Udp
    }

    fn is_register(&self) -> bool {
        self.entry["method"].as_str() == Some("REGISTER")
    }

    /// The port that an answer to a datagram goes to (RFC 3261 18.2.2): its sender must listen there.
    fn port(&self) -> u16 {
        let via = Message::parse(self.bytes.clone().into()).and_then(|message| message.top_via());
        via.ok().and_then(|via| via.port).unwrap_or(5060)
    }

    /// Of the topmost Via, with the sender's place; the file's name where it cannot be read.
    fn branch(&self) -> String {
        let via = Message::parse(self.bytes.clone().into()).and_then(|message| message.top_via());
        via.map_or_else(
            |_| self.file.clone(),
            |via| format!("{:?} {:?}", via.host, via.branch()),
        )
    }

    fn send(&self, role: Role) -> Outcome {
        let mut world = World::builder(4475)
            .config(&role.configuration(LISTEN, "198.51.100.0/24"))
            .build();
        // What is echoed of a torture message is as odd as it came.
        world.checks.every = u64::MAX;
        let phone = world.registered("user");
        let known = world.agent(phone).log.len();
        let addr = SocketAddr::from((SENDER, self.port())).to_string();
        let sender = if self.is_stream() {
            world.tcp_carrier("sender", &addr)
        } else {
            world.carrier("sender", &addr)
        };
        world.policy(sender).deaf = true;
        send(&mut world, sender, &self.bytes);
        let mut answers = finals(&world, sender);
        if self.is_register()
            && let Some(challenge) = answers.first().filter(|answer| answer.status() == 401).cloned()
        {
            world.agent(sender).log.clear();
            send(&mut world, sender, &self.with_credentials(&challenge));
            answers = finals(&world, sender);
        }
        let requests = world.agents[phone.0].log[known..]
            .iter()
            .filter(|seen| !seen.sent && seen.msg.is_request());
        let forwarded = requests.map(|seen| seen.msg.clone()).collect();
        Outcome { answers, forwarded }
    }

    /// The message with one more line after the first.
    fn with_credentials(&self, challenge: &Msg) -> Vec<u8> {
        let end = self.bytes.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
        let first = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        let uri = first.split(' ').nth(1).unwrap();
        let to = Message::parse(self.bytes.clone().into()).and_then(|message| message.to());
        let user = to.ok().and_then(|to| to.uri.user_decoded()).unwrap_or_default();
        let credentials = digest::answer(
            challenge.get("WWW-Authenticate").unwrap(),
            &user,
            PASSWORD,
            "REGISTER",
            uri,
            1,
        );
        let line = format!("Authorization: {credentials}\r\n");
        [&self.bytes[..end], line.as_bytes(), &self.bytes[end..]].concat()
    }

    /// What the oracle has to say, or `None` where it is silent about the role.
    fn lines(&self, role: Role) -> Option<Vec<&Value>> {
        // REGISTER to a domain of ours ends at the registrar, whatever the domain does with calls.
        let key = if self.is_register() {
            Role::Registrar.key()
        } else {
            role.key()
        };
        let transport = if self.is_stream() { "stream" } else { "udp" };
        let own = self.entry.get(key).or_else(|| self.entry.get("any"));
        // What is no call is sent on also where calls are bridged: a method that nobody knows may meet a proxy's answer.
        let is_unknown = matches!(self.file.as_str(), "intmeth.dat" | "esc02.dat");
        let proxy = self.entry.get("proxy").filter(|_| is_unknown);
        let lines: Vec<&Value> = own.into_iter().chain(proxy).chain(self.entry.get(transport)).collect();
        (!lines.is_empty()).then_some(lines)
    }

    fn judge(&self, role: Role, outcome: &Outcome) -> Result<(), String> {
        let Some(lines) = self.lines(role) else { return Ok(()) };
        let says = |what: &str| lines.iter().any(|line| line[what].as_bool() == Some(true));
        let statuses: Vec<u16> = outcome.answers.iter().map(Msg::status).collect();
        let codes = lines
            .iter()
            .flat_map(|line| line["codes"].as_sequence().into_iter().flatten());
        let codes: Vec<u64> = codes.filter_map(Value::as_u64).collect();
        let allowed = |status: &u16| {
            codes.contains(&u64::from(*status)) || ((says("normal") || says("forward")) && NORMAL.contains(status))
        };
        let is_response = self.entry["kind"].as_str() == Some("response");
        let may_be_silent = is_response || says("drop") || says("drop_ok") || says("wait_then_close");
        // The phone of a bridged call is asked by an INVITE of our own: that is `normal`.
        let may_arrive = says("forward") || (says("normal") && role != Role::Proxy);
        let fault = match (&statuses[..], outcome.forwarded.is_empty()) {
            (_, false) if !may_arrive => "it must not be sent on",
            ([], true) if !may_be_silent => "nobody was told anything",
            ([_, ..], _) if is_response => "a response was answered",
            (_, _) if !statuses.iter().all(allowed) => "that status is not allowed",
            (_, _) => return self.musts(role, outcome),
        };
        Err(format!(
            "{fault}: {statuses:?}, sent on {}, oracle {lines:?}",
            outcome.forwarded.len()
        ))
    }

    /// What can be seen of the oracles' `must` and `must_not`.
    fn musts(&self, role: Role, outcome: &Outcome) -> Result<(), String> {
        outcome
            .answers
            .iter()
            .try_for_each(|answer| self.answer(role, answer))?;
        outcome.forwarded.iter().try_for_each(sent_on)?;
        match outcome.answers.first() {
            Some(answer) => self.particular(role, answer),
            None => Ok(()),
        }
    }

    /// What a refusal must tell.
    fn answer(&self, role: Role, answer: &Msg) -> Result<(), String> {
        match answer.status() {
            415 => check(
                answer.get("Accept").is_some(),
                "415 has no Accept (RFC 3261 8.2.3)",
                answer,
            ),
            405 => check(
                answer.get("Allow").is_some(),
                "405 has no Allow (RFC 3261 8.2.1)",
                answer,
            ),
            420 => {
                let wanted = self.entry[role.key()]["unsupported"].as_sequence().unwrap().iter();
                let wanted: Vec<&str> = wanted.filter_map(Value::as_str).collect();
                let listed = answer.all("Unsupported").join(", ");
                let listed: Vec<&str> = listed.split(',').map(str::trim).collect();
                check(
                    listed == wanted,
                    "420 lists what this role does not support (RFC 3261 8.2.2.3, 16.3)",
                    answer,
                )
            }
            _ => Ok(()),
        }
    }

    /// What only one of the messages is about.
    fn particular(&self, role: Role, answer: &Msg) -> Result<(), String> {
        let contacts = answer.all("Contact").join(", ");
        let has = |contact: &str, what: &str| check(contacts.contains(contact), what, answer);
        match (self.file.as_str(), role) {
            ("cparam01.dat", _) => has("<sip:+19725552222@gw1.example.net>", "unknownparam is no URI parameter"),
            ("cparam02.dat", _) => has(
                "<sip:+19725552222@gw1.example.net;unknownparam>",
                "unknownparam stays in the URI",
            ),
            ("regescrt.dat", _) => has(
                "?Route=%3Csip:sip.example.com%3E>",
                "the escaped header stays in the URI",
            ),
            ("intmeth.dat", _) => {
                let is_told = answer.status() != 501 || answer.get("Allow").is_some();
                check(is_told, "501 has no Allow (RFC 4475 3.1.1.2)", answer)
            }
            ("transports.dat", _) => {
                let vias = answer.all("Via").join(", ");
                let place = |transport: &str| vias.find(&format!("SIP/2.0/{transport} "));
                let order = ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"].map(place);
                let holds = order.iter().all(Option::is_some) && order.is_sorted();
                check(holds, "five Via values, in order", answer)
            }
            _ => Ok(()),
        }
    }
}

fn check(holds: bool, what: &str, of: &Msg) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {of:?}")) }
}

/// A request line that was accepted as it should not be leaves as it should be.
fn sent_on(request: &Msg) -> Result<(), String> {
    let words: Vec<&str> = request.start.split(' ').collect();
    let is_repaired = words.len() == 3 && !words[1].contains(['<', '?']);
    check(is_repaired, "the request line was not repaired", request)?;
    let escaped = request.all("Route").iter().any(|route| route.contains("Route="));
    check(!escaped, "an escaped header became a Route", request)
}

/// Sends octets by the transport of the peer, and waits long enough for a call to be answered.
fn send(world: &mut World, sender: Peer, bytes: &[u8]) {
    let bytes = bytes.to_vec();
    world.act(sender.0, |agent, cx| {
        let wire: Wire = agent.server;
        cx.acts.push(Act::Send(wire, bytes.into()));
    });
    world.run(s(3));
}

/// The final responses, once each.
fn finals(world: &World, sender: Peer) -> Vec<Msg> {
    let mut found: Vec<Msg> = Vec::new();
    for (_, msg) in world.received(sender, |msg| msg.status() >= 200) {
        if !found.iter().any(|known| known.status() == msg.status()) {
            found.push(msg);
        }
    }
    found
}

fn judge_all(role: Role, mut send: impl FnMut(&Case) -> Outcome) {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for case in cases("torture.yaml", "rfc4475")
        .into_iter()
        .chain(cases("torture5118.yaml", "rfc5118-fixed"))
    {
        if role == Role::Registrar && !case.is_register() {
            continue;
        }
        judged += 1;
        if let Err(why) = case.judge(role, &send(&case)) {
            wrong.push(format!("{}: {why}", case.file));
        }
    }
    let wanted = if role == Role::Registrar { 13 } else { 62 };
    assert_eq!(judged, wanted, "messages of the two RFCs for a {role:?}");
    assert!(wrong.is_empty(), "{} of {judged}:\n{}", wrong.len(), wrong.join("\n"));
}

fn in_the_world(role: Role) {
    judge_all(role, |case| case.send(role));
}

fn by_the_program(role: Role) {
    let mut bench = Some(real::Bench::start(role, 0));
    let (mut branches, mut nth) = (BTreeSet::new(), 0);
    judge_all(role, |case| {
        // Some have a branch in common: to one node the later one would be a copy of the earlier (RFC 3261 17.2.3).
        if !branches.insert(case.branch()) {
            bench.take().unwrap().stop();
            (branches, nth) = (BTreeSet::from([case.branch()]), nth + 1);
            bench = Some(real::Bench::start(role, nth));
        }
        bench.as_mut().unwrap().send(case)
    });
    bench.take().unwrap().stop();
}

#[test]
fn a_registrar_answers_the_torture_messages_as_the_rfcs_allow() {
    in_the_world(Role::Registrar);
}

#[test]
fn a_user_agent_answers_the_torture_messages_as_the_rfcs_allow() {
    in_the_world(Role::UserAgent);
}

#[test]
fn a_proxy_answers_or_forwards_the_torture_messages_as_the_rfcs_allow() {
    in_the_world(Role::Proxy);
}

#[test]
fn the_program_as_a_registrar() {
    by_the_program(Role::Registrar);
}

#[test]
fn the_program_as_a_user_agent() {
    by_the_program(Role::UserAgent);
}

#[test]
fn the_program_as_a_proxy() {
    by_the_program(Role::Proxy);
}
