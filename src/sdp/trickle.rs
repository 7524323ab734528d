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
    let ip = ip.to_canonical();
    let is_one = transport.eq_ignore_ascii_case("udp") && port > 0 && !ip.is_unspecified() && !ip.is_multicast();
    let priority = priority.parse::<u32>().ok().filter(|_| is_one)?;
    Some((priority, SocketAddr::new(ip, port)))
}

/// From our address a check can come there: it is of the same family, and no host but ours is at a loopback address.
fn is_in_reach(own: IpAddr, there: IpAddr) -> bool {
    own.is_ipv4() == there.is_ipv4() && (own.is_loopback() || !there.is_loopback())
}

/// Of these lines, the best first: those that are in reach of this address of ours.
fn best<'a>(own: IpAddr, values: impl Iterator<Item = &'a str>) -> Vec<SocketAddr> {
    let found = values.take(limits::SDP_CANDIDATES).filter_map(candidate);
    let mut found: Vec<(u32, SocketAddr)> = found.filter(|(_, addr)| is_in_reach(own, addr.ip())).collect();
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

/// What a peer's description says of where it is, if it is ICE lite; `own` is the address of our media.
pub(super) fn lite(session: &Session<'_>, media: &Media<'_>, own: IpAddr) -> Option<Lite> {
    session.attributes("ice-lite").next()?;
    let either = |name: &'static str| session.attributes(name).chain(media.attributes(name));
    let trickles = either("ice-options").any(|options| options.split_whitespace().any(|option| option == "trickle"));
    Some(Lite {
        candidates: best(own, media.attributes("candidate")),
        trickles: trickles && either("end-of-candidates").next().is_none(),
    })
}

/// What a peer has told after its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trickled {
    of: Credentials,
    lite: Lite,
}

impl Trickled {
    /// Reads a body of application/trickle-ice-sdpfrag (RFC 8840 9). `mids` are the names of our lines, without which all lines are ours, and `own` is the address of
    /// our media; `None` where nothing in it is for them.
    ///
    /// # Errors
    /// 400 for a malformed body.
    pub(super) fn read(body: &[u8], mids: Option<&[&str]>, own: IpAddr) -> Result<Option<Trickled>, SdpError> {
        let fragment = Session::fragment(body)?;
        let ends = |attributes: &[Attribute<'_>]| said(attributes, "end-of-candidates").next().is_some();
        let (mut told, mut is_last): (Option<Trickled>, _) = (None, false);
        let of_all = credentials(&fragment.attributes)?;
        let mut is_named = of_all.is_some();
        for line in &fragment.media {
            let mid = said(&line.attributes, "mid").next();
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
            if mids.is_some_and(|mids| !mids.contains(&mid.trim())) {
                continue;
            }
            let more = Trickled::new(of, best(own, said(&line.attributes, "candidate")));
            match &mut told {
                // Who shares one way has one name (RFC 8859).
                Some(told) if told.of != more.of => continue,
                Some(told) => drop(told.add(&more)),
                None => told = Some(more),
            }
            is_last |= ends(&line.attributes);
        }
        if !is_named {
            return Err(UNNAMED);
        }
        let all_end = ends(&fragment.attributes);
        if all_end || fragment.media.is_empty() {
            told = told.or_else(|| of_all.map(|of| Trickled::new(of, Vec::new())));
        }
        if let Some(told) = &mut told {
            told.lite.trickles = !(is_last || all_end);
        }
        Ok(told)
    }

    /// These, and more may come.
    fn new(of: Credentials, candidates: Vec<SocketAddr>) -> Trickled {
        let trickles = true;
        Trickled {
            of,
            lite: Lite { candidates, trickles },
        }
    }

    /// By whom it is told, and of which generation.
    pub fn of(&self) -> &Credentials {
        &self.of
    }

    /// Adds more of the same generation. True if that says something new.
    pub(super) fn add(&mut self, more: &Trickled) -> bool {
        add(&mut self.lite, &more.lite)
    }

    /// Adds it to what is known of a peer that is lite, where it is the same generation. True if that says something new.
    pub fn join(&self, connect: &mut Connect) -> bool {
        let lite = connect.lite.as_mut().filter(|_| connect.theirs == self.of);
        lite.is_some_and(|lite| add(lite, &self.lite))
    }
}

/// What was told before is told again (RFC 8840 4.4), and nothing counts after the end (RFC 8838 14). True if more says something new.
fn add(known: &mut Lite, more: &Lite) -> bool {
    if !known.trickles {
        return false;
    }
    let before = known.candidates.len();
    for candidate in &more.candidates {
        if known.candidates.len() < limits::RTC_ADDRESSES && !known.candidates.contains(candidate) {
            known.candidates.push(*candidate);
        }
    }
    known.trickles = more.trickles;
    !more.trickles || known.candidates.len() > before
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
