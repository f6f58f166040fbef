//! UDP receive of 200 bytes; each datagram is looked at. Every receiver is a process of one thread on one CPU, the sender one on the
//! other; it lets the kernel cut runs of 64, and the receivers get single datagrams, but for the one with GRO.
//!
//! *Drained*: the receiver is stopped, its socket filled, and the clock runs from when it goes on until the socket is empty: what the
//! receiver can take, with nobody else on the machine. *Under a sender*: what comes of all that the sender can offer, which may be
//! less than the receiver could take.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    Asked, pin_client,
    server::Server,
    servers,
    table::{Contestant, compare, less, more},
};

const SECONDS: f64 = 0.15;
const BURSTS: usize = 6;
/// No more than a buffer of `UDP_BUFFER` takes.
const BURST: u64 = 16_384;

unsafe extern "C" {
    fn bench_udp_send(port: u16, most: u64, duration_ns: i64) -> u64;
}

/// Millions sent per second.
pub fn send(port: u16, seconds: f64) -> f64 {
    // SAFETY: client.h: any port and time.
    let sent = unsafe { bench_udp_send(port, u64::MAX, (seconds * 1e9) as i64) };
    sent as f64 / seconds / 1e6
}

/// Millions per second out of a full socket, and nanoseconds of CPU for each.
fn drain(server: &Server) -> [f64; 2] {
    let (mut came, mut took, cpu) = (0, Duration::ZERO, server.cpu_time());
    for _ in 0..BURSTS {
        server.pause();
        let before = server.datagrams();
        // SAFETY: client.h: any port, number and time.
        let sent = unsafe { bench_udp_send(server.port, BURST, i64::MAX) };
        let start = Instant::now();
        server.go_on();
        // What the buffer had no room for does not come.
        let (mut last, mut at) = (0, start);
        while last < sent && at.elapsed() < Duration::from_millis(20) {
            thread::sleep(Duration::from_micros(30));
            let now = server.datagrams() - before;
            if now > last {
                (last, at) = (now, Instant::now());
            }
        }
        came += last;
        took += at - start;
    }
    let cpu = server.cpu_time() - cpu;
    [came as f64 / took.as_secs_f64() / 1e6, cpu.as_secs_f64() * 1e9 / came as f64]
}

pub fn run(asked: &Asked) {
    pin_client();
    let servers: Vec<_> = servers::UDP.iter().filter(|(name, _)| asked.wants(name)).collect();
    let mut contestants: Vec<_> = servers
        .iter()
        .map(|(name, _)| {
            let server = Server::start("udp", name);
            let run = move || {
                let [drained, cpu] = drain(&server);
                let before = server.datagrams();
                let offered = send(server.port, SECONDS);
                let came = (server.datagrams() - before) as f64;
                vec![drained, cpu, came / SECONDS / 1e6, offered]
            };
            Contestant { name, run: Box::new(run) }
        })
        .collect();
    let columns = [
        more("drained, M/s"),
        less("CPU per datagram drained, ns"),
        more("received under a sender, M/s"),
        more("offered by the sender, M/s"),
    ];
    compare("udp: receive of 200 B", asked, &columns, &mut contestants);
}
