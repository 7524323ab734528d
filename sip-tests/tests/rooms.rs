//! Rooms by SIP and with sound: each member is a tone, and what each hears is looked at tone by tone.

#![allow(missing_docs)]

#[path = "rooms/actions.rs"]
mod actions;
#[path = "rooms/called.rs"]
mod called;
#[path = "rooms/changes.rs"]
mod changes;
#[path = "rooms/door.rs"]
mod door;
#[path = "rooms/hold.rs"]
mod hold;
#[path = "rooms/mix.rs"]
mod mix;
#[path = "rooms/moderator.rs"]
mod moderator;
#[path = "rooms/names.rs"]
mod names;
#[path = "rooms/recorded.rs"]
mod recorded;
#[path = "rooms/roles.rs"]
mod roles;
#[path = "rooms/sounds.rs"]
mod sounds;
#[path = "rooms/tools.rs"]
mod tools;
#[path = "rooms/transfer.rs"]
mod transfer;
