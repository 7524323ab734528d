use super::tests::{addr, at, came, connect, credentials};
use super::*;
use crate::media::command::Lite;
use crate::stun::message::{BINDING, Class, Message, Writer, kind};

/// A peer that is lite: it answers what is for it.
fn answer(connect: &Connect, check: &[u8], pwd: &str) -> (Vec<u8>, bool) {
    let check = Message::parse(check).expect("a message");
    let name = format!("{}:{}", connect.theirs.ufrag, connect.ours.ufrag);
    assert_eq!(check.covers(kind::USERNAME), Some(name.as_bytes()));
    assert!(check.covers(kind::ICE_CONTROLLING).is_some() && check.fingerprint() == Some(true));
    assert_eq!(
        check.is_sealed(Seal::Sha1, &Key::short_term(connect.theirs.pwd.expose())),
        Some(true)
    );
    let mut writer = Writer::new(Class::Success, BINDING, check.transaction);
    writer.xor_mapped_address(addr("192.0.2.1:20000"));
    writer.seal(Seal::Sha1, &Key::short_term(pwd));
    writer.fingerprint();
    (writer.finish(), check.covers(kind::USE_CANDIDATE).is_some())
}

fn lite(candidates: &[&str]) -> Connect {
    Connect {
        lite: Some(Lite {
            candidates: candidates.iter().map(|text| addr(text)).collect(),
            trickles: true,
        }),
        ..connect()
    }
}

/// Steps of 10 ms, from then; what was sent, when, and whether it nominates. The peer answers at these addresses.
fn run(ice: &mut Ice, connect: &Connect, from: u64, to: u64, there: &[&str]) -> Vec<(u64, SocketAddr, bool)> {
    let pwd = connect.theirs.pwd.expose().to_owned();
    let mut sent = Vec::new();
    for ms in (from..to).step_by(10) {
        for (at_peer, octets) in ice.on_time(at(ms), connect) {
            let (octets, nominates) = answer(connect, &octets, &pwd);
            sent.push((ms, at_peer, nominates));
            if there.iter().any(|text| addr(text) == at_peer) {
                let (check, none) = ice.message(at(ms), connect, ice.chosen(), came(at_peer, &octets));
                assert!(check == Check::Peer && none.is_none());
            }
        }
    }
    sent
}

#[test]
fn the_candidate_that_answers_is_nominated_and_asked_for_consent() {
    let connect = lite(&["192.0.2.66:1000", "198.51.100.7:2000", "203.0.113.9:3000"]);
    let mut ice = Ice::default();
    ice.search(at(0), &connect);
    let sent = run(&mut ice, &connect, 0, 200, &["198.51.100.7:2000"]);
    let second = addr("198.51.100.7:2000");
    assert_eq!(sent[0], (0, addr("192.0.2.66:1000"), false));
    assert_eq!(
        sent[1..],
        [(50, second, false), (60, second, true)],
        "the third need not be asked"
    );
    assert_eq!((ice.chosen(), ice.knows(second)), (Some(second), true));
    let sent = run(&mut ice, &connect, 200, 60_000, &["198.51.100.7:2000"]);
    assert!((10..=15).contains(&sent.len()) && sent.iter().all(|(_, to, nominates)| *to == second && *nominates));
    let gaps: Vec<u64> = sent.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(gaps.iter().all(|gap| (4_000..=6_010).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap != gaps[0]));
}

#[test]
fn candidates_that_do_not_answer_are_asked_seven_times_each_and_paced() {
    let connect = lite(&["192.0.2.66:1000", "198.51.100.7:2000"]);
    let mut ice = Ice::default();
    ice.search(at(0), &connect);
    let sent = run(&mut ice, &connect, 0, 60_000, &[]);
    assert_eq!(sent.len(), 14);
    assert!(sent.windows(2).all(|two| two[1].0 - two[0].0 >= 50));
    assert_eq!((ice.due(), ice.chosen()), (None, None));
}

