//! What a connection is served with, and how it ends.

use super::*;

#[test]
fn connections_are_served_and_counted() {
    for mode in MODES {
        let fixture = fixture(mode);
        let mut clients: Vec<_> = (0..3).map(|_| fixture.client()).collect();
        for client in &mut clients {
            assert_eq!(ask(client, b"hello"), b"hello");
            assert_eq!(fixture.told.recv_timeout(LONG).unwrap(), Told::Connected(client.local_addr().unwrap().into()));
        }
        assert_eq!(fixture.stats().open, 3);
        let last = clients.pop().unwrap();
        drop(clients);
        assert_eq!((fixture.why(), fixture.why()), ("ended", "ended"));
        fixture.eventually("one is left", |stats| stats.open == 1);
        let stats = fixture.stats();
        assert_eq!((stats.accepted, stats.refused, stats.errors), (3, 0, 0));
        assert_eq!((stats.received_bytes, stats.sent_bytes), (15, 15));
        fixture.set.stop(Some(LONG)).unwrap();
        assert_eq!(fixture.why(), "stopped");
        assert_eq!(rest(&mut { last }), b"stopped");
        assert_eq!(fixture.stats().open, 0);
    }
}

#[test]
fn what_is_closed_was_sent_before() {
    for mode in MODES {
        let fixture = fixture(mode);
        let mut client = fixture.client();
        client.write_all(b"close").unwrap();
        assert_eq!(rest(&mut client), b"bye");
        assert_eq!(fixture.why(), "asked");
        let mut client = fixture.client();
        client.write_all(b"abort").unwrap();
        let reset = client.read(&mut [0; 10]).unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        assert_eq!(fixture.why(), "aborted");
        assert_eq!(fixture.stats().errors, 0);
    }
}

#[test]
fn each_side_ends_for_itself() {
    for mode in MODES {
        let fixture = fixture(mode);
        let mut client = fixture.client();
        client.write_all(b"half").unwrap();
        assert_eq!(rest(&mut client), b"half");
        // Said after the other side's end, and heard.
        client.write_all(b"fault").unwrap();
        assert_eq!(fixture.why(), "fault");
        let mut client = fixture.client();
        let big = vec![3; 3 << 20];
        let mut writer = client.try_clone().unwrap();
        let sent = big.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert!(rest(&mut client) == big, "all that was said before the end is answered");
        writing.join().unwrap();
        assert_eq!(fixture.why(), "ended");
    }
}

#[test]
fn a_fault_closes_one_connection() {
    for mode in MODES {
        let fixture = fixture(mode);
        let mut other = fixture.client();
        assert_eq!(ask(&mut other, b"one"), b"one");
        for word in [b"fault", b"panic"] {
            let mut client = fixture.client();
            client.write_all(word).unwrap();
            assert_eq!(rest(&mut client), b"");
            assert_eq!(fixture.why(), "fault");
        }
        assert_eq!(ask(&mut other, b"two"), b"two");
        assert_eq!(fixture.stats().errors, 2);
    }
}

#[test]
fn one_that_does_not_read_is_kept_waiting_alone() {
    for mode in MODES {
        let fixture = fixture_of(mode, Bind::Tcp(local()), |options| options.buffer_bytes = 8 << 20);
        let (mut slow, mut other) = (fixture.client(), fixture.client());
        slow.write_all(b"flood").unwrap();
        let full = loop {
            if let Told::Full(bytes) = fixture.told.recv_timeout(LONG).unwrap() {
                break bytes;
            }
        };
        assert!(full <= 1 << 20 && full > (1 << 20) - 1024, "an eighth: {full}");
        assert_eq!(ask(&mut other, b"one"), b"one");
        slow.shutdown(Shutdown::Write).unwrap();
        let all = rest(&mut slow);
        assert!(all.len() >= full && all.iter().all(|byte| *byte == 7));
        assert_eq!(fixture.why(), "ended");
        drop(slow);
        // Another one goes without having read.
        let mut gone = fixture.client();
        gone.write_all(b"flood").unwrap();
        while !matches!(fixture.told.recv_timeout(LONG).unwrap(), Told::Full(_)) {}
        drop(gone);
        assert_eq!(fixture.why(), "lost");
        assert_eq!(ask(&mut other, b"two"), b"two");
    }
}

#[test]
fn nothing_is_read_while_it_is_paused() {
    for mode in MODES {
        let fixture = fixture(mode);
        let mut client = fixture.client();
        client.write_all(b"pause").unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"paused");
        client.write_all(b"later").unwrap();
        let mut answer = [0; 13];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"resumed later");
    }
}

#[test]
fn bytes_one_at_a_time_and_resets_in_the_middle() {
    for mode in MODES {
        let fixture = fixture(mode);
        let mut client = fixture.client();
        for byte in b"one at a time" {
            assert_eq!(ask(&mut client, &[*byte]), [*byte]);
        }
        let mut reset = fixture.client();
        assert_eq!(ask(&mut reset, b"x"), b"x");
        socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
        drop(reset);
        assert_eq!(fixture.why(), "lost");
        assert_eq!(ask(&mut client, b"on"), b"on");
    }
}
