//! `libcoop.PortSet` and what its handlers see: the context, the batch, the counts.

mod batch;
mod context;
mod handler;
mod set;

pub(crate) use self::{
    batch::Batch,
    context::PortContext,
    set::{PortSet, PortStats},
};
