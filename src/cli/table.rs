//! Tables: columns without borders, a row a line. On a terminal long text is cut with `…` so that a row fits; what goes
//! elsewhere is never cut.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::render::Colour;

/// Blanks between columns.
const GAP: usize = 2;
/// Columns of the terminal that text is not cut below.
const TEXT_MIN: usize = 8;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Text,
}

/// A column of short words, which are never cut.
pub const fn word(name: &'static str) -> Column {
    Column { name, kind: Kind::Word }
}

/// A column of numbers: aligned right, never cut.
pub const fn number(name: &'static str) -> Column {
    Column { name, kind: Kind::Number }
}

/// A column of text, which is cut where there is no room.
pub const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

/// A row of a table, and which cell of it has a colour.
#[derive(Clone, Debug, Default)]
pub struct Row {
    cells: Vec<String>,
    colour: Option<(usize, Colour)>,
}

impl Row {
    pub fn new<const N: usize>(cells: [String; N]) -> Row {
        Row { cells: cells.iter().map(|cell| clean(cell)).collect(), colour: None }
    }

    /// Shows cell `number`, from 0, in a colour.
    pub fn colour(mut self, number: usize, colour: Option<Colour>) -> Row {
        self.colour = colour.map(|colour| (number, colour));
        self
    }
}

/// What does not fit on a line, or would be taken for a command to the terminal, as blanks.
pub fn clean(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// `text` in at most `width` columns of a terminal, cut with `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    if width > 0 {
        kept.truncate(kept.trim_end().len());
        kept.push('…');
    }
    kept
}

/// The lines of a table, in `width` columns if they are limited. Without names no header is made.
pub fn lines(
    columns: &[Column],
    rows: &[Row],
    width: Option<usize>,
    paint: impl Fn(&str, Colour) -> String,
) -> Vec<String> {
    let header = Row { cells: columns.iter().map(|column| column.name.to_owned()).collect(), colour: None };
    let headed = columns.iter().any(|column| !column.name.is_empty());
    let widths = fit(columns, headed.then_some(&header).into_iter().chain(rows), width);
    let line = |row: &Row| {
        let mut line = String::new();
        let mut left = width.unwrap_or(usize::MAX);
        for (number, (cell, column)) in row.cells.iter().zip(columns).enumerate() {
            let shown = cut(cell, widths[number].min(left));
            let blanks = " ".repeat(widths[number].min(left) - shown.width());
            let painted = match row.colour {
                Some((coloured, colour)) if coloured == number => paint(&shown, colour),
                _ => shown,
            };
            match column.kind {
                Kind::Number => line.extend([blanks, painted]),
                Kind::Word | Kind::Text => line.extend([painted, blanks]),
            }
            left = left.saturating_sub(widths[number] + GAP);
            line.push_str(&" ".repeat(GAP));
        }
        line.truncate(line.trim_end().len());
        line
    };
    headed.then(|| line(&header)).into_iter().chain(rows.iter().map(line)).collect()
}

/// How wide each column is: as wide as its widest cell, unless there is no room: then the widest text gives way first.
fn fit<'r>(columns: &[Column], rows: impl Iterator<Item = &'r Row>, width: Option<usize>) -> Vec<usize> {
    let mut widths = vec![0; columns.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = cell.width().max(*width);
        }
    }
    let Some(width) = width else { return widths };
    let room = width.saturating_sub(GAP * widths.len().saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        let texts = widths.iter_mut().zip(columns).filter(|(_, column)| column.kind == Kind::Text);
        match texts.map(|(width, _)| width).filter(|width| **width > TEXT_MIN).max() {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [number("JOB"), word("STATE"), text("REASON")];

    fn rows() -> Vec<Row> {
        let row =
            |job: &str, reason: &str| Row::new([job.into(), "held".into(), reason.into()]).colour(1, Some(Colour::Red));
        vec![row("7", "short"), row("12345", "a reason that goes on and on")]
    }

    fn shown(width: Option<usize>) -> Vec<String> {
        lines(&COLUMNS, &rows(), width, |text, _| format!("<{text}>"))
    }

    #[test]
    fn numbers_are_aligned_right_and_nothing_is_cut_without_a_terminal() {
        assert_eq!(
            shown(None),
            ["  JOB  STATE  REASON", "    7  <held>   short", "12345  <held>   a reason that goes on and on"]
        );
    }

    #[test]
    fn text_is_cut_where_there_is_no_room() {
        assert_eq!(shown(Some(30))[2], "12345  <held>   a reason that g…");
        for width in 0..60 {
            for line in lines(&COLUMNS, &rows(), Some(width), |text, _| text.to_owned()) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn wide_and_broken_characters_do_not_break_a_row() {
        assert_eq!(cut("日本語の長い名前", 7), "日本語…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(Row::new(["a\nb\x1b[2J".into()]).cells, ["a b [2J"]);
    }

    #[test]
    fn the_widest_text_gives_way_first() {
        let columns = [text("A"), text("B")];
        let row = Row::new(["short".into(), "very long indeed, it is".into()]);
        assert_eq!(lines(&columns, &[row], Some(20), |text, _| text.to_owned())[1], "short  very long in…");
    }
}
