//! What the two sides of a call ask: to take it, to change it, to end it.

use super::act::{About, Asker, description, may_touch, no_such_call};
use super::answer::{done, ok};
use super::body::{self, Refusal};
use super::call::{Call, Side, State};
use super::end::{End, GONE};
use super::problem::{Kind, Problem};
use super::token::{Claims, Scope};
use super::wire::Response;
use super::{Api, Timer};
use crate::cx::Cx;
use crate::limits;
use serde_json::json as value;

impl Api {
    pub(super) fn accept(
        &mut self,
        cx: &mut Cx<'_>,
        about: &About,
        wanted: &body::Accept,
    ) -> Result<Response, Problem> {
        description(&wanted.answer, "answer")?;
        if wanted.device.len() > limits::API_NAME_BYTES {
            return Err(Problem::new(Kind::CannotBe, "device: it is too long"));
        }
        let wall = cx.wall;
        let call = self.call(about)?;
        if about.side == Side::Caller {
            return Err(Problem::new(Kind::WrongMoment, "who calls cannot accept"));
        }
        call.accept(wall)?;
        call.log(cx, "was accepted".to_owned());
        let view = call.view();
        let callee = call.member(Side::Callee).who.client();
        let room = call.room().map(str::to_owned);
        self.deadlines.cancel(Timer::Unanswered(about.number));
        self.lines.accept(cx, about.number, &wanted.answer);
        let told = value!({ "call": view, "answer": wanted.answer });
        self.tell_other(cx, about, "call.accepted", &told);
        // His other devices stop ringing.
        let told = value!({ "call": view, "device": wanted.device });
        if let Some(callee) = callee {
            self.tell(cx, callee, "call.accepted", &told);
        }
        if let Some(room) = room {
            self.has_company(cx.now, about.number, &room);
        }
        Ok(ok(&view))
    }

    pub(super) fn reject(
        &mut self,
        cx: &mut Cx<'_>,
        about: &About,
        claims: &Claims,
        wanted: &body::Reject,
    ) -> Result<Response, Problem> {
        self.call(about)?.must_be(State::Ringing)?;
        let why = match (about.side, wanted.reason) {
            (Side::Caller, _) => return Err(Problem::new(Kind::WrongMoment, "who calls hangs up")),
            (Side::Callee, Refusal::Declined) => "declined",
            (Side::Callee, Refusal::Busy) => "busy",
        };
        self.over(cx, about.number, End::by(why, &claims.who.name));
        Ok(done())
    }

    /// Either side, or an administrator of the tenant.
    pub(super) fn hang_up(
        &mut self,
        cx: &mut Cx<'_>,
        Asker { me, claims }: Asker<'_>,
        name: &str,
        reason: body::Leaving,
    ) -> Result<Response, Problem> {
        let number = self.calls.named(&claims.who, name).ok_or_else(no_such_call)?;
        let call = self.calls.get(number).ok_or_else(no_such_call)?;
        if call.side_of(me).is_some() && !claims.scopes.has(Scope::Admin) {
            may_touch(claims, call)?;
        }
        let is_own = call.side_of(me).is_some() && call.moves.is_none();
        let is_closed = is_own && reason == body::Leaving::Closed;
        let why = match (call.side_of(me), call.state) {
            (Some(Side::Caller), State::Ringing) => "cancelled",
            // His phones go on ringing.
            (Some(Side::Callee), State::Ringing) if is_closed => GONE,
            (Some(Side::Callee), State::Ringing) => "declined",
            (Some(_), State::Up) if call.moves.is_some() => "moved",
            (Some(_), State::Up) if is_closed => GONE,
            (Some(_), State::Up) => "hung-up",
            (None, _) if claims.scopes.has(Scope::Admin) => "ended-by-admin",
            (None, _) => return Err(no_such_call()),
        };
        let end = End::by(why, &claims.who.name);
        self.over(cx, number, if is_closed { end.closed() } else { end });
        Ok(done())
    }

    pub(super) fn offer(&mut self, cx: &mut Cx<'_>, about: &About, wanted: body::Offer) -> Result<Response, Problem> {
        description(&wanted.offer, "offer")?;
        self.lines.may_change(about.number)?;
        let call = self.call(about)?;
        let told = wanted.offer.clone();
        let revision = call.offer(about.side, wanted.offer)?;
        self.lines.offer(cx, about.number, revision, &told);
        let call = self.call(about)?;
        let told = value!({ "call": call.id, "offer": told, "revision": revision });
        self.tell_other(cx, about, "call.offer", &told);
        Ok(ok(&value!({ "revision": revision })))
    }

