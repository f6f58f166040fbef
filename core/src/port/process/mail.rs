//! Messages between the processes of a set: a ring for every two of them and each direction, and a bell for each port.
//!
//! # What holds
//!
//! * From one port to another they arrive in the order of sending, at most once: a worker that is killed takes the one in hand along, and its
//!   successor goes on with the next.
//! * Sending never waits. A ring that is full, because its port does not keep up or is gone for good, refuses.
//! * A ring that was damaged by whoever writes to the memory is not read any more, which is told once, and refuses what is sent. A worker that
//!   begins goes without it, and serves its port.
//! * A port that is flooded with messages has its datagrams and timers all the same: the loop has its turn after some hundred messages.

#![forbid(unsafe_code)]

use std::{
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    super::{Bytes, Encoded, Incoming, Message, saved::HANDED_OVER},
    memory::Memory,
};
use crate::{
    error::{Error, Refused, Result},
    shm::{Doorbell, LOOKS, Receiver, Sender},
};

/// Records of one sender in a row, before the others have their turn.
const IN_A_ROW: usize = 32;

/// The way to the other ports.
pub(super) struct Mail {
    to: Vec<Option<To>>,
}

struct To {
    /// Damaged, or another worker's, it refuses.
    sender: Mutex<Result<Sender>>,
    bell: Doorbell,
}

impl Mail {
    /// From this port, or from the set's own process, which comes behind the last one; with every port's bell.
    pub(super) fn new(memory: &Memory, from: usize, bells: Vec<OwnedFd>) -> Result<Self> {
        let to = bells.into_iter().enumerate().map(|(to, bell)| {
            if to == from {
                return Ok(None);
            }
            let sender = memory.sender(from, to);
            if let Err(error @ Error::Forked(_)) = sender {
                return Err(error);
            }
            Ok(Some(To { sender: Mutex::new(sender), bell: memory.bell(to, bell)? }))
        });
        Ok(Self { to: to.collect::<Result<_>>()? })
    }

    pub(super) fn send(&self, to: usize, message: Message) -> Result<(), Refused<Message>> {
        let Some(Some(to)) = self.to.get(to) else {
            return Err(Refused::new(Error::Closed("port"), message));
        };
        let sent = match (message.downcast_ref::<Bytes>(), message.downcast_ref::<Encoded>()) {
            (Some(Bytes(bytes)), _) => to.send(0, bytes),
            (_, Some(Encoded { tag, bytes })) => to.send(*tag, bytes),
            (None, None) => Err(Error::Invalid("a message to another process is Bytes, or Encoded".into())),
        };
        sent.map_err(|error| Refused::new(error, message))
    }

    /// Sends nothing any more: from the return on another process may.
    pub(super) fn let_go(&self) {
        for to in self.to.iter().flatten() {
            let before = std::mem::replace(&mut *to.sender(), Err(HANDED_OVER));
            drop(before);
        }
    }

    /// Sends again, where that process left off. `from` as it was.
    pub(super) fn take_back(&self, memory: &Memory, from: usize) {
        for (at, to) in self.to.iter().enumerate() {
            if let Some(to) = to {
                *to.sender() = memory.sender(from, at);
                to.bell.ring_anyway();
            }
        }
    }

    /// As [`Mail::send`], what [`Encoded`] would hold.
    pub(super) fn send_bytes(&self, to: usize, tag: u32, bytes: &[u8]) -> Result<()> {
        match self.to.get(to) {
            Some(Some(to)) => to.send(tag, bytes),
            _ => Err(Error::Closed("port")),
        }
    }

    /// For what a predecessor that was killed has sent and not told of.
    pub(super) fn ring_all(&self) {
        self.to.iter().flatten().for_each(|to| to.bell.ring_anyway());
    }
}

impl To {
    fn sender(&self) -> MutexGuard<'_, Result<Sender>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, tag: u32, bytes: &[u8]) -> Result<()> {
        match &mut *self.sender() {
            Ok(sender) => sender.try_send(tag, bytes)?,
            Err(damage) => return Err(damage.clone()),
        }
        self.bell.ring();
        Ok(())
    }
}

/// What comes to this port.
pub(super) struct Mailbox {
    from: Vec<(String, Receiver)>,
    bell: Doorbell,
    /// Turns within which all is heard that may lie there.
    turns: usize,
}

fn not_heard(sender: &str, error: &Error) {
    tracing::error!(target: "coop", "messages of port {sender:?} are not heard any more: {error}");
}

