//! What an operator asks.

use super::{Word, words};
use crate::id::CallId;
use crate::limits;
use crate::room::view::{Action, MemberId, Role, Whom};
use std::fmt;

/// One request. A room is named by its number, or by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// All rooms in which somebody is.
    Rooms,
    /// A room, and who is in it.
    Room(String),
    /// To do something with a room.
    Act(String, Action),
    /// To move both sides of a call that is up into a room.
    Take(String, CallId),
    /// To be told what happens in a room.
    Watch(String),
}

impl Request {
    /// Reads one line, without its end.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(line: &str) -> Result<Request, String> {
        let words = words::read(line).ok_or("that line is not written in words as they are taken here")?;
        Request::of(&words.iter().map(String::as_str).collect::<Vec<&str>>())
    }

    /// The same by its words.
    ///
    /// # Errors
    /// A sentence.
    pub fn of(words: &[&str]) -> Result<Request, String> {
        match *words {
            ["rooms"] => Ok(Request::Rooms),
            ["room", name] => Ok(Request::Room(name.to_owned())),
            ["room", name, "watch"] => Ok(Request::Watch(name.to_owned())),
            ["room", name, "take", call] => match CallId::parse(call) {
                Some(call) => Ok(Request::Take(name.to_owned(), call)),
                None => Err(format!(
                    "{call:?} is no call: write it as `tandem calls` and the log do, such as c1a2b"
                )),
            },
            ["room", name, verb, ref rest @ ..] => Ok(Request::Act(name.to_owned(), action(verb, rest)?)),
            [..] => Err("there is no such request".to_owned()),
        }
    }
}

fn action(verb: &str, rest: &[&str]) -> Result<Action, String> {
    Ok(match (verb, rest) {
        ("lock", []) => Action::Lock(true),
        ("unlock", []) => Action::Lock(false),
        ("record", []) => Action::Record(true),
        ("stop-recording", []) => Action::Record(false),
        ("end", []) => Action::End,
        ("mute", [who]) => Action::Mute(whom(who)?, true),
        ("unmute", [who]) => Action::Mute(whom(who)?, false),
        ("deafen", [who]) => Action::Deafen(whom(who)?, true),
        ("undeafen", [who]) => Action::Deafen(whom(who)?, false),
        ("hold", [who]) => Action::Hold(whom(who)?, true),
        ("unhold", [who]) => Action::Hold(whom(who)?, false),
        ("kick", [who]) => Action::Kick(member(who)?),
        ("promote", [who, role]) => {
            let role =
                Role::read(role).ok_or_else(|| format!("{role:?} is no role: moderator, speaker or listener"))?;
            Action::Promote(member(who)?, role)
        }
        ("call", [_, ..]) if rest.len() <= limits::ROOM_DIALS => {
            Action::Call(rest.iter().map(|number| (*number).to_owned()).collect())
        }
        ("call", [_, ..]) => return Err(format!("at most {} can be called at once", limits::ROOM_DIALS)),
        _ => {
            return Err(format!(
                "{verb:?} is nothing that is done with a room, or not with these words behind it"
            ));
        }
    })
}

fn whom(word: &str) -> Result<Whom, String> {
    match word {
        "all" => Ok(Whom::All),
        number => member(number).map(Whom::One),
    }
}

fn member(word: &str) -> Result<MemberId, String> {
    let number = word.parse().ok().filter(|number| *number > 0);
    number
        .map(MemberId)
        .ok_or_else(|| format!("{word:?} is no member: write its number, as `tandem room NAME` lists it"))
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        let mut add = |word: &str| words::push(&mut line, word);
        match self {
            Request::Rooms => add("rooms"),
            Request::Room(name) => ["room", name.as_str()].into_iter().for_each(add),
            Request::Watch(name) => ["room", name.as_str(), "watch"].into_iter().for_each(add),
            Request::Take(name, call) => {
                let call = call.to_string();
                ["room", name, "take", &call].into_iter().for_each(add);
            }
            Request::Act(name, action) => {
                add("room");
                add(name);
                act(action, add);
            }
        }
        f.write_str(&line)
    }
}

