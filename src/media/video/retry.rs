//! Which layers a viewer is not sent for a while, since they were lost on the way to him.
//!
//! Where much is lost, the smallest is sent. The layer that was lost is tried again after 5 s, and each time that it is lost anew after twice as long, up to a
//! minute: each trial costs pictures, and a key frame both ways. What has held for half a minute counts as never lost.

use crate::limits::VIDEO_LAYERS;
use crate::time::Instant;
use std::time::Duration;

/// How long it is before a layer is sent again that was lost: after the first time.
const FIRST: Duration = Duration::from_secs(5);
/// And at most.
const MOST: Duration = Duration::from_secs(60);
/// Of all packets, in 1/256: where so many are lost, less is sent.
const LOSSY: u8 = 26;
/// Where fewer are, more may be.
const SOUND: u8 = 6;
/// How long one has to hold.
const HELD: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
struct Lost {
    patience: Duration,
    until: Instant,
}

/// What is known of the layers that fit on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    lost: [Option<Lost>; VIDEO_LAYERS],
    /// What the viewer reported last, of 256 packets.
    loss: u8,
    /// When much was lost last.
    lossy: Option<Instant>,
    /// Which is seen, and since when.
    seen: Option<(u8, Instant)>,
}

impl Retry {
    /// What was lost was lost on the viewer's way, whoever was shown.
    pub fn shows_another(&mut self) {
        (self.seen, self.loss, self.lossy) = (None, 0, None);
    }

    /// This one is seen from now on, or still.
    pub fn sees(&mut self, now: Instant, layer: u8) {
        if self.seen.is_none_or(|(seen, _)| seen != layer) {
            self.seen = Some((layer, now));
        }
    }

    /// The viewer reports that so many of 256 packets were lost.
    pub fn heard(&mut self, now: Instant, loss: u8) {
        self.loss = loss;
        if loss >= LOSSY {
            self.lossy = Some(now);
            self.lost(now);
        } else {
            self.held(now);
        }
    }

    /// Much is lost, or was a moment ago: none but the smallest layer.
    pub fn is_lossy(&self, now: Instant) -> bool {
        self.lossy
            .is_some_and(|lossy| self.loss >= SOUND || now.since(lossy) < FIRST)
    }

    /// Much is lost of what is seen.
    fn lost(&mut self, now: Instant) {
        let Some((layer, since)) = &mut self.seen else { return };
        *since = now;
        let Some(lost) = self.lost.get_mut(usize::from(*layer)) else {
            return;
        };
        // Reports of it go on until another is seen.
        if lost.is_some_and(|lost| now < lost.until) {
            return;
        }
        let patience = lost.map_or(FIRST, |lost| (2 * lost.patience).min(MOST));
        *lost = Some(Lost {
            patience,
            until: now + patience,
        });
    }

    /// Little is.
    fn held(&mut self, now: Instant) {
        let held = self.seen.filter(|(_, since)| now.since(*since) >= HELD);
        if let Some(lost) = held.and_then(|(layer, _)| self.lost.get_mut(usize::from(layer))) {
            *lost = None;
        }
    }

    /// It is too early for this one.
    pub fn waits(&self, now: Instant, layer: u8) -> bool {
        let lost = self.lost.get(usize::from(layer)).copied().flatten();
        lost.is_some_and(|lost| now < lost.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(1_000 + seconds)
    }

    /// For how many seconds a layer waits.
    fn waits(retry: &Retry, from: u64, layer: u8) -> usize {
        (from..from + 100)
            .take_while(|second| retry.waits(at(*second), layer))
            .count()
    }

    #[test]
    fn each_layer_waits_twice_as_long_each_time_and_what_holds_begins_anew() {
        let mut retry = Retry::default();
        retry.lost(at(0));
        let mut waited = Vec::new();
        let mut now = 0;
        for _ in 0..6 {
            retry.sees(at(now), 2);
            retry.lost(at(now));
            // Of the same trial.
            retry.lost(at(now + 1));
            waited.push(waits(&retry, now, 2));
            retry.sees(at(now + 1), 0);
            retry.held(at(now + 50));
            now += 100;
        }
        assert_eq!(waited, [5, 10, 20, 40, 60, 60]);
        assert_eq!([0, 1, 7].map(|layer| waits(&retry, now, layer)), [0; 3]);
        // Ten seconds are not long enough.
        retry.sees(at(now), 2);
        retry.held(at(now + 29));
        retry.lost(at(now + 29));
        assert_eq!(waits(&retry, now + 29, 2), 60);
        retry.sees(at(now + 90), 1);
        retry.sees(at(now + 100), 2);
        retry.held(at(now + 131));
        retry.lost(at(now + 132));
        assert_eq!(waits(&retry, now + 132, 2), 5);
        // Another one who is shown comes by the same way.
        retry.shows_another();
        retry.sees(at(now + 140), 2);
        retry.lost(at(now + 141));
        assert_eq!(waits(&retry, now + 141, 2), 10);
    }
}
