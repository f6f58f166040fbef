//! Nodes with options: predicates, retries and deadlines.
//!
//! Such a node has what it reads in a list of its own, so that it can be given again. One with a deadline has two who may settle it, the one that
//! runs it and a timer of the loop: the first one does.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::{
    block::Token,
    builder::{Answer, Function},
    call::{Args, Call, Completer},
    run::Head,
    value::{Failure, Value},
    work::{self, How, Inside, Out, Right},
};
use crate::{
    error::Error,
    event_loop::{On, TimerOptions},
    job::Job,
};

/// One attempt at a node, or a wait before the next one.
pub(super) struct Attempt {
    pub(super) right: Right,
    pub(super) args: Vec<Value>,
    pub(super) number: u32,
}

/// Whether the node's predicate, if it has one, lets it run; otherwise it is settled.
pub(super) fn admit(token: Token<Head>, out: &mut Out) -> Option<Token<Head>> {
    if token.is_over() {
        out.settle(token, How::Cancelled);
        return None;
    }
    let Some(predicate) = &token.graph.options(token.node()).only_if else { return Some(token) };
    match work::caught_call(|| predicate(&Call { args: Args::Slots(&token), attempt: 0 })) {
        Ok(true) => return Some(token),
        Ok(false) => out.settle(token, How::Skipped),
        Err(failure) => out.settle(token, How::Failed(failure)),
    }
    None
}

/// What the node reads, taken once for all attempts.
pub(super) fn collect(token: &Token<Head>) -> Vec<Value> {
    std::iter::from_fn(|| token.next()).collect()
}

/// The arguments for an attempt: all that there is, if it is the last one.
pub(super) fn args(args: &mut Vec<Value>, number: u32, retries: u32) -> std::vec::IntoIter<Value> {
    if number < retries { args.clone() } else { std::mem::take(args) }.into_iter()
}

/// How long to wait before this attempt.
pub(super) fn pause(backoff: Duration, number: u32) -> Duration {
    backoff.saturating_mul(1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX))
}

/// Gives the node its deadline, if it has one.
fn limit(token: Token<Head>) -> Result<Right, Token<Head>> {
    let (node, event_loop) = (token.node(), token.event_loop.clone());
    let (Some(timeout), Some(event_loop)) = (token.graph.options(node).timeout, event_loop) else {
        return Ok(Right::Token(token));
    };
    let (own, other) = token.share();
    let mut other = Some(other);
    let options = TimerOptions { after: timeout, on: On::Loop, unref: true, ..TimerOptions::default() };
    let timer = event_loop.timer(options, move |_| {
        if let Some(token) = other.take().and_then(|claim| claim.win()) {
            let mut out = Out::new();
            out.settle(token, How::Failed(late(timeout)));
            out.push(None);
        }
    });
    match timer {
        Ok(timer) => Ok(Right::Claim(own, timer)),
        // The loop is closed, and dropped its half.
        Err(_) => Err(own.win().unwrap_or_else(|| unreachable!("nobody else has it"))),
    }
}

pub(super) fn late(timeout: Duration) -> Failure {
    Failure::with_cause(Error::Timeout(format!("it has not ended within {timeout:?}")), Value::UNIT)
}

/// Begins a node with options, on the thread that it runs on.
pub(super) fn begin(token: Token<Head>, out: &mut Out) {
    let Some(token) = admit(token, out) else { return };
    let args = collect(&token);
    work::begin(&token);
    match limit(token) {
        Ok(right) => run(Attempt { right, args, number: 0 }, out),
        Err(token) => {
            token.end(&token.block(), Err(Error::Closed("event loop")));
            out.settle(token, How::Cancelled);
        }
    }
}

fn settle(right: Right, how: How, out: &mut Out) {
    match right.win() {
        Some(token) => out.settle(token, how),
        None => {
            if let How::Done(value) = how {
                value.drop_caught();
            }
        }
    }
}

