//! The system's calls where there is no `recvmmsg`: one datagram per call, neither GRO nor GSO.

#![forbid(unsafe_code)]

use std::{
    io::{Error, ErrorKind, Result},
    net::UdpSocket,
};

use super::{
    outgoing,
    receiver::{Message, Receiver},
};

pub(super) fn has_gso(_: &UdpSocket) -> bool {
    false
}

pub(super) fn kernel_dropped(_: &UdpSocket) -> Result<u32> {
    Err(Error::from(ErrorKind::Unsupported))
}

pub(super) fn enable_gro(_: &UdpSocket) -> Result<()> {
    Err(Error::from(ErrorKind::Unsupported))
}

pub(super) fn enable_times(_: &UdpSocket) -> Result<()> {
    Err(Error::from(ErrorKind::Unsupported))
}

/// Fills slots until one call fails; the error is answered only if nothing came before it.
pub(super) fn receive(socket: &UdpSocket, receiver: &mut Receiver, _times: bool) -> Result<()> {
    let (slots, messages) = receiver.slots();
    for slot in slots {
        match socket.recv_from(slot) {
            // A longer datagram fills the slot and is cut without a word: a full slot below the largest may be one.
            Ok((length, from)) => {
                let truncated = length == slot.len() && length < Receiver::MAX_SLOT;
                messages.push(Message { length, segment: 0, from, truncated, at_ns: 0 });
            }
            Err(error) if messages.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(())
}

/// Sends until one call fails; the error is answered only if nothing was sent before it.
pub(super) fn send<'a>(socket: &UdpSocket, messages: impl Iterator<Item = outgoing::Message<'a>>) -> Result<usize> {
    let mut sent = 0;
    for message in messages {
        let result = match message.to {
            Some(to) => socket.send_to(message.data, to),
            None => socket.send(message.data),
        };
        match result {
            Ok(_) => sent += 1,
            Err(error) if sent == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(sent)
}
