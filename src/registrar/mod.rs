//! REGISTER (RFC 3261 10.3): from a request to a new list of bindings, through the store's compare-and-set.

pub mod bindings;
mod update;

use crate::cx::Cx;
use crate::effect::{Aor, Binding, Fact, Op, Output, Reply};
use crate::id::{Flow, Owner, ServerTx};
use crate::limits;
use crate::sip::{Draft, Message, Name};
use crate::transaction::Layer;
use std::collections::BTreeMap;
use update::{Refusal, Update};

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
    written: Option<Vec<Binding>>,
    /// It brings or takes a contact; otherwise what is there only lasts longer.
    changed: bool,
    conflicts: u8,
}

/// The registrar: REGISTERs in flight. The bindings themselves are the store's.
#[derive(Debug, Default)]
pub struct Registrar {
    last: u64,
    pending: BTreeMap<u64, Pending>,
}

impl Registrar {
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
        let update = match Update::read(&request, flow, cx.wall, &cx.config.registrar) {
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
            Pending {
                tx,
                flow,
                request,
                aor,
                update,
                written: None,
                changed: false,
                conflicts: 0,
            },
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

    /// The store's answer for the REGISTER `number`.
    pub fn store(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, number: u64, reply: Reply) {
        let Some(mut pending) = self.pending.remove(&number) else {
            return;
        };
        match (reply, pending.written.take()) {
            (Reply::Bindings { version, bindings }, _) => self.apply(cx, layer, number, pending, version, bindings),
            (Reply::Replaced { .. }, Some(written)) => accept(cx, layer, &pending, &written),
            (Reply::Conflict, Some(_)) if pending.conflicts < CONFLICTS => {
                pending.conflicts += 1;
                self.pending.insert(number, pending);
                self.ask(cx, number);
            }
            (Reply::Conflict | Reply::Failed | Reply::Replaced { .. }, _) => {
                refuse(cx, layer, pending.tx, &pending.request, Refusal::store_failed());
            }
        }
    }

    fn apply(
        &mut self,
        cx: &mut Cx<'_>,
        layer: &mut Layer,
        number: u64,
        mut pending: Pending,
        version: u64,
        bindings: Vec<Binding>,
    ) {
        if pending.update.is_fetch() {
            return answer(cx, layer, &pending, &bindings);
        }
        let places = |list: &[Binding]| -> Vec<_> { list.iter().map(|b| (b.contact.clone(), b.flow.peer)).collect() };
        let before = places(&bindings);
        match pending.update.apply(bindings) {
            Err(refusal) => refuse(cx, layer, pending.tx, &pending.request, refusal),
            Ok(bindings) => {
                let op = Op::Replace {
                    aor: pending.aor.clone(),
                    version,
                    bindings: bindings.clone(),
                };
                pending.changed = places(&bindings) != before;
                pending.written = Some(bindings);
                self.pending.insert(number, pending);
                let ticket = cx.ticket(Owner::Registrar(number), limits::STORE_REPLY);
                cx.emit(Output::Store(ticket, op));
            }
        }
    }
}

/// The change is durable: the fact, then the answer.
fn accept(cx: &mut Cx<'_>, layer: &mut Layer, pending: &Pending, written: &[Binding]) {
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
    answer(cx, layer, pending, written);
}

/// 200 with every current binding and what is left of it (RFC 3261 10.3 step 8).
fn answer(cx: &mut Cx<'_>, layer: &mut Layer, pending: &Pending, bindings: &[Binding]) {
    let tag = cx.token(8);
    let mut response = Draft::response(&pending.request, 200, Some(&tag));
    response.push(Name::Date, cx.wall.civil());
    for binding in bindings {
        let left = binding.expires.since(cx.wall).as_millis().div_ceil(1000);
        let mut value = format!("<{}>;expires={left}", binding.contact);
        if binding.q != 1000 {
            value.push_str(&format!(";q={}.{:03}", binding.q / 1000, binding.q % 1000));
        }
        if let Some(instance) = &binding.instance {
            value.push_str(&format!(";+sip.instance=\"<{instance}>\""));
        }
        response.push(Name::Contact, value);
    }
    layer.respond(cx, pending.tx, response);
}

fn refuse(cx: &mut Cx<'_>, layer: &mut Layer, tx: ServerTx, request: &Message, refusal: Refusal) {
    let tag = cx.token(8);
    let mut response = Draft::response(request, refusal.status, Some(&tag)).with_reason(refusal.reason);
    if let Some((name, value)) = refusal.field {
        response.push(name, value);
    }
    layer.respond(cx, tx, response);
}
