//! Replies out of bytes, as the bytes come.
//!
//! # What it guarantees
//!
//! * A reply may come in any pieces: nothing that was understood is looked at again but an unfinished line, which is bounded.
//! * Memory follows what has come, not what was announced; what is over the limit is refused when it is announced.
//! * What is no reply is an error that shows it, and no panic.
//!
//! Why not the redis crate's parser: it reserves what a length announces, has no limit, and takes lines that are not UTF-8 for garbage.

#![forbid(unsafe_code)]

use super::reply::{Reply, ServerError};

/// The longest line: a status, an error, a number, a length.
const MAX_LINE: usize = 64 * 1024;
/// Parts within parts.
const MAX_DEPTH: usize = 128;
/// Room that an announced number of parts gets before they have come.
const AHEAD: usize = 1024;
/// What a part counts towards the limit, beside its bytes.
const PART: usize = size_of::<Reply>();

/// What bytes of a given number are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Bulk,
    Error,
    Verbatim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Map,
    Set,
    Push,
    /// Its pairs, and then the reply that they are about.
    Attribute,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    /// Parts that are still to come.
    left: usize,
    parts: Vec<Reply>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Parser {
    open: Vec<Open>,
    /// A header that has come, whose bytes have not.
    bytes: Option<(Bytes, usize)>,
    /// Bytes that the reply at hand may still take.
    budget: usize,
    limit: usize,
    /// How many bytes of an unfinished line have come.
    looked: usize,
}

impl Parser {
    /// For replies of up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { open: Vec::new(), bytes: None, budget: limit, limit, looked: 0 }
    }

    /// How many bytes must be there before another attempt makes sense.
    pub(super) fn wants(&self) -> usize {
        self.bytes.map_or(self.looked + 1, |(_, count)| count + 2)
    }

    /// The next reply, and how many of the bytes were used, also if it is not whole yet.
    ///
    /// # Errors
    /// What is wrong with the bytes; the parser is of no use from then on.
    #[inline]
    pub(super) fn parse(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), String> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let done = match self.bytes {
                Some((what, count)) => {
                    let Some(ended) = rest.get(..count + 2) else { return Ok((used, None)) };
                    if &ended[count..] != b"\r\n" {
                        return Err(format!("{} instead of the end of {count} bytes", shown(&ended[count..])));
                    }
                    self.bytes = None;
                    used += count + 2;
                    Some(of_bytes(what, &ended[..count])?)
                }
                None => {
                    let Some(length) = self.line(rest)? else { return Ok((used, None)) };
                    used += length + 2;
                    self.of_line(&rest[..length])?
                }
            };
            if let Some(reply) = done
                && let Some(whole) = self.close(reply)
            {
                self.budget = self.limit;
                return Ok((used, Some(whole)));
            }
        }
    }

    /// The length of the line that the bytes begin with, if its end has come.
    #[inline]
    fn line(&mut self, rest: &[u8]) -> Result<Option<usize>, String> {
        // The last byte may have been the first half of the end.
        let mut at = self.looked.saturating_sub(1);
        while let Some(found) = rest[at..].iter().position(|byte| *byte == b'\r') {
            at += found;
            match rest.get(at + 1) {
                Some(b'\n') => {
                    self.looked = 0;
                    return Ok(Some(at));
                }
                Some(_) => at += 1,
                None => break,
            }
        }
        if let Some(first) = rest.first()
            && !b"+-:$*_,#!=(%~>|".contains(first)
        {
            return Err(format!("{} is not the beginning of a reply", shown(rest)));
        }
        if rest.len() > MAX_LINE {
            return Err(format!("a line of more than {MAX_LINE} bytes"));
        }
        self.looked = rest.len();
        Ok(None)
    }

    /// What a line is, if it is something already.
    #[inline]
    fn of_line(&mut self, line: &[u8]) -> Result<Option<Reply>, String> {
        let Some((kind, rest)) = line.split_first() else {
            return Err("an empty line is not the beginning of a reply".into());
        };
        self.charge(PART + rest.len())?;
        Ok(Some(match kind {
            b'$' => return self.bytes_follow(Bytes::Bulk, rest),
            b':' => Reply::Int(integer(rest)?),
            b'+' => Reply::Status(rest.to_vec()),
            b'-' => Reply::Error(ServerError::new(rest)),
            b'*' => return self.parts_follow(Kind::Array, rest),
            b'%' => return self.parts_follow(Kind::Map, rest),
            b'~' => return self.parts_follow(Kind::Set, rest),
            b'>' => return self.parts_follow(Kind::Push, rest),
            b'|' => return self.parts_follow(Kind::Attribute, rest),
            b'!' => return self.bytes_follow(Bytes::Error, rest),
            b'=' => return self.bytes_follow(Bytes::Verbatim, rest),
            b'_' if rest.is_empty() => Reply::Null,
            b',' => Reply::Double(double(rest)?),
            b'#' if rest == b"t" => Reply::Bool(true),
            b'#' if rest == b"f" => Reply::Bool(false),
            b'(' => Reply::BigNumber(big_number(rest)?),
            _ => return Err(format!("{} is not the beginning of a reply", shown(line))),
        }))
    }

    fn charge(&mut self, bytes: usize) -> Result<(), String> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(format!("a reply of more than {} bytes, which is the limit", self.limit)),
        }
    }

    #[inline]
    fn bytes_follow(&mut self, what: Bytes, length: &[u8]) -> Result<Option<Reply>, String> {
        match integer(length)? {
            -1 if what == Bytes::Bulk => Ok(Some(Reply::Null)),
            length => {
                let count = count(length)?;
                self.charge(count).map_err(|over| format!("{count} bytes announced: {over}"))?;
                self.bytes = Some((what, count));
                Ok(None)
            }
        }
    }

    fn parts_follow(&mut self, kind: Kind, length: &[u8]) -> Result<Option<Reply>, String> {
        let length = integer(length)?;
        if length == -1 && kind == Kind::Array {
            return Ok(Some(Reply::Null));
        }
        let count = count(length)?;
        let left = match kind {
            Kind::Array | Kind::Set | Kind::Push => Some(count),
            Kind::Map => count.checked_mul(2),
            Kind::Attribute => count.checked_mul(2).and_then(|parts| parts.checked_add(1)),
        };
        // The least that so many take; they are charged as they come.
        let left = left.filter(|left| left.checked_mul(PART).is_some_and(|least| least <= self.budget));
        let Some(left) = left else {
            return Err(format!(
                "{count} parts announced: a reply of more than {} bytes, which is the limit",
                self.limit
            ));
        };
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("parts within parts, more than {MAX_DEPTH} deep"));
        }
        let open = Open { kind, left, parts: Vec::with_capacity(left.min(AHEAD)) };
        if left == 0 {
            return Ok(Some(open.close()));
        }
        self.open.push(open);
        Ok(None)
    }

    /// Puts a reply where it belongs; the whole one, if that was its last part.
    #[inline]
    fn close(&mut self, mut reply: Reply) -> Option<Reply> {
        loop {
            let Some(open) = self.open.last_mut() else { return Some(reply) };
            open.parts.push(reply);
            open.left -= 1;
            if open.left > 0 {
                return None;
            }
            reply = self.open.pop()?.close();
        }
    }
}

