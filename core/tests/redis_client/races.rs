//! Calls, deadlines and ends from other threads, whatever the loop's is about to do then.

use std::{
    net::TcpListener,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use coop_core::{
    Error,
    net::redis::{Client, Options, Script, Server as At},
};

use crate::server::{LONG, Server, Told, start_loop, wait_for};

const MS: Duration = Duration::from_millis(1);

#[test]
fn an_end_from_another_thread_is_seen() {
    let (server, event_loop) = (Server::start(), start_loop());
    for round in 0..300_usize {
        let redis = server.client(&event_loop);
        let (told, barrier) = (Told::new(), Arc::new(Barrier::new(2)));
        let callbacks: Vec<_> = (0..20).map(|n| told.callback(n)).collect();
        let (caller, ready) = (redis.clone(), barrier.clone());
        let calls = thread::spawn(move || {
            ready.wait();
            for callback in callbacks {
                if let Err(refused) = caller.command_with(&["PING"], None, callback) {
                    (refused.value)(Err(refused.error));
                }
            }
        });
        barrier.wait();
        for _ in 0..round % 50 {
            std::hint::spin_loop();
        }
        let mut end = None;
        match round % 3 {
            0 => redis.close().unwrap(),
            1 => end = Some(event_loop.spawn(redis.drain(None)).unwrap()),
            _ => {}
        }
        calls.join().unwrap();
        if let Some(mut drained) = end {
            drained.join(LONG).unwrap().unwrap();
        }
        // The last clone's end is seen, too: the server has no connection left.
        drop(redis);
        told.each_once(20);
    }
    let redis = server.client(&event_loop);
    wait_for("all of them have closed", || {
        let list = redis.command(&["CLIENT", "LIST"]).wait(LONG).unwrap().into_bytes().unwrap().unwrap();
        String::from_utf8(list).unwrap().lines().count() == 1
    });
}

#[test]
fn a_deadline_from_another_thread_is_kept() {
    // It listens, and never welcomes: nothing but the calls wakes the client.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = At::Tcp { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let options = Options { server, connect_timeout: None, patience: None, ..Options::default() };
    let event_loop = start_loop();
    let redis = Client::new(&event_loop, options).unwrap();
    let threads: Vec<_> = (0..3_u32)
        .map(|nth| {
            let redis = redis.clone();
            thread::spawn(move || {
                for n in 0..300 {
                    let limit = MS / 10 * ((n + nth) % 20);
                    let outcome = redis.command_within(&["PING"], limit).wait(LONG);
                    match outcome {
                        Err(Error::Timeout(text)) => assert!(!text.contains("60s"), "it was not ended: {text}"),
                        other => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(redis.stats().unwrap().timed_out, 900);
}

#[test]
fn a_script_that_was_accepted_is_run_whatever_ends() {
    let (server, event_loop) = (Server::start(), start_loop());
    for n in 0..30 {
        let (redis, told) = (server.client(&event_loop), Told::new());
        // Unknown to the server: it takes two commands.
        let script = Script::new(format!("return {n}"));
        let none: [&str; 0] = [];
        redis.script_with(&script, &none, &none, None, told.callback(0)).unwrap();
        match n % 2 {
            0 => drop(redis),
            _ => drop(event_loop.spawn(redis.drain(LONG)).unwrap()),
        }
        assert_eq!(told.each_once(1)[0].as_ref().unwrap().as_int(), Some(n));
    }
}
