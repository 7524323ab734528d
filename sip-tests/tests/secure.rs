//! The program on TLS and secure WebSockets, with a client of the test's own; certificates that change; names from a DNS server of
//! the test's own.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/journal.rs"]
mod journal;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;

mod secure {
    mod mutual;
}

use bytes::BytesMut;
use process::Process;
use program::program;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tandem::pii::Secret;
use tandem::sip::frame::{self, Frame};
use tandem::sip::{Message, Method, Name, auth};
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest;

const SOON: Duration = Duration::from_secs(20);

/// A node with an address and a folder of its own.
struct Node {
    process: Process,
    folder: PathBuf,
    ip: String,
    tls_port: u16,
    wss_port: u16,
}

/// The port that an address of one's own has for everything but TLS, and those for that.
const PORTS: [u16; 3] = [5060, 5061, 8443];

impl Node {
    /// `number` is the test's: its addresses are 127.85.`number`.x.
    fn start(number: u8, prepare: impl FnOnce(&Path) -> String) -> Node {
        Node::start_at(number, &format!("127.85.{number}.1"), PORTS, prepare)
    }

    fn start_at(number: u8, ip: &str, ports: [u16; 3], prepare: impl FnOnce(&Path) -> String) -> Node {
        let folder = std::env::temp_dir().join(format!("tandem-secure-{number}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("as this test has set it up");
        let [plain, tls_port, wss_port] = ports;
        let host = host(ip);
        let text = format!(
            "listen: [ \"udp://{host}:{plain}\", \"tcp://{host}:{plain}\", \"tls://{host}:{tls_port}\", \"wss://{host}:{wss_port}\" ]\n\
             domains: [ example.com ]\nstore: {{ path: {} }}\nmedia: {{ ports: 20000-20199, workers: 1 }}\n{}",
            folder.join("t.db").display(),
            prepare(&folder)
        );
        let file = folder.join("t.yaml");
        fs::write(&file, text).expect("as this test has set it up");
        let mut command = Command::new(program());
        command.arg("run").arg(&file).env("NO_COLOR", "1").current_dir(&folder);
        let process = Process::start("tandem", "this repository", &mut command);
        process.wait_for("Ready.", SOON);
        Node {
            process,
            folder,
            ip: ip.to_owned(),
            tls_port,
            wss_port,
        }
    }

    fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit(SOON), Some(0));
        assert_eq!(self.process.journal.count("ERROR"), 0);
    }

    /// A connection under TLS that trusts this certificate; the error is that of the handshake.
    fn tls(&self, port: u16, trusted: &str) -> std::io::Result<Tls> {
        let socket = TcpStream::connect((self.ip.as_str(), port)).expect("it listens");
        self.tls_on(socket, trusted, None)
    }

