//! Rooms: who may watch one (RFC 4575 3.5) and ask it for something by REFER (RFC 4579 5.5, 5.11) without being in a call with it, and to
//! whom it is told what happens there. A room takes that from users who may call it and from users who are in it; from nobody else.

use super::machines::Machines;
use crate::api::Sitting;
use crate::b2bua::{Source, wanted, wants_no_subscription};
use crate::cx::Cx;
use crate::event::{CONFERENCE, Onlooker, Watch, package};
use crate::id::Flow;
use crate::room::address;
use crate::room::view::{Asker, MemberView, RoomEvent, RoomView};
use crate::routing::{self, Plan};
use crate::sip::{Draft, Message, Method, Name, Uri};

impl Machines {
    /// The room that a request outside of dialogs is for, where it is one that a room takes and its sender may.
    pub(super) fn room_asked(
        &self,
        cx: &Cx<'_>,
        source: &Source,
        request: &Message,
        dialled: Option<String>,
    ) -> Option<String> {
        if !matches!(request.method(), Method::Subscribe | Method::Refer) {
            return None;
        }
        let dialled = dialled?;
        let called = room_dialled(cx, source, &dialled);
        let is_in = |view: &RoomView| match source {
            Source::User(name) => member_of(view, name).is_some(),
            Source::Trunk(_) => false,
        };
        called.or_else(|| self.calls.room_view(&dialled).filter(is_in).map(|view| view.number))
    }

    /// Whether somebody who watches a room may go on: what he called for it leads there still, or he is in it.
    pub(super) fn may_look(&self, cx: &Cx<'_>, by: &Onlooker) -> bool {
        let called = room_dialled(cx, &Source::User(by.user.to_string()), &by.dialled);
        let view = self.calls.room_view(&by.room);
        called.as_deref() == Some(&*by.room) || view.is_some_and(|view| member_of(&view, &by.user).is_some())
    }

    /// Such a request.
    pub(super) fn at_room(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        source: &Source,
        request: &Message,
        (room, uri): (String, &Uri),
    ) {
        let user = match source {
            Source::User(name) => name.as_str(),
            Source::Trunk(_) => {
                return self.refuse_with(
                    cx,
                    flow,
                    request,
                    403,
                    "a trunk that asks a room for what is users' to ask",
                );
            }
        };
        if !self.is_served(cx, flow, request) {
            return;
        }
        let domain = cx.config.local_domain(&uri.host, flow.local.ip());
        let domain = domain.map_or("localhost", |domain| domain.name.as_str());
        let by = Onlooker {
            focus: address::focus(&room, domain).into(),
            dialled: uri.user_decoded().unwrap_or_default().into(),
            room: room.into(),
            user: user.into(),
        };
        match request.method() {
            Method::Refer => self.refer_to_room(cx, flow, request, by),
            _subscribe if self.calls.room_here(cx, &by.room).is_none() => {
                self.refuse_with(cx, flow, request, 404, "a room on demand in which nobody is");
            }
            _subscribe if package(request).eq_ignore_ascii_case(CONFERENCE) => {
                match self.net.layer.accept(cx, flow, request) {
                    Some(tx) => {
                        let watch = Watch::Room(by);
                        self.notifier
                            .subscribe(cx, &mut self.net.layer, flow, tx, request, watch);
                    }
                    None => self.overloaded(cx, flow, request),
                }
            }
            _subscribe => {
                let mut response = Draft::response(request, 489, Some(&cx.answer_tag()));
                response.push(Name::AllowEvents, CONFERENCE);
                self.refuse(cx, flow, request, response, "an event package that rooms do not have");
            }
        }
    }

