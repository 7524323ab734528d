//! Problems of users, trunks and routes.

use super::super::*;
use super::{good, problems, trunk, user, with};
use crate::media::command::Dtmf;

/// Each text gives exactly this problem.
fn each(found: impl Fn(&str) -> Vec<String>, table: &[(&str, &str)]) {
    for (text, problem) in table {
        assert_eq!(found(text), [*problem], "{text}");
    }
}

#[test]
fn a_user() {
    let number = "\"bob\" is not a telephone number or an extension. Write, for example, number: \"+14155550101\"";
    let codec = "\"g729\" is not a codec: pcmu, pcma, g722 or opus. Write, for example, codecs: [ opus, pcma ]";
    let digest = "\"sha512\" is not a digest algorithm: md5 or sha-256. Write, for example, digest: [ sha-256, md5 ]";
    let nowhere = "bob leads nowhere: no user has that name or number, and no route takes it.";
    let table = [
        (
            "number: 1, numbers: [ 2 ]",
            "2:60: users[0].numbers: number is there too. Put all of them into numbers.",
        ),
        ("number: bob", &format!("2:46: users[0].number: {number}")),
        (
            "domain: exmple.com",
            "2:46: users[0].domain: exmple.com is not in domains.",
        ),
        ("codecs: [ opus, g729 ]", &format!("2:54: users[0].codecs[1]: {codec}")),
        ("digest: [ sha512 ]", &format!("2:48: users[0].digest[0]: {digest}")),
        (
            "gain_in: 25",
            "2:47: users[0].gain_in: \"25\" is not a whole number of dB from -20 to 20. Write, for example, gain_in: 3",
        ),
        (
            "srtp: yes",
            "2:44: users[0].srtp: \"yes\" is not off, offered or required. Write, for example, srtp: required",
        ),
        (
            "dtmf: yes",
            "2:44: users[0].dtmf: \"yes\" is not auto, rfc4733, info or inband. Write, for example, dtmf: info",
        ),
        (
            "t38: maybe",
            "2:43: users[0].t38: \"maybe\" is not yes or no. Write, for example, t38: no",
        ),
        ("on_busy: alice", "2:47: users[0].on_busy: alice is this user again."),
        ("on_busy: bob", &format!("2:47: users[0].on_busy: {nowhere}")),
    ];
    each(user, &table);
}

#[test]
fn digits() {
    let of = |word: &str| {
        let text = format!(
            "listen: udp://127.0.0.1\nusers: [ {{ name: al, password: x{word} }} ]\ntrunks: [ {{ name: a, peers: [ sip:192.0.2.1 ]{word} }} ]"
        );
        let config = good(&text);
        (config.users[0].dtmf, config.trunks[0].dtmf)
    };
    assert_eq!(of(""), (Dtmf::Auto, Dtmf::Auto));
    for (word, dtmf) in [
        ("auto", Dtmf::Auto),
        ("rfc4733", Dtmf::Rfc4733),
        ("info", Dtmf::Info),
        ("inband", Dtmf::Inband),
    ] {
        assert_eq!(of(&format!(", dtmf: {word}")), (dtmf, dtmf));
    }
}

