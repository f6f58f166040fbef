//! The worker's side.
//!
//! It sleeps on a bell of its own, with its bit among the idle ones: set before each look at the queues and not only before the sleep, so that whoever
//! sees no bit of it has made its call visible before that look. Whoever wakes a worker takes its bit. A worker that finds a call takes its own bit away, and
//! then, if there is more, wakes another one: a wake-up that was meant for it and that it did not need is passed on so.

#![forbid(unsafe_code)]

use std::{
    env,
    fs::File,
    os::fd::{AsFd, OwnedFd},
    slice,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    bits::{Bits, wake_one},
    blocks::{BlockRef, Borrower, Lender, Lent},
    layout::{LEVELS, Marks, Memory, QueueWords, SLOT_HEADER, Slots},
    manifest::{MEMORY, Manifest, NUMBER, SOCKET},
    options::VARIABLE,
    parts,
    payload::Payload,
    record::{bytes, halves, tag},
    table::{self, Claimant, Entry, State},
    wire,
};
use crate::{
    cpu,
    error::{Error, Result},
    primitive::full_fence,
    shm::{Doorbell, Sender, Word32, block::Heap, word},
    supervisor::{adopt, worker},
    time::Deadline,
};

/// This process has taken what it was started for.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// From so much of the ring on, a result is put in a block.
const SHARE: usize = 8;
/// So many calls above a level may be taken before one of it is: as in a pool of threads.
const AGEING: u32 = 64;
/// A worker that does not come to sleep looks after its blocks once in so many calls.
const AWAKE: u32 = 64;

/// What this process takes calls by. Made once, used by one thread.
#[derive(Debug)]
pub struct Worker {
    index: usize,
    args: Vec<u8>,
    pub(super) by: Claimant,
    calls_left: Option<u64>,
    memory: Memory,
    pub(super) idle: Bits,
    full: Bits,
    /// In the order in which they are looked at: those of the highest level first.
    pub(super) queues: Vec<QueueWords>,
    /// How often in a row a call of a higher level was taken while there was one of this.
    passed: [u32; LEVELS],
    /// Calls that it took.
    awake: u32,
    pub(super) slots: Slots,
    marks: Marks,
    run: u64,
    pub(super) sender: Sender,
    bell: Doorbell,
    parents_bell: Doorbell,
    others: Vec<Doorbell>,
    borrower: Borrower,
    pub(super) lender: Lender,
    /// By number, the serial of what the parent has met.
    shown: Vec<u32>,
    socket: OwnedFd,
    stopper: Stopper,
}

/// A call that was taken, to be given back with what came of it.
#[derive(Debug)]
#[must_use = "a call that was taken is given back by Worker::done"]
pub struct Ticket {
    pub(super) entry: Entry,
}

/// Asks a worker to stop, from any thread; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stopper {
    asked: Arc<AtomicBool>,
    /// Set by the pool's process.
    told: Word32,
    bell: Arc<Doorbell>,
}

impl Stopper {
    /// Has [`Worker::take`] answer `None`, now or when the call at hand is done.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::Release);
        self.bell.ring();
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire) || self.told.load(Ordering::Acquire) != 0
    }
}

/// Whether this process was started as a worker of a pool, and has not come to its duty.
pub(super) fn is_unserved() -> Result<bool> {
    Ok(env::var_os(VARIABLE).is_some() && worker::is_meant()? && !TAKEN.load(Ordering::SeqCst))
}

