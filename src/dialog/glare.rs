//! Two re-INVITEs or UPDATEs at once (RFC 3261 14.1, 14.2; RFC 3311 5.2): how long to wait before the next try.

use rand_chacha::rand_core::RngCore;
use std::time::Duration;

/// How long to wait after a 491 (RFC 3261 14.1): 2.1 to 4 s for the side that made the Call-ID, 0 to 2 s for the other, in steps
/// of 10 ms.
pub fn wait_after_491(we_own_call_id: bool, rng: &mut impl RngCore) -> Duration {
    let (first, steps) = if we_own_call_id { (210, 191) } else { (0, 201) };
    Duration::from_millis(10 * (first + u64::from(rng.next_u32()) % steps))
}

/// Retry-After in seconds, 0 to 10, of the 500 for a second INVITE while the first is unanswered (RFC 3261 14.2, RFC 3311 5.2).
pub fn retry_after(rng: &mut impl RngCore) -> u32 {
    rng.next_u32() % 11
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn the_two_sides_wait_in_ranges_that_do_not_meet() {
        let mut rng = ChaCha12Rng::seed_from_u64(14);
        for (ours, low, high) in [(true, 2100, 4000), (false, 0, 2000)] {
            let waits: Vec<_> = (0..2000).map(|_| wait_after_491(ours, &mut rng).as_millis()).collect();
            assert!(waits.iter().all(|ms| (low..=high).contains(ms) && ms % 10 == 0));
            assert!(waits.contains(&low) && waits.contains(&high), "both ends are possible");
        }
        assert!((0..1000).all(|_| retry_after(&mut rng) <= 10));
    }
}
