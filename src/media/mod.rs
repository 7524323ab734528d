//! The media path: what a packet goes through between two sockets, and nothing of sockets, clocks or signalling.
//!
//! | part | what it is |
//! |---|---|
//! | [`command`] | what signalling says and hears |
//! | [`prepare`], [`input`] | commands with all that they need, made on the control side; what comes back |
//! | [`worker`] | the slab of legs: packets, ticks and inputs come here |
//! | [`packet`] | buffers in and out |
//! | [`leg`], `half`, `role` | one leg, in two halves; what it does |
//! | [`srtp`] | what is sealed and opened on the way |
//! | [`tap`] | a leg that is recorded |
//! | `latch` | where the peer really is |
//! | `source`, `sender` | the received and the sent stream of numbers |
//! | `bridge`, `function` | from one half to another; what a leg makes itself |
//! | `jitter`, `decode`, `voice`, `encode`, `coder`, `ratio` | only where audio is rebuilt |
//! | `silence` | what needs no encoder |
//! | [`room`] | legs that hear one another: playout, the mix, encoders that listeners share |
//! | `video` | video of a room's browsers, forwarded as it comes |
//! | `pause`, `tuning` | comfort noise; how Opus follows loss and load |
//! | `dtmf`, `ear` | keys that come: as telephone events, in audio |
//! | `digits`, `tone`, `play`, [`phone`] | digits that go out, tones, sounds, PCM |
//! | [`note`] | a name that a peer says, to be played to others |
//! | `data` | fax machines and modems |
//! | `fork` | a copy of what a leg receives |
//! | [`shared`] | whose a datagram is, of legs that share a port |
//! | [`frames`] | packets on a stream |
//! | `pace` | how many packets a leg takes |
//! | `udptl` | a fax, as it is |
//! | [`rtp`], [`rtcp`], `reports` | the wire, reports |
//! | `bursts`, `meter`, `quality`, `measure` | how losses lie, how loud a peer is, the E-model, what is told of a leg |
//! | `trouble` | one-way audio, no audio, only silence |
//! | [`witness`] | what arrives, read once more by other readers: the demo's check of all of the above |

mod bridge;
mod bursts;
mod coder;
pub mod command;
mod data;
mod decode;
mod digits;
mod dtmf;
mod ear;
mod encode;
mod fork;
pub mod frames;
mod function;
mod half;
pub mod input;
mod jitter;
mod latch;
pub mod leg;
mod measure;
mod meter;
pub mod note;
mod pace;
pub mod packet;
mod pause;
pub mod phone;
mod play;
pub mod prepare;
mod quality;
mod ratio;
mod reports;
mod role;
pub mod room;
pub mod rtcp;
pub mod rtp;
mod sender;
pub mod shared;
mod silence;
mod source;
pub mod srtp;
pub mod tap;
mod tone;
mod trouble;
pub mod tuning;
mod udptl;
mod video;
mod voice;
pub mod witness;
pub mod worker;
