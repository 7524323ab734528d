//! Where a phone is in the middle of a call: what stands behind the GRUU that it gave as its Contact (RFC 5627 6.1), and by which flow
//! it is reached when the one of the call is gone (RFC 5626 4.5: it has registered by a new one).

use super::call::Call;
use super::desk::Turn;
use super::leg::{Leg, LegId, State, Way, Who};
use crate::config::Config;
use crate::effect::{Aor, Binding, Op, Output, Reply, Which};
use crate::limits;
use crate::sip::write::Start;
use crate::sip::{Draft, Uri};

impl Leg {
    /// Its remote target is a GRUU of ours.
    fn has_gruu(&self, config: &Config) -> bool {
        let is_ours = |uri: &Uri| uri.params.get("gr").is_some() && config.is_local(uri, self.flow.local.ip());
        let target = self.dialog.as_ref().map(|dialog| &dialog.remote_target);
        matches!(self.who, Who::User(_)) && target.is_some_and(is_ours)
    }

    /// A phone that was called by its contact gave its GRUU in place of that: the contact is what the GRUU leads to.
    pub fn remember_contact(&mut self, config: &Config, contact: Uri) {
        if self.has_gruu(config) {
            self.contact = Some(Box::new(contact));
        }
    }

    /// Asks the store where its phone is, where that is not known: its Contact is a GRUU.
    pub fn look_behind_gruu(&self, t: &mut Turn<'_, '_>) {
        if self.contact.is_none() && self.has_gruu(t.cx.config) {
            self.ask_bindings(t);
        }
    }

    /// Asks the store by which flow its phone is reached now. False for one that is no phone of ours.
    pub fn ask_bindings(&self, t: &mut Turn<'_, '_>) -> bool {
        let Who::User(name) = &self.who else { return false };
        let Some(user) = t.cx.config.user(name) else {
            return false;
        };
        let aor = Aor(format!("{}@{}", user.name, user.domain).into());
        let ticket = t.cx.ticket(self.id.owner(), limits::STORE_REPLY);
        t.cx.emit(Output::Store(ticket, Op::Bindings(aor)));
        true
    }

    /// What a GRUU leads to takes its place in the request line: the phone knows its contact (RFC 5627 6.1).
    pub fn aim(&self, draft: &mut Draft) {
        if let (Some(contact), Start::Request(_, uri)) = (&self.contact, &mut draft.start)
            && uri.params.get("gr").is_some()
        {
            uri.clone_from(contact);
            uri.headers = None;
            uri.params.remove("method");
        }
    }

    /// The binding of its phone: the device that its GRUU means, or the contact that it gave; else who is at the other end of its
    /// flow. Of several flows of a device the one that was refreshed last.
    fn binding_of(&self, bindings: &[Binding]) -> Option<Binding> {
        let target = self.dialog.as_ref().map(|dialog| &dialog.remote_target);
        let which = target.and_then(Which::public);
        let contact = self.contact.as_deref().or(target);
        let is_same = |binding: &Binding| {
            let uri = Uri::parse(&binding.contact).ok();
            uri.zip(contact).is_some_and(|(uri, own)| uri.same_as(own))
        };
        let find = |fits: &dyn Fn(&Binding) -> bool| bindings.iter().rev().find(|binding| fits(binding)).cloned();
        which
            .and_then(|which| find(&|binding| which.is(binding)))
            .or_else(|| find(&|binding| binding.flow == self.flow))
            .or_else(|| find(&is_same))
    }

    /// The flow that its phone has now.
    fn found(&mut self, t: &mut Turn<'_, '_>, binding: Option<Binding>) {
        let has_gruu = self.has_gruu(t.cx.config);
        if let Some(binding) = &binding
            && has_gruu
            && let Ok(contact) = Uri::parse(&binding.contact)
        {
            self.contact = Some(Box::new(contact));
        }
        if !matches!(self.way, Way::Finding(_)) {
            return;
        }
        match binding {
            Some(binding) => self.way_found(t, binding.flow),
            None => self.say_waiting(t),
        }
    }
}

impl Call {
    /// The store's answer to a question of a leg; false where it is none.
    pub fn on_whereabouts(&mut self, t: &mut Turn<'_, '_>, id: LegId, reply: &Reply) -> bool {
        let Some(leg) = self.leg_mut(id) else { return false };
        if matches!(leg.state, State::Gone) {
            return true;
        }
        let binding = match reply {
            Reply::Bindings { bindings, .. } => leg.binding_of(bindings),
            Reply::Failed | Reply::Replaced { .. } | Reply::Conflict => None,
        };
        leg.found(t, binding);
        true
    }
}
