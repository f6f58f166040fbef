//! Socket addresses: `(host, port)` tuples.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use coop_core::event_loop::stream::Address;
use pyo3::{
    exceptions::{PyOSError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString, PyTuple},
};

/// `(host, port)` of an address.
pub(crate) fn to_py<'py>(py: Python<'py>, address: SocketAddr) -> PyResult<Bound<'py, PyTuple>> {
    (address.ip().to_string(), address.port()).into_pyobject(py)
}

fn parts(address: &Bound<'_, PyAny>) -> PyResult<(String, u16)> {
    let wrong = || {
        let given = address.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
        PyTypeError::new_err(format!("an address is a tuple (host, port) with port 0 to 65535, not {given}"))
    };
    let (host, port): (String, i64) = address.extract().map_err(|_| wrong())?;
    Ok((host, self::port(port)?))
}

/// The address of `(host, port)` whose host is an IP address: nothing is looked up on the way of a datagram.
pub(crate) fn numeric(address: &Bound<'_, PyAny>) -> PyResult<SocketAddr> {
    let (host, port) = parts(address)?;
    of_parts(&host, port.into())
}

/// The address of `(host, port)`; a name is looked up, detached.
pub(crate) fn resolve(address: &Bound<'_, PyAny>) -> PyResult<SocketAddr> {
    let (host, port) = parts(address)?;
    let found = address.py().detach(|| (host.as_str(), port).to_socket_addrs().map(|mut found| found.next()));
    match found {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(PyOSError::new_err(format!("host {host:?} has no address"))),
        Err(error) => Err(PyOSError::new_err(format!("host {host:?} cannot be resolved: {error}"))),
    }
}

/// The address of a numeric host and a port.
pub(crate) fn of_parts(host: &str, port: i64) -> PyResult<SocketAddr> {
    let port = self::port(port)?;
    let ip: IpAddr = host
        .parse()
        .map_err(|_| PyValueError::new_err(format!("host {host:?} is not an IP address; resolve names beforehand")))?;
    Ok(SocketAddr::new(ip, port))
}

/// A port's number.
pub(crate) fn port(port: i64) -> PyResult<u16> {
    u16::try_from(port).map_err(|_| PyValueError::new_err(format!("port {port} is not 0 to 65535")))
}

/// As `socket.getsockname` has it: `(host, port)`, or a Unix socket's path: `bytes` if it is no file, `""` if there is none.
pub(crate) fn of_stream(py: Python<'_>, address: &Address) -> PyResult<Py<PyAny>> {
    Ok(match address {
        Address::Ip(address) => to_py(py, *address)?.into_any().unbind(),
        // As os.fsdecode: what is no UTF-8 comes back as it was.
        Address::Path(path) => path.as_os_str().into_pyobject(py)?.into_any().unbind(),
        Address::Abstract(name) => PyBytes::new(py, &[&[0], name.as_slice()].concat()).into_any().unbind(),
        Address::Unnamed => PyString::new(py, "").into_any().unbind(),
    })
}
