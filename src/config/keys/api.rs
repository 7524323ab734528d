//! The sections on the HTTP API.

use super::{CERTIFICATES, DURATION, PASSWORD, Section, key};

/// `api`.
pub static API: Section = Section {
    path: "api",
    about: "The HTTP API for clients such as pages and apps, by TLS (`tls` has the certificate): `/v1/openapi.json` describes it, `/sdk/` has the \
            package that pages use, `/phone` is a telephone. Without this section it is not served.",
    keys: &[
        key(
            "listen",
            "an address of this machine, or 0.0.0.0, with a port",
            "0.0.0.0:8445",
            "required",
            "Where it is served; a change needs a restart.",
        ),
        key(
            "keys",
            "a list of keys of back ends",
            "[ { tenant: acme, key: { env: ACME_API_KEY } } ]",
            "required",
            "With such a key a back end has access tokens made for its users, or makes them. A tenant may have several, so that one can be \
             replaced: tokens by a key that is gone are refused, and their streams end.",
        ),
        key(
            "origins",
            "an origin such as https://www.example.com, or *",
            "[ \"https://www.example.com\" ]",
            "[]",
            "Pages of these may use the API (CORS), besides our own.",
        ),
        key(
            "token_lifetime",
            DURATION,
            "1h",
            "1h",
            "How long an access token lasts, and at most; 1m to 24h.",
        ),
        key(
            "per_client",
            "a number from 1 to 1000",
            "20",
            "20",
            "Requests of one client in a second; more are answered 429.",
        ),
        key(
            "per_address",
            "a number from 1 to 100000",
            "100",
            "100",
            "The same of one address, of its back end and of all clients behind it.",
        ),
        key(
            "turn",
            "a section",
            "{ urls: [ \"stun:turn.example.com:3478\" ] }",
            "none: calls connect only where the two reach each other",
            "STUN and TURN servers that clients are told of.",
        ),
        key(
            "push",
            "a section",
            "{ url: \"https://www.example.com/wake\" }",
            "none: a call to a client that is not connected is refused",
            "Who is told of such a call: the client rings when it connects within a minute.",
        ),
    ],
};

/// `api.keys[]`.
pub static API_KEY: Section = Section {
    path: "api.keys[]",
    about: "A key of a back end.",
    keys: &[
        key(
            "tenant",
            "a name of letters, digits, dots and dashes",
            "acme",
            "required",
            "Users of one tenant cannot see or call those of another.",
        ),
        key(
            "key",
            PASSWORD,
            "{ env: ACME_API_KEY }",
            "required",
            "The key: 32 octets and more, such as `openssl rand -hex 32` gives.",
        ),
        key(
            "users",
            "yes or no",
            "yes",
            "no",
            "An identity that has the name of a user of `users` is that user: it calls numbers, SIP addresses and rooms with his rights in \
             `routes`, and it rings where he is called. Whoever has the key can then be any user.",
        ),
        key(
            "calls_as",
            "a name of `users`",
            "web",
            "none: other identities call clients only",
            "The user by whose rights all other identities call numbers, SIP addresses and rooms: his number is shown, his codecs are spoken, \
             and `calls` of his limits how many they have at once. Nobody reaches them by his name.",
        ),
        key(
            "meetings",
            "one to eight digits",
            "\"88\"",
            "none: no third is added to a call between clients",
            "Where a third is added to a call between clients, it moves into a room whose number is this and ten digits more. A route has to make \
             rooms of them: `{ to: \"88*\", do: room }`.",
        ),
    ],
};

/// `api.turn`.
pub static API_TURN: Section = Section {
    path: "api.turn",
    about: "STUN and TURN servers that clients are told of. User names and passwords are made for each, and are good for a while \
            (`use-auth-secret` of coturn).",
    keys: &[
        key(
            "urls",
            "a URI with stun, stuns, turn or turns",
            "[ \"stun:turn.example.com:3478\", \"turn:turn.example.com:3478?transport=udp\" ]",
            "required",
            "The servers.",
        ),
        key(
            "secret",
            PASSWORD,
            "{ env: TURN_SECRET }",
            "required where there is a turn URI",
            "What the TURN servers share with us: of this node's own service, the secret of the section turn.",
        ),
        key(
            "lifetime",
            DURATION,
            "1h",
            "1h",
            "How long a password is good; 1m to 24h.",
        ),
    ],
};

/// `api.push`.
pub static API_PUSH: Section = Section {
    path: "api.push",
    about: "Who wakes clients that are not connected, such as the back end with its service for apps. A JSON object is posted to the URL: `reason` \
            (`call`), `tenant`, `client`, `from` and `call`. Any 2xx means that the client is being woken; with anything else, and after \
            five seconds, the caller is told that it cannot be reached, and the log why. Redirects are not followed. The URL may be that of the \
            section `push`, whose objects have `aor` where these have `client`.",
    keys: &[
        key(
            "url",
            "a URL with http or https",
            "https://www.example.com/wake",
            "required",
            "Where it is posted.",
        ),
        key(
            "token",
            PASSWORD,
            "{ env: WAKE_TOKEN }",
            "none",
            "Sent as `Authorization: Bearer`.",
        ),
        key(
            "ca",
            CERTIFICATES,
            "/etc/tandem/wake-ca.pem",
            "the public CAs",
            "Who may have signed the certificate of the URL's host.",
        ),
    ],
};
