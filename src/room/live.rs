//! One room: who comes in, who leaves, and what all hear.

use super::member::{Hears, Member, Phase};
use super::parts::Parts;
use super::sounds::LAST_WORDS;
use super::view::{MemberId, Role, RoomEvent, RoomView};
use super::{Arrival, Callee, Due, Effect, Entrance, Input, Parting, Place, Step};
use crate::config::{self, EntrySound, Prompt};
use crate::id::{CallId, MediaRoomId, WorkerId};
use crate::limits;
use crate::media::command::{Command, Music, RoomSpec};
use crate::time::{Instant, Wall};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long before its end a room says so.
const WARNING: Duration = Duration::from_secs(300);

/// A room in which somebody is, or is on the way.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: MediaRoomId,
    pub(super) number: Arc<str>,
    pub(super) settings: Arc<config::Room>,
    pub(super) parts: Parts,
    pub(super) locked: bool,
    pub(super) recorded: bool,
    /// The name of the recording, while there is one.
    pub(super) recording: Option<CallId>,
    pub(super) members: Vec<Member>,
    since: Wall,
    /// The last name that was given.
    last: u32,
    /// Somebody was to be in it.
    pub(super) begun: bool,
    /// Somebody is in it, or was.
    pub(super) entered: bool,
    /// It ends as soon as that is said.
    pub(super) ending: bool,
    /// What all are to hear; the first is heard.
    pub(super) sounds: VecDeque<Music>,
    /// What its worker was told to play whose end it has not told.
    pub(super) unended: u32,
    /// When it was told last who speaks.
    told: Option<Instant>,
}

impl Live {
    pub(super) fn new(
        id: MediaRoomId,
        number: Arc<str>,
        settings: Arc<config::Room>,
        worker: WorkerId,
        since: Wall,
    ) -> Live {
        Live {
            id,
            number,
            settings,
            parts: Parts::new(id, worker),
            locked: false,
            recorded: false,
            recording: None,
            members: Vec::new(),
            since,
            last: 0,
            begun: false,
            entered: false,
            ending: false,
            sounds: VecDeque::new(),
            unended: 0,
            told: None,
        }
    }

    /// What it is called in the log.
    pub(super) fn name(&self) -> String {
        self.settings.name_of(&self.number).to_owned()
    }

    /// As the workers know it.
    fn spec(&self) -> RoomSpec {
        RoomSpec {
            id: self.id,
            rate: self.settings.rate,
            speakers: self.settings.speakers,
            // Who hears why he is sent away has left his seat, but the worker may not know yet.
            seats: u16::try_from(2 * self.settings.max_members).unwrap_or(u16::MAX),
            levels: self.settings.levels,
            gate: self.settings.gate,
            forwards: self.settings.forwards,
        }
    }

    /// How many have their place in a part.
    fn taken(&self, part: u8) -> usize {
        self.members.iter().filter(|member| member.part == part).count()
    }

    /// The worker that has a place for one more.
    pub(super) fn free_worker(&self) -> Option<WorkerId> {
        self.parts.free(|part| self.taken(part))
    }

    /// Where a member sits.
    pub(super) fn seat(&self, id: MemberId) -> Option<(WorkerId, MediaRoomId)> {
        self.parts.get(self.member(id)?.part)
    }

    pub(super) fn open(&mut self, s: &mut Step<'_>) {
        self.command(s, Command::OpenRoom(self.spec()));
        self.log(s, "is open");
    }

    pub(super) fn is_over(&self) -> bool {
        self.begun && self.members.is_empty()
    }

    pub(super) fn close(&mut self, s: &mut Step<'_>) {
        if self.recorded {
            self.record(s, false);
        }
        for due in [Due::Warn, Due::End, Due::Speaking, Due::Beep] {
            s.timers.cancel((self.id, due));
        }
        let commands = self.parts.close();
        s.effects
            .extend(commands.map(|(worker, command)| Effect::Media(worker, command)));
        self.event(s, RoomEvent::Ended);
        self.log(s, "is closed, since nobody is in it");
    }

    pub(super) fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    pub(super) fn member_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// How many are in the room itself.
    pub(super) fn present(&self) -> usize {
        self.members.iter().filter(|member| member.is_in()).count()
    }

    /// Those for whom there is a place in it: who is being sent away needs none.
    pub(super) fn places(&self) -> usize {
        let stays = |member: &&Member| !matches!(member.phase, Phase::Leaving(_));
        self.members.iter().filter(stays).count()
    }

