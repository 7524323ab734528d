//! The proxy core in the simulated world: RFC 3261 16, with RFC 4028, 4320, 5393, 5658, 6026 and 6228. Each file names its
//! sections.

#![allow(missing_docs)]

#[path = "proxy/calls.rs"]
mod calls;
#[path = "proxy/cancel.rs"]
mod cancel;
#[path = "proxy/families.rs"]
mod families;
#[path = "proxy/forking.rs"]
mod forking;
#[path = "proxy/identity.rs"]
mod identity;
#[path = "proxy/limits.rs"]
mod limits;
#[path = "proxy/loops.rs"]
mod loops;
#[path = "proxy/media.rs"]
mod media;
#[path = "proxy/methods.rs"]
mod methods;
#[path = "proxy/next_hop.rs"]
mod next_hop;
#[path = "proxy/relay.rs"]
mod relay;
#[path = "proxy/responses.rs"]
mod responses;
#[path = "proxy/routes.rs"]
mod routes;
#[path = "proxy/secure.rs"]
mod secure;
#[path = "proxy/serial.rs"]
mod serial;
#[path = "proxy/tools.rs"]
mod tools;
#[path = "proxy/validation.rs"]
mod validation;
