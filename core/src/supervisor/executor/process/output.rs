//! What a child writes: read without ever waiting, cut into lines, and handed to a sink that may be slow.
//!
//! # What holds
//!
//! * A child never waits for a slow sink: its pipes are read on the loop, so much a turn, and a line that finds its queue full is dropped
//!   and counted; the count is told, in its place, when the sink goes on.
//! * A line ends at a newline, at the end of what the child wrote, or after [`LINE`] bytes, and then says that it goes on. What is no
//!   UTF-8 is replaced.
//! * The last lines are kept for the event of the child's end, whatever the sink.
//! * All that a child wrote before its end is read before its end is told: to the end of the pipe, or to what was in it then, if some process
//!   that left the child's group keeps it open.
//!
//! `lines.rs` cuts, `capture.rs` reads, `delivery.rs` is the thread that hands lines to sinks, `format.rs` what they look like written.

#![forbid(unsafe_code)]

mod capture;
mod delivery;
mod format;
mod lines;

use std::{fmt, sync::Arc, time::SystemTime};

pub(super) use self::capture::Capture;
pub(in super::super) use self::capture::Writers;
use super::command::Descriptor;
use crate::error::{Error, Result};

/// The longest line, in bytes; what is longer is told as several.
pub const LINE: usize = 8 * 1024;
/// The most lines that are kept for the event of an end.
pub const TAIL: usize = 10_000;

/// Which of its outputs a child wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Number 1.
    Stdout,
    /// Number 2.
    Stderr,
}

impl Stream {
    /// `"stdout"` or `"stderr"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One line that a child wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When it was read.
    pub time: SystemTime,
    /// The child's names from the root of the host down, joined by `/`.
    pub service: Arc<str>,
    /// The child.
    pub pid: i32,
    /// Where it wrote it.
    pub stream: Stream,
    /// Without its newline.
    pub text: String,
    /// It was cut here: the next line of this stream goes on with it.
    pub goes_on: bool,
    /// So many lines were dropped here, which the text says too; 0 for a line of the child's.
    pub dropped: u64,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `web/1 | text`
    #[default]
    Prefixed,
    /// One object a line: `{"time":…,"service":…,"pid":…,"stream":…,"line":…}`.
    Json,
}

/// Called with each line, from a thread of the library's, never two at a time for one child.
pub type OnLine = Arc<dyn Fn(&Line) + Send + Sync>;

/// Where the lines of a child go.
#[derive(Clone)]
pub enum Sink {
    /// Nowhere; the last ones are kept.
    Null,
    /// Nothing is captured: the child writes where this process does.
    Inherit,
    /// To a callback.
    Lines(OnLine),
    /// To a descriptor, `None` is this process's error output.
    Write {
        /// Where.
        to: Option<Descriptor>,
        /// How.
        format: Format,
    },
}

impl Default for Sink {
    fn default() -> Self {
        Self::Write { to: None, format: Format::Prefixed }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Inherit => f.write_str("Inherit"),
            Self::Lines(_) => f.write_str("Lines"),
            Self::Write { to, format } => f.debug_struct("Write").field("to", to).field("format", format).finish(),
        }
    }
}

/// The same callback, not one that does the same.
impl PartialEq for Sink {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Inherit, Self::Inherit) => true,
            (Self::Lines(one), Self::Lines(other)) => Arc::ptr_eq(one, other),
            (Self::Write { to: one, format }, Self::Write { to, format: other }) => one == to && format == other,
            _ => false,
        }
    }
}

/// What is done with a child's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its lines.
    pub stdout: Sink,
    /// Its errors.
    pub stderr: Sink,
    /// How many of its last lines the event of its end has.
    pub tail: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self { stdout: Sink::default(), stderr: Sink::default(), tail: 20 }
    }
}

impl Output {
    /// Whether it can be done.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`TAIL`] last lines.
    pub fn validate(&self) -> Result<()> {
        if self.tail > TAIL {
            return Err(Error::Invalid(format!("{} last lines: allowed are up to {TAIL}", self.tail)));
        }
        Ok(())
    }

    pub(super) fn of(&self, stream: Stream) -> &Sink {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}
