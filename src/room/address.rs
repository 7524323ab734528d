//! How a room and who is in it are named in URIs (RFC 4575 5.2, 5.6, 5.7; RFC 4579 5.11).

use super::view::{MemberId, MemberView, RoomView};
use crate::limits;
use crate::sip::uri::{Scheme, escaped, unescape};
use crate::sip::{Host, Uri};

/// The parameter that makes of a room's URI that of a member's endpoint.
const MEMBER: &str = "member";

/// The parameter that makes of a user's URI those of its ways in that are shown by this name.
pub const SHOWN: &str = "shown";

/// The URI of a room's focus: `sip:3000@example.org`.
pub fn focus(number: &str, domain: &str) -> String {
    format!("sip:{}@{domain}", escaped(number))
}

/// The user that a member is, as others are told: its URI where that is one, short enough and not anonymous; else `anonymous` with the
/// member's number, so that no two are the same (RFC 4575 5.6).
pub fn user(member: &MemberView) -> String {
    let named = Some(&*member.uri).filter(|text| text.len() <= limits::MEMBER_URI_BYTES);
    let uri = named.and_then(|text| bare(&Uri::parse(text).ok()?));
    let shown = uri.filter(|uri| uri.user.is_some() && !is_hidden(uri));
    shown.map_or_else(
        || format!("sip:anonymous{}@anonymous.invalid", member.id),
        |uri| uri.to_string(),
    )
}

/// One way of a member into its room, unique among those of its user (RFC 4575 5.7): a URI that means this one alone.
pub fn endpoint(focus: &str, member: MemberId) -> String {
    format!("{focus};{MEMBER}={member}")
}

/// The members that a URI in Refer-To means: one by the URI of its endpoint, else all that are this user, or are shown by this name of those;
/// by a `tel` URI all that have this number.
pub fn meant(view: &RoomView, uri: &Uri) -> Vec<MemberId> {
    let of = |is_meant: &dyn Fn(&MemberView) -> bool| {
        let all = view.members.iter().filter(|member| is_meant(member));
        all.map(|member| member.id).collect()
    };
    if let Some(id) = uri.params.value(MEMBER) {
        let is_here = uri.user_decoded().as_deref() == Some(&*view.number);
        return of(&|member| is_here && member.id.to_string() == id);
    }
    let Some(wanted) = bare(uri) else { return Vec::new() };
    let shown = uri.params.value(SHOWN).map(unescape);
    of(&|member| {
        let own = Uri::parse(&user(member)).ok();
        let is_user = own.is_some_and(|own| match wanted.scheme {
            Scheme::Tel => own.user_decoded() == wanted.user_decoded(),
            Scheme::Sip | Scheme::Sips | Scheme::Other(_) => own.same_as(&wanted),
        });
        is_user && shown.as_ref().is_none_or(|shown| *member.display == **shown)
    })
}

fn is_hidden(uri: &Uri) -> bool {
    matches!(&uri.host, Host::Name(name) if name.ends_with(".invalid"))
}

/// Without what says how to reach somebody, and not who it is; none where the scheme names nobody.
fn bare(uri: &Uri) -> Option<Uri> {
    let mut bare = uri.clone();
    match bare.scheme {
        Scheme::Sip | Scheme::Sips => {
            bare.password = None;
            bare.port = None;
            bare.params.0.clear();
            bare.headers = None;
            Some(bare)
        }
        Scheme::Tel => Some(bare),
        Scheme::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{member, room};
    use super::*;

    #[test]
    fn who_has_no_name_has_a_number() {
        let long = format!("sip:{}@b.example", "a".repeat(limits::MEMBER_URI_BYTES));
        for (uri, shown) in [
            ("sip:alice@example.org", "sip:alice@example.org"),
            (
                "sips:alice:secret@Example.org:5061;transport=tcp?subject=x",
                "sips:alice@example.org",
            ),
            ("sip:a%20b@example.org", "sip:a%20b@example.org"),
            ("tel:+14155550101", "tel:+14155550101"),
            ("sip:anonymous@anonymous.invalid", "sip:anonymous7@anonymous.invalid"),
            ("sip:example.org", "sip:anonymous7@anonymous.invalid"),
            ("mailto:a@b", "sip:anonymous7@anonymous.invalid"),
            ("\"><evil", "sip:anonymous7@anonymous.invalid"),
            ("", "sip:anonymous7@anonymous.invalid"),
            (&long, "sip:anonymous7@anonymous.invalid"),
        ] {
            assert_eq!(user(&member(7, uri)), shown, "{uri}");
        }
    }

    #[test]
    fn a_user_is_all_its_members_and_an_endpoint_one() {
        let (alice, hidden) = ("sip:alice@example.org", "sip:anonymous@anonymous.invalid");
        let view = room(vec![
            member(1, alice),
            member(2, hidden),
            member(3, alice),
            member(4, hidden),
        ]);
        let meant = |uri: &str| {
            let all = meant(&view, &Uri::parse(uri).unwrap());
            all.into_iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(meant("sip:alice@EXAMPLE.org;method=BYE"), [1, 3]);
        assert_eq!(meant("sip:anonymous4@anonymous.invalid;method=BYE"), [4]);
        assert_eq!(meant(&endpoint("sip:3000@example.org", MemberId(3))), [3]);
        for nobody in [
            "sip:bob@example.org",
            "sip:Alice@example.org",
            "sip:alice@example.com",
            "sip:3000@example.org;member=5",
            "sip:3000@example.org;member=x",
            "sip:3001@example.org;member=1",
            "mailto:alice@example.org",
        ] {
            assert_eq!(meant(nobody), [0; 0], "{nobody}");
        }
    }

    #[test]
    fn a_number_that_is_no_user_part_is_escaped() {
        assert_eq!(focus("*3#", "example.org"), "sip:*3%23@example.org");
    }
}
