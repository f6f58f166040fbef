//! The address of an end of a stream.

#![forbid(unsafe_code)]

use std::{
    fmt,
    mem::offset_of,
    net::SocketAddr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use socket2::SockAddr;

use crate::error::{Error, Result};

/// Where an end of a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Ip(SocketAddr),
    /// A Unix socket in the file system.
    Path(PathBuf),
    /// A Unix socket in the name space that Linux keeps for them; without the leading NUL.
    Abstract(Vec<u8>),
    /// A Unix socket without a name, as the connecting side is.
    Unnamed,
}

impl Address {
    /// The IP address, if it is one.
    pub fn as_ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            _ => None,
        }
    }

    pub(super) fn of(address: &SockAddr) -> Self {
        if let Some(address) = address.as_socket() {
            return Self::Ip(address);
        }
        if let Some(path) = address.as_pathname() {
            return Self::Path(path.to_owned());
        }
        #[cfg(target_os = "linux")]
        if let Some(name) = address.as_abstract_namespace() {
            return Self::Abstract(name.to_owned());
        }
        Self::Unnamed
    }

    /// A Unix address: a path, or a name of the abstract kind, which begins with a NUL.
    pub(super) fn unix(path: &Path) -> Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        match bytes.split_first() {
            None => Err(Error::Invalid("the path of a Unix socket must not be empty".into())),
            Some((0, name)) if cfg!(target_os = "linux") => Ok(Self::Abstract(name.to_owned())),
            Some(_) if bytes.contains(&0) => {
                Err(Error::Invalid(format!("the path {path:?} of a Unix socket contains a NUL")))
            }
            Some(_) => Ok(Self::Path(path.to_owned())),
        }
    }

    pub(super) fn to_system(&self) -> Result<SockAddr> {
        let unix = |path: &Path| {
            SockAddr::unix(path).map_err(|_| {
                let most = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path) - 1;
                Error::Invalid(format!("{self} is no Unix socket's path: allowed are {most} bytes without a NUL"))
            })
        };
        match self {
            Self::Ip(address) => Ok((*address).into()),
            Self::Path(path) => unix(path),
            Self::Abstract(name) => {
                let whole = std::ffi::OsString::from_vec([&[0], name.as_slice()].concat());
                unix(Path::new(&whole))
            }
            Self::Unnamed => Err(Error::Invalid("a Unix socket without a name cannot be reached".into())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
            Self::Unnamed => f.write_str("an unnamed Unix socket"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}
