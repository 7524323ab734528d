//! The house rules that can be read off the sources: who may use whom, one door per outside crate, sizes, doc paths.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file over this is two things.
const FILE_LINES: usize = 700;
/// A function over this is two things.
const FUNCTION_LINES: usize = 70;

/// Module -> the modules of this crate that it may name. The base (`id time limits marker pii keyed`) is open to all; a module may
/// always use itself. Tests at the bottom of a file are free.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "node",
        &[
            "api",
            "b2bua",
            "control",
            "event",
            "guard",
            "ng",
            "proxy",
            "push",
            "registrar",
            "room",
            "routing",
            "siprec",
            "trunk",
            "transaction",
            "sip",
            "config",
            "cx",
            "effect",
            "media::command",
        ],
    ),
    (
        "b2bua",
        &[
            "dialog",
            "push",
            "transaction",
            "room",
            "routing",
            "siprec::order",
            "trunk",
            "sdp",
            "sip",
            "stock",
            "config",
            "cx",
            "effect",
            "media::command",
        ],
    ),
    (
        "siprec",
        &[
            "dialog",
            "transaction",
            "sdp",
            "sip",
            "stock",
            "config",
            "cx",
            "effect",
            "media::command",
        ],
    ),
    ("ng", &["sdp", "stock", "config", "cx", "effect", "media::command"]),
    ("stock", &["config", "cx", "effect", "media::command"]),
    ("proxy", &["push", "transaction", "sip", "config", "cx", "effect"]),
    ("registrar", &["push", "transaction", "sip", "config", "cx", "effect"]),
    ("push", &["sip::uri", "config", "cx", "effect"]),
    (
        "api",
        &[
            "dialog",
            "guard::cells",
            "room::address",
            "room::view",
            "routing",
            "stun::integrity",
            "transaction",
            "sip",
            "config",
            "cx",
            "effect",
        ],
    ),
    ("recording", &["media::command", "media::tap"]),
    ("rtc", &["stun", "media::command"]),
    ("room", &["sip", "config", "media::command"]),
    ("guard", &["config", "cx", "effect"]),
    (
        "event",
        &[
            "dialog",
            "transaction",
            "registrar::gruu",
            "room",
            "sip",
            "config",
            "cx",
            "effect",
        ],
    ),
    ("control", &["room::view"]),
    ("trunk", &["transaction", "sip", "config", "cx", "effect"]),
    ("routing", &["sip", "config"]),
    (
        "phone",
        &[
            "dialog",
            "transaction",
            "sdp",
            "sip",
            "config",
            "cx",
            "effect",
            "media::command",
        ],
    ),
    ("dialog", &["transaction", "sip", "cx", "effect", "config"]),
    ("transaction", &["sip", "cx", "effect", "config"]),
    ("media", &["stun"]),
    ("sdp", &["media::command"]),
    ("sip", &["config"]),
    ("stun", &[]),
    ("relay", &["stun", "config"]),
    ("config", &["sip::uri", "sip", "media::command"]),
    ("effect", &["api::wire", "config", "sip::uri", "media::command"]),
    ("cx", &["config", "effect", "sip::uri"]),
    ("id", &[]),
    ("time", &[]),
    ("limits", &[]),
    ("marker", &[]),
    ("pii", &[]),
    ("keyed", &[]),
];

const BASE: &[&str] = &["id", "time", "limits", "marker", "pii", "keyed", "USER_AGENT"];

