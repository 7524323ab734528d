//! One element between a caller and a next hop, all on addresses of their own.

use super::grid::{Case, Transport};
use crate::process::Process;
use crate::program::program;
use sip_tests::digest;
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// On loopback an answer takes a millisecond; who says nothing for this long says nothing.
const SILENCE: Duration = Duration::from_millis(600);
const START: Duration = Duration::from_secs(20);

/// What became of a request.
#[derive(Debug)]
pub struct Seen {
    /// As it arrived at the next hop.
    pub arrived: Option<String>,
    /// The final response as it came back.
    answered: Option<String>,
}

pub struct Bench {
    hosts: [Ipv4Addr; 3],
    udp: UdpSocket,
    tcp: Option<TcpStream>,
    arrived: Arc<Mutex<HashMap<String, String>>>,
    challenge: Option<String>,
    uses: u32,
    folder: PathBuf,
    process: Process,
}

impl Drop for Bench {
    /// By SIGTERM, which Kamailio passes on to its children; what is left is killed with the process.
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.folder.join("pid")) {
            let _ = Command::new("kill").arg(pid.trim()).status();
            self.process.journal.wait_closed(Duration::from_secs(5));
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    pub fn kamailio() -> Bench {
        Bench::start(1, |folder, us| {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/kamailio.cfg");
            let mut command = Command::new("kamailio");
            command.args([
                "-DD",
                "-E",
                "-n",
                "1",
                "-f",
                file,
                "-l",
                &format!("udp:{us}:5060"),
                "-l",
                &format!("tcp:{us}:5060"),
            ]);
            command
                .arg("-w")
                .arg(folder)
                .arg("-Y")
                .arg(folder)
                .arg("-P")
                .arg(folder.join("pid"));
            Process::start("kamailio", "the package kamailio", &mut command)
        })
    }

    pub fn tandem() -> Bench {
        Bench::start(2, |folder, us| {
            let file = folder.join("tandem.yaml");
            let yaml = format!(
                "listen: [ \"udp://{us}:5060\", \"tcp://{us}:5060\" ]\ndomains: [ {{ name: example.com, do: proxy }} ]\n\
                 users: [ {{ name: alice, password: secret, calls: 100 }}, {{ name: bob, password: secret, calls: 100 }} ]\n\
                 guard: {{ exempt: [ 127.0.0.0/8 ], per_user: 10000 }}\nstore: {{ path: {} }}\n",
                folder.join("tandem.db").display()
            );
            fs::write(&file, yaml).unwrap();
            Process::start(
                "tandem",
                "this repository",
                Command::new(program()).arg("run").arg(&file),
            )
        })
    }

    fn start(place: u8, start: impl Fn(&std::path::Path, Ipv4Addr) -> Process) -> Bench {
        let hosts = [1, 2, 3].map(|host| Ipv4Addr::new(127, 79, place, host));
        let folder = std::env::temp_dir().join(format!("tandem-differential-{place}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let udp = UdpSocket::bind((hosts[1], 5060)).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let arrived = Arc::new(Mutex::new(HashMap::new()));
        let next = UdpSocket::bind((hosts[2], 5060)).unwrap();
        let (answering, known) = (next.try_clone().unwrap(), arrived.clone());
        let process = start(&folder, hosts[0]);
        let mut bench = Bench {
            hosts,
            udp,
            tcp: None,
            arrived,
            challenge: None,
            uses: 0,
            folder,
            process,
        };
        bench.register(&next);
        std::thread::spawn(move || answer(&answering, &known));
        bench
    }

    pub fn name(&self) -> String {
        self.hosts[0].to_string()
    }

    /// bob is where the next hop is. Asked until the element is up.
    fn register(&mut self, next: &UdpSocket) {
        next.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let (us, host) = (self.hosts[0], self.hosts[2]);
        let (mut line, until) = (String::new(), Instant::now() + START);
        for cseq in 1.. {
            assert!(Instant::now() < until, "{us} does not register anybody");
            let register = format!(
                "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bKr{cseq}\r\nMax-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=r\r\n\
                 To: <sip:bob@example.com>\r\nCall-ID: r@{host}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:bob@{host}:5060;line=7>\r\nExpires: 600\r\n{line}Content-Length: 0\r\n\r\n"
            );
            let _ = next.send_to(register.as_bytes(), (us, 5060));
            let mut buffer = [0; 4096];
            let Ok(length) = next.recv(&mut buffer) else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if answer.starts_with("SIP/2.0 200") {
                break;
            }
            let challenge = field(&answer, "WWW-Authenticate").expect("a challenge");
            let credentials = digest::answer(&challenge, "bob", "secret", "REGISTER", "sip:example.com", 1);
            line = format!("Authorization: {credentials}\r\n");
        }
        next.set_read_timeout(None).unwrap();
    }

    /// Sends a request; once more with credentials if the element wants some.
    pub fn ask(&mut self, case: &Case) -> Seen {
        let mut answered = self.send(case);
        if answered
            .as_ref()
            .is_some_and(|answer| answer.starts_with("SIP/2.0 407"))
        {
            self.challenge = answered
                .as_deref()
                .and_then(|answer| field(answer, "Proxy-Authenticate"));
            self.uses = 0;
            answered = self.send(case);
        }
        let name = case.call_id();
        let arrived = self.arrived.lock().unwrap().remove(&name);
        Seen {
            arrived: arrived.map(|text| self.plain(&text)),
            answered: answered.map(|text| self.plain(&text)),
        }
    }

    /// Without what only says which of the two it was.
    fn plain(&self, text: &str) -> String {
        text.replace(&format!("127.79.{}.", self.hosts[0].octets()[2]), "127.79.x.")
    }

    fn send(&mut self, case: &Case) -> Option<String> {
        let [us, from, next] = self.hosts.map(|host| host.to_string());
        let line = self.challenge.as_ref().map_or_else(String::new, |challenge| {
            self.uses += 1;
            let uri = case.request_uri(&next);
            let credentials = digest::answer(challenge, "alice", "secret", case.method, &uri, self.uses);
            format!("Proxy-Authorization: {credentials}\r\n")
        });
        let request = case.request(&from, &us, &next, &line);
        let until = Instant::now() + SILENCE;
        match case.transport {
            Transport::Udp => {
                self.udp.send_to(&request, (self.hosts[0], 5060)).unwrap();
                self.answer_of(case, until, |bench, buffer| bench.udp.recv(buffer).ok())
            }
            Transport::Tcp => {
                let to = SocketAddr::from((self.hosts[0], 5060));
                let stream = self.tcp.get_or_insert_with(|| TcpStream::connect(to).unwrap());
                stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                let sent = stream.write_all(&request);
                let answer = self.answer_of(case, until, |bench, buffer| bench.tcp.as_mut()?.read(buffer).ok());
                if sent.is_err() || answer.is_none() {
                    self.tcp = None;
                }
                answer
            }
        }
    }

    /// The final response with the request's Call-ID; an INVITE's is acknowledged.
    fn answer_of(
        &mut self,
        case: &Case,
        until: Instant,
        read: impl Fn(&mut Bench, &mut [u8]) -> Option<usize>,
    ) -> Option<String> {
        let (mut text, mut buffer) = (String::new(), [0; 65_535]);
        while Instant::now() < until {
            let Some(length) = read(self, &mut buffer).filter(|length| *length > 0) else {
                continue;
            };
            text += &String::from_utf8_lossy(&buffer[..length]);
            while let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let head = head.to_owned();
                text = rest.to_owned();
                let ours = field(&head, "Call-ID").is_some_and(|id| id == case.call_id());
                if ours && !head.starts_with("SIP/2.0 1") {
                    self.acknowledge(case, &head);
                    return Some(head);
                }
            }
        }
        None
    }

    fn acknowledge(&mut self, case: &Case, answer: &str) {
        if case.method != "INVITE" {
            return;
        }
        let [_, from, next] = self.hosts.map(|host| host.to_string());
        let copied =
            ["From", "To", "Call-ID"].map(|name| format!("{name}: {}\r\n", field(answer, name).unwrap_or_default()));
        let transport = if case.transport == Transport::Udp { "UDP" } else { "TCP" };
        let ack = format!(
            "ACK {} SIP/2.0\r\nVia: SIP/2.0/{transport} {from}:5060;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n{}CSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
            case.request_uri(&next),
            case.call_id(),
            copied.concat(),
            case.number + 1
        );
        let _ = match (case.transport, &mut self.tcp) {
            (Transport::Tcp, Some(stream)) => stream.write_all(ack.as_bytes()),
            _ => self.udp.send_to(ack.as_bytes(), (self.hosts[0], 5060)).map(drop),
        };
    }
}

/// The next hop: an INVITE meets 486, all else 200; the first copy of each request is kept.
fn answer(socket: &UdpSocket, arrived: &Mutex<HashMap<String, String>>) {
    let mut buffer = [0; 65_535];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let text: String = buffer[..length].iter().map(|byte| char::from(*byte)).collect();
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if head.starts_with("ACK ") || head.starts_with("SIP/") {
            continue;
        }
        arrived
            .lock()
            .unwrap()
            .entry(field(head, "Call-ID").unwrap_or_default())
            .or_insert_with(|| text.clone());
        let status = if head.starts_with("INVITE ") {
            "486 Busy Here"
        } else {
            "200 OK"
        };
        let mut response = format!("SIP/2.0 {status}\r\n");
        for (name, value) in fields(head) {
            let kept = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"].contains(&long(&name));
            let tag = if long(&name) == "To" { ";tag=next" } else { "" };
            if kept {
                response += &format!("{name}: {value}{tag}\r\n");
            }
        }
        response += "X-Hop: next\r\nContent-Length: 0\r\n\r\n";
        let _ = socket.send_to(response.as_bytes(), from);
    }
}

