//! RFC 4575 (conference event package) and RFC 4579 (REFER to a room). Each test names the section that it is for. What we write as XML is
//! read by roxmltree, and held against the RFC's schema by xmllint.

#![allow(missing_docs)]

#[path = "rfc4575/documents.rs"]
mod documents;
#[path = "rfc4575/operator.rs"]
mod operator;
#[path = "rfc4575/rooms.rs"]
mod rooms;
#[path = "rfc4575/schema.rs"]
mod schema;
#[path = "proxy/tools.rs"]
#[allow(dead_code, reason = "the tests of the proxy use the rest of it")]
mod tools;
#[path = "rfc4575/watcher.rs"]
mod watcher;
