//! The section on whom the node listens to.

use super::{DURATION_OR_NEVER, Section, key};

/// `guard`.
pub static GUARD: Section = Section {
    path: "guard",
    about: "Whom the node listens to, and how much. What belongs to a call, or answers something that we asked, passes before all of these. \
            A reload applies it at once; bans that have begun last as long as they were to.",
    keys: &[
        key(
            "per_source",
            "a whole number from 1 to 100000",
            "100",
            "100",
            "Requests per second outside of dialogs that are taken from one address (of IPv6: one network of 64 bits) that has shown \
             to be where it claims. A trunk has its own limits.",
        ),
        key(
            "per_stranger",
            "a whole number from 1 to 10000",
            "10",
            "10",
            "The same for an address that has not shown it yet, as one that is forged never does.",
        ),
        key(
            "strangers",
            "a whole number from 1 to 100000",
            "500",
            "500",
            "The same for all such addresses together.",
        ),
        key(
            "per_user",
            "a whole number from 1 to 10000",
            "20",
            "20",
            "Requests per second outside of dialogs that one user may send; more are refused with 503.",
        ),
        key(
            "guesses",
            "a whole number from 1 to 1000",
            "10",
            "10",
            "Wrong passwords within ten minutes from one address that lead to its ban. From the third on they are slowed down.",
        ),
        key(
            "ban",
            DURATION_OR_NEVER,
            "10m",
            "10m",
            "How long nothing is heard of an address that is banned; never: nobody is banned. An address with live registrations or \
             calls, and one of a trunk, is never banned.",
        ),
        key(
            "scanners",
            "the beginning of a User-Agent",
            "[ friendly-scanner, sipvicious ]",
            "the ones that are seen everywhere",
            "Requests of programs whose name begins so, in whatever case, are not answered. [] for none.",
        ),
        key(
            "exempt",
            "an address or a range of addresses",
            "[ 192.0.2.0/24 ]",
            "none",
            "Sources that are neither limited nor banned: monitoring, load tests.",
        ),
        key(
            "max_wait",
            "a number of milliseconds from 10 to 10000",
            "100",
            "100",
            "When messages wait longer than this before the node comes to them, new calls are refused with 503 until it has caught up; \
             beyond four times as long, and where the system has to drop some, all new requests.",
        ),
    ],
};
