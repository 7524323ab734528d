//! One request: how often its address and its client ask, what it shows, what it means, and what is left of one that is refused.

use super::act::{self, Asker};
use super::answer::{self, Given};
use super::problem::{self, Kind, Problem};
use super::route::{self, Found, Meant, Need, Operation};
use super::token::{self, Identity, Scope};
use super::wire::{Method, Request, Response};
use super::{Api, Timer, cors, once, outside, seal, share};
use crate::config::Api as Config;
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::guard::cells::{Cells, Rate, Seen};
use crate::id::ApiId;
use crate::limits;
use crate::marker::Marker;
use crate::time::Instant;
use serde_json::Value;

/// The description of all this (OpenAPI 3.1).
const DESCRIPTION: &str = include_str!("openapi.json");

/// A part of a path that is longer than this may be a secret that somebody has written there.
const PART_CHARS: usize = 24;
/// Parts of a path that are told.
const PARTS: usize = 6;

/// A request, and who it is found to be of.
#[derive(Debug)]
pub(super) struct Asking<'r> {
    pub(super) id: ApiId,
    pub(super) request: &'r Request,
    /// In words, as soon as its key or token is found to be good.
    by: Option<String>,
}

impl<'r> Asking<'r> {
    pub(super) fn new(id: ApiId, request: &'r Request) -> Asking<'r> {
        let by = None;
        Asking { id, request, by }
    }

    /// The answer to one that is refused, which leaves a fact.
    pub(super) fn refused(&self, cx: &mut Cx<'_>, problem: Problem) -> Response {
        let (status, _, title) = problem.kind.words();
        cx.emit(Output::Record(Fact::ApiRefused {
            peer: self.request.peer,
            what: shown(self.request, problem.kind),
            by: self.by.clone(),
            status,
            why: match problem.kind {
                // It quotes what was sent, digits among it.
                Kind::BadBody => title.to_owned(),
                _other => format!("{title}: {}", problem.detail),
            },
        }));
        problem.response(&self.request.path, self.id)
    }
}

/// A request as a log has it.
fn shown(request: &Request, kind: Kind) -> String {
    let method = match request.method {
        Method::Other => "a method that is not known here, of",
        known => known.name(),
    };
    if kind == Kind::NoSuchPath {
        return format!("{method} of a path that is not known here");
    }
    let part = |part: &str| match part.chars().count() {
        0..=PART_CHARS => part.to_owned(),
        _ => "***".to_owned(),
    };
    let mut parts: Vec<String> = request.path.split('/').take(PARTS).map(part).collect();
    if request.path.split('/').count() > PARTS {
        parts.push("***".to_owned());
    }
    format!("{method} {}", parts.join("/"))
}

/// Whole seconds since the start.
fn second(now: Instant) -> u32 {
    (now.as_millis() / 1_000) as u32
}

impl Api {
    pub(super) fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        config: &Config,
        asking: &mut Asking<'_>,
    ) -> Result<Given, Problem> {
        let request = asking.request;
        let host = Marker::host(request.peer).to_string();
        let host = self.prints.of(&[host.as_bytes()]) as u64;
        let rate = Rate::per_second(config.per_address, config.per_address);
        let addresses = self.addresses.get_or_insert_with(Cells::new);
        if !addresses.take(host, cx.now.as_nanos(), rate) {
            return Err(Problem::new(Kind::TooMany, "from this address"));
        }
        // A seal costs a hash to check: where too many were wrong only what has held before is checked for a while. One address may be a proxy with
        // all who use it behind it.
        let (guesses, often) = (self.guesses.get_or_insert_with(Cells::new), limits::API_GUESSES);
        let often = Rate::per_second(often, often);
        if let Some(shown) = &request.token
            && !guesses.has(host, cx.now.as_nanos(), often)
            && !self.has_held(shown.expose(), cx.now)
        {
            return Err(Problem::new(
                Kind::TooMany,
                "with a wrong token or key, from this address",
            ));
        }
        let given = self.routed(cx, config, asking);
        let is_wrong = |problem: &Problem| matches!(problem.kind, Kind::BadToken | Kind::BadKey);
        if given.as_ref().is_err_and(is_wrong) {
            if let Some(guesses) = &mut self.guesses {
                guesses.take(host, cx.now.as_nanos(), often);
            }
            // It may have held before: its key is withdrawn.
            if let (Some(shown), Some(held)) = (&request.token, &mut self.held) {
                held.forget(self.prints.of(&[shown.expose().as_bytes()]) as u64);
            }
        }
        given
    }

