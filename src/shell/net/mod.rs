//! Sockets: datagrams and connections in, messages out; questions to the DNS.

mod aside;
pub(in crate::shell) mod burst;
mod datagrams;
mod der;
mod dns;
mod hooks;
mod interfaces;
mod keepalives;
mod places;
mod post;
mod secure;
mod session;
mod taken;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_dns;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_limits;
#[cfg(test)]
mod tests_mutual;
#[cfg(test)]
mod tests_post;
#[cfg(test)]
mod tests_secure;
#[cfg(test)]
mod tests_stun;
mod tls;
mod udp;
mod verify;
mod ws;

use crate::config::{Dns, Listen};
use crate::effect::{Answer, Post, Question};
use crate::id::{ConnectionId, Flow, Identity, ListenerId, Target, Ticket, Transport};
use crate::limits;
use crate::shell::bell::Bell;
use crate::time::Wall;
pub(super) use aside::Aside;
use bytes::Bytes;
use datagrams::Datagrams;
use dns::Resolver;
use hooks::Hooks;
pub use interfaces::addresses as interfaces;
pub(super) use places::{Place, Places};
pub(in crate::shell) use secure::{Held, Secure};
pub use session::Session;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
pub(super) use tcp::{KEEP_ALIVE, bind as bind_stream};
pub use tls::{Keys, OwnCertificate, authorities, browser_certificate, usable};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Messages of connections that wait for the signalling machine: beyond it, connections wait.
const QUEUE: usize = 8192;
/// Questions to the DNS at once; further ones wait, at most `limits::RESOLVING` together with these.
const RESOLVING: usize = 256;

/// What connections and the DNS have to tell.
#[derive(Debug)]
pub enum NetEvent {
    /// A framed message.
    Message(Flow, Bytes),
    /// A connection that somebody opened to us, or that we opened: for [`Net::opened`].
    Opened(Flow, tcp::Handle),
    /// Who has opened a connection to us, if by a certificate that somebody vouches for; between `Opened` and the first message.
    Identified(Flow, Identity),
    /// No connection to this target could be opened: for [`Net::failed`].
    Failed(Target),
    /// A connection ended.
    Closed(Flow),
    /// What the DNS says.
    Answered(Ticket, Answer),
    /// Whether a POST was taken.
    Posted(Ticket, bool),
}

/// Counters of what never reached the machine.
#[derive(Debug, Default)]
pub struct NetCounters {
    /// Datagrams that the system dropped because we were too busy to fetch them.
    pub dropped_full: AtomicU64,
    /// Datagrams that are no SIP.
    pub not_sip: AtomicU64,
    /// Keep-alives beyond the rate of their host or of all.
    pub unanswered: AtomicU64,
    /// Datagrams that the system would not send.
    pub send_failed: AtomicU64,
    /// Connections refused because there were too many.
    pub refused_connections: AtomicU64,
    /// Connections that ended before the first message could come: in the TLS handshake or the upgrade to a WebSocket.
    pub handshakes_failed: AtomicU64,
    /// Certificates of those who came that nobody vouches for: they counted as none.
    pub not_vouched: AtomicU64,
}

struct Listener {
    listen: Listen,
    bound: SocketAddr,
    /// Who accepts connections; nobody for datagrams.
    task: Option<JoinHandle<()>>,
}

/// One that is open.
struct Connection {
    flow: Flow,
    handle: tcp::Handle,
    /// Where it leads besides its peer's address.
    aliases: Vec<Target>,
}

/// All sockets of signalling.
pub struct Net {
    /// Where the tasks of connections and questions run.
    runtime: Handle,
    listeners: HashMap<ListenerId, Listener>,
    datagrams: Datagrams,
    next_listener: u16,
    connections: HashMap<ConnectionId, Connection>,
    /// Connections by where they lead. One that was opened to us is taken where a name is wanted only if the machine says so.
    by_peer: HashMap<Target, ConnectionId>,
    /// Connections that are being opened, and who waits for them.
    opening: HashMap<Target, Vec<Ticket>>,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
    resolver: Option<Resolver>,
    resolving: Arc<Semaphore>,
    asked: Arc<Semaphore>,
    hooks: Hooks,
}

/// What the socket tasks share.
pub(super) struct Context {
    pub counters: NetCounters,
    /// Where connection numbers come from: never the same again, also over restarts, since bindings remember them.
    next_connection: AtomicU64,
    places: Arc<Places>,
    half_open: Arc<Places>,
    keys: Mutex<Arc<Keys>>,
    aside: Aside,
    patience: tcp::Patience,
}

impl Context {
    fn connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Those in force for connections that are opened now.
    fn keys(&self) -> Arc<Keys> {
        self.keys.lock().expect("nobody panics while copying").clone()
    }
}

