//! A call in a room: whoever is in it talks with nobody but the room, which says what it hears.
//!
//! ```text
//!   caller           we                room                      callee            we              room
//!     | INVITE -----> | arrive -------> |                           | <-- INVITE ----| <-- Effect::Call
//!     | <------- 200  |                 |                           | 200 ---------> | Answered --> |
//!     |               | <------- Hear --| (PIN, music, the mix)     |                | <---- Hear --| (press 1 to join)
//!     | BYE --------> | Left ---------> |                           |                |              |
//! ```
//!
//! A room is no part of any call. A call tells it what happens (`Rooms::tell`); what the room wants of calls is done after the turn, each
//! effect in a turn of its own: so what breaks one member breaks no other.

use super::call::{Call, Other, Stage};
use super::cause;
use super::desk::Turn;
use super::leg::{Leg, LegId, Who};
use crate::config::{Config, Room};
use crate::effect::{Blame, Cause, Fact, Output, Party};
use crate::id::{MediaLegId, TrunkIx};
use crate::limits;
use crate::media::command::{Function, Of, Seat};
use crate::pii::Digit;
use crate::room::{Arrival, Entrance, Hears, Input, Parting, Place};
use crate::sdp::Sees;
use crate::sip::uri::escaped;
use crate::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// What a call knows of the room that it is in.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Which member it is.
    pub place: Place,
    /// The number of the room.
    pub number: Arc<str>,
    /// For records: `room/standup`.
    name: String,
    /// What it hears; nothing yet.
    hears: Option<Hears>,
    /// The room knows that its peer holds us.
    holds: bool,
    /// What it says is recorded for the room: which member it is of which recording.
    recorded: Option<Of>,
    /// The last key, by which way it came, and when.
    key: Option<(Digit, KeyWay, Instant)>,
}

/// How a key that was pressed came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyWay {
    /// In its media: as an event, or as tones.
    Media,
    /// By INFO.
    Info,
}

/// A phone that tells a key in both ways does so within this time.
const BOTH_WAYS: Duration = Duration::from_millis(200);

impl Membership {
    /// Of a new member.
    pub fn new(place: Place, number: &str, settings: &Room) -> Membership {
        Membership {
            place,
            number: number.into(),
            name: format!("room/{}", settings.name_of(number)),
            hears: None,
            holds: false,
            recorded: None,
            key: None,
        }
    }

    /// The room as a party of a call.
    pub fn party(&self) -> Party {
        Party::Service(self.name.clone())
    }
}

impl Call {
    /// A caller whose media is not open yet has it where the room is.
    pub fn be_near_room(&mut self, t: &mut Turn<'_, '_>, number: &str) {
        let worker = t.desk.rooms.worker(number);
        if let Some(worker) = worker.filter(|worker| t.desk.has_room(*worker, 2)) {
            self.worker = worker;
        }
    }

    /// The dial plan sends the call into a room: its caller, or whoever is transferred there.
    pub fn enter_room(&mut self, t: &mut Turn<'_, '_>, number: &str) {
        let config = self.config.clone();
        let (Some(id), Some(settings)) = (self.waiting_side(), config.room_settings(number)) else {
            let why = "a room is not called by a room";
            return self.hunt_failed(t, cause::cause(482, Blame::Node, why));
        };
        if let Err((prompt, parting)) = t.desk.rooms.admits(number, settings, 1) {
            let cause = over(parting);
            let Stage::Setup { caller } = self.stage else {
                return self.hunt_failed(t, cause);
            };
            self.drop_hunt(t);
            let words = prompt.map(|prompt| settings.prompts.get(prompt).clone());
            return self.refuse_with(t, caller, cause, words);
        }
        let place = self.arrive(t, id, (number, settings), Entrance::Dialled);
        self.drop_hunt(t);
        self.join(t, Other::Room(place));
    }

    /// One of the call's legs is a member of a room from now on.
    pub fn arrive(
        &mut self,
        t: &mut Turn<'_, '_>,
        id: LegId,
        (number, settings): (&str, &Arc<Room>),
        entrance: Entrance,
    ) -> Place {
        let arrival = self.arrival(id, entrance);
        let at = (t.cx.now, t.cx.wall);
        let place = t.desk.rooms.arrive(at, (number, settings), self.worker, arrival);
        let membership = Membership::new(place, number, settings);
        self.see(t, id, settings);
        if let Some(leg) = self.leg_mut(id) {
            leg.is_focus(membership.number.clone());
        }
        self.room = Some(Box::new(membership));
        place
    }

