//! The search for somebody who answers: the dial plan's decision, then all phones of a user at once, or a carrier's peers one
//! after another; then where the user wants the call to go when nobody did.
//!
//! ```text
//!             decide                 bindings              an answer
//!   Deciding ---------> Asking user ----------> Phones ------------------> won
//!      ^  |                  | none                | busy, no answer
//!      |  |                  v                     v
//!      |  |             on_offline         on_busy, on_no_answer
//!      |  |                  |                     |
//!      +--|------------------+---------------------+   (at most `limits::FORWARDS` times, else failed)
//!         |            an answer
//!         +--> Trunk ------------> won
//!                | the next peer (timeout, 503, no connection), then failed
//! ```

use super::call::{Call, Service, Stage};
use super::cause::{self, q850};
use super::desk::{CallTimer, Claim, Turn};
use super::identity::{Identity, written};
use super::leg::{Beyond, Leg, LegId, Outgoing, Progress, State, Who};
use super::outcome::Missed;
use crate::config::Config;
use crate::effect::{Aor, Binding, Blame, Cause, Fact, Op, Output, Reply, Which, devices};
use crate::id::{Flow, TrunkIx};
use crate::limits;
use crate::push::{Asleep, Prid};
use crate::routing::{Decision, Plan, Source};
use crate::sdp::{Direction, Image};
use crate::sip::uri::{Scheme, escaped};
use crate::sip::{NameAddr, Uri};
use crate::transaction::Destination;
use crate::trunk::Busy;
use codecs::Codec;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// Where the search is.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The dial plan decides.
    Deciding,
    /// The store is asked for a user's bindings.
    Asking(Arc<str>),
    /// A user's phones ring.
    Phones(Arc<str>),
    /// A carrier is called.
    Trunk {
        /// Which.
        trunk: TrunkIx,
        /// The number as it wants to see it.
        number: String,
        /// The peers that were not tried.
        peers: VecDeque<(u16, Uri)>,
    },
}

/// A header field of the caller that may reach the callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its name, as the configuration writes it.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The caller's own trunk lets it pass, to wherever; else the callee's trunk must.
    pub anywhere: bool,
}

/// A search.
#[derive(Debug)]
pub struct Hunt {
    /// The number under which the store is asked: a late reply to an older question finds another.
    pub no: LegId,
    /// By whose rights.
    pub source: Source,
    /// What is called, normalised.
    pub number: String,
    /// Who is shown to the callee.
    pub identity: Arc<Identity>,
    /// How often it was sent on.
    pub hops: u8,
    /// Where it is.
    pub step: Step,
    /// The best failure so far (RFC 3261 16.7 step 6).
    pub best: Option<Cause>,
    /// What it holds of a limit, for the one who answers.
    pub claim: Option<Claim>,
    /// What the other side speaks, in its order.
    pub codecs: Vec<Codec>,
    /// What it says of its fax; none: it is audio.
    pub image: Option<Image>,
    /// What the other side wishes.
    pub want: Direction,
    /// How many hops are left.
    pub max_forwards: u32,
    /// Header fields of the caller that a trunk's configuration lets pass.
    pub passed: Vec<Passed>,
    /// The caller's own phone, which does not ring when the caller is called: user and flow.
    pub not: Option<(Arc<str>, Flow)>,
    /// Somebody rings.
    pub rang: bool,
    /// One device of the user was called, by its GRUU (RFC 5627): nobody else is called in its place.
    pub which: Option<Which>,
    /// SIPS was called: only phones and peers that are reached by TLS, and that say so, may ring (RFC 5630 5).
    pub secure: bool,
}

