//! A program with its clients, and what is measured of it.

use super::clients::{Clients, PASSWORD, REALM, USER, is_up};
use crate::media::figures::Load;
use crate::media::scene::{self, FEW, Scene, Times, at_work, watch};
use crate::media::sdp::Called;
use crate::peer::{self, Half, Hosts, Running};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The loop of the bench itself, with as many sockets and packets.
    Bare,
    /// Debian's.
    Coturn { channels: bool },
    /// This repository's.
    Tandem { channels: bool },
}

/// Relayed ports.
const FIRST: u16 = 30_000;
const LAST: u16 = 60_999;
/// Packets per second of a client: to its peer, and from it.
const PACKETS: usize = 100;

/// So many clients at work.
pub fn load(program: Program, folder: &Path, hosts: Hosts, clients: usize, times: &Times) -> Result<Load, String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (command, channels) = match program {
        Program::Bare => {
            let mut scene = Scene::start(folder, hosts, scene::Program::Bare, Called::Alaw, clients)?;
            return scene.load(clients, times);
        }
        Program::Coturn { channels } => (coturn(folder, hosts), channels),
        Program::Tandem { channels } => (tandem(folder, hosts)?, channels),
    };
    let running = peer::start(command, folder, || is_up(hosts))?;
    measure(&running, hosts, clients, channels, times)
}

fn measure(running: &Running, hosts: Hosts, clients: usize, channels: bool, times: &Times) -> Result<Load, String> {
    let mut generator = Clients::new(hosts, channels)?;
    // What the first clients make a program touch is not what a client takes.
    let few = clients / FEW;
    generator.add(few)?;
    at_work(|phase| generator.run(phase), scene::a_second);
    let idle = running.memory();
    generator.add(clients - few)?;
    let (record, window) = at_work(|phase| generator.run(phase), |phase| watch(running, times, phase));
    let packets = window.elapsed.as_secs_f64() * (clients * PACKETS) as f64;
    if record.received[1] == 0 {
        return Err(format!("nothing got through of {} packets", record.sent[0]));
    }
    if (record.sent[1] as f64) < packets * 0.98 {
        return Err(format!("the generator sent {} of {packets:.0} packets", record.sent[1]));
    }
    let quantile = |part| record.delay[1].quantile(part).unwrap_or(0.0);
    let load = Load {
        each: window.used / packets,
        delay: [quantile(0.5), quantile(0.99)],
        tail: quantile(0.999),
        memory: window.memory.saturating_sub(idle) as f64 / (clients - few) as f64,
        others: window.others,
        lost: record.sent[0].saturating_sub(record.received[0]),
        wrong: record.wrong,
    };
    println!("    {load:.2?}; the generator was {} packets behind", record.behind);
    Ok(load)
}

/// With one thread that relays, and nothing that it can leave out.
fn coturn(folder: &Path, hosts: Hosts) -> Command {
    let mut command = peer::command("turnserver", Some(Half::Peer));
    let peer = hosts.peer;
    command
        .args([
            "-n",
            "--no-cli",
            "--no-tls",
            "--no-dtls",
            "--no-tcp",
            "--relay-threads=1",
        ])
        .args([
            "--allow-loopback-peers",
            "--lt-cred-mech",
            "--log-file=stdout",
            "--simple-log",
        ])
        .arg(format!("--listening-ip={peer}"))
        .arg(format!("--relay-ip={peer}"))
        .arg(format!("--user={USER}:{PASSWORD}"))
        .arg(format!("--realm={REALM}"))
        .arg(format!("--min-port={FIRST}"))
        .arg(format!("--max-port={LAST}"))
        .arg(format!("--userdb={}", folder.join("turndb").display()))
        .arg(format!("--pidfile={}", folder.join("pid").display()));
    command
}

fn tandem(folder: &Path, hosts: Hosts) -> Result<Command, String> {
    let file = folder.join("tandem.yaml");
    let (peer, store) = (hosts.peer, folder.join("tandem.db"));
    let yaml = format!(
        "node: {{ name: peers }}
listen: [ \"udp://{peer}:5060\" ]
media: {{ ports: 6000-29999, workers: 1 }}
domains: [ {REALM} ]
store: {{ path: {} }}
turn:
  listen: [ \"udp://{peer}\" ]
  users: [ {{ name: {USER}, password: {PASSWORD} }} ]
  ports: {FIRST}-{LAST}
  per_user: 10000
  allowed_peers: [ 127.0.0.0/8 ]
",
        store.display()
    );
    fs::write(&file, yaml).map_err(|error| error.to_string())?;
    let mut command = peer::command(&peer::program(), Some(Half::Peer));
    command.arg("run").arg(&file);
    Ok(command)
}
