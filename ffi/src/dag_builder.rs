//! `coop_dag_builder`: nodes and edges, until they are a graph.

use std::{
    ffi::c_char,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use coop_core::{
    Error, Result,
    dag::{Builder, Function},
    fork::ForkGuard,
};

use crate::{
    dag::coop_dag,
    dag_completer::{self, coop_dag_io_function},
    dag_node::{Kept, coop_dag_function, coop_dag_node_id, coop_dag_node_options, coop_dag_ref, id_of, read},
    guard::guard,
    handle::{borrow, give, take, wanted},
    options::{self, Options, array, text},
    status::coop_status,
};

/// Collects the nodes and edges of a graph, and checks them.
#[derive(Debug)]
pub struct coop_dag_builder {
    fork: ForkGuard,
    /// Tells its nodes from those of others.
    tag: u32,
    /// `None` once it was built.
    builder: Mutex<Option<Builder>>,
}

/// How a builder is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_builder_options {
    /// sizeof(coop_dag_builder_options).
    pub size: usize,
    /// For how many nodes it has room from the beginning. It grows.
    pub nodes: usize,
}

// SAFETY: two words (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_dag_builder_options {
    const NAME: &'static str = "coop_dag_builder_options";
    const FIRST: usize = size_of::<Self>();
}

/// A node that stands for an input of a graph that is inserted.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_binding {
    /// The input's name in that graph: UTF-8.
    pub input: *const c_char,
    /// The bytes of input.
    pub input_length: usize,
    /// The node here.
    pub node: coop_dag_ref,
}

/// Makes a builder without nodes.
///
/// options: copied; NULL is all defaults. out: set to the builder, which the caller frees with coop_dag_builder_free.
///
/// Any thread. COOP_E_NULL without out, COOP_E_INVALID for more nodes than a graph may have (2^28) or there is memory for,
/// COOP_E_UNSUPPORTED for options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_new(
    options: *const coop_dag_builder_options,
    out: *mut *mut coop_dag_builder,
) -> coop_status {
    guard!({
        static NEXT: AtomicU32 = AtomicU32::new(1);
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { options::read(options) }?;
        let builder = Mutex::new(Some(Builder::with_capacity(options.nodes)?));
        let tag = NEXT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_dag_builder { fork: ForkGuard::new("DAG builder"), tag, builder }, out) };
        Ok(())
    })
}

/// Releases the builder, and drops the functions of nodes that are in no graph. NULL does nothing.
///
/// Any thread; once, with no call begun after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_free(builder: *mut coop_dag_builder) {
    guard!({
        if !builder.is_null() {
            // SAFETY: made by the library for the caller, and freed once.
            let builder = unsafe { take(builder) };
            if builder.fork.is_forked() {
                // What it holds is the parent's.
                std::mem::forget(builder);
            }
        }
        Ok(())
    });
}

/// Adds a node whose value each run is given.
///
/// name, length: UTF-8, copied; not empty, and no other node's. node: set to the node; may be NULL.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for the name, and for one node more than a graph may have, COOP_E_EXISTS for the name of another
/// node, COOP_E_CLOSED after coop_dag_builder_build, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_input(
    builder: *mut coop_dag_builder,
    name: *const c_char,
    length: usize,
    node: *mut coop_dag_node_id,
) -> coop_status {
    guard!({
        // SAFETY: a builder that is not freed yet.
        let object = unsafe { borrow(builder, "builder") }?;
        // SAFETY: as long as told.
        let name = unsafe { text(name, length, "name") }?.unwrap_or_default();
        let added = object.with(|builder| builder.add(&name, Default::default(), Vec::new(), Function::Input))?;
        // SAFETY: NULL, or a place for a number.
        unsafe { object.tell(added, node) };
        Ok(())
    })
}

/// Adds a node that a worker of the pool runs.
///
/// name, length: UTF-8, copied; not empty, and no other node's. options: copied; NULL is all defaults. function: the builder owns
/// function.arg if this answers COOP_OK. node: set to the node; may be NULL.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for the name, a node of another builder, a priority, a CPU set that is empty, a time, a flag,
/// and one node more than a graph may have; COOP_E_EXISTS for the name of another node, COOP_E_UNSUPPORTED for options, COOP_E_CLOSED
/// after coop_dag_builder_build, COOP_E_FORKED. Unknown names, cycles and edges that are there twice are found by
/// coop_dag_builder_build.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_cpu(
    builder: *mut coop_dag_builder,
    name: *const c_char,
    length: usize,
    options: *const coop_dag_node_options,
    function: coop_dag_function,
    node: *mut coop_dag_node_id,
) -> coop_status {
    guard!({
        // SAFETY: a builder that is not freed yet.
        let object = unsafe { borrow(builder, "builder") }?;
        let kept = Kept::new(function.r#fn, function.arg, function.drop, "function.fn")?;
        let runs = kept.clone();
        let function = Function::Cpu(Arc::new(move |call| runs.call(call)));
        // SAFETY: all is as long as told.
        let added = unsafe { object.add(name, length, options, function, || kept.accept()) }?;
        // SAFETY: NULL, or a place for a number.
        unsafe { object.tell(added, node) };
        Ok(())
    })
}

/// Adds a node that waits: its function is called on the loop's thread, begins something and returns, and the node ends when its
/// coop_dag_completer is used, by any thread, then or later. It takes no CPU set.
///
/// Everything else as in coop_dag_builder_cpu.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_io(
    builder: *mut coop_dag_builder,
    name: *const c_char,
    length: usize,
    options: *const coop_dag_node_options,
    function: coop_dag_io_function,
    node: *mut coop_dag_node_id,
) -> coop_status {
    guard!({
        // SAFETY: a builder that is not freed yet.
        let object = unsafe { borrow(builder, "builder") }?;
        let kept = Kept::new(function.r#fn, function.arg, function.drop, "function.fn")?;
        let begins = kept.clone();
        let function = Function::Io(Arc::new(move |call| dag_completer::begin(&begins, call)));
        // SAFETY: all is as long as told.
        let added = unsafe { object.add(name, length, options, function, || kept.accept()) }?;
        // SAFETY: NULL, or a place for a number.
        unsafe { object.tell(added, node) };
        Ok(())
    })
}

/// Has later begin when earlier has ended, without reading its result. If that one fails, or is skipped, later is not run, as if it
/// read it.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another builder, or neither a node nor a name; COOP_E_CLOSED after
/// coop_dag_builder_build, COOP_E_FORKED. Names are looked up by coop_dag_builder_build.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_after(
    builder: *mut coop_dag_builder,
    later: coop_dag_ref,
    earlier: coop_dag_ref,
) -> coop_status {
    guard!({
        // SAFETY: a builder that is not freed yet.
        let object = unsafe { borrow(builder, "builder") }?;
        object.with(|builder| {
            // SAFETY: as long as told.
            let later = unsafe { later.dependency(builder, object.tag, "later") }?;
            // SAFETY: as long as told.
            let earlier = unsafe { earlier.dependency(builder, object.tag, "earlier") }?;
            builder.after(later, earlier);
            Ok(())
        })
    })
}

