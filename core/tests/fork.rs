//! `fork` while loops and pools are at work: the child is told at once, the parent is not touched.

use std::{
    future::{Future, poll_fn},
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use coop_core::{
    Error, EventLoop, EventLoopOptions, Pool, PoolOptions, ShutdownMode,
    event_loop::{On, RunMode, TimerId, TimerOptions, WatchId},
    task,
};

/// Runs `child` in a forked child and asserts that it returned true; a child that hangs is killed by its alarm.
fn in_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child runs library calls that promise to take no lock, makes new objects of its own, and ends with _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: an alarm has no preconditions; it ends a child that hangs.
        unsafe { libc::alarm(100) };
        let fine = catch_unwind(AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!fine)) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for the child's status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "the child failed, crashed or hung");
}

#[test]
fn a_loop_that_runs_while_its_program_forks() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    event_loop.timer(TimerOptions { every: Some(Duration::from_micros(100)), ..Default::default() }, |_| {}).unwrap();
    let forked = Err(Error::Forked("event loop"));
    let (sender, woken) = mpsc::channel();
    let wake = event_loop.async_signal(On::Loop, move || sender.send(()).unwrap()).map_err(Error::from).unwrap();
    for _ in 0..20 {
        in_child(|| {
            let told = event_loop.post(|| {}).map_err(Error::from) == forked
                && event_loop.run(RunMode::NoWait) == forked
                && event_loop.start() == forked
                && event_loop.stop() == forked
                && event_loop.join(None) == forked
                && event_loop.interrupt() == forked
                && event_loop.post_and_wait(None, || {}) == forked
                && event_loop.async_signal(On::Loop, || {}).map(drop).map_err(Error::from) == forked
                && !wake.send()
                && event_loop.cancel_timer(TimerId(1)) == forked
                && event_loop.cancel_watch(WatchId(1)) == forked
                && event_loop.call_later(Duration::ZERO, || {}).map(|_| ()) == forked;
            let fresh = EventLoop::new(EventLoopOptions::default()).unwrap();
            let handle = fresh.handle();
            fresh.post(move || handle.stop().unwrap()).unwrap();
            told && fresh.run(RunMode::Default).is_ok()
        });
    }
    let (sender, ran) = mpsc::channel();
    event_loop.post(move || sender.send(()).unwrap()).unwrap();
    ran.recv_timeout(Duration::from_secs(60)).expect("the parent's loop goes on");
    assert_eq!(event_loop.post_and_wait(None, || 7), Ok(7));
    assert_eq!(woken.try_recv(), Err(mpsc::TryRecvError::Empty), "what the children sent is not the parent's");
    assert!(wake.send());
    woken.recv_timeout(Duration::from_secs(60)).expect("the parent's own is");
}

#[test]
fn freeing_a_parents_loop_in_the_child_returns() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let mut owned = Some(event_loop);
    in_child(|| {
        drop(owned.take());
        true
    });
    let event_loop = owned.expect("the parent's own is untouched");
    event_loop.stop().unwrap();
    event_loop.join(None).unwrap();
}

#[test]
fn a_callback_forks_and_the_childs_run_ends_with_it() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let (tell, told) = mpsc::channel();
    for after in [None, Some(Duration::ZERO)] {
        let (tell, tell_second) = (tell.clone(), tell.clone());
        let parent = std::process::id();
        let fork = move || {
            // SAFETY: the child calls the library, which promises to take no lock, and ends with _exit.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: an alarm has no preconditions; it ends a child that hangs.
                unsafe { libc::alarm(100) };
            }
            tell.send(pid).unwrap();
        };
        let second = move || tell_second.send(-1).unwrap();
        match after {
            None => {
                event_loop.post(fork).unwrap();
                event_loop.post(second).unwrap();
            }
            Some(after) => {
                event_loop.call_later(after, fork).unwrap();
                event_loop.call_later(after, second).unwrap();
            }
        }
        let result = event_loop.run(RunMode::UntilIdle);
        if std::process::id() != parent {
            let fine = result == Err(Error::Forked("event loop")) && told.try_iter().eq([0]);
            // SAFETY: ends the child without the parent's exit handlers.
            unsafe { libc::_exit(i32::from(!fine)) };
        }
        result.unwrap();
        let pid = told.recv().unwrap();
        assert_eq!(told.recv().unwrap(), -1, "the parent runs on");
        let mut status = 0;
        // SAFETY: `status` is a valid place for the child's status.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!((waited, status), (pid, 0), "the child's run went on, or did not say why it ended");
    }
}

