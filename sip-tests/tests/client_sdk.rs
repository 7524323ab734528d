//! The package for pages and the phone page made with it, in two of Debian's Chromium: one calls the other, media goes directly between
//! them, each hears the other's tone. Then a page calls a phone number: baresip is the carrier, and the two hear each other by the node.
//!
//! All of it plays in a network of its own, since no ICE agent takes loopback addresses. `sip-tests/browser/client.mjs` drives the pages
//! and tells its steps.

#[path = "browser/baresip.rs"]
mod baresip;
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests with real peers use the rest of it, and those live in real time"
)]
#[path = "interop/journal.rs"]
mod journal;
#[path = "client_sdk/meeting.rs"]
mod meeting;
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
#[allow(dead_code, reason = "another test uses the rest of it")]
#[path = "interop/softphone.rs"]
mod softphone;
#[path = "client_sdk/voices.rs"]
mod voices;

use baresip::Phone;
use network::{Folder, Network, write_tone};
use process::Process;
use program::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// For all that the pages do; two browsers on a busy machine take some seconds to start.
const PLAY: Duration = Duration::from_secs(180);
const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Of a back end whose clients are users: Dora rings at her page.
const OFFICE: &str = "fedcba9876543210fedcba9876543210";
/// Of a page that is not ours.
const ORIGIN: &str = "https://shop.example";
/// Where the carrier is: a phone that answers at once, and says this tone.
const CARRIER_PORT: u16 = 5070;
/// The only number that it knows: that of README's lines.
const NUMBER: &str = "+15551234567";
const CARRIER_HZ: f32 = 2_310.0;
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
    let safe = ", { number: \"3002\", name: safe, pin: \"4711\", entry: none }";
    start_node_with(network, folder, safe, "info")
}

