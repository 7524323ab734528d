//! Who may watch whose registration (RFC 3680 4.6): users their own, and those whom the configuration lets.

use super::authenticate::By;
use super::local;
use super::machines::Machines;
use crate::config::Way;
use crate::cx::Cx;
use crate::effect::{Aor, Fact, Output};
use crate::event::{REG, Watch, package};
use crate::id::Flow;
use crate::sip::{AddrText, Draft, Message, Name, UriText};

impl Machines {
    /// SUBSCRIBE outside of dialogs: to a registration it is ours to serve, to anything else of a user his phones'. Which of the two is
    /// seen by the request alone, so that nobody learns who is a user before he has said who he is.
    pub(super) fn subscribe(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let is_reg = package(&request).eq_ignore_ascii_case(REG);
        let (is_here, of_himself) = self.asked_of(cx, flow, &request);
        if !is_here || (!is_reg && !of_himself) {
            return self.relay_loose(cx, flow, request);
        }
        let Some(name) = self.watcher(cx, flow, &request) else {
            return;
        };
        if !is_reg {
            // RFC 6665 4.2.1.1: nobody would answer for himself.
            let mut response = Draft::response(&request, 489, Some(&cx.answer_tag()));
            response.push(Name::AllowEvents, REG);
            return self.refuse(cx, flow, &request, response, "an event package that we do not have");
        }
        let (own, aor) = (cx.config.user(&name).map(local::aor), self.watched(cx, flow, &request));
        let is_own = aor.is_some() && own == aor;
        if !is_own && !cx.config.watchers.contains(&name) {
            return self.refuse_with(
                cx,
                flow,
                &request,
                403,
                "somebody else's registration is not for everybody",
            );
        }
        let Some(aor) = aor else {
            return self.refuse_with(cx, flow, &request, 404, "the registration of nobody");
        };
        if !self.is_served(cx, flow, &request) {
            return;
        }
        match self.net.layer.accept(cx, flow, &request) {
            Some(tx) => {
                let watch = Watch::Bindings { aor, is_own };
                self.notifier
                    .subscribe(cx, &mut self.net.layer, flow, tx, &request, watch);
            }
            None => self.overloaded(cx, flow, &request),
        }
    }

    /// A request in the dialog of a subscription: its sender is asked again who he is, and whether he may watch a room is looked up again.
    pub(super) fn subscribed(&mut self, cx: &mut Cx<'_>, flow: Flow, request: Message) {
        let Some(name) = self.watcher(cx, flow, &request) else {
            return;
        };
        if !self.is_served(cx, flow, &request) {
            return;
        }
        let watched = self.notifier.watched_room(&request);
        if watched.as_ref().is_some_and(|by| *by.user != *name) {
            return self.refuse_with(cx, flow, &request, 403, "a subscription to a room is its own watcher's");
        }
        let may = watched.is_none_or(|by| self.may_look(cx, &by));
        match self.net.layer.accept(cx, flow, &request) {
            Some(tx) => self.notifier.request(cx, &mut self.net.layer, flow, tx, &request, may),
            None => self.overloaded(cx, flow, &request),
        }
    }

    /// Whether a SUBSCRIBE is for a name of a domain of ours and of no other, and whether it is for its sender's own of a domain that is
    /// bridged.
    fn asked_of(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> (bool, bool) {
        let Ok(prepared) = self.proxy.prepare(cx, flow, request) else {
            return (false, false);
        };
        let text = prepared.uri.text();
        let (Ok(target), Ok(line)) = (UriText::parse(&text), request.from_line()) else {
            return (false, false);
        };
        let domain = |uri: &UriText<'_>| cx.config.local_domain(uri.host, flow.local.ip());
        let is_named = target.user.is_some() && target.params.get("gr").is_none();
        let Some(own) = domain(&target).filter(|_| is_named && prepared.next_route.is_none()) else {
            return (false, false);
        };
        let from = AddrText::parse(&line).and_then(AddrText::uri).ok();
        let is_sender = |from: &UriText<'_>| {
            let same = domain(from).is_some_and(|domain| domain.name == own.name);
            same && from.user_decoded() == target.user_decoded()
        };
        (true, own.way == Way::Bridge && from.as_ref().is_some_and(is_sender))
    }

    /// The user of ours whose registration a Request-URI means, not a device of his nor another way.
    fn watched(&self, cx: &Cx<'_>, flow: Flow, request: &Message) -> Option<Aor> {
        let prepared = self.proxy.prepare(cx, flow, request).ok()?;
        let is_device = prepared.uri.params.get("gr").is_some();
        let is_here = prepared.next_route.is_none() && !is_device;
        let text = prepared.uri.text();
        let target = UriText::parse(&text).ok().filter(|_| is_here)?;
        local::user_of(cx.config, flow, &target).map(local::aor)
    }

    /// Who sends this: a user with credentials for us as a server (RFC 6665 4.2.1.3). Nobody else is answered.
    fn watcher(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) -> Option<String> {
        let line = request.from_line().ok()?;
        let from = AddrText::parse(&line).and_then(AddrText::uri).ok()?;
        if !local::is_local(cx.config, flow, &from) {
            cx.emit(Output::Record(Fact::Refused {
                peer: flow.peer,
                status: 0,
                why: "a SUBSCRIBE from nobody of our domains: not answered",
                what: None,
            }));
            return None;
        }
        self.judged(cx, flow, request, &from, By::Server)
            .map(|user| user.name.clone())
    }
}
