//! How other threads wake the signalling loop: an eventfd that is written only while the loop sleeps.
//!
//! The loop polls its queues with a waker of the bell. Whoever puts something in rings it; the loop, before it sleeps, asks whether
//! that happened since it looked last. So a thread that is busy costs the loop no system call, nor the loop a thread.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::mpsc;

/// The loop is at work and has looked into its queues.
const AWAKE: u8 = 0;
/// Something was put into a queue since then.
const RUNG: u8 = 1;
/// The loop sleeps, or is about to.
const ASLEEP: u8 = 2;

/// One loop's bell.
#[derive(Debug)]
pub struct Bell {
    counter: OwnedFd,
    state: AtomicU8,
}

impl Bell {
    /// It has rung: the loop's first look is due.
    pub fn new() -> io::Result<Arc<Bell>> {
        Ok(Arc::new(Bell {
            counter: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            state: AtomicU8::new(RUNG),
        }))
    }

    /// A waker that rings it.
    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(self.clone())
    }

    /// Rings it.
    pub fn ring(&self) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            // It can only fail when the counter is full, and then the loop is awake.
            let _ = rustix::io::write(&self.counter, &1u64.to_ne_bytes());
        }
    }

    /// For the loop: true if the queues are to be looked into now.
    pub fn has_rung(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == RUNG
    }

    /// For the loop, before it sleeps: false if it rang meanwhile.
    pub fn may_sleep(&self) -> bool {
        let asleep = self
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        asleep.is_ok()
    }

    /// For the loop, when its sleep ended by the bell: the next sleep shall not.
    pub fn silence(&self) {
        let mut count = [0; 8];
        // Only resets the counter; that it was zero already is no fault.
        let _ = rustix::io::read(&self.counter, &mut count);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

/// Takes what is in a queue until there are so many; true if there may be more. If not, the bell rings when there is.
pub fn take<T>(queue: &mut mpsc::Receiver<T>, bell: &mut Context<'_>, into: &mut Vec<T>, most: usize) -> bool {
    while into.len() < most {
        match queue.poll_recv_many(bell, into, most - into.len()) {
            Poll::Ready(taken) if taken > 0 => {}
            // Nothing now; or nothing ever again, since its thread has ended, which is looked for elsewhere.
            Poll::Ready(_) | Poll::Pending => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bell: &Bell) -> bool {
        rustix::io::read(&bell.counter, &mut [0; 8]).is_ok()
    }

    #[test]
    fn the_system_is_asked_only_while_the_loop_sleeps() {
        let bell = Bell::new().unwrap();
        assert!(bell.has_rung() && !bell.has_rung(), "the first look is due, once");
        bell.ring();
        assert!(!bell.may_sleep() && !written(&bell));
        assert!(bell.has_rung() && bell.may_sleep());
        bell.waker().wake();
        bell.ring();
        assert!(written(&bell));
        assert!(!bell.may_sleep() && bell.has_rung());
    }
}
