//! Problems of the sections on the node itself, of passwords, and of the file as a whole.

use super::super::*;
use super::{EXAMPLE, good, problems, trunk, user, with};
use crate::limits;
use crate::media::command::Srtp;
use proptest::prelude::*;
use std::time::Duration;

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
fn whom_the_node_listens_to() {
    let guard = good("listen: udp://127.0.0.1").guard;
    assert_eq!(
        (
            guard.per_source,
            guard.per_stranger,
            guard.strangers,
            guard.per_user,
            guard.guesses
        ),
        (100, 10, 500, 20, 10)
    );
    assert_eq!(
        (guard.ban, guard.max_wait),
        (Some(Duration::from_secs(600)), Duration::from_millis(100))
    );
    assert!(guard.exempt.is_empty() && guard.scanners.iter().any(|name| name == "friendly-scanner"));
    let own = "{ ban: never, scanners: [ Odd 1, odder ], exempt: [ 192.0.2.0/24, 2001:db8::1 ], max_wait: 10 }";
    let guard = good(&format!("listen: udp://127.0.0.1\nguard: {own}")).guard;
    assert_eq!((guard.ban, guard.scanners.join(",").as_str()), (None, "Odd 1,odder"));
    assert!(guard.exempt[0].contains("192.0.2.77".parse().unwrap()) && guard.exempt.len() == 2);
    assert!(
        good("listen: udp://127.0.0.1\nguard: { scanners: [] }")
            .guard
            .scanners
            .is_empty()
    );
    for (wrong, told) in [
        (
            "guesses: 0",
            "2:19: guard.guesses: \"0\" is not a whole number from 1 to 1000. Write, for example, guesses: 10",
        ),
        (
            "max_wait: 5",
            "2:20: guard.max_wait: \"5\" is not a number of milliseconds from 10 to 10000. Write, for example, max_wait: 100",
        ),
        (
            "scanners: [ \"\\n\" ]",
            "2:22: guard.scanners[0]: \"\\n\" is not the beginning of a User-Agent. Write, for example, scanners: [ friendly-scanner, sipvicious ]",
        ),
    ] {
        assert_eq!(with(&format!("guard: {{ {wrong} }}")), [told]);
    }
}

#[test]
fn recordings() {
    let listen = "listen: udp://127.0.0.1";
    let usual = good(listen).recording;
    assert_eq!(
        (usual.directory.to_str(), usual.keep, usual.max_size),
        (Some("data/recordings"), None, None)
    );
    let text = format!("{listen}\nrecording: {{ directory: /srv/calls, keep: 400d, max_size: 2TB }}");
    let said = good(&text).recording;
    let days = Duration::from_secs(400 * 24 * 3_600);
    assert_eq!((said.keep, said.max_size), (Some(days), Some(2_000_000_000_000)));
    assert_eq!(
        good(&format!("{listen}\nrecording: {{ keep: 36h, max_size: never }}"))
            .recording
            .keep,
        Some(Duration::from_secs(36 * 3_600))
    );
    assert_eq!(
        with("recording: { keep: 0d, max_size: 10 }"),
        [
            "2:20: recording.keep: \"0d\" is not a duration (seconds, or a number with s, m, h or d) or never. Write, for example, keep: 30d",
            "2:34: recording.max_size: \"10\" is not a size as a number with MB, GB or TB, or never. Write, for example, max_size: 10GB",
        ]
    );
    for (word, tone) in [
        ("once", Beep::Once),
        ("15s", Beep::Every(Duration::from_secs(15))),
        ("never", Beep::Never),
    ] {
        assert_eq!(
            good(&format!("{listen}\nrecording: {{ tone: {word} }}")).recording.tone,
            tone
        );
    }
    assert_eq!(
        with("recording: { tone: 1s }"),
        ["2:20: recording.tone: \"1s\" is less than 5s, the least that is taken."]
    );
    for (word, record) in [
        ("yes", Record::Yes),
        ("no", Record::No),
        ("on_request", Record::OnRequest),
    ] {
        let users = format!("{listen}\nusers: [ {{ name: alice, password: x, record: {word} }} ]");
        assert_eq!(good(&users).users[0].record, record);
    }
    let trunk = |word| format!("{listen}\ntrunks: [ {{ name: acme, peers: [ sip:192.0.2.1 ], record: {word} }} ]");
    assert_eq!(good(&trunk("yes")).trunks[0].record, Record::Yes);
    assert_eq!(
        problems(&trunk("on_request")),
        ["2:59: trunks[0].record: \"on_request\" is not yes or no. Write, for example, record: yes"]
    );
}

