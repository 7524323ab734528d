//! Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3, 8.2.2.2, 9.2), and what each keeps.
//!
//! The keys hold what a peer chose (branch, Call-ID), so they live in ordered maps: nobody can make them collide.

use super::timer::{Actions, Key};
use super::via::COOKIE;
use super::{client, client_invite, server, server_invite};
use crate::id::{ClientTx, Flow, Owner, ServerTx, Ticket};
use crate::sip::{Message, Method, Via};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

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
    key: Arc<str>,
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
    /// The response that was sent last; before the first one the request itself.
    pub last: Bytes,
    /// A CANCEL was reported.
    pub cancelled: bool,
    key: Arc<str>,
    merge_key: Option<Arc<str>>,
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
        self.state == ServerState::Invite(server_invite::State::Proceeding)
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
    clients: HashMap<ClientTx, Client, foldhash::fast::FixedState>,
    servers: HashMap<ServerTx, Server, foldhash::fast::FixedState>,
    client_keys: BTreeMap<Arc<str>, ClientTx>,
    server_keys: BTreeMap<Arc<str>, ServerTx>,
    merge_keys: BTreeMap<Arc<str>, ServerTx>,
    by_flow: BTreeSet<(Flow, Key)>,
    last_client: u64,
    last_server: u64,
}

impl Table {
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
        self.clients.get_mut(&tx)
    }

    /// By number.
    pub fn server(&mut self, tx: ServerTx) -> Option<&mut Server> {
        self.servers.get_mut(&tx)
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
        let key: Arc<str> = client_key(branch, method).into();
        self.client_keys.insert(key.clone(), tx);
        self.by_flow.insert((flow, Key::Client(tx)));
        let client = Client {
            state,
            owner,
            flow,
            message,
            cancel: Cancel::No,
            forwards: false,
            key,
        };
        self.clients.insert(tx, client);
    }

    /// A new one; `None` when the request has one already.
    pub fn add_server(
        &mut self,
        request: &Message,
        via: &Via,
        flow: Flow,
        source: SocketAddr,
        state: ServerState,
        last: Bytes,
    ) -> Option<ServerTx> {
        let key: Arc<str> = server_key(request, via, &request.method()).into();
        if self.server_keys.contains_key(&key) {
            return None;
        }
        self.last_server += 1;
        let tx = ServerTx(self.last_server);
        let merge_key: Option<Arc<str>> = merge_key(request).map(Into::into);
        if let Some(merge_key) = &merge_key {
            self.merge_keys.insert(merge_key.clone(), tx);
        }
        self.server_keys.insert(key.clone(), tx);
        if flow.transport.is_reliable() {
            self.by_flow.insert((flow, Key::Server(tx)));
        }
        let sent_by_port = via.port.unwrap_or(flow.transport.default_port());
        let server = Server {
            state,
            flow,
            link: Link::Up,
            source,
            sent_by_port,
            last,
            cancelled: false,
            key,
            merge_key,
        };
        self.servers.insert(tx, server);
        Some(tx)
    }

    /// Forgets one.
    pub fn remove_client(&mut self, tx: ClientTx) {
        if let Some(client) = self.clients.remove(&tx) {
            self.client_keys.remove(&client.key);
            self.by_flow.remove(&(client.flow, Key::Client(tx)));
        }
    }

    /// Forgets one.
    pub fn remove_server(&mut self, tx: ServerTx) {
        let Some(server) = self.servers.remove(&tx) else { return };
        self.server_keys.remove(&server.key);
        self.by_flow.remove(&(server.flow, Key::Server(tx)));
        if let Some(key) = server.merge_key
            && self.merge_keys.get(&key) == Some(&tx)
        {
            self.merge_keys.remove(&key);
        }
    }

    /// A server transaction goes on over another connection.
    pub fn move_server(&mut self, tx: ServerTx, flow: Flow) {
        if let Some(server) = self.servers.get_mut(&tx) {
            self.by_flow.remove(&(server.flow, Key::Server(tx)));
            server.flow = flow;
            server.link = Link::Up;
            self.by_flow.insert((flow, Key::Server(tx)));
        }
    }

    /// The transaction of a response (RFC 3261 17.1.3).
    pub fn of_response(&self, response: &Message) -> Option<ClientTx> {
        let via = response.top_via().ok()?;
        let key = client_key(via.branch()?, &response.cseq().ok()?.method);
        self.client_keys.get(key.as_str()).copied()
    }

    /// The transaction of a request that is not an ACK (RFC 3261 17.2.3).
    pub fn of_request(&self, request: &Message, via: &Via) -> Option<ServerTx> {
        self.server_keys
            .get(server_key(request, via, &request.method()).as_str())
            .copied()
    }

    /// The INVITE that an ACK or a CANCEL is about (RFC 3261 17.2.3, 9.2). The ACK of a peer of RFC 2543 carries the To tag of
    /// our response, which its INVITE had not.
    pub fn invite_of(&self, request: &Message, via: &Via) -> Option<ServerTx> {
        let by = |key: String| self.server_keys.get(key.as_str()).copied();
        by(server_key(request, via, &Method::Invite)).or_else(|| match is_marked(via) {
            true => None,
            false => by(old_key(request, via, &Method::Invite, "")),
        })
    }

    /// True for a request outside of dialogs that came before by another way (RFC 3261 8.2.2.2).
    pub fn is_merged(&self, request: &Message) -> bool {
        merge_key(request).is_some_and(|key| self.merge_keys.contains_key(key.as_str()))
    }

    /// The transactions over a flow: all clients, and servers over streams.
    pub fn of_flow(&self, flow: Flow) -> Vec<Key> {
        let first = (flow, Key::Client(ClientTx(0)));
        let last = (flow, Key::Server(ServerTx(u64::MAX)));
        self.by_flow.range(first..=last).map(|(_, key)| *key).collect()
    }
}

