//! How nodes are run: from one that is ready to those that become so by its end.
//!
//! A worker runs a node and then one of those that it makes ready, in a loop: the others go to the pool together. So a chain of any length
//! needs no stack and no queue; after [`IN_PLACE`] nodes the next one is queued if the worker has anything else to do, so that one run does not keep it
//! from others. What a
//! node is not run for (its run has ended, what it depends on has failed or was skipped) is settled on the spot, in a loop too.

#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    attempt::{self, Attempt},
    block::{Block, CANCEL, Claim, List, SKIP, Token, state},
    builder::{Answer, Function},
    call::{Args, Call},
    io,
    run::{Head, Inputs},
    value::{Failure, Value},
};
use crate::{
    error::{Error, Refused},
    event_loop::TimerId,
    job::{Job, caught, panic_text},
    pool,
};

/// How many nodes in a row run without a look at what else the worker has to do.
const IN_PLACE: u32 = 64;

thread_local! {
    /// The run whose node this thread runs, by address.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread is inside a node of the run.
pub(super) fn is_inside(block: &Block<Head>) -> bool {
    INSIDE.try_with(Cell::get).is_ok_and(|inside| inside == block.address())
}

/// Remembers what run this thread is in.
pub(super) struct Inside(usize);

impl Inside {
    pub(super) fn new(token: &Token<Head>) -> Self {
        Self::of(token.address())
    }

    pub(super) fn of(address: usize) -> Self {
        Self(INSIDE.replace(address))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// How a node has ended.
pub(super) enum How {
    Done(Value),
    Skipped,
    Failed(Failure),
    Cancelled,
}

impl From<Answer> for How {
    #[inline]
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(value) => Self::Done(value),
            Err(failure) if failure.is_skip() => Self::Skipped,
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// Nodes that have become ready.
pub(super) struct Out {
    cpu: List<Head>,
    /// Whether these go to several places.
    mixed: bool,
    /// Of the loop.
    waiting: List<Head>,
    /// Those that are not run: their state says why.
    settled: List<Head>,
}

impl Out {
    pub(super) const fn new() -> Self {
        Self { cpu: List::new(), mixed: false, waiting: List::new(), settled: List::new() }
    }

    #[inline]
    fn sort(&mut self, ready: Token<Head>, flags: u32) {
        if let Some(clock) = &ready.clock {
            clock.ready(ready.node());
        }
        let node = &ready.graph.0.ready[ready.node() as usize];
        match node.function {
            _ if flags != 0 && !runs_all_the_same(&ready, flags) => self.settled.push(ready),
            Function::Cpu(_) => {
                self.mixed |= self.cpu.first().is_some_and(|first| class(first) != node.class);
                self.cpu.push(ready);
            }
            Function::Io(_) | Function::Callback(_) => self.waiting.push(ready),
            Function::Input => self.settled.push(ready),
        }
    }

    #[inline]
    fn spread(&mut self, token: Token<Head>, value: Option<Value>, flags: u32) {
        let flags = if token.is_over() { CANCEL } else { flags };
        self.tell(token, value, flags);
    }

    #[inline]
    fn tell(&mut self, token: Token<Head>, value: Option<Value>, flags: u32) {
        if let Some(block) = token.settle(value, flags, |ready, flags| self.sort(ready, flags)) {
            Head::complete(&block);
        }
    }

    /// Settles a node, and those that will not run for its sake.
    #[inline]
    pub(super) fn settle(&mut self, token: Token<Head>, how: How) {
        if let Some(clock) = &token.clock
            && token.state() == state::RUNNING
        {
            clock.ended(token.node());
        }
        match how {
            How::Done(value) if !token.is_over() => self.tell(token, Some(value), 0),
            other => self.settle_unless_done(token, other),
        }
        self.settle_rest();
    }

    #[cold]
    fn settle_unless_done(&mut self, token: Token<Head>, how: How) {
        match how {
            How::Done(value) => {
                token.mark(state::CANCELLED);
                value.drop_caught();
                self.tell(token, None, CANCEL);
            }
            How::Skipped => {
                token.mark(state::SKIPPED);
                self.settled.push(token);
            }
            How::Failed(failure) => {
                token.mark(state::FAILED);
                token.failed(&token.block(), token.node(), failure);
                self.tell(token, None, CANCEL);
            }
            How::Cancelled => {
                token.mark(state::CANCELLED);
                self.settled.push(token);
            }
        }
    }

    #[inline]
    fn settle_rest(&mut self) {
        while let Some(token) = self.settled.pop() {
            match token.state() {
                state::SKIPPED => {
                    self.spread(token, Some(Value::absent()), SKIP);
                }
                state::CANCELLED => self.spread(token, None, CANCEL),
                _ => self.spread(token, Some(Value::UNIT), 0),
            }
        }
    }

    /// Hands all to the pool and to the loop. `keeper` is another node of the run, if the caller has one.
    #[inline]
    pub(super) fn push(&mut self, keeper: Option<&Token<Head>>) {
        if self.cpu.first().is_some() || self.waiting.first().is_some() {
            self.push_all(keeper);
        }
    }

    #[inline(never)]
    fn push_all(&mut self, keeper: Option<&Token<Head>>) {
        if let Some(first) = self.cpu.first() {
            let own;
            let pool = match keeper {
                Some(keeper) => &keeper.pool,
                None => {
                    // The run may be gone as soon as its last node is queued.
                    own = first.pool.clone();
                    &own
                }
            };
            let nodes = std::mem::replace(&mut self.cpu, List::new());
            submit(pool, nodes, std::mem::take(&mut self.mixed));
        }
        if let Some(first) = self.waiting.first()
            && let Some(event_loop) = first.event_loop.clone()
        {
            while let Some(token) = self.waiting.pop() {
                io::start(&event_loop, token);
            }
        }
    }
}

/// Whether a node is to run although it is told otherwise; else its state says why not.
#[cold]
fn runs_all_the_same(ready: &Token<Head>, flags: u32) -> bool {
    let refused = if flags & CANCEL != 0 {
        Some(state::CANCELLED)
    } else {
        (flags & SKIP != 0 && !ready.graph.options(ready.node()).even_if_skipped).then_some(state::SKIPPED)
    };
    refused.inspect(|state| ready.mark(*state)).is_none()
}

#[inline]
fn class(token: &Token<Head>) -> u32 {
    token.graph.0.ready[token.node() as usize].class
}

/// Queues nodes, those of one place together.
fn submit(pool: &pool::Handle, mut nodes: List<Head>, mixed: bool) {
    while let Some(first) = nodes.first() {
        let (place, target) = (class(first), first.target(class(first)).clone());
        let mut same = List::new();
        if mixed {
            let mut others = List::new();
            while let Some(token) = nodes.pop() {
                if class(&token) == place { same.push(token) } else { others.push(token) }
            }
            nodes = others;
        } else {
            std::mem::swap(&mut same, &mut nodes);
        }
        let count = same.len();
        let pushed = pool.resume_many(&target, count, &mut std::iter::from_fn(|| same.pop().map(node_job)));
        if let Err(error) = pushed {
            while let Some(token) = same.pop() {
                closed(token, error.clone());
            }
        }
    }
}

/// Runs nodes in a pool; dropped there, they are settled all the same.
struct Step(Option<Token<Head>>);

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(token) = self.0.take() {
            if token.born.is_forked() {
                return;
            }
            closed(token, Error::Closed("pool"));
        }
    }
}

#[inline]
fn node_job(token: Token<Head>) -> Job {
    step_job(Step(Some(token)))
}

#[inline]
fn step_job(mut step: Step) -> Job {
    Job::new(move || {
        // All of the step is moved here, so that its drop stands for a node that is not run.
        let step = &mut step;
        if let Some(token) = step.0.take() {
            run(token);
        }
    })
}

/// The [kind](Job::kind) of the jobs that run nodes in a pool, for who [lingers](pool::linger) from one to the next.
pub fn job_kind() -> usize {
    step_job(Step(None)).kind()
}

/// A node cannot be run any more: the run ends.
pub(super) fn closed(token: Token<Head>, error: Error) {
    token.end(&token.block(), Err(error));
    let mut out = Out::new();
    out.settle(token, How::Cancelled);
    out.push(None);
}

/// Runs a node on a worker, and others after it.
fn run(first: Token<Head>) {
    let _inside = Inside::new(&first);
    let (place, born) = (class(&first), first.born);
    let mut out = Out::new();
    let mut next = Some(first);
    let mut left = IN_PLACE;
    while let Some(token) = next.take() {
        execute(token, &mut out);
        if born.is_forked() {
            // A node forked, and this is the child: the rest is the parent's.
            return;
        }
        left -= 1;
        if let Some(first) = out.cpu.first() {
            if left == 0 && !first.pool.others_wait() {
                left = IN_PLACE;
            }
            if left > 0 && class(first) == place && first.pool.may_run_here(first.target(place)) {
                next = out.cpu.pop();
            }
        }
        out.push(next.as_ref());
    }
}

/// Runs a CPU node, and settles it unless it is to be tried again later.
#[inline]
fn execute(token: Token<Head>, out: &mut Out) {
    if token.is_over() {
        return out.settle(token, How::Cancelled);
    }
    let node = &token.graph.0.ready[token.node() as usize];
    if !node.plain {
        return attempt::begin(token, out);
    }
    let Function::Cpu(function) = &node.function else { unreachable!("only CPU nodes go to the pool") };
    begin(&token);
    let answer = answer_of(|| function(&mut Call { args: Args::Slots(&token), attempt: 0 }));
    out.settle(token, answer.into());
}

/// A node begins.
#[inline]
pub(super) fn begin(token: &Token<Head>) {
    token.mark(state::RUNNING);
    if let Some(clock) = &token.clock {
        clock.began(token.node());
    }
}

/// What a node's function answers; its panic is a failure.
#[inline]
pub(super) fn answer_of(call: impl FnOnce() -> Answer) -> Answer {
    caught_call(call).unwrap_or_else(Err)
}

/// Calls foreign code; its panic is a failure.
#[inline]
pub(super) fn caught_call<T>(call: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let failure = Failure::with_cause(Error::Panic(panic_text(&*payload).to_owned()), Value::UNIT);
        // The payload's own drop may panic too: it is user code.
        caught("dag", || drop(payload));
        failure
    })
}

