//! Browsers in SIP: users who answer Tandem's challenge and offer what a browser does. And the carrier that some of them call.

use crate::media::phones::{body, field, ok, receive};
use crate::media::scene::RATE;
use crate::media::sdp::{self as plain, Called, End};
use crate::peer::{Hosts, PASSWORD};
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// When nothing has come for so long, calls hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// Calls of one user.
pub const CALLS: usize = 50;

/// A call that is set up.
struct Call {
    dialled: String,
    offer: String,
    is_over: bool,
}

/// All users, on one port, and the carrier on that which the program knows.
pub struct Users {
    hosts: Hosts,
    users: UdpSocket,
    carrier: UdpSocket,
    /// Where the carrier has its media.
    media: SocketAddrV4,
    calls: BTreeMap<usize, Call>,
    answered: Vec<(usize, String)>,
    /// The carrier's ends, by what is behind the `+` of the number that was dialled.
    pub ends: BTreeMap<usize, End>,
}

/// Users that so many calls need.
pub fn users(calls: usize) -> usize {
    calls.div_ceil(CALLS)
}

impl Users {
    pub fn new(hosts: Hosts, media: SocketAddrV4) -> Result<Users, String> {
        let open = |host| {
            let socket = UdpSocket::bind((host, 5060))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let told = |error: io::Error| format!("a socket for SIP: {error}");
        Ok(Users {
            hosts,
            users: open(hosts.uas).map_err(told)?,
            carrier: open(hosts.uac).map_err(told)?,
            media,
            calls: BTreeMap::new(),
            answered: Vec::new(),
            ends: BTreeMap::new(),
        })
    }

    /// Where the users are.
    pub fn host(&self) -> Ipv4Addr {
        self.hosts.uas
    }

    /// Begins a call. It stays up.
    pub fn call(&mut self, call: usize, dialled: String, offer: String) -> Result<(), String> {
        let is_over = false;
        let own = Call {
            dialled,
            offer,
            is_over,
        };
        self.invite(call, &own, 1, "")?;
        self.calls.insert(call, own);
        Ok(())
    }

    /// The same, and waits so that there are no more of them in a second than anywhere else in this bench.
    pub fn call_in_turn(&mut self, call: usize, dialled: String, offer: String) -> Result<(), String> {
        let begin = Instant::now();
        self.call(call, dialled, offer)?;
        while begin.elapsed().as_secs_f64() * (RATE as f64) < 1.0 {
            let answer = self.poll()?;
            self.answered.extend(answer);
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Waits until all that were begun are answered; the answers, each with its call.
    pub fn answers(&mut self) -> Result<Vec<(usize, String)>, String> {
        let (mut answers, mut heard) = (std::mem::take(&mut self.answered), Instant::now());
        while self.calls.values().any(|call| !call.is_over) {
            match self.poll()? {
                Some(answer) => {
                    answers.push(answer);
                    heard = Instant::now();
                }
                None if heard.elapsed() > PATIENCE => {
                    let open = self.calls.values().filter(|call| !call.is_over).count();
                    return Err(format!("{open} calls were not answered"));
                }
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        }
        Ok(answers)
    }

    /// Takes what has come: the answer to a call, if there is one.
    pub fn poll(&mut self) -> Result<Option<(usize, String)>, String> {
        while let Some(message) = receive(&self.carrier)? {
            self.at_carrier(&message)?;
        }
        while let Some(message) = receive(&self.users)? {
            if let Some(answer) = self.at_users(&message)? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    fn invite(&self, call: usize, own: &Call, sequence: u32, more: &str) -> Result<(), String> {
        let (host, user) = (self.hosts.uas, call / CALLS);
        let Call { dialled, offer, .. } = own;
        let text = format!(
            "INVITE sip:{dialled}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bKw{call}n{sequence}\r\nMax-Forwards: 70\r\n\
             From: <sip:u{user}@example.com>;tag=c{call}\r\nTo: <sip:{dialled}@example.com>\r\nCall-ID: {call}@{host}\r\nCSeq: {sequence} INVITE\r\n\
             Contact: <sip:u{user}@{host}:5060>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n{more}Content-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{offer}",
            offer.len()
        );
        self.send(&self.users, &text)
    }

    fn at_users(&mut self, message: &str) -> Result<Option<(usize, String)>, String> {
        let Some(status) = message.strip_prefix("SIP/2.0 ") else {
            return Ok(None);
        };
        let cseq = field(message, "CSeq")?;
        let Some(sequence) = cseq.strip_suffix(" INVITE").filter(|_| !status.starts_with('1')) else {
            return Ok(None);
        };
        let id = field(message, "Call-ID")?;
        let number = id.split('@').next().and_then(|call| call.parse().ok());
        let call: usize = number.ok_or("a call of nobody")?;
        let is_up = status.starts_with('2');
        self.acknowledge(message, call, sequence, is_up)?;
        let Some(own) = self.calls.get(&call).filter(|own| !own.is_over) else {
            return Ok(None);
        };
        if is_up {
            let answer = body(message).to_owned();
            self.calls.entry(call).and_modify(|own| own.is_over = true);
            return Ok(Some((call, answer)));
        }
        if !status.starts_with("401") && !status.starts_with("407") || sequence != "1" {
            return Err(format!("call {call}: {message}"));
        }
        let credentials = credentials(message, call / CALLS, &own.dialled)?;
        self.invite(call, own, 2, &credentials)?;
        Ok(None)
    }

    fn acknowledge(&self, message: &str, call: usize, sequence: &str, is_up: bool) -> Result<(), String> {
        let host = self.hosts.uas;
        let dialled = self.calls.get(&call).map_or("", |own| own.dialled.as_str());
        // Of a 2xx it is a transaction of its own (RFC 3261 13.2.2.4), else the INVITE's (17.1.1.3).
        let (target, branch) = if is_up {
            let contact = field(message, "Contact")?;
            let target = contact.split(['<', '>']).nth(1).unwrap_or(contact);
            (target.to_owned(), "a")
        } else {
            (format!("sip:{dialled}@example.com"), "")
        };
        let text = format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bKw{call}n{sequence}{branch}\r\nMax-Forwards: 70\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {call}@{host}\r\nCSeq: {sequence} ACK\r\nContent-Length: 0\r\n\r\n",
            field(message, "From")?,
            field(message, "To")?
        );
        self.send(&self.users, &text)
    }

    /// The carrier answers at once, with A-law.
    fn at_carrier(&mut self, message: &str) -> Result<(), String> {
        let Some(dialled) = message.strip_prefix("INVITE sip:+") else {
            return Ok(());
        };
        let number = dialled.split('@').next().and_then(|number| number.parse().ok());
        let call: usize = number.ok_or("a call to nobody")?;
        let (said, end) = plain::answer(body(message), Called::Alaw, self.media)?;
        // A repeated INVITE gets the same answer, and its end is the first one.
        self.ends.entry(call).or_insert(end);
        let contact = format!("sip:carrier@{}:5060", self.hosts.uac);
        self.send(&self.carrier, &ok(message, &format!("d{call}"), &contact, &said)?)
    }

    fn send(&self, by: &UdpSocket, text: &str) -> Result<(), String> {
        let sent = by.send_to(text.as_bytes(), (self.hosts.peer, 5060));
        sent.map(|_| ()).map_err(|error| format!("SIP cannot be sent: {error}"))
    }
}

/// The answer to a challenge (RFC 7616 3.4), by MD5, which all browsers' libraries know.
fn credentials(message: &str, user: usize, dialled: &str) -> Result<String, String> {
    let challenges = [
        ("WWW-Authenticate", "Authorization"),
        ("Proxy-Authenticate", "Proxy-Authorization"),
    ];
    let mut found = challenges.iter().flat_map(|(asked, told)| {
        let start = format!("{asked}: Digest ");
        let values: Vec<String> = message
            .lines()
            .filter_map(|line| line.strip_prefix(start.as_str()).map(str::to_owned))
            .collect();
        values.into_iter().map(move |value| (*told, value))
    });
    let is_md5 = |value: &str| value.contains("algorithm=MD5") || !value.contains("algorithm=");
    let (name, challenge) = found
        .find(|(_, value)| is_md5(value))
        .ok_or_else(|| format!("no challenge by MD5:\n{message}"))?;
    let word = |name: &str| {
        let start = format!("{name}=\"");
        let (_, rest) = challenge.split_once(start.as_str())?;
        rest.split('"').next()
    };
    let (realm, nonce) = word("realm").zip(word("nonce")).ok_or("a challenge without a nonce")?;
    let uri = format!("sip:{dialled}@example.com");
    let secret = md5_of(&format!("u{user}:{realm}:{PASSWORD}"));
    let asked = md5_of(&format!("INVITE:{uri}"));
    let response = md5_of(&format!("{secret}:{nonce}:00000001:c0:auth:{asked}"));
    Ok(format!(
        "{name}: Digest username=\"u{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c0\"\r\n"
    ))
}

fn md5_of(text: &str) -> String {
    let mut digits = String::new();
    for octet in Md5::digest(text) {
        // It cannot fail: a `String` grows.
        let _ = write!(digits, "{octet:02x}");
    }
    digits
}
