//! Nodes of a graph as C names and describes them: ids, options, and functions.
//!
//! # Invariant
//!
//! A [`Kept`] callback is C's until it is [taken](Kept::accept): before that, dropping it calls nothing.

use std::{
    ffi::{c_char, c_void},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use coop_core::{
    Error, Priority, Result,
    dag::{Answer, Builder, Call, Dependency, NodeOptions, Predicate},
};

use crate::{
    cpu_set::coop_cpu_set,
    dag_call::coop_dag_call,
    dag_value::coop_dag_value,
    foreign::{DropArg, Foreign},
    handle::null,
    options::{self, Options, array, deadline, duration, flag, text},
    status::coop_status,
    tsan,
};

/// Names a node of one builder, and of the graph that it builds; never 0.
pub type coop_dag_node_id = u64;

/// A node that another one reads or waits for, or that is asked about.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_ref {
    /// The node; 0: by its name, which may be that of a node that is added later.
    pub node: coop_dag_node_id,
    /// Its name, beside node 0: UTF-8, copied.
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
}

/// What a CPU node does: called by a worker of the pool, once in a run and for each retry. One graph runs many times at once, so several
/// threads call it at the same time. drop(arg) is called once, when the graph, its builder, the graphs that it was inserted into
/// and their runs are gone. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_function {
    /// call: what the node reads. result: empty; set to the node's result, which is the library's if fn answers COOP_OK. Answers COOP_OK,
    /// COOP_DAG_SKIP, or a COOP_E_* for a node that has failed. Must not be NULL.
    pub r#fn: Option<
        unsafe extern "C" fn(arg: *mut c_void, call: *mut coop_dag_call, result: *mut coop_dag_value) -> coop_status,
    >,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// Looks at what a node reads, and says whether the node runs. Otherwise as coop_dag_function.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_predicate {
    /// True: the node runs. False: it is skipped, with all that depends on it. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, call: *mut coop_dag_call) -> bool>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// How a node is run. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_node_options {
    /// sizeof(coop_dag_node_options).
    pub size: usize,
    /// The nodes whose results it is given, in this order; copied. It begins when they have ended.
    pub reads: *const coop_dag_ref,
    /// How many.
    pub read_count: usize,
    /// Nodes that must have ended before, though their results are not read; copied.
    pub after: *const coop_dag_ref,
    /// How many.
    pub after_count: usize,
    /// One of COOP_PRIORITY_*; of no meaning for an I/O node.
    pub priority: i32,
    /// How often the node is tried again when it fails.
    pub retries: u32,
    /// Nanoseconds to wait before the first of these, and twice as long before each one more. Needs a loop, unless it is 0.
    pub backoff_ns: i64,
    /// Nanoseconds that the node may take from its beginning, all its attempts together; then it has failed with COOP_E_TIMEOUT. A function
    /// that runs in the pool goes on, and its result is dropped. Needs a loop. 0 and COOP_FOREVER: as long as it takes.
    pub timeout_ns: i64,
    /// On which CPUs a CPU node may run; words NULL is on any.
    pub cpus: coop_cpu_set,
    /// Asked before the node runs, where it would run; NULL: it runs. The builder owns only_if.arg if the function that takes these options
    /// answers COOP_OK.
    pub only_if: *const coop_dag_predicate,
    /// 1: runs also when what it reads or waits for was skipped. The values of those are not there: COOP_E_CANCELLED.
    pub even_if_skipped: i32,
    /// 1: its result is kept for the outcome, although other nodes read it. The result of a node that nobody reads always is.
    pub keep: i32,
}

// SAFETY: numbers, pointers and a set of them, fourteen fields that fill 96 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_dag_node_options {
    const NAME: &'static str = "coop_dag_node_options";
    const FIRST: usize = size_of::<Self>();
}

/// A callback of a graph's, which is C's until it is accepted.
pub(crate) struct Kept<F> {
    pub(crate) run: F,
    pub(crate) arg: *mut c_void,
    drop: Option<DropArg>,
    accepted: AtomicBool,
}

// SAFETY: the header says that these are called and dropped on any thread.
unsafe impl<F: Send> Send for Kept<F> {}
// SAFETY: as above, by several at the same time.
unsafe impl<F: Sync> Sync for Kept<F> {}

impl<F: Copy> Kept<F> {
    pub(crate) fn new(run: Option<F>, arg: *mut c_void, drop: Option<DropArg>, name: &str) -> Result<Arc<Self>> {
        let run = run.ok_or_else(|| null(name))?;
        Ok(Arc::new(Self { run, arg, drop, accepted: AtomicBool::new(false) }))
    }

    /// The library owns it from now on.
    pub(crate) fn accept(&self) {
        tsan::hand_over(self.arg);
        self.accepted.store(true, Ordering::Release);
    }
}

impl<F> Drop for Kept<F> {
    fn drop(&mut self) {
        if *self.accepted.get_mut() {
            // Its end is that of any callback.
            drop(Foreign::own((), self.arg, self.drop));
        }
    }
}

