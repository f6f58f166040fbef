//! A pipeline of remote calls: `viewer`, then `follow` and what it fans out to, a hundred calls at once; what they bring is scored, filtered and sorted. A hundred
//! requests run at once, and all their calls wait on one thread.
//!
//! `cargo run -p coop-core --example dag_pipeline` prints what it took; `-- --dot` the graph of one request with its times, for Graphviz;
//! `-- --chrome` its trace for `chrome://tracing`.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::{Duration, Instant};

use coop_core::{
    Priority, Result, Runtime, RuntimeOptions,
    dag::{Builder, Engine, Failure, Graph, Inputs, NodeOptions, Outcome, Run, RunOptions},
    event_loop::Handle,
    runtime::StartMode,
    task::sleep,
};

/// How many the viewer follows, each of which is asked for its posts.
pub const FOLLOWED: usize = 100;
/// How many requests there are at once.
pub const REQUESTS: u64 = 100;
/// What a call takes.
const CALL: Duration = Duration::from_millis(1);

/// A post, and how much the viewer will like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Who wrote it.
    pub author: u64,
    /// The higher, the sooner it is shown.
    pub score: u64,
}

/// A call of another machine: it takes its time, and no thread waits for it.
async fn call<T>(event_loop: Handle, answer: T) -> Result<T, Failure> {
    sleep(&event_loop, CALL).await?;
    Ok(answer)
}

/// The graph of a request. So many followed users make so many calls.
pub fn pipeline(event_loop: &Handle, followed: usize) -> Result<Graph> {
    let mut dag = Builder::with_capacity(followed + 8)?;
    let options = || NodeOptions { retries: 2, timeout: Some(Duration::from_secs(30)), ..NodeOptions::default() };
    let on = || event_loop.clone();
    let user = dag.input::<u64>("user")?;

    let event_loop = on();
    let viewer = dag.io("viewer", options(), user, move |user| call(event_loop.clone(), *user))?;
    let event_loop = on();
    let follow = dag.io("follow", options(), viewer, move |viewer| {
        let first = *viewer * 1000;
        call(event_loop.clone(), (first..first + followed as u64).collect::<Vec<u64>>())
    })?;
    let mut posts = Vec::with_capacity(followed);
    for which in 0..followed {
        let event_loop = on();
        posts.push(dag.io(&format!("posts/{which}"), options(), follow, move |follow| {
            let author = follow[which];
            call(event_loop.clone(), Post { author, score: 0 })
        })?);
    }
    // What is computed runs in the pool, and what has to be quick there before what has not.
    let urgent = || NodeOptions { priority: Priority::High, ..NodeOptions::default() };
    let vm = dag.cpu("vm", NodeOptions::default(), posts, |posts| {
        let score = |post: &Post| Post { author: post.author, score: post.author * 7919 % 1009 };
        Ok(posts.iter().map(|post| score(post)).collect::<Vec<Post>>())
    })?;
    let filter = dag.cpu("filter", urgent(), vm, |posts| {
        let mut posts = posts.take();
        posts.retain(|post| post.score % 2 == 0);
        Ok(posts)
    })?;
    let sort = dag.cpu("sort", urgent(), filter, |posts| {
        let mut posts = posts.take();
        posts.sort_by_key(|post| std::cmp::Reverse(post.score));
        Ok(posts)
    })?;
    dag.cpu("result", urgent(), (user, sort), |(user, posts)| Ok((*user, posts.take())))?;
    dag.build()
}

/// What the request of this user is answered.
pub fn answer(outcome: &Outcome) -> Result<(u64, Vec<Post>)> {
    outcome.result()?;
    outcome.take("result")
}

fn start(graph: &Graph, engine: &Engine, user: u64, trace: bool) -> Result<Run> {
    let options = RunOptions { timeout: Some(Duration::from_secs(60)), trace, ..RunOptions::default() };
    Ok(graph.run(engine, Inputs::new().with("user", user), &options)?)
}

/// All requests at once; what each is answered.
pub fn serve(graph: &Graph, engine: &Engine, requests: u64) -> Result<Vec<(u64, Vec<Post>)>> {
    let runs: Vec<Run> = (0..requests).map(|user| start(graph, engine, user, false)).collect::<Result<_>>()?;
    runs.into_iter().map(|run| answer(&run.join(None)?)).collect()
}

fn main() -> Result<()> {
    let runtime = Runtime::new(RuntimeOptions::default())?;
    runtime.start(StartMode::Return)?;
    let engine = Engine::from(&runtime);
    let argument = std::env::args().nth(1);
    if let Some(picture) = &argument {
        let graph = pipeline(&runtime.event_loop().handle(), 6)?;
        let outcome = start(&graph, &engine, 1, true)?.join(None)?;
        if let Some(trace) = outcome.trace() {
            println!("{}", if picture == "--chrome" { trace.chrome_json() } else { trace.dot() });
        }
        return Ok(());
    }
    let graph = pipeline(&runtime.event_loop().handle(), FOLLOWED)?;
    let begun = Instant::now();
    let answers = serve(&graph, &engine, REQUESTS)?;
    let shown: usize = answers.iter().map(|(_, posts)| posts.len()).sum();
    let calls = REQUESTS * (FOLLOWED as u64 + 2);
    println!("{REQUESTS} requests, {calls} calls of {CALL:?}, {shown} posts shown, in {:?}", begun.elapsed());
    Ok(())
}
