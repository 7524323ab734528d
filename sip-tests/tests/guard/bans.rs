//! Guessing is slowed down, then banned for a while; and whoever must not be banned is not.

use crate::tools::{Host, bans, listen, status, world};
use sip_tests::{World, digest, ms, s};
use tandem::effect::Fact;

const TEN: &str = "guesses: 10, ban: 10m";

/// Guesses until the host is banned or `most` guesses were answered; one each five seconds.
fn guesses(w: &mut World, host: &mut Host, user: &str, most: usize) -> usize {
    let mut answered = 0;
    for _ in 0..most {
        if bans(w).0.contains(&host.addr.ip()) {
            break;
        }
        answered += usize::from(host.tries(w, user, "wrong").1 == 403);
        w.run(s(5));
    }
    answered
}

#[test]
fn guessing_is_slowed_down_then_banned_and_heard_again_after_the_ban() {
    let mut w = world(1, TEN);
    let mut host = Host::new("198.51.77.1:5060");
    let quick: Vec<u16> = (0..5).map(|_| host.tries(&mut w, "alice", "wrong").1).collect();
    assert_eq!(quick, [403, 403, 403, 0, 0], "the fourth comes too soon");
    w.run(s(10));
    let more = guesses(&mut w, &mut host, "alice", 50);
    assert!((7..=10).contains(&more), "{more} more");
    assert_eq!(bans(&w).0, [host.addr.ip()]);
    let told = w.facts.iter().find_map(|fact| match fact {
        Fact::Banned { lasts, why, .. } => Some((*lasts, *why)),
        _ => None,
    });
    assert_eq!(told, Some((s(600), "it gave wrong passwords again and again")));
    for _ in 0..3 {
        assert_eq!(
            host.tries(&mut w, "alice", "wonder land"),
            (0, 0),
            "nothing is heard of it"
        );
        let mut other_port = Host::new("198.51.77.1:6060");
        assert_eq!(other_port.tries(&mut w, "bob", "builder"), (0, 0));
    }
    assert_eq!(
        Host::new("198.51.77.2:5060").tries(&mut w, "bob", "builder"),
        (401, 200),
        "its neighbour is"
    );
    w.run(s(600));
    assert_eq!(bans(&w).1, [host.addr.ip()]);
    let dropped = w.facts.iter().find_map(|fact| match fact {
        Fact::BanEnded { dropped, .. } => Some(*dropped),
        _ => None,
    });
    assert_eq!(dropped, Some(6));
    assert_eq!(host.tries(&mut w, "alice", "wonder land"), (401, 200));
    w.finish();
}

/// Unknown names and known ones are the same to the guard.
#[test]
fn names_that_do_not_exist_count_as_those_that_do() {
    let mut w = world(2, TEN);
    for (ip, user) in [(1, "nobody"), (2, "alice"), (3, "100")] {
        let mut host = Host::new(&format!("198.51.77.{ip}:5060"));
        let answered = guesses(&mut w, &mut host, user, 50);
        assert!((10..=13).contains(&answered), "{user}: {answered}");
        assert_eq!(bans(&w).0.last(), Some(&host.addr.ip()));
    }
    w.finish();
}

/// Whoever forges a source never sees what is sent to it: neither its nonces nor those of others prove anything.
#[test]
fn a_forged_source_is_never_banned_and_its_owner_is_heard() {
    let mut w = world(3, "guesses: 3, ban: 1h");
    let (mut forged, mut own) = (Host::new("203.0.113.50:5060"), Host::new("203.0.113.66:5060"));
    for number in 0..200 {
        let blank = forged.register("alice");
        listen(&mut w, forged.addr, &blank);
        let first = own.register("alice");
        if let Some(challenge) = own.asks(&mut w, &first).pop() {
            // A nonce that was sent to somebody else, and one that was never sent.
            let answer = forged.answer(&challenge, "alice", "wrong");
            listen(&mut w, forged.addr, &answer);
            let nonce = digest::field(challenge.text("WWW-Authenticate"), "nonce")
                .unwrap()
                .to_owned();
            listen(&mut w, forged.addr, &answer.replace(&nonce, &format!("{number:064x}")));
        }
        w.run(ms(300));
    }
    assert!(bans(&w).0.is_empty());
    let mut phone = Host::new("203.0.113.50:5060");
    phone.agent = "Phone 7";
    assert_eq!(phone.tries(&mut w, "alice", "wonder land"), (401, 200));
    w.finish();
}

