//! URLs of servers.

#![forbid(unsafe_code)]

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use super::options::{Options, Protocol, Server};
use crate::error::{Error, Result};

/// An error that names the part.
fn bad(part: &str, given: &str, allowed: &str) -> Error {
    Error::Invalid(format!("redis URL: {part} {given:?}: {allowed}"))
}

pub(super) fn parse(url: &str) -> Result<Options> {
    parts(url).map_err(|error| {
        // What stands before a misplaced @ may be a password, of which the error would show a piece.
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let behind = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
        if rest.starts_with('/') || !behind.contains('@') {
            return error;
        }
        let text = "redis URL: there is an @ behind a / or ?: in a user, a password or a value these are written %40, %2F and %3F";
        Error::Invalid(text.into())
    })
}

fn parts(url: &str) -> Result<Options> {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Not shown: without a scheme, all of it may be a password.
        return Err(Error::Invalid("redis URL: it has no scheme: redis://, rediss:// or unix:// are allowed".into()));
    };
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    if rest.contains('#') || query.is_some_and(|query| query.contains('#')) {
        return Err(Error::Invalid("redis URL: it has a fragment (#): a # in a password is written %23".into()));
    }
    let mut options = Options::default();
    match scheme {
        "redis" => tcp(rest, &mut options)?,
        "rediss" => {
            tcp(rest, &mut options)?;
            over_tls(&mut options)?;
        }
        "unix" | "redis+unix" => unix(rest, &mut options)?,
        other => return Err(bad("scheme", other, "allowed are redis, rediss and unix")),
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "db" => options.database = database("db", value)?,
            "protocol" => {
                options.protocol = match value {
                    "2" => Protocol::Resp2,
                    "3" => Protocol::Resp3,
                    other => return Err(bad("protocol", other, "allowed are 2 and 3")),
                }
            }
            "client_name" => options.client_name = Some(text("client_name", value)?),
            other => return Err(bad("query parameter", other, "allowed are db, protocol and client_name")),
        }
    }
    Ok(options)
}

#[cfg(feature = "tls")]
#[expect(clippy::unnecessary_wraps, reason = "it fails where TLS was left out")]
fn over_tls(options: &mut Options) -> Result<()> {
    options.tls = Some(crate::net::tls::TlsOptions::default());
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn over_tls(_: &mut Options) -> Result<()> {
    Err(Error::Unsupported("redis URL: scheme \"rediss\": TLS was left out of this build".into()))
}

/// Takes `[user][:password]@` off the front.
fn credentials<'a>(rest: &'a str, options: &mut Options) -> Result<&'a str> {
    let authority = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest[..authority].rfind('@') else { return Ok(rest) };
    let (user, password) = match rest[..at].split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (&rest[..at], None),
    };
    if !user.is_empty() {
        options.user = Some(text("user", user)?);
    }
    options.password = match password {
        Some(password) => {
            let plain = text("password", password);
            Some(plain.map_err(|_| Error::Invalid("redis URL: password: a % needs two hex digits, and UTF-8".into()))?)
        }
        None if user.is_empty() => None,
        None => return Err(bad("user", user, "a user needs a password: user:password@")),
    };
    Ok(&rest[at + 1..])
}

fn tcp(rest: &str, options: &mut Options) -> Result<()> {
    let rest = credentials(rest, options)?;
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match place.strip_prefix('[') {
        Some(ipv6) => {
            let Some((host, after)) = ipv6.split_once(']') else {
                return Err(bad("host", place, "an IPv6 address ends with ]"));
            };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(bad("host", host, "an IPv6 address stands in brackets"));
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(bad("host", place, "after ] comes :port, or nothing")),
            }
        }
        None => place.rsplit_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let is_ipv6 = place.starts_with('[');
    if host.contains([' ', '@', '%']) || !is_ipv6 && host.contains(':') {
        return Err(bad("host", host, "allowed are a name, an IPv4 address, and an IPv6 address in brackets"));
    }
    let port = match port {
        None => Options::PORT,
        Some(digits) => match digits.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(bad("port", digits, "allowed are 1 to 65535")),
        },
    };
    let host = if host.is_empty() { "localhost" } else { host };
    options.server = Server::Tcp { host: host.to_owned(), port };
    if !path.is_empty() {
        options.database = database("database", path)?;
    }
    Ok(())
}

