//! The addresses of this machine.

use nix::ifaddrs::getifaddrs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// All that its interfaces have now.
///
/// # Errors
/// The system's: it takes a descriptor to ask, and there may be none left.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = getifaddrs()?;
    let ip = |address: nix::sys::socket::SockaddrStorage| match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(IpAddr::from(Ipv4Addr::from_bits(v4.ip()))),
        (None, Some(v6)) => Some(IpAddr::from(v6.ip())),
        (None, None) => None,
    };
    Ok(interfaces
        .filter_map(|interface| interface.address.and_then(ip))
        .collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_is_among_them() {
        assert!(super::addresses().unwrap().contains(&"127.0.0.1".parse().unwrap()));
    }
}
