//! A recorded call: from the packets that both legs receive to one stereo file. No thread and no disk: those are the shell's.
//!
//! | file | what |
//! |---|---|
//! | [`timeline`] | both sides beside one another, and what of it is ready to be written |
//! | `track` | one side: its packets in order, decoded, each at its place in time |
//! | [`wav`], [`ogg`] | the octets of the file: at every moment one that can be played |
//! | [`retention`] | which files are too old, or too many |

pub mod ogg;
pub mod retention;
#[cfg(test)]
mod tests;
pub mod timeline;
mod track;
pub mod wav;
