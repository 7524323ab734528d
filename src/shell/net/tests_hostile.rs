//! What nobody should send: handshakes that stop at any octet, frames that break RFC 6455, lengths that mean nothing. Each ends its own
//! connection and leaves nothing behind.

use super::Net;
use super::tests::{Bench, OPTIONS, SOON};
use super::tests_secure::{Paper, browser};
use crate::id::{Flow, Transport};
use crate::limits;
use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion, version};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How somebody stops.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    /// Says nothing more.
    Silent,
    Closes,
    /// By RST.
    Breaks,
}

/// A TLS client of which every octet is in our hands.
fn client(paper: &Paper, version: &'static SupportedProtocolVersion) -> ClientConnection {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(paper.roots())
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), ServerName::try_from("own.example").unwrap()).unwrap()
}

fn flight(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Sends a part of the first flight, or the whole and a part of the second: `part` in sixteenths, from 0 to 31.
async fn begin(paper: &Paper, version: &'static SupportedProtocolVersion, to: SocketAddr, part: usize) -> TcpStream {
    let mut client = client(paper, version);
    let mut stream = TcpStream::connect(to).await.unwrap();
    let first = flight(&mut client);
    if part < 16 {
        stream.write_all(&first[..first.len() * part / 16]).await.unwrap();
        return stream;
    }
    stream.write_all(&first).await.unwrap();
    let second = loop {
        let mut buffer = [0; 4096];
        let read = timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "the server goes on");
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
        let second = flight(&mut client);
        if !second.is_empty() {
            break second;
        }
    };
    stream
        .write_all(&second[..second.len() * (part - 16) / 16])
        .await
        .unwrap();
    stream
}

async fn stop(mut stream: TcpStream, how: Stop) {
    match how {
        Stop::Silent => {
            let mut rest = Vec::new();
            let _ = timeout(SOON, stream.read_to_end(&mut rest))
                .await
                .expect("it is closed");
        }
        Stop::Closes => drop(stream),
        Stop::Breaks => {
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(stream);
        }
    }
}

fn failed(net: &Net) -> u64 {
    net.counters().handshakes_failed.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_handshake_may_stop_anywhere() {
    let paper = Paper::new("stops");
    paper.sign("own", &["own.example"]);
    for how in [Stop::Silent, Stop::Closes, Stop::Breaks] {
        let mut bench = Bench::impatient(|patience| {
            if how == Stop::Silent {
                patience.handshake = Duration::from_millis(400);
            }
        });
        bench.net.set_keys(paper.keys(&paper.with_own("own")));
        for (transport, version) in [
            (Transport::Tls, &version::TLS12),
            (Transport::Tls, &version::TLS13),
            (Transport::Wss, &version::TLS13),
        ] {
            let addr = bench.listen(transport, "127.0.84.40:0");
            let before = failed(&bench.net);
            let mut begun = Vec::new();
            for part in 0..32 {
                begun.push(begin(&paper, version, addr, part).await);
            }
            let all = begun.len() as u64;
            for stream in begun {
                stop(stream, how).await;
            }
            bench.all_free().await;
            assert_eq!(failed(&bench.net), before + all, "{transport:?} {how:?}");
            assert!(bench.events.try_recv().is_err() && bench.net.connections.is_empty());
        }
    }
}

#[tokio::test]
async fn an_upgrade_may_stop_anywhere_and_what_is_none_is_refused() {
    let mut bench = Bench::impatient(|patience| patience.handshake = Duration::from_millis(400));
    let addr = bench.listen(Transport::Ws, "127.0.84.41:0");
    let whole =
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    let mut begun = Vec::new();
    for part in 0..16 {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(&whole[..whole.len() * part / 16]).await.unwrap();
        begun.push(stream);
    }
    let mut endless = b"GET / HTTP/1.1\r\n".to_vec();
    endless.extend(std::iter::repeat_n(&b"X-A: b\r\n"[..], 20_000).flatten());
    let no_key = whole.to_vec();
    let no_key = String::from_utf8(no_key).unwrap().replace("Sec-WebSocket-Key", "X-Key");
    for wrong in [
        OPTIONS,
        b"\x16\x03\x01\x02\x00\x01",
        b"POST / HTTP/1.1\r\n\r\n",
        no_key.as_bytes(),
        &endless,
        &[0; 64],
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // It may be closed before all of it is taken.
        let _ = stream.write_all(wrong).await;
        begun.push(stream);
    }
    let all = begun.len() as u64;
    for stream in begun {
        stop(stream, Stop::Silent).await;
    }
    bench.all_free().await;
    assert_eq!(failed(&bench.net), all);
    assert!(bench.events.try_recv().is_err() && bench.net.connections.is_empty());
}

/// Masked with zeros.
fn frame(first: u8, length: &[u8], data: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | length[0]];
    frame.extend(&length[1..]);
    frame.extend([0; 4]);
    frame.extend(data);
    frame
}