    fn refer_to_room(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message, by: Onlooker) {
        let wanted = match wanted(request, cx.config, flow.local.ip()) {
            Ok(wanted) => wanted,
            Err(status) => {
                return self.refuse_with(
                    cx,
                    flow,
                    request,
                    status,
                    "a REFER to a room that asks for nothing it does",
                );
            }
        };
        let silent = wants_no_subscription(request);
        let begun = (!silent)
            .then(|| self.notifier.refer(cx, flow, request, by.clone()))
            .transpose();
        let subscription = match begun {
            Ok(subscription) => subscription,
            Err(status) => return self.refuse_with(cx, flow, request, status, "a REFER to a room that has no place"),
        };
        let Some(tx) = self.net.layer.accept(cx, flow, request) else {
            return self.overloaded(cx, flow, request);
        };
        let own = self
            .calls
            .room_view(&by.room)
            .and_then(|view| member_of(&view, &by.user).map(|own| own.id));
        let asker = own.map_or_else(|| Asker::User(by.user.to_string()), Asker::Member);
        match (
            self.calls.room_asked(cx, &mut self.net, &by.room, asker, wanted),
            subscription,
        ) {
            (Ok(called), Some(subscription)) => {
                let begun = (subscription, called);
                self.notifier.referred(cx, &mut self.net.layer, tx, request, begun);
            }
            (Ok(_), None) => {
                let mut response = Draft::response(request, 202, Some(&cx.token(8)));
                response.push(Name::ReferSub, "false");
                self.net.layer.respond(cx, tx, response);
            }
            (Err(refused), _) => {
                let response = Draft::response(request, refused.status(), Some(&cx.token(8)));
                self.net.layer.respond(cx, tx, response);
            }
        }
    }

    /// What has happened in rooms is told to who watches and who looks on, and rooms are shown to who asks for them.
    pub(super) fn heed_rooms(&mut self, cx: &mut Cx<'_>) {
        let events = self.calls.room_events();
        if !events.is_empty() {
            self.tell_watches(cx, &events);
            for (room, event) in &events {
                match event {
                    RoomEvent::Speaking(..) => self.api.room_speaks(cx.now, room),
                    RoomEvent::Joined(_)
                    | RoomEvent::Left(_)
                    | RoomEvent::Shows(..)
                    | RoomEvent::Changed(_)
                    | RoomEvent::Door(_)
                    | RoomEvent::Room
                    | RoomEvent::Ended => self.api.room_changed(cx.now, room),
                }
            }
            let is_told = |event: &RoomEvent| {
                !matches!(
                    event,
                    RoomEvent::Speaking(..) | RoomEvent::Shows(..) | RoomEvent::Door(_)
                )
            };
            let mut rooms: Vec<&str> = events
                .iter()
                .filter(|(_, event)| is_told(event))
                .map(|(room, _)| room.as_str())
                .collect();
            rooms.sort_unstable();
            rooms.dedup();
            for room in rooms {
                self.notifier.room_changed(cx, room);
                self.calls.room_progress(cx, &mut self.net, room);
            }
        }
        while let Some(room) = self.notifier.poll_room() {
            let view = self.calls.room_here(cx, &room);
            self.notifier.room(cx, &mut self.net.layer, &room, view.as_ref());
        }
        while let Some((room, dialogs)) = self.api.poll_room(cx.now) {
            let Some(view) = self.calls.room_view(&room) else {
                self.api.room_over(&room);
                continue;
            };
            let sittings = dialogs.into_iter().filter_map(|(call, dialog)| {
                let place = self.calls.room_place(&dialog)?;
                Some(Sitting {
                    call,
                    member: place.member,
                    slots: self.calls.room_slots(place),
                    asked_pin: self.calls.room_asks_pin(place),
                })
            });
            let sittings: Vec<Sitting> = sittings.collect();
            self.api.room(cx, &view, &sittings);
        }
    }
}

/// The room that somebody gets into by calling this. One on demand is one only while somebody is in it.
pub(super) fn room_dialled(cx: &Cx<'_>, source: &Source, dialled: &str) -> Option<String> {
    match routing::decide(cx.config, source, dialled).plan {
        Plan::Room(number) => Some(number),
        Plan::User(_) | Plan::Trunk { .. } | Plan::Echo | Plan::Tone | Plan::Reject { .. } => None,
    }
}

/// A user in a room: of several phones the one that may most.
fn member_of<'v>(view: &'v RoomView, user: &str) -> Option<&'v MemberView> {
    let members = view
        .members
        .iter()
        .filter(|member| member.user.as_deref() == Some(user));
    members.max_by_key(|member| (member.role, std::cmp::Reverse(member.id)))
}
