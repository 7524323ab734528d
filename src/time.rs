//! Virtual time: the machines' clock, their deadline queue, and the timers of RFC 3261 table 4.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// T1, the round-trip estimate that every retransmission starts from (RFC 3261 17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// T2, the largest interval between retransmissions (RFC 3261 17.1.2.2).
pub const T2: Duration = Duration::from_secs(4);
/// T4, how long a message may stay in the network (RFC 3261 17.1.2.2).
pub const T4: Duration = Duration::from_secs(5);
/// 64 * T1: timers B, F, H, J, L and M.
pub const T1_64: Duration = Duration::from_secs(32);

/// A point on the monotonic clock, in nanoseconds since the node started. Plain, so that it can be logged and replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Instant = Instant(0);

    /// The point `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Instant(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}

/// Wall-clock time in milliseconds since 1970-01-01 UTC: for records and expiry that must outlive the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

impl Wall {
    /// Whole seconds since 1970.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// How long after `earlier` this is; zero when it lies ahead.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A moment as people write it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Civil {
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
    /// 0 is Sunday.
    pub weekday: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
}

impl Wall {
    /// By the civil calendar: 400-year cycles of 146,097 days, counted from 0000-03-01.
    pub fn civil(self) -> Civil {
        let seconds = self.as_secs();
        let days = seconds / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let clock = seconds % 86_400;
        Civil {
            year: era * 400 + year + u64::from(month <= 2),
            month,
            day: of_year - (153 * shifted + 2) / 5 + 1,
            // 0000-03-01 was a Wednesday.
            weekday: (days + 3) % 7,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
        }
    }
}

/// `Sun, 22 Nov 2026 13:05:59 GMT`, as in the Date field (RFC 3261 20.17).
impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        // Digits are put in their places: this is written into every answer to a REGISTER.
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        text[..3].copy_from_slice(DAYS[self.weekday as usize % 7].as_bytes());
        text[8..11].copy_from_slice(MONTHS[(self.month as usize + 11) % 12].as_bytes());
        // The grammar has four digits for a year.
        let (century, year) = (self.year / 100, self.year);
        let numbers = [self.day, century, year, self.hour, self.minute, self.second];
        for (at, number) in [5, 12, 14, 17, 20, 23].into_iter().zip(numbers) {
            text[at] = b'0' + (number / 10 % 10) as u8;
            text[at + 1] = b'0' + (number % 10) as u8;
        }
        f.write_str(std::str::from_utf8(&text).expect("it is ASCII"))
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, rhs: Duration) -> Wall {
        Wall(
            self.0
                .saturating_add(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// Both clocks at one moment: what the shell hands to a machine with every input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Monotonic.
    pub now: Instant,
    /// Wall.
    pub wall: Wall,
}

/// The deadlines of one machine: at most one per key, in order of time, then of key.
///
/// A key is the machine's own enum of timers (with the id of the thing timed), so that a wake-up says its reason.
#[derive(Clone, Debug)]
pub struct Deadlines<K> {
    /// What holds.
    by_key: HashMap<K, Instant, foldhash::fast::FixedState>,
    queue: Queue<K>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            by_key: HashMap::default(),
            queue: Queue::default(),
        }
    }
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    /// Wakes `key` at `at`, in place of any earlier wish of the same key.
    pub fn set(&mut self, key: K, at: Instant) {
        let before = self.by_key.insert(key, at);
        self.queue.set(key, at, before);
        self.settle();
    }

    /// Forgets `key`; true if it was waiting.
    pub fn cancel(&mut self, key: K) -> bool {
        let Some(at) = self.by_key.remove(&key) else {
            return false;
        };
        self.queue.cancel(key, at);
        self.settle();
        true
    }

    /// When `key` is due.
    pub fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// The first deadline and who asked for it.
    pub fn next(&self) -> Option<(Instant, K)> {
        self.queue.next()
    }

    /// Takes the first key that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let by_key = &self.by_key;
        let key = self.queue.pop_due(now, |key, at| by_key.get(key) == Some(&at))?;
        self.by_key.remove(&key);
        self.settle();
        Some(key)
    }

    /// How many are waiting.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    fn settle(&mut self) {
        let by_key = &self.by_key;
        self.queue.settle(|key, at| by_key.get(key) == Some(&at));
    }
}

/// Deadlines in order of time, then of key, for who keeps beside each key when it is due: what `holds` asks.
///
/// Most timers are cancelled or set anew long before they are due, so an entry that no longer holds stays where it is until its time
/// comes near. Entries lie in slots of time, and are put in order when theirs is the first.
#[derive(Clone, Debug)]
pub struct Queue<K> {
    /// None is empty.
    slots: BTreeMap<u64, Slot<K>>,
    /// Entries in all slots.
    queued: usize,
    /// Those that hold.
    live: usize,
    /// The first that holds, or one before it that no longer does while the queue is unsettled.
    first: Option<(Instant, K)>,
    unsettled: bool,
}

