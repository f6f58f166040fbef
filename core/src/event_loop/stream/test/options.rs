//! Options of connections and listeners, families, and addresses in turn.

use std::{net::TcpStream, time::Duration};

use socket2::SockRef;

use super::{super::race::Race, *};
use crate::event_loop::timeout;

#[test]
fn options_reach_what_connects_and_what_is_accepted() {
    let event_loop = started();
    let stream = StreamOptions {
        nodelay: true,
        keepalive: Some(KeepAlive {
            idle: Duration::from_secs(7),
            interval: Some(Duration::from_secs(3)),
            count: Some(4),
        }),
        user_timeout: Some(Duration::from_secs(11)),
        linger: Some(Duration::ZERO),
        recv_buffer: Some(65536),
        send_buffer: Some(65536),
    };
    let options = ListenOptions { stream: stream.clone(), ..ListenOptions::default() };
    let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let address = listener.local_addr().as_ip().unwrap();
    let handle = event_loop.handle();
    on(&event_loop, async move {
        let local = "127.0.0.1:0".parse().unwrap();
        let options = ConnectOptions { stream, timeout: LONG, local: Some(local) };
        let ours = handle.connect("127.0.0.1", address.port(), &options).await.unwrap();
        let theirs = listener.accept().await.unwrap();
        assert_eq!(ours.local_addr().unwrap(), *theirs.peer_addr());
        for stream in [ours, theirs] {
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(11)));
            assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
            assert!(socket.recv_buffer_size().unwrap() >= 65536 && socket.send_buffer_size().unwrap() >= 65536);
            stream.set_nodelay(false).unwrap();
            stream.set_keepalive(None).unwrap();
            stream.set_linger(None).unwrap();
            assert!(!socket.tcp_nodelay().unwrap() && !socket.keepalive().unwrap());
            assert_eq!(socket.linger().unwrap(), None);
            stream.set_linger(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(1)), "not 0, which resets");
            let wraps = Duration::from_secs(1 << 32);
            let error = stream.set_linger(Some(wraps)).unwrap_err();
            assert!(error.to_string().contains(&format!("{wraps:?}")), "{error}");
            stream.set_keepalive(Some(KeepAlive::after(Duration::from_secs(9)))).unwrap();
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(9));
        }
    });
}

#[test]
fn options_out_of_range_are_refused_in_words() {
    let event_loop = started();
    let any = "127.0.0.1:0".parse().unwrap();
    let keepalive = |keepalive| StreamOptions { keepalive: Some(keepalive), ..StreamOptions::default() };
    let second = Duration::from_secs(1);
    for (stream, named) in [
        (keepalive(KeepAlive::after(Duration::from_millis(10))), "10ms"),
        (keepalive(KeepAlive { interval: Some(40_000 * second), ..KeepAlive::after(second) }), "40000s"),
        (keepalive(KeepAlive { count: Some(0), ..KeepAlive::after(second) }), "count of 0"),
        (StreamOptions { linger: Some(Duration::MAX), ..StreamOptions::default() }, "linger of"),
        (StreamOptions { user_timeout: Some(Duration::ZERO), ..StreamOptions::default() }, "user_timeout of 0ns"),
        (StreamOptions { user_timeout: Some(Duration::MAX), ..StreamOptions::default() }, "user_timeout of"),
        (StreamOptions { recv_buffer: Some(0), ..StreamOptions::default() }, "recv_buffer of 0"),
        (StreamOptions { send_buffer: Some(usize::MAX), ..StreamOptions::default() }, "send_buffer of"),
    ] {
        let error = event_loop.listen(any, &ListenOptions { stream, ..ListenOptions::default() }).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(named)), "{error}");
    }
    let udp = std::net::UdpSocket::bind(any).unwrap();
    let refused = Stream::from_fd(&event_loop, udp).unwrap_err();
    assert!(matches!(refused.error, Error::Invalid(_)), "{}", refused.error);
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    let refused = Stream::from_fd(&event_loop, file).unwrap_err();
    assert_eq!(refused.error.os_errno(), Some(libc::ENOTSOCK));
}

#[test]
fn an_address_is_taken_once_unless_it_is_shared() {
    let event_loop = started();
    let (listener, address) = listening(&event_loop);
    let error = event_loop.listen(address, &ListenOptions::default()).unwrap_err();
    assert_eq!(error.os_errno(), Some(libc::EADDRINUSE));
    assert!(error.to_string().starts_with(&format!("listen on {address}: ")), "{error}");
    drop(listener);
    let shared = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let first = event_loop.listen("127.0.0.1:0".parse().unwrap(), &shared).unwrap();
    event_loop.listen(first.local_addr().as_ip().unwrap(), &shared).unwrap();
}

#[test]
fn an_ipv6_listener_takes_both_families_or_one() {
    if TcpListener::bind("[::1]:0").is_err() {
        // This machine has one family.
        return;
    }
    let event_loop = started();
    for (only_v6, takes_v4) in [(false, true), (true, false)] {
        let options = ListenOptions { only_v6: Some(only_v6), ..ListenOptions::default() };
        let listener = event_loop.listen("[::]:0".parse().unwrap(), &options).unwrap();
        let port = listener.local_addr().as_ip().unwrap().port();
        assert!(TcpStream::connect(("::1", port)).is_ok());
        assert_eq!(TcpStream::connect(("127.0.0.1", port)).is_ok(), takes_v4);
    }
}

#[test]
fn a_silent_peer_is_waited_for_no_longer_than_asked() {
    let event_loop = started();
    let handle = event_loop.handle();
    let (stream, _silent) = with_plain(&event_loop);
    on(&event_loop, async move {
        let brief = Some(Duration::from_millis(5));
        for _ in 0..3 {
            let late = timeout(&handle, brief, stream.read(&mut [0; 8])).await.unwrap_err();
            assert!(matches!(late, Error::Timeout(_)), "{late}");
        }
    });
}

#[test]
fn an_address_that_hangs_or_refuses_is_passed_over() {
    let event_loop = started();
    let handle = event_loop.handle();
    let (_listener, good) = listening(&event_loop);
    let (hanging, _kept, _filling) = faults::full();
    let (_bound, refusing) = refusing();
    on(&event_loop, async move {
        let options = ConnectOptions { timeout: LONG, ..ConnectOptions::default() };
        for bad in [hanging, refusing] {
            let race = Race::new(&handle, "somewhere:1", vec![bad, good], &options).unwrap();
            let stream = timeout(&handle, LONG, race.run()).await.unwrap().unwrap();
            assert_eq!(stream.peer_addr(), &Address::Ip(good));
        }
        let race = Race::new(&handle, "somewhere:1", vec![refusing, refusing], &options).unwrap();
        let error = race.run().await.unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("connect to somewhere:1 ({refusing}, {refusing}): ")),
            "{error}"
        );
    });
}
