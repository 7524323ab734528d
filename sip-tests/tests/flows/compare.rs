//! What came out against what the RFC shows, field by field.
//!
//! Ours are: the topmost Via, Max-Forwards, our values of Record-Route and Route, credentials for our realm, Max-Breadth (RFC 5393), and
//! whatever the node says itself (100, challenges, CANCEL, the ACK of a failure). These are compared by form. Everything else must be
//! what the RFC shows, and octet by octet what its sender sent.

use crate::raw::{Raw, Shown, name_of, via};
use crate::runner::{Passed, Stage, source};
use sip_tests::digest;

/// One difference.
#[derive(Debug)]
pub struct Fault {
    pub field: String,
    pub ours: String,
    pub theirs: String,
}

/// Compared by a rule of their own.
const OWN: [&str; 14] = [
    "Via",
    "Max-Forwards",
    "Max-Breadth",
    "Record-Route",
    "Route",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Content-Length",
    "Date",
    "Server",
    "WWW-Authenticate",
    "Proxy-Authenticate",
];

struct Faults(Vec<Fault>);

impl Faults {
    fn same(&mut self, field: &str, ours: impl ToString, theirs: impl ToString) {
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        if ours != theirs {
            self.0.push(Fault {
                field: field.to_owned(),
                ours,
                theirs,
            });
        }
    }
}

/// All differences.
pub fn compare(stage: &mut Stage<'_>, shown: &Shown, peer: usize, got: &Raw) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    let want = &shown.message;
    let is_hop = is_hop_by_hop(stage, peer, got);
    let from = source(stage, peer, got).filter(|_| !is_hop).cloned();
    start_line(stage, &mut faults, want, got, (from.is_some(), is_hop));
    vias(stage, &mut faults, want, got, (peer, from.as_ref(), is_hop));
    let hops = from.as_ref().map_or(70, |from| {
        let hops = from.get("Max-Forwards").and_then(|hops| hops.parse().ok());
        hops.map_or(70, |hops: u32| hops - 1)
    });
    if got.is_request() {
        faults.same("Max-Forwards", got.get("Max-Forwards").unwrap_or_default(), hops);
    }
    routes(stage, &mut faults, want, got);
    let is_own = !got.is_request() && from.is_none();
    people(stage, &mut faults, want, got, is_own);
    challenges(&mut faults, want, got);
    others(&mut faults, want, got);
    if let Some(length) = got.get("Content-Length") {
        faults.same("Content-Length", length, got.body.len());
    }
    if let Some(from) = from {
        identity(&mut faults, &from, got);
    }
    faults.0
}

/// 100, CANCEL and its 200, and the ACK of a failure go from hop to hop (RFC 3261 9.1, 16.7, 17.1.1.3).
fn is_hop_by_hop(stage: &Stage<'_>, peer: usize, got: &Raw) -> bool {
    let failed = |passed: &Passed| {
        let raw = &passed.raw;
        passed.peer == peer && raw.status() >= 300 && (raw.call_id(), raw.number()) == (got.call_id(), got.number())
    };
    got.status() == 100 || got.method() == "CANCEL" || (got.method() == "ACK" && stage.sent.iter().rev().any(failed))
}

fn start_line(stage: &Stage<'_>, faults: &mut Faults, want: &Raw, got: &Raw, (relayed, is_hop): (bool, bool)) {
    if !got.is_request() {
        if relayed {
            faults.same("Status-Line", &got.start, &want.start);
        }
        return;
    }
    // Where the proxy is not shown, a request to an address of record arrives at the contact (16.5, 16.6 step 2).
    let aor = stage.scene.phones.iter().find(|phone| phone.aor == want.uri());
    let uri = match aor.filter(|_| stage.through && (is_hop || want.tag("To").is_none())) {
        Some(phone) => phone.contact.split(['<', '>']).nth(1).unwrap_or_default(),
        None => want.uri(),
    };
    faults.same("Request-URI", got.uri(), uri);
}

fn vias(
    stage: &Stage<'_>,
    faults: &mut Faults,
    want: &Raw,
    got: &Raw,
    (peer, from, is_hop): (usize, Option<&Raw>, bool),
) {
    let all = |raw: &Raw| -> Vec<String> { raw.list("Via").iter().map(|value| via(value)).collect() };
    let (ours, theirs) = (all(got), all(want));
    if !got.is_request() {
        let theirs = match from.filter(|_| stage.through) {
            Some(from) => all(from).split_off(1),
            None => theirs,
        };
        return faults.same("Via", ours.join(" | "), theirs.join(" | "));
    }
    let transport = |vias: &[String]| vias.first().and_then(|via| via.split(' ').next().map(str::to_owned));
    faults.same(
        "Via transport",
        format!("{:?}", transport(&ours)),
        format!("{:?}", transport(&theirs)),
    );
    let is_good = got.branch().is_some_and(|branch| branch.starts_with("z9hG4bK"));
    faults.same("branch", is_good, true);
    if is_hop {
        let invite = stage.got.iter().find(|passed| {
            let raw = &passed.raw;
            passed.peer == peer
                && raw.is_request()
                && raw.method() == "INVITE"
                && (raw.call_id(), raw.number()) == (got.call_id(), got.number())
        });
        let top = invite.and_then(|passed| all(&passed.raw).into_iter().next());
        return faults.same("Via", ours.join(" | "), top.unwrap_or_default());
    }
    let below = match from.filter(|_| stage.through) {
        Some(from) => all(from),
        None => theirs.get(1..).unwrap_or_default().to_vec(),
    };
    faults.same("Via", ours[1..].join(" | "), below.join(" | "));
    // 18.2.1: where the sender's Via names a host, the address that it came from is added.
    let sender = from.and_then(|from| stage.sent.iter().rev().find(|passed| passed.raw == *from));
    if let Some(sender) = sender {
        let received = format!(";received={}", stage.scene.peers[sender.peer].ip);
        let is_there = got.list("Via").get(1).is_some_and(|via| via.contains(&received));
        faults.same("received", is_there, true);
    }
}

