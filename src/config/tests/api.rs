//! `api`: where, for whom, and what a reload changes.

use super::{good, problems, with};
use crate::config::{Config, Origins};
use std::time::Duration;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn api(text: &str) -> Vec<String> {
    with(&format!("api: {{ {text} }}"))
}

fn config(rest: &str) -> Config {
    good(&format!("listen: [ udp://192.0.2.1:5060 ]\n{rest}"))
}

fn keyed(rest: &str) -> String {
    format!("api: {{ listen: \"0.0.0.0:8445\", keys: [ {{ tenant: acme, key: {KEY} }} ]{rest} }}")
}

#[test]
fn without_it_nothing_is_served_and_what_is_left_out_has_a_default() {
    assert_eq!(config("").api, None);
    let api = config(&keyed("")).api.expect("it is there");
    assert_eq!(api.listen, "0.0.0.0:8445".parse().unwrap());
    assert_eq!((&*api.keys[0].tenant, api.keys[0].key.expose()), ("acme", KEY));
    assert_eq!((api.origins, api.turn), (Origins::These(Vec::new()), None));
    assert_eq!(
        (api.token_lifetime, api.per_client, api.per_address),
        (Duration::from_secs(3600), 20, 100)
    );
}

/// What is not there is not the same as something else that is not there.
#[test]
fn two_keys_that_are_missing_are_two_problems() {
    let found =
        api("listen: \"0.0.0.0:8445\", keys: [ { tenant: a, key: { env: NO_A } }, { tenant: b, key: { env: NO_B } } ]");
    let named = |name: &str| found.iter().filter(|problem| problem.contains(name)).count();
    assert_eq!((found.len(), named("NO_A"), named("NO_B")), (2, 1, 1), "{found:?}");
}

