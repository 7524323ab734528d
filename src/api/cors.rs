//! Pages of other origins (Fetch, 3.2 "CORS protocol"): which may use the API, and how a browser is told.

use super::wire::{Headers, Method, Request, Response};
use crate::config::Origins;
use bytes::Bytes;

/// What a page may read of an answer, besides its body.
const EXPOSED: &str = "Location, Retry-After, Idempotency-Replayed, WWW-Authenticate";
/// What it may write.
const FIELDS: &str = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID";

/// The header fields for this origin. No cookies are used here, so `Access-Control-Allow-Credentials` is never among them.
pub(super) fn fields(origins: &Origins, request: &Request) -> Headers {
    let allowed = match (origins, &request.origin) {
        (_, None) => return Headers::new(),
        (Origins::Any, Some(_)) => Some("*".to_owned()),
        (Origins::These(all), Some(origin)) => all.iter().find(|one| *one == origin).cloned(),
    };
    // Caches keep answers by origin, where it matters.
    let mut fields = vec![("Vary", "Origin".to_owned())];
    if let Some(origin) = allowed {
        fields.push(("Access-Control-Allow-Origin", origin));
        fields.push(("Access-Control-Expose-Headers", EXPOSED.to_owned()));
    }
    fields
}

/// The answer to a preflight, which any OPTIONS is.
pub(super) fn preflight(methods: &[Method]) -> Response {
    let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
    Response {
        status: 204,
        kind: None,
        headers: vec![
            ("Access-Control-Allow-Methods", names.join(", ")),
            ("Access-Control-Allow-Headers", FIELDS.to_owned()),
            ("Access-Control-Max-Age", "600".to_owned()),
        ],
        body: Bytes::new(),
    }
}
