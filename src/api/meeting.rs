//! A third participant. A call between two clients moves into a room, without a gap: each of the two calls the room, and leaves the other when
//! he hears it. In a room the others are called by the room itself, or told where it is.

use super::act::no_such_call;
use super::answer::{done, json};
use super::body::Target;
use super::call::{Call, State, Who};
use super::outside::{destination, key_of, number_of, user_of};
use super::problem::{Kind, Problem};
use super::token::{Claims, Identity};
use super::wire::Response;
use super::{Api, Timer, fact};
use crate::config::{Config, User};
use crate::cx::Cx;
use crate::limits;
use crate::room::address::SHOWN;
use crate::routing::{self, Plan, Source};
use crate::sip::Uri;
use crate::sip::uri::escaped;
use serde_json::json as value;

/// Somebody whom a room is to call as soon as who has added him is in it.
#[derive(Debug)]
pub(super) struct Add {
    room: String,
    to: Uri,
    /// As whom it is asked for.
    by: String,
}

impl Api {
    /// One more participant.
    pub(super) fn add(
        &mut self,
        cx: &mut Cx<'_>,
        (me, claims): (u64, &Claims),
        number: u64,
        target: &Target,
    ) -> Result<Response, Problem> {
        let call = self.calls.get(number).ok_or_else(no_such_call)?;
        call.must_be(State::Up)?;
        let side = call.side_of(me).ok_or_else(no_such_call)?;
        let room = match &call.member(side.other()).who {
            Who::Client(..) if call.moves.is_some() => {
                return Err(Problem::new(Kind::WrongMoment, "it moves into a room already"));
            }
            Who::Client(..) => None,
            Who::Room(room) => Some(room.clone()),
            Who::Number(_) | Who::Sip(_) => {
                let why = "a call with a number or a SIP address has two sides: call a room, and add both to it";
                return Err(Problem::new(Kind::CannotBe, why));
            }
        };
        let config = cx.config.clone();
        let user = user_of(&config, claims)?;
        let local = self.clients.get(me).map(|client| client.flow.local.ip());
        let local = local.ok_or_else(no_such_call)?;
        let called = match target {
            Target::Client(name) => {
                self.may_be_invited(claims, name)?;
                None
            }
            Target::Number(_) | Target::Sip(_) | Target::Room(_) => {
                let (_, to) = destination(&config, user, claims, target, local)?;
                Some((to, format!("<sip:{}@{}>", escaped(&user.name), user.domain)))
            }
        };
        let room = match room {
            Some(room) => {
                if let Some((to, by)) = called {
                    self.lines.transfer(cx, number, &to, &by);
                }
                room
            }
            None => self.moves(cx, (me, claims), number, user, called)?,
        };
        if let Target::Client(name) = target {
            self.invite(cx, claims, name, &room);
        }
        Ok(json(200, value!({ "room": room }).to_string().into()))
    }

    /// The call moves into a room of its own.
    fn moves(
        &mut self,
        cx: &mut Cx<'_>,
        (me, claims): (u64, &Claims),
        number: u64,
        user: &User,
        add: Option<(Uri, String)>,
    ) -> Result<String, Problem> {
        let config = cx.config.clone();
        let room = room_of_its_own(cx, &config, user, claims)?;
        let call = self.calls.get_mut(number).ok_or_else(no_such_call)?;
        call.moves = Some(room.clone());
        let clients: Vec<u64> = call.clients().collect();
        let (id, told) = (
            call.id.clone(),
            value!({ "call": call.id, "room": room, "by": *claims.who.name }),
        );
        self.deadlines.set(Timer::Unmoved(number), cx.now + limits::API_MOVE);
        fact(cx, &id, "moves into a room".to_owned());
        for client in clients {
            self.tell(cx, client, "call.moved", &told);
        }
        if let Some(((to, by), client)) = add.zip(self.clients.get(me)) {
            // Those of rooms into which he never came make room.
            client.adds.truncate(limits::API_CALLS_PER_CLIENT - 1);
            client.adds.insert(
                0,
                Add {
                    room: room.clone(),
                    to,
                    by,
                },
            );
        }
        Ok(room)
    }

    /// Somebody is in a room, into which his call may have moved: whom he has added is called, and he is told who is there.
    pub(super) fn is_in_room(&mut self, cx: &mut Cx<'_>, me: u64, number: u64, room: &str) {
        self.has_company(number, room);
        let Some(client) = self.clients.get(me) else { return };
        for Add { to, by, .. } in client.adds.extract_if(.., |add| add.room == room) {
            self.lines.transfer(cx, number, &to, &by);
        }
    }

    /// Where neither of the two has called the room, the call stays as it was, and nobody is called there.
    pub(super) fn unmoved(&mut self, cx: &mut Cx<'_>, number: u64) {
        let Some(call) = self.calls.get(number) else { return };
        let (Some(room), clients) = (call.moves.clone(), call.clients()) else {
            return;
        };
        let clients: Vec<u64> = clients.collect();
        let is_with_it = |own: &u64| self.calls.get(*own).and_then(Call::room) == Some(&*room);
        for client in &clients {
            if self
                .clients
                .get(*client)
                .is_some_and(|client| client.calls.iter().any(is_with_it))
            {
                return;
            }
        }
        for client in clients {
            if let Some(client) = self.clients.get(client) {
                client.adds.retain(|add| add.room != room);
            }
        }
        if let Some(call) = self.calls.get_mut(number) {
            call.moves = None;
            let id = call.id.clone();
            fact(cx, &id, "stays as it was: neither has called the room".to_owned());
        }
    }

