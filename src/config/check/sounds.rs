//! `music_on_hold`, `announcements`, `recording.announcement` and the sounds of rooms: each file is read once, however often it is named.

use super::Check;
use crate::config::keys;
use crate::config::read::{Field, Map};
use crate::config::sounds::Announcements;
use crate::limits;
use crate::media::command::{Music, Sound};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The sounds that were read so far, or why not.
#[derive(Default)]
pub(super) struct Sounds {
    known: BTreeMap<PathBuf, Result<Arc<Sound>, String>>,
    octets: usize,
}

/// What holds for the whole file.
pub(super) fn of_all(root: &Map<'_>, check: &mut Check<'_>) -> (Music, Announcements) {
    let (music, announcements) = (music(root, check), announcements(root, check));
    (music.unwrap_or_default(), *announcements.unwrap_or_default())
}

/// The music of a section; none where it says nothing of it, and an empty list is no music at all.
pub(super) fn music(map: &Map<'_>, check: &mut Check<'_>) -> Option<Music> {
    list(map, "music_on_hold", check)
}

/// The same of another key.
pub(super) fn list(map: &Map<'_>, name: &str, check: &mut Check<'_>) -> Option<Music> {
    let field = map.get(name)?;
    let fields = field.list(&mut check.problems);
    let sounds = fields.iter().filter_map(|field| sound(field, check)).collect();
    Some(Music::new(sounds))
}

/// The announcements of a section; none where it says nothing of them.
pub(super) fn announcements(map: &Map<'_>, check: &mut Check<'_>) -> Option<Box<Announcements>> {
    let field = map.get("announcements")?;
    let map = field.map(&keys::ANNOUNCEMENTS, &mut check.problems);
    Some(Box::new(Announcements {
        busy: announcement(&map, "busy", check),
        unavailable: announcement(&map, "unavailable", check),
        no_answer: announcement(&map, "no_answer", check),
        not_found: announcement(&map, "not_found", check),
    }))
}

/// One announcement.
pub(super) fn announcement(map: &Map<'_>, name: &str, check: &mut Check<'_>) -> Option<Music> {
    let field = map.get(name)?;
    let sound = sound(&field, check)?;
    if sound.duration() > limits::ANNOUNCEMENT {
        let text = format!(
            "{} is {} s long, and an announcement may be {} s.",
            field.text().unwrap_or_default(),
            sound.duration().as_secs(),
            limits::ANNOUNCEMENT.as_secs()
        );
        field.wrong(&mut check.problems, text);
    }
    Some(Music::new(vec![sound]))
}

fn sound(field: &Field<'_>, check: &mut Check<'_>) -> Option<Arc<Sound>> {
    let path: PathBuf = field.parse(&mut check.problems, |text| Ok(text.into()))?;
    file(field, &path, check)
}

/// The sound of a file that a field means.
pub(super) fn file(field: &Field<'_>, path: &Path, check: &mut Check<'_>) -> Option<Arc<Sound>> {
    let found = match check.sounds.known.get(path) {
        Some(known) => known.clone(),
        None => {
            let read = read(path, check);
            check.sounds.known.insert(path.to_owned(), read.clone());
            read
        }
    };
    match found {
        Ok(sound) => Some(sound),
        Err(why) => {
            let text = format!("the file {} cannot be played: {why}.", path.display());
            field.wrong(&mut check.problems, text);
            None
        }
    }
}

fn read(path: &Path, check: &mut Check<'_>) -> Result<Arc<Sound>, String> {
    // Who has no room left reads no more: each file may be large.
    let full = || {
        let most = limits::SOUNDS_BYTES / 1_000_000;
        format!("with it all sounds take more than {most} MB as they are kept, which is the most")
    };
    if check.sounds.octets > limits::SOUNDS_BYTES {
        return Err(full());
    }
    let sound = (check.sources.sound)(path)?;
    check.sounds.octets += sound.octets();
    if check.sounds.octets > limits::SOUNDS_BYTES {
        return Err(full());
    }
    Ok(Arc::new(sound))
}
