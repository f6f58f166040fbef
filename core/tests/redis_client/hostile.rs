//! Servers that are none, or that do harm: written here, byte by byte.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use coop_core::{
    Error,
    net::redis::{Client, Options, Protocol, Reply, Server as At},
    supervisor::{Backoff, Growth},
};

use crate::server::{LONG, Told, bulk, start_loop, status, wait_for};

const MS: Duration = Duration::from_millis(1);

/// Treats each connection, one after the other, with its own function; then it listens no more.
struct Hostile {
    port: u16,
    thread: Option<JoinHandle<()>>,
}

type Treat = Box<dyn FnOnce(&mut TcpStream) + Send>;

impl Hostile {
    fn new(treats: Vec<Treat>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            for treat in treats {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(LONG).unwrap();
                treat(&mut stream);
            }
        });
        Self { port, thread: Some(thread) }
    }

    fn options(&self) -> Options {
        Options {
            server: At::Tcp { host: "127.0.0.1".into(), port: self.port },
            // It says nothing at first.
            protocol: Protocol::Resp2,
            backoff: Backoff {
                delay: MS,
                growth: Growth::Fixed,
                cap: MS,
                jitter: 0.0,
                calm: Duration::from_secs(60),
                burst: 0,
            },
            patience: LONG,
            ..Options::default()
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

/// Reads until so many commands have come whole.
fn read_commands(stream: &mut TcpStream, count: usize) {
    let mut have = Vec::new();
    let mut buffer = [0; 4096];
    while have.windows(14).filter(|window| window == b"*1\r\n$4\r\nPING\r\n").count() < count {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the client has gone");
        have.extend_from_slice(&buffer[..read]);
    }
}

/// Until the client closes.
fn read_to_end(stream: &mut TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// The outcomes of so many PINGs against a server that treats its first connection so, once they were made.
fn pings(
    count: usize,
    adjust: impl FnOnce(&mut Options),
    treat: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> Vec<Result<Reply, Error>> {
    let (made, are_made) = mpsc::channel();
    let treat: Treat = Box::new(move |stream| {
        are_made.recv().unwrap();
        treat(stream);
    });
    let (hostile, event_loop) = (Hostile::new(vec![treat]), start_loop());
    let mut options = hostile.options();
    adjust(&mut options);
    let (redis, told) = (Client::new(&event_loop, options).unwrap(), Told::new());
    for n in 0..count {
        redis.command_with(&["PING"], None, told.callback(n)).unwrap();
    }
    made.send(()).unwrap();
    let outcomes = told.each_once(count);
    redis.close().unwrap();
    outcomes
}

fn failed(outcome: &Result<Reply, Error>, says: &str) {
    match outcome {
        Err(error) => assert!(error.to_string().contains(says), "{error}"),
        Ok(reply) => panic!("{reply:?}"),
    }
}

#[test]
fn one_that_closes_in_the_middle_of_a_reply() {
    let outcomes = pings(
        3,
        |_| {},
        |stream| {
            read_commands(stream, 3);
            stream.write_all(b"+PONG\r\n$100\r\nhalf").unwrap();
        },
    );
    assert_eq!(outcomes[0], Ok(status("PONG")));
    failed(&outcomes[1], "the server has closed the connection");
    failed(&outcomes[2], "the server has closed the connection");
}

#[test]
fn one_that_answers_garbage() {
    let outcomes = pings(
        2,
        |_| {},
        |stream| {
            read_commands(stream, 2);
            stream.write_all(b"+PONG\r\nHTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            read_to_end(stream);
        },
    );
    assert_eq!(outcomes[0], Ok(status("PONG")), "what came before it counts");
    failed(&outcomes[1], "no reply of redis: \"HTTP/1.1 400 Bad Request\" is not the beginning of a reply");
}

#[test]
fn one_that_greets_with_garbage() {
    let outcomes = pings(
        1,
        |_| {},
        |stream| {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
            read_to_end(stream);
        },
    );
    failed(&outcomes[0], "no reply of redis");
}

#[test]
fn one_that_answers_more_than_it_was_asked() {
    let first: Treat = Box::new(|stream| {
        read_commands(stream, 1);
        stream.write_all(b"+ONE\r\n+MORE\r\n").unwrap();
        read_to_end(stream);
    });
    let second: Treat = Box::new(|stream| {
        read_commands(stream, 1);
        stream.write_all(b"+TWO\r\n").unwrap();
        read_to_end(stream);
    });
    let (hostile, event_loop) = (Hostile::new(vec![first, second]), start_loop());
    let redis = Client::new(&event_loop, Options { patience: LONG, ..hostile.options() }).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("ONE")));
    wait_for("the connection is given up", || redis.stats().unwrap().disconnects == 1);
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("TWO")));
    redis.close().unwrap();
}

#[test]
fn one_that_announces_half_a_gigabyte() {
    for bytes in [&b"$536870912\r\n"[..], b"*1\r\n$536870912\r\n", b"*100000000\r\n", b"%100000000\r\n"] {
        let outcomes = pings(
            2,
            |_| {},
            move |stream| {
                read_commands(stream, 2);
                stream.write_all(bytes).unwrap();
                read_to_end(stream);
            },
        );
        for outcome in &outcomes {
            failed(outcome, "a reply of more than 67108864 bytes, which is the limit");
        }
    }
}

#[test]
fn one_that_sends_half_a_gigabyte_that_is_allowed_to_be_announced() {
    // What is announced takes no memory before it has come.
    let outcomes = pings(
        1,
        |options| options.max_reply_bytes = 1 << 30,
        |stream| {
            read_commands(stream, 1);
            stream.write_all(b"$536870912\r\n").unwrap();
            stream.write_all(&vec![b'x'; 1 << 20]).unwrap();
        },
    );
    failed(&outcomes[0], "the server has closed the connection");
}

#[test]
fn one_that_stalls() {
    let limit = |options: &mut Options| options.timeout = Some(30 * MS);
    let outcomes = pings(100, limit, read_to_end);
    for outcome in &outcomes {
        failed(outcome, "no reply within 30ms");
    }
}

#[test]
fn one_that_owes_replies_for_too_long_is_given_up() {
    let second: Treat = Box::new(|stream| {
        read_commands(stream, 1);
        stream.write_all(b"+SECOND\r\n").unwrap();
        read_to_end(stream);
    });
    let (hostile, event_loop) = (Hostile::new(vec![Box::new(read_to_end), second]), start_loop());
    // Long enough for it to be seen that they are in flight, and for the second connection's reply.
    let options = Options { stalled_after: Some(2000 * MS), patience: LONG, ..hostile.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    let (late, mut behind) = (redis.command(&["PING"]), redis.command(&["PING"]));
    wait_for("both are in flight", || redis.stats().unwrap().in_flight == 2);
    drop(late);
    failed(&behind.wait(LONG), "it owes a reply and has said nothing for 2s");
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("SECOND")));
    redis.close().unwrap();
}

