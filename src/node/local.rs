//! What is ours: whether a URI means this node, and which user an address of record is.

use super::authenticate::By;
use crate::config::Way;
use crate::config::{Config, User};
use crate::effect::Aor;
use crate::id::Flow;
use crate::sip::{Message, Method, UriText};

/// True if the URI names this node, as seen from where a request came in.
pub(super) fn is_local(config: &Config, flow: Flow, uri: &UriText<'_>) -> bool {
    config.is_local_text(uri, flow.local.ip())
}

/// The configured user that an address of record means, by name or by number: phones that dial numbers write their own into From. An
/// IP address stands for every domain: names are unique over all.
pub(super) fn user_of<'a>(config: &'a Config, flow: Flow, uri: &UriText<'_>) -> Option<&'a User> {
    let domain = config.local_domain(uri.host, flow.local.ip())?;
    let name = uri.user_decoded()?;
    let user = config.user(&name).or_else(|| config.user_by_number(&name))?;
    (uri.host.ip().is_some() || user.domain == domain.name).then_some(user)
}

/// The realm in which a request to or from this URI is challenged: its domain if that is ours, else the first.
pub(super) fn realm<'a>(config: &'a Config, flow: Flow, uri: &UriText<'_>) -> &'a str {
    let own = config
        .local_domain(uri.host, flow.local.ip())
        .or(config.domains.first());
    own.map_or("tandem", |domain| domain.name.as_str())
}

/// As what we ask the sender of a request for credentials: what we proxy as a proxy, a call that is bridged as its server.
pub(super) fn asks_as(config: &Config, flow: Flow, request: &Message, from: &UriText<'_>) -> By {
    let domain = config.local_domain(from.host, flow.local.ip());
    match (request.method(), domain.map(|domain| domain.way)) {
        (Method::Invite, Some(Way::Bridge) | None) => By::Server,
        (_, _) => By::Proxy,
    }
}

/// The address of record of a user by name.
pub(super) fn aor_of(config: &Config, name: &str) -> Aor {
    config.user(name).map_or_else(|| Aor(name.into()), aor)
}

/// The address of record of a user.
pub fn aor(user: &User) -> Aor {
    Aor([&*user.name, "@", &*user.domain].concat().into())
}
