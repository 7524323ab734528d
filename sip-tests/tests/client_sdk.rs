//! The package for pages and the phone page made with it, in two of Debian's Chromium: one calls the other, media goes directly between
//! them, each hears the other's tone.
//!
//! All of it plays in a network of its own, since no ICE agent takes loopback addresses. `sip-tests/browser/client.mjs` drives the pages
//! and tells its steps.

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests with real peers use the rest of it, and those live in real time"
)]
#[path = "interop/journal.rs"]
mod journal;
#[allow(dead_code, reason = "another test uses the rest of it")]
#[path = "browser/network.rs"]
mod network;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;

use network::{Folder, Network, write_tone};
use process::Process;
use program::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// For all that the pages do; two browsers on a busy machine take some seconds to start.
const PLAY: Duration = Duration::from_secs(120);
const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Of a page that is not ours.
const ORIGIN: &str = "https://shop.example";
/// What each says. Neither is a multiple of the other.
const TONES: [(&str, f32); 2] = [("alice", 440.0), ("bob", 1000.0)];

fn scripts() -> PathBuf {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        scripts.join("node_modules/typescript").exists(),
        "Playwright and TypeScript are not installed: `make peers` does it"
    );
    scripts
}

fn start_node(network: &Network, folder: &Path) -> Process {
    let text = format!(
        "listen: [ \"udp://{ip}:5060\" ]
domains: [ example.com ]
store: {{ path: {store} }}
media: {{ ports: 20000-20199, workers: 1 }}
api: {{ listen: \"{ip}:8445\", keys: [ {{ tenant: acme, key: {KEY} }} ], origins: [ \"{ORIGIN}\" ] }}
",
        ip = network.first,
        store = folder.join("t.db").display()
    );
    fs::write(folder.join("t.yaml"), text).expect("our own folder");
    let mut command = network.command(program());
    command.arg("run").arg(folder.join("t.yaml")).env("NO_COLOR", "1");
    let node = Process::start("tandem", "this repository", &mut command);
    node.wait_for("Ready.", SOON);
    node
}

fn start_browsers(network: &Network, folder: &Path) -> Process {
    for (name, tone) in TONES {
        write_tone(&folder.join(format!("{name}.wav")), tone, 48_000);
    }
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","url":"https://{}:8445","key":"{KEY}","origin":"{ORIGIN}","readme":"{}","tones":{{"{}":{},"{}":{}}},"seconds":{}}}"#,
        folder.display(),
        network.first,
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md").display(),
        TONES[0].0,
        TONES[0].1,
        TONES[1].0,
        TONES[1].1,
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command
        .arg(scripts().join("client.mjs"))
        .arg(options)
        .env("NODE_TLS_REJECT_UNAUTHORIZED", "0")
        .env("NODE_NO_WARNINGS", "1");
    Process::start("the browsers", "Node.js", &mut command)
}

/// Direct: both reach each other, and the node has no media.
#[test]
fn two_pages_talk_to_each_other_directly() {
    let folder = Folder::new("client-sdk");
    let network = Network::new("10.98.0");
    let mut node = start_node(&network, &folder.0);
    let mut browsers = start_browsers(&network, &folder.0);
    assert_eq!(browsers.exit(PLAY), Some(0), "the pages did all that they should");
    for (step, times) in [
        ("connected bob", 1),
        ("up", 1),
        ("heard both", 1),
        ("pair host host udp", 2),
        ("muted and back", 1),
        ("resumed", 1),
        ("restarted", 1),
        ("ended", 1),
        ("refused not-connected", 1),
        ("phone This person is not connected.", 1),
        ("phone done", 1),
        ("readme done", 1),
    ] {
        let step = format!("STEP {step}");
        assert_eq!(browsers.journal.count(&step), times, "{step}");
    }
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    for sign in [" WARN ", " ERROR ", "panicked at"] {
        assert_eq!(node.journal.count(sign), 0, "the log has {sign:?}");
    }
    // Three calls, as the API has them, and none of which the node had media.
    assert_eq!(node.journal.count("was accepted"), 3);
    assert_eq!(node.journal.count(": hung-up"), 3);
    assert_eq!(node.journal.count("stopped after 0 calls"), 1);
}

fn tsc(arguments: &[&str]) {
    let scripts = scripts();
    let output = Command::new("node")
        .arg(scripts.join("node_modules/typescript/bin/tsc"))
        .args(["-p", scripts.join("tsconfig.json").to_str().expect("UTF-8")])
        .args(arguments)
        .output()
        .expect("Node.js");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
}

#[test]
fn the_package_has_the_types_that_it_says() {
    tsc(&[]);
    let folder = Folder::new("client-types");
    let out = folder.0.to_str().expect("UTF-8");
    tsc(&[
        "--noEmit",
        "false",
        "--declaration",
        "--emitDeclarationOnly",
        "--outDir",
        out,
    ]);
    let made = fs::read_to_string(folder.0.join("tandem.d.ts")).expect("it was made");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/tandem.d.ts");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).expect("our own file");
    }
    let kept = fs::read_to_string(path).expect("it is there");
    assert!(
        kept == made,
        "run `UPDATE=1 cargo test -p sip-tests --test client_sdk types`"
    );
}
