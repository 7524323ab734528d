//! Where calls go whom nobody takes: `on_busy`, `on_no_answer`, `on_offline`, a phone's own 302; and circles of them.

use crate::tools::{fails, incoming, works, world};
use sip_tests::{Answer, State, World, ms, s};

/// What each user wants; alice calls.
fn office(seed: u64, bob: &str, carol: &str, dave: &str) -> World {
    let users = format!(
        "users:
  - {{ name: alice, password: \"wonder land\", number: \"+14155550101\", calls: 20 }}
  - {{ name: bob, password: builder, number: \"+14155550102\", calls: 1, ring: 15s{bob} }}
  - {{ name: carol, password: xmas, number: \"+14155550103\", calls: 1, ring: 15s{carol} }}
  - {{ name: dave, password: goliath, number: \"+14155550104\", calls: 1, ring: 15s{dave} }}
trunks:
  - {{ name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: {{ country: US }}, limits: {{ calls: 1 }} }}
routes:
  - {{ to: \"600\", do: echo }}
  - {{ to: \"+44*\", from: user/bob, do: trunk/acme }}
"
    );
    world(seed, &users)
}

/// Each reason has its own target; without one for the reason at hand the call fails as ever.
#[test]
fn each_reason_has_its_own_target() {
    let mut w = office(1, ", on_busy: carol, on_no_answer: dave, on_offline: \"600\"", "", "");
    let (alice, carol, dave) = (w.registered("alice"), w.registered("carol"), w.registered("dave"));
    let echo = w.call(alice, "bob");
    w.up(echo);
    assert_eq!(w.cdr().to, "echo", "he is offline");
    w.hang_up(echo);
    let bob = w.registered("bob");
    w.policy(bob).answer = Answer::Status(486, ms(200), Vec::new());
    works(&mut w, alice, "bob");
    assert_eq!((incoming(&w, carol).len(), w.cdr().to.as_str()), (1, "user/carol"));
    w.policy(bob).answer = Answer::Manual;
    works(&mut w, alice, "bob");
    assert_eq!((incoming(&w, dave).len(), w.cdr().to.as_str()), (1, "user/dave"));
    w.register_with(carol, &["Contact: *", "Expires: 0"]);
    w.policy(bob).answer = Answer::Status(486, ms(200), Vec::new());
    fails(&mut w, alice, "bob", 480);
    w.finish();
}

/// The limit of calls is a reason like a phone's own 486, and the one who is forwarded to rings for his own time.
#[test]
fn a_busy_line_is_forwarded_at_once() {
    let mut w = office(2, ", on_busy: carol", ", on_no_answer: dave", "");
    let (alice, bob, carol, dave) = (
        w.registered("alice"),
        w.registered("bob"),
        w.registered("carol"),
        w.registered("dave"),
    );
    w.policy(carol).answer = Answer::Manual;
    let (a, _) = w.talk(alice, bob, "bob");
    let before = w.now;
    let call = w.call(alice, "bob");
    w.up(call);
    assert!(
        (s(16)..s(17)).contains(&w.now.since(before)),
        "15 s at carol's, a second at dave's"
    );
    assert_eq!(
        (
            incoming(&w, bob).len(),
            incoming(&w, carol).len(),
            incoming(&w, dave).len()
        ),
        (1, 1, 1)
    );
    assert_eq!(w.at(incoming(&w, carol)[0]).state, State::Ended(487));
    w.hang_up(call);
    w.hang_up(a);
    w.finish();
}

/// A circle of forwarding ends: after five hops the call fails with 480 and Q.850 25, and holds nothing any more.
#[test]
fn circles_end() {
    for (seed, bob, carol) in [
        (3, ", on_offline: carol", ", on_offline: bob"),
        (4, ", on_busy: carol", ", on_offline: \"+14155550102\""),
        (5, ", on_busy: carol", ", on_busy: bob"),
    ] {
        let mut w = office(seed, bob, carol, "");
        let alice = w.registered("alice");
        for name in ["bob", "carol"].iter().take(seed as usize - 3) {
            let phone = w.registered(name);
            w.policy(phone).answer = Answer::Status(486, ms(10), Vec::new());
        }
        fails(&mut w, alice, "bob", 480);
        assert_eq!(w.cause(), (480, 25), "seed {seed}");
        w.finish();
    }
}

/// A long chain that is no circle still rings everybody on it, and the places of those whom it has left are free at once.
#[test]
fn a_chain_frees_whom_it_leaves() {
    let mut w = office(
        6,
        ", on_no_answer: carol",
        ", on_no_answer: dave",
        ", on_no_answer: bob",
    );
    let (alice, bob, carol, dave) = (
        w.registered("alice"),
        w.registered("bob"),
        w.registered("carol"),
        w.registered("dave"),
    );
    for phone in [bob, carol, dave] {
        w.policy(phone).answer = Answer::Manual;
    }
    let first = w.call(alice, "bob");
    w.until("carol's phone rings", |w| !w.agents[carol.0].calls.is_empty());
    let second = w.call(alice, "bob");
    w.rings(second);
    assert_eq!(incoming(&w, bob).len(), 2, "he is not busy any more");
    w.expect_over(first, 480);
    let ended = w.records.by_call.values().next().and_then(|cdr| cdr.ended.as_ref());
    assert_eq!(ended.map(|(_, cause)| cause.q850), Some(25));
    w.hang_up(second);
    w.expect_over(second, 487);
    for phone in [bob, carol, dave] {
        w.policy(phone).answer = Answer::After(ms(100));
    }
    for name in ["bob", "carol", "dave"] {
        works(&mut w, alice, name);
    }
    w.finish();
}

/// RFC 3261 13.3.1.1: while a call goes from one to the next, the caller hears of it once a minute, and not more often.
#[test]
fn a_long_search_is_told_once_a_minute() {
    let mut w = office(
        10,
        ", on_no_answer: carol",
        ", on_no_answer: dave",
        ", on_no_answer: bob",
    );
    let alice = w.registered("alice");
    for name in ["bob", "carol", "dave"] {
        let phone = w.registered(name);
        w.policy(phone).answer = Answer::Manual;
    }
    let call = fails(&mut w, alice, "bob", 480);
    assert_eq!(w.at(call).statuses, [180, 180, 480], "six users ring for 15 s each");
    w.finish();
}

/// The caller gives up while the call is on its way from one user to the next: CANCEL finds whoever rings (RFC 3261 9.1).
#[test]
fn cancel_reaches_the_one_who_rings_now() {
    for after in [14_990, 15_000, 15_020, 15_150] {
        let mut w = office(7, ", on_no_answer: carol", "", "");
        let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
        w.policy(bob).answer = Answer::Manual;
        w.policy(carol).answer = Answer::Manual;
        let call = w.call(alice, "bob");
        w.run(ms(after));
        w.hang_up(call);
        w.expect_over(call, 487);
        w.run(s(1));
        for phone in [bob, carol] {
            assert!(
                incoming(&w, phone)
                    .iter()
                    .all(|call| w.state(*call) == State::Ended(487)),
                "after {after} ms"
            );
        }
        w.finish();
    }
}

/// RFC 3261 8.1.3.4, 21.3.3: a phone's 302 sends the call on, by the rights of its user and not of the caller.
#[test]
fn a_phone_sends_the_call_on() {
    let mut w = office(8, "", "", "");
    let (alice, bob, dave) = (w.registered("alice"), w.registered("bob"), w.registered("dave"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let moved = |to: &str| Answer::Status(302, ms(100), vec![format!("Contact: <sip:{to}@example.com>")]);
    w.policy(bob).answer = moved("dave");
    works(&mut w, alice, "bob");
    assert_eq!(incoming(&w, dave).len(), 1);
    // Bob may call England; alice may not, and not by way of dave either.
    w.policy(bob).answer = moved("+442079460000");
    works(&mut w, alice, "bob");
    assert_eq!(incoming(&w, acme).len(), 1);
    w.policy(dave).answer = moved("+442079460000");
    fails(&mut w, alice, "dave", 404);
    fails(&mut w, alice, "+442079460000", 404);
    // A circle of 302 ends as any other.
    w.policy(bob).answer = moved("dave");
    w.policy(dave).answer = moved("bob");
    fails(&mut w, alice, "bob", 480);
    assert_eq!(w.cause(), (480, 25));
    w.finish();
}

/// A forwarded call takes a place of the trunk that it leaves by, and gives it back once.
#[test]
fn a_forwarded_call_holds_its_place() {
    let mut w = office(9, ", on_offline: \"+442079460000\"", "", "");
    let (alice, acme) = (w.registered("alice"), w.carrier("acme", "198.51.100.1:5060"));
    let call = w.call(alice, "bob");
    w.up(call);
    assert_eq!(w.census().trunk_places, 1);
    fails(&mut w, alice, "bob", 480);
    assert!(
        w.cdr()
            .ended
            .as_ref()
            .is_some_and(|(_, cause)| cause.text.contains("acme")),
        "the trunk is full"
    );
    w.hang_up(call);
    w.run(ms(20));
    assert_eq!(w.census().trunk_places, 0);
    works(&mut w, alice, "bob");
    assert_eq!(incoming(&w, acme).len(), 2);
    w.finish();
}

/// A phone's 302 to a name at another host does not ring our user of that name: the branch has failed. A further Contact may be ours.
#[test]
fn a_phone_that_sends_its_calls_to_another_host() {
    let mut w = office(30, "", "", "");
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let away = "Contact: <sip:carol@elsewhere.example>";
    w.policy(bob).answer = Answer::Status(302, ms(100), vec![away.to_owned()]);
    fails(&mut w, alice, "bob", 480);
    assert!(incoming(&w, carol).is_empty());
    let both = format!("{away}, <sip:carol@example.com>");
    w.policy(bob).answer = Answer::Status(302, ms(100), vec![both]);
    works(&mut w, alice, "bob");
    assert_eq!(incoming(&w, carol).len(), 1);
    w.finish();
}
