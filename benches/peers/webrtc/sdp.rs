//! What browsers say of themselves: offers, and answers to Janus, which offers to who subscribes.

use super::browser::Browser;
use std::fmt::Write;

/// Payload types of our offers.
pub const OPUS: u8 = 111;
pub const VP8: u8 = 96;

/// A medium of an offer.
#[derive(Clone, Copy)]
pub enum Medium {
    /// Opus, with forward error correction or without.
    Opus {
        fec: bool,
    },
    /// Opus of which nothing is sent while nobody speaks (RFC 7587 6.1: usedtx).
    Silence,
    Vp8,
}

/// One line of an offer: what, in which direction, and by which SSRC it is sent, if it is.
#[derive(Clone, Copy)]
pub struct Line(pub Medium, pub &'static str, pub Option<u32>);

/// An offer with all lines in one bundle (RFC 8843).
pub fn offer(browser: &Browser, lines: &[Line]) -> String {
    let (ip, port) = (browser.place().ip().to_owned(), browser.place().port());
    let mids: Vec<String> = (0..lines.len()).map(|mid| mid.to_string()).collect();
    let mut text = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
        mids.join(" ")
    );
    for (mid, Line(medium, direction, ssrc)) in mids.iter().zip(lines) {
        let head = match medium {
            Medium::Opus { .. } | Medium::Silence => format!("m=audio {port} UDP/TLS/RTP/SAVPF {OPUS}"),
            Medium::Vp8 => format!("m=video {port} UDP/TLS/RTP/SAVPF {VP8}"),
        };
        // It cannot fail: a `String` grows.
        let _ = write!(
            text,
            "{head}\r\nc=IN IP4 {ip}\r\na=mid:{mid}\r\na={direction}\r\n{}{}",
            browser.transport("actpass"),
            format(*medium)
        );
        if let Some(ssrc) = ssrc {
            let _ = write!(text, "a=ssrc:{ssrc} cname:bench\r\n");
        }
    }
    text
}

fn format(medium: Medium) -> String {
    match medium {
        Medium::Opus { fec } => format!(
            "a=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} minptime=10;useinbandfec={}\r\n",
            u8::from(fec)
        ),
        Medium::Silence => format!("a=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} minptime=10;usedtx=1\r\n"),
        Medium::Vp8 => format!(
            "a=rtpmap:{VP8} VP8/90000\r\na=rtcp-fb:{VP8} nack\r\na=rtcp-fb:{VP8} nack pli\r\na=rtcp-fb:{VP8} ccm fir\r\n\
             a=rtcp-fb:{VP8} goog-remb\r\n"
        ),
    }
}

/// The answer to an offer of one line, of who only receives, and its payload type.
pub fn answer(browser: &Browser, offer: &str) -> Result<(String, u8), String> {
    let line = |start: &str| {
        let found = offer.lines().find_map(|line| line.strip_prefix(start));
        found.ok_or_else(|| format!("no {start} in the offer:\n{offer}"))
    };
    let (ip, port) = (browser.place().ip().to_owned(), browser.place().port());
    let mut media = line("m=")?.split_whitespace();
    let kind = media.next().unwrap_or_default();
    let payload_type: u8 = media
        .nth(2)
        .and_then(|number| number.parse().ok())
        .ok_or("an offer without a format")?;
    let mid = line("a=mid:")?.trim();
    let map = line(&format!("a=rtpmap:{payload_type} "))?.trim();
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\nm={kind} {port} UDP/TLS/RTP/SAVPF {payload_type}\r\n\
         c=IN IP4 {ip}\r\na=mid:{mid}\r\na=recvonly\r\n{}a=rtpmap:{payload_type} {map}\r\n",
        browser.transport("active")
    );
    Ok((text, payload_type))
}
