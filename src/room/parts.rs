//! The workers that a room lies on: one, and another for each thousand members that it has beyond; the parts hear one another
//! (`Command::LinkRoom`). What is played to all, or recorded, is of the first part, which the others hear.

use crate::id::{MediaRoomId, WorkerId};
use crate::limits;
use crate::media::command::{Command, RoomSpec};

/// Names of parts of one room: a room's own, and those behind it.
pub(super) const NAMES: u64 = 16;
const _: () = assert!(limits::ROOM_LINKS < NAMES as usize, "each part has a name");

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    id: MediaRoomId,
    worker: WorkerId,
}

/// All parts of a room, in the order in which they were opened.
#[derive(Debug)]
pub(super) struct Parts(Vec<Part>);

impl Parts {
    /// Of a room that lies on one worker.
    pub(super) fn new(id: MediaRoomId, worker: WorkerId) -> Parts {
        Parts(vec![Part { id, worker }])
    }

    /// Where what all hear is played, and the mix is recorded.
    pub(super) fn first(&self) -> (WorkerId, MediaRoomId) {
        (self.0[0].worker, self.0[0].id)
    }

    /// A part as members name it.
    pub(super) fn get(&self, part: u8) -> Option<(WorkerId, MediaRoomId)> {
        let part = self.0.get(usize::from(part))?;
        Some((part.worker, part.id))
    }

    /// The worker that has a place for one more, if its part is there; `taken` is how many are in each.
    pub(super) fn free(&self, taken: impl Fn(u8) -> usize) -> Option<WorkerId> {
        let mut parts = self.0.iter().zip(0u8..);
        let free = parts.find(|(_, part)| taken(*part) < limits::ROOM_PART);
        free.map(|(part, _)| part.worker)
    }

    /// The part for one more, whose media is on this worker: one that has a place, or a new one there, which the commands open. Where all
    /// workers have their part and are full, the one with the fewest.
    pub(super) fn place(
        &mut self,
        worker: WorkerId,
        spec: RoomSpec,
        taken: impl Fn(u8) -> usize,
    ) -> (u8, Vec<(WorkerId, Command)>) {
        let count = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        if let Some(part) = (0..count).find(|part| taken(*part) < limits::ROOM_PART) {
            return (part, Vec::new());
        }
        let has_part = self.0.iter().any(|part| part.worker == worker);
        if has_part || usize::from(count) > limits::ROOM_LINKS {
            let least = (0..count).min_by_key(|part| taken(*part)).unwrap_or(0);
            return (least, Vec::new());
        }
        let id = MediaRoomId(self.0[0].id.0 + u64::from(count));
        let mut commands = vec![(worker, Command::OpenRoom(RoomSpec { id, ..spec }))];
        for other in &self.0 {
            let (room, to) = (other.id, id);
            commands.push((worker, Command::LinkRoom { room: to, to: room }));
            commands.push((other.worker, Command::LinkRoom { room, to }));
        }
        self.0.push(Part { id, worker });
        (count, commands)
    }

    /// What ends all of them.
    pub(super) fn close(&self) -> impl Iterator<Item = (WorkerId, Command)> {
        self.0.iter().map(|part| (part.worker, Command::CloseRoom(part.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::Rate;

    #[test]
    fn a_part_is_opened_where_a_member_is_when_the_others_are_full() {
        let spec = RoomSpec {
            id: MediaRoomId(16),
            rate: Rate::Wide,
            speakers: 4,
            seats: 9,
            levels: true,
            gate: true,
            forwards: false,
        };
        let full = limits::ROOM_PART;
        let mut parts = Parts::new(spec.id, WorkerId(0));
        let mut place =
            |worker, taken: [usize; 3]| parts.place(WorkerId(worker), spec, |part| taken[usize::from(part)]);
        assert_eq!(place(1, [full - 1, 0, 0]), (0, Vec::new()));
        // Its worker has a part that is full: there is no better place.
        assert_eq!(place(0, [full, 0, 0]), (0, Vec::new()));
        let id = |n: u64| MediaRoomId(16 + n);
        let link = |at, room, to| {
            (
                WorkerId(at),
                Command::LinkRoom {
                    room: id(room),
                    to: id(to),
                },
            )
        };
        let open = |at, room| (WorkerId(at), Command::OpenRoom(RoomSpec { id: id(room), ..spec }));
        let want = vec![open(1, 1), link(1, 1, 0), link(0, 0, 1)];
        assert_eq!(place(1, [full, 0, 0]), (1, want));
        let want = vec![open(2, 2), link(2, 2, 0), link(0, 0, 2), link(2, 2, 1), link(1, 1, 2)];
        assert_eq!(place(2, [full, full, 0]), (2, want));
        assert_eq!(place(1, [full, full, full - 3]), (2, Vec::new()));
        assert_eq!(place(1, [full + 2, full + 1, full + 5]), (1, Vec::new()));
        assert_eq!(parts.free(|part| full - usize::from(part == 1)), Some(WorkerId(1)));
        assert_eq!(parts.free(|_| full), None);
        let closed: Vec<_> = parts.close().map(|(worker, _)| worker.0).collect();
        assert_eq!(closed, [0, 1, 2]);
    }
}
