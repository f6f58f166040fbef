//! Protocols over the loop's own streams, a cargo feature each.
//!
//! | feature | module | what it is |
//! |---|---|---|
//! | `redis` | `redis` | calls to a redis server, thousands in flight on one connection |
//! | `tls` | `tls` | TLS over a stream, by rustls |

#![forbid(unsafe_code)]

#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "tls")]
pub mod tls;
