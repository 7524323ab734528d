//! The node in the middle: what its clients are told of STUN and TURN can be changed while it runs.

use crate::driver::{KEY, ORIGIN};
use crate::internet::{MEDIA_PORTS, NODE, RELAYED_PORTS, TLS_PORT};
use crate::network::{Folder, Network};
use crate::process::Process;
use crate::program::program;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// What clients are told.
#[derive(Clone, Copy)]
pub enum Turn {
    /// Only where their outside address is told.
    StunOnly,
    /// All ways to our relay.
    Everything,
    /// The same, with passwords that it does not take.
    WrongSecret,
}

/// It runs.
pub struct Node {
    pub process: Process,
    config: PathBuf,
    store: PathBuf,
    reloaded: usize,
}

impl Node {
    pub fn start(network: &Network, folder: &Folder, turn: Turn) -> Node {
        let (config, store) = (folder.0.join("t.yaml"), folder.0.join("t.db"));
        fs::write(&config, text(&store.to_string_lossy(), turn)).expect("our own folder");
        let mut command = network.command(program());
        command.arg("run").arg(&config).env("NO_COLOR", "1");
        let process = Process::start("tandem", "this repository", &mut command);
        process.wait_for("Ready.", SOON);
        Node {
            process,
            config,
            store,
            reloaded: 0,
        }
    }

    /// Clients are told something else from now on.
    pub fn tells(&mut self, turn: Turn) {
        fs::write(&self.config, text(&self.store.to_string_lossy(), turn)).expect("our own folder");
        self.process.signal("HUP");
        self.reloaded += 1;
        self.process.wait_times("reloaded: ", self.reloaded, SOON);
    }

    /// Relayed addresses given so far.
    pub fn allocations(&self) -> usize {
        self.process.journal.count("from now on")
    }

    /// Packets relayed from clients, as the relay has told until now.
    fn relayed(&self) -> u64 {
        let text = self.process.journal.text();
        let count = |line: &str| {
            let (before, _) = line.split_once(" packets relayed from clients")?;
            before.rsplit(' ').next()?.parse::<u64>().ok()
        };
        text.lines().filter_map(count).sum()
    }

    /// It ends in order, has relayed so many packets, and has nothing to complain of.
    pub fn stop(mut self, relayed: u64) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit(SOON), Some(0));
        assert!(self.relayed() > relayed, "{} packets were relayed", self.relayed());
        for sign in [" WARN ", " ERROR ", "panicked at"] {
            assert_eq!(self.process.journal.count(sign), 0, "the log has {sign:?}");
        }
    }
}

fn text(store: &str, turn: Turn) -> String {
    let (media, relayed) = (MEDIA_PORTS.replace(':', "-"), RELAYED_PORTS.replace(':', "-"));
    let urls = match turn {
        Turn::StunOnly => format!("\"stun:{NODE}:3478\""),
        Turn::Everything | Turn::WrongSecret => format!(
            "\"stun:{NODE}:3478\", \"turn:{NODE}:3478\", \"turn:{NODE}:3478?transport=tcp\", \"turns:{NODE}:{TLS_PORT}?transport=tcp\""
        ),
    };
    let secret = match turn {
        Turn::StunOnly | Turn::Everything => "a-secret-of-both-sections",
        Turn::WrongSecret => "another-secret",
    };
    format!(
        "listen: [ \"udp://{NODE}:5060\", \"wss://{NODE}:8443\" ]
domains: [ {{ name: example.com, do: bridge }} ]
store: {{ path: {store} }}
media: {{ ports: {media}, workers: 1, browser_tcp: 20000 }}
users:
  - {{ name: alice, password: secret-alice, number: \"101\", codecs: [ opus ] }}
  - {{ name: bob, password: secret-bob, number: \"102\" }}
turn:
  listen: [ \"udp://{NODE}:3478\", \"tcp://{NODE}:3478\", \"tls://{NODE}:{TLS_PORT}\" ]
  ports: {relayed}
  secret: a-secret-of-both-sections
api:
  listen: \"{NODE}:8445\"
  keys: [ {{ tenant: acme, key: {KEY} }} ]
  origins: [ \"{ORIGIN}\" ]
  turn: {{ urls: [ {urls} ], secret: {secret}, lifetime: 75s }}
"
    )
}