/// Attempts until one succeeds, or there are no more, or the next one is to wait.
fn run(mut attempt: Attempt, out: &mut Out) {
    loop {
        if attempt.right.is_over() {
            return settle(attempt.right, How::Cancelled, out);
        }
        let (block, node) = (attempt.right.block(), attempt.right.node());
        let (number, retries) = (attempt.number, block.graph.options(node).retries);
        match &block.graph.0.ready[node as usize].function {
            Function::Cpu(function) => {
                let args = args(&mut attempt.args, number, retries);
                let mut call = Call { args: Args::Owned(&block, node, args), attempt: number };
                let answer = work::answer_of(|| function(&mut call));
                drop(call);
                match again_here(attempt, answer) {
                    Next::Now(next) => attempt = next,
                    Next::Later => return,
                    Next::Ended(right, answer) => return settle(right, answer.into(), out),
                }
            }
            Function::Callback(function) => {
                let given = args(&mut attempt.args, number, retries);
                let Attempt { right, args, number } = attempt;
                let mut call = Call { args: Args::Owned(&block, node, given), attempt: number };
                let completer = Completer { right: Some(right), attempt: number, args };
                // A panic drops the completer, if that has not ended the node yet.
                if let Err(failure) = work::caught_call(|| function(&mut call, completer)) {
                    tracing::error!(target: "coop", "node {:?}: {:?}", call.name(), failure);
                }
                return;
            }
            Function::Io(_) | Function::Input => unreachable!("neither a CPU node nor a callback"),
        }
    }
}

enum Next {
    Now(Attempt),
    Later,
    Ended(Right, Answer),
}

fn again_here(mut attempt: Attempt, answer: Answer) -> Next {
    let head = attempt.right.head();
    let options = head.graph.options(attempt.right.node());
    let failed = matches!(&answer, Err(failure) if !failure.is_skip());
    if !failed || attempt.number >= options.retries || attempt.right.is_over() {
        return Next::Ended(attempt.right, answer);
    }
    let pause = pause(options.backoff, attempt.number + 1);
    attempt.number += 1;
    let event_loop = attempt.right.head().event_loop.clone();
    match event_loop.filter(|_| !pause.is_zero()) {
        None => Next::Now(attempt),
        Some(event_loop) => {
            let mut waiting = Waiting(Some(attempt));
            let options = TimerOptions { after: pause, on: On::Loop, unref: true, ..TimerOptions::default() };
            // Refused, it is dropped, and that ends it.
            let _ = event_loop.timer(options, move |_| {
                let waiting = &mut waiting;
                if let Some(attempt) = waiting.0.take() {
                    resume(attempt);
                }
            });
            Next::Later
        }
    }
}

/// Tries a node again that has failed outside of the pool, if it may.
pub(super) fn again(attempt: Attempt, answer: Answer) -> Result<(), (Attempt, Answer)> {
    match again_here(attempt, answer) {
        Next::Later => Ok(()),
        Next::Now(attempt) => {
            resume(attempt);
            Ok(())
        }
        Next::Ended(right, answer) => Err((Attempt { right, args: Vec::new(), number: 0 }, answer)),
    }
}

/// An attempt that waits, in a queue or for its time.
struct Waiting(Option<Attempt>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(attempt) = self.0.take() else { return };
        if attempt.right.head().born.is_forked() {
            return std::mem::forget(attempt);
        }
        let on_loop =
            !matches!(attempt.right.head().graph.0.ready[attempt.right.node() as usize].function, Function::Cpu(_));
        if let Some(token) = attempt.right.win() {
            work::closed(token, Error::Closed(if on_loop { "event loop" } else { "pool" }));
        }
    }
}

/// Queues an attempt where it runs.
fn resume(attempt: Attempt) {
    let block = attempt.right.block();
    let node = &block.graph.0.ready[attempt.right.node() as usize];
    let make = |mut waiting: Waiting| {
        Job::new(move || {
            let waiting = &mut waiting;
            if let Some(attempt) = waiting.0.take() {
                let _inside = Inside::of(attempt.right.block().address());
                let mut out = Out::new();
                run(attempt, &mut out);
                out.push(None);
            }
        })
    };
    let waiting = Waiting(Some(attempt));
    // What is refused is dropped, and that ends it.
    match (&node.function, &block.event_loop) {
        (Function::Cpu(_), _) => drop(block.pool.resume_made(block.target(node.class), waiting, make)),
        (_, Some(event_loop)) => drop(event_loop.post_made(waiting, make)),
        (_, None) => {}
    }
}
