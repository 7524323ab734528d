//! The shell: sockets, threads, disk and clock around the machines. It moves bytes and time and decides nothing.

pub mod clock;
pub mod net;
pub mod store;
