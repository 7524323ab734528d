//! Our own registration with a carrier (RFC 3261 10.2).
//!
//! ```text
//!            begin          Reached            401/407: once, or stale
//!   Waiting --------> Reaching -------> Asked ---------------+
//!     ^  ^               |               | ^-----------------+
//!     |  |   no peer is  |               | 200
//!     |  +--- left ------+---------------+-------> Registered --(before expiry)--> Reaching
//!     |      403, 5xx, 6xx, timeout on every peer       |
//!     +------ back-off ---------------------------------+ the flow broke
//! ```

use super::{Outcome, REGISTER, Timer, Trunks, outside_dialog, owner};
use crate::config::TrunkRegister;
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::{ClientTx, Flow};
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
    pub(super) fn flow(&self) -> Option<Flow> {
        self.flow
    }
}

/// What a response asks for.
enum Verdict {
    Registered(Duration),
    Again,
    NextPeer(String),
    GiveUp { why: String, wait: Option<Duration> },
}

impl Trunks {
    pub(super) fn configure_registration(
        &mut self,
        cx: &mut Cx<'_>,
        slot: u16,
        wanted: Option<&TrunkRegister>,
        peers_changed: bool,
    ) {
        let Some(state) = self.slots.get_mut(&slot) else { return };
        let same = state.registration.as_ref().map(|r| &r.credentials) == wanted;
        if same && !peers_changed {
            return;
        }
        self.deadlines.cancel(Timer::Register(slot));
        state.registration = wanted.map(|credentials| Registration {
            credentials: credentials.clone(),
            phase: Phase::Waiting,
            peer: 0,
            flow: None,
            call_id: cx.token(16),
            cseq: 0,
            expires: credentials.expires,
            rounds: 0,
            failures: 0,
            challenge: None,
            nonce_count: 0,
            up: false,
        });
        if wanted.is_some() {
            self.deadlines.set(Timer::Register(slot), cx.now);
        }
    }

    pub(super) fn begin_registration(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: u16) {
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        registration.rounds = 0;
        if registration.phase != Phase::Registered {
            registration.peer = 0;
        }
        registration.phase = Phase::Reaching;
        let Some(uri) = peers.get(usize::from(registration.peer)) else {
            return;
        };
        layer.reach(cx, owner(slot, REGISTER), Destination::Uri(uri.clone()));
    }

    pub(super) fn registration_lost(&mut self, cx: &mut Cx<'_>, slot: u16) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        registration.flow = None;
        registration.phase = Phase::Waiting;
        let soon = cx.now + Duration::from_millis(500 + cx.random() % 2000);
        self.deadlines.set(Timer::Register(slot), soon);
        self.registration_state(cx, slot, false, "the connection that it was made over has closed");
    }

    pub(super) fn registration_event(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: u16, event: Event) {
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        match event {
            Event::Reached { flow, .. } if registration.phase == Phase::Reaching => {
                let Some(peer) = peers.get(usize::from(registration.peer)).cloned() else {
                    return;
                };
                let place = registration.peer;
                let draft = request(cx, registration, &peer, flow, registration.expires);
                let tx = layer.request(cx, owner(slot, REGISTER), flow, draft);
                registration.phase = Phase::Asked { tx, flow };
                let name = self.slots[&slot].name.clone();
                self.learn(&name, place, flow);
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
            Event::Failed { tx, .. } => {
                let Phase::Asked { tx: ours, .. } = registration.phase else {
                    return;
                };
                if tx == ours {
                    self.next_peer(cx, layer, slot, "no answer to REGISTER".into());
                }
            }
            Event::Unreachable { .. } if registration.phase == Phase::Reaching => {
                self.next_peer(cx, layer, slot, "its address cannot be reached".into());
            }
            Event::Reached { .. } | Event::Unreachable { .. } => {}
            Event::Request { .. } | Event::Cancelled { .. } | Event::Ack { .. } | Event::ServerGone { .. } => {}
        }
    }

    fn registration_verdict(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: u16, flow: Flow, verdict: Verdict) {
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        match verdict {
            Verdict::Registered(expires) => {
                registration.phase = Phase::Registered;
                registration.flow = Some(flow);
                registration.failures = 0;
                let place = registration.peer;
                // Well before expiry: a fifth of it stays for a failover to the other peers.
                self.deadlines.set(
                    Timer::Register(slot),
                    cx.now + expires.max(Duration::from_secs(5)) * 4 / 5,
                );
                self.judge(cx, slot, place, Outcome::Alive, "REGISTER");
                self.registration_state(cx, slot, true, &format!("registered for {} s", expires.as_secs()));
            }
            Verdict::Again => {
                let Some(peer) = peers.get(usize::from(registration.peer)).cloned() else {
                    return;
                };
                let draft = request(cx, registration, &peer, flow, registration.expires);
                let tx = layer.request(cx, owner(slot, REGISTER), flow, draft);
                registration.phase = Phase::Asked { tx, flow };
            }
            Verdict::NextPeer(why) => self.next_peer(cx, layer, slot, why),
            Verdict::GiveUp { why, wait } => self.back_off(cx, slot, why, wait),
        }
    }

    fn next_peer(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: u16, why: String) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        let place = registration.peer;
        self.judge(cx, slot, place, Outcome::Dead, "REGISTER");
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        registration.peer += 1;
        registration.rounds = 0;
        registration.challenge = None;
        let Some(uri) = peers.get(usize::from(registration.peer)) else {
            return self.back_off(cx, slot, why, None);
        };
        registration.phase = Phase::Reaching;
        layer.reach(cx, owner(slot, REGISTER), Destination::Uri(uri.clone()));
    }

