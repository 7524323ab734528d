//! The URLs that are told something: who wakes phones, and who wakes clients. Each has places of its own, so that a slow one keeps nobody
//! waiting but its own.

use super::{Context, post};
use crate::effect::{Hook, Post};
use crate::limits;
use crate::shell::clock::SystemClock;
use crate::time::Instant;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

/// Both.
pub(super) struct Hooks {
    phones: Arc<Place>,
    clients: Arc<Place>,
}

/// One of them.
struct Place {
    clock: SystemClock,
    free: Arc<Semaphore>,
    told: Mutex<Told>,
}

/// What the log has of it.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    /// What failed since and was not told.
    unsaid: u64,
}

impl Hooks {
    pub(super) fn new() -> Hooks {
        let clock = SystemClock::start();
        let place = || {
            Arc::new(Place {
                clock,
                free: Arc::new(Semaphore::new(limits::POSTS)),
                told: Mutex::default(),
            })
        };
        Hooks {
            phones: place(),
            clients: place(),
        }
    }

    /// What tells it, and is true where it was taken; none where too many are under way.
    pub(super) fn post(&self, post: Post, context: Arc<Context>) -> Option<impl Future<Output = bool> + Send + use<>> {
        let place = match post.hook {
            Hook::Phones => &self.phones,
            Hook::Clients => &self.clients,
        };
        match place.free.clone().try_acquire_owned() {
            Ok(permit) => Some(place.clone().tell(post, context, permit)),
            Err(_) => {
                place.failed(
                    &post,
                    &format!("{} requests to it wait for an answer already", limits::POSTS),
                );
                None
            }
        }
    }
}

impl Place {
    async fn tell(self: Arc<Place>, post: Post, context: Arc<Context>, _permit: OwnedSemaphorePermit) -> bool {
        let taken = post::post(&post, &context).await;
        if let Err(why) = &taken {
            self.failed(&post, why);
        }
        taken.is_ok()
    }

    /// One line for the first, and at most one a minute for all that follow.
    fn failed(&self, post: &Post, why: &str) {
        let Ok(mut told) = self.told.lock() else { return };
        let now = self.clock.instant();
        if told.last.is_some_and(|last| now.since(last) < limits::POST_TOLD) {
            told.unsaid += 1;
            return;
        }
        let more = match std::mem::take(&mut told.unsaid) {
            0 => String::new(),
            more => format!("; {more} more have failed since this was told last"),
        };
        told.last = Some(now);
        let (what, key) = match post.hook {
            Hook::Phones => ("phones", "push"),
            Hook::Clients => ("clients", "api.push"),
        };
        let host = &post.url.host;
        warn!("who wakes {what} ({host}, `{key}`) has not taken a request, so nobody was woken: {why}{more}");
    }
}
