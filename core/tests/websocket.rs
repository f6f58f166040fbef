//! A websocket over the library's streams: tungstenite's protocol, both sides, messages of all sizes, and the closing handshake.

use std::time::Duration;

use async_tungstenite::{WebSocketStream, accept_async, client_async, tungstenite::Message};
use coop_core::{
    EventLoop, EventLoopOptions,
    event_loop::stream::{ConnectOptions, ListenOptions, Stream},
};

const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// The next message; none after the closing handshake, which goes on while it is waited for.
async fn next(socket: &mut WebSocketStream<Stream>) -> Option<Message> {
    use futures_util::StreamExt;
    loop {
        match socket.next().await?.unwrap() {
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
            other => return Some(other),
        }
    }
}

#[test]
fn an_echo_of_messages_of_all_sizes() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let address = listener.local_addr().as_ip().unwrap();
    let mut server = event_loop
        .spawn(async move {
            let mut socket = accept_async(listener.accept().await.unwrap()).await.unwrap();
            let mut echoed = 0;
            while let Some(message) = next(&mut socket).await {
                socket.send(message).await.unwrap();
                echoed += 1;
            }
            echoed
        })
        .unwrap();
    let handle = event_loop.handle();
    let mut client = event_loop
        .spawn(async move {
            let stream = handle.connect_addr(address, &ConnectOptions::default()).await.unwrap();
            let (mut socket, _) = client_async("ws://localhost/echo", stream).await.unwrap();
            for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
                let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
                let message = Message::binary(bytes);
                socket.send(message.clone()).await.unwrap();
                assert!(next(&mut socket).await == Some(message), "{size} bytes came back changed");
            }
            socket.send(Message::text("grüße")).await.unwrap();
            assert_eq!(next(&mut socket).await, Some(Message::text("grüße")));
            socket.close(None).await.unwrap();
            assert_eq!(next(&mut socket).await, None);
        })
        .unwrap();
    client.join(LONG).unwrap();
    assert_eq!(server.join(LONG).unwrap(), 8);
}
