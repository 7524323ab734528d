//! The operator's URL that wakes clients who are not connected, as a server of its own sees it: HTTP and HTTPS, and what goes wrong with it.

use super::https::{Events, Https, Node};
use crate::{OFFER, SOON, token};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

/// What the server says to each request.
#[derive(Clone, Copy)]
enum Says {
    This(&'static str),
    /// Octets without end, and no line.
    Endless,
    Nothing,
}

/// A server on this address, with TLS where it has papers. What it was told comes out here.
fn hook(ip: &str, says: Says, papers: Option<Arc<ServerConfig>>) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let (told, heard) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(SOON)).expect("as this test has set it up");
            match papers.clone().map(ServerConnection::new) {
                Some(tls) => serve(
                    StreamOwned::new(tls.expect("as this test has set it up"), stream),
                    says,
                    &told,
                ),
                None => serve(stream, says, &told),
            }
        }
    });
    (port, heard)
}

fn serve(mut stream: impl Read + Write, says: Says, told: &Sender<String>) {
    let mut request = Vec::new();
    let mut octet = [0];
    // A JSON object without others in it.
    while !request.ends_with(b"}") {
        match stream.read(&mut octet) {
            Ok(1) => request.push(octet[0]),
            _ => return,
        }
    }
    let _ = told.send(String::from_utf8_lossy(&request).into_owned());
    match says {
        Says::This(text) => {
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.flush();
        }
        Says::Endless => while stream.write_all(&[b'x'; 512]).is_ok() {},
        Says::Nothing => {
            let _ = stream.read(&mut octet);
        }
    }
}

/// A CA of the test's own, which is written to this file, and a server that it vouches for.
fn papers(file: &std::path::Path, ip: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("as this test has set it up");
    let mut params = CertificateParams::new(Vec::new()).expect("as this test has set it up");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("as this test has set it up");
    std::fs::write(file, ca.pem()).expect("as this test has set it up");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("as this test has set it up");
    let params = CertificateParams::new(vec![ip.to_owned()]).expect("as this test has set it up");
    let own = params.signed_by(&key, &issuer).expect("as this test has set it up");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("as this test has set it up")
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        );
    Arc::new(config.expect("as this test has set it up"))
}

/// Alice calls Carol, who is not there. Gives Alice's events and the path of the call.
fn calls(node: &Node) -> (Events, String) {
    let alice = token(node, "alice");
    let mut to_alice = Https::open(node).listen(&alice, None);
    to_alice.event();
    let start = json!({ "targets": [{ "client": "carol" }], "offer": OFFER }).to_string();
    let started = Https::open(node).ask("POST", "/v1/calls", &alice, &[], &start);
    assert_eq!(started.status, 201, "{}", started.body);
    let call = started.field("location").expect("where it is").to_owned();
    (to_alice, call)
}

/// The request of the hook is good, and Carol takes the call that she was woken for.
fn is_woken(node: &Node, (port, heard): (u16, &Receiver<String>)) {
    let (mut to_alice, call) = calls(node);
    let told = heard.recv_timeout(SOON).expect("the hook is told");
    let (head, body) = told.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("POST /wake?for=clients HTTP/1.1"));
    let field = |name: &str| {
        let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        let values: Vec<&str> = fields
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect();
        values.join(", ")
    };
    assert_eq!(field("host"), format!("{}:{port}", node.ip));
    assert_eq!(field("content-type"), "application/json");
    assert_eq!(field("content-length"), body.len().to_string());
    assert_eq!(field("authorization"), "Bearer of the hook");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let name = call.rsplit('/').next();
    let wanted = json!({ "reason": "call", "tenant": "acme", "client": "carol", "from": "alice", "call": name });
    assert_eq!(body, wanted);
    let carol = token(node, "carol");
    let (_, ready, holds) = Https::open(node).listen(&carol, None).event();
    assert_eq!((ready.as_str(), &holds["calls"][0]["offer"]), ("ready", &json!(OFFER)));
    assert_eq!(holds["calls"][0]["id"], json!(name));
    let accept = json!({ "answer": OFFER }).to_string();
    let accepted = Https::open(node).ask("POST", &format!("{call}/accept"), &carol, &[], &accept);
    assert_eq!(accepted.status, 200, "{}", accepted.body);
    assert_eq!(to_alice.event().1, "call.accepted");
    assert_eq!(node.process.journal.count("of the hook"), 0, "tokens are not logged");
}

