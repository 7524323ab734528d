//! Waking phones that sleep (RFC 8599): before a call goes to a contact with the parameters of a push service, and before its
//! registration ends, a URL is told; then the phone registers anew, and the call goes to it.
//!
//! ```text
//!   a call for the contact          the URL says no, or nothing; the phone does not come in time
//!        |                      +----------------------------------------------------------------> refused
//!        v       the URL says yes   |
//!     Asked ----------------------> Waking ---- its REGISTER has been taken ---------------------> answered
//!        +------------------------------------- (it may be faster than the URL) ----------------->
//! ```
//!
//! Whoever asks is answered as by the store: with the bindings of the phone, or that there are none.

use crate::config::{HttpUrl, Push};
use crate::cx::Cx;
use crate::effect::{Aor, Binding, Hook, Output, Post, Reply};
use crate::id::{Owner, Ticket};
use crate::limits;
use crate::sip::uri::{Uri, unescape};
use crate::time::{Deadlines, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

/// How a phone is woken, by the parameters of its contact (RFC 8599 8.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prid {
    /// `pn-provider`: the service.
    pub provider: Box<str>,
    /// `pn-prid`: the phone, as the service knows it.
    pub prid: Box<str>,
    /// `pn-param`: what the service wants to know besides.
    pub param: Option<Box<str>>,
}

impl Prid {
    /// From a contact; none for a phone that does not ask for it.
    pub fn of(uri: &Uri) -> Option<Prid> {
        let text = |name: &str| uri.params.value(name).map(|value| unescape(value).into());
        Some(Prid {
            prid: text("pn-prid")?,
            provider: text("pn-provider")?,
            param: text("pn-param"),
        })
    }

    /// The same, where the configured service knows the phone's.
    pub fn served(push: Option<&Push>, uri: &Uri) -> Option<Prid> {
        Prid::of(uri).filter(|prid| push.is_some_and(|push| serves(push, &prid.provider)))
    }
}

/// True for a push service that the configuration names.
pub fn serves(push: &Push, provider: &str) -> bool {
    push.providers.iter().any(|known| known.eq_ignore_ascii_case(provider))
}

/// True for a binding that has to be woken before it ends.
pub fn sleeps(binding: &Binding) -> bool {
    binding.contact.contains("pn-prid") && Uri::parse(&binding.contact).is_ok_and(|uri| Prid::of(&uri).is_some())
}

/// A phone that a call waits for.
#[derive(Clone, Debug)]
pub struct Asleep {
    /// Whose.
    pub aor: Aor,
    /// Its binding: refreshed when it has woken.
    pub binding: Binding,
    /// How it is woken.
    pub prid: Prid,
    /// The Call-ID of the call.
    pub call_id: String,
}

/// All reasons to be woken ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A call has waited long enough.
    Wait(u64),
    /// Registrations of a user end soon.
    Refresh(u64),
}

/// Who waits for what.
#[derive(Debug)]
struct Waiting {
    owner: Owner,
    asleep: Asleep,
}

/// The registrations of one user that phones refresh only when they are woken (RFC 8599 5.5).
#[derive(Debug)]
struct Refreshing {
    aor: Aor,
    bindings: Vec<Binding>,
}

/// All phones that are being woken.
#[derive(Debug, Default)]
pub struct Waker {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
    by_aor: BTreeMap<Aor, BTreeSet<u64>>,
    refreshing: BTreeMap<u64, Refreshing>,
    refreshed_by: BTreeMap<Aor, u64>,
    timers: Deadlines<Timer>,
    ready: VecDeque<(Owner, Reply)>,
}

impl Waker {
    /// Wakes a phone; `owner` is answered by `poll`. Several calls for one phone wake it once.
    pub fn wake(&mut self, cx: &mut Cx<'_>, owner: Owner, asleep: Asleep) {
        let Some(push) = cx.config.push.clone().filter(|_| self.waiting.len() < limits::WAKING) else {
            return self.ready.push_back((owner, Reply::Failed));
        };
        self.last += 1;
        let number = self.last;
        let is_asked = self.of_phone(&asleep.aor, &asleep.prid).next().is_some();
        if !is_asked {
            let call = Some(asleep.call_id.as_str());
            post(cx, &push, Owner::Wake(number), &asleep.aor, &asleep.prid, call);
        }
        self.timers.set(Timer::Wait(number), cx.now + push.wait);
        self.by_aor.entry(asleep.aor.clone()).or_default().insert(number);
        self.waiting.insert(number, Waiting { owner, asleep });
    }