    pub(super) fn admits(&self, more: usize) -> Result<(), (Option<Prompt>, Parting)> {
        let (prompt, status, why) = match () {
            () if self.ending => (Prompt::Ended, 480, "the room is being closed"),
            () if self.locked => (Prompt::Locked, 403, "the room is locked"),
            () if self.places() + more > self.settings.max_members => (Prompt::Full, 486, "the room is full"),
            () => return Ok(()),
        };
        Err((Some(prompt), Parting { status, why }))
    }

    pub(super) fn next_id(&mut self) -> MemberId {
        self.begun = true;
        self.last += 1;
        MemberId(self.last)
    }

    /// Somebody comes.
    pub(super) fn arrive(&mut self, s: &mut Step<'_>, worker: WorkerId, arrival: Arrival) -> Place {
        let id = self.next_id();
        let (spec, members) = (self.spec(), &self.members);
        let taken = |part| members.iter().filter(|member| member.part == part).count();
        let (part, commands) = self.parts.place(worker, spec, taken);
        s.effects.extend(
            commands
                .into_iter()
                .map(|(worker, command)| Effect::Media(worker, command)),
        );
        let (call, entrance) = (arrival.call, arrival.entrance);
        let is_moderator = arrival
            .user
            .as_ref()
            .is_some_and(|user| self.settings.moderators.contains(user));
        let mut member = Member::arrived(id, arrival, s.wall);
        member.part = part;
        let (role, tries) = match entrance {
            Entrance::Dialled => (None, Some(0)),
            Entrance::Brought => (None, None),
            Entrance::InPlace(stand) => (stand.role, stand.tries),
        };
        member.role = match (is_moderator, role, self.settings.listeners) {
            (true, ..) => Role::Moderator,
            (false, Some(role), _) => role,
            (false, None, true) => Role::Listener,
            (false, None, false) => Role::Speaker,
        };
        // Who comes to the door by itself: others are brought by somebody who knows them.
        member.says_name = self.settings.entry == EntrySound::Names && entrance == Entrance::Dialled;
        self.members.push(member);
        s.effects
            .push_back(Effect::Tell(call, format!("joins room {} as member {id}", self.name())));
        self.event(s, RoomEvent::Changed(id));
        match tries.filter(|_| self.settings.asks_pin() && !is_moderator) {
            Some(tries) => self.ask_pin(s, id, tries, None),
            None => self.greet(s, id),
        }
        Place {
            room: self.id,
            member: id,
        }
    }

    /// Somebody may come in: at once, or as soon as a moderator is there.
    pub(super) fn admit(&mut self, s: &mut Step<'_>, id: MemberId) {
        self.forget_timers(s, id);
        let waits = self.settings.wait_for_moderator
            && !self
                .members
                .iter()
                .any(|member| member.is_in() && member.is_moderator());
        let prompts = self.settings.prompts.clone();
        let Some(member) = self.member_mut(id) else { return };
        member.pressed.0.clear();
        if waits && !member.is_moderator() {
            member.phase = Phase::Waiting;
            member.say_now(prompts.get(Prompt::Waiting));
            self.event(s, RoomEvent::Changed(id));
        } else {
            self.come_in(s, id);
        }
    }

    /// Somebody is in the room now.
    pub(super) fn enter(&mut self, s: &mut Step<'_>, id: MemberId) {
        s.timers.cancel((self.id, Due::Door(id)));
        let (others, prompts) = (self.present(), self.settings.prompts.clone());
        let waits = self.settings.wait_for_moderator;
        for member in &mut self.members {
            member.unsay(prompts.get(Prompt::Alone));
        }
        let Some(member) = self.member_mut(id) else { return };
        member.phase = Phase::In;
        member.since = s.wall;
        member.hush();
        if others == 0 && !waits {
            member.say(prompts.get(Prompt::Alone));
        }
        let (is_moderator, name) = (member.is_moderator(), member.name.clone());
        self.event(s, RoomEvent::Joined(id));
        if !std::mem::replace(&mut self.entered, true) {
            self.begin(s);
        } else if self.recorded {
            self.record_member(s, id, true);
        }
        if others > 0 {
            self.tell_entry(s, name.as_ref(), true);
        }
        if is_moderator {
            self.moderator_came(s);
        }
    }

    /// Who waited for a moderator is let in.
    pub(super) fn moderator_came(&mut self, s: &mut Step<'_>) {
        let waiting = self.members.iter().filter(|member| member.phase == Phase::Waiting);
        for id in waiting.map(|member| member.id).collect::<Vec<_>>() {
            self.come_in(s, id);
        }
    }

    /// The first one is in it.
    fn begin(&mut self, s: &mut Step<'_>) {
        self.since = s.wall;
        if let Some(longest) = self.settings.max_duration {
            s.timers.set((self.id, Due::End), s.now + longest);
            if longest > WARNING {
                s.timers.set((self.id, Due::Warn), s.now + (longest - WARNING));
            }
        }
        if self.settings.record {
            // Who is in it was told before.
            self.record(s, true);
        }
    }

