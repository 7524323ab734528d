//! Chaos in rooms: members that crash, lose 30 % of their packets, re-INVITE, transfer and are transferred in the middle of everything.
//!
//! A seed decides it all, as in `chaos`; the invariants are checked after every step. At the end nobody may be left in a call, and no leg, port,
//! room or deadline; and each call has one record. `CHAOS_SEED=17 cargo test -p sip-tests --test chaos_rooms` runs that one alone, with its ladder.

#![allow(missing_docs)]

#[path = "chaos_rooms/actions.rs"]
mod actions;
#[path = "chaos_rooms/plan.rs"]
mod plan;

use plan::{CONFIG, formats, plan, reloads};
use sip_tests::chaos::seeds;
use sip_tests::rng::Rng;
use sip_tests::{Answer, Peer, World, ms, s};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use tandem::effect::Fact;
use tandem::id::Transport;

/// How many seeds, unless `CHAOS_SEEDS` says otherwise (`make soak`).
const SEEDS: u64 = 500;
/// Actions of one run.
const ACTIONS: u64 = 80;
/// The same with RTP.
const ACTIONS_HEARD: u64 = 25;
/// Runs with RTP, which cost fifty times as much.
const MEDIA_EVERY: u64 = 25;
/// Longer than `calls.max_duration`: a call whose peer is dead ends by it.
const LONGEST: Duration = s(260);

#[test]
fn members_that_crash_lose_and_transfer() {
    let seen = Mutex::new(BTreeSet::new());
    let runs = seeds("chaos_rooms", SEEDS, |seed, quiet| run(seed, quiet, &seen));
    let seen = seen.into_inner().expect("no panic inside");
    let missing: Vec<&str> = HAPPENS.into_iter().filter(|what| !seen.contains(what)).collect();
    assert!(
        runs < SEEDS || missing.is_empty(),
        "in none of {runs} runs: {missing:?}"
    );
}

/// What must have happened in one of the runs at least, or they are not what they are for: words of call records.
const HAPPENS: [&str; 14] = [
    "joins room standup",
    "joins room lecture",
    "joins room 7001",
    "gave a wrong PIN",
    "the PIN of the room was wrong too often",
    "a moderator removed the member",
    "the room has ended",
    "put the call on hold",
    "transfers the call",
    "the transfer is done",
    "takes the call over",
    "its place in a room was transferred",
    "the call reached its longest duration",
    "did not confirm by a key",
];

struct Chaos {
    w: World,
    rng: Rng,
    peers: Vec<Peer>,
    carrier: Peer,
    /// RTP flows, and nobody may hear himself.
    media: bool,
}

fn run(seed: u64, quiet: bool, seen: &Mutex<BTreeSet<&'static str>>) {
    let media = seed % MEDIA_EVERY == 1;
    let mut builder = World::builder(seed).config(&plan(CONFIG, media));
    if media {
        builder = builder.media();
    }
    let w = if quiet { builder.quiet() } else { builder }.build();
    let mut chaos = Chaos {
        w,
        rng: Rng::new(seed.wrapping_mul(77)),
        peers: Vec::new(),
        carrier: Peer(0),
        media,
    };
    chaos.people();
    chaos.spoil_links();
    for _ in 0..if media { ACTIONS_HEARD } else { ACTIONS } {
        chaos.characters();
        chaos.action();
        let pause = chaos.rng.below(2500);
        chaos.w.run(ms(pause));
        chaos.w.check_ears_of_single_calls();
    }
    chaos.end();
    seen.lock().expect("no panic inside").extend(chaos.seen());
}

impl Chaos {
    /// Phones of all kinds, and a carrier's peer; all are registered.
    fn people(&mut self) {
        self.w.streams.chop = self.rng.chance(0.5);
        for (name, user) in [
            ("alice", "alice"),
            ("bob", "bob"),
            ("cell", "bob"),
            ("carol", "carol"),
            ("dave", "dave"),
            ("erin", "erin"),
        ] {
            let transport = match self.rng.chance(0.2) {
                true => Transport::Tcp,
                false => Transport::Udp,
            };
            let peer = self.w.device(name, user, transport);
            let policy = self.w.policy(peer);
            policy.formats = formats(&mut self.rng);
            policy.ptime = *self.rng.pick(&[10, 20, 20, 20, 30, 60]);
            policy.srtp = name == "erin";
            self.peers.push(peer);
        }
        self.carrier = self.w.carrier("acme", "198.51.100.1:5060");
        for (number, agent) in self.w.agents.iter_mut().enumerate() {
            // None of them, nor of their further calls, is a tone of a room's own.
            agent.tone = self.media.then_some(450.0 + 200.0 * number as f32);
            agent.tone_step = 20.0;
        }
        for peer in self.peers.clone() {
            self.w.agent(peer).registration.renews = true;
            self.w.act(peer.0, |agent, cx| agent.register(cx, 600));
        }
        self.w.run(s(2));
    }

