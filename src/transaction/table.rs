//! Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3, 8.2.2.2, 9.2), and what each keeps.
//!
//! The keys hold what a peer chose (branch, Call-ID, its address), so they are hashed with a key of ours: nobody can make them
//! collide.

use super::timer::{Actions, Key, Timer, Timers};
use super::via::COOKIE;
use super::{client, client_invite, server, server_invite};
use crate::id::{ClientTx, Flow, Owner, ServerTx, Ticket};
use crate::keyed;
use crate::sip::{Host, Message, Method, Name, TopVia, ViaText};
use crate::time::Instant;
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

/// Client transactions that are looked through for those over a flow for datagrams: what one input may have begun.
const LATEST: u64 = 1000;

/// Entries of a table that keeps its room in any case.
const LARGE: usize = 4096;

/// By a number of ours, or by a hash that is keyed already.
type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A client transaction's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// Of an INVITE.
    Invite(client_invite::State),
    /// Of any other method.
    Other(client::State),
}

/// What the user wants of an INVITE that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// An answer.
    No,
    /// That it be cancelled as soon as a provisional response allows (RFC 3261 9.1), for this Reason.
    Wanted(Option<String>),
    /// CANCEL is sent.
    Sent,
}

/// A client transaction.
#[derive(Debug)]
pub struct Client {
    /// Where it stands.
    pub state: ClientState,
    /// Who hears of it; nobody of a CANCEL, which is the layer's own.
    pub owner: Option<Owner>,
    /// Where the request went.
    pub flow: Flow,
    /// The request; the ACK after a failure; nothing after a 2xx.
    pub message: Bytes,
    /// Whether it is to be cancelled.
    pub cancel: Cancel,
    /// The request came and was sent on: its responses have the Via of whom it came from.
    pub forwards: bool,
    /// Timers that run.
    pub timers: Timers,
    key: u128,
    /// Where it stands in the list of its flow, if it is a stream.
    place: usize,
}

impl Client {
    /// True when nothing is left to do.
    pub fn is_over(&self) -> bool {
        match self.state {
            ClientState::Invite(state) => state == client_invite::State::Terminated,
            ClientState::Other(state) => state == client::State::Terminated,
        }
    }

    /// An input of the INVITE machine; none of its business if it is the other.
    pub fn step_invite(&mut self, input: client_invite::Input) -> Actions {
        let ClientState::Invite(state) = self.state else {
            return Actions::new();
        };
        let (next, actions) = state.step(input, self.flow.transport.is_reliable());
        self.state = ClientState::Invite(next);
        actions
    }

    /// An input of the other machine.
    pub fn step_other(&mut self, input: client::Input) -> Actions {
        let ClientState::Other(state) = self.state else {
            return Actions::new();
        };
        let (next, actions) = state.step(input, self.flow.transport.is_reliable());
        self.state = ClientState::Other(next);
        actions
    }
}

/// A server transaction's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Of an INVITE.
    Invite(server_invite::State),
    /// Of any other method.
    Other(server::State),
}

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We do.
    UserAgent,
    /// It is sent on.
    Proxy,
}

/// Whether responses can go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Over `Server::flow`.
    Up,
    /// Its connection closed: the next response opens one (RFC 3261 18.2.2).
    Down,
    /// It is being opened; the last response waits.
    Opening(Ticket),
}

/// A server transaction.
#[derive(Debug)]
pub struct Server {
    /// Where it stands.
    pub state: ServerState,
    /// Where responses go.
    pub flow: Flow,
    /// Whether they can.
    pub link: Link,
    /// Where the request came from, for `received` and `rport`.
    pub source: SocketAddr,
    /// The sent-by port, for a new connection.
    pub sent_by_port: u16,
    /// The response that was sent last; before the first one the request itself; nothing after a 2xx to INVITE that was sent on.
    pub last: Bytes,
    /// When the request came.
    pub came: Instant,
    /// A CANCEL was reported.
    pub cancelled: bool,
    /// Timers that run.
    pub timers: Timers,
    key: u128,
    merge_key: Option<u128>,
    /// Where it stands in the list of its flow, if it is a stream.
    place: usize,
}

impl Server {
    /// True when nothing is left to do.
    pub fn is_over(&self) -> bool {
        match self.state {
            ServerState::Invite(state) => state == server_invite::State::Terminated,
            ServerState::Other(state) => state == server::State::Terminated,
        }
    }

    /// True for an INVITE without final response.
    pub fn is_ringing(&self) -> bool {
        use server_invite::State::{Proceeding, Trying};
        matches!(self.state, ServerState::Invite(Trying | Proceeding))
    }

