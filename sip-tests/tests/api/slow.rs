//! Who is slow, says too much, or speaks something else.

use super::https::{Https, Node};
use crate::token;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn what_is_too_long_is_refused() {
    let node = Node::start(8, "");
    let alice = token(&node, "alice");
    let long = "x".repeat(64 * 1024 + 1);
    let refused = Https::open(&node).ask("POST", "/v1/calls", &alice, &[], &long);
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (413, &json!("/v1/problems#too-long"))
    );
    // One that does not say how long it is.
    let mut chunked = Https::open(&node);
    let head = format!(
        "POST /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    chunked.write(&head).expect("it is taken");
    for _ in 0..5 {
        let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
        chunked.write(&chunk).expect("it is taken");
    }
    chunked.write("0\r\n\r\n").expect("it is taken");
    assert_eq!(chunked.answer().status, 413);
    // Much longer ones are not even read.
    let mut endless = Https::open(&node);
    let head = format!(
        "POST /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice}\r\nContent-Length: 99999999\r\n\r\n"
    );
    endless.write(&head).expect("it is taken");
    let megabyte = "x".repeat(1024 * 1024);
    let written = (0..90).take_while(|_| endless.write(&megabyte).is_ok()).count();
    assert!(written < 30, "{written} MB were taken");
    let mut head = Https::open(&node);
    let field = format!("X: {}\r\n", "y".repeat(1000));
    let _ = head.write(&format!(
        "GET /v1/calls HTTP/1.1\r\nHost: x\r\n{}\r\n",
        field.repeat(40)
    ));
    assert_eq!(head.answer().status, 431);
    let mut many = Https::open(&node);
    let _ = many.write(&format!(
        "GET /v1/calls HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    ));
    assert_eq!(many.answer().status, 431);
    node.stop();
}

#[test]
fn a_slow_one_is_not_waited_for() {
    let node = Node::start(9, "");
    let alice = token(&node, "alice");
    let mut silent = Https::open(&node);
    let mut drips = Https::open(&node);
    let mut body = Https::open(&node);
    drips.write("GET /v1/calls HT").expect("it is taken");
    let head =
        format!("POST /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice}\r\nContent-Length: 10\r\n\r\n{{");
    body.write(&head).expect("it is taken");
    silent.write("").expect("the handshake");
    let refused = body.answer();
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (408, &json!("/v1/problems#too-slow"))
    );
    for https in [&mut drips, &mut silent] {
        https.ends();
    }
    node.stop();
}

#[test]
fn what_is_no_http_and_no_tls_is_closed_and_others_are_served() {
    let node = Node::start(10, "");
    for said in ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\0", "INVITE sip:a@b SIP/2.0\r\n\r\n"] {
        let mut plain = TcpStream::connect((node.ip.as_str(), 8445)).expect("it listens");
        plain
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("as this test has set it up");
        plain.write_all(said.as_bytes()).expect("it is taken");
        // An alert, perhaps, and the end.
        let mut rest = Vec::new();
        let _ = plain.read_to_end(&mut rest);
        assert!(rest.len() < 64, "{rest:?}");
    }
    let mut garbage = Https::open(&node);
    garbage.write("\u{1}\u{2} what\r\n\r\n").expect("it is taken");
    assert_eq!(garbage.answer().status, 400);
    assert_eq!(Https::open(&node).ask("GET", "/v1/problems", "", &[], "").status, 200);
    node.stop();
}
