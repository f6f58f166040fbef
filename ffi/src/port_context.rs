//! `coop_port_context`: what a handler of a port may do.

use coop_core::{event_loop::TimerId, port::Context};

use crate::{
    guard::{guard, guard_tell},
    handle::{borrow, wanted},
    options::{self, array},
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