/// Outside crate -> the only places that may name it.
const DOORS: &[(&str, &[&str])] = &[
    ("serde_yaml", &["src/config/raw.rs", "src/media/srtp/tests_cipher.rs"]),
    ("serde", &["src/api/body.rs", "src/config/raw.rs"]),
    ("serde_json", &["src/api/"]),
    ("rsip", &["src/sip/"]),
    ("nom", &["src/sip/", "src/sdp/"]),
    ("memchr", &["src/sip/", "src/sdp/", "src/guard/look.rs"]),
    ("rtp", &["src/media/witness.rs"]),
    ("rtcp", &["src/media/witness.rs", "src/media/rtcp/tests"]),
    ("webrtc_util", &["src/media/witness.rs", "src/media/rtcp/tests"]),
    ("md5", &["src/sip/auth.rs", "src/sip/auth/", "src/stun/integrity.rs"]),
    (
        "sha2",
        &["src/sip/auth.rs", "src/sip/auth/", "src/media/srtp/tests_cipher.rs"],
    ),
    ("subtle", &["src/sip/auth.rs", "src/sip/auth/"]),
    ("zeroize", &["src/pii.rs"]),
    // In the second it is the module of rustls that has this name.
    (
        "aws_lc_rs",
        &[
            "src/api/seal.rs",
            "src/media/srtp/cipher.rs",
            "src/stun/integrity.rs",
            "src/rtc/dtls.rs",
            "src/shell/net/tls.rs",
            "src/shell/net/tests_",
        ],
    ),
    ("dimpl", &["src/rtc/dtls.rs"]),
    (
        "base64",
        &[
            "src/api/seal.rs",
            "src/sdp/crypto.rs",
            "src/siprec/metadata.rs",
            "src/stun/integrity.rs",
        ],
    ),
    ("hyper", &["src/shell/api/"]),
    ("hyper_util", &["src/shell/api/"]),
    ("tokio", &["src/shell/"]),
    ("rusqlite", &["src/shell/store/"]),
    ("nix", &["src/shell/net/"]),
    ("socket2", &["src/shell/net/", "src/shell/media/", "src/shell/relay/"]),
    (
        "rustls",
        &[
            "src/shell/net/session.rs",
            "src/shell/net/tls.rs",
            "src/shell/net/verify.rs",
            "src/shell/net/tests_",
        ],
    ),
    ("rcgen", &["src/shell/net/tls.rs", "src/shell/net/tests_"]),
    ("webpki_roots", &["src/shell/net/tls.rs"]),
    (
        "tokio_rustls",
        &["src/shell/net/tls.rs", "src/shell/net/tcp.rs", "src/shell/net/tests_"],
    ),
    (
        "tokio_tungstenite",
        &["src/shell/net/ws.rs", "src/shell/net/tests_", "src/shell/api/socket.rs"],
    ),
    (
        "futures_util",
        &["src/shell/net/ws.rs", "src/shell/net/tests_", "src/shell/api/socket.rs"],
    ),
    ("hickory_resolver", &["src/shell/net/dns.rs"]),
    ("rustix", &["src/shell/"]),
    ("rtrb", &["src/shell/", "src/media/phone.rs"]),
    ("hound", &["src/shell/"]),
    ("clap", &["src/main.rs"]),
    ("tikv_jemallocator", &["src/main.rs"]),
    ("tracing", &["src/shell/"]),
    ("tracing_subscriber", &["src/shell/"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of ours")
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file of the workspace with its path from the root.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "codecs", "sip-tests", "benches"] {
        sources(&root().join(folder), &mut found);
    }
    let name = |path: &Path| {
        path.strip_prefix(root())
            .expect("below the root")
            .to_string_lossy()
            .into_owned()
    };
    found
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).expect("UTF-8")))
        .collect()
}

/// The code of a file without comments and without the tests at its bottom.
fn code(text: &str) -> Vec<&str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect()
}

/// The first segment, or first two, of every path behind `crate::` in a line, `crate::{a, b::c}` included.
fn used(line: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let inner = rest
            .strip_prefix('{')
            .map_or(vec![rest], |list| list.split(',').collect());
        for path in inner {
            let path: String = path
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                .collect();
            paths.push(path);
        }
    }
    paths
}

fn allowed(path: &str, module: &str, may: &[&str]) -> bool {
    let first = path.split("::").next().unwrap_or_default();
    let within = |list: &[&str]| list.iter().any(|m| path == *m || path.starts_with(&format!("{m}::")));
    first == module || BASE.contains(&first) || within(may)
}

