//! `rooms`.

use super::{Check, DAY, MINUTE, entries_of, secret, sounds};
use crate::config::checked::{Index, User};
use crate::config::country::Country;
use crate::config::number::normalise;
use crate::config::prompts::{Prompt, Prompts};
use crate::config::read::{Field, Map, Wrong};
use crate::config::recording::Recording;
use crate::config::rooms::{EntrySound, KeyAction, Outgoing, Room, RoomKeys, RoomRecording, is_room_name};
use crate::config::{keys, values};
use crate::limits;
use crate::media::command::Music;
use crate::pii::Secret;
use codecs::Rate;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whom an entry may name, and what it falls back to.
struct Around<'c> {
    users: &'c [User],
    index: &'c Index,
    country: Option<&'c Country>,
    music: &'c Music,
    recording: &'c Recording,
}

/// Reads `rooms`: those with a number, and what holds for those on demand.
pub(super) fn rooms(
    root: &Map<'_>,
    (users, index): (&[User], &Index),
    country: Option<&Country>,
    (music, recording): (&Music, &Recording),
    check: &mut Check<'_>,
) -> (Vec<Arc<Room>>, Arc<Room>) {
    let around = &Around {
        users,
        index,
        country,
        music,
        recording,
    };
    let mut rooms: Vec<Arc<Room>> = Vec::new();
    let mut on_demand = None;
    let fields = root.list("rooms", &mut check.problems);
    if let Some(field) = fields.get(limits::ROOMS) {
        let text = format!("{} rooms are the most that is taken.", limits::ROOMS);
        field.wrong(&mut check.problems, text);
    }
    for field in &fields {
        let map = field.map(&keys::ROOM, &mut check.problems);
        let number = map.require("number", &mut check.problems);
        let parsed = number
            .as_ref()
            .and_then(|field| field.parse(&mut check.problems, |text| own_number(text, around)));
        let room = room(&map, parsed.clone().unwrap_or_default(), around, check);
        let (Some(number), Some(_)) = (number, parsed) else {
            continue;
        };
        let own = [&room.number, &room.name];
        let other = match &*room.number {
            "*" => on_demand.as_ref(),
            _ => rooms
                .iter()
                .find(|other| [&other.number, &other.name].iter().any(|of| own.contains(of))),
        };
        if let Some(other) = other {
            let text = format!("there is a room {} ({}) already.", other.number, other.name);
            number.wrong(&mut check.problems, text);
        }
        match &*room.number {
            "*" => on_demand = Some(Arc::new(room)),
            _ => rooms.push(Arc::new(room)),
        }
    }
    let usual = || {
        Arc::new(Room {
            music: around.music.clone(),
            beep: around.recording.tone,
            announcement: around.recording.announcement.clone(),
            ..Room::on_demand()
        })
    };
    (rooms, on_demand.unwrap_or_else(usual))
}

fn own_number(text: &str, around: &Around<'_>) -> Result<String, Wrong> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let number = normalise(text, around.country, false).number;
    if !is_room_name(&number) {
        return Err(Wrong::Form);
    }
    let index = around.index;
    match index.numbers.get(&number).or_else(|| index.names.get(&number)) {
        Some(user) => {
            let name = around.users.get(*user).map_or("a user", |user| &user.name);
            Err(Wrong::Because(format!("{number} is {name}'s own already.")))
        }
        None => Ok(number),
    }
}

fn room(map: &Map<'_>, number: String, around: &Around<'_>, check: &mut Check<'_>) -> Room {
    let usual = Room::on_demand();
    let (pin, moderator_pin) = (pin(map, "pin", check), pin(map, "moderator_pin", check));
    // Where one is missing or empty, that is told at its key, and two such are not the same.
    let is_known = pin.as_ref().is_some_and(|pin| !pin.expose().is_empty());
    if check.sources.has_secrets && is_known && pin == moderator_pin {
        let text = "pin and moderator_pin are the same, so everybody would be a moderator.";
        check.problems.add(map.mark, &map.path, text);
    }
    let moderators = entries_of(map, "moderators", check, |text| user(text, around));
    let music = sounds::list(map, "music", check);
    let prompts = map.get("prompts").and_then(|field| prompts(&field, check));
    let keys = room_keys(map, check);
    let problems = &mut check.problems;
    let room = Room {
        name: map.value("name", number.clone(), problems, values::label),
        number,
        pin,
        moderator_pin,
        moderators: moderators.into_iter().map(|(name, _)| name).collect(),
        listeners: map.value("listeners", false, problems, values::yes_or_no),
        max_members: map.value("max_members", usual.max_members, problems, |text| {
            values::whole(text, 2..=limits::ROOM_MEMBERS as u64)
        }),
        max_duration: map.value("max_duration", None, problems, |text| {
            values::duration_or_never(text, MINUTE..=7 * DAY)
        }),
        speakers: map.value("speakers", usual.speakers, problems, |text| {
            values::whole(text, 1..=u64::from(limits::ROOM_SPEAKERS))
        }),
        rate: map.value("rate", usual.rate, problems, rate),
        levels: map.value("agc", true, problems, values::yes_or_no),
        gate: map.value("gate", true, problems, values::yes_or_no),
        forwards: map.value("audio", false, problems, audio),
        video: map.value("video", true, problems, video),
        wait_for_moderator: map.value("wait_for_moderator", false, problems, values::yes_or_no),
        entry: map.value("entry", EntrySound::Tones, problems, entry),
        music: music.unwrap_or_else(|| around.music.clone()),
        record: map.value("record", false, problems, values::yes_or_no),
        recording: map.value("recording", usual.recording, problems, recording),
        beep: around.recording.tone,
        announcement: around.recording.announcement.clone(),
        prompts: prompts.unwrap_or(usual.prompts),
        outgoing: map.value("outgoing", Outgoing::Own, problems, |text| outgoing(text, around)),
        keys,
    };
    if room.wait_for_moderator && room.moderator_pin.is_none() && room.moderators.is_empty() {
        let text = "wait_for_moderator without moderator_pin or moderators: nobody would ever be let in.";
        problems.add(map.mark, &map.path, text);
    }
    room
}

