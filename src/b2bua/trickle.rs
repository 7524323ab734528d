//! Candidates that a peer tells after its description (trickle ICE): INFO of the package trickle-ice (RFC 8840, RFC 6086).
//!
//! Our own are all in each description of ours, with `a=end-of-candidates`: we send no such INFO, and it is no matter to us whether a response
//! without reliability has arrived (RFC 8840 4.3.2).

use super::call::Call;
use super::change::Refusal;
use super::desk::Turn;
use super::leg::{Leg, LegId, State};
use crate::id::ServerTx;
use crate::sdp::SdpError;
use crate::sip::{Draft, Message, Method, Name};

/// The package.
const PACKAGE: &str = "trickle-ice";
/// Its body.
const KIND: &str = "application/trickle-ice-sdpfrag";

impl Leg {
    /// Says which packages the peer may send (RFC 6086 5.2.3): in an INVITE, and in responses to requests with Recv-Info.
    pub fn tell_packages(&self, t: &Turn<'_, '_>, request: Option<&Message>, draft: &mut Draft) {
        let is_owed = match request {
            Some(request) => !request.all_named("Recv-Info").is_empty(),
            None => draft.method() == Some(&Method::Invite),
        };
        if is_owed && self.is_web(t) {
            draft.push_named("Recv-Info", PACKAGE);
        }
    }

    /// Takes what an INFO tells, in the dialog that it is in.
    fn trickled(&mut self, t: &mut Turn<'_, '_>, request: &Message) -> Result<(), SdpError> {
        // Nothing is described yet: what counts is told again with all that comes later (RFC 8840 4.4).
        let Some(oa) = &mut self.oa else { return Ok(()) };
        let Some(told) = oa.trickled(&request.body())? else {
            return Ok(());
        };
        let early = match &mut self.state {
            State::Outgoing(outgoing) => outgoing.early_of_mut(request).and_then(|early| early.answer.as_mut()),
            State::Incoming(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        };
        if let Some(early) = early.and_then(|(agreed, _)| agreed.connect.as_mut()) {
            // One fork tells nothing in another's name.
            if early.theirs != *told.of() {
                return Ok(());
            }
            told.join(early);
        }
        oa.trickle(&told);
        if let Some(media) = &mut self.media {
            media.trickled(t, &told);
        }
        Ok(())
    }
}

impl Call {
    /// An INFO with a package: candidates, or one that we do not know (RFC 6086 4.2.2). What is of another generation is nobody's, and answered
    /// like all that can be read.
    pub fn on_package(&mut self, t: &mut Turn<'_, '_>, id: LegId, tx: ServerTx, request: &Message) {
        let Some(leg) = self.leg_mut(id) else { return };
        let is_web = leg.is_web(t);
        let packages = request.all_named("Info-Package");
        let name = |package: &str| {
            let name = package.split(';').next().unwrap_or_default().trim();
            // RFC 6086 7.2: one package, however it is written.
            name == PACKAGE && !package.contains(',')
        };
        if !is_web || packages.len() != 1 || !packages.iter().all(|package| name(package)) {
            let mut response = Draft::response(request, 469, None);
            response.push_named("Recv-Info", if is_web { PACKAGE } else { "" });
            return t.net.layer.respond(t.cx, tx, response);
        }
        if request.content_type().is_some_and(|kind| kind != KIND) {
            let mut response = Draft::response(request, 415, None);
            response.push(Name::Accept, KIND);
            return t.net.layer.respond(t.cx, tx, response);
        }
        match leg.trickled(t, request) {
            Ok(()) => leg.reply(t, tx, request, 200),
            Err(error) => leg.refuse_change(t, tx, request, &Refusal::Sdp(error)),
        }
    }
}
