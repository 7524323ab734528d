//! RFC 3261 16.4: what Request-URI and Route say once our own values are taken out of them.

use super::mark::{Marks, Passage};
use super::validate::Refusal;
use crate::config::Config;
use crate::id::Flow;
use crate::sip::uri::{Scheme, SchemeText};
use crate::sip::{AddrText, Host, HostText, Message, Name, ParseError, Uri, UriText};
use crate::time::Wall;
use smallvec::SmallVec;
use std::borrow::Cow;

/// A request as 16.5 and 16.6 see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The Request-URI that is meant.
    pub uri: Uri,
    /// It is not the one that the request came with.
    pub rewritten: bool,
    /// Our own values at the front of Route.
    pub pop_routes: usize,
    /// The last value of Route was the target: the request came from a strict router.
    pub pop_last_route: bool,
    /// The first value of Route that is left.
    pub next_route: Option<Uri>,
    /// What our Record-Route says that came back as Route.
    pub passage: Option<Passage>,
    /// The user part in which it says that.
    pub token: Option<Box<str>>,
}

/// Takes our own values out.
pub fn prepare(marks: &Marks, config: &Config, now: Wall, flow: Flow, request: &Message) -> Result<Prepared, Refusal> {
    let told = |error: ParseError| Refusal::new(error.status, error.reason);
    let uri = request.request_uri_text().map_err(told)?;
    let lines: SmallVec<[Cow<'_, str>; 4]> = request.values(Name::Route).collect();
    let mut routes: SmallVec<[UriText<'_>; 4]> = SmallVec::new();
    for line in &lines {
        routes.push(AddrText::parse(line).and_then(AddrText::uri).map_err(told)?);
    }
    let mut prepared = Prepared {
        uri: uri.into(),
        rewritten: false,
        pop_routes: 0,
        pop_last_route: false,
        next_route: None,
        passage: None,
        token: None,
    };
    // A strict router puts our own URI into the Request-URI, and the target behind all routes.
    if !routes.is_empty()
        && is_us(config, flow, &uri)
        && let Some(passage) = token_in(marks, now, request, &uri)
        && let Some(target) = routes.pop()
    {
        prepared.uri = target.into();
        prepared.rewritten = true;
        prepared.pop_last_route = true;
        prepared.passage = Some(passage);
        prepared.token = uri.user.map(Into::into);
    }
    prepared.take_maddr(config, flow);
    let ours = routes.iter().take_while(|route| is_us(config, flow, route));
    for route in ours {
        if prepared.passage.is_none() {
            prepared.passage = token_in(marks, now, request, route);
            prepared.token = route.user.filter(|_| prepared.passage.is_some()).map(Into::into);
        }
        prepared.pop_routes += 1;
    }
    prepared.next_route = routes.get(prepared.pop_routes).map(|route| (*route).into());
    Ok(prepared)
}

impl Prepared {
    /// An `maddr` that names us has done its work (16.4).
    fn take_maddr(&mut self, config: &Config, flow: Flow) {
        let Some(maddr) = self.uri.params.value("maddr").and_then(|maddr| Host::parse(maddr).ok()) else {
            return;
        };
        let is_sip = matches!(self.uri.scheme, Scheme::Sip | Scheme::Sips);
        if is_sip && means_us(config, flow, (&maddr).into(), self.uri.port) {
            self.uri.params.remove("maddr");
            self.uri.params.remove("transport");
            self.uri.port = None;
            self.rewritten = true;
        }
    }

    /// The URI that decides where the request goes (16.6 step 7): one to a SIPS URI goes by TLS whatever its Route says.
    pub fn next_hop(&self) -> Uri {
        let mut uri = self.next_route.as_ref().unwrap_or(&self.uri).clone();
        if self.is_secure() && uri.scheme == Scheme::Sip {
            uri.scheme = Scheme::Sips;
        }
        uri
    }

    /// Every hop from here on is to be under TLS, and no phone is to ring that does not say as much (RFC 5630 5.3).
    pub fn is_secure(&self) -> bool {
        self.uri.scheme == Scheme::Sips
    }
}

/// True for a URI that means this node: a domain or an address of ours, and no port on which we do not listen.
pub fn is_us(config: &Config, flow: Flow, uri: &UriText<'_>) -> bool {
    let maddr = uri.params.value("maddr").and_then(|maddr| HostText::parse(maddr).ok());
    matches!(uri.scheme, SchemeText::Sip | SchemeText::Sips)
        && means_us(config, flow, maddr.unwrap_or(uri.host), uri.port)
}

fn means_us(config: &Config, flow: Flow, host: HostText<'_>, port: Option<u16>) -> bool {
    let listens =
        |port: u16| flow.local.port() == port || config.listen.iter().any(|listen| listen.addr.port() == port);
    config.local_domain(host, flow.local.ip()).is_some() && port.is_none_or(listens)
}

fn token_in(marks: &Marks, now: Wall, request: &Message, uri: &UriText<'_>) -> Option<Passage> {
    marks.read_token(now, request, uri.user?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, parse};
    use crate::id::{ConnectionId, ListenerId, Transport};
    use crate::marker::{Marker, Origin};
    use crate::proxy::mark::Ends;
    use bytes::Bytes;

    const FILE: &str = "listen: [ \"udp://192.0.2.1:5060\", \"tcp://192.0.2.1:5070\" ]\ndomains: [ example.com ]\n";

    fn message(uri: &str, routes: &str) -> Message {
        let text = format!(
            "BYE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n{routes}From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 1 BYE\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    /// Request-URI, values popped in front and at the end, next route, whether our token was there.
    fn seen(uri: &str, routes: &str) -> (String, usize, bool, String, bool) {
        let config = parse("x", FILE, &Sources::NONE).unwrap();
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            connection: ConnectionId(0),
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: "192.0.2.9:5060".parse().unwrap(),
        };
        let marks = Marks::new(crate::keyed::Key::new([1; 16]));
        let token = marks.token(
            &Marker::UNKEYED,
            (Origin::default(), Wall(0)),
            &message("sip:b", ""),
            &Ends::default(),
        );
        let fill = |text: &str| text.replace("TOKEN", &token);
        let prepared = prepare(&marks, &config, Wall(0), flow, &message(&fill(uri), &fill(routes))).unwrap();
        let next = prepared.next_route.map_or(String::new(), |route| route.to_string());
        (
            prepared.uri.to_string(),
            prepared.pop_routes,
            prepared.pop_last_route,
            next,
            prepared.passage.is_some(),
        )
    }

    #[test]
    fn routes_of_ours_are_popped_and_those_of_others_stay() {
        let row = |uri: &str, routes: &str| {
            let (uri, front, last, next, ours) = seen(uri, routes);
            format!("{uri} {front} {last} {next} {ours}")
        };
        for (uri, routes, expected) in [
            ("sip:b@10.0.0.2", "", "sip:b@10.0.0.2 0 false  false"),
            (
                "sip:b@10.0.0.2",
                "Route: <sip:192.0.2.1;lr>\r\n",
                "sip:b@10.0.0.2 1 false  false",
            ),
            (
                "sip:b@10.0.0.2",
                "Route: <sip:TOKEN@192.0.2.1:5060;lr>\r\n",
                "sip:b@10.0.0.2 1 false  true",
            ),
            (
                "sip:b@10.0.0.2",
                "Route: <sip:TOKEN@192.0.2.1:5070;transport=tcp;lr>, <sip:TOKEN@192.0.2.1:5060;lr>\r\nRoute: <sip:p;lr>\r\n",
                "sip:b@10.0.0.2 2 false sip:p;lr true",
            ),
            (
                "sip:b@10.0.0.2",
                "Route: <sip:192.0.2.1:5080;lr>\r\n",
                "sip:b@10.0.0.2 0 false sip:192.0.2.1:5080;lr false",
            ),
            // 16.4: a strict router before us.
            (
                "sip:TOKEN@192.0.2.1:5060;lr",
                "Route: <sip:p;lr>, <sip:b@10.0.0.2>\r\n",
                "sip:b@10.0.0.2 0 true sip:p;lr true",
            ),
            (
                "sip:TOKEN@192.0.2.1",
                "Route: <sip:b@10.0.0.2>\r\n",
                "sip:b@10.0.0.2 0 true  true",
            ),
            (
                "sip:bob@example.com",
                "Route: <sip:b@10.0.0.2>\r\n",
                "sip:bob@example.com 0 false sip:b@10.0.0.2 false",
            ),
            // 16.4: maddr.
            (
                "sip:b@example.net:5070;maddr=192.0.2.1;transport=tcp",
                "",
                "sip:b@example.net 0 false  false",
            ),
            (
                "sip:b@example.net;maddr=192.0.2.7",
                "",
                "sip:b@example.net;maddr=192.0.2.7 0 false  false",
            ),
        ] {
            assert_eq!(row(uri, routes), expected, "{uri} {routes}");
        }
    }
}
