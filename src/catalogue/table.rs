//! Reads a table of tab-separated values, strictly.

use std::collections::HashMap;

/// A row that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct CatalogueError {
    place: String,
    what: String,
}

impl CatalogueError {
    pub(crate) fn in_table(table: &str, what: String) -> Self {
        Self { place: format!("the table `{table}`"), what }
    }

    fn in_line(table: &str, line: usize, what: String) -> Self {
        Self { place: format!("the table `{table}`, line {line}"), what }
    }

    /// The same fault, in an operator's own words: there an action is no line of a table.
    pub(super) fn of_action(self, name: &str) -> Self {
        Self { place: format!("the action `{name}`"), what: self.what }
    }

    /// Both faults.
    pub(super) fn and(self, other: &Self) -> Self {
        Self { what: format!("{}; {other}", self.what), ..self }
    }
}

/// A table whose first line names the columns.
pub(super) struct Table<'a> {
    name: &'a str,
    columns: HashMap<&'a str, usize>,
    rows: Vec<Vec<&'a str>>,
}

/// One row of a table.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'a Table<'a>,
    cells: &'a [&'a str],
    /// Counted from 1, as editors do.
    line: usize,
}

impl<'a> Table<'a> {
    /// Reads a table. Every row must have every column, and no cell may be empty: `-` is the absence of a value.
    pub(super) fn read(name: &'a str, text: &'a str) -> Result<Self, CatalogueError> {
        let mut lines = text.lines().enumerate();
        let fault =
            |line: usize, what: &str| CatalogueError::in_line(name, line + 1, what.to_owned());
        let (_, header) = lines.next().ok_or_else(|| fault(0, "there is no line of columns"))?;
        let names: Vec<&str> = header.split('\t').collect();
        let columns: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        if columns.len() != names.len() {
            return Err(fault(0, "a column appears twice"));
        }
        let mut rows = Vec::new();
        for (line, text) in lines {
            let cells: Vec<&str> = text.split('\t').collect();
            if cells.len() != names.len() {
                return Err(fault(line, "the row has another number of cells than columns"));
            }
            if cells.iter().any(|cell| cell.is_empty() || cell.trim() != *cell) {
                return Err(fault(line, "a cell is empty or begins or ends with a space: use `-`"));
            }
            rows.push(cells);
        }
        Ok(Self { name, columns, rows })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        // The line of columns is line 1.
        let row = |(place, cells)| Row { table: self, cells, line: place + 2 };
        self.rows.iter().map(Vec::as_slice).enumerate().map(row)
    }
}

impl<'a> Row<'a> {
    /// The cell of this column.
    pub(super) fn cell(&self, column: &str) -> Result<&'a str, CatalogueError> {
        let place = self.table.columns.get(column);
        let cell = place.and_then(|place| self.cells.get(*place)).copied();
        cell.ok_or_else(|| self.fault(format!("there is no column `{column}`")))
    }

    /// The cell of this column, if it is not `-`.
    pub(super) fn optional(&self, column: &str) -> Result<Option<&'a str>, CatalogueError> {
        Ok(Some(self.cell(column)?).filter(|cell| *cell != "-"))
    }

    /// The cell of this column as a value that `find` knows.
    pub(super) fn known<T>(
        &self,
        column: &str,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T, CatalogueError> {
        let cell = self.cell(column)?;
        find(cell).ok_or_else(|| self.fault(format!("`{cell}` is no value of `{column}`")))
    }

    pub(super) fn fault(&self, what: String) -> CatalogueError {
        CatalogueError::in_line(self.table.name, self.line, what)
    }
}
