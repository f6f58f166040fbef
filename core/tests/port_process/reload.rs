//! Workers that take over from others.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use coop_core::{
    Error,
    event_loop::{EventLoop, EventLoopOptions},
    port::{Bind, Bytes, Port, PortSet, PortSetOptions, PortStats},
    supervisor::{Because, Ended, Filter, Item, ObserverOptions, What},
};
use rustix::process::Signal;

use super::{
    Case,
    handlers::handlers,
    world::{Client, LONG, children_of, eventually, is_gone, local, options, signal, started, stop},
};

pub(crate) const CASES: &[Case] = &[
    ("five_reloads_under_load_refuse_and_reset_nothing", under_load),
    ("a_reload_whose_worker_fails_leaves_the_old_one_whole", fails),
    ("a_worker_that_leaves_has_its_deadline", deadline),
    ("old_and_new_worker_killed_in_each_phase_of_a_reload", killed),
    ("a_busy_worker_is_waited_for_in_a_reload", busy),
    ("a_set_is_stopped_in_each_phase_of_a_reload", stopped),
    ("two_reloads_at_once_come_one_after_the_other", twice),
    ("a_reload_that_nobody_waits_for_is_in_nobodys_way", kept),
    ("an_old_worker_is_told_of_each_reload_of_many_that_fail", each_is_told),
    ("no_message_is_lost_or_comes_twice_in_reloads_of_its_receiver", receives),
    ("no_message_is_lost_in_reloads_of_its_sender", sends),
    ("datagrams_are_answered_through_reloads", datagrams),
    ("only_processes_are_reloaded", unsupported),
    ("what_a_reload_tells", told),
    ("a_port_may_be_called_as_an_old_worker_would_be", namesakes),
    ("a_unix_socket_stays_through_reloads", unix),
];

/// A file that tells workers how to start.
struct Switch(PathBuf);

impl Switch {
    fn new(name: &str) -> Self {
        let switch = Self(std::env::temp_dir().join(format!("coop-reload-{name}-{}", std::process::id())));
        switch.set("ok");
        switch
    }

