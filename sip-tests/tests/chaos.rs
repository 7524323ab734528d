//! Chaos: a seed decides the network, the peers, the calls, the failures. The invariants are checked after every step.
//!
//! A broken invariant prints the seed; `CHAOS_SEED=17 cargo test -p sip-tests --test chaos` runs that one alone, with its ladder.

#![allow(missing_docs)]

use sip_tests::agent::State;
use sip_tests::chaos::seeds;
use sip_tests::rng::Rng;
use sip_tests::store::Mode;
use sip_tests::{Answer, CallRef, Change, Peer, World, ms, s};
use std::time::Duration;
use tandem::id::Transport;

/// How many seeds, unless `CHAOS_SEEDS` says otherwise (`make soak`).
const SEEDS: u64 = 1_000;
/// Actions of one run.
const ACTIONS: u64 = 25;

#[test]
fn a_thousand_seeds() {
    seeds("chaos", SEEDS, run);
}

struct Chaos {
    w: World,
    rng: Rng,
    peers: Vec<Peer>,
    /// Both peers of the trunk.
    carriers: [Peer; 2],
    /// RTP flows, and nobody may hear himself: there is no echo in such a run.
    media: bool,
}

/// Runs with RTP, which cost ten times as much.
const MEDIA_EVERY: u64 = 10;

/// What a reload may bring: dave gone, carol's password changed, another plan, less room, and back.
fn reloads() -> [String; 4] {
    let edge = sip_tests::script::EDGE;
    let changed = |from: &str, to: &str| {
        assert!(edge.contains(from), "{from}");
        edge.replace(from, to)
    };
    [
        edge.to_owned(),
        changed("  - { name: dave, password: goliath, calls: 1 }\n", ""),
        changed("password: xmas", "password: easter").replace("limits: { calls: 100,", "limits: { calls: 2,"),
        changed("  - { to: \"600\", do: echo }\n", "")
            .replace("name: acme", "name: blue")
            .replace("trunk/acme", "trunk/blue"),
    ]
}

