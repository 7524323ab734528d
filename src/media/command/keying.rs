//! How media is protected by SRTP, as plain values: what a description agrees on, and what a worker is given.

use crate::limits;
use crate::pii::SecretOctets;

/// A crypto suite: cipher, authentication and the lengths of keys (RFC 4568 6.2, RFC 6188 4.1, RFC 7714 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// AES-256 in Galois counter mode, tags of 16 octets.
    AeadAes256Gcm,
    /// AES-128 in Galois counter mode, tags of 16 octets.
    AeadAes128Gcm,
    /// AES-256 in counter mode, HMAC-SHA1 cut to 10 octets.
    Aes256CmSha1_80,
    /// The same; on RTP (not RTCP) cut to 4 octets.
    Aes256CmSha1_32,
    /// AES-128 in counter mode, HMAC-SHA1 cut to 10 octets: what every implementation has.
    AesCm128Sha1_80,
    /// The same; on RTP (not RTCP) cut to 4 octets.
    AesCm128Sha1_32,
}

impl Suite {
    /// All that are spoken: those that cut no tag short first, of these the strongest first.
    pub const ALL: [Suite; 6] = [
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm,
        Suite::Aes256CmSha1_80,
        Suite::AesCm128Sha1_80,
        Suite::Aes256CmSha1_32,
        Suite::AesCm128Sha1_32,
    ];

    /// Its tags on RTP are of 4 octets: of many forgeries one comes through.
    pub const fn is_short(self) -> bool {
        matches!(self, Suite::Aes256CmSha1_32 | Suite::AesCm128Sha1_32)
    }

    /// As it stands in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::Aes256CmSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::Aes256CmSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of a name, which is compared as RFC 4568 9.2 writes it: by case.
    pub fn named(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Octets of the master key.
    pub const fn key_octets(self) -> usize {
        match self {
            Suite::AeadAes256Gcm | Suite::Aes256CmSha1_80 | Suite::Aes256CmSha1_32 => 32,
            Suite::AeadAes128Gcm | Suite::AesCm128Sha1_80 | Suite::AesCm128Sha1_32 => 16,
        }
    }

    /// Octets of the master salt.
    pub const fn salt_octets(self) -> usize {
        match self {
            Suite::AeadAes256Gcm | Suite::AeadAes128Gcm => 12,
            Suite::Aes256CmSha1_80 | Suite::Aes256CmSha1_32 | Suite::AesCm128Sha1_80 | Suite::AesCm128Sha1_32 => 14,
        }
    }

    /// Most packets that one master key may protect: RTP, and RTCP (RFC 3711 9.2, RFC 7714 12.1).
    pub const fn lifetime(self) -> u64 {
        1 << 48
    }
}

/// Whether media is protected (`srtp` in the configuration).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Srtp {
    /// Never.
    #[default]
    Off,
    /// Where both sides can: offered beside RTP in the clear (RFC 8643).
    Offered,
    /// Always: nothing is sent or taken in the clear.
    Required,
}

/// RTCP packets that one master key may protect, since their index has 31 bits (RFC 3711 3.4).
pub const RTCP_LIFETIME: u64 = 1 << 31;

/// A master key with its salt, and the rules for its use (RFC 4568 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    octets: SecretOctets,
    mki: Box<[u8]>,
    lifetime: u64,
}

impl MasterKey {
    /// Key and salt one behind the other; none if they are not as long as the suite has them.
    pub fn new(suite: Suite, octets: &[u8]) -> Option<MasterKey> {
        (octets.len() == suite.key_octets() + suite.salt_octets()).then(|| MasterKey {
            suite,
            octets: SecretOctets::new(octets),
            mki: Box::default(),
            lifetime: suite.lifetime(),
        })
    }

    /// The same with a master key identifier, which each packet then carries; none if it is longer than
    /// `limits::SRTP_MKI_BYTES`.
    pub fn with_mki(self, mki: &[u8]) -> Option<MasterKey> {
        (mki.len() <= limits::SRTP_MKI_BYTES).then(|| MasterKey {
            mki: mki.into(),
            ..self
        })
    }

    /// The same for so many packets; none for no packet, or more than the suite allows.
    pub fn with_lifetime(self, packets: u64) -> Option<MasterKey> {
        let fits = (1..=self.suite.lifetime()).contains(&packets);
        fits.then_some(MasterKey {
            lifetime: packets,
            ..self
        })
    }

