//! A browser as a phone: JsSIP on a page in Debian's Chromium registers over a secure WebSocket and is called by baresip over TLS. The
//! node proxies; speech goes directly between the two, by ICE, DTLS and SRTP.
//!
//! All of it plays in a network of its own, since no ICE agent takes loopback addresses. `sip-tests/browser/drive.mjs` drives the page
//! and tells its steps.

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests with real peers use the rest of it, and those live in real time"
)]
#[path = "interop/journal.rs"]
mod journal;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;

use process::Process;
use program::program;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// For all that the page does; a browser on a busy machine takes some seconds to start.
const PLAY: Duration = Duration::from_secs(60);
/// The interface of the network below, with the addresses of the node and of the phone.
const NODE: &str = "10.99.0.1";
const PHONE: &str = "10.99.0.2";
/// Where the phone takes commands.
const CONTROL_PORT: u16 = 4444;

/// A network that only this test sees; it is gone when its last process is.
struct Network {
    _holder: Process,
    /// For `nsenter`.
    enter: Vec<String>,
}

impl Network {
    fn new() -> Network {
        let script = format!(
            "set -e; ip link add left type veth peer name right
             ip address add {NODE}/24 dev left; ip address add {PHONE}/24 dev left
             for link in lo left right; do ip link set $link up; done
             echo pid $$; exec sleep 300"
        );
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        // Without root, in a user namespace of its own, where one is root.
        let (make, enter): (&[&str], &[&str]) = if is_root {
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
        let mut enter: Vec<String> = enter.iter().map(|option| (*option).to_owned()).collect();
        enter.extend(["--target", pid, "--"].map(str::to_owned));
        Network { _holder: holder, enter }
    }

    /// A command that runs in it.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(&self.enter).arg(program);
        command
    }
}

/// A folder that is gone with the test, unless that fails.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = std::env::temp_dir().join(format!("tandem-browser-{}", std::process::id()));
        fs::create_dir_all(folder.join("baresip")).expect("a folder for temporary files");
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

fn start_node(network: &Network, folder: &Path) -> Process {
    let text = format!(
        "listen: [ \"tls://{NODE}:5061\", \"wss://{NODE}:8443\" ]
domains: [ {{ name: example.com, do: proxy }} ]
store: {{ path: {} }}
media: {{ ports: 20000-20199, workers: 1 }}
users:
  - {{ name: alice, password: secret-alice, number: \"101\" }}
  - {{ name: bob, password: secret-bob, number: \"102\" }}
",
        folder.join("t.db").display()
    );
    fs::write(folder.join("t.yaml"), text).expect("our own folder");
    let mut command = network.command(program());
    command.arg("run").arg(folder.join("t.yaml")).env("NO_COLOR", "1");
    let node = Process::start("tandem", "this repository", &mut command);
    node.wait_for("Ready.", SOON);
    node
}

/// Chromium takes no offer without DTLS, ICE and one port for RTP and RTCP.
fn start_phone(network: &Network, folder: &Path) -> Process {
    let folder = folder.join("baresip");
    let config = format!(
        "sip_listen {PHONE}:5060
net_interface {PHONE}
audio_source aufile,{folder}/tone.wav
audio_player aubridge,heard
audio_alert aubridge,alert
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 1
auplay_channels 1
rtp_ports 16000-16100
rtcp_mux yes
module_path /usr/lib/baresip/modules
module opus.so
module aufile.so
module aubridge.so
module srtp.so
module dtls_srtp.so
module ice.so
module_tmp uuid.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {PHONE}:{CONTROL_PORT}
opus_stereo no
opus_sprop_stereo no
",
        folder = folder.display()
    );
    fs::write(folder.join("config"), config).expect("our own folder");
    let account = format!(
        "<sip:bob@example.com;transport=tls>;auth_user=bob;auth_pass=secret-bob;outbound=\"sip:{NODE}:5061;transport=tls\";\
         answermode=manual;audio_codecs=opus/48000/1;regint=600;mediaenc=dtls_srtp;medianat=ice\n"
    );
    fs::write(folder.join("accounts"), account).expect("our own folder");
    write_tone(&folder.join("tone.wav"));
    let mut command = network.command("baresip");
    command.args(["-4", "-s", "-f"]).arg(&folder);
    let phone = Process::start("baresip", "the package baresip-core", &mut command);
    phone.wait_for("} 200 OK (", SOON);
    phone
}

/// It must last longer than the calls: its end would end them.
fn write_tone(path: &Path) {
    const RATE: u32 = 48_000;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("our own folder");
    let mut tone = codecs::tone::Sine::new(440.0, -10.0, RATE);
    for _ in 0..RATE * 60 {
        writer.write_sample(tone.next_sample() as i16).expect("our own folder");
    }
    writer.finalize().expect("our own folder");
}

fn start_browser(network: &Network, folder: &Path) -> Process {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        scripts.join("node_modules/jssip").exists(),
        "JsSIP and Playwright are not installed: `make peers` does it"
    );
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","server":"wss://{NODE}:8443","uri":"sip:alice@example.com",
            "password":"secret-alice","phone":{{"host":"{PHONE}","port":{CONTROL_PORT}}},"seconds":{}}}"#,
        folder.display(),
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command.arg(scripts.join("drive.mjs")).arg(options);
    Process::start("the browser", "Node.js", &mut command)
}

/// RFC 7118, RFC 3261 16: REGISTER, INVITE, 180, 200, ACK, and BYE from either side, between WSS and TLS.
#[test]
fn a_page_registers_and_is_called_by_a_phone() {
    let folder = Folder::new();
    let network = Network::new();
    let mut node = start_node(&network, &folder.0);
    let phone = start_phone(&network, &folder.0);
    let mut browser = start_browser(&network, &folder.0);
    assert_eq!(browser.exit(PLAY), Some(0), "the page did all that it should");
    for (step, times) in [
        ("registered 200", 1),
        ("call remote sip:bob@example.com", 2),
        (&format!("via SIP/2.0/WSS {NODE}:8443, SIP/2.0/TLS {PHONE}:5061"), 2),
        // The ACK is there.
        ("confirmed remote", 2),
        // By ICE and DTLS, past the node, and speech over it.
        ("media connected", 2),
        ("heard packets", 2),
        ("ended local", 1),
        ("ended remote", 1),
    ] {
        let step = format!("STEP {step}");
        assert_eq!(browser.journal.count(&step), times, "{step}");
    }
    // A BYE and its 200, as the phone's trace has them, for each call.
    phone.wait_times(" BYE", 4, SOON);
    let refused = |status: &str| phone.journal.count(&format!("SIP/2.0 {status}"));
    assert_eq!(
        refused("4"),
        refused("401") + refused("407"),
        "challenged and not refused"
    );
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    for sign in [" WARN ", " ERROR ", "panicked at"] {
        assert_eq!(node.journal.count(sign), 0, "the log has {sign:?}");
    }
    let calls = Command::new(program())
        .arg("calls")
        .arg(folder.0.join("t.yaml"))
        .output()
        .expect("the program runs");
    let calls = String::from_utf8(calls.stdout).expect("UTF-8");
    let ended: Vec<&str> = calls.lines().filter(|line| line.contains("hung up")).collect();
    assert!(
        ended.len() == 2 && calls.lines().count() == 3,
        "one record for each call:\n{calls}"
    );
    assert!(
        ended
            .iter()
            .all(|line| line.contains(" bob ") && line.contains(" user/alice ") && line.contains(" 200 ")),
        "{calls}"
    );
}
