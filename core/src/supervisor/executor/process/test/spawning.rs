//! What a child is given, and what is refused.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

/// A directory that is gone with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coop-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_program_runs_with_its_arguments_and_its_end_is_told() {
    assert_eq!(output(&Command::new("printf").args(["%s-%s", "a b", ""])), "a b-");
    let (_, status) = run(&shell("exit 7")).unwrap();
    assert_eq!(status.unwrap().code, Some(7));
    let (_, status) = run(&shell("kill -9 $$")).unwrap();
    assert_eq!(status.unwrap().signal, Some(9));
    assert_eq!(output(&shell("echo $0").arg("zero")), "zero\n");
    assert_eq!(
        output(&shell("tr '\\0' ' ' </proc/$$/cmdline").arg0("another")),
        "another -c tr '\\0' ' ' </proc/$$/cmdline "
    );
}

#[test]
fn what_cannot_be_run_names_path_and_reason() {
    let scratch = Scratch::new("cannot-run");
    let text = scratch.file("text", "echo no\n", 0o755);
    let closed = scratch.file("closed", "#!/bin/sh\n", 0o644);
    let script = scratch.file("script", "#!/no/such/interpreter -x\n", 0o755);
    let missing = scratch.0.join("missing");
    for (path, why, errno) in [
        (&missing, "", libc::ENOENT),
        (&scratch.0, " (it is a directory)", libc::EACCES),
        (&closed, "", libc::EACCES),
        (&text, " (it is neither a program of this machine nor a script that begins with #!)", libc::ENOEXEC),
        (&script, " (its interpreter is /no/such/interpreter)", libc::ENOENT),
    ] {
        let error = run(&Command::new(path)).unwrap_err();
        assert_eq!(error, Error::Os { context: format!("exec {}{why}", path.display()), errno });
    }
    let error = run(&shell("true").directory(&missing)).unwrap_err();
    let context = format!("change to the directory {}", missing.display());
    assert_eq!(error, Error::Os { context, errno: libc::ENOENT });
    let named = refused(&Command::new("closed").env("PATH", &scratch.0));
    assert!(named.starts_with("find program \"closed\" in PATH \"/") && named.contains("(errno 13)"), "{named}");
    let named = refused(&Command::new("no-such-program").env("PATH", "/bin"));
    assert!(named.starts_with("find program \"no-such-program\" in PATH \"/bin\": No such file"), "{named}");
}
