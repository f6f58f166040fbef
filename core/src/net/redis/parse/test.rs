//! The parser on what servers say, in pieces of every size, and on what none says.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

/// The replies that the pieces hold, and what is wrong with what follows them.
fn replies<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<String>) {
    let (mut parser, mut have, mut replies) = (Parser::new(LIMIT), Vec::new(), Vec::new());
    for piece in pieces {
        have.extend_from_slice(piece);
        loop {
            let (used, reply) = match parser.parse(&have) {
                Ok(parsed) => parsed,
                Err(wrong) => return (replies, Some(wrong)),
            };
            have.drain(..used);
            match reply {
                Some(reply) => replies.push(reply),
                None => break,
            }
        }
        assert!(parser.wants() > have.len(), "{} are there, and {} are wanted", have.len(), parser.wants());
    }
    (replies, None)
}

/// Everything that the bytes hold, in pieces of `step`.
fn all(bytes: &[u8], step: usize) -> Result<Vec<Reply>, String> {
    let (replies, wrong) = replies(bytes.chunks(step));
    wrong.map_or(Ok(replies), Err)
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.into())
}

#[test]
fn every_type_in_pieces_of_any_size() {
    let bytes = b"+OK\r\n-ERR no\r\n:-12\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*2\r\n$1\r\nx\r\n*1\r\n:1\r\n_\r\n,1.5\r\n,inf\r\n#t\r\n#f\r\n(123456789012345678901\r\n\
        =7\r\ntxt:abc\r\n!5\r\nBAD x\r\n%1\r\n+k\r\n:1\r\n~1\r\n:7\r\n>2\r\n+message\r\n$0\r\n\r\n|1\r\n+ttl\r\n:3\r\n:9\r\n*0\r\n:-9223372036854775808\r\n";
    let expected = vec![
        Reply::Status(b"OK".to_vec()),
        Reply::Error(ServerError::new("ERR no")),
        Reply::Int(-12),
        bulk("a\r\n"),
        Reply::Null,
        Reply::Null,
        Reply::Array(vec![bulk("x"), Reply::Array(vec![Reply::Int(1)])]),
        Reply::Null,
        Reply::Double(1.5),
        Reply::Double(f64::INFINITY),
        Reply::Bool(true),
        Reply::Bool(false),
        Reply::BigNumber(b"123456789012345678901".to_vec()),
        Reply::Verbatim { format: *b"txt", text: b"abc".to_vec() },
        Reply::Error(ServerError::new("BAD x")),
        Reply::Map(vec![(Reply::Status(b"k".to_vec()), Reply::Int(1))]),
        Reply::Set(vec![Reply::Int(7)]),
        Reply::Push(vec![Reply::Status(b"message".to_vec()), bulk("")]),
        Reply::Attribute {
            about: vec![(Reply::Status(b"ttl".to_vec()), Reply::Int(3))],
            reply: Box::new(Reply::Int(9)),
        },
        Reply::Array(vec![]),
        Reply::Int(i64::MIN),
    ];
    // The first two bytes of "a\r\n" are in a string of 3 bytes.
    let bytes = String::from_utf8(bytes.to_vec()).unwrap();
    for step in [1, 2, 3, 7, bytes.len()] {
        assert_eq!(all(bytes.as_bytes(), step).unwrap(), expected, "in pieces of {step}");
    }
}

#[test]
fn garbage_and_what_is_too_much_are_refused_when_they_come() {
    for (bytes, says) in [
        ("HTTP/1.1 400 Bad Request\r\n", "not the beginning"),
        ("HTTP", "not the beginning"),
        ("\r\n", "not the beginning"),
        (":12x\r\n", "\"12x\" is no integer"),
        (":9223372036854775808\r\n", "is no integer"),
        ("$536870912\r\n", "536870912 bytes announced"),
        ("$-2\r\n", "a length of -2"),
        ("$1\r\nabc", "instead of the end of 1 bytes"),
        ("*1000000000\r\n", "1000000000 parts announced"),
        ("%9223372036854775807\r\n", "parts announced"),
        ("=3\r\nabc\r\n", "verbatim"),
        ("#x\r\n", "not the beginning"),
        (",1.x\r\n", "is no number"),
        ("(1.0\r\n", "is no integer"),
    ] {
        let error = all(bytes.as_bytes(), 1).expect_err(bytes);
        assert!(error.contains(says), "{bytes:?}: {error}");
    }
    assert!(all(&b"*1\r\n".repeat(1000), 4096).unwrap_err().contains("128 deep"));
    assert!(all(&b"+".repeat(MAX_LINE + 10), 4096).unwrap_err().contains("a line of more"));
    let many = [b"*10000\r\n".to_vec(), b"$100\r\n".to_vec()].concat();
    let mut many = many;
    for _ in 0..9_999 {
        many.extend_from_slice(&[b'x'; 100]);
        many.extend_from_slice(b"\r\n$100\r\n");
    }
    assert!(all(&many, 4096).unwrap_err().contains("which is the limit"));
}

