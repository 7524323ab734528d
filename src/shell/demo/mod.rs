//! `tandem demo`: a node, a carrier and two phones on loopback, with real sockets and real RTP, and nobody at the keyboard.

mod check;
mod party;
mod runner;
mod script;
mod sound;

use super::server::{Control, Server};
use super::sources::plain;
use crate::config::{self, Config, Sources};
use crate::media::command::OpusParams;
use crate::phone::{Command, Settings};
use crate::pii::Secret;
use crate::sdp::Capabilities;
use crate::sip::Uri;
use codecs::Codec;
use runner::Handle;
use script::Script;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Everybody has an address of its own within loopback, so that no port of a real server is in the way.
const NODE: &str = "127.66.0.1";
const CARRIER: &str = "127.66.0.2";
const ALICE: &str = "127.66.0.3";
const BOB: &str = "127.66.0.4";
/// What each one speaks, in Hz.
const CARRIER_HZ: f32 = 500.0;
const ALICE_HZ: f32 = 900.0;
const BOB_HZ: f32 = 1300.0;

/// Runs the demo. The error is a sentence.
pub fn run(out: &Path) -> Result<bool, String> {
    std::fs::create_dir_all(out)
        .map_err(|error| format!("the folder {} cannot be made: {}", out.display(), plain(&error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the system gives no event loop: {error}"))?;
    let folder = scratch();
    let result = tokio::task::LocalSet::new().block_on(&runtime, play(out, &folder));
    // The demo's own store: what it was is in the report.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id()))
}

async fn play(out: &Path, folder: &Path) -> Result<bool, String> {
    let passwords = [password()?, password()?];
    let (control, controls) = mpsc::channel(2);
    let server = Server::start(node(folder, &passwords)?, controls, &[])?;
    println!("A node listens on udp://{NODE}:5060 and tcp://{NODE}:5060. Around it:");
    println!("  carrier  {CARRIER}  G.711 A-law, trunk acme, speaks {CARRIER_HZ} Hz");
    println!("  alice    {ALICE}  Opus, +14155550101, registers by digest, speaks {ALICE_HZ} Hz");
    println!("  bob      {BOB}  Opus, +14155550102, registers by digest, speaks {BOB_HZ} Hz\n");
    let node = tokio::task::spawn_local(server.run());
    let carrier = phone(CARRIER, "+14155550199", None, &[Codec::Pcma], CARRIER_HZ)?;
    let alice = phone(ALICE, "alice", Some(&passwords[0]), &[Codec::Opus], ALICE_HZ)?;
    let bob = phone(BOB, "bob", Some(&passwords[1]), &[Codec::Opus], BOB_HZ)?;
    let mut script = Script::new(carrier, alice, bob, out);
    let held = script.play().await;
    drop(script);
    let _ = control.send(Control::Stop).await;
    let _ = node.await;
    Ok(held)
}

fn password() -> Result<Secret, String> {
    let seed = super::clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
    Ok(Secret::new(
        seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    ))
}

fn parsed(text: &str) -> Result<Config, String> {
    config::parse("demo", text, &Sources::NONE).map_err(|problems| problems.iter().map(|p| format!("{p}\n")).collect())
}

fn node(folder: &Path, passwords: &[Secret; 2]) -> Result<Config, String> {
    parsed(&format!(
        "node: {{ name: demo }}
listen: [ \"udp://{NODE}:5060\", \"tcp://{NODE}:5060\" ]
media: {{ ports: 21000-21999 }}
domains: [ {NODE} ]
users:
  - {{ name: alice, password: \"{}\", number: \"+14155550101\" }}
  - {{ name: bob, password: \"{}\", number: \"+14155550102\" }}
trunks:
  - name: acme
    peers: [ \"sip:{CARRIER}:5060\" ]
    accept_from: [ {CARRIER}/32 ]
    codecs: [ pcma, pcmu ]
    numbers: {{ country: US, send: e164 }}
routes:
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
store: {{ path: \"{}\" }}
calls: {{ stop_grace: 1s }}
",
        passwords[0].expose(),
        passwords[1].expose(),
        folder.join("demo.db").display(),
    ))
}

fn phone(ip: &str, user: &str, password: Option<&Secret>, codecs: &[Codec], hz: f32) -> Result<Handle, String> {
    let config = parsed(&format!(
        "node: {{ name: phone }}
listen: [ \"udp://{ip}:5060\" ]
media: {{ ports: 22000-22099, workers: 1 }}
domains: [ {ip} ]
"
    ))?;
    let uri = |text: String| Uri::parse(&text).map_err(|error| error.reason.to_owned());
    let settings = Settings {
        identity: uri(format!("sip:{user}@{NODE}"))?,
        proxy: uri(format!("sip:{NODE}:5060"))?,
        password: password.cloned(),
        capabilities: Capabilities {
            codecs: codecs.into(),
            events: true,
            ptime_ms: 20,
            opus: OpusParams::default(),
            gain: Default::default(),
            comfort_noise: false,
            security: None,
            webrtc: None,
        },
        answer_after: Duration::from_millis(700),
    };
    runner::start(config, settings, hz)
}

fn call(number: &str) -> Result<Command, String> {
    Uri::parse(&format!("sip:{number}@{NODE}"))
        .map(Command::Call)
        .map_err(|error| error.reason.to_owned())
}
