//! The media of a browser: ICE (RFC 8445), DTLS from either side (RFC 5764) and SRTP of another implementation than Tandem's.

use crate::media::sdp::Keys;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::BytesMut;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tandem::stun::integrity::{Key, Seal};
use tandem::stun::message::{BINDING, Class, Message, Writer, kind};

/// What the system holds of one browser until it is looked at, in octets.
const ROOM: usize = 1 << 20;
/// All must have their keys by then.
const PATIENCE: Duration = Duration::from_secs(30);
/// A check is sent so often until it is answered.
const REPEAT: Duration = Duration::from_millis(50);
/// Octets of a datagram.
pub const DATAGRAM: usize = 2_048;

/// One certificate for all: that many people come from one machine is not what is measured.
static CERTIFICATE: LazyLock<DtlsCertificate> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().expect("a key");
    let signed = rcgen::CertificateParams::default().self_signed(&key);
    DtlsCertificate {
        certificate: signed.expect("a certificate").der().to_vec(),
        private_key: key.serialize_der(),
    }
});

/// Who speaks for a side of ICE.
struct Credentials {
    ufrag: String,
    pwd: String,
}

/// What is known of the other side once it has described itself.
struct Peer {
    at: SocketAddrV4,
    credentials: Credentials,
    /// The certificate that it has described.
    fingerprint: String,
    /// DTLS begins here, not there.
    is_client: bool,
    /// We are the controlling side.
    controls: bool,
}

/// One of them.
pub struct Browser {
    pub socket: UdpSocket,
    at: SocketAddrV4,
    ours: Credentials,
    peer: Option<Peer>,
    dtls: Option<Dtls>,
    /// A check was answered.
    reached: bool,
    checked: Option<Instant>,
    keys: Option<Keys>,
    pub profile: Option<SrtpProfile>,
    transaction: u64,
}

/// What came.
pub enum Came {
    /// RTP, opened.
    Media(BytesMut),
    /// RTCP, opened.
    Report(BytesMut),
    /// STUN or DTLS, which has been seen to.
    Control,
    /// What looks like media, but is not the peer's.
    Forged,
}

impl Browser {
    /// On a port of its own of this host.
    pub fn new(host: Ipv4Addr, number: usize) -> Result<Browser, String> {
        let told = |error: io::Error| format!("a socket of a browser: {error}");
        let socket = UdpSocket::bind((host, 0)).map_err(told)?;
        socket.set_nonblocking(true).map_err(told)?;
        // Who is not root has what the system grants.
        if setsockopt(socket.as_raw_fd(), RcvBufForce, &ROOM).is_err() {
            socket2::SockRef::from(&socket)
                .set_recv_buffer_size(ROOM)
                .map_err(told)?;
        }
        setsockopt(socket.as_raw_fd(), ReceiveTimestampns, &true).map_err(|error| error.to_string())?;
        let port = socket.local_addr().map_err(told)?.port();
        Ok(Browser {
            socket,
            at: SocketAddrV4::new(host, port),
            ours: Credentials {
                ufrag: format!("bench{number}"),
                pwd: format!("passwordOfBrowser{number:08}"),
            },
            peer: None,
            dtls: None,
            reached: false,
            checked: None,
            keys: None,
            profile: None,
            transaction: 0,
        })
    }

    /// Where it is.
    pub fn place(&self) -> SocketAddrV4 {
        self.at
    }

