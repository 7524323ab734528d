//! What somebody is told, in order, and kept for a while: a stream that breaks goes on where it was (Last-Event-ID; HTML, 9.2 "Server-sent
//! events").

use super::wire::Event;
use crate::limits;
use std::collections::VecDeque;

/// The events of one identity.
#[derive(Debug)]
pub(super) struct Log {
    /// Tells it from the logs of others, and of other times: a place in another log is none in this.
    epoch: u32,
    /// The number of the event that comes next.
    next: u64,
    kept: VecDeque<Event>,
    octets: usize,
}

impl Log {
    pub(super) fn new(epoch: u32) -> Log {
        Log {
            epoch,
            next: 1,
            kept: VecDeque::new(),
            octets: 0,
        }
    }

    /// One more. The oldest make room.
    pub(super) fn add(&mut self, name: &'static str, data: bytes::Bytes) -> Event {
        let event = Event {
            id: Some(self.id(self.next)),
            name,
            data,
        };
        self.next += 1;
        self.octets += event.data.len();
        self.kept.push_back(event.clone());
        while self.kept.len() > limits::API_LOG_EVENTS || self.octets > limits::API_LOG_BYTES {
            let Some(gone) = self.kept.pop_front() else { break };
            self.octets -= gone.data.len();
        }
        event
    }

    /// The place behind the last event.
    pub(super) fn end(&self) -> String {
        self.id(self.next - 1)
    }

    /// What came behind a place; none where that is of another log, or too long ago.
    pub(super) fn behind(&self, id: &str) -> Option<Vec<Event>> {
        let (epoch, seen) = id.split_once('-')?;
        let behind = seen.parse::<u64>().ok()?.checked_add(1)?;
        let first = self.next - self.kept.len() as u64;
        if epoch != format!("{:08x}", self.epoch) || !(first..=self.next).contains(&behind) {
            return None;
        }
        let skipped = usize::try_from(behind - first).ok()?;
        Some(self.kept.iter().skip(skipped).cloned().collect())
    }

    fn id(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.epoch)
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| event.id.clone().unwrap()).collect()
    }

    #[test]
    fn a_place_is_good_as_long_as_what_follows_is_kept() {
        let mut log = Log::new(7);
        assert_eq!(log.end(), "00000007-0");
        assert_eq!(log.behind("00000007-0"), Some(Vec::new()));
        let told: Vec<Event> = (0..300).map(|n| log.add("x", format!("{n}").into())).collect();
        assert_eq!(log.behind("00000007-300"), Some(Vec::new()));
        let kept = log.behind("00000007-44").expect("just kept");
        assert_eq!(ids(&kept), ids(&told[44..]));
        for gone in [
            "00000007-43",
            "00000007-0",
            "00000007-301",
            "00000008-300",
            "7-300",
            "00000007-",
            "00000007-18446744073709551615",
            "x",
            "",
        ] {
            assert_eq!(log.behind(gone), None, "{gone}");
        }
    }

    #[test]
    fn neither_many_nor_long_ones_take_more_than_their_room() {
        let mut log = Log::new(7);
        for n in 0..1_000_000usize {
            log.add("x", vec![b'x'; n % 500].into());
        }
        let (events, octets) = log.size();
        assert!(events <= limits::API_LOG_EVENTS && octets <= limits::API_LOG_BYTES);
        log.add("x", vec![b'x'; limits::API_LOG_BYTES + 1].into());
        assert_eq!(log.size(), (0, 0));
    }

    proptest! {
        /// Whoever resumes has seen each event once, or is told that some are gone.
        #[test]
        fn nothing_is_lost_and_nothing_comes_twice(breaks in proptest::collection::vec(0usize..400, 1..8)) {
            let (mut log, mut number) = (Log::new(1), 0);
            let (mut seen, mut place) = (Vec::new(), log.end());
            for missed in breaks {
                for _ in 0..missed {
                    number += 1;
                    log.add("x", format!("{number}").into());
                }
                match log.behind(&place) {
                    Some(events) => seen.extend(events.iter().map(|e| String::from_utf8(e.data.to_vec()).unwrap().parse::<u64>().unwrap())),
                    None => {
                        prop_assert!(missed > limits::API_LOG_EVENTS);
                        seen.extend(number - missed as u64 + 1..=number);
                    }
                }
                place = log.end();
            }
            prop_assert_eq!(seen, (1..=number).collect::<Vec<u64>>());
        }
    }
}
