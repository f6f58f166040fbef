//! What a command's reply becomes, by its name: the types that redis-py has for it.

use coop_core::{
    Result,
    net::redis::{Command, Reply, Words},
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyList, PySet, PyTuple},
};

use super::{
    error,
    value::{Text, list, plain},
    words::says,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Nothing,
    /// True for OK.
    Done,
    /// True for OK, None for nothing, otherwise the value: SET.
    DoneOrValue,
    Pong,
    Truth,
    /// A list of those.
    Truths,
    /// A float, or None.
    Float,
    Floats,
    /// An int; a float, if that is what it is.
    Number,
    Set,
    Dict,
    /// A dict whose keys are str.
    Settings,
    Tuple,
    /// Members and scores, as a list of tuples.
    Scored,
    /// A key, a member and a score.
    KeyScored,
    /// A cursor, and what it has come by.
    Page,
    DictPage,
    ScoredPage,
    /// str, also if nothing else is decoded.
    Str,
    Strs,
    /// As the second version of the protocol has it: scores as text, maps as keys and values in turns.
    Second,
    /// And pairs in turns.
    SecondFlat,
    /// By this function of `libcoop._redis_replies`.
    By(&'static str),
}

fn shape(command: &Command) -> Shape {
    use Shape::*;
    let mut name = [0; 24];
    let first = command.word(0);
    let Some(upper) = name.get_mut(..first.len()) else { return Plain };
    upper.copy_from_slice(first);
    upper.make_ascii_uppercase();
    match &*upper {
        b"GET" => Plain,
        b"SET" => DoneOrValue,
        b"HGETALL" => Dict,
        b"AUTH" | b"COPY" | b"EXPIRE" | b"EXPIREAT" | b"HEXISTS" | b"HMSET" | b"MOVE" | b"MSETNX" | b"PERSIST"
        | b"PSETEX" | b"PEXPIRE" | b"PEXPIREAT" | b"RENAMENX" | b"SETEX" | b"SETNX" | b"SMOVE" | b"BGREWRITEAOF"
        | b"BGSAVE" => Truth,
        b"HINCRBYFLOAT" | b"INCRBYFLOAT" | b"ZINCRBY" | b"ZSCORE" | b"GEODIST" => Float,
        b"FLUSHALL" | b"FLUSHDB" | b"LSET" | b"LTRIM" | b"MSET" | b"PFMERGE" | b"RENAME" | b"SAVE" | b"SELECT"
        | b"SHUTDOWN" | b"SWAPDB" | b"WATCH" | b"UNWATCH" | b"READONLY" | b"READWRITE" | b"ASKING" => Done,
        b"PING" => Pong,
        b"SDIFF" | b"SINTER" | b"SMEMBERS" | b"SUNION" => Set,
        b"ZINTER" | b"ZRANGE" | b"ZRANGEBYSCORE" | b"ZREVRANGE" | b"ZREVRANGEBYSCORE" | b"ZUNION"
            if says(command, "WITHSCORES") =>
        {
            Scored
        }
        b"ZPOPMAX" | b"ZPOPMIN" => Scored,
        b"ZADD" => Number,
        b"ZMSCORE" => Floats,
        b"BLPOP" | b"BRPOP" => Tuple,
        b"BZPOPMAX" | b"BZPOPMIN" => KeyScored,
        b"SCAN" | b"SSCAN" => Page,
        b"HSCAN" => DictPage,
        b"ZSCAN" => ScoredPage,
        b"GEOHASH" => Strs,
        b"INFO" => By("info"),
        b"LASTSAVE" => By("lastsave"),
        b"TIME" => By("time"),
        b"XRANGE" | b"XREVRANGE" => By("entries"),
        b"XREAD" | b"XREADGROUP" => By("streams"),
        b"XPENDING" => By("pending"),
        b"GEOPOS" => By("positions"),
        b"GEOSEARCH" => By("places"),
        b"XCLAIM" if !says(command, "JUSTID") => By("entries"),
        b"XAUTOCLAIM" => By(if says(command, "JUSTID") { "claimed_ids" } else { "claimed" }),
        b"LCS" | b"ZMPOP" | b"BZMPOP" => Second,
        b"HRANDFIELD" | b"ZDIFF" | b"ZRANDMEMBER" => SecondFlat,
        b"CLIENT" | b"CONFIG" | b"SCRIPT" | b"PUBSUB" | b"SLOWLOG" | b"MEMORY" | b"XGROUP" | b"XINFO" | b"ACL"
        | b"FUNCTION"
            if command.count() > 1 =>
        {
            of_two(&*upper, command.word(1))
        }
        _ => Plain,
    }
}

/// Of a command whose name is of two words.
fn of_two(first: &[u8], second: &[u8]) -> Shape {
    use Shape::*;
    match (first, &*second.to_ascii_uppercase()) {
        (b"CONFIG", b"GET") => Settings,
        (b"CONFIG", b"SET" | b"RESETSTAT")
        | (b"CLIENT", b"PAUSE" | b"SETNAME" | b"SETINFO")
        | (b"SCRIPT" | b"FUNCTION", b"FLUSH")
        | (b"SCRIPT", b"KILL")
        | (b"FUNCTION", b"DELETE" | b"RESTORE")
        | (b"MEMORY", b"PURGE")
        | (b"SLOWLOG", b"RESET")
        | (b"XGROUP", b"CREATE" | b"SETID")
        | (b"ACL", b"LOAD" | b"SETUSER" | b"SAVE") => Done,
        (b"CLIENT", b"UNBLOCK") | (b"XGROUP", b"DESTROY") => Truth,
        (b"CLIENT", b"LIST") => By("clients"),
        (b"CLIENT", b"INFO") => By("client"),
        (b"CLIENT", b"GETNAME") | (b"SCRIPT", b"LOAD") | (b"ACL", b"WHOAMI" | b"GENPASS") => Str,
        (b"ACL", b"CAT" | b"LIST" | b"USERS" | b"HELP") => Strs,
        (b"SCRIPT", b"EXISTS") => Truths,
        (b"PUBSUB", b"NUMSUB" | b"SHARDNUMSUB") => By("numsub"),
        (b"SLOWLOG", b"GET") => By("slowlog"),
        (b"XINFO", b"STREAM") => By("stream_info"),
        (b"XINFO", b"GROUPS" | b"CONSUMERS") => By("stream_infos"),
        _ => Plain,
    }
}

/// How the reply of a call is answered.
pub(crate) struct Plan {
    text: Text,
    of: Of,
}

enum Of {
    One(Shape),
    /// Of several commands: errors are raised, or stand in the list. Of a transaction nothing means that a watched key has changed.
    Many {
        shapes: Vec<Shape>,
        raises: bool,
    },
}

impl Plan {
    pub(crate) fn one(command: &Command, text: Text) -> Self {
        Self { text, of: Of::One(if command.count() == 0 { Shape::Plain } else { shape(command) }) }
    }

    pub(crate) fn plain(text: Text) -> Self {
        Self { text, of: Of::One(Shape::Plain) }
    }

    /// None, whatever is said.
    pub(crate) fn nothing() -> Self {
        Self { text: Text { is_decoded: false }, of: Of::One(Shape::Nothing) }
    }

    pub(crate) fn many(commands: &[Command], text: Text, raises: bool) -> Self {
        let shapes = commands.iter().map(|command| if command.count() == 0 { Shape::Plain } else { shape(command) });
        Self { text, of: Of::Many { shapes: shapes.collect(), raises } }
    }

    pub(crate) fn answer<'py>(&self, py: Python<'py>, outcome: Result<Reply>) -> PyResult<Bound<'py, PyAny>> {
        let reply = outcome.map_err(|error| error::of_call(py, &error))?.plain();
        if let Reply::Error(said) = &reply {
            return Err(error::raised(py, said));
        }
        let (shapes, raises) = match &self.of {
            Of::One(shape) => return shape.convert(py, &reply, self.text),
            Of::Many { shapes, raises } => (shapes, *raises),
        };
        let Some(parts) = reply.as_array() else {
            let class = py.import("libcoop._redis_errors")?.getattr("RedisWatchChanged")?;
            return Err(PyErr::from_value(class.call1(("WATCH", "a watched key has changed"))?));
        };
        let answers = PyList::empty(py);
        for (number, (part, shape)) in parts.iter().zip(shapes).enumerate() {
            if let Some(said) = part.as_error() {
                let exception = error::to_py(py, said)?;
                if raises {
                    let of = parts.len();
                    exception.call_method1("add_note", (format!("command {} of {of} in a pipeline", number + 1),))?;
                    return Err(PyErr::from_value(exception));
                }
                answers.append(exception)?;
            } else {
                answers.append(shape.convert(py, part, self.text)?)?;
            }
        }
        Ok(answers.into_any())
    }
}

