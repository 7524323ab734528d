//! Which binding a contact is (RFC 3261 10.3 step 7, RFC 5626 6), and what it is put in place of.

use crate::effect::{Binding, Gruu};
use crate::sip::Uri;
use std::cell::OnceCell;
use std::time::Duration;

/// Where the binding is that this contact is: of a flow the one of its instance with its reg-id, whatever the URI; else that of an
/// equal URI, or of the same device, which has moved.
pub(super) fn find(bindings: &[Binding], new: &Binding) -> Option<usize> {
    let is_plain = |old: &Binding| old.reg_id().is_none();
    let equal = is_equal_to(new);
    let equal = |bindings: &[Binding]| bindings.iter().position(|old| is_plain(old) && equal(old));
    if new.reg_id().is_some() {
        let is_flow = |old: &Binding| old.reg_id() == new.reg_id() && old.instance == new.instance;
        return bindings.iter().position(is_flow).or_else(|| equal(bindings));
    }
    let is_device = |old: &Binding| is_plain(old) && old.instance.is_some() && old.instance == new.instance;
    equal(bindings).or_else(|| bindings.iter().position(is_device))
}

/// Takes a contact's binding away: of one that names no flow all of its URI, since a phone that leaves names the URI only.
pub(super) fn remove(bindings: &mut Vec<Binding>, gone: &Binding) {
    let before = bindings.len();
    if gone.reg_id().is_none() {
        let equal = is_equal_to(gone);
        bindings.retain(|old| !equal(old));
    }
    if bindings.len() == before
        && let Some(at) = find(bindings, gone)
    {
        bindings.remove(at);
    }
}

/// Puts a binding where it belongs. Those of one device are in the order in which they were refreshed (RFC 5627 6.1).
pub(super) fn put(bindings: &mut Vec<Binding>, mut new: Binding) {
    let at = find(bindings, &new);
    if new.instance.is_some() {
        renew_gruus(bindings, at, &mut new);
    }
    match at {
        Some(at) if new.instance.is_none() => bindings[at] = new,
        Some(at) => {
            bindings.remove(at);
            bindings.push(new);
        }
        None => bindings.push(new),
    }
}

/// All temporary GRUUs of an instance become bad when it registers again with another Call-ID (RFC 5627 5.1).
fn renew_gruus(bindings: &mut [Binding], at: Option<usize>, new: &mut Binding) {
    let wished = new.gruu();
    let before = bindings
        .iter()
        .filter(|b| b.instance == new.instance)
        .find_map(Binding::gruu);
    let is_renewed = at.is_some_and(|at| bindings[at].call_id != new.call_id);
    let gruu = match (wished, before) {
        (Some(wished), Some(before)) if is_renewed => Some(Gruu {
            age: wished.age.max(before.age + Duration::from_millis(1)),
            first_cseq: wished.first_cseq,
        }),
        (None, Some(_)) if is_renewed => None,
        (wished, before) => before.or(wished),
    };
    set_gruu(new, gruu);
    let siblings = bindings.iter_mut().filter(|b| b.instance == new.instance);
    siblings.for_each(|sibling| set_gruu(sibling, gruu));
}

fn set_gruu(binding: &mut Binding, gruu: Option<Gruu>) {
    match (&mut binding.more, gruu) {
        (Some(more), gruu) => more.gruu = gruu,
        (None, Some(_)) => binding.more.get_or_insert_default().gruu = gruu,
        (None, None) => {}
    }
}

/// Equal by the rules of URIs (RFC 3261 19.1.4).
fn is_equal_to(new: &Binding) -> impl Fn(&Binding) -> bool {
    let uri = OnceCell::new();
    move |old: &Binding| {
        let own = || uri.get_or_init(|| Uri::parse(&new.contact).ok()).as_ref();
        let old_uri = || Uri::parse(&old.contact).ok();
        old.contact == new.contact || own().zip(old_uri()).is_some_and(|(new, old)| old.same_as(new))
    }
}
