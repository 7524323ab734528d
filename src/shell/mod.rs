//! The shell: sockets, threads, disk and clock around the machines. It moves bytes and time and decides nothing.

mod api;
pub mod bell;
pub mod clock;
pub mod commands;
mod control;
pub mod demo;
mod files;
mod listing;
mod log;
pub mod media;
pub mod net;
mod ng;
mod pace;
pub mod record;
pub mod recording;
mod relay;
pub mod rooms;
mod rtc;
pub mod server;
mod sounds;
pub mod sources;
pub mod store;
mod trouble;
mod within;

use crate::config::Log;
use crate::pii::Scrubbed;
use log::Lines;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Changes the level of the one logger that the process has.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// When this is dropped, all log lines so far are written.
pub struct Logging(Lines);

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Log lines go to standard error. `RUST_LOG` overrides `log.level`. A bug is told there too, with its place. The error is a sentence.
pub fn logging(log: &Log) -> Result<Logging, String> {
    let started = Lines::start(std::io::stderr());
    let (writer, _) =
        started.map_err(|error| format!("the thread that writes the log could not be started: {error}"))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&log.level));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer()
        .with_writer(writer.clone())
        .with_target(false)
        // Standard error may be gone, and nobody can be told of that.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = if log.json { lines.json().boxed() } else { lines.boxed() };
    // A second call (the demo starts several nodes in one process) changes nothing.
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok()
    {
        let _ = LEVEL.set(handle);
        std::panic::set_hook(Box::new(|bug| {
            // What a message says of values may be a peer's.
            let bug = bug.to_string().replace('\n', " ");
            tracing::error!("a bug: {}", Scrubbed(&bug));
        }));
    }
    Ok(Logging(writer))
}

/// `log.level` from now on, unless `RUST_LOG` decides.
pub fn set_level(log: &Log) {
    if let (Some(level), Err(_)) = (LEVEL.get(), EnvFilter::try_from_default_env()) {
        // It fails only when the logger is gone, and that lives as long as the process.
        let _ = level.reload(EnvFilter::new(&log.level));
    }
}
