//! Certificates of those who come, and ours where we go (RFC 5922), against clients and servers that are not ours.

use super::tests::{Bench, OPTIONS, SOON};
use super::tests_secure::Paper;
use super::{Keys, NetEvent};
use crate::config::Config;
use crate::id::{Flow, Identity, Target, Ticket, Transport};
use bytes::Bytes;
use rcgen::{ExtendedKeyUsagePurpose as Usage, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion, version};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn pair(paper: &Paper, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (
        vec![CertificateDer::from_pem_file(paper.file(&format!("{name}.pem"))).unwrap()],
        PrivateKeyDer::from_pem_file(paper.file(&format!("{name}.key"))).unwrap(),
    )
}

/// A client that trusts `server` and shows this certificate to whoever asks.
async fn come(
    to: SocketAddr,
    server: &Paper,
    shown: Option<(&Paper, &str)>,
    version: &'static SupportedProtocolVersion,
) -> io::Result<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(server.roots());
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some((paper, name)) => {
            let (chain, key) = pair(paper, name);
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("own.example").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    // Under TLS 1.3 a client hears that it is refused only when it is done.
    stream.write_all(OPTIONS).await?;
    stream.flush().await?;
    Ok(stream)
}

impl Bench {
    /// Who came: what is told of him before his first message.
    async fn comer(&mut self) -> (Flow, Option<Identity>) {
        let flow = self.opened().await;
        let (shown, message) = match self.event().await {
            NetEvent::Identified(of, identity) => {
                assert_eq!(of, flow);
                (Some(identity), self.event().await)
            }
            other => (None, other),
        };
        assert!(matches!(message, NetEvent::Message(of, _) if of == flow), "{message:?}");
        (flow, shown)
    }

    fn not_vouched(&self) -> u64 {
        self.net.counters().not_vouched.load(Ordering::Relaxed)
    }
}

/// A node whose certificate is `own`, with two carriers that have CAs of their own.
fn carriers(own: &Paper, acme: &Paper, bcme: &Paper, tls: &str) -> Config {
    let trunk = |name: &str, paper: &Paper| {
        let ca = paper.file("ca.pem");
        format!(
            "{{ name: {name}, accept_from: [], peers: [ \"sips:sbc.{name}.example\" ], tls: {{ ca: {ca}, accept: [ sbc.{name}.example ] }} }}"
        )
    };
    own.sign("own", &["own.example"]);
    own.config(&format!(
        "tls: {{ certificate: {}, key: {}{tls} }}\ntrunks: [ {}, {} ]\n",
        own.file("own.pem"),
        own.file("own.key"),
        trunk("acme", acme),
        trunk("bcme", bcme)
    ))
}

fn year(params: &mut rcgen::CertificateParams, end: i32) {
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(end, 1, 1);
}

