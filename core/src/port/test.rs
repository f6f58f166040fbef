use std::{
    net::{SocketAddr, UdpSocket as StdSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use super::{options::MIN_BUFFER, *};
use crate::{
    error::{Error, Result},
    event_loop::{EventLoop, EventLoopOptions, Handle, RunMode, TimerId},
};

mod life;
mod messages;
mod named;

const LONG: Duration = Duration::from_secs(60);

/// What a test's handler tells the test.
#[derive(Debug, PartialEq)]
enum Told {
    Started(&'static str),
    Got(Vec<u8>),
    Message(String, u32),
    Timer(TimerId),
    Stopped,
}

/// Echoes each datagram and tells of everything; `b"fault"`, `b"panic"` and `b"stop"` do what they say.
struct Echo {
    tell: Sender<Told>,
}

impl Handler for Echo {
    fn on_start(&mut self, ctx: &Context) -> Outcome {
        self.tell.send(Told::Started(if ctx.mode() == Mode::Single { "single" } else { "thread" })).unwrap();
        Ok(())
    }

    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        for index in 0..batch.len() {
            batch.index = index;
            let (data, from) = batch.get(index);
            match data {
                b"fault" => return Err(Fault::new("on purpose")),
                b"panic" => panic!("on purpose"),
                b"stop" => ctx.stop(),
                _ => ctx.sendto(data, Some(from)).unwrap(),
            }
            self.tell.send(Told::Got(data.to_vec())).unwrap();
        }
        Ok(())
    }

    fn on_message(&mut self, _: &Context, sender: &str, message: Message) -> Outcome {
        let number = *message.downcast::<u32>().expect("a number");
        self.tell.send(Told::Message(sender.to_owned(), number)).unwrap();
        Ok(())
    }

    fn on_timer(&mut self, _: &Context, timer: TimerId) -> Outcome {
        self.tell.send(Told::Timer(timer)).unwrap();
        Ok(())
    }

    fn on_stop(&mut self, ctx: &Context) -> Outcome {
        assert!(ctx.sendto(b"", None).is_err(), "not connected");
        self.tell.send(Told::Stopped).unwrap();
        Ok(())
    }
}

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn port(name: &str, handler: impl Handler + 'static) -> Port {
    Port {
        name: name.into(),
        bind: local().into(),
        connect: None,
        making: Making::By(Box::new(|_| Ok(Box::new(handler)))),
    }
}

/// A set of one echo in either mode, with what it tells and a client; SINGLE runs on a loop with a thread of its own.
struct Fixture {
    set: PortSet,
    told: Receiver<Told>,
    client: StdSocket,
    _loop: EventLoop,
}

fn fixture(mode: Mode) -> Fixture {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let options = match mode {
        Mode::Single => PortSetOptions::single(event_loop.handle()),
        _ => PortSetOptions::threads(),
    };
    let (tell, told) = mpsc::channel();
    let set = PortSet::new(options, vec![port("ECHO", Echo { tell })]).unwrap();
    set.start().unwrap();
    let client = StdSocket::bind(local()).unwrap();
    client.connect(set.addresses().unwrap()[0].1).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), Told::Started(if mode == Mode::Single { "single" } else { "thread" }));
    Fixture { set, told, client, _loop: event_loop }
}

const MODES: [Mode; 2] = [Mode::Single, Mode::Thread];

#[test]
fn an_echo_answers_in_each_mode_at_every_size() {
    for mode in MODES {
        let Fixture { set, told, client, _loop } = fixture(mode);
        for size in [0, 1, 19, 1401, 65_507] {
            let data = vec![7; size];
            client.send(&data).unwrap();
            let mut answer = vec![0; 70_000];
            let count = client.recv(&mut answer).unwrap();
            assert_eq!(answer[..count], data);
            assert_eq!(told.recv_timeout(LONG).unwrap(), Told::Got(data));
        }
        set.stop(Some(LONG)).unwrap();
        set.stop(Some(LONG)).unwrap();
        assert_eq!(told.recv().unwrap(), Told::Stopped);
        assert!(told.recv().is_err(), "the handler was dropped");
        let (name, stats) = set.stats().unwrap().remove(0);
        assert_eq!((name.as_str(), stats.received, stats.sent, stats.errors), ("ECHO", 5, 5, 0));
        assert_eq!(stats.received_bytes, 66_928);
        StdSocket::bind(client.peer_addr().unwrap()).expect("the socket was closed");
    }
}

