//! Holds what the packet path counted against what the witness counted in the same packets.

use crate::media::command::LegStats;
use crate::media::witness::Testimony;

/// Packets that may have left the node before its last report and not arrived when the leg was closed.
const ON_THE_WAY: u64 = 5;

/// What does not agree, as sentences.
pub fn differences(stats: &LegStats, seen: &Testimony) -> Vec<String> {
    let mut wrong = seen.objections.clone();
    let mut expect = |is_true: bool, why: String| {
        if !is_true {
            wrong.push(why);
        }
    };
    expect(
        seen.packets == stats.received + stats.dropped,
        format!(
            "{} packets arrived, the packet path counted {} and dropped {}",
            seen.packets, stats.received, stats.dropped
        ),
    );
    expect(
        seen.missing == stats.lost,
        format!(
            "{} sequence numbers never came, the packet path counted {}",
            seen.missing, stats.lost
        ),
    );
    expect(
        seen.sources == 1,
        format!(
            "the packets have {} sources (SSRC) in a row, one is right",
            seen.sources
        ),
    );
    expect(
        seen.jumps == 0,
        format!("{} packets have a timestamp out of step and no marker", seen.jumps),
    );
    expect(
        seen.payload_types.is_subset(&seen.agreed),
        format!(
            "payload types {:?} came, {:?} were agreed",
            seen.payload_types, seen.agreed
        ),
    );
    let told = u64::from(seen.sent.unwrap_or(0));
    expect(
        told <= seen.packets + seen.missing + ON_THE_WAY,
        format!("the node reports {told} packets sent, {} arrived", seen.packets),
    );
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Testimony {
        Testimony {
            packets: 100,
            missing: 2,
            sources: 1,
            payload_types: [8].into(),
            agreed: [8, 101].into(),
            sent: Some(102),
            ..Testimony::default()
        }
    }

    #[test]
    fn each_difference_is_one_sentence() {
        let stats = LegStats {
            received: 99,
            dropped: 1,
            lost: 2,
            ..LegStats::default()
        };
        assert_eq!(differences(&stats, &seen()), Vec::<String>::new());
        let spoilt: [fn(&mut Testimony); 7] = [
            |seen| seen.packets = 101,
            |seen| seen.missing = 3,
            |seen| seen.sources = 2,
            |seen| seen.jumps = 1,
            |seen| seen.payload_types = [0].into(),
            |seen| seen.sent = Some(200),
            |seen| seen.objections.push("a header extension".to_owned()),
        ];
        for spoil in spoilt {
            let mut wrong = seen();
            spoil(&mut wrong);
            assert_eq!(differences(&stats, &wrong).len(), 1, "{wrong:?}");
        }
    }
}
