//! Lists in columns.

/// Rows below a head, each column as wide as its widest cell. A cell may hold what a terminal would act on: it is shown escaped.
pub(super) fn columns(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|&cell| cell.to_owned()).collect();
    let shown = |row: Vec<String>| -> Vec<String> {
        row.iter()
            .map(|cell| cell.escape_debug().to_string())
            .collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(head)
        .chain(rows.into_iter().map(shown))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_escaped() {
        let rows = [["a", "x\u{1b}[2J"], ["longer", ""]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            columns(&["ID", "PATH"], rows),
            "ID      PATH\na       x\\u{1b}[2J\nlonger\n"
        );
    }
}
