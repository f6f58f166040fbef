//! TCP echo: each connection has one message of 64 bytes under way, and the next is sent when it is back. One client thread,
//! bare epoll (loops/client.c); every server a process of one thread on the other CPU, loaded in turn. All have TCP_NODELAY.
//!
//! Beside requests per second stands what a request costs the server's CPU: requests are what both CPUs and the kernel between them
//! allow, so a server that costs less may show no more of them.

use std::ffi::c_int;

use crate::{
    Asked, pin_client,
    server::Server,
    servers,
    table::{Contestant, compare, less, more},
};

const WARM_UP_SECONDS: f64 = 0.02;
const SECONDS: f64 = 0.2;

#[repr(C)]
struct RawClient {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn bench_echo_open(port: u16, connections: c_int) -> *mut RawClient;
    fn bench_echo_run(client: *mut RawClient, duration_ns: i64, took_ns: *mut i64) -> u64;
    fn bench_echo_close(client: *mut RawClient);
}

/// Connections to one server.
pub struct Client(*mut RawClient);

impl Client {
    pub fn open(port: u16, connections: usize) -> Self {
        // SAFETY: client.h: any port and number; it ends the process if it fails.
        Self(unsafe { bench_echo_open(port, connections as c_int) })
    }

    /// Thousands of requests per second.
    pub fn run(&self, seconds: f64) -> f64 {
        let (requests, took) = self.count(seconds);
        requests as f64 * 1e6 / took as f64
    }

    /// Requests, and the nanoseconds that they took.
    fn count(&self, seconds: f64) -> (u64, i64) {
        let mut took = 0;
        // SAFETY: open until the drop; `took` is written before it returns.
        let requests = unsafe { bench_echo_run(self.0, (seconds * 1e9) as i64, &raw mut took) };
        (requests, took)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: open until here.
        unsafe { bench_echo_close(self.0) };
    }
}

pub fn run(asked: &Asked, connections: usize) {
    pin_client();
    let servers: Vec<_> = servers::ECHO.iter().filter(|(name, _)| asked.wants(name)).collect();
    let mut contestants: Vec<_> = servers
        .iter()
        .map(|(name, _)| {
            let server = Server::start("echo", name);
            let run = move || {
                let client = Client::open(server.port, connections);
                client.run(WARM_UP_SECONDS);
                let before = server.cpu_time();
                let (requests, took) = client.count(SECONDS);
                let cpu = server.cpu_time() - before;
                vec![requests as f64 * 1e6 / took as f64, cpu.as_secs_f64() * 1e6 / requests as f64]
            };
            Contestant { name, run: Box::new(run) }
        })
        .collect();
    let columns = [more("requests, k/s"), less("server CPU per request, us")];
    compare(&format!("echo: {connections} connections"), asked, &columns, &mut contestants);
}
