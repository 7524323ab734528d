//! `music_on_hold`, `announcements` and `recording.announcement`.

use super::{Config, Sources, parse};
use crate::config::Problem;
use crate::media::command::Sound;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `90.wav` is 90 seconds long; what is no number of seconds is not there.
fn sound(path: &Path) -> Result<Sound, String> {
    let seconds = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
    let seconds = seconds.ok_or_else(|| "it does not exist".to_owned())?;
    Ok(Sound::silence(Duration::from_secs(seconds)))
}

fn read(text: &str) -> (Result<Config, Vec<Problem>>, Vec<PathBuf>) {
    let asked = RefCell::new(Vec::new());
    let sources = Sources {
        sound: &|path| {
            asked.borrow_mut().push(path.to_owned());
            sound(path)
        },
        ..Sources::NONE
    };
    let text = format!("listen: [ udp://127.0.0.1:5060 ]\n{text}");
    let result = parse("x", &text, &sources);
    (result, asked.into_inner())
}

fn good(text: &str) -> Config {
    read(text).0.unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn problems(text: &str) -> Vec<String> {
    let problems = read(text).0.err().unwrap_or_default();
    problems
        .iter()
        .map(|problem| problem.to_string()[2..].to_owned())
        .collect()
}

#[test]
fn each_file_is_read_once_and_shared() {
    let text = "music_on_hold: [ 1.wav, 2.wav ]
announcements: { busy: 3.wav }
recording: { announcement: 4.wav }
users:
  - { name: alice, password: x, music_on_hold: 1.wav, announcements: { not_found: 3.wav } }
  - { name: bob, password: x, music_on_hold: [], announcements: {} }
  - { name: carol, password: x }
trunks:
  - { name: acme, peers: [ sip:192.0.2.1 ], music_on_hold: 5.wav, announcements: { unavailable: 1.wav, no_answer: 2.wav } }";
    let (config, asked) = read(text);
    let config = config.unwrap();
    let names: Vec<_> = asked.iter().filter_map(|path| path.to_str()).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(
        (names.len(), once),
        (5, vec!["1.wav", "2.wav", "3.wav", "4.wav", "5.wav"])
    );
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(Some(config.music_on_hold.duration()), seconds(3));
    assert_eq!(
        config.announcements.busy.as_ref().map(|music| music.duration()),
        seconds(3)
    );
    assert!(config.announcements.no_answer.is_none());
    assert_eq!(
        config.recording.announcement.as_ref().map(|music| music.duration()),
        seconds(4)
    );
    let [alice, bob, carol] = &config.users[..] else {
        panic!()
    };
    assert_eq!(alice.music_on_hold.as_ref().map(|music| music.duration()), seconds(1));
    let own = alice.announcements.as_ref().unwrap();
    assert!(
        own.busy.is_none() && own.not_found.is_some(),
        "hers, in place of all others"
    );
    assert!(
        bob.music_on_hold.as_ref().unwrap().is_empty(),
        "none, and not that of all"
    );
    assert_eq!(bob.announcements, Some(Box::default()));
    assert!(carol.music_on_hold.is_none() && carol.announcements.is_none());
    assert_eq!(
        config.trunks[0].music_on_hold.as_ref().map(|music| music.duration()),
        seconds(5)
    );
    assert!(config.trunks[0].announcements.as_ref().unwrap().unavailable.is_some());
}

#[test]
fn what_cannot_be_played_names_file_and_key() {
    assert_eq!(
        problems("music_on_hold: [ 1.wav, gone.wav ]"),
        ["2:25: music_on_hold[1]: the file gone.wav cannot be played: it does not exist."]
    );
    assert_eq!(
        problems(
            "users: [ { name: a, password: x, music_on_hold: gone.wav, announcements: { busy: gone.wav, no: 1.wav } } ]"
        ),
        [
            "2:49: users[0].music_on_hold: the file gone.wav cannot be played: it does not exist.",
            "2:82: users[0].announcements.busy: the file gone.wav cannot be played: it does not exist.",
            "2:92: users[0].announcements.no: there is no such key; the keys here are busy, unavailable, no_answer, not_found."
        ]
    );
    assert_eq!(
        problems("recording: { announcement: 61.wav }"),
        ["2:28: recording.announcement: 61.wav is 61 s long, and an announcement may be 60 s."]
    );
    let form = "the path of a WAV file (PCM of 8 to 32 bits or floating, 8 to 96 kHz, mono or stereo)";
    assert_eq!(
        problems("announcements: { busy: [ 1.wav ] }"),
        [format!(
            "2:26: announcements.busy: a list is not {form}. Write, for example, busy: /etc/tandem/busy.wav"
        )]
    );
    assert!(problems("music_on_hold: { a: 1.wav }")[0].contains("here is a list wanted"));
}

#[test]
fn all_sounds_together_have_a_bound() {
    // 48,000 octets a second: 500 s are 24 MB.
    assert_eq!(problems("music_on_hold: [ 500.wav, 400.wav, 430.wav ]"), [""; 0]);
    assert_eq!(
        problems("music_on_hold: [ 500.wav, 400.wav, 500.wav, 440.wav, 1.wav ]"),
        [
            "2:45: music_on_hold[3]: the file 440.wav cannot be played: with it all sounds take more than 64 MB as they are kept, which is \
             the most.",
            "2:54: music_on_hold[4]: the file 1.wav cannot be played: with it all sounds take more than 64 MB as they are kept, which is the \
             most."
        ]
    );
}

#[test]
fn a_reload_tells_what_is_different_by_its_sound() {
    let before = good("music_on_hold: 1.wav");
    assert!(
        Config::diff(&before, &good("music_on_hold: 1.wav")).is_empty(),
        "it was only read again"
    );
    assert_eq!(
        Config::diff(&before, &good("music_on_hold: 2.wav")).others,
        ["music_on_hold"]
    );
    assert_eq!(
        Config::diff(&before, &good("music_on_hold: 1.wav\nannouncements: { busy: 1.wav }")).others,
        ["announcements"]
    );
    let user = |own: &str| good(&format!("users: [ {{ name: alice, password: x{own} }} ]"));
    let changes = Config::diff(&user(""), &user(", music_on_hold: 1.wav"));
    assert_eq!(changes.users_changed, ["alice"]);
}
