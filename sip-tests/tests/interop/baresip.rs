//! A softphone: baresip without a display, that plays a tone and keeps what it hears.

use super::ear::{Ear, RATE, has_all, levels};
use super::journal::Journal;
use super::process::Process;
use super::scene::{SOON, Scene, eventually, rtp_ports};
use super::tap::Tap;
use codecs::spectrum::dominant;
use codecs::tone::Sine;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The tone must last longer than any call: its end would end the call. Of most of them this is long enough.
const TONE_SECONDS: u32 = 40;
/// Where the phone takes commands, at its own address.
const CONTROL_PORT: u16 = 4444;
/// Where the phone keeps what it heard.
const RECORDINGS: &str = "rec";

/// What it says when it is registered.
const REGISTERED: &str = "} 200 OK (";
/// How long nothing must come before it counts as silence.
pub const QUIET: Duration = Duration::from_millis(500);

/// What a phone speaks. It must be told in baresip's words: name, rate, channels.
#[derive(Clone, Copy)]
pub enum Speaks {
    Opus,
    G722,
    Pcmu,
}

impl Speaks {
    /// Samples per second of what it plays and writes down.
    fn rate(self) -> u32 {
        match self {
            Speaks::Opus => 48_000,
            Speaks::G722 => 16_000,
            Speaks::Pcmu => RATE,
        }
    }
}

/// How a phone is set up.
pub struct Account<'a> {
    /// The user.
    pub name: &'a str,
    /// `None`: `secret-NAME`.
    pub password: Option<&'a str>,
    /// Which address of the scene it has.
    pub host: u8,
    /// The tone that it plays.
    pub hz: f32,
    pub speaks: Speaks,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'a str,
    /// Whether it answers by itself.
    pub answers: bool,
    /// How long its tone lasts: longer than any of its calls.
    pub seconds: u32,
    /// How it encrypts media, in baresip's words (`mediaenc`): `srtp`, `srtp-mand`.
    pub encrypts: Option<&'a str>,
}

impl<'a> Account<'a> {
    /// A phone with Opus over UDP that answers by itself.
    pub fn new(name: &'a str, host: u8, hz: f32) -> Account<'a> {
        Account {
            name,
            password: None,
            host,
            hz,
            speaks: Speaks::Opus,
            transport: "udp",
            answers: true,
            seconds: TONE_SECONDS,
            encrypts: None,
        }
    }
}

/// A phone that runs.
pub struct Phone {
    process: Process,
    control: TcpStream,
    /// What it tells of its calls, one JSON object a line.
    events: Arc<Journal>,
    folder: PathBuf,
    /// Samples per second of what it plays and writes down.
    rate: u32,
    tap: Option<Tap>,
}

impl Phone {
    /// Starts it and waits until it is registered with the node.
    pub fn start(scene: &Scene, account: &Account<'_>, node: SocketAddr) -> Phone {
        let phone = Phone::launch(scene, account, node);
        phone.process.wait_for(REGISTERED, SOON);
        phone
    }

    /// Starts it and waits until the node refused to register it.
    pub fn start_refused(scene: &Scene, account: &Account<'_>, node: SocketAddr) {
        let phone = Phone::launch(scene, account, node);
        phone.process.wait_for("403 ", SOON);
        assert_eq!(phone.registrations(), 0);
    }

    fn launch(scene: &Scene, account: &Account<'_>, node: SocketAddr) -> Phone {
        let folder = scene.folder().join(format!("{}-{}", account.name, account.host));
        fs::create_dir_all(folder.join(RECORDINGS)).expect("our own folder");
        let ports = rtp_ports();
        // What is sealed tells nothing to who only sees it.
        let tap = Tap::open(ports.0, ports.1).filter(|_| account.encrypts.is_none());
        let rate = account.speaks.rate();
        write_tone(&folder.join("tone.wav"), account.hz, rate, account.seconds);
        let address = IpAddr::V4(scene.host(account.host));
        fs::write(folder.join("config"), config(&folder, address, ports, rate)).expect("our own folder");
        fs::write(folder.join("accounts"), account_line(account, node)).expect("our own folder");
        let mut command = Command::new("baresip");
        command.args(["-4", "-s", "-f"]).arg(&folder);
        let process = Process::start(account.name, "the package baresip-core", &mut command);
        process.wait_for("baresip is ready", SOON);
        let control = TcpStream::connect((address, CONTROL_PORT)).expect("baresip takes commands once it is ready");
        let events = Arc::new(Journal::new(1));
        read_events(control.try_clone().expect("a second handle"), events.clone());
        Phone {
            process,
            control,
            events,
            folder,
            rate,
            tap,
        }
    }

