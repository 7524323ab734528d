//! `push`, and who may watch registrations.

use super::{good, with};
use crate::sip::Host;
use std::time::Duration;

/// A file with this in `push`.
fn push(text: &str) -> Vec<String> {
    with(&format!("push: {{ {text} }}"))
}

#[test]
fn what_is_left_out_has_a_default() {
    let of = |rest: &str| {
        let config = good(&format!("listen: [ udp://127.0.0.1:5060 ]\n{rest}"));
        config.push
    };
    assert_eq!(of(""), None);
    let push = of("push: { url: \"http://push.example\" }").expect("it is there");
    assert_eq!(
        (push.url.secure, push.url.port, push.url.path.as_str()),
        (false, 80, "/")
    );
    assert_eq!(push.providers, ["apns", "fcm", "webpush"]);
    assert_eq!((push.wait, push.token, push.ca), (Duration::from_secs(10), None, None));
    let text = "push: { url: \"https://[2001:db8::1]:8443/wake?app=1\", providers: [ apns ], wait: 5s, token: t0ken }";
    let push = of(text).expect("it is there");
    assert_eq!(
        (push.url.secure, push.url.host, push.url.port, push.url.path.as_str()),
        (true, Host::parse("[2001:db8::1]").unwrap(), 8443, "/wake?app=1")
    );
    assert!(!format!("{:?}", of(text)).contains("t0ken"), "secrets do not print");
}

#[test]
fn urls() {
    for wrong in [
        "ftp://push.example/",
        "push.example",
        "http://",
        "http://user@push.example/",
        "http://push.example/a b",
        "http://push.example/#here",
        "http://push.example:99999/",
        "http://push example/",
    ] {
        let told = push(&format!("url: \"{wrong}\""));
        assert_eq!(told.len(), 1, "{wrong}: {told:?}");
        assert!(told[0].starts_with("2:14: push.url: "), "{told:?}");
    }
    assert_eq!(
        push("wait: 5s"),
        ["2:9: push: url is missing. Write, for example, url: https://push.example.com/wake"]
    );
    assert!(push("url: \"http://h\", wait: 2m")[0].contains("more than 1m"));
}

#[test]
fn watchers_are_users() {
    let users = "users: [ { name: alice, password: x } ]\nregistrar: { watchers: [ ";
    assert!(with(&format!("{users}alice ] }}")).is_empty());
    assert_eq!(
        with(&format!("{users}alise ] }}")),
        ["3:26: registrar.watchers[0]: there is no user alise; did you mean alice?"]
    );
}