fn unix(rest: &str, options: &mut Options) -> Result<()> {
    let path = credentials(rest, options)?;
    if !path.starts_with('/') {
        return Err(bad("path", path, "a Unix socket's path begins with /: unix:///run/redis.sock"));
    }
    options.server = Server::Unix(OsString::from_vec(decoded("path", path)?).into());
    Ok(())
}

fn database(part: &str, digits: &str) -> Result<u32> {
    digits.parse().map_err(|_| bad(part, digits, "a database is a number from 0"))
}

fn text(part: &str, encoded: &str) -> Result<String> {
    String::from_utf8(decoded(part, encoded)?).map_err(|_| bad(part, encoded, "it is not UTF-8"))
}

fn decoded(part: &str, encoded: &str) -> Result<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::with_capacity(encoded.len()), encoded.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.ok_or_else(|| bad(part, encoded, "a % needs two hex digits"))?);
        rest = &rest[2..];
    }
    Ok(bytes)
}

#[cfg(test)]
mod test {
    use super::*;

    fn tcp(host: &str, port: u16) -> Server {
        Server::Tcp { host: host.into(), port }
    }

    #[test]
    fn urls_that_are_right() {
        let parsed = parse("redis://").unwrap();
        assert_eq!(
            (parsed.server, parsed.database, parsed.user, parsed.password),
            (tcp("localhost", 6379), 0, None, None)
        );
        let parsed = parse("redis://ann:s%40cret%23@[::1]:7000/3?protocol=2&client_name=a%20b").unwrap();
        assert_eq!((parsed.server, parsed.database), (tcp("::1", 7000), 3));
        assert_eq!((parsed.user.as_deref(), parsed.password.as_deref()), (Some("ann"), Some("s@cret#")));
        assert_eq!((parsed.protocol, parsed.client_name.as_deref()), (Protocol::Resp2, Some("a b")));
        let parsed = parse("redis://:secret@example.org?db=5").unwrap();
        assert_eq!((parsed.server, parsed.database), (tcp("example.org", 6379), 5));
        assert_eq!((parsed.user, parsed.password.as_deref()), (None, Some("secret")));
        let parsed = parse("unix://u:p@/run/a%20b.sock?db=1").unwrap();
        assert_eq!((parsed.server, parsed.database), (Server::Unix("/run/a b.sock".into()), 1));
        #[cfg(feature = "tls")]
        assert!(parse("rediss://example.org").unwrap().tls.is_some());
    }

    #[test]
    fn urls_that_are_wrong_name_the_part() {
        for (url, part) in [
            ("localhost:6379", "no scheme"),
            ("http://localhost", "scheme \"http\""),
            ("redis://host:port", "port \"port\""),
            ("redis://host:0", "port \"0\""),
            ("redis://host:65536", "port \"65536\""),
            ("redis://host:", "port \"\""),
            ("redis://host/x", "database \"x\""),
            ("redis://host/1/2", "database \"1/2\""),
            ("redis://host/-1", "database \"-1\""),
            ("redis://[::1", "host \"[::1\""),
            ("redis://[::x]", "host \"::x\""),
            ("redis://[::1]6379", "host \"[::1]6379\""),
            ("redis://::1:6379", "host \"::1\""),
            ("redis://a b", "host \"a b\""),
            ("redis://ann@host", "user \"ann\""),
            ("redis://%zz:x@host", "user \"%zz\""),
            ("redis://host?db=one", "db \"one\""),
            ("redis://host?protocol=4", "protocol \"4\""),
            ("redis://host?dbs=1", "query parameter \"dbs\""),
            ("redis://host#1", "fragment"),
            ("unix://run/redis.sock", "path \"run/redis.sock\""),
            ("unix://", "path \"\""),
        ] {
            let error = parse(url).map(|options| options.server).expect_err(url).to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
        let error = parse("redis://ann:se%cret@host").unwrap_err().to_string();
        assert!(error.contains("password") && !error.contains("cret"), "{error}");
        for url in [
            "redis://ann:se/cret@host",
            "redis://:se/cret@host/1",
            "redis://ann:se?cret@host",
            "redis://ann:x@se/cret@host",
            "unix://ann:se/cret@/run/redis.sock",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains("%2F") && !error.contains("cret") && !error.contains("\"se"), "{error}");
        }
        assert!(parse("redis://host?client_name=a@b").is_ok());
        assert!(parse("unix:///run/a@b").is_ok());
    }
}
