//! What an operator sets up and relies on, in the simulated world: registration, trunks, limits, user policies, admission,
//! restart, stop and reload. Each test names the RFC section, the race or the rule of the house that it is for.

#![allow(missing_docs)]

#[path = "admin/admission.rs"]
mod admission;
#[path = "admin/challenges.rs"]
mod challenges;
#[path = "admin/contacts.rs"]
mod contacts;
#[path = "admin/credentials.rs"]
mod credentials;
#[path = "admin/failover.rs"]
mod failover;
#[path = "admin/forwarding.rs"]
mod forwarding;
#[path = "admin/limits.rs"]
mod limits;
#[path = "admin/names.rs"]
mod names;
#[path = "admin/numbers.rs"]
mod numbers;
#[path = "admin/phones.rs"]
mod phones;
#[path = "admin/reload.rs"]
mod reload;
#[path = "admin/restart.rs"]
mod restart;
#[path = "admin/routing.rs"]
mod routing;
#[path = "admin/stop.rs"]
mod stop;
#[path = "admin/tools.rs"]
mod tools;
#[path = "admin/trunk_calls.rs"]
mod trunk_calls;
#[path = "admin/trunk_register.rs"]
mod trunk_register;
#[path = "admin/wire.rs"]
mod wire;
