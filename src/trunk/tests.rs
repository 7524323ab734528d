//! A trunk and its carrier in virtual time: what the carrier sees, what it says, and what is told of it.

use super::{Busy, Trunks};
use crate::config::{self, Config, Sources};
use crate::cx::{Cx, SeedableRng, Tickets};
use crate::effect::{Answer, Fact, Kind, Output, Record};
use crate::id::{ConnectionId, Flow, ListenerId, Target, Ticket, Transport, TrunkIx};
use crate::sip::{Draft, Message, Method, Name, Uri, auth};
use crate::time::{Instant, Wall};
use crate::transaction::Layer;
use rand_chacha::ChaCha12Rng;
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const FIRST: &str = "127.1.0.1";
const SECOND: &str = "127.1.0.2";
/// A name that has no address.
const NOWHERE: &str = "nowhere.example";

struct Bench {
    layer: Layer,
    trunks: Trunks,
    config: Arc<Config>,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    now: Instant,
    /// Requests that the carrier got, with where they went; without retransmissions.
    sent: VecDeque<(Flow, Message)>,
    /// Their branches.
    seen: BTreeSet<String>,
    told: Vec<String>,
    /// Addresses that no connection can be opened to.
    dead: Vec<IpAddr>,
    connections: u64,
}

fn config(trunk: &str) -> Arc<Config> {
    let text = format!(
        "node: {{ name: t }}\nlisten: [ \"udp://127.1.9.9:5060\", \"tcp://127.1.9.9:5060\" ]\ndomains: [ here.example ]\ntrunks:\n{trunk}"
    );
    match config::parse("test", &text, &Sources::NONE) {
        Ok(config) => Arc::new(config),
        Err(problems) => panic!("{problems:?}"),
    }
}

/// A trunk `acme` that registers, with further keys.
fn acme(keys: &str) -> Arc<Config> {
    config(&format!(
        "  - {{ name: acme, peers: [ \"sip:{FIRST}:5060\", \"sip:{SECOND}:5060\" ], options: never, \
         register: {{ username: tandem, password: sesame, realm: acme.example }}{keys} }}\n"
    ))
}

impl Bench {
    fn new(config: Arc<Config>) -> Bench {
        let mut bench = Bench {
            layer: Layer::default(),
            trunks: Trunks::default(),
            config,
            rng: ChaCha12Rng::from_seed([7; 32]),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            now: Instant::ZERO + S,
            sent: VecDeque::new(),
            seen: BTreeSet::new(),
            told: Vec::new(),
            dead: Vec::new(),
            connections: 0,
        };
        bench.step(|trunks, layer, cx| trunks.configure(cx, layer));
        bench.pass(Duration::ZERO);
        bench
    }

