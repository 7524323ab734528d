//! A viewer on a bad way, who loses what is large.

use super::*;

/// The seconds in which the large layer begins to be seen, of so many, with a way on which it is lost, or not. He reports each second.
fn trials(world: &mut World, all: &mut (Viewer, [Camera; 2], Viewer), seconds: usize, is_bad: bool) -> Vec<usize> {
    let (publisher, layers, viewer) = all;
    let mut trials = Vec::new();
    let mut had_large = false;
    for second in 0..seconds {
        for tick in 0..50 {
            if tick % 5 == 0 {
                for packet in layers.iter_mut().flat_map(|layer| layer.frame(true)) {
                    send(world, publisher, &packet);
                }
            }
            world.tick();
        }
        let heard = world.take(&viewer.peer);
        let packets = seen(&heard, slot_ssrc(2, 0));
        assert!(is_gapless(&packets) && packets.len() > 10, "{}", packets.len());
        let has_large = packets.iter().any(|packet| packet.payload.len() > 900);
        if has_large && !had_large {
            trials.push(second);
        }
        had_large = has_large;
        let block = crate::media::source::Block {
            ssrc: slot_ssrc(2, 0),
            fraction_lost: if has_large && is_bad { 77 } else { 0 },
            ..Default::default()
        };
        let mut packet = [0; 200];
        let head = Head { ssrc: 1, cname: "v" };
        let len = feedback::write_reports(&mut packet, head, [block].into_iter());
        send(world, viewer, &packet[..len]);
    }
    trials
}

/// Each trial of a layer that does not arrive costs pictures: so it is made ever later, at most once a minute; after it has held it begins anew.
#[test]
fn a_layer_that_is_lost_is_tried_again_ever_later() {
    let mut world = World::of(64);
    world.command(Command::OpenRoom(spec(Rate::Wide, 4)));
    let codecs = [VideoCodec::Vp8];
    let publisher = enter(&mut world, 1, video(1, 0, &["h", "l"], &codecs));
    let viewer = enter(&mut world, 2, video(2, 1, &[], &codecs));
    let mut layers = [Camera::new(1, 1, Some(b'h')), Camera::new(1, 2, Some(b'l'))];
    (layers[0].size, layers[1].size) = (1_000, 100);
    let mut all = (publisher, layers, viewer);
    let bad = trials(&mut world, &mut all, 215, true);
    let gaps: Vec<usize> = bad.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(gaps.len(), 6, "{bad:?}");
    for (gap, wait) in gaps.iter().zip([5, 10, 20, 40, 60, 60]) {
        // Until it is reported, and the small one has come and gone.
        assert!((wait..=wait + 3).contains(gap), "{gaps:?}");
    }
    let good = trials(&mut world, &mut all, 110, false);
    assert_eq!(good.len(), 1, "{good:?}");
    let bad = trials(&mut world, &mut all, 20, true);
    assert!((5..=8).contains(&(bad[1] - bad[0])), "{bad:?}");
}
