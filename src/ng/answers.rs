//! Answers that are kept for a while: a command that comes again, since its answer was lost, is not done again.

use crate::limits;
use crate::time::Instant;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Who asked, and how it called its question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asker {
    /// Where the answer goes.
    pub peer: SocketAddr,
    /// What it begins with.
    pub cookie: Box<[u8]>,
}

/// What is known of a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// It is new, and noted from now on.
    New,
    /// Its answer is being made.
    Waits,
    /// It was answered so.
    Answered(Bytes),
}

/// Questions of the last seconds.
#[derive(Debug, Default)]
pub struct Answers {
    kept: BTreeMap<Asker, Option<Bytes>>,
    /// In the order in which they came.
    order: VecDeque<(Instant, Asker)>,
    octets: usize,
}

impl Answers {
    /// Looks a question up.
    pub fn look(&mut self, now: Instant, asker: &Asker) -> Known {
        self.forget(now, 1);
        match self.kept.get(asker) {
            Some(Some(answer)) => Known::Answered(answer.clone()),
            Some(None) => Known::Waits,
            None => {
                self.kept.insert(asker.clone(), None);
                self.order.push_back((now, asker.clone()));
                Known::New
            }
        }
    }

    /// Keeps an answer.
    pub fn keep(&mut self, now: Instant, asker: &Asker, answer: &Bytes) {
        if let Some(kept) = self.kept.get_mut(asker) {
            self.octets += answer.len();
            self.octets -= kept.replace(answer.clone()).map_or(0, |before| before.len());
        }
        self.forget(now, 0);
    }

    /// Makes room for so many.
    fn forget(&mut self, now: Instant, more: usize) {
        while let Some((since, _)) = self.order.front() {
            let is_old = now.since(*since) >= limits::NG_KEPT;
            let is_full = self.order.len() + more > limits::NG_ANSWERS || self.octets > limits::NG_ANSWER_BYTES;
            if !is_old && !is_full {
                return;
            }
            if let Some((_, asker)) = self.order.pop_front() {
                let answer = self.kept.remove(&asker).flatten();
                self.octets -= answer.map_or(0, |answer| answer.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn asker(number: usize) -> Asker {
        Asker {
            peer: ([127, 0, 0, 1], 9).into(),
            cookie: number.to_string().into_bytes().into(),
        }
    }

    #[test]
    fn a_question_is_new_once_until_it_is_forgotten() {
        let (mut answers, start) = (Answers::default(), Instant::ZERO);
        let (one, answer) = (asker(1), Bytes::from_static(b"1 de"));
        assert_eq!(answers.look(start, &one), Known::New);
        assert_eq!(answers.look(start, &one), Known::Waits);
        answers.keep(start, &one, &answer);
        assert_eq!(answers.look(start, &one), Known::Answered(answer.clone()));
        let other = Asker {
            peer: ([127, 0, 0, 1], 10).into(),
            ..one.clone()
        };
        assert_eq!(answers.look(start, &other), Known::New);
        assert_eq!(
            answers.look(start + (limits::NG_KEPT - Duration::from_millis(1)), &one),
            Known::Answered(answer)
        );
        assert_eq!(answers.look(start + limits::NG_KEPT, &one), Known::New);
    }

    #[test]
    fn what_is_kept_has_bounds() {
        let (mut answers, now) = (Answers::default(), Instant::ZERO);
        let large = Bytes::from(vec![0; 60_000]);
        for number in 0..2 * limits::NG_ANSWERS {
            assert_eq!(answers.look(now, &asker(number)), Known::New);
            answers.keep(now, &asker(number), &large);
            assert!(answers.octets <= limits::NG_ANSWER_BYTES && answers.kept.len() == answers.order.len());
        }
        for number in 0..2 * limits::NG_ANSWERS {
            answers.look(now, &asker(100_000 + number));
        }
        assert_eq!((answers.kept.len(), answers.octets), (limits::NG_ANSWERS, 0));
    }
}
