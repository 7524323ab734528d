//! A phone as there are most, baresip: RTP in the clear, G.711.

use crate::internet::{NODE, PHONE};
use crate::network::{Network, write_tone};
use crate::process::Process;
use std::fs;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// Bob, who registers with the node and answers at once. He plays 440 Hz and writes down what he hears.
pub fn start(network: &Network, folder: &Path) -> Process {
    let folder = folder.join("baresip");
    fs::create_dir_all(folder.join("rec")).expect("our own folder");
    let config = format!(
        "sip_listen {PHONE}:5070
net_interface {PHONE}
audio_source aufile,{folder}/tone.wav
audio_player aubridge,heard
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports 16000-16100
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
snd_path {folder}/rec
module_tmp uuid.so
module_app account.so
module_app menu.so
",
        folder = folder.display()
    );
    fs::write(folder.join("config"), config).expect("our own folder");
    let account = format!(
        "<sip:bob@example.com;transport=udp>;auth_user=bob;auth_pass=secret-bob;outbound=\"sip:{NODE}:5060\";\
         answermode=auto;audio_codecs=PCMA/8000/1;regint=600\n"
    );
    fs::write(folder.join("accounts"), account).expect("our own folder");
    write_tone(&folder.join("tone.wav"), 440.0, 8_000);
    let mut command = network.command("baresip");
    command.args(["-4", "-s", "-f"]).arg(&folder);
    let phone = Process::start("baresip", "the package baresip-core", &mut command);
    phone.wait_for("} 200 OK (", SOON);
    phone
}

/// The tone of each call in the phone's ear: of what it has written down the half in the middle.
pub fn heard(folder: &Path) -> Vec<Option<f32>> {
    let files = fs::read_dir(folder.join("baresip/rec"))
        .expect("our own folder")
        .flatten();
    let decoded = files.filter(|file| file.file_name().to_string_lossy().ends_with("-dec.wav"));
    let tone = |file: fs::DirEntry| {
        let mut reader = hound::WavReader::open(file.path()).expect("a recording");
        let rate = reader.spec().sample_rate;
        let pcm: Vec<i16> = reader.samples::<i16>().filter_map(Result::ok).collect();
        let middle = codecs::spectrum::dominant(&pcm[pcm.len() / 4..pcm.len() * 3 / 4], rate)?;
        Some(middle.hz).filter(|hz| middle.is(*hz, 10.0))
    };
    decoded.map(tone).collect()
}
