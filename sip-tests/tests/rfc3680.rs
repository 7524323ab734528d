//! RFC 3680 (registration event package), with RFC 6665 and RFC 5628, in the simulated world. Each test names the section that it is
//! for. What we write as XML is read by roxmltree.

#![allow(missing_docs)]

#[path = "proxy/tools.rs"]
#[allow(dead_code, reason = "the tests of the proxy use the rest of it")]
mod tools;

use roxmltree::{Document, Node};
use sip_tests::{Msg, Peer, World, ms, s};
use tandem::id::Transport;
use tools::{OFFICE, office, request, requests, settle, with};

const REGINFO: &str = "urn:ietf:params:xml:ns:reginfo";
const GRUUINFO: &str = "urn:ietf:params:xml:ns:gruuinfo";

/// What a watcher says in its subscription.
struct Watcher {
    peer: Peer,
    call_id: String,
    cseq: u32,
    tag: String,
}

/// Subscribes; gives the final status.
fn subscribe(w: &mut World, watcher: &mut Watcher, of: &str, lines: &[&str]) -> u16 {
    let identity = w.agents[watcher.peer.0].identity.clone();
    watcher.cseq += 2;
    let mut subscribe = request("SUBSCRIBE", &format!("sip:{of}"), &identity, &watcher.call_id);
    subscribe.set("CSeq", &format!("{} SUBSCRIBE", watcher.cseq));
    if !watcher.tag.is_empty() {
        subscribe.set("To", &format!("<sip:{of}>;tag={}", watcher.tag));
    }
    let contact = format!("<sip:watch@{}>", w.agents[watcher.peer.0].addr);
    subscribe.push("Contact", &contact);
    subscribe.push("Event", "reg");
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a line of the test");
        match value {
            "" => subscribe.remove(name),
            value => subscribe.set(name, value),
        }
    }
    let status = w.ask(watcher.peer, subscribe);
    if status == 200 {
        watcher.tag = answer(w, watcher.peer).to_tag().to_owned();
    }
    settle(w);
    status
}

fn watcher(w: &mut World, name: &str, user: &str) -> Watcher {
    let peer = w.device(name, user, Transport::Udp);
    w.policy(peer).loose = 200;
    Watcher {
        peer,
        call_id: format!("watch@{name}"),
        cseq: 0,
        tag: String::new(),
    }
}

fn answer(w: &World, peer: Peer) -> Msg {
    w.last_received(peer, |m| m.status() >= 200 && m.method() == "SUBSCRIBE")
}

/// A contact as a document tells it.
#[derive(Debug, PartialEq)]
struct Contact {
    uri: String,
    state: String,
    event: String,
}

/// The newest document: version, state, registration state, contacts.
fn told(w: &World, peer: Peer) -> (u32, String, String, Vec<Contact>) {
    let notify = w.last_received(peer, |m| m.is("NOTIFY"));
    assert_eq!(notify.text("Content-Type"), "application/reginfo+xml");
    let document = Document::parse(&notify.body).expect("well-formed");
    let root = document.root_element();
    assert!(root.has_tag_name((REGINFO, "reginfo")));
    let registration = root.first_element_child().expect("a registration");
    assert!(registration.has_tag_name((REGINFO, "registration")));
    let text = |node: &Node<'_, '_>, name: &str| node.attribute(name).unwrap_or_default().to_owned();
    let contact = |node: Node<'_, '_>| Contact {
        uri: node
            .first_element_child()
            .and_then(|uri| uri.text())
            .unwrap_or_default()
            .to_owned(),
        state: text(&node, "state"),
        event: text(&node, "event"),
    };
    let contacts = registration
        .children()
        .filter(|node| node.has_tag_name((REGINFO, "contact")));
    (
        text(&root, "version").parse().expect("a number"),
        text(&root, "state"),
        text(&registration, "state"),
        contacts.map(contact).collect(),
    )
}

fn contact(uri: &str, state: &str, event: &str) -> Contact {
    Contact {
        uri: uri.to_owned(),
        state: state.to_owned(),
        event: event.to_owned(),
    }
}

fn notifies(w: &World, peer: Peer) -> usize {
    requests(w, peer, "NOTIFY").len()
}

/// Another phone of bob that registers.
fn phone(w: &mut World, name: &str) -> (Peer, String) {
    let peer = w.device(name, "bob", Transport::Udp);
    w.register(peer);
    settle(w);
    (peer, format!("sip:bob@{}", w.agents[peer.0].addr))
}

fn leaves(w: &mut World, peer: Peer) {
    assert_eq!(w.register_with(peer, &["Contact: *", "Expires: 0"]), 200);
    settle(w);
}

