//! The timers of the four state machines (RFC 3261 table 4), and what a machine asks of the layer.

use super::{Failure, client, client_invite, server, server_invite};
use crate::id::{ClientTx, ServerTx};
use crate::time::Instant;
use smallvec::SmallVec;
use std::time::Duration;

/// A timer of one transaction. A letter is that of RFC 3261 17 and RFC 6026.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// INVITE client: repeats the request.
    A,
    /// INVITE client: gives up.
    B,
    /// INVITE client: absorbs copies of a failure.
    D,
    /// Client: repeats the request.
    E,
    /// Client: gives up.
    F,
    /// INVITE server: repeats a failure.
    G,
    /// INVITE server: gives up on the ACK.
    H,
    /// INVITE server: absorbs copies of the ACK.
    I,
    /// Server: absorbs copies of the request.
    J,
    /// Client: absorbs copies of the response.
    K,
    /// INVITE server: absorbs copies of an INVITE that was accepted (RFC 6026).
    L,
    /// INVITE client: takes further 2xx (RFC 6026).
    M,
    /// INVITE client: CANCEL was sent and the INVITE has no answer (RFC 3261 9.1).
    Cancelled,
    /// INVITE server: sends 100 where the user is slow (RFC 3261 17.2.1), then the last response once a minute (13.3.1.1).
    Alive,
    /// Server: the user is slow and the client's repeats have become rare, so it is owed a 100 (RFC 4320 4.1).
    Slow,
    /// Server: the client has given up; no answer is of use any more (RFC 4320 4.2).
    Late,
}

/// Whose timer it is: what the layer's deadlines are keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A client transaction.
    Client(ClientTx),
    /// A server transaction.
    Server(ServerTx),
}

/// What a machine asks of the layer, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the message that the transaction keeps: a client's request (or the ACK of a failure), a server's last response.
    Send,
    /// Build the 100 of the request that a server keeps, keep it in its place, and send it (RFC 3261 8.2.6.1).
    Trying,
    /// Build the ACK of the failure at hand, keep it in place of the INVITE, and send it (RFC 3261 17.1.1.3).
    Ack,
    /// Pass the message at hand to the user.
    Tell,
    /// Tell the user that there will be no response.
    Fail(Failure),
    /// Tell the user that the final response was lost.
    Gone,
    /// Run a timer from now.
    Start(Timer, Duration),
    /// Stop a timer.
    Stop(Timer),
}

/// Few, so that a step allocates nothing.
pub type Actions = SmallVec<[Action; 6]>;

/// The timers of one transaction that run, and when each is due: seldom more than two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timers(SmallVec<[(Timer, Instant); 2]>);

impl Timers {
    /// One is due at `at` from now on; gives when it was due before.
    pub fn start(&mut self, timer: Timer, at: Instant) -> Option<Instant> {
        match self.0.iter_mut().find(|(running, _)| *running == timer) {
            Some((_, due)) => Some(std::mem::replace(due, at)),
            None => {
                self.0.push((timer, at));
                None
            }
        }
    }

    /// One runs no more; gives when it was due.
    pub fn stop(&mut self, timer: Timer) -> Option<Instant> {
        let place = self.0.iter().position(|(running, _)| *running == timer)?;
        Some(self.0.swap_remove(place).1)
    }

    /// When one is due.
    pub fn due(&self, timer: Timer) -> Option<Instant> {
        self.0.iter().find(|(running, _)| *running == timer).map(|(_, at)| *at)
    }

    /// All, and when each is due.
    pub fn all(&self) -> impl Iterator<Item = (Timer, Instant)> {
        self.0.iter().copied()
    }
}

/// A timer that ran out, as the input of the machine that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Of the INVITE client.
    ClientInvite(client_invite::Input),
    /// Of the other client.
    Client(client::Input),
    /// Of the INVITE server.
    ServerInvite(server_invite::Input),
    /// Of the other server.
    Server(server::Input),
}

impl Timer {
    /// Whose it is.
    pub const fn due(self) -> Due {
        match self {
            Timer::A => Due::ClientInvite(client_invite::Input::TimerA),
            Timer::B => Due::ClientInvite(client_invite::Input::TimerB),
            Timer::D => Due::ClientInvite(client_invite::Input::TimerD),
            Timer::M => Due::ClientInvite(client_invite::Input::TimerM),
            Timer::Cancelled => Due::ClientInvite(client_invite::Input::TimerCancelled),
            Timer::E => Due::Client(client::Input::TimerE),
            Timer::F => Due::Client(client::Input::TimerF),
            Timer::K => Due::Client(client::Input::TimerK),
            Timer::G => Due::ServerInvite(server_invite::Input::TimerG),
            Timer::H => Due::ServerInvite(server_invite::Input::TimerH),
            Timer::I => Due::ServerInvite(server_invite::Input::TimerI),
            Timer::L => Due::ServerInvite(server_invite::Input::TimerL),
            Timer::Alive => Due::ServerInvite(server_invite::Input::TimerAlive),
            Timer::J => Due::Server(server::Input::TimerJ),
            Timer::Slow => Due::Server(server::Input::TimerSlow),
            Timer::Late => Due::Server(server::Input::TimerLate),
        }
    }
}
