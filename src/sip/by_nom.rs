//! The grammars of `scan` and `uri_text` once more, in nom: the oracle of what is read by hand there for speed.

use super::grammar::{BLANK, Read, lws, quoted_text, split_list, token, unescape_quoted};
use super::header::Params;
use super::lex::ParseError;
use super::uri::Scheme;
use super::{CSeq, Host, Method, NameAddr, Uri, Via};
use crate::limits::SIP_PARAMS;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while1};
use nom::character::complete::{char, digit1, satisfy, space1};
use nom::combinator::{all_consuming, map, opt, recognize};
use nom::multi::many_m_n;
use nom::sequence::{delimited, pair, preceded, separated_pair, terminated};
use nom::{AsChar, IResult, Parser};
use proptest::prelude::*;
use std::borrow::Cow;

/// `quoted-string` without its quotes and escapes.
fn quoted(input: &str) -> Read<'_, Cow<'_, str>> {
    map(quoted_text, unescape_quoted).parse(input)
}

/// One character with LWS on both sides: SEMI, EQUAL, SLASH, COLON of RFC 3261 25.1.
fn around<'a>(separator: char) -> impl Parser<&'a str, Output = char, Error = nom::error::Error<&'a str>> {
    delimited(lws, char(separator), lws)
}

/// The value of a header parameter: quoted, or whatever reaches to the next separator. More is taken than `token / host`,
/// because `received=2001:db8::1` and `rport=` are met in the field.
fn param_value(input: &str) -> Read<'_, Cow<'_, str>> {
    let plain = take_while(|c: char| !c.is_ascii_whitespace() && !";,\"<>".contains(c));
    alt((quoted, map(plain, Cow::Borrowed))).parse(input)
}

/// `;name=value;flag` of a header value, at most `SIP_PARAMS`. One semicolon too many at the end is overlooked, in the middle it is not.
fn params(input: &str) -> Read<'_, Params> {
    let value = opt(preceded(around('='), param_value));
    let param = map(preceded(around(';'), pair(token, value)), |(name, value)| {
        (name.into(), value.map(|value| value.into_owned().into()))
    });
    let end = pair(opt(pair(lws, char(';'))), lws);
    let (rest, list) = terminated(many_m_n(0, SIP_PARAMS, param), end).parse(input)?;
    Ok((rest, Params(list)))
}

/// Display name, URI and parameters as text.
type AddrParts<'a> = (Option<Cow<'a, str>>, &'a str, Params);

/// `name-addr`. A display name without quotes may hold more than tokens, since it does in the field, but no separator.
fn bracketed(input: &str) -> IResult<&str, AddrParts<'_>> {
    let words = map(take_while(|c: char| !",;<>\"\\".contains(c)), |words: &str| {
        words.trim_matches(BLANK)
    });
    let words = map(words, |words| (!words.is_empty()).then_some(Cow::Borrowed(words)));
    let display = alt((map(quoted, Some), words));
    let (rest, (display, _, _, uri, _)) = (display, lws, tag("<"), take_till(|c| c == '>'), tag(">")).parse(input)?;
    let (rest, params) = params(rest)?;
    Ok((rest, (display, uri, params)))
}

/// `addr-spec` without brackets: what follows the first semicolon are the field's parameters, and a `?` may not stand
/// there (RFC 3261 20.10).
fn bare(input: &str) -> IResult<&str, AddrParts<'_>> {
    let (rest, uri) = take_while1(|c: char| !c.is_ascii_whitespace() && !",;<>?\"".contains(c)).parse(input)?;
    let (rest, params) = params(rest)?;
    Ok((rest, (None, uri, params)))
}

/// Transport, host and port as text, parameters.
type ViaParts<'a> = (&'a str, &'a str, Option<&'a str>, Params);

