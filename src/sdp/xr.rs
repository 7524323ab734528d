//! `a=rtcp-xr`: which extended reports who wrote it takes (RFC 3611 5).
//!
//! What we offer is ours alone: each leg has its own, whatever the other side of the call says.

use super::session::{Attribute, Media, Session};
use crate::media::command::Xr;

const NAME: &str = "rtcp-xr";
const METRICS: &str = "voip-metrics";
const ROUND_TRIP: &str = "rcvr-rtt";
/// We answer reference times whether we send or not.
const OURS: [&str; 4] = ["", METRICS, "rcvr-rtt=all", "rcvr-rtt=all voip-metrics"];

/// All that we take.
pub(super) fn offered() -> Attribute<'static> {
    answered(Xr {
        metrics: true,
        round_trip: true,
    })
}

/// What we take of what was offered; of nothing, the line says that we have understood it (RFC 3611 5.2).
pub(super) fn answered(asked: Xr) -> Attribute<'static> {
    Attribute::new(
        NAME,
        OURS[usize::from(asked.metrics) + 2 * usize::from(asked.round_trip)],
    )
}

/// What a description asks for; `None` where it says nothing. That of the stream stands in place of the session's (RFC 3611 5.1).
pub(super) fn asked(session: &Session<'_>, media: &Media<'_>) -> Option<Xr> {
    let value = media.attribute(NAME).or_else(|| session.attributes(NAME).next())?;
    let mut xr = Xr::default();
    for format in value.split_ascii_whitespace() {
        let name = format.split('=').next().unwrap_or_default();
        xr.metrics |= name == METRICS;
        xr.round_trip |= name == ROUND_TRIP;
    }
    Some(xr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_from_the_stream_else_from_the_session() {
        let of = |metrics, round_trip| Some(Xr { metrics, round_trip });
        for (session, stream, want) in [
            ("", "", None),
            ("a=rtcp-xr:voip-metrics\n", "", of(true, false)),
            ("a=rtcp-xr:voip-metrics\n", "a=rtcp-xr:\n", of(false, false)),
            ("", "a=rtcp-xr\n", of(false, false)),
            ("", "a=rtcp-xr:rcvr-rtt=sender:120\n", of(false, true)),
            (
                "",
                "a=rtcp-xr:pkt-loss-rle=20 stat-summary=loss,jitt voip-metrics rcvr-rtt=all x-new\n",
                of(true, true),
            ),
            ("", "a=rtcp-xr:Voip-Metrics xvoip-metrics\n", of(false, false)),
        ] {
            let body = format!("v=0\n{session}m=audio 4000 RTP/AVP 0\n{stream}");
            let read = Session::parse(body.as_bytes()).unwrap();
            assert_eq!(asked(&read, &read.media[0]), want, "{body}");
        }
    }
}
