//! `coop_command`: what a process is made of.

use std::{
    ffi::{CStr, OsStr, c_char, c_void},
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::Arc,
    time::SystemTime,
};

use coop_core::{
    Error, Result,
    supervisor::{
        AsyncProcess, Executor,
        executor::process::{
            Command, Descriptor, Process, Resource,
            output::{Format, Line, Output, Sink, Stream},
        },
    },
};

use crate::{
    cpu_set::coop_cpu_set,
    handle::null,
    options::{self, Options, array, flag, text},
    service::{Given, HandedOver},
    service_event::{Texts, coop_text},
    supervisor_options::nanos,
    tsan::Inside,
};

/// coop_command.uid holds.
pub const COOP_COMMAND_UID: u32 = 1;
/// coop_command.gid holds.
pub const COOP_COMMAND_GID: u32 = 2;
/// coop_command.groups holds, also if there are none.
pub const COOP_COMMAND_GROUPS: u32 = 4;
/// coop_command.umask holds.
pub const COOP_COMMAND_UMASK: u32 = 8;
/// coop_command.nice holds.
pub const COOP_COMMAND_NICE: u32 = 16;

/// What a process writes goes to output_fd, each line after its service's name: "root/web | text".
pub const COOP_OUTPUT_PREFIXED: i32 = 0;
/// What a process writes goes to output_fd, each line as an object of JSON.
pub const COOP_OUTPUT_JSON: i32 = 1;
/// What a process writes goes nowhere; the last lines are kept for the event of its end.
pub const COOP_OUTPUT_NULL: i32 = 2;
/// A process writes where this one does, and nothing is kept.
pub const COOP_OUTPUT_INHERIT: i32 = 3;
/// Each line that a process writes is handed to on_line.
pub const COOP_OUTPUT_LINES: i32 = 4;

/// A line that a process has written. It is there until the function returns. Later versions may add fields at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_line {
    /// The bytes of this struct that the library has filled in.
    pub size: usize,
    /// When it was read: nanoseconds since 1970, by the system's clock.
    pub time_ns: i64,
    /// The service's names from the root down, joined by '/'.
    pub service: coop_text,
    /// Without its newline; what is no UTF-8 is replaced.
    pub text: coop_text,
    /// So many lines were dropped here, as on_line was too slow, which text says too; 0 for a line of the process's.
    pub dropped: u64,
    /// The process.
    pub pid: i32,
    /// 1 for its output, 2 for its error output.
    pub stream: i32,
    /// 1: it was cut here, and the next line of this stream goes on with it.
    pub goes_on: i32,
    /// 0.
    pub reserved: i32,
}

/// Called with each line of a process, from a thread of the library's, one after another. drop(arg) is called once, when the service was
/// forgotten; never when the call that took it failed. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_line_callback {
    /// line: there until the function returns.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, line: *const coop_line)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

type OnLine = unsafe extern "C" fn(arg: *mut c_void, line: *const coop_line);

/// A limit of a process: setrlimit(2).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_limit {
    /// RLIMIT_NOFILE, RLIMIT_CORE, ...
    pub resource: i32,
    /// Must be 0.
    pub reserved: i32,
    /// What holds; COOP_NONE is unlimited.
    pub soft: i64,
    /// How far the process may raise it; COOP_NONE is unlimited.
    pub hard: i64,
}

/// A descriptor that a process is given.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_descriptor {
    /// The caller's: duplicated by the call, and still the caller's.
    pub fd: i32,
    /// Its number in the process. As 0 it is its input; 1 and 2 are then not captured.
    pub number: i32,
}

/// A socket that a process is to serve, told to it as systemd tells it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_listen_socket {
    /// What it is called in LISTEN_FDNAMES: printable ASCII without ':' and spaces.
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// The caller's: duplicated by the call, and still the caller's.
    pub fd: i32,
    /// Must be 0.
    pub reserved: i32,
}

