//! The thread that writes: looks into the rings of all recorded legs ten times a second, and puts a second of a recording at a time into
//! its file. Calls know nothing of how it fares: where a file cannot be written, its recording ends, and that is told.

use super::Recorded;
use super::disk::{self, Growing};
use super::ring::Reader;
use crate::config;
use crate::id::CallId;
use crate::limits;
use crate::media::command::{Recording, Side};
use crate::recording::timeline::Timeline;
use crate::shell::clock::{self, SystemClock};
use crate::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// How often the rings are looked at.
const STEP: Duration = Duration::from_millis(100);
/// How often old files are looked for.
const SWEEP: Duration = Duration::from_secs(600);

/// To the thread.
pub(super) enum Message {
    /// A leg is recorded.
    Tap(Recording, Side, Box<Reader>),
    /// Where recordings are from now on, and how long they are kept.
    Settings(config::Recording),
    /// Nobody speaks any more.
    Stop,
}

/// One recording.
struct Open {
    recording: Recording,
    timeline: Timeline,
    readers: Vec<(Side, Box<Reader>)>,
    /// Packets that found no room in rings that are over.
    lost: u64,
    file: Growing<File>,
    /// Ready, and not in the file yet.
    octets: Vec<u8>,
}

pub(super) struct Thread {
    clock: SystemClock,
    settings: config::Recording,
    queue: Receiver<Message>,
    told: mpsc::Sender<Recorded>,
    open: BTreeMap<(CallId, u16), Open>,
    failed: VecDeque<(CallId, u16)>,
    /// What found no room in the queue to signalling.
    late: VecDeque<Recorded>,
    sweeping: Option<std::thread::JoinHandle<()>>,
}

impl Thread {
    pub(super) fn new(
        clock: SystemClock,
        settings: config::Recording,
        queue: Receiver<Message>,
        told: mpsc::Sender<Recorded>,
    ) -> Thread {
        Thread {
            clock,
            settings,
            queue,
            told,
            open: BTreeMap::new(),
            failed: VecDeque::new(),
            late: VecDeque::new(),
            sweeping: None,
        }
    }

    /// Until the end; what could not be told before is given back then.
    pub(super) fn run(mut self) -> Vec<Recorded> {
        let mut sweep_at = self.clock.instant();
        let mut step_at = sweep_at + STEP;
        loop {
            let now = self.clock.instant();
            if now >= sweep_at {
                sweep_at = now + SWEEP;
                self.sweep();
            }
            if now >= step_at {
                step_at = now + STEP;
                self.step(now);
            }
            let until = if self.open.is_empty() && self.late.is_empty() {
                sweep_at
            } else {
                step_at.min(sweep_at)
            };
            match self.queue.recv_timeout(until.since(now)) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        // The packet threads have ended, so every ring is over.
        self.step(self.clock.instant());
        for open in std::mem::take(&mut self.open).into_values() {
            self.late.push_back(open.recorded(None));
        }
        self.late.into()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Tap(recording, side, reader) => self.tap(recording, side, reader),
            Message::Settings(settings) => {
                self.settings = settings;
                self.sweep();
            }
            Message::Stop => {}
        }
    }

    fn tap(&mut self, recording: Recording, side: Side, reader: Box<Reader>) {
        let key = (recording.call, recording.number);
        if self.failed.contains(&key) {
            return;
        }
        if let Some(open) = self.open.get_mut(&key) {
            return open.readers.push((side, reader));
        }
        match disk::create(&self.settings.directory, &recording) {
            Ok(file) => {
                let open = Open {
                    recording,
                    timeline: Timeline::new(self.clock.instant(), recording.rate()),
                    readers: vec![(side, reader)],
                    lost: 0,
                    file,
                    octets: Vec::new(),
                };
                self.open.insert(key, open);
            }
            Err(fault) => {
                self.fail(key);
                self.tell(Recorded {
                    recording,
                    millis: 0,
                    lost: 0,
                    fault: Some(fault),
                });
            }
        }
    }

    fn fail(&mut self, key: (CallId, u16)) {
        if self.failed.len() >= limits::RECORDINGS_FAILED {
            self.failed.pop_front();
        }
        self.failed.push_back(key);
    }

    fn step(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for (key, open) in &mut self.open {
            // A bug costs the recording that met it.
            match catch_unwind(AssertUnwindSafe(|| open.step(now))) {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => ended.push((*key, None)),
                Ok(Err(fault)) => ended.push((*key, Some(fault))),
                Err(_) => ended.push((*key, Some("an error in this node".to_owned()))),
            }
        }
        for (key, fault) in ended {
            if fault.is_some() {
                self.fail(key);
            }
            if let Some(open) = self.open.remove(&key) {
                self.tell(open.recorded(fault));
            }
        }
        while let Some(recorded) = self.late.pop_front() {
            // Where nobody listens any more it is given back at the end.
            if let Err(untold) = self.told.try_send(recorded) {
                self.late.push_front(untold.into_inner());
                break;
            }
        }
    }

    /// With the next step: those that wait are as many as calls.
    fn tell(&mut self, recorded: Recorded) {
        self.late.push_back(recorded);
    }

    /// In a thread of its own: a folder with many files takes its time, and the rings do not wait.
    fn sweep(&mut self) {
        if self.sweeping.as_ref().is_some_and(|sweeping| !sweeping.is_finished()) {
            return;
        }
        let settings = self.settings.clone();
        let thread = std::thread::Builder::new().name("retention".to_owned());
        let started = thread.spawn(move || {
            match disk::sweep(&settings.directory, clock::wall(), settings.keep, settings.max_size) {
                Ok((0, _)) => {}
                Ok((count, octets)) => info!(
                    "{count} recordings with {} MB were removed: older than recording.keep, or more than recording.max_size",
                    octets / 1_000_000
                ),
                Err(error) => warn!(
                    "old recordings cannot be looked for in {}: {error} (key `recording.directory`)",
                    settings.directory.display()
                ),
            }
        });
        match started {
            Ok(thread) => self.sweeping = Some(thread),
            Err(error) => warn!("the thread that removes old recordings could not be started: {error}"),
        }
    }
}

impl Open {
    /// False once nobody speaks any more and all is written.
    fn step(&mut self, now: Instant) -> Result<bool, String> {
        let Open {
            timeline,
            readers,
            lost,
            ..
        } = self;
        readers.retain_mut(|(side, reader)| {
            let is_over = reader.is_over();
            while let Some(heard) = reader.packet() {
                timeline.hear(*side, &heard);
            }
            if is_over {
                *lost += reader.lost();
            }
            !is_over
        });
        let goes_on = !self.readers.is_empty();
        if goes_on {
            self.timeline.ready(now, &mut self.octets);
        } else {
            self.timeline.finish(now, &mut self.octets);
        }
        let second = self.recording.rate() as usize * 4;
        if self.octets.len() >= second || !goes_on {
            self.file.add(&self.octets, !goes_on)?;
            self.octets.clear();
        }
        Ok(goes_on)
    }

    fn recorded(&self, fault: Option<String>) -> Recorded {
        let rings: u64 = self.readers.iter().map(|(_, reader)| reader.lost()).sum();
        Recorded {
            recording: self.recording,
            millis: self.file.millis(),
            lost: self.lost + rings + self.timeline.lost(),
            fault,
        }
    }
}
