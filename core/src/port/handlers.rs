//! Handlers by their names: what makes the mode of a set one argument.
//!
//! A closure cannot go to another process; a name can. A program says once what its handlers are, and uses that for its sets, and first
//! of all in `main`, where a process that was started as a worker of a port finds its own:
//!
//! ```no_run
//! use coop_core::port::{Batch, Context, Fault, Handler, Handlers, Mode, Outcome, Port, PortSet, PortSetOptions};
//!
//! struct Echo;
//! impl Handler for Echo {
//!     fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
//!         for index in 0..batch.len() {
//!             let (data, from) = batch.get(index);
//!             ctx.sendto(data, Some(from)).map_err(|error| Fault::new(error.to_string()))?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn handlers() -> Handlers {
//!     Handlers::new().handler("echo", |_, _| Ok(Echo))
//! }
//!
//! // First of all in main: in a worker this serves its port and does not return.
//! handlers().run_if_asked();
//!
//! let options = PortSetOptions { handlers: handlers(), ..PortSetOptions::processes() };
//! let set = PortSet::new(options, vec![Port::named("ECHO", "127.0.0.1:0".parse().unwrap(), "echo")])?;
//! set.start()?;
//! # Ok::<(), coop_core::Error>(())
//! ```

#![forbid(unsafe_code)]

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    context::Context,
    handler::{Build, Fault, Handler},
};
use crate::error::{Error, Result};

type Make = dyn Fn(&Context, &[u8]) -> Result<Box<dyn Handler>, Fault> + Send + Sync;
/// Answers `None` for a name that it does not know.
type Find = dyn Fn(&str, Vec<u8>) -> Option<Result<Build>> + Send + Sync;

/// See the module's text.
#[derive(Clone, Default)]
pub struct Handlers {
    named: BTreeMap<String, Arc<Make>>,
    find: Option<Arc<Find>>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.named.keys()).finish()
    }
}

impl Handlers {
    /// None yet.
    pub const fn new() -> Self {
        Self { named: BTreeMap::new(), find: None }
    }

    /// What `make` answers, under this name; of two under one name the later one holds. It is called inside the port's worker, with the
    /// port's arguments.
    #[must_use]
    pub fn handler<H: Handler + 'static>(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&Context, &[u8]) -> Result<H, Fault> + Send + Sync + 'static,
    ) -> Self {
        let make = move |context: &Context, args: &[u8]| Ok(Box::new(make(context, args)?) as Box<dyn Handler>);
        self.named.insert(name.into(), Arc::new(make));
        self
    }

    /// The same of what makes a build, for handlers of other languages.
    #[must_use]
    pub fn building(
        mut self,
        name: impl Into<String>,
        make: impl Fn(Vec<u8>) -> Build + Send + Sync + 'static,
    ) -> Self {
        self.named.insert(name.into(), Arc::new(move |context: &Context, args: &[u8]| make(args.to_vec())(context)));
        self
    }

    /// Has names that are not listed looked up: what `find` answers `None` for is not there.
    #[must_use]
    pub fn otherwise(mut self, find: impl Fn(&str, Vec<u8>) -> Option<Result<Build>> + Send + Sync + 'static) -> Self {
        self.find = Some(Arc::new(find));
        self
    }

    /// What makes a handler.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is not there, and what looks others up answers.
    pub fn build(&self, name: &str, args: Vec<u8>) -> Result<Build> {
        if let Some(make) = self.named.get(name).cloned() {
            return Ok(Box::new(move |context: &Context| make(context, &args)));
        }
        if let Some(found) = self.find.as_ref().and_then(|find| find(name, args)) {
            return found;
        }
        let names: Vec<_> = self.named.keys().map(|name| format!("{name:?}")).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(Error::Invalid(format!("no handler is named {name:?}: there are {names}")))
    }

    /// Whether there is such a handler.
    ///
    /// # Errors
    /// As [`Handlers::build`].
    pub fn check(&self, name: &str) -> Result<()> {
        self.build(name, Vec::new()).map(drop)
    }
}