/// A program to be run as a process. All of it is copied. Zero in any field but size and argv is the default.
///
/// Unless told otherwise the process has this one's environment at the time of each start, its directory, identity and limits, the
/// CPUs that it had at first, no signal blocked or ignored, /dev/null as its input, and no other descriptor than those named here.
/// It leads a process group of its own, and ends with the host.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_command {
    /// sizeof(coop_command).
    pub size: usize,
    /// As execv(3) takes it: C strings, the last followed by NULL. The first is the program: a path if it has a '/' in it, else looked
    /// for in the PATH of the process's environment. NULL: this program without arguments, which only a worker may be.
    pub argv: *const *const c_char,
    /// "NAME=VALUE" sets a variable, "NAME" takes it away; the last followed by NULL. NULL: as it is.
    pub env: *const *const c_char,
    /// Its working directory; NULL is this process's.
    pub directory: *const c_char,
    /// The bytes of directory.
    pub directory_length: usize,
    /// Its supplementary groups, if has says so.
    pub groups: *const u32,
    /// How many.
    pub groups_count: usize,
    /// Its limits.
    pub limits: *const coop_limit,
    /// How many.
    pub limits_count: usize,
    /// Descriptors that it is given.
    pub descriptors: *const coop_descriptor,
    /// How many.
    pub descriptors_count: usize,
    /// Sockets that it is to serve: in their order from number 3, with LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES in its environment.
    pub listen: *const coop_listen_socket,
    /// How many.
    pub listen_count: usize,
    /// Which CPUs it may use; words NULL is any that this process had at first.
    pub cpus: coop_cpu_set,
    /// Which of the next fields (and groups) hold, where zero has a meaning: COOP_COMMAND_* or'ed.
    pub has: u32,
    /// Run it as this user; then it has no supplementary groups unless they are given.
    pub uid: u32,
    /// Run it as this group.
    pub gid: u32,
    /// Which permissions its new files do not get.
    pub umask: u32,
    /// How nice it is to others: -20 to 19.
    pub nice: i32,
    /// The signal that asks it to stop. 0: SIGTERM.
    pub stop_signal: i32,
    /// 1: its environment holds what env sets, and nothing else.
    pub env_clear: i32,
    /// 1: it leads a session of its own, without a terminal.
    pub new_session: i32,
    /// What becomes of what it writes: one of COOP_OUTPUT_*.
    pub output: i32,
    /// How many of its last lines the event of its end has. 0: 20. COOP_NONE: none.
    pub tail: i32,
    /// Beside COOP_OUTPUT_PREFIXED and COOP_OUTPUT_JSON: where to, duplicated by the call. 0: this process's error output.
    pub output_fd: i32,
    /// Must be 0.
    pub reserved: i32,
    /// Beside COOP_OUTPUT_LINES: what is called with each line.
    pub on_line: coop_line_callback,
}

// SAFETY: words and numbers that fill 192 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_command {
    const NAME: &'static str = "coop_command";
    const FIRST: usize = size_of::<Self>();
}

/// A list of C strings that NULL ends; NULL is none.
///
/// # Safety
/// Each up to the NULL is a C string, for as long as it is used.
pub(crate) unsafe fn strings<'a>(list: *const *const c_char) -> Vec<&'a OsStr> {
    let mut found = Vec::new();
    if !list.is_null() {
        loop {
            // SAFETY: not past the NULL that ends the list.
            let text = unsafe { list.wrapping_add(found.len()).read() };
            if text.is_null() {
                break;
            }
            // SAFETY: the caller's promise.
            found.push(OsStr::from_bytes(unsafe { CStr::from_ptr(text) }.to_bytes()));
        }
    }
    found
}

/// A copy of a descriptor of the caller's.
fn duplicate(fd: i32, name: &str) -> Result<OwnedFd> {
    let invalid = || Error::Invalid(format!("{name} is {fd}: it must be an open descriptor"));
    if fd < 0 {
        return Err(invalid());
    }
    // SAFETY: not -1; whether it is open is what the call finds out.
    let theirs = unsafe { BorrowedFd::borrow_raw(fd) };
    theirs.try_clone_to_owned().map_err(|error| match error.raw_os_error() {
        Some(libc::EBADF) => invalid(),
        _ => Error::os("duplicate a descriptor for a command", &error),
    })
}

fn limit_of(value: i64, name: &str) -> Result<Option<u64>> {
    match u64::try_from(value) {
        Ok(value) => Ok(Some(value)),
        Err(_) if value == -1 => Ok(None),
        Err(_) => Err(Error::Invalid(format!("{name} is {value}: allowed are numbers from 0, or COOP_NONE"))),
    }
}

/// What runs a command.
///
/// # Safety
/// `command` is not NULL and is as long as its size says, and so is what it points to.
pub(crate) unsafe fn process(command: *const coop_command) -> Result<(Arc<dyn Executor>, HandedOver)> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(command) }?;
    if read.argv.is_null() {
        return Err(null("coop_command.argv"));
    }
    // SAFETY: the caller's promise.
    let mut process = Process::new(unsafe { command_of(&read) }?);
    let (output, handed_over) = output(&read)?;
    process.output = output;
    Ok((Arc::new(process), handed_over))
}