fn is_ok(reply: &Reply) -> bool {
    reply.as_bytes() == Some(b"OK")
}

fn is_true(reply: &Reply) -> bool {
    match reply {
        Reply::Null => false,
        Reply::Int(number) => *number != 0,
        Reply::Bool(yes) => *yes,
        Reply::Array(parts) => !parts.is_empty(),
        other => other.as_bytes().is_none_or(|bytes| !bytes.is_empty()),
    }
}

fn truth(py: Python<'_>, yes: bool) -> Bound<'_, PyAny> {
    PyBool::new(py, yes).to_owned().into_any()
}

fn float<'py>(py: Python<'py>, reply: &Reply) -> PyResult<Bound<'py, PyAny>> {
    if *reply == Reply::Null {
        return Ok(py.None().into_bound(py));
    }
    let number = reply.as_double().ok_or_else(|| {
        PyValueError::new_err(format!("redis: the reply is a {} where a number was expected", reply.kind()))
    })?;
    Ok(PyFloat::new(py, number).into_any())
}

/// Members and scores, in turns (RESP2, or one of them) or in pairs (RESP3).
fn scored<'py>(py: Python<'py>, reply: &Reply, text: Text) -> PyResult<Bound<'py, PyAny>> {
    let Some(parts) = reply.as_array() else { return plain(py, reply, text) };
    let answers = PyList::empty(py);
    let add = |member: &Reply, score: &Reply| answers.append((plain(py, member, text)?, float(py, score)?));
    if parts.first().is_some_and(|part| part.as_array().is_some()) {
        for part in parts {
            if let Some([member, score]) = part.as_array() {
                add(member, score)?;
            }
        }
    } else {
        for pair in parts.chunks_exact(2) {
            add(&pair[0], &pair[1])?;
        }
    }
    Ok(answers.into_any())
}

