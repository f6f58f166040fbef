//! Lines as they are written.

#![forbid(unsafe_code)]

use std::{
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{Format, Line};

#[derive(Serialize)]
struct Json<'a> {
    time: String,
    service: &'a str,
    pid: i32,
    stream: &'a str,
    line: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    goes_on: bool,
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Appends the line, with its newline.
pub(super) fn append(text: &mut String, line: &Line, format: Format) {
    // Writing to a String does not fail, and what is written as JSON has nothing in it that could.
    match format {
        Format::Prefixed => {
            let _ = writeln!(text, "{} | {}", line.service, line.text);
        }
        Format::Json => {
            let json = Json {
                time: rfc3339(line.time),
                service: &line.service,
                pid: line.pid,
                stream: line.stream.name(),
                line: &line.text,
                goes_on: line.goes_on,
                dropped: line.dropped,
            };
            text.push_str(&serde_json::to_string(&json).unwrap_or_default());
            text.push('\n');
        }
    }
}

/// `2026-11-22T00:12:48.123456Z`
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second, micros) = (second / 3600, second / 60 % 60, second % 60, since.subsec_micros());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar: in years that begin in March, a leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + 400 * era + next, month, day)
}

#[cfg(test)]
mod test {
    use std::time::Duration;

    use super::{super::Stream, *};

    #[test]
    fn a_line_is_written_with_its_service() {
        let time = UNIX_EPOCH + Duration::from_micros(1_709_210_096_000_007);
        let mut line = Line {
            time,
            service: "web/1".into(),
            pid: 7,
            stream: Stream::Stderr,
            text: "a \"quoted\"\ttext".into(),
            goes_on: false,
            dropped: 0,
        };
        let mut text = String::new();
        append(&mut text, &line, Format::Prefixed);
        assert_eq!(text, "web/1 | a \"quoted\"\ttext\n");
        text.clear();
        append(&mut text, &line, Format::Json);
        line.dropped = 3;
        append(&mut text, &line, Format::Json);
        let whole = r#"{"time":"2024-02-29T12:34:56.000007Z","service":"web/1","pid":7,"stream":"stderr","line":"a \"quoted\"\ttext""#;
        assert_eq!(text, format!("{whole}}}\n{whole},\"dropped\":3}}\n"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, wanted) in [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_453, (2025, 12, 31)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), wanted);
        }
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000000Z");
    }
}
