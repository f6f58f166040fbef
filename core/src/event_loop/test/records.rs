//! A registered descriptor whose end was none, and those who wait again as soon as they are woken.

use std::{
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    task::{Context, Wake, Waker},
};

use super::*;
use crate::event_loop::{Direction, Io, readiness::Record};

/// A FIFO without a writer is at its end, and goes on with the next writer. Until that writes, a wait is a wait.
#[test]
fn a_fifo_whose_writer_comes_back_is_waited_for() {
    let path = std::env::temp_dir().join(format!("coop-fifo-{}", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let open_writer = || std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let event_loop = new_loop();
    let first = open_writer();
    let io = Io::new(&event_loop, reader).unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    let read = || io.attempt(Direction::Read, |mut fifo| fifo.read(&mut [0; 8]));
    assert_eq!(read().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(first);
    event_loop.run(RunMode::NoWait).unwrap();
    assert_eq!(read().unwrap(), 0);
    let mut second = open_writer();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(io.poll_ready(Direction::Read, cx).is_pending(), "it has not ended");
    second.write_all(b"again").unwrap();
    event_loop.run(RunMode::Once).unwrap();
    assert!(io.poll_ready(Direction::Read, cx).is_ready());
    assert_eq!(read().unwrap(), 5);
}

/// Finds nothing when it is woken, and waits again at once.
struct Again(Arc<Record>, AtomicUsize);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        if self.1.fetch_add(1, Ordering::SeqCst) < 100 {
            wait(&self);
        }
    }
}

fn wait(again: &Arc<Again>) {
    let record = &again.0;
    record.clear_all(Direction::Read, record.seen());
    let waker = Waker::from(again.clone());
    assert!(record.poll(Direction::Read, Some(&mut 0), &mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn those_who_wait_again_at_once_are_woken_once_for_each_change() {
    let record = Arc::new(Record::new(Arc::default()));
    let all: Vec<_> = (0..20).map(|_| Arc::new(Again(record.clone(), AtomicUsize::new(0)))).collect();
    all.iter().for_each(wait);
    for change in 1..=2 {
        record.tell_ready(Direction::Read);
        let times: Vec<_> = all.iter().map(|again| again.1.load(Ordering::SeqCst)).collect();
        assert_eq!(times, [change; 20]);
    }
    record.forget_all();
}
