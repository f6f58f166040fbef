//! The row `calls`: requests that each make 102 calls of 1 ms to a server, 100 of them beside each other, and compute a little with what comes.
//!
//! The graph is the same for all. For `8 blocking threads` a call is a CPU node that blocks one of the pool's eight workers, as services do that keep
//! threads for their calls; for the others it is an I/O node, on one thread, with 100 of them in flight (one request at a time)
//! or 10,000 (100 requests). The server is this program in a process of its own: eight bytes come, and go back 1 ms later.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use coop_bench::{Contestant, interleave, report};
use coop_core::{
    EventLoop, EventLoopOptions, Result, Runtime, RuntimeOptions,
    dag::{Builder, Engine, Failure, Graph, Inputs, Node, NodeOptions, RunOptions},
    event_loop::{
        Handle, RunMode, sleep,
        stream::{ConnectOptions, ListenOptions, Stream},
    },
    pool::{Pool, PoolOptions},
    runtime::StartMode,
};

/// What a call takes at the server.
const DELAY: Duration = Duration::from_millis(1);
/// Calls of one request beside each other; two more come before them.
const FOLLOWED: usize = 100;
const CALLS: usize = FOLLOWED + 2;
const BLOCKING: usize = 8;

/// Lets this process have as many descriptors as it may, and says how many that is.
fn raise_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes to a place of this function's own.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(read, 0, "the limit of descriptors");
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: it reads from that place.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "the limit of descriptors");
    limit.rlim_cur
}

/// The server, until it is killed.
pub fn serve() -> Result<()> {
    raise_limit();
    let event_loop = EventLoop::new(EventLoopOptions::default())?;
    let options = ListenOptions { backlog: 16_384, ..ListenOptions::default() };
    let listener = event_loop.listen(SocketAddr::from(([127, 0, 0, 1], 0)), &options)?;
    println!("{}", listener.local_addr().as_ip().map_or(0, |address| address.port()));
    let handle = event_loop.handle();
    let answer = |stream: Stream, on: Handle| async move {
        stream.set_nodelay(true)?;
        let mut call = [0; 8];
        loop {
            stream.read_exact(&mut call).await?;
            sleep(&on, DELAY).await?;
            stream.write_all(&call).await?;
        }
        #[allow(unreachable_code, reason = "it says of what type the errors are")]
        Result::<()>::Ok(())
    };
    let accepting = async move {
        while let Ok(stream) = listener.accept().await {
            drop(handle.spawn(answer(stream, handle.clone())));
        }
    };
    drop(event_loop.spawn(accepting)?);
    event_loop.run(RunMode::Default).map(drop)
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let program = fs::read_link("/proc/self/exe").expect("this program");
        let mut child = Command::new(program).arg("serve").stdout(Stdio::piped()).spawn().expect("a server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line with its port");
        let port: u16 = line.trim().parse().expect("a port");
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it is a child");
        self.child.wait().expect("it is a child");
    }
}

/// Connections that no call uses.
struct Idle<S>(Mutex<Vec<S>>);

impl<S> Idle<S> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Vec::new())))
    }

    fn take(&self) -> Option<S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, stream: S) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }
}

fn check(call: u64, answer: [u8; 8]) -> Result<u64, Failure> {
    if answer == call.to_le_bytes() { Ok(call) } else { Err(Failure::text("the answer to another call")) }
}

fn call_and_block(idle: &Idle<TcpStream>, server: SocketAddr, call: u64) -> Result<u64, Failure> {
    let mut stream = match idle.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream
        }
    };
    let mut answer = [0; 8];
    stream.write_all(&call.to_le_bytes())?;
    stream.read_exact(&mut answer)?;
    idle.put(stream);
    check(call, answer)
}

