//! The programs that are compared: started on an address of their own, and what the system says of them.

use crate::load::Load;
use crate::measure;
use std::fmt::Write;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The password of every user.
pub const PASSWORD: &str = "secret";
/// A peer must be up by then; 100,000 users take a while to read.
const START: Duration = Duration::from_secs(60);

/// Three hosts that nobody else has.
#[derive(Clone, Copy)]
pub struct Hosts {
    pub peer: Ipv4Addr,
    pub uac: Ipv4Addr,
    pub uas: Ipv4Addr,
}

impl Hosts {
    pub fn of(place: usize) -> Hosts {
        let at = |host| Ipv4Addr::new(127, 77, u8::try_from(place).expect("few rows"), host);
        Hosts {
            peer: at(1),
            uac: at(2),
            uas: at(3),
        }
    }
}

/// Debian's Kamailio with `kamailio.cfg`.
pub struct Kamailio {
    pub stateful: bool,
    pub workers: usize,
}

/// This repository's program.
#[derive(Default)]
pub struct Tandem {
    /// Calls are proxied, else bridged.
    pub proxy: bool,
    /// Without call records, store and a line in the log for each call.
    pub plain: bool,
    /// Further keys of the section `media`.
    pub media: &'static str,
    /// Further keys of each user.
    pub user: &'static str,
    /// Further keys of the trunk.
    pub trunk: &'static str,
    /// Further sections of the file.
    pub more: String,
}

pub enum Peer {
    Kamailio(Kamailio),
    Tandem(Tandem),
}

/// A peer that runs, with its children. It ends when this is dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Peer {
    /// Starts it with users u0, u1, ... and waits until it answers.
    pub fn start(&self, load: &Load, users: usize) -> Result<Running, String> {
        let command = match self {
            Peer::Kamailio(kamailio) => kamailio.command(load),
            Peer::Tandem(tandem) => tandem.command(load, users)?,
        };
        start(command, &load.folder, || load.is_answered())
    }
}

/// Starts a program, whose output goes to a file in this folder, and waits until it is up.
pub fn start(mut command: Command, folder: &Path, is_up: impl Fn() -> bool) -> Result<Running, String> {
    let path = folder.join("peer.log");
    let log = File::create(&path).map_err(|error| error.to_string())?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|error| error.to_string())?)
        .stderr(log);
    let child = command
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", command.get_program().to_string_lossy()))?;
    let mut running = Running { child, log: path };
    let until = Instant::now() + START;
    while !is_up() {
        if let Ok(Some(status)) = running.child.try_wait() {
            let said = running.log();
            return Err(format!(
                "ended at once ({status}): {}",
                said.lines().last().unwrap_or_default()
            ));
        }
        if Instant::now() > until {
            return Err(format!("does not answer within {} s", START.as_secs()));
        }
    }
    Ok(running)
}

/// The program that is measured: that of this build, unless `TANDEM_BIN` names another.
pub fn program() -> String {
    std::env::var("TANDEM_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tandem").to_owned())
}

/// Half of the machine's cores.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Peer,
    Generators,
}

/// A command that is to run on some cores only; on all without a half, or where there is but one.
pub fn command(program: &str, half: Option<Half>) -> Command {
    let cores = measure::cores();
    let Some(half) = half.filter(|_| cores > 1) else {
        return Command::new(program);
    };
    let list = match half {
        Half::Peer => format!("0-{}", cores / 2 - 1),
        Half::Generators => format!("{}-{}", cores / 2, cores - 1),
    };
    let mut command = Command::new("taskset");
    command.args(["-c", &list, program]);
    command
}

impl Kamailio {
    fn command(&self, load: &Load) -> Command {
        let mut command = command("kamailio", load.pinned.then_some(Half::Peer));
        let folder = &load.folder;
        command
            .args([
                "-DD",
                "-E",
                "-m",
                "2048",
                "-M",
                "32",
                "-b",
                "4194304",
                "-n",
                &self.workers.to_string(),
            ])
            .args(["-l", &format!("udp:{}:5060", load.hosts.peer)])
            .args(["-f", &path("kamailio.cfg").to_string_lossy()])
            .arg("-w")
            .arg(folder)
            .arg("-Y")
            .arg(folder)
            .arg("-P")
            .arg(folder.join("pid"));
        if self.stateful {
            command.args(["-A", "WITH_TM"]);
        }
        command
    }
}

