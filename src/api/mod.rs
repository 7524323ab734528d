//! The HTTP API for clients of an operator: who may do what, their calls, and the events that they are told. The shell brings requests and
//! carries replies; everything is decided here.
//!
//! ```text
//!   request --> rate of the address --> route --> token or key --> rate of the client --> once? --> done --> reply
//!                                                                                             |
//!                                         events of each who is concerned: kept, and told by all streams of his
//! ```
//!
//! An operator's back end has an API key, and gives each of its users a token for a while. A stream of events that breaks goes on where it
//! was; who does not come back within a minute is gone, and so are his calls. Calls between clients are peer to peer: only descriptions and
//! candidates come by here. A call with a number, a SIP address or a room is one of `b2bua`, to which the client is a phone.
//!
//! | file | does |
//! |---|---|
//! | `wire` | requests, replies, events as values |
//! | `route` | which request means what |
//! | `body` | what the bodies hold |
//! | `problem` | why a request is refused (RFC 9457) |
//! | `token`, `seal` | who somebody is, and what shows it |
//! | `once` | requests that come twice |
//! | `client`, `log` | who is there, and what he is told |
//! | `call` | a call: its two sides |
//! | `outside`, `line` | calls by SIP: who may have them, and the user agent that speaks for a client |
//! | `company` | what clients in a room are told of who is there |
//! | `room` | what a page has to know of a room before it calls it |
//! | `meeting` | a third participant: a call moves into a room |
//! | `push` | who is not connected is woken |
//! | `act`, `talk` | what requests do: whose calls there are, and what is done in one |
//! | `answer` | what is answered |
//! | `cors` | pages of other origins |

mod act;
mod answer;
mod body;
mod call;
mod client;
mod company;
mod cors;
mod line;
mod log;
mod meeting;
mod once;
mod outside;
pub mod problem;
mod push;
mod room;
mod route;
mod seal;
mod talk;
#[cfg(test)]
mod tests;
mod token;
pub mod wire;

pub use company::Sitting;
pub use outside::Presence;

use crate::config::Api as Config;
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::guard::cells::{Cells, Rate, Seen};
use crate::id::ApiId;
use crate::keyed;
use crate::limits;
use crate::marker::Marker;
use crate::time::{Deadlines, Instant};
use answer::Given;
use call::{Calls, State};
use client::{Client, Clients, Stream};
use company::Company;
use line::Lines;
use once::Once;
use problem::{Kind, Problem};
use route::{Found, Need, Operation, Row};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use token::{Claims, Scope};
use wire::{Event, Method, Reply, Request, Response};

/// The description of all this (OpenAPI 3.1).
const DESCRIPTION: &str = include_str!("openapi.json");

/// Who wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A client that listens no more is gone.
    Absent(u64),
    /// The token of a stream has expired.
    Expired(ApiId),
    /// A call was not answered, or what the other side of one by SIP has offered anew.
    Unanswered(u64),
    /// Nobody may have called the room that a call is to move into.
    Unmoved(u64),
}

/// The machine.
#[derive(Debug)]
pub struct Api {
    /// What stands for a request where it is asked whether it is the same.
    prints: keyed::Key,
    /// How often each address asks. Made when the first one does.
    addresses: Option<Cells>,
    /// How often each has had a token or key that was wrong.
    guesses: Option<Cells>,
    /// Tokens and keys that have held lately, by what stands for each.
    held: Option<Seen>,
    clients: Clients,
    calls: Calls,
    /// The other sides of calls by SIP.
    lines: Lines,
    /// Those of them that are with rooms.
    company: Company,
    /// Who can be called by SIP, for the node: drained after each input.
    presence: VecDeque<Presence>,
    /// Whose each stream is.
    streams: BTreeMap<ApiId, u64>,
    /// Tokens that back ends have asked for lately, by tenant.
    issued: BTreeMap<Arc<str>, Once>,
    deadlines: Deadlines<Timer>,
}

/// Whole seconds since the start.
fn second(now: Instant) -> u32 {
    (now.as_millis() / 1_000) as u32
}

impl Api {
    /// Nobody is there. `key` hashes what others choose.
    pub fn new(key: keyed::Key) -> Api {
        Api {
            prints: key,
            addresses: None,
            guesses: None,
            held: None,
            clients: Clients::new(key),
            calls: Calls::default(),
            lines: Lines::new(key),
            company: Company::default(),
            presence: VecDeque::new(),
            streams: BTreeMap::new(),
            issued: BTreeMap::new(),
            deadlines: Deadlines::default(),
        }
    }