/// The right to settle a node, which a deadline may have too.
pub(super) enum Right {
    Token(Token<Head>),
    Claim(Claim<Head>, TimerId),
}

impl Right {
    pub(super) fn head(&self) -> &Head {
        match self {
            Self::Token(token) => token,
            Self::Claim(claim, _) => &claim.block,
        }
    }

    pub(super) fn node(&self) -> u32 {
        match self {
            Self::Token(token) => token.node(),
            Self::Claim(claim, _) => claim.node,
        }
    }

    pub(super) fn block(&self) -> Block<Head> {
        match self {
            Self::Token(token) => token.block(),
            Self::Claim(claim, _) => claim.block.clone(),
        }
    }

    /// Whether the run has ended, or the node's deadline has passed.
    pub(super) fn is_over(&self) -> bool {
        self.head().is_over() || matches!(self, Self::Claim(claim, _) if claim.is_lost())
    }

    /// The token, unless the deadline came first.
    pub(super) fn win(self) -> Option<Token<Head>> {
        match self {
            Self::Token(token) => Some(token),
            Self::Claim(claim, timer) => {
                let token = claim.win()?;
                if let Some(event_loop) = &token.event_loop {
                    // Stale if it is about to lose.
                    let _ = event_loop.cancel_timer(timer);
                }
                Some(token)
            }
        }
    }
}

