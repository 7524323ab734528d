//! baresip in a network of the test's own: it plays a tone from a file, and may write down what it hears.

use crate::network::{Network, write_tone};
use crate::process::Process;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

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
        fs::create_dir_all(folder.join("rec")).expect("our own folder");
        let ((ip, port), (hz, rate)) = (self.listen, self.tone);
        let config = format!(
            "sip_listen {ip}:{port}
net_interface {ip}
audio_source aufile,{folder}/tone.wav
audio_player aubridge,heard
audio_alert aubridge,alert
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
rtp_ports 16000-16100
module_path /usr/lib/baresip/modules
module aufile.so
module aubridge.so
module_tmp uuid.so
module_app account.so
module_app menu.so
{more}",
            folder = folder.display(),
            more = self.more,
        );
        fs::write(folder.join("config"), config).expect("our own folder");
        fs::write(folder.join("accounts"), format!("{}\n", self.account)).expect("our own folder");
        write_tone(&folder.join("tone.wav"), hz, rate);
        let mut command = network.command("baresip");
        command.args(["-4", "-s", "-f"]).arg(folder);
        for wanted in self.commands {
            command.args(["-e", wanted]);
        }
        let phone = Process::start("baresip", "the package baresip-core", &mut command);
        phone.wait_for(self.ready, SOON);
        phone
    }
}

/// What makes it write down what it hears, among the lines of its configuration.
pub fn writes_down(folder: &Path) -> String {
    format!("module sndfile.so\nsnd_path {}/rec\n", folder.display())
}

/// What it has heard in each call, as it has written it down in `folder`, and the rate.
pub fn written(folder: &Path) -> Vec<(Vec<i16>, u32)> {
    let files = fs::read_dir(folder.join("rec")).expect("our own folder").flatten();
    let decoded = files.filter(|file| file.file_name().to_string_lossy().ends_with("-dec.wav"));
    let read = |file: fs::DirEntry| {
        let mut reader = hound::WavReader::open(file.path()).expect("a recording");
        let rate = reader.spec().sample_rate;
        (reader.samples::<i16>().filter_map(Result::ok).collect(), rate)
    };
    decoded.map(read).collect()
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
