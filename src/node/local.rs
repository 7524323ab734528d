//! What is ours: which hosts a URI may name to mean this node, and which user an address of record is.

use crate::config::{Config, User};
use crate::effect::Aor;
use crate::id::Flow;
use crate::sip::uri::Scheme;
use crate::sip::{Host, Uri};
use std::net::IpAddr;

/// True if the URI names this node: one of `domains`, or an address that we listen on or advertise.
pub(super) fn is_local(config: &Config, flow: Flow, uri: &Uri) -> bool {
    match &uri.scheme {
        Scheme::Tel => true,
        Scheme::Sip | Scheme::Sips => match uri.host.ip() {
            Some(ip) => is_own_address(config, flow, ip),
            None => config
                .domains
                .iter()
                .any(|domain| Host::Name(domain.name.as_str().into()) == uri.host),
        },
        Scheme::Other(_) => false,
    }
}

fn is_own_address(config: &Config, flow: Flow, ip: IpAddr) -> bool {
    let text = ip.to_string();
    ip == flow.local.ip()
        || config.advertise == Some(ip)
        || config.listen.iter().any(|listen| listen.addr.ip() == ip)
        || config.domains.iter().any(|domain| domain.name == text)
}

/// The configured user that an address of record means; an IP address stands for the first domain that has such a user.
pub(super) fn user_of<'a>(config: &'a Config, flow: Flow, uri: &Uri) -> Option<&'a User> {
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) || !is_local(config, flow, uri) {
        return None;
    }
    let name = uri.user_decoded()?;
    let host = uri.host.to_string();
    let by_address = uri.host.ip().is_some();
    config
        .users
        .iter()
        .find(|user| user.name == name && (by_address || user.domain == host))
}

/// The realm in which a request to or from this URI is challenged: its domain if that is ours, else the first.
pub(super) fn realm<'a>(config: &'a Config, uri: &Uri) -> &'a str {
    let host = uri.host.to_string();
    let own = config
        .domains
        .iter()
        .find(|domain| domain.name == host)
        .or(config.domains.first());
    own.map_or("tandem", |domain| domain.name.as_str())
}

/// The address of record of a user.
pub fn aor(user: &User) -> Aor {
    Aor(format!("{}@{}", user.name, user.domain).into())
}
