//! The host as a client of systemd, or of any service manager that speaks its protocol: this library's own supervisors do.
//!
//! A process that no service manager has started, or whose manager does not want to be told, has nothing to tell it to:
//! [`Systemd::from_environment`] is `None` then. What is told is a datagram, so telling costs a system call and does not wait for an answer;
//! a manager that takes none for [`PATIENCE`] is an error.

#![forbid(unsafe_code)]

use std::{
    env,
    ffi::OsStr,
    fmt::Write,
    io,
    os::{
        fd::RawFd,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use sd_notify::NotifyState;

use crate::error::{Error, Result};

/// How long a manager whose queue is full is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service manager of this process.
#[derive(Debug, Clone)]
pub struct Systemd {
    address: SocketAddr,
}

impl Systemd {
    /// The one that `NOTIFY_SOCKET` names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that is neither a path nor an abstract name.
    pub fn from_environment() -> Result<Option<Self>> {
        env::var_os("NOTIFY_SOCKET").map(|address| Self::at(&address)).transpose()
    }

    /// The one at this address: a path, or an abstract name behind a `@`.
    ///
    /// # Errors
    /// As [`Systemd::from_environment`].
    pub fn at(address: &OsStr) -> Result<Self> {
        let made = match address.as_bytes() {
            [b'@', name @ ..] if !name.is_empty() => abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(address),
            _ => Err(io::Error::other("allowed are an absolute path and '@' with a name")),
        };
        match made {
            Ok(address) => Ok(Self { address }),
            Err(error) => Err(Error::Invalid(format!("NOTIFY_SOCKET {address:?}: {error}"))),
        }
    }

    /// Tells that this process can do its work.
    ///
    /// # Errors
    /// [`Error::Os`] if it is not there, or does not listen.
    pub fn ready(&self) -> Result<()> {
        self.tell(&[NotifyState::Ready])
    }

    /// Tells that this process has begun to stop.
    ///
    /// # Errors
    /// As [`Systemd::ready`].
    pub fn stopping(&self) -> Result<()> {
        self.tell(&[NotifyState::Stopping])
    }

    /// Tells what this process does, in one line.
    ///
    /// # Errors
    /// As [`Systemd::ready`]; [`Error::Invalid`] for a text of several lines, which would be read as other messages.
    pub fn status(&self, text: &str) -> Result<()> {
        if text.contains('\n') {
            return Err(Error::Invalid(format!("status {text:?}: allowed is one line")));
        }
        self.tell(&[NotifyState::Status(text)])
    }

    /// Tells that this process is alive: at least every [`watchdog`].
    ///
    /// # Errors
    /// As [`Systemd::ready`].
    pub fn beat(&self) -> Result<()> {
        self.tell(&[NotifyState::Watchdog])
    }

    /// Asks for so much more time to get ready, or to stop, from now.
    ///
    /// # Errors
    /// As [`Systemd::ready`].
    pub fn extend(&self, time: Duration) -> Result<()> {
        // The crate's own word for it ends at 71 minutes.
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.custom(&format!("EXTEND_TIMEOUT_USEC={micros}"))
    }

    /// A socket that sends to it.
    ///
    /// # Errors
    /// As [`Systemd::ready`].
    pub(crate) fn connect(&self) -> Result<UnixDatagram> {
        let connected = UnixDatagram::unbound().and_then(|socket| {
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.connect_addr(&self.address)?;
            Ok(socket)
        });
        connected.map_err(|error| self.failed(&error))
    }

    /// A message that is this library's own.
    pub(crate) fn custom(&self, message: &str) -> Result<()> {
        self.tell(&[NotifyState::Custom(message)])
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::os(format!("tell the service manager at {:?}", self.address), error)
    }

    /// Any message of the protocol.
    fn tell(&self, states: &[NotifyState<'_>]) -> Result<()> {
        let mut text = String::new();
        for state in states {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{state}");
        }
        self.connect()?.send(text.as_bytes()).map(drop).map_err(|error| self.failed(&error))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::other("abstract names need Linux"))
}

/// How often this process must beat, if its service manager wants that: half of it is a good interval.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|every| !every.is_zero())
}

/// The sockets that this process was started with, by their names; closed on exec from now on. They are nobody's yet: call it once, and
/// own them.
///
/// # Errors
/// [`Error::Invalid`] for an environment that contradicts itself, or names descriptors that are not open.
pub fn listen_fds() -> Result<Vec<(String, RawFd)>> {
    match sd_notify::listen_fds_with_names() {
        Ok(sockets) => Ok(sockets.map(|(fd, name)| (name, fd)).collect()),
        Err(error) => {
            let given = env::var_os("LISTEN_FDS").unwrap_or_default();
            Err(Error::Invalid(format!("LISTEN_FDS={}: {error}", given.display())))
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn it_is_told_at_either_kind_of_address() {
        let path = env::temp_dir().join(format!("coop-systemd-{}", std::process::id()));
        let name = format!("coop-systemd-{}", std::process::id());
        let listening = [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name(name.as_bytes()).unwrap()).unwrap(), format!("@{name}").into()),
        ];
        for (socket, address) in &listening {
            let systemd = Systemd::at(address).unwrap();
            let heard = || {
                let mut text = [0; 100];
                let length = socket.recv(&mut text).unwrap();
                String::from_utf8_lossy(&text[..length]).into_owned()
            };
            systemd.ready().unwrap();
            assert_eq!(heard(), "READY=1\n");
            systemd.status("fine").unwrap();
            assert_eq!(heard(), "STATUS=fine\n");
            systemd.stopping().unwrap();
            assert_eq!(heard(), "STOPPING=1\n");
            systemd.beat().unwrap();
            assert_eq!(heard(), "WATCHDOG=1\n");
            systemd.extend(Duration::MAX).unwrap();
            assert_eq!(heard(), format!("EXTEND_TIMEOUT_USEC={}\n", u64::MAX));
        }
        std::fs::remove_file(&path).unwrap();
        let gone = Systemd::at(&listening[0].1).unwrap().ready().unwrap_err();
        assert_eq!(gone.os_errno(), Some(libc::ENOENT));
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for address in ["", "@", "relative", "vsock:2:1"] {
            let error = Systemd::at(OsStr::new(address)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("NOTIFY_SOCKET {address:?}: allowed are")), "{error}");
        }
        let nowhere = Systemd::at(OsStr::new("@coop-nobody-listens-here")).unwrap();
        assert_eq!(
            nowhere.status("a\nREADY=1").unwrap_err(),
            Error::Invalid("status \"a\\nREADY=1\": allowed is one line".into())
        );
        assert_eq!(nowhere.ready().unwrap_err().os_errno(), Some(libc::ECONNREFUSED));
    }
}
