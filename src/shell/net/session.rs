//! A connection under TLS that is served by hand once its handshake is over: nothing here waits.

use rustls::ServerConnection;
use std::io::{self, Read, Write};

/// Its keys, and what is on its way through them.
#[derive(Debug)]
pub struct Session(Box<ServerConnection>);

impl Session {
    pub(super) fn new(mut connection: ServerConnection) -> Session {
        // How much waits is bounded by who writes: a part of a message is of no use.
        connection.set_buffer_limit(None);
        Session(Box::new(connection))
    }

    /// Reads what has come, in the clear. Zero: the peer has ended it.
    pub fn read(&mut self, socket: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if self.0.read_tls(socket)? == 0 {
                return Ok(0);
            }
            self.0.process_new_packets().map_err(|_| io::ErrorKind::InvalidData)?;
        }
    }

    /// Takes octets to be sent.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.writer().write_all(octets)
    }

    /// Hands over what the socket takes now; true if that was all.
    pub fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while self.0.wants_write() {
            match self.0.write_tls(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
