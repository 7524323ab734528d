//! Between the parts of a room on two threads: a ring of PCM in each direction. Nobody waits: a part that is behind is heard with a gap, and one that
//! was ahead is taken up again where it is.

use crate::media::room::{Pipe, Pipes};

/// Steps of 20 ms that a ring holds: the ticks of two threads are never far apart.
const STEPS: usize = 5;
/// Steps that wait before the first is taken, and to which a ring is brought back that was full.
const AHEAD: usize = 2;

/// Makes them.
#[derive(Debug)]
pub struct Rings;

impl Pipes for Rings {
    fn pair(&mut self, samples: usize) -> [Box<dyn Pipe>; 2] {
        let (there, from_here) = rtrb::RingBuffer::new(STEPS * samples);
        let (back, from_there) = rtrb::RingBuffer::new(STEPS * samples);
        [(there, from_there), (back, from_here)].map(|(out, inward)| -> Box<dyn Pipe> {
            Box::new(End {
                out,
                inward,
                plays: false,
            })
        })
    }
}

#[derive(Debug)]
struct End {
    out: rtrb::Producer<i16>,
    inward: rtrb::Consumer<i16>,
    plays: bool,
}

impl Pipe for End {
    fn put(&mut self, pcm: &[i16]) {
        // A part that is gone, or has stopped, is not waited for.
        if let Ok(space) = self.out.write_chunk_uninit(pcm.len()) {
            space.fill_from_iter(pcm.iter().copied());
        }
    }

    fn take(&mut self, pcm: &mut [i16]) -> bool {
        let step = pcm.len();
        let waits = self.inward.slots() / step;
        if waits == 0 || (!self.plays && waits < AHEAD) {
            self.plays = false;
            return false;
        }
        self.plays = true;
        if waits == STEPS
            && let Ok(old) = self.inward.read_chunk((STEPS - AHEAD) * step)
        {
            old.commit_all();
        }
        let Ok(chunk) = self.inward.read_chunk(step) else {
            return false;
        };
        let (first, second) = chunk.as_slices();
        let (head, tail) = pcm.split_at_mut(first.len());
        head.copy_from_slice(first);
        tail.copy_from_slice(second);
        chunk.commit_all();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_hears_the_other_two_steps_later() {
        let [mut one, mut other] = Rings.pair(4);
        let mut heard = [0; 4];
        for n in 0..50i16 {
            one.put(&[n; 4]);
            other.put(&[-n; 4]);
            let hears = other.take(&mut heard);
            assert_eq!(hears, n > 0);
            assert!(!hears || heard == [n - 1; 4], "{n}: {heard:?}");
            let hears = one.take(&mut heard);
            assert!(hears == (n > 0) && (!hears || heard == [1 - n; 4]), "{n}: {heard:?}");
        }
    }

    #[test]
    fn who_was_behind_is_heard_again_without_a_backlog() {
        let [mut one, mut other] = Rings.pair(4);
        (0..20).for_each(|n| one.put(&[n; 4]));
        let mut heard = [0; 4];
        // Five are there, of which three are too old.
        assert!(other.take(&mut heard) && heard == [3; 4], "{heard:?}");
        assert!(other.take(&mut heard) && heard == [4; 4], "{heard:?}");
        // It runs dry, and waits for two.
        assert!(!other.take(&mut heard));
        one.put(&[7; 4]);
        assert!(!other.take(&mut heard));
        one.put(&[8; 4]);
        assert!(other.take(&mut heard) && heard == [7; 4]);
        // Nobody is there any more.
        drop(one);
        assert!(other.take(&mut heard));
        (0..20).for_each(|_| other.put(&[1; 4]));
        assert!(!other.take(&mut heard));
    }
}
