//! Datagrams of 938 bytes over loopback, per second delivered: `sendmmsg` by hand against [`Outgoing`], without GSO and with it.
//!
//! One thread sends, another drains with our receiver. The sender stays at most a window ahead and the clock runs until the last
//! datagram has come: a sender that outruns its receiver only measures how fast the kernel drops (a GSO run is dropped
//! whole, at the price of one). A round that lost something says so and is no figure. The ways take turns, so that the machine's
//! moods hit all of them; figures are medians, and ratios are taken within a round.
//!
//! `udp [rounds] [datagrams per round] [spin] [no_gro]`: `spin` lets the receiver poll without sleeping. With GRO a run crosses
//! loopback uncut, which no wire does; `no_gro` has the kernel cut it before the receiver.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    io, mem,
    net::SocketAddr,
    os::fd::AsRawFd,
    ptr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use coop_core::{
    Error, Result,
    event_loop::udp::{BATCH, Datagrams, Outgoing, Receiver, UdpOptions, UdpSocket},
};

const SIZE: usize = 938;

/// Sends so many; false if some were lost.
type Send = fn(&Round, usize) -> Result<bool>;

const WAYS: [(&str, bool, Send); 5] = [
    ("sendmmsg by hand", true, by_hand),
    ("push, no GSO", true, pushed),
    ("sendmmsg by hand, GSO", true, by_hand_gso),
    ("push, GSO", false, pushed),
    ("push_segments, GSO", false, segments),
];

/// The way that those from it on are compared with; those before it are compared with the first.
const GSO_BY_HAND: usize = 2;

/// Datagrams that may be on their way: well below the receiver's buffer, also with the kernel's own cost per datagram.
const WINDOW: usize = 1024;

/// What the receiving thread has seen.
#[derive(Default)]
struct Progress {
    done: AtomicBool,
    came: AtomicUsize,
    /// Times that the socket was found empty.
    empty: AtomicUsize,
}

/// The sender's side of one round.
struct Round<'a> {
    socket: UdpSocket,
    progress: &'a Progress,
    before: usize,
}

impl Round<'_> {
    /// Waits until no more than `ahead` of `sent` are on their way; false if they are lost.
    fn wait(&self, sent: usize, ahead: usize) -> bool {
        let seen = self.progress.empty.load(Ordering::Acquire);
        loop {
            // In this order: what came before the socket was found empty is counted.
            let empty = self.progress.empty.load(Ordering::Acquire);
            if self.progress.came.load(Ordering::Acquire) - self.before + ahead >= sent {
                return true;
            }
            if empty > seen + 1000 {
                return false;
            }
            thread::yield_now();
        }
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (rounds, count) = (number(0, 15), number(1, 200_000usize).next_multiple_of(BATCH));
    let spin = words.iter().any(|word| word == "spin");
    let no_gro = words.iter().any(|word| word == "no_gro");
    let progress = Progress::default();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let sink = UdpSocket::bind(loopback, &UdpOptions { recv_buffer: Some(4 << 20), no_gro, ..UdpOptions::default() })?;
    let to = sink.local_addr()?;
    let mut rates = vec![Vec::new(); WAYS.len()];
    let mut lost = vec![0; WAYS.len()];
    thread::scope(|scope| {
        let drain = scope.spawn(|| drain(&sink, &progress, spin));
        let sent = (0..rounds).try_for_each(|_| {
            for (index, (_, no_gso, send)) in WAYS.iter().enumerate() {
                let socket = UdpSocket::bind(loopback, &UdpOptions { no_gso: *no_gso, ..UdpOptions::default() })?;
                socket.connect(to)?;
                let round = Round { socket, progress: &progress, before: progress.came.load(Ordering::Acquire) };
                let start = Instant::now();
                let whole = send(&round, count)? && round.wait(count, 0);
                rates[index].push(if whole { count as f64 / start.elapsed().as_secs_f64() } else { f64::NAN });
                lost[index] += usize::from(!whole);
            }
            Ok(())
        });
        progress.done.store(true, Ordering::Release);
        drain.join().unwrap_or_else(|_| Err(Error::Panic("the receiving thread".into()))).and(sent)
    })?;
    println!(
        "{count} datagrams of {SIZE} B delivered, {rounds} rounds, receiver {} {} GRO",
        if spin { "spins" } else { "sleeps" },
        if no_gro { "without" } else { "with" }
    );
    for (index, (name, ..)) in WAYS.iter().enumerate() {
        let peer = if index < GSO_BY_HAND { 0 } else { GSO_BY_HAND };
        let ratios = rates[index].iter().zip(&rates[peer]).map(|(ours, bare)| ours / bare).collect();
        let [low, middle, high] = quartiles(rates[index].clone()).map(|rate| rate / 1e3);
        let [less, ratio, more] = quartiles(ratios);
        println!(
            "{name:22} {middle:6.0} k/s ({low:.0}..{high:.0})   x {ratio:.2} ({less:.2}..{more:.2})   rounds with loss {}",
            lost[index]
        );
    }
    Ok(())
}

