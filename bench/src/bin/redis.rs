//! The redis client beside its peers: `cargo run --release -p coop-bench --features hiredis --bin redis [IN_FLIGHT]... [--rounds N]`.
//!
//! GETs of 16 bytes over one TCP connection, from one thread on one CPU, with so many in flight; the server has the other CPU. Each call is made
//! when one before it has ended, and its time is that from making it to its reply. `redis-benchmark -P` makes its calls in rows of that many, and knows
//! nothing of each: it is the limit of what the server gives.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    cell::RefCell,
    net::{TcpListener, TcpStream},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use coop_bench::{Contestant, Spread, interleave, report, rounds};
use coop_core::{
    EventLoop, EventLoopOptions, cpu,
    net::redis::{Client, Options, Server as At},
};

const ROUNDS: usize = 15;
const VALUE: &str = "0123456789abcdef";

/// The nth CPU, of those that may be used.
fn nth_cpu(nth: usize) -> usize {
    let usable = cpu::usable();
    usable.iter().nth(nth % usable.len()).unwrap_or(0)
}

struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let process = Command::new("taskset")
            .args(["-c", &nth_cpu(0).to_string(), "redis-server", "--bind", "127.0.0.1", "--save", "", "--port"])
            .arg(port.to_string())
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server: .ci/setup installs it");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One run: calls per second, and the time that 99 of 100 calls did not pass.
struct Run {
    per_second: f64,
    p99_us: f64,
}

/// Seconds that this process has run, and the others that it has waited for: the server is not among them.
fn cpu_time() -> f64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN]
        .map(|who| {
            // SAFETY: numbers only, for which zero is one.
            let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
            // SAFETY: a valid place.
            let answered = unsafe { libc::getrusage(who, &raw mut usage) };
            assert_eq!(answered, 0, "getrusage");
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
            seconds(usage.ru_utime) + seconds(usage.ru_stime)
        })
        .iter()
        .sum()
}

fn run_of(seconds: f64, mut latencies: Vec<u32>) -> Run {
    let calls = latencies.len();
    let (_, at, _) = latencies.select_nth_unstable(calls * 99 / 100);
    Run { per_second: calls as f64 / seconds, p99_us: f64::from(*at) / 1000.0 }
}

fn nanos(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// What the callbacks of a run share.
struct Calls {
    redis: Client,
    made: AtomicU64,
    calls: u64,
    latencies: Mutex<Vec<u32>>,
    over: mpsc::Sender<()>,
}

fn next(calls: Arc<Calls>) {
    let (redis, begun) = (calls.redis.clone(), Instant::now());
    let ended = move |reply: coop_core::Result<coop_core::net::redis::Reply>| {
        assert_eq!(reply.expect("a reply").as_bytes().map(<[u8]>::len), Some(VALUE.len()));
        let count = {
            let mut latencies = calls.latencies.lock().expect("nobody panics");
            latencies.push(nanos(begun));
            latencies.len() as u64
        };
        if calls.made.fetch_add(1, Ordering::Relaxed) < calls.calls {
            next(calls);
        } else if count == calls.calls {
            calls.over.send(()).expect("it is waited for");
        }
    };
    redis.command_with(&["GET", "key"], None, ended).map_err(|refused| refused.error).expect("there is room");
}

fn coop_callbacks(port: u16, calls: u64, in_flight: u32) -> Run {
    let (event_loop, redis) = coop(port);
    let (over, wait) = mpsc::channel();
    let shared = Arc::new(Calls {
        redis,
        made: AtomicU64::new(u64::from(in_flight)),
        calls,
        latencies: Mutex::new(Vec::with_capacity(calls as usize)),
        over,
    });
    let (begin, begun) = (shared.clone(), Instant::now());
    let posted = event_loop.post(move || {
        for _ in 0..in_flight {
            next(begin.clone());
        }
    });
    posted.map_err(|refused| refused.error).expect("it is open");
    wait.recv().expect("all calls end");
    let seconds = begun.elapsed().as_secs_f64();
    let latencies = std::mem::take(&mut *shared.latencies.lock().expect("nobody panics"));
    run_of(seconds, latencies)
}

fn coop_futures(port: u16, calls: u64, in_flight: u32) -> Run {
    let (event_loop, redis) = coop(port);
    let begun = Instant::now();
    let each = calls / u64::from(in_flight);
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let redis = redis.clone();
            let work = async move {
                let mut latencies = Vec::with_capacity(each as usize);
                for _ in 0..each {
                    let begun = Instant::now();
                    let reply = redis.command(&["GET", "key"]).await.expect("a reply");
                    assert_eq!(reply.as_bytes().map(<[u8]>::len), Some(VALUE.len()));
                    latencies.push(nanos(begun));
                }
                latencies
            };
            event_loop.spawn(work).map_err(|refused| refused.error).expect("it is open")
        })
        .collect();
    let mut latencies = Vec::with_capacity(calls as usize);
    for mut worker in workers {
        latencies.append(&mut worker.join(None).expect("it ends"));
    }
    run_of(begun.elapsed().as_secs_f64(), latencies)
}

fn coop(port: u16) -> (EventLoop, Client) {
    let event_loop = EventLoop::new(EventLoopOptions::default()).expect("a loop");
    event_loop.start().expect("a thread");
    let pinned = event_loop.post(|| cpu::pin_current_thread(nth_cpu(1)).expect("a usable CPU"));
    pinned.map_err(|refused| refused.error).expect("it is open");
    let server = At::Tcp { host: "127.0.0.1".into(), port };
    let redis = Client::new(&event_loop, Options { server, ..Options::default() }).expect("a client");
    redis.command(&["SET", "key", VALUE]).wait(None).expect("the server answers");
    (event_loop, redis)
}

