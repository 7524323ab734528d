//! rtpengine's control protocol (NG): a proxy that keeps the dialogs, Kamailio for example, has the media of its calls here.
//!
//! ```text
//!   datagram -> message (cookie, command, flags) -> call by Call-ID -> sides by tag -> sdp, media commands
//!   answer   <- answers (kept for repeats)       <- report            <- counters of the workers
//! ```
//!
//! Descriptions are not rewritten but made anew, as for our own calls: nothing of a peer's ICE, keys or addresses comes through, and
//! each side has a session of its own. Who may ask is decided by address alone (`ng.allow`), since the protocol has no passwords.
//!
//! | file | what |
//! |---|---|
//! | `bencode`, `message`, `flags` | octets to commands |
//! | `choice` | which codecs go on and come back |
//! | `call`, `side` | a call; one side of it, with its media leg |
//! | `report` | counters as `query` and `delete` tell them |
//! | `answers` | a command that comes again is not done again |

mod answers;
pub mod bencode;
mod call;
mod choice;
mod flags;
pub mod message;
mod report;
mod side;
#[cfg(test)]
mod tests;

use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::MediaLegId;
use crate::limits;
use crate::media::command::{Command as Media, Event};
use crate::stock::Stock;
use crate::time::{Deadlines, Instant};
use answers::{Answers, Asker, Known};
use bencode::Value;
use bytes::Bytes;
use call::Call;
use flags::Flags;
use message::{Command, Named, Refused, Request};
use side::{Legs, Turn};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Why something is done later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// It is looked whether anything is still heard in a call.
    Look(u64),
    /// A call was to be deleted now.
    End(u64),
    /// The workers had their time to tell counters.
    Counters(u64),
    /// The grace of `stop` is over.
    Stop,
    /// It is told how many datagrams were not heard.
    Unheard,
}

/// All calls whose media was brought by NG.
#[derive(Debug, Default)]
pub struct Ng {
    calls: HashMap<u64, Box<Call>, foldhash::fast::FixedState>,
    /// By Call-ID, in order: the senders choose them. Those that end have none.
    names: BTreeMap<Arc<str>, u64>,
    legs: Legs,
    answers: Answers,
    timers: Deadlines<Timer>,
    last: u64,
    stopping: bool,
    /// Flags that the log has told of.
    unheeded: BTreeSet<Box<str>>,
    /// Datagrams of others than `ng.allow` names, since it was told last.
    unheard: u64,
}

/// What becomes of a command.
enum Said {
    /// An answer.
    Now(Value<'static>),
    /// It is answered once the workers have told their counters.
    Later,
}

impl Ng {
    /// A datagram that came to `ng.listen`.
    pub fn datagram(&mut self, cx: &mut Cx<'_>, stock: &mut Stock, peer: SocketAddr, octets: &[u8]) {
        if !cx.config.ng.as_ref().is_some_and(|ng| ng.hears(peer.ip())) {
            return self.unheard(cx);
        }
        let Some(request) = Request::parse(octets) else {
            return refused(cx, peer, "a datagram", "It does not begin with a cookie and a space.");
        };
        let asker = Asker {
            peer,
            cookie: request.cookie.into(),
        };
        match self.answers.look(cx.now, &asker) {
            Known::New => {}
            Known::Waits => return,
            Known::Answered(answer) => return cx.emit(Output::Ng(peer, answer)),
        }
        let (name, knows_limit) = match &request.command {
            Ok(Command::Offer(_, _, flags)) => ("offer", flags.knows_limit),
            Ok(command) => (command.name(), false),
            Err(_) => ("a command", false),
        };
        let done = match request.command {
            Ok(command) => self.command(cx, stock, &asker, command),
            Err(refused) => Err(refused),
        };
        let value = match done {
            Ok(Said::Now(value)) => value,
            Ok(Said::Later) => return,
            Err(why) => {
                refused(cx, peer, name, &why.why);
                match why.is_full && knows_limit {
                    true => Value::dict([("result", Value::text("load limit")), ("message", Value::text(why.why))]),
                    false => message::error(&why.why),
                }
            }
        };
        self.say(cx, &asker, &value);
    }

    fn say(&mut self, cx: &mut Cx<'_>, asker: &Asker, value: &Value<'_>) {
        let answer = Bytes::from(message::answer(&asker.cookie, value));
        self.answers.keep(cx.now, asker, &answer);
        cx.emit(Output::Ng(asker.peer, answer));
    }

