//! A command made ready to be run: all that a child needs between its creation and its program, as the system wants it.
//!
//! A child that shares its parent's memory must neither allocate nor take a lock, so whatever does is done here, before it is made.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, Stderr, Stdout},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{Access, access},
    io::Errno,
};

use super::{
    command::{Command, Limit},
    listen,
};
use crate::{
    CpuSet, cpu,
    error::{Error, Result},
    supervisor::worker::about,
};

/// Where programs are if the child's environment does not say.
const PATH: &str = "/usr/bin:/bin";

/// What a service manager tells one process: not its children.
const OURS: [&str; 8] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "MAINPID",
];

/// What a run adds to its command.
#[derive(Debug, Default)]
pub(in super::super) struct Extras<'a> {
    /// Variables that are set whatever the command says.
    pub(in super::super) env: Vec<(&'static str, OsString)>,
    /// Variables whose value is the child's process id.
    pub(in super::super) pid_env: Vec<&'static str>,
    /// What it writes to, if that is captured.
    pub(in super::super) stdout: Option<BorrowedFd<'a>>,
    pub(in super::super) stderr: Option<BorrowedFd<'a>>,
}

/// See the module's text. The descriptors must stay open until the child is made.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(super) path: CString,
    pub(super) argv: Vec<CString>,
    /// `NAME=value` and a NUL each.
    pub(super) env: Vec<Vec<u8>>,
    /// Which of them have the child's process id as their value, and where it begins: [`PID_DIGITS`] and a NUL fit.
    pub(super) pids: Vec<(usize, usize)>,
    pub(super) directory: Option<CString>,
    pub(super) umask: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) groups: Option<Vec<u32>>,
    pub(super) limits: Vec<Limit>,
    pub(super) nice: Option<i32>,
    pub(super) cpus: CpuSet,
    /// A set that the system refuses is an error; the process's own may have been taken from it since.
    pub(super) cpus_wanted: bool,
    /// (from, to): each number that the child has is there once.
    pub(super) fds: Vec<(RawFd, RawFd)>,
    pub(super) new_session: bool,
    pub(super) no_pidfd: bool,
    _null: File,
}

/// The digits of the highest process id.
pub(super) const PID_DIGITS: usize = 10;

