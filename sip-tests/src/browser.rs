//! The media of a browser as a peer: ICE as the full agent that controls (RFC 8445), DTLS from either side (RFC 5764), SRTP of another
//! implementation than the node's. What it sends beside media it gives to whoever keeps its time.

use crate::description::Description;
use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tandem::time::Instant;

/// A check is sent with every so many steps once there was an answer: of 20 ms, that is one each half second.
const CONSENT: u32 = 25;
/// RFC 8489 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const CONTROLLING: u16 = 0x802a;

/// The moment at which the virtual clock was zero, for who counts in moments of the system.
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "DTLS of this crate counts by it"
)]
static EPOCH: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// A certificate and one that nobody has heard of.
static CERTIFICATES: LazyLock<[DtlsCertificate; 2]> = LazyLock::new(|| [certificate(), certificate()]);

fn certificate() -> DtlsCertificate {
    let key = rcgen::KeyPair::generate().expect("a key");
    let signed = rcgen::CertificateParams::default()
        .self_signed(&key)
        .expect("a certificate");
    DtlsCertificate {
        certificate: signed.der().to_vec(),
        private_key: key.serialize_der(),
    }
}

/// The moment for the node's side, and a certificate for it.
pub fn node_identity() -> tandem::rtc::Identity {
    static IDENTITY: LazyLock<tandem::rtc::Identity> = LazyLock::new(|| {
        let own = certificate();
        tandem::rtc::Identity::new(&own.certificate, &own.private_key, *EPOCH).expect("DTLS can be used")
    });
    IDENTITY.clone()
}

/// How a browser behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Its `a=setup` in answers: `active` or `passive`. Offers say `actpass`.
    pub answers: &'static str,
    /// It shows another certificate than it has described.
    pub lies: bool,
    /// It sends no checks.
    pub is_cut_off: bool,
    /// It begins no handshake.
    pub is_mute: bool,
    /// It is ICE lite, and no browser: it sends no checks, and answers those that come.
    pub is_lite: bool,
    /// Its descriptions do not say where it is, but that it will tell (RFC 8840 4.1).
    pub trickles: bool,
}

impl Default for Manners {
    fn default() -> Manners {
        Manners {
            answers: "active",
            lies: false,
            is_cut_off: false,
            is_mute: false,
            is_lite: false,
            trickles: false,
        }
    }
}

/// What it says of itself. `generation` counts its restarts of ICE.
pub fn lines(name: &str, number: usize, generation: u64, setup: &str) -> Vec<String> {
    lines_of(0, name, number, generation, setup)
}

/// The same with the certificate of a browser that lies, 1, or of one that does not, 0.
pub fn lines_of(certificate: usize, name: &str, number: usize, generation: u64, setup: &str) -> Vec<String> {
    let (ufrag, pwd) = credentials(name, number, generation);
    vec![
        "a=mid:audio0".into(),
        "a=rtcp-mux".into(),
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level".into(),
        "a=rtcp-fb:111 transport-cc".into(),
        "a=candidate:1 1 udp 2113937151 5d5d5f0c-3b5e-4a2b-8f3d-0a0b0c0d0e0f.local 40000 typ host".into(),
        format!("a=ice-ufrag:{ufrag}"),
        format!("a=ice-pwd:{pwd}"),
        "a=ice-options:trickle".into(),
        format!(
            "a=fingerprint:sha-256 {}",
            fingerprint(&CERTIFICATES[certificate].certificate)
        ),
        format!("a=setup:{setup}"),
        "a=ssrc:4711 cname:browser".into(),
    ]
}

/// Completes a description by these lines of [`lines`], as the manners are.
pub fn describe(manners: Manners, own: &mut Description, mut lines: Vec<String>) {
    let is_said = |manners: Manners| !manners.is_lite && !manners.trickles;
    lines.retain(|line| is_said(manners) || !line.starts_with("a=candidate:"));
    own.head.clear();
    if manners.is_lite {
        own.head.push("a=ice-lite".into());
        if !manners.trickles {
            let (ip, port) = (own.at.ip(), own.at.port());
            lines.push(format!("a=candidate:1 1 udp 2130706431 {ip} {port} typ host"));
            lines.push("a=end-of-candidates".into());
        }
    }
    own.nowhere = manners.trickles;
    own.lines.extend(lines);
}

