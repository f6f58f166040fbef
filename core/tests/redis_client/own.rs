//! Connections of one's own: how many there may be, and who is given one.

use std::{sync::Arc, time::Duration};

use coop_core::{
    Error,
    net::redis::{Channel, Client, Options, Own, Reply},
};

use crate::server::{LONG, Server, start_loop, status, wait_for};

const MS: Duration = Duration::from_millis(1);
const FOR_EVER: Duration = Duration::MAX;

fn number_of(redis: &Client) -> i64 {
    redis.command(&["CLIENT", "ID"]).wait(LONG).unwrap().into_int().unwrap()
}

/// How many connections the server has, that of `redis` included.
fn connections(redis: &Client) -> usize {
    let list = redis.command(&["CLIENT", "LIST"]).wait(LONG).unwrap().into_bytes().unwrap().unwrap();
    String::from_utf8(list).unwrap().lines().count()
}

#[test]
fn there_are_never_more_than_allowed() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, Options { max_own: 2, ..server.options() }).unwrap();
    let (first, second) = (redis.own().unwrap(), redis.own().unwrap());
    match redis.own() {
        Err(error @ Error::QueueFull { .. }) => {
            assert_eq!(error.to_string(), "the redis client is full (2 connections of one's own)");
        }
        other => panic!("{other:?}"),
    }
    let mut waits = event_loop.spawn(redis.own_within(20 * MS)).unwrap();
    match waits.join(LONG).unwrap() {
        Err(Error::Timeout(text)) => assert!(text.contains("all 2 connections") && text.contains("20ms"), "{text}"),
        other => panic!("{other:?}"),
    }
    // One that is given back goes to who waits; one whose state was changed ends, and another one is made.
    let number = number_of(&first);
    let mut waits = event_loop.spawn(redis.own_within(FOR_EVER)).unwrap();
    drop(first);
    let third = waits.join(LONG).unwrap().unwrap();
    assert_eq!(number_of(&third), number);
    let mut waits = event_loop.spawn(redis.own_within(FOR_EVER)).unwrap();
    assert_eq!(third.command(&["SELECT", "1"]).wait(LONG), Ok(status("OK")));
    drop(third);
    let fourth = waits.join(LONG).unwrap().unwrap();
    assert_ne!(number_of(&fourth), number);
    assert_eq!(number_of(&second), number_of(&second));
    wait_for("the changed one is closed", || connections(&redis) == 3);
}

#[test]
fn a_client_that_is_drained_waits_for_the_calls_of_its_own_connections() {
    let (server, event_loop) = (Server::start(), start_loop());
    let (redis, other) = (server.client(&event_loop), server.client(&event_loop));
    let (own, idle) = (redis.own().unwrap(), redis.own().unwrap());
    let subscriber = redis.subscriber(1).unwrap();
    subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
    number_of(&idle);
    let mut waits = own.command(&["BLPOP", "list", "0"]);
    wait_for("it is in flight", || own.stats().unwrap().in_flight == 1);
    let mut drained = event_loop.spawn(redis.drain(None)).unwrap();
    assert!(matches!(drained.join(Some(50 * MS)), Err(Error::Timeout(_))), "a call is in flight");
    assert!(matches!(redis.command(&["PING"]).wait(LONG), Err(Error::Closed(_))));
    other.command(&["RPUSH", "list", "x"]).wait(LONG).unwrap().ok().unwrap();
    assert_eq!(drained.join(LONG).unwrap(), Ok(()));
    assert_eq!(waits.wait(LONG).unwrap().into_array().unwrap().len(), 2);
    // They are their owners', and go on.
    number_of(&own);
    number_of(&idle);
    other.command(&["PUBLISH", "a", "x"]).wait(LONG).unwrap().ok().unwrap();
    assert_eq!(subscriber.wait_next(LONG).unwrap().payload, b"x");
}