/// Adds all the nodes of another graph, their names behind prefix and a "/". Its inputs become those nodes of this one that the bindings
/// name, one for each.
///
/// prefix, length: UTF-8, copied; not empty. graph: stays the caller's. bindings, count: copied.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a prefix that is empty, an input that is missing or is none, a node of another builder, and
/// too many nodes, COOP_E_EXISTS for a name that is there already, COOP_E_CLOSED after coop_dag_builder_build, COOP_E_FORKED. Nothing
/// was added then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_insert(
    builder: *mut coop_dag_builder,
    prefix: *const c_char,
    length: usize,
    graph: *const coop_dag,
    bindings: *const coop_dag_binding,
    count: usize,
) -> coop_status {
    guard!({
        // SAFETY: a builder that is not freed yet.
        let object = unsafe { borrow(builder, "builder") }?;
        // SAFETY: a graph that is not freed yet.
        let graph = unsafe { coop_dag::graph(graph, "graph") }?;
        // SAFETY: as long as told.
        let prefix = unsafe { text(prefix, length, "prefix") }?.unwrap_or_default();
        // SAFETY: as above.
        let bindings = unsafe { array(bindings, count, "bindings") }?;
        object.with(|builder| {
            let mut inputs = Vec::with_capacity(bindings.len());
            for one in bindings {
                // SAFETY: as long as told.
                let name = unsafe { text(one.input, one.input_length, "bindings.input") }?.unwrap_or_default();
                // SAFETY: as above.
                inputs.push((name, unsafe { one.node.dependency(builder, object.tag, "bindings.node") }?));
            }
            builder.insert(&prefix, &graph, inputs)
        })
    })
}

/// Makes the graph. The builder is used up, whatever this answers: it takes no more nodes, and is freed.
///
/// out: set to the graph, which the caller frees with coop_dag_free.
///
/// Any thread. COOP_E_INVALID for a cycle ("the graph has a cycle: a -> b -> a"), a node that depends on itself, a name that no node has,
/// and an edge that is there twice: the message names them; COOP_E_NULL, COOP_E_CLOSED if it was built before, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_builder_build(
    builder: *mut coop_dag_builder,
    out: *mut *mut coop_dag,
) -> coop_status {
    guard!({
        // SAFETY: a builder that is not freed yet.
        let object = unsafe { borrow(builder, "builder") }?;
        wanted(out, "out")?;
        object.fork.check()?;
        let taken = object.builder.lock().unwrap_or_else(PoisonError::into_inner).take();
        let graph = taken.ok_or(Error::Closed("DAG builder"))?.build()?;
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_dag::new(graph, object.tag), out) };
        Ok(())
    })
}

impl coop_dag_builder {
    /// Nothing that `f` drops may be foreign: the lock is held.
    fn with<T>(&self, f: impl FnOnce(&mut Builder) -> Result<T>) -> Result<T> {
        self.fork.check()?;
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        f(builder.as_mut().ok_or(Error::Closed("DAG builder"))?)
    }

    /// # Safety
    /// All is as long as told.
    unsafe fn add(
        &self,
        name: *const c_char,
        length: usize,
        options: *const coop_dag_node_options,
        function: Function,
        accept: impl FnOnce(),
    ) -> Result<u32> {
        // SAFETY: the caller's promise.
        let name = unsafe { text(name, length, "name") }?.unwrap_or_default();
        // SAFETY: as above.
        let options = unsafe { read(options) }?;
        self.with(|builder| {
            // SAFETY: as above.
            let described = unsafe { options.describe(builder, self.tag) }?;
            let added = builder.add(&name, described.options, described.reads, function)?;
            for earlier in described.after {
                builder.after(builder.dependency(added), earlier);
            }
            accept();
            if let Some(asks) = described.only_if {
                asks.accept();
            }
            Ok(added)
        })
    }

    /// # Safety
    /// `out` is NULL, or a place for a number.
    unsafe fn tell(&self, node: u32, out: *mut coop_dag_node_id) {
        if !out.is_null() {
            // SAFETY: the caller's promise.
            unsafe { out.write(id_of(self.tag, node)) };
        }
    }
}
