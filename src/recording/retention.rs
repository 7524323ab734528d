//! Which recordings go: the oldest, when they are too old or too many. Only files with names of ours are looked at.

use crate::time::Wall;
use std::time::Duration;

/// A file that was written to within this may be one that is being written.
const FRESH: Duration = Duration::from_secs(60);

/// A file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Below the folder of all recordings.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written to.
    pub changed: Wall,
}

/// The name of a day's folder: `2026-11-30`.
pub fn is_folder(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_number = |part: &&str, digits| part.len() == digits && part.bytes().all(|octet| octet.is_ascii_digit());
    matches!(&parts[..], [year, month, day] if is_number(year, 4) && is_number(month, 2) && is_number(day, 2))
}

/// The name of a recording in it: `c1a2b-1.wav`, `c1a2b-1.opus`; of a room's member: `c1a2b-m7-c1a2c-1.wav`.
pub fn is_file(name: &str) -> bool {
    let stem = name.strip_suffix(".wav").or_else(|| name.strip_suffix(".opus"));
    let parts: Vec<&str> = stem.into_iter().flat_map(|stem| stem.splitn(5, '-')).collect();
    let is_all = |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|octet| is(&octet));
    let begins =
        |part: &str, first: char, is: fn(&u8) -> bool| part.strip_prefix(first).is_some_and(|rest| is_all(rest, is));
    let is_call = |part: &str| begins(part, 'c', u8::is_ascii_hexdigit);
    match &parts[..] {
        [call, number] => is_call(call) && is_all(number, u8::is_ascii_digit),
        [room, member, call, number] => {
            is_call(room)
                && begins(member, 'm', u8::is_ascii_digit)
                && is_call(call)
                && is_all(number, u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// Those that go, the oldest first: what is older than `keep`, and of the rest as many as take it to `most` octets.
pub fn surplus(mut files: Vec<Kept>, now: Wall, keep: Option<Duration>, most: Option<u64>) -> Vec<Kept> {
    files.sort_by(|a, b| (a.changed, &a.file).cmp(&(b.changed, &b.file)));
    let mut total: u64 = files.iter().map(|file| file.bytes).sum();
    files.retain(|file| {
        let age = now.since(file.changed);
        let is_old = keep.is_some_and(|keep| age > keep);
        let is_much = most.is_some_and(|most| total > most);
        let goes = age > FRESH && (is_old || is_much);
        if goes {
            total -= file.bytes;
        }
        goes
    });
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(1_795_352_759_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn file(name: &str, bytes: u64, minutes_old: u64) -> Kept {
        Kept {
            file: name.into(),
            bytes,
            changed: Wall(NOW.0 - minutes_old * 60_000),
        }
    }

    fn names(keep: Option<Duration>, most: Option<u64>) -> Vec<String> {
        let files = vec![
            file("b", 100, 119),
            file("a", 100, 121),
            file("being written", 500, 0),
            file("c", 100, 30),
            file("d", 100, 2),
        ];
        let gone = surplus(files, NOW, keep, most);
        gone.into_iter().map(|file| file.file).collect()
    }

    #[test]
    fn the_oldest_go_and_what_is_being_written_never() {
        assert!(names(None, None).is_empty());
        assert_eq!(names(Some(2 * HOUR), None), ["a"]);
        assert_eq!(names(Some(HOUR), None), ["a", "b"]);
        assert_eq!(names(None, Some(900)), [""; 0]);
        assert_eq!(names(None, Some(899)), ["a"]);
        assert_eq!(names(None, Some(650)), ["a", "b", "c"]);
        assert_eq!(names(Some(2 * HOUR), Some(800)), ["a"]);
        assert_eq!(names(None, Some(0)), ["a", "b", "c", "d"]);
        assert_eq!(names(Some(Duration::ZERO), Some(0)), ["a", "b", "c", "d"]);
    }

    #[test]
    fn only_names_of_ours_are_looked_at() {
        assert!(is_folder("2026-11-30") && is_file("c18f3a-1.wav") && is_file("c18f3a-1.opus"));
        assert!(is_file("c18f3a-m12-c18f3b-1.wav"));
        for name in ["2026-11", "2026-11-3", "2026-11-30-1", "2026-1a-30", "lost+found", ""] {
            assert!(!is_folder(name), "{name}");
        }
        for name in [
            "c18f3a.wav",
            "c-1.wav",
            "c1-.wav",
            "notes.wav",
            "c12-1.wav.txt",
            "c12-1",
            "cxyz-1.wav",
            "c12-m-c13-1.wav",
            "c12-1-c13-1.wav",
            "c12-m1-c13.wav",
            "c12-m1-c13-1-1.wav",
            ".wav",
        ] {
            assert!(!is_file(name), "{name}");
        }
    }
}
