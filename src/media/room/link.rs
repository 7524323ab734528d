//! A room that lies on several workers: each has a part of its members, and the parts hear one another by pipes of PCM. A part says what its own
//! members say, never what it heard of other parts: all are joined to all.

use std::fmt::Debug;

/// One end between two parts. It is used by a packet thread: it neither waits nor allocates; what finds no room is lost.
pub trait Pipe: Debug + Send {
    /// Says 20 ms to the other part.
    fn put(&mut self, pcm: &[i16]);
    /// Hears 20 ms of it; false where nothing is there.
    fn take(&mut self, pcm: &mut [i16]) -> bool;
}

/// Makes pipes, on the control side.
pub trait Pipes: Debug + Send {
    /// Both ends of one, for PCM of so many samples in 20 ms.
    fn pair(&mut self, samples: usize) -> [Box<dyn Pipe>; 2];
}

/// A room's end.
#[derive(Debug)]
pub struct Link(pub Box<dyn Pipe>);
