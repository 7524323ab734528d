//! One STUN message (RFC 8489 5, 14): read, and written.
//!
//! ```text
//!  0                   1                   2                   3
//! |0 0|     method and class      |       length of attributes      |
//! |                    magic cookie 0x2112A442                      |
//! |                    transaction, 96 bits                         |
//! |     type of an attribute      |  its length  | value, filled up to 4 octets ...
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// The method Binding.
pub const BINDING: u16 = 0x001;

/// The methods of TURN (RFC 8656 17, RFC 6062 6.1).
pub mod method {
    #![allow(missing_docs)]
    pub const ALLOCATE: u16 = 0x003;
    pub const REFRESH: u16 = 0x004;
    pub const SEND: u16 = 0x006;
    pub const DATA: u16 = 0x007;
    pub const CREATE_PERMISSION: u16 = 0x008;
    pub const CHANNEL_BIND: u16 = 0x009;
    pub const CONNECT: u16 = 0x00a;
    pub const CONNECTION_BIND: u16 = 0x00b;
    pub const CONNECTION_ATTEMPT: u16 = 0x00c;
}

/// Octets of the header.
pub const HEADER: usize = 20;
pub(super) const COOKIE: u32 = 0x2112_a442;
/// What a fingerprint is xored with (RFC 8489 14.7), so that it is no CRC of another protocol.
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Attributes of a message that are looked at.
const ATTRIBUTES: usize = 32;

/// Types of attributes (RFC 8489 18.3, RFC 8656 18, RFC 6062 6.2).
pub mod kind {
    #![allow(missing_docs)]
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub const CHANNEL_NUMBER: u16 = 0x000c;
    pub const LIFETIME: u16 = 0x000d;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub const EVEN_PORT: u16 = 0x0018;
    pub const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub const DONT_FRAGMENT: u16 = 0x001a;
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub const PASSWORD_ALGORITHM: u16 = 0x001d;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const RESERVATION_TOKEN: u16 = 0x0022;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const CONNECTION_ID: u16 = 0x002a;
    pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
    pub const SOFTWARE: u16 = 0x8022;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
}

/// The class of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// The answer.
    Success,
    /// The answer, with an error.
    Error,
}

impl Class {
    const fn bits(self) -> u16 {
        match self {
            Class::Request => 0b00,
            Class::Indication => 0b01,
            Class::Success => 0b10,
            Class::Error => 0b11,
        }
    }

    const fn of(bits: u16) -> Class {
        match bits & 0b11 {
            0b00 => Class::Request,
            0b01 => Class::Indication,
            0b10 => Class::Success,
            _ => Class::Error,
        }
    }
}

/// An error and its reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub u16, pub &'static str);

impl ErrorCode {
    /// 400 (RFC 8489 14.8, as the next three).
    pub const BAD_REQUEST: ErrorCode = ErrorCode(400, "Bad Request");
    /// 401.
    pub const UNAUTHENTICATED: ErrorCode = ErrorCode(401, "Unauthenticated");
    /// 420.
    pub const UNKNOWN_ATTRIBUTE: ErrorCode = ErrorCode(420, "Unknown Attribute");
    /// 438.
    pub const STALE_NONCE: ErrorCode = ErrorCode(438, "Stale Nonce");
    /// 403 (RFC 8656 19, as those that follow).
    pub const FORBIDDEN: ErrorCode = ErrorCode(403, "Forbidden");
    /// 437.
    pub const ALLOCATION_MISMATCH: ErrorCode = ErrorCode(437, "Allocation Mismatch");
    /// 440.
    pub const FAMILY_NOT_SUPPORTED: ErrorCode = ErrorCode(440, "Address Family not Supported");
    /// 441.
    pub const WRONG_CREDENTIALS: ErrorCode = ErrorCode(441, "Wrong Credentials");
    /// 442.
    pub const UNSUPPORTED_TRANSPORT: ErrorCode = ErrorCode(442, "Unsupported Transport Protocol");
    /// 443.
    pub const FAMILY_MISMATCH: ErrorCode = ErrorCode(443, "Peer Address Family Mismatch");
    /// 446 (RFC 6062 6.3, as the next one).
    pub const CONNECTION_EXISTS: ErrorCode = ErrorCode(446, "Connection Already Exists");
    /// 447.
    pub const CONNECTION_FAILED: ErrorCode = ErrorCode(447, "Connection Timeout or Failure");
    /// 500 (RFC 8489 14.8): it may be asked again.
    pub const SERVER_ERROR: ErrorCode = ErrorCode(500, "Server Error");
    /// 486.
    pub const QUOTA_REACHED: ErrorCode = ErrorCode(486, "Allocation Quota Reached");
    /// 508.
    pub const INSUFFICIENT_CAPACITY: ErrorCode = ErrorCode(508, "Insufficient Capacity");
}

