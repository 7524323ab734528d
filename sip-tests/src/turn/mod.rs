//! TURN seen from its clients: messages written octet by octet from RFC 8489 and RFC 8656, apart from the code under test, and a small world
//! in which clients behind NATs, peers and the relay exchange them.

pub mod lab;
pub mod wire;

pub use lab::{Caller, Lab, Via};
pub use wire::Raw;
