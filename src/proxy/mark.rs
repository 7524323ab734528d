//! What the proxy writes into a request to know it again without keeping anything: the branch of our Via, which tells a loop from a
//! spiral (RFC 5393 4.2), and the user part of our Record-Route, which proves that a dialog was set up through us and says by which
//! flows its ends are reached (as the flow tokens of RFC 5626 5.3.1).

use crate::cx::Cx;
use crate::id::{ConnectionId, ContextId, Flow, ListenerId, Transport};
use crate::keyed::{self, push_hex};
use crate::limits;
use crate::marker::{Marker, Origin, TOKEN_MARK};
use crate::sip::{Message, Name};
use crate::time::Wall;
use crate::transaction::COOKIE;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Hex digits of a mark, and of the random part of a branch.
const MARK: u32 = 16;
/// Hex digits of a context's name in a branch.
const ID: u32 = 10;
/// Characters of a flow in a token, where both its addresses are IPv4.
const FLOW: usize = 45;
/// Hex digits of a day.
const DAY: usize = 4;
/// What the user part of our Record-Route begins with.
const TOKEN: &str = "tw-";

/// The keys of all marks. A mark is half of the keyed hash: who sees marks, as many as he likes, can make none of his own but by
/// guessing 64 bits against a running node.
#[derive(Debug)]
pub struct Marks {
    /// Of branches: they mean contexts of this process.
    key: keyed::Key,
    /// Of Record-Route: dialogs between phones outlive the process.
    dialogs: keyed::Key,
}

/// Whether a request was here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Never.
    Never,
    /// With another target: it spirals, and was admitted when it came first, which is not over yet.
    Spiral,
    /// As it is now.
    Looped,
}

/// The flows by which the ends of a dialog are reached, where they are directly connected to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Of the one who sent the first request.
    pub caller: Option<Flow>,
    /// Of the one who answered it.
    pub callee: Option<Flow>,
}

/// What our own Route value says of a request within a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The one who sent the dialog's first request sends this one, too.
    pub from_caller: bool,
    /// Flows.
    pub ends: Ends,
}

impl Passage {
    /// The flow to the other end.
    pub fn flow(&self) -> Option<Flow> {
        if self.from_caller {
            self.ends.callee
        } else {
            self.ends.caller
        }
    }
}

impl Marks {
    /// With this key, until [`Marks::set_dialogs`] says another for Record-Route.
    pub fn new(key: keyed::Key) -> Marks {
        Marks { key, dialogs: key }
    }

    /// A key that outlives the process.
    pub fn set_dialogs(&mut self, key: keyed::Key) {
        self.dialogs = key;
    }

    /// A branch for a request that this context sends on: its name and chance, then the mark of what decides the request's way (RFC
    /// 5393 4.2.1), then a seal.
    pub fn branch(&self, cx: &mut Cx<'_>, id: ContextId, request: &Message) -> String {
        let name = (id.0 & ((1 << (4 * ID)) - 1)) << (4 * (MARK - ID)) | cx.random() >> (4 * ID);
        let mut text = String::with_capacity(COOKIE.len() + 3 * MARK as usize + 2 + 13);
        text.push_str(COOKIE);
        push_hex(&mut text, &name.to_be_bytes());
        text.push('.');
        push_hex(&mut text, &self.way(request).to_be_bytes());
        text.push('.');
        let seal = self.seal(request, &text[COOKIE.len()..COOKIE.len() + MARK as usize]);
        push_hex(&mut text, &seal.to_be_bytes());
        cx.marker.mark_branch(cx.now, &mut text);
        text
    }

    /// The branch of an ACK of a 2xx, which is the same for each copy of it (RFC 3261 16.11).
    pub fn stateless_branch(&self, ack: &Message) -> String {
        let via = ack.get(Name::Via).unwrap_or_default();
        let mut text = COOKIE.to_owned();
        push_hex(
            &mut text,
            &mark(self.key, &[b"ack", via.as_bytes(), ack.call_id_octets()]).to_be_bytes(),
        );
        text
    }

