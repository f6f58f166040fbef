//! Real sockets over loopback.

use std::{net::SocketAddr, time::Duration};

use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use proptest::prelude::*;

mod bound;

use super::*;

const ANY: usize = usize::MAX;

fn bind(address: &str, options: &UdpOptions) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap(), options).unwrap()
}

/// A sender and the receiver it is connected to.
fn pair(sending: &UdpOptions, receiving: &UdpOptions) -> (UdpSocket, UdpSocket) {
    let options = UdpOptions { recv_buffer: Some(4 << 20), ..receiving.clone() };
    let (sender, receiver) = (bind("127.0.0.1:0", sending), bind("127.0.0.1:0", &options));
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    (sender, receiver)
}

fn await_readable(socket: &UdpSocket) {
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(0), Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, Some(Duration::from_secs(30))).unwrap();
    assert!(!events.is_empty(), "nothing came");
}

/// Receives until `count` datagrams came.
fn receive(socket: &UdpSocket, scratch: &mut Receiver, count: usize) -> Datagrams {
    let mut sink = Datagrams::new();
    while sink.len() < count {
        let received = socket.receive(scratch, &mut sink, ANY).unwrap();
        assert_eq!((received.dropped, received.errors), (0, 0));
        if received.would_block && sink.len() < count {
            await_readable(socket);
        }
    }
    sink
}

fn texts(datagrams: &Datagrams) -> Vec<Vec<u8>> {
    datagrams.iter().map(|(data, _)| data.to_vec()).collect()
}

fn pattern(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at + salt) % 251).unwrap()).collect()
}

#[test]
fn there_and_back_over_both_families() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (one, other) = (bind(address, &UdpOptions::default()), bind(address, &UdpOptions::default()));
        let (from, to) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let (mut out, mut scratch) = (Outgoing::new(), Receiver::default());
        for length in [5, 0, 65_507, 1] {
            out.push(&pattern(length, 0), Some(to)).unwrap();
            let sent = one.send(&mut out).unwrap();
            assert_eq!(sent, Sent { datagrams: 1, bytes: length, ..Sent::default() });
            let came = receive(&other, &mut scratch, 1);
            assert_eq!(came.get(0), (&pattern(length, 0)[..], from));
            assert!(!came.truncated(0));
        }
        other.connect(from).unwrap();
        assert_eq!(other.peer_addr(), Ok(from));
        out.push(b"back", None).unwrap();
        other.send(&mut out).unwrap();
        assert_eq!(receive(&one, &mut scratch, 1).get(0), (&b"back"[..], to));
    }
}

#[test]
fn two_hundred_datagrams_come_in_four_reads() {
    let (sender, receiver) = pair(&UdpOptions { no_gso: true, ..UdpOptions::default() }, &UdpOptions::default());
    let (mut out, mut scratch, mut sink) = (Outgoing::new(), Receiver::default(), Datagrams::new());
    for index in 0..200 {
        out.push(&pattern(1 + index, index), None).unwrap();
    }
    assert_eq!(sender.send(&mut out).unwrap().datagrams, 200);
    assert!(out.is_empty());
    let mut ends = Vec::new();
    while sink.len() < 200 {
        let received = receiver.receive(&mut scratch, &mut sink, ANY).unwrap();
        if received.would_block && sink.len() < 200 {
            await_readable(&receiver);
        } else {
            ends.push(received.would_block);
        }
    }
    assert_eq!(ends.last(), Some(&true), "8 of 64 is a short read: the socket is drained");
    for (index, (data, from)) in sink.iter().enumerate() {
        assert_eq!((data, from), (&pattern(1 + index, index)[..], sender.local_addr().unwrap()));
    }
}

#[test]
fn an_empty_socket_would_block() {
    let socket = bind("127.0.0.1:0", &UdpOptions::default());
    let (mut scratch, mut sink) = (Receiver::default(), Datagrams::new());
    let received = socket.receive(&mut scratch, &mut sink, ANY).unwrap();
    assert_eq!(received, Received { would_block: true, ..Received::default() });
    let sent = socket.send(&mut Outgoing::new()).unwrap();
    assert_eq!(sent, Sent::default());
}

