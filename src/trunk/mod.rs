//! Carriers: who is one, which peer is next, whether there is room, and our registration with it.

use crate::config::TrunkRegister;
use crate::cx::Cx;
use crate::id::{Flow, TrunkIx};
use crate::sip::{Message, Uri};

/// Why a trunk takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// `limits.calls` are up: 503 towards a carrier, 486-like towards a user is the caller's choice.
    Calls,
    /// `limits.calls_per_second` is used up.
    Rate,
    /// The trunk was removed from the configuration and drains.
    Draining,
}

/// How an attempt at a peer ended, for its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It gave any response below 500 or a 6xx: it is alive.
    Alive,
    /// Timeout, 503 or no connection: held down for a while.
    Dead,
}

/// All trunks.
#[derive(Debug, Default)]
pub struct Trunks {}

impl Trunks {
    /// The trunk that a request comes from: by the flow that we registered over, else by source address.
    pub fn identify(&self, cx: &Cx<'_>, flow: Flow) -> Option<TrunkIx> {
        let _ = (cx, flow);
        todo!()
    }

    /// Takes one of the trunk's call places, in either direction; give it back by `release` exactly once.
    pub fn reserve(&mut self, cx: &mut Cx<'_>, trunk: TrunkIx) -> Result<(), Busy> {
        let _ = (cx, trunk);
        todo!()
    }

    /// Gives a place back.
    pub fn release(&mut self, trunk: TrunkIx) {
        let _ = trunk;
        todo!()
    }

    /// The peers to try for one call, by place in the configuration: in order, those held down last.
    pub fn peers(&self, cx: &Cx<'_>, trunk: TrunkIx) -> Vec<(u16, Uri)> {
        let _ = (cx, trunk);
        todo!()
    }

    /// What became of an attempt at a peer.
    pub fn report(&mut self, cx: &mut Cx<'_>, trunk: TrunkIx, peer: u16, outcome: Outcome) {
        let _ = (cx, trunk, peer, outcome);
        todo!()
    }

    /// The credentials for a challenge of this carrier, if its realm is the one that we expect.
    pub fn credentials<'a>(&self, cx: &'a Cx<'_>, trunk: TrunkIx, challenge: &Message) -> Option<&'a TrunkRegister> {
        let _ = (cx, trunk, challenge);
        todo!()
    }
}
