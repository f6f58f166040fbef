//! The redis crate's multiplexed connection over the library's streams, against a real server.

#[path = "support/ports.rs"]
mod ports;

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use coop_core::{
    EventLoop, EventLoopOptions,
    event_loop::{Handle, sleep, stream::ConnectOptions},
};
use ports::free_port;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, aio::MultiplexedConnection};

const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// A server of its own on a free port, that writes nothing anywhere.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed: .ci/setup installs it");
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connects as soon as the server listens.
async fn connect(event_loop: &Handle, port: u16) -> MultiplexedConnection {
    let options = ConnectOptions::default();
    let stream = loop {
        match event_loop.connect("127.0.0.1", port, &options).await {
            Ok(stream) => break stream,
            Err(_) => sleep(event_loop, Duration::from_millis(5)).await.unwrap(),
        }
    };
    stream.set_nodelay(true).unwrap();
    // Its own timeouts want tokio's timer.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let info = RedisConnectionInfo::default();
    let made = MultiplexedConnection::new_with_config(&info, stream, config);
    let (connection, driver) = made.await.unwrap();
    event_loop.spawn(driver).unwrap();
    connection
}

#[test]
fn commands_of_many_coroutines_share_a_connection() {
    let server = Server::start();
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let (handle, port) = (event_loop.handle(), server.port);
    let mut client = event_loop
        .spawn(async move {
            let mut connection = connect(&handle, port).await;
            let mut workers: Vec<_> = (0..100)
                .map(|n: u32| {
                    let mut connection = connection.clone();
                    let work = async move {
                        let key = format!("key{n}");
                        let value = vec![u8::try_from(n).unwrap(); 1000 * n as usize];
                        let mut set = redis::cmd("SET");
                        set.arg(&key).arg(&value).exec_async(&mut connection).await.unwrap();
                        let got: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
                        assert!(got == value, "{key} came back changed");
                        redis::cmd("INCRBY").arg("sum").arg(n).exec_async(&mut connection).await.unwrap();
                    };
                    handle.spawn(work).unwrap()
                })
                .collect();
            for worker in &mut workers {
                worker.await.unwrap();
            }
            let sum: u32 = redis::cmd("GET").arg("sum").query_async(&mut connection).await.unwrap();
            assert_eq!(sum, (0..100).sum::<u32>());
        })
        .unwrap();
    client.join(LONG).unwrap();
}
