//! The INVITE server transaction (RFC 3261 17.2.1 as replaced by RFC 6026 7.1).
//!
//! ```text
//!                                  | INVITE: user told, 100 sent
//!      INVITE again,               v
//!      once a minute:   +------------------+ 101-199 from user: send
//!      last response    |    Proceeding    | ---+
//!            +--------- |                  | <--+
//!            +--------> +------------------+
//!                 300-699 |              | 2xx from user: send
//!      from user: send    |              +-----------------------+
//!                         v                                      v
//!                  +-----------+ timer G, INVITE: send     +----------+ INVITE: absorbed
//!                  | Completed | ---+                      | Accepted | ---+ 2xx from user: send
//!                  |           | <--+                      |          | <--+ ACK: to user
//!                  +-----------+                           +----------+
//!              ACK |     | timer H: tell user                   | timer L
//!                  v     +----------------------+               |
//!            +-----------+                      |               |
//!            | Confirmed | ACK, INVITE:         |               |
//!            |           | absorbed             |               |
//!            +-----------+                      |               |
//!                  | timer I                    v               v
//!                  |                       +------------------------+
//!                  +---------------------> |       Terminated       |
//!                                          +------------------------+
//! ```

use super::timer::{Action, Actions, Timer};
use crate::time::{T1, T1_64, T2, T4};
use smallvec::smallvec;
use std::time::Duration;

/// How often a ringing call shows the proxies on its way that it lives (RFC 3261 13.3.1.1).
const MINUTE: Duration = Duration::from_secs(60);

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No final response yet.
    Proceeding,
    /// A failure was sent, and is until ACK.
    Completed {
        /// What timer G last waited.
        interval: Duration,
    },
    /// The failure was acknowledged.
    Confirmed,
    /// A 2xx was sent.
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The INVITE again.
    Invite,
    /// An ACK.
    Ack,
    /// The user answers 101 to 199.
    Provisional,
    /// The user answers 200 to 299.
    Success,
    /// The user answers 300 to 699.
    Failure,
    /// Timer G.
    TimerG,
    /// Timer H.
    TimerH,
    /// Timer I.
    TimerI,
    /// Timer L.
    TimerL,
    /// A minute without a response.
    TimerMinute,
}

impl State {
    /// The INVITE was accepted; the response kept is the 100 (RFC 3261 17.2.1: at once, as nobody promises an answer within
    /// 200 ms).
    pub fn start() -> (State, Actions) {
        (
            State::Proceeding,
            smallvec![Action::Send, Action::Start(Timer::Minute, MINUTE)],
        )
    }

    /// What happens next. A response of the user that may be sent is kept by the layer before `Action::Send`.
    pub fn step(self, input: Input, reliable: bool) -> (State, Actions) {
        match self {
            State::Proceeding => self.proceeding(input, reliable),
            State::Completed { interval } => Self::completed(interval, input, reliable),
            State::Confirmed => match input {
                Input::TimerI => (State::Terminated, smallvec![]),
                Input::Invite | Input::Ack | Input::Provisional | Input::Success | Input::Failure => {
                    (self, smallvec![])
                }
                Input::TimerG | Input::TimerH | Input::TimerL | Input::TimerMinute => (self, smallvec![]),
            },
            State::Accepted => match input {
                Input::Success => (self, smallvec![Action::Send]),
                Input::Ack => (self, smallvec![Action::Tell]),
                Input::TimerL => (State::Terminated, smallvec![]),
                Input::Invite | Input::Provisional | Input::Failure => (self, smallvec![]),
                Input::TimerG | Input::TimerH | Input::TimerI | Input::TimerMinute => (self, smallvec![]),
            },
            State::Terminated => (self, smallvec![]),
        }
    }

    fn proceeding(self, input: Input, reliable: bool) -> (State, Actions) {
        match input {
            Input::Invite => (self, smallvec![Action::Send]),
            Input::Provisional | Input::TimerMinute => {
                (self, smallvec![Action::Send, Action::Start(Timer::Minute, MINUTE)])
            }
            Input::Success => {
                let stop = Action::Stop(Timer::Minute);
                (
                    State::Accepted,
                    smallvec![stop, Action::Send, Action::Start(Timer::L, T1_64)],
                )
            }
            Input::Failure => {
                let stop = Action::Stop(Timer::Minute);
                let mut actions: Actions = smallvec![stop, Action::Send, Action::Start(Timer::H, T1_64)];
                if !reliable {
                    actions.push(Action::Start(Timer::G, T1));
                }
                (State::Completed { interval: T1 }, actions)
            }
            Input::Ack | Input::TimerG | Input::TimerH | Input::TimerI | Input::TimerL => (self, smallvec![]),
        }
    }

