//! Before the answer: ringing, early media, forks, reliable provisional responses (RFC 3261 12.1, 13.2.2.1; RFC 3262; RFC 3960).

use sip_tests::{Answer, Change, Peer, State, World, ms, s};
use tandem::id::Transport;

/// A user with two phones, and a caller.
fn two_phones(w: &mut World) -> (Peer, Peer, Peer) {
    let (alice, desk) = (w.registered("alice"), w.device("desk", "bob", Transport::Udp));
    let cell = w.device("cell", "bob", Transport::Udp);
    w.register(desk);
    w.register(cell);
    (alice, desk, cell)
}

/// RFC 3261 16.7, 13.2.2.4: all phones of a user ring, the first that answers has the call, the other is cancelled with the reason.
#[test]
fn all_phones_ring_and_the_first_answer_wins() {
    let mut w = World::builder(1).media().build();
    let (alice, desk, cell) = two_phones(&mut w);
    w.policy(desk).answer = Answer::Manual;
    w.policy(cell).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    let (d, c) = (w.incoming(desk), w.incoming(cell));
    w.run(ms(500));
    w.accept(c);
    w.up(call);
    w.expect_over(d, 487);
    // RFC 3326: so that it shows no missed call.
    assert!(
        w.at(d).reason.as_deref().is_some_and(|reason| reason.contains("200")),
        "{:?}",
        w.at(d).reason
    );
    w.expect_tones(call, c);
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 13.2.2.4: both answer at once: one gets the call, the other ACK and BYE.
#[test]
fn both_phones_answer_at_once() {
    let mut w = World::new(2);
    let (alice, desk, cell) = two_phones(&mut w);
    w.policy(desk).answer = Answer::After(ms(1000));
    w.policy(cell).answer = Answer::After(ms(1000));
    let call = w.call(alice, "bob");
    w.up(call);
    w.run(s(1));
    let states = [desk, cell].map(|peer| w.agents[peer.0].calls[0].state);
    assert!(
        states.contains(&State::Up) && states.contains(&State::Ended(200)),
        "{states:?}"
    );
    assert!([desk, cell].iter().all(|peer| w.agents[peer.0].calls[0].acked));
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 16.7: one is busy, the other still rings; when all have refused, the best answer goes back.
#[test]
fn busy_on_one_phone_is_not_the_end() {
    let mut w = World::new(3);
    let (alice, desk, cell) = two_phones(&mut w);
    w.policy(desk).answer = Answer::Status(486, ms(200), Vec::new());
    w.policy(cell).answer = Answer::After(ms(2000));
    let call = w.call(alice, "bob");
    w.up(call);
    w.hang_up(call);
    w.policy(cell).answer = Answer::Status(480, ms(400), Vec::new());
    let call = w.call(alice, "bob");
    let status = w.over(call);
    assert!([480, 486].contains(&status), "{status}");
    w.finish();
}

/// RFC 3261 21.6: a 6xx ends everything at once.
#[test]
fn a_6xx_of_one_phone_ends_the_ringing_of_the_other() {
    let mut w = World::new(4);
    let (alice, desk, cell) = two_phones(&mut w);
    w.policy(desk).answer = Answer::Manual;
    w.policy(cell).answer = Answer::Status(603, ms(800), Vec::new());
    let call = w.call(alice, "bob");
    w.expect_over(call, 603);
    w.until("the desk phone stops", |w| !w.agents[desk.0].calls[0].is_live());
    w.finish();
}

/// RFC 3960 3: early media of a carrier is heard before the answer.
#[test]
fn early_media_is_heard() {
    let mut w = World::builder(5).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).answer = Answer::Manual;
    w.policy(acme).ring_status = 183;
    w.policy(acme).ring_sdp = true;
    let call = w.call(alice, "+442079460000");
    w.rings(call);
    let other = w.incoming(acme);
    w.expect_hears(call, Some(other));
    assert_eq!(w.state(call), State::Ringing);
    w.accept(other);
    w.up(call);
    w.expect_tones(call, other);
    w.hang_up(other);
    w.finish();
    assert!(w.cdr().ringing < w.cdr().answered);
}

/// RFC 3261 12.1, 13.2.2.4: a carrier forks: two To tags with two descriptions, the 200 comes from a third.
#[test]
fn forked_early_dialogs_and_an_answer_from_a_third() {
    let mut w = World::builder(6).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).answer = Answer::Manual;
    w.policy(acme).ring = None;
    let call = w.call(alice, "+442079460000");
    let other = w.incoming(acme);
    for (tag, port) in [("fork-one", 24_000), ("fork-two", 24_100)] {
        w.on(other, |agent, cx, call| {
            agent.calls[call].sdp.at.set_port(port);
            agent.respond_as(cx, call, 183, true, &[], tag);
        });
        w.run(ms(200));
    }
    w.on(other, |agent, _, call| agent.calls[call].sdp.at.set_port(24_200));
    w.accept(other);
    w.up(call);
    w.expect_tones(call, other);
    assert_eq!(
        w.received(acme, |m| m.is("ACK")).last().expect("an ACK").1.to_tag(),
        w.at(other).local_tag
    );
    w.hang_up(call);
    w.finish();
}

