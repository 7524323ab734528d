//! What the log says of clients of the HTTP API.

use super::Recorder;
use crate::effect::Fact;
use crate::pii::Scrubbed;
use tracing::{debug, info};

impl Recorder {
    pub(super) fn fold_client(&mut self, fact: Fact, minute: u64) {
        match fact {
            Fact::ClientCall { name, call, what } => {
                let what = Scrubbed(&what);
                match call {
                    Some(call) => info!(%call, "client call {name} {what}"),
                    None => info!("client call {name} {what}"),
                }
            }
            Fact::ApiRefused {
                peer,
                what,
                by,
                status,
                why,
            } => {
                let by = by.unwrap_or_else(|| "somebody".to_owned());
                let said = format!("{what} by {by} from {peer}: {why}");
                // These say something of who asks, or of this node; the others, of what is asked for.
                match status {
                    401 | 403 | 429 | 500.. => {
                        self.tell_refused(status, minute, format_args!("refused {}", Scrubbed(&said)))
                    }
                    _other => debug!(status, "refused {}", Scrubbed(&said)),
                }
            }
            _other => {}
        }
    }
}
