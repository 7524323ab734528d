//! The requests.

use std::fmt;

pub const METHODS: [&str; 10] = [
    "INVITE",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "FOO",
    "X-b.a%r!",
];

/// How the called user is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriForm {
    Plain,
    /// RFC 3261 19.1.4: the same user.
    Escaped,
    /// RFC 3261 19.1.4: hosts have no case.
    UpperHost,
    Parameters,
    /// The next hop itself: nobody's registration.
    Foreign,
}

/// Route of the request; what is ours is popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteSet {
    None,
    Us,
    UsAndNext,
    Next,
    /// In one line, with blanks and a name.
    UsAndNextInOne,
}

/// How the header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Usual,
    Compact,
    Folded,
    /// Fields that nobody knows, names in odd case, blanks before colons.
    Unknown,
    /// Octets that are no text.
    Binary,
    LastHop,
    NoHops,
    WithoutHops,
    ProxyRequire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub number: usize,
    pub method: &'static str,
    pub uri: UriForm,
    pub route: RouteSet,
    pub form: Form,
    pub transport: Transport,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case {
            number,
            method,
            uri,
            route,
            form,
            transport,
        } = self;
        write!(f, "{number} {method} {uri:?} {route:?} {form:?} {transport:?}")
    }
}

/// Methods, URI forms, route sets and transports are crossed; the forms of the header go round, so that each meets each method.
pub fn cases() -> Vec<Case> {
    use Form::{Binary, Compact, Folded, LastHop, NoHops, ProxyRequire, Unknown, Usual, WithoutHops};
    use RouteSet::{Next, None, Us, UsAndNext, UsAndNextInOne};
    use UriForm::{Escaped, Foreign, Parameters, Plain, UpperHost};
    let forms = [
        Usual,
        Compact,
        Folded,
        Unknown,
        Binary,
        LastHop,
        NoHops,
        WithoutHops,
        ProxyRequire,
    ];
    let mut cases = Vec::new();
    for method in METHODS {
        for uri in [Plain, Escaped, UpperHost, Parameters, Foreign] {
            for route in [None, Us, UsAndNext, Next, UsAndNextInOne] {
                for transport in [Transport::Udp, Transport::Tcp] {
                    let number = cases.len();
                    let form = forms[(number + number / 10) % forms.len()];
                    cases.push(Case {
                        number,
                        method,
                        uri,
                        route,
                        form,
                        transport,
                    });
                }
            }
        }
    }
    cases
}

impl Case {
    pub fn call_id(&self) -> String {
        format!("diff-{}", self.number)
    }

    pub fn request_uri(&self, next: &str) -> String {
        match self.uri {
            UriForm::Plain => "sip:bob@example.com".to_owned(),
            UriForm::Escaped => "sip:%62ob@example.com".to_owned(),
            UriForm::UpperHost => "sip:bob@EXAMPLE.com".to_owned(),
            UriForm::Parameters => "sip:bob@example.com:5060;user=phone;x-y=z".to_owned(),
            UriForm::Foreign => format!("sip:carol@{next}:5060;a=b"),
        }
    }

    fn routes(&self, us: &str, next: &str) -> String {
        let (us, next) = (format!("<sip:{us}:5060;lr>"), format!("<sip:{next}:5060;lr;q=1>"));
        match self.route {
            RouteSet::None => String::new(),
            RouteSet::Us => format!("Route: {us}\r\n"),
            RouteSet::UsAndNext => format!("Route: {us}\r\nRoute: {next}\r\n"),
            RouteSet::Next => format!("Route: {next}\r\n"),
            RouteSet::UsAndNextInOne => format!("Route: \"The Proxy\" {us} , {next}\r\n"),
        }
    }

    /// The request, from this host, with one more line.
    pub fn request(&self, from: &str, us: &str, next: &str, line: &str) -> Vec<u8> {
        let Case {
            method, number, form, ..
        } = self;
        let uri = self.request_uri(next);
        let via = match self.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        let names: [&str; 6] = match form {
            Form::Compact => ["v", "f", "t", "i", "m", "l"],
            Form::Unknown => ["VIA", "fRoM", "TO ", "call-id", "contact\t", "CONTENT-length"],
            _ => ["Via", "From", "To", "Call-ID", "Contact", "Content-Length"],
        };
        let fold = if *form == Form::Folded { "\r\n  " } else { " " };
        let more = match form {
            Form::Unknown => "X-Odd:a;b=\"c,d\" , e\r\nx-ODD :\tf\r\nSubject:\r\n",
            Form::Folded => "Subject: one\r\n two\r\n\tthree\r\nOrganization: A  B\r\n",
            Form::Binary => "Content-Type: application/octet-stream\r\n",
            Form::ProxyRequire => "Proxy-Require: nothing-that-is\r\n",
            _ => "Subject: plain\r\n",
        };
        let hops = match form {
            Form::LastHop => "Max-Forwards: 1\r\n",
            Form::NoHops => "Max-Forwards: 0\r\n",
            Form::WithoutHops => "",
            _ => "Max-Forwards: 70\r\n",
        };
        let body: &[u8] = if *form == Form::Binary {
            b"\0\xff\r\n\r\nSIP\r\n"
        } else {
            b""
        };
        let event = match *method {
            "SUBSCRIBE" | "NOTIFY" | "PUBLISH" => "Event: presence\r\nSubscription-State: terminated\r\n",
            "REFER" => "Refer-To: <sip:carol@example.com>\r\n",
            _ => "",
        };
        let routes = self.routes(us, next);
        let call_id = self.call_id();
        let head = format!(
            "{method} {uri} SIP/2.0\r\n{}: SIP/2.0/{via} {from}:5060{fold};branch=z9hG4bK{call_id}\r\n{hops}{routes}\
             {}: \"A. Lice\"{fold}<sip:alice@example.com>;tag=a{number}\r\n{}: <sip:bob@example.com>\r\n{}: {call_id}\r\nCSeq: {} {method}\r\n\
             {}: <sip:alice@{from}:5060>\r\n{event}{more}{line}{}: {}\r\n\r\n",
            names[0],
            names[1],
            names[2],
            names[3],
            number + 1,
            names[4],
            names[5],
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}
