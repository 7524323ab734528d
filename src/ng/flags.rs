//! What an offer or an answer wants beside being passed on. Names are taken in any case, with hyphens or spaces, in lists of their own, in
//! `flags`, or in one line (`rtpp-flags`, which newer Kamailios do not take apart): all mean the same.
//!
//! | what | heeded |
//! |---|---|
//! | `transport-protocol` | `RTP/AVP`, `RTP/SAVP`; others are refused |
//! | `SDES`, `OSRTP` | which suites; whether keys stand beside RTP in the clear |
//! | `codec` | as `choice.rs` says |
//! | `received-from`, `SIP-source-address`, `media-address`, `address-family` | whose media is expected from where; what we write |
//! | `rtcp-mux` | `reject`; we answer it where it is offered, and offer none |
//! | `label` | in statistics |
//!
//! What we do in any case is not said to be unheeded: descriptions are our own (`replace`, `ICE=remove`), sources are latched
//! (`symmetric`, `trust-address`), keys are by SDES (`DTLS=off`).

use super::bencode::{Dict, Value};
use super::choice::Choice;
use crate::limits;
use crate::media::command::Suite;
use std::borrow::Cow;
use std::net::IpAddr;

/// The flags of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `transport-protocol`: as it was written.
    pub transport: Option<Box<str>>,
    /// `codec`.
    pub choice: Choice,
    /// Of the crypto suites of SRTP.
    pub sdes: Sdes,
    /// `OSRTP=offer`: keys beside RTP in the clear (RFC 8643).
    pub offers_keys: bool,
    /// `OSRTP=accept`: such keys are taken.
    pub takes_keys: bool,
    /// `received-from`: whose signalling it is.
    pub received_from: Option<IpAddr>,
    /// `SIP-source-address`: media is expected there, whatever the description says.
    pub by_source: bool,
    /// `media-address`: what we write in place of our own address.
    pub media_address: Option<IpAddr>,
    /// `address-family`: of our address; true for IPv6.
    pub v6: Option<bool>,
    /// `rtcp-mux=reject`.
    pub refuses_mux: bool,
    /// `label`.
    pub label: Option<Box<str>>,
    /// `directional`: it is about the side of `from-tag` alone.
    pub directional: bool,
    /// `fatal`: to delete what is not there is an error.
    pub fatal: bool,
    /// `load limit` in `supports`: it knows what to do when we have no room.
    pub knows_limit: bool,
    /// What was said and is not heeded, for the log.
    pub unheeded: Vec<Box<str>>,
}

/// Which suites are spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sdes {
    /// `off`.
    pub off: bool,
    /// `no-NAME`.
    pub not: Vec<Box<str>>,
    /// `only-NAME`.
    pub only: Vec<Box<str>>,
}

impl Sdes {
    /// Whether a suite may be used.
    pub fn allows(&self, suite: Suite) -> bool {
        let names = |list: &[Box<str>]| list.iter().any(|name| name.eq_ignore_ascii_case(suite.name()));
        !names(&self.not) && (self.only.is_empty() || names(&self.only))
    }
}

/// Keys that are read elsewhere, and those that mean nothing to us.
const OTHERS: [&str; 15] = [
    "command",
    "sdp",
    "call-id",
    "from-tag",
    "to-tag",
    "via-branch",
    "delete-delay",
    "limit",
    "code",
    "digit",
    "sip-message-type",
    "sip-code",
    "tos",
    "metadata",
    "from-tags",
];

/// Words in `flags` that say what we do in any case, or change nothing for us.
const AS_EVER: [&str; 19] = [
    "trust-address",
    "symmetric",
    "port-latching",
    "no-rtcp-attribute",
    "full-rtcp-attribute",
    "loop-protect",
    "to-tag",
    "fast",
    "pad-crypto",
    "bidirectional",
    "allow-transcoding",
    "always-transcode",
    "inject-dtmf",
    "provisional",
    "early-media",
    "reuse-codecs",
    "no-codec-renegotiation",
    "single-codec",
    "generate-rtcp",
];