impl Plan {
    /// # Errors
    /// What [`Command::validate`] says; [`Error::Os`] for a program that is not in PATH, or without a descriptor left.
    pub(in super::super) fn new(command: &Command, extras: &Extras<'_>) -> Result<Self> {
        command.validate()?;
        let (env, pid_env) = variables(command, extras);
        let path = locate(command, env.get(OsStr::new("PATH")).map(OsString::as_os_str))?;

        let mut entries: Vec<Vec<u8>> = Vec::with_capacity(env.len() + pid_env.len());
        for (name, value) in &env {
            entries.push([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
        let mut pids = Vec::new();
        for name in pid_env {
            pids.push((entries.len(), name.len() + 1));
            entries.push([name.as_bytes(), b"=", &[0; PID_DIGITS + 1]].concat());
        }

        let null = null()?;
        let argv0 = command.arg0.as_ref().unwrap_or(&command.program);
        let argv = [argv0].into_iter().chain(&command.args).map(|arg| c_string(arg)).collect::<Result<_>>()?;
        Ok(Self {
            path: c_string(path.as_os_str())?,
            argv,
            env: entries,
            pids,
            directory: command.directory.as_ref().map(|directory| c_string(directory.as_os_str())).transpose()?,
            umask: command.umask,
            uid: command.uid,
            gid: command.gid,
            groups: command.groups.clone().or_else(|| no_groups(command)),
            limits: command.limits.clone(),
            nice: command.nice,
            cpus: command.cpus.unwrap_or_else(cpu::usable),
            cpus_wanted: command.cpus.is_some(),
            fds: descriptors(command, extras, &null).into_iter().map(|(from, to)| (from.as_raw_fd(), to)).collect(),
            new_session: command.new_session,
            no_pidfd: command.no_pidfd,
            _null: null,
        })
    }
}

/// Another user's process has none of this process's supplementary groups, which may allow more than that user may.
pub(in super::super) fn no_groups(command: &Command) -> Option<Vec<u32>> {
    (command.uid.is_some() && rustix::process::geteuid().is_root()).then(Vec::new)
}

/// What the child's environment is, and the names that have its process id as their value.
pub(in super::super) fn variables(
    command: &Command,
    extras: &Extras<'_>,
) -> (BTreeMap<OsString, OsString>, Vec<&'static str>) {
    let mut env = environment(command, extras);
    let listen = listen::variables(&command.listen);
    env.extend(listen.into_iter().map(|(name, value)| (name.into(), value)));
    let mut pid_env = extras.pid_env.clone();
    pid_env.extend((!command.listen.is_empty()).then_some("LISTEN_PID"));
    env.retain(|name, _| !pid_env.iter().any(|pid| *pid == name));
    (env, pid_env)
}

fn environment(command: &Command, extras: &Extras<'_>) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
    if !command.env_clear {
        env.extend(std::env::vars_os());
        for name in OURS.into_iter().chain(about::VARIABLES) {
            env.remove(OsStr::new(name));
        }
    }
    for (name, value) in &command.env {
        match value {
            Some(value) => env.insert(name.clone(), value.clone()),
            None => env.remove(name),
        };
    }
    env.extend(extras.env.iter().map(|(name, value)| (OsString::from(name), value.clone())));
    env
}

/// The program's path, as the child sees it from its directory.
fn locate(command: &Command, path: Option<&OsStr>) -> Result<PathBuf> {
    let program = Path::new(&command.program);
    if command.program.as_bytes().contains(&b'/') {
        return Ok(program.to_owned());
    }
    let path = path.unwrap_or(OsStr::new(PATH));
    let from = command.directory.as_deref().unwrap_or(Path::new(""));
    let mut why = Errno::NOENT;
    for directory in std::env::split_paths(path) {
        // An empty entry is the current directory.
        let candidate =
            if directory.as_os_str().is_empty() { Path::new(".").join(program) } else { directory.join(program) };
        let seen = from.join(&candidate);
        match access(&seen, Access::EXEC_OK) {
            Ok(()) if seen.is_file() => return Ok(candidate),
            Err(Errno::ACCESS) => why = Errno::ACCESS,
            _ => {}
        }
    }
    Err(Error::Os { context: format!("find program {program:?} in PATH {path:?}"), errno: why.raw_os_error() })
}

/// The file of what is not given.
pub(in super::super) fn null() -> Result<File> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    null.map_err(|error| Error::os("open /dev/null for a child", &error))
}

/// What the child has, and under which number. What is not open here either is `/dev/null` there.
pub(in super::super) fn descriptors<'a>(
    command: &'a Command,
    extras: &Extras<'a>,
    null: &'a File,
) -> Vec<(BorrowedFd<'a>, RawFd)> {
    let mut all: BTreeMap<RawFd, BorrowedFd<'a>> = BTreeMap::new();
    let null = null.as_fd();
    all.insert(0, null);
    for (number, captured, own) in [(1, extras.stdout, own_stdout()), (2, extras.stderr, own_stderr())] {
        // This process's own output, if that is there.
        let own = || if rustix::io::fcntl_getfd(own).is_ok() { own } else { null };
        all.insert(number, captured.unwrap_or_else(own));
    }
    for (number, (_, socket)) in (listen::START..).zip(&command.listen) {
        all.insert(number, socket.as_fd());
    }
    for (number, descriptor) in &command.descriptors {
        all.insert(*number, descriptor.as_fd());
    }
    all.into_iter().map(|(to, from)| (from, to)).collect()
}

fn own_stdout() -> BorrowedFd<'static> {
    static STDOUT: OnceLock<Stdout> = OnceLock::new();
    STDOUT.get_or_init(io::stdout).as_fd()
}

fn own_stderr() -> BorrowedFd<'static> {
    static STDERR: OnceLock<Stderr> = OnceLock::new();
    STDERR.get_or_init(io::stderr).as_fd()
}

fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.to_owned().into_vec()).map_err(|_| Error::Invalid(format!("{text:?} contains a NUL byte")))
}
