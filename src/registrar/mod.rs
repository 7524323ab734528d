//! REGISTER (RFC 3261 10.3): from a request to a new list of bindings, through the store's compare-and-set.

pub mod bindings;
pub mod gruu;
mod place;
mod push;
mod update;
mod way;

use crate::config::{Config, Way};
use crate::cx::Cx;
use crate::effect::{Aor, Binding, Fact, Op, Output, Reply};
use crate::id::{Flow, Owner, ServerTx};
use crate::limits;
use crate::sip::auth::NonceKey;
use crate::sip::write::{push_address, push_number};
use crate::sip::{Draft, Message, Name};
use crate::transaction::Layer;
use gruu::Gruus;
use std::collections::HashMap;
use std::sync::Arc;
use update::{Refusal, Update};

/// The extensions that a REGISTER may require besides those of all requests (RFC 3327, 5626, 5627).
pub const SUPPORTED: [&str; 3] = ["path", "outbound", "gruu"];
/// How often a REGISTER reads again after another node was faster.
const CONFLICTS: u8 = 5;

/// A REGISTER that waits for the store.
#[derive(Debug)]
struct Pending {
    tx: ServerTx,
    flow: Flow,
    request: Message,
    aor: Aor,
    update: Update,
    /// What was asked to be written, while `Replace` is in flight.
    written: Option<Arc<[Binding]>>,
    /// It brings or takes a contact; otherwise what is there only lasts longer.
    changed: bool,
    conflicts: u8,
}

/// The registrar: REGISTERs in flight. The bindings themselves are the store's.
#[derive(Debug)]
pub struct Registrar {
    last: u64,
    /// By a number of ours, so nobody can make two meet.
    pending: HashMap<u64, Box<Pending>, foldhash::fast::FixedState>,
    gruus: Gruus,
}

impl Registrar {
    /// With the key of its temporary GRUUs.
    pub fn new(key: NonceKey) -> Registrar {
        Registrar {
            last: 0,
            pending: HashMap::default(),
            gruus: Gruus::new(key),
        }
    }

    /// The key that outlives the process.
    pub fn set_key(&mut self, key: NonceKey) {
        self.gruus = Gruus::new(key);
    }

    /// What GRUUs mean.
    pub const fn gruus(&self) -> &Gruus {
        &self.gruus
    }

    /// An authenticated REGISTER for `aor`. It is answered when the store has spoken.
    pub fn register(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        flow: Flow,
        tx: ServerTx,
        request: Message,
        aor: Aor,
    ) {
        let update = match Update::read(&request, flow, cx.wall, &cx.config.registrar, cx.config.push.as_ref()) {
            Ok(update) => update,
            Err(refusal) => return refuse(cx, layer, tx, &request, refusal),
        };
        if self.pending.len() >= limits::REGISTERS_PENDING {
            return refuse(cx, layer, tx, &request, Refusal::busy());
        }
        self.last += 1;
        let number = self.last;
        self.pending.insert(
            number,
            Box::new(Pending {
                tx,
                flow,
                request,
                aor,
                update,
                written: None,
                changed: false,
                conflicts: 0,
            }),
        );
        self.ask(cx, number);
    }