    fn arrival(&self, id: LegId, entrance: Entrance) -> Arrival {
        let config = &self.config;
        let leg = self.leg(id);
        let identity = leg.map(|leg| leg.identity(config)).unwrap_or_default();
        let (user, source, host) = match leg.map(|leg| &leg.who) {
            Some(Who::User(name)) => (Some(name.to_string()), format!("user/{name}"), ANONYMOUS.to_owned()),
            Some(Who::Trunk(trunk, _)) => (None, config.trunk_words(*trunk), host_of(config, *trunk)),
            None => (None, String::new(), ANONYMOUS.to_owned()),
        };
        let (uri, display) = match (identity.private, &identity.user, &identity.number) {
            (false, Some((name, domain)), _) => (format!("sip:{}@{domain}", escaped(name)), name.clone()),
            (false, None, Some(number)) => (format!("sip:{}@{host}", escaped(number)), number.clone()),
            (true, ..) | (false, None, None) => (format!("sip:anonymous@{ANONYMOUS}"), "Anonymous".to_owned()),
        };
        let named = identity.display.clone().filter(|_| !identity.private);
        // Clients of the API that call as one user are several, each by the name that its token has.
        let client = leg.filter(|leg| leg.flow.is_inside()).and(named.as_ref());
        let source = client.map_or(source.clone(), |client| format!("{source} {client}"));
        let (uri, display) = kept(uri, &named.unwrap_or(display));
        Arrival {
            call: self.id,
            uri,
            display,
            user,
            source,
            entrance,
        }
    }

    /// The room that this leg talks with.
    pub fn place_of(&self, id: LegId) -> Option<Place> {
        match self.stage {
            Stage::Talk {
                one,
                other: Other::Room(place),
            } => (one == id).then_some(place),
            Stage::Talk {
                other: Other::Leg(_) | Other::Service(_) | Other::Nobody,
                ..
            }
            | Stage::Setup { .. }
            | Stage::DialOut(_)
            | Stage::Over { .. } => None,
        }
    }

    /// Tells the room something of its member; a call that is in none, nobody. (What both sides of a call hear in its midst ends by the
    /// clock.)
    pub fn tell_room(&mut self, t: &mut Turn<'_, '_>, id: LegId, input: Input) {
        if let Some(place) = self.place_of(id) {
            t.desk.rooms.tell(place, input);
        }
    }

    /// A key was pressed on a leg: the room is told once of one that its phone tells in both ways.
    pub fn room_digit(&mut self, t: &mut Turn<'_, '_>, id: LegId, digit: Digit, way: KeyWay) {
        let now = t.cx.now;
        let Some(room) = self.room.as_mut() else { return };
        let is_same =
            |(last, by, at): &(Digit, KeyWay, Instant)| *last == digit && *by != way && now.since(*at) < BOTH_WAYS;
        // The third one is another press.
        if room.key.take().is_some_and(|last| is_same(&last)) {
            return;
        }
        room.key = Some((digit, way, now));
        self.tell_room(t, id, Input::Digit(digit));
    }

    /// What a leg heard once is at its end: the room is told of its own words, and not of those by which others are told of a recording.
    pub fn room_played(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        let Some(Hears::Once(words, _)) = self.room.as_ref().and_then(|room| room.hears.as_ref()) else {
            return;
        };
        let media = self.leg(id).and_then(|leg| leg.media.as_ref());
        if !self.recorder.speaks() && media.is_some_and(|media| media.plays(words)) {
            self.tell_room(t, id, Input::Played);
        }
    }

    /// On a line of a leg's video somebody else is seen now.
    pub fn room_shows(&mut self, t: &mut Turn<'_, '_>, id: LegId, line: u8, shown: Option<(MediaLegId, bool)>) {
        let media = self.leg(id).and_then(|leg| leg.media.as_ref());
        let Some(name) = media.and_then(|media| media.video_line(line)).map(Box::from) else {
            return;
        };
        let call = |media| t.desk.by_media(media).map(|leg| t.desk.home(leg));
        let shown = shown.and_then(|(media, is_screen)| Some((call(media)?, is_screen)));
        self.tell_room(t, id, Input::Shows(name, shown));
    }

    /// Video of a leg, and its places for voices, are taken where its room wants that.
    fn see(&mut self, t: &mut Turn<'_, '_>, id: LegId, settings: &Room) {
        let voices = if settings.forwards { settings.speakers } else { 0 };
        let video = settings.video;
        if let Some(oa) = self
            .leg_mut(id)
            .and_then(|leg| leg.oa.as_mut())
            .filter(|oa| oa.is_web())
        {
            oa.see((video || voices > 0).then(|| Sees {
                ssrc: t.cx.random() as u32,
                video,
                voices,
            }));
        }
    }

