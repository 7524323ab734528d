//! What is served as it is: the package for pages, and the phone page made with it.

use super::stream::Body;
use bytes::Bytes;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const PAGE: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the phone page may load and reach: this node, and its own sounds.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; media-src 'self' blob: mediastream:; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Path, type, octets.
static FILES: &[(&str, &str, &[u8])] = &[
    ("/sdk/tandem.js", SCRIPT, include_bytes!("../../../sdk/tandem.js")),
    ("/sdk/tandem.d.ts", TEXT, include_bytes!("../../../sdk/tandem.d.ts")),
    ("/sdk/base.js", SCRIPT, include_bytes!("../../../sdk/base.js")),
    ("/sdk/base.d.ts", TEXT, include_bytes!("../../../sdk/base.d.ts")),
    ("/sdk/call.js", SCRIPT, include_bytes!("../../../sdk/call.js")),
    ("/sdk/call.d.ts", TEXT, include_bytes!("../../../sdk/call.d.ts")),
    ("/sdk/devices.js", SCRIPT, include_bytes!("../../../sdk/devices.js")),
    ("/sdk/devices.d.ts", TEXT, include_bytes!("../../../sdk/devices.d.ts")),
    ("/sdk/quality.js", SCRIPT, include_bytes!("../../../sdk/quality.js")),
    ("/sdk/quality.d.ts", TEXT, include_bytes!("../../../sdk/quality.d.ts")),
    ("/sdk/video.js", SCRIPT, include_bytes!("../../../sdk/video.js")),
    ("/sdk/video.d.ts", TEXT, include_bytes!("../../../sdk/video.d.ts")),
    ("/sdk/package.json", JSON, include_bytes!("../../../sdk/package.json")),
    ("/sdk/README.md", TEXT, include_bytes!("../../../sdk/README.md")),
    ("/phone", PAGE, include_bytes!("../../../sdk/phone/index.html")),
    ("/phone/phone.js", SCRIPT, include_bytes!("../../../sdk/phone/phone.js")),
    ("/phone/stage.js", SCRIPT, include_bytes!("../../../sdk/phone/stage.js")),
    (
        "/phone/phone.css",
        STYLE,
        include_bytes!("../../../sdk/phone/phone.css"),
    ),
];

/// The answer where the path is that of a file.
pub(super) fn find(method: &Method, path: &str) -> Option<Response<Body>> {
    let (_, kind, octets) = FILES.iter().find(|(own, ..)| *own == path)?;
    if method != Method::GET && method != Method::HEAD {
        let mut answer = Response::new(Body::whole(Bytes::new()));
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(answer);
    }
    let mut answer = Response::new(Body::whole(Bytes::from_static(octets)));
    let fields = answer.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // A new program has new files, and pages notice soon.
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    fields.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if path.starts_with("/sdk/") {
        // Pages of others load it from here.
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        fields.insert("content-security-policy", HeaderValue::from_static(POLICY));
        fields.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    }
    Some(answer)
}