    /// REGISTERs that wait for the store.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn ask(&mut self, cx: &mut Cx<'_>, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else {
            return;
        };
        pending.written = None;
        let ticket = cx.ticket(Owner::Registrar(number), limits::STORE_REPLY);
        let op = Op::Bindings(pending.aor.clone());
        cx.emit(Output::Store(ticket, op));
    }

    /// The store's answer for the REGISTER `number`. Gives the address of record whose bindings it has changed,
    /// and these.
    pub fn store(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        number: u64,
        reply: Reply,
    ) -> Option<(Aor, Arc<[Binding]>)> {
        let mut pending = self.pending.remove(&number)?;
        match (reply, pending.written.take()) {
            (Reply::Bindings { version, bindings }, _) => self.apply(cx, layer, number, pending, version, bindings),
            (Reply::Replaced { .. }, Some(written)) => {
                self.accept(cx, layer, &pending, &written);
                return Some((pending.aor, written));
            }
            (Reply::Conflict, Some(_)) if pending.conflicts < CONFLICTS => {
                pending.conflicts += 1;
                self.pending.insert(number, pending);
                self.ask(cx, number);
            }
            (Reply::Conflict | Reply::Failed | Reply::Replaced { .. }, _) => {
                refuse(cx, layer, pending.tx, &pending.request, Refusal::store_failed());
            }
        }
        None
    }

    fn apply(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        number: u64,
        mut pending: Box<Pending>,
        version: u64,
        before: Arc<[Binding]>,
    ) {
        if pending.update.is_fetch() {
            return self.answer(cx, layer, &pending, &before);
        }
        // While the store was asked, a reload may have taken the user away, and with the user the bindings.
        if !is_configured(cx.config, &pending.aor) {
            return refuse(cx, layer, pending.tx, &pending.request, Refusal::unknown());
        }
        match pending.update.apply(&before) {
            Err(refusal) => refuse(cx, layer, pending.tx, &pending.request, refusal),
            Ok(bindings) => {
                let bindings: Arc<[Binding]> = bindings.into();
                let op = Op::Replace {
                    aor: pending.aor.clone(),
                    version,
                    bindings: bindings.clone(),
                };
                pending.changed = !is_same(&before, &bindings);
                pending.written = Some(bindings);
                self.pending.insert(number, pending);
                let ticket = cx.ticket(Owner::Registrar(number), limits::STORE_REPLY);
                cx.emit(Output::Store(ticket, op));
            }
        }
    }

    /// The change is durable, or a refresh: the fact, then the answer.
    fn accept(&self, cx: &mut Cx<'_>, layer: &mut Layer, pending: &Pending, written: &[Binding]) {
        let expires = written
            .iter()
            .map(|b| b.expires.since(cx.wall))
            .max()
            .unwrap_or_default();
        cx.emit(Output::Record(Fact::Registered {
            aor: pending.aor.clone(),
            contacts: written.len(),
            changed: pending.changed,
            peer: pending.flow.peer,
            expires,
        }));
        self.answer(cx, layer, pending, written);
    }

    /// 200 with every current binding and what is left of it (RFC 3261 10.3 step 8).
    fn answer(&self, cx: &mut Cx<'_>, layer: &mut Layer, pending: &Pending, bindings: &[Binding]) {
        let tag = cx.token(8);
        let mut response = Draft::response(&pending.request, 200, Some(&tag));
        response.push(Name::Date, cx.wall.civil());
        let has_instance = bindings.iter().any(|binding| binding.instance.is_some());
        let tells_gruus = has_instance && pending.request.has_token(Name::Supported, "gruu");
        for binding in bindings {
            let left = binding.expires.since(cx.wall).as_millis().div_ceil(1000);
            // Room for what most have besides.
            let mut value = String::with_capacity(binding.contact.len() + 96);
            for part in ["<", &binding.contact, ">;expires="] {
                value.push_str(part);
            }
            push_number(&mut value, left.try_into().unwrap_or(u64::MAX));
            if binding.q != 1000 {
                value.push_str(&format!(";q={}.{:03}", binding.q / 1000, binding.q % 1000));
            }
            if let Some(instance) = &binding.instance {
                value.push_str(&format!(";+sip.instance=\"<{instance}>\""));
            }
            if let Some(reg_id) = binding.reg_id() {
                value.push_str(&format!(";reg-id={reg_id}"));
            }
            if let Some(params) = binding.params() {
                value.push_str(params);
            }
            if tells_gruus {
                self.push_gruus(cx, &pending.aor, binding, &mut value);
            }
            response.push(Name::Contact, value);
        }
        say_ways(cx, pending, &mut response);
        layer.respond(cx, pending.tx, response);
    }

    /// RFC 5627 5.2.
    fn push_gruus(&self, cx: &mut Cx<'_>, aor: &Aor, binding: &Binding, value: &mut String) {
        let Some(instance) = &binding.instance else { return };
        value.push_str(&format!(";pub-gruu=\"{}\"", gruu::public(aor, instance)));
        let salt = cx.random();
        let temporary = binding
            .gruu()
            .and_then(|gruu| self.gruus.temporary(aor, instance, gruu, salt));
        if let Some(temporary) = temporary {
            value.push_str(&format!(";temp-gruu=\"{temporary}\""));
        }
    }
}

