//! A worker that is gone at each point of a call's life. The workers are of this process: the test leads them by the step, and says when they end.

use std::{
    fs::File,
    os::fd::AsFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use super::{
    table::{State, change},
    *,
};
use crate::{
    error::Result,
    supervisor::{Because, Ended, Executor, Reporter, Running, Service, Start, Stopped, executor::process::Descriptor},
};

const LONG: Duration = Duration::from_secs(60);

/// A run, as the test leads it.
struct Puppet {
    worker: Worker,
    life: Strings,
}

#[derive(Clone)]
struct Strings {
    reporter: Reporter,
    ended: Arc<AtomicBool>,
}

impl Strings {
    fn end(&self, how: Ended) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            self.reporter.ended(how);
        }
    }

    fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

impl std::fmt::Debug for Strings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Strings")
    }
}

impl Running for Strings {
    fn ask(&mut self) {
        self.end(Ended::Returned);
    }

    fn kill(&mut self, _: Because) -> Stopped {
        self.end(KILLED);
        Stopped::Ends
    }
}

const KILLED: Ended = Ended::Signaled { signal: 9, core_dumped: false };

struct Puppets {
    descriptors: Vec<(i32, Descriptor)>,
    born: mpsc::Sender<Puppet>,
}

impl std::fmt::Debug for Puppets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Puppets")
    }
}

impl Executor for Puppets {
    fn name(&self) -> &'static str {
        "puppet"
    }

    fn check(&self, _: &Service) -> Result<()> {
        Ok(())
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let [manifest, memory, socket] = [0, 1, 2].map(|index| {
            let descriptor: &Descriptor = &self.descriptors[index].1;
            descriptor.as_fd().try_clone_to_owned().unwrap()
        });
        let (manifest, args) = manifest::Manifest::read(&File::from(manifest))?;
        let memory = layout::Memory::attach(memory, manifest.layout)?;
        let worker = Worker::new(&manifest, args, memory, socket)?;
        let life = Strings { reporter: start.reporter, ended: Arc::default() };
        self.born.send(Puppet { worker, life: life.clone() }).unwrap();
        Ok(Box::new(life))
    }
}

/// A pool of puppets.
struct Stage {
    pool: ProcessPool<u64>,
    told: mpsc::Receiver<Completion<u64>>,
    born: mpsc::Receiver<Puppet>,
}

fn stage(options: Options) -> Stage {
    let (give_birth, born) = mpsc::channel();
    let give_birth = Mutex::new(give_birth);
    let make: MakeExecutor = Arc::new(move |equipment: &Equipment| {
        let born = give_birth.lock().unwrap().clone();
        Ok(Arc::new(Puppets { descriptors: equipment.descriptors.clone(), born }) as Arc<dyn Executor>)
    });
    let (tell, told) = mpsc::channel();
    let options = Options { executor: Some(make), ..options };
    let pool = ProcessPool::new(options, move |batch: Vec<Completion<u64>>| {
        batch.into_iter().for_each(|completion| tell.send(completion).unwrap());
    });
    Stage { pool: pool.unwrap(), told, born }
}

fn one() -> Options {
    Options { workers: 1, ..Options::default() }
}

impl Stage {
    fn submit(&self, number: u64, bytes: &[u8]) -> CallId {
        self.pool.submit(number, &[bytes], &CallOptions::default()).unwrap()
    }

    fn next(&self) -> Puppet {
        self.born.recv_timeout(LONG).unwrap()
    }

    fn outcome(&self, number: u64) -> Outcome {
        let completion = self.told.recv_timeout(LONG).unwrap();
        assert_eq!(completion.context, number);
        completion.outcome
    }

    fn died(&self, number: u64) {
        match self.outcome(number) {
            Outcome::Died(death) => assert_eq!(death.how, KILLED),
            other => panic!("{other:?}"),
        }
    }

    fn done(&self, number: u64, bytes: &[u8]) {
        match self.outcome(number) {
            Outcome::Done { status: 0, result } => assert!(result.part(0).to_vec() == bytes),
            other => panic!("{other:?}"),
        }
    }

    /// Serves the next call, as a worker does that nothing happens to.
    fn serve(&self, puppet: &mut Puppet, bytes: &[u8]) {
        let (ticket, payload) = puppet.worker.take().unwrap().unwrap();
        assert!(payload.part(0).to_vec() == bytes);
        drop(payload);
        puppet.worker.done(&ticket, 0, &[bytes]).unwrap();
    }

    fn end(self) {
        self.pool.shutdown(Shutdown::Kill).unwrap();
        self.pool.join(Some(LONG)).unwrap();
        assert!(self.told.recv().is_err(), "nothing else was told");
    }
}

