//! Keys for SRTP in a description: `a=crypto` (SDES, RFC 4568), and whether media is protected at all (RFC 8643 beside RTP/AVP).
//!
//! ```text
//!   a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4
//!            |          |                      key and salt                   lifetime | MKI and its length
//!           tag       suite
//! ```

use super::parse::SdpError;
use super::session::{Attribute, Media, Proto};
use crate::limits;
use crate::media::command::{Keys, MasterKey, Srtp, Suite};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Our own keys of one leg: one for each suite, so that no two of a description are the same (RFC 4568 6.1). They stay for the
/// life of the leg, and so does the roll-over counter of the one that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    required: bool,
    /// In the order of [`Suite::ALL`].
    keys: Vec<MasterKey>,
    /// What the peer's descriptions have led to since one of them was agreed on.
    used: Vec<Suite>,
}

impl Security {
    /// None for `Srtp::Off`. `fill` fills octets with randomness that nobody can guess.
    pub fn new(srtp: Srtp, mut fill: impl FnMut(&mut [u8])) -> Option<Security> {
        let mut key = |suite: Suite| {
            let mut octets = [0; 46];
            let octets = &mut octets[..suite.key_octets() + suite.salt_octets()];
            fill(octets);
            MasterKey::new(suite, octets).expect("as long as the suite has it")
        };
        (srtp != Srtp::Off).then(|| Security {
            required: srtp == Srtp::Required,
            keys: Suite::ALL.into_iter().map(&mut key).collect(),
            used: Vec::new(),
        })
    }

    /// Forgets the keys of other suites.
    pub fn retain(&mut self, keep: impl Fn(Suite) -> bool) {
        self.keys.retain(|key| keep(key.suite()));
    }

    /// What was used before anything was agreed on: for early media.
    pub fn used(&mut self, keys: Option<&Keys>) {
        let suite = keys.map(|keys| keys.seal().suite());
        self.used.extend(suite.filter(|suite| !self.used.contains(suite)));
    }

    /// What is in use from now on. A key that was, and is not any more, does not come back: it would be used with a roll-over counter of
    /// 0 again, and two packets under one key stream tell both (RFC 3711 9.1).
    pub fn agreed(&mut self, keys: Option<&Keys>) {
        let now = keys.map(|keys| keys.seal().suite());
        let spent = std::mem::take(&mut self.used);
        self.keys
            .retain(|key| Some(key.suite()) == now || !spent.contains(&key.suite()));
        self.used.extend(now);
    }

    /// What was agreed on is encrypted.
    pub(super) fn is_used(&self) -> bool {
        !self.used.is_empty()
    }

    /// How our first offer calls the transport.
    pub(super) fn proto(&self) -> Proto<'static> {
        if self.required { Proto::RtpSavp } else { Proto::RtpAvp }
    }

    /// The lines of an offer.
    pub(super) fn offer(&self) -> impl Iterator<Item = Attribute<'static>> {
        // Those with short tags are taken where the peer has nothing else.
        let offered = self.keys.iter().filter(|key| !key.suite().is_short());
        (1..).zip(offered).map(|(tag, key)| line(tag, key))
    }

    /// The line of an answer to this one.
    pub(super) fn answer(&self, theirs: &Crypto) -> Option<Attribute<'static>> {
        Some(line(theirs.tag, self.own(theirs.suite)?))
    }

    /// What seals and opens, once the peer's line is known.
    pub(super) fn keys(&self, theirs: Crypto) -> Result<Box<Keys>, SdpError> {
        let ours = self.own(theirs.suite).cloned();
        let keys = ours.and_then(|ours| Keys::new(ours, theirs.keys));
        keys.map(Box::new).ok_or(NONE_USABLE)
    }

    /// What it was made for.
    pub(super) const fn srtp(&self) -> Srtp {
        if self.required { Srtp::Required } else { Srtp::Offered }
    }

    fn own(&self, suite: Suite) -> Option<&MasterKey> {
        self.keys.iter().find(|key| key.suite() == suite)
    }
}

/// Tags and suites of a description of ours: what an answer is held against, whatever it was when it was written.
pub(super) fn said(media: &Media<'_>) -> Vec<(u32, Suite)> {
    let lines = media.attributes("crypto").filter_map(Crypto::parse);
    lines.map(|line| (line.tag, line.suite)).collect()
}

fn line(tag: u32, key: &MasterKey) -> Attribute<'static> {
    let encoded = STANDARD.encode(key.expose());
    Attribute::new("crypto", format!("{tag} {} inline:{encoded}", key.suite().name()))
}

/// A line that we can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crypto {
    tag: u32,
    suite: Suite,
    keys: Vec<MasterKey>,
}

impl Crypto {
    /// None where it is malformed, or asks for what we do not do: then it is as if it was not there (RFC 4568 5.1.2).
    fn parse(value: &str) -> Option<Crypto> {
        let mut words = value.split_ascii_whitespace();
        let tag = words
            .next()
            .filter(|tag| tag.len() <= 9)
            .and_then(number)?
            .try_into()
            .ok()?;
        let suite = Suite::named(words.next()?)?;
        let params = words.next()?.split(';');
        let keys: Vec<MasterKey> = params
            .take(limits::SRTP_KEYS + 1)
            .map(|param| key(suite, param))
            .collect::<Option<_>>()?;
        (Keys::are_told(&keys) && words.all(is_harmless)).then_some(Crypto { tag, suite, keys })
    }

