//! The guard by itself: one source after the other, and what is told of them.

use super::*;
use crate::config::{Sources, parse};
use crate::cx::{ChaCha12Rng, SeedableRng, Tickets};
use crate::id::{ConnectionId, ListenerId, Transport};
use crate::keyed::Key;
use crate::time::Wall;
use std::collections::VecDeque;

const NOW: Clock = Clock {
    now: Instant::from_nanos(3_600 * SECOND),
    wall: Wall(1_767_225_600_000),
};

struct Bench {
    guard: Guard,
    marker: Marker,
    config: Arc<Config>,
    facts: Vec<Fact>,
}

impl Bench {
    fn new(rules: &str) -> Bench {
        let yaml = format!("listen: [ \"udp://192.0.2.1:5060\" ]\nguard: {{ {rules} }}\n");
        let config = Arc::new(parse("test", &yaml, &Sources::NONE).unwrap());
        let marker = Marker::new(Key::new([3; 16]));
        Bench {
            guard: Guard::new(config.clone(), marker.clone()),
            marker,
            config,
            facts: Vec::new(),
        }
    }

    fn admit(&mut self, at: Clock, ip: [u8; 4], text: &str) -> Verdict {
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: ([192, 0, 2, 1], 5060).into(),
            peer: (ip, 5060).into(),
        };
        self.guard.admit(at, flow, text.as_bytes())
    }

    /// How many of so many at once pass.
    fn passes(&mut self, at: Clock, ip: [u8; 4], text: &str, tries: usize) -> usize {
        (0..tries)
            .filter(|_| matches!(self.admit(at, ip, text), Verdict::Pass(_)))
            .count()
    }

    fn with<R>(&mut self, at: Clock, work: impl FnOnce(&mut Guard, &mut Cx<'_>) -> R) -> R {
        let (mut rng, mut out, mut tickets) = (ChaCha12Rng::seed_from_u64(1), VecDeque::new(), Tickets::default());
        let mut cx = Cx {
            now: at.now,
            wall: at.wall,
            rng: &mut rng,
            config: &self.config,
            out: &mut out,
            tickets: &mut tickets,
            marker: &self.marker,
        };
        let result = work(&mut self.guard, &mut cx);
        self.facts.extend(out.into_iter().filter_map(|output| match output {
            Output::Record(fact) => Some(fact),
            _ => None,
        }));
        result
    }

    /// A nonce as it is sent to this address, in credentials.
    fn credentials(&self, ip: [u8; 4], made: Wall, random: u16) -> String {
        let salt = self.marker.salt(made, self.marker.source(ip.into()), random);
        format!(
            "Authorization: Digest username=\"alice\", nonce=\"{:016x}{salt:016x}00\"\r\n",
            made.0
        )
    }
}

fn request(method: &str, lines: &str) -> String {
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nCall-ID: 1\r\n\
         CSeq: 1 {method}\r\n{lines}\r\n"
    )
}

fn outside(method: &str) -> String {
    request(method, "To: <sip:b>\r\n")
}

fn after(seconds: u64) -> Clock {
    Clock {
        now: NOW.now + Duration::from_secs(seconds),
        wall: NOW.wall + Duration::from_secs(seconds),
    }
}

const IP: [u8; 4] = [198, 51, 100, 1];
const OTHER: [u8; 4] = [198, 51, 100, 2];

