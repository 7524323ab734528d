//! The resolver as it is on the wire, against a server that lies, repeats itself, or says nothing.

use super::dns::Resolver;
use super::tests::SOON;
use crate::config::Dns;
use crate::effect::{Answer, Kind, Question, Record};
use crate::limits;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, timeout};

const A: u16 = 1;
const CNAME: u16 = 5;
const TXT: u16 = 16;
const SRV: u16 = 33;
/// Flags of an answer: nothing is wrong; it is cut off; there is no such name; the server fails.
const GOOD: u16 = 0x8180;
const CUT_OFF: u16 = 0x8380;
const NO_NAME: u16 = 0x8183;
const FAILS: u16 = 0x8182;

/// A question as it came.
struct Asked {
    bytes: Vec<u8>,
    name: String,
    over_tcp: bool,
}

fn parse(bytes: &[u8], over_tcp: bool) -> Asked {
    let (mut at, mut labels) = (12, Vec::new());
    while bytes[at] != 0 {
        let label = &bytes[at + 1..=at + usize::from(bytes[at])];
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += 1 + label.len();
    }
    Asked {
        bytes: bytes[..at + 5].to_vec(),
        name: labels.join("."),
        over_tcp,
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Owner, type, data.
type Raw = (Vec<u8>, u16, Vec<u8>);

const OWNER: [u8; 2] = [0xc0, 0x0c];

fn a(last: u8) -> Raw {
    (OWNER.to_vec(), A, vec![127, 0, 0, last])
}

impl Asked {
    fn answer(&self, flags: u16, records: &[Raw]) -> Vec<u8> {
        self.with_ttl(flags, records, 60)
    }

    fn with_ttl(&self, flags: u16, records: &[Raw], ttl: u32) -> Vec<u8> {
        let mut out = self.bytes[..2].to_vec();
        for number in [flags, 1, records.len() as u16, 0, 0] {
            out.extend(number.to_be_bytes());
        }
        out.extend(&self.bytes[12..]);
        for (owner, kind, data) in records {
            out.extend(owner);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1]);
            out.extend(ttl.to_be_bytes());
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        out
    }

    fn forged(&self) -> Vec<u8> {
        let mut answer = self.answer(GOOD, &[a(66)]);
        answer[0] ^= 0xff;
        answer
    }

    /// The answer to another question, with the right number.
    fn to_another(&self) -> Vec<u8> {
        let mut other = self.bytes[..12].to_vec();
        other.extend(encoded("other.test"));
        other.extend([0, 1, 0, 1]);
        let other = Asked {
            bytes: other,
            ..parse(&self.bytes, self.over_tcp)
        };
        other.answer(GOOD, &[a(66)])
    }
}

/// What the server says: datagrams, or over TCP messages of which only the first is sent.
fn lies(asked: &Asked) -> Vec<Vec<u8>> {
    let cname = |to: &str| (OWNER.to_vec(), CNAME, encoded(to));
    let one = |bytes: Vec<u8>| vec![bytes];
    match asked.name.as_str() {
        "honest.test" => one(asked.answer(GOOD, &[a(9)])),
        "wrong-id.test" => vec![asked.forged(); 3],
        "wrong-question.test" => vec![asked.to_another(); 3],
        "no-question.test" => {
            let mut answer = asked.answer(GOOD, &[]);
            answer[5] = 0;
            answer.truncate(12);
            one(answer)
        }
        "flooded.test" => {
            let mut all: Vec<Vec<u8>> = (0..500)
                .flat_map(|_| [asked.forged(), asked.to_another(), vec![7]])
                .collect();
            all.push(asked.answer(GOOD, &[a(9)]));
            all
        }
        "of-another.test" => one(asked.answer(GOOD, &[(encoded("other.test"), A, vec![127, 0, 0, 66])])),
        "of-another-type.test" => one(asked.answer(GOOD, &[(OWNER.to_vec(), TXT, b"\x02hi".to_vec())])),
        "loop-a.test" => one(asked.answer(GOOD, &[cname("loop-b.test")])),
        "loop-b.test" => one(asked.answer(GOOD, &[cname("loop-a.test")])),
        "loop-self.test" => one(asked.answer(GOOD, &[cname("loop-self.test")])),
        "no-name.test" => one(asked.answer(NO_NAME, &[])),
        "no-name-but-records.test" => one(asked.answer(NO_NAME, &[a(66)])),
        "fails.test" => one(asked.answer(FAILS, &[a(66)])),
        "thousands.test" if asked.over_tcp => {
            let records: Vec<Raw> = (0..4_000).map(|number| a(number as u8)).collect();
            one(asked.answer(GOOD, &records))
        }
        "thousands.test" | "tcp-silent.test" if !asked.over_tcp => one(asked.answer(CUT_OFF, &[a(66)])),
        "tcp-garbage.test" if !asked.over_tcp => one(asked.answer(CUT_OFF, &[])),
        "tcp-garbage.test" => one(vec![0xff; 200]),
        "forever.test" => one(asked.with_ttl(GOOD, &[a(9)], u32::MAX)),
        "srv-self.test" => {
            let data = [&[0, 1, 0, 0, 0x13, 0xc4][..], &encoded("srv-self.test")].concat();
            one(asked.answer(GOOD, &[(OWNER.to_vec(), SRV, data)]))
        }
        name if name.starts_with("chain-") => {
            let number: u32 = name
                .trim_start_matches("chain-")
                .trim_end_matches(".test")
                .parse()
                .unwrap();
            one(asked.answer(GOOD, &[cname(&format!("chain-{}.test", number + 1))]))
        }
        name => no_message(asked, name),
    }
}

/// What is no message of the DNS, and silence.
fn no_message(asked: &Asked, name: &str) -> Vec<Vec<u8>> {
    let one = |bytes: Vec<u8>| vec![bytes];
    match name {
        "garbage.test" => one([&asked.bytes[..2], &[0xff; 60]].concat()),
        "more-than-there-is.test" => {
            let mut answer = asked.answer(GOOD, &[a(66)]);
            answer[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
            one(answer)
        }
        "pointer.test" => {
            // A name that leads to itself.
            let at = 12 + asked.bytes[12..].len() as u8;
            one(asked.answer(GOOD, &[(vec![0xc0, at], A, vec![127, 0, 0, 66])]))
        }
        name if name.starts_with("cut-") => {
            let length: usize = name
                .trim_start_matches("cut-")
                .trim_end_matches(".test")
                .parse()
                .unwrap();
            let whole = asked.answer(GOOD, &[a(66)]);
            one(whole[..length.min(whole.len() - 1)].to_vec())
        }
        _ => Vec::new(),
    }
}

/// Counts what it is asked, by the first word of the name.
type Counts = Arc<Mutex<HashMap<String, usize>>>;

fn count(counts: &Counts, asked: &Asked) {
    let word = asked.name.split(['-', '.']).next().unwrap().to_owned();
    *counts.lock().unwrap().entry(word).or_default() += 1;
}

async fn server(ip: &str) -> (SocketAddr, Counts) {
    let counts = Counts::default();
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(addr).await.unwrap();
    let counting = counts.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let asked = parse(&buffer[..length], false);
            count(&counting, &asked);
            for datagram in lies(&asked) {
                let _ = socket.send_to(&datagram, from).await;
            }
        }
    });
    let counting = counts.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counting = counting.clone();
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut question = vec![0; usize::from(length)];
                    stream.read_exact(&mut question).await.unwrap();
                    let asked = parse(&question, true);
                    count(&counting, &asked);
                    for answer in lies(&asked) {
                        let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                        let _ = stream.write_all(&framed).await;
                    }
                }
            });
        }
    });
    (addr, counts)
}

