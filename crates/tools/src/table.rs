//! Tables as Kafka's tools print them: columns as wide as their widest cell, each cell followed by a tab.

use crate::console::Console;

/// Prints the titles and the rows.
pub(crate) fn print<const COLUMNS: usize>(titles: [&str; COLUMNS], rows: &[[String; COLUMNS]], console: &mut Console) {
    let mut widths = titles.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        console.line(&cells.zip(widths).map(|(cell, width)| format!("{cell:<width$}\t")).collect::<String>());
    };
    line(&mut titles.into_iter());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
}
