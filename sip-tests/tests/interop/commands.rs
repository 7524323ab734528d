//! The commands of the program that need no node: their words and their exit codes.

use super::node::tandem;
use super::scene::Scene;
use std::fs;

fn said(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tandem(arguments);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("UTF-8"))
}

#[test]
fn check_names_everything_that_is_wrong() {
    let scene = Scene::new("check");
    let file = scene.folder().join("broken.yaml");
    let text = "listen: [ \"udp://127.0.0.1:5060\", \"udp://127.0.0.1:5060\" ]
users:
  - { name: alice, pasword: x }
routes:
  - { to: \"600\", do: ecko }
  - { to: \"+\", do: trunk/acme }
";
    fs::write(&file, text).expect("our own folder");
    let name = file.to_str().expect("UTF-8");
    let (code, text) = said(&["check", name]);
    assert_eq!(code, Some(1), "{text}");
    // File, line and column, then the key or value.
    let places = [(1, "5060"), (3, "pasword"), (5, "ecko"), (6, "acme")];
    for (line, word) in places {
        let place = format!("{name}:{line}:");
        let named = text.lines().any(|said| said.starts_with(&place) && said.contains(word));
        assert!(named, "line {line} with {word:?} is not named:\n{text}");
    }
    // `run` refuses the same file with the same words.
    let (code, run) = said(&["run", name]);
    assert_eq!((code, run), (Some(1), text));
}

#[test]
fn check_sums_up_a_good_file_and_route_says_what_decides() {
    let scene = Scene::new("route");
    let file = scene.folder().join("good.yaml");
    let text = "listen: [ \"udp://127.0.0.1:5060\" ]
users:
  - { name: alice, password: very-secret, number: \"+14155550101\" }
trunks:
  - { name: acme, peers: [ \"sip:192.0.2.1\" ], numbers: { country: US } }
routes:
  - { to: \"600\", do: echo }
  - { to: \"+\", from: user/*, do: trunk/acme }
";
    fs::write(&file, text).expect("our own folder");
    let name = file.to_str().expect("UTF-8");
    let (code, text) = said(&["check", name]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("1 user") && text.contains("1 trunk") && !text.contains("very-secret"),
        "{text}"
    );
    let (code, text) = said(&["route", name, "--from", "user/alice", "--to", "14155550199"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("routes[1] at line 8") && text.contains("trunk/acme") && text.contains("+14155550199"),
        "{text}"
    );
    let (code, text) = said(&["route", name, "--from", "trunk/acme", "--to", "+14155550101"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("alice"), "{text}");
    let (code, text) = said(&["route", name, "--from", "user/nobody", "--to", "600"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("nobody"), "{text}");
    let (code, text) = said(&["calls", name]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("No calls yet"), "{text}");
}
