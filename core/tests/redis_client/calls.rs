//! What a client is for.

use std::{sync::mpsc, time::Duration};

use coop_core::{
    Error, Pool, PoolOptions,
    net::redis::{Client, Command, Options, Protocol, Reply, Script},
};

use crate::server::{LONG, Server, Told, bulk, start_loop, status, wait_for};

#[test]
fn values_come_back_as_they_went() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let mut done = event_loop
        .spawn(async move {
            redis.set("text", "hello").await?;
            redis.set("bytes", &b"\r\n\0$5\r\n"[..]).await?;
            redis.set("number", 42).await?;
            assert_eq!(redis.get("text").await?.as_deref(), Some(&b"hello"[..]));
            assert_eq!(redis.get("bytes").await?.as_deref(), Some(&b"\r\n\0$5\r\n"[..]));
            assert_eq!(redis.get("none").await?, None);
            assert_eq!(redis.incr_by("number", -2).await?, 40);
            let large = vec![b'x'; 5_000_000];
            redis.set("large", &large).await?;
            assert!(redis.get("large").await? == Some(large));
            let hash = Command::new("HSET").arg("hash").arg("field").arg("value").arg("n").arg(1);
            assert_eq!(redis.command(&hash).await?, Reply::Int(2));
            let fields = redis.hgetall("hash").await?;
            assert_eq!(fields, [(b"field".to_vec(), b"value".to_vec()), (b"n".to_vec(), b"1".to_vec())]);
            redis.command(&["RPUSH", "list", "a", "b", "c"]).await?.ok()?;
            assert_eq!(redis.lrange("list", 1, -1).await?, [b"b".to_vec(), b"c".to_vec()]);
            assert_eq!(redis.del(&["text", "bytes", "none"]).await?, 2);
            Ok::<_, Error>(())
        })
        .unwrap();
    done.join(LONG).unwrap().unwrap();
}

#[test]
fn resp3_keeps_its_types_and_resp2_has_its_own() {
    let (server, event_loop) = (Server::start(), start_loop());
    for (protocol, is_newest) in [(Protocol::Newest, true), (Protocol::Resp3, true), (Protocol::Resp2, false)] {
        let options = Options { protocol, ..server.options() };
        let redis = Client::new(&event_loop, options).unwrap();
        let ask = |words: &[&str]| redis.command(words).wait(LONG).unwrap();
        ask(&["DEL", "h", "z", "s"]);
        assert_eq!(ask(&["HSET", "h", "f", "v"]), Reply::Int(1));
        assert_eq!(ask(&["ZADD", "z", "1.5", "m"]), Reply::Int(1));
        assert_eq!(ask(&["SADD", "s", "m"]), Reply::Int(1));
        assert_eq!(ask(&["GET", "none"]), Reply::Null);
        let (hash, score, set) = (ask(&["HGETALL", "h"]), ask(&["ZSCORE", "z", "m"]), ask(&["SMEMBERS", "s"]));
        let (yes, verbatim) =
            (ask(&["EVAL", "redis.setresp(3) return true", "0"]), ask(&["DEBUG", "PROTOCOL", "verbatim"]));
        if is_newest {
            assert_eq!(hash, Reply::Map(vec![(bulk("f"), bulk("v"))]));
            assert_eq!((score, set), (Reply::Double(1.5), Reply::Set(vec![bulk("m")])));
            assert_eq!(yes, Reply::Bool(true));
        } else {
            assert_eq!(hash, Reply::Array(vec![bulk("f"), bulk("v")]));
            assert_eq!((score, set), (bulk("1.5"), Reply::Array(vec![bulk("m")])));
            assert_eq!(yes, Reply::Int(1));
        }
        // Refused by servers that allow no DEBUG, which is an error and a reply.
        assert!(verbatim.as_error().is_some(), "{verbatim:?}");
    }
}

#[test]
fn the_types_of_resp3_come_from_a_server() {
    let (server, event_loop) = (Server::with(&["--enable-debug-command", "yes"]), start_loop());
    let redis = server.client(&event_loop);
    let ask = |what: &str| redis.command(&["DEBUG", "PROTOCOL", what]).wait(LONG).unwrap();
    assert_eq!(ask("verbatim"), Reply::Verbatim { format: *b"txt", text: b"This is a verbatim\nstring".to_vec() });
    assert_eq!(ask("bignum"), Reply::BigNumber(b"1234567999999999999999999999999999999".to_vec()));
    assert_eq!(ask("double").as_double().map(|number| number.to_string()).as_deref(), Some("3.141"));
    assert_eq!((ask("true"), ask("false"), ask("null")), (Reply::Bool(true), Reply::Bool(false), Reply::Null));
    assert!(matches!(ask("attrib"), Reply::Attribute { .. }));
    assert!(matches!(ask("map"), Reply::Map(pairs) if pairs.len() == 3));
    assert!(matches!(ask("set"), Reply::Set(parts) if parts.len() == 3));
    assert_eq!(redis.stats().unwrap().answered, 9);
}