/// `via-parm` of any version: the answer 505 finds its way by it too.
fn via(input: &str) -> IResult<&str, ViaParts<'_>> {
    let protocol = (
        terminated(token, around('/')),
        terminated(token, around('/')),
        terminated(token, lws),
    );
    let sent_by = (host_text, opt(preceded(around(':'), digit1)));
    let (rest, ((_, _, transport), (host, port), params)) = (protocol, sent_by, params).parse(input)?;
    Ok((rest, (transport, host, port, params)))
}

/// `sip:` and its like; the scheme ends at the first colon.
fn scheme(input: &str) -> IResult<&str, Scheme> {
    let name = recognize(pair(
        satisfy(AsChar::is_alpha),
        take_while(|c: char| c.is_alphanum() || "+-.".contains(c)),
    ));
    let (rest, name) = terminated(name, char(':')).parse(input)?;
    let scheme = match name.to_ascii_lowercase().as_str() {
        "sip" => Scheme::Sip,
        "sips" => Scheme::Sips,
        "tel" => Scheme::Tel,
        other => Scheme::Other(other.into()),
    };
    Ok((rest, scheme))
}

/// What follows `sip:`. The first `@` ends the user part: neither parameters nor headers may hold one unescaped, while
/// the user part may hold `;` and `?` (RFC 3261 25.1, `user-unreserved`).
fn sip_parts(input: &str) -> IResult<&str, SipParts<'_>> {
    let user = (
        take_while1(|c| c != ':' && c != '@'),
        opt(preceded(char(':'), take_till(|c| c == '@'))),
    );
    let (rest, userinfo) = opt(terminated(user, char('@'))).parse(input)?;
    let (rest, host) = host_text(rest)?;
    let (rest, port) = opt(preceded(char(':'), take_while1(AsChar::is_dec_digit))).parse(rest)?;
    let (rest, params) = uri_params(rest)?;
    let (rest, headers) = opt(preceded(char('?'), take_while(|_| true))).parse(rest)?;
    Ok((
        rest,
        SipParts {
            userinfo,
            host,
            port,
            params,
            headers,
        },
    ))
}

/// A host as it is written: an IPv6 address with its brackets, or what may stand in a name.
fn host_text(input: &str) -> IResult<&str, &str> {
    if input.starts_with('[') {
        recognize(delimited(tag("["), take_while1(|c| c != ']'), tag("]"))).parse(input)
    } else {
        take_while1(|c: char| c.is_alphanum() || "-._".contains(c)).parse(input)
    }
}

/// `;name=value` of a URI: never quoted, kept as it came. An `=` in the value belongs to it.
fn uri_params(input: &str) -> IResult<&str, Params> {
    let name = || take_while1(|c: char| !";?=".contains(c));
    let value = take_while(|c: char| !";?".contains(c));
    let with_value =
        separated_pair(name(), char('='), value).map(|(name, value): (&str, &str)| (name.into(), Some(value.into())));
    let flag = name().map(|name: &str| (name.into(), None));
    let (rest, list) = many_m_n(0, SIP_PARAMS, preceded(char(';'), with_value.or(flag))).parse(input)?;
    let (rest, _) = opt(char(';')).parse(rest)?;
    Ok((rest, Params(list)))
}

/// The parts of a SIP URI as text.
struct SipParts<'a> {
    userinfo: Option<(&'a str, Option<&'a str>)>,
    host: &'a str,
    port: Option<&'a str>,
    params: Params,
    headers: Option<&'a str>,
}

fn number(text: &str) -> Result<u16, ParseError> {
    text.parse()
        .map_err(|_| ParseError::bad("a port is not between 0 and 65535"))
}

fn escapes_are_whole(text: &str) -> bool {
    let hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    text.match_indices('%').all(|(at, _)| hex(at + 1) && hex(at + 2))
}

fn opaque(scheme: Scheme, rest: &str) -> Uri {
    Uri {
        scheme,
        user: Some(rest.into()),
        password: None,
        host: Host::Name("".into()),
        port: None,
        params: Params::default(),
        headers: None,
    }
}

