//! Dialogs (RFC 3261 12) and what lives as long as they do: reliable provisional responses, acknowledged answers, session timers.
//!
//! A [`Dialog`] is plain data: it makes the requests that we send in it and judges those that come. It sends nothing itself.

pub mod accepted;
pub mod glare;
pub mod reliable;
pub mod session_timer;

use crate::sip::uri::Scheme;
use crate::sip::{CSeq, Draft, Message, Method, Name, NameAddr, ParseError, Uri};
use std::fmt;

/// What tells one dialog from another (RFC 3261 12), seen from our side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: Box<str>,
    /// Our tag.
    pub local_tag: Box<str>,
    /// The peer's tag; empty for a peer of RFC 2543, which may have none (RFC 3261 12.1.1, 12.1.2).
    pub remote_tag: Box<str>,
}

impl DialogId {
    /// The dialog that a request which came belongs to: our tag is in To. `None` when To has no tag (a request outside of
    /// dialogs) or From or To cannot be read.
    pub fn of_request(request: &Message) -> Option<DialogId> {
        let (from, to) = (request.from().ok()?, request.to().ok()?);
        Some(DialogId {
            call_id: request.call_id().into(),
            local_tag: to.tag()?.into(),
            remote_tag: from.tag().unwrap_or_default().into(),
        })
    }

    /// The dialog that a response to our request belongs to: our tag is in From. `None` for a 100, which makes no dialog, and
    /// when From or To cannot be read.
    pub fn of_response(response: &Message) -> Option<DialogId> {
        if response.status() == 100 {
            return None;
        }
        let (from, to) = (response.from().ok()?, response.to().ok()?);
        Some(DialogId {
            call_id: response.call_id().into(),
            local_tag: from.tag()?.into(),
            remote_tag: to.tag().unwrap_or_default().into(),
        })
    }
}

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

/// One dialog (RFC 3261 12). Plain data: it can be written down and read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialog {
    /// Call-ID and both tags.
    pub id: DialogId,
    /// Who began it.
    pub role: Role,
    /// Early or confirmed.
    pub phase: Phase,
    /// Our address, with our tag: From of our requests.
    pub local: NameAddr,
    /// The peer's address, with its tag: To of our requests.
    pub remote: NameAddr,
    /// The peer's Contact: where requests go at last.
    pub remote_target: Uri,
    /// The proxies that asked to stay in the way, in the order of our Route.
    pub route_set: Vec<NameAddr>,
    /// The CSeq of our last request; 0 when there was none.
    pub local_cseq: u32,
    /// The CSeq of the peer's last request; `None` when there was none.
    pub remote_cseq: Option<u32>,
}

/// How many hops our requests may take (RFC 3261 8.1.1.6).
const MAX_FORWARDS: u32 = 70;

impl Dialog {
    /// The dialog that a request makes at its server (RFC 3261 12.1.1): early until [`Dialog::confirm`]. A request without a
    /// usable Contact is rejected with 400.
    pub fn uas(request: &Message, local_tag: &str) -> Result<Dialog, Reject> {
        let mut local = request.to()?;
        local.params.set("tag", Some(local_tag));
        let remote = request.from()?;
        let Some(contact) = request.addresses(Name::Contact)?.into_iter().next() else {
            return Err(Reject {
                status: 400,
                reason: "Missing Contact",
            });
        };
        Ok(Dialog {
            id: DialogId {
                call_id: request.call_id().into(),
                local_tag: local_tag.into(),
                remote_tag: remote.tag().unwrap_or_default().into(),
            },
            role: Role::Uas,
            phase: Phase::Early,
            local,
            remote,
            remote_target: contact.uri,
            route_set: request.addresses(Name::RecordRoute)?,
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
        })
    }

    /// The dialog that a response makes at the client (RFC 3261 12.1.2): early for 101 to 199, confirmed for 2xx. Where a
    /// response has no Contact, the request's target is kept, as some peers send none in a 180.
    pub fn uac(request: &Draft, response: &Message) -> Result<Dialog, ParseError> {
        let local = NameAddr::parse(request.get(Name::From).unwrap_or_default())?;
        let mut remote = NameAddr::parse(request.get(Name::To).unwrap_or_default())?;
        if let Some(tag) = response.to()?.tag() {
            remote.params.set("tag", Some(tag));
        }
        let first_target = match &request.start {
            crate::sip::write::Start::Request(_, uri) => uri.clone(),
            crate::sip::write::Start::Response(..) => remote.uri.clone(),
        };
        let contact = response.addresses(Name::Contact)?.into_iter().next();
        let mut dialog = Dialog {
            id: DialogId {
                call_id: response.call_id().into(),
                local_tag: local.tag().unwrap_or_default().into(),
                remote_tag: remote.tag().unwrap_or_default().into(),
            },
            role: Role::Uac,
            phase: Phase::Early,
            local,
            remote,
            remote_target: contact.map_or(first_target, |contact| contact.uri),
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
    pub fn next_hop(&self) -> Uri {
        self.route_set
            .first()
            .map_or_else(|| self.remote_target.clone(), |route| route.uri.clone())
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
            true => request.addresses(Name::Contact)?.into_iter().next(),
            false => None,
        };
        self.remote_cseq = Some(number);
        if let Some(contact) = contact {
            self.remote_target = contact.uri;
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
        if let Some(contact) = response.addresses(Name::Contact)?.into_iter().next() {
            self.remote_target = contact.uri;
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
        draft.push(Name::CallId, &self.id.call_id);
        draft.push(Name::CSeq, CSeq { number, method });
        draft
    }
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