/// A message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its class.
    pub class: Class,
    /// Its method.
    pub method: u16,
    /// Its transaction.
    pub transaction: [u8; 12],
    pub(super) octets: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads what came; nothing for what is no STUN message, or none that is whole (RFC 8489 6.3).
    pub fn parse(octets: &'a [u8]) -> Option<Message<'a>> {
        let header = octets.first_chunk::<HEADER>()?;
        let (kind, length) = (u16_at(header, 0)?, usize::from(u16_at(header, 2)?));
        let is_stun = kind & 0xc000 == 0 && header[4..8] == COOKIE.to_be_bytes();
        if !is_stun || length % 4 != 0 || length != octets.len() - HEADER {
            return None;
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&header[8..]);
        let message = Message {
            class: Class::of((kind >> 4 & 1) | (kind >> 7 & 0b10)),
            method: (kind & 0x000f) | (kind >> 1 & 0x0070) | (kind >> 2 & 0x0f80),
            transaction,
            octets,
        };
        let whole = message
            .attributes()
            .map(|(_, value)| HEADER_OF_ATTRIBUTE + padded(value.len()));
        (whole.sum::<usize>() == length).then_some(message)
    }

    /// Type and value of each attribute, in order.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = &self.octets[HEADER..];
        let next = move || {
            let (kind, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
            let value = rest.get(HEADER_OF_ATTRIBUTE..HEADER_OF_ATTRIBUTE + length)?;
            rest = rest.get(HEADER_OF_ATTRIBUTE + padded(length)..)?;
            Some((kind, value))
        };
        std::iter::from_fn(next).take(ATTRIBUTES)
    }

    /// The first attribute of a type.
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(own, _)| *own == kind).map(|(_, value)| value)
    }

    /// Where the value of the first attribute of a type lies.
    pub fn place(&self, kind: u16) -> Option<Range<usize>> {
        let mut at = HEADER;
        for (own, value) in self.attributes() {
            let start = at + HEADER_OF_ATTRIBUTE;
            if own == kind {
                return Some(start..start + value.len());
            }
            at = start + padded(value.len());
        }
        None
    }

    /// Those that integrity covers; what stands behind it is ignored (RFC 8489 14.5).
    pub fn covered(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let seals = [kind::MESSAGE_INTEGRITY, kind::MESSAGE_INTEGRITY_SHA256];
        self.attributes().take_while(move |(kind, _)| !seals.contains(kind))
    }

    /// The first of these of a type.
    pub fn covers(&self, kind: u16) -> Option<&'a [u8]> {
        self.covered().find(|(own, _)| *own == kind).map(|(_, value)| value)
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 14.2).
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.unxored(self.get(kind::XOR_MAPPED_ADDRESS)?)
    }

    /// The address in a value that is written as XOR-MAPPED-ADDRESS is.
    pub fn unxored(&self, value: &[u8]) -> Option<SocketAddr> {
        let port = u16_at(value, 2)? ^ (COOKIE >> 16) as u16;
        let ip = match (value.get(1)?, value.get(4..)?) {
            (1, address) => {
                let address = u32::from_be_bytes(address.try_into().ok()?);
                IpAddr::V4(Ipv4Addr::from(address ^ COOKIE))
            }
            (2, address) => {
                let address = u128::from_be_bytes(address.try_into().ok()?);
                IpAddr::V6(Ipv6Addr::from(address ^ pad(&self.transaction)))
            }
            _other_family => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// Whether its fingerprint is right; none where it has none. It is the last attribute (RFC 8489 14.7).
    pub fn fingerprint(&self) -> Option<bool> {
        let (last, value) = self.attributes().last()?;
        if last != kind::FINGERPRINT {
            return None;
        }
        let before = &self.octets[..self.octets.len() - HEADER_OF_ATTRIBUTE - value.len()];
        Some(value == (crc32(before) ^ FINGERPRINT_XOR).to_be_bytes())
    }

    /// Types that must be understood and are not (RFC 8489 14: those below 0x8000).
    pub fn unknown(&self) -> Vec<u16> {
        self.unknown_besides(&[])
    }

    /// The same for who understands these, too.
    pub fn unknown_besides(&self, more: &[u16]) -> Vec<u16> {
        const KNOWN: [u16; 10] = [
            kind::MAPPED_ADDRESS,
            kind::USERNAME,
            kind::MESSAGE_INTEGRITY,
            kind::ERROR_CODE,
            kind::UNKNOWN_ATTRIBUTES,
            kind::REALM,
            kind::NONCE,
            kind::MESSAGE_INTEGRITY_SHA256,
            kind::XOR_MAPPED_ADDRESS,
            kind::PRIORITY,
        ];
        let mut unknown: Vec<u16> = self.covered().map(|(kind, _)| kind).collect();
        unknown.retain(|kind| *kind < 0x8000 && !KNOWN.contains(kind) && !more.contains(kind));
        unknown.dedup();
        unknown
    }
}

/// Octets of an attribute before its value.
pub const HEADER_OF_ATTRIBUTE: usize = 4;

/// A message that is written.
#[derive(Debug)]
pub struct Writer {
    pub(super) octets: Vec<u8>,
    transaction: [u8; 12],
}

impl Writer {
    /// A message without attributes.
    pub fn new(class: Class, method: u16, transaction: [u8; 12]) -> Writer {
        let class = class.bits();
        let method = (method & 0x000f) | (method & 0x0070) << 1 | (method & 0x0f80) << 2;
        let kind = method | (class & 1) << 4 | (class & 0b10) << 7;
        let mut octets = Vec::with_capacity(96);
        octets.extend(kind.to_be_bytes());
        octets.extend([0, 0]);
        octets.extend(COOKIE.to_be_bytes());
        octets.extend(transaction);
        Writer { octets, transaction }
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.octets.extend(kind.to_be_bytes());
        self.octets.extend(length.to_be_bytes());
        self.octets.extend_from_slice(&value[..usize::from(length)]);
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
        self.set_length(0);
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 14.2).
    pub fn xor_mapped_address(&mut self, address: SocketAddr) {
        self.xor_address(kind::XOR_MAPPED_ADDRESS, address);
    }

    /// An address in the same form.
    pub fn xor_address(&mut self, kind: u16, address: SocketAddr) {
        let port = address.port() ^ (COOKIE >> 16) as u16;
        let mut value = vec![0, if address.is_ipv4() { 1 } else { 2 }];
        value.extend(port.to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => value.extend((u32::from(ip) ^ COOKIE).to_be_bytes()),
            IpAddr::V6(ip) => value.extend((u128::from(ip) ^ pad(&self.transaction)).to_be_bytes()),
        }
        self.attribute(kind, &value);
    }

    /// ERROR-CODE (RFC 8489 14.8).
    pub fn error(&mut self, ErrorCode(code, phrase): ErrorCode) {
        let class_and_number = [(code / 100) as u8, (code % 100) as u8];
        let value = [&[0, 0][..], &class_and_number, phrase.as_bytes()].concat();
        self.attribute(kind::ERROR_CODE, &value);
    }

    /// UNKNOWN-ATTRIBUTES (RFC 8489 14.9).
    pub fn unknown_attributes(&mut self, kinds: &[u16]) {
        let value: Vec<u8> = kinds.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        self.attribute(kind::UNKNOWN_ATTRIBUTES, &value);
    }

    /// SOFTWARE (RFC 8489 14.14).
    pub fn software(&mut self, name: &str) {
        self.attribute(kind::SOFTWARE, name.as_bytes());
    }

    /// FINGERPRINT (RFC 8489 14.7), the last attribute: the length in the header counts it already.
    pub fn fingerprint(&mut self) {
        self.set_length(HEADER_OF_ATTRIBUTE + 4);
        let crc = crc32(&self.octets) ^ FINGERPRINT_XOR;
        self.attribute(kind::FINGERPRINT, &crc.to_be_bytes());
    }

    pub(super) fn set_length(&mut self, more: usize) {
        let length = u16::try_from(self.octets.len() - HEADER + more).unwrap_or(u16::MAX);
        self.octets[2..4].copy_from_slice(&length.to_be_bytes());
    }

    /// The octets to send.
    pub fn finish(self) -> Vec<u8> {
        self.octets
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

/// What an IPv6 address is xored with: the cookie and the transaction.
pub(super) fn pad(transaction: &[u8; 12]) -> u128 {
    let mut pad = [0; 16];
    pad[..4].copy_from_slice(&COOKIE.to_be_bytes());
    pad[4..].copy_from_slice(transaction);
    u128::from_be_bytes(pad)
}

/// The CRC-32 of ITU V.42, which RFC 8489 14.7 names.
fn crc32(octets: &[u8]) -> u32 {
    let step = |crc: u32, octet: &u8| (crc >> 8) ^ CRCS[usize::from(crc as u8 ^ octet)];
    !octets.iter().fold(!0, step)
}

/// The CRC of each octet.
const CRCS: [u32; 256] = {
    let mut crcs = [0; 256];
    let mut octet = 0;
    while octet < crcs.len() {
        let (mut crc, mut bit) = (octet as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        crcs[octet] = crc;
        octet += 1;
    }
    crcs
};
