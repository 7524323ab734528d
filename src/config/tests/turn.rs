//! `turn`: where, for whom, to whom, and what a reload changes.

use super::{good, problems};
use crate::config::{Config, Turn};
use std::time::Duration;

const SIP: &str = "listen: [ udp://192.0.2.1:5060 ]\ndomains: [ example.com ]\n";

fn turn(text: &str) -> Turn {
    config(&format!("turn: {{ {text} }}")).turn.expect("it is there")
}

fn config(rest: &str) -> Config {
    good(&format!("{SIP}{rest}"))
}

fn wrong(text: &str) -> Vec<String> {
    problems(&format!("{SIP}turn: {{ {text} }}"))
}

const LEAST: &str = "listen: [ \"udp://192.0.2.1\" ], secret: north";

#[test]
fn without_it_there_is_none_and_what_is_left_out_has_a_default() {
    assert_eq!(config("").turn, None);
    let turn = turn(LEAST);
    let doors = &turn.doors;
    assert_eq!(doors.listen[0].to_string(), "udp://192.0.2.1:3478");
    let own = ["192.0.2.1".parse().unwrap()];
    assert_eq!((&doors.addresses[..], &doors.external[..]), (&own[..], &own[..]));
    assert_eq!((doors.first_port, doors.last_port), (49_152, 65_535));
    assert_eq!((turn.realm.as_str(), turn.users.len()), ("example.com", 0));
    assert_eq!(
        (turn.allocations, turn.per_user, turn.bandwidth),
        (10_000, 20, Some(20_000))
    );
    assert_eq!(turn.lifetime, Duration::from_secs(3600));
    assert_eq!(turn.own.addresses, own);
}

#[test]
fn each_family_has_an_address_and_one_that_others_see() {
    let turn = turn(
        "listen: [ \"udp://[2001:db8::1]:3479\", \"tcp://10.0.0.5\", \"tls://10.0.0.6\" ], users: [ { name: a, password: b } ], \
         external: [ 203.0.113.9 ], bandwidth: never, lifetime: 10m, realm: turn.example.com",
    );
    let listen: Vec<String> = turn.doors.listen.iter().map(ToString::to_string).collect();
    assert_eq!(
        listen,
        ["udp://[2001:db8::1]:3479", "tcp://10.0.0.5:3478", "tls://10.0.0.6:5349"]
    );
    let text = |ips: &[std::net::IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(&turn.doors.addresses), ["10.0.0.5", "2001:db8::1"]);
    assert_eq!(text(&turn.doors.external), ["203.0.113.9", "2001:db8::1"]);
    assert_eq!((turn.bandwidth, turn.realm.as_str()), (None, "turn.example.com"));
    let behind = good(&format!("{SIP}advertise: 198.51.100.9\nturn: {{ {LEAST} }}"));
    assert_eq!(
        text(&behind.turn.expect("it is there").doors.external),
        ["198.51.100.9"]
    );
}