/// True if both lists have the same contacts, in whatever order: a device that is refreshed goes to the end.
fn is_same(before: &[Binding], after: &[Binding]) -> bool {
    let is_it = |old: &Binding, new: &Binding| {
        let place = (old.flow.peer, old.reg_id()) == (new.flow.peer, new.reg_id());
        place && old.instance == new.instance && old.contact == new.contact
    };
    before.len() == after.len() && after.iter().all(|new| before.iter().any(|old| is_it(old, new)))
}

/// True if the configuration in force has the user whose address of record this is.
fn is_configured(config: &Config, aor: &Aor) -> bool {
    let Some((name, domain)) = aor.0.rsplit_once('@') else {
        return false;
    };
    config.user(name).is_some_and(|user| user.domain == domain)
}

/// What its sender learns of ways: that of requests to it (RFC 3327 5.3, RFC 5626 6), and that of its own requests, which of a user
/// who is proxied come by us (RFC 3608 6.3). Keep-alives are its own affair: we need none, so there is no Flow-Timer.
fn say_ways(cx: &Cx<'_>, pending: &Pending, response: &mut Draft) {
    for caps in push::promised(cx.config.push.as_ref(), &pending.request) {
        response.push_named("Feature-Caps", caps);
    }
    if pending.update.is_outbound() {
        response.push(Name::Require, "outbound");
        response.push(Name::Supported, "path, outbound");
    }
    for path in pending.request.all(Name::Path) {
        response.push(Name::Path, path);
    }
    let domain = pending.aor.0.rsplit_once('@').map_or("", |(_, domain)| domain);
    if cx.config.way_of(domain) == Way::Proxy {
        let transport = pending.flow.transport.uri_param();
        let mut way = String::from("<sip:");
        push_address(&mut way, cx.advertised(pending.flow));
        if let Some(name) = transport {
            way.push_str(";transport=");
            way.push_str(name);
        }
        way.push_str(";lr>");
        response.push(Name::ServiceRoute, way);
    }
}

