//! The few lines of SDP that both ends of a call need, and what they agree.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The suite of the rows with SRTP (RFC 4568 6.2.1), and the octets of its key and salt.
const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
const KEY: usize = 16;
const SALT: usize = 14;
/// A-law.
const ALAW: u8 = 8;

/// What the called side speaks. The callers speak A-law without encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    Alaw,
    /// A-law in SRTP.
    Srtp,
    /// Opus, without forward error correction.
    Opus,
    /// Opus that asks for it.
    OpusFec,
}

impl Called {
    pub fn is_opus(self) -> bool {
        matches!(self, Called::Opus | Called::OpusFec)
    }
}

/// One end of a call, once it is set up.
pub struct End {
    /// The peer's port for it: packets go there, and come from there.
    pub to: SocketAddrV4,
    pub payload_type: u8,
    pub keys: Option<Keys>,
}

/// Seals what an end sends, opens what it receives.
pub struct Keys {
    pub seals: Context,
    pub opens: Context,
}

impl End {
    /// Of A-law in the clear.
    pub fn plain(to: SocketAddrV4) -> End {
        End {
            to,
            payload_type: ALAW,
            keys: None,
        }
    }
}

/// As phones have it: who has no telephone events is listened to for keys in its audio.
const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

/// What a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    Alaw,
    /// Opus that asks for forward error correction.
    Opus,
}

/// The number of Opus in our offers.
const OPUS: u8 = 96;

/// What a caller offers.
pub fn offer(offered: Offered, at: SocketAddrV4) -> String {
    match offered {
        Offered::Alaw => description(at, "RTP/AVP", ALAW, &format!("a=rtpmap:8 PCMA/8000\r\n{EVENTS}")),
        Offered::Opus => {
            let map = format!("a=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} useinbandfec=1\r\n");
            description(at, "RTP/AVP", OPUS, &map)
        }
    }
}

/// The caller's end by the answer that it got.
pub fn accepted(offered: Offered, answer: &str) -> Result<End, String> {
    let payload_type = match offered {
        Offered::Alaw => ALAW,
        Offered::Opus => OPUS,
    };
    let number = format!(" {payload_type}");
    let media = line(answer, "m=audio ")?;
    if !media.ends_with(&number) && !media.contains(&format!("{number} ")) {
        return Err(format!("what was offered is not in the answer: m=audio {media}"));
    }
    let mut end = End::plain(place(answer)?);
    end.payload_type = payload_type;
    Ok(end)
}

/// What the called side answers, and its end.
pub fn answer(offer: &str, called: Called, at: SocketAddrV4) -> Result<(String, End), String> {
    let mut end = End::plain(place(offer)?);
    let said = match called {
        Called::Alaw => self::offer(Offered::Alaw, at),
        Called::Srtp => {
            let (tag, theirs) = key_of(offer)?;
            // Any key does; each call has its own.
            let mut ours = [0x5a; KEY + SALT];
            ours[..2].copy_from_slice(&end.to.port().to_be_bytes());
            end.keys = Some(Keys {
                seals: context(&ours)?,
                opens: context(&theirs)?,
            });
            let crypto = format!(
                "a=rtpmap:8 PCMA/8000\r\n{EVENTS}a=crypto:{tag} {SUITE} inline:{}\r\n",
                STANDARD.encode(ours)
            );
            description(at, "RTP/SAVP", ALAW, &crypto)
        }
        Called::Opus | Called::OpusFec => {
            let map = offer.lines().filter_map(|line| line.strip_prefix("a=rtpmap:"));
            let opus = map
                .filter_map(|map| map.split_once(' '))
                .find(|(_, name)| name.starts_with("opus/"));
            let number = opus.and_then(|(number, _)| number.parse().ok());
            end.payload_type = number.ok_or("no Opus in the offer")?;
            let fec = u8::from(called == Called::OpusFec);
            let map = format!(
                "a=rtpmap:{0} opus/48000/2\r\na=fmtp:{0} useinbandfec={fec}\r\n",
                end.payload_type
            );
            description(at, "RTP/AVP", end.payload_type, &map)
        }
    };
    Ok((said, end))
}

fn description(at: SocketAddrV4, transport: &str, payload_type: u8, more: &str) -> String {
    let (ip, port) = (at.ip(), at.port());
    let mut text = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n");
    let events = if more.contains(EVENTS) { " 101" } else { "" };
    // It cannot fail: a `String` grows.
    let _ = write!(
        text,
        "m=audio {port} {transport} {payload_type}{events}\r\n{more}a=ptime:20\r\n"
    );
    text
}

fn line<'t>(sdp: &'t str, start: &str) -> Result<&'t str, String> {
    let found = sdp.lines().find_map(|line| line.strip_prefix(start));
    found.ok_or_else(|| format!("no {start} in the description"))
}

/// Where media goes.
fn place(sdp: &str) -> Result<SocketAddrV4, String> {
    let ip: Option<Ipv4Addr> = line(sdp, "c=IN IP4 ")?.trim().parse().ok();
    let port: Option<u16> = line(sdp, "m=audio ")?
        .split(' ')
        .next()
        .and_then(|port| port.parse().ok());
    match (ip, port) {
        (Some(ip), Some(port)) if port > 0 => Ok(SocketAddrV4::new(ip, port)),
        _ => Err("no place for media in the description".to_owned()),
    }
}

/// The tag and the key of the line with our suite.
fn key_of(sdp: &str) -> Result<(&str, Vec<u8>), String> {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    let found = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find_map(|words| {
            let key = words.get(2)?.strip_prefix("inline:")?.split('|').next()?;
            (words[1] == SUITE).then_some((words[0], key))
        });
    let (tag, key) = found.ok_or_else(|| format!("no {SUITE} in the offer"))?;
    let key = STANDARD.decode(key).map_err(|error| error.to_string())?;
    Ok((tag, key))
}

fn context(key: &[u8]) -> Result<Context, String> {
    let told = |error: &dyn std::fmt::Display| format!("SRTP: {error}");
    let provider = rtc_crypto::default_provider().map_err(|error| told(&error))?;
    let (key, salt) = key.split_at_checked(KEY).ok_or("SRTP: a key that is too short")?;
    let profile = ProtectionProfile::Aes128CmHmacSha1_80;
    Context::new(key, salt, profile, None, None, provider.crypto()).map_err(|error| told(&error))
}
