//! Who a peer is for the other side (RFC 3261 8.1.1.3, RFC 3323, RFC 3325): nothing else of one leg's headers reaches the other.

use crate::config::{Config, Trunk};
use crate::routing::{Source, numbers};
use crate::sip::uri::escaped;
use crate::sip::{Host, Message, Name, NameAddr};
use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// A person or number as it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The display name.
    pub display: Option<String>,
    /// A user of ours: name and domain.
    pub user: Option<(String, String)>,
    /// The number: E.164 with plus, or an extension.
    pub number: Option<String>,
    /// Not to be shown (RFC 3323 4.2, RFC 3325 7).
    pub private: bool,
    /// The display name is configured, or a carrier asserted it: nobody chose it for himself.
    pub vouched: bool,
}

impl Identity {
    /// The sender of an INVITE.
    pub fn of(config: &Config, source: &Source, invite: &Message) -> Identity {
        match source {
            Source::User(name) => {
                let (own, from) = (Identity::of_user(config, name), invite.from().ok());
                let private = wants_privacy(invite, from.as_ref());
                Identity {
                    display: own.display.or_else(|| from?.display.map(Into::into)),
                    private,
                    ..own
                }
            }
            Source::Trunk(trunk) => of_trunk(&config.trunks[usize::from(trunk.0)], invite),
        }
    }

    /// A user of ours.
    pub fn of_user(config: &Config, name: &str) -> Identity {
        let user = config.user(name);
        Identity {
            display: user.and_then(|user| user.display_name.clone()),
            vouched: user.is_some_and(|user| user.display_name.is_some()),
            user: user.map(|user| (user.name.clone(), user.domain.clone())),
            number: user.and_then(|user| user.numbers.first().cloned()),
            private: false,
        }
    }

    /// A number that was called.
    pub fn of_number(number: &str) -> Identity {
        Identity {
            number: Some(number.to_owned()),
            ..Identity::default()
        }
    }

    /// For records and log lines.
    pub fn shown(&self) -> String {
        if self.private {
            return "anonymous".to_owned();
        }
        let name = self.user.as_ref().map(|(name, _)| name.clone());
        name.or_else(|| self.number.clone())
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// The address of record and the display name for who records the call; a number is one at `host`.
    pub fn recorded(&self, host: &str) -> (String, Option<String>) {
        let Shown { display, user, host } = self.for_user(host);
        (format!("sip:{user}@{host}"), display.map(str::to_owned))
    }

    /// From towards a phone of a user in `domain`.
    pub fn for_user<'a>(&'a self, domain: &'a str) -> Shown<'a> {
        if self.private {
            return Shown::ANONYMOUS;
        }
        let (name, host) = match (&self.user, &self.number) {
            (Some((name, own)), Some(_) | None) => (name.as_str(), own.as_str()),
            (None, Some(number)) => (number.as_str(), domain),
            (None, None) => return Shown::ANONYMOUS,
        };
        self.named(escaped(name), written(host))
    }

    /// From towards a carrier: the number as it wants to see it, at our own host; where we register, in the domain of that
    /// address, by which the carrier knows us.
    pub fn for_trunk(&self, trunk: &Trunk, host: &Host) -> Shown<'_> {
        match self.for_trunk_at(trunk, host) {
            Some((user, host)) if !self.private => self.named(user.into(), host.into()),
            Some(_) | None => Shown::ANONYMOUS,
        }
    }

    /// P-Asserted-Identity towards a carrier (RFC 3325 9.1), which also sees who wants to stay unseen by others. We assert no
    /// name that nobody vouches for.
    pub fn asserted(&self, trunk: &Trunk, host: &Host) -> Option<Shown<'_>> {
        self.number.as_ref()?;
        let (user, host) = self.for_trunk_at(trunk, host)?;
        let shown = self.named(user.into(), host.into());
        Some(match self.vouched {
            true => shown,
            false => Shown { display: None, ..shown },
        })
    }

    fn for_trunk_at(&self, trunk: &Trunk, host: &Host) -> Option<(String, String)> {
        let number = self.number.as_ref().map(|number| numbers::outward(trunk, number));
        // A user without a number is the account for the carrier: its own name is nobody's business there.
        let user = number.or_else(|| trunk.register.as_ref().map(|register| register.username.clone()))?;
        let domain = match (&trunk.register, trunk.peers.first()) {
            (Some(register), Some(peer)) => register.domain(peer).to_string(),
            (Some(_) | None, _) => host.to_string(),
        };
        Some((escaped(&user).into_owned(), domain))
    }

    fn named<'a>(&'a self, user: Cow<'a, str>, host: Cow<'a, str>) -> Shown<'a> {
        let display = self.display.as_deref();
        Shown { display, user, host }
    }
}

