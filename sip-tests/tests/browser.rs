//! A browser as a phone: JsSIP and SIP.js on pages in Debian's Chromium register over a secure WebSocket and call, and are called by, baresip and a
//! carrier that SIPp plays. Where the node proxies, speech goes directly between two, by ICE, DTLS and SRTP; where it bridges, it speaks so with the
//! page, and plain RTP in G.711 with phone and carrier.
//!
//! All of it plays in a network of its own, since no ICE agent takes loopback addresses. `sip-tests/browser/drive.mjs` drives the page
//! and tells its steps.

#[path = "browser/baresip.rs"]
mod baresip;
#[path = "browser/group.rs"]
mod group;
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests with real peers use the rest of it, and those live in real time"
)]
#[path = "interop/journal.rs"]
mod journal;
#[allow(dead_code, reason = "another test uses the rest of it")]
#[path = "browser/network.rs"]
mod network;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;
#[allow(dead_code, reason = "another test uses the rest of it")]
#[path = "interop/softphone.rs"]
mod softphone;

use baresip::Phone;
use network::{Folder, Network, write_tone};
use process::Process;
use program::program;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// For all that the pages do, three quarters of a minute; a busy machine takes longer.
const PLAY: Duration = Duration::from_secs(150);
/// The interface of the network below, with the addresses of the node and of the phone.
const NODE: &str = "10.99.0.1";
const PHONE: &str = "10.99.0.2";
/// The carrier's, which is where that phone is not.
const CARRIER: &str = PHONE;
/// By which the carrier's callers get into the room.
const ROOM_NUMBER: &str = "+14155553000";
/// Where the phone takes commands.
const CONTROL_PORT: u16 = 4444;

