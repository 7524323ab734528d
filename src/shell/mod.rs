//! The shell: sockets, threads, disk and clock around the machines. It moves bytes and time and decides nothing.

pub mod clock;
pub mod commands;
pub mod demo;
mod listing;
pub mod media;
pub mod net;
pub mod record;
pub mod server;
pub mod sources;
pub mod store;

use crate::config::Log;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Log lines go to standard error. `RUST_LOG` overrides `log.level`.
pub fn logging(log: &Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&log.level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call (the demo starts several nodes in one process) changes nothing.
    let _ = if log.json {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
}
