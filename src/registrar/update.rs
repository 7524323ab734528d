//! What one REGISTER asks for, and what it makes of a list of bindings (RFC 3261 10.3 steps 6 and 7).

use super::{gruu, place, push, way};
use crate::config::{self, Push};
use crate::effect::{Binding, Gruu, More};
use crate::id::Flow;
use crate::limits;
use crate::sip::uri::Scheme;
use crate::sip::{Message, Name, NameAddr, Params};
use crate::time::Wall;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Why a REGISTER is refused, as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: u16,
    pub reason: &'static str,
    pub field: Option<(Name, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: &'static str) -> Refusal {
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

    /// RFC 3261 10.3 step 5.
    pub(super) fn unknown() -> Refusal {
        Refusal::new(404, "Not Found")
    }

    pub(super) fn too_brief(min: Duration) -> Refusal {
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
    RemoveAll { call_id: Arc<str>, cseq: u32 },
    /// Contacts to add, refresh or (expiring now) remove; `outbound` by a phone that counts on flows (RFC 5626).
    Contacts {
        wanted: Vec<Binding>,
        now: Wall,
        outbound: bool,
    },
}

impl Update {
    pub(super) fn is_fetch(&self) -> bool {
        matches!(self, Update::Fetch)
    }

    /// The contact is a flow, and its sender supports that (RFC 5626 6).
    pub(super) fn is_outbound(&self) -> bool {
        matches!(self, Update::Contacts { outbound: true, .. })
    }

    /// Reads the request; every contact must be good or nothing is changed.
    pub(super) fn read(
        request: &Message,
        flow: Flow,
        now: Wall,
        limits: &config::Registrar,
        push: Option<&Push>,
    ) -> Result<Update, Refusal> {
        let cseq = request
            .cseq()
            .map_err(|error| Refusal::new(error.status, error.reason))?
            .number;
        let call_id: Arc<str> = request.call_id().into();
        if call_id.len() > limits::BINDING_TEXT_BYTES {
            return Err(Refusal::new(400, "Call-ID Too Long"));
        }
        let path = way::path(request)?;
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
        let keeps = Keeps {
            request,
            call_id,
            cseq,
            now,
            flow,
            path,
            default,
            user_agent: user_agent(request),
            push,
        };
        let wanted = values.iter().map(|value| keeps.binding(value, limits));
        let wanted: Vec<Binding> = wanted.collect::<Result<_, _>>()?;
        let is_flow = wanted.iter().any(|binding| binding.reg_id().is_some());
        if is_flow && wanted.iter().filter(|binding| binding.expires > now).count() > 1 {
            return Err(Refusal::new(400, "A Flow Is Registered Alone"));
        }
        let outbound = is_flow && way::supports_outbound(request);
        Ok(Update::Contacts { wanted, now, outbound })
    }

    /// The new list, or why the whole request fails.
    pub(super) fn apply(&self, before: &[Binding]) -> Result<Vec<Binding>, Refusal> {
        match self {
            Update::Fetch => Ok(before.to_vec()),
            Update::RemoveAll { call_id, cseq } => {
                if before.iter().any(|b| b.call_id == *call_id && b.cseq >= *cseq) {
                    return Err(Refusal::out_of_order());
                }
                Ok(Vec::new())
            }
            Update::Contacts { wanted, now, .. } => {
                let is_late = |new: &Binding| {
                    let old = place::find(before, new).map(|at| &before[at]);
                    old.is_some_and(|old| old.call_id == new.call_id && old.cseq >= new.cseq)
                };
                if wanted.iter().any(is_late) {
                    return Err(Refusal::out_of_order());
                }
                let mut bindings = before.to_vec();
                // Removals first: a phone that has moved names its old and its new contact in any order.
                let (added, removed): (Vec<&Binding>, Vec<&Binding>) = wanted.iter().partition(|b| b.expires > *now);
                for binding in removed {
                    place::remove(&mut bindings, binding);
                }
                for binding in added {
                    let mut binding = binding.clone();
                    if let Some(at) = place::find(&bindings, &binding) {
                        keep_texts(&mut binding, &bindings[at]);
                    }
                    place::put(&mut bindings, binding);
                }
                evict(&mut bindings);
                Ok(bindings)
            }
        }
    }
}

/// Texts that are the same as before are not kept anew: a table whose every text is replaced within the hour falls into pieces.
fn keep_texts(new: &mut Binding, old: &Binding) {
    let keep = |new: &mut Arc<str>, old: &Arc<str>| {
        if *new == *old {
            *new = old.clone();
        }
    };
    keep(&mut new.contact, &old.contact);
    keep(&mut new.call_id, &old.call_id);
    let texts = [
        (&mut new.instance, &old.instance),
        (&mut new.user_agent, &old.user_agent),
    ];
    for (new, old) in texts
        .into_iter()
        .filter_map(|(new, old)| new.as_mut().zip(old.as_ref()))
    {
        keep(new, old);
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

/// What all contacts of one REGISTER have in common.
struct Keeps<'m> {
    request: &'m Message,
    call_id: Arc<str>,
    cseq: u32,
    now: Wall,
    flow: Flow,
    path: Option<Box<str>>,
    default: Option<u32>,
    user_agent: Option<Arc<str>>,
    push: Option<&'m Push>,
}

impl Keeps<'_> {
    /// The binding that one Contact value asks for.
    fn binding(&self, value: &str, limits: &config::Registrar) -> Result<Binding, Refusal> {
        let contact = NameAddr::parse(value).map_err(|error| Refusal::new(error.status, "Unreadable Contact"))?;
        let expires = granted(&contact, self.default, limits)?;
        if contact.uri.host.ip().is_some_and(way::is_nowhere) {
            return Err(Refusal::new(400, "Contact Names No Address"));
        }
        let uri = contact.uri.text();
        if uri.len() > limits::CONTACT_BYTES {
            return Err(Refusal::new(400, "Contact Too Long"));
        }
        push::judge(self.push, self.request, &contact, expires, limits.max_expires)?;
        let instance = contact.params.value("+sip.instance").and_then(instance);
        let wants_gruus = instance.is_some() && self.request.has_token(Name::Supported, "gruu");
        // RFC 5627 5.1, whether or not it asks for GRUUs.
        let is_device = instance.is_some() && !expires.is_zero();
        if is_device && !matches!(contact.uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Err(Refusal::new(403, "A Device Has A SIP Contact"));
        }
        if is_device && self.request.to().is_ok_and(|aor| gruu::leads_back(&contact.uri, &aor)) {
            return Err(Refusal::new(403, "Contact Leads Back To Its Address Of Record"));
        }
        Ok(Binding {
            contact: uri.into(),
            q: contact.params.value("q").and_then(milli).unwrap_or(1000),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            expires: self.now + expires,
            flow: self.flow,
            user_agent: self.user_agent.clone(),
            more: self.more(&contact, instance.is_some(), wants_gruus)?,
            instance,
        })
    }

    fn more(&self, contact: &NameAddr, has_instance: bool, wants_gruus: bool) -> Result<Option<Box<More>>, Refusal> {
        let more = More {
            reg_id: way::reg_id(self.request, contact, has_instance)?,
            path: self.path.clone(),
            gruu: wants_gruus.then_some(Gruu {
                age: self.now,
                first_cseq: self.cseq,
            }),
            params: others(&contact.params),
        };
        Ok((more != More::default()).then(|| Box::new(more)))
    }
}

/// What others may want to know (RFC 5626 6): all but what the registrar itself reads or writes.
fn others(params: &Params) -> Option<Box<str>> {
    const OURS: [&str; 6] = ["q", "expires", "+sip.instance", "reg-id", "pub-gruu", "temp-gruu"];
    let mut others = params.clone();
    for name in OURS {
        others.remove(name);
    }
    let text = others.to_string();
    // What is written into other messages ends no line there.
    let is_plain = !text.is_empty() && !text.contains(char::is_control);
    (is_plain && text.len() <= limits::CONTACT_PARAMS_BYTES).then(|| text.into())
}

fn user_agent(request: &Message) -> Option<Arc<str>> {
    let text = request.get(Name::UserAgent)?;
    let plain = text.chars().take(64).filter(|c| !c.is_control());
    Some(plain.collect::<String>().into())
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
    // RFC 3261 10.3 step 7: only what is shorter than an hour may be called too brief.
    if !asked.is_zero() && asked < limits.min_expires.min(HOUR) {
        return Err(Refusal::too_brief(limits.min_expires));
    }
    Ok(asked.min(limits.max_expires))
}

/// `<urn:uuid:...>` without its brackets (RFC 5626 4.1); what is none, or cannot be written back, counts as absent.
fn instance(text: &str) -> Option<Arc<str>> {
    let urn = text.strip_prefix('<')?.strip_suffix('>')?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>".contains(&byte);
    (urn.len() <= limits::BINDING_TEXT_BYTES && urn.bytes().all(is_plain)).then(|| urn.into())
}

/// A q-value (RFC 3261 25.1) in thousandths.
fn milli(text: &str) -> Option<u16> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if fraction.len() > 3 || !digits(fraction) || !digits(whole) || text.trim().is_empty() {
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
        Update::read(&message, flow(), NOW, &LIMITS, None)
    }

    fn contacts_of(bindings: &[Binding]) -> Vec<&str> {
        bindings.iter().map(|b| &*b.contact).collect()
    }

    #[test]
    fn contacts_are_added_refreshed_and_removed() {
        let list = register(
            "a",
            1,
            "Contact: <sip:a@127.0.0.2>;expires=90, <sip:b@127.0.0.2>\r\nExpires: 120\r\n",
        )
        .and_then(|u| u.apply(&[]))
        .unwrap();
        assert_eq!(contacts_of(&list), ["sip:a@127.0.0.2", "sip:b@127.0.0.2"]);
        assert_eq!(list[0].expires, NOW + Duration::from_secs(90));
        assert_eq!(list[1].expires, NOW + Duration::from_secs(120));
        let list = register("a", 2, "Contact: <sip:a@127.0.0.2>;expires=0\r\n")
            .and_then(|u| u.apply(&list))
            .unwrap();
        assert_eq!(contacts_of(&list), ["sip:b@127.0.0.2"]);
        let none = register("b", 1, "Contact: *\r\nExpires: 0\r\n")
            .and_then(|u| u.apply(&list))
            .unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn a_refresh_keeps_the_texts_that_are_the_same() {
        let fields = |user: &str| format!("Contact: <sip:a@127.0.0.2>\r\nUser-Agent: {user}\r\n");
        let first = register("a", 1, &fields("phone")).and_then(|u| u.apply(&[])).unwrap();
        let second = register("a", 2, &fields("new")).and_then(|u| u.apply(&first)).unwrap();
        let same = [
            (&first[0].contact, &second[0].contact),
            (&first[0].call_id, &second[0].call_id),
        ];
        assert!(same.iter().all(|(old, new)| Arc::ptr_eq(old, new)));
        assert_eq!(second[0].user_agent.as_deref(), Some("new"));
        assert_eq!(second[0].cseq, 2);
        let third = register("a", 3, &fields("new")).and_then(|u| u.apply(&second)).unwrap();
        let agents = [&second, &third].map(|list| list[0].user_agent.clone().unwrap());
        assert!(Arc::ptr_eq(&agents[0], &agents[1]));
    }

    #[test]
    fn the_whole_request_fails_or_succeeds() {
        let list = register("a", 5, "Contact: <sip:a@127.0.0.2>\r\n")
            .and_then(|u| u.apply(&[]))
            .unwrap();
        let late = register("a", 5, "Contact: <sip:a@127.0.0.2>\r\n").and_then(|u| u.apply(&list));
        assert_eq!(late, Err(Refusal::out_of_order()));
        let star = register("a", 4, "Contact: *\r\nExpires: 0\r\n").and_then(|u| u.apply(&list));
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
                .and_then(|u| u.apply(&list))
                .unwrap();
        }
        assert_eq!(list.len(), limits::CONTACTS_PER_AOR);
        let moved = register("z", 1, &at(200, "urn:39"))
            .and_then(|u| u.apply(&list))
            .unwrap();
        assert_eq!(moved.len(), limits::CONTACTS_PER_AOR);
        assert!(contacts_of(&moved).contains(&"sip:a@127.0.1.200"));
    }

    #[test]
    fn a_phone_that_moved_may_name_its_old_and_new_contact_in_any_order() {
        let device = ";+sip.instance=\"<urn:1>\"";
        let (old, new) = (
            format!("<sip:a@127.0.1.1>{device}"),
            format!("<sip:a@127.0.1.2>{device}"),
        );
        for contacts in [format!("{old};expires=0, {new}"), format!("{new}, {old};expires=0")] {
            let list = register("a", 1, &format!("Contact: {old}\r\n"))
                .and_then(|u| u.apply(&[]))
                .unwrap();
            let list = register("a", 2, &format!("Contact: {contacts}\r\n"))
                .and_then(|u| u.apply(&list))
                .unwrap();
            assert_eq!(contacts_of(&list), ["sip:a@127.0.1.2"], "{contacts}");
        }
    }

    #[test]
    fn one_contact_twice_in_a_request_is_one_binding_and_no_disorder() {
        let list = register("a", 1, "Contact: <sip:a@127.0.1.1>;q=0.1, <sip:a@127.0.1.1>;q=0.9\r\n")
            .and_then(|u| u.apply(&[]))
            .unwrap();
        assert_eq!((list.len(), list[0].q), (1, 900));
    }

    #[test]
    fn contacts_are_equal_by_the_rules_of_uris() {
        let list = register("a", 1, "Contact: <sip:Alice@HOST.example;transport=udp>\r\n")
            .and_then(|u| u.apply(&[]))
            .unwrap();
        let same = register("a", 2, "Contact: <sip:Alice@host.example;Transport=UDP>\r\n")
            .and_then(|u| u.apply(&list))
            .unwrap();
        assert_eq!(same.len(), 1);
        let other = register("a", 2, "Contact: <sip:alice@host.example;transport=udp>\r\n")
            .and_then(|u| u.apply(&list))
            .unwrap();
        assert_eq!(other.len(), 2, "the user part is compared by case");
    }

    #[test]
    fn expiry_is_that_of_the_contact_or_the_field_or_the_default_within_the_limits() {
        let seconds = |fields: &str| {
            register("a", 1, fields).map(|update| match update {
                Update::Contacts { wanted, .. } => wanted[0].expires.since(NOW).as_secs(),
                Update::Fetch | Update::RemoveAll { .. } => panic!("contacts"),
            })
        };
        let c = "Contact: <sip:a@h>";
        assert_eq!(seconds(&format!("{c}\r\n")), Ok(3600));
        assert_eq!(seconds(&format!("{c}\r\nExpires: 90\r\n")), Ok(90));
        assert_eq!(seconds(&format!("{c};expires=100\r\nExpires: 90\r\n")), Ok(100));
        assert_eq!(seconds(&format!("{c};expires=junk\r\nExpires: 90\r\n")), Ok(3600));
        assert_eq!(seconds(&format!("{c};expires=4294967295\r\n")), Ok(7200));
        assert_eq!(seconds(&format!("{c};expires=0\r\nExpires: 90\r\n")), Ok(0));
        assert_eq!(seconds(&format!("{c};expires=1\r\n")).map_err(|r| r.status), Err(423));
        let strict = config::Registrar {
            min_expires: Duration::from_secs(7200),
            ..LIMITS
        };
        let contact = NameAddr::parse("<sip:a@h>;expires=3600").unwrap();
        assert_eq!(granted(&contact, None, &strict), Ok(HOUR));
    }

    #[test]
    fn what_is_too_long_to_keep_is_refused_and_an_instance_that_is_none_is_left_out() {
        let long = "x".repeat(limits::CONTACT_BYTES);
        assert_eq!(
            register("a", 1, &format!("Contact: <sip:{long}@h>\r\n")).map_err(|r| r.status),
            Err(400)
        );
        let id = "i".repeat(limits::BINDING_TEXT_BYTES + 1);
        assert_eq!(
            register(&id, 1, "Contact: <sip:a@h>\r\n").map_err(|r| r.status),
            Err(400)
        );
        assert_eq!(instance("<urn:uuid:1>").as_deref(), Some("urn:uuid:1"));
        assert_eq!(instance("<a\"b>"), None);
        assert_eq!(instance("urn:1"), None);
    }

    #[test]
    fn what_a_contact_says_for_others_is_kept_within_limits() {
        let kept = |text: &str| others(&NameAddr::parse(&format!("<sip:a@h>{text}")).unwrap().params);
        assert_eq!(
            kept(";q=0.5;audio;Expires=9;+sip.note=\"a b\"").as_deref(),
            Some(";audio;+sip.note=\"a b\"")
        );
        assert_eq!(kept(";q=0.5;reg-id=1"), None);
        let control = Params(vec![("x".into(), Some("a\r\nEvil: 1".into()))]);
        assert_eq!(others(&control), None);
        let long = "x".repeat(limits::CONTACT_PARAMS_BYTES);
        assert_eq!(kept(&format!(";{long}")), None);
    }

    #[test]
    fn q_values_are_thousandths() {
        assert_eq!(milli("1"), Some(1000));
        assert_eq!(milli("0.7"), Some(700));
        assert_eq!(milli(".005"), Some(5));
        assert_eq!(milli("1.1"), None);
        for wrong in ["nan", "", "+1", "-0.5", "0.1234"] {
            assert_eq!(milli(wrong), None, "{wrong}");
        }
    }
}