    /// When [`Api::on_time`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let own = self.deadlines.next().map(|(at, _)| at);
        let others = [self.lines.next_deadline(), self.company.next_deadline()];
        own.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Calls by SIP that are not over, and transactions within the node for them.
    pub fn lines(&self) -> (usize, usize) {
        (self.lines.len(), self.lines.transactions())
    }

    /// Clients that are there, calls between them, and streams to them.
    pub fn census(&self) -> (usize, usize, usize) {
        (self.clients.len(), self.calls.len(), self.streams.len())
    }

    /// A request. It is answered at once.
    pub fn request(&mut self, cx: &mut Cx<'_>, id: ApiId, request: &Request) {
        let config = cx.config.clone();
        // A reload does not close the socket: what comes then is answered as if nothing was there.
        let Some(config) = &config.api else {
            let problem = Problem::new(Kind::NoSuchPath, "the API is switched off");
            return cx.emit(Output::Api(id, Reply::Done(problem.response(&request.path, id))));
        };
        let given = self.answer(cx, config, id, request).unwrap_or_else(|problem| {
            let (status, _, title) = problem.kind.words();
            // Each says something of who asks; the others, of what he asks for.
            if [401, 403, 429].contains(&status) {
                let peer = SocketAddr::new(request.peer, 0);
                let why = title;
                cx.emit(Output::Record(Fact::Refused {
                    peer,
                    status,
                    why,
                    what: None,
                }));
            }
            Given::Response(problem.response(&request.path, id))
        });
        let more = cors::fields(&config.origins, request);
        cx.emit(Output::Api(id, given.reply(more)));
        // What comes of it is told behind the answer.
        self.heed_lines(cx);
    }

    /// A stream is gone, or a request that nobody waits for any more.
    pub fn closed(&mut self, cx: &mut Cx<'_>, id: ApiId) {
        let Some(number) = self.streams.remove(&id) else { return };
        self.deadlines.cancel(Timer::Expired(id));
        if let Some(client) = self.clients.get(number) {
            client.streams.retain(|stream| stream.id != id);
            client.heed_streams();
            if client.streams.is_empty() {
                self.deadlines.set(Timer::Absent(number), cx.now + limits::API_ABSENCE);
            }
        }
        let config = cx.config.clone();
        self.be_present(&config, number);
    }

    /// Another configuration is in force: streams whose key is no longer in it end.
    pub fn reconfigure(&mut self, cx: &mut Cx<'_>) {
        let keys = cx.config.api.iter().flat_map(|api| &api.keys);
        let in_force: BTreeSet<u64> = keys.map(token::mark_of).collect();
        for (_, stream) in self.clients.withdrawn(&in_force) {
            self.end_stream(
                cx,
                stream,
                "the API key that has signed its token is no longer in force",
            );
        }
        let config = cx.config.clone();
        for client in self.clients.numbers() {
            self.be_present(&config, client);
        }
    }

    /// What is due is done.
    pub fn on_time(&mut self, cx: &mut Cx<'_>) {
        while let Some(timer) = self.deadlines.pop_due(cx.now) {
            match timer {
                Timer::Absent(client) => self.gone(cx, client),
                Timer::Expired(stream) => self.end_stream(cx, stream, "its token has expired"),
                Timer::Unanswered(call) if self.is_up(call) => self.offer_unanswered(cx, call),
                Timer::Unanswered(call) => self.over(cx, call, "no-answer", None),
                Timer::Unmoved(call) => self.unmoved(cx, call),
            }
        }
        self.lines.on_time(cx);
        self.heed_lines(cx);
    }

    fn is_up(&self, call: u64) -> bool {
        self.calls.get(call).is_some_and(|call| call.state == State::Up)
    }

