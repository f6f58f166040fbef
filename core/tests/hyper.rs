//! hyper 1 over the library's streams: a server and a client, each connection a coroutine of a loop, with the loop as timer.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use coop_core::{
    EventLoop, EventLoopOptions,
    event_loop::{
        Handle,
        stream::{ConnectOptions, ListenOptions, Stream},
    },
};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming},
    client, header,
    rt::{Executor, Timer},
    server,
    service::service_fn,
};

const LONG: Option<Duration> = Some(Duration::from_secs(60));
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 160;

/// A body of 10 MB whose length is not said before; the n-th chunk from the end is made of n's.
struct Chunks(usize);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        let chunk = vec![u8::try_from(self.0).unwrap(); CHUNK];
        Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.len() == CHUNK * CHUNKS
        && bytes.chunks(CHUNK).zip((0..CHUNKS).rev()).all(|(chunk, n)| chunk.iter().all(|byte| usize::from(*byte) == n))
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

fn answer(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(http_body_util::Full::from(text).boxed());
    *answer.status_mut() = status;
    answer
}

async fn serve(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/chunks") => Ok(Response::new(Chunks(CHUNKS).boxed())),
        (&Method::POST, "/whole") => {
            let bytes = request.into_body().collect().await?.to_bytes();
            Ok(answer(StatusCode::OK, format!("{} {}", bytes.len(), is_whole(&bytes))))
        }
        (_, path) => Ok(answer(StatusCode::NOT_FOUND, format!("no {path}"))),
    }
}

async fn accept(event_loop: Handle, listener: coop_core::event_loop::stream::Listener, head_within: Option<Duration>) {
    while let Ok(stream) = listener.accept().await {
        let timer = event_loop.clone();
        event_loop.execute(async move {
            let mut http = server::conn::http1::Builder::new();
            http.timer(timer).header_read_timeout(head_within);
            http.serve_connection(stream, service_fn(serve)).await
        });
    }
}

async fn connect(event_loop: &Handle, port: u16) -> client::conn::http1::SendRequest<BoxBody<Bytes, Infallible>> {
    let options = ConnectOptions { timeout: LONG, ..ConnectOptions::default() };
    let stream: Stream = event_loop.connect("127.0.0.1", port, &options).await.unwrap();
    let (sender, connection) = client::conn::http1::handshake(stream).await.unwrap();
    event_loop.execute(connection);
    sender
}

fn request(method: Method, path: &str, body: BoxBody<Bytes, Infallible>) -> Request<BoxBody<Bytes, Infallible>> {
    Request::builder().method(method).uri(path).header(header::HOST, "localhost").body(body).unwrap()
}

#[test]
fn a_server_and_a_client_with_keep_alive_and_chunked_bodies() {
    let (servers, clients) = (started(), started());
    let listener = servers.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let port = listener.local_addr().as_ip().unwrap().port();
    servers.spawn(accept(servers.handle(), listener, LONG)).unwrap();

    let handle = clients.handle();
    let mut client = clients
        .spawn(async move {
            // One connection for all of it.
            let mut sender = connect(&handle, port).await;
            for n in 0..3 {
                sender.ready().await.unwrap();
                let missing = request(Method::GET, &format!("/{n}"), http_body_util::Empty::new().boxed());
                let answer = sender.send_request(missing).await.unwrap();
                assert_eq!(answer.status(), StatusCode::NOT_FOUND);
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), format!("no /{n}"));

                sender.ready().await.unwrap();
                let up = request(Method::POST, "/whole", Chunks(CHUNKS).boxed());
                let answer = sender.send_request(up).await.unwrap();
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "10485760 true");

                sender.ready().await.unwrap();
                let down = request(Method::GET, "/chunks", http_body_util::Empty::new().boxed());
                let answer = sender.send_request(down).await.unwrap();
                assert_eq!(answer.headers()[header::TRANSFER_ENCODING], "chunked");
                assert!(is_whole(&answer.into_body().collect().await.unwrap().to_bytes()));
            }
        })
        .unwrap();
    client.join(LONG).unwrap();
}

#[test]
fn a_head_that_does_not_come_is_given_up_by_the_loops_timer() {
    let event_loop = started();
    let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let address = listener.local_addr().as_ip().unwrap();
    event_loop.spawn(accept(event_loop.handle(), listener, Some(Duration::from_secs(1)))).unwrap();
    let handle = event_loop.handle();
    let mut client = event_loop
        .spawn(async move {
            let stream = handle.connect_addr(address, &ConnectOptions::default()).await.unwrap();
            stream.write_all(b"GET / HT").await.unwrap();
            let mut rest = Vec::new();
            // It ends, in whatever way.
            let _ = stream.read_to_end(&mut rest).await;
            Timer::sleep(&handle, Duration::from_millis(1)).await;
        })
        .unwrap();
    client.join(LONG).unwrap();
}

fn started() -> EventLoop {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    event_loop
}

#[test]
fn its_timer_takes_every_time() {
    let event_loop = started();
    let handle = event_loop.handle();
    let mut sleeping = event_loop
        .spawn(async move {
            let now = std::time::Instant::now();
            let years = Duration::from_secs(100 * 365 * 24 * 3600);
            let late = [Duration::MAX, Duration::from_nanos(u64::MAX), years].map(|time| handle.sleep(time));
            let later = handle.sleep_until(now + years);
            let past = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
            for soon in [handle.sleep(Duration::ZERO), handle.sleep(Duration::from_nanos(1)), handle.sleep_until(past)]
            {
                soon.await;
            }
            for mut late in late.into_iter().chain([later]) {
                let polled = std::future::poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx))).await;
                assert!(polled.is_pending());
                handle.reset(&mut late, past);
                late.await;
            }
        })
        .unwrap();
    sleeping.join(LONG).unwrap();
}
