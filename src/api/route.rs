//! Which request means what.

use super::token::Scope;
use super::wire::Method;
use crate::limits;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Operation {
    IssueToken,
    TurnKeys,
    Events,
    ListCalls,
    StartCall,
    ShowCall,
    Accept,
    Reject,
    HangUp,
    Offer,
    Answer,
    Candidates,
    Hold,
    Mute,
    Dtmf,
    Transfer,
    AddParticipant,
    RemoveParticipant,
    ShowRoom,
    Description,
    Problems,
}

/// What has to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// A key of an operator's back end.
    Key,
    /// A token, for whatever it is.
    Token,
    /// A token that has one of these scopes.
    Scope(&'static [Scope]),
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) method: Method,
    /// `{call}` or `{room}` stands for one segment.
    pub(super) path: &'static str,
    pub(super) need: Need,
    pub(super) operation: Operation,
}

const fn row(method: Method, path: &'static str, need: Need, operation: Operation) -> Row {
    Row {
        method,
        path,
        need,
        operation,
    }
}

const CALL: Need = Need::Scope(&[Scope::Call]);
/// Calls of whichever kind: where only one of the two will do, what is called tells.
const TALK: Need = Need::Scope(&[Scope::Call, Scope::Join]);
/// Of one's own calls, or of all of the tenant.
const LOOK: Need = Need::Scope(&[Scope::Call, Scope::Join, Scope::Admin]);

/// All that there is. `openapi.json` describes these, and a test holds the two together.
pub(super) static TABLE: &[Row] = &[
    row(Method::Post, "/v1/tokens", Need::Key, Operation::IssueToken),
    row(Method::Get, "/v1/turn", Need::Token, Operation::TurnKeys),
    row(Method::Get, "/v1/events", Need::Token, Operation::Events),
    row(Method::Get, "/v1/calls", LOOK, Operation::ListCalls),
    row(Method::Post, "/v1/calls", TALK, Operation::StartCall),
    row(Method::Get, "/v1/calls/{call}", LOOK, Operation::ShowCall),
    row(Method::Post, "/v1/calls/{call}/accept", CALL, Operation::Accept),
    row(Method::Post, "/v1/calls/{call}/reject", CALL, Operation::Reject),
    row(Method::Post, "/v1/calls/{call}/hangup", LOOK, Operation::HangUp),
    row(Method::Post, "/v1/calls/{call}/offer", TALK, Operation::Offer),
    row(Method::Post, "/v1/calls/{call}/answer", TALK, Operation::Answer),
    row(Method::Post, "/v1/calls/{call}/candidates", TALK, Operation::Candidates),
    row(Method::Post, "/v1/calls/{call}/hold", TALK, Operation::Hold),
    row(Method::Post, "/v1/calls/{call}/mute", TALK, Operation::Mute),
    row(Method::Post, "/v1/calls/{call}/dtmf", TALK, Operation::Dtmf),
    row(Method::Post, "/v1/calls/{call}/transfer", CALL, Operation::Transfer),
    row(
        Method::Post,
        "/v1/calls/{call}/participants",
        TALK,
        Operation::AddParticipant,
    ),
    row(
        Method::Post,
        "/v1/calls/{call}/participants/remove",
        CALL,
        Operation::RemoveParticipant,
    ),
    row(Method::Get, "/v1/rooms/{room}", TALK, Operation::ShowRoom),
    row(Method::Get, "/v1/openapi.json", Need::Nothing, Operation::Description),
    row(Method::Get, "/v1/problems", Need::Nothing, Operation::Problems),
];

/// What a path means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meant<'p> {
    pub(super) row: &'static Row,
    /// What stands for `{call}` or `{room}`; nothing where there is no such part.
    pub(super) named: &'p str,
}

/// What is found for a path.
#[derive(Debug)]
pub(super) enum Found<'p> {
    /// This.
    Row(Meant<'p>),
    /// The path takes these methods.
    Methods(Vec<Method>),
    /// There is no such path.
    Nothing,
}

pub(super) fn find(method: Method, path: &str) -> Found<'_> {
    let fitting = || TABLE.iter().filter_map(|row| Some((row, fits(row.path, path)?)));
    if let Some((row, named)) = fitting().find(|(row, _)| row.method == method) {
        return Found::Row(Meant { row, named });
    }
    let methods: Vec<Method> = fitting().map(|(row, _)| row.method).collect();
    match methods.is_empty() {
        true => Found::Nothing,
        false => Found::Methods(methods),
    }
}

/// What stands for `{call}` or `{room}` where the path is of this form; nothing where there is no such part.
fn fits<'p>(form: &str, path: &'p str) -> Option<&'p str> {
    let (mut named, mut parts) = ("", path.split('/'));
    for wanted in form.split('/') {
        let part = parts.next()?;
        match wanted {
            "{call}" | "{room}" if (1..=limits::API_CALL_NAME_BYTES).contains(&part.len()) => named = part,
            _ if wanted == part => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_as_they_are_written() {
        let of = |method, path| match find(method, path) {
            Found::Row(Meant { row, named }) => format!("{:?} {named}", row.operation),
            Found::Methods(methods) => format!("{methods:?}"),
            Found::Nothing => "nothing".to_owned(),
        };
        for (method, path, wanted) in [
            (Method::Get, "/v1/calls", "ListCalls "),
            (Method::Post, "/v1/calls", "StartCall "),
            (Method::Get, "/v1/calls/c1-ab", "ShowCall c1-ab"),
            (Method::Post, "/v1/calls/c1-ab/hangup", "HangUp c1-ab"),
            (Method::Get, "/v1/calls/c1-ab/hangup", "[Post]"),
            (Method::Other, "/v1/calls", "[Get, Post]"),
            (Method::Get, "/v1/rooms/%2B3000", "ShowRoom %2B3000"),
            (Method::Get, "/v1/rooms/", "nothing"),
            (Method::Post, "/v1/events", "[Get]"),
            (Method::Get, "/v1/calls/", "nothing"),
            (Method::Post, "/v1/calls//hangup", "nothing"),
            (Method::Post, "/v1/calls/c1/hangup/", "nothing"),
            (Method::Get, "/v2/calls", "nothing"),
            (Method::Get, "/", "nothing"),
            (Method::Get, "", "nothing"),
        ] {
            assert_eq!(of(method, path), wanted, "{method:?} {path}");
        }
    }
}
