//! The words and exit codes of the program's commands, as a person at a terminal meets them.

#[path = "interop/program.rs"]
mod program;
#[path = "cli/starts.rs"]
mod starts;

use program::program;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tandem-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder of our own");
        Folder(path)
    }

    /// A configuration whose trunk, and whose room, take their secrets from the environment, where they are not.
    fn configuration(&self) -> String {
        let text = "listen: [ \"udp://127.82.90.1:5060\" ]\nstore: { path: t.db }\ntrunks:\n  - { name: acme, \
             peers: [ \"sip:127.82.90.2\" ], register: { username: t, password: { env: TANDEM_TEST_NOT_SET } } }\n\
             rooms: [ { number: \"3000\", pin: { env: TANDEM_TEST_NO_PIN }, moderator_pin: { env: TANDEM_TEST_NO_PIN } } ]\n";
        fs::write(self.0.join("t.yaml"), text).expect("as this test has set it up");
        "t.yaml".to_owned()
    }

    fn tandem(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(program())
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output();
        let Output { status, stdout, stderr } = output.expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (status.code(), text(stdout), text(stderr))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn help_names_every_command_and_an_unknown_one_is_an_error() {
    let folder = Folder::new("help");
    let (code, out, _) = folder.tandem(&["--help"]);
    assert_eq!(code, Some(0));
    for command in ["run", "check", "demo", "calls", "guard", "rooms", "room", "route"] {
        assert!(out.contains(&format!("\n  {command} ")), "{out}");
    }
    let (code, _, err) = folder.tandem(&["serve"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("unrecognized subcommand 'serve'"), "{err}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let folder = Folder::new("unreadable");
    for command in ["run", "check"] {
        let (code, out, err) = folder.tandem(&[command, "nowhere.yaml"]);
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(
            err.contains("nowhere.yaml") && err.contains("the file cannot be read: it does not exist"),
            "{err}"
        );
    }
}

#[test]
fn who_only_looks_needs_no_secret_but_run_and_check_do() {
    let folder = Folder::new("secrets");
    let file = folder.configuration();
    let (code, _, err) = folder.tandem(&["check", &file]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("TANDEM_TEST_NOT_SET") && err.contains("TANDEM_TEST_NO_PIN"),
        "{err}"
    );
    // Of PINs that are not there nobody knows whether they are the same.
    assert!(err.ends_with("\n3 problems\n"), "{err}");
    let (code, out, err) = folder.tandem(&["calls", &file]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "No calls yet: the store t.db does not exist.\n");
    let (code, out, _) = folder.tandem(&["route", &file, "--from", "trunk/acme", "--to", "600"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("no rule: decides"), "{out}");
    for command in [["rooms", "-c"].as_slice(), &["room", "3000", "-c"]] {
        let (code, _, err) = folder.tandem(&[command, &[&file]].concat());
        assert_eq!(code, Some(1));
        assert!(err.contains("no node runs with this configuration"), "{err}");
    }
    let (code, _, err) = folder.tandem(&["route", &file, "--from", "trunk/other", "--to", "600"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(1), "tandem: there is no trunk \"other\"; the trunks are acme.\n")
    );
}

/// Whoever knows one command knows the others.
#[test]
fn every_command_takes_its_configuration_in_both_ways() {
    let folder = Folder::new("ways");
    let file = folder.configuration();
    let call = ["--from", "trunk/acme", "--to", "600"];
    for (command, rest) in [
        (&["check"][..], &[][..]),
        (&["calls"], &[]),
        (&["guard"], &[]),
        (&["rooms"], &[]),
        (&["room", "3000"], &[]),
        (&["room", "3000"], &["mute", "2"]),
        (&["route"], &call[..]),
    ] {
        let said: Vec<_> = [&[file.as_str()][..], &["-c", &file], &["--config", &file]]
            .iter()
            .map(|way| folder.tandem(&[command, *way, rest].concat()))
            .collect();
        assert!(said.iter().all(|one| *one == said[0]), "{command:?}: {said:?}");
        assert_ne!(said[0].0, Some(2), "{command:?}: {said:?}");
        assert!(!said[0].2.contains("config/tandem.yaml"), "{command:?}: {said:?}");
        let (_, help, _) = folder.tandem(&[command, &["--help"]].concat());
        assert!(
            help.contains("[FILE]") && help.contains("-c, --config <FILE>"),
            "{help}"
        );
        let (code, _, err) = folder.tandem(&[command, &[&file, "-c", &file], rest].concat());
        assert_ne!(code, Some(0), "{command:?}: {err}");
    }
    // An order that is misspelt is no file.
    let (code, _, err) = folder.tandem(&["room", "3000", "mtue"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("it is no command for a room"), "{err}");
    // Without a file, it is what `run` would take.
    let (code, out, _) = folder.tandem(&["check"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("the configuration that is built in is good: "), "{out}");
}

#[test]
fn calls_are_one_line_each_whatever_a_peer_wrote_and_a_reader_may_leave() {
    let folder = Folder::new("calls");
    let file = folder.configuration();
    fs::write(folder.0.join("t.db"), "").unwrap();
    let (code, _, err) = folder.tandem(&["calls", &file]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("tandem: the store t.db cannot be read: "), "{err}");
    fs::remove_file(folder.0.join("t.db")).unwrap();
    let connection = Connection::open(folder.0.join("t.db")).unwrap();
    let columns = "id, started, answered, ended, caller, called, destination, status, cause";
    connection
        .execute_batch(&format!(
            "CREATE TABLE calls ({columns}); CREATE TABLE legs (call, mos);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
             INSERT INTO calls SELECT 'c' || i, i, i, i, 'Zoë' || char(27) || '[2J' || char(10) || 'x', 'bob', NULL, 200, 'ok' FROM n"
        ))
        .unwrap();
    let (code, out, err) = folder.tandem(&["calls", &file, "--number", "3"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out.lines().count(), 4, "{out:?}");
    assert!(out.contains("Zoë?[2J?x") && !out.contains('\u{1b}'), "{out:?}");
    // `tandem calls | head -1`: the pipe closes before all is written.
    let command = format!("{} calls {file} --number 5000 | head -1", program().display());
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(&folder.0)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Runs a command of the repository with these programs of a few lines before all others, or instead of them.
fn with_programs(folder: &Folder, programs: &[(&str, &str)], only: bool, command: &[&str]) -> (Option<i32>, String) {
    for (name, text) in programs {
        let path = folder.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("our own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    let own = folder.0.to_str().expect("UTF-8");
    let others = std::env::var("PATH").expect("a PATH");
    let path = if only {
        own.to_owned()
    } else {
        format!("{own}:{others}")
    };
    let output = Command::new(command[0])
        .args(&command[1..])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("PATH", path)
        // These tests may run below `make test`.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .expect("a shell and make");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A machine of which libopus-dev is missing, and a user who is not root. Whoever installs anything leaves a trace.
const UNPRIVILEGED: [(&str, &str); 4] = [
    ("id", "echo 1000"),
    (
        "dpkg-query",
        "case \"$*\" in *libopus-dev*) exit 1;; *) echo 'install ok installed';; esac",
    ),
    ("apt-get", "touch \"${0%/*}/installed\""),
    ("sudo", "touch \"${0%/*}/installed\""),
];

#[test]
fn without_root_the_command_that_installs_what_is_missing_is_printed_and_not_run() {
    let folder = Folder::new("packages");
    let wanted = "    sudo apt-get install libopus-dev\n";
    let packages = [".ci/packages", "pkg-config", "libopus-dev"];
    let (code, err) = with_programs(&folder, &UNPRIVILEGED, false, &packages);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("these packages are missing") && err.contains(wanted),
        "{err}"
    );
    // What `make run`, `make demo` and `make test` do first; make's own code for a command that failed is 2.
    let (code, err) = with_programs(&folder, &UNPRIVILEGED, false, &["make", "deps"]);
    assert_eq!(code, Some(2));
    assert!(err.contains(wanted), "{err}");
    assert!(!folder.0.join("installed").exists());
}

#[test]
fn where_nothing_is_missing_nothing_is_said_and_elsewhere_than_on_debian_what_to_look_for() {
    let folder = Folder::new("installed");
    let installed = [("dpkg-query", "echo 'install ok installed'")];
    let (code, err) = with_programs(&folder, &installed, false, &[".ci/packages", "libopus-dev"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let folder = Folder::new("elsewhere");
    let (code, err) = with_programs(
        &folder,
        &[("pkg-config", "exit 1")],
        true,
        &[".ci/packages", "libopus-dev"],
    );
    assert_eq!(code, Some(1));
    assert!(err.contains("no Debian or Ubuntu; install libopus"), "{err}");
}