#[tokio::test]
async fn who_comes_is_whom_a_certificate_names_and_a_ca_of_ours_vouches_for() {
    let (own, acme, bcme, stranger) = (
        Paper::new("m-own"),
        Paper::new("m-acme"),
        Paper::new("m-bcme"),
        Paper::new("m-stranger"),
    );
    let usage = |usages: &[Usage]| {
        let usages = usages.to_vec();
        move |params: &mut rcgen::CertificateParams| params.extended_key_usages = usages
    };
    for paper in [&acme, &stranger] {
        paper.sign("any", &["sbc.acme.example"]);
    }
    acme.sign_as(
        "both",
        &["sbc.acme.example"],
        usage(&[Usage::ServerAuth, Usage::ClientAuth]),
    );
    // Public CAs sign no others for servers from 2026 on, and carriers come with them.
    acme.sign_as("server", &["sbc.acme.example"], usage(&[Usage::ServerAuth]));
    acme.sign_as("client", &["sbc.acme.example"], usage(&[Usage::ClientAuth]));
    acme.sign_as("code", &["sbc.acme.example"], usage(&[Usage::CodeSigning]));
    acme.sign_as("ended", &["sbc.acme.example"], |params| year(params, 2002));
    acme.sign_as("uri", &["dns.example"], |params| {
        let uri = SanType::URI("sip:sbc.acme.example".try_into().unwrap());
        params.subject_alt_names.push(uri);
    });
    bcme.sign("any", &["sbc.acme.example"]);
    let mut bench = Bench::new();
    bench.net.set_keys(own.keys(&carriers(&own, &acme, &bcme, "")));
    let addr = bench.listen(Transport::Tls, "127.0.84.20:0");
    let by = |paper: &Paper| vec![Some(PathBuf::from(paper.file("ca.pem")))];
    for version in [&version::TLS12, &version::TLS13] {
        for (shown, vouched) in [
            (None, None),
            (Some((&acme, "any")), Some(by(&acme))),
            (Some((&acme, "both")), Some(by(&acme))),
            (Some((&acme, "server")), Some(by(&acme))),
            (Some((&acme, "client")), Some(by(&acme))),
            (Some((&acme, "uri")), Some(by(&acme))),
            // The name is right, and it is told whose CA says so.
            (Some((&bcme, "any")), Some(by(&bcme))),
            (Some((&acme, "code")), None),
            (Some((&acme, "ended")), None),
            (Some((&stranger, "any")), None),
        ] {
            let before = bench.not_vouched();
            let stream = come(addr, &own, shown, version).await.expect("nobody is refused");
            let (_, told) = bench.comer().await;
            let what = shown.map(|(_, name)| name);
            assert_eq!(told.as_ref().map(|told| &told.by), vouched.as_ref(), "{what:?}");
            let names = told.map_or(Vec::new(), |told| told.names);
            assert_eq!(
                names.iter().any(|name| **name == *"sbc.acme.example"),
                vouched.is_some()
            );
            let counted = bench.not_vouched() - before;
            assert_eq!(counted == 1, shown.is_some() && vouched.is_none(), "{what:?} {counted}");
            drop(stream);
            bench.closed().await;
        }
    }
}

#[tokio::test]
async fn where_a_certificate_is_required_others_are_refused_and_browsers_are_not_asked() {
    let (own, acme, partners, stranger) = (
        Paper::new("r-own"),
        Paper::new("r-acme"),
        Paper::new("r-partners"),
        Paper::new("r-stranger"),
    );
    for paper in [&acme, &partners, &stranger] {
        paper.sign("any", &["sbc.acme.example"]);
    }
    let mut bench = Bench::new();
    let tls = format!(", client_ca: {}, client_required: yes", partners.file("ca.pem"));
    bench.net.set_keys(own.keys(&carriers(&own, &acme, &acme, &tls)));
    let addr = bench.listen(Transport::Tls, "127.0.84.21:0");
    for version in [&version::TLS12, &version::TLS13] {
        for paper in [&acme, &partners] {
            let _stream = come(addr, &own, Some((paper, "any")), version)
                .await
                .expect("it is vouched for");
            assert!(bench.comer().await.1.is_some());
            bench.closed_or(|| drop(_stream)).await;
        }
        for shown in [None, Some((&stranger, "any"))] {
            let failed = bench.net.counters().handshakes_failed.load(Ordering::Relaxed);
            if let Ok(mut stream) = come(addr, &own, shown, version).await {
                let read = timeout(SOON, stream.read(&mut [0; 8])).await.expect("it is closed");
                assert!(matches!(read, Ok(0) | Err(_)));
            }
            while bench.net.counters().handshakes_failed.load(Ordering::Relaxed) == failed {
                tokio::task::yield_now().await;
            }
        }
    }
    let wss = bench.listen(Transport::Wss, "127.0.84.21:0");
    let stream = TcpStream::connect(wss).await.unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(own.roots())
        .with_client_cert_resolver(Arc::new(Asked));
    let name = ServerName::try_from("own.example").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
}

/// Fails the test when a certificate is asked for.
#[derive(Debug)]
struct Asked;

impl rustls::client::ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        panic!("a browser is asked for a certificate")
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Bench {
    async fn closed_or(&mut self, end: impl FnOnce()) {
        end();
        self.closed().await;
    }
}

