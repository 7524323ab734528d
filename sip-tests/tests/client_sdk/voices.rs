//! Three pages in a room that forwards voices, by the package: each hears each other on a line of its own, and the node encodes nothing for them.

use super::meeting::has_said_nothing_bad;
use super::network::{Folder, Network, write_tone};
use super::process::Process;
use super::{KEY, PLAY, TONES, scripts, start_node_with};

const CAROL_HZ: f32 = 700.0;

#[test]
fn pages_hear_each_other_on_lines_of_their_own() {
    let folder = Folder::new("client-voices");
    let network = Network::new("10.95.0");
    let room = ", { number: \"*\", agc: no, gate: no, entry: none, audio: forwarded, speakers: 3 }";
    let mut node = start_node_with(&network, &folder.0, room, "info,tandem::shell::record=debug");
    let tones = [TONES[0], TONES[1], ("carol", CAROL_HZ)];
    for (name, hz) in tones {
        write_tone(&folder.0.join(format!("{name}.wav")), hz, 48_000);
    }
    let named: Vec<String> = tones.iter().map(|(name, hz)| format!(r#""{name}":{hz}"#)).collect();
    let options = format!(
        r#"{{"folder":"{}","chromium":"/usr/bin/chromium","url":"https://{}:8445","key":"{KEY}","tones":{{{}}},"seconds":{}}}"#,
        folder.0.display(),
        network.first,
        named.join(","),
        PLAY.as_secs()
    );
    let mut command = network.command("node");
    command
        .arg(scripts().join("voices.mjs"))
        .arg(options)
        .env("NODE_TLS_REJECT_UNAUTHORIZED", "0")
        .env("NODE_NO_WARNINGS", "1");
    let mut browsers = Process::start("the browsers", "Node.js", &mut command);
    assert_eq!(browsers.exit(PLAY), Some(0), "the pages did all that they should");
    for (step, times) in [
        ("alice heard bob carol", 4),
        ("bob heard alice carol", 2),
        ("carol heard alice bob", 3),
        ("alice plays 4", 2),
        ("alice apart", 3),
        ("bob apart", 2),
        ("carol apart", 2),
        ("held and back", 1),
        ("restarted", 1),
        ("moved", 1),
        ("done", 1),
    ] {
        let step = format!("STEP {step}");
        assert_eq!(browsers.journal.count(&step), times, "{step}");
    }
    has_said_nothing_bad(&mut node);
    // All that was said went as it came: of three who speak in a room nothing was mixed and encoded.
    let log = node.journal.text();
    let measured: Vec<&str> = log.lines().filter(|line| line.contains(": 3 members; ")).collect();
    let nothing = |line: &&&str| line.contains(": 3 members; 0 packets were encoded");
    let without = measured.iter().filter(nothing).count();
    assert!(without > 0 && without + 1 >= measured.len(), "{measured:#?}");
}
