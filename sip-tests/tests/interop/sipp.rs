//! SIPp with a scenario of `fixtures/sipp`.

use super::process::Process;
use super::scene::{SOON, Scene, eventually};
use super::sink;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// SIPp gives up after this many seconds.
const TIMEOUT: &str = "40s";

/// A SIPp that runs.
pub struct Sipp {
    process: Process,
    name: String,
    errors: PathBuf,
    messages: PathBuf,
}

/// A SIPp to be.
pub struct Setup<'a> {
    scene: &'a Scene,
    scenario: &'a str,
    address: Ipv4Addr,
    arguments: Vec<String>,
}

impl<'a> Setup<'a> {
    /// One call by this scenario, from this host of the scene. Its media is where a sink of that host is.
    pub fn new(scene: &'a Scene, scenario: &'a str, host: u8) -> Setup<'a> {
        let setup = Setup {
            scene,
            scenario,
            address: scene.host(host),
            arguments: Vec::new(),
        };
        let media = setup.address.to_string();
        setup.key("sink_ip", &media).key("sink_port", &sink::PORT.to_string())
    }

    /// What stands for `[name]` in the scenario.
    pub fn key(self, name: &str, value: &str) -> Setup<'a> {
        self.with(&["-key", name, value])
    }

    /// Further arguments of SIPp.
    pub fn with(mut self, arguments: &[&str]) -> Setup<'a> {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Starts it as the calling side.
    pub fn call(self, node: SocketAddr) -> Sipp {
        self.with(&[&node.to_string()]).start()
    }

    /// Starts it as the called side and waits until it listens.
    pub fn listen(self) -> Sipp {
        let address = SocketAddr::from((self.address, 5060));
        let sipp = self.start();
        eventually(&format!("SIPp listens at {address}"), SOON, || has_udp_socket(address));
        sipp
    }

    fn start(self) -> Sipp {
        let Setup {
            scene,
            scenario,
            address,
            arguments,
        } = self;
        let name = format!("{scenario}-{}", address.octets()[3]);
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/sipp")
            .join(format!("{scenario}.xml"));
        let errors = scene.folder().join(format!("{name}-errors.log"));
        let messages = scene.folder().join(format!("{name}-messages.log"));
        let mut command = Command::new("sipp");
        command.arg("-sf").arg(fixture);
        command.args([
            "-i",
            &address.to_string(),
            "-p",
            "5060",
            "-nostdin",
            "-deadcall_wait",
            "0",
        ]);
        command
            .args(["-timeout", TIMEOUT, "-timeout_error", "-trace_err", "-error_file"])
            .arg(&errors);
        command.args(["-trace_msg", "-message_file"]).arg(&messages);
        if !arguments.iter().any(|argument| argument == "-m") {
            command.args(["-m", "1"]);
        }
        command.args(arguments);
        let process = Process::start(&name, "the package sip-tester", &mut command);
        Sipp {
            process,
            name,
            errors,
            messages,
        }
    }
}

impl Sipp {
    /// Waits until all its calls went as the scenario says.
    pub fn finish(mut self) {
        let code = self.process.exit(SOON * 3);
        if code != Some(0) {
            let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
            let (errors, messages) = (read(&self.errors), read(&self.messages));
            panic!(
                "SIPp's {} ended with {code:?}\nErrors:\n{errors}\nMessages:\n{messages}",
                self.name
            );
        }
    }

    /// The messages that it sent and received so far.
    pub fn messages(&self) -> String {
        fs::read_to_string(&self.messages).unwrap_or_default()
    }
}

/// `/proc/net/udp` knows: field 1 is the local address as hexadecimal, the first octet last.
fn has_udp_socket(address: SocketAddr) -> bool {
    let SocketAddr::V4(address) = address else { return false };
    let wanted = format!(
        "{:08X}:{:04X}",
        u32::from_le_bytes(address.ip().octets()),
        address.port()
    );
    let table = fs::read_to_string("/proc/net/udp").expect("Linux has it");
    table
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(&wanted))
}
