//! A small zygote: this program again, and the workers that it makes. What they do wrong is its argument.

use std::{
    env,
    fs::File,
    io::{IoSliceMut, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        linux::net::SocketAddrExt,
        unix::{
            fs::FileExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process::exit,
};

use coop_core::supervisor::systemd::Systemd;
use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recv, recvmsg, send},
    process::{Pid, Resource, Rlimit, Signal, getpid, getsid, kill_process, setpgid, setrlimit, setsid},
};
use serde_json::Value;

/// The most descriptors of a request.
const MOST: usize = 253;

pub(crate) fn run_if_asked() {
    let Ok(number) = env::var("COOP_ZYGOTE") else { return };
    // SAFETY: the host has given this process the descriptor of this number, and nobody else knows it.
    let requests = unsafe { OwnedFd::from_raw_fd(number.parse().unwrap()) };
    let fault = env::args().nth(1).unwrap_or_default();
    let mut kept = Vec::new();
    while let Some(descriptors) = next(&requests) {
        match fault.as_str() {
            "refuses" => say(&descriptors[0], "error: preload 'x': not there\nline 1\nline 2"),
            "exits" => exit(7),
            "aborts" => {
                let none = Rlimit { current: Some(0), maximum: Some(0) };
                setrlimit(Resource::Core, none).unwrap();
                std::process::abort()
            }
            "hangs" => kept.push(descriptors),
            "lies" => say(&descriptors[0], "hello"),
            "says nonsense" => say(&descriptors[0], "good day"),
            "forgets" => {}
            // The first one leaves the request with somebody who waits for its end, and ends.
            "leaks" if !marked() => {
                let holder = fork(true);
                // Not before it is out of this one's group, which ends with it.
                while holder > 0
                    && getsid(Pid::from_raw(i32::try_from(holder).unwrap())).unwrap() == getsid(None).unwrap()
                {
                    std::thread::yield_now();
                }
                if holder == 0 {
                    setsid().unwrap();
                    drop(requests);
                    let _ = recv(&descriptors[0], &mut [0][..], RecvFlags::empty());
                }
                exit(7);
            }
            _ => {
                if fork(fault == "is a parent") == 0 {
                    drop(requests);
                    work(descriptors, &fault);
                }
            }
        }
    }
    exit(0);
}

/// Whether another one has been here.
fn marked() -> bool {
    File::create_new(env::args().nth(2).unwrap()).is_err()
}

fn say(control: &OwnedFd, text: &str) {
    let _ = send(control, text.as_bytes(), SendFlags::NOSIGNAL);
}

fn next(requests: &OwnedFd) -> Option<Vec<OwnedFd>> {
    let mut text = [0; 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(requests, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    if message.bytes == 0 {
        return None;
    }
    assert_eq!(&text[..message.bytes], b"F");
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = part {
            descriptors.extend(some);
        }
    }
    assert!(descriptors.len() >= 4);
    Some(descriptors)
}

/// 0 in the child, which is this process's sibling, or its own.
fn fork(own: bool) -> i64 {
    let mut number: *mut libc::pid_t = std::ptr::null_mut();
    // SAFETY: the place for the address is there.
    unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut number, 0, 0, 0) };
    let parent = if own { 0 } else { libc::CLONE_PARENT };
    let flags = parent | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    // SAFETY: this process has one thread, which goes on in the child, in a copy of its memory; the system writes its number to where the C
    // library keeps it.
    #[cfg(target_arch = "x86_64")]
    let pid = unsafe { libc::syscall(libc::SYS_clone, i64::from(flags), 0, 0, number, 0) };
    // SAFETY: as above.
    #[cfg(not(target_arch = "x86_64"))]
    let pid = unsafe { libc::syscall(libc::SYS_clone, i64::from(flags), 0, 0, 0, number) };
    assert!(pid >= 0);
    pid
}

fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    exit(9)
}

