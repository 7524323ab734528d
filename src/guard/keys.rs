//! Names of what is remembered: a source, a user, a mark, together with what about it.

use crate::time::Instant;

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) const ABOUT_MARK: u64 = 1 << 32;
pub(super) const ABOUT_STRAYS: u64 = 2 << 32;
pub(super) const ABOUT_JUNK: u64 = 3 << 32;
pub(super) const ABOUT_NONCE: u64 = 4 << 32;
pub(super) const ABOUT_WRONG: u64 = 5 << 32;
pub(super) const ABOUT_TRUNK: u64 = 6 << 32;
pub(super) const ABOUT_SOURCE: u64 = 7 << 32;
pub(super) const ABOUT_RATE: u64 = 8 << 32;
pub(super) const ABOUT_FOLLOWS: u64 = 9 << 32;
pub(super) const ABOUT_LOOK: u64 = 10 << 32;
pub(super) const ABOUT_STRANGER: u64 = 11 << 32;
pub(super) const ABOUT_PROBES: u64 = 12 << 32;
pub(super) const ABOUT_GUESSES: u64 = 13 << 32;
pub(super) const ABOUT_DIALOG: u64 = 14 << 32;
pub(super) const ABOUT_PROVED: u64 = 15 << 32;
pub(super) const ABOUT_FURTHER: u64 = 16 << 32;

/// Two words into one. The first is a keyed hash, or made by one, so that nobody can choose the outcome.
pub(super) fn fold(secret: u64, about: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(secret ^ about.wrapping_mul(ODD)) * u128::from(ODD ^ secret.rotate_left(32));
    product as u64 ^ (product >> 64) as u64
}

pub(super) fn second(now: Instant) -> u32 {
    u32::try_from(now.as_nanos() / SECOND).unwrap_or(u32::MAX)
}
