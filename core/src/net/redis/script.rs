//! Scripts: sent by their digest, and as a whole to a server that does not know it.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{
    command::{Command, Words},
    reply::Reply,
};

/// A Lua script and its digest; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    source: Arc<[u8]>,
    digest: Arc<str>,
}

impl Script {
    /// A script of this source.
    pub fn new(source: impl AsRef<[u8]>) -> Self {
        let source = source.as_ref();
        let digest = sha1_smol::Sha1::from(source).digest().to_string();
        Self { source: source.into(), digest: digest.into() }
    }

    /// Its SHA-1 digest in hex, by which the server knows it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn call(name: &str, script: &[u8], keys: &(impl Words + ?Sized), args: &(impl Words + ?Sized)) -> Command {
        let command = Command::new(name).arg(script).arg(keys.count());
        let command = (0..keys.count()).fold(command, |command, at| command.arg(keys.word(at)));
        (0..args.count()).fold(command, |command, at| command.arg(args.word(at)))
    }

    pub(super) fn by_digest(&self, keys: &(impl Words + ?Sized), args: &(impl Words + ?Sized)) -> Command {
        Self::call("EVALSHA", self.digest.as_bytes(), keys, args)
    }

    /// The same call, with the source in the place of the digest.
    pub(super) fn whole(&self, by_digest: &Command) -> Command {
        let command = Command::new("EVAL").arg(&*self.source);
        (2..by_digest.count()).fold(command, |command, at| command.arg(by_digest.word(at)))
    }
}

/// Whether the server does not know the digest.
pub(super) fn is_unknown(reply: &Reply) -> bool {
    reply.as_error().is_some_and(|error| error.code() == "NOSCRIPT")
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_script_is_named_by_its_digest() {
        let script = Script::new("return 1");
        assert_eq!(script.digest(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        let none: [&str; 0] = [];
        let call = script.by_digest(&["k"], &["a", "b"]);
        assert_eq!(
            (call.count(), call.word(0), call.word(2), call.word(5)),
            (6, &b"EVALSHA"[..], &b"1"[..], &b"b"[..])
        );
        let whole = script.whole(&call);
        assert_eq!((whole.word(0), whole.word(1), whole.count()), (&b"EVAL"[..], &b"return 1"[..], 6));
        assert_eq!(script.by_digest(&none, &none).count(), 3);
    }
}
