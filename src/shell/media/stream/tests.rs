use super::*;

fn stream_of(number: u32, socket: TcpStream, from: SocketAddr) -> Stream {
    Stream {
        socket,
        leg: MediaLegId(1),
        from: stream::of_stream(NonZeroU32::new(number).unwrap(), from),
        inbox: Inbox::default(),
        rest: Box::new([0; FRAME]),
        waits: 0..0,
        since: Instant::ZERO,
        is_over: false,
        is_refused: false,
        _place: Places::new(1, 1).take(from.ip()).unwrap(),
    }
}

/// A reader that does not read loses whole packets, and what it reads later is whole again; in the end it is given up.
#[test]
fn a_slow_reader_loses_packets_and_nothing_waits_for_it_but_the_rest_of_one() {
    let listener = std::net::TcpListener::bind("127.0.82.44:0").unwrap();
    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, from) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER);
    let mut stream = stream_of(1, socket, from);
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

/// However many there are, a leg's are found; the oldest is the first that goes.
#[test]
fn the_streams_of_a_leg_are_found_among_those_of_all() {
    let listener = std::net::TcpListener::bind("127.0.82.47:0").unwrap();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut streams = Streams::new(rtrb::RingBuffer::new(1).1);
    let room = (streams.by_leg.capacity(), streams.by_number.capacity());
    let mut number = 0;
    let mut add = |streams: &mut Streams, leg: u64| {
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, from) = listener.accept().unwrap();
        number += 1;
        let mut stream = stream_of(number, socket, from);
        stream.leg = MediaLegId(leg);
        streams.add(&epoll, Box::new(stream)).unwrap()
    };
    let mut first = Vec::new();
    for _ in 0..3 {
        first.push(add(&mut streams, 1));
        add(&mut streams, 2);
    }
    let (one, two, none) = (MediaLegId(1), MediaLegId(2), MediaLegId(3));
    assert_eq!([one, two, none].map(|leg| streams.count(leg)), [3, 3, 0]);
    let numbers = |stream: &Stream| stream::connection(stream.from).map(NonZeroU32::get);
    // One that has ended in the middle.
    streams.remove(&epoll, first[1]);
    let gone: Vec<_> = std::iter::from_fn(|| streams.remove_of(&epoll, one)).collect();
    assert_eq!(
        gone.iter().map(|stream| numbers(stream)).collect::<Vec<_>>(),
        [Some(1), Some(5)]
    );
    assert_eq!([one, two].map(|leg| streams.count(leg)), [0, 3]);
    // Its places are others' then.
    for _ in 0..2 {
        add(&mut streams, 2);
    }
    assert_eq!(
        streams.remove_of(&epoll, two).and_then(|stream| numbers(&stream)),
        Some(2)
    );
    while streams.remove_of(&epoll, two).is_some() {}
    assert!(streams.by_leg.is_empty() && streams.by_number.is_empty());
    assert_eq!(streams.free.len(), limits::STREAMS);
    assert_eq!(room, (streams.by_leg.capacity(), streams.by_number.capacity()));
}

/// Out of descriptors (EMFILE): the connection waits where it is, and asking for it without a pause would take the whole processor. By the real clock,
/// of which it takes one pause: tokio's own would be a feature for this test alone.
#[tokio::test]
async fn after_an_error_nothing_is_accepted_for_a_while() {
    let begun = tokio::time::Instant::now();
    let mut asked = 0;
    let next = next_of(|| {
        asked += 1;
        std::future::ready(match asked {
            2 => Ok("a connection"),
            _other => Err(io::Error::from(rustix::io::Errno::MFILE)),
        })
    });
    assert_eq!(next.await, "a connection");
    assert_eq!(asked, 2);
    assert!(begun.elapsed() >= ACCEPT_PAUSE);
}
