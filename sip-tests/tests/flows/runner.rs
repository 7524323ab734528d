//! Runs a flow: who sends what, and what must come out where.
//!
//! The messages are the RFC's. What cannot be known before is put in on the way: our Via and Record-Route in what a peer answers and
//! sends later, the tags that we choose, and digest responses to our nonces.

use crate::compare;
use crate::raw::{Raw, Shown, flow};
use crate::scene::{Scene, Slip, What, Wire};
use sip_tests::agent::{Act, Wire as Line};
use sip_tests::dns::srv;
use sip_tests::{Peer, World, digest, s};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tandem::effect::Kind;

pub const PASSWORD: &str = "wonder land";
/// Serial forks of the node wait for 20 seconds, transactions for 32.
const PATIENCE: Duration = Duration::from_secs(70);

/// A message that came out, or went in.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Of `Scene::peers`.
    pub peer: usize,
    pub raw: Raw,
    pub expected: bool,
}

/// Where a message of the flow goes to or comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Us,
    Peer(usize),
}

/// A flow that runs.
pub struct Stage<'s> {
    pub scene: &'s Scene,
    w: World,
    peers: Vec<Peer>,
    pub got: Vec<Passed>,
    pub sent: Vec<Passed>,
    /// A tag in the RFC, and what stands for it here.
    pub tags: BTreeMap<String, String>,
    /// The message at hand goes from participant to participant in the RFC.
    pub through: bool,
    challenge: BTreeMap<usize, (String, u32)>,
    /// Our Record-Route in the first request of a dialog, by Call-ID: the caller's tag, and the values from above.
    pub routes: BTreeMap<String, (String, Vec<String>)>,
    faults: Vec<String>,
    used: BTreeSet<usize>,
    serial: u32,
}

/// Runs a scene; what went wrong.
pub fn run(scene: &Scene) {
    let mut stage = Stage::new(scene);
    let messages = flow(scene.rfc, scene.section);
    assert!(
        !messages.is_empty(),
        "{}: the fixture has no such section",
        scene.title()
    );
    for phone in scene.phones {
        stage.register(phone.aor, phone.at, phone.contact);
    }
    let mut steps = 0;
    for shown in &messages {
        steps += usize::from(stage.step(shown));
    }
    assert!(steps > 0, "{}: none of the messages concerns the node", scene.title());
    stage.end();
}