    /// Whom a room calls is offered video, if he is at a browser; places for voices are not: a page that knows nothing of them would not play them.
    pub fn offer_sight(&mut self, t: &mut Turn<'_, '_>, id: LegId) {
        let Stage::DialOut(place) = self.stage else { return };
        let (settings, worker) = (t.desk.rooms.settings(place.room).cloned(), self.worker);
        let is_open = self.leg_mut(id).is_some_and(|leg| leg.open_media(t, worker));
        if let Some(settings) = settings.filter(|_| is_open) {
            self.see(t, id, &settings);
        }
    }

    /// Tells the room what has become of its member.
    pub fn tend_room(&mut self, t: &mut Turn<'_, '_>) {
        let Some((place, number, held)) = self
            .room
            .as_ref()
            .map(|room| (room.place, room.number.clone(), room.holds))
        else {
            return;
        };
        let one = match self.stage {
            Stage::Talk {
                one,
                other: Other::Room(own),
            } if own == place => one,
            Stage::DialOut(own) if own == place => return,
            Stage::Talk { .. } | Stage::DialOut(_) | Stage::Setup { .. } | Stage::Over { .. } => {
                self.room = None;
                for leg in &mut self.legs {
                    leg.sees_nothing();
                }
                return t.desk.rooms.tell(place, Input::Left);
            }
        };
        let holds = self.holds(one);
        if holds != held {
            t.desk.rooms.tell(place, Input::Holds(holds));
        }
        if let Some(room) = &mut self.room {
            room.holds = holds;
        }
        let media = self.leg_mut(one).and_then(|leg| leg.media.as_mut());
        if let Some(lines) = media.and_then(|media| media.new_lines()) {
            t.desk.rooms.tell(place, Input::Lines(lines));
        }
        // One may have taken the place of another.
        if let Some(leg) = self.leg_mut(one) {
            leg.is_focus(number);
        }
    }

    /// The room says what its member hears from now on.
    pub fn room_hears(&mut self, place: Place, hears: Hears) {
        let Some(room) = self.room.as_mut().filter(|room| room.place == place) else {
            return;
        };
        // The same words may be said twice, and a name be noted twice.
        let again = matches!(hears, Hears::Once(..) | Hears::Note);
        room.hears = Some(hears);
        if let Stage::Talk { one, .. } = self.stage
            && again
            && let Some(media) = self.leg_mut(one).and_then(|leg| leg.media.as_mut())
        {
            media.note_function(Function::Idle);
        }
    }

    /// A member hears what its room says; whoever holds us hears nothing, and its music is not heard.
    pub fn sit(&mut self, t: &mut Turn<'_, '_>, one: LegId) {
        let holds = self.holds(one);
        if let Some(media) = self.leg_mut(one).and_then(|leg| leg.media.as_mut()) {
            media.hold(t, holds);
        }
        let room = self.room.as_ref().filter(|_| !holds);
        match room.and_then(|room| Some((room.place, room.hears.clone()?))) {
            None => self.hear(t, one, Function::Idle),
            Some((_, Hears::Once(music, _))) => self.play(t, one, &music, false),
            Some((_, Hears::Always(music))) => self.play(t, one, &music, true),
            Some((_, Hears::Note)) => self.hear(t, one, Function::Note),
            Some((place, Hears::Mix(seat))) => self.take_seat(t, one, place, seat),
        }
    }

    /// A leg takes its seat on the worker of its room: where it is on another, it moves first.
    fn take_seat(&mut self, t: &mut Turn<'_, '_>, one: LegId, place: Place, seat: Seat) {
        let Some((worker, room)) = t.desk.rooms.seat(place) else {
            return self.hear(t, one, Function::Idle);
        };
        let Some(media) = self.leg_mut(one).and_then(|leg| leg.media.as_mut()) else {
            return;
        };
        if media.is_settled() && media.worker() != Some(worker) {
            if t.desk.has_room(worker, 1) {
                return media.move_to(t, worker);
            }
            let why = "the room's media worker has as many legs as it can hold";
            return self.end(t, cause::cause(503, Blame::Node, why));
        }
        // First: who is not to be heard is not, not even for a moment.
        media.sit(t, seat);
        self.hear(t, one, Function::Room(room));
    }

    /// What its member says is noted for the room now.
    pub fn notes(&self) -> bool {
        self.room.as_ref().is_some_and(|room| room.hears == Some(Hears::Note))
    }

    /// The room has its member recorded from now on, or no longer.
    pub fn room_records(&mut self, place: Place, of: Option<Of>) {
        if let Some(room) = self.room.as_mut().filter(|room| room.place == place) {
            room.recorded = of;
        }
    }

    /// As what its room has it recorded, while it talks with that.
    pub fn recorded_by_room(&self) -> Option<Of> {
        let Stage::Talk {
            other: Other::Room(place),
            ..
        } = self.stage
        else {
            return None;
        };
        self.room.as_ref().filter(|room| room.place == place)?.recorded
    }

