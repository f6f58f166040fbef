//! The ports of a set that are of this process, on its main loop or on threads of their own.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{
    Mode, Port, PortSetOptions,
    bind::Socket,
    counters::Counters,
    handler::Build,
    members::Members,
    saved::Saved,
    worker::{Loops, Parts, Worker},
};
use crate::{
    error::{Error, Result},
    event_loop::{EventLoop, EventLoopOptions, Handle},
};

/// A port's socket; an error of it says whose it is.
pub(super) fn bind(port: &mut Port) -> Result<Socket> {
    port.bind.socket(port.connect).map_err(|error| named(&port.name, error))
}

fn named(port: &str, error: Error) -> Error {
    match error {
        Error::Os { context, errno } => Error::Os { context: format!("port {port}: {context}"), errno },
        other => other,
    }
}

/// Binds every socket, and makes the workers. Nothing runs yet.
pub(super) fn make(options: &PortSetOptions, ports: &mut [Port]) -> Result<Arc<Members>> {
    let mut parts = Vec::new();
    for port in ports {
        let socket = bind(port)?;
        let (handle, loops) = loops_for(options, &port.name, &socket).map_err(|error| named(&port.name, error))?;
        parts.push(Parts {
            name: port.name.clone(),
            mode: options.mode,
            socket,
            connected: port.connect.is_some(),
            handle,
            loops,
            buffer_bytes: options.buffer_bytes,
            connections: options.connections,
            message_bytes: options.message_bytes,
            counters: Counters::default(),
            saved: Saved::in_memory(options.saved_bytes),
            run: 1,
        });
    }
    let mut failed = None;
    let members = Arc::new_cyclic(|members| {
        let workers = parts.into_iter().filter_map(|parts| {
            Worker::new(parts, members.clone()).map(Arc::new).map_err(|error| failed = Some(error)).ok()
        });
        Members::new(workers.collect(), None)
    });
    match failed {
        None => Ok(members),
        Some(error) => Err(error),
    }
}

/// Has every worker begin.
pub(super) fn begin(members: &Arc<Members>, builds: Vec<Build>) {
    for (worker, build) in members.workers.iter().zip(builds) {
        members.begin(worker, build);
    }
}

/// The loop of a port's handler; in THREAD mode it runs on a new thread, and a second one receives datagrams.
fn loops_for(options: &PortSetOptions, name: &str, socket: &Socket) -> Result<(Handle, Loops)> {
    if let (Mode::Single, Some(event_loop)) = (options.mode, &options.event_loop) {
        return Ok((event_loop.clone(), Loops::default()));
    }
    let own = EventLoop::new(EventLoopOptions { name: format!("port-{name}") })?;
    own.start()?;
    let receiving = receiving(name, socket)?;
    Ok((own.handle(), Loops { own: Some(own), receiving }))
}

/// The loop that only receives, on a thread of its own. Connections need none: what is not read of them waits in the system.
pub(super) fn receiving(name: &str, socket: &Socket) -> Result<Option<EventLoop>> {
    if let Socket::Listening(_) = socket {
        return Ok(None);
    }
    let receiving = EventLoop::new(EventLoopOptions { name: format!("recv-{name}") })?;
    receiving.start()?;
    Ok(Some(receiving))
}
