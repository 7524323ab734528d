//! A new INVITE: what is refused before it becomes a call, and how a call begins.

use super::answer::RETRY_AFTER_SECS;
use super::call::Call;
use super::cause::{self, q850};
use super::desk::{CallTimer, Claim, Turn};
use super::fax::takes_fax;
use super::hunt::{Hunt, Passed, Step, dialled, no_room};
use super::identity::Identity;
use super::leg::{Incoming, Leg, LegId, State, Who};
use super::offer::wish_of;
use super::outcome::Missed;
use super::outgoing::allows_update;
use super::replaces::replaces_id;
use super::send::SDP;
use super::{siprec, webrtc};
use crate::config::{Config, Webrtc};
use crate::dialog::{Dialog, DialogId};
use crate::effect::{Blame, Cause, Device, Fact, Output, Party, Which};
use crate::id::{Flow, ServerTx};
use crate::limits;
use crate::routing::{self, Decision, Plan, Source};
use crate::sdp::{self, Direction, Image, Local, SdpError, Session};
use crate::sip::multipart::{ACCEPTED, session_description};
use crate::sip::uri::Scheme;
use crate::sip::write::MAX_FORWARDS;
use crate::sip::{Draft, Message, Name};
use bytes::Bytes;
use codecs::Codec;
use std::sync::Arc;
use std::time::Duration;

/// An INVITE that has the form of a call.
pub struct Entry {
    /// Who sent it.
    pub source: Source,
    /// By which way.
    pub flow: Flow,
    /// Its transaction.
    pub tx: ServerTx,
    /// It.
    pub request: Message,
    /// The dialog that it makes.
    pub dialog: Dialog,
    /// Its offer.
    pub offer: Option<Offer>,
    /// What was called.
    pub dialled: String,
    /// By a SIPS URI.
    pub secure: bool,
    /// The one device that was called.
    pub which: Option<Which>,
    /// Hops that are left for what we send.
    pub max_forwards: u32,
}

/// The caller's offer: it can be read.
pub struct Offer {
    /// As it came.
    pub body: Bytes,
    /// What it says of the caller.
    pub want: Direction,
    /// What the caller speaks, in its order.
    pub codecs: Vec<Codec>,
    /// What the caller says of its fax, if it is one.
    pub image: Option<Image>,
    /// Why the caller's leg could not answer it.
    pub refused: Option<SdpError>,
}

impl Offer {
    fn read(config: &Config, source: &Source, flow: Flow, body: Bytes) -> Result<Offer, SdpError> {
        let session = Session::parse(&body)?;
        let (want, codecs) = (wish_of(&session), session.audio_codecs());
        let image = Image::of(&session)?;
        let own = match source {
            Source::User(name) => config.user(name).map(|user| (&*user.codecs, user.srtp)),
            Source::Trunk(trunk) => config.trunk(*trunk).map(|trunk| (&*trunk.codecs, trunk.srtp)),
        };
        let local = local(config, flow);
        let is_protected = session.has_dtls();
        let judged = match image {
            _ if flow.is_inside() && !is_protected => Err(SdpError::NotAcceptable(
                "A client of the API has its media protected by DTLS, as browsers do.",
            )),
            Some(_) => takes_fax(config, &who(source)).and_then(|()| sdp::acceptable_fax(&session, &local)),
            None => {
                let (codecs, srtp) = own.unwrap_or_default();
                let is_taken = flow.is_inside() || webrtc::setting(config, &who(source)) != Webrtc::No;
                sdp::acceptable(&session, &local, codecs, srtp, is_taken)
            }
        };
        Ok(Offer {
            body,
            want,
            codecs,
            image,
            refused: judged.err(),
        })
    }
}

/// Who the source of an INVITE is.
fn who(source: &Source) -> Who {
    match source {
        Source::User(name) => Who::User(name.as_str().into()),
        Source::Trunk(trunk) => Who::Trunk(*trunk, None),
    }
}

