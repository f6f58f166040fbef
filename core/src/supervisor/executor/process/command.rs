//! What a process is made of: program, arguments, environment, identity, limits and descriptors.
//!
//! A [`Command`] is a description: nothing is looked up or opened before it is run, and one may be run any number of times.
//! [`Command::validate`] refuses what no system could do; what this one cannot do is an error of the run.
//!
//! Unless told otherwise a child has the environment of this process at the time of the run (without what a service manager has told
//! this process about itself), its directory, identity and limits; the CPUs that this process had at first, whichever the calling thread
//! has; an empty signal mask, no ignored signals, `/dev/null` as its input and no other descriptor than those named here.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{CpuSet, error::Result};

mod check;

/// A descriptor that a command keeps open for its children.
#[derive(Debug, Clone)]
pub struct Descriptor(Arc<OwnedFd>);

/// The same number, which is the same file as long as both are there.
impl PartialEq for Descriptor {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_raw_fd() == other.0.as_raw_fd()
    }
}

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl From<Arc<OwnedFd>> for Descriptor {
    fn from(fd: Arc<OwnedFd>) -> Self {
        Self(fd)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

macro_rules! resources {
    ($($name:ident = $number:ident, $text:literal;)*) => {
        /// What a process may be limited in: see `getrlimit(2)`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Resource {
            $(#[doc = concat!("`", stringify!($number), "`")] $name,)*
        }

        impl Resource {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As in `ulimit`'s and Python's `resource` names, in lower case: `"nofile"`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The system's number.
            pub fn number(self) -> i32 {
                match self {
                    // Of a type that is not the same everywhere.
                    $(Self::$name => libc::$number as i32,)*
                }
            }
        }
    };
}

resources! {
    AddressSpace = RLIMIT_AS, "as";
    Core = RLIMIT_CORE, "core";
    Cpu = RLIMIT_CPU, "cpu";
    Data = RLIMIT_DATA, "data";
    FileSize = RLIMIT_FSIZE, "fsize";
    Locks = RLIMIT_LOCKS, "locks";
    LockedMemory = RLIMIT_MEMLOCK, "memlock";
    MessageQueues = RLIMIT_MSGQUEUE, "msgqueue";
    Nice = RLIMIT_NICE, "nice";
    Files = RLIMIT_NOFILE, "nofile";
    Processes = RLIMIT_NPROC, "nproc";
    ResidentSet = RLIMIT_RSS, "rss";
    RealtimePriority = RLIMIT_RTPRIO, "rtprio";
    RealtimeTime = RLIMIT_RTTIME, "rttime";
    PendingSignals = RLIMIT_SIGPENDING, "sigpending";
    Stack = RLIMIT_STACK, "stack";
}

/// A limit; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Of what.
    pub resource: Resource,
    /// What holds.
    pub soft: Option<u64>,
    /// How far the process may raise it.
    pub hard: Option<u64>,
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    pub(in super::super) program: OsString,
    pub(in super::super) args: Vec<OsString>,
    pub(in super::super) arg0: Option<OsString>,
    pub(in super::super) env_clear: bool,
    pub(in super::super) env: BTreeMap<OsString, Option<OsString>>,
    pub(in super::super) directory: Option<PathBuf>,
    pub(in super::super) umask: Option<u32>,
    pub(in super::super) uid: Option<u32>,
    pub(in super::super) gid: Option<u32>,
    pub(in super::super) groups: Option<Vec<u32>>,
    pub(in super::super) limits: Vec<Limit>,
    pub(in super::super) nice: Option<i32>,
    pub(in super::super) cpus: Option<CpuSet>,
    pub(in super::super) descriptors: Vec<(RawFd, Descriptor)>,
    pub(in super::super) listen: Vec<(String, Descriptor)>,
    pub(in super::super) new_session: bool,
    pub(in super::super) stop_signal: i32,
    pub(in super::super) no_pidfd: bool,
}

impl Command {
    /// Runs `program`: a path if it has a `/` in it (from the child's directory, if relative), else looked for in the `PATH` of the child's
    /// environment.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            arg0: None,
            env_clear: false,
            env: BTreeMap::new(),
            directory: None,
            umask: None,
            uid: None,
            gid: None,
            groups: None,
            limits: Vec::new(),
            nice: None,
            cpus: None,
            descriptors: Vec::new(),
            listen: Vec::new(),
            new_session: false,
            stop_signal: libc::SIGTERM,
            no_pidfd: false,
        }
    }

    /// Runs the first of these with the others as its arguments; an empty list is refused by [`Command::validate`].
    pub fn from_argv<I: IntoIterator<Item: AsRef<OsStr>>>(argv: I) -> Self {
        let mut argv = argv.into_iter();
        let program = argv.next().map_or_else(OsString::new, |program| program.as_ref().to_owned());
        Self::new(program).args(argv)
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// What the program is told it is called, instead of `program`.
    #[must_use]
    pub fn arg0(mut self, arg0: impl AsRef<OsStr>) -> Self {
        self.arg0 = Some(arg0.as_ref().to_owned());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Begins with an empty environment: what is set before and after this holds, nothing else.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    /// Its working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Which permissions its new files do not get.
    #[must_use]
    pub fn umask(mut self, umask: u32) -> Self {
        self.umask = Some(umask);
        self
    }

    /// Runs it as this user. Unless told by [`Command::groups`], it then has no supplementary groups, if this process may take them away.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Runs it as this group.
    #[must_use]
    pub fn gid(mut self, gid: u32) -> Self {
        self.gid = Some(gid);
        self
    }

    /// Its supplementary groups.
    #[must_use]
    pub fn groups(mut self, groups: impl IntoIterator<Item = u32>) -> Self {
        self.groups = Some(groups.into_iter().collect());
        self
    }

    /// Limits it.
    #[must_use]
    pub fn limit(mut self, resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Self {
        self.limits.push(Limit { resource, soft, hard });
        self
    }

    /// How nice it is to others: -20 to 19.
    #[must_use]
    pub fn nice(mut self, nice: i32) -> Self {
        self.nice = Some(nice);
        self
    }

    /// Which CPUs it may use.
    #[must_use]
    pub fn cpus(mut self, cpus: CpuSet) -> Self {
        self.cpus = Some(cpus);
        self
    }

    /// Gives it this descriptor as this number. As 0 it is its input; 1 and 2 are then not captured.
    #[must_use]
    pub fn descriptor(mut self, number: RawFd, descriptor: impl Into<Descriptor>) -> Self {
        self.descriptors.push((number, descriptor.into()));
        self
    }

    /// Gives it a socket to serve by this name, as systemd does: in their order, from number 3, with `LISTEN_FDS`, `LISTEN_PID` and
    /// `LISTEN_FDNAMES` in its environment.
    #[must_use]
    pub fn listen(mut self, name: impl Into<String>, socket: impl Into<Descriptor>) -> Self {
        self.listen.push((name.into(), socket.into()));
        self
    }

    /// In a session of its own, without a terminal, instead of only in a process group of its own.
    #[must_use]
    pub fn new_session(mut self) -> Self {
        self.new_session = true;
        self
    }

    /// The signal that asks it to stop: SIGTERM unless told.
    #[must_use]
    pub fn stop_signal(mut self, signal: i32) -> Self {
        self.stop_signal = signal;
        self
    }

    /// As on a kernel without pidfds.
    #[cfg(test)]
    pub(crate) fn no_pidfd(mut self) -> Self {
        self.no_pidfd = true;
        self
    }

    /// Whether a system could run it.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), which names the value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        check::all(self)
    }
}
