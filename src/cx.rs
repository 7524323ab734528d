//! The one context that every signalling machine receives: time, randomness, configuration, and where effects go.

use crate::config::Config;
use crate::effect::Output;
use crate::id::Ticket;
use crate::time::{Instant, Wall};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a machine is given for one step. Nothing else reaches it.
pub struct Cx<'a> {
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock, for records and expiry.
    pub wall: Wall,
    /// Randomness: seeded by the operating system in the shell, by the test's seed in the simulated world.
    pub rng: &'a mut ChaCha12Rng,
    /// The configuration in force. A call keeps the `Arc` it began with.
    pub config: &'a Arc<Config>,
    /// Effects, in order.
    pub out: &'a mut VecDeque<Output>,
    /// The last ticket given out.
    pub tickets: &'a mut u64,
}

impl Cx<'_> {
    /// A ticket that was never used before.
    pub fn ticket(&mut self) -> Ticket {
        *self.tickets += 1;
        Ticket(*self.tickets)
    }

    /// Hands an effect to the shell.
    pub fn emit(&mut self, output: Output) {
        self.out.push_back(output);
    }

    /// A random number.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A token with `bytes` bytes of randomness in lower-case hex: tags, branches, Call-IDs.
    pub fn token(&mut self, bytes: usize) -> String {
        let mut raw = [0u8; 32];
        let raw = &mut raw[..bytes.min(32)];
        self.rng.fill_bytes(raw);
        let mut text = String::with_capacity(raw.len() * 2);
        for byte in raw {
            for nibble in [*byte >> 4, *byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        text
    }
}
