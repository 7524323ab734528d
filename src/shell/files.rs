//! How many files the process may open: each socket is one.

use crate::config::Config;
use tracing::warn;

/// Lets the process open as many files as the system allows: each call takes four sockets.
pub(super) fn enough_files(config: &Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let media = u64::from(config.media.last_port.saturating_sub(config.media.first_port)) + 1;
    let relayed = config.turn.as_ref().map_or(0, |turn| {
        let ports = u64::from(turn.doors.last_port.saturating_sub(turn.doors.first_port)) + 1;
        ports.min(turn.allocations as u64) * turn.doors.addresses.len() as u64
    });
    let needed = media + relayed;
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        let turn = match relayed {
            0 => String::new(),
            relayed => format!(" and `turn` may have {relayed} of its own"),
        };
        warn!(
            "this process may open {allowed} files, but `media.ports` are {media}{turn}: when they run out, calls get 503. Raise the \
             limit by ulimit -n, or by LimitNOFILE= in its systemd unit"
        );
    }
}
