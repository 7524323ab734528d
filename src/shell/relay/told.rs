//! What is told of the relay, in sentences.

use crate::config::TurnDoors;
use crate::pii::Scrubbed;
use crate::relay::{Client, End, Fact};
use tokio::sync::mpsc;
use tracing::{debug, info};

/// Where clients come, and what they get.
pub(super) fn opened(doors: &TurnDoors) -> String {
    let listed = |list: Vec<String>| list.join(", ");
    let listen = listed(doors.listen.iter().map(ToString::to_string).collect());
    let relayed = listed(doors.external.iter().map(ToString::to_string).collect());
    let (first, last) = (doors.first_port, doors.last_port);
    format!("STUN and TURN are taken at {listen}; relayed addresses are ports {first}-{last} of {relayed}")
}

/// Writes facts into the log until there are no more.
pub(super) async fn tell(mut facts: mpsc::Receiver<Fact>) {
    while let Some(fact) = facts.recv().await {
        match &fact {
            Fact::Began { .. } | Fact::Ended { .. } => info!("{}", sentence(&fact)),
            Fact::Refused { .. } => debug!("{}", sentence(&fact)),
        }
    }
}

fn sentence(fact: &Fact) -> String {
    match fact {
        Fact::Began { user, client, relayed } => {
            let relayed: Vec<String> = relayed.iter().map(ToString::to_string).collect();
            format!(
                "TURN user {} at {} by {} has {} from now on",
                Scrubbed(user),
                client.from(),
                way(*client),
                relayed.join(" and ")
            )
        }
        Fact::Ended {
            user,
            client,
            why,
            lasted,
            relayed: [up, down],
        } => format!(
            "TURN user {} at {} {} after {} s: {} packets ({} octets) from it, {} ({}) to it",
            Scrubbed(user),
            client.from(),
            match why {
                End::Asked => "is done",
                End::Expired => "was not heard of again",
                End::Closed => "has closed its connection",
            },
            lasted.as_secs(),
            up.packets,
            up.octets,
            down.packets,
            down.octets
        ),
        Fact::Refused { user, client, code } => format!(
            "TURN user {} at {} did not get what it asked for: {code}",
            Scrubbed(user),
            client.from()
        ),
    }
}

fn way(client: Client) -> &'static str {
    match client {
        Client::Datagrams { .. } => "UDP",
        Client::Stream { .. } => "a stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Traffic;
    use std::time::Duration;

    #[test]
    fn each_fact_is_a_sentence() {
        let (user, from) = ("1700000000:+14155550101", "198.51.100.7:4000".parse().unwrap());
        let client = Client::Datagrams { listener: 0, from };
        let began = Fact::Began {
            user: user.into(),
            client,
            relayed: vec![
                "192.0.2.1:50000".parse().unwrap(),
                "[2001:db8::1]:50002".parse().unwrap(),
            ],
        };
        assert_eq!(
            sentence(&began),
            "TURN user 170***000:+1415***101 at 198.51.100.7:4000 by UDP has 192.0.2.1:50000 and [2001:db8::1]:50002 from now on"
        );
        let ended = |why| Fact::Ended {
            user: "alice".into(),
            client,
            why,
            lasted: Duration::from_millis(63_400),
            relayed: [
                Traffic {
                    packets: 3,
                    octets: 516,
                },
                Traffic::default(),
            ],
        };
        assert_eq!(
            sentence(&ended(End::Asked)),
            "TURN user alice at 198.51.100.7:4000 is done after 63 s: 3 packets (516 octets) from it, 0 (0) to it"
        );
        assert!(sentence(&ended(End::Expired)).contains("was not heard of again"));
        assert!(sentence(&ended(End::Closed)).contains("has closed its connection"));
        let refused = Fact::Refused {
            user: "alice".into(),
            client,
            code: 486,
        };
        assert!(sentence(&refused).ends_with("did not get what it asked for: 486"));
    }
}
