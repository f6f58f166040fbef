//! What is said of supervisors and services, as Python gives it: `libcoop/_options.py` has checked the types.

use std::{sync::Arc, time::Duration};

use coop_core::{
    Error,
    supervisor::{
        AutoShutdown, Backoff, Executor, Growth, Ready, Restart, Service, Shutdown, Strategy, SupervisorOptions,
    },
};
use pyo3::prelude::*;

use crate::{detached::Detached, errors::OrRaise, wait};

/// The enumeration's member of this number, as `libcoop/_enums.py` counts them.
fn member<T: Copy>(py: Python<'_>, what: &str, number: i32, all: &[(&str, T)]) -> PyResult<T> {
    let found = usize::try_from(number).ok().and_then(|index| all.get(index));
    let refuse = || Error::Invalid(format!("{what} {number} is out of range: 0 to {}", all.len() - 1));
    found.map(|(_, value)| *value).ok_or_else(refuse).or_raise(py)
}

/// `None` is the default, -1 does not ask.
pub(super) fn shutdown(seconds: Option<f64>) -> PyResult<Option<Shutdown>> {
    seconds
        .map(|seconds| match seconds {
            -1.0 => Ok(Shutdown::Kill),
            f64::INFINITY => Ok(Shutdown::Infinity),
            seconds => wait::delay("shutdown", seconds).map(Shutdown::After),
        })
        .transpose()
}

/// The inverse of [`shutdown`].
pub(super) fn shutdown_seconds(shutdown: Shutdown) -> f64 {
    match shutdown {
        Shutdown::Kill => -1.0,
        Shutdown::Infinity => f64::INFINITY,
        Shutdown::After(time) => time.as_secs_f64(),
    }
}

pub(super) fn root(
    py: Python<'_>,
    strategy: i32,
    intensity: Option<u32>,
    period: f64,
    auto_shutdown: i32,
) -> PyResult<SupervisorOptions> {
    Ok(SupervisorOptions {
        strategy: member(py, "strategy", strategy, Strategy::ALL)?,
        intensity,
        period: wait::delay("period", period)?,
        auto_shutdown: member(py, "auto_shutdown", auto_shutdown, AutoShutdown::ALL)?,
        ..SupervisorOptions::default()
    })
}

pub(super) fn restart(py: Python<'_>, number: i32) -> PyResult<Restart> {
    member(py, "restart", number, Restart::ALL)
}

/// How a service is run.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct NativeExecutor(pub(super) Detached<Arc<dyn Executor>>);

impl NativeExecutor {
    pub(super) fn new(executor: Arc<dyn Executor>) -> Self {
        Self(Detached::new(executor))
    }
}

/// What a supervisor is told of a service.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct NativeService(pub(super) Detached<Service>);

#[pymethods]
impl NativeService {
    /// Raises Invalid for what cannot be said of a service, and what its executor answers.
    #[new]
    #[pyo3(signature = (id, executor, restart, shutdown, significant, ready_within, watchdog, liveness, backoff, park, park_at_start, normal_exits))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn new(
        py: Python<'_>,
        id: String,
        executor: &NativeExecutor,
        restart: i32,
        shutdown: Option<f64>,
        significant: bool,
        ready_within: Option<f64>,
        watchdog: Option<f64>,
        liveness: Option<f64>,
        backoff: Option<(f64, i32, f64, f64, f64)>,
        park: bool,
        park_at_start: bool,
        normal_exits: Vec<i32>,
    ) -> PyResult<Self> {
        let time = |name: &'static str| move |seconds| wait::delay(name, seconds);
        let backoff = backoff.map(|(delay, growth, cap, jitter, calm)| {
            let growth = member(py, "growth", growth, Growth::ALL)?;
            let time = |name, seconds| wait::delay(name, seconds);
            PyResult::Ok(Backoff {
                delay: time("delay", delay)?,
                growth,
                cap: time("cap", cap)?,
                jitter,
                calm: time("calm", calm)?,
                burst: 0,
            })
        });
        let service = Service {
            restart: self::restart(py, restart)?,
            shutdown: self::shutdown(shutdown)?,
            significant,
            ready: ready_within.map(time("ready_within")).transpose()?.map_or(Ready::AtOnce, Ready::Notify),
            watchdog: watchdog.map(time("watchdog")).transpose()?,
            liveness: liveness.map(time("liveness")).transpose()?,
            backoff: backoff.transpose()?,
            park,
            park_at_start,
            normal_exits,
            ..Service::new(id, executor.0.clone())
        };
        let service = Self(Detached::new(service));
        py.detach(|| service.0.check()).or_raise(py)?;
        Ok(service)
    }
}

/// Seconds, or none for at once.
pub(super) fn ready_seconds(ready: Ready) -> Option<f64> {
    match ready {
        Ready::AtOnce => None,
        Ready::Notify(within) => Some(within.as_secs_f64()),
    }
}

pub(super) fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}