impl Call {
    /// Does what the dial plan decided.
    pub fn follow(&mut self, t: &mut Turn<'_, '_>, mut decision: Decision) {
        let Some(hunt) = &mut self.hunt else { return };
        let leads_astray = !matches!(decision.plan, Plan::User(_) | Plan::Reject { .. });
        if hunt.which.is_some() && leads_astray {
            let why = "one device was called, and the dial plan leads elsewhere".to_owned();
            decision.plan = Plan::Reject { status: 404, why };
        }
        hunt.number = decision.number;
        hunt.step = Step::Deciding;
        let to = match &decision.plan {
            Plan::User(name) => format!("user/{name}"),
            Plan::Trunk { ix, .. } => format!("trunk/{}", self.config.trunks[usize::from(ix.0)].name),
            Plan::Echo => Service::Echo.name().to_owned(),
            Plan::Tone => Service::Tone.name().to_owned(),
            Plan::Room(number) => {
                let room = self.config.room_settings(number);
                format!("room/{}", room.map_or(&**number, |room| room.name_of(number)))
            }
            Plan::Reject { status, .. } => format!("reject/{status}"),
        };
        t.cx.emit(Output::Record(Fact::CallRouted {
            call: self.id,
            to,
            rule: decision.rule,
        }));
        if let Plan::Reject { status, why } = decision.plan {
            return self.hunt_failed(t, cause::cause(status, Blame::Node, why));
        }
        if let Some(cause) = self.fax_led_astray(&decision.plan) {
            return self.hunt_failed(t, cause);
        }
        if let Plan::Room(number) = &decision.plan {
            self.be_near_room(t, number);
        }
        if !self.caller_has_media(t) {
            return self.hunt_failed(t, cause::cause(503, Blame::Node, "no media port is free"));
        }
        match decision.plan {
            Plan::User(name) => self.try_user(t, name.into()),
            Plan::Trunk { ix, number } => self.try_trunk(t, ix, number),
            Plan::Echo => self.serve(t, Service::Echo),
            Plan::Tone => self.serve(t, Service::Tone),
            Plan::Room(number) => self.enter_room(t, &number),
            // Refused above.
            Plan::Reject { .. } => {}
        }
    }

    /// The caller's leg has a port, if there is one.
    pub fn caller_has_media(&mut self, t: &mut Turn<'_, '_>) -> bool {
        let Stage::Setup { caller } = self.stage else {
            return true;
        };
        let worker = self.worker;
        self.leg_mut(caller).is_some_and(|leg| leg.open_media(t, worker))
    }

    fn try_user(&mut self, t: &mut Turn<'_, '_>, name: Arc<str>) {
        let config = self.config.clone();
        let Some(user) = config.user(&name) else {
            return self.hunt_failed(t, cause::cause(404, Blame::Node, "the user is not configured"));
        };
        if t.desk.calls_of(&name) >= user.calls {
            let cause = cause::cause(
                486,
                Blame::Callee,
                format!("{name} is in as many calls as `calls` allows"),
            );
            return self.missed(t, &name, Missed::Busy, cause);
        }
        let no = self.new_leg_id();
        let Some(hunt) = &mut self.hunt else { return };
        hunt.claim = Some(t.desk.claim_user(name.clone()));
        hunt.no = no;
        hunt.step = Step::Asking(name);
        let aor = Aor([&user.name, "@", &user.domain].concat().into());
        let ticket = t.cx.ticket(no.owner(), limits::STORE_REPLY);
        t.cx.emit(Output::Store(ticket, Op::Bindings(aor)));
    }

    /// The store's answer.
    pub fn on_store(&mut self, t: &mut Turn<'_, '_>, no: LegId, reply: Reply) {
        let is_waking = |leg: &Leg| leg.outgoing().is_some_and(|out| out.progress == Progress::Waking);
        if self.leg(no).is_some_and(is_waking) {
            return self.on_woken(t, no, reply);
        }
        if self.on_whereabouts(t, no, &reply) {
            return;
        }
        let Some(hunt) = self.hunt.as_mut().filter(|hunt| hunt.no == no) else {
            return;
        };
        let Step::Asking(name) = &hunt.step else { return };
        let name = name.clone();
        t.desk.set_home(no, no.call);
        match reply {
            Reply::Bindings { bindings, .. } => {
                let places = t.desk.with_clients(&name, &bindings);
                self.ring(t, name, &places);
            }
            Reply::Failed | Reply::Replaced { .. } | Reply::Conflict => {
                self.release_hunt(t);
                self.hunt_failed(
                    t,
                    cause::cause(500, Blame::Node, "the store did not say where the user is"),
                );
            }
        }
    }

    /// All phones ring at once.
    fn ring(&mut self, t: &mut Turn<'_, '_>, name: Arc<str>, bindings: &[Binding]) {
        let config = self.config.clone();
        let Some(user) = config.user(&name) else {
            return;
        };
        let Some(hunt) = &mut self.hunt else { return };
        hunt.step = Step::Phones(name.clone());
        let which = hunt.which.as_ref();
        let absent = which.map_or(480, |which| which.absent(bindings));
        let own = hunt
            .not
            .as_ref()
            .filter(|(user, _)| *user == name)
            .map(|(_, flow)| *flow);
        let devices = devices(bindings, which, own);
        t.wake_call(self.id, CallTimer::Ring, user.ring);
        for device in devices {
            self.ring_device(t, &name, device, false);
        }
        if !self.has_branches() {
            let cause = cause::cause(absent, Blame::Callee, format!("{name} has no phone that is registered"));
            self.missed(t, &name, Missed::Offline, cause);
        }
    }

