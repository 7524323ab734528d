//! Single values: text -> a type that cannot be wrong.

use super::checked::{Algorithm, HttpUrl, Listen, NumberFormat, Webrtc};
use super::country::Country;
use super::network::Network;
use super::problem::did_you_mean;
use super::read::Wrong;
use super::recording::{Beep, Record};
use crate::id::Transport;
use crate::media::command::{Dtmf, Format, Srtp};
use crate::sip::uri::{Host, Scheme, Uri};
use codecs::Codec;
use codecs::gain::Gain;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest duration that is taken: 365 days, so that no sum of durations overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// `30s`, `5m`, `2h`, `90`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit_s) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('h') => (number, 3600),
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    let number = number.trim_end();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Wrong::Form);
    }
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_s))
        .unwrap_or(u64::MAX);
    let duration = Duration::from_secs(seconds);
    if duration > LONGEST {
        Err(Wrong::Because(format!("{text:?} is more than a year.")))
    } else {
        Ok(duration)
    }
}

/// A duration within bounds.
pub(super) fn duration_in(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let value = duration(text)?;
    if value < *bounds.start() {
        return Err(Wrong::Because(format!(
            "{text:?} is less than {}, the least that is taken.",
            spell(*bounds.start())
        )));
    }
    if value > *bounds.end() {
        return Err(Wrong::Because(format!(
            "{text:?} is more than {}, the most that is taken.",
            spell(*bounds.end())
        )));
    }
    Ok(value)
}

/// A duration within bounds, or `never`.
pub(super) fn duration_or_never(text: &str, bounds: RangeInclusive<Duration>) -> Result<Option<Duration>, Wrong> {
    if text.eq_ignore_ascii_case("never") {
        Ok(None)
    } else {
        duration_in(text, bounds).map(Some)
    }
}

/// How long files are kept: also in days, and beyond a year.
pub(super) fn keep(text: &str) -> Result<Option<Duration>, Wrong> {
    const DAY: u64 = 24 * 3600;
    match text.strip_suffix('d') {
        Some(days) => Ok(Some(Duration::from_secs(
            DAY * whole::<u64>(days.trim_end(), 1..=36_500)?,
        ))),
        None => duration_or_never(text, Duration::from_secs(60)..=LONGEST),
    }
}

/// `500MB`, `10GB`, `2TB`, `never`: in octets, by thousands.
pub(super) fn size(text: &str) -> Result<Option<u64>, Wrong> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(None);
    }
    let units = [("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
    let found = units
        .iter()
        .find_map(|(unit, octets)| Some((text.strip_suffix(unit)?, octets)));
    let (number, octets) = found.ok_or(Wrong::Form)?;
    Ok(Some(octets * whole::<u64>(number.trim_end(), 1..=1_000_000)?))
}

/// `once`, `15s`, `never`.
pub(super) fn beep(text: &str) -> Result<Beep, Wrong> {
    if text.eq_ignore_ascii_case("once") {
        return Ok(Beep::Once);
    }
    let every = duration_or_never(text, Duration::from_secs(5)..=Duration::from_secs(600))?;
    Ok(every.map_or(Beep::Never, Beep::Every))
}

/// Whether calls are recorded.
pub(super) fn record(text: &str) -> Result<Record, Wrong> {
    if text.eq_ignore_ascii_case("on_request") {
        return Ok(Record::OnRequest);
    }
    Ok(if yes_or_no(text)? { Record::Yes } else { Record::No })
}

/// A duration as the file would have it.
pub(super) fn spell(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 3600 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// A whole number within bounds.
pub(super) fn whole<T: TryFrom<u64>>(text: &str, bounds: RangeInclusive<u64>) -> Result<T, Wrong> {
    let number = if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse::<u64>().ok()
    } else {
        None
    };
    let number = number
        .filter(|number| bounds.contains(number))
        .and_then(|number| T::try_from(number).ok());
    number.ok_or(Wrong::Form)
}

/// `yes`, `no`, and the other words of YAML for them.
pub(super) fn yes_or_no(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => Err(Wrong::Form),
    }
}

