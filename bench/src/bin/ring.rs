//! Messages from one process to another: a ring in shared memory, with bells for both sides, beside a pipe with the same framing.
//!
//!     cargo run --release -p coop-bench --bin ring [ROUNDS]
//!
//! Messages of 100 bytes and of 64 KiB, each copied out, from the first to the last; both hold 1 MiB, or what a pipe may. The sender is
//! a process of its own, forked for each run.

use std::{
    fs::File,
    io::{BufReader, Read, Write},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Instant,
};

use coop_bench::{Contestant, interleave, report, rounds};
use coop_core::{
    Error,
    shm::{Doorbell, Receiver, Segment, Sender, ring},
    time::Deadline,
};

const CAPACITY: usize = 1 << 20;
const KIND: u64 = 1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = rounds(Some(std::env::args().nth(1).unwrap_or_else(|| "7".into())))?;
    for (bytes, count) in [(100, 500_000), (64 << 10, 20_000)] {
        let mut contestants = [
            Contestant::new("ring", move || by_ring(bytes, count).expect("a ring")),
            Contestant::new("pipe", move || by_pipe(bytes, count).expect("a pipe")),
        ];
        let figures = interleave(rounds, &mut contestants);
        println(&format!("messages of {bytes} bytes"));
        report("k/s", &contestants, &figures);
    }
    Ok(())
}

/// Thousands of messages per second, since `begin`.
fn rate(count: u32, begin: Instant) -> f64 {
    f64::from(count) / begin.elapsed().as_secs_f64() / 1e3
}

fn by_ring(bytes: usize, count: u32) -> Result<f64, Error> {
    let (to_receiver, room) = (Segment::FIRST + Segment::space(ring::space(CAPACITY)?), Doorbell::SPACE);
    let places = [ring::space(CAPACITY)?, Doorbell::SPACE, Doorbell::SPACE];
    let segment = Arc::new(Segment::new("bench", KIND, Segment::size(&places))?);
    ring::create(&segment, Segment::FIRST, CAPACITY)?;
    let fd = segment.as_fd().try_clone_to_owned().expect("a descriptor");
    let child = fork(move || {
        let segment = Arc::new(Segment::attach(fd, KIND)?);
        let mut sender = Sender::attach(&segment, Segment::FIRST)?;
        let bell = Doorbell::attach(&segment, to_receiver, None)?;
        let mut room = Doorbell::attach(&segment, to_receiver + room, None)?;
        let data = vec![7; bytes];
        for number in 0..count {
            if !sender.has_room(bytes)? {
                room.wait(Deadline::NEVER, || sender.has_room(bytes))?;
            }
            sender.try_send(number, &data)?;
            bell.ring();
        }
        Ok(())
    });
    let mut receiver = Receiver::attach(&segment, Segment::FIRST)?;
    let mut bell = Doorbell::attach(&segment, to_receiver, None)?;
    let room = Doorbell::attach(&segment, to_receiver + room, None)?;
    let mut data = vec![0; bytes];
    let mut next = |expected| -> Result<(), Error> {
        bell.wait(Deadline::NEVER, || receiver.has_record())?;
        let record = receiver.recv()?.expect("there, as was just seen");
        assert_eq!((record.tag(), record.len()), (expected, bytes));
        record.copy_to(&mut data);
        drop(record);
        room.ring();
        Ok(())
    };
    next(0)?;
    let begin = Instant::now();
    for number in 1..count {
        next(number)?;
    }
    let rate = rate(count - 1, begin);
    reap(child);
    Ok(rate)
}

fn by_pipe(bytes: usize, count: u32) -> Result<f64, std::io::Error> {
    let (reader, writer) = std::io::pipe()?;
    let (reader, writer) = (File::from(OwnedFd::from(reader)), File::from(OwnedFd::from(writer)));
    // SAFETY: takes a descriptor that is there, and a number. What a user may not have is refused, and the pipe stays as it is.
    unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&writer), libc::F_SETPIPE_SZ, CAPACITY) };
    let mut output = writer.try_clone()?;
    drop(writer);
    let child = fork(move || {
        // One write for each: a message is told when it is sent.
        let mut framed = vec![7; 8 + bytes];
        for number in 0..count {
            framed[..4].copy_from_slice(&(bytes as u32).to_ne_bytes());
            framed[4..8].copy_from_slice(&number.to_ne_bytes());
            output.write_all(&framed).map_err(|error| Error::os("write", &error))?;
        }
        Ok(())
    });
    let mut input = BufReader::with_capacity(64 << 10, reader);
    let (mut header, mut data) = ([0; 8], vec![0; bytes]);
    let mut next = |expected: u32| -> Result<(), std::io::Error> {
        input.read_exact(&mut header)?;
        assert_eq!(header[4..], expected.to_ne_bytes());
        input.read_exact(&mut data)
    };
    next(0)?;
    let begin = Instant::now();
    for number in 1..count {
        next(number)?;
    }
    let rate = rate(count - 1, begin);
    reap(child);
    Ok(rate)
}

/// A process that does this and ends.
fn fork(child: impl FnOnce() -> Result<(), Error>) -> i32 {
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let status = i32::from(child().is_err());
        // SAFETY: ends the copy, without anything of the first one's.
        unsafe { libc::_exit(status) };
    }
    pid
}

fn reap(pid: i32) {
    let mut status = -1;
    // SAFETY: a place for the status.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(status, 0, "the sender failed");
}

#[allow(clippy::print_stdout, reason = "what it is for")]
fn println(line: &str) {
    println!("{line}");
}
