//! The commands that are wanted most, with the types of their replies.

#![forbid(unsafe_code)]

use super::{
    Client,
    command::{Command, Word, Words},
};
use crate::error::Result;

/// Each is a command by its name: awaited it answers the reply's value, and the server's error as
/// [`Error::Failed`](crate::Error::Failed). For all others, and for the errors' codes: [`Client::command`].
impl Client {
    /// GET: the value of a key, if there is one.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.command(&[b"GET", key.as_ref()]).await?.into_bytes()
    }

    /// SET.
    pub async fn set(&self, key: impl AsRef<[u8]>, value: impl Word) -> Result<()> {
        let command = Command::new("SET").arg(key.as_ref()).arg(value);
        self.command(&command).await?.ok().map(drop)
    }

    /// DEL: how many of the keys there were.
    pub async fn del(&self, keys: &(impl Words + ?Sized)) -> Result<i64> {
        let command = (0..keys.count()).fold(Command::new("DEL"), |command, at| command.arg(keys.word(at)));
        self.command(&command).await?.into_int()
    }

    /// INCRBY: the number after it.
    pub async fn incr_by(&self, key: impl AsRef<[u8]>, by: i64) -> Result<i64> {
        let command = Command::new("INCRBY").arg(key.as_ref()).arg(by);
        self.command(&command).await?.into_int()
    }

    /// HGETALL: the fields of a hash and their values.
    pub async fn hgetall(&self, key: impl AsRef<[u8]>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let pairs = self.command(&[b"HGETALL", key.as_ref()]).await?.into_pairs()?;
        let bytes = pairs.into_iter().map(|(field, value)| {
            Ok((field.into_bytes()?.unwrap_or_default(), value.into_bytes()?.unwrap_or_default()))
        });
        bytes.collect()
    }

    /// LRANGE: the elements of a list from one place to another, both included; from the end, if below 0.
    pub async fn lrange(&self, key: impl AsRef<[u8]>, from: i64, to: i64) -> Result<Vec<Vec<u8>>> {
        let command = Command::new("LRANGE").arg(key.as_ref()).arg(from).arg(to);
        let parts = self.command(&command).await?.into_array()?;
        parts.into_iter().map(|part| Ok(part.into_bytes()?.unwrap_or_default())).collect()
    }

    /// PUBLISH: how many subscribers the message has reached.
    pub async fn publish(&self, channel: impl AsRef<[u8]>, message: impl Word) -> Result<i64> {
        let command = Command::new("PUBLISH").arg(channel.as_ref()).arg(message);
        self.command(&command).await?.into_int()
    }
}
