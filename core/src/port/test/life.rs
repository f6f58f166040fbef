//! Starts, ends and frees that cross each other.

use super::*;

/// Answers within the deadline or the test fails, instead of hanging.
fn in_time<T: Send + 'static>(what: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(f()));
    told.recv_timeout(LONG).unwrap_or_else(|_| panic!("{what} hangs"))
}

fn options(mode: Mode) -> (PortSetOptions, EventLoop) {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    (PortSetOptions { mode, ..PortSetOptions::single(event_loop.handle()) }, event_loop)
}

/// Does `start` as its `on_start`, and nothing else but count.
struct Start<F> {
    start: F,
    started: Arc<AtomicUsize>,
    stopped: Arc<AtomicUsize>,
    messages: Arc<AtomicUsize>,
}

impl<F: Fn(&Context) + Send> Handler for Start<F> {
    fn on_start(&mut self, ctx: &Context) -> Outcome {
        self.started.fetch_add(1, Ordering::SeqCst);
        (self.start)(ctx);
        Ok(())
    }
    fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
        Ok(())
    }
    fn on_message(&mut self, _: &Context, _: &str, _: Message) -> Outcome {
        self.messages.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn on_stop(&mut self, _: &Context) -> Outcome {
        self.stopped.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_set_that_is_stopped_while_it_starts_starts_no_port_after_its_end() {
    for mode in MODES {
        for _ in 0..100 {
            let (options, _loop) = options(mode);
            let [started, stopped, messages] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
            let handler = || Start {
                start: Context::stop,
                started: started.clone(),
                stopped: stopped.clone(),
                messages: messages.clone(),
            };
            let set = PortSet::new(options, (0..4).map(|n| port(&n.to_string(), handler())).collect()).unwrap();
            assert!(matches!(set.start(), Ok(()) | Err(Error::Closed("port set"))));
            set.join(Some(LONG)).unwrap();
            assert_eq!(started.load(Ordering::SeqCst), stopped.load(Ordering::SeqCst), "{mode:?}");
        }
    }
}

#[test]
fn a_message_from_a_start_waits_for_the_ports_own() {
    for mode in MODES {
        for _ in 0..100 {
            let (options, _loop) = options(mode);
            let [started, stopped, messages] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
            let handler = || Start {
                start: |ctx: &Context| (0..12).for_each(|n| ctx.send(&n.to_string(), Box::new(())).unwrap()),
                started: started.clone(),
                stopped: stopped.clone(),
                messages: messages.clone(),
            };
            let set = PortSet::new(options, (0..12).map(|n| port(&n.to_string(), handler())).collect()).unwrap();
            set.start().unwrap();
            set.stop(Some(LONG)).unwrap();
            assert_eq!(messages.load(Ordering::SeqCst), 144, "{mode:?}: lost");
        }
    }
}

#[test]
fn a_handler_that_owns_its_set_may_drop_it_last() {
    struct Owner(Arc<Mutex<Option<Arc<PortSet>>>>, Sender<Result<()>>);
    impl Handler for Owner {
        fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
            Ok(())
        }
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            if let Some(set) = self.0.lock().unwrap().take() {
                self.1.send(set.stop(Some(LONG))).unwrap();
                self.1.send(set.join(Some(LONG))).unwrap();
            }
        }
    }
    for mode in MODES {
        let (options, _loop) = options(mode);
        let (owned, (tell, told)) = (Arc::new(Mutex::new(None)), mpsc::channel());
        let set = Arc::new(PortSet::new(options, vec![port("O", Owner(owned.clone(), tell))]).unwrap());
        set.start().unwrap();
        *owned.lock().unwrap() = Some(set.clone());
        set.request_stop().unwrap();
        drop(set);
        for _ in 0..2 {
            let answer = told.recv_timeout(LONG / 2).expect("it waits for itself");
            assert!(matches!(answer, Err(Error::WouldDeadlock(_))), "{answer:?}");
        }
    }
}

