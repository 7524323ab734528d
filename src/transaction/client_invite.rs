//! The INVITE client transaction (RFC 3261 17.1.1 as replaced by RFC 6026 8.4).
//!
//! ```text
//!                                   | INVITE from user: send
//!              timer A: send        v
//!              +---------------+---------+  timer B, transport: tell user
//!              +-------------> | Calling | ---------------------------------------+
//!                              +---------+                                        |
//!                 1xx: tell  |      |     | 2xx: tell                             |
//!             +--------------+      |     +-----------------------+               |
//!             v                     |                             |               |
//!      +------------+ 1xx: tell     |                             |               |
//!      | Proceeding | ---+          | 300-699: ACK, tell          |               |
//!      |            | <--+          |                             |               |
//!      +------------+               |                             |               |
//!        |   |   | 300-699:         v                             v               |
//!        |   |   | ACK, tell  +-----------+                 +----------+ 2xx:     |
//!        |   |   +----------> | Completed | --+ 300-699:    | Accepted | --+ tell |
//!        |   |                |           | <-+ ACK         |          | <-+      |
//!        |   | 2xx: tell      +-----------+                 +----------+          |
//!        |   +---------------------|----------------------------> ^  |            |
//!        |                         | timer D                         | timer M    |
//!        | cancelled 64 T1 ago:    v                                 v            |
//!        |  tell user       +------------+                           |            |
//!        +----------------> | Terminated | <-------------------------+------------+
//!                           +------------+
//! ```

use super::Failure;
use super::timer::{Action, Actions, Timer};
use crate::time::{T1, T1_64};
use smallvec::smallvec;
use std::time::Duration;

/// Timer D over datagrams: at least 32 s (RFC 3261 17.1.1.2).
const D: Duration = Duration::from_secs(32);

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing came back.
    Calling {
        /// What timer A last waited.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A failure came: its copies are acknowledged.
    Completed,
    /// A 2xx came: its copies and those of other forks go to the user.
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Timer A.
    TimerA,
    /// Timer B.
    TimerB,
    /// Timer D.
    TimerD,
    /// Timer M.
    TimerM,
    /// CANCEL was sent 64*T1 ago.
    TimerCancelled,
    /// 100 to 199.
    Provisional,
    /// 200 to 299.
    Success,
    /// 300 to 699.
    Failure,
    /// The transport failed.
    Broken,
}

impl State {
    /// The user has given the INVITE.
    pub fn start(reliable: bool) -> (State, Actions) {
        let mut actions: Actions = smallvec![Action::Send, Action::Start(Timer::B, T1_64)];
        if !reliable {
            actions.push(Action::Start(Timer::A, T1));
        }
        (State::Calling { interval: T1 }, actions)
    }

    /// What happens next.
    pub fn step(self, input: Input, reliable: bool) -> (State, Actions) {
        match self {
            State::Calling { interval } => Self::calling(interval, input, reliable),
            State::Proceeding => self.proceeding(input, reliable),
            State::Completed => match input {
                Input::Failure => (self, smallvec![Action::Send]),
                Input::TimerD | Input::Broken => (State::Terminated, smallvec![]),
                Input::TimerA | Input::TimerB | Input::TimerM | Input::TimerCancelled => (self, smallvec![]),
                Input::Provisional | Input::Success => (self, smallvec![]),
            },
            State::Accepted => match input {
                Input::Success => (self, smallvec![Action::Tell]),
                Input::TimerM => (State::Terminated, smallvec![]),
                Input::TimerA | Input::TimerB | Input::TimerD | Input::TimerCancelled => (self, smallvec![]),
                // The answer is there; a flow that breaks now is the dialog's business.
                Input::Provisional | Input::Failure | Input::Broken => (self, smallvec![]),
            },
            State::Terminated => (self, smallvec![]),
        }
    }

    fn calling(interval: Duration, input: Input, reliable: bool) -> (State, Actions) {
        let (stop_a, stop_b) = (Action::Stop(Timer::A), Action::Stop(Timer::B));
        match input {
            Input::TimerA => {
                let interval = interval * 2;
                (
                    State::Calling { interval },
                    smallvec![Action::Send, Action::Start(Timer::A, interval)],
                )
            }
            Input::TimerB | Input::TimerCancelled => (State::Terminated, smallvec![Action::Fail(Failure::Timeout)]),
            Input::Broken => (State::Terminated, smallvec![Action::Fail(Failure::Transport)]),
            Input::Provisional => (State::Proceeding, smallvec![stop_a, stop_b, Action::Tell]),
            Input::Success => (
                State::Accepted,
                smallvec![stop_a, stop_b, Action::Start(Timer::M, T1_64), Action::Tell],
            ),
            Input::Failure => {
                let (next, mut actions) = Self::completed(reliable);
                actions.insert_from_slice(0, &[stop_a, stop_b]);
                (next, actions)
            }
            Input::TimerD | Input::TimerM => (State::Calling { interval }, smallvec![]),
        }
    }