/// Of a map, or of keys and values in turns.
fn dict<'py>(py: Python<'py>, reply: &Reply, keys: Text, text: Text) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    match reply {
        Reply::Map(pairs) => {
            for (key, value) in pairs {
                dict.set_item(plain(py, key, keys)?, plain(py, value, text)?)?;
            }
        }
        Reply::Array(parts) => {
            for pair in parts.chunks_exact(2) {
                dict.set_item(plain(py, &pair[0], keys)?, plain(py, &pair[1], text)?)?;
            }
        }
        Reply::Null => {}
        other => return plain(py, other, text),
    }
    Ok(dict.into_any())
}

/// What the second version of the protocol has for it.
fn second(reply: &Reply) -> Reply {
    match reply {
        Reply::Double(number) => Reply::Bulk(number.to_string().into_bytes()),
        Reply::Array(parts) => Reply::Array(parts.iter().map(second).collect()),
        Reply::Map(pairs) => Reply::Array(pairs.iter().flat_map(|(key, value)| [second(key), second(value)]).collect()),
        other => other.clone(),
    }
}

fn flat(reply: Reply) -> Reply {
    match reply {
        Reply::Array(parts) => {
            let each = parts.into_iter().flat_map(|part| match part {
                Reply::Array(pair) => pair,
                other => vec![other],
            });
            Reply::Array(each.collect())
        }
        other => other,
    }
}

const STR: Text = Text { is_decoded: true };

impl Shape {
    fn convert<'py>(self, py: Python<'py>, reply: &Reply, text: Text) -> PyResult<Bound<'py, PyAny>> {
        // Of a command in MULTI, as somebody else may send it.
        if matches!(reply, Reply::Status(said) if said == b"QUEUED") {
            return plain(py, reply, text);
        }
        let page = |items: &dyn Fn(&Reply) -> PyResult<Bound<'py, PyAny>>| match reply.as_array() {
            Some([cursor, found]) => {
                let cursor = cursor.as_bytes().and_then(|digits| str::from_utf8(digits).ok()?.parse::<u64>().ok());
                Ok((cursor, items(found)?).into_pyobject(py)?.into_any())
            }
            _ => plain(py, reply, text),
        };
        Ok(match self {
            Self::Plain => plain(py, reply, text)?,
            Self::Nothing => py.None().into_bound(py),
            Self::Done => truth(py, is_ok(reply)),
            Self::DoneOrValue if is_ok(reply) && matches!(reply, Reply::Status(_)) => truth(py, true),
            Self::DoneOrValue => plain(py, reply, text)?,
            Self::Pong => truth(py, reply.as_bytes() == Some(b"PONG")),
            Self::Truth => truth(py, is_true(reply)),
            Self::Truths => match reply.as_array() {
                Some(parts) => PyList::new(py, parts.iter().map(is_true))?.into_any(),
                None => plain(py, reply, text)?,
            },
            Self::Float => float(py, reply)?,
            Self::Floats => {
                let parts = reply.as_array().unwrap_or_default().iter();
                PyList::new(py, parts.map(|part| float(py, part)).collect::<PyResult<Vec<_>>>()?)?.into_any()
            }
            Self::Number => match reply {
                Reply::Int(_) => plain(py, reply, text)?,
                other => float(py, other)?,
            },
            Self::Set => {
                let set = PySet::empty(py)?;
                for part in reply.as_array().unwrap_or_default() {
                    set.add(plain(py, part, text)?)?;
                }
                set.into_any()
            }
            Self::Dict => dict(py, reply, text, text)?,
            Self::Settings => dict(py, reply, STR, STR)?,
            Self::Tuple => match reply.as_array() {
                Some(parts) => PyTuple::new(py, list(py, parts, text)?.iter())?.into_any(),
                None => plain(py, reply, text)?,
            },
            Self::Scored => scored(py, reply, text)?,
            Self::KeyScored => match reply.as_array() {
                Some([key, member, score]) => {
                    (plain(py, key, text)?, plain(py, member, text)?, float(py, score)?).into_pyobject(py)?.into_any()
                }
                _ => plain(py, reply, text)?,
            },
            Self::Page => page(&|found| plain(py, found, text))?,
            Self::DictPage => page(&|found| dict(py, found, text, text))?,
            Self::ScoredPage => page(&|found| scored(py, found, text))?,
            Self::Str | Self::Strs => plain(py, reply, STR)?,
            Self::Second => plain(py, &second(reply), text)?,
            Self::SecondFlat => plain(py, &flat(second(reply)), text)?,
            Self::By(name) => py.import("libcoop._redis_replies")?.getattr(name)?.call1((plain(py, reply, text)?,))?,
        })
    }
}