/// An address to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    display: Option<&'a str>,
    /// Escaped.
    user: Cow<'a, str>,
    /// As it stands in a URI.
    host: Cow<'a, str>,
}

impl Shown<'_> {
    const ANONYMOUS: Shown<'static> = Shown {
        display: Some("Anonymous"),
        user: Cow::Borrowed("anonymous"),
        host: Cow::Borrowed("anonymous.invalid"),
    };
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = self.display {
            f.write_str("\"")?;
            for piece in display.split_inclusive(['"', '\\']) {
                // What a quoted string may not hold as it is ends its piece.
                match piece.strip_suffix(['"', '\\']) {
                    Some(plain) => write!(f, "{plain}\\{}", &piece[plain.len()..])?,
                    None => f.write_str(piece)?,
                }
            }
            f.write_str("\" ")?;
        }
        let Shown { user, host, .. } = self;
        write!(f, "<sip:{user}@{host}>")
    }
}

fn of_trunk(trunk: &Trunk, invite: &Message) -> Identity {
    let from = invite.from().ok();
    let asserted = invite.addresses(Name::PAssertedIdentity).unwrap_or_default();
    let number = |address: &NameAddr| {
        let text = address.uri.user_decoded()?;
        let number = numbers::from_trunk(trunk, &text).number;
        number.bytes().any(|b| b.is_ascii_digit()).then_some(number)
    };
    let best = asserted
        .iter()
        .find(|address| number(address).is_some())
        .or(from.as_ref());
    let named = |address: &NameAddr| address.display.clone().filter(|display| !display.is_empty());
    let asserted_name = asserted.iter().find(|address| Some(*address) == best).and_then(named);
    let vouched = asserted_name.is_some();
    let display = asserted_name.or_else(|| from.as_ref().and_then(named));
    Identity {
        display: display.map(Into::into),
        vouched,
        user: None,
        number: best.and_then(number),
        private: wants_privacy(invite, from.as_ref()),
    }
}

/// Privacy asks for it, or From is anonymous already (RFC 3323 4.1.1.3, 4.2).
fn wants_privacy(invite: &Message, from: Option<&NameAddr>) -> bool {
    let asked = invite
        .all(Name::Privacy)
        .iter()
        .flat_map(|value| value.split([';', ',']))
        .any(|word| {
            let word = word.trim();
            ["id", "user", "header"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
        });
    let anonymous = from.is_some_and(|from| {
        let invalid = matches!(&from.uri.host, Host::Name(name) if &**name == "anonymous.invalid");
        invalid
            || from
                .uri
                .user
                .as_deref()
                .is_some_and(|user| user.eq_ignore_ascii_case("anonymous"))
    });
    asked || anonymous
}

/// A host as a configuration names it, as it stands in a URI.
pub fn written(host: &str) -> Cow<'_, str> {
    let is_v6 = host.contains(':') && host.parse::<Ipv6Addr>().is_ok();
    match is_v6 {
        true => Cow::Owned(format!("[{host}]")),
        false if host.bytes().any(|byte| byte.is_ascii_uppercase()) => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_so_that_it_can_be_read_back() {
        for display in [None, Some("Al"), Some("a \"b\" \\ c"), Some("\\\""), Some("")] {
            let shown = Shown {
                display,
                user: escaped("a b@c"),
                host: written("Example.COM"),
            };
            let read = NameAddr::parse(&shown.to_string()).unwrap();
            assert_eq!(read.display.as_deref(), display);
            assert_eq!(read.uri.to_string(), "sip:a%20b%40c@example.com");
        }
        assert_eq!(
            Shown::ANONYMOUS.to_string(),
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>"
        );
    }

    #[test]
    fn hosts_are_written_as_uris_want_them() {
        for (host, text) in [
            ("2001:db8::1", "[2001:db8::1]"),
            ("192.0.2.1", "192.0.2.1"),
            ("A.b", "a.b"),
        ] {
            assert_eq!(written(host), text);
        }
    }
}