/// 6: nobody is registered, then somebody is, then again nobody: full state at first, then what has changed.
#[test]
fn a_watcher_sees_bindings_come_and_go() {
    let mut w = office(1);
    let mut bob = watcher(&mut w, "watch", "bob");
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[]), 200);
    let ok = answer(&w, bob.peer);
    assert_eq!(
        (ok.text("Expires"), ok.text("Contact")),
        ("3761", "<sip:192.0.2.1:5060>")
    );
    assert_eq!(told(&w, bob.peer), (0, "full".into(), "init".into(), vec![]));
    let first = w.last_received(bob.peer, |m| m.is("NOTIFY"));
    assert_eq!(first.text("Event"), "reg");
    assert!(first.text("Subscription-State").starts_with("active;expires=37"));
    assert_eq!((first.to_tag(), first.from_tag()), ("script", bob.tag.as_str()));
    assert_eq!(first.uri(), format!("sip:watch@{}", w.agents[bob.peer.0].addr));
    let (desk, uri) = phone(&mut w, "desk");
    w.run(s(5));
    let expected = vec![contact(&uri, "active", "registered")];
    assert_eq!(told(&w, bob.peer), (1, "partial".into(), "active".into(), expected));
    w.run(s(60));
    w.register(desk);
    w.run(s(5));
    let expected = vec![contact(&uri, "active", "refreshed")];
    assert_eq!(told(&w, bob.peer), (2, "partial".into(), "active".into(), expected));
    w.run(s(60));
    leaves(&mut w, desk);
    w.run(s(5));
    let expected = vec![contact(&uri, "terminated", "unregistered")];
    assert_eq!(told(&w, bob.peer), (3, "partial".into(), "terminated".into(), expected));
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 0"]), 200);
    w.finish();
}

/// 4.7.1: a binding that nobody refreshes expires, and the watcher is told at that time.
#[test]
fn a_watcher_sees_bindings_expire() {
    let mut w = office(2);
    let mut bob = watcher(&mut w, "watch", "bob");
    let (cell, cell_uri) = phone(&mut w, "cell");
    let desk = w.device("desk", "bob", Transport::Udp);
    let desk_uri = format!("sip:bob@{}", w.agents[desk.0].addr);
    let line = format!("Contact: <{desk_uri}>;expires=90;q=0.5");
    assert_eq!(w.register_with(desk, &[&line]), 200);
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[]), 200);
    let all = vec![
        contact(&cell_uri, "active", "registered"),
        contact(&desk_uri, "active", "registered"),
    ];
    assert_eq!(told(&w, bob.peer), (0, "full".into(), "active".into(), all));
    let before = notifies(&w, bob.peer);
    w.run(s(88));
    assert_eq!(notifies(&w, bob.peer), before);
    w.run(s(3));
    let gone = vec![contact(&desk_uri, "terminated", "expired")];
    assert_eq!(told(&w, bob.peer), (1, "partial".into(), "active".into(), gone));
    leaves(&mut w, cell);
    w.run(s(6));
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 0"]), 200);
    w.finish();
}

/// 4.10: several changes within five seconds are one NOTIFY.
#[test]
fn changes_are_told_at_a_pace() {
    let mut w = office(3);
    let mut bob = watcher(&mut w, "watch", "bob");
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[]), 200);
    let names = ["a", "b", "c"].map(|name| phone(&mut w, name));
    assert_eq!(notifies(&w, bob.peer), 1);
    w.run(s(5));
    assert_eq!(notifies(&w, bob.peer), 2);
    let (version, state, _, contacts) = told(&w, bob.peer);
    assert_eq!((version, state.as_str(), contacts.len()), (1, "partial", 3));
    // One that has come and gone between two of them is nobody's business.
    leaves(&mut w, names[0].0);
    w.register(names[0].0);
    w.run(s(6));
    assert_eq!(notifies(&w, bob.peer), 3);
    subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 0"]);
    w.finish();
}

