//! The text of a notification: lines of `NAME=value`.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::supervisor::event::cut;

/// The longest error, in bytes.
const FAILED: usize = 4096;

/// What is known of the protocol. The rest (`FDSTORE`, `MONOTONIC_USEC`, …) is ignored, as are values that are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Ready,
    Stopping,
    Reloading,
    Status(String),
    Errno(i32),
    Beat,
    Trigger,
    Watchdog(Duration),
    Extend(Duration),
    MainPid(String),
    Barrier,
    /// Of this library: the error that it is about to end with.
    Failed(String),
    /// Of this library: its runtime runs.
    Alive,
    /// Of this library: its start asks not to be run.
    Ignore,
    /// Of this library: which events an observer in the child wants, as JSON.
    Observe(String),
}

/// The fields of a message, in their order.
pub(super) fn parse(message: &[u8]) -> impl Iterator<Item = Field> {
    message.split(|byte| *byte == b'\n').filter_map(field)
}

fn field(line: &[u8]) -> Option<Field> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&line[..at], &line[at + 1..]);
    let text = || String::from_utf8_lossy(value).into_owned();
    match (name, value) {
        (b"READY", b"1") => Some(Field::Ready),
        (b"STOPPING", b"1") => Some(Field::Stopping),
        (b"RELOADING", b"1") => Some(Field::Reloading),
        (b"WATCHDOG", b"1") => Some(Field::Beat),
        (b"WATCHDOG", b"trigger") => Some(Field::Trigger),
        (b"X_COOP_ALIVE", b"1") => Some(Field::Alive),
        (b"X_COOP_IGNORE", b"1") => Some(Field::Ignore),
        (b"BARRIER", b"1") => Some(Field::Barrier),
        (b"STATUS", _) => Some(Field::Status(text())),
        (b"X_COOP_FAILED", _) => Some(Field::Failed(cut(&text(), FAILED).to_owned())),
        (b"MAINPID", _) => Some(Field::MainPid(text())),
        (b"X_COOP_OBSERVE", _) => Some(Field::Observe(text())),
        (b"ERRNO", _) => number(value).and_then(|number| i32::try_from(number).ok()).map(Field::Errno),
        (b"WATCHDOG_USEC", _) => {
            number(value).filter(|time| *time > 0).map(|time| Field::Watchdog(Duration::from_micros(time)))
        }
        (b"EXTEND_TIMEOUT_USEC", _) => number(value).map(|time| Field::Extend(Duration::from_micros(time))),
        _ => None,
    }
}

/// Decimal digits only; not more than fit.
fn number(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod test {
    use proptest::prelude::*;

    use super::*;

    fn parsed(message: &[u8]) -> Vec<Field> {
        parse(message).collect()
    }

    #[test]
    fn each_field_is_read() {
        let text = b"READY=1\nSTATUS=a = b\nERRNO=2\nWATCHDOG=1\nWATCHDOG=trigger\nWATCHDOG_USEC=20\nEXTEND_TIMEOUT_USEC=0\nMAINPID=7\nBARRIER=1\nSTOPPING=1\nRELOADING=1\nX_COOP_OBSERVE={}\nX_COOP_ALIVE=1\nX_COOP_IGNORE=1\nX_COOP_FAILED=ValueError: 7\n";
        let wanted = [
            Field::Ready,
            Field::Status("a = b".into()),
            Field::Errno(2),
            Field::Beat,
            Field::Trigger,
            Field::Watchdog(Duration::from_micros(20)),
            Field::Extend(Duration::ZERO),
            Field::MainPid("7".into()),
            Field::Barrier,
            Field::Stopping,
            Field::Reloading,
            Field::Observe("{}".into()),
            Field::Alive,
            Field::Ignore,
            Field::Failed("ValueError: 7".into()),
        ];
        assert_eq!(parsed(text), wanted);
    }

    #[test]
    fn what_is_none_is_ignored() {
        let text = b"READY=0\nREADY\nready=1\n READY=1\nREADY=1 \nERRNO=-1\nERRNO=99999999999\nERRNO=\nWATCHDOG=2\nWATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=1e3\nFDSTORE=1\n=\n\n\0";
        assert_eq!(parsed(text), []);
        assert_eq!(
            parsed(b"EXTEND_TIMEOUT_USEC=18446744073709551615"),
            [Field::Extend(Duration::from_micros(u64::MAX))]
        );
        assert_eq!(parsed(b"EXTEND_TIMEOUT_USEC=18446744073709551616"), []);
        let long = [b"X_COOP_FAILED=".as_slice(), &[b'x'; 7000]].concat();
        assert_eq!(parsed(&long), [Field::Failed("x".repeat(FAILED))]);
        assert_eq!(parsed(b"STATUS=\xff"), [Field::Status("\u{fffd}".into())]);
    }

    proptest! {
        #[test]
        fn any_message_is_taken(message in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(parsed(&message).len() <= message.split(|byte| *byte == b'\n').count());
        }

        #[test]
        fn fields_are_found_among_others(
            before in "[^\n]{0,40}", after in "[^\n]{0,40}", status in "[^\n]{0,80}", time in any::<u64>(),
        ) {
            let known = |text: &str| parsed(text.as_bytes());
            let text = format!("{before}\nSTATUS={status}\nEXTEND_TIMEOUT_USEC={time}\n{after}");
            let mut wanted = known(&before);
            wanted.extend([Field::Status(status), Field::Extend(Duration::from_micros(time))]);
            wanted.extend(known(&after));
            prop_assert_eq!(known(&text), wanted);
        }
    }
}
