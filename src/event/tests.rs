//! Watchers of a room in virtual time: what they are told, and when. (Those of a registration: `sip-tests/tests/rfc3680.rs`.)

use super::{Notifier, Onlooker, Watch};
use crate::config::{self, Config, Sources};
use crate::cx::{ChaCha12Rng, Cx, SeedableRng, Tickets};
use crate::effect::{Aor, Output};
use crate::id::{ConnectionId, Flow, ListenerId, Transport};
use crate::limits;
use crate::room::samples::{member, room};
use crate::room::view::{MemberId, RoomView, Status};
use crate::sip::{Draft, Message, Method, Name};
use crate::time::{Instant, Wall};
use crate::transaction::{Event, Layer};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const ALICE: &str = "sip:alice@here.example";

/// A notifier, a room, 3000 where nothing else is said, and a phone of alice or of somebody else that watches it.
struct Bench {
    room: String,
    user: &'static str,
    layer: Layer,
    notifier: Notifier,
    config: Arc<Config>,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    now: Instant,
    view: Option<RoomView>,
    /// Whom a REFER has called.
    called: Option<MemberId>,
    /// NOTIFYs are not answered; those that wait.
    silent: bool,
    unanswered: Vec<Message>,
    /// Bodies and states of NOTIFYs.
    told: VecDeque<(String, String)>,
    responses: VecDeque<Message>,
    cseq: u32,
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(1),
        connection: ConnectionId(0),
        local: "127.1.9.9:5060".parse().unwrap(),
        peer: "127.1.9.1:5060".parse().unwrap(),
    }
}

impl Bench {
    fn new() -> Bench {
        let text = "node: { name: t }\nlisten: [ \"udp://127.1.9.9:5060\" ]\ndomains: [ here.example ]\n";
        let config = config::parse("test", text, &Sources::NONE).unwrap_or_else(|problems| panic!("{problems:?}"));
        Bench {
            room: "3000".to_owned(),
            user: "alice",
            layer: Layer::default(),
            notifier: Notifier::default(),
            config: Arc::new(config),
            rng: ChaCha12Rng::from_seed([7; 32]),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            now: Instant::ZERO + S,
            view: Some(room(vec![member(1, ALICE)])),
            called: None,
            silent: false,
            unanswered: Vec::new(),
            told: VecDeque::new(),
            responses: VecDeque::new(),
            cseq: 0,
        }
    }

    fn step(&mut self, work: impl FnOnce(&mut Notifier, &mut Layer, &mut Cx<'_>)) {
        let mut cx = Cx {
            now: self.now,
            wall: Wall(1_800_000_000_000 + self.now.as_millis()),
            rng: &mut self.rng,
            config: &self.config,
            out: &mut self.out,
            tickets: &mut self.tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        let (notifier, layer) = (&mut self.notifier, &mut self.layer);
        work(notifier, layer, &mut cx);
        loop {
            while let Some(number) = notifier.poll_room() {
                assert_eq!(*number, *self.room);
                notifier.room(&mut cx, layer, &number, self.view.as_ref());
            }
            let Some(event) = layer.poll() else { break };
            match event {
                Event::Request { flow, request } => {
                    let by = Onlooker {
                        room: self.room.as_str().into(),
                        dialled: self.room.as_str().into(),
                        focus: format!("sip:{}@here.example", self.room).into(),
                        user: self.user.into(),
                    };
                    admit(notifier, layer, &mut cx, flow, &request, (by, self.called));
                }
                Event::Response { owner, .. } | Event::Failed { owner, .. } => {
                    let crate::id::Owner::Subscription(id) = owner else {
                        panic!("{owner:?}")
                    };
                    notifier.event(&mut cx, layer, id, event);
                }
                other => panic!("{other:?}"),
            }
        }
        self.deliver();
    }

    /// The phone's side.
    fn deliver(&mut self) {
        while let Some(output) = self.out.pop_front() {
            let Output::Send(_, bytes) = output else { continue };
            let message = Message::parse(bytes).unwrap();
            if !message.is_request() {
                self.responses.push_back(message);
                continue;
            }
            assert_eq!(message.method(), Method::Notify);
            let state = message.get(Name::SubscriptionState).unwrap().into_owned();
            let body = String::from_utf8(message.body().to_vec()).unwrap();
            match self.silent {
                true if self
                    .unanswered
                    .iter()
                    .any(|old| old.cseq().unwrap() == message.cseq().unwrap()) =>
                {
                    continue;
                }
                true => self.unanswered.push(message),
                false => self.answer(&message, 200),
            }
            self.told.push_back((state, body));
        }
    }

    fn answer(&mut self, notify: &Message, status: u16) {
        let response = Draft::response(notify, status, None).to_bytes();
        self.step(|_, layer, cx| layer.receive(cx, flow(), Message::parse(response).unwrap()));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.notifier.next_deadline(), self.layer.next_deadline()];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.step(|notifier, layer, cx| {
                layer.on_time(cx);
                notifier.on_time(cx, layer);
            });
        }
        self.now = end;
    }

