//! What is served as it is: the package for pages, and the phone page made with it.

use super::stream::Body;
use bytes::Bytes;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
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
    (
        "/sdk/connection.js",
        SCRIPT,
        include_bytes!("../../../sdk/connection.js"),
    ),
    (
        "/sdk/connection.d.ts",
        TEXT,
        include_bytes!("../../../sdk/connection.d.ts"),
    ),
    ("/sdk/devices.js", SCRIPT, include_bytes!("../../../sdk/devices.js")),
    ("/sdk/devices.d.ts", TEXT, include_bytes!("../../../sdk/devices.d.ts")),
    ("/sdk/move.js", SCRIPT, include_bytes!("../../../sdk/move.js")),
    ("/sdk/move.d.ts", TEXT, include_bytes!("../../../sdk/move.d.ts")),
    ("/sdk/pin.js", SCRIPT, include_bytes!("../../../sdk/pin.js")),
    ("/sdk/pin.d.ts", TEXT, include_bytes!("../../../sdk/pin.d.ts")),
    ("/sdk/quality.js", SCRIPT, include_bytes!("../../../sdk/quality.js")),
    ("/sdk/quality.d.ts", TEXT, include_bytes!("../../../sdk/quality.d.ts")),
    ("/sdk/sound.js", SCRIPT, include_bytes!("../../../sdk/sound.js")),
    ("/sdk/sound.d.ts", TEXT, include_bytes!("../../../sdk/sound.d.ts")),
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

/// What people type, and have bookmarked: they mean the phone page.
const ASIDE: [&str; 2] = ["/", "/phone/"];

/// The way to the phone page. What stands behind `#` in the address the browser keeps (RFC 9110 10.2.2).
fn to_phone() -> Response<Body> {
    let mut answer = Response::new(Body::whole(Bytes::from_static(
        b"The telephone is at /phone, and what the API can do at /v1/openapi.json.\n",
    )));
    *answer.status_mut() = StatusCode::FOUND;
    let fields = answer.headers_mut();
    fields.insert(LOCATION, HeaderValue::from_static("/phone"));
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    answer
}

/// The answer where the path is that of a file, or leads to one.
pub(super) fn find(method: &Method, path: &str) -> Option<Response<Body>> {
    if ASIDE.contains(&path) && (method == Method::GET || method == Method::HEAD) {
        return Some(to_phone());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_types_an_address_comes_to_the_phone_page() {
        for path in ["/", "/phone/"] {
            for method in [Method::GET, Method::HEAD] {
                let answer = find(&method, path).expect("it leads somewhere");
                let to = answer.headers()[LOCATION].to_str().expect("a path");
                assert!(answer.status().is_redirection(), "{method} {path}");
                let page = find(&method, to).expect("that is there");
                assert_eq!(
                    (page.status(), &page.headers()[CONTENT_TYPE]),
                    (StatusCode::OK, &HeaderValue::from_static(PAGE))
                );
            }
            assert!(find(&Method::POST, path).is_none(), "it is the API's to refuse");
        }
        assert!(find(&Method::GET, "/phone/x").is_none());
    }

    #[test]
    fn all_of_the_package_is_served() {
        let mut count = 0;
        for (folder, path) in [("sdk", "/sdk"), ("sdk/phone", "/phone")] {
            let files = std::fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
            for file in files.expect("our own folder") {
                let file = file.expect("our own folder");
                let name = file.file_name().into_string().expect("our own names");
                let is_page = name == "index.html";
                let path = if is_page {
                    path.to_owned()
                } else {
                    format!("{path}/{name}")
                };
                if file.path().is_file() {
                    assert!(FILES.iter().any(|(own, ..)| *own == path), "{path}");
                    count += 1;
                }
            }
        }
        assert_eq!(count, FILES.len());
    }
}