fn start_node(network: &Network, folder: &Path, way: &str) -> Process {
    let text = format!(
        "listen: [ \"udp://{NODE}:5060\", \"tls://{NODE}:5061\", \"wss://{NODE}:8443\" ]
domains: [ {{ name: example.com, do: {way} }} ]
store: {{ path: {} }}
media: {{ ports: 20000-20199, workers: 2, browser_ports: shared }}
users:
  - {{ name: alice, password: secret-alice, number: \"101\", codecs: [ opus ] }}
  - {{ name: ann, password: secret-ann, number: \"103\", codecs: [ opus ] }}
  - {{ name: bob, password: secret-bob, number: \"102\" }}
  - {{ name: carol, password: secret-carol, number: \"104\", codecs: [ opus ] }}
rooms: [ {{ number: \"3001\", name: apart, agc: no, gate: no, entry: none, audio: forwarded, speakers: 3 }}, {{ number: \"3000\", name: standup, agc: no, gate: no, entry: none }} ]
trunks:
  - {{ name: acme, peers: [ \"sip:{CARRIER}\" ], options: never, numbers: {{ country: US, send: e164 }} }}
routes:
  - {{ to: \"600\", do: echo }}
  - {{ to: \"+14155550101\", from: trunk/acme, do: user/alice }}
  - {{ to: \"+14155550103\", from: trunk/acme, do: user/ann }}
  - {{ to: \"{ROOM_NUMBER}\", from: trunk/acme, do: room/3000 }}
  - {{ to: \"+\", from: user/*, do: trunk/acme }}
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
fn start_phone(network: &Network, folder: &Path, commands: &[&str]) -> Process {
    let more = format!(
        "rtcp_mux yes
module opus.so
module srtp.so
module dtls_srtp.so
module ice.so
module_app ctrl_tcp.so
ctrl_tcp_listen {PHONE}:{CONTROL_PORT}
opus_stereo no
opus_sprop_stereo no
"
    );
    let account = format!(
        "<sip:bob@example.com;transport=tls>;auth_user=bob;auth_pass=secret-bob;outbound=\"sip:{NODE}:5061;transport=tls\";\
         answermode=manual;audio_codecs=opus/48000/1;regint=600;mediaenc=dtls_srtp;medianat=ice"
    );
    let phone = Phone {
        listen: (PHONE, 5060),
        tone: (440.0, 48_000),
        more: &more,
        account: &account,
        commands,
        ready: "} 200 OK (",
    };
    phone.start(network, &folder.join("baresip"))
}

/// `phone`: where that takes commands; `more`: the pages and further options of the driver, as JSON.
fn start_browser(network: &Network, folder: &Path, phone: &str, more: &str) -> Process {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        scripts.join("node_modules/sip.js").exists(),
        "JsSIP, SIP.js and Playwright are not installed: `make peers` does it"
    );
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","server":"wss://{NODE}:8443","node":"{NODE}","carrier":"{CARRIER}",
            "phone":{{"host":"{phone}","port":{CONTROL_PORT}}},{more},"seconds":{}}}"#,
        folder.display(),
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command.arg(scripts.join("drive.mjs")).arg(options);
    Process::start("the browser", "Node.js", &mut command)
}

/// A page on this library for this user, with these calls, as JSON.
fn page(library: &str, user: &str, calls: &str) -> String {
    format!(r#"{{"library":"{library}","uri":"sip:{user}@example.com","password":"secret-{user}","calls":[{calls}]}}"#)
}

/// RFC 7118, RFC 3261 16: REGISTER, INVITE, 180, 200, ACK, and BYE from either side, between WSS and TLS.
#[test]
fn a_page_registers_and_is_called_by_a_phone() {
    let folder = Folder::new("browser-proxy");
    let network = Network::new("10.99.0");
    let mut node = start_node(&network, &folder.0, "proxy");
    let phone = start_phone(&network, &folder.0, &[]);
    let calls = r#"{"with":"phone","by":"phone","hangs":"page"},{"with":"phone","by":"phone","hangs":"phone"}"#;
    let pages = format!(r#""pages":[{}]"#, page("jssip", "alice", calls));
    let mut browser = start_browser(&network, &folder.0, PHONE, &pages);
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

/// A phone as there are most: RTP in the clear, G.711. It plays 440 Hz and writes down what it hears. It has the node's address: what it sends from any other of
/// this machine would come from that one.
fn start_plain_phone(network: &Network, folder: &Path) -> Process {
    let folder = folder.join("baresip");
    let written = baresip::writes_down(&folder);
    let phone = Phone {
        listen: (NODE, 5070),
        tone: (440.0, 8_000),
        more: &format!("module g711.so\n{written}module_app ctrl_tcp.so\nctrl_tcp_listen {NODE}:{CONTROL_PORT}\n"),
        account: &format!(
            "<sip:bob@example.com;transport=udp>;auth_user=bob;auth_pass=secret-bob;outbound=\"sip:{NODE}:5060\";\
             answermode=manual;audio_codecs=PCMA/8000/1;regint=600"
        ),
        commands: &[],
        ready: "} 200 OK (",
    };
    phone.start(network, &folder)
}

/// What the phone has heard in each call, as it has written it down, and the rate.
fn written(folder: &Path) -> Vec<(Vec<i16>, u32)> {
    baresip::written(&folder.join("baresip"))
}

/// The tone of each call in the phone's ear: of what it has written down the half in the middle.
fn heard(folder: &Path) -> Vec<Option<f32>> {
    baresip::heard(&folder.join("baresip"), 1..3)
}

/// All that the pages below do.
fn pages(microphone: &Path) -> String {
    let to_carrier = r#"{"with":"carrier","by":"page"}"#;
    let by_carrier = r#"{"with":"carrier","by":"carrier","number":"+14155550101"}"#;
    let trickles = page("jssip", "alice", &format!("{to_carrier},{by_carrier}"));
    let calls = |number: &str, is_moved: bool| {
        format!(
            r#"{{"with":"phone","by":"page","target":"sip:bob@example.com","hangs":"page","isPlain":true}},
               {{"with":"phone","by":"phone","hangs":"phone","isPlain":true,"isMoved":{is_moved}}},
               {to_carrier},{{"with":"carrier","by":"carrier","number":"{number}"}}"#
        )
    };
    format!(
        r#""microphone":"{}","pages":[{},{},{}],"silent":{},
           "readme":{{"file":"{}","uri":"sip:alice@example.com","password":"secret-alice","number":"102"}}"#,
        microphone.display(),
        page("jssip", "alice", &calls("+14155550101", true)),
        page("sipjs", "ann", &calls("+14155550103", false)),
        trickles.replacen('{', r#"{"trickles":true,"#, 1),
        page("jssip", "alice", to_carrier),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md").display(),
    )
}

/// RFC 8445, 5764, 8839, 8829: pages on two libraries call a phone and a carrier in G.711 by way of the node, and are called by them. ICE, DTLS-SRTP and
/// Opus on one side, RTP in the clear on the other; each hears the other's tone. The carrier has a voice, and takes digits, before it answers.
/// Then the same on a page that tells its candidates by INFO (RFC 8840), on one that may not use a microphone, whose candidates are names (RFC 8828 mode 3),
/// and on the page that README describes.
#[test]
fn pages_and_phones_and_a_carrier_hear_each_other_through_the_node() {
    let folder = Folder::new("browser-bridge");
    let network = Network::new("10.99.0");
    // Without a way to the internet a page without a microphone would have no candidate: it tells the address of that way alone, and by a name.
    let way = network
        .command("ip")
        .args(["route", "add", "default", "via", PHONE, "dev", "left"])
        .status();
    assert!(
        way.is_ok_and(|status| status.success()),
        "a default route in a network of our own"
    );
    let mut node = start_node(&network, &folder.0, "bridge");
    let phone = start_plain_phone(&network, &folder.0);
    let microphone = folder.0.join("microphone.wav");
    write_tone(&microphone, 1_000.0, 48_000);
    let more = pages(&microphone);
    let mut browser = start_browser(&network, &folder.0, NODE, &more);
    assert_eq!(browser.exit(PLAY), Some(0), "the pages did all that they should");
    for (step, times) in [
        ("call local sip:bob@example.com", 2),
        ("call remote sip:bob@example.com", 2),
        ("call local sip:+14155550199@example.com", 4),
        ("described without candidates", 2),
        ("trickled 200", 2),
        ("tone 440", 6),
        ("moved", 1),
        ("early 700 42#", 4),
        ("tone 550", 7),
        ("carrier 1000", 7),
        // As the page's statistics have it.
        ("path host-host udp AEAD_AES_256_GCM FEFD", 4),
        ("page jssip", 3),
        ("page sipjs", 1),
        ("readme done", 1),
    ] {
        let step = format!("STEP {step}");
        assert_eq!(browser.journal.count(&step), times, "{step}");
    }
    let said = browser.journal.text();
    let candidates = said.lines().find_map(|line| line.split_once("STEP candidates "));
    let names = candidates.map(|(_, names)| names.split(' ').collect::<Vec<_>>());
    assert!(
        names
            .as_ref()
            .is_some_and(|names| !names.is_empty() && names.iter().all(|name| name.ends_with(".local"))),
        "{names:?}"
    );
    phone.wait_times(" BYE", 5, SOON);
    let tones = heard(&folder.0);
    let is_it = |tone: &Option<f32>| tone.is_some_and(|hz| (hz - 1_000.0).abs() < 10.0);
    // The page of README leaves it to the browser what of a tone is noise.
    let right = tones.iter().filter(|tone| is_it(tone)).count();
    assert!(tones.len() == 5 && right >= 4, "the phone heard {tones:?}");
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    for sign in [" WARN ", " ERROR ", "panicked at"] {
        assert_eq!(node.journal.count(sign), 0, "the log has {sign:?}");
    }
}

/// RFC 8122, RFC 5764: the phone's certificate is RSA, which is not taken. Its call ends, and its record says why.
#[test]
fn a_phone_with_an_rsa_certificate_gets_a_reason() {
    let folder = Folder::new("browser-rsa");
    let network = Network::new("10.99.0");
    let mut node = start_node(&network, &folder.0, "bridge");
    let _phone = start_phone(&network, &folder.0, &["/dial sip:600@example.com"]);
    node.wait_for("DTLS handshake failed", SOON);
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    let calls = Command::new(program())
        .arg("calls")
        .arg(folder.0.join("t.yaml"))
        .output()
        .expect("the program runs");
    let calls = String::from_utf8(calls.stdout).expect("UTF-8");
    assert!(
        calls.contains("DTLS handshake failed") && calls.contains("RSA"),
        "{calls}"
    );
}