    /// An input of the INVITE machine; none of its business if it is the other.
    pub fn step_invite(&mut self, input: server_invite::Input) -> Actions {
        let ServerState::Invite(state) = self.state else {
            return Actions::new();
        };
        let (next, actions) = state.step(input, self.flow.transport.is_reliable());
        self.state = ServerState::Invite(next);
        actions
    }

    /// An input of the other machine.
    pub fn step_other(&mut self, input: server::Input) -> Actions {
        let ServerState::Other(state) = self.state else {
            return Actions::new();
        };
        let (next, actions) = state.step(input, self.flow.transport.is_reliable());
        self.state = ServerState::Other(next);
        actions
    }
}

/// All transactions, found by number, by message and by flow.
#[derive(Debug, Default)]
pub struct Table {
    key: keyed::Key,
    /// Boxed: they are large, and a table keeps the room of its best time.
    clients: Map<ClientTx, Box<Client>>,
    servers: Map<ServerTx, Box<Server>>,
    client_keys: Map<u128, ClientTx>,
    server_keys: Map<u128, ServerTx>,
    merge_keys: Map<u128, ServerTx>,
    by_flow: HashMap<ByPeer, Vec<Key>, keyed::Key>,
    last_client: u64,
    last_server: u64,
}

/// A flow as a key: those of one peer differ by their connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ByPeer(Flow);

impl Hash for ByPeer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.connection.hash(state);
        self.0.peer.hash(state);
    }
}

impl Table {
    /// With the key of its hashes.
    pub fn new(key: keyed::Key) -> Table {
        Table {
            key,
            by_flow: HashMap::with_hasher(key),
            ..Table::default()
        }
    }

    /// A number that no client transaction has had.
    pub fn next_client(&mut self) -> ClientTx {
        self.last_client += 1;
        ClientTx(self.last_client)
    }

    /// How many client transactions there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many server transactions there are.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// True for one whose request came and was sent on.
    pub fn forwards(&self, tx: ClientTx) -> bool {
        self.clients.get(&tx).is_some_and(|client| client.forwards)
    }

    /// By number.
    pub fn client(&mut self, tx: ClientTx) -> Option<&mut Client> {
        self.clients.get_mut(&tx).map(Box::as_mut)
    }

    /// By number.
    pub fn server(&mut self, tx: ServerTx) -> Option<&mut Server> {
        self.servers.get_mut(&tx).map(Box::as_mut)
    }

    /// The timers of one.
    pub fn timers(&mut self, key: Key) -> Option<&mut Timers> {
        match key {
            Key::Client(tx) => self.client(tx).map(|client| &mut client.timers),
            Key::Server(tx) => self.server(tx).map(|server| &mut server.timers),
        }
    }

    /// When a timer of one is due.
    pub fn due(&self, key: Key, timer: Timer) -> Option<Instant> {
        let timers = match key {
            Key::Client(tx) => self.clients.get(&tx).map(|client| &client.timers),
            Key::Server(tx) => self.servers.get(&tx).map(|server| &server.timers),
        };
        timers?.due(timer)
    }

    /// A new one. `branch` and `method` are what its responses are known by (RFC 3261 17.1.3).
    pub fn add_client(
        &mut self,
        tx: ClientTx,
        (branch, method): (&str, &Method),
        owner: Option<Owner>,
        flow: Flow,
        state: ClientState,
        message: Bytes,
    ) {
        let key = self.client_key(branch, method.as_str());
        self.client_keys.insert(key, tx);
        let client = Client {
            state,
            owner,
            flow,
            message,
            cancel: Cancel::No,
            forwards: false,
            timers: Timers::default(),
            key,
            place: self.join(flow, Key::Client(tx)),
        };
        self.clients.insert(tx, Box::new(client));
    }

    /// A new one; `None` when the request has one already. Where a user agent answers it, copies by other ways are known
    /// ([`Table::is_merged`]).
    pub fn add_server(
        &mut self,
        now: Instant,
        (request, via): (&Message, &TopVia),
        (flow, source): (Flow, SocketAddr),
        state: ServerState,
        role: Role,
    ) -> Option<ServerTx> {
        let key = self.server_key(request, via, request.method().as_str());
        if self.server_keys.contains_key(&key) {
            return None;
        }
        self.last_server += 1;
        let tx = ServerTx(self.last_server);
        let merge_key = match role {
            Role::UserAgent => self.merge_key(request),
            Role::Proxy => None,
        };
        if let Some(merge_key) = merge_key {
            self.merge_keys.insert(merge_key, tx);
        }
        self.server_keys.insert(key, tx);
        let place = self.join(flow, Key::Server(tx));
        let sent_by_port = via.port.unwrap_or(flow.transport.default_port());
        let server = Server {
            state,
            flow,
            link: Link::Up,
            source,
            sent_by_port,
            last: request.bytes().clone(),
            came: now,
            cancelled: false,
            timers: Timers::default(),
            key,
            merge_key,
            place,
        };
        self.servers.insert(tx, Box::new(server));
        Some(tx)
    }

