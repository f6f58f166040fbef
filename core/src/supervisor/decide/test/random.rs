//! Anything may happen in any order: the model objects to what does not follow from the rules, and afterwards everything comes to rest.

use proptest::{prelude::*, strategy::Strategy as Gen};

use super::*;
use crate::supervisor::service::{Growth, Strategy};

#[derive(Debug, Clone)]
struct Plan {
    strategy: Strategy,
    intensity: Option<u32>,
    auto_shutdown: AutoShutdown,
    children: Vec<Child>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Child {
    restart: Restart,
    significant: bool,
    slow: bool,
    park: bool,
    park_at_start: bool,
    stubborn: bool,
    begins: Vec<Begin>,
}

/// What happens; children are meant by number, the verbs also after their time.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A run ends by itself, or as it was asked to: the one that was there first, or the successor.
    End {
        child: usize,
        normal: bool,
        successor: bool,
    },
    Begin(usize, Begin),
    Unresponsive {
        child: usize,
        successor: bool,
    },
    /// The next child of the plan, by `start_child` or for good.
    New {
        kept: bool,
    },
    Terminate(usize),
    Restart(usize),
    Delete(usize),
    Replace(usize),
    Pass(u32),
    /// So many inputs are heard.
    Hear(usize),
    Settle,
    Stop,
    Start,
}

fn begin() -> impl Gen<Value = Begin> {
    prop_oneof![
        6 => Just(Begin::Ready),
        2 => Just(Begin::Fail),
        1 => Just(Begin::Ignore),
        2 => Just(Begin::Hang),
    ]
}

fn child() -> impl Gen<Value = Child> {
    (
        prop_oneof![4 => Just(Restart::Permanent), 2 => Just(Restart::Transient), 2 => Just(Restart::Temporary)],
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
        prop::collection::vec(begin(), 0..5),
    )
        .prop_map(|(restart, significant, slow, park, park_at_start, stubborn, begins)| Child {
            restart,
            significant: significant && restart != Restart::Permanent,
            slow,
            park,
            park_at_start: park && park_at_start,
            stubborn,
            begins,
        })
}

fn step() -> impl Gen<Value = Step> {
    let child = || 0..8usize;
    prop_oneof![
        8 => (child(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(child, normal, successor)| Step::End { child, normal, successor }),
        4 => (child(), begin()).prop_map(|(child, begin)| Step::Begin(child, begin)),
        1 => (child(), prop::bool::weighted(0.2)).prop_map(|(child, successor)| Step::Unresponsive { child, successor }),
        2 => any::<bool>().prop_map(|kept| Step::New { kept }),
        3 => child().prop_map(Step::Terminate),
        3 => child().prop_map(Step::Restart),
        1 => child().prop_map(Step::Delete),
        3 => child().prop_map(Step::Replace),
        3 => (0..3000u32).prop_map(Step::Pass),
        1 => (0..200_000u32).prop_map(Step::Pass),
        4 => (1..4usize).prop_map(Step::Hear),
        6 => Just(Step::Settle),
        1 => Just(Step::Stop),
        1 => Just(Step::Start),
    ]
}

fn plan() -> impl Gen<Value = Plan> {
    (
        prop_oneof![
            Just(Strategy::OneForOne),
            Just(Strategy::OneForAll),
            Just(Strategy::RestForOne),
            Just(Strategy::SimpleOneForOne)
        ],
        prop_oneof![Just(None), (0..4u32).prop_map(Some)],
        prop_oneof![
            2 => Just(AutoShutdown::Never),
            1 => Just(AutoShutdown::AnySignificant),
            1 => Just(AutoShutdown::AllSignificant)
        ],
        prop::collection::vec(child(), 0..7),
        prop::collection::vec(step(), 0..40),
    )
        .prop_map(|(strategy, intensity, auto_shutdown, children, steps)| Plan {
            strategy,
            intensity,
            auto_shutdown,
            children,
            steps,
        })
}

/// Half of the children are there from the start, the others come by verbs.
struct Runner {
    world: World,
    coming: Vec<Child>,
    ids: Vec<ServiceId>,
}

impl Runner {
    fn new(plan: &Plan) -> Self {
        let world = World::new(Flags {
            period: SECOND,
            auto_shutdown: plan.auto_shutdown,
            ..flags(plan.strategy, plan.intensity)
        });
        let mut coming = plan.children.clone();
        coming.reverse();
        let mut runner = Self { world, coming, ids: Vec::new() };
        while plan.strategy != Strategy::SimpleOneForOne && runner.coming.len() > plan.children.len() / 2 {
            runner.bring(true);
        }
        runner.world.inbox.push_back(Input::Start);
        runner
    }

    fn bring(&mut self, kept: bool) {
        let Some(child) = self.coming.pop() else { return };
        let name = ["a", "b", "c", "d", "e", "f"][self.ids.len()];
        let id = self.world.new_id(name);
        self.ids.push(id);
        self.world.script(name, &child.begins);
        if child.stubborn {
            self.world.stubborn(name);
        }
        let backoff = Backoff {
            delay: SECOND / 10,
            growth: Growth::Exponential,
            cap: SECOND,
            jitter: 0.0,
            calm: SECOND * 5,
            burst: 0,
        };
        let rules = Rules {
            significant: child.significant,
            backoff: child.slow.then_some(backoff),
            park: child.park,
            park_at_start: child.park_at_start,
            ..rules(name, child.restart)
        };
        self.world.post(if kept { Verb::Add(id, rules) } else { Verb::StartChild(id, rules) });
    }

    fn step(&mut self, step: Step) {
        let ids = self.ids.clone();
        let world = &mut self.world;
        let on = |child: usize| ids.get(child % ids.len().max(1)).copied();
        let verb: Option<Verb> = match step {
            Step::End { child, normal, successor } => {
                if let Some(id) = on(child) {
                    world.may_end(id, usize::from(successor), normal);
                }
                None
            }
            Step::Begin(child, begin) => {
                if let Some(id) = on(child) {
                    world.may_begin(id, begin);
                }
                None
            }
            Step::Unresponsive { child, successor } => {
                if let Some(id) = on(child) {
                    world.may_ignore_deadline(id, usize::from(successor));
                }
                None
            }
            Step::New { kept } => {
                self.bring(kept);
                return;
            }
            Step::Terminate(child) => on(child).map(Verb::TerminateChild),
            Step::Restart(child) => on(child).map(Verb::RestartChild),
            Step::Delete(child) => on(child).map(Verb::DeleteChild),
            Step::Replace(child) => on(child).map(Verb::Replace),
            Step::Pass(ms) => {
                world.pass(Duration::from_millis(ms.into()));
                None
            }
            Step::Hear(most) => {
                world.steps(most);
                None
            }
            Step::Settle => {
                world.settle();
                None
            }
            Step::Stop => {
                world.inbox.push_back(Input::Stop);
                None
            }
            Step::Start => {
                world.start_again();
                None
            }
        };
        if let Some(verb) = verb {
            world.post(verb);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(plan in plan()) {
        let mut runner = Runner::new(&plan);
        for step in plan.steps {
            runner.step(step);
        }
        let mut world = runner.world;
        // Everybody behaves from now on.
        world.heal();
        world.model.at_rest();
        world.stop();
        world.heal();
        world.model.at_rest();
        prop_assert!(world.state.children().all(|child| child.state == ChildState::Stopped));
        // And it can be used again.
        world.start();
        world.heal();
        world.model.at_rest();
        world.stop();
        prop_assert!(world.ended);
    }
}