/// A port set whose locks another thread may hold at the moment of the fork.
#[test]
fn a_port_set_and_its_contexts_are_refused_in_the_child() {
    use coop_core::port::{Batch, Context, Handler, Making, Outcome, Port, PortSet, PortSetOptions};
    struct Nothing;
    impl Handler for Nothing {
        fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
            Ok(())
        }
    }
    let (tell, told) = mpsc::channel();
    let making = Making::By(Box::new(move |ctx: &Context| {
        tell.send(ctx.clone()).unwrap();
        Ok(Box::new(Nothing) as Box<dyn Handler>)
    }));
    let bind: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let set = PortSet::new(
        PortSetOptions::threads(),
        vec![Port { name: "P".into(), bind: bind.into(), connect: None, making }],
    );
    let set = set.unwrap();
    set.start().unwrap();
    let context = told.recv().unwrap();
    let mut owned = Some(set);
    // Another thread is inside the calls all the time, and so inside their locks.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (busy, stop) = (context.clone(), &stop);
        scope.spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = busy.sendto(b"x", Some(bind));
                let _ = busy.cancel_timer(busy.set_timer(Duration::from_secs(9), None).unwrap());
            }
        });
        // Told also when an assertion fails, or the scope would wait for ever.
        struct Tell<'a>(&'a std::sync::atomic::AtomicBool);
        impl Drop for Tell<'_> {
            fn drop(&mut self) {
                self.0.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let _tell = Tell(stop);
        for _ in 0..50 {
            in_child(|| {
                let forked = Err(Error::Forked("port set"));
                let set = owned.take().unwrap();
                let told = context.sendto(b"x", Some(bind)) == forked
                    && context.set_timer(Duration::ZERO, None).map(|_| ()) == forked
                    && context.cancel_timer(TimerId(1)) == forked
                    && context.send("P", Box::new(())).map_err(Error::from) == forked
                    && context.backlog() == 0
                    && set.join(None) == forked
                    && set.stop(None) == forked
                    && set.stats().map(|_| ()) == forked;
                context.flush();
                context.stop();
                drop(set);
                told
            });
        }
    });
    owned.unwrap().stop(None).unwrap();
}

/// The child comes back from the task that forked it into a worker of its parent's pool, which it must leave alone.
#[test]
fn a_child_forked_by_a_task_runs_nothing_more_of_the_pool() {
    let pool = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
    let (tell, told) = mpsc::channel();
    let (mut child_said, mut says) = std::io::pipe().unwrap();
    pool.submit(move || {
        // SAFETY: the child goes back into the library, which promises to take no lock there.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: an alarm has no preconditions; it ends a child that hangs.
            unsafe { libc::alarm(100) };
        }
        tell.send(child).unwrap();
    })
    .unwrap();
    let parent = std::process::id();
    pool.submit(move || {
        if std::process::id() != parent {
            says.write_all(b"x").unwrap();
        }
    })
    .unwrap();
    let child = told.recv().unwrap();
    let mut status = 0;
    // SAFETY: `status` is a valid place for the child's status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child hung or crashed");
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    let mut said = Vec::new();
    child_said.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"", "the child ran a task of its parent");
}

/// Polls once.
fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn coroutines_are_refused_in_the_child() {
    let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() }).unwrap();
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let (give, given) = mpsc::channel();
    let mut released = false;
    let waiting = poll_fn(move |cx| {
        give.send(cx.waker().clone()).unwrap();
        if std::mem::replace(&mut released, true) { Poll::Ready(5) } else { Poll::Pending }
    });
    let mut waits = pool.spawn(waiting).unwrap();
    let waker = given.recv().unwrap();
    let ended = event_loop.spawn(async { 6 }).unwrap();
    while !ended.is_done() {
        std::thread::yield_now();
    }
    let mut owned = Some(ended);
    in_child(|| {
        let forked = Error::Forked("coroutine");
        let mut ended = owned.take().unwrap();
        waker.wake_by_ref();
        let told = waits.join(None) == Err(forked.clone())
            && ended.join(None) == Err(forked.clone())
            && poll_once(&mut waits, Waker::noop()) == Poll::Ready(Err(forked))
            && !waits.cancel()
            && pool.spawn(async {}).map(drop).unwrap_err().error == Error::Forked("pool")
            && event_loop.spawn(async {}).map(drop).unwrap_err().error == Error::Forked("event loop")
            && poll_once(&mut task::sleep(&event_loop, Duration::ZERO), Waker::noop())
                == Poll::Ready(Err(Error::Forked("event loop")));
        drop((ended, waker.clone()));
        // A pool of the child's own runs coroutines.
        let own = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
        told && own.spawn(async { 7 }).unwrap().join(None) == Ok(7)
    });
    waker.wake();
    assert_eq!(waits.join(None), Ok(5));
    assert_eq!(owned.unwrap().join(None), Ok(6));
}

