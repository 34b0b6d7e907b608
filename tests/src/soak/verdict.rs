use super::sample::Sample;

/// Of the run this part warms up.
const WARM_UP: f64 = 0.2;

/// So many samples are needed to say something of a trend.
const SAMPLES_MIN: usize = 6;

/// What grew may be noise below these: a part of the mean, and an absolute amount.
const GROWTH_PART: f64 = 0.05;
const MEMORY_GROWTH_MIB: f64 = 16.0;
const DESCRIPTORS_GROWTH: f64 = 20.0;
const THREADS_GROWTH: f64 = 4.0;

/// Latency may be this much higher in the last third than in the first, and is no matter below this.
const DRIFT_FACTOR: f64 = 2.0;
const DRIFT_MS: f64 = 20.0;

/// One thing that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What, with its figures.
    pub what: String,
    /// Whether it is as it should be.
    pub is_good: bool,
}

/// The line through points, as what it rises by in one unit of x.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let common: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if spread > 0.0 { common / spread } else { 0.0 }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Judges a run by its samples: what grows, what slows down, what was warned of.
pub fn judge(samples: &[Sample], warnings: &[&str], violations: usize) -> Vec<Finding> {
    let end = samples.last().map_or(0.0, |sample| sample.seconds);
    let warm: Vec<&Sample> = samples.iter().filter(|sample| sample.seconds >= end * WARM_UP).collect();
    let mut findings = vec![
        Finding { what: format!("{violations} violations of the history"), is_good: violations == 0 },
        Finding { what: format!("{} warnings and errors in the log", warnings.len()), is_good: warnings.is_empty() },
    ];
    if warm.len() < SAMPLES_MIN {
        findings.push(Finding { what: format!("{} samples are too few for a trend", warm.len()), is_good: false });
        return findings;
    }
    findings.push(growth("memory, MiB", &warm, MEMORY_GROWTH_MIB, |sample| sample.process.memory_mib));
    findings.push(growth("descriptors", &warm, DESCRIPTORS_GROWTH, |sample| sample.process.descriptors as f64));
    findings.push(growth("threads", &warm, THREADS_GROWTH, |sample| sample.process.threads as f64));
    findings.push(drift("p99 of produce", &warm, |sample| sample.produce_ms[1]));
    findings.push(drift("p99 of the delay to consumers", &warm, |sample| sample.delay_ms[1]));
    findings
}

fn growth(what: &str, samples: &[&Sample], noise: f64, value: fn(&Sample) -> f64) -> Finding {
    let points: Vec<_> = samples.iter().map(|sample| (sample.seconds / 3600.0, value(sample))).collect();
    let hours = points[points.len() - 1].0 - points[0].0;
    let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
    let slope = slope(&points);
    let grown = slope * hours;
    Finding {
        what: format!(
            "{what}: {mean:.1} in the mean, {slope:+.2} an hour, {grown:+.2} in the {hours:.2} hours measured"
        ),
        is_good: grown <= noise.max(mean * GROWTH_PART),
    }
}

fn drift(what: &str, samples: &[&Sample], value: fn(&Sample) -> f64) -> Finding {
    let third = samples.len() / 3;
    let of = |part: &[&Sample]| median(part.iter().map(|sample| value(sample)).collect());
    let (first, last) = (of(&samples[..third]), of(&samples[samples.len() - third..]));
    Finding {
        what: format!("{what}: {first:.2} ms in the first third, {last:.2} ms in the last"),
        is_good: last <= DRIFT_MS || last <= first * DRIFT_FACTOR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::Process;

    /// An hour in samples of ten seconds.
    fn judged(change: impl Fn(f64, &mut Sample)) -> Vec<bool> {
        let sample = |number: u32| {
            let seconds = f64::from(number * 10);
            let process = Process { memory_mib: 100.0, descriptors: 50, threads: 10, ..Process::default() };
            let mut sample = Sample { seconds, process, produce_ms: [1.0, 5.0, 9.0], ..Sample::default() };
            change(seconds, &mut sample);
            sample
        };
        let samples: Vec<_> = (0..360).map(sample).collect();
        judge(&samples, &[], 0).iter().map(|finding| finding.is_good).collect()
    }

    #[test]
    fn what_stays_as_it_is_is_good() {
        assert_eq!(judged(|_, _| ()), [true; 7]);
    }

    #[test]
    fn what_only_grows_while_it_warms_up_is_good() {
        let warm_up = |seconds: f64, sample: &mut Sample| {
            sample.process.memory_mib = if seconds < 600.0 { seconds } else { 600.0 };
        };
        assert_eq!(judged(warm_up), [true; 7]);
    }

    #[test]
    fn memory_and_descriptors_that_grow_are_found() {
        let leak = |seconds: f64, sample: &mut Sample| sample.process.memory_mib += seconds / 60.0;
        assert_eq!(judged(leak), [true, true, false, true, true, true, true]);
        let leak = |seconds: f64, sample: &mut Sample| sample.process.descriptors += (seconds / 60.0) as u64;
        assert_eq!(judged(leak), [true, true, true, false, true, true, true]);
    }

    #[test]
    fn latency_that_grows_is_found() {
        let slow = |seconds: f64, sample: &mut Sample| sample.produce_ms[1] = 5.0 + seconds / 60.0;
        assert_eq!(judged(slow), [true, true, true, true, true, false, true]);
    }

    #[test]
    fn warnings_violations_and_too_few_samples_are_found() {
        let is_good: Vec<_> = judge(&[], &["WARN"], 1).iter().map(|finding| finding.is_good).collect();
        assert_eq!(is_good, [false; 3]);
    }
}
