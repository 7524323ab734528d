//! SDP (RFC 4566, 8866) and offer/answer (RFC 3264) as pure functions.

pub mod negotiate;
pub mod parse;
pub mod write;

pub use negotiate::{Agreed, Capabilities, Direction, Local, answer, complete, offer};
pub use parse::{SdpError, Session};
