//! REFER and the NOTIFYs that it is owed (RFC 3515, RFC 4488), as messages.

use super::desk::Turn;
use super::hunt::reachable;
use super::leg::{Leg, What};
use super::replaces::replaces_id;
use crate::config::Config;
use crate::cx::Cx;
use crate::dialog::DialogId;
use crate::effect::Which;
use crate::id::ServerTx;
use crate::sip::uri::Scheme;
use crate::sip::write::reason;
use crate::sip::{Draft, Message, Method, Name, NameAddr, Uri};
use std::net::IpAddr;

/// The subscription that a REFER makes (RFC 3515 2.4.4), for the NOTIFYs of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// CSeq of a REFER that is not the dialog's first: its `id` (RFC 3515 2.4.6).
    id: Option<u32>,
}

/// What a Refer-To asks for.
#[derive(Debug, PartialEq)]
pub enum Target {
    /// To call somebody, or one device of somebody by its public GRUU (RFC 5627).
    Blind(String, Option<Which>),
    /// To be joined with the far leg of this dialog of ours.
    Attended(DialogId),
}

/// Who sends this REFER does not want to be told what becomes of it (RFC 4488 4).
pub fn wants_no_subscription(request: &Message) -> bool {
    let value = request.get(Name::ReferSub);
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
}

impl Leg {
    /// 202, and the first NOTIFY, unless the phone wants none (RFC 4488).
    pub fn accept_refer(&mut self, t: &mut Turn<'_, '_>, tx: ServerTx, request: &Message) {
        let silent = wants_no_subscription(request);
        let response = self.accepting_refer(t.cx, request);
        t.net.layer.respond(t.cx, tx, response);
        let id = request.cseq().ok().map(|cseq| cseq.number).filter(|_| self.refers > 0);
        self.refers = self.refers.saturating_add(1);
        self.subscription = (!silent).then_some(Subscription { id });
        self.notify_refer(t, 100, false);
    }

    /// The 202.
    pub fn accepting_refer(&self, cx: &mut Cx<'_>, request: &Message) -> Draft {
        let mut response = Draft::response(request, 202, None);
        response.push(Name::Contact, self.contact(cx));
        response.push(Name::Server, crate::USER_AGENT);
        if wants_no_subscription(request) {
            response.push(Name::ReferSub, "false");
        }
        response
    }

    /// How the transfer goes, as message/sipfrag (RFC 3515 2.4.5).
    pub fn notify_refer(&mut self, t: &mut Turn<'_, '_>, status: u16, last: bool) {
        let Some(subscription) = self.subscription.filter(|_| self.is_up()) else {
            return;
        };
        let Some(mut notify) = self.request(Method::Notify) else {
            return;
        };
        match subscription.id {
            Some(id) => notify.push(Name::Event, format!("refer;id={id}")),
            None => notify.push(Name::Event, "refer"),
        }
        let state = if last {
            "terminated;reason=noresource"
        } else {
            "active;expires=180"
        };
        notify.push(Name::SubscriptionState, state);
        notify.push(Name::Contact, self.contact(t.cx));
        notify.push(Name::UserAgent, crate::USER_AGENT);
        notify.set_body(
            "message/sipfrag;version=2.0",
            format!("SIP/2.0 {status} {}\r\n", reason(status)),
        );
        self.send(t, What::Notify, notify);
        if last {
            self.subscription = None;
        }
    }
}

/// The URI in Refer-To; an error with the status that the phone is owed.
pub fn refer_to(request: &Message) -> Result<Uri, u16> {
    let values = request.all(Name::ReferTo);
    let [value] = values.as_slice() else { return Err(400) };
    let address = NameAddr::parse(value).map_err(|error| error.status)?;
    match address.uri.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(address.uri),
        Scheme::Other(_) => Err(416),
    }
}

/// What Refer-To asks for; an error with the status that the phone is owed. `own` is the address that the request came to.
pub fn target(request: &Message, config: &Config, own: IpAddr) -> Result<Target, u16> {
    let uri = &refer_to(request)?;
    if uri.params.value("method").is_some_and(|method| method != "INVITE") {
        return Err(501);
    }
    let replaces = uri.headers.as_deref().and_then(|headers| {
        headers.split('&').find_map(|header| {
            let (name, value) = header.split_once('=')?;
            name.eq_ignore_ascii_case("replaces").then_some(value)
        })
    });
    match replaces {
        Some(escaped) => replaces_id(&unescaped(escaped))
            .map(|(id, _)| Target::Attended(id))
            .ok_or(400),
        None => reachable(uri, config, own)
            .map(|dialled| Target::Blind(dialled, Which::public(uri)))
            .ok_or(404),
    }
}

/// A header value in a URI, without its escapes (RFC 3261 19.1.2).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = (byte == b'%').then(|| tail.get(..2)).flatten();
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved_once_and_broken_ones_stay() {
        assert_eq!(unescaped("a%40b%3Bto-tag%3D1"), "a@b;to-tag=1");
        assert_eq!(unescaped("%2541%zz%4"), "%41%zz%4");
    }
}
