//! Publish and subscribe.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use coop_core::{
    Error,
    net::redis::{Channel, Client, Message, Options, Protocol},
    supervisor::{Backoff, Growth},
};

use crate::server::{LONG, Server, start_loop, wait_for};

fn message(channel: &str, payload: &str) -> Message {
    Message { by: Channel::Named, pattern: None, channel: channel.into(), payload: payload.into() }
}

#[test]
fn messages_come_in_both_protocols() {
    let (server, event_loop) = (Server::start(), start_loop());
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let redis = Client::new(&event_loop, Options { protocol, ..server.options() }).unwrap();
        let subscriber = redis.subscriber(100).unwrap();
        subscriber.subscribe(Channel::Named, &["a", "b"]).wait(LONG).unwrap().ok().unwrap();
        subscriber.subscribe(Channel::Pattern, &["c.*"]).wait(LONG).unwrap().ok().unwrap();
        subscriber.subscribe(Channel::Shard, &["s"]).wait(LONG).unwrap().ok().unwrap();
        let publish = |verb: &str, channel: &str, text: &str| {
            assert_eq!(redis.command(&[verb, channel, text]).wait(LONG).unwrap().into_int(), Ok(1), "{channel}");
        };
        publish("PUBLISH", "a", "1");
        publish("PUBLISH", "b", "2");
        publish("PUBLISH", "c.x", "3");
        publish("SPUBLISH", "s", "4");
        let next = || subscriber.wait_next(LONG).unwrap();
        assert_eq!(next(), message("a", "1"));
        assert_eq!(next(), message("b", "2"));
        let by_pattern = Message { by: Channel::Pattern, pattern: Some("c.*".into()), ..message("c.x", "3") };
        assert_eq!(next(), by_pattern);
        assert_eq!(next(), Message { by: Channel::Shard, ..message("s", "4") });
        subscriber.unsubscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
        assert_eq!(redis.command(&["PUBLISH", "a", "5"]).wait(LONG).unwrap().into_int(), Ok(0));
        assert_eq!(subscriber.stats().pushes, 4);
        assert!(matches!(subscriber.wait_next(Some(Duration::from_millis(1))), Err(Error::Timeout(_))));
    }
}

#[test]
fn subscriptions_outlive_the_server() {
    let (mut server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, Options { patience: LONG, ..server.options() }).unwrap();
    let (sender, receiver) = mpsc::channel();
    let subscriber = redis.subscriber_with(move |message| drop(sender.send(message))).unwrap();
    subscriber.subscribe(Channel::Named, &["a", "gone"]).wait(LONG).unwrap().ok().unwrap();
    subscriber.subscribe(Channel::Pattern, &["p*"]).wait(LONG).unwrap().ok().unwrap();
    subscriber.unsubscribe(Channel::Named, &["gone"]).wait(LONG).unwrap().ok().unwrap();
    server.kill();
    server.restart();
    wait_for("it is subscribed again", || {
        let reply = redis.command(&["PUBLISH", "a", "again"]).wait(LONG);
        reply.is_ok_and(|reply| reply.as_int() == Some(1))
    });
    assert_eq!(receiver.recv_timeout(LONG.unwrap()).unwrap(), message("a", "again"));
    wait_for("its patterns, too", || {
        redis.command(&["PUBLISH", "p1", "again"]).wait(LONG).unwrap().as_int() == Some(1)
    });
    assert_eq!(receiver.recv_timeout(LONG.unwrap()).unwrap().by, Channel::Pattern);
    assert_eq!(redis.command(&["PUBLISH", "gone", "x"]).wait(LONG).unwrap().as_int(), Some(0));
    assert_eq!(subscriber.stats().connects, 2);
}

#[test]
fn what_nobody_takes_is_bounded_and_counted() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    assert!(matches!(redis.subscriber(0), Err(Error::Invalid(_))));
    let subscriber = redis.subscriber(10).unwrap();
    subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
    for n in 0..100 {
        redis.command(&["PUBLISH", "a", &n.to_string()]).wait(LONG).unwrap().ok().unwrap();
    }
    wait_for("all have come, but for the last ten", || subscriber.lost() == 90);
    assert_eq!(subscriber.stats().pushes, 100);
    assert_eq!(subscriber.wait_next(LONG).unwrap().payload, b"90", "the oldest go first");
}

