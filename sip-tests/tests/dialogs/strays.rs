//! Dialogs of one INVITE that lead to different hosts: forks, late answers, answers against a CANCEL: RFC 3261 12.2.1.1, 13.2.2.4.

use crate::tools::{calling, fork, requests};
use sip_tests::net::{Link, Owner};
use sip_tests::{CallRef, Msg, Peer, State, World, ms, s};

const LONDON: &str = "+442079460000";

fn carrier_call(seed: u64) -> (World, CallRef, Peer, CallRef) {
    let mut w = World::new(seed);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let (a, c) = calling(&mut w, alice, acme, LONDON);
    (w, a, acme, c)
}

/// RFC 3261 13.2.2.4: the late answer of a fork on another host: ACK, its copy's ACK and BYE go there, and nowhere else.
#[test]
fn a_late_fork_is_ended_where_its_contact_says() {
    let (mut w, a, acme, c) = carrier_call(1);
    let elsewhere = w.carrier("elsewhere", "198.51.100.7:5060");
    w.accept(c);
    w.up(a);
    let late = Msg::response(&w.at(c).invite, 200, "late")
        .with("Contact", "<sip:late@198.51.100.7:5060>")
        .with_sdp(&w.at(c).sdp.write());
    for _ in 0..2 {
        w.send_raw(acme, late.write().to_vec());
        w.run(s(1));
    }
    assert!(w.received(acme, |m| m.is_request() && m.to_tag() == "late").is_empty());
    assert_eq!(
        w.received(elsewhere, |m| m.is("ACK")).len(),
        2,
        "each copy is acknowledged"
    );
    let byes = requests(&w, elsewhere, "BYE");
    assert_eq!(byes.len(), 1);
    assert_eq!(byes[0].1.uri(), "sip:late@198.51.100.7:5060");
    assert_eq!(w.state(c), State::Up, "the call itself is not hurt");
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
}

/// RFC 3261 9.1, 13.2.2.4: the answer that crosses our CANCEL names another host: it is acknowledged and ended there, for the reason
/// of the CANCEL.
#[test]
fn an_answer_against_a_cancel_is_ended_where_its_contact_says() {
    let (mut w, a, acme, c) = carrier_call(2);
    let ip = w.agents[acme.0].addr.ip();
    w.net.add(
        "198.51.100.9".parse().expect("an address"),
        Owner::Peer(acme.0),
        Link::default(),
    );
    w.policy(acme).contact = Some("<sip:acme@198.51.100.9:5060>".into());
    w.net.link(ip).delay = ms(100);
    w.respond(c, 180);
    w.rings(a);
    w.hang_up(a);
    w.run(ms(50));
    w.accept(c);
    // The old host is deaf from now on.
    w.net.link(ip).cut = true;
    w.expect_over(a, 487);
    w.expect_over(c, 200);
    assert!(w.at(c).acked);
    assert_eq!(w.at(c).reason.as_deref(), Some("Q.850;cause=16"), "the caller gave up");
    w.finish();
}

/// RFC 3261 12.2.1.1, RFC 3262 4: two early dialogs of one INVITE whose Contacts are names: each PRACK goes to its own host, though
/// both are being resolved at once.
#[test]
fn each_early_dialog_has_its_own_way() {
    let (mut w, a, acme, c) = carrier_call(3);
    let (one, two) = (
        w.carrier("one", "198.51.100.7:5060"),
        w.carrier("two", "198.51.100.8:5060"),
    );
    w.policy(acme).reliable = true;
    for (name, peer, delay) in [("one", one, ms(300)), ("two", two, ms(100))] {
        let addr = w.agents[peer.0].addr;
        w.dns.set(&format!("{name}.acme.example"), &[addr], Some(delay));
        w.policy(acme).contact = Some(format!("<sip:{name}@{name}.acme.example>"));
        fork(&mut w, c, name);
        w.respond_sdp(c, 183);
    }
    w.run(s(1));
    for (name, peer) in [("one", one), ("two", two)] {
        let pracks = requests(&w, peer, "PRACK");
        assert_eq!(pracks.len(), 1, "{name}");
        assert_eq!(pracks[0].1.to_tag(), name);
        assert_eq!(pracks[0].1.uri(), format!("sip:{name}@{name}.acme.example"));
    }
    assert!(requests(&w, acme, "PRACK").is_empty());
    // The INVITE itself stays where it was sent: so does its CANCEL.
    w.hang_up(a);
    w.expect_over(c, 487);
    w.finish();
}

/// The same while the names are being resolved: what was waiting is forgotten with the INVITE.
#[test]
fn a_way_is_not_looked_for_any_longer_than_its_dialog_lives() {
    for answered in [false, true] {
        let (mut w, a, acme, c) = carrier_call(4);
        let one = w.carrier("one", "198.51.100.7:5060");
        w.dns.set(
            "one.acme.example",
            &["198.51.100.7:5060".parse().expect("an address")],
            Some(s(3)),
        );
        w.policy(acme).reliable = true;
        w.policy(acme).contact = Some("<sip:one@one.acme.example>".into());
        fork(&mut w, c, "one");
        w.respond_sdp(c, 183);
        w.run(ms(100));
        w.policy(acme).contact = None;
        if answered {
            fork(&mut w, c, "two");
            w.accept(c);
            w.up(a);
        } else {
            w.hang_up(a);
            w.expect_over(c, 487);
        }
        w.run(s(5));
        assert!(requests(&w, one, "PRACK").is_empty(), "{answered}");
        w.hang_up(a);
        w.finish();
    }
}
