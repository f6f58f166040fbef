//! What the workers of these tests do with a call: its first part says what, the second one with what.

use std::{io::Write, path::Path, time::Duration};

use coop_core::process_pool::{Payload, Worker};

pub(crate) const OK: u32 = 0;
pub(crate) const ERROR: u32 = 1;

pub(crate) type Function = fn(&Payload) -> (u32, Vec<Vec<u8>>);

/// By the pool's arguments: "" works, other ones do not.
pub(crate) fn make(worker: &Worker) -> Result<Function, String> {
    match worker.args() {
        b"" => Ok(call),
        b"dies" => std::process::abort(),
        args if args.starts_with(b"dies-if:") || args.starts_with(b"fails-if:") => {
            let (what, path) = std::str::from_utf8(args).ok().and_then(|args| args.split_once(':')).unwrap_or_default();
            match (Path::new(path).exists(), what) {
                (false, _) => Ok(call),
                (true, "dies-if") => std::process::abort(),
                (true, _) => Err("it was told to".into()),
            }
        }
        other => Err(format!("cannot work with {:?}", String::from_utf8_lossy(other))),
    }
}

fn number(payload: &Payload) -> u64 {
    payload.get(1).and_then(|part| String::from_utf8(part.to_vec()).ok()?.parse().ok()).unwrap_or(0)
}

fn call(payload: &Payload) -> (u32, Vec<Vec<u8>>) {
    let what = payload.get(0).map(|part| part.to_vec()).unwrap_or_default();
    let rest = || payload.parts().skip(1).map(|part| part.to_vec()).collect::<Vec<_>>();
    match what.as_slice() {
        b"nothing" => (OK, Vec::new()),
        b"echo" => (OK, rest()),
        b"pid" => (OK, vec![std::process::id().to_string().into_bytes()]),
        b"sleep" => {
            std::thread::sleep(Duration::from_millis(number(payload)));
            (OK, vec![std::process::id().to_string().into_bytes()])
        }
        b"until" => {
            let path = String::from_utf8(payload.part(1).to_vec()).unwrap_or_default();
            while !Path::new(&path).exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            (OK, Vec::new())
        }
        b"make" => (OK, vec![vec![7; usize::try_from(number(payload)).unwrap_or(0)]]),
        b"sum" => {
            let sum: u64 = payload.parts().skip(1).flat_map(|part| part.to_vec()).map(u64::from).sum();
            (OK, vec![sum.to_string().into_bytes()])
        }
        b"abort" => std::process::abort(),
        b"exit" => std::process::exit(i32::try_from(number(payload)).unwrap_or(1)),
        b"panic" => panic!("as asked"),
        b"complain" => {
            let _ = writeln!(std::io::stderr(), "the last words");
            std::process::exit(3)
        }
        b"note" => (OK, vec![note(payload)]),
        b"scribble" => {
            scribble(payload.part(1).to_vec());
            if payload.part(2).to_vec() == b"ends" {
                std::process::exit(9);
            }
            (OK, Vec::new())
        }
        b"cpu" => {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
            let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            (OK, vec![allowed.unwrap_or("?").trim().as_bytes().to_vec()])
        }
        _ => (ERROR, vec![b"no such function".to_vec()]),
    }
}

/// Writes the third part behind what is in the file of the second one, at once.
fn note(payload: &Payload) -> Vec<u8> {
    let path = String::from_utf8(payload.part(1).to_vec()).unwrap_or_default();
    let number = payload.part(2).to_vec();
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let _ = file.and_then(|mut file| file.write_all(&number));
    number
}

/// Writes over all of the memory that the pool shares.
fn scribble(fill: Vec<u8>) {
    use std::os::unix::fs::FileExt;
    let fill: u8 = String::from_utf8(fill).ok().and_then(|fill| fill.parse().ok()).unwrap_or(0xff);
    for entry in std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let is_memory =
            std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains("memfd:coop-process-pool"));
        let file = std::fs::OpenOptions::new().write(true).open(entry.path());
        if let (true, Ok(file)) = (is_memory, file) {
            let length = file.metadata().map_or(0, |data| usize::try_from(data.len()).unwrap_or(0));
            let _ = file.write_all_at(&vec![fill; length], 0);
        }
    }
}