fn act(action: &Action, mut add: impl FnMut(&str)) {
    let mut to = |verbs: [&str; 2], on: bool, who: &dyn fmt::Display| {
        add(verbs[usize::from(!on)]);
        let who = who.to_string();
        if !who.is_empty() {
            add(&who);
        }
    };
    match action {
        Action::Lock(on) => to(["lock", "unlock"], *on, &""),
        Action::Record(on) => to(["record", "stop-recording"], *on, &""),
        Action::End => to(["end"; 2], true, &""),
        Action::Mute(whom, on) => to(["mute", "unmute"], *on, whom),
        Action::Deafen(whom, on) => to(["deafen", "undeafen"], *on, whom),
        Action::Hold(whom, on) => to(["hold", "unhold"], *on, whom),
        Action::Kick(member) => to(["kick"; 2], true, member),
        Action::Promote(member, role) => {
            to(["promote"; 2], true, member);
            add(role.word());
        }
        Action::Call(numbers) => {
            add("call");
            numbers.iter().for_each(|number| add(number));
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::One(member) => member.fmt(f),
            Whom::All => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_is_written_as_it_was(words in proptest::collection::vec("room|rooms|mute|all|call|promote|[0-9a-z]{1,3}|.*", 1..6)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Ok(request) = Request::of(&words) {
                prop_assert_eq!(Request::parse(&request.to_string()), Ok(request));
            }
        }
    }

    #[test]
    fn each_request_is_read_as_it_was_written() {
        let one = MemberId(2);
        let act = |action| Request::Act("3000".into(), action);
        for (request, line) in [
            (Request::Rooms, "rooms"),
            (Request::Room("a b".into()), "room a\\sb"),
            (Request::Watch("3000".into()), "room 3000 watch"),
            (Request::Take("3000".into(), CallId(0x1a2b)), "room 3000 take c1a2b"),
            (act(Action::Lock(true)), "room 3000 lock"),
            (act(Action::Lock(false)), "room 3000 unlock"),
            (act(Action::Record(true)), "room 3000 record"),
            (act(Action::Record(false)), "room 3000 stop-recording"),
            (act(Action::End), "room 3000 end"),
            (act(Action::Mute(Whom::All, true)), "room 3000 mute all"),
            (act(Action::Mute(Whom::One(one), false)), "room 3000 unmute 2"),
            (act(Action::Deafen(Whom::One(one), true)), "room 3000 deafen 2"),
            (act(Action::Deafen(Whom::All, false)), "room 3000 undeafen all"),
            (act(Action::Hold(Whom::One(one), true)), "room 3000 hold 2"),
            (act(Action::Hold(Whom::One(one), false)), "room 3000 unhold 2"),
            (act(Action::Kick(one)), "room 3000 kick 2"),
            (
                act(Action::Promote(one, Role::Listener)),
                "room 3000 promote 2 listener",
            ),
            (
                act(Action::Call(vec!["102".into(), "+1 415".into()])),
                "room 3000 call 102 +1\\s415",
            ),
        ] {
            assert_eq!(request.to_string(), line);
            assert_eq!(Request::parse(line), Ok(request));
        }
    }

    #[test]
    fn what_is_none_is_refused_in_a_sentence() {
        let many = format!("room 3000 call{}", " 1".repeat(limits::ROOM_DIALS + 1));
        for (line, why) in [
            ("", "not written in words"),
            ("quit", "no such request"),
            ("rooms all", "no such request"),
            ("room", "no such request"),
            ("room 3000 mute", "nothing that is done"),
            ("room 3000 mute 2 3", "nothing that is done"),
            ("room 3000 mute everybody", "is no member"),
            ("room 3000 kick all", "is no member"),
            ("room 3000 kick 0", "is no member"),
            ("room 3000 kick -1", "is no member"),
            ("room 3000 kick 99999999999", "is no member"),
            ("room 3000 promote 2 boss", "is no role"),
            ("room 3000 call", "nothing that is done"),
            ("room 3000 take", "nothing that is done"),
            ("room 3000 take c1 c2", "nothing that is done"),
            ("room 3000 take 1a2b", "is no call"),
            ("room 3000 take c", "is no call"),
            ("room 3000 take c+1", "is no call"),
            ("room 3000 take c11111111111111111", "is no call"),
            ("room 3000 LOCK", "nothing that is done"),
            (&many, "at most"),
        ] {
            let refused = Request::parse(line).unwrap_err();
            assert!(refused.contains(why), "{line}: {refused}");
        }
    }
}