impl Net {
    /// Nothing open yet. `epoch` is the wall clock in milliseconds, from which connection numbers begin. Its tasks run in the
    /// current runtime.
    pub fn new(epoch: u64) -> io::Result<(Net, mpsc::Receiver<NetEvent>)> {
        let (events, receiver) = mpsc::channel(QUEUE);
        let context = Arc::new(Context {
            counters: NetCounters::default(),
            next_connection: AtomicU64::new(epoch << 16),
            places: Places::new(limits::CONNECTIONS, limits::CONNECTIONS_PER_HOST),
            half_open: Places::new(limits::HALF_OPEN, limits::HALF_OPEN_PER_HOST),
            keys: Mutex::default(),
            aside: Aside::default(),
            patience: tcp::Patience::default(),
        });
        let net = Net {
            runtime: Handle::current(),
            listeners: HashMap::new(),
            datagrams: Datagrams::new()?,
            next_listener: 0,
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            opening: HashMap::new(),
            events,
            context,
            resolver: None,
            resolving: Arc::new(Semaphore::new(RESOLVING)),
            asked: Arc::new(Semaphore::new(limits::RESOLVING)),
            hooks: Hooks::new(),
        };
        Ok((net, receiver))
    }

    /// Sends what has gathered, then waits until a datagram has come, the bell has rung, or the time has passed.
    pub fn wait(&mut self, bell: Option<&Bell>, timeout: Option<Duration>) {
        self.flush();
        self.datagrams.wait(bell, timeout);
    }

    /// The next datagram of those sockets that had some when it was last waited.
    pub fn datagram(&mut self) -> Option<(Flow, Bytes)> {
        self.datagrams.next(&self.context.counters)
    }

    /// How much of the room that they should have the sockets for datagrams have, 0 to 1: what comes while they wait.
    pub fn room(&self) -> f64 {
        self.datagrams.room()
    }

    /// True if more datagrams may be waiting than were taken since it was last waited.
    pub fn is_behind(&self) -> bool {
        self.datagrams.is_behind()
    }

    /// How long datagrams have waited in their sockets at most since this was asked last; for ever where some were dropped there.
    pub fn waited(&mut self) -> Duration {
        self.datagrams.waited()
    }

    /// To be called now and then: the system is asked anew for its routes, and what it has dropped of datagrams is counted.
    pub fn sweep(&mut self) {
        self.datagrams.forget_routes();
        if !self.datagrams.was_behind() {
            return;
        }
        let bound = self.listeners.values().filter(|l| l.listen.transport == Transport::Udp);
        let bound: Vec<SocketAddr> = bound.map(|listener| listener.bound).collect();
        let context = self.context.clone();
        // The list has a line for each socket of this machine, and those of media are many.
        self.runtime.spawn_blocking(move || {
            let dropped = bound.into_iter().map(taken::dropped).sum();
            // What a listener that is closed meanwhile had dropped is no longer in it.
            context.counters.dropped_full.fetch_max(dropped, Ordering::Relaxed);
        });
    }

    /// Certificates for connections that are opened from now on.
    pub fn set_keys(&self, keys: Keys) {
        *self.context.keys.lock().expect("nobody panics while copying") = Arc::new(keys);
    }

    /// Those in force.
    pub fn keys(&self) -> Arc<Keys> {
        self.context.keys()
    }

    /// For connections under TLS that are not SIP's.
    pub(in crate::shell) fn secure(&self) -> Secure {
        Secure::new(self.context.clone())
    }

    /// A sentence for each of our certificates that has ended or ends soon.
    pub fn expiring(&self, wall: Wall) -> Vec<String> {
        self.context.keys().warnings(wall)
    }

