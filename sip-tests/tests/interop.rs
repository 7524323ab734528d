//! Against real peers: baresip, SIPp and coturn's clients (Debian's baresip-core, sip-tester and coturn) and the real `tandem` binary, on loopback.
//!
//! A test is a [`interop::scene::Scene`]: addresses of its own (127.x.y.0/24), a folder of its own, and processes that
//! die with it. What a peer hears is taken from the RTP that arrives at its address, decoded here, and told by its tone.
//! A wait is for an event and has a bound. When a test fails, it prints what each of its processes said.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real peers live in real time"
)]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod interop {
    pub mod baresip;
    pub mod ear;
    pub mod journal;
    pub mod kamailio;
    pub mod node;
    pub mod process;
    pub mod program;
    pub mod scene;
    pub mod sink;
    pub mod sipp;
    pub mod softphone;
    pub mod tap;

    mod carrier;
    mod commands;
    mod digits;
    mod failover;
    mod fax;
    mod g722;
    mod lifecycle;
    mod lossy;
    mod music;
    mod ng;
    mod phones;
    mod recording;
    mod restart;
    mod room_words;
    mod rooms;
    mod siprec;
    mod srtp;
    mod turn;
}
