//! What clients in a room are told of it: who is in it, who speaks, and who is seen on which line of their video.
//!
//! All of this is how things are, and no news: the newest is all that counts. So none of it is kept for streams that break; a stream that begins
//! is told how things are then. Each of it is told to a call only when it is different from what that was told last, and a room is looked at
//! only every `limits::ROOM_SPEAKING`, however often something of it changes: the first change is told at once.
//!
//! Who is at the door of a room, for a PIN or a moderator, is told nothing of it but that the PIN is asked for. Phone numbers that stand for names lose their middle for streams
//! whose token is good for rooms alone, and for all where clients of several tenants have been in the room.

use super::Api;
use super::call::{Call, Side};
use crate::cx::Cx;
use crate::dialog::DialogId;
use crate::limits;
use crate::pii::Scrubbed;
use crate::room::view::{MemberId, MemberView, RoomView, Slot, Status};
use crate::time::Instant;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// JSON with names in it: as they are, and with numbers that have lost their middle.
#[derive(Clone, Debug, Default, PartialEq)]
struct Text([Arc<str>; 2]);

impl Text {
    /// `write` is asked for both, unless nobody is shown the first.
    fn of(is_masked: bool, write: impl Fn(bool) -> Value) -> Text {
        let masked: Arc<str> = write(true).to_string().into();
        let clear = if is_masked {
            masked.clone()
        } else {
            write(false).to_string().into()
        };
        Text([clear, masked])
    }
}

/// What a call was told last.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// Which member it is, and whether all are listed.
    place: Option<(MemberId, bool)>,
    members: Text,
    slots: Text,
    speaking: Arc<str>,
    /// It is asked for the PIN, and was wrong so often.
    asked_pin: Option<u8>,
}

/// Clients' calls with a room.
#[derive(Debug)]
struct Gathering {
    calls: BTreeMap<u64, Told>,
    /// Whose clients are in it, or were.
    tenant: Arc<str>,
    /// Others' are, too.
    is_mixed: bool,
    /// Its members are too many to be listed.
    is_large: bool,
    /// When it was looked at last.
    seen: Option<Instant>,
    /// When it is looked at next.
    due: Option<Instant>,
}

/// Calls of clients with rooms, by the number of the room. A room without such a call stays until it is over: numbers of one tenant are
/// not to be read by who comes when that is gone.
#[derive(Debug, Default)]
pub(super) struct Company {
    rooms: BTreeMap<String, Gathering>,
    /// Rooms of which something is to be told, and when.
    due: BTreeSet<(Instant, String)>,
}

impl Company {
    fn enter(&mut self, now: Instant, room: &str, call: u64, tenant: &Arc<str>) {
        // That a room is over may have been told to nobody.
        if self.rooms.len() >= limits::ROOMS {
            self.rooms.retain(|_, gathering| !gathering.calls.is_empty());
        }
        let gathering = self.rooms.entry(room.to_owned()).or_insert_with(|| Gathering {
            calls: BTreeMap::new(),
            tenant: tenant.clone(),
            is_mixed: false,
            is_large: false,
            seen: None,
            due: None,
        });
        gathering.is_mixed |= gathering.tenant != *tenant;
        gathering.calls.insert(call, Told::default());
        self.change(now, room);
    }

    /// A call with a room is over.
    pub(super) fn leave(&mut self, now: Instant, room: &str, call: u64) {
        let left = self.rooms.get_mut(room).map(|gathering| gathering.calls.remove(&call));
        if left.flatten().is_some() {
            self.change(now, room);
        }
    }

    fn change(&mut self, now: Instant, room: &str) {
        let Some(gathering) = self.rooms.get_mut(room).filter(|gathering| gathering.due.is_none()) else {
            return;
        };
        let at = gathering.seen.map_or(now, |seen| now.max(seen + limits::ROOM_SPEAKING));
        gathering.due = Some(at);
        self.due.insert((at, room.to_owned()));
    }

    fn speaks(&mut self, now: Instant, room: &str) {
        let is_told = |gathering: &Gathering| !gathering.is_large && !gathering.calls.is_empty();
        if self.rooms.get(room).is_some_and(is_told) {
            self.change(now, room);
        }
    }

    fn poll(&mut self, now: Instant) -> Option<String> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        let (_, room) = self.due.pop_first()?;
        if let Some(gathering) = self.rooms.get_mut(&room) {
            (gathering.seen, gathering.due) = (Some(now), None);
        }
        Some(room)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

/// A call in a room, as the node knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sitting {
    /// The call.
    pub call: u64,
    /// Which member it is.
    pub member: MemberId,
    /// Whom it sees.
    pub slots: Vec<Slot>,
    /// It is asked for the PIN, and was wrong so often.
    pub asked_pin: Option<u8>,
}

impl Api {
    /// Something of a room may be different.
    pub fn room_changed(&mut self, now: Instant, room: &str) {
        self.company.change(now, room);
    }