    /// Sends a request; gives its final response.
    fn ask(&mut self, method: &str, call_id: &str, tag: &str, lines: &str) -> Message {
        self.cseq += 1;
        let cseq = self.cseq;
        let tag = if tag.is_empty() {
            String::new()
        } else {
            format!(";tag={tag}")
        };
        let text = format!(
            "{method} sip:3000@here.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.1.9.1:5060;branch=z9hG4bK{cseq}\r\nMax-Forwards: 70\r\n\
             From: <{ALICE}>;tag=a\r\nTo: <sip:3000@here.example>{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:alice@127.1.9.1>\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        self.step(|_, layer, cx| layer.receive(cx, flow(), Message::parse(Bytes::from(text)).unwrap()));
        self.responses.pop_back().expect("it is answered at once")
    }

    /// Subscribes; gives the tag of the dialog.
    fn subscribe(&mut self, call_id: &str, tag: &str, lines: &str) -> Result<String, u16> {
        let response = self.ask("SUBSCRIBE", call_id, tag, &format!("Event: conference\r\n{lines}"));
        match response.status() {
            200 => Ok(response.to_tag().unwrap().into_owned()),
            status => Err(status),
        }
    }

    fn changed(&mut self, change: impl FnOnce(&mut RoomView)) {
        change(self.view.as_mut().unwrap());
        self.step(|notifier, _, cx| notifier.room_changed(cx, "3000"));
    }

    /// The next NOTIFY: the beginning of its Subscription-State, and its body.
    fn next(&mut self, state: &str) -> String {
        let (is, body) = self.told.pop_front().expect("a NOTIFY");
        assert!(is.starts_with(state), "{is}: {body}");
        body
    }

    fn is_told_nothing(&self) -> bool {
        self.told.is_empty()
    }
}

fn admit(
    notifier: &mut Notifier,
    layer: &mut Layer,
    cx: &mut Cx<'_>,
    flow: Flow,
    request: &Message,
    (by, called): (Onlooker, Option<MemberId>),
) {
    let tx = layer.accept(cx, flow, request).unwrap();
    if notifier.owns(request) {
        let may = request.all_named("Subject").is_empty();
        return notifier.request(cx, layer, flow, tx, request, may);
    }
    if request.method() == Method::Subscribe {
        return notifier.subscribe(cx, layer, flow, tx, request, Watch::Room(by));
    }
    match notifier.refer(cx, flow, request, by) {
        Ok(subscription) => notifier.referred(cx, layer, tx, request, (subscription, called)),
        Err(status) => layer.respond(cx, tx, Draft::response(request, status, Some("t"))),
    }
}

#[test]
fn all_is_told_at_first_and_then_what_changes_at_a_pace() {
    let mut bench = Bench::new();
    let response = bench.ask(
        "SUBSCRIBE",
        "a",
        "",
        "Event: conference;id=7\r\nAccept: application/conference-info+xml\r\n",
    );
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.get(Name::Contact).unwrap(),
        "<sip:3000@127.1.9.9:5060>;isfocus"
    );
    assert_eq!(response.get(Name::Expires).unwrap(), "3600");
    let body = bench.next("active;expires=3600");
    assert!(
        body.contains("state=\"full\" version=\"0\"") && body.contains(ALICE),
        "{body}"
    );
    bench.changed(|view| view.members.push(member(2, "sip:bob@here.example")));
    bench.pass(4 * S);
    bench.changed(|view| view.locked = true);
    assert!(bench.is_told_nothing(), "RFC 4575 3.9");
    bench.pass(S);
    let body = bench.next("active");
    assert!(
        body.contains("state=\"partial\" version=\"1\"") && body.contains("sip:bob@"),
        "{body}"
    );
    assert!(body.contains("<locked>true") && !body.contains(ALICE), "{body}");
    bench.changed(|_| {});
    bench.pass(10 * S);
    assert!(bench.is_told_nothing(), "nothing is different");
    let tag = response.to_tag().unwrap().into_owned();
    assert_eq!(bench.subscribe("a", &tag, ""), Ok(tag.clone()));
    let body = bench.next("active");
    assert!(
        body.contains("state=\"full\" version=\"2\"") && body.contains("sip:bob@"),
        "{body}"
    );
    assert_eq!(bench.subscribe("a", &tag, "Expires: 0\r\n"), Ok(tag.clone()));
    bench.next("terminated;reason=timeout");
    assert!(bench.notifier.is_empty());
}

