//! A phone of few words: it registers, over one socket.

use sip_tests::{Msg, digest};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// As long as a request is repeated for: 64*T1 would be too long for a test.
const TRIES: usize = 12;

/// One user at one address.
pub struct Host {
    socket: UdpSocket,
    user: &'static str,
    number: u32,
    challenge: Option<String>,
    /// How often the challenge was answered.
    count: u32,
}

impl Host {
    pub fn new(at: SocketAddr, node: SocketAddr, user: &'static str) -> Host {
        // A socket that was closed just now may live on in a child that another test starts, until that has become its program.
        let bound = (0..100).find_map(|_| {
            let bound = UdpSocket::bind(at);
            if bound.is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
            bound.ok()
        });
        let socket = bound.expect("the address is this test's own");
        socket.connect(node).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        Host {
            socket,
            user,
            number: 0,
            challenge: None,
            count: 0,
        }
    }

    /// Registers its own address: the final status. With the nonce of before, if `again`.
    pub fn register(&mut self, again: bool) -> u16 {
        if !again {
            self.challenge = None;
        }
        let first = self.ask();
        if first.status() != 401 {
            return first.status();
        }
        self.challenge = Some(challenge(&first));
        self.count = 0;
        self.ask().status()
    }

    fn ask(&mut self) -> Msg {
        self.number += 1;
        let (user, number, at) = (self.user, self.number, self.socket.local_addr().unwrap());
        let mut request = Msg::request("REGISTER", "sip:example.com")
            .with("Via", &format!("SIP/2.0/UDP {at};rport;branch=z9hG4bK{user}{number}"))
            .with("Max-Forwards", "70")
            .with("From", &format!("<sip:{user}@example.com>;tag={number}"))
            .with("To", &format!("<sip:{user}@example.com>"))
            .with("Call-ID", &format!("{user}@{at}"))
            .with("CSeq", &format!("{number} REGISTER"))
            .with("Contact", &format!("<sip:{user}@{at}>"))
            .with("User-Agent", "Phone of few words");
        if let Some(challenge) = &self.challenge {
            self.count += 1;
            let password = format!("secret-{user}");
            let value = digest::answer(challenge, user, &password, "REGISTER", "sip:example.com", self.count);
            request.push("Authorization", &value);
        }
        let bytes = request.write();
        let mut buffer = [0; 4096];
        for _ in 0..TRIES {
            self.socket.send(&bytes).unwrap();
            // The answers to what others sent in our name come, too.
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let answer = Msg::read(&buffer[..length]).unwrap();
                if answer.call_id() == request.call_id() && answer.cseq() == request.cseq() && answer.status() >= 200 {
                    return answer;
                }
            }
        }
        panic!("{user} at {at} has no answer to REGISTER {number} after {TRIES} tries");
    }
}

/// The first challenge: a message may have several, and this reader splits lists at their commas.
fn challenge(answer: &Msg) -> String {
    let parts = answer.all("WWW-Authenticate");
    let next = parts
        .iter()
        .skip(1)
        .position(|part| part.starts_with("Digest "))
        .map_or(parts.len(), |at| at + 1);
    parts[..next].join(", ")
}
