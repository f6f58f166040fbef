//! Values that nodes of a graph hand to each other, and what a function of C's answers.
//!
//! # Invariant
//!
//! An [`Owned`] owns what C gave: its drop is called once, by whoever lets the last reference go, unless it was [taken](take) back.

use std::{ffi::c_void, mem::ManuallyDrop, ptr, sync::Arc};

use coop_core::{
    Error, Result,
    dag::{Failure, Value},
};

use crate::{
    foreign::DropArg,
    status::{
        COOP_E_AFFINITY, COOP_E_CLOSED, COOP_E_EXISTS, COOP_E_INVALID, COOP_E_OS, COOP_E_PANIC, COOP_E_RESOLVE,
        COOP_E_TIMEOUT,
    },
    status::{COOP_E_UNSUPPORTED, COOP_OK, coop_status, known_name},
    tsan,
};

/// What the function of a node answers instead of COOP_OK if the node is to be skipped, with all that depends on it.
pub const COOP_DAG_SKIP: coop_status = 1;

/// A value that is handed over: whoever has it calls drop(value) once, or hands it on. The library calls it when nobody needs the value
/// any more: after its last reader, on any thread, with no lock held.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_value {
    /// What it is: a pointer to anything, which several threads may read at the same time. May be NULL.
    pub value: *mut c_void,
    /// May be NULL: then nothing is called when value is not needed any more.
    pub drop: Option<unsafe extern "C" fn(value: *mut c_void)>,
}

impl coop_dag_value {
    pub(crate) const NONE: Self = Self { value: ptr::null_mut(), drop: None };
}

/// A value of C's.
struct Owned {
    value: *mut c_void,
    drop: Option<DropArg>,
}

// SAFETY: the header says that values are read, and dropped, on any thread.
unsafe impl Send for Owned {}
// SAFETY: as above, several threads at a time.
unsafe impl Sync for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            let _inside = tsan::Inside::after_others(self.value);
            // SAFETY: C gave `drop` for this value, and it is called here only.
            unsafe { drop(self.value) };
        }
    }
}

/// Takes a value of C's, which the library owns from now on.
pub(crate) fn own(value: coop_dag_value) -> Value {
    if value.value.is_null() && value.drop.is_none() {
        return Value::UNIT;
    }
    tsan::hand_over(value.value);
    Value::new(Owned { value: value.value, drop: value.drop })
}

/// What C knows it by.
pub(crate) fn pointer(value: &Value) -> *mut c_void {
    value.get::<Owned>().map_or(ptr::null_mut(), |owned| owned.value)
}

/// Gives a value back to C.
///
/// # Errors
/// The value, if somebody else has it too.
pub(crate) fn take(value: Value) -> Result<coop_dag_value, Value> {
    if value.is_unit() {
        return Ok(coop_dag_value::NONE);
    }
    let owned = Arc::try_unwrap(value.downcast::<Owned>()?).map_err(|shared| Value::shared(shared))?;
    tsan::taken_over(owned.value);
    let owned = ManuallyDrop::new(owned);
    Ok(coop_dag_value { value: owned.value, drop: owned.drop })
}

/// Gives a value that was refused back to C, which still owns it.
pub(crate) fn forget(value: Value) {
    // Only the library has seen it.
    let _still_the_callers = take(value);
}

/// Why a node of C's has failed, as it said.
pub(crate) struct Told {
    pub(crate) status: coop_status,
    pub(crate) cause: Value,
    /// The words beside COOP_E_CLOSED, for which the core has its own.
    pub(crate) closed: Option<String>,
}

/// A failure with a number and words of C's.
///
/// # Errors
/// [`Error::Invalid`] for a number that is no error's; the cause is the caller's then.
pub(crate) fn failure(
    status: coop_status,
    os_errno: i32,
    message: Option<String>,
    cause: coop_dag_value,
) -> Result<Failure> {
    let Some(name) = known_name(status).filter(|_| status != COOP_OK) else {
        return Err(Error::Invalid(format!("status is {status}: allowed are the numbers COOP_E_*")));
    };
    let text = message.unwrap_or_else(|| format!("its function answered {name}"));
    let closed = (status == COOP_E_CLOSED).then(|| text.clone());
    let error = match status {
        COOP_E_INVALID => Error::Invalid(text),
        COOP_E_TIMEOUT => Error::Timeout(text),
        COOP_E_AFFINITY => Error::Affinity(text),
        COOP_E_UNSUPPORTED => Error::Unsupported(text),
        COOP_E_PANIC => Error::Panic(text),
        COOP_E_EXISTS => Error::Exists(text),
        COOP_E_RESOLVE => Error::Resolve(text),
        COOP_E_OS => Error::Os { context: text, errno: os_errno },
        // What it waited for has gone: if that is the run's own loop or pool, so is the run.
        COOP_E_CLOSED => Error::Closed("pool or event loop that it used"),
        _ => Error::Failed(text),
    };
    Ok(Failure::with_cause(error, Value::new(Told { status, cause: own(cause), closed })))
}

/// What a function has answered, with its value.
pub(crate) fn answer(status: coop_status, value: coop_dag_value) -> Result<Value, Failure> {
    match status {
        COOP_OK => Ok(own(value)),
        COOP_DAG_SKIP => Err(Failure::skip()),
        other => Err(failure(other, 0, None, coop_dag_value::NONE).unwrap_or_else(|_| {
            let text = format!("its function answered {other}: allowed are COOP_OK, COOP_DAG_SKIP and COOP_E_*");
            Failure::with_cause(Error::Invalid(text), Value::UNIT)
        })),
    }
}
