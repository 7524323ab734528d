//! Tandem: a telephony edge node.

pub mod config;
pub mod cx;
pub mod effect;
pub mod id;
pub mod limits;
pub mod media;
pub mod pii;
pub mod sip;
pub mod time;
