//! Making a child process: the one file with `unsafe` in it, since between a child's creation and its program nothing safe is left.
//!
//! # What holds
//!
//! * The child shares this process's memory and runs on a stack of its own while the calling thread waits (`CLONE_VM | CLONE_VFORK`): it
//!   costs the same however large this process is, and no handler of `fork` runs.
//! * Between its creation and `execve` the child makes system calls and nothing else: no allocation, no lock, no function of the C
//!   library that has a state (its `setuid` would tell the *parent's* threads), so the calls are made by number.
//! * Every signal is blocked in the calling thread until the child has its program, and in the child until no handler of this process is left in it.
//! * A step that fails is told in memory, with its number and the system's; the child is then reaped here, and leaves nothing.
//! * The child is killed when the *thread* that made it ends: a caller's thread has to outlive it.
//!
//! # Order of the steps
//!
//! What needs privileges comes before they are given up; the signal for the parent's death after it, since a change of identity takes it
//! away, and the look whether the parent is still there after that. A descriptor that stands where another is to go is moved
//! out of the way first, so no order of them overwrites one. (A program with setuid bits or capabilities of its own is started without the signal
//! for the parent's death: the system's rule.)

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicI32, Ordering},
};

use libc::{c_char, c_int, c_long, c_uint, c_void};

use super::plan::{PID_DIGITS, Plan};
use crate::error::{Error, Result};

/// The child's stack: a few frames. What is not touched costs nothing.
const STACK: usize = 128 * 1024;
/// Below it, so that it cannot grow into anything: as large as the largest page.
const GUARD: usize = 64 * 1024;
/// Numbers of signals are 1 to 64 on every Linux that is supported.
const SIGNALS: c_long = 64;
/// The size of the system's set of signals.
const SIGNAL_SET: usize = 8;

/// A child that runs its program.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: i32,
    /// `None`: this system has none, or forbids it.
    pub(super) pidfd: Option<OwnedFd>,
}

/// What the child was doing when it failed; with an index, where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
enum Step {
    None = 0,
    Group,
    Cpus,
    Limit,
    Nice,
    Directory,
    Groups,
    Gid,
    Uid,
    DeathSignal,
    Orphan,
    Descriptor,
    Signals,
    Exec,
}

const STEPS: [Step; 14] = [
    Step::None,
    Step::Group,
    Step::Cpus,
    Step::Limit,
    Step::Nice,
    Step::Directory,
    Step::Groups,
    Step::Gid,
    Step::Uid,
    Step::DeathSignal,
    Step::Orphan,
    Step::Descriptor,
    Step::Signals,
    Step::Exec,
];

/// What the child reads, and the little that it writes. It lives on the stack of the calling thread, which waits meanwhile.
struct Shared<'a> {
    plan: &'a Plan,
    argv: &'a [*const c_char],
    env: &'a [*const c_char],
    /// Where the digits of its process id go.
    pids: &'a [*mut u8],
    fds: &'a mut [(RawFd, RawFd)],
    limits: &'a [(c_int, libc::rlimit64)],
    parent: libc::pid_t,
    step: AtomicI32,
    index: AtomicI32,
    errno: AtomicI32,
}

/// Runs it.
///
/// # Errors
/// [`Error::Os`], which names the step and what it was made with, for what the system refuses.
pub(super) fn spawn(plan: &mut Plan) -> Result<Spawned> {
    let mut fds = plan.fds.clone();
    // Taken as mutable before any other pointer into the same strings is made: the child writes through these.
    let starts: Vec<*mut u8> = plan.env.iter_mut().map(Vec::as_mut_ptr).collect();
    let pids: Vec<*mut u8> = plan.pids.iter().map(|(entry, at)| starts[*entry].wrapping_add(*at)).collect();
    let with_null =
        |pointers: &mut dyn Iterator<Item = *const c_char>| pointers.chain([ptr::null()]).collect::<Vec<_>>();
    let env = with_null(&mut starts.iter().map(|start| start.cast_const().cast()));
    let argv = with_null(&mut plan.argv.iter().map(|arg| arg.as_ptr()));
    let limits: Vec<_> = plan
        .limits
        .iter()
        .map(|limit| {
            let value = |limit: Option<u64>| limit.unwrap_or(libc::RLIM64_INFINITY);
            (limit.resource.number(), libc::rlimit64 { rlim_cur: value(limit.soft), rlim_max: value(limit.hard) })
        })
        .collect();
    let stack = Stack::new()?;
    let mut shared = Shared {
        plan,
        argv: &argv,
        env: &env,
        pids: &pids,
        fds: &mut fds,
        limits: &limits,
        // SAFETY: has no preconditions.
        parent: unsafe { libc::getpid() },
        step: AtomicI32::new(Step::None as i32),
        index: AtomicI32::new(0),
        errno: AtomicI32::new(0),
    };
    let (pid, pidfd) = create(&stack, &mut shared)?;
    let step = shared.step.load(Ordering::Acquire);
    if step == Step::None as i32 {
        return Ok(Spawned { pid, pidfd });
    }
    // It has ended, or is about to. Somebody who waits for every child may have been faster.
    let mut status = 0;
    // SAFETY: `status` is a place for the status.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } == -1 && last_errno() == libc::EINTR {}
    let (index, errno) = (shared.index.load(Ordering::Acquire), shared.errno.load(Ordering::Acquire));
    Err(super::failure::explain(plan, &what(step, index, plan), errno))
}

