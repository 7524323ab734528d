//! Names: each has its targets, a time that the answer takes, and may not exist or not answer at all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tandem::id::{Target, Transport};
use tandem::sip::Uri;

/// One name.
#[derive(Clone, Debug)]
pub struct Name {
    /// In order; empty: the name does not exist.
    pub targets: Vec<SocketAddr>,
    /// How long the answer takes; `None`: it never comes.
    pub delay: Option<Duration>,
}

/// All names.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    names: BTreeMap<String, Name>,
    /// Questions that were asked.
    pub asked: Vec<String>,
}

impl Dns {
    /// Sets a name.
    pub fn set(&mut self, name: &str, targets: &[SocketAddr], delay: Option<Duration>) {
        self.names.insert(
            name.to_owned(),
            Name {
                targets: targets.to_vec(),
                delay,
            },
        );
    }

    /// The answer to a question; `None`: there is none.
    pub fn resolve(&mut self, uri: &Uri) -> Option<(Duration, Vec<Target>)> {
        let host = uri.host.to_string();
        self.asked.push(host.clone());
        let Some(name) = self.names.get(&host) else {
            return Some((Duration::from_millis(20), Vec::new()));
        };
        let transport = uri.transport().unwrap_or(Transport::Udp);
        let targets = name
            .targets
            .iter()
            .map(|addr| Target { transport, addr: *addr })
            .collect();
        name.delay.map(|delay| (delay, targets))
    }
}
