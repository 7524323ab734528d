//! Why a request is refused (RFC 9457): one kind for each reason, with its status and its title.

use super::wire::{Headers, Response};
use crate::id::ApiId;
use serde_json::json;

/// The content type of a problem.
const KIND: &str = "application/problem+json";

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// There is no token, or what is there is none.
    NoToken,
    /// It is not of this node, was changed, or its key is no longer in force.
    BadToken,
    /// Its time is over.
    TokenExpired,
    /// It is for other things.
    WrongScope,
    /// What is there is no key of an operator's back end.
    BadKey,
    /// There is no such path.
    NoSuchPath,
    /// The path is there, and does something else.
    NoSuchMethod,
    /// The body is not what the path takes.
    BadBody,
    /// It is, and what it asks for cannot be.
    CannotBe,
    /// The body is too long.
    TooLong,
    /// It did not arrive in time.
    TooSlow,
    /// There is no such call, or it is not of who asks, or it is over.
    NoSuchCall,
    /// There is no such room.
    NoSuchRoom,
    /// The call is elsewhere than where this can be done.
    WrongMoment,
    /// The other side's offer came first.
    Glare,
    /// The answer is to an offer that no longer holds.
    StaleAnswer,
    /// The configuration gives this client no way to whom it calls.
    NoWay,
    /// Who is called is not connected.
    NotConnected,
    /// Who is called has as many calls as he may.
    Busy,
    /// This key was used for another request.
    KeyReused,
    /// Too many requests.
    TooMany,
    /// The node has no room.
    Full,
}

/// All of them, for who looks one up.
pub const ALL: [Kind; 22] = [
    Kind::NoToken,
    Kind::BadToken,
    Kind::TokenExpired,
    Kind::WrongScope,
    Kind::BadKey,
    Kind::NoSuchPath,
    Kind::NoSuchMethod,
    Kind::BadBody,
    Kind::CannotBe,
    Kind::TooLong,
    Kind::TooSlow,
    Kind::NoSuchCall,
    Kind::NoSuchRoom,
    Kind::WrongMoment,
    Kind::Glare,
    Kind::StaleAnswer,
    Kind::NoWay,
    Kind::NotConnected,
    Kind::Busy,
    Kind::KeyReused,
    Kind::TooMany,
    Kind::Full,
];

impl Kind {
    /// The status, the name in `type`, and the title.
    pub const fn words(self) -> (u16, &'static str, &'static str) {
        match self {
            Kind::NoToken => (401, "no-token", "An access token is wanted"),
            Kind::BadToken => (401, "bad-token", "The access token is not good here"),
            Kind::TokenExpired => (401, "token-expired", "The access token has expired"),
            Kind::WrongScope => (403, "wrong-scope", "The access token is for other things"),
            Kind::BadKey => (401, "bad-key", "An API key is wanted"),
            Kind::NoSuchPath => (404, "no-such-path", "There is nothing here"),
            Kind::NoSuchMethod => (405, "no-such-method", "That is not done with this path"),
            Kind::BadBody => (400, "bad-body", "The body is not what is taken here"),
            Kind::CannotBe => (422, "cannot-be", "What the body asks for cannot be"),
            Kind::TooLong => (413, "too-long", "The body is too long"),
            Kind::TooSlow => (408, "too-slow", "The request did not arrive in time"),
            Kind::NoSuchCall => (404, "no-such-call", "There is no such call"),
            Kind::NoSuchRoom => (404, "no-such-room", "There is no such room"),
            Kind::WrongMoment => (409, "wrong-moment", "The call is not where this can be done"),
            Kind::Glare => (409, "glare", "The other side's offer came first"),
            Kind::StaleAnswer => (409, "stale-answer", "The offer that this answers no longer holds"),
            Kind::NoWay => (403, "no-way", "This client may not call that"),
            Kind::NotConnected => (409, "not-connected", "Who is called is not connected"),
            Kind::Busy => (409, "busy", "There is no room for one more call"),
            Kind::KeyReused => (422, "key-reused", "The Idempotency-Key was used for another request"),
            Kind::TooMany => (429, "too-many", "Too many requests"),
            Kind::Full => (503, "full", "The node has no room"),
        }
    }
}

/// A problem: its kind, and what is special about this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub kind: Kind,
    /// A sentence, without personal data.
    pub detail: String,
    /// Header fields that belong to it.
    pub headers: Headers,
}

impl Problem {
    /// One with this sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        let field = |name, value: &str| vec![(name, value.to_owned())];
        let headers = match kind {
            // RFC 6750 3.
            Kind::NoToken | Kind::BadKey => field("WWW-Authenticate", "Bearer"),
            Kind::BadToken | Kind::TokenExpired => field("WWW-Authenticate", "Bearer error=\"invalid_token\""),
            Kind::WrongScope => field("WWW-Authenticate", "Bearer error=\"insufficient_scope\""),
            // All rates are of one a second at the least.
            Kind::TooMany | Kind::Full => field("Retry-After", "1"),
            Kind::NoSuchPath
            | Kind::NoSuchMethod
            | Kind::BadBody
            | Kind::CannotBe
            | Kind::TooLong
            | Kind::TooSlow
            | Kind::NoSuchCall
            | Kind::NoSuchRoom
            | Kind::WrongMoment
            | Kind::Glare
            | Kind::StaleAnswer
            | Kind::NoWay
            | Kind::NotConnected
            | Kind::Busy
            | Kind::KeyReused => Headers::new(),
        };
        let detail = detail.into();
        Problem { kind, detail, headers }
    }

    /// The answer that tells it. `path` and `id` are those of the request: together they name this one occurrence.
    pub fn response(self, path: &str, id: ApiId) -> Response {
        let (status, name, title) = self.kind.words();
        let told = json!({
            "type": format!("/v1/problems#{name}"),
            "title": title,
            "status": status,
            "detail": self.detail,
            "instance": format!("{path}#{id}"),
        });
        Response {
            status,
            kind: Some(KIND),
            headers: self.headers,
            body: told.to_string().into(),
        }
    }
}

/// All kinds, for who follows a `type`.
pub(super) fn list() -> serde_json::Value {
    let one = |kind: Kind| {
        let (status, name, title) = kind.words();
        json!({ "type": format!("/v1/problems#{name}"), "status": status, "title": title })
    };
    json!({ "problems": ALL.map(one) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_is_told_and_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = ALL.map(|kind| kind.words().1).into();
        assert_eq!(names.len(), ALL.len());
        for kind in ALL {
            let response = Problem::new(kind, "why").response("/v1/calls", ApiId(0x12));
            let told: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            let (status, name, title) = kind.words();
            assert_eq!(
                (response.status, response.kind),
                (status, Some("application/problem+json"))
            );
            assert_eq!(told["type"], format!("/v1/problems#{name}"));
            assert_eq!((&told["title"], &told["status"]), (&json!(title), &json!(status)));
            assert_eq!(
                (&told["detail"], &told["instance"]),
                (&json!("why"), &json!("/v1/calls#h12"))
            );
        }
    }
}