    fn back_off(&mut self, cx: &mut Cx<'_>, slot: u16, why: String, wait: Option<Duration>) {
        let Some((registration, _)) = self.registration(slot) else {
            return;
        };
        registration.phase = Phase::Waiting;
        registration.flow = None;
        registration.challenge = None;
        registration.failures = (registration.failures + 1).min(16);
        let grown = (BACK_OFF * 2u32.pow(registration.failures.min(8) - 1)).min(BACK_OFF_MOST);
        let wait = wait.unwrap_or(grown).max(grown);
        let spread = Duration::from_millis(cx.random() % 5000);
        self.deadlines.set(Timer::Register(slot), cx.now + wait + spread);
        let why = format!("{why}; the next attempt is in {} s", wait.as_secs());
        self.registration_state(cx, slot, false, &why);
    }

    /// Tells a change of state, and each failure anew.
    fn registration_state(&mut self, cx: &mut Cx<'_>, slot: u16, up: bool, why: &str) {
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

    pub(super) fn end_registration(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: u16) {
        self.deadlines.cancel(Timer::Register(slot));
        layer.forget(owner(slot, REGISTER));
        let Some((registration, peers)) = self.registration(slot) else {
            return;
        };
        if let (Some(flow), Some(peer)) = (registration.flow, peers.get(usize::from(registration.peer)).cloned()) {
            let draft = request(cx, registration, &peer, flow, Duration::ZERO);
            layer.request(cx, owner(slot, REGISTER), flow, draft);
        }
        if let Some(state) = self.slots.get_mut(&slot) {
            state.registration = None;
        }
    }

    fn registration(&mut self, slot: u16) -> Option<(&mut Registration, Vec<Uri>)> {
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
        401 | 407 => challenged(registration, response, said),
        423 => match response.number(Name::MinExpires) {
            Some(Ok(seconds)) if Duration::from_secs(seconds.into()) > registration.expires => {
                registration.expires = Duration::from_secs(seconds.into());
                Verdict::Again
            }
            Some(_) | None => Verdict::GiveUp { why: said, wait: None },
        },
        408 | 500 | 502..=504 => Verdict::NextPeer(said),
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

fn challenged(registration: &mut Registration, response: &Message, said: String) -> Verdict {
    let own = registration.credentials.realm.clone();
    let expected = |realm: &str| own.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(realm));
    let offered = auth::challenges(response);
    let Some((name, challenge)) = offered.iter().find(|(_, c)| expected(&c.realm)).cloned() else {
        let realms: Vec<&str> = offered.iter().map(|(_, c)| c.realm.as_str()).collect();
        let why = format!(
            "{said} for realm {:?}, but `register.realm` is {own:?}",
            realms.join(", ")
        );
        return Verdict::GiveUp { why, wait: None };
    };
    let refused = registration.challenge.as_ref().is_some_and(|_| registration.rounds > 1) && !challenge.stale;
    if refused {
        let why = format!("{said}: it does not take this user name and password");
        return Verdict::GiveUp {
            why,
            wait: Some(BACK_OFF_FORBIDDEN),
        };
    }
    registration.nonce_count = 0;
    registration.challenge = Some((name, challenge));
    Verdict::Again
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

fn request(cx: &mut Cx<'_>, registration: &mut Registration, peer: &Uri, flow: Flow, expires: Duration) -> Draft {
    let credentials = registration.credentials.clone();
    let domain = match &credentials.realm {
        Some(realm) if !realm.contains(|c: char| c.is_whitespace() || c == '@') => {
            Host::Name(realm.to_lowercase().into())
        }
        Some(_) | None => peer.host.clone(),
    };
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