    fn has_held(&self, shown: &str, now: Instant) -> bool {
        let print = self.prints.of(&[shown.as_bytes()]) as u64;
        let within = limits::API_HELD.as_secs() as u32;
        self.held
            .as_ref()
            .is_some_and(|held| held.has(print, second(now), within))
    }

    /// A token or key has held, or is made here.
    fn holds(&mut self, shown: &str, now: Instant) {
        let print = self.prints.of(&[shown.as_bytes()]) as u64;
        self.held.get_or_insert_with(Seen::new).put(print, second(now));
    }

    fn routed(&mut self, cx: &mut Cx<'_>, config: &Config, asking: &mut Asking<'_>) -> Result<Given, Problem> {
        let request = asking.request;
        let meant = match route::find(request.method, &request.path) {
            Found::Row(meant) => meant,
            Found::Methods(methods) if request.method == Method::Options => {
                return Ok(Given::Response(cors::preflight(&methods)));
            }
            Found::Methods(methods) => {
                let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
                let mut problem = Problem::new(Kind::NoSuchMethod, format!("it takes {}", names.join(", ")));
                problem.headers.push(("Allow", names.join(", ")));
                return Err(problem);
            }
            Found::Nothing => return Err(Problem::new(Kind::NoSuchPath, "/v1/openapi.json says what there is")),
        };
        match meant.row.need {
            Need::Nothing => Ok(Given::Response(public(meant.row.operation))),
            Need::Key => self.for_back_end(cx, config, asking),
            Need::Token => self.for_client(cx, config, asking, meant, &[]),
            Need::Scope(scopes) => self.for_client(cx, config, asking, meant, scopes),
        }
    }

    /// A back end wants a token for one of its users.
    fn for_back_end(&mut self, cx: &mut Cx<'_>, config: &Config, asking: &mut Asking<'_>) -> Result<Given, Problem> {
        let request = asking.request;
        let shown = request.token.as_ref();
        let mut keys = config.keys.iter();
        let key = shown.and_then(|shown| keys.find(|key| seal::is_same(&key.key, shown)));
        let key = key.ok_or_else(|| Problem::new(Kind::BadKey, "Authorization: Bearer with a key of api.keys"))?;
        asking.by = Some(format!("the back end of {}", key.tenant));
        self.holds(key.key.expose(), cx.now);
        let print = self.prints.of(&[request.path.as_bytes(), &request.body]);
        // Tenants are those of the configuration, now and before.
        let issued = self.issued.entry(key.tenant.clone()).or_default();
        let mark = request.key.as_deref().map(once::key).transpose()?;
        if let Some(before) = mark.map(|mark| issued.find(mark, print, cx.now)).transpose()?.flatten() {
            return Ok(Given::Response(before));
        }
        let response = act::issue(config, key, &request.body, cx.wall);
        let response = response.unwrap_or_else(|problem| asking.refused(cx, problem));
        let told: Option<Value> = serde_json::from_slice(&response.body).ok();
        if let Some(token) = told.as_ref().and_then(|told| told["token"].as_str()) {
            self.holds(token, cx.now);
        }
        if let Some(mark) = mark {
            let issued = self.issued.entry(key.tenant.clone()).or_default();
            issued.keep(mark, print, &response, limits::API_ONCE_OF_BACK_END, cx.now);
        }
        Ok(Given::Response(response))
    }

