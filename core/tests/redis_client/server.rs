//! A redis server of a test's own, and a loop to call it from.

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use coop_core::{
    EventLoop, EventLoopOptions, Result,
    event_loop::Handle,
    net::redis::{Client, Options, Reply, Server as At},
};

pub(crate) const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("coop-redis-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server at a Unix socket, or at a port as well; it writes nothing anywhere but in its folder.
pub(crate) struct Server {
    process: Option<Child>,
    folder: Folder,
    args: Vec<String>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut server = Self { process: None, folder: Folder::new(), args };
        server.restart();
        server
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.0.join("redis.sock")
    }

    /// Starts it again, with the same arguments, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(self.socket())
            .args(&self.args)
            .current_dir(&self.folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed: .ci/setup installs it");
        self.process = Some(process);
        wait_for("the server listens", || UnixStream::connect(self.socket()).is_ok());
    }

    /// Stops it, or has it go on: its connections stay, and it says nothing meanwhile.
    pub(crate) fn signal(&self, name: &str) {
        let number = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &number]).status().unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options { server: At::Unix(self.socket()), ..Options::default() }
    }

    pub(crate) fn client(&self, event_loop: &Handle) -> Client {
        Client::new(event_loop, self.options()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LONG.unwrap();
    while !holds() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A loop on a thread of its own.
pub(crate) fn start_loop() -> EventLoop {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    event_loop
}

pub(crate) fn bulk(text: impl AsRef<[u8]>) -> Reply {
    Reply::Bulk(text.as_ref().to_vec())
}

pub(crate) fn status(text: &str) -> Reply {
    Reply::Status(text.into())
}

/// What callbacks were told, by number.
pub(crate) struct Told {
    sender: mpsc::Sender<(usize, Result<Reply>)>,
    receiver: mpsc::Receiver<(usize, Result<Reply>)>,
}

impl Told {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver }
    }

    /// A callback of this number.
    pub(crate) fn callback(&self, number: usize) -> impl FnOnce(Result<Reply>) + Send + 'static {
        let sender = self.sender.clone();
        move |outcome| {
            let _ = sender.send((number, outcome));
        }
    }

    /// All that was told when every callback is gone: each of `count` once.
    pub(crate) fn each_once(self, count: usize) -> Vec<Result<Reply>> {
        let Self { sender, receiver } = self;
        drop(sender);
        let mut outcomes: Vec<Option<Result<Reply>>> = (0..count).map(|_| None).collect();
        for _ in 0..count {
            let (number, outcome) = receiver.recv_timeout(LONG.unwrap()).expect("every call ends");
            assert!(outcomes[number].replace(outcome).is_none(), "call {number} ended twice");
        }
        // All callbacks are gone, so nobody can tell more.
        assert!(receiver.recv_timeout(LONG.unwrap()).is_err(), "more was told than asked");
        outcomes.into_iter().map(Option::unwrap).collect()
    }
}
