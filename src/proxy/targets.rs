//! The targets of a request (RFC 3261 16.5): in order of preference, each once; a user's bindings, and where a redirection points.

use super::best::Final;
use super::branch::{Aim, Beyond, Branch, Stage, destination_of};
use super::context::{Context, State};
use super::{Timer, Told, Turn};
use crate::effect::{Aor, Binding, Op, Output, Reply, Which, devices};
use crate::id::Owner;
use crate::limits;
use crate::push::{Asleep, Prid};
use crate::sip::uri::Scheme;
use crate::sip::write::push_address;
use crate::sip::{Message, Name, NameAddr, Uri, UriText};
use smallvec::SmallVec;
use std::collections::VecDeque;

impl Context {
    /// One more target, behind those of the same preference; none twice. False where there are too many.
    pub fn aim_at(&mut self, q: u16, aim: Aim) -> bool {
        let name: Box<str> = match &aim {
            Aim::User(name, None) => ["user/", name].concat().into(),
            Aim::User(name, Some(device)) => format!("user/{name} {device:?}").into(),
            Aim::Target { uri, flow, .. } => {
                let mut text = uri.as_ref().unwrap_or(&self.prepared.uri).text();
                if let Some(flow) = flow {
                    text.push(' ');
                    push_address(&mut text, flow.peer);
                }
                text.into()
            }
        };
        if self.tried.contains(&name) {
            return true;
        }
        if self.tried.len() >= limits::PROXY_BRANCHES {
            return false;
        }
        self.tried.push(name);
        let at = self.waiting.iter().position(|(other, _)| *other < q);
        self.waiting.insert(at.unwrap_or(self.waiting.len()), (q, aim));
        true
    }

    /// All targets of the highest preference that is left, in parallel, as far as Max-Breadth reaches; the rest of them after these
    /// (RFC 5393 5.3.3).
    pub fn next_group(&mut self, t: &mut Turn<'_, '_>) {
        let Some((q, _)) = self.waiting.front() else { return };
        let q = *q;
        let same = self.waiting.iter().take_while(|(other, _)| *other == q).count();
        let width = same.min(usize::try_from(self.breadth).unwrap_or(usize::MAX));
        let group: SmallVec<[Aim; 4]> = self.waiting.drain(..width).map(|(_, aim)| aim).collect();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        let count = u32::try_from(group.len()).unwrap_or(u32::MAX).max(1);
        for (nth, aim) in (0u32..).zip(group) {
            let share = self.breadth / count + u32::from(nth < self.breadth % count);
            self.start(t, aim, share);
        }
        // The last ones ring as long as nobody else ends it.
        if self.waiting.is_empty() || !self.is_invite {
            t.desk.timers.cancel(Timer::Step(self.id));
        } else {
            self.set_step(t);
        }
    }

    /// Those who ring have a time of their own, since others wait.
    fn set_step(&self, t: &mut Turn<'_, '_>) {
        t.desk.timers.set(Timer::Step(self.id), t.cx.now + limits::SERIAL_RING);
    }

    pub(super) fn start(&mut self, t: &mut Turn<'_, '_>, aim: Aim, breadth: u32) {
        self.last_branch = self.last_branch.wrapping_add(1);
        let no = self.last_branch;
        let owner = self.owner(no);
        let stage = match &aim {
            Aim::User(name, _) => match t.cx.config.user(name) {
                Some(user) => {
                    let aor = Aor([&*user.name, "@", &*user.domain].concat().into());
                    let ticket = t.cx.ticket(owner, limits::STORE_REPLY);
                    t.cx.emit(Output::Store(ticket, Op::Bindings(aor)));
                    Stage::Asking
                }
                None => Stage::Over(Box::new(Final::Own(404))),
            },
            Aim::Target { .. } if self.wakes(t, owner, &aim) => Stage::Asking,
            Aim::Target { .. } => {
                t.layer.reach(t.cx, owner, destination_of(&self.prepared, &aim));
                Stage::Reaching
            }
        };
        self.branches.push(Branch {
            no,
            aim,
            stage,
            breadth,
            rest: Vec::new(),
            early: SmallVec::new(),
        });
    }