#[test]
fn a_recording_server() {
    let listen = "listen: [ \"udp://0.0.0.0\" ]";
    let with = |siprec: &str| format!("{listen}\nrecording: {{ siprec: {siprec} }}");
    assert_eq!(good(listen).recording.siprec, None);
    assert!(good(listen).recording.has_files());
    let said = good(&with("{ server: \"sip:srs@192.0.2.9:5070\" }")).recording;
    assert!(!said.has_files());
    let said = said.siprec.unwrap();
    assert_eq!(said.server.to_string(), "sip:srs@192.0.2.9:5070");
    assert_eq!(
        (said.srtp, said.files, said.required, said.ca),
        (Srtp::Off, false, false, None)
    );
    let said = good(&with(
        "{ server: \"sip:rec.example\", srtp: required, files: yes, required: on }",
    ))
    .recording;
    assert!(said.has_files());
    let said = said.siprec.unwrap();
    assert_eq!((said.srtp, said.required), (Srtp::Required, true));
    assert_eq!(
        problems(&with("{ files: yes }")),
        [
            "2:24: recording.siprec: server is missing. Write, for example, server: \"sip:recorder@192.0.2.9:5060;transport=tcp\""
        ]
    );
    for wrong in [
        "tel:911",
        "192.0.2.9",
        "sip:a:secret@192.0.2.9",
        "sip:0.0.0.0",
        "sip:a@192.0.2.9?Subject=x",
    ] {
        let told = problems(&with(&format!("{{ server: \"{wrong}\" }}")));
        assert!(told[0].contains("is not a SIP URI, with a user or without"), "{told:?}");
    }
    for (server, name) in [("sip:192.0.2.9;transport=tcp", "tcp"), ("sips:rec.example", "tls")] {
        let told = problems(&with(&format!("{{ server: \"{server}\" }}")));
        assert!(
            told[0].contains(&format!("it is reached by {name}, and listen has no {name}://")),
            "{told:?}"
        );
    }
}

#[test]
fn listeners_and_ports() {
    assert_eq!(
        problems("listen: [ 0.0.0.0:5060 ]"),
        [
            "1:11: listen[0]: \"0.0.0.0:5060\" is not an address as udp://IP:PORT, or the same with tcp, tls, ws or wss. Write, for example, listen: [ \"udp://0.0.0.0:5060\", \"tcp://0.0.0.0:5060\" ]"
        ]
    );
    assert_eq!(
        problems("listen: sips://0.0.0.0"),
        ["1:9: listen: sips does not say how it travels. Write udp://..., tcp://..., tls://..., ws://... or wss://..."]
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
    assert_eq!(
        with("media: { ports: 29999-20000 }"),
        ["2:17: media.ports: the first port of 29999-20000 is after the last. Write 20000-29999."]
    );
    for ports in ["20000", "80-90", "20000-20002", "20000-70000"] {
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
        has_secrets: true,
        env: &env,
        read: &read,
        generate: &generate,
        cores: 3,
        ..Sources::NONE
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

#[test]
fn a_control_socket_has_a_path_that_a_socket_may_have() {
    let socket = |path: &str| with(&format!("control: {{ socket: {path} }}"));
    assert_eq!(socket(&"x".repeat(limits::CONTROL_PATH_BYTES)), [""; 0]);
    assert_eq!(socket("no"), [""; 0]);
    for (path, why) in [
        ("yes", "is not the path of a socket, or no"),
        (&*"x".repeat(108), "a socket's path has at most 107 octets."),
    ] {
        let problems = socket(path);
        assert!(problems.len() == 1 && problems[0].contains(why), "{problems:?}");
    }
}
