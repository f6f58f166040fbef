//! `coop_port_handler`: a port's handler that is a table of C functions.

use std::{
    ffi::{CStr, c_char, c_void},
    ptr,
};

use coop_core::{
    Result,
    event_loop::TimerId,
    port::{Batch, Build, Bytes, Closed, ConnectionId, Context, Fault, Handler, Message, Outcome},
};

use crate::{
    address::coop_address,
    error::{coop_error, told},
    foreign::Foreign,
    handle::null,
    options::{self, Options},
    port_connection::{coop_connection_id, why},
    port_context::coop_port_context,
    status::{COOP_OK, coop_status, coop_status_str},
    timer::coop_timer_id,
    tsan::Inside,
    udp::{COOP_DATAGRAM_TRUNCATED, coop_datagram},
};

/// What a port runs. Its functions run on one thread, one at a time, the same in every mode; those that are NULL do
/// nothing. None may throw or longjmp out of the library.
///
/// Once coop_port_set_new answered COOP_OK the set owns arg: drop(arg) is called once, after on_stop, or instead of
/// all of them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_port_handler {
    /// sizeof(coop_port_handler).
    pub size: usize,
    /// Handed to every function; may be NULL.
    pub arg: *mut c_void,
    /// Before anything else. Another answer than COOP_OK fails the start of the whole set.
    pub on_start: Option<unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_port_context) -> coop_status>,
    /// Datagrams have come: all since the last call, in their order. Must not be NULL for a port of datagrams. They are the library's, and lie
    /// where they are until this returns.
    pub on_batch: Option<
        unsafe extern "C" fn(
            arg: *mut c_void,
            context: *mut coop_port_context,
            datagrams: *const coop_datagram,
            count: usize,
        ),
    >,
    /// A timer of coop_port_context_set_timer has come.
    pub on_timer: Option<unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_port_context, timer: coop_timer_id)>,
    /// After everything else, if on_start was well. What it sends is still sent.
    pub on_stop: Option<unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_port_context)>,
    /// Called once when arg is not needed any more, on any thread.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    /// A message has come: from another port of the set (coop_port_context_send_message), whose name sender is, or from outside
    /// it (coop_port_set_send_message), and then sender_length is 0. Both texts are the library's, without a NUL at their end,
    /// and lie where they are until this returns. NULL: messages are dropped.
    pub on_message: Option<
        unsafe extern "C" fn(
            arg: *mut c_void,
            context: *mut coop_port_context,
            sender: *const c_char,
            sender_length: usize,
            data: *const c_void,
            length: usize,
        ),
    >,
    /// Of a port that takes connections: a peer has connected. Another answer than COOP_OK closes the connection at once, and nothing more is
    /// told of it. NULL: each is welcome.
    pub on_connect: Option<
        unsafe extern "C" fn(
            arg: *mut c_void,
            context: *mut coop_port_context,
            connection: coop_connection_id,
        ) -> coop_status,
    >,
    /// Bytes have come from a connection, in their order; where they are cut means nothing. They are the library's, and lie where they are until
    /// this returns. Another answer than COOP_OK closes the connection. Must not be NULL for a port that takes connections.
    pub on_data: Option<
        unsafe extern "C" fn(
            arg: *mut c_void,
            context: *mut coop_port_context,
            connection: coop_connection_id,
            data: *const c_void,
            length: usize,
        ) -> coop_status,
    >,
    /// The peer sends nothing more, but may still read. Another answer than COOP_OK closes the connection. NULL: it is closed when all that was
    /// written is sent; with this function it stays open until coop_port_context_close.
    pub on_end: Option<
        unsafe extern "C" fn(
            arg: *mut c_void,
            context: *mut coop_port_context,
            connection: coop_connection_id,
        ) -> coop_status,
    >,
    /// A connection is no more, once for each whose on_connect was well; its id is stale from here on. why: one of COOP_CLOSED_*. error: beside
    /// COOP_CLOSED_LOST what happened, the library's, until this returns; else NULL.
    pub on_close: Option<
        unsafe extern "C" fn(
            arg: *mut c_void,
            context: *mut coop_port_context,
            connection: coop_connection_id,
            why: i32,
            error: *const coop_error,
        ),
    >,
    /// Another worker of the port is about to take over (coop_port_set_reload): what it is to find must be saved now, and messages to other ports
    /// sent; from here on both are COOP_E_CLOSED. Connections, timers and what is sent to peers go on, until on_stop. If the other one cannot start,
    /// this one has the port again.
    pub on_hand_over: Option<unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_port_context)>,
    /// A connection has room again: a write to it was COOP_E_QUEUE_FULL, or its peer had fallen behind by more than a quarter of what may wait for one
    /// connection (which is an eighth of buffer_bytes), and now no more than that waits. Once for each time; not of a connection that is written to no
    /// more, and never after on_close. Another answer than COOP_OK closes the connection. NULL: nobody is told.
    pub on_drained: Option<
        unsafe extern "C" fn(
            arg: *mut c_void,
            context: *mut coop_port_context,
            connection: coop_connection_id,
        ) -> coop_status,
    >,
}

