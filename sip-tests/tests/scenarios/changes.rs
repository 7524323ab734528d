//! Changes that meet others of the same side on a slow network, and a target that moves (RFC 3261 12.2, 14, RFC 3311).

use sip_tests::{CallRef, Change, World, ms, s};

fn talking(seed: u64) -> (World, CallRef, CallRef) {
    let mut w = World::builder(seed).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    (w, a, b)
}

/// RFC 3261 14.2: a second INVITE before the first is answered: 500 with Retry-After, or 491; never two answers mixed up.
#[test]
fn two_reinvites_of_one_side_at_once() {
    let (mut w, a, b) = talking(12);
    let ip = w.agents[b.peer.0].addr.ip();
    w.net.link(ip).delay = ms(300);
    for direction in ["sendonly", "sendrecv"] {
        let change = Change {
            direction: Some(direction),
            ..Change::default()
        };
        w.on(a, |agent, cx, call| agent.reinvite(cx, call, change));
    }
    w.run(s(10));
    let statuses: Vec<u16> = w.at(a).answers.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses.len(), 2, "{statuses:?}");
    assert!(
        statuses.contains(&200) && statuses.iter().all(|status| [200, 491, 500].contains(status)),
        "{statuses:?}"
    );
    w.net.link(ip).delay = ms(5);
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// RFC 3311 5.2: UPDATE with an offer while a re-INVITE waits for its answer: 491 or 500.
#[test]
fn update_meets_a_reinvite() {
    let (mut w, a, b) = talking(14);
    let ip = w.agents[b.peer.0].addr.ip();
    w.net.link(ip).delay = ms(300);
    w.on(a, |agent, cx, call| {
        agent.reinvite(
            cx,
            call,
            Change {
                direction: Some("sendonly"),
                ..Change::default()
            },
        )
    });
    w.run(ms(20));
    let status = w.update(
        a,
        Change {
            same: true,
            ..Change::default()
        },
    );
    assert!([200, 491, 500].contains(&status), "{status}");
    w.run(s(5));
    assert_eq!(w.at(a).answer_to("INVITE"), Some(200));
    w.net.link(ip).delay = ms(5);
    w.run(s(1));
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    w.hang_up(b);
    w.finish();
}

/// RFC 3261 12.2.1.2: the Contact changes with a re-INVITE: what we send later goes to the new target.
#[test]
fn a_new_contact_is_the_new_target() {
    let (mut w, a, b) = talking(15);
    w.policy(a.peer).contact = Some("<sip:moved@203.0.0.10:5060>".into());
    assert_eq!(
        w.reinvite(
            a,
            Change {
                same: true,
                ..Change::default()
            }
        ),
        200
    );
    w.hang_up(b);
    w.expect_over(a, 200);
    let bye = w.last_received(a.peer, |m| m.is("BYE"));
    assert_eq!(bye.uri(), "sip:moved@203.0.0.10:5060");
    w.finish();
}
