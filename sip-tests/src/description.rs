//! Session descriptions of the peers: written by hand, read by looking for lines, apart from the code under test.

use std::net::{IpAddr, SocketAddr};

/// A payload type with its name: `0 PCMU/8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Payload type.
    pub pt: u8,
    /// As in rtpmap.
    pub name: String,
    /// As in fmtp.
    pub fmtp: Option<String>,
}

impl Format {
    /// A format without parameters.
    pub fn new(pt: u8, name: &str) -> Format {
        Format {
            pt,
            name: name.to_owned(),
            fmtp: None,
        }
    }

    /// With parameters.
    pub fn fmtp(mut self, text: &str) -> Format {
        self.fmtp = Some(text.to_owned());
        self
    }

    /// True for RFC 4733 events.
    pub fn is_event(&self) -> bool {
        self.name.to_ascii_lowercase().starts_with("telephone-event")
    }
}

/// G.711 mu-law.
pub fn pcmu() -> Format {
    Format::new(0, "PCMU/8000")
}

/// G.711 A-law.
pub fn pcma() -> Format {
    Format::new(8, "PCMA/8000")
}

/// G.722 as RFC 3551 4.5.2 writes it.
pub fn g722() -> Format {
    Format::new(9, "G722/8000")
}

/// Opus as RFC 7587 writes it.
pub fn opus() -> Format {
    Format::new(111, "opus/48000/2").fmtp("minptime=10;useinbandfec=1")
}

/// Telephone events at 8 kHz.
pub fn events() -> Format {
    Format::new(101, "telephone-event/8000").fmtp("0-16")
}

/// One audio stream, and raw lines for everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Address and port of the audio stream.
    pub at: SocketAddr,
    /// In order of preference.
    pub formats: Vec<Format>,
    /// `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    pub direction: String,
    /// `a=ptime`.
    pub ptime: Option<u8>,
    /// `a=rtcp`.
    pub rtcp: Option<u16>,
    /// Writes `c=0.0.0.0` in place of the address: hold as in RFC 2543.
    pub zero: bool,
    /// Writes port 9 and `c=0.0.0.0`: its candidates will come later (RFC 8840 4.1.1).
    pub nowhere: bool,
    /// Lines before the streams.
    pub head: Vec<String>,
    /// `o=` version.
    pub version: u64,
    /// More m-sections, each with its own lines, placed before (true) or behind the audio.
    pub others: Vec<(bool, String)>,
    /// More lines within the audio section.
    pub lines: Vec<String>,
}