impl Seen {
    /// What is compared, by name.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let text = self.arrived.as_deref().unwrap_or_default();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let of = |name: &str| all(head, name).join(" | ");
        let answer = self.answered.as_deref().unwrap_or_default();
        // What an element owns; everything else is the caller's.
        let own = [
            "Via",
            "Max-Forwards",
            "Route",
            "Record-Route",
            "Max-Breadth",
            "Proxy-Authorization",
        ];
        let others: Vec<&str> = raw_fields(head)
            .into_iter()
            .filter(|line| !own.contains(&long(name_of(line))))
            .collect();
        vec![
            ("status", answer.split(' ').nth(1).unwrap_or("none").to_owned()),
            ("arrived", self.arrived.is_some().to_string()),
            ("request line", head.lines().next().unwrap_or_default().to_owned()),
            ("Max-Forwards", of("Max-Forwards")),
            ("Max-Breadth", of("Max-Breadth")),
            ("Route", of("Route")),
            ("Record-Route", all(head, "Record-Route").len().to_string()),
            (
                "Via below",
                all(head, "Via")
                    .iter()
                    .skip(1)
                    .map(|via| in_order("Via", via))
                    .collect::<Vec<_>>()
                    .join(" | "),
            ),
            ("other fields", others.join("\n")),
            ("body", body.escape_debug().to_string()),
            ("response", response(answer)),
        ]
    }
}

