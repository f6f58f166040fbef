//! `coop_redis_options`: how to speak to a server, beside what its URL says.

use std::{ffi::c_char, time::Duration};

use coop_core::{
    Error, Result,
    net::{
        redis,
        tls::{Identity, Pem, TlsOptions},
    },
};

use crate::options::{self, Options, array, path, text, timeout};

/// The third version of the protocol, or the second with a server that does not know it; the URL's, if that says one.
pub const COOP_REDIS_NEWEST: i32 = 0;
/// The second version of the protocol.
pub const COOP_REDIS_RESP2: i32 = 2;
/// The third version of the protocol; a server that does not know it is an error.
pub const COOP_REDIS_RESP3: i32 = 3;

/// How to speak to a server. Zero in any field but size is the default, or what the URL says.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_redis_options {
    /// sizeof(coop_redis_options).
    pub size: usize,
    /// The user's name, UTF-8; NULL: the URL's, or the default user.
    pub user: *const c_char,
    /// The bytes of user.
    pub user_length: usize,
    /// The password, UTF-8; NULL: the URL's, or no authentication.
    pub password: *const c_char,
    /// The bytes of password.
    pub password_length: usize,
    /// What the server lists the connection as, UTF-8; NULL: the URL's, or nothing.
    pub client_name: *const c_char,
    /// The bytes of client_name.
    pub client_name_length: usize,
    /// With a rediss:// URL: the authorities that are trusted: a file in PEM, or what would be in one, from its -----BEGIN on; NULL: the system's.
    pub tls_authorities: *const c_char,
    /// The bytes of tls_authorities.
    pub tls_authorities_length: usize,
    /// With a rediss:// URL: the certificate that is shown to a server that asks for one, and those between it and its authority, as tls_authorities.
    /// NULL: none. Goes with tls_key.
    pub tls_certificates: *const c_char,
    /// The bytes of tls_certificates.
    pub tls_certificates_length: usize,
    /// The certificate's key, as tls_authorities.
    pub tls_key: *const c_char,
    /// The bytes of tls_key.
    pub tls_key_length: usize,
    /// With a rediss:// URL: the name that the server's certificate must be for, UTF-8; NULL: the URL's.
    pub tls_server_name: *const c_char,
    /// The bytes of tls_server_name.
    pub tls_server_name_length: usize,
    /// How many connections the calls are spread over, up to 64: with more than one, calls of one thread may overtake each other. 0: 1.
    pub connections: usize,
    /// How many calls may wait for an end, those included that were cancelled and whose replies are still to come: one more is COOP_E_QUEUE_FULL.
    /// 0: 100000.
    pub max_calls: usize,
    /// How many bytes of commands may wait to be sent: a command that does not fit beside others is COOP_E_QUEUE_FULL. 0: 64 MiB.
    pub max_queued_bytes: usize,
    /// How large a reply may be, in memory; a larger one ends the connection when it is announced. 0: 64 MiB.
    pub max_reply_bytes: usize,
    /// How long a connection may take to be made, the server's welcome included, in nanoseconds. 0: 3 s. COOP_FOREVER.
    pub connect_timeout_ns: i64,
    /// How long a call that says nothing else may take, in nanoseconds. 0 and COOP_FOREVER: as long as it takes.
    pub timeout_ns: i64,
    /// How long a call waits for a connection while there is none, in nanoseconds; then it ends with the error that the last attempt had. 0: 5 s.
    /// COOP_FOREVER: until its own deadline.
    pub patience_ns: i64,
    /// A connection that owes the reply of a call that has ended, and says nothing for so long, is given up; one for messages that says nothing for so long
    /// is sent a PING, and given up if it says nothing for so long again: nanoseconds. 0: 30 s. COOP_FOREVER: never.
    pub stalled_after_ns: i64,
    /// The first pause between two attempts to connect, in nanoseconds; it doubles. 0: 20 ms.
    pub backoff_ns: i64,
    /// The longest such pause, in nanoseconds. 0: 2 s.
    pub backoff_cap_ns: i64,
    /// The database's number. 0: the URL's.
    pub database: i32,
    /// One of COOP_REDIS_NEWEST, COOP_REDIS_RESP2 and COOP_REDIS_RESP3.
    pub protocol: i32,
    /// How many connections of one's own (coop_redis_own) there may be at once: one more is COOP_E_QUEUE_FULL. 0: 128.
    pub max_own: usize,
}

// SAFETY: words and numbers that fill 216 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_redis_options {
    const NAME: &'static str = "coop_redis_options";
    const FIRST: usize = 208;
}

