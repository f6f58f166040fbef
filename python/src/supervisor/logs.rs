//! The way of log records from workers to the host's process: a pair of sockets (`SOCK_SEQPACKET`) for each host, whose one end all workers
//! inherit, and a thread that reads the other one.
//!
//! # What holds
//!
//! * A record goes as a whole or not at all, whatever becomes of its sender: it is one packet, and a long one is a memfd that a packet brings.
//! * A sender waits for room for at most as long as it says, without the interpreter.
//! * What senders say is not trusted, for they may run as another user: a record is read as bytes, up to [`LONGEST`] of them.
//! * [`LogChannel::close`] lets nothing in any more, and returns when what was in has been handed on; it does not wait for a handler that stands still.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::ThreadId,
    time::{Duration, Instant},
};

use coop_core::{Error, fork::ForkGuard, thread};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyTuple},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, fcntl_get_seals, fstat, memfd_create},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
    },
};

use crate::{
    callback::Callback,
    descriptors::duplicate,
    errors::{OrRaise, to_py},
    thread_state, wait,
};

/// The longest record that goes in a packet of its own.
const PACKET: usize = 32 * 1024;
/// The longest record.
const LONGEST: usize = 32 * 1024 * 1024;
/// What is read before it is handed on.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// The host's end of the way that log records of its workers go; `receive(bytes)` is called with one after another, on a thread of its own.
#[pyclass(frozen, weakref, module = "libcoop._libcoop")]
pub(crate) struct LogChannel {
    fork: ForkGuard,
    ours: Arc<OwnedFd>,
    theirs: OwnedFd,
    reader: ThreadId,
    /// Ends when the thread does.
    over: Mutex<mpsc::Receiver<()>>,
}

fn os(what: &str, errno: Errno) -> Error {
    Error::os(what, &io::Error::from(errno))
}

#[pymethods]
impl LogChannel {
    #[new]
    #[pyo3(signature = (receive, /))]
    fn new(receive: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = receive.py();
        let callback = Callback::new(receive, &PyTuple::empty(py))?;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|errno| to_py(py, &os("make the socket for log records", errno)))?;
        let (ours, (told, over)) = (Arc::new(ours), mpsc::channel());
        let socket = ours.clone();
        let thread = thread::spawn("coop-logs", move || {
            read_all(&socket, &callback);
            drop(callback);
            drop(told);
        });
        let reader = thread.or_raise(py)?.thread().id();
        Ok(Self { fork: ForkGuard::new("host"), ours, theirs, reader, over: Mutex::new(over) })
    }

    /// The end that workers inherit; it stays the channel's.
    fn fileno(&self) -> RawFd {
        self.theirs.as_raw_fd()
    }

    /// Lets nothing in any more, and waits until what was in has been handed on; False if that takes longer than so many seconds. Any number
    /// of times; from a handler of such a record it returns at once.
    fn close(&self, py: Python<'_>, patience: f64) -> PyResult<bool> {
        self.fork.check().or_raise(py)?;
        let patience = wait::timeout(Some(patience))?;
        // What is in the socket stays there for the reader.
        let _ = shutdown(&self.ours, Shutdown::Read);
        if std::thread::current().id() == self.reader {
            return Ok(true);
        }
        let over = |slice| match self.over.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(slice) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(()),
            _ => Ok(()),
        };
        Ok(wait::wait(py, patience, over, |()| true)?.is_ok())
    }
}

impl Drop for LogChannel {
    fn drop(&mut self) {
        if !self.fork.is_forked() {
            let _ = shutdown(&self.ours, Shutdown::Read);
        }
    }
}