impl<'s> Stage<'s> {
    fn new(scene: &'s Scene) -> Stage<'s> {
        let ip = scene.ip;
        let yaml = format!(
            "node: {{ name: flows }}\nlisten: [ \"udp://{ip}:5060\", \"tcp://{ip}:5060\", \"tls://{ip}:5061\" ]\n\
             media: {{ ports: 20000-20099, workers: 1 }}\ncalls: {{ max_duration: 10m }}\n{}",
            scene.file.replace("PASSWORD", &format!("password: \"{PASSWORD}\""))
        );
        let mut w = World::builder(3665).config(&yaml).build();
        // What is echoed is the RFC's, with its folds and slips.
        (w.checks.every, w.checks.complaints, w.checks.oracle) = (u64::MAX, false, false);
        w.wiretap = Some(Vec::new());
        for (name, ip) in scene.names {
            w.dns.addresses(name, &[*ip], 60);
            if scene.peers.iter().any(|at| at.ip == *ip && at.wire == Wire::Tcp) {
                w.dns
                    .add(Kind::Srv, &format!("_sip._tcp.{name}"), vec![srv(0, 0, 5060, name)], 60);
            }
        }
        let mut peers = Vec::new();
        for at in scene.peers {
            let port = if at.wire == Wire::Tls { 5061 } else { 5060 };
            let addr = format!("{}:{port}", at.ip);
            let peer = match at.wire {
                Wire::Udp => w.carrier(at.name, &addr),
                Wire::Tcp | Wire::Tls => w.tcp_carrier(at.name, &addr),
            };
            if at.wire == Wire::Tls {
                w.agent(peer).server = Line::Tcp(SocketAddr::new(w.node_ip, port));
            }
            w.policy(peer).deaf = true;
            peers.push(peer);
        }
        Stage {
            scene,
            w,
            peers,
            got: Vec::new(),
            sent: Vec::new(),
            tags: BTreeMap::new(),
            through: false,
            challenge: BTreeMap::new(),
            routes: BTreeMap::new(),
            faults: Vec::new(),
            used: BTreeSet::new(),
            serial: 0,
        }
    }

    /// One message of the flow; false if it is between others.
    fn step(&mut self, shown: &Shown) -> bool {
        if self.slip(shown, |what| matches!(what, What::Skip)).is_some() {
            return false;
        }
        let Some((from, to)) = self.ends(shown) else {
            return false;
        };
        let mut shown = shown.clone();
        while let Some(Slip(_, What::Text(from, to), _)) =
            self.slip(&shown, |what| matches!(what, What::Text(from, _) if has(&shown, from)))
        {
            let text = String::from_utf8(shown.message.write()).expect("text");
            shown.message = Raw::read(&text.replace(from, to));
        }
        self.through = matches!((from, to), (Place::Peer(_), Place::Peer(_)));
        match (from, to) {
            (Place::Peer(peer), Place::Us) => self.send(peer, &shown.message),
            (Place::Us, Place::Peer(peer)) => self.expect(&shown, peer),
            (Place::Peer(from), Place::Peer(to)) if self.scene.through => {
                self.send(from, &shown.message);
                self.expect(&shown, to);
            }
            (_, _) => return false,
        }
        while let Some(Slip(_, What::Also(peer, start), _)) =
            self.slip_once(&shown, |what| matches!(what, What::Also(..)))
        {
            let place = self.peer(peer).expect("a peer of the scene");
            self.wait(place, &format!("{} {start}", shown.number), |raw| {
                raw.start.starts_with(start)
            });
        }
        true
    }

    fn ends(&mut self, shown: &Shown) -> Option<(Place, Place)> {
        let label = match self.slip(shown, |what| matches!(what, What::Ends(_))) {
            Some(Slip(_, What::Ends(ends), _)) => (*ends).to_owned(),
            _ => shown.label.clone(),
        };
        let (from, to) = label.split_once("->")?;
        let place = |text: &str, fits: &dyn Fn(&str, &str) -> bool| {
            if self.scene.us.iter().any(|name| fits(text, name)) {
                return Some(Place::Us);
            }
            let peers = self.scene.peers.iter();
            let found = peers
                .enumerate()
                .flat_map(|(number, at)| at.also.iter().chain([&at.name]).map(move |name| (number, *name)))
                .filter(|(_, name)| fits(text, name))
                .max_by_key(|(_, name)| name.len());
            found.map(|(number, _)| Place::Peer(number))
        };
        let ends_so =
            |text: &str, name: &str| text == name || text.strip_suffix(name).is_some_and(|rest| rest.ends_with(' '));
        Some((
            place(from.trim(), &ends_so)?,
            place(to.trim(), &|text, name| text == name)?,
        ))
    }

    fn peer(&self, name: &str) -> Option<usize> {
        self.scene.peers.iter().position(|at| at.name == name)
    }

    /// What is said of a message.
    pub fn slip(&mut self, shown: &Shown, fits: impl Fn(&What) -> bool) -> Option<&'s Slip> {
        let said = |slip: &Slip| (slip.0 == shown.number || slip.0 == "*") && fits(&slip.1);
        let at = self.scene.slips.iter().position(said)?;
        self.used.insert(at);
        Some(&self.scene.slips[at])
    }

