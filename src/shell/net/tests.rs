//! Real sockets on loopback: framing, sharing, bounds, addresses.

use super::tcp::Patience;
use super::{Net, NetEvent};
use crate::config::Listen;
use crate::effect::{Kind, Question};
use crate::id::{Flow, Target, Ticket, Transport};
use crate::limits;
use bytes::Bytes;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How long anything may take before the test fails.
pub(super) const SOON: Duration = Duration::from_secs(10);
pub(super) const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";

pub(super) struct Bench {
    pub(super) net: Net,
    pub(super) events: mpsc::Receiver<NetEvent>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let (net, events) = Net::new(1).unwrap();
        Bench { net, events }
    }

    /// One in which the limit under test is short, and the others never come.
    pub(super) fn impatient(change: impl FnOnce(&mut Patience)) -> Bench {
        let mut bench = Bench::new();
        let context = Arc::get_mut(&mut bench.net.context).expect("nothing listens yet");
        context.patience = Patience {
            handshake: SOON * 2,
            first: SOON * 2,
            message: SOON * 2,
            write: SOON * 2,
            stranger: SOON * 2,
            known: SOON * 2,
        };
        change(&mut context.patience);
        bench
    }

    /// Returns once every place of a connection is given back.
    pub(super) async fn all_free(&self) {
        let (places, half_open) = (&self.net.context.places, &self.net.context.half_open);
        let both = async { tokio::join!(places.all_free(), half_open.all_free()) };
        timeout(SOON, both).await.expect("a place is kept");
    }

    pub(super) fn listen(&mut self, transport: Transport, addr: &str) -> SocketAddr {
        let addr = addr.parse().unwrap();
        self.net.listen(Listen { transport, addr }).unwrap()
    }

    pub(super) async fn event(&mut self) -> NetEvent {
        let event = timeout(SOON, self.events.recv()).await.expect("nothing happened");
        event.expect("the sockets live")
    }

    pub(super) async fn message(&mut self) -> (Flow, Bytes) {
        match self.event().await {
            NetEvent::Message(flow, bytes) => (flow, bytes),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn datagram(&mut self) -> (Flow, Bytes) {
        self.net.wait(None, Some(SOON));
        self.net.datagram().expect("nothing came")
    }

    /// A connection that somebody opens to us.
    pub(super) async fn accepted(&mut self, to: SocketAddr) -> (TcpStream, Flow) {
        let stream = TcpStream::connect(to).await.unwrap();
        let NetEvent::Opened(flow, handle) = self.event().await else {
            panic!("not opened")
        };
        assert!(self.net.opened(flow, handle).is_empty());
        (stream, flow)
    }

    pub(super) async fn closed(&mut self) -> Flow {
        match self.event().await {
            NetEvent::Closed(flow) => {
                self.net.closed(flow);
                flow
            }
            other => panic!("{other:?}"),
        }
    }
}

fn target(addr: SocketAddr) -> Target {
    Target::new(Transport::Tcp, addr)
}

#[tokio::test]
async fn a_message_is_whole_wherever_the_stream_is_cut() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Tcp, "127.0.81.1:0");
    let (mut stream, flow) = bench.accepted(addr).await;
    stream.set_nodelay(true).unwrap();
    for cut in 1..OPTIONS.len() {
        stream.write_all(&OPTIONS[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&OPTIONS[cut..]).await.unwrap();
        let (from, bytes) = bench.message().await;
        assert_eq!((from, &bytes[..]), (flow, OPTIONS), "cut at {cut}");
    }
    for byte in OPTIONS {
        stream.write_all(std::slice::from_ref(byte)).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.message().await.1, OPTIONS);
}

#[tokio::test]
async fn messages_come_in_order_when_they_come_together_and_a_ping_is_answered_between_them() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Tcp, "127.0.81.2:0");
    let (mut stream, flow) = bench.accepted(addr).await;
    let mut all = Vec::new();
    for number in 0..50 {
        all.extend_from_slice(format!("OPTIONS sip:{number} SIP/2.0\r\nl: 0\r\n\r\n").as_bytes());
    }
    all.extend_from_slice(b"\r\n\r\n");
    stream.write_all(&all).await.unwrap();
    for number in 0..50 {
        let (_, bytes) = bench.message().await;
        assert!(bytes.starts_with(format!("OPTIONS sip:{number} ").as_bytes()));
    }
    let mut pong = [0; 2];
    timeout(SOON, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(&pong, b"\r\n");
    assert!(bench.net.send(flow, Bytes::from_static(b"back")));
    let mut back = [0; 4];
    timeout(SOON, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"back");
}

