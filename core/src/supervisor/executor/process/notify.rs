//! The socket that a child tells its state to: systemd's notification protocol, from the service manager's side.
//!
//! # What holds
//!
//! * Each child has a socket of its own, under a name that nobody can guess, so what comes there is of this child, of what it started, or of
//!   somebody it told the name. A message of a user who is neither this process's, nor the child's, nor root is refused.
//! * What a child sent before its end is told before its end.
//! * A message is taken as a whole or not at all; what is not known in it is ignored. Descriptors that come with it are closed, but for the
//!   one of an observer; that is also how a barrier is answered.

#![forbid(unsafe_code)]

mod message;

use std::{
    ffi::OsString,
    fmt,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg, sockopt::set_socket_passcred},
};

use self::message::Field;
use crate::{
    error::{Error, Result},
    event_loop::{Handle, Interest, On, WatchId, WatchOptions},
};

/// The longest message: twice what systemd takes.
const MESSAGE: usize = 8 * 1024;
/// How many are read in one turn of the loop; and at the child's end, far more than a socket holds.
const IN_ONE_TURN: usize = 64;
const AT_THE_END: usize = 10_000;
/// The most descriptors that come with a message; the system closes more.
const DESCRIPTORS: usize = 16;

/// What a child says.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It can do its work.
    Ready,
    /// It has begun to stop.
    Stopping,
    /// It reads its configuration again.
    Reloading,
    /// What it does, in words.
    Status(String),
    /// An error number that describes its state.
    Errno(i32),
    /// With what error it is about to end.
    Failed(String),
    /// It is alive, and makes progress.
    Beat,
    /// It runs, whatever it does.
    Alive,
    /// Its start asks not to be run.
    Ignore,
    /// It wants to be treated as if it were not.
    Trigger,
    /// How often it will beat at least, from now on.
    Watchdog(Duration),
    /// It needs so much more time, from now.
    Extend(Duration),
    /// It wants to be told events, by this descriptor.
    Observe {
        /// Which, as JSON.
        filter: String,
        /// Where to.
        to: OwnedFd,
    },
}

/// See the module's text. Dropped, it hears no more.
pub(super) struct Notify {
    heard: Arc<Heard>,
    name: String,
    event_loop: Handle,
    watch: Mutex<Option<WatchId>>,
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("name", &self.name).finish_non_exhaustive()
    }
}

struct Heard {
    socket: UnixDatagram,
    service: String,
    /// Whose messages are taken.
    users: [u32; 3],
    tell: Box<dyn Fn(Notice) + Send + Sync>,
    said: [AtomicBool; WARNINGS],
}

/// What is said once for each child.
#[derive(Debug, Clone, Copy)]
enum Warning {
    User,
    Length,
    MainPid,
}
const WARNINGS: usize = 3;

impl Notify {
    /// A socket for a child that runs as `uid`; `tell` is called on the loop's thread.
    ///
    /// # Errors
    /// [`Error::Os`] without a descriptor left.
    pub(super) fn new(
        service: &str,
        uid: Option<u32>,
        event_loop: &Handle,
        tell: impl Fn(Notice) + Send + Sync + 'static,
    ) -> Result<Self> {
        let failed = |error: io::Error| Error::os("make a notification socket for a child", &error);
        let name = name().map_err(|errno| failed(errno.into()))?;
        let address = SocketAddr::from_abstract_name(&name).map_err(failed)?;
        let socket = UnixDatagram::bind_addr(&address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        set_socket_passcred(&socket, true).map_err(|errno| failed(errno.into()))?;
        let own = rustix::process::geteuid().as_raw();
        let heard = Heard {
            socket,
            service: service.to_owned(),
            users: [own, uid.unwrap_or(own), 0],
            tell: Box::new(tell),
            said: Default::default(),
        };
        Ok(Self { heard: Arc::new(heard), name, event_loop: event_loop.clone(), watch: Mutex::new(None) })
    }

    /// What the child's environment says of it.
    pub(super) fn address(&self) -> OsString {
        format!("@{}", self.name).into()
    }

    /// Hears from now on.
    ///
    /// # Errors
    /// What the loop answers.
    pub(super) fn begin(&self) -> Result<()> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = self.heard.clone();
        let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::READ) };
        *watch = Some(self.event_loop.watch(self.heard.socket.as_raw_fd(), options, move |_| heard.hear(IN_ONE_TURN))?);
        Ok(())
    }

    /// The child has ended: tells what it has sent.
    pub(super) fn finish(&self) {
        self.heard.hear(AT_THE_END);
        self.end();
    }

    fn end(&self) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watch) = watch {
            // Stale when the loop has finished.
            let _ = self.event_loop.cancel_watch(watch);
        }
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        self.end();
    }
}