    /// Gives a command: dial, accept, hangup, hold, resume, sndcode.
    pub fn command(&self, command: &str, params: &str) {
        let json = format!(r#"{{"command":"{command}","params":"{params}","token":"t"}}"#);
        (&self.control)
            .write_all(format!("{}:{json},", json.len()).as_bytes())
            .expect("the phone is there");
    }

    /// Calls somebody at the node.
    pub fn dial(&self, whom: &str, node: SocketAddr) {
        self.command("dial", &format!("sip:{whom}@{}", node.ip()));
    }

    /// Waits until so many events have come so far: CALL_RINGING, CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED, or with
    /// these words in them.
    pub fn wait_event(&self, event: &str, times: usize) {
        let come = self.events.wait(event, times, SOON);
        assert!(
            come,
            "no event {event} within {SOON:?}; the phone told:\n{}",
            self.events.text()
        );
    }

    /// How many of its events were this one so far.
    pub fn events_of(&self, event: &str) -> usize {
        self.events.count(&format!("\"type\":\"{event}\""))
    }

    /// Waits until it hears a tone: in the RTP at its address or, without the right to see that, in what it writes down.
    pub fn hears(&self, hz: f32) {
        match &self.tap {
            Some(tap) => tap.ear.wait_tone(hz, SOON),
            None => self.writes_down(hz),
        }
    }

    /// Waits until it hears all of these tones at once, and not the other.
    pub fn hears_all(&self, tones: &[f32], without: f32) {
        match &self.tap {
            Some(tap) => tap.ear.wait_tones(tones, without, SOON),
            None => self.writes(&format!("{tones:?} without {without}"), |pcm| {
                has_all(&levels(pcm, self.rate, tones, without))
            }),
        }
    }

    /// Half a second of sound that it writes down from now on, in any of its calls, is this tone.
    fn writes_down(&self, hz: f32) {
        self.writes(&format!("{hz} Hz"), |pcm| {
            dominant(pcm, self.rate).is_some_and(|tone| tone.is(hz, 10.0))
        });
    }

    /// Half a second of sound that it writes down from now on, in any of its calls, is like this.
    fn writes(&self, what: &str, is_it: impl Fn(&[i16]) -> bool) {
        let folder = self.folder.join(RECORDINGS);
        let half = self.rate as usize / 2;
        let before: BTreeMap<PathBuf, usize> = recordings(&folder)
            .into_iter()
            .map(|path| (path.clone(), samples(&path).len()))
            .collect();
        eventually(&format!("the phone hears {what}"), SOON, || {
            recordings(&folder).iter().any(|path| {
                let pcm = samples(path);
                pcm.len() >= before.get(path).unwrap_or(&0) + half && is_it(&pcm[pcm.len() - half..])
            })
        });
    }

    /// What arrives at its address; `None` without the right to see it.
    pub fn ear(&self) -> Option<&Ear> {
        self.tap.as_ref().map(|tap| &tap.ear)
    }

    /// How many SIP messages it sent or received over UDP or TCP.
    pub fn messages_over(&self, transport: &str) -> usize {
        self.process.journal.count(&format!("{transport} 127."))
    }

    /// How often it was told that it is registered.
    pub fn registrations(&self) -> usize {
        self.process.journal.count(REGISTERED)
    }

    /// After a call: what it wrote down as heard has this tone in its second half.
    pub fn has_heard(&self, hz: f32) {
        let folder = self.folder.join(RECORDINGS);
        eventually("the phone has kept what it heard", SOON, || {
            !recordings(&folder).is_empty()
        });
        let path = recordings(&folder).pop().expect("it was there");
        let mut tone = None;
        eventually(
            &format!("the phone has heard {hz} Hz in {}", path.display()),
            SOON,
            || {
                tone = heard(&path);
                tone.is_some_and(|tone| tone.is(hz, 10.0))
            },
        );
    }
}

/// What dominates the middle half of a recording, if it is complete.
fn heard(path: &Path) -> Option<codecs::spectrum::Dominant> {
    let mut reader = hound::WavReader::open(path).ok()?;
    let rate = reader.spec().sample_rate;
    let pcm: Vec<i16> = reader.samples::<i16>().filter_map(Result::ok).collect();
    dominant(&pcm[pcm.len() / 4..pcm.len() * 3 / 4], rate)
}

/// The samples of a recording that goes on: its header does not tell yet how many there are.
fn samples(path: &Path) -> Vec<i16> {
    const HEADER: usize = 44;
    let bytes = fs::read(path).unwrap_or_default();
    let pcm = bytes.get(HEADER..).unwrap_or_default();
    pcm.chunks_exact(2)
        .map(|two| i16::from_le_bytes([two[0], two[1]]))
        .collect()
}

/// The files with heard sound, one for each call, the newest last.
fn recordings(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .expect("our own folder")
        .flatten()
        .map(|entry| entry.path());
    let mut heard: Vec<PathBuf> = files
        .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
        .collect();
    heard.sort();
    heard
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

/// baresip sends RTP from 127.0.0.1 whatever its address is, so that is what its SDP must say: `net_interface`.
fn config(folder: &Path, address: IpAddr, (first, last): (u16, u16), rate: u32) -> String {
    let folder = folder.display();
    format!(
        "sip_listen {address}:5060
net_interface 127.0.0.1
audio_source aufile,{folder}/tone.wav
audio_player aubridge,heard
audio_alert aubridge,alert
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
rtp_ports {first}-{last}
module_path {modules}
module opus.so
module g711.so
module g722.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
snd_path {folder}/{RECORDINGS}
module_tmp uuid.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{CONTROL_PORT}
opus_stereo no
opus_sprop_stereo no
",
        modules = "/usr/lib/baresip/modules",
    )
}

fn account_line(account: &Account<'_>, node: SocketAddr) -> String {
    let Account { name, transport, .. } = account;
    let codec = match account.speaks {
        Speaks::Opus => "opus/48000/1",
        Speaks::G722 => "G722/16000/1",
        Speaks::Pcmu => "PCMU/8000/1",
    };
    let password = account.password.map_or_else(|| format!("secret-{name}"), str::to_owned);
    let mode = if account.answers { "auto" } else { "manual" };
    let encrypts = account
        .encrypts
        .map_or_else(String::new, |how| format!(";mediaenc={how}"));
    format!(
        "<sip:{name}@{};transport={transport}>;auth_user={name};auth_pass={password};answermode={mode};\
         audio_codecs={codec};regint=600{encrypts}\n",
        node.ip()
    )
}

/// Netstrings of JSON become lines.
fn read_events(stream: TcpStream, events: Arc<Journal>) {
    // A phone may be silent for a whole test; the thread ends with the connection.
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        while let Some(text) = netstring(&mut reader) {
            events.push(text);
        }
        events.close();
    });
}

fn netstring(reader: &mut impl BufRead) -> Option<String> {
    let mut length = Vec::new();
    reader.read_until(b':', &mut length).ok()?;
    let count: usize = String::from_utf8_lossy(length.strip_suffix(b":")?).parse().ok()?;
    let mut text = vec![0; count + 1];
    reader.read_exact(&mut text).ok()?;
    text.pop();
    Some(String::from_utf8_lossy(&text).into_owned())
}
