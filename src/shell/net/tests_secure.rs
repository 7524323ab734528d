//! TLS and WebSockets on loopback, against clients that are not ours: handshakes, frames, limits, certificates that change.

use super::tests::{Bench, OPTIONS, SOON};
use super::{Keys, NetEvent};
use crate::config::{Config, Sources};
use crate::id::{Flow, Target, Ticket, Transport};
use crate::limits;
use crate::shell::clock::SystemClock;
use crate::time::Wall;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// A certificate that is made here must be good today.
fn now() -> Wall {
    SystemClock::start().now().wall
}

/// A folder with a CA and what it has signed; gone with the test.
pub(super) struct Paper {
    pub(super) folder: PathBuf,
    pub(super) ca: Issuer<'static, KeyPair>,
}

impl Paper {
    pub(super) fn new(name: &str) -> Paper {
        let folder = std::env::temp_dir().join(format!("tandem-net-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
        Paper {
            folder,
            ca: Issuer::new(params, key),
        }
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// `NAME.pem` and `NAME.key`.
    pub(super) fn sign(&self, name: &str, names: &[&str]) {
        self.sign_as(name, names, |_| ());
    }

    /// The same with a certificate that is made to measure.
    pub(super) fn sign_as(&self, name: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.file("ca.pem")).unwrap();
        roots.add(ca).unwrap();
        roots
    }

    fn connector(&self) -> TlsConnector {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    /// A server with this certificate.
    pub(super) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = vec![CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(super) fn config(&self, rest: &str) -> Config {
        let yaml = format!("listen: [ \"tls://127.0.84.1:0\", \"wss://127.0.84.1:0\" ]\n{rest}");
        let read = |_: &std::path::Path| Ok(String::new());
        let sources = Sources {
            read: &read,
            ..Sources::NONE
        };
        crate::config::parse("test", &yaml, &sources).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// A configuration whose certificate is `NAME.pem`.
    pub(super) fn with_own(&self, name: &str) -> Config {
        let (certificate, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        self.config(&format!("tls: {{ certificate: {certificate}, key: {key} }}\n"))
    }

    pub(super) fn keys(&self, config: &Config) -> Keys {
        Keys::load(config, &self.folder.join("t.db"), now()).unwrap().0
    }

    pub(super) async fn shake(&self, to: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        self.connector()
            .connect(ServerName::try_from(name.to_owned()).unwrap(), stream)
            .await
    }
}

impl Drop for Paper {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    pub(super) async fn opened(&mut self) -> Flow {
        match self.event().await {
            NetEvent::Opened(flow, handle) => {
                self.net.opened(flow, handle);
                flow
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn messages_go_both_ways_under_tls_and_a_new_certificate_leaves_connections_alone() {
    let paper = Paper::new("swap");
    paper.sign("first", &["first.example"]);
    paper.sign("second", &["second.example"]);
    let mut bench = Bench::new();
    bench.net.set_keys(paper.keys(&paper.with_own("first")));
    let addr = bench.listen(Transport::Tls, "127.0.84.2:0");
    let mut before = paper.shake(addr, "first.example").await.unwrap();
    let flow = bench.opened().await;
    assert_eq!(flow.transport, Transport::Tls);
    bench.net.set_keys(paper.keys(&paper.with_own("second")));
    assert!(paper.shake(addr, "first.example").await.is_err(), "the old one is gone");
    let mut after = paper.shake(addr, "second.example").await.unwrap();
    let mut flows = vec![flow];
    // Of the refused one nobody hears.
    flows.push(bench.opened().await);
    for (stream, flow) in [&mut before, &mut after].into_iter().zip(flows) {
        for byte in OPTIONS {
            stream.write_all(std::slice::from_ref(byte)).await.unwrap();
            stream.flush().await.unwrap();
        }
        let (from, bytes) = bench.message().await;
        assert_eq!((from, &bytes[..]), (flow, OPTIONS));
        assert!(bench.net.send(flow, Bytes::from_static(b"back")));
        let mut back = [0; 4];
        timeout(SOON, stream.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(&back, b"back");
    }
}

#[tokio::test]
async fn a_handshake_that_is_abandoned_half_way_is_given_up_and_counted() {
    let paper = Paper::new("half");
    paper.sign("own", &["own.example"]);
    let mut bench = Bench::impatient(|patience| patience.handshake = Duration::from_millis(300));
    bench.net.set_keys(paper.keys(&paper.with_own("own")));
    for transport in [Transport::Tls, Transport::Wss, Transport::Ws] {
        let failed = bench.net.counters().handshakes_failed.load(Ordering::Relaxed);
        let addr = bench.listen(transport, "127.0.84.3:0");
        let (mut silent, mut half) = (
            TcpStream::connect(addr).await.unwrap(),
            TcpStream::connect(addr).await.unwrap(),
        );
        // The beginning of a ClientHello, or of an upgrade.
        let begun: &[u8] = if transport == Transport::Ws {
            b"GET / HT"
        } else {
            &[22, 3, 1, 2, 0, 1]
        };
        half.write_all(begun).await.unwrap();
        for stream in [&mut silent, &mut half] {
            let mut rest = Vec::new();
            let _ = timeout(SOON, stream.read_to_end(&mut rest))
                .await
                .expect("it is closed");
        }
        // It is counted after it is closed.
        let counters = bench.net.counters();
        let counted = async {
            while counters.handshakes_failed.load(Ordering::Relaxed) < failed + 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, counted).await.expect("both are counted");
        assert!(bench.net.connections.is_empty());
    }
}

#[tokio::test]
async fn half_open_connections_of_one_host_are_bounded() {
    let mut bench = Bench::impatient(|_| ());
    let addr = bench.listen(Transport::Ws, "127.0.84.4:0");
    let mut held = Vec::new();
    for _ in 0..limits::HALF_OPEN_PER_HOST {
        held.push(TcpStream::connect(addr).await.unwrap());
    }
    let mut one_more = TcpStream::connect(addr).await.unwrap();
    let read = timeout(SOON, one_more.read(&mut [0; 8])).await.expect("it is closed");
    assert!(matches!(read, Ok(0) | Err(_)));
    assert_eq!(bench.net.counters().refused_connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_carrier_must_be_whom_the_uri_names_and_its_ca_must_have_signed() {
    let (paper, stranger) = (Paper::new("carrier"), Paper::new("stranger"));
    paper.sign("good", &["sbc.acme.example"]);
    paper.sign("other", &["other.example"]);
    stranger.sign("good", &["sbc.acme.example"]);
    let trunk = |more: &str| {
        let ca = paper.file("ca.pem");
        paper.config(&format!(
            "trunks: [ {{ name: acme, accept_from: [], peers: [ \"sips:sbc.acme.example\" ], tls: {{ ca: {ca}{more} }} }} ]\n"
        ))
    };
    for (who, server, more, fits) in [
        (&paper, "good", "", true),
        (&paper, "other", "", false),
        (&stranger, "good", "", false),
        (&paper, "other", ", name: other.example", true),
    ] {
        let mut bench = Bench::new();
        bench.net.set_keys(paper.keys(&trunk(more)));
        bench.listen(Transport::Tls, "127.0.84.5:0");
        let listener = TcpListener::bind("127.0.84.6:0").await.unwrap();
        let target = Target {
            name: Some("sbc.acme.example".into()),
            ..Target::new(Transport::Tls, listener.local_addr().unwrap())
        };
        assert_eq!(bench.net.connect(Ticket(1), target.clone()), None);
        let acceptor = who.acceptor(server);
        let (stream, _) = listener.accept().await.unwrap();
        let (accepted, event) = tokio::join!(acceptor.accept(stream), bench.event());
        match event {
            NetEvent::Opened(flow, handle) if fits => {
                assert_eq!(bench.net.opened(flow, handle), [Ticket(1)]);
                assert_eq!(bench.net.connect(Ticket(2), target.clone()), Some(Ok(flow)));
                // RFC 5923 9.3: the same address under another name is another connection.
                let other = Target {
                    name: Some("other.example".into()),
                    ..target
                };
                assert_eq!(bench.net.connect(Ticket(3), other), None);
                drop(accepted);
            }
            NetEvent::Failed(failed) if !fits => assert_eq!(bench.net.failed(failed), [Ticket(1)]),
            other => panic!("{server} {more}: {other:?}"),
        }
    }
}

pub(super) async fn browser(to: SocketAddr, protocol: Option<&str>) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut request = format!("ws://{to}/").into_client_request().unwrap();
    if let Some(protocol) = protocol {
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
    }
    let (socket, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
    Ok(socket)
}

#[tokio::test]
async fn a_websocket_carries_one_message_in_each_and_asks_for_sip() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Ws, "127.0.84.7:0");
    for refused in [None, Some("chat")] {
        let Err(Error::Http(response)) = browser(addr, refused).await else {
            panic!("{refused:?} is taken")
        };
        assert_eq!(response.status(), 400);
    }
    let mut socket = browser(addr, Some("chat, sip")).await.unwrap();
    let flow = bench.opened().await;
    for text in [true, false] {
        let message = Bytes::from_static(OPTIONS);
        let sent = if text {
            Message::text(String::from_utf8(OPTIONS.into()).unwrap())
        } else {
            Message::Binary(message)
        };
        socket.send(sent).await.unwrap();
        let (from, bytes) = bench.message().await;
        assert_eq!((from, &bytes[..]), (flow, OPTIONS));
    }
    // RFC 5626 3.5.1 as some stacks do it, and RFC 6455 5.5.2.
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(
        timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap(),
        Message::text("\r\n")
    );
    socket
        .send(Message::Ping(Bytes::from_static(b"are you there")))
        .await
        .unwrap();
    let pong = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"are you there")));
    assert!(bench.net.send(flow, Bytes::from_static(b"text")));
    assert!(bench.net.send(flow, Bytes::from_static(b"\xff\xfe")));
    assert_eq!(
        timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap(),
        Message::text("text")
    );
    let binary = Message::Binary(Bytes::from_static(b"\xff\xfe"));
    assert_eq!(timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap(), binary);
    socket.close(None).await.unwrap();
    assert_eq!(bench.closed().await, flow);
}

#[tokio::test]
async fn frames_are_whole_wherever_the_stream_is_cut_and_fragments_are_joined() {
    let mut bench = Bench::new();
    let addr = bench.listen(Transport::Ws, "127.0.84.8:0");
    let socket = browser(addr, Some("sip")).await.unwrap();
    let flow = bench.opened().await;
    let mut stream = socket.into_inner();
    let masked = |bytes: &'static [u8], code: Data, last: bool| {
        let mut frame = Frame::message(Bytes::from_static(bytes), OpCode::Data(code), last);
        frame.header_mut().mask = Some([1, 2, 3, 4]);
        let mut out = Vec::new();
        frame.format(&mut out).unwrap();
        out
    };
    let whole = masked(OPTIONS, Data::Text, true);
    for cut in 1..whole.len() {
        stream.write_all(&whole[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&whole[cut..]).await.unwrap();
        assert_eq!(
            bench.message().await,
            (flow, Bytes::from_static(OPTIONS)),
            "cut at {cut}"
        );
    }
    for byte in &whole {
        stream.write_all(std::slice::from_ref(byte)).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.message().await.1, OPTIONS);
    for cut in 1..OPTIONS.len() {
        let (first, rest) = OPTIONS.split_at(cut);
        stream.write_all(&masked(first, Data::Text, false)).await.unwrap();
        stream.write_all(&masked(rest, Data::Continue, true)).await.unwrap();
        assert_eq!(
            bench.message().await.1,
            OPTIONS,
            "in two fragments of {cut} and the rest"
        );
    }
    // RFC 6455 5.1: a client masks; one that does not is closed, and so is one whose message has no end.
    let mut bare = whole.clone();
    bare[1] &= 0x7f;
    stream.write_all(&bare).await.unwrap();
    assert_eq!(bench.closed().await, flow);
    let mut socket = browser(addr, Some("sip")).await.unwrap();
    let flow = bench.opened().await;
    let _ = socket
        .send(Message::text("x".repeat(limits::SIP_MESSAGE_BYTES + 1)))
        .await;
    assert_eq!(bench.closed().await, flow);
}

#[tokio::test]
async fn a_websocket_that_drips_is_closed_and_one_that_is_only_quiet_is_not() {
    let mut bench = Bench::impatient(|patience| patience.message = Duration::from_millis(300));
    let addr = bench.listen(Transport::Ws, "127.0.84.9:0");
    let quiet = browser(addr, Some("sip")).await.unwrap();
    let stays = bench.opened().await;
    let socket = browser(addr, Some("sip")).await.unwrap();
    let flow = bench.opened().await;
    let mut stream = socket.into_inner();
    let mut drip = tokio::time::interval(Duration::from_millis(20));
    // A masked text frame of 200 octets that never ends.
    let mut octets = [0x81u8, 0xfe, 0, 200, 0, 0, 0, 0]
        .into_iter()
        .chain(std::iter::repeat(b'x'));
    let mut sent = 0;
    let gone = loop {
        tokio::select! {
            gone = bench.closed() => break gone,
            _ = drip.tick() => {
                let _ = stream.write_all(&[octets.next().expect("endless")]).await;
                sent += 1;
                assert!(sent < 150, "it is never closed");
            }
        }
    };
    assert_eq!(gone, flow);
    assert!(bench.net.send(stays, Bytes::from_static(b"still there")));
    drop(quiet);
}

#[tokio::test]
async fn a_browser_comes_by_wss_and_nobody_connects_to_browsers() {
    let paper = Paper::new("wss");
    let config = paper.config("domains: [ edge.example ]\n");
    let mut bench = Bench::new();
    // None is named, so the node makes its own, for its domain, once.
    let (keys, made) = Keys::load(&config, &paper.folder.join("t.db"), now()).unwrap();
    let told = made.expect("a certificate").keep().unwrap();
    assert!(told.contains("tls-certificate.pem"));
    let again = Keys::load(&config, &paper.folder.join("t.db"), now()).unwrap().1;
    assert!(again.is_none());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(paper.file("tls-key.pem")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    bench.net.set_keys(keys);
    fs::copy(paper.file("tls-certificate.pem"), paper.file("ca.pem")).unwrap();
    let addr = bench.listen(Transport::Wss, "127.0.84.10:0");
    let stream = paper.shake(addr, "edge.example").await.unwrap();
    let mut request = format!("wss://{addr}/").into_client_request().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let flow = bench.opened().await;
    socket.send(Message::Binary(Bytes::from_static(OPTIONS))).await.unwrap();
    assert_eq!(bench.message().await, (flow, Bytes::from_static(OPTIONS)));
    let browser = Target::new(Transport::Wss, flow.peer);
    assert_eq!(
        bench.net.connect(Ticket(1), browser),
        Some(Ok(flow)),
        "its own connection"
    );
    let nobody = Target::new(Transport::Wss, "127.0.84.11:443".parse().unwrap());
    assert_eq!(bench.net.connect(Ticket(2), nobody), Some(Err(())));
}

#[test]
fn what_cannot_be_read_is_said_with_its_file() {
    let paper = Paper::new("bad");
    paper.sign("one", &["one.example"]);
    paper.sign("two", &["two.example"]);
    let load = |certificate: &str, key: &str| {
        let (certificate, key) = (paper.file(certificate), paper.file(key));
        let config = paper.config(&format!("tls: {{ certificate: {certificate}, key: {key} }}\n"));
        Keys::load(&config, &paper.folder.join("t.db"), Wall(0)).unwrap_err()
    };
    assert!(load("none.pem", "one.key").contains("none.pem cannot be read"));
    assert!(load("one.key", "one.key").contains("there is no certificate in"));
    assert!(load("one.pem", "one.pem").contains("there is no private key that can be read in"));
    assert!(load("one.pem", "two.key").contains("two.key is not that of the certificate in "));
}

/// Who comes to TURN by TLS names the address that he sees.
#[test]
fn the_own_certificate_is_for_the_addresses_of_turn_too() {
    let yaml = "listen: [ \"udp://192.0.2.1:5060\" ]\ndomains: [ example.com ]\nturn: { listen: [ \"tls://192.0.2.7\" ], secret: north, external: [ \
                203.0.113.9 ] }\n";
    let config = crate::config::parse("test", yaml, &Sources::NONE).unwrap();
    let names = super::tls::own_params(&config, now()).subject_alt_names;
    for ip in ["192.0.2.7", "203.0.113.9"] {
        let ip = ip.parse().unwrap();
        assert!(names.contains(&rcgen::SanType::IpAddress(ip)), "{ip}: {names:?}");
    }
}