/// Many users behind one address, and one of them guesses: the others keep their phones, and the guesser has to be slow.
#[test]
fn live_bindings_protect_an_address_and_the_guesser_behind_it_is_slow() {
    let mut w = world(4, TEN);
    let alice = w.registered("alice");
    let ip = w.agents[alice.0].addr.ip();
    let mut guesser = Host::new(&format!("{ip}:40001"));
    let mut answered = 0;
    for number in 0..600 {
        guesser.addr.set_port(40_000 + number % 100);
        answered += usize::from(guesser.tries(&mut w, "bob", "wrong").1 == 403);
        w.run(s(1));
        if number % 100 == 50 {
            w.register(alice);
        }
    }
    assert!((10..=22).contains(&answered), "{answered} guesses in ten minutes");
    assert!(bans(&w).0.is_empty());
    let bob = w.registered("bob");
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(a);
    w.expect_over(b, 200);
    // Her own name is guessed from her own address: what she has a nonce for still passes.
    for _ in 0..30 {
        guesser.tries(&mut w, "alice", "wrong");
        w.run(ms(100));
    }
    w.register(alice);
    w.finish();
}

/// Whoever has a password of his own can guess no others' with what it has earned him.
#[test]
fn a_right_password_is_no_licence_to_guess() {
    let mut w = world(12, TEN);
    let mut host = Host::new("198.51.77.1:5060");
    let first = host.register("alice");
    let challenge = host.asks(&mut w, &first).pop().unwrap();
    let right = host.answer(&challenge, "alice", "wonder land");
    assert_eq!(status(&host.asks(&mut w, &right)), 200);
    let mut answered = 0;
    for nc in 2..300 {
        let uri = "sip:example.com";
        let value = digest::answer(challenge.text("WWW-Authenticate"), "bob", "wrong", "REGISTER", uri, nc);
        let guess = host.request("REGISTER", uri, "bob", &format!("Authorization: {value}\r\n"));
        answered += usize::from(status(&host.asks(&mut w, &guess)) == 403);
    }
    assert!((3..=5).contains(&answered), "{answered} guesses at once");
    assert!(bans(&w).0.is_empty(), "it has a live binding");
    w.finish();
}

#[test]
fn bindings_from_before_a_restart_protect_their_address_too() {
    let mut w = world(5, TEN);
    let alice = w.registered("alice");
    w.restart();
    let mut guesser = Host::new(&format!("{}:40001", w.agents[alice.0].addr.ip()));
    guesses(&mut w, &mut guesser, "bob", 40);
    assert!(bans(&w).0.is_empty());
    // They have run out.
    w.agent(alice).registration.renews = false;
    w.run(s(3700));
    guesses(&mut w, &mut guesser, "bob", 40);
    assert_eq!(bans(&w).0, [guesser.addr.ip()]);
    w.finish();
}

/// A trunk's address, by configuration.
#[test]
fn a_trunk_is_never_banned() {
    let mut w = world(6, TEN);
    let mut host = Host::new("198.51.100.1:7000");
    guesses(&mut w, &mut host, "alice", 40);
    assert!(bans(&w).0.is_empty());
    w.finish();
}