/// Our end of a leg on this flow, before it has a port.
fn local(config: &Config, flow: Flow) -> Local {
    Local {
        addr: config.own_media_address_on(flow),
        port: 9,
        session_id: 0,
        version: 0,
        direction: Direction::SendRecv,
    }
}

const REFUSED: SdpError = SdpError::NotAcceptable("The callee's phones take no fax (T.38).");

/// Why an INVITE is refused before it is a call.
#[derive(Debug)]
pub struct Refusal {
    /// The status that its sender is owed.
    pub status: u16,
    /// Why, in words.
    pub why: &'static str,
    /// Further fields of the response.
    pub fields: Vec<(Name, String)>,
}

impl Refusal {
    /// Without further fields.
    pub fn new(status: u16, why: &'static str) -> Refusal {
        Refusal {
            status,
            why,
            fields: Vec::new(),
        }
    }

    fn with(mut self, name: Name, value: impl ToString) -> Refusal {
        self.fields.push((name, value.to_string()));
        self
    }

    /// A limit of this node.
    pub fn overload(why: &'static str) -> Refusal {
        Refusal::new(503, why).with(Name::RetryAfter, RETRY_AFTER_SECS)
    }
}

impl Entry {
    /// Reads an INVITE outside of dialogs (RFC 3261 8.2).
    pub fn read(
        config: &Config,
        source: Source,
        flow: Flow,
        tx: ServerTx,
        (request, device): (Message, Option<Device>),
        tag: &str,
    ) -> Result<Entry, Refusal> {
        let hops = match request.number(Name::MaxForwards) {
            None => MAX_FORWARDS,
            Some(Ok(hops)) => hops.min(255),
            Some(Err(error)) => return Err(Refusal::new(error.status, error.reason)),
        };
        if hops == 0 {
            return Err(Refusal::new(483, "Max-Forwards is used up: the call runs in a circle"));
        }
        let dialog = Dialog::uas(&request, tag).map_err(|reject| Refusal::new(reject.status, reject.reason))?;
        let body = session_description(&request).map_err(|error| {
            let refusal = Refusal::new(error.status, error.reason);
            match error.status {
                415 => refusal.with(Name::Accept, ACCEPTED),
                _ => refusal,
            }
        })?;
        if request
            .get(Name::ContentEncoding)
            .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
        {
            let refusal = Refusal::new(415, "the body is encoded");
            return Err(refusal.with(Name::Accept, ACCEPTED));
        }
        if !takes_sdp(&request) {
            return Err(Refusal::new(406, "the caller does not take a session description"));
        }
        let offer = body.map(|body| Offer::read(config, &source, flow, body)).transpose();
        let offer = offer.map_err(|error| Refusal::new(error.status(), error.reason()))?;
        let uri = request
            .request_uri()
            .map_err(|error| Refusal::new(error.status, error.reason))?;
        let dialled = match &device {
            Some(device) => Some(device.user.to_string()),
            None => dialled(&uri),
        };
        let dialled = dialled.ok_or(Refusal::new(484, "the request names nobody to call"))?;
        Ok(Entry {
            source,
            flow,
            tx,
            request,
            dialog,
            offer,
            dialled,
            secure: uri.scheme == Scheme::Sips,
            which: device.map(|device| device.which),
            max_forwards: hops - 1,
        })
    }

    /// The dialog that the INVITE is to replace (RFC 3891 3); an error where the field can't be read.
    pub fn replaces(&self) -> Result<Option<(DialogId, bool)>, Refusal> {
        let values = self.request.all(Name::Replaces);
        match values.as_slice() {
            [] => Ok(None),
            [one] => replaces_id(one)
                .map(Some)
                .ok_or(Refusal::new(400, "Replaces can't be read")),
            _ => Err(Refusal::new(400, "there is more than one Replaces")),
        }
    }