    /// The same on this connection, with `NAME.pem` and `NAME.key` to be shown.
    fn tls_on(&self, socket: TcpStream, trusted: &str, shown: Option<&str>) -> std::io::Result<Tls> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("as this test has set it up")
            .with_root_certificates(roots(&self.folder, trusted));
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (chain, key) = pair(&self.folder, name);
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        let name = ServerName::try_from("example.com").expect("as this test has set it up");
        let client = ClientConnection::new(Arc::new(config), name).expect("as this test has set it up");
        socket.set_read_timeout(Some(SOON)).expect("as this test has set it up");
        let mut stream = StreamOwned::new(client, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// As in a URI.
fn host(ip: &str) -> String {
    if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    }
}

fn roots(folder: &Path, trusted: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(folder.join(trusted)).expect("as this test has set it up");
    roots.add(certificate).expect("as this test has set it up");
    roots
}

fn pair(folder: &Path, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    (
        vec![CertificateDer::from_pem_file(file("pem")).expect("a certificate")],
        PrivateKeyDer::from_pem_file(file("key")).expect("a key"),
    )
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// How a client talks.
enum Wire {
    Tls(Box<Tls>, BytesMut),
    Wss(Box<WebSocket<Tls>>),
}

/// A user agent of a few lines.
struct Ua {
    wire: Wire,
    user: &'static str,
    /// Of its Contact.
    scheme: &'static str,
    cseq: u32,
}

impl Ua {
    fn tls(node: &Node, user: &'static str, trusted: &str) -> Ua {
        let stream = node.tls(node.tls_port, trusted).expect("the handshake");
        Ua::new(Wire::Tls(Box::new(stream), BytesMut::new()), user)
    }

    fn wss(node: &Node, user: &'static str, trusted: &str) -> Ua {
        let mut request = "wss://example.com:8443/"
            .into_client_request()
            .expect("as this test has set it up");
        let sip = "sip".parse().expect("a header value");
        request.headers_mut().insert("Sec-WebSocket-Protocol", sip);
        let stream = node.tls(node.wss_port, trusted).expect("the handshake");
        let (socket, response) = tungstenite::client(request, stream).expect("the upgrade");
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
        Ua::new(Wire::Wss(Box::new(socket)), user)
    }

    fn new(wire: Wire, user: &'static str) -> Ua {
        Ua {
            wire,
            user,
            scheme: "sip",
            cseq: 0,
        }
    }

    /// As in Via and in the Contact of RFC 7118 5: a browser has no address that it knows.
    fn names(&self) -> (&'static str, String) {
        let (via, transport) = match (&self.wire, self.scheme) {
            (Wire::Tls(..), "sips") => ("TLS", ""),
            (Wire::Tls(..), _) => ("TLS", ";transport=tls"),
            (Wire::Wss(_), _) => ("WSS", ";transport=ws"),
        };
        (
            via,
            format!("<{}:{}@df7jal23ls0d.invalid{transport}>", self.scheme, self.user),
        )
    }

    fn send(&mut self, text: &str) {
        match &mut self.wire {
            Wire::Tls(stream, _) => {
                stream.write_all(text.as_bytes()).expect("it is open");
                stream.flush().expect("it is open");
            }
            Wire::Wss(socket) => socket.send(tungstenite::Message::text(text)).expect("it is open"),
        }
    }

    fn receive(&mut self) -> Message {
        let bytes = match &mut self.wire {
            Wire::Tls(stream, buffer) => loop {
                match frame::next(buffer).expect("it is SIP") {
                    Some(Frame::Message(bytes)) => break bytes,
                    Some(Frame::Ping | Frame::Pong) => {}
                    None => {
                        let mut piece = [0; 4096];
                        let length = stream.read(&mut piece).expect("the node says something");
                        assert!(length > 0, "the node has closed the connection");
                        buffer.extend_from_slice(&piece[..length]);
                    }
                }
            },
            Wire::Wss(socket) => match socket.read().expect("the node says something") {
                tungstenite::Message::Text(text) => text.into(),
                other => panic!("{other:?} where text fits"),
            },
        };
        Message::parse(bytes).expect("it is SIP")
    }

    /// The next message that fits.
    fn expect(&mut self, what: &str, fits: impl Fn(&Message) -> bool) -> Message {
        for _ in 0..20 {
            let message = self.receive();
            if fits(&message) {
                return message;
            }
        }
        panic!("no {what} among twenty messages");
    }

    /// Sends a request and gives its final response; a challenge is answered.
    fn ask(&mut self, method: Method, uri: &str, call_id: &str, fields: &str, body: &str) -> Message {
        let mut credentials = String::new();
        for _ in 0..2 {
            self.cseq += 1;
            let (cseq, user, (via, contact)) = (self.cseq, self.user, self.names());
            let to = if method == Method::Register {
                format!("sip:{user}@example.com")
            } else {
                uri.to_owned()
            };
            let text = format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via} df7jal23ls0d.invalid;rport;branch=z9hG4bK{call_id}{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=t\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\n\
                 CSeq: {cseq} {method}\r\nContact: {contact}\r\n{fields}{credentials}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            self.send(&text);
            let response = self.expect("final response", |message| {
                !message.is_request() && message.status() >= 200 && message.cseq().is_ok_and(|of| of.number == cseq)
            });
            if response.status() != 401 {
                return response;
            }
            if method == Method::Invite {
                self.ack(uri, call_id, &response, &format!("z9hG4bK{call_id}{cseq}"));
            }
            let challenges = auth::challenges(&response);
            let (_, challenge) = challenges.first().expect("a challenge");
            let password = Secret::new(format!("secret-{user}"));
            let answer = auth::answer(challenge, user, &password, &method, uri, "cn", 1);
            credentials = format!("Authorization: {answer}\r\n");
        }
        panic!("challenged twice");
    }

    fn ack(&mut self, uri: &str, call_id: &str, response: &Message, branch: &str) {
        let (via, user) = (self.names().0, self.user);
        let cseq = response.cseq().expect("as this test has set it up").number;
        let to = response.get(Name::To).expect("as this test has set it up");
        let text = format!(
            "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/{via} df7jal23ls0d.invalid;branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.com>;tag=t\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n"
        );
        self.send(&text);
    }

    fn register(&mut self) -> Message {
        let response = self.ask(Method::Register, "sip:example.com", "reg", "Expires: 600\r\n", "");
        assert_eq!(response.status(), 200, "{response:?}");
        response
    }

    /// Answers a request with 200.
    fn accept(&mut self, request: &Message, body: &str) {
        let field = |name: Name| request.get(name).expect("a field of every request").into_owned();
        let vias: String = request
            .all(Name::Via)
            .iter()
            .map(|via| format!("Via: {via}\r\n"))
            .collect();
        let to = field(Name::To);
        let to = if to.contains("tag=") { to } else { format!("{to};tag=u") };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "SIP/2.0 200 OK\r\n{vias}From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: {}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            field(Name::From),
            request.call_id(),
            field(Name::CSeq),
            self.names().1,
            body.len()
        );
        self.send(&text);
    }
}

/// Whoever comes by a WebSocket here has plain RTP.
const USERS: &str = "users:
  - { name: alice, password: secret-alice, number: \"101\", webrtc: no }
  - { name: bob, password: secret-bob, number: \"102\", webrtc: no }
";

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.85.1.9\r\ns=-\r\nc=IN IP4 127.85.1.9\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

/// A node without a certificate makes one. Alice comes by TLS and bob from a browser; they register, alice calls bob, bob answers,
/// and each hears of us only in the words of its own transport.
#[test]
fn a_call_from_tls_to_a_browser() {
    call_from_tls_to_a_browser(Node::start(1, |_| USERS.to_owned()), SDP);
}

/// The same on IPv6, where an address stands in brackets (RFC 3261 19.1.1, 20.42).
#[test]
fn a_call_from_tls_to_a_browser_on_ipv6() {
    let free = || {
        let socket = TcpListener::bind("[::1]:0").expect("this machine has IPv6");
        let port = socket.local_addr().expect("it is bound").port();
        (port, socket)
    };
    let held = [free(), free(), free()];
    let ports = [held[0].0, held[1].0, held[2].0];
    drop(held);
    let sdp = SDP.replace("IP4 127.85.1.9", "IP6 ::1");
    call_from_tls_to_a_browser(Node::start_at(7, "::1", ports, |_| USERS.to_owned()), &sdp);
}

fn call_from_tls_to_a_browser(node: Node, description: &str) {
    let (host, tls, wss) = (host(&node.ip), node.tls_port, node.wss_port);
    node.process.wait_for("a self-signed certificate was made", SOON);
    let own = "tls-certificate.pem";
    let (mut alice, mut bob) = (Ua::tls(&node, "alice", own), Ua::wss(&node, "bob", own));
    let contact = alice.register().get(Name::Contact).expect("a binding").into_owned();
    assert!(contact.contains("df7jal23ls0d.invalid"), "{contact}");
    bob.register();
    let sdp = "Content-Type: application/sdp\r\n";
    let (here, sdp_of_bob) = (format!("{host}:{wss}"), description.to_owned());
    let answered = std::thread::spawn(move || {
        let invite = bob.expect("INVITE", |message| message.method() == Method::Invite);
        let text = String::from_utf8_lossy(invite.bytes()).into_owned();
        assert!(text.contains(&format!("Via: SIP/2.0/WSS {here};")), "{text}");
        assert!(
            text.contains(&format!("Contact: <sip:tandem@{here};transport=ws>")),
            "{text}"
        );
        bob.accept(&invite, &sdp_of_bob);
        bob.expect("ACK", |message| message.method() == Method::Ack);
        let bye = bob.expect("BYE", |message| message.method() == Method::Bye);
        bob.accept(&bye, "");
    });
    let up = alice.ask(Method::Invite, "sip:bob@example.com", "call", sdp, description);
    assert_eq!(up.status(), 200);
    let target = up.get(Name::Contact).expect("of a 200").into_owned();
    assert_eq!(target, format!("<sip:tandem@{host}:{tls};transport=tls>"));
    let target = target.trim_matches(['<', '>']);
    alice.ack(target, "call", &up, "z9hG4bKack");
    let (to, cseq) = (up.get(Name::To).expect("of a 200").into_owned(), alice.cseq + 1);
    alice.send(&format!(
        "BYE {target} SIP/2.0\r\nVia: SIP/2.0/TLS df7jal23ls0d.invalid;branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=t\r\nTo: {to}\r\nCall-ID: call\r\nCSeq: {cseq} BYE\r\nContent-Length: 0\r\n\r\n"
    ));
    let gone = alice.expect("200 to BYE", |message| {
        message.cseq().is_ok_and(|of| of.method == Method::Bye)
    });
    assert_eq!(gone.status(), 200);
    answered.join().expect("bob has heard all of it");
    node.stop();
}

/// RFC 5630 5, RFC 3261 26.2.2: SIPS reaches a phone only over TLS and only one that registered so; our Contact is SIPS then. A phone
/// that may be called by SIPS is called by SIP as well.
#[test]
fn sips_is_tls_on_each_hop() {
    let node = Node::start(4, |_| USERS.to_owned());
    let own = "tls-certificate.pem";
    let (mut alice, mut bob) = (Ua::tls(&node, "alice", own), Ua::wss(&node, "bob", own));
    alice.register();
    bob.register();
    alice.scheme = "sips";
    let sdp = "Content-Type: application/sdp\r\n";
    let refused = alice.ask(Method::Invite, "sips:bob@example.com", "plain", sdp, SDP);
    assert_eq!(refused.status(), 480, "he has registered no SIPS contact");
    alice.ack(
        "sips:bob@example.com",
        "plain",
        &refused,
        &format!("z9hG4bKplain{}", alice.cseq),
    );
    bob.scheme = "sips";
    bob.register();
    for (uri, secure) in [("sips:bob@example.com", true), ("sip:bob@example.com", false)] {
        let call_id = if secure { "secure" } else { "open" };
        alice.scheme = if secure { "sips" } else { "sip" };
        let answered = std::thread::spawn(move || {
            let invite = bob.expect("INVITE", |message| message.method() == Method::Invite);
            bob.accept(&invite, SDP);
            let bye = bob.expect("BYE", |message| message.method() == Method::Bye);
            bob.accept(&bye, "");
            (bob, String::from_utf8_lossy(invite.bytes()).into_owned())
        });
        let up = alice.ask(Method::Invite, uri, call_id, sdp, SDP);
        assert_eq!(up.status(), 200);
        let contact = up.get(Name::Contact).expect("of a 200").into_owned();
        let target = contact.trim_matches(['<', '>']);
        alice.ack(target, call_id, &up, &format!("z9hG4bKack{call_id}"));
        let (to, cseq) = (up.get(Name::To).expect("of a 200").into_owned(), alice.cseq + 1);
        alice.send(&format!(
            "BYE {target} SIP/2.0\r\nVia: SIP/2.0/TLS df7jal23ls0d.invalid;branch=z9hG4bKbye{call_id}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@example.com>;tag=t\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} BYE\r\nContent-Length: 0\r\n\r\n"
        ));
        let of_bye = |message: &Message| message.cseq().is_ok_and(|of| of.method == Method::Bye);
        assert_eq!(alice.expect("200 to BYE", of_bye).status(), 200);
        let (ua, invite) = answered.join().expect("bob has heard all of it");
        bob = ua;
        let (line, ours) = if secure {
            (
                "INVITE sips:bob@",
                [
                    "<sips:tandem@127.85.4.1:5061>",
                    "Contact: <sips:tandem@127.85.4.1:8443;transport=ws>",
                ],
            )
        } else {
            (
                "INVITE sip:bob@",
                [
                    "<sip:tandem@127.85.4.1:5061;transport=tls>",
                    "Contact: <sip:tandem@127.85.4.1:8443;transport=ws>",
                ],
            )
        };
        assert!(invite.starts_with(line) && invite.contains(ours[1]), "{invite}");
        assert_eq!(contact, ours[0]);
    }
    node.stop();
}

/// A certificate that is signed by nobody but itself and ends in this many days.
fn certificate(folder: &Path, days: u64) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["example.com".to_owned()]).expect("a name");
    #[allow(clippy::disallowed_methods, reason = "a certificate must be good today")]
    let end = std::time::SystemTime::now() + Duration::from_secs(days * 86_400);
    params.not_after = end.into();
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(folder.join("own.pem"), certificate.pem()).expect("our own folder");
    fs::write(folder.join("own.key"), key.serialize_pem()).expect("our own folder");
}

/// RFC 3261 26.3.1: a certificate that ends soon is warned of; SIGHUP takes the new one, and a connection of before stays and works.
/// One that cannot be read changes nothing.
#[test]
fn a_new_certificate_on_sighup_leaves_connections_alone() {
    let node = Node::start(2, |folder| {
        certificate(folder, 5);
        let folder = folder.display();
        format!("{USERS}tls: {{ certificate: {folder}/own.pem, key: {folder}/own.key }}\n")
    });
    node.process.wait_for("own.pem ends on", SOON);
    fs::copy(node.folder.join("own.pem"), node.folder.join("old.pem")).expect("our own folder");
    let mut alice = Ua::tls(&node, "alice", "old.pem");
    alice.register();
    certificate(&node.folder, 500);
    node.process.signal("HUP");
    node.process.wait_for("reloaded: nothing is different", SOON);
    assert!(node.tls(5061, "old.pem").is_err(), "the old certificate is gone");
    let mut bob = Ua::wss(&node, "bob", "own.pem");
    bob.register();
    alice.register();
    fs::write(node.folder.join("own.key"), "nothing").expect("our own folder");
    node.process.signal("HUP");
    node.process.wait_for("reload refused, nothing was changed", SOON);
    let mut third = Ua::tls(&node, "bob", "own.pem");
    third.register();
    // Those of before, one on each transport and one of each certificate.
    alice.register();
    bob.register();
    node.stop();
}

/// A DNS server of a few lines: for each question a list of records of that type, behind two answers that are none of its own.
fn dns_server(socket: UdpSocket, answers: impl Fn(&str, u16) -> Vec<Vec<u8>> + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..length];
            let (mut at, mut name) = (12, String::new());
            while question[at] != 0 {
                let label = &question[at + 1..=at + usize::from(question[at])];
                name.push_str(&String::from_utf8_lossy(label).to_lowercase());
                name.push('.');
                at += 1 + label.len();
            }
            let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
            let records = answers(name.trim_end_matches('.'), kind);
            let mut answer = question[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
            answer.extend(&question[12..at + 5]);
            for record in records {
                answer.extend([0xc0, 0x0c]);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 0, 0, 60]);
                answer.extend((record.len() as u16).to_be_bytes());
                answer.extend(record);
            }
            let mut forged = answer.clone();
            forged[0] ^= 0xff;
            for datagram in [b"garbage".as_slice(), &forged, &answer] {
                let _ = socket.send_to(datagram, from);
            }
        }
    });
}

