//! TLS: to real servers, with certificates made here.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use coop_core::{
    Error,
    net::{
        redis::{Client, Options, Server as At},
        tls::{Identity, Pem, TlsOptions},
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::{
    ports::free_port,
    server::{Folder, LONG, Server, bulk, start_loop, status, wait_for},
};

/// An authority, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Pem {
        Pem::Bytes(self.0.pem().into_bytes())
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A server that has a certificate for `localhost`, and asks its clients for one or does not.
struct TlsServer {
    _server: Server,
    _folder: Folder,
    authority: Authority,
    port: u16,
}

impl TlsServer {
    fn start(asks: &str) -> Self {
        let (authority, folder, port) = (Authority::new(), Folder::new(), free_port());
        let (certificate, key) = authority.sign("localhost");
        let file = |name: &str, pem: &str| {
            let path = folder.0.join(name);
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (certificate, key) = (file("server.crt", &certificate), file("server.key", &key));
        let trusted = file("ca.crt", &authority.0.pem());
        let server = Server::with(&[
            "--tls-port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &trusted,
            "--tls-auth-clients",
            asks,
        ]);
        wait_for("the port listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { _server: server, _folder: folder, authority, port }
    }

    fn options(&self, host: &str, tls: TlsOptions) -> Options {
        let server = At::Tcp { host: host.into(), port: self.port };
        Options { server, tls: Some(tls), ..Options::default() }
    }

    fn trusting(&self) -> TlsOptions {
        TlsOptions { authorities: Some(self.authority.pem()), ..TlsOptions::default() }
    }
}

fn refused(options: Options, says: &str) {
    let event_loop = start_loop();
    let redis = Client::new(&event_loop, options).unwrap();
    match redis.command(&["PING"]).wait(LONG) {
        Err(error) => assert!(error.to_string().contains(says), "{error}"),
        Ok(reply) => panic!("{reply:?}"),
    }
}

#[test]
fn a_certificate_is_trusted_and_for_the_name_or_refused() {
    let (server, event_loop) = (TlsServer::start("no"), start_loop());
    let redis = Client::new(&event_loop, server.options("localhost", server.trusting())).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    let large = "x".repeat(3_000_000);
    assert_eq!(redis.command(&["SET", "k", &large]).wait(LONG), Ok(status("OK")));
    assert!(redis.command(&["GET", "k"]).wait(LONG).unwrap().as_str() == Some(&large));
    let calls: Vec<_> = (0..1000).map(|n| (n, redis.command(&["ECHO", &n.to_string()]))).collect();
    for (n, mut call) in calls {
        assert_eq!(call.wait(LONG).unwrap().into_int(), Ok(n));
    }

    let by_url = Options::from_url(&format!("rediss://localhost:{}/2", server.port)).unwrap();
    refused(by_url.clone(), "the server's certificate is not trusted");
    let redis = Client::new(&event_loop, Options { tls: Some(server.trusting()), ..by_url }).unwrap();
    assert!(redis.command(&["CLIENT", "INFO"]).wait(LONG).unwrap().as_str().unwrap().contains("db=2"));

    refused(server.options("127.0.0.1", server.trusting()), "not for the name \"127.0.0.1\"");
    let other = TlsOptions { authorities: Some(Authority::new().pem()), ..TlsOptions::default() };
    refused(server.options("localhost", other), "the server's certificate is not trusted");
    let named = TlsOptions { server_name: Some("localhost".into()), ..server.trusting() };
    let redis = Client::new(&event_loop, server.options("127.0.0.1", named)).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")), "the name that was asked for instead");
}

#[test]
fn a_server_that_asks_who_it_is_is_told() {
    let (server, event_loop) = (TlsServer::start("yes"), start_loop());
    let with = |(certificate, key): (String, String)| TlsOptions {
        identity: Some(Identity {
            certificates: Pem::Bytes(certificate.into_bytes()),
            key: Pem::Bytes(key.into_bytes()),
        }),
        ..server.trusting()
    };
    let options = server.options("localhost", with(server.authority.sign("client")));
    let redis = Client::new(&event_loop, options).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    refused(server.options("localhost", server.trusting()), &format!("redis at localhost:{}", server.port));
    let stranger = server.options("localhost", with(Authority::new().sign("client")));
    refused(stranger, &format!("redis at localhost:{}", server.port));
}

#[test]
fn tls_with_one_that_speaks_none_fails() {
    let port = free_port();
    let _server = Server::with(&["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    let tls = TlsOptions { authorities: Some(Authority::new().pem()), ..TlsOptions::default() };
    let server = At::Tcp { host: "localhost".into(), port };
    // It waits for more of what it takes for a command.
    let connect_timeout = Some(Duration::from_millis(100));
    refused(Options { server, tls: Some(tls), connect_timeout, ..Options::default() }, "not done within 100ms");
}

#[test]
fn files_that_are_no_certificates_are_refused_at_once() {
    let (event_loop, folder) = (start_loop(), Folder::new());
    let empty = folder.0.join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let with = |tls| Client::new(&event_loop, Options { tls: Some(tls), ..Options::default() }).map(drop);
    match with(TlsOptions { authorities: Some(Pem::File("/nonexistent/ca.pem".into())), ..TlsOptions::default() }) {
        Err(Error::Os { context, .. }) => assert!(context.contains("/nonexistent/ca.pem"), "{context}"),
        other => panic!("{other:?}"),
    }
    match with(TlsOptions { authorities: Some(Pem::File(empty)), ..TlsOptions::default() }) {
        Err(Error::Invalid(text)) => assert!(text.contains("empty.pem"), "{text}"),
        other => panic!("{other:?}"),
    }
    let authority = Authority::new();
    let ((certificate, _), (_, key)) = (authority.sign("a"), authority.sign("b"));
    let identity = Identity { certificates: Pem::Bytes(certificate.into()), key: Pem::Bytes(key.into()) };
    let mismatch = TlsOptions { identity: Some(identity), authorities: Some(authority.pem()), ..TlsOptions::default() };
    assert!(matches!(with(mismatch), Err(Error::Invalid(_))));
    let name =
        TlsOptions { server_name: Some("no name".into()), authorities: Some(authority.pem()), ..TlsOptions::default() };
    assert!(matches!(with(name), Err(Error::Invalid(_))));
}

/// What comes, a few bytes at a time.
fn dribble(mut from: TcpStream, mut to: TcpStream) {
    let mut some = [0; 1000];
    while let Ok(read @ 1..) = from.read(&mut some) {
        for piece in some[..read].chunks(7) {
            if to.write_all(piece).is_err() {
                return;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn one_that_closes_in_the_handshake_is_tried_again_and_records_may_come_in_pieces() {
    let (server, event_loop) = (TlsServer::start("no"), start_loop());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (between, behind) = (listener.local_addr().unwrap().port(), server.port);
    let proxy = thread::spawn(move || {
        // As one does whose server is being started again.
        let (mut early, _) = listener.accept().unwrap();
        assert!(early.read(&mut [0; 10_000]).unwrap() > 0);
        drop(early);
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(("127.0.0.1", behind)).unwrap();
        for stream in [&near, &far] {
            stream.set_nodelay(true).unwrap();
        }
        let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let back = thread::spawn(move || dribble(far_too, near_too));
        dribble(near, far);
        back.join().unwrap();
    });
    let at = At::Tcp { host: "localhost".into(), port: between };
    let options = Options { server: at, patience: LONG, ..server.options("localhost", server.trusting()) };
    let redis = Client::new(&event_loop, options).unwrap();
    assert_eq!(redis.command(&["PING"]).wait(LONG), Ok(status("PONG")));
    let large = "x".repeat(100_000);
    assert_eq!(redis.command(&["SET", "k", &large]).wait(LONG), Ok(status("OK")));
    assert_eq!(redis.command(&["GET", "k"]).wait(LONG), Ok(bulk(large)));
    assert_eq!(redis.stats().unwrap().connect_failures, 1);
    redis.close().unwrap();
    proxy.join().unwrap();
}
