//! Requests that come twice are done once (`Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header): the answer is kept for a while.

use super::problem::{Kind, Problem};
use super::wire::Response;
use crate::limits;
use crate::time::Instant;
use std::collections::VecDeque;

/// What somebody has asked for lately.
#[derive(Debug, Default)]
pub(super) struct Once(VecDeque<Done>);

#[derive(Debug)]
struct Done {
    key: Box<str>,
    /// Of what was asked for.
    print: u128,
    response: Response,
    at: Instant,
}

/// The key as it is compared: quotes around it (RFC 8941 3.3.3) mean nothing.
pub(super) fn key(text: &str) -> Result<&str, Problem> {
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = bare.unwrap_or(text);
    let good =
        (1..=limits::API_KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    let bad = || {
        let most = limits::API_KEY_BYTES;
        Problem::new(
            Kind::BadBody,
            format!("Idempotency-Key: 1 to {most} visible characters are taken"),
        )
    };
    good.then_some(key).ok_or_else(bad)
}

impl Once {
    /// The answer that this request had before, if it is the same.
    pub(super) fn find(&mut self, key: &str, print: u128, now: Instant) -> Result<Option<Response>, Problem> {
        while self
            .0
            .front()
            .is_some_and(|oldest| now.since(oldest.at) >= limits::API_ONCE_LASTS)
        {
            self.0.pop_front();
        }
        match self.0.iter().find(|done| *done.key == *key) {
            None => Ok(None),
            Some(done) if done.print == print => {
                let mut response = done.response.clone();
                response.headers.push(("Idempotency-Replayed", "true".to_owned()));
                Ok(Some(response))
            }
            Some(_) => Err(Problem::new(Kind::KeyReused, "take a new key for each request")),
        }
    }

    /// Keeps an answer; the oldest of `most` makes room. One that is of the moment is not kept: who asks again with the same key wants to
    /// know whether it goes now (429, 5xx).
    pub(super) fn keep(&mut self, key: &str, print: u128, response: &Response, most: usize, now: Instant) {
        if response.status == 429 || response.status >= 500 {
            return;
        }
        if self.0.len() >= most {
            self.0.pop_front();
        }
        self.0.push_back(Done {
            key: key.into(),
            print,
            response: response.clone(),
            at: now,
        });
    }
}