    /// A client's own call to a room has ended. Where there still is the call that was to move there, nobody has left it: it stays as it was.
    pub(super) fn stays_out(&mut self, ended: &Call) {
        let Some(room) = ended.room() else { return };
        for client in ended.clients() {
            let Some(client) = self.clients.get(client) else {
                continue;
            };
            client.adds.retain(|add| add.room != room);
            for number in &client.calls {
                if let Some(call) = self.calls.get_mut(*number) {
                    call.moves.take_if(|moves| moves == room);
                }
            }
        }
    }

    /// Somebody is to be sent away from the room that a call is with: the room decides whether who asks may (its moderators).
    pub(super) fn remove(
        &mut self,
        cx: &mut Cx<'_>,
        claims: &Claims,
        number: u64,
        target: Target,
    ) -> Result<Response, Problem> {
        let call = self.calls.get(number).ok_or_else(no_such_call)?;
        call.must_be(State::Up)?;
        if call.room().is_none() {
            let why = "the call has two sides: to hang up ends it; from a room somebody can be sent away";
            return Err(Problem::new(Kind::CannotBe, why));
        }
        let config = cx.config.clone();
        let meant = self.meant(&config, claims, &target)?;
        self.lines.remove(cx, number, (target, meant));
        Ok(done())
    }

    /// Whom a target means of those who are in a room, or are called by it: as the room knows them.
    fn meant(&mut self, config: &Config, claims: &Claims, target: &Target) -> Result<String, Problem> {
        let user = user_of(config, claims)?;
        let dialled = match target {
            Target::Client(name) => {
                let who = Identity {
                    tenant: claims.who.tenant.clone(),
                    name: name.as_str().into(),
                };
                let client = self.clients.named(&who).and_then(|number| self.clients.get(number));
                let key = client
                    .map(|client| client.key)
                    .ok_or_else(|| Problem::new(Kind::NotConnected, "no client of that name is there"))?;
                let of_client = Claims {
                    who,
                    key,
                    ..claims.clone()
                };
                let user = user_of(config, &of_client)?;
                return Ok(format!(
                    "sip:{}@{};{SHOWN}={}",
                    escaped(&user.name),
                    user.domain,
                    escaped(name)
                ));
            }
            Target::Number(written) => number_of(written),
            Target::Sip(written) => Uri::parse(written).ok().and_then(|uri| uri.user_decoded()),
            Target::Room(_) => None,
        };
        let why = "target: a client, a phone number or a SIP address that is in the room is taken";
        let dialled = dialled.ok_or_else(|| Problem::new(Kind::CannotBe, why))?;
        let decision = routing::decide(config, &Source::User(user.name.clone()), &dialled);
        match decision.plan {
            Plan::User(name) => match config.user(&name) {
                Some(user) => Ok(format!("sip:{}@{}", escaped(&user.name), user.domain)),
                None => Err(Problem::new(Kind::CannotBe, "target: that user is no longer there")),
            },
            Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Room(_) | Plan::Reject { .. } => {
                Ok(format!("tel:{}", escaped(&decision.number)))
            }
        }
    }

    fn may_be_invited(&mut self, claims: &Claims, name: &str) -> Result<u64, Problem> {
        let called = Identity {
            tenant: claims.who.tenant.clone(),
            name: name.into(),
        };
        let there = self.clients.listening(&called).map(|(number, _)| number);
        there.ok_or_else(|| Problem::new(Kind::NotConnected, "nobody of that name listens to events"))
    }

    /// A client is told that he is wanted in a room: he calls it, or does not.
    fn invite(&mut self, cx: &mut Cx<'_>, claims: &Claims, name: &str, room: &str) {
        if let Ok(other) = self.may_be_invited(claims, name) {
            let told = value!({ "room": room, "from": { "client": *claims.who.name } });
            self.tell(cx, other, "call.invited", &told);
        }
    }
}

/// The number of a room that nobody else has: `meetings` of the key and ten digits, if the dial plan makes a room of it.
fn room_of_its_own(cx: &mut Cx<'_>, config: &Config, user: &User, claims: &Claims) -> Result<String, Problem> {
    let begins = key_of(config, claims).and_then(|key| key.meetings.as_deref());
    let begins = begins.ok_or_else(|| {
        let why = "the operator's configuration has no rooms for calls of this tenant: `meetings` in `api.keys`";
        Problem::new(Kind::NoWay, why)
    })?;
    let room = format!("{begins}{:010}", cx.random() % 10_000_000_000);
    match routing::decide(config, &Source::User(user.name.clone()), &room).plan {
        Plan::Room(room) => Ok(room),
        Plan::User(_) | Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Reject { .. } => {
            let why =
                format!("no route makes rooms of the numbers that begin with {begins} (`meetings` in `api.keys`)");
            Err(Problem::new(Kind::NoWay, why))
        }
    }
}
