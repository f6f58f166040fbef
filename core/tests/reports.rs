//! What is reported to the program's log, once: its sink is one for the whole process, so this is a process of its own.

use std::sync::{Arc, Mutex};

use coop_core::{
    Error, Pool, PoolOptions, ShutdownMode, SubmitOptions,
    log::{self, Level},
    pool::Task,
};

#[test]
fn a_tasks_panic_is_the_answer_of_its_join_or_else_a_message() {
    let messages: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = messages.clone();
    log::set_sink(Some((Level::ERROR, Arc::new(move |_, text: &str| seen.lock().unwrap().push(text.to_owned())))))
        .unwrap();
    let pool = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
    let fail = |text: &'static str| -> Task<()> {
        pool.submit_task(&SubmitOptions::default(), move || panic!("{text}")).unwrap()
    };
    let joined = fail("joined");
    assert_eq!(joined.join(None), Err(Error::Panic("joined".to_owned())));
    drop(joined);
    drop(fail("dropped"));
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(*messages.lock().unwrap(), ["a callback of the pool panicked: dropped"]);
}
