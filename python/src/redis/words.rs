//! Commands of Python's values.

use coop_core::net::redis::{Command, Words};
use pyo3::{
    PyTypeInfo,
    buffer::PyBuffer,
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple},
};

/// The command of a tuple: its first word may be of two, such as "CONFIG GET".
pub(crate) fn command(args: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let mut words = args.iter_borrowed();
    let mut command = Command::default();
    if let Some(name) = words.next() {
        command = match name.cast::<PyString>() {
            Ok(name) => name.to_str()?.split(' ').fold(command, Command::arg),
            Err(_) => append(command, &name)?,
        };
    }
    for word in words {
        command = append(command, &word)?;
    }
    Ok(command)
}

/// Words without a name before them: keys, arguments, channels.
pub(crate) fn all(args: &Bound<'_, PyTuple>) -> PyResult<Command> {
    args.iter_borrowed().try_fold(Command::default(), |command, word| append(command, &word))
}

fn append(command: Command, word: &Bound<'_, PyAny>) -> PyResult<Command> {
    if let Ok(bytes) = word.cast::<PyBytes>() {
        return Ok(command.arg(bytes.as_bytes()));
    }
    if let Ok(text) = word.cast::<PyString>() {
        return Ok(command.arg(text.to_str()?));
    }
    if !word.is_instance_of::<PyBool>() {
        if word.is_instance_of::<PyInt>() {
            return Ok(match word.extract::<i64>() {
                Ok(number) => command.arg(number),
                Err(_) => command.arg(&*shown_by::<PyInt>(word)?),
            });
        }
        if let Ok(number) = word.cast::<PyFloat>() {
            return Ok(command.arg(&*shown_by::<PyFloat>(number)?));
        }
        if let Ok(buffer) = PyBuffer::<u8>::get(word) {
            return Ok(command.arg(buffer.to_vec(word.py())?));
        }
    }
    Err(PyTypeError::new_err(format!(
        "a word of a redis command must be bytes, str, int or float, not {}",
        word.repr().map_or_else(|_| "what cannot be shown".to_owned(), |shown| shown.to_string())
    )))
}

/// A number's digits, as the class shows it: what is of a class of its own, as an enumeration's or numpy's, may show itself as something else.
fn shown_by<T: PyTypeInfo>(number: &Bound<'_, PyAny>) -> PyResult<String> {
    number.py().get_type::<T>().call_method1("__repr__", (number,))?.extract()
}

/// Whether one of the words after the name is this one, however it is written.
pub(crate) fn says(command: &Command, wanted: &str) -> bool {
    (1..command.count()).any(|at| command.word(at).eq_ignore_ascii_case(wanted.as_bytes()))
}