#[tokio::test]
async fn what_is_no_sip_ends_the_connection_and_so_does_its_peer() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Tcp, "127.0.81.3:0");
    let (mut stream, flow) = bench.accepted(addr).await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(bench.closed().await, flow);
    assert!(!bench.net.send(flow, Bytes::from_static(b"late")));
    let (stream, flow) = bench.accepted(addr).await;
    drop(stream);
    assert_eq!(bench.closed().await, flow);
    assert!(bench.net.connections.is_empty() && bench.net.by_peer.is_empty());
}

#[tokio::test]
async fn those_who_want_the_same_connection_share_it() {
    let mut bench = Bench::new();
    bench.listen(Transport::Tcp, "127.0.81.5:0");
    let server = TcpListener::bind("127.0.81.6:0").await.unwrap();
    let peer = server.local_addr().unwrap();
    for ticket in 1..=3 {
        assert_eq!(bench.net.connect(Ticket(ticket), target(peer)), None);
    }
    let (_stream, from) = server.accept().await.unwrap();
    assert_eq!(from.ip().to_string(), "127.0.81.5", "from the listener's own address");
    let NetEvent::Opened(flow, handle) = bench.event().await else {
        panic!("not opened")
    };
    assert_eq!(bench.net.opened(flow, handle), [Ticket(1), Ticket(2), Ticket(3)]);
    assert_eq!(bench.net.connect(Ticket(4), target(peer)), Some(Ok(flow)));
    assert!(
        timeout(Duration::from_millis(50), server.accept()).await.is_err(),
        "only one connection was opened"
    );
}

#[tokio::test]
async fn a_connection_that_is_refused_fails_for_all_who_wait() {
    let mut bench = Bench::new();
    bench.listen(Transport::Tcp, "127.0.81.7:0");
    let unused = TcpListener::bind("127.0.81.8:0").await.unwrap().local_addr().unwrap();
    assert_eq!(bench.net.connect(Ticket(1), target(unused)), None);
    assert_eq!(bench.net.connect(Ticket(2), target(unused)), None);
    let NetEvent::Failed(peer) = bench.event().await else {
        panic!("it cannot open")
    };
    assert_eq!(bench.net.failed(peer), [Ticket(1), Ticket(2)]);
    // No listener of that family: nothing to wait for.
    let v6 = target("[::1]:5060".parse().unwrap());
    assert_eq!(bench.net.connect(Ticket(3), v6), Some(Err(())));
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed_when_its_backlog_is_full() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Tcp, "127.0.81.9:0");
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let _stream = socket.connect(addr).await.unwrap();
    let NetEvent::Opened(flow, handle) = bench.event().await else {
        panic!("not opened")
    };
    bench.net.opened(flow, handle);
    let message = Bytes::from(vec![b'x'; 32 * 1024]);
    let mut taken = 0;
    while bench.net.send(flow, message.clone()) {
        taken += 1;
        assert!(taken < 10_000, "there is no bound");
        tokio::task::yield_now().await;
    }
    assert!(taken * message.len() > limits::CONNECTION_BACKLOG_BYTES);
    assert!(
        bench.net.connections.is_empty(),
        "it is closed at once, not only given up"
    );
}

