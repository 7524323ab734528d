//! `application/reginfo+xml` (RFC 3680 5, RFC 5628): what of a user's bindings a watcher knows, and what is to be told him.

use crate::cx::Cx;
use crate::effect::{Aor, Binding, digest_of};
use crate::registrar::gruu::{self, Gruus};
use crate::sip::xml::Escaped;
use crate::sip::{NameAddr, Params, Uri};
use crate::time::Wall;
use std::fmt::Write;
use std::sync::Arc;

/// The media type.
pub const CONTENT: &str = "application/reginfo+xml";
/// URI parameters of push services are nobody's business but the registrar's (RFC 8599 13).
const PUSH: [&str; 4] = ["pn-provider", "pn-prid", "pn-param", "pn-purr"];

/// A contact as a watcher was told of it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name in documents.
    id: u64,
    /// What changes with each REGISTER.
    stamp: u64,
    uri: Box<str>,
    expires: Wall,
    call_id: Arc<str>,
    cseq: u32,
}

/// Why a contact is told of (RFC 3680 4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Registered,
    Refreshed,
    Expired,
    Unregistered,
}

impl What {
    const fn state(self) -> &'static str {
        match self {
            What::Registered | What::Refreshed => "active",
            What::Expired | What::Unregistered => "terminated",
        }
    }

    const fn event(self) -> &'static str {
        match self {
            What::Registered => "registered",
            What::Refreshed => "refreshed",
            What::Expired => "expired",
            What::Unregistered => "unregistered",
        }
    }
}

/// The bindings of a user as they are.
pub struct Watched<'w> {
    /// Whose.
    pub aor: &'w Aor,
    /// They.
    pub bindings: &'w [Binding],
    /// For their GRUUs.
    pub gruus: &'w Gruus,
    /// The watcher may hear of temporary GRUUs (RFC 5628 5).
    pub tells_temporary: bool,
}

impl Watched<'_> {
    /// What is to be told to a watcher who knows this much, and who knows all of it from then on. `full`: every contact, whether it
    /// has changed or not. Nothing where there is nothing to tell.
    pub fn document(&self, cx: &mut Cx<'_>, known: &mut Vec<Known>, version: u32, full: bool) -> Option<String> {
        let current: Vec<Known> = self.bindings.iter().map(known_of).collect();
        let gone: Vec<&Known> = known
            .iter()
            .filter(|old| !current.iter().any(|new| new.id == old.id))
            .collect();
        let mut contacts = String::new();
        for (binding, new) in self.bindings.iter().zip(&current) {
            let old = known.iter().find(|old| old.id == new.id);
            let what = match old {
                None => What::Registered,
                Some(_) => What::Refreshed,
            };
            if full || old.is_none_or(|old| old.stamp != new.stamp) {
                self.active(cx, &mut contacts, binding, new, what);
            }
        }
        for old in gone {
            let what = if old.expires <= cx.wall {
                What::Expired
            } else {
                What::Unregistered
            };
            open_contact(&mut contacts, old, what);
            let _ = writeln!(contacts, "><uri>{}</uri></contact>", Escaped(&old.uri));
        }
        let had = !known.is_empty();
        *known = current;
        if contacts.is_empty() && !full {
            return None;
        }
        // RFC 3680 4.7.1: with its last contact a registration is terminated; one that has none is in its beginning.
        let registration = match (known.is_empty(), had) {
            (false, _) => "active",
            (true, true) => "terminated",
            (true, false) => "init",
        };
        let mut text = String::with_capacity(contacts.len() + 400);
        let _ = write!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" \
             xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\" version=\"{version}\" state=\"{}\">\r\n<registration \
             aor=\"sip:{}\" id=\"a{:016x}\" state=\"{registration}\">\r\n{contacts}</registration>\r\n</reginfo>\r\n",
            if full { "full" } else { "partial" },
            Escaped(&self.aor.0),
            digest_of(&self.aor.0),
        );
        Some(text)
    }

    fn active(&self, cx: &mut Cx<'_>, text: &mut String, binding: &Binding, new: &Known, what: What) {
        open_contact(text, new, what);
        let left = binding.expires.since(cx.wall).as_secs();
        let (whole, part) = (binding.q / 1000, binding.q % 1000);
        let _ = write!(
            text,
            " expires=\"{left}\" q=\"{whole}.{part:03}\"><uri>{}</uri>",
            Escaped(&new.uri)
        );
        if let Some(instance) = &binding.instance {
            let _ = write!(
                text,
                "<unknown-param name=\"+sip.instance\">{}</unknown-param>",
                Escaped(&format!("\"<{instance}>\""))
            );
        }
        if let Some(reg_id) = binding.reg_id() {
            let _ = write!(text, "<unknown-param name=\"reg-id\">{reg_id}</unknown-param>");
        }
        // Each as it is written in Contact, with quotes where it has them there.
        let value = binding.params().map(|params| format!("<{}>{params}", new.uri));
        let others = value.and_then(|value| NameAddr::parse(&value).ok());
        for param in others.into_iter().flat_map(|value| value.params.0) {
            let written = Params(vec![param]).to_string();
            let (name, value) = written.split_once('=').unwrap_or((&written, ""));
            let (name, value) = (Escaped(name.trim_start_matches(';')), Escaped(value));
            let _ = write!(text, "<unknown-param name=\"{name}\">{value}</unknown-param>");
        }
        if let (Some(instance), Some(gruu)) = (&binding.instance, binding.gruu()) {
            let public = gruu::public(self.aor, instance);
            let _ = write!(text, "<gr:pub-gruu uri=\"{}\"/>", Escaped(&public));
            let salt = cx.random();
            let temporary = self.gruus.temporary(self.aor, instance, gruu, salt);
            if let Some(temporary) = temporary.filter(|_| self.tells_temporary) {
                let first = gruu.first_cseq;
                let _ = write!(
                    text,
                    "<gr:temp-gruu uri=\"{}\" first-cseq=\"{first}\"/>",
                    Escaped(&temporary)
                );
            }
        }
        text.push_str("</contact>\r\n");
    }
}