#[test]
fn a_client_that_is_drained_for_too_long_leaves_the_calls_of_its_own_connections() {
    let (server, event_loop) = (Server::start(), start_loop());
    let (redis, other) = (server.client(&event_loop), server.client(&event_loop));
    let own = redis.own().unwrap();
    let mut waits = own.command(&["BLPOP", "list", "0"]);
    let mut drained = event_loop.spawn(redis.drain(Some(20 * MS))).unwrap();
    assert!(matches!(drained.join(LONG).unwrap(), Err(Error::Timeout(_))));
    other.command(&["RPUSH", "list", "x"]).wait(LONG).unwrap().ok().unwrap();
    assert_eq!(waits.wait(LONG).unwrap().into_array().unwrap().len(), 2);
    // One that is cancelled, and one whose connection is lost, is waited for no longer.
    let (redis, mut server) = (server.client(&event_loop), server);
    let own = redis.own().unwrap();
    let lost = own.command(&["BLPOP", "list", "0"]);
    let cancelled = own.command(&["BLPOP", "list", "0"]);
    wait_for("both are in flight", || own.stats().unwrap().in_flight == 2);
    let mut drained = event_loop.spawn(redis.drain(None)).unwrap();
    drop(cancelled);
    server.kill();
    assert_eq!(drained.join(LONG).unwrap(), Ok(()));
    drop(lost);
}

#[test]
fn many_share_a_few() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, Options { max_own: 3, ..server.options() }).unwrap();
    let mut tasks: Vec<_> = (0..200)
        .map(|n| {
            let redis = redis.clone();
            let work = async move {
                // Some give up, before they were given one or about then.
                if n % 5 == 0 {
                    drop(redis.own_within(FOR_EVER));
                    let _ = redis.own_within(n * Duration::from_micros(50)).await;
                }
                let own = redis.own_within(FOR_EVER).await?;
                loop {
                    own.command(&["WATCH", "sum"]).await?.ok()?;
                    let sum: i64 =
                        own.get("sum").await?.map_or(0, |sum| String::from_utf8(sum).unwrap().parse().unwrap());
                    let sum = (sum + 1).to_string();
                    if own.transaction(&[["SET", "sum", sum.as_str()]]).await?.ok()? != Reply::Null {
                        return Ok::<_, Error>(());
                    }
                }
            };
            event_loop.spawn(work).unwrap()
        })
        .collect();
    for task in &mut tasks {
        task.join(LONG).unwrap().unwrap();
    }
    assert_eq!(redis.command(&["GET", "sum"]).wait(LONG).unwrap().into_int(), Ok(200));
    assert!(connections(&redis) <= 4);
    assert!(redis.stats().unwrap().connects <= 4, "they were used again");
}

#[test]
fn who_waits_is_told_of_the_end() {
    let (mut server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, Options { max_own: 1, ..server.options() }).unwrap();
    let own = redis.own().unwrap();
    assert_eq!(own.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    let mut waits = event_loop.spawn(redis.own_within(FOR_EVER)).unwrap();
    // The place of one that is lost is free again, whoever holds what is left of it.
    server.kill();
    server.restart();
    let other = waits.join(LONG).unwrap().unwrap();
    assert_eq!(other.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    assert!(own.is_closed());
    let mut waits = event_loop.spawn(redis.own_within(FOR_EVER)).unwrap();
    redis.close().unwrap();
    assert!(matches!(waits.join(LONG).unwrap(), Err(Error::Closed("redis client"))));
    assert!(matches!(redis.own(), Err(Error::Closed("redis client"))));
    assert_eq!(other.command(&["PING"]).wait(LONG), Ok(status("PONG")), "it is its owner's");
    let waits = redis.own_within(FOR_EVER);
    drop(event_loop);
    drop(waits);
}

#[test]
fn figures_count_the_connections_beside_the_shared_ones() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let subscriber = redis.subscriber(10).unwrap();
    subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
    let own = redis.own().unwrap();
    for _ in 0..10 {
        own.command(&["PING"]).wait(LONG).unwrap();
    }
    redis.command(&["PUBLISH", "a", "x"]).wait(LONG).unwrap();
    subscriber.wait_next(LONG).unwrap();
    let stats = redis.stats().unwrap();
    assert_eq!((stats.calls, stats.answered, stats.pushes), (12, 12, 1));
    assert_eq!((stats.connects, stats.connected), (3, 3));
    assert_eq!(own.stats().unwrap().answered, 10);
    // They stay counted when the connections are gone.
    own.close().unwrap();
    wait_for("it has ended", || redis.stats().unwrap().connected == 2);
    assert_eq!(own.command(&["PING"]).wait(LONG), Err(Error::Closed("redis client")));
    drop(own);
    drop(subscriber);
    wait_for("both have ended", || redis.stats().unwrap().connected == 1);
    let stats = redis.stats().unwrap();
    assert_eq!((stats.calls, stats.answered, stats.pushes, stats.refused), (12, 12, 1, 1));
    assert_eq!((stats.connects, stats.disconnects), (3, 0));
    drop(event_loop);
    assert_eq!(redis.stats().unwrap().calls, 12);
}

#[test]
fn figures_never_go_down_while_connections_come_and_go() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, Options { max_own: 4, ..server.options() }).unwrap();
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (watched, is_over) = (redis.clone(), over.clone());
    let watcher = std::thread::spawn(move || {
        let mut before = 0;
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            let now = watched.stats().unwrap().calls;
            assert!(now >= before, "{now} after {before}");
            before = now;
        }
    });
    let mut done = event_loop
        .spawn({
            let redis = redis.clone();
            async move {
                for _ in 0..200 {
                    let own: Own = redis.own_within(FOR_EVER).await?;
                    own.command(&["SELECT", "1"]).await?.ok()?;
                }
                Ok::<_, Error>(())
            }
        })
        .unwrap();
    let done = done.join(LONG).unwrap();
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    watcher.join().unwrap();
    done.unwrap();
    assert_eq!(redis.stats().unwrap().calls, 200);
}

