//! A leg that is recorded: what its peer says is handed on, as it came, to whoever writes it down. The packet path knows nothing of
//! files: it has a [`Sink`] that takes copies.

use super::command::{Recording, Side};
use super::rtp::View;
use crate::time::Instant;
use codecs::Codec;
use std::fmt::Debug;

/// An audio packet that was received and taken, after SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'p> {
    /// When.
    pub at: Instant,
    /// What was agreed then.
    pub codec: Codec,
    /// Of its header.
    pub ssrc: u32,
    /// Of its header.
    pub sequence: u16,
    /// Of its header.
    pub timestamp: u32,
    /// What the codec reads.
    pub payload: &'p [u8],
}

/// Takes copies of packets. It is called by the packet thread: it neither waits nor allocates, and what it has no room for it counts and
/// forgets.
pub trait Sink: Debug + Send {
    /// Takes a copy, perhaps.
    fn take(&mut self, heard: &Heard<'_>);
}

/// Makes the sinks of recordings, on the control side.
pub trait Sinks: Debug + Send {
    /// For one side of a recording; none where nobody writes recordings down.
    fn open(&mut self, recording: Recording, side: Side) -> Option<Box<dyn Sink>>;
}

/// What a recorded leg has.
#[derive(Debug)]
pub(super) struct Tap(pub Box<dyn Sink>);

impl Tap {
    /// A packet was taken.
    pub(super) fn take(&mut self, at: Instant, codec: Codec, view: &View<'_>) {
        self.0.take(&Heard {
            at,
            codec,
            ssrc: view.ssrc,
            sequence: view.sequence,
            timestamp: view.timestamp,
            payload: view.payload,
        });
    }
}
