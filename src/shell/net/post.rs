//! One POST of HTTP/1.1 (RFC 9112), as little of it as a hook needs: a request on a connection of its own, and the status of its
//! answer. What the answer says besides is not read.

use super::Context;
use crate::config::HttpUrl;
use crate::effect::Post;
use crate::limits;
use crate::sip::Host;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// It is taken where a 2xx comes in time.
///
/// # Errors
/// Half a sentence that says why it was not.
pub(super) async fn post(post: &Post, context: &Arc<Context>) -> Result<(), String> {
    let sent = async {
        let unreached = |why: io::Error| format!("it is not reached ({why})");
        let stream = connect(&post.url).await.map_err(unreached)?;
        let request = request(post);
        let unread = |why: io::Error| format!("its answer is none of HTTP, or broke off ({why})");
        if post.url.secure {
            let host = post.url.host.to_string();
            let stream = context.keys().connect_hook(post.hook, &host, stream).await;
            let insecure = |why: io::Error| {
                format!(
                    "TLS has failed ({why}); who signs the certificates of a host without a public one is named by `ca`"
                )
            };
            exchange(stream.map_err(insecure)?, &request).await.map_err(unread)
        } else {
            exchange(stream, &request).await.map_err(unread)
        }
    };
    match timeout(limits::POST, sent).await {
        Err(_) => Err(format!("it has not answered within {} s", limits::POST.as_secs())),
        Ok(Err(why)) => Err(why),
        Ok(Ok(200..=299)) => Ok(()),
        Ok(Ok(status @ 300..=399)) => Err(format!(
            "it answered {status}, and redirects are not followed: write the URL that answers"
        )),
        Ok(Ok(status)) => Err(format!("it answered {status}, where a 2xx says that it is done")),
    }
}

async fn connect(url: &HttpUrl) -> io::Result<TcpStream> {
    let host = match &url.host {
        Host::Name(name) => name.to_string(),
        Host::V4(ip) => ip.to_string(),
        Host::V6(ip) => ip.to_string(),
    };
    let mut failed = io::ErrorKind::NotFound.into();
    for addr in lookup_host((host, url.port)).await? {
        match TcpStream::connect(addr).await {
            Ok(stream) => return Ok(stream),
            Err(why) => failed = why,
        }
    }
    Err(failed)
}

fn request(post: &Post) -> Vec<u8> {
    let HttpUrl {
        secure,
        host,
        port,
        path,
    } = &post.url;
    let port = match (secure, port) {
        (true, 443) | (false, 80) => String::new(),
        (_, port) => format!(":{port}"),
    };
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n",
        crate::USER_AGENT,
        post.body.len()
    );
    if let Some(token) = &post.token {
        // What could end the line is no part of a token.
        let token: String = token.expose().chars().filter(|c| !c.is_control()).collect();
        let _ = write!(head, "Authorization: Bearer {token}\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), &post.body].concat()
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> io::Result<u16> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    loop {
        if let Some(status) = status(&answer)? {
            return Ok(status);
        }
        if answer.len() >= limits::POST_ANSWER_BYTES || stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// The final status, once it is there: what comes before it (1xx) is passed over.
fn status(answer: &[u8]) -> io::Result<Option<u16>> {
    let mut rest = answer;
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| io::ErrorKind::InvalidData)?;
        let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let code: u16 = code
            .and_then(|code| code.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        if code >= 200 {
            return Ok(Some(code));
        }
        let Some(head) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        rest = &rest[head + 4..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpUrl;
    use crate::pii::Secret;

    fn url(secure: bool, host: &str, port: u16) -> HttpUrl {
        HttpUrl {
            secure,
            host: Host::parse(host).unwrap(),
            port,
            path: "/wake?app=1".to_owned(),
        }
    }

    #[test]
    fn what_is_sent() {
        let post = |url| Post {
            hook: crate::effect::Hook::Phones,
            url,
            token: Some(Secret::new("s3\r\ncret")),
            body: "{}".into(),
        };
        let text = String::from_utf8(request(&post(url(false, "[::1]", 8080)))).unwrap();
        assert!(
            text.starts_with("POST /wake?app=1 HTTP/1.1\r\nHost: [::1]:8080\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\nContent-Length: 2\r\n") && text.ends_with("\r\n\r\n{}"),
            "{text}"
        );
        assert!(text.contains("\r\nAuthorization: Bearer s3cret\r\n"), "{text}");
        let text = String::from_utf8(request(&post(url(true, "h.example", 443)))).unwrap();
        assert!(text.contains("\r\nHost: h.example\r\n"), "{text}");
        assert!(
            !format!("{:?}", post(url(true, "h", 443))).contains("s3"),
            "secrets do not print"
        );
    }

    #[test]
    fn what_is_answered() {
        let of = |text: &str| status(text.as_bytes()).map_err(|error| error.kind());
        for (text, expected) in [
            ("", Ok(None)),
            ("HTTP/1.1 20", Ok(None)),
            ("HTTP/1.1 204 No Content\r\n", Ok(Some(204))),
            ("HTTP/1.0 500\r\n\r\n", Ok(Some(500))),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", Ok(Some(200))),
            ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n", Ok(None)),
            ("HTTP/2 200\r\n", Err(io::ErrorKind::InvalidData)),
            ("SIP/2.0 200 OK\r\n", Err(io::ErrorKind::InvalidData)),
            ("HTTP/1.1 OK\r\n", Err(io::ErrorKind::InvalidData)),
            ("\u{fffd}\r\n", Err(io::ErrorKind::InvalidData)),
        ] {
            assert_eq!(of(text), expected, "{text:?}");
        }
    }
}
