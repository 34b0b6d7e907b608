//! Rows of figures, and their table.

use std::collections::BTreeMap;

use crate::broker::Kind;

/// Whether a small or a large figure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
}

#[derive(Default)]
struct Figures {
    ottla: Vec<f64>,
    kafka: Vec<f64>,
    bare: Vec<f64>,
}

struct Row {
    name: String,
    unit: &'static str,
    better: Better,
    figures: Figures,
}

/// All rows, in the order in which they came up.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    index: BTreeMap<String, usize>,
}

impl Report {
    /// Adds a figure of one round.
    pub fn add(&mut self, kind: Kind, name: &str, unit: &'static str, better: Better, figure: f64) {
        let rows = &mut self.rows;
        let index = *self.index.entry(name.to_owned()).or_insert_with(|| {
            rows.push(Row { name: name.to_owned(), unit, better, figures: Figures::default() });
            rows.len() - 1
        });
        let figures = &mut self.rows[index].figures;
        match kind {
            Kind::Ottla => figures.ottla.push(figure),
            Kind::Kafka => figures.kafka.push(figure),
            Kind::Bare => figures.bare.push(figure),
        }
    }

    /// The table, in Markdown. A ratio above 1 speaks for Ottla; ratios are of the two figures of one round. The last column
    /// says how many times as well the bare probe does, where it takes part.
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| what | unit | Apache Kafka | Ottla | bare probe | ratio min | median | max | probe |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for row in &self.rows {
            let Row { name, unit, figures, .. } = row;
            let [least, median, most] = three(&row.ratios()).map(ratio_text);
            let [kafka, ottla, bare] =
                [&figures.kafka, &figures.ottla, &figures.bare].map(|figures| text(three(figures)[1]));
            let probe = ratio_text(three(&row.ratios_of(&figures.ottla, &figures.bare))[1]);
            table += &format!(
                "| {name} | {unit} | {kafka} | {ottla} | {bare} | {least} | **{median}** | {most} | {probe} |\n"
            );
        }
        table
    }

    /// The table of rows whose rounds have nothing to do with each other: of each server the smallest figure, the median and
    /// the largest, of how many, and the ratio of the medians, above 1 for Ottla.
    pub fn spreads(&self) -> String {
        let mut table = String::from(
            "| what | unit | Apache Kafka min | median | max | of | Ottla min | median | max | of | ratio |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for Row { name, unit, better, figures } in &self.rows {
            let [kafka, ottla] = [&figures.kafka, &figures.ottla].map(|figures| {
                let [least, median, most] = three(figures).map(text);
                format!("{least} | **{median}** | {most} | {}", figures.len())
            });
            let [theirs, ours] = [&figures.kafka, &figures.ottla].map(|figures| three(figures)[1]);
            let ratio = ratio_text(if *better == Better::Less { theirs / ours } else { ours / theirs });
            table += &format!("| {name} | {unit} | {kafka} | {ottla} | {ratio} |\n");
        }
        table
    }

    /// Every figure of every round, as comma-separated values.
    pub fn raw(&self) -> String {
        let mut raw = String::from("what,unit,server,round,figure\n");
        for row in &self.rows {
            let Figures { ottla, kafka, bare } = &row.figures;
            for (server, figures) in [("Apache Kafka", kafka), ("Ottla", ottla), ("bare probe", bare)] {
                for (round, figure) in figures.iter().enumerate() {
                    raw += &format!("\"{}\",{},{server},{},{figure}\n", row.name, row.unit, round + 1);
                }
            }
        }
        raw
    }

    /// The rows in which Ottla's median is worse.
    pub fn worse(&self) -> Vec<String> {
        let worse = self.rows.iter().filter(|row| three(&row.ratios())[1] < 1.0);
        worse.map(|row| format!("{}: {}", row.name, ratio_text(three(&row.ratios())[1]))).collect()
    }
}

impl Row {
    fn ratios(&self) -> Vec<f64> {
        self.ratios_of(&self.figures.kafka, &self.figures.ottla)
    }

    /// How many times as good `theirs` is as `ours`, round by round.
    fn ratios_of(&self, ours: &[f64], theirs: &[f64]) -> Vec<f64> {
        let pairs = ours.iter().zip(theirs);
        pairs.map(|(ours, theirs)| if self.better == Better::Less { ours / theirs } else { theirs / ours }).collect()
    }
}

/// Minimum, median, maximum.
fn three(figures: &[f64]) -> [f64; 3] {
    let mut sorted: Vec<f64> = figures.iter().copied().filter(|figure| !figure.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return [f64::NAN; 3] };
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    [*least, median, *most]
}

fn text(figure: f64) -> String {
    match figure {
        figure if figure.is_nan() => "–".to_owned(),
        figure if figure >= 1000.0 => format!("{figure:.0}"),
        figure if figure >= 100.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

fn ratio_text(ratio: f64) -> String {
    match ratio {
        ratio if ratio.is_nan() => "–".to_owned(),
        ratio if ratio >= 10.0 => format!("{ratio:.0}"),
        ratio => format!("{ratio:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_one_round_and_speak_for_ottla_above_one() {
        let mut report = Report::default();
        for (kafka, ottla) in [(10.0, 5.0), (20.0, 5.0), (30.0, 10.0)] {
            report.add(Kind::Kafka, "time", "ms", Better::Less, kafka);
            report.add(Kind::Ottla, "time", "ms", Better::Less, ottla);
            report.add(Kind::Kafka, "rate", "1/s", Better::More, kafka);
            report.add(Kind::Ottla, "rate", "1/s", Better::More, ottla);
        }
        assert!(
            report.table().contains("| time | ms | 20.0 | 5.00 | – | 2.00 | **3.00** | 4.00 | – |"),
            "{}",
            report.table()
        );
        assert!(report.table().contains("| rate | 1/s | 20.0 | 5.00 | – | 0.25 | **0.33** | 0.50 | – |"));
        assert_eq!(report.worse(), ["rate: 0.33"]);
    }

    #[test]
    fn spreads_have_a_ratio_of_medians_over_rounds_of_different_number() {
        let mut report = Report::default();
        for kafka in [9000.0, 10000.0, 12000.0] {
            report.add(Kind::Kafka, "gap", "ms", Better::Less, kafka);
        }
        for ottla in [10.0, 20.0] {
            report.add(Kind::Ottla, "gap", "ms", Better::Less, ottla);
        }
        let row = "| gap | ms | 9000 | **10000** | 12000 | 3 | 10.0 | **15.0** | 20.0 | 2 | 667 |";
        assert!(report.spreads().contains(row), "{}", report.spreads());
    }
}
