//! One subscription as its notifier sees it (RFC 6665 4.2.2). There is nobody to be asked for a permission, so that it is active from
//! its beginning.
//!
//! ```text
//!     SUBSCRIBE                       changed, refreshed
//!        |                          +-------------------+
//!        v     it was looked at     v                   |     the answer to NOTIFY
//!    Waiting -----------------> NOTIFY under way --> Waiting <------------------
//!                                   |                   |
//!    not refreshed, SUBSCRIBE with  |                   |  NOTIFY: terminated
//!    Expires 0, the user is gone    v                   v
//!                                 Ending: the last NOTIFY --- its answer ---> over
//! ```
//!
//! One NOTIFY is under way at a time, so that they arrive in their order. A NOTIFY that fails ends the subscription at once.

use super::package::{Package, Seen, Topic};
use crate::cx::Cx;
use crate::dialog::{Dialog, Reject};
use crate::id::{Flow, Owner};
use crate::sip::{Draft, Message, Method, Name};
use crate::time::Instant;
use crate::transaction::{Destination, Layer};
use std::time::Duration;

/// Why a subscription ends (RFC 6665 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was not refreshed, or was to end.
    Timeout,
    /// What is watched is no more.
    NoResource,
    /// The notifier goes away: the watcher may subscribe again at once.
    Deactivated,
    /// The watcher may not watch any more.
    Rejected,
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Why::Timeout => "timeout",
            Why::NoResource => "noresource",
            Why::Deactivated => "deactivated",
            Why::Rejected => "rejected",
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is under way.
    Waiting,
    /// What is watched is asked for.
    Looking,
    /// A NOTIFY is under way.
    Telling,
    /// The last NOTIFY is under way.
    Ending,
}

/// One subscription.
#[derive(Debug)]
pub struct Subscription {
    /// What is watched.
    pub topic: Topic,
    /// How it is told.
    pub package: Package,
    /// Its dialog.
    pub dialog: Dialog,
    /// Over which its watcher has spoken last: the way through a NAT.
    pub flow: Flow,
    /// `Event` as the watcher wrote it, since its `id` tells subscriptions of one dialog apart (RFC 6665 4.4.1).
    event: String,
    state: State,
    until: Instant,
    /// The end was asked for, or has come; told with the next NOTIFY.
    ends: Option<Why>,
    /// All is told next, and not only what has changed.
    full: bool,
    /// Something may have changed since it was looked at last.
    dirty: bool,
    last_told: Option<Instant>,
    version: u32,
    /// A NOTIFY whose way is being found.
    waiting: Option<Draft>,
}

impl Subscription {
    /// The one that a SUBSCRIBE or a REFER makes.
    pub fn new(
        request: &Message,
        flow: Flow,
        tag: &str,
        (topic, package): (Topic, Package),
    ) -> Result<Subscription, Reject> {
        let event = match package {
            Package::Reg { .. } | Package::Conference { .. } => {
                request.get(Name::Event).unwrap_or_default().into_owned()
            }
            Package::Refer { .. } => package.name().to_owned(),
        };
        let mut dialog = Dialog::uas(request, tag)?;
        dialog.confirm();
        Ok(Subscription {
            topic,
            package,
            dialog,
            flow,
            event,
            state: State::Waiting,
            until: Instant::ZERO,
            ends: None,
            full: true,
            dirty: false,
            last_told: None,
            version: 0,
            waiting: None,
        })
    }

    /// When it ends.
    pub const fn until(&self) -> Instant {
        self.until
    }

    /// It was made or refreshed: all is told at once. Zero ends it with that (RFC 6665 4.2.1.4, 4.4.3).
    pub fn granted(&mut self, now: Instant, lasts: Duration) {
        self.until = now + lasts;
        self.full = true;
        self.ends = lasts.is_zero().then_some(Why::Timeout);
    }

    /// Its end was told, or will be.
    pub const fn is_ending(&self) -> bool {
        self.ends.is_some()
    }

    /// The earliest that a change may be told.
    pub fn may_tell_at(&self) -> Instant {
        self.last_told.map_or(Instant::ZERO, |at| at + self.package.pace())
    }

    /// True if it is to be looked at now; if something is under way that happens after it.
    pub fn wants_look(&mut self) -> bool {
        match self.state {
            State::Waiting => {
                self.state = State::Looking;
                self.dirty = false;
                true
            }
            State::Looking | State::Telling => {
                self.dirty = true;
                false
            }
            State::Ending => false,
        }
    }

