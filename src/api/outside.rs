//! Calls of clients with those who are none: phone numbers, SIP addresses, rooms. Each is a [`super::line`], which is a phone to the rest of
//! the node: the dial plan decides where it leads, by the rights of a user.
//!
//! That user is the configuration's: `users` of an API key lets an identity be the user of its name, who then rings where he is called;
//! `calls_as` names the one for all others. Without either a client has no way out.

use super::act::Asker;
use super::answer::{done, json};
use super::body::{self, Target};
use super::call::{Call, Side, State, Who};
use super::end::{End, GONE};
use super::line::Told;
use super::problem::{Kind, Problem};
use super::token::{self, Claims, Scope};
use super::wire::Response;
use super::{Api, Timer};
use crate::config::{ApiKey, Config, Room, User};
use crate::cx::Cx;
use crate::id::{CallId, ConnectionId, Flow, Owner};
use crate::limits;
use crate::routing::{self, Plan, Source};
use crate::sip::uri::{Scheme, escaped};
use crate::sip::{Host, Message, Method, Name, NameAddr, Uri};
use crate::transaction::Event;
use bytes::Bytes;
use serde_json::{Value, json as value};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A client can be called by SIP, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// As this user.
    pub user: Arc<str>,
    /// By this way.
    pub flow: Flow,
    /// He can.
    pub is_there: bool,
}

impl Api {
    /// A message of the node to a client, as a phone would get it. Whether it is well formed was seen to by the node.
    pub fn sip(&mut self, cx: &mut Cx<'_>, flow: Flow, bytes: Bytes) {
        if let Ok(message) = Message::parse(bytes) {
            self.lines.receive(cx, flow, message);
            self.heed_lines(cx);
        }
    }

    /// Who can be called now, and who no longer.
    pub fn poll_presence(&mut self) -> Option<Presence> {
        self.presence.pop_front()
    }

    /// A client is called by SIP as long as he listens and may be called, where his key makes him a user.
    pub(super) fn be_present(&mut self, config: &Config, number: u64) {
        let Some(client) = self.clients.get(number) else { return };
        let user = client.callable.then(|| own_user(config, client.key, &client.who.name));
        let wanted = user
            .flatten()
            .map(|user| (Arc::from(&*user.name), client.flow.other_end()));
        if wanted == client.present {
            return;
        }
        let before = std::mem::replace(&mut client.present, wanted.clone());
        for (is_there, place) in [(false, before), (true, wanted)] {
            let of = |(user, flow)| Presence { user, flow, is_there };
            self.presence.extend(place.map(of));
        }
    }

    /// A client calls somebody who is none.
    pub(super) fn call_out(
        &mut self,
        cx: &mut Cx<'_>,
        Asker { me, claims }: Asker<'_>,
        target: &Target,
        offer: String,
    ) -> Result<Response, Problem> {
        let config = cx.config.clone();
        let Some(flow) = self.clients.get(me).map(|client| client.flow) else {
            return Err(Problem::new(Kind::Full, "too many clients are there"));
        };
        let user = user_of(&config, claims)?;
        let (who, to) = destination(&config, user, claims, target, flow.local.ip())?;
        let named = match &who {
            // A name that only the others in the room see.
            Who::Room { .. } => format!("\"{}\" ", claims.who.name),
            Who::Number(_) | Who::Sip(_) | Who::Client(..) => String::new(),
        };
        let from = format!("{named}<sip:{}@{}>", escaped(&user.name), user.domain);
        let secret = cx.token(8);
        let members = [(Who::Client(me, claims.who.name.clone()), None), (who, None)];
        let (most, tenant) = (super::share(&config, limits::API_CALLS), &claims.who.tenant);
        let (number, call) = self
            .calls
            .start(tenant, members, offer.clone(), &secret, cx.wall, most)?;
        let (id, view) = (call.id.clone(), call.view());
        if let Some(client) = self.clients.get(me) {
            client.calls.insert(number);
        }
        let call_id = self.lines.call(cx, number, flow, &from, to, offer);
        self.unnamed.insert(call_id.into(), number);
        let mut response = json(201, view.to_string().into());
        response.headers.push(("Location", format!("/v1/calls/{id}")));
        Ok(response)
    }

