//! A reference fold of the facts to call records: every call begins once and ends once.

use std::collections::BTreeMap;
use tandem::effect::{Cause, Fact, LegReport, Party};
use tandem::id::CallId;
use tandem::media::command::{Recording, Trouble};
use tandem::time::Wall;

/// For how many milliseconds a recording server recorded, and why it ended early.
pub type SessionEnd = (u64, Option<String>);

/// One call record.
#[derive(Clone, Debug, Default)]
pub struct Cdr {
    /// When it began.
    pub started: Wall,
    /// The caller as presented.
    pub caller: String,
    /// What was dialled.
    pub called: String,
    /// Whereto it was routed, in words; the last.
    pub to: String,
    /// When it rang first.
    pub ringing: Option<Wall>,
    /// When it was answered.
    pub answered: Option<Wall>,
    /// When and why it ended.
    pub ended: Option<(Wall, Cause)>,
    /// The media of its legs.
    pub legs: Vec<LegReport>,
    /// What happened on the way.
    pub changes: Vec<String>,
    /// What it was recorded in.
    pub recordings: Vec<Recording>,
    /// What went to a recording server, and how that ended.
    pub sessions: Vec<(Recording, Option<SessionEnd>)>,
    /// The media of its legs while it was up, at last.
    pub measured: Vec<LegReport>,
    /// Who was not heard, or was again: on whose leg, what, and whether it is over.
    pub troubles: Vec<(Party, Trouble, bool)>,
    /// The node died under it: the next start closes it.
    pub orphaned: bool,
}

/// All records, in order of call.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// By call.
    pub by_call: BTreeMap<CallId, Cdr>,
    /// Calls that are up.
    pub open: usize,
    /// What rooms were recorded in.
    pub rooms: Vec<Recording>,
}

impl Records {
    /// One more fact; an error is a broken rule.
    pub fn fold(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::CallStarted {
                call,
                at,
                caller,
                called,
                ..
            } => {
                let cdr = Cdr {
                    started: *at,
                    caller: caller.clone(),
                    called: called.clone(),
                    ..Cdr::default()
                };
                if self.by_call.insert(*call, cdr).is_some() {
                    return Err(format!("{call} has started twice"));
                }
                self.open += 1;
            }
            Fact::CallRouted { call, to, .. } => self.open(*call, "routed")?.to.clone_from(to),
            Fact::CallRinging { call, at } => {
                self.open(*call, "ringing")?.ringing.get_or_insert(*at);
            }
            Fact::CallAnswered { call, at, .. } => {
                if self.open(*call, "answered")?.answered.replace(*at).is_some() {
                    return Err(format!("{call} was answered twice"));
                }
            }
            Fact::CallChanged { call, what } => self.open(*call, "changed")?.changes.push(what.clone()),
            Fact::CallMeasured { call, legs } => self.open(*call, "measured")?.measured.clone_from(legs),
            Fact::CallTrouble {
                call,
                leg,
                trouble,
                over,
                ..
            } => {
                let cdr = self.open(*call, "in trouble")?;
                cdr.troubles.push((leg.clone(), *trouble, *over));
            }
            Fact::CallEnded { call, at, cause, legs } => {
                let cdr = self.open(*call, "ended")?;
                cdr.ended = Some((*at, cause.clone()));
                cdr.legs.clone_from(legs);
                self.open -= 1;
            }
            Fact::RecordingStarted { .. } | Fact::RecordingSession { .. } | Fact::RecordingSessionEnded { .. } => {
                self.fold_recording(fact)?;
            }
            Fact::RoomMeasured { .. }
            | Fact::Registered { .. }
            | Fact::TrunkState { .. }
            | Fact::Refused { .. }
            | Fact::Banned { .. }
            | Fact::BanEnded { .. }
            | Fact::Cut { .. }
            | Fact::Overload { .. }
            | Fact::NgBegan { .. }
            | Fact::NgEnded { .. }
            | Fact::NgRefused { .. }
            | Fact::NgUnheeded { .. }
            | Fact::ClientCall { .. }
            | Fact::ApiRefused { .. }
            | Fact::Room { .. }
            | Fact::Warning(_) => {}
        }
        Ok(())
    }

    fn fold_recording(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            // A room's: no call has its name.
            Fact::RecordingStarted { recording } if !self.by_call.contains_key(&recording.call) => {
                if recording.number != 1 || self.rooms.contains(recording) {
                    return Err(format!("{} is no new recording of a room", recording.file()));
                }
                self.rooms.push(*recording);
            }
            Fact::RecordingStarted { recording } => {
                let own = &mut self.open(recording.call, "recorded")?.recordings;
                own.push(*recording);
                if usize::from(recording.number) != own.len() {
                    return Err(format!("{} is not the next recording of its call", recording.file()));
                }
            }
            Fact::RecordingSession { recording, .. } => {
                self.open(recording.call, "recorded")?.sessions.push((*recording, None));
            }
            // The server may hear of the end of a call after its record.
            Fact::RecordingSessionEnded {
                recording,
                millis,
                fault,
            } => {
                let sessions = self.by_call.get_mut(&recording.call).map(|cdr| &mut cdr.sessions);
                let own = sessions.and_then(|all| all.iter_mut().find(|(own, _)| own == recording));
                let (_, end) = own.ok_or("a recording session has ended that never began")?;
                if end.replace((*millis, fault.clone())).is_some() {
                    return Err(format!("a recording session of {} has ended twice", recording.call));
                }
            }
            _other => {}
        }
        Ok(())
    }

    /// The node was killed: what was up is closed by the next start, which is the shell's work.
    pub fn orphan(&mut self) {
        for cdr in self.by_call.values_mut().filter(|cdr| cdr.ended.is_none()) {
            cdr.orphaned = true;
        }
        self.open = 0;
    }

    /// The last record.
    pub fn last(&self) -> Option<&Cdr> {
        self.by_call.values().next_back()
    }

    fn open(&mut self, call: CallId, what: &str) -> Result<&mut Cdr, String> {
        match self.by_call.get_mut(&call) {
            None => Err(format!("{call} is {what} but has never started")),
            Some(cdr) if cdr.ended.is_some() || cdr.orphaned => Err(format!("{call} is {what} after its end")),
            Some(cdr) => Ok(cdr),
        }
    }
}
