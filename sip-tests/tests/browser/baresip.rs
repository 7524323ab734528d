//! baresip in a network of the test's own: it plays a tone from a file, and may write down what it hears.

use crate::network::Network;
use crate::process::Process;
use crate::softphone::{self, Setup};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

pub use crate::softphone::writes_down;

const SOON: Duration = Duration::from_secs(20);
/// How long its tone lasts: longer than any of its calls.
const TONE_SECONDS: u32 = 60;

/// How it is set up.
pub struct Phone<'a> {
    /// Where it listens, and the address that its media has.
    pub listen: (&'a str, u16),
    /// Hertz of its tone, and its samples in a second.
    pub tone: (f32, u32),
    /// Modules besides those for files, and other lines of its configuration.
    pub more: &'a str,
    /// Its only account.
    pub account: &'a str,
    /// Commands at the start.
    pub commands: &'a [&'a str],
    /// What it says when it can be called.
    pub ready: &'a str,
}

impl Phone<'_> {
    /// Starts it. All that it needs and writes is in `folder`.
    pub fn start(&self, network: &Network, folder: &Path) -> Process {
        let setup = Setup {
            listen: self.listen,
            media: self.listen.0,
            ports: (16_000, 16_100),
            rate: self.tone.1,
            tone: (self.tone.0, TONE_SECONDS),
            more: self.more,
            account: self.account,
        };
        let mut command = network.command("baresip");
        setup.write(folder, &mut command);
        for wanted in self.commands {
            command.args(["-e", wanted]);
        }
        let phone = Process::start("baresip", "the package baresip-core", &mut command);
        phone.wait_for(self.ready, SOON);
        phone
    }
}

/// What it has heard in each call, as it has written it down in `folder`, and the rate.
pub fn written(folder: &Path) -> Vec<(Vec<i16>, u32)> {
    let files = softphone::recordings(folder);
    let read = |path| softphone::recorded(path).expect("a recording");
    files.iter().map(|path| read(path)).collect()
}

/// The tone of each call in its ear: of what it has written down these quarters.
pub fn heard(folder: &Path, quarters: Range<usize>) -> Vec<Option<f32>> {
    let tone = |(pcm, rate): (Vec<i16>, u32)| {
        let part = &pcm[pcm.len() * quarters.start / 4..pcm.len() * quarters.end / 4];
        let part = codecs::spectrum::dominant(part, rate)?;
        Some(part.hz).filter(|hz| part.is(*hz, 10.0))
    };
    written(folder).into_iter().map(tone).collect()
}
