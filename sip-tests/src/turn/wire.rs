//! STUN messages of the peers, and the hashes that they need.

use md5::{Digest, Md5};
use sha2::Sha256;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// RFC 8489 5.
pub const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Types of messages: a request of this method, and what it may get.
pub mod kind {
    #![allow(missing_docs)]
    pub const BINDING: u16 = 0x0001;
    pub const ALLOCATE: u16 = 0x0003;
    pub const REFRESH: u16 = 0x0004;
    pub const CREATE_PERMISSION: u16 = 0x0008;
    pub const CHANNEL_BIND: u16 = 0x0009;
    pub const CONNECT: u16 = 0x000a;
    pub const CONNECTION_BIND: u16 = 0x000b;
    /// As an indication.
    pub const CONNECTION_ATTEMPT: u16 = 0x001c;
    pub const SEND: u16 = 0x0016;
    pub const DATA: u16 = 0x0017;
    pub const SUCCESS: u16 = 0x0100;
    pub const ERROR: u16 = 0x0110;
}

/// Types of attributes.
pub mod attr {
    #![allow(missing_docs)]
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN: u16 = 0x000a;
    pub const CHANNEL: u16 = 0x000c;
    pub const LIFETIME: u16 = 0x000d;
    pub const PEER: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const RELAYED: u16 = 0x0016;
    pub const FAMILY: u16 = 0x0017;
    pub const EVEN_PORT: u16 = 0x0018;
    pub const TRANSPORT: u16 = 0x0019;
    pub const DONT_FRAGMENT: u16 = 0x001a;
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub const PASSWORD_ALGORITHM: u16 = 0x001d;
    pub const USERHASH: u16 = 0x001e;
    pub const MAPPED: u16 = 0x0020;
    pub const TOKEN: u16 = 0x0022;
    pub const CONNECTION_ID: u16 = 0x002a;
    pub const SECOND_FAMILY: u16 = 0x8000;
    pub const FAMILY_ERROR: u16 = 0x8001;
    pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
    pub const FINGERPRINT: u16 = 0x8028;
}

/// A message in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Class and method as they are written.
    pub kind: u16,
    /// Which.
    pub transaction: [u8; 12],
    /// In order.
    pub attributes: Vec<(u16, Vec<u8>)>,
    /// As it came.
    pub octets: Vec<u8>,
}

/// How a message is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// MESSAGE-INTEGRITY.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

impl Raw {
    /// Without attributes.
    pub fn new(kind: u16, transaction: [u8; 12]) -> Raw {
        Raw {
            kind,
            transaction,
            attributes: Vec::new(),
            octets: Vec::new(),
        }
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Raw {
        self.attributes.push((kind, value.to_vec()));
        self
    }

    /// With an address, xored.
    #[must_use]
    pub fn with_address(self, kind: u16, address: SocketAddr) -> Raw {
        let value = xored(address, &self.transaction);
        self.with(kind, &value)
    }

    /// The first attribute of a type.
    pub fn get(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|(own, _)| *own == kind);
        found.map(|(_, value)| &**value)
    }

    /// All addresses of a type.
    pub fn addresses(&self, kind: u16) -> Vec<SocketAddr> {
        let own = self.attributes.iter().filter(|(own, _)| *own == kind);
        own.map(|(_, value)| unxored(value, &self.transaction).expect("an address"))
            .collect()
    }

    /// 401 and the like; none of what is no error.
    pub fn error(&self) -> Option<u16> {
        let value = self.get(attr::ERROR_CODE)?;
        Some(u16::from(value[2] & 7) * 100 + u16::from(value[3]))
    }