fn routes(stage: &mut Stage<'_>, faults: &mut Faults, want: &Raw, got: &Raw) {
    if !got.is_request() {
        return;
    }
    let hosts = stage.scene.hosts;
    let is_theirs = |route: &&String| hosts.iter().any(|host| route.contains(host));
    let is_ours = |route: &&String| route.contains("tw-");
    let (ours, theirs) = (got.list("Record-Route"), want.list("Record-Route"));
    let (own, rest): (Vec<String>, Vec<String>) = ours.iter().cloned().partition(|route| is_ours(&route));
    let (shown, others): (Vec<String>, Vec<String>) = theirs.iter().cloned().partition(|route| is_theirs(&route));
    faults.same("Record-Route", rest.join(" | "), others.join(" | "));
    if !stage.through {
        faults.same("our Record-Route", !own.is_empty(), !shown.is_empty());
    }
    if got.tag("To").is_none() && !own.is_empty() {
        let caller = got.tag("From").unwrap_or_default();
        stage.routes.insert(got.call_id(), (caller, own));
    }
    let shown = if stage.through { Vec::new() } else { want.list("Route") };
    faults.same("Route", got.list("Route").join(" | "), shown.join(" | "));
}

/// From, To, Call-ID and CSeq; the tags that we choose are learned.
fn people(stage: &mut Stage<'_>, faults: &mut Faults, want: &Raw, got: &Raw, is_own: bool) {
    let without = |raw: &Raw, name: &str| {
        let value = raw.list(name).join(", ");
        let tag = raw.tag(name).map_or_else(String::new, |tag| format!(";tag={tag}"));
        value.replace(&tag, "")
    };
    for name in ["From", "To"] {
        faults.same(name, without(got, name), without(want, name));
    }
    faults.same(
        "From tag",
        got.tag("From").unwrap_or_default(),
        want.tag("From").unwrap_or_default(),
    );
    match (want.tag("To"), got.tag("To")) {
        (Some(theirs), Some(ours)) => {
            if is_own {
                stage.tags.insert(theirs, ours);
            } else {
                let known = stage.tags.entry(theirs).or_insert_with(|| ours.clone()).clone();
                faults.same("To tag", ours, known);
            }
        }
        // A 100 may do without (RFC 3261 8.2.6.2); a response with none in the RFC lacks what it must have.
        (Some(_), None) if got.status() == 100 => {}
        (None, Some(_)) if got.status() > 100 => {}
        (theirs, ours) => faults.same("To tag", ours.unwrap_or_default(), theirs.unwrap_or_default()),
    }
    for name in ["Call-ID", "CSeq"] {
        faults.same(
            name,
            got.get(name).unwrap_or_default(),
            want.get(name).unwrap_or_default(),
        );
    }
}

/// A challenge by what is not chance.
fn challenges(faults: &mut Faults, want: &Raw, got: &Raw) {
    for name in ["WWW-Authenticate", "Proxy-Authenticate"] {
        let said = |raw: &Raw| -> Vec<String> {
            let all = raw.values(name);
            let field = |value: &String, of: &str| digest::field(value, of).unwrap_or_default().to_owned();
            all.iter()
                .map(|value| format!("{} {}", field(value, "realm"), field(value, "qop")))
                .collect()
        };
        faults.same(name, said(got).join(" | "), said(want).join(" | "));
    }
}

fn others(faults: &mut Faults, want: &Raw, got: &Raw) {
    let mut names: Vec<String> = Vec::new();
    for line in want.lines.iter().chain(&got.lines) {
        let name = name_of(line);
        let known = OWN.iter().any(|own| own.eq_ignore_ascii_case(name));
        if !known && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    for name in names {
        faults.same(&name, got.values(&name).join(" | "), want.values(&name).join(" | "));
    }
}

/// RFC 3261 16.6 step 1, 16.7 step 9: what is not ours leaves as it came.
fn identity(faults: &mut Faults, from: &Raw, got: &Raw) {
    let touched: &[&str] = if got.is_request() {
        &[
            "Via",
            "Max-Forwards",
            "Max-Breadth",
            "Record-Route",
            "Route",
            "Proxy-Authorization",
        ]
    } else {
        &["Via"]
    };
    let kept = |raw: &Raw| {
        let untouched = |line: &&String| !touched.contains(&name_of(line));
        raw.lines
            .iter()
            .filter(untouched)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    };
    faults.same("octets of the header", kept(got), kept(from));
    faults.same("octets of the body", &got.body, &from.body);
}
