//! The same against the program: each message over a socket of its own transport (UDP, TCP or TLS as its topmost Via says, those of RFC
//! 5118 over IPv6), a phone of a few lines that is registered, and the same oracles.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a real process lives in real time"
)]

use super::process::Process;
use super::program::program;
use super::{Case, Outcome, PASSWORD, Role, Via};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sip_tests::Msg;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tandem::sip::frame::{self, Frame};
use tandem::sip::{Draft, Message, Method, Name};

const SOON: Duration = Duration::from_secs(20);
/// On loopback an answer takes a millisecond, a call to the phone three; who says nothing for so long says nothing.
const SILENCE: Duration = Duration::from_millis(400);
/// What comes behind a final response.
const REST: Duration = Duration::from_millis(60);

/// Ports of ::1 are everybody's: one sends at a time.
static V6: Mutex<()> = Mutex::new(());

/// A running node in one role, with the user's phone.
pub struct Bench {
    process: Process,
    folder: PathBuf,
    hosts: [IpAddr; 3],
    v6_port: u16,
    /// What the phone got, and what the sender has seen before.
    arrived: Arc<Mutex<Vec<Msg>>>,
    seen: BTreeSet<Vec<u8>>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    /// The `nth` in this role.
    pub fn start(role: Role, nth: u8) -> Bench {
        let number = role as u8 + 1;
        let hosts = [1, 2, 3 + nth].map(|host| IpAddr::V4(Ipv4Addr::new(127, 86, number, host)));
        let v6_port = 25_660 + u16::from(number);
        let folder = std::env::temp_dir().join(format!("tandem-element-{number}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let listen = format!(
            "\"udp://{0}:5060\", \"tcp://{0}:5060\", \"tls://{0}:5061\", \"udp://[::1]:{v6_port}\"",
            hosts[0]
        );
        let text = format!(
            "{}store: {{ path: {} }}\nmedia: {{ ports: 20000-20199, workers: 1 }}\ncalls: {{ stop_grace: 1s }}\n",
            role.configuration(&listen, &format!("{}, \"::1\"", hosts[1])),
            folder.join("t.db").display()
        );
        let file = folder.join("t.yaml");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program());
        command.arg("run").arg(&file).env("NO_COLOR", "1").current_dir(&folder);
        let process = Process::start("tandem", "this repository", &mut command);
        process.wait_for("Ready.", SOON);
        let bench = Bench {
            process,
            folder,
            hosts,
            v6_port,
            arrived: Arc::default(),
            seen: BTreeSet::new(),
        };
        bench.register();
        bench
    }

    /// The phone of `user`, which is not there for calls and takes everything else.
    fn register(&self) {
        let socket = UdpSocket::bind((self.hosts[2], 5060)).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let mut credentials = String::new();
        for cseq in 1.. {
            let register = format!(
                "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {0}:5060;branch=z9hG4bKr{cseq}\r\nMax-Forwards: 70\r\n\
                 From: <sip:user@example.com>;tag=r\r\nTo: <sip:user@example.com>\r\nCall-ID: r\r\nCSeq: {cseq} REGISTER\r\n\
                 Contact: <sip:user@{0}:5060>\r\n{credentials}Content-Length: 0\r\n\r\n",
                self.hosts[2]
            );
            socket.send_to(register.as_bytes(), (self.hosts[0], 5060)).unwrap();
            let mut buffer = [0; 65_535];
            let length = socket.recv(&mut buffer).expect("an answer to REGISTER");
            let answer = Msg::read(&buffer[..length]).unwrap();
            if answer.status() == 200 {
                break;
            }
            assert!(cseq < 3, "{answer:?}");
            let challenge = answer.get("WWW-Authenticate").unwrap();
            let value = sip_tests::digest::answer(challenge, "user", PASSWORD, "REGISTER", "sip:example.com", 1);
            credentials = format!("Authorization: {value}\r\n");
        }
        socket.set_read_timeout(None).unwrap();
        let arrived = self.arrived.clone();
        std::thread::spawn(move || answer(&socket, &arrived));
    }

    /// What comes of a message.
    pub fn send(&mut self, case: &Case) -> Outcome {
        self.arrived.lock().unwrap().clear();
        let mut answers = self.exchange(case, &case.bytes);
        let challenge = answers.first().filter(|answer| answer.status() == 401).cloned();
        if let Some(challenge) = challenge.filter(|_| case.is_register()) {
            answers = self.exchange(case, &case.with_credentials(&challenge));
        }
        let forwarded = self.arrived.lock().unwrap().clone();
        Outcome { answers, forwarded }
    }