/// A reply as a server writes it.
fn write(reply: &Reply, to: &mut Vec<u8>) {
    let line = |to: &mut Vec<u8>, kind: u8, rest: &[u8]| {
        to.push(kind);
        to.extend_from_slice(rest);
        to.extend_from_slice(b"\r\n");
    };
    let count = |to: &mut Vec<u8>, kind: u8, count: usize| line(to, kind, count.to_string().as_bytes());
    let pairs = |to: &mut Vec<u8>, pairs: &[(Reply, Reply)]| {
        for (key, value) in pairs {
            write(key, to);
            write(value, to);
        }
    };
    match reply {
        Reply::Null => line(to, b'_', b""),
        Reply::Int(number) => line(to, b':', number.to_string().as_bytes()),
        Reply::Bulk(bytes) => {
            count(to, b'$', bytes.len());
            to.extend_from_slice(bytes);
            to.extend_from_slice(b"\r\n");
        }
        Reply::Status(text) => line(to, b'+', text),
        Reply::Error(error) => line(to, b'-', error.text().as_bytes()),
        Reply::Double(number) => line(to, b',', number.to_string().as_bytes()),
        Reply::Bool(yes) => line(to, b'#', if *yes { b"t" } else { b"f" }),
        Reply::Verbatim { format, text } => {
            count(to, b'=', text.len() + 4);
            to.extend_from_slice(format);
            to.push(b':');
            to.extend_from_slice(text);
            to.extend_from_slice(b"\r\n");
        }
        Reply::BigNumber(digits) => line(to, b'(', digits),
        Reply::Array(parts) | Reply::Set(parts) | Reply::Push(parts) => {
            let kind = match reply {
                Reply::Array(_) => b'*',
                Reply::Set(_) => b'~',
                _ => b'>',
            };
            count(to, kind, parts.len());
            parts.iter().for_each(|part| write(part, to));
        }
        Reply::Map(map) => {
            count(to, b'%', map.len());
            pairs(to, map);
        }
        Reply::Attribute { about, reply } => {
            count(to, b'|', about.len());
            pairs(to, about);
            write(reply, to);
        }
    }
}

/// Any reply, also with the ends of lines in its bytes.
fn any_reply() -> impl Strategy<Value = Reply> {
    let bytes = || proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..12);
    let leaf = prop_oneof![
        Just(Reply::Null),
        any::<i64>().prop_map(Reply::Int),
        bytes().prop_map(Reply::Bulk),
        "[ -~]{0,8}".prop_map(|text| Reply::Status(text.into())),
        "[A-Z]{1,4} [ -~]{0,8}".prop_map(|text| Reply::Error(ServerError::new(text))),
        (-1e9..1e9).prop_map(Reply::Double),
        any::<bool>().prop_map(Reply::Bool),
        bytes().prop_map(|text| Reply::Verbatim { format: *b"txt", text }),
        "-?[0-9]{1,30}".prop_map(|digits| Reply::BigNumber(digits.into())),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let parts = || proptest::collection::vec(inner.clone(), 0..5);
        let pairs = || proptest::collection::vec((inner.clone(), inner.clone()), 0..3);
        prop_oneof![
            parts().prop_map(Reply::Array),
            parts().prop_map(Reply::Set),
            parts().prop_map(Reply::Push),
            pairs().prop_map(Reply::Map),
            (pairs(), inner.clone()).prop_map(|(about, reply)| Reply::Attribute { about, reply: Box::new(reply) }),
        ]
    })
}

proptest! {
    #[test]
    fn replies_are_what_was_written_however_they_are_split(written in proptest::collection::vec(any_reply(), 1..4)) {
        let mut bytes = Vec::new();
        written.iter().for_each(|reply| write(reply, &mut bytes));
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            let (read, wrong) = replies([first, second]);
            prop_assert_eq!(wrong, None, "split at {}", at);
            prop_assert_eq!(&read, &written, "split at {}", at);
        }
        for step in 1..8 {
            let read = all(&bytes, step);
            prop_assert_eq!(read.as_ref(), Ok(&written), "in pieces of {}", step);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..20) {
        let _ = all(&bytes, step);
    }

    #[test]
    fn what_looks_like_replies_is_read_the_same_however_it_is_split(
        text in "([+\\-:$*_,#!=(%~>|][0-9a-z:\\-]{0,3}\r\n){0,30}",
        step in 1_usize..20,
    ) {
        let (whole, wrong) = replies([text.as_bytes()]);
        let (pieces, wrong_in_pieces) = replies(text.as_bytes().chunks(step));
        // A double may be no number, which is unlike itself.
        prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        prop_assert_eq!(wrong.is_some(), wrong_in_pieces.is_some(), "{:?}, {:?}", wrong, wrong_in_pieces);
    }
}