pub(crate) type Asks = unsafe extern "C" fn(arg: *mut c_void, call: *mut coop_dag_call) -> bool;
pub(crate) type Runs =
    unsafe extern "C" fn(arg: *mut c_void, call: *mut coop_dag_call, result: *mut coop_dag_value) -> coop_status;

impl Kept<Runs> {
    /// Runs a CPU node.
    pub(crate) fn call(&self, call: &mut Call<'_>) -> Answer {
        let (given, order) = coop_dag_call::begin(call);
        let mut result = coop_dag_value::NONE;
        let status = {
            let _inside = tsan::Inside::once(self.arg);
            // SAFETY: C gave the function for this argument; both pointers outlive the call.
            unsafe { (self.run)(self.arg, (&raw const given).cast_mut(), &raw mut result) }
        };
        let answer = given.answer(status, result);
        let values = given.end();
        order.end(matches!(&answer, Err(failure) if failure.is_skip()));
        drop(values);
        answer
    }
}

impl Kept<Asks> {
    fn ask(&self, call: &Call<'_>) -> bool {
        let (given, order) = coop_dag_call::look(call);
        let answer = {
            let _inside = tsan::Inside::once(self.arg);
            // SAFETY: C gave the function for this argument; the pointer outlives the call.
            unsafe { (self.run)(self.arg, (&raw const given).cast_mut()) }
        };
        given.end();
        order.end(!answer);
        answer
    }
}

/// A node's place, as the number that C has for it.
pub(crate) fn id_of(tag: u32, index: u32) -> coop_dag_node_id {
    u64::from(tag) << 32 | (u64::from(index) + 1)
}

/// The place behind a number; `None` for one of another builder, or of none.
pub(crate) fn index_of(tag: u32, id: coop_dag_node_id) -> Option<u32> {
    (id as u32).checked_sub(1).filter(|_| id >> 32 == u64::from(tag))
}

/// What a node is described by, in the core's terms.
pub(crate) struct Description {
    pub(crate) options: NodeOptions,
    pub(crate) reads: Vec<Dependency>,
    pub(crate) after: Vec<Dependency>,
    pub(crate) only_if: Option<Arc<Kept<Asks>>>,
}

impl coop_dag_ref {
    /// # Safety
    /// `name` points to `name_length` bytes.
    pub(crate) unsafe fn dependency(&self, builder: &Builder, tag: u32, what: &str) -> Result<Dependency> {
        if self.node == 0 {
            // SAFETY: the caller's promise.
            let name = unsafe { text(self.name, self.name_length, what) }?;
            return name
                .map(Dependency::Name)
                .ok_or_else(|| Error::Invalid(format!("{what}: neither a node nor a name")));
        }
        match index_of(tag, self.node).filter(|index| (*index as usize) < builder.len()) {
            Some(index) => Ok(builder.dependency(index)),
            None => Err(Error::Invalid(format!("{what}: node {:#x} is of another builder", self.node))),
        }
    }
}

impl coop_dag_node_options {
    /// # Safety
    /// What it points to is as long as it says.
    pub(crate) unsafe fn describe(&self, builder: &Builder, tag: u32) -> Result<Description> {
        // SAFETY: the caller's promise.
        let list = |refs: *const coop_dag_ref, count: usize, what: &str| {
            // SAFETY: the caller's promise.
            let refs = unsafe { array(refs, count, what) }?;
            // SAFETY: as above.
            refs.iter().map(|one| unsafe { one.dependency(builder, tag, what) }).collect::<Result<Vec<_>>>()
        };
        let (reads, after) =
            (list(self.reads, self.read_count, "reads")?, list(self.after, self.after_count, "after")?);
        // SAFETY: as above.
        let only_if = match unsafe { self.only_if.as_ref() } {
            Some(asked) => Some(Kept::new(asked.r#fn, asked.arg, asked.drop, "only_if.fn")?),
            None => None,
        };
        let asks = only_if.clone();
        let options = NodeOptions {
            priority: Priority::try_from(self.priority)?,
            // SAFETY: the caller's promise.
            cpus: unsafe { self.cpus.read() }?,
            retries: self.retries,
            backoff: duration(self.backoff_ns, "backoff_ns")?,
            timeout: deadline(self.timeout_ns, "timeout_ns")?,
            only_if: asks.map(|asks: Arc<Kept<Asks>>| -> Predicate { Arc::new(move |call| asks.ask(call)) }),
            even_if_skipped: flag(self.even_if_skipped, "even_if_skipped")?,
            keep: flag(self.keep, "keep")?,
            ..NodeOptions::default()
        };
        Ok(Description { options, reads, after, only_if })
    }
}

/// # Safety
/// As [`options::read`], and what they point to is as long as they say.
pub(crate) unsafe fn read(options: *const coop_dag_node_options) -> Result<coop_dag_node_options> {
    // SAFETY: the caller's promise.
    unsafe { options::read(options) }
}