    fn exchange(&mut self, case: &Case, octets: &[u8]) -> Vec<Msg> {
        let octets = match case.via() {
            Via::Udp if case.is_v6 => {
                let _one = V6.lock().unwrap();
                let node = SocketAddr::from((Ipv6Addr::LOCALHOST, self.v6_port));
                datagrams(SocketAddr::from((Ipv6Addr::LOCALHOST, case.port())), node, octets)
            }
            Via::Udp => datagrams(
                SocketAddr::new(self.hosts[1], case.port()),
                SocketAddr::new(self.hosts[0], 5060),
                octets,
            ),
            Via::Tcp => conversation(self.connect(5060), octets),
            Via::Tls => conversation(self.tls(), octets),
        };
        let mut finals: Vec<Msg> = Vec::new();
        for bytes in octets {
            // The last answer to an earlier INVITE comes until it is acknowledged, which torture messages are not.
            let Some(msg) = self.seen.insert(bytes.clone()).then(|| Msg::read(&bytes).unwrap()) else {
                continue;
            };
            if msg.status() >= 200 && !finals.iter().any(|known| known.status() == msg.status()) {
                finals.push(msg);
            }
        }
        finals
    }

    /// From the sender's own address.
    fn connect(&self, port: u16) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(self.hosts[1], 0).into()).unwrap();
        socket.connect(&SocketAddr::new(self.hosts[0], port).into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        stream
    }

    fn tls(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let own = self.folder.join("tls-certificate.pem");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(own).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("example.com").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = self.connect(5061);
        socket.set_read_timeout(Some(SOON)).unwrap();
        let mut stream = StreamOwned::new(client, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        stream.sock.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        stream
    }

    /// It is still there, has nothing to complain about, and ends in order.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit(SOON), Some(0));
        for word in ["ERROR", "panicked"] {
            assert_eq!(self.process.journal.count(word), 0, "{word} in the log");
        }
    }
}

/// The phone: an INVITE meets 480, all else 200; the first copy of each request is kept.
fn answer(socket: &UdpSocket, arrived: &Mutex<Vec<Msg>>) {
    let mut buffer = [0; 65_535];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let Ok(message) = Message::parse(bytes::Bytes::copy_from_slice(&buffer[..length])) else {
            continue;
        };
        if !message.is_request() || message.method() == Method::Ack {
            continue;
        }
        if let Ok(msg) = Msg::read(&buffer[..length].iter().map(|byte| byte & 0x7f).collect::<Vec<u8>>()) {
            let mut arrived = arrived.lock().unwrap();
            if !arrived.contains(&msg) {
                arrived.push(msg);
            }
        }
        let status = if message.method() == Method::Invite { 480 } else { 200 };
        let mut response = Draft::response(&message, status, Some("phone"));
        response.push(Name::Contact, "<sip:user@127.0.0.1>");
        let _ = socket.send_to(&response.to_bytes(), from);
    }
}

/// Until when more is waited for.
fn after(answer: &[u8]) -> Instant {
    let is_final = !answer.starts_with(b"SIP/2.0 1");
    Instant::now() + if is_final { REST } else { SILENCE }
}

fn datagrams(from: SocketAddr, to: SocketAddr, octets: &[u8]) -> Vec<Vec<u8>> {
    // Another test may have the port of ::1 for a moment.
    let patience = Instant::now() + SOON;
    let socket = loop {
        match UdpSocket::bind(from) {
            Ok(socket) => break socket,
            Err(error) => assert!(Instant::now() < patience, "{from}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket.send_to(octets, to).unwrap();
    let (mut got, mut until) = (Vec::new(), Instant::now() + SILENCE);
    let mut buffer = [0; 65_535];
    while Instant::now() < until {
        if let Ok(length) = socket.recv(&mut buffer) {
            got.push(buffer[..length].to_vec());
            until = until.min(after(&buffer[..length]));
        }
    }
    got
}

fn conversation(mut stream: impl Read + Write, octets: &[u8]) -> Vec<Vec<u8>> {
    stream.write_all(octets).unwrap();
    stream.flush().unwrap();
    let (mut got, mut buffer, mut until) = (Vec::new(), bytes::BytesMut::new(), Instant::now() + SILENCE);
    let mut piece = [0; 65_535];
    while Instant::now() < until {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => buffer.extend_from_slice(&piece[..length]),
            Err(_) => continue,
        }
        while let Some(frame) = frame::next(&mut buffer).expect("the node speaks SIP") {
            if let Frame::Message(bytes) = frame {
                until = until.min(after(&bytes));
                got.push(bytes.to_vec());
            }
        }
    }
    got
}
