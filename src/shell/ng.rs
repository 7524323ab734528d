//! The socket of NG (`ng.listen`). A task of its own fetches what comes, so that it wakes the signalling loop as connections do; answers
//! leave from the loop.

use super::net;
use crate::config::Listen;
use crate::id::Transport;
use crate::limits;
use bytes::Bytes;
use std::net::{SocketAddr, UdpSocket};
use tokio::sync::mpsc;
use tracing::debug;

/// A command, and who sent it.
pub type Datagram = (SocketAddr, Bytes);

/// What answers leave by; without it, NG is not taken.
#[derive(Default)]
pub struct NgSocket(Option<UdpSocket>);

impl NgSocket {
    /// Opens the socket, if one is configured. Must run within a tokio runtime. The error is a sentence for the operator.
    pub fn open(listen: Option<SocketAddr>) -> Result<(NgSocket, mpsc::Receiver<Datagram>), String> {
        let (sender, receiver) = mpsc::channel(limits::NG_QUEUE);
        let Some(listen) = listen else {
            return Ok((NgSocket::default(), receiver));
        };
        let door = Listen {
            transport: Transport::Udp,
            addr: listen,
        };
        let failed = |error: std::io::Error| net::explain(&error, door, "ng.listen");
        let socket = UdpSocket::bind(listen).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let reader = tokio::net::UdpSocket::from_std(socket.try_clone().map_err(failed)?).map_err(failed)?;
        tokio::spawn(fetch(reader, sender));
        Ok((NgSocket(Some(socket)), receiver))
    }

    /// Where it is taken, if it is.
    pub fn bound(&self) -> Option<SocketAddr> {
        self.0.as_ref()?.local_addr().ok()
    }

    /// Sends an answer. One that the system does not take is lost: its command comes again.
    pub fn send(&self, peer: SocketAddr, answer: &[u8]) {
        if let Some(Err(error)) = self.0.as_ref().map(|socket| socket.send_to(answer, peer)) {
            debug!("an answer of NG to {peer} was not sent: {error}");
        }
    }
}

/// While the queue is full, what comes waits in the socket, and is dropped there if it is too much.
async fn fetch(socket: tokio::net::UdpSocket, sender: mpsc::Sender<Datagram>) {
    let mut buffer = vec![0; limits::NG_MESSAGE_BYTES];
    loop {
        // An error is that of an answer before (its port is closed) and says nothing of what comes next.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if sender
            .send((peer, Bytes::copy_from_slice(&buffer[..length])))
            .await
            .is_err()
        {
            return;
        }
    }
}
