//! Columns of a group, written straight into the message that carries them.
//!
//! Statements over a group take one array for each column and read them side by side, in the list
//! of a `SELECT`: so they come in the order they were given, and none is kept aside first. An array
//! that is shorter than the others is filled up with NULL, so a column that is NULL in every row
//! goes as an empty one.

/// `unnest($1::uuid[]) AS id, …`: parameters from `first` on, each with its type and name.
pub(super) fn unnested(first: usize, columns: &[(&str, &str)]) -> String {
    let columns = columns.iter().zip(first..);
    let columns: Vec<String> = columns
        .map(|((kind, name), place)| format!("unnest(${place}::{kind}[]) AS {name}"))
        .collect();
    columns.join(", ")
}

/// The names of these columns, in the same order.
pub(super) fn names(columns: &[(&str, &str)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(_, name)| *name).collect();
    names.join(", ")
}

/// All of a column, or nothing where every row is NULL.
pub(super) fn sparse<T>(
    values: impl Iterator<Item = Option<T>> + Clone,
) -> impl Iterator<Item = Option<T>> {
    let any = values.clone().any(|value| value.is_some());
    any.then_some(values).into_iter().flatten()
}
