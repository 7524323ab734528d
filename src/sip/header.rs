//! The typed values of the header fields that we read.

use super::ParseError;
use super::grammar::{is_token, split_list, write_quoted};
pub use super::name::{Method, Name};
use super::scan::{self, AddrText, ParamsText, ViaText};
use super::uri::{Host, Uri, unescape};
use std::fmt;
use std::net::IpAddr;

/// `;name=value;flag`: names compare without case and with escapes resolved (RFC 4475 3.1.1.3: `;%6C%72` is `;lr`), order
/// and spelling are kept. Quoted values are held without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(pub Vec<(Box<str>, Option<Box<str>>)>);

impl Params {
    /// `None`: absent; `Some(None)`: a flag; `Some(Some(value))`.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0
            .iter()
            .find(|(n, _)| same_name(n, name))
            .map(|(_, value)| value.as_deref())
    }

    /// The value, where there is one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// Sets or replaces.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(Into::into);
        match self.0.iter_mut().find(|(n, _)| same_name(n, name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Removes; true if it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| !same_name(n, name));
        before != self.0.len()
    }
}

pub(super) fn same_name(written: &str, name: &str) -> bool {
    written.eq_ignore_ascii_case(name) || (written.contains('%') && unescape(written).eq_ignore_ascii_case(name))
}

impl From<ParamsText<'_>> for Params {
    fn from(text: ParamsText<'_>) -> Params {
        let owned = text
            .iter()
            .map(|(name, value)| (name.into(), value.map(|value| Box::from(&*value))));
        Params(owned.collect())
    }
}

/// As parameters of a header field: a value that is no token and no address is quoted.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            match value {
                Some(value) if needs_quotes(name, value) => {
                    f.write_str("=")?;
                    write_quoted(f, value)?;
                }
                Some(value) => write!(f, "={value}")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// The value of a feature tag is quoted even where it is a token (RFC 3840 9: `+sip.events="reg"`, `audio="TRUE"`).
fn needs_quotes(name: &str, value: &str) -> bool {
    const FEATURES: [&str; 18] = [
        "actor",
        "application",
        "audio",
        "automata",
        "class",
        "control",
        "data",
        "description",
        "duplex",
        "events",
        "extensions",
        "isfocus",
        "language",
        "methods",
        "mobility",
        "priority",
        "schemes",
        "video",
    ];
    let is_feature = name.starts_with('+') || FEATURES.iter().any(|feature| feature.eq_ignore_ascii_case(name));
    is_feature || !(is_token(value.as_bytes()) || address(value).is_some())
}

/// An IP address as a parameter holds it: IPv6 with or without brackets (RFC 5118 4.5).
fn address(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text)
        .parse()
        .ok()
}

/// `"Display" <uri>;params`: From, To, Contact, Route, Record-Route, Refer-To, P-Asserted-Identity (RFC 3261 20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name without quotes and escapes.
    pub display: Option<Box<str>>,
    /// The URI.
    pub uri: Uri,
    /// Header parameters.
    pub params: Params,
}

impl NameAddr {
    /// Reads one value (the whole text). Without angle brackets, parameters belong to the header (RFC 3261 20).
    pub fn parse(text: &str) -> Result<NameAddr, ParseError> {
        let parts = AddrText::parse(text)?;
        Ok(NameAddr {
            display: parts.display().map(|name| Box::from(&*name)),
            uri: Uri::parse(parts.uri)?,
            params: parts.params.into(),
        })
    }

    /// Reads a list of values with commas between them.
    pub fn parse_list(text: &str) -> Result<Vec<NameAddr>, ParseError> {
        split_list(text).map(NameAddr::parse).collect()
    }

    /// With a URI and nothing else.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }
}

/// Always with angle brackets; the display name always quoted.
impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write_quoted(f, display)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// One Via value (RFC 3261 20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, ... in upper case.
    pub transport: Box<str>,
    /// sent-by host.
    pub host: Host,
    /// sent-by port.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, ...
    pub params: Params,
}

impl Via {
    /// Reads one value (the whole text).
    pub fn parse(text: &str) -> Result<Via, ParseError> {
        let parts = ViaText::parse(text)?;
        Ok(Via {
            transport: parts.transport.to_ascii_uppercase().into(),
            host: parts.host.into(),
            port: parts.port,
            params: parts.params.into(),
        })
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }

