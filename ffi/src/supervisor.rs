//! The verbs of a supervisor, which is an id of its host.

use std::{
    ffi::{c_char, c_void},
    sync::Arc,
};

use coop_core::{
    Result,
    supervisor::{Args, ServiceId, Supervisor},
};

use crate::{
    child_info::{self, coop_child_counts, coop_child_info_callback, coop_child_spec_callback},
    command::strings,
    foreign::DropArg,
    guard::{guard, guard_wait},
    handle::{null, wanted},
    host::coop_host,
    options::{self, Options},
    service::{GiveBack, Given, coop_service_options},
    status::coop_status,
    supervisor_options::{self, coop_supervisor_options},
};

/// Names a service, or a supervisor, of one host; never 0, and never used again for another one.
pub type coop_service_id = u64;

/// What one child of a template is given. Zero in any field but size is nothing.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_child_args {
    /// sizeof(coop_child_args).
    pub size: usize,
    /// For a process: behind the arguments of the template's command; C strings, the last followed by NULL. Copied.
    pub argv: *const *const c_char,
    /// For a function, in the place of argv: what coop_service_context_value answers.
    pub value: *mut c_void,
    /// Called once with value, when the child is forgotten; never when the call that took it failed. May be NULL.
    pub drop: Option<unsafe extern "C" fn(value: *mut c_void)>,
}

// SAFETY: four words (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_child_args {
    const NAME: &'static str = "coop_child_args";
    const FIRST: usize = size_of::<Self>();
}

/// A value of C's for one child, dropped once, unless it went back to the caller.
pub(crate) type Value = Given<()>;

/// Adds a service that comes back whenever its supervisor is restarted.
///
/// Before coop_host_start the service is only noted. After it the service is started, and this waits until it is ready.
///
/// supervisor: which one of the host; 0 is the root. options: copied, with what they point to; the host owns the entry's argument if this
/// answers COOP_OK. id: set to the service's id; may be NULL.
///
/// Any thread but, once the host has started, a loop's that the service's start needs. COOP_E_NULL, COOP_E_INVALID for what options say,
/// with the value and what is allowed; COOP_E_EXISTS if a sibling has its name; COOP_E_STALE if there is no such supervisor (any more);
/// COOP_E_FAILED, COOP_E_OS or COOP_E_TIMEOUT if it could not start: then it is forgotten, and its functions may have run, but are not any more
/// (but for a thread's that ignores its deadline); COOP_E_UNSUPPORTED, COOP_E_WOULD_DEADLOCK, COOP_E_CLOSED once the host has ended, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_add(
    host: *mut coop_host,
    supervisor: coop_service_id,
    options: *const coop_service_options,
    id: *mut coop_service_id,
) -> coop_status {
    guard_wait!({
        // SAFETY: as the header says.
        unsafe { take_service(host, supervisor, options, id, Supervisor::add) }
    })
}

/// Starts a child and waits until it is ready. It lives as long as this run of its supervisor.
///
/// supervisor, options, id, errors: as coop_supervisor_add. Under the strategy simple one for one: COOP_E_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_start_child(
    host: *mut coop_host,
    supervisor: coop_service_id,
    options: *const coop_service_options,
    id: *mut coop_service_id,
) -> coop_status {
    guard_wait!({
        // SAFETY: as the header says.
        unsafe { take_service(host, supervisor, options, id, Supervisor::start_child) }
    })
}

/// Sets what the children of a simple one for one supervisor are made of; it replaces the one before, for children that start from now on.
///
/// supervisor: which one of the host; 0 is the root. options: copied, with what they point to; the host owns the entry's argument if this
/// answers COOP_OK.
///
/// Any thread. COOP_E_INVALID under another strategy and for what options say, and as coop_supervisor_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_template(
    host: *mut coop_host,
    supervisor: coop_service_id,
    options: *const coop_service_options,
) -> coop_status {
    guard_wait!({
        let add = |to: &Supervisor, service| to.template(service).map(|()| ServiceId(0));
        // SAFETY: as the header says.
        unsafe { take_service(host, supervisor, options, std::ptr::null_mut(), add) }
    })
}

