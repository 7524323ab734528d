//! Where a peer is (`a=candidate`, RFC 8839 5.1), and what it tells of that later, in INFO (trickle ICE: RFC 8838, and RFC 8840 for SIP).
//!
//! A browser finds the way to us by itself, whatever it tells: of its candidates only the form counts. Those of a peer that is ICE lite are what we
//! look among.
//!
//! ```text
//!   a=ice-ufrag:8hhY, a=ice-pwd:...     whose: another generation's are nobody's (RFC 8840 4.4)
//!   m=audio 9 RTP/AVP 0                 of which line, by its name alone
//!   a=mid:0
//!   a=candidate:1 1 UDP 2130706431 192.0.2.1 5010 typ host
//!   a=end-of-candidates                 no more will come
//! ```

use super::parse::SdpError;
use super::session::{Attribute, Media, Session};
use crate::limits;
use crate::media::command::{Connect, Credentials, Lite};
use crate::pii::Secret;
use std::net::{IpAddr, SocketAddr};

const UNNAMED: SdpError = SdpError::Malformed(
    "The fragment has no a=ice-ufrag and a=ice-pwd, which tell of which generation its candidates are (RFC 8840 4.4).",
);
const NO_LINE: SdpError = SdpError::Malformed(
    "Candidates of the fragment stand behind no a=mid, which tells of which line they are (RFC 8840 4.4).",
);

/// One candidate for RTP by UDP with an IP address, and its priority.
fn candidate(value: &str) -> Option<(u32, SocketAddr)> {
    let words: Vec<&str> = value.split_whitespace().take(6).collect();
    let &[_, "1", transport, priority, ip, port] = &words[..] else {
        return None;
    };
    let (ip, port): (IpAddr, u16) = ip.parse().ok().zip(port.parse().ok())?;
    let is_one = transport.eq_ignore_ascii_case("udp") && port > 0 && !ip.is_unspecified() && !ip.is_multicast();
    let priority = priority.parse::<u32>().ok().filter(|_| is_one)?;
    Some((priority, SocketAddr::new(ip, port)))
}

/// Of these lines, the best first.
fn best<'a>(values: impl Iterator<Item = &'a str>) -> Vec<SocketAddr> {
    let mut found: Vec<(u32, SocketAddr)> = values.take(limits::SDP_CANDIDATES).filter_map(candidate).collect();
    found.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    let mut best: Vec<SocketAddr> = Vec::with_capacity(limits::RTC_ADDRESSES);
    for (_, addr) in found {
        if best.len() < limits::RTC_ADDRESSES && !best.contains(&addr) {
            best.push(addr);
        }
    }
    best
}

/// `a=ice-ufrag` or `a=ice-pwd`: a word of so many characters at least (RFC 8839 5.4).
pub(super) fn word(text: &str, least: usize) -> Option<&str> {
    let is_ice = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let text = text.trim();
    ((least..=256).contains(&text.len()) && text.bytes().all(is_ice)).then_some(text)
}

/// What a peer's description says of where it is, if it is ICE lite.
pub(super) fn lite(session: &Session<'_>, media: &Media<'_>) -> Option<Lite> {
    session.attributes("ice-lite").next()?;
    let either = |name: &'static str| session.attributes(name).chain(media.attributes(name));
    let trickles = either("ice-options").any(|options| options.split_whitespace().any(|option| option == "trickle"));
    Some(Lite {
        candidates: best(media.attributes("candidate")),
        trickles: trickles && either("end-of-candidates").next().is_none(),
    })
}

/// What a peer has told after its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trickled {
    of: Credentials,
    candidates: Vec<SocketAddr>,
    is_last: bool,
}