    /// What it says of its transport in a description.
    pub fn transport(&self, setup: &str) -> String {
        let (ip, port) = (self.at.ip(), self.at.port());
        format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=rtcp-mux\r\n\
             a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n",
            self.ours.ufrag,
            self.ours.pwd,
            fingerprint(&CERTIFICATE.certificate)
        )
    }

    /// The other side has described itself; `offered`: after we had.
    pub fn described(&mut self, description: &str, offered: bool) -> Result<(), String> {
        let word = |name: &str| {
            let start = format!("a={name}:");
            let found = description.lines().find_map(|line| line.strip_prefix(start.as_str()));
            found
                .map(|value| value.trim().to_owned())
                .ok_or_else(|| format!("no a={name} in the description:\n{description}"))
        };
        let fingerprint = word("fingerprint")?;
        let setup = word("setup")?;
        self.peer = Some(Peer {
            at: candidate(description)
                .ok_or_else(|| format!("no candidate by UDP in the description:\n{description}"))?,
            credentials: Credentials {
                ufrag: word("ice-ufrag")?,
                pwd: word("ice-pwd")?,
            },
            fingerprint: fingerprint
                .strip_prefix("sha-256 ")
                .ok_or("a fingerprint that is not of SHA-256")?
                .to_owned(),
            // We answer that we are active, and are what the answer leaves us where we have offered.
            is_client: !offered || setup == "passive",
            controls: offered || description.contains("a=ice-lite"),
        });
        Ok(())
    }

    /// What the other side says of itself is known.
    pub fn is_described(&self) -> bool {
        self.peer.is_some()
    }

    /// It has keys.
    pub fn is_keyed(&self) -> bool {
        self.keys.is_some()
    }

    /// What is due of its set-up.
    pub fn step(&mut self) -> Result<(), String> {
        let begins = self.peer.as_ref().is_some_and(|peer| peer.is_client) && self.reached;
        if !self.reached && self.checked.is_none_or(|at| at.elapsed() > REPEAT) {
            self.check();
        }
        if self.dtls.is_some() || begins {
            self.dtls(None)?;
        }
        Ok(())
    }

    /// Takes all that has come while it is set up; nothing of it is looked at but what belongs to that.
    pub fn set_up(&mut self) -> Result<(), String> {
        let mut buffer = [0; DATAGRAM];
        self.step()?;
        while let Ok(length) = self.socket.recv(&mut buffer) {
            match buffer[0] {
                0..=3 => self.stun(&buffer[..length]),
                20..=63 => self.dtls(Some(&buffer[..length]))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes a datagram.
    pub fn take(&mut self, datagram: &[u8]) -> Came {
        match datagram.first() {
            Some(0..=3) => {
                self.stun(datagram);
                Came::Control
            }
            Some(20..=63) => {
                // What is repeated of a handshake, or an alert.
                match self.dtls(Some(datagram)) {
                    Ok(()) => Came::Control,
                    Err(_) => Came::Forged,
                }
            }
            // RFC 5761 4.
            Some(128..=191) => {
                let is_report = datagram.get(1).is_some_and(|octet| (192..=223).contains(octet));
                let Some(keys) = &mut self.keys else {
                    return Came::Forged;
                };
                let opened = if is_report {
                    keys.opens.decrypt_rtcp(datagram).map(Came::Report)
                } else {
                    keys.opens.decrypt_rtp(datagram).map(Came::Media)
                };
                opened.unwrap_or(Came::Forged)
            }
            Some(_) | None => Came::Forged,
        }
    }

    /// Sends a packet of RTP, sealed; false where it could not be sent.
    pub fn send(&mut self, packet: &[u8]) -> bool {
        let sealed = self.keys.as_mut().and_then(|keys| keys.seals.encrypt_rtp(packet).ok());
        sealed.is_some_and(|sealed| self.put(&sealed))
    }

    /// The same of RTCP.
    pub fn report(&mut self, packet: &[u8]) -> bool {
        let sealed = self.keys.as_mut().and_then(|keys| keys.seals.encrypt_rtcp(packet).ok());
        sealed.is_some_and(|sealed| self.put(&sealed))
    }

    fn put(&self, octets: &[u8]) -> bool {
        let to = self.peer.as_ref().map(|peer| peer.at);
        to.is_some_and(|to| self.socket.send_to(octets, to).is_ok())
    }

    /// A check (RFC 8445 7.2.2), which is consent later (RFC 7675).
    pub fn check(&mut self) {
        self.checked = Some(Instant::now());
        self.transaction += 1;
        let Some(peer) = &self.peer else { return };
        let mut transaction = [0x5a; 12];
        transaction[..8].copy_from_slice(&self.transaction.to_be_bytes());
        let mut check = Writer::new(Class::Request, BINDING, transaction);
        let name = format!("{}:{}", peer.credentials.ufrag, self.ours.ufrag);
        check.attribute(kind::USERNAME, name.as_bytes());
        check.attribute(kind::PRIORITY, &1_845_501_695u32.to_be_bytes());
        if peer.controls {
            check.attribute(kind::ICE_CONTROLLING, &[0xff; 8]);
            check.attribute(kind::USE_CANDIDATE, &[]);
        } else {
            check.attribute(kind::ICE_CONTROLLED, &[1; 8]);
        }
        check.seal(Seal::Sha1, &Key::short_term(&peer.credentials.pwd));
        check.fingerprint();
        self.put(&check.finish());
    }

    fn stun(&mut self, datagram: &[u8]) {
        let (Some(message), Some(peer)) = (Message::parse(datagram), &self.peer) else {
            return;
        };
        match message.class {
            Class::Request => {
                let key = Key::short_term(&self.ours.pwd);
                if message.is_sealed(Seal::Sha1, &key) != Some(true) {
                    return;
                }
                let mut answer = Writer::new(Class::Success, BINDING, message.transaction);
                answer.xor_mapped_address(SocketAddr::V4(peer.at));
                answer.seal(Seal::Sha1, &key);
                answer.fingerprint();
                self.put(&answer.finish());
            }
            Class::Success => {
                let key = Key::short_term(&peer.credentials.pwd);
                self.reached |= message.is_sealed(Seal::Sha1, &key) == Some(true);
            }
            Class::Error | Class::Indication => {}
        }
    }

    fn dtls(&mut self, datagram: Option<&[u8]>) -> Result<(), String> {
        let now = Instant::now();
        let Some(peer) = &self.peer else { return Ok(()) };
        let is_client = peer.is_client;
        let dtls = self.dtls.get_or_insert_with(|| {
            let mut dtls = Dtls::new_auto(Arc::new(Config::default()), CERTIFICATE.clone(), now);
            dtls.set_active(is_client);
            dtls
        });
        let taken = dtls
            .handle_timeout(now)
            .and_then(|()| datagram.map_or(Ok(()), |datagram| dtls.handle_packet(datagram)));
        let (mut buffer, mut material) = ([0; 4_096], None);
        loop {
            match dtls.poll_output(&mut buffer) {
                // A datagram that is lost is repeated.
                Output::Packet(packet) => drop(self.socket.send_to(packet, peer.at)),
                Output::PeerCert(certificate) if fingerprint(certificate) != peer.fingerprint => {
                    return Err("the program shows another certificate than it has described".to_owned());
                }
                Output::KeyingMaterial(own, profile) => material = Some((own.to_vec(), profile)),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        if let Some((material, profile)) = material {
            self.keys = Some(keys(&material, profile, is_client)?);
            self.profile = Some(profile);
        }
        taken.map_err(|error| format!("DTLS: {error}"))
    }
}

/// Has all of them set up, side by side.
pub fn set_up(browsers: &mut [Browser]) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        for browser in browsers.iter_mut() {
            browser.set_up()?;
        }
        let keyed = browsers.iter().filter(|browser| browser.is_keyed()).count();
        if keyed == browsers.len() {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            let reached = browsers.iter().filter(|browser| browser.reached).count();
            return Err(format!(
                "{reached} of {} browsers were answered, {keyed} have keys",
                browsers.len()
            ));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The first candidate by UDP on IPv4, else the place in the description itself.
fn candidate(description: &str) -> Option<SocketAddrV4> {
    let candidates = description.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    let mut places = candidates.filter_map(|candidate| {
        let words: Vec<&str> = candidate.split_whitespace().collect();
        let is_udp = words.get(2)?.eq_ignore_ascii_case("udp");
        let at = SocketAddrV4::new(words.get(4)?.parse().ok()?, words.get(5)?.parse().ok()?);
        is_udp.then_some(at)
    });
    places.next()
}

/// As `a=fingerprint` has it.
fn fingerprint(certificate: &[u8]) -> String {
    let mut text = String::new();
    for octet in digest(&SHA256, certificate).as_ref() {
        let colon = if text.is_empty() { "" } else { ":" };
        // It cannot fail: a `String` grows.
        let _ = write!(text, "{colon}{octet:02X}");
    }
    text
}

/// What seals and opens (RFC 5764 4.2).
fn keys(material: &[u8], profile: SrtpProfile, is_client: bool) -> Result<Keys, String> {
    let told = |error: &dyn std::fmt::Display| format!("SRTP: {error}");
    let (key, salt, profile) = match profile {
        SrtpProfile::AEAD_AES_256_GCM => (32, 12, ProtectionProfile::AeadAes256Gcm),
        SrtpProfile::AEAD_AES_128_GCM => (16, 12, ProtectionProfile::AeadAes128Gcm),
        _ => (16, 14, ProtectionProfile::Aes128CmHmacSha1_80),
    };
    let provider = rtc_crypto::default_provider().map_err(|error| told(&error))?;
    let (keys, salts) = material.split_at(2 * key);
    let of = |nth: usize| {
        let (key, salt) = (&keys[nth * key..(nth + 1) * key], &salts[nth * salt..(nth + 1) * salt]);
        Context::new(key, salt, profile, None, None, provider.crypto()).map_err(|error| told(&error))
    };
    let (client, server) = (of(0)?, of(1)?);
    let (seals, opens) = if is_client { (client, server) } else { (server, client) };
    Ok(Keys { seals, opens })
}