/// The entries of one slot.
#[derive(Clone, Debug)]
enum Slot<K> {
    Loose(Vec<Reverse<(Instant, K)>>),
    InOrder(BinaryHeap<Reverse<(Instant, K)>>),
}

/// A slot is 2^28 ns, about a quarter of a second.
const SLOT_BITS: u32 = 28;
/// Entries that no longer hold may be as many as those that do, and so many more.
const STALE: usize = 1024;

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            queued: 0,
            live: 0,
            first: None,
            unsettled: false,
        }
    }
}

impl<K: Copy + Ord> Queue<K> {
    /// `key` is due at `at` from now on, and no longer at `before`.
    pub fn set(&mut self, key: K, at: Instant, before: Option<Instant>) {
        self.live += usize::from(before.is_none());
        if before == Some(at) {
            return;
        }
        let entry = Reverse((at, key));
        match self.slots.entry(at.0 >> SLOT_BITS) {
            Entry::Vacant(slot) => {
                slot.insert(Slot::Loose(vec![entry]));
            }
            Entry::Occupied(slot) => match slot.into_mut() {
                Slot::Loose(entries) => entries.push(entry),
                Slot::InOrder(entries) => entries.push(entry),
            },
        }
        self.queued += 1;
        if self.first.is_none_or(|first| (at, key) < first) {
            self.first = Some((at, key));
        }
        if let Some(before) = before {
            self.left(before);
        }
    }

    /// `key`, which was due at `at`, no longer is. If its entry is the last of its slot, as that of a request that is answered at once,
    /// it is taken out: nobody has to ask later whether it holds.
    pub fn cancel(&mut self, key: K, at: Instant) {
        self.live -= 1;
        if let Entry::Occupied(mut slot) = self.slots.entry(at.0 >> SLOT_BITS)
            && let Slot::Loose(entries) = slot.get_mut()
            && entries.pop_if(|last| last.0 == (at, key)).is_some()
        {
            self.queued -= 1;
            if entries.is_empty() {
                slot.remove();
            }
        }
        self.left(at);
    }

    fn left(&mut self, at: Instant) {
        self.unsettled |= self.first.is_some_and(|(first, _)| first == at) || self.has_many_stale();
    }

    fn has_many_stale(&self) -> bool {
        self.queued > 2 * self.live + STALE
    }

    /// The first deadline; while something was cancelled since [`Queue::settle`] perhaps an earlier time.
    pub const fn next(&self) -> Option<(Instant, K)> {
        self.first
    }

    /// Keys that are due some time.
    pub const fn len(&self) -> usize {
        self.live
    }

    /// True when there is none.
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Takes the first key that is due at `now`: it no longer is.
    pub fn pop_due(&mut self, now: Instant, holds: impl Fn(&K, Instant) -> bool) -> Option<K> {
        self.settle(&holds);
        self.first.filter(|(at, _)| *at <= now)?;
        // One that was set last may have begun a slot.
        self.find_first(&holds);
        self.unsettled = true;
        let mut slot = self.slots.first_entry()?;
        let Slot::InOrder(entries) = slot.get_mut() else {
            unreachable!("the first slot is in order")
        };
        entries.peek().filter(|Reverse((at, _))| *at <= now)?;
        let Reverse((_, key)) = entries.pop()?;
        self.queued -= 1;
        self.live -= 1;
        Some(key)
    }

