//! One user with several phones and several numbers: all ring, the first answer wins; busy, call waiting, no answer.

use crate::tools::{builder, fails, incoming, live, works, world};
use sip_tests::{Answer, Peer, State, World, ms, s};
use tandem::id::Transport;

/// Alice calls; bob has no call waiting and rings for 20 s; carol has two lines and three numbers.
const OFFICE: &str = "users:
  - { name: alice, password: \"wonder land\", number: \"+14155550101\", calls: 10 }
  - { name: bob, password: builder, number: \"+14155550102\", calls: 1, ring: 20s }
  - { name: carol, password: xmas, numbers: [ \"+14155550103\", \"+442079460103\", \"103\" ] }
trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: { country: US } }
routes:
  - { to: \"+\", from: user/*, do: trunk/acme }
";

fn devices(w: &mut World, user: &str, count: usize) -> Vec<Peer> {
    let names = (0..count).map(|n| format!("{user}{n}"));
    let phones: Vec<Peer> = names.map(|name| w.device(&name, user, Transport::Udp)).collect();
    phones.iter().for_each(|phone| w.register(*phone));
    phones
}

/// RFC 3261 16.7 step 10, RFC 3326: the first answer wins, the others are cancelled and told that it was answered elsewhere.
#[test]
fn all_phones_ring_and_the_first_answer_wins() {
    let mut w = world(1, OFFICE);
    let alice = w.registered("alice");
    let phones = devices(&mut w, "carol", 3);
    for (phone, after) in phones.iter().zip([s(9), s(2), s(5)]) {
        w.policy(*phone).answer = Answer::After(after);
    }
    let call = w.call(alice, "carol");
    w.up(call);
    w.run(ms(200));
    let states: Vec<State> = phones.iter().map(|phone| w.agents[phone.0].calls[0].state).collect();
    assert_eq!(states, [State::Ended(487), State::Up, State::Ended(487)]);
    let reason = w.agents[phones[0].0].calls[0].reason.clone();
    assert!(reason.is_some_and(|reason| reason.contains("cause=200") && reason.contains("elsewhere")));
    let rang = w.received(alice, |m| m.answers("INVITE", 180)).len();
    assert_eq!(rang, 1, "three phones ring, the caller is told once");
    w.hang_up(call);
    w.finish();
}

/// Two phones that answer in the same moment: one has the call, the other's 2xx is acknowledged and ended (RFC 3261 13.2.2.4).
#[test]
fn two_answers_at_once_make_one_call() {
    let mut w = world(2, OFFICE);
    let alice = w.registered("alice");
    let phones = devices(&mut w, "carol", 2);
    let call = w.call(alice, "carol");
    w.up(call);
    w.run(s(1));
    let up = phones
        .iter()
        .filter(|phone| w.agents[phone.0].calls[0].state == State::Up)
        .count();
    assert_eq!(up, 1);
    assert!(
        phones.iter().all(|phone| w.agents[phone.0].calls[0].acked),
        "both had their ACK"
    );
    w.hang_up(call);
    w.finish();
}

/// As many phones as an address of record may have; all ring, one answers, and every port comes back.
#[test]
fn sixteen_phones_ring() {
    let mut w = builder(3, OFFICE).build();
    let alice = w.registered("alice");
    let phones = devices(&mut w, "carol", 16);
    phones.iter().for_each(|phone| w.policy(*phone).answer = Answer::Manual);
    let call = w.call(alice, "carol");
    w.run(s(1));
    let rings = |w: &World| {
        phones
            .iter()
            .filter(|phone| w.agents[phone.0].calls.iter().any(|c| c.state == State::Ringing))
            .count()
    };
    assert_eq!(rings(&w), 16);
    let last = incoming(&w, phones[15])[0];
    w.accept(last);
    w.up(call);
    w.run(ms(100));
    assert_eq!(rings(&w), 0);
    w.hang_up(last);
    w.expect_over(call, 200);
    w.finish();
}

/// RFC 3261 16.7 steps 5 and 6: one phone that is busy does not stop the others; one that declines speaks for all.
#[test]
fn busy_is_one_phones_word_and_decline_is_the_users() {
    let mut w = world(4, OFFICE);
    let alice = w.registered("alice");
    let phones = devices(&mut w, "carol", 2);
    w.policy(phones[0]).answer = Answer::Status(486, ms(300), Vec::new());
    works(&mut w, alice, "carol");
    w.policy(phones[0]).answer = Answer::Status(603, ms(300), Vec::new());
    let before = w.now;
    fails(&mut w, alice, "carol", 603);
    assert!(
        w.now.since(before) < ms(500),
        "the other phone would have answered after a second"
    );
    w.policy(phones[0]).answer = Answer::Status(486, ms(300), Vec::new());
    w.policy(phones[1]).answer = Answer::Status(480, ms(600), Vec::new());
    fails(&mut w, alice, "carol", 486);
    assert_eq!(w.cause(), (486, 17));
    w.finish();
}

/// Somebody with several numbers is reached by each, in national form too, from inside and from the carrier.
#[test]
fn every_number_of_a_user_reaches_the_user() {
    let mut w = world(5, OFFICE);
    let (alice, carol, acme) = (
        w.registered("alice"),
        w.registered("carol"),
        w.carrier("acme", "198.51.100.1:5060"),
    );
    for number in [
        "+14155550103",
        "4155550103",
        "14155550103",
        "+442079460103",
        "011442079460103",
        "103",
        "carol",
    ] {
        works(&mut w, alice, number);
    }
    for number in ["+14155550103", "4155550103", "+442079460103"] {
        works(&mut w, acme, number);
    }
    assert_eq!(incoming(&w, carol).len(), 10);
    assert!(incoming(&w, acme).is_empty(), "nothing of it went out");
    // Towards a carrier the first of the numbers is shown.
    works(&mut w, carol, "+33123456789");
    assert!(
        w.at(incoming(&w, acme)[0])
            .invite
            .text("From")
            .contains("sip:+14155550103@")
    );
    w.finish();
}

/// The caller's other phones ring when she calls herself; the one that she calls from does not (RFC 3261 16.3 item 4: no loop).
#[test]
fn a_user_calls_the_own_other_phone() {
    let mut w = world(6, OFFICE);
    let phones = devices(&mut w, "carol", 2);
    works(&mut w, phones[0], "103");
    assert_eq!((incoming(&w, phones[0]).len(), incoming(&w, phones[1]).len()), (0, 1));
    w.register_with(phones[1], &["Contact: <sip:carol@203.0.0.11:5060>;expires=0"]);
    fails(&mut w, phones[0], "103", 480);
    w.finish();
}

/// `calls: 1`: busy while in a call, ringing or calling; free again right after each, however it ended.
#[test]
fn a_user_without_call_waiting_is_busy() {
    let mut w = world(7, OFFICE);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    w.policy(bob).answer = Answer::Manual;
    let first = w.call(alice, "bob");
    w.rings(first);
    fails(&mut w, carol, "bob", 486);
    assert_eq!(w.cause(), (486, 17));
    w.hang_up(first);
    w.expect_over(first, 487);
    let second = w.call(carol, "bob");
    w.rings(second);
    let at_bob = w.incoming(bob);
    w.accept(at_bob);
    w.up(second);
    fails(&mut w, alice, "bob", 486);
    w.hang_up(at_bob);
    w.expect_over(second, 200);
    // His own call counts, too.
    let own = w.call(bob, "carol");
    w.up(own);
    fails(&mut w, alice, "bob", 486);
    w.hang_up(own);
    w.expect_over(own, 200);
    let last = w.call(alice, "bob");
    w.rings(last);
    w.hang_up(last);
    w.expect_over(last, 487);
    assert_eq!(incoming(&w, bob).len(), 3, "the busy ones never reached his phone");
    w.finish();
}

/// The default is call waiting: a second call rings, a third is busy; the waiting one can be taken while the first is held.
#[test]
fn call_waiting_lets_a_second_call_ring() {
    let mut w = world(8, OFFICE);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (first, at_carol) = w.talk(alice, carol, "carol");
    w.policy(carol).answer = Answer::Manual;
    let second = w.call(bob, "carol");
    w.rings(second);
    fails(&mut w, acme, "+14155550103", 486);
    assert_eq!(w.hold(at_carol, "sendonly"), 200);
    let waiting = w.incoming(carol);
    w.accept(waiting);
    w.up(second);
    assert!(live(&w, first) && live(&w, second));
    w.hang_up(first);
    w.hang_up(second);
    w.finish();
}

/// `ring: 20s`: then the caller is told 480 (Q.850 19: no answer), and the phone is cancelled with the reason.
#[test]
fn nobody_answers() {
    let mut w = world(9, OFFICE);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(bob).answer = Answer::Manual;
    let before = w.now;
    fails(&mut w, alice, "bob", 480);
    assert!(
        (s(20)..ms(20_100)).contains(&w.now.since(before)),
        "{:?}",
        w.now.since(before)
    );
    assert_eq!(w.cause(), (480, 19));
    w.run(ms(100));
    let missed = w.at(incoming(&w, bob)[0]);
    assert_eq!(missed.state, State::Ended(487));
    assert!(
        missed.reason.as_ref().is_some_and(|reason| reason.contains("cause=19")),
        "{:?}",
        missed.reason
    );
    w.finish();
}

/// The answer and the end of the ringing time cross: either way there is one outcome, and the phone is not left in a call.
#[test]
fn an_answer_against_the_end_of_the_ringing_time() {
    for offset in 0..8 {
        let mut w = world(10 + offset, OFFICE);
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(bob).answer = Answer::After(ms(19_980 + 5 * offset));
        let call = w.call(alice, "bob");
        w.run(s(21));
        let (caller, phone) = (w.state(call), w.agents[bob.0].calls[0].state);
        assert!(
            matches!(
                (caller, phone),
                (State::Up, State::Up) | (State::Ended(480), State::Ended(487 | 200))
            ),
            "seed {}: {caller:?}, {phone:?}",
            w.seed
        );
        w.hang_up(call);
        w.finish();
    }
}

/// RFC 3261 21.4.18, Q.850 20: nobody is registered: at once, without ringing; the same for a user who never was.
#[test]
fn nobody_is_there() {
    let mut w = world(20, OFFICE);
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    fails(&mut w, alice, "carol", 480);
    assert_eq!(w.cause().0, 480);
    w.register_with(bob, &["Contact: *", "Expires: 0"]);
    let before = w.now;
    let call = fails(&mut w, alice, "bob", 480);
    assert!(w.now.since(before) < ms(50));
    assert!(!w.at(call).statuses.contains(&180));
    w.finish();
}

/// A phone that is switched off without a word: its transaction times out, and nobody waits longer than the ringing time.
#[test]
fn a_dead_phone_is_given_up() {
    let mut w = world(21, OFFICE);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    w.policy(bob).deaf = true;
    w.policy(carol).deaf = true;
    let before = w.now;
    fails(&mut w, alice, "bob", 480);
    assert!(w.now.since(before) < s(21), "his ringing time");
    fails(&mut w, alice, "carol", 480);
    assert_eq!(w.cause().1, 20, "timer B: subscriber absent");
    w.finish();
}
