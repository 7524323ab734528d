//! A port that browsers share: whose a datagram is, and what is told of that meanwhile.

use super::calls;
use std::net::SocketAddr;
use tandem::id::{MediaLegId, WorkerId};
use tandem::keyed::Key;
use tandem::limits;
use tandem::media::command::CheckName;
use tandem::media::shared::SharedPort;
use tandem::stun::message::{BINDING, Class, Writer, kind};

/// Twice as many legs as there is room for come and go, with more sources than they may have.
pub fn shared() {
    const LEGS: u64 = 64;
    let mut port = SharedPort::new(LEGS as usize, Key::new([9; 16]));
    let check = |name: &str| {
        let mut writer = Writer::new(Class::Request, BINDING, [1; 12]);
        writer.attribute(kind::USERNAME, format!("{name}:them").as_bytes());
        writer.fingerprint();
        writer.finish()
    };
    let of_leg = |leg: u64| (format!("{leg:016}"), check(&format!("{leg:016}")));
    let legs: Vec<(String, Vec<u8>)> = (0..2 * LEGS).map(of_leg).collect();
    let (mut found, before) = (0, calls());
    for round in 0..50u16 {
        for (leg, (name, check)) in (0..).zip(&legs) {
            let id = MediaLegId(leg);
            port.name(id, CheckName::of(name.as_bytes()).expect("a name"));
            for nth in 0..limits::RTC_ADDRESSES as u16 + 2 {
                let from = SocketAddr::from(([203, 0, round as u8, leg as u8], 1_000 + nth));
                port.source(id, from, true);
                found += usize::from(port.leg(from, check) == Some(id));
                found += usize::from(port.leg(from, &[0x80, 111, 0, 1]) == Some(id));
                port.source(id, from, nth % 3 != 0);
            }
            port.moved(id, Some(WorkerId(1)));
            let old = MediaLegId((leg + LEGS / 2) % (2 * LEGS));
            port.forget(old);
        }
    }
    assert_eq!(calls() - before, 0, "the shared port called the allocator");
    assert!(found > 10_000, "{found}");
}