#[test]
fn a_push_that_nobody_asked_for_is_told_and_mixes_with_no_reply() {
    let (server, event_loop) = (Server::start(), start_loop());
    let (sender, receiver) = mpsc::channel();
    let on_push = move |push| {
        let _ = sender.send(push);
    };
    let options = Options { on_push: Some(std::sync::Arc::new(on_push)), ..server.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    let ask = |words: &[&str]| redis.command(words).wait(LONG).unwrap();
    assert_eq!(ask(&["CLIENT", "TRACKING", "ON"]), status("OK"));
    assert_eq!(ask(&["GET", "k"]), Reply::Null);
    let other = server.client(&event_loop);
    assert_eq!(other.command(&["SET", "k", "v"]).wait(LONG).unwrap(), status("OK"));
    let push = receiver.recv_timeout(LONG.unwrap()).unwrap();
    assert_eq!(push, Reply::Push(vec![bulk("invalidate"), Reply::Array(vec![bulk("k")])]));
    assert_eq!(ask(&["GET", "k"]), bulk("v"));
    assert_eq!(redis.stats().unwrap().pushes, 1);
}

#[test]
fn callbacks_are_told_on_the_loops_thread_in_order() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let (told, (sender, receiver)) = (Told::new(), mpsc::channel());
    for n in 0..1000 {
        let (told, handle, sender) = (told.callback(n), event_loop.handle(), sender.clone());
        let callback = move |outcome| {
            assert!(handle.is_loop_thread());
            sender.send(n).unwrap();
            told(outcome);
        };
        redis.command_with(&["ECHO", &n.to_string()], None, callback).unwrap();
    }
    drop(sender);
    for (n, outcome) in told.each_once(1000).into_iter().enumerate() {
        assert_eq!(outcome.unwrap(), bulk(n.to_string()));
    }
    assert_eq!(receiver.iter().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_callback_may_call_and_drop_the_client() {
    let (server, event_loop) = (Server::start(), start_loop());
    let (redis, told) = (server.client(&event_loop), Told::new());
    let (again, last) = (redis.clone(), told.callback(0));
    let sent = redis.command_with(&["PING"], None, move |_| {
        again.command_with(&["ECHO", "inside"], None, last).unwrap();
        drop(again);
    });
    sent.unwrap();
    drop(redis);
    assert_eq!(told.each_once(1)[0], Ok(bulk("inside")));
}

#[test]
fn coroutines_of_a_pool_call_too() {
    let (server, event_loop) = (Server::start(), start_loop());
    let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() }).unwrap();
    let redis = server.client(&event_loop);
    let mut workers: Vec<_> = (0..100)
        .map(|n| {
            let redis = redis.clone();
            pool.spawn(async move { redis.incr_by("sum", n).await }).unwrap()
        })
        .collect();
    for worker in &mut workers {
        worker.join(LONG).unwrap().unwrap();
    }
    assert_eq!(redis.command(&["GET", "sum"]).wait(LONG).unwrap().into_int(), Ok(4950));
}

#[test]
fn calls_of_one_turn_go_out_in_one_write() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    redis.command(&["PING"]).wait(LONG).unwrap();
    let before = redis.stats().unwrap();
    let (told, client) = (Told::new(), redis.clone());
    let callbacks: Vec<_> = (0..100).map(|n| told.callback(n)).collect();
    event_loop
        .post(move || {
            for callback in callbacks {
                client.command_with(&["PING"], None, callback).unwrap();
            }
        })
        .unwrap();
    assert!(told.each_once(100).into_iter().all(|outcome| outcome == Ok(status("PONG"))));
    let after = redis.stats().unwrap();
    assert_eq!((after.writes - before.writes, after.answered - before.answered), (1, 100));
    assert_eq!((after.queued, after.in_flight, after.connected, after.connects), (0, 0, 1, 1));
    assert_eq!(after.bytes_in - before.bytes_in, 700);
}