    /// Somebody in a room begins to speak, or ends: in a large one that is told to nobody.
    pub fn room_speaks(&mut self, now: Instant, room: &str) {
        self.company.speaks(now, room);
    }

    /// Nobody is in a room any more.
    pub fn room_over(&mut self, room: &str) {
        let is_empty = |gathering: &Gathering| gathering.calls.is_empty();
        if self.company.rooms.get(room).is_some_and(is_empty) {
            self.company.rooms.remove(room);
        }
    }

    /// A room of which something may be to be told now, and clients' calls with it: the dialog of each, as the room's side names it. `None`:
    /// there is none left.
    pub fn poll_room(&mut self, now: Instant) -> Option<(String, Vec<(u64, DialogId)>)> {
        let room = self.company.poll(now)?;
        let gathering = self.company.rooms.get(&room).into_iter();
        let calls = gathering.flat_map(|gathering| gathering.calls.keys());
        let dialogs = calls.filter_map(|call| Some((*call, self.lines.dialog(*call)?)));
        let dialogs = dialogs.collect();
        Some((room, dialogs))
    }

    /// Tells clients in a room what is different.
    pub fn room(&mut self, cx: &mut Cx<'_>, view: &RoomView, sittings: &[Sitting]) {
        let is_in = |member: &&MemberView| matches!(member.status, Status::Connected | Status::OnHold);
        let there = view.members.iter().filter(is_in).map(|member| (member.id, member));
        let there: BTreeMap<MemberId, &MemberView> = there.collect();
        // In a large room each would be told of each.
        let is_small = there.len() <= limits::API_ROOM_MEMBERS;
        let Some(gathering) = self.company.rooms.get_mut(&view.number) else {
            return;
        };
        gathering.is_large = !is_small;
        let is_mixed = gathering.is_mixed;
        for sitting in sittings {
            self.tell_pin(cx, &view.number, sitting);
        }
        let is_inside = |sitting: &&Sitting| there.contains_key(&sitting.member);
        let inside = || sittings.iter().filter(is_inside);
        let muted = inside().filter(|own| self.is_muted(own.call)).map(|own| own.member);
        let muted: BTreeSet<MemberId> = muted.collect();
        let listed = || there.values().filter(|_| is_small);
        let members = Text::of(is_mixed, |is_masked| {
            listed()
                .map(|member| shown(member, muted.contains(&member.id), is_masked))
                .collect()
        });
        let speaking = listed().filter(|member| member.speaking);
        let speaking: Value = speaking.map(|member| member.id.0).collect();
        let speaking: Arc<str> = speaking.to_string().into();
        for sitting in inside() {
            let seen = |is_masked: bool, slot: &Slot| {
                let name = name(there.get(&slot.member)?, is_masked);
                Some(json!({ "mid": slot.line, "member": slot.member.0, "name": name, "screen": slot.is_screen }))
            };
            let told = Told {
                place: Some((sitting.member, is_small)),
                members: members.clone(),
                slots: Text::of(is_mixed, |is_masked| {
                    sitting.slots.iter().filter_map(|slot| seen(is_masked, slot)).collect()
                }),
                speaking: speaking.clone(),
                asked_pin: sitting.asked_pin,
            };
            self.is_in_room(cx, sitting.call, &view.number);
            self.tell_company(cx, &view.number, sitting.call, told);
        }
    }

    /// Tells a client that is at the door that the PIN is asked for, or was wrong, or is no longer asked for.
    fn tell_pin(&mut self, cx: &mut Cx<'_>, room: &str, sitting: &Sitting) {
        let gathering = self.company.rooms.get_mut(room);
        let Some(told) = gathering.and_then(|gathering| gathering.calls.get_mut(&sitting.call)) else {
            return;
        };
        if std::mem::replace(&mut told.asked_pin, sitting.asked_pin) == sitting.asked_pin {
            return;
        }
        let Some(call) = self.calls.get(sitting.call) else {
            return;
        };
        let mut data = json!({ "call": call.id, "asked": false });
        if let Some(wrong) = sitting.asked_pin {
            let left = limits::ROOM_PIN_TRIES.saturating_sub(wrong);
            (data["asked"], data["wrong"], data["left"]) = (json!(left > 0), json!(wrong), json!(left));
        }
        let data = Bytes::from(data.to_string());
        for client in call.clients() {
            self.tell_now(cx, client, "call.pin", &[data.clone(), data.clone()]);
        }
    }

