//! What happens in the demo, in order, and what must be true of it.

use super::runner::{Handle, Heard};
use super::sound::{Judgement, write_wav};
use super::{ALICE_HZ, BOB_HZ, CARRIER_HZ, call};
use crate::media::command::LegStats;
use crate::phone::{Command, Report};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long anything may take before the demo says that it failed.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the parties talk.
const TALK: Duration = Duration::from_secs(3);
/// What must be left of it after set-up and jitter buffer, in seconds.
const TALKED: f32 = 2.3;

struct Party {
    name: &'static str,
    hz: f32,
    handle: Handle,
    sound: Vec<i16>,
    stats: LegStats,
    codec: &'static str,
    digits: String,
    said: Vec<Report>,
}

/// One line of the closing table.
struct Line {
    call: &'static str,
    leg: &'static str,
    codec: &'static str,
    stats: LegStats,
    tone: String,
    held: bool,
}

/// The parties and what was seen so far.
pub struct Script {
    carrier: Party,
    alice: Party,
    bob: Party,
    start: Instant,
    out: PathBuf,
    lines: Vec<Line>,
    failures: Vec<String>,
}

impl Script {
    pub fn new(carrier: Handle, alice: Handle, bob: Handle, out: &Path) -> Script {
        Script {
            carrier: Party::new("carrier", CARRIER_HZ, carrier),
            alice: Party::new("alice", ALICE_HZ, alice),
            bob: Party::new("bob", BOB_HZ, bob),
            start: Instant::now(),
            out: out.to_owned(),
            lines: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Plays everything; true if all of it held.
    pub async fn play(&mut self) -> bool {
        if let Err(why) = self.scenes().await {
            self.failures.push(why);
        }
        self.table();
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
        let held = self.failures.is_empty() && self.lines.iter().all(|line| line.held);
        println!("{}", if held { "All of it held." } else { "Not all of it held." });
        held
    }

    async fn scenes(&mut self) -> Result<(), String> {
        self.register().await?;
        self.carrier_calls_alice().await?;
        self.alice_calls_carrier().await?;
        self.alice_calls_bob().await
    }

    async fn register(&mut self) -> Result<(), String> {
        for party in [&mut self.alice, &mut self.bob] {
            party.order(Command::Register).await;
            party.wait(|report| matches!(report, Report::Registered)).await?;
            say(self.start, &format!("{} is registered", party.name));
        }
        Ok(())
    }

    async fn carrier_calls_alice(&mut self) -> Result<(), String> {
        let name = "carrier -> alice";
        say(
            self.start,
            "the carrier calls +14155550101, which is alice: G.711 A-law <-> Opus",
        );
        self.carrier.order(call("+14155550101")?).await;
        connect(self.start, &mut self.carrier, &mut self.alice).await?;
        tokio::time::sleep(TALK).await;
        say(self.start, "the carrier sends the digits 4, 2 and #");
        self.carrier.order(Command::Digits("42#".into())).await;
        self.alice.digits("42#").await?;
        say(self.start, "alice got all three, in order");
        hang_up(self.start, &mut self.carrier, &mut self.alice).await?;
        self.judge(name, true);
        Ok(())
    }

    async fn alice_calls_carrier(&mut self) -> Result<(), String> {
        say(
            self.start,
            "alice calls +14155550199 at the carrier: Opus <-> G.711 A-law",
        );
        self.alice.order(call("+14155550199")?).await;
        connect(self.start, &mut self.alice, &mut self.carrier).await?;
        tokio::time::sleep(TALK).await;
        say(self.start, "alice sends the digits 1 and 0");
        self.alice.order(Command::Digits("10".into())).await;
        self.carrier.digits("10").await?;
        say(self.start, "the carrier got both, in order");
        hang_up(self.start, &mut self.carrier, &mut self.alice).await?;
        self.judge("alice -> carrier", true);
        Ok(())
    }

    async fn alice_calls_bob(&mut self) -> Result<(), String> {
        say(
            self.start,
            "alice calls bob: Opus on both sides, relayed without decoding",
        );
        self.alice.order(call("bob")?).await;
        connect(self.start, &mut self.alice, &mut self.bob).await?;
        tokio::time::sleep(TALK).await;
        self.alice.order(Command::Hold).await;
        self.alice.wait(|report| matches!(report, Report::Changed)).await?;
        self.bob.wait(|report| matches!(report, Report::Held(true))).await?;
        say(self.start, "alice has put bob on hold");
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.alice.order(Command::Resume).await;
        self.alice.wait(|report| matches!(report, Report::Changed)).await?;
        self.bob.wait(|report| matches!(report, Report::Held(false))).await?;
        say(self.start, "alice has taken bob back");
        tokio::time::sleep(Duration::from_secs(2)).await;
        hang_up(self.start, &mut self.alice, &mut self.bob).await?;
        let heard = Judgement::of(&self.alice.sound, BOB_HZ).seconds();
        if heard < TALKED + 1.0 {
            self.failures
                .push(format!("after hold and resume alice heard bob for {heard:.1} s only"));
        }
        self.judge("alice -> bob", false);
        Ok(())
    }

    /// Closes a call: one line and one sound file per leg.
    fn judge(&mut self, name: &'static str, with_carrier: bool) {
        let (first, second) = if with_carrier {
            (&mut self.carrier, &mut self.alice)
        } else {
            (&mut self.alice, &mut self.bob)
        };
        for (listener, speaker) in [(&*first, second.hz), (&*second, first.hz)] {
            let judgement = Judgement::of(&listener.sound, speaker);
            let clean = judgement.is_clean(TALKED);
            let tone = format!(
                "{speaker} Hz for {:.1} s at {:.0} dBm0",
                judgement.seconds(),
                judgement.level
            );
            let held = clean && listener.stats.received > 0;
            self.lines.push(Line {
                call: name,
                leg: listener.name,
                codec: listener.codec,
                stats: listener.stats,
                tone,
                held,
            });
            let file = self.out.join(format!(
                "{}-heard-by-{}.wav",
                name.replace(" -> ", "-calls-"),
                listener.name
            ));
            if let Err(why) = write_wav(&file, &listener.sound) {
                self.failures.push(why);
            }
        }
        first.forget();
        second.forget();
    }

    fn table(&self) {
        println!(
            "\n{:<18}{:<9}{:<6}{:>7}{:>7}{:>6}{:>9}{:>6}  heard",
            "call", "leg", "codec", "in", "out", "lost", "jitter", "MOS"
        );
        for line in &self.lines {
            let mos = line.stats.mos.map_or_else(|| "-".to_owned(), |mos| format!("{mos:.1}"));
            println!(
                "{:<18}{:<9}{:<6}{:>7}{:>7}{:>6}{:>6.1} ms{mos:>6}  {} {}",
                line.call,
                line.leg,
                line.codec,
                line.stats.received,
                line.stats.sent,
                line.stats.lost,
                f64::from(line.stats.jitter_us) / 1000.0,
                line.tone,
                if line.held { "ok" } else { "WRONG" },
            );
        }
        println!("\nWhat each one heard is in {}/*.wav.", self.out.display());
    }
}

impl Party {
    fn new(name: &'static str, hz: f32, handle: Handle) -> Party {
        Party {
            name,
            hz,
            handle,
            sound: Vec::new(),
            stats: LegStats::default(),
            codec: "-",
            digits: String::new(),
            said: Vec::new(),
        }
    }

    async fn order(&self, command: Command) {
        // The runner lives as long as the script.
        let _ = self.handle.commands.send(command).await;
    }

    /// Waits for a report; what else is told on the way is kept.
    async fn wait(&mut self, wanted: impl Fn(&Report) -> bool) -> Result<(), String> {
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
            Heard::Report(Report::Digit(digit)) => self.digits.push(digit),
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

    async fn digits(&mut self, wanted: &str) -> Result<(), String> {
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

    fn forget(&mut self) {
        self.said.clear();
        self.sound.clear();
        self.digits.clear();
        self.stats = LegStats::default();
    }
}

async fn connect(start: Instant, caller: &mut Party, callee: &mut Party) -> Result<(), String> {
    callee.wait(|report| matches!(report, Report::Incoming)).await?;
    caller.wait(|report| matches!(report, Report::Ringing)).await?;
    say(start, &format!("it rings at {}", callee.name));
    caller.wait(|report| matches!(report, Report::Up(..))).await?;
    callee.wait(|report| matches!(report, Report::Up(..))).await?;
    say(
        start,
        &format!(
            "{} answered: {} {}, {} {}",
            callee.name, caller.name, caller.codec, callee.name, callee.codec
        ),
    );
    Ok(())
}

async fn hang_up(start: Instant, first: &mut Party, second: &mut Party) -> Result<(), String> {
    first.order(Command::HangUp).await;
    for party in [first, second] {
        party.wait(|report| matches!(report, Report::Ended { .. })).await?;
        party.wait(|report| matches!(report, Report::Media(_))).await?;
    }
    say(start, "the call is over on both sides");
    Ok(())
}

fn say(start: Instant, what: &str) {
    println!("{:6.2} s  {what}", start.elapsed().as_secs_f32());
}