#[test]
fn pipelines_and_transactions() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let pipeline = redis.pipeline(&[&["SET", "a", "1"][..], &["LPOP", "a"], &["GET", "a"]]).wait(LONG).unwrap();
    let parts = pipeline.into_array().unwrap();
    assert_eq!((&parts[0], &parts[2]), (&status("OK"), &bulk("1")));
    assert_eq!(parts[1].as_error().unwrap().code(), "WRONGTYPE");

    let done = redis.transaction(&[["INCR", "a"], ["INCR", "a"]]).wait(LONG).unwrap();
    assert_eq!(done, Reply::Array(vec![Reply::Int(2), Reply::Int(3)]));
    let refused = redis.transaction(&[&["INCR", "a"][..], &["NOSUCH"]]).wait(LONG).unwrap();
    let error = refused.as_error().unwrap();
    assert_eq!(error.code(), "EXECABORT");
    assert!(error.text().contains("unknown command 'NOSUCH'"), "{error}");
    assert_eq!(redis.command(&["GET", "a"]).wait(LONG).unwrap(), bulk("3"), "nothing of it was done");

    let told = Told::new();
    redis.pipeline_with(&[["INCR", "a"]], None, told.callback(0)).unwrap();
    redis.transaction_with(&[["INCR", "a"]], None, told.callback(1)).unwrap();
    let outcomes = told.each_once(2);
    assert_eq!(outcomes[0], Ok(Reply::Array(vec![Reply::Int(4)])));
    assert_eq!(outcomes[1], Ok(Reply::Array(vec![Reply::Int(5)])));

    let none: [[&str; 1]; 0] = [];
    assert!(matches!(redis.pipeline(&none).wait(LONG), Err(Error::Invalid(_))));
    assert!(matches!(redis.transaction(&[["MULTI"]]).wait(LONG), Err(Error::Invalid(_))));
}