#[test]
fn users_and_domains() {
    let name =
        "\"al ice\" is not a name of letters, digits and -_.!~'&=+$ (at most 64). Write, for example, name: alice";
    let domain = "\"-bad-\" is not a domain name or an address, or { name: ..., digest: ... }. Write, for example, domains: \
                  [ example.com ]";
    let table = [
        (
            "users:\n- { password: x, name: al }\n- { password: x, name: al }",
            "4:24: users[1].name: users[0] has this name too. Names are unique over all domains.",
        ),
        (
            "users:\n- { password: x, name: al, number: 101 }\n- { password: x, name: bo, number: 101 }",
            "4:36: users[1].number: users[0] has the number 101 too. A number rings one user.",
        ),
        (
            "users:\n- { password: x, name: al, number: 101 }\n- { password: x, name: 101 }",
            "4:5: users[1]: the name 101 is the number of users[0].",
        ),
        (
            "users:\n- { password: x, name: bo, numbers: [ 102, 102 ] }",
            "3:44: users[0].numbers[1]: 102 is in the list twice. Remove one of them.",
        ),
        (
            "users: [ { name: \"al ice\", password: x } ]",
            &format!("2:18: users[0].name: {name}"),
        ),
        (
            "domains: [ example.com ]\nusers: [ { name: a, password: x, domain: exmple.com } ]",
            "3:42: users[0].domain: exmple.com is not in domains; did you mean example.com?",
        ),
        ("domains: [ -bad- ]", &format!("2:12: domains[0]: {domain}")),
        (
            "domains: [ a.example, A.example ]",
            "2:23: domains[1]: a.example is in the list twice. Remove one of them.",
        ),
    ];
    each(with, &table);
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
fn a_fax_goes_where_it_is_let_and_nothing_is_encrypted() {
    let text = "listen: udp://127.0.0.1:5060\ndomains: [ a.example ]\nusers: [ { name: al, password: x }, \
                { name: bo, password: x, t38: no }, { name: cy, password: x, srtp: required }, { name: di, password: x, srtp: offered } ]\n\
                trunks: [ { name: acme, peers: [ \"sip:192.0.2.7\" ] }, { name: boom, peers: [ \"sip:192.0.2.8\" ], t38: no } ]\n";
    let config = good(text);
    let takes = |name: &str| config.user(name).unwrap().takes_fax();
    assert_eq!(["al", "bo", "cy", "di"].map(takes), [true, false, false, true]);
    assert_eq!(
        (config.trunks[0].takes_fax(), config.trunks[1].takes_fax()),
        (true, false)
    );
}

#[test]
fn a_trunk() {
    let bits =
        "198.51.100.1/24 has bits beyond its length. Write 198.51.100.0/24 for the network, or 198.51.100.1 alone.";
    let everybody = "0.0.0.0/0 is everybody: every call would be taken for this carrier's.";
    let country = "the number table does not know XX. Omit country, and write numbers in E.164 with a plus.";
    let national = "national needs to know the country. Write, for example, numbers: { country: US, send: national }";
    let via = "Via is written by this node on each leg and cannot be carried over. Remove it.";
    let password = "password is missing. Write, for example, password: { env: ACME_PASSWORD }";
    let table = [
        (
            "accept_from: [ 198.51.100.1/24 ]",
            &format!("2:63: trunks[0].accept_from[0]: {bits}"),
        ),
        (
            "accept_from: [ 0.0.0.0/0 ]",
            &format!("2:63: trunks[0].accept_from[0]: {everybody}"),
        ),
        (
            "dtmf: sip-info",
            &"2:54: trunks[0].dtmf: \"sip-info\" is not auto, rfc4733, info or inband. Write, for example, dtmf: info"
                .to_owned(),
        ),
        (
            "numbers: { country: XX }",
            &format!("2:68: trunks[0].numbers.country: {country}"),
        ),
        (
            "numbers: { country: uk }",
            &"2:68: trunks[0].numbers.country: the code of the United Kingdom is GB (ISO 3166).".to_owned(),
        ),
        (
            "numbers: { send: national }",
            &format!("2:65: trunks[0].numbers.send: {national}"),
        ),
        (
            "pass_headers: [ Via ]",
            &format!("2:64: trunks[0].pass_headers[0]: {via}"),
        ),
        (
            "pass_headers: [ User-Agent ]",
            &format!("2:64: trunks[0].pass_headers[0]: {}", via.replace("Via", "User-Agent")),
        ),
        (
            "register: { username: t }",
            &format!("2:60: trunks[0].register: {password}"),
        ),
    ];
    each(trunk, &table.map(|(text, problem)| (text, problem.as_str())));
}

#[test]
fn peers() {
    let uri = |text: &str| {
        with(&format!(
            "trunks: [ {{ name: a, accept_from: [], peers: [ \"{text}\" ] }} ]"
        ))
    };
    for good in [
        "sips:192.0.2.1",
        "sips:sbc.example;transport=tcp",
        "sip:192.0.2.1;transport=tls",
    ] {
        let text = format!("trunks: [ {{ name: a, accept_from: [], peers: [ \"{good}\" ] }} ]");
        assert!(problems(&format!("listen: [ udp://127.0.0.1, tls://127.0.0.1 ]\n{text}")).is_empty());
        let missing = &with(&text)[0];
        assert!(missing.starts_with("1:1: listen: trunk a has the peer "), "{missing}");
    }
    let tls = "\"sips:192.0.2.1;transport=udp\" asks for TLS over UDP, which does not exist. Write sips:HOST.";
    assert_eq!(
        uri("sips:192.0.2.1;transport=udp"),
        [format!("2:48: trunks[0].peers[0]: {tls}")]
    );
    let browser = "this node speaks udp, tcp and tls with peers, not ws.";
    assert_eq!(
        uri("sip:192.0.2.1;transport=ws"),
        [format!("2:48: trunks[0].peers[0]: {browser}")]
    );
    let form = "is not a SIP URI as sip:HOST:PORT, with ;transport=tcp or ;transport=tls, or as sips:HOST. Write, for example, peers: [ \
                \"sip:sbc1.acme.example:5060\" ]";
    for bad in [
        "192.0.2.1",
        "sip:",
        "sip:bob@192.0.2.1",
        "tel:+1",
        "sip:0.0.0.0",
        "sip:192.0.2.1?a=b",
    ] {
        assert_eq!(uri(bad), [format!("2:48: trunks[0].peers[0]: \"{bad}\" {form}")]);
    }
    let empty =
        "the list is empty, so no call could be sent. Write, for example, peers: [ \"sip:sbc1.acme.example:5060\" ]";
    assert_eq!(
        with("trunks: [ { name: a, peers: [] } ]"),
        [format!("2:22: trunks[0].peers: {empty}")]
    );
}

#[test]
fn two_trunks_do_not_claim_one_source() {
    let two = |a: &str, b: &str| with(&format!("trunks:\n- {{ name: a, {a} }}\n- {{ name: b, {b} }}"));
    let (peer, only) = ("peers: [ sip:192.0.2.1 ]", "A source belongs to one trunk only.");
    assert_eq!(
        two(
            "peers: [ sip:192.0.2.1 ], accept_from: [ 198.51.100.0/24 ]",
            "peers: [ sip:192.0.2.2 ], accept_from: [ 198.51.0.0/16 ]"
        ),
        [format!(
            "4:55: trunks[1].accept_from[0]: 198.51.0.0/16 is claimed by trunk a too, with accept_from 198.51.100.0/24. {only}"
        )]
    );
    let claim = "is claimed by trunk a too, with peer sip:192.0.2.1.";
    assert_eq!(
        two(peer, "peers: [ \"sip:192.0.2.1:5080\" ]"),
        [format!("4:23: trunks[1].peers[0]: sip:192.0.2.1:5080 {claim} {only}")]
    );
    assert_eq!(
        two(peer, "peers: [ sip:192.0.2.9 ], accept_from: 192.0.2.1"),
        [format!("4:53: trunks[1].accept_from: 192.0.2.1 {claim} {only}")]
    );
    assert_eq!(
        two(
            "peers: [ sip:x.example ], accept_from: []",
            "peers: [ sip:X.example ], accept_from: []"
        ),
        ["4:23: trunks[1].peers[0]: x.example is a peer of trunk a too. A host belongs to one trunk only."]
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
            "4:5: trunks[1]: no call could come in: the peers are names, there is no register, and accept_from is missing. \
          Write, for example, accept_from: [ 198.51.100.0/24 ], or accept_from: [] if none shall come in."
        ]
    );
}

