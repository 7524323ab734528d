//! The `tandem` program.

use super::process::Process;
use super::program::program;
use super::scene::{SOON, Scene};
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Which address of a scene the node has.
const HOST: u8 = 1;

/// Runs a command of the program to its end.
pub fn tandem(arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .output()
        .expect("the program runs")
}

/// The beginning of every configuration: names, addresses, files; `rest` has users, trunks and routes.
fn configuration(scene: &Scene, rest: &str) -> String {
    format!(
        "node: {{ name: edge }}
listen: [ \"udp://{sip}\", \"tcp://{sip}\", \"tls://{host}\" ]
media: {{ ports: 20000-20399, workers: 1 }}
domains: [ example.com ]
store: {{ path: {store} }}
log: {{ level: debug }}
{rest}",
        sip = scene.sip(HOST),
        host = scene.host(HOST),
        store = store(scene).display(),
    )
}

fn store(scene: &Scene) -> PathBuf {
    scene.folder().join("tandem.db")
}

/// A node that runs.
pub struct Node {
    process: Process,
    file: PathBuf,
    store: PathBuf,
    /// Where it listens.
    pub sip: SocketAddr,
}

impl Node {
    /// Writes the configuration, starts the node and waits until it is ready.
    pub fn start(scene: &Scene, rest: &str) -> Node {
        Node::start_by(scene, rest, Node::run)
    }

    /// The same with files that may not grow beyond so many KB, as on a disk that is full: the system says EFBIG then.
    pub fn start_with_small_files(scene: &Scene, rest: &str, kb: u32) -> Node {
        Node::start_by(scene, rest, |file| {
            // Blocks of 512 bytes. By default the signal would end the process.
            let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" run \"$1\"", kb * 2);
            let mut command = Command::new("sh");
            command
                .arg("-c")
                .arg(limited)
                .arg(program())
                .arg(file)
                .env("NO_COLOR", "1");
            Process::start("tandem", "this repository", &mut command)
        })
    }

    fn start_by(scene: &Scene, rest: &str, run: impl FnOnce(&Path) -> Process) -> Node {
        let file = scene.folder().join("tandem.yaml");
        fs::write(&file, configuration(scene, rest)).expect("our own folder");
        let process = run(&file);
        process.wait_for("Ready.", SOON);
        Node {
            process,
            file,
            store: store(scene),
            sip: scene.sip(HOST),
        }
    }

    /// Starts the program with a file, and waits for nothing.
    pub fn run(file: &Path) -> Process {
        let mut command = Command::new(program());
        command.arg("run").arg(file).env("NO_COLOR", "1");
        Process::start("tandem", "this repository", &mut command)
    }

    /// Its configuration file.
    pub fn file(&self) -> &str {
        self.file.to_str().expect("UTF-8")
    }

    /// Replaces the file, with the same beginning, and sends SIGHUP.
    pub fn reload(&self, scene: &Scene, rest: &str) {
        self.reload_text(&configuration(scene, rest));
    }

    /// Replaces the whole file and sends SIGHUP.
    pub fn reload_text(&self, text: &str) {
        fs::write(&self.file, text).expect("our own folder");
        self.process.signal("HUP");
    }

    /// What it prints and logs.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits for a line of its log.
    pub fn wait_log(&self, what: &str, times: usize) {
        self.process.wait_times(what, times, SOON);
    }

    /// Ends it by SIGKILL, as a crash would.
    pub fn kill(mut self) {
        self.process.signal("KILL");
        assert_eq!(self.process.exit(SOON), None, "a signal ends it");
    }

    /// Ends it by SIGTERM after the calls of the test: code 0, and no error in the log.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit(SOON), Some(0), "after SIGTERM the node ends with 0");
        self.log_is_clean();
    }

    fn log_is_clean(&self) {
        for sign in [" ERROR ", "panicked at"] {
            assert_eq!(self.process.journal.count(sign), 0, "the log has {sign:?}");
        }
    }

    /// `tandem calls`.
    pub fn calls(&self) -> String {
        let output = tandem(&["calls", self.file(), "--number", "100"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// One number from the store, read beside the node.
    pub fn number(&self, sql: &str) -> i64 {
        number(&self.store, sql)
    }
}

/// One number from a store.
fn number(store: &Path, sql: &str) -> i64 {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store is there");
    connection
        .query_row(sql, [], |row| row.get(0))
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}