/// Starts a child of the template, and waits until it is ready.
///
/// supervisor: which one of the host; 0 is the root. args: copied; NULL is nothing; the host owns args->value if this answers COOP_OK.
/// id: set to the child's id; may be NULL.
///
/// Any thread. COOP_E_INVALID under another strategy and without a template, and as coop_supervisor_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_start_child_with(
    host: *mut coop_host,
    supervisor: coop_service_id,
    args: *const coop_child_args,
    id: *mut coop_service_id,
) -> coop_status {
    guard_wait!({
        // SAFETY: a host that is not freed yet.
        let supervisor = unsafe { coop_host::supervisor(host, supervisor) }?;
        // SAFETY: args are NULL or as long as they say.
        let read = unsafe { options::read(args) }?;
        // SAFETY: a list of C strings that NULL ends.
        let argv = unsafe { strings(read.argv) };
        let mut value = None;
        let args = if !read.value.is_null() || read.drop.is_some() {
            if !argv.is_empty() {
                let text = "coop_child_args has both argv and value: a process takes one, a function the other";
                return Err(coop_core::Error::Invalid(text.into()));
            }
            let drop: Option<DropArg> = read.drop;
            let given = Arc::new(Value::new((), read.value, drop));
            value = Some(given.clone());
            Args::Value(given)
        } else if argv.is_empty() {
            Args::None
        } else {
            let text = |text: &std::ffi::OsStr| {
                let utf8 = text.to_str().map(str::to_owned);
                utf8.ok_or_else(|| {
                    coop_core::Error::Invalid(format!("coop_child_args.argv has {text:?}, which is not UTF-8"))
                })
            };
            Args::Strings(argv.into_iter().map(text).collect::<Result<_>>()?)
        };
        let started = supervisor.start_child_with(args).inspect_err(|_| {
            if let Some(value) = &value {
                value.give_back();
            }
        })?;
        // SAFETY: NULL or a place for a number.
        unsafe { tell(id, started) };
        Ok(())
    })
}

/// Adds a supervisor below another one. Before coop_host_start it is only noted; after it, it is started.
///
/// supervisor: which one of the host; 0 is the root. name, name_length: unique among its siblings: UTF-8, without '/'; copied. options:
/// copied; NULL is all defaults. id: set to its id; may be NULL.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a name or what options say, COOP_E_EXISTS if a sibling has its name, and as coop_supervisor_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_supervisor(
    host: *mut coop_host,
    supervisor: coop_service_id,
    name: *const c_char,
    name_length: usize,
    options: *const coop_supervisor_options,
    id: *mut coop_service_id,
) -> coop_status {
    guard_wait!({
        // SAFETY: a host that is not freed yet.
        let supervisor = unsafe { coop_host::supervisor(host, supervisor) }?;
        if name.is_null() {
            return Err(null("name"));
        }
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(name, name_length, "name") }?.unwrap_or_default();
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { supervisor_options::read(options) }?;
        let made = supervisor.supervisor(name, options)?;
        // SAFETY: NULL or a place for a number.
        unsafe { tell(id, made.id()) };
        Ok(())
    })
}

// A verb on one child of a supervisor, which may wait.
//
// # Safety
// The host is not freed yet.
unsafe fn on_child(
    host: *mut coop_host,
    supervisor: coop_service_id,
    child: coop_service_id,
    verb: impl FnOnce(&Supervisor, ServiceId) -> Result<()>,
) -> coop_status {
    guard_wait!({
        // SAFETY: the caller's promise.
        let supervisor = unsafe { coop_host::supervisor(host, supervisor) }?;
        verb(&supervisor, ServiceId(child))
    })
}

/// Stops a child, waits until it has ended, and keeps its specification (but for a temporary child's).
///
/// supervisor: which one of the host; 0 is the root. child: a child of it.
///
/// Any thread; not the child's own. COOP_E_STALE if there is no such child, COOP_E_WOULD_DEADLOCK from within the child, COOP_E_NULL,
/// COOP_E_CLOSED, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_terminate_child(
    host: *mut coop_host,
    supervisor: coop_service_id,
    child: coop_service_id,
) -> coop_status {
    // SAFETY: a host that is not freed yet.
    unsafe { on_child(host, supervisor, child, |supervisor, child| supervisor.terminate_child(child).map(drop)) }
}

/// Starts a child that does not run, and waits until it is ready.
///
/// supervisor, child: as coop_supervisor_terminate_child.
///
/// Any thread. COOP_E_INVALID if it runs or is being restarted, and as coop_supervisor_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_restart_child(
    host: *mut coop_host,
    supervisor: coop_service_id,
    child: coop_service_id,
) -> coop_status {
    // SAFETY: a host that is not freed yet.
    unsafe { on_child(host, supervisor, child, |supervisor, child| supervisor.restart_child(child).map(drop)) }
}

/// Removes the specification of a child that does not run, for good; its entry's argument is dropped.
///
/// supervisor, child, errors: as coop_supervisor_restart_child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_delete_child(
    host: *mut coop_host,
    supervisor: coop_service_id,
    child: coop_service_id,
) -> coop_status {
    // SAFETY: a host that is not freed yet.
    unsafe { on_child(host, supervisor, child, |supervisor, child| supervisor.delete_child(child).map(drop)) }
}

