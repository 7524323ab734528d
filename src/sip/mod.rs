//! SIP messages: bytes to values and back, without state (RFC 3261 7, 19, 20, 25).
//!
//! [`Message`] is what came: a lazy index over its bytes. [`Draft`] is what we are about to send.
//!
//! | file | does |
//! |---|---|
//! | `frame` | cuts messages out of datagrams and streams |
//! | `lex` | one pass over a message: where its lines are and which fields we know |
//! | `field`, `facts` | read values out of the index when somebody asks, those that everybody asks for once |
//! | `plain` | those few values in the form that nearly all messages write |
//! | `scan`, `uri_text` | values as text, for a look that copies nothing |
//! | `check` | what every message must satisfy before a machine sees it |
//! | `name`, `header`, `uri`, `equal`, `grammar` | typed values and the grammars they share |
//! | `write` | drafts to bytes |
//! | `multipart` | the session description in a body of several parts |
//! | `xml` | text within XML |
//! | `forward` | what came to what a proxy sends on: our edits, and every other octet as it was |
//! | `auth` | digest |
//! | `by_nom`, `properties` | the oracles of the tests: nom's reading, and rsip's |
//! | `witness` | rsip's reading of the demo's messages, held against ours |
//!
//! rsip has three jobs here. Its status codes are the list behind [`write::reason`]; it reads every message of `tandem demo`
//! once more ([`witness`]); and it is the oracle of the property tests: what both parsers accept they must read alike, and
//! what we write it must read back. It does not read the node's wire:
//! it refuses folding, compact names, unknown methods, IPv6, tel URIs and octets that are not UTF-8, keeps one value of
//! `Via: a, b`, and needs dozens of allocations a message. It does not assemble requests either: its methods are a
//! closed list and its URIs lose headers and the spelling of parameters.

pub mod auth;
#[cfg(test)]
mod by_nom;
mod check;
mod equal;
mod facts;
mod field;
pub mod forward;
pub mod frame;
mod grammar;
pub mod header;
pub mod lex;
pub mod multipart;
mod name;
mod plain;
#[cfg(test)]
mod properties;
mod scan;
pub mod uri;
mod uri_text;
pub mod witness;
pub mod write;
pub mod xml;

pub use facts::TopVia;
pub use forward::Forward;
pub use grammar::first_comma;
pub use header::{CSeq, Method, Name, NameAddr, Params, Via};
pub use lex::{Message, ParseError};
pub use scan::{AddrText, ViaText};
pub use uri::{Host, HostText, Uri, UriText};
pub use write::Draft;