    /// Those that wait for a phone.
    fn of_phone<'w>(&'w self, aor: &Aor, prid: &'w Prid) -> impl Iterator<Item = u64> + use<'w> {
        let numbers = self.by_aor.get(aor).into_iter().flatten().copied();
        numbers.filter(move |number| {
            let waiting = self.waiting.get(number);
            waiting.is_some_and(|waiting| waiting.asleep.prid == *prid)
        })
    }

    /// What the URL said: no, and all that wait for this phone are refused.
    pub fn posted(&mut self, number: u64, taken: bool) {
        let Some(waiting) = self.waiting.get(&number).filter(|_| !taken) else {
            return;
        };
        let (aor, prid) = (waiting.asleep.aor.clone(), waiting.asleep.prid.clone());
        for number in self.of_phone(&aor, &prid).collect::<Vec<_>>() {
            self.finish(number, Reply::Failed);
        }
    }

    /// A REGISTER was taken: its user's bindings are these.
    pub fn registered(&mut self, cx: &Cx<'_>, aor: &Aor, bindings: &[Binding]) {
        self.watch(cx, aor, bindings);
        let waiting = self.by_aor.get(aor).into_iter().flatten().copied();
        for number in waiting.collect::<Vec<_>>() {
            let Some(waiting) = self.waiting.get(&number) else {
                continue;
            };
            let of_phone = |binding: &&Binding| waiting.asleep.is_of(binding);
            let is_new = |binding: &Binding| {
                let old = &waiting.asleep.binding;
                (&old.call_id, old.cseq) != (&binding.call_id, binding.cseq)
            };
            // The flow that was refreshed comes first.
            let (new, old): (Vec<Binding>, Vec<Binding>) =
                bindings.iter().rev().filter(of_phone).cloned().partition(is_new);
            if !new.is_empty() {
                let bindings = [new, old].concat().into();
                self.finish(number, Reply::Bindings { version: 0, bindings });
            }
        }
    }

    /// Looks after the bindings of a user that have to be woken before they end.
    pub fn watch(&mut self, cx: &Cx<'_>, aor: &Aor, bindings: &[Binding]) {
        let push = cx.config.push.as_ref();
        let sleeping: Vec<Binding> = bindings
            .iter()
            .filter(|binding| push.is_some() && sleeps(binding))
            .cloned()
            .collect();
        if sleeping.is_empty() {
            return self.unwatch(aor);
        }
        let id = match self.refreshed_by.get(aor) {
            Some(id) => *id,
            None => {
                self.last += 1;
                self.refreshed_by.insert(aor.clone(), self.last);
                self.last
            }
        };
        let refreshing = Refreshing {
            aor: aor.clone(),
            bindings: sleeping,
        };
        self.refreshing.insert(id, refreshing);
        self.set_refresh(cx, id);
    }

    fn unwatch(&mut self, aor: &Aor) {
        if let Some(id) = self.refreshed_by.remove(aor) {
            self.refreshing.remove(&id);
            self.timers.cancel(Timer::Refresh(id));
        }
    }

    fn set_refresh(&mut self, cx: &Cx<'_>, id: u64) {
        let bindings = self.refreshing.get(&id).map(|refreshing| &refreshing.bindings);
        if let Some(first) = bindings.into_iter().flatten().map(|binding| binding.expires).min() {
            let left = first.since(cx.wall).saturating_sub(limits::PUSH_BEFORE);
            self.timers.set(Timer::Refresh(id), cx.now + left);
        }
    }

    /// Registrations end soon: their phones are woken, and forgotten until they come.
    fn refresh(&mut self, cx: &mut Cx<'_>, id: u64) {
        let Some(refreshing) = self.refreshing.get_mut(&id) else {
            return;
        };
        let soon = cx.wall + limits::PUSH_BEFORE;
        let (due, later): (Vec<Binding>, Vec<Binding>) = refreshing
            .bindings
            .drain(..)
            .partition(|binding| binding.expires <= soon);
        refreshing.bindings = later;
        let aor = refreshing.aor.clone();
        let (push, wall) = (cx.config.push.clone(), cx.wall);
        for binding in due.iter().filter(|binding| binding.expires > wall) {
            let prid = Uri::parse(&binding.contact).ok();
            let prid = prid.and_then(|uri| Prid::served(push.as_ref(), &uri));
            if let (Some(prid), Some(push)) = (prid, &push) {
                post(cx, push, Owner::Wake(0), &aor, &prid, None);
            }
        }
        match self.refreshing.get(&id).is_some_and(|left| left.bindings.is_empty()) {
            true => self.unwatch(&aor),
            false => self.set_refresh(cx, id),
        }
    }