/// `Media Address` is `media-address`.
pub fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace([' ', '_'], "-")
}

/// Text of a value, if it has any.
pub fn text<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match value {
        Value::Text(octets) => Some(String::from_utf8_lossy(octets)),
        Value::Number(number) => Some(number.to_string().into()),
        Value::List(_) | Value::Dict(_) => None,
    }
}

/// The words of a list, or the one that stands in its place.
fn words(value: &Value<'_>) -> Vec<String> {
    let of = |value: &Value<'_>| text(value).map(Cow::into_owned);
    match value {
        Value::List(list) => list.iter().take(limits::NG_WORDS).filter_map(of).collect(),
        Value::Text(_) | Value::Number(_) => of(value).into_iter().collect(),
        Value::Dict(_) => Vec::new(),
    }
}

impl Flags {
    /// Reads those of a command.
    pub fn read(message: &Dict<'_>) -> Flags {
        let mut flags = Flags::default();
        for (key, value) in message {
            let key = String::from_utf8_lossy(key);
            match (&*plain(&key), value) {
                ("flags", value) => words(value).iter().for_each(|word| flags.word(word)),
                ("rtpp-flags", value) => flags.line(&text(value).unwrap_or_default()),
                ("codec", Value::Dict(lists)) => {
                    for (list, names) in lists {
                        let list = plain(&String::from_utf8_lossy(list));
                        words(names).iter().for_each(|name| flags.codec(&list, name));
                    }
                }
                (key, value) => match words(value)[..] {
                    [] => {}
                    ref words => flags.key(key, words),
                },
            }
        }
        flags
    }

    /// One line as a script writes it.
    fn line(&mut self, line: &str) {
        for word in line.split_ascii_whitespace().take(limits::NG_WORDS) {
            match word.split_once('=') {
                Some((key, value)) if key.eq_ignore_ascii_case("received-from") => {
                    self.received_from = value.parse().ok();
                }
                Some((key, value)) => self.key(&plain(key), &[value.to_owned()]),
                None => self.word(word),
            }
        }
    }

    /// One word of `flags`.
    fn word(&mut self, word: &str) {
        let name = plain(word);
        match &*name {
            "sip-source-address" => self.by_source = true,
            "directional" => self.directional = true,
            "fatal" => self.fatal = true,
            "rtp" | "avp" | "rtp/avp" => self.transport_of(false, false),
            "srtp" | "rtp/savp" => self.transport_of(true, false),
            "avpf" | "rtp/avpf" => self.transport_of(false, true),
            "rtp/savpf" => self.transport_of(true, true),
            "dtls" | "udp/tls/rtp/savp" | "udp/tls/rtp/savpf" => self.transport = Some(word.into()),
            name if AS_EVER.contains(&name) => {}
            name => {
                let prefixes = [
                    "codec-",
                    "transcode-",
                    "sdes-",
                    "osrtp-",
                    "rtcp-mux-",
                    "replace-",
                    "ice-",
                    "dtls-",
                ];
                let of = |prefix: &&str| name.starts_with(*prefix) && word.is_char_boundary(prefix.len());
                match prefixes.iter().find(|prefix| of(prefix)) {
                    Some(&"codec-") => match name["codec-".len()..].split_once('-') {
                        Some((list, _)) => self.codec(list, &word["codec-".len() + list.len() + 1..]),
                        None => self.unheeded(word),
                    },
                    Some(prefix) => {
                        let value = word[prefix.len()..].to_owned();
                        self.key(prefix.trim_end_matches('-'), &[value]);
                    }
                    None => self.unheeded(word),
                }
            }
        }
    }

