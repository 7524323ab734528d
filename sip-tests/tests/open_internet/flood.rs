//! The generator: junk, guesses and scans at a rate, from one source, from many, or in the name of others by raw sockets.

use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the generator looks at the clock.
const TICK: Duration = Duration::from_millis(1);

/// From where it comes.
pub enum From {
    /// These sockets, in turn.
    Own(Vec<UdpSocket>),
    /// These addresses, which are others', in turn.
    Forged(Socket, Vec<SocketAddrV4>),
}

impl From {
    /// A raw socket; none without the right to have one.
    pub fn forged(names: Vec<SocketAddrV4>) -> Option<From> {
        const RAW: i32 = 255;
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW))).ok()?;
        socket.set_header_included_v4(true).ok()?;
        Some(From::Forged(socket, names))
    }
}

/// It runs until it is dropped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends so many messages a second to the node.
    pub fn start(from: From, node: SocketAddrV4, rate: u64) -> Flood {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), sent.clone());
        let thread = std::thread::spawn(move || run(&from, node, rate, &stopped, &count));
        Flood {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// What it has sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(from: &From, node: SocketAddrV4, rate: u64, stop: &AtomicBool, sent: &AtomicU64) {
    let start = Instant::now();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = u64::try_from(start.elapsed().as_micros()).unwrap() * rate / 1_000_000;
        // What a busy machine has kept it from sending is not sent all at once.
        number = number.max(due.saturating_sub(rate / 20));
        while number < due {
            send(from, node, number);
            number += 1;
            sent.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(TICK);
    }
}

fn send(from: &From, node: SocketAddrV4, number: u64) {
    // A full buffer loses some, as networks do.
    match from {
        From::Own(sockets) => {
            let socket = &sockets[number as usize % sockets.len()];
            let Ok(SocketAddr::V4(own)) = socket.local_addr() else {
                return;
            };
            let _ = socket.send_to(message(own, node, number).as_bytes(), node);
        }
        From::Forged(socket, names) => {
            let name = names[number as usize % names.len()];
            let datagram = datagram(name, node, message(name, node, number).as_bytes());
            let _ = socket.send_to(&datagram, &SocketAddr::V4(node).into());
        }
    }
}

/// One of: no SIP at all, half a message, REGISTER, INVITE and OPTIONS for a name that somebody may have, credentials that were made
/// up, a BYE into a dialog that was made up, a response to nothing.
fn message(own: SocketAddrV4, node: SocketAddrV4, number: u64) -> String {
    const NAMES: [&str; 8] = ["100", "1000", "admin", "alice", "bob", "test", "2001", "user"];
    let user = NAMES[(number / 8) as usize % NAMES.len()];
    // As others do it: each request another one, each with the sender's own address in it.
    let odd = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let with = |method: &str, uri: &str, lines: &str| {
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK-{odd:016x}\r\nMax-Forwards: 70\r\n\
             From: \"{user}\" <sip:{user}@example.com>;tag={odd:x}\r\nTo: \"{user}\" <sip:{user}@example.com>\r\n\
             Call-ID: {odd:x}@{}\r\nCSeq: 1 {method}\r\nUser-Agent: Phone {}\r\n{lines}Content-Length: 0\r\n\r\n",
            own.ip(),
            number % 3
        )
    };
    let contact = format!("Contact: <sip:{user}@{own}>\r\n");
    match number % 8 {
        0 => format!("\0\0{odd:016x}\r\nnot a word of SIP\r\n"),
        1 => format!("INVITE sip:{user}@{node} SIP/2.0\r\nVia: nonsense {odd:x}\r\nFrom\r\n\r\n"),
        2 => with("REGISTER", "sip:example.com", &format!("{contact}Expires: 3600\r\n")),
        3 => with("INVITE", &format!("sip:{}@example.com", odd % 100_000), &contact),
        4 => with("OPTIONS", &format!("sip:{user}@{node}"), "Accept: application/sdp\r\n"),
        5 => {
            let guess = format!(
                "Authorization: Digest username=\"{user}\", realm=\"example.com\", nonce=\"{odd:016x}{odd:016x}{odd:016x}{odd:016x}\", \
                 uri=\"sip:example.com\", response=\"{odd:016x}{odd:016x}\", algorithm=MD5\r\n"
            );
            with("REGISTER", "sip:example.com", &format!("{contact}{guess}"))
        }
        6 => with(
            "BYE",
            &format!("sip:{user}@{node}"),
            "Route: <sip:tw-nn00@example.com;lr>\r\n",
        )
        .replace(
            &format!("<sip:{user}@example.com>\r\n"),
            &format!("<sip:{user}@example.com>;tag={odd:032x}\r\n"),
        ),
        _ => format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {node};branch=z9hG4bK{odd:016x}.0000{:08x}\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n\
             Call-ID: {odd:x}\r\nCSeq: 1 INVITE\r\n\r\n",
            odd as u32
        ),
    }
}

/// An IPv4 packet with a UDP datagram in it (RFC 791 3.1, RFC 768); the kernel fills in the checksum of the former, and the latter may
/// do without.
fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = |of: usize| u16::try_from(of).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0];
    packet.extend(length(28 + payload.len()));
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(length(8 + payload.len()));
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}
