//! The end of a node: calls have a grace time, then last answers, then all that was handed to threads and sockets.

use super::Server;
use crate::node::Input;
use crate::time::Instant;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// After the grace time, calls get their BYE answered for at most this long.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// How long connections may take to write what they were handed before the node ends.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// How far a stop has come.
#[derive(Clone, Copy)]
pub(super) struct Stopping {
    /// What is still up then ends without an answer.
    pub(super) at: Instant,
    /// Asked twice.
    pub(super) hurried: bool,
}

impl Server {
    /// True when a stop has come to its end.
    pub(super) fn is_over(&mut self) -> bool {
        let Some(stopping) = &mut self.stopping else {
            return false;
        };
        if self.node.is_stopped() {
            return true;
        }
        let now = self.clock.instant();
        if self.node.calls_up() == 0 {
            // What is left are last answers: of a peer that is dead, perhaps.
            stopping.at = stopping.at.min(now + LAST_ANSWERS);
        }
        let is_late = stopping.at <= now;
        if is_late {
            warn!(
                "the calls that are left ({}) end without a last answer of their peers",
                self.node.census().calls
            );
        }
        is_late
    }

    pub(super) fn stop(&mut self) -> Stopping {
        let grace = self.config.calls.stop_grace;
        info!(
            "stopping: no new calls; those that are up ({}) have {} s (a second signal ends them now)",
            self.node.calls_up(),
            grace.as_secs()
        );
        self.inputs.push_back(Input::Stop(grace));
        Stopping {
            at: self.clock.instant() + grace + LAST_ANSWERS,
            hurried: false,
        }
    }

    pub(super) fn stop_now(&mut self) -> Stopping {
        info!(
            "stopping now: the calls that are up ({}) are ended",
            self.node.calls_up()
        );
        self.inputs.push_back(Input::Stop(Duration::ZERO));
        Stopping {
            at: self.clock.instant() + LAST_ANSWERS,
            hurried: true,
        }
    }

    pub(super) fn close(mut self) {
        self.turn();
        // Nobody listens any more: who still has something to tell must not wait.
        let mut recorded = std::mem::replace(&mut self.queues.recorded, mpsc::channel(1).1);
        drop(self.queues);
        self.runtime.block_on(self.net.close(LAST_WRITES));
        self.media.stop();
        self.relay.stop();
        let untold = self.recordings.stop();
        let told = std::iter::from_fn(|| recorded.try_recv().ok());
        let minute = self.clock.now().wall.as_secs() / 60;
        for recorded in told.chain(untold) {
            let row = self.recorder.recorded(recorded, minute);
            if !self.store.recording(row) {
                self.recorder.lost();
            }
        }
        self.store.close(self.clock.now().wall);
        info!("stopped after {}", self.recorder.counters());
    }
}
