//! How many files the process may open: each socket is one.

use crate::config::{Config, Turn};
use crate::id::Transport;
use crate::limits;
use tracing::warn;

/// What `turn` may have open: a socket for each allocation and family, the streams of clients, and connections with peers.
fn relayed(turn: &Turn) -> u64 {
    let ports = u64::from(turn.doors.last_port.saturating_sub(turn.doors.first_port)) + 1;
    let sockets = ports.min(turn.allocations as u64) * turn.doors.addresses.len() as u64;
    let has_streams = turn
        .doors
        .listen
        .iter()
        .any(|listen| listen.transport != Transport::Udp);
    let streams = if has_streams { limits::RELAY_STREAMS } else { 0 };
    let connections = if turn.tcp_peers { limits::RELAY_CONNECTIONS } else { 0 };
    sockets + (streams + connections) as u64
}

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
    let relayed = config.turn.as_ref().map_or(0, relayed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, parse};

    #[test]
    fn streams_and_connections_are_counted_where_there_are_any() {
        let of = |listen: &str, more: &str| {
            let yaml = format!(
                "listen: [ \"udp://192.0.2.1:5060\" ]\ndomains: [ example.com ]\nturn: {{ listen: [ {listen} ], secret: north, ports: 50000-50099{more} }}\n"
            );
            let config = parse("test", &yaml, &Sources::NONE).unwrap_or_else(|problems| panic!("{problems:?}"));
            relayed(&config.turn.expect("it is there"))
        };
        let (streams, connections) = (limits::RELAY_STREAMS as u64, limits::RELAY_CONNECTIONS as u64);
        assert_eq!(of("\"udp://192.0.2.1\"", ""), 100);
        assert_eq!(of("\"tcp://192.0.2.1\"", ""), 100 + streams);
        assert_eq!(
            of("\"tcp://192.0.2.1\"", ", tcp_peers: yes"),
            100 + streams + connections
        );
        assert_eq!(
            of("\"udp://192.0.2.1\", \"udp://[2001:db8::1]\"", ", allocations: 10"),
            20
        );
    }
}