fn known_of(binding: &Binding) -> Known {
    let name = format!(
        "{}\n{}\n{}",
        binding.contact,
        binding.instance.as_deref().unwrap_or_default(),
        binding.reg_id().unwrap_or_default()
    );
    // A flow is the same flow whatever its URI (RFC 5626 6).
    let id = match (&binding.instance, binding.reg_id()) {
        (Some(instance), Some(reg_id)) => format!("{instance}\n{reg_id}"),
        (_, _) => name.clone(),
    };
    let stamp = format!(
        "{name}\n{}\n{}\n{}\n{}",
        binding.call_id, binding.cseq, binding.expires.0, binding.q
    );
    Known {
        id: digest_of(&id),
        stamp: digest_of(&stamp),
        uri: without_push(&binding.contact),
        expires: binding.expires,
        call_id: binding.call_id.clone(),
        cseq: binding.cseq,
    }
}

fn without_push(contact: &str) -> Box<str> {
    match Uri::parse(contact) {
        Ok(mut uri) if PUSH.iter().any(|name| uri.params.get(name).is_some()) => {
            PUSH.iter().for_each(|name| {
                uri.params.remove(name);
            });
            uri.to_string().into()
        }
        Ok(_) | Err(_) => contact.into(),
    }
}

fn open_contact(text: &mut String, contact: &Known, what: What) {
    let _ = write!(
        text,
        "<contact id=\"c{:016x}\" state=\"{}\" event=\"{}\" callid=\"{}\" cseq=\"{}\"",
        contact.id,
        what.state(),
        what.event(),
        Escaped(&contact.call_id),
        contact.cseq
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_push_services_stay_here() {
        let contact = "sip:a@h;pn-provider=acme;transport=tcp;PN-PRID=x%26;pn-param=y;ob";
        assert_eq!(&*without_push(contact), "sip:a@h;transport=tcp;ob");
        assert_eq!(&*without_push("sip:a@h;ob"), "sip:a@h;ob");
    }
}
