//! What a page has to know of a room before it calls it: its offer has a line for each voice that is forwarded to it.

use super::Api;
use super::act::{Asker, no_such_call};
use super::answer::ok;
use super::body::Target;
use super::call::Who;
use super::outside::{destination, user_of};
use super::problem::{Kind, Problem};
use super::wire::Response;
use crate::config::Config;
use crate::sip::uri::unescape;
use serde_json::json;

impl Api {
    /// A room, by what is dialled for it; `written` is a part of a path. Who could call it may know.
    pub(super) fn show_room(
        &mut self,
        config: &Config,
        Asker { me, claims }: Asker<'_>,
        written: &str,
    ) -> Result<Response, Problem> {
        let local = self.clients.get(me).map(|client| client.flow.local.ip());
        let user = user_of(config, claims)?;
        let target = Target::Room(unescape(written).into_owned());
        let found = destination(config, user, claims, &target, local.ok_or_else(no_such_call)?);
        let (who, _) = found.map_err(|_| no_such_room())?;
        let settings = match &who {
            Who::Room { number, .. } => config.room_settings(number),
            Who::Client(..) | Who::Number(_) | Who::Sip(_) => None,
        };
        let settings = settings.ok_or_else(no_such_room)?;
        let voices = if settings.forwards { settings.speakers } else { 0 };
        Ok(ok(&json!({ "voices": voices })))
    }
}

fn no_such_room() -> Problem {
    let why = "nothing of that number or name is a room for this client";
    Problem::new(Kind::NoSuchRoom, why)
}