/// RFC 6665 4.2.1.4, 4.4.3: a refresh is answered with all there is; Expires 0 ends it, and by itself only asks; without a refresh it
/// ends by timeout.
#[test]
fn refreshed_ended_fetched_and_timed_out() {
    let mut w = office(4);
    let mut bob = watcher(&mut w, "watch", "bob");
    let (_, uri) = phone(&mut w, "desk");
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 600"]), 200);
    w.run(s(300));
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 600"]), 200);
    assert_eq!(answer(&w, bob.peer).text("Expires"), "600");
    let all = || vec![contact(&uri, "active", "refreshed")];
    assert_eq!(told(&w, bob.peer), (1, "full".into(), "active".into(), all()));
    w.run(s(590));
    let last = w.last_received(bob.peer, |m| m.is("NOTIFY"));
    assert!(last.text("Subscription-State").starts_with("active"));
    w.run(s(15));
    let last = w.last_received(bob.peer, |m| m.is("NOTIFY"));
    assert_eq!(last.text("Subscription-State"), "terminated;reason=timeout");
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[]), 481, "it is over");
    // A new one in another dialog, ended by its watcher.
    let mut other = watcher(&mut w, "other", "bob");
    assert_eq!(subscribe(&mut w, &mut other, "bob@example.com", &[]), 200);
    assert_eq!(subscribe(&mut w, &mut other, "bob@example.com", &["Expires: 0"]), 200);
    let last = w.last_received(other.peer, |m| m.is("NOTIFY"));
    assert_eq!(last.text("Subscription-State"), "terminated;reason=timeout");
    assert_eq!(told(&w, other.peer).1, "full", "with what there is");
    // Only asked.
    let mut asks = watcher(&mut w, "asks", "bob");
    assert_eq!(subscribe(&mut w, &mut asks, "bob@example.com", &["Expires: 0"]), 200);
    let only = w.last_received(asks.peer, |m| m.is("NOTIFY"));
    assert_eq!(only.text("Subscription-State"), "terminated;reason=timeout");
    let expected = vec![contact(&uri, "active", "registered")];
    assert_eq!(told(&w, asks.peer), (0, "full".into(), "active".into(), expected));
    assert_eq!(notifies(&w, asks.peer), 1);
    w.finish();
}

/// RFC 6665 4.2.2: a watcher that has lost its subscription, or is gone, is told nothing more.
#[test]
fn a_watcher_that_is_gone_is_forgotten() {
    for (seed, deaf) in [(5, false), (6, true)] {
        let mut w = office(seed);
        let mut bob = watcher(&mut w, "watch", "bob");
        assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[]), 200);
        w.run(s(10));
        w.policy(bob.peer).loose = 481;
        let ip = w.agents[bob.peer.0].addr.ip();
        w.net.link(ip).cut = deaf;
        let (desk, _) = phone(&mut w, "desk");
        w.run(s(40));
        let before = notifies(&w, bob.peer);
        w.net.link(ip).cut = false;
        leaves(&mut w, desk);
        w.run(s(40));
        assert_eq!(notifies(&w, bob.peer), before);
        w.finish();
    }
}

/// 4.6: one's own registration, and everybody's for those whom the configuration names. A stranger is not answered, a user without
/// credentials is asked as by a server (RFC 6665 4.2.1.3).
#[test]
fn who_may_watch() {
    let yaml = format!("{OFFICE}registrar: {{ watchers: [ carol ] }}\n");
    let mut w = with(7, &yaml);
    let mut alice = watcher(&mut w, "alice", "alice");
    assert_eq!(subscribe(&mut w, &mut alice, "bob@example.com", &[]), 403);
    assert!(w.received(alice.peer, |m| m.status() == 401).len() == 1);
    assert_eq!(notifies(&w, alice.peer), 0);
    let mut carol = watcher(&mut w, "carol", "carol");
    assert_eq!(subscribe(&mut w, &mut carol, "bob@example.com", &[]), 200);
    assert_eq!(notifies(&w, carol.peer), 1);
    assert_eq!(subscribe(&mut w, &mut carol, "bob@example.com", &["Expires: 0"]), 200);
    let stranger = w.stranger("stranger", "203.0.113.66:5060");
    let subscribe = request(
        "SUBSCRIBE",
        "sip:bob@example.com",
        "sip:x@elsewhere.example",
        "x@stranger",
    )
    .with("Contact", "<sip:x@203.0.113.66>")
    .with("Event", "reg");
    assert_eq!(w.ask(stranger, subscribe), 408);
    w.finish();
}

/// RFC 6665 4.2.1.1 and RFC 3680 4.5: what is refused.
#[test]
fn what_is_refused() {
    let mut w = office(8);
    let mut bob = watcher(&mut w, "watch", "bob");
    for (line, status) in [
        ("Expires: 30", 423),
        ("Accept: application/pidf+xml", 406),
        ("Require: eventlist", 420),
        ("Contact: ", 400),
    ] {
        bob.call_id = format!("{status}@watch");
        assert_eq!(
            subscribe(&mut w, &mut bob, "bob@example.com", &[line]),
            status,
            "{line}"
        );
    }
    assert_eq!(
        w.last_received(bob.peer, |m| m.status() == 423).text("Min-Expires"),
        "60"
    );
    for accepted in ["Accept: application/reginfo+xml, text/plain", "Accept: */*"] {
        bob.call_id = format!("{}@watch", accepted.len());
        bob.tag = String::new();
        assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[accepted]), 200);
        assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 0"]), 200);
    }
    w.finish();
}

