//! libcoop's sides in Rust.

use std::{net::SocketAddr, os::fd::AsRawFd, sync::atomic::Ordering};

use coop_core::{
    EventLoop, EventLoopOptions, Result,
    event_loop::{
        Interest, RunMode, WatchOptions,
        stream::{ListenOptions, Stream},
        udp::{Bound, Datagrams, Receiver, UdpOptions, UdpSocket},
    },
};

use super::sockets;
use crate::server::Counts;

/// Receives in one callback, so that a flood does not keep the loop from everything else.
const RECEIVES: usize = 64;

async fn serve(stream: Stream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut data = [0; 4096];
    loop {
        match stream.read(&mut data).await? {
            0 => return Ok(()),
            n => stream.write_all(&data[..n]).await?,
        }
    }
}

/// A coroutine of the loop per connection.
pub extern "C" fn echo(ready: extern "C" fn(u16)) {
    let event_loop = EventLoop::new(EventLoopOptions::default()).expect("a loop");
    let options = ListenOptions { backlog: 4096, ..ListenOptions::default() };
    let listener = event_loop.listen(SocketAddr::from(([127, 0, 0, 1], 0)), &options).expect("a listener");
    ready(listener.local_addr().as_ip().expect("of TCP").port());
    let handle = event_loop.handle();
    let accepting = async move {
        loop {
            let stream = listener.accept().await.expect("a connection");
            drop(handle.spawn(serve(stream)).expect("open"));
        }
    };
    drop(event_loop.spawn(accepting).expect("open"));
    event_loop.run(RunMode::Default).expect("it runs");
}

pub extern "C" fn udp(ready: extern "C" fn(u16), published: &'static Counts) {
    receive(ready, published, true);
}

pub extern "C" fn udp_gro(ready: extern "C" fn(u16), published: &'static Counts) {
    receive(ready, published, false);
}

/// A coroutine that waits for datagrams.
pub extern "C" fn udp_bound(ready: extern "C" fn(u16), published: &'static Counts) {
    let event_loop = EventLoop::new(EventLoopOptions::default()).expect("a loop");
    let options = UdpOptions { no_gro: true, ..UdpOptions::default() };
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &options).expect("a socket");
    sockets::grow_buffer(&socket);
    let port = socket.local_addr().expect("bound").port();
    let bound = Bound::new(&event_loop, socket).map_err(|refused| refused.error).expect("registered");
    let receiving = async move {
        let (mut receiver, mut came) = (Receiver::new(Receiver::MIN_SLOT), Datagrams::new());
        let (mut datagrams, mut sum) = (0, 0);
        loop {
            bound.receive(&mut receiver, &mut came, usize::MAX).await.expect("a socket");
            for (data, _) in &came {
                datagrams += 1;
                sum += u64::from(data[0]) + data.len() as u64;
            }
            came.clear();
            published.sum.store(sum, Ordering::Relaxed);
            published.datagrams.store(datagrams, Ordering::Release);
        }
    };
    drop(event_loop.spawn(receiving).expect("open"));
    ready(port);
    event_loop.run(RunMode::Default).expect("it runs");
}

fn receive(ready: extern "C" fn(u16), published: &'static Counts, no_gro: bool) {
    let event_loop = EventLoop::new(EventLoopOptions::default()).expect("a loop");
    let options = UdpOptions { no_gro, ..UdpOptions::default() };
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &options).expect("a socket");
    sockets::grow_buffer(&socket);
    let (fd, port) = (socket.as_raw_fd(), socket.local_addr().expect("bound").port());
    let slot = if no_gro { Receiver::MIN_SLOT } else { Receiver::MAX_SLOT };
    let (mut receiver, mut came) = (Receiver::new(slot), Datagrams::new());
    let (mut datagrams, mut sum) = (0, 0);
    let on_readable = move |_| {
        for _ in 0..RECEIVES {
            let received = socket.receive(&mut receiver, &mut came, usize::MAX).expect("a socket");
            for (data, _) in &came {
                datagrams += 1;
                sum += u64::from(data[0]) + data.len() as u64;
            }
            came.clear();
            published.sum.store(sum, Ordering::Relaxed);
            published.datagrams.store(datagrams, Ordering::Release);
            if received.would_block {
                return;
            }
        }
    };
    event_loop.watch(fd, WatchOptions::new(Interest::READ), on_readable).expect("watched");
    ready(port);
    event_loop.run(RunMode::Default).expect("it runs");
}
