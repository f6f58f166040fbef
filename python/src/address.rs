//! Socket addresses: `(host, port)` tuples.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use pyo3::{
    exceptions::{PyOSError, PyTypeError, PyValueError},
    prelude::*,
    types::PyTuple,
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
    let port = u16::try_from(port).map_err(|_| PyValueError::new_err(format!("port {port} is not 0 to 65535")))?;
    Ok((host, port))
}

/// The address of `(host, port)` whose host is an IP address: nothing is looked up on the way of a datagram.
pub(crate) fn numeric(address: &Bound<'_, PyAny>) -> PyResult<SocketAddr> {
    let (host, port) = parts(address)?;
    let ip: IpAddr = host
        .parse()
        .map_err(|_| PyValueError::new_err(format!("host {host:?} is not an IP address; resolve names beforehand")))?;
    Ok(SocketAddr::new(ip, port))
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
