//! From the request to a worker that says hello: the executor of a zygote's workers, whose zygote is this program, and does nothing else.
//! Beside it the part of that which is the host's thread's own: the call that sends the request.
//!
//!     cargo run --release -p coop-bench --bin zygote [WORKERS]

use std::{
    error::Error,
    mem, ptr,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use coop_core::{
    EventLoop, EventLoopOptions,
    event_loop::RunMode,
    supervisor::{
        Args, Command, Executor, Forked, Reporter, Service, ServiceId, Start, Zygote,
        executor::{
            Report,
            process::output::{Output, Sink},
        },
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("COOP_ZYGOTE").is_some() {
        serve();
    }
    let workers: usize = std::env::args().nth(1).map_or(Ok(300), |count| count.parse())?;
    let zygote = Zygote::new(Command::new("/proc/self/exe"));
    let event_loop = EventLoop::new(EventLoopOptions::default())?;
    let (mut calls, mut hellos) = (Vec::new(), Vec::new());
    for _ in 0..=workers {
        let (call, hello) = start(&zygote, &event_loop)?;
        calls.push(call);
        hellos.push(hello);
    }
    // The first one has made the zygote.
    let show = |times: &mut Vec<Duration>| {
        let first = times.remove(0);
        times.sort_unstable();
        let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        format!("p50 {half:>6.0?} p99 {most:>6.0?} (with the zygote's start {first:.0?})")
    };
    println(&format!("the call {}\nto hello {}", show(&mut calls), show(&mut hellos)));
    Ok(())
}

fn start(zygote: &Arc<Zygote>, event_loop: &EventLoop) -> Result<(Duration, Duration), Box<dyn Error>> {
    let output = Output { stdout: Sink::Null, stderr: Sink::Null, tail: 20 };
    let executor = Arc::new(Forked::new(zygote, Vec::new()).output(output));
    let service = Service::new("worker", executor.clone());
    let (sender, told) = mpsc::channel();
    let reporter = Reporter::new(move |report| {
        let _ = sender.send((report, Instant::now()));
    });
    let begin = Instant::now();
    let running = executor.start(Start {
        service: &service,
        id: ServiceId(1),
        path: "root/worker",
        run: 1,
        args: &Args::None,
        event_loop,
        main_loop: None,
        supervisor: None,
        reporter,
    })?;
    let call = begin.elapsed();
    let mut hello = None;
    loop {
        match told.try_recv() {
            Ok((Report::Spawned { .. }, at)) => hello = Some(at - begin),
            Ok((Report::Ended { how, .. }, _)) => {
                drop(running);
                return hello.map(|hello| (call, hello)).ok_or_else(|| how.to_string().into());
            }
            Ok(_) => {}
            Err(_) => event_loop.run(RunMode::Once)?,
        }
    }
}

/// Makes a worker of each request, which says hello, waits for its word and exits.
fn serve() -> ! {
    let mut space = [0_u64; 64];
    let mut byte = 0_u8;
    loop {
        let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: all zero is a message without anything.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&space) as _;
        // SAFETY: the message's places are there, and as long as it says.
        if unsafe { libc::recvmsg(3, &raw mut message, libc::MSG_CMSG_CLOEXEC) } <= 0 {
            std::process::exit(0);
        }
        let flags = i64::from(libc::CLONE_PARENT | libc::SIGCHLD);
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: this process has one thread, which goes on in the child, in a copy of its memory, with system calls only.
        if unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) } == 0 {
            // SAFETY: the message has a control part, of descriptors.
            let control = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
            // SAFETY: the first of them, of four at least.
            let control = unsafe { libc::CMSG_DATA(control).cast::<i32>().read_unaligned() };
            // SAFETY: the text is as long as is said.
            unsafe { libc::send(control, c"hello".as_ptr().cast(), 5, 0) };
            // SAFETY: a place for a byte.
            unsafe { libc::recv(control, (&raw mut byte).cast(), 1, 0) };
            // SAFETY: ends this process, a copy, without anything of the first one's.
            unsafe { libc::_exit(0) };
        }
        // Those that came: from 4 on, as nothing else is opened here.
        // SAFETY: closes descriptors that nobody uses any more.
        unsafe { libc::syscall(libc::SYS_close_range, 4, u32::MAX, 0) };
    }
}

#[allow(clippy::print_stdout, reason = "what it is for")]
fn println(line: &str) {
    println!("{line}");
}
