//! What happens in the demo, in order, and what must be true of it.

use super::party::Party;
use super::runner::Handle;
use super::sound::{Judgement, write_wav};
use super::{ALICE_HZ, BOB_HZ, CARRIER_HZ, call};
use crate::media::command::LegStats;
use crate::media::witness::Testimony;
use crate::phone::{Command, Report};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long the parties talk.
const TALK: Duration = Duration::from_secs(3);
/// What must be left of it after set-up and jitter buffer, in seconds.
const TALKED: f32 = 2.3;

/// One line of the closing table.
struct Line {
    call: &'static str,
    leg: &'static str,
    codec: &'static str,
    stats: LegStats,
    witness: Testimony,
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
            party.show_ladder()?;
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
        talk(TALK, &mut self.carrier, &mut self.alice).await?;
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
        talk(TALK, &mut self.alice, &mut self.carrier).await?;
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
        talk(TALK, &mut self.alice, &mut self.bob).await?;
        self.alice.order(Command::Hold).await;
        self.alice.wait(|report| matches!(report, Report::Changed)).await?;
        self.bob.wait(|report| matches!(report, Report::Held(true))).await?;
        say(self.start, "alice has put bob on hold");
        talk(Duration::from_secs(1), &mut self.alice, &mut self.bob).await?;
        self.alice.order(Command::Resume).await;
        self.alice.wait(|report| matches!(report, Report::Changed)).await?;
        self.bob.wait(|report| matches!(report, Report::Held(false))).await?;
        say(self.start, "alice has taken bob back");
        talk(Duration::from_secs(2), &mut self.alice, &mut self.bob).await?;
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
            for why in super::check::differences(&listener.stats, &listener.witness) {
                self.failures.push(format!("{name}, {}: {why}", listener.name));
            }
            self.lines.push(Line {
                call: name,
                leg: listener.name,
                codec: listener.codec,
                stats: listener.stats,
                witness: listener.witness.clone(),
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
                line.witness.packets,
                line.stats.sent,
                line.witness.missing,
                f64::from(line.stats.jitter_us) / 1000.0,
                line.tone,
                if line.held { "ok" } else { "WRONG" },
            );
        }
        let sum = |of: fn(&Testimony) -> u64| self.lines.iter().map(|line| of(&line.witness)).sum::<u64>();
        println!(
            "\nRead once more by others than our own parsers, and held against what those counted:\n  \
             {} RTP packets, of which {} begin a talkspurt or a digit (crate rtp): the columns in and lost\n  \
             {} RTCP reports, by which {} packets were lost on the way to the node (crate rtcp)\n  \
             {} SIP messages: the lines of arrows (crate rsip)",
            sum(|seen| seen.packets),
            sum(|seen| seen.markers),
            sum(|seen| seen.reports),
            sum(|seen| seen.peer_lost.map_or(0, |lost| u64::try_from(lost).unwrap_or(0))),
            self.carrier.steps + self.alice.steps + self.bob.steps,
        );
        println!("What each one heard is in {}/*.wav.", self.out.display());
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
    for party in [&mut *first, &mut *second] {
        party.wait(|report| matches!(report, Report::Ended { .. })).await?;
        party.wait(|report| matches!(report, Report::Media(_))).await?;
    }
    say(start, "the call is over on both sides");
    first.show_ladder()?;
    second.show_ladder()
}

/// Lets them talk; then everything that was said to set it up has arrived.
async fn talk(time: Duration, first: &mut Party, second: &mut Party) -> Result<(), String> {
    tokio::time::sleep(time).await;
    first.show_ladder()?;
    second.show_ladder()
}

fn say(start: Instant, what: &str) {
    println!("{:6.2} s  {what}", start.elapsed().as_secs_f32());
}
