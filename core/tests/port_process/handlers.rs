//! The handlers of the ports under test.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::id,
    thread::sleep,
    time::Duration,
};

use coop_core::{
    event_loop::TimerId,
    port::{Batch, Bytes, ConnectionId, Context, Encoded, Fault, Handler, Handlers, Message, Outcome},
};

pub(crate) fn handlers() -> Handlers {
    Handlers::new()
        .handler("echo", |_, _| Ok(Echo))
        .handler("counts", |ctx, _| Ok(Counts { count: number(&ctx.saved().map_err(fault)?.unwrap_or_default()) }))
        .handler("no_start", |_, args| Err::<Echo, _>(Fault::new(String::from_utf8_lossy(args))))
        .handler("late", |_, _| Ok(Late))
        .handler("talks", |ctx, _| {
            Ok(Talks { last: number(&ctx.saved().map_err(fault)?.unwrap_or_default()), ..Talks::default() })
        })
        .handler("dies", |_, _| Ok(Dies))
        .handler("stream", |_, _| Ok(Stream))
        .handler("switched", |_, args| {
            Ok(Switched { path: String::from_utf8_lossy(args).into_owned().into(), ..Switched::default() })
        })
        .handler("tally", |ctx, _| Ok(Tally::of(&ctx.saved().map_err(fault)?.unwrap_or_default())))
}

fn fault(error: coop_core::Error) -> Fault {
    Fault::new(error.to_string())
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Writes over all that the processes of the set share.
fn garbage() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        if fs::read_link(&path).is_ok_and(|name| name.to_string_lossy().contains("coop-ports")) {
            let file = fs::OpenOptions::new().write(true).open(&path)?;
            let length = file.metadata()?.len();
            file.write_all_at(&vec![0xa5; usize::try_from(length).unwrap_or(0)], 0)?;
        }
    }
    Ok(())
}

/// Answers each datagram with itself; some words are orders.
struct Echo;

impl Handler for Echo {
    fn on_start(&mut self, ctx: &Context) -> Outcome {
        ctx.set_timer(Duration::from_millis(10), None).map(drop).map_err(fault)
    }

    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        for index in 0..batch.len() {
            batch.index = index;
            let (data, from) = batch.get(index);
            match data {
                b"fault" => return Err(Fault::new("on purpose")),
                b"panic" => panic!("on purpose"),
                b"stop" => ctx.stop(),
                b"pid" => ctx.sendto(id().to_string().as_bytes(), Some(from)).map_err(fault)?,
                b"run" => ctx
                    .sendto(format!("{} {:?} {}", ctx.run(), ctx.mode(), ctx.name()).as_bytes(), Some(from))
                    .map_err(fault)?,
                b"garbage" => garbage().map_err(|error| Fault::new(error.to_string()))?,
                b"exit" => std::process::exit(0),
                b"block" => sleep(Duration::from_secs(7)),
                b"hang" => loop {
                    sleep(Duration::from_secs(600));
                },
                b"timer" => ctx.sendto(&ctx.saved().map_err(fault)?.unwrap_or_default(), Some(from)).map_err(fault)?,
                _ => ctx.sendto(data, Some(from)).map_err(fault)?,
            }
        }
        Ok(())
    }

    fn on_timer(&mut self, ctx: &Context, _: TimerId) -> Outcome {
        ctx.save(b"timer").map_err(fault)
    }
}

/// Counts datagrams, saves how many, and answers that; panics on each 1000th of its run.
struct Counts {
    count: u64,
}

impl Handler for Counts {
    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        for index in 0..batch.len() {
            batch.index = index;
            let (_, from) = batch.get(index);
            self.count += 1;
            ctx.save(&self.count.to_le_bytes()).map_err(fault)?;
            assert!(!self.count.is_multiple_of(1000), "each 1000th");
            ctx.sendto(&self.count.to_le_bytes(), Some(from)).map_err(fault)?;
        }
        Ok(())
    }
}

/// Says goodbye to whoever sent last, by what it saved.
struct Late;

