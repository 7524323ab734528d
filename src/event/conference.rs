//! `application/conference-info+xml` (RFC 4575): what of a room a watcher knows, and what is to be told him.
//!
//! Users are told whole or not at all (`state="full"` or `"deleted"` within `<users state="partial">`), and so are the description and the
//! state of the room, which have no parts (4.4). What changes without end, who speaks, is not in such a document.

use crate::effect::digest_of;
use crate::limits;
use crate::room::address;
use crate::room::view::{Joined, MemberView, Role, RoomView, Status};
use crate::sip::xml::{AnyUri, DateTime, Escaped, cut};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// The media type.
pub const CONTENT: &str = "application/conference-info+xml";
/// The one stream that a room has, as `<available-media>` and `<label>` name it (RFC 4575 5.8.3).
const LABEL: &str = "audio";

/// What a watcher was told last, as digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    description: u64,
    state: u64,
    users: BTreeMap<Box<str>, u64>,
}

/// A room as it is drawn for those who know it by one URI.
#[derive(Debug)]
pub struct Picture {
    focus: Arc<str>,
    description: String,
    state: String,
    /// Entity and element of each user, in the order in which they came.
    users: Vec<(String, String)>,
}

impl Picture {
    /// Draws a room whose URI is `focus`.
    pub fn of(view: &RoomView, focus: &Arc<str>) -> Picture {
        let mut picture = Picture {
            focus: focus.clone(),
            description: description(view, focus),
            state: String::new(),
            users: Vec::new(),
        };
        let (mut count, mut octets) = (0, 0);
        for (entity, members) in users(view) {
            count += u32::from(members.iter().any(|member| is_in(member)));
            if octets <= limits::CONFERENCE_USERS_BYTES {
                let element = user(&entity, &members, focus);
                octets += element.len();
                picture.users.push((entity, element));
            }
        }
        if octets > limits::CONFERENCE_USERS_BYTES {
            picture.users.pop();
        }
        // 5.5.2: whether a call to it would come in.
        let active = !view.locked && view.members.len() < view.most;
        picture.state = format!(
            "<conference-state><user-count>{count}</user-count><active>{active}</active><locked>{}</locked></conference-state>\r\n",
            view.locked
        );
        picture
    }

    /// What is to be told to a watcher who knows this much, and who knows all of it from then on. `full`: all there is, whether it has
    /// changed or not. Nothing where there is nothing to tell.
    pub fn document(&self, known: &mut Known, version: u32, full: bool) -> Option<String> {
        let now = Known {
            description: digest_of(&self.description),
            state: digest_of(&self.state),
            users: self
                .users
                .iter()
                .map(|(entity, element)| (entity.as_str().into(), digest_of(element)))
                .collect(),
        };
        let old = std::mem::replace(known, now);
        if old == *known && !full {
            return None;
        }
        let mut text = opening(&self.focus, if full { "full" } else { "partial" }, version);
        if full || old.description != known.description {
            text.push_str(&self.description);
        }
        if full || old.state != known.state {
            text.push_str(&self.state);
        }
        if full || old.users != known.users {
            self.users(&mut text, &old, known, full);
        }
        text.push_str("</conference-info>\r\n");
        Some(text)
    }

    fn users(&self, text: &mut String, old: &Known, known: &Known, full: bool) {
        text.push_str(if full {
            "<users>\r\n"
        } else {
            "<users state=\"partial\">\r\n"
        });
        for (entity, element) in &self.users {
            if full || old.users.get(entity.as_str()) != known.users.get(entity.as_str()) {
                text.push_str(element);
            }
        }
        for entity in old
            .users
            .keys()
            .filter(|entity| !full && !known.users.contains_key(*entity))
        {
            let _ = write!(text, "<user entity=\"{}\" state=\"deleted\"/>\r\n", AnyUri(entity));
        }
        text.push_str("</users>\r\n");
    }
}

/// The document of a room that is no more (RFC 4575 4.6).
pub fn ended(focus: &str, version: u32) -> String {
    opening(focus, "deleted", version) + "</conference-info>\r\n"
}