    /// The store did not answer.
    pub fn not_seen(&mut self) {
        if self.state == State::Looking {
            self.state = State::Waiting;
        }
    }

    /// What is watched, as it is: a NOTIFY, if there is something to tell.
    pub fn seen(&mut self, cx: &mut Cx<'_>, seen: &mut Seen<'_>) -> Option<Draft> {
        if self.state != State::Looking {
            return None;
        }
        let told = self.package.document(cx, seen, self.version, self.full);
        if told.is_last {
            self.ends.get_or_insert(Why::NoResource);
        }
        if told.document.is_none() && self.ends.is_none() {
            self.state = State::Waiting;
            return None;
        }
        let notify = self.notify(cx.now, told.document);
        self.full = false;
        self.last_told = Some(cx.now);
        self.state = match self.ends {
            Some(_) => State::Ending,
            None => State::Telling,
        };
        Some(notify)
    }

    /// It is over: the last NOTIFY, which says nothing of what was watched, unless another one is under way, after which it comes.
    pub fn end(&mut self, why: Why) -> Option<Draft> {
        self.ends = Some(why);
        match self.state {
            State::Waiting => {
                self.state = State::Ending;
                Some(self.notify(Instant::ZERO, None))
            }
            State::Looking | State::Telling => {
                self.dirty = true;
                None
            }
            State::Ending => None,
        }
    }

    fn notify(&mut self, now: Instant, document: Option<String>) -> Draft {
        let mut notify = self.dialog.request(Method::Notify);
        notify.push(Name::Event, &self.event);
        let state = match self.ends {
            Some(why) => format!("terminated;reason={}", why.as_str()),
            None => format!("active;expires={}", self.until.since(now).as_secs()),
        };
        notify.push(Name::SubscriptionState, state);
        notify.push(Name::UserAgent, crate::USER_AGENT);
        self.version += u32::from(document.is_some());
        if let Some(body) = document.or_else(|| self.ends.and(self.package.last_words())) {
            notify.set_body(self.package.content_type(), body);
        }
        notify
    }

    /// Sends a NOTIFY: over the watcher's flow, or by the route set of its dialog.
    pub fn send(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, owner: Owner, notify: Draft) {
        if self.dialog.route_set.is_empty() {
            self.send_over(cx, layer, owner, self.flow, notify);
        } else {
            self.waiting = Some(notify);
            layer.reach(cx, owner, Destination::Uri(self.dialog.next_hop().clone()));
        }
    }

    /// The way is found.
    pub fn reached(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, owner: Owner, flow: Flow) {
        if let Some(notify) = self.waiting.take() {
            self.send_over(cx, layer, owner, flow, notify);
        }
    }

    fn send_over(&self, cx: &mut Cx<'_>, layer: &mut Layer, owner: Owner, flow: Flow, mut notify: Draft) {
        notify.push(Name::Contact, self.contact(cx, flow));
        layer.request(cx, owner, flow, notify);
    }

    /// The final response to a NOTIFY: true if the subscription is over. It is, too, where the watcher has lost it or is gone (RFC
    /// 6665 4.2.2, RFC 5057); any other failure is one of this NOTIFY.
    pub fn answered(&mut self, status: u16) -> bool {
        if status < 200 {
            return false;
        }
        let is_lost = matches!(
            status,
            401 | 403 | 404 | 405 | 407 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604
        );
        let is_over = self.state == State::Ending || is_lost;
        self.state = State::Waiting;
        is_over
    }

    /// Something came up while a NOTIFY was under way.
    pub const fn has_more(&self) -> bool {
        matches!(self.state, State::Waiting) && (self.dirty || self.full)
    }

    /// Our Contact on a flow: of a room its focus (RFC 4579 5.1).
    pub fn contact(&self, cx: &Cx<'_>, flow: Flow) -> String {
        let transport = flow.transport.uri_param();
        let transport = transport.map_or_else(String::new, |name| format!(";transport={name}"));
        let us = cx.advertised(flow);
        match self.package.focus().and_then(|focus| focus.split_once('@')) {
            Some((user, _)) => format!("<{user}@{us}{transport}>;isfocus"),
            None => format!("<sip:{us}{transport}>"),
        }
    }
}