impl Handler for Late {
    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        let (_, from) = batch.get(0);
        ctx.save(from.to_string().as_bytes()).map_err(fault)?;
        ctx.sendto(b"heard", Some(from)).map_err(fault)
    }

    fn on_stop(&mut self, ctx: &Context) -> Outcome {
        let saved = ctx.saved().map_err(fault)?.unwrap_or_default();
        let Ok(to) = String::from_utf8_lossy(&saved).parse() else { return Ok(()) };
        ctx.sendto(b"goodbye", Some(to)).map_err(fault)
    }
}

/// Sends messages as it is told, and tells what it heard.
#[derive(Default)]
struct Talks {
    heard: Vec<String>,
    /// Numbers that came, the last one, which outlives its process, and those that were not larger than the one before.
    numbers: u64,
    last: u64,
    disorder: u64,
}

impl Handler for Talks {
    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        for index in 0..batch.len() {
            let (data, from) = batch.get(index);
            let order = String::from_utf8_lossy(data).into_owned();
            let words: Vec<_> = order.split(' ').collect();
            let answer = match words[..] {
                // To whom, with which tag, and what.
                ["send", to, tag, text] => {
                    let (tag, bytes) = (tag.parse().unwrap(), text.as_bytes().to_vec());
                    let message: Message =
                        if tag == 0 { Box::new(Bytes(bytes)) } else { Box::new(Encoded { tag, bytes }) };
                    ctx.send(to, message).map_or_else(|refused| refused.error.to_string(), |()| "sent".into())
                }
                // The same, of bytes that stay the handler's.
                ["lend", to, tag, text] => {
                    let sent = ctx.send_bytes(to, tag.parse().unwrap(), text.as_bytes());
                    sent.map_or_else(|error| error.to_string(), |()| "sent".into())
                }
                // To whom, from which number on, and how many.
                ["flood", to, first, count] => {
                    let (first, count): (u64, u64) = (first.parse().unwrap(), count.parse().unwrap());
                    let send = |number: &u64| ctx.send(to, Box::new(Bytes(number.to_le_bytes().to_vec()))).is_ok();
                    (first..first + count).take_while(send).count().to_string()
                }
                ["heard"] => self.heard.join(","),
                ["numbers"] => format!("{} {} {}", self.numbers, self.last, self.disorder),
                _ => "what?".into(),
            };
            ctx.sendto(answer.as_bytes(), Some(from)).map_err(fault)?;
        }
        Ok(())
    }

    fn on_message(&mut self, ctx: &Context, sender: &str, message: Message) -> Outcome {
        let (tag, bytes) = match message.downcast::<Bytes>() {
            Ok(bytes) => (0, bytes.0),
            Err(other) => {
                let encoded = other.downcast::<Encoded>().map_err(|_| Fault::new("neither bytes nor encoded"))?;
                (encoded.tag, encoded.bytes)
            }
        };
        if let Ok(number) = bytes.as_slice().try_into().map(u64::from_le_bytes) {
            self.disorder += u64::from(number <= self.last);
            (self.numbers, self.last) = (self.numbers + 1, number);
            return ctx.save(&number.to_le_bytes()).map_err(fault);
        }
        let text = match bytes.len() {
            0..100 => String::from_utf8_lossy(&bytes).into_owned(),
            long => long.to_string(),
        };
        self.heard.push(format!("{sender}:{tag}:{text}"));
        match bytes.as_slice() {
            b"ping" => ctx.send(sender, Box::new(Bytes(b"pong".to_vec()))).map_err(|refused| fault(refused.error)),
            _ => Ok(()),
        }
    }
}

/// Ends its process before it is ready.
struct Dies;

impl Handler for Dies {
    fn on_start(&mut self, _: &Context) -> Outcome {
        let _ = writeln!(io::stderr(), "the end of it");
        std::process::exit(7);
    }

    fn on_batch(&mut self, _: &Context, _: &mut Batch) -> Outcome {
        Ok(())
    }
}

/// Answers with what has come; some words are orders, when they come alone.
struct Stream;

impl Handler for Stream {
    fn on_data(&mut self, ctx: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        match bytes {
            b"pid" => ctx.write(connection, format!("{}\n", id()).as_bytes()).map_err(fault),
            b"fault" => Err(Fault::new("on purpose")),
            b"stop" => {
                ctx.stop();
                Ok(())
            }
            _ => ctx.write(connection, bytes).map_err(fault),
        }
    }
}

