//! Start, reload and stop of a running node.

use super::baresip::{Account, Phone};
use super::node::Node;
use super::process::Process;
use super::program::program;
use super::scene::{SOON, Scene, eventually};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const USERS: &str = "
users:
  - { name: alice, password: secret-alice, number: \"101\" }
  - { name: bob, password: secret-bob, number: \"102\" }
routes:
  - { to: \"600\", do: echo }
calls: { stop_grace: 1s }
";

#[test]
fn sigterm_gives_calls_their_grace_and_leaves_nothing_behind() {
    let scene = Scene::new("sigterm");
    let mut node = Node::start(&scene, USERS);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 1_000.0), node.sip);
    let bob = Phone::start(&scene, &Account::new("bob", 3, 440.0), node.sip);
    alice.dial("bob", node.sip);
    alice.wait_event("CALL_ESTABLISHED", 1);
    alice.hears(440.0);
    node.process().signal("TERM");
    node.wait_log("stopping: no new calls", 1);
    // Within the grace the call goes on.
    assert_eq!(alice.events_of("CALL_CLOSED") + bob.events_of("CALL_CLOSED"), 0);
    alice.wait_event("CALL_CLOSED", 1);
    bob.wait_event("CALL_CLOSED", 1);
    assert_eq!(node.process().exit(SOON), Some(0));
    UdpSocket::bind(node.sip).expect("the node's UDP socket is gone");
    TcpListener::bind(node.sip).expect("the node's TCP socket is gone");
    for port in 20_000..20_400 {
        UdpSocket::bind((node.sip.ip(), port)).expect("the node's RTP sockets are gone");
    }
    let files = fs::read_dir(scene.folder()).expect("our own folder").flatten();
    let left: Vec<_> = files
        .map(|file| file.file_name())
        .filter(|name| name.to_string_lossy().contains("db-"))
        .collect();
    assert!(left.is_empty(), "the store was not closed: {left:?}");
    assert_eq!(
        node.number("SELECT count(*) FROM calls WHERE ended IS NOT NULL AND ended_by = 'node'"),
        1
    );
}

#[test]
fn sigterm_without_calls_ends_at_once_and_new_calls_are_refused_while_one_is_up() {
    let scene = Scene::new("drain");
    let patient = USERS.replace("stop_grace: 1s", "stop_grace: 60s");
    let mut node = Node::start(&scene, &patient);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 1_000.0), node.sip);
    let bob = Phone::start(&scene, &Account::new("bob", 3, 440.0), node.sip);
    alice.dial("600", node.sip);
    alice.hears(1_000.0);
    node.process().signal("TERM");
    node.wait_log("stopping: no new calls", 1);
    bob.dial("600", node.sip);
    bob.wait_event("CALL_CLOSED", 1);
    bob.wait_event("503 ", 1);
    alice.hears(1_000.0);
    // The last call is over long before the grace is.
    alice.command("hangup", "");
    assert_eq!(node.process().exit(SOON), Some(0));
}

#[test]
fn sighup_takes_a_good_file_and_refuses_a_bad_one() {
    let scene = Scene::new("sighup");
    let mut node = Node::start(&scene, USERS);
    let alice = Phone::start(&scene, &Account::new("alice", 2, 1_000.0), node.sip);
    alice.dial("600", node.sip);
    alice.hears(1_000.0);

    let before = fs::read_to_string(node.file()).expect("its file");
    node.reload_text(&before.replace("do: echo", "do: ecko"));
    node.wait_log("reload refused, nothing was changed", 1);
    node.wait_log("ecko", 1);
    alice.hears(1_000.0);

    let second = format!("udp://{}:5070", scene.host(1));
    let listening = before.replace("listen: [ ", &format!("listen: [ \"{second}\", "));
    let carol = "users:\n  - { name: carol, password: secret-carol, number: \"103\" }";
    node.reload_text(&listening.replace("users:", carol));
    node.wait_log("reloaded: ", 2);
    // The call goes on, the new user registers, the new listener answers.
    alice.hears(1_000.0);
    let carol = Phone::start(&scene, &Account::new("carol", 4, 440.0), node.sip);
    assert!(
        UdpSocket::bind((scene.host(1), 5070)).is_err(),
        "nobody listens on {second}"
    );
    carol.dial("alice", node.sip);
    carol.wait_event("CALL_RINGING", 1);
    carol.command("hangup", "");

    // Carol is gone again, and so are her binding and the listener.
    node.reload(&scene, USERS);
    eventually("carol's binding is removed", SOON, || {
        node.number("SELECT count(*) FROM bindings WHERE aor = 'carol@example.com'") == 0
    });
    eventually("the second listener is closed", SOON, || {
        UdpSocket::bind((scene.host(1), 5070)).is_ok()
    });
    alice.hears(1_000.0);
    alice.command("hangup", "");
    alice.wait_event("CALL_CLOSED", 1);
    node.process().signal("TERM");
    assert_eq!(node.process().exit(SOON), Some(0));
}

#[test]
fn without_a_file_the_users_get_passwords_that_stay() {
    let scene = Scene::new("default");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/tandem.yaml");
    let text = fs::read_to_string(shipped).expect("it is shipped");
    // The file as it is shipped, but at an address of this test.
    let own = text.replace("0.0.0.0:", &format!("{}:", scene.host(1)));
    fs::create_dir(scene.folder().join("config")).expect("our own folder");
    fs::write(scene.folder().join("config/tandem.yaml"), own).expect("our own folder");
    let start = || {
        let mut command = Command::new(program());
        let process = Process::start(
            "tandem",
            "this repository",
            command.arg("run").current_dir(scene.folder()),
        );
        process.wait_for("Ready.", SOON);
        process
    };
    let mut node = start();
    let password = password_of("alice", &node.journal.text());
    assert!(password.len() >= 12, "{password:?} can be guessed");
    let account = Account {
        password: Some(&password),
        ..Account::new("alice", 2, 700.0)
    };
    let alice = Phone::start(&scene, &account, scene.sip(1));
    alice.dial("600", scene.sip(1));
    alice.hears(700.0);
    alice.command("hangup", "");
    alice.wait_event("CALL_CLOSED", 1);
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    let kept = fs::metadata(scene.folder().join("data/passwords")).expect("the passwords are kept");
    assert_eq!(kept.permissions().mode() & 0o77, 0, "others can read the passwords");

    let again = start();
    assert_eq!(password_of("alice", &again.journal.text()), password);
}

/// What the banner says behind `user NAME password`.
fn password_of(user: &str, banner: &str) -> String {
    let words: Vec<&str> = banner.split_whitespace().collect();
    let at = words.windows(3).position(|three| three == ["user", user, "password"]);
    words[at.unwrap_or_else(|| panic!("no password of {user} in {banner}")) + 3].to_owned()
}

#[test]
fn a_port_that_is_taken_is_said_with_its_holder_and_its_key() {
    let scene = Scene::new("taken");
    let address = scene.sip(1);
    let _udp = UdpSocket::bind(address).expect("the address is this test's own");
    let file = scene.folder().join("tandem.yaml");
    let store = scene.folder().join("tandem.db");
    let text = format!(
        "listen: [ \"udp://{address}\" ]\nstore: {{ path: {} }}\n",
        store.display()
    );
    fs::write(&file, text).expect("our own folder");
    let mut node = Node::run(&file);
    assert_eq!(node.exit(SOON), Some(1));
    let said = node.journal.text();
    let pid = format!("(pid {})", std::process::id());
    for word in [&address.to_string(), &pid, "listen", "interop"] {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}