impl Mailbox {
    /// Of port `to`; `ports` are the names of all.
    pub(super) fn new(memory: &Memory, ports: &[String], to: usize, bell: OwnedFd) -> Result<Self> {
        let others = ports.iter().map(String::as_str).chain([""]).enumerate().filter(|(from, _)| *from != to);
        let from = others.filter_map(|(from, name)| match memory.receiver(from, to) {
            Ok(receiver) => Some(Ok((name.to_owned(), receiver))),
            Err(error @ Error::Forked(_)) => Some(Err(error)),
            Err(error) => {
                not_heard(name, &error);
                None
            }
        });
        let turns = memory.layout().most_records().div_ceil(LOOKS * IN_A_ROW) + 1;
        Ok(Self { from: from.collect::<Result<_>>()?, bell: memory.bell(to, bell)?, turns })
    }

    /// What is readable when something has come.
    pub(super) fn fd(&self) -> RawFd {
        self.bell.as_fd().map_or(-1, |fd| fd.as_raw_fd())
    }

    /// Has its descriptor be readable, whatever has come.
    pub(super) fn wake(&self) {
        self.bell.ring_anyway();
    }

    /// Delivers all that lies here now; not for ever, if others go on sending.
    pub(super) fn answer_all(&mut self, mut deliver: impl FnMut(&str, Incoming<'_>)) -> Result<()> {
        for _ in 0..self.turns {
            if self.answer(&mut deliver)? {
                break;
            }
        }
        Ok(())
    }

    /// Delivers what has come, or some of it: then the descriptor is readable again. True if it was all.
    pub(super) fn answer(&mut self, mut deliver: impl FnMut(&str, Incoming<'_>)) -> Result<bool> {
        let Self { from, bell, .. } = self;
        let mut any = false;
        bell.answer(|| {
            any = false;
            let mut damaged = None;
            for (at, (sender, receiver)) in from.iter_mut().enumerate() {
                match deliver_some(sender, receiver, &mut deliver) {
                    Ok(some) => any |= some,
                    Err(error @ Error::Forked(_)) => return Err(error),
                    Err(error) => {
                        not_heard(sender, &error);
                        damaged = Some(at);
                    }
                }
            }
            if let Some(at) = damaged {
                from.remove(at);
            }
            Ok(any)
        })?;
        Ok(!any)
    }
}

fn deliver_some(sender: &str, receiver: &mut Receiver, deliver: &mut impl FnMut(&str, Incoming<'_>)) -> Result<bool> {
    for taken in 0..IN_A_ROW {
        let Some(record) = receiver.recv()? else { return Ok(taken > 0) };
        deliver(sender, Incoming(record));
    }
    Ok(true)
}

#[cfg(test)]
mod test {
    use super::{
        super::memory::{Layout, Memory},
        *,
    };
    use crate::shm::eventfd;

    const LAYOUT: Layout = Layout { ports: 2, saved_bytes: 0, ring_bytes: 256 };

    fn world() -> (Memory, Vec<OwnedFd>, Vec<String>) {
        let bells = (0..2).map(|_| eventfd().unwrap()).collect();
        (Memory::new(LAYOUT).unwrap(), bells, vec!["A".into(), "B".into()])
    }

    fn copies(bells: &[OwnedFd]) -> Vec<OwnedFd> {
        bells.iter().map(|bell| bell.try_clone().unwrap()).collect()
    }

    fn heard(mailbox: &mut Mailbox) -> Vec<(String, u32, Vec<u8>)> {
        let mut all = Vec::new();
        let _ = mailbox
            .answer(|sender, incoming| {
                let sender = sender.to_owned();
                all.push(match incoming.into_message().downcast::<Bytes>() {
                    Ok(bytes) => (sender, 0, bytes.0),
                    Err(other) => {
                        let encoded = other.downcast::<Encoded>().unwrap();
                        (sender, encoded.tag, encoded.bytes)
                    }
                });
            })
            .unwrap();
        all
    }

    #[test]
    fn a_successor_goes_on_where_its_predecessor_was() {
        let (memory, bells, ports) = world();
        let (a, set) = (Mail::new(&memory, 0, copies(&bells)).unwrap(), Mail::new(&memory, 2, copies(&bells)).unwrap());
        let mut b = Mailbox::new(&memory, &ports, 1, bells[1].try_clone().unwrap()).unwrap();
        assert!(heard(&mut b).is_empty());
        a.send(1, Box::new(Bytes(b"1".to_vec()))).unwrap();
        set.send(1, Box::new(Encoded { tag: 7, bytes: b"2".to_vec() })).unwrap();
        let all = heard(&mut b);
        assert!(
            all.contains(&("A".into(), 0, b"1".to_vec())) && all.contains(&(String::new(), 7, b"2".to_vec())),
            "{all:?}"
        );
        a.send(1, Box::new(Bytes(b"3".to_vec()))).unwrap();
        drop(b);
        a.send(1, Box::new(Bytes(b"4".to_vec()))).unwrap();
        let mut b = Mailbox::new(&memory, &ports, 1, bells[1].try_clone().unwrap()).unwrap();
        let all: Vec<_> = heard(&mut b).into_iter().map(|(_, _, bytes)| bytes).collect();
        assert_eq!(all, [b"3".to_vec(), b"4".to_vec()]);
    }

    #[test]
    fn one_that_has_let_go_sends_nothing_until_it_takes_it_back() {
        let (memory, bells, ports) = world();
        let old = Mail::new(&memory, 0, copies(&bells)).unwrap();
        let mut b = Mailbox::new(&memory, &ports, 1, bells[1].try_clone().unwrap()).unwrap();
        let bytes = |text: &[u8]| -> Message { Box::new(Bytes(text.to_vec())) };
        old.send(1, bytes(b"1")).unwrap();
        old.let_go();
        let refused = old.send(1, bytes(b"lost")).unwrap_err();
        assert_eq!((refused.error, refused.value.downcast_ref()), (HANDED_OVER, Some(&Bytes(b"lost".to_vec()))));
        let new = Mail::new(&memory, 0, copies(&bells)).unwrap();
        new.send(1, bytes(b"2")).unwrap();
        drop(new);
        old.take_back(&memory, 0);
        old.send(1, bytes(b"3")).unwrap();
        let all: Vec<_> = heard(&mut b).into_iter().map(|(_, _, bytes)| bytes).collect();
        assert_eq!(all, [b"1", b"2", b"3"]);
    }

    #[test]
    fn a_flood_leaves_the_loop_its_turn_and_a_last_look_hears_all_of_it() {
        const MANY: usize = 10_000;
        let memory = Memory::new(Layout { ring_bytes: 1 << 18, ..LAYOUT }).unwrap();
        let (_, bells, ports) = world();
        let a = Mail::new(&memory, 0, copies(&bells)).unwrap();
        let mut b = Mailbox::new(&memory, &ports, 1, bells[1].try_clone().unwrap()).unwrap();
        let flood = || (0..MANY).for_each(|_| a.send(1, Box::new(Bytes(vec![7]))).unwrap());
        flood();
        let mut turns = 0;
        let mut count = 0;
        loop {
            let before = count;
            let all = b.answer(|_, _| count += 1).unwrap();
            assert!(count - before <= LOOKS * IN_A_ROW, "{count}, {before}");
            turns += 1;
            let mut readable = [rustix::event::PollFd::new(&bells[1], rustix::event::PollFlags::IN)];
            let readable = rustix::event::poll(&mut readable, Some(&Default::default())).unwrap();
            assert_eq!((readable == 0, count == MANY), (all, all), "the loop comes back to the rest");
            if all {
                break;
            }
        }
        assert!(turns > 10, "{turns}");
        flood();
        b.answer_all(|_, _| count += 1).unwrap();
        assert_eq!(count, 2 * MANY);
    }

    #[test]
    fn a_successor_goes_without_the_rings_that_were_damaged() {
        use std::os::unix::fs::FileExt;
        let (memory, bells, ports) = world();
        let file = std::fs::File::from(memory.fd().unwrap());
        let length = file.metadata().unwrap().len();
        file.write_all_at(&vec![0xff; usize::try_from(length).unwrap()], 0).unwrap();
        let memory = Memory::attach(memory.fd().unwrap(), LAYOUT).unwrap();
        let a = Mail::new(&memory, 0, copies(&bells)).unwrap();
        let refused = a.send(1, Box::new(Bytes(vec![1]))).unwrap_err();
        assert!(refused.value.is::<Bytes>() && refused.error.to_string().contains("ring"), "{}", refused.error);
        let mut b = Mailbox::new(&memory, &ports, 1, bells[1].try_clone().unwrap()).unwrap();
        assert!(heard(&mut b).is_empty());
    }

    #[test]
    fn what_cannot_be_sent_comes_back_and_nobody_waits() {
        let (memory, bells, _) = world();
        let a = Mail::new(&memory, 0, bells).unwrap();
        let refused = |message: Message| a.send(1, message).unwrap_err();
        assert!(matches!(refused(Box::new(5u32)), Refused { error: Error::Invalid(_), value } if value.is::<u32>()));
        assert!(matches!(refused(Box::new(Bytes(vec![0; 1000]))).error, Error::Invalid(text) if text.contains("1000")));
        assert!(matches!(a.send(0, Box::new(())).unwrap_err().error, Error::Closed(_)));
        // Nobody takes them.
        let mut sent = 0;
        let refused = loop {
            match a.send(1, Box::new(Bytes(vec![7; 10]))) {
                Ok(()) => sent += 1,
                Err(refused) => break refused,
            }
        };
        assert!(sent > 5 && matches!(refused.error, Error::QueueFull { .. }), "{sent} {}", refused.error);
        assert_eq!(refused.value.downcast_ref(), Some(&Bytes(vec![7; 10])));
    }
}