/// RFC 3262 3, 4: reliable provisional responses of the called side are acknowledged, once each, and in order.
#[test]
fn reliable_ringing_is_acknowledged() {
    let mut w = World::new(7);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).reliable = true;
    w.policy(acme).answer = Answer::Manual;
    let call = w.call(alice, "+442079460000");
    let other = w.incoming(acme);
    w.rings(call);
    w.respond_sdp(other, 183);
    w.run(s(1));
    assert_eq!(w.received(acme, |m| m.is("PRACK")).len(), 2);
    let racks: Vec<String> = w
        .received(acme, |m| m.is("PRACK"))
        .iter()
        .map(|(_, m)| m.text("RAck").to_owned())
        .collect();
    assert_eq!(racks, ["1 1 INVITE", "2 1 INVITE"]);
    w.accept(other);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// RFC 3262 3: our reliable provisional response is repeated until its PRACK comes, and a doubled one is harmless.
#[test]
fn our_reliable_ringing_is_repeated_until_prack() {
    let mut w = World::new(8);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).invite_lines = vec!["Require: 100rel".into()];
    w.policy(alice).prack = false;
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    w.run(s(4));
    let copies = w.received(alice, |m| m.answers("INVITE", 180)).len();
    assert!(copies >= 3, "T1, 2*T1, 4*T1: {copies}");
    let first = w.last_received(alice, |m| m.answers("INVITE", 180));
    assert!(first.has_token("Require", "100rel"));
    let rack = format!("RAck: {} {} INVITE", first.text("RSeq"), first.cseq().0);
    assert_eq!(w.request(call, "PRACK", &[&rack], None), 200);
    assert_eq!(
        w.request(call, "PRACK", &[&rack], None),
        481,
        "it is acknowledged already"
    );
    let before = w.received(alice, |m| m.answers("INVITE", 180)).len();
    w.run(s(8));
    assert_eq!(w.received(alice, |m| m.answers("INVITE", 180)).len(), before);
    w.policy(alice).prack = true;
    w.hang_up(call);
    w.expect_over(call, 487);
    w.finish();
}

/// RFC 3262 3: a reliable response that is never acknowledged ends the INVITE with 5xx after 64*T1.
#[test]
fn ringing_that_is_never_acknowledged() {
    let mut w = World::new(9);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).invite_lines = vec!["Require: 100rel".into()];
    w.policy(alice).prack = false;
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    let status = w.over(call);
    assert!((500..600).contains(&status), "{status}");
    w.until("bob does not ring any more", |w| !w.agents[bob.0].calls[0].is_live());
    w.finish();
}

/// RFC 3262 4: a copy of a reliable response that was acknowledged already gets no second PRACK of its own.
#[test]
fn a_repeated_reliable_response_is_not_acknowledged_twice() {
    let mut w = World::new(10);
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).reliable = true;
    w.policy(acme).answer = Answer::Manual;
    let ip = w.agents[acme.0].addr.ip();
    w.net.link(ip).duplicate = 1.0;
    let call = w.call(alice, "+442079460000");
    w.rings(call);
    w.run(s(3));
    let mut branches: Vec<String> = w
        .received(acme, |m| m.is("PRACK"))
        .iter()
        .map(|(_, m)| m.branch())
        .collect();
    branches.dedup();
    assert_eq!(branches.len(), 1, "one transaction, whatever the network doubles");
    w.hang_up(call);
    w.finish();
}

/// RFC 3311 1: UPDATE in an early dialog, after the offer and its reliable answer.
#[test]
fn update_before_the_answer() {
    let mut w = World::builder(11).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).reliable = true;
    w.policy(acme).ring_status = 183;
    w.policy(acme).ring_sdp = true;
    w.policy(acme).answer = Answer::Manual;
    let call = w.call(alice, "+442079460000");
    w.rings(call);
    let other = w.incoming(acme);
    w.run(s(1));
    let status = w.update(
        other,
        Change {
            new_port: true,
            ..Change::default()
        },
    );
    assert_eq!(status, 200);
    w.expect_hears(call, Some(other));
    w.accept(other);
    w.up(call);
    w.expect_tones(call, other);
    w.hang_up(call);
    w.finish();
}

