//! One member of a room: how far it is, and what it hears.

use super::view::{Joined, MemberId, MemberView, Role, Slot, Status};
use super::{Arrival, Entrance, Parting};
use crate::id::CallId;
use crate::limits;
use crate::media::command::{Music, Seat, Sound};
use crate::pii::Digits;
use crate::time::{Instant, Wall};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What a member hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Hears {
    /// This once, by a number that no other has that it hears once.
    Once(Music, u32),
    /// This, again and again.
    Always(Music),
    /// Nothing, and what it says is noted: its name.
    Note,
    /// The others.
    Mix(Seat),
}

/// Nothing is to be heard; but keys are.
pub fn silence() -> Music {
    static SILENCE: LazyLock<Music> =
        LazyLock::new(|| Music::new(vec![Arc::new(Sound::silence(Duration::from_secs(1)))]));
    SILENCE.clone()
}

/// How far a member is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// It is called.
    Calling,
    /// It rings.
    Ringing,
    /// It was called, and is asked whether it wants to join: so often.
    Asked(u8),
    /// It is asked for the PIN, and was wrong so often.
    Pin(u8),
    /// It has given a PIN, which is judged when it is its turn.
    Judged(u8),
    /// It is asked to say its name.
    Name,
    /// It says its name.
    Says,
    /// It has said its name, which is on its way.
    Said,
    /// It waits for a moderator.
    Waiting,
    /// It hears that the room is recorded.
    Told,
    /// It is in the room.
    In,
    /// It hears why it is sent away.
    Leaving(Parting),
}

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    /// None until who is called has a call.
    pub(super) call: Option<CallId>,
    pub(super) uri: String,
    pub(super) display: String,
    /// The user of ours by whose rights it asks.
    pub(super) user: Option<String>,
    /// The user of ours whom the room has called: somebody else may have answered, who has no right of his.
    pub(super) callee: Option<String>,
    pub(super) source: String,
    pub(super) joined: Joined,
    pub(super) role: Role,
    pub(super) phase: Phase,
    pub(super) muted: bool,
    pub(super) deaf: bool,
    /// A moderator holds it.
    pub(super) held: bool,
    /// Its peer holds us.
    pub(super) holds: bool,
    pub(super) speaking: bool,
    /// As it was told last.
    pub(super) told_speaking: bool,
    pub(super) since: Wall,
    /// What it pressed that is not done yet.
    pub(super) pressed: Digits,
    /// When a PIN of it was judged by its length, or what was pressed behind that was passed over; none once a # has ended it.
    pub(super) judged: Option<Instant>,
    /// The second in which it pressed keys last, and how many.
    presses: (Instant, u32),
    /// What it is to hear once; the first is heard.
    sounds: VecDeque<Music>,
    /// How many it has heard once.
    heard: u32,
    /// Who is seen on which line of its video, by `a=mid`; true where it is a screen. As many as its browser has lines.
    pub(super) shows: BTreeMap<Box<str>, (MemberId, bool)>,
    /// What it was told to hear last.
    pub(super) hears: Option<Hears>,
    /// In which part of the room it has its place.
    pub(super) part: u8,
    /// It is asked for its name before it comes in.
    pub(super) says_name: bool,
    /// It counts among those whose names are kept.
    pub(super) is_named: bool,
    /// What it said for a name.
    pub(super) name: Option<Music>,
}

/// Sounds that wait for one member; what is older is not news any more.
const SOUNDS: usize = 3;

impl Member {
    /// Who comes by itself or is brought.
    pub(super) fn arrived(id: MemberId, arrival: Arrival, since: Wall) -> Member {
        let phase = match arrival.entrance {
            Entrance::Dialled => Phase::Pin(0),
            Entrance::Brought => Phase::Waiting,
            Entrance::InPlace(stand) => stand.tries.map_or(Phase::Waiting, Phase::Pin),
        };
        let (muted, deaf, held) = match arrival.entrance {
            Entrance::Dialled | Entrance::Brought => (false, false, false),
            Entrance::InPlace(stand) => (stand.muted, stand.deaf, stand.held),
        };
        Member {
            muted,
            deaf,
            held,
            call: Some(arrival.call),
            uri: arrival.uri,
            display: arrival.display,
            user: arrival.user,
            source: arrival.source,
            joined: Joined::DialedIn,
            phase,
            ..Member::called(id, String::new(), since)
        }
    }

    /// Who is called.
    pub(super) fn called(id: MemberId, number: String, since: Wall) -> Member {
        Member {
            id,
            call: None,
            uri: format!("sip:{number}@anonymous.invalid"),
            display: number,
            user: None,
            callee: None,
            source: String::new(),
            joined: Joined::DialedOut,
            role: Role::Speaker,
            phase: Phase::Calling,
            muted: false,
            deaf: false,
            held: false,
            holds: false,
            speaking: false,
            told_speaking: false,
            since,
            pressed: Digits(String::new()),
            judged: None,
            presses: (Instant::ZERO, 0),
            sounds: VecDeque::new(),
            heard: 0,
            shows: BTreeMap::new(),
            hears: None,
            part: 0,
            says_name: false,
            is_named: false,
            name: None,
        }
    }

    pub(super) fn is_in(&self) -> bool {
        self.phase == Phase::In
    }

    /// It waits for a moderator.
    pub(super) fn waits(&self) -> bool {
        self.phase == Phase::Waiting
    }

    pub(super) fn is_moderator(&self) -> bool {
        self.role == Role::Moderator
    }