    /// One device rings: by the first of its flows that can be used. False where there is none.
    /// `awake`: it needs not be woken (again).
    pub fn ring_device(&mut self, t: &mut Turn<'_, '_>, name: &Arc<str>, device: Vec<Binding>, awake: bool) -> bool {
        let config = self.config.clone();
        let (Some(hunt), Some(user)) = (&self.hunt, config.user(name)) else {
            return false;
        };
        let to: Arc<str> = format!("<sip:{}@{}>", escaped(&hunt.number), written(&user.domain)).into();
        let secure = hunt.secure;
        let usable = |binding: Binding| {
            let mut target = Uri::parse(&binding.contact).ok()?;
            let path = NameAddr::parse_list(binding.path().unwrap_or_default()).ok()?;
            let is_sips = target.scheme == Scheme::Sips;
            if secure && !(is_sips && binding.flow.transport.is_secure()) {
                return None;
            }
            // RFC 5630 5.1.1.2: a phone that may be called by SIPS is called by SIP as well.
            if is_sips && !secure {
                target.scheme = Scheme::Sip;
            }
            Some((binding, target, path))
        };
        let push = config.push.as_ref();
        let asleep = push.and_then(|_| {
            device.iter().find_map(|binding| {
                let uri = Uri::parse(&binding.contact).ok()?;
                Some((binding.clone(), Prid::served(push, &uri)?))
            })
        });
        let mut flows = device.into_iter();
        let Some((binding, target, path)) = flows.by_ref().find_map(usable) else {
            return false;
        };
        let destination = match path.first() {
            Some(first) => Destination::Uri(first.uri.clone()),
            None => Destination::Flow(binding.flow),
        };
        let beyond = Beyond {
            path,
            pathless: false,
            outbound: binding.reg_id().is_some(),
            next: flows.collect(),
        };
        let (who, identity) = (Who::User(name.clone()), None);
        let Some((sleeping, prid)) = asleep.filter(|_| !awake) else {
            let way = (Some(destination), beyond);
            return self.branch(t, who, identity, binding.flow, target, to, way);
        };
        let aor = Aor([&user.name, "@", &user.domain].concat().into());
        let begun = self.branch(t, who, identity, binding.flow, target, to, (None, beyond));
        if let Some(leg) = self.legs.last().filter(|_| begun) {
            let asleep = Asleep {
                aor,
                binding: sleeping,
                prid,
                call_id: self.call_id_of_caller(),
            };
            t.net.waker.wake(t.cx, leg.id.owner(), asleep);
        }
        begun
    }

    /// The Call-ID by which a push service may tell its phone of the call: the caller's.
    fn call_id_of_caller(&self) -> String {
        let invite = self.legs.iter().find_map(|leg| leg.incoming());
        invite.map_or_else(|| self.id.to_string(), |incoming| incoming.invite.call_id().to_owned())
    }

    fn try_trunk(&mut self, t: &mut Turn<'_, '_>, trunk: TrunkIx, number: String) {
        let config = self.config.clone();
        let settings = &config.trunks[usize::from(trunk.0)];
        if let Err(busy) = t.net.trunks.reserve(t.cx, trunk) {
            return self.hunt_failed(t, no_room(self.caller_is_trunk(), busy, &settings.name));
        }
        let mut peers: VecDeque<(u16, Uri)> = t.net.trunks.peers(t.cx, trunk).into();
        let Some(hunt) = &mut self.hunt else { return };
        if hunt.secure {
            peers.retain(|(_, peer)| peer.scheme == Scheme::Sips);
        }
        hunt.claim = Some(Claim::Trunk(trunk));
        hunt.step = Step::Trunk { trunk, number, peers };
        t.wake_call(self.id, CallTimer::Ring, settings.ring);
        self.next_peer(t);
    }

    fn caller_is_trunk(&self) -> bool {
        matches!(self.hunt.as_ref().map(|hunt| &hunt.source), Some(Source::Trunk(_)))
    }

    /// The next of the carrier's peers.
    pub fn next_peer(&mut self, t: &mut Turn<'_, '_>) {
        let Some(hunt) = &mut self.hunt else { return };
        let Step::Trunk { trunk, number, peers } = &mut hunt.step else {
            return;
        };
        let (trunk, number, inside) = (*trunk, number.clone(), hunt.number.clone());
        let Some((place, peer)) = peers.pop_front() else {
            return self.step_failed(t);
        };
        let mut target = peer.clone();
        let user = escaped(&number);
        let to: Arc<str> = format!("<sip:{user}@{}>", peer.host).into();
        target.user = Some(user.into());
        let nowhere = super::leg::NOWHERE;
        let who = Who::Trunk(trunk, Some(place));
        if !self.branch(
            t,
            who,
            Some(Arc::new(Identity::of_number(&inside))),
            nowhere,
            target,
            to,
            (Some(Destination::Uri(peer)), Beyond::default()),
        ) {
            self.step_failed(t);
        }
    }