#[test]
fn a_source_is_found_by_its_network() {
    let text = "listen: udp://127.0.0.1:5060\ntrunks:\n  - { name: a, peers: [ sip:192.0.2.1 ], accept_from: [ 198.51.100.0/24, \"2001:db8::/32\" ] }\n  - { name: b, peers: [ sip:192.0.2.2 ] }";
    let config = good(text);
    let claimed = |text: &str| -> Vec<&str> {
        let by = config.trunks.iter().filter(|trunk| trunk.claims(text.parse().unwrap()));
        by.map(|trunk| trunk.name.as_str()).collect()
    };
    assert_eq!(claimed("198.51.100.255"), ["a"]);
    assert_eq!(claimed("::ffff:198.51.100.7"), ["a"]);
    assert_eq!(claimed("2001:db8:ffff::1"), ["a"]);
    assert_eq!(claimed("192.0.2.2"), ["b"]);
    assert_eq!(claimed("198.51.101.0"), [""; 0]);
    assert_eq!(claimed("2001:db9::1"), [""; 0]);
}

/// The problems of one route beside a trunk in Germany and a user; it stands at line 4.
fn route(text: &str) -> Vec<String> {
    let trunks = "trunks: [ { name: acme, peers: [ sip:192.0.2.1 ], numbers: { country: DE } } ]";
    with(&format!(
        "{trunks}\nusers: [ {{ name: alice, password: x }} ]\nroutes: [ {{ {text} }} ]"
    ))
}

