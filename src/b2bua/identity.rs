//! Who a peer is for the other side (RFC 3261 8.1.1.3, RFC 3323, RFC 3325): nothing else of one leg's headers reaches the other.

use crate::config::{Config, Trunk};
use crate::routing::{Source, numbers};
use crate::sip::{Host, Message, Name, NameAddr, Uri};

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
                let own = Identity::of_user(config, name);
                let display = own.display.or_else(|| invite.from().ok()?.display.map(Into::into));
                Identity {
                    display,
                    private: wants_privacy(invite),
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

    /// From towards a phone of a user in `domain`.
    pub fn for_user(&self, domain: &str) -> NameAddr {
        if self.private {
            return anonymous();
        }
        let (name, host) = match (&self.user, &self.number) {
            (Some((name, own)), Some(_) | None) => (name.as_str(), own.as_str()),
            (None, Some(number)) => (number.as_str(), domain),
            (None, None) => return anonymous(),
        };
        self.named(Uri::sip(Some(&escaped(name)), host_of(host), None))
    }

    /// From towards a carrier: the number as it wants to see it, at our own host; where we register, in the domain of that
    /// address, by which the carrier knows us.
    pub fn for_trunk(&self, trunk: &Trunk, host: &Host) -> NameAddr {
        match self.uri_for_trunk(trunk, host) {
            Some(uri) if !self.private => self.named(uri),
            Some(_) | None => anonymous(),
        }
    }

    /// P-Asserted-Identity towards a carrier (RFC 3325 9.1), which also sees who wants to stay unseen by others. We assert no
    /// name that nobody vouches for.
    pub fn asserted(&self, trunk: &Trunk, host: &Host) -> Option<NameAddr> {
        self.number.as_ref()?;
        let uri = self.uri_for_trunk(trunk, host)?;
        Some(if self.vouched {
            self.named(uri)
        } else {
            NameAddr::new(uri)
        })
    }

    fn uri_for_trunk(&self, trunk: &Trunk, host: &Host) -> Option<Uri> {
        let number = self.number.as_ref().map(|number| numbers::outward(trunk, number));
        // A user without a number is the account for the carrier: its own name is nobody's business there.
        let user = number.or_else(|| trunk.register.as_ref().map(|register| register.username.clone()))?;
        let domain = match (&trunk.register, trunk.peers.first()) {
            (Some(register), Some(peer)) => register.domain(peer),
            (Some(_) | None, _) => host.clone(),
        };
        Some(Uri::sip(Some(&escaped(&user)), domain, None))
    }

    fn named(&self, uri: Uri) -> NameAddr {
        let mut address = NameAddr::new(uri);
        address.display = self.display.as_deref().map(Into::into);
        address
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
        private: wants_privacy(invite),
    }
}

/// Privacy asks for it, or From is anonymous already (RFC 3323 4.1.1.3, 4.2).
fn wants_privacy(invite: &Message) -> bool {
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
    let anonymous = invite.from().is_ok_and(|from| {
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

fn anonymous() -> NameAddr {
    let mut address = NameAddr::new(Uri::sip(
        Some("anonymous"),
        Host::Name("anonymous.invalid".into()),
        None,
    ));
    address.display = Some("Anonymous".into());
    address
}

/// A host as a configuration names it.
pub fn host_of(text: &str) -> Host {
    match text.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.into(),
        Err(_) => Host::Name(text.to_ascii_lowercase().into()),
    }
}

/// A user part as it may stand in a URI (RFC 3261 25.1: unreserved and user-unreserved).
pub fn escaped(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
