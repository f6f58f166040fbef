//! What becomes of a watch whose fd fails, hangs up, is closed under it, or is to be looked at in other directions.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use super::*;

const READ: WatchOptions = WatchOptions::new(Interest::READ);

fn turns(event_loop: &EventLoop, count: usize) {
    (0..count).for_each(|_| event_loop.run(RunMode::NoWait).unwrap());
}

/// Watches, and sends what it is told.
fn tell(event_loop: &Handle, fd: RawFd, options: &WatchOptions) -> (WatchId, mpsc::Receiver<Readiness>) {
    let (sender, told) = mpsc::channel();
    (event_loop.watch(fd, options.clone(), move |ready| sender.send(ready).unwrap()).unwrap(), told)
}

/// Two ends, as descriptors that may be replaced.
fn pair() -> (OwnedFd, UnixStream) {
    let (reader, writer) = UnixStream::pair().unwrap();
    (reader.into(), writer)
}

#[test]
fn errors_and_hang_ups_are_told_in_each_mode_unasked() {
    for (edge, calls) in [(false, 3), (true, 1)] {
        let event_loop = new_loop();
        // A pipe that nobody reads any more is an error to its writer, which looks for neither here.
        let (reader, writer) = std::io::pipe().unwrap();
        let (id, told) = tell(&event_loop, writer.as_raw_fd(), &WatchOptions { edge, ..READ });
        turns(&event_loop, 3);
        assert_eq!(told.try_iter().count(), 0);
        drop(reader);
        turns(&event_loop, 3);
        let all: Vec<_> = told.try_iter().collect();
        assert!(all.len() == calls && all.iter().all(|ready| ready.error && !ready.readable), "{edge}: {all:?}");
        event_loop.cancel_watch(id).unwrap();

        // One side has only stopped writing; then it is gone.
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (id, told) = tell(&event_loop, ours.as_raw_fd(), &WatchOptions { edge, ..READ });
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        turns(&event_loop, 3);
        let all: Vec<_> = told.try_iter().collect();
        assert!(
            all.len() == calls && all.iter().all(|ready| ready.hang_up && ready.readable && !ready.error),
            "{all:?}"
        );
        drop(theirs);
        turns(&event_loop, 3);
        let all: Vec<_> = told.try_iter().collect();
        assert!(all.len() == calls && all.iter().all(|ready| ready.hang_up), "{edge}: {all:?}");
        event_loop.cancel_watch(id).unwrap();

        // Reset: what was sent was not read.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        ours.write_all(b"unread").unwrap();
        let mut there = [0];
        while theirs.peek(&mut there).unwrap() == 0 {}
        let (_, told) = tell(&event_loop, ours.as_raw_fd(), &WatchOptions { edge, ..READ });
        drop(theirs);
        event_loop.run(RunMode::Once).unwrap();
        let ready = told.try_recv().unwrap();
        assert!(ready.hang_up && ready.error, "{edge}: {ready:?}");
    }
}

#[test]
fn a_number_that_is_another_files_belongs_to_its_new_watch() {
    for edge in [false, true] {
        let options = WatchOptions { edge, ..READ };
        let event_loop = new_loop();
        let (mut reader, mut first) = pair();
        let (stale, old) = tell(&event_loop, reader.as_raw_fd(), &options);
        let (second_reader, mut second) = pair();
        // Closes what the number was before.
        rustix::io::dup2(&second_reader, &mut reader).unwrap();
        let (id, new) = tell(&event_loop, reader.as_raw_fd(), &options);
        assert!(first.write_all(b"x").is_err(), "nobody has the other end");
        second.write_all(b"x").unwrap();
        turns(&event_loop, 2);
        assert_eq!((old.try_iter().count(), new.try_iter().count() > 0), (0, true));
        assert_eq!(event_loop.set_watch_interest(stale, Interest::BOTH).unwrap_err().os_errno(), Some(libc::EBADF));
        // Nor does the end of the old one touch the new one.
        event_loop.cancel_watch(stale).unwrap();
        second.write_all(b"x").unwrap();
        turns(&event_loop, 1);
        assert_eq!(new.try_iter().count(), 1);
        event_loop.cancel_watch(id).unwrap();
        assert!(event_loop.watch(reader.as_raw_fd(), options, |_| {}).is_ok());
    }
}

