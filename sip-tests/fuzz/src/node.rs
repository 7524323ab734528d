//! A whole node: messages on any transport from users, a trunk and strangers, written from templates and as any octets; time, closed
//! connections, a store and a DNS that fail or lie, other configurations. The clock is virtual.
//!
//! The octets of an input are read as a list of steps, each one octet that says which and what belongs to it. After each step the node
//! must have kept its promises, and at the end nothing may be left.

mod scene;
mod words;

use scene::Scene;
use std::time::Duration;
use words::{FIELDS, METHODS, STATUSES, TARGETS, VALUES};

/// Steps of one input: longer ones find nothing that these do not.
const STEPS: usize = 64;

/// What there is to read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Zero where nothing is left.
    pub(crate) fn number(&mut self) -> usize {
        usize::from(self.byte().unwrap_or(0))
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.number() % all.len()]
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Takes the steps.
pub fn node(octets: &[u8]) {
    let mut reader = Reader(octets);
    let mut scene = Scene::new();
    for _ in 0..STEPS {
        let Some(kind) = reader.byte() else { break };
        step(&mut scene, kind, &mut reader);
    }
    scene.end();
}

fn step(scene: &mut Scene, kind: u8, reader: &mut Reader<'_>) {
    match kind % 12 {
        0..=2 => request(scene, reader),
        3 | 4 => respond(scene, reader),
        5 => {
            let (peer, length) = (reader.number(), reader.number() * 256 + reader.number());
            let octets = reader.take(length).to_vec();
            scene.octets(peer, octets);
        }
        6 => scene.wait(Duration::from_millis(
            reader.pick(&[0, 20, 500, 4_000, 32_000, 61_000, 200_000, 600_000]),
        )),
        7 => scene.close(reader.number()),
        8 => scene.trouble(reader.number(), reader.number()),
        9 => scene.configure(reader.number()),
        10 => scene.again(reader.number()),
        _media => scene.media(reader.number()),
    }
}

/// What is said of a message beside its template.
pub(crate) struct Extra {
    /// A header line more.
    line: String,
    /// An octet of the message that is another: where, which.
    octet: Option<(usize, u8)>,
}

fn extra(reader: &mut Reader<'_>, with_line: bool, with_octet: bool) -> Extra {
    let mut line = String::new();
    if with_line {
        let name = reader.pick(&FIELDS);
        let which = reader.number();
        // Past the list: whatever text follows.
        let value = match VALUES.get(which) {
            Some(value) => (*value).to_owned(),
            None => String::from_utf8_lossy(reader.take(which % 64)).replace(['\r', '\n'], " "),
        };
        line = format!("{name}: {value}\r\n");
    }
    let octet = with_octet.then(|| (reader.number() * 256 + reader.number(), reader.byte().unwrap_or(0)));
    Extra { line, octet }
}

fn request(scene: &mut Scene, reader: &mut Reader<'_>) {
    let (peer, method, target) = (reader.number(), reader.pick(&METHODS), reader.pick(&TARGETS));
    let (slot, flags) = (reader.number(), reader.number());
    let extra = extra(reader, flags & 1 != 0, flags & 2 != 0);
    scene.request(peer, method, target, slot, flags >> 2, &extra);
}

fn respond(scene: &mut Scene, reader: &mut Reader<'_>) {
    let (which, status) = (reader.number(), reader.pick(&STATUSES));
    let (contact, flags) = (reader.pick(&TARGETS), reader.number());
    let extra = extra(reader, flags & 1 != 0, flags & 2 != 0);
    scene.respond(which, status, contact, flags >> 2, &extra);
}
