//! One who takes part in the demo, as the script sees it: what it was told, what it told, what arrived.

use super::runner::{Handle, Heard};
use crate::media::command::LegStats;
use crate::media::witness::Testimony;
use crate::phone::{Command, Report};
use crate::sip::witness::Step;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long anything may take before the demo says that it failed.
const PATIENCE: Duration = Duration::from_secs(8);

/// The carrier, or a phone.
pub struct Party {
    /// For the page.
    pub name: &'static str,
    /// The tone that it speaks.
    pub hz: f32,
    /// What it heard in the call that is over, at 8 kHz.
    pub sound: Vec<i16>,
    /// What its packet path counted.
    pub stats: LegStats,
    /// What others read in the same packets.
    pub witness: Testimony,
    /// The codec of the call.
    pub codec: &'static str,
    /// SIP messages that were shown.
    pub steps: usize,
    handle: Handle,
    digits: String,
    said: Vec<Report>,
    ladder: Vec<(bool, Step)>,
}

impl Party {
    /// With the tone that it speaks.
    pub fn new(name: &'static str, hz: f32, handle: Handle) -> Party {
        Party {
            name,
            hz,
            handle,
            sound: Vec::new(),
            stats: LegStats::default(),
            codec: "-",
            digits: String::new(),
            said: Vec::new(),
            witness: Testimony::default(),
            ladder: Vec::new(),
            steps: 0,
        }
    }

    /// Tells it what to do.
    pub async fn order(&self, command: Command) {
        // The runner lives as long as the script.
        let _ = self.handle.commands.send(command).await;
    }

    /// Waits for a report; what else is told on the way is kept.
    pub async fn wait(&mut self, wanted: impl Fn(&Report) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.said.iter().position(&wanted) {
                self.said.drain(..=at);
                return Ok(());
            }
            match timeout_at(deadline, self.handle.heard.recv()).await {
                Ok(Some(heard)) => self.take(heard)?,
                Ok(None) | Err(_) => {
                    return Err(format!(
                        "{} waited {} s in vain; last it told {:?}",
                        self.name,
                        PATIENCE.as_secs(),
                        self.said.last()
                    ));
                }
            }
        }
    }

    fn take(&mut self, heard: Heard) -> Result<(), String> {
        match heard {
            Heard::Sound(sound) => self.sound = sound,
            Heard::Testimony(testimony) => self.witness = testimony,
            Heard::Step(sent, step) => self.ladder.push((sent, step)),
            Heard::Objection(why) => return Err(format!("at {}: {why}", self.name)),
            Heard::Report(Report::Digit(digit)) => self.digits.push(digit.0),
            Heard::Report(Report::Media(stats)) => {
                self.stats = stats;
                self.said.push(Report::Media(stats));
            }
            Heard::Report(Report::Up(leg, codec)) => {
                self.codec = codec;
                self.said.push(Report::Up(leg, codec));
            }
            Heard::Report(Report::Ended { status, .. }) if status != 200 => {
                return Err(format!("the call of {} failed with {status}", self.name));
            }
            Heard::Report(Report::NotRegistered(status)) => {
                return Err(format!("{} could not register: {status}", self.name));
            }
            Heard::Report(report) => self.said.push(report),
        }
        Ok(())
    }

    /// Waits until that many digits came, and compares them.
    pub async fn digits(&mut self, wanted: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.digits.len() < wanted.len() {
            match timeout_at(deadline, self.handle.heard.recv()).await {
                Ok(Some(heard)) => self.take(heard)?,
                Ok(None) | Err(_) => break,
            }
        }
        if self.digits == wanted {
            Ok(())
        } else {
            Err(format!(
                "{} got {} of {} digits right",
                self.name,
                self.digits.len(),
                wanted.len()
            ))
        }
    }

    /// Prints the messages since the last time in one line: `->` is sent, `<-` received.
    pub fn show_ladder(&mut self) -> Result<(), String> {
        while let Ok(heard) = self.handle.heard.try_recv() {
            self.take(heard)?;
        }
        let mut line = String::new();
        let mut before = None;
        for (sent, step) in &self.ladder {
            if before != Some(sent) {
                line.push_str(if *sent { "  ->" } else { "  <-" });
                before = Some(sent);
            }
            line.push_str(&format!(" {step}"));
        }
        if !self.ladder.is_empty() {
            println!("            {:<9}{}", self.name, line.trim_start());
        }
        self.steps += self.ladder.len();
        self.ladder.clear();
        Ok(())
    }

    /// A new call begins.
    pub fn forget(&mut self) {
        self.said.clear();
        self.sound.clear();
        self.digits.clear();
        self.stats = LegStats::default();
        self.witness = Testimony::default();
    }
}
