//! The browsers, and what they are told to do: `sip-tests/browser/nat.mjs`.

use crate::internet::{Internet, NODE};
use crate::network::{Folder, Network, write_tone};
use crate::process::Process;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// For one command.
const PLAY: Duration = Duration::from_secs(40);
/// Of the back end.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Of a page that is not the node's.
pub const ORIGIN: &str = "https://shop.example";
/// What each says. Neither is a multiple of another.
const TONES: [(&str, f32); 2] = [("alice", 1_000.0), ("carol", 610.0)];

/// Both browsers.
pub struct Driver {
    process: Process,
    commands: fs::File,
    /// Lines that were read already.
    read: usize,
}

impl Driver {
    /// Alice's and Carol's browsers are started, each in its network. The driver is beside the node, as a back end is.
    pub fn start(internet: &Internet, folder: &Folder) -> Driver {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
        assert!(
            scripts.join("node_modules/jssip").exists(),
            "JsSIP and Playwright are not installed: `make peers` does it"
        );
        for ((name, tone), network) in TONES.iter().zip([&internet.alice.client, &internet.carol.client]) {
            write_tone(&folder.0.join(format!("{name}.wav")), *tone, 48_000);
            browser_in(network, &folder.0.join(format!("chromium-{name}")));
        }
        let commands = folder.0.join("commands");
        let made = std::process::Command::new("mkfifo").arg(&commands).status();
        assert!(made.expect("coreutils").success(), "mkfifo");
        // Open for both: neither end waits for the other, and the driver sees no end before we close it.
        let (reads, writes) = (open(&commands), open(&commands));
        let options = format!(
            r#"{{"folder":"{}","url":"https://{NODE}:8445","sip":"wss://{NODE}:8443","key":"{KEY}","origin":"{ORIGIN}",
                "certificate":"{}","tones":{{"{}":{},"{}":{}}}}}"#,
            folder.0.display(),
            folder.0.join("tls-certificate.pem").display(),
            TONES[0].0,
            TONES[0].1,
            TONES[1].0,
            TONES[1].1,
        );
        let mut command = internet.middle.command("node");
        command
            .arg(scripts.join("nat.mjs"))
            .arg(options)
            .env("NODE_TLS_REJECT_UNAUTHORIZED", "0")
            .env("NODE_NO_WARNINGS", "1");
        let driver = Driver {
            process: Process::reading("the browsers", "Node.js", &mut command, reads),
            commands: writes,
            read: 0,
        };
        driver.process.wait_for("DONE open", PLAY);
        driver
    }

    /// Has a command done: the steps that it told.
    pub fn does(&mut self, command: &str) -> Vec<String> {
        writeln!(self.commands, "{command}").expect("the driver reads");
        let done = format!("DONE {command}");
        let before = self.process.journal.count(&done);
        self.process.wait_times(&done, before + 1, PLAY);
        let text = self.process.journal.text();
        let lines: Vec<&str> = text.lines().collect();
        let new = &lines[self.read..];
        self.read = lines.len();
        new.iter()
            .filter_map(|line| line.strip_prefix("STEP ").map(str::to_owned))
            .collect()
    }

    /// The candidate pair in use, of each side.
    pub fn pairs(&mut self, command: &str) -> [Pair; 2] {
        let steps = self.does(command);
        ["alice", "carol"].map(|name| Pair::of(&steps, name))
    }
}

/// What a side says of the pair of candidates in use.
#[derive(Debug)]
pub struct Pair {
    pub local: String,
    pub remote: String,
    pub protocol: String,
    /// By what the client reaches its relay, if its candidate is relayed.
    pub relay: String,
}

impl Pair {
    fn of(steps: &[String], name: &str) -> Pair {
        let said = steps.iter().find_map(|step| step.strip_prefix(name)?.strip_prefix(' '));
        let words: Vec<&str> = said.unwrap_or_default().split_whitespace().collect();
        let &[local, remote, protocol, relay] = &words[..] else {
            panic!("{name} said of its pair: {steps:?}");
        };
        let [local, remote, protocol, relay] = [local, remote, protocol, relay].map(str::to_owned);
        Pair {
            local,
            remote,
            protocol,
            relay,
        }
    }

    /// Through NAT, and by no relay: what STUN told, or what the other saw first.
    pub fn is_direct(&self) -> bool {
        let outside = ["srflx", "prflx"];
        outside.contains(&&*self.local) && outside.contains(&&*self.remote) && self.protocol == "udp"
    }
}

/// A program that is Chromium in this network.
fn browser_in(network: &Network, path: &Path) {
    let command = network.command("/usr/bin/chromium");
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    fs::write(path, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).expect("our own folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}

fn open(fifo: &Path) -> fs::File {
    let open = fs::OpenOptions::new().read(true).write(true).open(fifo);
    open.expect("our own folder")
}
