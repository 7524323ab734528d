//! A node with the API, and a client of HTTP/1.1 under TLS as small as it can be.

use crate::process::Process;
use crate::program::program;
use crate::{ACME, SOON};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A node with an address and a folder of its own.
pub struct Node {
    pub process: Process,
    folder: PathBuf,
    pub ip: String,
}

fn configuration(folder: &Path, ip: &str, key: &str, rest: &str) -> String {
    format!(
        "listen: [ \"udp://{ip}:5060\" ]\ndomains: [ example.com ]\nstore: {{ path: {} }}\nmedia: {{ ports: 20000-20199, workers: 1 \
         }}\napi:\n  listen: {ip}:8445\n  keys: [ {{ tenant: acme, key: {key} }} ]\n{rest}",
        folder.join("t.db").display()
    )
}

impl Node {
    /// `number` is the test's: its address is 127.93.`number`.1. `rest` belongs to the section `api`.
    pub fn start(number: u8, rest: &str) -> Node {
        let folder = std::env::temp_dir().join(format!("tandem-api-{number}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("as this test has set it up");
        let ip = format!("127.93.{number}.1");
        let file = folder.join("t.yaml");
        fs::write(&file, configuration(&folder, &ip, ACME, rest)).expect("as this test has set it up");
        let mut command = Command::new(program());
        command.arg("run").arg(&file).env("NO_COLOR", "1").current_dir(&folder);
        let process = Process::start("tandem", "this repository", &mut command);
        process.wait_for("Ready.", SOON);
        Node { process, folder, ip }
    }

    pub fn reload(&self, key: &str, rest: &str) {
        let text = configuration(&self.folder, &self.ip, key, rest);
        fs::write(self.folder.join("t.yaml"), text).expect("as this test has set it up");
        self.process.signal("HUP");
        self.process.wait_for("reloaded: api changed", SOON);
    }

    /// Ends it by SIGTERM with code 0 and no error in its log.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit(SOON), Some(0));
        assert_eq!(self.process.journal.count("ERROR"), 0);
        assert_eq!(self.process.journal.count("panicked"), 0);
    }

    /// A connection under TLS that trusts the certificate which the node has made for itself.
    pub fn tls(&self) -> Tls {
        let mut roots = RootCertStore::empty();
        let file = self.folder.join("tls-certificate.pem");
        for certificate in CertificateDer::pem_file_iter(file).expect("the node has made it") {
            roots.add(certificate.expect("it is PEM")).expect("it can be trusted");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("as this test has set it up")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let ip: IpAddr = self.ip.parse().expect("an address");
        let client = ClientConnection::new(Arc::new(config), ServerName::from(ip)).expect("as this test has set it up");
        let socket = TcpStream::connect((self.ip.as_str(), 8445)).expect("it listens");
        socket.set_read_timeout(Some(SOON)).expect("as this test has set it up");
        StreamOwned::new(client, socket)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// One connection.
pub struct Https {
    reader: BufReader<Tls>,
    host: String,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Https {
    pub fn open(node: &Node) -> Https {
        Https {
            reader: BufReader::new(node.tls()),
            host: node.ip.clone(),
        }
    }

    /// Writes a request without its end.
    pub fn write(&mut self, text: &str) -> std::io::Result<()> {
        let stream = self.reader.get_mut();
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }

    pub fn ask(&mut self, method: &str, path: &str, token: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let head = self.head(method, path, token, fields);
        let text = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        self.write(&text).expect("it is taken");
        self.answer()
    }

    fn head(&self, method: &str, path: &str, token: &str, fields: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if !token.is_empty() {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Status and fields.
    fn begin(&mut self) -> Answer {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            fields.push((name.to_owned(), value.to_owned()));
        }
        Answer {
            status: status.unwrap_or_else(|| panic!("no status: {line:?}")),
            fields,
            body: String::new(),
        }
    }

    pub fn answer(&mut self) -> Answer {
        let mut answer = self.begin();
        let length = answer
            .field("content-length")
            .map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).expect("the body");
        answer.body = String::from_utf8(body).expect("UTF-8");
        answer
    }

    /// Waits until the other side closes it, with an answer before that or without one.
    pub fn ends(&mut self) {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => {}
            // Closed without a goodbye is closed too; what has run out of time is not.
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it is still open"),
        }
    }

    /// Becomes a stream of events.
    pub fn listen(mut self, token: &str, after: Option<&str>) -> Events {
        let after: Vec<(&str, &str)> = after.iter().map(|after| ("Last-Event-ID", *after)).collect();
        let head = self.head("GET", "/v1/events", token, &after);
        self.write(&format!("{head}Accept: text/event-stream\r\n\r\n"))
            .expect("it is taken");
        let answer = self.begin();
        assert_eq!(
            (answer.status, answer.field("content-type")),
            (200, Some("text/event-stream"))
        );
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        Events {
            https: self,
            text: String::new(),
        }
    }
}

/// Server-sent events, in chunks.
pub struct Events {
    https: Https,
    text: String,
}

impl Events {
    /// The next one: its id, its name, its data.
    pub fn event(&mut self) -> (String, String, Value) {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let found = block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    found.unwrap_or_default().to_owned()
                };
                if !field("event").is_empty() {
                    let data = serde_json::from_str(&field("data")).expect("JSON");
                    return (field("id"), field("event"), data);
                }
            }
            assert!(self.chunk(), "the stream has ended");
        }
    }

    /// True when nothing comes behind.
    pub fn is_over(&mut self) -> bool {
        self.text.is_empty() && !self.chunk()
    }

    fn chunk(&mut self) -> bool {
        let length = usize::from_str_radix(&self.https.line(), 16).expect("the length of a chunk");
        let mut chunk = vec![0; length + 2];
        self.https.reader.read_exact(&mut chunk).expect("a chunk");
        chunk.truncate(length);
        self.text.push_str(&String::from_utf8(chunk).expect("UTF-8"));
        length > 0
    }
}
