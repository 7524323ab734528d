//! The machine with nothing around it: proxies are addresses that write commands by hand, workers answer as real ones do.

mod bench;
mod calls;
mod ends;
mod srtp;