    fn finish(&mut self, number: u64, reply: Reply) {
        let Some(waiting) = self.waiting.remove(&number) else {
            return;
        };
        self.timers.cancel(Timer::Wait(number));
        if let Some(numbers) = self.by_aor.get_mut(&waiting.asleep.aor) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_aor.remove(&waiting.asleep.aor);
            }
        }
        self.ready.push_back((waiting.owner, reply));
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>) {
        while let Some(timer) = self.timers.pop_due(cx.now) {
            match timer {
                Timer::Wait(number) => self.finish(number, Reply::Failed),
                Timer::Refresh(id) => self.refresh(cx, id),
            }
        }
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next().map(|(at, _)| at)
    }

    /// The next answer, and whose it is.
    pub fn poll(&mut self) -> Option<(Owner, Reply)> {
        self.ready.pop_front()
    }

    /// Calls that wait for a phone.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Asleep {
    /// True for a binding of the same phone: the same device, or else the same name at the push service (RFC 8599 5.3).
    fn is_of(&self, binding: &Binding) -> bool {
        if self.binding.instance.is_some() {
            return self.binding.instance == binding.instance;
        }
        let prid = Uri::parse(&binding.contact).ok().and_then(|uri| Prid::of(&uri));
        prid.as_ref() == Some(&self.prid)
    }
}

fn post(cx: &mut Cx<'_>, push: &Push, owner: Owner, aor: &Aor, prid: &Prid, call: Option<&str>) -> Ticket {
    let body = body(aor, prid, call);
    let url: HttpUrl = push.url.clone();
    let token = push.token.clone();
    let ticket = cx.ticket(owner, limits::POST);
    cx.emit(Output::Post(
        ticket,
        Box::new(Post {
            hook: Hook::Phones,
            url,
            token,
            body: body.into(),
        }),
    ));
    ticket
}

/// The JSON object that the URL is told.
fn body(aor: &Aor, prid: &Prid, call: Option<&str>) -> String {
    let reason = if call.is_some() { "call" } else { "refresh" };
    let aor = format!("sip:{aor}");
    let fields = [
        ("reason", Some(reason)),
        ("aor", Some(aor.as_str())),
        ("pn-provider", Some(&*prid.provider)),
        ("pn-prid", Some(&*prid.prid)),
        ("pn-param", prid.param.as_deref()),
        ("call-id", call),
    ];
    let mut text = String::from("{");
    for (name, value) in fields {
        let Some(value) = value else { continue };
        let comma = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{comma}\"{name}\":\"");
        for c in value.chars() {
            match c {
                '"' | '\\' => text.extend(['\\', c]),
                '\0'..='\x1f' => {
                    let _ = write!(text, "\\u{:04x}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_is_told() {
        let prid = Prid {
            provider: "apns".into(),
            prid: "a\"b\\c\n\u{fc}".into(),
            param: None,
        };
        let aor = Aor("alice@example.com".into());
        assert_eq!(
            body(&aor, &prid, Some("c@h")),
            "{\"reason\":\"call\",\"aor\":\"sip:alice@example.com\",\"pn-provider\":\"apns\",\
             \"pn-prid\":\"a\\\"b\\\\c\\u000a\u{fc}\",\"call-id\":\"c@h\"}"
        );
        let prid = Prid {
            param: Some("x".into()),
            ..prid
        };
        let told = body(&aor, &prid, None);
        assert!(
            told.starts_with("{\"reason\":\"refresh\"") && told.ends_with("\"pn-param\":\"x\"}"),
            "{told}"
        );
    }

    #[test]
    fn the_parameters_of_a_contact() {
        let of = |text: &str| Prid::of(&Uri::parse(text).unwrap());
        let found = of("sip:a@h;PN-Provider=fcm;pn-prid=x%26y;pn-param=p").unwrap();
        assert_eq!(
            (&*found.provider, &*found.prid, found.param.as_deref()),
            ("fcm", "x&y", Some("p"))
        );
        for none in [
            "sip:a@h",
            "sip:a@h;pn-provider=fcm",
            "sip:a@h;pn-prid=x",
            "sip:a@h;pn-prid;pn-provider",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
