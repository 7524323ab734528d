//! The words and exit codes of the program's commands, as a person at a terminal meets them.

use rusqlite::Connection;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The program: `TANDEM_BIN`, or what `cargo build` makes of the sources beside these tests.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("TANDEM_BIN") {
        return path.into();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "tandem", "--bin", "tandem"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    assert!(built.expect("cargo").success(), "`cargo build --bin tandem` failed");
    let test = std::env::current_exe().expect("this program");
    test.ancestors().nth(3).expect("a target folder").join("debug/tandem")
}

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tandem-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder of our own");
        Folder(path)
    }

    /// A configuration whose trunk takes its password from the environment, where it is not.
    fn configuration(&self) -> String {
        let text = "listen: [ \"udp://127.82.90.1:5060\" ]\nstore: { path: t.db }\ntrunks:\n  - { name: acme, \
             peers: [ \"sip:127.82.90.2\" ], register: { username: t, password: { env: TANDEM_TEST_NOT_SET } } }\n";
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
    for command in ["run", "check", "demo", "calls", "route"] {
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
fn calls_and_route_need_no_secret_but_run_and_check_do() {
    let folder = Folder::new("secrets");
    let file = folder.configuration();
    let (code, _, err) = folder.tandem(&["check", &file]);
    assert_eq!(code, Some(1));
    assert!(err.contains("TANDEM_TEST_NOT_SET"), "{err}");
    let (code, out, err) = folder.tandem(&["calls", &file]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "No calls yet: the store t.db does not exist.\n");
    let (code, out, _) = folder.tandem(&["route", &file, "--from", "trunk/acme", "--to", "600"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("no rule: decides"), "{out}");
    let (code, _, err) = folder.tandem(&["route", &file, "--from", "trunk/other", "--to", "600"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(1), "tandem: there is no trunk \"other\"; the trunks are acme.\n")
    );
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
