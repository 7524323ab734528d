//! What clients in a room are told of it: who is in it, who speaks, and who is seen on which line of their video.
//!
//! All of this is how things are, and no news: the newest is all that counts. So none of it is kept for streams that break; a stream that begins
//! is told how things are then. Each of it is told to a call only when it is different from what that was told last.

use super::Api;
use super::call::Side;
use crate::cx::Cx;
use crate::dialog::DialogId;
use crate::limits;
use crate::room::view::{MemberId, MemberView, RoomView, Slot, Status};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a call was told last, as JSON.
#[derive(Debug, Default)]
struct Told {
    members: Value,
    slots: Value,
    speaking: Value,
}

/// Calls of clients with rooms, by the number of the room.
#[derive(Debug, Default)]
pub(super) struct Company {
    calls: BTreeMap<String, BTreeMap<u64, Told>>,
    /// Rooms of which something is to be told.
    changed: BTreeSet<String>,
}

impl Company {
    fn enter(&mut self, room: &str, call: u64) {
        self.calls
            .entry(room.to_owned())
            .or_default()
            .insert(call, Told::default());
        self.changed.insert(room.to_owned());
    }

    fn leave(&mut self, room: &str, call: u64) {
        let Some(calls) = self.calls.get_mut(room) else { return };
        calls.remove(&call);
        if calls.is_empty() {
            self.calls.remove(room);
            self.changed.remove(room);
        }
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
}

impl Api {
    /// Something of a room may be different.
    pub fn room_changed(&mut self, room: &str) {
        if self.company.calls.contains_key(room) {
            self.company.changed.insert(room.to_owned());
        }
    }

    /// A room of which something may be to be told, and clients' calls with it: the dialog of each, as the room's side names it. `None`: there
    /// is none left.
    pub fn poll_room(&mut self) -> Option<(String, Vec<(u64, DialogId)>)> {
        let room = self.company.changed.pop_first()?;
        let calls = self.company.calls.get(&room).into_iter().flat_map(BTreeMap::keys);
        let dialogs = calls.filter_map(|call| Some((*call, self.lines.dialog(*call)?)));
        let dialogs = dialogs.collect();
        Some((room, dialogs))
    }

    /// Tells clients in a room what is different.
    pub fn room(&mut self, cx: &mut Cx<'_>, view: &RoomView, sittings: &[Sitting]) {
        let is_in = |member: &&MemberView| matches!(member.status, Status::Connected | Status::OnHold);
        // In a large room each would be told of each.
        let is_small = view.members.iter().filter(is_in).count() <= limits::API_ROOM_MEMBERS;
        let there: Vec<&MemberView> = view.members.iter().filter(|_| is_small).filter(is_in).collect();
        let listed: Vec<Value> = there
            .iter()
            .map(|member| {
                let own = sittings.iter().find(|sitting| sitting.member == member.id);
                shown(member, own.is_some_and(|own| self.is_muted(own.call)))
            })
            .collect();
        let speaking = there.iter().filter(|member| member.speaking);
        let speaking: Vec<u32> = speaking.map(|member| member.id.0).collect();
        for sitting in sittings {
            let slots = sitting.slots.iter().filter_map(|slot| {
                let member = view.members.iter().find(|member| member.id == slot.member)?;
                Some(json!({ "mid": slot.line, "member": member.id.0, "name": member.display, "screen": slot.is_screen }))
            });
            let told = Told {
                members: json!({ "me": sitting.member.0, "complete": is_small, "members": listed }),
                slots: json!({ "slots": slots.collect::<Vec<_>>() }),
                speaking: json!({ "speaking": speaking }),
            };
            self.tell_company(cx, (&view.number, sitting.call), told);
        }
    }

    fn tell_company(&mut self, cx: &mut Cx<'_>, (room, call): (&str, u64), new: Told) {
        let calls = self.company.calls.get_mut(room);
        let Some(old) = calls.and_then(|calls| calls.get_mut(&call)) else {
            return;
        };
        let old = std::mem::replace(old, new);
        let new = &self.company.calls[room][&call];
        let pairs = [
            ("call.members", &old.members, &new.members),
            ("call.slots", &old.slots, &new.slots),
            ("call.speaking", &old.speaking, &new.speaking),
        ];
        let news: Vec<(&'static str, Value)> = pairs
            .into_iter()
            .filter(|(_, old, new)| old != new)
            .map(|(name, _, new)| (name, new.clone()))
            .collect();
        let Some(call) = self.calls.get(call) else { return };
        let (id, clients) = (call.id.clone(), call.clients().collect::<Vec<_>>());
        for (name, mut data) in news {
            data["call"] = json!(id);
            for client in &clients {
                self.tell_now(cx, *client, name, &data);
            }
        }
    }

    /// The client's side of a call in a room is muted.
    fn is_muted(&self, call: u64) -> bool {
        let own = self.calls.get(call).and_then(|call| Some((call, call.line()?)));
        own.is_some_and(|(call, line): (_, Side)| call.member(line.other()).muted)
    }

    /// A client's call is in a room now.
    pub(super) fn has_company(&mut self, call: u64, room: &str) {
        self.company.enter(room, call);
    }

    /// It is over.
    pub(super) fn has_none(&mut self, call: u64, room: &str) {
        self.company.leave(room, call);
    }

    /// Something of a call is different that others in its room see.
    pub(super) fn company_sees(&mut self, call: u64) {
        if let Some(room) = self.calls.get(call).and_then(|call| call.room()) {
            let room = room.to_owned();
            self.room_changed(&room);
        }
    }

    /// A client has a new stream, which knows nothing yet.
    pub(super) fn company_anew(&mut self, client: u64) {
        let calls = self.clients.get(client).map(|client| client.calls.clone());
        for number in calls.unwrap_or_default() {
            let Some(room) = self.calls.get(number).and_then(|call| call.room()) else {
                continue;
            };
            if let Some(told) = self
                .company
                .calls
                .get_mut(room)
                .and_then(|calls| calls.get_mut(&number))
            {
                *told = Told::default();
                self.company.changed.insert(room.to_owned());
            }
        }
    }
}

/// A member as others are told of it: muted by the room, or by itself.
fn shown(member: &MemberView, is_muted: bool) -> Value {
    let (muted, held) = (member.muted || is_muted, member.status == Status::OnHold);
    json!({ "id": member.id.0, "name": member.display, "muted": muted, "held": held })
}
