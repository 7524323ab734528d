//! Dialogs (RFC 3261 12) and what lives as long as they do: reliable provisional responses, acknowledged answers, session timers.
//!
//! A [`Dialog`] is plain data: it makes the requests that we send in it and judges those that come. It sends nothing itself.

pub mod accepted;
pub mod glare;
mod id;
pub mod reliable;
pub mod session_timer;
pub mod way;

pub use id::{DialogId, Naming};

use crate::sip::uri::Scheme;
use crate::sip::write::MAX_FORWARDS;
use crate::sip::{CSeq, Draft, Message, Method, Name, NameAddr, ParseError, Uri};
use std::borrow::Cow;
use std::fmt;

/// Who sent the request that made the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We did.
    Uac,
    /// The peer did.
    Uas,
}

/// How far a dialog is (RFC 3261 12). The third phase, terminated, is its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Made by a provisional response.
    Early,
    /// Made or confirmed by a 2xx.
    Confirmed,
}

/// Why a request in a dialog is refused, with the status that its sender is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The status of the response.
    pub status: u16,
    /// The reason phrase, in words.
    pub reason: &'static str,
}

impl From<ParseError> for Reject {
    fn from(error: ParseError) -> Reject {
        Reject {
            status: error.status,
            reason: error.reason,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)
    }
}

/// A request of ours that may begin dialogs, as far as they are made from it.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// Its From, with our tag.
    pub local: &'a str,
    /// Its To.
    pub remote: &'a str,
    /// Its target.
    pub target: &'a Uri,
}

impl<'a> Begun<'a> {
    /// `None` for a response.
    pub fn of(request: &'a Draft) -> Option<Begun<'a>> {
        let crate::sip::write::Start::Request(_, target) = &request.start else {
            return None;
        };
        Some(Begun {
            local: request.get(Name::From).unwrap_or_default(),
            remote: request.get(Name::To).unwrap_or_default(),
            target,
        })
    }
}

/// One dialog (RFC 3261 12). Plain data: it can be written down and read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialog {
    /// Call-ID and both tags.
    pub id: DialogId,
    /// Who began it.
    pub role: Role,
    /// Early or confirmed.
    pub phase: Phase,
    /// Our address, with our tag: From of our requests, as it is written.
    pub local: Box<str>,
    /// The peer's address, with its tag: To of our requests, as it is written.
    pub remote: Box<str>,
    /// The peer's Contact: where requests go at last.
    pub remote_target: Uri,
    /// The proxies that asked to stay in the way, in the order of our Route.
    pub route_set: Vec<NameAddr>,
    /// The CSeq of our last request; 0 when there was none.
    pub local_cseq: u32,
    /// The CSeq of the peer's last request; `None` when there was none.
    pub remote_cseq: Option<u32>,
}

impl Dialog {
    /// The dialog that a request makes at its server (RFC 3261 12.1.1): early until [`Dialog::confirm`]. A request without a
    /// usable Contact is rejected with 400.
    pub fn uas(request: &Message, local_tag: &str) -> Result<Dialog, Reject> {
        let Some(target) = first_contact(request)? else {
            return Err(Reject {
                status: 400,
                reason: "Missing Contact",
            });
        };
        let remote = field(request, Name::From)?;
        Ok(Dialog {
            id: DialogId::new(request.call_id(), local_tag, &request.from_tag().unwrap_or_default()),
            role: Role::Uas,
            phase: Phase::Early,
            local: with_tag(&field(request, Name::To)?, local_tag),
            remote: remote.into(),
            remote_target: target,
            route_set: request.addresses(Name::RecordRoute)?,
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
        })
    }