#[test]
fn a_fault_and_a_panic_skip_one_datagram() {
    for mode in MODES {
        let Fixture { set, told, client, _loop } = fixture(mode);
        for data in [&b"a"[..], b"fault", b"b", b"panic", b"c"] {
            client.send(data).unwrap();
        }
        for data in [b"a", b"b", b"c"] {
            assert_eq!(told.recv_timeout(LONG).unwrap(), Told::Got(data.to_vec()));
        }
        set.stop(Some(LONG)).unwrap();
        let stats = set.stats().unwrap()[0].1;
        assert_eq!((stats.received, stats.errors), (5, 2));
    }
}

#[test]
fn a_handler_may_stop_its_set() {
    for mode in MODES {
        let Fixture { set, told, client, _loop } = fixture(mode);
        client.send(b"stop").unwrap();
        set.join(Some(LONG)).unwrap();
        assert_eq!(told.try_iter().last(), Some(Told::Stopped));
    }
}

#[test]
fn messages_arrive_in_order_with_their_sender() {
    struct Forward(u32);
    impl Handler for Forward {
        fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
            for _ in 0..batch.len() {
                self.0 += 1;
                ctx.send("TO", Box::new(self.0)).unwrap();
            }
            Ok(())
        }
    }
    for mode in MODES {
        let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
        event_loop.start().unwrap();
        let (tell, told) = mpsc::channel();
        let options = PortSetOptions { mode, ..PortSetOptions::single(event_loop.handle()) };
        let set = PortSet::new(options, vec![port("FROM", Forward(0)), port("TO", Echo { tell })]).unwrap();
        set.start().unwrap();
        let client = StdSocket::bind(local()).unwrap();
        for _ in 0..100 {
            client.send_to(b"x", set.addresses().unwrap()[0].1).unwrap();
        }
        let messages = told.iter().filter(|told| matches!(told, Told::Message(..))).take(100);
        let expected = (1..=100).map(|number| Told::Message("FROM".into(), number));
        assert!(messages.eq(expected));
        set.send("TO", Box::new(7u32)).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), Told::Message(String::new(), 7));
        let refused = set.send("NOWHERE", Box::new(8u32)).unwrap_err();
        assert!(refused.error.to_string().contains("FROM, TO"), "{}", refused.error);
        assert_eq!(*refused.value.downcast::<u32>().unwrap(), 8, "a refused message is still the caller's");
        set.stop(Some(LONG)).unwrap();
        assert_eq!(set.send("TO", Box::new(9u32)).unwrap_err().error, Error::Closed("port set"));
    }
}

#[test]
fn timers_come_once_or_again_until_they_are_cancelled() {
    struct Timers {
        tell: Sender<Told>,
        again: Option<TimerId>,
        count: u32,
    }
    impl Handler for Timers {
        fn on_start(&mut self, ctx: &Context) -> Outcome {
            let millisecond = Duration::from_millis(1);
            self.again = Some(ctx.set_timer(millisecond, Some(millisecond)).unwrap());
            ctx.set_timer(Duration::ZERO, None).unwrap();
            let never = ctx.set_timer(LONG, None).unwrap();
            ctx.cancel_timer(never).unwrap();
            assert_eq!(ctx.cancel_timer(never), Err(Error::Stale("timer")));
            Ok(())
        }
        fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
            Ok(())
        }
        fn on_timer(&mut self, ctx: &Context, timer: TimerId) -> Outcome {
            if Some(timer) == self.again {
                self.count += 1;
                if self.count == 3 {
                    ctx.cancel_timer(timer).unwrap();
                    ctx.stop();
                }
            }
            self.tell.send(Told::Timer(timer)).unwrap();
            Ok(())
        }
    }
    let (tell, told) = mpsc::channel();
    let set = PortSet::new(PortSetOptions::threads(), vec![port("T", Timers { tell, again: None, count: 0 })]).unwrap();
    set.start().unwrap();
    set.join(Some(LONG)).unwrap();
    assert_eq!(told.try_iter().count(), 4);
}

