//! Datagrams of 938 bytes over loopback, per second sent: `sendmmsg` by hand against [`Outgoing`], without GSO and with it.
//!
//! One thread sends, another drains with our receiver. The ways take turns, so that the machine's moods hit all of them;
//! the figures are medians, and ratios are taken within a round. `udp [rounds] [datagrams per round]`

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

type Send = fn(&UdpSocket, usize) -> Result<()>;

const WAYS: [(&str, bool, Send); 4] = [
    ("sendmmsg by hand", true, by_hand),
    ("push, no GSO", true, pushed),
    ("push, GSO", false, pushed),
    ("push_segments, GSO", false, segments),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let mut next = |default| arguments.next().and_then(std::result::Result::ok).unwrap_or(default);
    let (rounds, count) = (next(15), next(200_000).next_multiple_of(BATCH));
    let (done, came, runs) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let buffer = UdpOptions { recv_buffer: Some(4 << 20), ..UdpOptions::default() };
    let sink = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &buffer)?;
    let to = sink.local_addr()?;
    let mut rates = vec![Vec::new(); WAYS.len()];
    let mut arrived = vec![Vec::new(); WAYS.len()];
    thread::scope(|scope| {
        let drain = scope.spawn(|| drain(&sink, &done, &came, &runs));
        let sent = (0..rounds).try_for_each(|_| {
            for (index, (_, no_gso, send)) in WAYS.iter().enumerate() {
                let socket = UdpSocket::bind(
                    SocketAddr::from(([127, 0, 0, 1], 0)),
                    &UdpOptions { no_gso: *no_gso, ..UdpOptions::default() },
                )?;
                socket.connect(to)?;
                let (before, start) = (came.load(Ordering::Acquire), Instant::now());
                send(&socket, count)?;
                rates[index].push(count as f64 / start.elapsed().as_secs_f64());
                // The receiver is done with this round once it has found its socket empty twice more.
                let seen = runs.load(Ordering::Acquire);
                while runs.load(Ordering::Acquire) < seen + 2 {
                    thread::yield_now();
                }
                arrived[index].push((came.load(Ordering::Acquire) - before) as f64 / count as f64);
            }
            Ok(())
        });
        done.store(true, Ordering::Release);
        drain.join().unwrap_or_else(|_| Err(Error::Panic("the receiving thread".into()))).and(sent)
    })?;
    println!("{count} datagrams of {SIZE} B, {rounds} rounds, medians");
    for (index, (name, ..)) in WAYS.iter().enumerate() {
        let ratios = rates[index].iter().zip(&rates[0]).map(|(ours, bare)| ours / bare).collect();
        println!(
            "{name:20} {:6.0} k/s   x {:.2}   arrived {:3.0} %",
            median(rates[index].clone()) / 1e3,
            median(ratios),
            100.0 * median(arrived[index].clone())
        );
    }
    Ok(())
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

fn drain(socket: &UdpSocket, done: &AtomicBool, came: &AtomicUsize, empty: &AtomicUsize) -> Result<()> {
    let (mut scratch, mut sink) = (Receiver::default(), Datagrams::new());
    while !done.load(Ordering::Acquire) {
        let received = socket.receive(&mut scratch, &mut sink, usize::MAX)?;
        came.fetch_add(received.datagrams, Ordering::Release);
        sink.clear();
        if received.would_block {
            empty.fetch_add(1, Ordering::Release);
            let mut wait = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd, which lives through the call.
            unsafe { libc::poll(&raw mut wait, 1, 1) };
        }
    }
    Ok(())
}

/// The least that a program must do: headers made once, one call per 64.
fn by_hand(socket: &UdpSocket, count: usize) -> Result<()> {
    let data = [7u8; SIZE];
    let mut vector = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: SIZE };
    // SAFETY: a plain C structure, for which zero bytes are a value.
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_iov = ptr::from_mut(&mut vector);
    header.msg_hdr.msg_iovlen = 1;
    let mut headers = [header; BATCH];
    let mut sent = 0;
    while sent < count {
        // SAFETY: 64 headers, whose vector and data live in this function.
        let taken = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), 64, 0) };
        sent += usize::try_from(taken).map_err(|_| Error::os("sendmmsg", &io::Error::last_os_error()))?;
    }
    Ok(())
}

fn pushed(socket: &UdpSocket, count: usize) -> Result<()> {
    let (data, mut out) = ([7u8; SIZE], Outgoing::new());
    for _ in 0..count / BATCH {
        for _ in 0..BATCH {
            out.push(&data, None)?;
        }
        flush(socket, &mut out)?;
    }
    Ok(())
}

fn segments(socket: &UdpSocket, count: usize) -> Result<()> {
    let (data, mut out) = ([7u8; SIZE * BATCH], Outgoing::new());
    for _ in 0..count / BATCH {
        out.push_segments(&data, SIZE, None)?;
        flush(socket, &mut out)?;
    }
    Ok(())
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