/// Has a worker get as far as `until` with the first of two calls, and ends it there. Its successor has the rest.
fn killed(until: impl FnOnce(&mut Worker), is_told: impl FnOnce(&Stage), first_again: bool) {
    let stage = stage(one());
    let long = vec![5; 100_000];
    stage.submit(1, &long);
    stage.submit(2, b"second");
    let mut puppet = stage.next();
    until(&mut puppet.worker);
    puppet.life.end(KILLED);
    let mut successor = stage.next();
    is_told(&stage);
    if first_again {
        std::thread::scope(|scope| {
            scope.spawn(|| stage_serve(&mut successor, &long));
            stage.done(1, &long);
        });
    }
    stage.serve(&mut successor, b"second");
    stage.done(2, b"second");
    let stats = stage.pool.stats().unwrap();
    assert_eq!((stats.queued, stats.running, stats.block_bytes), (0, 0, 0), "{stats:?}");
    stage.end();
}

fn stage_serve(puppet: &mut Puppet, bytes: &[u8]) {
    let (ticket, payload) = puppet.worker.take().unwrap().unwrap();
    assert!(payload.part(0).to_vec() == bytes);
    drop(payload);
    puppet.worker.done(&ticket, 0, &[bytes]).unwrap();
}

fn died(stage: &Stage) {
    stage.died(1);
}

fn nothing(_: &Stage) {}

#[test]
fn before_it_is_ready() {
    killed(|_| {}, nothing, true);
}

#[test]
fn with_a_wake_up_taken_along() {
    killed(
        |worker| {
            // As if it slept, and were woken by the calls.
            worker.idle.set(0);
            worker.idle.clear(0);
        },
        nothing,
        true,
    );
}

#[test]
fn when_it_has_claimed_and_moved_nothing_else() {
    killed(
        |worker| {
            let word = worker.slots.word(slot_of(worker)).unwrap();
            assert!(change(word, 1, State::Queued, State::Claimed(worker.by)));
        },
        died,
        false,
    );
}

/// The slot of the first call.
fn slot_of(worker: &Worker) -> u32 {
    let is_queued = |slot: &u32| worker.slots.word(*slot).unwrap().load(Ordering::Acquire) == State::Queued.word(1);
    (0..1024).find(is_queued).unwrap()
}

#[test]
fn when_it_has_claimed() {
    killed(|worker| assert!(worker.claim().unwrap().is_some()), died, false);
}

#[test]
fn when_it_has_asked_for_a_block() {
    killed(
        |worker| {
            let entry = worker.claim().unwrap().unwrap();
            let words = worker.slots.slot(entry.slot).unwrap();
            let block = words[3].load(Ordering::Relaxed);
            worker.tell(record::tag::NEED, &[&block.to_ne_bytes()]).unwrap();
        },
        died,
        false,
    );
}

#[test]
fn when_it_runs_the_call() {
    killed(|worker| std::mem::forget(worker.take().unwrap().unwrap()), died, false);
}

#[test]
fn when_it_has_lent_a_block_for_the_result() {
    killed(
        |worker| {
            drop(worker.take().unwrap().unwrap());
            let lent = worker.lender.lend(100_000).unwrap().unwrap();
            worker.show(lent.block, lent.store.as_fd()).unwrap();
        },
        died,
        false,
    );
}

#[test]
fn when_it_has_finished_and_not_said_what() {
    killed(
        |worker| {
            let (ticket, _payload) = worker.take().unwrap().unwrap();
            worker.finish(ticket.entry).unwrap();
        },
        died,
        false,
    );
}

#[test]
fn when_it_has_said_what_and_rung_nobody() {
    killed(
        |worker| {
            let (ticket, payload) = worker.take().unwrap().unwrap();
            let bytes = payload.part(0).to_vec();
            let record = parts::encode(&[&[&bytes[..10]]], 32);
            worker.finish(ticket.entry).unwrap();
            let call =
                record::bytes([record::halves(ticket.entry.slot, ticket.entry.generation), record::halves(0, 1)]);
            worker.sender.try_send_parts(record::tag::HERE, &[&call, &record]).unwrap();
        },
        |stage| stage.done(1, &[5; 10]),
        false,
    );
}

#[test]
fn when_it_has_answered() {
    killed(
        |worker| {
            let (ticket, payload) = worker.take().unwrap().unwrap();
            let bytes = payload.part(0).to_vec();
            drop(payload);
            worker.done(&ticket, 0, &[&bytes]).unwrap();
        },
        |stage| stage.done(1, &[5; 100_000]),
        false,
    );
}

