//! What `query` and `delete` are answered: the counters of a call, in the form of rtpengine's protocol.

use super::bencode::{Dict, Value};
use super::call::Call;
use super::side::Side;
use crate::media::command::LegStats;
use crate::time::Wall;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The whole answer.
pub(super) fn of(call: &Call) -> Value<'static> {
    let mut tags = Dict::new();
    for side in &call.sides {
        let tag = side.tag.as_deref().unwrap_or_default();
        tags.insert(Cow::Owned(tag.as_bytes().to_vec()), of_side(call, side));
    }
    let sum = |counted: fn(&LegStats) -> u64| -> u64 { call.sides.iter().map(|side| counted(&side.stats)).sum() };
    let totals = packets(sum(|stats| stats.received), sum(|stats| stats.dropped));
    Value::dict([
        ("result", Value::text("ok")),
        ("created", seconds(call.created)),
        ("last signal", seconds(call.signalled)),
        ("tags", Value::Dict(tags)),
        ("totals", Value::dict([("RTP", totals)])),
    ])
}

fn seconds(at: Wall) -> Value<'static> {
    Value::count(at.as_secs())
}

fn packets(received: u64, dropped: u64) -> Value<'static> {
    Value::dict([("packets", Value::count(received)), ("errors", Value::count(dropped))])
}

fn of_side(call: &Call, side: &Side) -> Value<'static> {
    let text = |text: &str| Value::text(text.to_owned());
    let mut about = Dict::new();
    let mut put = |key: &'static str, value| about.insert(Cow::Borrowed(key.as_bytes()), value);
    put("tag", text(side.tag.as_deref().unwrap_or_default()));
    put("created", seconds(side.since));
    put("medias", Value::List(vec![media(side)]));
    if let Some(label) = &side.label {
        put("label", text(label));
    }
    if let Some(branch) = &side.branch {
        put("via-branch", text(branch));
    }
    if let Some(partner) = call.sides.iter().find(|other| Some(other.id) == side.partner) {
        put("in dialogue with", text(partner.tag.as_deref().unwrap_or_default()));
    }
    Value::Dict(about)
}

fn media(side: &Side) -> Value<'static> {
    let stats = &side.stats;
    let agreed = side.oa.agreed();
    let keys = agreed.and_then(|agreed| agreed.keys.as_deref());
    let mut stream = Dict::new();
    let mut put = |key: &'static str, value| stream.insert(Cow::Borrowed(key.as_bytes()), value);
    put("local port", Value::Number(side.port.rtp.into()));
    put("stats", packets(stats.received, stats.dropped));
    put("packets sent", Value::count(stats.sent));
    put("packets lost", Value::count(stats.lost));
    put("jitter", Value::count(u64::from(stats.jitter_us) / 1_000));
    put("flags", Value::List(vec![Value::text("RTP")]));
    if let Some(mos) = stats.mos {
        // In tenths, as rtpengine has it.
        put("MOS", Value::Number((mos * 10.0).round() as i64));
    }
    if let Some(agreed) = agreed {
        put("advertised endpoint", endpoint(agreed.remote.rtp));
        put("codec", Value::text(agreed.stream.codec.name()));
    }
    if let Some(keys) = keys {
        put("crypto suite", Value::text(keys.seal().suite().name()));
    }
    let protocol = if keys.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
    let mut flags = Vec::new();
    if agreed.is_some() {
        flags.push(Value::text("initialized"));
    }
    if agreed.is_some_and(|agreed| agreed.remote.rtcp_mux) {
        flags.push(Value::text("rtcp-mux"));
    }
    if keys.is_some() {
        flags.push(Value::text("SDES"));
    }
    Value::dict([
        ("index", Value::Number(1)),
        ("type", Value::text("audio")),
        ("protocol", Value::text(protocol)),
        ("flags", Value::List(flags)),
        ("streams", Value::List(vec![Value::Dict(stream)])),
    ])
}

fn endpoint(addr: SocketAddr) -> Value<'static> {
    let family = if addr.is_ipv6() { "IPv6" } else { "IPv4" };
    Value::dict([
        ("family", Value::text(family)),
        ("address", Value::text(addr.ip().to_string())),
        ("port", Value::Number(addr.port().into())),
    ])
}
