//! What is answered.

use super::wire::{Event, Headers, Reply, Response};
use bytes::Bytes;
use serde_json::Value;

/// What a request is given.
pub(super) enum Given {
    Response(Response),
    Stream(Vec<Event>),
}

impl Given {
    /// With these header fields too.
    pub(super) fn reply(self, more: Headers) -> Reply {
        match self {
            Given::Response(mut response) => {
                response.headers.extend(more);
                Reply::Done(response)
            }
            Given::Stream(events) => Reply::Open { headers: more, events },
        }
    }
}

/// An answer with JSON in it.
pub(super) fn json(status: u16, body: Bytes) -> Response {
    Response {
        status,
        kind: Some("application/json"),
        // Each is for one reader at one moment.
        headers: vec![("Cache-Control", "no-store".to_owned())],
        body,
    }
}

pub(super) fn ok(value: &Value) -> Response {
    json(200, value.to_string().into())
}

/// Done, and nothing to say of it.
pub(super) fn done() -> Response {
    Response {
        status: 204,
        kind: None,
        headers: Headers::new(),
        body: Bytes::new(),
    }
}