fn read_all(socket: &OwnedFd, callback: &Callback) {
    let mut buffer = vec![0; PACKET];
    let mut batch = Vec::new();
    let mut goes_on = true;
    while goes_on {
        let mut bytes = 0;
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let flags = if batch.is_empty() { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
            match read(socket, &mut buffer, flags) {
                Ok(Some(record)) => {
                    bytes += record.len();
                    batch.push(record);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Ok(None) | Err(_) => {
                    goes_on = false;
                    break;
                }
            }
        }
        // Attached once for all of them, and each is a call of its own: what one raises is not the others' matter.
        let records = std::mem::take(&mut batch);
        thread_state::attach(|_| {
            for record in records {
                callback.call_with("a log channel", move |py, f| f.call1((PyBytes::new(py, &record),)));
            }
        });
    }
}

/// The next record; None when nothing more comes.
fn read(socket: &OwnedFd, buffer: &mut [u8], flags: RecvFlags) -> Result<Option<Vec<u8>>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags | RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.next().and_then(|mut descriptors| descriptors.next());
    Ok(match descriptor {
        // What cannot be read is a record that says nothing, and is told as that.
        Some(descriptor) => Some(contents(&descriptor).unwrap_or_default()),
        None if received.bytes == 0 => None,
        None => Some(buffer[..received.bytes].to_vec()),
    })
}

/// Of a memfd, which is known by its seals: reading anything else might wait.
fn contents(descriptor: &OwnedFd) -> Result<Vec<u8>, Errno> {
    fcntl_get_seals(descriptor)?;
    let length = usize::try_from(fstat(descriptor)?.st_size).map_err(|_| Errno::FBIG)?;
    if length > LONGEST {
        return Err(Errno::FBIG);
    }
    let mut bytes = vec![0; length];
    let mut at = 0;
    while at < length {
        match rustix::io::pread(descriptor, &mut bytes[at..], at as u64)? {
            0 => return Err(Errno::IO),
            count => at += count,
        }
    }
    Ok(bytes)
}

/// A worker's end: a copy of the descriptor that `LogChannel.fileno` named. Any process that has it may send.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct LogSender {
    socket: OwnedFd,
}

#[pymethods]
impl LogSender {
    #[new]
    #[pyo3(signature = (fd, /))]
    fn new(py: Python<'_>, fd: RawFd) -> PyResult<Self> {
        Ok(Self { socket: duplicate(py, fd)? })
    }

    /// Sends a record, and waits for room at most so many seconds. False: it was not sent.
    #[pyo3(signature = (record, patience, /))]
    fn send(&self, py: Python<'_>, record: &[u8], patience: f64) -> PyResult<bool> {
        let (socket, patience) = (self.socket.as_fd(), wait::delay("patience", patience)?);
        if record.is_empty() || record.len() > LONGEST {
            return Ok(false);
        }
        // As most are: not worth a detach.
        if record.len() <= PACKET && send_packet(socket, record) == Ok(()) {
            return Ok(true);
        }
        Ok(py.detach(|| {
            if record.len() <= PACKET {
                return until_sent(socket, patience, || send_packet(socket, record));
            }
            let Ok(file) = written(record) else { return false };
            until_sent(socket, patience, || send_descriptor(socket, file.as_fd()))
        }))
    }
}

fn until_sent(socket: BorrowedFd<'_>, patience: Duration, send: impl Fn() -> Result<(), Errno>) -> bool {
    let deadline = Instant::now().checked_add(patience);
    loop {
        let full = match send() {
            Ok(()) => return true,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => true,
            // Of memory, or of descriptors that are on their way: nothing tells when there are less.
            Err(Errno::NOBUFS | Errno::NOMEM | Errno::TOOMANYREFS) => false,
            Err(_) => return false,
        };
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return false;
        }
        if full {
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let _ = poll(&mut [PollFd::new(&socket, PollFlags::OUT)], left.as_ref());
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

fn send_packet(socket: BorrowedFd<'_>, packet: &[u8]) -> Result<(), Errno> {
    rustix::net::send(socket, packet, FLAGS).map(drop)
}

fn written(record: &[u8]) -> Result<OwnedFd, Errno> {
    let file = memfd_create("coop-log", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut at = 0;
    while at < record.len() {
        at += rustix::io::pwrite(&file, &record[at..], at as u64)?;
    }
    Ok(file)
}

fn send_descriptor(socket: BorrowedFd<'_>, file: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [file];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, FLAGS).map(drop)
}
