//! A room of two pages with cameras and a plain phone: the pages see each other, and all hear all others.

use super::network::{Folder, Network, write_tone};
use super::process::Process;
use super::{CONTROL_PORT, NODE, PLAY, SOON, heard, start_node, start_plain_phone};
use std::fs;
use std::io::Write;
use std::path::Path;

/// A camera's film of one colour, as YUV, that begins anew at its end. Its grain is other in each frame, so that as much is sent as may be.
fn write_film(path: &Path, [y, u, v]: [u8; 3]) {
    const SIZE: (usize, usize) = (320, 240);
    let mut file = fs::File::create(path).expect("our own folder");
    let head = format!("YUV4MPEG2 W{} H{} F20:1 Ip A1:1 C420\n", SIZE.0, SIZE.1);
    file.write_all(head.as_bytes()).expect("our own folder");
    let mut random = 1u32;
    let mut grain = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        y - 16 + (random >> 27) as u8
    };
    let chroma = |value| vec![value; SIZE.0 * SIZE.1 / 4];
    for _ in 0..20 {
        let luma: Vec<u8> = (0..SIZE.0 * SIZE.1).map(|_| grain()).collect();
        for part in [b"FRAME\n".to_vec(), luma.clone(), chroma(u), chroma(v)] {
            file.write_all(&part).expect("our own folder");
        }
    }
}

/// RFC 8829, 8843, 7741, 4585: Chromium's own encoder, decoder and estimator on both sides of the node.
#[test]
fn two_pages_and_a_phone_meet_in_a_room() {
    let folder = Folder::new("browser-group");
    fs::create_dir_all(folder.0.join("baresip")).expect("our own folder");
    let network = Network::new("10.99.0");
    let mut node = start_node(&network, &folder.0, "bridge");
    let _phone = start_plain_phone(&network, &folder.0);
    for (name, tone, yuv) in [("alice", 1_000.0, [82, 90, 240]), ("carol", 700.0, [41, 240, 110])] {
        write_tone(&folder.0.join(format!("{name}.wav")), tone, 48_000);
        write_film(&folder.0.join(format!("{name}.y4m")), yuv);
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        scripts.join("node_modules/jssip").exists(),
        "JsSIP and Playwright are not installed: `make peers` does it"
    );
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","server":"wss://{NODE}:8443","room":"sip:3000@example.com","places":2,
            "phone":{{"host":"{NODE}","port":{CONTROL_PORT}}},"phoneTone":440,"seconds":{},
            "members":[{{"name":"alice","password":"secret-alice","tone":1000,"colour":"red","simulcast":true}},
                {{"name":"carol","password":"secret-carol","tone":700,"colour":"blue","simulcast":false}}]}}"#,
        folder.0.display(),
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command.arg(scripts.join("group.mjs")).arg(options);
    let mut browser = Process::start("the browsers", "Node.js", &mut command);
    assert_eq!(browser.exit(PLAY), Some(0), "the pages did all that they should");
    for (step, times) in [
        ("carol sees red", 2),
        ("alice sees blue", 1),
        ("alice hears 440 700", 1),
        ("carol hears 440 1000", 1),
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
    // Of two tones at once one is the loudest.
    let tones = heard(&folder.0);
    assert!(!tones.is_empty(), "the phone wrote down what it heard");
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
        write_film(&folder.0.join(format!("{name}.y4m")), [82, 90, 240]);
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
