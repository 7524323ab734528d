//! Address ranges.

use std::fmt;
use std::net::IpAddr;

/// An address range: `198.51.100.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub addr: IpAddr,
    /// Prefix length.
    pub prefix: u8,
}

impl Network {
    /// True if the address lies within; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (network, width) = bits(self.addr);
        let (address, other) = bits(ip.to_canonical());
        width == other
            && (network ^ address)
                .checked_shr(u32::from(width - self.prefix.min(width)))
                .unwrap_or(0)
                == 0
    }

    /// True if one of the two contains the other.
    pub fn overlaps(&self, other: &Network) -> bool {
        let (wide, narrow) = if self.prefix <= other.prefix {
            (self, other)
        } else {
            (other, self)
        };
        wide.contains(narrow.addr)
    }

    /// The range of one address.
    pub fn single(ip: IpAddr) -> Network {
        let ip = ip.to_canonical();
        Network {
            addr: ip,
            prefix: bits(ip).1,
        }
    }
}

/// An address as a number, and how many bits it has.
fn bits(ip: IpAddr) -> (u128, u8) {
    match ip {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}
