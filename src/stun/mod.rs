//! STUN messages (RFC 8489), as the keep-alive of SIP over UDP (RFC 5626 8), `relay` and the checks of ICE need them: a Binding request is answered
//! with the address that it came from. Pure functions over octets; nothing is kept.
//!
//! | file | does |
//! |---|---|
//! | `message` | a message read, and written |
//! | `integrity` | who knows the password |
//! | `indication` | a peer's data on the packet path |

pub mod indication;
pub mod integrity;
pub mod message;

use message::{BINDING, Class, ErrorCode, Message, Writer};
use std::net::SocketAddr;

/// What the server software is called (RFC 8489 14.14); short, so that the answer is hardly larger than the question.
pub const SOFTWARE: &str = "tandem";

/// The largest message that is answered: what fits every path (RFC 8489 6.1).
const MOST: usize = 1500;

/// The answer to a datagram that is a STUN request, from this address; nothing is owed for one that is no STUN, or is none that is
/// whole, or is an indication or a response (RFC 8489 6.3).
pub fn answer(datagram: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = Message::parse(datagram).filter(|_| datagram.len() <= MOST)?;
    if request.class != Class::Request || request.method != BINDING {
        return None;
    }
    let has_fingerprint = match request.fingerprint() {
        Some(false) => return None,
        Some(true) => true,
        None => false,
    };
    let unknown = request.unknown();
    let mut writer = if unknown.is_empty() {
        let mut writer = Writer::new(Class::Success, BINDING, request.transaction);
        writer.xor_mapped_address(from);
        writer
    } else {
        // RFC 8489 6.3.1: what must be understood and is not.
        let mut writer = Writer::new(Class::Error, BINDING, request.transaction);
        writer.error(ErrorCode::UNKNOWN_ATTRIBUTE);
        writer.unknown_attributes(&unknown);
        writer
    };
    writer.software(SOFTWARE);
    if has_fingerprint {
        writer.fingerprint();
    }
    Some(writer.finish())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_integrity;