impl Open {
    fn close(mut self) -> Reply {
        match self.kind {
            Kind::Array => Reply::Array(self.parts),
            Kind::Set => Reply::Set(self.parts),
            Kind::Push => Reply::Push(self.parts),
            Kind::Map => Reply::Map(pairs(self.parts)),
            Kind::Attribute => {
                let reply = Box::new(self.parts.pop().unwrap_or(Reply::Null));
                Reply::Attribute { about: pairs(self.parts), reply }
            }
        }
    }
}

fn pairs(parts: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let (mut pairs, mut parts) = (Vec::with_capacity(parts.len() / 2), parts.into_iter());
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn of_bytes(what: Bytes, bytes: &[u8]) -> Result<Reply, String> {
    Ok(match what {
        Bytes::Bulk => Reply::Bulk(bytes.to_vec()),
        Bytes::Error => Reply::Error(ServerError::new(bytes)),
        Bytes::Verbatim => match bytes.split_first_chunk::<3>() {
            Some((format, [b':', text @ ..])) => Reply::Verbatim { format: *format, text: text.to_vec() },
            _ => return Err(format!("{} is not the beginning of verbatim bytes", shown(bytes))),
        },
    })
}

#[inline]
fn integer(digits: &[u8]) -> Result<i64, String> {
    let (negative, magnitude) = match digits {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    // Short ones cannot overflow.
    if !magnitude.is_empty() && magnitude.len() <= 18 && magnitude.iter().all(u8::is_ascii_digit) {
        let number = magnitude.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
        return Ok(if negative { -number } else { number });
    }
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("{} is no integer", shown(digits)))
}

#[inline]
fn count(length: i64) -> Result<usize, String> {
    usize::try_from(length).map_err(|_| format!("a length of {length}"))
}

fn double(digits: &[u8]) -> Result<f64, String> {
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("{} is no number", shown(digits)))
}

fn big_number(digits: &[u8]) -> Result<Vec<u8>, String> {
    let magnitude = digits.strip_prefix(b"-").or_else(|| digits.strip_prefix(b"+")).unwrap_or(digits);
    if magnitude.is_empty() || !magnitude.iter().all(u8::is_ascii_digit) {
        return Err(format!("{} is no integer", shown(digits)));
    }
    Ok(digits.to_vec())
}

/// The first of some bytes, to be read.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 32;
    let dots = if bytes.len() > MOST { "..." } else { "" };
    format!("\"{}\"{dots}", bytes[..bytes.len().min(MOST)].escape_ascii())
}

#[cfg(test)]
mod test;