#[test]
fn an_empty_room_is_told_and_one_that_is_no_more_ends_it() {
    let mut bench = Bench::new();
    bench.subscribe("a", "", "").unwrap();
    bench.next("active");
    bench.pass(5 * S);
    bench.changed(|view| view.members.clear());
    let body = bench.next("active");
    assert!(
        body.contains("state=\"deleted\"") && body.contains("<user-count>0<"),
        "{body}"
    );
    bench.pass(5 * S);
    bench.view = None;
    bench.step(|notifier, _, cx| notifier.room_changed(cx, "3000"));
    let body = bench.next("terminated;reason=noresource");
    assert!(
        body.contains("state=\"deleted\" version=\"2\"") && !body.contains("<user"),
        "{body}"
    );
    assert!(bench.notifier.is_empty() && bench.notifier.next_deadline().is_none());
}

#[test]
fn what_is_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.subscribe("a", "", "Expires: 30\r\n"), Err(423));
    assert_eq!(
        bench.subscribe("b", "", "Accept: application/reginfo+xml\r\n"),
        Err(406)
    );
    let tag = bench.subscribe("c", "", "").unwrap();
    let other = bench.ask("SUBSCRIBE", "c", &tag, "Event: refer\r\n");
    assert_eq!(
        (other.status(), &*other.get(Name::AllowEvents).unwrap()),
        (489, "conference")
    );
    assert_eq!(bench.ask("INFO", "c", &tag, "").status(), 405);
}

#[test]
fn a_user_s_oldest_subscription_makes_room() {
    let mut bench = Bench::new();
    for nth in 0..=limits::SUBSCRIPTIONS_PER_WATCHER {
        bench.subscribe(&format!("a{nth}"), "", "").unwrap();
        bench.next("active");
        bench.pass(S);
    }
    bench.next("terminated;reason=timeout");
    assert_eq!(bench.notifier.len(), limits::SUBSCRIPTIONS_PER_WATCHER);
}

/// One who watches as many rooms as he may leaves the rest to others, and has a place again when one of his ends.
#[test]
fn a_user_does_not_take_the_places_of_all_others() {
    let mut bench = Bench::new();
    let watch = |bench: &mut Bench, user: &'static str, room: usize, call_id: &str, tag: &str, lines: &str| {
        (bench.user, bench.room) = (user, room.to_string());
        let answer = bench.subscribe(call_id, tag, lines);
        bench.told.clear();
        answer
    };
    let all = limits::SUBSCRIPTIONS_PER_USER;
    let mut last = String::new();
    for room in 0..all {
        last = watch(&mut bench, "alice", room, &format!("a{room}"), "", "").unwrap();
        // So that they do not all end at one moment.
        bench.pass(S);
    }
    assert_eq!(watch(&mut bench, "alice", all, "more", "", ""), Err(503));
    let response = bench.ask("REFER", "more", "", "Refer-To: <sip:bob@here.example>\r\n");
    assert_eq!(response.status(), 503);
    assert!(watch(&mut bench, "bob", 0, "b", "", "").is_ok(), "bob has his own");
    let call_id = format!("a{}", all - 1);
    watch(&mut bench, "alice", all - 1, &call_id, &last, "Expires: 0\r\n").unwrap();
    assert!(watch(&mut bench, "alice", all, "again", "", "").is_ok());
    assert_eq!(watch(&mut bench, "alice", all + 1, "too many", "", ""), Err(503));
    // All end by themselves, and are counted no more.
    bench.pass(limits::CONFERENCE_SUBSCRIPTION + 40 * S);
    assert!(bench.notifier.is_empty() && bench.notifier.by_watcher.is_empty());
}

#[test]
fn an_end_while_a_notify_is_under_way_is_told_after_it() {
    let mut bench = Bench::new();
    bench.subscribe("a", "", "Expires: 60\r\n").unwrap();
    bench.next("active");
    bench.pass(59 * S);
    bench.silent = true;
    bench.changed(|view| view.locked = true);
    bench.next("active");
    bench.pass(2 * S);
    assert!(bench.is_told_nothing());
    bench.silent = false;
    let waiting = bench.unanswered.pop().unwrap();
    bench.answer(&waiting, 200);
    bench.next("terminated;reason=timeout");
    assert!(bench.notifier.is_empty() && bench.is_told_nothing());
}

