//! `actions.md`: which test shows what is done with a room.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tandem::control::Request;
use tandem::id::CallId;
use tandem::room::view::{Action, MemberId, Role, Whom};

/// The words of a request. One that is new has none here, and this does not compile.
fn words(request: &Request) -> &'static [&'static str] {
    match request {
        Request::Rooms => &["rooms"],
        Request::Room(_) => &["room"],
        Request::Take(..) => &["take"],
        Request::Watch(_) => &["watch"],
        Request::Act(_, action) => match action {
            Action::Lock(_) => &["lock", "unlock"],
            Action::Mute(..) => &["mute", "unmute"],
            Action::Deafen(..) => &["deafen", "undeafen"],
            Action::Hold(..) => &["hold", "unhold"],
            Action::Kick(_) => &["kick"],
            Action::Promote(..) => &["promote"],
            Action::Call(_) => &["call"],
            Action::Record(_) => &["record", "stop-recording"],
            Action::End => &["end"],
        },
    }
}

/// One of each.
fn requests() -> Vec<Request> {
    let name = || "3000".to_owned();
    let one = Whom::One(MemberId(1));
    let actions = [
        Action::Lock(true),
        Action::Mute(one, true),
        Action::Deafen(one, true),
        Action::Hold(one, true),
        Action::Kick(MemberId(1)),
        Action::Promote(MemberId(1), Role::Speaker),
        Action::Call(vec![name()]),
        Action::Record(true),
        Action::End,
    ];
    let acts = actions.into_iter().map(|action| Request::Act(name(), action));
    let others = [
        Request::Rooms,
        Request::Room(name()),
        Request::Take(name(), CallId(1)),
        Request::Watch(name()),
    ];
    others.into_iter().chain(acts).collect()
}

/// What a cell names between backticks.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_action_has_its_tests_and_each_word_its_action() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let table = fs::read_to_string(tests.join("rooms/actions.md")).expect("it is beside this file");
    let mut known = BTreeSet::new();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [action, words, by_sip, by_control] = cells[..] else {
            panic!("a row of {} cells: {row}", cells.len())
        };
        let (by_sip, by_control) = (named(by_sip), named(by_control));
        assert!(
            !by_sip.is_empty() || !by_control.is_empty(),
            "{action} is shown nowhere"
        );
        assert!(
            words.is_empty() || !by_control.is_empty(),
            "{action} has words that no test says"
        );
        known.extend(named(words));
        for test in by_sip.into_iter().chain(by_control) {
            let (file, name) = test.split_once("::").expect("a file and a test");
            let text = fs::read_to_string(tests.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(
                text.contains(&format!("\nfn {name}() {{")),
                "{action}: there is no {test}"
            );
        }
    }
    let all: BTreeSet<&str> = requests().iter().flat_map(words).copied().collect();
    assert_eq!(known, all);
}
