//! A client that is not connected is woken for a call: the operator's URL is told (`api.push`), and the client has a minute to connect. It then
//! finds the call, with its offer, in the first event (`ready`).

use super::problem::{Kind, Problem};
use super::token::{self, Claims, Identity};
use super::{Api, Timer, outside, share};
use crate::cx::Cx;
use crate::effect::{Output, Post};
use crate::id::Owner;
use crate::limits;
use serde_json::json as value;
use std::sync::Arc;

impl Api {
    /// The place of somebody who is not connected, as long as he may be called.
    pub(super) fn asleep(
        &mut self,
        cx: &mut Cx<'_>,
        (me, claims): (u64, &Claims),
        called: &Identity,
    ) -> Result<u64, Problem> {
        let config = cx.config.clone();
        let wakes = config.api.as_ref().is_some_and(|api| api.push.is_some());
        if !wakes || !token::is_name(&called.name) {
            return Err(Problem::new(
                Kind::NotConnected,
                "nobody of that name listens to events",
            ));
        }
        let full = || Problem::new(Kind::Full, "too many clients are there");
        let flow = self.clients.get(me).map(|client| client.flow).ok_or_else(full)?;
        let claims = Claims {
            who: called.clone(),
            ..claims.clone()
        };
        let epoch = cx.random() as u32;
        let way = |number| outside::way(&config, number, flow.local.ip(), flow.peer.ip());
        let most = share(&config, limits::API_CLIENTS);
        let other = self.clients.enter(&claims, epoch, most, way).ok_or_else(full)?;
        self.deadlines
            .set(Timer::Absent(other), cx.now + limits::API_RING + limits::API_ABSENCE);
        Ok(other)
    }

    /// Tells the operator's URL of a call.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>, number: u64, (called, from): (&Identity, &Arc<str>), call: &str) {
        let config = cx.config.clone();
        let Some(push) = config.api.as_ref().and_then(|api| api.push.as_ref()) else {
            return;
        };
        let body = value!({
            "reason": "call",
            "tenant": *called.tenant,
            "client": *called.name,
            "from": **from,
            "call": call,
        });
        let post = Post {
            url: push.url.clone(),
            token: push.token.clone(),
            body: body.to_string().into(),
        };
        let ticket = cx.ticket(Owner::Phone(number), limits::POST);
        cx.emit(Output::Post(ticket, Box::new(post)));
    }

    /// Whether the URL has taken what it was told of a call; where it has not, nobody will come.
    pub fn posted(&mut self, cx: &mut Cx<'_>, number: u64, taken: bool) {
        let rings = self.calls.get(number).is_some_and(|call| call.answered.is_none());
        if !taken && rings {
            let why = "who is called is not connected, and could not be woken";
            self.over_because(cx, number, "unavailable", (None, Some(why)));
        }
    }
}
