//! `coop_address`: the address of a socket, laid out as the system does.

use std::{ffi::c_char, net::SocketAddr, ptr};

use coop_core::{Error, Result};
use socket2::{SockAddr, SockAddrStorage};

use crate::{
    guard::guard,
    handle::{borrow, wanted},
    options::text,
    status::coop_status,
};

/// The bytes of a buffer that every address fits into as text, with its NUL.
pub const COOP_ADDRESS_TEXT: usize = 64;

/// Room for a `sockaddr_in6`.
const BYTES: usize = 28;

/// The address of an IPv4 or IPv6 socket: the bytes of a struct sockaddr_in or struct sockaddr_in6, and how many
/// they are. It is copied by assignment, and in and out of the system's functions by memcpy. length 0 is no
/// address.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_address {
    /// sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6), or 0.
    pub length: u32,
    /// The struct; aligned for it.
    pub bytes: [u8; 28],
}

/// Reads an address: "127.0.0.1:7000", "[::1]:7000". Names are not looked up.
///
/// text, text_length: UTF-8 and its bytes. out: set to the address. Any thread. COOP_E_NULL, COOP_E_INVALID for
/// another text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_address_parse(
    text: *const c_char,
    text_length: usize,
    out: *mut coop_address,
) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: the text is as long as told.
        let address = unsafe { parse(text, text_length, "text") }?.ok_or_else(|| crate::handle::null("text"))?;
        // SAFETY: `out` is there, and is a place for an address.
        unsafe { out.write(coop_address::of(&address)) };
        Ok(())
    })
}

/// Writes an address as text: "127.0.0.1:7000", "[::1]:7000", and a NUL.
///
/// buffer, capacity: where to, and its bytes; COOP_ADDRESS_TEXT are always enough. Any thread. COOP_E_NULL,
/// COOP_E_INVALID for no address or a buffer that is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_address_text(
    address: *const coop_address,
    buffer: *mut c_char,
    capacity: usize,
) -> coop_status {
    guard!({
        // SAFETY: NULL or an address.
        let address = unsafe { borrow(address, "address") }?.given()?;
        wanted(buffer, "buffer")?;
        let text = address.to_string();
        if text.len() >= capacity {
            let needed = text.len() + 1;
            return Err(Error::Invalid(format!(
                "a buffer of {capacity} bytes is too small for {text}: {needed} are needed"
            )));
        }
        // SAFETY: the buffer has `capacity` bytes, more than the text has.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len()) };
        // SAFETY: one byte further, still inside.
        let end = unsafe { buffer.add(text.len()) };
        // SAFETY: as above.
        unsafe { end.write(0) };
        Ok(())
    })
}

/// An address in words; `None` if there is no text.
///
/// # Safety
/// `data` points to `length` readable bytes.
pub(crate) unsafe fn parse(data: *const c_char, length: usize, name: &str) -> Result<Option<SocketAddr>> {
    // SAFETY: the caller's promise.
    let Some(text) = unsafe { text(data, length, name) }? else { return Ok(None) };
    let form = "an address and a port, as 127.0.0.1:7000 or [::1]:7000";
    text.parse().map(Some).map_err(|_| Error::Invalid(format!("{name} is {text:?}: wanted is {form}")))
}

impl coop_address {
    pub(crate) fn of(address: &SocketAddr) -> Self {
        let by_system = SockAddr::from(*address);
        let mut bytes = [0; BYTES];
        let length = (by_system.len() as usize).min(BYTES);
        // SAFETY: the system's address has `length` bytes, and so has the array.
        unsafe { ptr::copy_nonoverlapping(by_system.as_ptr().cast::<u8>(), bytes.as_mut_ptr(), length) };
        Self { length: length as u32, bytes }
    }

    /// `None` is no address.
    pub(crate) fn maybe(address: Option<&SocketAddr>) -> Self {
        address.map_or(Self { length: 0, bytes: [0; BYTES] }, Self::of)
    }

    /// `None` is no address.
    pub(crate) fn read(&self) -> Result<Option<SocketAddr>> {
        let length = self.length as usize;
        if length == 0 {
            return Ok(None);
        }
        let wrong = || Error::Invalid(format!("an address of {length} bytes is neither sockaddr_in nor sockaddr_in6"));
        if length > BYTES {
            return Err(wrong());
        }
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: the storage holds any socket address, so more than 28 bytes.
        unsafe { ptr::copy_nonoverlapping(self.bytes.as_ptr(), (&raw mut storage).cast::<u8>(), length) };
        // SAFETY: all bytes of the storage are initialized, to zero beyond the length.
        let by_system = unsafe { SockAddr::new(storage, self.length as libc::socklen_t) };
        let address = by_system.as_socket().ok_or_else(wrong)?;
        // A cut one would be read with zeros for what is missing.
        if length < SockAddr::from(address).len() as usize { Err(wrong()) } else { Ok(Some(address)) }
    }

    fn given(&self) -> Result<SocketAddr> {
        self.read()?.ok_or_else(|| Error::Invalid("address.length is 0: this is no address".into()))
    }

    /// The address, where one must be.
    ///
    /// # Safety
    /// `pointer` is NULL or points to an address.
    pub(crate) unsafe fn behind(pointer: *const Self, name: &str) -> Result<SocketAddr> {
        // SAFETY: the caller's promise.
        unsafe { borrow(pointer, name) }?.given()
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["127.0.0.1:7000", "[::1]:1", "[fe80::1%3]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(coop_address::of(&address).read(), Ok(Some(address)));
        }
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
        assert!(longest.len() < COOP_ADDRESS_TEXT && longest.parse::<SocketAddr>().is_ok());
    }

    #[test]
    fn nonsense_is_told() {
        let mut address = coop_address::of(&"127.0.0.1:7000".parse().unwrap());
        for length in [1, 15, 29, u32::MAX] {
            address.length = length;
            assert!(address.read().is_err(), "{length}");
        }
        assert!(coop_address { length: 16, bytes: [0xff; 28] }.read().is_err(), "another family");
        assert_eq!(coop_address { length: 0, bytes: [0; 28] }.read(), Ok(None));
    }
}
