//! Recordings on disk: a thread that writes them, and the rings to it.
//!
//! ```text
//!   packet thread: leg -- ring --+
//!                                +--> thread: timeline -- a second at a time --> recordings/2026-11-30/c18f3a-1.wav
//!   packet thread: leg -- ring --+                    \-- how it ended --> signalling: log, counters, call record
//! ```

mod disk;
mod form;
pub mod ring;
#[cfg(test)]
mod tests;
mod thread;

use super::clock::SystemClock;
use crate::config;
use crate::limits;
use crate::media::command::{Recording, Side};
use crate::media::tap::{Sink, Sinks};
use std::sync::mpsc::{self as std_mpsc, TrySendError};
use std::time::Duration;
use thread::{Message, Thread};
use tokio::sync::mpsc;
use tracing::{error, warn};

/// How long the last of it may take when the node stops.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How often it is looked whether that is done.
const LOOK: Duration = Duration::from_millis(20);
/// Why the thread does not keep up.
const BEHIND: &str = "the disk of `recording.directory` hangs or is far too slow";

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which.
    pub recording: Recording,
    /// How long it lasts.
    pub millis: u64,
    /// Packets that are not in it: late, too many, or nothing that their codec reads.
    pub lost: u64,
    /// Why it ended before its call, if it did.
    pub fault: Option<String>,
}

/// The thread that writes, seen from signalling.
pub struct Recordings {
    queue: std_mpsc::SyncSender<Message>,
    thread: std::thread::JoinHandle<Vec<Recorded>>,
}

impl Recordings {
    /// Starts it.
    pub fn start(
        settings: &config::Recording,
        clock: SystemClock,
    ) -> Result<(Recordings, mpsc::Receiver<Recorded>), String> {
        let (queue, messages) = std_mpsc::sync_channel(limits::RECORDINGS_WAITING);
        let (told, recorded) = mpsc::channel(limits::RECORDING_EVENTS);
        let thread = Thread::new(clock, settings.clone(), messages, told);
        let thread = std::thread::Builder::new()
            .name("recordings".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| format!("the thread that writes recordings could not be started: {error}"))?;
        Ok((Recordings { queue, thread }, recorded))
    }

    /// Where packet threads put what they hear.
    pub fn sinks(&self) -> Box<dyn Sinks> {
        Box::new(Rings(self.queue.clone()))
    }

    /// New recordings are as this says.
    pub fn set(&self, settings: &config::Recording) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Settings(settings.clone())) {
            warn!("recordings go on as they were configured before: {BEHIND}");
        }
    }

    /// Writes the rest, once no packet thread has a ring any more. Gives what was not told before.
    pub fn stop(self) -> Vec<Recorded> {
        // Without anybody who sends, the thread ends too.
        let _ = self.queue.try_send(Message::Stop);
        drop(self.queue);
        for _ in 0..LAST_WRITES.as_millis() / LOOK.as_millis() {
            if self.thread.is_finished() {
                return self.thread.join().unwrap_or_default();
            }
            std::thread::park_timeout(LOOK);
        }
        warn!("the node stops and recordings are not written to their end: {BEHIND}");
        Vec::new()
    }
}

/// Makes a ring for each leg.
#[derive(Debug)]
struct Rings(std_mpsc::SyncSender<Message>);

impl Sinks for Rings {
    fn open(&mut self, recording: Recording, side: Side) -> Option<Box<dyn Sink>> {
        let (writer, reader) = ring::ring();
        match self.0.try_send(Message::Tap(recording, side, Box::new(reader))) {
            Ok(()) => return Some(Box::new(writer)),
            Err(TrySendError::Full(_)) => warn!("{} is not recorded: {BEHIND}", recording.call),
            Err(TrySendError::Disconnected(_)) => error!(
                "{} is not recorded: the thread of recordings has ended by the bug that is told above; please start the node anew",
                recording.call
            ),
        }
        None
    }
}
