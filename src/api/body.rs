//! What the bodies of requests and the two halves of a token hold. The one door to `serde` here.

use super::problem::{Kind, Problem};
use crate::limits;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// `POST /v1/tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    pub(super) identity: String,
    #[serde(default = "usual_scopes")]
    pub(super) scopes: Vec<String>,
    /// Seconds.
    pub(super) lifetime: Option<u64>,
}

fn usual_scopes() -> Vec<String> {
    vec!["call".to_owned(), "join".to_owned()]
}

/// `POST /v1/calls`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCall {
    pub(super) targets: Vec<Target>,
    pub(super) offer: String,
}

/// Who is called: one of these.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Target {
    /// A client of the same tenant.
    Client(String),
    /// A phone number, as people write them.
    Number(String),
    /// A SIP URI of our domains.
    Sip(String),
    /// The number of a room.
    Room(String),
}

/// `POST .../accept`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    pub(super) answer: String,
    /// Which of the callee's devices it is: others stop ringing by it.
    #[serde(default)]
    pub(super) device: String,
}

/// `POST .../reject`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    #[serde(default)]
    pub(super) reason: Refusal,
}

/// Why somebody does not take a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Refusal {
    #[default]
    Declined,
    Busy,
}

/// `POST .../hangup`.
#[derive(Debug, Default, Deserialize)]
struct HangUp {
    #[serde(default)]
    reason: Leaving,
}

/// Why somebody leaves, as far as he says so in words that are known: the call ends in any case.
pub(super) fn leaving(body: &[u8]) -> Leaving {
    read::<HangUp>(body).unwrap_or_default().reason
}

/// Why somebody leaves a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Leaving {
    #[default]
    HungUp,
    /// His page closes.
    Closed,
}

/// `POST .../offer`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offer {
    pub(super) offer: String,
}

/// `POST .../answer`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) answer: String,
    /// Of the offer.
    pub(super) revision: u32,
}

/// `POST .../candidates`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidates {
    pub(super) candidates: Vec<Candidate>,
}

/// As `RTCIceCandidate.toJSON()` gives it (W3C WebRTC 4.8.1.2).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Candidate {
    pub(super) candidate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sdp_mid: Option<String>,
    #[serde(rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    pub(super) sdp_m_line_index: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username_fragment: Option<String>,
}

/// `POST .../transfer`, `POST .../participants`, `POST .../participants/remove`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    pub(super) target: Target,
}

/// `POST .../hold`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hold {
    pub(super) hold: bool,
}

/// `POST .../mute`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mute {
    pub(super) mute: bool,
}

/// `POST .../dtmf`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dtmf {
    pub(super) digits: String,
}

/// What a token says of itself (RFC 7515 4.1).
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Head {
    pub(super) alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) typ: Option<String>,
    /// The tenant.
    pub(super) kid: String,
    /// What has to be understood: nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crit: Option<Vec<String>>,
}

/// What a token says of its holder (RFC 7519 4.1, RFC 8693 4.2).
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Body {
    pub(super) sub: String,
    pub(super) scope: String,
    pub(super) exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<u64>,
}

/// A body of a request. One that is empty counts as an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        // Whoever sent it may read what of it is quoted; a log has it not.
        let told: String = error.to_string().chars().take(limits::API_DETAIL_CHARS).collect();
        Problem::new(Kind::BadBody, told)
    })
}

/// The header of a token.
pub(super) fn read_head(octets: &[u8]) -> Option<Head> {
    serde_json::from_slice(octets).ok()
}

/// Its claims.
pub(super) fn read_claims(octets: &[u8]) -> Option<Body> {
    serde_json::from_slice(octets).ok()
}

/// A value as JSON.
pub(super) fn write(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}
