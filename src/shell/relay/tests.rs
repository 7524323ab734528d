//! The thread over real sockets: a share of each turn for everybody, and its end.

use super::accept::{Came, Door};
use super::thread::{Command, Gauges, Thread};
use super::{Relay, Running, TOLD, pipe};
use crate::config::{Sources, Turn, parse};
use crate::limits;
use crate::relay::Server;
use crate::shell::bell::Bell;
use crate::shell::clock::SystemClock;
use crate::shell::net::{Aside, Keys, Places};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn turn() -> Turn {
    let yaml = "listen: [ \"udp://192.0.2.1:5060\" ]\ndomains: [ example.com ]\nturn: { listen: [ \"udp://192.0.2.1\" ], secret: north }\n";
    let config = parse("test", yaml, &Sources::NONE).unwrap_or_else(|problems| panic!("{problems:?}"));
    config.turn.expect("it is there")
}

struct Parts {
    thread: Thread,
    commands: tokio::sync::mpsc::Sender<Command>,
    bell: Arc<Bell>,
    gauges: Arc<Gauges>,
}

/// A thread that nobody has started, with room for so many commands.
fn parts(room: usize) -> Parts {
    let (commands, receiver) = tokio::sync::mpsc::channel(room);
    let (facts, _) = tokio::sync::mpsc::channel(1);
    let (bell, gauges) = (Bell::new().unwrap(), Arc::new(Gauges::default()));
    let server = Server::new(&turn(), &[], [7; 32]);
    let own = (SystemClock::start(), server, bell.clone());
    let thread = Thread::new(own, Vec::new(), receiver, (facts, None), gauges.clone()).unwrap();
    Parts {
        thread,
        commands,
        bell,
        gauges,
    }
}

/// A connection, of which the other end is given too.
fn stream() -> (TcpStream, Box<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, from) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let place = Places::new(1, 1).take(from.ip()).unwrap();
    let session = None;
    let came = Came {
        socket,
        session,
        from,
        place,
    };
    (client, Box::new(came))
}

#[test]
fn of_one_stream_a_turn_takes_so_many_messages_and_the_rest_later() {
    let mut parts = parts(1);
    let (mut client, came) = stream();
    // ChannelData without data, of one who has no allocation: the smallest message that there is.
    let messages = 16_384;
    client.write_all(&[0x40, 0, 0, 0].repeat(messages)).unwrap();
    let clock = SystemClock::start();
    let (mut all, end) = (vec![0; 4 * messages], clock.instant() + SOON);
    while came.socket.peek(&mut all).unwrap_or(0) < all.len() {
        assert!(clock.instant() < end, "it does not arrive");
        std::thread::yield_now();
    }
    assert!(parts.commands.try_send(Command::Stream(came)).is_ok());
    let strange = |thread: &Thread| thread.server.counters().strange;
    let (mut before, mut ready) = (0, Vec::with_capacity(16));
    while before < messages as u64 {
        assert!(clock.instant() < end, "{before} of {messages}");
        assert!(parts.thread.turn(&mut ready));
        let now = strange(&parts.thread);
        assert!(
            now - before <= limits::RELAY_TURN as u64,
            "{} in one turn",
            now - before
        );
        before = now;
    }
    assert_eq!(before, messages as u64);
}

#[test]
fn the_end_comes_whatever_waits_before_it() {
    let Parts {
        thread,
        commands,
        bell,
        gauges,
    } = parts(1);
    let waits = Command::Configure(Box::new(turn()), Vec::new());
    assert!(commands.try_send(waits).is_ok(), "and the queue is full");
    assert!(bell.has_rung(), "the first look is due");
    let own = bell.clone();
    let handle = std::thread::spawn(move || {
        // Not before it was told to stop.
        while !own.has_rung() {
            std::thread::yield_now();
        }
        own.ring();
        thread.run();
    });
    let mut relay = Relay(Some(Running {
        turn: turn(),
        door: Door::new(Arc::new(Keys::default()), commands.clone(), bell.clone()),
        commands,
        bell,
        gauges,
        thread: Some(handle),
        interfaces: Vec::new(),
        within: Default::default(),
        told: [0; TOLD],
        _aside: Aside::default(),
    }));
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        relay.stop();
        let _ = done.send(());
    });
    assert!(ended.recv_timeout(SOON).is_ok(), "it waits for ever");
}

/// A port that another program holds, sharing it with whoever says the same, is not taken; what leaves from a port of ours shares it.
#[test]
fn a_relayed_port_is_shared_with_nobody_else() {
    use socket2::{Domain, Socket, Type};
    let foreign = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    foreign.set_reuse_port(true).unwrap();
    let any: std::net::SocketAddr = "127.0.86.1:0".parse().unwrap();
    foreign.bind(&any.into()).unwrap();
    foreign.listen(1).unwrap();
    let taken = foreign.local_addr().unwrap().as_socket().unwrap();
    assert_eq!(
        pipe::listening(taken).unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
    drop(foreign);
    let own = pipe::listening(taken).unwrap();
    let peer = TcpListener::bind("127.0.86.1:0").unwrap();
    let _begun = pipe::connecting(taken, peer.local_addr().unwrap()).unwrap();
    assert_eq!(peer.accept().unwrap().1, taken);
    own.set_nonblocking(false).unwrap();
    let came = TcpStream::connect(taken).unwrap();
    assert_eq!(own.accept().unwrap().1, came.local_addr().unwrap());
}
