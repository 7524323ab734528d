//! `tandem rooms` and `tandem room`: a node that runs is asked by its control socket, and what it says is shown.

use super::clock::SystemClock;
use super::commands::{configured, failed, say};
use super::listing::{cut, duration, utc};
use crate::config::Config;
use crate::control::{Happened, Line, Named, Request, status_word};
use crate::limits;
use crate::room::view::{Joined, MemberView, RoomView};
use crate::time::Wall;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `tandem rooms`, and `tandem room NAME ...`: `words` are those of the request.
pub fn ask(file: Option<PathBuf>, words: &[&str]) -> ExitCode {
    let request = match Request::of(words) {
        Ok(request) => request,
        Err(why) => return failed(&why),
    };
    let config = match configured(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let Some(socket) = &config.control.socket else {
        return failed("this configuration says control: { socket: no }, so that no node can be asked");
    };
    match answered(&config, socket, &request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

/// Asks, and shows what is said. The error is a sentence.
fn answered(config: &Config, socket: &Path, request: &Request) -> Result<(), String> {
    let lost = |error: std::io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "the node does not answer".to_owned(),
        _ => format!("the node was asked, but not heard: {error}"),
    };
    let mut stream = connect(socket)?;
    stream.set_read_timeout(Some(limits::CONTROL_PATIENCE)).map_err(lost)?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(lost)?;
    let mut lines = BufReader::new(stream.try_clone().map_err(lost)?).lines();
    let mut next = || match lines.next() {
        Some(Ok(line)) => Line::parse(&line).ok_or_else(|| "the node that runs is of another version".to_owned()),
        Some(Err(error)) => Err(lost(error)),
        None => Err("the node has closed the connection: it stops, or has as many of them as it takes".to_owned()),
    };
    match next()? {
        Line::Done => {}
        Line::Refused(why) => return Err(why),
        Line::Room(..) | Line::Member(_) | Line::Event(..) | Line::End => {
            return Err("the node that runs is of another version".to_owned());
        }
    }
    if let Request::Watch(_) = request {
        // Nothing may happen for long.
        stream.set_read_timeout(None).map_err(lost)?;
        let clock = SystemClock::start();
        loop {
            let Line::Event(happened, named) = next()? else {
                continue;
            };
            let text = event(clock.now().wall, happened, named.as_ref());
            let mut out = std::io::stdout().lock();
            // Whoever reads it has gone (`| head`).
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                return Ok(());
            }
        }
    }
    let (mut rooms, mut members) = (Vec::new(), Vec::new());
    loop {
        match next()? {
            Line::Room(room, count) => rooms.push((room, count)),
            Line::Member(member) => members.push(member),
            Line::End => break,
            Line::Done | Line::Refused(_) | Line::Event(..) => {}
        }
    }
    let now = SystemClock::start().now().wall;
    match (request, rooms.first()) {
        (Request::Rooms, None) => say(&format!("Nobody is in a room; {}.\n", config.room_names())),
        (Request::Rooms, Some(_)) => say(&table(&rooms)),
        (Request::Room(_), Some((room, _))) => say(&roster(room, &members, now)),
        (Request::Room(_), None) | (Request::Act(..) | Request::Take(..) | Request::Watch(_), _) => {}
    }
    Ok(())
}

fn connect(socket: &Path) -> Result<UnixStream, String> {
    let path = socket.display();
    UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            format!("no node runs with this configuration: nothing listens at {path}")
        }
        ErrorKind::PermissionDenied => {
            format!("{path} is for the user whom the node runs as, and root: you are neither")
        }
        _ => format!("{path} cannot be opened: {error}"),
    })
}

