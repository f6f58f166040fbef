//! Bytes cut into lines, and the last of them.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    io::{BufRead, Read},
};

use super::LINE;

/// Cuts what comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// A line that has not ended, shorter than [`LINE`].
    begun: Vec<u8>,
}

impl Cutter {
    /// Takes a piece, and calls `line` with each line that ends in it, and whether it goes on in the next.
    pub(super) fn feed(&mut self, mut piece: &[u8], mut line: impl FnMut(&[u8], bool)) {
        while !piece.is_empty() {
            let room = LINE + 1 - self.begun.len();
            // Reading from memory does not fail.
            let _ = piece.by_ref().take(room as u64).read_until(b'\n', &mut self.begun);
            match self.begun.strip_suffix(b"\n") {
                Some(ended) => {
                    line(ended.strip_suffix(b"\r").unwrap_or(ended), false);
                    self.begun.clear();
                }
                None if self.begun.len() > LINE => {
                    let cut = boundary(&self.begun, LINE);
                    line(&self.begun[..cut], true);
                    self.begun.drain(..cut);
                }
                None => {}
            }
        }
    }

    /// The last line, if it had no newline.
    pub(super) fn end(&mut self, line: impl FnOnce(&[u8])) {
        if !self.begun.is_empty() {
            line(&std::mem::take(&mut self.begun));
        }
    }
}

/// The last place up to `at` where no character is cut in two; `at` itself if there is none near.
fn boundary(text: &[u8], at: usize) -> usize {
    let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    (at.saturating_sub(3)..=at).rev().find(|at| !is_inside(*at)).unwrap_or(at)
}

/// The last lines; those that go are used for those that come.
#[derive(Debug)]
pub(super) struct Tail {
    lines: VecDeque<Vec<u8>>,
    most: usize,
}

impl Tail {
    pub(super) fn new(most: usize) -> Self {
        Self { lines: VecDeque::new(), most }
    }

    pub(super) fn push(&mut self, line: &[u8]) {
        if self.most == 0 {
            return;
        }
        let mut place =
            if self.lines.len() < self.most { Vec::new() } else { self.lines.pop_front().unwrap_or_default() };
        place.clear();
        place.extend_from_slice(line);
        self.lines.push_back(place);
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        self.lines.drain(..).map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
    }
}

#[cfg(test)]
mod test {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut cutter, mut lines) = (Cutter::default(), Vec::new());
        for piece in pieces {
            cutter.feed(piece, |line, goes_on| lines.push((line.to_vec(), goes_on)));
        }
        cutter.end(|line| lines.push((line.to_vec(), false)));
        lines
    }

    #[test]
    fn lines_end_at_newlines_wherever_the_pieces_do() {
        let line = |text: &str| (text.as_bytes().to_vec(), false);
        assert_eq!(
            cut(&[b"a\nb", b"c\n", b"\n", b"d\r\n", b"e"]),
            [line("a"), line("bc"), line(""), line("d"), line("e")]
        );
        assert_eq!(cut(&[b"", b"\n"]), [line("")]);
        assert_eq!(cut(&[]), []);
    }

    #[test]
    fn a_long_line_is_cut_but_no_character_is() {
        let exact = "x".repeat(LINE) + "\n";
        assert_eq!(cut(&[exact.as_bytes()]), [(exact.trim().into(), false)]);
        let long = "x".repeat(LINE - 1) + "ü" + "y\n";
        let cut_up = cut(&[long.as_bytes()]);
        assert_eq!(cut_up, [("x".repeat(LINE - 1).into(), true), ("üy".into(), false)]);
        let binary = vec![0xbf; 3 * LINE];
        let lengths: Vec<_> = cut(&[&binary]).iter().map(|(line, goes_on)| (line.len(), *goes_on)).collect();
        assert_eq!(lengths, [(LINE, true), (LINE, true), (LINE, false)]);
    }

    /// Bytes of any kind, newlines, and stretches of one byte, up to as long as a line may be and longer.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let stretch = (any::<u8>(), 0..LINE + 9).prop_map(|(byte, count)| vec![byte; count]);
        let bytes = prop::collection::vec(any::<u8>(), 0..20);
        let part = prop_oneof![4 => bytes, 2 => Just(vec![b'\n']), 1 => stretch];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(pieces in prop::collection::vec(piece(), 0..6)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let lines = cut(&pieces);
            prop_assert!(lines.iter().all(|(line, goes_on)| line.len() <= LINE && !(*goes_on && line.contains(&b'\n'))));
            let mut whole: Vec<u8> = Vec::new();
            for (line, goes_on) in &lines {
                whole.extend(line);
                whole.extend((!goes_on).then_some(b'\n'));
            }
            let mut wanted = pieces.concat();
            if !wanted.is_empty() && wanted.last() != Some(&b'\n') {
                wanted.push(b'\n');
            }
            // One before a newline is part of it.
            let without = |text: &[u8]| text.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<_>>();
            prop_assert_eq!(without(&whole), without(&wanted));
        }
    }

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::new(2);
        for line in ["one", "two", "three"] {
            tail.push(line.as_bytes());
        }
        tail.push(b"\xff!");
        assert_eq!(tail.take(), ["three", "\u{fffd}!"]);
        let mut none = Tail::new(0);
        none.push(b"x");
        assert!(none.take().is_empty());
    }
}
