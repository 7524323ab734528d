//! What one REGISTER asks for, and what it makes of a list of bindings (RFC 3261 10.3 steps 6 and 7).

use crate::config;
use crate::effect::Binding;
use crate::id::Flow;
use crate::limits;
use crate::sip::{Message, Name, NameAddr, Uri};
use crate::time::Wall;
use std::time::Duration;

/// Why a REGISTER is refused, as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: u16,
    pub reason: &'static str,
    pub field: Option<(Name, String)>,
}

impl Refusal {
    fn new(status: u16, reason: &'static str) -> Refusal {
        Refusal {
            status,
            reason,
            field: None,
        }
    }

    pub(super) fn busy() -> Refusal {
        Refusal {
            status: 503,
            reason: "Too Many Registrations Waiting",
            field: Some((Name::RetryAfter, "5".into())),
        }
    }

    pub(super) fn store_failed() -> Refusal {
        Refusal {
            status: 500,
            reason: "Registration Not Stored",
            field: Some((Name::RetryAfter, "10".into())),
        }
    }

    fn too_brief(min: Duration) -> Refusal {
        Refusal {
            status: 423,
            reason: "Interval Too Brief",
            field: Some((Name::MinExpires, min.as_secs().to_string())),
        }
    }

    fn out_of_order() -> Refusal {
        Refusal::new(500, "REGISTER Out Of Order")
    }
}

/// What a REGISTER wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Update {
    /// No Contact: tell me what there is.
    Fetch,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll { call_id: Box<str>, cseq: u32 },
    /// Contacts to add, refresh or (expiring now) remove.
    Contacts { wanted: Vec<Binding>, now: Wall },
}

impl Update {
    pub(super) fn is_fetch(&self) -> bool {
        matches!(self, Update::Fetch)
    }

    /// Reads the request; every contact must be good or nothing is changed.
    pub(super) fn read(
        request: &Message,
        flow: Flow,
        now: Wall,
        limits: &config::Registrar,
    ) -> Result<Update, Refusal> {
        let cseq = request
            .cseq()
            .map_err(|error| Refusal::new(error.status, error.reason))?
            .number;
        let call_id: Box<str> = request.call_id().into();
        let values = request.all(Name::Contact);
        if values.is_empty() {
            return Ok(Update::Fetch);
        }
        let default = match request.number(Name::Expires) {
            Some(Ok(seconds)) => Some(seconds),
            // RFC 3261 20.19: a malformed value is treated as 3600; ours is the configured default.
            Some(Err(_)) | None => None,
        };
        if values.iter().any(|value| value.trim() == "*") {
            if values.len() > 1 || default != Some(0) {
                return Err(Refusal::new(400, "Contact * Stands Alone And Needs Expires 0"));
            }
            return Ok(Update::RemoveAll { call_id, cseq });
        }
        if values.len() > limits::CONTACTS_PER_AOR {
            return Err(Refusal::new(403, "Too Many Contacts"));
        }
        let user_agent: Option<Box<str>> = request
            .get(Name::UserAgent)
            .map(|text| text.chars().take(64).collect::<String>().into());
        let mut wanted = Vec::with_capacity(values.len());
        for value in &values {
            let contact = NameAddr::parse(value).map_err(|error| Refusal::new(error.status, "Unreadable Contact"))?;
            let expires = granted(&contact, default, limits)?;
            wanted.push(Binding {
                contact: contact.uri.to_string().into(),
                q: contact.params.value("q").and_then(milli).unwrap_or(1000),
                call_id: call_id.clone(),
                cseq,
                expires: now + expires,
                flow,
                instance: contact
                    .params
                    .value("+sip.instance")
                    .map(|text| text.trim_start_matches('<').trim_end_matches('>').into()),
                user_agent: user_agent.clone(),
            });
        }
        Ok(Update::Contacts { wanted, now })
    }

    /// The new list, or why the whole request fails.
    pub(super) fn apply(&self, mut bindings: Vec<Binding>) -> Result<Vec<Binding>, Refusal> {
        match self {
            Update::Fetch => Ok(bindings),
            Update::RemoveAll { call_id, cseq } => {
                if bindings.iter().any(|b| b.call_id == *call_id && b.cseq >= *cseq) {
                    return Err(Refusal::out_of_order());
                }
                bindings.clear();
                Ok(bindings)
            }
            Update::Contacts { wanted, now } => {
                for binding in wanted {
                    let old = bindings.iter().position(|b| is_same(b, binding));
                    if let Some(old) = old
                        && bindings[old].call_id == binding.call_id
                        && bindings[old].cseq >= binding.cseq
                    {
                        return Err(Refusal::out_of_order());
                    }
                    match (old, binding.expires > *now) {
                        (Some(old), true) => bindings[old] = binding.clone(),
                        (Some(old), false) => {
                            bindings.remove(old);
                        }
                        (None, true) => bindings.push(binding.clone()),
                        (None, false) => {}
                    }
                }
                evict(&mut bindings);
                Ok(bindings)
            }
        }
    }
}

/// A phone that lost its memory comes with new contacts until the old ones expire: the one that would end first makes room.
fn evict(bindings: &mut Vec<Binding>) {
    while bindings.len() > limits::CONTACTS_PER_AOR {
        let first = bindings
            .iter()
            .enumerate()
            .min_by_key(|(_, b)| b.expires)
            .map_or(0, |(at, _)| at);
        bindings.remove(first);
    }
}

