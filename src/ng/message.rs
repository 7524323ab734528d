//! A datagram of NG: a cookie, a space, a dictionary. The answer carries the same cookie.
//!
//! ```text
//! 5323_1 d7:command4:pinge          5323_1 d6:result4:ponge
//! ```

use super::bencode::{self, Dict, Value};
use super::flags::{Flags, plain, text};
use crate::limits;
use std::time::Duration;

/// A command with its cookie.
#[derive(Debug)]
pub struct Request<'t> {
    /// What its answer begins with.
    pub cookie: &'t [u8],
    /// What is wanted; or why it cannot be, as a sentence.
    pub command: Result<Command<'t>, Refused>,
}

/// Why a command is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As a sentence.
    pub why: String,
    /// There is no room for it here, which another engine may have.
    pub is_full: bool,
}

impl Refused {
    /// There is no room. Kamailio tries the next engine where it knows the words.
    pub fn full(why: &str) -> Refused {
        Refused {
            why: why.to_owned(),
            is_full: true,
        }
    }
}

impl From<&str> for Refused {
    fn from(why: &str) -> Refused {
        why.to_owned().into()
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused { why, is_full: false }
    }
}

/// Which call, and which sides of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// `call-id`.
    pub call: Box<str>,
    /// `from-tag`: whose description or wish it is; of an answer, who offered.
    pub from: Option<Box<str>>,
    /// `to-tag`.
    pub to: Option<Box<str>>,
    /// `via-branch`: tells branches of a fork apart.
    pub branch: Option<Box<str>>,
}

/// What may be wanted.
#[derive(Debug)]
pub enum Command<'t> {
    /// `ping`.
    Ping,
    /// `offer`: a description goes on to the other side.
    Offer(Named, &'t [u8], Box<Flags>),
    /// `answer`: a description comes back.
    Answer(Named, &'t [u8], Box<Flags>),
    /// `delete`, after a time.
    Delete(Named, Duration, Box<Flags>),
    /// `query`.
    Query(Named),
    /// `list`, so many.
    List(usize),
    /// `block DTMF`, or `unblock DTMF`.
    BlockDigits(Named, bool, Box<Flags>),
    /// `play DTMF`: this digit.
    PlayDigit(Named, char),
}

impl Command<'_> {
    /// As it is written.
    pub const fn name(&self) -> &'static str {
        match self {
            Command::Ping => "ping",
            Command::Offer(..) => "offer",
            Command::Answer(..) => "answer",
            Command::Delete(..) => "delete",
            Command::Query(_) => "query",
            Command::List(_) => "list",
            Command::BlockDigits(_, true, _) => "block DTMF",
            Command::BlockDigits(_, false, _) => "unblock DTMF",
            Command::PlayDigit(..) => "play DTMF",
        }
    }
}

impl<'t> Request<'t> {
    /// Reads a datagram. None where it has not even a cookie: then nothing is answered.
    pub fn parse(datagram: &'t [u8]) -> Option<Request<'t>> {
        let space = datagram
            .iter()
            .take(limits::NG_COOKIE_BYTES + 1)
            .position(|octet| *octet == b' ')?;
        let (cookie, body) = (&datagram[..space], &datagram[space + 1..]);
        if cookie.is_empty() || !cookie.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let command = match bencode::parse(body) {
            Ok(Value::Dict(message)) => command(message),
            Ok(Value::Number(_) | Value::Text(_) | Value::List(_)) => Err("The message is not a dictionary.".into()),
            Err(fault) => Err(fault.reason().into()),
        };
        Some(Request { cookie, command })
    }
}

/// The answer to a cookie.
pub fn answer(cookie: &[u8], body: &Value<'_>) -> Vec<u8> {
    let mut octets = [cookie, b" "].concat();
    body.write(&mut octets);
    octets
}

/// `result: error`.
pub fn error(why: &str) -> Value<'static> {
    Value::dict([
        ("result", Value::text("error")),
        ("error-reason", Value::text(why.to_owned())),
    ])
}

