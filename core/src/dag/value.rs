//! What nodes hand to each other: values whose type is known to who made them and who reads them, and why there is none.

#![forbid(unsafe_code)]

use std::{
    any::Any,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use crate::{error::Error, job::caught};

struct Absent;

/// A node's result, whatever its type. Cheap to clone: the clones share what is in it, and the last one may take it out.
#[derive(Clone)]
pub struct Value(Option<Arc<dyn Any + Send + Sync>>);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Value(..)" } else { "Value(())" })
    }
}

impl Value {
    /// `()`, which takes no memory.
    pub const UNIT: Self = Self(None);

    /// A value of this type.
    pub fn new<T: Send + Sync + 'static>(value: T) -> Self {
        if (&value as &dyn Any).is::<()>() { Self::UNIT } else { Self(Some(Arc::new(value))) }
    }

    /// One that is shared already.
    pub fn shared(value: Arc<dyn Any + Send + Sync>) -> Self {
        Self(Some(value))
    }

    /// What stands for the result of a node that was skipped.
    pub(super) fn absent() -> Self {
        static ABSENT: OnceLock<Arc<Absent>> = OnceLock::new();
        Self(Some(ABSENT.get_or_init(|| Arc::new(Absent)).clone()))
    }

    /// Whether it is that of a node that was skipped, so that there is none.
    pub fn is_absent(&self) -> bool {
        self.get::<Absent>().is_some()
    }

    /// Whether it is `()`.
    pub fn is_unit(&self) -> bool {
        self.0.is_none()
    }

    /// A look at it, if it is of this type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        match &self.0 {
            Some(value) => value.downcast_ref(),
            None => (&() as &dyn Any).downcast_ref(),
        }
    }

    /// It, if it is of this type.
    ///
    /// # Errors
    /// The value itself, if it is of another type.
    pub fn downcast<T: Send + Sync + 'static>(self) -> Result<Arc<T>, Self> {
        match self.0 {
            Some(value) => value.downcast().map_err(|value| Self(Some(value))),
            None => (Arc::new(()) as Arc<dyn Any + Send + Sync>).downcast().map_err(|_| Self(None)),
        }
    }

    /// Drops it; a panic in that is reported.
    #[inline]
    pub(super) fn drop_caught(self) {
        if let Some(value) = self.0 {
            drop_shared(value);
        }
    }
}

#[inline(never)]
fn drop_shared(value: Arc<dyn Any + Send + Sync>) {
    caught("dag", || drop(value));
}

/// What a node is given of another one's result: a look at it, or all of it for who reads it last.
pub struct Arg<T>(Arc<T>);

impl<T> Arg<T> {
    pub(super) fn new(value: Arc<T>) -> Self {
        Self(value)
    }

    /// The result itself if nobody else has it any more.
    ///
    /// # Errors
    /// The argument, if somebody has.
    pub fn try_take(self) -> Result<T, Self> {
        Arc::try_unwrap(self.0).map_err(Self)
    }

    /// The result itself, or a copy of it if somebody else has it.
    pub fn take(self) -> T
    where
        T: Clone,
    {
        Arc::unwrap_or_clone(self.0)
    }

    /// It, to be kept with others.
    pub fn share(self) -> Arc<T> {
        self.0
    }
}

impl<T> Deref for Arg<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Arg<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a node has no result: it failed, or it says that it, and what depends on it, is to be skipped.
///
/// Every error turns into one with `?`. What a binding wants to find again, an exception say, is its [cause](Failure::with_cause).
#[derive(Clone)]
pub struct Failure(pub(super) Why);

#[derive(Clone)]
pub(super) enum Why {
    Skip,
    Failed(Box<Failed>),
}

#[derive(Clone)]
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) cause: Value,
}

impl Failure {
    /// The node is skipped.
    pub fn skip() -> Self {
        Self(Why::Skip)
    }

    /// It failed, and this is what it says.
    pub fn text(text: impl Into<String>) -> Self {
        Self::with_cause(Error::Failed(text.into()), Value::UNIT)
    }

    /// It failed for this error, which was made of something else.
    pub fn with_cause(error: Error, cause: Value) -> Self {
        Self(Why::Failed(Box::new(Failed { error, cause })))
    }

    /// Whether the node is skipped.
    pub fn is_skip(&self) -> bool {
        matches!(self.0, Why::Skip)
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&Error> {
        match &self.0 {
            Why::Skip => None,
            Why::Failed(failed) => Some(&failed.error),
        }
    }

    /// What that was made of: the error that `?` was given, or what [`Failure::with_cause`] was.
    pub fn cause(&self) -> &Value {
        match &self.0 {
            Why::Skip => &Value::UNIT,
            Why::Failed(failed) => &failed.cause,
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error() {
            None => f.write_str("Skip"),
            Some(error) => f.debug_tuple("Failure").field(error).finish(),
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        match (&error as &dyn Any).downcast_ref::<Error>() {
            Some(own) => Self::with_cause(own.clone(), Value::UNIT),
            None => Self::with_cause(Error::Failed(error.to_string()), Value::new(error)),
        }
    }
}

/// The error with the node's name in its text, where it has a text.
pub(super) fn named(node: &str, error: Error) -> Error {
    let text = |text: String| format!("node {node:?}: {text}");
    match error {
        Error::Invalid(told) => Error::Invalid(text(told)),
        Error::Timeout(told) => Error::Timeout(text(told)),
        Error::Affinity(told) => Error::Affinity(text(told)),
        Error::Unsupported(told) => Error::Unsupported(text(told)),
        Error::Panic(told) => Error::Panic(text(told)),
        Error::Exists(told) => Error::Exists(text(told)),
        Error::Resolve(told) => Error::Resolve(text(told)),
        Error::Os { context, errno } => Error::Os { context: text(context), errno },
        other => Error::Failed(text(other.to_string())),
    }
}