    /// Makes [`Queue::next`] exact, and takes out what no longer holds where that is much.
    pub fn settle(&mut self, holds: impl Fn(&K, Instant) -> bool) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        if self.has_many_stale() {
            self.clean(&holds);
        }
        self.find_first(&holds);
        self.first = match self.slots.first_key_value() {
            Some((_, Slot::InOrder(entries))) => entries.peek().map(|Reverse(entry)| *entry),
            Some((_, Slot::Loose(_))) | None => None,
        };
    }

    /// Sees to it that the first slot is in order and its first entry holds.
    fn find_first(&mut self, holds: &impl Fn(&K, Instant) -> bool) {
        let holds = |Reverse((at, key)): &Reverse<(Instant, K)>| holds(key, *at);
        while let Some(mut first) = self.slots.first_entry() {
            if let Slot::Loose(entries) = first.get_mut() {
                let all = entries.len();
                entries.retain(holds);
                self.queued -= all - entries.len();
                let in_order = std::mem::take(entries).into();
                *first.get_mut() = Slot::InOrder(in_order);
            }
            let Slot::InOrder(entries) = first.get_mut() else {
                continue;
            };
            while let Some(entry) = entries.peek() {
                if holds(entry) {
                    return;
                }
                entries.pop();
                self.queued -= 1;
            }
            first.remove();
        }
    }

    /// Takes out all entries that no longer hold.
    fn clean(&mut self, holds: &impl Fn(&K, Instant) -> bool) {
        let holds = |Reverse((at, key)): &Reverse<(Instant, K)>| holds(key, *at);
        let mut queued = 0;
        self.slots.retain(|_, slot| {
            let left = match slot {
                Slot::Loose(entries) => {
                    entries.retain(holds);
                    entries.shrink_to_fit();
                    entries.len()
                }
                Slot::InOrder(entries) => {
                    entries.retain(holds);
                    entries.len()
                }
            };
            queued += left;
            left > 0
        });
        self.queued = queued;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let date = |millis| Wall(millis).civil().to_string();
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(951_782_400_000), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(1_795_352_759_000), "Sun, 22 Nov 2026 13:05:59 GMT");
        assert_eq!(date(4_107_542_400_000), "Mon, 01 Mar 2100 00:00:00 GMT");
    }

    #[test]
    fn a_key_has_one_deadline_and_the_last_set_wins() {
        let mut queue = Deadlines::default();
        let at = |ms: u64| Instant::ZERO + Duration::from_millis(ms);
        queue.set('a', at(5));
        queue.set('b', at(3));
        queue.set('a', at(1));
        assert_eq!(queue.next(), Some((at(1), 'a')));
        assert_eq!(queue.pop_due(at(2)), Some('a'));
        assert_eq!(queue.pop_due(at(2)), None);
        assert!(queue.cancel('b'));
        assert!(queue.is_empty() && queue.next().is_none());
    }

    /// Whatever is set and cancelled in whatever order, near and far: what comes out is what a sorted set would give.
    #[test]
    fn deadlines_come_in_order_of_time_then_key() {
        use rand_chacha::ChaCha12Rng;
        use rand_chacha::rand_core::{RngCore, SeedableRng};
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let (mut queue, mut model) = (Deadlines::default(), BTreeMap::new());
        let mut now = Instant::ZERO;
        for _ in 0..200_000 {
            let (dice, key) = (rng.next_u32() % 100, rng.next_u32() % 3_000);
            match dice {
                0..55 => {
                    let spread = [1, 1_000_000, 500_000_000, 32_000_000_000][(rng.next_u32() % 4) as usize];
                    let at = now + Duration::from_nanos(spread * u64::from(rng.next_u32() % 8));
                    queue.set(key, at);
                    model.insert(key, at);
                }
                55..90 => assert_eq!(queue.cancel(key), model.remove(&key).is_some()),
                _ => {
                    now += Duration::from_millis(u64::from(rng.next_u32() % 40));
                    let first = model
                        .iter()
                        .map(|(key, at)| (*at, *key))
                        .min()
                        .filter(|(at, _)| *at <= now);
                    let popped = queue.pop_due(now);
                    assert_eq!(popped, first.map(|(_, key)| key));
                    popped.and_then(|key| model.remove(&key));
                }
            }
            assert_eq!((queue.len(), queue.get(key)), (model.len(), model.get(&key).copied()));
            if dice % 16 == 0 {
                assert_eq!(queue.next(), model.iter().map(|(key, at)| (*at, *key)).min());
            }
        }
    }

    #[test]
    fn what_is_cancelled_at_once_is_looked_at_no_more() {
        let mut queue = Queue::default();
        let at = |ms: u64| Instant::ZERO + Duration::from_millis(ms);
        queue.set('a', at(40_000), None);
        queue.set('b', at(40_000), None);
        queue.cancel('b', at(40_000));
        assert_eq!((queue.queued, queue.len()), (1, 1));
        queue.set('c', at(3_500), None);
        queue.cancel('c', at(3_500));
        queue.settle(|key, _| *key == 'a');
        assert_eq!(
            (queue.queued, queue.slots.len(), queue.next()),
            (1, 1, Some((at(40_000), 'a')))
        );
    }

    #[test]
    fn what_is_cancelled_takes_no_room_for_long() {
        let mut queue = Deadlines::default();
        for nth in 0..100_000u64 {
            queue.set(nth, Instant::ZERO + Duration::from_secs(7_200 + nth % 7));
            queue.cancel(nth);
            assert!(queue.queue.queued <= STALE + 1);
        }
    }
}
