//! Names: a zone of records, a time that each answer takes, and servers that are silent or lie.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tandem::effect::{Answer, Kind, Question, Record};

/// What is said of one kind of record of one name.
#[derive(Clone, Debug)]
struct Entry {
    answer: Answer,
    /// How long the answer takes; `None`: it never comes.
    delay: Option<Duration>,
}

/// How long an answer takes where nothing is said of it.
const SOON: Duration = Duration::from_millis(20);

/// All names.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    zone: BTreeMap<Question, Entry>,
    /// Names of which nobody answers anything.
    silent: Vec<String>,
    /// Names that were asked for.
    pub asked: Vec<String>,
    /// The same with the kind of record.
    pub questions: Vec<(Kind, String)>,
}

fn question(kind: Kind, name: &str) -> Question {
    Question {
        kind,
        name: name.into(),
    }
}

/// An SRV record.
pub fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Record {
    Record::Srv {
        priority,
        weight,
        port,
        target: target.into(),
    }
}

/// A NAPTR record.
pub fn naptr(order: u16, preference: u16, flags: &str, services: &str, replacement: &str) -> Record {
    Record::Naptr {
        order,
        preference,
        flags: flags.into(),
        services: services.into(),
        replacement: replacement.into(),
    }
}

/// An A or AAAA record.
pub fn address(text: &str) -> Record {
    Record::Address(text.parse().expect("an address of the test"))
}

impl Dns {
    /// Sets a name that leads to these places, in order, by whatever transport is asked for; nothing of it may be kept. `None`:
    /// nobody answers. What the name itself has takes `delay`.
    pub fn set(&mut self, name: &str, targets: &[SocketAddr], delay: Option<Duration>) {
        self.silent.retain(|silent| silent != name);
        let Some(delay) = delay else {
            self.silent.push(name.to_owned());
            return;
        };
        let all: Vec<String> = targets.iter().map(|target| target.ip().to_string()).collect();
        self.addresses(name, &all, 0);
        self.slow(name, delay);
        self.add(Kind::Naptr, name, Vec::new(), 0);
        self.delay(Kind::Naptr, name, Duration::ZERO);
        let ports = targets.iter().any(|target| target.port() != 5060);
        for service in ["_sip._udp", "_sip._tcp"] {
            let mut records = Vec::new();
            for (number, target) in targets.iter().enumerate().filter(|_| ports) {
                let host = format!("{number}.{name}");
                self.addresses(&host, &[target.ip().to_string()], 0);
                self.slow(&host, delay);
                records.push(srv(number as u16, 0, target.port(), &host));
            }
            let service = format!("{service}.{name}");
            self.add(Kind::Srv, &service, records, 0);
            self.delay(Kind::Srv, &service, Duration::ZERO);
        }
    }

    /// Sets what is said of one kind of record of one name, for this many seconds.
    pub fn add(&mut self, kind: Kind, name: &str, records: Vec<Record>, ttl: u64) {
        let answer = Answer {
            records,
            ttl: Duration::from_secs(ttl),
        };
        let delay = Some(SOON);
        self.zone.insert(question(kind, name), Entry { answer, delay });
    }

    /// Sets the addresses of a host.
    pub fn addresses<T: AsRef<str>>(&mut self, name: &str, all: &[T], ttl: u64) {
        let of = |v6: bool| {
            let fits = all.iter().filter(|text| text.as_ref().contains(':') == v6);
            fits.map(|text| address(text.as_ref())).collect()
        };
        self.add(Kind::A, name, of(false), ttl);
        self.add(Kind::Aaaa, name, of(true), ttl);
    }

    /// Addresses of a host take this long.
    pub fn slow(&mut self, name: &str, delay: Duration) {
        self.delay(Kind::A, name, delay);
        self.delay(Kind::Aaaa, name, delay);
    }

    fn delay(&mut self, kind: Kind, name: &str, delay: Duration) {
        if let Some(entry) = self.zone.get_mut(&question(kind, name)) {
            entry.delay = Some(delay);
        }
    }

    /// Nobody answers this any more.
    pub fn silence(&mut self, kind: Kind, name: &str) {
        let entry = Entry {
            answer: Answer::default(),
            delay: None,
        };
        self.zone.insert(question(kind, name), entry);
    }

    /// How often this was asked.
    pub fn count(&self, kind: Kind, name: &str) -> usize {
        let is_it = |asked: &&(Kind, String)| asked.0 == kind && asked.1 == name;
        self.questions.iter().filter(is_it).count()
    }

    /// The answer to a question; `None`: there is none.
    pub fn resolve(&mut self, asked: &Question) -> Option<(Duration, Answer)> {
        self.asked.push(asked.name.to_string());
        self.questions.push((asked.kind, asked.name.to_string()));
        if self.silent.iter().any(|name| asked.name.ends_with(name.as_str())) {
            return None;
        }
        match self.zone.get(asked) {
            Some(entry) => entry.delay.map(|delay| (delay, entry.answer.clone())),
            None => Some((SOON, Answer::default())),
        }
    }
}
