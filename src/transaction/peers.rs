//! Who is at the other end of a connection under TLS, and which connections may carry requests the other way (RFC 5923).

use crate::cx::Cx;
use crate::effect::Output;
use crate::id::{ConnectionId, Flow, Identity, Target, Transport};
use crate::sip::{Message, Uri, ViaText};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// All of them; each goes with its connection, so there are `limits::CONNECTIONS` at most.
#[derive(Debug, Default)]
pub struct Peers {
    /// Those that came and have shown a certificate.
    came: BTreeMap<ConnectionId, Came>,
    /// Those to whom we went.
    visited: BTreeSet<ConnectionId>,
}

#[derive(Debug)]
struct Came {
    identity: Identity,
    /// It has said under which address it can be reached by this connection: that is heard once.
    aliased: bool,
}

impl Peers {
    /// The peer of a connection that was opened to us has shown who it is.
    pub fn came(&mut self, flow: Flow, identity: Identity) {
        let came = Came {
            identity,
            aliased: false,
        };
        self.came.insert(flow.connection, came);
    }

    /// A connection that we wanted is there.
    pub fn visited(&mut self, flow: Flow) {
        if flow.transport == Transport::Tls && !self.came.contains_key(&flow.connection) {
            self.visited.insert(flow.connection);
        }
    }

    /// A connection closed.
    pub fn gone(&mut self, flow: Flow) {
        self.came.remove(&flow.connection);
        self.visited.remove(&flow.connection);
    }

    /// What the peer of a connection has shown, if it came with a certificate.
    pub fn identity(&self, flow: Flow) -> Option<&Identity> {
        let came = flow.transport == Transport::Tls;
        came.then(|| self.came.get(&flow.connection))
            .flatten()
            .map(|came| &came.identity)
    }

    /// True where our Via says that the peer may use this connection too (RFC 5923 8.1): we went to it, and have a certificate by
    /// which it can know us.
    pub fn offers_alias(&self, cx: &Cx<'_>, flow: Flow) -> bool {
        let shows = || {
            let of_trunk = cx.config.trunks.iter().any(|trunk| trunk.tls.certificate.is_some());
            of_trunk || cx.config.tls.certificate.is_some()
        };
        flow.transport == Transport::Tls && self.visited.contains(&flow.connection) && shows()
    }

    /// A request came. Where the Via on its top asks for that, and the peer has shown a certificate, requests to the address in it
    /// go by this connection, if they go to a domain that the certificate is for (RFC 5923 8.2). Never on TCP: whoever holds a port there
    /// has proved nothing (9.3).
    pub fn heed_alias(&mut self, cx: &mut Cx<'_>, flow: Flow, request: &Message) {
        if flow.transport != Transport::Tls {
            return;
        }
        let line = request.top_via_line().unwrap_or_default();
        let Ok(via) = ViaText::parse(&line) else { return };
        if !via.params.has("alias") {
            return;
        }
        let Some(came) = self.came.get_mut(&flow.connection).filter(|came| !came.aliased) else {
            return;
        };
        came.aliased = true;
        let port = via.port.unwrap_or(Transport::Tls.default_port());
        let addr = SocketAddr::new(flow.peer.ip(), port);
        for name in domains(cx, &came.identity) {
            let target = Target {
                name: Some(name),
                ..Target::new(Transport::Tls, addr)
            };
            cx.emit(Output::Alias(flow, target));
        }
    }
}

/// The hosts for which a connection that we opened would have found the same certificate good: RFC 5923 9.3 wants no less of one that
/// was opened to us.
fn domains(cx: &Cx<'_>, identity: &Identity) -> Vec<Box<str>> {
    let host = |uri: &Uri| uri.host.to_string().into_boxed_str();
    let mut found = BTreeSet::new();
    for trunk in &cx.config.trunks {
        for peer in trunk.peers.iter().filter(|peer| peer.host.ip().is_none()) {
            let host = host(peer);
            let name = trunk.tls.name.as_deref().unwrap_or(&host);
            if identity.by.contains(&trunk.tls.ca) && identity.names.iter().any(|own| **own == *name) {
                found.insert(host);
            }
        }
    }
    let is_peer = |name: &str| {
        let peers = cx.config.trunks.iter().flat_map(|trunk| &trunk.peers);
        peers.map(host).any(|host| *host == *name)
    };
    if identity.by.contains(&None) {
        let others = identity.names.iter().filter(|name| !is_peer(name));
        found.extend(others.cloned());
    }
    found.into_iter().collect()
}