    fn command(
        &mut self,
        cx: &mut Cx<'_>,
        stock: &mut Stock,
        asker: &Asker,
        command: Command<'_>,
    ) -> Result<Said, Refused> {
        match command {
            Command::Ping => Ok(Said::Now(Value::dict([("result", Value::text("pong"))]))),
            Command::Offer(named, sdp, flags) => {
                self.heed(cx, &flags);
                self.offer(cx, stock, &named, sdp, flags)
            }
            Command::Answer(named, sdp, flags) => {
                self.heed(cx, &flags);
                let number = self.find(&named)?;
                let body = self.turn(cx, stock, number, |call, t| call.answer(t, &named, sdp, &flags))??;
                // It goes on: what was to end it later does not.
                self.timers.cancel(Timer::End(number));
                Ok(described(&body))
            }
            Command::Delete(named, delay, flags) => self.delete(cx, stock, asker, &named, delay, &flags),
            Command::Query(named) => {
                let number = self.find(&named)?;
                self.timers.set(Timer::Counters(number), cx.now + limits::NG_STATISTICS);
                self.turn(cx, stock, number, |call, t| call.query(t, asker.clone()))?;
                Ok(Said::Later)
            }
            Command::List(limit) => {
                let names = self.names.keys().take(limit.min(limits::NG_LISTED));
                let calls = names.map(|name| Value::text(name.to_string())).collect();
                Ok(Said::Now(Value::dict([
                    ("result", Value::text("ok")),
                    ("calls", Value::List(calls)),
                ])))
            }
            Command::BlockDigits(named, is_blocked, flags) => {
                let number = self.find(&named)?;
                let from = named.from.as_deref().filter(|_| flags.directional);
                let is_there = self.turn(cx, stock, number, |call, t| call.block(t, from, is_blocked))?;
                if !is_there {
                    return Err("The call has no side with this from-tag.".into());
                }
                Ok(ok())
            }
            Command::PlayDigit(named, digit) => {
                let number = self.find(&named)?;
                let is_heard = self.turn(cx, stock, number, |call, t| call.play(t, named.from.as_deref(), digit))?;
                if !is_heard {
                    return Err("Nobody hears the side with this from-tag.".into());
                }
                Ok(ok())
            }
        }
    }

    fn find(&self, named: &Named) -> Result<u64, Refused> {
        let number = self.names.get(&*named.call).copied();
        number.ok_or("Unknown call-id".into())
    }