/// `udp://0.0.0.0:5060`, `tcp://[::1]`, `wss://0.0.0.0:8443`.
pub(super) fn listen(text: &str) -> Result<Listen, Wrong> {
    let (scheme, address) = text.split_once("://").ok_or(Wrong::Form)?;
    let transport = Transport::from_name(scheme).ok_or_else(|| match scheme {
        "sip" | "sips" => Wrong::Because(format!(
            "{scheme} does not say how it travels. Write udp://..., tcp://..., tls://..., ws://... or wss://..."
        )),
        _ => Wrong::Form,
    })?;
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    let addr = match (address.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(addr), _) => addr,
        (Err(_), Ok(ip)) => SocketAddr::new(ip, transport.default_port()),
        (Err(_), Err(_)) => return Err(Wrong::Form),
    };
    if addr.ip().is_multicast() {
        Err(Wrong::Form)
    } else {
        Ok(Listen { transport, addr })
    }
}

/// `127.0.0.1:2223`: an address of one host, with a port.
pub(super) fn socket(text: &str) -> Result<SocketAddr, Wrong> {
    let addr: SocketAddr = text.parse().map_err(|_| Wrong::Form)?;
    unicast(&addr.ip().to_string())?;
    Ok(addr)
}

/// An address that one host has.
pub(super) fn unicast(text: &str) -> Result<IpAddr, Wrong> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let ip = bare.parse::<IpAddr>().map_err(|_| Wrong::Form)?;
    if ip.is_unspecified() || ip.is_multicast() {
        Err(Wrong::Form)
    } else {
        Ok(ip)
    }
}

/// `192.0.2.53`, `[2001:db8::53]:5353`.
pub(super) fn dns_server(text: &str) -> Result<SocketAddr, Wrong> {
    let addr = match text.parse::<SocketAddr>() {
        Ok(addr) => addr,
        Err(_) => SocketAddr::new(unicast(text)?, 53),
    };
    if addr.ip().is_unspecified() || addr.ip().is_multicast() || addr.port() == 0 {
        Err(Wrong::Form)
    } else {
        Ok(addr)
    }
}

/// `20000-29999`: first and last port of whole pairs, RTP on the even one (RFC 3550 11).
pub(super) fn ports(text: &str) -> Result<(u16, u16), Wrong> {
    let (first, last) = text.split_once('-').ok_or(Wrong::Form)?;
    let first: u16 = whole(first.trim(), 1024..=65_535)?;
    let last: u16 = whole(last.trim(), 1024..=65_535)?;
    if first > last {
        let text = format!(
            "the first port of {text} is after the last. Write {}-{first}.",
            last.next_multiple_of(2)
        );
        return Err(Wrong::Because(text));
    }
    if first % 2 == 1 {
        let text = format!(
            "the first port of {text} is odd, and RTP takes even ones. Write {}-{last}.",
            first + 1
        );
        return Err(Wrong::Because(text));
    }
    let last = if last.is_multiple_of(2) { last - 1 } else { last };
    if first + 3 > last {
        Err(Wrong::Form)
    } else {
        Ok((first, last))
    }
}

/// A codec's name.
pub(super) fn codec(text: &str) -> Result<Codec, Wrong> {
    let all = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];
    all.into_iter()
        .find(|codec| codec.name().eq_ignore_ascii_case(text))
        .ok_or(Wrong::Form)
}

/// Whether media is protected.
pub(super) fn srtp(text: &str) -> Result<Srtp, Wrong> {
    match text {
        "off" => Ok(Srtp::Off),
        "offered" => Ok(Srtp::Offered),
        "required" => Ok(Srtp::Required),
        _ => Err(Wrong::Form),
    }
}

/// Whether a phone may be a browser.
pub(super) fn webrtc(text: &str) -> Result<Webrtc, Wrong> {
    match text {
        "auto" => Ok(Webrtc::Auto),
        "yes" => Ok(Webrtc::Yes),
        "no" => Ok(Webrtc::No),
        _ => Err(Wrong::Form),
    }
}

/// Whether browsers share ports.
pub(super) fn browser_ports(text: &str) -> Result<bool, Wrong> {
    match text {
        "shared" => Ok(true),
        "own" => Ok(false),
        _ => Err(Wrong::Form),
    }
}

/// What kind of file a recording is.
pub(super) fn format(text: &str) -> Result<Format, Wrong> {
    match text {
        "wav" => Ok(Format::Wav),
        "opus" => Ok(Format::Opus),
        _ => Err(Wrong::Form),
    }
}

