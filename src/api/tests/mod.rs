//! The API without a network: requests in, replies and events out, at any time.

mod access;
mod bench;
mod calls;
mod description;
mod lines;
mod once;
mod rates;
mod streams;