/// One row for each thing that a message can be, and how many of 10,000 at once pass from somebody who was never here.
#[test]
fn what_passes_at_once() {
    let bench = Bench::new("");
    let tag = |mark| bench.marker.tag(mark, 5);
    let mut branch = "z9hG4bK77".to_owned();
    bench.marker.mark_branch(NOW.now, &mut branch);
    let mut token = "tw-nn".to_owned();
    bench.marker.mark_token(Origin::default(), &mut token);
    let mut route = token.clone();
    route.insert_str(0, "Route: <sip:");
    let rows = [
        (
            format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch={branch}\r\n\r\n"),
            100,
        ),
        (
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK77.0000deadbeef\r\n\r\n".to_owned(),
            20,
        ),
        (request("BYE", &format!("To: <sip:b>;tag={}\r\n", tag(Mark::Tag))), 100),
        (request("BYE", &format!("To: <sip:b>;tag=0{}\r\n", tag(Mark::Tag))), 80),
        (
            request("BYE", &format!("To: <sip:b>;tag=2\r\n{route}@192.0.2.1;lr>\r\n")),
            100,
        ),
        (request("ACK", &format!("To: <sip:b>;tag={}\r\n", tag(Mark::Answer))), 8),
        (
            request("BYE", &format!("To: <sip:b>;tag={}\r\n", tag(Mark::Answer))),
            80,
        ),
        (outside("INVITE"), 80),
        (outside("REGISTER"), 80),
        (request("OPTIONS", "To: <sip:b>\r\nUser-Agent: Friendly-Scanner\r\n"), 0),
        (
            request(
                "REGISTER",
                &format!("To: <sip:b>\r\n{}", bench.credentials(IP, NOW.wall, 1)),
            ),
            200,
        ),
        (
            request(
                "REGISTER",
                &format!("To: <sip:b>\r\n{}", bench.credentials(OTHER, NOW.wall, 1)),
            ),
            80,
        ),
        (request("REGISTER", ""), 50),
    ];
    for (text, most) in rows {
        let mut bench = Bench::new("");
        assert_eq!(bench.passes(NOW, IP, &text, 10_000), most, "{text}");
        assert_eq!(
            bench.passes(NOW, OTHER, &outside("INVITE"), 1),
            1,
            "another source is as free as before"
        );
    }
}

/// Whatever strangers send, from however many addresses: none of their cells is one of a dialog's.
#[test]
fn a_flood_of_strangers_meets_no_dialog() {
    let mut bench = Bench::new("strangers: 100000");
    for number in 0..60_000u32 {
        let [_, a, b, c] = number.to_be_bytes();
        bench.passes(NOW, [10, a, b, c], &outside("INVITE"), 90);
    }
    let marker = bench.marker.clone();
    let lost = (0..5_000).filter(|number| {
        let tag = marker.tag(Mark::Tag, *number);
        let bye = request("BYE", &format!("To: <sip:b>;tag={tag}\r\n"));
        bench.passes(NOW, IP, &bye, 1) == 0
    });
    assert_eq!(lost.count(), 0);
}

#[test]
fn a_nonce_is_a_friend_for_a_day() {
    let mut bench = Bench::new("");
    let old = bench.credentials(IP, NOW.wall, 1);
    let text = request("REGISTER", &format!("To: <sip:b>\r\n{old}"));
    // So many strangers' requests in its name that nothing of a stranger passes.
    bench.passes(after(0), IP, &outside("REGISTER"), 10_000);
    assert_eq!(bench.passes(after(0), IP, &text, 1), 1);
    bench.passes(after(24 * 3600), IP, &outside("REGISTER"), 10_000);
    assert_eq!(bench.passes(after(24 * 3600), IP, &text, 1), 0);
}

#[test]
fn what_looks_like_something_proved_has_a_rate_of_its_own() {
    let mut bench = Bench::new("per_source: 30");
    // It is challenged, and answers: what the first one looked like is proved.
    let Verdict::Pass(origin) = bench.admit(NOW, IP, &outside("INVITE")) else {
        panic!("a first one passes")
    };
    let marker = bench.marker.clone();
    bench.marker = marker.about(origin);
    let answer = request(
        "INVITE",
        &format!("To: <sip:b>\r\n{}", bench.credentials(IP, NOW.wall, 1)),
    );
    assert_eq!(bench.passes(NOW, IP, &answer, 1), 1);
    let other = request("INVITE", "To: <sip:b>\r\nExpires: 1\r\n");
    bench.passes(NOW, IP, &other, 10_000);
    assert_eq!(bench.passes(NOW, IP, &outside("INVITE"), 10_000), 60);
    assert_eq!(
        bench.passes(NOW, OTHER, &outside("INVITE"), 10_000),
        80,
        "it is proved for its source only"
    );
}

