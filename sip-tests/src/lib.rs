//! The simulated world: everything is tested in it.
//!
//! One seed decides a whole run. [`world::World`] has a virtual clock, a lossy [`net`] with NATs, [`dns`], a [`store`] that can be
//! slow, fail and crash, and the machines under test: `tandem::node::Node` and its media workers, with nothing of the shell.
//! Around it stand [`agent`]s, which are written from the RFCs and share no code with it. [`invariants`] are checked
//! after every step; a test that fails prints the seed and the ladder of messages.

pub mod agent;
pub mod browser;
pub mod carrier;
pub mod cdr;
pub mod chaos;
pub mod counting;
pub mod description;
pub mod digest;
pub mod dns;
pub mod errors;
pub mod hook;
pub mod invariants;
pub mod ladder;
pub mod ledger;
pub mod media;
pub mod memory;
pub mod message;
pub mod net;
pub mod phone;
pub mod rng;
pub mod script;
pub mod srtp;
pub mod store;
pub mod streams;
pub mod tapes;
pub mod tone;
pub mod turn;
mod wires;
pub mod world;

pub use agent::{Agent, Answer, Change, Policy, State};
pub use message::Msg;
pub use script::{CallRef, Peer, ms, s};
pub use world::{Builder, World};
