//! How many connections there may be, and where.

use super::*;

#[test]
fn more_than_may_be_open_wait() {
    for mode in MODES {
        let fixture = fixture_of(mode, Bind::Tcp(local()), |options| options.connections = 2);
        let mut open: Vec<_> = (0..2).map(|_| fixture.client()).collect();
        for client in &mut open {
            assert_eq!(ask(client, b"in"), b"in");
        }
        let mut waits = fixture.client();
        waits.write_all(b"wait").unwrap();
        assert_eq!((fixture.stats().accepted, fixture.stats().open), (2, 2));
        open.pop();
        let mut answer = [0; 4];
        waits.read_exact(&mut answer).unwrap();
        assert_eq!((&answer, fixture.stats().accepted), (b"wait", 3));
    }
}

/// Both sides of a thousand connections are of this process.
fn allow_many_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < 8192) {
        let current = Some(limit.maximum.map_or(8192, |most| most.min(8192)));
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current, ..limit }).unwrap();
    }
}

#[test]
fn a_thousand_at_once() {
    allow_many_descriptors();
    for mode in MODES {
        let fixture = fixture(mode);
        let mut clients: Vec<_> = (0..1000).map(|_| fixture.client()).collect();
        for client in &mut clients {
            client.write_all(b"all").unwrap();
        }
        for client in &mut clients {
            let mut answer = [0; 3];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"all");
        }
        assert_eq!((fixture.stats().accepted, fixture.stats().open), (1000, 1000));
        drop(clients);
        fixture.eventually("all have gone", |stats| stats.open == 0);
    }
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("coop-port-{name}-{}", std::process::id()))
}

#[test]
fn unix_sockets_and_sockets_that_were_handed_over() {
    for mode in MODES {
        let path = path("unix");
        let fixture = fixture_of(mode, Bind::Unix(path.clone()), |_| {});
        assert_eq!(fixture.set.bound().unwrap(), [("ECHO".to_owned(), Address::Path(path.clone()))]);
        assert!(fixture.set.addresses().unwrap().is_empty());
        let mut client = UnixStream::connect(&path).unwrap();
        assert_eq!(ask(&mut client, b"unix"), b"unix");
        fixture.set.stop(Some(LONG)).unwrap();
        assert!(!path.exists(), "removed with the set");

        let listener = TcpListener::bind(local()).unwrap();
        let mut early = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let fixture = fixture_of(mode, Bind::Listening(OwnedFd::from(listener)), |_| {});
        assert_eq!(ask(&mut early, b"early"), b"early");
        assert_eq!(ask(&mut fixture.client(), b"late"), b"late");
    }
}

#[test]
fn the_set_stops_from_inside_and_its_socket_is_closed() {
    for mode in MODES {
        let fixture = fixture(mode);
        let mut client = fixture.client();
        let address = client.peer_addr().unwrap();
        client.write_all(b"stop").unwrap();
        fixture.set.join(Some(LONG)).unwrap();
        assert_eq!(fixture.why(), "stopped");
        assert_eq!(rest(&mut client), b"stopped");
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let making = || Making::By(Box::new(|_| Err(Fault::new("not built"))));
    let of = |bind: Bind, connect| {
        let port = Port { name: "P".into(), bind, connect, making: making() };
        let set = PortSet::new(PortSetOptions::threads(), vec![port])?;
        set.launch().map(|()| drop(set))
    };
    assert!(matches!(of(Bind::Tcp(local()), Some(local())), Err(Error::Invalid(text)) if text.contains("\"P\"")));
    let deaf = OwnedFd::from(std::net::UdpSocket::bind(local()).unwrap());
    assert!(matches!(of(Bind::Listening(deaf), None), Err(Error::Invalid(text)) if text.contains("type")));
    let (one, _other) = UnixStream::pair().unwrap();
    assert!(matches!(of(Bind::Listening(one.into()), None), Err(Error::Invalid(text)) if text.contains("listen")));
    let file = path("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(of(Bind::Unix(file.clone()), None), Err(Error::Exists(_))));
    std::fs::remove_file(file).unwrap();
    #[cfg(target_os = "linux")]
    assert!(matches!(of(Bind::Passed("web".into()), None), Err(Error::Invalid(text)) if text.contains("\"web\"")));
    let mut options = PortSetOptions::threads();
    options.connections = 0;
    assert!(matches!(options.check(["P"]), Err(Error::Invalid(text)) if text.contains("connections")));
}