/// What a URL and options say.
///
/// # Safety
/// `options` is NULL or as long as it says, and so are its texts.
pub(crate) unsafe fn redis_options(url: &str, options: *const coop_redis_options) -> Result<redis::Options> {
    let mut made = redis::Options::from_url(url)?;
    // SAFETY: the caller's promise.
    let given = unsafe { options::read(options) }?;
    // SAFETY: the caller's promise.
    if let Some(user) = unsafe { text(given.user, given.user_length, "coop_redis_options.user") }? {
        made.user = Some(user);
    }
    // SAFETY: the caller's promise.
    if let Some(password) = unsafe { text(given.password, given.password_length, "coop_redis_options.password") }? {
        made.password = Some(password);
    }
    // SAFETY: the caller's promise.
    let name = unsafe { text(given.client_name, given.client_name_length, "coop_redis_options.client_name") }?;
    made.client_name = name.or(made.client_name);
    // SAFETY: the caller's promise.
    let tls = unsafe { tls_options(&given) }?;
    if tls != TlsOptions::default() {
        match &mut made.tls {
            Some(place) => *place = tls,
            None => return Err(Error::Invalid("coop_redis_options.tls_* beside a URL that is not rediss://".into())),
        }
    }
    set(&mut made.connections, given.connections);
    set(&mut made.max_calls, given.max_calls);
    set(&mut made.max_queued_bytes, given.max_queued_bytes);
    set(&mut made.max_reply_bytes, given.max_reply_bytes);
    set(&mut made.max_own, given.max_own);
    limit(&mut made.connect_timeout, given.connect_timeout_ns, "coop_redis_options.connect_timeout_ns")?;
    limit(&mut made.timeout, given.timeout_ns, "coop_redis_options.timeout_ns")?;
    limit(&mut made.patience, given.patience_ns, "coop_redis_options.patience_ns")?;
    limit(&mut made.stalled_after, given.stalled_after_ns, "coop_redis_options.stalled_after_ns")?;
    pause(&mut made.backoff.delay, given.backoff_ns, "coop_redis_options.backoff_ns")?;
    pause(&mut made.backoff.cap, given.backoff_cap_ns, "coop_redis_options.backoff_cap_ns")?;
    match u32::try_from(given.database) {
        Ok(0) => {}
        Ok(number) => made.database = number,
        Err(_) => {
            let text = format!("coop_redis_options.database is {}: allowed are numbers from 0", given.database);
            return Err(Error::Invalid(text));
        }
    }
    match given.protocol {
        COOP_REDIS_NEWEST => {}
        COOP_REDIS_RESP2 => made.protocol = redis::Protocol::Resp2,
        COOP_REDIS_RESP3 => made.protocol = redis::Protocol::Resp3,
        other => {
            let text = format!("coop_redis_options.protocol is {other}: allowed are COOP_REDIS_NEWEST (0), 2 and 3");
            return Err(Error::Invalid(text));
        }
    }
    Ok(made)
}

/// # Safety
/// The texts are as long as told.
unsafe fn tls_options(given: &coop_redis_options) -> Result<TlsOptions> {
    let pem = |data: *const c_char, length, name| {
        // SAFETY: the caller's promise; characters are bytes.
        let bytes = unsafe { array(data.cast::<u8>(), length, name) }?;
        if bytes.starts_with(b"-----BEGIN") {
            return Ok(Some(Pem::Bytes(bytes.to_vec())));
        }
        // SAFETY: the caller's promise.
        unsafe { path(data, length, name) }.map(|path| path.map(Pem::File))
    };
    let authorities = pem(given.tls_authorities, given.tls_authorities_length, "coop_redis_options.tls_authorities")?;
    let certificates =
        pem(given.tls_certificates, given.tls_certificates_length, "coop_redis_options.tls_certificates")?;
    let key = pem(given.tls_key, given.tls_key_length, "coop_redis_options.tls_key")?;
    let identity = match (certificates, key) {
        (Some(certificates), Some(key)) => Some(Identity { certificates, key }),
        (None, None) => None,
        _ => {
            let text = "coop_redis_options.tls_certificates and .tls_key: one of them is there without the other";
            return Err(Error::Invalid(text.into()));
        }
    };
    let (name, length) = (given.tls_server_name, given.tls_server_name_length);
    // SAFETY: the caller's promise.
    let server_name = unsafe { text(name, length, "coop_redis_options.tls_server_name") }?;
    Ok(TlsOptions { authorities, identity, server_name })
}

fn set(place: &mut usize, given: usize) {
    if given != 0 {
        *place = given;
    }
}

fn limit(place: &mut Option<Duration>, ns: i64, name: &str) -> Result<()> {
    if ns != 0 {
        *place = timeout(ns, name)?;
    }
    Ok(())
}

fn pause(place: &mut Duration, ns: i64, name: &str) -> Result<()> {
    if ns != 0 {
        *place = options::duration(ns, name)?;
    }
    Ok(())
}
