//! What is asked with a SUBSCRIBE, and how it is answered (RFC 6665 4.2.1).

use super::package::Package;
use super::subscription::Subscription;
use crate::cx::Cx;
use crate::id::ServerTx;
use crate::limits;
use crate::sip::{Draft, Message, Name};
use crate::transaction::Layer;
use std::time::Duration;

/// The event package of a request, without parameters (RFC 6665 8.2.1).
pub fn package(request: &Message) -> String {
    let event = request.get(Name::Event).unwrap_or_default();
    event.split(';').next().unwrap_or_default().trim().to_owned()
}

/// A SUBSCRIBE that is not taken.
pub enum Refusal {
    /// RFC 6665 4.2.1.1: 423.
    TooBrief,
    /// It does not take what we write (RFC 3680 4.5, RFC 4575 3.4).
    NotAcceptable,
    /// Another package than its dialog's.
    BadEvent,
}

/// How long a subscription is to last; zero ends it, or only asks (RFC 6665 4.4.3).
pub fn asked(request: &Message, of: &Package) -> Result<Duration, Refusal> {
    if !package(request).eq_ignore_ascii_case(of.name()) {
        return Err(Refusal::BadEvent);
    }
    let takes = [of.accepts(), "application/*", "*/*"];
    if request.get(Name::Accept).is_some() && !takes.iter().any(|range| request.has_token(Name::Accept, range)) {
        return Err(Refusal::NotAcceptable);
    }
    let seconds = match request.number(Name::Expires) {
        Some(Ok(seconds)) => Duration::from_secs(seconds.into()),
        Some(Err(_)) | None => of.longest(),
    };
    if !seconds.is_zero() && seconds < limits::SUBSCRIPTION_SHORTEST {
        return Err(Refusal::TooBrief);
    }
    Ok(seconds.min(of.longest()))
}

/// Answers what is not taken. `tag` where the request has none.
pub fn refuse(
    layer: &mut Layer,
    cx: &mut Cx<'_>,
    tx: ServerTx,
    request: &Message,
    tag: Option<&str>,
    of: &Package,
    refusal: Refusal,
) {
    let (status, name, value) = match refusal {
        Refusal::TooBrief => (
            423,
            Name::MinExpires,
            limits::SUBSCRIPTION_SHORTEST.as_secs().to_string(),
        ),
        Refusal::NotAcceptable => (406, Name::Accept, of.accepts().to_owned()),
        Refusal::BadEvent => (489, Name::AllowEvents, of.name().to_owned()),
    };
    let mut response = Draft::response(request, status, tag);
    response.push(name, value);
    layer.respond(cx, tx, response);
}

/// Answers what is taken: 200 to SUBSCRIBE, 202 to REFER (RFC 3515 2.4.2).
pub fn accept(
    layer: &mut Layer,
    cx: &mut Cx<'_>,
    tx: ServerTx,
    request: &Message,
    tag: Option<&str>,
    subscription: &Subscription,
    lasts: Option<Duration>,
) {
    let status = if lasts.is_some() { 200 } else { 202 };
    let mut response = Draft::response(request, status, tag);
    for route in request.all(Name::RecordRoute) {
        response.push(Name::RecordRoute, route);
    }
    response.push(Name::Contact, subscription.contact(cx, subscription.flow));
    if let Some(lasts) = lasts {
        response.push(Name::Expires, lasts.as_secs());
    }
    response.push(Name::Server, crate::USER_AGENT);
    layer.respond(cx, tx, response);
}