async fn call_and_wait(idle: Arc<Idle<Stream>>, on: Handle, server: SocketAddr, call: u64) -> Result<u64, Failure> {
    let stream = match idle.take() {
        Some(stream) => stream,
        None => {
            let stream = on.connect_addr(server, &ConnectOptions::default()).await?;
            stream.set_nodelay(true)?;
            stream
        }
    };
    let mut answer = [0; 8];
    stream.write_all(&call.to_le_bytes()).await?;
    stream.read_exact(&mut answer).await?;
    idle.put(stream);
    check(call, answer)
}

/// The pipeline, with this as a call: a node of this name that asks for what it reads and one number more.
fn pipeline(call: impl Fn(&mut Builder, &str, Node<u64>, u64) -> Node<u64>) -> Graph {
    let mut dag = Builder::new();
    let plain = NodeOptions::default;
    let user = dag.input::<u64>("user").expect("a node");
    let viewer = call(&mut dag, "viewer", user, 1);
    let follow = call(&mut dag, "follow", viewer, 1);
    let posts: Vec<_> =
        (0..FOLLOWED as u64).map(|post| call(&mut dag, &format!("posts/{post}"), follow, post)).collect();
    let vm =
        dag.cpu("vm", plain(), posts, |posts| Ok(posts.iter().map(|post| **post * 7919 % 1009).collect::<Vec<_>>()));
    let filter = dag.cpu("filter", plain(), vm.expect("a node"), |posts| {
        Ok(posts.iter().copied().filter(|score| score % 2 == 0).collect::<Vec<u64>>())
    });
    let sort = dag.cpu("sort", plain(), filter.expect("a node"), |posts| {
        let mut posts = posts.take();
        posts.sort_unstable();
        Ok(posts)
    });
    dag.cpu("result", plain(), sort.expect("a node"), |posts| Ok(posts.len())).expect("a node");
    dag.build().expect("a graph")
}

/// So many requests at once: thousands of calls per second.
fn rate(graph: &Graph, engine: &Engine, at_once: usize, rounds: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..rounds {
        let runs: Vec<_> = (0..at_once as u64)
            .map(|user| graph.run(engine, Inputs::new().with("user", user), &RunOptions::default()).expect("it starts"))
            .collect();
        for run in runs {
            run.join(None).and_then(|outcome| outcome.result()).expect("it ends well");
        }
    }
    (at_once * rounds * CALLS) as f64 / start.elapsed().as_secs_f64() / 1e3
}

/// Runs the row.
pub fn row(rounds: usize) {
    let limit = raise_limit();
    assert!(limit > 10_100, "10,000 connections need as many descriptors, and the limit is {limit}: raise `ulimit -n`");
    let server = Server::start();
    let address = server.address;

    let threads = PoolOptions { workers: Some(BLOCKING), no_pin: true, ..PoolOptions::default() };
    let threads = Pool::new(threads).expect("a pool");
    let idle = Idle::new();
    let blocking = pipeline(|dag, name, before, more| {
        let idle = idle.clone();
        let call = move |before: coop_core::dag::Arg<u64>| call_and_block(&idle, address, *before + more);
        dag.cpu(name, NodeOptions::default(), before, call).expect("a node")
    });
    let runtime = Runtime::new(RuntimeOptions::default()).expect("a runtime");
    runtime.start(StartMode::Return).expect("it starts");
    let (idle, on) = (Idle::new(), runtime.event_loop().handle());
    let waiting = pipeline(|dag, name, before, more| {
        let (idle, on) = (idle.clone(), on.clone());
        let call =
            move |before: coop_core::dag::Arg<u64>| call_and_wait(idle.clone(), on.clone(), address, *before + more);
        dag.io(name, NodeOptions::default(), before, call).expect("a node")
    });
    let (threads, engine) = (Engine::new(&threads), Engine::from(&runtime));
    let contestants = &mut [
        Contestant::new("10,000 calls in flight", || rate(&waiting, &engine, 100, 1)),
        Contestant::new("100 calls in flight", || rate(&waiting, &engine, 1, 20)),
        Contestant::new("8 blocking threads", || rate(&blocking, &threads, 5, 1)),
    ];
    let figures = interleave(rounds, contestants);
    report("k/s", contestants, &figures);
}
