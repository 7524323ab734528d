//! RFC 3261 17 with RFC 6026 and RFC 4320: two transaction layers, a network that loses, and virtual time.
//!
//! The caller's user is the least one that the RFC allows: it acknowledges each 2xx (13.2.2.4). The callee's answers after a
//! script, repeats its 2xx until ACK (13.3.1.4), and answers a cancelled INVITE with 487.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tandem::config::{Config, Sources};
use tandem::cx::{ChaCha12Rng, Cx, RngCore, SeedableRng, Tickets};
use tandem::dialog::accepted::{Acknowledged, Due, Unacknowledged};
use tandem::dialog::{Begun, Dialog};
use tandem::effect::Output;
use tandem::id::{CallId, ClientTx, ConnectionId, Flow, LegNo, ListenerId, Owner, ServerTx, Transport};
use tandem::sip::{Draft, Message, Method, Name, Uri};
use tandem::time::{Instant, Wall};
use tandem::transaction::{Event, Failure, Layer};

const CALLER: usize = 0;
const CALLEE: usize = 1;
/// One way through the network.
const DELAY: Duration = Duration::from_millis(10);
/// When a silent network has ended every transaction: timer B, CANCEL's timer F, timer H.
const LONG: u64 = 150_000;

/// What the network does with one message: how many copies arrive, each after how long. None: lost.
type Network = Box<dyn FnMut(&Packet) -> Vec<Duration>>;

/// One message on its way, for the network to judge.
struct Packet {
    from: usize,
    /// `INVITE`, `180 INVITE`.
    what: String,
    /// How many of the same were sent before.
    nth: usize,
}

/// One layer and its user.
struct Side {
    layer: Layer,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    /// What its user heard: milliseconds and what.
    heard: Vec<(u64, String)>,
    answers: BTreeMap<(Instant, usize), (ServerTx, Message, u16)>,
    unacknowledged: Vec<(ServerTx, Unacknowledged)>,
    acknowledged: Option<Acknowledged>,
}

struct World {
    now: Instant,
    config: Arc<Config>,
    sides: [Side; 2],
    /// How the callee answers: milliseconds after the request, and status.
    script: Vec<(u64, u16)>,
    network: Network,
    wire: BTreeMap<(Instant, usize), (usize, Bytes)>,
    /// Every message that was sent: milliseconds, by whom, and what.
    sent: Vec<(u64, usize, String)>,
    count: usize,
    /// The caller's last request.
    request: Option<Draft>,
}

fn ms(at: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(at)
}

fn what(message: &Message) -> String {
    match message.status() {
        0 => message.method().to_string(),
        status => format!("{status} {}", message.method()),
    }
}

fn flow_of(side: usize) -> Flow {
    let addrs = ["127.0.0.1:5060".parse().unwrap(), "127.0.0.2:5060".parse().unwrap()];
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        connection: ConnectionId(0),
        local: addrs[side],
        peer: addrs[1 - side],
    }
}

/// A network that loses the first so many of some messages.
fn losing(losses: &'static [(&'static str, usize)]) -> Network {
    Box::new(
        move |packet| match losses.iter().find(|(what, _)| *what == packet.what) {
            Some((_, times)) if packet.nth < *times => Vec::new(),
            Some(_) | None => vec![DELAY],
        },
    )
}

const ALWAYS: usize = usize::MAX;

impl World {
    fn new(script: &[(u64, u16)], network: Network) -> World {
        World::seeded(1, script, network)
    }

    fn seeded(seed: u64, script: &[(u64, u16)], network: Network) -> World {
        let yaml = "listen: [ \"udp://127.0.0.1:5060\" ]\ndomains: [ example.com ]\n";
        let side = |seed| Side {
            layer: Layer::default(),
            rng: ChaCha12Rng::seed_from_u64(seed),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            heard: Vec::new(),
            answers: BTreeMap::new(),
            unacknowledged: Vec::new(),
            acknowledged: None,
        };
        World {
            now: Instant::ZERO,
            config: Arc::new(tandem::config::parse("test", yaml, &Sources::NONE).unwrap()),
            sides: [side(2 * seed), side(2 * seed + 1)],
            script: script.to_vec(),
            network,
            wire: BTreeMap::new(),
            sent: Vec::new(),
            count: 0,
            request: None,
        }
    }

