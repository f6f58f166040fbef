//! What this program does when it is run again as a child.

use std::os::{
    fd::AsRawFd,
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram},
};

use super::*;
use crate::supervisor::systemd::{self, Systemd};

type Role = (&'static str, fn() -> String);

const ROLES: &[Role] = &[
    ("its-managers-words", its_managers_words),
    ("print-its-managers-words", print_its_managers_words),
    ("listen", listen),
    ("a-thousand", a_thousand),
    ("a-hundred-without-pidfds", a_hundred_without_pidfds),
    ("a-parent", || a_parent(|command| command)),
    ("a-parent-of-another-users", || a_parent(|command| command.uid(65_534).gid(65_534))),
    ("a-parent-of-its-own-users", || a_parent(|command| command.uid(rustix::process::geteuid().as_raw()))),
    ("ignores-sigchld", ignores_sigchld),
    ("a-gigabyte", writing::a_gigabyte),
    ("under-seccomp", raw::under_seccomp),
    ("tells", tells),
    ("tells-nonsense", tells_nonsense),
    ("tells-a-stranger", tells_a_stranger),
    ("is-ready-and-waits", is_ready_and_waits),
    ("says-of-its-watchdog", says_of_its_watchdog),
    ("says-how-it-fails", says_how_it_fails),
];

#[test]
fn as_a_child() {
    let Ok(wanted) = std::env::var(ROLE) else {
        let names: std::collections::BTreeSet<_> = ROLES.iter().map(|(name, _)| name).collect();
        return assert_eq!(names.len(), ROLES.len(), "each role is one");
    };
    let (_, play) = ROLES.iter().find(|(name, _)| *name == wanted).unwrap();
    say(&play());
    say("last");
    process::exit(0);
}

fn say(text: &str) {
    let text = if text == "last" { "last\n".to_owned() } else { format!("{RESULT}{text}\n") };
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}

fn its_managers_words() -> String {
    let ours = "NOTIFY_SOCKET=@x WATCHDOG_USEC=7 WATCHDOG_PID=1 LISTEN_FDS=1 LISTEN_PID=1 LISTEN_FDNAMES=x";
    let mut again = again("print-its-managers-words");
    for pair in ours.split(' ') {
        let (name, value) = pair.split_once('=').unwrap();
        again.env(name, value);
    }
    let text = String::from_utf8(again.output().unwrap().stdout).unwrap();
    text.split_once(RESULT).unwrap().1.lines().next().unwrap().to_owned()
}

fn print_its_managers_words() -> String {
    assert_eq!(std::env::var("WATCHDOG_USEC").unwrap(), "7");
    let script = "echo NOTIFY_SOCKET=$NOTIFY_SOCKET LISTEN_FDNAMES=$LISTEN_FDNAMES WATCHDOG_USEC=$WATCHDOG_USEC";
    line(shell(script).env("NOTIFY_SOCKET", "@asked-for"))
}

fn listen() -> String {
    let sockets = systemd::listen_fds().unwrap();
    sockets.iter().map(|(name, fd)| format!("{name}={fd}")).collect::<Vec<_>>().join(",")
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn leaves_nothing(times: usize, command: &Command) -> String {
    let once = || {
        assert_eq!(ended(&silent(command.clone())).unwrap().0, Ended::Exited(0));
        refused(Command::new("/no/such/program"));
    };
    // On a thread of its own: with it ends what is made once for each.
    let there = || (count("/proc/self/fd"), count("/proc/self/task"));
    std::thread::spawn(move || std::thread::scope(|scope| scope.spawn(|| ()).join().unwrap())).join().unwrap();
    once();
    let before = there();
    for _ in 0..times {
        once();
    }
    wait_until(|| there() <= before);
    let child = rustix::process::waitid(
        rustix::process::WaitId::All,
        rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOHANG,
    );
    assert_eq!(child.map(drop), Err(rustix::io::Errno::CHILD), "a zombie");
    "nothing is left".into()
}

fn a_thousand() -> String {
    leaves_nothing(1000, &Command::new("true"))
}

fn a_hundred_without_pidfds() -> String {
    leaves_nothing(100, &Command::new("true").no_pidfd())
}

fn a_parent(change: fn(Command) -> Command) -> String {
    let run = begin(&silent(change(Command::new("sleep").arg("1000")))).unwrap();
    say(&run.pid().to_string());
    loop {
        std::thread::park();
    }
}

fn ignores_sigchld() -> String {
    raw::ignore_sigchld();
    let scratch = Scratch::new("sigchld");
    let run = begin(&silent(shell("sleep 1000 & echo $! >group; exit 0").directory(&scratch.0))).unwrap();
    let (how, _) = run.end();
    let Ended::Lost(why) = how else { panic!("lost, not {how:?}") };
    assert!(why.contains("SIGCHLD is ignored"), "{why}");
    let left: i32 = fs::read_to_string(scratch.0.join("group")).unwrap().trim().parse().unwrap();
    if kernel() >= (6, 9) {
        wait_until(|| !is_alive(left));
    } else {
        // Before that the number of a group that was reaped is nobody's to kill.
        let left = rustix::process::Pid::from_raw(left).unwrap();
        rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
    }
    "lost, and its group gone".into()
}

fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn manager() -> (UnixDatagram, SocketAddr) {
    let name = std::env::var("NOTIFY_SOCKET").unwrap();
    let address = SocketAddr::from_abstract_name(name.strip_prefix('@').unwrap()).unwrap();
    (UnixDatagram::unbound().unwrap(), address)
}

/// Sends a message with a descriptor, as `sd_notify_barrier` does.
fn send_with(text: &str, fd: &impl AsFd) {
    let (socket, address) = manager();
    socket.connect_addr(&address).unwrap();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&fds)));
    let text = [std::io::IoSlice::new(text.as_bytes())];
    rustix::net::sendmsg(&socket, &text, &mut control, rustix::net::SendFlags::empty()).unwrap();
}

