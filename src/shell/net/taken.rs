//! Who holds a port: what /proc tells, for the sentence that a failed start prints.

use crate::id::Transport;
use std::fs;
use std::net::{IpAddr, SocketAddr};

/// The program that listens on this port, as `name (pid 4711)`; `None` where it belongs to somebody whom we may not see.
pub(super) fn holder(transport: Transport, addr: SocketAddr) -> Option<String> {
    let inodes = inodes(transport, addr);
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().to_string_lossy().parse::<u32>().ok();
        let (Some(pid), Ok(files)) = (pid, fs::read_dir(process.path().join("fd"))) else {
            continue;
        };
        for file in files.flatten() {
            let Ok(target) = fs::read_link(file.path()) else {
                continue;
            };
            let target = target.to_string_lossy().into_owned();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            if inode.is_some_and(|inode| inodes.iter().any(|known| known == inode)) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("{} (pid {pid})", name.trim()));
            }
        }
    }
    None
}

/// The inodes of sockets that stand in the way of an address: `/proc/net/udp` and its kin.
fn inodes(transport: Transport, addr: SocketAddr) -> Vec<String> {
    let tables = match transport {
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let mut found = Vec::new();
    for table in tables {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Field 3 is the state: 0A is a listening TCP socket.
            let listens = transport == Transport::Udp || fields.get(3) == Some(&"0A");
            let bound = fields.get(1).and_then(|local| address(local));
            if listens && bound.is_some_and(|bound| clash(bound, addr)) {
                found.extend(fields.get(9).map(|inode| (*inode).to_owned()));
            }
        }
    }
    found
}

/// Datagrams that the system dropped at this socket because nobody fetched them in time.
pub(super) fn dropped(bound: SocketAddr) -> u64 {
    let table = if bound.is_ipv4() {
        "/proc/net/udp"
    } else {
        "/proc/net/udp6"
    };
    let text = fs::read_to_string(table).unwrap_or_default();
    let lines = text
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = lines.filter(|fields| fields.get(1).and_then(|local| address(local)) == Some(bound));
    // The last field.
    ours.filter_map(|fields| fields.last()?.parse::<u64>().ok()).sum()
}

/// The same port at the same address, or at every address on one side.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// `0100007F:13C4` is 127.0.0.1:5060: words of 32 bits as this machine keeps them, and the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let mut octets = Vec::with_capacity(16);
    for at in (0..words.len()).step_by(8) {
        octets.extend(u32::from_str_radix(words.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernel_s_words_are_addresses() {
        let read = |text| address(text).map(|address| address.to_string());
        assert_eq!(read("0100007F:13C4").as_deref(), Some("127.0.0.1:5060"));
        assert_eq!(
            read("00000000000000000000000001000000:0016").as_deref(),
            Some("[::1]:22")
        );
        for text in ["", "0100007F", "01007F:0016", "0100007F:10000", "x100007F:0016"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_the_system_drops_is_counted_by_socket() {
        let socket = std::net::UdpSocket::bind("127.0.81.26:0").unwrap();
        let bound = socket.local_addr().unwrap();
        assert_eq!(dropped(bound), 0);
        // More than any buffer that a system gives by itself.
        for _ in 0..2_000 {
            socket.send_to(&[0; 8_192], bound).unwrap();
        }
        assert!(dropped(bound) > 0);
    }

    #[test]
    fn only_the_same_address_or_every_address_is_in_the_way() {
        let clash = |one: &str, other: &str| clash(one.parse().unwrap(), other.parse().unwrap());
        assert!(clash("127.0.0.1:5060", "127.0.0.1:5060"));
        assert!(clash("0.0.0.0:5060", "127.0.0.1:5060"));
        assert!(clash("127.0.0.1:5060", "0.0.0.0:5060"));
        assert!(!clash("127.0.0.2:5060", "127.0.0.1:5060"));
        assert!(!clash("0.0.0.0:5061", "127.0.0.1:5060"));
    }
}