/// The quartiles of the rounds that lost nothing.
fn quartiles(mut of: Vec<f64>) -> [f64; 3] {
    of.retain(|figure| !figure.is_nan());
    of.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| of.get(of.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}

fn drain(socket: &UdpSocket, progress: &Progress, spin: bool) -> Result<()> {
    let (mut scratch, mut sink) = (Receiver::default(), Datagrams::new());
    while !progress.done.load(Ordering::Acquire) {
        let received = socket.receive(&mut scratch, &mut sink, usize::MAX)?;
        progress.came.fetch_add(received.datagrams, Ordering::Release);
        sink.clear();
        if received.would_block {
            progress.empty.fetch_add(1, Ordering::Release);
            if spin {
                thread::yield_now();
            } else {
                let mut wait = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: one pollfd, which lives through the call.
                unsafe { libc::poll(&raw mut wait, 1, 1) };
            }
        }
    }
    Ok(())
}

/// The least that a program must do: headers made once, one call per 64.
fn by_hand(round: &Round, count: usize) -> Result<bool> {
    let data = [7u8; SIZE];
    let mut vector = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: SIZE };
    // SAFETY: a plain C structure, for which zero bytes are a value.
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_iov = ptr::from_mut(&mut vector);
    header.msg_hdr.msg_iovlen = 1;
    let mut headers = [header; BATCH];
    let mut sent = 0;
    while sent < count {
        if !round.wait(sent, WINDOW) {
            return Ok(false);
        }
        // SAFETY: 64 headers, whose vector and data live in this function.
        let taken = unsafe { libc::sendmmsg(round.socket.as_raw_fd(), headers.as_mut_ptr(), 64, 0) };
        sent += usize::try_from(taken).map_err(|_| Error::os("sendmmsg", &io::Error::last_os_error()))?;
    }
    Ok(true)
}

/// The same with the socket told once to cut each message of 64 datagrams.
fn by_hand_gso(round: &Round, count: usize) -> Result<bool> {
    let data = [7u8; SIZE * BATCH];
    let size: libc::c_int = 938;
    // SAFETY: the pointer is to a local of the length beside it.
    let failed = unsafe {
        libc::setsockopt(round.socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const size).cast(), 4)
    };
    if failed != 0 {
        return Err(Error::os("setsockopt UDP_SEGMENT", &io::Error::last_os_error()));
    }
    for sent in (0..count).step_by(BATCH) {
        if !round.wait(sent, WINDOW) {
            return Ok(false);
        }
        // SAFETY: the data lives in this function and has this length.
        let taken = unsafe { libc::send(round.socket.as_raw_fd(), data.as_ptr().cast(), data.len(), 0) };
        if usize::try_from(taken) != Ok(data.len()) {
            return Err(Error::os("send with UDP_SEGMENT", &io::Error::last_os_error()));
        }
    }
    Ok(true)
}

fn pushed(round: &Round, count: usize) -> Result<bool> {
    let (data, mut out) = ([7u8; SIZE], Outgoing::new());
    for sent in (0..count).step_by(BATCH) {
        if !round.wait(sent, WINDOW) {
            return Ok(false);
        }
        for _ in 0..BATCH {
            out.push(&data, None)?;
        }
        flush(&round.socket, &mut out)?;
    }
    Ok(true)
}

fn segments(round: &Round, count: usize) -> Result<bool> {
    let (data, mut out) = ([7u8; SIZE * BATCH], Outgoing::new());
    for sent in (0..count).step_by(BATCH) {
        if !round.wait(sent, WINDOW) {
            return Ok(false);
        }
        out.push_segments(&data, SIZE, None)?;
        flush(&round.socket, &mut out)?;
    }
    Ok(true)
}

fn flush(socket: &UdpSocket, out: &mut Outgoing) -> Result<()> {
    while !out.is_empty() {
        let sent = socket.send(out)?;
        if sent.errors > 0 {
            return Err(Error::Unsupported(format!("{} datagrams were refused", sent.errors)));
        }
    }
    Ok(())
}
