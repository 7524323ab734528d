//! A child process: its output is a journal, and it does not outlive the test.

use super::journal::Journal;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How much of a process's output a failed test prints.
const LAST_LINES: usize = 400;

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    /// What it wrote to standard output and standard error.
    pub journal: Arc<Journal>,
}

impl Process {
    /// Starts it. `package` is what to install where the program is missing.
    pub fn start(name: &str, package: &str, command: &mut Command) -> Process {
        Process::reading(name, package, command, Stdio::null())
    }

    /// The same with a standard input.
    pub fn reading(name: &str, package: &str, command: &mut Command, input: impl Into<Stdio>) -> Process {
        let spawned = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| {
            let program = command.get_program().to_string_lossy().into_owned();
            panic!("{program} cannot be started ({error}): it comes with {package}; `make peers` installs all peers")
        });
        let journal = Arc::new(Journal::new(2));
        follow(child.stdout.take().expect("it is piped"), journal.clone());
        follow(child.stderr.take().expect("it is piped"), journal.clone());
        Process {
            name: name.to_owned(),
            child,
            journal,
        }
    }

    /// The number that the system gave it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `what`.
    pub fn wait_for(&self, what: &str, within: Duration) {
        self.wait_times(what, 1, within);
    }

    /// Waits until so many lines contain `what`.
    pub fn wait_times(&self, what: &str, times: usize, within: Duration) {
        let come = self.journal.wait(what, times, within);
        let seen = self.journal.count(what);
        assert!(
            come,
            "{} said {what:?} {seen} times in {within:?}, not {times} times",
            self.name
        );
    }

    /// Sends a signal by its name: TERM, HUP, KILL.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        let done = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(done.success(), "{kill} failed: {} is gone", self.name);
    }

    /// Waits for its end and gives the exit code, or `None` if a signal ended it.
    pub fn exit(&mut self, within: Duration) -> Option<i32> {
        assert!(
            self.journal.wait_closed(within),
            "{} did not end in {within:?}",
            self.name
        );
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let text = self.journal.text();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            eprintln!("---- {} said:\n{}\n----", self.name, last.join("\n"));
        }
    }
}

/// Reads a pipe to its end. baresip ends its status lines by a carriage return, and they tell nothing.
fn follow(pipe: impl Read + Send + 'static, journal: Arc<Journal>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            let told = text.rsplit("(bit/s)").next().unwrap_or_default().trim_end();
            journal.push(told.to_owned());
            line.clear();
        }
        journal.close();
    });
}
