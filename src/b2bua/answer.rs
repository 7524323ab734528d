//! The caller's leg until it is answered: provisional responses, reliable where the caller wants (RFC 3262), then one final.

use super::cause;
use super::desk::Turn;
use super::leg::{Incoming, Leg, State};
use crate::dialog::accepted::Unacknowledged;
use crate::dialog::reliable::Sender;
use crate::effect::Cause;
use crate::sdp::{Direction, SdpError, Session};
use crate::sip::multipart::session_description;
use crate::sip::{Draft, Message, Name};
use bytes::Bytes;
use codecs::Codec;

impl Leg {
    /// The INVITE that waits for our final response.
    pub fn incoming(&self) -> Option<&Incoming> {
        match &self.state {
            State::Incoming(incoming) => Some(incoming),
            State::Outgoing(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        }
    }

    fn incoming_mut(&mut self) -> Option<&mut Incoming> {
        match &mut self.state {
            State::Incoming(incoming) => Some(incoming),
            State::Outgoing(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        }
    }

    /// The caller hears media before the answer.
    pub fn has_early_media(&self) -> bool {
        self.incoming().is_some_and(|incoming| incoming.answer.is_some())
    }

    /// Tells the caller how its call goes. `heard` is there where the caller is to hear something already: then the response
    /// carries our answer, with these codecs first, if they are known.
    pub fn progress(&mut self, t: &mut Turn<'_, '_>, status: u16, heard: Option<&[Codec]>, want: Direction) {
        let Some(incoming) = self.incoming() else { return };
        let described = incoming.answer.is_some();
        let fresh = heard.is_some() && !described;
        if incoming.last == status && !fresh {
            return;
        }
        let required = incoming.invite.has_token(Name::Require, "100rel");
        let able = required || incoming.invite.has_token(Name::Supported, "100rel");
        // Without an offer the first reliable response must have ours (RFC 3262 5); an unreliable one can't have any.
        let ours_first = incoming.offer.is_none() && required && !described;
        let early = fresh && incoming.offer.is_some();
        if early || ours_first {
            if self.describe(heard.unwrap_or_default(), want).is_err() {
                return;
            }
            self.negotiated(t);
        }
        let reliable = required || (able && (early || ours_first));
        // After a reliable description further ones would be another offer (RFC 3262 5).
        let with_body = early || ours_first || (described && self.reliable.is_none());
        self.provisional(t, status, reliable, with_body);
    }

    /// Makes our description, once: the answer to the caller's offer, or an offer where it made none.
    fn describe(&mut self, first: &[Codec], want: Direction) -> Result<(), SdpError> {
        let signalling = self.signalling();
        let (State::Incoming(incoming), Some(oa)) = (&mut self.state, &mut self.oa) else {
            return Err(SdpError::NotAcceptable("The leg has no media"));
        };
        if incoming.answer.is_none() {
            oa.prefer(first);
            incoming.answer = Some(match &incoming.offer {
                Some(offer) => oa.answer(&Session::parse(offer)?, want, signalling)?,
                None => oa.offer(want),
            });
        }
        Ok(())
    }

    fn provisional(&mut self, t: &mut Turn<'_, '_>, status: u16, reliable: bool, with_body: bool) {
        let now = t.now();
        let Some(incoming) = self.incoming() else { return };
        let tx = incoming.tx;
        let mut response = Draft::response(&incoming.invite, status, Some(self.local_tag()));
        copy_record_route(&incoming.invite, &mut response);
        if let Some(body) = incoming.answer.as_ref().filter(|_| with_body) {
            response.set_body(super::send::SDP, body.clone());
        }
        let cseq = incoming.invite.cseq().map_or(0, |cseq| cseq.number);
        self.describe_us(t, &mut response);
        self.tell_packages(t, Some(&incoming.invite), &mut response);
        if let Some(incoming) = self.incoming_mut() {
            incoming.last = status;
        }
        let send = if reliable {
            let random = t.cx.random();
            self.reliable
                .get_or_insert_with(|| Box::new(Sender::new(cseq, random)))
                .send(now, response)
        } else {
            Some(response)
        };
        if let Some(response) = send {
            t.net.layer.respond(t.cx, tx, response);
        }
    }

    /// Answers the call with 200. `codec` is what the other side speaks. It waits where a reliable response with SDP is not
    /// acknowledged yet. The error is that the caller's offer cannot be answered after all.
    pub fn accept(&mut self, t: &mut Turn<'_, '_>, codec: Option<Codec>, want: Direction) -> Result<(), SdpError> {
        let waits = self.reliable.as_deref().is_some_and(Sender::holds_answer);
        let Some(incoming) = self.incoming_mut() else {
            return Ok(());
        };
        incoming.accept_after_prack = waits;
        if waits {
            return Ok(());
        }
        // A description that a reliable response carried was answered or acknowledged: it is not said again (RFC 3262 5).
        let said = self.reliable.is_some() && self.has_early_media();
        self.describe(codec.as_slice(), want)?;
        let State::Incoming(incoming) = std::mem::replace(&mut self.state, State::Up) else {
            return Ok(());
        };
        let mut response = Draft::response(&incoming.invite, 200, Some(self.local_tag()));
        copy_record_route(&incoming.invite, &mut response);
        self.describe_us(t, &mut response);
        self.tell_packages(t, Some(&incoming.invite), &mut response);
        self.timer.answer(t.now(), &incoming.invite, &mut response);
        if let Some(body) = incoming.answer.filter(|_| !said) {
            response.set_body(super::send::SDP, body);
        }
        let cseq = incoming.invite.cseq().map_or(0, |cseq| cseq.number);
        self.unacked = Some(Unacknowledged::new(t.now(), cseq));
        t.net.layer.respond(t.cx, incoming.tx, response);
        t.desk.remove_server(incoming.tx);
        self.invite_tx = Some(incoming.tx);
        if let Some(dialog) = &mut self.dialog {
            dialog.confirm();
        }
        if let Some(reliable) = &mut self.reliable {
            reliable.stop();
        }
        self.negotiated(t);
        self.find_own_way(t);
        Ok(())
    }

    /// Refuses the call.
    pub fn refuse(&mut self, t: &mut Turn<'_, '_>, cause: &Cause) {
        let Some(incoming) = self.incoming() else { return };
        let status = if cause.status >= 300 { cause.status } else { 480 };
        let mut response = Draft::response(&incoming.invite, status, Some(self.local_tag()));
        let tx = incoming.tx;
        response.push(Name::Server, crate::USER_AGENT);
        // A client of the API is told why this node does it; what a peer answered is in the status.
        let is_within = self.flow.is_inside() && cause.by == crate::effect::Blame::Node;
        let reason = if is_within {
            cause::reason_within(cause)
        } else {
            cause::reason(cause)
        };
        response.push(Name::Reason, reason);
        if status == 405 || status == 501 {
            response.push(Name::Allow, self.allow(t.cx.config));
        }
        if status == 503 && self.who.trunk().is_some() {
            response.push(Name::RetryAfter, RETRY_AFTER_SECS);
        }
        t.net.layer.respond(t.cx, tx, response);
        self.gone(t);
    }

    /// A description that the peer sent in PRACK or ACK: the answer to our offer.
    pub fn late_answer(&mut self, t: &mut Turn<'_, '_>, body: &Message) -> Result<(), SdpError> {
        let signalling = self.signalling();
        let Some(oa) = self.oa.as_mut().filter(|oa| oa.is_offering()) else {
            return Ok(());
        };
        let answer = description(body);
        let done = match answer.as_deref().map(Session::parse).transpose()? {
            Some(answer) => oa.complete(&answer, signalling),
            None => Err(SdpError::NotAcceptable("An offer of ours was left without an answer")),
        };
        match done {
            Ok(()) => self.negotiated(t),
            Err(_) => oa.withdraw(),
        }
        done
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        self.dialog.as_ref().map_or("", |dialog| dialog.id.local_tag())
    }
}

/// How long a carrier should spare us when a limit is reached.
pub const RETRY_AFTER_SECS: u32 = 5;

/// The description in a message, to be read. Who may not carry a body that we do not know is judged elsewhere.
pub fn description(message: &Message) -> Option<Bytes> {
    session_description(message).ok().flatten()
}

/// A response that makes a dialog repeats the Record-Route of its request (RFC 3261 12.1.1).
pub fn copy_record_route(request: &Message, response: &mut Draft) {
    for route in request.all(Name::RecordRoute) {
        response.push(Name::RecordRoute, route);
    }
}
