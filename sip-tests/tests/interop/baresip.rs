//! A softphone: baresip without a display, that plays a tone and keeps what it hears.

use super::ear::{Ear, RATE, has_all, levels};
use super::journal::Journal;
use super::process::Process;
use super::scene::{SOON, Scene, eventually, rtp_ports};
use super::softphone::{self, Setup, recordings};
use super::tap::Tap;
use codecs::spectrum::dominant;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The tone must last longer than any call: its end would end the call. Of most of them this is long enough.
const TONE_SECONDS: u32 = 40;
/// Where the phone takes commands, at its own address.
const CONTROL_PORT: u16 = 4444;
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
        let ports = rtp_ports();
        // What is sealed tells nothing to who only sees it.
        let tap = Tap::open(ports.0, ports.1).filter(|_| account.encrypts.is_none());
        let rate = account.speaks.rate();
        let address = scene.host(account.host).to_string();
        let setup = Setup {
            listen: (&address, 5060),
            // baresip sends RTP from there whatever its address is, so that is what its SDP must say.
            media: "127.0.0.1",
            ports,
            rate,
            tone: (account.hz, account.seconds),
            more: &more(&folder, &address),
            account: &account_line(account, node),
        };
        let mut command = Command::new("baresip");
        setup.write(&folder, &mut command);
        let process = Process::start(account.name, "the package baresip-core", &mut command);
        process.wait_for("baresip is ready", SOON);
        let control = TcpStream::connect((&*address, CONTROL_PORT)).expect("baresip takes commands once it is ready");
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
        let folder = &self.folder;
        let half = self.rate as usize / 2;
        let before: BTreeMap<PathBuf, usize> = recordings(folder)
            .into_iter()
            .map(|path| (path.clone(), samples(&path).len()))
            .collect();
        eventually(&format!("the phone hears {what}"), SOON, || {
            recordings(folder).iter().any(|path| {
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
        let folder = &self.folder;
        eventually("the phone has kept what it heard", SOON, || {
            !recordings(folder).is_empty()
        });
        let path = recordings(folder).pop().expect("it was there");
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
    let (pcm, rate) = softphone::recorded(path)?;
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

/// Modules and lines besides those of every phone.
fn more(folder: &Path, address: &str) -> String {
    format!(
        "module opus.so
module g711.so
module g722.so
module srtp.so
{written}module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{CONTROL_PORT}
opus_stereo no
opus_sprop_stereo no
",
        written = softphone::writes_down(folder),
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
         audio_codecs={codec};regint=600{encrypts}",
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