    fn step<R>(&mut self, work: impl FnOnce(&mut Trunks, &mut Layer, &mut Cx<'_>) -> R) -> R {
        let Bench {
            layer,
            trunks,
            config,
            rng,
            tickets,
            out,
            now,
            ..
        } = self;
        let wall = Wall(1_800_000_000_000 + now.as_millis());
        let mut cx = Cx {
            now: *now,
            wall,
            rng,
            config,
            out,
            tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        let result = work(trunks, layer, &mut cx);
        while let Some(event) = layer.poll() {
            let owner = match &event {
                crate::transaction::Event::Reached { owner, .. }
                | crate::transaction::Event::Unreachable { owner, .. }
                | crate::transaction::Event::Response { owner, .. }
                | crate::transaction::Event::Failed { owner, .. } => *owner,
                other => panic!("a trunk gets no {other:?}"),
            };
            let crate::id::Owner::Trunk(slot, about) = owner else {
                panic!("{owner}", owner = "only trunks ask here")
            };
            trunks.event(&mut cx, layer, slot, about, event);
        }
        self.carry_out();
        result
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.out.pop_front() {
            match output {
                Output::Send(flow, bytes) => {
                    let request = Message::parse(bytes).expect("ours parses");
                    let branch = request.top_via().unwrap().branch().unwrap_or_default().to_owned();
                    if self.seen.insert(branch) {
                        self.sent.push_back((flow, request));
                    }
                }
                Output::Connect(ticket, target) => self.connect(ticket, target),
                Output::Record(Fact::TrunkState { peer, up, why, .. }) => {
                    let what = peer.unwrap_or_else(|| "trunk".to_owned());
                    self.told
                        .push(format!("{what} {}: {why}", if up { "up" } else { "down" }));
                }
                Output::Query(ticket, question) => {
                    let address = Record::Address(FIRST.parse().unwrap());
                    let is_known = question.kind == Kind::A && &*question.name != NOWHERE;
                    let records = is_known.then_some(address).into_iter().collect();
                    self.step(|_, layer, cx| {
                        cx.tickets.take(ticket);
                        let ttl = Duration::ZERO;
                        layer.on_answer(cx, ticket, Answer { records, ttl });
                    });
                }
                other => panic!("a trunk asks for no {other:?}"),
            }
        }
    }

    fn connect(&mut self, ticket: Ticket, target: Target) {
        let alive = !self.dead.contains(&target.addr.ip());
        self.connections += u64::from(target.transport == Transport::Tcp);
        let connection = if target.transport == Transport::Tcp {
            ConnectionId(self.connections)
        } else {
            ConnectionId(0)
        };
        let flow = alive.then(|| Flow {
            transport: target.transport,
            listener: ListenerId(0),
            connection,
            local: "127.1.9.9:5060".parse().unwrap(),
            peer: target.addr,
        });
        self.step(|_, layer, cx| {
            cx.tickets.take(ticket);
            layer.on_flow(cx, ticket, flow);
        });
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..10_000 {
            let next = [self.layer.next_deadline(), self.trunks.next_deadline()];
            match next.into_iter().flatten().min().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = end;
                    return;
                }
            }
            self.step(|trunks, layer, cx| {
                layer.on_time(cx);
                trunks.on_time(cx, layer);
            });
        }
        panic!("the timers never rest");
    }

    /// The next request that the carrier sees.
    fn request(&mut self) -> (Flow, Message) {
        self.sent.pop_front().expect("the carrier was asked nothing")
    }

    fn answer(&mut self, request: &(Flow, Message), status: u16, fields: &[(Name, &str)]) {
        let mut response = Draft::response(&request.1, status, Some("carrier"));
        for (name, value) in fields {
            response.push(*name, *value);
        }
        let message = Message::parse(response.to_bytes()).expect("parses");
        let flow = request.0;
        self.step(|_, layer, cx| layer.receive(cx, flow, message));
    }

    fn challenge(&mut self, request: &(Flow, Message), nonce: &str, more: &str) {
        let value = format!("Digest realm=\"acme.example\", nonce=\"{nonce}\", qop=\"auth\"{more}");
        self.answer(request, 401, &[(Name::WwwAuthenticate, &value)]);
    }

    fn ok(&mut self, request: &(Flow, Message), expires: u32) {
        let contact = request
            .1
            .get(Name::Contact)
            .expect("a REGISTER of ours has a contact")
            .into_owned();
        self.answer(
            request,
            200,
            &[(Name::Contact, &format!("{contact};expires={expires}"))],
        );
    }

    fn registered(&mut self, expires: u32) -> (Flow, Message) {
        let request = self.request();
        self.ok(&request, expires);
        request
    }

    fn reload(&mut self, config: Arc<Config>) {
        self.config = config;
        self.step(|trunks, layer, cx| trunks.configure(cx, layer));
        self.pass(Duration::ZERO);
    }

    fn told(&mut self) -> String {
        std::mem::take(&mut self.told).join("\n")
    }

    fn peers(&mut self) -> Vec<u16> {
        self.step(|trunks, _, cx| trunks.peers(cx, TrunkIx(0)))
            .into_iter()
            .map(|(place, _)| place)
            .collect()
    }

    fn identify(&mut self, source: &str, called: &str) -> Option<TrunkIx> {
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: "127.1.9.9:5060".parse().unwrap(),
            peer: source.parse().unwrap(),
        };
        let called = Uri::parse(called).unwrap();
        self.step(|trunks, _, cx| trunks.identify(cx, flow, None, called.user.as_deref()))
    }
}

fn expires(request: &(Flow, Message)) -> u32 {
    request.1.number(Name::Expires).expect("present").expect("a number")
}

fn cseq(request: &(Flow, Message)) -> u32 {
    request.1.cseq().unwrap().number
}