/// What a failed step was, in words.
fn what(step: i32, index: i32, plan: &Plan) -> super::failure::Failed {
    use super::failure::Failed;
    let index = usize::try_from(index).unwrap_or(0);
    let step = usize::try_from(step).ok().and_then(|step| STEPS.get(step)).copied().unwrap_or(Step::None);
    let text = match step {
        Step::Exec => return Failed::Exec,
        Step::Directory => return Failed::Directory,
        Step::None | Step::Signals => "give a child the signals of a new process".into(),
        Step::Group if plan.new_session => "make a session for a child".into(),
        Step::Group => "make a process group for a child".into(),
        Step::Cpus => format!("give a child the CPUs {}", plan.cpus),
        Step::Limit => match plan.limits.get(index) {
            Some(limit) => {
                format!("limit {:?} of a child to {:?} of {:?}", limit.resource.name(), limit.soft, limit.hard)
            }
            None => "limit a child".into(),
        },
        Step::Nice => format!("make a child nice {}", plan.nice.unwrap_or(0)),
        Step::Groups => format!("give a child the groups {:?}", plan.groups.as_deref().unwrap_or_default()),
        Step::Gid => format!("run a child as group {}", plan.gid.unwrap_or(0)),
        Step::Uid => format!("run a child as user {}", plan.uid.unwrap_or(0)),
        Step::DeathSignal => "have a child killed with its parent".into(),
        Step::Orphan => "start a child: the thread that makes it has gone".into(),
        Step::Descriptor => match plan.fds.get(index) {
            Some((from, to)) => format!("give a child descriptor {from} as {to}"),
            None => "give a child a descriptor".into(),
        },
    };
    Failed::Other(text)
}

/// Makes the child and waits until it has its program or has failed. A pidfd that is refused is done without.
fn create(stack: &Stack, shared: &mut Shared<'_>) -> Result<(i32, Option<OwnedFd>)> {
    const FLAGS: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let no_pidfd = shared.plan.no_pidfd;
    let arg = ptr::from_mut(shared).cast::<c_void>();
    let blocked = Blocked::all();
    // An old kernel leaves it as it is.
    let mut pidfd: c_int = -1;
    let mut pid = -1;
    if !no_pidfd {
        // SAFETY: `child` runs on a stack of its own with `arg`, which outlives it as this thread waits (CLONE_VFORK); the kernel
        // writes the descriptor to `pidfd`.
        pid = unsafe { libc::clone(child, stack.top(), FLAGS | libc::CLONE_PIDFD, arg, &raw mut pidfd) };
    }
    if no_pidfd || (pid == -1 && matches!(last_errno(), libc::EINVAL | libc::ENOSYS | libc::EPERM)) {
        // SAFETY: as above.
        pid = unsafe { libc::clone(child, stack.top(), FLAGS, arg) };
    }
    let errno = last_errno();
    drop(blocked);
    if pid == -1 {
        return Err(Error::Os { context: "create a process".into(), errno });
    }
    // SAFETY: the kernel has made it for this call, and nobody else knows it.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}

/// Allocates nothing; also the child's, whose calls leave it in the waiting thread's place.
fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Sends a signal to the process group that a child leads, or led: by a pidfd to that very group, whatever has become of the
/// number. `None`: this kernel (before 6.9) cannot.
pub(super) fn signal_group_of(pidfd: RawFd, signal: i32) -> Option<io::Result<()>> {
    const PIDFD_SIGNAL_PROCESS_GROUP: c_uint = 1 << 2;
    // SAFETY: takes no memory of this process.
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, ptr::null::<c_void>(), PIDFD_SIGNAL_PROCESS_GROUP)
    };
    match io::Error::last_os_error() {
        _ if sent == 0 => Some(Ok(())),
        error if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM)) => None,
        error => Some(Err(error)),
    }
}