/// Hand-over: starts a new run of a child, and stops the old one when the new one is ready.
///
/// supervisor, child: as coop_supervisor_terminate_child.
///
/// Any thread. COOP_E_FAILED, COOP_E_OS or COOP_E_TIMEOUT if the new run does not get ready: the old one goes on; and as coop_supervisor_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_replace_child(
    host: *mut coop_host,
    supervisor: coop_service_id,
    child: coop_service_id,
) -> coop_status {
    // SAFETY: a host that is not freed yet.
    unsafe { on_child(host, supervisor, child, |supervisor, child| supervisor.replace_child(child).map(drop)) }
}

/// Shows the children of a supervisor, in the order of their start.
///
/// supervisor: which one of the host; 0 is the root. callback: its function is called for each child, in this thread before this returns,
/// and its argument is dropped then.
///
/// Any thread. COOP_E_STALE if the supervisor has gone, COOP_E_NULL, COOP_E_CLOSED, COOP_E_WOULD_DEADLOCK, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_which_children(
    host: *mut coop_host,
    supervisor: coop_service_id,
    callback: coop_child_info_callback,
) -> coop_status {
    guard!({
        // SAFETY: a host that is not freed yet; the function may free it.
        let supervisor = unsafe { coop_host::supervisor(host, supervisor) }?;
        if callback.r#fn.is_none() {
            return Err(null("callback.fn"));
        }
        let children = supervisor.which_children()?;
        child_info::show_all(&children, callback)
    })
}

/// Counts the children of a supervisor.
///
/// supervisor: which one of the host; 0 is the root. out: its size says how much of it is filled.
///
/// Any thread. COOP_E_INVALID for a size, and as coop_supervisor_which_children.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_count_children(
    host: *mut coop_host,
    supervisor: coop_service_id,
    out: *mut coop_child_counts,
) -> coop_status {
    guard!({
        // SAFETY: a host that is not freed yet.
        let supervisor = unsafe { coop_host::supervisor(host, supervisor) }?;
        wanted(out, "out")?;
        let counts = coop_child_counts::of(supervisor.count_children()?);
        // SAFETY: `out` is there, and as long as it says.
        unsafe { options::write(&counts, out) }
    })
}

/// Shows what is known of a child, with every default filled in.
///
/// supervisor, child: as coop_supervisor_terminate_child. callback: its function is called once, in this thread before this returns, and
/// its argument is dropped then.
///
/// Any thread. COOP_E_STALE if there is no such child, and as coop_supervisor_which_children.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_get_childspec(
    host: *mut coop_host,
    supervisor: coop_service_id,
    child: coop_service_id,
    callback: coop_child_spec_callback,
) -> coop_status {
    guard!({
        // SAFETY: a host that is not freed yet; the function may free it.
        let supervisor = unsafe { coop_host::supervisor(host, supervisor) }?;
        if callback.r#fn.is_none() {
            return Err(null("callback.fn"));
        }
        let spec = supervisor.get_childspec(ServiceId(child))?;
        child_info::show_spec(&spec, callback)
    })
}

/// The child of a name.
///
/// supervisor: which one of the host; 0 is the root. name, name_length: UTF-8. id: set to the child's id; to 0 if there is none.
///
/// Any thread. As coop_supervisor_which_children.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_supervisor_find(
    host: *mut coop_host,
    supervisor: coop_service_id,
    name: *const c_char,
    name_length: usize,
    id: *mut coop_service_id,
) -> coop_status {
    guard!({
        // SAFETY: a host that is not freed yet.
        let supervisor = unsafe { coop_host::supervisor(host, supervisor) }?;
        wanted(id, "id")?;
        if name.is_null() {
            return Err(null("name"));
        }
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(name, name_length, "name") }?.unwrap_or_default();
        let found = supervisor.find(&name)?;
        // SAFETY: a place for a number.
        unsafe { tell(id, found.unwrap_or(ServiceId(0))) };
        Ok(())
    })
}

/// # Safety
/// `id` is NULL or a place for a number.
unsafe fn tell(id: *mut coop_service_id, told: ServiceId) {
    if !id.is_null() {
        // SAFETY: the caller's promise.
        unsafe { id.write(told.0) };
    }
}

/// Reads a service and hands it to a supervisor; if that fails, its argument goes back to the caller.
///
/// # Safety
/// A host that is not freed yet, options that are NULL or as long as they say, `id` as of [`tell`].
unsafe fn take_service(
    host: *mut coop_host,
    supervisor: coop_service_id,
    options: *const coop_service_options,
    id: *mut coop_service_id,
    verb: impl FnOnce(&Supervisor, coop_core::supervisor::Service) -> Result<ServiceId>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let to = unsafe { coop_host::supervisor(host, supervisor) }?;
    // SAFETY: the caller's promise.
    let (service, handed_over) = unsafe { coop_service_options::take(options) }?;
    match verb(&to, service) {
        Ok(made) => {
            // SAFETY: the caller's promise.
            unsafe { tell(id, made) };
            Ok(())
        }
        Err(error) => {
            handed_over.iter().for_each(|each| each.give_back());
            Err(error)
        }
    }
}
