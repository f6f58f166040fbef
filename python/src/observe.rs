//! `EventLoop.stats`, `set_slow_hook` and `set_lag_hook`.

use std::time::Duration;

use coop_core::event_loop::{CallbackKind, LoopStats, SlowCallback};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyTuple, PyType},
};

use crate::{callback::Callback, errors::OrRaise, event_loop::EventLoop, stream_options::seconds};

/// What a hook calls, if it is not to log.
type Function<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

#[pymethods]
impl EventLoop {
    /// What the loop did since it was made, a LoopStats. The first call has the times measured from then on. Any thread. Raises Forked.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let LoopStats {
            iterations,
            events,
            posts,
            timers_fired,
            timers,
            watches,
            longest_callback,
            lag,
            longest_lag,
            at_hand,
        } = self.handle.stats().or_raise(py)?;
        let [longest_callback, lag, longest_lag, at_hand] =
            [longest_callback, lag, longest_lag, at_hand].map(|time| time.as_secs_f64());
        let class = CLASS.import(py, "libcoop._stats", "LoopStats")?;
        let counts = (iterations, events, posts, timers_fired, timers, watches);
        let (a, b, c, d, e, f) = counts;
        Ok(class.call1((a, b, c, d, e, f, longest_callback, lag, longest_lag, at_hand))?.unbind())
    }

    /// Has `callback(what, seconds)` called whenever a callback ran for `threshold` seconds or longer on the loop's thread; `what` is
    /// "post", "timer" or "watch".
    ///
    /// Posts that run in one go, for up to 5 ms, count as one. Without a callback a warning is logged. A threshold of None ends it. It
    /// replaces the one before. Any thread. Raises ValueError for a threshold of 0 or less, TypeError, Closed, Forked.
    #[pyo3(signature = (threshold, callback = None, /))]
    fn set_slow_hook(&self, py: Python<'_>, threshold: Option<f64>, callback: Function<'_, '_>) -> PyResult<()> {
        match hook(py, threshold, callback)? {
            (Some(threshold), Some(callback)) => {
                let told = move |SlowCallback { what, took }: SlowCallback| {
                    let what = match what {
                        CallbackKind::Post => "post",
                        CallbackKind::Timer => "timer",
                        CallbackKind::Watch => "watch",
                    };
                    callback.call_with("the slow hook", |_, f| f.call1((what, took.as_secs_f64())));
                };
                self.handle.set_slow_hook(threshold, told).or_raise(py)
            }
            (threshold, _) => self.handle.set_slow_log(threshold).or_raise(py),
        }
    }

    /// Has `callback(seconds)` called after every turn in which the last of what was ready waited for `threshold` seconds or longer
    /// until its callback began. Otherwise as `set_slow_hook`.
    #[pyo3(signature = (threshold, callback = None, /))]
    fn set_lag_hook(&self, py: Python<'_>, threshold: Option<f64>, callback: Function<'_, '_>) -> PyResult<()> {
        match hook(py, threshold, callback)? {
            (Some(threshold), Some(callback)) => {
                let told =
                    move |lag: Duration| callback.call_with("the lag hook", |_, f| f.call1((lag.as_secs_f64(),)));
                self.handle.set_lag_hook(threshold, told).or_raise(py)
            }
            (threshold, _) => self.handle.set_lag_log(threshold).or_raise(py),
        }
    }
}

fn hook(
    py: Python<'_>,
    threshold: Option<f64>,
    callback: Function<'_, '_>,
) -> PyResult<(Option<Duration>, Option<Callback>)> {
    let callback = callback.map(|callback| Callback::new(callback, &PyTuple::empty(py))).transpose()?;
    Ok((seconds("threshold", threshold)?, callback))
}
