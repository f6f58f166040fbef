//! What is under way on a stream: C's buffers, and the callback that is told how it ended.

use std::{
    ffi::c_void,
    os::fd::{AsFd, IntoRawFd, OwnedFd},
    slice,
    sync::Arc,
};

use coop_core::{
    Error, Result,
    event_loop::stream::{Operation, Operations, Stream},
};

use crate::{
    error::{coop_error, told},
    foreign::Foreign,
    tsan::{self, Inside},
};

/// A function that is told once how a read or a write ended; then drop(arg) is called. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_io_callback {
    /// error: NULL if it was done. count: how many bytes were moved, also beside an error. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, count: usize)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

pub(crate) type Run = unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, count: usize);

/// What is done with the bytes.
pub(crate) enum What {
    /// Ends with what is there.
    Read,
    /// Ends when all is there, or the peer has ended.
    ReadExactly,
    /// Ends when all is taken.
    Write,
    /// As a write; the descriptors go with the first byte.
    Send(Vec<OwnedFd>),
    /// As a read; descriptors that come with it go where C has room for them.
    Receive { to: *mut i32, capacity: usize, count: *mut usize },
}

/// What the order of a stream's callbacks is told by.
pub(crate) fn order_of(operations: &Arc<Operations<Stream, Io>>) -> *mut c_void {
    Arc::as_ptr(operations).cast_mut().cast()
}

/// An operation of C's.
pub(crate) struct Io {
    what: What,
    data: *mut u8,
    length: usize,
    done: usize,
    callback: Foreign<Run>,
    /// Names the order of its stream's callbacks to ThreadSanitizer; never looked at.
    order: *mut c_void,
}

// SAFETY: the header says that the buffers are the library's until the end is told, from whatever thread.
unsafe impl Send for Io {}

impl Io {
    /// # Safety
    /// `data` points to `length` bytes that live until the end is told, and may be read, or written if this reads; so do the places of
    /// [`What::Receive`].
    pub(crate) unsafe fn new(
        what: What,
        data: *mut u8,
        length: usize,
        callback: Foreign<Run>,
        order: *mut c_void,
    ) -> Self {
        Self { what, data, length, done: 0, callback, order }
    }

    /// What is left of the buffer, to be read into.
    fn room(&mut self) -> &mut [u8] {
        let left = self.length - self.done;
        // SAFETY: below the length, so inside, as `new` was promised.
        let begin = unsafe { self.data.add(self.done) };
        // SAFETY: the bytes are this operation's until its end is told.
        unsafe { slice::from_raw_parts_mut(begin, left) }
    }

    /// What is left of the buffer, to be written from.
    fn rest(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: as above.
        let begin = unsafe { self.data.add(self.done) };
        // SAFETY: as above; nobody writes to it.
        unsafe { slice::from_raw_parts(begin, self.length - self.done) }
    }

    fn one_call(&mut self, stream: &Stream) -> Result<bool> {
        match &mut self.what {
            What::Read => {
                self.done = stream.try_read(self.room())?;
                Ok(true)
            }
            What::ReadExactly => {
                let count = stream.try_read(self.room())?;
                self.done += count;
                Ok(count == 0 || self.done == self.length)
            }
            What::Write => {
                if self.done < self.length {
                    self.done += stream.try_write(self.rest())?;
                }
                Ok(self.done == self.length)
            }
            What::Send(descriptors) => {
                // SAFETY: the bytes are this operation's until its end is told; nobody writes to them.
                let data = unsafe { slice::from_raw_parts(self.data, self.length) };
                if descriptors.is_empty() {
                    self.done += stream.try_write(&data[self.done..])?;
                } else {
                    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
                    self.done = stream.try_send_with_fds(data, &borrowed)?;
                    // They have gone with the first byte.
                    descriptors.clear();
                }
                Ok(self.done == self.length)
            }
            What::Receive { to, capacity, count } => {
                let (to, capacity, count) = (*to, *capacity, *count);
                // Here and not in the call: a call that is refused, because such an operation is under way with the same place, leaves
                // it alone. The first attempt is made inside the call.
                // SAFETY: a place for a number, until the end is told.
                unsafe { count.write(0) };
                let came = stream.try_recv_with_fds(self.room(), capacity)?;
                self.done = came.bytes;
                if came.truncated {
                    return Err(Error::QueueFull {
                        what: "room for descriptors",
                        capacity: format!("{capacity} descriptors"),
                    });
                }
                for (index, descriptor) in came.descriptors.into_iter().take(capacity).enumerate() {
                    // SAFETY: below the capacity, for which C has room until the end is told.
                    let place = unsafe { to.add(index) };
                    // SAFETY: as above.
                    unsafe { place.write(descriptor.into_raw_fd()) };
                    // SAFETY: a place for a number, until the end is told.
                    unsafe { count.write(index + 1) };
                }
                Ok(true)
            }
        }
    }
}

impl Io {
    /// It was not accepted: the argument is C's.
    pub(crate) fn forget(self) {
        std::mem::forget(self.callback);
    }
}

impl Operation<Stream> for Io {
    fn attempt(&mut self, stream: &Stream) -> Result<bool> {
        // The bytes change hands: from the caller's thread to this one, and from this one to the callback's.
        tsan::taken_over(self.callback.arg);
        let result = self.one_call(stream);
        tsan::hand_over(self.callback.arg);
        result
    }

    fn is_in_vain_before_ready(&self) -> bool {
        match self.what {
            What::Read | What::ReadExactly => true,
            What::Write => self.length > 0,
            // Refused by what is no Unix socket, ready or not.
            What::Send(_) | What::Receive { .. } => false,
        }
    }

    fn end(self, result: Result<()>) {
        told(result.as_ref().copied(), |error| {
            // Callbacks of one stream come one after another.
            let _in_order = Inside::after_others(self.order);
            let _inside = Inside::once(self.callback.arg);
            // SAFETY: C gave the function for this argument.
            unsafe { (self.callback.run)(self.callback.arg, error, self.done) };
        });
    }
}