    /// Words of a script: each says one thing of the transport, and the last counts.
    fn transport_of(&mut self, secure: bool, feedback: bool) {
        let name = match (secure, feedback) {
            (false, false) => "RTP/AVP",
            (true, false) => "RTP/SAVP",
            (false, true) => "RTP/AVPF",
            (true, true) => "RTP/SAVPF",
        };
        self.transport = Some(name.into());
    }

    fn codec(&mut self, list: &str, name: &str) {
        let choice = &mut self.choice;
        let list = match list {
            "strip" | "mask" | "consume" => &mut choice.left_out,
            "except" => &mut choice.except,
            "offer" => &mut choice.first,
            "transcode" => &mut choice.added,
            "ignore" => &mut choice.ignored,
            // What they ask for is what we do: each side may speak what it can, in our quality.
            "accept" | "set" => return,
            _ => return self.unheeded(&format!("codec-{list}")),
        };
        if list.len() < limits::NG_WORDS && name.len() <= limits::NG_NAME_BYTES {
            list.push(name.into());
        }
    }

    /// A key with what stands behind it: at least one word.
    fn key(&mut self, key: &str, words: &[String]) {
        let first = words.first().map(String::as_str).unwrap_or_default();
        match key {
            "transport-protocol" => self.transport = Some(first.into()),
            "transcode" => words.iter().for_each(|name| self.codec("transcode", name)),
            key if key.starts_with("codec-") => {
                let list = &key["codec-".len()..];
                words.iter().for_each(|name| self.codec(list, name));
            }
            "sdes" => words.iter().for_each(|word| self.suites(word)),
            "osrtp" => words.iter().for_each(|word| match &*plain(word) {
                "offer" => self.offers_keys = true,
                "accept" => self.takes_keys = true,
                _ => self.unheeded(&format!("OSRTP={word}")),
            }),
            // "IP4" and the address; before 2012 the address alone.
            "received-from" => self.received_from = words.iter().rev().find_map(|word| word.parse().ok()),
            "sip-source-address" => self.by_source = true,
            "media-address" => match first.parse() {
                Ok(addr) => self.media_address = Some(addr),
                Err(_) => self.unheeded(&format!("media-address={first}")),
            },
            "address-family" => match &*plain(first) {
                "ip4" | "ipv4" | "inet" => self.v6 = Some(false),
                "ip6" | "ipv6" | "inet6" => self.v6 = Some(true),
                _ => self.unheeded(&format!("address-family={first}")),
            },
            "rtcp-mux" => words.iter().for_each(|word| match &*plain(word) {
                "reject" => self.refuses_mux = true,
                "demux" | "accept" => {}
                _ => self.unheeded(&format!("rtcp-mux={word}")),
            }),
            "ice" if ["remove", "default"].contains(&&*plain(first)) => {}
            "dtls" if ["off", "no", "disable"].contains(&&*plain(first)) => {}
            "replace" => {}
            "label" | "from-label" if first.len() <= limits::NG_NAME_BYTES => self.label = Some(first.into()),
            "supports" => self.knows_limit = words.iter().any(|word| plain(word) == "load-limit"),
            key if OTHERS.contains(&key) => {}
            // What stands behind others may be a number or a name.
            "ice" | "dtls" | "direction" => self.unheeded(&format!("{key}={first}")),
            key => self.unheeded(key),
        }
    }

    fn suites(&mut self, word: &str) {
        let after = |prefix: &str| {
            word.get(..prefix.len())
                .filter(|start| start.eq_ignore_ascii_case(prefix))
                .map(|_| word[prefix.len()..].into())
        };
        if ["off", "no", "disable"]
            .iter()
            .any(|off| word.eq_ignore_ascii_case(off))
        {
            self.sdes.off = true;
        } else if let Some(name) = after("no-") {
            self.sdes.not.push(name);
        } else if let Some(name) = after("only-") {
            self.sdes.only.push(name);
        } else {
            self.unheeded(&format!("SDES={word}"));
        }
    }

