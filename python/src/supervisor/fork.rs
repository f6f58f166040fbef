//! `libcoop._libcoop._fork_sibling`: a fork whose child is the caller's sibling, so that the host waits for it itself.
//!
//! The C library has no call for that, so the system is asked directly, between the interpreter's own steps before and after a fork.
//!
//! # What holds
//!
//! * The caller is the only thread of its process: no lock of another one's is held in the child for ever.
//! * What the C library does for the thread that goes on in the child is done: its number is written where the library keeps it, and
//!   its list of robust locks, which the system forgets, is told again. Handlers of `pthread_atfork` do not run: the library's
//!   own is called by name; libraries that a preload brings must do without.

use std::{ffi::c_void, fs, io, ptr};

use coop_core::fork;
use pyo3::{exceptions::PyRuntimeError, ffi, prelude::*};

/// The names of this process's threads, without the calling one if it is the main thread.
#[pyfunction]
#[pyo3(name = "_other_threads")]
pub(crate) fn other_threads() -> PyResult<Vec<String>> {
    let main = std::process::id().to_string();
    let mut names = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if task.file_name() != *main {
            // One that has ended meanwhile has none.
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            names.push(name.trim_end().to_owned());
        }
    }
    Ok(names)
}

/// Forks, as `os.fork`, but the child's parent is this process's own. Answers 0 in the child. Raises OSError, and RuntimeError if this
/// process has other threads.
#[pyfunction]
#[pyo3(name = "_fork_sibling")]
pub(crate) fn fork_sibling(py: Python<'_>) -> PyResult<i32> {
    let others = other_threads()?;
    if !others.is_empty() {
        return Err(PyRuntimeError::new_err(format!("this process has other threads: {}", others.join(", "))));
    }
    let thread = Thread::current()?;
    // SAFETY: this thread is attached, and does what the interpreter asks for: this before, and one of the two below after.
    unsafe { ffi::PyOS_BeforeFork() };
    let pid = thread.clone();
    let error = io::Error::last_os_error();
    if pid == 0 {
        thread.go_on();
        fork::made_without_fork();
        // SAFETY: the counterpart of the call above, in the child, on the thread that goes on there.
        unsafe { ffi::PyOS_AfterFork_Child() };
    } else {
        // SAFETY: the counterpart of the call above, in the parent.
        unsafe { ffi::PyOS_AfterFork_Parent() };
    }
    // What the interpreter's hooks raised was told by it.
    match pid {
        -1 => Err(error.into()),
        pid => py.check_signals().and_then(|()| Ok(i32::try_from(pid)?)),
    }
}

/// Has the system kill this process when the thread of its parent ends that made it.
#[pyfunction]
#[pyo3(name = "_die_with_parent")]
pub(crate) fn die_with_parent() -> PyResult<()> {
    // SAFETY: takes no memory of this process.
    let told = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_ulong::from(libc::SIGKILL.unsigned_abs()), 0_u64, 0_u64, 0_u64)
    };
    if told == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}

/// Where the system and the C library keep what they share of the calling thread.
struct Thread {
    /// Its number; cleared, and waited for, at the thread's end.
    number: *mut libc::pid_t,
    robust: *mut c_void,
    robust_size: usize,
}

impl Thread {
    fn current() -> io::Result<Self> {
        let mut thread = Self { number: ptr::null_mut(), robust: ptr::null_mut(), robust_size: 0 };
        // SAFETY: the place for the address is there.
        let told = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut thread.number, 0_u64, 0_u64, 0_u64) };
        if told != 0 {
            let error = io::Error::last_os_error();
            let what = "this kernel does not tell where a thread's number is kept (CONFIG_CHECKPOINT_RESTORE)";
            return Err(io::Error::other(format!("{what}: {error}")));
        }
        // SAFETY: has no preconditions.
        let own = unsafe { libc::gettid() };
        // A C library that keeps something else there must not have it overwritten.
        // SAFETY: the address is this thread's, told by the system, and of a number of this size.
        if thread.number.is_null() || unsafe { thread.number.read() } != own {
            return Err(io::Error::other("this C library does not keep a thread's number where the system clears it"));
        }
        // SAFETY: the places for the address and the size are there; 0 is the calling thread.
        unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut thread.robust, &raw mut thread.robust_size) };
        Ok(thread)
    }

    /// 0 in the child, -1 for an error of the system.
    fn clone(&self) -> libc::c_long {
        let flags = libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
        let (none, number) = (ptr::null_mut::<c_void>(), self.number.cast::<c_void>());
        // SAFETY: without a stack of its own and CLONE_VM this is a fork: the child goes on here, in a copy of this memory, in
        // which this is the only thread. The system writes the child's number in the child, to where this thread's was.
        #[cfg(target_arch = "x86_64")]
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), none, none, number, none) };
        // Elsewhere the thread's own storage comes before its number.
        // SAFETY: as above.
        #[cfg(not(target_arch = "x86_64"))]
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), none, none, none, number) };
        pid
    }

    /// In the child: what the system has not taken over.
    fn go_on(&self) {
        if !self.robust.is_null() {
            // SAFETY: it was this thread's list in the parent, and is its copy here.
            unsafe { libc::syscall(libc::SYS_set_robust_list, self.robust, self.robust_size) };
        }
    }
}
