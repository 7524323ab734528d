//! Who has shown a token, and what is kept of him: his events, his streams, his answers.

use super::log::Log;
use super::meeting::Add;
use super::once::Once;
use super::token::{Claims, Identity};
use crate::guard::cells::Cell;
use crate::id::{ApiId, Flow};
use crate::keyed;
use crate::limits;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// One who is there, or was until lately.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) who: Identity,
    pub(super) log: Log,
    pub(super) streams: Vec<Stream>,
    /// The calls that he has.
    pub(super) calls: BTreeSet<u64>,
    pub(super) rate: Cell,
    pub(super) once: Once,
    /// He has had a stream, and will have one again soon if he has none.
    pub(super) listens: bool,
    /// He has shown a token; else he was only called, and has a place as long as it rings.
    pub(super) came: bool,
    /// He listens with a token that is good for being called.
    pub(super) callable: bool,
    /// Why his last stream has ended, in words.
    pub(super) left: &'static str,
    /// How often he wakes others.
    pub(super) wakes: Cell,
    /// How messages of SIP reach him within the node.
    pub(super) flow: Flow,
    /// The key that has signed his last token.
    pub(super) key: u64,
    /// As whom, and by which way, he can be called by SIP.
    pub(super) present: Option<(Arc<str>, Flow)>,
    /// Whom rooms are to call when he is in them: one for each of his calls at most.
    pub(super) adds: Vec<Add>,
}

/// One way on which he is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) id: ApiId,
    /// The key that has signed his token.
    pub(super) key: u64,
    /// His token is good for being called.
    pub(super) calls: bool,
}

impl Client {
    /// His streams are others: one at least must be good for being called. Who has none for a moment is what he was.
    pub(super) fn heed_streams(&mut self) {
        if !self.streams.is_empty() {
            self.callable = self.streams.iter().any(|stream| stream.calls);
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Clients {
    all: BTreeMap<u64, Client>,
    /// Names are chosen by who has a key.
    by_name: HashMap<Identity, u64, keyed::Key>,
    /// How many each tenant has.
    of_tenant: BTreeMap<Arc<str>, usize>,
    last: u64,
}

impl Clients {
    pub(super) fn new(key: keyed::Key) -> Clients {
        Clients {
            all: BTreeMap::new(),
            by_name: HashMap::with_hasher(key),
            of_tenant: BTreeMap::new(),
            last: 0,
        }
    }

    /// The number of whoever has these claims; none where there is no room for him: `most` is how many his tenant may have. `way` leads to
    /// the client with a number.
    pub(super) fn enter(
        &mut self,
        claims: &Claims,
        epoch: u32,
        most: usize,
        way: impl FnOnce(u64) -> Flow,
    ) -> Option<u64> {
        if let Some(number) = self.by_name.get(&claims.who) {
            if let Some(client) = self.all.get_mut(number) {
                client.key = claims.key;
                // A call that is up keeps the way that it began with.
                client.flow = way(*number);
            }
            return Some(*number);
        }
        let own = self.of_tenant.entry(claims.who.tenant.clone()).or_default();
        if self.all.len() >= limits::API_CLIENTS || *own >= most {
            return None;
        }
        *own += 1;
        self.last += 1;
        let client = Client {
            who: claims.who.clone(),
            log: Log::new(epoch),
            streams: Vec::new(),
            calls: BTreeSet::new(),
            rate: Cell::default(),
            once: Once::default(),
            listens: false,
            came: false,
            callable: false,
            left: "it has opened no stream of events",
            wakes: Cell::default(),
            flow: way(self.last),
            key: claims.key,
            present: None,
            adds: Vec::new(),
        };
        self.by_name.insert(claims.who.clone(), self.last);
        self.all.insert(self.last, client);
        Some(self.last)
    }

    pub(super) fn get(&mut self, number: u64) -> Option<&mut Client> {
        self.all.get_mut(&number)
    }

    /// The number of whoever has this name.
    pub(super) fn named(&self, who: &Identity) -> Option<u64> {
        self.by_name.get(who).copied()
    }

    /// Somebody who can be called.
    pub(super) fn callable(&self, who: &Identity) -> Option<u64> {
        let number = self.named(who)?;
        self.all.get(&number)?.callable.then_some(number)
    }

    /// Somebody who is told what happens.
    pub(super) fn listening(&mut self, who: &Identity) -> Option<(u64, &mut Client)> {
        let number = *self.by_name.get(who)?;
        let client = self.all.get_mut(&number).filter(|client| client.listens)?;
        Some((number, client))
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Client> {
        let client = self.all.remove(&number)?;
        self.by_name.remove(&client.who);
        if let Some(own) = self.of_tenant.get_mut(&client.who.tenant) {
            *own -= 1;
            if *own == 0 {
                self.of_tenant.remove(&client.who.tenant);
            }
        }
        Some(client)
    }

    /// Streams whose token was signed by a key that is no longer in force, with whose they are.
    pub(super) fn withdrawn(&self, in_force: &BTreeSet<u64>) -> Vec<(u64, ApiId)> {
        let of = |(number, client): (&u64, &Client)| {
            let gone = client.streams.iter().filter(|stream| !in_force.contains(&stream.key));
            gone.map(|stream| (*number, stream.id)).collect::<Vec<_>>()
        };
        self.all.iter().flat_map(of).collect()
    }

    /// All numbers.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.all.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
