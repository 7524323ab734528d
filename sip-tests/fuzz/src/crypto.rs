//! Any text as `a=crypto` (RFC 4568): it is taken or not there, media is in the clear only where it may be, and what was taken of it is
//! read the same way as somebody else writes it.

use codecs::Codec;
use std::net::{IpAddr, Ipv4Addr};
use tandem::media::command::{Keys, MasterKey, Srtp};
use tandem::sdp::{Agreed, Capabilities, Direction, Local, Security, Session, answer};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn local() -> Local {
    Local {
        addr: OURS,
        port: 20_000,
        session_id: 7,
        version: 1,
        direction: Direction::SendRecv,
    }
}

/// Keys whose octets count up from here.
fn capabilities(srtp: Srtp) -> Capabilities {
    let mut next = 1;
    let security = Security::new(srtp, |octets| {
        octets.fill(next);
        next += 1;
    });
    Capabilities {
        codecs: [Codec::Pcma].into_iter().collect(),
        events: true,
        ptime_ms: 20,
        opus: Default::default(),
        gain: Default::default(),
        comfort_noise: false,
        security,
        webrtc: None,
    }
}

fn offered(proto: &str, lines: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 {proto} 8\r\n{lines}"
    )
}

/// What an offer with these lines leads to, and the answer to it.
fn answered(proto: &str, srtp: Srtp, lines: &str) -> Option<(String, Agreed)> {
    let text = offered(proto, lines);
    let offer = Session::parse(text.as_bytes()).ok()?;
    let (session, agreed) = answer(&offer, &local(), &capabilities(srtp), THEIRS).ok()?;
    Some((session.to_string(), agreed))
}

/// Takes it as the only such line of an offer, with media that must be encrypted, may be, and must not.
pub fn crypto(text: &str) {
    let line = format!("a=crypto:{}\r\n", text.replace(['\r', '\n', '\0'], " "));
    if Session::parse(offered("RTP/AVP", &line).as_bytes()).is_err() {
        return;
    }
    assert!(
        answered("RTP/SAVP", Srtp::Off, &line).is_none(),
        "encrypted where it must not be"
    );
    let in_clear = answered("RTP/AVP", Srtp::Off, &line).expect("a line that means nothing here");
    assert!(in_clear.1.keys.is_none() && !in_clear.0.contains("a=crypto"));
    let Some((written, agreed)) = answered("RTP/SAVP", Srtp::Required, &line) else {
        let beside = answered("RTP/AVP", Srtp::Offered, &line).expect("it goes in the clear");
        return assert!(beside.1.keys.is_none());
    };
    let keys = agreed.keys.expect("what is required");
    assert_eq!(written.matches("a=crypto:").count(), 1);
    assert!(written.contains(&base64(keys.seal().expose())), "our key is not told");
    assert!(
        written.contains("m=audio 20000 RTP/SAVP 8"),
        "never in the clear: {written}"
    );

    assert!(is_said(&line, keys.open()), "{line} is not {keys:?}");

    // The same keys, as somebody else writes them.
    let again = answered("RTP/SAVP", Srtp::Required, &write(&keys)).expect("what was read can be written");
    assert_eq!(again.1.keys.expect("what is required").open(), keys.open());
}

/// Whether a line that is known to be good says this, by the letter of RFC 4568 9.1.
fn is_said(line: &str, keys: &[MasterKey]) -> bool {
    let params: Vec<&str> = line
        .split_ascii_whitespace()
        .nth(2)
        .map_or(Vec::new(), |params| params.split(';').collect());
    let is_said = |(param, key): (&&str, &MasterKey)| {
        let mut parts = param.split(['|', ':']).skip(1);
        let inline = parts.next().unwrap_or_default().trim_end_matches('=');
        let rest: Vec<&str> = parts.collect();
        let (lifetime, mki) = match rest[..] {
            [] => (None, None),
            [lifetime] => (Some(lifetime), None),
            [value, length] => (None, Some((value, length))),
            [lifetime, value, length] => (Some(lifetime), Some((value, length))),
            _ => return false,
        };
        let packets = |text: &str| match text.strip_prefix("2^") {
            Some(power) => power.parse().ok().and_then(|power| 2u64.checked_pow(power)),
            None => text.parse().ok(),
        };
        let lifetime = lifetime.map_or(Some(key.suite().lifetime()), packets);
        let (value, length) = mki.unwrap_or(("0", "0"));
        inline == base64(key.expose())
            && lifetime == Some(key.lifetime())
            && value.parse() == Ok(number(key.mki()))
            && length.parse() == Ok(key.mki().len())
    };
    params.len() == keys.len() && params.iter().zip(keys).all(is_said)
}

fn number(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

/// A line with these keys: tag 1, lifetime in full, identifiers as long as they are.
fn write(keys: &Keys) -> String {
    let inline = |key: &MasterKey| {
        let named = match key.mki().len() {
            0 => String::new(),
            length => format!("|{}:{length}", number(key.mki())),
        };
        format!("inline:{}|{}{named}", base64(key.expose()), key.lifetime())
    };
    let inlines: Vec<String> = keys.open().iter().map(inline).collect();
    format!("a=crypto:1 {} {}\r\n", keys.seal().suite().name(), inlines.join(";"))
}

/// Base64 without padding (RFC 4648 4).
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - three.len()));
        (0..=three.len())
            .map(|place| char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]))
            .collect::<String>()
    };
    octets.chunks(3).map(group).collect()
}
