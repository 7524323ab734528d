//! Every kind of problem with its exact words and place; what a good file becomes; what a reload changes.

mod api;
mod callers;
mod files;
mod ng;
mod push;
mod rooms;
mod sections;
mod sounds;
mod turn;

use super::{Config, Sources, parse};

/// A whole file, with every section that a small installation has.
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
