//! Connections between coroutines of a loop, of a pool, and plain threads.

use std::{
    io::{IoSlice, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

mod faults;
mod options;
mod unix;

use super::*;
use crate::{EventLoop, EventLoopOptions, Pool, PoolOptions, event_loop::RunMode};

const LONG: Option<Duration> = Some(Duration::from_secs(30));

pub(super) fn started() -> EventLoop {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    event_loop
}

/// Runs the future on the loop and answers what it answers.
pub(super) fn on<T: Send + 'static>(event_loop: &Handle, future: impl Future<Output = T> + Send + 'static) -> T {
    event_loop.spawn(future).unwrap().join(LONG).unwrap()
}

pub(super) fn listening(event_loop: &Handle) -> (Listener, SocketAddr) {
    let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let address = listener.local_addr().as_ip().unwrap();
    (listener, address)
}

/// A stream of the loop and a plain one, connected.
pub(super) fn with_plain(event_loop: &Handle) -> (Stream, TcpStream) {
    let (listener, address) = listening(event_loop);
    let plain = TcpStream::connect(address).unwrap();
    (on(event_loop, async move { listener.accept().await }).unwrap(), plain)
}

/// An address at which nobody listens, nor anybody else begins to, as long as the socket is there that has it.
pub(super) fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

async fn echo(stream: Stream) -> Result<u64> {
    let mut buffer = vec![0; 16 * 1024];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(total),
            n => stream.write_all(&buffer[..n]).await?,
        }
        total += 1;
    }
}

#[test]
fn what_is_written_is_read_over_tcp_and_unix() {
    let event_loop = started();
    let directory = std::env::temp_dir().join(format!("coop-stream-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let options = ListenOptions::default();
    let mut listeners = vec![
        event_loop.listen("127.0.0.1:0".parse().unwrap(), &options).unwrap(),
        event_loop.listen_unix(&path, &options).unwrap(),
    ];
    if TcpListener::bind("[::1]:0").is_ok() {
        listeners.push(event_loop.listen("[::1]:0".parse().unwrap(), &options).unwrap());
    }
    #[cfg(target_os = "linux")]
    listeners.push(event_loop.listen_unix(format!("\0coop-stream-{}", std::process::id()), &options).unwrap());
    for listener in listeners {
        let address = listener.local_addr().clone();
        let mut server = event_loop.spawn(async move { echo(listener.accept().await?).await }).unwrap();
        let handle = event_loop.handle();
        let sent: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_ne_bytes).collect();
        let back = on(&event_loop, async move {
            let options = ConnectOptions::default();
            let stream = match &address {
                Address::Ip(ip) => handle.connect_addr(*ip, &options).await.unwrap(),
                Address::Path(path) => handle.connect_unix(path, &options).await.unwrap(),
                Address::Abstract(name) => {
                    let name = format!("\0{}", String::from_utf8(name.clone()).unwrap());
                    handle.connect_unix(name.as_ref(), &options).await.unwrap()
                }
                Address::Unnamed => unreachable!(),
            };
            assert_eq!(stream.peer_addr(), &address);
            let stream = Arc::new(stream);
            let (writer, bytes) = (stream.clone(), sent.clone());
            let mut writing = handle
                .spawn(async move {
                    writer.write_all(&bytes).await?;
                    writer.shutdown(Shutdown::Write)
                })
                .unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&mut back).await.unwrap();
            (&mut writing).await.unwrap().unwrap();
            assert!(back == sent, "{} bytes of {}", back.len(), sent.len());
            back.len()
        });
        assert_eq!(back, 4_000_000);
        assert!(server.join(LONG).unwrap().unwrap() > 0);
    }
    assert!(!path.exists(), "removed with its listener");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn try_calls_say_when_they_would_block_and_a_wait_goes_on_from_there() {
    let event_loop = started();
    let (stream, mut plain) = with_plain(&event_loop);
    let mut buffer = [0; 8];
    assert_eq!(stream.try_read(&mut buffer), Err(Error::WouldBlock("stream")));
    let full = loop {
        if let Err(error) = stream.try_write(&[7; 65536]) {
            break error;
        }
    };
    assert_eq!(full, Error::WouldBlock("stream"));
    let reader = std::thread::spawn({
        let mut plain = plain.try_clone().unwrap();
        move || {
            let mut all = Vec::new();
            plain.read_to_end(&mut all).unwrap();
            all
        }
    });
    plain.write_all(b"one two").unwrap();
    on(&event_loop, async move {
        let mut buffer = [0; 3];
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"one");
        assert_eq!(stream.write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")]).await, Ok(2));
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = [0; 64];
        assert_eq!(stream.read(&mut rest).await, Ok(4));
        assert_eq!(&rest[..4], b" two");
    });
    let all = reader.join().unwrap();
    assert!(all.ends_with(b"\x07ab"));
}

#[test]
fn a_coroutine_of_a_pool_waits_for_a_socket_of_a_loop_and_a_stream_changes_loops() {
    let (event_loop, other) = (started(), started());
    let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() }).unwrap();
    let (stream, mut plain) = with_plain(&event_loop);
    let mut reading = pool
        .spawn(async move {
            let mut buffer = [0; 5];
            stream.read_exact(&mut buffer).await?;
            Ok::<_, Error>((stream, buffer))
        })
        .unwrap();
    plain.write_all(b"first").unwrap();
    let (stream, buffer) = reading.join(LONG).unwrap().unwrap();
    assert_eq!(&buffer, b"first");
    let stream = stream.move_to(&other).unwrap();
    drop(event_loop);
    plain.write_all(b"second").unwrap();
    let buffer = on(&other, async move {
        let mut buffer = [0; 6];
        stream.read_exact(&mut buffer).await.map(|()| buffer)
    });
    assert_eq!(&buffer.unwrap(), b"second");
}