    /// True for the same key with the same identifier, whatever was said of its lifetime.
    pub fn is(&self, other: &MasterKey) -> bool {
        (self.suite, &self.octets, &self.mki) == (other.suite, &other.octets, &other.mki)
    }

    /// For what.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, to be written into a description.
    pub fn expose(&self) -> &[u8] {
        self.octets.expose()
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.expose()[..self.suite.key_octets()]
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.expose()[self.suite.key_octets()..]
    }

    /// The master key identifier; empty where there is none.
    pub fn mki(&self) -> &[u8] {
        &self.mki
    }

    /// Packets that it may protect, of RTP and of RTCP each.
    pub const fn lifetime(&self) -> u64 {
        self.lifetime
    }
}

/// The keys of one leg. Each side says by which key it sends (RFC 4568 5.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    seal: MasterKey,
    open: Vec<MasterKey>,
}

impl Keys {
    /// What we send is sealed by one, what comes is opened by one of the others: where there are several, each has a master key
    /// identifier of the same length (RFC 4568 6.1). None if that does not hold, or with more than `limits::SRTP_KEYS`.
    pub fn new(seal: MasterKey, open: Vec<MasterKey>) -> Option<Keys> {
        Keys::are_told(&open).then_some(Keys { seal, open })
    }

    /// Whether these can be told apart by what is sealed by them.
    pub fn are_told(open: &[MasterKey]) -> bool {
        let mki = open.first().map_or(0, |key| key.mki.len());
        let is_told = open.len() == 1 || mki > 0;
        is_told && open.len() <= limits::SRTP_KEYS && open.iter().all(|key| key.mki.len() == mki)
    }

    /// For what we send.
    pub const fn seal(&self) -> &MasterKey {
        &self.seal
    }

    /// For what comes: one, or several that differ by their identifiers.
    pub fn open(&self) -> &[MasterKey] {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_as_long_as_its_suite_has_it() {
        for suite in Suite::ALL {
            assert_eq!(Suite::named(suite.name()), Some(suite));
            let length = suite.key_octets() + suite.salt_octets();
            let octets: Vec<u8> = (0..length as u8).collect();
            let key = MasterKey::new(suite, &octets).unwrap();
            assert_eq!([key.key(), key.salt()].concat(), octets);
            assert!(MasterKey::new(suite, &octets[1..]).is_none());
            assert!(MasterKey::new(suite, &[&octets[..], &[0]].concat()).is_none());
        }
        assert_eq!(Suite::named("aes_cm_128_hmac_sha1_80"), None);
    }

    #[test]
    fn several_keys_are_told_apart_by_identifiers_of_one_length() {
        let key = |mki: &[u8]| {
            MasterKey::new(Suite::AeadAes128Gcm, &[7; 28])
                .unwrap()
                .with_mki(mki)
                .unwrap()
        };
        let holds = |open: &[&[u8]]| Keys::new(key(&[]), open.iter().map(|mki| key(mki)).collect()).is_some();
        assert!(holds(&[&[]]) && holds(&[&[1]]) && holds(&[&[1], &[2]]));
        assert!(!holds(&[]) && !holds(&[&[], &[]]) && !holds(&[&[1], &[0, 2]]));
        let one: &[u8] = &[1];
        assert!(!holds(&[one; limits::SRTP_KEYS + 1]));
    }

    #[test]
    fn the_rules_of_a_key_have_bounds_and_nothing_of_it_prints() {
        let key = MasterKey::new(Suite::AesCm128Sha1_80, &[0x77; 30]).unwrap();
        assert_eq!((key.mki(), key.lifetime()), (&[][..], 1 << 48));
        for packets in [0, (1 << 48) + 1] {
            assert!(key.clone().with_lifetime(packets).is_none());
        }
        assert!(key.clone().with_mki(&[1; limits::SRTP_MKI_BYTES + 1]).is_none());
        let key = key.with_mki(&[0, 1]).and_then(|key| key.with_lifetime(9)).unwrap();
        assert_eq!((key.mki(), key.lifetime()), (&[0, 1][..], 9));
        let shown = format!("{key:?}");
        assert!(shown.contains("***") && !shown.contains("119"), "{shown}");
    }
}
