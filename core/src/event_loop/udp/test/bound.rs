//! Sockets that coroutines wait for, and the times of what came.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::*;
use crate::{EventLoop, EventLoopOptions, task::JoinHandle};

const LONG: Option<Duration> = Some(Duration::from_secs(60));

fn started() -> EventLoop {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    event_loop
}

fn bound(event_loop: &EventLoop, address: &str, options: &UdpOptions) -> Arc<Bound> {
    Arc::new(Bound::new(event_loop, bind(address, options)).unwrap())
}

fn join<T: Send + 'static>(mut coroutine: JoinHandle<Result<T>>) -> Result<T> {
    coroutine.join(LONG).unwrap()
}

#[test]
fn a_time_is_told_of_each_datagram_that_it_was_asked_for() {
    let data = pattern(20 * 938 + 17, 0);
    for (no_gso, no_gro) in [(false, false), (false, true), (true, false), (true, true)] {
        for receive_times in [false, true] {
            let sending = UdpOptions { no_gso, ..UdpOptions::default() };
            let (sender, receiver) = pair(&sending, &UdpOptions { no_gro, receive_times, ..UdpOptions::default() });
            let (mut out, mut scratch, mut sink) = (Outgoing::new(), Receiver::default(), Datagrams::new());
            receiver.receive(&mut scratch, &mut sink, ANY).unwrap();
            let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let before = since_epoch();
            out.push_segments(&data, 938, None).unwrap();
            sender.send(&mut out).unwrap();
            let came = receive(&receiver, &mut scratch, 21);
            assert!(came.iter().map(|(data, _)| data).eq(data.chunks(938)), "no_gso {no_gso}, no_gro {no_gro}");
            if !no_gso && !no_gro {
                assert_eq!(scratch.messages().len(), 1, "it came as one message, also with its time");
            }
            let times: Vec<_> = (0..21).filter_map(|index| came.received_at(index)).collect();
            if receive_times {
                assert!(times.len() == 21 && times.is_sorted() && times[0] >= before && times[20] <= since_epoch());
            } else {
                assert!(times.is_empty());
            }
        }
    }
}

#[test]
fn coroutines_wait_for_datagrams_one_by_one_and_in_batches() {
    for (address, connected) in [("127.0.0.1:0", false), ("127.0.0.1:0", true), ("[::1]:0", false), ("[::1]:0", true)] {
        let event_loop = started();
        let options = UdpOptions::default();
        let (client, server) = (bound(&event_loop, address, &options), bound(&event_loop, address, &options));
        let (here, there) = (client.socket().local_addr().unwrap(), server.socket().local_addr().unwrap());
        if connected {
            client.socket().connect(there).unwrap();
            server.socket().connect(here).unwrap();
        }
        let echo = event_loop
            .spawn(async move {
                let (mut scratch, mut sink, mut out) = (Receiver::default(), Datagrams::new(), Outgoing::new());
                loop {
                    let received = server.receive(&mut scratch, &mut sink, ANY).await?;
                    assert_eq!((received.datagrams, received.errors), (sink.len(), 0));
                    for (data, from) in &sink {
                        if data == b"end" {
                            return Ok(());
                        }
                        out.push(data, (!connected).then_some(from))?;
                    }
                    let sent = server.send(&mut out).await?;
                    assert_eq!((sent.datagrams, sent.errors, out.is_empty()), (sink.len(), 0, true));
                    sink.clear();
                }
            })
            .unwrap();
        let asks = event_loop
            .spawn(async move {
                let to = (!connected).then_some(there);
                let mut buffer = [0; 2000];
                for round in 0..500 {
                    let data = pattern(round, round);
                    client.send_to(&data, to).await?;
                    assert_eq!(client.receive_from(&mut buffer).await?, (round, there));
                    assert_eq!(buffer[..round], data);
                }
                client.send_to(&[0; MAX_DATAGRAM + 1], to).await.unwrap_err();
                client.send_to(b"end", to).await
            })
            .unwrap();
        assert_eq!(join(asks), Ok(()));
        assert_eq!(join(echo), Ok(()));
    }
}