/// The lines of an answer: the stream has the name of the offer (RFC 5888 9.2).
pub fn named_as(offer: &Description, mut lines: Vec<String>) -> Vec<String> {
    if let (Some(mid), Some(line)) = (
        said(offer, "mid"),
        lines.iter_mut().find(|line| line.starts_with("a=mid:")),
    ) {
        *line = format!("a=mid:{mid}");
    }
    lines
}

/// The value of an attribute of its audio section.
pub fn word<'d>(description: &'d Description, name: &str) -> &'d str {
    said(description, name).unwrap_or_else(|| panic!("{name} in {description:?}"))
}

/// `a=setup` of the answer to an offer, if that is for a browser (RFC 8842 5.3).
pub fn answer_to(offer: &Description, manners: Option<Manners>) -> Option<&'static str> {
    Some(match said(offer, "setup")? {
        "active" => "passive",
        "passive" => "active",
        _ => manners?.answers,
    })
}

fn credentials(name: &str, number: usize, generation: u64) -> (String, String) {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    (
        format!("u{number}x{generation}{name}"),
        format!("passwordOf{name}x{number:012}x{generation:04}"),
    )
}

fn fingerprint(certificate: &[u8]) -> String {
    let octets = digest::digest(&digest::SHA256, certificate);
    let pairs: Vec<String> = octets.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
    pairs.join(":")
}

/// The value of an attribute of the audio section.
fn said<'d>(description: &'d Description, name: &str) -> Option<&'d str> {
    let start = format!("a={name}:");
    description
        .lines
        .iter()
        .find_map(|line| line.strip_prefix(start.as_str()))
}

/// One connection.
pub struct Browser {
    manners: Manners,
    ours: (String, String),
    theirs: (String, String),
    /// The certificate that the node has described.
    expected: String,
    is_client: bool,
    dtls: Option<Dtls>,
    /// The node has answered a check.
    pub reached: bool,
    /// The errors of STUN that came.
    pub errors: Vec<u16>,
    /// By which profile media is sealed.
    pub profile: Option<SrtpProfile>,
    srtp: Option<(Context, Context)>,
    /// What went wrong with DTLS.
    pub fault: Option<String>,
    steps: u32,
    out: Vec<Bytes>,
}

impl Browser {
    /// By both descriptions, if both are such.
    pub fn new(manners: Manners, ours: &Description, theirs: &Description) -> Option<Browser> {
        let of = |description| {
            let word = |name| said(description, name).map(str::to_owned);
            word("ice-ufrag").zip(word("ice-pwd"))
        };
        let (our_setup, their_setup) = (said(ours, "setup")?, said(theirs, "setup")?);
        Some(Browser {
            manners,
            ours: of(ours)?,
            theirs: of(theirs)?,
            expected: said(theirs, "fingerprint")?.strip_prefix("sha-256 ")?.to_owned(),
            is_client: our_setup == "active" || (our_setup == "actpass" && their_setup == "passive"),
            dtls: None,
            reached: false,
            errors: Vec::new(),
            profile: None,
            srtp: None,
            fault: None,
            steps: 0,
            out: Vec::new(),
        })
    }

    /// Goes on by these: what ICE has begun anew leaves the keys as they are (RFC 8842 5.5).
    pub fn renewed(mut self, ours: &Description, theirs: &Description) -> Option<Browser> {
        let new = Browser::new(self.manners, ours, theirs)?;
        if new.expected != self.expected {
            return Some(new);
        }
        self.reached = self.reached && self.ours == new.ours && self.theirs == new.theirs;
        (self.ours, self.theirs) = (new.ours, new.theirs);
        Some(self)
    }

