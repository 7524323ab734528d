//! Who holds a port: what /proc tells, for the sentence that a failed start prints.

use crate::id::Transport;
use std::fs;
use std::net::SocketAddr;

/// The program that listens on this port, as `name (pid 4711)`; `None` where it belongs to somebody whom we may not see.
pub(super) fn holder(transport: Transport, addr: SocketAddr) -> Option<String> {
    let inodes = inodes(transport, addr.port());
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

/// The inodes of sockets bound to a port, whatever their address: `/proc/net/udp` and its kin.
fn inodes(transport: Transport, port: u16) -> Vec<String> {
    let tables = match transport {
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let suffix = format!(":{port:04X}");
    let mut found = Vec::new();
    for table in tables {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Field 3 is the state: 0A is a listening TCP socket.
            let listens = transport == Transport::Udp || fields.get(3) == Some(&"0A");
            if listens && fields.get(1).is_some_and(|local| local.ends_with(&suffix)) {
                found.extend(fields.get(9).map(|inode| (*inode).to_owned()));
            }
        }
    }
    found
}
