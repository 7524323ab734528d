//! Places, patience and families, on every transport.

use super::places::Places;
use super::tcp::{self, Patience};
use super::tests::{Bench, OPTIONS, SOON};
use super::tests_secure::{Paper, browser};
use super::{Net, NetEvent};
use crate::id::{Target, Ticket, Transport};
use crate::limits;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

const STREAMS: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

/// A client on any transport.
enum Client {
    Tcp(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Ws(Box<WebSocketStream<TcpStream>>),
    Wss(Box<WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>>),
}

impl Client {
    async fn connect(paper: &Paper, transport: Transport, to: SocketAddr) -> Client {
        match transport {
            Transport::Udp => panic!("no stream"),
            Transport::Tcp => Client::Tcp(TcpStream::connect(to).await.unwrap()),
            Transport::Tls => Client::Tls(Box::new(paper.shake(to, "own.example").await.unwrap())),
            Transport::Ws => Client::Ws(Box::new(browser(to, Some("sip")).await.unwrap())),
            Transport::Wss => {
                let stream = paper.shake(to, "own.example").await.unwrap();
                let mut request = format!("wss://{to}/").into_client_request().unwrap();
                let sip = "sip".parse().unwrap();
                request.headers_mut().insert("Sec-WebSocket-Protocol", sip);
                Client::Wss(Box::new(client_async(request, stream).await.unwrap().0))
            }
        }
    }

    async fn say(&mut self, bytes: &'static [u8]) {
        let message = Message::Binary(Bytes::from_static(bytes));
        match self {
            Client::Tcp(stream) => stream.write_all(bytes).await.unwrap(),
            Client::Tls(stream) => {
                stream.write_all(bytes).await.unwrap();
                stream.flush().await.unwrap();
            }
            Client::Ws(socket) => socket.send(message).await.unwrap(),
            Client::Wss(socket) => socket.send(message).await.unwrap(),
        }
    }

    async fn hear(&mut self) -> Bytes {
        let mut buffer = [0; 64];
        let heard = async {
            match self {
                Client::Tcp(stream) => Bytes::copy_from_slice({
                    let length = stream.read(&mut buffer).await.unwrap();
                    &buffer[..length]
                }),
                Client::Tls(stream) => Bytes::copy_from_slice({
                    let length = stream.read(&mut buffer).await.unwrap();
                    &buffer[..length]
                }),
                Client::Ws(socket) => socket.next().await.unwrap().unwrap().into_data(),
                Client::Wss(socket) => socket.next().await.unwrap().unwrap().into_data(),
            }
        };
        timeout(SOON, heard).await.expect("something comes")
    }
}

fn with_certificate(bench: &mut Bench, name: &str) -> Paper {
    let paper = Paper::new(name);
    paper.sign("own", &["own.example"]);
    bench.net.set_keys(paper.keys(&paper.with_own("own")));
    paper
}

#[tokio::test]
async fn every_stream_is_there_on_ipv6_too() {
    let mut bench = Bench::new();
    let paper = with_certificate(&mut bench, "v6");
    for transport in STREAMS {
        let addr = bench.listen(transport, "[::1]:0");
        let mut client = Client::connect(&paper, transport, addr).await;
        let flow = bench.opened().await;
        assert_eq!(
            (flow.transport, flow.local, flow.peer.is_ipv6()),
            (transport, addr, true)
        );
        client.say(OPTIONS).await;
        assert_eq!(bench.message().await, (flow, Bytes::from_static(OPTIONS)));
        assert!(bench.net.send(flow, Bytes::from_static(b"back")));
        assert_eq!(client.hear().await, "back");
        drop(client);
        assert_eq!(bench.closed().await, flow);
    }
    // And to others, from our own address.
    let mut held = Vec::new();
    for transport in [Transport::Tcp, Transport::Tls] {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let target = Target::new(transport, listener.local_addr().unwrap());
        assert_eq!(bench.net.connect(Ticket(1), target.clone()), None);
        let (stream, from) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        assert!(from.is_ipv6());
        if transport == Transport::Tls {
            // Who shows no certificate is not talked to.
            drop(stream);
            let NetEvent::Failed(failed) = bench.event().await else {
                panic!("it is not TLS")
            };
            assert_eq!(bench.net.failed(failed), [Ticket(1)]);
        } else {
            assert_eq!(bench.opened().await.peer, target.addr);
            held.push(stream);
        }
    }
}

fn narrow(net: &mut Net, places: Arc<Places>) {
    Arc::get_mut(&mut net.context).expect("nothing listens yet").places = places;
}

#[tokio::test]
async fn one_source_cannot_have_all_connections_and_all_sources_have_a_bound() {
    let mut bench = Bench::new();
    narrow(&mut bench.net, Places::new(4, 3));
    let paper = with_certificate(&mut bench, "places");
    for transport in STREAMS {
        let addr = bench.listen(transport, "127.0.84.30:0");
        let before = bench.net.counters().refused_connections.load(Ordering::Relaxed);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push((Client::connect(&paper, transport, addr).await, bench.opened().await));
        }
        refused(addr, "127.0.0.1:0").await;
        // Another source has the last place of all, and a third none.
        let other = from(addr, "127.0.84.31:0").await;
        while bench.net.context.places.take([127, 0, 84, 33].into()).is_some() {
            tokio::task::yield_now().await;
        }
        refused(addr, "127.0.84.32:0").await;
        assert!(bench.net.counters().refused_connections.load(Ordering::Relaxed) >= before + 2);
        // Those that are open still work, and what is closed makes room.
        let (client, flow) = held.first_mut().unwrap();
        client.say(OPTIONS).await;
        loop {
            match bench.event().await {
                NetEvent::Message(of, _) => break assert_eq!(of, *flow),
                NetEvent::Opened(flow, handle) => drop(bench.net.opened(flow, handle)),
                other => panic!("{other:?}"),
            }
        }
        drop((held, other));
        bench.all_free().await;
        while let Ok(event) = bench.events.try_recv() {
            if let NetEvent::Closed(flow) = event {
                bench.net.closed(flow);
            }
        }
        assert!(bench.net.connections.is_empty() && bench.net.by_peer.is_empty());
    }
}

