//! `coop_dag_call`: one call of a node's function.

use std::{
    cell::{Cell, RefCell},
    ffi::{c_char, c_void},
    fmt,
};

use coop_core::{
    Error, Result,
    dag::{Answer, Call, Failure, Value},
};

use crate::{
    dag_order::Order,
    dag_value::{self, coop_dag_value},
    guard::{answer, guard, guard_tell},
    handle::{borrow, null, wanted},
    options,
    status::coop_status,
    tsan,
};

/// One call of the function of a node: the values that the node reads, in the order of its options, and a way to its run. It is there
/// until the function returns, and only for the thread that the function is called on.
pub struct coop_dag_call {
    /// The core's, whose lifetime C's promise stands for.
    call: *const Call<'static>,
    values: RefCell<Vec<Value>>,
    failed: Cell<Option<Failure>>,
}

impl fmt::Debug for coop_dag_call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coop_dag_call")
    }
}

impl coop_dag_call {
    fn over(call: &Call<'_>, values: Vec<Value>) -> Self {
        values.iter().for_each(|value| tsan::taken_over(dag_value::pointer(value)));
        let call = std::ptr::from_ref(call).cast::<Call<'static>>();
        Self { call, values: RefCell::new(values), failed: Cell::new(None) }
    }

    /// The call with all that the node reads, and what orders it.
    pub(crate) fn begin(call: &mut Call<'_>) -> (Self, Order) {
        let order = Order::begin(call);
        let values = std::iter::from_fn(|| call.next()).collect();
        (Self::over(call, values), order)
    }

    /// The call for a look at what the node reads.
    pub(crate) fn look(call: &Call<'_>) -> (Self, Order) {
        let order = Order::begin(call);
        let values = (0..call.reads()).filter_map(|index| call.peek(index)).collect();
        (Self::over(call, values), order)
    }

    /// The values, when the call is over.
    pub(crate) fn end(&self) -> Vec<Value> {
        let values = self.values.take();
        values.iter().for_each(|value| tsan::ran(dag_value::pointer(value)));
        values
    }

    /// What the function has answered. A failure that it told stands for its number.
    pub(crate) fn answer(&self, status: coop_status, value: coop_dag_value) -> Answer {
        match self.failed.take() {
            Some(failure) if status < 0 => Err(failure),
            _ => dag_value::answer(status, value),
        }
    }

    fn call(&self) -> &Call<'static> {
        // SAFETY: the core's call is there until the function returns, and so long C may use this.
        unsafe { &*self.call }
    }

    fn at(&self, index: usize) -> Result<Value> {
        let values = self.values.borrow();
        let Some(value) = values.get(index) else {
            let reads = values.len();
            return Err(Error::Invalid(format!(
                "index is {index}: node {:?} reads {reads} values",
                self.call().name()
            )));
        };
        if value.is_absent() {
            return Err(Error::Cancelled("node that is read"));
        }
        Ok(value.clone())
    }
}

/// How many values the node reads. 0 for NULL.
///
/// The thread of the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_reads(call: *const coop_dag_call) -> usize {
    // SAFETY: NULL, or what the function was given and has not returned from.
    answer(0, || Ok(unsafe { borrow(call, "call") }?.values.borrow().len()))
}

/// Looks at one of the values that the node reads.
///
/// index: from 0, in the order of coop_dag_node_options.reads. value: set to the value, which other nodes may read at the same time; it is
/// there until the function returns, and in an I/O node until its completer is used.
///
/// The thread of the call. COOP_E_NULL, COOP_E_INVALID for an index that is too large, COOP_E_CANCELLED if that node was skipped (of a
/// node with even_if_skipped), COOP_E_STALE if the value was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_value(
    call: *const coop_dag_call,
    index: usize,
    value: *mut *mut c_void,
) -> coop_status {
    guard!({
        // SAFETY: NULL, or what the function was given and has not returned from.
        let call = unsafe { borrow(call, "call") }?;
        wanted(value, "value")?;
        let found = call.at(index)?;
        if found.get::<Taken>().is_some() {
            return Err(Error::Stale("node's result"));
        }
        // SAFETY: a place for a pointer.
        unsafe { value.write(dag_value::pointer(&found)) };
        Ok(())
    })
}

