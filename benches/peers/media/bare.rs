//! The least that a relay can do: for each packet epoll, recvfrom, sendto, on one thread. With `opus` or `fec`, libopus between them: what G.711 <-> Opus
//! costs without anything around it.

use super::content::{FRAME, encoder};
use codecs::{g711, opus};
use rustix::event::epoll;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

/// Its ports begin here; each call has two.
const FIRST: u16 = 10_000;
/// Sockets looked at in one turn.
const READY: usize = 256;

/// The ports of a call: towards the caller, towards the called side.
pub fn ports(peer: Ipv4Addr, call: usize) -> [SocketAddrV4; 2] {
    let port = FIRST + u16::try_from(call * 4).expect("few calls");
    [SocketAddrV4::new(peer, port), SocketAddrV4::new(peer, port + 2)]
}

/// The payload type of Opus here.
pub const OPUS: u8 = 96;

/// A call.
struct Pair {
    sockets: [UdpSocket; 2],
    /// Of the called side's Opus.
    library: Option<(opus::Encoder, opus::Decoder)>,
}

/// `peer calls relay|opus|fec caller called`, the last two being where both sides are.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let [peer, calls, kind, caller, called] = arguments else {
        return Err("it is started by the bench".to_owned());
    };
    let wrong = "an argument that is none of the bench's";
    let peer: Ipv4Addr = peer.parse().map_err(|_| wrong)?;
    let calls: usize = calls.parse().map_err(|_| wrong)?;
    let sides: [SocketAddrV4; 2] = [caller.parse().map_err(|_| wrong)?, called.parse().map_err(|_| wrong)?];
    turn(peer, calls, kind, sides).map_err(|error| error.to_string())
}

fn turn(peer: Ipv4Addr, calls: usize, kind: &str, sides: [SocketAddrV4; 2]) -> std::io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut pairs = Vec::with_capacity(calls);
    for call in 0..calls {
        let [a, b] = ports(peer, call);
        let sockets = [UdpSocket::bind(a)?, UdpSocket::bind(b)?];
        for (side, socket) in sockets.iter().enumerate() {
            let data = epoll::EventData::new_u64((call * 2 + side) as u64);
            epoll::add(&epoll, socket, data, epoll::EventFlags::IN)?;
        }
        let library = (kind != "relay").then(|| {
            let decoder = opus::Decoder::new(8_000).expect("a valid rate");
            (encoder(kind == "fec"), decoder)
        });
        pairs.push(Pair { sockets, library });
    }
    let mut ready = Vec::with_capacity(READY);
    let mut packet = [0; 2_048];
    loop {
        ready.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), None)?;
        for event in &ready {
            let token = event.data.u64() as usize;
            let (pair, side) = (&mut pairs[token / 2], token % 2);
            let (mut length, _) = pair.sockets[side].recv_from(&mut packet)?;
            if let Some(library) = &mut pair.library {
                length = library_alone(library, side, &mut packet, length);
            }
            pair.sockets[1 - side].send_to(&packet[..length], sides[1 - side])?;
        }
    }
}

/// A packet's frame by libopus, behind a header of 12 octets.
fn library_alone(
    (encoder, decoder): &mut (opus::Encoder, opus::Decoder),
    from: usize,
    packet: &mut [u8],
    length: usize,
) -> usize {
    let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
    let mut pcm = [0; FRAME];
    let (timestamp, payload_type, octets) = if from == 0 {
        g711::decode_alaw_slice(&packet[12..length], &mut pcm);
        let octets = encoder.encode(&pcm, &mut packet[12..]).unwrap_or(0);
        (timestamp.wrapping_mul(6), OPUS, octets)
    } else {
        let samples = decoder.decode(&packet[12..length], &mut pcm).unwrap_or(0);
        let octets = g711::encode_alaw_slice(&pcm[..samples], &mut packet[12..]);
        (timestamp / 6, 8, octets)
    };
    packet[1] = payload_type;
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
    12 + octets
}