    /// What goes out now: each 20 ms.
    pub fn step(&mut self, now: Instant) -> Vec<Bytes> {
        if !self.manners.is_cut_off && !self.manners.is_lite && (!self.reached || self.steps.is_multiple_of(CONSENT)) {
            let check = self.check(&self.theirs.1.clone(), true);
            self.out.push(check);
        }
        self.steps += 1;
        let begins = self.reached && self.is_client && !self.manners.is_mute;
        if self.dtls.is_some() || begins {
            self.dtls(now, None);
        }
        std::mem::take(&mut self.out)
    }

    /// A check, sealed by this password.
    pub fn check(&self, pwd: &str, nominates: bool) -> Bytes {
        let mut message = Stun::new(0x0001, [self.steps as u8 | 1; 12]);
        message.add(USERNAME, format!("{}:{}", self.theirs.0, self.ours.0).as_bytes());
        message.add(PRIORITY, &1_845_501_695u32.to_be_bytes());
        message.add(CONTROLLING, &[7; 8]);
        if nominates {
            message.add(USE_CANDIDATE, &[]);
        }
        message.seal(pwd)
    }

    /// A datagram came: what is under its seal, if it is media of the node.
    pub fn take(&mut self, now: Instant, bytes: &[u8], rtcp: bool) -> Option<Bytes> {
        match bytes.first()? {
            0..=3 => {
                if bytes.starts_with(&[0, 1]) {
                    self.asked(bytes);
                } else {
                    self.answered(bytes);
                }
                None
            }
            20..=63 => {
                self.dtls(now, Some(bytes));
                None
            }
            _ => {
                let (_, opens) = self.srtp.as_mut()?;
                let opened = if rtcp {
                    opens.decrypt_rtcp(bytes)
                } else {
                    opens.decrypt_rtp(bytes)
                };
                opened.ok().map(|plain| Bytes::copy_from_slice(&plain))
            }
        }
    }

    /// Media as it goes on the wire; none before there are keys.
    pub fn seal(&mut self, packet: &[u8]) -> Option<Bytes> {
        let (seals, _) = self.srtp.as_mut()?;
        let sealed = seals.encrypt_rtp(packet).expect("a packet of ours");
        Some(Bytes::copy_from_slice(&sealed))
    }

    /// There are keys.
    pub fn is_keyed(&self) -> bool {
        self.srtp.is_some()
    }

    /// A check of the node, which is answered if it is for us (RFC 8445 7.3).
    fn asked(&mut self, bytes: &[u8]) {
        if !is_sealed(bytes, &self.ours.1) || self.manners.is_cut_off {
            return;
        }
        // USE-CANDIDATE has no value.
        self.reached |= self.manners.is_lite && bytes.windows(4).any(|four| four == [0, 0x25, 0, 0]);
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&bytes[8..20]);
        let mut answer = Stun::new(0x0101, transaction);
        // XOR-MAPPED-ADDRESS of 0.0.0.0:0: where the node is, it knows.
        answer.add(0x0020, &[0, 1, 0x21, 0x12, 0x21, 0x12, 0xa4, 0x42]);
        self.out.push(answer.seal(&self.ours.1.clone()));
    }

    fn answered(&mut self, bytes: &[u8]) {
        match bytes.get(..2) {
            Some([0x01, 0x01]) => self.reached |= is_sealed(bytes, &self.theirs.1),
            Some([0x01, 0x11]) => {
                // The value of ERROR-CODE, the first attribute: class and number.
                let (class, number) = (bytes[26], bytes[27]);
                self.errors.push(u16::from(class) * 100 + u16::from(number));
            }
            _ => {}
        }
    }

    fn dtls(&mut self, now: Instant, bytes: Option<&[u8]>) {
        let moment = *EPOCH + Duration::from_nanos(now.as_nanos());
        let (manners, is_client) = (self.manners, self.is_client);
        let dtls = self.dtls.get_or_insert_with(|| {
            let own = CERTIFICATES[usize::from(manners.lies)].clone();
            let config = Arc::new(Config::default());
            let mut dtls = Dtls::new_auto(config, own, moment);
            dtls.set_active(is_client);
            dtls
        });
        let done = dtls
            .handle_timeout(moment)
            .and_then(|()| bytes.map_or(Ok(()), |bytes| dtls.handle_packet(bytes)));
        let mut buffer = vec![0; 16_384];
        let mut material = None;
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.out.push(Bytes::copy_from_slice(packet)),
                Output::PeerCert(certificate) => assert_eq!(fingerprint(certificate), self.expected, "the node lies"),
                Output::KeyingMaterial(own, profile) => material = Some((own.to_vec(), profile)),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        if let Err(error) = done {
            self.fault.get_or_insert(error.to_string());
        }
        if let Some((material, profile)) = material {
            self.srtp = Some(contexts(&material, profile, is_client));
            self.profile = Some(profile);
        }
    }
}

