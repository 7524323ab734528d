//! A member's media changes while he is in the room: codec, port, stream, loss.

use crate::tools::{all_hear, all_join, leave, three, world};
use sip_tests::description::{events, g722, opus, pcma, pcmu};
use sip_tests::{Change, ms, s};

#[test]
fn a_member_changes_his_codec_and_his_port() {
    let mut w = world(80, "entry: none");
    let phones = three(&mut w);
    let calls = all_join(&mut w, phones);
    for (n, format) in [(0, opus()), (1, pcmu()), (2, pcma()), (0, g722()), (1, opus())] {
        let change = Change {
            formats: Some(vec![format, events()]),
            new_port: n == 0,
            ..Change::default()
        };
        assert_eq!(w.reinvite(calls[n], change), 200);
        w.run(s(1));
        all_hear(&mut w, &calls);
    }
    leave(&mut w, &calls);
}

/// Another SSRC, sequence and timestamp, as when a call has moved to another phone.
#[test]
fn a_member_whose_stream_begins_anew_is_heard_on() {
    let mut w = world(81, "entry: none");
    let phones = three(&mut w);
    let calls = all_join(&mut w, phones);
    for call in calls {
        w.voice(call).restart();
        w.run(s(1));
        all_hear(&mut w, &calls);
    }
    leave(&mut w, &calls);
}

/// 30 % of one member's packets are lost both ways: the others hear one another as before.
#[test]
fn a_member_who_loses_packets_does_not_disturb_the_others() {
    let mut w = world(82, "entry: none");
    let phones = three(&mut w);
    let calls = all_join(&mut w, phones);
    let ip = w.agents[phones[1].0].addr.ip();
    for link in [(0.3, ms(40)), (0.0, ms(0))] {
        let lossy = link.0 > 0.0;
        let own = w.net.link(ip);
        (own.loss, own.jitter) = link;
        w.run(s(10));
        let others = [calls[0], calls[2]];
        if lossy {
            w.run(ms(300));
            for call in others {
                w.voice(call).forget();
            }
            w.run(s(1));
            for (who, whom) in [(0, phones[2]), (2, phones[0])] {
                let hz = w.agents[whom.0].tone.expect("phones speak");
                let level = crate::tools::level(w.voice(calls[who]).heard(), hz);
                assert!((level + 10.0).abs() < 1.0, "{level} dBm0");
            }
        } else {
            all_hear(&mut w, &calls);
        }
    }
    leave(&mut w, &calls);
}
