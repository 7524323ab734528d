//! What happens within dialogs, in the simulated world: media before the answer, reliable ringing, changes from either side,
//! refresh, transfer, replacement, identity, and how calls end. Each test names the RFC section or the race that it is for.

#![allow(missing_docs)]

#[path = "dialogs/attended.rs"]
mod attended;
#[path = "dialogs/connections.rs"]
mod connections;
#[path = "dialogs/early_media.rs"]
mod early_media;
#[path = "dialogs/endings.rs"]
mod endings;
#[path = "dialogs/forks.rs"]
mod forks;
#[path = "dialogs/glare.rs"]
mod glare;
#[path = "dialogs/hold.rs"]
mod hold;
#[path = "dialogs/hold_music.rs"]
mod hold_music;
#[path = "dialogs/identity.rs"]
mod identity;
#[path = "dialogs/in_dialog.rs"]
mod in_dialog;
#[path = "dialogs/late_offer.rs"]
mod late_offer;
#[path = "dialogs/leaks.rs"]
mod leaks;
#[path = "dialogs/loops.rs"]
mod loops;
#[path = "dialogs/own_host.rs"]
mod own_host;
#[path = "dialogs/recorded.rs"]
mod recorded;
#[path = "dialogs/refer.rs"]
mod refer;
#[path = "dialogs/refer_refused.rs"]
mod refer_refused;
#[path = "dialogs/reinvite.rs"]
mod reinvite;
#[path = "dialogs/reliable.rs"]
mod reliable;
#[path = "dialogs/replaces.rs"]
mod replaces;
#[path = "dialogs/routes.rs"]
mod routes;
#[path = "dialogs/sdp_forms.rs"]
mod sdp_forms;
#[path = "dialogs/session_timer.rs"]
mod session_timer;
#[path = "dialogs/siprec.rs"]
mod siprec;
#[path = "dialogs/strays.rs"]
mod strays;
#[path = "dialogs/tools.rs"]
mod tools;
#[path = "dialogs/update.rs"]
mod update;
