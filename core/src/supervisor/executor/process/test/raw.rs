//! What safe Rust does not ask of the system, in a process that this program runs again: a sandbox that forbids pidfds, and SIGCHLD ignored.

use super::*;

/// What the sandbox forbids: `pidfd_open`, `pidfd_send_signal`, `clone3`, and `clone` with `CLONE_PIDFD`.
fn forbid_pidfds() {
    let jump = |k: u32, jt: u8, jf: u8| libc::sock_filter { code: 0x15, jt, jf, k };
    let load = |k: u32| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k };
    let answer = |k: u32| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let number = |number: libc::c_long| u32::try_from(number).unwrap();
    let and = libc::sock_filter { code: 0x54, jt: 0, jf: 0, k: libc::CLONE_PIDFD as u32 };
    // The number of the call is at 0, the low half of its first argument at 16. Jumps count from the next instruction.
    let mut program = [
        load(0),
        jump(number(libc::SYS_pidfd_open), 6, 0),
        jump(number(libc::SYS_pidfd_send_signal), 5, 0),
        jump(number(libc::SYS_clone3), 6, 0),
        jump(number(libc::SYS_clone), 0, 4),
        load(16),
        and,
        jump(0, 1, 0),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let set = |option: libc::c_int, value: libc::c_ulong, filter: *const libc::sock_fprog| {
        // SAFETY: the filter and its program are there for the time of the call, which copies them.
        let set = unsafe { libc::prctl(option, value, filter, 0_u64, 0_u64) };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    };
    set(libc::PR_SET_NO_NEW_PRIVS, 1, std::ptr::null());
    set(libc::PR_SET_SECCOMP, libc::c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const filter);
}

pub(super) fn under_seccomp() -> String {
    forbid_pidfds();
    let own = rustix::process::getpid();
    assert!(rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty()).is_err(), "the filter works");
    let said = Arc::new(Mutex::new(Vec::new()));
    let says = said.clone();
    let sink: crate::log::Sink = Arc::new(move |_, text| says.lock().unwrap().push(text.to_owned()));
    crate::log::set_sink(Some((crate::log::Level::WARN, sink))).unwrap();
    for _ in 0..3 {
        assert_eq!(ended(&silent(shell("echo x; exit 3"))).unwrap(), (Ended::Exited(3), vec!["x".into()]));
    }
    let mut run = begin(&silent(shell("sleep 1000 & wait; sleep 1000"))).unwrap();
    run.running.kill(Because::ShutdownDeadline);
    assert_eq!(run.end().0, Ended::Signaled { signal: libc::SIGKILL, core_dumped: false });
    assert_eq!(refused(Command::new("/no/such/program")).os_errno(), Some(libc::ENOENT));
    let said = said.lock().unwrap();
    assert!(said.iter().filter(|text| text.contains("a thread waits for each child")).count() == 1, "{said:?}");
    "works".into()
}

#[test]
fn a_sandbox_without_pidfds_has_a_thread_for_each_child() {
    assert_eq!(play("under-seccomp"), "works");
}

/// The system then reaps by itself.
pub(super) fn ignore_sigchld() {
    // SAFETY: no handler is installed.
    unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGCHLD, nix::sys::signal::SigHandler::SigIgn) }
        .unwrap();
}
