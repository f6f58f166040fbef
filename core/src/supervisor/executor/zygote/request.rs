//! What a worker is to be, as the object of JSON that its request has:
//!
//! ```json
//! {"env": {"NAME": "value"}, "pid_env": ["NAME"], "directory": null, "umask": null, "uid": null, "gid": null, "groups": null,
//!  "limits": [[7, 1024, null]], "nice": null, "cpus": null, "new_session": false, "fds": [[4, 0]], "path": "root/web",
//!  "stop_signal": 15}
//! ```
//!
//! `env` is all of its environment, but for the names of `pid_env`, whose value is the worker's process id. `limits` are numbers as the
//! system has them with their soft and hard values, `null` is unlimited. `fds` are places in the list of descriptors that came with the
//! request, from 0, and the numbers that they have in the worker, which has no others but its control. What is `null` stays as the zygote has it.
//!
//! Bytes that are no UTF-8 are lone surrogates, as in Python's `surrogateescape`: `\udc80` is the byte 128.

#![forbid(unsafe_code)]

use std::{
    ffi::OsStr,
    fs,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
};

use serde::Serialize;

use super::{
    super::process::{
        Command,
        plan::{self, Extras},
    },
    wire,
};
use crate::error::{Error, Result};

/// The descriptors that each request has: control, request, payload, report.
const FIRST: usize = 4;

/// What can be said without care for its bytes.
#[derive(Serialize)]
struct Plain<'a> {
    pid_env: Vec<&'static str>,
    umask: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Option<Vec<u32>>,
    limits: Vec<(i32, Option<u64>, Option<u64>)>,
    nice: Option<i32>,
    cpus: Option<Vec<usize>>,
    new_session: bool,
    fds: Vec<(usize, RawFd)>,
    path: &'a str,
    stop_signal: i32,
}

/// Whom a request is for, and what it hands over beside what the command says.
pub(super) struct For<'a> {
    pub(super) control: BorrowedFd<'a>,
    pub(super) payload: BorrowedFd<'a>,
    pub(super) report: BorrowedFd<'a>,
    pub(super) path: &'a str,
}

/// Sends the request for a worker.
pub(super) fn send(zygote: &OwnedFd, of: &For<'_>, command: &Command, extras: &Extras<'_>) -> Result<wire::Sent> {
    let null = plan::null()?;
    let mut handed: Vec<BorrowedFd<'_>> = Vec::new();
    let mut fds = Vec::new();
    for (from, to) in plan::descriptors(command, extras, &null) {
        let known = handed.iter().position(|each| each.as_raw_fd() == from.as_raw_fd());
        fds.push((FIRST + known.unwrap_or(handed.len()), to));
        if known.is_none() {
            handed.push(from);
        }
    }
    let request = wire::memory("coop-request", json(command, extras, of.path, fds)?.as_bytes(), false)?;
    let first = [of.control, request.as_fd(), of.payload, of.report];
    wire::request(zygote, &[&first, handed.as_slice()].concat())
}

fn json(command: &Command, extras: &Extras<'_>, path: &str, fds: Vec<(usize, RawFd)>) -> Result<String> {
    let (env, pid_env) = plan::variables(command, extras);
    let plain = Plain {
        pid_env,
        umask: command.umask.or_else(own_umask),
        uid: command.uid,
        gid: command.gid,
        groups: command.groups.clone().or_else(|| plan::no_groups(command)),
        limits: command.limits.iter().map(|limit| (limit.resource.number(), limit.soft, limit.hard)).collect(),
        nice: command.nice,
        cpus: command.cpus.map(|cpus| cpus.iter().collect()),
        new_session: command.new_session,
        fds,
        path,
        stop_signal: command.stop_signal,
    };
    let plain = serde_json::to_string(&plain).map_err(|error| Error::Invalid(format!("{path}: {error}")))?;
    // As a process would be run: where this one is now, and not where it was when the zygote began.
    let directory = command.directory.clone().or_else(|| std::env::current_dir().ok());
    let directory = directory.map_or_else(|| "null".to_owned(), |directory| quoted(directory.as_os_str()));
    let env: Vec<_> = env.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value))).collect();
    let rest = plain.strip_prefix('{').unwrap_or("}");
    Ok(format!("{{\"env\":{{{}}},\"directory\":{directory},{rest}", env.join(",")))
}

/// What new files of this process do not get.
fn own_umask() -> Option<u32> {
    // To ask the system is to change it.
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(umask.trim(), 8).ok()
}

/// As a string of JSON; see the module's text.
fn quoted(text: &OsStr) -> String {
    let mut quoted = String::from("\"");
    for chunk in text.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => quoted.extend(['\\', character]),
                ..' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
                other => quoted.push(other),
            }
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\udc{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn any_bytes_are_text() {
        assert_eq!(quoted(OsStr::new("a\"\\\n\u{7f}ä")), "\"a\\\"\\\\\\u000a\u{7f}ä\"");
        assert_eq!(quoted(OsStr::from_bytes(b"\x80\xff=x")), "\"\\udc80\\udcff=x\"");
        for text in ["", "a \u{0} \u{1f} \u{1f600} \" \\ /"] {
            assert_eq!(serde_json::from_str::<String>(&quoted(OsStr::new(text))).unwrap(), text);
        }
    }

    #[test]
    fn a_request_says_all_of_a_command() {
        use crate::{CpuSet, supervisor::executor::process::Resource};
        let command = Command::new("x").env_clear().env("A", "1").env("P", "2").umask(0o77).nice(3).new_session();
        let command =
            command.limit(Resource::Files, Some(5), None).cpus(CpuSet::new([0, 3]).unwrap()).directory("/tmp");
        let command = command.uid(7).gid(8).groups([9]).stop_signal(10);
        let extras = Extras { pid_env: vec!["P"], env: vec![("B", "2".into())], ..Extras::default() };
        let json = json(&command, &extras, "root/\"x", vec![(4, 0)]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let wanted = serde_json::json!({
            "env": {"A": "1", "B": "2"}, "pid_env": ["P"], "directory": "/tmp", "umask": 0o77, "uid": 7, "gid": 8,
            "groups": [9], "limits": [[libc::RLIMIT_NOFILE, 5, null]], "nice": 3, "cpus": [0, 3], "new_session": true,
            "fds": [[4, 0]], "path": "root/\"x", "stop_signal": 10,
        });
        assert_eq!(value, wanted);
        let json = super::json(&Command::new("x"), &Extras::default(), "x", Vec::new()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(value["directory"], serde_json::json!(here.to_str().unwrap()));
        assert!(value["umask"].is_u64() && value["cpus"].is_null() && value["uid"].is_null(), "{value}");
    }
}
