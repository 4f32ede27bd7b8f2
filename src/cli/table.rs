//! Text in columns.
//!
//! Columns are as wide as their widest cell, in characters; the last one is as long as it is. Whoever makes a cell
//! escapes what came from elsewhere.

/// The side of its column on which a cell's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// The rows as lines. Each row has a cell for each column.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]], sides: [Side; N]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let width = if i + 1 == N { 0 } else { widths[i] };
            let gap = if i == 0 { "" } else { "  " };
            match sides[i] {
                Side::Left => line.push_str(&format!("{gap}{cell:<width$}")),
                Side::Right => line.push_str(&format!("{gap}{cell:>width$}")),
            }
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() {
        let rows = [["report", "rows", "why"], ["a", "1,000", ""], ["grün", "7", "because of that"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            aligned(&rows, [Side::Left, Side::Right, Side::Left]),
            ["report   rows  why", "a       1,000", "grün        7  because of that"]
        );
    }
}
