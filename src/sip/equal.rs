//! When two URIs are the same (RFC 3261 19.1.4, RFC 3966 5).

use super::header::Params;
use super::uri::{Scheme, Uri, escape_at, unescape};

impl Uri {
    /// Equality by RFC 3261 19.1.4 (not transitive, so not `Eq`); of tel URIs by RFC 3966 5.
    pub fn same_as(&self, other: &Uri) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                let part = |text: &Option<Box<str>>| text.as_deref().map(normal_escapes);
                part(&self.user) == part(&other.user)
                    && part(&self.password) == part(&other.password)
                    && self.host == other.host
                    && self.port == other.port
                    && same_params(&self.params, &other.params)
                    && sorted_headers(self.headers.as_deref()) == sorted_headers(other.headers.as_deref())
            }
            Scheme::Tel => {
                let number = |uri: &Uri| uri.user_decoded().map(|number| number.to_ascii_lowercase());
                number(self) == number(other)
                    && self.params.0.len() == other.params.0.len()
                    && same_values(&self.params, &other.params, |_| true)
            }
            Scheme::Other(_) => self.user == other.user,
        }
    }
}

/// Escapes in one spelling: unreserved characters resolved, the others in upper case (RFC 3261 19.1.4: an escape of a
/// reserved character is not equal to the character).
fn normal_escapes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut normal = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escape_at(bytes, at) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) => normal.push(byte),
            Some(_) => normal.extend(bytes[at..at + 3].to_ascii_uppercase()),
            None => {
                normal.push(bytes[at]);
                at += 1;
                continue;
            }
        }
        at += 3;
    }
    normal
}

/// RFC 3261 19.1.4: parameters in both must be equal; these may not stand in one alone. `transport` is among them by the
/// examples of that section.
fn same_params(a: &Params, b: &Params) -> bool {
    let decisive = |name: &str| {
        ["user", "ttl", "method", "maddr", "transport"]
            .iter()
            .any(|special| special.eq_ignore_ascii_case(name))
    };
    same_values(a, b, decisive) && same_values(b, a, decisive)
}

/// Each parameter of `a` has the same value in `b`, or is absent there and not `decisive`.
fn same_values(a: &Params, b: &Params, decisive: impl Fn(&str) -> bool) -> bool {
    a.0.iter().all(|(name, value)| match b.get(&unescape(name)) {
        Some(other) => same_text(value.as_deref(), other),
        None => !decisive(name),
    })
}

fn same_text(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => normal_escapes(a).eq_ignore_ascii_case(&normal_escapes(b)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The headers of a URI in an order of their own: theirs does not count.
fn sorted_headers(text: Option<&str>) -> Vec<Vec<u8>> {
    let mut list: Vec<Vec<u8>> = text
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| normal_escapes(part).to_ascii_lowercase())
        .collect();
    list.sort();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(a.same_as(&b), b.same_as(&a), "{a} {b}");
        a.same_as(&b)
    }

    /// The examples of RFC 3261 19.1.4.
    #[test]
    fn equal_by_the_rfc() {
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:a%2Fb@x", "sip:a%2fb@x"),
            ("sip:x;%6Cr", "sip:x;lr"),
            ("sip:[2001:DB8::1]", "sip:[2001:db8:0::1]"),
            ("tel:+1-201-555-0123", "tel:+12015550123"),
            (
                "tel:7042;phone-context=example.com;isub=1",
                "tel:7042;ISUB=1;phone-context=EXAMPLE.com",
            ),
            ("tel:+358-555-123A", "tel:+358555123a"),
            ("urn:service:sos", "URN:service:sos"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn different_by_the_rfc() {
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:carol@chicago.com;user=phone", "sip:carol@chicago.com"),
            ("sip:carol@chicago.com;maddr=192.0.2.1", "sip:carol@chicago.com"),
            ("sip:carol:pw@chicago.com", "sip:carol@chicago.com"),
            ("sip:chicago.com;lr", "sip:chicago.com;lr=on"),
            ("sips:carol@chicago.com", "sip:carol@chicago.com"),
            ("sip:a%2Fb@x", "sip:a/b@x"),
            ("sip:%00@x", "sip:%00%00@x"),
            (
                "tel:7042;phone-context=example.com",
                "tel:7042;phone-context=example.org",
            ),
            ("tel:7042;phone-context=example.com", "tel:7042"),
            ("tel:+17042", "tel:17042"),
            ("urn:service:sos", "urn:service:sos.fire"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    /// RFC 3261 19.1.4 says itself that this equality is not transitive.
    #[test]
    fn parameters_in_one_uri_only_do_not_count() {
        let [plain, on, off] = ["sip:carol@x", "sip:carol@x;security=on", "sip:carol@x;security=off"];
        assert!(same(plain, on) && same(plain, off) && !same(on, off));
    }
}