impl Tandem {
    fn command(&self, load: &Load, users: usize) -> Result<Command, String> {
        let file = load.folder.join("tandem.yaml");
        fs::write(&file, self.configuration(load, users)).map_err(|error| error.to_string())?;
        let program = program();
        let check = Command::new(&program).arg("check").arg(&file).output();
        let check = check.map_err(|error| format!("{program} cannot be started: {error}"))?;
        if !check.status.success() {
            let said = String::from_utf8_lossy(&check.stderr).into_owned() + &String::from_utf8_lossy(&check.stdout);
            return Err(format!(
                "not with this program: {}",
                said.lines().next().unwrap_or_default()
            ));
        }
        let mut command = command(&program, load.pinned.then_some(Half::Peer));
        command.arg("run").arg(&file);
        Ok(command)
    }

    /// The callers are a trunk, so that nobody is asked for a password but who registers, as with Kamailio.
    fn configuration(&self, load: &Load, users: usize) -> String {
        let (hosts, folder) = (load.hosts, load.folder.display());
        let mut yaml = format!(
            "node: {{ name: peers }}
listen: [ \"udp://{}:5060\" ]
media: {{ ports: 6000-29999{} }}
trunks:
  - {{ name: callers, peers: [ \"sip:{}:5060\" ], options: never, limits: {{ calls: 20000, calls_per_second: 10000 }}{} }}
",
            hosts.peer, self.media, hosts.uac, self.trunk
        );
        if self.proxy {
            yaml += "domains: [ { name: example.com, do: proxy } ]\nroutes: [ { to: \"*\", from: trunk/callers, do: proxy } ]\n";
        } else {
            yaml += "domains: [ example.com ]\n";
        }
        if self.plain {
            yaml += "store: { records: no, bindings: no }\nlog: { level: warn }\n";
        } else {
            // It cannot fail: a `String` grows.
            let _ = writeln!(yaml, "store: {{ path: {folder}/tandem.db }}");
        }
        // One host sends what many phones would.
        yaml += "guard: { per_source: 100000, per_stranger: 10000, strangers: 100000, per_user: 10000 }\n";
        yaml += &self.more;
        yaml += "users:\n";
        for user in 0..users {
            let _ = writeln!(
                yaml,
                "  - {{ name: u{user}, password: {PASSWORD}, calls: 100{} }}",
                self.user
            );
        }
        yaml
    }
}

/// A file of this folder.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name)
}

impl Running {
    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time so far of all its processes, in clock ticks.
    pub fn ticks(&self) -> u64 {
        self.processes().iter().map(|pid| ticks(*pid)).sum()
    }

    /// Memory in KiB, what processes share counted once (the proportional set size).
    pub fn memory(&self) -> u64 {
        self.processes().iter().map(|pid| memory(*pid)).sum()
    }

    /// Memory in KiB as the system counts it for each process (RSS).
    pub fn resident(&self) -> u64 {
        let of = |pid| kib(&format!("/proc/{pid}/status"), "VmRSS:");
        self.processes().into_iter().map(of).sum()
    }

    /// It and its children, and theirs.
    fn processes(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, u32::try_from(*stat(pid)?.get(1)?).ok()?)))
            .collect();
        let mut at = 0;
        while let Some(parent) = found.get(at).copied() {
            found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        found
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Asks a process to end, which takes its children along, and sees that it does.
pub fn end(child: &mut Child) {
    // It may have ended already.
    let _ = Command::new("kill")
        .arg(child.id().to_string())
        .stderr(Stdio::null())
        .status();
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// utime and stime.
pub fn ticks(pid: u32) -> u64 {
    stat(pid).map_or(0, |fields| fields[11] + fields[12])
}

/// utime and stime of the threads of a process that have this name.
pub fn thread_ticks(pid: u32, name: &str) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let paths = threads.filter_map(|thread| Some(thread.ok()?.path()));
    let named = paths.filter(|path| {
        let own = fs::read_to_string(path.join("comm")).unwrap_or_default();
        own.trim() == name
    });
    named
        .filter_map(|path| numbers(&fs::read_to_string(path.join("stat")).ok()?))
        .map(|fields| fields[11] + fields[12])
        .sum()
}

/// The numbers of /proc/PID/stat from the state on (proc(5)): 0 state (as 0), 1 parent, ..., 11 utime, 12 stime.
fn stat(pid: u32) -> Option<Vec<u64>> {
    numbers(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<u64> = rest
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    (fields.len() > 12).then_some(fields)
}

fn memory(pid: u32) -> u64 {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kib(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
