//! How a leg speaks in its dialog: the way to the peer, our own fields, credentials.

use super::desk::Turn;
use super::leg::{Leg, Sent, State, Way, What};
use crate::config::Config;
use crate::cx::Cx;
use crate::dialog::Dialog;
use crate::dialog::accepted::credentials;
pub use crate::dialog::way::is_on_flow;
use crate::id::{Flow, Target, Transport};
use crate::limits;
use crate::sip::uri::{Scheme, escaped};
use crate::sip::write::Start;
use crate::sip::{CSeq, Draft, Host, Message, Method, Name, Uri, auth};
use crate::transaction::Destination;
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::net::SocketAddr;

/// The one body that we read in a call.
pub const SDP: &str = "application/sdp";

/// The extensions that we support (RFC 3261 20.37): the last where there is ICE (RFC 8840 5).
pub fn supported(has_ice: bool) -> &'static [&'static str] {
    const ALL: [&str; 5] = ["100rel", "replaces", "timer", "norefersub", "trickle-ice"];
    &ALL[..ALL.len() - usize::from(!has_ice)]
}

/// The methods that we take in a call (RFC 3261 20.5): a transfer from users only, and where the configuration lets them.
pub const fn allow(config: &Config, is_user: bool) -> &'static str {
    match is_user && config.calls.transfer {
        true => "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY, REFER",
        false => "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY",
    }
}

/// Our Contact on a flow.
pub struct Contact<'a> {
    scheme: &'static str,
    named: Option<&'a str>,
    at: SocketAddr,
    transport: Option<&'static str>,
    /// The number of a room, whose URI it is then (RFC 4579 5.1).
    focus: Option<&'a str>,
}

/// Our Contact on a flow, where we are known by this name if it is one; in a dialog that SIPS began it is SIPS (RFC 3261 8.1.1.8,
/// 12.1.1).
fn contact<'a>(cx: &Cx<'a>, flow: Flow, named: Option<&'a str>, secure: bool) -> Contact<'a> {
    let (scheme, transport) = match flow.transport.uri_param() {
        Some(_) if secure && flow.transport == Transport::Tls => ("sips", None),
        Some(name) if secure && flow.transport.is_secure() => ("sips", Some(name)),
        named => ("sip", named),
    };
    Contact {
        scheme,
        named,
        at: cx.advertised(flow),
        transport,
        focus: None,
    }
}

impl Display for Contact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.focus.map_or(Cow::Borrowed("tandem"), escaped);
        for part in ["<", self.scheme, ":", &user, "@"] {
            f.write_str(part)?;
        }
        match self.named {
            Some(name) => write!(f, "{name}:{}", self.at.port())?,
            None => self.at.fmt(f)?,
        }
        if let Some(transport) = self.transport {
            f.write_str(";transport=")?;
            f.write_str(transport)?;
        }
        f.write_str(if self.focus.is_some() { ">;isfocus" } else { ">" })
    }
}

impl Leg {
    /// The host by which the peer knows us.
    pub fn own_host(&self, cx: &Cx<'_>) -> Host {
        let address = || cx.advertised(self.flow).ip().into();
        self.own_name(cx).map_or_else(address, |name| Host::Name(name.into()))
    }

