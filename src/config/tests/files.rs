//! What good files become, and what a reload changes.

use super::super::*;
use super::{EXAMPLE, good};
use crate::id::{Transport, TrunkIx};
use codecs::Codec;
use std::time::Duration;

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
            way: Way::Bridge,
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
    assert_eq!(alice.codecs, [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu]);
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
fn a_reload_says_what_changes() {
    let old = good(EXAMPLE);
    assert_eq!(Config::diff(&old, &old.clone()), Changes::default());
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
        .replace("tandem.db }", "other.db, records: no, bindings: no }")
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
            "log.level changed.",
            "store.path changed, which takes effect at the next start.",
            "store.records changed, which takes effect at the next start.",
            "store.bindings changed, which takes effect at the next start.",
        ]
    );
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

/// `do` of a domain and of a route: how users call each other.
#[test]
fn the_way_of_a_call() {
    let config = good(
        "listen: udp://127.0.0.1:5060\ndomains: [ { name: a.example, do: proxy }, b.example, { name: c.example, do: bridge } ]\n\
         users:\n  - { name: alice, password: x }\nroutes:\n  - { to: alice, do: bridge }\n  - { to: alice, do: user/alice }\n  \
         - { to: \"*\", do: proxy }\n",
    );
    let ways: Vec<Way> = config.domains.iter().map(|domain| domain.way).collect();
    assert_eq!(ways, [Way::Proxy, Way::Bridge, Way::Bridge]);
    assert_eq!(
        (config.way_of("a.example"), config.way_of("x.example")),
        (Way::Proxy, Way::Bridge)
    );
    let actions: Vec<String> = config.routes.iter().map(|route| route.action_words(&config)).collect();
    assert_eq!(actions, ["bridge", "user/alice", "proxy"]);
}