    /// Opens one listener and tells where it is bound. The error names who holds the port, if that can be seen.
    pub fn listen(&mut self, listen: Listen) -> Result<SocketAddr, String> {
        let id = ListenerId(self.next_listener);
        let opened = match listen.transport {
            Transport::Udp => self.datagrams.listen(id, listen.addr).map(|bound| (bound, None)),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let _runtime = self.runtime.enter();
                tcp::listen(id, listen, self.events.clone(), self.context.clone())
                    .map(|(bound, task)| (bound, Some(task)))
            }
        };
        let (bound, task) = opened.map_err(|error| explain(&error, listen, "listen"))?;
        self.next_listener += 1;
        self.listeners.insert(id, Listener { listen, bound, task });
        Ok(bound)
    }

    /// Closes the listener of this configuration entry; its port is free when this returns. Connections that came by it stay.
    pub async fn unlisten(&mut self, listen: Listen) {
        self.flush();
        let closed: Vec<ListenerId> = self
            .listeners
            .iter()
            .filter(|(_, listener)| listener.listen == listen)
            .map(|(id, _)| *id)
            .collect();
        for id in closed {
            self.datagrams.close(id);
            if let Some(task) = self.listeners.remove(&id).and_then(|listener| listener.task) {
                task.abort();
                // The task holds the socket until it is gone.
                let _ = task.await;
            }
        }
    }

    /// Where we listen.
    pub fn bound(&self) -> Vec<Listen> {
        let mut bound: Vec<(ListenerId, Listen)> = self
            .listeners
            .iter()
            .map(|(id, l)| {
                (
                    *id,
                    Listen {
                        transport: l.listen.transport,
                        addr: l.bound,
                    },
                )
            })
            .collect();
        bound.sort_by_key(|(id, _)| *id);
        bound.into_iter().map(|(_, listen)| listen).collect()
    }

    /// The counters.
    pub fn counters(&self) -> &NetCounters {
        &self.context.counters
    }

    /// Sends the datagrams that have gathered. To be called before anybody sleeps.
    pub fn flush(&mut self) {
        self.datagrams.flush(&self.context.counters);
    }

    /// Sends a message, a datagram with the next [`Net::flush`]; false if the flow is gone, or its peer reads so slowly that the connection is closed now.
    pub fn send(&mut self, flow: Flow, bytes: Bytes) -> bool {
        match flow.transport {
            Transport::Udp => self.datagrams.send(flow, bytes, &self.context.counters),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let Some(connection) = self.connections.get(&flow.connection) else {
                    return false;
                };
                let sent = connection.handle.send(bytes);
                if !sent {
                    self.closed(flow);
                }
                sent
            }
        }
    }

    /// A flow to a target: at once, or `None` and an event later. Those who want the same connection share it.
    pub fn connect(&mut self, ticket: Ticket, target: Target) -> Option<Result<Flow, ()>> {
        if let Some(open) = self.by_peer.get(&target).and_then(|id| self.connections.get(id)) {
            return Some(Ok(open.flow));
        }
        let Some((listener, bound, local)) = self.listener_for(&target) else {
            return Some(Err(()));
        };
        let flow = |connection| Flow {
            transport: target.transport,
            listener,
            connection,
            local,
            peer: target.addr,
        };
        match target.transport {
            Transport::Udp => Some(Ok(flow(ConnectionId(0)))),
            Transport::Tcp | Transport::Tls => {
                let waiting = self.opening.entry(target.clone()).or_default();
                waiting.push(ticket);
                if waiting.len() == 1 {
                    let flow = flow(self.context.connection_id());
                    let _runtime = self.runtime.enter();
                    tcp::connect(flow, target, bound, self.events.clone(), &self.context);
                }
                None
            }
            // A browser connects to us, never we to it.
            Transport::Ws | Transport::Wss => Some(Err(())),
        }
    }

    /// Who is asked for names from now on. Gives a sentence where nobody can be asked.
    pub fn set_dns(&mut self, config: &Dns) -> Option<String> {
        let (resolver, complaint) = Resolver::new(config);
        self.resolver = Some(resolver);
        complaint
    }

    /// Asks the DNS; answered by an event.
    /// False if too many questions wait already.
    pub fn query(&self, ticket: Ticket, question: Question) -> bool {
        let Ok(place) = self.asked.clone().try_acquire_owned() else {
            return false;
        };
        let (events, slots, resolver) = (self.events.clone(), self.resolving.clone(), self.resolver.clone());
        self.runtime.spawn(async move {
            let ask = async {
                let _slot = slots.acquire().await;
                match resolver {
                    Some(resolver) => resolver.ask(&question).await,
                    None => Answer::default(),
                }
            };
            // Whoever asked waits no longer than this, so neither does the question for its turn.
            let answer = tokio::time::timeout(limits::RESOLVE, ask).await.unwrap_or_default();
            drop(place);
            let _ = events.send(NetEvent::Answered(ticket, answer)).await;
        });
        true
    }

    /// Tells a URL something; answered by an event. False if too many are being told already.
    pub fn post(&self, ticket: Ticket, post: Post) -> bool {
        let runs_on = if post.url.secure {
            self.context.aside.handle()
        } else {
            self.runtime.clone()
        };
        let Some(told) = self.hooks.post(post, self.context.clone()) else {
            return false;
        };
        let events = self.events.clone();
        runs_on.spawn(async move {
            let _ = events.send(NetEvent::Posted(ticket, told.await)).await;
        });
        true
    }

    /// The peer of this flow is no stranger.
    pub fn known(&self, flow: Flow) {
        if let Some(connection) = self.connections.get(&flow.connection) {
            connection.handle.know();
        }
    }

    /// Requests to this target go by this connection from now on, while it is there. The machine asks it once for each connection and
    /// name of a certificate.
    pub fn alias(&mut self, flow: Flow, target: Target) {
        if let Some(connection) = self.connections.get_mut(&flow.connection) {
            self.by_peer.insert(target.clone(), flow.connection);
            connection.aliases.push(target);
        }
    }

    /// To be told of every `Opened`; gives the tickets that waited for it.
    pub fn opened(&mut self, flow: Flow, handle: tcp::Handle) -> Vec<Ticket> {
        let target = led_to(flow, &handle);
        let waited = self.opening.remove(&target).unwrap_or_default();
        self.by_peer.insert(target, flow.connection);
        let connection = Connection {
            flow,
            handle,
            aliases: Vec::new(),
        };
        self.connections.insert(flow.connection, connection);
        waited
    }

    /// To be told of every `Failed`; gives the tickets that waited for it.
    pub fn failed(&mut self, target: Target) -> Vec<Ticket> {
        self.opening.remove(&target).unwrap_or_default()
    }

    /// To be told of every `Closed`.
    pub fn closed(&mut self, flow: Flow) {
        let Some(connection) = self.connections.remove(&flow.connection) else {
            return;
        };
        let own = led_to(connection.flow, &connection.handle);
        for target in connection.aliases.into_iter().chain([own]) {
            if self.by_peer.get(&target) == Some(&flow.connection) {
                self.by_peer.remove(&target);
            }
        }
    }

    /// Closes everything. Connections have this long to write what they were handed.
    pub async fn close(mut self, limit: Duration) {
        self.flush();
        for task in self.listeners.drain().filter_map(|(_, listener)| listener.task) {
            task.abort();
        }
        self.connections.clear();
        let _ = tokio::time::timeout(limit, self.context.places.all_free()).await;
    }

    /// The listener by which a target can be reached, its bound address, and our address as the target sees it. The listener
    /// on the address that the system's routes choose comes first, then a wildcard. Loopback and the world do not mix.
    fn listener_for(&mut self, target: &Target) -> Option<(ListenerId, IpAddr, SocketAddr)> {
        let peer = target.addr.ip();
        let reaches = |ip: IpAddr| {
            ip.is_ipv4() == peer.is_ipv4() && (ip.is_unspecified() || ip.is_loopback() == peer.is_loopback())
        };
        let mut fit = self
            .listeners
            .iter()
            .filter(|(_, l)| l.listen.transport == target.transport && reaches(l.bound.ip()))
            .map(|(id, l)| (*id, l.bound));
        let (mut id, mut bound) = fit.next()?;
        let mut fit = fit.peekable();
        if fit.peek().is_none() && !bound.ip().is_unspecified() {
            return Some((id, bound.ip(), bound));
        }
        let route = self.datagrams.route(target.addr);
        let rank = |id: ListenerId, ip: IpAddr| (Some(ip) == route, ip.is_unspecified(), Reverse(id));
        for (other, addr) in fit {
            if rank(other, addr.ip()) > rank(id, bound.ip()) {
                (id, bound) = (other, addr);
            }
        }
        let local = route.filter(|_| bound.ip().is_unspecified()).unwrap_or(bound.ip());
        Some((id, bound.ip(), SocketAddr::new(local, bound.port())))
    }
}

