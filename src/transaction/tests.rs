//! One layer against messages written by hand, and against random ones.

use super::*;
use crate::config::{Config, Sources};
use crate::cx::{ChaCha12Rng, SeedableRng, Tickets};
use crate::effect::{Kind, Record};
use crate::id::{CallId, ConnectionId, LegNo, ListenerId, Transport};
use crate::limits;
use crate::sip::{Method, Name};
use crate::time::{T1, T1_64, Wall};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

mod trying;

pub(super) struct Bench {
    layer: Layer,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    config: Arc<Config>,
    now: Instant,
}

const OWNER: Owner = Owner::Leg(CallId(1), LegNo(1));

fn flow(transport: Transport) -> Flow {
    Flow {
        transport,
        listener: ListenerId(0),
        connection: ConnectionId(if transport.is_reliable() { 7 } else { 0 }),
        local: "127.0.0.1:5060".parse().unwrap(),
        peer: "127.0.0.2:40000".parse().unwrap(),
    }
}

impl Bench {
    fn new() -> Bench {
        let yaml = "listen: [ \"udp://127.0.0.1:5060\", \"tcp://127.0.0.1:5060\" ]\ndomains: [ example.com ]\n";
        let config = crate::config::parse("test", yaml, &Sources::NONE).unwrap();
        Bench {
            layer: Layer::default(),
            rng: ChaCha12Rng::seed_from_u64(1),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            config: Arc::new(config),
            now: Instant::ZERO,
        }
    }

