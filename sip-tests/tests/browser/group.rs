//! A room of two pages with cameras, a plain phone and a carrier's caller: the pages see each other, and all hear all others.

use super::network::{Folder, Network, write_film, write_tone};
use super::process::Process;
use super::program::program;
use super::{CARRIER, CONTROL_PORT, NODE, PLAY, ROOM_NUMBER, SOON, start_node, start_plain_phone, written};
use std::fs;
use std::path::Path;

/// What the carrier's caller says.
const CARRIER_HZ: f32 = 1_650.0;
/// What the phone says.
const PHONE_HZ: f32 = 440.0;

/// How much of this is each of these tones, 0 to 1.
fn shares<const N: usize>(pcm: &[i16], rate: u32, tones: [f32; N]) -> [f64; N] {
    let all: f64 = pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let mean = (all / pcm.len() as f64).max(1.0);
    tones.map(|hz| codecs::goertzel::power(pcm, hz, rate) / mean)
}

/// For a second there were all of these beside one another, and the last of them not: it is its own.
fn heard_all(pcm: &[i16], rate: u32, tones: [f32; 4]) -> bool {
    pcm.chunks_exact(rate as usize).any(|second| {
        let [one, two, three, own] = shares(second, rate, tones);
        one.min(two).min(three) > 0.1 && one + two + three > 0.8 && own < 0.01
    })
}

/// RFC 8829, 8843, 7741, 4585: Chromium's own encoder, decoder and estimator on both sides of the node.
#[test]
fn two_pages_a_phone_and_a_caller_of_the_carrier_meet_in_a_room() {
    let folder = Folder::new("browser-group");
    fs::create_dir_all(folder.0.join("baresip")).expect("our own folder");
    let network = Network::new("10.99.0");
    let mut node = start_node(&network, &folder.0, "bridge");
    let _phone = start_plain_phone(&network, &folder.0);
    for (name, tone, yuv) in [("alice", 1_000.0, [82, 90, 240]), ("carol", 700.0, [41, 240, 110])] {
        write_tone(&folder.0.join(format!("{name}.wav")), tone, 48_000);
        write_film(&folder.0.join(format!("{name}.y4m")), (320, 240), yuv, 31);
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        scripts.join("node_modules/jssip").exists(),
        "JsSIP and Playwright are not installed: `make peers` does it"
    );
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","server":"wss://{NODE}:8443","room":"sip:3000@example.com","places":2,
            "phone":{{"host":"{NODE}","port":{CONTROL_PORT}}},"phoneTone":{PHONE_HZ},"node":"{NODE}","program":"{}","config":"{}",
            "carrier":{{"address":"{CARRIER}","port":30002,"number":"{ROOM_NUMBER}","tone":{CARRIER_HZ}}},"seconds":{},
            "members":[{{"name":"alice","password":"secret-alice","tone":1000,"colour":"red","simulcast":true}},
                {{"name":"carol","password":"secret-carol","tone":700,"colour":"blue","simulcast":false}}]}}"#,
        folder.0.display(),
        program().display(),
        folder.0.join("t.yaml").display(),
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command.arg(scripts.join("group.mjs")).arg(options);
    let mut browser = Process::start("the browsers", "Node.js", &mut command);
    assert_eq!(browser.exit(PLAY), Some(0), "the pages did all that they should");
    for (step, times) in [
        ("carol sees red", 2),
        ("alice sees blue", 1),
        ("alice hears 440 1650 700", 1),
        ("carol hears 440 1650 1000", 1),
        ("the carrier hears 440 1000 700", 1),
        ("grows alice", 1),
        ("grows carol", 1),
        ("gone alice", 1),
        ("done", 1),
    ] {
        let step = format!("STEP {step}");
        assert_eq!(browser.journal.count(&step), times, "{step}");
    }
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    for sign in [" WARN ", " ERROR ", "panicked at"] {
        assert_eq!(node.journal.count(sign), 0, "the log has {sign:?}");
    }
    let calls = written(&folder.0);
    let [(pcm, rate)] = &calls[..] else {
        panic!("the phone wrote down {} calls", calls.len())
    };
    let tones = [1_000.0, 700.0, CARRIER_HZ, PHONE_HZ];
    let seconds: Vec<_> = pcm
        .chunks_exact(*rate as usize)
        .map(|second| shares(second, *rate, tones))
        .collect();
    assert!(
        heard_all(pcm, *rate, tones),
        "the phone hears all others: {seconds:.2?}"
    );
}

/// RFC 8829, 8843, 7587: Chromium's own decoders play a voice each, whoever it is, and the mix of what is not forwarded.
#[test]
fn two_pages_hear_each_other_apart_and_a_phone_beside() {
    let folder = Folder::new("browser-apart");
    fs::create_dir_all(folder.0.join("baresip")).expect("our own folder");
    let network = Network::new("10.99.0");
    let mut node = start_node(&network, &folder.0, "bridge");
    let _phone = start_plain_phone(&network, &folder.0);
    for (name, tone) in [("alice", 1_000.0), ("carol", 700.0)] {
        write_tone(&folder.0.join(format!("{name}.wav")), tone, 48_000);
        write_film(&folder.0.join(format!("{name}.y4m")), (320, 240), [82, 90, 240], 31);
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","server":"wss://{NODE}:8443","room":"sip:3001@example.com","voices":3,
            "phone":{{"host":"{NODE}","port":{CONTROL_PORT}}},"phoneTone":440,"seconds":{},
            "members":[{{"name":"alice","password":"secret-alice","tone":1000}},{{"name":"carol","password":"secret-carol","tone":700}}]}}"#,
        folder.0.display(),
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command.arg(scripts.join("group.mjs")).arg(options);
    let mut browser = Process::start("the browsers", "Node.js", &mut command);
    assert_eq!(browser.exit(PLAY), Some(0), "the pages did all that they should");
    for step in ["alice hears 440 700", "carol hears 440 1000", "alice hears 700", "done"] {
        let step = format!("STEP {step}");
        assert_eq!(browser.journal.count(&step), 1, "{step}");
    }
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    for sign in [" WARN ", " ERROR ", "panicked at"] {
        assert_eq!(node.journal.count(sign), 0, "the log has {sign:?}");
    }
}