    /// The room sends its member away.
    pub fn leave_room(&mut self, t: &mut Turn<'_, '_>, place: Place, parting: Parting) {
        if self.room.as_ref().is_some_and(|room| room.place == place) {
            self.end(t, over(parting));
        }
    }

    /// Two who talk go into a room: this is the one who keeps the call.
    pub fn move_in(&mut self, t: &mut Turn<'_, '_>, one: LegId, room: (&str, &Arc<Room>)) {
        let place = self.arrive(t, one, room, Entrance::Brought);
        self.stage = Stage::Talk {
            one,
            other: Other::Room(place),
        };
    }

    /// And this the one who gets a call of its own, whose record begins now.
    pub fn move_in_apart(&mut self, t: &mut Turn<'_, '_>, id: LegId, room: (&str, &Arc<Room>)) {
        let Some(leg) = self.leg(id) else { return };
        let call_id = leg.dialog.as_ref().map(|dialog| dialog.id.call_id().to_owned());
        t.cx.emit(Output::Record(Fact::CallStarted {
            call: self.id,
            at: t.cx.wall,
            from: leg.who.party(&self.config),
            caller: leg.identity(&self.config).shown(),
            called: room.0.to_owned(),
            sip_call_id: call_id.unwrap_or_default(),
        }));
        self.move_in(t, id, room);
        let by = self.room.as_ref().map(|room| room.party());
        self.is_answered(t, by);
    }

    /// Whom a room has called has answered.
    pub fn answered_room(&mut self, t: &mut Turn<'_, '_>, place: Place, winner: LegId) {
        self.stage = Stage::Talk {
            one: winner,
            other: Other::Room(place),
        };
        // Whoever was called, this is who has come.
        if let Some(Who::User(name)) = self.leg(winner).map(|leg| &leg.who) {
            t.desk.rooms.answered_by(place, name);
        }
        t.desk.rooms.tell(place, Input::Answered);
        let by = self.leg(winner).map(|leg| leg.who.party(&self.config));
        self.is_answered(t, by);
    }

    /// The transferor's other call is its place in a room: whom it leaves behind gets it. Nobody is asked for a PIN whom a member brings;
    /// what was done to that member holds for who comes in its place.
    pub fn take_place(&mut self, t: &mut Turn<'_, '_>, theirs: &Call, kept: LegId, of: LegId) -> bool {
        let Some((place, number)) = theirs
            .place_of(of)
            .and_then(|place| Some((place, theirs.room.as_ref()?.number.clone())))
        else {
            return false;
        };
        let Some(settings) = t.desk.rooms.settings(place.room).cloned() else {
            return false;
        };
        let Some(stand) = t.desk.rooms.stand(place) else {
            return false;
        };
        let place = self.arrive(t, kept, (&number, &settings), Entrance::InPlace(stand));
        self.transfer_done(t, Other::Room(place));
        true
    }
}

impl Leg {
    /// Its peer talks with a room (RFC 4579 5.1): our Contact says so from now on. A peer to whom it said something else is told.
    /// It leaves a room: video is refused when it is offered again.
    fn sees_nothing(&mut self) {
        if let Some(oa) = &mut self.oa {
            oa.see(None);
        }
    }

    fn is_focus(&mut self, number: Arc<str>) {
        if self.focus.is_none() {
            self.focus = Some(number);
            self.focus_untold = self.is_up();
        }
    }
}

/// The domain of who has none that may be shown (RFC 3323 4.1.1.3).
const ANONYMOUS: &str = "anonymous.invalid";

/// The domain of numbers of a trunk: the carrier's, since in one of ours an outsider could be taken for a user.
pub fn host_of(config: &Config, trunk: TrunkIx) -> String {
    let hosts = config.trunk(trunk).into_iter().flat_map(|trunk| &trunk.peers);
    let mut hosts = hosts.map(|peer| peer.host.to_string());
    let is_own = |host: &str| {
        config
            .domains
            .iter()
            .any(|domain| domain.name.eq_ignore_ascii_case(host))
    };
    let first = hosts.next().filter(|host| !is_own(host));
    first.unwrap_or_else(|| ANONYMOUS.to_owned())
}

/// A URI and a name of a peer, as long as they may be: a URI that is cut is another one, so that of a longer one nothing is shown.
fn kept(uri: String, display: &str) -> (String, String) {
    let uri = match uri.len() <= limits::MEMBER_URI_BYTES {
        true => uri,
        false => format!("sip:anonymous@{ANONYMOUS}"),
    };
    (uri, display.chars().take(limits::DISPLAY_CHARS).collect())
}

/// Why a call is over that a room ends.
fn over(parting: Parting) -> Cause {
    cause::cause(parting.status, Blame::Node, parting.why)
}
