//! What a call says: words of bytes, as a server reads them.

#![forbid(unsafe_code)]

use std::io::Write;

use crate::error::{Error, Result};

/// The words of a command, each of any bytes: `["GET", "key"]`, a slice, a vector, or a [`Command`].
pub trait Words {
    /// How many there are, the command's name included.
    fn count(&self) -> usize;

    /// One of them; `at` is below the count.
    fn word(&self, at: usize) -> &[u8];
}

impl<A: AsRef<[u8]>> Words for [A] {
    fn count(&self) -> usize {
        self.len()
    }

    fn word(&self, at: usize) -> &[u8] {
        self[at].as_ref()
    }
}

impl<A: AsRef<[u8]>, const N: usize> Words for [A; N] {
    fn count(&self) -> usize {
        N
    }

    fn word(&self, at: usize) -> &[u8] {
        self[at].as_ref()
    }
}

impl<A: AsRef<[u8]>> Words for Vec<A> {
    fn count(&self) -> usize {
        self.len()
    }

    fn word(&self, at: usize) -> &[u8] {
        self[at].as_ref()
    }
}

impl<W: Words + ?Sized> Words for &W {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn word(&self, at: usize) -> &[u8] {
        (**self).word(at)
    }
}

/// A command made word by word, for words of several types.
///
/// ```
/// use coop_core::net::redis::{Command, Words};
///
/// let command = Command::new("SET").arg("visits").arg(1_u64).arg(vec![b'E', b'X']).arg(60);
/// assert_eq!((command.count(), command.word(2)), (5, &b"1"[..]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Command {
    /// Begins with the command's name.
    pub fn new(name: impl Word) -> Self {
        Self::default().arg(name)
    }

    /// Of words that are there already.
    pub fn of(words: &(impl Words + ?Sized)) -> Self {
        let mut command = Self::default();
        for at in 0..words.count() {
            command.bytes.extend_from_slice(words.word(at));
            command.ends.push(command.bytes.len());
        }
        command
    }

    /// With one more word.
    #[must_use = "the command comes back"]
    pub fn arg(mut self, word: impl Word) -> Self {
        word.append(&mut self.bytes);
        self.ends.push(self.bytes.len());
        self
    }

    /// With more words.
    #[must_use = "the command comes back"]
    pub fn args(self, words: impl IntoIterator<Item = impl Word>) -> Self {
        words.into_iter().fold(self, Self::arg)
    }
}

impl Words for Command {
    fn count(&self) -> usize {
        self.ends.len()
    }

    fn word(&self, at: usize) -> &[u8] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[begin..self.ends[at]]
    }
}

/// One word: text, bytes, or a number in decimal.
pub trait Word {
    /// Appends its bytes.
    fn append(&self, to: &mut Vec<u8>);
}

macro_rules! words_of_bytes {
    ($($type:ty),*) => {$(
        impl Word for $type {
            fn append(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(self.as_ref());
            }
        }
    )*};
}
words_of_bytes!(str, [u8], String, Vec<u8>);

macro_rules! words_of_numbers {
    ($($type:ty),*) => {$(
        impl Word for $type {
            fn append(&self, to: &mut Vec<u8>) {
                // Writing to a vector does not fail.
                let _ = write!(to, "{self}");
            }
        }
    )*};
}
words_of_numbers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64);

impl<const N: usize> Word for [u8; N] {
    fn append(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }
}

impl<W: Word + ?Sized> Word for &W {
    fn append(&self, to: &mut Vec<u8>) {
        (**self).append(to);
    }
}

/// Appends a command as the protocol has it.
#[inline]
pub(super) fn encode(words: &(impl Words + ?Sized), to: &mut Vec<u8>) {
    let count = words.count();
    header(b'*', count, to);
    for at in 0..count {
        let word = words.word(at);
        header(b'$', word.len(), to);
        to.extend_from_slice(word);
        to.extend_from_slice(b"\r\n");
    }
}

#[inline]
fn header(kind: u8, number: usize, to: &mut Vec<u8>) {
    if number < 10 {
        #[expect(clippy::cast_possible_truncation, reason = "one digit")]
        return to.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']);
    }
    // 20 digits hold every number.
    let (mut digits, mut at, mut left) = ([0; 23], 21, number);
    while left > 0 {
        at -= 1;
        #[expect(clippy::cast_possible_truncation, reason = "one digit")]
        let digit = (left % 10) as u8;
        digits[at] = b'0' + digit;
        left /= 10;
    }
    digits[at - 1] = kind;
    digits[21] = b'\r';
    digits[22] = b'\n';
    to.extend_from_slice(&digits[at - 1..]);
}