    /// It has not answered yet.
    pub(super) fn is_called(&self) -> bool {
        matches!(self.phase, Phase::Calling | Phase::Ringing)
    }

    /// It hears this, after what it hears now.
    pub(super) fn say(&mut self, music: &Music) {
        if self.sounds.is_empty() {
            self.heard += 1;
        }
        if self.sounds.len() >= SOUNDS {
            self.sounds.pop_back();
        }
        self.sounds.push_back(music.clone());
    }

    /// It hears this, in place of whatever it was to hear.
    pub(super) fn say_now(&mut self, music: &Music) {
        self.hush();
        self.say(music);
    }

    /// It hears nothing more of what it was to hear once.
    pub(super) fn hush(&mut self) {
        self.sounds.clear();
    }

    /// It hears no more of this, which is not true any more.
    pub(super) fn unsay(&mut self, music: &Music) {
        let is_heard = self.sounds.front().is_some_and(|sound| sound.is(music));
        self.sounds.retain(|sound| !sound.is(music));
        if is_heard {
            self.heard += 1;
        }
    }

    /// What it heard once is at its end. True where that was the last.
    pub(super) fn played(&mut self) -> bool {
        if self.sounds.pop_front().is_some() {
            self.heard += 1;
        }
        self.sounds.is_empty()
    }

    /// What it is to hear; `music` where it waits, and with whom it is `alone`.
    pub(super) fn to_hear(&self, music: &Music, alone: bool) -> Option<Hears> {
        if let Some(sound) = self.sounds.front() {
            return Some(Hears::Once(sound.clone(), self.heard));
        }
        let waits = match self.phase {
            Phase::Calling | Phase::Ringing => return None,
            Phase::Asked(_)
            | Phase::Pin(_)
            | Phase::Judged(_)
            | Phase::Name
            | Phase::Said
            | Phase::Told
            | Phase::Leaving(_) => return Some(Hears::Always(silence())),
            Phase::Says => return Some(Hears::Note),
            Phase::Waiting => true,
            Phase::In => self.held || alone,
        };
        Some(match waits {
            true if music.is_empty() => Hears::Always(silence()),
            true => Hears::Always(music.clone()),
            false => Hears::Mix(self.seat()),
        })
    }

    /// It hears what all hear.
    pub(super) fn is_in_mix(&self) -> bool {
        !self.holds && matches!(self.hears, Some(Hears::Mix(Seat { hears: true, .. })))
    }

    fn seat(&self) -> Seat {
        Seat {
            speaks: !self.muted && self.role != Role::Listener,
            hears: !self.deaf,
            shows: self.role != Role::Listener,
        }
    }

    /// One more key in this second; false where it is too many.
    pub(super) fn may_press(&mut self, now: Instant) -> bool {
        let (since, count) = &mut self.presses;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= limits::ROOM_KEYS_PER_SECOND
    }

    /// On this line it sees somebody else, or nobody. False where it has no such line.
    pub(super) fn sees(&mut self, line: &str, shown: Option<(MemberId, bool)>) -> bool {
        let has_line = self.shows.contains_key(line) || self.shows.len() < limits::VIDEO_LINES;
        match shown {
            Some(shown) if has_line => {
                self.shows.insert(line.into(), shown);
            }
            Some(_) => return false,
            None => {
                self.shows.remove(line);
            }
        }
        true
    }

    /// It has only these lines from now on. Those that it has no longer, and on which it saw somebody.
    pub(super) fn sees_on(&mut self, is_there: impl Fn(&str) -> bool) -> Vec<Box<str>> {
        let gone: Vec<Box<str>> = self.shows.keys().filter(|line| !is_there(line)).cloned().collect();
        self.shows.retain(|line, _| is_there(line));
        gone
    }

    /// Whom it sees.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let slots = self.shows.iter().map(|(line, (member, is_screen))| Slot {
            line: line.clone(),
            member: *member,
            is_screen: *is_screen,
        });
        slots.collect()
    }

    /// It is asked for the PIN, and was wrong so often; as often as it may be where it is sent away for that.
    pub(super) fn asked_pin(&self) -> Option<u8> {
        match self.phase {
            Phase::Pin(wrong) | Phase::Judged(wrong) => Some(wrong),
            Phase::Leaving(parting) if parting == super::door::WRONG => Some(limits::ROOM_PIN_TRIES),
            Phase::Calling
            | Phase::Ringing
            | Phase::Asked(_)
            | Phase::Name
            | Phase::Says
            | Phase::Said
            | Phase::Waiting
            | Phase::Told
            | Phase::In
            | Phase::Leaving(_) => None,
        }
    }

    pub(super) fn view(&self) -> MemberView {
        let status = match self.phase {
            Phase::Calling => Status::DialingOut,
            Phase::Ringing | Phase::Asked(_) => Status::Alerting,
            Phase::Pin(_)
            | Phase::Judged(_)
            | Phase::Name
            | Phase::Says
            | Phase::Said
            | Phase::Waiting
            | Phase::Told
            | Phase::Leaving(_) => Status::Waiting,
            Phase::In if self.held || self.holds => Status::OnHold,
            Phase::In => Status::Connected,
        };
        MemberView {
            id: self.id,
            uri: self.uri.clone(),
            user: self.user.clone().or_else(|| self.callee.clone()),
            display: self.display.clone(),
            status,
            joined: self.joined,
            role: self.role,
            muted: self.muted,
            deaf: self.deaf,
            speaking: self.told_speaking,
            since: self.since,
        }
    }
}
