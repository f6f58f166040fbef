//! `coop_port_context`: what a handler of a port may do.

use std::ffi::{c_char, c_void};

use coop_core::{
    Result,
    event_loop::TimerId,
    port::{Bytes, Context, Message},
};

use crate::{
    address::coop_address,
    guard::{guard, guard_tell},
    handle::{borrow, null, wanted},
    options::{self, array},
    port_place::{self, copy_out},
    status::coop_status,
    timer::coop_timer_id,
    udp::coop_datagram,
};

/// A handler's way to its port, from any thread until the handler's drop is called.
#[derive(Debug)]
pub struct coop_port_context {
    pub(crate) context: Context,
}

/// Sends datagrams. What a handler's function sends leaves in batches, at the latest when it returns.
///
/// datagrams, count: copied; one without an address goes to the connected peer. sent: set to how many of the array were
/// taken, also when one was refused; may be NULL.
///
/// Any thread until the handler's drop. COOP_E_QUEUE_FULL if the kernel does not keep up and as many bytes wait as the set
/// may hold, COOP_E_INVALID for a datagram that is too long or goes nowhere, COOP_E_CLOSED, COOP_E_FORKED, COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_send(
    context: *mut coop_port_context,
    datagrams: *const coop_datagram,
    count: usize,
    sent: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let object = unsafe { borrow(context, "context") }?;
        // SAFETY: as many as counted.
        let datagrams = unsafe { array(datagrams, count, "datagrams") }?;
        let (mut taken, mut flush) = (0, false);
        let answer = datagrams.iter().try_for_each(|datagram| {
            // SAFETY: its data is as long as it says.
            let data = unsafe { array(datagram.data.cast::<u8>(), datagram.length, "datagram.data") }?;
            let segment = (datagram.segment_size > 0).then_some(datagram.segment_size as usize);
            let (_, now) = object.context.enqueue(data, datagram.address.read()?, segment)?;
            taken += 1;
            flush |= now;
            Ok(())
        });
        if flush {
            object.context.flush();
        }
        if !sent.is_null() {
            // SAFETY: a place for a number.
            unsafe { sent.write(taken) };
        }
        answer
    })
}

/// Sends a message to another port of the set: on_message there, in the order of sending.
///
/// port, port_length: which port, UTF-8. data, length: copied; NULL if there are none. A handler in Python is given bytes.
///
/// Any thread until the handler's drop. COOP_E_QUEUE_FULL while that port does not keep up, and as many messages of this one wait there as the set's
/// ring_bytes let; COOP_E_INVALID for a message that is longer than that, and for a name that is no port of the set; COOP_E_CLOSED if that port has
/// ended, COOP_E_FORKED, COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_send_message(
    context: *mut coop_port_context,
    port: *const c_char,
    port_length: usize,
    data: *const c_void,
    length: usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet; it may be once the message is sent.
        let context = unsafe { borrow(context, "context") }?.context.clone();
        // SAFETY: both are as long as told.
        let (port, message) = unsafe { message(port, port_length, data, length) }?;
        Ok(context.send(&port, message)?)
    })
}

/// A message as C gives it: the port that it is for, and a copy of its bytes.
///
/// # Safety
/// Both are readable for as long as told.
pub(crate) unsafe fn message(
    port: *const c_char,
    port_length: usize,
    data: *const c_void,
    length: usize,
) -> Result<(String, Message)> {
    if port.is_null() {
        return Err(null("port"));
    }
    // SAFETY: the caller's promise.
    let port = unsafe { options::text(port, port_length, "port") }?.unwrap_or_default();
    // SAFETY: the caller's promise.
    let bytes = unsafe { array(data.cast::<u8>(), length, "data") }?;
    Ok((port, Box::new(Bytes(bytes.to_vec()))))
}

/// The port's name: name is set to the library's text, UTF-8 without a NUL at its end, valid until the handler's drop, and length
/// to its bytes. Any thread until the handler's drop. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_name(
    context: *const coop_port_context,
    name: *mut *const c_char,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let text = unsafe { borrow(context, "context") }?.context.name();
        wanted(name, "name")?;
        wanted(length, "length")?;
        // SAFETY: `name` is there, and is a place for a pointer.
        unsafe { name.write(text.as_ptr().cast()) };
        // SAFETY: `length` is there, and is a place for a number.
        unsafe { length.write(text.len()) };
        Ok(())
    })
}

