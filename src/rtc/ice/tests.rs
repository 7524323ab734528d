use super::*;
use crate::media::command::DtlsRole;
use crate::pii::Secret;

pub fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn credentials(ufrag: &str, pwd: &str) -> Credentials {
    Credentials {
        ufrag: ufrag.into(),
        pwd: Secret::new(pwd),
    }
}

pub fn connect() -> Connect {
    Connect {
        ours: credentials("ours", "ourPasswordOfTwentyTwo"),
        theirs: credentials("them", "theirPasswordOf22orSoo"),
        role: DtlsRole::Server,
        lite: None,
        fingerprints: Vec::new(),
    }
}

/// A check of the browser that nominates.
fn nomination(connect: &Connect, nth: u8) -> Vec<u8> {
    let (ours, theirs) = (&connect.ours, &connect.theirs);
    let mut writer = Writer::new(Class::Request, BINDING, [nth; 12]);
    writer.attribute(kind::USERNAME, format!("{}:{}", ours.ufrag, theirs.ufrag).as_bytes());
    writer.attribute(kind::PRIORITY, &PRIORITY.to_be_bytes());
    writer.attribute(kind::ICE_CONTROLLING, &[7; 8]);
    writer.attribute(kind::USE_CANDIDATE, &[]);
    writer.seal(Seal::Sha1, &Key::short_term(ours.pwd.expose()));
    writer.fingerprint();
    writer.finish()
}

pub fn came(from: SocketAddr, octets: &[u8]) -> Came<'_> {
    Came {
        from,
        octets,
        is_free: true,
    }
}

/// Who sees one check may send it on from as many addresses as he likes.
#[test]
fn copies_of_a_check_take_the_place_of_no_trial_and_of_no_address() {
    let connect = connect();
    let mut ice = Ice::default();
    let old = addr("203.0.113.5:4000");
    let first = nomination(&connect, 1);
    assert_eq!(ice.message(at(0), &connect, None, came(old, &first)).0, Check::Peer);
    assert_eq!(ice.chosen(), Some(old));
    let elsewhere = addr("198.51.100.7:4000");
    let second = nomination(&connect, 2);
    ice.message(at(1_000), &connect, Some(old), came(elsewhere, &second));
    for copy in [&first, &second] {
        for port in 1..100 {
            let from = SocketAddr::new(addr("192.0.2.66:1").ip(), port);
            let (check, answer) = ice.message(at(1_010), &connect, Some(old), came(from, copy));
            assert!(check == Check::Peer && answer.is_some());
        }
    }
    assert!(ice.knows(old) && ice.knows(elsewhere));
    let asked: Vec<SocketAddr> = ice.on_time(at(1_020), &connect).into_iter().map(|(to, _)| to).collect();
    assert_eq!(asked, [elsewhere]);
    // The browser's own repetition is none of them.
    ice.message(at(1_030), &connect, Some(old), came(elsewhere, &second));
    assert_eq!(ice.trials.len(), 1);
}
