//! What runs on the loop of the port's handler: what accepts, and one coroutine for each connection.

#![forbid(unsafe_code)]

use std::{future::poll_fn, sync::Arc, time::Duration};

use super::{
    super::worker::Worker,
    Closed, ConnectionId, Table,
    link::{Link, Turn},
};
use crate::{
    error::{Error, Result},
    event_loop::{sleep, stream::Stream},
    task,
};

/// Connections accepted, or reads of one connection, in a row: then others of the loop have their turn.
const IN_A_ROW: usize = 16;
/// After an error it accepts again so much later.
const PAUSE: Duration = Duration::from_millis(100);
/// Of errors in a row the first is told, and then each of so many: one in a minute.
const TOLD: usize = 600;

impl Table {
    /// On the handler's loop: accepts from now on.
    pub(in super::super) fn begin(&self, worker: &Arc<Worker>) -> Result<()> {
        worker.count_open(0);
        if self.listen(&worker.handle)? {
            worker.handle.spawn(accept(worker.clone()))?;
        }
        Ok(())
    }

    /// Sends what callbacks have written.
    pub(in super::super) fn flush(&self, worker: &Worker) {
        worker.counters.sent_bytes().add(self.send());
    }

    /// On the handler's loop, at the end of the port: tells the handler of each connection, and closes all.
    pub(in super::super) fn end(&self, worker: &Arc<Worker>) {
        self.close();
        for (id, link) in self.all() {
            // The port may end inside of the callback that tells it.
            if link.tell_end() {
                worker.call("on_close", |handler, ctx| handler.on_close(ctx, id, &Closed::Stopped));
            }
            self.remove(id);
            worker.counters.sent_bytes().add(link.end(false));
        }
        worker.count_open(0);
    }
}

async fn accept(worker: Arc<Worker>) {
    let Some(table) = &worker.connections else { return };
    let mut failures = 0;
    for turn in 1usize.. {
        match poll_fn(|cx| table.poll_accept(cx)).await {
            None | Some(Err(Error::Closed(_) | Error::Forked(_))) => return,
            Some(Ok(stream)) => {
                failures = 0;
                open(&worker, table, stream);
            }
            Some(Err(error)) => {
                worker.counters.errors().add(1);
                if failures % TOLD == 0 {
                    tracing::error!(target: "coop", "port {}: a connection was not accepted: {error}", worker.name);
                }
                failures += 1;
                if sleep(&worker.handle, PAUSE).await.is_err() {
                    return;
                }
            }
        }
        if turn % IN_A_ROW == 0 {
            task::yield_now().await;
        }
    }
}

fn open(worker: &Arc<Worker>, table: &Table, stream: Stream) {
    worker.counters.accepted().add(1);
    let (id, link) = table.add(stream);
    worker.count_open(table.len());
    let fine = worker.call("on_connect", |handler, ctx| handler.on_connect(ctx, id));
    if fine && worker.is_finished() {
        // The port has ended with this callback, and the connection with it.
        return;
    }
    let spawned = fine && worker.handle.spawn(serve(worker.clone(), id, link.clone())).is_ok();
    if !spawned {
        table.remove(id);
        link.end(false);
        worker.count_open(table.len());
        worker.counters.refused().add(1);
        worker.look_whether_done();
    }
}

async fn serve(worker: Arc<Worker>, id: ConnectionId, link: Arc<Link>) {
    let Some(table) = &worker.connections else { return };
    let mut reads = 0;
    let why = loop {
        let (mut scratch, mut sent) = (Vec::new(), 0);
        let turn = poll_fn(|cx| {
            scratch = table.scratch();
            let turn = link.turn(cx, &mut scratch, &mut sent);
            if turn.is_pending() {
                table.give_back(std::mem::take(&mut scratch));
                worker.counters.sent_bytes().add(std::mem::take(&mut sent));
            }
            turn
        })
        .await;
        worker.counters.sent_bytes().add(sent);
        let fine = match turn {
            Turn::Data(read) => {
                worker.counters.received_bytes().add(read);
                worker.call("on_data", |handler, ctx| handler.on_data(ctx, id, &scratch[..read]))
            }
            Turn::Drained => worker.call("on_drained", |handler, ctx| handler.on_drained(ctx, id)),
            Turn::End => worker.call("on_end", |handler, ctx| handler.on_end(ctx, id)),
            Turn::Close(why) => break why,
            Turn::Gone => return,
        };
        table.give_back(scratch);
        if !fine {
            break Closed::Fault;
        }
        reads += 1;
        if reads % IN_A_ROW == 0 {
            task::yield_now().await;
        }
    };
    if worker.is_finished() {
        return;
    }
    worker.counters.sent_bytes().add(link.end(why == Closed::Aborted));
    if link.tell_end() {
        worker.call("on_close", |handler, ctx| handler.on_close(ctx, id, &why));
    }
    table.remove(id);
    worker.count_open(table.len());
    worker.look_whether_done();
}
