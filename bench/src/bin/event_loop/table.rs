//! Contestants with several figures each, in turn, and what is printed of them.

use crate::Asked;

/// What one run measures.
pub struct Column {
    pub name: &'static str,
    pub less_is_better: bool,
}

pub const fn more(name: &'static str) -> Column {
    Column { name, less_is_better: false }
}

pub const fn less(name: &'static str) -> Column {
    Column { name, less_is_better: true }
}

/// One contestant: its name, and one run that answers a figure for each column.
pub struct Contestant<'a> {
    pub name: &'static str,
    pub run: Box<dyn FnMut() -> Vec<f64> + 'a>,
}

/// Runs all in turn, after one round that is not counted; each round begins with the next one. Prints for each column the median, its
/// tenth and ninetieth percentile, and the median of the rounds' ratios to the first contestant, so made that above 1 is better than it.
pub fn compare(title: &str, asked: &Asked, columns: &[Column], contestants: &mut [Contestant<'_>]) {
    let count = contestants.len();
    let mut figures = vec![vec![Vec::new(); columns.len()]; count];
    for round in 0..=asked.rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            let run = (contestants[index].run)();
            if round > 0 {
                run.into_iter().zip(&mut figures[index]).for_each(|(figure, column)| column.push(figure));
            }
        }
    }
    println!("\n== {title}, {} rounds: median (p10..p90)", asked.rounds);
    let [first, ..] = &figures[..] else { return };
    for (nth, column) in columns.iter().enumerate() {
        let better = if column.less_is_better { "less is better" } else { "more is better" };
        let base = contestants[0].name;
        println!("{:56} how much better {base} is", format!("{}, {better}", column.name));
        for (contestant, own) in contestants.iter().zip(&figures) {
            let ratios = first[nth].iter().zip(&own[nth]);
            let ratios = ratios.map(|(first, own)| if column.less_is_better { own / first } else { first / own });
            println!("  {:26} {:28} x {}", contestant.name, spread(own[nth].clone()), spread(ratios.collect()));
        }
    }
}

fn spread(mut of: Vec<f64>) -> String {
    of.sort_by(f64::total_cmp);
    let [low, median, high] = [0.1, 0.5, 0.9].map(|q| of[(q * (of.len() - 1) as f64).round() as usize]);
    let digits = if median >= 100.0 { 1 } else { 2 };
    format!("{median:.digits$} ({low:.digits$}..{high:.digits$})")
}
