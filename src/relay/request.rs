//! Requests: who asks, and the answers.

use super::credentials::Who;
use super::fact::Fact;
use super::{Client, Output, Server};
use crate::limits;
use crate::marker::Marker;
use crate::stun::integrity::{Key, Seal};
use crate::stun::message::{BINDING, Class, ErrorCode, Message, Writer, kind, method};
use crate::stun::{self, SOFTWARE};
use crate::time::Clock;
use std::hash::BuildHasher;
use std::time::Duration;

/// What a request may have that must be understood, besides what every message may have.
const KNOWN: [u16; 11] = [
    kind::CHANNEL_NUMBER,
    kind::LIFETIME,
    kind::XOR_PEER_ADDRESS,
    kind::DATA,
    kind::XOR_RELAYED_ADDRESS,
    kind::REQUESTED_ADDRESS_FAMILY,
    kind::EVEN_PORT,
    kind::REQUESTED_TRANSPORT,
    kind::PASSWORD_ALGORITHM,
    kind::RESERVATION_TOKEN,
    kind::CONNECTION_ID,
];

/// To whom an answer goes, and how.
#[derive(Clone, Debug)]
pub(super) struct Back {
    pub(super) client: Client,
    method: u16,
    pub(super) transaction: [u8; 12],
    /// The request had one, so the answer has one.
    fingerprint: bool,
    /// The request had a seal.
    is_sealed: bool,
    /// That of the answer, once the request's is found good.
    seal: Option<(Seal, Key)>,
}

impl Back {
    fn new(client: Client, message: &Message<'_>) -> Back {
        Back {
            client,
            method: message.method,
            transaction: message.transaction,
            fingerprint: message.fingerprint().is_some(),
            is_sealed: is_sealed(message),
            seal: None,
        }
    }

    pub(super) fn success(&self) -> Writer {
        Writer::new(Class::Success, self.method, self.transaction)
    }

    pub(super) fn error(&self, code: ErrorCode) -> Writer {
        let mut writer = Writer::new(Class::Error, self.method, self.transaction);
        writer.error(code);
        writer
    }

    fn finish(&self, mut writer: Writer) -> Output {
        writer.software(SOFTWARE);
        if let Some((seal, key)) = &self.seal {
            writer.seal(*seal, key);
        }
        if self.fingerprint {
            writer.fingerprint();
        }
        Output::Answer(self.client, writer.finish())
    }
}

fn is_sealed(message: &Message<'_>) -> bool {
    message.has_seal(Seal::Sha1) || message.has_seal(Seal::Sha256)
}

/// Whether a name whose time has been over for so long does not get this any more: nothing new at all, and what there is for no longer than a call
/// may take that began with it (browsers refresh by what they began with, and give up what they are refused).
fn is_too_late(message: &Message<'_>, over: Duration) -> bool {
    let ends = message.covers(kind::LIFETIME) == Some(&[0; 4]);
    match message.method {
        method::ALLOCATE => true,
        method::REFRESH => !ends && over >= limits::RELAY_OUTLIVES,
        _other => false,
    }
}

impl Server {
    /// A request has come.
    pub(super) fn request(&mut self, at: Clock, client: Client, octets: &[u8]) {
        let Some(message) = Message::parse(octets) else {
            return;
        };
        match message.method {
            BINDING => self.binding(at, client, octets),
            method::ALLOCATE
            | method::REFRESH
            | method::CREATE_PERMISSION
            | method::CHANNEL_BIND
            | method::CONNECT
            | method::CONNECTION_BIND => {
                let is_sealed = is_sealed(&message);
                let host = Marker::host(client.from().ip());
                // A password costs hashes to check: where too many were wrong in this second none is checked, but of who relays already, and so
                // has shown that he knows one.
                let is_heard = self.by_client.contains_key(&client.tuple()) || self.guesses.has(at.now, &host);
                if is_sealed && !is_heard {
                    return self.guessed(client);
                }
                match self.credentials.check(at, self.key, client.tuple(), &message) {
                    Err(code) => {
                        // Its nonce holds, so it is where it says it is.
                        if is_sealed && code == ErrorCode::UNAUTHENTICATED {
                            self.guesses.take(at.now, host);
                            self.counters.wrong += 1;
                        }
                        self.challenge(at, &Back::new(client, &message), code);
                    }
                    Ok(who) => self.asked(at, client, &message, who),
                }
            }
            // RFC 8489 6.3: a method that nobody knows gets no answer.
            _unknown => self.counters.broken += 1,
        }
    }

    /// RFC 8489 6.3.1. Anybody may ask.
    fn binding(&mut self, at: Clock, client: Client, octets: &[u8]) {
        if !self.may_answer(at, client) {
            self.counters.unanswered += 1;
            if let (true, Some(message)) = (client.is_stream(), Message::parse(octets)) {
                self.later(&Back::new(client, &message));
            }
        } else if let Some(answer) = stun::answer(octets, client.from()) {
            self.counters.bindings += 1;
            self.outputs.push_back(Output::Answer(client, answer));
        }
    }

    /// Whether there is one more answer for a stranger. Those on streams are where they say they are, and have their own.
    fn may_answer(&mut self, at: Clock, client: Client) -> bool {
        let answers = &mut self.answers[usize::from(client.is_stream())];
        answers.take(at.now, Marker::host(client.from().ip()))
    }

