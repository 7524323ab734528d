//! How browsers come into a program: started, and asked for what each of them does.

use super::browser::Browser;
use super::film::SOURCE;
use super::janus::{self, Session};
use super::sdp::{self, Line, Medium, OPUS, VP8};
use super::sip::{Users, users};
use crate::load;
use crate::media::generator::PORT;
use crate::mix::members::source;
use crate::peer::{Hosts, Peer, Running, Tandem};
use std::net::SocketAddrV4;
use std::path::Path;

/// The number of the room, and what is echoed.
const ROOM: &str = "3000";
const ECHO: &str = "600";

/// Which program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Tandem,
    /// With so many threads for media; 0: as it is by default, one for each connection.
    Janus(usize),
}

/// A program that runs, and the way into it.
pub enum Control {
    Tandem(Users),
    /// Sessions last as long as they are held.
    Janus(Hosts, Vec<Session>),
}

/// Browsers with what they agreed on.
type Joined = Vec<(Browser, u8)>;

/// Starts Tandem for so many calls of browsers, with this room.
pub fn tandem(folder: &Path, hosts: Hosts, calls: usize, (media, room): Setting) -> Result<(Running, Users), String> {
    let users = users(calls);
    let load = load::Load::new(folder, hosts, 0..users, true)?;
    let tandem = Tandem {
        media,
        trunk: ", codecs: [ pcma ]",
        more: format!(
            "rooms: [ {{ number: \"{ROOM}\", entry: none, max_members: {}{room} }} ]\n\
             routes: [ {{ to: \"{ECHO}\", do: echo }}, {{ to: \"+\", from: user/*, do: trunk/callers }} ]\n",
            (calls + 2).min(2_000)
        ),
        ..Tandem::default()
    };
    let running = Peer::Tandem(tandem).start(&load, users)?;
    Ok((running, Users::new(hosts, SocketAddrV4::new(hosts.uac, PORT))?))
}

impl Program {
    /// Starts it for so many browsers; the setting is Tandem's.
    pub fn start(
        self,
        folder: &Path,
        hosts: Hosts,
        calls: usize,
        setting: Setting,
    ) -> Result<(Running, Control), String> {
        match self {
            Program::Tandem => {
                let (running, users) = tandem(folder, hosts, calls, setting)?;
                Ok((running, Control::Tandem(users)))
            }
            Program::Janus(loops) => {
                let running = janus::start(folder, hosts, loops)?;
                Ok((running, Control::Janus(hosts, Vec::new())))
            }
        }
    }
}

/// What somebody does in a room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Speaks and hears the others.
    Member,
    Publishes(Kind),
    Watches(Kind),
}

/// Keys of `media`, and of the room.
pub type Setting = (&'static str, &'static str);

/// Nothing but the defaults.
pub const PLAIN: Setting = (", workers: 1", "");
/// The whole band for all, and so many bits as Janus is told: at 48 kHz that is asked for (RFC 7587 3.1.1).
pub const WIDE: Setting = (", workers: 1, opus_bitrate: 32000", ", rate: 48000");
/// Who speaks is passed on as he came.
pub const FORWARDED: Setting = (", workers: 1", ", audio: forwarded, speakers: 1");
/// Who says nothing sends nothing.
pub const QUIET: Setting = (", workers: 1, opus_dtx: yes", "");

/// What is published.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sound,
    /// On a place beside the mix.
    Voice,
    /// Beside the mix, in which nothing is said.
    Video,
    /// Beside a place for who speaks; nobody does.
    VideoAlone,
}

impl Control {
    /// So many more browsers in the room.
    pub fn join(&mut self, first: usize, count: usize, part: Part) -> Result<Joined, String> {
        let host = match self {
            Control::Tandem(users) => users.host(),
            Control::Janus(hosts, _) => hosts.uas,
        };
        let browsers = (first..first + count).map(|number| Browser::new(host, number));
        let mut browsers: Vec<Browser> = browsers.collect::<Result<_, _>>()?;
        match self {
            Control::Tandem(users) => {
                for (at, browser) in browsers.iter().enumerate() {
                    let offer = sdp::offer(browser, &lines(part, first + at, true));
                    users.call_in_turn(first + at, ROOM.to_owned(), offer)?;
                }
                for (call, answer) in users.answers()? {
                    browsers[call - first].described(&answer, true)?;
                }
                let payload_type = match part {
                    Part::Member => OPUS,
                    Part::Publishes(kind) | Part::Watches(kind) => kind.payload_type(),
                };
                Ok(browsers.into_iter().map(|browser| (browser, payload_type)).collect())
            }
            Control::Janus(hosts, sessions) => {
                let mut joined = Vec::new();
                for (at, mut browser) in browsers.into_iter().enumerate() {
                    let offer = sdp::offer(&browser, &lines(part, first + at, false));
                    let (session, payload_type) = match part {
                        Part::Member => (janus::bridge(*hosts, &mut browser, &offer)?, OPUS),
                        Part::Publishes(_) => (janus::publish(*hosts, &mut browser, &offer)?, OPUS),
                        Part::Watches(_) => janus::subscribe(*hosts, &mut browser)?,
                    };
                    sessions.push(session);
                    joined.push((browser, payload_type));
                }
                Ok(joined)
            }
        }
    }
}

impl Kind {
    /// By which it is offered.
    fn payload_type(self) -> u8 {
        match self {
            Kind::Sound | Kind::Voice => OPUS,
            Kind::Video | Kind::VideoAlone => VP8,
        }
    }
}

/// What is offered. A call has a line of sound, also where nothing is said: whoever takes none of it is on hold.
fn lines(part: Part, number: usize, is_call: bool) -> Vec<Line> {
    let own = Some(source(number));
    let sound = |direction, ssrc| Line(Medium::Opus { fec: false }, direction, ssrc);
    // Janus takes video without sound.
    let with = |sound: Vec<Line>, video| match is_call {
        true => [sound, vec![video]].concat(),
        false => vec![video],
    };
    let silence = |direction| Line(Medium::Silence, direction, None);
    let (camera, place) = (
        Line(Medium::Vp8, "sendonly", Some(SOURCE)),
        Line(Medium::Vp8, "recvonly", None),
    );
    match part {
        Part::Member => vec![sound("sendrecv", own)],
        Part::Publishes(Kind::Sound) => vec![sound("sendrecv", own)],
        Part::Watches(Kind::Sound) => vec![sound("recvonly", None)],
        Part::Publishes(Kind::Voice) => vec![sound("sendrecv", own), sound("recvonly", None)],
        Part::Watches(Kind::Voice) => vec![sound("recvonly", None); 2],
        Part::Publishes(Kind::Video) => with(vec![silence("sendrecv")], camera),
        Part::Watches(Kind::Video) => with(vec![silence("recvonly")], place),
        Part::Publishes(Kind::VideoAlone) => with(vec![sound("sendrecv", own), sound("recvonly", None)], camera),
        Part::Watches(Kind::VideoAlone) => with(vec![sound("recvonly", None); 2], place),
    }
}

/// The number that is echoed.
pub fn echo() -> String {
    ECHO.to_owned()
}
