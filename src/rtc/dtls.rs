//! DTLS handshakes (RFC 5764, 6347, 9147): the one door to `dimpl`, which has its own clock and its own randomness, that of the system.
//!
//! As the server we speak 1.2 alone: there the choice of the SRTP profile is by our order (GCM first), while `dimpl` follows the
//! client's in 1.3, and browsers put the slow one in front. As the client we offer both.

use crate::keyed;
use crate::media::command::{DtlsFault, DtlsRole, Fingerprint, Keys, MasterKey, Suite};
use crate::pii::SecretOctets;
use crate::time::Instant;
use aws_lc_rs::digest::{self, SHA256, digest};
use dimpl::{Config, CryptoError, Dtls, DtlsCertificate, Error, KeyingMaterial, Output, SecurityError, SrtpProfile};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// `dimpl` counts in moments of the system.
#[expect(
    clippy::disallowed_types,
    reason = "the type of dimpl's interface; nothing here reads a clock"
)]
type Moment = std::time::Instant;

/// Octets of the largest output: a datagram of its MTU, or a certificate.
const OUTPUT: usize = 16 * 1024;
/// Outputs of one step: flights are of some ten records.
const OUTPUTS: usize = 64;
/// The first repetition: a call should not wait for a second where one datagram is lost (RFC 9147 5.8.2 lets it be less than RFC 6347).
const REPEAT: Duration = Duration::from_millis(250);
/// So many, each after twice the time of the last: more than there is time for.
const REPEATS: usize = 7;
/// A handshake that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(20);

/// By what we are known to peers: a certificate with its key, both as DER.
#[derive(Clone)]
pub struct Identity {
    certificate: Arc<[u8]>,
    key: SecretOctets,
    config: Arc<Config>,
    /// The beginning of our own time.
    epoch: Moment,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

impl Identity {
    /// A certificate of ECDSA with its key (PKCS #8); `epoch` is the moment at which our clock was zero. The error is a sentence.
    pub fn new(certificate: &[u8], key: &[u8], epoch: Moment) -> Result<Identity, String> {
        let config = Config::builder()
            .flight_start_rto(REPEAT)
            .flight_retries(REPEATS)
            .handshake_timeout(TIMEOUT)
            // The peer has shown by its checks that it is where it says.
            .use_server_cookie(false);
        let config = config
            .build()
            .map_err(|error| format!("DTLS cannot be used: {error}"))?;
        Ok(Identity {
            certificate: certificate.into(),
            key: SecretOctets::new(key),
            config: Arc::new(config),
            epoch,
        })
    }

    /// For `a=fingerprint`.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.certificate)
    }

    /// What nobody else knows, for other uses than DTLS.
    pub(super) fn secret(&self) -> keyed::Key {
        let mut own = digest::Context::new(&SHA256);
        own.update(b"transactions of STUN");
        own.update(self.key.expose());
        let mut secret = [0; 16];
        secret.copy_from_slice(&own.finish().as_ref()[..16]);
        keyed::Key::new(secret)
    }

    fn moment(&self, at: Instant) -> Moment {
        self.epoch + Duration::from_nanos(at.as_nanos())
    }

    fn instant(&self, at: Moment) -> Instant {
        let since = at.saturating_duration_since(self.epoch).as_nanos();
        Instant::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

fn fingerprint(certificate: &[u8]) -> Fingerprint {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, certificate).as_ref());
    Fingerprint(octets)
}

/// What comes of a step.
pub(super) enum Step {
    /// For the peer.
    Send(Vec<u8>),
    /// The peer is who it should be: its keys, once.
    Keys(Box<Keys>),
    /// Time is due then.
    Wake(Instant),
}

/// One association.
#[derive(Debug)]
pub(super) struct Handshake {
    dtls: Dtls,
    role: DtlsRole,
    expected: Vec<Fingerprint>,
    /// The certificate that came is one of those.
    proven: bool,
    is_connected: bool,
    is_keyed: bool,
}

impl Handshake {
    /// With a peer that shows one of these.
    pub fn new(identity: &Identity, role: DtlsRole, expected: &[Fingerprint], now: Instant) -> Handshake {
        let certificate = DtlsCertificate {
            certificate: identity.certificate.to_vec(),
            private_key: identity.key.expose().to_vec(),
        };
        let (config, now) = (identity.config.clone(), identity.moment(now));
        let dtls = match role {
            DtlsRole::Server => Dtls::new_12(config, certificate, now),
            DtlsRole::Client => {
                let mut dtls = Dtls::new_auto(config, certificate, now);
                dtls.set_active(true);
                dtls
            }
        };
        Handshake {
            dtls,
            role,
            expected: expected.to_vec(),
            proven: false,
            is_connected: false,
            is_keyed: false,
        }
    }