    fn with<R>(&mut self, step: impl FnOnce(&mut Layer, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx {
            now: self.now,
            wall: Wall(0),
            rng: &mut self.rng,
            config: &self.config,
            out: &mut self.out,
            tickets: &mut self.tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        step(&mut self.layer, &mut cx)
    }

    fn receive(&mut self, flow: Flow, text: &str) {
        let message = Message::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap();
        self.with(|layer, cx| layer.receive(cx, flow, message));
    }

    /// Runs the clock, timer by timer.
    fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(at) = self.layer.next_deadline().filter(|at| *at <= until) {
            self.now = at;
            self.with(|layer, cx| layer.on_time(cx));
        }
        self.now = until;
        while let Some((ticket, _)) = self.tickets.pop_due(until) {
            self.with(|layer, cx| layer.on_late(cx, ticket));
        }
    }

    /// What was sent since last asked, each with its destination.
    fn sent(&mut self) -> Vec<(Flow, Message)> {
        let sent = self.out.iter().filter_map(|output| match output {
            Output::Send(flow, bytes) => Some((*flow, Message::parse(bytes.clone()).unwrap())),
            _ => None,
        });
        let sent = sent.collect();
        self.out.clear();
        sent
    }

    fn statuses(&mut self) -> Vec<u16> {
        self.sent().iter().map(|(_, message)| message.status()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.layer.poll()).collect()
    }

    /// Receives a request that is new, and accepts it.
    fn accept(&mut self, flow: Flow, text: &str) -> (ServerTx, Message) {
        self.receive(flow, text);
        let Some(Event::Request { flow, request }) = self.layer.poll() else {
            panic!("no request came through")
        };
        (
            self.with(|layer, cx| layer.accept(cx, flow, &request)).unwrap(),
            request,
        )
    }

    fn respond(&mut self, tx: ServerTx, request: &Message, status: u16) {
        let response = Draft::response(request, status, Some("ours"));
        self.with(|layer, cx| layer.respond(cx, tx, response));
    }

    fn invite(&mut self, flow: Flow) -> (ClientTx, Message) {
        let tx = self.with(|layer, cx| layer.request(cx, OWNER, flow, draft(Method::Invite)));
        (tx, self.sent().pop().unwrap().1)
    }
}

fn draft(method: Method) -> Draft {
    let mut draft = Draft::request(method.clone(), Uri::parse("sip:bob@example.net").unwrap());
    draft.push(Name::MaxForwards, 70);
    draft.push(Name::Route, "<sip:p1.example.net;lr>");
    draft.push(Name::Route, "<sip:p2.example.net;lr>");
    draft.push(Name::From, "<sip:alice@example.com>;tag=a");
    draft.push(Name::To, "<sip:bob@example.net>");
    draft.push(Name::CallId, "one@example.com");
    draft.push(Name::CSeq, format!("7 {method}"));
    draft
}

/// A request of a peer. `branch` with its semicolon, or nothing.
fn request(method: &str, branch: &str, to_tag: &str) -> String {
    format!(
        "{method} sip:bob@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2:5062{branch}\nMax-Forwards: 70\n\
         From: <sip:al@127.0.0.2>;tag=f\nTo: <sip:bob@127.0.0.1>{to_tag}\nCall-ID: two\nCSeq: 1 {method}\n\
         Contact: <sip:al@127.0.0.2:5062>\nContent-Length: 0\n\n"
    )
}

fn answer(request: &Message, status: u16) -> String {
    let bytes = Draft::response(request, status, Some("theirs")).to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap().replace("\r\n", "\n")
}

#[test]
fn a_branch_without_cookie_matches_as_in_rfc_2543_and_its_ack_by_our_to_tag() {
    let mut bench = Bench::new();
    let udp = flow(Transport::Udp);
    let (tx, invite) = bench.accept(udp, &request("INVITE", "", ""));
    bench.receive(udp, &request("INVITE", "", ""));
    assert_eq!(
        (bench.statuses(), bench.events().len()),
        (vec![100], 0),
        "the copy is answered, and not told to the user"
    );
    bench.respond(tx, &invite, 486);
    bench.receive(udp, &request("ACK", "", ";tag=ours"));
    bench.out.clear();
    bench.advance(T1_64);
    assert_eq!(
        (bench.statuses(), bench.layer.len()),
        (vec![], 0),
        "the ACK stopped timer G"
    );
    assert_eq!(bench.events().len(), 0);
}

#[test]
fn the_same_request_by_two_ways_is_merged() {
    let mut bench = Bench::new();
    bench.accept(flow(Transport::Udp), &request("INVITE", ";branch=z9hG4bK1", ""));
    bench.out.clear();
    bench.receive(flow(Transport::Udp), &request("INVITE", ";branch=z9hG4bK2", ""));
    for event in bench.events() {
        let Event::Request { flow, request } = event else {
            panic!("{event:?}")
        };
        assert!(bench.with(|layer, cx| layer.refuse_merged(cx, flow, &request)));
    }
    assert_eq!(bench.statuses(), vec![482]);
    bench.receive(flow(Transport::Udp), &request("INVITE", ";branch=z9hG4bK3", ";tag=x"));
    assert_eq!(
        bench.events().len(),
        1,
        "in a dialog there is no merging (RFC 3261 8.2.2.2)"
    );
}

#[test]
fn a_request_that_is_no_request_is_answered_and_an_ack_never_is() {
    let mut bench = Bench::new();
    let bad = request("INVITE", ";branch=z9hG4bK1", "").replace("Call-ID: two\n", "Call-ID: two\nMax-Forwards: many\n");
    bench.receive(flow(Transport::Udp), &bad);
    let tag = |message: &Message| message.to().unwrap().tag().unwrap().to_owned();
    let first = bench.sent().pop().unwrap().1;
    assert_eq!(first.status(), 400);
    bench.receive(flow(Transport::Udp), &bad);
    assert_eq!(
        tag(&bench.sent()[0].1),
        tag(&first),
        "RFC 3261 8.2.7: copies get the same tag"
    );
    bench.receive(
        flow(Transport::Udp),
        &request("ACK", ";branch=z9hG4bK1", "").replace("Call-ID: two\n", "Call-ID: two\nMax-Forwards: many\n"),
    );
    let nameless = request("INVITE", ";branch=z9hG4bK1", "").replace("Call-ID: two\n", "");
    bench.receive(flow(Transport::Udp), &nameless);
    bench.receive(flow(Transport::Udp), &answer(&first, 200));
    assert_eq!((bench.statuses(), bench.events().len()), (vec![], 0));
}

#[test]
fn responses_go_to_the_source_port_if_rport_asks_and_to_sent_by_if_not() {
    let mut bench = Bench::new();
    let (tx, options) = bench.accept(flow(Transport::Udp), &request("OPTIONS", ";rport;branch=z9hG4bK1", ""));
    bench.respond(tx, &options, 200);
    let (to, response) = bench.sent().pop().unwrap();
    assert_eq!(to.peer.to_string(), "127.0.0.2:40000");
    let via = response.top_via().unwrap();
    assert_eq!(
        (via.params.value("rport"), via.params.value("received")),
        (Some("40000"), Some("127.0.0.2"))
    );
    let other = request("OPTIONS", ";branch=z9hG4bK2", "").replace("tag=f", "tag=g");
    let (tx, options) = bench.accept(flow(Transport::Udp), &other);
    bench.respond(tx, &options, 200);
    assert_eq!(bench.sent().pop().unwrap().0.peer.to_string(), "127.0.0.2:5062");
}

#[test]
fn cancel_of_an_unknown_invite_is_481_and_of_a_known_one_200_with_its_tag() {
    let mut bench = Bench::new();
    let udp = flow(Transport::Udp);
    bench.receive(udp, &request("CANCEL", ";branch=z9hG4bK1", ""));
    assert_eq!(bench.statuses(), [481]);
    let (tx, invite) = bench.accept(udp, &request("INVITE", ";branch=z9hG4bK1", ""));
    bench.respond(tx, &invite, 180);
    bench.sent();
    for copy in 0..2 {
        bench.receive(udp, &request("CANCEL", ";branch=z9hG4bK1", ""));
        let response = bench.sent().pop().unwrap().1;
        assert_eq!((response.status(), response.to().unwrap().tag()), (200, Some("ours")));
        let told = matches!(bench.events().as_slice(), [Event::Cancelled { tx: told, .. }] if *told == tx);
        assert_eq!(told, copy == 0, "a copy of CANCEL is absorbed");
    }
}

#[test]
fn cancel_after_the_final_response_has_no_effect() {
    let mut bench = Bench::new();
    let (tx, invite) = bench.accept(flow(Transport::Udp), &request("INVITE", ";branch=z9hG4bK1", ""));
    bench.respond(tx, &invite, 200);
    bench.sent();
    bench.receive(flow(Transport::Udp), &request("CANCEL", ";branch=z9hG4bK1", ""));
    assert_eq!((bench.statuses(), bench.events().len()), (vec![200], 0));
}

#[test]
fn ack_and_cancel_take_the_way_of_their_invite() {
    for (status, method) in [(486, Method::Ack), (180, Method::Cancel)] {
        let mut bench = Bench::new();
        let (tx, invite) = bench.invite(flow(Transport::Udp));
        bench.receive(flow(Transport::Udp), &answer(&invite, status));
        bench.with(|layer, cx| layer.cancel(cx, tx, Some("SIP;cause=200".to_owned())));
        let message = bench.sent().pop().unwrap().1;
        assert_eq!(message.method(), method);
        for same in [Name::Via, Name::Route, Name::From, Name::CallId] {
            assert_eq!(message.all(same), invite.all(same), "{same:?}");
        }
        assert_eq!(message.request_uri().unwrap(), invite.request_uri().unwrap());
        assert_eq!(message.cseq().unwrap().number, 7);
        // RFC 3261 17.1.1.3: the ACK has the To of the response; 9.1: the CANCEL that of the request.
        let tag = if method == Method::Ack { Some("theirs") } else { None };
        assert_eq!(message.to().unwrap().tag(), tag);
        assert_eq!(message.get(Name::Reason).is_some(), method == Method::Cancel);
    }
}

#[test]
fn a_response_with_a_second_via_or_an_unknown_branch_is_dropped() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite(flow(Transport::Udp));
    let good = answer(&invite, 180);
    let second = good.replacen("From:", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\nFrom:", 1);
    bench.receive(flow(Transport::Udp), &second);
    bench.receive(
        flow(Transport::Udp),
        &good.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1),
    );
    bench.receive(flow(Transport::Udp), &good.replacen("7 INVITE", "7 BYE", 1));
    assert_eq!(bench.events().len(), 0);
    bench.receive(flow(Transport::Udp), &good);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_stream_repeats_nothing_and_ends_at_once() {
    let mut bench = Bench::new();
    let tcp = flow(Transport::Tcp);
    let (_, invite) = bench.invite(tcp);
    bench.advance(Duration::from_secs(20));
    assert_eq!(bench.sent().len(), 0);
    bench.receive(tcp, &answer(&invite, 486));
    assert_eq!(
        (bench.sent().len(), bench.layer.len()),
        (1, 0),
        "ACK is sent, timer D is zero"
    );
    assert_eq!(bench.events().len(), 1);
    let (tx, options) = bench.accept(tcp, &request("OPTIONS", ";branch=z9hG4bK1", ""));
    bench.respond(tx, &options, 200);
    assert_eq!((bench.statuses(), bench.layer.len()), (vec![200], 0), "timer J is zero");
}

#[test]
fn a_flow_that_breaks_fails_its_client_transactions_only() {
    let mut bench = Bench::new();
    let tcp = flow(Transport::Tcp);
    let other = Flow {
        connection: ConnectionId(8),
        ..tcp
    };
    let (tx, _) = bench.invite(tcp);
    let (_, invite) = bench.invite(other);
    bench.with(|layer, cx| layer.on_flow_closed(cx, tcp));
    let events = bench.events();
    let [
        Event::Failed {
            tx: failed,
            failure: Failure::Transport,
            ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!((*failed, bench.layer.len()), (tx, 1));
    bench.receive(other, &answer(&invite, 200));
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_response_whose_connection_closed_opens_one_to_sent_by() {
    for opens in [true, false] {
        let mut bench = Bench::new();
        let tcp = flow(Transport::Tcp);
        let (tx, invite) = bench.accept(tcp, &request("INVITE", ";branch=z9hG4bK1", ""));
        bench.with(|layer, cx| layer.on_flow_closed(cx, tcp));
        bench.out.clear();
        bench.respond(tx, &invite, 200);
        let Some(Output::Connect(ticket, target)) = bench.out.pop_front() else {
            panic!("no connection")
        };
        assert_eq!(target.addr.to_string(), "127.0.0.2:5062");
        bench.with(|layer, cx| layer.on_flow_closed(cx, tcp)); // told again: somebody else has sent over it
        let new = Flow {
            connection: ConnectionId(9),
            ..tcp
        };
        bench.with(|layer, cx| layer.on_flow(cx, ticket, opens.then_some(new)));
        if opens {
            let (to, response) = bench.sent().pop().unwrap();
            assert_eq!((to, response.status()), (new, 200));
        } else {
            assert!(matches!(bench.events().as_slice(), [Event::ServerGone { tx: gone }] if *gone == tx));
        }
        bench.advance(T1_64);
        assert_eq!(bench.layer.len(), 0);
    }
}

#[test]
fn a_final_408_to_another_method_than_invite_is_not_sent() {
    let mut bench = Bench::new();
    let (tx, options) = bench.accept(flow(Transport::Udp), &request("OPTIONS", ";branch=z9hG4bK1", ""));
    bench.respond(tx, &options, 408);
    assert_eq!((bench.statuses(), bench.layer.len()), (vec![], 0));
}

/// Where there is nothing to open, the world is asked once, and again after a while, after a reload, and when the flow is gone.
#[test]
fn the_way_to_a_peer_on_udp_is_remembered() {
    let mut bench = Bench::new();
    let way = flow(Transport::Udp);
    let target = Target::new(Transport::Udp, way.peer);
    let reach = |bench: &mut Bench| {
        let destination = Destination::Targets(vec![target.clone()]);
        bench.with(|layer, cx| layer.reach(cx, OWNER, destination));
        let asked = match bench.out.pop_front() {
            Some(Output::Connect(ticket, _)) => {
                bench.with(|layer, cx| layer.on_flow(cx, ticket, Some(way)));
                true
            }
            _ => false,
        };
        assert!(matches!(bench.events().as_slice(), [Event::Reached { flow, .. }] if *flow == way));
        asked
    };
    assert!(reach(&mut bench));
    assert!(!reach(&mut bench));
    bench.advance(limits::WAY);
    assert!(reach(&mut bench));
    bench.with(|layer, _| layer.reconfigure());
    assert!(reach(&mut bench));
    bench.with(|layer, cx| layer.on_flow_closed(cx, way));
    assert!(reach(&mut bench));
    assert!(!reach(&mut bench));
}

/// RFC 3261 8.2.2.2 is for who answers: a request that is sent on may come by another way, until it is answered by us after all.
#[test]
fn copies_are_refused_by_who_answers() {
    let mut bench = Bench::new();
    let udp = flow(Transport::Udp);
    bench.receive(udp, &request("INVITE", ";branch=z9hG4bKone", ""));
    let Some(Event::Request { request: first, .. }) = bench.layer.poll() else {
        panic!("no request came through")
    };
    let tx = bench
        .with(|layer, cx| layer.accept_to_forward(cx, udp, &first))
        .unwrap();
    let copy = Message::parse(Bytes::from(
        request("INVITE", ";branch=z9hG4bKtwo", "").replace('\n', "\r\n"),
    ));
    let copy = copy.unwrap();
    assert!(!bench.with(|layer, cx| layer.refuse_merged(cx, udp, &copy)));
    bench.with(|layer, _| layer.adopt(tx, &first));
    assert!(bench.with(|layer, cx| layer.refuse_merged(cx, udp, &copy)));
}

#[test]
fn a_name_is_resolved_and_its_targets_are_tried_in_order() {
    let mut bench = Bench::new();
    let ips: Vec<std::net::IpAddr> = (1..4).map(|last| [127, 0, 0, last].into()).collect();
    let targets: Vec<Target> = ips
        .iter()
        .map(|ip| Target {
            name: Some("example.net".into()),
            ..Target::new(Transport::Tcp, (*ip, 5070).into())
        })
        .collect();
    let uri = Uri::parse("sip:bob@example.net:5070;transport=tcp").unwrap();
    bench.with(|layer, cx| layer.reach(cx, OWNER, Destination::Uri(uri.clone())));
    let Some(Output::Query(ticket, asked)) = bench.out.pop_front() else {
        panic!("not asked")
    };
    assert_eq!((asked.kind, &*asked.name), (Kind::A, "example.net"));
    let answer = Answer {
        records: ips.into_iter().map(Record::Address).collect(),
        ttl: Duration::ZERO,
    };
    bench.with(|layer, cx| layer.on_answer(cx, ticket, answer));
    let Some(Output::Connect(first, target)) = bench.out.pop_front() else {
        panic!("no connection")
    };
    assert_eq!(target, targets[0]);
    bench.with(|layer, cx| layer.on_flow(cx, first, None));
    let Some(Output::Connect(second, target)) = bench.out.pop_front() else {
        panic!("no second try")
    };
    assert_eq!(target, targets[1]);
    bench.with(|layer, cx| layer.on_flow(cx, first, Some(flow(Transport::Tcp))));
    assert_eq!(bench.events().len(), 0, "a late reply finds nobody");
    bench.with(|layer, cx| layer.on_flow(cx, second, Some(flow(Transport::Tcp))));
    let events = bench.events();
    let [Event::Reached { rest, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(rest, &targets[2..]);
}

#[test]
fn a_way_that_is_late_or_forgotten_or_nowhere() {
    let mut bench = Bench::new();
    let uri = Uri::parse("sip:bob@example.net").unwrap();
    bench.with(|layer, cx| layer.reach(cx, OWNER, Destination::Uri(uri.clone())));
    bench.advance(limits::RESOLVE);
    let unresolved = |events: Vec<Event>| {
        matches!(
            events.as_slice(),
            [Event::Unreachable {
                failure: Failure::Unresolved,
                ..
            }]
        )
    };
    assert!(unresolved(bench.events()));
    bench.with(|layer, cx| layer.reach(cx, OWNER, Destination::Uri(Uri::parse("tel:+1415").unwrap())));
    assert!(unresolved(bench.events()));
    bench.with(|layer, cx| layer.reach(cx, OWNER, Destination::Uri(uri)));
    bench.layer.forget(OWNER);
    bench.advance(limits::RESOLVE);
    assert_eq!(bench.events().len(), 0);
    bench.with(|layer, cx| layer.reach(cx, OWNER, Destination::Flow(flow(Transport::Udp))));
    assert!(matches!(bench.events().as_slice(), [Event::Reached { .. }]));
}

#[test]
fn a_full_table_refuses() {
    let mut bench = Bench::new();
    let udp = flow(Transport::Udp);
    for _ in 0..limits::CLIENT_TRANSACTIONS {
        bench.with(|layer, cx| layer.request(cx, OWNER, udp, draft(Method::Options)));
    }
    assert_eq!(
        (bench.layer.len(), bench.events().len()),
        (limits::CLIENT_TRANSACTIONS, 0)
    );
    let tx = bench.with(|layer, cx| layer.request(cx, OWNER, udp, draft(Method::Options)));
    let events = bench.events();
    assert!(matches!(events.as_slice(), [Event::Failed { tx: failed, .. }] if *failed == tx));
    assert_eq!(bench.layer.len(), limits::CLIENT_TRANSACTIONS);
}

/// One step of a random run. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Request(&'static str, u8, bool),
    Begin(bool, bool),
    Answer(u8, u16),
    Respond(u8, u16),
    Cancel(u8),
    Close(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let method = prop::sample::select(vec!["INVITE", "ACK", "CANCEL", "OPTIONS", "BYE"]);
    let status = prop::sample::select(vec![100u16, 180, 200, 202, 302, 408, 486, 503, 603]);
    prop_oneof![
        (method, 0u8..3, any::<bool>()).prop_map(|(method, branch, tcp)| Step::Request(method, branch, tcp)),
        (any::<bool>(), any::<bool>()).prop_map(|(invite, tcp)| Step::Begin(invite, tcp)),
        (any::<u8>(), status.clone()).prop_map(|(which, status)| Step::Answer(which, status)),
        (any::<u8>(), status).prop_map(|(which, status)| Step::Respond(which, status)),
        any::<u8>().prop_map(Step::Cancel),
        any::<bool>().prop_map(Step::Close),
        (0u64..40_000).prop_map(Step::Wait),
    ]
}

/// A random run and what it has in hand.
struct Run {
    bench: Bench,
    requests: Vec<Message>,
    clients: Vec<ClientTx>,
    servers: Vec<(ServerTx, Message)>,
}

impl Run {
    fn flow(tcp: bool) -> Flow {
        flow(if tcp { Transport::Tcp } else { Transport::Udp })
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Request(method, branch, tcp) => {
                let text = request(method, &format!(";branch=z9hG4bK{branch}"), "");
                self.bench.receive(Self::flow(*tcp), &text);
            }
            Step::Begin(invite, tcp) => {
                let draft = draft(if *invite { Method::Invite } else { Method::Bye });
                let tx = self
                    .bench
                    .with(|layer, cx| layer.request(cx, OWNER, Self::flow(*tcp), draft));
                self.clients.push(tx);
            }
            Step::Answer(which, status) if !self.requests.is_empty() => {
                let text = answer(&self.requests[usize::from(*which) % self.requests.len()], *status);
                self.bench.receive(flow(Transport::Udp), &text);
            }
            Step::Respond(which, status) if !self.servers.is_empty() => {
                let (tx, request) = self.servers[usize::from(*which) % self.servers.len()].clone();
                self.bench.respond(tx, &request, *status);
            }
            Step::Cancel(which) if !self.clients.is_empty() => {
                let tx = self.clients[usize::from(*which) % self.clients.len()];
                self.bench.with(|layer, cx| layer.cancel(cx, tx, None));
            }
            Step::Close(tcp) => self.bench.with(|layer, cx| layer.on_flow_closed(cx, Self::flow(*tcp))),
            Step::Wait(ms) => self.bench.advance(Duration::from_millis(*ms)),
            Step::Answer(..) | Step::Respond(..) | Step::Cancel(_) => {}
        }
        self.settle();
    }

    /// Accepts what is new, remembers what was sent, and lets every second connection open.
    fn settle(&mut self) {
        for event in self.bench.events() {
            if let Event::Request { flow, request } = event
                && let Some(tx) = self.bench.with(|layer, cx| layer.accept(cx, flow, &request))
            {
                self.servers.push((tx, request));
            }
        }
        for output in std::mem::take(&mut self.bench.out) {
            match output {
                Output::Send(_, bytes) => {
                    let message = Message::parse(bytes).unwrap();
                    assert_eq!(message.check(), Ok(()));
                    if message.is_request() && message.method() != Method::Ack {
                        self.requests.push(message);
                    }
                }
                Output::Connect(ticket, _) => {
                    let new = Flow {
                        connection: ConnectionId(ticket.0),
                        ..flow(Transport::Tcp)
                    };
                    let opened = (ticket.0 % 2 == 0).then_some(new);
                    self.bench.tickets.take(ticket);
                    self.bench.with(|layer, cx| layer.on_flow(cx, ticket, opened));
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever comes in whatever order: no panic, and once the user has answered and cancelled, nothing lives on.
    #[test]
    fn every_transaction_ends(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run { bench: Bench::new(), requests: Vec::new(), clients: Vec::new(), servers: Vec::new() };
        for step in &steps {
            run.step(step);
        }
        for (tx, request) in std::mem::take(&mut run.servers) {
            run.bench.respond(tx, &request, 486);
        }
        for tx in std::mem::take(&mut run.clients) {
            run.bench.with(|layer, cx| layer.cancel(cx, tx, None));
        }
        run.settle();
        // Timer B or the wait for an answer to CANCEL, then that of the CANCEL itself.
        run.bench.advance(T1_64 * 3);
        run.settle();
        run.bench.advance(T1_64);
        prop_assert_eq!(run.bench.layer.len(), 0);
        prop_assert!(run.bench.layer.timers.is_empty());
        prop_assert!(run.bench.layer.reopening.is_empty());
    }
}
