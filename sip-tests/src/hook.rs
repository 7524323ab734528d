//! The URL that wakes phones: what it is told, and what it says.

use std::time::Duration;
use tandem::effect::Post;

/// What it says to a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// 2xx after this time.
    Yes(Duration),
    /// Anything else after this time.
    No(Duration),
    /// Nothing.
    Silence,
}

/// The hook.
#[derive(Debug)]
pub struct Hook {
    /// What it says from now on.
    pub says: Says,
    /// What it was told, in order.
    pub told: Vec<Post>,
}

impl Default for Hook {
    fn default() -> Hook {
        Hook {
            says: Says::Yes(Duration::from_millis(20)),
            told: Vec::new(),
        }
    }
}

impl Hook {
    /// A POST: after which time it is answered, and whether it was taken.
    pub(crate) fn post(&mut self, post: Post) -> Option<(Duration, bool)> {
        self.told.push(post);
        match self.says {
            Says::Yes(after) => Some((after, true)),
            Says::No(after) => Some((after, false)),
            Says::Silence => None,
        }
    }

    /// One field of a JSON object that it was told; YAML reads all of JSON.
    pub fn field(&self, nth: usize, name: &str) -> Option<String> {
        let body = std::str::from_utf8(&self.told.get(nth)?.body).ok()?;
        let object: serde_yaml::Value = serde_yaml::from_str(body).ok()?;
        object.get(name)?.as_str().map(str::to_owned)
    }
}
