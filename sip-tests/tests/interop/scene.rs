//! Where a test plays: its addresses and its folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a single event may take on a machine that is busy with other things.
pub const SOON: Duration = Duration::from_secs(20);
/// How often a condition is looked at that tells nobody when it becomes true.
const LOOK: Duration = Duration::from_millis(20);

/// Blocks of RTP ports: baresip opens them on every address, so they must differ between all phones of the machine.
const RTP_FIRST: u16 = 10_000;
const RTP_BLOCK: u16 = 20;
const RTP_BLOCKS: u16 = 490;

static SCENES: AtomicU8 = AtomicU8::new(0);
static PHONES: AtomicU16 = AtomicU16::new(0);

/// A network 127.x.y.0/24 and a folder. Two runs of the tests beside each other have different ones.
pub struct Scene {
    net: [u8; 3],
    folder: PathBuf,
}

impl Scene {
    /// A new scene; the name is for people.
    pub fn new(name: &str) -> Scene {
        let pid = std::process::id();
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        assert!(number < 128, "a run has 128 scenes at most");
        let second = 16 + (pid % 230) as u8;
        let third = ((pid / 230) % 2) as u8 * 128 + number;
        let folder = std::env::temp_dir().join(format!("tandem-interop-{pid}-{number}-{name}"));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        Scene {
            net: [127, second, third],
            folder,
        }
    }

    /// One of its addresses, 1 to 254.
    pub fn host(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(self.net[0], self.net[1], self.net[2], number)
    }

    /// Where a SIP peer listens: every one of them at port 5060 of its own address.
    pub fn sip(&self, number: u8) -> SocketAddr {
        (self.host(number), 5060).into()
    }

    /// Files of this test.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("---- the files of this test are in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// First and last RTP port for one more phone.
pub fn rtp_ports() -> (u16, u16) {
    let number = PHONES.fetch_add(1, Ordering::Relaxed) + (std::process::id() % u32::from(RTP_BLOCKS)) as u16;
    let first = RTP_FIRST + number % RTP_BLOCKS * RTP_BLOCK;
    (first, first + RTP_BLOCK - 1)
}

/// Waits for a condition that nobody announces: a row in a database, a socket of another process.
pub fn eventually(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds() {
        assert!(
            Instant::now() < end,
            "within {within:?} it did not come true that {what}"
        );
        thread::sleep(LOOK);
    }
}