    pub(super) fn answered(
        &mut self,
        cx: &mut Cx<'_>,
        about: &About,
        wanted: &body::Answer,
    ) -> Result<Response, Problem> {
        description(&wanted.answer, "answer")?;
        let call = self.call(about)?;
        call.must_be(State::Up)?;
        call.answer(about.side, wanted.revision)?;
        if call.line().is_some() {
            self.deadlines.cancel(Timer::Unanswered(about.number));
            self.lines.answer(cx, about.number, &wanted.answer);
            return Ok(done());
        }
        let told = value!({ "call": call.id, "answer": wanted.answer, "revision": wanted.revision });
        self.tell_other(cx, about, "call.answer", &told);
        Ok(done())
    }

    pub(super) fn candidates(
        &mut self,
        cx: &mut Cx<'_>,
        about: &About,
        wanted: &body::Candidates,
    ) -> Result<Response, Problem> {
        let is_line = |text: &str| text.len() <= limits::API_CANDIDATE_BYTES && !text.contains(['\r', '\n', '\0']);
        let is_good = |one: &body::Candidate| {
            let rest = [one.sdp_mid.as_deref(), one.username_fragment.as_deref()];
            is_line(&one.candidate) && rest.into_iter().flatten().all(is_line)
        };
        let count = wanted.candidates.len();
        if !(1..=limits::API_CANDIDATES).contains(&count) || !wanted.candidates.iter().all(is_good) {
            let (most, octets) = (limits::API_CANDIDATES, limits::API_CANDIDATE_BYTES);
            let why = format!("candidates: 1 to {most} lines of at most {octets} octets are taken");
            return Err(Problem::new(Kind::CannotBe, why));
        }
        let call = self.call(about)?;
        call.candidates(about.side, count)?;
        let told = value!({ "call": call.id, "candidates": body::write(&wanted.candidates) });
        self.tell_other(cx, about, "call.candidates", &told);
        Ok(done())
    }

    /// The other side of a call by SIP is told by the node.
    pub(super) fn hold(&mut self, cx: &mut Cx<'_>, about: &About, hold: bool) -> Result<Response, Problem> {
        let call = self.call(about)?;
        call.must_be(State::Up)?;
        if call.line().is_some() && call.member(about.side).holds != hold {
            self.lines.may_change(about.number)?;
            self.lines.hold(cx, about.number, hold);
        }
        self.change(cx, about, |call, side| call.member_mut(side).holds = hold)
    }

    pub(super) fn change(
        &mut self,
        cx: &mut Cx<'_>,
        about: &About,
        change: impl FnOnce(&mut Call, Side),
    ) -> Result<Response, Problem> {
        let call = self.call(about)?;
        call.must_be(State::Up)?;
        change(call, about.side);
        let (view, own) = (call.view(), call.member(about.side).who.client());
        let told = value!({ "call": view });
        self.tell_other(cx, about, "call.updated", &told);
        if let Some(own) = own {
            self.tell(cx, own, "call.updated", &told);
        }
        self.company_sees(cx.now, about.number);
        Ok(ok(&view))
    }

    pub(super) fn dtmf(&mut self, cx: &mut Cx<'_>, about: &About, wanted: &body::Dtmf) -> Result<Response, Problem> {
        let is_digit = |b: u8| b.is_ascii_digit() || b"*#ABCD".contains(&b);
        let good = (1..=limits::API_DIGITS).contains(&wanted.digits.len()) && wanted.digits.bytes().all(is_digit);
        if !good {
            let most = limits::API_DIGITS;
            return Err(Problem::new(
                Kind::CannotBe,
                format!("digits: 1 to {most} of 0-9*#ABCD are taken"),
            ));
        }
        let call = self.call(about)?;
        call.must_be(State::Up)?;
        let told = value!({ "call": call.id, "digits": wanted.digits });
        self.lines.digits(cx, about.number, &wanted.digits);
        self.tell_other(cx, about, "call.dtmf", &told);
        Ok(done())
    }
}
