//! Ends that come together, each told once.

use super::{super::Table, *};

#[test]
fn what_one_that_is_gone_has_taken_is_not_counted_as_waiting() {
    /// Says more than the system takes at once, to one that has gone already.
    struct Talks {
        tell: Sender<(usize, &'static str)>,
    }
    impl Handler for Talks {
        fn on_end(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
            // The first of it is answered with a reset, which what comes next finds.
            ctx.write(connection, &[7; 6 << 20]).map_err(fault)
        }
        fn on_close(&mut self, ctx: &Context, _: ConnectionId, why: &Closed) -> Outcome {
            let waits = ctx.worker.connections.as_ref().map_or(0, Table::waits);
            let _ = self.tell.send((waits, why.name()));
            Ok(())
        }
    }
    let (tell, told) = mpsc::channel();
    let making = Making::By(Box::new(|_| Ok(Box::new(Talks { tell }))));
    let port = Port { name: "P".into(), bind: Bind::Tcp(local()), connect: None, making };
    let set = PortSet::new(PortSetOptions::threads(), vec![port]).unwrap();
    set.start().unwrap();
    for _ in 0..20 {
        drop(TcpStream::connect(set.addresses().unwrap()[0].1).unwrap());
        assert_eq!(told.recv_timeout(LONG).unwrap(), (0, "lost"));
    }
}

#[test]
fn one_end_is_told_once_though_the_port_ends_in_it() {
    struct Stops {
        event_loop: crate::event_loop::Handle,
        tell: Sender<&'static str>,
    }
    impl Handler for Stops {
        fn on_close(&mut self, ctx: &Context, _: ConnectionId, why: &Closed) -> Outcome {
            let _ = self.tell.send(why.name());
            // No post is taken any more: the port ends when this returns.
            self.event_loop.stop().map_err(fault)?;
            ctx.stop();
            Ok(())
        }
    }
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let (tell, told) = mpsc::channel();
    let handle = event_loop.handle();
    let making = Making::By(Box::new(|_| Ok(Box::new(Stops { event_loop: handle, tell }))));
    let port = Port { name: "P".into(), bind: Bind::Tcp(local()), connect: None, making };
    let set = PortSet::new(PortSetOptions::single(event_loop.handle()), vec![port]).unwrap();
    set.start().unwrap();
    drop(TcpStream::connect(set.addresses().unwrap()[0].1).unwrap());
    set.join(Some(LONG)).unwrap();
    assert_eq!(told.iter().collect::<Vec<_>>(), ["ended"]);
}

#[test]
fn what_both_sides_have_ended_is_over() {
    /// Ends its side when the other has, and leaves it at that.
    struct Ends {
        tell: Sender<&'static str>,
    }
    impl Handler for Ends {
        fn on_connect(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
            ctx.write(connection, b"all").map_err(fault)
        }
        fn on_end(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
            ctx.shutdown_write(connection).map_err(fault)
        }
        fn on_close(&mut self, _: &Context, _: ConnectionId, why: &Closed) -> Outcome {
            let _ = self.tell.send(why.name());
            Ok(())
        }
    }
    let (tell, told) = mpsc::channel();
    let making = Making::By(Box::new(|_| Ok(Box::new(Ends { tell }))));
    let port = Port { name: "P".into(), bind: Bind::Tcp(local()), connect: None, making };
    let set = PortSet::new(PortSetOptions::threads(), vec![port]).unwrap();
    set.start().unwrap();
    let mut client = TcpStream::connect(set.addresses().unwrap()[0].1).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), b"all");
    assert_eq!(told.recv_timeout(LONG).unwrap(), "ended");
}