fn credentials(request: &(Flow, Message)) -> Option<auth::Credentials<'_>> {
    auth::credentials(&request.1, Name::Authorization, "acme.example").unwrap()
}

fn is_right(request: &(Flow, Message)) -> bool {
    let password = crate::pii::Secret::new("sesame");
    credentials(request).is_some_and(|c| auth::verify(&c, &password, &Method::Register))
}

#[test]
fn it_registers_answers_the_challenge_and_refreshes_with_the_same_nonce_after_four_fifths() {
    let mut bench = Bench::new(acme(""));
    let first = bench.request();
    assert_eq!(first.1.method(), Method::Register);
    assert_eq!(first.0.peer.to_string(), format!("{FIRST}:5060"));
    assert_eq!(first.1.from().unwrap().uri.to_string(), "sip:tandem@acme.example");
    assert!(credentials(&first).is_none());
    bench.challenge(&first, "n1", "");
    let second = bench.request();
    assert!(is_right(&second));
    assert_eq!(
        (cseq(&second), second.1.call_id()),
        (cseq(&first) + 1, first.1.call_id())
    );
    bench.ok(&second, 600);
    assert_eq!(bench.told(), "trunk up: registration: registered for 600 s");
    bench.pass(S * 479);
    assert!(bench.sent.is_empty(), "not before four fifths of 600 s");
    bench.pass(S);
    let refresh = bench.request();
    assert!(is_right(&refresh));
    assert_eq!(credentials(&refresh).unwrap().nc, Some(2));
    assert_eq!(cseq(&refresh), cseq(&second) + 1);
    bench.ok(&refresh, 600);
    assert_eq!(bench.told(), "", "a refresh is no news");
}

#[test]
fn a_stale_nonce_is_no_wrong_password() {
    let mut bench = Bench::new(acme(""));
    let request = bench.request();
    bench.challenge(&request, "n1", "");
    let request = bench.request();
    bench.challenge(&request, "n2", ", stale=true");
    let request = bench.request();
    assert!(is_right(&request));
    bench.ok(&request, 60);
    assert!(bench.told().contains("trunk up"));
    // A carrier that forgot the nonce without saying `stale`: one new challenge is normal on a refresh.
    bench.pass(S * 48);
    let refresh = bench.request();
    bench.challenge(&refresh, "n3", "");
    let again = bench.request();
    assert!(is_right(&again));
    bench.ok(&again, 60);
    assert_eq!(bench.told(), "");
}

#[test]
fn a_wrong_password_is_not_tried_at_the_other_peer_and_waits_long() {
    let mut bench = Bench::new(acme(""));
    for nonce in ["n1", "n2"] {
        let request = bench.request();
        bench.challenge(&request, nonce, "");
    }
    assert!(bench.sent.is_empty());
    let told = bench.told();
    assert!(
        told.contains("it does not take this user name and password; the next attempt is in 600 s"),
        "{told}"
    );
    bench.pass(S * 599);
    assert!(bench.sent.is_empty());
    bench.pass(S * 6);
    let request = bench.request();
    assert!(credentials(&request).is_none(), "it begins anew");
}

#[test]
fn a_challenge_for_another_realm_gets_no_password() {
    let mut bench = Bench::new(acme(""));
    let request = bench.request();
    let other = "Digest realm=\"evil.example\", nonce=\"n\", qop=\"auth\"";
    bench.answer(&request, 401, &[(Name::WwwAuthenticate, other)]);
    assert!(bench.sent.is_empty());
    let told = bench.told();
    assert!(
        told.contains("realm \"evil.example\", but `register.realm` is \"acme.example\""),
        "{told}"
    );
}

#[test]
fn what_is_too_brief_is_asked_for_longer() {
    let mut bench = Bench::new(acme(""));
    let request = bench.request();
    let wished = expires(&request);
    bench.answer(&request, 423, &[(Name::MinExpires, &(wished + 900).to_string())]);
    let again = bench.request();
    assert_eq!(expires(&again), wished + 900);
    bench.ok(&again, wished + 900);
    assert!(bench.told().contains("trunk up"));
}