#[tokio::test]
async fn a_message_that_drips_in_is_given_up_however_often_an_octet_comes() {
    let mut bench = Bench::impatient(|patience| patience.message = Duration::from_millis(400));
    let addr = bench.listen(Transport::Tcp, "127.0.81.19:0");
    let (mut stream, flow) = bench.accepted(addr).await;
    let mut drip = tokio::time::interval(Duration::from_millis(10));
    let mut octets = b"OPTIONS sip:a SIP/2.0\r\nSubject: "
        .iter()
        .chain(std::iter::repeat(&b'x'));
    let mut sent = 0;
    let gone = loop {
        tokio::select! {
            gone = bench.closed() => break gone,
            _ = drip.tick() => {
                // It may be closed by now: then the event is about to come.
                let _ = stream.write_all(&[*octets.next().expect("endless")]).await;
                sent += 1;
                assert!(sent < 1000, "it is never closed");
            }
        }
    };
    assert_eq!(gone, flow);
    assert!(sent >= 5, "it was closed after {sent} octets");
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_said_is_closed_and_one_that_pings_stays() {
    let idle = Duration::from_millis(600);
    let mut bench = Bench::impatient(|patience| patience.stranger = idle);
    let addr = bench.listen(Transport::Tcp, "127.0.81.20:0");
    let (mut stream, flow) = bench.accepted(addr).await;
    let mut pace = tokio::time::interval(idle / 10);
    for _ in 0..20 {
        pace.tick().await;
        stream.write_all(b"\r\n\r\n").await.unwrap();
    }
    stream.write_all(OPTIONS).await.unwrap();
    assert_eq!(bench.message().await.0, flow, "twice the limit has passed");
    assert_eq!(bench.closed().await, flow);
}

#[tokio::test]
async fn a_stranger_who_says_nothing_at_all_is_closed_sooner() {
    let mut bench = Bench::impatient(|patience| patience.first = Duration::from_millis(50));
    let addr = bench.listen(Transport::Tcp, "127.0.81.21:0");
    let (_stream, flow) = bench.accepted(addr).await;
    assert_eq!(bench.closed().await, flow);
    let limits = Patience::default();
    assert!(limits.first < limits.stranger && limits.message < limits.stranger && limits.stranger < limits.known);
}

#[tokio::test]
async fn a_closed_listener_frees_its_port_and_its_connections_stay() {
    let mut bench = Bench::new();
    let bound = bench.listen(Transport::Tcp, "127.0.81.10:0");
    let listen = Listen {
        transport: Transport::Tcp,
        addr: "127.0.81.10:0".parse().unwrap(),
    };
    let (mut stream, flow) = bench.accepted(bound).await;
    bench.net.unlisten(listen).await;
    assert!(TcpStream::connect(bound).await.is_err());
    stream.write_all(OPTIONS).await.unwrap();
    assert_eq!(bench.message().await.0, flow);
    assert!(bench.net.send(flow, Bytes::from_static(b"back")));
    // What was handed over is written before the end.
    let Bench { net, events } = bench;
    drop(events);
    net.close(SOON).await;
    let mut back = Vec::new();
    timeout(SOON, stream.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, b"back");
}

#[tokio::test]
async fn a_datagram_is_answered_from_the_address_that_was_called() {
    for (wildcard, called, caller) in [
        ("0.0.0.0:0", "127.0.81.11", "127.0.81.12:0"),
        ("[::]:0", "::1", "[::1]:0"),
    ] {
        let mut bench = Bench::new();
        let bound = bench.listen(Transport::Udp, wildcard);
        let called = SocketAddr::new(called.parse().unwrap(), bound.port());
        let phone = UdpSocket::bind(caller).unwrap();
        phone.set_read_timeout(Some(SOON)).unwrap();
        phone.send_to(OPTIONS, called).unwrap();
        let (flow, bytes) = bench.datagram();
        assert_eq!((flow.local, &bytes[..]), (called, OPTIONS));
        assert!(bench.net.send(flow, Bytes::from_static(b"answer")));
        bench.net.flush();
        let mut buffer = [0; 64];
        let (length, from) = phone.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"answer"[..], called));
    }
}

