//! SDP (RFC 4566, 8866) and offer/answer (RFC 3264) as pure functions.
//!
//! ```text
//! body -> parse -> Session -> {answer, complete} -> Agreed -> media::command::Stream
//!                  Session <- {offer, answer}
//! body <- write <- Session
//! ```

pub mod codec;
mod complete;
mod crypto;
mod direction;
mod image;
pub mod negotiate;
pub mod offer_answer;
pub mod parse;
mod peer;
pub mod session;
mod trickle;
mod video;
mod webrtc;
pub mod write;
mod xr;

pub use complete::{Offered, complete};
pub use crypto::Security;
pub use image::{Image, acceptable_fax};
pub use negotiate::{Agreed, Capabilities, Codecs, Direction, Local, acceptable, answer, offer, offer_to_keep};
pub use offer_answer::{OfferAnswer, capabilities, ordered, wish_of};
pub use parse::SdpError;
pub use session::{Attribute, Connection, Line, Media, Origin, Proto, Session, Text};
pub use trickle::Trickled;
pub use webrtc::{Sees, Webrtc};