    /// The dialog that a response makes at the client (RFC 3261 12.1.2): early for 101 to 199, confirmed for 2xx. Where a
    /// response has no Contact, the request's target is kept, as some peers send none in a 180.
    pub fn uac(request: Begun<'_>, response: &Message) -> Result<Dialog, ParseError> {
        let target = first_contact(response)?.unwrap_or_else(|| request.target.clone());
        let id = Naming::of_response(response)
            .ok_or(ParseError::bad("a response makes no dialog"))?
            .id();
        let mut dialog = Dialog {
            local: request.local.into(),
            remote: match id.remote_tag() {
                "" => request.remote.into(),
                tag => with_tag(request.remote, tag),
            },
            id,
            role: Role::Uac,
            phase: Phase::Early,
            remote_target: target,
            route_set: Vec::new(),
            local_cseq: response.cseq()?.number,
            remote_cseq: None,
        };
        dialog.take_routes(response)?;
        if response.status() >= 200 {
            dialog.phase = Phase::Confirmed;
        }
        Ok(dialog)
    }

    /// The final 2xx was sent: an early dialog of the server side is confirmed.
    pub fn confirm(&mut self) {
        self.phase = Phase::Confirmed;
    }

    /// A request in the dialog (RFC 3261 12.2.1.1), with the next CSeq: From, To, Call-ID, CSeq, Max-Forwards and Route; no Via,
    /// no Contact. Not for ACK ([`Dialog::ack`]) and CANCEL (which is the transaction's).
    pub fn request(&mut self, method: Method) -> Draft {
        self.local_cseq += 1;
        self.draft(method, self.local_cseq)
    }

    /// The ACK of a 2xx (RFC 3261 13.2.2.4), with the CSeq number of its INVITE. Credentials of the INVITE, if it had any, are
    /// to be added.
    pub fn ack(&self, invite_cseq: u32) -> Draft {
        self.draft(Method::Ack, invite_cseq)
    }

    /// Where a request of this dialog is sent (RFC 3261 12.2.1.1, 8.1.2): the first route, else the remote target.
    pub fn next_hop(&self) -> &Uri {
        self.route_set.first().map_or(&self.remote_target, |route| &route.uri)
    }

    /// Judges a request of the peer in this dialog (RFC 3261 12.2.2), and follows its Contact where the method refreshes the
    /// target. A CSeq that is not above the last is refused with 500; ACK and CANCEL carry that of their INVITE and pass.
    pub fn receive(&mut self, request: &Message) -> Result<(), Reject> {
        let method = request.method();
        if matches!(method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let number = request.cseq()?.number;
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(Reject {
                status: 500,
                reason: "CSeq Out Of Order",
            });
        }
        let contact = match refreshes_target(&method) {
            true => first_contact(request)?,
            false => None,
        };
        self.remote_cseq = Some(number);
        if let Some(contact) = contact {
            self.remote_target = contact;
        }
        Ok(())
    }

    /// Takes from a response to one of our requests what it changes (RFC 3261 12.2.1.2, 13.2.2.4): a 2xx (and a reliable
    /// provisional response) to a request that refreshes the target moves it; the first 2xx to the INVITE confirms an early
    /// dialog and sets its route set anew.
    pub fn refresh(&mut self, response: &Message) -> Result<(), ParseError> {
        let method = response.method();
        let reliable = response.number(Name::RSeq).is_some();
        let success = (200..300).contains(&response.status());
        if !refreshes_target(&method) || !(success || reliable) {
            return Ok(());
        }
        if let Some(contact) = first_contact(response)? {
            self.remote_target = contact;
        }
        if success && method == Method::Invite && self.phase == Phase::Early && self.role == Role::Uac {
            self.take_routes(response)?;
            self.phase = Phase::Confirmed;
        }
        Ok(())
    }

    fn take_routes(&mut self, response: &Message) -> Result<(), ParseError> {
        self.route_set = response.addresses(Name::RecordRoute)?;
        self.route_set.reverse();
        Ok(())
    }

