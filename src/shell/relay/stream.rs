//! One stream connection of a client: what has come of a message, and what its socket does not take yet.

use crate::limits;
use crate::relay::ConnectionId;
use crate::shell::net::{Place, Session};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A connection whose handshake is over.
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    session: Option<Session>,
    pub(super) from: SocketAddr,
    /// The beginning of a message.
    pub(super) inbox: Vec<u8>,
    /// Whole messages, or the rest of one, in the clear.
    outbox: Vec<u8>,
    /// The socket has taken all that it takes.
    blocked: bool,
    /// In which turn of the thread it was read.
    pub(super) turn: u64,
    /// To which connection with a peer.
    pub(super) joined: Option<ConnectionId>,
    _place: Place,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The socket has it.
    Whole,
    /// It waits until the socket takes more.
    Waits,
    /// Too much waits already.
    Dropped,
    /// The connection is of no use any more.
    Broken,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, session: Option<Session>, from: SocketAddr, place: Place) -> Stream {
        Stream {
            socket,
            session,
            from,
            inbox: Vec::new(),
            outbox: Vec::new(),
            blocked: false,
            turn: 0,
            joined: None,
            _place: place,
        }
    }

    /// True if something waits for the socket to take it.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Zero is the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.socket.read(into),
            Some(session) => session.read(&mut self.socket, into),
        }
    }

    /// Sends a message whole, now or later, or not at all.
    pub(super) fn send(&mut self, message: &[u8]) -> Sent {
        if self.blocked {
            if self.outbox.len() + message.len() > limits::RELAY_BACKLOG_BYTES {
                return Sent::Dropped;
            }
            self.outbox.extend_from_slice(message);
            return Sent::Waits;
        }
        match self.write(message) {
            Ok(()) if self.blocked => Sent::Waits,
            Ok(()) => Sent::Whole,
            Err(_) => Sent::Broken,
        }
    }

    fn write(&mut self, message: &[u8]) -> io::Result<()> {
        match &mut self.session {
            None => {
                let taken = match self.socket.write(message) {
                    Ok(taken) => taken,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(error) => return Err(error),
                };
                self.outbox.extend_from_slice(&message[taken..]);
                self.blocked = !self.outbox.is_empty();
            }
            Some(session) => {
                session.write(message)?;
                self.blocked = !session.flush(&mut self.socket)?;
            }
        }
        Ok(())
    }

    /// The socket takes more; true if nothing waits any longer.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if let Some(session) = &mut self.session
            && !session.flush(&mut self.socket)?
        {
            return Ok(false);
        }
        self.blocked = false;
        let waiting = std::mem::take(&mut self.outbox);
        if !waiting.is_empty() {
            self.write(&waiting)?;
        }
        if self.outbox.is_empty() {
            // Its room is used again.
            self.outbox = waiting;
            self.outbox.clear();
        }
        Ok(!self.blocked)
    }
}