    fn completed(interval: Duration, input: Input, reliable: bool) -> (State, Actions) {
        let same = State::Completed { interval };
        let (stop_g, stop_h) = (Action::Stop(Timer::G), Action::Stop(Timer::H));
        match input {
            Input::Invite => (same, smallvec![Action::Send]),
            Input::TimerG => {
                let interval = (interval * 2).min(T2);
                (
                    State::Completed { interval },
                    smallvec![Action::Send, Action::Start(Timer::G, interval)],
                )
            }
            Input::TimerH => (State::Terminated, smallvec![stop_g, Action::Gone]),
            // Timer I is zero over a reliable transport.
            Input::Ack if reliable => (State::Terminated, smallvec![stop_g, stop_h]),
            Input::Ack => (State::Confirmed, smallvec![stop_g, stop_h, Action::Start(Timer::I, T4)]),
            Input::Provisional | Input::Success | Input::Failure => (same, smallvec![]),
            Input::TimerI | Input::TimerL | Input::TimerMinute => (same, smallvec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Gone, Send, Start, Stop, Tell};

    const COMPLETED: State = State::Completed { interval: T1 };

    #[test]
    fn proceeding() {
        use Input::*;
        let row = |input| State::Proceeding.step(input, false);
        assert_eq!(
            State::start(),
            (State::Proceeding, smallvec![Send, Start(Timer::Minute, MINUTE)])
        );
        assert_eq!(row(Invite), (State::Proceeding, smallvec![Send]));
        for input in [Provisional, TimerMinute] {
            assert_eq!(
                row(input),
                (State::Proceeding, smallvec![Send, Start(Timer::Minute, MINUTE)])
            );
        }
        let accepted: Actions = smallvec![Stop(Timer::Minute), Send, Start(Timer::L, T1_64)];
        assert_eq!(row(Success), (State::Accepted, accepted));
        let completed: Actions = smallvec![Stop(Timer::Minute), Send, Start(Timer::H, T1_64), Start(Timer::G, T1)];
        assert_eq!(row(Failure), (COMPLETED, completed));
        let completed: Actions = smallvec![Stop(Timer::Minute), Send, Start(Timer::H, T1_64)];
        assert_eq!(State::Proceeding.step(Failure, true), (COMPLETED, completed));
        for input in [Ack, TimerG, TimerH, TimerI, TimerL] {
            assert_eq!(row(input), (State::Proceeding, smallvec![]), "{input:?}");
        }
    }

    #[test]
    fn completed_repeats_up_to_t2_until_ack_or_timer_h() {
        use Input::*;
        let mut state = COMPLETED;
        let mut waits = Vec::new();
        for _ in 0..5 {
            let (next, actions) = state.step(TimerG, false);
            let [Send, Start(Timer::G, wait)] = actions.as_slice() else {
                panic!("{actions:?}")
            };
            waits.push(wait.as_millis());
            state = next;
        }
        assert_eq!(waits, [1000, 2000, 4000, 4000, 4000]);
        let row = |input| COMPLETED.step(input, false);
        assert_eq!(row(Invite), (COMPLETED, smallvec![Send]));
        let stops = [Stop(Timer::G), Stop(Timer::H)];
        assert_eq!(
            row(Ack),
            (State::Confirmed, smallvec![stops[0], stops[1], Start(Timer::I, T4)])
        );
        assert_eq!(
            COMPLETED.step(Ack, true),
            (State::Terminated, smallvec![stops[0], stops[1]])
        );
        assert_eq!(row(TimerH), (State::Terminated, smallvec![stops[0], Gone]));
        for input in [Provisional, Success, Failure, TimerI, TimerL, TimerMinute] {
            assert_eq!(row(input), (COMPLETED, smallvec![]), "{input:?}");
        }
    }

    #[test]
    fn accepted_confirmed_and_terminated() {
        use Input::*;
        let accepted = |input| State::Accepted.step(input, false);
        assert_eq!(accepted(Success), (State::Accepted, smallvec![Send]));
        assert_eq!(accepted(Ack), (State::Accepted, smallvec![Tell]));
        assert_eq!(accepted(TimerL), (State::Terminated, smallvec![]));
        for input in [Invite, Provisional, Failure, TimerG, TimerH, TimerI, TimerMinute] {
            assert_eq!(accepted(input), (State::Accepted, smallvec![]), "{input:?}");
        }
        assert_eq!(State::Confirmed.step(TimerI, false), (State::Terminated, smallvec![]));
        for input in [
            Invite,
            Ack,
            Provisional,
            Success,
            Failure,
            TimerG,
            TimerH,
            TimerL,
            TimerMinute,
        ] {
            assert_eq!(
                State::Confirmed.step(input, false),
                (State::Confirmed, smallvec![]),
                "{input:?}"
            );
            assert_eq!(
                State::Terminated.step(input, false),
                (State::Terminated, smallvec![]),
                "{input:?}"
            );
        }
    }
}