#[test]
fn a_loop_that_ends_ends_the_waits_and_one_that_is_idle_does_not_wait_for_an_open_stream() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let (one, other) = Stream::pair(&event_loop).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    let mut reading = event_loop
        .spawn(async move {
            let mut buffer = [0; 3];
            one.read_exact(&mut buffer).await.map(|()| (one, buffer))
        })
        .unwrap();
    event_loop.run(RunMode::NoWait).unwrap();
    assert_eq!(other.try_write(b"abc"), Ok(3));
    event_loop.run(RunMode::UntilIdle).unwrap();
    let (one, buffer) = reading.join(Some(Duration::ZERO)).unwrap().unwrap();
    assert_eq!(&buffer, b"abc");
    let pool = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
    let mut reading = pool
        .spawn(async move {
            let error = one.read(&mut [0; 3]).await.unwrap_err();
            (one, error)
        })
        .unwrap();
    drop(event_loop);
    let (one, error) = reading.join(LONG).unwrap();
    assert_eq!(error, Error::Closed("event loop"));
    assert_eq!(other.try_write(b"xyz"), Ok(3));
    assert_eq!(one.try_read(&mut [0; 8]), Ok(3), "an attempt needs no loop");
}

#[test]
fn names_are_resolved_off_the_loop_and_errors_name_them() {
    let event_loop = started();
    let handle = event_loop.handle();
    let (_listener, address) = listening(&event_loop);
    on(&event_loop, async move {
        for literal in ["127.0.0.1", "::1", "[::1]"] {
            let found = handle.resolve(literal, 80).await.unwrap();
            assert_eq!(found, [SocketAddr::new(literal.trim_matches(['[', ']']).parse().unwrap(), 80)]);
        }
        let found = handle.resolve("localhost", 7).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7), "{found:?}");
        for nonsense in ["no-such-host.invalid", "", "a\0b", "[127.0.0.1]"] {
            let Err(Error::Resolve(text)) = handle.resolve(nonsense, 1).await else {
                panic!("{nonsense:?} was resolved")
            };
            assert!(text.contains(&format!("{nonsense:?}")), "{text}");
        }
        let options = ConnectOptions { timeout: LONG, ..ConnectOptions::default() };
        let stream = handle.connect("localhost", address.port(), &options).await.unwrap();
        assert_eq!(stream.peer_addr(), &Address::Ip(address));
    });
    // Many at once, most of them given up; the rest are answered.
    let handle = event_loop.handle();
    let waits: Vec<_> = (0..100)
        .map(|n| {
            let handle = handle.clone();
            event_loop.spawn(async move { handle.resolve("localhost", n).await.map(|found| found[0].port()) }).unwrap()
        })
        .collect();
    for (n, mut wait) in waits.into_iter().enumerate() {
        if n % 10 == 0 {
            assert_eq!(wait.join(LONG).unwrap(), Ok(u16::try_from(n).unwrap()));
        } else {
            wait.cancel();
        }
    }
}

#[test]
fn a_refused_connection_names_host_port_addresses_and_reason() {
    let event_loop = started();
    let handle = event_loop.handle();
    let (_kept, refusing) = refusing();
    let port = refusing.port();
    on(&event_loop, async move {
        let options = ConnectOptions::default();
        let refused = |error: Error| {
            assert_eq!(error.os_errno(), Some(libc::ECONNREFUSED), "{error}");
            error.to_string()
        };
        let text = refused(handle.connect("127.0.0.1", port, &options).await.unwrap_err());
        assert!(text.starts_with(&format!("connect to 127.0.0.1:{port}: Connection refused")), "{text}");
        let text = refused(handle.connect("localhost", port, &options).await.unwrap_err());
        assert!(text.starts_with(&format!("connect to localhost:{port} (")), "{text}");
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
        let from_ipv6 = ConnectOptions { local: Some("[::1]:0".parse().unwrap()), ..options.clone() };
        let error = handle.connect("127.0.0.1", port, &from_ipv6).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("[::1]:0")), "{error}");
    });
}
