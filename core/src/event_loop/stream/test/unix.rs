//! Unix sockets: descriptors, files of listeners, backlogs; and halves.

use std::{
    fs::File,
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

use super::*;

/// A directory of the test's own.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coop-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn descriptors_arrive_open_and_closed_on_exec_and_the_bytes_around_them_are_read() {
    let event_loop = started();
    let (one, other) = Stream::pair(&event_loop).unwrap();
    on(&event_loop, async move {
        let (kept, given) = UnixStream::pair().unwrap();
        let mut kept = kept;
        one.write_all(b"before").await.unwrap();
        assert_eq!(one.send_with_fds(b"with", &[given.as_fd(), one.as_fd()]).await, Ok(4));
        one.write_all(b"after").await.unwrap();
        drop(given);
        let mut buffer = [0; 64];
        assert_eq!(other.read(&mut buffer[..6]).await, Ok(6));
        let received = other.recv_with_fds(&mut buffer, 4).await.unwrap();
        assert_eq!((received.bytes, received.descriptors.len(), received.truncated), (4, 2, false));
        for descriptor in &received.descriptors {
            let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        kept.write_all(b"through").unwrap();
        let mut through = [0; 7];
        let given = received.descriptors.into_iter().next().unwrap();
        File::from(given).read_exact(&mut through).unwrap();
        assert_eq!(&through, b"through");
        let rest = other.recv_with_fds(&mut buffer, 4).await.unwrap();
        assert_eq!((rest.bytes, rest.descriptors.len()), (5, 0));
    });
}

#[test]
fn descriptors_that_do_not_fit_are_closed_and_told() {
    let event_loop = started();
    let (one, other) = Stream::pair(&event_loop).unwrap();
    on(&event_loop, async move {
        for most in 0..3 {
            let (mut kept, given) = UnixStream::pair().unwrap();
            one.send_with_fds(b"xyz", &[given.as_fd(), given.as_fd(), given.as_fd()]).await.unwrap();
            drop(given);
            let received = other.recv_with_fds(&mut [0; 8], most).await.unwrap();
            assert_eq!(
                (received.bytes, received.descriptors.len(), received.truncated),
                (3, 0, true),
                "at most {most}"
            );
            assert_eq!(kept.read(&mut [0; 8]).unwrap(), 0, "a descriptor leaked");
        }
        // A plain read drops them, and goes on behind them.
        let (mut kept, given) = UnixStream::pair().unwrap();
        one.send_with_fds(b"abc", &[given.as_fd()]).await.unwrap();
        one.write_all(b"def").await.unwrap();
        drop(given);
        let mut buffer = [0; 6];
        other.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"abcdef");
        assert_eq!(kept.read(&mut [0; 8]).unwrap(), 0, "a descriptor leaked");

        let refused = [
            one.try_send_with_fds(b"", &[one.as_fd()]).unwrap_err(),
            one.try_send_with_fds(b"x", &vec![one.as_fd(); MAX_DESCRIPTORS + 1]).unwrap_err(),
            one.try_recv_with_fds(&mut [0], MAX_DESCRIPTORS + 1).unwrap_err(),
            one.try_recv_with_fds(&mut [], 1).unwrap_err(),
        ];
        assert!(refused.iter().all(|error| matches!(error, Error::Invalid(_))), "{refused:?}");
        assert_eq!(one.try_send_with_fds(b"x", &vec![one.as_fd(); MAX_DESCRIPTORS]), Ok(1));
        let many = other.recv_with_fds(&mut [0; 8], MAX_DESCRIPTORS).await.unwrap();
        assert_eq!((many.bytes, many.descriptors.len(), many.truncated), (1, MAX_DESCRIPTORS, false));
        assert_eq!(one.try_recv_with_fds(&mut [0; 8], 1).unwrap_err(), Error::WouldBlock("stream"));
    });
    let (tcp, _plain) = with_plain(&event_loop);
    assert!(matches!(tcp.try_send_with_fds(b"x", &[tcp.as_fd()]), Err(Error::Invalid(_))));
}

#[test]
fn a_listeners_file_is_refused_replaced_and_removed_as_it_should() {
    let event_loop = started();
    let directory = Directory::new("listeners");
    let path = directory.0.join("socket");
    let (plain, replacing) = (ListenOptions::default(), ListenOptions { replace: true, ..ListenOptions::default() });
    let exists = |error: Error| match error {
        Error::Exists(text) => assert!(text.contains(path.to_str().unwrap()), "{text}"),
        other => panic!("{other:?}"),
    };
    // Somebody listens.
    let listener = event_loop.listen_unix(&path, &plain).unwrap();
    exists(event_loop.listen_unix(&path, &plain).unwrap_err());
    exists(event_loop.listen_unix(&path, &replacing).unwrap_err());
    drop(listener);
    assert!(!path.exists());
    // Nobody listens any more.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    exists(event_loop.listen_unix(&path, &plain).unwrap_err());
    let listener = event_loop.listen_unix(&path, &replacing).unwrap();
    // It is another's by now, and stays.
    std::fs::remove_file(&path).unwrap();
    let others = UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(path.exists());
    drop(others);
    std::fs::remove_file(&path).unwrap();
    // No socket at all.
    std::fs::write(&path, "precious").unwrap();
    exists(event_loop.listen_unix(&path, &replacing).unwrap_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    // No path at all.
    for nonsense in ["".to_owned(), "x".repeat(200), "a\0b".to_owned()] {
        assert!(matches!(event_loop.listen_unix(&nonsense, &plain), Err(Error::Invalid(_))), "{nonsense:?}");
    }
    let handle = event_loop.handle();
    let missing = directory.0.join("missing");
    let error =
        on(&event_loop, async move { handle.connect_unix(&missing, &ConnectOptions::default()).await.unwrap_err() });
    assert_eq!(error.os_errno(), Some(libc::ENOENT), "{error}");
}

#[test]
fn a_full_backlog_is_waited_for() {
    let event_loop = started();
    let directory = Directory::new("backlog");
    let path = directory.0.join("socket");
    let listener = event_loop.listen_unix(&path, &ListenOptions { backlog: 1, ..ListenOptions::default() }).unwrap();
    let connecting: Vec<_> = (0..20)
        .map(|_| {
            let connecting = event_loop.connect_unix(&path, &ConnectOptions::default());
            event_loop.spawn(async move { connecting.await.map(drop) }).unwrap()
        })
        .collect();
    on(&event_loop, async move {
        for _ in 0..20 {
            listener.accept().await.unwrap();
        }
    });
    for mut one in connecting {
        assert_eq!(one.join(LONG).unwrap(), Ok(()));
    }
}

#[test]
fn halves_read_and_write_end_a_direction_and_are_put_together_again() {
    let event_loop = started();
    let (one, other) = Stream::pair(&event_loop).unwrap();
    on(&event_loop, async move {
        let (reader, writer) = one.split();
        writer.write_all(b"there").await.unwrap();
        drop(writer);
        let mut all = Vec::new();
        other.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"there");
        other.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        reader.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"back");
        let (mine, theirs) = (other.split(), Stream::pair(reader.event_loop()).unwrap().0.split());
        let (mine_reads, theirs_writes) = mine.0.unite(theirs.1).unwrap_err();
        drop((theirs.0, theirs_writes));
        let other = mine_reads.unite(mine.1).unwrap();
        other.write_all(b"whole").await.unwrap();
    });
}
