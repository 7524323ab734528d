//! A phone with Opus behind a network that loses packets: what the carrier hears goes on.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene};
use super::sink::Sink;
use super::sipp::Setup;
use codecs::Codec;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

const ALICE: u8 = 2;
const CARRIER: u8 = 4;
const NUMBER: &str = "+14155550101";

/// Says that this process is the one in the network of its own.
const INSIDE: &str = "TANDEM_LOSSY_NETWORK";
/// Where the phone sends from and receives.
const PHONE: &str = "127.0.0.1";
/// Ten seconds of packets.
const PACKETS: usize = 500;
/// The longest silence that nobody notices in speech: two packets.
const GAP: Duration = Duration::from_millis(40);

/// Runs one test of this program once more, in a network that only it sees and that is gone with it; without root in a user namespace,
/// where one is root. True in there.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let own: &[&str] = if is_root {
        &["--net"]
    } else {
        &["--net", "--user", "--map-root-user"]
    };
    let ended = Command::new("unshare")
        .args(own)
        .args(["sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("it runs"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare comes with util-linux; `make peers` installs all peers");
    assert!(ended.success(), "in the network of its own it failed: see above");
    false
}

/// One packet in twenty of the phone's voice is lost, in both directions; signalling is not.
fn lose_packets() {
    for (direction, ports) in [("-s", "20000:20399"), ("-d", "10000:19999")] {
        let rule = ["-A", "INPUT", "-p", "udp", direction, PHONE, "--dport", ports];
        let chance = [
            "-m",
            "statistic",
            "--mode",
            "random",
            "--probability",
            "0.05",
            "-j",
            "DROP",
        ];
        let done = Command::new("iptables").args(rule).args(chance).status();
        let done = done.expect("iptables comes with a package of its name; `make peers` installs all peers");
        assert!(done.success(), "iptables does not know how to lose packets");
    }
}

fn configuration(scene: &Scene) -> String {
    format!(
        "users:
  - {{ name: alice, password: secret-alice, number: \"{NUMBER}\" }}
trunks:
  - name: acme
    peers: [ \"sip:{}\" ]
    options: never
    numbers: {{ country: US, send: e164 }}
routes:
  - {{ to: \"{NUMBER}\", from: trunk/acme, do: user/alice }}
",
        scene.sip(CARRIER)
    )
}

#[test]
fn a_phone_with_opus_is_heard_without_gaps_though_packets_are_lost() {
    if !is_inside("interop::lossy::a_phone_with_opus_is_heard_without_gaps_though_packets_are_lost") {
        return;
    }
    lose_packets();
    let scene = Scene::new("lossy");
    let node = Node::start(&scene, &configuration(&scene));
    let alice = Phone::start(&scene, &Account::new("alice", ALICE, 1_000.0), node.sip);
    let sink = Sink::open(scene.host(CARRIER), Codec::Pcma, 440.0);
    let call = Setup::new(&scene, "caller", CARRIER)
        .key("number", NUMBER)
        .key("caller", "+14155550199");
    let carrier = call.call(node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    sink.ear.wait_tone(1_000.0, SOON);
    alice.hears(440.0);
    let from = sink.ear.samples();
    sink.ear.wait_packets(PACKETS, SOON);
    let gap = sink.ear.longest_silence(from);
    assert!(gap <= GAP, "the carrier heard nothing for {gap:?}");
    alice.command("hangup", "");
    carrier.finish();
    all_hung_up(&node, 1);
    // The rule is a matter of chance: of 500 packets and more between 2 and 10 in a hundred, but for one run in 10,000.
    let lost = "SELECT lost * 100 BETWEEN 2 * (received + lost) AND 10 * (received + lost) AND concealed > 0 FROM legs WHERE codec = ";
    assert_eq!(node.number(&format!("{lost}'opus'")), 1, "{}", node.calls());
    assert_eq!(node.number("SELECT lost FROM legs WHERE codec = 'PCMA'"), 0);
    node.stop();
}