#[test]
fn a_start_that_fails_releases_everything_and_says_why() {
    let occupied = StdSocket::bind(local()).unwrap();
    let in_use = occupied.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    let taken = Port { bind: in_use.into(), ..port("TAKEN", Echo { tell: tell.clone() }) };
    let set = PortSet::new(PortSetOptions::threads(), vec![port("FREE", Echo { tell: tell.clone() }), taken]).unwrap();
    let error = set.start().unwrap_err();
    assert_eq!(error.os_errno(), Some(libc::EADDRINUSE));
    assert!(error.to_string().contains("port TAKEN") && error.to_string().contains(&in_use.to_string()), "{error}");

    let bad = Port {
        making: Making::By(Box::new(|_| Err(Fault::new("no such class")))),
        ..port("BAD", Echo { tell: tell.clone() })
    };
    let set = PortSet::new(PortSetOptions::threads(), vec![port("GOOD", Echo { tell }), bad]).unwrap();
    let error = set.start().unwrap_err();
    assert_eq!(error, Error::Failed("port BAD: the start failed: no such class".into()));
    assert_eq!(told.iter().collect::<Vec<_>>(), [Told::Started("thread"), Told::Stopped], "GOOD was stopped again");
    assert!(matches!(set.start(), Err(Error::Exists(_))));
}

#[test]
fn a_handler_that_ignores_the_deadline_is_named_and_disowned() {
    struct Stuck(Sender<()>, Receiver<()>);
    impl Handler for Stuck {
        fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
            self.0.send(()).unwrap();
            self.1.recv().unwrap();
            Ok(())
        }
    }
    let ((entered, inside), (let_go, go)) = (mpsc::channel(), mpsc::channel());
    let set = PortSet::new(PortSetOptions::threads(), vec![port("STUCK", Stuck(entered, go))]).unwrap();
    set.start().unwrap();
    let address = set.addresses().unwrap()[0].1;
    StdSocket::bind(local()).unwrap().send_to(b"x", address).unwrap();
    inside.recv_timeout(LONG).unwrap();
    let error = set.stop(Some(Duration::from_millis(20))).unwrap_err();
    assert!(matches!(&error, Error::Timeout(text) if text.contains("STUCK")), "{error}");
    let_go.send(()).unwrap();
    set.stop(Some(LONG)).unwrap();
    StdSocket::bind(address).expect("closed when its thread returned");
}

#[test]
fn a_full_buffer_drops_what_comes_and_counts_it() {
    struct Slow(Sender<usize>, Receiver<()>);
    impl Handler for Slow {
        fn on_batch(&mut self, _: &Context, batch: &mut Batch) -> Outcome {
            self.0.send(batch.len()).unwrap();
            // Until the test lets go of its end.
            let _ = self.1.recv();
            Ok(())
        }
    }
    let ((entered, batches), (let_go, go)) = (mpsc::channel(), mpsc::channel());
    let options = PortSetOptions { buffer_bytes: MIN_BUFFER, ..PortSetOptions::threads() };
    let set = PortSet::new(options, vec![port("SLOW", Slow(entered, go))]).unwrap();
    set.start().unwrap();
    let address = set.addresses().unwrap()[0].1;
    let client = StdSocket::bind(local()).unwrap();
    client.send_to(b"first", address).unwrap();
    let mut handled = batches.recv_timeout(LONG).unwrap() as u64;
    // While the handler is stuck, the receiving side goes on.
    let mut offered = 1;
    while set.stats().unwrap()[0].1.dropped == 0 {
        client.send_to(&[1; 1000], address).unwrap();
        offered += 1;
        assert!(offered < 1_000_000, "the buffer is never full");
    }
    // The handler has the first batch in hand, and the buffer is bounded.
    assert!(set.stats().unwrap()[0].1.received_bytes <= MIN_BUFFER as u64 + 5);
    drop(let_go);
    set.stop(Some(LONG)).unwrap();
    handled += batches.try_iter().sum::<usize>() as u64;
    let stats = set.stats().unwrap()[0].1;
    assert!(stats.received + stats.dropped <= offered && handled <= stats.received);
}