fn uri(text: &str) -> Result<Uri, ParseError> {
    if text
        .bytes()
        .any(|byte| byte <= b' ' || byte == 0x7f || b"<>\"".contains(&byte))
    {
        return Err(ParseError::bad("a URI holds a blank, a quote or an angle bracket"));
    }
    let (rest, scheme) = scheme(text).map_err(|_| ParseError::bad("a URI has no scheme"))?;
    match scheme {
        Scheme::Sip | Scheme::Sips => {
            let malformed = |_| ParseError::bad("a SIP URI is malformed");
            let (_, parts) = all_consuming(sip_parts).parse(rest).map_err(malformed)?;
            let (user, password) = parts
                .userinfo
                .map_or((None, None), |(user, password)| (Some(user), password));
            if ![user, password].into_iter().flatten().all(escapes_are_whole) {
                return Err(ParseError::bad(
                    "a percent sign in a URI's user part is not followed by two hex digits",
                ));
            }
            Ok(Uri {
                scheme,
                user: user.map(Into::into),
                password: password.map(Into::into),
                host: Host::parse(parts.host)?,
                port: parts.port.map(number).transpose()?,
                params: parts.params,
                headers: parts.headers.map(Into::into),
            })
        }
        Scheme::Tel => {
            let malformed = |_| ParseError::bad("a tel URI is malformed");
            let parts = (take_till(|c| c == ';'), uri_params);
            let (_, (number, params)) = all_consuming(parts).parse(rest).map_err(malformed)?;
            if !number
                .bytes()
                .any(|byte: u8| byte.is_ascii_hexdigit() || b"*#".contains(&byte))
            {
                return Err(ParseError::bad("a tel URI has no digits"));
            }
            Ok(Uri {
                params,
                ..opaque(scheme, number)
            })
        }
        Scheme::Other(_) => Ok(opaque(scheme, rest)),
    }
}

fn name_addr(text: &str) -> Result<NameAddr, ParseError> {
    let malformed = |_| ParseError::bad("a name-addr is malformed");
    let (_, (display, written, params)) = all_consuming(alt((bracketed, bare)))
        .parse(text.trim_matches(BLANK))
        .map_err(malformed)?;
    Ok(NameAddr {
        display: display.map(|name| name.into_owned().into()),
        uri: uri(written)?,
        params,
    })
}

fn via_value(text: &str) -> Result<Via, ParseError> {
    let malformed = |_| ParseError::bad("a Via value is malformed");
    let (_, (transport, host, port, params)) = all_consuming(via).parse(text.trim_matches(BLANK)).map_err(malformed)?;
    Ok(Via {
        transport: transport.to_ascii_uppercase().into(),
        host: Host::parse(host)?,
        port: port.map(number).transpose()?,
        params,
    })
}

fn cseq(text: &str) -> Result<CSeq, ParseError> {
    let malformed = |_| ParseError::bad("CSeq is not a number and a method");
    let (_, (number, _, method)) = all_consuming((digit1, space1, token))
        .parse(text.trim_matches(BLANK))
        .map_err(malformed)?;
    let number: Option<u32> = number.parse().ok().filter(|number| *number < 1 << 31);
    let number = number.ok_or(ParseError::bad("the number in CSeq is not below 2^31"))?;
    Ok(CSeq {
        number,
        method: Method::from(method),
    })
}

/// Pieces of values in any order: most are nearly well-formed, and many are.
fn pieces(list: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(list), 0..10).prop_map(|pieces| pieces.concat())
}