/// Sends a signal to the process group of this number, which the caller knows to be a child's still.
/// False if there is none, or nobody of it may be signalled.
pub(super) fn signal_group(leader: i32, signal: i32) -> bool {
    // SAFETY: takes no memory of this process; a number above 1 names one group, not all there are.
    leader > 1 && unsafe { libc::kill(-leader, signal) } == 0
}

/// Sends a signal to the process of a pidfd alone.
pub(super) fn signal_process_of(pidfd: RawFd, signal: i32) {
    // SAFETY: takes no memory of this process.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, ptr::null::<c_void>(), 0) };
}

/// The same by its number, which the caller knows to be a child's still.
pub(super) fn signal_process(pid: i32, signal: i32) {
    if pid > 1 {
        // SAFETY: takes no memory of this process; a number above 1 names one process.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Memory for the child's stack, with a guard below.
struct Stack(*mut c_void);

impl Stack {
    fn new() -> Result<Self> {
        let no_memory = |_| Error::os("map the stack of a child", &io::Error::last_os_error());
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK);
        // SAFETY: new memory, wherever the system puts it.
        let start = unsafe { libc::mmap(ptr::null_mut(), GUARD + STACK, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(no_memory(()));
        }
        let stack = Self(start);
        // SAFETY: the first part of what was mapped above.
        if unsafe { libc::mprotect(start, GUARD, libc::PROT_NONE) } != 0 {
            return Err(no_memory(()));
        }
        Ok(stack)
    }

    /// Stacks grow down on every machine that is supported.
    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(GUARD + STACK)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; the child that ran on it has a memory of its own by now, or has ended.
        unsafe { libc::munmap(self.0, GUARD + STACK) };
    }
}

/// Every signal blocked in this thread, the C library's own too, until it is dropped.
struct Blocked(u64);

impl Blocked {
    fn all() -> Self {
        let mut before = MaybeUninit::zeroed();
        set_mask(u64::MAX, before.as_mut_ptr());
        // SAFETY: zero, or what the system has written.
        Self(unsafe { before.assume_init() })
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(self.0, ptr::null_mut());
    }
}

fn set_mask(mask: u64, before: *mut u64) -> c_long {
    // SAFETY: both sets have the size that is told, and `before` is NULL or a place for one.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, before, SIGNAL_SET) }
}

/// The child, from its creation to `execve`. It never returns to a caller: what it answers is its exit status.
extern "C" fn child(arg: *mut c_void) -> c_int {
    // SAFETY: what `create` has passed; its thread waits, so nobody else uses it.
    let shared = unsafe { &mut *arg.cast::<Shared<'_>>() };
    let (step, index, errno) = steps(shared);
    shared.index.store(index, Ordering::Release);
    shared.errno.store(errno, Ordering::Release);
    shared.step.store(step as i32, Ordering::Release);
    // SAFETY: ends this process, and runs nothing of the parent's.
    unsafe { libc::syscall(libc::SYS_exit_group, 127) };
    127
}

/// A system call by number: -1 and errno, which is the waiting thread's, when it fails.
macro_rules! call {
    ($number:ident $(, $arg:expr)*) => {
        // SAFETY: by number, so that no state of the C library is touched; pointers are to what `Shared` holds.
        unsafe { libc::syscall(libc::$number $(, $arg)*) }
    };
}

/// Each step in its order; answers the one that failed, with an index and errno.
fn steps(shared: &mut Shared<'_>) -> (Step, i32, i32) {
    let plan = shared.plan;
    macro_rules! step {
        ($step:ident, $index:expr, $result:expr) => {
            if $result == -1 {
                return (Step::$step, $index, last_errno());
            }
        };
        ($step:ident, $result:expr) => {
            step!($step, 0, $result)
        };
    }

    // All of them, also those that are ignored, which a program would inherit. Each is the size of the kernel's `sigaction`.
    let default = [0_u64; 4];
    for signal in 1..=SIGNALS {
        if signal != c_long::from(libc::SIGKILL) && signal != c_long::from(libc::SIGSTOP) {
            let none = ptr::null_mut::<c_void>();
            step!(Signals, call!(SYS_rt_sigaction, signal, default.as_ptr(), none, SIGNAL_SET));
        }
    }
    if plan.new_session {
        step!(Group, call!(SYS_setsid));
    } else {
        step!(Group, call!(SYS_setpgid, 0, 0));
    }
    let cpus = plan.cpus.words();
    let set = call!(SYS_sched_setaffinity, 0, size_of_val(cpus), cpus.as_ptr());
    if plan.cpus_wanted {
        step!(Cpus, set);
    }
    let mut index = 0;
    for (resource, limit) in shared.limits {
        step!(Limit, index, call!(SYS_prlimit64, 0, *resource, ptr::from_ref(limit), ptr::null_mut::<c_void>()));
        index = index.wrapping_add(1);
    }
    if let Some(nice) = plan.nice {
        step!(Nice, call!(SYS_setpriority, libc::PRIO_PROCESS, 0, nice));
    }
    if let Some(umask) = plan.umask {
        call!(SYS_umask, umask);
    }
    if let Some(directory) = &plan.directory {
        step!(Directory, call!(SYS_chdir, directory.as_ptr()));
    }
    if let Some(groups) = &plan.groups {
        step!(Groups, call!(SYS_setgroups, groups.len(), groups.as_ptr()));
    }
    if let Some(gid) = plan.gid {
        step!(Gid, call!(SYS_setresgid, gid, gid, gid));
    }
    if let Some(uid) = plan.uid {
        step!(Uid, call!(SYS_setresuid, uid, uid, uid));
    }
    step!(DeathSignal, call!(SYS_prctl, libc::PR_SET_PDEATHSIG, c_long::from(libc::SIGKILL), 0_u64, 0_u64, 0_u64));
    if call!(SYS_getppid) != c_long::from(shared.parent) {
        return (Step::Orphan, 0, libc::ESRCH);
    }
    let pid = call!(SYS_getpid);
    for place in shared.pids {
        write_digits(*place, pid);
    }
    // Where the kernel has it (5.11): whatever was opened without close-on-exec, by whomever.
    call!(SYS_close_range, 3, c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    if let Err((index, errno)) = place_descriptors(shared.fds) {
        return (Step::Descriptor, index, errno);
    }
    let empty = 0_u64;
    step!(Signals, set_mask(empty, ptr::null_mut()));
    call!(SYS_execve, plan.path.as_ptr(), shared.argv.as_ptr(), shared.env.as_ptr());
    (Step::Exec, 0, last_errno())
}

/// The digits of a number from 1, from here on; what follows them is NUL already.
fn write_digits(place: *mut u8, mut number: c_long) {
    let mut digits = 0;
    let mut rest = number;
    while rest > 0 && digits < PID_DIGITS {
        rest /= 10;
        digits = digits.wrapping_add(1);
    }
    while digits > 0 {
        digits = digits.wrapping_sub(1);
        // SAFETY: `Plan` has left room for so many digits and a NUL there, which nobody else reads or writes now.
        unsafe { place.wrapping_add(digits).write(b'0'.wrapping_add((number % 10) as u8)) };
        number /= 10;
    }
}

/// Gives each descriptor its number in the child. Those that stand where another is to go are moved away first.
fn place_descriptors(fds: &mut [(RawFd, RawFd)]) -> std::result::Result<(), (i32, i32)> {
    let is_wanted = |fds: &[(RawFd, RawFd)], number: RawFd| fds.iter().any(|(_, to)| *to == number);
    let mut index = 0;
    while let Some((from, to)) = fds.get(index).copied() {
        let told = index as i32;
        index = index.wrapping_add(1);
        if from == to || !is_wanted(fds, from) {
            continue;
        }
        let mut low = 3;
        let moved = loop {
            let moved = call!(SYS_fcntl, from, libc::F_DUPFD_CLOEXEC, low);
            if moved == -1 {
                return Err((told, last_errno()));
            }
            // One that is wanted itself stays there as a placeholder, until it is overwritten.
            let moved = moved as RawFd;
            if !is_wanted(fds, moved) {
                break moved;
            }
            low = moved.wrapping_add(1);
        };
        if let Some(entry) = fds.get_mut(index.wrapping_sub(1)) {
            entry.0 = moved;
        }
    }
    let mut index = 0_i32;
    for (from, to) in fds.iter().copied() {
        let placed = if from == to { call!(SYS_fcntl, from, libc::F_SETFD, 0) } else { call!(SYS_dup3, from, to, 0) };
        if placed == -1 {
            return Err((index, last_errno()));
        }
        index = index.wrapping_add(1);
    }
    Ok(())
}