#[test]
fn a_carrier_that_forbids_is_left_in_peace_for_ten_minutes() {
    let mut bench = Bench::new(acme(""));
    let request = bench.request();
    bench.answer(&request, 403, &[]);
    bench.pass(S * 599);
    assert!(bench.sent.is_empty());
    bench.pass(S * 6);
    bench.request();
}

#[test]
fn silence_goes_to_the_next_peer_and_then_to_a_growing_pause() {
    let mut bench = Bench::new(acme(""));
    assert_eq!(bench.request().0.peer.ip().to_string(), FIRST);
    bench.pass(S * 32);
    assert_eq!(bench.request().0.peer.ip().to_string(), SECOND);
    bench.pass(S * 32);
    let told = bench.told();
    assert!(
        told.contains("it did not answer REGISTER; the next attempt is in 30 s"),
        "{told}"
    );
    bench.sent.clear();
    bench.pass(S * 36);
    assert_eq!(bench.request().0.peer.ip().to_string(), FIRST);
    bench.pass(S * 64);
    assert!(bench.told().contains("the next attempt is in 60 s"));
}

#[test]
fn a_refresh_that_fails_at_the_second_peer_comes_back_to_the_first() {
    let mut bench = Bench::new(acme(""));
    let request = bench.request();
    bench.answer(&request, 503, &[]);
    let second = bench.registered(60);
    assert_eq!(second.0.peer.ip().to_string(), SECOND);
    bench.pass(S * 48);
    let refresh = bench.request();
    assert_eq!(refresh.0.peer.ip().to_string(), SECOND);
    bench.answer(&refresh, 500, &[]);
    let back = bench.registered(60);
    assert_eq!(back.0.peer.ip().to_string(), FIRST);
}

#[test]
fn an_address_that_cannot_be_reached_is_passed_over() {
    let mut bench = Bench::new(config(
        "  - { name: x, peers: [ \"sip:127.1.0.9\" ], options: never }\n",
    ));
    bench.dead.push(FIRST.parse().unwrap());
    bench.reload(acme(""));
    assert_eq!(bench.request().0.peer.ip().to_string(), SECOND);
}

fn over_tcp() -> Arc<Config> {
    config(&format!(
        "  - {{ name: acme, peers: [ \"sip:{FIRST}:5060;transport=tcp\" ], options: never, \
         register: {{ username: tandem, password: sesame }} }}\n"
    ))
}

#[test]
fn a_broken_connection_is_registered_over_anew() {
    let mut bench = Bench::new(over_tcp());
    let first = bench.registered(600);
    let flow = first.0;
    bench.step(|trunks, layer, cx| {
        layer.on_flow_closed(cx, flow);
        trunks.on_flow_closed(cx, flow);
    });
    bench.pass(S * 3);
    let again = bench.request();
    assert_ne!(again.0.connection, flow.connection);
    bench.ok(&again, 600);
    assert!(bench.told().contains("the connection that it was made over has closed"));
}

#[test]
fn stop_takes_the_registration_back_and_answers_one_challenge() {
    let mut bench = Bench::new(acme(""));
    bench.registered(600);
    bench.step(|trunks, layer, cx| trunks.stop(cx, layer));
    assert!(!bench.trunks.is_quiet());
    let last = bench.request();
    assert_eq!(expires(&last), 0);
    bench.challenge(&last, "n9", "");
    let last = bench.request();
    assert!(expires(&last) == 0 && is_right(&last));
    bench.answer(&last, 200, &[]);
    assert!(bench.trunks.is_quiet());
    bench.pass(S * 4000);
    assert!(bench.sent.is_empty(), "a node that stops asks nothing more");
}

#[test]
fn stop_does_not_wait_long_for_a_carrier_that_is_silent() {
    let mut bench = Bench::new(acme(""));
    bench.registered(600);
    bench.step(|trunks, layer, cx| trunks.stop(cx, layer));
    bench.pass(S * 2);
    assert!(bench.trunks.is_quiet());
}

#[test]
fn a_reload_that_changes_nothing_of_a_trunk_leaves_its_registration_alone() {
    let mut bench = Bench::new(acme(""));
    bench.registered(600);
    bench.reload(acme(", limits: { calls: 7 }"));
    // Another peer more, and another order: the one that we are registered with is still there.
    bench.reload(config(&format!(
        "  - {{ name: acme, peers: [ \"sip:{SECOND}:5060\", \"sip:127.1.0.3:5060\", \"sip:{FIRST}:5060\" ], options: never, \
         register: {{ username: tandem, password: sesame, realm: acme.example }} }}\n"
    )));
    assert!(bench.sent.is_empty());
    bench.pass(S * 480);
    assert_eq!(bench.request().0.peer.ip().to_string(), FIRST);
}

