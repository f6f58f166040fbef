//! What goes wrong with connections: resets, ends, loops that end, waits that are given up.

use std::{
    future::poll_fn,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    pin::pin,
    task::Poll,
    time::Duration,
};

use socket2::SockRef;

use super::*;
use crate::event_loop::{Interest, WatchOptions, sleep, timeout};

/// Closes with a reset.
fn reset(plain: TcpStream) {
    SockRef::from(&plain).set_linger(Some(Duration::ZERO)).unwrap();
    drop(plain);
}

fn is_reset(error: &Error) -> bool {
    matches!(error.os_errno(), Some(libc::ECONNRESET | libc::EPIPE))
}

/// Polls it once; what is then dropped was given up in the middle.
async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn a_reset_ends_a_read_a_write_and_a_half_closed_connection() {
    let event_loop = started();
    // Reading.
    let (stream, plain) = with_plain(&event_loop);
    let mut reading = event_loop.spawn(async move { stream.read(&mut [0; 8]).await }).unwrap();
    reset(plain);
    assert!(is_reset(&reading.join(LONG).unwrap().unwrap_err()));
    // Writing, with a full buffer; no signal ends the process, also later.
    let (stream, plain) = with_plain(&event_loop);
    let mut writing = event_loop
        .spawn(async move {
            loop {
                if let Err(error) = stream.write_all(&[1; 65536]).await {
                    return (stream, error);
                }
            }
        })
        .unwrap();
    reset(plain);
    let (stream, error) = writing.join(LONG).unwrap();
    assert!(is_reset(&error), "{error}");
    assert!(is_reset(&stream.try_write(b"more").unwrap_err()));
    assert!(stream.shutdown(Shutdown::Write).is_ok(), "what has ended may be ended");
    // Half closed, either way.
    for ours in [true, false] {
        let (stream, mut plain) = with_plain(&event_loop);
        if ours {
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(plain.read(&mut [0; 8]).unwrap(), 0);
        } else {
            plain.shutdown(Shutdown::Write).unwrap();
        }
        let mut going_on = event_loop
            .spawn(async move {
                if !ours {
                    assert_eq!(stream.read(&mut [0; 8]).await, Ok(0), "the end is no error");
                    assert_eq!(stream.read(&mut [0; 8]).await, Ok(0), "nor is it one again");
                    while stream.write_all(&[1; 65536]).await.is_ok() {}
                }
                stream.read(&mut [0; 8]).await.or_else(|error| if is_reset(&error) { Ok(0) } else { Err(error) })
            })
            .unwrap();
        reset(plain);
        assert_eq!(going_on.join(LONG).unwrap(), Ok(0));
    }
}

#[test]
fn a_connection_that_is_reset_before_it_is_accepted_harms_nobody() {
    let event_loop = started();
    let (listener, address) = listening(&event_loop);
    for _ in 0..20 {
        reset(TcpStream::connect(address).unwrap());
    }
    let mut last = TcpStream::connect(address).unwrap();
    last.write_all(b"last").unwrap();
    on(&event_loop, async move {
        loop {
            let stream = listener.accept().await.unwrap();
            let mut buffer = [0; 4];
            if stream.read_exact(&mut buffer).await.is_ok() {
                return assert_eq!(&buffer, b"last");
            }
        }
    });
}

/// An address whose listener takes no more: a connection to it hangs. With those that fill it.
pub(super) fn full() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        filling.push(stream);
    }
    (address, listener, filling)
}

#[test]
fn a_connection_that_hangs_is_given_up_in_time_or_when_it_is_dropped() {
    let event_loop = started();
    let handle = event_loop.handle();
    let (address, _listener, _filling) = full();
    on(&event_loop, async move {
        let brief = ConnectOptions { timeout: Some(Duration::from_millis(20)), ..ConnectOptions::default() };
        for error in [
            handle.connect_addr(address, &brief).await.unwrap_err(),
            handle.connect("127.0.0.1", address.port(), &brief).await.unwrap_err(),
        ] {
            let Error::Timeout(text) = &error else { panic!("{error:?}") };
            assert!(text.starts_with(&format!("connect to {address}: ")), "{text}");
        }
        let unlimited = ConnectOptions::default();
        assert!(once(handle.connect_addr(address, &unlimited)).await.is_none());
    });
    // The loop ends meanwhile.
    let handle = event_loop.handle();
    let pool = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
    let mut connecting =
        pool.spawn(async move { handle.connect_addr(address, &ConnectOptions::default()).await.map(drop) }).unwrap();
    event_loop.stop().unwrap();
    assert_eq!(connecting.join(LONG).unwrap(), Err(Error::Closed("event loop")));
}