#[test]
fn gso_and_gro_change_nothing_that_is_seen() {
    let data = pattern(20 * 938 + 17, 0);
    let expected: Vec<_> = data.chunks(938).map(<[u8]>::to_vec).collect();
    for (no_gso, no_gro) in [(false, false), (false, true), (true, false), (true, true)] {
        let (sender, receiver) =
            pair(&UdpOptions { no_gso, ..UdpOptions::default() }, &UdpOptions { no_gro, ..UdpOptions::default() });
        let (mut out, mut scratch, mut sink) = (Outgoing::new(), Receiver::default(), Datagrams::new());
        // The first receive is what turns GRO on.
        receiver.receive(&mut scratch, &mut sink, ANY).unwrap();
        assert_eq!(out.push_segments(&data, 938, None), Ok(21));
        let sent = sender.send(&mut out).unwrap();
        assert_eq!(sent, Sent { datagrams: 21, bytes: data.len(), ..Sent::default() });
        assert_eq!(texts(&receive(&receiver, &mut scratch, 21)), expected, "no_gso {no_gso}, no_gro {no_gro}");
        if cfg!(target_os = "linux") && !no_gso && !no_gro {
            assert_eq!(scratch.messages().len(), 1, "it came as one message");
        }
    }
}

#[test]
fn what_the_limit_has_no_room_for_is_dropped_and_counted() {
    let (sender, receiver) = pair(&UdpOptions::default(), &UdpOptions::default());
    let (mut out, mut scratch, mut sink) = (Outgoing::new(), Receiver::default(), Datagrams::new());
    receiver.receive(&mut scratch, &mut sink, ANY).unwrap();
    let limit = 10 * 1000 + 200;
    out.push_segments(&pattern(30 * 1000, 0), 1000, None).unwrap();
    sender.send(&mut out).unwrap();
    let mut dropped = 0;
    while sink.len() + dropped < 30 {
        await_readable(&receiver);
        dropped += receiver.receive(&mut scratch, &mut sink, limit).unwrap().dropped;
    }
    assert_eq!((sink.len(), dropped), (10, 20));
    assert!(sink.held() <= limit);
    assert_eq!(sink.data(), &pattern(30 * 1000, 0)[..10_000]);
    sink.clear();
    out.push(b"after", None).unwrap();
    sender.send(&mut out).unwrap();
    await_readable(&receiver);
    assert_eq!(receiver.receive(&mut scratch, &mut sink, limit).unwrap().datagrams, 1);
}

#[test]
fn a_datagram_longer_than_its_slot_is_cut_and_marked() {
    let (sender, receiver) = pair(&UdpOptions::default(), &UdpOptions::default());
    let (mut out, mut small) = (Outgoing::new(), Receiver::new(1));
    assert_eq!((small.slot_bytes(), Receiver::new(ANY).slot_bytes()), (2048, 65_535));
    for length in [2048, 2049, 3] {
        out.push(&pattern(length, 0), None).unwrap();
    }
    sender.send(&mut out).unwrap();
    let came = receive(&receiver, &mut small, 3);
    assert_eq!(texts(&came), [pattern(2048, 0), pattern(2048, 0), pattern(3, 0)]);
    assert_eq!([0, 1, 2].map(|index| came.truncated(index)), [false, true, false]);
}

#[test]
#[cfg(target_os = "linux")]
fn small_slots_turn_gro_off_or_are_refused_once_it_is_on() {
    let socket = bind("127.0.0.1:0", &UdpOptions::default());
    let (mut full, mut small, mut sink) = (Receiver::default(), Receiver::new(9000), Datagrams::new());
    socket.receive(&mut full, &mut sink, ANY).unwrap();
    let error = socket.receive(&mut small, &mut sink, ANY).unwrap_err().to_string();
    assert!(error.contains("9000 bytes") && error.contains("65535"), "{error}");
    let socket = bind("127.0.0.1:0", &UdpOptions::default());
    socket.receive(&mut small, &mut sink, ANY).unwrap();
    socket.receive(&mut full, &mut sink, ANY).unwrap();
}