/// The child comes back from the coroutine that forked it: what awaits that must not go on there.
#[test]
fn a_child_forked_by_a_coroutine_runs_no_other() {
    let pool = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
    let (mut child_said, mut says) = std::io::pipe().unwrap();
    let (parent, inside) = (std::process::id(), pool.handle());
    let awaiter = async move {
        let forks = async {
            // SAFETY: the child goes back into the library, which promises to take no lock there.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: an alarm has no preconditions; it ends a child that hangs.
                unsafe { libc::alarm(100) };
            }
            child
        };
        let child = inside.spawn(forks).unwrap().await;
        if std::process::id() != parent {
            says.write_all(b"x").unwrap();
        }
        child
    };
    let child = pool.spawn(awaiter).unwrap().join(None).unwrap().unwrap();
    let mut status = 0;
    // SAFETY: `status` is a valid place for the child's status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child hung or crashed");
    let mut said = Vec::new();
    child_said.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"", "the child ran a coroutine of its parent");
}

#[test]
fn streams_and_listeners_of_the_parent_are_refused_in_the_child_and_go_on_in_the_parent() {
    use coop_core::event_loop::stream::{ConnectOptions, ListenOptions, Stream};

    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let path = std::env::temp_dir().join(format!("coop-fork-{}", std::process::id()));
    let named = event_loop.listen_unix(&path, &ListenOptions::default()).unwrap();
    let (one, other) = Stream::pair(&event_loop).unwrap();
    let (mut listener, mut named, mut one) = (Some(listener), Some(named), Some(one));
    in_child(|| {
        let (listener, named, one) = (listener.take().unwrap(), named.take().unwrap(), one.take().unwrap());
        let forked = Error::Forked("event loop");
        let mut cx = Context::from_waker(Waker::noop());
        let told = one.try_read(&mut [0; 8]) == Err(forked.clone())
            && one.try_write(b"no").as_ref() == Err(&forked)
            && one.poll_read_ready(&mut cx) == Poll::Ready(Err(forked.clone()))
            && listener.try_accept().is_err_and(|error| error == forked)
            && std::pin::pin!(event_loop.resolve("localhost", 1)).poll(&mut cx) == Poll::Ready(Err(forked.clone()))
            && std::pin::pin!(event_loop.connect("localhost", 1, &ConnectOptions::default()))
                .poll(&mut cx)
                .map(|connected| connected.is_err_and(|error| error == forked))
                == Poll::Ready(true);
        drop((listener, named, one));
        // New ones may be made.
        let fresh = EventLoop::new(EventLoopOptions::default()).unwrap();
        fresh.start().unwrap();
        let handle = fresh.handle();
        let mut resolved = fresh.spawn(async move { handle.resolve("localhost", 1).await }).unwrap();
        told && path.exists() && resolved.join(Some(Duration::from_secs(50))).is_ok_and(|found| found.is_ok())
    });
    let (listener, one) = (listener.unwrap(), one.unwrap());
    let address = listener.local_addr().as_ip().unwrap();
    let handle = event_loop.handle();
    let mut parent = event_loop
        .spawn(async move {
            let connecting = handle.connect_addr(address, &ConnectOptions::default());
            let (_ours, _theirs) = (connecting.await?, listener.accept().await?);
            other.write_all(b"still").await?;
            let mut buffer = [0; 5];
            one.read_exact(&mut buffer).await.map(|()| buffer)
        })
        .unwrap();
    assert_eq!(&parent.join(Some(Duration::from_secs(60))).unwrap().unwrap(), b"still");
    drop(named);
    assert!(!path.exists());
}