/// A record of an SRV answer.
fn srv(port: u16, host: &str) -> Vec<u8> {
    let mut record = vec![0, 1, 0, 0];
    record.extend(port.to_be_bytes());
    for label in host.split('.') {
        record.push(label.len() as u8);
        record.extend(label.as_bytes());
    }
    record.push(0);
    record
}

/// RFC 3263 4.2: the peer of a trunk is found by SRV and A, on the wire; an answer with another number is nobody's.
#[test]
fn a_name_is_asked_for_on_the_wire() {
    let server = UdpSocket::bind("127.85.3.53:5353").expect("an address of this test");
    dns_server(server, |name, kind| match (name, kind) {
        ("_sip._udp.acme.test", 33) => vec![srv(5070, "h.acme.test")],
        ("h.acme.test", 1) => vec![vec![127, 85, 3, 9]],
        _ => Vec::new(),
    });
    let carrier = UdpSocket::bind("127.85.3.9:5070").expect("an address of this test");
    carrier
        .set_read_timeout(Some(SOON))
        .expect("as this test has set it up");
    let node = Node::start(3, |_| {
        "dns: { servers: [ \"127.85.3.53:5353\" ] }
trunks: [ { name: acme, peers: [ \"sip:acme.test\" ], accept_from: [ 127.85.3.9 ], options: 1s } ]
"
        .to_owned()
    });
    let mut buffer = [0; 2048];
    let (length, from) = carrier.recv_from(&mut buffer).expect("it asks whether we live");
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(text.starts_with("OPTIONS sip:acme.test SIP/2.0\r\n"), "{text}");
    assert_eq!(from.to_string(), "127.85.3.1:5060");
    node.stop();
}
