//! Members of a room who are browsers: some speak, all hear, and what each hears is judged as that of telephones is (`mix`). With one who
//! speaks and many who send nothing it is a stream that is passed on to an audience.

use super::browser::Browser;
use super::crowd::Crowd;
use crate::media::generator::{Delay, WINDOW, Work, pace};
use crate::media::sdp::{End, Offered};
use crate::mix::members::{self, Member, Record};
use crate::mix::scene::Spec;
use crate::mix::voice::Material;
use std::sync::atomic::AtomicU8;
use std::time::Instant;

/// All of them.
pub struct Voices {
    pub crowd: Crowd,
    spec: Spec,
    /// So many send; the others only listen.
    sends: usize,
    members: Vec<Member>,
    material: Material,
    buffer: [u8; 2_048],
}

impl Voices {
    /// A room's; `sends`: how many of them send at all.
    pub fn new(spec: Spec, sends: usize) -> Result<Voices, String> {
        Ok(Voices {
            crowd: Crowd::new(true)?,
            spec,
            sends,
            members: Vec::new(),
            material: Material::new(Offered::Opus),
            buffer: [0; 2_048],
        })
    }

    /// Takes those who have joined, each with the payload type of what it hears.
    pub fn add(&mut self, browsers: Vec<(Browser, u8)>) -> Result<(), String> {
        let mut all = Vec::new();
        for (browser, payload_type) in browsers {
            let mut end = End::plain(browser.place());
            end.payload_type = payload_type;
            self.members.push(Member::new(self.members.len(), end, &self.spec));
            all.push(browser);
        }
        self.crowd.add(all)
    }

    /// Has them at work until the phase is `OVER`.
    pub fn run(&mut self, phase: &AtomicU8) -> Record {
        self.members.iter_mut().for_each(Member::forget);
        let packets = self.members.len() as u64;
        let mut run = Run {
            voices: self,
            record: Record::default(),
        };
        let behind = pace(&mut run, packets, phase);
        let mut record = run.record;
        record.behind = behind;
        record.delay = Delay::default();
        // Who speaks to an audience hears nobody.
        let alone = usize::from(self.sends == 1);
        members::judge(&self.members[alone..], &self.material, &mut record);
        record
    }
}

struct Run<'v> {
    voices: &'v mut Voices,
    record: Record,
}

impl Work for Run<'_> {
    fn send(&mut self, number: u64, phase: u8) {
        let voices = &mut *self.voices;
        let at = (number % voices.members.len() as u64) as usize;
        if at >= voices.sends {
            return;
        }
        let length = voices.members[at].next(&voices.material, &mut voices.buffer);
        if voices.crowd.browsers[at].send(&voices.buffer[..length]) {
            self.record.sent += u64::from(phase == WINDOW);
        }
    }

    fn receive(&mut self, phase: u8, _begin: Instant) {
        let Voices {
            crowd,
            members,
            material,
            ..
        } = &mut *self.voices;
        let record = &mut self.record;
        let ticks = material.ticks();
        let forged = crowd.receive(|_, packet| {
            if packet.is_report {
                return;
            }
            let window = (phase == WINDOW).then_some(&mut *record);
            let heard = members[packet.to].hear(&packet.octets, packet.at, ticks, window);
            record.wrong += u64::from(heard.is_none() && phase == WINDOW);
        });
        self.record.wrong += forged;
        self.voices.crowd.serve();
    }
}