fn run(seed: u64, quiet: bool) {
    let media = seed % MEDIA_EVERY == 3;
    let mut builder = World::builder(seed);
    let proxied = seed.is_multiple_of(3);
    if proxied {
        builder = builder.config(&proxied_domain());
    }
    if media {
        builder = builder.media();
    }
    let mut w = if quiet { builder.quiet() } else { builder }.build();
    // Proxied phones see each other's addresses.
    w.checks.leaks = !proxied;
    let mut rng = Rng::new(seed.wrapping_mul(77));
    w.streams.chop = rng.chance(0.5);
    let mut peers = Vec::new();
    for (name, user) in [
        ("alice", "alice"),
        ("bob", "bob"),
        ("cell", "bob"),
        ("carol", "carol"),
        ("dave", "dave"),
    ] {
        let transport = if rng.chance(0.2) {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        peers.push(w.device(name, user, transport));
    }
    let carriers = [
        w.carrier("acme", "198.51.100.1:5060"),
        w.carrier("acme-2", "198.51.100.2:5060"),
    ];
    for (number, agent) in w.agents.iter_mut().enumerate() {
        // None of them is the node's own tone of 1004 Hz.
        agent.tone = media.then_some(450.0 + 190.0 * number as f32);
        agent.tone_step = 20.0;
    }
    if rng.chance(0.3) {
        w.nat(peers[0], "203.0.113.200");
    }
    let mut chaos = Chaos {
        w,
        rng,
        peers,
        carriers,
        media,
    };
    chaos.spoil_links();
    chaos.register();
    for _ in 0..ACTIONS {
        chaos.characters();
        chaos.action();
        let pause = chaos.rng.below(2500);
        chaos.w.run(ms(pause));
        chaos.w.check_ears();
    }
    chaos.end();
}

/// The users call each other proxied, but for calls to dave.
fn proxied_domain() -> String {
    let edge = sip_tests::script::EDGE
        .replace("[ example.com ]", "[ { name: example.com, do: proxy } ]")
        .replace("routes:\n", "routes:\n  - { to: dave, do: bridge }\n");
    format!("{edge}calls: {{ max_duration: 10m }}\n")
}

impl Chaos {
    fn any_peer(&mut self) -> Peer {
        *self.rng.pick(&self.peers)
    }

    fn ips(&self) -> Vec<std::net::IpAddr> {
        self.w.agents.iter().map(|agent| agent.addr.ip()).collect()
    }

    fn spoil_links(&mut self) {
        let hard = self.rng.chance(0.5);
        for ip in self.ips() {
            let link = self.w.net.link(ip);
            link.delay = self.rng.millis(1, 120);
            if hard {
                link.loss = self.rng.below(15) as f64 / 100.0;
                link.duplicate = self.rng.below(10) as f64 / 100.0;
                link.reorder = self.rng.below(20) as f64 / 100.0;
                link.jitter = self.rng.millis(0, 40);
            }
        }
    }

    fn register(&mut self) {
        for peer in self.peers.clone() {
            self.w.agent(peer).registration.renews = true;
            self.w.act(peer.0, |agent, cx| agent.register(cx, 600));
        }
        self.w.run(s(5));
    }

    /// What one peer does by itself from now on.
    fn characters(&mut self) {
        let peer = if self.rng.chance(0.2) {
            *self.rng.pick(&self.carriers)
        } else {
            self.any_peer()
        };
        let rng = &mut self.rng;
        let policy = &mut self.w.agents[peer.0].policy;
        // A carrier's peer that is dead: calls fail over to the other.
        policy.deaf = self.carriers.contains(&peer) && rng.chance(0.3);
        policy.trying = rng.chance(0.8);
        policy.ring = rng.chance(0.8).then(|| rng.millis(0, 1500));
        policy.ring_status = if rng.chance(0.3) { 183 } else { 180 };
        policy.ring_sdp = rng.chance(0.3);
        policy.reliable = rng.chance(0.3);
        policy.late_offer = rng.chance(0.15);
        policy.retry_491 = rng.chance(0.8);
        policy.drop_acks = if rng.chance(0.1) { rng.below(4) as u32 } else { 0 };
        policy.refuse_change = rng.chance(0.1).then_some(488);
        policy.session = rng.chance(0.2).then(|| "120;refresher=uac".to_owned());
        policy.supported = if rng.chance(0.2) {
            String::new()
        } else {
            "100rel, timer, replaces".into()
        };
        policy.answer = match rng.below(10) {
            0 => Answer::Manual,
            1 => Answer::Status(
                *rng.pick(&[404, 480, 486, 488, 500, 503, 600, 603]),
                rng.millis(0, 3000),
                Vec::new(),
            ),
            2 => Answer::Status(302, rng.millis(0, 500), vec!["Contact: <sip:carol@example.com>".into()]),
            _ => Answer::After(rng.millis(0, 4000)),
        };
        policy.hangup = rng.chance(0.5).then(|| rng.millis(0, 20_000));
    }

    fn action(&mut self) {
        match self.rng.below(100) {
            0..40 => self.new_call(),
            40..52 => self.hang_up(),
            52..66 => self.change(),
            66..70 => self.refer(),
            70..74 => self.attended(),
            74..77 => self.pick_up(),
            77..81 => self.store(),
            81..85 => self.cut_link(),
            85..88 => self.garbage(),
            88..90 => self.w.restart(),
            90..91 => self.stop(),
            91..93 => self.reload(),
            93..95 => self.cut_stream(),
            97..99 => self.message(),
            95..97 => self.w.net.rebind("203.0.113.200".parse().expect("an address")),
            _ => {
                let peer = self.any_peer();
                self.w.act(peer.0, |agent, cx| agent.register(cx, 600));
            }
        }
    }

    fn new_call(&mut self) {
        if self.rng.chance(0.25) {
            let number = *self
                .rng
                .pick(&["+14155550101", "+14155550102", "+14155550103", "+19995550000"]);
            let carrier = *self.rng.pick(&self.carriers);
            self.w.call(carrier, number);
        } else {
            let from = self.any_peer();
            let to = *self.rng.pick(&[
                "alice",
                "bob",
                "carol",
                "dave",
                if self.media { "103" } else { "600" },
                "601",
                "+442079460000",
                "nobody",
                "+14155550102",
            ]);
            self.w.call(from, to);
        }
    }

    /// A request that is no call.
    fn message(&mut self) {
        let from = self.any_peer();
        let (user, to) = (
            self.w.agents[from.0].name.clone(),
            *self.rng.pick(&["bob", "alice", "nobody"]),
        );
        let user = if user == "cell" { "bob".to_owned() } else { user };
        let method = *self.rng.pick(&["MESSAGE", "SUBSCRIBE", "INFO"]);
        let message = sip_tests::Msg::request(method, &format!("sip:{to}@example.com"))
            .with("Max-Forwards", "70")
            .with("From", &format!("<sip:{user}@example.com>;tag=m"))
            .with("To", &format!("<sip:{to}@example.com>"))
            .with("Call-ID", &format!("{}@message", self.rng.token()))
            .with("CSeq", &format!("1 {method}"));
        self.w.act(from.0, |agent, cx| agent.send_loose(cx, message));
    }

    fn live(&mut self) -> Option<CallRef> {
        self.w.any_live(&mut self.rng)
    }

    fn hang_up(&mut self) {
        if let Some(call) = self.live() {
            self.w.hang_up(call);
        }
    }

    fn change(&mut self) {
        let Some(call) = self.live() else { return };
        if self.w.state(call) != State::Up {
            return;
        }
        let change = Change {
            direction: Some(*self.rng.pick(&["sendonly", "inactive", "sendrecv", "recvonly"])),
            zero_address: self.rng.chance(0.1),
            new_port: self.rng.chance(0.1),
            no_offer: self.rng.chance(0.1),
            ..Change::default()
        };
        if self.rng.chance(0.3) && !change.no_offer {
            self.w.on(call, |agent, cx, call| agent.update(cx, call, change));
        } else {
            self.w.on(call, |agent, cx, call| agent.reinvite(cx, call, change));
        }
    }

    fn refer(&mut self) {
        let Some(call) = self.live() else { return };
        if self.w.state(call) == State::Up {
            let to = *self
                .rng
                .pick(&["sip:carol@example.com", "sip:601@example.com", "sip:nobody@example.com"]);
            let line = format!("Refer-To: <{to}>");
            self.w.on(call, |agent, cx, call| {
                agent.send_in_call(cx, call, "REFER", &[&line], None);
            });
        }
    }

    /// Two calls of one peer are joined, where it has two (RFC 5589 7): else somebody else's is named, which must do no harm.
    fn attended(&mut self) {
        let Some(from) = self.live().filter(|call| self.w.state(*call) == State::Up) else {
            return;
        };
        let Some(line) = self.w.refer_to_another(&mut self.rng, from, "carol") else {
            return;
        };
        self.w.on(from, |agent, cx, call| {
            agent.send_in_call(cx, call, "REFER", &[&line], None);
        });
    }

    /// Somebody takes a call over that rings elsewhere or is up (RFC 3891 3).
    fn pick_up(&mut self) {
        let Some(taken) = self.live() else { return };
        let early = if self.rng.chance(0.3) { ";early-only" } else { "" };
        let line = format!("Replaces: {}{early}", self.w.replaces(taken));
        let from = self.any_peer();
        self.w.call_with(from, "bob", &[&line, "Require: replaces"]);
    }

    fn stop(&mut self) {
        let grace = self.rng.millis(0, 5000);
        self.w.stop_and_start(grace);
    }

    fn reload(&mut self) {
        let yaml = self.rng.pick(&reloads()).clone();
        let yaml = if self.media {
            yaml.replace("do: echo", "do: tone")
        } else {
            yaml
        };
        self.w.reload(&yaml);
    }

    fn store(&mut self) {
        let mode = match self.rng.below(3) {
            0 => Mode::Fails,
            1 => Mode::Hangs,
            _ => Mode::Works(self.rng.millis(0, 2000)),
        };
        self.w.store.mode = mode;
        let back = self.rng.millis(100, 8000);
        self.w.after(back, |w| w.store.mode = Mode::Works(ms(2)));
    }

    fn cut_link(&mut self) {
        let ip = *self.rng.pick(&self.ips());
        self.w.net.link(ip).cut = true;
        let back = self.rng.millis(100, 40_000);
        self.w.after(back, move |w| w.net.link(ip).cut = false);
    }

    fn cut_stream(&mut self) {
        let count = self.w.streams.list.len() as u64;
        if count > 0 {
            let number = self.rng.below(count) as usize;
            self.w.cut_stream(number);
        }
    }

    /// A message of a peer with one octet changed, or cut off.
    fn garbage(&mut self) {
        let peer = self.any_peer();
        let text = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.0.10:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:alice@example.com>;tag=1\r\n\
                    To: <sip:bob@example.com>\r\nCall-ID: g@garbage\r\nCSeq: 1 INVITE\r\nContact: <sip:a@203.0.0.10>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
        let mut bytes = text.as_bytes().to_vec();
        let at = self.rng.below(bytes.len() as u64) as usize;
        bytes[at] = self.rng.number() as u8;
        bytes.truncate(bytes.len() - self.rng.below(200) as usize);
        self.w.send_raw(peer, bytes);
    }

    /// The network is mended, everybody hangs up, and nothing may be left.
    fn end(mut self) {
        self.w.checks.complaints = false;
        for ip in self.ips() {
            let link = self.w.net.link(ip);
            *link = sip_tests::net::Link {
                delay: ms(5),
                ..sip_tests::net::Link::default()
            };
        }
        self.w.store.mode = Mode::Works(ms(2));
        self.w.run(s(45));
        for agent in &mut self.w.agents {
            agent.policy.answer = Answer::Status(480, Duration::ZERO, Vec::new());
            agent.policy.hangup = None;
            agent.policy.drop_acks = 0;
            agent.policy.deaf = false;
        }
        // A proxied call whose BYE was lost with a phone ends by its longest duration.
        if self.w.config.calls.max_duration < s(3600) {
            for peer in 0..self.w.agents.len() {
                self.w.agents[peer].registration.renews = false;
            }
            self.w.run(s(600));
        }
        self.w.finish();
    }
}

/// 10,000 calls up at once, then all of them end: no RTP, a hundred users with a hundred calls each; every place and port comes back.
#[test]
fn ten_thousand_calls_up_at_once() {
    const USERS: usize = 100;
    const EACH: usize = 100;
    let users: String = (0..USERS)
        .map(|n| format!("  - {{ name: user{n}, password: secret, number: \"+1415600{n:04}\", calls: {EACH} }}\n"))
        .collect();
    let config = sip_tests::script::EDGE
        .replace("ports: 20000-20999", "ports: 20000-60999")
        // 20,000 legs, of which a worker takes `limits::LEGS_PER_WORKER`.
        .replace("workers: 2", "workers: 3")
        .replace(
            "calls: 100, calls_per_second: 100",
            "calls: 20000, calls_per_second: 10000",
        )
        .replace("users:\n", &format!("users:\n{users}"));
    let mut w = World::builder(1).config(&config).quiet().build();
    // A hundred addresses in each message would cost more than the calls.
    w.checks.leaks = false;
    w.checks.every = 20;
    let phones: Vec<Peer> = (0..USERS).map(|n| w.registered(&format!("user{n}"))).collect();
    let acme = w.carrier("acme", "198.51.100.1:5060");
    for _ in 0..EACH {
        for n in 0..USERS {
            w.call(acme, &format!("+1415600{n:04}"));
        }
        w.run(ms(50));
    }
    w.run(s(5));
    let up = |w: &World, peer: Peer| {
        w.agents[peer.0]
            .calls
            .iter()
            .filter(|call| call.state == State::Up)
            .count()
    };
    let called: usize = phones.iter().map(|phone| up(&w, *phone)).sum();
    assert_eq!(
        (called, up(&w, acme), w.records.open),
        (USERS * EACH, USERS * EACH, USERS * EACH)
    );
    assert_eq!(w.media.legs(), 2 * USERS * EACH);
    w.finish();
    assert_eq!(w.records.by_call.len(), USERS * EACH);
}
