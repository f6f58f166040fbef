//! The rules, against a world of children that behave by script, on a clock that goes when told.
//!
//! Cases of OTP's own suite bear its names. Of those for `significant` the six about upgrades have no meaning here: flags and
//! specifications do not change while a supervisor runs.

mod admin;
mod corners;
mod ends;
mod hand_over;
mod model;
mod ours;
mod random;
mod significant;
mod simple;
mod start_stop;
mod strategies;
mod verbs;
mod world;

use std::time::Duration;

use self::world::{Begin, World};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn flags(strategy: Strategy, intensity: impl Into<Option<u32>>) -> Flags {
    Flags {
        strategy,
        intensity: intensity.into(),
        period: Duration::from_secs(3600),
        auto_shutdown: AutoShutdown::Never,
    }
}

fn rules(id: &str, restart: Restart) -> Rules {
    Rules {
        id: id.into(),
        restart,
        significant: false,
        backoff: None,
        park: false,
        park_at_start: false,
        supervisor: false,
    }
}

fn permanent(id: &str) -> Rules {
    rules(id, Restart::Permanent)
}

fn transient(id: &str) -> Rules {
    rules(id, Restart::Transient)
}

fn temporary(id: &str) -> Rules {
    rules(id, Restart::Temporary)
}

/// A supervisor with these children, started.
fn started(flags: Flags, children: impl IntoIterator<Item = Rules>) -> World {
    let mut world = World::new(flags);
    for child in children {
        world.add(child).unwrap();
    }
    world.start();
    world.take_log();
    world
}
