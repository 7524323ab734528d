//! Changes of a call that is up: re-INVITE and UPDATE from either side, hold in every form, and the races between them
//! (RFC 3261 14, RFC 3264 8, RFC 3311, RFC 6337).

use sip_tests::description::{events, opus, pcma, pcmu};
use sip_tests::{CallRef, Change, World, ms, s};

fn talking(seed: u64) -> (World, CallRef, CallRef) {
    let mut w = World::builder(seed).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    (w, a, b)
}

/// RFC 3264 8.4: hold by sendonly: the held side hears nothing of the holder, and after the resume both talk.
#[test]
fn hold_by_sendonly_and_resume() {
    let (mut w, a, b) = talking(1);
    w.expect_tones(a, b);
    assert_eq!(w.hold(a, "sendonly"), 200);
    let answer = w.at(a).remote_sdp.clone().expect("an answer");
    assert!(
        ["recvonly", "inactive"].contains(&answer.direction.as_str()),
        "{answer:?}"
    );
    w.expect_hears(a, None);
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    w.hang_up(b);
    w.finish();
}

/// RFC 3264 8.4: hold by inactive, from the called side.
#[test]
fn hold_by_inactive_from_the_called_side() {
    let (mut w, a, b) = talking(2);
    assert_eq!(w.hold(b, "inactive"), 200);
    w.expect_hears(a, None);
    w.expect_hears(b, None);
    assert_eq!(w.resume(b), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// RFC 2543's hold by `c=0.0.0.0`, which old phones still send.
#[test]
fn hold_by_the_address_zero() {
    let (mut w, a, b) = talking(3);
    assert_eq!(
        w.reinvite(
            a,
            Change {
                zero_address: true,
                ..Change::default()
            }
        ),
        200
    );
    w.expect_hears(a, None);
    assert_eq!(w.reinvite(a, Change::default()), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// RFC 3264 8.4: both hold; one resumes and is still held by the other; then both talk.
#[test]
fn both_sides_hold_at_once() {
    let (mut w, a, b) = talking(4);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(ms(500));
    assert_eq!(w.hold(b, "sendonly"), 200);
    w.run(ms(500));
    w.expect_hears(a, None);
    w.expect_hears(b, None);
    assert_eq!(w.resume(a), 200);
    w.run(ms(500));
    w.expect_hears(b, None);
    assert_eq!(w.resume(b), 200);
    w.run(ms(500));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// RFC 3264 8.3.1: a new port: media follows.
#[test]
fn resume_on_another_port() {
    let (mut w, a, b) = talking(5);
    assert_eq!(w.hold(a, "inactive"), 200);
    assert_eq!(
        w.reinvite(
            a,
            Change {
                direction: Some("sendrecv"),
                new_port: true,
                ..Change::default()
            }
        ),
        200
    );
    w.expect_tones(a, b);
    w.hang_up(b);
    w.finish();
}

/// RFC 3264 8.3.2: another codec in the middle of the call: the other side does not notice.
#[test]
fn a_change_of_codec() {
    let (mut w, a, b) = talking(6);
    let changes = w.at(b).requests.len();
    assert_eq!(
        w.reinvite(
            a,
            Change {
                formats: Some(vec![pcmu(), events()]),
                ..Change::default()
            }
        ),
        200
    );
    assert_eq!(w.voice(a).format().name, "PCMU/8000");
    w.expect_tones(a, b);
    assert_eq!(
        w.reinvite(
            a,
            Change {
                formats: Some(vec![opus(), events()]),
                ..Change::default()
            }
        ),
        200
    );
    assert!(w.voice(a).format().name.starts_with("opus"));
    w.expect_tones(a, b);
    assert!(w.at(b).requests.len() <= changes + 2);
    w.hang_up(a);
    w.finish();
}

/// RFC 3261 14.2, RFC 3264 8: an offer that cannot be met is 488, and the session stays as it was.
#[test]
fn a_refused_change_keeps_the_session() {
    let (mut w, a, b) = talking(7);
    let strange = sip_tests::description::Format::new(18, "G729/8000");
    assert_eq!(
        w.reinvite(
            a,
            Change {
                formats: Some(vec![strange]),
                ..Change::default()
            }
        ),
        488
    );
    w.on(a, |agent, _, call| {
        agent.calls[call].sdp.formats = vec![pcma(), pcmu(), events()];
    });
    w.expect_tones(a, b);
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.hang_up(a);
    w.finish();
}

/// The other side refuses what we carry over: the one who asked keeps its session.
#[test]
fn a_change_that_the_other_side_refuses() {
    let (mut w, a, b) = talking(8);
    w.policy(b.peer).refuse_change = Some(488);
    let status = w.hold(a, "sendonly");
    assert!(status == 200 || status == 488, "{status}");
    w.policy(b.peer).refuse_change = None;
    assert_eq!(w.resume(a), 200);
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// RFC 3261 14.1, 14.2: a re-INVITE without an offer gets a full one, and the answer comes in the ACK.
#[test]
fn a_reinvite_without_an_offer() {
    let (mut w, a, b) = talking(9);
    assert_eq!(
        w.reinvite(
            a,
            Change {
                no_offer: true,
                ..Change::default()
            }
        ),
        200
    );
    let offer = w.last_received(a.peer, |m| m.answers("INVITE", 200) && m.has_sdp());
    let formats = sip_tests::description::Description::read(&offer.body)
        .expect("an offer")
        .formats;
    assert!(formats.len() > 2, "everything that we can do: {formats:?}");
    w.expect_tones(a, b);
    w.hang_up(b);
    w.finish();
}

/// RFC 3261 14.1: both change at the same moment: 491 for one at least, both try again after different times, both succeed.
#[test]
fn glare_of_two_reinvites() {
    let (mut w, a, b) = talking(10);
    w.policy(a.peer).retry_491 = true;
    w.policy(b.peer).retry_491 = true;
    for round in 0..8u64 {
        let hold = Change {
            direction: Some("sendonly"),
            ..Change::default()
        };
        w.on(a, |agent, cx, call| agent.reinvite(cx, call, hold.clone()));
        w.run(ms(round * 2));
        w.on(b, |agent, cx, call| agent.reinvite(cx, call, hold.clone()));
        w.run(s(12));
        let directions = |w: &World| (w.at(a).answer_to("INVITE"), w.at(b).answer_to("INVITE"));
        assert_eq!(directions(&w), (Some(200), Some(200)), "round {round}");
        assert_eq!(w.resume(a), 200);
        w.run(s(1));
        assert_eq!(w.resume(b), 200);
        w.run(s(1));
    }
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
    assert_eq!(w.cause(), (200, 16));
}

/// RFC 3261 14.1 for our own re-INVITE: it meets that of the peer on the wire. We answer 491, the peer answers 491, both come through.
#[test]
fn our_reinvite_meets_the_peers_on_the_wire() {
    let (mut w, a, b) = talking(11);
    w.policy(b.peer).retry_491 = true;
    let ip = w.agents[b.peer.0].addr.ip();
    w.net.link(ip).delay = ms(150);
    // Alice's hold makes the node ask bob; bob asks at the same time.
    let hold = Change {
        direction: Some("sendonly"),
        ..Change::default()
    };
    w.on(a, |agent, cx, call| agent.reinvite(cx, call, hold.clone()));
    w.run(ms(20));
    let refusals = |w: &World| {
        w.agents[b.peer.0]
            .log
            .iter()
            .filter(|seen| seen.msg.answers("INVITE", 491))
            .count()
    };
    w.on(b, |agent, cx, call| {
        agent.reinvite(
            cx,
            call,
            Change {
                same: true,
                ..Change::default()
            },
        )
    });
    w.run(s(15));
    assert!(refusals(&w) >= 1, "glare was met");
    assert_eq!(w.at(b).answer_to("INVITE"), Some(200), "bob's second try is taken");
    let told = w.at(b).remote_sdp.as_ref().map(|sdp| sdp.direction.clone());
    assert!(
        matches!(told.as_deref(), Some("sendonly" | "inactive")),
        "the hold has reached bob in the end: {told:?}"
    );
    w.hang_up(a);
    w.finish();
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

/// RFC 3311 5: UPDATE changes a call that is up; one without SDP only refreshes.
#[test]
fn update_in_a_call_that_is_up() {
    let (mut w, a, b) = talking(13);
    assert_eq!(
        w.update(
            a,
            Change {
                direction: Some("sendonly"),
                ..Change::default()
            }
        ),
        200
    );
    w.expect_hears(a, None);
    assert_eq!(
        w.update(
            a,
            Change {
                direction: Some("sendrecv"),
                ..Change::default()
            }
        ),
        200
    );
    assert_eq!(
        w.update(
            b,
            Change {
                no_offer: true,
                same: true,
                ..Change::default()
            }
        ),
        200
    );
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

/// RFC 3261 14.1: BYE while a re-INVITE of ours is under way.
#[test]
fn bye_while_a_reinvite_is_under_way() {
    let (mut w, a, b) = talking(16);
    let ip = w.agents[b.peer.0].addr.ip();
    w.net.link(ip).delay = ms(200);
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
    w.run(ms(30));
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3264 8: nothing of the description may change its version without need, and a refresh repeats it.
#[test]
fn our_description_keeps_its_session_id_and_counts_its_versions() {
    let (mut w, a, _) = talking(17);
    let origin = |body: &str| {
        let line = body.lines().find(|line| line.starts_with("o=")).expect("o=").to_owned();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        (words[1].clone(), words[2].parse::<u64>().expect("a version"))
    };
    let first = origin(&w.last_received(a.peer, |m| m.answers("INVITE", 200)).body);
    w.hold(a, "sendonly");
    let second = origin(&w.last_received(a.peer, |m| m.answers("INVITE", 200)).body);
    w.reinvite(
        a,
        Change {
            same: true,
            ..Change::default()
        },
    );
    let third = origin(&w.last_received(a.peer, |m| m.answers("INVITE", 200)).body);
    assert_eq!((&first.0, &first.0), (&second.0, &third.0));
    assert_eq!(second.1, first.1 + 1);
    assert!(third.1 == second.1 || third.1 == second.1 + 1);
    w.hang_up(a);
    w.finish();
}