    /// The first of a stream's lines that can be used: the writer's order is that of his preference.
    fn first_of(media: &Media<'_>, fits: impl Fn(&Crypto) -> bool) -> Option<Crypto> {
        media
            .attributes("crypto")
            .take(limits::SDP_CRYPTO)
            .filter_map(Crypto::parse)
            .find(fits)
    }
}

/// `inline:` with key and salt, and perhaps a lifetime and a master key identifier (RFC 4568 6.1).
fn key(suite: Suite, param: &str) -> Option<MasterKey> {
    let (method, info) = param.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") {
        return None;
    }
    let mut parts = info.split('|');
    // "Padding characters [...] are discarded" (RFC 4568 6.1).
    let octets = STANDARD_NO_PAD.decode(parts.next()?.trim_end_matches('=')).ok()?;
    let mut key = MasterKey::new(suite, &octets)?;
    let mut next = parts.next();
    if let Some(lifetime) = next.filter(|part| !part.contains(':')) {
        key = key.with_lifetime(packets(lifetime)?)?;
        next = parts.next();
    }
    if let Some(mki) = next {
        key = key.with_mki(&identifier(mki)?)?;
    }
    parts.next().is_none().then_some(key)
}

/// `2^20`, or a number.
fn packets(lifetime: &str) -> Option<u64> {
    match lifetime.strip_prefix("2^") {
        Some(power) => 1u64.checked_shl(number(power)?.try_into().ok()?),
        None => number(lifetime),
    }
}

/// `1:4`: a number, and in how many octets it is written.
fn identifier(mki: &str) -> Option<Vec<u8>> {
    let (value, length) = mki.split_once(':')?;
    let octets = number(value)?.to_be_bytes();
    let length: usize = number(length)?.try_into().ok()?;
    let (before, octets) = octets.split_at(octets.len().checked_sub(length).filter(|_| length > 0)?);
    before.iter().all(|octet| *octet == 0).then(|| octets.to_vec())
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// A session parameter that changes nothing for us (RFC 4568 6.3): how large a window should be, where FEC has its place, and what
/// is optional.
fn is_harmless(param: &str) -> bool {
    let name = param.split('=').next().unwrap_or_default();
    name.starts_with('-') || matches!(name, "WSH" | "FEC_ORDER") || param == "KDR=0"
}

const NONE_OFFERED: SdpError = SdpError::NotAcceptable(
    "This side of the call must be SRTP (srtp: required), and the offer has no key for it (a=crypto).",
);
const NONE_USABLE: SdpError = SdpError::NotAcceptable(
    "The audio stream is SRTP, and none of its a=crypto lines can be used: another suite, or a rule that this node does not know.",
);
const NOT_ALLOWED: SdpError =
    SdpError::NotAcceptable("The audio stream is SRTP, which is not allowed on this side of the call (srtp: off).");
const NONE_ANSWERED: SdpError = SdpError::NotAcceptable(
    "The answer has no a=crypto that belongs to the offer, and this side of the call must be SRTP.",
);
const DTLS: SdpError = SdpError::NotAcceptable(
    "The audio stream is SRTP with keys by DTLS, this side of the call takes them by a=crypto (RTP/SAVP and RTP/SAVPF).",
);
const OTHER: SdpError =
    SdpError::NotAcceptable("The transport of the audio stream is neither RTP/AVP(F) nor RTP/SAVP(F).");

/// How a stream wants to be protected.
enum Wants {
    Clear,
    Secure,
}

fn wants(media: &Media<'_>) -> Result<Wants, SdpError> {
    match media.proto {
        Proto::RtpAvp | Proto::RtpAvpf => Ok(Wants::Clear),
        Proto::RtpSavp | Proto::RtpSavpf => Ok(Wants::Secure),
        Proto::UdpTlsRtpSavp | Proto::UdpTlsRtpSavpf => Err(DTLS),
        Proto::Other(_) => Err(OTHER),
    }
}

/// The line of an offered stream that is taken; none for one in the clear. Without `ours` any suite that we speak will do.
pub(super) fn taken(media: &Media<'_>, srtp: Srtp, ours: Option<&Security>) -> Result<Option<Crypto>, SdpError> {
    let first = || Crypto::first_of(media, |line| ours.is_none_or(|ours| ours.own(line.suite).is_some()));
    match (wants(media)?, srtp) {
        (Wants::Clear, Srtp::Off) => Ok(None),
        (Wants::Clear, Srtp::Offered) => Ok(first()),
        (Wants::Clear, Srtp::Required) => first().map(Some).ok_or(NONE_OFFERED),
        (Wants::Secure, Srtp::Off) => Err(NOT_ALLOWED),
        (Wants::Secure, Srtp::Offered | Srtp::Required) => first().map(Some).ok_or(NONE_USABLE),
    }
}

/// The line of an answered stream that belongs to what our offer said; none for one in the clear.
pub(super) fn answered(
    media: &Media<'_>,
    ours: Option<&Security>,
    said: &[(u32, Suite)],
) -> Result<Option<Crypto>, SdpError> {
    let Some(ours) = ours else {
        return match wants(media)? {
            Wants::Clear => Ok(None),
            Wants::Secure => Err(NOT_ALLOWED),
        };
    };
    let fits = |line: &Crypto| said.contains(&(line.tag, line.suite)) && ours.own(line.suite).is_some();
    let line = Crypto::first_of(media, fits);
    match (line, wants(media)?) {
        (Some(line), Wants::Clear | Wants::Secure) => Ok(Some(line)),
        (None, Wants::Clear) if !ours.required => Ok(None),
        (None, Wants::Clear | Wants::Secure) => Err(NONE_ANSWERED),
    }
}

#[cfg(test)]
mod tests;
