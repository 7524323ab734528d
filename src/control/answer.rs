//! What comes back.

use super::{Word, words};
use crate::room::view::{Joined, MemberId, MemberView, Role, RoomView};
use crate::time::Wall;
use std::fmt;

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It is done, or follows.
    Done,
    /// It is not done: why, in a sentence.
    Refused(String),
    /// A room without its members, and how many they are.
    Room(RoomView, usize),
    /// Somebody in it.
    Member(MemberView),
    /// Something has happened in a room.
    Event(Happened, Option<Named>),
    /// That was all.
    End,
}

/// Somebody, as he is named where nothing else is told of him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// In his room.
    pub id: MemberId,
    /// As [`MemberView::uri`].
    pub uri: String,
    /// As [`MemberView::display`].
    pub display: String,
}

impl Named {
    /// As a view has him.
    pub fn of(member: &MemberView) -> Named {
        Named {
            id: member.id,
            uri: member.uri.clone(),
            display: member.display.clone(),
        }
    }
}

/// What happens in a room: to somebody, or to all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Happened {
    Joined,
    Left,
    Speaks,
    Silent,
    Muted,
    Unmuted,
    Deafened,
    Undeafened,
    Held,
    Back,
    Role(Role),
    Locked,
    Unlocked,
    Recorded,
    NotRecorded,
    Ended,
}

impl Word for Happened {
    const WORDS: &'static [(&'static str, Happened)] = &[
        ("joined", Happened::Joined),
        ("left", Happened::Left),
        ("speaks", Happened::Speaks),
        ("silent", Happened::Silent),
        ("muted", Happened::Muted),
        ("unmuted", Happened::Unmuted),
        ("deafened", Happened::Deafened),
        ("undeafened", Happened::Undeafened),
        ("held", Happened::Held),
        ("back", Happened::Back),
        ("listener", Happened::Role(Role::Listener)),
        ("speaker", Happened::Role(Role::Speaker)),
        ("moderator", Happened::Role(Role::Moderator)),
        ("locked", Happened::Locked),
        ("unlocked", Happened::Unlocked),
        ("recorded", Happened::Recorded),
        ("not-recorded", Happened::NotRecorded),
        ("ended", Happened::Ended),
    ];
}

impl Word for Joined {
    const WORDS: &'static [(&'static str, Joined)] =
        &[("dialled-in", Joined::DialedIn), ("dialled-out", Joined::DialedOut)];
}

const YES_NO: [&str; 2] = ["no", "yes"];

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        let mut add = |word: &dyn fmt::Display| words::push(&mut line, &word.to_string());
        let yes = |on: bool| YES_NO[usize::from(on)];
        match self {
            Line::Done => add(&"ok"),
            Line::Refused(why) => {
                add(&"refused");
                add(why);
            }
            Line::End => add(&"."),
            Line::Room(room, members) => {
                let state: [&dyn fmt::Display; 8] = [
                    &"room",
                    &room.number,
                    &room.name,
                    &yes(room.locked),
                    &yes(room.recorded),
                    &room.since.0,
                    &room.most,
                    members,
                ];
                state.into_iter().for_each(add);
            }
            Line::Member(member) => {
                let state: [&dyn fmt::Display; 11] = [
                    &"member",
                    &member.id,
                    &member.uri,
                    &member.display,
                    &member.status.word(),
                    &member.joined.word(),
                    &member.role.word(),
                    &yes(member.muted),
                    &yes(member.deaf),
                    &yes(member.speaking),
                    &member.since.0,
                ];
                state.into_iter().for_each(add);
            }
            Line::Event(happened, named) => {
                add(&"event");
                add(&happened.word());
                if let Some(named) = named {
                    let who: [&dyn fmt::Display; 3] = [&named.id, &named.uri, &named.display];
                    who.into_iter().for_each(add);
                }
            }
        }
        f.write_str(&line)
    }
}

impl Line {
    /// Reads one line, without its end; none where it is not of this version.
    pub fn parse(line: &str) -> Option<Line> {
        let words = words::read(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match *words {
            ["ok"] => Some(Line::Done),
            ["refused", why] => Some(Line::Refused(why.to_owned())),
            ["."] => Some(Line::End),
            ["room", number, name, locked, recorded, since, most, members] => {
                let room = RoomView {
                    number: number.to_owned(),
                    name: name.to_owned(),
                    locked: yes(locked)?,
                    recorded: yes(recorded)?,
                    since: Wall(since.parse().ok()?),
                    most: most.parse().ok()?,
                    members: Vec::new(),
                };
                Some(Line::Room(room, members.parse().ok()?))
            }
            ["member", ref rest @ ..] => member(rest).map(Line::Member),
            ["event", happened] => Some(Line::Event(Happened::read(happened)?, None)),
            ["event", happened, id, uri, display] => {
                let named = Named {
                    id: MemberId(id.parse().ok()?),
                    uri: uri.to_owned(),
                    display: display.to_owned(),
                };
                Some(Line::Event(Happened::read(happened)?, Some(named)))
            }
            [..] => None,
        }
    }
}

fn member(words: &[&str]) -> Option<MemberView> {
    let [id, uri, display, status, joined, role, muted, deaf, speaking, since] = *words else {
        return None;
    };
    Some(MemberView {
        id: MemberId(id.parse().ok()?),
        uri: uri.to_owned(),
        user: None,
        display: display.to_owned(),
        status: Word::read(status)?,
        joined: Word::read(joined)?,
        role: Word::read(role)?,
        muted: yes(muted)?,
        deaf: yes(deaf)?,
        speaking: yes(speaking)?,
        since: Wall(since.parse().ok()?),
    })
}

fn yes(word: &str) -> Option<bool> {
    match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::samples::{member, room};
    use crate::room::view::Status;

    #[test]
    fn each_line_is_read_as_it_was_written() {
        let muted = MemberView {
            display: "A \"b\" \n c\\".into(),
            status: Status::OnHold,
            joined: Joined::DialedOut,
            role: Role::Moderator,
            muted: true,
            deaf: true,
            speaking: true,
            ..member(3, "")
        };
        let mut lines = vec![
            Line::Done,
            Line::Refused("only a moderator may do that".into()),
            Line::End,
            Line::Room(room(vec![]), 7),
            Line::Member(member(1, "sip:alice@example.org")),
            Line::Member(muted.clone()),
        ];
        let happened = Happened::WORDS.iter().map(|(_, happened)| *happened);
        lines.extend(happened.clone().map(|happened| Line::Event(happened, None)));
        lines.extend(happened.map(|happened| Line::Event(happened, Some(Named::of(&muted)))));
        for line in lines {
            let text = line.to_string();
            assert_eq!(Line::parse(&text), Some(line), "{text}");
        }
        assert_eq!(
            Line::Member(member(1, "sip:alice@example.org")).to_string(),
            "member 1 sip:alice@example.org Member\\s1 in dialled-in speaker no no no 1795352760000"
        );
    }

    #[test]
    fn a_line_of_another_version_is_none() {
        for line in [
            "",
            "hello",
            "ok then",
            "room 3000",
            "member 1",
            "event jumped",
            "event",
            "event left x y z",
        ] {
            assert_eq!(Line::parse(line), None, "{line}");
        }
    }
}
