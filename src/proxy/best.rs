//! RFC 3261 16.7 step 6: the best of the final responses of all branches, and step 7: challenges put together.

use crate::sip::{Message, Name};

/// The final response of a branch.
#[derive(Clone, Debug)]
pub enum Final {
    /// It came.
    Theirs(Message),
    /// None came, and this status stands for that: 408 for a silent peer, 503 for one that cannot be reached (16.7, 16.9).
    Own(u16),
}

impl Final {
    /// Its status.
    pub fn status(&self) -> u16 {
        match self {
            Final::Theirs(response) => response.status(),
            Final::Own(status) => *status,
        }
    }
}

/// The lower, the better. A 6xx wins; else the lowest class; within 4xx what helps the client to do better, and last what only says
/// that a branch was given up.
fn rank(response: &Final) -> u16 {
    let status = response.status();
    let own = match response {
        Final::Theirs(_) => 0,
        Final::Own(_) => 1,
    };
    let within = match status {
        401 | 407 => 0,
        415 | 420 | 484 => 2,
        // Another server failed less than one that takes nothing at all.
        503 => 6,
        408 => 8,
        487 => 10,
        _ => 4,
    };
    let class = if status >= 600 { 0 } else { status / 100 };
    class * 100 + within + own
}

/// The best; `None` where there is none.
pub fn best<'r>(all: impl Iterator<Item = &'r Final>) -> Option<&'r Final> {
    all.min_by_key(|response| rank(response))
}

/// The challenges of all branches but those in `best` itself, where it is a 401 or 407.
pub fn challenges<'r>(best: &Message, all: impl Iterator<Item = &'r Final>) -> Vec<(Name, String)> {
    if !matches!(best.status(), 401 | 407) {
        return Vec::new();
    }
    let mut found: Vec<(Name, String)> = Vec::new();
    let names = [Name::WwwAuthenticate, Name::ProxyAuthenticate];
    let of = |response: &Message| {
        let each = |name| {
            response
                .all(name)
                .into_iter()
                .map(move |value| (name, value.into_owned()))
        };
        names.into_iter().flat_map(each).collect::<Vec<_>>()
    };
    let there = of(best);
    for response in all {
        let Final::Theirs(response) = response else { continue };
        if matches!(response.status(), 401 | 407) {
            found.extend(of(response).into_iter().filter(|challenge| !there.contains(challenge)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn theirs(status: u16, lines: &str) -> Final {
        let text = format!("SIP/2.0 {status} x\r\n{lines}\r\n");
        Final::Theirs(Message::parse(Bytes::from(text)).unwrap())
    }

    fn best_of(statuses: &[u16]) -> u16 {
        let all: Vec<Final> = statuses.iter().map(|status| theirs(*status, "")).collect();
        best(all.iter()).map_or(0, Final::status)
    }

    #[test]
    fn the_best_of_several() {
        for (statuses, expected) in [
            (&[][..], 0),
            (&[486, 404], 486),
            (&[404, 302, 500], 302),
            (&[500, 404], 404),
            (&[503, 500], 500),
            (&[486, 603, 302], 603),
            (&[486, 407, 404], 407),
            (&[487, 486], 486),
            (&[408, 480], 480),
            (&[486, 484], 484),
        ] {
            assert_eq!(best_of(statuses), expected, "{statuses:?}");
        }
        let all = [Final::Own(408), theirs(408, "")];
        assert!(matches!(best(all.iter()), Some(Final::Theirs(_))));
    }

    #[test]
    fn challenges_of_other_branches_are_put_together() {
        let all = [
            theirs(407, "Proxy-Authenticate: Digest realm=\"a\"\r\n"),
            theirs(401, "WWW-Authenticate: Digest realm=\"b\"\r\n"),
            theirs(486, "WWW-Authenticate: Digest realm=\"c\"\r\n"),
            Final::Own(408),
        ];
        let Some(Final::Theirs(chosen)) = best(all.iter()) else {
            panic!("a 401 or 407")
        };
        let added = challenges(chosen, all.iter());
        assert_eq!(
            (chosen.status(), added),
            (407, vec![(Name::WwwAuthenticate, "Digest realm=\"b\"".to_owned())])
        );
        let Final::Theirs(busy) = &all[2] else {
            panic!("it came")
        };
        assert!(challenges(busy, all.iter()).is_empty());
    }
}