    fn slip_once(&mut self, shown: &Shown, fits: impl Fn(&What) -> bool) -> Option<&'s Slip> {
        let slips = self.scene.slips.iter().enumerate();
        let fitting = slips.filter(|(_, slip)| slip.0 == shown.number && fits(&slip.1));
        let (at, slip) = fitting.into_iter().find(|(at, _)| !self.used.contains(at))?;
        self.used.insert(at);
        Some(slip)
    }

    /// A peer sends what the RFC shows.
    fn send(&mut self, peer: usize, shown: &Raw) {
        let mut raw = shown.clone();
        if raw.is_request() {
            self.put_routes(peer, &mut raw);
            self.put_credentials(peer, &mut raw);
        } else {
            self.put_way_back(peer, &mut raw);
        }
        if let Some((theirs, ours)) = raw
            .tag("To")
            .and_then(|tag| Some((tag.clone(), self.tags.get(&tag)?.clone())))
        {
            let to = raw.get("To").expect("there is a tag");
            raw.put("To", &[to.replace(&format!("tag={theirs}"), &format!("tag={ours}"))]);
        }
        for tag in [raw.tag("From"), raw.tag("To")].into_iter().flatten() {
            self.tags.entry(tag.clone()).or_insert(tag);
        }
        raw.put("Content-Length", &[raw.body.len().to_string()]);
        self.emit(peer, raw.clone());
        self.sent.push(Passed {
            peer,
            raw,
            expected: true,
        });
    }

    fn emit(&mut self, peer: usize, raw: Raw) {
        self.w.act(self.peers[peer].0, |agent, cx| {
            let line = agent.server;
            cx.acts.push(Act::Send(line, raw.write().into()));
        });
    }

    /// Our Via and Record-Route in a response (RFC 3261 8.2.6.2, 12.1.1).
    fn put_way_back(&self, peer: usize, raw: &mut Raw) {
        let asked = self.got.iter().rev().find(|passed| {
            let request = &passed.raw;
            passed.peer == peer
                && request.is_request()
                && (request.call_id(), request.number(), request.method())
                    == (raw.call_id(), raw.number(), raw.method())
        });
        let Some(asked) = asked.map(|passed| &passed.raw) else {
            panic!("{}: nobody asked for {}", self.scene.title(), raw.start)
        };
        raw.put("Via", &asked.list("Via"));
        let routes = asked.list("Record-Route");
        if raw.status() > 100 && !routes.is_empty() && raw.status() < 300 {
            raw.put("Record-Route", &routes);
        }
    }

    /// Route in a dialog: what we put into Record-Route, in the order of the side that sends (RFC 3261 12.1.1, 12.1.2).
    fn put_routes(&self, peer: usize, raw: &mut Raw) {
        let last = |method: &str| {
            let mut own = self.sent.iter().rev().filter(|passed| passed.peer == peer);
            own.find(|passed| {
                let request = &passed.raw;
                request.is_request()
                    && request.method() == method
                    && (request.call_id(), request.number()) == (raw.call_id(), raw.number())
            })
        };
        let failed = self.got.iter().any(|passed| {
            let response = &passed.raw;
            passed.peer == peer
                && response.status() >= 300
                && (response.call_id(), response.number(), response.method().as_str())
                    == (raw.call_id(), raw.number(), "INVITE")
        });
        if (raw.method() == "ACK" && failed) || raw.method() == "CANCEL" {
            // 9.1, 17.1.1.3: the way of the INVITE, and its topmost Via alone.
            let invite = &last("INVITE").expect("it was sent").raw;
            raw.put("Via", &invite.list("Via")[..1]);
            raw.put("Route", &invite.list("Route"));
            return;
        }
        let Some((caller, ours)) = self.routes.get(&raw.call_id()).filter(|_| raw.tag("To").is_some()) else {
            return;
        };
        let mut ours = ours.clone();
        if raw.tag("From").as_ref() == Some(caller) {
            ours.reverse();
        }
        let shown = raw.list("Route");
        let is_ours = |route: &String| self.scene.hosts.iter().any(|host| route.contains(host));
        let routes = match shown.iter().any(is_ours) {
            true => shown
                .iter()
                .flat_map(|route| {
                    if is_ours(route) {
                        ours.clone()
                    } else {
                        vec![route.clone()]
                    }
                })
                .collect(),
            false => [ours, shown].concat(),
        };
        raw.put("Route", &routes);
    }

    fn put_credentials(&mut self, peer: usize, raw: &mut Raw) {
        if raw.method() == "ACK" {
            return self.put_credentials_of_invite(peer, raw);
        }
        for name in ["Proxy-Authorization", "Authorization"] {
            let mut values = raw.values(name);
            for shown in &mut values {
                let field = |of: &str| digest::field(shown, of).unwrap_or_default().to_owned();
                if field("realm") != self.scene.realm {
                    continue;
                }
                if !self.challenge.contains_key(&peer) {
                    self.ask_for_nonce(peer, raw, name);
                }
                let (challenge, uses) = self.challenge.get_mut(&peer).expect("a challenge came");
                *uses += 1;
                let (user, uri) = (field("username"), field("uri"));
                *shown = digest::answer(challenge, &user, PASSWORD, &raw.method(), &uri, *uses);
            }
            if !values.is_empty() {
                raw.put(name, &values);
            }
        }
    }

    /// RFC 3261 22.1: an ACK has the credentials of its INVITE.
    fn put_credentials_of_invite(&self, peer: usize, raw: &mut Raw) {
        let mut own = self.sent.iter().rev().filter(|passed| passed.peer == peer);
        let invite = own.find(|passed| {
            let invite = &passed.raw;
            invite.start.starts_with("INVITE ") && (invite.call_id(), invite.number()) == (raw.call_id(), raw.number())
        });
        if let Some(invite) = invite.filter(|_| raw.get("Proxy-Authorization").is_some()) {
            raw.put("Proxy-Authorization", &invite.raw.values("Proxy-Authorization"));
        }
    }

    /// The flow begins with credentials: their nonce was given before.
    fn ask_for_nonce(&mut self, peer: usize, raw: &Raw, name: &str) {
        let method = if raw.method() == "REGISTER" {
            "REGISTER"
        } else {
            "MESSAGE"
        };
        let mut ask = raw.clone();
        ask.start = ask.start.replacen(&raw.method(), method, 1);
        ask.put(name, &[]);
        ask.put("Route", &[]);
        ask.body.clear();
        let answer = self.ask(peer, ask, method);
        self.keep_challenge(peer, &answer);
    }

    pub fn keep_challenge(&mut self, peer: usize, answer: &Raw) {
        let names = ["Proxy-Authenticate", "WWW-Authenticate"];
        if let Some(challenge) = names.into_iter().find_map(|name| answer.get(name)) {
            self.challenge.insert(peer, (challenge, 0));
        }
    }

    /// A request that the flow does not show, and its answer.
    fn ask(&mut self, peer: usize, mut raw: Raw, method: &str) -> Raw {
        self.serial += 1;
        let name = format!("beside-{}", self.serial);
        let via = raw.list("Via")[0].clone();
        let (before, _) = via.split_once(";branch=").unwrap_or((&via, ""));
        raw.put("Via", &[format!("{before};branch=z9hG4bK{name}")]);
        raw.put("Call-ID", std::slice::from_ref(&name));
        raw.put("CSeq", &[format!("{} {method}", self.serial)]);
        raw.put("Content-Length", &["0".to_owned()]);
        self.emit(peer, raw);
        self.wait(peer, "an answer beside the flow", |raw| {
            raw.call_id() == name && raw.status() >= 200
        })
    }

    fn register(&mut self, aor: &str, at: &str, contact: &str) {
        let peer = self.peer(at).expect("a peer of the scene");
        let wire = self.scene.peers[peer].wire;
        let (scheme, domain) = (
            aor.split(':').next().unwrap_or_default(),
            aor.split('@').nth(1).unwrap_or_default(),
        );
        let (ip, via) = (self.scene.peers[peer].ip, format!("{wire:?}").to_uppercase());
        let user = aor.split([':', '@']).nth(1).unwrap_or_default();
        let text = format!(
            "REGISTER {scheme}:{domain} SIP/2.0\r\nVia: SIP/2.0/{via} {ip};branch=z9hG4bK\r\nMax-Forwards: 70\r\n\
             From: <{aor}>;tag={user}\r\nTo: <{aor}>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\nContact: {contact}\r\n\r\n"
        );
        let mut raw = Raw::read(&text);
        let answer = self.ask(peer, raw.clone(), "REGISTER");
        let challenge = answer.get("WWW-Authenticate").expect("a challenge");
        let uri = format!("{scheme}:{domain}");
        let credentials = digest::answer(&challenge, user, PASSWORD, "REGISTER", &uri, 1);
        raw.put("Authorization", &[credentials]);
        let answer = self.ask(peer, raw, "REGISTER");
        assert_eq!(answer.status(), 200, "{}: {aor} registers", self.scene.title());
    }

    /// What the RFC shows comes out.
    fn expect(&mut self, shown: &Shown, peer: usize) {
        let want = &shown.message;
        let is_it = |raw: &Raw| {
            let same = (raw.call_id(), raw.number()) == (want.call_id(), want.number());
            same && raw.is_request() == want.is_request()
                && raw.method() == want.method()
                && raw.status() == want.status()
        };
        let got = self.wait(peer, &format!("{} {}", shown.number, shown.label), is_it);
        for fault in compare::compare(self, shown, peer, &got) {
            let named = self.slip(shown, |what| matches!(what, What::Field(name) if *name == fault.field));
            if named.is_none() {
                let (number, label) = (&shown.number, &shown.label);
                self.faults.push(format!(
                    "{number} {label}: {}\n    ours: {}\n    RFC:  {}",
                    fault.field, fault.ours, fault.theirs
                ));
            }
        }
        if source(self, peer, &got).is_none() {
            self.keep_challenge(peer, &got);
        }
    }

    /// Waits for a message at a peer that was not awaited before.
    fn wait(&mut self, peer: usize, what: &str, is_it: impl Fn(&Raw) -> bool) -> Raw {
        let until = self.w.now + PATIENCE;
        loop {
            self.collect();
            let new = |passed: &Passed| passed.peer == peer && !passed.expected && is_it(&passed.raw);
            if let Some(at) = self.got.iter().position(new) {
                self.got[at].expected = true;
                return self.got[at].raw.clone();
            }
            if self.w.next().is_none_or(|at| at > until) || !self.w.step() {
                let title = self.scene.title();
                let left: Vec<&str> = self.left().map(|passed| passed.raw.start.as_str()).collect();
                self.w.fail(&format!(
                    "{title}: {what} does not come; {left:?} came; {:#?}",
                    self.faults
                ));
            }
        }
    }

    /// What the node sent since, but for copies.
    fn collect(&mut self) {
        for (to, bytes) in self.w.wiretap.replace(Vec::new()).unwrap_or_default() {
            let at = |at: &crate::scene::At| at.ip.parse() == Ok::<IpAddr, _>(to.ip());
            let peer = self.scene.peers.iter().position(at).unwrap_or(usize::MAX);
            let raw = Raw::read(&String::from_utf8_lossy(&bytes));
            if !self.got.iter().any(|old| old.peer == peer && old.raw == raw) {
                let expected = false;
                self.got.push(Passed { peer, raw, expected });
            }
        }
    }

    fn left(&self) -> impl Iterator<Item = &Passed> {
        self.got.iter().filter(|passed| !passed.expected)
    }

    /// Everything ends: no call, no transaction, one record for each call, and nothing came that nobody awaits.
    fn end(mut self) {
        self.w.run(s(660));
        self.collect();
        let title = self.scene.title();
        let left: Vec<String> = self
            .left()
            // Every INVITE gets one (RFC 3261 17.2.1), though the RFCs do not show each.
            .filter(|passed| passed.raw.status() != 100)
            .map(|passed| {
                format!(
                    "to {}: {}",
                    self.scene.peers.get(passed.peer).map_or("nobody", |at| at.name),
                    passed.raw.start
                )
            })
            .collect();
        assert!(left.is_empty(), "{title}: came besides: {left:#?}");
        assert!(
            self.faults.is_empty(),
            "{title}: differences without a name:\n{}",
            self.faults.join("\n")
        );
        let slips = self.scene.slips.iter().enumerate();
        let idle: Vec<&Slip> = slips
            .filter(|(at, _)| !self.used.contains(at))
            .map(|(_, slip)| slip)
            .collect();
        assert!(idle.is_empty(), "{title}: named, but not seen: {idle:#?}");
        // It reads no folded lines.
        self.w.ledger.forget();
        self.w.finish();
        assert_eq!(
            self.w.records.by_call.len(),
            self.scene.calls,
            "{title}: one record for each call"
        );
    }
}

fn has(shown: &Shown, text: &str) -> bool {
    String::from_utf8(shown.message.write()).is_ok_and(|message| message.contains(text))
}

/// A message that was sent by another peer and is what this one is to come from.
pub fn source<'r>(stage: &'r Stage<'_>, peer: usize, got: &Raw) -> Option<&'r Raw> {
    let is_it = |passed: &&Passed| {
        let raw = &passed.raw;
        passed.peer != peer
            && (raw.call_id(), raw.number(), raw.method(), raw.status())
                == (got.call_id(), got.number(), got.method(), got.status())
            && raw.is_request() == got.is_request()
    };
    stage.sent.iter().rev().find(is_it).map(|passed| &passed.raw)
}