/// The table of `tandem rooms`.
fn table(rooms: &[(RoomView, usize)]) -> String {
    let mut text = format!(
        "{:<16} {:<20} {:>13}  {:<20} {}\n",
        "room", "name", "members", "since (UTC)", "state"
    );
    for (room, members) in rooms {
        let line = format!(
            "{:<16} {:<20} {:>13}  {:<20} {}",
            cut(&room.number, 16),
            cut(&room.name, 20),
            format!("{members} of {}", room.most),
            utc(room.since.0),
            state(room)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn state(room: &RoomView) -> String {
    words(&[(room.locked, "locked"), (room.recorded, "recorded")])
}

fn words(all: &[(bool, &str)]) -> String {
    let words: Vec<&str> = all.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    words.join(", ")
}

/// What `tandem room NAME` prints.
fn roster(room: &RoomView, members: &[MemberView], now: Wall) -> String {
    let number = cut(&room.number, 32);
    let name = match room.name == room.number {
        true => String::new(),
        false => format!(" ({})", cut(&room.name, 32)),
    };
    if members.is_empty() {
        return format!("Nobody is in room {number}{name}.\n");
    }
    let state = state(room);
    let state = if state.is_empty() { state } else { format!("; {state}") };
    let mut text = format!(
        "Room {number}{name}: {} of {}, since {} UTC{state}\n\n{:>6}  {:<20} {:<34} {:<9} {:<7} {:>8}  {}\n",
        members.len(),
        room.most,
        utc(room.since.0),
        "member",
        "name",
        "who",
        "role",
        "came",
        "for",
        "state"
    );
    for member in members {
        let came = match member.joined {
            Joined::DialedIn => "called",
            Joined::DialedOut => "invited",
        };
        let flags = words(&[
            (member.speaking, "speaks"),
            (member.muted, "muted"),
            (member.deaf, "deaf"),
        ]);
        let status = match flags.is_empty() {
            true => status_word(member.status).to_owned(),
            false => format!("{}, {flags}", status_word(member.status)),
        };
        let _ = writeln!(
            text,
            "{:>6}  {:<20} {:<34} {:<9} {came:<7} {:>8}  {status}",
            member.id.0,
            cut(&member.display, 20),
            cut(&member.uri, 34),
            member.role.word(),
            duration(now.since(member.since).as_secs()),
        );
    }
    text
}

/// One line of `tandem room NAME watch`.
fn event(at: Wall, happened: Happened, named: Option<&Named>) -> String {
    let at = at.civil();
    let what = match happened {
        Happened::Joined => "has joined",
        Happened::Left => "has left",
        Happened::Speaks => "speaks",
        Happened::Silent => "is silent",
        Happened::Muted => "is muted",
        Happened::Unmuted => "is no longer muted",
        Happened::Deafened => "hears nobody",
        Happened::Undeafened => "hears the others again",
        Happened::Held => "is on hold",
        Happened::Back => "is no longer on hold",
        Happened::Role(role) => &format!("is a {} now", role.word()),
        Happened::Locked => "is locked",
        Happened::Unlocked => "is no longer locked",
        Happened::Recorded => "is recorded",
        Happened::NotRecorded => "is no longer recorded",
        Happened::Ended => "has ended",
    };
    let who = named.map_or_else(
        || "the room".to_owned(),
        |named| {
            let shown = if named.display.is_empty() {
                &named.uri
            } else {
                &named.display
            };
            format!("{} {}", named.id, cut(shown, 40))
        },
    );
    format!("{:02}:{:02}:{:02} {who} {what}\n", at.hour, at.minute, at.second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::samples::{member, room};
    use crate::room::view::{MemberId, Role, Status};

    #[test]
    fn a_room_is_one_line() {
        let locked = RoomView {
            locked: true,
            recorded: true,
            ..room(vec![])
        };
        assert_eq!(
            table(&[(locked, 3), (room(vec![]), 12)]),
            "room             name                       members  since (UTC)          state\n\
             3000             standup                    3 of 20  2026-11-22 13:05:59  locked, recorded\n\
             3000             standup                   12 of 20  2026-11-22 13:05:59\n"
        );
    }

    #[test]
    fn a_member_is_one_line_whatever_it_calls_itself() {
        let alice = MemberView {
            role: Role::Moderator,
            speaking: true,
            ..member(1, "sip:alice@example.org")
        };
        let evil = MemberView {
            display: "\u{1b}[2J\nx".into(),
            status: Status::OnHold,
            joined: Joined::DialedOut,
            muted: true,
            deaf: true,
            ..member(12, "sip:anonymous@anonymous.invalid")
        };
        let view = room(vec![]);
        let now = Wall(view.since.0 + 66_000);
        assert_eq!(
            roster(&view, &[alice, evil], now),
            "Room 3000 (standup): 2 of 20, since 2026-11-22 13:05:59 UTC\n\n\
             member  name                 who                                role      came         for  state\n\
             \x20    1  Member 1             sip:alice@example.org              moderator called      1:05  in, speaks\n\
             \x20   12  ?[2J?x               sip:anonymous@anonymous.invalid    speaker   invited     1:05  held, muted, deaf\n"
        );
        assert_eq!(roster(&view, &[], now), "Nobody is in room 3000 (standup).\n");
    }

    #[test]
    fn what_happens_is_told_in_a_line() {
        let at = Wall(1_795_352_759_000);
        let named = Named {
            id: MemberId(2),
            uri: "sip:bob@example.org".into(),
            display: String::new(),
        };
        assert_eq!(
            event(at, Happened::Joined, Some(&named)),
            "13:05:59 2 sip:bob@example.org has joined\n"
        );
        let told = event(at, Happened::Role(Role::Listener), Some(&named));
        assert_eq!(told, "13:05:59 2 sip:bob@example.org is a listener now\n");
        assert_eq!(event(at, Happened::Ended, None), "13:05:59 the room has ended\n");
    }
}
