//! A caller and a called side in SIP, each on one port: what calls through Tandem are set up by.

use super::sdp::{self, Called, End, Offered};
use crate::peer::Hosts;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::time::{Duration, Instant};

/// When nothing has come for so long, calls hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// Both sides.
pub struct Phones {
    hosts: Hosts,
    caller: UdpSocket,
    called: UdpSocket,
}

/// Calls that are being set up.
struct Calls {
    /// How many.
    count: usize,
    /// What callers speak, and what the called side does.
    offered: Offered,
    called: Called,
    sides: [SocketAddrV4; 2],
    callers: BTreeMap<usize, End>,
    answered: BTreeMap<usize, End>,
}

impl Calls {
    fn new(count: usize, (offered, called): (Offered, Called), sides: [SocketAddrV4; 2]) -> Calls {
        Calls {
            count,
            offered,
            called,
            sides,
            callers: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }
}

impl Phones {
    /// On the port that the users have registered.
    pub fn new(hosts: Hosts) -> Result<Phones, String> {
        let open = |host| {
            let socket = UdpSocket::bind((host, 5060))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let told = |error: io::Error| format!("a socket for SIP: {error}");
        Ok(Phones {
            hosts,
            caller: open(hosts.uac).map_err(told)?,
            called: open(hosts.uas).map_err(told)?,
        })
    }

    /// Calls users by these numbers, so many a second. All calls stay up.
    pub fn set_up(
        &mut self,
        users: Range<usize>,
        rate: usize,
        called: Called,
        sides: [SocketAddrV4; 2],
    ) -> Result<Vec<[End; 2]>, String> {
        let calls = Calls::new(users.len(), (Offered::Alaw, called), sides);
        let calls = self.call(users, rate, |user| format!("u{user}"), calls)?;
        let both = calls.callers.into_iter().zip(calls.answered);
        Ok(both.map(|((_, caller), (_, called))| [caller, called]).collect())
    }

    /// Callers by these numbers call what each is to dial, so many a second, and the program itself answers. All calls stay up.
    pub fn join(
        &mut self,
        callers: Range<usize>,
        rate: usize,
        dialled: impl Fn(usize) -> String,
        offered: Offered,
        at: SocketAddrV4,
    ) -> Result<Vec<End>, String> {
        let calls = Calls::new(callers.len(), (offered, Called::Alaw), [at; 2]);
        let calls = self.call(callers, rate, dialled, calls)?;
        Ok(calls.callers.into_values().collect())
    }

    fn call(
        &mut self,
        callers: Range<usize>,
        rate: usize,
        dialled: impl Fn(usize) -> String,
        mut calls: Calls,
    ) -> Result<Calls, String> {
        let (begin, mut heard, mut next) = (Instant::now(), Instant::now(), 0);
        while calls.callers.len() < calls.count {
            while next < calls.count && begin.elapsed().as_secs_f64() * rate as f64 >= next as f64 {
                let caller = callers.start + next;
                self.invite(caller, &dialled(caller), &calls)?;
                next += 1;
            }
            let mut is_idle = true;
            while let Some(message) = receive(&self.called)? {
                is_idle = false;
                self.at_called(&message, &mut calls)?;
            }
            while let Some(message) = receive(&self.caller)? {
                is_idle = false;
                self.at_caller(&message, &mut calls)?;
            }
            if !is_idle {
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                return Err(format!(
                    "{} of {} calls were answered",
                    calls.callers.len(),
                    calls.count
                ));
            } else {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        Ok(calls)
    }

    fn invite(&self, caller: usize, dialled: &str, calls: &Calls) -> Result<(), String> {
        let (host, body) = (self.hosts.uac, sdp::offer(calls.offered, calls.sides[0]));
        let text = format!(
            "INVITE sip:{dialled}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bKi{caller}\r\nMax-Forwards: 70\r\n\
             From: <sip:caller@{host}>;tag=c{caller}\r\nTo: <sip:{dialled}@example.com>\r\nCall-ID: {caller}@{host}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:caller@{host}:5060>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(&self.caller, &text)
    }

    /// What comes to the caller: answers to its INVITEs.
    fn at_caller(&self, message: &str, calls: &mut Calls) -> Result<(), String> {
        let Some(status) = message.strip_prefix("SIP/2.0 ") else {
            return Ok(());
        };
        if status.starts_with('1') || !field(message, "CSeq")?.ends_with("INVITE") {
            return Ok(());
        }
        let id = field(message, "Call-ID")?;
        if !status.starts_with('2') {
            return Err(format!("call {id}: {}", status.lines().next().unwrap_or_default()));
        }
        let user: usize = id
            .split('@')
            .next()
            .and_then(|user| user.parse().ok())
            .ok_or("a call of nobody")?;
        let contact = field(message, "Contact")?;
        let target = contact.split(['<', '>']).nth(1).unwrap_or(contact);
        let host = self.hosts.uac;
        let ack = format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bKa{user}\r\nMax-Forwards: 70\r\n\
             From: <sip:caller@{host}>;tag=c{user}\r\nTo: {}\r\nCall-ID: {id}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
            field(message, "To")?
        );
        self.send(&self.caller, &ack)?;
        let end = sdp::accepted(calls.offered, body(message)).map_err(|why| format!("call {user}: {why}"))?;
        calls.callers.entry(user).or_insert(end);
        Ok(())
    }

    /// What comes to the called side: INVITEs, which it answers at once, and ACKs.
    fn at_called(&self, message: &str, calls: &mut Calls) -> Result<(), String> {
        let Some(user) = message.strip_prefix("INVITE sip:u") else {
            return Ok(());
        };
        let user: usize = user
            .split('@')
            .next()
            .and_then(|user| user.parse().ok())
            .ok_or("a call to nobody")?;
        let (said, end) = sdp::answer(body(message), calls.called, calls.sides[1])
            .map_err(|why| format!("call {user}: {why}:\n{}", body(message)))?;
        // A repeated INVITE gets the same answer, and its end is the first one.
        calls.answered.entry(user).or_insert(end);
        let contact = format!("sip:u{user}@{}:5060", self.hosts.uas);
        self.send(&self.called, &ok(message, &format!("d{user}"), &contact, &said)?)
    }

    fn send(&self, by: &UdpSocket, text: &str) -> Result<(), String> {
        let sent = by.send_to(text.as_bytes(), (self.hosts.peer, 5060));
        sent.map(|_| ()).map_err(|error| format!("SIP cannot be sent: {error}"))
    }
}

/// The answer to an INVITE, by somebody with this tag at this place.
pub fn ok(message: &str, tag: &str, contact: &str, said: &str) -> Result<String, String> {
    let mut text = "SIP/2.0 200 OK\r\n".to_owned();
    let (head, _) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    for line in head.lines() {
        let copied = ["Via", "Record-Route", "From", "Call-ID", "CSeq"];
        if copied.iter().any(|name| value(line, name).is_some()) {
            text += &format!("{line}\r\n");
        }
    }
    text += &format!(
        "To: {};tag={tag}\r\nContact: <{contact}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{said}",
        field(message, "To")?,
        said.len()
    );
    Ok(text)
}

/// What has come, if anything.
pub fn receive(socket: &UdpSocket) -> Result<Option<String>, String> {
    let mut buffer = [0; 8192];
    match socket.recv(&mut buffer) {
        Ok(length) => Ok(Some(String::from_utf8_lossy(&buffer[..length]).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(format!("SIP cannot be received: {error}")),
    }
}

/// Names of fields that have a short form (RFC 3261 7.3.3), which a message has that would be too long.
const SHORT: [(&str, &str); 5] = [
    ("Via", "v"),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("Contact", "m"),
];

/// The value of a field in its line.
fn value<'m>(line: &'m str, name: &str) -> Option<&'m str> {
    let short = SHORT.iter().find(|(long, _)| *long == name).map(|(_, short)| *short);
    let (before, value) = line.split_once(':')?;
    (before == name || Some(before) == short).then(|| value.trim())
}

/// The same of a message.
pub fn field<'m>(message: &'m str, name: &str) -> Result<&'m str, String> {
    let found = message.lines().find_map(|line| value(line, name));
    found.ok_or_else(|| format!("a message without {name}:\n{message}"))
}

/// Its body.
pub fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
