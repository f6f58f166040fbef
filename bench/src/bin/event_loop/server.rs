//! A server in a process of its own: this program run again as `serve`. It has a port, and a page of counts that both see.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::{Child, Command, Stdio},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// `udp_count` of loops/side.h.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Counts {
    pub datagrams: AtomicU64,
    pub sum: AtomicU64,
}

/// Maps the page of counts.
pub fn map_counts(fd: i32) -> &'static Counts {
    // SAFETY: a new mapping of a memfd of this size, never unmapped; what is in it are atomics.
    let page = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(ptr::null_mut(), size_of::<Counts>(), protection, libc::MAP_SHARED, fd, 0)
    };
    assert_ne!(page, libc::MAP_FAILED, "mmap of the counts");
    // SAFETY: mapped, page-aligned, zeroed by the system, and shared as atomics.
    unsafe { &*page.cast::<Counts>() }
}

fn new_counts() -> OwnedFd {
    // SAFETY: the name is a C string. Without MFD_CLOEXEC: the servers inherit it.
    let fd = unsafe { libc::memfd_create(c"counts".as_ptr(), 0) };
    assert!(fd >= 0, "memfd_create");
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a call with two numbers.
    assert_eq!(unsafe { libc::ftruncate(fd.as_raw_fd(), size_of::<Counts>() as i64) }, 0, "ftruncate");
    fd
}

pub struct Server {
    child: Child,
    pub port: u16,
    pub counts: &'static Counts,
}

impl Server {
    pub fn start(what: &str, name: &str) -> Self {
        let fd = new_counts();
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["serve", what, name, &fd.as_raw_fd().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server process");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line with its port");
        let port = line.trim().parse().unwrap_or_else(|_| panic!("{what} {name} says {line:?} instead of its port"));
        Self { child, port, counts: map_counts(fd.as_raw_fd()) }
    }

    pub fn datagrams(&self) -> u64 {
        self.counts.datagrams.load(Ordering::Acquire)
    }

    /// Holds it where it is until [`Server::go_on`].
    pub fn pause(&self) {
        self.signal(libc::SIGSTOP);
        let pid = self.child.id() as i32;
        // SAFETY: our own child, which is not waited for elsewhere meanwhile; no status is asked for.
        assert_eq!(unsafe { libc::waitpid(pid, ptr::null_mut(), libc::WUNTRACED) }, pid, "waitpid");
    }

    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: our own child, which is not waited for before the drop.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0, "kill");
    }

    /// The time that its threads have spent on a CPU.
    pub fn cpu_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it lives");
        let nanoseconds = threads.flatten().filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