    fn proceeding(self, input: Input, reliable: bool) -> (State, Actions) {
        let stop = Action::Stop(Timer::Cancelled);
        match input {
            Input::Provisional => (self, smallvec![Action::Tell]),
            Input::Success => (
                State::Accepted,
                smallvec![stop, Action::Start(Timer::M, T1_64), Action::Tell],
            ),
            Input::Failure => {
                let (next, mut actions) = Self::completed(reliable);
                actions.insert(0, stop);
                (next, actions)
            }
            Input::TimerCancelled => (State::Terminated, smallvec![Action::Fail(Failure::Timeout)]),
            Input::Broken => (State::Terminated, smallvec![Action::Fail(Failure::Transport)]),
            Input::TimerA | Input::TimerB | Input::TimerD | Input::TimerM => (self, smallvec![]),
        }
    }

    /// Timer D is zero over a reliable transport.
    fn completed(reliable: bool) -> (State, Actions) {
        match reliable {
            true => (State::Terminated, smallvec![Action::Ack, Action::Tell]),
            false => (
                State::Completed,
                smallvec![Action::Ack, Action::Start(Timer::D, D), Action::Tell],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Ack, Fail, Send, Start, Stop, Tell};

    const CALLING: State = State::Calling { interval: T1 };
    const INPUTS: [Input; 9] = [
        Input::TimerA,
        Input::TimerB,
        Input::TimerD,
        Input::TimerM,
        Input::TimerCancelled,
        Input::Provisional,
        Input::Success,
        Input::Failure,
        Input::Broken,
    ];

    #[test]
    fn calling_repeats_twice_as_late_each_time_until_timer_b() {
        let (state, actions) = State::start(false);
        assert_eq!(actions.as_slice(), [Send, Start(Timer::B, T1_64), Start(Timer::A, T1)]);
        let (state, actions) = state.step(Input::TimerA, false);
        assert_eq!(actions.as_slice(), [Send, Start(Timer::A, T1 * 2)]);
        let (state, actions) = state.step(Input::TimerA, false);
        assert_eq!(actions.as_slice(), [Send, Start(Timer::A, T1 * 4)]);
        let (state, actions) = state.step(Input::TimerB, false);
        assert_eq!(
            (state, actions.as_slice()),
            (State::Terminated, [Fail(Failure::Timeout)].as_slice())
        );
    }

    #[test]
    fn a_reliable_transport_repeats_nothing_and_completes_at_once() {
        let (state, actions) = State::start(true);
        assert_eq!(actions.as_slice(), [Send, Start(Timer::B, T1_64)]);
        let (state, actions) = state.step(Input::Failure, true);
        assert_eq!(state, State::Terminated);
        assert_eq!(actions.as_slice(), [Stop(Timer::A), Stop(Timer::B), Ack, Tell]);
    }

    #[test]
    fn the_table() {
        use Input::*;
        let row = |state: State, input| state.step(input, false);
        let stops = [Stop(Timer::A), Stop(Timer::B)];
        assert_eq!(
            row(CALLING, Provisional),
            (State::Proceeding, smallvec![stops[0], stops[1], Tell])
        );
        let accepted: Actions = smallvec![stops[0], stops[1], Start(Timer::M, T1_64), Tell];
        assert_eq!(row(CALLING, Success), (State::Accepted, accepted));
        let completed: Actions = smallvec![stops[0], stops[1], Ack, Start(Timer::D, D), Tell];
        assert_eq!(row(CALLING, Failure), (State::Completed, completed));
        assert_eq!(row(CALLING, Broken).1.as_slice(), [Fail(super::Failure::Transport)]);

        assert_eq!(
            row(State::Proceeding, Provisional),
            (State::Proceeding, smallvec![Tell])
        );
        let cancelled = Stop(Timer::Cancelled);
        let accepted: Actions = smallvec![cancelled, Start(Timer::M, T1_64), Tell];
        assert_eq!(row(State::Proceeding, Success), (State::Accepted, accepted));
        let completed: Actions = smallvec![cancelled, Ack, Start(Timer::D, D), Tell];
        assert_eq!(row(State::Proceeding, Failure), (State::Completed, completed));
        let gone: Actions = smallvec![Fail(super::Failure::Timeout)];
        assert_eq!(row(State::Proceeding, TimerCancelled), (State::Terminated, gone));

        assert_eq!(row(State::Completed, Failure), (State::Completed, smallvec![Send]));
        assert_eq!(row(State::Completed, TimerD), (State::Terminated, smallvec![]));
        assert_eq!(row(State::Accepted, Success), (State::Accepted, smallvec![Tell]));
        assert_eq!(row(State::Accepted, TimerM), (State::Terminated, smallvec![]));
    }

    #[test]
    fn what_the_diagram_does_not_show_changes_nothing() {
        use Input::*;
        let silent = [
            (CALLING, vec![TimerD, TimerM]),
            (State::Proceeding, vec![TimerA, TimerB, TimerD, TimerM]),
            (
                State::Completed,
                vec![TimerA, TimerB, TimerM, TimerCancelled, Provisional, Success],
            ),
            (
                State::Accepted,
                vec![TimerA, TimerB, TimerD, TimerCancelled, Provisional, Failure, Broken],
            ),
            (State::Terminated, INPUTS.to_vec()),
        ];
        for (state, inputs) in silent {
            for input in inputs {
                assert_eq!(state.step(input, false), (state, smallvec![]), "{state:?} {input:?}");
            }
        }
    }
}