async fn from(to: SocketAddr, source: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(source.parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn refused(to: SocketAddr, source: &str) {
    let mut stream = from(to, source).await;
    let read = timeout(SOON, stream.read(&mut [0; 8]))
        .await
        .expect("it is closed at once");
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn who_never_reads_is_closed_on_every_transport() {
    let mut bench = Bench::impatient(|patience| patience.write = Duration::from_millis(500));
    let paper = with_certificate(&mut bench, "never");
    for transport in STREAMS {
        let addr = bench.listen(transport, "127.0.84.34:0");
        let client = Client::connect(&paper, transport, addr).await;
        let flow = bench.opened().await;
        let message = Bytes::from(vec![b'x'; 32 * 1024]);
        let mut taken = 0;
        while bench.net.send(flow, message.clone()) {
            taken += 1;
            assert!(taken < 10_000, "there is no bound");
            tokio::task::yield_now().await;
        }
        assert!(
            taken * message.len() > limits::CONNECTION_BACKLOG_BYTES,
            "{transport:?}"
        );
        assert!(bench.net.connections.is_empty(), "closed at once, not only given up");
        // Its task and its place go too, though it still does not read.
        bench.all_free().await;
        assert!(matches!(bench.event().await, NetEvent::Closed(of) if of == flow));
        drop(client);
    }
}

/// Less than the backlog that is allowed, which nobody takes.
#[tokio::test]
async fn a_message_that_is_not_taken_in_time_ends_the_connection() {
    let (ours, _theirs) = tokio::io::duplex(64);
    let (queue, outgoing) = mpsc::channel(8);
    let (_pong, pongs) = mpsc::channel(1);
    queue.send(Bytes::from(vec![b'x'; 100])).await.unwrap();
    let patience = Patience {
        write: Duration::from_millis(50),
        ..Patience::default()
    };
    let waiting = AtomicUsize::new(100);
    let written = timeout(SOON, tcp::write(ours, outgoing, pongs, patience, &waiting)).await;
    assert_eq!(
        written.expect("it is given up").unwrap_err().kind(),
        std::io::ErrorKind::TimedOut
    );
    assert_eq!(waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn silence_ends_a_connection_on_every_transport_later_where_it_is_known() {
    for change in [
        (|patience: &mut Patience| patience.first = Duration::from_millis(200)) as fn(&mut Patience),
        |patience| patience.stranger = Duration::from_millis(200),
    ] {
        let mut bench = Bench::impatient(change);
        let speaks = bench.net.context.patience.stranger < SOON;
        let paper = with_certificate(&mut bench, if speaks { "idle" } else { "mute" });
        for transport in STREAMS {
            let addr = bench.listen(transport, "127.0.84.35:0");
            let mut friend = Client::connect(&paper, transport, addr).await;
            let known = bench.opened().await;
            let mut stranger = Client::connect(&paper, transport, addr).await;
            let unknown = bench.opened().await;
            friend.say(OPTIONS).await;
            assert_eq!(bench.message().await.0, known);
            bench.net.known(known);
            if speaks {
                stranger.say(OPTIONS).await;
                assert_eq!(bench.message().await.0, unknown);
            }
            assert_eq!(bench.closed().await, unknown);
            friend.say(OPTIONS).await;
            assert_eq!(bench.message().await.0, known);
            drop(friend);
            assert_eq!(bench.closed().await, known);
        }
    }
}