    fn offer(
        &mut self,
        cx: &mut Cx<'_>,
        stock: &mut Stock,
        named: &Named,
        sdp: &[u8],
        flags: Box<Flags>,
    ) -> Result<Said, Refused> {
        let known = self.find(named).ok();
        let number = match known {
            Some(number) => number,
            None => self.begin(cx, stock, named)?,
        };
        let body = self.turn(cx, stock, number, |call, t| call.offer(t, named, sdp, flags))?;
        match (body, known) {
            (Ok(body), Some(_)) => {
                self.timers.cancel(Timer::End(number));
                Ok(described(&body))
            }
            (Ok(body), None) => {
                let name = Arc::from(&*named.call);
                cx.emit(Output::Record(Fact::NgBegan { name }));
                Ok(described(&body))
            }
            (Err(why), Some(_)) => Err(why),
            (Err(why), None) => {
                // What was opened for it is closed again, and nobody is told of a call.
                self.drop_call(cx, number);
                Err(why)
            }
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, stock: &mut Stock, named: &Named) -> Result<u64, Refused> {
        if self.stopping {
            return Err(Refused::full("The node is being stopped"));
        }
        if self.calls.len() >= limits::NG_CALLS {
            return Err(Refused::full("Parallel session limit reached"));
        }
        let Some(worker) = stock.next_worker(cx.config) else {
            return Err(Refused::full("Every media worker has as many legs as it can hold"));
        };
        self.last += 1;
        let (number, name) = (self.last, Arc::<str>::from(&*named.call));
        let t = Turn::new(cx, stock, &mut self.legs);
        let call = Call::new(&t, name.clone(), number, worker);
        self.calls.insert(number, Box::new(call));
        self.names.insert(name, number);
        self.look_later(cx, number);
        Ok(number)
    }

    fn look_later(&mut self, cx: &Cx<'_>, number: u64) {
        let timeout = cx.config.ng.as_ref().map_or(limits::NG_LOOK, |ng| ng.timeout / 4);
        let pause = timeout.clamp(Duration::from_secs(1), limits::NG_LOOK);
        self.timers.set(Timer::Look(number), cx.now + pause);
    }

    fn delete(
        &mut self,
        cx: &mut Cx<'_>,
        stock: &mut Stock,
        asker: &Asker,
        named: &Named,
        delay: Duration,
        flags: &Flags,
    ) -> Result<Said, Refused> {
        let known = self.find(named).and_then(|number| match self.calls.get(&number) {
            Some(call) if call.knows(named) => Ok(number),
            Some(_) | None => Err("The call has no side with these tags.".into()),
        });
        let number = match known {
            Ok(number) => number,
            Err(why) if flags.fatal => return Err(why),
            Err(why) => {
                let warning = ("warning", Value::text(why.why));
                return Ok(Said::Now(Value::dict([("result", Value::text("ok")), warning])));
            }
        };
        if let Some(branch) = named.branch.as_deref()
            && self.turn(cx, stock, number, |call, t| call.end_branch(t, branch))?
        {
            return Ok(ok());
        }
        if !delay.is_zero() {
            self.timers.set(Timer::End(number), cx.now + delay);
            return Ok(ok());
        }
        self.end(cx, stock, number, "the proxy has deleted it", Some(asker.clone()));
        Ok(Said::Later)
    }

    /// Ends a call: its name is free at once.
    fn end(&mut self, cx: &mut Cx<'_>, stock: &mut Stock, number: u64, why: &'static str, asker: Option<Asker>) {
        // A call that broke is gone already.
        let _ = self.turn(cx, stock, number, |call, t| call.end(t, why, asker));
    }

    /// An event of a media worker; false if it is not about a leg of these calls.
    pub fn media(&mut self, cx: &mut Cx<'_>, stock: &mut Stock, event: &Event) -> bool {
        let Some(leg) = event.leg() else { return false };
        let Some((number, worker)) = self.legs.get(&leg).copied() else {
            return false;
        };
        match event {
            Event::Stats(_, stats) => {
                let _ = self.turn(cx, stock, number, |call, t| call.counted(t, leg, *stats));
            }
            Event::Closed(_, stats) => {
                self.legs.remove(&leg);
                stock.leave(worker);
                let _ = self.turn(cx, stock, number, |call, t| call.closed(t, leg, *stats));
            }
            Event::Started(..) | Event::Silent(_) | Event::Digit { .. } | Event::DataTone { .. } => {}
            Event::Played(_) | Event::Noted(..) | Event::Moved(..) | Event::Trouble { .. } | Event::Setup(..) => {}
            Event::Speaking { .. } | Event::Shows { .. } | Event::RoomPlayed(_) | Event::RoomMeasured(..) => {}
        }
        true
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, stock: &mut Stock) {
        while let Some(timer) = self.timers.pop_due(cx.now) {
            match timer {
                Timer::Look(number) => {
                    self.look_later(cx, number);
                    let _ = self.turn(cx, stock, number, |call, t| call.look(t));
                }
                Timer::End(number) => self.end(cx, stock, number, "the proxy has deleted it a while ago", None),
                Timer::Counters(number) => {
                    let _ = self.turn(cx, stock, number, |call, t| call.tell_queries(t));
                    self.finish(cx, stock, number, true);
                }
                Timer::Stop => self.end_all(cx, stock),
                Timer::Unheard => {
                    let count = std::mem::take(&mut self.unheard);
                    let what = "that came to ng.listen from where ng.allow does not say";
                    cx.emit(Output::Record(Fact::Cut { count, what }));
                }
            }
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next().map(|(at, _)| at)
    }

    /// No new calls; those that are up end after `grace`.
    pub fn stop(&mut self, cx: &mut Cx<'_>, stock: &mut Stock, grace: Duration) {
        self.stopping = true;
        if grace.is_zero() {
            self.timers.cancel(Timer::Stop);
            self.end_all(cx, stock);
        } else {
            self.timers.set(Timer::Stop, cx.now + grace);
        }
    }

    fn end_all(&mut self, cx: &mut Cx<'_>, stock: &mut Stock) {
        let numbers: Vec<u64> = self.names.values().copied().collect();
        for number in numbers {
            self.end(cx, stock, number, "the node is stopped", None);
        }
    }

    /// Calls that are up.
    pub fn up(&self) -> usize {
        self.names.len()
    }

    /// True when there is none, and none that waits for its legs to be closed.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Legs that are open.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// One step of one call. A panic in it costs this call and no other.
    fn turn<R>(
        &mut self,
        cx: &mut Cx<'_>,
        stock: &mut Stock,
        number: u64,
        step: impl FnOnce(&mut Call, &mut Turn<'_, '_>) -> R,
    ) -> Result<R, Refused> {
        let Some(mut call) = self.calls.remove(&number) else {
            return Err("Unknown call-id".into());
        };
        let mut t = Turn::new(cx, stock, &mut self.legs);
        let done = catch_unwind(AssertUnwindSafe(|| step(&mut call, &mut t)));
        let said = std::mem::take(&mut t.said);
        stock.top_up(cx);
        let Ok(result) = done else {
            self.names.remove(&call.name);
            self.close_legs(cx, number);
            self.forget(number);
            let text = format!("the call {:?} by NG met a bug and was ended", call.name);
            cx.emit(Output::Record(Fact::Warning(text)));
            return Err("This call met a bug and was ended; the log has more.".into());
        };
        for (asker, value) in said {
            self.say(cx, &asker, &value);
        }
        if call.is_ending() && self.names.get(&call.name) == Some(&number) {
            self.names.remove(&call.name);
            self.forget(number);
            self.timers.set(Timer::Counters(number), cx.now + limits::NG_STATISTICS);
        }
        self.calls.insert(number, call);
        self.finish(cx, stock, number, false);
        Ok(result)
    }

    /// A call that ends is over when its legs are closed, or should be.
    fn finish(&mut self, cx: &mut Cx<'_>, stock: &mut Stock, number: u64, is_late: bool) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let mut t = Turn::new(cx, stock, &mut self.legs);
        let is_over = call.finish(&mut t, is_late);
        for (asker, value) in std::mem::take(&mut t.said) {
            self.say(cx, &asker, &value);
        }
        if is_over {
            self.calls.remove(&number);
            self.forget(number);
        }
    }

    /// A call that never was.
    fn drop_call(&mut self, cx: &mut Cx<'_>, number: u64) {
        if let Some(call) = self.calls.remove(&number) {
            self.names.remove(&call.name);
            self.close_legs(cx, number);
        }
        self.forget(number);
    }

    fn close_legs(&self, cx: &mut Cx<'_>, number: u64) {
        let mut legs: Vec<(MediaLegId, _)> = self
            .legs
            .iter()
            .filter(|(_, (call, _))| *call == number)
            .map(|(leg, (_, worker))| (*leg, *worker))
            .collect();
        legs.sort_unstable();
        for (leg, worker) in legs {
            cx.emit(Output::Media(worker, Media::Close(leg)));
        }
    }

    fn forget(&mut self, number: u64) {
        for timer in [Timer::Look(number), Timer::End(number), Timer::Counters(number)] {
            self.timers.cancel(timer);
        }
    }

    fn unheard(&mut self, cx: &Cx<'_>) {
        if self.unheard == 0 {
            self.timers.set(Timer::Unheard, cx.now + Duration::from_secs(60));
        }
        self.unheard += 1;
    }

    /// Each flag that is not heeded is told of once.
    fn heed(&mut self, cx: &mut Cx<'_>, flags: &Flags) {
        for flag in &flags.unheeded {
            if self.unheeded.len() < limits::NG_UNHEEDED && self.unheeded.insert(flag.clone()) {
                let flag = flag.clone();
                cx.emit(Output::Record(Fact::NgUnheeded { flag }));
            }
        }
    }
}

fn ok() -> Said {
    Said::Now(Value::dict([("result", Value::text("ok"))]))
}

fn described(body: &Bytes) -> Said {
    let sdp = Value::Text(body.to_vec().into());
    Said::Now(Value::dict([("result", Value::text("ok")), ("sdp", sdp)]))
}

fn refused(cx: &mut Cx<'_>, peer: SocketAddr, what: &'static str, why: &str) {
    cx.emit(Output::Record(Fact::NgRefused {
        peer,
        what,
        why: why.to_owned(),
    }));
}
