//! SIPp on both ends.

use crate::Kind;
use crate::peer::{self, Hosts, PASSWORD, path};
use std::fs;
use std::net::UdpSocket;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How much longer than planned a SIPp may take before the run counts as failed.
const LATE: Duration = Duration::from_secs(8);

/// The generators of one row.
pub struct Load {
    pub folder: PathBuf,
    pub hosts: Hosts,
    /// The peer has the first half of the cores to itself, the generators have the others.
    pub pinned: bool,
    users: PathBuf,
}

/// A SIPp that runs. It ends when this is dropped.
pub struct Sipp {
    child: Child,
    statistics: PathBuf,
}

/// What a SIPp that has ended tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub successful: u64,
    pub failed: u64,
    pub repeated: u64,
}

impl Outcome {
    /// Nothing failed, nothing was sent twice, and (within 2 %) all was done that was to be done.
    pub fn is_clean(&self, wanted: u64) -> bool {
        self.failed == 0 && self.repeated == 0 && self.successful * 100 >= wanted * 98
    }
}

impl Load {
    /// For these users of the peer, by number.
    pub fn new(folder: &Path, hosts: Hosts, users: Range<usize>, pinned: bool) -> Result<Load, String> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(told)?;
        let file = folder.join("users.csv");
        // SIPp writes each line's %d by its number.
        let (first, count) = (users.start, users.len());
        let lines = format!(
            "SEQUENTIAL,PRINTF={count},PRINTFOFFSET={first}\nu%d;[authentication username=u%d password={PASSWORD}]\n"
        );
        fs::write(&file, lines).map_err(told)?;
        Ok(Load {
            folder: folder.to_owned(),
            hosts,
            pinned,
            users: file,
        })
    }

    /// True once the peer answers an OPTIONS.
    pub fn is_answered(&self) -> bool {
        let Ok(socket) = UdpSocket::bind((self.hosts.uac, 5060)) else {
            return false;
        };
        let uac = self.hosts.uac;
        let options = format!(
            "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {uac}:5060;branch=z9hG4bKready\r\nMax-Forwards: 70\r\n\
             From: <sip:ready@{uac}>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let wait = socket.set_read_timeout(Some(Duration::from_millis(200)));
        let sent = socket.send_to(options.as_bytes(), (self.hosts.peer, 5060));
        let answered = wait.is_ok() && sent.is_ok() && socket.recv(&mut [0; 2048]).is_ok();
        if !answered {
            // An ICMP answer comes at once: the peer is not there yet.
            std::thread::sleep(Duration::from_millis(100));
        }
        answered
    }

    /// Registers so many users, from the host of the called side.
    pub fn register(&self, users: usize, rate: u64) -> Result<Outcome, String> {
        let (count, planned) = (users as u64, Duration::from_secs(users as u64 / rate + 1));
        let outcome = self.begin(Kind::Register, rate, count, &[])?.finish(planned)?;
        if outcome.successful == count {
            Ok(outcome)
        } else {
            Err(format!(
                "of {count} users {} could register ({outcome:?})",
                outcome.successful
            ))
        }
    }

    /// The called side.
    pub fn answer(&self) -> Result<Sipp, String> {
        let sipp = self.sipp("uas", self.hosts.uas, &[])?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(sipp)
    }

    /// Begins `count` calls or registrations at this rate.
    pub fn begin(&self, kind: Kind, rate: u64, count: u64, more: &[&str]) -> Result<Sipp, String> {
        let (rate, count) = (rate.to_string(), count.to_string());
        let users = self.users.to_string_lossy();
        let peer = format!("{}:5060", self.hosts.peer);
        let mut arguments = vec![&*peer, "-r", &rate, "-m", &count, "-l", "30000", "-inf", &users];
        arguments.extend(more);
        match kind {
            Kind::Call => self.sipp("uac", self.hosts.uac, &arguments),
            // SIPp writes the peer's address where the URI of the request belongs, unless told otherwise.
            Kind::Register => {
                arguments.extend(["-auth_uri", "example.com"]);
                self.sipp("register", self.hosts.uas, &arguments)
            }
        }
    }

    fn sipp(&self, scenario: &str, host: std::net::Ipv4Addr, more: &[&str]) -> Result<Sipp, String> {
        let statistics = self.folder.join(format!("{scenario}.csv"));
        // It is there only if it was used before.
        let _ = fs::remove_file(&statistics);
        let mut command = peer::command("sipp", self.pinned.then_some(peer::Half::Generators));
        command.args(more).arg("-sf").arg(path(&format!("{scenario}.xml")));
        command.args([
            "-i",
            &host.to_string(),
            "-p",
            "5060",
            "-nostdin",
            "-buff_size",
            "4194304",
        ]);
        command
            .args(["-deadcall_wait", "0", "-trace_stat", "-fd", "1", "-stf"])
            .arg(&statistics);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(|error| format!("sipp cannot be started ({error}): it comes with the package sip-tester"))?;
        Ok(Sipp { child, statistics })
    }
}

impl Sipp {
    /// CPU time so far, in clock ticks.
    pub fn ticks(&self) -> u64 {
        peer::ticks(self.child.id())
    }

    /// True until it has ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; if it does not end in time, what is under way counts as failed.
    pub fn finish(mut self, planned: Duration) -> Result<Outcome, String> {
        let until = Instant::now() + planned + LATE;
        while self.is_running() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        let is_late = self.is_running();
        peer::end(&mut self.child);
        let mut outcome = self.outcome()?;
        outcome.failed += u64::from(is_late);
        Ok(outcome)
    }

    /// The last line of its statistics.
    pub fn outcome(&self) -> Result<Outcome, String> {
        let text = fs::read_to_string(&self.statistics).unwrap_or_default();
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        let last: Vec<&str> = lines.last().unwrap_or_default().split(';').collect();
        let number = |name: &str| {
            let at = names.iter().position(|column| *column == name)?;
            last.get(at)?.parse().ok()
        };
        let read = || {
            Some(Outcome {
                successful: number("SuccessfulCall(C)")?,
                failed: number("FailedCall(C)")?,
                repeated: number("Retransmissions(C)")?,
            })
        };
        read().ok_or_else(|| format!("SIPp wrote no statistics to {}", self.statistics.display()))
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        peer::end(&mut self.child);
    }
}