    fn unheeded(&mut self, what: &str) {
        if self.unheeded.len() < limits::NG_WORDS {
            let cut: String = what.chars().take(64).collect();
            self.unheeded.push(cut.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &str) -> Flags {
        let value = super::super::bencode::parse(octets.as_bytes()).unwrap();
        let Value::Dict(dict) = value else {
            panic!("a dictionary")
        };
        Flags::read(&dict)
    }

    /// As Kamailio 5.6 writes it for `replace-origin ICE=remove RTP/SAVP transcode-opus codec-strip-PCMU SDES-no-AEAD_AES_256_GCM`.
    #[test]
    fn kamailios_flags_are_read() {
        let flags = read(
            "d8:supportsl10:load limite3:ICE6:remove5:codecd5:stripl4:PCMUe9:transcodel4:opusee\
             18:transport-protocol8:RTP/SAVP4:SDESl19:no-AEAD_AES_256_GCMe13:received-froml3:IP49:192.0.2.7e\
             7:replacel6:origine5:flagsl13:trust-address9:symmetricee",
        );
        assert!(flags.knows_limit && flags.unheeded.is_empty(), "{:?}", flags.unheeded);
        assert_eq!(flags.transport.as_deref(), Some("RTP/SAVP"));
        assert_eq!(flags.received_from, Some([192, 0, 2, 7].into()));
        assert_eq!((&*flags.choice.left_out[0], &*flags.choice.added[0]), ("PCMU", "opus"));
        assert!(!flags.sdes.allows(Suite::AeadAes256Gcm) && flags.sdes.allows(Suite::AesCm128Sha1_80));
    }

    #[test]
    fn the_same_is_read_from_flags_and_from_one_line() {
        let all = [
            "codec-strip-PCMU",
            "transcode-opus/48000/2",
            "SDES-only-AES_CM_128_HMAC_SHA1_80",
            "OSRTP-offer",
            "SIP-source-address",
            "RTP/SAVP",
            "rtcp-mux-reject",
        ];
        let list: String = all.iter().map(|word| format!("{}:{word}", word.len())).collect();
        let line = all.join(" ");
        let (one, other) = (
            read(&format!("d5:flagsl{list}ee")),
            read(&format!("d10:rtpp-flags{}:{line}e", line.len())),
        );
        assert_eq!(one, other);
        assert!(
            one.by_source && one.offers_keys && one.refuses_mux && one.unheeded.is_empty(),
            "{one:?}"
        );
        assert_eq!(
            (&*one.choice.left_out[0], &*one.choice.added[0]),
            ("PCMU", "opus/48000/2")
        );
        let allowed: Vec<Suite> = Suite::ALL.into_iter().filter(|suite| one.sdes.allows(*suite)).collect();
        assert_eq!(allowed, [Suite::AesCm128Sha1_80]);
        let line = "address-family=IP6 media-address=2001:db8::1 received-from=192.0.2.9 codec-mask=PCMA";
        let keys = read(&format!("d10:rtpp-flags{}:{line}e", line.len()));
        assert_eq!((keys.v6, keys.media_address), (Some(true), "2001:db8::1".parse().ok()));
        assert_eq!(
            (keys.received_from, &*keys.choice.left_out[0]),
            (Some([192, 0, 2, 9].into()), "PCMA")
        );
    }

    #[test]
    fn what_is_not_heeded_is_told() {
        let flags = read(
            "d3:ICE5:force9:directionl8:internal8:externale9:new thingi7e5:flagsl10:asymmetric12:codec-what-x5:\u{e4}bcdee",
        );
        let told: Vec<&str> = flags.unheeded.iter().map(|word| &**word).collect();
        assert_eq!(
            told,
            [
                "ice=force",
                "direction=internal",
                "asymmetric",
                "codec-what",
                "\u{e4}bcd",
                "new-thing"
            ]
        );
    }
}
