//! `coop_cpu_set`.

use coop_core::{CpuSet, Result};

use crate::options::array;

/// A set of CPU numbers, 0 to 1023: bit b of words[w] is CPU 64 * w + b. words NULL (and count 0) is "any CPU"; a
/// set that is present and empty is COOP_E_INVALID. The library copies it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_cpu_set {
    /// The bits, or NULL.
    pub words: *const u64,
    /// How many words.
    pub count: usize,
}

impl coop_cpu_set {
    /// `None` is any CPU.
    ///
    /// # Safety
    /// `words` is NULL or points to `count` readable words.
    pub(crate) unsafe fn read(self) -> Result<Option<CpuSet>> {
        if self.words.is_null() && self.count == 0 {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        let words = unsafe { array(self.words, self.count, "cpus.words") }?;
        CpuSet::from_words(words).map(Some)
    }
}

#[cfg(test)]
mod test {
    use coop_core::Error;

    use super::*;
    use std::ptr;

    #[test]
    fn any_empty_and_given() {
        let read = |words: *const u64, count| {
            // SAFETY: each case below is NULL or a slice.
            unsafe { coop_cpu_set { words, count }.read() }
        };
        let words = [0b101u64, 0];
        assert_eq!(read(ptr::null(), 0), Ok(None));
        assert_eq!(read(ptr::null(), 1), Err(Error::Null("cpus.words".into())));
        assert_eq!(read(words.as_ptr(), 2), Ok(Some(CpuSet::new([0, 2]).unwrap())));
        assert_eq!(read(words.as_ptr(), 0), Ok(Some(CpuSet::EMPTY)), "the pool names its workers when it refuses it");
    }
}
