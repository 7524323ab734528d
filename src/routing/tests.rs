//! The dial plan on one file: who calls what, where it goes, and in which words.

use super::*;
use crate::config::{Sources, parse};

const FILE: &str = r#"
listen: udp://127.0.0.1:5060
users:
  - { name: alice, password: x, number: "+14155550101", on_busy: bob, on_offline: "600" }
  - { name: bob, password: x, numbers: [ "+14155550102", "102" ], ring: 20s }
  - { name: carol, password: x }
trunks:
  - { name: acme, peers: [ sip:192.0.2.1, "sip:192.0.2.2:5080" ], numbers: { country: US, send: e164 } }
  - { name: ten, peers: [ sip:192.0.2.3 ], numbers: { country: US, send: national } }
rooms:
  - { number: "3000", name: standup, pin: "4711", wait_for_moderator: yes, moderators: [ alice ] }
  - { number: "+14155550300", moderator_pin: "990011", listeners: yes }
routes:
  - { to: "+14155550100", from: trunk/acme, do: user/alice }
  - { to: "600", do: echo }
  - { to: "601", do: tone }
  - { to: "*", from: user/carol, do: reject/403 }
  - { to: "911", from: user/*, do: trunk/ten }
  - { to: "+49*", from: user/*, do: trunk/ten }
  - { to: "+14155550102", from: trunk/ten, do: trunk/acme }
  - { to: "+", do: trunk/acme }
"#;

fn config() -> Config {
    parse("x.yaml", FILE, &Sources::NONE).unwrap()
}

fn source(config: &Config, text: &str) -> Source {
    Source::parse(config, text).unwrap()
}

/// Plan and rule in one line.
fn route(from: &str, to: &str) -> String {
    let config = config();
    let decision = decide(&config, &source(&config, from), to);
    let plan = match decision.plan {
        Plan::User(name) => format!("user {name}"),
        Plan::Trunk { ix, number } => format!("{} {number}", config.trunk_words(ix)),
        Plan::Echo => "echo".to_owned(),
        Plan::Room(number) => format!("room {number}"),
        Plan::Tone => "tone".to_owned(),
        Plan::Reject { status, why } => format!("{status} {why}"),
    };
    let rule = decision.rule.split(':').next().unwrap_or_default().to_owned();
    format!("{} | {plan} | {rule}", decision.number)
}

#[test]
fn each_call_goes_where_the_plan_says() {
    let table = [
        ("user/alice", "600", "600 | echo | routes[1] at line 15"),
        ("user/alice", "601", "601 | tone | routes[2] at line 16"),
        ("user/alice", "3000", "3000 | room 3000 | rooms"),
        ("trunk/acme", "3000", "3000 | room 3000 | rooms"),
        (
            "user/alice",
            "+1 415 555 0300",
            "+14155550300 | room +14155550300 | rooms",
        ),
        ("trunk/acme", "600", "600 | echo | routes[1] at line 15"),
        ("user/alice", "bob", "bob | user bob | users"),
        ("user/alice", "102", "102 | user bob | users"),
        ("user/alice", "+14155550102", "+14155550102 | user bob | users"),
        ("user/alice", "(415) 555-0102", "+14155550102 | user bob | users"),
        (
            "user/alice",
            "14155550199",
            "+14155550199 | trunk/acme +14155550199 | routes[7] at line 21",
        ),
        (
            "user/alice",
            "011 49 30 123456",
            "+4930123456 | trunk/ten 0114930123456 | routes[5] at line 19",
        ),
        ("user/alice", "911", "911 | trunk/ten 911 | routes[4] at line 18"),
        (
            "user/alice",
            "+14155550100",
            "+14155550100 | trunk/acme +14155550100 | routes[7] at line 21",
        ),
        (
            "user/carol",
            "bob",
            "bob | 403 the dial plan refuses it | routes[3] at line 17",
        ),
        ("user/carol", "600", "600 | echo | routes[1] at line 15"),
        (
            "trunk/acme",
            "4155550100",
            "+14155550100 | user alice | routes[0] at line 14",
        ),
        (
            "trunk/ten",
            "4155550100",
            "+14155550100 | 404 no route takes it, and no user has that name or number | no rule",
        ),
        ("trunk/acme", "4155550102", "+14155550102 | user bob | users"),
        (
            "trunk/ten",
            "4155550102",
            "+14155550102 | trunk/acme +14155550102 | routes[6] at line 20",
        ),
        ("trunk/acme", "alice", "alice | user alice | users"),
        (
            "trunk/acme",
            "911",
            "911 | 404 no route takes it, and no user has that name or number | no rule",
        ),
        (
            "user/alice",
            "nobody",
            "nobody | 404 no route takes it, and no user has that name or number | no rule",
        ),
    ];
    for (from, to, expected) in table {
        assert_eq!(route(from, to), expected, "{from} calls {to}");
    }
}

#[test]
fn the_rule_is_written_as_in_the_file() {
    let config = config();
    let rule = |from: &str, to: &str| decide(&config, &source(&config, from), to).rule;
    assert_eq!(
        rule("user/alice", "14155550199"),
        "routes[7] at line 21: to +, from * -> trunk/acme"
    );
    assert_eq!(
        rule("user/carol", "bob"),
        "routes[3] at line 17: to *, from user/carol -> reject/403"
    );
    assert_eq!(rule("user/alice", "102"), "users: bob, by number");
    assert_eq!(rule("user/alice", "bob"), "users: bob, by name");
}

#[test]
fn the_explanation_of_a_call_outside() {
    let config = config();
    assert_eq!(
        explain(&config, &source(&config, "user/alice"), "14155550199"),
        "user/alice calls 14155550199.\n\
         The number is +14155550199: 1 is the national prefix of US.\n\
         \x20 routes[0] at line 14: to +14155550100, from trunk/acme -> user/alice: passed over: +14155550199 is not +14155550100\n\
         \x20 routes[1] at line 15: to 600, from * -> echo: passed over: +14155550199 is not 600\n\
         \x20 routes[2] at line 16: to 601, from * -> tone: passed over: +14155550199 is not 601\n\
         \x20 routes[3] at line 17: to *, from user/carol -> reject/403: passed over: user/alice is not user/carol\n\
         \x20 routes[4] at line 18: to 911, from user/* -> trunk/ten: passed over: +14155550199 is not 911\n\
         \x20 routes[5] at line 19: to +49*, from user/* -> trunk/ten: passed over: +14155550199 does not begin with +49\n\
         \x20 routes[6] at line 20: to +14155550102, from trunk/ten -> trunk/acme: passed over: +14155550199 is not +14155550102\n\
         \x20 routes[7] at line 21: to +, from * -> trunk/acme: decides\n\
         Trunk acme is called with the number +14155550199 (send: e164), by sip:192.0.2.1, then sip:192.0.2.2:5080.\n"
    );
}

#[test]
fn the_explanation_of_the_guards() {
    let config = config();
    let told = |from: &str, to: &str| explain(&config, &source(&config, from), to);
    let own = told("user/alice", "102 ");
    assert!(
        own.starts_with(
            "user/alice calls 102 .\n102 stays as it is: an extension or service number, taken as it is.\n"
        ),
        "{own}"
    );
    assert!(
        own.ends_with("  users: bob, by number: decides\nAll phones of bob ring for up to 20 s.\n"),
        "{own}"
    );
    let own = told("user/alice", "4155550102");
    let line = "routes[7] at line 21: to +, from * -> trunk/acme: passed over: +14155550102 is bob's own, and only a route to \
                exactly +14155550102 sends it to a trunk\n";
    assert!(own.contains(line), "{own}");
    let transit = told("trunk/ten", "4155550199");
    let line = "routes[7] at line 21: to +, from * -> trunk/acme: passed over: a call from a trunk goes to a trunk only if from \
                names that trunk or says trunk/*\n  no rule: decides\nThe call is refused with 404: no route takes it, and no \
                user has that name or number.\n";
    assert!(transit.ends_with(line), "{transit}");
    let user = told("trunk/acme", "+14155550100");
    let end = "All phones of alice ring for up to 60 s.\n  busy: the call goes on to bob\n  no phone registered: the call goes on to 600\n";
    assert!(user.ends_with(end), "{user}");
    assert!(told("user/alice", "600").ends_with("The caller hears himself (echo).\n"));
    assert!(told("user/alice", "601").ends_with("The caller hears a tone of 1,004 Hz.\n"));
    assert!(told("user/carol", "1").ends_with("The call is refused with 403: the dial plan refuses it.\n"));
    assert!(told("user/alice", "zoe").contains("\nzoe is no number: it is compared as a name.\n"));
}

/// What a call by a URI would do is what the node does with it: hosts that are ours count, and their users are who is called.
#[test]
fn a_uri_is_explained_as_the_call_that_it_makes() {
    let text = "listen: [ \"udp://192.0.2.7:5060\" ]\nadvertise: 203.0.113.9\ndomains: [ example.com, { name: p.example, do: proxy } ]
users:
  - { name: al, password: x, number: \"101\" }
  - { name: bob, password: x, numbers: [ \"102\", \"+49301234\" ] }
  - { name: pat, password: x, domain: p.example }
rooms: [ { number: \"3000\" } ]";
    let config = parse("x", text, &Sources::NONE).unwrap();
    let told = |from: &str, to: &str| explain(&config, &Source::User(from.into()), to);
    let rings = "decides\nAll phones of bob ring for up to 60 s.\n";
    for to in [
        "bob",
        "sip:bob@example.com",
        "SIP:bob@EXAMPLE.com:5060;transport=tcp",
        "sips:bob@example.com",
        "bob@example.com",
        "\"Bob\" <sip:bob@example.com>;tag=1",
        "sip:b%6fb@example.com",
        "sip:102@192.0.2.7",
        "102@203.0.113.9",
        "sip:+49-30-1234;x=y@p.example;user=phone",
        "tel:+49-30-1234",
    ] {
        assert!(told("al", to).ends_with(rings), "{}", told("al", to));
    }
    assert!(told("al", "sip:3000@example.com").contains("joins room 3000"));
    assert!(told("al", " ").ends_with("The call is refused with 484: nobody is named.\n"));
    assert!(told("al", "sip:bob@example.com").starts_with(
        "user/al calls sip:bob@example.com.\nIt is bob here: example.com is ours.\nbob is no number: it is compared as a name.\n"
    ));
    for (from, to, end) in [
        (
            "al",
            "bob@elsewhere.net",
            "The call is refused with 404: elsewhere.net is not one of `domains`, nor an address of this node.\n",
        ),
        (
            "al",
            "sip:bob@192.0.2.8",
            "The call is refused with 404: 192.0.2.8 is not one of `domains`, nor an address of this node.\n",
        ),
        (
            "pat",
            "bob@elsewhere.net",
            "is proxied to elsewhere.net, since the domain of pat says do: proxy. What becomes of it there only elsewhere.net knows.\n",
        ),
        (
            "al",
            "sip:example.com",
            "The call is refused with 484: nobody is named.\n",
        ),
        (
            "al",
            "sip:bob@example.com;gr=urn:uuid:1",
            "That is one device (gr, RFC 5627) of bob at example.com: only the running node knows whether it is registered.\n",
        ),
        ("al", "sip:b ob@example.com", "so nobody can call it.\n"),
        ("al", "zoe", "no user has that name or number.\n"),
    ] {
        assert!(told(from, to).ends_with(end), "{}", told(from, to));
    }
    // Behind a wildcard it is any address of the machine, perhaps.
    let config = parse("x", &text.replace("192.0.2.7", "0.0.0.0"), &Sources::NONE).unwrap();
    let told = explain(&config, &Source::User("al".into()), "sip:bob@192.0.2.8");
    assert!(
        told.contains("knows whether 192.0.2.8 is") && told.ends_with(rings),
        "{told}"
    );
}

#[test]
fn the_explanation_says_where_a_fax_is_refused() {
    let text = "listen: udp://127.0.0.1\ndomains: [ a.example ]\nusers: [ { name: al, password: x }, { name: bo, password: x, t38: no }, \
                { name: cy, password: x, srtp: required } ]\ntrunks: [ { name: acme, peers: [ \"sip:192.0.2.1\" ], t38: no } ]\n\
                routes: [ { to: \"600\", do: echo }, { to: \"+\", do: trunk/acme } ]";
    let config = parse("x", text, &Sources::NONE).unwrap();
    for (from, to, said) in [
        ("al", "bo", "  fax (T.38): refused, since the called side has t38: no\n"),
        ("bo", "al", "  fax (T.38): refused, since the caller has t38: no\n"),
        (
            "al",
            "cy",
            "  fax (T.38): refused, since the called side has srtp: required\n",
        ),
        (
            "al",
            "+14155550199",
            "  fax (T.38): refused, since the called side has t38: no\n",
        ),
        ("al", "al", ""),
        ("bo", "600", ""),
    ] {
        let told = explain(&config, &Source::User(from.into()), to);
        assert_eq!(told.contains("fax"), !said.is_empty(), "{told}");
        assert!(told.ends_with(said), "{told}");
    }
}

#[test]
fn without_a_country_the_explanation_says_what_is_missing() {
    let config = parse(
        "x",
        "listen: udp://127.0.0.1\nusers: [ { name: al, password: x } ]",
        &Sources::NONE,
    )
    .unwrap();
    let told = explain(&config, &Source::User("al".into()), "14155550199");
    let line =
        "14155550199 stays as it is: without numbers: { country: ... } only numbers with a plus are read as E.164.";
    assert!(told.contains(line), "{told}");
}

#[test]
fn a_caller_who_does_not_exist_is_named_with_those_who_do() {
    let config = config();
    let wrong = |text: &str| Source::parse(&config, text).unwrap_err();
    assert_eq!(
        wrong("user/zoe"),
        "there is no user \"zoe\"; the users are alice, bob, carol."
    );
    assert_eq!(
        wrong("trunk/zoe"),
        "there is no trunk \"zoe\"; the trunks are acme, ten."
    );
    assert_eq!(wrong("alice"), "\"alice\" is no caller. Write user/alice.");
    assert_eq!(wrong("ten"), "\"ten\" is no caller. Write trunk/ten.");
    assert_eq!(wrong("zoe"), "\"zoe\" is no caller. Write user/NAME or trunk/NAME.");
    let empty = parse("x", "listen: udp://127.0.0.1", &Sources::NONE).unwrap();
    assert_eq!(
        Source::parse(&empty, "user/zoe").unwrap_err(),
        "there is no user \"zoe\"; the file has no users."
    );
    assert_eq!(Source::parse(&config, "trunk/ten").unwrap().words(&config), "trunk/ten");
}

const WAYS: &str = r#"
listen: udp://127.0.0.1:5060
domains: [ { name: p.example, do: proxy }, b.example ]
users:
  - { name: ann, password: x }
  - { name: pat, password: x }
  - { name: ben, password: x, domain: b.example }
trunks:
  - { name: acme, peers: [ sip:192.0.2.1 ], numbers: { country: US } }
routes:
  - { to: "*", from: user/ben, do: proxy }
  - { to: pat, from: user/pat, do: bridge }
  - { to: pat, from: trunk/acme, do: proxy }
  - { to: "+", do: trunk/acme }
"#;

#[test]
fn which_way_a_call_goes() {
    let config = parse("x.yaml", WAYS, &Sources::NONE).unwrap();
    let way = |from: &str, to: &str| decide(&config, &source(&config, from), to).way;
    for (from, to, expected) in [
        ("user/ann", "pat", Way::Proxy),
        ("user/ann", "ben", Way::Bridge),
        ("user/ben", "ann", Way::Proxy),
        ("user/pat", "pat", Way::Bridge),
        ("user/pat", "ann", Way::Proxy),
        ("trunk/acme", "ann", Way::Bridge),
        ("trunk/acme", "pat", Way::Proxy),
        ("user/ann", "+14155550199", Way::Bridge),
    ] {
        assert_eq!(way(from, to), expected, "{from} calls {to}");
    }
    let decision = decide(&config, &source(&config, "user/ben"), "ann");
    assert_eq!(
        (decision.plan, decision.rule.as_str()),
        (Plan::User("ann".into()), "users: ann, by name")
    );
}

/// Media of a call that is or may be recorded comes through this node.
#[test]
fn who_is_recorded_is_bridged() {
    for (was, is) in [
        ("name: pat, password: x", "name: pat, password: x, record: yes"),
        ("name: pat, password: x", "name: pat, password: x, record: on_request"),
        ("peers: [ sip:192.0.2.1 ]", "peers: [ sip:192.0.2.1 ], record: yes"),
    ] {
        let config = parse("x.yaml", &WAYS.replace(was, is), &Sources::NONE).unwrap();
        let way = |from: &str, to: &str| decide(&config, &source(&config, from), to).way;
        let is_pat = is.contains("pat");
        let of_pat = if is_pat { Way::Bridge } else { Way::Proxy };
        assert_eq!(
            (way("user/ann", "pat"), way("user/pat", "ann")),
            (of_pat, of_pat),
            "{is}"
        );
        assert_eq!(
            (way("user/ben", "ann"), way("trunk/acme", "pat")),
            (Way::Proxy, Way::Bridge),
            "{is}"
        );
    }
}

#[test]
fn the_way_is_explained() {
    let config = parse("x.yaml", WAYS, &Sources::NONE).unwrap();
    let text = |from: &str, to: &str| explain(&config, &source(&config, from), to);
    let proxied = text("user/ben", "ann");
    assert!(
        proxied.contains("to *, from user/ben -> proxy: the call is proxied; the next that matches says where it goes"),
        "{proxied}"
    );
    assert!(proxied.contains("users: ann, by name: decides"), "{proxied}");
    assert!(proxied.contains("media goes directly between the phones"), "{proxied}");
    let bridged = text("user/pat", "pat");
    assert!(
        bridged.contains("-> bridge: the call is bridged") && !bridged.contains("directly"),
        "{bridged}"
    );
    let trunk = text("user/ben", "+14155550199");
    assert!(trunk.contains("-> proxy: without effect"), "{trunk}");
}

#[test]
fn a_room_is_explained_with_what_stands_before_its_door() {
    let config = config();
    let alice = source(&config, "user/alice");
    let told = explain(&config, &alice, "3000");
    let end = "  rooms: standup, by number: decides\nThe caller joins room 3000 (standup): at most 100 members.\n  \
               the PIN is asked for\n  nobody is let in before a moderator is\n";
    assert!(told.ends_with(end), "{told}");
    let told = explain(&config, &alice, "+14155550300");
    let end = "passed over: +14155550300 is a room's own, and only a route to exactly +14155550300 sends it to a trunk\n  \
               rooms: +14155550300, by number: decides\nThe caller joins room +14155550300: at most 100 members.\n  \
               the PIN of moderators is asked for; others press #\n  who is no moderator only hears\n";
    assert!(told.ends_with(end), "{told}");
}

#[test]
fn a_route_sends_numbers_to_a_room_or_makes_one_of_each() {
    let text = "listen: udp://127.0.0.1:5060
users: [ { name: alice, password: x } ]
rooms: [ { number: \"3000\", name: standup }, { number: \"*\", max_members: 5 } ]
routes:
  - { to: \"30\", do: room/standup }
  - { to: \"7*\", do: room }
  - { to: \"*\", do: room }";
    let config = parse("x.yaml", text, &Sources::NONE).unwrap();
    let alice = source(&config, "user/alice");
    let plan = |number: &str| decide(&config, &alice, number).plan;
    assert_eq!(plan("30"), Plan::Room("3000".to_owned()));
    assert_eq!(plan("7123"), Plan::Room("7123".to_owned()));
    let told = explain(&config, &alice, "7123");
    let end = "-> room: decides\nThe caller joins room 7123, which is made on demand: at most 5 members.\n";
    assert!(told.ends_with(end), "{told}");
    for hostile in ["../../etc/passwd", "a b", "\u{202e}", "x;isfocus", &"9".repeat(33)] {
        assert!(matches!(plan(hostile), Plan::Reject { status: 404, .. }), "{hostile}");
    }
}
