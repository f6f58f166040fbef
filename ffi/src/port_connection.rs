//! Connections of a port: what a handler may do with them, and why one is no more.

use std::ffi::c_void;

use coop_core::port::{Closed, ConnectionId};

use crate::{
    address::coop_address,
    guard::guard,
    handle::{borrow, wanted},
    options::array,
    port_context::coop_port_context,
    status::coop_status,
};

/// A connection of a port. 0 is none; after on_close it is stale.
pub type coop_connection_id = u64;

/// The handler has closed the connection: coop_port_context_close.
pub const COOP_CLOSED_ASKED: i32 = 0;
/// The peer had ended its side, and the handler, or the port where it has no on_end, then closed the connection.
pub const COOP_CLOSED_ENDED: i32 = 1;
/// The handler has aborted the connection: coop_port_context_abort.
pub const COOP_CLOSED_ABORTED: i32 = 2;
/// A function of the handler answered another status than COOP_OK for the connection.
pub const COOP_CLOSED_FAULT: i32 = 3;
/// The port ends. What is written now is still sent as far as the system takes it.
pub const COOP_CLOSED_STOPPED: i32 = 4;
/// The connection was reset, or has failed otherwise: on_close has the error.
pub const COOP_CLOSED_LOST: i32 = 5;

pub(crate) const fn why(closed: &Closed) -> i32 {
    match closed {
        Closed::Asked => COOP_CLOSED_ASKED,
        Closed::Ended => COOP_CLOSED_ENDED,
        Closed::Aborted => COOP_CLOSED_ABORTED,
        Closed::Fault => COOP_CLOSED_FAULT,
        Closed::Stopped => COOP_CLOSED_STOPPED,
        Closed::Lost(_) => COOP_CLOSED_LOST,
    }
}

/// Sends bytes to a connection. What a handler's function writes leaves at the latest when it returns; what the peer does not take yet waits, in
/// order, without holding anybody up.
///
/// connection: which. data, length: copied, all or nothing; NULL if there are none.
///
/// Any thread until the handler's drop. COOP_E_QUEUE_FULL if the peer does not keep up, and as many bytes wait as the set may buffer, or an
/// eighth of that for this connection: coop_port_context_backlog_of says how many do. COOP_E_INVALID for more bytes than that eighth. COOP_E_CLOSED if it is being closed, or its writing was
/// ended; COOP_E_STALE, also for a port of datagrams; COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_write(
    context: *mut coop_port_context,
    connection: coop_connection_id,
    data: *const c_void,
    length: usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let object = unsafe { borrow(context, "context") }?;
        // SAFETY: as many bytes as told.
        let data = unsafe { array(data.cast::<u8>(), length, "data") }?;
        object.context.write(ConnectionId(connection), data)
    })
}

/// How many bytes written to a connection the system has not taken yet: a measure for going slower. out: set to it. Any thread until the
/// handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_backlog_of(
    context: *const coop_port_context,
    connection: coop_connection_id,
    out: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let object = unsafe { borrow(context, "context") }?;
        wanted(out, "out")?;
        let waits = object.context.backlog_of(ConnectionId(connection))?;
        // SAFETY: `out` is there, and is a place for a number.
        unsafe { out.write(waits) };
        Ok(())
    })
}

/// Closes a connection, when what was written to it is sent: on_close comes then, in another turn of the loop. Nothing more is read.
///
/// Any thread until the handler's drop; again is fine until on_close. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_close(
    context: *mut coop_port_context,
    connection: coop_connection_id,
) -> coop_status {
    // SAFETY: a context whose handler was not dropped yet.
    guard!(unsafe { borrow(context, "context") }?.context.close(ConnectionId(connection)))
}

/// Closes a connection at once, with a reset where there is such a thing; what waits to be sent is dropped. on_close comes in another turn of
/// the loop.
///
/// Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_abort(
    context: *mut coop_port_context,
    connection: coop_connection_id,
) -> coop_status {
    // SAFETY: a context whose handler was not dropped yet.
    guard!(unsafe { borrow(context, "context") }?.context.abort(ConnectionId(connection)))
}

/// Ends the writing to a connection: its peer reads to the end of what was written. What it sends is still heard. A connection that both
/// sides have ended is closed.
///
/// Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_shutdown_write(
    context: *mut coop_port_context,
    connection: coop_connection_id,
) -> coop_status {
    // SAFETY: a context whose handler was not dropped yet.
    guard!(unsafe { borrow(context, "context") }?.context.shutdown_write(ConnectionId(connection)))
}

/// Reads nothing more from a connection, so that its peer has to wait, until coop_port_context_resume. Meanwhile a peer that goes is noticed only
/// by a write.
///
/// Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_pause(
    context: *mut coop_port_context,
    connection: coop_connection_id,
) -> coop_status {
    // SAFETY: a context whose handler was not dropped yet.
    guard!(unsafe { borrow(context, "context") }?.context.pause(ConnectionId(connection)))
}

/// Reads again after coop_port_context_pause.
///
/// Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_resume(
    context: *mut coop_port_context,
    connection: coop_connection_id,
) -> coop_status {
    // SAFETY: a context whose handler was not dropped yet.
    guard!(unsafe { borrow(context, "context") }?.context.resume(ConnectionId(connection)))
}

/// Where the other end of a connection is. out: set to its address; to no address (length 0) for a Unix socket. Any thread until the handler's
/// drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_peer(
    context: *const coop_port_context,
    connection: coop_connection_id,
    out: *mut coop_address,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let object = unsafe { borrow(context, "context") }?;
        wanted(out, "out")?;
        let peer = object.context.peer(ConnectionId(connection))?;
        // SAFETY: `out` is there, and is a place for an address.
        unsafe { out.write(coop_address::maybe(peer.as_ip().as_ref())) };
        Ok(())
    })
}

/// How many connections are open. out: set to it; 0 for a port of datagrams. Any thread until the handler's drop. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_connections(
    context: *const coop_port_context,
    out: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let open = unsafe { borrow(context, "context") }?.context.connections();
        wanted(out, "out")?;
        // SAFETY: `out` is there, and is a place for a number.
        unsafe { out.write(open) };
        Ok(())
    })
}