/// RFC 3261 13.2.2.1, RFC 3960: a bare 180 of a carrier: the caller makes its own ringback, or hears ours; then the call works.
#[test]
fn a_bare_180_then_the_answer() {
    let mut w = World::builder(12).media().build();
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    w.policy(acme).answer = Answer::After(s(3));
    let call = w.call(alice, "+442079460000");
    w.up(call);
    let other = w.incoming(acme);
    w.expect_tones(call, other);
    w.hang_up(other);
    w.finish();
}

/// RFC 3261 13.3.1.1: nobody answers: the ring time of the user is over, the caller is told, the phone is cancelled.
#[test]
fn nobody_answers() {
    let mut w = World::new(13);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    let from = w.now;
    let status = w.over(call);
    assert!([408, 480].contains(&status), "{status}");
    let took = w.now.since(from);
    assert!((s(55)..s(70)).contains(&took), "`ring` is 60 s by default: {took:?}");
    w.until("bob is cancelled", |w| !w.agents[bob.0].calls[0].is_live());
    w.finish();
}

/// RFC 3261 13.3.1.1: a call that rings for minutes keeps its INVITE transaction alive (provisional responses repeat).
#[test]
fn provisional_responses_are_repeated_every_minute() {
    let config = sip_tests::script::EDGE.replace(
        "{ name: bob, password: builder,",
        "{ name: bob, password: builder, ring: 5m,",
    );
    let mut w = World::builder(14).config(&config).build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let call = w.call(alice, "bob");
    w.rings(call);
    w.run(s(200));
    assert!(w.received(alice, |m| (101..200).contains(&m.status())).len() >= 3);
    let other = w.incoming(bob);
    w.accept(other);
    w.up(call);
    w.hang_up(call);
    w.finish();
}

/// Nobody is registered, nobody of that name: 480 and 404, at once.
#[test]
fn offline_and_unknown() {
    let mut w = World::new(15);
    let alice = w.registered("alice");
    let call = w.call(alice, "bob");
    w.expect_over(call, 480);
    let call = w.call(alice, "nobody");
    w.expect_over(call, 404);
    w.finish();
}

/// `calls: 1`: no call waiting: a second caller is told busy, without the phone ringing.
#[test]
fn a_user_without_call_waiting_is_busy() {
    let mut w = World::new(16);
    let (alice, bob, dave) = (w.registered("alice"), w.registered("bob"), w.registered("dave"));
    let (a, _) = w.talk(alice, dave, "dave");
    let second = w.call(bob, "dave");
    w.expect_over(second, 486);
    assert_eq!(w.agents[dave.0].calls.len(), 1);
    w.hang_up(a);
    w.run(s(1));
    let (b, _) = w.talk(bob, dave, "dave");
    w.hang_up(b);
    w.finish();
}

/// RFC 3960 3.2: callers whose configuration says that they make no ringback tone hear ours with the first bare 180, then the one who
/// answers; the others make it themselves.
#[test]
fn a_caller_who_cannot_make_a_ringback_tone_is_given_one() {
    let config = sip_tests::script::EDGE
        .replace("name: alice,", "name: alice, ringback: yes,")
        .replace("name: acme\n", "name: acme\n    ringback: yes\n");
    let mut w = World::builder(40).config(&config).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(bob).answer = Answer::Manual;
    for caller in [alice, acme] {
        let call = w.call(caller, "+14155550102");
        w.rings(call);
        let other = w.incoming(bob);
        assert!((0..30).any(|_| {
            w.run(ms(200));
            w.voice(call).hears().is_some_and(|heard| heard.is(425.0, 12.0))
        }));
        let statuses = w.at(call).statuses.clone();
        assert!(statuses.contains(&183) && !statuses.contains(&180), "{statuses:?}");
        w.respond(other, 180);
        w.run(ms(100));
        assert_eq!(w.at(call).statuses, statuses, "once is enough");
        w.accept(other);
        w.up(call);
        w.expect_tones(call, other);
        w.hang_up(call);
        w.expect_over(other, 200);
    }
    let call = w.call(carol, "bob");
    w.rings(call);
    assert!(w.at(call).statuses.contains(&180) && w.at(call).remote_sdp.is_none());
    w.hang_up(call);
    w.finish();
}
