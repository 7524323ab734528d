//! A room in which nobody is.

use super::view::RoomView;
use crate::config::Config;
use crate::time::Wall;

/// The configured room with this number, as it is while nobody is in it.
pub fn at_rest(config: &Config, number: &str) -> Option<RoomView> {
    let room = config.rooms.iter().find(|room| room.number == number)?;
    Some(RoomView {
        number: room.number.clone(),
        name: room.name.clone(),
        locked: false,
        recorded: false,
        since: Wall(0),
        most: room.max_members,
        members: Vec::new(),
    })
}
