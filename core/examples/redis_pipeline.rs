//! The pipeline of `dag_pipeline.rs` on a real redis: `viewer` (a GET), `follow` (an LRANGE), and a hundred HGETs at once, in one write; what they bring is scored,
//! filtered and sorted in the pool. A hundred requests run at once, and all their calls are in flight on one connection and one thread.
//!
//! `cargo run -p coop-core --example redis_pipeline [URL]`; without a URL it is `redis://localhost`. It writes keys that begin with `pipeline:`, and
//! deletes them.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::{Duration, Instant};

use coop_core::{
    Priority, Result, Runtime, RuntimeOptions,
    dag::{Builder, Engine, Failure, Graph, Inputs, Node, NodeOptions, Run, RunOptions},
    net::redis::{Client, Command, Options, Reply},
    runtime::StartMode,
};

/// How many the viewer follows.
pub const FOLLOWED: usize = 100;
/// How many requests there are at once.
pub const REQUESTS: u64 = 100;

/// A post, and how much the viewer will like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Who wrote it.
    pub author: u64,
    /// The higher, the sooner it is shown.
    pub score: u64,
}

fn number(bytes: Option<Vec<u8>>) -> Result<u64, Failure> {
    let text = bytes.map(String::from_utf8).ok_or_else(|| Failure::text("there is no such key"))?;
    text.ok().and_then(|text| text.parse().ok()).ok_or_else(|| Failure::text("no number"))
}

/// The graph of a request.
pub fn pipeline(redis: &Client) -> Result<Graph> {
    let mut dag = Builder::new();
    let options = || NodeOptions { timeout: Some(Duration::from_secs(60)), ..NodeOptions::default() };
    let user = dag.input::<u64>("user")?;

    let client = redis.clone();
    let viewer = dag.io("viewer", options(), user, move |user| {
        let (client, key) = (client.clone(), format!("pipeline:user:{}", *user));
        async move { number(client.get(key).await?) }
    })?;
    let client = redis.clone();
    let follow: Node<Vec<u64>> = dag.io("follow", options(), viewer, move |viewer| {
        let (client, key) = (client.clone(), format!("pipeline:follow:{}", *viewer));
        async move { client.lrange(key, 0, -1).await?.into_iter().map(|author| number(Some(author))).collect() }
    })?;
    let client = redis.clone();
    let posts = dag.io("posts", options(), follow, move |follow| {
        let (client, authors) = (client.clone(), follow.to_vec());
        async move {
            // All of them are made before the first is awaited.
            let calls: Vec<_> = authors
                .iter()
                .map(|author| client.command(&["HGET", &format!("pipeline:post:{author}"), "likes"]))
                .collect();
            let mut posts = Vec::with_capacity(calls.len());
            for (author, call) in authors.into_iter().zip(calls) {
                posts.push((author, number(call.await?.into_bytes()?)?));
            }
            Ok::<_, Failure>(posts)
        }
    })?;
    // What is computed runs in the pool, and what has to be quick there before what has not.
    let urgent = || NodeOptions { priority: Priority::High, ..NodeOptions::default() };
    let vm = dag.cpu("vm", NodeOptions::default(), posts, |posts| {
        let score = |(author, likes): (u64, u64)| Post { author, score: likes * 7919 % 1009 };
        Ok(posts.take().into_iter().map(score).collect::<Vec<Post>>())
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

/// What the requests ask for: each user follows a hundred of its own.
pub fn fill(redis: &Client, requests: u64) -> Result<()> {
    let mut commands = Vec::new();
    for user in 0..requests {
        commands.push(Command::new("SET").arg(format!("pipeline:user:{user}")).arg(user));
        let authors: Vec<_> = (0..FOLLOWED as u64).map(|nth| (user * 1000 + nth).to_string()).collect();
        commands.push(Command::new("RPUSH").arg(format!("pipeline:follow:{user}")).args(&authors));
        for author in authors {
            commands.push(Command::new("HSET").arg(format!("pipeline:post:{author}")).arg("likes").arg(author));
        }
    }
    all_are_well(redis.pipeline(&commands).wait(None)?)
}

/// Deletes what [`fill`] has written.
pub fn clear(redis: &Client, requests: u64) -> Result<()> {
    let keys = |user: u64| {
        let posts = (0..FOLLOWED as u64).map(move |nth| format!("pipeline:post:{}", user * 1000 + nth));
        posts.chain([format!("pipeline:user:{user}"), format!("pipeline:follow:{user}")]).collect::<Vec<_>>()
    };
    let commands: Vec<_> = (0..requests).map(|user| Command::new("DEL").args(keys(user))).collect();
    all_are_well(redis.pipeline(&commands).wait(None)?)
}

fn all_are_well(replies: Reply) -> Result<()> {
    replies.into_array()?.into_iter().try_for_each(|reply| reply.ok().map(drop))
}

/// All requests at once; what each is answered.
pub fn serve(graph: &Graph, engine: &Engine, requests: u64) -> Result<Vec<(u64, Vec<Post>)>> {
    let options = RunOptions { timeout: Some(Duration::from_secs(60)), ..RunOptions::default() };
    let runs: Vec<Run> = (0..requests)
        .map(|user| Ok(graph.run(engine, Inputs::new().with("user", user), &options)?))
        .collect::<Result<_>>()?;
    runs.into_iter()
        .map(|run| {
            let outcome = run.join(None)?;
            outcome.result()?;
            outcome.take("result")
        })
        .collect()
}

fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://localhost".into());
    let runtime = Runtime::new(RuntimeOptions::default())?;
    runtime.start(StartMode::Return)?;
    let redis = Client::new(&runtime.event_loop().handle(), Options::from_url(&url)?)?;
    fill(&redis, REQUESTS)?;
    let graph = pipeline(&redis)?;
    let (before, begun) = (redis.stats()?, Instant::now());
    let answers = serve(&graph, &Engine::from(&runtime), REQUESTS)?;
    let (took, after) = (begun.elapsed(), redis.stats()?);
    let shown: usize = answers.iter().map(|(_, posts)| posts.len()).sum();
    println!(
        "{REQUESTS} requests, {} calls in {} writes, {shown} posts shown, in {took:?}",
        after.calls - before.calls,
        after.writes - before.writes
    );
    clear(&redis, REQUESTS)
}