    /// Looks for our own Vias in a request. `is_live` says whether a context still waits for an answer: only then does its Via vouch
    /// for the sender, so that nobody can use what was once sent to him.
    pub fn passed(&self, request: &Message, is_live: impl Fn(ContextId) -> bool) -> Passed {
        let mut passed = Passed::Never;
        for branch in request.branches().take(limits::LOOP_VIAS) {
            let Some((id, way)) = self.read_branch(request, &branch) else {
                continue;
            };
            if way == self.way(request) {
                return Passed::Looped;
            }
            if is_live(id) {
                passed = Passed::Spiral;
            }
        }
        passed
    }

    /// The context and the way's mark in a branch of ours.
    fn read_branch(&self, request: &Message, branch: &str) -> Option<(ContextId, u64)> {
        let mut parts = branch.strip_prefix(COOKIE)?.split('.');
        let (name, way, seal) = (parts.next()?, parts.next()?, parts.next()?);
        // Behind it is what the guard looks at.
        let is_form = parts.nth(1).is_none() && [name, way, seal].iter().all(|part| part.len() == MARK as usize);
        if !is_form || read_mark(seal)? != self.seal(request, name) {
            return None;
        }
        let id = u64::from_str_radix(name.get(..ID as usize)?, 16).ok()?;
        Some((ContextId(id), read_mark(way)?))
    }

    /// The received Request-URI and Route decide where a request goes; what names the request keeps apart those of others.
    fn way(&self, request: &Message) -> u64 {
        let mut hash = self.key.start();
        for part in [&b"way"[..], request.call_id_octets(), request.uri_octets()] {
            hash.part(part);
        }
        for route in request.values(Name::Route) {
            hash.part(route.as_bytes());
        }
        low(hash)
    }

    /// From as it stands, the method, and the number of CSeq.
    fn seal(&self, request: &Message, random: &str) -> u64 {
        let mut hash = self.key.start();
        let from = request.get(Name::From).unwrap_or_default();
        for part in [
            &b"seal"[..],
            random.as_bytes(),
            request.call_id_octets(),
            from.as_bytes(),
            request.method().as_str().as_bytes(),
        ] {
            hash.part(part);
        }
        hash.number(request.cseq_number().into());
        low(hash)
    }

    /// The user part of our Record-Route in the first request of a dialog, which `origin` sent at this time.
    pub fn token(&self, marker: &Marker, (origin, at): (Origin, Wall), request: &Message, ends: &Ends) -> String {
        let mut text = String::with_capacity(TOKEN.len() + 2 * FLOW + DAY + MARK as usize + TOKEN_MARK);
        text.push_str(TOKEN);
        for flow in [ends.caller, ends.callee] {
            write_flow(&mut text, flow);
        }
        push_hex(&mut text, &day(at).to_be_bytes());
        let tag = request.tag_octets(Name::From);
        let seal = mark(
            self.dialogs,
            &[b"route", text.as_bytes(), request.call_id_octets(), &tag],
        );
        push_hex(&mut text, &seal.to_be_bytes());
        marker.mark_token(origin, &mut text);
        text
    }

    /// Reads it back in a request of that dialog; nothing where it is not ours, of another dialog, or too old: a dialog may be over for
    /// long, and who was in it is still let through by it.
    pub fn read_token(&self, now: Wall, request: &Message, user: &str) -> Option<Passage> {
        // The guard has looked at what is behind the seal.
        let (sealed, _) = user.split_at_checked(user.len().checked_sub(TOKEN_MARK)?)?;
        let (text, seal) = sealed.split_at_checked(sealed.len().checked_sub(MARK as usize)?)?;
        let rest = text.strip_prefix(TOKEN)?;
        let seal = read_mark(seal)?;
        let is_of = |name: Name| {
            let tag = request.tag_octets(name);
            let parts = [b"route", text.as_bytes(), request.call_id_octets(), &tag];
            seal == mark(self.dialogs, &parts)
        };
        let from_caller = is_of(Name::From);
        if !from_caller && !is_of(Name::To) {
            return None;
        }
        let (caller, rest) = read_flow(rest)?;
        let (callee, rest) = read_flow(rest)?;
        let made = u16::from_str_radix(rest, 16).ok().filter(|_| rest.len() == DAY)?;
        let is_young = day(now).saturating_sub(made) <= limits::DIALOG_DAYS;
        let ends = Ends { caller, callee };
        is_young.then_some(Passage { from_caller, ends })
    }
}

