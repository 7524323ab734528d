//! One plain sentence for each trouble with a call's media: who is not heard by whom, and where it is lost.

use super::record::party;
use crate::effect::Party;
use crate::media::command::{Missing, Trouble};

/// What is wrong, or is well again, on the leg of `leg`, which talks with `other`.
pub fn sentence(leg: &Party, other: Option<&Party>, trouble: Trouble, over: bool, both: bool) -> String {
    let leg = party(leg);
    let other = other.map_or_else(|| "the other side".to_owned(), party);
    if over {
        return match trouble {
            Trouble::NothingComes(_) => format!("packets come from {leg} again"),
            Trouble::OnlySilence => format!("{leg} is heard now, which had sent nothing but silence"),
            Trouble::NothingArrives => format!("what is sent to {leg} arrives there again, as its reports say"),
            Trouble::NothingSent => format!("what {other} says is sent on to {leg} again"),
        };
    }
    let what = match trouble {
        Trouble::NothingComes(missing) => format!("{}, so {other} does not hear it", comes(&leg, missing)),
        Trouble::OnlySilence => {
            format!("the packets that come from {leg} are nothing but silence, so {other} does not hear it")
        }
        Trouble::NothingArrives => {
            format!("what is sent to {leg} does not arrive there, as its reports say, so it does not hear {other}")
        }
        Trouble::NothingSent => format!("packets come from {other} and are not sent on to {leg}"),
    };
    let kind = if both { "no audio" } else { "one-way audio" };
    let end = if both {
        "; the other direction is silent too"
    } else {
        ""
    };
    format!("{kind}: {what}{end}")
}

fn comes(leg: &str, missing: Missing) -> String {
    match missing {
        Missing::Unknown => format!("nothing comes from {leg}"),
        Missing::NotSent => format!("{leg} sends nothing, as its reports say"),
        Missing::OnTheWay => format!("{leg} sends, as its reports say, and nothing of it arrives here"),
        Missing::Stranger => {
            format!("nothing comes from {leg}, while packets come from an address that is not its own")
        }
        Missing::Forged => format!("what comes from {leg} is not sealed by the agreed key"),
        Missing::Unreadable => format!("what comes from {leg} is of no kind that was agreed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TrunkIx;

    #[test]
    fn each_trouble_says_who_is_not_heard_and_where_it_is_lost() {
        let acme = Party::Trunk(TrunkIx(0), "acme".into());
        let alice = Party::User("alice".into());
        let say = |trouble, over, both| sentence(&acme, Some(&alice), trouble, over, both);
        let nothing = Trouble::NothingComes(Missing::NotSent);
        for (said, want) in [
            (
                say(nothing, false, false),
                "one-way audio: trunk/acme sends nothing, as its reports say, so user/alice does not hear it",
            ),
            (
                say(Trouble::NothingArrives, false, true),
                "no audio: what is sent to trunk/acme does not arrive there, as its reports say, so it does not hear user/alice; \
                 the other direction is silent too",
            ),
            (
                say(Trouble::NothingSent, false, false),
                "one-way audio: packets come from user/alice and are not sent on to trunk/acme",
            ),
            (say(nothing, true, false), "packets come from trunk/acme again"),
        ] {
            assert_eq!(said, want);
        }
        let all = [
            Missing::Unknown,
            Missing::NotSent,
            Missing::OnTheWay,
            Missing::Stranger,
            Missing::Forged,
            Missing::Unreadable,
        ];
        let mut said: Vec<String> = all.iter().map(|missing| comes("x", *missing)).collect();
        said.dedup();
        assert_eq!(said.len(), all.len());
        assert!(sentence(&alice, None, Trouble::OnlySilence, false, false).contains("so the other side does not"));
    }
}
