//! Lines that arrive, and waiting for one of them.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// What somebody said so far, line by line; threads write, tests wait.
#[derive(Default)]
pub struct Journal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    /// Writers that may still add lines.
    writers: usize,
}

impl Journal {
    /// A journal with so many writers.
    pub fn new(writers: usize) -> Journal {
        let state = State {
            lines: Vec::new(),
            writers,
        };
        Journal {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Adds a line.
    pub fn push(&self, line: String) {
        self.state.lock().unwrap().lines.push(line);
        self.changed.notify_all();
    }

    /// A writer has no more to say.
    pub fn close(&self) {
        self.state.lock().unwrap().writers -= 1;
        self.changed.notify_all();
    }

    /// All lines so far.
    pub fn text(&self) -> String {
        self.state.lock().unwrap().lines.join("\n")
    }

    /// How many lines contain `what`.
    pub fn count(&self, what: &str) -> usize {
        self.state
            .lock()
            .unwrap()
            .lines
            .iter()
            .filter(|line| line.contains(what))
            .count()
    }

    /// Waits until so many lines contain `what`, be they old or new. False if they do not come, or can't come any more.
    pub fn wait(&self, what: &str, times: usize, within: Duration) -> bool {
        let count = |state: &State| state.lines.iter().filter(|line| line.contains(what)).count();
        let state = self.state.lock().unwrap();
        let still = |state: &mut State| count(state) < times && state.writers > 0;
        let (state, _) = self.changed.wait_timeout_while(state, within, still).unwrap();
        count(&state) >= times
    }

    /// Waits until nobody writes any more.
    pub fn wait_closed(&self, within: Duration) -> bool {
        let state = self.state.lock().unwrap();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, within, |state| state.writers > 0)
            .unwrap();
        state.writers == 0
    }
}
