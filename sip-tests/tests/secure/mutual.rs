//! A carrier and the node know each other by certificates (RFC 5922), and one connection carries requests both ways (RFC 5923).

use super::super::{Node, SDP, SOON, USERS, Ua, Wire, dns_server, pair, roots, srv};
use bytes::BytesMut;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use tandem::sip::frame::{self, Frame};
use tandem::sip::{Message, Method, Name};

/// A CA (`ca.pem`), and what it has signed: for the carrier as public CAs do it, only for servers.
fn papers(folder: &Path) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a certificate");
    fs::write(folder.join("ca.pem"), ca.pem()).expect("our own folder");
    let issuer = Issuer::new(params, key);
    for (name, domain) in [
        ("carrier", "sbc.acme.test"),
        ("own", "example.com"),
        ("other", "other.test"),
    ] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![domain.to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if name == "own" {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("our own folder");
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("our own folder");
    }
}

/// A node with a carrier that is known by nothing but its certificate. Its name leads to 127.85.`number`.9, port 5061.
fn start(number: u8, options: &str) -> Node {
    let (server, host) = (format!("127.85.{number}.53:5353"), [127, 85, number, 9]);
    let socket = UdpSocket::bind(&server).expect("an address of this test");
    dns_server(socket, move |name, kind| match (name, kind) {
        ("_sips._tcp.sbc.acme.test", 33) => vec![srv(5061, "sbc.acme.test")],
        ("sbc.acme.test", 1) => vec![host.to_vec()],
        _ => Vec::new(),
    });
    Node::start(number, |folder| {
        papers(folder);
        let folder = folder.display();
        format!(
            "{}tls: {{ certificate: {folder}/own.pem, key: {folder}/own.key }}
dns: {{ servers: [ \"{server}\" ] }}
trunks:
  - name: acme
    peers: [ \"sips:sbc.acme.test\" ]
    accept_from: []
    options: {options}
    tls: {{ ca: {folder}/ca.pem, accept: [ sbc.acme.test ] }}
routes: [ {{ to: \"+\", from: user/*, do: trunk/acme }} ]
",
            USERS.replace("number: \"101\"", "numbers: [ \"+14155550101\", \"101\" ]"),
        )
    })
}

/// From this address to the node's TLS port.
fn connect(node: &Node, from: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let from: SocketAddr = format!("{from}:0").parse().expect("an address");
    let to: SocketAddr = format!("{}:5061", node.ip).parse().expect("an address");
    socket.bind(&from.into()).expect("an address of this test");
    socket.connect(&to.into()).expect("it listens");
    socket.into()
}

fn carrier(node: &Node, from: &str, shown: &str) -> Ua {
    let stream = node
        .tls_on(connect(node, from), "ca.pem", Some(shown))
        .expect("the handshake");
    Ua::new(Wire::Tls(Box::new(stream), BytesMut::new()), "49123")
}

fn request(method: &str, uri: &str, via: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS {via};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\nFrom: <sip:+4930123@sbc.acme.test>;tag=f\r\n\
         To: <{uri}>\r\nCall-ID: of-carrier\r\nCSeq: 1 {method}\r\nContact: <sip:sbc.acme.test;transport=tls>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// RFC 5922 7.4, RFC 5923 8.2: the carrier comes, is known, and its calls come back by the connection that it opened: there is no other
/// way to it. Who has not its certificate is nobody.
#[test]
fn a_carrier_that_comes_with_its_certificate_is_called_by_its_own_connection() {
    let node = start(5, "never");
    let mut stranger = carrier(&node, "127.85.5.8", "other");
    stranger.send(&request("INVITE", "sips:101@example.com", "sbc.acme.test;alias"));
    node.process.wait_for("from an unknown address", SOON);
    let mut acme = carrier(&node, "127.85.5.9", "carrier");
    acme.send(&request("INVITE", "sips:101@example.com", "sbc.acme.test;alias"));
    let answer = acme.expect("an answer", |message| message.status() >= 200);
    assert_eq!(answer.status(), 480, "alice is known and not there");
    let mut alice = Ua::tls(&node, "alice", "ca.pem");
    alice.register();
    let called = std::thread::spawn(move || {
        let invite = acme.expect("INVITE", |message| {
            message.is_request() && message.method() == Method::Invite
        });
        assert!(invite.bytes().starts_with(b"INVITE sips:+4930123456@sbc.acme.test"));
        assert!(
            !invite.get(Name::Via).expect("ours").contains("alias"),
            "we did not open it"
        );
        acme.accept(&invite, SDP);
        acme.expect("ACK", |message| message.is_request() && message.method() == Method::Ack);
        let bye = acme.expect("BYE", |message| message.is_request() && message.method() == Method::Bye);
        acme.accept(&bye, "");
    });
    let sdp = "Content-Type: application/sdp\r\n";
    let up = alice.ask(Method::Invite, "sip:+4930123456@example.com", "call", sdp, SDP);
    assert_eq!(up.status(), 200);
    let contact = up.get(Name::Contact).expect("of a 200").into_owned();
    let target = contact.trim_matches(['<', '>']);
    alice.ack(target, "call", &up, "z9hG4bKack");
    let to = up.get(Name::To).expect("of a 200").into_owned();
    let cseq = alice.cseq + 1;
    alice.send(&format!(
        "BYE {target} SIP/2.0\r\nVia: SIP/2.0/TLS df7jal23ls0d.invalid;branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=t\r\nTo: {to}\r\nCall-ID: call\r\nCSeq: {cseq} BYE\r\nContent-Length: 0\r\n\r\n"
    ));
    called.join().expect("the carrier has heard all of it");
    node.stop();
}

/// A carrier of a few lines that listens under TLS and wants to see a certificate.
struct Listening(StreamOwned<ServerConnection, TcpStream>, BytesMut);

impl Listening {
    fn accept(listener: &TcpListener, folder: &Path) -> Listening {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trusted = Arc::new(roots(folder, "ca.pem"));
        let verifier = WebPkiClientVerifier::builder_with_provider(trusted, provider.clone());
        let (chain, key) = pair(folder, "carrier");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("as this test has set it up")
            .with_client_cert_verifier(verifier.build().expect("a CA"))
            .with_single_cert(chain, key)
            .expect("a pair");
        let (socket, _) = listener.accept().expect("the node comes");
        socket.set_read_timeout(Some(SOON)).expect("as this test has set it up");
        let server = ServerConnection::new(Arc::new(config)).expect("as this test has set it up");
        let mut stream = StreamOwned::new(server, socket);
        while stream.conn.is_handshaking() {
            stream
                .conn
                .complete_io(&mut stream.sock)
                .expect("we have a certificate");
        }
        Listening(stream, BytesMut::new())
    }

    fn receive(&mut self) -> Message {
        loop {
            match frame::next(&mut self.1).expect("SIP") {
                Some(Frame::Message(bytes)) => return Message::parse(bytes).expect("it is SIP"),
                Some(Frame::Ping | Frame::Pong) => {}
                None => {
                    let mut buffer = [0; 4096];
                    let read = self.0.read(&mut buffer).expect("something comes");
                    assert!(read > 0, "it is closed");
                    self.1.extend_from_slice(&buffer[..read]);
                }
            }
        }
    }
}

/// RFC 5923 8.1: our Via says that the connection which we opened is good for both ways, we show who we are, and we take requests by it.
#[test]
fn a_carrier_may_call_by_the_connection_that_we_opened() {
    let listener = TcpListener::bind("127.85.6.9:5061").expect("an address of this test");
    let node = start(6, "1s");
    let mut acme = Listening::accept(&listener, &node.folder);
    let options = acme.receive();
    let via = options.get(Name::Via).expect("ours").into_owned();
    assert!(
        via.starts_with("SIP/2.0/TLS 127.85.6.1:5061;") && via.ends_with(";alias"),
        "{via}"
    );
    let call = request("INVITE", "sips:101@example.com", "sbc.acme.test");
    acme.0.write_all(call.as_bytes()).expect("it is open");
    let answer = loop {
        let message = acme.receive();
        if !message.is_request() && message.status() >= 200 {
            break message;
        }
    };
    assert_eq!(answer.status(), 480, "alice is known and not there");
    node.stop();
}
