//! What is told of a connection that has room again.

use std::collections::HashMap;

use super::*;

/// What may wait: for one connection an eighth.
const BUFFER: usize = 8 << 20;
const ONE: usize = BUFFER / 8;

#[derive(Debug, PartialEq)]
enum Heard {
    Lags(ConnectionId),
    Refused(ConnectionId, Error),
    Drained(ConnectionId, usize),
    Closed(ConnectionId),
}

/// Writes to whoever says something until that is refused; some words are orders.
struct Fills {
    tell: Sender<Heard>,
    drained: HashMap<ConnectionId, usize>,
}

impl Handler for Fills {
    fn on_data(&mut self, ctx: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        if bytes == b"say" {
            return ctx.write(connection, &[7; 1000]).map_err(fault);
        }
        if bytes == b"lag" {
            while ctx.backlog_of(connection).map_err(fault)? <= ONE / 4 {
                ctx.write(connection, &[7; 64 << 10]).map_err(fault)?;
            }
            let _ = self.tell.send(Heard::Lags(connection));
            return Ok(());
        }
        if bytes == b"finish" {
            while ctx.write(connection, &[7; 1024]).is_ok() {}
            return ctx.shutdown_write(connection).map_err(fault);
        }
        if bytes == b"close" {
            while ctx.write(connection, &[7; 1024]).is_ok() {}
            return ctx.close(connection).map_err(fault);
        }
        // Twice: it is told once.
        for _ in 0..2 {
            let error = loop {
                if let Err(error) = ctx.write(connection, &[7; 1024]) {
                    break error;
                }
            };
            let _ = self.tell.send(Heard::Refused(connection, error));
        }
        Ok(())
    }

    fn on_drained(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
        // It may write, and ask, here.
        let waits = ctx.backlog_of(connection).map_err(fault)?;
        ctx.write(connection, b"!").map_err(fault)?;
        *self.drained.entry(connection).or_default() += 1;
        let _ = self.tell.send(Heard::Drained(connection, waits));
        Ok(())
    }

    fn on_close(&mut self, _: &Context, connection: ConnectionId, _: &Closed) -> Outcome {
        let _ = self.tell.send(Heard::Closed(connection));
        Ok(())
    }
}

struct Filled {
    set: PortSet,
    heard: Receiver<Heard>,
    _loop: EventLoop,
}

impl Filled {
    fn new(mode: Mode) -> Self {
        let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
        event_loop.start().unwrap();
        let mut options = match mode {
            Mode::Single => PortSetOptions::single(event_loop.handle()),
            _ => PortSetOptions::threads(),
        };
        options.buffer_bytes = BUFFER;
        let (tell, heard) = mpsc::channel();
        let making = Making::By(Box::new(|_| Ok(Box::new(Fills { tell, drained: HashMap::new() }))));
        let port = Port { name: "P".into(), bind: Bind::Tcp(local()), connect: None, making };
        let set = PortSet::new(options, vec![port]).unwrap();
        set.start().unwrap();
        Self { set, heard, _loop: event_loop }
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.set.addresses().unwrap()[0].1).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    fn next(&self) -> Heard {
        self.heard.recv_timeout(LONG).unwrap()
    }

    /// Of this connection, which is answered.
    fn refused(&self) -> (ConnectionId, String) {
        let Heard::Refused(one, error) = self.next() else { panic!("not refused") };
        let Heard::Refused(again, _) = self.next() else { panic!("not refused again") };
        assert_eq!(one, again);
        assert!(matches!(error, Error::QueueFull { .. }), "{error}");
        (one, error.to_string())
    }
}

fn read_until_mark(client: &mut TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = client.read(&mut buffer).unwrap();
        assert!(read > 0, "the end came first");
        if buffer[..read].contains(&b'!') {
            return;
        }
    }
}

#[test]
fn one_that_was_refused_is_told_once_when_its_peer_has_read() {
    for mode in MODES {
        let filled = Filled::new(mode);
        let mut client = filled.client();
        for _ in 0..3 {
            client.write_all(b"fill").unwrap();
            let (connection, error) = filled.refused();
            assert!(error.contains("one connection"), "{error}");
            read_until_mark(&mut client);
            let Heard::Drained(drained, waits) = filled.next() else { panic!("not drained") };
            assert!(drained == connection && waits <= ONE / 4, "{waits}");
            assert!(filled.heard.try_recv().is_err(), "once");
        }
    }
}

#[test]
fn one_that_only_lagged_is_told_too_and_one_that_did_not_is_not() {
    for mode in MODES {
        let filled = Filled::new(mode);
        let (mut slow, mut quick) = (filled.client(), filled.client());
        slow.write_all(b"lag").unwrap();
        let Heard::Lags(connection) = filled.next() else { panic!("does not lag") };
        quick.write_all(b"say").unwrap();
        quick.read_exact(&mut [0; 1000]).unwrap();
        read_until_mark(&mut slow);
        assert!(matches!(filled.next(), Heard::Drained(drained, waits) if drained == connection && waits <= ONE / 4));
        drop((slow, quick));
        let mut closed = vec![filled.next(), filled.next()];
        closed.sort_by_key(|heard| format!("{heard:?}"));
        assert!(closed.iter().all(|heard| matches!(heard, Heard::Closed(_))), "{closed:?}");
    }
}

#[test]
fn one_that_was_refused_because_of_the_others_is_told_when_they_have_room() {
    for mode in MODES {
        let filled = Filled::new(mode);
        // As many as fill all: an eighth each.
        let mut full = Vec::new();
        let (starved, error) = loop {
            assert!(full.len() < 16);
            let mut client = filled.client();
            client.write_all(b"fill").unwrap();
            let (connection, error) = filled.refused();
            full.push(client);
            if error.contains("all connections") {
                break (connection, error);
            }
        };
        assert!(error.contains(&BUFFER.to_string()), "{error}");
        // The one of interest has nothing of its own in the way.
        let mut empty = filled.client();
        empty.write_all(b"fill").unwrap();
        let (connection, error) = filled.refused();
        assert!(connection != starved && error.contains("all connections"), "{error}");
        // The others go, unread.
        drop(full);
        let mut closed = 0;
        loop {
            match filled.next() {
                Heard::Closed(other) => closed += usize::from(other != connection),
                Heard::Drained(drained, waits) if drained == connection => break assert_eq!(waits, 0),
                Heard::Drained(..) => {}
                other => panic!("nobody writes: {other:?}"),
            }
        }
        assert!(closed > 0);
        read_until_mark(&mut empty);
    }
}

#[test]
fn what_is_written_to_no_more_is_told_nothing() {
    for mode in MODES {
        for word in [&b"finish"[..], b"close"] {
            let filled = Filled::new(mode);
            let mut client = filled.client();
            client.write_all(word).unwrap();
            assert!(rest(&mut client).iter().all(|byte| *byte == 7));
            drop(client);
            assert!(matches!(filled.next(), Heard::Closed(_)));
            filled.set.stop(Some(LONG)).unwrap();
            assert!(filled.heard.try_recv().is_err());
        }
        // Nor is one that the port ends with.
        let filled = Filled::new(mode);
        let mut client = filled.client();
        client.write_all(b"fill").unwrap();
        filled.refused();
        filled.set.stop(Some(LONG)).unwrap();
        assert!(matches!(filled.next(), Heard::Closed(_)));
        rest(&mut client);
        assert!(filled.heard.try_recv().is_err());
    }
}