/// A PIN is dialled; what is wrong with it does not show it.
fn pin(map: &Map<'_>, name: &str, check: &mut Check<'_>) -> Option<Secret> {
    let field = map.get(name)?;
    let pin = secret::of(&field, check);
    let digits = pin.expose();
    let is_good = (4..=limits::ROOM_PIN).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if check.sources.has_secrets && !is_good && !digits.is_empty() {
        let text = format!("a PIN has 4 to {} digits, and nothing else.", limits::ROOM_PIN);
        field.wrong(&mut check.problems, text);
    }
    Some(pin)
}

fn user(text: &str, around: &Around<'_>) -> Result<String, Wrong> {
    match around.index.names.contains_key(text) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::Because(format!("there is no user {text:?}."))),
    }
}

fn rate(text: &str) -> Result<Rate, Wrong> {
    match text {
        "8000" => Ok(Rate::Narrow),
        "16000" => Ok(Rate::Wide),
        "48000" => Ok(Rate::Full),
        _ => Err(Wrong::Form),
    }
}

fn audio(text: &str) -> Result<bool, Wrong> {
    values::one_of(text, &["mixed", "forwarded"]).map(|word| word == "forwarded")
}

fn video(text: &str) -> Result<bool, Wrong> {
    if matches!(values::yes_or_no(text), Ok(false)) {
        return Ok(false);
    }
    values::one_of(text, &["forward", "no"]).map(|_| true)
}

fn entry(text: &str) -> Result<EntrySound, Wrong> {
    Ok(match values::one_of(text, &["tones", "names", "none"])?.as_str() {
        "none" => EntrySound::Silent,
        "names" => EntrySound::Names,
        _tones => EntrySound::Tones,
    })
}

fn recording(text: &str) -> Result<RoomRecording, Wrong> {
    Ok(match values::one_of(text, &["mix", "members", "both"])?.as_str() {
        "members" => RoomRecording::Members,
        "both" => RoomRecording::Both,
        _mix => RoomRecording::Mix,
    })
}

fn outgoing(text: &str, around: &Around<'_>) -> Result<Outgoing, Wrong> {
    match text.split_once('/') {
        Some(("user", name)) => user(name, around).map(Outgoing::As),
        Some(_) => Err(Wrong::Form),
        None if matches!(values::yes_or_no(text), Ok(false)) => Ok(Outgoing::No),
        None => values::one_of(text, &["own"]).map(|_| Outgoing::Own),
    }
}

/// All of a folder: two voices in one room would be odd.
fn prompts(field: &Field<'_>, check: &mut Check<'_>) -> Option<Arc<Prompts>> {
    let folder: PathBuf = field.parse(&mut check.problems, |text| Ok(text.into()))?;
    let all = Prompt::ALL.map(|(_, file)| sounds::file(field, &Path::new(&folder).join(file), check));
    let all: Vec<Music> = all.into_iter().flatten().map(|sound| Music::new(vec![sound])).collect();
    all.try_into().ok().map(|all| Arc::new(Prompts::new(all)))
}

fn room_keys(map: &Map<'_>, check: &mut Check<'_>) -> RoomKeys {
    let section = map.section("keys", &keys::ROOM_KEYS, &mut check.problems);
    let mut all: Vec<(String, KeyAction)> = Vec::new();
    for (action, name, usual) in KeyAction::ALL {
        let found = section.value(name, Some(usual.to_owned()), &mut check.problems, pressed);
        let Some(keys) = found else { continue };
        if let Some((other, _)) = all
            .iter()
            .find(|(other, _)| other.starts_with(&keys) || keys.starts_with(other))
        {
            let text = format!("{keys} for {name} and {other} cannot be told apart: one begins with the other.");
            check.problems.add(section.mark, &section.path, text);
        }
        all.push((keys, action));
    }
    RoomKeys(all)
}

fn pressed(text: &str) -> Result<Option<String>, Wrong> {
    if matches!(values::yes_or_no(text), Ok(false)) {
        return Ok(None);
    }
    let is_key = |byte: u8| byte.is_ascii_digit() || b"*#ABCD".contains(&byte);
    match (1..=4).contains(&text.len()) && text.bytes().all(is_key) {
        true => Ok(Some(text.to_owned())),
        false => Err(Wrong::Form),
    }
}
