//! The packet path of TURN takes nothing from the heap, and an allocation takes at most 3.5 KiB of it. In its own program, since it counts every
//! allocation.

use sip_tests::counting::{Counting, bytes_of, count};
use sip_tests::turn::lab::config;
use sip_tests::turn::wire::{Raw, attr, channel_data, kind};
use sip_tests::turn::{Caller, Lab};
use std::net::SocketAddr;
use tandem::relay::{Client, Packet, RelayId, Server, Way};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What an allocation may take, its entries in all tables included.
const BUDGET: isize = 3_584;

fn peer(n: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, n], 9_000))
}

fn callers(lab: &mut Lab, number: u16, peers: u8) -> Vec<Caller> {
    let mut all = Vec::new();
    for n in 0..number {
        let user = format!("{}:user{n}", sip_tests::turn::lab::EPOCH + 80_000);
        let mac = sip_tests::turn::wire::hmac(
            sip_tests::turn::wire::Hash::Sha1,
            sip_tests::turn::lab::SECRET.as_bytes(),
            user.as_bytes(),
        );
        let password = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mac);
        let mut caller = lab.caller(&format!("203.0.113.{}:{}", n % 200, 4_000 + n), &user, &password);
        lab.allocate(&mut caller);
        for n in 0..peers {
            assert_eq!(lab.bind(&mut caller, 0x4000 + u16::from(n), peer(n)).error(), None);
        }
        lab.told(caller.via);
        all.push(caller);
    }
    all
}

/// What the server of a lab with so many of them takes, weighed by what is freed when it goes.
fn weight(number: u16, peers: u8) -> isize {
    let mut lab = Lab::new(1, "  lifetime: 1h\n");
    callers(&mut lab, number, peers);
    assert_eq!(lab.server.allocations(), usize::from(number));
    let empty = Server::new(&config(""), &[], [0; 32]);
    let server = std::mem::replace(&mut lab.server, empty);
    -bytes_of(|| drop(server)).0
}

#[test]
fn an_allocation_takes_three_and_a_half_kilobytes_at_most() {
    let none = weight(0, 0);
    for (peers, words) in [
        (1, "with one peer"),
        (tandem::limits::RELAY_CHANNELS as u8, "with all that it may have"),
    ] {
        let number = 200;
        let each = (weight(number, peers) - none) / number as isize;
        println!("a TURN allocation {words}: {each} bytes");
        assert!(each <= BUDGET, "{words}: {each} bytes");
    }
}

#[test]
fn no_packet_takes_anything_from_the_heap() {
    let mut lab = Lab::new(2, "");
    let caller = callers(&mut lab, 1, 1).remove(0);
    let sip_tests::turn::Via::Udp(from, _) = caller.via else {
        unreachable!()
    };
    let client = Client::Datagrams { listener: 0, from };
    let mut by_stream = lab.stream(3, "203.0.113.250:5000", "alice", "swordfish");
    lab.allocate(&mut by_stream);
    lab.bind(&mut by_stream, 0x4000, peer(0));
    let stream = Client::Stream {
        id: tandem::relay::StreamId(3),
        from: "203.0.113.250:5000".parse().unwrap(),
    };
    let clock = lab.clock();
    let send = Raw::new(kind::SEND, [1; 12])
        .with_address(attr::PEER, peer(0))
        .with(attr::DATA, &[5; 172])
        .write(None, true);
    let channel = channel_data(0x4000, &[5; 172], true);
    let unbound = channel_data(0x4001, &[5; 172], true);
    let mut packet = Packet::default();
    let (mut to_peers, mut to_clients, mut nowhere) = (0, 0, 0);
    let before = count();
    for n in 0..3_000u32 {
        for client in [client, stream] {
            for octets in [&channel, &send, &unbound] {
                packet.copy(octets);
                match lab.server.from_client(clock, client, &mut packet) {
                    Way::Peer(..) | Way::Media(..) => to_peers += 1,
                    Way::Client(_) => to_clients += 1,
                    Way::Nowhere => nowhere += 1,
                }
            }
        }
        for relay in [RelayId(0), RelayId(1)] {
            // By the channel, by an indication, and without a permission.
            for from in [peer(0), SocketAddr::new(peer(0).ip(), 9_001), peer(77)] {
                packet.copy(&send[..(n % 170) as usize]);
                match lab.server.from_peer(clock.now, relay, from, &mut packet) {
                    Way::Client(_) => to_clients += 1,
                    Way::Peer(..) | Way::Media(..) | Way::Nowhere => nowhere += 1,
                }
            }
        }
    }
    let after = count();
    assert_eq!((after.taken - before.taken, after.freed - before.freed), (0, 0));
    assert_eq!((to_peers, to_clients, nowhere), (12_000, 12_000, 12_000));
}
