//! What a baresip is started with, and the files that it leaves: on loopback, and in a network of a test's own.

use codecs::tone::Sine;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where it keeps what it heard.
const RECORDINGS: &str = "rec";

/// Its configuration.
pub struct Setup<'a> {
    /// Where it listens.
    pub listen: (&'a str, u16),
    /// The address that its media has.
    pub media: &'a str,
    /// Of its RTP, the first and the last.
    pub ports: (u16, u16),
    /// Samples per second of what it plays and hears.
    pub rate: u32,
    /// Hertz of its tone, and how many seconds that lasts: its end would end the call.
    pub tone: (f32, u32),
    /// Modules besides those for files, and other lines.
    pub more: &'a str,
    /// Its only account.
    pub account: &'a str,
}

impl Setup<'_> {
    /// Writes all that it needs into a folder, and has a command start it.
    pub fn write(&self, folder: &Path, command: &mut Command) {
        fs::create_dir_all(folder.join(RECORDINGS)).expect("our own folder");
        fs::write(folder.join("config"), self.config(folder)).expect("our own folder");
        fs::write(folder.join("accounts"), format!("{}\n", self.account)).expect("our own folder");
        let (hz, seconds) = self.tone;
        write_tone(&folder.join("tone.wav"), hz, self.rate, seconds);
        command.args(["-4", "-s", "-f"]).arg(folder);
    }

    fn config(&self, folder: &Path) -> String {
        let ((ip, port), (first, last), rate) = (self.listen, self.ports, self.rate);
        format!(
            "sip_listen {ip}:{port}
net_interface {media}
audio_source aufile,{folder}/tone.wav
audio_player aubridge,heard
audio_alert aubridge,alert
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
rtp_ports {first}-{last}
module_path /usr/lib/baresip/modules
module aufile.so
module aubridge.so
module_tmp uuid.so
module_app account.so
module_app menu.so
{more}",
            media = self.media,
            folder = folder.display(),
            more = self.more,
        )
    }
}

/// What makes it write down what it hears, among the lines of its configuration.
pub fn writes_down(folder: &Path) -> String {
    format!("module sndfile.so\nsnd_path {}/{RECORDINGS}\n", folder.display())
}

/// The files with heard sound, one for each call, the newest last.
pub fn recordings(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join(RECORDINGS)).expect("our own folder").flatten();
    let heard = files.map(|entry| entry.path());
    let mut heard: Vec<PathBuf> = heard
        .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
        .collect();
    heard.sort();
    heard
}

/// A recording that is complete, and its rate.
pub fn recorded(path: &Path) -> Option<(Vec<i16>, u32)> {
    let mut reader = hound::WavReader::open(path).ok()?;
    let rate = reader.spec().sample_rate;
    Some((reader.samples::<i16>().filter_map(Result::ok).collect(), rate))
}

/// Writes a file with a tone.
pub fn write_tone(path: &Path, hz: f32, rate: u32, seconds: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("our own folder");
    let mut tone = Sine::new(hz, -10.0, rate);
    for _ in 0..rate * seconds {
        writer.write_sample(tone.next_sample() as i16).expect("our own folder");
    }
    writer.finalize().expect("our own folder");
}
