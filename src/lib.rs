//! Tandem: a telephony edge node.

pub mod b2bua;
pub mod config;
pub mod cx;
pub mod dialog;
pub mod effect;
pub mod id;
pub mod limits;
pub mod media;
pub mod node;
pub mod phone;
pub mod pii;
pub mod registrar;
pub mod routing;
pub mod sdp;
#[cfg(feature = "shell")]
pub mod shell;
pub mod sip;
#[cfg(test)]
mod tidy;
pub mod time;
pub mod transaction;
pub mod trunk;

/// What we call ourselves in User-Agent and Server.
pub const USER_AGENT: &str = concat!("tandem/", env!("CARGO_PKG_VERSION"));