/// What runs an entry of a program's workers: this one's, unless a command says otherwise.
///
/// # Safety
/// `command` is NULL, or as for [`process`].
pub(crate) unsafe fn worker(entry: &str, command: *const coop_command) -> Result<(Arc<dyn Executor>, HandedOver)> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(command) }?;
    // SAFETY: the caller's promise.
    let made = AsyncProcess::of(entry, unsafe { command_of(&read) }?);
    let (output, handed_over) = output(&read)?;
    Ok((made.output(output), handed_over))
}

/// What a set's workers are: this program, unless it says otherwise.
///
/// # Safety
/// `command` is not NULL, and as for [`process`].
pub(crate) unsafe fn port_workers(command: *const coop_command) -> Result<(Command, Output)> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(command) }?;
    if read.output == COOP_OUTPUT_LINES {
        let text =
            "coop_command.output is COOP_OUTPUT_LINES: what the workers of a port set write is handed to no function";
        return Err(Error::Unsupported(text.into()));
    }
    // SAFETY: the caller's promise.
    Ok((unsafe { command_of(&read) }?, output(&read)?.0))
}

fn output(read: &coop_command) -> Result<(Output, HandedOver)> {
    let (sink, handed_over) = sink(read)?;
    let tail = match read.tail {
        0 => Output::default().tail,
        -1 => 0,
        given => usize::try_from(given).map_err(|_| {
            Error::Invalid(format!("coop_command.tail is {given}: allowed are numbers from 0, or COOP_NONE"))
        })?,
    };
    Ok((Output { stdout: sink.clone(), stderr: sink, tail }, handed_over))
}

fn sink(read: &coop_command) -> Result<(Sink, HandedOver)> {
    options::reserved(read.reserved, "coop_command.reserved")?;
    let given: Option<OnLine> = read.on_line.r#fn;
    let lines = match (given, read.output) {
        (Some(run), COOP_OUTPUT_LINES) => {
            let given = Arc::new(Given::new(run, read.on_line.arg, read.on_line.drop));
            let called = given.clone();
            return Ok((Sink::Lines(Arc::new(move |line| called.call_with(line))), vec![given]));
        }
        (None, COOP_OUTPUT_LINES) => return Err(null("coop_command.on_line.fn")),
        (Some(_), other) => {
            let text = format!("coop_command.on_line is set, and output is {other}: it must be COOP_OUTPUT_LINES");
            return Err(Error::Invalid(text));
        }
        (None, other) => other,
    };
    let write = |format| {
        let to = match read.output_fd {
            0 => None,
            fd => Some(Descriptor::from(duplicate(fd, "coop_command.output_fd")?)),
        };
        Ok((Sink::Write { to, format }, Vec::new()))
    };
    match lines {
        COOP_OUTPUT_PREFIXED => write(Format::Prefixed),
        COOP_OUTPUT_JSON => write(Format::Json),
        _ if read.output_fd != 0 => Err(Error::Invalid(format!(
            "coop_command.output_fd is {}, and output is {lines}: only COOP_OUTPUT_PREFIXED and COOP_OUTPUT_JSON write to it",
            read.output_fd
        ))),
        COOP_OUTPUT_NULL => Ok((Sink::Null, Vec::new())),
        COOP_OUTPUT_INHERIT => Ok((Sink::Inherit, Vec::new())),
        other => {
            let allowed = "PREFIXED is 0, JSON 1, NULL 2, INHERIT 3, LINES 4";
            Err(Error::Invalid(format!("output {other} is out of range: COOP_OUTPUT_{allowed}")))
        }
    }
}