    fn set(&self, how: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, how).unwrap();
        fs::rename(&new, &self.0).unwrap();
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.to_str().unwrap().into()
    }

    /// Has the handler that serves this connection be in a callback until it is told otherwise.
    fn block(&self, client: &mut TcpStream) {
        let blocks = self.0.with_extension("blocks");
        let _ = fs::remove_file(&blocks);
        self.set("block");
        client.write_all(b"block").unwrap();
        eventually("it is in its callback", || blocks.exists());
    }

    /// The process of this run, once it is in its handler's start.
    fn pid(&self, run: u64) -> i32 {
        let path = self.0.with_extension(format!("run{run}"));
        eventually("it is in its start", || fs::read_to_string(&path).is_ok_and(|pid| pid.parse::<i32>().is_ok()));
        fs::read_to_string(&path).unwrap().parse().unwrap()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let name = self.0.file_name().unwrap().to_str().unwrap().to_owned();
        for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A port whose old workers would be called as another port is.
fn namesakes() {
    let switch = Switch::new("namesakes");
    let port = |name: &str| Port::at(name, Bind::Tcp(local()), "switched").args(switch.bytes());
    let set = started(options(), vec![port("WEB"), port("WEB.1")]);
    let mut clients = set.addresses().unwrap().into_iter().map(|(_, address)| connect(address)).collect::<Vec<_>>();
    clients.iter_mut().for_each(|client| ask(client, b"open"));
    set.reload(Some("WEB"), None).unwrap();
    set.reload(None, None).unwrap();
    clients.iter_mut().for_each(|client| assert_eq!(line(client, b"run"), "1"));
    set.stop(Some(LONG)).unwrap();
}

/// A set with a port of connections, whose workers look at the switch.
fn web(switch: &Switch) -> (PortSet, SocketAddr) {
    web_of(options(), switch)
}

/// One that stands still is replaced.
fn web_of(mut options: PortSetOptions, switch: &Switch) -> (PortSet, SocketAddr) {
    options.process.liveness = Some(Duration::from_secs(4));
    let set = started(options, vec![Port::at("WEB", Bind::Tcp(local()), "switched").args(switch.bytes())]);
    let address = set.addresses().unwrap()[0].1;
    (set, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

fn ask(client: &mut (impl Read + Write), text: &[u8]) {
    client.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text);
}

fn line(client: &mut (impl Read + Write), order: &[u8]) -> String {
    client.write_all(order).unwrap();
    let mut text = Vec::new();
    while text.last() != Some(&b'\n') {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap().trim_end().to_owned()
}

fn pid(client: &mut TcpStream) -> i32 {
    line(client, b"pid").parse().unwrap()
}

/// Closed by the other side; whether it was without a reset.
fn closes(client: &mut TcpStream) -> bool {
    loop {
        match client.read(&mut [0; 9]) {
            Ok(0) => return true,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            // A child was stopped or has ended.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => panic!("{other:?}"),
        }
    }
}

fn stats(set: &PortSet) -> PortStats {
    set.stats().unwrap()[0].1
}

fn own_children() -> usize {
    children_of(std::process::id()).len()
}

fn under_load() {
    const STAYING: usize = 20;
    const RELOADS: u64 = 5;
    let switch = Switch::new("load");
    let (set, address) = web(&switch);
    let (over, accepted, bytes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let begins = AtomicU64::new(0);
    let served = thread::scope(|scope| {
        let stays = |number: usize| {
            let (over, accepted, bytes, begins) = (&over, &accepted, &bytes, &begins);
            move || {
                let mut client = connect(address);
                let served = pid(&mut client);
                accepted.fetch_add(1, Ordering::SeqCst);
                begins.fetch_add(1, Ordering::SeqCst);
                let text = vec![u8::try_from(number).unwrap(); 1 + 977 * number];
                while !over.load(Ordering::SeqCst) {
                    ask(&mut client, &text);
                    bytes.fetch_add(text.len() as u64, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                }
                assert_eq!(pid(&mut client), served, "to the end");
                served
            }
        };
        let comes = || {
            while !over.load(Ordering::SeqCst) {
                let mut client = connect(address);
                accepted.fetch_add(1, Ordering::SeqCst);
                ask(&mut client, b"anew");
                bytes.fetch_add(4, Ordering::SeqCst);
            }
        };
        let comers = [0; 3].map(|_| scope.spawn(comes));
        let mut stayers = Vec::new();
        // Connections of each worker, which are served by it until the end.
        for reload in 0..=RELOADS {
            let first = STAYING / (RELOADS as usize + 1) * reload as usize;
            stayers.extend((first..first + STAYING / (RELOADS as usize + 1)).map(|number| scope.spawn(stays(number))));
            eventually("they are served", || begins.load(Ordering::SeqCst) == stayers.len() as u64);
            if reload < RELOADS {
                set.reload(Some("WEB"), None).unwrap();
            }
        }
        over.store(true, Ordering::SeqCst);
        comers.into_iter().for_each(|comer| comer.join().unwrap());
        stayers.into_iter().map(|stayer| stayer.join().unwrap()).collect::<Vec<_>>()
    });
    // With their last connections the old workers have gone.
    let last = *served.last().unwrap();
    eventually("the old ones end", || children_of(std::process::id()) == [last]);
    let mut workers = served.clone();
    workers.dedup();
    assert_eq!(workers.len() as u64, RELOADS + 1, "{served:?}");
    assert!(workers[..workers.len() - 1].iter().all(|pid| is_gone(*pid)));
    set.stop(Some(LONG)).unwrap();
    let stats = stats(&set);
    assert_eq!((stats.accepted, stats.restarts, stats.errors, stats.open), (accepted.into_inner(), RELOADS, 0, 0));
    // And "pid", twice each.
    let asked = 6 * served.len() as u64;
    assert_eq!(stats.received_bytes, bytes.into_inner() + asked);
}

fn fails() {
    let switch = Switch::new("fails");
    let (set, address) = web(&switch);
    let mut client = connect(address);
    let old = pid(&mut client);
    for (how, words) in [("no luck", "no luck"), ("exit", "exited with 3")] {
        switch.set(how);
        match set.reload(None, None) {
            Err(Error::Failed(text)) => assert!(text.contains(words) && text.contains("WEB"), "{text}"),
            other => panic!("{other:?}"),
        }
        // It hears, sends, saves and accepts, as before.
        set.send("WEB", Box::new(Bytes(how.into()))).unwrap();
        eventually("it hears", || line(&mut client, b"heard").ends_with(how));
        assert_eq!(line(&mut client, b"saved"), "handed over", "what the one that failed has saved is undone");
        assert_eq!((line(&mut client, b"save").as_str(), pid(&mut connect(address))), ("Ok(())", old));
    }
    switch.set("ok");
    set.reload(None, None).unwrap();
    assert_eq!(line(&mut client, b"run"), "1", "its connection stays with it");
    let refused = line(&mut client, b"save");
    assert!(refused.contains("Closed") && refused.contains("taken over"), "{refused}");
    assert_eq!(line(&mut client, b"handed over"), "3", "it was told each time");
    let mut new = connect(address);
    assert_eq!(line(&mut new, b"run"), "4");
    drop(client);
    eventually("it ends", || is_gone(old));
    assert!(
        matches!(set.reload(Some("NONE"), None), Err(Error::Invalid(text)) if text.contains("NONE") && text.contains("WEB"))
    );
    set.stop(Some(LONG)).unwrap();
    assert!(matches!(set.reload(None, None), Err(Error::Closed(_))));
}

fn deadline() {
    let switch = Switch::new("deadline");
    let (set, address) = web(&switch);
    let mut clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
    let old = pid(&mut clients[0]);
    clients.iter_mut().for_each(|client| ask(client, b"open"));
    set.reload(None, Some(Duration::from_millis(50))).unwrap();
    for client in &mut clients {
        assert!(closes(client), "as at a stop");
    }
    eventually("it ends", || is_gone(old));
    // One that does not hear of it is ended.
    let mut client = connect(address);
    let old = pid(&mut client);
    set.reload(None, Some(LONG)).unwrap();
    stop(old);
    set.reload(None, Some(Duration::MAX)).unwrap();
    closes(&mut client);
    eventually("its liveness is watched", || is_gone(old));
    assert_ne!(pid(&mut connect(address)), old);
    set.stop(Some(LONG)).unwrap();
}

/// The set, with a connection to its old worker, while the new one is in its start.
fn in_the_middle(switch: &Switch, reload: impl FnOnce(&PortSet, SocketAddr, &mut TcpStream, i32, i32)) {
    let (set, address) = web(switch);
    let mut client = connect(address);
    let old = pid(&mut client);
    switch.set("wait");
    let mut under_way = set.begin_reload(None, None).unwrap();
    assert!(matches!(under_way.join(Some(Duration::ZERO)), Err(Error::Timeout(_))));
    let new = switch.pid(2);
    reload(&set, address, &mut client, old, new);
    switch.set("ok");
    drop(under_way);
    set.stop(Some(LONG)).unwrap();
}

fn killed() {
    // The new one, before it is ready: the old one goes on.
    let switch = Switch::new("killed");
    let (set, address) = web(&switch);
    let mut client = connect(address);
    let old = pid(&mut client);
    switch.set("wait");
    let mut reload = set.begin_reload(None, None).unwrap();
    let new = switch.pid(2);
    set.send("WEB", Box::new(Bytes(b"early".to_vec()))).unwrap();
    signal(new, Signal::KILL);
    assert!(matches!(reload.join(None), Err(Error::Failed(text)) if text.contains("WEB")));
    eventually("the old one hears again", || line(&mut client, b"heard") == "early");
    assert_eq!((pid(&mut connect(address)), stats(&set).restarts), (old, 1));
    // The old one, before the new one is ready: that one takes its place.
    let mut reload = set.begin_reload(None, None).unwrap();
    let new = switch.pid(3);
    signal(old, Signal::KILL);
    closes(&mut client);
    // Accepted by the next one.
    let mut client = connect(address);
    switch.set("ok");
    reload.join(None).unwrap();
    assert_eq!(pid(&mut client), new);
    // Both: it is restarted.
    switch.set("wait");
    let mut reload = set.begin_reload(None, None).unwrap();
    let newer = switch.pid(4);
    signal(new, Signal::KILL);
    eventually("it is gone", || is_gone(new));
    signal(newer, Signal::KILL);
    assert!(matches!(reload.join(None), Err(Error::Failed(_))));
    switch.set("ok");
    closes(&mut client);
    let mut client = connect(address);
    assert!(![old, new, newer].contains(&pid(&mut client)));
    // The old one while it leaves, and the new one beside it.
    let old = pid(&mut client);
    set.reload(None, None).unwrap();
    let new = pid(&mut connect(address));
    signal(new, Signal::KILL);
    let newer = loop {
        // What it had accepted is closed with it.
        let mut other = connect(address);
        if other.write_all(b"pid").is_ok() && matches!(other.peek(&mut [0]), Ok(1)) {
            break pid(&mut connect(address));
        }
    };
    assert!(newer != new && newer != old);
    ask(&mut client, b"it serves on");
    signal(old, Signal::KILL);
    closes(&mut client);
    assert_eq!(pid(&mut connect(address)), newer);
    eventually("one is left", || own_children() == 1);
    set.stop(Some(LONG)).unwrap();
}

fn busy() {
    let switch = Switch::new("busy");
    let (set, address) = web(&switch);
    let mut client = connect(address);
    let old = pid(&mut client);
    // In a callback, until it is let go on.
    switch.block(&mut client);
    let mut reload = set.begin_reload(None, None).unwrap();
    assert!(matches!(reload.join(Some(Duration::from_millis(300))), Err(Error::Timeout(_))));
    switch.set("ok");
    reload.join(None).unwrap();
    assert_eq!(line(&mut client, b"run"), "1");
    assert_ne!(pid(&mut connect(address)), old);
    // One that stands still is replaced, and the new one has its place.
    let before = pid(&mut connect(address));
    stop(before);
    set.reload(None, None).unwrap();
    assert!(is_gone(before));
    assert_ne!(pid(&mut connect(address)), before);
    set.stop(Some(LONG)).unwrap();
    // For ever: the new one gives up, a tenth of its time before it would be given up itself.
    let mut options = options();
    options.process.ready = Duration::from_secs(12);
    let (set, address) = web_of(options, &switch);
    let mut client = connect(address);
    let old = pid(&mut client);
    switch.block(&mut client);
    match set.reload(None, None) {
        Err(Error::Failed(text)) => assert!(text.contains("did not let go"), "{text}"),
        other => panic!("{other:?}"),
    }
    // Killed while the new one waits for it: that one has the place at once.
    let mut reload = set.begin_reload(None, None).unwrap();
    eventually("it is started", || own_children() == 2);
    switch.set("ok");
    signal(old, Signal::KILL);
    reload.join(None).unwrap();
    assert_ne!(pid(&mut connect(address)), old);
    set.stop(Some(LONG)).unwrap();
}

fn stopped() {
    let switch = Switch::new("stopped");
    let began = Instant::now();
    in_the_middle(&switch, |set, _, client, old, new| {
        set.stop(Some(Duration::from_millis(100))).unwrap();
        assert!(is_gone(old) && is_gone(new));
        closes(client);
    });
    let (set, address) = web(&switch);
    let mut client = connect(address);
    let old = pid(&mut client);
    set.reload(None, None).unwrap();
    set.reload(None, Some(LONG)).unwrap();
    set.stop(Some(LONG)).unwrap();
    assert!(closes(&mut client) && is_gone(old), "it does not wait for what is open");
    // Its workers go with a set that is dropped.
    let (set, address) = web(&switch);
    let mut client = connect(address);
    ask(&mut client, b"open");
    set.reload(None, None).unwrap();
    drop(set);
    closes(&mut client);
    assert!(began.elapsed() < LONG);
}

fn twice() {
    let switch = Switch::new("twice");
    let (set, address) = web(&switch);
    let mut first = connect(address);
    assert_eq!(line(&mut first, b"run"), "1");
    thread::scope(|scope| {
        for reload in [(); 3].map(|()| scope.spawn(|| set.reload(None, None))) {
            reload.join().unwrap().unwrap();
        }
    });
    assert_eq!(line(&mut connect(address), b"run"), "4");
    // One that nobody waits for any more is done all the same, with its deadline, and in nobody's way.
    let mut fourth = connect(address);
    assert_eq!(line(&mut fourth, b"run"), "4");
    drop(set.begin_reload(None, None).unwrap());
    eventually("it is done", || line(&mut connect(address), b"run") == "5");
    assert_eq!(line(&mut fourth, b"run"), "4");
    set.reload(None, None).unwrap();
    assert_eq!(line(&mut connect(address), b"run"), "6");
    assert_eq!(line(&mut first, b"run"), "1");
    set.stop(Some(LONG)).unwrap();
}

fn kept() {
    let switch = Switch::new("kept");
    let (set, address) = web(&switch);
    // Neither joined nor dropped, and none of them is joined before the last one.
    let mut kept: Vec<_> = (0..3).map(|_| set.begin_reload(Some("WEB"), None).unwrap()).collect();
    eventually("all are done", || line(&mut connect(address), b"run") == "4");
    set.reload(None, None).unwrap();
    assert_eq!(line(&mut connect(address), b"run"), "5");
    for reload in &mut kept {
        assert_eq!((reload.join(Some(Duration::ZERO)), reload.join(None)), (Ok(()), Ok(())));
    }
    // One that fails is so for who waits for it, and for nobody else.
    switch.set("no luck");
    let mut failed = set.begin_reload(None, None).unwrap();
    eventually("it has failed", || !matches!(failed.join(Some(Duration::ZERO)), Err(Error::Timeout(_))));
    assert!(matches!(failed.join(None), Err(Error::Failed(text)) if text.contains("no luck")));
    switch.set("ok");
    set.reload(None, None).unwrap();
    set.stop(Some(LONG)).unwrap();
    drop((kept, failed));
}

/// Each of them begins right when the one before has failed: whoever has the port is told, and what it saves then is what the last one finds.
fn each_is_told() {
    const FAILURES: u64 = 20;
    let switch = Switch::new("each");
    let (set, address) = web(&switch);
    let mut client = connect(address);
    assert_eq!(line(&mut client, b"run"), "1");
    switch.set("no luck");
    let mut failing: Vec<_> = (0..FAILURES).map(|_| set.begin_reload(None, None).unwrap()).collect();
    for reload in &mut failing {
        assert!(matches!(reload.join(None), Err(Error::Failed(text)) if text.contains("no luck")));
    }
    switch.set("ok");
    set.reload(None, None).unwrap();
    assert_eq!(line(&mut client, b"handed over"), (FAILURES + 1).to_string());
    let mut new = connect(address);
    assert_eq!(line(&mut new, b"saved"), "handed over");
    set.stop(Some(LONG)).unwrap();
}

/// Number, last, and how many were not larger than the one before, as the port has saved them.
fn tally(client: &Client) -> [u64; 3] {
    let answer = client.ask_until(b"tally", |answer| answer.split(' ').count() == 3);
    let mut numbers = answer.split(' ').map(|number| number.parse().unwrap());
    [(); 3].map(|()| numbers.next().unwrap())
}

fn receives() {
    let set = started(options(), vec![Port::named("A", local(), "tally")]);
    let client = Client::new(&set, "A");
    let over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sends = scope.spawn(|| {
            let mut sent = 0u64;
            while !over.load(Ordering::SeqCst) {
                match set.send("A", Box::new(Bytes((sent + 1).to_le_bytes().to_vec()))) {
                    Ok(()) => sent += 1,
                    // It waits for the new one, as anybody.
                    Err(refused) => assert!(matches!(refused.error, Error::QueueFull { .. }), "{}", refused.error),
                }
                if sent.is_multiple_of(64) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            sent
        });
        for _ in 0..5 {
            let before = tally(&client)[0];
            set.reload(Some("A"), None).unwrap();
            eventually("it goes on", || tally(&client)[0] > before);
        }
        over.store(true, Ordering::SeqCst);
        sends.join().unwrap()
    });
    eventually("the old one is not there to answer", || own_children() == 1);
    eventually("all are heard", || tally(&client)[0] >= sent);
    assert_eq!(tally(&client), [sent, sent, 0]);
    set.stop(Some(LONG)).unwrap();
    assert_eq!((stats(&set).messages, stats(&set).errors), (sent, 0));
}

fn sends() {
    let set = started(options(), vec![Port::named("A", local(), "tally"), Port::named("B", local(), "tally")]);
    let (a, b) = (Client::new(&set, "A"), Client::new(&set, "B"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asks = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                // It sends the next number to B, or says why not.
                let answer = a.ask(b"next");
                assert!(answer == "sent" || answer.contains("taken over"), "{answer}");
            }
        });
        for _ in 0..5 {
            let before = tally(&b)[0];
            set.reload(Some("A"), None).unwrap();
            eventually("it goes on", || tally(&b)[0] > before);
        }
        over.store(true, Ordering::SeqCst);
        asks.join().unwrap();
    });
    eventually("the old one is not there to answer", || own_children() == 2);
    let sent = a.ask_until(b"sent?", |answer| answer.parse::<u64>().is_ok()).parse().unwrap();
    eventually("all are heard", || tally(&b)[0] >= sent);
    assert_eq!(tally(&b), [sent, sent, 0]);
    set.stop(Some(LONG)).unwrap();
}

fn datagrams() {
    let set = started(options(), vec![Port::named("A", local(), "echo"), Port::named("B", local(), "echo")]);
    let client = Client::new(&set, "A");
    let before = client.pid();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asks = scope.spawn(|| {
            let client = Client::new(&set, "A");
            let mut number = 0u64;
            while !over.load(Ordering::SeqCst) {
                number += 1;
                assert_eq!(client.ask(number.to_string().as_bytes()), number.to_string());
            }
        });
        for _ in 0..3 {
            // Each of them.
            set.reload(None, None).unwrap();
        }
        over.store(true, Ordering::SeqCst);
        asks.join().unwrap();
    });
    eventually("the old ones end", || own_children() == 2);
    assert_ne!(client.pid(), before);
    assert!(set.stats().unwrap().iter().all(|(_, stats)| stats.restarts == 3));
    set.stop(Some(LONG)).unwrap();
}

