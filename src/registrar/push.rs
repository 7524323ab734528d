//! What a REGISTER says of push services (RFC 8599 5.6.1), and what it is told.

use super::update::Refusal;
use crate::config::Push;
use crate::limits;
use crate::push::serves;
use crate::sip::{Message, Name, NameAddr};
use std::time::Duration;

/// The field by which a proxy on the way says that it will wake the phone (RFC 6809).
const FEATURE_CAPS: &str = "Feature-Caps";

/// A contact that names a push service that nobody here knows, or that would end before its phone can be woken. A node that wakes
/// nobody lets it pass, since the phone is not promised anything then.
pub(super) fn judge(
    push: Option<&Push>,
    request: &Message,
    contact: &NameAddr,
    granted: Duration,
    longest: Duration,
) -> Result<(), Refusal> {
    let (Some(push), Some(asked)) = (push, contact.uri.params.get("pn-provider")) else {
        return Ok(());
    };
    let is_taken_care_of = || {
        request
            .all_named(FEATURE_CAPS)
            .iter()
            .any(|caps| caps.contains("+sip.pns"))
    };
    if granted.is_zero() || is_taken_care_of() {
        return Ok(());
    }
    if asked.is_some_and(|provider| !serves(push, provider)) {
        return Err(Refusal::new(555, "Push Notification Service Not Supported"));
    }
    let is_woken = contact.uri.params.get("pn-prid").is_some();
    if is_woken && granted < limits::PUSH_SHORTEST && limits::PUSH_SHORTEST <= longest {
        return Err(Refusal::too_brief(limits::PUSH_SHORTEST));
    }
    Ok(())
}

/// The push services that we promise the phones of a REGISTER: that which each names, or all where it names none (RFC 8599 5.6.1).
/// One that can wake itself before its registration ends is asked to (RFC 8599 5.6.1.1), a little before we would.
pub(super) fn promised(push: Option<&Push>, request: &Message) -> Vec<String> {
    let Some(push) = push else { return Vec::new() };
    let taken = request.all_named(FEATURE_CAPS);
    let mut promised = Vec::new();
    for contact in request.addresses(Name::Contact).unwrap_or_default() {
        let Some(asked) = contact.uri.params.get("pn-provider") else {
            continue;
        };
        let by_itself = if contact.params.get("+sip.pnsreg").is_some() {
            format!(";+sip.pnsreg=\"{}\"", limits::PUSH_BEFORE.as_secs() + 1)
        } else {
            String::new()
        };
        let is_meant = |known: &&String| asked.is_none_or(|asked| known.eq_ignore_ascii_case(asked));
        let is_ours = |known: &&String| !taken.iter().any(|caps| caps.contains(&format!("\"{known}\"")));
        for known in push.providers.iter().filter(is_meant).filter(is_ours) {
            let caps = format!("*;+sip.pns=\"{known}\"{by_itself}");
            if !promised.contains(&caps) {
                promised.push(caps);
            }
        }
    }
    promised
}
