//! The client transaction of every method but INVITE and ACK (RFC 3261 17.1.2).
//!
//! ```text
//!                                 | request from user: send
//!             timer E: send       v
//!             +-------------+----------+  timer F, transport: tell user
//!             +-----------> |  Trying  | --------------------------+
//!                           +----------+                           |
//!                1xx: tell   |        |  200-699: tell             |
//!             +--------------+        +----------+                 |
//!             v                                  |                 |
//!      +------------+ timer E: send              |                 |
//!      |            | ---+  1xx: tell            |                 |
//!      | Proceeding | <--+                       |                 |
//!      |            | timer F, transport: tell user                |
//!      |            | -------------------------- | -------------+  |
//!      +------------+                            v              |  |
//!             | 200-699: tell             +-----------+         |  |
//!             +-------------------------> | Completed |         |  |
//!                                         +-----------+         |  |
//!                                               | timer K       |  |
//!                                               v               v  v
//!                                         +----------------------------+
//!                                         |         Terminated         |
//!                                         +----------------------------+
//! ```

use super::Failure;
use super::timer::{Action, Actions, Timer};
use crate::time::{T1, T1_64, T2, T4};
use smallvec::smallvec;
use std::time::Duration;

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing came back.
    Trying {
        /// What timer E last waited.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// The final response came: its copies are absorbed.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Timer E.
    TimerE,
    /// Timer F.
    TimerF,
    /// Timer K.
    TimerK,
    /// 100 to 199.
    Provisional,
    /// 200 to 699.
    Final,
    /// The transport failed.
    Broken,
}

impl State {
    /// The user has given the request.
    pub fn start(reliable: bool) -> (State, Actions) {
        let mut actions: Actions = smallvec![Action::Send, Action::Start(Timer::F, T1_64)];
        if !reliable {
            actions.push(Action::Start(Timer::E, T1));
        }
        (State::Trying { interval: T1 }, actions)
    }

    /// What happens next.
    pub fn step(self, input: Input, reliable: bool) -> (State, Actions) {
        match (self, input) {
            (State::Trying { interval }, Input::TimerE) => {
                let interval = (interval * 2).min(T2);
                (
                    State::Trying { interval },
                    smallvec![Action::Send, Action::Start(Timer::E, interval)],
                )
            }
            // Timer E goes on as it was set; only its next round is T2 (RFC 3261 17.1.2.2).
            (State::Trying { .. } | State::Proceeding, Input::Provisional) => {
                (State::Proceeding, smallvec![Action::Tell])
            }
            (State::Proceeding, Input::TimerE) => (self, smallvec![Action::Send, Action::Start(Timer::E, T2)]),
            (State::Trying { .. } | State::Proceeding, Input::TimerF) => {
                (State::Terminated, smallvec![Action::Fail(Failure::Timeout)])
            }
            (State::Trying { .. } | State::Proceeding, Input::Broken) => {
                (State::Terminated, smallvec![Action::Fail(Failure::Transport)])
            }
            (State::Trying { .. } | State::Proceeding, Input::Final) => Self::completed(reliable),
            (State::Completed, Input::TimerK | Input::Broken) => (State::Terminated, smallvec![]),
            (State::Trying { .. } | State::Proceeding, Input::TimerK) => (self, smallvec![]),
            (State::Completed, Input::TimerE | Input::TimerF | Input::Provisional | Input::Final) => {
                (self, smallvec![])
            }
            (State::Terminated, _) => (self, smallvec![]),
        }
    }

    /// Timer K is zero over a reliable transport.
    fn completed(reliable: bool) -> (State, Actions) {
        let mut actions: Actions = smallvec![Action::Stop(Timer::E), Action::Stop(Timer::F)];
        if !reliable {
            actions.push(Action::Start(Timer::K, T4));
        }
        actions.push(Action::Tell);
        (if reliable { State::Terminated } else { State::Completed }, actions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Fail, Send, Start, Stop, Tell};

    const TRYING: State = State::Trying { interval: T1 };

    #[test]
    fn trying_repeats_up_to_t2() {
        let (mut state, actions) = State::start(false);
        assert_eq!(actions.as_slice(), [Send, Start(Timer::F, T1_64), Start(Timer::E, T1)]);
        let mut waits = Vec::new();
        for _ in 0..5 {
            let (next, actions) = state.step(Input::TimerE, false);
            let [Send, Start(Timer::E, wait)] = actions.as_slice() else {
                panic!("{actions:?}")
            };
            waits.push(wait.as_millis());
            state = next;
        }
        assert_eq!(waits, [1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn the_table() {
        use Input::*;
        let row = |state: State, input| state.step(input, false);
        assert_eq!(State::start(true).1.as_slice(), [Send, Start(Timer::F, T1_64)]);
        let completed: Actions = smallvec![Stop(Timer::E), Stop(Timer::F), Start(Timer::K, T4), Tell];
        for state in [TRYING, State::Proceeding] {
            assert_eq!(row(state, Provisional), (State::Proceeding, smallvec![Tell]));
            assert_eq!(row(state, Final), (State::Completed, completed.clone()));
            assert_eq!(
                row(state, TimerF),
                (State::Terminated, smallvec![Fail(Failure::Timeout)])
            );
            assert_eq!(
                row(state, Broken),
                (State::Terminated, smallvec![Fail(Failure::Transport)])
            );
            assert_eq!(row(state, TimerK), (state, smallvec![]));
        }
        assert_eq!(
            row(State::Proceeding, TimerE),
            (State::Proceeding, smallvec![Send, Start(Timer::E, T2)])
        );
        assert_eq!(row(State::Completed, TimerK), (State::Terminated, smallvec![]));
        assert_eq!(row(State::Completed, Broken), (State::Terminated, smallvec![]));
        for input in [TimerE, TimerF, Provisional, Final] {
            assert_eq!(row(State::Completed, input), (State::Completed, smallvec![]));
        }
        for input in [TimerE, TimerF, TimerK, Provisional, Final, Broken] {
            assert_eq!(row(State::Terminated, input), (State::Terminated, smallvec![]));
        }
        let at_once: Actions = smallvec![Stop(Timer::E), Stop(Timer::F), Tell];
        assert_eq!(TRYING.step(Final, true), (State::Terminated, at_once));
    }
}