/// The fields of a response in an order that means nothing (RFC 3261 7.3.1), without what each element says of itself.
fn response(head: &str) -> String {
    let own = ["Server", "Content-Length", "Record-Route"];
    let others = fields(head).into_iter().filter(|(name, _)| !own.contains(&long(name)));
    let mut lines: Vec<String> = others
        .map(|(name, value)| format!("{name}: {}", in_order(&name, &value)))
        .collect();
    lines.sort();
    lines.join("\n")
}

/// Via with its parameters in order of the alphabet, and To without a tag, which is the element's where it answers itself.
fn in_order(name: &str, value: &str) -> String {
    let mut parts = value.split(';').map(str::trim);
    let first = parts.next().unwrap_or_default().to_owned();
    let mut params: Vec<&str> = parts
        .filter(|param| long(name) != "To" || !param.starts_with("tag="))
        .collect();
    if long(name) == "Via" {
        params.sort_unstable();
    }
    params.into_iter().fold(first, |text, param| text + ";" + param)
}

/// Header lines as they came, folding included.
fn raw_fields(head: &str) -> Vec<&str> {
    let (mut found, mut from) = (Vec::new(), head.find("\r\n").map_or(head.len(), |at| at + 2));
    let mut at = from;
    while let Some(end) = head[at..].find("\r\n").map(|end| at + end) {
        at = end + 2;
        if !head[at..].starts_with([' ', '\t']) {
            found.push(&head[from..end]);
            from = at;
        }
    }
    if from < head.len() {
        found.push(&head[from..]);
    }
    found
}

fn name_of(line: &str) -> &str {
    line.split(':').next().unwrap_or_default().trim_end()
}

/// Name as written and value without folding.
fn fields(head: &str) -> Vec<(String, String)> {
    let one = |line: &&str| {
        let (name, value) = line.split_once(':')?;
        Some((
            name.trim_end().to_owned(),
            value.split_whitespace().collect::<Vec<_>>().join(" "),
        ))
    };
    raw_fields(head).iter().filter_map(one).collect()
}

fn long(name: &str) -> &str {
    let known = [
        ("v", "Via"),
        ("f", "From"),
        ("t", "To"),
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("l", "Content-Length"),
        ("cseq", "CSeq"),
    ];
    let names = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "Contact",
        "Content-Length",
        "Route",
        "Record-Route",
    ];
    let short = known
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name))
        .map(|(_, long)| *long);
    short
        .or_else(|| names.into_iter().find(|known| known.eq_ignore_ascii_case(name)))
        .unwrap_or(name)
}

fn all(head: &str, name: &str) -> Vec<String> {
    let lines = fields(head)
        .into_iter()
        .filter(|(written, _)| long(written).eq_ignore_ascii_case(name));
    lines.map(|(_, value)| value).collect()
}

fn field(head: &str, name: &str) -> Option<String> {
    all(head, name).into_iter().next()
}
