//! The guard in the simulated world: who is heard, slowed down, banned, and who never is.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[path = "guard/bans.rs"]
mod bans;
#[path = "guard/floods.rs"]
mod floods;
#[path = "guard/names.rs"]
mod names;
#[path = "guard/overload.rs"]
mod overload;
#[path = "guard/tools.rs"]
mod tools;