/// A node has ended outside of the pool. False if its deadline or its run's end came first.
pub(super) fn ended(right: Right, how: How) -> bool {
    let in_time = !right.head().is_over();
    let Some(token) = right.win() else {
        if let How::Done(value) = how {
            value.drop_caught();
        }
        return false;
    };
    let mut out = Out::new();
    out.settle(token, how);
    out.push(None);
    in_time
}

/// [`ended`], unless the node is tried again.
pub(super) fn completed(right: Right, answer: Answer, number: u32, args: Vec<Value>) -> bool {
    let attempt = Attempt { right, args, number };
    match attempt::again(attempt, answer) {
        Ok(()) => true,
        Err((attempt, answer)) => ended(attempt.right, answer.into()),
    }
}

/// A run begins, where its first nodes are.
pub(super) fn start(start: Token<Head>, inputs: Inputs) -> Result<(), Refused<Inputs>> {
    let (pool, target, event_loop) = (start.pool.clone(), start.target(1).clone(), start.event_loop.clone());
    let on_loop = start.graph.0.starts_on_loop;
    let mut start = Some(Begin(Some(start)));
    let make = |inputs: Inputs| {
        let begin = start.take().unwrap_or_else(|| unreachable!("made once"));
        begin.put(inputs);
        let mut begin = begin;
        Job::new(move || {
            let begin = &mut begin;
            if let Some(token) = begin.0.take() {
                let mut out = Out::new();
                out.spread(token, None, 0);
                out.settle_rest();
                out.push(None);
            }
        })
    };
    match event_loop.filter(|_| on_loop) {
        Some(event_loop) => event_loop.post_made(inputs, make),
        None => pool.submit_made(&target, Some(std::time::Duration::ZERO), inputs, make),
    }
    .inspect_err(|refused| {
        if let Some(begin) = start.as_mut().and_then(|begin| begin.0.take()) {
            abandon(begin, &refused.error);
        }
    })
}

/// The start of a run that waits in a queue.
struct Begin(Option<Token<Head>>);

impl Begin {
    fn put(&self, inputs: Inputs) {
        let Some(start) = &self.0 else { return };
        for (name, value) in inputs.0 {
            if let Some(node) = start.graph.index(&name) {
                start.put_input(node, value);
            }
        }
    }
}

impl Drop for Begin {
    fn drop(&mut self) {
        if let Some(token) = self.0.take() {
            if token.born.is_forked() {
                return;
            }
            let closed = if token.graph.0.starts_on_loop { "event loop" } else { "pool" };
            abandon(token, &Error::Closed(closed));
        }
    }
}

/// A run that does not start.
pub(super) fn abandon(start: Token<Head>, error: &Error) {
    start.end(&start.block(), Err(error.clone()));
    let mut out = Out::new();
    out.spread(start, None, CANCEL);
    out.settle_rest();
}
