//! A thread for what TLS computes: a burst of handshakes must not make plain connections late. Connections under TLS and
//! WebSockets live there with all that they encrypt; those without start in the thread of the node's runtime and stay.

use std::io;
use std::sync::OnceLock;
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Started with the first connection that needs it; ends when dropped.
#[derive(Debug, Default)]
pub(in crate::shell) struct Aside(OnceLock<Option<Running>>);

#[derive(Debug)]
struct Running {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Aside {
    /// Where to spawn. A system that gives no thread has to do with the one that it gave.
    pub(in crate::shell) fn handle(&self) -> Handle {
        let running = self.0.get_or_init(|| Running::start().ok());
        running
            .as_ref()
            .map_or_else(Handle::current, |running| running.handle.clone())
    }
}

impl Running {
    fn start() -> io::Result<Running> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name("tls".to_owned()).spawn(move || {
            // It ends by the other half being dropped.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Running { handle, _stop: stop })
    }
}
