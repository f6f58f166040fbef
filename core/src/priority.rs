//! The three priorities, named once for pool, loop and ports.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};

/// How urgent a task is: the pool runs the higher level first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(i32)]
pub enum Priority {
    /// When there is nothing better to do.
    Low = -1,
    /// What most tasks are.
    #[default]
    Normal = 0,
    /// Before everything else, and never claimed ahead.
    High = 1,
}

impl Priority {
    /// All of them, the highest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];
}

impl TryFrom<i32> for Priority {
    type Error = Error;

    fn try_from(number: i32) -> Result<Self> {
        Self::ALL.into_iter().find(|priority| *priority as i32 == number).ok_or_else(|| {
            Error::Invalid(format!("priority {number} is out of range: LOW is -1, NORMAL is 0, HIGH is 1"))
        })
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn numbers_outside_the_three_are_named() {
        assert_eq!(Priority::try_from(1), Ok(Priority::High));
        assert_eq!(Priority::try_from(-1), Ok(Priority::Low));
        assert!(Priority::try_from(7).unwrap_err().to_string().contains("priority 7"));
    }
}
