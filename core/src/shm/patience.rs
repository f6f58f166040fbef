//! How long somebody looks before it sleeps: longer after it was worth it, shorter after it was not.

#![forbid(unsafe_code)]

use crate::cpu;

/// In looks, each with a pause of the CPU: some microseconds to some tens of them.
const LEAST: u32 = 16;
const MOST: u32 = 1024;

/// The budget of one who waits.
#[derive(Debug)]
pub(super) struct Patience {
    looks: u32,
}

impl Patience {
    /// None where there is one CPU: whoever is waited for cannot run while somebody looks.
    pub(super) fn new() -> Self {
        Self::on(cpu::usable_count())
    }

    fn on(cpus: usize) -> Self {
        Self { looks: if cpus > 1 { LEAST } else { 0 } }
    }

    /// Looks until there is something, or the budget is used up.
    pub(super) fn look<E>(&mut self, mut look: impl FnMut() -> Result<bool, E>) -> Result<bool, E> {
        for _ in 0..self.looks {
            if look()? {
                self.looks = (self.looks * 2).min(MOST);
                return Ok(true);
            }
            std::hint::spin_loop();
        }
        if self.looks > 0 {
            self.looks = (self.looks / 2).max(LEAST);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn looks(patience: &mut Patience, found: bool) -> u32 {
        let mut looks = 0;
        let answer = patience.look(|| {
            looks += 1;
            Ok::<_, ()>(found)
        });
        assert_eq!(answer, Ok(found && looks > 0));
        looks
    }

    #[test]
    fn it_doubles_when_it_was_worth_it_and_halves_when_not() {
        let mut patience = Patience::on(2);
        assert_eq!(looks(&mut patience, true), 1);
        assert_eq!(looks(&mut patience, false), 2 * LEAST);
        assert_eq!(looks(&mut patience, false), LEAST);
        assert_eq!(looks(&mut patience, false), LEAST, "never less than can grow again");
        assert!((0..30).all(|_| looks(&mut patience, true) == 1));
        assert_eq!(looks(&mut patience, false), MOST);
    }

    #[test]
    fn nobody_spins_on_one_cpu() {
        let mut patience = Patience::on(1);
        assert_eq!((looks(&mut patience, true), looks(&mut patience, false)), (0, 0));
    }
}