    /// The facts of the node name the call with this Call-ID so.
    pub fn call_named(&mut self, cx: &mut Cx<'_>, call_id: &str, call: CallId) {
        let number = self.unnamed.remove(call_id);
        if let Some(named) = number.and_then(|number| self.calls.get_mut(number)) {
            named.node = Some(call);
            named.log_begin(cx);
        }
    }

    /// The other side, which is no client, is asked to call somebody else.
    pub(super) fn transfer(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        claims: &Claims,
        target: &Target,
    ) -> Result<Response, Problem> {
        let config = cx.config.clone();
        let call = self.calls.get(number).ok_or_else(super::act::no_such_call)?;
        call.must_be(State::Up)?;
        let who = call.clients().next().and_then(|client| self.clients.get(client));
        let (Some(_), Some(client)) = (call.line(), who) else {
            let why = "the other is a client: only a call with a number, a SIP address or a room can be transferred";
            return Err(Problem::new(Kind::CannotBe, why));
        };
        let user = user_of(&config, claims)?;
        let (_, to) = destination(&config, user, claims, target, client.flow.local.ip())?;
        let by = format!("<sip:{}@{}>", escaped(&user.name), user.domain);
        self.lines.transfer(cx, number, &to, &by);
        Ok(done())
    }

    /// What lines have to tell, until they are silent.
    pub(super) fn heed_lines(&mut self, cx: &mut Cx<'_>) {
        while let Some(event) = self.lines.poll() {
            let told = match event {
                Event::Request { flow, request } => self.line_request(cx, flow, request),
                Event::Cancelled { tx, cancel } => self.lines.cancelled(cx, tx, &cancel),
                Event::Response {
                    tx,
                    owner: Owner::Phone(number),
                    response,
                    ..
                } => self
                    .lines
                    .response(cx, number, tx, &response)
                    .map(|told| (number, told)),
                Event::Failed {
                    tx,
                    owner: Owner::Phone(number),
                    ..
                } => self.lines.failed(number, tx).map(|told| (number, told)),
                // All others ask for ways, or come of them: there is one only.
                Event::Response { .. } | Event::Failed { .. } => None,
                Event::Reached { .. } | Event::Unreachable { .. } | Event::Ack { .. } | Event::ServerGone { .. } => {
                    None
                }
            };
            if let Some((number, told)) = told {
                self.line_told(cx, number, told);
            }
        }
    }

    fn line_request(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) -> Option<(u64, Told)> {
        let ConnectionId(me) = flow.connection;
        let client = self.clients.get(me);
        if request.has_to_tag() {
            let calls = client.map(|client| client.calls.clone()).unwrap_or_default();
            let Some(number) = self.lines.which(calls, &request) else {
                self.lines.refuse(cx, flow, &request, 481);
                return None;
            };
            return self
                .lines
                .request(cx, number, flow, &request)
                .map(|told| (number, told));
        }
        let refused = match (request.method(), client) {
            (Method::Invite, Some(client)) if client.calls.len() >= limits::API_CALLS_PER_CLIENT => Some(486),
            (Method::Invite, Some(_)) => self.incoming(cx, me, flow, &request).err(),
            (Method::Invite, None) => Some(480),
            (_, _) => Some(405),
        };
        if let Some(status) = refused {
            self.lines.refuse(cx, flow, &request, status);
        }
        None
    }

    /// Somebody calls a client by SIP. The error is the status of the refusal.
    fn incoming(&mut self, cx: &mut Cx<'_>, me: u64, flow: Flow, invite: &Message) -> Result<(), u16> {
        let client = self.clients.get(me).ok_or(480u16)?;
        let who = client.who.clone();
        let offer = String::from_utf8(invite.body().to_vec()).map_err(|_| 488u16)?;
        if offer.is_empty() || offer.len() > limits::API_SDP_BYTES {
            return Err(488);
        }
        let from = invite.from().map_err(|error| error.status)?;
        let secret = cx.token(8);
        let (caller, display) = caller(&from);
        // Where a room calls, it is that, whoever has asked it to: only then is its client told who is in it, and who is seen.
        let caller = room_of(cx.config, invite).unwrap_or(caller);
        let members = [(caller, display), (Who::Client(me, who.name.clone()), None)];
        let most = super::share(cx.config, limits::API_CALLS);
        let started = self.calls.start(&who.tenant, members, offer, &secret, cx.wall, most);
        let (number, call) = started.map_err(|_| 503u16)?;
        let told = value!({ "call": call.view_for(Side::Callee) });
        if let Err(status) = self.lines.ring(cx, number, flow, invite.clone()) {
            self.calls.remove(number);
            return Err(status);
        }
        if let Some(client) = self.clients.get(me) {
            client.calls.insert(number);
        }
        self.unnamed.insert(invite.call_id().into(), number);
        self.tell(cx, me, "call.incoming", &told);
        Ok(())
    }