#[test]
fn a_wait_that_is_given_up_loses_no_byte_and_no_connection() {
    let event_loop = started();
    let (listener, address) = listening(&event_loop);
    on(&event_loop, async move {
        let handle = listener.event_loop().clone();
        assert!(once(listener.accept()).await.is_none());
        let mut plain = TcpStream::connect(address).unwrap();
        let stream = listener.accept().await.unwrap();
        let mut expected = 0u32;
        for n in 0..2000u32 {
            let mut buffer = [0; 4];
            // Given up at once, or after a moment in which the bytes may have come.
            if n % 2 == 0 {
                assert!(once(stream.read(&mut buffer)).await.is_none());
                plain.write_all(&n.to_ne_bytes()).unwrap();
            } else {
                plain.write_all(&n.to_ne_bytes()).unwrap();
                let moment = Some(Duration::from_micros(u64::from(n % 7)));
                if let Ok(read) = timeout(&handle, moment, stream.read(&mut buffer)).await {
                    assert_eq!(read, Ok(4));
                    assert_eq!(u32::from_ne_bytes(buffer), expected);
                    expected += 1;
                    continue;
                }
            }
            stream.read_exact(&mut buffer).await.unwrap();
            assert_eq!(u32::from_ne_bytes(buffer), expected);
            expected += 1;
        }
        assert_eq!(expected, 2000);
        // Writes: what was answered is what the peer has.
        let mut sent = 0;
        let block = vec![3; 1 << 20];
        while let Some(written) = once(stream.write(&block)).await {
            sent += written.unwrap();
        }
        assert!(once(stream.write_all(b"not a byte of this fits")).await.is_none());
        drop(stream);
        let mut received = Vec::new();
        plain.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), sent);
    });
}

#[test]
fn a_second_watch_on_a_streams_fd_is_refused_and_a_reused_number_is_its_own() {
    let event_loop = started();
    let (stream, plain) = with_plain(&event_loop);
    let fd = stream.as_raw_fd();
    let refused = event_loop.watch(fd, WatchOptions::new(Interest::READ), |_| {}).unwrap_err();
    assert!(matches!(refused.error, Error::Exists(_)), "{}", refused.error);
    let twice = Io::new(&event_loop, stream.as_fd()).unwrap_err();
    assert!(matches!(twice.error, Error::Exists(_)), "{}", twice.error);
    drop((stream, plain));
    // The number is free; whoever gets it next is watched as if nothing had been.
    for _ in 0..50 {
        let (stream, mut plain) = with_plain(&event_loop);
        plain.write_all(b"x").unwrap();
        assert_eq!(on(&event_loop, async move { stream.read(&mut [0; 8]).await }), Ok(1));
    }
}

#[test]
fn a_peer_that_never_pauses_does_not_keep_the_loop() {
    let event_loop = started();
    let (stream, mut plain) = with_plain(&event_loop);
    let flood = std::thread::spawn(move || while plain.write_all(&[0; 65536]).is_ok() {});
    let mut reading = event_loop
        .spawn(async move {
            let mut buffer = [0; 64];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        })
        .unwrap();
    let handle = event_loop.handle();
    on(&event_loop, async move {
        for _ in 0..20 {
            sleep(&handle, Duration::from_millis(1)).await.unwrap();
        }
    });
    reading.cancel();
    let _ = reading.join(LONG);
    flood.join().unwrap();
}

#[test]
fn data_behind_urgent_data_is_read() {
    let event_loop = started();
    let (stream, mut plain) = with_plain(&event_loop);
    let mut reading = event_loop
        .spawn(async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.map(|_| all)
        })
        .unwrap();
    for _ in 0..100 {
        plain.write_all(b"before").unwrap();
        SockRef::from(&plain).send_out_of_band(b"!").unwrap();
        plain.write_all(b"after").unwrap();
    }
    drop(plain);
    let all = reading.join(LONG).unwrap().unwrap();
    // Urgent bytes are out of the row, but for those that a later one has overtaken.
    let row: Vec<u8> = all.into_iter().filter(|byte| *byte != b'!').collect();
    assert!(row == b"beforeafter".repeat(100));
}

#[test]
fn ten_thousand_connections_leave_no_descriptor_behind() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().filter(|entry| is_inet(entry.as_ref().unwrap())).count();
    let event_loop = started();
    let (listener, address) = listening(&event_loop);
    let handle = event_loop.handle();
    let marked = on(&event_loop, async move {
        let options = ConnectOptions {
            // No port stays in use behind a reset.
            stream: StreamOptions { linger: Some(Duration::ZERO), ..StreamOptions::default() },
            ..ConnectOptions::default()
        };
        let mut marked = Vec::new();
        for n in 0..10_000 {
            let connecting = handle.connect_addr(address, &options);
            let (ours, theirs) = (connecting.await.unwrap(), listener.accept().await.unwrap());
            if n % 100 == 0 {
                marked.push(std::fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd())).unwrap());
            }
            drop((theirs, ours));
        }
        marked
    });
    let left: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|link| marked.contains(link))
        .collect();
    assert!(left.is_empty(), "{left:?} of {} sockets are still open", open());
}

fn is_inet(entry: &std::fs::DirEntry) -> bool {
    std::fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
}
