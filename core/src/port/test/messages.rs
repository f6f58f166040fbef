//! How many messages wait for a port of this process.

use super::*;

/// Is in its first message until it is told to go on.
struct Slow {
    goes_on: Receiver<()>,
    heard: Sender<usize>,
}

impl Handler for Slow {
    fn on_message(&mut self, _: &Context, _: &str, message: Message) -> Outcome {
        let length = message.downcast_ref::<Bytes>().map_or(0, |bytes| bytes.0.len());
        let _ = self.heard.send(length);
        if length == 0 {
            let _ = self.goes_on.recv_timeout(LONG);
        }
        Ok(())
    }
}

#[test]
fn a_port_that_does_not_keep_up_refuses_messages_and_takes_them_again() {
    for mode in [Mode::Single, Mode::Thread] {
        let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
        event_loop.start().unwrap();
        let mut options = match mode {
            Mode::Single => PortSetOptions::single(event_loop.handle()),
            _ => PortSetOptions::threads(),
        };
        options.message_bytes = 4096;
        let ((go_on, goes_on), (heard, told)) = (mpsc::channel(), mpsc::channel());
        let set = PortSet::new(options, vec![port("SLOW", Slow { goes_on, heard })]).unwrap();
        set.start().unwrap();
        let send = |length: usize| set.send("SLOW", Box::new(Bytes(vec![7; length])));
        send(0).unwrap();
        assert_eq!(told.recv_timeout(LONG), Ok(0));
        let mut waiting = 0;
        let refused = loop {
            match send(8) {
                Ok(()) => waiting += 1,
                Err(refused) => break refused,
            }
        };
        assert_eq!(waiting, 4096 / 16);
        assert!(matches!(&refused.error, Error::QueueFull { .. }) && refused.error.to_string().contains("4096"));
        assert_eq!(refused.value.downcast_ref::<Bytes>().map(|bytes| bytes.0.len()), Some(8), "it comes back");
        let long = send(4089).unwrap_err().error;
        assert!(matches!(&long, Error::Invalid(text) if text.contains("4089") && text.contains("4088")), "{long}");
        go_on.send(()).unwrap();
        for _ in 0..waiting {
            assert_eq!(told.recv_timeout(LONG), Ok(8));
        }
        send(4088).unwrap();
        assert_eq!(told.recv_timeout(LONG), Ok(4088));
        set.stop(Some(LONG)).unwrap();
    }
}

#[test]
fn what_may_wait_is_a_power_of_two_in_each_mode() {
    for mut options in [PortSetOptions::threads(), PortSetOptions::processes()] {
        for message_bytes in [0, 32, 1000, 1 << 32] {
            options.message_bytes = message_bytes;
            let refused = options.check(["P"]).unwrap_err().to_string();
            assert!(refused.contains(&format!("message_bytes {message_bytes}")) && refused.contains("64"), "{refused}");
        }
    }
}