fn unix() {
    let switch = Switch::new("unix");
    let path = switch.0.with_extension("socket");
    let port = Port::at("WEB", Bind::Unix(path.clone()), "switched").args(switch.bytes());
    let set = started(options(), vec![port]);
    let connect = || {
        let client = UnixStream::connect(&path).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    };
    let (over, mut stay) = (AtomicBool::new(false), vec![connect()]);
    ask(&mut stay[0], b"open");
    thread::scope(|scope| {
        let comes = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                ask(&mut connect(), b"anew");
            }
        });
        for _ in 0..3 {
            set.reload(None, None).unwrap();
            stay.push(connect());
            ask(stay.last_mut().unwrap(), b"open");
        }
        over.store(true, Ordering::SeqCst);
        comes.join().unwrap();
    });
    let runs: Vec<_> = stay.iter_mut().map(|client| line(client, b"run")).collect();
    assert_eq!(runs, ["1", "2", "3", "4"]);
    set.stop(Some(LONG)).unwrap();
    assert!(!path.exists());
    assert_eq!((stats(&set).errors, stats(&set).refused), (0, 0));
}

fn unsupported() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    for (options, mode) in
        [(PortSetOptions::threads(), "THREAD"), (PortSetOptions::single(event_loop.handle()), "SINGLE")]
    {
        let options = PortSetOptions { handlers: handlers(), ..options };
        let set = PortSet::new(options, vec![Port::at("WEB", Bind::Tcp(local()), "stream")]).unwrap();
        assert!(matches!(set.reload(None, None), Err(Error::Invalid(_))), "not started");
        set.start().unwrap();
        match set.reload(None, None) {
            Err(Error::Unsupported(text)) => assert!(text.contains(mode) && text.contains("PROCESS"), "{text}"),
            other => panic!("{other:?}"),
        }
        set.stop(Some(LONG)).unwrap();
    }
}

fn told() {
    let switch = Switch::new("told");
    let (set, address) = web(&switch);
    let observer = set.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    let mut client = connect(address);
    ask(&mut client, b"open");
    set.reload(None, None).unwrap();
    drop(client);
    let mut seen = Vec::new();
    while !seen.iter().any(|told: &String| told == "ports/WEB.1 ended") {
        let Item::Event(event) = observer.next(Some(LONG)).unwrap() else { panic!("lost") };
        match &event.what {
            What::Ready => seen.push(format!("{} ready", event.path)),
            What::Ended { how: Ended::Returned, because: Some(Because::HandOver), normal: true, .. } => {
                seen.push(format!("{} handed over", event.path));
            }
            What::Ended { because: Some(Because::Asked), normal: true, .. } => {
                seen.push(format!("{} ended", event.path));
            }
            What::Ended { .. } => panic!("{event}"),
            _ => {}
        }
    }
    seen.sort();
    assert_eq!(seen, ["ports/WEB handed over", "ports/WEB ready", "ports/WEB.1 ended", "ports/WEB.1 ready"]);
    set.stop(Some(LONG)).unwrap();
}
