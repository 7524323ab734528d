//! Stream clients come: each is accepted, and its TLS handshake made, beside the thread that relays; then it goes there.

use super::thread::Command;
use crate::id::Transport;
use crate::limits;
use crate::shell::bell::Bell;
use crate::shell::net::{KEEP_ALIVE, Keys, Place, Places, Session};
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// One that has come.
pub(super) struct Came {
    pub(super) socket: TcpStream,
    pub(super) session: Option<Session>,
    pub(super) from: SocketAddr,
    pub(super) place: Place,
}

/// What all listeners share.
pub(super) struct Door {
    keys: Mutex<Arc<Keys>>,
    places: Arc<Places>,
    half_open: Arc<Places>,
    commands: mpsc::Sender<Command>,
    bell: Arc<Bell>,
    /// Connections refused because there were too many.
    pub(super) refused: AtomicU64,
    /// TLS handshakes that failed or were given up.
    pub(super) failed: AtomicU64,
}

impl Door {
    pub(super) fn new(keys: Arc<Keys>, commands: mpsc::Sender<Command>, bell: Arc<Bell>) -> Arc<Door> {
        Arc::new(Door {
            keys: Mutex::new(keys),
            places: Places::new(limits::RELAY_STREAMS, limits::RELAY_STREAMS_PER_HOST),
            half_open: Places::new(limits::HALF_OPEN, limits::HALF_OPEN_PER_HOST),
            commands,
            bell,
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// For handshakes from now on.
    pub(super) fn set_keys(&self, keys: Arc<Keys>) {
        *self.keys.lock().expect("nobody panics while copying") = keys;
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys.lock().expect("nobody panics while copying").clone()
    }

    async fn hand_over(&self, socket: tokio::net::TcpStream, session: Option<Session>, from: SocketAddr, place: Place) {
        let into_std = || -> io::Result<TcpStream> {
            socket.set_nodelay(true)?;
            SockRef::from(&socket).set_tcp_keepalive(&KEEP_ALIVE)?;
            socket.into_std()
        };
        // One that is gone already is nobody's loss.
        let Ok(socket) = into_std() else { return };
        let came = Came {
            socket,
            session,
            from,
            place,
        };
        if self.commands.send(Command::Stream(Box::new(came))).await.is_ok() {
            self.bell.ring();
        }
    }
}

/// Accepts for ever.
pub(super) async fn accept(listener: TcpListener, transport: Transport, door: Arc<Door>) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // Out of descriptors: give others a chance to close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(place) = door.places.take(from.ip()) else {
            door.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        if !transport.is_secure() {
            door.hand_over(stream, None, from, place).await;
            continue;
        }
        let Some(half_open) = door.half_open.take(from.ip()) else {
            door.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let door = door.clone();
        tokio::spawn(async move {
            let shaken = timeout(limits::HANDSHAKE, door.keys().accept_by_hand(stream)).await;
            drop(half_open);
            match shaken {
                Ok(Ok((socket, session))) => door.hand_over(socket, Some(session), from, place).await,
                Ok(Err(_)) | Err(_) => {
                    door.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
}