impl Trickled {
    /// Reads a body of application/trickle-ice-sdpfrag (RFC 8840 9). `mids` are the names of our lines, without which all lines are ours; `None` where
    /// nothing in it is for them.
    ///
    /// # Errors
    /// 400 for a malformed body.
    pub(super) fn read(body: &[u8], mids: Option<&[&str]>) -> Result<Option<Trickled>, SdpError> {
        let fragment = Session::fragment(body)?;
        let ends = |attributes: &[Attribute<'_>]| said(attributes, "end-of-candidates").next().is_some();
        let mut told: Option<Trickled> = None;
        let of_all = credentials(&fragment.attributes)?;
        let mut is_named = of_all.is_some();
        for line in &fragment.media {
            let mid = said(&line.attributes, "mid").next();
            let candidates = best(said(&line.attributes, "candidate"));
            let Some(mid) = mid else {
                match said(&line.attributes, "candidate").next() {
                    Some(_) => return Err(NO_LINE),
                    None => continue,
                }
            };
            // Names stand where the description has them: in a bundle only one line may have some (RFC 8840 4.4, RFC 8843 7.1.3).
            let Some(of) = credentials(&line.attributes)?.or_else(|| of_all.clone()) else {
                continue;
            };
            is_named = true;
            if mids.is_none_or(|mids| mids.contains(&mid.trim())) {
                let is_last = ends(&line.attributes);
                add(&mut told, of, candidates, is_last);
            }
        }
        if !is_named {
            return Err(UNNAMED);
        }
        let is_last = ends(&fragment.attributes);
        match (&mut told, of_all) {
            (Some(told), _) => told.is_last |= is_last,
            (None, Some(of)) if is_last || fragment.media.is_empty() => add(&mut told, of, Vec::new(), is_last),
            (None, Some(_) | None) => {}
        }
        if let Some(told) = &mut told {
            told.candidates.truncate(limits::RTC_ADDRESSES);
        }
        Ok(told)
    }

    /// By whom it is told.
    pub(super) fn of(&self) -> &Credentials {
        &self.of
    }

    /// It is of this generation of this peer.
    pub fn is_of(&self, theirs: &Credentials) -> bool {
        self.of == *theirs
    }

    /// Adds more of the same generation.
    pub(super) fn and(self, more: &Trickled) -> Trickled {
        let mut lite = Lite {
            candidates: self.candidates,
            trickles: !self.is_last,
        };
        more.add_to(&mut lite);
        Trickled {
            of: self.of,
            candidates: lite.candidates,
            is_last: !lite.trickles,
        }
    }

    /// Adds it to what is known of a peer that is lite, where it is the same generation. True if that says something new.
    pub fn join(&self, connect: &mut Connect) -> bool {
        let lite = connect.lite.as_mut().filter(|_| connect.theirs == self.of);
        lite.is_some_and(|lite| self.add_to(lite))
    }

    /// What was told before is told again (RFC 8840 4.4), and nothing counts after the end (RFC 8838 14).
    fn add_to(&self, lite: &mut Lite) -> bool {
        let before = (lite.candidates.len(), lite.trickles);
        if lite.trickles {
            for candidate in &self.candidates {
                if lite.candidates.len() < limits::RTC_ADDRESSES && !lite.candidates.contains(candidate) {
                    lite.candidates.push(*candidate);
                }
            }
            lite.trickles = !self.is_last;
        }
        before != (lite.candidates.len(), lite.trickles)
    }
}

fn add(told: &mut Option<Trickled>, of: Credentials, candidates: Vec<SocketAddr>, is_last: bool) {
    match told {
        // Who shares one way has one name (RFC 8859).
        Some(told) if told.of == of => {
            told.candidates.extend(candidates);
            told.is_last |= is_last;
        }
        Some(_) => {}
        None => {
            *told = Some(Trickled {
                of,
                candidates,
                is_last,
            });
        }
    }
}

/// Values of an attribute; its name may be written in any case (RFC 8840 9.2).
fn said<'a>(attributes: &'a [Attribute<'_>], name: &'static str) -> impl Iterator<Item = &'a str> {
    let own = attributes.iter().filter(move |own| own.name.eq_ignore_ascii_case(name));
    own.map(|own| own.value.as_deref().unwrap_or_default())
}

/// Whose they are: both names, or neither.
fn credentials(attributes: &[Attribute<'_>]) -> Result<Option<Credentials>, SdpError> {
    let (ufrag, pwd) = (said(attributes, "ice-ufrag").next(), said(attributes, "ice-pwd").next());
    if ufrag.is_none() && pwd.is_none() {
        return Ok(None);
    }
    let both = ufrag
        .and_then(|ufrag| word(ufrag, 4))
        .zip(pwd.and_then(|pwd| word(pwd, 22)));
    let (ufrag, pwd) = both.ok_or(UNNAMED)?;
    Ok(Some(Credentials {
        ufrag: ufrag.into(),
        pwd: Secret::new(pwd),
    }))
}

#[cfg(test)]
mod tests;
