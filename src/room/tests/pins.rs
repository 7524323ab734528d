//! The PIN: what is one, how often, and who waits for whom.

use super::*;

#[test]
fn the_pin_opens_the_door_in_three_tries() {
    for (pressed, expected) in [
        ("4711", "In"),
        ("4711#", "In"),
        ("47#00#4711", "In"),
        ("123456", "wrong"),
        // One attempt, however long.
        ("123456789012345#", "wrong"),
        ("123456#4711", "In"),
        ("123456#00#00#", "out"),
        ("#4711", "In"),
        ("00#00#00#", "out"),
        ("00#00#990011", "moderator"),
    ] {
        let mut w = world("pin: \"4711\", moderator_pin: \"990011\"");
        let a = w.dials("alice");
        assert_eq!((w.hears(a), w.status(a)), ("Pin".to_owned(), Status::Waiting));
        w.press(a, pressed);
        // Shorter ones are whole when nothing more comes.
        w.wait(Duration::from_secs(5));
        let view = w.rooms.view("3000").unwrap().members[0].clone();
        let is = match (view.status, view.role) {
            (Status::Connected, Role::Moderator) => "moderator",
            (Status::Connected, Role::Speaker) => "In",
            _ if w.hears(a) == "WrongPin" && w.status(a) == Status::Waiting => {
                w.tell(a, Input::Played);
                match w.dismissed(a) {
                    Some(_) => "out",
                    None => "wrong",
                }
            }
            _ => "?",
        };
        assert_eq!(is, expected, "{pressed}");
    }
}

#[test]
fn who_presses_nothing_is_asked_three_times_and_released() {
    let mut w = world("pin: \"4711\"");
    let a = w.dials("alice");
    w.wait(Duration::from_secs(60));
    assert_eq!(w.dismissed(a), Some("the PIN of the room was wrong too often"));
    w.tell(a, Input::Left);
    assert!(w.rooms.is_empty() && w.rooms.next_deadline().is_none());
}

#[test]
fn a_guesser_is_slowed_in_all_his_calls_and_nobody_else_is() {
    let mut w = world("pin: \"4711\"");
    let a = w.dials("alice");
    for wrong in ["0000", "0001", "0002"] {
        w.press(a, wrong);
        // What follows at once belongs to the one before.
        w.wait(Duration::from_millis(500));
    }
    assert_eq!(w.hears(a), "WrongPin");
    let again = w.dials("alice");
    w.press(again, "0003");
    // The first PIN of a number, and a further one, wait for nobody; from then on one waits for the other.
    let further = w.dials("alice");
    w.press(further, "0004");
    let third = w.dials("alice");
    w.press(third, "4711");
    assert_eq!(w.status(third), Status::Waiting, "a right one waits as well");
    let b = w.dials("bob");
    w.press(b, "4711");
    assert_eq!(w.status(b), Status::Connected);
    w.wait(Duration::from_secs(4));
    assert_eq!(w.status(third), Status::Connected);
}

#[test]
fn without_a_pin_for_all_the_others_press_the_hash_key() {
    let mut w = world("moderator_pin: \"990011\"");
    let (a, b) = (w.dials("alice"), w.dials("bob"));
    w.press(a, "#");
    w.press(b, "990011");
    let roles: Vec<Role> = w.rooms.view("3000").unwrap().members.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::Speaker, Role::Moderator]);
    assert_eq!((w.status(a), w.status(b)), (Status::Connected, Status::Connected));
    // The # behind a wrong PIN is not that of the others.
    let c = w.dials("carol");
    w.press(c, "990012#");
    assert_eq!((w.hears(c), w.status(c)), ("WrongPin".to_owned(), Status::Waiting));
    w.press(c, "#");
    assert_eq!(w.status(c), Status::Connected);
}