/// What a command would do to a connection that others share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// It changes what the connection does for the commands after it.
    State,
    /// It ends a transaction, or what was watched for one.
    Ends,
    /// It sets what the next user of the connection would notice, and others who share it may live with.
    Session,
    /// It never has the one reply that a call waits for.
    NoReply,
}

/// Looks at a command before it is accepted.
///
/// # Errors
/// [`Error::Invalid`] for no words, and for a command that would break the order of replies.
#[inline]
pub(super) fn look_at(words: &(impl Words + ?Sized)) -> Result<Effect> {
    if words.count() == 0 {
        return Err(Error::Invalid("a redis command of no words: the first is its name".into()));
    }
    let name = words.word(0);
    if name.is_empty() {
        return Err(Error::Invalid("a redis command whose name is empty".into()));
    }
    // Those that are of interest begin with few letters.
    if !matches!(name[0] | 0x20, b'a' | b'c' | b'd' | b'e' | b'h' | b'm' | b'p' | b'q' | b'r' | b's' | b'u' | b'w') {
        return Ok(Effect::None);
    }
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    let second_is = |other: &str| words.count() > 1 && words.word(1).eq_ignore_ascii_case(other.as_bytes());
    Ok(match name.len() {
        4 if is("AUTH") || is("QUIT") => Effect::State,
        4 if is("EXEC") => Effect::Ends,
        4 if is("SYNC") => Effect::NoReply,
        5 if is("MULTI") || is("WATCH") || is("HELLO") || is("RESET") => Effect::State,
        5 if is("PSYNC") => Effect::NoReply,
        6 if is("SELECT") => Effect::State,
        6 if is("CLIENT") && second_is("REPLY") => Effect::NoReply,
        6 if is("CLIENT") && !(second_is("ID") || second_is("LIST") || second_is("INFO")) => Effect::Session,
        6 if is("ASKING") => Effect::Session,
        7 if is("DISCARD") => Effect::Ends,
        7 if is("UNWATCH") => Effect::State,
        7 if is("MONITOR") => Effect::NoReply,
        8 if is("READONLY") => Effect::Session,
        9 if is("READWRITE") => Effect::Session,
        9 if is("SUBSCRIBE") => Effect::NoReply,
        10 if is("PSUBSCRIBE") || is("SSUBSCRIBE") => Effect::NoReply,
        11 if is("UNSUBSCRIBE") => Effect::NoReply,
        12 if is("PUNSUBSCRIBE") || is("SUNSUBSCRIBE") => Effect::NoReply,
        _ => Effect::None,
    })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn commands_as_the_protocol_has_them() {
        let mut bytes = Vec::new();
        encode(&["GET", "k"], &mut bytes);
        assert_eq!(bytes, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        for length in [0, 9, 10, 99, 100, 12_345] {
            let mut bytes = Vec::new();
            encode(&[vec![b'x'; length]], &mut bytes);
            let expected = format!("*1\r\n${length}\r\n{}\r\n", "x".repeat(length));
            assert_eq!(bytes, expected.as_bytes());
        }
        let mut bytes = Vec::new();
        encode(&Command::new("A").arg(-5).arg(1.5).arg(b"").args(["x", "y"]), &mut bytes);
        assert_eq!(bytes, b"*6\r\n$1\r\nA\r\n$2\r\n-5\r\n$3\r\n1.5\r\n$0\r\n\r\n$1\r\nx\r\n$1\r\ny\r\n");
        assert_eq!(Command::of(&["GET", "k"]), Command::new("GET").arg("k"));
    }

    #[test]
    fn what_would_break_a_shared_connection_is_seen() {
        let none: [&str; 0] = [];
        assert!(look_at(&none).is_err() && look_at(&[""]).is_err());
        assert_eq!(look_at(&["get", "multi"]), Ok(Effect::None));
        assert_eq!(look_at(&["client", "reply", "off"]), Ok(Effect::NoReply));
        assert_eq!(look_at(&["client", "id"]), Ok(Effect::None));
        for name in ["exec", "DISCARD"] {
            assert_eq!(look_at(&[name]), Ok(Effect::Ends), "{name}");
        }
        assert_eq!(look_at(&["client", "tracking", "on"]), Ok(Effect::Session));
        assert_eq!(look_at(&["READONLY"]), Ok(Effect::Session));
        for name in ["multi", "Watch", "select", "QUIT", "reset"] {
            assert_eq!(look_at(&[name]), Ok(Effect::State), "{name}");
        }
        for name in ["subscribe", "PSUBSCRIBE", "sunsubscribe", "monitor", "psync"] {
            assert_eq!(look_at(&[name]), Ok(Effect::NoReply), "{name}");
        }
    }
}
