//! `coop_systemd_*`: this process as a service of systemd, or of any manager that speaks its protocol, libcoop's hosts among them.

use std::ffi::{c_char, c_void};

use coop_core::{
    Result,
    supervisor::systemd::{self, Systemd},
};

use crate::{
    command::coop_listen_socket,
    foreign::Foreign,
    guard::guard,
    handle::{null, wanted},
    options::{duration, text},
    service_event::Texts,
    status::coop_status,
    supervisor_options::nanos,
    tsan::Inside,
};

/// Called with each socket. drop(arg) is called once, after the last. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_listen_callback {
    /// socket: there until the function returns; the descriptor is the caller's from then on. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, socket: *const coop_listen_socket)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

fn tell(what: impl FnOnce(&Systemd) -> Result<()>) -> Result<()> {
    Systemd::from_environment()?.map_or(Ok(()), |manager| what(&manager))
}

/// Tells the service manager that this process can do its work.
///
/// The manager is the one that NOTIFY_SOCKET in the environment names: systemd, a host, or another one that speaks their protocol. Without it this
/// and the other functions of coop_systemd_* have nobody to tell anything to, and answer COOP_OK.
///
/// Any thread. COOP_E_INVALID for an address that is none, COOP_E_OS if nobody listens there.
#[unsafe(no_mangle)]
pub extern "C" fn coop_systemd_ready() -> coop_status {
    guard!(tell(Systemd::ready))
}

/// Tells the service manager that this process has begun to stop. Any thread. Errors: as coop_systemd_ready.
#[unsafe(no_mangle)]
pub extern "C" fn coop_systemd_stopping() -> coop_status {
    guard!(tell(Systemd::stopping))
}

/// Tells the service manager that this process is alive: at least as often as coop_systemd_watchdog says. Any thread. Errors: as coop_systemd_ready.
#[unsafe(no_mangle)]
pub extern "C" fn coop_systemd_beat() -> coop_status {
    guard!(tell(Systemd::beat))
}

/// Asks the service manager for more time to get ready, or to stop.
///
/// time_ns: nanoseconds from now.
///
/// Any thread. COOP_E_INVALID for another time, and as coop_systemd_ready.
#[unsafe(no_mangle)]
pub extern "C" fn coop_systemd_extend(time_ns: i64) -> coop_status {
    guard!({
        let time = duration(time_ns, "time_ns")?;
        tell(|manager| manager.extend(time))
    })
}

/// Tells the service manager what this process does.
///
/// message, length: UTF-8, one line.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for what is no line, and as coop_systemd_ready.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_systemd_status(message: *const c_char, length: usize) -> coop_status {
    guard!({
        if message.is_null() {
            return Err(null("message"));
        }
        // SAFETY: the text is as long as told.
        let message = unsafe { text(message, length, "message") }?.unwrap_or_default();
        tell(|manager| manager.status(&message))
    })
}

/// How often the service manager wants to hear coop_systemd_beat: half of it is a good interval.
///
/// out_ns: set to nanoseconds; 0: it does not.
///
/// Any thread. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_systemd_watchdog(out_ns: *mut i64) -> coop_status {
    guard!({
        wanted(out_ns, "out_ns")?;
        let every = systemd::watchdog().map_or(0, nanos);
        // SAFETY: a place for a number.
        unsafe { out_ns.write(every) };
        Ok(())
    })
}

/// The sockets that this process was started to serve, by LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES in its environment: coop_command.listen of a host,
/// or a socket unit of systemd. They are closed on exec from now on, and are the caller's: call it once, and close them.
///
/// callback: called with each before this returns, and dropped; never when this failed.
///
/// Any thread, while no other one changes the environment. COOP_E_NULL, COOP_E_INVALID for an environment that contradicts itself, or names
/// descriptors that are not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_systemd_listen_fds(callback: coop_listen_callback) -> coop_status {
    guard!({
        let run: Option<unsafe extern "C" fn(arg: *mut c_void, socket: *const coop_listen_socket)> = callback.r#fn;
        if run.is_none() {
            return Err(null("callback.fn"));
        }
        let sockets = systemd::listen_fds()?;
        let foreign = Foreign::new(run, callback.arg, callback.drop)?;
        for (name, fd) in sockets {
            let mut texts = Texts::default();
            let name = texts.add(&name);
            let shown = coop_listen_socket { name: name.data, name_length: name.length, fd, reserved: 0 };
            let _inside = Inside::after_others(foreign.arg);
            // SAFETY: C gave the function for this argument; what is shown outlives the call.
            unsafe { (foreign.run)(foreign.arg, &shown) };
        }
        Ok(())
    })
}