#[test]
fn what_is_wrong_is_said() {
    for (text, why) in [
        ("secret: north", "listen is missing"),
        ("listen: [ \"udp://192.0.2.1\" ]", "nobody could relay"),
        (
            "listen: [ \"udp://0.0.0.0\" ], secret: north",
            "stands for every address",
        ),
        (
            "listen: [ \"udp://[::]:3478\" ], secret: north",
            "stands for every address",
        ),
        (
            "listen: [ \"wss://192.0.2.1\" ], secret: north",
            "is not an address of this machine as udp://IP:PORT",
        ),
        (
            "listen: [ \"udp://192.0.2.1:5060\" ], secret: north",
            "clashes with udp://192.0.2.1:5060",
        ),
        (
            "listen: [ \"tcp://192.0.2.1\", \"tls://192.0.2.1:3478\" ], secret: north",
            "clashes with tcp://192.0.2.1:3478",
        ),
        (
            "listen: [ \"udp://192.0.2.1:20000\" ], secret: north",
            "lies in media.ports",
        ),
        (
            "listen: [ \"udp://192.0.2.1:50000\" ], secret: north",
            "udp://192.0.2.1:50000 is among them",
        ),
        ("ports: 29000-31000", "media.ports, 20000-29999 is among them"),
        ("ports: 5000-5100", "udp://192.0.2.1:5060 is among them"),
        ("ports: 50000-50000", "is not a range of ports"),
        ("ports: 80-50000", "is not a range of ports"),
        ("addresses: [ 192.0.2.1, 192.0.2.2 ]", "192.0.2.1 is of the same family"),
        ("external: [ \"2001:db8::9\" ]", "in which nothing is relayed"),
        ("allocations: 60001", "is not a number of allocations"),
        ("per_user: 0", "is not a number of allocations"),
        ("bandwidth: 63", "is not a rate"),
        ("lifetime: 2h", "is more than 1h"),
        ("lifetime: 599", "is less than 10m"),
        ("denied_peers: [ 10.0.0.1/8 ]", "has bits beyond its length"),
        (
            "users: [ { name: a, password: b }, { name: a, password: c } ]",
            "a is in the list twice",
        ),
        ("users: [ { name: a } ]", "password is missing"),
        ("users: [ { name: \"a:b\", password: c } ]", "is not a user name"),
        ("port: 3478", "there is no such key"),
    ] {
        let text = if text.starts_with("listen") || text.starts_with("secret") {
            text.to_owned()
        } else {
            format!("{LEAST}, {text}")
        };
        let told = wrong(&text);
        assert!(told.len() == 1 && told[0].contains(why), "{text}: {told:?}");
    }
}

#[test]
fn a_reload_changes_who_may_and_not_where() {
    let before = config(&format!("turn: {{ {LEAST} }}"));
    let mut after = config(
        "turn: { listen: [ \"udp://192.0.2.1:3479\" ], secret: south, external: [ 203.0.113.9 ], ports: 50000-51000, per_user: 3 }",
    );
    let changes = Config::diff(&before, &after);
    assert_eq!(changes.others, ["turn"]);
    assert_eq!(changes.restart, ["turn.listen", "turn.addresses", "turn.ports"]);
    after.keep_turn(&before);
    let (old, new) = (
        before.turn.clone().expect("it is there"),
        after.turn.clone().expect("it is there"),
    );
    assert_eq!((&new.doors, new.per_user), (&old.doors, 3));
    let mut gone = config("");
    gone.keep_turn(&before);
    assert_eq!(gone.turn, before.turn);
    after.keep_turn(&config(""));
    assert_eq!(after.turn, None);
    assert!(Config::diff(&before, &before).is_empty());
}

#[test]
fn a_section_that_comes_or_goes_is_said_to() {
    let without = config("");
    let with = config(&format!("turn: {{ {LEAST} }}"));
    let came = Config::diff(&without, &with);
    assert!(came.others.is_empty(), "{:?}", came.others);
    assert_eq!(came.sentences, ["turn is new, which takes effect at the next start."]);
    let gone = Config::diff(&with, &without);
    assert!(gone.others.is_empty(), "{:?}", gone.others);
    assert_eq!(
        gone.sentences,
        ["turn is gone from the file, and goes on as it was until the next start."]
    );
}

#[test]
fn where_turn_listens_nothing_else_does() {
    let key = "an api key of thirty-two octets or more";
    let api = |at: &str| format!("api: {{ listen: \"{at}\", keys: [ {{ tenant: acme, key: {key} }} ] }}\n");
    let turn = "turn: { listen: [ \"udp://192.0.2.1:3478\", \"tls://192.0.2.1:443\" ], secret: north }";
    for (at, clashes) in [
        ("192.0.2.1:443", true),
        ("0.0.0.0:443", true),
        ("192.0.2.2:443", false),
        ("192.0.2.1:3478", false),
        ("192.0.2.1:8445", false),
    ] {
        let told = problems(&format!("{SIP}{}{turn}", api(at)));
        assert_eq!(told.len(), usize::from(clashes), "{at}: {told:?}");
        assert!(
            told.iter()
                .all(|told| told.contains(&format!("tls://192.0.2.1:443 clashes with api.listen, {at}"))),
            "{told:?}"
        );
    }
}
