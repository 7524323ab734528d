//! What the HTTP API has of connections here: a socket that listens, TLS by the certificates in force, and the thread for what TLS
//! computes.

use super::{Context, Places, explain_as, limits, places, tcp};
use crate::config::Listen;
use crate::id::Transport;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// For whom connections are accepted under TLS that are not SIP's.
#[derive(Clone)]
pub struct Secure {
    context: Arc<Context>,
    places: Arc<Places>,
}

/// A place of a connection; given back when dropped.
pub(in crate::shell) type Held = places::Place;

impl Secure {
    pub(super) fn new(context: Arc<Context>) -> Secure {
        let places = Places::new(limits::API_CONNECTIONS, limits::API_CONNECTIONS_PER_HOST);
        Secure { context, places }
    }

    /// A socket that listens, and where it is bound. The error is a sentence, and names who holds the port, if that can be seen.
    pub(in crate::shell) fn listen(&self, addr: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
        let opened = tcp::bind(addr).and_then(|listener| {
            let bound = listener.local_addr()?;
            Ok((TcpListener::from_std(listener)?, bound))
        });
        let listen = Listen {
            transport: Transport::Tls,
            addr,
        };
        opened.map_err(|error| explain_as("https", &error, listen, "api.listen"))
    }

    /// A place for a connection from there, unless there are enough.
    pub(in crate::shell) fn place(&self, peer: SocketAddr) -> Option<Held> {
        self.places.take(peer.ip())
    }

    /// Runs something where TLS is computed.
    pub(in crate::shell) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.context.aside.handle().spawn(task);
    }

    /// Shakes hands, within the time for that.
    pub(in crate::shell) async fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        let half_open = self.context.half_open.take(peer.ip());
        let half_open = half_open.ok_or(io::ErrorKind::QuotaExceeded)?;
        // A peer that has vanished, or takes nothing any more, is given up.
        SockRef::from(&stream).set_tcp_user_timeout(Some(limits::API_UNHEARD))?;
        stream.set_nodelay(true)?;
        let keys = self.context.keys();
        let shaken = timeout(limits::HANDSHAKE, keys.accept_anybody(stream)).await;
        drop(half_open);
        shaken.map_err(|_| io::ErrorKind::TimedOut)?
    }
}