fn command<'t>(message: Dict<'t>) -> Result<Command<'t>, Refused> {
    let word = string(&message, "command")?.ok_or("The message has no command.")?;
    let flags = Flags::read(&message);
    match &*plain(&word) {
        "ping" => Ok(Command::Ping),
        "offer" => {
            let named = named(&message, true)?;
            Ok(Command::Offer(named, description(message)?, flags.into()))
        }
        "answer" => {
            let named = named(&message, true)?;
            if named.to.is_none() {
                return Err("An answer needs a to-tag.".into());
            }
            Ok(Command::Answer(named, description(message)?, flags.into()))
        }
        "delete" => {
            let delay = number(&message, "delete-delay").unwrap_or(0);
            let delay = Duration::from_secs(u64::try_from(delay).unwrap_or(0)).min(limits::NG_DELAY);
            Ok(Command::Delete(named(&message, false)?, delay, flags.into()))
        }
        "query" => Ok(Command::Query(named(&message, false)?)),
        "list" => {
            let limit = number(&message, "limit").unwrap_or(32);
            let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
            Ok(Command::List(limit.ok_or("The limit of a list has to be above 0.")?))
        }
        "block-dtmf" => Ok(Command::BlockDigits(named(&message, false)?, true, flags.into())),
        "unblock-dtmf" => Ok(Command::BlockDigits(named(&message, false)?, false, flags.into())),
        "play-dtmf" => {
            let code = string(&message, "code")?.or(string(&message, "digit")?);
            let digit = code
                .as_deref()
                .and_then(digit)
                .ok_or("There is no digit to play (code: 0 to 9, *, #, A to D).")?;
            Ok(Command::PlayDigit(named(&message, true)?, digit))
        }
        "start-recording" | "stop-recording" | "pause-recording" => {
            Err("Recording is not offered by NG on this node.".into())
        }
        "play-media" | "stop-media" => Err("Playing media is not offered by NG on this node.".into()),
        other => {
            let cut: String = other.chars().take(64).collect();
            Err(Refused::from(format!(
                "The command {cut:?} is not offered on this node."
            )))
        }
    }
}

/// By number (RFC 4733 3.2) or as it is.
fn digit(code: &str) -> Option<char> {
    const DIGITS: &str = "0123456789*#ABCD";
    let by_number = code.parse().ok().and_then(|number: usize| DIGITS.chars().nth(number));
    let as_it_is = || {
        let mut chars = code.chars();
        let digit = chars.next()?.to_ascii_uppercase();
        (chars.next().is_none() && DIGITS.contains(digit)).then_some(digit)
    };
    by_number.or_else(as_it_is)
}

fn find<'m, 't>(message: &'m Dict<'t>, name: &str) -> Option<&'m Value<'t>> {
    let direct = message.get(name.as_bytes());
    direct.or_else(|| {
        let found = message
            .iter()
            .find(|(key, _)| plain(&String::from_utf8_lossy(key)) == name);
        found.map(|(_, value)| value)
    })
}

/// A name: text of a bounded length.
fn string(message: &Dict<'_>, name: &str) -> Result<Option<Box<str>>, Refused> {
    let Some(value) = find(message, name) else {
        return Ok(None);
    };
    if let Value::Number(number) = value {
        return Ok(Some(number.to_string().into()));
    }
    let Value::Text(octets) = value else {
        return Err(Refused::from(format!("{name} has to be text.")));
    };
    if octets.len() > limits::NG_NAME_BYTES {
        let most = limits::NG_NAME_BYTES;
        return Err(Refused::from(format!("{name} is longer than {most} octets.")));
    }
    match std::str::from_utf8(octets) {
        Ok(text) => Ok((!text.is_empty()).then(|| text.into())),
        Err(_) => Err(Refused::from(format!("{name} is not UTF-8."))),
    }
}

/// A number, which some senders write as text.
fn number(message: &Dict<'_>, name: &str) -> Option<i64> {
    text(find(message, name)?)?.parse().ok()
}

fn named(message: &Dict<'_>, needs_from: bool) -> Result<Named, Refused> {
    let named = Named {
        call: string(message, "call-id")?.ok_or("The command has no call-id.")?,
        from: string(message, "from-tag")?,
        to: string(message, "to-tag")?,
        branch: string(message, "via-branch")?,
    };
    if needs_from && named.from.is_none() {
        return Err("The command has no from-tag.".into());
    }
    Ok(named)
}