#[test]
fn a_peer_that_is_gone_is_counted_and_the_port_goes_on() {
    struct Client(Sender<Vec<u8>>);
    impl Handler for Client {
        fn on_batch(&mut self, _: &Context, batch: &mut Batch) -> Outcome {
            self.0.send(batch.get(0).0.to_vec()).unwrap();
            Ok(())
        }
        fn on_message(&mut self, ctx: &Context, _: &str, _: Message) -> Outcome {
            ctx.sendto(b"ping", None).map_err(|error| Fault::new(error.to_string()))
        }
    }
    let peer = StdSocket::bind(local()).unwrap();
    let address = peer.local_addr().unwrap();
    drop(peer);
    let (tell, told) = mpsc::channel();
    let client = Port { connect: Some(address), ..port("CLIENT", Client(tell)) };
    let set = PortSet::new(PortSetOptions::threads(), vec![client]).unwrap();
    set.start().unwrap();
    while set.stats().unwrap()[0].1.peer_errors + set.stats().unwrap()[0].1.send_dropped == 0 {
        set.send("CLIENT", Box::new(())).unwrap();
        thread::yield_now();
    }
    let peer = StdSocket::bind(address).unwrap();
    let own = set.addresses().unwrap()[0].1;
    peer.send_to(b"back", own).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), b"back");
}

#[test]
fn what_waits_for_itself_is_refused_and_bad_options_are_named() {
    struct Inside(Arc<Mutex<Option<Arc<PortSet>>>>, Sender<Result<()>>);
    impl Handler for Inside {
        fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
            Ok(())
        }
        fn on_message(&mut self, _: &Context, _: &str, _: Message) -> Outcome {
            let set = self.0.lock().unwrap().take().unwrap();
            self.1.send(set.join(None)).unwrap();
            // The last owner lets go of the set from inside it.
            drop(set);
            self.1.send(Ok(())).unwrap();
            Ok(())
        }
    }
    let (shared, (tell, told)) = (Arc::default(), mpsc::channel());
    let set =
        Arc::new(PortSet::new(PortSetOptions::threads(), vec![port("P", Inside(Arc::clone(&shared), tell))]).unwrap());
    set.start().unwrap();
    let address = set.addresses().unwrap()[0].1;
    *shared.lock().unwrap() = Some(set.clone());
    let weak = Arc::downgrade(&set);
    set.send("P", Box::new(())).unwrap();
    drop(set);
    assert!(matches!(told.recv_timeout(LONG).unwrap(), Err(Error::WouldDeadlock(_))));
    told.recv_timeout(LONG).unwrap().unwrap();
    assert!(told.recv().is_err(), "the handler was dropped");
    assert!(weak.upgrade().is_none());
    while StdSocket::bind(address).is_err() {
        thread::yield_now();
    }

    let (tell, _told) = mpsc::channel();
    let echo = || port("E", Echo { tell: tell.clone() });
    let refused = |options, ports| PortSet::new(options, ports).unwrap_err().to_string();
    assert!(refused(PortSetOptions::threads(), vec![]).contains("at least one"));
    assert!(refused(PortSetOptions::threads(), vec![echo(), echo()]).contains("\"E\""));
    let no_loop = PortSetOptions { mode: Mode::Single, ..PortSetOptions::threads() };
    assert!(refused(no_loop, vec![echo()]).contains("SINGLE"));
    let tiny = PortSetOptions { buffer_bytes: 10, ..PortSetOptions::threads() };
    assert!(refused(tiny, vec![echo()]).contains("10"));
}

#[test]
fn a_single_set_starts_and_stops_around_its_loops_run() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let (tell, told) = mpsc::channel();
    let set = PortSet::new(PortSetOptions::single(event_loop.handle()), vec![port("ECHO", Echo { tell })]).unwrap();
    set.start().unwrap();
    let client = StdSocket::bind(local()).unwrap();
    client.send_to(b"x", set.addresses().unwrap()[0].1).unwrap();
    event_loop.run(RunMode::Once).unwrap();
    event_loop.stop().unwrap();
    event_loop.run(RunMode::Default).unwrap();
    set.stop(Some(LONG)).unwrap();
    assert_eq!(told.iter().collect::<Vec<_>>(), [Told::Started("single"), Told::Got(b"x".to_vec()), Told::Stopped]);
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    let build: Build = Box::new(|_| {
        BUILT.fetch_add(1, Ordering::SeqCst);
        Err(Fault::new("not needed"))
    });
    let late = Port { making: build.into(), ..port("LATE", Echo { tell: mpsc::channel().0 }) };
    let late = PortSet::new(PortSetOptions::single(event_loop.handle()), vec![late]).unwrap();
    assert!(matches!(late.start(), Err(Error::Failed(_))));
    assert_eq!(BUILT.load(Ordering::SeqCst), 1);
}
