//! `ng`: where, for whom, and what a reload changes.

use super::{good, with};
use crate::config::Config;
use std::time::Duration;

fn ng(text: &str) -> Vec<String> {
    with(&format!("ng: {{ {text} }}"))
}

fn config(rest: &str) -> Config {
    good(&format!("listen: [ udp://192.0.2.1:5060 ]\n{rest}"))
}

#[test]
fn without_it_nothing_is_taken_and_what_is_left_out_has_a_default() {
    assert_eq!(config("").ng, None);
    let ng = config("ng: { listen: \"127.0.0.1:2223\" }").ng.expect("it is there");
    assert_eq!(
        (ng.listen, ng.timeout),
        ("127.0.0.1:2223".parse().unwrap(), Duration::from_secs(60))
    );
    let hears = |ip: &str| ng.hears(ip.parse().unwrap());
    assert!(hears("127.0.0.1") && hears("127.9.9.9") && hears("::1") && hears("::ffff:127.0.0.1"));
    assert!(!hears("192.0.2.1") && !hears("::2"));
}

#[test]
fn who_may_be_reached_by_others_names_whom_he_hears() {
    let told = ng("listen: \"192.0.2.1:2223\"");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("2:15: ng.listen: others can reach 192.0.2.1:2223, and NG asks nobody for a password"),
        "{told:?}"
    );
    let allowed = config("ng: { listen: \"192.0.2.1:2223\", allow: [ 192.0.2.5, 2001:db8::/32 ] }")
        .ng
        .expect("it is there");
    let hears = |ip: &str| allowed.hears(ip.parse().unwrap());
    assert!(hears("192.0.2.5") && hears("2001:db8::9"));
    // Where somebody is named, this machine is not among them unless it is named too.
    assert!(!hears("192.0.2.6") && !hears("127.0.0.1"));
}

#[test]
fn where_it_listens_is_one_address_that_nobody_else_has() {
    for (wrong, why) in [
        ("", "listen is missing"),
        (
            "listen: \"0.0.0.0:2223\"",
            "is not an address of this machine with a port",
        ),
        (
            "listen: \"localhost:2223\"",
            "is not an address of this machine with a port",
        ),
        ("listen: \"127.0.0.1\"", "is not an address of this machine with a port"),
        (
            "listen: \"127.0.0.1:5060\"",
            "clashes with udp://127.0.0.1:5060 in listen",
        ),
        ("listen: \"127.0.0.1:20000\"", "lies in media.ports, 20000-29999"),
        ("listen: \"127.0.0.1:2223\", timeout: 0", "less than 1s"),
        ("listen: \"127.0.0.1:2223\", port: 1", "there is no such key"),
    ] {
        let told = ng(wrong);
        assert!(told.len() == 1 && told[0].contains(why), "{wrong}: {told:?}");
    }
    let text = "listen: [ udp://0.0.0.0:5060 ]\nng: { listen: \"127.0.0.1:2223\" }";
    let told = super::problems(text);
    assert!(
        told.len() == 1 && told[0].contains("no address for media is known"),
        "{told:?}"
    );
    for known in ["advertise: 203.0.113.1", "media: { address: 192.0.2.7 }"] {
        assert!(super::problems(&format!("{text}\n{known}")).is_empty());
    }
}

#[test]
fn media_has_the_address_that_others_see() {
    let of = |rest: &str, v6| config(rest).media_address(v6).map(|addr| addr.to_string());
    assert_eq!(of("", false).as_deref(), Some("192.0.2.1"));
    assert_eq!(of("", true), None);
    assert_eq!(of("media: { address: 192.0.2.7 }", false).as_deref(), Some("192.0.2.7"));
    assert_eq!(
        of("media: { address: 192.0.2.7 }\nadvertise: 203.0.113.1", false).as_deref(),
        Some("203.0.113.1")
    );
}

#[test]
fn a_reload_changes_who_is_heard_and_not_where() {
    let before = config("ng: { listen: \"127.0.0.1:2223\" }");
    let mut after = config("ng: { listen: \"127.0.0.1:2224\", allow: [ 127.0.0.7 ], timeout: 10s }");
    let changes = Config::diff(&before, &after);
    assert_eq!((changes.others, changes.restart), (vec!["ng"], vec!["ng.listen"]));
    after.keep_ng(&before);
    let ng = after.ng.clone().expect("it is there");
    assert_eq!((ng.listen.port(), ng.timeout.as_secs(), ng.allow.len()), (2223, 10, 1));
    let mut gone = config("");
    gone.keep_ng(&before);
    assert_eq!(gone.ng, before.ng);
    let mut new = after;
    new.keep_ng(&config(""));
    assert_eq!(new.ng, None);
}

/// A reverse proxy on this host is where a client of the HTTP API seems to be, and nobody else is there.
#[test]
fn who_comes_by_a_proxy_on_this_host_is_told_an_address_that_others_reach() {
    use crate::id::Flow;
    let of = |text: &str, local: &str| {
        let flow = Flow::to_client(1, local.parse().unwrap(), "127.0.0.1:0".parse().unwrap());
        let config = good(text);
        (
            config.own_media_address_on(flow).to_string(),
            config.own_media_address(flow.local.ip()).to_string(),
        )
    };
    let sip = "listen: [ udp://192.0.2.7:5060, udp://192.0.2.8:5060 ]\n";
    assert_eq!(of(sip, "127.0.0.1:8080"), ("192.0.2.7".into(), "127.0.0.1".into()));
    // It has come by IPv6, and media has IPv4 only.
    assert_eq!(of(sip, "[::1]:8080").0, "192.0.2.7");
    assert_eq!(of(sip, "192.0.2.9:8080").0, "192.0.2.9");
    let behind = format!("{sip}advertise: 203.0.113.1\n");
    assert_eq!(of(&behind, "127.0.0.1:8080").0, "203.0.113.1");
    assert_eq!(of(&behind, "[::1]:8080").0, "203.0.113.1");
}