/// How digits go to a peer and come from it.
pub(super) fn dtmf(text: &str) -> Result<Dtmf, Wrong> {
    match text {
        "auto" => Ok(Dtmf::Auto),
        "rfc4733" => Ok(Dtmf::Rfc4733),
        "info" => Ok(Dtmf::Info),
        "inband" => Ok(Dtmf::Inband),
        _ => Err(Wrong::Form),
    }
}

/// A gain in dB.
pub(super) fn gain(text: &str) -> Result<Gain, Wrong> {
    let db: i8 = text.parse().map_err(|_| Wrong::Form)?;
    if (-20..=20).contains(&db) {
        Ok(Gain::new(db))
    } else {
        Err(Wrong::Form)
    }
}

/// A digest algorithm's name.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "md5" => Ok(Algorithm::Md5),
        "sha-256" | "sha256" => Ok(Algorithm::Sha256),
        _ => Err(Wrong::Form),
    }
}

/// `198.51.100.0/24`, or one address.
pub(super) fn network(text: &str) -> Result<Network, Wrong> {
    let Some((addr, prefix)) = text.split_once('/') else {
        return unicast(text).map(Network::single);
    };
    let addr: IpAddr = addr.parse().map_err(|_| Wrong::Form)?;
    let width = if addr.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = whole(prefix, 0..=width)?;
    if prefix == 0 {
        return Err(Wrong::Because(format!(
            "{text} is everybody: every call would be taken for this carrier's."
        )));
    }
    let masked = mask(addr, prefix);
    if masked != addr {
        let text =
            format!("{text} has bits beyond its length. Write {masked}/{prefix} for the network, or {addr} alone.");
        return Err(Wrong::Because(text));
    }
    Ok(Network { addr, prefix })
}

fn mask(addr: IpAddr, prefix: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => {
            let keep = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & keep).into())
        }
        IpAddr::V6(v6) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & keep).into())
        }
    }
}

/// A carrier's peer.
pub(super) fn peer(text: &str) -> Result<Uri, Wrong> {
    server(text).and_then(|uri| if uri.user.is_none() { Ok(uri) } else { Err(Wrong::Form) })
}

/// Whom we call: a host, and perhaps a user of it.
pub(super) fn server(text: &str) -> Result<Uri, Wrong> {
    let uri = Uri::parse(text).map_err(|_| Wrong::Form)?;
    match uri.scheme {
        Scheme::Sip | Scheme::Sips => {}
        Scheme::Tel | Scheme::Other(_) => return Err(Wrong::Form),
    }
    let speaks = [Transport::Udp, Transport::Tcp, Transport::Tls];
    if let Some(name) = uri.params.value("transport")
        && !uri.transport().is_some_and(|transport| speaks.contains(&transport))
    {
        return Err(Wrong::Because(format!(
            "this node speaks udp, tcp and tls with peers, not {name}."
        )));
    }
    if uri.scheme == Scheme::Sips && uri.transport() == Some(Transport::Udp) {
        return Err(Wrong::Because(format!(
            "{text:?} asks for TLS over UDP, which does not exist. Write sips:HOST."
        )));
    }
    let is_plain = uri.password.is_none() && uri.headers.is_none() && uri.port != Some(0);
    let has_host = uri
        .host
        .ip()
        .map_or_else(|| uri.host != Host::Name("".into()), |ip| !ip.is_unspecified());
    if is_plain && has_host {
        Ok(uri)
    } else {
        Err(Wrong::Form)
    }
}

/// A name for nodes and trunks.
pub(super) fn label(text: &str) -> Result<String, Wrong> {
    let good = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if good { Ok(text.to_owned()) } else { Err(Wrong::Form) }
}

/// The user part of an address of record that needs no escapes (RFC 3261 25.1 `unreserved` and most of `user-unreserved`).
pub(super) fn user_name(text: &str) -> Result<String, Wrong> {
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.!~'&=+$".contains(&b));
    if good { Ok(text.to_owned()) } else { Err(Wrong::Form) }
}