fn opening(focus: &str, state: &str, version: u32) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
         entity=\"{}\" state=\"{state}\" version=\"{version}\">\r\n",
        AnyUri(focus)
    )
}

fn description(view: &RoomView, focus: &str) -> String {
    format!(
        "<conference-description><display-text>{}</display-text><conf-uris><entry><uri>{}</uri><purpose>participation</purpose>\
         </entry></conf-uris><maximum-user-count>{}</maximum-user-count><available-media><entry label=\"{LABEL}\"><type>audio</type>\
         <status>sendrecv</status></entry></available-media></conference-description>\r\n",
        Shown(&view.name),
        AnyUri(focus),
        u32::try_from(view.most).unwrap_or(u32::MAX),
    )
}

/// All that are one user stand together (RFC 4575 5.6.6).
fn users(view: &RoomView) -> Vec<(String, Vec<&MemberView>)> {
    let mut users: Vec<(String, Vec<&MemberView>)> = Vec::new();
    // Ordered, as peers choose the keys.
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for member in &view.members {
        let entity = address::user(member);
        match places.get(&entity) {
            Some(place) => users[*place].1.push(member),
            None => {
                places.insert(entity.clone(), users.len());
                users.push((entity, vec![member]));
            }
        }
    }
    users
}

fn user(entity: &str, members: &[&MemberView], focus: &str) -> String {
    let mut text = String::with_capacity(600);
    let _ = write!(text, "<user entity=\"{}\" state=\"full\">", AnyUri(entity));
    let named = members.iter().find(|member| !member.display.is_empty());
    if let Some(named) = named {
        let _ = write!(text, "<display-text>{}</display-text>", Shown(&named.display));
    }
    let role = members.iter().map(|member| member.role).max().unwrap_or_default();
    let _ = write!(text, "<roles><entry>{}</entry></roles>", role.word());
    for member in members {
        endpoint(&mut text, member, focus);
    }
    text.push_str("</user>\r\n");
    text
}

fn endpoint(text: &mut String, member: &MemberView, focus: &str) {
    let joined = match member.joined {
        Joined::DialedIn => "dialed-in",
        Joined::DialedOut => "dialed-out",
    };
    let _ = write!(
        text,
        "<endpoint entity=\"{}\" state=\"full\"><status>{}</status><joining-method>{joined}</joining-method>",
        Escaped(&address::endpoint(focus, member.id)),
        status(member),
    );
    if is_in(member) {
        let _ = write!(
            text,
            "<joining-info><when>{}</when></joining-info><media id=\"1\"><type>audio</type><label>{LABEL}</label>\
             <status>{}</status></media>",
            DateTime(member.since),
            media_status(member)
        );
    }
    text.push_str("</endpoint>");
}

/// It takes part (RFC 4575 5.5.1).
const fn is_in(member: &MemberView) -> bool {
    match member.status {
        Status::Connected | Status::OnHold => true,
        Status::DialingOut | Status::Alerting | Status::Waiting => false,
    }
}

/// Nobody hears it.
fn is_mute(member: &MemberView) -> bool {
    member.muted || member.role == Role::Listener
}

/// RFC 4575 5.7.3.
fn status(member: &MemberView) -> &'static str {
    match member.status {
        Status::DialingOut => "dialing-out",
        Status::Alerting => "alerting",
        Status::Waiting => "pending",
        Status::OnHold => "on-hold",
        Status::Connected if is_mute(member) => "muted-via-focus",
        Status::Connected => "connected",
    }
}

/// As the member sees it (RFC 4575 5.8.5).
fn media_status(member: &MemberView) -> &'static str {
    let is_held = member.status == Status::OnHold;
    match (!is_held && !is_mute(member), !is_held && !member.deaf) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

/// A name that somebody has chosen: escaped, and cut where it is too long.
struct Shown<'t>(&'t str);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Escaped(cut(self.0, limits::DISPLAY_CHARS)))
    }
}