/// A wrong password with a nonce that went to some address; true if it was heard.
fn wrong(bench: &mut Bench, ip: [u8; 4], nonce_of: [u8; 4], seconds: u64) -> bool {
    let at = after(seconds);
    let text = request(
        "REGISTER",
        &format!("To: <sip:b>\r\n{}", bench.credentials(nonce_of, at.wall, 1)),
    );
    let passed = bench.passes(at, ip, &text, 1) == 1;
    let suspect = bench.with(at, |guard, cx| guard.is_wrong(cx));
    if let Some(suspect) = suspect {
        bench.with(at, |guard, cx| guard.ban(cx, suspect));
    }
    passed
}

/// A carrier that is known by its certificate has whatever address it has: it may share one with somebody who guesses.
#[test]
fn a_ban_spares_whoever_was_a_trunk_within_the_hour() {
    let mut bench = Bench::new("guesses: 2");
    bench.admit(NOW, IP, &outside("INVITE"));
    bench.with(NOW, |guard, cx| guard.is_trunk(cx));
    for seconds in 0..20 {
        wrong(&mut bench, IP, IP, seconds);
    }
    assert_eq!(bench.guard.banned(), 0);
    for seconds in 0..20 {
        wrong(&mut bench, IP, IP, 4000 + seconds);
    }
    assert_eq!(bench.guard.banned(), 1);
}

#[test]
fn a_ban_needs_a_proof_and_spares_whoever_is_bound() {
    let mut bench = Bench::new("guesses: 2");
    for seconds in 0..20 {
        wrong(&mut bench, OTHER, IP, seconds);
    }
    assert_eq!(bench.guard.banned(), 0, "the nonce went elsewhere");
    bench.with(NOW, |guard, cx| {
        guard.is_bound(cx, OTHER.into(), Duration::from_secs(60))
    });
    for seconds in 0..20 {
        wrong(&mut bench, OTHER, OTHER, seconds);
    }
    assert_eq!(bench.guard.banned(), 0, "it has live bindings");
    bench.with(after(900), |guard, cx| guard.on_time(cx, |_| false));
    bench.facts.clear();
    assert!(wrong(&mut bench, IP, IP, 1000) && wrong(&mut bench, IP, IP, 1005));
    assert_eq!(bench.guard.banned(), 1);
    assert_eq!(
        bench.admit(after(1006), IP, &outside("INVITE")),
        Verdict::Drop(Cut::Banned)
    );
    let told_at = bench.guard.next_deadline();
    assert_eq!(told_at, Some(after(1066).now), "what was dropped is told before");
    bench.with(after(1066), |guard, cx| guard.on_time(cx, |_| false));
    bench.with(after(1605), |guard, cx| guard.on_time(cx, |_| false));
    assert_eq!((bench.guard.banned(), bench.guard.next_deadline()), (0, None));
    let told = bench.facts.iter().map(|fact| match fact {
        Fact::Banned { .. } => "banned",
        Fact::Cut { .. } => "cut",
        Fact::BanEnded { dropped: 1, .. } => "ended",
        _ => "?",
    });
    assert_eq!(told.collect::<Vec<_>>(), ["banned", "cut", "ended"]);
}

#[test]
fn sources_with_bindings_are_bounded() {
    let mut bench = Bench::new("");
    for number in 0..u32::try_from(limits::GUARD_BOUND).unwrap() + 10 {
        let ip = IpAddr::from(number.to_be_bytes());
        bench.with(NOW, |guard, cx| guard.is_bound(cx, ip, Duration::from_secs(60)));
    }
    assert_eq!(bench.guard.bound.len(), limits::GUARD_BOUND);
    bench.with(after(61), |guard, cx| {
        guard.is_bound(cx, [9, 9, 9, 9].into(), Duration::from_secs(60))
    });
    assert_eq!(bench.guard.bound.len(), 1);
}