fn resolver(servers: &[SocketAddr]) -> Resolver {
    let (resolver, complaint) = Resolver::new(&Dns {
        servers: servers.to_vec(),
    });
    assert_eq!(complaint, None);
    resolver
}

/// Asks, and looks at the time that it takes.
async fn ask(resolver: Resolver, name: String, kind: Kind) -> Answer {
    let begun = Instant::now();
    let question = Question {
        kind,
        name: name.as_str().into(),
    };
    let answer = timeout(SOON, resolver.ask(&question)).await.expect("it is bounded");
    let most = limits::RESOLVE + Duration::from_secs(1);
    assert!(begun.elapsed() < most, "{name} took {:?}", begun.elapsed());
    answer
}

fn addresses(last: &[u8]) -> Vec<Record> {
    last.iter()
        .map(|last| Record::Address([127, 0, 0, *last].into()))
        .collect()
}

#[tokio::test]
async fn a_server_that_lies_is_not_believed_and_not_waited_for() {
    let (addr, counts) = server("127.0.84.50").await;
    let resolver = resolver(&[addr]);
    // What is believed, and what is kept.
    let told: [(&str, &[u8], u64); 8] = [
        ("honest.test", &[9], 60),
        ("flooded.test", &[9], 60),
        ("of-another.test", &[], 0),
        ("of-another-type.test", &[], 0),
        ("loop-a.test", &[], 0),
        ("loop-self.test", &[], 0),
        ("no-name.test", &[], 0),
        ("forever.test", &[9], u64::from(u32::MAX)),
    ];
    let silent = [
        "wrong-id.test",
        "wrong-question.test",
        "no-question.test",
        "no-name-but-records.test",
        "fails.test",
        "tcp-silent.test",
        "tcp-garbage.test",
        "garbage.test",
        "more-than-there-is.test",
        "pointer.test",
        "silent.test",
        "chain-0.test",
    ];
    let mut asked: Vec<(String, Vec<Record>, u64)> = Vec::new();
    asked.extend(told.map(|(name, last, ttl)| (name.to_owned(), addresses(last), ttl)));
    asked.extend(silent.map(|name| (name.to_owned(), Vec::new(), 0)));
    asked.extend((0..44).map(|length| (format!("cut-{length}.test"), Vec::new(), 0)));
    let answers: Vec<_> = asked
        .into_iter()
        .map(|(name, records, ttl)| {
            let answer = tokio::spawn(ask(resolver.clone(), name.clone(), Kind::A));
            (name, records, ttl, answer)
        })
        .collect();
    for (name, records, ttl, answer) in answers {
        let answer = answer.await.unwrap();
        assert_eq!(answer.records, records, "{name}");
        assert!(answer.ttl.as_secs() <= ttl, "{name} is kept for {:?}", answer.ttl);
    }
    // However long a chain of names is, it is followed for a few steps only.
    let chain = counts.lock().unwrap()["chain"];
    assert!(chain <= 64, "{chain} questions for one");
    let loops = counts.lock().unwrap()["loop"];
    assert!(loops <= 64, "{loops} questions for two");
}