fn refuse(cx: &mut Cx<'_>, layer: &mut Layer, tx: ServerTx, request: &Message, refusal: Refusal) {
    let tag = cx.answer_tag();
    let mut response = Draft::response(request, refusal.status, Some(&tag)).with_reason(refusal.reason);
    if let Some((name, value)) = refusal.field {
        response.push(name, value);
    }
    layer.respond(cx, tx, response);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::cx::{ChaCha12Rng, SeedableRng, Tickets};
    use crate::id::{ConnectionId, ListenerId, Transport};
    use crate::time::{Instant, Wall};
    use crate::transaction::Event;
    use bytes::Bytes;
    use std::collections::VecDeque;

    struct Bench {
        registrar: Registrar,
        layer: Layer,
        rng: ChaCha12Rng,
        tickets: Tickets,
        out: VecDeque<Output>,
        config: Arc<Config>,
    }

    impl Bench {
        fn with<R>(&mut self, step: impl FnOnce(&mut Registrar, &mut Cx<'_>, &mut Layer) -> R) -> R {
            let mut cx = Cx {
                now: Instant::ZERO,
                wall: Wall(0),
                rng: &mut self.rng,
                config: &self.config,
                out: &mut self.out,
                tickets: &mut self.tickets,
                marker: &crate::marker::Marker::UNKEYED,
            };
            step(&mut self.registrar, &mut cx, &mut self.layer)
        }

        /// The operation that the store was asked for last, and what is answered to it.
        fn store(&mut self, reply: Reply) -> Op {
            let asked = self.out.drain(..).find_map(|output| match output {
                Output::Store(ticket, op) => Some((ticket, op)),
                _ => None,
            });
            let (ticket, op) = asked.expect("the store was asked");
            assert_eq!(self.tickets.take(ticket), Some(Owner::Registrar(1)));
            self.with(|registrar, cx, layer| registrar.store(cx, layer, 1, reply));
            op
        }

        fn status(&mut self) -> u16 {
            let sent = self.out.drain(..).find_map(|output| match output {
                Output::Send(_, bytes) => Some(Message::parse(bytes).unwrap().status()),
                _ => None,
            });
            sent.expect("it was answered")
        }
    }

    fn config(user: &str) -> Arc<Config> {
        let yaml = format!(
            "listen: [ \"udp://127.0.0.1:5060\" ]\ndomains: [ example.com ]\nusers: [ {{ name: {user}, password: secret }} ]\n"
        );
        Arc::new(crate::config::parse("test", &yaml, &Sources::NONE).unwrap())
    }

    fn registering() -> Bench {
        let mut bench = Bench {
            registrar: Registrar::new(NonceKey([0; 32])),
            layer: Layer::default(),
            rng: ChaCha12Rng::seed_from_u64(1),
            tickets: Tickets::default(),
            out: VecDeque::new(),
            config: config("alice"),
        };
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: "127.0.0.2:5060".parse().unwrap(),
        };
        let text = "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
                    To: <sip:alice@example.com>\r\nFrom: <sip:alice@example.com>;tag=1\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n\
                    Contact: <sip:alice@127.0.0.2>\r\nContent-Length: 0\r\n\r\n";
        let message = Message::parse(Bytes::from(text)).unwrap();
        bench.with(|registrar, cx, layer| {
            layer.receive(cx, flow, message);
            let Some(Event::Request { flow, request }) = layer.poll() else {
                panic!("no request came through")
            };
            let tx = layer.accept(cx, flow, &request).unwrap();
            registrar.register(cx, layer, flow, tx, request, Aor("alice@example.com".into()));
        });
        bench
    }

    fn empty(version: u64) -> Reply {
        Reply::Bindings {
            version,
            bindings: Arc::default(),
        }
    }

    #[test]
    fn a_conflict_is_read_again_and_the_second_try_counts() {
        let mut bench = registering();
        assert!(matches!(bench.store(empty(0)), Op::Bindings(_)));
        assert!(matches!(bench.store(Reply::Conflict), Op::Replace { version: 0, .. }));
        assert!(matches!(bench.store(empty(7)), Op::Bindings(_)));
        let replaced = Reply::Replaced { version: 8 };
        assert!(matches!(bench.store(replaced), Op::Replace { version: 7, .. }));
        assert_eq!(bench.status(), 200);
    }

    #[test]
    fn a_refresh_is_no_change_and_any_other_device_is() {
        let binding = |instance: &str, contact: &str| Binding {
            contact: contact.into(),
            q: 1000,
            call_id: "c".into(),
            cseq: 1,
            expires: Wall(1),
            flow: Flow {
                transport: Transport::Udp,
                listener: ListenerId(0),
                connection: ConnectionId(0),
                local: "127.0.0.1:5060".parse().unwrap(),
                peer: "127.0.0.2:5060".parse().unwrap(),
            },
            instance: Some(instance.into()),
            user_agent: None,
            more: None,
        };
        let (x, y) = (binding("urn:x", "sip:x@h"), binding("urn:y", "sip:y@h"));
        let refreshed = Binding {
            cseq: 2,
            expires: Wall(2),
            ..x.clone()
        };
        assert!(is_same(&[x.clone(), y.clone()], &[y.clone(), refreshed]));
        assert!(!is_same(&[x.clone(), y.clone()], std::slice::from_ref(&x)));
        let moved = Binding {
            contact: x.contact.clone(),
            ..y.clone()
        };
        assert!(!is_same(&[x.clone(), y], &[x, moved]));
    }

    #[test]
    fn a_user_whom_a_reload_took_away_meanwhile_gets_no_binding_by_the_second_try() {
        let mut bench = registering();
        bench.store(empty(0));
        // The reload removed the bindings, hence the conflict.
        bench.config = config("bob");
        bench.store(Reply::Conflict);
        bench.store(empty(7));
        assert!(!bench.out.iter().any(|output| matches!(output, Output::Store(..))));
        assert_eq!((bench.status(), bench.registrar.pending()), (404, 0));
    }
}
