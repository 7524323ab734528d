//! sipvicious 0.3.8 (PyPI), which `make peers` installs into `target/sipvicious`: under its own name it hears nothing; under another it
//! finds no user, and is banned.

use super::host::Host;
use super::process::Process;
use super::program::program;
use super::scene::{SOON, Scene, eventually};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const NODE: u8 = 1;
const ALICE: u8 = 2;
const SCANNER: u8 = 66;

/// Runs one of its programs as it is, or with another User-Agent, which it has no option for.
const RUN: &str = "
import importlib, sys
from sipvicious.libs import svhelper
program, agent = sys.argv[1], sys.argv[2]
if agent:
    names = svhelper.makeRequest.__code__.co_varnames[:svhelper.makeRequest.__code__.co_argcount]
    defaults = list(svhelper.makeRequest.__defaults__)
    defaults[names.index('useragent') - len(names)] = agent
    svhelper.makeRequest.__defaults__ = tuple(defaults)
sys.argv = [program] + sys.argv[3:]
importlib.import_module('sipvicious.' + program).main()
";

fn python() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    target.join("sipvicious/bin/python")
}

fn node(scene: &Scene) -> Process {
    let file = scene.folder().join("tandem.yaml");
    let text = format!(
        "listen: [ \"udp://{}\" ]
domains: [ example.com ]
store: {{ path: {} }}
users:
  - {{ name: alice, password: secret-alice }}
  - {{ name: \"150\", password: secret-150 }}
guard: {{ guesses: 4, ban: 2s }}
",
        scene.sip(NODE),
        scene.folder().join("tandem.db").display(),
    );
    fs::write(&file, text).expect("our own folder");
    let mut command = Command::new(program());
    command.arg("run").arg(&file).env("NO_COLOR", "1");
    let process = Process::start("tandem", "this repository", &mut command);
    process.wait_for("Ready.", SOON);
    process
}

/// What a program of sipvicious says in the end.
fn sipvicious(scene: &Scene, program: &str, agent: &str, arguments: &[&str]) -> String {
    let host = scene.host(SCANNER).to_string();
    let mut command = Command::new(python());
    command.current_dir(scene.folder()).env("HOME", scene.folder());
    command.args(["-c", RUN, program, agent, "-b", &host, "-x", &host, "-v"]);
    command.args(arguments);
    let mut process = Process::start(program, "sipvicious 0.3.8 in target/sipvicious", &mut command);
    process.exit(SOON * 3);
    process.journal.text()
}

/// How many rows of its table tell of extensions that begin so. The times that it prints have such digits, too.
fn rows_of(said: &str, extension: &str) -> usize {
    let begins = |cell: &str| cell.trim().starts_with(extension);
    said.lines()
        .filter(|line| line.split('|').nth(1).is_some_and(begins))
        .count()
}

#[test]
fn sipvicious_finds_nobody_and_is_banned() {
    let scene = Scene::new("sipvicious");
    let mut node = node(&scene);
    let target = scene.host(NODE).to_string();
    let mut alice = Host::new(scene.sip(ALICE), scene.sip(NODE), "alice");
    assert_eq!(alice.register(false), 200);

    // Under its own name.
    let map = sipvicious(&scene, "svmap", "", &[&target]);
    assert!(!map.contains("tandem"), "it has found us:\n{map}");
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        let war = sipvicious(
            &scene,
            "svwar",
            "",
            &["--force", "-m", method, "-e", "140-160", "--maximumtime", "2", &target],
        );
        assert_eq!(rows_of(&war, "1"), 0, "{method}:\n{war}");
    }
    let crack = sipvicious(
        &scene,
        "svcrack",
        "",
        &["-u", "150", "-r", "100-200", "--maximumtime", "2", &target],
    );
    assert!(crack.contains("no server response"), "{crack}");
    assert_eq!(node.journal.count("banned"), 0, "who hears nothing has proved nothing");

    // Under another one.
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        let war = sipvicious(
            &scene,
            "svwar",
            "Phone 1.0",
            &["--force", "-m", method, "-e", "140-160", "--maximumtime", "2", &target],
        );
        // What it says of 150, which exists, it says of its neighbours, too; or of nobody.
        assert_eq!(rows_of(&war, "150"), rows_of(&war, "151"), "{method}:\n{war}");
    }
    // Its first three guesses are answered at once, the fourth after a while.
    let arguments = ["-u", "150", "-r", "1000-9999", "--maximumtime", "2", &target];
    let crack = sipvicious(&scene, "svcrack", "Phone 1.0", &arguments);
    assert!(!crack.contains("The password for"), "{crack}");
    node.wait_for(" is banned for 2 s: it gave wrong passwords again and again", SOON);
    node.wait_for(" is heard again after its ban, in which ", SOON);
    // The store has it within a moment.
    let file = scene.folder().join("tandem.yaml");
    eventually("the ban is listed", SOON, || {
        let listed = Command::new(program()).arg("guard").arg(&file).output().unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        text.contains(" was banned from ") && text.contains("it gave wrong passwords again and again")
    });
    assert_eq!(alice.register(false), 200);
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
}
