//! SDP (RFC 4566, 8866) and offer/answer (RFC 3264) as pure functions.
//!
//! ```text
//! body -> parse -> Session -> negotiate::{answer, complete} -> Agreed -> media::command::Stream
//!                  Session <- negotiate::{offer, answer}
//! body <- write <- Session
//! ```

pub mod codec;
mod direction;
pub mod negotiate;
pub mod parse;
mod peer;
pub mod session;
pub mod write;

pub use negotiate::{Agreed, Capabilities, Direction, Local, acceptable, answer, complete, offer};
pub use parse::SdpError;
pub use session::{Attribute, Connection, Line, Media, Origin, Proto, Session, Text};
