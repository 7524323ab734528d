//! A relayed address is asked for (RFC 8656 7.2). Its ports are opened by the shell, one after the other.
//!
//! ```text
//!   Allocate --> checked --> Open --> opened --> ... --> answered
//!                             ^         | not: somebody else has it
//!                             '-- another port
//! ```

use super::allocation::Allocation;
use super::bind::family;
use super::credentials::Who;
use super::fact::Fact;
use super::request::Back;
use super::{Output, Relay, RelayId, Reserved, Server, Timer};
use crate::limits;
use crate::stun::message::{ErrorCode, Message, Writer, kind};
use crate::time::{Clock, Instant};
use rand_chacha::rand_core::RngCore;
use std::net::SocketAddr;
use std::time::Duration;

/// REQUESTED-TRANSPORT of datagrams (RFC 8656 18.8).
const UDP: u8 = 17;
/// And of connections (RFC 6062 4.1).
const TCP: u8 = 6;
/// The bit of EVEN-PORT that asks for the port behind it, too (RFC 8656 18.6).
const RESERVE: u8 = 0x80;

/// A port that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Any.
    Any { v6: bool },
    /// An even one.
    Even { v6: bool },
    /// An even one, behind which one is free.
    First { v6: bool },
    /// The one behind it, which is reserved.
    Second { v6: bool },
}

impl Want {
    fn v6(self) -> bool {
        match self {
            Want::Any { v6 } | Want::Even { v6 } | Want::First { v6 } | Want::Second { v6 } => v6,
        }
    }
}

/// An allocation whose ports are being opened.
#[derive(Debug)]
pub(super) struct Pending {
    back: Back,
    who: Who,
    lifetime: Duration,
    tcp: bool,
    wants: Vec<Want>,
    opened: Vec<RelayId>,
    /// Families that cannot be had, where others can (ADDRESS-ERROR-CODE).
    missing: Vec<(bool, ErrorCode)>,
    tries: u32,
}

/// What an Allocate request asks for.
enum Asked {
    Ports(Vec<Want>, Vec<(bool, ErrorCode)>),
    /// The one that was reserved.
    Reserved(u64),
}

/// Neither EVEN-PORT nor RESERVATION-TOKEN, which are for RTP by datagrams (RFC 6062 5.1).
fn has_no_pairs(message: &Message<'_>) -> bool {
    let kinds = [kind::EVEN_PORT, kind::RESERVATION_TOKEN];
    kinds.iter().all(|kind| message.covers(*kind).is_none())
}

impl Server {
    /// The answer, or nothing yet.
    pub(super) fn allocate(
        &mut self,
        at: Clock,
        message: &Message<'_>,
        back: &Back,
        who: &Who,
    ) -> Result<Option<Writer>, ErrorCode> {
        if let Some(known) = self.by_client.get(&back.client.tuple()) {
            // It comes again where its answer was lost.
            let allocation = &self.allocations[*known as usize];
            let again = allocation.transaction == back.transaction && *allocation.user == *who.user;
            return match again {
                true => Ok(Some(self.allocated(at.now, allocation, back))),
                false => Err(ErrorCode::ALLOCATION_MISMATCH),
            };
        }
        let tcp = match message.covers(kind::REQUESTED_TRANSPORT) {
            Some([UDP, _, _, _]) => false,
            Some([TCP, _, _, _]) if self.turn.tcp_peers => match back.client.is_stream() && has_no_pairs(message) {
                true => true,
                false => return Err(ErrorCode::BAD_REQUEST),
            },
            Some([_, _, _, _]) => return Err(ErrorCode::UNSUPPORTED_TRANSPORT),
            Some(_) | None => return Err(ErrorCode::BAD_REQUEST),
        };
        let asked = self.asked_for(message)?;
        // RFC 8656 has no end before the beginning: a lifetime of zero is the default.
        let lifetime = self.lifetime(message)?.unwrap_or(Duration::from_secs(600));
        self.has_room(who.account(), &asked)?;
        let mut pending = Box::new(Pending {
            back: back.clone(),
            who: who.clone(),
            lifetime,
            tcp,
            wants: Vec::new(),
            opened: Vec::new(),
            missing: Vec::new(),
            tries: 0,
        });
        match asked {
            Asked::Reserved(token) => {
                let held = self.reservations.remove(&token);
                let Reserved { relay, account } = held.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
                self.deadlines.cancel(Timer::Reservation(token));
                self.uncount(&account);
                let v6 = self.relays[relay.0 as usize].v6;
                pending.wants.push(Want::Any { v6 });
                pending.opened.push(relay);
            }
            Asked::Ports(wants, missing) => (pending.wants, pending.missing) = (wants, missing),
        }
        self.pending = Some(pending);
        self.open_next(at);
        Ok(None)
    }

