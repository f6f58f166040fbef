//! CPU sets, which CPUs this process may use, and pinning.
//!
//! Two questions are kept apart. *How many* workers are useful follows the affinity mask and the cgroup's quota
//! ([`usable_count`]). *Where* they go follows the affinity mask alone ([`placement`]), starting from an offset of this
//! process's own: several processes with small quotas on one machine do not all pile up on CPU 0.
//! Both are read once, at their first use and before the library pins anything.

#![forbid(unsafe_code)]

use std::{fmt, num::NonZero, sync::OnceLock};

use crate::error::{Error, Result};

const WORDS: usize = 16;

/// A set of CPU numbers, 0 to 1023.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CpuSet {
    words: [u64; WORDS],
}

impl CpuSet {
    /// One more than the highest CPU number that fits.
    pub const MAX: usize = WORDS * 64;

    /// The set without a CPU.
    pub const EMPTY: Self = Self { words: [0; WORDS] };

    /// A set of these CPUs; one past [`CpuSet::MAX`] is [`Error::Invalid`].
    pub fn new(cpus: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut set = Self::EMPTY;
        for cpu in cpus {
            if cpu >= Self::MAX {
                return Err(Error::Invalid(format!("CPU {cpu} is out of range: CPUs are 0 to {}", Self::MAX - 1)));
            }
            set.words[cpu / 64] |= 1 << (cpu % 64);
        }
        Ok(set)
    }

    /// A set from bit masks: bit `b` of `words[w]` is CPU `64 * w + b`. Words past the range must be zero.
    pub fn from_words(words: &[u64]) -> Result<Self> {
        let mut set = Self::EMPTY;
        for (index, word) in words.iter().enumerate() {
            match set.words.get_mut(index) {
                Some(place) => *place = *word,
                None if *word == 0 => {}
                None => {
                    let cpu = 64 * index + word.trailing_zeros() as usize;
                    return Err(Error::Invalid(format!("CPU {cpu} is out of range: CPUs are 0 to {}", Self::MAX - 1)));
                }
            }
        }
        Ok(set)
    }

    /// Whether the CPU is in the set.
    #[inline]
    pub fn contains(&self, cpu: usize) -> bool {
        self.words.get(cpu / 64).is_some_and(|word| word & (1 << (cpu % 64)) != 0)
    }

    /// Whether no CPU is in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many CPUs are in it.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Bit masks: bit `b` of word `w` is CPU `64 * w + b`.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The CPUs, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..Self::MAX).filter(|cpu| self.contains(*cpu))
    }
}

/// `{0, 1, 5}`
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuSet{self}")
    }
}

struct Machine {
    mask: Vec<usize>,
    count: usize,
}

fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let mut mask: Vec<usize> =
            core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
        mask.sort_unstable();
        if mask.is_empty() {
            mask.push(0);
        }
        // std reads the cgroup's quota as well as the mask.
        let quota = std::thread::available_parallelism().map_or(1, NonZero::get);
        Machine { count: quota.min(mask.len()), mask }
    })
}

/// The CPUs in this process's affinity mask.
pub fn usable() -> CpuSet {
    CpuSet::new(machine().mask.iter().copied()).unwrap_or_default()
}

/// How many CPUs this process may keep busy: its affinity mask and its cgroup's quota, at least 1.
pub fn usable_count() -> usize {
    machine().count
}

/// The CPU for the worker of this index: the affinity mask, walked from an offset of this process's own.
pub fn placement(worker: usize) -> usize {
    let mask = &machine().mask;
    mask[(std::process::id() as usize + worker) % mask.len()]
}

/// The CPU that the calling thread is on at this moment, where the system tells.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn current() -> Option<usize> {
    nix::sched::sched_getcpu().ok()
}

/// The CPU that the calling thread is on at this moment, where the system tells.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn current() -> Option<usize> {
    None
}

/// Pins the calling thread to one CPU. Threads that it makes later inherit that.
pub fn pin_current_thread(cpu: usize) -> Result<()> {
    if !machine().mask.contains(&cpu) {
        return Err(Error::Affinity(format!("cannot pin to CPU {cpu}: this process may use {}", usable())));
    }
    if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(Error::Unsupported(format!("the system refused to pin a thread to CPU {cpu}; use no_pin")))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_set_holds_what_it_was_given() {
        let set = CpuSet::new([0, 5, 64, 1023]).unwrap();
        assert_eq!(set.to_string(), "{0, 5, 64, 1023}");
        assert_eq!(set.len(), 4);
        assert!(set.contains(64) && !set.contains(63) && !set.contains(5000));
        assert!(CpuSet::EMPTY.is_empty() && !set.is_empty());
    }

    #[test]
    fn out_of_range_is_named() {
        let error = CpuSet::new([1024]).unwrap_err();
        assert_eq!(error.to_string(), "CPU 1024 is out of range: CPUs are 0 to 1023");
        let mut words = [0u64; 17];
        assert!(CpuSet::from_words(&words).unwrap().is_empty());
        words[16] = 2;
        assert!(CpuSet::from_words(&words).unwrap_err().to_string().contains("CPU 1025"));
        assert_eq!(CpuSet::from_words(&[0b11, 1]).unwrap(), CpuSet::new([0, 1, 64]).unwrap());
    }

    #[test]
    fn placement_stays_inside_the_mask_and_covers_it() {
        let usable = usable();
        let placed = CpuSet::new((0..usable.len()).map(placement)).unwrap();
        assert_eq!(placed, usable);
        assert!((1..=usable.len()).contains(&usable_count()));
    }

    #[test]
    fn pinning_outside_the_mask_is_refused_in_words() {
        let absent = (0..CpuSet::MAX).find(|cpu| !usable().contains(*cpu)).unwrap();
        let error = pin_current_thread(absent).unwrap_err();
        assert!(error.to_string().contains(&format!("CPU {absent}")), "{error}");
    }

    #[test]
    fn a_pinned_thread_has_one_cpu() {
        std::thread::spawn(|| {
            let cpu = placement(0);
            pin_current_thread(cpu).unwrap();
            let now: Vec<_> = core_affinity::get_core_ids().unwrap().into_iter().map(|core| core.id).collect();
            assert_eq!(now, [cpu]);
        })
        .join()
        .unwrap();
    }
}