/// Takes one of the values that the node reads, if no other node, and not the outcome, has it any more: then it is the function's, to be
/// changed, handed on as a result, or dropped. The function of a predicate takes nothing.
///
/// index: as of coop_dag_call_value. value: set to the value and its drop.
///
/// The thread of the call. COOP_E_EXISTS if somebody else has it, or a later attempt may need it, and then it may be looked at; else
/// those of coop_dag_call_value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_take(
    call: *const coop_dag_call,
    index: usize,
    value: *mut coop_dag_value,
) -> coop_status {
    guard!({
        // SAFETY: NULL, or what the function was given and has not returned from.
        let call = unsafe { borrow(call, "call") }?;
        wanted(value, "value")?;
        let found = call.at(index)?;
        if found.get::<Taken>().is_some() {
            return Err(Error::Stale("node's result"));
        }
        drop(found);
        let found = std::mem::replace(&mut call.values.borrow_mut()[index], Value::new(Taken));
        match dag_value::take(found) {
            Ok(taken) => {
                // SAFETY: a place for a value.
                unsafe { value.write(taken) };
                Ok(())
            }
            Err(shared) => {
                call.values.borrow_mut()[index] = shared;
                Err(Error::Exists(format!(
                    "value {index} of node {:?} is not its own: others read it",
                    call.call().name()
                )))
            }
        }
    })
}

/// Stands where a value was taken.
struct Taken;

/// The node's name.
///
/// name, length: set to its bytes, which are UTF-8 without a NUL behind them, and there until the function returns.
///
/// The thread of the call. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_name(
    call: *const coop_dag_call,
    name: *mut *const c_char,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: NULL, or what the function was given and has not returned from.
        let call = unsafe { borrow(call, "call") }?;
        wanted(name, "name")?;
        wanted(length, "length")?;
        let text = call.call().name();
        // SAFETY: a place for a pointer.
        unsafe { name.write(text.as_ptr().cast()) };
        // SAFETY: a place for a number.
        unsafe { length.write(text.len()) };
        Ok(())
    })
}

/// Which attempt at the node this is: 0 for the first one, and for NULL.
///
/// The thread of the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_attempt(call: *const coop_dag_call) -> u32 {
    // SAFETY: NULL, or what the function was given and has not returned from.
    answer(0, || Ok(unsafe { borrow(call, "call") }?.call().attempt()))
}

/// Whether the run has ended already: a function that takes long may look, and give up. False for NULL.
///
/// The thread of the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_is_ended(call: *const coop_dag_call) -> bool {
    // SAFETY: NULL, or what the function was given and has not returned from.
    answer(false, || Ok(unsafe { borrow(call, "call") }?.call().control().is_ended()))
}

/// Ends the run that the call is part of, as coop_dag_run_cancel does; the function goes on, and what it makes is dropped.
///
/// The thread of the call. COOP_E_NULL, COOP_E_STALE if the run had ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_cancel(call: *const coop_dag_call) -> coop_status {
    guard_tell!({
        // SAFETY: NULL, or what the function was given and has not returned from.
        let call = unsafe { borrow(call, "call") }?;
        if call.call().control().cancel() { Ok(()) } else { Err(Error::Stale("run")) }
    })
}

/// Says why the node fails, for a function that then answers a negative number.
///
/// status: one of COOP_E_*. os_errno: beside COOP_E_OS; else 0. message, message_length: in words: UTF-8, copied; NULL says the status.
/// cause: anything, for coop_dag_outcome_cause; the library's if this answers COOP_OK. Told twice, the later one counts.
///
/// The thread of the call. COOP_E_NULL, COOP_E_INVALID for a status that is none and a message that is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_call_fail(
    call: *const coop_dag_call,
    status: coop_status,
    os_errno: i32,
    message: *const c_char,
    message_length: usize,
    cause: coop_dag_value,
) -> coop_status {
    guard!({
        if call.is_null() {
            return Err(null("call"));
        }
        // SAFETY: as long as told.
        let message = unsafe { options::text(message, message_length, "message") }?;
        let failure = dag_value::failure(status, os_errno, message, cause)?;
        // SAFETY: what the function was given and has not returned from.
        let call = unsafe { borrow(call, "call") }?;
        drop(call.failed.replace(Some(failure)));
        Ok(())
    })
}