    /// What is beyond a rate. A datagram comes again, and goes without an answer; a request on a stream does not come again before its client
    /// gives up (RFC 8489 6.2.2), so that it is told to ask later. There is no more of this than is read, a turn at a time.
    fn later(&mut self, back: &Back) {
        if back.client.is_stream() {
            self.outputs.push_back(back.finish(back.error(ErrorCode::SERVER_ERROR)));
        }
    }

    /// Nothing of it is checked, so an answer could have no seal; and without one a client that has sent one believes none but those that ask for
    /// a password (RFC 8489 9.2.5): it takes the answer for forged, and gives up or waits on. A stream that ends tells it at once to come again.
    fn guessed(&mut self, client: Client) {
        self.counters.guessed += 1;
        self.hang(client);
    }

    fn hang(&mut self, client: Client) {
        if let Client::Stream { id, .. } = client {
            self.outputs.push_back(Output::Hang(id));
        }
    }

    /// The same for one more answer to this client. Who relays by a stream has shown who he is: what others behind his address ask for takes nothing
    /// from him, and his stream is not to end for it.
    fn may_challenge(&mut self, at: Clock, client: Client) -> bool {
        let own = self.by_client.get(&client.tuple()).copied();
        let Some(own) = own.filter(|_| client.is_stream()) else {
            return self.may_answer(at, client);
        };
        let account = self.allocations[own as usize].account();
        self.requests.take(at.now, self.key.hash_one(account))
    }

    /// An answer to one who has not shown who he is. It may be longer than its request, and go to a source that is forged.
    fn challenge(&mut self, at: Clock, back: &Back, code: ErrorCode) {
        if !self.may_challenge(at, back.client) {
            self.counters.unanswered += 1;
            // As in `guessed`.
            return match back.is_sealed {
                true => self.hang(back.client),
                false => self.later(back),
            };
        }
        let mut writer = back.error(code);
        if code == ErrorCode::BAD_REQUEST {
            self.counters.refused += 1;
        } else {
            self.counters.challenged += 1;
            let tuple = back.client.tuple();
            self.credentials.challenge(at, self.key, tuple, &mut writer);
        }
        self.outputs.push_back(back.finish(writer));
    }

    /// Of one who has.
    fn asked(&mut self, at: Clock, client: Client, message: &Message<'_>, who: Who) {
        if !self.requests.take(at.now, self.key.hash_one(who.account())) {
            self.counters.hurried += 1;
            let mut back = Back::new(client, message);
            back.seal = Some((who.seal, who.key));
            return self.later(&back);
        }
        let mut back = Back::new(client, message);
        if who.over.is_some_and(|over| is_too_late(message, over)) {
            return self.challenge(at, &back, ErrorCode::UNAUTHENTICATED);
        }
        back.seal = Some((who.seal, who.key.clone()));
        let unknown = message.unknown_besides(&KNOWN);
        if !unknown.is_empty() {
            self.counters.refused += 1;
            let mut writer = back.error(ErrorCode::UNKNOWN_ATTRIBUTE);
            writer.unknown_attributes(&unknown);
            return self.outputs.push_back(back.finish(writer));
        }
        let done = match message.method {
            method::ALLOCATE => match self.allocate(at, message, &back, &who) {
                Ok(Some(writer)) => Ok(writer),
                // Its ports are being opened.
                Ok(None) => return,
                Err(code) => Err(code),
            },
            method::REFRESH => self.refresh(at.now, message, &back, &who),
            method::CREATE_PERMISSION => self.create_permission(at.now, message, &back, &who),
            method::CONNECT => match self.connect(at, message, &back, &who) {
                // Its peer is asked.
                Ok(()) => return,
                Err(code) => Err(code),
            },
            method::CONNECTION_BIND => match self.connection_bind(message, &back, &who) {
                Ok((id, stream)) => {
                    self.answer(&back, back.success());
                    return self.outputs.push_back(Output::Join(id, stream));
                }
                Err(code) => Err(code),
            },
            _channel_bind => self.channel_bind(at.now, message, &back, &who),
        };
        match done {
            Ok(writer) => self.outputs.push_back(back.finish(writer)),
            Err(code) => self.refuse(&back, &who, code),
        }
    }

    pub(super) fn answer(&mut self, back: &Back, writer: Writer) {
        self.outputs.push_back(back.finish(writer));
    }

    pub(super) fn refuse(&mut self, back: &Back, who: &Who, code: ErrorCode) {
        self.counters.refused += 1;
        let told = [
            ErrorCode::FORBIDDEN,
            ErrorCode::QUOTA_REACHED,
            ErrorCode::INSUFFICIENT_CAPACITY,
        ];
        if told.contains(&code) {
            self.outputs.push_back(Output::Fact(Fact::Refused {
                user: who.user.as_str().into(),
                client: back.client,
                code: code.0,
            }));
        }
        self.outputs.push_back(back.finish(back.error(code)));
    }

    /// The allocation of a request that needs one (RFC 8656 5).
    pub(super) fn own(&self, client: Client, who: &Who) -> Result<u32, ErrorCode> {
        let at = self.by_client.get(&client.tuple()).copied();
        let at = at.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        match *self.allocations[at as usize].user == *who.user {
            true => Ok(at),
            false => Err(ErrorCode::WRONG_CREDENTIALS),
        }
    }
}
