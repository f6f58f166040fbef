//! `libcoop.PortSet` and what its handlers see: the context, the batch, the counts.

mod batch;
mod context;
mod handler;
mod native;
mod process;
mod set;

pub(crate) use self::{
    batch::Batch,
    context::PortContext,
    native::coop_api,
    process::{ServedPort, begin_port},
    set::{PortSet, PortStats},
};
