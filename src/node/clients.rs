//! Clients of the HTTP API as phones: what is said between them and the calls never leaves the node.

use super::local;
use super::machines::Machines;
use crate::b2bua::Source;
use crate::cx::Cx;
use crate::effect::{Fact, Output};
use crate::id::Flow;
use crate::sip::{AddrText, Message, Method};
use bytes::Bytes;

impl Machines {
    /// Carries what was said since the last time, and who can be called; false where there was nothing.
    pub(super) fn heed_clients(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut is_any = false;
        while let Some(presence) = self.api.poll_presence() {
            self.calls.client(&presence.user, presence.flow, presence.is_there);
            is_any = true;
        }
        for (flow, bytes) in taken(cx) {
            is_any = true;
            if flow.is_to_client() {
                self.api.sip(cx, flow.other_end(), bytes);
            } else if let Ok(message) = Message::parse(bytes) {
                self.net.layer.receive(cx, flow.other_end(), message);
            }
        }
        is_any
    }

    /// A request of a client. Who it is, the API has found out: its From names the user by whose rights it calls.
    pub(super) fn of_client(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        if request.has_to_tag() {
            return self.in_dialog(cx, flow, request);
        }
        if self.guard.sheds(cx, true) {
            return self.overloaded(cx, flow, &request);
        }
        let line = request.from_line().unwrap_or_default();
        let from = AddrText::parse(&line).and_then(AddrText::uri).ok();
        let user = from.and_then(|from| local::user_of(cx.config, flow, &from));
        let (Some(user), Method::Invite) = (user, request.method()) else {
            return self.refuse_with(
                cx,
                flow,
                &request,
                403,
                "a client whose user is no longer in the configuration",
            );
        };
        let source = Source::User(user.name.clone());
        drop(line);
        if self.net.layer.refuse_merged(cx, flow, &request) || !self.is_served(cx, flow, &request) {
            return;
        }
        let Some(tx) = self.net.layer.accept(cx, flow, &request) else {
            return self.overloaded(cx, flow, &request);
        };
        let (before, call_id) = (cx.out.len(), request.call_id().to_owned());
        self.calls.invite(cx, &mut self.net, source, flow, tx, (request, None));
        let begun = cx.out.range(before..).find_map(|output| match output {
            Output::Record(Fact::CallStarted { call, .. }) => Some(*call),
            _other => None,
        });
        if let Some(call) = begun {
            self.api.call_named(cx, &call_id, call);
        }
    }
}

/// What is for clients, or of them, out of what is for the world.
fn taken(cx: &mut Cx<'_>) -> Vec<(Flow, Bytes)> {
    let is_inside = |output: &Output| match output {
        Output::Send(flow, _) | Output::Known(flow) => flow.is_inside(),
        _of_the_world => false,
    };
    if !cx.out.iter().any(is_inside) {
        return Vec::new();
    }
    let mut inside = Vec::new();
    for output in std::mem::take(cx.out) {
        match output {
            Output::Send(flow, bytes) if flow.is_inside() => inside.push((flow, bytes)),
            Output::Known(flow) if flow.is_inside() => {}
            output => cx.out.push_back(output),
        }
    }
    inside
}
