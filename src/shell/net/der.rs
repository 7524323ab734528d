//! What we read of a certificate ourselves: when it ends, and whom it names. Whether it is to be believed is not said here.

use crate::limits;
use crate::time::Wall;

const SEQUENCE: u8 = 0x30;
const BOOLEAN: u8 = 0x01;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// Kinds of GeneralName (RFC 5280 4.2.1.6).
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;

/// The end of a certificate's validity (RFC 5280 4.1): the second time in the fourth part of what is signed, or the fifth where
/// a version stands first. None where it is not built so.
pub(super) fn not_after(certificate: &[u8]) -> Option<Wall> {
    let (tag, validity, _) = element(from_validity(certificate)?)?;
    let (_, _, rest) = element(validity)?;
    let (kind, text, _) = element(rest)?;
    (tag == SEQUENCE).then(|| time(kind, text)).flatten()
}

/// Whom a certificate is for (RFC 5922 7.1): the hosts of its SIP URIs without a user, or where there is none its DNS names; in
/// lower case. A name in the subject does not count.
pub(super) fn domains(certificate: &[u8]) -> Vec<Box<str>> {
    let (mut uris, mut names) = (Vec::new(), Vec::new());
    let mut rest = alternative_names(certificate).unwrap_or_default();
    while let Some((kind, value, after)) = element(rest) {
        rest = after;
        let Ok(value) = std::str::from_utf8(value) else {
            continue;
        };
        let value = value.to_ascii_lowercase();
        match kind {
            URI => uris.extend(
                value
                    .strip_prefix("sip:")
                    .filter(|host| !host.contains('@'))
                    .map(host_of),
            ),
            DNS_NAME => names.push(value.into_boxed_str()),
            _ => {}
        }
    }
    let mut found = if uris.is_empty() { names } else { uris };
    found.truncate(limits::CERTIFICATE_NAMES);
    found
}

/// Of what stands behind `sip:`, lower case.
fn host_of(text: &str) -> Box<str> {
    let end = text.find([':', ';', '?']).unwrap_or(text.len());
    text[..end].into()
}

/// What is signed, from the validity on: behind version, serial number, algorithm and issuer.
fn from_validity(certificate: &[u8]) -> Option<&[u8]> {
    let (_, whole, _) = element(certificate)?;
    let (_, mut signed, _) = element(whole)?;
    let (tag, _, rest) = element(signed)?;
    if tag == VERSION {
        signed = rest;
    }
    for _serial_algorithm_issuer in 0..3 {
        signed = element(signed)?.2;
    }
    Some(signed)
}

/// The content of the extension subjectAltName (RFC 5280 4.2.1.6).
fn alternative_names(certificate: &[u8]) -> Option<&[u8]> {
    let mut signed = from_validity(certificate)?;
    for _validity_subject_key in 0..3 {
        signed = element(signed)?.2;
    }
    // Two numbers that nobody uses may stand before the extensions.
    let mut extensions = loop {
        let (tag, content, rest) = element(signed)?;
        if tag == EXTENSIONS {
            break element(content)?.1;
        }
        signed = rest;
    };
    loop {
        let (_, extension, rest) = element(extensions)?;
        extensions = rest;
        let (_, name, mut value) = element(extension)?;
        if name != SUBJECT_ALT_NAME {
            continue;
        }
        let (tag, _, behind) = element(value)?;
        if tag == BOOLEAN {
            value = behind;
        }
        let (_, content, _) = element(value)?;
        return Some(element(content)?.1);
    }
}

/// Tag, content and what follows of one element of DER.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let octets = usize::from(first & 0x7f);
        if octets > 4 {
            return None;
        }
        let (long, after) = rest.split_at_checked(octets)?;
        length = long.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` (UTCTime, 1950 to 2049) or `YYYYMMDDhhmmssZ` (GeneralizedTime).
fn time(kind: u8, text: &[u8]) -> Option<Wall> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(if kind == UTC_TIME { 2 } else { 4 })?;
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let year: u64 = year.parse().ok()?;
    let year = match kind {
        UTC_TIME if year < 50 => 2000 + year,
        UTC_TIME => 1900 + year,
        _ => year,
    };
    let (month, day) = (number(0)?, number(2)?);
    // Days from the civil calendar, counted from 0000-03-01; see `Wall::civil`.
    let (shifted_year, shifted) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * shifted_year + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 + (153 * shifted + 2) / 5 + day
            - 1;
    let days = days.checked_sub(719_468)?;
    let seconds = days * 86_400 + number(4)? * 3600 + number(6)? * 60 + number(8)?;
    Some(Wall(seconds * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, SanType};

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        for (year, month, day, shown) in [
            (2026, 12, 6, "Sun, 06 Dec 2026 00:00:00 GMT"),
            (2028, 2, 29, "Tue, 29 Feb 2028 00:00:00 GMT"),
            (2049, 12, 31, "Fri, 31 Dec 2049 00:00:00 GMT"),
            (2050, 1, 1, "Sat, 01 Jan 2050 00:00:00 GMT"),
        ] {
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(not_after(certificate.der()).unwrap().civil().to_string(), shown);
            for cut in 0..certificate.der().len().min(300) {
                // What is cut off has no end, and nothing breaks.
                assert_eq!(not_after(&certificate.der()[..cut]), None);
            }
        }
    }

    #[test]
    fn whom_a_certificate_is_for() {
        let key = rcgen::KeyPair::generate().unwrap();
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
        for (names, found) in [
            (vec![], vec![]),
            (
                vec![dns("A.Example"), dns("*.b.example")],
                vec!["a.example", "*.b.example"],
            ),
            (vec![dns("a.example"), uri("SIP:B.example")], vec!["b.example"]),
            (
                vec![uri("sip:b.example:5061;transport=tls"), uri("sip:c.example")],
                vec!["b.example", "c.example"],
            ),
            // A user, another scheme, an address: none of them is a domain.
            (
                vec![uri("sip:alice@b.example"), uri("https://c.example"), dns("a.example")],
                vec!["a.example"],
            ),
            (vec![SanType::IpAddress([192, 0, 2, 1].into())], vec![]),
        ] {
            let mut params = CertificateParams::default();
            params.subject_alt_names = names;
            params.is_ca = rcgen::IsCa::ExplicitNoCa;
            let certificate = params.self_signed(&key).unwrap();
            let found: Vec<Box<str>> = found.into_iter().map(Into::into).collect();
            assert_eq!(domains(certificate.der()), found);
            for cut in 0..certificate.der().len() {
                // Where it is cut off there may be fewer, and nothing breaks.
                assert!(domains(&certificate.der()[..cut]).len() <= found.len());
            }
        }
        let many = (0..100).map(|number| dns(&format!("n{number}.example"))).collect();
        let mut params = CertificateParams::default();
        params.subject_alt_names = many;
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(domains(certificate.der()).len(), limits::CERTIFICATE_NAMES);
    }
}
