//! Who may watch whose registration (RFC 3680 4.6): users their own, and those whom the configuration lets.

use super::authenticate::{By, Verdict};
use super::local;
use super::machines::Machines;
use crate::config::Way;
use crate::cx::Cx;
use crate::effect::{Aor, Fact, Output};
use crate::event::{REG, Watch};
use crate::id::Flow;
use crate::sip::{Draft, Message, Name};

impl Machines {
    /// SUBSCRIBE outside of dialogs: to a registration it is ours to serve, to anything else of a user his phones'.
    pub(super) fn subscribe(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let Some(aor) = self.watched(cx, flow, &request) else {
            return self.relay_loose(cx, flow, request);
        };
        let is_reg = package(&request).eq_ignore_ascii_case(REG);
        let own = request
            .from()
            .ok()
            .and_then(|from| local::user_of(cx.config, flow, &from.uri))
            .map(local::aor);
        let is_own = own.as_ref() == Some(&aor);
        let domain = aor.0.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_for_us = is_reg || (is_own && cx.config.way_of(domain) == Way::Bridge);
        if !is_for_us {
            return self.relay_loose(cx, flow, request);
        }
        let Some(name) = self.watcher(cx, flow, &request) else {
            return;
        };
        if !is_reg {
            // RFC 6665 4.2.1.1: nobody would answer for himself.
            let mut response = Draft::response(&request, 489, Some(&cx.token(8)));
            response.push(Name::AllowEvents, REG);
            return self.refuse(cx, flow, &request, response, "an event package that we do not have");
        }
        if !is_own && !cx.config.watchers.contains(&name) {
            return self.refuse_with(
                cx,
                flow,
                &request,
                403,
                "somebody else's registration is not for everybody",
            );
        }
        if !self.is_served(cx, flow, &request) {
            return;
        }
        match self.net.layer.accept(cx, flow, &request) {
            Some(tx) => {
                let watch = Watch { aor, is_own };
                self.notifier
                    .subscribe(cx, &mut self.net.layer, flow, tx, &request, watch);
            }
            None => self.overloaded(cx, flow, &request),
        }
    }

    /// A request in the dialog of a subscription: its sender is asked again who he is.
    pub(super) fn subscribed(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        if self.watcher(cx, flow, &request).is_none() || !self.is_served(cx, flow, &request) {
            return;
        }
        match self.net.layer.accept(cx, flow, &request) {
            Some(tx) => self.notifier.request(cx, &mut self.net.layer, flow, tx, &request),
            None => self.overloaded(cx, flow, &request),
        }
    }

    /// The user of ours whose registration a Request-URI means, not a device of his nor another way.
    fn watched(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> Option<Aor> {
        let prepared = self.proxy.prepare(cx, flow, request).ok()?;
        let is_device = prepared.uri.params.get("gr").is_some();
        let is_here = prepared.next_route.is_none() && !is_device;
        local::user_of(cx.config, flow, &prepared.uri)
            .filter(|_| is_here)
            .map(local::aor)
    }

    /// Who sends this: a user with credentials for us as a server (RFC 6665 4.2.1.3). Nobody else is answered.
    fn watcher(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> Option<String> {
        let from = request.from().ok()?;
        if !local::is_local(cx.config, flow, &from.uri) {
            cx.emit(Output::Record(Fact::Refused {
                peer: flow.peer,
                status: 0,
                why: "a SUBSCRIBE from nobody of our domains: not answered",
            }));
            return None;
        }
        match self.authenticator.judge(cx, flow, request, &from, By::Server) {
            Verdict::User(name) => Some(name),
            Verdict::Refused(response, why) => {
                self.refuse(cx, flow, request, response, why);
                None
            }
        }
    }
}

/// The event package without its parameters (RFC 6665 8.2.1).
fn package(request: &Message) -> String {
    let event = request.get(Name::Event).unwrap_or_default();
    event.split(';').next().unwrap_or_default().trim().to_owned()
}