/// The whole of the protocol, and at once the end.
fn tells() -> String {
    let manager = Systemd::from_environment().unwrap().unwrap();
    assert_eq!(systemd::watchdog(), Some(Duration::from_secs(7)));
    assert_eq!(std::env::var("WATCHDOG_PID").unwrap(), process::id().to_string());
    manager.status("starting").unwrap();
    manager.extend(Duration::from_secs(9)).unwrap();
    manager.ready().unwrap();
    manager.beat().unwrap();
    // A barrier: the other end is closed when all before it was read.
    let (mut reader, writer) = pipe();
    send_with("BARRIER=1", &writer);
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    let (mut reader, writer) = pipe();
    send_with("X_COOP_OBSERVE={\"of\":\"me\"}\nSTATUS=observed", &writer);
    drop(writer);
    let mut heard = String::new();
    reader.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "an event");
    manager.status("last words").unwrap();
    manager.stopping().unwrap();
    "told".into()
}

fn tells_nonsense() -> String {
    let (socket, address) = manager();
    let send = |message: &[u8]| socket.send_to_addr(message, &address).unwrap();
    send(b"");
    send(b"\0\xff\n\n=\nREADY");
    send(b"MAINPID=1\nSTATUS=\xff\xfe");
    let mut long = b"READY=1\nSTATUS=".to_vec();
    long.resize(20_000, b'x');
    send(&long);
    let random: Vec<u8> = (0..5000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    random.chunks(100).for_each(|chunk| assert_eq!(send(chunk), chunk.len()));
    // More descriptors than are taken, all closed again.
    let (mut reader, writer) = pipe();
    socket.connect_addr(&address).unwrap();
    let fds = vec![writer.as_fd(); 100];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(100))];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&fds)));
    let text = [std::io::IoSlice::new(b"FDSTORE=1")];
    rustix::net::sendmsg(&socket, &text, &mut control, rustix::net::SendFlags::empty()).unwrap();
    assert!(writer.as_raw_fd() > 2);
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    socket.send(b"STATUS=sane again").unwrap();
    "told".into()
}

/// The notification socket of a service that is run as somebody else.
fn tells_a_stranger() -> String {
    let (socket, address) = manager();
    socket.send_to_addr(b"READY=1", &address).unwrap();
    "told".into()
}

fn is_ready_and_waits() -> String {
    Systemd::from_environment().unwrap().unwrap().ready().unwrap();
    loop {
        std::thread::park();
    }
}

fn says_of_its_watchdog() -> String {
    Systemd::from_environment().unwrap().unwrap().ready().unwrap();
    let (socket, address) = manager();
    socket.send_to_addr(std::env::var("WORDS").unwrap().as_bytes(), &address).unwrap();
    loop {
        std::thread::park();
    }
}

fn says_how_it_fails() -> String {
    let (socket, address) = manager();
    socket.send_to_addr(b"X_COOP_FAILED=ValueError: 7", &address).unwrap();
    process::exit(std::env::var("STATUS").unwrap().parse().unwrap());
}
