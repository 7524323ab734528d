//! The signalling machine: inputs in, effects out.

mod input;

pub use input::Input;

use crate::config::Config;
use crate::effect::Output;
use crate::time::{Clock, Instant};
use std::sync::Arc;

/// The signalling of one node.
pub struct Node {}

impl Node {
    /// A node with nothing up. `seed` is its randomness and key material; `at` its first moment.
    pub fn new(config: Arc<Config>, seed: [u8; 32], at: Clock) -> Node {
        let _ = (config, seed, at);
        todo!()
    }

    /// One mutation; then drain `poll_output`.
    pub fn handle(&mut self, at: Clock, input: Input) {
        let _ = (at, input);
        todo!()
    }

    /// The next effect, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// When `Input::Time` is wanted next, and by whom, for the log.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        todo!()
    }

    /// True after `Input::Stop` when the last call and transaction are gone.
    pub fn is_stopped(&self) -> bool {
        todo!()
    }
}
