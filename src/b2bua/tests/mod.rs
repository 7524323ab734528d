//! Calls against peers that write by hand. (What two sides hear, over a network that loses and reorders, is tested in the
//! simulated world.)

mod announce;
mod basic;
mod bench;
mod fax;
mod fax_calls;
mod fax_walk;
mod hold;
mod info;
mod measured;
mod record;
mod room;
mod room_calls;
mod room_sounds;
mod session;
mod srtp;
mod transfer;
mod trunk;
mod webrtc;
