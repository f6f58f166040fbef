//! Servers that are killed or refuse, deadlines, cancellation, queues that are full, loops that end.

use std::{sync::mpsc, time::Duration};

use coop_core::{
    Error, EventLoop, EventLoopOptions,
    net::redis::{Channel, Client, Command, Options, Reply, Stats},
    supervisor::{Backoff, Growth},
};

use crate::server::{LONG, Server, Told, bulk, start_loop, status, wait_for};

const MS: Duration = Duration::from_millis(1);

fn quick() -> Backoff {
    Backoff { delay: MS, growth: Growth::Fixed, cap: MS, jitter: 0.0, calm: Duration::from_secs(60), burst: 0 }
}

#[test]
fn a_server_is_killed_with_1000_calls_in_flight_and_comes_back() {
    let (mut server, event_loop) = (Server::start(), start_loop());
    let options = Options { backoff: quick(), patience: LONG, ..server.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    redis.command(&["PING"]).wait(LONG).unwrap();
    let told = Told::new();
    // The server answers some, then it sleeps over one and is killed.
    for n in 0..500 {
        redis.command_with(&["ECHO", &n.to_string()], None, told.callback(n)).unwrap();
    }
    redis.command_with(&["DEBUG", "SLEEP", "0"], None, |_| {}).unwrap();
    redis.command_with(&["BLPOP", "nothing", "0"], None, |_| {}).unwrap();
    for n in 500..1000 {
        redis.command_with(&["ECHO", &n.to_string()], None, told.callback(n)).unwrap();
    }
    wait_for("all are in flight or answered", || redis.stats().unwrap().queued == 0);
    server.kill();
    for (n, outcome) in told.each_once(1000).into_iter().enumerate() {
        match outcome {
            Ok(reply) => assert_eq!(reply, bulk(n.to_string()), "its own reply"),
            Err(Error::Os { errno, .. }) => assert!(errno == libc::ECONNRESET || errno == libc::EPIPE, "{errno}"),
            Err(other) => panic!("call {n}: {other}"),
        }
    }
    // Calls that are made meanwhile wait.
    let told = Told::new();
    for n in 0..1000 {
        redis.command_with(&["ECHO", &n.to_string()], None, told.callback(n)).unwrap();
    }
    wait_for("attempts fail", || redis.stats().unwrap().connect_failures > 2);
    assert_eq!(redis.stats().unwrap().queued, 1000);
    server.restart();
    for (n, outcome) in told.each_once(1000).into_iter().enumerate() {
        assert_eq!(outcome, Ok(bulk(n.to_string())));
    }
    let stats = redis.stats().unwrap();
    assert_eq!((stats.connects, stats.disconnects, stats.queued, stats.in_flight), (2, 1, 0, 0));
    assert_eq!(stats.answered + stats.lost, stats.calls);
}

#[test]
fn without_a_server_calls_end_with_the_reason() {
    let event_loop = start_loop();
    let options = |patience, timeout| Options {
        server: coop_core::net::redis::Server::Unix("/nonexistent/redis.sock".into()),
        backoff: quick(),
        patience,
        timeout,
        ..Options::default()
    };
    let redis = Client::new(&event_loop, options(Some(50 * MS), None)).unwrap();
    let is_tried = |redis: &Client| redis.stats().unwrap().connect_failures > 0;
    wait_for("the first attempt fails", || is_tried(&redis));
    match redis.command(&["PING"]).wait(LONG) {
        Err(Error::Os { context, errno: libc::ENOENT }) => {
            assert!(context.contains("/nonexistent/redis.sock"), "{context}");
        }
        other => panic!("{other:?}"),
    }
    let redis = Client::new(&event_loop, options(None, Some(50 * MS))).unwrap();
    wait_for("the first attempt fails", || is_tried(&redis));
    match redis.command(&["PING"]).wait(LONG) {
        Err(Error::Timeout(text)) => assert!(text.contains("50ms") && text.contains("No such file"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_servers_errors_are_replies() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let ask = |words: &[&str]| redis.command(words).wait(LONG).unwrap();
    assert_eq!(ask(&["RPUSH", "list", "x"]), Reply::Int(1));
    let wrong = ask(&["GET", "list"]);
    assert_eq!(wrong.as_error().unwrap().code(), "WRONGTYPE");
    match wrong.ok() {
        Err(Error::Failed(text)) => assert!(text.starts_with("redis: WRONGTYPE "), "{text}"),
        other => panic!("{other:?}"),
    }
    let mut typed = event_loop
        .spawn({
            let redis = redis.clone();
            async move { redis.get("list").await }
        })
        .unwrap();
    assert!(matches!(typed.join(LONG).unwrap(), Err(Error::Failed(_))));
    assert_eq!(ask(&["CONFIG", "SET", "maxmemory", "1"]), status("OK"));
    assert_eq!(ask(&["SET", "k", "v"]).as_error().unwrap().code(), "OOM");
    assert_eq!(ask(&["CONFIG", "SET", "maxmemory", "0"]), status("OK"));
    assert_eq!(ask(&["NOSUCH"]).as_error().unwrap().code(), "ERR");
    assert_eq!(redis.stats().unwrap().server_errors, 4);
}

#[test]
fn a_cluster_says_where_a_key_is() {
    let port = crate::ports::free_port().to_string();
    // Its bus has a port of its own, which is not that of the port plus 10000.
    let bus = crate::ports::free_port().to_string();
    let server =
        Server::with(&["--port", &port, "--cluster-enabled", "yes", "--cluster-port", &bus, "--bind", "127.0.0.1"]);
    let event_loop = start_loop();
    let redis = server.client(&event_loop);
    let ask = |words: &[&str]| redis.command(words).wait(LONG).unwrap();
    let down = ask(&["GET", "k"]);
    assert_eq!(down.as_error().unwrap().code(), "CLUSTERDOWN");
    // Half of the slots are given to this one, the others to one that is not there.
    let id = "0123456789012345678901234567890123456789";
    let file = format!(
        "{id} 127.0.0.1:7@17 master - 0 0 1 connected 8192-16383\n{} 127.0.0.1:{port}@{bus} myself,master - 0 0 2 connected 0-8191\nvars currentEpoch 2 lastVoteEpoch 0\n",
        "a".repeat(40)
    );
    drop(redis);
    drop(server);
    let folder = crate::server::Folder::new();
    std::fs::write(folder.0.join("nodes.conf"), file).unwrap();
    let config = folder.0.join("nodes.conf");
    let server = Server::with(&[
        "--port",
        &port,
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--bind",
        "127.0.0.1",
        "--cluster-config-file",
        config.to_str().unwrap(),
        "--cluster-require-full-coverage",
        "no",
    ]);
    let redis = server.client(&event_loop);
    let moved = std::cell::RefCell::new(Reply::Null);
    wait_for("the cluster knows its slots", || {
        // Slot 12706.
        let reply = redis.command(&["GET", "k1"]).wait(LONG).unwrap();
        let is_moved = reply.as_error().is_some_and(|error| error.code() == "MOVED");
        moved.replace(reply);
        is_moved
    });
    let moved = moved.into_inner();
    assert_eq!(moved.as_error().unwrap().moved_to(), Some((12706, "127.0.0.1:7")));
}

#[test]
fn ten_thousand_in_flight_and_a_queue_that_is_full() {
    let (server, event_loop) = (Server::start(), start_loop());
    let options = Options { max_calls: 10_001, ..server.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    // The first holds back the replies of the others.
    let mut first = redis.command(&["BLPOP", "gate", "0"]);
    let told = Told::new();
    let ids: Vec<_> =
        (0..10_000).map(|n| redis.command_with(&["ECHO", &n.to_string()], None, told.callback(n)).unwrap()).collect();
    let refused = redis.command_with(&["PING"], None, |_| panic!("nothing of it runs")).unwrap_err();
    assert!(matches!(refused.error, Error::QueueFull { .. }), "{}", refused.error);
    assert_eq!(refused.error.to_string(), "the redis client is full (10001 calls)");
    wait_for("all are in flight", || redis.stats().unwrap().in_flight == 10_001);
    for id in ids.iter().step_by(2) {
        redis.cancel(*id).unwrap();
        assert_eq!(redis.cancel(*id), Err(Error::Stale("redis call")));
    }
    wait_for("half are cancelled", || redis.stats().unwrap().cancelled == 5000);
    assert!(matches!(redis.command(&["PING"]).wait(LONG), Err(Error::QueueFull { .. })), "their places stay");
    let other = server.client(&event_loop);
    other.command(&["RPUSH", "gate", "open"]).wait(LONG).unwrap();
    assert_eq!(first.wait(LONG), Ok(Reply::Array(vec![bulk("gate"), bulk("open")])));
    for (n, outcome) in told.each_once(10_000).into_iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!(outcome, Err(Error::Cancelled("redis call")));
        } else {
            assert_eq!(outcome, Ok(bulk(n.to_string())), "its own reply");
        }
    }
    wait_for("all places are free", || redis.stats().unwrap().in_flight == 0);
    let stats = redis.stats().unwrap();
    assert_eq!((stats.calls, stats.answered, stats.cancelled, stats.refused), (10_001, 5001, 5000, 2));
    assert_eq!(redis.cancel(ids[1]), Err(Error::Stale("redis call")));
}

#[test]
fn calls_that_wait_for_a_server_are_bounded() {
    let event_loop = start_loop();
    let server = coop_core::net::redis::Server::Unix("/nonexistent/redis.sock".into());
    let options = Options { server, max_calls: 1000, patience: None, ..Options::default() };
    let (redis, told) = (Client::new(&event_loop, options).unwrap(), Told::new());
    for n in 0..1000 {
        redis.command_with(&["PING"], None, told.callback(n)).unwrap();
    }
    let refused = redis.command_with(&["PING"], None, |_| panic!("nothing of it runs")).unwrap_err();
    assert_eq!(refused.error.to_string(), "the redis client is full (1000 calls)");
    let stats = redis.stats().unwrap();
    assert_eq!((stats.queued, stats.refused), (1000, 1));
    redis.close().unwrap();
    assert!(told.each_once(1000).iter().all(|outcome| *outcome == Err(Error::Closed("redis client"))));
}

#[test]
fn bytes_that_wait_are_bounded_too() {
    let event_loop = start_loop();
    let options = Options {
        server: coop_core::net::redis::Server::Unix("/nonexistent/redis.sock".into()),
        max_queued_bytes: 1000,
        patience: None,
        ..Options::default()
    };
    let redis = Client::new(&event_loop, options).unwrap();
    let large = Command::new("SET").arg("k").arg(vec![b'x'; 5000]);
    let alone = redis.command(&large);
    match redis.command(&["PING"]).wait(LONG) {
        Err(error @ Error::QueueFull { .. }) => assert!(error.to_string().contains("1000 bytes"), "{error}"),
        other => panic!("{other:?}"),
    }
    drop(alone);
    // Its bytes are gone with it.
    let next = redis.command(&["PING"]);
    assert_eq!(redis.stats().unwrap().queued, 1);
    drop(next);
    assert_eq!(redis.stats().unwrap().cancelled, 2);
}

#[test]
fn a_dropped_future_leaves_no_reply_to_another() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let mut done = event_loop
        .spawn(async move {
            for n in 0..1000 {
                let dropped = redis.command(&["ECHO", "dropped"]);
                if n % 3 == 0 {
                    // Some are dropped when they were sent.
                    coop_core::task::yield_now().await;
                }
                drop(dropped);
                let text = n.to_string();
                assert_eq!(redis.command(&["ECHO", &text]).await?, bulk(&text));
            }
            redis.stats()
        })
        .unwrap();
    let stats = done.join(LONG).unwrap().unwrap();
    assert_eq!((stats.answered, stats.cancelled), (1000, 1000));
}

#[test]
fn calls_end_at_their_deadline_and_their_replies_go_nowhere() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    // The first holds back the replies of the others, sent or not.
    let mut first = redis.command(&["BLPOP", "gate", "0"]);
    wait_for("it is in flight", || redis.stats().unwrap().in_flight == 1);
    let mut slow = redis.command_within(&["BLPOP", "other gate", "0"], 30 * MS);
    let mut second = redis.command_within(&["ECHO", "second"], 20 * MS);
    for call in [&mut second, &mut slow] {
        match call.wait(LONG) {
            Err(Error::Timeout(text)) => assert!(text.contains("no reply within"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    let mut third = redis.command(&["ECHO", "third"]);
    assert!(matches!(third.wait(Some(MS)), Err(Error::Timeout(_))), "the gate is closed");
    let opener = server.client(&event_loop);
    for gate in ["gate", "other gate"] {
        opener.command(&["RPUSH", gate, "open"]).wait(LONG).unwrap();
    }
    assert_eq!(third.wait(LONG), Ok(bulk("third")));
    assert_eq!(first.wait(LONG), Ok(Reply::Array(vec![bulk("gate"), bulk("open")])));
    assert_eq!(redis.stats().unwrap().timed_out, 2);
    // A deadline of nothing has passed, and one of for ever does not overflow.
    assert!(matches!(redis.command_within(&["PING"], Duration::ZERO).wait(LONG), Err(Error::Timeout(_)) | Ok(_)));
    assert_eq!(redis.command_within(&["PING"], Duration::MAX - MS).wait(LONG), Ok(status("PONG")));
}

#[test]
fn a_loop_that_is_stopped_or_freed_ends_every_call() {
    let server = Server::start();
    for is_freed in [false, true] {
        let event_loop = start_loop();
        let redis = server.client(&event_loop);
        redis.command(&["PING"]).wait(LONG).unwrap();
        let told = Told::new();
        let mut blocked = redis.command(&["BLPOP", "nothing", "0"]);
        for n in 0..1000 {
            redis.command_with(&["PING"], None, told.callback(n)).unwrap();
        }
        if is_freed {
            drop(event_loop);
        } else {
            event_loop.stop().unwrap();
        }
        for outcome in told.each_once(1000) {
            assert_eq!(outcome, Err(Error::Closed("event loop")));
        }
        assert_eq!(blocked.wait(LONG), Err(Error::Closed("event loop")));
        assert_eq!(redis.command(&["PING"]).wait(LONG), Err(Error::Closed("event loop")));
        assert!(redis.is_closed());
        assert_eq!(redis.stats().unwrap().lost, 1001);
    }
}

#[test]
fn a_loop_that_never_ran_ends_every_call_when_it_is_freed() {
    let server = Server::start();
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let redis = server.client(&event_loop);
    let told = Told::new();
    redis.command_with(&["PING"], None, told.callback(0)).unwrap();
    drop(event_loop);
    assert_eq!(told.each_once(1)[0], Err(Error::Closed("event loop")));
    let closed = Client::new(redis.event_loop(), server.options()).map(drop);
    assert_eq!(closed, Err(Error::Closed("event loop")));
}

#[test]
fn a_callback_that_frees_the_loop_or_panics_harms_nobody() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    redis.command_with(&["PING"], None, |_| panic!("on purpose")).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    let told = Told::new();
    let last = told.callback(0);
    let (sender, receiver) = mpsc::channel();
    let mut event_loop = Some(event_loop);
    redis
        .command_with(&["PING"], None, move |_| {
            drop(event_loop.take());
            sender.send(()).unwrap();
        })
        .unwrap();
    let _ = redis.command_with(&["BLPOP", "nothing", "0"], None, last);
    receiver.recv_timeout(LONG.unwrap()).unwrap();
    wait_for("the client has ended", || redis.is_closed());
    // Whether it was refused or accepted, it is gone.
    drop(redis);
    drop(told);
}

#[test]
fn what_is_lost_with_a_connection_of_ones_own_is_not_made_anew() {
    let (mut server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let own = redis.own().unwrap();
    assert_eq!(own.command(&["WATCH", "k"]).wait(LONG), Ok(status("OK")));
    server.kill();
    server.restart();
    assert!(matches!(own.transaction(&[["SET", "k", "v"]]).wait(LONG), Err(Error::Os { .. })), "it is watched no more");
    drop(own);
    let fresh = redis.own().unwrap();
    assert_eq!(fresh.command(&["PING"]).wait(LONG), Ok(status("PONG")));
}

#[test]
fn waiting_on_the_loops_own_thread_is_refused() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let (sender, receiver) = mpsc::channel();
    event_loop.post(move || sender.send(redis.command(&["PING"]).wait(LONG)).unwrap()).unwrap();
    let waited = receiver.recv_timeout(LONG.unwrap()).unwrap();
    assert!(matches!(waited, Err(Error::WouldDeadlock(_))), "{waited:?}");
}

#[test]
fn options_outside_what_is_allowed_are_refused() {
    let event_loop = start_loop();
    for (options, part) in [
        (Options { connections: 0, ..Options::default() }, "connections of 0"),
        (Options { connections: 65, ..Options::default() }, "connections of 65"),
        (Options { max_calls: 0, ..Options::default() }, "max_calls of 0"),
        (Options { user: Some("ann".into()), ..Options::default() }, "without a password"),
        (Options { backoff: Backoff { jitter: 2.0, ..quick() }, ..Options::default() }, "jitter of 2"),
    ] {
        match Client::new(&event_loop, options) {
            Err(Error::Invalid(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    assert!(matches!(Client::from_url(&event_loop, "redis://host:port"), Err(Error::Invalid(_))));
}

#[test]
fn a_forked_child_is_refused_and_the_parent_goes_on() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let (subscriber, own) = (redis.subscriber(1).unwrap(), redis.own().unwrap());
    let mut blocked = redis.command(&["BLPOP", "gate", "0"]);
    // SAFETY: the child only asks what is refused before any lock, drops, and ends without exit handlers.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let forked = Error::Forked("redis client");
        let told = blocked.wait(LONG) == Err(forked.clone())
            && redis.command(&["PING"]).wait(LONG) == Err(forked.clone())
            && redis.command_with(&["PING"], None, |_| {}).is_err_and(|refused| refused.error == forked)
            && redis.close() == Err(forked.clone())
            && redis.stats() == Err(forked.clone())
            && redis.own().is_err()
            && redis.is_closed()
            && (subscriber.stats(), subscriber.lost()) == (Stats::default(), 0)
            && subscriber.subscribe(Channel::Named, &["a"]).wait(LONG) == Err(forked.clone())
            && subscriber.wait_next(LONG) == Err(forked);
        drop((blocked, subscriber, own, redis));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!told)) };
    }
    let mut result = -1;
    // SAFETY: a valid place for the child's end.
    let waited = unsafe { libc::waitpid(pid, &raw mut result, 0) };
    assert_eq!((waited, result), (pid, 0), "the child was not refused");
    assert_eq!(own.command(&["RPUSH", "gate", "open"]).wait(LONG), Ok(Reply::Int(1)));
    assert!(blocked.wait(LONG).is_ok(), "the child's drops are nothing to the parent");
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
}
