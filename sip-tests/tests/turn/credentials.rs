//! Who may relay.

use sip_tests::s;
use sip_tests::turn::lab::{EPOCH, REALM, SECRET};
use sip_tests::turn::wire::{Hash, attr, hmac, kind, long_term};
use sip_tests::turn::{Caller, Lab, Raw};

const UDP: [(u16, [u8; 4]); 1] = [(attr::TRANSPORT, [17, 0, 0, 0])];

type Attributes<'a> = &'a [(u16, &'a [u8])];

fn allocate(lab: &mut Lab, caller: &mut Caller) -> Option<u16> {
    let wishes = UDP.map(|(kind, value)| (kind, value.to_vec()));
    lab.ask(caller, kind::ALLOCATE, &wishes).error()
}

/// `base64 of its HMAC-SHA1 under the secret`.
fn password(secret: &str, user: &str) -> String {
    let mac = hmac(Hash::Sha1, secret.as_bytes(), user.as_bytes());
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mac)
}

#[test]
fn who_has_no_password_is_asked_for_it() {
    let mut lab = Lab::new(1, "");
    let caller = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    for kind in [
        kind::ALLOCATE,
        kind::REFRESH,
        kind::CREATE_PERMISSION,
        kind::CHANNEL_BIND,
    ] {
        let request = Raw::new(kind, lab.transaction());
        let answer = lab.exchange(caller.via, request.transaction, &request.write(None, true));
        let answer = answer.expect("an answer");
        assert_eq!((answer.kind, answer.error()), (kind | 0x0110, Some(401)));
        assert_eq!(answer.get(attr::REALM), Some(REALM.as_bytes()));
        assert!(
            answer
                .get(attr::NONCE)
                .is_some_and(|nonce| nonce.starts_with(b"obMatJos2"))
        );
        assert!(answer.fingerprint() && answer.seal(b"").is_none());
    }
    assert_eq!(lab.server.counters().challenged, 4);
}

#[test]
fn passwords_by_md5_and_by_sha_256() {
    let mut lab = Lab::new(2, "");
    for (port, sha256, hash) in [(4_000, false, Hash::Sha1), (4_001, true, Hash::Sha256)] {
        let mut caller = lab.caller(&format!("203.0.113.5:{port}"), "alice", "swordfish");
        caller.sha256 = sha256;
        assert_eq!(allocate(&mut lab, &mut caller), None);
        let answer = lab.refresh(&mut caller, 600);
        assert_eq!(answer.seal(&caller.key()), Some(hash));
    }
    for (port, user, password) in [
        (4_002, "alice", "swordfisk"),
        (4_003, "mallory", "swordfish"),
        (4_004, "", ""),
    ] {
        let mut caller = lab.caller(&format!("203.0.113.5:{port}"), user, password);
        assert_eq!(allocate(&mut lab, &mut caller), Some(401), "{user} {password}");
    }
    assert_eq!(lab.server.allocations(), 2);
}

/// RFC 8489 9.2.1, 9.2.4: who names an algorithm repeats what was offered; what somebody on the way took out is missed.
#[test]
fn a_bid_for_less_is_refused() {
    let mut lab = Lab::new(3, "");
    let mut caller = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    caller.patient = false;
    assert_eq!(allocate(&mut lab, &mut caller), Some(401));
    let offered = caller.offered.clone().expect("they are offered");
    let nonce = caller.nonce.clone().expect("a nonce");
    let (md5, sha256) = ([0, 1, 0, 0], [0, 2, 0, 0]);
    let cases: [(Attributes<'_>, Option<u16>); 6] = [
        (&[(attr::PASSWORD_ALGORITHM, &sha256)], Some(400)),
        (&[(attr::PASSWORD_ALGORITHMS, &offered)], Some(400)),
        (
            &[(attr::PASSWORD_ALGORITHM, &md5), (attr::PASSWORD_ALGORITHMS, &md5)],
            Some(400),
        ),
        (
            &[
                (attr::PASSWORD_ALGORITHM, &[0, 3, 0, 0]),
                (attr::PASSWORD_ALGORITHMS, &offered),
            ],
            Some(400),
        ),
        (
            &[
                (attr::PASSWORD_ALGORITHM, &sha256),
                (attr::PASSWORD_ALGORITHMS, &offered),
            ],
            None,
        ),
        (
            &[(attr::PASSWORD_ALGORITHM, &md5), (attr::PASSWORD_ALGORITHMS, &offered)],
            Some(437),
        ),
    ];
    for (algorithms, code) in cases {
        let mut request = Raw::new(kind::ALLOCATE, lab.transaction())
            .with(attr::TRANSPORT, &[17, 0, 0, 0])
            .with(attr::USERNAME, b"alice")
            .with(attr::REALM, REALM.as_bytes())
            .with(attr::NONCE, &nonce);
        for (kind, value) in algorithms {
            request = request.with(*kind, value);
        }
        let is_md5 = algorithms.contains(&(attr::PASSWORD_ALGORITHM, &md5));
        let key = long_term(!is_md5, "alice", REALM, "swordfish");
        let octets = request.write(Some((Hash::Sha256, &key)), false);
        let answer = lab
            .exchange(caller.via, request.transaction, &octets)
            .expect("an answer");
        assert_eq!(answer.error(), code, "{algorithms:?}");
    }
}

#[test]
fn what_is_missing_of_credentials_is_a_bad_request() {
    let mut lab = Lab::new(4, "");
    let mut caller = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    caller.patient = false;
    assert_eq!(allocate(&mut lab, &mut caller), Some(401));
    let nonce = caller.nonce.clone().expect("a nonce");
    for missing in [attr::USERNAME, attr::REALM, attr::NONCE] {
        let mut request = Raw::new(kind::ALLOCATE, lab.transaction())
            .with(attr::TRANSPORT, &[17, 0, 0, 0])
            .with(attr::USERNAME, b"alice")
            .with(attr::REALM, REALM.as_bytes())
            .with(attr::NONCE, &nonce);
        request.attributes.retain(|(kind, _)| *kind != missing);
        let octets = request.write(Some((Hash::Sha1, &caller.key())), false);
        let answer = lab
            .exchange(caller.via, request.transaction, &octets)
            .expect("an answer");
        assert_eq!(answer.error(), Some(400), "{missing:#x}");
    }
}

#[test]
fn a_nonce_holds_an_hour_and_for_one_client() {
    let mut lab = Lab::new(5, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    assert_eq!(allocate(&mut lab, &mut alice), None);
    let first = alice.nonce.clone();
    for _ in 0..7 {
        lab.run(s(500));
        assert_eq!(lab.refresh(&mut alice, 600).error(), None);
        assert_eq!(alice.nonce, first);
    }
    lab.run(s(500));
    alice.patient = false;
    assert_eq!(lab.refresh(&mut alice, 600).error(), Some(438));
    assert_ne!(alice.nonce, first);
    assert_eq!(lab.refresh(&mut alice, 600).error(), None, "with the new one");
    let mut other = lab.caller("203.0.113.5:4001", "alice", "swordfish");
    other.patient = false;
    (other.nonce, other.realm) = (alice.nonce.clone(), alice.realm.clone());
    assert_eq!(
        allocate(&mut lab, &mut other),
        Some(438),
        "it was made for another 5-tuple"
    );
}

/// RFC 8656 5.
#[test]
fn nobody_else_has_a_say_over_an_allocation() {
    let mut lab = Lab::new(6, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    assert_eq!(allocate(&mut lab, &mut alice), None);
    let mut bob = lab.caller("203.0.113.5:4000", "bob", "builder");
    let peer = "198.51.100.20:9000".parse().unwrap();
    assert_eq!(lab.refresh(&mut bob, 0).error(), Some(441));
    assert_eq!(lab.permit(&mut bob, &[peer]).error(), Some(441));
    assert_eq!(lab.bind(&mut bob, 0x4000, peer).error(), Some(441));
    assert_eq!(allocate(&mut lab, &mut bob), Some(437));
    assert_eq!(lab.server.allocations(), 1);
}

#[test]
fn a_name_for_a_time_holds_until_then() {
    let mut lab = Lab::new(7, "  per_user: 2\n");
    let end = EPOCH + 100 + 300;
    let caller = |lab: &mut Lab, port: u16, user: &str, secret: &str| {
        let password = password(secret, user);
        lab.caller(&format!("203.0.113.5:{port}"), user, &password)
    };
    let (carol, later) = (format!("{end}:carol"), format!("{}:carol", end + 5));
    let mut first = caller(&mut lab, 4_000, &carol, SECRET);
    assert_eq!(allocate(&mut lab, &mut first), None);
    let mut second = caller(&mut lab, 4_001, &later, SECRET);
    assert_eq!(allocate(&mut lab, &mut second), None);
    // Whatever the time in it, she is one user.
    let mut third = caller(&mut lab, 4_002, &carol, SECRET);
    assert_eq!(allocate(&mut lab, &mut third), Some(486));
    let over = format!("{}:dave", EPOCH + 99);
    for (user, secret) in [(&carol, "south"), (&over, SECRET)] {
        let mut wrong = caller(&mut lab, 4_003, user, secret);
        assert_eq!(allocate(&mut lab, &mut wrong), Some(401), "{user}");
    }
    for odd in [
        "carol",
        ":carol",
        "12x:carol",
        "99999999999999999999999:carol",
        "-5:carol",
    ] {
        let mut odd = caller(&mut lab, 4_004, odd, SECRET);
        assert_eq!(allocate(&mut lab, &mut odd), Some(401));
    }
    let mut nameless = caller(&mut lab, 4_005, &end.to_string(), SECRET);
    assert_eq!(allocate(&mut lab, &mut nameless), None);
}

/// What is relayed at the end of a name goes on for as long as a call may take, and nothing new begins.
#[test]
fn an_allocation_outlives_the_name_that_has_it_by_four_hours() {
    let mut lab = Lab::new(9, "  lifetime: 10m\n");
    let carol = format!("{}:carol", EPOCH + 100 + 300);
    let mut caller = lab.caller("203.0.113.5:4000", &carol, &password(SECRET, &carol));
    let (peer, other) = (lab.host("198.51.100.20:9000"), lab.host("198.51.100.21:9000"));
    assert_eq!(allocate(&mut lab, &mut caller), None);
    assert_eq!(lab.permit(&mut caller, &[peer]).error(), None);
    lab.run(s(301));
    let mut late = lab.caller("203.0.113.5:4001", &carol, &password(SECRET, &carol));
    assert_eq!(allocate(&mut lab, &mut late), Some(401), "the name is over");
    assert_eq!(
        lab.permit(&mut caller, &[peer, other]).error(),
        None,
        "what there is goes on"
    );
    for peer in [peer, other] {
        lab.indicate(&caller, peer, b"hello");
    }
    lab.run(s(1));
    assert_eq!((lab.heard(peer).len(), lab.heard(other).len()), (1, 1));
    let mut seconds = 2;
    while lab.refresh(&mut caller, 600).error().is_none() {
        lab.run(s(500));
        seconds += 500;
    }
    assert!((14_400..14_900).contains(&seconds), "it was refused after {seconds} s");
    lab.run(s(101));
    assert_eq!(lab.server.allocations(), 0);
    // Who is done says so at any time.
    let later = format!("{}:carol", EPOCH + lab.now.as_millis() / 1_000 + 300);
    let mut caller = lab.caller("203.0.113.5:4000", &later, &password(SECRET, &later));
    assert_eq!(allocate(&mut lab, &mut caller), None);
    lab.run(s(301));
    assert_eq!(lab.refresh(&mut caller, 0).error(), None);
    assert_eq!(lab.server.allocations(), 0);
}

/// What a nonce of ours does not vouch for costs no hash of a password.
#[test]
fn a_nonce_that_is_not_ours_is_refused_before_the_password_is_looked_at() {
    let mut lab = Lab::new(10, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfisk");
    alice.patient = false;
    (alice.nonce, alice.realm) = (Some(b"obMatJos2gAAA0000000100000000000000ff".to_vec()), None);
    assert_eq!(allocate(&mut lab, &mut alice), Some(438));
    assert_eq!(
        allocate(&mut lab, &mut alice),
        Some(401),
        "with one of ours it is the password"
    );
}

#[test]
fn a_new_configuration_changes_who_may_and_whom_he_reaches() {
    let mut lab = Lab::new(8, "");
    let mut alice = lab.caller("203.0.113.5:4000", "alice", "swordfish");
    assert_eq!(allocate(&mut lab, &mut alice), None);
    let (denied, other) = (lab.host("198.51.100.20:9000"), lab.host("198.51.101.20:9000"));
    lab.permit(&mut alice, &[denied, other]);
    let mut turn = sip_tests::turn::lab::config("  denied_peers: [ 198.51.100.0/24 ]\n");
    turn.users.retain(|user| user.name == "bob");
    lab.server.configure(&turn, &[]);
    for peer in [denied, other] {
        lab.indicate(&alice, peer, b"hello");
    }
    lab.run(s(1));
    assert_eq!((lab.heard(denied).len(), lab.heard(other).len()), (0, 1));
    assert_eq!(
        lab.refresh(&mut alice, 600).error(),
        Some(401),
        "she is nobody any more"
    );
    lab.run(s(601));
    assert_eq!(lab.server.allocations(), 0);
}
