//! Files that can be played wherever the writing stopped, a disk that takes no more, and a whole recording on a real disk.

use super::disk::{Disk, Growing, sweep};
use super::{Recorded, Recordings};
use crate::config;
use crate::id::CallId;
use crate::media::command::{Format, Of, Recording, Side};
use crate::media::tap::Heard;
use crate::shell::clock::{SystemClock, wall};
use crate::time::Wall;
use codecs::tone::Sine;
use codecs::{Codec, g711, goertzel};
use std::cell::RefCell;
use std::fs;
use std::io::{self, Cursor};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

fn recording(call: u64) -> Recording {
    Recording {
        call: CallId(call),
        number: 1,
        begun: Wall(1_795_352_759_000),
        is_wide: false,
        format: Format::Wav,
        of: Of::Call,
    }
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("tandem-recording-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn settings(&self) -> config::Recording {
        config::Recording {
            directory: self.0.join("recordings"),
            format: Format::Wav,
            keep: None,
            max_size: None,
            tone: config::Beep::Never,
            announcement: None,
            siprec: None,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A disk of so many octets that remembers each write.
#[derive(Default)]
struct Paper {
    octets: RefCell<Vec<u8>>,
    writes: RefCell<Vec<(u64, Vec<u8>)>>,
    room: usize,
}

fn write(octets: &mut Vec<u8>, new: &[u8], at: usize) {
    octets.resize(octets.len().max(at + new.len()), 0);
    octets[at..at + new.len()].copy_from_slice(new);
}

impl Disk for &Paper {
    fn put(&self, new: &[u8], at: u64) -> io::Result<()> {
        let at = at as usize;
        let taken = new.len().min(self.room.saturating_sub(at));
        write(&mut self.octets.borrow_mut(), &new[..taken], at);
        self.writes.borrow_mut().push((at as u64, new.to_vec()));
        if taken < new.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn cut(&self, octets: u64) -> io::Result<()> {
        self.octets.borrow_mut().truncate(octets as usize);
        Ok(())
    }
}

/// What a player makes of a file.
fn play(octets: &[u8]) -> Vec<i16> {
    let reader = hound::WavReader::new(Cursor::new(octets)).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 8_000, 16));
    reader.into_samples().map(|sample| sample.unwrap()).collect()
}

fn seconds(file: &mut Growing<&Paper>, from: i16, to: i16) -> Result<(), String> {
    for second in from..to {
        let octets: Vec<u8> = (0..1_600).flat_map(|_| second.to_le_bytes()).collect();
        file.add(&octets, false)?;
    }
    Ok(())
}

#[test]
fn a_crash_at_any_write_leaves_a_file_that_plays_up_to_there() {
    let paper = Paper {
        room: usize::MAX,
        ..Paper::default()
    };
    let mut file = Growing::begin(&paper, &recording(1)).unwrap();
    seconds(&mut file, 1, 6).unwrap();
    let writes = paper.writes.take();
    assert_eq!(
        writes.len(),
        11,
        "the header, and for each second its samples and the header"
    );
    let mut octets = Vec::new();
    let mut played = 0;
    for (at, new) in &writes {
        // It stops within the samples, too. (A header of 44 octets is in one page: it is there or not.)
        if *at > 0 {
            for torn in [1, 3, 1_000] {
                let mut octets = octets.clone();
                write(&mut octets, &new[..torn], *at as usize);
                assert_eq!(play(&octets).len(), played);
            }
        }
        write(&mut octets, new, *at as usize);
        let samples = play(&octets);
        if *at == 0 {
            let whole = (1i16..).flat_map(|second| [second; 1_600]);
            assert!(samples.iter().copied().eq(whole.take(samples.len())));
            assert!(samples.len() == played + 1_600 || played == samples.len());
            played = samples.len();
        }
        assert_eq!(samples.len(), played, "what is not in the header yet does not count");
    }
    assert_eq!(played, 5 * 1_600);
}

#[test]
fn a_full_disk_leaves_what_it_took_before() {
    for room in [44 + 2 * 3_200, 44 + 2 * 3_200 + 1, 44 + 3 * 3_200 - 1] {
        let paper = Paper {
            room,
            ..Paper::default()
        };
        let mut file = Growing::begin(&paper, &recording(1)).unwrap();
        let fault = seconds(&mut file, 1, 6).unwrap_err();
        assert!(fault.starts_with("its file cannot be written: "), "{fault}");
        let octets = paper.octets.take();
        assert_eq!((octets.len(), play(&octets).len()), (44 + 2 * 3_200, 2 * 1_600));
    }
    let paper = Paper::default();
    assert!(Growing::begin(&paper, &recording(1)).is_err());
}

/// The same file as Opus: whole pages stay, whatever happens to the next.
#[test]
fn a_full_disk_leaves_whole_pages_of_opus() {
    let smaller = Recording {
        format: Format::Opus,
        ..recording(1)
    };
    let end_of = |octets: &[u8]| {
        let last = octets.windows(4).rposition(|four| four == b"OggS").unwrap();
        let lacing = &octets[last + 27..][..usize::from(octets[last + 26])];
        last + 27 + lacing.len() + lacing.iter().map(|length| usize::from(*length)).sum::<usize>()
    };
    let written = |room: usize| {
        let paper = Paper {
            room,
            ..Paper::default()
        };
        let mut file = Growing::begin(&paper, &smaller).unwrap();
        // 0.1 s of both sides each.
        let fault = seconds(&mut file, 1, 6).and_then(|()| file.add(&[0; 64], true)).err();
        (paper.octets.take(), file.millis(), fault)
    };
    let (whole, millis, fault) = written(usize::MAX);
    assert_eq!((millis, fault, end_of(&whole)), (5 * 100 + 2, None, whole.len()));
    assert_eq!(
        whole[whole.windows(4).rposition(|four| four == b"OggS").unwrap() + 5],
        4,
        "the end is told"
    );
    let (cut, millis, fault) = written(whole.len() - 20);
    assert!(fault.unwrap().starts_with("its file cannot be written: "));
    assert_eq!((millis, end_of(&cut)), (500, cut.len()));
    assert!(whole.starts_with(&cut) && cut.len() < whole.len());
}

async fn recorded(events: &mut tokio::sync::mpsc::Receiver<Recorded>) -> Recorded {
    timeout(SOON, events.recv()).await.unwrap().unwrap()
}

/// Two peers speak for a second and a half, 20 ms at a time, one of them half a second later.
fn speak(clock: SystemClock, recordings: &Recordings, call: u64) {
    let mut sinks = recordings.sinks();
    let mut heads = [
        (Side::Caller, Sine::new(440.0, -10.0, 8_000), 0),
        (Side::Callee, Sine::new(1_000.0, -10.0, 8_000), 25),
    ]
    .map(|(side, sine, from)| (sinks.open(recording(call), side).unwrap(), sine, from));
    let start = clock.instant();
    for n in 0..75u16 {
        let at = start + u32::from(n) * Duration::from_millis(20);
        clock.sleep(at.since(clock.instant()));
        for (sink, sine, _) in heads.iter_mut().filter(|(_, _, from)| n >= *from) {
            let (mut pcm, mut payload) = ([0; 160], [0; 160]);
            sine.fill(&mut pcm);
            g711::encode_alaw_slice(&pcm, &mut payload);
            sink.take(&Heard {
                at,
                codec: Codec::Pcma,
                ssrc: 1,
                sequence: n,
                timestamp: u32::from(n) * 160,
                payload: &payload,
            });
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn two_legs_become_a_file_with_a_channel_each() {
    let folder = Folder::new("whole");
    let clock = SystemClock::start();
    let (recordings, mut events) = Recordings::start(&folder.settings(), clock).unwrap();
    speak(clock, &recordings, 0xabc);
    let done = recorded(&mut events).await;
    assert_eq!((done.recording, done.lost, done.fault), (recording(0xabc), 0, None));
    assert!((1_450..3_000).contains(&done.millis), "{}", done.millis);
    let path = folder.0.join("recordings/2026-11-22/cabc-1.wav");
    let samples = play(&fs::read(&path).unwrap());
    assert_eq!(
        samples.len() as u64 / 16,
        done.millis,
        "the length that is told is that of the file"
    );
    let channel = |at: usize| -> Vec<i16> { samples.iter().skip(at).step_by(2).copied().collect() };
    for (pcm, own, other) in [(channel(0), 440.0, 1_000.0), (channel(1), 1_000.0, 440.0)] {
        let level = |hz| goertzel::level_dbm0(&pcm[6_000..10_000], hz, 8_000);
        assert!(
            level(own) > -13.0 && level(other) < -45.0,
            "{own}: {} {}",
            level(own),
            level(other)
        );
    }
    let from = |pcm: Vec<i16>| pcm.iter().position(|sample| sample.abs() > 100).unwrap() as i64;
    let later = from(channel(1)) - from(channel(0));
    assert!((3_600..5_600).contains(&later), "half a second later: {later}");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert!(recordings.stop().is_empty());
}

/// What is being recorded when the node stops is written, and told.
#[tokio::test]
async fn the_end_of_the_node_ends_recordings_in_order() {
    let folder = Folder::new("stop");
    let clock = SystemClock::start();
    let (recordings, events) = Recordings::start(&folder.settings(), clock).unwrap();
    drop(events);
    speak(clock, &recordings, 1);
    let done = recordings.stop();
    assert_eq!((done.len(), done[0].fault.clone()), (1, None));
    let file = folder.0.join("recordings/2026-11-22/c1-1.wav");
    assert!(play(&fs::read(file).unwrap()).len() > 2 * 11_500);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_ends_the_recording_once_and_hurts_nobody() {
    let folder = Folder::new("nowhere");
    fs::write(folder.0.join("recordings"), "a file").unwrap();
    let clock = SystemClock::start();
    let (recordings, mut events) = Recordings::start(&folder.settings(), clock).unwrap();
    speak(clock, &recordings, 1);
    let failed = recorded(&mut events).await;
    let fault = failed.fault.unwrap();
    assert!(fault.starts_with("its file cannot be made: "), "{fault}");
    // Another leg of the same call comes later, another call is another matter.
    speak(clock, &recordings, 1);
    let settings = config::Recording {
        directory: folder.0.join("elsewhere"),
        ..folder.settings()
    };
    recordings.set(&settings);
    speak(clock, &recordings, 2);
    let done = recorded(&mut events).await;
    assert_eq!((done.recording, done.fault), (recording(2), None));
    assert!(recordings.stop().is_empty());
}

#[test]
fn old_files_of_ours_go_and_their_folders() {
    let folder = Folder::new("sweep");
    let root = folder.0.join("recordings");
    assert_eq!(
        sweep(&root, wall(), None, Some(1)).unwrap(),
        (0, 0),
        "nothing was recorded yet"
    );
    let file = |name: &str, hours: u64| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [0; 1_000]).unwrap();
        let age = SystemTime::UNIX_EPOCH + Duration::from_millis(wall().0) - Duration::from_secs(3_600 * hours);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(age)
            .unwrap();
    };
    for (name, hours) in [
        ("2026-01-01/c1-1.wav", 50),
        ("2026-01-01/c1-2.wav", 49),
        ("2026-01-02/c2-1.wav", 30),
        ("2026-01-02/notes.txt", 900),
        ("2026-01-03/c3-1.wav", 2),
        ("2026-01-03/c4-1.wav", 0),
        ("exports/c5-1.wav", 900),
        ("c6-1.wav", 900),
    ] {
        file(name, hours);
    }
    let hours = |hours: u64| Some(Duration::from_secs(3_600 * hours));
    assert_eq!(sweep(&root, wall(), hours(60), Some(5_000)).unwrap(), (0, 0));
    assert_eq!(sweep(&root, wall(), hours(40), Some(5_000)).unwrap(), (2, 2_000));
    assert!(!root.join("2026-01-01").exists(), "it is empty");
    assert_eq!(sweep(&root, wall(), hours(40), Some(2_999)).unwrap(), (1, 1_000));
    assert!(!root.join("2026-01-02/c2-1.wav").exists());
    assert_eq!(sweep(&root, wall(), hours(1), Some(0)).unwrap(), (1, 1_000));
    for left in [
        "2026-01-02/notes.txt",
        "2026-01-03/c4-1.wav",
        "exports/c5-1.wav",
        "c6-1.wav",
    ] {
        assert!(root.join(left).exists(), "{left}");
    }
}