impl Worker {
    /// What the environment says of this process's pool; `None` if it was started for none, or has taken it before. A pool that pins its
    /// workers has the calling thread pinned.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what was made by another version, [`Error::Os`] for descriptors that are not there.
    pub fn from_environment() -> Result<Option<Self>> {
        if !is_unserved()? || TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(None);
        }
        let (manifest, args) = Manifest::read(&File::from(adopt(NUMBER)?))?;
        let memory = Memory::attach(adopt(MEMORY)?, manifest.layout)?;
        let socket = adopt(SOCKET)?;
        if let Some(cpu) = manifest.cpu {
            cpu::pin_current_thread(cpu)?;
        }
        Self::new(&manifest, args, memory, socket).map(Some)
    }

    pub(super) fn new(manifest: &Manifest, args: Vec<u8>, memory: Memory, socket: OwnedFd) -> Result<Self> {
        let &Manifest { index, run, calls, layout, kept_bytes, .. } = manifest;
        let of_level = |level| {
            let own = layout.pinned.then(|| memory.queue(level, Some(index)));
            own.into_iter().chain([memory.queue(level, None)])
        };
        let lender = Lender::new(memory.blocks(index)?, kept_bytes);
        let (full, parents_bell) = (memory.full()?, memory.parents_bell()?);
        let tell = move || {
            full_fence();
            full.set(index);
            parents_bell.ring();
        };
        let stopper = Stopper { asked: Arc::default(), told: memory.stop(index)?, bell: Arc::new(memory.bell(index)?) };
        Ok(Self {
            index,
            args,
            by: Claimant::new(index, run),
            calls_left: calls,
            idle: memory.idle()?,
            full: memory.full()?,
            queues: (0..LEVELS).flat_map(of_level).collect::<Result<_>>()?,
            passed: [0; LEVELS],
            awake: 0,
            slots: memory.slots()?,
            marks: memory.marks(index)?,
            run,
            sender: memory.sender(index)?,
            bell: memory.bell(index)?,
            parents_bell: memory.parents_bell()?,
            others: (0..layout.workers).map(|other| memory.bell(other)).collect::<Result<_>>()?,
            borrower: Borrower::new(memory.parents_blocks()?, tell),
            shown: vec![0; super::layout::WORKERS_BLOCKS],
            lender,
            socket,
            stopper,
            memory,
        })
    }

    /// [`super::Options::args`].
    pub fn args(&self) -> &[u8] {
        &self.args
    }

    /// Which worker this is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What asks it to stop.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Says that this worker cannot work, and no other one could: the pool is broken, for this reason. The process is to end next.
    pub fn fail(&mut self, why: &str) {
        let mut end = why.len().min(self.sender.longest() / SHARE);
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        if let Err(error) = self.tell(tag::FAILED, &[&why.as_bytes()[..end]]) {
            tracing::error!(target: "coop", "a worker of a process pool failed: {why}; and this cannot be told: {error}");
        }
    }

    /// Waits for a call, and takes it. `None`: it is to end, for it was asked to, or has run as many calls as it may.
    ///
    /// A call that cannot be read is answered here, and the next one taken.
    ///
    /// # Errors
    /// [`Error::Failed`] if the shared memory is damaged: the process is to end. [`Error::Forked`].
    pub fn take(&mut self) -> Result<Option<(Ticket, Payload)>> {
        self.memory.check()?;
        self.marks.set_ready(self.run);
        let mut slept = false;
        loop {
            if self.stopper.is_asked() || self.calls_left == Some(0) {
                return Ok(None);
            }
            let Some(entry) = self.claim()? else {
                self.sleep()?;
                slept = true;
                continue;
            };
            if std::mem::take(&mut slept) && self.there_is() {
                self.pass_on();
            }
            self.calls_left = self.calls_left.map(|left| left - 1);
            self.awake = self.awake.wrapping_add(1);
            if self.awake.is_multiple_of(AWAKE) {
                self.lender.tidy();
            }
            match self.read(entry) {
                Ok(payload) => return Ok(Some((Ticket { entry }, payload))),
                Err(error) => self.unread(entry, &error)?,
            }
        }
    }

    /// The first of the highest level, but for ageing: one of a level that was passed over too often while it had one, the lowest first.
    pub(super) fn claim(&mut self) -> Result<Option<Entry>> {
        for level in (1..LEVELS).rev() {
            if self.passed[level] >= AGEING {
                self.passed[level] = 0;
                if let Some(entry) = self.claim_at(level)? {
                    return Ok(Some(entry));
                }
            }
        }
        for level in 0..LEVELS {
            if let Some(entry) = self.claim_at(level)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn of_level(&self, level: usize) -> &[QueueWords] {
        let each = self.queues.len() / LEVELS;
        &self.queues[level * each..(level + 1) * each]
    }

    fn claim_at(&mut self, level: usize) -> Result<Option<Entry>> {
        let claimed = self.claim_of(self.of_level(level))?;
        if claimed.is_some() {
            self.passed[level] = 0;
            for below in level + 1..LEVELS {
                let waits = self.of_level(below).iter().any(|queue| !queue.queue().is_empty());
                self.passed[below] = if waits { self.passed[below] + 1 } else { 0 };
            }
        }
        Ok(claimed)
    }

    fn claim_of(&self, queues: &[QueueWords]) -> Result<Option<Entry>> {
        for queue in queues {
            let queue = queue.queue();
            if queue.is_empty() {
                continue;
            }
            if let Some(entry) = queue.claim(self.by, |slot| self.slots.word(slot))? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Until there may be something.
    fn sleep(&mut self) -> Result<()> {
        let Self { idle, index, queues, stopper, bell, lender, .. } = self;
        lender.tidy();
        bell.wait(Deadline::NEVER, || {
            idle.set(*index);
            full_fence();
            Ok(queues.iter().any(|queue| !queue.queue().is_empty()) || stopper.is_asked() || lender.has_news())
        })?;
        idle.clear(*index);
        Ok(())
    }

    fn there_is(&self) -> bool {
        self.queues.iter().any(|queue| !queue.queue().is_empty())
    }

    /// Wakes another one: whoever looks in vain sleeps again. Where some calls are for some workers only, all of them.
    fn pass_on(&self) {
        if self.memory.layout().pinned {
            self.idle.take_all(|other| self.others[other].ring());
        } else {
            wake_one(&self.idle, None, |other| self.others[other].ring());
        }
    }

    pub(super) fn read(&mut self, entry: Entry) -> Result<Payload> {
        let words = self.slots.slot(entry.slot).ok_or_else(|| Error::Failed("no such slot".into()))?;
        let word = |index: usize| words[index].load(Ordering::Relaxed);
        let (head, bytes) = (word(1), word(2));
        let (in_block, count) = (head & 1 != 0, (head >> 32) as usize);
        let damaged = || Error::Failed("a call's description is damaged".into());
        let bytes = usize::try_from(bytes).map_err(|_| damaged())?;
        if !in_block {
            let from = &words[SLOT_HEADER..];
            if bytes > from.len() * 8 {
                return Err(damaged());
            }
            let mut heap = Heap::new(bytes);
            word::load(from, heap.bytes_mut());
            return Payload::copied(heap, 0, count);
        }
        #[expect(clippy::cast_possible_truncation, reason = "two halves")]
        let block = BlockRef { number: word(3) as u32, serial: (word(3) >> 32) as u32, usage: word(4) as u32 };
        let Self { borrower, socket, sender, full, parents_bell, index, .. } = self;
        let lease = borrower.borrow(block, || {
            let record = bytes_of_need(block);
            tell(sender, &mut self.bell, (full, *index, parents_bell), tag::NEED, &[&record])?;
            wire::receive(&*socket, block.number, block.serial, true)
        })?;
        Payload::borrowed(lease, count, bytes)
    }

    /// Answers a call that could not be read.
    fn unread(&mut self, entry: Entry, error: &Error) -> Result<()> {
        let head = bytes([halves(entry.slot, entry.generation)]);
        self.finish(entry)?;
        self.tell(tag::UNREAD, &[&head, error.to_string().as_bytes()])
    }

    /// Answers a call: the status and the parts are what comes out of the pool. Does not return if the call was doomed, since this process
    /// is about to be killed.
    ///
    /// The call's own block is to be given back before this: it can be used again then at once.
    ///
    /// # Errors
    /// As [`Worker::take`]; [`Error::Os`] if there is no memory for the result, [`Error::Invalid`] if it is larger than can be: the call is not over then,
    /// and may be answered again.
    pub fn done(&mut self, ticket: &Ticket, status: u32, parts: &[&[u8]]) -> Result<()> {
        let parts: Vec<&[&[u8]]> = parts.iter().map(slice::from_ref).collect();
        self.done_in_pieces(ticket, status, &parts)
    }

    /// As [`Worker::done`], with parts each of which is put together from the pieces that are given.
    ///
    /// # Errors
    /// As there.
    pub fn done_in_pieces(&mut self, ticket: &Ticket, status: u32, parts: &[&[&[u8]]]) -> Result<()> {
        self.memory.check()?;
        let entry = ticket.entry;
        let space = parts::space(parts)
            .ok_or_else(|| Error::Invalid(format!("{} parts: allowed are up to {}", parts.len(), parts::MOST)))?;
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let call = [halves(entry.slot, entry.generation), halves(status, count)];
        if space.saturating_add(2 * 8) <= self.sender.longest() / SHARE {
            let record = parts::encode(parts, space);
            self.finish(entry)?;
            return self.tell(tag::HERE, &[&bytes(call), &record]);
        }
        self.wait_for_blocks()?;
        let Some(Lent { block, store }) = self.lender.lend(space)? else {
            return Err(Error::Invalid("all blocks of this worker are lent".into()));
        };
        let put = parts::lay(parts, |at, piece| store.write(at, piece)).and_then(|()| self.show(block, store.as_fd()));
        if let Err(error) = put {
            self.lender.reclaim(block.number);
            return Err(error);
        }
        self.finish(entry)?;
        let place = [halves(block.number, block.serial), halves(block.usage, 0), space as u64];
        self.tell(tag::IN_BLOCK, &[&bytes(call), &bytes(place)])?;
        // The parent's from now on.
        self.lender.over(block.number, 0);
        Ok(())
    }

    /// What the parent has not heard of yet is not given up: it may give it back as soon as it has.
    fn wait_for_blocks(&mut self) -> Result<()> {
        let Self { lender, sender, bell, .. } = self;
        if lender.must_give_up() {
            let all = sender.longest();
            bell.wait(Deadline::NEVER, || Ok(sender.has_room(all)? || !lender.must_give_up()))?;
        }
        Ok(())
    }

    /// Hands a block over that the parent has not met.
    pub(super) fn show(&mut self, block: BlockRef, memory: std::os::fd::BorrowedFd<'_>) -> Result<()> {
        let shown = &mut self.shown[block.number as usize];
        if *shown != block.serial {
            wire::send(&self.socket, block.number, block.serial, Some(memory))?;
            *shown = block.serial;
        }
        Ok(())
    }

    /// The call can not be doomed any more; or it was, and this is the end.
    pub(super) fn finish(&self, entry: Entry) -> Result<()> {
        let gone = || Error::Failed("the call's slot is another one's: the shared memory is damaged".into());
        let word = self.slots.word(entry.slot).ok_or_else(gone)?;
        if table::change(word, entry.generation, State::Claimed(self.by), State::Done(self.by)) {
            return Ok(());
        }
        if State::of(word.load(Ordering::Acquire), entry.generation) != Some(State::Doomed(self.by)) {
            return Err(gone());
        }
        loop {
            std::thread::park();
        }
    }

    pub(super) fn tell(&mut self, tag: u32, parts: &[&[u8]]) -> Result<()> {
        let Self { sender, bell, full, index, parents_bell, .. } = self;
        tell(sender, bell, (full, *index, parents_bell), tag, parts)
    }
}

fn bytes_of_need(block: BlockRef) -> Vec<u8> {
    bytes([halves(block.number, block.serial)])
}

/// Sends a record, waits for room if need be, and has the parent look.
fn tell(
    sender: &mut Sender,
    bell: &mut Doorbell,
    (full, index, parents_bell): (&Bits, usize, &Doorbell),
    tag: u32,
    parts: &[&[u8]],
) -> Result<()> {
    let length = parts.iter().map(|part| part.len()).sum();
    if !sender.has_room(length)? {
        bell.wait(Deadline::NEVER, || sender.has_room(length))?;
    }
    sender.try_send_parts(tag, parts)?;
    full_fence();
    full.set(index);
    parents_bell.ring();
    Ok(())
}