fn section(scheme: &str, ip: &str, port: u16, rest: &str) -> String {
    format!("  push: {{ url: \"{scheme}://{ip}:{port}/wake?for=clients\", token: of the hook{rest} }}\n")
}

const TAKEN: Says = Says::This("HTTP/1.1 204 No Content\r\n\r\n");

#[test]
fn who_is_not_connected_is_woken_by_http() {
    let (port, heard) = hook("127.93.20.1", TAKEN, None);
    let node = Node::start(20, &section("http", "127.93.20.1", port, ""));
    is_woken(&node, (port, &heard));
    node.stop();
}

#[test]
fn who_is_not_connected_is_woken_by_https() {
    let ip = "127.93.21.1";
    let ca = std::env::temp_dir().join(format!("tandem-hook-{}.pem", std::process::id()));
    let (port, heard) = hook(ip, TAKEN, Some(papers(&ca, ip)));
    let node = Node::start(21, &section("https", ip, port, &format!(", ca: {}", ca.display())));
    is_woken(&node, (port, &heard));
    node.stop();
    let _ = std::fs::remove_file(ca);
}

/// The caller is told that nobody could be woken, in time, and the operator why.
#[test]
fn a_hook_that_fails_is_told_of_in_a_sentence() {
    let ip = "127.93.22.1";
    let (elsewhere, followed) = hook(ip, TAKEN, None);
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: http://{ip}:{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let ca = std::env::temp_dir().join(format!("tandem-hook-other-{}.pem", std::process::id()));
    let unknown = papers(&ca, ip);
    let closed = {
        let gone = TcpListener::bind((ip, 0)).expect("a free port");
        gone.local_addr().expect("it is bound").port()
    };
    let at = |says| ("http", hook(ip, says, None).0);
    let no = Says::This("HTTP/1.1 500 Internal Server Error\r\n\r\n");
    for ((scheme, port), why, seconds) in [
        (("http", closed), "it is not reached", 0..4),
        (at(no), "it answered 500, where a 2xx says that it is done", 0..4),
        (
            at(Says::This(moved.leak())),
            "it answered 302, and redirects are not followed",
            0..4,
        ),
        (at(Says::Endless), "its answer is none of HTTP", 0..4),
        (("https", hook(ip, TAKEN, Some(unknown)).0), "TLS has failed", 0..4),
        (at(Says::Nothing), "it has not answered within 5 s", 5..9),
    ] {
        let node = Node::start(22, &section(scheme, ip, port, ""));
        let begun = Instant::now();
        let (mut to_alice, _) = calls(&node);
        let (_, name, ended) = to_alice.event();
        let told = (name.as_str(), ended["reason"].as_str());
        assert_eq!(told, ("call.ended", Some("unavailable")), "{why}: {ended}");
        assert_eq!(
            ended["detail"],
            "who is called is not connected, and could not be woken"
        );
        assert!(
            seconds.contains(&begun.elapsed().as_secs()),
            "{why}: {:?}",
            begun.elapsed()
        );
        node.process.wait_for(why, SOON);
        // Once a minute, however many calls there are.
        assert_eq!(calls(&node).0.event().1, "call.ended");
        assert_eq!(node.process.journal.count("who wakes clients"), 1, "{why}");
        node.stop();
    }
    assert!(followed.try_recv().is_err(), "nobody is sent elsewhere");
    let _ = std::fs::remove_file(ca);
}
