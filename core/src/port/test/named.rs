//! Handlers by their names, and what they save.

use super::*;

/// Answers with its arguments, and with what it saved the last time, and saves what came.
struct Keeper {
    args: Vec<u8>,
}

impl Handler for Keeper {
    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        for index in 0..batch.len() {
            let (data, from) = batch.get(index);
            let before = ctx.saved().unwrap().unwrap_or_default();
            ctx.sendto(&[&self.args, &before[..]].concat(), Some(from)).unwrap();
            ctx.save(data).map_err(|error| Fault::new(error.to_string()))?;
        }
        Ok(())
    }
}

fn handlers() -> Handlers {
    Handlers::new()
        .handler("keeper", |ctx, args| {
            assert_eq!(ctx.run(), 1);
            Ok(Keeper { args: args.to_vec() })
        })
        .otherwise(|name, args| match name {
            "looked up" => {
                let build: Build = Box::new(move |_: &Context| Ok(Box::new(Keeper { args }) as Box<dyn Handler>));
                Some(Ok(build))
            }
            "refused" => Some(Err(Error::Invalid("not this one".into()))),
            _ => None,
        })
}

fn options(mode: Mode) -> (PortSetOptions, EventLoop) {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let options =
        PortSetOptions { mode, handlers: handlers(), saved_bytes: 100, ..PortSetOptions::single(event_loop.handle()) };
    (options, event_loop)
}

#[test]
fn a_named_handler_is_made_with_its_arguments_and_keeps_what_it_saved() {
    for mode in MODES {
        let (options, _loop) = options(mode);
        let ports = ["keeper", "looked up"].map(|handler| Port::named(handler, local(), handler).args(handler));
        let set = PortSet::new(options, ports.into()).unwrap();
        set.start().unwrap();
        for (name, address) in set.addresses().unwrap() {
            let client = StdSocket::bind(local()).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            let ask = |data: &[u8]| {
                client.send_to(data, address).unwrap();
                let mut answer = [0; 1000];
                let length = client.recv(&mut answer).unwrap();
                String::from_utf8(answer[..length].to_vec()).unwrap()
            };
            assert_eq!(
                [ask(b"1"), ask(b""), ask(&[7; 101]), ask(b"x")],
                [name.clone(), format!("{name}1"), name.clone(), name.clone()]
            );
        }
        set.stop(Some(LONG)).unwrap();
        let stats: Vec<_> = set.stats().unwrap().into_iter().map(|(_, stats)| (stats.errors, stats.restarts)).collect();
        assert_eq!(stats, [(1, 0), (1, 0)], "what is longer than it may save is a fault");
    }
}

#[test]
fn a_name_that_is_not_there_is_refused_before_anything_is_made() {
    let (options, _loop) = options(Mode::Thread);
    let refused = |options: &PortSetOptions, handler: &str| {
        let port = Port::named("P", local(), handler);
        PortSet::new(options.clone(), vec![port]).unwrap_err().to_string()
    };
    let error = refused(&options, "keper");
    assert!(error.contains("\"P\"") && error.contains("\"keper\"") && error.contains("\"keeper\""), "{error}");
    assert!(refused(&options, "refused").contains("not this one"));
    assert!(refused(&PortSetOptions::threads(), "keeper").contains("none"));
    let much = PortSetOptions { saved_bytes: usize::MAX, ..options.clone() };
    assert!(refused(&much, "keeper").contains("saved_bytes"));
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_go_to_another_process_is_refused() {
    let (options, _loop) = options(Mode::Process);
    let closure = PortSet::new(options.clone(), vec![port("P", Keeper { args: Vec::new() })]).unwrap_err().to_string();
    assert!(closure.contains("\"P\"") && closure.contains("closure"), "{closure}");
    let slash = PortSet::new(options, vec![Port::named("a/b", local(), "keeper")]).unwrap_err().to_string();
    assert!(slash.contains("\"a/b\""), "{slash}");
}
