//! Scenarios in the simulated world: each names the RFC section or the race that it is for.

#![allow(missing_docs)]

#[path = "scenarios/acks.rs"]
mod acks;
#[path = "scenarios/basic.rs"]
mod basic;
#[path = "scenarios/cancel.rs"]
mod cancel;
#[path = "scenarios/changes.rs"]
mod changes;
#[path = "scenarios/measured.rs"]
mod measured;
#[path = "scenarios/media.rs"]
mod media;
#[path = "scenarios/peers.rs"]
mod peers;
#[path = "scenarios/registration.rs"]
mod registration;
#[path = "scenarios/rooms.rs"]
mod rooms;