#[tokio::test]
async fn of_thousands_of_records_a_few_are_looked_at() {
    let (addr, _) = server("127.0.84.51").await;
    let answer = ask(resolver(&[addr]), "thousands.test".to_owned(), Kind::A).await;
    assert_eq!(answer.records.len(), limits::DNS_RECORDS);
    let answer = ask(resolver(&[addr]), "srv-self.test".to_owned(), Kind::Srv).await;
    let [Record::Srv { target, port: 5060, .. }] = answer.records.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(&**target, "srv-self.test", "where that leads is for the machine to see");
}

#[tokio::test]
async fn where_one_server_is_silent_the_other_is_asked() {
    let silent = UdpSocket::bind("127.0.84.52:0").await.unwrap();
    let (addr, _) = server("127.0.84.53").await;
    for servers in [
        [silent.local_addr().unwrap(), addr],
        [addr, silent.local_addr().unwrap()],
    ] {
        let answer = ask(resolver(&servers), "honest.test".to_owned(), Kind::A).await;
        assert_eq!(answer.records, addresses(&[9]));
    }
    // One that is not even there.
    let nobody = "127.0.84.54:9".parse().unwrap();
    let answer = ask(resolver(&[nobody, addr]), "honest.test".to_owned(), Kind::A).await;
    assert_eq!(answer.records, addresses(&[9]));
}