    /// The bindings of a user (16.5): each is a target.
    pub fn on_bindings(&mut self, t: &mut Turn<'_, '_>, no: u16, reply: Reply) {
        let Some(place) = self
            .place(no)
            .filter(|place| matches!(self.branches[*place].stage, Stage::Asking))
        else {
            return;
        };
        if let Aim::Target { .. } = self.branches[place].aim {
            return self.on_woken(t, place, reply);
        }
        let bindings = match reply {
            Reply::Bindings { bindings, .. } => bindings,
            Reply::Failed | Reply::Replaced { .. } | Reply::Conflict => {
                self.branches[place].stage = Stage::Over(Box::new(Final::Own(500)));
                return self.advance(t);
            }
        };
        let which = match &self.branches[place].aim {
            Aim::User(_, which) => which.as_ref(),
            Aim::Target { .. } => None,
        };
        let absent = which.map_or(480, |which| which.absent(&bindings));
        let devices = devices(&bindings, which, self.not);
        let secure = self.prepared.is_secure();
        let waited = self.waiting.len();
        for device in devices {
            let q = device[0].q;
            let asleep = self.asleep(t, &device);
            let mut aim = match aim_of(device, secure) {
                Ok(aim) => aim,
                Err(refused) => {
                    self.insecure |= refused;
                    continue;
                }
            };
            if let (Some(asleep), Aim::Target { beyond, .. }) = (asleep, &mut aim) {
                beyond.get_or_insert_default().asleep = Some(Box::new(asleep));
            }
            self.aim_at(q, aim);
        }
        let found = self.waiting.len() > waited;
        self.branches[place].stage = if found {
            Stage::Done
        } else {
            Stage::Over(Box::new(Final::Own(absent)))
        };
        self.advance(t);
    }

    /// The phone of a call sleeps, as its contact says, and there is somebody who wakes it.
    fn asleep(&self, t: &Turn<'_, '_>, device: &[Binding]) -> Option<(Binding, Prid)> {
        let push =
            t.cx.config
                .push
                .as_ref()
                .filter(|_| self.is_invite && !self.in_dialog)?;
        device.iter().find_map(|binding| {
            let uri = Uri::parse(&binding.contact).ok()?;
            Some((binding.clone(), Prid::served(Some(push), &uri)?))
        })
    }

    /// Asks for a phone that sleeps to be woken; false for one that does not.
    fn wakes(&self, t: &mut Turn<'_, '_>, owner: Owner, aim: &Aim) -> bool {
        let asleep = aim.beyond().and_then(|beyond| beyond.asleep.as_deref());
        let user = self.branches.iter().find_map(|branch| match &branch.aim {
            Aim::User(name, _) => t.cx.config.user(name),
            Aim::Target { .. } => None,
        });
        let (Some((binding, prid)), Some(user)) = (asleep, user) else {
            return false;
        };
        let asleep = Asleep {
            aor: Aor(format!("{}@{}", user.name, user.domain).into()),
            binding: binding.clone(),
            prid: prid.clone(),
            call_id: self.request.call_id().to_owned(),
        };
        t.desk.told.push_back(Told::Wake(owner, Box::new(asleep)));
        true
    }

    /// A phone has woken, or has not.
    fn on_woken(&mut self, t: &mut Turn<'_, '_>, place: usize, reply: Reply) {
        let aim = match reply {
            Reply::Bindings { bindings, .. } => aim_of(bindings.to_vec(), self.prepared.is_secure()).ok(),
            Reply::Failed | Reply::Replaced { .. } | Reply::Conflict => None,
        };
        let Some(aim) = aim else {
            self.branches[place].stage = Stage::Over(Box::new(Final::Own(480)));
            return self.advance(t);
        };
        let to = destination_of(&self.prepared, &aim);
        let branch = &mut self.branches[place];
        (branch.aim, branch.stage) = (aim, Stage::Reaching);
        let owner = self.owner(self.branches[place].no);
        t.layer.reach(t.cx, owner, to);
    }