/// What seals and opens (RFC 5764 4.2).
fn contexts(material: &[u8], profile: SrtpProfile, is_client: bool) -> (Context, Context) {
    let (key, salt, profile) = match profile {
        SrtpProfile::AEAD_AES_256_GCM => (32, 12, ProtectionProfile::AeadAes256Gcm),
        SrtpProfile::AEAD_AES_128_GCM => (16, 12, ProtectionProfile::AeadAes128Gcm),
        _ => (16, 14, ProtectionProfile::Aes128CmHmacSha1_80),
    };
    let (keys, salts) = material.split_at(2 * key);
    let provider = rtc_crypto::default_provider().expect("there is one");
    let of = |nth: usize| {
        let (key, salt) = (&keys[nth * key..(nth + 1) * key], &salts[nth * salt..(nth + 1) * salt]);
        Context::new(key, salt, profile, None, None, provider.crypto()).expect("as long as the profile has them")
    };
    let (client, server) = (of(0), of(1));
    if is_client { (client, server) } else { (server, client) }
}

/// A message of STUN, octet by octet.
struct Stun(Vec<u8>);

impl Stun {
    fn new(kind: u16, transaction: [u8; 12]) -> Stun {
        let mut octets = kind.to_be_bytes().to_vec();
        octets.extend([0, 0]);
        octets.extend(COOKIE);
        octets.extend(transaction);
        Stun(octets)
    }

    fn add(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(kind.to_be_bytes());
        self.0.extend((value.len() as u16).to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.count(0);
    }

    fn count(&mut self, more: usize) {
        let length = (self.0.len() - 20 + more) as u16;
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
    }

    fn seal(mut self, pwd: &str) -> Bytes {
        self.count(24);
        let mac = mac(pwd, &self.0);
        self.add(MESSAGE_INTEGRITY, mac.as_ref());
        self.count(8);
        let crc = crc32(&self.0) ^ 0x5354_554e;
        self.add(FINGERPRINT, &crc.to_be_bytes());
        self.0.into()
    }
}

/// A message that was changed, sealed again.
pub fn sealed(octets: Vec<u8>, pwd: &str) -> Bytes {
    Stun(octets).seal(pwd)
}

fn mac(pwd: &str, octets: &[u8]) -> hmac::Tag {
    hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes()),
        octets,
    )
}

/// An answer whose last attributes are MESSAGE-INTEGRITY and FINGERPRINT.
fn is_sealed(bytes: &[u8], pwd: &str) -> bool {
    let Some(at) = bytes.len().checked_sub(32).filter(|at| *at >= 20) else {
        return false;
    };
    let mut before = bytes[..at].to_vec();
    before[2..4].copy_from_slice(&((at + 24 - 20) as u16).to_be_bytes());
    bytes[at..at + 2] == MESSAGE_INTEGRITY.to_be_bytes() && mac(pwd, &before).as_ref() == &bytes[at + 4..at + 24]
}

/// ITU V.42.
fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0u32, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}