    fn with<R>(&mut self, side: usize, step: impl FnOnce(&mut Layer, &mut Cx<'_>) -> R) -> R {
        let Side {
            layer,
            rng,
            tickets,
            out,
            ..
        } = &mut self.sides[side];
        let mut cx = Cx {
            now: self.now,
            wall: Wall(0),
            rng,
            config: &self.config,
            out,
            tickets,
            marker: &tandem::marker::Marker::UNKEYED,
        };
        step(layer, &mut cx)
    }

    /// The caller begins.
    fn start(&mut self, method: Method) -> ClientTx {
        let mut draft = Draft::request(method.clone(), Uri::parse("sip:bob@127.0.0.2").unwrap());
        draft.push(Name::MaxForwards, 70);
        draft.push(Name::From, "<sip:alice@127.0.0.1>;tag=a");
        draft.push(Name::To, "<sip:bob@127.0.0.2>");
        draft.push(Name::CallId, "one");
        draft.push(Name::CSeq, format!("1 {method}"));
        draft.push(Name::Contact, "<sip:alice@127.0.0.1>");
        self.request = Some(draft.clone());
        let owner = Owner::Leg(CallId(1), LegNo(1));
        let tx = self.with(CALLER, |layer, cx| layer.request(cx, owner, flow_of(CALLER), draft));
        self.settle();
        tx
    }

    fn cancel(&mut self, tx: ClientTx) {
        self.with(CALLER, |layer, cx| layer.cancel(cx, tx, None));
        self.settle();
    }

    /// Runs to a point of time, event by event.
    fn run(&mut self, until: u64) {
        while let Some(at) = self.next().filter(|at| *at <= ms(until)) {
            self.now = at;
            for side in [CALLER, CALLEE] {
                self.with(side, |layer, cx| layer.on_time(cx));
            }
            self.users();
            while let Some(first) = self.wire.first_entry().filter(|first| first.key().0 <= at) {
                let (to, bytes) = first.remove();
                let message = Message::parse(bytes).unwrap();
                self.with(to, |layer, cx| layer.receive(cx, flow_of(to), message));
                self.settle();
            }
            self.settle();
        }
        self.now = ms(until);
    }

    fn next(&self) -> Option<Instant> {
        let sides = self.sides.iter().flat_map(|side| {
            let answer = side.answers.first_key_value().map(|((at, _), _)| *at);
            let repeat = side
                .unacknowledged
                .iter()
                .map(|(_, answer)| answer.next_deadline())
                .min();
            [side.layer.next_deadline(), answer, repeat]
        });
        sides
            .flatten()
            .chain(self.wire.first_key_value().map(|((at, _), _)| *at))
            .min()
    }

    /// What the callee's user has to do now.
    fn users(&mut self) {
        while let Some(first) = self.sides[CALLEE]
            .answers
            .first_entry()
            .filter(|first| first.key().0 <= self.now)
        {
            let (tx, request, status) = first.remove();
            self.respond(tx, &request, status);
        }
        let mut waiting = std::mem::take(&mut self.sides[CALLEE].unacknowledged);
        waiting.retain_mut(|(tx, answer)| match answer.poll(self.now) {
            Some(Due::Resend) => {
                self.with(CALLEE, |layer, cx| layer.repeat(cx, *tx));
                true
            }
            Some(Due::GiveUp) => {
                self.hear(CALLEE, "no ACK".to_owned());
                false
            }
            None => true,
        });
        self.sides[CALLEE].unacknowledged = waiting;
    }

    fn respond(&mut self, tx: ServerTx, request: &Message, status: u16) {
        let mut response = Draft::response(request, status, Some("b"));
        response.push(Name::Contact, "<sip:bob@127.0.0.2>");
        if (200..300).contains(&status) && request.method() == Method::Invite {
            self.sides[CALLEE]
                .unacknowledged
                .push((tx, Unacknowledged::new(self.now, 1)));
        }
        self.with(CALLEE, |layer, cx| layer.respond(cx, tx, response));
    }

    /// Carries messages to the wire and events to the users, until both are silent.
    fn settle(&mut self) {
        for side in [CALLER, CALLEE] {
            while let Some(event) = self.sides[side].layer.poll() {
                self.event(side, event);
            }
            while let Some(output) = self.sides[side].out.pop_front() {
                if let Output::Send(flow, bytes) = output {
                    assert_eq!(flow, flow_of(side), "everything here goes between two addresses");
                    self.send(side, bytes);
                }
            }
        }
    }

    fn send(&mut self, from: usize, bytes: Bytes) {
        let message = Message::parse(bytes.clone()).unwrap();
        assert_eq!(message.check(), Ok(()), "what we send is right");
        let what = what(&message);
        let nth = self
            .sent
            .iter()
            .filter(|(_, by, other)| *by == from && *other == what)
            .count();
        self.sent.push((self.now.as_millis(), from, what.clone()));
        for delay in (self.network)(&Packet { from, what, nth }) {
            self.count += 1;
            self.wire
                .insert((self.now + delay, self.count), (1 - from, bytes.clone()));
        }
    }

    fn hear(&mut self, side: usize, what: String) {
        self.sides[side].heard.push((self.now.as_millis(), what));
    }

    fn event(&mut self, side: usize, event: Event) {
        match event {
            Event::Request { flow, request } => {
                self.hear(side, what(&request));
                let tx = self.with(side, |layer, cx| layer.accept(cx, flow, &request)).unwrap();
                for (wait, status) in self.script.clone() {
                    self.count += 1;
                    let at = self.now + Duration::from_millis(wait);
                    self.sides[side]
                        .answers
                        .insert((at, self.count), (tx, request.clone(), status));
                }
            }
            Event::Cancelled { tx, .. } => {
                self.hear(side, "cancelled".to_owned());
                let invite = self.sides[side]
                    .answers
                    .values()
                    .find(|(of, _, _)| *of == tx)
                    .map(|(_, invite, _)| invite.clone());
                self.sides[side].answers.retain(|_, (of, _, _)| *of != tx);
                self.respond(tx, &invite.expect("the script has more to say"), 487);
            }
            Event::Ack { request, .. } => {
                self.hear(side, what(&request));
                self.sides[side]
                    .unacknowledged
                    .retain(|(_, answer)| !answer.is_acknowledged_by(&request));
            }
            Event::Response { flow, response, .. } => {
                self.hear(side, what(&response));
                if response.method() == Method::Invite && (200..300).contains(&response.status()) {
                    self.acknowledge(flow, &response);
                }
            }
            Event::Failed { failure, .. } => self.hear(side, format!("{failure:?}")),
            Event::ServerGone { .. } => self.hear(side, "gone".to_owned()),
            Event::Reached { .. } | Event::Unreachable { .. } => panic!("nobody asked for a way"),
        }
    }

    fn acknowledge(&mut self, flow: Flow, response: &Message) {
        let invite = Begun::of(self.request.as_ref().unwrap()).unwrap();
        let dialog = Dialog::uac(invite, response).unwrap();
        let kept = self.sides[CALLER]
            .acknowledged
            .get_or_insert_with(|| Acknowledged::new(response, Vec::new()));
        assert!(kept.is_owed_to(response), "the script has one 2xx");
        let ack = kept.ack(&dialog);
        self.with(CALLER, |layer, cx| layer.send_ack(cx, flow, ack));
    }

    /// When a side sent this.
    fn times(&self, side: usize, what: &str) -> Vec<u64> {
        self.sent
            .iter()
            .filter(|(_, by, other)| *by == side && other == what)
            .map(|(at, _, _)| *at)
            .collect()
    }

    /// What a side's user heard, without the times.
    fn heard(&self, side: usize) -> Vec<&str> {
        self.sides[side].heard.iter().map(|(_, what)| what.as_str()).collect()
    }

    fn assert_nothing_is_left(&self) {
        for side in &self.sides {
            assert_eq!((side.layer.len(), side.layer.next_deadline()), (0, None));
        }
    }
}

/// 17.1.1.2: timers A and B.
#[test]
fn an_invite_into_silence_is_sent_seven_times_and_fails_after_64_t1() {
    let mut world = World::new(&[], losing(&[("INVITE", ALWAYS)]));
    world.start(Method::Invite);
    world.run(LONG);
    assert_eq!(world.times(CALLER, "INVITE"), [0, 500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(world.sides[CALLER].heard, [(32_000, "Timeout".to_owned())]);
    world.assert_nothing_is_left();
}

/// 17.1.2.2: timers E and F.
#[test]
fn another_request_into_silence_is_repeated_up_to_t2_and_fails_after_64_t1() {
    let mut world = World::new(&[], losing(&[("OPTIONS", ALWAYS)]));
    world.start(Method::Options);
    world.run(LONG);
    let times = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(world.times(CALLER, "OPTIONS"), times);
    assert_eq!(world.sides[CALLER].heard, [(32_000, "Timeout".to_owned())]);
    world.assert_nothing_is_left();
}

/// 17.1.1.2, 17.2.1: 100 stops the repeats, copies of the INVITE get the last response.
#[test]
fn a_provisional_response_stops_the_repeats() {
    let mut world = World::new(&[(3000, 180), (60_000, 486)], losing(&[("100 INVITE", 1)]));
    world.start(Method::Invite);
    world.run(LONG);
    assert_eq!(world.times(CALLER, "INVITE"), [0, 500]);
    assert_eq!(world.times(CALLEE, "100 INVITE"), [130, 510]);
    assert_eq!(world.heard(CALLER), ["100 INVITE", "180 INVITE", "486 INVITE"]);
    assert_eq!(
        world.heard(CALLEE),
        ["INVITE"],
        "the ACK of a failure is the transaction's"
    );
    world.assert_nothing_is_left();
}

/// 13.3.1.1: a call that rings for minutes shows proxies that it lives.
#[test]
fn a_call_that_rings_long_says_so_each_minute() {
    let mut world = World::new(&[(0, 180), (200_000, 486)], losing(&[]));
    world.start(Method::Invite);
    world.run(300_000);
    assert_eq!(world.times(CALLEE, "180 INVITE"), [10, 60_010, 120_010, 180_010]);
    world.assert_nothing_is_left();
}

/// RFC 4320 4.1: 100 comes when the client's repeats have come to T2, and copies get it again.
#[test]
fn a_slow_answer_to_another_request_is_bridged_by_100() {
    let mut world = World::new(&[(10_000, 200)], losing(&[]));
    world.start(Method::Options);
    world.run(LONG);
    assert_eq!(world.times(CALLEE, "100 OPTIONS"), [3510, 3510, 7510]);
    assert_eq!(world.times(CALLER, "OPTIONS"), [0, 500, 1500, 3500, 7500]);
    assert_eq!(
        world.heard(CALLER),
        ["100 OPTIONS", "100 OPTIONS", "100 OPTIONS", "200 OPTIONS"]
    );
    world.assert_nothing_is_left();
}

/// 17.2.2: timer J absorbs copies; they get the final response again.
#[test]
fn a_lost_answer_to_another_request_is_given_again() {
    let mut world = World::new(&[(0, 200)], losing(&[("200 OPTIONS", 2)]));
    world.start(Method::Options);
    world.run(LONG);
    assert_eq!(world.times(CALLEE, "200 OPTIONS"), [10, 510, 1510]);
    assert_eq!(
        (world.heard(CALLER), world.heard(CALLEE)),
        (vec!["200 OPTIONS"], vec!["OPTIONS"])
    );
    world.assert_nothing_is_left();
}

/// 13.3.1.4, 13.2.2.4, RFC 6026: the 2xx is the dialogs' business, the transaction lasts so that copies match.
#[test]
fn a_2xx_is_repeated_until_its_ack_comes_and_each_copy_is_acknowledged() {
    let mut world = World::new(&[(100, 200)], losing(&[("200 INVITE", 1), ("ACK", 2)]));
    world.start(Method::Invite);
    world.run(LONG);
    assert_eq!(world.times(CALLEE, "200 INVITE"), [110, 610, 1610, 3610]);
    assert_eq!(world.times(CALLER, "ACK"), [620, 1620, 3620]);
    assert_eq!(world.heard(CALLEE), ["INVITE", "ACK"]);
    world.assert_nothing_is_left();
}

/// RFC 6026 4: an INVITE that comes again after its 2xx is no new call.
#[test]
fn a_copy_of_an_accepted_invite_is_absorbed() {
    let mut world = World::new(&[(0, 200)], losing(&[("200 INVITE", 3)]));
    world.start(Method::Invite);
    world.run(LONG);
    assert_eq!(world.times(CALLER, "INVITE"), [0, 500, 1500, 3500]);
    assert_eq!(world.heard(CALLEE), ["INVITE", "ACK"]);
    world.assert_nothing_is_left();
}

/// 13.3.1.4: nobody acknowledges.
#[test]
fn a_2xx_without_ack_is_given_up_after_64_t1() {
    let mut world = World::new(&[(0, 200)], losing(&[("ACK", ALWAYS)]));
    world.start(Method::Invite);
    world.run(LONG);
    assert_eq!(world.times(CALLEE, "200 INVITE").len(), 11);
    assert_eq!(world.sides[CALLEE].heard.last(), Some(&(32_010, "no ACK".to_owned())));
    world.assert_nothing_is_left();
}

/// 17.1.1.2, 17.2.1: timers G, D and I.
#[test]
fn a_failure_is_repeated_until_its_ack_comes() {
    let mut world = World::new(&[(200, 486)], losing(&[("486 INVITE", 1), ("ACK", 2)]));
    world.start(Method::Invite);
    world.run(LONG);
    assert_eq!(world.times(CALLEE, "486 INVITE"), [210, 710, 1710, 3710]);
    assert_eq!(world.times(CALLER, "ACK"), [720, 1720, 3720]);
    assert_eq!(
        world.heard(CALLER),
        ["100 INVITE", "486 INVITE"],
        "the user hears it once"
    );
    world.assert_nothing_is_left();
}

/// 17.2.1: timers G and H.
#[test]
fn a_failure_without_ack_is_given_up_after_64_t1() {
    let mut world = World::new(&[(0, 486)], losing(&[("ACK", ALWAYS)]));
    world.start(Method::Invite);
    world.run(LONG);
    let times = [10, 510, 1510, 3510, 7510, 11510, 15510, 19510, 23510, 27510, 31510];
    assert_eq!(world.times(CALLEE, "486 INVITE"), times);
    assert_eq!(world.sides[CALLEE].heard.last(), Some(&(32_010, "gone".to_owned())));
    world.assert_nothing_is_left();
}

/// 9.1: CANCEL waits for a provisional response.
#[test]
fn a_cancel_before_any_response_waits_for_one() {
    let mut world = World::new(&[(60_000, 200)], losing(&[("INVITE", 2)]));
    let tx = world.start(Method::Invite);
    world.run(100);
    world.cancel(tx);
    world.run(LONG);
    assert_eq!(world.times(CALLER, "CANCEL"), [1640]);
    assert_eq!(world.heard(CALLER), ["100 INVITE", "487 INVITE"]);
    assert_eq!(world.heard(CALLEE), ["INVITE", "cancelled"]);
    world.assert_nothing_is_left();
}

/// 9.1: a call that nobody took needs no CANCEL.
#[test]
fn a_cancel_of_an_invite_into_silence_is_never_sent() {
    let mut world = World::new(&[], losing(&[("INVITE", ALWAYS)]));
    let tx = world.start(Method::Invite);
    world.cancel(tx);
    world.run(LONG);
    assert_eq!(
        (world.times(CALLER, "CANCEL"), world.heard(CALLER)),
        (vec![], vec!["Timeout"])
    );
    world.assert_nothing_is_left();
}

/// 9.1, 9.2: the 200 was on its way; CANCEL has no effect and the 2xx is acknowledged.
#[test]
fn a_cancel_that_meets_the_200_loses() {
    let mut world = World::new(&[(20, 180), (100, 200)], losing(&[]));
    let tx = world.start(Method::Invite);
    world.run(105);
    world.cancel(tx);
    world.run(LONG);
    assert_eq!(world.heard(CALLER), ["180 INVITE", "200 INVITE"]);
    assert_eq!(
        world.heard(CALLEE),
        ["INVITE", "ACK"],
        "CANCEL is answered and not reported"
    );
    assert_eq!(world.times(CALLEE, "200 CANCEL"), [115]);
    world.assert_nothing_is_left();
}

/// 9.1: the CANCEL is repeated like any request, and its INVITE ends in 487.
#[test]
fn a_lost_cancel_and_a_lost_487_come_again() {
    let mut world = World::new(
        &[(0, 180), (60_000, 200)],
        losing(&[("CANCEL", 1), ("200 CANCEL", 1), ("487 INVITE", 2)]),
    );
    let tx = world.start(Method::Invite);
    world.run(1000);
    world.cancel(tx);
    world.run(LONG);
    assert_eq!(world.times(CALLER, "CANCEL"), [1000, 1500, 2500]);
    assert_eq!(world.heard(CALLER), ["180 INVITE", "487 INVITE"]);
    assert_eq!(world.heard(CALLEE), ["INVITE", "cancelled"], "the user is told once");
    world.assert_nothing_is_left();
}

/// 9.1: no final response within 64*T1 after CANCEL.
#[test]
fn a_cancelled_invite_without_answer_ends_by_itself() {
    let mut world = World::new(&[(0, 180), (600_000, 200)], losing(&[("CANCEL", ALWAYS)]));
    let tx = world.start(Method::Invite);
    world.run(1000);
    world.cancel(tx);
    world.run(LONG);
    assert_eq!(world.sides[CALLER].heard.last(), Some(&(33_000, "Timeout".to_owned())));
    assert_eq!(world.sides[CALLER].layer.len(), 0);
}

/// RFC 6026 8.4: another fork's 2xx reaches the user until timer M, and nobody after it.
#[test]
fn a_second_2xx_is_heard_until_timer_m() {
    let only_the_first: Network = Box::new(|packet| if packet.nth == 0 { vec![DELAY] } else { Vec::new() });
    let mut world = World::new(&[], only_the_first);
    world.start(Method::Invite);
    let (_, (_, invite)) = world.wire.pop_first().unwrap();
    let invite = Message::parse(invite).unwrap();
    world.run(100);
    for (at, tag) in [(1000, "x"), (20_000, "y"), (32_999, "x"), (33_001, "y")] {
        world.run(at);
        let mut response = Draft::response(&invite, 200, Some(tag));
        response.push(Name::Contact, "<sip:bob@127.0.0.2>");
        world.wire.insert((ms(at), usize::MAX), (CALLER, response.to_bytes()));
        world.run(at);
    }
    assert_eq!(world.heard(CALLER), ["200 INVITE", "200 INVITE", "200 INVITE"]);
    world.assert_nothing_is_left();
}

/// Loss, copies, reordering and CANCEL at any moment: one outcome for the caller, one request for the callee, nothing left.
#[test]
fn whatever_the_network_does_each_call_has_one_outcome() {
    for seed in 0..600u64 {
        let mut dice = ChaCha12Rng::seed_from_u64(seed);
        let mut roll = move |sides: u32| dice.next_u32() % sides;
        let answer = [200, 200, 302, 486, 603][roll(5) as usize];
        let script = [(u64::from(roll(4000)), 180), (u64::from(4000 + roll(20_000)), answer)];
        let cancel = (roll(2) == 0).then(|| u64::from(roll(26_000)));
        let loss = roll(60);
        let network: Network = Box::new(move |packet| {
            assert!(packet.from <= CALLEE);
            let copies = if roll(100) < loss {
                0
            } else {
                1 + usize::from(roll(10) == 0)
            };
            (0..copies)
                .map(|_| Duration::from_millis(u64::from(1 + roll(700))))
                .collect()
        });
        let mut world = World::seeded(seed, &script, network);
        let tx = world.start(Method::Invite);
        if let Some(at) = cancel {
            world.run(at);
            world.cancel(tx);
        }
        // What the callee said may be lost for ever: a caller's user would cancel after its ring time.
        world.run(60_000);
        world.cancel(tx);
        world.run(60_000 + LONG);
        world.assert_nothing_is_left();
        check_outcome(seed, &world);
    }
}

fn check_outcome(seed: u64, world: &World) {
    let heard = world.heard(CALLER);
    let is_final = |what: &&&str| !what.starts_with('1');
    let finals: Vec<_> = heard.iter().filter(is_final).collect();
    let (first, rest) = finals
        .split_first()
        .unwrap_or_else(|| panic!("seed {seed}: no outcome: {heard:?}"));
    assert!(
        rest.iter().all(|again| again == first && **again == "200 INVITE"),
        "seed {seed}: {heard:?}"
    );
    let invites = world.heard(CALLEE).iter().filter(|what| **what == "INVITE").count();
    assert!(invites <= 1, "seed {seed}: a copy was taken for a new request");
    let timeout = format!("{:?}", Failure::Timeout);
    assert!(
        invites == 1 || **first == timeout,
        "seed {seed}: an answer without a request"
    );
    // Every 2xx that arrives is acknowledged, as often as it arrives.
    let copies = heard.iter().filter(|what| **what == "200 INVITE").count();
    assert!(
        copies == 0 || world.times(CALLER, "ACK").len() == copies,
        "seed {seed}: a 2xx without ACK"
    );
}
