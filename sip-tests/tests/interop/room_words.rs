//! Each word of `tandem room`, said once to a node that runs, in whose room real phones talk: the answer, what the room is then, and what is
//! heard in it.

use super::baresip::{Account, Phone, Speaks};
use super::node::{Node, tandem};
use super::phones::all_calls_end;
use super::process::Process;
use super::program::program;
use super::scene::{SOON, Scene, eventually};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use tandem::id::CallId;

const ALICE: f32 = 440.0;
const BOB: f32 = 700.0;
const CAROL: f32 = 1_000.0;
const DAVE: f32 = 1_300.0;

const NOBODY: &str = "Nobody is in a room; the configuration has 3000 (standup).\n";

fn configuration(recordings: &Path) -> String {
    format!(
        "recording: {{ directory: {} }}
users:
  - {{ name: alice, password: secret-alice, number: \"101\" }}
  - {{ name: bob, password: secret-bob, number: \"102\" }}
  - {{ name: carol, password: secret-carol, number: \"103\" }}
  - {{ name: dave, password: secret-dave, number: \"104\" }}
rooms:
  - {{ number: \"3000\", name: standup, moderators: [ alice ], outgoing: user/alice, entry: none }}
",
        recordings.display()
    )
}

/// Room 3000 of a node, and the words that were said to it.
struct Operator<'n> {
    node: &'n Node,
    said: RefCell<BTreeSet<String>>,
}

impl Operator<'_> {
    /// Exit code, and what is printed.
    fn asks(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = tandem(&[&["room", "standup", "-c", self.node.file()][..], words].concat());
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("UTF-8"))
    }

    /// What is done without a word.
    fn orders(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        self.said.borrow_mut().insert(words[0].to_owned());
        assert_eq!(self.asks(&words), (Some(0), String::new()), "{line}");
    }

    fn is_refused(&self, line: &str, why: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(self.asks(&words), (Some(1), format!("tandem: {why}\n")), "{line}");
    }

    /// The first line of what `tandem room standup` prints: the room.
    fn room(&self) -> String {
        self.asks(&[]).1.lines().next().unwrap_or_default().to_owned()
    }

    /// The words of a member's line but its name and address, and what he does: `moderator called in`, `speaker called in, muted`.
    fn member(&self, id: u32) -> String {
        let (_, text) = self.asks(&[]);
        let line = text
            .lines()
            .find(|line| line.split_whitespace().next() == Some(&id.to_string()));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().skip(3).collect();
        // How long he is there, and whether he speaks at this moment, is not of interest.
        let is_news = |(nth, _): &(usize, &&str)| *nth != 2;
        let news: Vec<&str> = words
            .iter()
            .enumerate()
            .filter(is_news)
            .map(|(_, word)| *word)
            .collect();
        news.join(" ").replace(", speaks", "")
    }

    fn is(&self, id: u32, expected: &str) {
        assert_eq!(self.member(id), expected, "member {id}");
    }

    fn becomes(&self, id: u32, expected: &str) {
        eventually(&format!("member {id} is {expected:?}"), SOON, || {
            self.member(id) == expected
        });
    }
}

/// The commands that `tandem room --help` lists.
fn offered() -> BTreeSet<String> {
    let help = String::from_utf8(tandem(&["room", "--help"]).stdout).expect("UTF-8");
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let words = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let words = words.filter_map(|line| line.split_whitespace().next());
    words.filter(|word| *word != "help").map(str::to_owned).collect()
}

/// The call to this number that is up, as `tandem calls` names it; so many are over.
fn call_to(node: &Node, number: &str, over: i64) -> String {
    let mut found = None;
    eventually("the call is in the store", SOON, || {
        if node.number("SELECT count(*) FROM calls WHERE ended IS NOT NULL") < over {
            return false;
        }
        let calls = node.calls();
        let line = calls
            .lines()
            .find(|line| line.contains(number) && line.contains("it is up"));
        let words = line.into_iter().flat_map(str::split_whitespace);
        found = words.map(str::to_owned).find(|word| CallId::parse(word).is_some());
        found.is_some()
    });
    found.expect("it was there")
}

/// Files below a folder, and how large they are.
fn files(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        _ => entry.metadata().map(|data| data.len()).into_iter().collect(),
    });
    sizes.collect()
}

/// What `tandem rooms` prints.
fn rooms(node: &Node) -> String {
    let output = tandem(&["rooms", "-c", node.file()]);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Who is in the room or will be, who looks on, and who gives orders.
struct Party<'n> {
    operator: Operator<'n>,
    watch: Process,
    alice: Phone,
    bob: Phone,
    carol: Phone,
    dave: Phone,
}

impl<'n> Party<'n> {
    /// Nobody is in the room, and `watch` is begun.
    fn new(scene: &Scene, node: &'n Node) -> Party<'n> {
        let phone = |name, host, hz| {
            let account = Account {
                speaks: Speaks::Pcmu,
                seconds: 120,
                ..Account::new(name, host, hz)
            };
            Phone::start(scene, &account, node.sip)
        };
        let operator = Operator {
            node,
            said: RefCell::new(BTreeSet::from(["watch".to_owned()])),
        };
        assert_eq!(rooms(node), NOBODY);
        assert_eq!(operator.room(), "Nobody is in room 3000 (standup).");
        operator.is_refused("lock", "nobody is in room 3000");
        let mut command = Command::new(program());
        command.args(["room", "3000", "watch", "-c", node.file()]);
        Party {
            operator,
            watch: Process::start("watch", "this repository", &mut command),
            alice: phone("alice", 2, ALICE),
            bob: phone("bob", 3, BOB),
            carol: phone("carol", 4, CAROL),
            dave: phone("dave", 5, DAVE),
        }
    }

    /// `watch` says this, by now or soon.
    fn tells(&self, what: &str) {
        self.watch.wait_for(what, SOON);
    }

    /// Two dial in, and carol is called.
    fn gather(&self) {
        let (operator, node) = (&self.operator, self.operator.node);
        for phone in [&self.alice, &self.bob] {
            phone.dial("3000", node.sip);
            phone.wait_event("CALL_ESTABLISHED", 1);
        }
        operator.becomes(1, "moderator called in");
        operator.becomes(2, "speaker called in");
        assert!(rooms(node).contains("2 of 100"), "{}", rooms(node));
        self.tells("1 alice has joined");
        self.tells("2 bob has joined");
        operator.orders("call 103");
        self.carol.wait_event("CALL_ESTABLISHED", 1);
        operator.becomes(3, "speaker invited ringing");
        self.carol.command("sndcode", "1");
        operator.becomes(3, "speaker invited in");
        self.tells("3 carol has joined");
        self.alice.hears_all(&[BOB, CAROL], ALICE);
        self.bob.hears_all(&[ALICE, CAROL], BOB);
    }

    /// What is done to one of them.
    fn change(&self) {
        let operator = &self.operator;
        for (line, id, is, told, heard) in [
            ("mute 3", 3, "speaker invited in, muted", "carol is muted", false),
            ("unmute 3", 3, "speaker invited in", "carol is no longer muted", true),
            ("deafen 2", 2, "speaker called in, deaf", "bob hears nobody", true),
            (
                "undeafen all",
                2,
                "speaker called in",
                "bob hears the others again",
                true,
            ),
            ("hold 3", 3, "speaker invited held", "carol is on hold", false),
            ("unhold 3", 3, "speaker invited in", "carol is no longer on hold", true),
            (
                "promote 3 listener",
                3,
                "listener invited in",
                "carol is a listener now",
                false,
            ),
            (
                "promote 3 speaker",
                3,
                "speaker invited in",
                "carol is a speaker now",
                true,
            ),
        ] {
            operator.orders(line);
            operator.is(id, is);
            self.tells(&format!("{id} {told}"));
            match heard {
                true => self.alice.hears_all(&[BOB, CAROL], ALICE),
                false => self.alice.hears_all(&[BOB], CAROL),
            }
        }
        self.bob.hears_all(&[ALICE, CAROL], BOB);
    }

    /// What is done to all of the room.
    fn lock_and_record(&self, recordings: &Path) {
        let operator = &self.operator;
        let is = |state: &str, told: &str| {
            let room = operator.room();
            assert!(room.ends_with(&format!(" UTC{state}")), "{room}");
            self.tells(&format!("the room is {told}"));
        };
        operator.orders("lock");
        is("; locked", "locked");
        self.dave.dial("3000", operator.node.sip);
        self.dave.wait_event("CALL_CLOSED", 1);
        operator.orders("unlock");
        is("", "no longer locked");
        operator.orders("record");
        is("; recorded", "recorded");
        eventually("a second is recorded", SOON, || {
            files(recordings).iter().any(|octets| *octets > 64_000)
        });
        operator.orders("stop-recording");
        is("", "no longer recorded");
    }

    /// One is sent away, and comes back in the midst of another call.
    fn kick_and_take(&self) {
        let (operator, node) = (&self.operator, self.operator.node);
        operator.is_refused("kick 9", "there is no such member in the room");
        operator.orders("kick 3");
        self.carol.wait_event("CALL_CLOSED", 1);
        eventually("carol is gone", SOON, || operator.member(3).is_empty());
        self.tells("3 carol has left");
        self.alice.hears_all(&[BOB], CAROL);
        self.dave.dial("103", node.sip);
        self.carol.wait_event("CALL_ESTABLISHED", 2);
        self.dave.hears_all(&[CAROL], DAVE);
        operator.is_refused("take c1", "it is no call of two who talk with one another");
        operator.orders(&format!("take {}", call_to(node, "103", 2)));
        for id in [4, 5] {
            operator.is(id, "speaker called in");
        }
        self.alice.hears_all(&[BOB, CAROL, DAVE], ALICE);
        self.dave.hears_all(&[ALICE, BOB, CAROL], DAVE);
    }

    /// All are sent away.
    fn end(&self) {
        self.operator.orders("end");
        for (phone, times) in [(&self.alice, 1), (&self.bob, 1), (&self.carol, 2), (&self.dave, 2)] {
            phone.wait_event("CALL_CLOSED", times);
        }
        self.tells("the room has ended");
        let node = self.operator.node;
        eventually("nobody is in a room", SOON, || rooms(node) == NOBODY);
    }
}

#[test]
fn each_word_is_obeyed_by_a_node_that_runs() {
    let scene = Scene::new("room-words");
    let recordings = scene.folder().join("recordings");
    let node = Node::start(&scene, &configuration(&recordings));
    let party = Party::new(&scene, &node);
    party.gather();
    party.change();
    party.lock_and_record(&recordings);
    party.kick_and_take();
    party.end();
    assert_eq!(
        *party.operator.said.borrow(),
        offered(),
        "each word is said, and no other"
    );
    drop(party);
    all_calls_end(&node, 6);
    node.stop();
}