#[test]
fn everything_can_be_said() {
    let text = keyed(
        ", origins: [ \"https://a.example\", \"http://localhost:8080\" ], token_lifetime: 5m, per_client: 5, per_address: 50, turn: { urls: [ \
         \"stun:t.example:3478\", \"turns:t.example:443?transport=tcp\" ], secret: shared, lifetime: 10m }",
    );
    let api = config(&text).api.expect("it is there");
    let these = ["https://a.example", "http://localhost:8080"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(api.origins, Origins::These(these));
    let turn = api.turn.expect("it is there");
    assert_eq!(
        (turn.urls.len(), turn.secret.expose(), turn.lifetime),
        (2, "shared", Duration::from_secs(600))
    );
    assert_eq!(
        (api.token_lifetime, api.per_client, api.per_address),
        (Duration::from_secs(300), 5, 50)
    );
    assert_eq!(
        (api.keys[0].users, &api.keys[0].calls_as),
        (false, &None),
        "by default nobody has a way out"
    );
    let text = keyed("").replace(
        "tenant: acme",
        "tenant: acme, users: yes, calls_as: web, meetings: \"88\"",
    );
    let key = config(&format!(
        "domains: [ a.example ]\nusers: [ {{ name: web, password: x }} ]\n{text}"
    ))
    .api
    .expect("it is there")
    .keys[0]
        .clone();
    let said = (key.users, key.calls_as.as_deref(), key.meetings.as_deref());
    assert_eq!(said, (true, Some("web"), Some("88")));
    let any = config(&keyed(", origins: \"*\"")).api.expect("it is there");
    assert_eq!(any.origins, Origins::Any);
}

#[test]
fn what_is_wrong_is_told() {
    let keys = format!("keys: [ {{ tenant: acme, key: {KEY} }} ]");
    let listen = "listen: \"0.0.0.0:8445\"";
    for (wrong, why) in [
        (keys.clone(), "listen is missing"),
        (listen.to_owned(), "keys is missing"),
        (
            format!("listen: \"0.0.0.0\", {keys}"),
            "is not an address of this machine",
        ),
        (
            format!("{listen}, keys: [ {{ tenant: acme, key: short }} ]"),
            "the key is short",
        ),
        (
            format!("{listen}, keys: [ {{ tenant: a b, key: {KEY} }} ]"),
            "is not a name of",
        ),
        (
            format!("{listen}, keys: [ {{ tenant: a, key: {KEY} }}, {{ tenant: b, key: {KEY} }} ]"),
            "in the list twice",
        ),
        (
            format!("{listen}, {keys}, origins: [ example.com ]"),
            "is not an origin",
        ),
        (
            format!("{listen}, {keys}, origins: [ \"https://a.example/x\" ]"),
            "is not an origin",
        ),
        (
            format!("{listen}, keys: [ {{ tenant: a, key: {KEY}, calls_as: web }} ]"),
            "there is no user \"web\" in users",
        ),
        (
            format!("{listen}, keys: [ {{ tenant: a, key: {KEY}, meetings: \"+88\" }} ]"),
            "is not one to eight digits",
        ),
        (
            format!("{listen}, keys: [ {{ tenant: a, key: {KEY}, users: all }} ]"),
            "is not yes or no",
        ),
        (format!("{listen}, {keys}, token_lifetime: 10"), "less than 1m"),
        (format!("{listen}, {keys}, per_client: 0"), "is not a number from 1"),
        (format!("{listen}, {keys}, push: {{ token: x }}"), "url is missing"),
        (format!("{listen}, {keys}, turn: {{ secret: x }}"), "urls is missing"),
        (
            format!("{listen}, {keys}, turn: {{ urls: [ \"turn:a\" ] }}"),
            "Add the secret",
        ),
        (
            format!("{listen}, {keys}, turn: {{ urls: [ \"http://a\" ] }}"),
            "is not a URI with stun",
        ),
    ] {
        let told = api(&wrong);
        assert!(told.len() == 1 && told[0].contains(why), "{wrong}: {told:?}");
    }
    assert!(problems(&format!("listen: [ udp://192.0.2.1:8445 ]\n{}", keyed(""))).is_empty());
    let told = problems(&format!("listen: [ wss://192.0.2.1:8445 ]\n{}", keyed("")));
    assert!(
        told.len() == 1 && told[0].contains("clashes with wss://192.0.2.1:8445 in listen"),
        "{told:?}"
    );
}

#[test]
fn a_reload_changes_keys_and_not_where_it_is_served() {
    let before = config(&keyed(""));
    let mut after = config(&keyed(", per_client: 7").replace("8445", "8446"));
    let changes = Config::diff(&before, &after);
    assert_eq!((changes.others, changes.restart), (vec!["api"], vec!["api.listen"]));
    after.keep_doors(&before);
    let api = after.api.clone().expect("it is there");
    assert_eq!((api.listen.port(), api.per_client), (8445, 7));
    let mut gone = config("");
    gone.keep_doors(&before);
    let gone = gone.api.expect("it is served until a restart");
    assert_eq!((gone.listen.port(), gone.keys.len()), (8445, 0), "and nobody has a key");
    let mut new = after;
    new.keep_doors(&config(""));
    assert_eq!(new.api, None);
}

#[test]
fn a_section_that_comes_or_goes_is_said_to() {
    let (without, with) = (config(""), config(&keyed("")));
    let came = Config::diff(&without, &with);
    assert_eq!(came.sentences, ["api is new, which takes effect at the next start."]);
    let gone = Config::diff(&with, &without);
    assert_eq!(
        gone.sentences,
        ["api is gone from the file: from now on nobody may use it, and its port is closed at the next start."]
    );
}

/// Behind a proxy on this host no connection tells by which address clients reach it.
#[test]
fn who_serves_a_proxy_on_this_host_knows_an_address_for_media() {
    let users = "users: [ { name: web, password: none } ]";
    let text = |listen: &str, at: &str, rest: &str| {
        let keys = format!("keys: [ {{ tenant: acme, key: {KEY}, calls_as: web }} ]");
        format!("listen: [ {listen} ]\n{users}\napi: {{ listen: \"{at}\", {keys} }}\n{rest}")
    };
    let any = "udp://0.0.0.0:5060";
    let told = problems(&text(any, "127.0.0.1:8445", ""));
    assert!(told.len() == 1 && told[0].contains("Write advertise"), "{told:?}");
    for good in [
        text(any, "127.0.0.1:8445", "advertise: 203.0.113.1"),
        text(any, "127.0.0.1:8445", "media: { address: 192.0.2.7 }"),
        text(any, "0.0.0.0:8445", ""),
        text("udp://192.0.2.1:5060", "127.0.0.1:8445", ""),
        text(any, "127.0.0.1:8445", "").replace(", calls_as: web", ""),
    ] {
        assert_eq!(problems(&good), Vec::<String>::new(), "{good}");
    }
}
