//! A tap on the loopback: hears what arrives at a phone's RTP ports, beside the phone.

use super::ear::Ear;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Room for the packets of a second, while the machine is busy.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// How often the thread looks whether the tap is closed.
const LOOK: Duration = Duration::from_millis(100);

/// An open tap; dropping it closes it.
pub struct Tap {
    /// What the phone hears.
    pub ear: Ear,
    stop: Arc<AtomicBool>,
}

impl Tap {
    /// Hears the UDP packets to these ports of 127.0.0.1. Needs CAP_NET_RAW: without it there is none, and what the phone
    /// writes down itself is the proof.
    pub fn open(first: u16, last: u16) -> Option<Tap> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).ok()?;
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .expect("a raw socket has no port");
        socket
            .set_recv_buffer_size(BUFFER_BYTES)
            .expect("the system cuts it to what it allows");
        socket.set_read_timeout(Some(LOOK)).expect("it is not zero");
        let (ear, stop) = (Ear::new(), Arc::new(AtomicBool::new(false)));
        let (heard, stopped) = (ear.clone(), stop.clone());
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok(count) = (&socket).read(&mut buffer) else {
                    continue;
                };
                if let Some((port, payload)) = datagram(&buffer[..count])
                    && (first..=last).contains(&port)
                    && port % 2 == 0
                {
                    heard.take(payload);
                }
            }
        });
        Some(Tap { ear, stop })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The destination port and the payload of an IPv4 packet (RFC 791 3.1) that holds UDP (RFC 768).
fn datagram(packet: &[u8]) -> Option<(u16, &[u8])> {
    let header = 4 * usize::from(packet.first()? & 15);
    let (udp, payload) = packet.get(header..)?.split_at_checked(8)?;
    Some((u16::from_be_bytes([udp[2], udp[3]]), payload))
}
