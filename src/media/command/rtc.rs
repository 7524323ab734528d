//! How a leg is connected to a browser, as plain values: ICE (RFC 8445) finds the way, DTLS (RFC 5763, 5764) the keys.

use super::Keys;
use crate::pii::Secret;
use crate::stun::message::{BINDING, Class, Message, kind};
use std::fmt;
use std::net::SocketAddr;

/// The SHA-256 of a certificate (RFC 8122 5): by which it is known, whoever has signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// As it stands behind `sha-256` in `a=fingerprint`.
    pub fn parse(text: &str) -> Option<Fingerprint> {
        let mut octets = [0; 32];
        let mut pairs = text.split(':');
        for octet in &mut octets {
            let pair = pairs.next().filter(|pair| pair.len() == 2)?;
            let is_hex = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *octet = is_hex.then(|| u8::from_str_radix(pair, 16).ok())??;
        }
        pairs.next().is_none().then_some(Fingerprint(octets))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, octet) in self.0.iter().enumerate() {
            let colon = if nth == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}

/// By what one side knows the checks that are for it (RFC 8445 7.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`.
    pub ufrag: Box<str>,
    /// `a=ice-pwd`.
    pub pwd: Secret,
}

/// Whose a check says that it is: our `ufrag`, with which its USERNAME begins (RFC 8445 7.2.2). Whoever knows it can say so; the seal decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckName([u8; CheckName::MOST]);

impl CheckName {
    /// Octets of our `ufrag`, which we make ourselves, at most.
    pub const MOST: usize = 16;

    /// Of an `ufrag` of ours; none that is empty or longer than ours are.
    pub fn of(ufrag: &[u8]) -> Option<CheckName> {
        let mut name = [0; CheckName::MOST];
        let is_one = !ufrag.is_empty() && !ufrag.contains(&0);
        name.get_mut(..ufrag.len()).filter(|_| is_one)?.copy_from_slice(ufrag);
        Some(CheckName(name))
    }

    /// Of a datagram that is a check.
    pub fn said_by(datagram: &[u8]) -> Option<CheckName> {
        let check = Message::parse(datagram)?;
        let is_check = check.class == Class::Request && check.method == BINDING;
        let name = check.covers(kind::USERNAME).filter(|_| is_check)?;
        let end = name.iter().position(|octet| *octet == b':')?;
        CheckName::of(&name[..end])
    }
}

/// Who begins the handshake (RFC 8842 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// The peer: we are the server (`a=setup:passive`).
    Server,
    /// We (`a=setup:active`).
    Client,
}

/// All that two descriptions say of a way between both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// For checks of the peer.
    pub ours: Credentials,
    /// The peer's.
    pub theirs: Credentials,
    /// Certificates that the peer may show: one of them.
    pub fingerprints: Vec<Fingerprint>,
    /// Who begins.
    pub role: DtlsRole,
    /// Where the peer is, if it is ICE lite: then we look for the way (RFC 8445 6.1.1). None of others, which do that themselves.
    pub lite: Option<Lite>,
}

/// What a peer says of where it is that looks for no way itself (RFC 8445 2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lite {
    /// Its candidates, the best of its description first, behind them what it told later: `limits::RTC_ADDRESSES` at most.
    pub candidates: Vec<SocketAddr>,
    /// More may come (trickle ICE, RFC 8838).
    pub trickles: bool,
}

/// How the set-up of a leg goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The peer is who its description says, and is reached there: media may flow, sealed by these.
    Secured {
        /// Where it is.
        peer: SocketAddr,
        /// From the handshake.
        keys: Box<Keys>,
    },
    /// It has chosen another way.
    Path(SocketAddr),
    /// Nothing comes of it, or no longer.
    Failed(Unsecured),
}

/// Why a leg has no media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsecured {
    /// No check that is the peer's came in `limits::RTC_SETUP`.
    NoCheck,
    /// The peer is ICE lite, and has told no address of its own.
    NoCandidate,
    /// The peer is ICE lite, and no address of its has answered a check of ours.
    NoAnswer,
    /// Checks came, and no handshake was begun, or it is not done.
    NoHandshake,
    /// The peer does not ask any more (RFC 7675).
    NoConsent,
    /// The peer is ICE lite, and does not answer any more (RFC 7675).
    AnswersCeased,
    /// The handshake failed.
    Dtls(DtlsFault),
}