    fn for_client(
        &mut self,
        cx: &mut Cx<'_>,
        config: &Config,
        asking: &mut Asking<'_>,
        meant: Meant<'_>,
        scopes: &[Scope],
    ) -> Result<Given, Problem> {
        let request = asking.request;
        let shown = request.token.as_ref();
        let shown = shown.ok_or_else(|| Problem::new(Kind::NoToken, "Authorization: Bearer with a token"))?;
        let claims = token::read(config, shown.expose(), cx.wall)?;
        let Identity { tenant, name } = &claims.who;
        asking.by = Some(format!("{name} of {tenant}"));
        self.holds(shown.expose(), cx.now);
        if !scopes.is_empty() && !scopes.iter().any(|scope| claims.scopes.has(*scope)) {
            let words: Vec<&str> = scopes.iter().map(|scope| scope.word()).collect();
            return Err(Problem::new(
                Kind::WrongScope,
                format!("it needs {}", words.join(" or ")),
            ));
        }
        let epoch = cx.random() as u32;
        let way = |number| outside::way(cx.config, number, request.local, request.peer);
        let most = share(cx.config, limits::API_CLIENTS);
        let me = self.clients.enter(&claims, epoch, most, way);
        let full = || Problem::new(Kind::Full, "too many clients are there");
        let me = me.ok_or_else(full)?;
        let client = self.clients.get(me).ok_or_else(full)?;
        client.came = true;
        if client.streams.is_empty() {
            self.deadlines.set(Timer::Absent(me), cx.now + limits::API_ABSENCE);
        }
        let rate = Rate::per_second(config.per_client, config.per_client);
        if !client.rate.take(cx.now.as_nanos(), rate) {
            return Err(Problem::new(Kind::TooMany, "by this client"));
        }
        let claims = &claims;
        let asker = Asker { me, claims };
        if meant.row.operation == Operation::Events {
            return self.listen(cx, asking.id, asker, request.after.as_deref());
        }
        let print = self.prints.of(&[request.path.as_bytes(), &request.body]);
        let mark = request.key.as_deref().filter(|_| meant.row.method == Method::Post);
        let mark = mark.map(once::key).transpose()?;
        if let Some(before) = mark
            .map(|mark| client.once.find(mark, print, cx.now))
            .transpose()?
            .flatten()
        {
            return Ok(Given::Response(before));
        }
        let done = self.act(cx, config, asker, meant, &request.body);
        let response = done.unwrap_or_else(|problem| asking.refused(cx, problem));
        if let Some((mark, client)) = mark.zip(self.clients.get(me)) {
            client.once.keep(mark, print, &response, limits::API_ONCE, cx.now);
        }
        Ok(Given::Response(response))
    }
}

/// What everybody may read.
fn public(operation: Operation) -> Response {
    match operation {
        Operation::Description => answer::json(200, DESCRIPTION.into()),
        Operation::Problems => answer::json(200, problem::list().to_string().into()),
        Operation::IssueToken
        | Operation::TurnKeys
        | Operation::Events
        | Operation::ListCalls
        | Operation::StartCall
        | Operation::ShowCall
        | Operation::Accept
        | Operation::Reject
        | Operation::HangUp
        | Operation::Offer
        | Operation::Answer
        | Operation::Candidates
        | Operation::Hold
        | Operation::Mute
        | Operation::Dtmf
        | Operation::Transfer
        | Operation::AddParticipant
        | Operation::RemoveParticipant
        | Operation::ShowRoom => unreachable!("the table asks for a token or a key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let of = |kind, method, path: &str| {
            let request = Request {
                peer: "192.0.2.7".parse().unwrap(),
                local: "192.0.2.1".parse().unwrap(),
                method,
                path: path.to_owned(),
                token: None,
                origin: None,
                key: None,
                after: None,
                body: "".into(),
            };
            shown(&request, kind)
        };
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
        for (method, path, wanted) in [
            (Method::Get, "/v1/calls".to_owned(), "GET /v1/calls".to_owned()),
            (
                Method::Post,
                "/v1/calls/1-0123456789abcdef/participants/remove".to_owned(),
                "POST /v1/calls/1-0123456789abcdef/participants/remove".to_owned(),
            ),
            (
                Method::Get,
                format!("/v1/calls/{token}"),
                "GET /v1/calls/***".to_owned(),
            ),
            (Method::Get, format!("/{token}/x"), "GET /***/x".to_owned()),
            (Method::Get, "/a".repeat(5_000), "GET /a/a/a/a/a/***".to_owned()),
            (
                Method::Other,
                "/v1".to_owned(),
                "a method that is not known here, of /v1".to_owned(),
            ),
        ] {
            assert_eq!(of(Kind::NoSuchCall, method, &path), wanted);
        }
        let unknown = of(Kind::NoSuchPath, Method::Get, "/my-pin-4711");
        assert_eq!(unknown, "GET of a path that is not known here");
    }
}