/// A user who calls without being registered.
#[test]
fn the_peer_of_a_call_is_not_banned_while_it_lasts() {
    let mut w = world(7, TEN);
    let (alice, bob) = (w.phone("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    let mut host = Host::new(&format!("{}:7000", w.agents[alice.0].addr.ip()));
    guesses(&mut w, &mut host, "carol", 40);
    assert!(bans(&w).0.is_empty());
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.run(s(3 * 3600));
    guesses(&mut w, &mut host, "carol", 40);
    assert_eq!(bans(&w).0, [host.addr.ip()], "it has no call any more");
    w.finish();
}

/// A stream has proved its return path: whoever asks on and on without saying who he is has been answered each time.
#[test]
fn probing_over_a_stream_is_banned() {
    let mut w = world(8, TEN);
    let stranger = w.tcp_phone("mallory");
    for _ in 0..350 {
        let probe = sip_tests::Msg::request("REGISTER", "sip:example.com")
            .with("Max-Forwards", "70")
            .with("From", "<sip:100@example.com>;tag=1")
            .with("To", "<sip:100@example.com>")
            .with("Call-ID", &format!("{}", w.now.as_nanos()))
            .with("CSeq", "1 REGISTER");
        w.act(stranger.0, |agent, cx| agent.send_loose(cx, probe));
        w.run(ms(300));
    }
    assert_eq!(bans(&w).0, [w.agents[stranger.0].addr.ip()]);
    w.finish();
}

#[test]
fn guessing_by_calls_is_banned() {
    for way in ["bridge", "proxy"] {
        let yaml = sip_tests::script::EDGE.replace(
            "domains:  [ example.com ]",
            &format!("domains:  [ {{ name: example.com, do: {way} }} ]\nguard: {{ {TEN} }}"),
        );
        let mut w = World::builder(12).config(&yaml).build();
        let mut host = Host::new("198.51.77.1:5060");
        let uri = "sip:bob@example.com";
        let mut judged = 0;
        for _ in 0..50 {
            if !bans(&w).0.is_empty() {
                break;
            }
            let invite = host.request("INVITE", uri, "alice", "");
            let Some(asks) = host.asks(&mut w, &invite).pop() else {
                continue;
            };
            assert!(matches!(asks.status(), 401 | 407), "{}", asks.status());
            let (challenge, field) = match asks.status() {
                401 => ("WWW-Authenticate", "Authorization"),
                _proxy => ("Proxy-Authenticate", "Proxy-Authorization"),
            };
            let value = digest::answer(asks.text(challenge), "alice", "guess", "INVITE", uri, 1);
            let again = host.request("INVITE", uri, "alice", &format!("{field}: {value}\r\n"));
            let answer = status(&host.asks(&mut w, &again));
            assert!(matches!(answer, 403 | 0), "wrong, or too soon: {answer}");
            judged += u32::from(answer == 403);
            w.run(s(5));
        }
        assert_eq!(bans(&w).0, [host.addr.ip()], "{way}");
        // Those that come slowly are forgiven in part.
        assert!((10..=13).contains(&judged), "{way}: {judged}");
        w.finish();
    }
}

/// Over datagrams it is the ACK of our refusal that shows that it was received.
#[test]
fn probing_by_invites_whose_refusals_are_acknowledged_is_banned() {
    let mut w = world(9, TEN);
    let mut host = Host::new("198.51.77.1:5060");
    for number in 0..350 {
        let invite = host.request("INVITE", &format!("sip:{number}@example.com"), &number.to_string(), "");
        if let Some(refusal) = host.asks(&mut w, &invite).pop() {
            let to = format!("To: {}\r\n", refusal.text("To"));
            let ack = invite
                .replace("INVITE", "ACK")
                .replace(&format!("To: <sip:{number}@example.com>\r\n"), &to);
            assert_eq!(host.asks(&mut w, &ack).len(), 0);
        }
        w.run(ms(300));
    }
    assert_eq!(bans(&w).0, [host.addr.ip()]);
    w.finish();
}

#[test]
fn a_reload_changes_the_rules_and_a_trunk_that_comes_to_a_banned_address_is_heard() {
    let rules = |rules: &str| format!("{}\nguard: {{ {rules} }}\n", sip_tests::script::EDGE);
    let mut w = world(10, "guesses: 10, ban: never");
    let mut host = Host::new("198.51.77.1:5060");
    guesses(&mut w, &mut host, "alice", 30);
    assert!(bans(&w).0.is_empty());
    w.reload(&rules("guesses: 2, ban: 1h"));
    let mut other = Host::new("198.51.77.2:5060");
    assert_eq!(guesses(&mut w, &mut other, "alice", 30), 2);
    assert_eq!(bans(&w).0, [other.addr.ip()]);
    w.reload(&rules("guesses: 2, ban: 1h").replace("198.51.100.0/24", "198.51.0.0/16"));
    assert_eq!(bans(&w).1, [other.addr.ip()]);
    let options = other.request("OPTIONS", "sip:example.com", "alice", "");
    assert_eq!(status(&other.asks(&mut w, &options)), 200);
    w.finish();
}

#[test]
fn an_exempt_source_is_neither_limited_nor_banned() {
    let mut w = world(
        11,
        "guesses: 2, per_stranger: 1, strangers: 1, exempt: [ 198.51.77.0/24 ]",
    );
    let mut host = Host::new("198.51.77.1:5060");
    host.agent = "friendly-scanner";
    for _ in 0..50 {
        assert_eq!(host.tries(&mut w, "alice", "wrong"), (401, 403));
    }
    assert!(bans(&w).0.is_empty());
    w.finish();
}
