//! Kamailio (Debian's package) with its module rtpengine, between phones and a carrier.

use super::process::Process;
use super::scene::{SOON, Scene};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

/// What it is to do.
pub struct Setup {
    /// Which address of the scene it has.
    pub host: u8,
    /// Where NG is taken.
    pub ng: SocketAddr,
    /// Whom phones call.
    pub carrier: SocketAddr,
    /// Flags of offers to phones, as a script writes them.
    pub to_phone: &'static str,
    /// The same to the carrier.
    pub to_carrier: &'static str,
}

/// A Kamailio that runs.
pub struct Kamailio {
    process: Process,
    pid: PathBuf,
    /// Where it listens.
    pub sip: SocketAddr,
}

impl Kamailio {
    /// Starts it; whoever sends to it too early sends again.
    pub fn start(scene: &Scene, setup: &Setup) -> Kamailio {
        let sip = scene.sip(setup.host);
        let folder = scene.folder().join("kamailio");
        fs::create_dir_all(&folder).expect("our own folder");
        let text = include_str!("kamailio.cfg")
            .replace("NG_SOCKET", &setup.ng.to_string())
            .replace("CARRIER_IP", &setup.carrier.ip().to_string())
            .replace("CARRIER_SOCKET", &setup.carrier.to_string())
            .replace("TO_PHONE", setup.to_phone)
            .replace("TO_CARRIER", setup.to_carrier);
        let (file, pid) = (folder.join("kamailio.cfg"), folder.join("pid"));
        fs::write(&file, text).expect("our own folder");
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-l", &format!("udp:{sip}"), "-f"]).arg(file);
        command
            .arg("-w")
            .arg(&folder)
            .arg("-Y")
            .arg(&folder)
            .arg("-P")
            .arg(&pid);
        let process = Process::start("kamailio", "the package kamailio", &mut command);
        Kamailio { process, pid, sip }
    }

    /// Nothing went wrong so far, as far as it knows.
    pub fn is_content(&self) {
        for sign in ["ERROR:", "CRITICAL:"] {
            assert_eq!(
                self.process.journal.count(sign),
                0,
                "it said {sign}\n{}",
                self.process.journal.text()
            );
        }
    }
}

impl Drop for Kamailio {
    /// By SIGTERM, which it passes on to its children; what is left is killed with the process.
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(&self.pid) {
            let _ = Command::new("kill").arg(pid.trim()).status();
            self.process.journal.wait_closed(SOON);
        }
    }
}