    fn draft(&self, method: Method, number: u32) -> Draft {
        let strict = self.route_set.first().filter(|route| !route.uri.is_loose());
        let target = strict.map_or(&self.remote_target, |route| &route.uri);
        let mut draft = Draft::request(method.clone(), as_request_uri(target));
        draft.push(Name::MaxForwards, MAX_FORWARDS);
        match strict {
            // A strict router finds its own URI in the request line and the target at the end (RFC 3261 12.2.1.1).
            Some(_) => {
                for route in &self.route_set[1..] {
                    draft.push(Name::Route, route);
                }
                draft.push(Name::Route, NameAddr::new(self.remote_target.clone()));
            }
            None => {
                for route in &self.route_set {
                    draft.push(Name::Route, route);
                }
            }
        }
        draft.push(Name::From, &self.local);
        draft.push(Name::To, &self.remote);
        draft.push(Name::CallId, self.id.call_id());
        draft.push(Name::CSeq, CSeq { number, method });
        draft
    }
}

/// Where the sender of a message wants to be reached in its dialog.
fn first_contact(message: &Message) -> Result<Option<Uri>, ParseError> {
    // Most write one address in angle brackets and nothing before it.
    if let Some(value) = message.get(Name::Contact)
        && let Some((uri, _)) = value.strip_prefix('<').and_then(|rest| rest.split_once('>'))
    {
        return Uri::parse(uri).map(Some);
    }
    let contacts = message.addresses(Name::Contact)?;
    Ok(contacts.into_iter().next().map(|contact| contact.uri))
}

/// A field that every message has, as it is written; octets that are not UTF-8 are replaced.
fn field(message: &Message, name: Name) -> Result<Cow<'_, str>, ParseError> {
    let value = message.get(name).or_else(|| message.all(name).into_iter().next());
    value.ok_or(ParseError::bad("From or To is missing"))
}

/// An address with a tag behind it.
fn with_tag(address: &str, tag: &str) -> Box<str> {
    // A semicolon too many at its end is overlooked where it is read, and would be one in the middle here.
    let address = address.trim_end_matches([' ', '\t', ';']);
    [address, ";tag=", tag].concat().into()
}

/// True for requests that may move the remote target (RFC 3261 12.2, RFC 3311 5.1, RFC 6665 3.1 and 4.1.3).
pub fn refreshes_target(method: &Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Update | Method::Subscribe | Method::Notify
    )
}

/// True for a response to a request in a dialog that means the peer has lost it (RFC 3261 12.2.1.2): end the call. A client
/// transaction that failed by timeout counts as 408.
pub const fn ends_dialog(status: u16) -> bool {
    matches!(status, 408 | 481)
}

/// A URI as it may stand in a request line: without headers and method (RFC 3261 19.1.1).
fn as_request_uri(uri: &Uri) -> Uri {
    let mut uri = uri.clone();
    if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        uri.headers = None;
        uri.params.remove("method");
    }
    uri
}