    fn tell_company(&mut self, cx: &mut Cx<'_>, room: &str, call: u64, new: Told) {
        let gathering = self.company.rooms.get_mut(room);
        let Some(old) = gathering.and_then(|gathering| gathering.calls.get_mut(&call)) else {
            return;
        };
        let Some(about) = self.calls.get(call) else { return };
        let (id, clients) = (json!(about.id), about.clients());
        let mut news: Vec<(&'static str, [Bytes; 2])> = Vec::new();
        if let Some((MemberId(me), complete)) = new
            .place
            .filter(|_| (old.place, &old.members) != (new.place, &new.members))
        {
            let write = |members: &str| {
                format!(r#"{{"call":{id},"me":{me},"complete":{complete},"members":{members}}}"#).into()
            };
            news.push(("call.members", new.members.0.each_ref().map(|text| write(text))));
        }
        if old.slots != new.slots {
            let write = |slots: &str| format!(r#"{{"call":{id},"slots":{slots}}}"#).into();
            news.push(("call.slots", new.slots.0.each_ref().map(|text| write(text))));
        }
        if old.speaking != new.speaking {
            let data = Bytes::from(format!(r#"{{"call":{id},"speaking":{}}}"#, new.speaking));
            news.push(("call.speaking", [data.clone(), data]));
        }
        *old = new;
        for client in clients {
            for (name, data) in &news {
                self.tell_now(cx, client, name, data);
            }
        }
    }

    /// The client's side of a call in a room is muted.
    fn is_muted(&self, call: u64) -> bool {
        let own = self.calls.get(call).and_then(|call| Some((call, call.line()?)));
        own.is_some_and(|(call, line): (_, Side)| call.member(line.other()).muted)
    }

    /// A client's call is with a room now.
    pub(super) fn has_company(&mut self, now: Instant, call: u64, room: &str) {
        if let Some(tenant) = self.calls.get(call).map(|call| call.tenant.clone()) {
            self.company.enter(now, room, call, &tenant);
        }
    }

    /// Something of a call is different that others in its room see.
    pub(super) fn company_sees(&mut self, now: Instant, call: u64) {
        if let Some(room) = self.calls.get(call).and_then(Call::room) {
            self.company.change(now, room);
        }
    }

    /// A client has a new stream, which knows nothing yet.
    pub(super) fn company_anew(&mut self, now: Instant, client: u64) {
        let calls = self.clients.get(client).map(|client| client.calls.clone());
        for number in calls.unwrap_or_default() {
            let Some(room) = self.calls.get(number).and_then(Call::room) else {
                continue;
            };
            let gathering = self.company.rooms.get_mut(room);
            if let Some(told) = gathering.and_then(|gathering| gathering.calls.get_mut(&number)) {
                *told = Told::default();
                self.company.change(now, room);
            }
        }
    }
}

/// A member as others are told of it: muted by the room, or by itself.
fn shown(member: &MemberView, is_muted: bool, is_masked: bool) -> Value {
    let (muted, held) = (member.muted || is_muted, member.status == Status::OnHold);
    json!({ "id": member.id.0, "name": name(member, is_masked), "muted": muted, "held": held })
}

fn name(member: &MemberView, is_masked: bool) -> String {
    match is_masked {
        true => Scrubbed(&member.display).to_string(),
        false => member.display.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(milliseconds: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_room_is_looked_at_so_often_whatever_happens_there() {
        let (mut company, tenant) = (Company::default(), Arc::from("acme"));
        company.enter(at(50), "3000", 1, &tenant);
        assert_eq!(company.poll(at(50)).as_deref(), Some("3000"));
        for now in 51..250 {
            company.change(at(now), "3000");
            company.speaks(at(now), "3000");
            assert_eq!(company.next_deadline(), Some(at(250)));
            assert_eq!(company.poll(at(now)), None);
        }
        assert_eq!(company.poll(at(250)).as_deref(), Some("3000"));
        assert_eq!((company.poll(at(250)), company.next_deadline()), (None, None));
        // After a while of silence at once.
        company.speaks(at(900), "3000");
        assert_eq!(company.poll(at(900)).as_deref(), Some("3000"));
        company.change(at(901), "3001");
        assert_eq!(company.next_deadline(), None);
    }

    #[test]
    fn who_speaks_in_a_large_room_or_to_no_client_makes_no_work() {
        let (mut company, tenant) = (Company::default(), Arc::from("acme"));
        company.enter(at(0), "3000", 1, &tenant);
        company.poll(at(0));
        company.rooms.get_mut("3000").unwrap().is_large = true;
        company.speaks(at(500), "3000");
        assert_eq!(company.next_deadline(), None);
        company.change(at(500), "3000");
        assert_eq!(company.next_deadline(), Some(at(500)));
        company.rooms.get_mut("3000").unwrap().is_large = false;
        company.poll(at(500));
        company.leave(at(1000), "3000", 1);
        company.poll(at(1000));
        company.speaks(at(2000), "3000");
        assert_eq!(company.next_deadline(), None);
    }

    #[test]
    fn rooms_without_calls_are_no_more_than_rooms_can_be() {
        let (mut company, tenant) = (Company::default(), Arc::from("acme"));
        for call in 0..3 * limits::ROOMS as u64 {
            company.enter(at(call), &call.to_string(), call, &tenant);
            company.leave(at(call), &call.to_string(), call);
            while company.poll(at(call + 1000)).is_some() {}
        }
        assert!(company.rooms.len() <= limits::ROOMS);
    }
}