#[test]
fn modules_use_only_whom_they_may() {
    let table: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, text) in files() {
        let Some(module) = name
            .strip_prefix("src/")
            .map(|rest| rest.split(['/', '.']).next().unwrap_or_default())
        else {
            continue;
        };
        if ["shell", "main", "lib", "tidy"].contains(&module) {
            continue;
        }
        let may = table
            .get(module)
            .unwrap_or_else(|| panic!("{name}: module {module} is not in the table of tidy.rs"));
        for line in code(&text) {
            for path in used(line) {
                if !allowed(&path, module, may) {
                    wrong.push(format!("{name}: {module} may not use {path}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nobody_but_main_uses_the_shell() {
    for (name, text) in files()
        .iter()
        .filter(|(name, _)| name.starts_with("src/") && !name.starts_with("src/shell/"))
    {
        if name == "src/main.rs" || name == "src/lib.rs" || name == "src/tidy.rs" {
            continue;
        }
        assert!(
            !code(text).iter().any(|line| line.contains("shell::")),
            "{name} uses the shell"
        );
    }
}

#[test]
fn outside_crates_have_one_door() {
    let mut wrong = Vec::new();
    for (name, text) in files()
        .iter()
        .filter(|(name, _)| name.starts_with("src/") && name != "src/tidy.rs")
    {
        for (krate, doors) in DOORS {
            // These two are also modules of ours, so only the forms that can mean nothing else count.
            let is_ours_too = ["rtp", "rtcp"].contains(krate);
            let names_it = |line: &&str| {
                if is_ours_too {
                    let line = line.trim_start();
                    return line.starts_with(&format!("use {krate}::")) || line.contains(&format!(" ::{krate}::"));
                }
                [
                    format!("use {krate}::"),
                    format!(" {krate}::"),
                    format!("({krate}::"),
                    format!("<{krate}::"),
                ]
                .iter()
                .any(|form| line.contains(form.as_str()))
            };
            if code(text).iter().any(names_it) && !doors.iter().any(|door| name.starts_with(door)) {
                wrong.push(format!("{name} names {krate}, whose door is {}", doors.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_are_one_thing() {
    let mut wrong = Vec::new();
    for (name, text) in files() {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES {
            wrong.push(format!("{name}: {} lines", lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_function = line.split_whitespace().take(5).any(|word| word == "fn");
            if !is_function || line.trim_start().starts_with("//") || line.trim_end().ends_with(';') {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indent));
            let length = lines[at..]
                .iter()
                .position(|line| *line == end)
                .map_or(0, |end| end + 1);
            if length > FUNCTION_LINES {
                wrong.push(format!("{name}:{}: a function of {length} lines", at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_to_do_and_no_test_is_switched_off() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
    ];
    let mut wrong = Vec::new();
    for (name, text) in files() {
        for mark in marks {
            if text.contains(mark) {
                wrong.push(format!("{name} contains {mark}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_packet_path_does_not_log() {
    let packets = ["src/media/", "src/relay/"];
    for (name, text) in files()
        .iter()
        .filter(|(name, _)| packets.iter().any(|place| name.starts_with(place)))
    {
        for word in ["tracing::", "println!", "Mutex", "RwLock", "std::net::UdpSocket"] {
            assert!(
                !code(text).iter().any(|line| line.contains(word)),
                "{name} contains {word}"
            );
        }
    }
}

#[test]
fn every_path_that_the_map_names_exists() {
    let map = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let mut named = 0;
    for line in map.lines().filter(|line| line.starts_with("//!")) {
        for word in line.split('`').skip(1).step_by(2) {
            if word.contains('/') && !word.contains(' ') && !word.contains("://") {
                named += 1;
                assert!(
                    root().join(word).exists(),
                    "src/lib.rs names {word}, which does not exist"
                );
            }
        }
    }
    assert!(named > 10, "the map in src/lib.rs names its places in backquotes");
}
