//! What a CDR consists of, change by change.

use crate::id::CallId;
use crate::media::command::LegStats;
use crate::time::Wall;

/// One change of one CDR. Each may be written again without harm.
#[derive(Clone, Debug)]
pub enum CallRow {
    /// The INVITE came.
    Started {
        /// Which.
        call: CallId,
        /// When.
        at: Wall,
        /// `user/alice`, `trunk/acme`.
        source: String,
        /// As presented.
        caller: String,
        /// As dialled.
        called: String,
        /// The caller's.
        sip_call_id: String,
    },
    /// Where it goes.
    Routed {
        /// Which.
        call: CallId,
        /// `trunk/acme`, `user/alice`, `echo`.
        destination: String,
        /// The rule that decided.
        rule: String,
    },
    /// It was answered.
    Answered {
        /// Which.
        call: CallId,
        /// When.
        at: Wall,
    },
    /// How its media goes while it is up.
    Measured {
        /// Which.
        call: CallId,
        /// What the media has seen so far.
        legs: Vec<LegRow>,
    },
    /// It is over.
    Ended {
        /// Which.
        call: CallId,
        /// When.
        at: Wall,
        /// SIP status.
        status: u16,
        /// Q.850 cause.
        q850: u8,
        /// `caller`, `callee`, `node`, `network`.
        by: &'static str,
        /// In words.
        cause: String,
        /// What the media saw.
        legs: Vec<LegRow>,
    },
}

impl CallRow {
    /// Whose change it is.
    pub fn call(&self) -> CallId {
        match self {
            CallRow::Started { call, .. }
            | CallRow::Routed { call, .. }
            | CallRow::Answered { call, .. }
            | CallRow::Measured { call, .. }
            | CallRow::Ended { call, .. } => *call,
        }
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        let parts = match self {
            CallRow::Started {
                source,
                caller,
                called,
                sip_call_id,
                ..
            } => source.len() + caller.len() + called.len() + sip_call_id.len(),
            CallRow::Routed { destination, rule, .. } => destination.len() + rule.len(),
            CallRow::Answered { .. } => 0,
            CallRow::Measured { legs, .. } => legs.len() * size_of::<LegRow>(),
            CallRow::Ended { cause, legs, .. } => cause.len() + legs.len() * size_of::<LegRow>(),
        };
        size_of::<CallRow>() + parts
    }
}

/// One side's media.
#[derive(Clone, Debug)]
pub struct LegRow {
    /// `caller` or `callee`.
    pub side: &'static str,
    /// Its counters.
    pub stats: LegStats,
}