/// The description, which is long: it is not copied.
fn description<'t>(mut message: Dict<'t>) -> Result<&'t [u8], Refused> {
    match message.remove(&b"sdp"[..]) {
        Some(Value::Text(std::borrow::Cow::Borrowed(octets))) => Ok(octets),
        Some(Value::Text(_) | Value::Number(_) | Value::List(_) | Value::Dict(_)) | None => {
            Err("The command has no session description (sdp).".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(body: &str) -> String {
        let datagram = format!("1_2 {body}");
        let request = Request::parse(datagram.as_bytes()).unwrap();
        assert_eq!(request.cookie, b"1_2");
        request.command.unwrap_err().why
    }

    #[test]
    fn commands_are_told_by_name() {
        for (body, name) in [
            ("d7:command4:pinge", "ping"),
            ("d7:command5:offer7:call-id1:c8:from-tag1:a3:sdp3:v=0e", "offer"),
            (
                "d7:call-id1:c7:command6:answer8:from-tag1:a6:to-tag1:b3:sdp3:v=0e",
                "answer",
            ),
            ("d7:command6:delete7:call-id1:c12:delete delayi5ee", "delete"),
            ("d7:command5:query7:call-id1:ce", "query"),
            ("d7:command4:list5:limiti3ee", "list"),
            ("d7:command10:block DTMF7:call-id1:ce", "block DTMF"),
            ("d7:command12:unblock-DTMF7:call-id1:ce", "unblock DTMF"),
            ("d7:command9:play DTMF7:call-id1:c8:from-tag1:a4:codei11ee", "play DTMF"),
        ] {
            let datagram = format!("x {body}");
            let command = Request::parse(datagram.as_bytes()).unwrap().command.unwrap();
            assert_eq!(command.name(), name);
            match command {
                Command::Delete(named, delay, _) => assert_eq!((&*named.call, delay.as_secs()), ("c", 5)),
                Command::Offer(named, sdp, _) => {
                    assert_eq!((named.from.as_deref(), named.to, sdp), (Some("a"), None, &b"v=0"[..]));
                }
                Command::Answer(named, ..) => assert_eq!(named.to.as_deref(), Some("b")),
                Command::List(limit) => assert_eq!(limit, 3),
                Command::PlayDigit(_, digit) => assert_eq!(digit, '#'),
                Command::Ping | Command::Query(_) | Command::BlockDigits(..) => {}
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        for (body, expected) in [
            ("", "The message ends in the middle of a value."),
            ("le", "The message is not a dictionary."),
            ("de", "The message has no command."),
            ("d7:commandlee", "command has to be text."),
            ("d7:command5:offere", "The command has no call-id."),
            ("d7:command5:offer7:call-id1:ce", "The command has no from-tag."),
            (
                "d7:command5:offer7:call-id1:c8:from-tag1:ae",
                "The command has no session description (sdp).",
            ),
            (
                "d7:command6:answer7:call-id1:c8:from-tag1:a3:sdp0:e",
                "An answer needs a to-tag.",
            ),
            ("d7:command4:list5:limiti0ee", "The limit of a list has to be above 0."),
            (
                "d7:command15:start recording7:call-id1:ce",
                "Recording is not offered by NG on this node.",
            ),
            (
                "d7:command10:play mediae",
                "Playing media is not offered by NG on this node.",
            ),
            ("d7:command4:noope", "The command \"noop\" is not offered on this node."),
            (
                "d7:command9:play DTMF7:call-id1:c8:from-tag1:a4:codei16ee",
                "There is no digit to play (code: 0 to 9, *, #, A to D).",
            ),
        ] {
            assert_eq!(why(body), expected, "{body}");
        }
        let long = "c".repeat(limits::NG_NAME_BYTES + 1);
        assert_eq!(
            why(&format!("d7:command5:query7:call-id{}:{long}e", long.len())),
            "call-id is longer than 512 octets."
        );
    }

    #[test]
    fn without_a_cookie_nothing_is_answered() {
        for datagram in [
            &b""[..],
            b"d7:command4:pinge",
            b" d7:command4:pinge",
            b"\x001 d7:command4:pinge",
            &[b'x'; 400],
        ] {
            assert!(Request::parse(datagram).is_none());
        }
        let octets = answer(b"1_2", &error("No."));
        assert_eq!(octets, b"1_2 d12:error-reason3:No.6:result5:errore");
    }
}