#[test]
fn new_credentials_take_the_old_registration_back_first() {
    let mut bench = Bench::new(acme(""));
    bench.registered(600);
    bench.reload(config(&format!(
        "  - {{ name: acme, peers: [ \"sip:{FIRST}:5060\" ], options: never, \
         register: {{ username: other, password: sesame, realm: acme.example }} }}\n"
    )));
    let old = bench.request();
    assert_eq!(
        (expires(&old), old.1.from().unwrap().uri.user.as_deref()),
        (0, Some("tandem"))
    );
    assert!(bench.sent.is_empty(), "the new one waits for the end of the old");
    bench.answer(&old, 200, &[]);
    bench.pass(Duration::ZERO);
    let new = bench.registered(600);
    assert_eq!(new.1.from().unwrap().uri.user.as_deref(), Some("other"));
    assert_ne!(new.1.call_id(), old.1.call_id());
}

#[test]
fn a_trunk_that_is_gone_drains_and_one_that_comes_back_goes_on() {
    let mut bench = Bench::new(acme(", limits: { calls: 2 }"));
    bench.registered(600);
    let before = bench.config.clone();
    bench.step(|trunks, _, cx| trunks.reserve(cx, TrunkIx(0))).unwrap();
    bench.reload(config(
        "  - { name: other, peers: [ \"sip:127.1.0.9\" ], options: never }\n",
    ));
    assert!(
        bench
            .told()
            .contains("removed from the configuration; 1 calls go on until they end")
    );
    assert_eq!(expires(&bench.request()), 0);
    assert_eq!(bench.trunks.calls("acme"), 1);
    // A call that is up looks with its own configuration.
    let current = std::mem::replace(&mut bench.config, before);
    assert_eq!(
        bench.step(|trunks, _, cx| trunks.reserve(cx, TrunkIx(0))),
        Err(Busy::Draining)
    );
    bench.step(|trunks, _, cx| trunks.release(cx, TrunkIx(0)));
    bench.pass(S * 3);
    assert_eq!(bench.trunks.slots.len(), 1, "it is forgotten with its last call");
    bench.config = current;
    bench.reload(acme(""));
    assert_eq!(bench.request().1.method(), Method::Register);
    assert_eq!(bench.step(|trunks, _, cx| trunks.reserve(cx, TrunkIx(0))), Ok(()));
}

#[test]
fn places_are_given_up_to_the_limits_and_come_back() {
    let mut bench = Bench::new(config(&format!(
        "  - {{ name: acme, peers: [ \"sip:{FIRST}\" ], options: never, limits: {{ calls: 3, calls_per_second: 2 }} }}\n"
    )));
    let reserve = |bench: &mut Bench| bench.step(|trunks, _, cx| trunks.reserve(cx, TrunkIx(0)));
    assert_eq!(reserve(&mut bench), Ok(()));
    assert_eq!(reserve(&mut bench), Ok(()));
    assert_eq!(reserve(&mut bench), Err(Busy::Rate));
    bench.pass(S);
    assert_eq!(reserve(&mut bench), Ok(()));
    assert_eq!(reserve(&mut bench), Err(Busy::Calls));
    bench.step(|trunks, _, cx| trunks.release(cx, TrunkIx(0)));
    assert_eq!(reserve(&mut bench), Ok(()));
    assert_eq!(bench.trunks.reserved(), 3);
}