/// A carrier that lets in only whom this CA has signed.
fn picky(carrier: &Paper, ca: &Paper) -> TlsAcceptor {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider());
    let (chain, key) = pair(carrier, "sbc");
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Which certificate a carrier sees of us, if it lets us in.
async fn seen(keys: Keys, acceptor: TlsAcceptor) -> Option<Vec<u8>> {
    let mut bench = Bench::new();
    bench.net.set_keys(keys);
    bench.listen(Transport::Tls, "127.0.84.22:0");
    let listener = TcpListener::bind("127.0.84.23:0").await.unwrap();
    let target = Target {
        name: Some("sbc.acme.example".into()),
        ..Target::new(Transport::Tls, listener.local_addr().unwrap())
    };
    assert_eq!(bench.net.connect(Ticket(1), target), None);
    let (stream, _) = listener.accept().await.unwrap();
    let (accepted, _) = tokio::join!(acceptor.accept(stream), bench.event());
    let chain = accepted.ok()?.get_ref().1.peer_certificates()?[0].to_vec();
    Some(chain)
}

#[tokio::test]
async fn a_carrier_sees_who_we_are_to_it_or_who_we_are_to_all() {
    let (own, carrier) = (Paper::new("c-own"), Paper::new("c-carrier"));
    own.sign("own", &["own.example"]);
    own.sign("at-acme", &["us.acme.example"]);
    carrier.sign("sbc", &["sbc.acme.example"]);
    let file = |name: &str| own.file(name);
    let all = format!(
        "tls: {{ certificate: {}, key: {} }}\n",
        file("own.pem"),
        file("own.key")
    );
    let to_it = format!(", certificate: {}, key: {}", file("at-acme.pem"), file("at-acme.key"));
    for (all, to_it, shown) in [
        (all.as_str(), to_it.as_str(), Some("at-acme")),
        ("", &to_it, Some("at-acme")),
        (&all, "", Some("own")),
        ("", "", None),
    ] {
        let config = own.config(&format!(
            "{all}trunks: [ {{ name: acme, accept_from: [], peers: [ \"sips:sbc.acme.example\" ], tls: {{ ca: {}{to_it} }} }} ]\n",
            carrier.file("ca.pem")
        ));
        let shown = shown.map(|name| pair(&own, name).0[0].to_vec());
        assert_eq!(seen(own.keys(&config), picky(&carrier, &own)).await, shown);
    }
}

#[tokio::test]
async fn a_carrier_may_be_named_by_a_sip_uri_and_not_by_that_of_a_user() {
    let (own, carrier) = (Paper::new("u-own"), Paper::new("u-carrier"));
    own.sign("own", &["own.example"]);
    for (uri, fits) in [
        ("sip:sbc.acme.example", true),
        ("SIP:SBC.acme.example;transport=tls", true),
        ("sip:alice@sbc.acme.example", false),
        ("https://sbc.acme.example", false),
        ("sip:acme.example", false),
    ] {
        carrier.sign_as("sbc", &[], |params| {
            params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        });
        let (certificate, key) = (own.file("own.pem"), own.file("own.key"));
        let config = own.config(&format!(
            "tls: {{ certificate: {certificate}, key: {key} }}\ntrunks: [ {{ name: acme, accept_from: [], \
             peers: [ \"sips:sbc.acme.example\" ], tls: {{ ca: {} }} }} ]\n",
            carrier.file("ca.pem")
        ));
        let seen = seen(own.keys(&config), picky(&carrier, &own)).await;
        assert_eq!(seen.is_some(), fits, "{uri}");
    }
}