fn small(first: u8, data: &[u8]) -> Vec<u8> {
    frame(first, &[data.len() as u8], data)
}

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const CONTINUES: u8 = 0x00;
const ENDS: u8 = 0x80;
const PING: u8 = 0x89;

async fn socket(bench: &mut Bench, addr: SocketAddr) -> (TcpStream, Flow) {
    let socket = browser(addr, Some("sip")).await.unwrap();
    (socket.into_inner(), bench.opened().await)
}

#[tokio::test]
async fn frames_that_break_the_rules_end_their_connection() {
    let mut bench = Bench::impatient(|_| ());
    let addr = bench.listen(Transport::Ws, "127.0.84.42:0");
    let kilobytes = [b'x'; 16 * 1024];
    let length = (kilobytes.len() as u16).to_be_bytes();
    let mut endless = frame(TEXT_BEGINS, &[126, length[0], length[1]], &kilobytes);
    for _ in 0..4 {
        endless.extend(frame(CONTINUES, &[126, length[0], length[1]], &kilobytes));
    }
    let long = |length: u64| [&[127][..], &length.to_be_bytes()].concat();
    for (what, bytes) in [
        ("not masked", vec![TEXT, 2, b'h', b'i']),
        ("a reserved bit", small(TEXT | 0x40, b"hi")),
        ("a reserved kind", small(0x83, b"hi")),
        ("a reserved kind of control", small(0x8b, b"")),
        ("a large ping", frame(PING, &[126, 0, 126], &[0; 126])),
        ("a ping in fragments", small(PING & 0x7f, b"")),
        ("the rest of nothing", small(ENDS, b"hi")),
        (
            "a beginning in the middle",
            [small(TEXT_BEGINS, b"a"), small(TEXT, b"b")].concat(),
        ),
        ("no text", small(TEXT, b"\xff\xfe")),
        (
            "half a character at the end",
            [small(TEXT_BEGINS, b"\xc3"), small(ENDS, b"x")].concat(),
        ),
        (
            "more than is allowed",
            frame(TEXT, &long(limits::SIP_MESSAGE_BYTES as u64 + 1), b""),
        ),
        ("more than there is", frame(TEXT, &long(u64::MAX >> 1), b"")),
        ("more than a length may be", frame(TEXT, &long(u64::MAX), b"")),
        ("more than is allowed, in fragments", endless),
        ("half a reason", small(0x88, b"x")),
        ("a reason that nobody may give", small(0x88, &[0, 0])),
    ] {
        let (mut stream, flow) = socket(&mut bench, addr).await;
        let _ = stream.write_all(&bytes).await;
        assert_eq!(bench.closed().await, flow, "{what}");
        bench.all_free().await;
    }
    // What keeps to the rules and is no SIP is nothing: one that says it may still say something.
    let (mut stream, flow) = socket(&mut bench, addr).await;
    stream.write_all(&small(TEXT, b"hello")).await.unwrap();
    stream.write_all(&small(TEXT, b"")).await.unwrap();
    stream.write_all(&small(0x82, OPTIONS)).await.unwrap();
    assert_eq!(bench.message().await, (flow, Bytes::from_static(OPTIONS)));
}

