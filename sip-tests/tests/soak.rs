//! Hours of mixed calls in virtual time, by a network that loses: nothing leaks, nothing drifts.
//!
//! ```text
//!   0 s     everybody registers
//!           a dozen calls: G.711, Opus, SRTP, the trunk, a tone; two at a time; held, resumed, digits, transferred
//!   ...     what is left of the calls goes
//!   600 s   all is as it was ten minutes before; beside all that two calls last from the beginning to the end
//! ```
//!
//! An hour of it in `make test`; `make soak` takes a day and writes `sip-tests/soak.log`. `SOAK_SEED=3` is another run.

#![allow(missing_docs)]

use sip_tests::counting::{Counting, count};
use sip_tests::description::{Format, events, opus, pcma};
use sip_tests::rng::Rng;
use sip_tests::{CallRef, Peer, State, World, ms, s};
use std::io::Write;
use std::time::Duration;
use tandem::node::Census;
use tandem::time::Instant;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONFIG: &str = r#"
listen:   [ "udp://192.0.2.1:5060" ]
media:    { ports: 20000-20199, workers: 2, opus_complexity: 0 }
domains:  [ example.com ]
calls:    { max_duration: 30h }
users:
  - { name: alice, password: a }
  - { name: bob, password: b }
  - { name: carol, password: c, codecs: [ opus ] }
  - { name: dave, password: d, srtp: offered, number: "+14155550104" }
  - { name: erin, password: e }
  - { name: frank, password: f, srtp: offered }
  - { name: grace, password: g }
  - { name: heidi, password: h, codecs: [ opus ] }
trunks:
  - name: acme
    peers: [ "sip:198.51.100.1:5060" ]
    codecs: [ pcmu, pcma ]
    numbers: { country: US, send: e164 }
    options: never
