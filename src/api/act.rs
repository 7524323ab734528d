//! What requests do.

use super::answer::{json, ok};
use super::body::{self, Target};
use super::call::{Call, Side, Who};
use super::problem::{Kind, Problem};
use super::route::{Meant, Operation};
use super::token::{self, Claims, Identity, Scope, Scopes};
use super::wire::Response;
use super::{Api, Client, Timer, share};
use crate::config::Api as Config;
use crate::config::ApiKey;
use crate::cx::Cx;
use crate::limits;
use crate::stun::integrity::timed_password;
use crate::time::Wall;
use serde_json::{Value, json as value};
use std::time::Duration;

/// A token for somebody of the back end that has this key.
pub(super) fn issue(config: &Config, key: &ApiKey, body: &[u8], now: Wall) -> Result<Response, Problem> {
    let wanted: body::NewToken = body::read(body)?;
    if !token::is_name(&wanted.identity) {
        let most = limits::API_NAME_BYTES;
        let why = format!("identity: 1 to {most} letters, digits and -_.@+ are taken");
        return Err(Problem::new(Kind::CannotBe, why));
    }
    let scopes = Scopes::of(&wanted.scopes)?;
    let lifetime = wanted.lifetime.map_or(config.token_lifetime, Duration::from_secs);
    if lifetime.is_zero() || lifetime > config.token_lifetime {
        let most = config.token_lifetime.as_secs();
        return Err(Problem::new(
            Kind::CannotBe,
            format!("lifetime: 1 to {most} seconds are taken"),
        ));
    }
    let until = now + lifetime;
    let told = value!({
        "token": token::mint(key, &wanted.identity, &scopes, until),
        "identity": wanted.identity,
        "scopes": wanted.scopes,
        "expires": until.as_secs(),
    });
    Ok(json(201, told.to_string().into()))
}

/// Servers for ICE, as `RTCPeerConnection` takes them. User names say until when they are good, and for whom
/// (draft-uberti-behave-turn-rest 2.2).
fn turn(config: &Config, who: &Identity, now: Wall) -> Response {
    let Some(turn) = &config.turn else {
        // Whoever cannot connect is then told why.
        return ok(&value!({ "iceServers": [], "relay": false }));
    };
    let (stun, relays): (Vec<&String>, Vec<&String>) = turn.urls.iter().partition(|url| url.starts_with("stun"));
    let until = now + turn.lifetime;
    let mut servers = Vec::new();
    if !stun.is_empty() {
        servers.push(value!({ "urls": stun }));
    }
    if !relays.is_empty() {
        let name = format!("{}:{}:{}", until.as_secs(), who.tenant, who.name);
        let password = timed_password(&turn.secret, &name);
        servers.push(value!({ "urls": relays, "username": name, "credential": password.expose() }));
    }
    ok(&value!({ "iceServers": servers, "relay": !relays.is_empty(), "expires": until.as_secs() }))
}

/// A session description: the browsers' matter, and nobody's else, except for its size and that it is a browser's.
pub(super) fn description(text: &str, field: &str) -> Result<(), Problem> {
    let is_text = |b: u8| b >= b' ' || b == b'\r' || b == b'\n' || b == b'\t';
    if text.len() > limits::API_SDP_BYTES || !text.starts_with("v=0") || !text.bytes().all(is_text) {
        let most = limits::API_SDP_BYTES;
        let why = format!("{field}: a session description (v=0 ...) of at most {most} octets is taken");
        return Err(Problem::new(Kind::CannotBe, why));
    }
    if !text.split(['\r', '\n']).all(is_protected) {
        let why = format!("{field}: each medium is protected by DTLS, as that of browsers (UDP/TLS/RTP/SAVPF)");
        return Err(Problem::new(Kind::CannotBe, why));
    }
    Ok(())
}

/// Media of a client is that of a browser (RFC 8827 6.5): its keys show that who receives it wants it. All else would go to whatever address
/// the description names. A medium without a port is none.
fn is_protected(line: &str) -> bool {
    let Some(medium) = line.strip_prefix("m=") else {
        return true;
    };
    let mut parts = medium.split(' ').skip(1);
    let (port, proto) = (parts.next(), parts.next());
    port == Some("0") || proto.is_some_and(|proto| proto.split('/').any(|part| part == "TLS" || part == "DTLS"))
}

