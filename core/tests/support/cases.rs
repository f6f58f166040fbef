//! What runs the cases of a test that has a `main` of its own, since its program is entered again by what it tests.
//!
//! Arguments are parts of names: only cases with one of them in theirs are run.

use std::{
    io::{self, Write},
    panic::catch_unwind,
    process::{Child, Command, ExitCode, Stdio},
    time::Instant,
};

/// A case, and its name.
pub(crate) type Case = (&'static str, fn());

/// Runs those that are wanted, one after another. One is fine if it has not panicked and `is_clean` says afterwards that it has left nothing.
pub(crate) fn run(all: &[Case], is_clean: fn() -> bool) -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut failed = 0;
    let mut out = io::stdout();
    let mut ran = 0;
    for (name, case) in all {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let began = Instant::now();
        let ok = catch_unwind(*case).is_ok() && is_clean();
        ran += 1;
        let _ = writeln!(out, "test {name} ... {} ({:.2?})", if ok { "ok" } else { "FAILED" }, began.elapsed());
        failed += usize::from(!ok);
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    let _ = writeln!(out, "\ntest result: {result}. {} passed; {failed} failed", ran - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// This program once more, in the role that a variable names: it reads nothing, and what it prints is for the caller.
pub(crate) fn in_role(variable: &str, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .env(variable, role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