    /// A number of four octets.
    pub fn number(&self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// As it goes out: sealed, with a fingerprint.
    pub fn write(&self, seal: Option<(Hash, &[u8])>, fingerprint: bool) -> Vec<u8> {
        let mut out = self.kind.to_be_bytes().to_vec();
        out.extend([0, 0]);
        out.extend(COOKIE);
        out.extend(self.transaction);
        for (kind, value) in &self.attributes {
            add(&mut out, *kind, value);
        }
        if let Some((hash, key)) = seal {
            let (kind, length) = match hash {
                Hash::Sha1 => (attr::MESSAGE_INTEGRITY, 20),
                Hash::Sha256 => (attr::MESSAGE_INTEGRITY_SHA256, 32),
            };
            let told = out.len() - 20 + 4 + length;
            out[2..4].copy_from_slice(&(told as u16).to_be_bytes());
            let mac = hmac(hash, key, &out);
            add(&mut out, kind, &mac);
        }
        if fingerprint {
            let told = out.len() - 20 + 8;
            out[2..4].copy_from_slice(&(told as u16).to_be_bytes());
            let crc = crc32(&out) ^ 0x5354_554e;
            add(&mut out, attr::FINGERPRINT, &crc.to_be_bytes());
        }
        out
    }

    /// What came.
    pub fn read(octets: &[u8]) -> Option<Raw> {
        let told = usize::from(u16::from_be_bytes([*octets.get(2)?, *octets.get(3)?]));
        if octets[0] >> 6 != 0 || octets.len() != told + 20 || octets[4..8] != COOKIE {
            return None;
        }
        let mut raw = Raw::new(
            u16::from_be_bytes([octets[0], octets[1]]),
            octets[8..20].try_into().ok()?,
        );
        raw.octets = octets.to_vec();
        let mut rest = &octets[20..];
        while !rest.is_empty() {
            let kind = u16::from_be_bytes([rest[0], *rest.get(1)?]);
            let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
            raw.attributes.push((kind, rest.get(4..4 + length)?.to_vec()));
            rest = rest.get(4 + length.next_multiple_of(4)..)?;
        }
        Some(raw)
    }

    /// Whether what came is sealed by this key, and how; none without a seal. Panics where it is sealed by another one.
    pub fn seal(&self, key: &[u8]) -> Option<Hash> {
        let mut at = 20;
        for (kind, value) in &self.attributes {
            let hash = match *kind {
                attr::MESSAGE_INTEGRITY => Some(Hash::Sha1),
                attr::MESSAGE_INTEGRITY_SHA256 => Some(Hash::Sha256),
                _other => None,
            };
            if let Some(hash) = hash {
                let mut text = self.octets[..at].to_vec();
                text[2..4].copy_from_slice(&((at - 20 + 4 + value.len()) as u16).to_be_bytes());
                assert_eq!(hmac(hash, key, &text), *value, "the answer is sealed by another key");
                return Some(hash);
            }
            at += 4 + value.len().next_multiple_of(4);
        }
        None
    }

    /// Whether what came ends with a fingerprint. Panics where that is wrong.
    pub fn fingerprint(&self) -> bool {
        let Some((attr::FINGERPRINT, value)) = self.attributes.last() else {
            return false;
        };
        let before = &self.octets[..self.octets.len() - 8];
        assert_eq!((crc32(before) ^ 0x5354_554e).to_be_bytes(), value[..]);
        true
    }
}

fn add(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    let told = (out.len() - 20) as u16;
    out[2..4].copy_from_slice(&told.to_be_bytes());
}

/// XOR-MAPPED-ADDRESS and its like.
pub fn xored(address: SocketAddr, transaction: &[u8; 12]) -> Vec<u8> {
    let (family, ip) = match address.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let pad: Vec<u8> = COOKIE.iter().chain(transaction).copied().collect();
    let mut value = vec![0, family];
    value.extend(address.port().to_be_bytes().iter().zip(&pad).map(|(a, b)| a ^ b));
    value.extend(ip.iter().zip(&pad).map(|(a, b)| a ^ b));
    value
}

/// The address in it.
pub fn unxored(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let pad: Vec<u8> = COOKIE.iter().chain(transaction).copied().collect();
    let clear = |octets: &[u8]| -> Vec<u8> { octets.iter().zip(&pad).map(|(a, b)| a ^ b).collect() };
    let port = clear(value.get(2..4)?);
    let ip = clear(&value[4..]);
    let ip = match value[1] {
        1 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
        2 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
        _other => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]])))
}

/// The key of a long term (RFC 8489 9.2.2, 18.5.1).
pub fn long_term(sha256: bool, user: &str, realm: &str, password: &str) -> Vec<u8> {
    let text = format!("{user}:{realm}:{password}");
    match sha256 {
        true => Sha256::digest(text).to_vec(),
        false => Md5::digest(text).to_vec(),
    }
}

/// RFC 2104.
pub fn hmac(hash: Hash, key: &[u8], text: &[u8]) -> Vec<u8> {
    let digest = |octets: &[u8]| match hash {
        Hash::Sha1 => sha1(octets).to_vec(),
        Hash::Sha256 => Sha256::digest(octets).to_vec(),
    };
    let mut block = if key.len() > 64 { digest(key) } else { key.to_vec() };
    block.resize(64, 0);
    let pad = |with: u8| -> Vec<u8> { block.iter().map(|octet| octet ^ with).collect() };
    let inner = digest(&[pad(0x36), text.to_vec()].concat());
    digest(&[pad(0x5c), inner].concat())
}

/// RFC 3174.
pub fn sha1(text: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = text.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((text.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words: Vec<u32> = block
            .chunks(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        for at in 16..80 {
            let word = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words.push(word.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (f, k) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, new) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(new);
        }
    }
    let mut out = [0; 20];
    for (octets, word) in out.chunks_mut(4).zip(state) {
        octets.copy_from_slice(&word.to_be_bytes());
    }
    out
}

fn crc32(octets: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for octet in octets {
        crc ^= u32::from(*octet);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// A ChannelData message as it goes by a datagram, or filled up as on a stream.
pub fn channel_data(number: u16, data: &[u8], stream: bool) -> Vec<u8> {
    let mut out = number.to_be_bytes().to_vec();
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
    if stream {
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3174 7.3, RFC 2202 3 (case 2), RFC 4231 4.3.
    #[test]
    fn hashes_are_those_of_the_rfcs() {
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        assert_eq!(hex(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(&sha1(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
        let text = b"what do ya want for nothing?";
        assert_eq!(
            hex(&hmac(Hash::Sha1, b"Jefe", text)),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert_eq!(
            hex(&hmac(Hash::Sha256, b"Jefe", text)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
