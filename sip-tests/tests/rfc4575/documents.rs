//! The documents themselves, of rooms that chance makes.

use super::schema::complaints;
use super::watcher::Watcher;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;
use tandem::event::conference::{Known, Picture, ended};
use tandem::room::view::{Joined, MemberId, MemberView, Role, RoomView, Status};
use tandem::time::Wall;

const FOCUS: &str = "sip:3000@example.com";

fn focus() -> Arc<str> {
    FOCUS.into()
}

fn room(members: Vec<MemberView>) -> RoomView {
    RoomView {
        number: "3000".into(),
        name: "standup".into(),
        locked: false,
        recorded: false,
        since: Wall(1_795_352_759_000),
        most: 20,
        members,
    }
}

fn member(id: u32, uri: &str, display: &str) -> MemberView {
    MemberView {
        id: MemberId(id),
        uri: uri.into(),
        user: None,
        display: display.into(),
        status: Status::Connected,
        joined: Joined::DialedIn,
        role: Role::Speaker,
        muted: false,
        deaf: false,
        speaking: false,
        since: Wall(1_795_352_760_000),
    }
}

fn full(view: &RoomView, version: u32) -> String {
    let document = Picture::of(view, &focus()).document(&mut Known::default(), version, true);
    document.expect("a full document always has something to tell")
}

/// 5: what is told of a room in which everybody is another way.
#[test]
fn a_whole_document() {
    let mut members = vec![
        member(1, "sip:alice@example.com", "Alice & \"Al\" <x>"),
        member(2, "sip:bob@example.com", ""),
        member(3, "sip:alice@example.com", "Alice's other phone"),
        member(4, "sip:anonymous@anonymous.invalid", "Anonymous"),
        member(5, "sip:+14155550101@example.com", "+14155550101"),
    ];
    members[0].role = Role::Moderator;
    members[1].muted = true;
    members[2].status = Status::Alerting;
    members[2].joined = Joined::DialedOut;
    members[3].status = Status::OnHold;
    members[4].deaf = true;
    let text = full(
        &RoomView {
            locked: true,
            ..room(members)
        },
        7,
    );
    let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"sip:3000@example.com\" state=\"full\" version=\"7\">
<conference-description><display-text>standup</display-text><conf-uris><entry><uri>sip:3000@example.com</uri><purpose>participation</purpose></entry></conf-uris><maximum-user-count>20</maximum-user-count><available-media><entry label=\"audio\"><type>audio</type><status>sendrecv</status></entry></available-media></conference-description>
<conference-state><user-count>4</user-count><active>false</active><locked>true</locked></conference-state>
<users>
<user entity=\"sip:alice@example.com\" state=\"full\"><display-text>Alice &amp; &quot;Al&quot; &lt;x&gt;</display-text><roles><entry>moderator</entry></roles><endpoint entity=\"sip:3000@example.com;member=1\" state=\"full\"><status>connected</status><joining-method>dialed-in</joining-method><joining-info><when>2026-11-22T13:06:00Z</when></joining-info><media id=\"1\"><type>audio</type><label>audio</label><status>sendrecv</status></media></endpoint><endpoint entity=\"sip:3000@example.com;member=3\" state=\"full\"><status>alerting</status><joining-method>dialed-out</joining-method></endpoint></user>
<user entity=\"sip:bob@example.com\" state=\"full\"><roles><entry>speaker</entry></roles><endpoint entity=\"sip:3000@example.com;member=2\" state=\"full\"><status>muted-via-focus</status><joining-method>dialed-in</joining-method><joining-info><when>2026-11-22T13:06:00Z</when></joining-info><media id=\"1\"><type>audio</type><label>audio</label><status>recvonly</status></media></endpoint></user>
<user entity=\"sip:anonymous4@anonymous.invalid\" state=\"full\"><display-text>Anonymous</display-text><roles><entry>speaker</entry></roles><endpoint entity=\"sip:3000@example.com;member=4\" state=\"full\"><status>on-hold</status><joining-method>dialed-in</joining-method><joining-info><when>2026-11-22T13:06:00Z</when></joining-info><media id=\"1\"><type>audio</type><label>audio</label><status>inactive</status></media></endpoint></user>
<user entity=\"sip:+14155550101@example.com\" state=\"full\"><display-text>+14155550101</display-text><roles><entry>speaker</entry></roles><endpoint entity=\"sip:3000@example.com;member=5\" state=\"full\"><status>connected</status><joining-method>dialed-in</joining-method><joining-info><when>2026-11-22T13:06:00Z</when></joining-info><media id=\"1\"><type>audio</type><label>audio</label><status>sendonly</status></media></endpoint></user>
</users>
</conference-info>
";
    assert_eq!(text.replace("\r\n", "\n"), expected);
}

