//! Our own registration with a carrier (RFC 3261 10.2).
//!
//! ```text
//!            begin          Reached            401/407: once, or stale; 423
//!   Waiting --------> Reaching -------> Asked ---------------+
//!     ^  ^               |               | ^-----------------+
//!     |  |  every peer   |               | 200
//!     |  +-- was tried --+---------------+-------> Registered --(before expiry)--> Reaching
//!     |     403, 6xx, wrong password                    |
//!     +------ back-off ---------------------------------+ the flow broke
//! ```
//!
//! How one ends (stop, reload, the trunk is gone) is in `leave`.

use super::{Outcome, REGISTER, Timer, Trunks, leave, outside_dialog, owner};
use crate::config::TrunkRegister;
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::{ClientTx, Flow, TrunkSlot};
use crate::sip::{Draft, Host, Message, Method, Name, NameAddr, Uri, auth};
use crate::transaction::{Destination, Event, Layer};
use std::time::Duration;

/// The first back-off after every peer has failed; it doubles each time.
const BACK_OFF: Duration = Duration::from_secs(30);
/// The longest back-off.
const BACK_OFF_MOST: Duration = Duration::from_secs(1800);
/// A carrier that says 403 is not asked again sooner: it may lock the account.
const BACK_OFF_FORBIDDEN: Duration = Duration::from_secs(600);
/// Challenges and 423 in one attempt before it counts as failed.
const ROUNDS: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Waiting,
    Reaching,
    Asked { tx: ClientTx, flow: Flow },
    Registered,
}

/// One trunk's registration.
#[derive(Debug)]
pub(super) struct Registration {
    credentials: TrunkRegister,
    phase: Phase,
    /// The place of the peer that is asked.
    peer: u16,
    /// How many peers failed in this attempt.
    tried: usize,
    /// The flow of the last success, while it lasts.
    flow: Option<Flow>,
    call_id: String,
    cseq: u32,
    expires: Duration,
    rounds: u8,
    failures: u32,
    challenge: Option<(Name, auth::Challenge)>,
    nonce_count: u32,
    up: bool,
}

impl Registration {
    fn new(cx: &mut Cx<'_>, credentials: &TrunkRegister) -> Registration {
        Registration {
            credentials: credentials.clone(),
            phase: Phase::Waiting,
            peer: 0,
            tried: 0,
            flow: None,
            call_id: cx.token(16),
            cseq: 0,
            expires: credentials.expires,
            rounds: 0,
            failures: 0,
            challenge: None,
            nonce_count: 0,
            up: false,
        }
    }

    pub(super) fn flow(&self) -> Option<Flow> {
        self.flow
    }

    /// The peer that the registration is with or tries.
    pub(super) fn place(&self) -> u16 {
        self.peer
    }

    /// Takes a challenge over for the next request; `Err` says why it cannot be answered.
    pub(super) fn challenged(&mut self, response: &Message) -> Result<(), Refused> {
        challenged(self, response)
    }
}

/// Why a challenge is not answered.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not for the realm that we have a password for.
    Realm(String),
    /// It came again although only the password could have been wrong.
    Password,
}

/// What a response asks for.
enum Verdict {
    Registered(Duration),
    Again,
    NextPeer(Outcome, String),
    GiveUp { why: String, wait: Option<Duration> },
}

impl Trunks {
    /// Makes the registration what the configuration says. One that stays as it is, is not disturbed: `place` is where its
    /// peer is now, if it is still among the trunk's.
    pub(super) fn configure_registration(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        slot: TrunkSlot,
        wanted: Option<&TrunkRegister>,
        place: Option<u16>,
    ) {
        let Some(state) = self.slots.get_mut(&slot) else { return };
        match (&mut state.registration, place) {
            (None, _) if wanted.is_none() => return,
            (Some(own), Some(place)) => {
                own.peer = place;
                if Some(&own.credentials) == wanted {
                    return;
                }
            }
            (Some(_) | None, _) => {}
        }
        self.end_registration(cx, layer, slot);
        let Some(state) = self.slots.get_mut(&slot) else { return };
        state.registration = wanted.map(|credentials| Registration::new(cx, credentials));
        if wanted.is_some() {
            // The end of the old one must not take the new one's contact away: it comes first.
            let from = if state.leaving.is_some() {
                cx.now + leave::LIMIT
            } else {
                cx.now
            };
            self.deadlines.set(Timer::Register(slot), from);
        }
    }

    pub(super) fn begin_registration(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot) {
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        registration.rounds = 0;
        registration.tried = 0;
        if registration.phase != Phase::Registered {
            registration.peer = 0;
        }
        registration.phase = Phase::Reaching;
        let Some(uri) = peers.get(usize::from(registration.peer)) else {
            return;
        };
        layer.reach(cx, owner(slot, REGISTER), Destination::Uri(uri.clone()));
    }