    /// The other side of a call has done something.
    fn line_told(&mut self, cx: &mut Cx<'_>, number: u64, told: Told) {
        let Some(call) = self.calls.get_mut(number) else { return };
        let (Some(side), id) = (call.line(), call.id.clone()) else {
            return;
        };
        let (name, data) = match told {
            Told::Ringing => ("call.ringing", value!({ "call": id })),
            Told::Early(answer) => ("call.early", value!({ "call": id, "answer": answer })),
            Told::Accepted(answer) => {
                if call.accept(cx.wall).is_err() {
                    return;
                }
                let data = value!({ "call": call.view(), "answer": answer });
                call.log(cx, "was accepted".to_owned());
                ("call.accepted", data)
            }
            Told::Offer(offer) => match self.line_offers(cx, number, side, &offer) {
                Some(data) => ("call.offer", data),
                None => return,
            },
            Told::Withdrawn => return self.offer_withdrawn(number),
            Told::Answer(revision, answer) => {
                if call.answer(side, revision).is_err() {
                    return;
                }
                (
                    "call.answer",
                    value!({ "call": id, "answer": answer, "revision": revision }),
                )
            }
            Told::Refused(revision) => {
                call.withdraw();
                ("call.refused", value!({ "call": id, "revision": revision }))
            }
            Told::Holds(holds) => {
                call.member_mut(side.other()).holds = holds;
                ("call.updated", value!({ "call": call.view() }))
            }
            Told::Digit(digit) => ("call.dtmf", value!({ "call": id, "digits": digit.to_string() })),
            // A room that was asked to call somebody has called him, or not.
            Told::Transfer(status) if call.room().is_some() => {
                ("call.participant", value!({ "call": id, "status": status }))
            }
            Told::Transfer(status) => ("call.transfer", value!({ "call": id, "status": status })),
            Told::Removed(target, status) => (
                "call.removed",
                value!({ "call": id, "participant": body::write(&target), "status": status }),
            ),
            Told::Failed(status, why) => {
                let detail = failure(status, why);
                return self.over(cx, number, End::by_nobody(reason(status)).saying(Some(detail)));
            }
            Told::Cancelled(Some(200)) => return self.over(cx, number, End::by_nobody("answered-elsewhere")),
            Told::Cancelled(_) => return self.over(cx, number, End::by_nobody("cancelled")),
            Told::Bye(status, why) => return self.over(cx, number, End::by_nobody(left(status)).saying(why)),
        };
        let call = self.calls.get(number);
        let clients: Vec<u64> = call.into_iter().flat_map(Call::clients).collect();
        let room = call.and_then(Call::room).filter(|_| name == "call.accepted");
        let room = room.map(str::to_owned);
        for client in clients {
            self.tell(cx, client, name, &data);
        }
        if let Some(room) = room {
            self.has_company(cx.now, number, &room);
        }
    }

    /// The other side offers anew: what its client is told, where nobody has been faster.
    fn line_offers(&mut self, cx: &mut Cx<'_>, number: u64, side: Side, offer: &str) -> Option<Value> {
        let call = self.calls.get_mut(number)?;
        let Ok(revision) = call.offer(side, offer.to_owned()) else {
            self.lines.unanswered(cx, number);
            return None;
        };
        let told = value!({ "call": call.id, "offer": offer, "revision": revision });
        self.deadlines
            .set(Timer::Unanswered(number), cx.now + limits::API_REOFFER);
        Some(told)
    }