#[test]
fn who_is_named_in_a_route_exists() {
    let from = "\"alice\" is not user/NAME, user/*, trunk/NAME, trunk/* or *. Write, for example, from: user/*";
    let table = [
        (
            "to: 1, do: user/alic",
            "4:24: routes[0].do: there is no user \"alic\"; did you mean alice?",
        ),
        (
            "to: 1, do: user/nobody",
            "4:24: routes[0].do: there is no user \"nobody\"; there is alice.",
        ),
        (
            "to: 1, do: trunk/nosuch",
            "4:24: routes[0].do: there is no trunk \"nosuch\"; there is acme.",
        ),
        (
            "to: 1, from: trunk/x, do: echo",
            "4:26: routes[0].from: there is no trunk \"x\"; there is acme.",
        ),
        ("to: 1, from: alice, do: echo", &format!("4:26: routes[0].from: {from}")),
    ];
    each(route, &table);
}

#[test]
fn what_a_route_does_and_takes() {
    let status = "\"reject/200\" is not user/NAME, trunk/NAME, room/NUMBER, room, echo, tone, proxy, bridge, or reject/STATUS with a status from 400 to 699. \
                  Write, for example, do: user/alice";
    let never = "0900* would never match: numbers are compared in E.164, and DE numbers of that form become +49900... \
                 Write +49900*.";
    let table = [
        (
            "to: 1, do: ecko",
            "4:24: routes[0].do: \"ecko\" is none of echo, tone, room, reject, proxy, bridge; did you mean echo?",
        ),
        (
            "to: 1, do: reject",
            "4:24: routes[0].do: with which status? Write, for example, do: reject/403",
        ),
        ("to: 1, do: reject/200", &format!("4:24: routes[0].do: {status}")),
        (
            "do: echo",
            "4:13: routes[0]: to is missing. Write, for example, to: \"+14155550101\"",
        ),
        ("to: 0900*, do: echo", &format!("4:17: routes[0].to: {never}")),
    ];
    each(route, &table);
    assert!(route("to: 0049*, do: echo")[0].ends_with("Write +49*."));
    let twice = "the route at line 3 has the same to and from and comes first, so this one never decides. Remove one.";
    let two = with("routes:\n- { to: 1, do: echo }\n- { to: 1, do: tone }");
    assert_eq!(two, [format!("4:5: routes[1]: {twice}")]);
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

/// A certificate makes a connection a carrier's: no address need be said, and a name is one carrier's.
#[test]
fn carriers_by_certificate() {
    let trunk = |name: &str, accept: &str| {
        format!("{{ name: {name}, peers: [ \"sip:{name}.example;transport=tls\" ], tls: {{ accept: {accept} }} }}")
    };
    let with = |tls: &str, trunks: &[String]| {
        let text = format!("listen: [ tls://127.0.0.1 ]\n{tls}trunks: [ {} ]\n", trunks.join(", "));
        problems(&text)
    };
    let one = trunk("a", "[ SBC.a.example, b.example ]");
    assert_eq!(with("", std::slice::from_ref(&one)), Vec::<String>::new());
    let config = good(&format!("listen: [ tls://127.0.0.1 ]\ntrunks: [ {one} ]\n"));
    assert_eq!(
        config.trunks[0].tls.accept,
        ["sbc.a.example".into(), "b.example".into()]
    );
    let twice = with("", &[one.clone(), trunk("b", "[ b.example ]")]);
    assert_eq!(
        twice,
        [
            "1:1: trunks[].tls.accept: trunk a and trunk b accept the certificate of the same name. Calls would belong to either."
        ]
    );
    let address = with("", &[trunk("a", "[ 192.0.2.1 ]")]).pop().expect("two problems");
    let form = "trunks[0].tls.accept[0]: \"192.0.2.1\" is not a domain name, as certificates have it";
    assert!(address.contains(form), "{address}");
    let required = "tls: { client_required: yes }\n";
    assert_eq!(with(required, &[one]), Vec::<String>::new());
    assert_eq!(
        with(required, &[]),
        [
            "1:1: tls.client_required: a certificate is required of those who come by tls, and nobody is said who may have signed it. \
          Add client_ca, or tls.accept to a trunk."
        ]
    );
}