    /// The leg that this INVITE makes.
    pub fn leg(self, t: &mut Turn<'_, '_>, id: LegId) -> Leg {
        let config = t.cx.config.clone();
        let identity = Some(Arc::new(Identity::of(&config, &self.source, &self.request)));
        let who = who(&self.source);
        t.desk.add_server(self.tx, id);
        t.desk.add_dialog(&self.dialog.id, id);
        let updates = allows_update(&self.request);
        let incoming = Incoming {
            tx: self.tx,
            invite: self.request,
            secure: self.secure,
            offer: self.offer.map(|offer| offer.body),
            answer: None,
            last: 100,
            accept_after_prack: false,
        };
        let mut leg = Leg::new(
            id,
            who,
            identity,
            self.flow,
            State::Incoming(Box::new(incoming)),
            &config,
        );
        leg.dialog = Some(self.dialog);
        leg.allows_update = updates;
        leg
    }
}

impl Leg {
    /// Whether this leg can be answered at all: its interval, and its offer, of which is known whether it can be.
    pub fn judge_invite(&mut self, offer: Option<SdpError>) -> Result<(), Refusal> {
        let State::Incoming(incoming) = &self.state else {
            return Ok(());
        };
        if let Err(small) = self.timer.judge(&incoming.invite) {
            return Err(Refusal::new(422, "the session interval is too small").with(Name::MinSe, small.min_se));
        }
        match offer {
            Some(error) => Err(Refusal::new(error.status(), error.reason())),
            None => Ok(()),
        }
    }
}

/// Begins a call for an INVITE. The error refuses it; then it was none. `adopted` by one whose record has begun: why its callee did
/// not take it, where that is so.
pub fn begin(
    call: &mut Call,
    t: &mut Turn<'_, '_>,
    mut entry: Entry,
    adopted: Option<Option<Missed>>,
) -> Result<(), Refusal> {
    let config = call.config.clone();
    let source = entry.source.clone();
    let (want, codecs, image, refused) = entry.offer.as_mut().map_or_else(Default::default, |offer| {
        let codecs = std::mem::take(&mut offer.codecs);
        (offer.want, codecs, offer.image.take(), offer.refused.take())
    });
    // A phone that refused a fax would refuse it again.
    let refused = refused.or_else(|| (image.is_some() && adopted == Some(None)).then_some(REFUSED));
    let (dialled, which) = (std::mem::take(&mut entry.dialled), entry.which.take());
    let (max_forwards, flow) = (entry.max_forwards, entry.flow);
    let passed = passed(&config, &source, &entry.request);
    let sip_call_id = entry.request.call_id().to_owned();
    call.session_id = siprec::session_id(&entry.request);
    let expires = entry.request.number(Name::Expires).and_then(Result::ok);
    let id = LegId {
        call: call.id,
        no: crate::id::LegNo(0),
    };
    let mut leg = entry.leg(t, id);
    leg.caller_side = true;
    let judged = leg.judge_invite(refused);
    let (identity, who) = (leg.identity(&config), leg.who.clone());
    let from = leg.who.party(&config);
    let secure = leg.is_secure();
    leg.look_behind_gruu(t);
    call.legs.push(leg);
    judged?;
    let decision = routing::decide(&config, &source, &dialled);
    if adopted.is_none() {
        record_start(call, t, from, &identity, &decision.number, sip_call_id);
    }
    if let Err(cause) = claim(call, t, id, &who) {
        call.end(t, cause);
        return Ok(());
    }
    if let Some(seconds) = expires {
        t.wake_call(call.id, CallTimer::Expires, Duration::from_secs(seconds.into()));
    }
    call.hunt = Some(Box::new(Hunt {
        no: id,
        not: match &who {
            Who::User(name) => Some((name.clone(), flow)),
            Who::Trunk(..) => None,
        },
        source,
        number: String::new(),
        identity,
        hops: 0,
        step: Step::Deciding,
        best: None,
        claim: None,
        codecs,
        image,
        want,
        max_forwards,
        passed,
        rang: false,
        secure,
        which,
    }));
    search(call, t, decision, adopted.flatten());
    Ok(())
}

