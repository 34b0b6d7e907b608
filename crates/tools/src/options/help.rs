use super::{Argument, Opt};

/// The width that the help fits into.
const WIDTH: usize = 80;
/// The blanks between the two columns.
const GAP: usize = 2;
/// How far the second and later lines of an entry are moved in.
const INDENT: usize = 2;

/// Two columns, options and descriptions, each as wide as it needs to be within half of the width and the rest of it.
pub(super) fn table<'a>(options: impl Iterator<Item = &'a Opt>) -> String {
    let mut rows: Vec<_> = options.map(|option| (left(option), right(option))).collect();
    rows.sort();
    let widest = |texts: &mut dyn Iterator<Item = &str>, least: usize| {
        texts.flat_map(str::lines).map(|line| line.chars().count()).fold(least, usize::max)
    };
    let option_width = widest(&mut rows.iter().map(|(left, _)| left.as_str()), 6).min((WIDTH - GAP) / 2);
    let rest = WIDTH - GAP - option_width;
    let description_width = widest(&mut rows.iter().map(|(_, right)| right.as_str()), 11).min(rest);
    let mut out = String::new();
    let mut line = |left: &str, right: &str| {
        out.push_str(&format!("{left:<option_width$}{:GAP$}{right:<description_width$}\n", ""));
    };
    line("Option", "Description");
    line("------", "-----------");
    for (option, description) in rows {
        let (left, right) = (wrap(&option, option_width), wrap(&description, description_width));
        for index in 0..left.len().max(right.len()) {
            let text = |lines: &[String]| lines.get(index).cloned().unwrap_or_default();
            line(&text(&left), &text(&right));
        }
    }
    out
}

fn left(option: &Opt) -> String {
    let (open, close, kind) = match option.argument {
        Argument::None => return format!("--{}", option.name),
        Argument::Required(kind) => ('<', '>', kind),
        Argument::Optional(kind) => ('[', ']', kind),
    };
    let kind = kind.java_name();
    match option.value_name {
        "" => format!("--{} {open}{kind}{close}", option.name),
        name => format!("--{} {open}{kind}: {name}{close}", option.name),
    }
}

fn right(option: &Opt) -> String {
    match option.default {
        Some(default) => format!("{} (default: {default})", option.description),
        None => option.description.to_owned(),
    }
}

/// Breaks a text into lines, between words and behind dashes.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut indent = 0;
        for piece in pieces(paragraph) {
            let room = width.saturating_sub(indent).max(1);
            if !line.is_empty() && line.chars().count() + piece.trim_end().chars().count() > room {
                lines.push(format!("{:indent$}{}", "", line.trim_end()));
                line.clear();
                indent = INDENT;
            }
            line.push_str(piece);
        }
        lines.push(format!("{:indent$}{}", "", line.trim_end()));
    }
    lines
}

/// The parts between which a line may be broken.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive([' ', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_descriptions_stand_in_two_columns() {
        let long = "The topic to create, alter, describe or delete; a regular expression everywhere but with --create.";
        let options = [Opt::text("topic", "topic", long), Opt::flag("list", "List all topics.")];
        let expected = [
            "Option                   Description",
            "------                   -----------",
            "--list                   List all topics.",
            "--topic <String: topic>  The topic to create, alter, describe or delete; a",
            "                           regular expression everywhere but with --create.",
        ];
        let table = table(options.iter());
        assert_eq!(table.lines().map(str::trim_end).collect::<Vec<_>>(), expected);
        assert!(table.lines().all(|line| line.chars().count() == WIDTH), "{table}");
    }

    #[test]
    fn a_default_stands_behind_the_description() {
        let option = Opt::long("timeout", "timeout (ms)", "How long to wait.").with_default("5000");
        assert!(table([option].iter()).contains("--timeout <Long: timeout (ms)>  How long to wait. (default: 5000)"));
    }
}
