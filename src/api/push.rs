//! A client that is not connected is woken for a call: the operator's URL is told (`api.push`), and the client has a minute to connect. It then
//! finds the call, with its offer, in the first event (`ready`).

use super::act::Asker;
use super::call::Side;
use super::end::End;
use super::outside::number_of;
use super::problem::{Kind, Problem};
use super::token::{self, Claims, Identity};
use super::{Api, Timer, outside, share};
use crate::cx::Cx;
use crate::effect::{Hook, Output, Post};
use crate::guard::cells::Rate;
use crate::id::Owner;
use crate::limits;
use serde_json::json as value;

impl Api {
    /// The place of somebody who is not connected, as long as he may be called.
    pub(super) fn asleep(
        &mut self,
        cx: &mut Cx<'_>,
        Asker { me, claims }: Asker<'_>,
        called: &Identity,
    ) -> Result<u64, Problem> {
        let config = cx.config.clone();
        let wakes = config.api.as_ref().is_some_and(|api| api.push.is_some());
        if !wakes || !token::is_name(&called.name) {
            return Err(nobody(&called.name));
        }
        let full = || Problem::new(Kind::Full, "too many clients are there");
        let caller = self.clients.get(me).ok_or_else(full)?;
        let flow = caller.flow;
        let rate = Rate::each(limits::API_WAKE_EACH.as_nanos() as u64, limits::API_WAKES);
        if !caller.wakes.take(cx.now.as_nanos(), rate) {
            let mut problem = Problem::new(Kind::TooMany, "that wake somebody who is not connected");
            problem.headers = vec![("Retry-After", limits::API_WAKE_EACH.as_secs().to_string())];
            return Err(problem);
        }
        if let Some(other) = self.clients.named(called) {
            if self.clients.get(other).is_some_and(|client| client.streams.is_empty()) {
                self.may_be_absent(cx, other);
            }
            return Ok(other);
        }
        let claims = Claims {
            who: called.clone(),
            ..claims.clone()
        };
        let epoch = cx.random() as u32;
        let way = |number| outside::way(&config, number, flow.local.ip(), flow.peer.ip());
        let most = share(&config, limits::API_CLIENTS);
        let other = self.clients.enter(&claims, epoch, most, way).ok_or_else(full)?;
        self.may_be_absent(cx, other);
        Ok(other)
    }

    /// As long as it rings, and a while more.
    fn may_be_absent(&mut self, cx: &Cx<'_>, number: u64) {
        let until = cx.now + limits::API_RING + limits::API_ABSENCE;
        self.deadlines.set(Timer::Absent(number), until);
    }

    /// Somebody who was called and never came has no place any more when nobody calls him.
    pub(super) fn forget_sleeper(&mut self, number: u64) {
        let client = self.clients.get(number);
        if client.is_some_and(|client| !client.came && client.calls.is_empty()) {
            self.deadlines.cancel(Timer::Absent(number));
            self.clients.remove(number);
        }
    }

    /// Tells the operator's URL of a call.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>, number: u64, called: &Identity, from: &str) {
        let config = cx.config.clone();
        let Some(push) = config.api.as_ref().and_then(|api| api.push.as_ref()) else {
            return;
        };
        let Some(call) = self.calls.get(number) else { return };
        let body = value!({
            "reason": "call",
            "tenant": *called.tenant,
            "client": *called.name,
            "from": from,
            "call": call.id,
        });
        let post = Post {
            hook: Hook::Clients,
            url: push.url.clone(),
            token: push.token.clone(),
            body: body.to_string().into(),
        };
        let ticket = cx.ticket(Owner::Phone(number), limits::POST);
        cx.emit(Output::Post(ticket, Box::new(post)));
    }

    /// Whether the URL has taken what it was told of a call; where it has not, nobody will come who is not there already.
    pub fn posted(&mut self, cx: &mut Cx<'_>, number: u64, taken: bool) {
        let Some(call) = self.calls.get(number).filter(|call| call.answered.is_none()) else {
            return;
        };
        let callee = call.member(Side::Callee).who.client();
        let callee = callee.and_then(|callee| self.clients.get(callee));
        if !taken && !callee.is_some_and(|callee| callee.callable) {
            let why = "who is called is not connected, and could not be woken";
            self.over(cx, number, End::by_nobody("unavailable").saying(Some(why.to_owned())));
        }
    }
}

/// A client of that name is not connected. Who has written a number has meant one, mostly.
fn nobody(name: &str) -> Problem {
    let mut why = "no client of that name listens to events".to_owned();
    if number_of(name).is_some() {
        why.push_str(&format!(
            "; as a number it is called by {{ number: '{name}' }}, as a room by {{ room: '{name}' }}"
        ));
    }
    Problem::new(Kind::NotConnected, why)
}
