//! What is left of a response context once a 2xx to its INVITE went back: a further one may come as long as the transaction lasts, and
//! goes back, too (RFC 3261 16.7 step 5, RFC 6026 7.3). All else is over, and its memory is given back while the call is up.

use super::Turn;
use super::calls::Within;
use super::context::{Context, State};
use crate::id::{CallId, ServerTx};
use crate::sip::{Message, Method};

/// An INVITE that was answered.
#[derive(Debug)]
pub struct Answered {
    tx: ServerTx,
    call: Option<CallId>,
    within: Option<Within>,
}

impl Answered {
    /// Of a context whose 2xx went back.
    pub fn of(context: &mut Context) -> Option<Answered> {
        (context.state == State::Answered).then(|| Answered {
            tx: context.tx,
            call: context.call,
            within: context.within.take(),
        })
    }

    /// What came late on one of its branches.
    pub fn on_response(&self, t: &mut Turn<'_, '_>, response: &Message) {
        if response.status() / 100 != 2 || response.method() != Method::Invite {
            return;
        }
        t.layer.relay(t.cx, self.tx, response, Vec::new());
        if let Some(call) = self.call {
            t.desk.call_answered(t.cx, call, response);
        }
        if let Some(within) = &self.within {
            t.desk.call_refreshed(t.cx, within.call, response);
        }
    }
}
