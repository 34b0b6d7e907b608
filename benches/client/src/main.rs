//! Holds `ottla-client` against librdkafka (by the `rdkafka` crate): both produce the same records to the same server and
//! read them back, in turns, in one process. A ratio above 1 means that `ottla-client` did more per second.
//!
//! `cargo run --release -- SERVERS [RECORDS]` in this directory; the server is started by whoever measures. The settings of
//! both are their defaults, but for idempotence (on) and acks (all), and the same linger and batch size.

mod foreign;
mod own;

use std::time::{Duration, Instant};

/// How often each cell is measured; the middle one counts.
const ROUNDS: usize = 5;
/// Small records and larger ones.
const SIZES: [usize; 2] = [100, 1_024];

/// What is done in one cell.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub servers: &'a str,
    pub topic: &'a str,
    pub records: usize,
    pub bytes: usize,
}

/// Why the comparison can't go on: a sentence for people who watch it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(servers) = arguments.first() else { return Err("usage: SERVERS [RECORDS]".into()) };
    let records = arguments.get(1).map_or(Ok(200_000), |count| count.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    println!("{:<22} {:>14} {:>14} {:>7}", "", "ottla-client/s", "librdkafka/s", "ratio");
    for bytes in SIZES {
        let mut cells = [Cell::new(format!("produce {bytes} B")), Cell::new(format!("consume {bytes} B"))];
        for round in 0..ROUNDS {
            let topic = format!("bench-{}-{bytes}-{round}", std::process::id());
            let job = Job { servers, topic: &topic, records, bytes };
            runtime.block_on(own::create_topic(job))?;
            // Each begins half of the rounds: the second finds the server warm.
            for turn in [round % 2, 1 - round % 2] {
                cells[0].note(
                    turn,
                    records,
                    time(|| if turn == 0 { runtime.block_on(own::produce(job)) } else { foreign::produce(job) })?,
                );
            }
            for turn in [round % 2, 1 - round % 2] {
                let job = Job { records: 2 * records, ..job };
                cells[1].note(
                    turn,
                    2 * records,
                    time(|| if turn == 0 { runtime.block_on(own::consume(job)) } else { foreign::consume(job) })?,
                );
            }
            runtime.block_on(own::delete_topic(job))?;
        }
        cells.iter_mut().for_each(Cell::print);
    }
    Ok(())
}

fn time(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}

/// Records per second of both, by round.
struct Cell {
    name: String,
    rates: [Vec<f64>; 2],
}

impl Cell {
    fn new(name: String) -> Self {
        Self { name, rates: [Vec::new(), Vec::new()] }
    }

    fn note(&mut self, who: usize, records: usize, took: Duration) {
        self.rates[who].push(records as f64 / took.as_secs_f64());
    }

    fn print(&mut self) {
        let [own, foreign] = &mut self.rates;
        let middle = |rates: &mut Vec<f64>| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        };
        let (own, foreign) = (middle(own), middle(foreign));
        println!("{:<22} {own:>14.0} {foreign:>14.0} {:>7.2}", self.name, own / foreign);
    }
}
