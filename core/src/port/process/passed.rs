//! Sockets that this process was started with: by systemd, or by a supervisor of this library.

#![forbid(unsafe_code)]

use std::{
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
};

use crate::{
    error::{Error, Result},
    supervisor::{adopt, systemd::listen_fds},
};

/// With their names, once they were asked for; they stay open as long as the process is there.
static PASSED: Mutex<Option<Vec<(String, OwnedFd)>>> = Mutex::new(None);

/// Another descriptor of the socket of this name, or of this number.
///
/// # Errors
/// [`Error::Invalid`] if there is none, naming those that are there; [`Error::Os`].
pub(in super::super) fn passed(name: &str) -> Result<OwnedFd> {
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    if passed.is_none() {
        let taken = listen_fds()?.into_iter().map(|(name, fd)| Ok((name, adopt(fd)?)));
        *passed = Some(taken.collect::<Result<_>>()?);
    }
    let all = passed.as_deref().unwrap_or_default();
    let named = all.iter().find(|(known, _)| known == name);
    let found = named.or_else(|| name.parse().ok().and_then(|index: usize| all.get(index)));
    let Some((_, fd)) = found else {
        let names: Vec<_> = all.iter().map(|(name, _)| format!("{name:?}")).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Error::Invalid(format!("this process was started with no socket {name:?}: there are {names}")));
    };
    fd.try_clone().map_err(|error| Error::os(format!("socket {name:?} that this process was started with"), &error))
}