fn mark(key: keyed::Key, parts: &[&[u8]]) -> u64 {
    let mut hash = key.start();
    for part in parts {
        hash.part(part);
    }
    low(hash)
}

/// Days since 1970.
fn day(at: Wall) -> u16 {
    u16::try_from(at.as_secs() / 86_400).unwrap_or(u16::MAX)
}

/// The half of a hash that a mark is.
fn low(hash: keyed::Hash) -> u64 {
    hash.finish()
}

/// A mark as we write it; one in other digits is none. What is read is compared as a number, so that the time tells nothing.
fn read_mark(text: &str) -> Option<u64> {
    let is_ours = text.len() == MARK as usize && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_ours {
        u64::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

fn write_flow(text: &mut String, flow: Option<Flow>) {
    let Some(flow) = flow else { return text.push('n') };
    text.push(match (flow.transport, flow.peer.is_ipv4()) {
        (Transport::Udp, true) => 'u',
        (Transport::Udp, false) => 'U',
        (Transport::Tcp, true) => 't',
        (Transport::Tcp, false) => 'T',
        (Transport::Tls, true) => 's',
        (Transport::Tls, false) => 'S',
        (Transport::Ws, true) => 'w',
        (Transport::Ws, false) => 'W',
        (Transport::Wss, true) => 'x',
        (Transport::Wss, false) => 'X',
    });
    push_hex(text, &flow.listener.0.to_be_bytes());
    push_hex(text, &flow.connection.0.to_be_bytes());
    for addr in [flow.local, flow.peer] {
        match addr.ip() {
            IpAddr::V4(ip) => push_hex(text, &ip.octets()),
            IpAddr::V6(ip) => push_hex(text, &ip.octets()),
        }
        push_hex(text, &addr.port().to_be_bytes());
    }
}

fn read_flow(text: &str) -> Option<(Option<Flow>, &str)> {
    let kind = text.chars().next()?;
    let mut rest = text.get(1..)?;
    let (transport, v4) = match kind {
        'n' => return Some((None, rest)),
        'u' => (Transport::Udp, true),
        'U' => (Transport::Udp, false),
        't' => (Transport::Tcp, true),
        'T' => (Transport::Tcp, false),
        's' => (Transport::Tls, true),
        'S' => (Transport::Tls, false),
        'w' => (Transport::Ws, true),
        'W' => (Transport::Ws, false),
        'x' => (Transport::Wss, true),
        'X' => (Transport::Wss, false),
        _no_flow => return None,
    };
    let mut number = |digits: usize| {
        let (head, tail) = rest.split_at_checked(digits)?;
        rest = tail;
        u128::from_str_radix(head, 16).ok()
    };
    let listener = ListenerId(u16::try_from(number(4)?).ok()?);
    let connection = ConnectionId(u64::try_from(number(16)?).ok()?);
    let mut addr = || {
        let ip = match v4 {
            true => IpAddr::V4(Ipv4Addr::from(u32::try_from(number(8)?).ok()?)),
            false => IpAddr::V6(Ipv6Addr::from(number(32)?)),
        };
        Some(SocketAddr::new(ip, u16::try_from(number(4)?).ok()?))
    };
    let (local, peer) = (addr()?, addr()?);
    let flow = Flow {
        transport,
        listener,
        connection,
        local,
        peer,
    };
    Some((Some(flow), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    const MADE: Wall = Wall(1_767_225_600_000);

    fn request(uri: &str, from: &str, to: &str, via: &str) -> Message {
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n{via}From: <sip:a@x>;tag={from}\r\n\
             To: <sip:b@x>{to}\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn flow(transport: Transport, local: &str, peer: &str) -> Flow {
        Flow {
            transport,
            listener: ListenerId(3),
            connection: ConnectionId(77),
            local: local.parse().unwrap(),
            peer: peer.parse().unwrap(),
        }
    }

    #[test]
    fn a_token_is_read_back_in_its_dialog_only() {
        let marks = Marks::new(keyed::Key::new([1; 16]));
        let ends = Ends {
            caller: Some(flow(Transport::Udp, "192.0.2.1:5060", "198.51.100.7:40000")),
            callee: Some(flow(Transport::Tcp, "[2001:db8::1]:5060", "[2001:db8::2]:1")),
        };
        let token = marks.token(
            &Marker::UNKEYED,
            (Origin::default(), MADE),
            &request("sip:b@x", "1", "", ""),
            &ends,
        );
        let read_at =
            |at, from: &str, to: &str, token: &str| marks.read_token(at, &request("sip:b@x", from, to, ""), token);
        let read = |from: &str, to: &str, token: &str| read_at(MADE, from, to, token);
        let later = |days: u16| MADE + Duration::from_secs(u64::from(days) * 86_400);
        assert!(read_at(later(limits::DIALOG_DAYS), "1", "", &token).is_some());
        assert!(read_at(later(limits::DIALOG_DAYS + 1), "1", "", &token).is_none());
        let passage = read("1", ";tag=2", &token).unwrap();
        assert_eq!(
            (passage.from_caller, passage.ends, passage.flow()),
            (true, ends, ends.callee)
        );
        let back = read("2", ";tag=1", &token).unwrap();
        assert_eq!((back.from_caller, back.flow()), (false, ends.caller));
        assert_eq!(read("3", ";tag=2", &token), None);
        for at in 0..token.len() - TOKEN_MARK {
            let mut other = token.clone().into_bytes();
            other[at] ^= 1;
            assert_eq!(read("1", ";tag=2", &String::from_utf8(other).unwrap()), None);
        }
        for odd in [
            "",
            "tw-",
            "alice",
            "tw-nn0000000000000000",
            "ü\u{1F600}ü\u{1F600}ü\u{1F600}üxx",
        ] {
            assert_eq!(read("1", "", odd), None, "{odd}");
        }
    }

    #[test]
    fn a_loop_is_told_from_a_spiral_and_a_forged_via_from_ours() {
        let (marks, others) = (
            Marks::new(keyed::Key::new([1; 16])),
            Marks::new(keyed::Key::new([2; 16])),
        );
        let first = request("sip:b@x", "1", "", "");
        let branch = |marks: &Marks| {
            let random = "0123456789abcdef";
            format!(
                "{COOKIE}{random}.{:016x}.{:016x}.0000deadbeef",
                marks.way(&first),
                marks.seal(&first, random)
            )
        };
        let via = |branch: String| format!("Via: SIP/2.0/UDP us;branch={branch}\r\n");
        let ours = via(branch(&marks));
        let passed = |marks: &Marks, request: &Message| marks.passed(request, |id| id == ContextId(0x01_2345_6789));
        assert_eq!(passed(&marks, &first), Passed::Never);
        assert_eq!(passed(&marks, &request("sip:b@x", "1", "", &ours)), Passed::Looped);
        assert_eq!(passed(&marks, &request("sip:c@x", "1", "", &ours)), Passed::Spiral);
        assert_eq!(
            passed(&marks, &request("sip:b@x", "2", "", &ours)),
            Passed::Never,
            "another request"
        );
        assert_eq!(
            passed(&marks, &request("sip:b@x", "1", "", &via(branch(&others)))),
            Passed::Never
        );
        assert_eq!(
            passed(&marks, &request("sip:b@x", "1", "", &via("z9hG4bK1.2.3".into()))),
            Passed::Never
        );
        let over = marks.passed(&request("sip:c@x", "1", "", &ours), |_| false);
        assert_eq!(
            over,
            Passed::Never,
            "a Via of a request that is over vouches for nobody"
        );
    }
}