// SAFETY: fourteen words (tests/c/layout.c); NULL is None, and the caller gives functions or NULL.
unsafe impl Options for coop_port_handler {
    const NAME: &'static str = "coop_port_handler";
    const FIRST: usize = 7 * size_of::<usize>();
}

/// A handler of C's, of whatever version, as this one knows it; its argument is still C's.
pub(crate) struct Given(pub(crate) coop_port_handler);

impl Given {
    /// # Safety
    /// `handler` is NULL or as long as it says.
    pub(crate) unsafe fn read(handler: *const coop_port_handler) -> Result<Self> {
        if handler.is_null() {
            return Err(null("coop_port.handler"));
        }
        // SAFETY: the caller's promise.
        Ok(Self(unsafe { options::read(handler) }?))
    }

    /// Whether it has what a port of this kind calls.
    pub(crate) fn check(&self, takes_connections: bool) -> Result<()> {
        missing(&self.0, takes_connections).map_or(Ok(()), |function| Err(null(function)))
    }

    /// From here on the argument is owned: by the build, and then by the handler that it makes.
    pub(crate) fn own(self) -> Build {
        let owned = Foreign::own(Functions(self.0), self.0.arg, self.0.drop);
        Box::new(move |context| {
            let listens = context.takes_connections();
            if let Some(function) = missing(&owned.run.0, listens) {
                let takes = if listens { "connections" } else { "datagrams" };
                return Err(Fault::new(format!("the port takes {takes}, and {function} is NULL")));
            }
            let context = Lent(Box::into_raw(Box::new(coop_port_context { context: context.clone() })));
            Ok(Box::new(Table { owned, context, datagrams: Vec::new() }) as Box<dyn Handler>)
        })
    }
}

/// The functions of an accepted handler; its argument is [`Foreign`]'s.
struct Functions(coop_port_handler);

// SAFETY: functions, and an argument that is not used from here.
unsafe impl Send for Functions {}

/// The function that such a port must have, and the handler has not.
fn missing(functions: &coop_port_handler, takes_connections: bool) -> Option<&'static str> {
    match takes_connections {
        true if functions.on_data.is_none() => Some("coop_port_handler.on_data"),
        false if functions.on_batch.is_none() => Some("coop_port_handler.on_batch"),
        _ => None,
    }
}

/// What a function answered of a connection.
fn answered(status: coop_status) -> Outcome {
    match status {
        COOP_OK => Ok(()),
        // SAFETY: a C string that lives for ever.
        status => Err(Fault::new(unsafe { CStr::from_ptr(coop_status_str(status)) }.to_string_lossy())),
    }
}

/// A context that C may use until the argument was dropped.
struct Lent(*mut coop_port_context);

// SAFETY: a context is used shared only, and what is in it may be from any thread.
unsafe impl Send for Lent {}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: boxed when it was lent, and freed here only.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A handler of C's.
struct Table {
    // In this order: drop(arg) may still use the context.
    owned: Foreign<Functions>,
    context: Lent,
    /// The batch as C sees it, kept for its memory; empty between two calls.
    datagrams: Vec<coop_datagram>,
}

// SAFETY: the argument and the context are; the datagrams' pointers are there only while `on_batch` runs.
unsafe impl Send for Table {}

impl Handler for Table {
    fn on_start(&mut self, _: &Context) -> Outcome {
        let Some(on_start) = self.owned.run.0.on_start else { return Ok(()) };
        let _inside = Inside::after_others(self.owned.arg);
        // SAFETY: C gave the function for this argument; the context lives until the argument is dropped.
        match unsafe { on_start(self.owned.arg, self.context.0) } {
            COOP_OK => Ok(()),
            status => Err(Fault::new(format!("on_start answered {status}"))),
        }
    }

    fn on_connect(&mut self, _: &Context, connection: ConnectionId) -> Outcome {
        let Some(on_connect) = self.owned.run.0.on_connect else { return Ok(()) };
        let _inside = Inside::after_others(self.owned.arg);
        // SAFETY: as in `on_start`.
        answered(unsafe { on_connect(self.owned.arg, self.context.0, connection.0) })
    }

