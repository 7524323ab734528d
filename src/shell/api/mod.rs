//! The HTTP API's connections (`api.listen`): HTTP/1.1 under TLS, event streams, WebSockets. Tasks of their own read and write them; the
//! signalling loop has their requests as inputs, and gives replies as outputs.
//!
//! ```text
//!   accept -- TLS -- hyper --+-- a file of ours
//!                            +-- request --> loop --> Done: an answer
//!                                                 +-> Open: an event stream, or a WebSocket
//! ```

mod answer;
mod files;
mod socket;
mod stream;

use super::net::{Held, Secure};
use crate::api::wire::{Reply, Request};
use crate::config;
use crate::id::ApiId;
use crate::limits;
use crate::node::Input;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::debug;

/// Header fields of one request: browsers send twenty.
const FIELDS: usize = 64;

/// What happens on the connections.
#[derive(Debug)]
pub enum Asked {
    /// Somebody asks this, and is told this way.
    Request(ApiId, Box<Request>, mpsc::Sender<Reply>),
    /// He is gone.
    Gone(ApiId),
}

/// Who waits for answers, or listens.
#[derive(Default)]
pub struct Api {
    /// Where it is served, if it is.
    bound: Option<SocketAddr>,
    open: HashMap<ApiId, mpsc::Sender<Reply>>,
}

impl Api {
    /// Opens the socket, if one is configured. Must run within a tokio runtime. The error is a sentence for the operator.
    pub fn open(config: Option<&config::Api>, secure: Secure) -> Result<(Api, mpsc::Receiver<Asked>), String> {
        let (sender, receiver) = mpsc::channel(limits::API_QUEUE);
        let mut api = Api::default();
        if let Some(config) = config {
            let (listener, bound) = secure.listen(config.listen)?;
            api.bound = Some(bound);
            let door = Arc::new(Door {
                secure,
                asked: sender,
                last: AtomicU64::new(0),
            });
            tokio::spawn(accept(listener, door));
        }
        Ok((api, receiver))
    }

    /// Where it is served, if it is.
    pub fn bound(&self) -> Option<SocketAddr> {
        self.bound
    }

    /// What has happened, for the machine.
    pub fn asked(&mut self, asked: Asked) -> Input {
        match asked {
            Asked::Request(id, request, tell) => {
                self.open.insert(id, tell);
                Input::Api(id, request)
            }
            Asked::Gone(id) => {
                self.open.remove(&id);
                Input::ApiClosed(id)
            }
        }
    }

    /// Tells somebody something; false where he takes no more. Who is gone already is told nothing.
    pub fn say(&mut self, to: ApiId, reply: Reply) -> bool {
        let is_last = match reply {
            Reply::Done(_) | Reply::Last(_) => true,
            Reply::Open { .. } | Reply::More(_) => false,
        };
        let Some(tell) = self.open.get(&to) else { return true };
        let taken = tell.try_send(reply).is_ok();
        if !taken {
            debug!("a stream of the API does not take what it is told: it is closed, and may be resumed");
        }
        if is_last || !taken {
            self.open.remove(&to);
        }
        taken
    }
}

/// What the tasks share.
struct Door {
    secure: Secure,
    asked: mpsc::Sender<Asked>,
    last: AtomicU64,
}

/// Tells the loop that somebody is gone, whichever way.
struct Listening {
    id: ApiId,
    /// None where the loop knows.
    asked: Option<mpsc::Sender<Asked>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let id = self.id;
        // Where no runtime is left, neither is the loop.
        if let (Some(asked), Ok(runtime)) = (self.asked.take(), Handle::try_current()) {
            runtime.spawn(async move {
                let _ = asked.send(Asked::Gone(id)).await;
            });
        }
    }
}

impl Door {
    fn next(&self) -> ApiId {
        ApiId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors: give others a chance to close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Some(place) = door.secure.place(peer) {
            let served = serve(stream, peer, place, door.clone());
            door.secure.spawn(served);
        }
    }
}

/// One connection. What is slow in any part of it has its own limit; see `limits`.
async fn serve(stream: TcpStream, peer: SocketAddr, place: Held, door: Arc<Door>) {
    let local = stream.local_addr();
    let (Ok(local), Ok(stream)) = (local, door.secure.accept(stream, peer).await) else {
        return;
    };
    let ends = (peer.ip(), local.ip());
    // A WebSocket goes on when hyper has done with it.
    let place = Arc::new(place);
    let service = service_fn(|request| answer::answer(request, ends, door.clone(), place.clone()));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::API_HEAD)
        .max_header_size(limits::API_HEAD_BYTES)
        .max_buf_size(2 * limits::API_HEAD_BYTES)
        .max_headers(FIELDS);
    // How it ended is its peer's affair.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}