    /// Whether this user and all together have less than they may. A port that is reserved is one of them, and not a second time when its
    /// client comes.
    fn has_room(&self, account: &str, asked: &Asked) -> Result<(), ErrorCode> {
        let (more, own_more) = match asked {
            Asked::Reserved(token) => {
                let held = self.reservations.get(token);
                (0, usize::from(held.is_none_or(|held| *held.account != *account)))
            }
            Asked::Ports(wants, _) => {
                let reserves = wants.iter().any(|want| matches!(want, Want::Second { .. }));
                let more = 1 + usize::from(reserves);
                (more, more)
            }
        };
        let own = self.by_user.get(account).map_or(0, |own| *own as usize);
        if own + own_more > self.turn.per_user {
            return Err(ErrorCode::QUOTA_REACHED);
        }
        let all = self.allocations.len() + self.reservations.len();
        if all + more > self.turn.allocations || self.pending.is_some() {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        Ok(())
    }

    /// The attributes of a request, checked in the order of RFC 8656 7.2.
    fn asked_for(&self, message: &Message<'_>) -> Result<Asked, ErrorCode> {
        let even = message.covers(kind::EVEN_PORT);
        let requested = message.covers(kind::REQUESTED_ADDRESS_FAMILY);
        let additional = message.covers(kind::ADDITIONAL_ADDRESS_FAMILY);
        if let Some(token) = message.covers(kind::RESERVATION_TOKEN) {
            let token = token.try_into().map(u64::from_be_bytes);
            let alone = even.is_none() && requested.is_none() && additional.is_none();
            return token
                .ok()
                .filter(|_| alone)
                .map(Asked::Reserved)
                .ok_or(ErrorCode::BAD_REQUEST);
        }
        if requested.is_some() && additional.is_some() {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let has = |v6: bool| self.turn.doors.addresses.iter().any(|ip| ip.is_ipv6() == v6);
        let v6 = requested.map(family).transpose()?.unwrap_or(false);
        let even = match even {
            Some([flags]) => Some(flags & RESERVE != 0),
            Some(_) => return Err(ErrorCode::BAD_REQUEST),
            None => None,
        };
        if let Some(additional) = additional {
            if even == Some(true) || !family(additional).is_ok_and(|v6| v6) {
                return Err(ErrorCode::BAD_REQUEST);
            }
            let (here, missing): (Vec<bool>, Vec<bool>) = [false, true].iter().partition(|v6| has(**v6));
            let wants = here.into_iter().map(|v6| match even {
                Some(_) => Want::Even { v6 },
                None => Want::Any { v6 },
            });
            let missing = missing.into_iter().map(|v6| (v6, ErrorCode::FAMILY_NOT_SUPPORTED));
            return Ok(Asked::Ports(wants.collect(), missing.collect()));
        }
        if !has(v6) {
            return Err(ErrorCode::FAMILY_NOT_SUPPORTED);
        }
        if even == Some(true) && self.reservations.len() >= limits::RELAY_RESERVATIONS {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        Ok(Asked::Ports(
            match even {
                None => vec![Want::Any { v6 }],
                Some(false) => vec![Want::Even { v6 }],
                Some(true) => vec![Want::First { v6 }, Want::Second { v6 }],
            },
            Vec::new(),
        ))
    }

    /// The shell has opened a port, or could not.
    pub fn opened(&mut self, at: Clock, relay: RelayId, open: bool) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        if open {
            pending.opened.push(relay);
            return self.open_next(at);
        }
        // It is somebody else's, who may give it back: another one is taken, and this one stays in the range.
        if let Some(gone) = self.relays.try_remove(relay.0 as usize) {
            self.ports[usize::from(gone.v6)].free(gone.port);
        }
        pending.tries += 1;
        let tried_enough = pending.tries >= limits::RELAY_PORT_TRIES;
        let first = match pending.wants[pending.opened.len()] {
            Want::Second { .. } => pending.opened.pop(),
            Want::Any { .. } | Want::Even { .. } | Want::First { .. } => None,
        };
        if let Some(first) = first {
            self.close(first);
        }
        match tried_enough {
            true => self.cannot(at),
            false => self.open_next(at),
        }
    }

    /// Asks for the next port, or ends the matter.
    fn open_next(&mut self, at: Clock) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        let Some(want) = pending.wants.get(pending.opened.len()).copied() else {
            return self.all_open(at);
        };
        let v6 = want.v6();
        let ports = &mut self.ports[usize::from(v6)];
        let random = self.rng.next_u64();
        let port = match want {
            Want::Any { .. } => ports.take(random, false, false),
            Want::Even { .. } => ports.take(random, true, false),
            Want::First { .. } => ports.take(random, true, true),
            Want::Second { .. } => {
                let first = pending.opened.last().map(|first| self.relays[first.0 as usize].port);
                first.map(|first| first + 1).filter(|port| ports.take_this(*port))
            }
        };
        let own = self.turn.doors.addresses.iter().find(|ip| ip.is_ipv6() == v6);
        let Some((port, ip)) = port.zip(own.copied()) else {
            return self.cannot(at);
        };
        let relay = Relay { port, v6, owner: None };
        let id = RelayId(self.relays.insert(relay) as u32);
        let address = SocketAddr::new(ip, port);
        self.outputs.push_back(match pending.tcp {
            true => Output::Listen(id, address),
            false => Output::Open(id, address),
        });
    }

    /// There is no port of the family that is wanted next.
    fn cannot(&mut self, at: Clock) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        let want = pending.wants.remove(pending.opened.len());
        pending.missing.push((want.v6(), ErrorCode::INSUFFICIENT_CAPACITY));
        pending.tries = 0;
        let is_pair = matches!(want, Want::First { .. } | Want::Second { .. });
        if is_pair {
            pending.wants.clear();
            for relay in std::mem::take(&mut pending.opened) {
                self.close(relay);
            }
        }
        self.open_next(at);
    }

