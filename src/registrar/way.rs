//! By which way a REGISTER came, and what of it the binding keeps: Path (RFC 3327 5.3), and whether it is a flow (RFC 5626 6).

use super::update::Refusal;
use crate::limits;
use crate::sip::{Message, Name, NameAddr};
use std::net::IpAddr;

/// The proxies that want to be on the way to the phone, as they came. A phone that does not support that has a proxy that should
/// not have added itself: it is told (RFC 3327 5.3).
pub(super) fn path(request: &Message) -> Result<Option<Box<str>>, Refusal> {
    let values = request.all(Name::Path);
    if values.is_empty() {
        return Ok(None);
    }
    if !request.has_token(Name::Supported, "path") {
        let mut refusal = Refusal::new(420, "Path From A Phone That Does Not Support It");
        refusal.field = Some((Name::Unsupported, "path".to_owned()));
        return Err(refusal);
    }
    if values.iter().any(|value| NameAddr::parse(value).is_err()) {
        return Err(Refusal::new(400, "Unreadable Path"));
    }
    let path = values.join(", ");
    if path.len() > limits::PATH_BYTES {
        return Err(Refusal::new(400, "Path Too Long"));
    }
    Ok(Some(path.into()))
}

/// `reg-id` of a contact, where it is to be one of the flows of its instance (RFC 5626 6). One without an instance, or that came by
/// a first hop which knows nothing of flows, is ignored; the latter is told to a phone that counts on it.
pub(super) fn reg_id(request: &Message, contact: &NameAddr, has_instance: bool) -> Result<Option<u32>, Refusal> {
    let asked = contact.params.value("reg-id").filter(|_| has_instance);
    let Some(reg_id) = asked.and_then(|text| text.parse::<u32>().ok()) else {
        return Ok(None);
    };
    // RFC 5626 10: 1 to 2^31 - 1.
    if reg_id == 0 || reg_id >= 1 << 31 {
        return Ok(None);
    }
    match (first_hop_knows_flows(request), supports_outbound(request)) {
        (true, _) => Ok(Some(reg_id)),
        (false, true) => Err(Refusal::new(439, "First Hop Lacks Outbound Support")),
        (false, false) => Ok(None),
    }
}

/// The phone counts on flows.
pub(super) fn supports_outbound(request: &Message) -> bool {
    request.has_token(Name::Supported, "outbound")
}

/// We are the first hop ourselves, or the one that is says by `ob` that it knows the flow: nobody but the first may write that
/// (RFC 5626 5.1).
fn first_hop_knows_flows(request: &Message) -> bool {
    let path = || request.addresses(Name::Path).unwrap_or_default();
    request.all(Name::Via).len() == 1 || path().iter().any(|hop| hop.uri.params.get("ob").is_some())
}

/// True for an address that nobody can be reached at.
pub(super) fn is_nowhere(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255, 255, 255, 255])
}