    /// The other side has taken back what it has offered: an answer to it is stale.
    fn offer_withdrawn(&mut self, number: u64) {
        self.deadlines.cancel(Timer::Unanswered(number));
        if let Some(call) = self.calls.get_mut(number) {
            call.withdraw();
        }
    }

    /// The client does not answer what the other side has offered.
    pub(super) fn offer_unanswered(&mut self, cx: &mut Cx<'_>, number: u64) {
        if let Some(call) = self.calls.get_mut(number) {
            call.withdraw();
            self.lines.unanswered(cx, number);
        }
    }
}

/// The way to a client that asks from `peer` at our address `local`.
pub(super) fn way(config: &Config, client: u64, local: IpAddr, peer: IpAddr) -> Flow {
    let port = config.api.as_ref().map_or(0, |api| api.listen.port());
    Flow::to_client(client, SocketAddr::new(local, port), SocketAddr::new(peer, 0)).other_end()
}

/// The user that an identity is by its key.
fn own_user<'c>(config: &'c Config, key: u64, name: &str) -> Option<&'c User> {
    let key = config
        .api
        .as_ref()?
        .keys
        .iter()
        .find(|own| token::mark_of(own) == key)?;
    config.user(name).filter(|_| key.users)
}

/// The key that has signed a token.
pub(super) fn key_of<'c>(config: &'c Config, claims: &Claims) -> Option<&'c ApiKey> {
    let mut keys = config.api.iter().flat_map(|api| &api.keys);
    keys.find(|key| token::mark_of(key) == claims.key)
}

/// The user by whose rights a client calls.
pub(super) fn user_of<'c>(config: &'c Config, claims: &Claims) -> Result<&'c User, Problem> {
    if let Some(user) = own_user(config, claims.key, &claims.who.name) {
        return Ok(user);
    }
    let key = key_of(config, claims);
    let user = key.and_then(|key| config.user(key.calls_as.as_deref()?));
    let why = "the operator's configuration gives clients of this tenant no way to numbers, SIP addresses and rooms: `calls_as` or `users` in \
               `api.keys`";
    user.ok_or_else(|| Problem::new(Kind::NoWay, why))
}

/// Whom a target means, and the URI to call.
pub(super) fn destination(
    config: &Config,
    user: &User,
    claims: &Claims,
    target: &Target,
    local: IpAddr,
) -> Result<(Who, Uri), Problem> {
    let uri = |dialled: &str| {
        let host = Host::parse(&user.domain).map_err(|_| cannot("the user's domain is no host"))?;
        Ok(Uri::sip(Some(&*escaped(dialled)), host, None))
    };
    match target {
        Target::Client(_) => Err(cannot("a client is not called by SIP")),
        Target::Number(_) | Target::Sip(_) if !claims.scopes.has(Scope::Call) => {
            Err(Problem::new(Kind::WrongScope, "it needs call"))
        }
        Target::Number(_) | Target::Sip(_) => {
            let (who, dialled) = named(config, target, local)?;
            Ok((who, uri(&dialled)?))
        }
        Target::Room(written) => {
            // A token for rooms alone must lead nowhere else.
            let of = |dialled: &str| room_dialled(config, user, dialled).map(|number| (number, dialled.to_owned()));
            let is_named = |room: &&Arc<Room>| room.name == *written;
            let by_name = || of(&config.rooms.iter().find(is_named)?.number);
            let found = of(written).or_else(by_name);
            let (number, dialled) = found.ok_or_else(|| cannot("no room has that number or that name"))?;
            let to = uri(&dialled)?;
            Ok((Who::Room { number, dialled }, to))
        }
    }
}

/// The room to which a user comes by dialling this.
fn room_dialled(config: &Config, user: &User, dialled: &str) -> Option<String> {
    match routing::decide(config, &Source::User(user.name.clone()), dialled).plan {
        Plan::Room(number) => Some(number),
        Plan::User(_) | Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Reject { .. } => None,
    }
}

