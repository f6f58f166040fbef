//! The words of OTP, as text: one table for the bindings, for messages and for parsing.

#![forbid(unsafe_code)]

use std::{fmt, str::FromStr};

use super::{AutoShutdown, Growth, Restart, Strategy};
use crate::error::Error;

macro_rules! names {
    ($type:ident, $what:literal: $($name:literal => $variant:ident),+) => {
        impl $type {
            /// All of them, with their names.
            pub const ALL: &[(&'static str, Self)] = &[$(($name, Self::$variant)),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(unknown($what, text, Self::ALL.iter().map(|(name, _)| *name))),
                }
            }
        }
    };
}

names!(Restart, "restart": "permanent" => Permanent, "transient" => Transient, "temporary" => Temporary);
names!(Strategy, "strategy":
    "one_for_one" => OneForOne, "one_for_all" => OneForAll, "rest_for_one" => RestForOne,
    "simple_one_for_one" => SimpleOneForOne);
names!(AutoShutdown, "auto_shutdown":
    "never" => Never, "any_significant" => AnySignificant, "all_significant" => AllSignificant);
names!(Growth, "growth": "fixed" => Fixed, "linear" => Linear, "exponential" => Exponential);

fn unknown(what: &str, text: &str, names: impl Iterator<Item = &'static str>) -> Error {
    Error::Invalid(format!("{what} {text:?}: allowed are {}", names.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        fn both_ways<T: FromStr<Err = Error> + fmt::Display + PartialEq + fmt::Debug + Copy>(all: &[(&str, T)]) {
            for (name, value) in all {
                assert_eq!(name.parse::<T>().unwrap(), *value);
                assert_eq!(value.to_string(), *name);
            }
        }
        both_ways(Restart::ALL);
        both_ways(Strategy::ALL);
        both_ways(AutoShutdown::ALL);
        both_ways(Growth::ALL);
        assert_eq!(format!("{:>12}|", Strategy::OneForOne), " one_for_one|");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        for text in ["one_for_none", "", "ONE_FOR_ONE", " one_for_one"] {
            let error = text.parse::<Strategy>().unwrap_err().to_string();
            let allowed = "allowed are one_for_one, one_for_all, rest_for_one, simple_one_for_one";
            assert_eq!(error, format!("strategy {text:?}: {allowed}"));
        }
        let error = "always".parse::<Restart>().unwrap_err().to_string();
        assert_eq!(error, "restart \"always\": allowed are permanent, transient, temporary");
    }
}