#[test]
fn a_refer_is_told_how_it_goes() {
    let mut bench = Bench::new();
    bench.called = Some(MemberId(2));
    bench.view = Some(room(vec![member(1, ALICE), member(2, "sip:bob@here.example")]));
    let status = |bench: &mut Bench, status| bench.changed(|view| view.members[1].status = status);
    status(&mut bench, Status::DialingOut);
    let response = bench.ask("REFER", "a", "", "Refer-To: <sip:bob@here.example>\r\n");
    assert_eq!(response.status(), 202);
    assert_eq!(
        response.get(Name::Contact).unwrap(),
        "<sip:3000@127.1.9.9:5060>;isfocus"
    );
    assert_eq!(bench.next("active;expires=180"), "SIP/2.0 100 Trying\r\n");
    bench.changed(|view| view.locked = true);
    assert!(bench.is_told_nothing());
    status(&mut bench, Status::Alerting);
    assert_eq!(bench.next("active"), "SIP/2.0 180 Ringing\r\n");
    status(&mut bench, Status::Waiting);
    assert!(bench.is_told_nothing());
    status(&mut bench, Status::Connected);
    assert_eq!(bench.next("terminated;reason=noresource"), "SIP/2.0 200 OK\r\n");
    assert!(bench.notifier.is_empty());
    // He does not come.
    status(&mut bench, Status::DialingOut);
    bench.ask("REFER", "b", "", "Refer-To: <sip:bob@here.example>\r\n");
    bench.next("active");
    bench.changed(|view| view.members.truncate(1));
    assert_eq!(
        bench.next("terminated;reason=noresource"),
        "SIP/2.0 480 Temporarily Unavailable\r\n"
    );
    // Nobody was called, and all is done.
    bench.called = None;
    bench.ask("REFER", "c", "", "Refer-To: <sip:bob@here.example;method=BYE>\r\n");
    assert_eq!(bench.next("terminated;reason=noresource"), "SIP/2.0 200 OK\r\n");
    assert!(bench.notifier.is_empty());
}

#[test]
fn a_user_asks_for_no_more_than_so_much_at_once_and_it_is_not_told_for_ever() {
    let mut bench = Bench::new();
    bench.view = Some(room(vec![member(2, "sip:bob@here.example")]));
    bench.changed(|view| view.members[0].status = Status::Alerting);
    bench.called = Some(MemberId(2));
    for nth in 0..limits::REFERS_PER_USER {
        assert_eq!(
            bench
                .ask("REFER", &format!("a{nth}"), "", "Refer-To: <sip:bob@here.example>\r\n")
                .status(),
            202
        );
        assert_eq!(bench.next("active"), "SIP/2.0 180 Ringing\r\n");
    }
    assert_eq!(
        bench
            .ask("REFER", "b", "", "Refer-To: <sip:bob@here.example>\r\n")
            .status(),
        486
    );
    bench.pass(limits::REFER_PROGRESS);
    for _ in 0..limits::REFERS_PER_USER {
        assert_eq!(bench.next("terminated;reason=timeout"), "SIP/2.0 180 Ringing\r\n");
    }
    assert!(bench.notifier.is_empty());
}

#[test]
fn who_is_no_user_any_more_watches_no_more() {
    let mut bench = Bench::new();
    bench.subscribe("a", "", "").unwrap();
    bench.next("active");
    bench.step(|notifier, layer, cx| notifier.reconfigure(cx, layer, |_: &Aor| true, |name| name == "alice"));
    assert!(bench.is_told_nothing());
    bench.step(|notifier, layer, cx| notifier.reconfigure(cx, layer, |_: &Aor| true, |name| name != "alice"));
    bench.next("terminated;reason=rejected");
    assert!(bench.notifier.is_empty());
}

/// The test says so by a field that means nothing here.
#[test]
fn who_may_not_watch_any_more_is_told_so_when_he_asks_again() {
    let mut bench = Bench::new();
    let tag = bench.subscribe("a", "", "").unwrap();
    bench.next("active");
    assert_eq!(bench.subscribe("a", &tag, ""), Ok(tag.clone()));
    bench.next("active");
    assert_eq!(bench.subscribe("a", &tag, "Subject: no more\r\n"), Err(403));
    bench.next("terminated;reason=rejected");
    assert!(bench.notifier.is_empty());
}
