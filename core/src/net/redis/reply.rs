//! What a server answers, as a tree.

#![forbid(unsafe_code)]

use std::{borrow::Cow, fmt};

use crate::error::{Error, Result};

/// A reply, or a part of one. Types that only RESP3 has come as what RESP2 says instead from a server that speaks that: a map as an array of
/// keys and values in turns, a double and a big number as bytes, a boolean as an integer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Nothing: no such key.
    Null,
    /// An integer.
    Int(i64),
    /// Bytes, with whatever in them.
    Bulk(Vec<u8>),
    /// One line without its end, such as `OK`.
    Status(Vec<u8>),
    /// The server refused, or failed.
    Error(ServerError),
    /// A row of replies.
    Array(Vec<Self>),
    /// Keys and values, in the server's order (RESP3).
    Map(Vec<(Self, Self)>),
    /// Replies without an order or doubles (RESP3).
    Set(Vec<Self>),
    /// A number (RESP3).
    Double(f64),
    /// Yes or no (RESP3).
    Bool(bool),
    /// Bytes that say what they are: `txt`, `mkd` (RESP3).
    Verbatim {
        /// Three letters.
        format: [u8; 3],
        /// The bytes.
        text: Vec<u8>,
    },
    /// A number of any length, as its digits (RESP3).
    BigNumber(Vec<u8>),
    /// What no call has asked for: its first part says what it is (RESP3).
    Push(Vec<Self>),
    /// A reply with something about it (RESP3).
    Attribute {
        /// What is said about it.
        about: Vec<(Self, Self)>,
        /// The reply itself.
        reply: Box<Self>,
    },
}

/// What a server says when it refuses: one line, whose first word is a code.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError {
    text: Vec<u8>,
}

impl ServerError {
    pub(super) fn new(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into() }
    }

    /// The line as it came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The whole line.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }

    /// Its first word, in capitals: `ERR`, `WRONGTYPE`, `MOVED`, `OOM`; nothing if it has none.
    pub fn code(&self) -> &str {
        let word = self.text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let is_code = !word.is_empty() && word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if is_code { str::from_utf8(word).unwrap_or_default() } else { "" }
    }

    /// Where the key is instead, if that is what the error says (`MOVED`, `ASK`): the slot and the address.
    pub fn moved_to(&self) -> Option<(u16, &str)> {
        if !matches!(self.code(), "MOVED" | "ASK") {
            return None;
        }
        let mut words = str::from_utf8(&self.text).ok()?.split(' ').skip(1);
        Some((words.next()?.parse().ok()?, words.next()?))
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl std::error::Error for ServerError {}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Failed(format!("redis: {error}"))
    }
}

impl Reply {
    /// The reply, unless it is the server's error.
    ///
    /// # Errors
    /// [`Error::Failed`] with the server's line.
    pub fn ok(self) -> Result<Self> {
        match self.plain() {
            Self::Error(error) => Err(error.into()),
            reply => Ok(reply),
        }
    }

    /// The reply without what is said about it.
    pub fn plain(self) -> Self {
        match self {
            Self::Attribute { reply, .. } => reply.plain(),
            reply => reply,
        }
    }

    /// The name of its type: `"null"`, `"int"`, `"bulk"`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "int",
            Self::Bulk(_) => "bulk",
            Self::Status(_) => "status",
            Self::Error(_) => "error",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Set(_) => "set",
            Self::Double(_) => "double",
            Self::Bool(_) => "bool",
            Self::Verbatim { .. } => "verbatim",
            Self::BigNumber(_) => "big number",
            Self::Push(_) => "push",
            Self::Attribute { .. } => "attribute",
        }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The server's error, if it is one.
    pub fn as_error(&self) -> Option<&ServerError> {
        match self {
            Self::Error(error) => Some(error),
            Self::Attribute { reply, .. } => reply.as_error(),
            _ => None,
        }
    }

    /// The bytes of what is made of bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) | Self::Status(bytes) | Self::BigNumber(bytes) => Some(bytes),
            Self::Verbatim { text, .. } => Some(text),
            Self::Error(error) => Some(error.as_bytes()),
            Self::Attribute { reply, .. } => reply.as_bytes(),
            _ => None,
        }
    }

    /// Those bytes as text, if they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(self.as_bytes()?).ok()
    }

    /// An integer, also of a boolean and of digits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(yes) => Some(i64::from(*yes)),
            Self::Error(_) => None,
            Self::Attribute { reply, .. } => reply.as_int(),
            other => other.as_str()?.parse().ok(),
        }
    }

    /// A number, also of an integer and of digits.
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "the nearest one is what is asked for")]
            Self::Int(number) => Some(*number as f64),
            Self::Error(_) => None,
            Self::Attribute { reply, .. } => reply.as_double(),
            other => other.as_str()?.parse().ok(),
        }
    }

    /// The parts of an array, a set or a push.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(parts) | Self::Set(parts) | Self::Push(parts) => Some(parts),
            Self::Attribute { reply, .. } => reply.as_array(),
            _ => None,
        }
    }

    /// The bytes, taken out: `None` for nothing.
    ///
    /// # Errors
    /// [`Error::Failed`] with the server's line, or for a reply that is no bytes.
    pub fn into_bytes(self) -> Result<Option<Vec<u8>>> {
        match self.ok()? {
            Self::Null => Ok(None),
            Self::Bulk(bytes) | Self::Status(bytes) | Self::BigNumber(bytes) => Ok(Some(bytes)),
            Self::Verbatim { text, .. } => Ok(Some(text)),
            other => Err(other.unexpected("bytes")),
        }
    }

    /// The integer.
    ///
    /// # Errors
    /// [`Error::Failed`] with the server's line, or for a reply that is no integer.
    pub fn into_int(self) -> Result<i64> {
        let reply = self.ok()?;
        reply.as_int().ok_or_else(|| reply.unexpected("an integer"))
    }

    /// The parts of an array, a set or a push; of a map its keys and values in turns.
    ///
    /// # Errors
    /// [`Error::Failed`] with the server's line, or for a reply that has no parts.
    pub fn into_array(self) -> Result<Vec<Self>> {
        match self.ok()? {
            Self::Array(parts) | Self::Set(parts) | Self::Push(parts) => Ok(parts),
            Self::Map(pairs) => Ok(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
            other => Err(other.unexpected("an array")),
        }
    }

    /// The pairs of a map, or of an array that is one in RESP2.
    ///
    /// # Errors
    /// [`Error::Failed`] with the server's line, or for a reply that has no pairs.
    pub fn into_pairs(self) -> Result<Vec<(Self, Self)>> {
        match self.ok()? {
            Self::Map(pairs) => Ok(pairs),
            Self::Array(parts) if parts.len() % 2 == 0 => {
                let (mut parts, mut pairs) = (parts.into_iter(), Vec::new());
                while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                    pairs.push((key, value));
                }
                Ok(pairs)
            }
            other => Err(other.unexpected("a map")),
        }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Error {
        Error::Failed(format!("redis: the reply is a {} where {wanted} was expected", self.kind()))
    }

    /// Whether it is the status `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Status(line) if line == b"OK")
    }
}
