//! Many rows by few statements.
//!
//! Rows go in chunks of a few fixed sizes, so that every statement stays prepared whatever the
//! size of the group.

/// Rows in one statement; any number is a sum of these.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// One statement for each size of a chunk.
pub(super) struct Bulk([String; SIZES.len()]);

impl Bulk {
    /// A statement with a list of rows of `columns` parameters between its two parts.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        Self(SIZES.map(|size| format!("{before} {} {after}", vec![row.as_str(); size].join(", "))))
    }

    /// The rows in chunks, each with its statement.
    pub(super) fn chunks<'a, T>(
        &'static self,
        mut rows: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> {
        std::iter::from_fn(move || {
            let index = SIZES.iter().position(|size| *size <= rows.len())?;
            let (chunk, rest) = rows.split_at(SIZES[index]);
            rows = rest;
            Some((self.0[index].as_str(), chunk))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static BULK: LazyLock<Bulk> = LazyLock::new(|| Bulk::new("INSERT VALUES", 2, "END"));

    #[test]
    fn chunks_are_of_fixed_sizes_and_cover_all_rows() {
        let rows: Vec<u32> = (0..150).collect();
        let chunks: Vec<_> = BULK.chunks(&rows).collect();
        let sizes: Vec<usize> = chunks.iter().map(|(_, chunk)| chunk.len()).collect();
        assert_eq!(sizes, [64, 64, 16, 4, 1, 1]);
        let covered: Vec<u32> = chunks
            .iter()
            .flat_map(|(_, chunk)| chunk.to_vec())
            .collect();
        assert_eq!(covered, rows);
        assert_eq!(chunks[5].0, "INSERT VALUES (?, ?) END");
        assert_eq!(BULK.chunks::<u32>(&[]).count(), 0);
    }
}
