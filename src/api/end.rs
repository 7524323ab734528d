//! The end of a call, and of a client who does not come back: what the two sides are told, and the log.

use super::call::Call;
use super::{Api, Timer};
use crate::cx::Cx;
use crate::limits;
use serde_json::json;

/// A client that is gone has its calls ended by this.
pub(super) const GONE: &str = "gone";

/// How a call ends.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// As the API names it.
    pub(super) reason: &'static str,
    /// The name of the client whose doing it was.
    by: Option<String>,
    /// A sentence that says more.
    detail: Option<String>,
    /// The client was closed, and has said so.
    is_closed: bool,
}

impl End {
    /// Whose doing it was is no client.
    pub(super) fn by_nobody(reason: &'static str) -> End {
        End {
            reason,
            by: None,
            detail: None,
            is_closed: false,
        }
    }

    pub(super) fn by(reason: &'static str, name: &str) -> End {
        End {
            by: Some(name.to_owned()),
            ..End::by_nobody(reason)
        }
    }

    pub(super) fn saying(self, detail: Option<String>) -> End {
        End { detail, ..self }
    }

    /// Who ends it does so because its client closes.
    pub(super) fn closed(self) -> End {
        End {
            is_closed: true,
            ..self.saying(Some("its client was closed".to_owned()))
        }
    }

    /// What the line of the call says by SIP: a status where it rings at the client, and a Reason (RFC 3326) where the client is gone.
    fn said(&self) -> (u16, Option<String>) {
        let status = match self.reason {
            "busy" => 486,
            GONE => 480,
            _other => 603,
        };
        // One that was closed has said so (487); one whose connection was lost has not.
        let cause = if self.is_closed { 487 } else { 480 };
        let detail = self.detail.as_ref().filter(|_| self.is_closed || self.reason == GONE);
        let reason = detail.map(|detail| format!("SIP;cause={cause};text=\"{detail}\""));
        (status, reason)
    }

    /// In words, for the log.
    fn shown(&self) -> String {
        let by = self.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let detail = self.detail.as_ref().map(|detail| format!(" ({detail})"));
        format!("{}{by}{}", self.reason, detail.unwrap_or_default())
    }
}

impl Api {
    /// A client has not come back.
    pub(super) fn gone(&mut self, cx: &mut Cx<'_>, number: u64) {
        if let Some(client) = self.clients.get(number) {
            let seconds = limits::API_ABSENCE.as_secs();
            let detail = format!("its page has listened to no events for {seconds} s: {}", client.left);
            let end = End::by(GONE, &client.who.name).saying(Some(detail));
            for call in client.calls.clone() {
                self.over(cx, call, end.clone());
            }
        }
        if let Some(client) = self.clients.get(number) {
            (client.listens, client.callable) = (false, false);
        }
        let config = cx.config.clone();
        self.be_present(&config, number);
        self.clients.remove(number);
    }

    /// A call is over: its clients are told, and so is the other side of one by SIP.
    pub(super) fn over(&mut self, cx: &mut Cx<'_>, number: u64, end: End) {
        let Some(mut call) = self.calls.remove(number) else {
            return;
        };
        self.deadlines.cancel(Timer::Unanswered(number));
        self.deadlines.cancel(Timer::Unmoved(number));
        self.unnamed.retain(|_, unnamed| *unnamed != number);
        if let Some(room) = call.room() {
            self.company.leave(cx.now, room, number);
        }
        let (status, reason) = end.said();
        self.lines.leave(cx, number, status, reason);
        let mut told = json!({ "call": call.id, "reason": end.reason, "by": end.by });
        if let Some(detail) = &end.detail {
            told["detail"] = json!(detail);
        }
        for client in call.clients() {
            if let Some(client) = self.clients.get(client) {
                client.calls.remove(&number);
            }
            self.tell(cx, client, "call.ended", &told);
            self.forget_sleeper(client);
        }
        self.stays_out(cx, &call);
        log_end(cx, &mut call, &end);
    }
}

fn log_end(cx: &mut Cx<'_>, call: &mut Call, end: &End) {
    let seconds = call.answered.map(|at| cx.wall.since(at).as_secs());
    let shown = end.shown();
    let what = match seconds {
        Some(seconds) => format!("ended after {seconds} s: {shown}"),
        None => format!("failed: {shown}"),
    };
    call.log(cx, what);
}
