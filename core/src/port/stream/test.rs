//! What the tests of connections share: a handler that obeys words, in the modes of this process.

mod drained;
mod ends;
mod places;
mod served;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use super::{Closed, ConnectionId};
use crate::{
    error::Error,
    event_loop::{EventLoop, EventLoopOptions, stream::Address},
    port::{Bind, Context, Fault, Handler, Making, Mode, Outcome, Port, PortSet, PortSetOptions, PortStats},
};

const LONG: Duration = Duration::from_secs(60);
const MODES: [Mode; 2] = [Mode::Single, Mode::Thread];

/// What a test's handler tells.
#[derive(Debug, PartialEq)]
enum Told {
    Connected(Address),
    Closed(&'static str),
    Full(usize),
}

/// Echoes; some words are orders, when they come alone.
struct Echo {
    tell: Sender<Told>,
}

fn fault(error: Error) -> Fault {
    Fault::new(error.to_string())
}

impl Handler for Echo {
    fn on_connect(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
        let _ = self.tell.send(Told::Connected(ctx.peer(connection).map_err(fault)?));
        Ok(())
    }

    fn on_data(&mut self, ctx: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        match bytes {
            b"fault" => return Err(Fault::new("on purpose")),
            b"panic" => panic!("on purpose"),
            b"close" => {
                ctx.write(connection, b"bye").map_err(fault)?;
                ctx.close(connection).map_err(fault)?;
                assert!(matches!(ctx.write(connection, b"x"), Err(Error::Closed(_))));
            }
            b"abort" => ctx.abort(connection).map_err(fault)?,
            b"half" => {
                ctx.write(connection, b"half").map_err(fault)?;
                ctx.shutdown_write(connection).map_err(fault)?;
                assert!(matches!(ctx.write(connection, b"x"), Err(Error::Closed(_))));
            }
            b"pause" => {
                ctx.pause(connection).map_err(fault)?;
                ctx.write(connection, b"paused").map_err(fault)?;
                ctx.set_timer(Duration::from_millis(50), None).map_err(fault)?;
                ctx.save(&connection.0.to_le_bytes()).map_err(fault)?;
            }
            b"flood" => {
                let error = ctx.write(connection, &vec![7; (1 << 20) + 1]).unwrap_err();
                assert!(error.to_string().starts_with("a write of 1048577 bytes: at most 1048576 may wait"), "{error}");
                let error = loop {
                    if let Err(error) = ctx.write(connection, &[7; 1024]) {
                        break error;
                    }
                };
                assert!(matches!(error, Error::QueueFull { .. }), "{error}");
                let _ = self.tell.send(Told::Full(ctx.backlog_of(connection).map_err(fault)?));
            }
            b"stop" => ctx.stop(),
            _ => ctx.write(connection, bytes).map_err(fault)?,
        }
        Ok(())
    }

    fn on_timer(&mut self, ctx: &Context, _: crate::event_loop::TimerId) -> Outcome {
        let id = ctx.saved().map_err(fault)?.unwrap_or_default();
        let connection = ConnectionId(u64::from_le_bytes(id.try_into().unwrap_or_default()));
        ctx.write(connection, b"resumed ").map_err(fault)?;
        ctx.resume(connection).map_err(fault)
    }

    fn on_close(&mut self, ctx: &Context, connection: ConnectionId, why: &Closed) -> Outcome {
        match why {
            Closed::Stopped => ctx.write(connection, b"stopped").map_err(fault)?,
            _ => assert!(matches!(ctx.write(connection, b"x"), Err(Error::Closed(_)))),
        }
        let _ = self.tell.send(Told::Closed(why.name()));
        Ok(())
    }
}

struct Fixture {
    set: PortSet,
    told: Receiver<Told>,
    _loop: EventLoop,
}

fn fixture_of(mode: Mode, bind: Bind, change: impl FnOnce(&mut PortSetOptions)) -> Fixture {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let mut options = match mode {
        Mode::Single => PortSetOptions::single(event_loop.handle()),
        _ => PortSetOptions::threads(),
    };
    change(&mut options);
    let (tell, told) = mpsc::channel();
    let making = Making::By(Box::new(|_| Ok(Box::new(Echo { tell }))));
    let set = PortSet::new(options, vec![Port { name: "ECHO".into(), bind, connect: None, making }]).unwrap();
    set.start().unwrap();
    Fixture { set, told, _loop: event_loop }
}

fn fixture(mode: Mode) -> Fixture {
    fixture_of(mode, Bind::Tcp(local()), |_| {})
}

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

impl Fixture {
    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.set.addresses().unwrap()[0].1).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    fn stats(&self) -> PortStats {
        self.set.stats().unwrap()[0].1
    }

    fn eventually(&self, what: &str, holds: impl Fn(PortStats) -> bool) {
        let until = Instant::now() + LONG;
        while !holds(self.stats()) {
            assert!(Instant::now() < until, "{what}: {:?}", self.stats());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Why the next connection was closed.
    fn why(&self) -> &'static str {
        loop {
            if let Told::Closed(why) = self.told.recv_timeout(LONG).unwrap() {
                return why;
            }
        }
    }
}

fn ask(client: &mut (impl Read + Write), text: &[u8]) -> Vec<u8> {
    client.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    answer
}

fn rest(client: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    rest
}