#[test]
fn a_refusing_peer_hides_nothing_that_comes_behind_it() {
    let event_loop = started();
    let one = bound(&event_loop, "127.0.0.1:0", &UdpOptions::default());
    let peer = bind("127.0.0.1:0", &UdpOptions::default());
    let there = peer.local_addr().unwrap();
    one.socket().connect(there).unwrap();
    let here = one.socket().local_addr().unwrap();
    let (mut out, mut peer) = (Outgoing::new(), Some(peer));
    for round in 0..50u8 {
        // Datagrams, an error in between, and datagrams behind it, before the receiver looks.
        for place in 0..2 {
            out.push(&[round, place], Some(here)).unwrap();
            peer.as_ref().unwrap().send(&mut out).unwrap();
            if place == 0 {
                drop(peer.take());
                one.socket().socket.send(b"nobody is there").unwrap_or(0);
                peer = Some(bind(&there.to_string(), &UdpOptions::default()));
            }
        }
        let reader = one.clone();
        let reads = event_loop
            .spawn(async move {
                let (mut scratch, mut sink) = (Receiver::default(), Datagrams::new());
                while sink.len() < 2 {
                    reader.receive(&mut scratch, &mut sink, ANY).await?;
                }
                Ok(texts(&sink))
            })
            .unwrap();
        assert_eq!(join(reads), Ok(vec![vec![round, 0], vec![round, 1]]));
    }
}

#[test]
fn several_may_wait_and_one_that_is_dropped_takes_nothing() {
    let event_loop = started();
    let (one, other) = (
        bound(&event_loop, "127.0.0.1:0", &UdpOptions::default()),
        bound(&event_loop, "127.0.0.1:0", &UdpOptions::default()),
    );
    let there = one.socket().local_addr().unwrap();
    let wait = |reader: &Arc<Bound>| {
        let reader = reader.clone();
        event_loop
            .spawn(async move {
                let mut buffer = [0];
                reader.receive_from(&mut buffer).await?;
                Ok(buffer[0])
            })
            .unwrap()
    };
    let (mut first, second, third) = (wait(&one), wait(&one), wait(&one));
    assert!(first.cancel());
    for byte in [1, 2] {
        let other = other.clone();
        join(event_loop.spawn(async move { other.send_to(&[byte], Some(there)).await }).unwrap()).unwrap();
    }
    let mut got = [join(second).unwrap(), join(third).unwrap()];
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
}

#[test]
fn a_wait_ends_with_its_loop_and_the_socket_comes_back() {
    let event_loop = started();
    let one = bound(&event_loop, "127.0.0.1:0", &UdpOptions::default());
    let (reader, pool) = (one.clone(), crate::Pool::new(crate::PoolOptions { workers: Some(1), ..Default::default() }));
    let pool = pool.unwrap();
    let waits = pool.spawn(async move { reader.receive_from(&mut [0]).await.map(drop) }).unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    assert_eq!(join(waits), Err(Error::Closed("event loop")));
    let socket = Arc::try_unwrap(one).unwrap().into_inner();
    assert!(socket.local_addr().is_ok());
    let refused = Bound::new(&handle, socket).unwrap_err();
    assert_eq!(refused.error, Error::Closed("event loop"));
    assert!(refused.value.local_addr().is_ok(), "it is still the caller's");
}

#[test]
fn single_receives_and_gro_do_not_mix_and_it_says_so() {
    let event_loop = started();
    let one = bound(&event_loop, "127.0.0.1:0", &UdpOptions::default());
    one.socket().receive(&mut Receiver::default(), &mut Datagrams::new(), ANY).unwrap();
    let reader = one.clone();
    let refused = join(event_loop.spawn(async move { reader.receive_from(&mut [0]).await }).unwrap()).unwrap_err();
    assert!(matches!(&refused, Error::Invalid(text) if text.contains("GRO")), "{refused}");
}

#[test]
fn a_send_waits_while_the_kernel_is_full_and_loses_nothing() {
    let event_loop = started();
    let sender = bound(&event_loop, "127.0.0.1:0", &UdpOptions { send_buffer: Some(4608), ..UdpOptions::default() });
    let options = UdpOptions { recv_buffer: Some(8 << 20), ..UdpOptions::default() };
    let receiver = bound(&event_loop, "127.0.0.1:0", &options);
    sender.socket().connect(receiver.socket().local_addr().unwrap()).unwrap();
    let data = pattern(40 * 60_000, 0);
    let expected: Vec<_> = data.chunks(1000).map(<[u8]>::to_vec).collect();
    let sends = event_loop
        .spawn(async move {
            let mut out = Outgoing::new();
            out.push_segments(&data, 1000, None)?;
            sender.send(&mut out).await
        })
        .unwrap();
    let reads = event_loop
        .spawn(async move {
            let (mut scratch, mut sink) = (Receiver::default(), Datagrams::new());
            while sink.len() < 40 * 60 {
                receiver.receive(&mut scratch, &mut sink, ANY).await?;
            }
            Ok(texts(&sink))
        })
        .unwrap();
    assert_eq!(join(sends).map(|sent| (sent.datagrams, sent.errors)), Ok((2400, 0)));
    assert_eq!(join(reads), Ok(expected));
}