#[test]
fn what_would_break_a_shared_connection_is_refused() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    for name in ["MULTI", "select", "SUBSCRIBE", "monitor", "Quit"] {
        match redis.command(&[name]).wait(LONG) {
            Err(Error::Invalid(text)) => assert!(text.contains(&name.to_uppercase()), "{text}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let refused = redis.command_with(&["WATCH", "k"], None, |_| panic!("nothing of it runs")).unwrap_err();
    assert!(matches!(refused.error, Error::Invalid(_)));
    let none: [&str; 0] = [];
    assert!(matches!(redis.command(&none).wait(LONG), Err(Error::Invalid(_))));
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
}

#[test]
fn a_connection_of_ones_own_watches_and_is_used_again() {
    let (server, event_loop) = (Server::start(), start_loop());
    let redis = server.client(&event_loop);
    let ask = |redis: &Client, words: &[&str]| redis.command(words).wait(LONG).unwrap();
    let own = redis.own().unwrap();
    let number = ask(&own, &["CLIENT", "ID"]);
    assert_ne!(number, ask(&redis, &["CLIENT", "ID"]));
    assert_eq!(ask(&own, &["WATCH", "k"]), status("OK"));
    assert_eq!(ask(&redis, &["SET", "k", "other"]), status("OK"));
    assert_eq!(own.transaction(&[["SET", "k", "mine"]]).wait(LONG), Ok(Reply::Null), "the watched key has changed");
    assert_eq!(ask(&own, &["MULTI"]), status("OK"));
    assert_eq!(ask(&own, &["INCR", "n"]), status("QUEUED"));
    assert_eq!(ask(&own, &["EXEC"]), Reply::Array(vec![Reply::Int(1)]));
    drop(own);
    let again = redis.own().unwrap();
    assert_eq!(ask(&again, &["CLIENT", "ID"]), number, "the same connection");
    assert_ne!(ask(&redis.own().unwrap(), &["CLIENT", "ID"]), number, "it is somebody's");
    assert_eq!(ask(&again, &["SELECT", "3"]), status("OK"));
    drop(again);
    let fresh = redis.own().unwrap();
    assert_ne!(ask(&fresh, &["CLIENT", "ID"]), number, "one in another database is not used again");
}

#[test]
fn scripts_go_by_their_digest() {
    let (server, event_loop) = (Server::start(), start_loop());
    let (redis, script) = (server.client(&event_loop), Script::new("return {KEYS[1], ARGV[1]}"));
    let expected = Reply::Array(vec![bulk("k"), bulk("v")]);
    let calls = || redis.stats().unwrap().calls;
    assert_eq!(redis.script(&script, &["k"], &["v"]).wait(LONG), Ok(expected.clone()));
    assert_eq!(calls(), 2, "the server did not know it");
    let told = Told::new();
    redis.script_with(&script, &["k"], &["v"], None, told.callback(0)).unwrap();
    assert_eq!(told.each_once(1)[0], Ok(expected.clone()));
    assert_eq!(calls(), 3, "by now it does");
    redis.command(&["SCRIPT", "FLUSH"]).wait(LONG).unwrap();
    let mut done = event_loop.spawn(async move { redis.script(&script, &["k"], &["v"]).await }).unwrap();
    assert_eq!(done.join(LONG).unwrap(), Ok(expected));
}

#[test]
fn several_connections_share_the_calls() {
    let (server, event_loop) = (Server::start(), start_loop());
    let options = Options { connections: 4, client_name: Some("shared".into()), database: 2, ..server.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    let told = Told::new();
    for n in 0..100 {
        redis.command_with(&["INCR", "n"], None, told.callback(n)).unwrap();
    }
    let mut numbers: Vec<i64> =
        told.each_once(100).into_iter().map(|outcome| outcome.unwrap().into_int().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    // The first of them may have been there for all of the calls.
    wait_for("all are there", || redis.stats().unwrap().connected == 4);
    let list = redis.command(&["CLIENT", "LIST"]).wait(LONG).unwrap().into_bytes().unwrap().unwrap();
    let list = String::from_utf8(list).unwrap();
    assert_eq!(list.matches("name=shared").count(), 4);
    assert_eq!(list.matches("db=2").count(), 4);
}

#[test]
fn users_and_passwords() {
    let server = Server::with(&["--requirepass", "secret", "--user", "ann", "on", ">hers", "~*", "+@all"]);
    let event_loop = start_loop();
    let whoami = |options: Options| {
        let redis = Client::new(&event_loop, options).unwrap();
        redis.command(&["ACL", "WHOAMI"]).wait(LONG)
    };
    for protocol in [Protocol::Newest, Protocol::Resp2] {
        let with = |user: Option<&str>, password: Option<&str>| Options {
            user: user.map(Into::into),
            password: password.map(Into::into),
            protocol,
            ..server.options()
        };
        assert_eq!(whoami(with(None, Some("secret"))), Ok(bulk("default")));
        assert_eq!(whoami(with(Some("ann"), Some("hers"))), Ok(bulk("ann")));
        for wrong in [with(None, Some("wrong")), with(Some("ann"), Some("wrong")), with(Some("bob"), Some("x"))] {
            match whoami(wrong) {
                Err(Error::Failed(text)) => {
                    assert!(text.contains("WRONGPASS") && text.contains("redis.sock"), "{text}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    match whoami(server.options()) {
        Err(Error::Failed(text)) => assert!(text.contains("NOAUTH"), "{text}"),
        other => panic!("{other:?}"),
    }
    let url = format!("unix://ann:hers@{}", server.socket().display());
    assert_eq!(whoami(Options::from_url(&url).unwrap()), Ok(bulk("ann")));
}

#[test]
fn close_and_drain() {
    let (server, event_loop) = (Server::start(), start_loop());
    let (redis, told) = (server.client(&event_loop), Told::new());
    for n in 0..1000 {
        redis.command_with(&["INCR", "n"], None, told.callback(n)).unwrap();
    }
    let mut drained = event_loop.spawn(redis.drain(LONG)).unwrap();
    assert_eq!(drained.join(LONG).unwrap(), Ok(()));
    assert_eq!(redis.command(&["PING"]).wait(LONG), Err(Error::Closed("redis client")));
    assert!(told.each_once(1000).iter().all(Result::is_ok), "what was accepted was answered");

    let (redis, told) = (server.client(&event_loop), Told::new());
    redis.command_with(&["PING"], None, told.callback(0)).unwrap();
    redis.command_with(&["BLPOP", "nothing", "0"], None, told.callback(1)).unwrap();
    let mut drained = event_loop.spawn(redis.drain(Some(Duration::from_millis(50)))).unwrap();
    assert!(matches!(drained.join(LONG).unwrap(), Err(Error::Timeout(_))));
    assert_eq!(told.each_once(2)[1], Err(Error::Closed("redis client")));
    redis.close().unwrap();
    assert!(redis.is_closed() && redis.own().is_err() && redis.subscriber(1).is_err());
}

#[test]
fn a_url_says_where_and_how() {
    let port = crate::ports::free_port();
    let args = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--user", "ann", "on", ">h@rs", "~*", "+@all"];
    let (_server, event_loop) = (Server::with(&args), start_loop());
    wait_for("the port listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    for (query, resp) in [("", "resp=3"), ("&protocol=2", "resp=2")] {
        let url = format!("redis://ann:h%40rs@127.0.0.1:{port}/3?client_name=by-url{query}");
        let redis = Client::from_url(&event_loop, &url).unwrap();
        let me = redis.command(&["CLIENT", "INFO"]).wait(LONG).unwrap();
        let me = me.as_str().unwrap();
        for part in ["user=ann", "db=3", "name=by-url", resp] {
            assert!(me.contains(part), "{part}: {me}");
        }
    }
}