const ADDRESS: &[&str] = &[
    "\"A B\"",
    "\"a\\\"b,\"",
    "\"",
    "\\",
    "Alice ",
    "\u{fc}",
    " ",
    "\t",
    "\r",
    "<",
    ">",
    "<sip:a@b>",
    "<sip:a@b;lr>",
    "sip:",
    "a@b",
    ":",
    ";",
    ";tag=1",
    "; tag = x",
    ";%74ag=y",
    ";TAG=\"q\"",
    ";tag=\"q\\\"r\"",
    ";x",
    "=",
    ",",
    "?",
    "1.2.3.4",
    "*",
];
const URI: &[&str] = &[
    "sip:",
    "SIPS:",
    "tel:",
    "urn:",
    "mailto:",
    "s",
    "1",
    "+49",
    "a",
    "alice",
    "%61",
    "%6",
    "%",
    "@",
    ":",
    "host.example",
    "_x",
    "1.2.3.4",
    "256.1.1.1",
    "[2001:db8::1]",
    "[:::1]",
    "[",
    "]",
    ":5060",
    ":70000",
    ";",
    ";lr",
    ";a=b=c",
    ";=x",
    "=",
    "?",
    "?a=b",
    " ",
    "\u{fc}",
    "-",
];
const VIA: &[&str] = &[
    "SIP/2.0/UDP ",
    "SIP / 2.0 / tcp\t",
    "SIP/7.0/",
    "SIP/2.0/TLS[::1]",
    "/",
    " ",
    "a",
    "a.example",
    "1.2.3.4",
    "[::1]",
    "[]",
    ":5060",
    " : 5070",
    ":x",
    ":99999",
    ";branch=z9hG4bKa",
    ";rport",
    ";rport=",
    ";received=2001:db8::1",
    "; branch = \"x\"",
    ";",
    ";;",
    "=",
    ",",
    "\u{fc}",
];
const CSEQ: &[&str] = &[
    "1",
    "0",
    "2147483647",
    "2147483648",
    "99999999999",
    " ",
    "\t",
    "INVITE",
    "BYE",
    "x",
    "/",
    "-",
    "\r\n",
];
const LIST: &[&str] = &["a", ",", " ", "\"", "\\", "<", ">", "\"x,y\"", "<sip:a,b>", "\u{fc}"];

/// RFC 3261 7.3.1, one octet after the other.
fn cut(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut bracket) = (0, false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !bracket => quoted = !quoted,
            b'<' if !quoted => bracket = true,
            b'>' if !quoted => bracket = false,
            b',' if !quoted && !bracket => {
                parts.push(text[start..at].trim_matches(BLANK));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim_matches(BLANK));
    parts.retain(|part| !part.is_empty());
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn name_addrs_are_read_as_nom_reads_them(text in pieces(ADDRESS)) {
        prop_assert_eq!(NameAddr::parse(&text), name_addr(&text), "{}", text);
    }

    #[test]
    fn uris_are_read_as_nom_reads_them(text in pieces(URI)) {
        prop_assert_eq!(Uri::parse(&text), uri(&text), "{}", text);
    }

    #[test]
    fn vias_are_read_as_nom_reads_them(text in pieces(VIA)) {
        prop_assert_eq!(Via::parse(&text), via_value(&text), "{}", text);
    }

    #[test]
    fn cseqs_are_read_as_nom_reads_them(text in pieces(CSEQ)) {
        prop_assert_eq!(CSeq::parse(&text), cseq(&text), "{}", text);
    }

    #[test]
    fn any_text_is_read_as_nom_reads_it(text in any::<String>()) {
        prop_assert_eq!(NameAddr::parse(&text), name_addr(&text));
        prop_assert_eq!(Uri::parse(&text), uri(&text));
        prop_assert_eq!(Via::parse(&text), via_value(&text));
    }

    #[test]
    fn lists_are_cut_at_their_commas(text in pieces(LIST)) {
        prop_assert_eq!(split_list(&text).collect::<Vec<_>>(), cut(&text), "{}", text);
    }
}

#[test]
fn more_parameters_than_the_limit_are_refused_alike() {
    for count in [SIP_PARAMS - 1, SIP_PARAMS, SIP_PARAMS + 1] {
        let (value, plain) = (
            format!("<sip:a>{}", ";x=1".repeat(count)),
            format!("sip:a{}", ";x".repeat(count)),
        );
        assert_eq!(NameAddr::parse(&value), name_addr(&value));
        assert_eq!(Uri::parse(&plain), uri(&plain));
        assert_eq!(Uri::parse(&plain).is_ok(), count <= SIP_PARAMS);
    }
}
