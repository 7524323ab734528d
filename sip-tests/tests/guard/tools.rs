//! What these scripts say in common: hosts that send what they like, from any address they like to claim.

use bytes::Bytes;
use sip_tests::{Msg, World, digest, ms};
use std::net::{IpAddr, SocketAddr};
use tandem::effect::Fact;
use tandem::id::{ConnectionId, Flow, ListenerId, Transport};
use tandem::node::Input;

/// Whatever a host sends: its address and program, and how often it has sent.
pub struct Host {
    pub addr: SocketAddr,
    pub agent: &'static str,
    sent: u32,
}

impl Host {
    pub fn new(addr: &str) -> Host {
        Host {
            addr: addr.parse().unwrap(),
            agent: "Tool 1.0",
            sent: 0,
        }
    }

    /// A request of a user of example.com, outside of dialogs.
    pub fn request(&mut self, method: &str, uri: &str, user: &str, lines: &str) -> String {
        self.sent += 1;
        let (addr, agent, number) = (self.addr, self.agent, self.sent);
        let to = if method == "REGISTER" {
            format!("sip:{user}@example.com")
        } else {
            uri.to_owned()
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};rport;branch=z9hG4bKh{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.com>;tag=h{number}\r\nTo: <{to}>\r\nCall-ID: h{number}@{addr}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:{user}@{addr}>\r\nUser-Agent: {agent}\r\n{lines}Content-Length: 0\r\n\r\n"
        )
    }

    pub fn register(&mut self, user: &str) -> String {
        self.request("REGISTER", "sip:example.com", user, "")
    }

    /// Sends, and gives what comes back soon.
    pub fn asks(&self, w: &mut World, text: &str) -> Vec<Msg> {
        listen(w, self.addr, text)
    }

    /// Tries to register: the status without credentials, and that with this password. 0 is silence.
    pub fn tries(&mut self, w: &mut World, user: &str, password: &str) -> (u16, u16) {
        let first = self.register(user);
        let Some(challenge) = self.asks(w, &first).pop() else {
            return (0, 0);
        };
        let second = self.answer(&challenge, user, password);
        (challenge.status(), status(&self.asks(w, &second)))
    }

    /// A REGISTER with credentials for a challenge.
    pub fn answer(&mut self, challenge: &Msg, user: &str, password: &str) -> String {
        let uri = "sip:example.com";
        let value = digest::answer(challenge.text("WWW-Authenticate"), user, password, "REGISTER", uri, 1);
        self.request("REGISTER", uri, user, &format!("Authorization: {value}\r\n"))
    }
}

/// The flow of a datagram from this address.
pub fn flow(from: SocketAddr) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        connection: ConnectionId(0),
        local: "192.0.2.1:5060".parse().unwrap(),
        peer: from,
    }
}

/// What the node sends to this address within some milliseconds after this datagram came.
pub fn listen(w: &mut World, from: SocketAddr, text: &str) -> Vec<Msg> {
    w.wiretap = Some(Vec::new());
    w.feed(Input::Sip(flow(from), Bytes::copy_from_slice(text.as_bytes())));
    w.run(ms(10));
    let sent = w.wiretap.take().unwrap_or_default();
    let to_it = sent.iter().filter(|(to, _)| *to == from);
    to_it.map(|(_, bytes)| Msg::read(bytes).unwrap()).collect()
}

/// The final status among responses; 0 is silence.
pub fn status(responses: &[Msg]) -> u16 {
    responses
        .iter()
        .map(Msg::status)
        .rfind(|status| *status >= 200)
        .unwrap_or(0)
}

/// Addresses that were banned, in order, and those whose bans ended.
pub fn bans(w: &World) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let began = |fact: &Fact| match fact {
        Fact::Banned { source, .. } => Some(*source),
        _ => None,
    };
    let ended = |fact: &Fact| match fact {
        Fact::BanEnded { source, .. } => Some(*source),
        _ => None,
    };
    (
        w.facts.iter().filter_map(began).collect(),
        w.facts.iter().filter_map(ended).collect(),
    )
}

/// What was cut: how often told, and how much in all.
pub fn cut(w: &World, words: &str) -> (usize, u64) {
    let of = |fact: &Fact| match fact {
        Fact::Cut { count, what } if what.contains(words) => Some(*count),
        _ => None,
    };
    let counts: Vec<u64> = w.facts.iter().filter_map(of).collect();
    (counts.len(), counts.iter().sum())
}

/// A world that checks no leaks: what strangers send comes from no peer of it.
pub fn world(seed: u64, rules: &str) -> World {
    let yaml = format!("{}\nguard: {{ {rules} }}\n", sip_tests::script::EDGE);
    let mut w = World::builder(seed).config(&yaml).build();
    w.checks.leaks = false;
    w
}