#[tokio::test]
async fn pings_between_fragments_are_answered_and_the_message_is_whole() {
    let mut bench = Bench::impatient(|_| ());
    let addr = bench.listen(Transport::Ws, "127.0.84.43:0");
    let (mut stream, flow) = socket(&mut bench, addr).await;
    let mut all = Vec::new();
    for (at, octet) in OPTIONS.iter().enumerate() {
        let first = match at {
            0 => TEXT_BEGINS,
            _ if at + 1 == OPTIONS.len() => ENDS,
            _ => CONTINUES,
        };
        all.extend(small(first, &[*octet]));
        // One in ten is followed by a ping, one by nothing at all.
        if at % 10 == 3 {
            all.extend(small(PING, &[at as u8]));
        } else if at % 10 == 4 && at + 1 < OPTIONS.len() {
            all.extend(small(CONTINUES, b""));
        }
    }
    for octet in &all {
        stream.write_all(std::slice::from_ref(octet)).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.message().await, (flow, Bytes::from_static(OPTIONS)));
    let mut pong = [0; 3];
    timeout(SOON, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(pong, [0x8a, 1, 3]);
}

/// Fragments without end and without content: octets come, and no message.
#[tokio::test]
async fn a_message_of_nothing_but_fragments_is_given_up() {
    let mut bench = Bench::impatient(|patience| patience.message = Duration::from_millis(200));
    let addr = bench.listen(Transport::Ws, "127.0.84.44:0");
    let (mut stream, flow) = socket(&mut bench, addr).await;
    stream.write_all(&small(TEXT_BEGINS, b"OPTIONS")).await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut sent = 0;
    loop {
        tokio::select! {
            gone = bench.closed() => break assert_eq!(gone, flow),
            _ = pace.tick() => {
                let _ = stream.write_all(&small(CONTINUES, b"")).await;
                sent += 1;
                assert!(sent < 1000, "it is never closed");
            }
        }
    }
    bench.all_free().await;
}

/// Answers are owed for pings, and none of them is kept for a peer that does not take them.
#[tokio::test]
async fn pings_without_end_that_nobody_hears_the_answer_to() {
    let mut bench = Bench::impatient(|patience| patience.write = Duration::from_millis(300));
    for transport in [Transport::Tcp, Transport::Ws] {
        let addr = bench.listen(transport, "127.0.84.45:0");
        let (mut stream, flow, ping) = if transport == Transport::Ws {
            let (stream, flow) = socket(&mut bench, addr).await;
            (stream, flow, small(PING, &[b'x'; 100]))
        } else {
            let (stream, flow) = bench.accepted(addr).await;
            (stream, flow, b"\r\n\r\n".to_vec())
        };
        let many = ping.repeat(20_000 / ping.len());
        let flood = async {
            for _ in 0..1_000 {
                if stream.write_all(&many).await.is_err() {
                    return;
                }
            }
            stream.write_all(&small_or_plain(transport)).await.unwrap();
            std::future::pending::<()>().await;
        };
        // It is either given up or served: 20 MB of pings came, and it is not stuck.
        tokio::select! {
            () = flood => drop(timeout(SOON, bench.closed()).await.expect("it is closed")),
            event = bench.event() => match event {
                super::NetEvent::Message(of, bytes) => assert_eq!((of, &bytes[..]), (flow, OPTIONS)),
                super::NetEvent::Closed(of) => assert_eq!(of, flow),
                other => panic!("{other:?}"),
            },
        }
        drop(stream);
        bench.net.closed(flow);
        bench.all_free().await;
        while bench.events.try_recv().is_ok() {}
    }
}

fn small_or_plain(transport: Transport) -> Vec<u8> {
    if transport == Transport::Ws {
        small(0x82, OPTIONS)
    } else {
        OPTIONS.to_vec()
    }
}

#[tokio::test]
async fn lengths_that_mean_nothing_and_messages_that_never_end_close_a_stream() {
    let mut bench = Bench::impatient(|_| ());
    let addr = bench.listen(Transport::Tcp, "127.0.84.46:0");
    let with = |length: &str| format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\nbody").into_bytes();
    let mut endless = b"OPTIONS sip:a SIP/2.0\r\n".to_vec();
    endless.resize(limits::SIP_MESSAGE_BYTES + 1, b'x');
    for (messages, bytes) in [
        (0, with("-1")),
        (0, with("-4294967292")),
        (0, with("18446744073709551616")),
        (0, with("18446744073709551615")),
        (0, with("9999999999999999999999999999999999999")),
        (0, with("65535")),
        (0, with("0x4")),
        (0, with("4 4")),
        (0, with("")),
        (0, with("4\r\nl: 5")),
        (0, endless),
        (0, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        (0, vec![0; 64]),
        (0, b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        // Too short: what is left of the body begins no message.
        (1, [&with("0")[..with("0").len() - 4], b"<pidf/>", OPTIONS].concat()),
        // Too long: the next message is taken for the rest of it.
        (2, [with("13"), OPTIONS.to_vec(), b"<pidf/>".to_vec()].concat()),
        // Two whole ones before that which ends it.
        (2, [OPTIONS, OPTIONS, b"\x00"].concat()),
    ] {
        let (mut stream, flow) = bench.accepted(addr).await;
        let _ = stream.write_all(&bytes).await;
        for _ in 0..messages {
            assert_eq!(bench.message().await.0, flow);
        }
        assert_eq!(
            bench.closed().await,
            flow,
            "{}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
        );
        let mut rest = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut rest))
            .await
            .expect("it is closed");
        assert!(rest.is_empty(), "nothing is owed to it");
        bench.all_free().await;
    }
    assert!(bench.net.connections.is_empty() && bench.net.by_peer.is_empty());
}
