use super::*;

/// A reader that does not read loses whole packets, and what it reads later is whole again; in the end it is given up.
#[test]
fn a_slow_reader_loses_packets_and_nothing_waits_for_it_but_the_rest_of_one() {
    let listener = std::net::TcpListener::bind("127.0.82.44:0").unwrap();
    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, from) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER);
    let mut stream = Stream {
        socket,
        leg: MediaLegId(1),
        from: stream::of_stream(NonZeroU32::MIN, from),
        inbox: Inbox::default(),
        rest: Box::new([0; FRAME]),
        waits: 0..0,
        since: Instant::ZERO,
        is_over: false,
        _place: Places::new(1, 1).take(from.ip()).unwrap(),
    };
    let at = |secs| Instant::ZERO + Duration::from_secs(secs);
    let packet = |n: u32| [&n.to_be_bytes()[..], &[7; 1_200]].concat();
    let mut went = Vec::new();
    let mut lost = 0;
    for n in 0..20_000 {
        match stream.send(at(1), &packet(n)) {
            Sent::Whole | Sent::Part => went.push(n),
            Sent::Lost => lost += 1,
            Sent::Broken => panic!("it is there"),
        }
    }
    assert!(lost > 10_000, "{lost} of 20,000 were lost");
    let (mut inbox, mut into, mut read) = (Inbox::default(), Packet::default(), Vec::new());
    reader.set_nonblocking(true).unwrap();
    while read.len() < went.len() {
        let _ = stream.flush().unwrap();
        match reader.read(inbox.space()) {
            Ok(octets) => inbox.came(octets),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        while inbox.next(&mut into).unwrap() {
            assert_eq!(into.as_slice().len(), 1_204);
            read.push(u32::from_be_bytes(*into.as_slice().first_chunk().unwrap()));
        }
    }
    assert_eq!(read, went);
    assert_eq!(stream.send(at(2), &packet(0)), Sent::Whole);
    // It stops for good, with a packet that went out in part.
    while stream.send(at(3), &packet(0)) != Sent::Lost {}
    let gives_up = stream.send(at(14), &packet(0));
    assert!(gives_up == Sent::Broken || stream.waits.is_empty(), "{gives_up:?}");
    drop(reader);
    assert_eq!(
        (0..1_000).map(|_| stream.send(at(15), &packet(0))).last(),
        Some(Sent::Broken)
    );
}
