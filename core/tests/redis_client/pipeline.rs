//! The example of a pipeline on redis, as a test.

#[allow(dead_code, unreachable_pub, reason = "its main, and what it shares with this file")]
#[path = "../../examples/redis_pipeline.rs"]
mod example;

use coop_core::{Runtime, RuntimeOptions, dag::Engine, runtime::StartMode};
use example::{FOLLOWED, REQUESTS};

use crate::server::{LONG, Server};

#[test]
fn a_hundred_requests_at_once_are_answered() {
    let server = Server::start();
    let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
    runtime.start(StartMode::Return).unwrap();
    let redis = server.client(&runtime.event_loop().handle());
    example::fill(&redis, REQUESTS).unwrap();
    let graph = example::pipeline(&redis).unwrap();
    let before = redis.stats().unwrap();
    let answers = example::serve(&graph, &Engine::from(&runtime), REQUESTS).unwrap();
    let after = redis.stats().unwrap();
    assert_eq!(after.calls - before.calls, REQUESTS * (FOLLOWED as u64 + 2));
    assert_eq!((after.connects, after.in_flight), (1, 0), "all of them on one connection");
    assert!(after.writes - before.writes < REQUESTS * FOLLOWED as u64 / 10, "calls of one turn are one write");
    assert_eq!(answers.len() as u64, REQUESTS);
    for (user, (asked, posts)) in answers.into_iter().enumerate() {
        assert_eq!(asked, user as u64);
        assert!(!posts.is_empty() && posts.len() < FOLLOWED);
        assert!(posts.is_sorted_by_key(|post| std::cmp::Reverse(post.score)));
        let own = asked * 1000..asked * 1000 + FOLLOWED as u64;
        assert!(posts.iter().all(|post| own.contains(&post.author) && post.score % 2 == 0));
    }
    example::clear(&redis, REQUESTS).unwrap();
    assert_eq!(redis.command(&["DBSIZE"]).wait(LONG).unwrap().into_int(), Ok(0));
}
