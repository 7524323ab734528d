//! Two pages with cameras and a phone in a room, by the package and by the phone page: who is seen, and under which name.

use super::network::{Folder, Network, write_film, write_tone};
use super::process::Process;
use super::{KEY, NUMBER, OFFICE, PLAY, SOON, TONES, scripts, start_carrier, start_node};
use std::path::Path;

/// YUV of a camera that sees red, and of one that sees blue.
const FILMS: [(&str, [u8; 3]); 2] = [("alice", [82, 90, 240]), ("bob", [41, 240, 110])];

fn start_browsers(network: &Network, folder: &Path, more: &str) -> Process {
    for (name, tone) in [TONES[0], TONES[1], ("carol", 700.0)] {
        write_tone(&folder.join(format!("{name}.wav")), tone, 48_000);
    }
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","url":"https://{}:8445","key":"{KEY}",{more},"seconds":{}}}"#,
        folder.display(),
        network.first,
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command
        .arg(scripts().join("meeting.mjs"))
        .arg(options)
        .env("NODE_TLS_REJECT_UNAUTHORIZED", "0")
        .env("NODE_NO_WARNINGS", "1");
    Process::start("the browsers", "Node.js", &mut command)
}

/// Its log has nothing that an operator would have to look at.
pub(super) fn has_said_nothing_bad(node: &mut Process) {
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    for sign in [" WARN ", " ERROR ", "panicked at"] {
        assert_eq!(node.journal.count(sign), 0, "the log has {sign:?}");
    }
}

#[test]
fn pages_and_a_phone_see_and_name_each_other_in_a_room() {
    let folder = Folder::new("client-meeting");
    let network = Network::new("10.97.0");
    let mut node = start_node(&network, &folder.0);
    let dial = format!("/dial sip:+15550003000@{}:5060", network.first);
    let mut phone = start_carrier(&network, &folder.0, &[&dial]);
    for (name, yuv) in FILMS {
        write_film(&folder.0.join(format!("{name}.y4m")), (320, 240), yuv, 0);
    }
    let mut browsers = start_browsers(&network, &folder.0, &format!(r#""phone":"{NUMBER}""#));
    assert_eq!(browsers.exit(PLAY), Some(0), "the pages did all that they should");
    for step in [
        "alice sees bob, who is blue",
        "bob sees alice, who is red",
        "members (alice) +15551234567 bob",
        "the phone speaks",
        "bob sees alice's screen, which is green",
        "bob still sees alice, who is red",
        "screen gone",
        "camera off",
        "alice sees bob again, who is blue",
        "muted",
        "gone",
        "no camera is on clicked twice",
        "no camera is on the call has ended",
        "directly alice sees bob, who is blue",
        "directly bob sees alice, who is red",
        "moved alice sees bob, who is blue",
        "moved bob sees alice, who is red",
        "done",
    ] {
        let step = format!("STEP {step}");
        assert_eq!(browsers.journal.count(&step), 1, "{step}");
    }
    phone.signal("TERM");
    phone.exit(SOON);
    has_said_nothing_bad(&mut node);
}

/// Who is called into a room by number, and is at a page, sees those who are in it and is seen.
#[test]
fn a_page_that_is_called_into_a_room_by_number_has_video() {
    let folder = Folder::new("client-called");
    let network = Network::new("10.94.0");
    let mut node = start_node(&network, &folder.0);
    for (name, yuv) in [FILMS[0], ("dora", FILMS[1].1)] {
        write_film(&folder.0.join(format!("{name}.y4m")), (320, 240), yuv, 0);
    }
    write_tone(&folder.0.join("dora.wav"), TONES[1].1, 48_000);
    let more = format!(r#""play":"called","office":"{OFFICE}""#);
    let mut browsers = start_browsers(&network, &folder.0, &more);
    assert_eq!(browsers.exit(PLAY), Some(0), "the pages did all that they should");
    for step in [
        "room 3000 rings",
        "dora sees alice, who is red",
        "alice sees dora, who is blue",
        "members alice (dora)",
        "dora no-video",
        "done",
    ] {
        let step = format!("STEP {step}");
        assert_eq!(browsers.journal.count(&step), 1, "{step}");
    }
    has_said_nothing_bad(&mut node);
}

/// Simulcast (RFC 8853) of Chromium's own encoder: 960 pixels wide it sends three layers.
#[test]
fn each_page_gets_the_layer_that_it_has_room_for() {
    let folder = Folder::new("client-layers");
    let network = Network::new("10.96.0");
    let mut node = start_node(&network, &folder.0);
    // What moves all the time needs bits.
    for name in ["alice", "bob", "carol"] {
        write_film(&folder.0.join(format!("{name}.y4m")), (960, 540), [128; 3], 48);
    }
    let mut browsers = start_browsers(&network, &folder.0, r#""play":"layers","width":960"#);
    assert_eq!(browsers.exit(PLAY), Some(0), "the pages did all that they should");
    for step in ["layers bob 960 carol 240", "layers carol larger", "done"] {
        let step = format!("STEP {step}");
        assert_eq!(browsers.journal.count(&step), 1, "{step}");
    }
    has_said_nothing_bad(&mut node);
}