impl Given<OnLine> {
    fn call_with(&self, line: &Line) {
        let mut texts = Texts::default();
        let shown = coop_line {
            size: size_of::<coop_line>(),
            time_ns: nanos(line.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            service: texts.add(&line.service),
            text: texts.add(&line.text),
            dropped: line.dropped,
            pid: line.pid,
            stream: match line.stream {
                Stream::Stdout => 1,
                Stream::Stderr => 2,
            },
            goes_on: i32::from(line.goes_on),
            reserved: 0,
        };
        let _inside = Inside::after_others(self.arg);
        // SAFETY: C gave the function for this argument; what is shown outlives the call.
        unsafe { (self.functions)(self.arg, &shown) };
    }
}

/// # Safety
/// What it points to is as long as it says.
unsafe fn command_of(read: &coop_command) -> Result<Command> {
    let mut made = if read.argv.is_null() {
        AsyncProcess::this_program()
    } else {
        // SAFETY: the caller's promise.
        Command::from_argv(unsafe { strings(read.argv) })
    };
    if flag(read.env_clear, "coop_command.env_clear")? {
        made = made.env_clear();
    }
    // SAFETY: the caller's promise.
    for variable in unsafe { strings(read.env) } {
        let bytes = variable.as_bytes();
        made = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => made.env(OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..])),
            None => made.env_remove(variable),
        };
    }
    // SAFETY: the caller's promise.
    if let Some(directory) = unsafe { options::path(read.directory, read.directory_length, "coop_command.directory") }?
    {
        made = made.directory(directory);
    }
    made = identity(made, read)?;
    // SAFETY: the caller's promise.
    let limits = unsafe { array(read.limits, read.limits_count, "coop_command.limits") }?;
    for limit in limits {
        options::reserved(limit.reserved, "coop_limit.reserved")?;
        let known = Resource::ALL.iter().find(|known| known.number() == limit.resource);
        let resource = *known.ok_or_else(|| {
            let text = format!("coop_limit.resource is {}: allowed are this system's RLIMIT_*", limit.resource);
            Error::Invalid(text)
        })?;
        made = made.limit(resource, limit_of(limit.soft, "coop_limit.soft")?, limit_of(limit.hard, "coop_limit.hard")?);
    }
    // SAFETY: the caller's promise.
    if let Some(cpus) = unsafe { read.cpus.read() }? {
        made = made.cpus(cpus);
    }
    // SAFETY: the caller's promise.
    for given in unsafe { array(read.descriptors, read.descriptors_count, "coop_command.descriptors") }? {
        made = made.descriptor(given.number, duplicate(given.fd, "coop_descriptor.fd")?);
    }
    // SAFETY: the caller's promise.
    for socket in unsafe { array(read.listen, read.listen_count, "coop_command.listen") }? {
        options::reserved(socket.reserved, "coop_listen_socket.reserved")?;
        // SAFETY: the caller's promise.
        let name = unsafe { text(socket.name, socket.name_length, "coop_listen_socket.name") }?.unwrap_or_default();
        made = made.listen(name, duplicate(socket.fd, "coop_listen_socket.fd")?);
    }
    if flag(read.new_session, "coop_command.new_session")? {
        made = made.new_session();
    }
    if read.stop_signal != 0 {
        made = made.stop_signal(read.stop_signal);
    }
    made.validate()?;
    Ok(made)
}

/// What zero has a meaning for, and so holds only where `has` says so: a field that was set without it is a mistake.
fn identity(mut made: Command, read: &coop_command) -> Result<Command> {
    const ALL: u32 = COOP_COMMAND_UID | COOP_COMMAND_GID | COOP_COMMAND_GROUPS | COOP_COMMAND_UMASK | COOP_COMMAND_NICE;
    if read.has & !ALL != 0 {
        return Err(Error::Invalid(format!(
            "coop_command.has is {}: allowed are COOP_COMMAND_*, up to {ALL}",
            read.has
        )));
    }
    let has = |bit: u32, name: &str, is_set: bool| {
        if is_set && read.has & bit == 0 {
            let upper = name.to_uppercase();
            return Err(Error::Invalid(format!("coop_command.{name} is set, and has lacks COOP_COMMAND_{upper}")));
        }
        Ok(read.has & bit != 0)
    };
    if has(COOP_COMMAND_UID, "uid", read.uid != 0)? {
        made = made.uid(read.uid);
    }
    if has(COOP_COMMAND_GID, "gid", read.gid != 0)? {
        made = made.gid(read.gid);
    }
    if has(COOP_COMMAND_GROUPS, "groups", read.groups_count != 0)? {
        // SAFETY: the caller's promise.
        let groups = unsafe { array(read.groups, read.groups_count, "coop_command.groups") }?;
        made = made.groups(groups.iter().copied());
    }
    if has(COOP_COMMAND_UMASK, "umask", read.umask != 0)? {
        made = made.umask(read.umask);
    }
    if has(COOP_COMMAND_NICE, "nice", read.nice != 0)? {
        made = made.nice(read.nice);
    }
    Ok(made)
}
