//! What is told of a call's media, from the wire to the record: who is not heard, the level, extended reports (RFC 3611).

use bytes::Bytes;
use sip_tests::description::{events, pcma};
use sip_tests::{CallRef, Peer, World, ms, s};
use std::net::SocketAddr;
use tandem::effect::Party;
use tandem::media::command::{Missing, Trouble};

const UNKNOWN: Trouble = Trouble::NothingComes(Missing::Unknown);

fn user(name: &str) -> Party {
    Party::User(name.to_owned())
}

/// Both speak G.711; alice is the caller.
fn talking(seed: u64) -> (World, [Peer; 2], [CallRef; 2]) {
    let mut w = World::builder(seed).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    for peer in [alice, bob] {
        w.policy(peer).formats = vec![pcma(), events()];
    }
    let (a, b) = w.talk(alice, bob, "bob");
    (w, [alice, bob], [a, b])
}

/// A call that is well, held, resumed and renewed: nothing is told of it, and its record says how it sounded.
#[test]
fn a_call_that_is_well_is_told_nothing_of_but_its_measures() {
    let (mut w, _, [a, b]) = talking(60);
    w.run(s(12));
    assert_eq!(w.cdr().measured.len(), 2, "while it is up");
    for direction in ["sendonly", "inactive"] {
        w.hold(a, direction);
        w.voice(a).sends = false;
        w.run(s(20));
        w.voice(a).sends = true;
        w.resume(a);
        w.run(s(8));
    }
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
    let cdr = w.cdr();
    assert_eq!(cdr.troubles, []);
    for leg in &cdr.legs {
        let (level, mos) = (leg.stats.level_dbm0.expect("a level"), leg.stats.mos.expect("a score"));
        assert!((-20.0..0.0).contains(&level) && mos > 4.2, "{:?}", leg.stats);
        assert_eq!((leg.stats.silence, leg.stats.wide_band), (Some(0.0), false));
    }
}

#[test]
fn one_way_audio_and_no_audio_are_told_with_their_side_within_five_seconds() {
    let (mut w, [alice, bob], [a, b]) = talking(61);
    w.run(s(3));
    // Bob falls silent, then alice's network is cut off too.
    w.voice(b).sends = false;
    w.run(s(5));
    assert_eq!(w.cdr().troubles, [(user("bob"), UNKNOWN, false)]);
    let ip = w.agents[alice.0].addr.ip();
    w.net.link(ip).cut = true;
    w.run(s(5));
    assert_eq!(w.cdr().troubles[1..], [(user("alice"), UNKNOWN, false)]);
    w.net.link(ip).cut = false;
    w.voice(b).sends = true;
    w.run(s(2));
    let over: Vec<_> = w.cdr().troubles[2..]
        .iter()
        .map(|(_, trouble, over)| (*trouble, *over))
        .collect();
    assert_eq!(over, [(UNKNOWN, true); 2]);
    w.hang_up(a);
    w.finish();
    assert!(w.agents[bob.0].calls.iter().all(|call| !call.is_live()));
    let names: Vec<_> = w.cdr().legs.iter().map(|leg| leg.stats.troubles.names()).collect();
    assert_eq!(
        names,
        [Some("nothing came".to_owned()), Some("nothing came".to_owned())]
    );
}

/// From the answer on; and what is not heard before it is nobody's trouble.
#[test]
fn a_phone_that_never_speaks_is_told_of_after_the_answer() {
    let mut w = World::builder(62).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = sip_tests::Answer::Manual;
    w.agent(alice).tone = None;
    let a = w.call(alice, "bob");
    w.rings(a);
    w.run(s(20));
    assert_eq!(w.cdr().troubles, []);
    let b = w.incoming(bob);
    w.accept(b);
    w.up(a);
    w.run(s(5));
    assert_eq!(w.cdr().troubles, [(user("alice"), UNKNOWN, false)]);
    w.hang_up(b);
    w.finish();
}

/// RFC 3611 5: what we offer is our own; who asks in its answer gets metrics, and what it says itself is in the record.
#[test]
fn extended_reports_are_offered_to_each_side_and_sent_to_who_asks() {
    let (mut w, [alice, bob], [a, b]) = talking(63);
    let offers = w.received(bob, |message| message.method() == "INVITE");
    let offer = &offers[0].1.body;
    assert!(offer.contains("\r\na=rtcp-xr:rcvr-rtt=all voip-metrics\r\n"), "{offer}");
    let answers = w.received(alice, |message| message.status() == 200 && !message.body.is_empty());
    let answer = &answers[0].1.body;
    assert!(
        !answer.contains("rtcp-xr"),
        "who offers none is answered none: {answer}"
    );
    w.run(s(7));
    // Bob tells what he hears, unasked: a receiver report, and metrics of our stream.
    let ours = w.voice(b).packets.last().map(|packet| packet.ssrc).expect("packets");
    let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 9, 0x80, 207, 0, 10, 0, 0, 0, 9, 7, 0, 0, 8];
    report.extend(ours.to_be_bytes());
    report.extend([
        51, 26, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 127, 127, 127, 16, 60, 127, 33, 31, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let (from, to) = (
        w.voice(b).port + 1,
        w.at(b).remote_sdp.as_ref().map(|sdp| sdp.at).expect("it is up"),
    );
    let from = SocketAddr::new(w.agents[bob.0].addr.ip(), from);
    w.send_udp(from, SocketAddr::new(to.ip(), to.port() + 1), Bytes::from(report));
    w.run(ms(100));
    w.hang_up(a);
    w.finish();
    let peers: Vec<_> = w.cdr().legs.iter().map(|leg| (leg.caller, leg.stats.peer)).collect();
    let (_, peer) = peers.iter().find(|(caller, _)| !caller).expect("the callee's leg");
    let peer = peer.expect("its own view");
    assert_eq!((peer.loss, peer.discard, peer.mos), (51, 26, Some(3.1)));
    assert!(
        peers.iter().all(|(caller, peer)| !caller || peer.is_none()),
        "{peers:?}"
    );
}