/// Starts as a file says that the test writes, and answers as [`Stream`].
#[derive(Default)]
struct Switched {
    path: PathBuf,
    heard: String,
    handed_over: u32,
}

impl Switched {
    fn is_to(&self, how: &str) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|now| now == how)
    }
}

impl Handler for Switched {
    fn on_start(&mut self, ctx: &Context) -> Outcome {
        let pid = self.path.with_extension(format!("run{}", ctx.run()));
        fs::write(pid, id().to_string()).map_err(|error| Fault::new(error.to_string()))?;
        while self.is_to("wait") {
            sleep(Duration::from_millis(1));
        }
        match fs::read_to_string(&self.path).as_deref() {
            Ok("ok" | "block") | Err(_) => Ok(()),
            Ok(other) => {
                ctx.save(b"of one that fails").map_err(fault)?;
                if other == "exit" {
                    std::process::exit(3);
                }
                Err(Fault::new(other))
            }
        }
    }

    fn on_data(&mut self, ctx: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        let answer = match bytes {
            b"heard" => self.heard.clone(),
            b"save" => format!("{:?}", ctx.save(b"state")),
            b"saved" => String::from_utf8_lossy(&ctx.saved().map_err(fault)?.unwrap_or_default()).into_owned(),
            b"run" => ctx.run().to_string(),
            b"handed over" => self.handed_over.to_string(),
            b"block" => {
                fs::write(self.path.with_extension("blocks"), []).map_err(|error| Fault::new(error.to_string()))?;
                while self.is_to("block") {
                    sleep(Duration::from_millis(1));
                }
                return Ok(());
            }
            _ => return Stream.on_data(ctx, connection, bytes),
        };
        ctx.write(connection, format!("{answer}\n").as_bytes()).map_err(fault)
    }

    fn on_message(&mut self, _: &Context, _: &str, message: Message) -> Outcome {
        let Ok(bytes) = message.downcast::<Bytes>() else { return Err(Fault::new("no bytes")) };
        self.heard = String::from_utf8_lossy(&bytes.0).into_owned();
        Ok(())
    }

    fn on_hand_over(&mut self, ctx: &Context) -> Outcome {
        self.handed_over += 1;
        ctx.save(b"handed over").map_err(fault)
    }
}

/// Counts the numbers that come, and sends them, each one larger than the one before: all of that outlives its process, by what it saves when
/// another one takes over.
struct Tally {
    /// How many came, the last one, how many were no larger, and how many were sent.
    numbers: [u64; 4],
}

impl Tally {
    fn of(saved: &[u8]) -> Self {
        let mut numbers = saved.chunks_exact(8).map(number);
        Self { numbers: [(); 4].map(|()| numbers.next().unwrap_or(0)) }
    }
}

impl Handler for Tally {
    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        for index in 0..batch.len() {
            let (data, from) = batch.get(index);
            let [count, last, disorder, sent] = self.numbers;
            let answer = match data {
                b"next" => match ctx.send("B", Box::new(Bytes((sent + 1).to_le_bytes().to_vec()))) {
                    Ok(()) => {
                        self.numbers[3] += 1;
                        "sent".into()
                    }
                    Err(refused) => refused.error.to_string(),
                },
                b"sent?" => sent.to_string(),
                _ => format!("{count} {last} {disorder}"),
            };
            ctx.sendto(answer.as_bytes(), Some(from)).map_err(fault)?;
        }
        Ok(())
    }

    fn on_message(&mut self, _: &Context, _: &str, message: Message) -> Outcome {
        let Ok(bytes) = message.downcast::<Bytes>() else { return Err(Fault::new("no bytes")) };
        let next = number(&bytes.0);
        self.numbers[0] += 1;
        self.numbers[2] += u64::from(next <= self.numbers[1]);
        self.numbers[1] = next;
        Ok(())
    }

    fn on_hand_over(&mut self, ctx: &Context) -> Outcome {
        ctx.save(&self.numbers.map(u64::to_le_bytes).concat()).map_err(fault)
    }
}
