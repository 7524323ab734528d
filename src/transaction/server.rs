//! The server transaction of every method but INVITE and ACK (RFC 3261 17.2.2 with RFC 4320).
//!
//! RFC 4320 leaves one provisional response, 100, and no final 408: a client hears 100 when its repeats have come to T2, and
//! an answer that would come after the client's timer F is not sent at all.
//!
//! ```text
//!                         | request: user told
//!      request again:     v
//!      absorbed     +----------+ 200-699 from user: send
//!            +----- |  Trying  | ---------------------------+
//!            +----> |          |                            |
//!                   +----------+                            |
//!                     |      | timer late, 408 from user    |
//!      slow: send 100 |      +---------------------------+  |
//!                     v                                  |  |
//!              +------------+ 200-699 from user: send    |  |
//!      request:|            | ---------------------------|--+
//!      send +--| Proceeding |                            |  |
//!           +->|            | timer late, 408 from user  |  |
//!              |            | ---------------------------+  |
//!              +------------+                            |  v
//!                                                        | +-----------+ request: send
//!                                                        | | Completed | ---+
//!                                                        | |           | <--+
//!                                                        | +-----------+
//!                                                        |      | timer J
//!                                                        v      v
//!                                                      +------------+
//!                                                      | Terminated |
//!                                                      +------------+
//! ```

use super::timer::{Action, Actions, Timer};
use crate::time::{T1, T1_64};
use smallvec::smallvec;
use std::time::Duration;

/// When the client's timer E has come to T2: after 0.5, 1 and 2 s (RFC 4320 4.1).
const SLOW: Duration = T1.saturating_mul(7);

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No response was sent.
    Trying,
    /// 100 was sent.
    Proceeding,
    /// The final response was sent.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The request again.
    Request,
    /// The user answers 200 to 699, not 408.
    Final,
    /// The user answers 408.
    RequestTimeout,
    /// The user has not answered for 3.5 s.
    TimerSlow,
    /// The user has not answered for 64*T1.
    TimerLate,
    /// Timer J.
    TimerJ,
}

impl State {
    /// The request was accepted. Timer late follows timer slow, since most requests are answered before both.
    pub fn start() -> (State, Actions) {
        (State::Trying, smallvec![Action::Start(Timer::Slow, SLOW)])
    }

    /// What happens next. A response of the user is kept by the layer before `Action::Send`.
    pub fn step(self, input: Input, reliable: bool) -> (State, Actions) {
        match (self, input) {
            (State::Trying, Input::TimerSlow) => (
                State::Proceeding,
                smallvec![Action::Trying, Action::Start(Timer::Late, T1_64 - SLOW)],
            ),
            (State::Trying | State::Proceeding, Input::Final) => Self::completed(reliable),
            (State::Trying | State::Proceeding, Input::RequestTimeout | Input::TimerLate) => (
                State::Terminated,
                smallvec![Action::Stop(Timer::Slow), Action::Stop(Timer::Late)],
            ),
            (State::Proceeding | State::Completed, Input::Request) => (self, smallvec![Action::Send]),
            (State::Completed, Input::TimerJ) => (State::Terminated, smallvec![]),
            (State::Trying, Input::Request | Input::TimerJ) => (self, smallvec![]),
            (State::Proceeding, Input::TimerSlow | Input::TimerJ) => (self, smallvec![]),
            (State::Completed, Input::Final | Input::RequestTimeout) => (self, smallvec![]),
            (State::Completed, Input::TimerSlow | Input::TimerLate) => (self, smallvec![]),
            (State::Terminated, _) => (self, smallvec![]),
        }
    }

    /// Timer J is zero over a reliable transport.
    fn completed(reliable: bool) -> (State, Actions) {
        let mut actions: Actions = smallvec![Action::Stop(Timer::Slow), Action::Stop(Timer::Late), Action::Send];
        if reliable {
            return (State::Terminated, actions);
        }
        actions.push(Action::Start(Timer::J, T1_64));
        (State::Completed, actions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Send, Start, Stop};

    #[test]
    fn the_table() {
        use Input::*;
        let row = |state: State, input| state.step(input, false);
        let wait = Duration::from_millis;
        assert_eq!(
            State::start(),
            (State::Trying, smallvec![Start(Timer::Slow, wait(3500))])
        );
        let late: Actions = smallvec![Action::Trying, Start(Timer::Late, wait(28_500))];
        assert_eq!(row(State::Trying, TimerSlow), (State::Proceeding, late));
        assert_eq!(row(State::Trying, Request), (State::Trying, smallvec![]));
        assert_eq!(row(State::Proceeding, Request), (State::Proceeding, smallvec![Send]));
        let stops = [Stop(Timer::Slow), Stop(Timer::Late)];
        for state in [State::Trying, State::Proceeding] {
            let completed: Actions = smallvec![stops[0], stops[1], Send, Start(Timer::J, T1_64)];
            assert_eq!(row(state, Final), (State::Completed, completed));
            assert_eq!(
                state.step(Final, true),
                (State::Terminated, smallvec![stops[0], stops[1], Send])
            );
            for input in [RequestTimeout, TimerLate] {
                assert_eq!(row(state, input), (State::Terminated, smallvec![stops[0], stops[1]]));
            }
            assert_eq!(row(state, TimerJ), (state, smallvec![]));
        }
        assert_eq!(row(State::Proceeding, TimerSlow), (State::Proceeding, smallvec![]));
        assert_eq!(row(State::Completed, Request), (State::Completed, smallvec![Send]));
        assert_eq!(row(State::Completed, TimerJ), (State::Terminated, smallvec![]));
        for input in [Final, RequestTimeout, TimerSlow, TimerLate] {
            assert_eq!(row(State::Completed, input), (State::Completed, smallvec![]));
        }
        for input in [Request, Final, RequestTimeout, TimerSlow, TimerLate, TimerJ] {
            assert_eq!(row(State::Terminated, input), (State::Terminated, smallvec![]));
        }
    }
}
