//! GRUUs (RFC 5627): URIs that lead to one device of a user. Nothing is kept for them but one key. A public one says the instance; a temporary one
//! says, encrypted, whose it is and of which age, and is good while the device's bindings have that age.

use crate::config::Config;
use crate::effect::{Aor, Device, Gruu, Which, digest_of};
use crate::id::Flow;
use crate::sip::auth::NonceKey;
use crate::sip::uri::Scheme;
use crate::sip::{NameAddr, Uri};
use crate::time::Wall;

/// What the user part of a temporary GRUU begins with.
const TOKEN: &str = "tg-";
/// Octets of an instance's digest, and of an age.
const NUMBER: usize = 8;

/// Makes and reads GRUUs.
#[derive(Debug)]
pub struct Gruus {
    key: NonceKey,
}

impl Gruus {
    /// With the key of the temporary ones.
    pub const fn new(key: NonceKey) -> Gruus {
        Gruus { key }
    }

    /// A temporary GRUU for a device (RFC 5627 3.1.2): no two are the same, and nobody else can tell whose it is.
    pub fn temporary(&self, aor: &Aor, instance: &str, gruu: Gruu, salt: u64) -> Option<String> {
        let (user, domain) = aor.0.rsplit_once('@')?;
        let mut plain = Vec::with_capacity(2 * NUMBER + user.len());
        plain.extend(digest_of(instance).to_be_bytes());
        plain.extend(gruu.age.0.to_be_bytes());
        plain.extend(user.as_bytes());
        let token = self.key.encrypt(&plain, salt)?;
        Some(format!("sip:{TOKEN}{token}@{domain};gr"))
    }

    /// Which device a URI means; nothing where it is no GRUU of ours at all.
    ///
    /// # Errors
    /// It has the form of one (`gr`) and is none that is good (RFC 5627 6.1: 404).
    pub fn device(&self, config: &Config, flow: Flow, uri: &Uri) -> Result<Option<Device>, NoDevice> {
        if uri.params.get("gr").is_none() {
            return Ok(None);
        }
        let is_sip = matches!(uri.scheme, Scheme::Sip | Scheme::Sips);
        let Some(domain) = config.local_domain(&uri.host, flow.local.ip()).filter(|_| is_sip) else {
            return Ok(None);
        };
        let name = uri.user_decoded().ok_or(NoDevice)?;
        let device = match Which::public(uri) {
            Some(which) => Device {
                user: name.into(),
                which,
            },
            // Not of ours: the name of a user with an empty `gr` is what others make GRUUs of, and means that user here.
            None if !name.starts_with(TOKEN) && config.user(&name).is_some() => return Ok(None),
            None => self.read(&name).ok_or(NoDevice)?,
        };
        let user = config.user(&device.user).ok_or(NoDevice)?;
        let is_there = uri.host.ip().is_some() || user.domain == domain.name;
        is_there.then_some(Some(device)).ok_or(NoDevice)
    }

    fn read(&self, user: &str) -> Option<Device> {
        let plain = self.key.decrypt(user.strip_prefix(TOKEN)?)?;
        let (instance, rest) = plain.split_at_checked(NUMBER)?;
        let (age, user) = rest.split_at_checked(NUMBER)?;
        Some(Device {
            user: std::str::from_utf8(user).ok()?.into(),
            which: Which::Temporary {
                instance: u64::from_be_bytes(instance.try_into().ok()?),
                age: Wall(u64::from_be_bytes(age.try_into().ok()?)),
            },
        })
    }
}

/// A GRUU that means no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDevice;

/// The public GRUU of a device (RFC 5627 5.1): the address of record, and the instance as `gr`.
pub fn public(aor: &Aor, instance: &str) -> String {
    let mut text = format!("sip:{};gr=", aor.0);
    for byte in instance.bytes() {
        // RFC 3261 25.1: paramchar.
        if byte.is_ascii_alphanumeric() || b"[]/:&+$-_.!~*'()".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// A contact that would lead back to where it is registered (RFC 5627 5.1: 403).
pub(super) fn leads_back(contact: &Uri, aor: &NameAddr) -> bool {
    contact.same_as(&aor.uri) || (contact.params.get("gr").is_some() && contact.host == aor.uri.host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::id::{ConnectionId, ListenerId, Transport};

    const INSTANCE: &str = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

    fn config() -> Config {
        let yaml = "listen: [ \"udp://192.0.2.1:5060\" ]\ndomains: [ example.com, example.org ]\n\
                    users: [ { name: alice, password: secret }, { name: erin, password: secret, domain: example.org } ]\n";
        crate::config::parse("test", yaml, &Sources::NONE).unwrap()
    }

    fn device(gruus: &Gruus, uri: &str) -> Result<Option<Device>, NoDevice> {
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: "192.0.2.9:5060".parse().unwrap(),
        };
        gruus.device(&config(), flow, &Uri::parse(uri).unwrap())
    }

    #[test]
    fn a_public_gruu_says_the_instance() {
        let aor = Aor("alice@example.com".into());
        let gruus = Gruus::new(NonceKey([1; 32]));
        for instance in [INSTANCE, "urn:x:a;b=c%20?", "\u{fc}"] {
            let uri = public(&aor, instance);
            let expected = Device {
                user: "alice".into(),
                which: Which::Instance(instance.into()),
            };
            assert_eq!(device(&gruus, &uri), Ok(Some(expected)), "{uri}");
        }
        assert_eq!(public(&aor, INSTANCE), format!("sip:alice@example.com;gr={INSTANCE}"));
    }

    #[test]
    fn a_temporary_gruu_is_read_by_whom_it_is_from() {
        let (gruus, others) = (Gruus::new(NonceKey([1; 32])), Gruus::new(NonceKey([2; 32])));
        let gruu = Gruu {
            age: Wall(77),
            first_cseq: 1,
        };
        let aor = Aor("alice@example.com".into());
        let make = |salt| gruus.temporary(&aor, INSTANCE, gruu, salt).unwrap();
        let expected = Device {
            user: "alice".into(),
            which: Which::Temporary {
                instance: digest_of(INSTANCE),
                age: Wall(77),
            },
        };
        let uri = make(1);
        assert!(uri.ends_with("@example.com;gr") && uri != make(2), "{uri}");
        assert_eq!(device(&gruus, &uri), Ok(Some(expected)));
        assert_eq!(device(&others, &uri), Err(NoDevice));
        assert_eq!(
            device(&gruus, &uri.replace("example.com", "example.org")),
            Err(NoDevice),
            "another domain"
        );
        assert_eq!(device(&gruus, &uri.replace("example.com", "far.example")), Ok(None));
    }

    #[test]
    fn what_is_no_gruu_and_what_is_a_bad_one() {
        let gruus = Gruus::new(NonceKey([1; 32]));
        for (uri, expected) in [
            ("sip:alice@example.com", Ok(None)),
            ("tel:+14155550101;gr=x", Ok(None)),
            ("sip:alice@far.example;gr=x", Ok(None)),
            ("sip:nobody@example.com;gr=x", Err(NoDevice)),
            ("sip:erin@example.com;gr=x", Err(NoDevice)),
            ("sip:example.com;gr=x", Err(NoDevice)),
            ("sip:alice@example.com;gr", Ok(None)),
            ("sip:tg-00@example.com;gr", Err(NoDevice)),
        ] {
            assert_eq!(device(&gruus, uri), expected, "{uri}");
        }
    }
}