    /// The flow of the last success broke. An attempt over another one goes on.
    pub(super) fn registration_lost(&mut self, cx: &mut Cx<'_>, slot: TrunkSlot, broken: Flow) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        registration.flow = None;
        match registration.phase {
            Phase::Reaching => return,
            Phase::Asked { flow, .. } if flow != broken => return,
            Phase::Asked { .. } | Phase::Registered | Phase::Waiting => registration.phase = Phase::Waiting,
        }
        let soon = cx.now + Duration::from_millis(500 + cx.random() % 2000);
        self.deadlines.set(Timer::Register(slot), soon);
        self.registration_state(cx, slot, false, "the connection that it was made over has closed");
    }

    pub(super) fn registration_event(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, event: Event) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        match event {
            Event::Reached { flow, .. } if registration.phase == Phase::Reaching => {
                let place = registration.peer;
                self.ask(cx, layer, slot, flow);
                self.learn_at(slot, place, flow);
            }
            Event::Response { tx, flow, response, .. } => {
                let Phase::Asked { tx: ours, .. } = registration.phase else {
                    return;
                };
                if tx == ours && response.status() >= 200 {
                    let verdict = judge_response(registration, &response);
                    self.registration_verdict(cx, layer, slot, flow, verdict);
                }
            }
            Event::Failed { tx, failure, .. } => {
                let Phase::Asked { tx: ours, .. } = registration.phase else {
                    return;
                };
                if tx == ours {
                    let outcome = Outcome::Gone(failure);
                    self.next_peer(cx, layer, slot, outcome, outcome.told("REGISTER"));
                }
            }
            Event::Unreachable { failure, .. } if registration.phase == Phase::Reaching => {
                let outcome = Outcome::Gone(failure);
                self.next_peer(cx, layer, slot, outcome, outcome.told("REGISTER"));
            }
            Event::Reached { .. } | Event::Unreachable { .. } => {}
            Event::Request { .. } | Event::Cancelled { .. } | Event::Ack { .. } | Event::ServerGone { .. } => {}
        }
    }

    fn registration_verdict(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        slot: TrunkSlot,
        flow: Flow,
        verdict: Verdict,
    ) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        match verdict {
            Verdict::Registered(expires) => {
                registration.phase = Phase::Registered;
                registration.flow = Some(flow);
                registration.failures = 0;
                let place = registration.peer;
                // Well before expiry: a fifth of it stays for a failover to the other peers.
                let refresh = expires.max(Duration::from_secs(5)) * 4 / 5;
                self.deadlines.set(Timer::Register(slot), cx.now + refresh);
                self.judge(cx, slot, place, Outcome::Alive, "REGISTER");
                self.registration_state(cx, slot, true, &format!("registered for {} s", expires.as_secs()));
            }
            Verdict::Again => self.ask(cx, layer, slot, flow),
            Verdict::NextPeer(outcome, why) => self.next_peer(cx, layer, slot, outcome, why),
            Verdict::GiveUp { why, wait } => self.back_off(cx, slot, why, wait),
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, flow: Flow) {
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        let Some(peer) = peers.get(usize::from(registration.peer)) else {
            return;
        };
        let draft = request(cx, registration, peer, flow, registration.expires);
        let tx = layer.request(cx, owner(slot, REGISTER), flow, draft);
        registration.phase = Phase::Asked { tx, flow };
    }

    /// The peers are tried in turn, from the one that served last; when all have failed there is a pause.
    fn next_peer(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, outcome: Outcome, why: String) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        let place = registration.peer;
        self.judge(cx, slot, place, outcome, "REGISTER");
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        registration.tried += 1;
        registration.rounds = 0;
        registration.challenge = None;
        if registration.tried >= peers.len() {
            return self.back_off(cx, slot, why, None);
        }
        let next = (usize::from(place) + 1) % peers.len();
        registration.peer = u16::try_from(next).unwrap_or(0);
        registration.phase = Phase::Reaching;
        layer.reach(cx, owner(slot, REGISTER), Destination::Uri(peers[next].clone()));
    }

    fn back_off(&mut self, cx: &mut Cx<'_>, slot: TrunkSlot, why: String, wait: Option<Duration>) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        registration.phase = Phase::Waiting;
        registration.flow = None;
        registration.challenge = None;
        registration.failures = (registration.failures + 1).min(16);
        let grown = (BACK_OFF * 2u32.pow(registration.failures.min(8) - 1)).min(BACK_OFF_MOST);
        let wait = wait.map_or(grown, |asked| asked.clamp(grown, BACK_OFF_MOST));
        let spread = Duration::from_millis(cx.random() % 5000);
        self.deadlines.set(Timer::Register(slot), cx.now + wait + spread);
        let why = format!("{why}; the next attempt is in {} s", wait.as_secs());
        self.registration_state(cx, slot, false, &why);
    }

    /// Tells a change of state, and each failure anew.
    fn registration_state(&mut self, cx: &mut Cx<'_>, slot: TrunkSlot, up: bool, why: &str) {
        let name = self.slots[&slot].name.clone();
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        if !up || registration.up != up {
            let why = format!("registration: {why}");
            cx.emit(Output::Record(Fact::TrunkState {
                trunk: name,
                peer: None,
                up,
                why,
            }));
        }
        registration.up = up;
    }

    fn registration(&mut self, slot: TrunkSlot) -> Option<(&mut Registration, Vec<Uri>)> {
        let state = self.slots.get_mut(&slot)?;
        let peers = state.peers.iter().map(|peer| peer.uri().clone()).collect();
        state.registration.as_mut().map(|registration| (registration, peers))
    }
}

