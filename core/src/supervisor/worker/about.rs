//! What a worker is told of its run, in its environment.
//!
//! `COOP_SERVICE` names the entry; `COOP_SERVICE_RUN` says the rest, as JSON; `COOP_SERVICE_PID` says whom it is meant for, as
//! `LISTEN_PID` does: what a worker starts itself inherits all three, and is no worker. Without it whoever reads the name is meant, so that
//! `COOP_SERVICE=name ./program` runs an entry by hand, or below systemd.

#![forbid(unsafe_code)]

use std::{env, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    supervisor::service::Ready,
};

pub(in super::super) const SERVICE: &str = "COOP_SERVICE";
pub(in super::super) const PID: &str = "COOP_SERVICE_PID";
pub(in super::super) const RUN: &str = "COOP_SERVICE_RUN";
/// All of them: they are meant for one process.
pub(in super::super) const VARIABLES: [&str; 3] = [SERVICE, PID, RUN];

/// See the module's text. Times are in microseconds; what is missing is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in super::super) struct About {
    /// The service's name among its siblings; else the entry's.
    pub(in super::super) name: Option<String>,
    pub(in super::super) id: u64,
    pub(in super::super) path: Option<String>,
    pub(in super::super) run: u64,
    /// It says itself when it is ready, within this.
    pub(in super::super) ready: Option<u64>,
    /// It must beat at least so often.
    pub(in super::super) watchdog: Option<u64>,
    /// The library must beat for it at least so often.
    pub(in super::super) liveness: Option<u64>,
    pub(in super::super) args: Option<Vec<String>>,
}

/// As much as fits: more than half a million years.
pub(in super::super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl About {
    pub(in super::super) fn ready(&self) -> Ready {
        self.ready.map_or(Ready::AtOnce, |within| Ready::Notify(Duration::from_micros(within)))
    }

    pub(in super::super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(Duration::from_micros)
    }

    /// How often it is told that the process runs: twice as often as is asked for.
    pub(super) fn half_liveness(&self) -> Option<Duration> {
        self.liveness.map(|micros| Duration::from_micros((micros / 2).max(1)))
    }

    pub(in super::super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Invalid(format!("{RUN}: {error}")))
    }

    /// The entry that this process is to run, and what is known of the run; `None` for a process that is no worker.
    ///
    /// # Errors
    /// [`Error::Invalid`] for variables that cannot be read.
    pub(super) fn from_environment() -> Result<Option<(String, Self)>> {
        let Some(entry) = text(SERVICE)? else { return Ok(None) };
        if let Some(pid) = text(PID)?
            && pid != std::process::id().to_string()
        {
            return Ok(None);
        }
        let about = match text(RUN)? {
            Some(json) => {
                serde_json::from_str(&json).map_err(|error| Error::Invalid(format!("{RUN}={json}: {error}")))?
            }
            None => Self::default(),
        };
        Ok(Some((entry, about)))
    }
}

fn text(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(value)) => Err(Error::Invalid(format!("{name}={value:?} is not UTF-8"))),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_is_told_comes_back() {
        let about = About {
            name: Some("web \"1\"".into()),
            id: u64::MAX,
            path: Some("root/web".into()),
            run: 3,
            ready: Some(micros(Duration::from_secs(60))),
            watchdog: None,
            liveness: Some(micros(Duration::MAX)),
            args: Some(vec!["ä".into(), String::new()]),
        };
        let json = about.to_json().unwrap();
        assert_eq!(serde_json::from_str::<About>(&json).unwrap(), about, "{json}");
        assert_eq!(serde_json::from_str::<About>("{}").unwrap(), About::default());
    }
}