    /// Forgets one.
    pub fn remove_client(&mut self, tx: ClientTx) {
        if let Some(client) = self.clients.remove(&tx) {
            self.client_keys.remove(&client.key);
            self.part(client.flow, client.place, Key::Client(tx));
            trim(&mut self.clients);
            trim(&mut self.client_keys);
        }
    }

    /// Forgets one.
    pub fn remove_server(&mut self, tx: ServerTx) {
        let Some(server) = self.servers.remove(&tx) else { return };
        self.server_keys.remove(&server.key);
        self.part(server.flow, server.place, Key::Server(tx));
        if let Some(key) = server.merge_key
            && self.merge_keys.get(&key) == Some(&tx)
        {
            self.merge_keys.remove(&key);
        }
        trim(&mut self.servers);
        trim(&mut self.server_keys);
        trim(&mut self.merge_keys);
    }

    /// A request that was sent on is answered by us after all: copies by other ways are known from now on.
    pub fn adopt(&mut self, tx: ServerTx, request: &Message) {
        let key = self.merge_key(request);
        if let Some((server, key)) = self.servers.get_mut(&tx).zip(key) {
            server.merge_key = Some(key);
            self.merge_keys.insert(key, tx);
        }
    }

    /// A server transaction goes on over another connection.
    pub fn move_server(&mut self, tx: ServerTx, flow: Flow) {
        let Some(server) = self.servers.get_mut(&tx) else {
            return;
        };
        server.link = Link::Up;
        let (old, place) = (std::mem::replace(&mut server.flow, flow), server.place);
        self.part(old, place, Key::Server(tx));
        let place = self.join(flow, Key::Server(tx));
        if let Some(server) = self.servers.get_mut(&tx) {
            server.place = place;
        }
    }

    /// Puts one into the list of a connection; gives its place there.
    fn join(&mut self, flow: Flow, key: Key) -> usize {
        if !flow.transport.is_reliable() {
            return 0;
        }
        let list = self.by_flow.entry(ByPeer(flow)).or_default();
        list.push(key);
        list.len() - 1
    }

    /// Takes one out of the list of a connection, if it stands there: the last one gets its place.
    fn part(&mut self, flow: Flow, place: usize, key: Key) {
        if !flow.transport.is_reliable() {
            return;
        }
        let Some(list) = self.by_flow.get_mut(&ByPeer(flow)) else {
            return;
        };
        if list.get(place) != Some(&key) {
            return;
        }
        list.swap_remove(place);
        let moved = list.get(place).copied();
        if list.is_empty() {
            self.by_flow.remove(&ByPeer(flow));
        }
        match moved {
            Some(Key::Client(tx)) => {
                if let Some(client) = self.clients.get_mut(&tx) {
                    client.place = place;
                }
            }
            Some(Key::Server(tx)) => {
                if let Some(server) = self.servers.get_mut(&tx) {
                    server.place = place;
                }
            }
            None => {}
        }
    }

    /// The transaction of a response (RFC 3261 17.1.3).
    pub fn of_response(&self, response: &Message) -> Option<ClientTx> {
        let key = self.client_key(&response.top_branch()?, response.cseq().ok()?.method.as_str());
        self.client_keys.get(&key).copied()
    }

    /// The transaction of a request that is not an ACK (RFC 3261 17.2.3).
    pub fn of_request(&self, request: &Message, via: &TopVia) -> Option<ServerTx> {
        let key = self.server_key(request, via, request.method().as_str());
        self.server_keys.get(&key).copied()
    }

    /// The INVITE that an ACK or a CANCEL is about (RFC 3261 17.2.3, 9.2). The ACK of a peer of RFC 2543 carries the To tag of
    /// our response, which its INVITE had not.
    pub fn invite_of(&self, request: &Message, via: &TopVia) -> Option<ServerTx> {
        let by = |key: u128| self.server_keys.get(&key).copied();
        let invite = Method::Invite;
        by(self.server_key(request, via, invite.as_str())).or_else(|| {
            let marked = request.top_branch().is_some_and(|branch| branch.starts_with(COOKIE));
            (!marked)
                .then(|| by(self.old_key(request, via, invite.as_str(), "")))
                .flatten()
        })
    }

