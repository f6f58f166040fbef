//! The servers by name, and the process that runs one.

mod coop;
mod sockets;
mod tokio;

use std::{io::Write, process::ExitCode};

use crate::{
    pin_server, refuse,
    server::{Counts, map_counts},
};

/// Serves on this thread until the process is killed, after it has told its port.
type Echo = unsafe extern "C" fn(extern "C" fn(u16));
type Udp = unsafe extern "C" fn(extern "C" fn(u16), &'static Counts);

#[cfg(feature = "loops")]
unsafe extern "C" {
    fn bench_echo_epoll(ready: extern "C" fn(u16));
    fn bench_echo_libuv(ready: extern "C" fn(u16));
    fn bench_echo_asio(ready: extern "C" fn(u16));
    fn bench_echo_coop(ready: extern "C" fn(u16));
    fn bench_udp_recvmmsg(ready: extern "C" fn(u16), counts: &'static Counts);
    fn bench_udp_libuv(ready: extern "C" fn(u16), counts: &'static Counts);
    fn bench_udp_asio(ready: extern "C" fn(u16), counts: &'static Counts);
    fn bench_udp_coop(ready: extern "C" fn(u16), counts: &'static Counts);
}

pub const ECHO: &[(&str, Echo)] = &[
    ("coop", coop::echo),
    #[cfg(feature = "loops")]
    ("coop_c", bench_echo_coop),
    ("tokio", tokio::echo),
    #[cfg(feature = "loops")]
    ("asio", bench_echo_asio),
    #[cfg(feature = "loops")]
    ("libuv", bench_echo_libuv),
    #[cfg(feature = "loops")]
    ("epoll", bench_echo_epoll),
];

pub const UDP: &[(&str, Udp)] = &[
    ("coop", coop::udp),
    ("coop_bound", coop::udp_bound),
    #[cfg(feature = "loops")]
    ("coop_c", bench_udp_coop),
    #[cfg(feature = "loops")]
    ("libuv", bench_udp_libuv),
    #[cfg(feature = "loops")]
    ("asio", bench_udp_asio),
    ("tokio", tokio::udp),
    #[cfg(feature = "loops")]
    ("recvmmsg", bench_udp_recvmmsg),
    ("coop_gro", coop::udp_gro),
];

extern "C" fn say(port: u16) {
    println!("{port}");
    std::io::stdout().flush().expect("somebody reads it");
}

/// `serve WHAT NAME [FD]`
pub fn serve(what: &str, name: &str, counts: Option<&str>) -> ExitCode {
    static ALONE: Counts =
        Counts { datagrams: std::sync::atomic::AtomicU64::new(0), sum: std::sync::atomic::AtomicU64::new(0) };
    let counts = counts.and_then(|fd| fd.parse().ok()).map_or(&ALONE, map_counts);
    // SAFETY: a call with two numbers: it does not outlive who started it.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    pin_server();
    match what {
        "echo" => {
            let Some((_, serve)) = ECHO.iter().find(|(server, _)| *server == name) else {
                return refuse(&format!(
                    "{name:?} is no echo server: {:?}",
                    ECHO.iter().map(|(name, _)| name).collect::<Vec<_>>()
                ));
            };
            // SAFETY: side.h: may be called once.
            unsafe { serve(say) };
        }
        "udp" => {
            let Some((_, serve)) = UDP.iter().find(|(server, _)| *server == name) else {
                return refuse(&format!(
                    "{name:?} is no receiver: {:?}",
                    UDP.iter().map(|(name, _)| name).collect::<Vec<_>>()
                ));
            };
            // SAFETY: side.h: may be called once; the counts live for ever.
            unsafe { serve(say, counts) };
        }
        _ => return refuse(&format!("{what:?} cannot be served: echo, udp")),
    }
    refuse("the server has ended")
}
