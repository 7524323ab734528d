//! The URL that wakes phones, as servers that are not ours see it: HTTP with and without TLS, and what goes wrong.

use super::NetEvent;
use super::tests::Bench;
use super::tests_secure::Paper;
use crate::config::HttpUrl;
use crate::effect::{Hook, Post};
use crate::id::Ticket;
use crate::limits;
use crate::pii::Secret;
use crate::sip::Host;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};

const BODY: &str = "{\"reason\":\"call\"}";

fn post(secure: bool, host: &str, port: u16) -> Post {
    Post {
        hook: Hook::Phones,
        url: HttpUrl {
            secure,
            host: Host::parse(host).unwrap(),
            port,
            path: "/wake".to_owned(),
        },
        token: Some(Secret::new("s3cret")),
        body: BODY.into(),
    }
}

/// Reads one request and says this, octet by octet.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, says: &str) -> String {
    let mut request = Vec::new();
    while !request.ends_with(BODY.as_bytes()) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            break;
        }
    }
    for octet in says.as_bytes() {
        let _ = stream.write_all(std::slice::from_ref(octet)).await;
        let _ = stream.flush().await;
    }
    let _ = stream.shutdown().await;
    String::from_utf8(request).unwrap()
}

/// A server that says this to its first client.
async fn server(says: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.85.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, says).await
    });
    (addr, task)
}

async fn taken(bench: &mut Bench, post: Post) -> bool {
    assert!(bench.net.post(Ticket(7), post));
    match bench.event().await {
        NetEvent::Posted(Ticket(7), taken) => taken,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_2xx_and_nothing_else_is_a_yes() {
    let mut bench = Bench::new();
    for (says, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.0 202\r\n", true),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", false),
        ("HTTP/1.1 500 Oh\r\n\r\n", false),
        ("HTTP/1.1 200 OK", false),
        ("SSH-2.0-x\r\n", false),
        ("", false),
    ] {
        let (addr, task) = server(says).await;
        let host = addr.ip().to_string();
        assert_eq!(
            taken(&mut bench, post(false, &host, addr.port())).await,
            expected,
            "{says:?}"
        );
        let request = task.await.unwrap();
        let expected = format!(
            "POST /wake HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\nAuthorization: Bearer s3cret\r\n\r\n{BODY}",
            crate::USER_AGENT,
            BODY.len()
        );
        assert_eq!(request, expected);
    }
}

#[tokio::test]
async fn nobody_there_is_a_no_at_once_and_silence_one_in_time() {
    let mut bench = Bench::new();
    let free = TcpListener::bind("127.0.85.2:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    assert!(!taken(&mut bench, post(false, "127.0.85.2", addr.port())).await);
    assert!(!taken(&mut bench, post(false, "no.such.host.invalid", 80)).await);
    let listener = TcpListener::bind("127.0.85.3:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let begun = Instant::now();
    assert!(!taken(&mut bench, post(false, "127.0.85.3", port)).await);
    let took = begun.elapsed();
    assert!(
        took >= limits::POST && took < limits::POST + Duration::from_secs(4),
        "{took:?}"
    );
}

#[tokio::test]
async fn only_so_many_are_told_at_once() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.85.4:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for _ in 0..limits::POSTS {
        assert!(bench.net.post(Ticket(1), post(false, "127.0.85.4", port)));
    }
    assert!(!bench.net.post(Ticket(2), post(false, "127.0.85.4", port)));
    let other = Post {
        hook: Hook::Clients,
        ..post(false, "127.0.85.4", port)
    };
    assert!(bench.net.post(Ticket(3), other), "the other hook has places of its own");
}

#[tokio::test]
async fn under_tls_the_certificate_must_be_for_the_host_and_of_whom_we_trust() {
    let paper = Paper::new("post");
    paper.sign("hook", &["localhost"]);
    let ca = paper.file("ca.pem");
    let section = format!("push: {{ url: \"https://localhost/wake\", ca: {ca} }}");
    let phones = paper.config(&format!("{section}\n"));
    let keys = "keys: [ { tenant: t, key: \"0123456789abcdef0123456789abcdef\" } ]";
    let clients = paper.config(&format!("api:\n  listen: 127.0.85.9:8445\n  {keys}\n  {section}\n"));
    let nobody = paper.config("");
    for (host, hook, config, expected) in [
        ("localhost", Hook::Phones, &phones, true),
        ("127.0.0.1", Hook::Phones, &phones, false),
        ("localhost", Hook::Phones, &nobody, false),
        ("localhost", Hook::Clients, &clients, true),
        // Each trusts whom its own section names.
        ("localhost", Hook::Clients, &phones, false),
        ("localhost", Hook::Phones, &clients, false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = paper.acceptor("hook");
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            match acceptor.accept(stream).await {
                Ok(stream) => serve(stream, "HTTP/1.1 200 OK\r\n\r\n").await,
                Err(_) => String::new(),
            }
        });
        let mut bench = Bench::new();
        bench.net.set_keys(paper.keys(config));
        let post = Post {
            hook,
            ..post(true, host, port)
        };
        assert_eq!(taken(&mut bench, post).await, expected, "{host} {hook:?}");
        assert_eq!(task.await.unwrap().ends_with(BODY), expected);
    }
}