    /// All is open that can be had.
    fn all_open(&mut self, at: Clock) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let Pending {
            back,
            who,
            lifetime,
            tcp,
            wants,
            opened,
            missing,
            ..
        } = *pending;
        if opened.is_empty() {
            let code = missing
                .first()
                .map_or(ErrorCode::INSUFFICIENT_CAPACITY, |(_, code)| *code);
            return self.refuse(&back, &who, code);
        }
        let account_at = who.account_at();
        let user: Box<str> = who.user.as_str().into();
        let mut allocation = Allocation::new(back.client, user, account_at as u16, back.transaction, at.now);
        (allocation.expires, allocation.tcp) = (at.now + lifetime, tcp);
        let place = self.allocations.vacant_key() as u32;
        for (want, relay) in wants.iter().zip(opened) {
            if let Want::Second { .. } = want {
                let token = self.rng.next_u64();
                allocation.token = Some(token);
                let account: Box<str> = allocation.account().into();
                self.count(&account);
                self.reservations.insert(token, Reserved { relay, account });
                self.deadlines
                    .set(Timer::Reservation(token), at.now + limits::RELAY_RESERVATION);
            } else {
                allocation.relays[usize::from(want.v6())] = Some(relay);
                self.relays[relay.0 as usize].owner = Some(place);
            }
        }
        let mut writer = self.allocated(at.now, &allocation, &back);
        for (v6, ErrorCode(code, phrase)) in missing {
            // RFC 8656 18.12.
            let head = [1 + u8::from(v6), 0, (code / 100) as u8, (code % 100) as u8];
            writer.attribute(kind::ADDRESS_ERROR_CODE, &[&head, phrase.as_bytes()].concat());
        }
        self.counters.begun += 1;
        self.outputs.push_back(Output::Fact(Fact::Began {
            user: allocation.user.clone(),
            client: back.client,
            relayed: self.relayed(&allocation),
        }));
        self.answer(&back, writer);
        self.deadlines.set(Timer::Allocation(place), allocation.expires);
        if let super::Client::Stream { id, .. } = back.client {
            self.deadlines.cancel(Timer::Stream(id));
        }
        self.count(allocation.account());
        self.by_client.insert(back.client.tuple(), place);
        self.allocations.insert(allocation);
    }

    /// Its relayed addresses as others see them, of IPv4 first.
    fn relayed(&self, allocation: &Allocation) -> Vec<SocketAddr> {
        let relays = allocation.relays.iter().flatten();
        let doors = &self.turn.doors;
        let told = relays.filter_map(|relay| {
            let Relay { port, v6, .. } = self.relays[relay.0 as usize];
            let ip = doors.external.iter().find(|ip| ip.is_ipv6() == v6)?;
            Some(SocketAddr::new(*ip, port))
        });
        told.collect()
    }

    /// RFC 8656 7.2: the success response.
    fn allocated(&self, now: Instant, allocation: &Allocation, back: &Back) -> Writer {
        let mut writer = back.success();
        for relayed in self.relayed(allocation) {
            writer.xor_address(kind::XOR_RELAYED_ADDRESS, relayed);
        }
        let seconds = allocation.expires.since(now).as_secs() as u32;
        writer.attribute(kind::LIFETIME, &seconds.to_be_bytes());
        if let Some(token) = allocation.token {
            writer.attribute(kind::RESERVATION_TOKEN, &token.to_be_bytes());
        }
        writer.xor_mapped_address(back.client.from());
        writer
    }
}