    /// Half of them lose 30 % of all that they send and get, SIP and RTP.
    fn spoil_links(&mut self) {
        for ip in self.ips() {
            let hard = self.rng.chance(0.5);
            let link = self.w.net.link(ip);
            link.delay = self.rng.millis(1, 120);
            if hard {
                link.loss = 0.3;
                link.duplicate = self.rng.below(10) as f64 / 100.0;
                link.reorder = self.rng.below(20) as f64 / 100.0;
                link.jitter = self.rng.millis(0, 60);
            }
        }
    }

    fn ips(&self) -> Vec<std::net::IpAddr> {
        self.w.agents.iter().map(|agent| agent.addr.ip()).collect()
    }

    /// What one peer does by itself from now on.
    fn characters(&mut self) {
        let peer = match self.rng.chance(0.15) {
            true => self.carrier,
            false => *self.rng.pick(&self.peers),
        };
        let rng = &mut self.rng;
        let policy = &mut self.w.agents[peer.0].policy;
        policy.ring = rng.chance(0.8).then(|| rng.millis(0, 1500));
        policy.reliable = rng.chance(0.3);
        policy.ring_sdp = rng.chance(0.3);
        policy.late_offer = rng.chance(0.1);
        policy.retry_491 = rng.chance(0.8);
        policy.drop_acks = if rng.chance(0.1) { rng.below(4) as u32 } else { 0 };
        policy.refuse_change = rng.chance(0.1).then_some(488);
        policy.session = rng.chance(0.2).then(|| "120;refresher=uac".to_owned());
        policy.loose = if rng.chance(0.5) { 200 } else { 481 };
        policy.answer = match rng.below(10) {
            0 => Answer::Manual,
            1 => Answer::Status(
                *rng.pick(&[404, 480, 486, 488, 503, 603]),
                rng.millis(0, 3000),
                Vec::new(),
            ),
            _ => Answer::After(rng.millis(0, 4000)),
        };
        policy.hangup = rng.chance(0.2).then(|| rng.millis(0, 20_000));
    }

    /// The network is mended, but for those who are dead; all others hang up, and nothing may be left when the timers have run out.
    fn end(&mut self) {
        self.w.checks.complaints = false;
        for peer in 0..self.w.agents.len() {
            let agent = &mut self.w.agents[peer];
            agent.policy.answer = Answer::Status(480, Duration::ZERO, Vec::new());
            (agent.policy.hangup, agent.policy.drop_acks) = (None, 0);
            let (ip, is_dead) = (agent.addr.ip(), agent.policy.deaf);
            *self.w.net.link(ip) = sip_tests::net::Link {
                delay: ms(5),
                cut: is_dead,
                ..sip_tests::net::Link::default()
            };
        }
        self.w.run(s(if self.media { 10 } else { 45 }));
        for peer in 0..self.w.agents.len() {
            for call in 0..self.w.agents[peer].calls.len() {
                self.w.act(peer, |agent, cx| agent.hang_up(cx, call));
            }
        }
        self.w
            .until_within(LONGEST, "no call is left", |w| w.census().calls == 0);
        self.w.finish();
        assert_eq!(self.w.control("rooms"), Ok(Vec::new()), "seed {}", self.w.seed);
        self.check_records();
    }

    /// Who was answered has a record, and one only; but not who took over a call that has one (RFC 3891), and another where the node was
    /// killed in between.
    fn check_records(&self) {
        let mut records: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for fact in &self.w.facts {
            if let Fact::CallStarted { call, sip_call_id, .. } = fact {
                let (all, whole) = records.entry(sip_call_id).or_default();
                *all += 1;
                *whole += usize::from(!self.w.records.by_call[call].orphaned);
            }
        }
        let calls = self.w.agents.iter().flat_map(|agent| &agent.calls);
        let answered = calls.filter(|call| {
            let is_ok = call.statuses.iter().any(|status| (200..300).contains(status));
            call.outgoing && is_ok && call.invite.get("Replaces").is_none()
        });
        for call in answered {
            let (all, whole) = records.get(call.call_id.as_str()).copied().unwrap_or_default();
            if all == 0 || whole > 1 {
                self.w
                    .fail(&format!("{} has {all} records, {whole} of them whole", call.call_id));
            }
        }
    }

    /// What of all that must happen has happened here.
    fn seen(&self) -> Vec<&'static str> {
        let records: Vec<String> = self.w.records.by_call.values().map(|cdr| format!("{cdr:?}")).collect();
        let is_there = |what: &&str| records.iter().any(|record| record.contains(what));
        HAPPENS.into_iter().filter(is_there).collect()
    }

    fn reload(&mut self) {
        let reloads = reloads();
        let yaml = plan(self.rng.pick::<String>(&reloads), self.media);
        self.w.reload(&yaml);
    }
}
