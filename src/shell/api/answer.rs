//! One request of HTTP, to values and back.

use super::stream::{Body, Stream};
use super::{Asked, Door, Listening, files, socket};
use crate::api::problem::{Kind, Problem};
use crate::api::wire::{Headers, Method, Reply, Request, Response};
use crate::id::ApiId;
use crate::limits;
use crate::pii::Secret;
use crate::shell::net::Held;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub(super) async fn answer(
    mut request: hyper::Request<Incoming>,
    (peer, local): (IpAddr, IpAddr),
    door: Arc<Door>,
    place: Arc<Held>,
) -> Result<hyper::Response<Body>, Infallible> {
    if let Some(file) = files::find(request.method(), request.uri().path()) {
        return Ok(file);
    }
    let id = door.next();
    let asked = match read(&mut request, peer, local).await {
        Ok(asked) => asked,
        Err(kind) => return Ok(refused(kind, request.uri().path(), id)),
    };
    let path = asked.path.clone();
    let (tell, mut told) = mpsc::channel(limits::API_STREAM_QUEUE);
    let mut listening = Listening {
        id,
        asked: Some(door.asked.clone()),
    };
    let asked = door.asked.send(Asked::Request(id, Box::new(asked), tell)).await;
    let reply = match asked {
        Ok(()) => timeout(limits::API_BODY, told.recv()).await.ok().flatten(),
        Err(_) => None,
    };
    Ok(match reply {
        Some(Reply::Done(response)) => {
            // The loop has forgotten it by itself.
            listening.asked = None;
            whole(response)
        }
        Some(Reply::Open { headers, events }) => {
            let stream = Stream::new(told, listening);
            if socket::is_wanted(&request) {
                socket::accept(request, stream, events, place).unwrap_or_else(|| refused(Kind::BadBody, &path, id))
            } else {
                streaming(&headers, Body::stream(stream, &events))
            }
        }
        // The loop does not come to it, or has ended.
        Some(Reply::More(_) | Reply::Last(_)) | None => refused(Kind::Full, &path, id),
    })
}

/// A problem that the shell meets.
fn refused(kind: Kind, path: &str, id: ApiId) -> hyper::Response<Body> {
    let detail = match kind {
        Kind::TooLong => format!("{} octets are the most", limits::API_BODY_BYTES),
        Kind::TooSlow => format!("{} s are the most", limits::API_BODY.as_secs()),
        _other => "try again".to_owned(),
    };
    whole(Problem::new(kind, detail).response(path, id))
}

fn whole(response: Response) -> hyper::Response<Body> {
    let mut answer = hyper::Response::new(Body::whole(response.body));
    *answer.status_mut() = hyper::StatusCode::from_u16(response.status).unwrap_or_default();
    if let Some(kind) = response.kind {
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    put(answer.headers_mut(), &response.headers);
    answer
}

fn streaming(headers: &Headers, body: Body) -> hyper::Response<Body> {
    let mut answer = hyper::Response::new(body);
    let fields = answer.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    fields.insert("cache-control", HeaderValue::from_static("no-store"));
    put(fields, headers);
    answer
}

fn put(fields: &mut HeaderMap, headers: &Headers) {
    fields.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    for (name, value) in headers {
        // Names are ours; a value that could not stand there is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value)) {
            fields.append(name, value);
        }
    }
}

/// All that the machine is told of a request.
async fn read(request: &mut hyper::Request<Incoming>, peer: IpAddr, local: IpAddr) -> Result<Request, Kind> {
    let body = match timeout(limits::API_BODY, body(request.body_mut())).await {
        Ok(body) => body?,
        Err(_) => return Err(Kind::TooSlow),
    };
    let method = match *request.method() {
        hyper::Method::GET => Method::Get,
        hyper::Method::POST => Method::Post,
        hyper::Method::OPTIONS => Method::Options,
        _ => Method::Other,
    };
    let field = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let named = |name: &'static str| field(HeaderName::from_static(name)).map(str::to_owned);
    let token = field(AUTHORIZATION).and_then(bearer);
    let query = request.uri().query().unwrap_or_default();
    let after = query.split('&').find_map(|part| part.strip_prefix("after="));
    Ok(Request {
        peer: peer.to_canonical(),
        local: local.to_canonical(),
        method,
        path: request.uri().path().to_owned(),
        token: token.or_else(|| socket::token(request.headers())).map(Secret::new),
        origin: field(ORIGIN).map(str::to_owned),
        key: named("idempotency-key"),
        after: named("last-event-id").or_else(|| after.map(str::to_owned)),
        body,
    })
}

/// RFC 6750 2.1: the scheme in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The whole body, as long as it is short. More than that is read and dropped for a while: who still writes when the connection is closed
/// does not see the answer.
async fn body(incoming: &mut Incoming) -> Result<Bytes, Kind> {
    let most = limits::API_BODY_BYTES;
    let (mut whole, mut read) = (BytesMut::new(), 0);
    loop {
        let next = std::future::poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx)).await;
        match next {
            None if read > most => return Err(Kind::TooLong),
            None => return Ok(whole.freeze()),
            Some(Err(_)) => return Err(Kind::BadBody),
            Some(Ok(frame)) => {
                // What is no data is what may stand behind a chunked body.
                let Ok(data) = frame.into_data() else { continue };
                read += data.len();
                if read > limits::API_DROPPED_BYTES {
                    return Err(Kind::TooLong);
                }
                if read <= most {
                    whole.extend_from_slice(&data);
                }
            }
        }
    }
}
