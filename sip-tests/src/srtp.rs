//! SRTP of the peers (RFC 3711, keys by RFC 4568), by another implementation than the node's.

use crate::description::Description;
use crate::rng::Rng;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

/// The suite that every implementation has.
const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
/// Octets of its master key, and of these with the salt.
const KEY: usize = 16;
const BOTH: usize = 30;

/// Master key and salt.
type Key = [u8; BOTH];

/// What seals and opens the media of one call.
pub struct Srtp {
    keys: (Key, Key),
    seals: Context,
    opens: Context,
}

/// A line with a key that belongs to this name and number.
pub fn line(tag: &str, name: &str, number: usize) -> String {
    let seed = name
        .bytes()
        .fold(number as u64 + 1, |seed, byte| seed.wrapping_mul(31) ^ u64::from(byte));
    let mut rng = Rng::new(seed);
    let key: Vec<u8> = (0..BOTH).map(|_| rng.number() as u8).collect();
    format!("a=crypto:{tag} {SUITE} inline:{}", STANDARD.encode(key))
}

/// Tag and key of the first line of this suite.
pub fn offered(description: &Description) -> Option<(String, Key)> {
    description.lines.iter().find_map(|line| {
        let mut words = line.strip_prefix("a=crypto:")?.split(' ');
        let (tag, suite, info) = (words.next()?, words.next()?, words.next()?);
        let key = info.strip_prefix("inline:")?.split('|').next()?;
        let octets = STANDARD.decode(key).ok().filter(|_| suite == SUITE)?;
        Some((tag.to_owned(), octets.try_into().ok()?))
    })
}

impl Srtp {
    /// By the keys of both descriptions, if both have one; the same keys go on where they were, with their roll-over counters.
    pub fn agreed(before: Option<Srtp>, ours: &Description, theirs: &Description) -> Option<Srtp> {
        let keys = (offered(ours)?.1, offered(theirs)?.1);
        before.filter(|before| before.keys == keys).or_else(|| {
            Some(Srtp {
                keys,
                seals: context(&keys.0),
                opens: context(&keys.1),
            })
        })
    }

    /// A packet as it goes on the wire.
    pub fn seal(&mut self, packet: &[u8]) -> Bytes {
        let sealed = self.seals.encrypt_rtp(packet).expect("a packet of ours");
        Bytes::copy_from_slice(&sealed)
    }

    /// What is under the seal; `None` for a forgery.
    pub fn open(&mut self, packet: &[u8], rtcp: bool) -> Option<Bytes> {
        let opened = if rtcp {
            self.opens.decrypt_rtcp(packet)
        } else {
            self.opens.decrypt_rtp(packet)
        };
        opened.ok().map(|plain| Bytes::copy_from_slice(&plain))
    }
}

fn context(key: &Key) -> Context {
    let provider = rtc_crypto::default_provider().expect("there is one");
    let (key, salt) = key.split_at(KEY);
    let profile = ProtectionProfile::Aes128CmHmacSha1_80;
    Context::new(key, salt, profile, None, None, provider.crypto()).expect("as long as the suite has them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_opens_what_the_other_seals_as_long_as_the_keys_are_the_same() {
        let described = |name: &str| {
            let mut description = Description::new("192.0.2.1:4000".parse().unwrap(), Vec::new());
            description.lines = vec!["a=crypto:1 OTHER inline:x".to_owned(), line("7", name, 0)];
            description
        };
        let (one, other) = (described("one"), described("other"));
        assert_eq!(offered(&one).unwrap().0, "7");
        let mut speaker = Srtp::agreed(None, &one, &other).unwrap();
        let mut listener = Srtp::agreed(None, &other, &one).unwrap();
        let packet = crate::tone::write_rtp(0, false, 65_535, 160, 7, b"speech");
        let sealed = speaker.seal(&packet);
        assert_ne!(sealed[12..18], packet[12..]);
        assert_eq!(listener.open(&sealed, false), Some(packet));
        // The roll-over counter outlives an answer with the same keys.
        let mut speaker = Srtp::agreed(Some(speaker), &one, &other).unwrap();
        let next = crate::tone::write_rtp(0, false, 0, 320, 7, b"speech");
        let sealed = speaker.seal(&next);
        assert_eq!(listener.open(&sealed, false), Some(next));
        let mut stranger = Srtp::agreed(None, &other, &described("third")).unwrap();
        assert_eq!(stranger.open(&sealed, false), None);
        assert!(Srtp::agreed(None, &one, &Description::new(one.at, Vec::new())).is_none());
    }
}