/// A name that nobody can guess.
fn name() -> std::result::Result<String, Errno> {
    let mut random = [0_u8; 16];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("coop-notify-{}-{:032x}", std::process::id(), u128::from_ne_bytes(random)))
}

/// One message as it came.
struct Received {
    length: usize,
    whole: bool,
    user: Option<u32>,
    descriptors: Vec<OwnedFd>,
}

impl Heard {
    /// Takes up to `count` messages.
    fn hear(&self, count: usize) {
        let mut text = [0; MESSAGE];
        for _ in 0..count {
            match self.receive(&mut text) {
                Ok(received) => self.take(&text, received),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn receive(&self, text: &mut [u8]) -> std::result::Result<Received, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let message = recvmsg(&self.socket, &mut [IoSliceMut::new(text)], &mut control, flags)?;
        let whole = !message.flags.contains(ReturnFlags::TRUNC);
        let mut received = Received { length: message.bytes, whole, user: None, descriptors: Vec::new() };
        for part in control.drain() {
            match part {
                RecvAncillaryMessage::ScmCredentials(who) => received.user = Some(who.uid.as_raw()),
                RecvAncillaryMessage::ScmRights(descriptors) => received.descriptors.extend(descriptors),
                _ => {}
            }
        }
        Ok(received)
    }

    fn take(&self, text: &[u8], received: Received) {
        let Received { length, whole, user, descriptors } = received;
        match user {
            Some(user) if self.users.contains(&user) => {}
            user => {
                let user = user.map_or("unknown".to_owned(), |user| user.to_string());
                return self.warn(Warning::User, &format!("refused, from user {user}: allowed are {:?}", self.users));
            }
        }
        if !whole {
            return self.warn(Warning::Length, &format!("refused, longer than {MESSAGE} bytes"));
        }
        let mut descriptors = descriptors.into_iter();
        for field in message::parse(text.get(..length).unwrap_or(text)) {
            let notice = match field {
                Field::Ready => Notice::Ready,
                Field::Stopping => Notice::Stopping,
                Field::Reloading => Notice::Reloading,
                Field::Status(text) => Notice::Status(text),
                Field::Errno(number) => Notice::Errno(number),
                Field::Failed(text) => Notice::Failed(text),
                Field::Beat => Notice::Beat,
                Field::Alive => Notice::Alive,
                Field::Ignore => Notice::Ignore,
                Field::Trigger => Notice::Trigger,
                Field::Watchdog(every) => Notice::Watchdog(every),
                Field::Extend(time) => Notice::Extend(time),
                Field::MainPid(pid) => {
                    self.warn(
                        Warning::MainPid,
                        &format!("MAINPID={pid} refused: a service is the process that was started"),
                    );
                    continue;
                }
                // What was sent before a barrier has been told: its descriptor is closed with the others.
                Field::Barrier => continue,
                Field::Observe(filter) => match descriptors.next() {
                    Some(to) => Notice::Observe { filter, to },
                    None => continue,
                },
            };
            (self.tell)(notice);
        }
    }

    fn warn(&self, warning: Warning, what: &str) {
        if !self.said[warning as usize].swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "coop", "notification of {}: {what}", self.service);
        }
    }
}
