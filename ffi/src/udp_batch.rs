//! What lies between C's arrays of datagrams and the kernel's batches: what has come and was not handed out, and what a batch that was
//! taken in part has left.

use std::{net::SocketAddr, ptr};

use coop_core::{
    Error, Result,
    event_loop::udp::{Datagrams, Outgoing, Receiver, Sent, UdpSocket},
};

use crate::{
    address::coop_address,
    options::array,
    udp::{COOP_DATAGRAM_TRUNCATED, coop_datagram},
};

/// What is handed to the kernel at once.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK: usize = 1024;

/// What has come and was not handed out yet.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    scratch: Receiver,
    datagrams: Datagrams,
    /// What the last receive has handed out: from here to the next.
    first: usize,
    /// The next to hand out.
    next: usize,
    /// The last sender, as C sees it: most datagrams come in runs.
    sender: Option<(SocketAddr, coop_address)>,
}

impl Receiving {
    /// A receive begins: what it hands out is counted from here.
    pub(crate) fn begin(&mut self, socket: &UdpSocket) -> Result<()> {
        self.refill(socket)?;
        self.first = self.next;
        Ok(())
    }

    /// How many the last receive has handed out.
    pub(crate) fn handed_out(&self) -> usize {
        self.next - self.first
    }

    /// When one of those came, in nanoseconds since 1970; 0 if that is not known.
    pub(crate) fn came_at(&self, index: usize) -> i64 {
        let at = self.datagrams.received_at(self.first + index);
        at.map_or(0, |at| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Asks the kernel if nothing is left.
    fn refill(&mut self, socket: &UdpSocket) -> Result<()> {
        if self.next < self.datagrams.len() {
            return Ok(());
        }
        self.datagrams.clear();
        (self.first, self.next) = (0, 0);
        loop {
            let received = socket.receive(&mut self.scratch, &mut self.datagrams, Datagrams::MAX_BYTES)?;
            // Pending errors alone are not the end: none may be told as "nothing there".
            if received.would_block || received.datagrams > 0 {
                return Ok(());
            }
        }
    }

    pub(crate) fn next(&mut self) -> Option<coop_datagram> {
        if self.next == self.datagrams.len() {
            return None;
        }
        let (data, from) = self.datagrams.get(self.next);
        let address = match self.sender {
            Some((last, address)) if last == from => address,
            _ => coop_address::of(&from),
        };
        self.sender = Some((from, address));
        let flags = if self.datagrams.truncated(self.next) { COOP_DATAGRAM_TRUNCATED } else { 0 };
        let data = ptr::from_ref(data);
        self.next += 1;
        Some(coop_datagram { data: data.cast(), length: data.len(), address, segment_size: 0, flags })
    }
}

/// How many of `datagrams` were taken, and how many single datagrams were refused by the network.
///
/// # Safety
/// The data of each points to as many readable bytes as it says.
pub(crate) unsafe fn send(
    mut kernel: impl FnMut(&mut Outgoing) -> Result<Sent>,
    out: &mut Outgoing,
    datagrams: &[coop_datagram],
) -> Result<(usize, usize)> {
    let (mut taken, mut lost) = (0, 0);
    if !out.is_empty() {
        let rest = kernel(out)?;
        lost += rest.errors;
        if rest.would_block {
            return Ok((0, lost));
        }
    }
    while taken < datagrams.len() {
        let mut counts = Vec::with_capacity(CHUNK.min(datagrams.len() - taken));
        let mut wrong = None;
        for datagram in &datagrams[taken..] {
            // SAFETY: the caller's promise.
            match unsafe { push(out, datagram, 0) } {
                Ok(count) => counts.push(count),
                Err(error) => wrong = Some(error),
            }
            if wrong.is_some() || counts.len() == CHUNK || out.bytes() >= CHUNK_BYTES {
                break;
            }
        }
        match wrong {
            Some(error) if taken + counts.len() == 0 => return Err(error),
            _ => {}
        }
        let sent = match kernel(out) {
            Ok(sent) => sent,
            Err(error) => {
                out.clear();
                return if taken > 0 { Ok((taken, lost)) } else { Err(error) };
            }
        };
        lost += sent.errors;
        if sent.would_block {
            // The rest goes back to the caller, but for that of a run that has begun.
            out.clear();
            let mut gone = sent.datagrams + sent.errors;
            for count in counts {
                if gone < count {
                    break;
                }
                gone -= count;
                taken += 1;
            }
            if gone > 0 {
                // SAFETY: the caller's promise.
                unsafe { push(out, &datagrams[taken], gone) }?;
                taken += 1;
            }
            break;
        }
        taken += counts.len();
        if wrong.is_some() {
            break;
        }
    }
    Ok((taken, lost))
}

/// Queues one, but for its first `skip` segments; answers how many datagrams it is.
///
/// # Safety
/// Its data points to as many readable bytes as it says.
unsafe fn push(out: &mut Outgoing, datagram: &coop_datagram, skip: usize) -> Result<usize> {
    // SAFETY: the caller's promise.
    let data = unsafe { array(datagram.data.cast::<u8>(), datagram.length, "datagram.data") }?;
    if datagram.flags != 0 {
        return Err(Error::Unsupported(format!("datagram.flags is {}: it must be 0 when sending", datagram.flags)));
    }
    let to = datagram.address.read()?;
    match datagram.segment_size as usize {
        0 => out.push(data, to).map(|()| 1),
        segment => out.push_segments(&data[(skip * segment).min(data.len())..], segment, to),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn datagram(data: &[u8], segment_size: u32) -> coop_datagram {
        let address = coop_address::of(&SocketAddr::from(([127, 0, 0, 1], 9)));
        coop_datagram { data: data.as_ptr().cast(), length: data.len(), address, segment_size, flags: 0 }
    }

    /// A kernel that takes up to `room` datagrams; `refused` of them it refuses.
    fn kernel(room: usize, refused: usize) -> impl FnMut(&mut Outgoing) -> Result<Sent> {
        move |out| {
            let gone = room.min(out.len());
            let would_block = gone < out.len();
            if !would_block {
                out.clear();
            }
            Ok(Sent { datagrams: gone - refused, bytes: 0, errors: refused, would_block })
        }
    }

    #[test]
    fn what_a_full_kernel_leaves_is_the_callers_but_for_a_run_that_has_begun() {
        let bytes = [7; 100];
        let batch = [datagram(&bytes[..5], 0), datagram(&bytes, 30), datagram(&[], 10), datagram(&bytes[..6], 0)];
        // One, four segments, none, one.
        for (room, taken, left) in [
            (0, 0, (0, 0)),
            (1, 1, (0, 0)),
            (2, 2, (3, 70)),
            (3, 2, (2, 40)),
            (4, 2, (1, 10)),
            (5, 3, (0, 0)),
            (6, 4, (0, 0)),
        ] {
            let mut out = Outgoing::new();
            // SAFETY: the data are slices that live on.
            let answer = unsafe { send(kernel(room, room.min(1)), &mut out, &batch) };
            assert_eq!((answer, (out.len(), out.bytes())), (Ok((taken, room.min(1))), left), "room for {room}");
            // The rest goes first, and nothing else until it is gone.
            let rest = out.len();
            if rest > 0 {
                // SAFETY: as above.
                let answer = unsafe { send(kernel(0, 0), &mut out, &batch[taken..]) };
                assert_eq!((answer, out.len()), (Ok((0, 0)), rest));
                // SAFETY: as above.
                let answer = unsafe { send(kernel(rest, 0), &mut out, &[]) };
                assert_eq!((answer, out.len()), (Ok((0, 0)), 0));
            }
        }
    }

    #[test]
    fn a_large_batch_goes_in_chunks_and_ends_before_a_wrong_one() {
        let bytes = [7; 1000];
        let mut batch = vec![datagram(&bytes, 0); 3 * CHUNK + 5];
        let (mut calls, mut out) = (0, Outgoing::new());
        let mut count = |out: &mut Outgoing| {
            calls += 1;
            kernel(usize::MAX, 0)(out)
        };
        // SAFETY: the data are slices that live on.
        assert_eq!(unsafe { send(&mut count, &mut out, &batch) }, Ok((batch.len(), 0)));
        assert_eq!(calls, 4);
        batch[CHUNK + 3].flags = 1;
        // SAFETY: as above.
        assert_eq!(unsafe { send(kernel(usize::MAX, 0), &mut out, &batch) }, Ok((CHUNK + 3, 0)));
        // SAFETY: as above.
        let error = unsafe { send(kernel(usize::MAX, 0), &mut out, &batch[CHUNK + 3..]) }.unwrap_err();
        assert!(error.to_string().contains("flags is 1"), "{error}");
        assert!(out.is_empty());
    }
}