    /// The `received` parameter as an address, with or without brackets (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        self.params.value("received").and_then(address)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

/// `CSeq: 4711 INVITE` (RFC 3261 20.16): the number is below 2^31.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// The sequence number.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the whole text.
    pub fn parse(text: &str) -> Result<CSeq, ParseError> {
        let (number, method) = scan::cseq(text)?;
        Ok(CSeq {
            number,
            method: Method::from(method),
        })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn name_addr_in_its_forms() {
        for (text, display, uri, tag) in [
            ("<sip:a@b>", None, "sip:a@b", None),
            ("sip:a@b;tag=1", None, "sip:a@b", Some("1")),
            ("<sip:a@b;tag=no>;tag=1", None, "sip:a@b;tag=no", Some("1")),
            (
                r#""A \"B\" <x>, y" <sip:a@b> ; tag = 1"#,
                Some(r#"A "B" <x>, y"#),
                "sip:a@b",
                Some("1"),
            ),
            ("Alice  W. <sip:a@b>", Some("Alice  W."), "sip:a@b", None),
            ("Иван <sip:a@b>", Some("Иван"), "sip:a@b", None),
            (r#""" <sip:a@b>;TAG=x"#, Some(""), "sip:a@b", Some("x")),
            ("a<tel:+1415;isub=1>;tag=q;", Some("a"), "tel:+1415;isub=1", Some("q")),
            ("tel:+1415;isub=1;tag=q", None, "tel:+1415", Some("q")),
            (
                "<sip:a@b?Replaces=x%3Bto-tag%3Dy>",
                None,
                "sip:a@b?Replaces=x%3Bto-tag%3Dy",
                None,
            ),
        ] {
            let read = address(text);
            assert_eq!(
                (read.display.as_deref(), read.uri.to_string().as_str(), read.tag()),
                (display, uri, tag),
                "{text}"
            );
            assert_eq!(address(&read.to_string()), read, "{text}");
        }
    }

    #[test]
    fn name_addr_refused() {
        for text in [
            "",
            "*",
            "<>",
            "<sip:a@b",
            "sip:a@b>",
            "Bell, A <sip:a@b>",
            "\"A <sip:a@b>",
            "sip:a@b?x=y",
            "sip:a@b,sip:c@d",
            "<sip:a@b> x",
            "<sip:a@b>;;tag=1",
            "<sip:a@b>;=1",
            "<sip:a@b>;tag=\"x",
            "< sip:a@b >",
            "<<sip:a@b>>",
            "a@b",
        ] {
            assert_eq!(NameAddr::parse(text).unwrap_err().status, 400, "{text}");
        }
    }

    #[test]
    fn quotes_come_back_where_the_grammar_wants_them() {
        let text = r#"<sip:a@b>;+sip.instance="<urn:uuid:1>";audio="TRUE";q=0.5;received=2001:db8::1;x="a;b""#;
        assert_eq!(address(text).to_string(), text);
        assert_eq!(
            address("<sip:a>;tag=\"x\";y=[::1]").to_string(),
            "<sip:a>;tag=x;y=[::1]"
        );
    }

    #[test]
    fn via_in_its_forms() {
        for (text, transport, host, port, written) in [
            (
                "SIP/2.0/UDP a;branch=z9hG4bKx;rport",
                "UDP",
                "a",
                None,
                "SIP/2.0/UDP a;branch=z9hG4bKx;rport",
            ),
            (
                "SIP / 2.0 / tcp  A.example : 5060 ;ttl=1",
                "TCP",
                "a.example",
                Some(5060),
                "SIP/2.0/TCP a.example:5060;ttl=1",
            ),
            (
                "SIP/7.0/TLS-SCTP [2001:DB8::1]:0",
                "TLS-SCTP",
                "[2001:db8::1]",
                Some(0),
                "SIP/2.0/TLS-SCTP [2001:db8::1]:0",
            ),
        ] {
            let via = Via::parse(text).unwrap();
            assert_eq!(
                (&*via.transport, via.host.to_string().as_str(), via.port),
                (transport, host, port)
            );
            assert_eq!(via.to_string(), written);
        }
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0 a",
            "SIP/2.0/UDP a:b",
            "SIP/2.0/UDP a:70000",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP a;;branch=x",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP [::1",
        ] {
            assert_eq!(Via::parse(text).unwrap_err().status, 400, "{text}");
        }
    }

    #[test]
    fn cseq_is_below_2_to_31() {
        assert_eq!(
            CSeq::parse(" 0009 \t INVITE").unwrap(),
            CSeq {
                number: 9,
                method: Method::Invite
            }
        );
        assert_eq!(CSeq::parse("2147483647 x").unwrap().number, (1 << 31) - 1);
        for text in [
            "",
            "1",
            "INVITE",
            "1INVITE",
            "-1 INVITE",
            "2147483648 INVITE",
            "99999999999 INVITE",
            "1 IN VITE",
            "1 A/B",
        ] {
            assert_eq!(CSeq::parse(text).unwrap_err().status, 400, "{text}");
        }
    }

    #[test]
    fn parameters_are_found_replaced_and_removed_without_case() {
        let mut params = address("<sip:a>;Tag=1;x").params;
        params.set("TAG", Some("2"));
        params.set("rport", None);
        assert_eq!(params.to_string(), ";Tag=2;x;rport");
        assert!(params.remove("X") && !params.remove("y"));
        assert_eq!(
            (params.get("rport"), params.value("rport"), params.get("x")),
            (Some(None), None, None)
        );
    }
}
