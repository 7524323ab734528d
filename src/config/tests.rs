//! Every kind of problem with its exact words and place; what a good file becomes; what a reload changes.

use super::*;
use crate::id::{Transport, TrunkIx};
use codecs::Codec;
use proptest::prelude::*;
use std::time::Duration;

/// The file of the README and of the first issue of this project.
const EXAMPLE: &str = r#"
node:     { name: edge-1 }
listen:   [ "udp://0.0.0.0:5060", "tcp://0.0.0.0:5060" ]
advertise: 203.0.113.10              # our address as others see it; omit when there is no NAT
media:    { ports: 20000-29999 }
domains:  [ example.com ]
users:
  - { name: alice, password: "...", number: "+14155550101" }
trunks:
  - name: acme
    peers: [ "sip:sbc1.acme.example:5060", "sip:sbc2.acme.example:5060" ]
    accept_from: [ 198.51.100.0/24 ]
    register: { username: tandem, password: "...", realm: acme.example }     # or none: by address
    codecs: [ pcma, pcmu ]
    limits: { calls: 100, calls_per_second: 10 }
    numbers: { country: US, send: e164 }
routes:                               # the first that matches, decides
  - { to: "+14155550101", from: trunk/acme, do: user/alice }
  - { to: "600", do: echo }
  - { to: "601", do: tone }
  - { to: "+", from: user/*, do: trunk/acme }
store:    { path: data/tandem.db }
"#;

fn good(text: &str) -> Config {
    match parse("x.yaml", text, &Sources::NONE) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// All problems of a text, one per line, without the name of the file.
fn problems(text: &str) -> Vec<String> {
    match parse("x", text, &Sources::NONE) {
        Ok(_) => Vec::new(),
        Err(problems) => problems
            .iter()
            .map(|problem| problem.to_string()[2..].to_owned())
            .collect(),
    }
}

/// The problems of a file that has nothing else than a listener and `text`, which begins at line 2.
fn with(text: &str) -> Vec<String> {
    problems(&format!("listen: [ udp://127.0.0.1:5060 ]\n{text}"))
}

fn trunk(rest: &str) -> Vec<String> {
    with(&format!("trunks: [ {{ name: a, peers: [ sip:192.0.2.1 ], {rest} }} ]"))
}

fn user(rest: &str) -> Vec<String> {
    with(&format!("users: [ {{ name: alice, password: x, {rest} }} ]"))
}

#[test]
fn the_example_is_read_whole() {
    let config = good(EXAMPLE);
    assert_eq!(config.node_name, "edge-1");
    assert_eq!(
        config.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"]
    );
    assert_eq!(config.advertise, Some("203.0.113.10".parse().unwrap()));
    assert_eq!((config.media.first_port, config.media.last_port), (20_000, 29_999));
    assert_eq!(
        config.domains,
        [Domain {
            name: "example.com".into(),
            digest: vec![Algorithm::Md5]
        }]
    );
    let alice = config.user("alice").unwrap();
    assert_eq!(alice.password.expose(), "...");
    assert_eq!(alice.numbers, ["+14155550101"]);
    assert_eq!(
        (alice.domain.as_str(), alice.calls, alice.ring),
        ("example.com", 2, Duration::from_secs(60))
    );
    assert_eq!(alice.codecs, [Codec::Opus, Codec::Pcma, Codec::Pcmu]);
    assert_eq!(config.user_by_number("+14155550101"), Some(alice));
    let (ix, acme) = config.trunk_by_name("acme").unwrap();
    assert_eq!(ix, TrunkIx(0));
    assert_eq!(
        acme.peers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["sip:sbc1.acme.example:5060", "sip:sbc2.acme.example:5060"]
    );
    assert_eq!(
        acme.accept_from.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["198.51.100.0/24"]
    );
    let register = acme.register.as_ref().unwrap();
    assert_eq!(
        (register.username.as_str(), register.realm.as_deref()),
        ("tandem", Some("acme.example"))
    );
    assert_eq!((acme.max_calls, acme.calls_per_second), (100, 10));
    assert_eq!(
        (acme.numbers.country.map(|country| country.iso), acme.numbers.send),
        (Some("US"), NumberFormat::E164)
    );
    assert_eq!(
        config.country.map(|country| country.iso),
        Some("US"),
        "that of the trunks"
    );
    assert_eq!(
        config.routes.iter().map(|route| route.line).collect::<Vec<_>>(),
        [18, 19, 20, 21]
    );
    assert_eq!(config.routes[3].to, Pattern::Prefix("+".into()));
    assert_eq!(config.routes[3].from, FromPattern::AnyUser);
    assert_eq!(config.routes[3].action, Action::Trunk(TrunkIx(0)));
    assert_eq!(config.store.path, Path::new("data/tandem.db"));
}

#[test]
fn one_line_is_enough_and_the_rest_has_defaults() {
    let config = good("listen: udp://127.0.0.1:5060");
    assert_eq!(config.node_name, "tandem");
    assert_eq!(config.domains[0].name, "127.0.0.1");
    assert_eq!(config.media.address, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(config.media.workers, 1);
    assert_eq!(config.media.silence, Some(Duration::from_secs(300)));
    assert_eq!(config.registrar.default_expires, Duration::from_secs(3600));
    assert_eq!(config.calls.session_expires, Duration::from_secs(1800));
    assert!(config.calls.transfer && !config.log.json && config.log.level == "info");
    assert!(
        config.users.is_empty() && config.trunks.is_empty() && config.routes.is_empty() && config.country.is_none()
    );
}

#[test]
fn the_domain_is_the_address_where_none_is_written() {
    assert_eq!(good("listen: udp://0.0.0.0:5060").domains[0].name, "tandem");
    assert_eq!(
        good("listen: udp://0.0.0.0:5060\nadvertise: 203.0.113.10").domains[0].name,
        "203.0.113.10"
    );
    let config = good("listen: [ udp://0.0.0.0:5060, \"udp://[2001:db8::1]:5060\" ]");
    assert_eq!(config.domains[0].name, "[2001:db8::1]");
    let host = |text: &str| crate::sip::uri::Uri::parse(&format!("sip:{text}")).unwrap().host;
    let at = "192.0.2.10".parse().unwrap();
    assert!(
        config.local_domain(&host("192.0.2.10"), at).is_some(),
        "the address that the request came to"
    );
    assert!(config.local_domain(&host("[2001:db8::1]"), at).is_some());
    assert!(config.local_domain(&host("192.0.2.11"), at).is_none());
    assert!(config.local_domain(&host("example.com"), at).is_none());
    assert_eq!(
        good(EXAMPLE).local_domain(&host("EXAMPLE.com"), at).unwrap().name,
        "example.com"
    );
    assert_eq!(
        good(EXAMPLE).local_domain(&host("203.0.113.10"), at).unwrap().name,
        "example.com"
    );
}

#[test]
fn yaml_that_looks_like_numbers_is_text() {
    let text = "listen: udp://127.0.0.1:5060\nusers:\n  - { name: 101, password: 0600, number: +14155550101 }\n  - { name: bob, \
                password: 1e3, numbers: [ 600, 0601 ] }\n  - { name: no, password: \"~\" }\nroutes:\n  - { to: 700, do: echo }\n";
    let config = good(text);
    let user = |name: &str| config.user(name).unwrap();
    assert_eq!(
        (user("101").password.expose(), user("101").numbers[0].as_str()),
        ("0600", "+14155550101")
    );
    assert_eq!(
        (user("bob").password.expose(), user("bob").numbers.clone()),
        ("1e3", vec!["600".to_owned(), "0601".to_owned()])
    );
    assert_eq!(user("no").password.expose(), "~");
    assert_eq!(config.routes[0].to, Pattern::Exact("700".into()));
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = "listen: [ udp://127.0.0.1 , udp://0.0.0.0:5060 ]\nusers:\n  - { name: alice, pasword: x }\nroutes:\n  - to: 600\n    do: trunk/nosuch\n";
    assert_eq!(
        problems(text),
        [
            "1:29: listen[1]: udp://0.0.0.0:5060 clashes with listen[0], which has udp://127.0.0.1:5060. Give one of them another port.",
            "3:7: users[0]: password is missing. Write, for example, password: { env: ALICE_PASSWORD }",
            "3:20: users[0].pasword: there is no such key; did you mean password?",
            "6:9: routes[0].do: there is no trunk \"nosuch\"; trunks is empty.",
        ]
    );
}

#[test]
fn keys() {
    assert_eq!(
        problems(""),
        ["1:1: listen is missing. Write, for example, listen: [ \"udp://0.0.0.0:5060\", \"tcp://0.0.0.0:5060\" ]"]
    );
    assert_eq!(
        with("domain: [ a.example ]"),
        ["2:1: domain: there is no such key; did you mean domains?"]
    );
    assert_eq!(
        with("log: { colour: red }"),
        ["2:8: log.colour: there is no such key; the keys here are format, level."]
    );
    assert_eq!(
        with("advertise: 192.0.2.1\nadvertise: 192.0.2.1"),
        ["3:1: advertise: this key comes twice, first at line 2. Remove one of them."]
    );
    assert_eq!(
        with("log: loud"),
        ["2:6: log: here is a map wanted, with the keys format, level."]
    );
    assert_eq!(
        with("users: { name: alice }"),
        ["2:10: users: here is a list wanted. Write, for example, users: [ { name: alice, password: \"...\" } ]"]
    );
    assert_eq!(problems("[ a ]").len(), 1);
    assert!(problems("[ a ]")[0].starts_with("1:3: here is a map wanted, with the keys node, listen,"));
    assert_eq!(
        problems("a: [\n"),
        ["2:1: this cannot be read as YAML: did not find expected node content"]
    );
}

#[test]
fn listeners_and_ports() {
    assert_eq!(
        problems("listen: [ 0.0.0.0:5060 ]"),
        [
            "1:11: listen[0]: \"0.0.0.0:5060\" is not an address as udp://IP:PORT or tcp://IP:PORT. Write, for example, listen: [ \"udp://0.0.0.0:5060\", \"tcp://0.0.0.0:5060\" ]"
        ]
    );
    assert_eq!(
        problems("listen: wss://0.0.0.0"),
        ["1:9: listen: this node does not listen on wss. Write udp://... or tcp://..."]
    );
    assert_eq!(
        problems("listen: []"),
        [
            "1:1: listen: the list is empty, so nobody could reach this node. Write, for example, listen: [ \"udp://0.0.0.0:5060\" ]"
        ]
    );
    assert!(
        problems("listen: [ udp://127.0.0.1:5060, tcp://127.0.0.1:5060, udp://127.0.0.2:5060, \"udp://[::]:5060\" ]")
            .is_empty()
    );
    assert!(
        problems("listen: [ udp://127.0.0.1:0, udp://127.0.0.1:0 ]").is_empty(),
        "port 0 is a free one"
    );
    assert_eq!(
        problems("listen: [ udp://127.0.0.1:20500 ]\nmedia: { ports: 20000-20999 }"),
        ["1:11: listen[0]: udp://127.0.0.1:20500 lies in media.ports 20000-20999. Give one of them other ports."]
    );
    assert_eq!(
        problems("listen: [ udp://127.0.0.1:20500 ]"),
        [
            "1:11: listen[0]: udp://127.0.0.1:20500 lies in the default of media.ports, 20000-29999. Give one of them other ports."
        ]
    );
    assert!(problems("listen: [ udp://127.0.0.1:20500 ]\nmedia: { address: 127.0.0.2 }").is_empty());
    assert!(problems("listen: [ tcp://127.0.0.1:20500 ]").is_empty());
    assert_eq!(
        with("media: { ports: 20001-29999 }"),
        ["2:17: media.ports: the first port of 20001-29999 is odd, and RTP takes even ones. Write 20002-29999."]
    );
    for ports in ["20000", "80-90", "20000-20002", "20000-70000", "30000-20000"] {
        let found = with(&format!("media: {{ ports: {ports} }}"));
        assert_eq!(
            found,
            [format!(
                "2:17: media.ports: \"{ports}\" is not a range of ports as FIRST-LAST, with an even first port from 1024 on and \
                 at least two pairs. Write, for example, ports: 20000-29999"
            )]
        );
    }
    assert_eq!(
        good("listen: udp://127.0.0.1:5060\nmedia: { ports: 20000-30000 }")
            .media
            .last_port,
        29_999
    );
    assert_eq!(
        with("advertise: 0.0.0.0"),
        [
            "2:12: advertise: \"0.0.0.0\" is not an IP address that others can reach. Write, for example, advertise: 203.0.113.10"
        ]
    );
}

#[test]
fn durations_and_numbers() {
    let config = good(
        "listen: udp://127.0.0.1:5060\ncalls: { max_duration: 2h, stop_grace: 0, session_expires: 120 }\nmedia: { silence: never }",
    );
    assert_eq!(config.calls.max_duration, Duration::from_secs(7200));
    assert_eq!(config.calls.stop_grace, Duration::ZERO);
    assert_eq!(config.calls.session_expires, Duration::from_secs(120));
    assert_eq!(config.media.silence, None);
    assert_eq!(
        user("ring: soon"),
        [
            "2:44: users[0].ring: \"soon\" is not a duration: seconds, or a number with s, m or h. Write, for example, ring: 45s"
        ]
    );
    assert_eq!(
        user("ring: 2h"),
        ["2:44: users[0].ring: \"2h\" is more than 1h, the most that is taken."]
    );
    assert_eq!(
        user("ring: 99999999999999999999h"),
        ["2:44: users[0].ring: \"99999999999999999999h\" is more than a year."]
    );
    assert_eq!(
        with("calls: { min_session_expires: 60 }"),
        ["2:31: calls.min_session_expires: \"60\" is less than 90s, the least that is taken."]
    );
    assert_eq!(
        with("calls: { min_session_expires: 5m, session_expires: 2m }"),
        [
            "2:10: calls: session_expires (2m) is less than min_session_expires (5m), so we would ask for what we refuse."
        ]
    );
    assert_eq!(
        with("registrar: { min_expires: 2h, max_expires: 1h }"),
        ["2:14: registrar: max_expires (1h) is less than min_expires (2h), so no registration would be accepted."]
    );
    assert_eq!(
        with("registrar: { default_expires: 10s }"),
        ["2:14: registrar: default_expires (10s) must lie between min_expires (1m) and max_expires (1h)."]
    );
    assert!(with("registrar: { max_expires: 10m }").is_empty());
    assert_eq!(
        trunk("limits: { calls: many }"),
        [
            "2:65: trunks[0].limits.calls: \"many\" is not a whole number from 1 to 20000. Write, for example, calls: 100"
        ]
    );
    assert_eq!(
        trunk("limits: { calls: [ 1 ] }"),
        ["2:67: trunks[0].limits.calls: a list is not a whole number from 1 to 20000. Write, for example, calls: 100"]
    );
    assert_eq!(
        with("calls: { transfer: maybe }"),
        ["2:20: calls.transfer: \"maybe\" is not yes or no. Write, for example, transfer: yes"]
    );
    assert_eq!(
        with("log: { level: debgu }"),
        ["2:15: log.level: \"debgu\" is none of error, warn, info, debug, trace; did you mean debug?"]
    );
}

#[test]
fn users() {
    let two = |a: &str, b: &str| {
        with(&format!(
            "users:\n  - {{ password: x, {a} }}\n  - {{ password: x, {b} }}"
        ))
    };
    assert_eq!(
        two("name: al", "name: al"),
        ["4:26: users[1].name: users[0] has this name too. Names are unique over all domains."]
    );
    assert_eq!(
        two("name: al, number: 101", "name: bo, number: 101"),
        ["4:38: users[1].number: users[0] has the number 101 too. A number rings one user."]
    );
    assert_eq!(
        two("name: al, number: 101", "name: 101"),
        ["4:7: users[1]: the name 101 is the number of users[0]."]
    );
    assert_eq!(
        two("name: al, number: 101", "name: bo, numbers: [ 102, 102 ]"),
        ["4:46: users[1].numbers[1]: 102 is in the list twice. Remove one of them."]
    );
    assert_eq!(
        user("number: 1, numbers: [ 2 ]"),
        ["2:60: users[0].numbers: number is there too. Put all of them into numbers."]
    );
    assert_eq!(
        user("number: bob"),
        [
            "2:46: users[0].number: \"bob\" is not a telephone number or an extension. Write, for example, number: \"+14155550101\""
        ]
    );
    assert_eq!(
        with("users: [ { name: \"al ice\", password: x } ]"),
        [
            "2:18: users[0].name: \"al ice\" is not a name of letters, digits and -_.!~'&=+$ (at most 64). Write, for example, name: alice"
        ]
    );
    assert_eq!(
        user("domain: exmple.com"),
        ["2:46: users[0].domain: exmple.com is not in domains."]
    );
    assert_eq!(
        with("domains: [ example.com ]\nusers: [ { name: a, password: x, domain: exmple.com } ]"),
        ["3:42: users[0].domain: exmple.com is not in domains; did you mean example.com?"]
    );
    assert_eq!(
        user("codecs: [ opus, g729 ]"),
        [
            "2:54: users[0].codecs[1]: \"g729\" is not a codec: pcmu, pcma or opus. Write, for example, codecs: [ opus, pcma ]"
        ]
    );
    assert_eq!(
        user("digest: [ sha512 ]"),
        [
            "2:48: users[0].digest[0]: \"sha512\" is not a digest algorithm: md5 or sha-256. Write, for example, digest: [ sha-256, md5 ]"
        ]
    );
    assert_eq!(
        user("on_busy: alice"),
        ["2:47: users[0].on_busy: alice is this user again."]
    );
    assert_eq!(
        user("on_busy: bob"),
        ["2:47: users[0].on_busy: bob leads nowhere: no user has that name or number, and no route takes it."]
    );
    assert_eq!(
        with("domains: [ -bad- ]"),
        [
            "2:12: domains[0]: \"-bad-\" is not a domain name or an address, or { name: ..., digest: ... }. Write, for example, domains: [ example.com ]"
        ]
    );
    assert_eq!(
        with("domains: [ a.example, A.example ]"),
        ["2:23: domains[1]: a.example is in the list twice. Remove one of them."]
    );
}

#[test]
fn users_get_what_they_do_not_say_from_their_domain() {
    let text = "listen: udp://127.0.0.1:5060\nnumbers: { country: DE }\ndomains: [ a.example, { name: B.example, digest: [ sha-256, md5 ] } ]\n\
                users:\n  - { name: al, password: x, number: 030 123456, on_busy: bo, on_offline: \"0171 1234567\" }\n  - { name: bo, password: x, domain: b.example }\n\
                routes: [ { to: +, do: tone } ]";
    let config = good(text);
    let (al, bo) = (config.user("al").unwrap(), config.user("bo").unwrap());
    assert_eq!(
        (al.domain.as_str(), al.numbers[0].as_str()),
        ("a.example", "+4930123456")
    );
    assert_eq!(
        (
            al.on_busy.as_deref(),
            al.on_no_answer.as_deref(),
            al.on_offline.as_deref()
        ),
        (Some("bo"), None, Some("+491711234567"))
    );
    assert_eq!(
        (bo.domain.as_str(), bo.digest.as_slice()),
        ("b.example", &[Algorithm::Sha256, Algorithm::Md5][..])
    );
}

#[test]
fn secrets_come_from_elsewhere_and_never_print() {
    let env = |name: &str| (name == "PW").then(|| "from-env".to_owned());
    let read = |path: &Path| match path.to_str() {
        Some("pw") => Ok("from-file\n".to_owned()),
        Some("long") => Ok("a\nb\n".to_owned()),
        Some("none") => Ok("\n".to_owned()),
        _ => Err("it does not exist".to_owned()),
    };
    let generate = |path: &Path, user: &str| match path.to_str() {
        Some("made") => Ok(Secret::new(format!("made-for-{user}"))),
        _ => Err("the folder is read-only".to_owned()),
    };
    let sources = Sources {
        env: &env,
        read: &read,
        generate: &generate,
        cores: 3,
    };
    let password = |text: &str| {
        let text = format!("listen: udp://127.0.0.1:5060\nusers: [ {{ name: al, password: {text} }} ]");
        match parse("x", &text, &sources) {
            Ok(config) => {
                assert!(!format!("{config:?}").contains("from-"), "a password prints");
                config.users[0].password.expose().to_owned()
            }
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    };
    assert_eq!(password("{ env: PW }"), "from-env");
    assert_eq!(password("{ file: pw }"), "from-file");
    assert_eq!(password("{ generate: made }"), "made-for-al");
    assert_eq!(
        password("{ env: NO }"),
        "x:2:39: users[0].password.env: the environment variable NO is not set. Set it before the start."
    );
    assert_eq!(
        password("{ file: no }"),
        "x:2:40: users[0].password.file: the file no cannot be read: it does not exist"
    );
    assert_eq!(
        password("{ file: none }"),
        "x:2:40: users[0].password.file: the file none is empty."
    );
    assert_eq!(
        password("{ file: long }"),
        "x:2:40: users[0].password.file: the file long has several lines, and the password must be its only one."
    );
    assert_eq!(
        password("{ generate: no }"),
        "x:2:44: users[0].password.generate: the password of al cannot be kept in no: the folder is read-only"
    );
    assert_eq!(password("\"\""), "x:2:32: users[0].password: the password is empty.");
    let forms = "a password in quotes, or { env: NAME }, { file: PATH } or { generate: PATH }";
    assert_eq!(
        password("[ secret ]"),
        format!("x:2:34: users[0].password: this is not {forms}.")
    );
    assert_eq!(
        password("{ env: PW, file: pw }"),
        format!("x:2:34: users[0].password: exactly one of env, file and generate belongs here: {forms}.")
    );
    assert_eq!(
        trunk("register: { username: t, password: { generate: made } }"),
        [
            "2:95: trunks[0].register.password.generate: the carrier gives this password, so it cannot be generated. Use env or file."
        ]
    );
}

#[test]
fn trunks() {
    let two = |a: &str, b: &str| with(&format!("trunks:\n  - {{ name: a, {a} }}\n  - {{ name: b, {b} }}"));
    let peer = "peers: [ sip:192.0.2.1 ]";
    assert_eq!(
        two(
            "peers: [ sip:192.0.2.1 ], accept_from: [ 198.51.100.0/24 ]",
            "peers: [ sip:192.0.2.2 ], accept_from: [ 198.51.0.0/16 ]"
        ),
        [
            "4:57: trunks[1].accept_from[0]: 198.51.0.0/16 is claimed by trunk a too, with accept_from 198.51.100.0/24. A source belongs to one trunk only."
        ]
    );
    assert_eq!(
        two(peer, "peers: [ \"sip:192.0.2.1:5080\" ]"),
        [
            "4:25: trunks[1].peers[0]: sip:192.0.2.1:5080 is claimed by trunk a too, with peer sip:192.0.2.1. A source belongs to one trunk only."
        ]
    );
    assert_eq!(
        two(peer, "peers: [ sip:192.0.2.9 ], accept_from: 192.0.2.1"),
        [
            "4:55: trunks[1].accept_from: 192.0.2.1 is claimed by trunk a too, with peer sip:192.0.2.1. A source belongs to one trunk only."
        ]
    );
    assert_eq!(
        two(
            "peers: [ sip:x.example ], accept_from: []",
            "peers: [ sip:X.example ], accept_from: []"
        ),
        ["4:25: trunks[1].peers[0]: x.example is a peer of trunk a too. A host belongs to one trunk only."]
    );
    assert_eq!(
        with(&format!(
            "trunks: [ {{ name: a, {peer} }}, {{ name: a, peers: [ sip:192.0.2.2 ] }} ]"
        )),
        ["2:58: trunks[1].name: trunks[0] has this name too. Routes could not tell them apart."]
    );
    assert_eq!(
        two(peer, "peers: [ sip:x.example ]"),
        [
            "4:7: trunks[1]: no call could come in: the peers are names, there is no register, and accept_from is missing. Write, \
          for example, accept_from: [ 198.51.100.0/24 ], or accept_from: [] if none shall come in."
        ]
    );
    assert_eq!(
        trunk("accept_from: [ 198.51.100.1/24 ]"),
        [
            "2:63: trunks[0].accept_from[0]: 198.51.100.1/24 has bits beyond its length. Write 198.51.100.0/24 for the network, or 198.51.100.1 alone."
        ]
    );
    assert_eq!(
        trunk("accept_from: [ 0.0.0.0/0 ]"),
        ["2:63: trunks[0].accept_from[0]: 0.0.0.0/0 is everybody: every call would be taken for this carrier's."]
    );
    assert_eq!(
        trunk("numbers: { country: XX }"),
        [
            "2:68: trunks[0].numbers.country: the number table does not know XX. Omit country, and write numbers in E.164 with a plus."
        ]
    );
    assert_eq!(
        trunk("numbers: { send: national }"),
        [
            "2:65: trunks[0].numbers.send: national needs to know the country. Write, for example, numbers: { country: US, send: national }"
        ]
    );
    assert_eq!(
        trunk("pass_headers: [ Via ]"),
        [
            "2:64: trunks[0].pass_headers[0]: Via is written by this node on each leg and cannot be carried over. Remove it."
        ]
    );
    assert_eq!(
        trunk("register: { username: t }"),
        ["2:60: trunks[0].register: password is missing. Write, for example, password: { env: ACME_PASSWORD }"]
    );
    let uri = |text: &str| {
        with(&format!(
            "trunks: [ {{ name: a, accept_from: [], peers: [ \"{text}\" ] }} ]"
        ))
    };
    assert_eq!(
        uri("sips:192.0.2.1"),
        ["2:48: trunks[0].peers[0]: \"sips:192.0.2.1\" asks for TLS, which this node does not speak. Write sip:..."]
    );
    assert_eq!(
        uri("sip:192.0.2.1;transport=tls"),
        ["2:48: trunks[0].peers[0]: this node speaks udp and tcp with peers, not tls."]
    );
    for bad in [
        "192.0.2.1",
        "sip:",
        "sip:bob@192.0.2.1",
        "tel:+1",
        "sip:0.0.0.0",
        "sip:192.0.2.1?a=b",
    ] {
        assert_eq!(
            uri(bad),
            [format!(
                "2:48: trunks[0].peers[0]: \"{bad}\" is not a SIP URI as sip:HOST:PORT, with ;transport=tcp for TCP. Write, for \
                 example, peers: [ \"sip:sbc1.acme.example:5060\" ]"
            )]
        );
    }
}

#[test]
fn a_source_is_found_by_its_network() {
    let text = "listen: udp://127.0.0.1:5060\ntrunks:\n  - { name: a, peers: [ sip:192.0.2.1 ], accept_from: [ 198.51.100.0/24, \"2001:db8::/32\" ] }\n  - { name: b, peers: [ sip:192.0.2.2 ] }";
    let config = good(text);
    let at = |text: &str| config.trunk_at(text.parse().unwrap());
    assert_eq!(at("198.51.100.255"), Some(TrunkIx(0)));
    assert_eq!(at("::ffff:198.51.100.7"), Some(TrunkIx(0)));
    assert_eq!(at("2001:db8:ffff::1"), Some(TrunkIx(0)));
    assert_eq!(at("192.0.2.2"), Some(TrunkIx(1)));
    assert_eq!(at("198.51.101.0"), None);
    assert_eq!(at("2001:db9::1"), None);
}

#[test]
fn routes() {
    let route = |text: &str| {
        with(&format!(
            "trunks: [ {{ name: acme, peers: [ sip:192.0.2.1 ], numbers: {{ country: DE }} }} ]\nusers: [ {{ name: alice, password: x }} ]\nroutes: [ {{ {text} }} ]"
        ))
    };
    assert_eq!(
        route("to: 1, do: user/alic"),
        ["4:24: routes[0].do: there is no user \"alic\"; did you mean alice?"]
    );
    assert_eq!(
        route("to: 1, do: user/nobody"),
        ["4:24: routes[0].do: there is no user \"nobody\"; there is alice."]
    );
    assert_eq!(
        route("to: 1, do: trunk/nosuch"),
        ["4:24: routes[0].do: there is no trunk \"nosuch\"; there is acme."]
    );
    assert_eq!(
        route("to: 1, from: trunk/x, do: echo"),
        ["4:26: routes[0].from: there is no trunk \"x\"; there is acme."]
    );
    assert_eq!(
        route("to: 1, from: alice, do: echo"),
        [
            "4:26: routes[0].from: \"alice\" is not user/NAME, user/*, trunk/NAME, trunk/* or *. Write, for example, from: user/*"
        ]
    );
    assert_eq!(
        route("to: 1, do: ecko"),
        ["4:24: routes[0].do: \"ecko\" is none of echo, tone, reject; did you mean echo?"]
    );
    assert_eq!(
        route("to: 1, do: reject"),
        ["4:24: routes[0].do: with which status? Write, for example, do: reject/403"]
    );
    assert_eq!(
        route("to: 1, do: reject/200"),
        [
            "4:24: routes[0].do: \"reject/200\" is not user/NAME, trunk/NAME, echo, tone, or reject/STATUS with a status from 400 to 699. Write, for example, do: user/alice"
        ]
    );
    assert_eq!(
        route("do: echo"),
        ["4:13: routes[0]: to is missing. Write, for example, to: \"+14155550101\""]
    );
    assert_eq!(
        route("to: 0900*, do: echo"),
        [
            "4:17: routes[0].to: 0900* would never match: numbers are compared in E.164, and DE numbers of that form become +49900... Write +49900*."
        ]
    );
    assert!(route("to: 0049*, do: echo")[0].ends_with("Write +49*."));
    assert_eq!(
        with("routes:\n  - { to: 1, do: echo }\n  - { to: 1, do: tone }"),
        [
            "4:7: routes[1]: the route at line 3 has the same to and from and comes first, so this one never decides. Remove one."
        ]
    );
    for to in ["\"\"", "\"a b\"", "\"*1*\"", "\"+4a9*\"", "\"**\""] {
        assert!(
            route(&format!("to: {to}, do: echo"))[0].contains("is not a number, a name, +"),
            "{to}"
        );
    }
    for to in [
        "\"+49 (30)*\"",
        "+",
        "\"*\"",
        "6*",
        "al*",
        "alice",
        "\"030 123456\"",
        "+49*",
    ] {
        assert_eq!(route(&format!("to: {to}, do: echo")), [""; 0], "{to}");
    }
}

#[test]
fn the_report_has_every_problem_and_their_number() {
    let path = Path::new("config/x.yaml");
    let bad = parse(
        "config/x.yaml",
        "listen: udp://127.0.0.1\nlog: { level: loud }\nlgo: 1",
        &Sources::NONE,
    );
    assert_eq!(
        report(path, &bad),
        "config/x.yaml:2:15: log.level: \"loud\" is not a level: error, warn, info, debug or trace. Write, for example, level: debug\n\
         config/x.yaml:3:1: lgo: there is no such key; did you mean log?\n2 problems\n"
    );
    let bad = parse("config/x.yaml", "listen: 5060", &Sources::NONE);
    assert!(report(path, &bad).ends_with("\n1 problem\n"));
    assert_eq!(
        report(path, &Ok(good(EXAMPLE))),
        "config/x.yaml is good: edge-1 listens on udp://0.0.0.0:5060, tcp://0.0.0.0:5060; 1 user with 1 number, 1 trunk, 4 routes.\n"
    );
    assert_eq!(
        report(path, &load(path, &Sources::NONE)),
        "config/x.yaml:1:1: the file cannot be read: there are no files here\n1 problem\n"
    );
}

#[test]
fn a_reload_says_what_changes() {
    let old = good(EXAMPLE);
    assert_eq!(
        Config::diff(&old, &old.clone()),
        Changes {
            trunk_places: vec![(TrunkIx(0), TrunkIx(0))],
            ..Changes::default()
        }
    );
    let text = EXAMPLE
        .replace("tcp://0.0.0.0:5060", "tcp://0.0.0.0:5070")
        .replace(
            "- { name: alice, password: \"...\"",
            "- { name: bob, password: y }\n  - { name: alice, password: \"new\"",
        )
        .replace("20000-29999", "30000-30999")
        .replace(
            "- name: acme",
            "- { name: zeta, peers: [ sip:192.0.2.1 ] }\n  - name: acme",
        )
        .replace("calls: 100", "calls: 50")
        .replace("\"600\"", "\"602\"")
        .replace("tandem.db", "other.db")
        .replace("store:", "log: { level: debug }\nstore:");
    let new = good(&text);
    let changes = Config::diff(&old, &new);
    assert_eq!(
        changes.sentences,
        [
            "1 user added: bob.",
            "1 user changed: alice.",
            "1 trunk added: zeta.",
            "1 trunk changed: acme.",
            "1 listener to open: tcp://0.0.0.0:5070.",
            "1 listener to close: tcp://0.0.0.0:5060.",
            "New calls take media ports 30000-30999 on 0.0.0.0.",
            "The dial plan is new: 4 routes, before 4 routes.",
            "log changed.",
            "store.path changed, which takes effect at the next start.",
        ]
    );
    assert_eq!(changes.trunk_places, [(TrunkIx(0), TrunkIx(1))]);
    assert!(
        changes.sentences.iter().all(|line| !line.contains("new\"")),
        "no password in it"
    );
    let back = Config::diff(&new, &old);
    assert_eq!(
        back.sentences[..2],
        ["1 user removed, with all registrations: bob.", "1 user changed: alice."]
    );
    assert_eq!(back.trunks_removed, ["zeta"]);
    assert_eq!(
        back.listeners_added,
        [Listen {
            transport: Transport::Tcp,
            addr: "0.0.0.0:5060".parse().unwrap()
        }]
    );
    let moved = Config::diff(
        &old,
        &good(&EXAMPLE.replace("\n  - { name: alice", "\n\n  - { name: alice")),
    );
    assert!(moved.is_empty(), "lines that move are no change: {:?}", moved.sentences);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse("x", &text, &Sources::NONE);
    }

    #[test]
    fn no_change_to_a_good_file_panics(at in 0..EXAMPLE.len(), gone in 0usize..40, put in "[a-z0-9:\\-\\[\\]{},&*!|>'\"#?~+/ \n]{0,12}") {
        let mut text = EXAMPLE.to_owned();
        text.replace_range(at..(at + gone).min(EXAMPLE.len()), &put);
        if let Err(problems) = parse("x", &text, &Sources::NONE) {
            prop_assert!(!problems.is_empty());
            let lines = text.lines().count() + 1;
            prop_assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line) && problem.column > 0));
        }
    }
}