routes:
  - { to: "601", do: tone }
  - { to: "+", from: user/*, do: trunk/acme }
"#;
/// From one look to the next.
const SHIFT: Duration = s(600);
/// Looks of an hour.
const LOOKS: u64 = 6;
/// What was there for the first time may stay: tables have grown to their size then.
const WARM: usize = 3;
/// Pairs of calls in ten minutes.
const PAIRS: usize = 5;
/// Bytes by which what is held may differ from look to look.
const SLACK: isize = 48 * 1024;
/// How far a call's timestamps may go from the clock, in ms, however often it is held and resumed: the wait in a gap, and jitter.
const DRIFT_MS: i64 = 150;
/// How far apart the delays of the last packets may be: jitter, and what a leg adds.
const SPREAD_MS: i64 = 120;

/// One end of a call that lasts, as its peer sees it.
struct Watched {
    call: CallRef,
    /// When the first packet came that was looked at, and its timestamp.
    began: Option<(Instant, u32)>,
    /// The last timestamp, and how far they have gone since the first.
    last: Option<u32>,
    gone: u64,
}

/// What an hour was like.
#[derive(Default)]
struct Told {
    calls: usize,
    packets: usize,
    drift_ms: i64,
    spread_ms: i64,
    bytes: isize,
}

struct Soak {
    w: World,
    rng: Rng,
    callers: [Peer; 4],
    carrier: Peer,
    /// Two calls, the ends of each side by side: relayed with SRTP on one side, and transcoded.
    watched: [Watched; 4],
    /// Bytes that were held at each look.
    held: Vec<isize>,
    told: Told,
}

/// Who calls whom.
const KINDS: [(usize, &str); 7] = [
    (ALICE, "bob"),
    (BOB, "carol"),
    (CAROL, "+14155550199"),
    (DAVE, "carol"),
    (ALICE, "601"),
    (CAROL, "alice"),
    (CARRIER, "+14155550104"),
];
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;
const CARRIER: usize = 4;

impl Soak {
    fn new(seed: u64) -> Soak {
        let mut w = World::builder(seed).config(CONFIG).media().quiet().build();
        let mut phone = |name: &str| {
            let peer = w.phone(name);
            let policy = w.policy(peer);
            // A refresh would meet another call, since calls that are over are forgotten.
            policy.supported = "100rel, replaces".into();
            policy.srtp = matches!(name, "dave" | "frank");
            if matches!(name, "carol" | "heidi") {
                policy.formats = vec![opus(), Format::new(102, "telephone-event/48000")];
            }
            peer
        };
        let callers = ["alice", "bob", "carol", "dave"].map(&mut phone);
        let lasting = ["erin", "frank", "grace", "heidi"].map(&mut phone);
        let carrier = w.carrier("acme", "198.51.100.1:5060");
        w.policy(carrier).supported = "100rel, replaces".into();
        w.policy(carrier).formats = vec![pcma(), events()];
        for peer in callers.iter().chain(&lasting).chain([&carrier]) {
            let ip = w.agent(*peer).addr.ip();
            let link = w.net.link(ip);
            (link.loss, link.duplicate, link.jitter) = (0.02, 0.01, ms(8));
        }
        lasting.iter().for_each(|peer| w.register(*peer));
        let [erin, frank, grace, heidi] = lasting;
        let (one, other) = w.talk(erin, frank, "frank");
        assert!(w.voice(other).is_secure() && !w.voice(one).is_secure());
        let (third, fourth) = w.talk(grace, heidi, "heidi");
        let watched = [one, other, third, fourth].map(|call| Watched {
            call,
            began: None,
            last: None,
            gone: 0,
        });
        Soak {
            w,
            rng: Rng::new(seed + 1),
            callers,
            carrier,
            watched,
            held: Vec::new(),
            told: Told::default(),
        }
    }

    /// Ten minutes.
    fn shift(&mut self) {
        let end = self.w.now + SHIFT;
        let lasting = self.watched.each_ref().map(|watched| watched.call.peer);
        for peer in self.callers.into_iter().chain(lasting) {
            self.w.register(peer);
        }
        for _ in 0..PAIRS {
            let (one, other) = (self.kind(), self.kind());
            let outer = self.begin(one);
            let inner = self.begin(other);
            self.change(inner);
            self.end(inner);
            self.change(outer);
            self.end(outer);
        }
        self.transfer();
        self.hold_the_lasting_ones();
        let rest = end.since(self.w.now);
        assert!(rest > s(110), "there is time until nothing is left: {rest:?}");
        self.w.run(rest);
        self.w.until("no transaction is left", |w| w.census().transactions == 0);
    }

    fn kind(&mut self) -> (Peer, &'static str) {
        let (from, to) = *self.rng.pick(&KINDS);
        (*self.callers.get(from).unwrap_or(&self.carrier), to)
    }

    /// A call that is up, and where both hear each other.
    fn begin(&mut self, (from, to): (Peer, &str)) -> CallRef {
        let call = self.w.call(from, to);
        self.w.up(call);
        self.told.calls += 1;
        self.w.run(s(3));
        self.hears(call);
        call
    }

    /// Something that is not his own tone is heard, above all else.
    fn hears(&mut self, call: CallRef) {
        self.w.voice(call).forget();
        self.w.run(ms(1500));
        let voice = self.w.voice(call);
        let (own, heard, forged) = (voice.hz(), voice.hears(), voice.forged);
        let is_another = heard.is_some_and(|heard| heard.over_rest_db > 0.0 && !heard.is(own, 0.0));
        if !is_another || forged > 0 {
            self.w.fail(&format!(
                "{call:?} at {own} Hz hears {heard:?}, {forged} packets were forged"
            ));
        }
    }

    fn change(&mut self, call: CallRef) {
        if self.rng.chance(0.5) {
            self.w.voice(call).dial("12#");
            self.w.run(s(2));
        }
        if self.rng.chance(0.6) {
            let direction = *self.rng.pick(&["sendonly", "inactive"]);
            let held = self.w.hold(call, direction);
            self.w.run(s(2));
            let resumed = self.w.resume(call);
            assert_eq!((held, resumed), (200, 200), "hold and resume");
        }
        self.w.run(self.rng.millis(1_000, 6_000));
        self.hears(call);
    }

    fn end(&mut self, call: CallRef) {
        self.told.packets += self.w.voice(call).received;
        self.w.hang_up(call);
        self.w.expect_over(call, 200);
    }

    /// Alice has called bob and sends him to dave: they talk, and she is out.
    fn transfer(&mut self) {
        let [alice, bob, _, dave] = self.callers;
        let call = self.begin((alice, "bob"));
        let number = self.w.agents[bob.0].calls.len() - 1;
        let bobs = CallRef {
            peer: bob,
            call: number,
        };
        let answer = self
            .w
            .request(call, "REFER", &["Refer-To: <sip:dave@example.com>"], None);
        assert_eq!(answer, 202, "the transfer is taken");
        self.w.expect_over(call, 200);
        let daves = self.w.incoming(dave);
        self.w.until("dave has answered", |w| w.at(daves).state == State::Up);
        self.told.calls += 1;
        self.w.run(s(3));
        self.hears(bobs);
        self.end(bobs);
        self.w.expect_over(daves, 200);
    }

    fn hold_the_lasting_ones(&mut self) {
        for call in [0, 3].map(|at: usize| self.watched[at].call) {
            let held = self.w.hold(call, "inactive");
            self.w.run(s(20));
            let resumed = self.w.resume(call);
            assert_eq!((held, resumed), (200, 200), "hold and resume");
        }
        self.w.run(s(2));
        for call in self.watched.each_ref().map(|watched| watched.call) {
            self.hears(call);
        }
    }

    /// All is as it was.
    fn look(&mut self) {
        let census = self.w.census();
        let Census {
            calls,
            contexts,
            tickets,
            registers,
            subscriptions,
            waking,
            trunk_places,
            user_places,
            ..
        } = census;
        let places = (trunk_places, user_places);
        let rest = (contexts, tickets, registers, subscriptions, waking);
        assert_eq!((calls, places, rest), (2, (0, 4), (0, 0, 0, 0, 0)), "{census:?}");
        let ports = self.w.media.free() + self.w.media.spare();
        assert_eq!((self.w.media.legs(), ports), (4, 96), "legs and ports");
        for at in 0..self.watched.len() {
            self.pace(at);
        }
        self.forget();
        let bytes = count().bytes;
        let warm = self.held.iter().take(WARM).copied().max();
        if let Some(warm) = warm.filter(|_| self.held.len() >= WARM) {
            assert!(
                bytes < warm + SLACK,
                "{bytes} bytes are held, {warm} were: {:?}",
                self.held
            );
        }
        self.held.push(bytes);
        self.told.bytes = bytes;
    }

    /// What comes of a lasting call keeps pace with the clock, and its numbers with each other.
    fn pace(&mut self, at: usize) {
        let call = self.watched[at].call;
        let now = self.w.now;
        let voice = self.w.voice(call);
        assert_eq!(voice.forged, 0, "SRTP goes on over holds and roll-overs");
        let per_ms = if voice.format().name.starts_with("opus") { 48 } else { 8 };
        let last = voice.packets.last().expect("it is never silent for long").clone();
        assert!(now.since(last.at) < s(1), "nothing has come since {:?}", last.at);
        let late = voice.packets.iter().map(|packet| {
            let (steps, ticks) = (
                packet.sequence.wrapping_sub(last.sequence) as i16,
                packet.timestamp.wrapping_sub(last.timestamp) as i32,
            );
            assert_eq!(i32::from(steps) * 20 * per_ms, ticks, "each number stands for 20 ms");
            -(last.at.since(packet.at).as_millis() as i64) - i64::from(ticks / per_ms)
        });
        let late: Vec<i64> = late.collect();
        let spread = late.iter().max().unwrap_or(&0) - late.iter().min().unwrap_or(&0);
        assert!(spread < SPREAD_MS, "delays differ by {spread} ms");
        self.told.spread_ms = self.told.spread_ms.max(spread);
        self.told.packets += voice.received;
        let watched = &mut self.watched[at];
        let (began, before) = *watched.began.get_or_insert((last.at, last.timestamp));
        watched.gone += u64::from(last.timestamp.wrapping_sub(watched.last.unwrap_or(before)));
        watched.last = Some(last.timestamp);
        let drift = watched.gone as i64 / i64::from(per_ms) - last.at.since(began).as_millis() as i64;
        assert!(drift.abs() < DRIFT_MS, "the timestamps are {drift} ms from the clock");
        self.told.drift_ms = self.told.drift_ms.max(drift.abs());
    }

    /// What the world has written down of what is over.
    fn forget(&mut self) {
        for peer in self.callers.into_iter().chain([self.carrier]) {
            self.w.agent(peer).forget_calls();
        }
        for at in self.watched.each_ref().map(|watched| watched.call) {
            let call = &mut self.w.agent(at.peer).calls[at.call];
            (call.answers, call.requests, call.statuses) = (Vec::new(), Vec::new(), Vec::new());
            let voice = self.w.voice(at);
            voice.forget();
            voice.reports = Vec::new();
            voice.received = 0;
        }
        self.w.forget_past();
        let open = self.w.records.by_call.values_mut();
        open.for_each(|cdr| cdr.changes = Vec::new());
    }

    /// The end: nothing is left, and the records say the same.
    fn finish(mut self) {
        // Of two requests of a dialog the first may be lost and come again behind the second (RFC 3261 12.2.2).
        for agent in &mut self.w.agents {
            agent.complaints.retain(|complaint| !complaint.contains("is not above"));
        }
        self.w.finish();
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn nothing_leaks_and_nothing_drifts() {
    let hours = number("SOAK_HOURS").unwrap_or(1);
    let mut log = std::env::var_os("SOAK_LOG").map(|path| std::fs::File::create(path).expect("a log"));
    let mut tell = |line: &str| {
        println!("{line}");
        if let Some(log) = &mut log {
            writeln!(log, "{line}").expect("a log that can be written");
        }
    };
    let mut soak = Soak::new(number("SOAK_SEED").unwrap_or(1));
    tell("hour  calls  packets  bytes held  timestamps and clock  delays  lost on the way");
    for hour in 1..=hours {
        for _ in 0..LOOKS {
            soak.shift();
            soak.look();
        }
        let Told {
            calls,
            packets,
            drift_ms,
            spread_ms,
            bytes,
        } = std::mem::take(&mut soak.told);
        let lost = soak.w.net.lost;
        tell(&format!(
            "{hour:4}  {calls:5}  {packets:7}  {bytes:10}  {drift_ms:14} ms apart  {spread_ms:3} ms  {lost:15}"
        ));
    }
    soak.finish();
    tell("all calls have ended: no call, transaction, leg, port or deadline is left");
}
