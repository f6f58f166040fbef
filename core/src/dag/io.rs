//! Nodes that wait, on the loop's thread: futures, and functions that somebody else completes.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    attempt,
    block::Token,
    builder::{Answer, AnswerFuture, Function},
    call::{Args, Call},
    run::Head,
    value::Value,
    work::{self, How, Inside, Out},
};
use crate::{
    error::Error,
    event_loop::{self, Sleep, sleep},
    job::{Job, caught},
};

/// Starts a node on the loop, from any thread.
pub(super) fn start(event_loop: &event_loop::Handle, token: Token<Head>) {
    let waiting = Waits { token: Some(token), key: None };
    // What is refused is dropped, and that ends it.
    match &waiting.node().function {
        Function::Callback(_) => drop(event_loop.post_made(waiting, |mut waiting| {
            Job::new(move || {
                let waiting = &mut waiting;
                if let Some(token) = waiting.token.take() {
                    let _inside = Inside::new(&token);
                    let mut out = Out::new();
                    attempt::begin(token, &mut out);
                    out.push(None);
                }
            })
        })),
        _ => drop(event_loop.spawn(Drive { waiting, begun: None })),
    }
}

/// The right to settle a node of the loop; dropped there, the node is settled all the same.
struct Waits {
    token: Option<Token<Head>>,
    /// Of the waker that the run keeps for it.
    key: Option<usize>,
}

impl Waits {
    fn node(&self) -> &super::graph::Ready {
        let token = self.token.as_ref().unwrap_or_else(|| unreachable!("it has not begun"));
        &token.graph.0.ready[token.node() as usize]
    }

    fn settle(&mut self, how: How) {
        let Some(token) = self.token.take() else { return };
        if let Some(key) = self.key.take() {
            token.drop_waker(key);
        }
        let mut out = Out::new();
        out.settle(token, how);
        out.push(None);
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            if token.born.is_forked() {
                return;
            }
            work::closed(token, Error::Closed("event loop"));
        }
    }
}

/// What an I/O node is once its function was called.
struct Begun {
    future: Option<AnswerFuture>,
    /// Before the next attempt.
    pause: Option<Sleep>,
    deadline: Option<Sleep>,
    args: Vec<Value>,
    number: u32,
}

/// An I/O node as a coroutine of the loop.
struct Drive {
    // Dropped before the node is settled: what it holds is gone then.
    begun: Option<Begun>,
    waiting: Waits,
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.drop_future();
    }
}

impl Drive {
    fn drop_future(&mut self) {
        if let Some(begun) = self.begun.take() {
            caught("dag", || drop(begun));
        }
    }

    fn end(&mut self, how: How) -> Poll<()> {
        self.drop_future();
        self.waiting.settle(how);
        Poll::Ready(())
    }

    /// The first poll.
    fn begin(&mut self, cx: &Context<'_>) -> bool {
        let Some(token) = self.waiting.token.take() else { return false };
        let mut out = Out::new();
        let Some(token) = attempt::admit(token, &mut out) else {
            out.push(None);
            return false;
        };
        work::begin(&token);
        let plain = token.graph.0.ready[token.node() as usize].plain;
        let timeout = token.graph.options(token.node()).timeout;
        let deadline = timeout.and_then(|timeout| token.event_loop.as_ref().map(|on| sleep(on, timeout)));
        let args = if plain { Vec::new() } else { attempt::collect(&token) };
        self.begun = Some(Begun { future: None, pause: None, deadline, args, number: 0 });
        self.waiting.key = Some(token.keep_waker(cx.waker().clone()));
        self.waiting.token = Some(token);
        true
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let (Some(begun), Some(token)) = (&mut self.begun, &self.waiting.token) else { return Poll::Pending };
        let node = &token.graph.0.ready[token.node() as usize];
        let options = token.graph.options(token.node());
        let Function::Io(function) = &node.function else { unreachable!("only I/O nodes are polled") };
        if let (Some(deadline), Some(timeout)) = (&mut begun.deadline, options.timeout)
            && let Poll::Ready(slept) = Pin::new(deadline).poll(cx)
        {
            return Poll::Ready(Err(slept.map_or_else(Into::into, |()| attempt::late(timeout))));
        }
        loop {
            if let Some(pause) = &mut begun.pause {
                match Pin::new(pause).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Ready(Ok(())) => begun.pause = None,
                }
            }
            if begun.future.is_none() {
                let (block, number) = (token.block(), begun.number);
                let args = if node.plain {
                    Args::Slots(token)
                } else {
                    Args::Owned(&block, token.node(), attempt::args(&mut begun.args, number, options.retries))
                };
                let mut call = Call { args, attempt: number };
                match work::caught_call(|| function(&mut call)) {
                    Ok(future) => begun.future = Some(future),
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
            let Some(future) = &mut begun.future else { return Poll::Pending };
            let answer = match work::caught_call(|| future.as_mut().poll(cx)) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(answer)) => answer,
                Err(failure) => Err(failure),
            };
            let ended = begun.future.take();
            caught("dag", || drop(ended));
            let failed = matches!(&answer, Err(failure) if !failure.is_skip());
            if !failed || begun.number >= options.retries || token.is_over() {
                return Poll::Ready(answer);
            }
            begun.number += 1;
            let pause = attempt::pause(options.backoff, begun.number);
            begun.pause = token.event_loop.as_ref().filter(|_| !pause.is_zero()).map(|on| sleep(on, pause));
        }
    }
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.begun.is_none() && !this.begin(cx) {
            return Poll::Ready(());
        }
        let Some(token) = &this.waiting.token else { return Poll::Ready(()) };
        if token.is_over() {
            return this.end(How::Cancelled);
        }
        let inside = Inside::new(token);
        let polled = this.step(cx);
        drop(inside);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(answer) => this.end(answer.into()),
        }
    }
}