#[test]
fn options_holds_a_dead_peer_down_and_brings_it_back() {
    let mut bench = Bench::new(config(&format!(
        "  - {{ name: acme, peers: [ \"sip:{FIRST}:5060\", \"sip:{SECOND}:5060\" ], options: 30s }}\n"
    )));
    let both = [bench.request(), bench.request()];
    assert!(both.iter().all(|(_, request)| request.method() == Method::Options));
    bench.answer(&both[1], 200, &[]);
    assert_eq!(bench.peers(), [0, 1]);
    bench.pass(S * 32);
    assert_eq!(bench.peers(), [1, 0], "silent for 32 s: tried last");
    let told = bench.told();
    assert!(
        told.contains(&format!(
            "sip:{FIRST}:5060 down: it did not answer OPTIONS; it is tried last, at first for 30 s"
        )),
        "{told}"
    );
    let asked = (0..10).find_map(|_| {
        bench.pass(S * 5);
        let at = bench
            .sent
            .iter()
            .position(|(flow, _)| flow.peer.ip().to_string() == FIRST);
        at.and_then(|at| bench.sent.remove(at))
    });
    bench.answer(&asked.expect("asked again"), 404, &[]);
    assert_eq!(bench.peers(), [0, 1], "any answer but 408 and 503 is a sign of life");
    assert!(bench.told().contains("up: it answered OPTIONS"));
}

#[test]
fn a_name_that_the_dns_does_not_know_is_told() {
    let mut bench = Bench::new(config(&format!(
        "  - {{ name: acme, peers: [ \"sip:{NOWHERE}\", \"sip:{SECOND}\" ], options: never, \
         register: {{ username: tandem, password: sesame, realm: acme.example }} }}\n"
    )));
    let told = bench.told();
    let why = "no address for its name came from the DNS";
    assert!(
        told.contains(&format!(
            "sip:{NOWHERE} down: {why}; it is tried last, at first for 30 s"
        )),
        "{told}"
    );
    assert_eq!(bench.request().0.peer.ip().to_string(), SECOND);
    bench.dead.push(SECOND.parse().unwrap());
    bench.pass(S * 32);
    let told = bench.told();
    assert!(
        told.contains(&format!("sip:{SECOND} down: it did not answer REGISTER;")),
        "{told}"
    );
    bench.pass(S * 64);
    assert!(
        bench
            .told()
            .contains("registration: the connection for REGISTER failed")
    );
}

#[test]
fn a_call_that_failed_holds_its_peer_down_for_half_a_minute() {
    let mut bench = Bench::new(acme(""));
    bench.step(|trunks, _, cx| trunks.report(cx, TrunkIx(0), 0, super::Outcome::Dead(503)));
    assert_eq!(bench.peers(), [1, 0]);
    bench.pass(S * 30);
    assert_eq!(bench.peers(), [0, 1]);
}

#[test]
fn a_carrier_is_known_by_its_addresses_only() {
    let mut bench = Bench::new(config(
        "  - { name: a, peers: [ \"sip:127.1.0.1:5070\" ], accept_from: [ 127.1.4.0/24 ], options: never }\n  \
           - { name: b, peers: [ \"sip:b.example\" ], accept_from: [ 127.1.5.1 ], options: never }\n",
    ));
    assert_eq!(bench.identify("127.1.4.200:40000", "sip:1@h"), Some(TrunkIx(0)));
    assert_eq!(
        bench.identify("127.1.0.1:5061", "sip:1@h"),
        Some(TrunkIx(0)),
        "a peer's host, whatever port it sends from"
    );
    assert_eq!(bench.identify("127.1.5.1:5060", "sip:1@h"), Some(TrunkIx(1)));
    assert_eq!(bench.identify("127.1.5.2:5060", "sip:1@h"), None);
    assert_eq!(bench.identify("[::1]:5060", "sip:1@h"), None);
}

#[test]
fn two_accounts_at_one_carrier_are_told_apart_by_the_user_that_is_called() {
    let account = |name: &str, user: &str| {
        format!(
            "  - {{ name: {name}, peers: [ \"sip:{name}.example\" ], options: never, accept_from: [], \
             register: {{ username: {user}, password: p }} }}\n"
        )
    };
    let mut bench = Bench::new(config(&(account("one", "u1") + &account("two", "u2"))));
    for _ in 0..2 {
        bench.registered(600);
    }
    let source = format!("{FIRST}:5060");
    assert_eq!(bench.identify(&source, "sip:u2@127.1.9.9"), Some(TrunkIx(1)));
    assert_eq!(bench.identify(&source, "sip:u1@127.1.9.9"), Some(TrunkIx(0)));
    assert_eq!(bench.identify(&source, "sip:+14155550101@127.1.9.9"), Some(TrunkIx(0)));
}