fn client_key(branch: &str, method: &Method) -> String {
    format!("{branch} {method}")
}

/// True where the branch alone tells transactions apart (RFC 3261 8.1.1.7).
fn is_marked(via: &Via) -> bool {
    via.branch().is_some_and(|branch| branch.starts_with(COOKIE))
}

/// Line breaks separate the parts, as no part can hold one.
fn server_key(request: &Message, via: &Via, method: &Method) -> String {
    if !is_marked(via) {
        let to = request.to().ok();
        let tag = to.as_ref().and_then(|to| to.tag()).unwrap_or_default();
        return old_key(request, via, method, tag);
    }
    let branch = via.branch().unwrap_or_default();
    let port = via.port.map(|port| port.to_string()).unwrap_or_default();
    format!("{branch}\n{}:{port}\n{method}", via.host)
}

/// RFC 3261 17.2.3 for a branch without the magic cookie: Request-URI, tags, Call-ID, CSeq number and topmost Via.
fn old_key(request: &Message, via: &Via, method: &Method, to_tag: &str) -> String {
    let uri = request.request_uri().map(|uri| uri.to_string()).unwrap_or_default();
    let from = request.from().ok();
    let from_tag = from.as_ref().and_then(|from| from.tag()).unwrap_or_default();
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    format!(
        "\n{uri}\n{to_tag}\n{from_tag}\n{}\n{number}\n{via}\n{method}",
        request.call_id()
    )
}

/// From tag, Call-ID and CSeq of a request without To tag (RFC 3261 8.2.2.2).
fn merge_key(request: &Message) -> Option<String> {
    if request.to().ok()?.tag().is_some() {
        return None;
    }
    let (from, cseq) = (request.from().ok()?, request.cseq().ok()?);
    Some(format!("{}\n{}\n{cseq}", from.tag()?, request.call_id()))
}
