//! `coop_port_handler`: a port's handler that is a table of C functions.

use std::{
    ffi::{c_char, c_void},
    ptr,
};

use coop_core::{
    Result,
    event_loop::TimerId,
    port::{Batch, Build, Bytes, Context, Fault, Handler, Message, Outcome},
};

use crate::{
    address::coop_address,
    foreign::{DropArg, Foreign},
    handle::null,
    options::{self, Options},
    port_context::coop_port_context,
    status::{COOP_OK, coop_status},
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
    /// Datagrams have come: all since the last call, in their order. Must not be NULL. They are the library's, and lie where
    /// they are until this returns.
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
}

// SAFETY: eight words (tests/c/layout.c); NULL is None, and the caller gives functions or NULL.
unsafe impl Options for coop_port_handler {
    const NAME: &'static str = "coop_port_handler";
    const FIRST: usize = 7 * size_of::<usize>();
}

/// A handler whose functions were checked; its argument is still C's.
pub(crate) struct Checked {
    functions: Functions,
    arg: *mut c_void,
    drop: Option<DropArg>,
}

impl Checked {
    /// # Safety
    /// `handler` is NULL or as long as it says.
    pub(crate) unsafe fn read(handler: *const coop_port_handler) -> Result<Self> {
        if handler.is_null() {
            return Err(null("coop_port.handler"));
        }
        // SAFETY: the caller's promise.
        Self::of(unsafe { options::read(handler) }?)
    }

    pub(crate) fn of(read: coop_port_handler) -> Result<Self> {
        let coop_port_handler { on_start, on_batch, on_timer, on_stop, on_message, arg, drop, .. } = read;
        let on_batch = on_batch.ok_or_else(|| null("coop_port_handler.on_batch"))?;
        Ok(Self { functions: Functions { on_start, on_batch, on_timer, on_stop, on_message }, arg, drop })
    }

    /// From here on the argument is owned: by the build, and then by the handler that it makes.
    pub(crate) fn own(self) -> Build {
        let owned = Foreign::own(self.functions, self.arg, self.drop);
        Box::new(move |context| {
            let context = Lent(Box::into_raw(Box::new(coop_port_context { context: context.clone() })));
            Ok(Box::new(Table { owned, context, datagrams: Vec::new() }) as Box<dyn Handler>)
        })
    }
}

type OnStart = unsafe extern "C" fn(*mut c_void, *mut coop_port_context) -> coop_status;
type OnBatch = unsafe extern "C" fn(*mut c_void, *mut coop_port_context, *const coop_datagram, usize);
type OnTimer = unsafe extern "C" fn(*mut c_void, *mut coop_port_context, coop_timer_id);
type OnStop = unsafe extern "C" fn(*mut c_void, *mut coop_port_context);
type OnMessage = unsafe extern "C" fn(*mut c_void, *mut coop_port_context, *const c_char, usize, *const c_void, usize);

#[derive(Clone, Copy)]
struct Functions {
    on_start: Option<OnStart>,
    on_batch: OnBatch,
    on_timer: Option<OnTimer>,
    on_stop: Option<OnStop>,
    on_message: Option<OnMessage>,
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
        let Some(on_start) = self.owned.run.on_start else { return Ok(()) };
        let _inside = Inside::after_others(self.owned.arg);
        // SAFETY: C gave the function for this argument; the context lives until the argument is dropped.
        match unsafe { on_start(self.owned.arg, self.context.0) } {
            COOP_OK => Ok(()),
            status => Err(Fault::new(format!("on_start answered {status}"))),
        }
    }

    fn on_batch(&mut self, _: &Context, batch: &mut Batch) -> Outcome {
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
        unsafe { (self.owned.run.on_batch)(self.owned.arg, self.context.0, datagrams, count) };
        self.datagrams.clear();
        Ok(())
    }

    fn on_message(&mut self, _: &Context, sender: &str, message: Message) -> Outcome {
        let Some(on_message) = self.owned.run.on_message else { return Ok(()) };
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
        if let Some(on_timer) = self.owned.run.on_timer {
            let _inside = Inside::after_others(self.owned.arg);
            // SAFETY: as in `on_start`.
            unsafe { on_timer(self.owned.arg, self.context.0, timer.0) };
        }
        Ok(())
    }

    fn on_stop(&mut self, _: &Context) -> Outcome {
        if let Some(on_stop) = self.owned.run.on_stop {
            let _inside = Inside::after_others(self.owned.arg);
            // SAFETY: as in `on_start`.
            unsafe { on_stop(self.owned.arg, self.context.0) };
        }
        Ok(())
    }
}
