//! Any datagrams at a call that transcodes G.711 to Opus: RTP, RTCP, telephone events, in any order and at any time.

use codecs::Codec;
use std::net::SocketAddr;
use std::time::Duration;
use tandem::id::{MediaLegId, WorkerId};
use tandem::media::command::{Command, Dtmf, EventFormat, Function, LegSpec, OpusParams, Port, Remote, Stream, Xr};
use tandem::media::input::Outputs;
use tandem::media::packet::{Channel, LegIx, Packet, TxBatch};
use tandem::media::prepare::Preparer;
use tandem::media::worker::{Tick, Worker};
use tandem::time::Instant;

/// One datagram: a byte that says to which leg, on which channel and how long after the last; and its octets.
pub type Datagram<'a> = (u8, &'a [u8]);

fn address(leg: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, leg + 1], 4_000))
}

fn stream(codec: Codec, payload_type: u8) -> Stream {
    let events = Some(EventFormat {
        payload_type: 101,
        clock: codec.clock(),
    });
    Stream {
        codec,
        payload_type_tx: payload_type,
        payload_type_rx: payload_type,
        ptime_ms: 20,
        events_tx: events,
        events_rx: events,
        dtmf: Dtmf::default(),
        opus: OpusParams::default(),
        gain: Default::default(),
        comfort_noise: false,
        sends: true,
        receives: true,
        udptl: false,
        carries_data: false,
    }
}

/// What sets up two legs and joins them.
fn commands() -> Vec<Command> {
    let mut list = Vec::new();
    for (leg, stream) in (0u8..).zip([stream(Codec::Pcmu, 0), stream(Codec::Opus, 111)]) {
        let (id, rtp) = (MediaLegId(leg.into()), address(leg));
        let port = Port { rtp: 20_000, v6: false };
        let spec = LegSpec {
            id,
            port,
            ssrc: 7,
            first_sequence: 1,
            first_timestamp: 1,
            cname: "fuzz".into(),
            rtc: false,
        };
        let remote = Remote {
            rtp,
            rtcp: rtp,
            rtcp_mux: true,
            signalling: rtp.ip(),
            xr: Xr {
                metrics: true,
                round_trip: true,
            },
            forks: false,
        };
        list.push(Command::Open(Box::new(spec)));
        list.push(Command::Negotiated {
            leg: id,
            remote,
            stream,
        });
    }
    list.push(Command::Watch {
        leg: MediaLegId(1),
        silence: None,
        troubles: true,
    });
    list.push(Command::Function {
        leg: MediaLegId(0),
        function: Function::Bridge(MediaLegId(1)),
    });
    list
}

/// Delivers them.
pub fn media(datagrams: Vec<Datagram<'_>>) {
    let (mut worker, mut preparer) = (Worker::new(4), Preparer::default());
    let (mut out, mut outputs) = (TxBatch::new(), Outputs::default());
    let mut now = Instant::ZERO;
    for command in commands() {
        for input in preparer
            .prepare(WorkerId(0), command, 1)
            .expect("the streams are valid")
        {
            worker.on_input(now, input, &mut out, &mut outputs);
        }
        while outputs.pop().is_some() {}
    }
    // A second of call is enough; the length of a run should come from the datagrams.
    for (how, octets) in datagrams.into_iter().take(50) {
        let leg = how & 1;
        let channel = if how & 2 == 0 { Channel::Rtp } else { Channel::Rtcp };
        if let Some(mut packet) = Packet::from_slice(octets) {
            worker.on_packet(
                now,
                LegIx(leg.into()),
                channel,
                address(leg),
                &mut packet,
                &mut out,
                &mut outputs,
            );
            while worker.forward(now, &mut out) {
                out.clear();
            }
        }
        out.clear();
        now += Duration::from_millis(u64::from(how >> 2));
        for _ in 0..4 {
            let tick = worker.on_tick(now, &mut out, &mut outputs);
            while outputs.pop().is_some() {}
            out.clear();
            if matches!(tick, Tick::Done) {
                break;
            }
        }
    }
}
