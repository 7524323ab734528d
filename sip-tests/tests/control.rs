//! `tandem rooms` and `tandem room` against a node that runs: the socket, what it takes, and what is printed.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
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
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long anything may take before a test fails.
const SOON: Duration = Duration::from_secs(20);

/// A folder with a configuration, and perhaps a node that runs it.
struct Place {
    folder: PathBuf,
    node: Option<Process>,
}

impl Place {
    /// `number` is the test's: its node listens at 127.84.`number`.1.
    fn new(number: u8, rest: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("tandem-control-{number}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("as this test has set it up");
        let text = format!(
            "node: {{ name: t }}\nlisten: [ \"udp://127.84.{number}.1:5060\" ]\ndomains: [ example.com ]\nstore: {{ path: t.db }}\n{rest}"
        );
        fs::write(folder.join("t.yaml"), text).expect("as this test has set it up");
        Place { folder, node: None }
    }

    fn start(&mut self) {
        let mut command = Command::new(program());
        command
            .args(["run", "t.yaml"])
            .env("NO_COLOR", "1")
            .current_dir(&self.folder);
        let node = Process::start("tandem", "this repository", &mut command);
        node.wait_for("Ready.", SOON);
        self.node = Some(node);
    }

    /// Ends the node by SIGTERM, with code 0.
    fn stop(&mut self) {
        let mut node = self.node.take().expect("it runs");
        node.signal("TERM");
        assert_eq!(node.exit(SOON), Some(0));
        assert_eq!(node.journal.count("ERROR"), 0);
    }

    fn tandem(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(program());
        command.args(arguments).args(["-c", "t.yaml"]).current_dir(&self.folder);
        let output = command.stdin(Stdio::null()).output().expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("t.sock")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("the node listens");
        stream.set_read_timeout(Some(SOON)).expect("as this test has set it up");
        stream
    }

    /// What is said to a line, until the node closes.
    fn says(&self, line: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(line).expect("it is taken");
        let mut text = String::new();
        // Who is cut off in the middle of what he says gets an error here.
        let _ = stream.read_to_string(&mut text);
        text
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.node = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn without_a_node_it_is_said_that_none_runs() {
    let place = Place::new(1, "");
    for arguments in [
        &["rooms"][..],
        &["room", "3000"],
        &["room", "3000", "mute", "all"],
        &["room", "3000", "watch"],
    ] {
        let (code, out, err) = place.tandem(arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(
            err, "tandem: no node runs with this configuration: nothing listens at t.sock\n",
            "{arguments:?}"
        );
    }
    // What was left behind is nobody, too.
    drop(UnixListener::bind(place.socket()).expect("as this test has set it up"));
    let (code, _, err) = place.tandem(&["rooms"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing listens at t.sock"), "{err}");
    let off = Place::new(2, "control: { socket: no }\n");
    let (code, _, err) = off.tandem(&["rooms"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("says control: { socket: no }"), "{err}");
}

#[test]
fn what_is_no_command_is_told_before_anybody_is_asked() {
    let place = Place::new(3, "");
    for (arguments, code, why) in [
        (&["room"][..], 2, "required arguments"),
        (&["room", "3000", "shout"], 2, "it is no command for a room"),
        (&["room", "3000", "mute"], 2, "required arguments"),
        (&["room", "3000", "call"], 2, "required arguments"),
        (&["room", "3000", "mute", "alice"], 1, "\"alice\" is no member"),
        (&["room", "3000", "promote", "1", "boss"], 1, "\"boss\" is no role"),
        (&["room", "3000", "take"], 2, "required arguments"),
        (&["room", "3000", "take", "1a2b"], 1, "\"1a2b\" is no call"),
    ] {
        let (is, out, err) = place.tandem(arguments);
        assert_eq!((is, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
        assert!(err.contains(why), "{arguments:?}: {err}");
    }
}

#[test]
fn a_node_answers_and_nobody_else_may_ask_it() {
    let rooms =
        "rooms: [ { number: \"3000\" }, { number: \"3001\", name: talk } ]\nroutes: [ { to: \"88*\", do: room } ]\n";
    let mut place = Place::new(4, rooms);
    // As a node that was killed has left it.
    drop(UnixListener::bind(place.socket()).expect("as this test has set it up"));
    fs::set_permissions(place.socket(), fs::Permissions::from_mode(0o777)).expect("our own file");
    place.start();
    assert_eq!(mode(&place.socket()), 0o600);
    assert_eq!(
        place.tandem(&["rooms"]),
        (
            Some(0),
            "Nobody is in a room; the configuration has 3000, 3001 (talk).\n".to_owned(),
            String::new()
        )
    );
    // A room that there is, one that is made when it is called, and none.
    let empty = (Some(0), "Nobody is in room 3001 (talk).\n".to_owned(), String::new());
    assert_eq!(place.tandem(&["room", "talk"]), empty);
    let none = |name: &str| format!("there is no room {name:?}: the configuration has 3000, 3001 (talk)");
    let on_demand = "nobody is in room 88123: it is made on demand, when somebody calls it".to_owned();
    for (arguments, why) in [
        (&["room", "4000"][..], none("4000")),
        (&["room", "4000", "lock"], none("4000")),
        (&["room", "4000", "watch"], none("4000")),
        (&["room", "a b\n", "end"], none("a b\n")),
        (&["room", "88123"], on_demand.clone()),
        (&["room", "88123", "end"], on_demand),
        (&["room", "3000", "lock"], "nobody is in room 3000".to_owned()),
    ] {
        let refused = (Some(1), String::new(), format!("tandem: {why}\n"));
        assert_eq!(place.tandem(arguments), refused, "{arguments:?}");
    }
    place.stop();
    assert!(!place.socket().exists(), "it is gone with its node");
}

#[test]
fn what_others_write_costs_the_node_nothing() {
    let mut place = Place::new(5, "");
    place.start();
    assert_eq!(place.says(b"rooms\n"), "ok\n.\n");
    assert_eq!(place.says(b"rooms\nroom 3000\n"), "ok\n.\n", "one line is heard");
    for (line, why) in [
        (&b"\n"[..], "not\\swritten\\sin\\swords"),
        (b"rooms \n", "not\\swritten\\sin\\swords"),
        (b"\xff\n", "not\\sUTF-8"),
        (b"room 3000 mute\n", "nothing\\sthat\\sis\\sdone"),
    ] {
        let said = place.says(line);
        assert!(
            said.starts_with("refused ") && said.contains(why) && said.ends_with("\n.\n"),
            "{said}"
        );
    }
    assert_eq!(place.says(&[b'x'; 5_000]), "", "too long, and no end");
    // Who only sits there leaves places for others, until all are taken.
    let sitting: Vec<UnixStream> = (0..32).map(|_| place.connect()).collect();
    assert_eq!(place.says(b"rooms\n"), "", "all places are taken");
    let (code, _, err) = place.tandem(&["rooms"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("has closed the connection") || err.contains("not heard"),
        "{err}"
    );
    // After ten seconds they are sent away.
    for mut stream in sitting {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it is closed in order");
        assert_eq!(text, "");
    }
    assert_eq!(place.says(b"rooms\n"), "ok\n.\n");
    place.stop();
}

#[test]
fn a_socket_that_was_asked_for_and_cannot_be_is_an_error() {
    for (number, prepared, why) in [
        (6, "file", "there is a file that is no socket"),
        (7, "listener", "another node listens there"),
        (8, "nothing", "its folder does not exist"),
    ] {
        let socket = if prepared == "nothing" {
            "nowhere/t.sock"
        } else {
            "own.sock"
        };
        let place = Place::new(number, &format!("control: {{ socket: {socket} }}\n"));
        let path = place.folder.join(socket);
        let mut listener = None;
        match prepared {
            "file" => fs::write(&path, "x").expect("our own folder"),
            "listener" => listener = Some(UnixListener::bind(&path).expect("our own folder")),
            _ => {}
        }
        let mut command = Command::new(program());
        command.args(["run", "t.yaml"]).current_dir(&place.folder);
        let output = command.stdin(Stdio::null()).output().expect("the program runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(
            err.contains(&format!("control.socket: {socket} cannot be opened: {why}")),
            "{err}"
        );
        drop(listener);
    }
    // Where nobody has asked for it, the node runs all the same.
    let mut place = Place::new(9, "");
    fs::write(place.socket(), "x").expect("our own folder");
    place.start();
    place
        .node
        .as_ref()
        .expect("it runs")
        .wait_for("t.sock cannot be opened", SOON);
    place.stop();
    assert_eq!(fs::read_to_string(place.socket()).expect("it is still there"), "x");
}

/// A node that stands in for a real one: what `tandem room` makes of its lines.
fn stand_in(place: &Place, lines: &'static str) -> std::thread::JoinHandle<String> {
    let listener = UnixListener::bind(place.socket()).expect("our own folder");
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody asks");
        let mut asked = String::new();
        let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
        reader.read_line(&mut asked).expect("a line");
        (&stream).write_all(lines.as_bytes()).expect("it is taken");
        asked
    })
}

#[test]
fn what_a_node_says_is_shown() {
    let member = "member 1 sip:alice@example.com Alice\\sSmith in dialled-in moderator no no yes 1795352760000\n";
    for (number, arguments, asked, lines, code, shown) in [
        (
            10,
            &["rooms"][..],
            "rooms\n",
            "ok\nroom 3000 standup yes no 1795352759000 20 3\n.\n".to_owned(),
            0,
            "3 of 20  2026-11-22 13:05:59  locked\n",
        ),
        (
            11,
            &["room", "3000"],
            "room 3000\n",
            format!("ok\nroom 3000 standup no no 1795352759000 20 1\n{member}.\n"),
            0,
            "Alice Smith          sip:alice@example.com",
        ),
        (
            12,
            &["room", "a b", "mute", "2"],
            "room a\\sb mute 2\n",
            "ok\n.\n".to_owned(),
            0,
            "",
        ),
        (
            13,
            &["room", "3000", "call", "102", "+1"],
            "room 3000 call 102 +1\n",
            "refused only\\sa\\smoderator\n.\n".to_owned(),
            1,
            "tandem: only a moderator\n",
        ),
        (
            14,
            &["room", "3000"],
            "room 3000\n",
            "ok\nroom 3000 standup no no 0 20 1\n".to_owned(),
            1,
            "the node has closed the connection",
        ),
        (
            15,
            &["room", "3000"],
            "room 3000\n",
            "hello\n".to_owned(),
            1,
            "of another version",
        ),
        (
            16,
            &["room", "3000", "watch"],
            "room 3000 watch\n",
            "ok\nevent joined 2 sip:bob@x Bob\nevent ended\n".to_owned(),
            1,
            " 2 Bob has joined\n",
        ),
    ] {
        let place = Place::new(number, "");
        let node = stand_in(&place, Box::leak(lines.into_boxed_str()));
        let (is, out, err) = place.tandem(arguments);
        assert_eq!(node.join().expect("the stand-in"), asked);
        assert_eq!(is, Some(code), "{out}{err}");
        assert!(format!("{out}{err}").contains(shown), "{out}{err}");
    }
}