    /// One more leg that is called; without a destination it waits until its phone has woken. False when the call has as many legs as it may.
    pub fn branch(
        &mut self,
        t: &mut Turn<'_, '_>,
        who: Who,
        identity: Option<Arc<Identity>>,
        flow: Flow,
        target: Uri,
        to: Arc<str>,
        (destination, beyond): (Option<Destination>, Beyond),
    ) -> bool {
        // Those that were given up or have ended only wait for their last response.
        let counts = |leg: &&Leg| match leg.state {
            State::Incoming(_) | State::Outgoing(_) | State::Up => true,
            State::Cancelled(_) | State::Leaving | State::Gone => false,
        };
        let full = self.legs.iter().filter(counts).count() >= limits::LEGS_PER_CALL;
        if full || self.legs.len() >= limits::LEGS_PER_CALL_IN_ALL {
            return false;
        }
        let id = self.new_leg_id();
        let routed = !beyond.path.is_empty();
        let outgoing = Outgoing {
            progress: match destination {
                Some(_) => Progress::Reaching,
                None => Progress::Waking,
            },
            from: Box::default(),
            call_id: Box::default(),
            cseq: 0,
            credentials: Vec::new(),
            tx: None,
            target,
            to,
            rest: Vec::new(),
            beyond,
            early: Vec::new(),
            rang: false,
            bare_ring: false,
            reason: None,
        };
        let mut leg = Leg::new(
            id,
            who,
            identity,
            flow,
            State::Outgoing(Box::new(outgoing)),
            &self.config,
        );
        leg.caller_side = self.hunts_for_callee_side();
        leg.routed = routed;
        if let Stage::DialOut(_) = self.stage {
            leg.focus = self.room.as_ref().map(|room| room.number.clone());
        }
        self.legs.push(leg);
        if let Some(destination) = destination {
            t.net.layer.reach(t.cx, id.owner(), destination);
        }
        true
    }

    /// A transfer's target stands where the one stood who sent the call there.
    fn hunts_for_callee_side(&self) -> bool {
        let kept = self.transfer.as_ref().and_then(|transfer| self.leg(transfer.kept));
        kept.is_some_and(|kept| !kept.caller_side)
    }

    /// Somebody is called and has not failed yet.
    pub fn has_branches(&self) -> bool {
        self.legs.iter().any(|leg| matches!(leg.state, State::Outgoing(_)))
    }
}

/// A trunk takes no call: a carrier is told 503 so that it tries elsewhere, a phone 480, since it has nowhere else to go.
pub fn no_room(towards_trunk: bool, busy: Busy, trunk: &str) -> Cause {
    let text = match busy {
        Busy::Calls => format!("all calls that trunk {trunk} may have are up"),
        Busy::Rate => format!("trunk {trunk} takes no more calls in this second"),
        Busy::Draining => format!("trunk {trunk} is removed from the configuration"),
    };
    let status = if towards_trunk { 503 } else { 480 };
    cause::exact(status, q850::NO_CIRCUIT, Blame::Node, text)
}

/// The host of a URI is not needed where only its user part is looked at.
pub fn dialled(uri: &Uri) -> Option<String> {
    uri.user_decoded().filter(|user| !user.is_empty())
}

/// What is to be called by a URI that a peer names, if that is ours to reach: a number, or a name at a host of ours. Who is meant
/// at another host is none of our users, whatever the name.
pub fn reachable(uri: &Uri, config: &Config, own: IpAddr) -> Option<String> {
    dialled(uri).filter(|_| config.is_local(uri, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Host;

    #[test]
    fn a_full_trunk_is_503_for_a_carrier_and_480_for_a_phone() {
        assert_eq!(no_room(true, Busy::Calls, "acme").status, 503);
        let phone = no_room(false, Busy::Rate, "acme");
        assert_eq!((phone.status, phone.q850), (480, q850::NO_CIRCUIT));
        assert!(phone.text.contains("acme"));
    }

    #[test]
    fn the_called_number_is_the_user_part() {
        let uri = Uri::sip(Some("600"), Host::Name("example.com".into()), None);
        assert_eq!(dialled(&uri).as_deref(), Some("600"));
        assert_eq!(dialled(&Uri::sip(None, Host::Name("example.com".into()), None)), None);
    }
}
