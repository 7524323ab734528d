//! Starts that fail: `tandem check` has told it before, who is to blame is named, and no password or certificate is left behind.

use super::Folder;
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process;

impl Folder {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("our own folder");
    }

    /// `NAME.pem` and `NAME.key`; the year in which it ends.
    fn sign(&self, name: &str, ends: i32) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["edge.example".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(ends, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// All that is in it, folders too.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .expect("our own folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }
}

const LISTEN: &str = "listen: [ \"tls://127.82.91.1:5061\" ]\n";
const BOTH: [&str; 2] = ["check", "run"];

/// Each of these commands refuses `t.yaml`, which has this of TLS in its first line, with one problem that begins so.
fn is_wrong(folder: &Folder, tls: &str, problem: &str, commands: &[&str]) {
    folder.write("t.yaml", &format!("{tls}{LISTEN}store: {{ path: data/t.db }}\n"));
    for command in commands {
        let (code, out, err) = folder.tandem(&[command, "t.yaml"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{command} {tls}: {err}");
        assert!(
            err.starts_with(&format!("t.yaml:1:{problem}")),
            "{command} {tls}: {err}"
        );
        assert!(err.ends_with("\n1 problem\n"), "{command} {tls}: {err}");
    }
}

/// What `run` would not start with, `check` does not call good; it tells file, line and key.
#[test]
fn check_reads_certificates_as_run_does() {
    let folder = Folder::new("certificates");
    folder.sign("one", 2090);
    folder.sign("two", 2090);
    folder.sign("old", 2002);
    folder.write(
        "bad.pem",
        "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n",
    );
    folder.write("cut.key", "-----BEGIN PRIVATE KEY-----\n");
    let of = |certificate: &str, key: &str| format!("tls: {{ certificate: {certificate}, key: {key} }}\n");
    for (certificate, key, problem) in [
        (
            "bad.pem",
            "one.key",
            "21: tls.certificate: the certificate in bad.pem cannot be used: ",
        ),
        (
            "one.key",
            "one.key",
            "21: tls.certificate: there is no certificate in one.key",
        ),
        (
            "one.pem",
            "cut.key",
            "35: tls.key: there is no private key that can be read in cut.key",
        ),
        (
            "one.pem",
            "none.key",
            "35: tls.key: the file none.key cannot be read: it does not exist",
        ),
        (
            "one.pem",
            "two.key",
            "35: tls.key: the private key in two.key is not that of the certificate in one.pem",
        ),
    ] {
        is_wrong(&folder, &of(certificate, key), problem, &BOTH);
    }
    let no_ca = "19: tls.client_ca: a certificate in bad.pem cannot be trusted as a CA: ";
    is_wrong(&folder, "tls: { client_ca: bad.pem }\n", no_ca, &BOTH);
    // The node would run with it, for those who come by UDP.
    let ended =
        "21: tls.certificate: the certificate in old.pem ended on Tue, 01 Jan 2002 00:00:00 GMT: peers refuse it";
    is_wrong(&folder, &of("old.pem", "old.key"), ended, &["check"]);
    folder.write("t.yaml", &format!("{}{LISTEN}", of("one.pem", "one.key")));
    let (code, out, err) = folder.tandem(&["check", "t.yaml"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
}

/// No line of the file names the certificate that a node has made for itself, and it must be as good.
#[test]
fn check_reads_the_certificate_that_a_node_has_made() {
    let folder = Folder::new("own");
    fs::create_dir(folder.0.join("data")).expect("our own folder");
    folder.write("data/tls-certificate.pem", "");
    folder.write("data/tls-key.pem", "");
    let sip = "listen: [ \"udp://127.82.91.1:5060\" ]\ndomains: [ example.com ]\n";
    let key = "0123456789abcdef0123456789abcdef";
    for doors in [
        LISTEN.to_owned(),
        format!("{sip}api: {{ listen: \"127.82.91.1:8445\", keys: [ {{ tenant: a, key: {key} }} ] }}\n"),
        format!("{sip}turn: {{ listen: [ \"tls://127.82.91.1\" ], secret: north }}\n"),
    ] {
        folder.write("t.yaml", &format!("{doors}store: {{ path: data/t.db }}\n"));
        for command in BOTH {
            let (code, _, err) = folder.tandem(&[command, "t.yaml"]);
            assert_eq!(code, Some(1), "{command}: {err}");
            assert!(
                err.contains("there is no certificate in data/tls-certificate.pem") && err.contains("remove both"),
                "{command}: {err}"
            );
        }
    }
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A configuration with every door and with all that a start makes.
fn doors(ip: &str) -> String {
    format!(
        "listen: [ \"udp://{ip}:5060\", \"wss://{ip}:8443\" ]\nadvertise: {ip}\ndomains: [ example.com ]\n\
         media: {{ ports: 20000-20199, workers: 1, browser_tcp: 4443 }}\n\
         users: [ {{ name: alice, password: {{ generate: secrets/passwords }} }} ]\n\
         api: {{ listen: \"{ip}:8445\", keys: [ {{ tenant: a, key: {KEY} }} ] }}\nng: {{ listen: \"{ip}:2223\" }}\n\
         turn: {{ listen: [ \"udp://{ip}:3478\", \"tcp://{ip}:3478\" ], secret: north, ports: 50000-50099 }}\n"
    )
}

/// A start that fails was none: it says nothing of what it serves, and leaves no password and no certificate. What it says.
fn fails(folder: &Folder, text: &str) -> String {
    folder.write("t.yaml", text);
    let (code, out, err) = folder.tandem(&["run", "t.yaml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    for claim in [
        "is served at",
        "is taken at",
        "are taken at",
        "reach this node",
        "was made and is",
    ] {
        assert!(!err.contains(claim), "{claim}: {err}");
    }
    for made in ["secrets/passwords", "data/tls-certificate.pem", "data/tls-key.pem"] {
        assert!(!folder.0.join(made).exists(), "{made}: {err}");
    }
    err
}

/// A port is another's: he is named, whatever the port is for.
#[test]
fn a_failed_start_says_who_has_the_port_and_leaves_nothing() {
    let folder = Folder::new("taken");
    let text = doors("127.82.92.1");
    let us = format!(
        " (pid {}): stop it, or choose another port with the key ",
        process::id()
    );
    for (scheme, port, key) in [
        ("https", 8445, "`api.listen`"),
        ("tcp", 4443, "`media.browser_tcp`"),
        ("tcp", 3478, "`turn.listen`"),
        ("udp", 2223, "`ng.listen`"),
        ("udp", 3478, "`turn.listen`"),
    ] {
        let addr = format!("127.82.92.1:{port}");
        let stream = (scheme != "udp").then(|| TcpListener::bind(&addr).expect("our own address"));
        let datagrams = (scheme == "udp").then(|| UdpSocket::bind(&addr).expect("our own address"));
        let err = fails(&folder, &text);
        assert!(err.contains(&format!("{scheme}://{addr} is taken by ")), "{err}");
        assert!(err.contains(&us) && err.ends_with(&format!("{key}\n")), "{err}");
        assert_eq!(folder.names(), ["t.yaml"], "{err}");
        drop((stream, datagrams));
    }
}

/// The disk comes last, and is to blame for itself.
#[test]
fn a_start_that_fails_by_the_disk_names_the_key_and_leaves_no_secret() {
    let folder = Folder::new("disk");
    let text = doors("127.82.93.1");
    for (text, why, key) in [
        (
            format!("{text}store: {{ path: t.yaml/t.db }}\n"),
            "the folder t.yaml, where the store goes, cannot be made: there is something else of that name",
            "(key `store.path`)\n",
        ),
        (
            text.replace("secrets/passwords", "secrets/passwords/"),
            "the password that was made for user alice cannot be kept in secrets/passwords/: it is a folder",
            "(key `users[].password.generate`)\n",
        ),
        (
            format!("{text}control: {{ socket: nowhere/s }}\n"),
            "control.socket: nowhere/s cannot be opened: its folder does not exist",
            "\n",
        ),
    ] {
        let err = fails(&folder, &text);
        assert!(err.contains(why) && err.ends_with(key), "{err}");
    }
}

/// The second of two nodes that are started in one folder takes nothing from the first, and half of a pair is not written over.
#[test]
fn a_start_that_fails_touches_nothing_of_another_node() {
    let folder = Folder::new("two");
    fs::create_dir(folder.0.join("data")).expect("our own folder");
    fs::create_dir(folder.0.join("secrets")).expect("our own folder");
    let held = fs::File::create(folder.0.join("data/tandem.db")).expect("our own file");
    held.lock().expect("nobody else has it");
    folder.write("secrets/passwords", "mary byhand\n");
    let text = doors("127.82.94.1");
    folder.write("t.yaml", &text);
    let (code, _, err) = folder.tandem(&["run", "t.yaml"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("another node has it open"), "{err}");
    let kept = |name: &str| fs::read_to_string(folder.0.join(name)).expect("it is there");
    assert_eq!(kept("secrets/passwords"), "mary byhand\n");
    assert!(!folder.0.join("data/tls-key.pem").exists());
    drop(held);
    folder.write("data/tls-key.pem", "somebody's");
    for command in BOTH {
        let (code, _, err) = folder.tandem(&[command, "t.yaml"]);
        assert_eq!(code, Some(1), "{command}: {err}");
        assert!(
            err.contains("data/tls-key.pem is there without data/tls-certificate.pem: put that back"),
            "{command}: {err}"
        );
    }
    assert_eq!(kept("data/tls-key.pem"), "somebody's");
}
