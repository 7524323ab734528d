//! What the whole internet sends to an open port, against the real program: floods beside valid traffic, and sipvicious.
//!
//! `FLOOD_SECONDS`, `FLOOD_RATE` and `FLOOD_LIMIT` (percent of a core) change the length and the demand: `make bench-flood`.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real peers live in real time"
)]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[allow(dead_code, reason = "half of it is for others")]
#[path = "interop/journal.rs"]
mod journal;
#[allow(dead_code, reason = "half of it is for others")]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;
#[allow(dead_code, reason = "half of it is for others")]
#[path = "interop/scene.rs"]
mod scene;

#[path = "open_internet/flood.rs"]
mod flood;
#[path = "open_internet/host.rs"]
mod host;
#[path = "open_internet/scanners.rs"]
mod scanners;
#[path = "open_internet/traffic.rs"]
mod traffic;
