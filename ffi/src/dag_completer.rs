//! `coop_dag_completer`: an I/O node that has begun, and is completed by whoever does its work.
//!
//! # Invariant
//!
//! `used` is set once, by the completer's end; `over` once, by the end of the node's future. What is foreign is taken out under the lock and
//! called, or dropped, after it.

use std::{
    ffi::{c_char, c_void},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use coop_core::{
    Error,
    dag::{Answer, AnswerFuture, Call, Failure, Value},
    fork::ForkGuard,
};

use crate::{
    dag_call::coop_dag_call,
    dag_node::Kept,
    dag_order::Order,
    dag_value::{self, COOP_DAG_SKIP, coop_dag_value},
    foreign::{Foreign, Run, coop_callback},
    guard::{answer, guard, guard_tell},
    handle::{borrow, null, take},
    options,
    status::{COOP_OK, coop_status, known_name},
    tsan,
};

/// The end of one attempt at an I/O node, which the node's function is given: one of coop_dag_completer_complete,
/// coop_dag_completer_fail and coop_dag_completer_free is called with it, once, by any thread, then or later.
pub struct coop_dag_completer {
    fork: ForkGuard,
    waiting: Arc<Waiting>,
}

impl fmt::Debug for coop_dag_completer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coop_dag_completer")
    }
}

/// What an I/O node does. Called on the loop's thread, once in a run and for each retry, so it must not wait; otherwise as
/// coop_dag_function.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_io_function {
    /// call: what the node reads; there until fn returns, but its values until the completer is used. completer: the function's, who
    /// hands it to whatever it begins. Must not be NULL.
    pub r#fn:
        Option<unsafe extern "C" fn(arg: *mut c_void, call: *mut coop_dag_call, completer: *mut coop_dag_completer)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

pub(crate) type Begins =
    unsafe extern "C" fn(arg: *mut c_void, call: *mut coop_dag_call, completer: *mut coop_dag_completer);

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    waker: Option<Waker>,
    cancel: Option<Foreign<Run>>,
    /// What the node reads, as long as it is looked at.
    values: Vec<Value>,
    used: bool,
    over: bool,
}