#[tokio::test]
async fn garbage_is_counted_and_nothing_else_becomes_of_it() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Udp, "127.0.81.13:0");
    let phone = UdpSocket::bind("127.0.81.14:0").unwrap();
    for garbage in [&b"\r\n\r\n"[..], b"\0\0\0\0", b"hello", b"\xff\xfe"] {
        phone.send_to(garbage, addr).unwrap();
    }
    phone.send_to(OPTIONS, addr).unwrap();
    assert_eq!(bench.datagram().1, OPTIONS);
    assert_eq!(bench.net.counters().not_sip.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_flood_at_one_listener_leaves_the_others_their_turn_and_is_noticed() {
    let mut bench = Bench::new();
    let [flooded, other] = ["127.0.81.23:0", "127.0.81.24:0"].map(|addr| bench.listen(Transport::Udp, addr));
    let phone = UdpSocket::bind("127.0.81.25:0").unwrap();
    for _ in 0..200 {
        phone.send_to(OPTIONS, flooded).unwrap();
    }
    phone.send_to(OPTIONS, other).unwrap();
    let mut turn = || {
        bench.net.wait(None, Some(SOON));
        let came: Vec<SocketAddr> = std::iter::from_fn(|| bench.net.datagram())
            .map(|(flow, _)| flow.local)
            .collect();
        let of = |addr| came.iter().filter(|local| **local == addr).count();
        (of(flooded), of(other), bench.net.is_behind())
    };
    assert_eq!(turn(), (128, 1, true));
    assert_eq!(turn(), (72, 0, false));
}

#[tokio::test]
async fn how_long_datagrams_waited_is_told_once() {
    let mut bench = Bench::new();
    let phone = UdpSocket::bind("127.0.81.26:0").unwrap();
    for listener in ["127.0.81.27:0", "0.0.0.0:0"] {
        let port = bench.listen(Transport::Udp, listener).port();
        // The system marks when datagrams come only from a moment after the first socket has asked for it.
        sleep(Duration::from_millis(100)).await;
        let mut waited = async |pause: u64| {
            phone.send_to(OPTIONS, ("127.0.81.27", port)).unwrap();
            sleep(Duration::from_millis(pause)).await;
            bench.net.wait(None, Some(SOON));
            assert!(bench.net.datagram().is_some() && bench.net.datagram().is_none());
            bench.net.waited()
        };
        let long = waited(60).await;
        assert!((60..2_000).contains(&long.as_millis()), "{listener}: {long:?}");
        let mut short = long;
        for _ in 0..20 {
            short = short.min(waited(0).await);
        }
        assert!(short < Duration::from_millis(20), "{listener}: {short:?}");
        assert_eq!(bench.net.waited(), Duration::ZERO);
    }
}

#[tokio::test]
async fn what_found_no_room_has_waited_for_ever() {
    let mut bench = Bench::new();
    let phone = UdpSocket::bind("127.0.81.28:0").unwrap();
    let addr = bench.listen(Transport::Udp, "127.0.81.29:0");
    let mut take = || {
        bench.net.wait(None, Some(Duration::from_millis(200)));
        let taken = std::iter::from_fn(|| bench.net.datagram()).count();
        (taken, bench.net.waited())
    };
    // More than the socket holds, by what it was granted.
    let sent = 200_000;
    for _ in 0..sent {
        phone.send_to(OPTIONS, addr).unwrap();
    }
    let mut taken = 0;
    loop {
        let (more, waited) = take();
        taken += more;
        if more == 0 {
            break;
        }
        assert_ne!(
            waited,
            Duration::MAX,
            "those in the socket came before the first that was dropped"
        );
    }
    assert!(taken < sent, "all {sent} found room");
    phone.send_to(OPTIONS, addr).unwrap();
    assert_eq!(take(), (1, Duration::MAX));
    phone.send_to(OPTIONS, addr).unwrap();
    let (taken, waited) = take();
    assert!(taken == 1 && waited < Duration::from_secs(2), "{waited:?}");
}

#[tokio::test]
async fn a_flow_of_before_goes_by_the_listener_on_its_own_address() {
    let mut bench = Bench::new();
    let first = bench.listen(Transport::Udp, "127.0.81.15:0");
    let second = bench.listen(Transport::Udp, "127.0.81.16:0");
    let phone = UdpSocket::bind("127.0.81.17:0").unwrap();
    phone.set_read_timeout(Some(SOON)).unwrap();
    phone.send_to(OPTIONS, second).unwrap();
    let (flow, _) = bench.datagram();
    // As kept from a run in which the listeners came in another order.
    let old = Flow {
        listener: crate::id::ListenerId(0),
        ..flow
    };
    assert!(bench.net.send(old, Bytes::from_static(b"ring")));
    bench.net.flush();
    let mut buffer = [0; 64];
    assert_eq!(phone.recv_from(&mut buffer).unwrap().1, second);
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_holder_and_the_key() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Udp, "127.0.81.18:0");
    let again = bench.net.listen(Listen {
        transport: Transport::Udp,
        addr,
    });
    let why = again.expect_err("taken");
    assert!(why.contains(&format!("udp://{addr} is taken by ")), "{why}");
    assert!(
        why.contains(&format!("(pid {})", std::process::id())) && why.contains("`listen`"),
        "{why}"
    );
}

#[tokio::test]
async fn a_stranger_who_only_keeps_a_connection_open_loses_it_and_one_who_is_known_does_not() {
    let mut bench = Bench::impatient(|patience| patience.stranger = Duration::from_millis(100));
    let addr = bench.listen(Transport::Tcp, "127.0.81.22:0");
    let (mut friend, known) = bench.accepted(addr).await;
    friend.write_all(OPTIONS).await.unwrap();
    assert_eq!(bench.message().await.0, known);
    bench.net.known(known);
    let (mut stranger, unknown) = bench.accepted(addr).await;
    let mut pong = [0; 2];
    stranger.write_all(b"\r\n\r\n").await.unwrap();
    timeout(SOON, stranger.read_exact(&mut pong)).await.unwrap().unwrap();
    // The friend was silent for longer.
    assert_eq!(bench.closed().await, unknown);
    friend.write_all(b"\r\n\r\n").await.unwrap();
    timeout(SOON, friend.read_exact(&mut pong)).await.unwrap().unwrap();
    assert!(bench.net.send(known, Bytes::from_static(b"back")));
}

#[tokio::test]
async fn names_beyond_the_bound_are_refused_at_once_and_have_their_turn_again_later() {
    let mut bench = Bench::new();
    let question = Question {
        kind: Kind::A,
        name: "localhost".into(),
    };
    for ticket in 0..limits::RESOLVING {
        assert!(bench.net.query(Ticket(ticket as u64), question.clone()));
    }
    assert!(!bench.net.query(Ticket(u64::MAX), question.clone()));
    assert!(matches!(bench.event().await, NetEvent::Answered(..)));
    assert!(bench.net.query(Ticket(u64::MAX), question.clone()));
}
