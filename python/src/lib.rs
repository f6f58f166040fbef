//! libcoop for Python: the native module `libcoop._libcoop`.
//!
//! It binds the core directly, not through the C interface. Of that it takes one thing, in port/native.rs: the table of C functions
//! that native handlers are given, which is also the capsule `coop_api`. What holds for all of it:
//!
//! * Whatever waits, joins or polls is detached from the interpreter; it attaches only to run Python code.
//! * A callback's exception is reported once, through `logging` (logger `libcoop`), and the thread goes on. What is no
//!   `Exception` (Ctrl-C, `SystemExit`) leaves the `run` that the callback was called by.
//! * Library threads that run Python code keep one thread state for their life (thread_state.rs).
//! * Nothing relies on a GIL: classes are frozen, what changes in them is atomic or under a lock that is not held while Python code
//!   runs; two threads in one `_BatchIterator` get RuntimeError from PyO3's borrow flag. One thing is the caller's, as with every
//!   buffer: not to change a bytearray on one thread while another sends it.
//!
//! `dag/`, `event_loop.rs`, `native_future/`, `pool.rs`, `redis/`, `runtime.rs`, `port/` and `supervisor/` hold a class or two each; what they share is in `callback.rs`,
//! `detached.rs`, `errors.rs`, `report.rs`, `wait.rs` and `address.rs`.

mod address;
mod async_signal;
mod callback;
mod child;
mod connect;
mod ctrl_c;
mod dag;
mod descriptors;
mod detached;
mod errors;
mod event;
mod event_loop;
mod exit;
mod future;
mod line;
mod listener;
mod log;
mod native_future;
mod observe;
mod pool;
mod port;
mod posts;
mod process_pool;
mod redis;
mod report;
mod runtime;
mod signal;
mod sleep;
mod source;
mod stream;
mod stream_options;
mod supervisor;
mod thread_state;
mod timer;
mod udp;
mod wait;
mod watch;
mod with;

use pyo3::prelude::*;

/// The native half of libcoop. Import `libcoop` instead.
#[pymodule(gil_used = false)]
mod _libcoop {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        async_signal::Async,
        dag::{Dag, NodeEnd, RunHandle},
        event::Event,
        event_loop::EventLoop,
        future::Operation,
        listener::Listener,
        log::flush,
        native_future::Future,
        pool::{NativePool, NativeView, refuse_calls},
        port::{Batch, PortContext, PortSet, PortStats, ServedPort, begin_port},
        process_pool::{CallServer, NativeProcessPool, NativeProcessPoolView},
        redis::{NativeRedis, NativeSubscriber, RedisCall, RedisInbox, RedisSource},
        runtime::Runtime,
        signal::{Signal, is_watched},
        stream::Stream,
        supervisor::{
            AskedTurn, Ended, LogChannel, LogSender, NativeCommand, NativeExecutor, NativeHost, NativeService,
            NativeSupervisor, NativeZygote, Observer, ServiceContext, ServiceEnd, ServiceEvent, TakenSignals, Turn,
            fork::{die_with_parent, fork_sibling, other_threads},
            on_asyncio, on_thread,
            worker::{begin_run, run_begun, run_failed},
        },
        thread_state::{after_fork, leave_threads},
        timer::Timer,
        udp::UdpSocket,
        watch::Watch,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::log::install();
        module.add("__version__", coop_core::VERSION)?;
        module.add("ERRORS", coop_core::error::ERRORS.to_vec())?;
        module.add("coop_api", super::port::coop_api(module.py())?)?;
        module.add("READ", super::watch::READ)?;
        module.add("WRITE", super::watch::WRITE)?;
        module.add("ERROR", super::watch::ERROR)?;
        module.add("HANG_UP", super::watch::HANG_UP)
    }
}
