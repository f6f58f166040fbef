//! The example of a pipeline of calls, as a test.

#[allow(dead_code, unreachable_pub, reason = "its main, and what it shares with this file")]
#[path = "../examples/dag_pipeline.rs"]
mod pipeline;

use coop_core::{Runtime, RuntimeOptions, dag::Engine, runtime::StartMode};
use pipeline::{FOLLOWED, REQUESTS};

#[test]
fn a_hundred_requests_at_once_are_answered() {
    let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
    runtime.start(StartMode::Return).unwrap();
    let graph = pipeline::pipeline(&runtime.event_loop().handle(), FOLLOWED).unwrap();
    let answers = pipeline::serve(&graph, &Engine::from(&runtime), REQUESTS).unwrap();
    assert_eq!(answers.len() as u64, REQUESTS);
    for (user, (asked, posts)) in answers.into_iter().enumerate() {
        assert_eq!(asked, user as u64);
        assert!(!posts.is_empty() && posts.len() < FOLLOWED);
        assert!(posts.is_sorted_by_key(|post| std::cmp::Reverse(post.score)));
        let own = asked * 1000..asked * 1000 + FOLLOWED as u64;
        assert!(posts.iter().all(|post| own.contains(&post.author) && post.score % 2 == 0));
    }
}