#[test]
fn what_a_failed_start_drops_may_call_the_set() {
    struct Asks(Arc<Mutex<Option<Arc<PortSet>>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let set = self.0.lock().unwrap().clone().unwrap();
            assert!(set.addresses().is_err());
        }
    }
    let occupied = StdSocket::bind(local()).unwrap();
    let shared = Arc::new(Mutex::new(None));
    let ports = [local(), occupied.local_addr().unwrap(), local()].into_iter().enumerate().map(|(n, bind)| {
        let asks = Asks(shared.clone());
        let build: Build = Box::new(move |_| {
            let _asks = &asks;
            Err(Fault::new("not reached"))
        });
        Port { name: n.to_string(), bind: bind.into(), connect: None, making: build.into() }
    });
    let set = Arc::new(PortSet::new(PortSetOptions::threads(), ports.collect()).unwrap());
    *shared.lock().unwrap() = Some(set.clone());
    let error = in_time("a start", move || set.start().unwrap_err());
    assert_eq!(error.os_errno(), Some(libc::EADDRINUSE));
    *shared.lock().unwrap() = None;
}

#[test]
fn a_handler_may_stop_its_set_when_its_loop_was_stopped() {
    struct Ender(Handle);
    impl Handler for Ender {
        fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
            Ok(())
        }
        fn on_message(&mut self, ctx: &Context, _: &str, _: Message) -> Outcome {
            self.0.stop().unwrap();
            ctx.stop();
            Ok(())
        }
    }
    let (options, event_loop) = options(Mode::Single);
    let set = PortSet::new(options, vec![port("A", Ender(event_loop.handle())), port("B", Ender(event_loop.handle()))]);
    let set = set.unwrap();
    set.start().unwrap();
    set.send("A", Box::new(())).unwrap();
    set.join(Some(LONG)).unwrap();
}

#[test]
fn a_stop_keeps_its_deadline_when_the_loop_is_stuck_at_its_end() {
    let (options, event_loop) = options(Mode::Single);
    let (tell, _told) = mpsc::channel();
    let set = PortSet::new(options, vec![port("E", Echo { tell })]).unwrap();
    set.start().unwrap();
    let ((entered, inside), (let_go, go)) = (mpsc::channel(), mpsc::channel::<()>());
    event_loop
        .post(move || {
            entered.send(()).unwrap();
            let _ = go.recv();
        })
        .unwrap();
    inside.recv_timeout(LONG).unwrap();
    event_loop.stop().unwrap();
    let set = in_time("a stop with a deadline", move || {
        assert!(matches!(set.stop(Some(Duration::from_millis(20))), Err(Error::Timeout(_))));
        set.request_stop().unwrap();
        set
    });
    let_go.send(()).unwrap();
    set.join(Some(LONG)).unwrap();
}

/// Does something while a callback has its turn, and ends the run right after that callback.
fn while_a_run_ends(event_loop: &EventLoop, f: impl FnOnce()) {
    let handle = event_loop.handle();
    let ((entered, inside), (let_go, go)) = (mpsc::channel(), mpsc::channel::<()>());
    let blocks = move || {
        entered.send(()).unwrap();
        let _ = go.recv();
    };
    handle.post(blocks).unwrap();
    let runner = thread::spawn(move || handle.run(RunMode::Default));
    inside.recv_timeout(LONG).unwrap();
    f();
    event_loop.interrupt().unwrap();
    let_go.send(()).unwrap();
    runner.join().unwrap().unwrap();
}

#[test]
fn a_start_and_a_stop_outlive_the_run_that_they_were_posted_to() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let (tell, told) = mpsc::channel();
    let set = PortSet::new(PortSetOptions::single(event_loop.handle()), vec![port("E", Echo { tell })]).unwrap();
    while_a_run_ends(&event_loop, || set.launch().unwrap());
    set.wait_ready(Some(LONG)).unwrap();
    assert_eq!(told.try_recv(), Ok(Told::Started("single")));
    while_a_run_ends(&event_loop, || set.request_stop().unwrap());
    set.join(Some(LONG)).unwrap();
    assert_eq!(told.try_recv(), Ok(Told::Stopped));
}

#[test]
fn a_stop_is_done_when_the_loop_that_it_was_posted_to_is_dropped() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let (tell, told) = mpsc::channel();
    let set = PortSet::new(PortSetOptions::single(event_loop.handle()), vec![port("E", Echo { tell })]).unwrap();
    set.start().unwrap();
    assert_eq!(told.try_recv(), Ok(Told::Started("single")));
    while_a_run_ends(&event_loop, || set.request_stop().unwrap());
    drop(event_loop);
    assert_eq!(told.try_recv(), Ok(Told::Stopped));
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected), "the handler was dropped");
    set.join(Some(LONG)).unwrap();
}
