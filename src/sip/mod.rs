//! SIP messages: bytes to values and back, without state (RFC 3261 7, 19, 20, 25).
//!
//! [`Message`] is what came: a lazy index over its bytes. [`Draft`] is what we are about to send.

pub mod auth;
pub mod frame;
pub mod header;
pub mod lex;
pub mod uri;
pub mod write;

pub use header::{CSeq, Method, Name, NameAddr, Params, Via};
pub use lex::{Message, ParseError};
pub use uri::{Host, Uri};
pub use write::Draft;