fn judge_response(registration: &mut Registration, response: &Message) -> Verdict {
    registration.rounds += 1;
    let status = response.status();
    let said = format!("the carrier said {status} {}", response.reason());
    let retry_after = response
        .number(Name::RetryAfter)
        .and_then(Result::ok)
        .map(|s| Duration::from_secs(s.into()));
    match status {
        200..=299 => Verdict::Registered(granted(registration, response)),
        _ if registration.rounds >= ROUNDS => Verdict::GiveUp {
            why: said,
            wait: retry_after,
        },
        401 | 407 => match registration.challenged(response) {
            Ok(()) => Verdict::Again,
            Err(Refused::Realm(realms)) => Verdict::GiveUp {
                why: format!(
                    "{said} for realm {realms:?}, but `register.realm` is {:?}",
                    registration.credentials.realm.as_deref().unwrap_or_default()
                ),
                wait: None,
            },
            Err(Refused::Password) => Verdict::GiveUp {
                why: format!("{said}: it does not take this user name and password"),
                wait: Some(BACK_OFF_FORBIDDEN),
            },
        },
        423 => match response.number(Name::MinExpires) {
            Some(Ok(seconds)) if Duration::from_secs(seconds.into()) > registration.expires => {
                registration.expires = Duration::from_secs(seconds.into());
                Verdict::Again
            }
            Some(_) | None => Verdict::GiveUp { why: said, wait: None },
        },
        408 | 500 | 502..=504 => Verdict::NextPeer(Outcome::Dead(status), said),
        403 => Verdict::GiveUp {
            why: said,
            wait: Some(BACK_OFF_FORBIDDEN),
        },
        _ => Verdict::GiveUp {
            why: said,
            wait: retry_after,
        },
    }
}

fn challenged(registration: &mut Registration, response: &Message) -> Result<(), Refused> {
    let own = registration.credentials.realm.as_deref();
    let expected = |realm: &str| own.is_none_or(|own| own.eq_ignore_ascii_case(realm));
    let offered = auth::challenges(response);
    let Some((name, challenge)) = offered.iter().find(|(_, c)| expected(&c.realm)).cloned() else {
        let realms: Vec<&str> = offered.iter().map(|(_, c)| c.realm.as_str()).collect();
        return Err(Refused::Realm(realms.join(", ")));
    };
    if registration.challenge.is_some() && registration.rounds > 1 && !challenge.stale {
        return Err(Refused::Password);
    }
    registration.nonce_count = 0;
    registration.challenge = Some((name, challenge));
    Ok(())
}

/// What the carrier granted to our contact: carriers echo it with another host or port, so the user part decides.
fn granted(registration: &Registration, response: &Message) -> Duration {
    let ours = response.addresses(Name::Contact).unwrap_or_default().into_iter();
    let own = ours
        .filter(|contact| contact.uri.user.as_deref() == Some(&registration.credentials.username))
        .filter_map(|contact| {
            contact
                .params
                .value("expires")
                .and_then(|text| text.parse::<u32>().ok())
        })
        .max();
    let field = response.number(Name::Expires).and_then(Result::ok);
    own.or(field)
        .map_or(registration.expires, |seconds| Duration::from_secs(seconds.into()))
}

/// A REGISTER for our contact on `flow`; `expires` zero removes it (RFC 3261 10.2.2).
pub(super) fn request(
    cx: &mut Cx<'_>,
    registration: &mut Registration,
    peer: &Uri,
    flow: Flow,
    expires: Duration,
) -> Draft {
    let credentials = registration.credentials.clone();
    let domain = credentials.domain(peer);
    let target = Uri::sip(None, domain.clone(), None);
    let address = Uri::sip(Some(&credentials.username), domain, None);
    registration.cseq += 1;
    let call_id = registration.call_id.clone();
    let mut draft = outside_dialog(
        cx,
        Method::Register,
        target.clone(),
        &address,
        &address,
        &call_id,
        registration.cseq,
    );
    let us = cx.advertised(flow);
    let mut contact = Uri::sip(Some(&credentials.username), Host::from(us.ip()), Some(us.port()));
    contact.params.set("transport", Some(flow.transport.param()));
    draft.push(Name::Contact, NameAddr::new(contact));
    draft.push(Name::Expires, expires.as_secs());
    if let Some((name, challenge)) = &registration.challenge {
        registration.nonce_count += 1;
        let field = if *name == Name::ProxyAuthenticate {
            Name::ProxyAuthorization
        } else {
            Name::Authorization
        };
        let value = auth::answer(
            challenge,
            &credentials.username,
            &credentials.password,
            &Method::Register,
            &target.to_string(),
            &cx.token(8),
            registration.nonce_count,
        );
        draft.push(field, value);
    }
    draft
}