#[test]
fn what_was_not_undone_is_not_for_the_next() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    type Use = fn(&Own);
    let say = |own: &Own, words: &[&str]| own.command(words).wait(LONG).unwrap().ok().unwrap();
    let undone: [(&str, Use); 3] = [
        ("EXEC", |own| {
            for words in [&["WATCH", "k"][..], &["MULTI"], &["INCR", "k"], &["exec"]] {
                own.command(words).wait(LONG).unwrap().ok().unwrap();
            }
        }),
        ("DISCARD", |own| {
            for words in [&["WATCH", "k"][..], &["MULTI"], &["DISCARD"]] {
                own.command(words).wait(LONG).unwrap().ok().unwrap();
            }
        }),
        ("an EXEC that was refused", |own| {
            own.command(&["MULTI"]).wait(LONG).unwrap().ok().unwrap();
            assert!(own.command(&["NONSENSE"]).wait(LONG).unwrap().ok().is_err());
            assert!(own.command(&["EXEC"]).wait(LONG).unwrap().ok().is_err());
        }),
    ];
    let first = redis.own().unwrap();
    let number = number_of(&first);
    drop(first);
    for (what, acts) in undone {
        let own = redis.own().unwrap();
        acts(&own);
        drop(own);
        assert_eq!(number_of(&redis.own().unwrap()), number, "{what}");
    }
    let left: [(&str, Use); 6] = [
        ("an EXEC that was never sent", |own| {
            own.command(&["MULTI"]).wait(LONG).unwrap().ok().unwrap();
            let late = own.command_within(&["EXEC"], Duration::ZERO).wait(LONG);
            assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
        }),
        ("an EXEC of nothing", |own| {
            own.command(&["WATCH", "k"]).wait(LONG).unwrap().ok().unwrap();
            assert!(own.command(&["EXEC"]).wait(LONG).unwrap().ok().is_err());
        }),
        ("a DISCARD of nothing", |own| {
            own.command(&["WATCH", "k"]).wait(LONG).unwrap().ok().unwrap();
            assert!(own.command(&["DISCARD"]).wait(LONG).unwrap().ok().is_err());
        }),
        ("a transaction that was never sent", |own| {
            own.command(&["WATCH", "k"]).wait(LONG).unwrap().ok().unwrap();
            let told = crate::server::Told::new();
            own.transaction_with(&[["INCR", "k"]], Some(Duration::ZERO), told.callback(0)).unwrap();
            assert!(matches!(told.each_once(1)[0], Err(Error::Timeout(_))));
        }),
        ("a name", |own| {
            own.command(&["CLIENT", "SETNAME", "mine"]).wait(LONG).unwrap().ok().unwrap();
        }),
        ("tracking", |own| {
            own.command(&["client", "tracking", "on"]).wait(LONG).unwrap().ok().unwrap();
        }),
    ];
    for (what, acts) in left {
        let own = redis.own().unwrap();
        let number = number_of(&own);
        acts(&own);
        drop(own);
        let next = redis.own().unwrap();
        assert_ne!(number_of(&next), number, "{what}");
        assert_eq!(say(&next, &["PING"]), status("PONG"), "{what}");
    }
}