struct Waiting {
    state: Mutex<State>,
    order: Order,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The completer is used.
    fn end(&self, answer: Answer) {
        let mut state = self.lock();
        state.used = true;
        let (values, cancel) = (std::mem::take(&mut state.values), state.cancel.take());
        values.iter().for_each(|value| tsan::ran(dag_value::pointer(value)));
        self.order.end(matches!(&answer, Err(failure) if failure.is_skip()));
        let (waker, too_late) = if state.over {
            (None, Some(answer))
        } else {
            state.answer = Some(answer);
            (state.waker.take(), None)
        };
        drop(state);
        drop((values, cancel, too_late));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The node, as the core polls it.
struct Awaited(Arc<Waiting>);

impl Future for Awaited {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.0.lock();
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        let before = state.waker.replace(cx.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.over = true;
        let (answer, waker, cancel) = (state.answer.take(), state.waker.take(), state.cancel.take());
        drop(state);
        if let Some(cancel) = cancel {
            cancel.call();
        }
        drop((answer, waker));
    }
}

/// Calls an I/O node's function.
pub(crate) fn begin(kept: &Arc<Kept<Begins>>, call: &mut Call<'_>) -> AnswerFuture {
    let (given, order) = coop_dag_call::begin(call);
    let waiting = Arc::new(Waiting { state: Mutex::default(), order });
    let completer = coop_dag_completer { fork: ForkGuard::new("completer"), waiting: waiting.clone() };
    let awaited = Awaited(waiting.clone());
    {
        let _inside = tsan::Inside::once(kept.arg);
        // SAFETY: C gave the function for this argument; the call outlives it, and the completer is C's.
        unsafe { (kept.run)(kept.arg, (&raw const given).cast_mut(), Box::into_raw(Box::new(completer))) };
    }
    let values = given.end();
    let mut state = waiting.lock();
    let unused = if state.used {
        values
    } else {
        state.values = values;
        Vec::new()
    };
    drop(state);
    drop(unused);
    Box::pin(awaited)
}

/// Ends the node, and the completer.
///
/// status: COOP_OK; COOP_DAG_SKIP for a node that is to be skipped; or a COOP_E_* for one that has failed. value: the node's result beside
/// COOP_OK, the failure's cause beside a COOP_E_*; the library's if this answers COOP_OK, and dropped at once if the run or the node has
/// ended meanwhile, or the node is skipped.
///
/// Any thread, once. COOP_E_NULL, COOP_E_INVALID for another status: then the completer is still the caller's; COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_completer_complete(
    completer: *mut coop_dag_completer,
    status: coop_status,
    value: coop_dag_value,
) -> coop_status {
    guard_tell!({
        // SAFETY: a completer that was not used yet.
        unsafe { borrow(completer, "completer") }?.fork.check()?;
        if status != COOP_DAG_SKIP && known_name(status).is_none() {
            let allowed = "COOP_OK, COOP_DAG_SKIP and COOP_E_*";
            return Err(Error::Invalid(format!("status is {status}: allowed are {allowed}")));
        }
        let (answer, skipped) = match status {
            COOP_OK => (Ok(dag_value::own(value)), Value::UNIT),
            COOP_DAG_SKIP => (Err(Failure::skip()), dag_value::own(value)),
            failed => (Err(dag_value::failure(failed, 0, None, value)?), Value::UNIT),
        };
        // SAFETY: as above, and it is used here.
        unsafe { take(completer) }.waiting.end(answer);
        drop(skipped);
        Ok(())
    })
}

/// Ends the node, which has failed, and the completer.
///
/// status, os_errno, message, message_length, cause: as of coop_dag_call_fail.
///
/// Any thread, once. COOP_E_NULL, COOP_E_INVALID for a status that is none and a message that is not UTF-8: then the completer is still
/// the caller's; COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_completer_fail(
    completer: *mut coop_dag_completer,
    status: coop_status,
    os_errno: i32,
    message: *const c_char,
    message_length: usize,
    cause: coop_dag_value,
) -> coop_status {
    guard_tell!({
        if completer.is_null() {
            return Err(null("completer"));
        }
        // SAFETY: a completer that was not used yet.
        unsafe { borrow(completer, "completer") }?.fork.check()?;
        // SAFETY: as long as told.
        let message = unsafe { options::text(message, message_length, "message") }?;
        let failure = dag_value::failure(status, os_errno, message, cause)?;
        // SAFETY: as above, and it is used here.
        unsafe { take(completer) }.waiting.end(Err(failure));
        Ok(())
    })
}

/// Has a function called if the run or the node ends before the completer is used: on the loop's thread, once, to give up what was begun.
/// The completer is still to be used then.
///
/// callback: the library owns callback.arg if this answers COOP_OK. It is dropped when the node has ended. A second one takes the place of
/// the first, which is dropped.
///
/// Any thread, while the completer was not used. COOP_E_NULL, COOP_E_CANCELLED if the run or the node has ended, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_completer_on_cancel(
    completer: *mut coop_dag_completer,
    callback: coop_callback,
) -> coop_status {
    guard!({
        // SAFETY: a completer that was not used yet.
        let completer = unsafe { borrow(completer, "completer") }?;
        completer.fork.check()?;
        if callback.r#fn.is_none() {
            return Err(null("callback.fn"));
        }
        let mut state = completer.waiting.lock();
        if state.over {
            return Err(Error::Cancelled("node"));
        }
        let before = state.cancel.replace(Foreign::of(callback)?);
        drop(state);
        drop(before);
        Ok(())
    })
}

/// Whether the run or the node has ended, so that nobody waits for the result any more. True for NULL, and in a forked child.
///
/// Any thread, while the completer was not used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_completer_is_ended(completer: *const coop_dag_completer) -> bool {
    answer(true, || {
        // SAFETY: NULL, or a completer that was not used yet.
        let completer = unsafe { borrow(completer, "completer") }?;
        completer.fork.check()?;
        Ok(completer.waiting.lock().over)
    })
}

/// Gives the completer up: the node has failed with COOP_E_FAILED, unless it had ended. NULL does nothing.
///
/// Any thread, once, instead of coop_dag_completer_complete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_completer_free(completer: *mut coop_dag_completer) {
    guard_tell!({
        if completer.is_null() {
            return Ok(());
        }
        // SAFETY: a completer that was not used yet, and is used here.
        let completer = unsafe { take(completer) };
        if !completer.fork.is_forked() {
            completer.waiting.end(Err(Failure::text("it was not completed: its completer was freed")));
        }
        Ok(())
    });
}
