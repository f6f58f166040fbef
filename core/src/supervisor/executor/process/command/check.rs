//! What no system could run.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    os::{fd::RawFd, unix::ffi::OsStrExt},
};

use super::{super::listen::START, Command, Limit};
use crate::error::{Error, Result};

/// `NGROUPS_MAX` of Linux.
const GROUPS: usize = 65_536;
/// The length that systemd allows for the name of a socket.
const NAME: usize = 255;

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(text.into()))
}

pub(super) fn all(command: &Command) -> Result<()> {
    strings(command)?;
    environment(command)?;
    identity(command)?;
    limits(&command.limits)?;
    descriptors(command)?;
    if let Some(nice) = command.nice.filter(|nice| !(-20..=19).contains(nice)) {
        return invalid(format!("nice {nice}: allowed are -20 to 19"));
    }
    if let Some(umask) = command.umask.filter(|umask| *umask > 0o777) {
        return invalid(format!("umask {umask:#o}: allowed are 0o0 to 0o777"));
    }
    if command.cpus.as_ref().is_some_and(crate::CpuSet::is_empty) {
        return invalid("the set of CPUs is empty: a process needs at least one");
    }
    if !(1..=libc::SIGRTMAX()).contains(&command.stop_signal) {
        return invalid(format!("stop signal {}: allowed are 1 to {}", command.stop_signal, libc::SIGRTMAX()));
    }
    Ok(())
}

fn no_nul(what: &str, text: &OsStr) -> Result<()> {
    if text.as_bytes().contains(&0) { invalid(format!("{what} {text:?} contains a NUL byte")) } else { Ok(()) }
}

fn strings(command: &Command) -> Result<()> {
    if command.program.is_empty() {
        return invalid("the program is \"\": a command needs a program's name or path as its first word");
    }
    no_nul("the program", &command.program)?;
    for (index, arg) in command.args.iter().enumerate() {
        no_nul(&format!("argument {}", index + 1), arg)?;
    }
    command.arg0.as_ref().map_or(Ok(()), |arg0| no_nul("arg0", arg0))?;
    match &command.directory {
        Some(directory) if directory.as_os_str().is_empty() => invalid("the directory is \"\": it must be a path"),
        Some(directory) => no_nul("the directory", directory.as_os_str()),
        None => Ok(()),
    }
}

fn environment(command: &Command) -> Result<()> {
    for (name, value) in &command.env {
        if name.is_empty() {
            return invalid("a variable of the environment has the name \"\": it must not be empty");
        }
        if name.as_bytes().contains(&b'=') {
            return invalid(format!("the environment variable {name:?} contains a '=': only its value may"));
        }
        no_nul("the environment variable", name)?;
        if let Some(value) = value {
            no_nul(&format!("the environment variable {name:?} has a value that is refused:"), value)?;
        }
    }
    Ok(())
}

fn identity(command: &Command) -> Result<()> {
    let groups = command.groups.as_deref().unwrap_or_default();
    if groups.len() > GROUPS {
        return invalid(format!("{} supplementary groups: allowed are up to {GROUPS}", groups.len()));
    }
    let ids = command.uid.map(|uid| ("uid", uid)).into_iter();
    let ids = ids.chain(command.gid.map(|gid| ("gid", gid)));
    // The system takes that number for "leave it as it is".
    let mut all = ids.chain(groups.iter().map(|gid| ("group", *gid)));
    match all.find(|(_, id)| *id == u32::MAX) {
        Some((what, id)) => invalid(format!("{what} {id}: allowed are 0 to {}", u32::MAX - 1)),
        None => Ok(()),
    }
}

fn limits(limits: &[Limit]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for Limit { resource, soft, hard } in limits {
        let name = resource.name();
        if !seen.insert(resource.number()) {
            return invalid(format!("the limit of {name:?} is given twice: allowed is once"));
        }
        if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
            let show = |limit: &Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
            return invalid(format!(
                "the soft limit of {name:?} is {}: allowed is up to its hard limit, {}",
                show(soft),
                show(hard)
            ));
        }
    }
    Ok(())
}

fn descriptors(command: &Command) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (index, (name, _)) in command.listen.iter().enumerate() {
        let fine = |c: char| c.is_ascii_graphic() && c != ':';
        if name.len() > NAME || !name.chars().all(fine) {
            return invalid(format!(
                "the socket name {name:?} is refused: allowed are up to {NAME} printable ASCII characters without ':' and spaces"
            ));
        }
        seen.insert(RawFd::try_from(index).unwrap_or(RawFd::MAX).saturating_add(START));
    }
    for (number, _) in &command.descriptors {
        if *number < 0 {
            return invalid(format!("descriptor number {number}: allowed are numbers from 0"));
        }
        if !seen.insert(*number) {
            return invalid(format!(
                "two descriptors for number {number}: allowed is one (sockets to serve have the numbers from {START})"
            ));
        }
    }
    Ok(())
}