#[test]
fn a_peer_that_refuses_stops_nothing() {
    let options = UdpOptions::default();
    let (socket, peer) = (bind("127.0.0.1:0", &options), bind("127.0.0.1:0", &options));
    let (here, there) = (socket.local_addr().unwrap(), peer.local_addr().unwrap());
    socket.connect(there).unwrap();
    drop(peer);
    let (mut out, mut scratch, mut sink) = (Outgoing::new(), Receiver::default(), Datagrams::new());
    let (mut errors, mut queued, mut taken) = (0, 0, 0);
    while errors < 10 {
        out.push(b"is anybody there", None).unwrap();
        queued += 1;
        let sent = socket.send(&mut out).unwrap();
        taken += sent.datagrams;
        errors += sent.errors;
        assert_eq!(taken + errors + out.len(), queued, "each is sent, refused or queued");
    }
    out.push(b"and now", None).unwrap();
    socket.send(&mut out).unwrap();
    await_readable(&socket);
    let received = socket.receive(&mut scratch, &mut sink, ANY).unwrap();
    assert!(received.errors <= 1 && received.would_block && received.datagrams == 0, "{received:?}");
    let peer = UdpSocket::bind(there, &options).unwrap();
    out.push(b"hello", Some(here)).unwrap();
    peer.send(&mut out).unwrap();
    assert_eq!(receive(&socket, &mut scratch, 1).get(0), (&b"hello"[..], there));
    out.push(b"hello too", None).unwrap();
    assert_eq!(socket.send(&mut out).unwrap().datagrams, 1);
    assert_eq!(receive(&peer, &mut scratch, 1).get(0), (&b"hello too"[..], here));
}

#[test]
fn a_refused_datagram_is_skipped_and_the_rest_goes_on() {
    let (sender, receiver) = (bind("127.0.0.1:0", &UdpOptions::default()), bind("127.0.0.1:0", &UdpOptions::default()));
    let to = receiver.local_addr().unwrap();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut out = Outgoing::new();
    out.push(b"one", Some(to)).unwrap();
    out.push(b"no peer", None).unwrap();
    out.push(&pattern(65_508, 0), Some(to)).unwrap();
    out.push_segments(&pattern(100, 0), 10, Some(nowhere)).unwrap();
    out.push(b"two", Some(to)).unwrap();
    let sent = sender.send(&mut out).unwrap();
    assert_eq!((sent.datagrams, sent.errors, sent.would_block), (2, 12, false));
    assert_eq!(texts(&receive(&receiver, &mut Receiver::default(), 2)), [b"one", b"two"]);
    assert!(!cfg!(target_os = "linux") || sender.sends_segments(), "a bad address says nothing about GSO");
}

#[test]
#[cfg(target_os = "linux")]
fn a_kernel_that_refuses_gso_is_asked_once() {
    let (sender, receiver) = pair(&UdpOptions::default(), &UdpOptions::default());
    system::refuse_gso(&sender.socket);
    let (mut out, mut scratch) = (Outgoing::new(), Receiver::default());
    let data = pattern(30 * 100 + 5, 0);
    for _ in 0..2 {
        out.push_segments(&data, 100, None).unwrap();
        let sent = sender.send(&mut out).unwrap();
        assert_eq!(sent, Sent { datagrams: 31, bytes: data.len(), ..Sent::default() });
        let came = receive(&receiver, &mut scratch, 31);
        assert_eq!((came.data(), came.len()), (&data[..], 31));
        assert_eq!(sender.gso_limit.load(Ordering::Relaxed), 99, "of this size for good");
    }
    sender.lower_gso(&io::Error::from_raw_os_error(libc::EIO), 50);
    assert!(!sender.sends_segments());
}

#[test]
fn an_address_in_use_is_named() {
    let options = UdpOptions::default();
    let socket = bind("127.0.0.1:0", &options);
    let address = socket.local_addr().unwrap();
    let error = UdpSocket::bind(address, &options).unwrap_err();
    assert_eq!(error.os_errno(), Some(libc::EADDRINUSE));
    assert!(error.to_string().starts_with(&format!("bind {address}: ")), "{error}");
    drop(socket);
    let shared = UdpOptions { reuse_port: true, ..options };
    let first = bind("127.0.0.1:0", &shared);
    UdpSocket::bind(first.local_addr().unwrap(), &shared).unwrap();
    let silly = UdpOptions { recv_buffer: Some(0), ..UdpOptions::default() };
    let error = UdpSocket::bind(address, &silly).unwrap_err().to_string();
    assert!(error.contains("recv_buffer of 0 bytes"), "{error}");
}

