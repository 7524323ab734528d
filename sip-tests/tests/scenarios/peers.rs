//! The peers themselves, phone to phone without the node: what judges must be judged first.

use sip_tests::agent::Wire;
use sip_tests::{Answer, Change, Peer, State, World, ms, s};

/// Two phones that know each other's address.
fn pair(seed: u64, media: bool) -> (World, Peer, Peer) {
    let builder = World::builder(seed);
    let mut w = if media { builder.media() } else { builder }.build();
    let (alice, bob) = (w.phone("alice"), w.phone("bob"));
    let (a, b) = (w.agents[0].addr, w.agents[1].addr);
    w.agent(alice).server = Wire::Udp(b);
    w.agent(bob).server = Wire::Udp(a);
    (w, alice, bob)
}

/// RFC 3665 3.1: a call of two phones, with tones and DTMF.
#[test]
fn two_phones_talk_without_the_node() {
    let (mut w, alice, bob) = pair(1, true);
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.voice(a).dial("12#");
    w.run(s(1));
    assert_eq!(w.voice(b).digits, "12#");
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3261 17: every message may be lost; what matters is sent again.
#[test]
fn two_phones_survive_loss() {
    for seed in 0..20 {
        let (mut w, alice, bob) = pair(seed, false);
        for ip in [w.agents[0].addr.ip(), w.agents[1].addr.ip()] {
            let link = w.net.link(ip);
            (link.loss, link.duplicate, link.reorder) = (0.1, 0.1, 0.1);
        }
        let call = w.call(alice, "bob");
        w.up(call);
        w.hang_up(call);
        w.run(s(70));
        assert!(!w.agents[bob.0].calls[0].is_live());
    }
}

/// RFC 3261 9.1, 14.1, RFC 3262, 3311: CANCEL, hold, reliable ringing, UPDATE.
#[test]
fn two_phones_cancel_hold_and_ring_reliably() {
    let (mut w, alice, bob) = pair(3, false);
    w.policy(bob).answer = Answer::Manual;
    w.policy(bob).reliable = true;
    let call = w.call(alice, "bob");
    w.rings(call);
    w.run(ms(200));
    w.hang_up(call);
    w.expect_over(call, 487);
    let call = w.call(alice, "bob");
    w.rings(call);
    let other = w.incoming(bob);
    w.until("the PRACK", |w| w.at(other).requests == ["PRACK"]);
    w.accept(other);
    w.up(call);
    assert_eq!(w.hold(call, "sendonly"), 200);
    assert_eq!(w.at(other).sdp.direction, "recvonly");
    assert_eq!(
        w.update(
            other,
            Change {
                same: true,
                ..Change::default()
            }
        ),
        200
    );
    w.hang_up(call);
    w.expect_over(other, 200);
    w.finish();
}

/// A judge that never complains proves nothing: a lost ACK and a stale CSeq are noticed.
#[test]
fn the_peers_complain() {
    let (mut w, alice, bob) = pair(4, false);
    w.policy(alice).drop_acks = 100;
    let call = w.call(alice, "bob");
    w.up(call);
    w.run(s(40));
    assert!(
        w.agents[bob.0].complaints[0].contains("no ACK"),
        "{:?}",
        w.agents[bob.0].complaints
    );
    assert_eq!(w.state(call), State::Ended(200));
    w.policy(alice).drop_acks = 0;
    w.agent(bob).complaints.clear();
    let call = w.call(alice, "bob");
    w.up(call);
    w.on(call, |agent, _, call| agent.calls[call].cseq = 0);
    w.request(call, "INFO", &[], None);
    assert!(
        w.agents[bob.0].complaints[0].contains("CSeq"),
        "{:?}",
        w.agents[bob.0].complaints
    );
}