/// Neither who answers from elsewhere, nor without the peer's seal, nor what was never asked, makes a way.
#[test]
fn a_forged_answer_chooses_nothing() {
    let connect = lite(&["198.51.100.7:2000"]);
    let mut ice = Ice::default();
    ice.search(at(0), &connect);
    let (to, check) = ice.on_time(at(0), &connect).remove(0);
    let (good, _) = answer(&connect, &check, connect.theirs.pwd.expose());
    let (bad, _) = answer(&connect, &check, "notThePassword");
    let elsewhere = addr("192.0.2.66:1000");
    for (from, octets, kind) in [(elsewhere, &good, Check::Other), (to, &bad, Check::Refused)] {
        assert_eq!(ice.message(at(1), &connect, None, came(from, octets)).0, kind);
        assert!(ice.on_time(at(2), &connect).is_empty(), "nothing is nominated");
    }
}

/// RFC 8445 9: other names, and other candidates. The way that it has stays until another is there.
#[test]
fn a_restart_looks_anew_and_keeps_the_way_until_then() {
    let first = lite(&["198.51.100.7:2000"]);
    let mut ice = Ice::default();
    ice.search(at(0), &first);
    run(&mut ice, &first, 0, 100, &["198.51.100.7:2000"]);
    let mut second = lite(&["203.0.113.9:3000"]);
    second.theirs = credentials("anew", "anotherPasswordOf22orSo");
    ice.restart(first.ours.clone());
    ice.search(at(1_000), &second);
    assert_eq!(ice.chosen(), Some(addr("198.51.100.7:2000")));
    run(&mut ice, &second, 1_000, 1_100, &["203.0.113.9:3000"]);
    assert_eq!(ice.chosen(), Some(addr("203.0.113.9:3000")));
}

/// RFC 8838 11: a candidate that comes later is checked at once, also where those before were given up; 13: none once one is nominated. A list that
/// lacks one forgets none.
#[test]
fn candidates_that_come_later_are_asked_too() {
    let (first, second, third) = ("192.0.2.66:1000", "198.51.100.7:2000", "203.0.113.9:3000");
    let mut ice = Ice::default();
    ice.search(at(0), &lite(&[]));
    assert_eq!((ice.due(), run(&mut ice, &lite(&[]), 0, 1_000, &[]).len()), (None, 0));
    ice.widen(at(1_000), &lite(&[first]));
    assert_eq!(run(&mut ice, &lite(&[first]), 1_000, 60_000, &[]).len(), 7);
    let both = lite(&[first, second]);
    ice.widen(at(60_000), &both);
    ice.widen(at(60_000), &lite(&[first]));
    let sent = run(&mut ice, &both, 60_000, 61_000, &[second]);
    assert_eq!(sent, [(60_000, addr(second), false), (60_010, addr(second), true)]);
    ice.widen(at(61_000), &lite(&[first, second, third]));
    let sent = run(&mut ice, &both, 61_000, 80_000, &[second, third]);
    assert!(!sent.is_empty() && sent.iter().all(|(_, to, _)| *to == addr(second)));
    assert_eq!(ice.chosen(), Some(addr(second)));
}

/// Whoever tells more and more makes us ask few.
#[test]
fn a_flood_of_candidates_is_bounded() {
    let mut ice = Ice::default();
    ice.search(at(0), &lite(&[]));
    let mut asked = Vec::new();
    for turn in 0..60 {
        let flood: Vec<String> = (0..8).map(|n| format!("192.0.2.{n}:{}", 1_000 + turn)).collect();
        let flood: Vec<&str> = flood.iter().map(String::as_str).collect();
        ice.widen(at(turn * 1_000), &lite(&flood));
        asked.extend(run(&mut ice, &lite(&flood), turn * 1_000, (turn + 1) * 1_000, &[]));
    }
    assert_eq!(asked.len(), 7 * limits::RTC_ADDRESSES);
}