#[test]
fn a_duplicate_that_keeps_the_old_file_open_is_not_told_to_the_new_watch() {
    let event_loop = new_loop();
    let (mut reader, mut first) = pair();
    let kept = reader.try_clone().unwrap();
    let (stale, old) = tell(&event_loop, reader.as_raw_fd(), &READ);
    let (second_reader, mut second) = pair();
    rustix::io::dup2(&second_reader, &mut reader).unwrap();
    // Until the number is watched anew the system tells of the old file, by its watch.
    first.write_all(b"x").unwrap();
    turns(&event_loop, 1);
    assert_eq!(old.try_iter().count(), 1);
    let (id, new) = tell(&event_loop, reader.as_raw_fd(), &READ);
    first.write_all(b"x").unwrap();
    turns(&event_loop, 3);
    assert_eq!((old.try_iter().count(), new.try_iter().count()), (0, 0));
    second.write_all(b"x").unwrap();
    turns(&event_loop, 3);
    assert_eq!((old.try_iter().count(), new.try_iter().count()), (0, 3));
    event_loop.cancel_watch(stale).unwrap();
    turns(&event_loop, 1);
    assert_eq!(new.try_iter().count(), 1);
    // The same file by the same number is the same watch, whoever closed what in between.
    event_loop.cancel_watch(id).unwrap();
    let (_, told) = tell(&event_loop, kept.as_raw_fd(), &READ);
    let mut number = kept.try_clone().unwrap();
    rustix::io::dup2(kept.as_fd(), &mut number).unwrap();
    assert!(event_loop.watch(number.as_raw_fd(), READ, |_| {}).is_ok(), "by another number it is another watch");
    assert!(matches!(event_loop.watch(kept.as_raw_fd(), READ, |_| {}).unwrap_err().error, Error::Exists(_)));
    turns(&event_loop, 1);
    assert_eq!(told.try_iter().count(), 1);
}

#[test]
fn a_callback_that_closes_its_fd_and_watches_the_number_anew_takes_nothing_back() {
    let event_loop = new_loop();
    let (reader, mut first) = pair();
    let (second_reader, mut second) = pair();
    first.write_all(b"x").unwrap();
    second.write_all(b"x").unwrap();
    let (sender, new) = mpsc::channel();
    let (handle, fd) = (event_loop.handle(), reader.as_raw_fd());
    let (mut reader, mut calls) = (reader, 0);
    let stale = event_loop
        .watch(fd, READ, move |_| {
            calls += 1;
            assert_eq!(calls, 1, "told of another's file");
            rustix::io::dup2(&second_reader, &mut reader).unwrap();
            let sender = sender.clone();
            handle.watch(fd, READ, move |_| sender.send(()).unwrap()).unwrap();
        })
        .unwrap();
    turns(&event_loop, 4);
    assert_eq!(new.try_iter().count(), 3, "in each turn after that");
    event_loop.cancel_watch(stale).unwrap();
    drop(second);
}

#[test]
fn a_loop_does_not_wait_for_a_watch_whose_fd_was_closed() {
    let event_loop = new_loop();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    let (dropped, fd) = (counter(), reader.as_raw_fd());
    let (mut reader, owned) = (Some(reader), Counted(dropped.clone()));
    let id = event_loop
        .watch(fd, READ, move |_| {
            let _owned = &owned;
            drop(reader.take());
        })
        .unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "it is there until it is cancelled");
    event_loop.cancel_watch(id).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    event_loop.run(RunMode::UntilIdle).unwrap();
}

#[test]
fn a_watch_looks_in_other_directions_when_it_is_told_to() {
    for edge in [false, true] {
        let event_loop = new_loop();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (id, told) = tell(&event_loop, ours.as_raw_fd(), &WatchOptions { edge, ..READ });
        turns(&event_loop, 2);
        assert_eq!(told.try_iter().count(), 0);
        event_loop.set_watch_interest(id, Interest::WRITE).unwrap();
        turns(&event_loop, 1);
        let ready = told.try_recv().unwrap();
        assert!(ready.writable && !ready.readable, "{ready:?}");
        theirs.write_all(b"x").unwrap();
        event_loop.set_watch_interest(id, Interest::BOTH).unwrap();
        turns(&event_loop, 1);
        let ready = told.try_iter().last().unwrap();
        assert!(ready.writable && ready.readable, "what is ready in the new directions is told anew: {ready:?}");
        event_loop.set_watch_interest(id, Interest::READ).unwrap();
        turns(&event_loop, 1);
        let ready = told.try_iter().last().unwrap();
        assert!(ready.readable && !ready.writable, "{ready:?}");
        let none = Interest { readable: false, writable: false };
        assert!(matches!(event_loop.set_watch_interest(id, none), Err(Error::Invalid(_))));
        event_loop.cancel_watch(id).unwrap();
        assert_eq!(event_loop.set_watch_interest(id, Interest::READ), Err(Error::Stale("io_watch")));
    }
}

#[test]
fn a_callback_changes_the_directions_of_its_own_watch_also_in_a_pool() {
    for on in [On::Loop, On::Default] {
        let event_loop = loop_of(Arc::new(sources::Threads));
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (id_sender, id) = mpsc::channel();
        let (handle, mut calls) = (event_loop.handle(), 0);
        let options = WatchOptions { on, ..WatchOptions::new(Interest::WRITE) };
        let mut own = None;
        event_loop
            .watch(ours.as_raw_fd(), options, move |ready| {
                calls += 1;
                let own = *own.get_or_insert_with(|| id.recv().unwrap());
                match calls {
                    // From now on not told of room to write, which there always is.
                    1 => {
                        assert!(ready.writable && !ready.readable);
                        handle.set_watch_interest(own, Interest::READ).unwrap();
                        theirs.write_all(b"x").unwrap();
                    }
                    _ => {
                        assert!(ready.readable && !ready.writable, "{ready:?}");
                        handle.cancel_watch(own).unwrap();
                    }
                }
            })
            .map(|id| id_sender.send(id).unwrap())
            .unwrap();
        event_loop.run(RunMode::UntilIdle).unwrap();
    }
}