/// With more rooms, behind a comma, and what its log has.
fn start_node_with(network: &Network, folder: &Path, rooms: &str, log: &str) -> Process {
    let text = format!(
        "listen: [ \"udp://{ip}:5060\" ]
domains: [ example.com ]
store: {{ path: {store} }}
media: {{ ports: 20000-20199, workers: 1 }}
users: [ {{ name: web, password: nobody registers, number: \"+15550100000\", calls: 100 }}, {{ name: dora, password: rings at her page, number: \"105\" }} ]
trunks: [ {{ name: carrier, peers: [ \"sip:{ip}:{CARRIER_PORT}\" ], codecs: [ pcma ], options: never }} ]
rooms: [ {{ number: \"3000\", name: standup, agc: no, gate: no, entry: none, moderators: [ web ] }}{rooms} ]
routes: [ {{ to: \"+15550003000\", from: trunk/carrier, do: room/3000 }}, {{ to: \"+\", from: user/web, do: trunk/carrier }}, {{ to: \"88*\", do: room }}, {{ to: \"3001\", do: room }} ]
api:
  listen: \"{ip}:8445\"
  keys: [ {{ tenant: acme, key: {KEY}, calls_as: web, meetings: \"88\" }}, {{ tenant: office, key: {OFFICE}, users: yes }} ]
  origins: [ \"{ORIGIN}\" ]
",
        ip = network.first,
        store = folder.join("t.db").display()
    );
    fs::write(folder.join("t.yaml"), text).expect("our own folder");
    let mut command = network.command(program());
    command
        .arg("run")
        .arg(folder.join("t.yaml"))
        .env("NO_COLOR", "1")
        .env("RUST_LOG", log);
    let node = Process::start("tandem", "this repository", &mut command);
    node.wait_for("Ready.", SOON);
    node
}

/// RTP in the clear and G.711, as carriers have it. It writes down what it hears, and has the node's address.
fn start_carrier(network: &Network, folder: &Path, commands: &[&str]) -> Process {
    let (ip, folder) = (&network.first, folder.join("carrier"));
    let carrier = Phone {
        listen: (ip, CARRIER_PORT),
        tone: (CARRIER_HZ, 8_000),
        more: &format!("module g711.so\n{}", baresip::writes_down(&folder)),
        account: &format!(
            "<sip:{NUMBER}@{ip}:{CARRIER_PORT};transport=udp>;answermode=auto;audio_codecs=PCMA/8000/1;regint=0"
        ),
        commands,
        ready: "baresip is ready",
    };
    carrier.start(network, &folder)
}

/// The tone of each call in the carrier's ear: of what it has written down the quarter behind the first, before digits and hold.
fn heard(folder: &Path) -> Vec<Option<f32>> {
    baresip::heard(&folder.join("carrier"), 1..2)
}

fn start_browsers(network: &Network, folder: &Path) -> Process {
    for (name, tone) in TONES {
        write_tone(&folder.join(format!("{name}.wav")), tone, 48_000);
    }
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","url":"https://{}:8445","key":"{KEY}","origin":"{ORIGIN}","readme":"{}","tones":{{"{}":{},"{}":{},"carrier":{CARRIER_HZ}}},"seconds":{}}}"#,
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

/// What the pages tell, and how often.
const STEPS: [(&str, usize); 31] = [
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
    ("phone There is no such number or address.", 1),
    ("phone Room safe asks for its PIN", 1),
    ("phone The PIN was wrong. It may be tried 2 times more.", 1),
    ("pin wrong-pin: The PIN was wrong. It may be tried 2 times more.", 2),
    ("pin wrong-pin: A PIN has digits", 1),
    ("pin wrong-pin: The PIN was wrong. It may be tried once more.", 1),
    ("pin wrong-pin: The PIN was wrong too often.", 1),
    ("pin right", 1),
    ("pin wrong-moment", 1),
    ("pin done", 1),
    ("phone done", 1),
    ("meeting heard both", 1),
    ("meeting ended", 1),
    ("number up", 1),
    ("number pair host host udp", 1),
    ("number held and back", 1),
    ("number ended", 1),
    ("number refused cannot-be", 1),
    ("readme The call is over: not-found.", 1),
    ("readme The access token is not good here", 1),
    ("readme done", 1),
];

/// Direct: both reach each other, and the node has no media.
#[test]
fn two_pages_talk_to_each_other_directly() {
    let folder = Folder::new("client-sdk");
    let network = Network::new("10.98.0");
    let mut node = start_node(&network, &folder.0);
    let carrier = start_carrier(&network, &folder.0, &[]);
    let mut browsers = start_browsers(&network, &folder.0);
    assert_eq!(browsers.exit(PLAY), Some(0), "the pages did all that they should");
    for (step, times) in STEPS {
        let step = format!("STEP {step}");
        assert_eq!(browsers.journal.count(&step), times, "{step}");
    }
    // Both ways, in the call by the package and in that of README's lines.
    carrier.wait_times(" BYE", 2, SOON);
    let tones = heard(&folder.0);
    let is_alice = |tone: &Option<f32>| tone.is_some_and(|hz| (hz - TONES[0].1).abs() < 10.0);
    assert!(
        tones.len() == 2 && tones.iter().all(is_alice),
        "the carrier heard {tones:?}"
    );
    for digit in ["1", "5", "#"] {
        let pressed = carrier.journal.count(&format!("'{digit}'"));
        assert!(pressed > 0, "{digit} came as an event of RTP");
    }
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    for sign in [" WARN ", " ERROR ", "panicked at"] {
        assert_eq!(node.journal.count(sign), 0, "the log has {sign:?}");
    }
    check_calls(&node);
}

/// What the log says of the calls.
fn check_calls(node: &Process) {
    // As the API has them: three between clients, three with a room into which one of those moved, three with a room that asks for a PIN, two with
    // a number. Of eight the node had the media.
    assert_eq!(node.journal.count("was accepted"), 11);
    assert_eq!(node.journal.count(": hung-up"), 8);
    assert_eq!(node.journal.count(": moved"), 1);
    // Carol's page closed its client, and who did not know the PIN was sent away.
    assert_eq!(node.journal.count(": gone by carol (its client was closed)"), 1);
    assert_eq!(
        node.journal.count("the callee is gone: its client was closed")
            + node.journal.count("the caller is gone: its client was closed"),
        1
    );
    assert_eq!(node.journal.count("stopped after 11 calls"), 1);
    assert_eq!(
        node.journal
            .count(": not-allowed (the PIN of the room was wrong too often)"),
        1
    );
}

/// The compiler, with what `folder` has of the package. Without the types that are kept beside it, which it would believe.
fn tsc(folder: &Path, arguments: &[&str]) {
    let scripts = scripts();
    let output = Command::new("node")
        .arg(scripts.join("node_modules/typescript/bin/tsc"))
        .arg("-p")
        .arg(folder.join("tsconfig.json"))
        .args(arguments)
        .output()
        .expect("Node.js");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
}

/// Whatever the package itself says went wrong has a kind that its users find in its documentation and in its types.
#[test]
fn each_kind_of_error_is_documented() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("our own file");
    let (base, readme) = (read("base.js"), read("README.md"));
    let types = base
        .split("@typedef {")
        .find(|part| part.contains("} Fault\n"))
        .expect("the kinds");
    let row = readme
        .lines()
        .find(|line| line.starts_with("| what goes wrong |"))
        .expect("the row");
    let mut kinds = 0;
    for file in fs::read_dir(&folder).expect("our own folder") {
        let path = file.expect("our own folder").path();
        if path.extension().is_none_or(|extension| extension != "js") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("our own file");
        for made in text.split("new TandemError(").skip(1) {
            let quote = &made[..1];
            // One that the API has named.
            if !["'", "`"].contains(&quote) {
                continue;
            }
            let kind = made[1..].split(quote).next().expect("a text");
            for device in ["microphone", "camera"] {
                let kind = kind.replace("${word}", device);
                assert!(types.contains(&format!("'{kind}'")), "sdk/base.js: {kind}");
                assert!(row.contains(&format!("`{kind}`")), "sdk/README.md: {kind}");
            }
            kinds += 1;
        }
    }
    assert!(kinds > 10, "{kinds}");
}

#[test]
fn the_package_has_the_types_that_it_says() {
    let folder = Folder::new("client-types");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk");
    let modules = [
        "tandem",
        "base",
        "call",
        "connection",
        "move",
        "pin",
        "sound",
        "video",
        "devices",
        "quality",
        "phone/phone",
        "phone/stage",
    ];
    fs::create_dir_all(folder.0.join("sdk/phone")).expect("our own folder");
    for module in modules {
        let name = format!("{module}.js");
        fs::copy(kept.join(&name), folder.0.join("sdk").join(&name)).expect("our own folder");
    }
    let config = format!(
        r#"{{"extends":"{}","compilerOptions":{{"paths":{{"/sdk/*":["./sdk/*"]}}}},"files":["sdk/tandem.js","sdk/phone/phone.js"]}}"#,
        scripts().join("tsconfig.json").display()
    );
    fs::write(folder.0.join("tsconfig.json"), config).expect("our own folder");
    tsc(&folder.0, &[]);
    let out = folder.0.join("out");
    let to = out.to_str().expect("UTF-8");
    tsc(
        &folder.0,
        &[
            "--noEmit",
            "false",
            "--declaration",
            "--emitDeclarationOnly",
            "--outDir",
            to,
        ],
    );
    for module in modules.into_iter().filter(|module| !module.contains('/')) {
        let name = format!("{module}.d.ts");
        let made = fs::read_to_string(out.join(&name)).expect("it was made");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(kept.join(&name), &made).expect("our own file");
        }
        let kept = fs::read_to_string(kept.join(&name)).expect("it is there");
        assert!(
            kept == made,
            "{name}: run `UPDATE=1 cargo test -p sip-tests --test client_sdk types`"
        );
    }
}
