//! Who is called, as somebody at a keyboard writes it: a number, a name, or a URI with one of them.

use super::Source;
use crate::config::{Config, Way};
use crate::sip::uri::Scheme;
use crate::sip::{Host, Uri};
use std::net::{IpAddr, Ipv4Addr};

/// RFC 3261 21.4.22.
const NOBODY: &str = "The call is refused with 484: nobody is named.";

/// What becomes of it before the dial plan is asked.
pub(super) enum Called {
    /// The dial plan is asked for this number or name. The sentence says how it was found, if it was not what was written.
    Here(String, Option<String>),
    /// It is not asked, as this sentence says.
    Elsewhere(String),
}

impl Called {
    /// Reads a text as a node would read the URI of a call.
    pub(super) fn read(config: &Config, source: &Source, text: &str) -> Called {
        let bare = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let bare = bare.map_or(text.trim(), |(uri, _)| uri);
        let has_scheme = ["sip:", "sips:", "tel:"].iter().any(|scheme| {
            let start = bare.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        let parsed = match (has_scheme, bare.contains('@')) {
            (true, _) => Uri::parse(bare),
            (false, true) => Uri::parse(&format!("sip:{bare}")),
            (false, false) if bare.is_empty() => return Called::Elsewhere(NOBODY.to_owned()),
            (false, false) => return Called::Here(bare.to_owned(), None),
        };
        match parsed {
            Ok(uri) => of_uri(config, source, &uri),
            Err(error) => Called::Elsewhere(format!(
                "That is no URI of SIP ({}), so nobody can call it.",
                error.reason
            )),
        }
    }
}

fn of_uri(config: &Config, source: &Source, uri: &Uri) -> Called {
    // Nobody has come by this address, so none is ours by it.
    let nowhere = IpAddr::V4(Ipv4Addr::BROADCAST);
    let is_ours = config.is_local(uri, nowhere);
    let doubt = uri.host.ip().filter(|ip| !is_ours && may_be_ours(config, *ip));
    if !is_ours && doubt.is_none() {
        return Called::Elsewhere(elsewhere(config, source, &uri.host));
    }
    let Some(dialled) = uri.user_decoded().filter(|user| !user.is_empty()) else {
        return Called::Elsewhere(NOBODY.to_owned());
    };
    if uri.params.get("gr").is_some() {
        let host = &uri.host;
        return Called::Elsewhere(format!(
            "That is one device (gr, RFC 5627) of {dialled} at {host}: only the running node knows whether it is registered."
        ));
    }
    let how = match (&uri.scheme, doubt) {
        (Scheme::Tel, _) => format!("It is the number {dialled}, whatever the host."),
        (Scheme::Sip | Scheme::Sips | Scheme::Other(_), None) => {
            format!("It is {dialled} here: {} is ours.", uri.host)
        }
        (Scheme::Sip | Scheme::Sips | Scheme::Other(_), Some(ip)) => format!(
            "Only the running node knows whether {ip} is an address of its machine. If it is not, the call is refused with 404; if it is, this \
             is a call to {dialled}:"
        ),
    };
    Called::Here(dialled, Some(how))
}

/// An address of this machine, perhaps: somebody listens on them all.
fn may_be_ours(config: &Config, ip: IpAddr) -> bool {
    let listeners = config.listen.iter().map(|listen| listen.addr.ip());
    listeners
        .into_iter()
        .any(|own| own.is_unspecified() && own.is_ipv4() == ip.is_ipv4())
}

/// Only users of a domain that is proxied reach other domains.
fn elsewhere(config: &Config, source: &Source, host: &Host) -> String {
    let user = match source {
        Source::User(name) => config.user(name),
        Source::Trunk(_) => None,
    };
    match user.filter(|user| config.way_of(&user.domain) == Way::Proxy) {
        Some(user) => format!(
            "The call is proxied to {host}, since the domain of {} says do: proxy. What becomes of it there only {host} knows.",
            user.name
        ),
        None => format!("The call is refused with 404: {host} is not one of `domains`, nor an address of this node."),
    }
}