/// Whom a number or a SIP address names, and what is dialled for it.
pub(super) fn named(config: &Config, target: &Target, local: IpAddr) -> Result<(Who, String), Problem> {
    match target {
        Target::Number(written) => {
            let number = number_of(written).ok_or_else(|| {
                let most = limits::API_NAME_BYTES;
                cannot(&format!(
                    "a number has 1 to {most} digits, * and #, perhaps a plus in front"
                ))
            })?;
            Ok((Who::Number(number.clone()), number))
        }
        Target::Sip(written) => {
            let read = Uri::parse(written).ok();
            let good = read.filter(|read| matches!(read.scheme, Scheme::Sip | Scheme::Sips));
            let read = good.ok_or_else(|| cannot("a SIP address such as sip:bob@example.com is taken"))?;
            if !config.is_local(&read, local) {
                return Err(cannot(
                    "its host is none of `domains`: this node knows its own users, numbers and rooms",
                ));
            }
            let dialled = read.user_decoded().filter(|user| user.len() <= limits::API_NAME_BYTES);
            let dialled = dialled.ok_or_else(|| cannot("the SIP address names nobody"))?;
            Ok((Who::Sip(format!("sip:{}@{}", escaped(&dialled), read.host)), dialled))
        }
        Target::Client(_) | Target::Room(_) => Err(cannot(
            "a client, a phone number or a SIP address that is in the room is taken",
        )),
    }
}

fn cannot(why: &str) -> Problem {
    Problem::new(Kind::CannotBe, format!("target: {why}"))
}

/// A number without what people write between its digits.
pub(super) fn number_of(written: &str) -> Option<String> {
    let number: String = written.chars().filter(|c| !" -.()/".contains(*c)).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    let is_good = (1..=limits::API_NAME_BYTES).contains(&digits.len());
    (is_good && digits.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b))).then_some(number)
}

/// Who calls, as the node shows him. What a stranger says of himself is cut.
fn caller(from: &NameAddr) -> (Who, Option<String>) {
    let cut = |text: &str| text.chars().take(limits::API_NAME_BYTES).collect::<String>();
    let display = from.display.as_deref().filter(|display| !display.is_empty());
    let user = from.uri.user_decoded().unwrap_or_default();
    let who = match number_of(&user) {
        Some(number) => Who::Number(number),
        None => Who::Sip(format!("sip:{}@{}", escaped(&cut(&user)), from.uri.host)),
    };
    (who, display.map(cut))
}

/// The room that calls (RFC 4579 5.1). A client is called by this node alone, so that nobody else says so of himself.
fn room_of(config: &Config, invite: &Message) -> Option<Who> {
    let contacts = invite.addresses(Name::Contact).ok()?;
    let focus = contacts
        .into_iter()
        .find(|contact| contact.params.get("isfocus").is_some())?;
    let number = focus
        .uri
        .user_decoded()
        .filter(|number| config.room_settings(number).is_some())?;
    Some(Who::Room {
        dialled: number.clone(),
        number,
    })
}

/// The sentence for it.
fn failure(status: u16, why: Option<String>) -> String {
    match why {
        Some(why) => format!("{why} (SIP status {status})"),
        None => format!("The other side answered with the SIP status {status}"),
    }
}

/// Why a call that was up has ended, by the status that the node gives for it.
fn left(status: Option<u16>) -> &'static str {
    match status {
        None | Some(..300 | 487) => "hung-up",
        Some(403) => "not-allowed",
        Some(408 | 480) => GONE,
        Some(_) => "failed",
    }
}

/// Why a call came to nothing, in the words of the API.
fn reason(status: u16) -> &'static str {
    match status {
        486 | 600 => "busy",
        603 | 607 => "declined",
        408 | 487 => "no-answer",
        480 | 430 => "unavailable",
        404 | 410 | 484 | 604 => "not-found",
        401 | 402 | 403 | 407 => "not-allowed",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (written, read) in [
            ("+1 (555) 010-0123", Some("+15550100123")),
            ("*21#", Some("*21#")),
            ("030.123/45", Some("03012345")),
            ("+", None),
            ("", None),
            ("bob", None),
            ("+1555;phone-context=x", None),
            ("1\r\n2", None),
        ] {
            assert_eq!(number_of(written).as_deref(), read, "{written:?}");
        }
        assert_eq!(number_of(&"1".repeat(limits::API_NAME_BYTES + 1)), None);
    }
}
