//! The INVITE server transaction (RFC 3261 17.2.1 as replaced by RFC 6026 7.1). A 100 is due unless the user answers within 200 ms:
//! it is sent only when no answer has come.
//!
//! ```text
//!                                  | INVITE: user told
//!                                  v
//!                       +------------------+ timer alive, INVITE again: send 100
//!                       |      Trying      | -----+
//!                       +------------------+      |
//!                                  | 101-199      |
//!                                  | from user:   |
//!      INVITE again,               v send         |
//!      once a minute:   +------------------+ <----+
//!      last response    |    Proceeding    | ---+ 101-199 from user: send
//!            +--------- |                  | <--+
//!            +--------> +------------------+
//!       300-699 from user: |              | 2xx from user: send
//!       send (from Trying, |              +----------------------+ (from Trying, too)
//!       too)               v                                     v
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

/// How long a user may be silent before a 100 is sent for him. RFC 3261 17.2.1 gives 200 ms; on a busy node both the INVITE and the
/// timer have waited for their turns.
const SLOW: Duration = Duration::from_millis(120);
/// How often a ringing call shows the proxies on its way that it lives (RFC 3261 13.3.1.1).
const MINUTE: Duration = Duration::from_secs(60);

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No response was sent.
    Trying,
    /// A provisional response was sent.
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
    /// Nothing was sent for a minute, or for a moment after the INVITE.
    TimerAlive,
}

impl State {
    /// The INVITE was accepted.
    pub fn start() -> (State, Actions) {
        (State::Trying, smallvec![Action::Start(Timer::Alive, SLOW)])
    }

    /// What happens next. A response of the user that may be sent is kept by the layer before `Action::Send`.
    pub fn step(self, input: Input, reliable: bool) -> (State, Actions) {
        match self {
            State::Trying | State::Proceeding => self.unanswered(input, reliable),
            State::Completed { interval } => Self::completed(interval, input, reliable),
            State::Confirmed => match input {
                Input::TimerI => (State::Terminated, smallvec![]),
                Input::Invite | Input::Ack | Input::Provisional | Input::Success | Input::Failure => {
                    (self, smallvec![])
                }
                Input::TimerG | Input::TimerH | Input::TimerL | Input::TimerAlive => (self, smallvec![]),
            },
            State::Accepted => match input {
                Input::Success => (self, smallvec![Action::Send]),
                Input::Ack => (self, smallvec![Action::Tell]),
                Input::TimerL => (State::Terminated, smallvec![]),
                Input::Invite | Input::Provisional | Input::Failure => (self, smallvec![]),
                Input::TimerG | Input::TimerH | Input::TimerI | Input::TimerAlive => (self, smallvec![]),
            },
            State::Terminated => (self, smallvec![]),
        }
    }

    fn unanswered(self, input: Input, reliable: bool) -> (State, Actions) {
        match input {
            Input::Invite | Input::TimerAlive if self == State::Trying => (
                State::Proceeding,
                smallvec![Action::Trying, Action::Start(Timer::Alive, MINUTE)],
            ),
            Input::Invite => (self, smallvec![Action::Send]),
            Input::Provisional | Input::TimerAlive => (
                State::Proceeding,
                smallvec![Action::Send, Action::Start(Timer::Alive, MINUTE)],
            ),
            Input::Success => {
                let stop = Action::Stop(Timer::Alive);
                (
                    State::Accepted,
                    smallvec![stop, Action::Send, Action::Start(Timer::L, T1_64)],
                )
            }
            Input::Failure => {
                let stop = Action::Stop(Timer::Alive);
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
            Input::TimerI | Input::TimerL | Input::TimerAlive => (same, smallvec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Gone, Send, Start, Stop, Tell, Trying};

    const COMPLETED: State = State::Completed { interval: T1 };

    #[test]
    fn trying() {
        use Input::*;
        assert_eq!(State::start(), (State::Trying, smallvec![Start(Timer::Alive, SLOW)]));
        for input in [Invite, TimerAlive] {
            assert_eq!(
                State::Trying.step(input, false),
                (State::Proceeding, smallvec![Trying, Start(Timer::Alive, MINUTE)])
            );
        }
        for input in [Provisional, Success, Failure] {
            assert_eq!(State::Trying.step(input, false), State::Proceeding.step(input, false));
        }
        for input in [Ack, TimerG, TimerH, TimerI, TimerL] {
            assert_eq!(
                State::Trying.step(input, false),
                (State::Trying, smallvec![]),
                "{input:?}"
            );
        }
    }

    #[test]
    fn proceeding() {
        use Input::*;
        let row = |input| State::Proceeding.step(input, false);
        assert_eq!(row(Invite), (State::Proceeding, smallvec![Send]));
        for input in [Provisional, TimerAlive] {
            assert_eq!(
                row(input),
                (State::Proceeding, smallvec![Send, Start(Timer::Alive, MINUTE)])
            );
        }
        let accepted: Actions = smallvec![Stop(Timer::Alive), Send, Start(Timer::L, T1_64)];
        assert_eq!(row(Success), (State::Accepted, accepted));
        let completed: Actions = smallvec![Stop(Timer::Alive), Send, Start(Timer::H, T1_64), Start(Timer::G, T1)];
        assert_eq!(row(Failure), (COMPLETED, completed));
        let completed: Actions = smallvec![Stop(Timer::Alive), Send, Start(Timer::H, T1_64)];
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
        for input in [Provisional, Success, Failure, TimerI, TimerL, TimerAlive] {
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
        for input in [Invite, Provisional, Failure, TimerG, TimerH, TimerI, TimerAlive] {
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
            TimerAlive,
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