    fn answer(&mut self, cx: &mut Cx<'_>, config: &Config, id: ApiId, request: &Request) -> Result<Given, Problem> {
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
        let given = self.routed(cx, config, id, request);
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

    fn routed(&mut self, cx: &mut Cx<'_>, config: &Config, id: ApiId, request: &Request) -> Result<Given, Problem> {
        let (row, call) = match route::find(request.method, &request.path) {
            Found::Row(row, call) => (row, call),
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
        match row.need {
            Need::Nothing => Ok(Given::Response(public(row.operation))),
            Need::Key => self.for_back_end(cx, config, id, request),
            Need::Token => self.for_client(cx, config, (id, request), (row, call), &[]),
            Need::Scope(scopes) => self.for_client(cx, config, (id, request), (row, call), scopes),
        }
    }

    /// A back end wants a token for one of its users.
    fn for_back_end(&mut self, cx: &Cx<'_>, config: &Config, id: ApiId, request: &Request) -> Result<Given, Problem> {
        let shown = request.token.as_ref();
        let mut keys = config.keys.iter();
        let key = shown.and_then(|shown| keys.find(|key| seal::is_same(&key.key, shown)));
        let key = key.ok_or_else(|| Problem::new(Kind::BadKey, "Authorization: Bearer with a key of api.keys"))?;
        self.holds(key.key.expose(), cx.now);
        let print = self.prints.of(&[request.path.as_bytes(), &request.body]);
        // Tenants are those of the configuration, now and before.
        let issued = self.issued.entry(key.tenant.clone()).or_default();
        let mark = request.key.as_deref().map(once::key).transpose()?;
        if let Some(before) = mark.map(|mark| issued.find(mark, print, cx.now)).transpose()?.flatten() {
            return Ok(Given::Response(before));
        }
        let response = act::issue(config, key, &request.body, cx.wall);
        let response = response.unwrap_or_else(|problem| problem.response(&request.path, id));
        let told: Option<Value> = serde_json::from_slice(&response.body).ok();
        if let Some(token) = told.as_ref().and_then(|told| told["token"].as_str()) {
            self.holds(token, cx.now);
        }
        if let Some(mark) = mark {
            let issued = self.issued.entry(key.tenant.clone()).or_default();
            issued.keep(mark, print, &response, (limits::API_ONCE_OF_BACK_END, cx.now));
        }
        Ok(Given::Response(response))
    }

    fn for_client(
        &mut self,
        cx: &mut Cx<'_>,
        config: &Config,
        (id, request): (ApiId, &Request),
        (row, call): (&Row, &str),
        scopes: &[Scope],
    ) -> Result<Given, Problem> {
        let shown = request.token.as_ref();
        let shown = shown.ok_or_else(|| Problem::new(Kind::NoToken, "Authorization: Bearer with a token"))?;
        let claims = token::read(config, shown.expose(), cx.wall)?;
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
        if row.operation == Operation::Events {
            return self.listen(cx, id, me, &claims, request.after.as_deref());
        }
        let print = self.prints.of(&[request.path.as_bytes(), &request.body]);
        let mark = request.key.as_deref().filter(|_| row.method == Method::Post);
        let mark = mark.map(once::key).transpose()?;
        if let Some(before) = mark
            .map(|mark| client.once.find(mark, print, cx.now))
            .transpose()?
            .flatten()
        {
            return Ok(Given::Response(before));
        }
        let done = self.act(cx, config, (me, &claims), (row.operation, call), &request.body);
        let response = done.unwrap_or_else(|problem| problem.response(&request.path, id));
        if let Some((mark, client)) = mark.zip(self.clients.get(me)) {
            client.once.keep(mark, print, &response, (limits::API_ONCE, cx.now));
        }
        Ok(Given::Response(response))
    }

    /// Opens a stream, and tells what was missed. Where that is no longer known, it says so, and what holds now.
    fn listen(
        &mut self,
        cx: &mut Cx<'_>,
        id: ApiId,
        me: u64,
        claims: &Claims,
        after: Option<&str>,
    ) -> Result<Given, Problem> {
        let Some(client) = self.clients.get(me) else {
            return Err(Problem::new(Kind::Full, "too many clients are there"));
        };
        client.listens = true;
        self.deadlines.cancel(Timer::Absent(me));
        let missed = after.map(|after| client.log.behind(after));
        let (resumed, lost) = (matches!(missed, Some(Some(_))), matches!(missed, Some(None)));
        // The place where the stream begins: a client that breaks off before the next event resumes here.
        let place = match after {
            Some(after) if resumed => after.to_owned(),
            Some(_) | None => client.log.end(),
        };
        let calls = client.calls.iter().filter_map(|call| self.calls.get(*call));
        let calls: Vec<Value> = calls
            .filter_map(|call| Some(call.view_for(call.side_of(me)?)))
            .collect();
        let ready = json!({ "client": *claims.who.name, "resumed": resumed, "lost": lost, "calls": calls });
        let first = Event {
            id: Some(place),
            name: "ready",
            data: ready.to_string().into(),
        };
        let calls = claims.scopes.has(Scope::Call);
        client.streams.push(Stream {
            id,
            key: claims.key,
            calls,
        });
        client.heed_streams();
        let surplus = client.streams.len().saturating_sub(limits::API_STREAMS_PER_CLIENT);
        let surplus: Vec<ApiId> = client.streams.iter().take(surplus).map(|stream| stream.id).collect();
        self.streams.insert(id, me);
        self.deadlines
            .set(Timer::Expired(id), cx.now + claims.until.since(cx.wall));
        for oldest in surplus {
            self.end_stream(cx, oldest, "the client has opened too many others");
        }
        let config = cx.config.clone();
        self.be_present(&config, me);
        self.company_anew(cx.now, me);
        let events = std::iter::once(first)
            .chain(missed.flatten().unwrap_or_default())
            .collect();
        Ok(Given::Stream(events))
    }

    /// Ends a stream; its client may come back.
    fn end_stream(&mut self, cx: &mut Cx<'_>, id: ApiId, why: &str) {
        let last = Event {
            id: None,
            name: "end",
            data: json!({ "reason": why }).to_string().into(),
        };
        cx.emit(Output::Api(id, Reply::Last(last)));
        self.closed(cx, id);
    }

    /// A client has not come back.
    fn gone(&mut self, cx: &mut Cx<'_>, number: u64) {
        let calls: Vec<u64> = self
            .clients
            .get(number)
            .map_or_else(Vec::new, |client| client.calls.iter().copied().collect());
        for call in calls {
            self.over(cx, call, "gone", None);
        }
        if let Some(client) = self.clients.get(number) {
            (client.listens, client.callable) = (false, false);
        }
        let config = cx.config.clone();
        self.be_present(&config, number);
        self.clients.remove(number);
    }

    /// Tells a client something, by all its streams, and keeps it for those that break.
    fn tell(&mut self, cx: &mut Cx<'_>, number: u64, name: &'static str, data: &Value) {
        if let Some(client) = self.clients.get(number) {
            let event = client.log.add(name, data.to_string().into());
            for stream in &client.streams {
                cx.emit(Output::Api(stream.id, Reply::More(event.clone())));
            }
        }
    }

    /// Tells a client how something is, by all its streams; it is not kept. Streams whose token is good for rooms alone are told the second.
    fn tell_now(&mut self, cx: &mut Cx<'_>, number: u64, name: &'static str, [data, masked]: &[bytes::Bytes; 2]) {
        for stream in self.clients.get(number).into_iter().flat_map(|client| &client.streams) {
            let data = if stream.calls { data.clone() } else { masked.clone() };
            cx.emit(Output::Api(stream.id, Reply::More(Event { id: None, name, data })));
        }
    }

    /// A call is over: its clients are told, and so is the other side of one by SIP. `by` is the name of whose doing it was.
    fn over(&mut self, cx: &mut Cx<'_>, number: u64, why: &'static str, by: Option<&str>) {
        self.over_because(cx, number, why, (by, None));
    }

    /// The same, with a sentence that says more.
    fn over_because(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        why: &'static str,
        (by, detail): (Option<&str>, Option<&str>),
    ) {
        let Some(call) = self.calls.remove(number) else { return };
        self.deadlines.cancel(Timer::Unanswered(number));
        self.deadlines.cancel(Timer::Unmoved(number));
        if let Some(room) = call.room() {
            self.company.leave(cx.now, room, number);
        }
        let status = match why {
            "busy" => 486,
            "gone" => 480,
            _other => 603,
        };
        self.lines.leave(cx, number, status);
        let mut told = json!({ "call": call.id, "reason": why, "by": by });
        if let Some(detail) = detail {
            told["detail"] = json!(detail);
        }
        for client in call.clients() {
            if let Some(client) = self.clients.get(client) {
                client.calls.remove(&number);
            }
            self.tell(cx, client, "call.ended", &told);
            self.forget_sleeper(client);
        }
        self.stays_out(cx, &call);
        let seconds = call.answered.map(|at| cx.wall.since(at).as_secs());
        let what = match seconds {
            Some(seconds) => format!("ended after {seconds} s: {why}"),
            None => format!("failed: {why}"),
        };
        fact(cx, &call.id, what);
    }
}

/// What one tenant may have of something that all share: half, where there are several, so that none leaves the others without.
fn share(config: &crate::config::Config, all: usize) -> usize {
    let mut keys = config.api.iter().flat_map(|api| &api.keys);
    let first = keys.next();
    let are_several = first.is_some_and(|first| keys.any(|key| key.tenant != first.tenant));
    if are_several { all / 2 } else { all }
}

/// A fact of a call between clients.
fn fact(cx: &mut Cx<'_>, call: &str, what: String) {
    let call = call.into();
    cx.emit(Output::Record(Fact::ClientCall { call, what }));
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