#[test]
fn one_that_accepts_and_never_welcomes() {
    let (hostile, event_loop) = (Hostile::new(vec![Box::new(read_to_end), Box::new(read_to_end)]), start_loop());
    let minute = Duration::from_secs(60);
    let with = |connect_timeout| Options {
        protocol: Protocol::Resp3,
        connect_timeout,
        patience: Some(10 * MS),
        backoff: Backoff { delay: minute, cap: minute, ..hostile.options().backoff },
        ..hostile.options()
    };
    let redis = Client::new(&event_loop, with(None)).unwrap();
    failed(&redis.command(&["PING"]).wait(LONG), "there is no connection yet");
    redis.close().unwrap();
    let redis = Client::new(&event_loop, with(Some(50 * MS))).unwrap();
    wait_for("the attempt is given up", || redis.stats().unwrap().connect_failures == 1);
    let outcome = redis.command(&["PING"]).wait(LONG);
    failed(&outcome, &hostile.port.to_string());
    failed(&outcome, "not done within 50ms");
    redis.close().unwrap();
}

#[test]
fn one_from_before_resp3_is_spoken_to_in_resp2() {
    let treat: Treat = Box::new(|stream| {
        let mut buffer = [0; 4096];
        let mut expect = |wanted: &str, answer: &str| {
            let mut have = Vec::new();
            while have.len() < wanted.len() {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0);
                have.extend_from_slice(&buffer[..read]);
            }
            assert_eq!(String::from_utf8(have).unwrap(), wanted);
            stream.write_all(answer.as_bytes()).unwrap();
        };
        let hello = "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n";
        expect(hello, "-ERR unknown command `HELLO`, with args beginning with: \r\n");
        expect("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", "+OK\r\n");
        expect("*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n", "+OK\r\n");
        expect("*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
    });
    let (hostile, event_loop) = (Hostile::new(vec![treat]), start_loop());
    let options =
        Options { protocol: Protocol::Newest, password: Some("secret".into()), database: 7, ..hostile.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    redis.close().unwrap();
}

#[test]
fn one_whose_replies_come_byte_by_byte() {
    let outcomes = pings(
        3,
        |_| {},
        |stream| {
            stream.set_nodelay(true).unwrap();
            read_commands(stream, 3);
            for byte in b"*2\r\n$3\r\nabc\r\n:12\r\n+PONG\r\n$0\r\n\r\n" {
                stream.write_all(&[*byte]).unwrap();
                thread::sleep(Duration::from_micros(300));
            }
        },
    );
    assert_eq!(outcomes[0], Ok(Reply::Array(vec![bulk("abc"), Reply::Int(12)])));
    assert_eq!((&outcomes[1], &outcomes[2]), (&Ok(status("PONG")), &Ok(bulk(""))));
}

#[test]
fn one_that_takes_nothing_leaves_unsent_calls_for_the_next() {
    // The first connection is closed when little of a large command was read: it is lost, and those behind it, of which nothing was written, are not.
    let first: Treat = Box::new(|stream| {
        let mut some = [0; 1000];
        stream.read_exact(&mut some).unwrap();
    });
    let second: Treat = Box::new(|stream| {
        read_commands(stream, 2);
        stream.write_all(b"+ONE\r\n+TWO\r\n").unwrap();
        read_to_end(stream);
    });
    let (hostile, event_loop) = (Hostile::new(vec![first, second]), start_loop());
    let options = Options { patience: LONG, ..hostile.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    let large = coop_core::net::redis::Command::new("SET").arg("k").arg(vec![b'x'; 30_000_000]);
    let told = Told::new();
    redis.command_with(&large, None, told.callback(0)).unwrap();
    redis.command_with(&["PING"], None, told.callback(1)).unwrap();
    redis.command_with(&["PING"], None, told.callback(2)).unwrap();
    let outcomes = told.each_once(3);
    assert!(matches!(outcomes[0], Err(Error::Os { .. })), "{:?}", outcomes[0]);
    assert_eq!((&outcomes[1], &outcomes[2]), (&Ok(status("ONE")), &Ok(status("TWO"))));
    redis.close().unwrap();
}

#[test]
fn one_that_reads_nothing_holds_up_no_more_than_may_wait() {
    let (go, gone) = mpsc::channel::<()>();
    let first: Treat = Box::new(move |_| assert!(gone.recv().is_err()));
    let (hostile, event_loop) = (Hostile::new(vec![first]), start_loop());
    let options = Options { max_queued_bytes: 1_000_000, ..hostile.options() };
    let redis = Client::new(&event_loop, options).unwrap();
    let large = coop_core::net::redis::Command::new("SET").arg("k").arg(vec![b'x'; 30_000_000]);
    let _large = redis.command(&large);
    wait_for("it was handed over", || redis.stats().unwrap().in_flight == 1);
    // What was handed over and could not be written waits as what was not.
    wait_for("nothing fits beside it", || {
        let refused = redis.command_with(&["PING"], None, |_| {});
        matches!(refused.map_err(|refused| refused.error), Err(Error::QueueFull { .. }))
    });
    redis.close().unwrap();
    drop(go);
}

#[test]
fn one_that_answers_late_is_sent_what_waits_behind_a_large_command() {
    let (go, gone) = mpsc::channel();
    let first: Treat = Box::new(move |stream| {
        gone.recv().unwrap();
        // No reply before all of it has come.
        let (mut end, mut some) = (Vec::new(), vec![0; 1 << 20]);
        while !end.ends_with(b"*1\r\n$4\r\nPING\r\n") {
            let read = stream.read(&mut some).unwrap();
            assert!(read > 0, "the client has gone");
            end.extend_from_slice(&some[..read]);
            end.drain(..end.len().saturating_sub(100));
        }
        stream.write_all(b"+OK\r\n+PONG\r\n").unwrap();
        read_to_end(stream);
    });
    let (hostile, event_loop) = (Hostile::new(vec![first]), start_loop());
    let redis = Client::new(&event_loop, hostile.options()).unwrap();
    let large = coop_core::net::redis::Command::new("SET").arg("k").arg(vec![b'x'; 30_000_000]);
    let mut large = redis.command(&large);
    wait_for("it was handed over", || redis.stats().unwrap().in_flight == 1);
    let mut behind = redis.command(&["PING"]);
    thread::sleep(50 * MS);
    go.send(()).unwrap();
    assert_eq!((large.wait(LONG), behind.wait(LONG)), (Ok(status("OK")), Ok(status("PONG"))));
    redis.close().unwrap();
}

#[test]
fn one_that_speaks_behind_its_welcome_is_heard() {
    let treat: Treat = Box::new(|stream| {
        let mut some = [0; 4096];
        assert!(stream.read(&mut some).unwrap() > 0);
        // Half of what it says unasked comes with the welcome.
        stream.write_all(b"%1\r\n+server\r\n+redis\r\n>2\r\n+hel").unwrap();
        thread::sleep(50 * MS);
        stream.write_all(b"lo\r\n+you\r\n").unwrap();
        read_commands(stream, 1);
        stream.write_all(b"+PONG\r\n").unwrap();
        read_to_end(stream);
    });
    let (hostile, event_loop) = (Hostile::new(vec![treat]), start_loop());
    let (sender, receiver) = mpsc::channel();
    let options = Options {
        protocol: Protocol::Resp3,
        on_push: Some(std::sync::Arc::new(move |push| drop(sender.send(push)))),
        ..hostile.options()
    };
    let redis = Client::new(&event_loop, options).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    assert_eq!(receiver.recv_timeout(LONG.unwrap()), Ok(Reply::Push(vec![status("hello"), status("you")])));
    redis.close().unwrap();
}

#[test]
fn one_that_says_the_password_is_not_quoted() {
    let adjust = |options: &mut Options| {
        options.protocol = Protocol::Resp3;
        options.password = Some("s3cret".into());
    };
    let outcomes = pings(1, adjust, |stream| {
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"-ERR unknown command `HELLO`, with args: `3`, `AUTH`, `default`, `s3cret`\r\n").unwrap();
        read_to_end(stream);
    });
    failed(&outcomes[0], "unknown command `HELLO`");
    failed(&outcomes[0], "`(hidden)`");
}

#[test]
fn one_that_drops_who_has_just_come_is_left_alone_for_the_backoff() {
    let (listener, event_loop) = (TcpListener::bind("127.0.0.1:0").unwrap(), start_loop());
    let hour = Duration::from_secs(3600);
    let options = Options {
        server: At::Tcp { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() },
        protocol: Protocol::Resp2,
        backoff: Backoff { delay: hour, growth: Growth::Fixed, cap: hour, jitter: 0.0, calm: hour, burst: 0 },
        ..Options::default()
    };
    let redis = Client::new(&event_loop, options).unwrap();
    drop(listener.accept().unwrap());
    wait_for("it has noticed", || redis.stats().unwrap().disconnects == 1);
    // Until a call that waits for a connection has waited in vain.
    let waited = redis.command_within(&["PING"], 300 * MS).wait(LONG);
    assert!(matches!(waited, Err(Error::Timeout(_))), "{waited:?}");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    redis.close().unwrap();
}
