//! Rooms of a node, watched by SUBSCRIBE and asked by REFER.

use super::schema::complaints;
use super::tools::{by_hand, request, requests, settle, with};
use super::watcher::Watcher;
use bytes::Bytes;
use sip_tests::{CallRef, Msg, Peer, World, s};
use tandem::id::{ControlId, Transport};
use tandem::node::Input;

const ROOMS: &str = r#"
node:     { name: edge }
listen:   [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060" ]
media:    { ports: 20000-20399, workers: 2, silence: 5m }
domains:  [ example.com ]
users:
  - { name: alice, password: "wonder land", number: "101", display_name: "Alice & Co", calls: 4 }
  - { name: bob, password: builder, number: "102" }
  - { name: carol, password: xmas, number: "103" }
  - { name: dave, password: goliath, number: "104" }
trunks:
  - name: acme
    peers: [ "sip:198.51.100.1:5060" ]
    accept_from: [ 198.51.100.0/24 ]
    options: never
routes:
  - { to: "+1900*", do: reject/403 }
  - { to: "3001", from: user/dave, do: reject/403 }
  - { to: "31", from: user/dave, do: room/3001 }
  - { to: "4*", from: user/*, do: room }
  - { to: "+", from: user/*, do: trunk/acme }
rooms:
  - { number: "3000", name: standup, moderators: [ alice ] }
  - { number: "3001", name: private }
"#;

const CONFERENCE_INFO: &str = "application/conference-info+xml";

pub fn rooms(seed: u64) -> World {
    with(seed, ROOMS)
}

/// Somebody who watches, and what he knows.
struct Onlooker {
    peer: Peer,
    call_id: String,
    cseq: u32,
    tag: String,
    taken: usize,
    known: Watcher,
    documents: Vec<String>,
}

impl Onlooker {
    fn new(w: &mut World, name: &str, user: &str) -> Onlooker {
        let peer = w.device(name, user, Transport::Udp);
        w.policy(peer).loose = 200;
        Onlooker {
            peer,
            call_id: format!("watch@{name}"),
            cseq: 0,
            tag: String::new(),
            taken: 0,
            known: Watcher::default(),
            documents: Vec::new(),
        }
    }

    fn ask(&mut self, w: &mut World, method: &str, room: &str, lines: &[&str]) -> u16 {
        self.cseq += 3;
        let identity = w.agents[self.peer.0].identity.clone();
        let uri = format!("sip:{room}@example.com");
        let mut asked = request(method, &uri, &identity, &self.call_id);
        asked.set("CSeq", &format!("{} {method}", self.cseq));
        if !self.tag.is_empty() {
            asked.set("To", &format!("<{uri}>;tag={}", self.tag));
        }
        let contact = format!("<sip:watch@{}>", w.agents[self.peer.0].addr);
        asked.push("Contact", &contact);
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a line of the test");
            asked.set(name, value);
        }
        let status = w.ask(self.peer, asked);
        settle(w);
        status
    }

    fn subscribe(&mut self, w: &mut World, room: &str, lines: &[&str]) -> u16 {
        let all: Vec<&str> = ["Event: conference"].iter().chain(lines).copied().collect();
        let status = self.ask(w, "SUBSCRIBE", room, &all);
        if status == 200 {
            self.tag = answer(w, self.peer, "SUBSCRIBE").to_tag().to_owned();
        }
        self.look(w);
        status
    }

    /// Takes what has come since.
    fn look(&mut self, w: &World) {
        let notifies = requests(w, self.peer, "NOTIFY");
        for (_, notify) in &notifies[self.taken..] {
            if notify.text("Content-Type") == CONFERENCE_INFO {
                let taken = self.known.take(&notify.body);
                assert_eq!(taken, Ok(()), "{}", notify.body);
                self.documents.push(notify.body.clone());
            }
        }
        self.taken = notifies.len();
    }

    /// Lets five seconds pass, in which what has changed must have come.
    fn wait(&mut self, w: &mut World) {
        w.run(s(6));
        self.look(w);
    }

    fn users(&self) -> Vec<&str> {
        self.known.users.keys().map(String::as_str).collect()
    }

    fn state(&self) -> &str {
        &self.known.parts["conference-state"]
    }

    fn ends(&mut self, w: &mut World, room: &str) {
        assert_eq!(self.subscribe(w, room, &["Expires: 0"]), 200);
        let last = w.last_received(self.peer, |m| m.is("NOTIFY"));
        assert_eq!(last.text("Subscription-State"), "terminated;reason=timeout");
        assert_eq!(complaints(&self.documents), "");
    }
}

fn answer(w: &World, peer: Peer, method: &str) -> Msg {
    w.last_received(peer, |m| m.status() >= 200 && m.method() == method)
}

/// Calls a room and is in it.
pub fn join(w: &mut World, peer: Peer, room: &str) -> CallRef {
    let call = w.call(peer, room);
    w.up(call);
    w.run(s(1));
    call
}

/// What the control socket says to a line, without `ok` and the last dot.
pub fn control(w: &mut World, line: &str) -> Result<Vec<String>, String> {
    let id = ControlId(w.controlled.len() as u64 + 1000);
    w.feed(Input::Control(id, Bytes::from(line.to_owned())));
    let said: Vec<String> = w
        .controlled
        .iter()
        .filter(|(to, ..)| *to == id)
        .flat_map(|(_, lines, _)| {
            String::from_utf8_lossy(lines)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    match said.split_first() {
        Some((first, rest)) if first == "ok" => Ok(rest.iter().filter(|line| *line != ".").cloned().collect()),
        Some((first, _)) => Err(first.trim_start_matches("refused ").replace("\\s", " ")),
        None => panic!("{line}: nothing is said"),
    }
}

/// The words of a member's line: status, role, muted, deaf.
pub fn member(w: &mut World, id: u32) -> Option<[String; 4]> {
    let lines = control(w, "room standup").unwrap_or_default();
    let line = lines.iter().find(|line| line.starts_with(&format!("member {id} ")))?;
    let words: Vec<&str> = line.split(' ').collect();
    Some([4, 6, 7, 8].map(|at| words[at].to_owned()))
}

/// Statuses that NOTIFYs to a REFER outside of calls have told.
fn progress(w: &World, peer: Peer) -> Vec<String> {
    let all = requests(w, peer, "NOTIFY")
        .into_iter()
        .filter(|(_, m)| m.text("Event") == "refer");
    all.map(|(_, m)| m.body.trim().trim_start_matches("SIP/2.0 ")[..3].to_owned())
        .collect()
}

/// Who was called presses 1: it is no voicemail.
fn confirms(w: &mut World, call: CallRef) {
    w.run(s(3));
    let lines = ["Content-Type: application/dtmf-relay"];
    assert_eq!(
        w.request(call, "INFO", &lines, Some("Signal=1\r\nDuration=160\r\n")),
        200
    );
    w.run(s(1));
}

/// 4.4, 5.5, 5.6: a room is watched from before the first one comes until after the last one is gone.
#[test]
fn who_is_in_a_room_is_told() {
    let mut w = rooms(1);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let mut carol = Onlooker::new(&mut w, "watch", "carol");
    assert_eq!(carol.subscribe(&mut w, "3000", &[]), 200);
    let ok = answer(&w, carol.peer, "SUBSCRIBE");
    assert_eq!(ok.text("Contact"), "<sip:3000@192.0.2.1:5060>;isfocus");
    assert_eq!(carol.known.entity, "sip:3000@example.com");
    assert!(
        carol.users().is_empty() && carol.state().contains("user-count(\"0\")"),
        "{}",
        carol.state()
    );
    let a = join(&mut w, alice, "3000");
    let b = join(&mut w, bob, "3000");
    carol.wait(&mut w);
    assert_eq!(carol.users(), ["sip:alice@example.com", "sip:bob@example.com"]);
    assert!(carol.known.users["sip:alice@example.com"].contains("Alice & Co"));
    assert!(carol.known.users["sip:alice@example.com"].contains("moderator"));
    assert!(carol.state().contains("user-count(\"2\")"));
    assert_eq!(control(&mut w, "room 3000 mute 2"), Ok(vec![]));
    carol.wait(&mut w);
    assert!(carol.known.users["sip:bob@example.com"].contains("muted-via-focus"));
    assert!(
        carol.documents.last().is_some_and(|last| !last.contains("sip:alice@")),
        "only who has changed"
    );
    let before = carol.known.clone();
    assert_eq!(carol.subscribe(&mut w, "3000", &[]), 200);
    assert!(
        carol
            .documents
            .last()
            .is_some_and(|last| last.contains("state=\"full\" version"))
    );
    assert_eq!((&carol.known.users, &carol.known.parts), (&before.users, &before.parts));
    w.hang_up(b);
    w.hang_up(a);
    carol.wait(&mut w);
    assert!(carol.users().is_empty());
    let last = w.last_received(carol.peer, |m| m.is("NOTIFY"));
    assert!(last.text("Subscription-State").starts_with("active"), "it lives on");
    let a = join(&mut w, alice, "3000");
    carol.wait(&mut w);
    assert_eq!(carol.users(), ["sip:alice@example.com"]);
    w.hang_up(a);
    carol.ends(&mut w, "3000");
    w.finish();
}

/// 3.3: a room that was made on demand is no more when all have left.
#[test]
fn a_room_on_demand_ends_with_its_last_member() {
    let mut w = rooms(2);
    let alice = w.registered("alice");
    let mut carol = Onlooker::new(&mut w, "watch", "carol");
    assert_eq!(carol.subscribe(&mut w, "4711", &[]), 404, "nobody is in it");
    let a = join(&mut w, alice, "4711");
    assert_eq!(carol.subscribe(&mut w, "4711", &[]), 200);
    assert_eq!(carol.users(), ["sip:alice@example.com"]);
    w.hang_up(a);
    carol.wait(&mut w);
    let last = w.last_received(carol.peer, |m| m.is("NOTIFY"));
    assert_eq!(last.text("Subscription-State"), "terminated;reason=noresource");
    assert!(carol.known.ended);
    assert_eq!(complaints(&carol.documents), "");
    assert_eq!(w.census().subscriptions, 0);
    w.finish();
}

/// 3.5, 8.2: users who may call a room or are in it; no stranger, no trunk, nobody whom the dial plan does not let in.
#[test]
fn who_may_watch() {
    let mut w = rooms(3);
    let alice = w.registered("alice");
    let mut dave = Onlooker::new(&mut w, "watch", "dave");
    assert_eq!(dave.subscribe(&mut w, "3001", &[]), 403);
    assert_eq!(dave.ask(&mut w, "SUBSCRIBE", "3000", &["Event: presence"]), 489);
    assert_eq!(answer(&w, dave.peer, "SUBSCRIBE").text("Allow-Events"), "conference");
    assert_eq!(requests(&w, dave.peer, "NOTIFY").len(), 0);
    // Who was called into it may watch it, too.
    let phone = w.registered("dave");
    let a = join(&mut w, alice, "3001");
    assert_eq!(control(&mut w, "room 3001 promote 1 moderator"), Ok(vec![]));
    assert_eq!(w.request(a, "REFER", &["Refer-To: <sip:104@example.com>"], None), 202);
    let d = w.incoming(phone);
    w.up(d);
    confirms(&mut w, d);
    assert_eq!(dave.subscribe(&mut w, "3001", &[]), 200);
    assert_eq!(dave.users(), ["sip:alice@example.com", "sip:dave@example.com"]);
    dave.ends(&mut w, "3001");
    w.hang_up(d);
    for (peer, from, status) in [
        (
            w.carrier("acme", "198.51.100.1:5060"),
            "sip:+14155550199@acme.example",
            403,
        ),
        (
            w.stranger("stranger", "203.0.113.66:5060"),
            "sip:x@elsewhere.example",
            408,
        ),
        (w.stranger("liar", "203.0.113.67:5060"), "sip:alice@example.com", 407),
    ] {
        for method in ["SUBSCRIBE", "REFER"] {
            let asked = request(method, "sip:3000@example.com", from, &format!("{method}{status}"))
                .with("Contact", "<sip:x@203.0.113.66>")
                .with("Event", "conference")
                .with("Refer-To", "<sip:102@example.com>");
            assert_eq!(w.ask(peer, asked), status, "{method} of {from}");
        }
    }
    w.hang_up(a);
    w.run(s(1));
    w.finish();
}

/// 3.5: who has found a room by another number that leads there goes on for as long as it does, whatever the room's own is to him.
#[test]
fn who_watches_by_another_number_goes_on() {
    let mut w = rooms(12);
    let mut dave = Onlooker::new(&mut w, "watch", "dave");
    assert_eq!(dave.subscribe(&mut w, "3001", &[]), 403);
    dave.call_id = "alias@watch".into();
    assert_eq!(dave.subscribe(&mut w, "31", &[]), 200);
    assert_eq!(dave.known.entity, "sip:3001@example.com");
    let ok = answer(&w, dave.peer, "SUBSCRIBE");
    assert_eq!(ok.text("Contact"), "<sip:3001@192.0.2.1:5060>;isfocus");
    // In its dialog the room has its own number.
    assert_eq!(dave.subscribe(&mut w, "3001", &[]), 200);
    assert_eq!(w.census().subscriptions, 1);
    // Where it leads elsewhere, he has no business there any more.
    w.reload(&ROOMS.replace("do: room/3001", "do: room/3000"));
    assert_eq!(dave.subscribe(&mut w, "3001", &[]), 403);
    let last = w.last_received(dave.peer, |m| m.is("NOTIFY"));
    assert_eq!(last.text("Subscription-State"), "terminated;reason=rejected");
    assert_eq!(w.census().subscriptions, 0);
    w.finish();
}

/// RFC 6665 4.2.1.3: whoever knows of somebody else's subscription neither takes nor ends it.
#[test]
fn nobody_ends_what_another_watches() {
    let mut w = rooms(13);
    let mut carol = Onlooker::new(&mut w, "watch", "carol");
    assert_eq!(carol.subscribe(&mut w, "3000", &[]), 200);
    let mut bob = Onlooker::new(&mut w, "thief", "bob");
    (bob.call_id, bob.tag, bob.cseq) = (carol.call_id.clone(), carol.tag.clone(), carol.cseq);
    for lines in [&["Expires: 0"][..], &["Expires: 600"]] {
        assert_eq!(bob.subscribe(&mut w, "3000", lines), 403);
    }
    assert_eq!(w.census().subscriptions, 1);
    let alice = w.registered("alice");
    let a = join(&mut w, alice, "3000");
    carol.wait(&mut w);
    assert_eq!(carol.users(), ["sip:alice@example.com"]);
    assert_eq!(requests(&w, bob.peer, "NOTIFY").len(), 0);
    w.hang_up(a);
    carol.cseq = bob.cseq;
    carol.ends(&mut w, "3000");
    w.finish();
}

/// RFC 4579 5.5, 5.11: a moderator has somebody called and sends him away, from outside of any call.
#[test]
fn refer_outside_of_calls() {
    let mut w = rooms(4);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let a = join(&mut w, alice, "3000");
    let mut asks = Onlooker::new(&mut w, "desk", "alice");
    assert_eq!(
        asks.ask(&mut w, "REFER", "3000", &["Refer-To: <sip:102@example.com>"]),
        202
    );
    let b = w.incoming(bob);
    w.up(b);
    assert_eq!(w.at(b).invite.text("Contact").split(';').next_back(), Some("isfocus"));
    confirms(&mut w, b);
    assert_eq!(progress(&w, asks.peer), ["100", "180", "200"]);
    let last = w.last_received(asks.peer, |m| m.is("NOTIFY"));
    assert_eq!(last.text("Subscription-State"), "terminated;reason=noresource");
    asks.call_id = "away@desk".into();
    assert_eq!(
        asks.ask(&mut w, "REFER", "3000", &["Refer-To: <sip:bob@example.com;method=BYE>"]),
        202
    );
    w.expect_over(b, 200);
    assert_eq!(progress(&w, asks.peer), ["100", "180", "200", "200"]);
    // He is busy: it is told that he did not come.
    by_hand(&mut w, bob);
    asks.call_id = "again@desk".into();
    assert_eq!(
        asks.ask(&mut w, "REFER", "3000", &["Refer-To: <sip:bob@example.com>"]),
        202
    );
    let b = w.incoming(bob);
    w.respond(b, 486);
    w.run(s(1));
    assert_eq!(progress(&w, asks.peer)[4..], ["100", "480"]);
    // Without a subscription (RFC 4488).
    asks.call_id = "silent@desk".into();
    let lines = ["Refer-To: <sip:bob@example.com>", "Refer-Sub: false"];
    assert_eq!(asks.ask(&mut w, "REFER", "3000", &lines), 202);
    let b = w.incoming(bob);
    w.respond(b, 486);
    w.run(s(1));
    assert_eq!(progress(&w, asks.peer).len(), 6);
    w.hang_up(a);
    w.run(s(1));
    assert_eq!(w.census().subscriptions, 0);
    w.finish();
}

/// RFC 3323: who hides his address from the others is still himself for what he may.
#[test]
fn a_member_who_hides_his_address_may_what_he_may() {
    let mut w = rooms(10);
    let bob = w.registered("bob");
    let hidden = w.call_with(bob, "3001", &["Privacy: id"]);
    w.up(hidden);
    w.run(s(1));
    let mut carol = Onlooker::new(&mut w, "watch", "carol");
    assert_eq!(carol.subscribe(&mut w, "3001", &[]), 200);
    assert!(carol.documents.iter().all(|document| !document.contains("bob")));
    let mut asks = Onlooker::new(&mut w, "desk", "bob");
    let refer = ["Refer-To: <sip:3001@example.com;member=1;method=BYE>"];
    assert_eq!(
        asks.ask(&mut w, "REFER", "3001", &["Refer-To: <sip:103@example.com>"]),
        403
    );
    assert_eq!(control(&mut w, "room 3001 promote 1 moderator"), Ok(vec![]));
    asks.call_id = "again@desk".into();
    assert_eq!(asks.ask(&mut w, "REFER", "3001", &refer), 202);
    w.expect_over(hidden, 200);
    carol.ends(&mut w, "3001");
    w.finish();
}

/// What is refused of it: by rights, by the dial plan, by what Refer-To says.
#[test]
fn refer_that_is_refused() {
    let mut w = rooms(5);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = (join(&mut w, alice, "3000"), join(&mut w, bob, "3000"));
    for (nth, (user, refer_to, status)) in [
        ("carol", "<sip:102@example.com>", 403),
        ("bob", "<sip:alice@example.com;method=BYE>", 403),
        ("alice", "<sip:+19005550100@example.com>", 403),
        ("alice", "<sip:nobody@example.com>", 488),
        ("alice", "<sip:carol@elsewhere.example>", 404),
        ("alice", "<sip:carol@example.com;method=BYE>", 404),
        ("alice", "<sip:carol@example.com;method=INFO>", 501),
        ("alice", "<sip:carol@example.com?Replaces=x>", 488),
        ("alice", "<mailto:carol@example.com>", 416),
        ("alice", "<sip:carol@example.com", 400),
    ]
    .into_iter()
    .enumerate()
    {
        let mut asks = Onlooker::new(&mut w, &format!("desk{nth}"), user);
        let line = format!("Refer-To: {refer_to}");
        assert_eq!(
            asks.ask(&mut w, "REFER", "3000", &[&line]),
            status,
            "{user}: {refer_to}"
        );
    }
    assert!(member(&mut w, 1).is_some() && member(&mut w, 2).is_some());
    // Oneself may go.
    let mut asks = Onlooker::new(&mut w, "own", "bob");
    let line = "Refer-To: <sip:3000@example.com;member=2;method=BYE>";
    assert_eq!(asks.ask(&mut w, "REFER", "3000", &[line]), 202);
    w.expect_over(b, 200);
    w.hang_up(a);
    w.run(s(1));
    w.finish();
}

/// RFC 4579 5.5, 5.11: the same in a member's own dialog.
#[test]
fn refer_in_a_member_s_dialog() {
    let mut w = rooms(6);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (a, c) = (join(&mut w, alice, "3000"), join(&mut w, carol, "3000"));
    assert_eq!(w.request(a, "REFER", &["Refer-To: <sip:102@example.com>"], None), 202);
    assert_eq!(
        w.request(a, "REFER", &["Refer-To: <sip:104@example.com>"], None),
        491,
        "one at a time"
    );
    let b = w.incoming(bob);
    w.up(b);
    confirms(&mut w, b);
    let told = |w: &World, call: CallRef| {
        w.at(call)
            .notified
            .iter()
            .map(|body| body[8..11].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&w, a), ["100", "180", "200"]);
    assert_eq!(
        w.request(c, "REFER", &["Refer-To: <sip:bob@example.com;method=BYE>"], None),
        202
    );
    w.run(s(1));
    assert_eq!(told(&w, c), ["100", "403"], "only a moderator may");
    assert_eq!(
        w.request(a, "REFER", &["Refer-To: <sip:bob@example.com;method=BYE>"], None),
        202
    );
    w.expect_over(b, 200);
    assert_eq!(told(&w, a)[3..], ["100", "200"]);
    assert_eq!(
        w.request(a, "REFER", &["Refer-To: <sip:+19005550100@example.com>"], None),
        202
    );
    w.run(s(1));
    assert_eq!(told(&w, a)[5..], ["100", "403"], "the dial plan decides");
    assert_eq!(
        w.request(c, "REFER", &["Refer-To: <sip:carol@example.com;method=BYE>"], None),
        202
    );
    w.expect_over(c, 200);
    w.hang_up(a);
    w.run(s(1));
    w.finish();
}

/// RFC 4579 3.3: who may call a room is told by OPTIONS that it is one; nobody else learns it.
#[test]
fn options_tell_of_a_focus() {
    let mut w = rooms(9);
    let (mut alice, stranger) = (
        Onlooker::new(&mut w, "desk", "alice"),
        w.stranger("x", "203.0.113.66:5060"),
    );
    for (room, contact) in [
        ("3000", "<sip:3000@192.0.2.1:5060;transport=udp>;isfocus"),
        ("102", "<sip:192.0.2.1:5060;transport=udp>"),
    ] {
        // Who gives credentials for an old nonce is asked again, and gives good ones.
        let old = format!(
            "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"old\", uri=\"sip:{room}@example.com\", \
             response=\"00000000000000000000000000000000\""
        );
        alice.call_id = format!("{room}@desk");
        assert_eq!(alice.ask(&mut w, "OPTIONS", room, &[&old]), 200);
        assert_eq!(answer(&w, alice.peer, "OPTIONS").text("Contact"), contact);
    }
    let asked = request("OPTIONS", "sip:3000@example.com", "sip:alice@example.com", "o@x");
    assert_eq!(w.ask(stranger, asked), 200);
    assert_eq!(
        answer(&w, stranger, "OPTIONS").text("Contact"),
        "<sip:192.0.2.1:5060;transport=udp>"
    );
    w.finish();
}
