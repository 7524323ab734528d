//! What a publisher is told of its way to us.

use super::*;
use crate::media::rtcp::transport::tests::told;

/// Who numbers its packets over the whole way is told each 100 ms when they came, and which did not; who does not, nothing.
#[test]
fn a_publisher_is_told_when_its_packets_came() {
    let (mut world, mut all) = room(2, 1);
    all[0].camera.on_way = Some(65_500);
    let mut openers = [opener(), opener()];
    let mut reports: Vec<(u16, Vec<Option<u64>>)> = Vec::new();
    for n in 0..50 {
        for (nth, viewer) in all.iter_mut().enumerate() {
            let [first, second] = viewer.camera.frame(n == 0);
            send(&mut world, viewer, &first);
            if nth == 1 || n != 30 {
                send(&mut world, viewer, &second);
            }
        }
        world.tick();
        for (viewer, opener) in all.iter().zip(&mut openers) {
            for mut packet in world.rtcp.remove(&viewer.peer.address).unwrap_or_default() {
                let len = opener.rtcp(&mut packet).expect("sealed by the node");
                if let Some((of, base, ticks)) = told(&packet[..len]) {
                    assert_eq!((viewer.n, of), (1, camera_ssrc(1, 0)));
                    reports.push((base, ticks));
                }
            }
        }
    }
    let all: Vec<Option<u64>> = reports.iter().flat_map(|(_, ticks)| ticks.clone()).collect();
    assert!((9..=11).contains(&reports.len()) && all.len() > 85, "{reports:?}");
    let end = |(base, ticks): &(u16, Vec<Option<u64>>)| base.wrapping_add(ticks.len() as u16);
    assert!(
        reports.windows(2).all(|two| end(&two[0]) == two[1].0),
        "none is left out: {reports:?}"
    );
    assert_eq!(reports[0].0, 65_500);
    let lost: Vec<usize> = (0..all.len()).filter(|n| all[*n].is_none()).collect();
    assert_eq!(lost, [61]);
    // Two of each 20 ms came at the same moment.
    let came: Vec<u64> = all.into_iter().flatten().collect();
    assert!(
        came.windows(2).all(|two| [0, 80].contains(&(two[1] - two[0]))),
        "{came:?}"
    );
}