    fn on_data(&mut self, _: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        let Some(on_data) = self.owned.run.0.on_data else { return Ok(()) };
        let (arg, context, data, length) = (self.owned.arg, self.context.0, bytes.as_ptr().cast(), bytes.len());
        let _inside = Inside::after_others(arg);
        // SAFETY: as in `on_start`; the bytes stay until this returns.
        answered(unsafe { on_data(arg, context, connection.0, data, length) })
    }

    fn on_drained(&mut self, _: &Context, connection: ConnectionId) -> Outcome {
        let Some(on_drained) = self.owned.run.0.on_drained else { return Ok(()) };
        let _inside = Inside::after_others(self.owned.arg);
        // SAFETY: as in `on_start`.
        answered(unsafe { on_drained(self.owned.arg, self.context.0, connection.0) })
    }

    fn on_end(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
        let Some(on_end) = self.owned.run.0.on_end else {
            let _ = ctx.close(connection);
            return Ok(());
        };
        let _inside = Inside::after_others(self.owned.arg);
        // SAFETY: as in `on_start`.
        answered(unsafe { on_end(self.owned.arg, self.context.0, connection.0) })
    }

    fn on_close(&mut self, _: &Context, connection: ConnectionId, closed: &Closed) -> Outcome {
        let Some(on_close) = self.owned.run.0.on_close else { return Ok(()) };
        let result = if let Closed::Lost(error) = closed { Err(error) } else { Ok(()) };
        let (arg, context, why) = (self.owned.arg, self.context.0, why(closed));
        told(result, |error| {
            let _inside = Inside::after_others(arg);
            // SAFETY: as in `on_start`; the error is there until this returns.
            unsafe { on_close(arg, context, connection.0, why, error) };
        });
        Ok(())
    }

    fn on_batch(&mut self, _: &Context, batch: &mut Batch) -> Outcome {
        let Some(on_batch) = self.owned.run.0.on_batch else { return Ok(()) };
        let mut sender = None;
        for index in 0..batch.len() {
            let (data, from) = batch.get(index);
            let address = match sender {
                Some((last, address)) if last == from => address,
                _ => coop_address::of(&from),
            };
            sender = Some((from, address));
            let flags = if batch.truncated(index) { COOP_DATAGRAM_TRUNCATED } else { 0 };
            let (data, length) = (ptr::from_ref(data).cast(), data.len());
            self.datagrams.push(coop_datagram { data, length, address, segment_size: 0, flags });
        }
        let (datagrams, count) = (self.datagrams.as_ptr(), self.datagrams.len());
        let _inside = Inside::after_others(self.owned.arg);
        // SAFETY: as in `on_start`; the batch holds the bytes until this returns.
        unsafe { on_batch(self.owned.arg, self.context.0, datagrams, count) };
        self.datagrams.clear();
        Ok(())
    }

    fn on_message(&mut self, _: &Context, sender: &str, message: Message) -> Outcome {
        let Some(on_message) = self.owned.run.0.on_message else { return Ok(()) };
        let Ok(bytes) = message.downcast::<Bytes>() else {
            return Err(Fault::new(format!("a message of {sender:?} that is no bytes")));
        };
        let (arg, context, data, length) = (self.owned.arg, self.context.0, bytes.0.as_ptr().cast(), bytes.0.len());
        let _inside = Inside::after_others(arg);
        // SAFETY: as in `on_start`; sender and bytes stay until this returns.
        unsafe { on_message(arg, context, sender.as_ptr().cast(), sender.len(), data, length) };
        Ok(())
    }

    fn on_timer(&mut self, _: &Context, timer: TimerId) -> Outcome {
        if let Some(on_timer) = self.owned.run.0.on_timer {
            let _inside = Inside::after_others(self.owned.arg);
            // SAFETY: as in `on_start`.
            unsafe { on_timer(self.owned.arg, self.context.0, timer.0) };
        }
        Ok(())
    }

    fn on_hand_over(&mut self, _: &Context) -> Outcome {
        if let Some(on_hand_over) = self.owned.run.0.on_hand_over {
            let _inside = Inside::after_others(self.owned.arg);
            // SAFETY: as in `on_start`.
            unsafe { on_hand_over(self.owned.arg, self.context.0) };
        }
        Ok(())
    }

    fn on_stop(&mut self, _: &Context) -> Outcome {
        if let Some(on_stop) = self.owned.run.0.on_stop {
            let _inside = Inside::after_others(self.owned.arg);
            // SAFETY: as in `on_start`.
            unsafe { on_stop(self.owned.arg, self.context.0) };
        }
        Ok(())
    }
}