    /// True for a request outside of dialogs that came before by another way (RFC 3261 8.2.2.2).
    pub fn is_merged(&self, request: &Message) -> bool {
        self.merge_key(request)
            .is_some_and(|key| self.merge_keys.contains_key(&key))
    }

    /// The transactions over a flow. Of one for datagrams, which closes only when the last listener of its family does, the latest
    /// clients: the others find out by their timers.
    pub fn of_flow(&self, flow: Flow) -> Vec<Key> {
        let mut all: Vec<Key> = match flow.transport.is_reliable() {
            true => self.by_flow.get(&ByPeer(flow)).cloned().unwrap_or_default(),
            false => {
                let latest = (self.last_client.saturating_sub(LATEST)..=self.last_client).map(ClientTx);
                let is_over = |tx: &ClientTx| self.clients.get(tx).is_some_and(|client| client.flow == flow);
                latest.filter(is_over).map(Key::Client).collect()
            }
        };
        all.sort_unstable();
        all
    }

    fn client_key(&self, branch: &str, method: &str) -> u128 {
        self.key.of(&[branch.as_bytes(), method.as_bytes()])
    }

    /// The branch alone tells transactions apart where it begins with the cookie (RFC 3261 8.1.1.7).
    fn server_key(&self, request: &Message, via: &TopVia, method: &str) -> u128 {
        let branch = request.top_branch().unwrap_or_default();
        if !branch.starts_with(COOKIE) {
            return self.old_key(request, via, method, &request.to_tag().unwrap_or_default());
        }
        let mut key = self.key.start();
        key.part(branch.as_bytes());
        sent_by(&mut key, via);
        key.part(method.as_bytes());
        key.end()
    }

    /// RFC 3261 17.2.3 for a branch without the magic cookie: Request-URI, tags, Call-ID, CSeq number and topmost Via.
    fn old_key(&self, request: &Message, via: &TopVia, method: &str, to_tag: &str) -> u128 {
        let uri = request.request_uri().map(|uri| uri.to_string()).unwrap_or_default();
        let number = request.cseq_number();
        let from_tag = request.from_tag().unwrap_or_default();
        let mut key = self.key.start();
        for part in [&*uri, to_tag, &from_tag, method] {
            key.part(part.as_bytes());
        }
        key.part(request.call_id_octets());
        key.number(number.into());
        sent_by(&mut key, via);
        let line = request.top_via_line().unwrap_or_default();
        if let Ok(via) = ViaText::parse(&line) {
            key.part(via.transport.to_ascii_uppercase().as_bytes());
            for (name, value) in via.params.iter() {
                key.part(name.as_bytes());
                key.part(value.unwrap_or_default().as_bytes());
            }
        }
        key.end()
    }

    /// From tag, Call-ID and CSeq of a request without To tag (RFC 3261 8.2.2.2).
    fn merge_key(&self, request: &Message) -> Option<u128> {
        if request.has_to_tag() {
            return None;
        }
        let (cseq, tag) = (request.cseq().ok()?, request.tag_octets(Name::From));
        if tag.is_empty() {
            return None;
        }
        let mut key = self.key.start();
        for part in [&*tag, request.call_id_octets(), cseq.method.as_str().as_bytes()] {
            key.part(part);
        }
        key.number(cseq.number.into());
        Some(key.end())
    }
}

/// A table that has become nearly empty gives its room back: what is left of it moves, so that each removal costs little.
fn trim<K: Eq + Hash, V>(map: &mut Map<K, V>) {
    let used = map.len();
    if map.capacity() > LARGE && used < map.capacity() / 8 {
        map.shrink_to(2 * used);
    }
}

fn sent_by(key: &mut keyed::Hash, via: &TopVia) {
    match &via.host {
        Host::Name(name) => key.part(name.as_bytes()),
        // No name holds an octet of 0.
        Host::V4(ip) => key.part(&u64::from(u32::from(*ip)).to_be_bytes()),
        Host::V6(ip) => key.part(&[&[0], &ip.octets()[..]].concat()),
    }
    key.number(via.port.map_or(u64::MAX, u64::from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_large_gives_its_room_back_and_keeps_what_it_has() {
        let mut map: Map<u64, u64> = (0..100_000).map(|number| (number, number)).collect();
        for number in 0..99_990 {
            map.remove(&number);
            trim(&mut map);
        }
        assert!(map.capacity() <= 2 * LARGE, "{}", map.capacity());
        assert!((99_990..100_000).all(|number| map.get(&number) == Some(&number)));
    }
}