/// RFC 6665 4.2.1.1: 489 for a package that nobody would serve: one's own, where phones are bridged. Where they are proxied, and for
/// others, the phones answer for themselves.
#[test]
fn other_packages() {
    let mut w = office(9);
    let mut erin = watcher(&mut w, "watch", "erin");
    for event in ["Event: presence", "Event: "] {
        erin.call_id = format!("{}@watch", event.len());
        assert_eq!(
            subscribe(&mut w, &mut erin, "erin@example.org", &[event]),
            489,
            "{event}"
        );
        assert_eq!(answer(&w, erin.peer).text("Allow-Events"), "reg");
    }
    let mut alice = watcher(&mut w, "alice", "alice");
    let bob = w.registered("bob");
    w.policy(bob).loose = 202;
    assert_eq!(
        subscribe(&mut w, &mut alice, "bob@example.com", &["Event: dialog"]),
        202
    );
    assert_eq!(requests(&w, bob, "SUBSCRIBE").len(), 1);
    w.finish();
}

/// RFC 5628 5 and 6.1: the GRUUs of a device, its instance and reg-id, and the temporary one for those only who may register it.
#[test]
fn gruus_are_told() {
    let yaml = format!("{OFFICE}registrar: {{ watchers: [ carol ] }}\n");
    let mut w = with(10, &yaml);
    let desk = w.device("desk", "bob", Transport::Udp);
    let contact =
        "Contact: <sip:bob@192.168.1.2;x=\"&\">;reg-id=7;+sip.instance=\"<urn:x:&amp;'1>\"".replace("x=\"&\"", "x=&");
    for n in 0..2 {
        let lines = ["Supported: gruu, outbound", &contact, "Call-ID: a'<&>@desk"];
        assert_eq!(w.register_with(desk, &lines), 200, "{n}");
    }
    let (mut bob, mut carol) = (watcher(&mut w, "bob2", "bob"), watcher(&mut w, "carol", "carol"));
    for (who, is_own) in [(&mut bob, true), (&mut carol, false)] {
        assert_eq!(subscribe(&mut w, who, "bob@example.com", &[]), 200);
        let notify = w.last_received(who.peer, |m| m.is("NOTIFY"));
        let document = Document::parse(&notify.body).expect("well-formed");
        let one = |namespace, name| document.descendants().find(|node| node.has_tag_name((namespace, name)));
        let text = |name| {
            one(REGINFO, name)
                .and_then(|node| node.text())
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(text("uri"), "sip:bob@192.168.1.2;x=&");
        let params: Vec<(&str, &str)> = document
            .descendants()
            .filter(|node| node.has_tag_name((REGINFO, "unknown-param")))
            .map(|node| {
                (
                    node.attribute("name").unwrap_or_default(),
                    node.text().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(params, [("+sip.instance", "\"<urn:x:&amp;'1>\""), ("reg-id", "7")]);
        let attribute = |name| {
            one(REGINFO, "contact")
                .and_then(|node| node.attribute(name))
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(attribute("callid"), "a'<&>@desk");
        let gruu = |name, of| {
            one(GRUUINFO, name)
                .and_then(|node| node.attribute(of))
                .map(str::to_owned)
        };
        let public = gruu("pub-gruu", "uri").expect("it is public");
        assert!(public.starts_with("sip:bob@example.com;gr=urn:x:&amp"), "{public}");
        assert_eq!(gruu("temp-gruu", "uri").is_some(), is_own);
        if is_own {
            let first: u32 = gruu("temp-gruu", "first-cseq")
                .and_then(|cseq| cseq.parse().ok())
                .expect("a number");
            assert!(
                first < attribute("cseq").parse().expect("a number"),
                "the first REGISTER, not the last"
            );
        }
        assert_eq!(subscribe(&mut w, who, "bob@example.com", &["Expires: 0"]), 200);
    }
    w.finish();
}

/// One NOTIFY is under way at a time: while its answer is missing, changes wait, and none is lost.
#[test]
fn no_notify_overtakes_another() {
    let mut w = office(11);
    let mut bob = watcher(&mut w, "watch", "bob");
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[]), 200);
    w.run(s(6));
    let ip = w.agents[bob.peer.0].addr.ip();
    w.net.link(ip).cut = true;
    let (_, first) = phone(&mut w, "a");
    w.run(s(8));
    let (_, second) = phone(&mut w, "b");
    w.run(s(8));
    w.net.link(ip).cut = false;
    w.run(s(10));
    let all: Vec<u32> = requests(&w, bob.peer, "NOTIFY")
        .iter()
        .map(|(_, m)| m.cseq().0)
        .collect();
    assert_eq!(all, [1, 2, 3]);
    let bodies = requests(&w, bob.peer, "NOTIFY");
    assert!(bodies[1].1.body.contains(&first) && !bodies[1].1.body.contains(&second));
    assert!(bodies[2].1.body.contains(&second) && !bodies[2].1.body.contains(&first));
    subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 0"]);
    w.finish();
}

/// A user who is taken out of the configuration is watched no more; phones that forget have room again; a node that stops says so.
#[test]
fn the_end_of_what_is_watched() {
    let yaml = format!("{OFFICE}registrar: {{ watchers: [ carol ] }}\n");
    let mut w = with(12, &yaml);
    let mut carol = watcher(&mut w, "carol", "carol");
    assert_eq!(subscribe(&mut w, &mut carol, "erin@example.org", &[]), 200);
    let erin = "  - { name: erin, password: green, domain: example.org }\n";
    w.reload(&yaml.replace(erin, ""));
    settle(&mut w);
    let last = w.last_received(carol.peer, |m| m.is("NOTIFY"));
    assert_eq!(last.text("Subscription-State"), "terminated;reason=noresource");
    let mut all: Vec<Watcher> = Vec::new();
    for n in 0..=tandem::limits::SUBSCRIPTIONS_PER_WATCHER {
        let mut next = watcher(&mut w, &format!("w{n}"), "bob");
        assert_eq!(subscribe(&mut w, &mut next, "bob@example.com", &[]), 200);
        all.push(next);
    }
    let state = |w: &World, n: usize| {
        w.last_received(all[n].peer, |m| m.is("NOTIFY"))
            .text("Subscription-State")
            .to_owned()
    };
    assert_eq!(state(&w, 0), "terminated;reason=timeout");
    assert!(state(&w, 1).starts_with("active"));
    w.stop(ms(100));
    settle(&mut w);
    assert_eq!(state(&w, 1), "terminated;reason=deactivated");
    w.finish();
}

/// RFC 8599 13: the parameters of a push service do not leave with a NOTIFY.
#[test]
fn push_parameters_are_not_told() {
    let mut w = office(13);
    let mut bob = watcher(&mut w, "watch", "bob");
    let desk = w.device("desk", "bob", Transport::Udp);
    let contact = "Contact: <sip:bob@192.168.1.2;pn-provider=apns;pn-prid=00fc13adff78512;pn-param=app;ob>";
    assert_eq!(w.register_with(desk, &[contact]), 200);
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 0"]), 200);
    let (.., contacts) = told(&w, bob.peer);
    assert_eq!(contacts[0].uri, "sip:bob@192.168.1.2;ob");
    w.finish();
}

/// RFC 5626 6: what a phone says that it can do (RFC 3840) is kept, for itself and for who watches (5.1: unknown-param).
#[test]
fn what_a_phone_can_do_is_told() {
    let mut w = office(19);
    let desk = w.device("desk", "bob", Transport::Udp);
    let contact = "Contact: <sip:bob@192.168.1.2>;q=0.5;audio;+sip.note=\"a <b>\";expires=600;methods=\"INVITE,BYE\"";
    assert_eq!(w.register_with(desk, &[contact]), 200);
    let told = w.last_received(desk, |m| m.answers("REGISTER", 200));
    let expected = "<sip:bob@192.168.1.2>;expires=600;q=0.500;audio;+sip.note=\"a <b>\";methods=\"INVITE,BYE\"";
    assert_eq!(told.text("Contact"), expected);
    let mut bob = watcher(&mut w, "bob2", "bob");
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &[]), 200);
    let notify = w.last_received(bob.peer, |m| m.is("NOTIFY"));
    let document = Document::parse(&notify.body).expect("well-formed");
    let params = document
        .descendants()
        .filter(|node| node.has_tag_name((REGINFO, "unknown-param")))
        .map(|node| {
            (
                node.attribute("name").unwrap_or_default(),
                node.text().unwrap_or_default(),
            )
        });
    let expected = [("audio", ""), ("+sip.note", "\"a <b>\""), ("methods", "\"INVITE,BYE\"")];
    assert_eq!(params.collect::<Vec<_>>(), expected);
    assert_eq!(subscribe(&mut w, &mut bob, "bob@example.com", &["Expires: 0"]), 200);
    w.finish();
}
