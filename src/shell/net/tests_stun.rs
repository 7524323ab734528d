//! The keep-alive of phones on UDP (RFC 5626 8) on real sockets: on the port of SIP, beside SIP, by the address that was asked.

use super::tests::{Bench, OPTIONS, SOON};
use crate::id::Transport;
use crate::stun::message::{BINDING, Class, Message, Writer};
use std::net::UdpSocket;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_binding_request_on_the_sip_port_is_told_where_it_came_from() {
    for (listen, phone) in [
        ("127.0.82.1:0", "127.0.82.2:0"),
        ("0.0.0.0:0", "127.0.82.2:0"),
        ("[::1]:0", "[::1]:0"),
    ] {
        let mut bench = Bench::new();
        let bound = bench.listen(Transport::Udp, listen);
        let called = if bound.ip().is_unspecified() {
            ([127, 0, 82, 3], bound.port()).into()
        } else {
            bound
        };
        let socket = UdpSocket::bind(phone).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let request = Writer::new(Class::Request, BINDING, [7; 12]).finish();
        socket.send_to(&request, called).unwrap();
        socket.send_to(OPTIONS, called).unwrap();
        // What is no request is not answered, and disturbs nobody.
        let response = Writer::new(Class::Success, BINDING, [8; 12]).finish();
        socket.send_to(&response, called).unwrap();
        socket.send_to(&request[..19], called).unwrap();
        let received = tokio::task::spawn_blocking(move || {
            let mut buffer = [0; 200];
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            (socket.local_addr().unwrap(), buffer[..length].to_vec(), from)
        });
        assert_eq!(bench.datagram().1, OPTIONS);
        let (own, octets, from) = received.await.unwrap();
        let answer = Message::parse(&octets).expect("a STUN message");
        assert_eq!(
            (answer.class, answer.transaction, from),
            (Class::Success, [7; 12], called)
        );
        assert_eq!(answer.xor_mapped_address(), Some(own));
        assert_eq!(bench.net.counters().dropped_full.load(Ordering::Relaxed), 0);
    }
}