/// What a connection is good for.
fn led_to(flow: Flow, handle: &tcp::Handle) -> Target {
    Target {
        transport: flow.transport,
        addr: flow.peer,
        name: handle.name.clone(),
    }
}

/// The address by which this machine reaches the world, for what people read. Nothing is sent: 192.0.2.1 is nobody's (RFC 5737).
pub fn own_address() -> Option<IpAddr> {
    udp::route(SocketAddr::from(([192, 0, 2, 1], 9))).filter(|ip| !ip.is_loopback())
}

/// Opening a listener failed: what to do about it.
pub(super) fn explain(error: &io::Error, listen: Listen, key: &str) -> String {
    let scheme = listen.transport.param();
    explain_as(scheme, error, listen, key)
}

/// The same where what is spoken there is not SIP.
pub(super) fn explain_as(scheme: &str, error: &io::Error, listen: Listen, key: &str) -> String {
    let url = format!("{scheme}://{}", listen.addr);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = taken::holder(listen.transport, listen.addr).unwrap_or_else(|| "another program".to_owned());
            format!("{url} is taken by {holder}: stop it, or choose another port with the key `{key}`")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "{url}: this machine has no such address; correct the key `{key}` (0.0.0.0 means every IPv4 address)"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "{url}: ports below 1024 need root or CAP_NET_BIND_SERVICE; or choose another port with the key `{key}`"
            )
        }
        _ => format!("{url}: {error} (key `{key}`)"),
    }
}

/// The address that a socket must be bound to before it connects: the listener's own, unless that is a wildcard.
pub(super) fn source(bound: IpAddr) -> IpAddr {
    if bound.is_unspecified() && bound.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        bound
    }
}