    fn own_name<'c>(&self, cx: &Cx<'c>) -> Option<&'c str> {
        let trunk = self.who.trunk().and_then(|trunk| cx.config.trunk(trunk));
        trunk.and_then(|trunk| trunk.host.as_deref())
    }

    /// Our Contact.
    pub fn contact<'c>(&'c self, cx: &Cx<'c>) -> Contact<'c> {
        Contact {
            focus: self.focus.as_deref(),
            ..contact(cx, self.flow, self.own_name(cx), self.is_secure())
        }
    }

    /// Adds what every message says that makes or refreshes a dialog: Contact, Allow, Supported.
    pub fn describe_us(&self, t: &Turn<'_, '_>, draft: &mut Draft) {
        draft.push(Name::Contact, self.contact(t.cx));
        draft.push(Name::Allow, self.allow(t.cx.config));
        draft.push(Name::Supported, supported(self.is_web(t)).join(", "));
        let agent = if draft.method().is_some() {
            Name::UserAgent
        } else {
            Name::Server
        };
        draft.push(agent, crate::USER_AGENT);
    }

    /// SIPS began it, so that each hop of it is under TLS (RFC 3261 26.2.2, RFC 5630).
    pub fn is_secure(&self) -> bool {
        match &self.state {
            State::Incoming(incoming) => incoming.secure,
            State::Outgoing(outgoing) => outgoing.target.scheme == Scheme::Sips,
            State::Cancelled(_) | State::Up | State::Leaving | State::Gone => {
                let dialog = self.dialog.as_ref();
                dialog.is_some_and(|dialog| dialog.remote_target.scheme == Scheme::Sips)
            }
        }
    }

    /// What this peer may ask of us.
    pub fn allow(&self, config: &Config) -> &'static str {
        allow(config, self.who.trunk().is_none())
    }

    /// A request in the confirmed dialog.
    pub fn request(&mut self, method: Method) -> Option<Draft> {
        self.dialog.as_mut().map(|dialog| dialog.request(method))
    }

    /// Sends a request or ACK, as soon as the way is known.
    pub fn send(&mut self, t: &mut Turn<'_, '_>, what: What, draft: Draft) {
        match &mut self.way {
            Way::Open => self.send_now(t, what, draft),
            Way::Finding(waiting) if waiting.len() < limits::LEG_REQUESTS_WAITING => waiting.push((what, draft)),
            Way::Finding(_) => {}
        }
    }

    fn send_now(&mut self, t: &mut Turn<'_, '_>, what: What, draft: Draft) {
        self.send_over(t, self.flow, what, draft);
    }

    /// Sends a request or ACK over this flow.
    pub fn send_over(&mut self, t: &mut Turn<'_, '_>, flow: Flow, what: What, mut draft: Draft) {
        self.aim(&mut draft);
        if what == What::Ack {
            t.net.layer.send_ack(t.cx, flow, draft);
            return;
        }
        // Only a carrier may challenge us, and only one that we have credentials for.
        let may_challenge = self
            .who
            .trunk()
            .is_some_and(|trunk| t.cx.config.trunks[usize::from(trunk.0)].register.is_some());
        // A connection may break under it.
        let again = (may_challenge || flow.transport.is_reliable()).then(|| Box::new(draft.clone()));
        let tx = t.net.layer.request(t.cx, self.id.owner(), flow, draft);
        self.sent.push(Sent { tx, what, flow, again });
        if let (What::Invite, State::Outgoing(outgoing)) = (what, &mut self.state) {
            outgoing.tx = Some(tx);
        }
    }

    /// Finds the way of requests in the dialog (RFC 3261 12.2.1.1). A phone is reached by the flow that it came by, which leads
    /// through its NAT; a carrier by its route set or Contact.
    pub fn find_own_way(&mut self, t: &mut Turn<'_, '_>) {
        let next_hop = self.dialog.as_ref().map(Dialog::next_hop);
        let leads_away = |hop: &&Uri| !self.is_on_its_flow() && !is_on_flow(hop, &self.flow);
        let Some(next_hop) = next_hop.filter(leads_away).cloned() else {
            return;
        };
        let waiting = match std::mem::replace(&mut self.way, Way::Open) {
            Way::Open => Vec::new(),
            Way::Finding(waiting) => waiting,
        };
        self.way = Way::Finding(waiting);
        t.net.layer.forget(self.id.owner());
        t.net.layer.reach(t.cx, self.id.owner(), Destination::Uri(next_hop));
    }

    /// A phone that is reached by the flow that it came by.
    pub fn is_on_its_flow(&self) -> bool {
        self.who.trunk().is_none() && !self.routed
    }

    /// The way is found: what waited is said.
    pub fn way_found(&mut self, t: &mut Turn<'_, '_>, flow: Flow) {
        self.flow = flow;
        self.say_waiting(t);
    }

    /// There is no way by the dialog's own words: the flow that the peer used is the best that is left.
    pub fn say_waiting(&mut self, t: &mut Turn<'_, '_>) {
        if let Way::Finding(waiting) = std::mem::replace(&mut self.way, Way::Open) {
            for (what, draft) in waiting {
                self.send_now(t, what, draft);
            }
        }
    }

    /// The connection broke under a request in the dialog: it is said again over a new one to where the peer listens (RFC 3261
    /// 18.1.1), or over the one that it has registered by since, once until something is heard from there. False when there is none.
    pub fn reconnect(&mut self, t: &mut Turn<'_, '_>, sent: &Sent) -> bool {
        let (Some(dialog), Some(request)) = (&self.dialog, &sent.again) else {
            return false;
        };
        let destination = match self.is_on_its_flow() {
            false => Some(Destination::Uri(dialog.next_hop().clone())),
            true => listener(&dialog.remote_target, self.flow).map(|target| Destination::Targets(vec![target])),
        };
        let Start::Request(method, _) = request.start.clone() else {
            return false;
        };
        let mut again = request.as_ref().clone();
        let Some(number) = self.next_cseq(&again) else {
            return false;
        };
        again.set(Name::CSeq, CSeq { number, method });
        match &mut self.way {
            Way::Finding(waiting) if waiting.len() < limits::LEG_REQUESTS_WAITING => {
                waiting.push((sent.what, again));
                return true;
            }
            Way::Open if !self.reconnecting => {}
            Way::Finding(_) | Way::Open => return false,
        }
        self.reconnecting = true;
        match destination {
            Some(destination) => t.net.layer.reach(t.cx, self.id.owner(), destination),
            // It listens nowhere, but may have registered by a new connection.
            None if self.ask_bindings(t) => {}
            None => return false,
        }
        self.way = Way::Finding(vec![(sent.what, again)]);
        true
    }

    /// Sends a challenged request again with credentials, once (twice where the nonce was only stale). False when there are
    /// none, or they were refused.
    pub fn authenticate(&mut self, t: &mut Turn<'_, '_>, sent: &Sent, challenge: &Message) -> bool {
        let (Some(trunk), Some(request)) = (self.who.trunk(), &sent.again) else {
            return false;
        };
        let challenges = auth::challenges(challenge);
        let Some(login) = t.net.trunks.credentials(t.cx, trunk, challenge) else {
            return false;
        };
        let ours = |realm: &str| login.realm.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(realm));
        let Some((asked, found)) = challenges.into_iter().find(|(_, found)| ours(&found.realm)) else {
            return false;
        };
        let by_proxy = asked == Name::ProxyAuthenticate;
        let answered = if by_proxy {
            Name::ProxyAuthorization
        } else {
            Name::Authorization
        };
        if request.get(answered).is_some() && !found.stale {
            return false;
        }
        let count = match &self.nonce {
            Some((nonce, count)) if **nonce == *found.nonce => count + 1,
            Some(_) | None => 1,
        };
        let mut again = request.as_ref().clone();
        let (Start::Request(method, uri), Some(number)) = (again.start.clone(), self.next_cseq(&again)) else {
            return false;
        };
        let (username, password) = (login.username.clone(), login.password.clone());
        let cnonce = t.cx.token(8);
        let value = auth::answer(&found, &username, &password, &method, &uri.to_string(), &cnonce, count);
        self.nonce = Some((found.nonce.as_str().into(), count));
        again.set(answered, value);
        again.set(Name::CSeq, CSeq { number, method });
        match sent.what {
            // It belongs to an early dialog, whose way is not the leg's.
            What::Prack => self.send_over(t, sent.flow, What::Prack, again),
            What::Invite | What::Reinvite | What::Update | What::Bye | What::Notify | What::Info | What::Ack => {
                self.resend(t, sent.what, again);
            }
        }
        // A second refusal of the same request is final unless the nonce was stale, and that only once.
        if found.stale
            && let Some(last) = self.sent.last_mut()
        {
            last.again = None;
        }
        true
    }

    /// Sends a request again under a new CSeq.
    pub fn resend(&mut self, t: &mut Turn<'_, '_>, what: What, again: Draft) {
        if let (What::Invite, State::Outgoing(outgoing)) = (what, &mut self.state) {
            outgoing.credentials = credentials(&again);
            outgoing.cseq = number_of(&again).unwrap_or(outgoing.cseq);
        }
        self.send(t, what, again);
    }

    /// The CSeq number after that of this request, in its dialog.
    pub fn next_cseq(&mut self, request: &Draft) -> Option<u32> {
        number_of(request).map(|old| self.next_number(old))
    }

    /// The CSeq number after this one, in its dialogs.
    pub fn next_number(&mut self, old: u32) -> u32 {
        let early = match &mut self.state {
            State::Outgoing(outgoing) => outgoing.early.as_mut_slice(),
            State::Incoming(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => &mut [],
        };
        let mut dialogs: Vec<&mut Dialog> = early.iter_mut().map(|early| &mut early.dialog).collect();
        dialogs.extend(self.dialog.as_mut());
        let number = dialogs.iter().map(|dialog| dialog.local_cseq).fold(old, u32::max) + 1;
        dialogs.into_iter().for_each(|dialog| dialog.local_cseq = number);
        number
    }
}

/// The number of a request's CSeq.
fn number_of(request: &Draft) -> Option<u32> {
    request.get(Name::CSeq)?.split(' ').next()?.parse().ok()
}

/// Where a phone listens whose own connection is gone: the address in its Contact, if that is the host which it came from (RFC
/// 3261 18.1.1).
pub fn listener(contact: &Uri, flow: Flow) -> Option<Target> {
    let port = contact.port.unwrap_or(flow.transport.default_port());
    let addr = SocketAddr::new(contact.host.ip()?, port);
    let is_gone = flow.transport.is_reliable() && addr != flow.peer && addr.ip() == flow.peer.ip();
    // A browser listens nowhere (RFC 7118 5.4).
    (is_gone && !flow.transport.is_websocket()).then(|| Target::new(flow.transport, addr))
}