/// The search goes where the dial plan says, unless the callee's phones were asked before.
fn search(call: &mut Call, t: &mut Turn<'_, '_>, decision: Decision, missed: Option<Missed>) {
    match (missed, &decision.plan) {
        (Some(missed), Plan::User(name)) => {
            let cause = cause::cause(480, Blame::Callee, "nobody took the call");
            if let Some(hunt) = &mut call.hunt {
                hunt.number = decision.number;
            }
            call.missed(t, name, missed, cause);
        }
        (Some(_) | None, _) => call.follow(t, decision),
    }
}

fn record_start(
    call: &Call,
    t: &mut Turn<'_, '_>,
    from: Party,
    identity: &Identity,
    called: &str,
    sip_call_id: String,
) {
    let (caller, called) = (identity.shown(), called.to_owned());
    t.cx.emit(Output::Record(Fact::CallStarted {
        call: call.id,
        at: t.cx.wall,
        from,
        caller,
        called,
        sip_call_id,
    }));
}

/// The caller's place: a carrier's calls are limited as configured; a user may place some more than make him busy, for whoever is
/// busy still consults and transfers, but not so many that there is no room for others.
fn claim(call: &mut Call, t: &mut Turn<'_, '_>, id: LegId, who: &Who) -> Result<(), Cause> {
    let claim = match who {
        Who::User(name) => {
            let most = call.config.user(name).map_or(0, |user| user.calls) + limits::CALLS_PLACED;
            if t.desk.calls_of(name) >= most {
                let why = "a user has as many calls as one may place";
                return Err(cause::exact(403, q850::CALL_REJECTED, Blame::Node, why));
            }
            t.desk.claim_user(name.clone())
        }
        Who::Trunk(trunk, _) => {
            let name = &call.config.trunks[usize::from(trunk.0)].name;
            t.net
                .trunks
                .reserve(t.cx, *trunk)
                .map_err(|busy| no_room(true, busy, name))?;
            Claim::Trunk(*trunk)
        }
    };
    if let Some(leg) = call.leg_mut(id) {
        leg.set_claim(t, Some(claim));
    }
    Ok(())
}

/// Fields that any trunk's configuration lets pass; where they may go is decided with the callee.
fn passed(config: &Config, source: &Source, request: &Message) -> Vec<Passed> {
    let own: &[String] = match source {
        Source::Trunk(trunk) => &config.trunks[usize::from(trunk.0)].pass_headers,
        Source::User(_) => &[],
    };
    let mut list: Vec<Passed> = Vec::new();
    for name in own
        .iter()
        .chain(config.trunks.iter().flat_map(|trunk| &trunk.pass_headers))
    {
        if list.iter().any(|old| old.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        let anywhere = own.iter().any(|own| own.eq_ignore_ascii_case(name));
        let values = request.all_named(name).into_iter();
        list.extend(values.map(|value| Passed {
            name: name.clone(),
            value: value.into_owned(),
            anywhere,
        }));
    }
    list
}

/// Answers an INVITE that did not become a call.
pub fn refuse(t: &mut Turn<'_, '_>, flow: Flow, tx: ServerTx, request: &Message, tag: &str, refusal: &Refusal) {
    let mut response = Draft::response(request, refusal.status, Some(tag));
    for (name, value) in &refusal.fields {
        response.push(*name, value);
    }
    response.push(Name::Server, crate::USER_AGENT);
    if matches!(refusal.status, 400 | 488) {
        response.push(Name::Warning, format!("399 tandem \"{}\"", refusal.why));
    }
    t.net.layer.respond(t.cx, tx, response);
    t.cx.emit(Output::Record(Fact::Refused {
        peer: flow.peer,
        status: refusal.status,
        why: refusal.why,
        what: None,
    }));
}

/// RFC 3261 20.1: without Accept it is application/sdp that a caller takes.
fn takes_sdp(request: &Message) -> bool {
    let ranges = [SDP, "application/*", "*/*"];
    request.get(Name::Accept).is_none() || ranges.iter().any(|range| request.has_token(Name::Accept, range))
}