/// The same contact: equal URIs (RFC 3261 10.3 step 7), or the same device that has moved (RFC 5626 4.1).
fn is_same(old: &Binding, new: &Binding) -> bool {
    if old.instance.is_some() && old.instance == new.instance {
        return true;
    }
    if old.contact == new.contact {
        return true;
    }
    match (Uri::parse(&old.contact), Uri::parse(&new.contact)) {
        (Ok(old), Ok(new)) => old.same_as(&new),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// The contact's own `expires`, else the Expires field, else the default; within the limits.
fn granted(contact: &NameAddr, field: Option<u32>, limits: &config::Registrar) -> Result<Duration, Refusal> {
    let own = contact.params.value("expires").map(|text| text.parse::<u32>().ok());
    let asked = match own {
        Some(Some(seconds)) => Some(seconds),
        // RFC 3261 10.2.1.1: a malformed value is as 3600.
        Some(None) => None,
        None => field,
    };
    let Some(seconds) = asked else {
        return Ok(limits.default_expires);
    };
    let asked = Duration::from_secs(seconds.into());
    if !asked.is_zero() && asked < limits.min_expires {
        return Err(Refusal::too_brief(limits.min_expires));
    }
    Ok(asked.min(limits.max_expires))
}

/// A q-value (RFC 3261 25.1) in thousandths.
fn milli(text: &str) -> Option<u16> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u16 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    let value = whole.checked_mul(1000)?.checked_add(fraction)?;
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ConnectionId, ListenerId, Transport};
    use bytes::Bytes;

    const LIMITS: config::Registrar = config::Registrar {
        min_expires: Duration::from_secs(60),
        max_expires: Duration::from_secs(7200),
        default_expires: Duration::from_secs(3600),
    };
    const NOW: Wall = Wall(1_000_000);

    fn flow() -> Flow {
        Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: "127.0.0.2:5060".parse().unwrap(),
        }
    }

    fn register(call_id: &str, cseq: u32, fields: &str) -> Result<Update, Refusal> {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKa\r\nTo: <sip:alice@example.com>\r\n\
             From: <sip:alice@example.com>;tag=1\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{fields}Content-Length: 0\r\n\r\n"
        );
        let message = Message::parse(Bytes::from(text)).expect("parses");
        Update::read(&message, flow(), NOW, &LIMITS)
    }

    fn contacts(bindings: &[Binding]) -> Vec<&str> {
        bindings.iter().map(|b| &*b.contact).collect()
    }

    #[test]
    fn contacts_are_added_refreshed_and_removed() {
        let list = register(
            "a",
            1,
            "Contact: <sip:a@127.0.0.2>;expires=90, <sip:b@127.0.0.2>\r\nExpires: 120\r\n",
        )
        .and_then(|u| u.apply(vec![]))
        .unwrap();
        assert_eq!(contacts(&list), ["sip:a@127.0.0.2", "sip:b@127.0.0.2"]);
        assert_eq!(list[0].expires, NOW + Duration::from_secs(90));
        assert_eq!(list[1].expires, NOW + Duration::from_secs(120));
        let list = register("a", 2, "Contact: <sip:a@127.0.0.2>;expires=0\r\n")
            .and_then(|u| u.apply(list))
            .unwrap();
        assert_eq!(contacts(&list), ["sip:b@127.0.0.2"]);
        let none = register("b", 1, "Contact: *\r\nExpires: 0\r\n")
            .and_then(|u| u.apply(list))
            .unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn the_whole_request_fails_or_succeeds() {
        let list = register("a", 5, "Contact: <sip:a@127.0.0.2>\r\n")
            .and_then(|u| u.apply(vec![]))
            .unwrap();
        let late = register("a", 5, "Contact: <sip:a@127.0.0.2>\r\n").and_then(|u| u.apply(list.clone()));
        assert_eq!(late, Err(Refusal::out_of_order()));
        let star = register("a", 4, "Contact: *\r\nExpires: 0\r\n").and_then(|u| u.apply(list));
        assert_eq!(star, Err(Refusal::out_of_order()));
        let brief = register("a", 6, "Contact: <sip:a@127.0.0.2>;expires=59\r\n");
        assert_eq!(brief, Err(Refusal::too_brief(Duration::from_secs(60))));
        for fields in [
            "Contact: *\r\n",
            "Contact: *\r\nExpires: 9\r\n",
            "Contact: *\r\nContact: <sip:a@h>\r\nExpires: 0\r\n",
        ] {
            assert_eq!(register("a", 6, fields).map_err(|r| r.status), Err(400), "{fields}");
        }
    }

    #[test]
    fn a_device_that_moved_replaces_itself_and_the_list_is_bounded() {
        let at =
            |host: usize, instance: &str| format!("Contact: <sip:a@127.0.1.{host}>;+sip.instance=\"<{instance}>\"\r\n");
        let mut list = Vec::new();
        for cseq in 0..40usize {
            list = register("a", cseq as u32 + 1, &at(cseq, &format!("urn:{cseq}")))
                .and_then(|u| u.apply(list))
                .unwrap();
        }
        assert_eq!(list.len(), limits::CONTACTS_PER_AOR);
        let moved = register("z", 1, &at(200, "urn:39"))
            .and_then(|u| u.apply(list))
            .unwrap();
        assert_eq!(moved.len(), limits::CONTACTS_PER_AOR);
        assert!(contacts(&moved).contains(&"sip:a@127.0.1.200"));
    }

    #[test]
    fn q_values_are_thousandths() {
        assert_eq!(milli("1"), Some(1000));
        assert_eq!(milli("0.7"), Some(700));
        assert_eq!(milli(".005"), Some(5));
        assert_eq!(milli("1.1"), None);
        assert_eq!(milli("nan"), None);
    }
}
