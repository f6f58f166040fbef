//! Memory without a name, which is there as long as somebody has it open.

use std::fs;

/// The descriptors of a process that are memory with this in what it is called.
pub(crate) fn memories_of(pid: &str, called: &str) -> usize {
    let Ok(all) = fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let paths = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    paths.filter(|path| path.to_string_lossy().contains(called)).count()
}
