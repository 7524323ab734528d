//! A network that only a test sees, and what tests with browsers share.

use super::process::Process;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// True for root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// A network that only this test sees; it is gone when its last process is.
pub struct Network {
    _holder: Process,
    /// For `nsenter`.
    enter: Vec<String>,
    /// Of the process that holds it: `ip link` moves interfaces there.
    pub pid: String,
    /// One of its addresses.
    pub first: String,
}

impl Network {
    /// With the addresses 1 and 2 of this network of 24 bits, such as `10.99.0`.
    pub fn new(prefix: &str) -> Network {
        let (first, second) = (format!("{prefix}.1"), format!("{prefix}.2"));
        let script = format!(
            "ip link add left type veth peer name right
             ip address add {first}/24 dev left; ip address add {second}/24 dev left
             for link in lo left right; do ip link set $link up; done"
        );
        Network::made_by(&script, first)
    }

    /// As this script makes it.
    pub fn made_by(script: &str, first: String) -> Network {
        let script = format!("set -e; {script}\necho pid $$; exec sleep 300");
        // Without root, in a user namespace of its own, where one is root.
        let (make, enter): (&[&str], &[&str]) = if is_root() {
            (&["--net"], &["--net"])
        } else {
            (
                &["--net", "--user", "--map-root-user"],
                &["--net", "--user", "--preserve-credentials"],
            )
        };
        let mut command = Command::new("unshare");
        command.args(make).args(["sh", "-c", &script]);
        let holder = Process::start("the network", "util-linux and iproute2", &mut command);
        holder.wait_for("pid ", SOON);
        let said = holder.journal.text();
        let pid = said
            .lines()
            .find_map(|line| line.strip_prefix("pid "))
            .expect("as it was waited for");
        let pid = pid.to_owned();
        let mut enter: Vec<String> = enter.iter().map(|option| (*option).to_owned()).collect();
        enter.extend(["--target", &pid, "--"].map(str::to_owned));
        Network {
            _holder: holder,
            enter,
            pid,
            first,
        }
    }

    /// Runs a script of the shell in it, which must succeed: what it says.
    pub fn run(&self, script: &str) -> String {
        let output = self.command("sh").args(["-e", "-c", script]).output().expect("a shell");
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\nfailed: {fault}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A command that runs in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(&self.enter).arg(program);
        command
    }
}

/// A folder that is gone with the test, unless that fails.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("tandem-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- the files of this test are in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A minute of a tone: for a phone it must last longer than the calls, since its end would end them.
pub fn write_tone(path: &Path, tone: f32, rate: u32) {
    crate::softphone::write_tone(path, tone, rate, 60);
}

/// A camera's film as YUV, that begins anew at its end: of one colour, the light of which differs by so much from square to square and from frame to
/// frame.
pub fn write_film(path: &Path, (width, height): (usize, usize), [y, u, v]: [u8; 3], noise: u8) {
    const SQUARE: usize = 4;
    let mut file = fs::File::create(path).expect("our own folder");
    let head = format!("YUV4MPEG2 W{width} H{height} F20:1 Ip A1:1 C420\n");
    file.write_all(head.as_bytes()).expect("our own folder");
    let chroma = |value| vec![value; width * height / 4];
    for frame in 0..20u64 {
        let light = |at: usize| {
            let square = (at / width / SQUARE) * width + at % width / SQUARE;
            let mixed = ((square as u64) << 8 | frame).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
            y - noise / 2 + (mixed * u64::from(noise) / 255) as u8
        };
        let luma: Vec<u8> = (0..width * height).map(light).collect();
        for part in [b"FRAME\n".to_vec(), luma, chroma(u), chroma(v)] {
            file.write_all(&part).expect("our own folder");
        }
    }
}
