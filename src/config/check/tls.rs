//! `tls`, `dns`, and what a trunk says of TLS: files that must be there, names, servers.

use super::{Check, DAY};
use crate::config::checked::{Dns, KeyPair, Listen, Tls, Trunk, TrunkTls};
use crate::config::read::{Field, Map};
use crate::config::{Unfit, keys, values};
use crate::id::Transport;
use crate::sip::uri::{Scheme, Uri};
use std::path::PathBuf;
use std::time::Duration;

/// Reads `tls`.
pub(super) fn tls(root: &Map<'_>, check: &mut Check<'_>) -> Tls {
    let map = root.section("tls", &keys::TLS, &mut check.problems);
    let certificate = pair(&map, check);
    let client_ca = map.get("client_ca").and_then(|field| authorities(&field, check));
    let client_required = map.value("client_required", false, &mut check.problems, values::yes_or_no);
    let min_expiry_warning = map.value("min_expiry_warning", 14 * DAY, &mut check.problems, |text| {
        values::duration_in(text, Duration::ZERO..=365 * DAY)
    });
    Tls {
        certificate,
        client_ca,
        client_required,
        min_expiry_warning,
    }
}

/// Reads `trunks[].tls`.
pub(super) fn trunk(map: &Map<'_>, check: &mut Check<'_>) -> TrunkTls {
    let map = map.section("tls", &keys::TRUNK_TLS, &mut check.problems);
    let certificate = pair(&map, check);
    let ca = map.get("ca").and_then(|field| authorities(&field, check));
    let name = map
        .get("name")
        .and_then(|field| field.parse(&mut check.problems, values::domain));
    let accept = super::list_of(&map, "accept", &[], check, values::certificate_name);
    TrunkTls {
        ca,
        name,
        certificate,
        accept,
    }
}

/// Nobody could come where a certificate is required and no CA may have signed it; and a certificate belongs to one trunk.
pub(super) fn clients_can_come(root: &Map<'_>, tls: &Tls, trunks: &[Trunk], check: &mut Check<'_>) {
    let accepting = || trunks.iter().filter(|trunk| !trunk.tls.accept.is_empty());
    if tls.client_required && tls.client_ca.is_none() && accepting().next().is_none() {
        let text = "a certificate is required of those who come by tls, and nobody is said who may have signed it. Add client_ca, \
                    or tls.accept to a trunk.";
        check.problems.add(root.mark, "tls.client_required", text.to_owned());
    }
    for (at, trunk) in accepting().enumerate() {
        let shared = |other: &&Trunk| other.tls.accept.iter().any(|name| trunk.tls.accept.contains(name));
        if let Some(other) = accepting().take(at).find(shared) {
            let text = format!(
                "trunk {} and trunk {} accept the certificate of the same name. Calls would belong to either.",
                other.name, trunk.name
            );
            check.problems.add(root.mark, "trunks[].tls.accept", text);
        }
    }
}

/// A peer that is reached by TLS needs a listener of ours for it: its address stands in our Via and Contact.
pub(super) fn peers_can_be_reached(root: &Map<'_>, listen: &[Listen], trunks: &[Trunk], check: &mut Check<'_>) {
    if listen.iter().any(|listen| listen.transport == Transport::Tls) {
        return;
    }
    let by_tls = |peer: &&Uri| peer.scheme == Scheme::Sips || peer.transport() == Some(Transport::Tls);
    for trunk in trunks {
        if let Some(peer) = trunk.peers.iter().find(by_tls) {
            let text = format!(
                "trunk {} has the peer {peer}, which is reached by TLS, and there is no tls:// in the list. Add, for example, \
                 tls://0.0.0.0:5061",
                trunk.name
            );
            check.problems.add(root.mark, "listen", text);
        }
    }
}

/// Reads `dns`.
pub(super) fn dns(root: &Map<'_>, check: &mut Check<'_>) -> Dns {
    let map = root.section("dns", &keys::DNS, &mut check.problems);
    Dns {
        servers: super::list_of(&map, "servers", &[], check, values::dns_server),
    }
}

/// `certificate` and `key`, which are of no use without each other.
fn pair(map: &Map<'_>, check: &mut Check<'_>) -> Option<KeyPair> {
    let (certificate, key) = (map.get("certificate"), map.get("key"));
    let alone = match (&certificate, &key) {
        (Some(field), None) => Some((field, "key")),
        (None, Some(field)) => Some((field, "certificate")),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some((field, missing)) = alone {
        let text = format!("{missing} is missing beside it: a certificate and its private key belong together.");
        field.wrong(&mut check.problems, text);
    }
    let files = [&certificate, &key].map(|field| {
        let field = field.as_ref()?;
        Some((field, file(field, check)?))
    });
    let [
        Some((certificate, (certificate_path, is_one))),
        Some((key, (key_path, is_other))),
    ] = files
    else {
        return None;
    };
    let pair = KeyPair {
        certificate: certificate_path,
        key: key_path,
    };
    let judged = if is_one && is_other {
        (check.sources.pair)(&pair)
    } else {
        Ok(())
    };
    match judged {
        Ok(()) => {}
        Err(Unfit::Certificate(why)) => certificate.wrong(&mut check.problems, why),
        Err(Unfit::Key(why)) => key.wrong(&mut check.problems, why),
    }
    Some(pair)
}

/// A file with CAs.
pub(super) fn authorities(field: &Field<'_>, check: &mut Check<'_>) -> Option<PathBuf> {
    let (path, is_there) = file(field, check)?;
    if is_there && let Err(why) = (check.sources.authorities)(&path) {
        field.wrong(&mut check.problems, why);
    }
    Some(path)
}

/// A file; false where it cannot be read now, which is told.
fn file(field: &Field<'_>, check: &mut Check<'_>) -> Option<(PathBuf, bool)> {
    let path: PathBuf = field.parse(&mut check.problems, |text| Ok(text.into()))?;
    let read = (check.sources.read)(&path);
    if let Err(why) = &read {
        let text = format!("the file {} cannot be read: {why}.", path.display());
        field.wrong(&mut check.problems, text);
    }
    let is_there = read.is_ok();
    Some((path, is_there))
}