#[test]
fn a_call_that_is_finished_is_not_ended_any_more_nor_its_successor() {
    let stage = stage(one());
    let first = stage.submit(1, b"first");
    let second = stage.submit(2, b"second");
    let mut puppet = stage.next();
    let (ticket, _) = puppet.worker.take().unwrap().unwrap();
    assert!(stage.pool.is_running(first).unwrap() && !stage.pool.is_running(second).unwrap());
    puppet.worker.finish(ticket.entry).unwrap();
    assert!(!stage.pool.kill(first).unwrap(), "it is about to be over");
    let call = record::bytes([record::halves(ticket.entry.slot, ticket.entry.generation), record::halves(0, 1)]);
    let record = parts::encode(&[&[b"first"]], 32);
    puppet.worker.tell(record::tag::HERE, &[&call, &record]).unwrap();
    stage.done(1, b"first");
    stage.serve(&mut puppet, b"second");
    stage.done(2, b"second");
    assert!(!puppet.life.is_over());
    stage.end();
}

#[test]
fn a_call_that_is_doomed_ends_with_its_worker_and_by_its_own_name() {
    let stage = stage(one());
    let how = CallOptions { deadline: Some(Duration::from_millis(20)), ..CallOptions::default() };
    stage.pool.submit(1, &[b"first"], &how).unwrap();
    let mut puppet = stage.next();
    let Some((ticket, _)) = take_soon(&mut puppet) else {
        // It was too late for it.
        assert!(matches!(stage.outcome(1), Outcome::TimedOut { ran: false }));
        return stage.end();
    };
    assert!(matches!(stage.outcome(1), Outcome::TimedOut { ran: true }));
    assert!(puppet.life.is_over());
    let mut successor = stage.next();
    let call = stage.submit(2, b"second");
    let _second = successor.worker.take().unwrap().unwrap();
    assert!(stage.pool.kill(call).unwrap());
    assert!(matches!(stage.outcome(2), Outcome::Killed));
    assert!(successor.life.is_over());
    // What the first one says is heard no more.
    assert!(puppet.worker.slots.word(ticket.entry.slot).is_some());
    stage.end();
}

fn take_soon(puppet: &mut Puppet) -> Option<(Ticket, Payload)> {
    let until = Instant::now() + LONG;
    loop {
        if let Some(entry) = puppet.worker.claim().unwrap() {
            let payload = puppet.worker.read(entry).unwrap();
            return Some((Ticket { entry }, payload));
        }
        if puppet.worker.queues.iter().all(|queue| queue.queue().is_empty()) || Instant::now() > until {
            return None;
        }
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_left() {
    let stage = stage(one());
    stage.submit(1, b"first");
    let mut puppet = stage.next();
    let (ticket, _) = puppet.worker.take().unwrap().unwrap();
    for entry in [
        table::Entry { slot: ticket.entry.slot, generation: 7 },
        table::Entry { slot: 3, ..ticket.entry },
        table::Entry { slot: u32::MAX, ..ticket.entry },
    ] {
        let call = record::bytes([record::halves(entry.slot, entry.generation), record::halves(0, 0)]);
        puppet.worker.tell(record::tag::HERE, &[&call]).unwrap();
    }
    puppet.worker.done(&ticket, 0, &[b"right"]).unwrap();
    stage.done(1, b"right");
    // A record that no worker sends ends it; the pool goes on.
    stage.submit(2, b"second");
    puppet.worker.tell(77, &[]).unwrap();
    let mut successor = stage.next();
    assert!(puppet.life.is_over());
    stage.serve(&mut successor, b"second");
    stage.done(2, b"second");
    stage.end();
}

#[test]
fn a_result_that_cannot_be_read_fails_its_call_alone() {
    let stage = stage(one());
    let mut puppet = None;
    for (number, place) in [(1, [0, 1, 100]), (2, [1 << 40, 1, 100]), (3, [63, 1, u64::MAX])] {
        stage.submit(number, b"call");
        let puppet = puppet.get_or_insert_with(|| stage.next());
        let (ticket, _) = puppet.worker.take().unwrap().unwrap();
        puppet.worker.finish(ticket.entry).unwrap();
        let call = record::bytes([record::halves(ticket.entry.slot, ticket.entry.generation), record::halves(0, 1)]);
        puppet.worker.tell(record::tag::IN_BLOCK, &[&call, &record::bytes(place)]).unwrap();
        assert!(matches!(stage.outcome(number), Outcome::Lost(_)));
    }
    stage.end();
}

#[test]
fn a_table_that_is_full_of_the_dead_is_made_short() {
    let stage = stage(Options { slots: 16, ..one() });
    // The first one is alive at the head, and many behind it are not.
    stage.submit(1, b"first");
    for round in 0..1000 {
        let call = stage.submit(round, b"cancelled");
        assert_eq!(stage.pool.cancel(call).unwrap(), Some(round));
    }
    stage.submit(2, b"second");
    let mut puppet = stage.next();
    stage.serve(&mut puppet, b"first");
    stage.done(1, b"first");
    stage.serve(&mut puppet, b"second");
    stage.done(2, b"second");
    stage.end();
}