/// The client who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'c> {
    /// Its place among the clients.
    pub(super) me: u64,
    /// What its token says.
    pub(super) claims: &'c Claims,
}

/// Whom a request is about.
pub(super) struct About {
    /// The call.
    pub(super) number: u64,
    /// Which side of it asks.
    pub(super) side: Side,
}

impl Api {
    /// Does what somebody asks for.
    pub(super) fn act(
        &mut self,
        cx: &mut Cx<'_>,
        config: &Config,
        asker: Asker<'_>,
        meant: Meant<'_>,
        body: &[u8],
    ) -> Result<Response, Problem> {
        let claims = asker.claims;
        let about = |api: &Api| api.about(asker, meant.named);
        match meant.row.operation {
            Operation::TurnKeys => Ok(turn(config, &claims.who, cx.wall)),
            Operation::ListCalls => Ok(self.list(asker)),
            Operation::ShowRoom => self.show_room(cx.config, asker, meant.named),
            Operation::StartCall => self.start(cx, asker, body::read(body)?),
            Operation::ShowCall => self.show(asker, meant.named),
            Operation::HangUp => self.hang_up(cx, asker, meant.named, body::leaving(body)),
            Operation::Accept => {
                let about = about(self)?;
                self.accept(cx, &about, &body::read(body)?)
            }
            Operation::Reject => {
                let about = about(self)?;
                self.reject(cx, &about, claims, &body::read(body)?)
            }
            Operation::Offer => {
                let about = about(self)?;
                self.offer(cx, &about, body::read(body)?)
            }
            Operation::Answer => {
                let about = about(self)?;
                self.answered(cx, &about, &body::read(body)?)
            }
            Operation::Candidates => {
                let about = about(self)?;
                self.candidates(cx, &about, &body::read(body)?)
            }
            Operation::Hold => {
                let about = about(self)?;
                let body::Hold { hold } = body::read(body)?;
                self.hold(cx, &about, hold)
            }
            Operation::Mute => {
                let about = about(self)?;
                let body::Mute { mute } = body::read(body)?;
                self.change(cx, &about, |call, side| call.member_mut(side).muted = mute)
            }
            Operation::Dtmf => self.dtmf(cx, &about(self)?, &body::read(body)?),
            Operation::Transfer => {
                let about = about(self)?;
                let body::Transfer { target } = body::read(body)?;
                self.transfer(cx, about.number, claims, &target)
            }
            Operation::AddParticipant => {
                let about = about(self)?;
                let body::Transfer { target } = body::read(body)?;
                self.add(cx, asker, about.number, &target)
            }
            Operation::RemoveParticipant => {
                let about = about(self)?;
                let body::Transfer { target } = body::read(body)?;
                self.remove(cx, asker, about.number, target)
            }
            Operation::IssueToken | Operation::Events | Operation::Description | Operation::Problems => {
                unreachable!("these are answered before")
            }
        }
    }

    /// One's own call with this name. Others do not learn that there is one.
    fn about(&self, Asker { me, claims }: Asker<'_>, call: &str) -> Result<About, Problem> {
        let found = self.calls.named(&claims.who, call).and_then(|number| {
            let call = self.calls.get(number)?;
            Some((
                call,
                About {
                    number,
                    side: call.side_of(me)?,
                },
            ))
        });
        let (call, about) = found.ok_or_else(no_such_call)?;
        may_touch(claims, call)?;
        Ok(about)
    }

    pub(super) fn call(&mut self, about: &About) -> Result<&mut Call, Problem> {
        self.calls.get_mut(about.number).ok_or_else(no_such_call)
    }

    /// Tells the other side.
    pub(super) fn tell_other(&mut self, cx: &mut Cx<'_>, about: &About, name: &'static str, data: &Value) {
        let call = self.calls.get(about.number);
        if let Some(other) = call.and_then(|call| call.member(about.side.other()).who.client()) {
            self.tell(cx, other, name, data);
        }
    }

