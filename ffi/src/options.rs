//! What C passes in: options structs of any version, flags, durations, texts.

use std::{
    ffi::{OsStr, c_char},
    mem::MaybeUninit,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    ptr, slice, str,
    time::Duration,
};

use coop_core::{Error, Result};

use crate::handle::null;

/// Larger than any options struct of any version: such a size was not written by sizeof, and its bytes are not
/// looked at.
pub(crate) const SILLY: usize = 4096;

/// An options struct of the C interface.
///
/// # Safety
/// `#[repr(C)]`, without padding, begins with `size: usize`, and any bytes are a value of it: numbers, raw pointers, and other
/// such structs only.
pub(crate) unsafe trait Options: Copy {
    /// The struct's name, for messages.
    const NAME: &'static str;
    /// The size of its first version.
    const FIRST: usize;
}

/// Reads the caller's options: NULL is all defaults, a shorter struct of an earlier version is filled up with
/// zeros, a longer one is taken if what is not known here is zero.
///
/// # Safety
/// `options` is NULL or points to as many readable bytes as its `size` says.
pub(crate) unsafe fn read<T: Options>(options: *const T) -> Result<T> {
    let mut known = MaybeUninit::<T>::zeroed();
    if options.is_null() {
        // SAFETY: any bytes are a T.
        return Ok(unsafe { known.assume_init() });
    }
    // SAFETY: every options struct begins with its size.
    let size = unsafe { options.cast::<usize>().read() };
    let (name, known_size) = (T::NAME, size_of::<T>());
    if !(T::FIRST..=SILLY).contains(&size) {
        return Err(Error::Invalid(format!("{name}.size is {size}: set it to sizeof({name}), which is {known_size}")));
    }
    let bytes = options.cast::<u8>();
    // SAFETY: both are at least that long, and `known` is a place of its own.
    unsafe { ptr::copy_nonoverlapping(bytes, known.as_mut_ptr().cast::<u8>(), size.min(known_size)) };
    let unknown = size.saturating_sub(known_size);
    // SAFETY: the bytes up to `size` are readable, as the caller says.
    let unknown = unsafe { array(bytes.wrapping_add(known_size), unknown, name) }?;
    if let Some(at) = unknown.iter().position(|byte| *byte != 0) {
        return Err(Error::Unsupported(format!(
            "{name} has {size} bytes and byte {} is not 0: this libcoop ({}) knows {known_size}",
            known_size + at,
            coop_core::VERSION
        )));
    }
    // SAFETY: any bytes are a T.
    Ok(unsafe { known.assume_init() })
}

/// Writes an output struct, as much of it as the caller's size says; the size stays the caller's.
///
/// # Safety
/// `out` points to as many bytes as its `size` says.
pub(crate) unsafe fn write<T: Options>(filled: &T, out: *mut T) -> Result<()> {
    // SAFETY: the caller's promise.
    let (size, known_size) = (unsafe { room(out) }?, size_of::<T>());
    let begin = size_of::<usize>();
    let from = ptr::from_ref(filled).cast::<u8>().wrapping_add(begin);
    let to = out.cast::<u8>().wrapping_add(begin);
    // SAFETY: both are at least that long, and a place that C hands over for an output is not this one.
    unsafe { ptr::copy_nonoverlapping(from, to, size.min(known_size) - begin) };
    Ok(())
}

/// How many bytes an output struct has room for.
///
/// # Safety
/// `out` points to its `size`, at least.
pub(crate) unsafe fn room<T: Options>(out: *const T) -> Result<usize> {
    // SAFETY: every such struct begins with its size.
    let size = unsafe { out.cast::<usize>().read() };
    let (name, known_size) = (T::NAME, size_of::<T>());
    if !(T::FIRST..=SILLY).contains(&size) {
        return Err(Error::Invalid(format!("{name}.size is {size}: set it to sizeof({name}), which is {known_size}")));
    }
    Ok(size)
}

/// A field that is 0 or 1.
pub(crate) fn flag(value: i32, name: &str) -> Result<bool> {
    match value {
        0 | 1 => Ok(value == 1),
        _ => Err(Error::Invalid(format!("{name} is {value}: allowed are 0 and 1"))),
    }
}

/// A field that must be 0 for now.
pub(crate) fn reserved(value: i32, name: &str) -> Result<()> {
    match value {
        0 => Ok(()),
        _ => Err(Error::Unsupported(format!("{name} is {value}: it is reserved and must be 0"))),
    }
}

/// A time to wait: nanoseconds, -1 is for ever.
pub(crate) fn timeout(ns: i64, name: &str) -> Result<Option<Duration>> {
    match u64::try_from(ns) {
        Ok(ns) => Ok(Some(Duration::from_nanos(ns))),
        Err(_) if ns == -1 => Ok(None),
        Err(_) => Err(Error::Invalid(format!("{name} is {ns}: allowed are nanoseconds from 0, or -1 for ever"))),
    }
}

/// A deadline among options, where zero is the default: none, as for ever.
pub(crate) fn deadline(ns: i64, name: &str) -> Result<Option<Duration>> {
    Ok(timeout(ns, name)?.filter(|limit| !limit.is_zero()))
}

/// A time that must be told: nanoseconds.
pub(crate) fn duration(ns: i64, name: &str) -> Result<Duration> {
    match u64::try_from(ns) {
        Ok(ns) => Ok(Duration::from_nanos(ns)),
        Err(_) => Err(Error::Invalid(format!("{name} is {ns}: allowed are nanoseconds from 0"))),
    }
}

