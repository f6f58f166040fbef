//! tokio's sides: a current-thread runtime, a task per connection.

use std::sync::atomic::Ordering;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    runtime::Builder,
};

use crate::server::Counts;

use super::sockets;

fn run(future: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future);
}

async fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut data = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut data).await {
        if stream.write_all(&data[..n]).await.is_err() {
            return;
        }
    }
}

pub extern "C" fn echo(ready: extern "C" fn(u16)) {
    run(async {
        let (listener, port) = sockets::listen();
        let listener = TcpListener::from_std(listener).expect("registered");
        ready(port);
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(stream));
        }
    });
}

/// Each datagram by itself: tokio has no batches. What has come already is taken without asking for readiness again.
pub extern "C" fn udp(ready: extern "C" fn(u16), published: &'static Counts) {
    run(async {
        let (socket, port) = sockets::bind_udp();
        let socket = UdpSocket::from_std(socket).expect("registered");
        ready(port);
        let (mut data, mut datagrams, mut sum) = ([0; 2048], 0, 0);
        loop {
            let mut next = socket.recv_from(&mut data).await;
            for left in (0..64).rev() {
                let Ok((length, _)) = next else { break };
                datagrams += 1;
                sum += u64::from(data[0]) + length as u64;
                if left == 0 {
                    break;
                }
                next = socket.try_recv_from(&mut data);
            }
            published.sum.store(sum, Ordering::Relaxed);
            published.datagrams.store(datagrams, Ordering::Release);
        }
    });
}