impl Unsecured {
    /// Time alone brought it, which may be that of a peer that has not been answered yet.
    pub fn is_of_time(&self) -> bool {
        match self {
            Unsecured::NoCheck | Unsecured::NoCandidate | Unsecured::NoAnswer | Unsecured::NoHandshake => true,
            Unsecured::NoConsent | Unsecured::AnswersCeased | Unsecured::Dtls(_) => false,
        }
    }
}

/// Why a DTLS handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtlsFault {
    /// The peer has shown no certificate that we can take.
    NoCertificate,
    /// It has shown one, which is not what we can take.
    Certificate,
    /// Its certificate is not the one of its description.
    Fingerprint,
    /// It knows no cipher that we know.
    NoCipher,
    /// It agreed on no keys for SRTP.
    NoSrtp,
    /// It did not go on.
    Timeout,
    /// It broke off, with this alert.
    Alert(u8),
    /// Anything else, in the words of who speaks DTLS for us.
    Other(String),
}

impl fmt::Display for Unsecured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsecured::NoCheck => f.write_str(
                "no ICE check came from the browser: it does not reach the address and ports of our media, or cannot send UDP",
            ),
            Unsecured::NoCandidate => f.write_str(
                "the peer is ICE lite, so that this node is to reach it, and it has told no address by UDP (a=candidate) to be reached at",
            ),
            Unsecured::NoAnswer => f.write_str(
                "the peer is ICE lite, so that this node is to reach it, and no address of its a=candidate lines has answered an ICE check: \
                 see whether a firewall lets UDP through between those and our media ports",
            ),
            Unsecured::NoHandshake => f.write_str("the DTLS handshake did not come to an end"),
            Unsecured::NoConsent => f.write_str("the browser is not reached any more: its ICE checks have ceased"),
            Unsecured::AnswersCeased => {
                f.write_str("the peer, which is ICE lite, is not reached any more: it has ceased to answer our ICE checks")
            }
            Unsecured::Dtls(fault) => write!(f, "DTLS handshake failed: {fault}"),
        }
    }
}

impl fmt::Display for DtlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DtlsFault::NoCertificate => {
                f.write_str("the peer has no certificate that this node takes (ECDSA with P-256 or P-384; not RSA)")
            }
            DtlsFault::Certificate => {
                f.write_str("the peer's certificate is none that this node takes (ECDSA with P-256 or P-384; not RSA)")
            }
            DtlsFault::Fingerprint => f.write_str("the peer's certificate is not the one of its session description"),
            DtlsFault::NoCipher => {
                f.write_str("no cipher in common; this node has those of ECDSA certificates with AES-GCM or ChaCha20")
            }
            DtlsFault::NoSrtp => f.write_str("the peer agreed on no keys for SRTP"),
            DtlsFault::Timeout => f.write_str("the peer did not go on"),
            DtlsFault::Alert(40) => {
                f.write_str("the peer broke off with alert 40: no cipher in common, as where its certificate is RSA (this node takes ECDSA)")
            }
            DtlsFault::Alert(number) => write!(f, "the peer broke off with alert {number}"),
            DtlsFault::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written_and_in_no_other_form() {
        let octets: [u8; 32] = std::array::from_fn(|nth| nth as u8 * 7);
        let text = Fingerprint(octets).to_string();
        assert!(text.starts_with("00:07:0E:") && text.len() == 95, "{text}");
        assert_eq!(Fingerprint::parse(&text), Some(Fingerprint(octets)));
        assert_eq!(Fingerprint::parse(&text.to_lowercase()), Some(Fingerprint(octets)));
        for wrong in [
            "",
            &text[3..],
            &text.replace(':', ""),
            &format!("{text}:00"),
            &text.replace("07", "+7"),
            &text.replace("00:", "0:"),
        ] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn why_there_is_no_media_is_told_in_words() {
        let why = Unsecured::Dtls(DtlsFault::Fingerprint).to_string();
        assert_eq!(
            why,
            "DTLS handshake failed: the peer's certificate is not the one of its session description"
        );
        assert!(!Unsecured::NoConsent.is_of_time() && Unsecured::NoCheck.is_of_time());
    }
}
