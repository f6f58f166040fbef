//! What may be said of a service and of a supervisor. Each error names the service, the value and what is allowed.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::{AutoShutdown, Backoff, Growth, Ready, Restart, Service, SupervisorOptions};
use crate::error::{Error, Result};

/// Checks the name of a service or supervisor: paths join them by `/`, and each is a part of one line.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::Invalid(
            "service \"\": its id is empty; allowed is any text but '/' and control characters".into(),
        ));
    }
    match id.chars().find(|char| *char == '/' || char.is_control()) {
        Some(char) => Err(Error::Invalid(format!(
            "service {id:?}: its id has {char:?}; allowed is any text but '/' and control characters"
        ))),
        None => Ok(()),
    }
}

impl Service {
    /// Whether what is said of it can be: all that does not depend on its supervisor, its executor's own check included.
    ///
    /// # Errors
    /// [`Error::Invalid`], or what the executor answers.
    pub fn check(&self) -> Result<()> {
        check_id(&self.id)?;
        let refuse = |text: String| Err(Error::Invalid(format!("service {:?}: {text}", self.id)));
        if self.significant && self.restart == Restart::Permanent {
            return refuse(SIGNIFICANT_PERMANENT.into());
        }
        if self.ready == Ready::Notify(Duration::ZERO) {
            return refuse("ready within 0 s; allowed are a longer time, and at once without notification".into());
        }
        if self.watchdog == Some(Duration::ZERO) {
            return refuse("watchdog of 0 s; allowed are a longer time, and none".into());
        }
        if self.liveness == Some(Duration::ZERO) {
            return refuse("liveness of 0 s; allowed are a longer time, and none".into());
        }
        if self.liveness.is_some() && !self.executor.beats() {
            let executor = self.executor.name();
            return refuse(format!("liveness with the {executor} executor; allowed with async process, and none"));
        }
        if self.park && self.restart == Restart::Temporary {
            return refuse(
                "park with restart temporary, which is never tried again; allowed with permanent and transient".into(),
            );
        }
        if self.park_at_start && !self.park {
            return refuse("park_at_start without park; allowed is park, with or without park_at_start".into());
        }
        if let Some(code) = self.normal_exits.iter().find(|code| !(0..=255).contains(*code)) {
            return refuse(format!("normal exit status {code}; allowed are 0 to 255"));
        }
        if let Some(backoff) = &self.backoff {
            if self.restart == Restart::Temporary {
                return refuse(
                    "backoff with restart temporary, which is never restarted; allowed with permanent and transient"
                        .into(),
                );
            }
            backoff.check().or_else(&refuse)?;
            if self.park && backoff.cap.is_zero() {
                return refuse(
                    "park with a backoff whose cap is 0 s, which it would rest for; allowed is a longer one".into(),
                );
            }
        }
        self.executor.check(self)
    }
}

impl Backoff {
    fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(format!("backoff jitter {}; allowed are 0.0 to 1.0", self.jitter));
        }
        if self.cap < self.delay {
            return Err(format!(
                "backoff cap {:?} with a delay of {:?}; allowed is a cap that is not shorter than the delay",
                self.cap, self.delay
            ));
        }
        if self.delay.is_zero() && self.growth != Growth::Fixed {
            return Err(format!(
                "backoff delay of 0 s with {} growth, by which it stays 0; allowed is a longer delay",
                self.growth
            ));
        }
        Ok(())
    }
}

impl SupervisorOptions {
    /// Whether what is said of it, and of its own place under a supervisor, can be.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self, id: &str) -> Result<()> {
        check_id(id)?;
        let refuse = |text: &str| Err(Error::Invalid(format!("supervisor {id:?}: {text}")));
        if self.period.is_zero() {
            return refuse("period of 0 s; allowed is a longer one");
        }
        if self.significant && self.restart == Restart::Permanent {
            return refuse(SIGNIFICANT_PERMANENT);
        }
        Ok(())
    }

    /// Whether this supervisor may have a service, or a supervisor, like this one.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_child(&self, id: &str, significant: bool) -> Result<()> {
        if significant && self.auto_shutdown == AutoShutdown::Never {
            return Err(Error::Invalid(format!(
                "service {id:?}: significant, under a supervisor whose auto_shutdown is never; allowed are any_significant and \
                 all_significant"
            )));
        }
        Ok(())
    }
}

const SIGNIFICANT_PERMANENT: &str = "significant with restart permanent; allowed with transient and temporary";

#[cfg(test)]
mod test;
