//! What a process is told by the one that starts it: a sealed file, handed over as a descriptor whose number a variable says. In it the length of what
//! follows, as 8 bytes; that, as JSON; and arguments that only whoever is started understands, to the end.

#![forbid(unsafe_code)]

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use serde::{Serialize, de::DeserializeOwned};

use super::executor::zygote::sealed;
use crate::error::{Error, Result};

/// What such a file is for: how its errors name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// The file's own name, which `/proc` shows.
    pub(crate) file: &'static str,
    /// "port's", "pool's": whose description it is.
    pub(crate) whose: &'static str,
    /// The variable, and the number that it says.
    pub(crate) variable: &'static str,
    pub(crate) number: i32,
}

impl Told {
    pub(crate) fn write(&self, head: &impl Serialize, args: &[u8]) -> Result<OwnedFd> {
        let json = serde_json::to_vec(head).map_err(|error| Error::Invalid(format!("{}: {error}", self.variable)))?;
        sealed(self.file, &[&(json.len() as u64).to_ne_bytes()[..], &json, args].concat())
    }

    /// What was written so, and the arguments.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, and for a head that is not as `fits` wants it: of this version of the library.
    pub(crate) fn read<T: DeserializeOwned>(&self, file: &File, fits: impl FnOnce(&T) -> bool) -> Result<(T, Vec<u8>)> {
        let Self { whose, variable, number, .. } = self;
        let wrong = |what: &str| Error::Invalid(format!("{variable}={number} is no {whose} description: {what}"));
        let os = |error: std::io::Error| Error::os(format!("what a {whose} worker is told"), &error);
        let length = usize::try_from(file.metadata().map_err(os)?.len()).map_err(|_| wrong("too long"))?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0).map_err(os)?;
        let (head, rest) = bytes.split_first_chunk().ok_or_else(|| wrong("too short"))?;
        let (json, args) = usize::try_from(u64::from_ne_bytes(*head))
            .ok()
            .and_then(|length| rest.split_at_checked(length))
            .ok_or_else(|| wrong("it was cut"))?;
        let head = serde_json::from_slice(json).map_err(|error| wrong(&error.to_string()))?;
        if !fits(&head) {
            return Err(wrong("it was made by another version of the library"));
        }
        Ok((head, args.to_vec()))
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;

    const TOLD: Told = Told { file: "x", whose: "test's", variable: "COOP_TEST", number: 3 };

    fn read(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        TOLD.read(&File::from(sealed("x", bytes)?), |head: &Vec<u8>| head.len() == 2)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let file = File::from(TOLD.write(&[1, 2], b"args\0\xff").unwrap());
        assert_eq!(TOLD.read(&file, |_| true).unwrap(), (vec![1, 2], b"args\0\xff".to_vec()));
        let other = File::from(TOLD.write(&[1], &[]).unwrap());
        let refused = TOLD.read(&other, |head: &Vec<u8>| head.len() == 2).unwrap_err();
        assert!(
            refused.to_string().starts_with("COOP_TEST=3 is no test's description: it was made by another version")
        );
        for bytes in [&b""[..], &[1; 7], &[0xff; 8], &[9, 0, 0, 0, 0, 0, 0, 0, b'{'], &[0; 8]] {
            assert!(matches!(read(bytes), Err(Error::Invalid(_))), "{bytes:?}");
        }
    }
}
