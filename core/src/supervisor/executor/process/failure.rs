//! Why a child could not be run, in words that name what it was to be run with.

#![forbid(unsafe_code)]

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::plan::Plan;
use crate::error::Error;

/// The step that failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The program.
    Exec,
    /// Its directory.
    Directory,
    /// Another one, in words.
    Other(String),
}

/// The longest first line that the system reads.
const FIRST_LINE: usize = 256;

/// The error of a step: looked at from here, after the child has gone.
pub(super) fn explain(plan: &Plan, failed: &Failed, errno: i32) -> Error {
    let context = match failed {
        Failed::Other(text) => text.clone(),
        Failed::Directory => format!("change to the directory {}", directory(plan).display()),
        Failed::Exec => exec(plan, errno),
    };
    Error::Os { context, errno }
}

fn directory(plan: &Plan) -> &Path {
    plan.directory.as_ref().map_or(Path::new("."), |directory| Path::new(OsStr::from_bytes(directory.as_bytes())))
}

fn exec(plan: &Plan, errno: i32) -> String {
    let path = Path::new(OsStr::from_bytes(plan.path.as_bytes()));
    let seen = directory(plan).join(path);
    let why = match errno {
        libc::EACCES if seen.is_dir() => Some("it is a directory".to_owned()),
        libc::ENOEXEC => Some("it is neither a program of this machine nor a script that begins with #!".to_owned()),
        // The file is there, so what is missing is what its first line names.
        libc::ENOENT if seen.exists() => {
            interpreter(&seen).map(|interpreter| format!("its interpreter is {}", interpreter.display()))
        }
        _ => None,
    };
    match why {
        Some(why) => format!("exec {} ({why})", path.display()),
        None => format!("exec {}", path.display()),
    }
}

/// What a script names as its interpreter.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    File::open(script).ok()?.take(FIRST_LINE as u64).read_to_end(&mut line).ok()?;
    let line = line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let word = line.split(u8::is_ascii_whitespace).next()?;
    Some(PathBuf::from(OsStr::from_bytes(word)))
}