/// `count` things from `data`, which may be NULL if there are none.
///
/// # Safety
/// `data` points to that many readable things, for as long as the slice is used.
pub(crate) unsafe fn array<'a, T>(data: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(name));
    }
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(Error::Invalid(format!("{count} of {name} do not fit into memory")));
    }
    // SAFETY: not NULL, not too large, and readable by the caller's promise.
    Ok(unsafe { slice::from_raw_parts(data, count) })
}

/// A text of C's; `None` if it is not given (NULL, or no bytes). It ends up where C strings are wanted, so it
/// holds no NUL.
///
/// # Safety
/// `data` points to `length` readable bytes.
pub(crate) unsafe fn text(data: *const c_char, length: usize, name: &str) -> Result<Option<String>> {
    // SAFETY: the caller's promise; characters are bytes.
    let bytes = unsafe { array(data.cast::<u8>(), length, name) }?;
    let text = str::from_utf8(bytes)
        .map_err(|error| Error::Invalid(format!("{name} is not UTF-8 at byte {}", error.valid_up_to())))?;
    if let Some(at) = text.find('\0') {
        return Err(Error::Invalid(format!("{name} has a NUL at byte {at}")));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A path of C's, whose bytes are the system's; `None` if it is not given (NULL, or no bytes).
///
/// # Safety
/// `data` points to `length` readable bytes.
pub(crate) unsafe fn path(data: *const c_char, length: usize, name: &str) -> Result<Option<PathBuf>> {
    // SAFETY: the caller's promise; characters are bytes.
    let bytes = unsafe { array(data.cast::<u8>(), length, name) }?;
    Ok((!bytes.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(bytes))))
}

#[cfg(test)]
mod test {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Sample {
        size: usize,
        first: u64,
        later: u64,
    }

    // SAFETY: three words.
    unsafe impl Options for Sample {
        const NAME: &'static str = "sample";
        const FIRST: usize = 16;
    }

    fn read_words(words: &[u64]) -> Result<Sample> {
        assert!(words[0] as usize > SILLY || words[0] as usize <= size_of_val(words));
        // SAFETY: the words are as long as the first of them says, or that is silly.
        unsafe { read(words.as_ptr().cast::<Sample>()) }
    }

    #[test]
    fn every_version_is_read() {
        // SAFETY: NULL is allowed.
        let none = unsafe { read(ptr::null::<Sample>()) };
        assert_eq!(none, Ok(Sample { size: 0, first: 0, later: 0 }));
        assert_eq!(read_words(&[24, 7, 8]), Ok(Sample { size: 24, first: 7, later: 8 }));
        assert_eq!(read_words(&[16, 7]), Ok(Sample { size: 16, first: 7, later: 0 }), "the first version");
        assert_eq!(read_words(&[32, 7, 8, 0]), Ok(Sample { size: 32, first: 7, later: 8 }), "a later one");
        let text = read_words(&[32, 7, 8, 1 << 8]).unwrap_err().to_string();
        assert!(text.contains("sample has 32 bytes and byte 25 is not 0"), "{text}");
        for silly in [0, 8, 15, 4097, u64::MAX] {
            let text = read_words(&[silly, 0, 0]).unwrap_err().to_string();
            assert_eq!(text, format!("sample.size is {silly}: set it to sizeof(sample), which is 24"));
        }
    }

    #[test]
    fn an_output_is_written_as_far_as_the_caller_has_room() {
        let filled = Sample { size: 24, first: 7, later: 8 };
        let write_to = |words: &mut [u64]| {
            // SAFETY: the words are as long as the first of them says, or that is silly.
            unsafe { write(&filled, words.as_mut_ptr().cast::<Sample>()) }
        };
        for (given, expected) in
            [([16, 0, 9, 9], [16, 7, 9, 9]), ([24, 0, 0, 9], [24, 7, 8, 9]), ([32, 0, 0, 9], [32, 7, 8, 9])]
        {
            let mut words = given;
            assert_eq!(write_to(&mut words), Ok(()));
            assert_eq!(words, expected);
        }
        let mut words = [8, 1, 1];
        assert_eq!(
            write_to(&mut words).unwrap_err().to_string(),
            "sample.size is 8: set it to sizeof(sample), which is 24"
        );
        assert_eq!(words, [8, 1, 1]);
    }

    #[test]
    fn texts_and_times_are_checked() {
        let read_text = |bytes: &[u8]| {
            // SAFETY: a slice is readable.
            unsafe { text(bytes.as_ptr().cast(), bytes.len(), "name") }
        };
        assert_eq!(read_text(b"abc"), Ok(Some("abc".into())));
        assert_eq!(read_text(b""), Ok(None));
        assert_eq!(read_text(b"ab\xff").unwrap_err().to_string(), "name is not UTF-8 at byte 2");
        assert_eq!(read_text(b"a\0b").unwrap_err().to_string(), "name has a NUL at byte 1");
        // SAFETY: NULL is answered.
        let missing = unsafe { text(ptr::null(), 3, "name") };
        assert_eq!(missing, Err(Error::Null("name".into())));
        // SAFETY: refused before it is read.
        let endless = unsafe { array(ptr::dangling::<u64>(), usize::MAX / 8, "words") };
        assert!(endless.is_err());
        assert_eq!(timeout(-1, "t"), Ok(None));
        assert_eq!(timeout(5, "t"), Ok(Some(Duration::from_nanos(5))));
        assert!(timeout(-2, "t").is_err() && duration(-1, "t").is_err());
    }
}