    /// A member's call tells something.
    pub(super) fn input(&mut self, s: &mut Step<'_>, id: MemberId, input: Input) {
        if self.member(id).is_none() {
            return;
        }
        match input {
            Input::Rings => self.rings(s, id),
            Input::Answered => self.answered(s, id),
            Input::Digit(digit) => self.pressed(s, id, digit),
            Input::Played => self.heard(s, id),
            Input::Named(name) => self.named(s, id, name),
            Input::Holds(holds) => self.change(s, id, |member| member.holds = holds),
            Input::Speaks(speaks) => self.speaks(s, id, speaks),
            Input::Shows(line, shown) => {
                let of = |call| self.members.iter().find(|member| member.call == Some(call));
                let shown = shown.and_then(|(call, is_screen)| Some((of(call)?.id, is_screen)));
                if self.member_mut(id).is_some_and(|member| member.sees(&line, shown)) {
                    self.event(s, RoomEvent::Shows(id, line, shown));
                }
            }
            Input::Lines(lines) => {
                let member = self.member_mut(id);
                let gone = member.map(|member| member.sees_on(|line| lines.iter().any(|own| **own == *line)));
                self.dark(s, id, gone.unwrap_or_default());
            }
            Input::Left => self.left(s, id),
        }
    }

    /// Something of a member is different.
    pub(super) fn change(&mut self, s: &mut Step<'_>, id: MemberId, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.member_mut(id) {
            change(member);
            self.event(s, RoomEvent::Changed(id));
        }
    }

    /// What a member heard once is at its end.
    fn heard(&mut self, s: &mut Step<'_>, id: MemberId) {
        let Some(member) = self.member_mut(id) else { return };
        if !member.played() {
            return;
        }
        match member.phase {
            Phase::Leaving(parting) => self.dismiss(s, id, parting),
            Phase::Name => self.note(s, id),
            Phase::Told => self.enter(s, id),
            Phase::Calling
            | Phase::Ringing
            | Phase::Asked(_)
            | Phase::Pin(_)
            | Phase::Judged(_)
            | Phase::Says
            | Phase::Said
            | Phase::Waiting
            | Phase::In => {}
        }
    }

    /// A member is sent away, and hears why, if it hears anything.
    pub(super) fn send_away(&mut self, s: &mut Step<'_>, id: MemberId, prompt: Prompt, parting: Parting) {
        self.forget_timers(s, id);
        let prompts = self.settings.prompts.clone();
        let words = prompts.get(prompt);
        let Some(member) = self.member_mut(id) else { return };
        let (was_in, name) = (member.is_in(), member.name.clone());
        if member.is_called() || member.holds {
            return self.dismiss(s, id, parting);
        }
        member.phase = Phase::Leaving(parting);
        member.say_now(words);
        s.timers
            .set((self.id, Due::Door(id)), s.now + words.duration() + LAST_WORDS);
        self.event(s, RoomEvent::Changed(id));
        if was_in {
            self.record_member(s, id, false);
            self.one_less(s, name.as_ref());
        }
    }

    /// The call of a member is ended; it is gone when that tells so.
    pub(super) fn dismiss(&mut self, s: &mut Step<'_>, id: MemberId, parting: Parting) {
        let place = Place {
            room: self.id,
            member: id,
        };
        match self.member(id).map(|member| member.call) {
            Some(Some(call)) => s.effects.push_back(Effect::Dismiss(call, place, parting)),
            // Its call was never made.
            Some(None) => self.left(s, id),
            None => {}
        }
    }

    /// A member is gone.
    fn left(&mut self, s: &mut Step<'_>, id: MemberId) {
        let Some(ix) = self.members.iter().position(|member| member.id == id) else {
            return;
        };
        self.forget_timers(s, id);
        let member = self.members.remove(ix);
        *s.names -= usize::from(member.is_named);
        self.event(s, RoomEvent::Left(id));
        if member.is_in() {
            self.one_less(s, member.name.as_ref());
        }
    }

    /// One who was in it is no longer.
    fn one_less(&mut self, s: &mut Step<'_>, name: Option<&Music>) {
        if self.present() > 0 {
            if !self.ending {
                self.tell_entry(s, name, false);
            }
            return;
        }
        // Nobody is left who wanted those that are still called.
        let why = "nobody is in the room any more";
        let called = |member: &&Member| member.is_called() || matches!(member.phase, Phase::Asked(_));
        let ids: Vec<MemberId> = self.members.iter().filter(called).map(|member| member.id).collect();
        for id in ids {
            self.dismiss(s, id, Parting { status: 487, why });
        }
    }

    fn forget_timers(&self, s: &mut Step<'_>, id: MemberId) {
        for due in [Due::Door(id), Due::Pressed(id)] {
            s.timers.cancel((self.id, due));
        }
    }

    /// Something is due.
    pub(super) fn due(&mut self, s: &mut Step<'_>, due: Due) {
        match due {
            Due::Door(id) => self.door_due(s, id),
            Due::Pressed(id) => self.pressed_due(s, id),
            Due::Warn => {
                let words = self.settings.prompts.get(Prompt::EndsSoon).clone();
                self.play(s, &words);
            }
            Due::End if self.ending => self.empty(s),
            Due::End => self.end(s),
            Due::Speaking => self.tell_speaking(s),
            Due::Beep => self.beep(s),
        }
    }

    /// On these lines a member sees nobody any more.
    fn dark(&self, s: &mut Step<'_>, id: MemberId, lines: Vec<Box<str>>) {
        for line in lines {
            self.event(s, RoomEvent::Shows(id, line, None));
        }
    }

    fn speaks(&mut self, s: &mut Step<'_>, id: MemberId, speaks: bool) {
        if let Some(member) = self.member_mut(id) {
            member.speaking = speaks;
        }
        self.tell_speaking_soon(s);
    }

    fn tell_speaking_soon(&mut self, s: &mut Step<'_>) {
        match self.told.map(|told| told + limits::ROOM_SPEAKING) {
            Some(next) if next > s.now => s.timers.set((self.id, Due::Speaking), next),
            Some(_) | None => self.tell_speaking(s),
        }
    }

    fn tell_speaking(&mut self, s: &mut Step<'_>) {
        self.told = Some(s.now);
        let mut news = Vec::new();
        for member in &mut self.members {
            if member.speaking != member.told_speaking {
                member.told_speaking = member.speaking;
                news.push(RoomEvent::Speaking(member.id, member.speaking));
            }
        }
        for event in news {
            self.event(s, event);
        }
    }

    /// Brings what each member hears to what the state says.
    pub(super) fn settle(&mut self, s: &mut Step<'_>) {
        let alone = self.present() == 1 && !self.ending;
        let (room, settings) = (self.id, self.settings.clone());
        let (mut fell_silent, mut dark) = (false, Vec::new());
        for member in &mut self.members {
            let (Some(hears), Some(call)) = (member.to_hear(&settings.music, alone), member.call) else {
                continue;
            };
            if member.holds || !matches!(hears, Hears::Mix(_)) {
                // Its worker does not say that who has left the mix is not heard any more.
                fell_silent |= std::mem::take(&mut member.speaking);
                // Nor that it sees nobody.
                if !member.shows.is_empty() {
                    dark.push((member.id, member.sees_on(|_| false)));
                }
            }
            if member.hears.as_ref() != Some(&hears) {
                member.hears = Some(hears.clone());
                let place = Place {
                    room,
                    member: member.id,
                };
                s.effects.push_back(Effect::Hear(call, place, hears));
            }
        }
        for (id, lines) in dark {
            self.dark(s, id, lines);
        }
        if fell_silent {
            self.tell_speaking_soon(s);
        }
    }

    pub(super) fn called(&mut self, id: MemberId, call: CallId, callee: Callee) {
        if let Some(member) = self.member_mut(id) {
            let Callee { uri, display, user } = callee;
            (member.call, member.uri, member.display, member.callee) = (Some(call), uri, display, user);
        }
    }

    pub(super) fn answered_by(&mut self, id: MemberId, user: &str) {
        let is_moderator = self.settings.moderators.iter().any(|own| own == user);
        if let Some(member) = self.member_mut(id) {
            member.user = Some(user.to_owned());
            if is_moderator {
                member.role = Role::Moderator;
            }
        }
    }

    pub(super) fn event(&self, s: &mut Step<'_>, event: RoomEvent) {
        s.effects.push_back(Effect::Event(self.number.clone(), event));
    }

    pub(super) fn log(&self, s: &mut Step<'_>, what: impl Into<String>) {
        s.effects.push_back(Effect::Log(self.name(), what.into()));
    }

    pub(super) fn command(&self, s: &mut Step<'_>, command: Command) {
        s.effects.push_back(Effect::Media(self.parts.first().0, command));
    }

    pub(super) fn view(&self) -> RoomView {
        RoomView {
            number: self.number.to_string(),
            name: self.name(),
            locked: self.locked,
            recorded: self.recorded,
            since: self.since,
            most: self.settings.max_members,
            members: self.members.iter().map(Member::view).collect(),
        }
    }
}