#[test]
fn what_nobody_takes_is_bounded_in_bytes() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, Options { max_queued_bytes: 2000, ..server.options() }).unwrap();
    let publisher = server.client(&event_loop);
    let subscriber = redis.subscriber(1000).unwrap();
    subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
    // What is counted as come is put there a moment later.
    let lost = |count: u64| wait_for("so many are lost", || subscriber.lost() == count);
    // Of 1 for the name and 499: four of them are 2000.
    let payload = |n: u8| vec![n; 499];
    let publish = |payload: &[u8]| {
        publisher.command(&[&b"PUBLISH"[..], b"a", payload]).wait(LONG).unwrap().ok().unwrap();
    };
    (1..=4).for_each(|n| publish(&payload(n)));
    publish(&payload(5));
    lost(1);
    let taken = subscriber.wait_next(LONG).unwrap();
    assert_eq!(taken.payload, payload(2), "the oldest goes first");
    // One that was taken leaves its room, and one that is given back takes it again.
    publish(&payload(6));
    subscriber.put_back(taken);
    publish(&payload(7));
    lost(3);
    // The newest one stays, however large it is.
    publish(&vec![8; 4000]);
    lost(7);
    assert_eq!(subscriber.wait_next(LONG).unwrap().payload.len(), 4000);
    publish(&payload(9));
    assert_eq!(subscriber.wait_next(LONG).unwrap().payload, payload(9));
    assert_eq!(subscriber.lost(), 7);
}

/// Publishes until one has come that was published now.
fn comes_again(publisher: &Client, receiver: &mpsc::Receiver<Message>) {
    receiver.try_iter().for_each(drop);
    wait_for("a message comes", || {
        publisher.command(&["PUBLISH", "a", "again"]).wait(LONG).unwrap().ok().unwrap();
        receiver.recv_timeout(Duration::from_millis(20)).is_ok()
    });
}

#[test]
fn a_server_that_is_silent_is_noticed_and_subscribed_to_again() {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let (server, event_loop) = (Server::start(), start_loop());
        let limit = Some(Duration::from_millis(200));
        let backoff = Backoff { delay: Duration::from_millis(1), growth: Growth::Fixed, ..Options::default().backoff };
        let options = Options { protocol, stalled_after: limit, backoff, ..server.options() };
        let (redis, publisher) = (Client::new(&event_loop, options).unwrap(), server.client(&event_loop));
        let (sender, receiver) = mpsc::channel();
        let subscriber = redis.subscriber_with(move |message| drop(sender.send(message))).unwrap();
        subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
        comes_again(&publisher, &receiver);
        // Its connection is there, and nothing comes of it.
        let before = subscriber.stats().disconnects;
        server.signal("STOP");
        wait_for("it is noticed", || subscriber.stats().disconnects > before);
        server.signal("CONT");
        comes_again(&publisher, &receiver);
    }
}

#[test]
fn a_server_that_has_nothing_to_say_is_asked_and_its_answer_is_no_message() {
    let (server, event_loop) = (Server::start(), start_loop());
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let limit = Some(Duration::from_millis(200));
        let redis = Client::new(&event_loop, Options { protocol, stalled_after: limit, ..server.options() }).unwrap();
        let subscriber = redis.subscriber(10).unwrap();
        subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
        wait_for("it is asked", || subscriber.stats().writes >= 4);
        wait_for("it answers", || subscriber.stats().in_flight == 0);
        assert_eq!(subscriber.stats().pushes, 0);
        let figures = subscriber.stats();
        assert_eq!((figures.calls, figures.answered), (1, 1), "it is no call of anybody's");
    }
    // None is never.
    let redis = Client::new(&event_loop, Options { stalled_after: None, ..server.options() }).unwrap();
    let subscriber = redis.subscriber(10).unwrap();
    subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
    assert_eq!((subscriber.stats().writes, subscriber.stats().in_flight), (1, 0));
}

#[test]
fn who_waits_for_a_message_is_told_of_the_end() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let subscriber = Arc::new(redis.subscriber(10).unwrap());
    let waits = subscriber.clone();
    let mut waiter = event_loop.spawn(async move { waits.next().await }).unwrap();
    subscriber.close();
    assert_eq!(waiter.join(LONG).unwrap(), Err(Error::Closed("redis subscriber")));
    let other = redis.subscriber(10).unwrap();
    let none: [&str; 0] = [];
    assert!(matches!(other.subscribe(Channel::Named, &none).wait(LONG), Err(Error::Invalid(_))));
    drop(event_loop);
    assert_eq!(other.wait_next(LONG), Err(Error::Closed("redis subscriber")));
}

