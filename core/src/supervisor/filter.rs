//! Which events an observer wants: by path and by kind.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::event::{Event, Kind};

/// Which events are wanted; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Of these services and supervisors, and of what is below them; none given is all. In a name of a path `*` stands for any text and `?`
    /// for one character: `root/web*` is `root/web` and `root/web-2`, and what is below each.
    pub paths: Vec<String>,
    /// Of these kinds; none given is all.
    pub kinds: Vec<Kind>,
}

impl Filter {
    /// Events of this path and what is below it.
    pub fn path(path: impl Into<String>) -> Self {
        Self { paths: vec![path.into()], kinds: Vec::new() }
    }

    /// Events of these kinds.
    pub fn kinds(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { paths: Vec::new(), kinds: kinds.into_iter().collect() }
    }

    /// Whether it wants this one.
    pub fn wants(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.what.kind()))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| is_in(pattern, &event.path)))
    }
}

/// Whether the pattern's names match the path's first ones.
fn is_in(pattern: &str, path: &str) -> bool {
    let mut names = path.split('/');
    pattern.split('/').all(|wanted| names.next().is_some_and(|name| matches(wanted.as_bytes(), name.as_bytes())))
}

/// `*` and `?`. The last star is the only one that is tried again, so the time is at most the product of the lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            // A character of several bytes: the rest of it goes along.
            Some(b'?') => {
                at += 1;
                seen += 1;
                while name.get(seen).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    seen += 1;
                }
            }
            Some(byte) if *byte == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((begun, from)) => {
                    star = Some((begun, from + 1));
                    at = begun + 1;
                    seen = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_pattern_matches_by_whole_names_and_what_is_below() {
        for (pattern, path, expected) in [
            ("root", "root", true),
            ("root", "root/web", true),
            ("root", "rooted", false),
            ("root/web", "root", false),
            ("root/web", "root/web/worker", true),
            ("root/web*", "root/web-2/worker", true),
            ("root/*/worker", "root/web/worker", true),
            ("root/*/worker", "root/web/other", false),
            ("*/w?b", "root/web", true),
            ("*/w?b", "root/wüb", true),
            ("*/w?b", "root/wb", false),
            ("root/*a*b*", "root/xaybzb", true),
            ("root/*a*c", "root/aacb", false),
            ("**", "x", true),
        ] {
            assert_eq!(is_in(pattern, path), expected, "{pattern} {path}");
        }
    }
}