/// Adds an option tag to a list field, once (Supported, Require).
pub fn add_token(draft: &mut Draft, name: Name, token: &str) {
    match draft.get(name) {
        None => draft.push(name, token),
        Some(old) if old.split(',').any(|word| word.trim().eq_ignore_ascii_case(token)) => {}
        Some(old) => {
            let all = format!("{old}, {token}");
            draft.set(name, all);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;

    pub(crate) fn message(text: &str) -> Message {
        Message::parse(Bytes::from(text.to_owned())).unwrap()
    }

    /// A request of the peer with this CSeq; `to_tag` with its semicolon, or nothing.
    pub(crate) fn request(method: &str, number: u32, to_tag: &str) -> Message {
        with_routes(method, number, to_tag, "")
    }

    fn with_routes(method: &str, number: u32, to_tag: &str, lines: &str) -> Message {
        message(&format!(
            "{method} sip:me@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n{lines}\
             From: \"Al\" <sip:al@example.com>;tag=r\r\nTo: <sip:me@example.net>{to_tag}\r\nCall-ID: one\r\n\
             CSeq: {number} {method}\r\nContact: <sip:al@192.0.2.9:5070>\r\nContent-Length: 0\r\n\r\n"
        ))
    }

    const ROUTES: &str = "Record-Route: <sip:p2.example.net;lr>, <sip:p1.example.net;lr>\r\n";

    fn invite_draft() -> Draft {
        let mut draft = Draft::request(Method::Invite, Uri::parse("sip:al@example.com").unwrap());
        draft.push(Name::From, "<sip:me@example.net>;tag=l");
        draft.push(Name::To, "<sip:al@example.com>");
        draft.push(Name::CallId, "one");
        draft.push(Name::CSeq, "3 INVITE");
        draft
    }

    fn response(status: u16, contact: &str, lines: &str) -> Message {
        message(&format!(
            "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n{lines}From: <sip:me@example.net>;tag=l\r\n\
             To: <sip:al@example.com>;tag=r\r\nCall-ID: one\r\nCSeq: 3 INVITE\r\n{contact}Content-Length: 0\r\n\r\n"
        ))
    }

    fn routes(draft: &Draft) -> Vec<String> {
        draft
            .to_message()
            .unwrap()
            .all(Name::Route)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_server_s_dialog_routes_in_the_order_of_record_route() {
        let invite = with_routes("INVITE", 7, "", ROUTES);
        let mut dialog = Dialog::uas(&invite, "l").unwrap();
        assert_eq!(
            Some(dialog.id.clone()),
            DialogId::of_request(&request("BYE", 8, ";tag=l"))
        );
        assert_eq!(
            (dialog.role, dialog.phase, dialog.remote_cseq),
            (Role::Uas, Phase::Early, Some(7))
        );
        dialog.confirm();
        let bye = dialog.request(Method::Bye);
        assert_eq!(routes(&bye), ["<sip:p2.example.net;lr>", "<sip:p1.example.net;lr>"]);
        let bye = bye.to_message().unwrap();
        assert_eq!(bye.request_uri().unwrap().to_string(), "sip:al@192.0.2.9:5070");
        assert_eq!(bye.get(Name::From).unwrap(), "<sip:me@example.net>;tag=l");
        assert_eq!(bye.get(Name::To).unwrap(), "\"Al\" <sip:al@example.com>;tag=r");
        assert_eq!((bye.call_id(), bye.get(Name::CSeq).unwrap().as_ref()), ("one", "1 BYE"));
        assert_eq!(dialog.next_hop().to_string(), "sip:p2.example.net;lr");
        assert_eq!(dialog.request(Method::Update).get(Name::CSeq), Some("2 UPDATE"));
    }

    #[test]
    fn an_invite_without_contact_makes_no_dialog() {
        let text = String::from_utf8_lossy(request("INVITE", 7, "").bytes())
            .replace("Contact: <sip:al@192.0.2.9:5070>\r\n", "");
        assert_eq!(Dialog::uas(&message(&text), "l").unwrap_err().status, 400);
    }

    #[test]
    fn the_client_s_dialog_is_set_anew_by_the_2xx() {
        let early = response(180, "", "Record-Route: <sip:old.example.net;lr>\r\n");
        let mut dialog = Dialog::uac(Begun::of(&invite_draft()).unwrap(), &early).unwrap();
        assert_eq!((dialog.phase, dialog.local_cseq), (Phase::Early, 3));
        assert_eq!(
            dialog.remote_target.to_string(),
            "sip:al@example.com",
            "a 180 without Contact keeps the target"
        );
        let answer = response(200, "Contact: <sip:al@192.0.2.77>\r\n", ROUTES);
        assert_eq!(DialogId::of_response(&answer), Some(dialog.id.clone()));
        dialog.refresh(&answer).unwrap();
        assert_eq!(dialog.phase, Phase::Confirmed);
        let ack = dialog.ack(3);
        assert_eq!(routes(&ack), ["<sip:p1.example.net;lr>", "<sip:p2.example.net;lr>"]);
        assert_eq!((ack.get(Name::CSeq), dialog.local_cseq), (Some("3 ACK"), 3));
        assert_eq!(
            ack.to_message().unwrap().request_uri().unwrap().to_string(),
            "sip:al@192.0.2.77"
        );
        assert_eq!(
            Dialog::uac(Begun::of(&invite_draft()).unwrap(), &answer).unwrap(),
            dialog,
            "without early dialog it is the same"
        );
        dialog
            .refresh(&response(
                200,
                "Contact: <sip:al@192.0.2.78>\r\n",
                "Record-Route: <sip:evil;lr>\r\n",
            ))
            .unwrap();
        assert_eq!(dialog.remote_target.to_string(), "sip:al@192.0.2.78");
        assert_eq!(
            dialog.route_set.len(),
            2,
            "the route set of a confirmed dialog never changes"
        );
        assert_eq!(DialogId::of_response(&response(100, "", "")), None);
    }

    #[test]
    fn a_strict_router_gets_itself_in_the_request_line() {
        let lines = "Record-Route: <sip:strict.example.net;method=INVITE>, <sip:p1.example.net;lr>\r\n";
        let mut dialog = Dialog::uas(&with_routes("INVITE", 7, "", lines), "l").unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(routes(&bye), ["<sip:p1.example.net;lr>", "<sip:al@192.0.2.9:5070>"]);
        assert_eq!(
            bye.to_message().unwrap().request_uri().unwrap().to_string(),
            "sip:strict.example.net"
        );
    }

    #[test]
    fn requests_out_of_order_are_refused_and_change_nothing() {
        let mut dialog = Dialog::uas(&request("INVITE", 7, ""), "l").unwrap();
        let before = dialog.clone();
        for number in [6, 7] {
            let text = String::from_utf8_lossy(request("INVITE", number, ";tag=l").bytes())
                .replace("192.0.2.9:5070", "192.0.2.66");
            assert_eq!(dialog.receive(&message(&text)).unwrap_err().status, 500);
        }
        assert_eq!(dialog, before);
        for method in ["ACK", "CANCEL"] {
            assert_eq!(dialog.receive(&request(method, 7, ";tag=l")), Ok(()));
        }
        assert_eq!(
            dialog.receive(&request("BYE", 20, ";tag=l")),
            Ok(()),
            "a gap is no fault (RFC 3261 12.2.2)"
        );
        assert_eq!(dialog.remote_cseq, Some(20));
    }

    #[test]
    fn contact_moves_the_target_where_the_method_may() {
        for (method, moves) in [
            ("INVITE", true),
            ("UPDATE", true),
            ("NOTIFY", true),
            ("INFO", false),
            ("BYE", false),
        ] {
            let mut dialog = Dialog::uas(&request("INVITE", 7, ""), "l").unwrap();
            let text =
                String::from_utf8_lossy(request(method, 8, ";tag=l").bytes()).replace("192.0.2.9:5070", "192.0.2.66");
            dialog.receive(&message(&text)).unwrap();
            assert_eq!(
                dialog.remote_target.to_string() == "sip:al@192.0.2.66",
                moves,
                "{method}"
            );
        }
    }

    #[test]
    fn addresses_are_written_as_they_came_with_one_tag() {
        assert_eq!(&*with_tag("<sip:a@b>; ", "x"), "<sip:a@b>;tag=x");
        let text = String::from_utf8_lossy(request("INVITE", 7, "").bytes())
            .replace("\"Al\" <sip:al@example.com>;tag=r", "sip:al@example.com;tag=r;x=\"1\"");
        let mut dialog = Dialog::uas(&message(&text), "l").unwrap();
        let bye = dialog.request(Method::Bye).to_message().unwrap();
        assert_eq!(bye.get(Name::To).unwrap(), "sip:al@example.com;tag=r;x=\"1\"");
        assert_eq!((dialog.id.remote_tag(), bye.to().unwrap().tag()), ("r", Some("r")));
    }

    #[test]
    fn a_peer_without_tag_has_an_empty_one() {
        let text = String::from_utf8_lossy(request("INVITE", 7, "").bytes()).replace(";tag=r", "");
        let dialog = Dialog::uas(&message(&text), "l").unwrap();
        assert_eq!(dialog.id.remote_tag(), "");
        let text = String::from_utf8_lossy(request("BYE", 8, ";tag=l").bytes()).replace(";tag=r", "");
        assert_eq!(DialogId::of_request(&message(&text)), Some(dialog.id));
    }
}