/// RFC 5923 8.2: as long as the connection is there; then a new one is opened.
#[tokio::test]
async fn an_alias_leads_to_a_connection_while_it_is_there() {
    let (own, acme) = (Paper::new("a-own"), Paper::new("a-acme"));
    acme.sign("any", &["sbc.acme.example"]);
    let mut bench = Bench::new();
    bench.net.set_keys(own.keys(&carriers(&own, &acme, &acme, "")));
    let addr = bench.listen(Transport::Tls, "127.0.84.24:0");
    let listener = TcpListener::bind("127.0.84.25:0").await.unwrap();
    let target = Target {
        name: Some("sbc.acme.example".into()),
        ..Target::new(Transport::Tls, listener.local_addr().unwrap())
    };
    let mut first = come(addr, &own, Some((&acme, "any")), &version::TLS13).await.unwrap();
    let (old, _) = bench.comer().await;
    bench.net.alias(old, target.clone());
    assert_eq!(bench.net.connect(Ticket(1), target.clone()), Some(Ok(old)));
    // The newest is the one that its peer has for us.
    let second = come(addr, &own, Some((&acme, "any")), &version::TLS13).await.unwrap();
    let (new, _) = bench.comer().await;
    bench.net.alias(new, target.clone());
    assert_eq!(bench.net.connect(Ticket(2), target.clone()), Some(Ok(new)));
    drop(second);
    assert_eq!(bench.closed().await, new);
    assert!(!bench.net.by_peer.contains_key(&target));
    assert!(
        bench.net.send(old, Bytes::from_static(b"back")),
        "the old one still works"
    );
    let mut back = [0; 4];
    timeout(SOON, first.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(bench.net.connect(Ticket(3), target), None, "a new one is opened");
    timeout(SOON, listener.accept()).await.expect("somebody comes").unwrap();
    drop(first);
}

/// Ours for one carrier ends as surely as the one for all.
#[test]
fn a_certificate_for_a_carrier_that_ends_soon_is_warned_of() {
    let own = Paper::new("e-own");
    own.sign("own", &["own.example"]);
    own.sign_as("at-acme", &["us.acme.example"], |params| year(params, 2002));
    let file = |name: &str| own.file(name);
    let config = own.config(&format!(
        "tls: {{ certificate: {}, key: {} }}\ntrunks: [ {{ name: acme, accept_from: [], peers: [ \"sips:sbc.acme.example\" ], \
         tls: {{ certificate: {}, key: {} }} }} ]\n",
        file("own.pem"),
        file("own.key"),
        file("at-acme.pem"),
        file("at-acme.key")
    ));
    let keys = own.keys(&config);
    let day = |year: u64| crate::time::Wall((year - 1970) * 31_557_600_000);
    let warned = keys.warnings(day(2001) + std::time::Duration::from_secs(360 * 86_400));
    assert!(
        warned.len() == 1 && warned[0].contains("at-acme.pem ends on"),
        "{warned:?}"
    );
    assert!(keys.warnings(day(2003))[0].contains("at-acme.pem ended on"));
}

/// Large carriers still offer TLS 1.2, and of its suites those with ECDHE and RSA.
#[tokio::test]
async fn a_carrier_with_tls_1_2_and_rsa_finds_its_suite() {
    let own = Paper::new("s-own");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(vec!["own.example".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &own.ca).unwrap();
    std::fs::write(own.file("rsa.pem"), certificate.pem()).unwrap();
    std::fs::write(own.file("rsa.key"), key.serialize_pem()).unwrap();
    let mut bench = Bench::new();
    bench.net.set_keys(own.keys(&own.with_own("rsa")));
    let addr = bench.listen(Transport::Tls, "127.0.84.26:0");
    for suite in [
        rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ] {
        let mut only = rustls::crypto::aws_lc_rs::default_provider();
        only.cipher_suites.retain(|offered| offered.suite() == suite);
        let config = ClientConfig::builder_with_provider(Arc::new(only))
            .with_protocol_versions(&[&version::TLS12])
            .unwrap()
            .with_root_certificates(own.roots())
            .with_no_client_auth();
        let stream = TcpStream::connect(addr).await.unwrap();
        let name = ServerName::try_from("own.example").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.negotiated_cipher_suite().unwrap().suite(), suite);
        bench.opened().await;
        drop(stream);
        bench.closed().await;
    }
}
