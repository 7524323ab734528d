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
//! | `request` | one request, from what it shows to its answer |
//! | `route` | which request means what |
//! | `body` | what the bodies hold |
//! | `problem` | why a request is refused (RFC 9457) |
//! | `token`, `seal` | who somebody is, and what shows it |
//! | `once` | requests that come twice |
//! | `client`, `log` | who is there, and what he is told |
//! | `call` | a call: its two sides |
//! | `outside`, `line` | calls by SIP: who may have them, and the user agent that speaks for a client |
//! | `company` | what clients in a room are told of who is there |
//! | `end` | the end of a call, and of a client who does not come back |
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
mod end;
mod line;
mod log;
mod meeting;
mod once;
mod outside;
pub mod problem;
mod push;
mod request;
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

use crate::cx::Cx;
use crate::effect::Output;
use crate::guard::cells::{Cells, Seen};
use crate::id::ApiId;
use crate::keyed;
use crate::limits;
use crate::time::{Deadlines, Instant};
use act::Asker;
use answer::Given;
use call::{Calls, State};
use client::{Client, Clients, Stream};
use company::Company;
use end::End;
use line::Lines;
use once::Once;
use problem::{Kind, Problem};
use request::Asking;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use token::Scope;
use wire::{Event, Reply, Request};

/// Why a client has no stream, where that was not our doing.
const LOST: &str = "its connection was lost";

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
    /// Calls by SIP of which it is not known yet how the node's other facts name them, by their Call-ID.
    unnamed: BTreeMap<Box<str>, u64>,
    /// Who can be called by SIP, for the node: drained after each input.
    presence: VecDeque<Presence>,
    /// Whose each stream is.
    streams: BTreeMap<ApiId, u64>,
    /// Tokens that back ends have asked for lately, by tenant.
    issued: BTreeMap<Arc<str>, Once>,
    deadlines: Deadlines<Timer>,
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
            unnamed: BTreeMap::new(),
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
        let mut asking = Asking::new(id, request);
        let given = self.answer(cx, config, &mut asking);
        let given = given.unwrap_or_else(|problem| Given::Response(asking.refused(cx, problem)));
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
            client.left = LOST;
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
                Timer::Unanswered(call) => self.over(cx, call, End::by_nobody("no-answer")),
                Timer::Unmoved(call) => self.unmoved(cx, call),
            }
        }
        self.lines.on_time(cx);
        self.heed_lines(cx);
    }

    fn is_up(&self, call: u64) -> bool {
        self.calls.get(call).is_some_and(|call| call.state == State::Up)
    }

    /// Opens a stream, and tells what was missed. Where that is no longer known, it says so, and what holds now.
    fn listen(
        &mut self,
        cx: &mut Cx<'_>,
        id: ApiId,
        Asker { me, claims }: Asker<'_>,
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
    fn end_stream(&mut self, cx: &mut Cx<'_>, id: ApiId, why: &'static str) {
        let last = Event {
            id: None,
            name: "end",
            data: json!({ "reason": why }).to_string().into(),
        };
        cx.emit(Output::Api(id, Reply::Last(last)));
        let whose = self.streams.get(&id).copied();
        self.closed(cx, id);
        if let Some(client) = whose.and_then(|number| self.clients.get(number)) {
            client.left = why;
        }
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
}

/// What one tenant may have of something that all share: half, where there are several, so that none leaves the others without.
fn share(config: &crate::config::Config, all: usize) -> usize {
    let mut keys = config.api.iter().flat_map(|api| &api.keys);
    let first = keys.next();
    let are_several = first.is_some_and(|first| keys.any(|key| key.tenant != first.tenant));
    if are_several { all / 2 } else { all }
}