/// The address that the port's socket is bound to. out: set to it. Any thread until the handler's drop. COOP_E_NULL, COOP_E_UNSUPPORTED for a
/// Unix socket, which has a path: coop_port_context_path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_address(
    context: *const coop_port_context,
    out: *mut coop_address,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let context = &unsafe { borrow(context, "context") }?.context;
        wanted(out, "out")?;
        let address = port_place::ip(context.name(), context.address())?;
        // SAFETY: `out` is there, and is a place for an address.
        unsafe { out.write(coop_address::of(&address)) };
        Ok(())
    })
}

/// How many datagrams wait that the kernel has not taken yet: a measure for going slower. out: set to it. Any thread until the
/// handler's drop. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_backlog(context: *const coop_port_context, out: *mut usize) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let backlog = unsafe { borrow(context, "context") }?.context.backlog();
        wanted(out, "out")?;
        // SAFETY: `out` is there, and is a place for a number.
        unsafe { out.write(backlog) };
        Ok(())
    })
}

/// Calls on_timer after after_ns, once, or again after every every_ns if that is not 0.
///
/// out: set to the timer's id. Any thread until the handler's drop. COOP_E_NULL, COOP_E_INVALID for a negative time,
/// COOP_E_CLOSED, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_set_timer(
    context: *mut coop_port_context,
    after_ns: i64,
    every_ns: i64,
    out: *mut coop_timer_id,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let object = unsafe { borrow(context, "context") }?;
        wanted(out, "out")?;
        let after = options::duration(after_ns, "after_ns")?;
        let every = options::duration(every_ns, "every_ns")?;
        let timer = object.context.set_timer(after, (!every.is_zero()).then_some(every))?;
        // SAFETY: `out` is there, and is a place for an id.
        unsafe { out.write(timer.0) };
        Ok(())
    })
}

/// Ends a timer of coop_port_context_set_timer.
///
/// Any thread until the handler's drop. COOP_E_NULL, COOP_E_STALE if it has ended already, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_cancel_timer(
    context: *mut coop_port_context,
    timer: coop_timer_id,
) -> coop_status {
    // SAFETY: a context whose handler was not dropped yet.
    guard!(unsafe { borrow(context, "context") }?.context.cancel_timer(TimerId(timer)))
}

/// Which worker of its port this is, from 1: in mode PROCESS each start of its process counts. out: set to it. Any thread until the handler's
/// drop. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_run(context: *const coop_port_context, out: *mut u64) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let run = unsafe { borrow(context, "context") }?.context.run();
        wanted(out, "out")?;
        // SAFETY: `out` is there, and is a place for a number.
        unsafe { out.write(run) };
        Ok(())
    })
}

/// Saves the handler's state, in the place of what was saved before. In mode PROCESS the port's next worker finds it, whatever this one ends
/// by; a save that is cut short leaves the one before.
///
/// data, length: copied; NULL if there are none.
///
/// Any thread until the handler's drop. COOP_E_INVALID for more than the set's saved_bytes, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_save(
    context: *mut coop_port_context,
    data: *const c_void,
    length: usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let object = unsafe { borrow(context, "context") }?;
        // SAFETY: as many bytes as told.
        object.context.save(unsafe { array(data.cast::<u8>(), length, "data") }?)
    })
}

/// What was saved last.
///
/// buffer, capacity: where its first bytes are copied to; NULL if none are wanted. length: set to how many bytes were saved, which may be more than
/// capacity; 0 if none were.
///
/// Any thread until the handler's drop. COOP_E_INVALID if the memory between the workers was damaged, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_saved(
    context: *const coop_port_context,
    buffer: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let object = unsafe { borrow(context, "context") }?;
        wanted(length, "length")?;
        let saved = object.context.saved()?.unwrap_or_default();
        // SAFETY: there is room for as much as told, and a place for a number.
        unsafe { copy_out(&saved, buffer, capacity, length) }
    })
}

/// Asks the whole set to stop, and returns at once. Any thread until the handler's drop. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_stop(context: *mut coop_port_context) -> coop_status {
    guard_tell!({
        // SAFETY: a context whose handler was not dropped yet; it may be while the set ends.
        let context = unsafe { borrow(context, "context") }?.context.clone();
        context.stop();
        Ok(())
    })
}