    /// A redirection (16.5): its contacts are further targets. What is left of it without these, and without those that were targets
    /// already, is a response like others (16.7 step 4).
    pub fn recurse(&mut self, t: &mut Turn<'_, '_>, response: Message) -> Option<Message> {
        if self.state != State::Forking || self.recursions >= limits::PROXY_RECURSIONS || response.status() == 305 {
            return Some(response);
        }
        let contacts: Result<Vec<NameAddr>, _> = response
            .values(Name::Contact)
            .map(|value| NameAddr::parse(&value))
            .collect();
        let Ok(contacts) = contacts else {
            return Some(response);
        };
        // RFC 5630 5.3: a redirection from SIP to SIPS or back is for the caller to follow.
        let secure = self.prepared.is_secure();
        if contacts
            .iter()
            .any(|contact| (contact.uri.scheme == Scheme::Sips) != secure)
        {
            return Some(response);
        }
        self.recursions += 1;
        let alone = self.waiting.is_empty();
        let followed = |(nth, contact)| nth < limits::CONTACTS_PER_AOR && self.follow(t, contact);
        let kept: Vec<bool> = contacts.into_iter().enumerate().map(followed).map(|is| !is).collect();
        if alone && !self.waiting.is_empty() && self.is_invite {
            self.set_step(t);
        }
        match (kept.contains(&true), kept.contains(&false)) {
            (_, false) => Some(response),
            (true, true) => response.with_contacts(&kept),
            (false, true) => None,
        }
    }

    /// Makes a contact of a redirection a target, unless it was one. False where it is none of our business.
    fn follow(&mut self, t: &Turn<'_, '_>, contact: NameAddr) -> bool {
        let q = contact.params.value("q").and_then(thousandths).unwrap_or(1000);
        let mut uri = contact.uri;
        let which = Which::public(&uri);
        let text = uri.text();
        let is_us = UriText::parse(&text).is_ok_and(|uri| super::route::is_us(t.cx.config, self.flow, &uri));
        let user = is_us.then(|| uri.user_decoded()).flatten();
        uri.headers = None;
        uri.params.remove("method");
        match user {
            Some(name) => {
                let known = t.cx.config.user(&name).or_else(|| t.cx.config.user_by_number(&name));
                known.is_some_and(|user| self.aim_at(q, Aim::User(user.name.clone(), which)))
            }
            None if self.foreign && matches!(uri.scheme, Scheme::Sip | Scheme::Sips) => {
                self.aim_at(q, Aim::uri(Some(uri)))
            }
            None => false,
        }
    }
}

/// A contact is a target without what may not stand in a Request-URI (RFC 3261 19.1.1). Of several flows of a device it is the first
/// one that can be used. Where SIPS was called, only a phone that is registered with SIPS, by TLS, may ring (RFC 5630 5.3): the error
/// says whether that is the reason.
pub(super) fn aim_of(device: Vec<Binding>, secure: bool) -> Result<Aim, bool> {
    let mut insecure = false;
    let mut flows = device.into_iter();
    let found = flows.by_ref().find_map(|binding| {
        let uri = Uri::parse(&binding.contact).ok()?;
        if secure && !(uri.scheme == Scheme::Sips && binding.flow.transport.is_secure()) {
            insecure = true;
            return None;
        }
        let path = NameAddr::parse_list(binding.path().unwrap_or_default()).ok()?;
        Some((binding, uri, path))
    });
    let (binding, mut uri, path) = found.ok_or(insecure)?;
    uri.headers = None;
    uri.params.remove("method");
    let beyond = Beyond {
        path,
        outbound: binding.reg_id().is_some(),
        next: flows.collect(),
        ..Beyond::default()
    };
    Ok(Aim::Target {
        uri: Some(uri),
        flow: Some(binding.flow),
        beyond: (beyond != Beyond::default()).then(|| Box::new(beyond)),
    })
}

/// A `q` in thousandths (RFC 3261 25.1).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{part:0<3}");
    let part: u16 = digits.get(..3)?.parse().ok()?;
    let whole: u16 = whole.parse().ok()?;
    (whole <= 1).then(|| (whole * 1000 + part).min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_in_thousandths() {
        let all = ["1", "1.0", "0.5", "0", "0.123", "0.", "7", "x", "0.x", "0.1234"].map(thousandths);
        let expected = [
            Some(1000),
            Some(1000),
            Some(500),
            Some(0),
            Some(123),
            Some(0),
            None,
            None,
            None,
            Some(123),
        ];
        assert_eq!(all, expected);
    }
}
