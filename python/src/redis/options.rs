//! Options of a client, as keyword arguments give them.

use std::{path::PathBuf, time::Duration};

use coop_core::net::{
    redis::{Options, Protocol, Server},
    tls::{Identity, Pem, TlsOptions},
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyInt},
};

use crate::{errors::OrRaise, wait};

/// A number of seconds, or None for ever.
fn seconds(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    let given: Option<f64> = given.extract().map_err(|_| refused(name, given, "seconds or None"))?;
    given.map(|seconds| wait::delay(name, seconds)).transpose()
}

fn refused(name: &str, given: &Bound<'_, PyAny>, allowed: &str) -> PyErr {
    let shown = given.repr().map_or_else(|_| "what cannot be shown".to_owned(), |shown| shown.to_string());
    PyTypeError::new_err(format!("{name} must be {allowed}, not {shown}"))
}

fn number(name: &str, given: &Bound<'_, PyAny>) -> PyResult<usize> {
    if !given.is_instance_of::<PyInt>() {
        return Err(refused(name, given, "a number"));
    }
    given.extract().map_err(|_| PyValueError::new_err(format!("{name} must be 1 to {}, not {given}", usize::MAX)))
}

fn text(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    given.extract().map_err(|_| refused(name, given, "a str or None"))
}

fn pem(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Pem> {
    if let Ok(bytes) = given.extract::<Vec<u8>>() {
        return Ok(Pem::Bytes(bytes));
    }
    let path: PathBuf = given.extract().map_err(|_| refused(name, given, "a path, or PEM as bytes"))?;
    Ok(Pem::File(path))
}

/// What a URL says, if there is one, and then what the keywords say.
pub(crate) fn read(py: Python<'_>, url: Option<&str>, given: &Bound<'_, PyDict>) -> PyResult<Options> {
    let mut options = match url {
        Some(url) => Options::from_url(url).or_raise(py)?,
        None => Options::default(),
    };
    let (mut tls, mut certificate, mut key): (Option<TlsOptions>, Option<Pem>, Option<Pem>) =
        (options.tls.take(), None, None);
    let mut is_tls = tls.is_some();
    for (name, value) in given {
        let name: String = name.extract()?;
        let (name, value) = (&*name, &value);
        match name {
            "host" => {
                let host = text(name, value)?.unwrap_or_else(|| "localhost".into());
                let port = if let Server::Tcp { port, .. } = options.server { port } else { Options::PORT };
                options.server = Server::Tcp { host, port };
            }
            "port" => {
                let given: i64 = value.extract().map_err(|_| refused(name, value, "a number"))?;
                let port = u16::try_from(given).ok().filter(|port| *port > 0);
                let port =
                    port.ok_or_else(|| PyValueError::new_err(format!("port must be 1 to 65535, not {given}")))?;
                let host = match options.server {
                    Server::Tcp { host, .. } => host,
                    Server::Unix(_) => "localhost".into(),
                };
                options.server = Server::Tcp { host, port };
            }
            "unix_socket_path" => {
                options.server = Server::Unix(value.extract().map_err(|_| refused(name, value, "a path"))?);
            }
            "username" => options.user = text(name, value)?,
            "password" => options.password = text(name, value)?,
            "db" => {
                let given: i64 = value.extract().map_err(|_| refused(name, value, "a number"))?;
                options.database = u32::try_from(given)
                    .map_err(|_| PyValueError::new_err(format!("db must be 0 or more, not {given}")))?;
            }
            "client_name" => options.client_name = text(name, value)?,
            "protocol" => {
                options.protocol = match value.extract::<Option<i64>>() {
                    Ok(None) => Protocol::Newest,
                    Ok(Some(2)) => Protocol::Resp2,
                    Ok(Some(3)) => Protocol::Resp3,
                    _ => {
                        return Err(PyValueError::new_err(format!(
                            "protocol must be 2, 3 or None, not {}",
                            value.repr()?
                        )));
                    }
                }
            }
            "connections" => options.connections = number(name, value)?,
            "connect_timeout" => options.connect_timeout = seconds(name, value)?,
            "timeout" => options.timeout = seconds(name, value)?,
            "patience" => options.patience = seconds(name, value)?,
            "stalled_after" => options.stalled_after = seconds(name, value)?,
            "max_calls" => options.max_calls = number(name, value)?,
            "max_queued_bytes" => options.max_queued_bytes = number(name, value)?,
            "max_reply_bytes" => options.max_reply_bytes = number(name, value)?,
            "max_own" => options.max_own = number(name, value)?,
            "ssl" => is_tls = value.is_truthy()?,
            "ssl_ca_certs" => tls.get_or_insert_default().authorities = Some(pem(name, value)?),
            "ssl_server_name" => tls.get_or_insert_default().server_name = text(name, value)?,
            "ssl_certfile" => certificate = Some(pem(name, value)?),
            "ssl_keyfile" => key = Some(pem(name, value)?),
            other => return Err(PyTypeError::new_err(format!("Redis has no option {other:?}"))),
        }
    }
    match (certificate, key) {
        (None, None) => {}
        (Some(certificates), Some(key)) => {
            tls.get_or_insert_default().identity = Some(Identity { certificates, key });
        }
        _ => return Err(PyValueError::new_err("ssl_certfile and ssl_keyfile go together")),
    }
    if tls.is_some() && !is_tls {
        return Err(PyValueError::new_err("options of TLS without ssl=True or a rediss:// URL"));
    }
    options.tls = is_tls.then(|| tls.unwrap_or_default());
    Ok(options)
}

/// The timeout of one call: not given is the client's.
pub(crate) fn limit(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds.map(|seconds| wait::delay("timeout", seconds)).transpose()
}