    /// One's own calls; all of the tenant for an administrator.
    fn list(&mut self, Asker { me, claims }: Asker<'_>) -> Response {
        let own = self
            .clients
            .get(me)
            .map(|client| client.calls.clone())
            .unwrap_or_default();
        let calls: Vec<Value> = match claims.scopes.has(Scope::Admin) {
            true => self.calls.of(&claims.who.tenant).map(Call::view).collect(),
            false => own
                .iter()
                .filter_map(|call| self.calls.get(*call))
                .map(Call::view)
                .collect(),
        };
        ok(&value!({ "calls": calls }))
    }

    fn show(&self, Asker { me, claims }: Asker<'_>, name: &str) -> Result<Response, Problem> {
        let call = self
            .calls
            .named(&claims.who, name)
            .and_then(|number| self.calls.get(number));
        let call = call.ok_or_else(no_such_call)?;
        match call.side_of(me) {
            Some(side) => Ok(ok(&call.view_for(side))),
            None if claims.scopes.has(Scope::Admin) => Ok(ok(&call.view())),
            None => Err(no_such_call()),
        }
    }

    fn start(&mut self, cx: &mut Cx<'_>, asker: Asker<'_>, wanted: body::NewCall) -> Result<Response, Problem> {
        let [target] = wanted.targets.as_slice() else {
            return Err(Problem::new(Kind::CannotBe, "targets: exactly one is called"));
        };
        description(&wanted.offer, "offer")?;
        if self.clients.get(asker.me).is_some_and(|client| is_busy(client)) {
            return Err(Problem::new(Kind::Busy, "the caller has too many calls"));
        }
        match target {
            Target::Client(name) => self.call_client(cx, asker, name, wanted.offer),
            Target::Number(_) | Target::Sip(_) | Target::Room(_) => self.call_out(cx, asker, target, wanted.offer),
        }
    }

    /// One client calls another: media goes between the two.
    fn call_client(
        &mut self,
        cx: &mut Cx<'_>,
        asker: Asker<'_>,
        name: &str,
        offer: String,
    ) -> Result<Response, Problem> {
        let Asker { me, claims } = asker;
        if !claims.scopes.has(Scope::Call) {
            return Err(Problem::new(Kind::WrongScope, "it needs call"));
        }
        if *name == *claims.who.name {
            return Err(Problem::new(Kind::CannotBe, "targets: nobody calls himself"));
        }
        let called = Identity {
            tenant: claims.who.tenant.clone(),
            name: name.into(),
        };
        let found = self.clients.callable(&called);
        let is_awake = found.is_some();
        let other = match found {
            Some(other) => other,
            None => self.asleep(cx, asker, &called)?,
        };
        if self.clients.get(other).is_some_and(|callee| is_busy(callee)) {
            return Err(Problem::new(Kind::Busy, "the callee has too many calls"));
        }
        let secret = cx.token(8);
        let members = [(me, &claims.who.name), (other, &called.name)];
        let members = members.map(|(client, name)| (Who::Client(client, name.clone()), None));
        let most = share(cx.config, limits::API_CALLS);
        let (number, call) = self
            .calls
            .start(&called.tenant, members, offer, &secret, cx.wall, most)?;
        call.log_begin(cx);
        let (id, view, for_callee) = (call.id.clone(), call.view(), call.view_for(Side::Callee));
        for client in [me, other] {
            if let Some(client) = self.clients.get(client) {
                client.calls.insert(number);
            }
        }
        self.deadlines.set(Timer::Unanswered(number), cx.now + limits::API_RING);
        self.tell(cx, other, "call.incoming", &value!({ "call": for_callee }));
        if !is_awake {
            self.wake(cx, number, &called, &claims.who.name);
        }
        let mut response = json(201, view.to_string().into());
        response.headers.push(("Location", format!("/v1/calls/{id}")));
        Ok(response)
    }
}

fn is_busy(client: &Client) -> bool {
    client.calls.len() >= limits::API_CALLS_PER_CLIENT
}

/// A token for rooms alone has no part in its owner's other calls.
pub(super) fn may_touch(claims: &Claims, call: &Call) -> Result<(), Problem> {
    let may = claims.scopes.has(Scope::Call) || call.room().is_some();
    may.then_some(())
        .ok_or_else(|| Problem::new(Kind::WrongScope, "it needs call: this call is with no room"))
}

pub(super) fn no_such_call() -> Problem {
    Problem::new(Kind::NoSuchCall, "it is over, or was never here")
}