fn contents(file: &OwnedFd) -> Vec<u8> {
    let file = File::from(file.try_clone().unwrap());
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn place(descriptors: &[OwnedFd], wanted: &Value) {
    for pair in wanted.as_array().unwrap() {
        let (index, number) = (pair[0].as_u64().unwrap() as usize, pair[1].as_i64().unwrap() as RawFd);
        // SAFETY: the numbers below 100 are nobody's here: see `moved`.
        assert!(unsafe { libc::dup2(descriptors[index].as_raw_fd(), number) } == number);
    }
}

/// Where none of them is in the way of another one's place.
fn moved(descriptors: Vec<OwnedFd>) -> Vec<OwnedFd> {
    descriptors.iter().map(|each| rustix::io::fcntl_dupfd_cloexec(each, 100).unwrap()).collect()
}

fn surround(request: &Value) {
    let names: Vec<_> = env::vars_os().map(|(name, _)| name).collect();
    let pid = std::process::id().to_string();
    let texts =
        request["env"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let pids = request["pid_env"].as_array().unwrap().iter().map(|name| (name.as_str().unwrap(), pid.as_str()));
    // SAFETY: this process has one thread.
    names.iter().for_each(|name| unsafe { env::remove_var(name) });
    for (name, value) in texts.chain(pids) {
        // SAFETY: as above.
        unsafe { env::set_var(name, value) };
    }
    env::set_current_dir(request["directory"].as_str().unwrap()).unwrap();
    let umask = request["umask"].as_u64().unwrap();
    rustix::process::umask(rustix::fs::Mode::from_bits(u32::try_from(umask).unwrap()).unwrap());
    if let Some(nice) = request["nice"].as_i64() {
        rustix::process::setpriority_process(None, i32::try_from(nice).unwrap()).unwrap();
    }
}

fn work(descriptors: Vec<OwnedFd>, fault: &str) -> ! {
    if fault == "workers die" {
        die();
    }
    let descriptors = moved(descriptors);
    say(&descriptors[0], "here");
    if fault == "workers die later" {
        die();
    }
    let request: Value = serde_json::from_slice(&contents(&descriptors[1])).unwrap();
    place(&descriptors, &request["fds"]);
    surround(&request);
    if request["new_session"].as_bool().unwrap() {
        setsid().unwrap();
    } else {
        setpgid(None, None).unwrap();
    }
    // SAFETY: takes no memory of this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    match fault {
        "workers hang" => loop {
            std::thread::park();
        },
        "workers refuse" => {
            say(&descriptors[0], "error: run it as user 7: not permitted");
            exit(1);
        }
        _ => say(&descriptors[0], "hello"),
    }
    let mut word = [0];
    if !matches!(recv(&descriptors[0], &mut word[..], RecvFlags::empty()), Ok((1, _))) {
        exit(1);
    }
    let payload = String::from_utf8(contents(&descriptors[2])).unwrap();
    let report = File::from(descriptors[3].try_clone().unwrap());
    drop(descriptors);
    exit(run(&payload, report));
}

fn run(payload: &str, mut report: File) -> i32 {
    let host = Systemd::from_environment().unwrap().unwrap();
    let (what, rest) = payload.split_once(' ').unwrap_or((payload, ""));
    match what {
        "entry" => super::entries::workers().run().unwrap(),
        // What it has of what the request said.
        "says" => {
            host.ready().unwrap();
            let variable = env::var(rest).unwrap_or_default();
            let pids = env::var("WATCHDOG_PID").is_ok_and(|pid| pid == std::process::id().to_string());
            let nice = rustix::process::getpriority_process(Pid::from_raw(0)).unwrap();
            let umask = rustix::process::umask(rustix::fs::Mode::empty()).as_raw_mode();
            let directory = env::current_dir().unwrap();
            let group = rustix::process::getpgid(None).unwrap() == getpid();
            let text = format!(
                "{rest}={variable} watchdog={pids} nice={nice} umask={umask:o} in={} leads={group}",
                directory.display()
            );
            host.status(&text).unwrap();
            loop {
                std::thread::park();
            }
        }
        // To a descriptor, which its host has the other end of; and what it was told to serve.
        "serves" => {
            // SAFETY: the request gave it this number.
            let mut writer = unsafe { File::from_raw_fd(9) };
            let sockets = coop_core::supervisor::systemd::listen_fds().unwrap();
            let names: Vec<_> = sockets.iter().map(|(name, _)| name.clone()).collect();
            writer.write_all(format!("serves {}", names.join(",")).as_bytes()).unwrap();
            drop(writer);
            // SAFETY: as above.
            let socket = unsafe { std::net::TcpListener::from_raw_fd(3) };
            host.ready().unwrap();
            let (mut stream, _) = socket.accept().unwrap();
            stream.write_all(b"served").unwrap();
            0
        }
        "reports" => {
            host.ready().unwrap();
            report.write_all(b"Traceback:\n  somewhere\n").unwrap();
            report.write_all(&vec![b'x'; rest.parse().unwrap()]).unwrap();
            let name = env::var("NOTIFY_SOCKET").unwrap();
            let address = SocketAddr::from_abstract_name(name.strip_prefix('@').unwrap()).unwrap();
            let socket = UnixDatagram::unbound().unwrap();
            socket.send_to_addr(b"X_COOP_FAILED=ValueError: 7", &address).unwrap();
            1
        }
        "aborts" => {
            report.write_all(b"the stacks of all threads").unwrap();
            let _ = kill_process(getpid(), Signal::ABORT);
            1
        }
        other => panic!("{other:?} is no payload"),
    }
}