#[test]
fn the_loop_that_stands_in_where_there_is_no_recvmmsg() {
    let (sender, receiver) = pair(&UdpOptions { no_gso: true, ..UdpOptions::default() }, &UdpOptions::default());
    let (mut out, mut scratch) = (Outgoing::new(), Receiver::new(2048));
    for length in [1, 0, 2000] {
        out.push(&pattern(length, 0), None).unwrap();
    }
    assert!(single::enable_times(&receiver.socket).is_err());
    assert!(!single::has_gso(&sender.socket) && single::enable_gro(&sender.socket).is_err());
    assert!(single::kernel_dropped(&receiver.socket).is_err());
    assert_eq!(single::send(&sender.socket, out.messages(0)).unwrap(), 3);
    await_readable(&receiver);
    let (mut sink, mut received) = (Datagrams::new(), Received::default());
    while sink.len() < 3 {
        match single::receive(&receiver.socket, &mut scratch, false) {
            Ok(()) => scratch.append_to(&mut sink, ANY, &mut received),
            Err(_) => await_readable(&receiver),
        }
    }
    assert_eq!(texts(&sink), [pattern(1, 0), vec![], pattern(2000, 0)]);
    let error = single::receive(&receiver.socket, &mut scratch, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `(data length, segment size)`, segment size 0 for a single datagram.
    #[test]
    fn datagrams_of_any_size_come_out_identical_and_in_order(
        queued in prop::collection::vec((prop_oneof![0usize..40, 0usize..3000], prop_oneof![Just(0usize), 1usize..1500]), 1..30),
        no_gso: bool,
        no_gro: bool,
        named: bool,
    ) {
        let (sender, receiver) = pair(
            &UdpOptions { no_gso, ..UdpOptions::default() },
            &UdpOptions { no_gro, ..UdpOptions::default() },
        );
        let (mut out, mut scratch, mut sink) = (Outgoing::new(), Receiver::default(), Datagrams::new());
        receiver.receive(&mut scratch, &mut sink, ANY).unwrap();
        let to = named.then(|| receiver.local_addr().unwrap());
        let mut expected = Vec::new();
        for (index, (length, segment)) in queued.into_iter().enumerate() {
            let data = pattern(length, index);
            // Few enough for the receiver's default buffer.
            let segment = if segment > 0 { segment.max(length.div_ceil(8)).max(1) } else { 0 };
            if segment == 0 {
                out.push(&data, to).unwrap();
                expected.push(data);
            } else {
                prop_assert_eq!(out.push_segments(&data, segment, to).unwrap(), length.div_ceil(segment));
                expected.extend(data.chunks(segment).map(<[u8]>::to_vec));
            }
        }
        prop_assert_eq!(out.len(), expected.len());
        let sent = sender.send(&mut out).unwrap();
        prop_assert_eq!((sent.datagrams, sent.errors), (expected.len(), 0));
        prop_assert_eq!(texts(&receive(&receiver, &mut scratch, expected.len())), expected);
    }
}

#[test]
fn what_the_kernel_drops_is_told() {
    let small = UdpOptions { recv_buffer: Some(4096), ..UdpOptions::default() };
    let receiver = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &small).unwrap();
    assert_eq!(receiver.kernel_dropped(), Some(0));
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..1000 {
        sender.send_to(&[0; 1000], receiver.local_addr().unwrap()).unwrap();
    }
    let (mut scratch, mut sink) = (Receiver::default(), Datagrams::new());
    // A busy system may bring them a moment after they were sent.
    let until = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        while !receiver.receive(&mut scratch, &mut sink, usize::MAX).unwrap().would_block {}
        let dropped = receiver.kernel_dropped().unwrap() as usize;
        if sink.len() + dropped == 1000 {
            break;
        }
        assert!(std::time::Instant::now() < until, "{} came and {dropped} were dropped", sink.len());
        std::thread::yield_now();
    }
}