    /// Goes on: by a datagram, or by time alone. After a fault it is over. `dimpl` asserts what a peer may be able to break: that costs
    /// this leg, and no other.
    pub fn advance(
        &mut self,
        identity: &Identity,
        now: Instant,
        octets: Option<&[u8]>,
    ) -> (Vec<Step>, Option<DtlsFault>) {
        let step = catch_unwind(AssertUnwindSafe(|| self.step(identity, now, octets)));
        step.unwrap_or_else(|_| (Vec::new(), Some(DtlsFault::Other("a bug was met".to_owned()))))
    }

    fn step(&mut self, identity: &Identity, now: Instant, octets: Option<&[u8]>) -> (Vec<Step>, Option<DtlsFault>) {
        let mut steps = Vec::new();
        let timed = self.dtls.handle_timeout(identity.moment(now));
        let taken = timed.and_then(|()| octets.map_or(Ok(()), |octets| self.dtls.handle_packet(octets)));
        let polled = self.poll(identity, &mut steps);
        // What it had to say before it failed, an alert, is said.
        let failed = taken.err().map(fault).or(polled.err());
        (steps, failed)
    }

    /// Takes leave of the peer.
    pub fn close(&mut self, identity: &Identity, now: Instant) -> Vec<Vec<u8>> {
        let leave = catch_unwind(AssertUnwindSafe(|| {
            let mut steps = Vec::new();
            let ready = self.dtls.handle_timeout(identity.moment(now));
            if ready.and_then(|()| self.dtls.close()).is_ok() {
                let _ = self.poll(identity, &mut steps);
            }
            steps
        }));
        let steps = leave.unwrap_or_default();
        let send = |step| match step {
            Step::Send(octets) => Some(octets),
            Step::Keys(_) | Step::Wake(_) => None,
        };
        steps.into_iter().filter_map(send).collect()
    }

    fn poll(&mut self, identity: &Identity, steps: &mut Vec<Step>) -> Result<(), DtlsFault> {
        let mut buffer = vec![0; OUTPUT];
        for _ in 0..OUTPUTS {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(octets) => steps.push(Step::Send(octets.to_vec())),
                Output::PeerCert(certificate) => {
                    if !self.expected.contains(&fingerprint(certificate)) {
                        return Err(DtlsFault::Fingerprint);
                    }
                    self.proven = true;
                }
                Output::KeyingMaterial(material, profile) => {
                    self.is_keyed = true;
                    let keys = self.proven.then(|| keys(self.role, &material, profile)).flatten();
                    steps.push(Step::Keys(keys.ok_or(DtlsFault::NoSrtp)?));
                }
                Output::Timeout(at) => {
                    steps.push(Step::Wake(identity.instant(at)));
                    // What it is connected by tells its keys at once.
                    let is_mute = self.is_connected && !self.is_keyed;
                    return if is_mute { Err(DtlsFault::NoSrtp) } else { Ok(()) };
                }
                Output::Connected => self.is_connected = true,
                // Nobody sends data here, and who takes leave says BYE too.
                Output::ApplicationData(_) | Output::CloseNotify => {}
                Output::BufferTooSmall { .. } => return Err(DtlsFault::Certificate),
                _ => {}
            }
        }
        Ok(())
    }
}

/// RFC 5764 4.2: the key of the client, that of the server, and then their salts.
fn keys(role: DtlsRole, material: &KeyingMaterial, profile: SrtpProfile) -> Option<Box<Keys>> {
    let suite = match profile {
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128Sha1_80,
        _ => return None,
    };
    let (key, salt) = (suite.key_octets(), suite.salt_octets());
    let (keys, salts) = material.split_at_checked(2 * key)?;
    let of = |nth: usize| {
        let key = keys.get(nth * key..(nth + 1) * key)?;
        let salt = salts.get(nth * salt..(nth + 1) * salt)?;
        MasterKey::new(suite, SecretOctets::new(&[key, salt].concat()).expose())
    };
    let (client, server) = (of(0)?, of(1)?);
    let (seal, open) = match role {
        DtlsRole::Server => (server, client),
        DtlsRole::Client => (client, server),
    };
    Keys::new(seal, vec![open]).map(Box::new)
}

fn fault(error: Error) -> DtlsFault {
    use dimpl::CertificateError;
    match error {
        Error::CertificateError(
            CertificateError::NoClientCertificateReceived | CertificateError::NoServerCertificateReceived,
        ) => DtlsFault::NoCertificate,
        Error::CertificateError(_)
        | Error::CryptoError(
            CryptoError::CertificateParseFailed
            | CryptoError::UnsupportedPublicKeyAlgorithm
            | CryptoError::UnsupportedSignatureAlgorithm(_)
            | CryptoError::MissingEcCurveParameter
            | CryptoError::UnsupportedEcCurve,
        ) => DtlsFault::Certificate,
        Error::SecurityError(SecurityError::FatalAlert { description }) => DtlsFault::Alert(description),
        Error::SecurityError(SecurityError::NoMutuallyAcceptableCipherSuite | SecurityError::NoCommonCipherSuite) => {
            DtlsFault::NoCipher
        }
        Error::Timeout(_) => DtlsFault::Timeout,
        error => DtlsFault::Other(error.to_string()),
    }
}
