//! Calls of several commands: pipelines, transactions, scripts.

#![forbid(unsafe_code)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Client,
    call::{Call, CallId, Done, take, with_callback},
    client::{allowed, call_id},
    command::{Command, Effect, Words, encode, look_at},
    group::{Finish, Group},
    link::Link,
    reply::Reply,
    script::{self, Script},
};
use crate::error::{Error, Refused, Result};

impl Client {
    /// Several commands one after another, in one piece: nothing of this client comes between them. Answers an array of their replies, in which errors
    /// are replies, too.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn pipeline<W: Words>(&self, commands: &[W]) -> Call {
        let (_, link) = self.pick();
        match group_of(link, commands, Finish::All) {
            Err(error) => Call::refused(error),
            Ok(group) => Call::make(link, |done| {
                let sent = link.send(None, Some(group), done, |bytes| encode_all(commands, bytes));
                sent.map_err(|refused| refused.error)
            }),
        }
    }

    /// [`Client::pipeline`] with a callback, as [`Client::command_with`].
    ///
    /// # Errors
    /// As [`Client::command_with`].
    pub fn pipeline_with<W: Words, F>(
        &self,
        commands: &[W],
        limit: Option<Duration>,
        f: F,
    ) -> Result<CallId, Refused<F>>
    where
        F: FnOnce(Result<Reply>) + Send + 'static,
    {
        let (at, link) = self.pick();
        let group = match group_of(link, commands, Finish::All) {
            Ok(group) => group,
            Err(error) => return Err(Refused::new(error, f)),
        };
        with_callback(f, |done| link.send(limit, Some(group), done, |bytes| encode_all(commands, bytes)))
            .map(|id| call_id(id, at))
    }

    /// Several commands as a transaction: MULTI, the commands, EXEC, in one piece. Answers the reply of EXEC: an array of their replies; nothing if
    /// a watched key had changed; an error if one of them was refused, and then none was done.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn transaction<W: Words>(&self, commands: &[W]) -> Call {
        let (_, link) = self.pick();
        match group_of(link, commands, Finish::Exec) {
            Err(error) => Call::refused(error),
            Ok(group) => Call::make(link, |done| {
                let sent = link.send(None, Some(group), done, |bytes| encode_transaction(commands, bytes));
                sent.map_err(|refused| refused.error)
            }),
        }
    }

    /// [`Client::transaction`] with a callback, as [`Client::command_with`].
    ///
    /// # Errors
    /// As [`Client::command_with`].
    pub fn transaction_with<W: Words, F>(
        &self,
        commands: &[W],
        limit: Option<Duration>,
        f: F,
    ) -> Result<CallId, Refused<F>>
    where
        F: FnOnce(Result<Reply>) + Send + 'static,
    {
        let (at, link) = self.pick();
        let group = match group_of(link, commands, Finish::Exec) {
            Ok(group) => group,
            Err(error) => return Err(Refused::new(error, f)),
        };
        with_callback(f, |done| link.send(limit, Some(group), done, |bytes| encode_transaction(commands, bytes)))
            .map(|id| call_id(id, at))
    }

    /// Runs a script: by its digest, and by its source if the server does not know that.
    ///
    /// # Errors
    /// Awaited: as [`Client::command`].
    pub fn script(&self, script: &Script, keys: &(impl Words + ?Sized), args: &(impl Words + ?Sized)) -> Call {
        let (_, link) = self.pick();
        let command = script.by_digest(keys, args);
        Call::make(link, |done| self.run(link, script, command, None, done).map_err(|refused| refused.error))
    }

    /// [`Client::script`] with a callback, as [`Client::command_with`]. The deadline is that of each of the two attempts; after the first one a cancel is
    /// [`Error::Stale`].
    ///
    /// # Errors
    /// As [`Client::command_with`].
    pub fn script_with<F>(
        &self,
        script: &Script,
        keys: &(impl Words + ?Sized),
        args: &(impl Words + ?Sized),
        limit: Option<Duration>,
        f: F,
    ) -> Result<CallId, Refused<F>>
    where
        F: FnOnce(Result<Reply>) + Send + 'static,
    {
        let (at, link) = self.pick();
        let command = script.by_digest(keys, args);
        with_callback(f, |done| self.run(link, script, command, limit, done)).map(|id| call_id(id, at))
    }

    fn run(
        &self,
        link: &Arc<Link>,
        script: &Script,
        command: Command,
        limit: Option<Duration>,
        done: Done,
    ) -> Result<u64, Refused<Done>> {
        let place = Arc::new(Mutex::new(Some(done)));
        let (again, script, kept, by_digest) = (link.clone(), script.clone(), place.clone(), command.clone());
        let first = Done::callback(move |outcome| {
            let Some(done) = take(&kept) else { return };
            match outcome {
                Ok(reply) if script::is_unknown(&reply) => {
                    let mut whole = Vec::new();
                    encode(&script.whole(&by_digest), &mut whole);
                    if let Err(refused) = again.send_more(limit, done, &whole) {
                        refused.value.tell(Err(refused.error));
                    }
                }
                outcome => done.tell(outcome),
            }
        });
        link.send(limit, None, first, |bytes| encode(&command, bytes)).map_err(|refused| {
            let done = take(&place).unwrap_or_else(|| unreachable!("a refused callback has not run"));
            Refused::new(refused.error, done)
        })
    }
}

fn group_of<W: Words>(link: &Link, commands: &[W], finish: Finish) -> Result<Group> {
    if commands.is_empty() {
        return Err(Error::Invalid("redis: a pipeline or transaction of no commands".into()));
    }
    for command in commands {
        if finish == Finish::Exec && matches!(look_at(command)?, Effect::State | Effect::Ends) {
            let name = String::from_utf8_lossy(command.word(0)).to_uppercase();
            return Err(Error::Invalid(format!("redis: {name} cannot stand in a transaction")));
        }
        allowed(link, command)?;
    }
    Ok(match finish {
        // MULTI and EXEC are around them.
        Finish::Exec => link.ends(commands.len() + 2),
        _ => Group::new(finish, commands.len()),
    })
}

fn encode_all<W: Words>(commands: &[W], bytes: &mut Vec<u8>) {
    for command in commands {
        encode(command, bytes);
    }
}

fn encode_transaction<W: Words>(commands: &[W], bytes: &mut Vec<u8>) {
    encode(&["MULTI"], bytes);
    encode_all(commands, bytes);
    encode(&["EXEC"], bytes);
}
