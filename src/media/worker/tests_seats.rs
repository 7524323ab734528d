//! What becomes of a place when a publisher's numbers, a description or a seat is another.

use super::*;

/// The first member's camera, frame by frame.
fn film(world: &mut World, all: &mut [Viewer], frames: usize) {
    for n in 0..frames {
        shoot(world, &mut all[0], n % 10 == 0);
        world.tick();
    }
}

/// What the second member has seen since.
fn watched(world: &mut World, all: &[Viewer]) -> Vec<Heard> {
    let heard = world.take(&all[1].peer);
    seen(&heard, slot_ssrc(2, 0)).into_iter().cloned().collect()
}

/// RFC 3711 3.3.1: ours move no faster than packets may come, so that who loses some knows how often the numbers have rolled over.
#[test]
fn a_camera_whose_numbers_jump_does_not_run_ahead() {
    let (mut world, mut all) = room(2, 1);
    film(&mut world, &mut all, 30);
    watched(&mut world, &all);
    for n in 0..50 {
        all[0].camera.sequence = all[0].camera.sequence.wrapping_add(1_500);
        shoot(&mut world, &mut all[0], n % 5 == 0);
        world.ticks(2);
    }
    let packets = watched(&mut world, &all);
    let steps = packets.windows(2);
    let moved: u64 = steps
        .map(|two| u64::from(two[1].sequence.wrapping_sub(two[0].sequence)))
        .sum();
    let most = limits::VIDEO_BURST + 2 * limits::VIDEO_PER_SECOND + 100;
    assert!(packets.len() >= 20 && moved <= most, "{}: {moved}", packets.len());
    film(&mut world, &mut all, 30);
    assert!(watched(&mut world, &all).len() > 30, "it goes on");
}

/// A number is sealed once: a place that comes back under its SSRC does not begin where it was before, and its packets are not dropped.
#[test]
fn a_place_that_comes_back_goes_on_behind_what_was_sealed() {
    let (mut world, mut all) = room(2, 1);
    film(&mut world, &mut all, 100);
    let before = watched(&mut world, &all);
    let leg = all[1].peer.leg;
    world.command(Command::Video { leg, video: None });
    world.ticks(5);
    let again = video(2, 1, &[], &[VideoCodec::Vp8, VideoCodec::H264]);
    world.command(Command::Video {
        leg,
        video: Some(Box::new(again)),
    });
    film(&mut world, &mut all, 40);
    let after = watched(&mut world, &all);
    assert!(after.len() > 30, "{}", after.len());
    let last = before.last().map(|packet| packet.sequence.wrapping_add(1));
    assert_eq!(after.first().map(|packet| packet.sequence), last);
}

#[test]
fn who_is_not_to_be_seen_is_not_from_then_on() {
    let (mut world, mut all) = room(2, 1);
    for nth in [0, 1] {
        film(&mut world, &mut all, 30);
        assert!(!watched(&mut world, &all).is_empty());
        let leg = all[nth].peer.leg;
        let seat = |is_in| Seat {
            speaks: true,
            hears: is_in,
            shows: is_in,
        };
        world.command(Command::Seat { leg, seat: seat(false) });
        film(&mut world, &mut all, 15);
        assert_eq!(watched(&mut world, &all).len(), 0, "{nth}");
        world.command(Command::Seat { leg, seat: seat(true) });
    }
}

/// Whom a place shows is told under its new name, and again to who comes back.
#[test]
fn another_name_of_a_place_is_told_whom_it_shows() {
    let (mut world, mut all) = room(2, 1);
    film(&mut world, &mut all, 30);
    let [one, two] = [all[0].peer.leg, all[1].peer.leg];
    let shows = Event::Shows {
        leg: two,
        line: 0,
        shown: Some((one, false)),
    };
    let mut told = |world: &mut World| {
        world.events.clear();
        film(world, &mut all, 30);
        world.events.iter().filter(|event| **event == shows).count()
    };
    assert_eq!(told(&mut world), 0);
    let mut renamed = video(2, 1, &[], &[VideoCodec::Vp8, VideoCodec::H264]);
    renamed.lines[0].mid = "other".into();
    world.command(Command::Video {
        leg: two,
        video: Some(Box::new(renamed)),
    });
    assert_eq!(told(&mut world), 1, "renamed");
    world.function(two, Function::Idle);
    world.function(two, Function::Room(ROOM));
    assert_eq!(told(&mut world), 1, "back");
}