/// 4.4: only what has changed, and nothing where nothing has.
#[test]
fn only_what_has_changed() {
    let mut view = room(vec![
        member(1, "sip:alice@example.com", "Alice"),
        member(2, "sip:bob@example.com", "Bob"),
    ]);
    let mut known = Known::default();
    let mut told = |view: &RoomView, version| Picture::of(view, &focus()).document(&mut known, version, version == 0);
    assert!(told(&view, 0).is_some());
    view.members[0].speaking = true;
    view.recorded = true;
    assert_eq!(told(&view, 1), None, "who speaks is not in such a document");
    view.members[1].muted = true;
    let text = told(&view, 1).expect("bob is muted");
    assert!(
        text.contains("<users state=\"partial\">") && text.contains("sip:bob@") && text.contains("version=\"1\""),
        "{text}"
    );
    assert!(
        !text.contains("sip:alice@") && !text.contains("<conference-state>"),
        "{text}"
    );
    view.locked = true;
    let text = told(&view, 2).expect("it is locked");
    assert!(
        text.contains("<locked>true</locked>") && !text.contains("<users"),
        "{text}"
    );
    view.members.remove(0);
    let text = told(&view, 3).expect("alice is gone");
    assert!(
        text.contains("<user entity=\"sip:alice@example.com\" state=\"deleted\"/>"),
        "{text}"
    );
    assert!(
        text.contains("<user-count>1</user-count>") && !text.contains("sip:bob@"),
        "{text}"
    );
}

/// 5.5.1: those for whom a document has no room are counted; what is left fits into a message, whatever they call themselves.
#[test]
fn a_large_room_fits_into_a_message() {
    let hostile = "&'\"<>".repeat(40);
    for (uri, display) in [
        ("sip:member@example.com", "Member"),
        ("sip:&'&'&'&'&'&'@example.com", hostile.as_str()),
    ] {
        let name = |id: u32| uri.replace('@', &format!("{id}@"));
        let members = (1..=2_000).map(|id| member(id, &name(id), display)).collect();
        let text = full(
            &RoomView {
                most: 2_000,
                ..room(members)
            },
            0,
        );
        assert!(text.len() < 60_000, "{}", text.len());
        assert!(text.contains("<user-count>2000</user-count>"));
        let told = text.matches("<user ").count();
        assert!((20..200).contains(&told), "{told}");
        assert_eq!(complaints(&[text]), "");
    }
}

/// 4.6: a conference that is over for good.
#[test]
fn a_room_that_is_no_more() {
    let text = ended("sip:*3%23@example.com", 3);
    assert_eq!(complaints(std::slice::from_ref(&text)), "");
    let mut watcher = Watcher::default();
    watcher.take(&text).expect("a document");
    assert!(watcher.ended);
}

const URIS: [&str; 8] = [
    "sip:alice@example.com",
    "sip:bob@example.com",
    "sips:carol@192.0.2.7",
    "sip:anonymous@anonymous.invalid",
    "tel:+1-415-555-0101",
    "sip:a%20b&c='d'@example.com;x=\"<y>\"",
    "sip:[v6]@[2001:db8::1]",
    "\"><evil xmlns='x'",
];

fn some_member() -> impl Strategy<Value = MemberView> {
    let status = select(vec![
        Status::DialingOut,
        Status::Alerting,
        Status::Waiting,
        Status::Connected,
        Status::OnHold,
    ]);
    let joined = select(vec![Joined::DialedIn, Joined::DialedOut]);
    let role = select(vec![Role::Listener, Role::Speaker, Role::Moderator]);
    let display = prop_oneof![
        any::<String>(),
        Just(String::new()),
        Just("]]>&amp;\u{0}\u{fffe}é".repeat(20))
    ];
    let flags = any::<(bool, bool, bool)>();
    (1..12u32, select(&URIS[..]), display, (status, joined, role), flags).prop_map(
        |(id, uri, display, (status, joined, role), (muted, deaf, speaking))| MemberView {
            status,
            joined,
            role,
            muted,
            deaf,
            speaking,
            ..member(id, uri, &display)
        },
    )
}

fn some_room() -> impl Strategy<Value = RoomView> {
    let members = proptest::collection::vec(some_member(), 0..8).prop_map(|mut members| {
        members.sort_by_key(|member| member.id);
        members.dedup_by_key(|member| member.id);
        members
    });
    (
        members,
        any::<(bool, bool)>(),
        0..12usize,
        select(vec!["standup", "3000", "<&>\"'"]),
    )
        .prop_map(|(members, (locked, recorded), most, name)| RoomView {
            name: name.into(),
            locked,
            recorded,
            most,
            ..room(members)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// 4.6: whatever comes one after the other, who has taken all that was told knows what a full document says; and each is valid.
    #[test]
    fn partial_documents_come_to_the_same_as_a_full_one(
        rooms in proptest::collection::vec((some_room(), any::<bool>()), 1..12)
    ) {
        let (mut known, mut watcher, mut version) = (Known::default(), Watcher::default(), 0);
        let mut documents = Vec::new();
        for (nth, (view, refreshed)) in rooms.iter().enumerate() {
            let is_full = nth == 0 || *refreshed;
            let before = watcher.clone();
            let document = Picture::of(view, &focus()).document(&mut known, version, is_full);
            if let Some(document) = document {
                prop_assert_eq!(watcher.take(&document), Ok(()), "{}", document);
                documents.push(document);
                version += 1;
            }
            let mut whole = Watcher::default();
            prop_assert_eq!(whole.take(&full(view, watcher.version.unwrap_or_default())), Ok(()));
            prop_assert_eq!(&watcher, &whole);
            prop_assert!(is_full || watcher.version == before.version || watcher.users != before.users || watcher.parts != before.parts);
        }
        prop_assert_eq!(complaints(&documents), "");
    }
}