#[test]
fn callbacks_that_are_refused_come_back() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let (sender, receiver) = mpsc::channel();
    let told = sender.clone();
    let subscriber = redis.subscriber(10).unwrap();
    let none: [&str; 0] = [];
    let refused =
        subscriber.subscribe_with(Channel::Named, true, &none, move |_| told.send("none").unwrap()).unwrap_err();
    assert!(matches!(refused.error, Error::Invalid(_)));
    (refused.value)(Err(refused.error));
    assert_eq!(receiver.recv().unwrap(), "none");
    subscriber.close();
    let told = sender.clone();
    let refused =
        subscriber.subscribe_with(Channel::Named, true, &["a"], move |_| told.send("closed").unwrap()).unwrap_err();
    assert_eq!(refused.error, Error::Closed("redis client"));
    (refused.value)(Err(refused.error));
    assert_eq!(receiver.recv().unwrap(), "closed");
    for is_freed in [false, true] {
        let event_loop = start_loop();
        let redis = server.client(&event_loop);
        if is_freed {
            drop(event_loop);
        } else {
            redis.close().unwrap();
        }
        let told = sender.clone();
        let refused = redis.subscriber_with(move |_| told.send("no subscriber").unwrap()).unwrap_err();
        assert!(matches!(refused.error, Error::Closed(_)));
        (refused.value)(message("a", "b"));
        assert_eq!(receiver.recv().unwrap(), "no subscriber");
    }
}

#[test]
fn what_was_refused_is_not_subscribed_to_later() {
    let (mut server, event_loop) = (Server::start(), start_loop());
    server.kill();
    let options = Options { max_calls: 1, patience: None, ..server.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    let subscriber = redis.subscriber(10).unwrap();
    let mut first = subscriber.subscribe(Channel::Named, &["a"]);
    let full = subscriber.subscribe(Channel::Named, &["a", "b"]).wait(LONG);
    assert!(matches!(full, Err(Error::QueueFull { .. })), "{full:?}");
    let full = subscriber.unsubscribe(Channel::Named, &["a"]).wait(LONG);
    assert!(matches!(full, Err(Error::QueueFull { .. })), "{full:?}");
    server.restart();
    first.wait(LONG).unwrap().ok().unwrap();
    let mut counts = redis.command(&["PUBSUB", "NUMSUB", "a", "b"]);
    let counts = counts.wait(LONG).unwrap().into_array().unwrap();
    assert_eq!((counts[1].as_int(), counts[3].as_int()), (Some(1), Some(0)));
    // Nor is it forgotten what was there before.
    server.kill();
    server.restart();
    wait_for("it is subscribed again", || {
        let reply = redis.command(&["PUBLISH", "a", "again"]).wait(LONG);
        reply.is_ok_and(|reply| reply.as_int() == Some(1))
    });
    assert_eq!(redis.command(&["PUBLISH", "b", "x"]).wait(LONG).unwrap().as_int(), Some(0));
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn who_stops_waiting_leaves_nothing_behind_and_takes_nothing() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, server.options()).unwrap();
    let subscriber = redis.subscriber(100).unwrap();
    let nobody = Arc::new(Nobody);
    let waker = Waker::from(nobody.clone());
    let mut other = subscriber.next();
    assert!(Pin::new(&mut other).poll(&mut Context::from_waker(&waker)).is_pending());
    for _ in 0..10 {
        let mut next = subscriber.next();
        for _ in 0..2 {
            assert!(Pin::new(&mut next).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&nobody), 4, "one waker of each who waits");
    }
    assert_eq!(Arc::strong_count(&nobody), 3);
    drop(other);
    drop(waker);
    assert_eq!(Arc::strong_count(&nobody), 1);
}

#[test]
fn a_message_that_is_given_back_is_the_next_one() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = Client::new(&event_loop, server.options()).unwrap();
    let subscriber = redis.subscriber(2).unwrap();
    subscriber.subscribe(Channel::Named, &["a"]).wait(LONG).unwrap().ok().unwrap();
    for text in ["1", "2"] {
        redis.command(&["PUBLISH", "a", text]).wait(LONG).unwrap().ok().unwrap();
    }
    let first = subscriber.wait_next(LONG).unwrap();
    assert_eq!(first, message("a", "1"));
    thread::scope(|scope| {
        assert_eq!(subscriber.wait_next(LONG).unwrap(), message("a", "2"));
        let waiting = scope.spawn(|| subscriber.wait_next(LONG).unwrap());
        subscriber.put_back(first);
        assert_eq!(waiting.join().unwrap(), message("a", "1"));
    });
}