/// `https://push.example.com:8443/wake?app=1`.
pub(super) fn http_url(text: &str) -> Result<HttpUrl, Wrong> {
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(Wrong::Form),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // Neither a user nor a fragment stands in what is sent, and what could end the request line is no part of a path.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if authority.contains('@') || !path.bytes().all(is_plain) {
        return Err(Wrong::Form);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| Wrong::Form)?)),
        Some(_) | None => (authority, None),
    };
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(HttpUrl {
        secure,
        host: Host::parse(host).map_err(|_| Wrong::Form)?,
        port: port.unwrap_or(if secure { 443 } else { 80 }),
        path,
    })
}

/// A domain name or address, in lower case; an IPv6 address in brackets.
pub(super) fn domain(text: &str) -> Result<String, Wrong> {
    if let Ok(ip) = unicast(text) {
        return Ok(Host::from(ip).to_string());
    }
    let name = text.to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let looks_like_address = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if name.len() <= 253 && !looks_like_address && name.split('.').all(is_label) {
        Ok(name)
    } else {
        Err(Wrong::Form)
    }
}

/// A domain as certificates have it: never an address.
pub(super) fn certificate_name(text: &str) -> Result<Box<str>, Wrong> {
    match unicast(text) {
        Ok(_) => Err(Wrong::Form),
        Err(_) => domain(text).map(String::into_boxed_str),
    }
}

/// What stands beside a number or as a realm: visible, short, without what would end a quoted string.
pub(super) fn visible(text: &str) -> Result<String, Wrong> {
    let good = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(Wrong::Form) }
}

/// A country of the table.
pub(super) fn country(text: &str) -> Result<Country, Wrong> {
    Country::find(text).ok_or_else(|| {
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
            let text = match text.to_ascii_uppercase().as_str() {
                // No other of the reserved codes of ISO 3166 is in such use.
                "UK" => "the code of the United Kingdom is GB (ISO 3166).".to_owned(),
                text => format!(
                    "the number table does not know {text}. Omit country, and write numbers in E.164 with a plus."
                ),
            };
            Wrong::Because(text)
        } else {
            Wrong::Form
        }
    })
}

/// `e164`, `plain`, `national`.
pub(super) fn number_format(text: &str) -> Result<NumberFormat, Wrong> {
    let all = [NumberFormat::E164, NumberFormat::Plain, NumberFormat::National];
    all.into_iter().find(|format| format.name() == text).ok_or(Wrong::Form)
}

/// Header fields that each leg writes for itself (RFC 3261 16 does not apply: this is no proxy).
const OWN_HEADERS: &[&str] = &[
    "accept",
    "allow",
    "allow-events",
    "authorization",
    "call-id",
    "contact",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-type",
    "cseq",
    "event",
    "expires",
    "from",
    "max-forwards",
    "min-expires",
    "min-se",
    "p-asserted-identity",
    "p-preferred-identity",
    "path",
    "privacy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-require",
    "rack",
    "reason",
    "record-route",
    "refer-to",
    "replaces",
    "require",
    "route",
    "rseq",
    "server",
    "service-route",
    "session-expires",
    "supported",
    "to",
    "unsupported",
    "user-agent",
    "via",
    "www-authenticate",
    "c",
    "e",
    "f",
    "i",
    "k",
    "l",
    "m",
    "o",
    "r",
    "t",
    "u",
    "v",
    "x",
];

/// A header field that may be carried from leg to leg.
pub(super) fn pass_header(text: &str) -> Result<String, Wrong> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(token) {
        return Err(Wrong::Form);
    }
    if OWN_HEADERS.contains(&text.to_ascii_lowercase().as_str()) {
        let text = format!("{text} is written by this node on each leg and cannot be carried over. Remove it.");
        return Err(Wrong::Because(text));
    }
    Ok(text.to_owned())
}

/// One of a few words, in lower case.
pub(super) fn one_of(text: &str, words: &[&str]) -> Result<String, Wrong> {
    let lower = text.to_ascii_lowercase();
    if words.contains(&lower.as_str()) {
        return Ok(lower);
    }
    match did_you_mean(text, words.iter().copied()) {
        meant if meant.is_empty() => Err(Wrong::Form),
        meant => Err(Wrong::Because(format!(
            "{text:?} is none of {}{meant}",
            words.join(", ")
        ))),
    }
}
