//! A third participant. A call between two clients moves into a room, without a gap: each of the two calls the room, and leaves the other when
//! he hears it. In a room the others are called by the room itself, or told where it is.

use super::act::{Asker, no_such_call};
use super::answer::{done, json};
use super::body::Target;
use super::call::{Call, State, Who};
use super::outside::{destination, key_of, named, number_of, user_of};
use super::problem::{Kind, Problem};
use super::token::{Claims, Identity};
use super::wire::Response;
use super::{Api, Timer};
use crate::config::{Config, User};
use crate::cx::Cx;
use crate::limits;
use crate::room::address::SHOWN;
use crate::routing::{self, Plan, Source};
use crate::sip::uri::{escaped, escaped_value};
use crate::sip::{Host, Uri};
use serde_json::json as value;
use std::net::IpAddr;

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
        asker: Asker<'_>,
        number: u64,
        target: &Target,
    ) -> Result<Response, Problem> {
        let Asker { me, claims } = asker;
        let call = self.calls.get(number).ok_or_else(no_such_call)?;
        call.must_be(State::Up)?;
        let side = call.side_of(me).ok_or_else(no_such_call)?;
        let room = match &call.member(side.other()).who {
            Who::Client(..) if call.moves.is_some() => {
                return Err(Problem::new(Kind::WrongMoment, "it moves into a room already"));
            }
            Who::Client(..) => None,
            Who::Room { dialled, .. } => Some(dialled.clone()),
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
            None => self.moves(cx, asker, number, user, called)?,
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
        Asker { me, claims }: Asker<'_>,
        number: u64,
        user: &User,
        add: Option<(Uri, String)>,
    ) -> Result<String, Problem> {
        let config = cx.config.clone();
        let room = room_of_its_own(cx, &config, user, claims)?;
        let call = self.calls.get_mut(number).ok_or_else(no_such_call)?;
        call.moves = Some(room.clone());
        let clients: Vec<u64> = call.clients().collect();
        let told = value!({ "call": call.id, "room": room, "by": *claims.who.name });
        call.log(cx, format!("moves into room {room}"));
        self.deadlines.set(Timer::Unmoved(number), cx.now + limits::API_MOVE);
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

    /// Somebody is in a room, into which his call may have moved: whom he has added is called.
    pub(super) fn is_in_room(&mut self, cx: &mut Cx<'_>, number: u64, room: &str) {
        for client in self.calls.get(number).into_iter().flat_map(Call::clients) {
            let Some(client) = self.clients.get(client) else {
                continue;
            };
            for Add { to, by, .. } in client.adds.extract_if(.., |add| add.room == room) {
                self.lines.transfer(cx, number, &to, &by);
            }
        }
    }

    /// Where neither of the two has called the room, the call stays as it was, and nobody is called there.
    pub(super) fn unmoved(&mut self, cx: &mut Cx<'_>, number: u64) {
        let Some(call) = self.calls.get(number) else { return };
        let (Some(room), clients) = (call.moves.clone(), call.clients()) else {
            return;
        };
        let is_with_it = |own: &u64| self.calls.get(*own).and_then(Call::room) == Some(&*room);
        for client in clients {
            if self
                .clients
                .get(client)
                .is_some_and(|client| client.calls.iter().any(is_with_it))
            {
                return;
            }
        }
        self.forget_move(cx, number, "neither has called the room");
    }

    /// A client's own call to a room has ended. Where there still is the call that was to move there, nobody has left it: it stays as it was.
    pub(super) fn stays_out(&mut self, cx: &mut Cx<'_>, ended: &Call) {
        let Some(room) = ended.room() else { return };
        for client in ended.clients() {
            let Some(client) = self.clients.get(client) else {
                continue;
            };
            client.adds.retain(|add| add.room != room);
            for number in client.calls.clone() {
                if self
                    .calls
                    .get(number)
                    .is_some_and(|call| call.moves.as_deref() == Some(room))
                {
                    self.forget_move(cx, number, "one of the two is not in the room");
                }
            }
        }
    }

    /// A call does not move: whom its clients have added there is not called, and both are told, since either may be on the way.
    fn forget_move(&mut self, cx: &mut Cx<'_>, number: u64, why: &str) {
        let Some(call) = self.calls.get_mut(number) else { return };
        let Some(room) = call.moves.take() else { return };
        call.log(cx, format!("stays as it was: {why}"));
        let (told, clients) = (value!({ "call": call.id, "room": room }), call.clients());
        self.deadlines.cancel(Timer::Unmoved(number));
        for client in clients {
            if let Some(client) = self.clients.get(client) {
                client.adds.retain(|add| add.room != room);
            }
            self.tell(cx, client, "call.unmoved", &told);
        }
    }

    /// Somebody is to be sent away from the room that a call is with: the room decides whether who asks may (its moderators).
    pub(super) fn remove(
        &mut self,
        cx: &mut Cx<'_>,
        Asker { me, claims }: Asker<'_>,
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
        let local = self.clients.get(me).map(|client| client.flow.local.ip());
        let meant = self.meant(&config, claims, &target, local.ok_or_else(no_such_call)?)?;
        self.lines.remove(cx, number, target, meant);
        Ok(done())
    }

    /// Whom a target means of those who are in a room, or are called by it: as the room knows them. It is built of its parts: what somebody
    /// has written can make no other of it.
    fn meant(&mut self, config: &Config, claims: &Claims, target: &Target, local: IpAddr) -> Result<Uri, Problem> {
        let user = user_of(config, claims)?;
        let address = |name: &str, domain: &str| {
            let host = Host::parse(domain).map_err(|_| Problem::new(Kind::CannotBe, "the user's domain is no host"))?;
            Ok(Uri::sip(Some(&*escaped(name)), host, None))
        };
        if let Target::Client(name) = target {
            let user = user_of(config, &self.claims_of(claims, name)?)?;
            let mut uri = address(&user.name, &user.domain)?;
            uri.params.set(SHOWN, Some(&*escaped_value(name)));
            return Ok(uri);
        }
        let (_, dialled) = named(config, target, local)?;
        let decision = routing::decide(config, &Source::User(user.name.clone()), &dialled);
        match decision.plan {
            Plan::User(name) if is_shared(config, &name) => {
                let why = "target: clients call as that user, and all of them would go: name the client that is meant";
                Err(Problem::new(Kind::CannotBe, why))
            }
            Plan::User(name) => match config.user(&name) {
                Some(user) => address(&user.name, &user.domain),
                None => Err(Problem::new(Kind::CannotBe, "target: that user is no longer there")),
            },
            Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Room(_) | Plan::Reject { .. } => {
                let number = number_of(&decision.number);
                let number = number.and_then(|number| Uri::parse(&format!("tel:{}", escaped(&number))).ok());
                // A name that is nobody's: nor is anybody of that name in the room, as this says.
                number.map_or_else(|| address(&decision.number, &user.domain), Ok)
            }
        }
    }

    /// What a client who is there has shown to be.
    fn claims_of(&mut self, claims: &Claims, name: &str) -> Result<Claims, Problem> {
        let who = Identity {
            tenant: claims.who.tenant.clone(),
            name: name.into(),
        };
        let client = self.clients.named(&who).and_then(|number| self.clients.get(number));
        let key = client
            .map(|client| client.key)
            .ok_or_else(|| Problem::new(Kind::NotConnected, "no client of that name is there"))?;
        Ok(Claims {
            who,
            key,
            ..claims.clone()
        })
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

/// Clients that have no user of their own call as this one.
fn is_shared(config: &Config, name: &str) -> bool {
    let mut keys = config.api.iter().flat_map(|api| &api.keys);
    keys.any(|key| key.calls_as.as_deref() == Some(name))
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