impl Description {
    /// A plain sendrecv stream.
    pub fn new(at: SocketAddr, formats: Vec<Format>) -> Description {
        Description {
            at,
            formats,
            direction: "sendrecv".into(),
            ptime: Some(20),
            rtcp: None,
            zero: false,
            nowhere: false,
            head: Vec::new(),
            version: 1,
            others: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// As text.
    pub fn write(&self) -> String {
        let (family, ip) = (if self.at.is_ipv4() { "IP4" } else { "IP6" }, self.at.ip());
        let shown = if self.zero || self.nowhere {
            "0.0.0.0".to_owned()
        } else {
            ip.to_string()
        };
        let mut text = format!(
            "v=0\r\no=peer {} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {shown}\r\nt=0 0\r\n",
            7000 + u64::from(self.at.port()),
            self.version
        );
        self.head.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
        self.others
            .iter()
            .filter(|(before, _)| *before)
            .for_each(|(_, lines)| text.push_str(lines));
        let port = if self.nowhere { 9 } else { self.at.port() };
        let pts: Vec<String> = self.formats.iter().map(|format| format.pt.to_string()).collect();
        let is_browser = self.lines.iter().any(|line| line.starts_with("a=fingerprint:"));
        let proto = if is_browser { "UDP/TLS/RTP/SAVPF" } else { "RTP/AVP" };
        text.push_str(&format!("m=audio {port} {proto} {}\r\n", pts.join(" ")));
        for format in &self.formats {
            text.push_str(&format!("a=rtpmap:{} {}\r\n", format.pt, format.name));
            if let Some(fmtp) = &format.fmtp {
                text.push_str(&format!("a=fmtp:{} {fmtp}\r\n", format.pt));
            }
        }
        if let Some(ptime) = self.ptime {
            text.push_str(&format!("a=ptime:{ptime}\r\n"));
        }
        if let Some(rtcp) = self.rtcp {
            text.push_str(&format!("a=rtcp:{rtcp}\r\n"));
        }
        self.lines.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
        text.push_str(&format!("a={}\r\n", self.direction));
        self.others
            .iter()
            .filter(|(before, _)| !before)
            .for_each(|(_, lines)| text.push_str(lines));
        text
    }

    /// Reads the first audio stream of a description, whose port may be 0; the other sections as they are.
    pub fn read(text: &str) -> Option<Description> {
        let mut session_ip: Option<IpAddr> = None;
        let mut found: Option<Description> = None;
        let mut in_audio = false;
        let mut others: Vec<(bool, String)> = Vec::new();
        for line in text.lines() {
            let (kind, value) = line.split_once('=')?;
            if let Some((_, section)) = others.last_mut().filter(|_| !in_audio && kind != "m") {
                section.push_str(&format!("{line}\r\n"));
            }
            match kind {
                "m" => {
                    in_audio = value.starts_with("audio ") && found.is_none();
                    if in_audio {
                        found = Some(read_audio(value, session_ip?)?);
                    } else {
                        others.push((found.is_none(), format!("{line}\r\n")));
                    }
                }
                "c" => {
                    let ip = value.split(' ').nth(2)?.split('/').next()?.parse().ok()?;
                    match (&mut found, in_audio) {
                        (Some(found), true) => found.at.set_ip(ip),
                        (None, _) => session_ip = Some(ip),
                        (Some(_), false) => {}
                    }
                }
                "o" => session_ip = session_ip.or(value.rsplit(' ').next()?.parse().ok()),
                "a" if in_audio => read_attribute(found.as_mut()?, value),
                _ => {}
            }
        }
        if let Some(found) = &mut found {
            let version = text
                .lines()
                .find_map(|line| line.strip_prefix("o=")?.split(' ').nth(2)?.parse().ok());
            found.version = version?;
            found.others = others;
        }
        found
    }

    /// The format with this encoding name, without case.
    pub fn format(&self, name: &str) -> Option<&Format> {
        self.formats
            .iter()
            .find(|format| format.name.to_ascii_lowercase().starts_with(&name.to_ascii_lowercase()))
    }

    /// The first format that is no telephone event.
    pub fn audio(&self) -> Option<&Format> {
        self.formats.iter().find(|format| !format.is_event())
    }
}

fn read_audio(value: &str, ip: IpAddr) -> Option<Description> {
    let mut words = value.split(' ');
    let port = words.nth(1)?.parse().ok()?;
    let formats = words.skip(1).filter_map(|pt| pt.parse().ok());
    let formats = formats.map(|pt| Format::new(pt, static_name(pt))).collect();
    let mut description = Description::new(SocketAddr::new(ip, port), formats);
    description.ptime = None;
    Some(description)
}

fn static_name(pt: u8) -> &'static str {
    match pt {
        0 => "PCMU/8000",
        8 => "PCMA/8000",
        9 => "G722/8000",
        _ => "",
    }
}

fn read_attribute(into: &mut Description, value: &str) {
    let (name, rest) = value.split_once(':').unwrap_or((value, ""));
    match name {
        "sendrecv" | "sendonly" | "recvonly" | "inactive" => into.direction = name.to_owned(),
        "ptime" => into.ptime = rest.parse().ok(),
        "rtcp" => into.rtcp = rest.split(' ').next().and_then(|port| port.parse().ok()),
        "rtpmap" | "fmtp" => {
            let (pt, text) = rest.split_once(' ').unwrap_or_default();
            if let Some(format) = into.formats.iter_mut().find(|format| format.pt.to_string() == pt) {
                if name == "rtpmap" {
                    format.name = text.to_owned();
                } else {
                    format.fmtp = Some(text.to_owned());
                }
            }
        }
        _ => into.lines.push(format!("a={value}")),
    }
}

/// Our answer to an offer: our formats that it has too, with its payload types, in its order; `None` when there is none.
pub fn answer(offer: &Description, ours: &[Format], at: SocketAddr) -> Option<Description> {
    let same = |a: &Format, b: &Format| {
        let key = |format: &Format| format.name.to_ascii_lowercase().trim_end_matches("/1").to_owned();
        key(a) == key(b)
    };
    let common: Vec<Format> = offer
        .formats
        .iter()
        .filter(|theirs| ours.iter().any(|own| same(own, theirs)))
        .cloned()
        .collect();
    if !common.iter().any(|format| !format.is_event()) {
        return None;
    }
    let mut answer = Description::new(at, common);
    answer.direction = match offer.direction.as_str() {
        "sendonly" => "recvonly",
        "recvonly" => "sendonly",
        "inactive" => "inactive",
        _ if offer.at.ip().is_unspecified() => "recvonly",
        _ => "sendrecv",
    }
    .into();
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let mut offer = Description::new("192.0.2.1:4000".parse().unwrap(), vec![opus(), pcma(), events()]);
        offer.others.push((true, "m=video 0 RTP/AVP 31\r\n".into()));
        let back = Description::read(&offer.write()).unwrap();
        assert_eq!(
            (back.at, &back.formats, back.ptime),
            (offer.at, &offer.formats, Some(20))
        );
        offer.direction = "sendonly".into();
        let answer = answer(&offer, &[pcma(), events()], "192.0.2.9:4444".parse().unwrap()).unwrap();
        assert_eq!((answer.direction.as_str(), answer.formats.len()), ("recvonly", 2));
    }
}