fn tokio(port: u16, calls: u64, in_flight: u32) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = redis::Client::open(("127.0.0.1", port)).expect("a client");
        // Its default ends calls after half a second, of which a busy machine may make more.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection");
        let begun = Instant::now();
        let each = calls / u64::from(in_flight);
        let workers: Vec<_> = (0..in_flight)
            .map(|_| {
                let mut connection = connection.clone();
                tokio::spawn(async move {
                    let mut latencies = Vec::with_capacity(each as usize);
                    for _ in 0..each {
                        let begun = Instant::now();
                        let reply: Vec<u8> =
                            redis::cmd("GET").arg("key").query_async(&mut connection).await.expect("a reply");
                        assert_eq!(reply.len(), VALUE.len());
                        latencies.push(nanos(begun));
                    }
                    latencies
                })
            })
            .collect();
        let mut latencies = Vec::with_capacity(calls as usize);
        for worker in workers {
            latencies.append(&mut worker.await.expect("it ends"));
        }
        run_of(begun.elapsed().as_secs_f64(), latencies)
    })
}

#[cfg(feature = "hiredis")]
mod hiredis {
    use std::ffi::{c_char, c_double, c_int};

    // What build.rs compiles is linked with the library.
    use coop_bench as _;

    unsafe extern "C" {
        fn bench_redis_hiredis(
            host: *const c_char,
            port: c_int,
            calls: u64,
            in_flight: u32,
            latencies: *mut u32,
        ) -> c_double;
    }

    pub(super) fn run(port: u16, calls: u64, in_flight: u32) -> super::Run {
        let mut latencies = vec![0; calls as usize];
        let place = latencies.as_mut_ptr();
        // SAFETY: the name ends with a NUL, and the place has room for as many as there are calls.
        let seconds = unsafe { bench_redis_hiredis(c"127.0.0.1".as_ptr(), port.into(), calls, in_flight, place) };
        super::run_of(seconds, latencies)
    }
}

/// The server's own client, which counts only.
fn redis_benchmark(port: u16, calls: u64, in_flight: u32) -> Run {
    let output = Command::new("taskset")
        .args(["-c", &nth_cpu(1).to_string(), "redis-benchmark", "-p", &port.to_string(), "-c", "1", "--csv"])
        .args(["-P", &in_flight.to_string(), "-n", &calls.to_string(), "GET", "key"])
        .output()
        .expect("redis-benchmark comes with redis-tools");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    let field = |nth: usize| line.split(',').nth(nth).and_then(|field| field.trim_matches('"').parse::<f64>().ok());
    Run { per_second: field(1).expect("calls per second"), p99_us: field(6).expect("p99 in ms") * 1000.0 }
}

fn main() -> ExitCode {
    let (mut rows, mut count, mut words) = (Vec::new(), ROUNDS, std::env::args().skip(1));
    while let Some(word) = words.next() {
        match (word.as_str(), word.parse::<u32>()) {
            ("--rounds", _) => match rounds(words.next()) {
                Ok(given) => count = given,
                Err(wrong) => {
                    println!("{wrong}");
                    return ExitCode::FAILURE;
                }
            },
            (_, Ok(in_flight)) if in_flight > 0 => rows.push(in_flight),
            _ => {
                println!("{word:?}: allowed are numbers of calls in flight, and --rounds N");
                return ExitCode::FAILURE;
            }
        }
    }
    if rows.is_empty() {
        rows = vec![1, 100, 1000];
    }
    let server = Server::start();
    // The threads that this one starts as well.
    cpu::pin_current_thread(nth_cpu(1)).expect("a usable CPU");
    for in_flight in rows {
        // A multiple of those in flight.
        let calls = u64::from(in_flight) * (if in_flight < 10 { 5_000 } else { 100_000 } / u64::from(in_flight)).max(1);
        println!("\n{in_flight} in flight, {calls} GETs a round");
        type Runs = fn(u16, u64, u32) -> Run;
        let all: Vec<(&str, Runs)> = vec![
            ("libcoop, callbacks", coop_callbacks),
            ("libcoop, coroutines", coop_futures),
            #[cfg(feature = "hiredis")]
            ("hiredis on libuv", hiredis::run),
            ("redis crate on tokio", tokio),
            ("redis-benchmark -P", redis_benchmark),
        ];
        // The p99, and what a call takes of a CPU, which says something on a busy machine, too.
        let times: Vec<RefCell<Vec<(f64, f64)>>> = all.iter().map(|_| RefCell::default()).collect();
        let mut contestants: Vec<_> = all
            .iter()
            .zip(&times)
            .map(|((name, run), times)| {
                Contestant::new(name, || {
                    let before = cpu_time();
                    let run = run(server.port, calls, in_flight);
                    times.borrow_mut().push((run.p99_us, (cpu_time() - before) / calls as f64 * 1e6));
                    run.per_second / 1000.0
                })
            })
            .collect();
        let figures = interleave(count, &mut contestants);
        report("k GET/s", &contestants, &figures);
        for (contestant, times) in contestants.iter().zip(&times) {
            let of = |figure: fn(&(f64, f64)) -> f64| Spread::of(times.borrow().iter().map(figure)).to_string();
            println!(
                "{:28} {:28} us p99  {:20} us of a CPU per GET",
                contestant.name,
                of(|run| run.0),
                of(|run| run.1)
            );
        }
    }
    ExitCode::SUCCESS
}
