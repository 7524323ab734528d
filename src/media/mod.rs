//! The media path.
pub mod command;
